/* SPDX-License-Identifier: GPL-2.0-or-later */
/* extract: what a parser finds in one line, shared by json, logfmt, regexp, pattern and unpack.
 *
 * The caller owns one struct extract per thread and reuses it: extract_reset() before each line keeps its
 * room. Found pairs are appended in the order found, under sanitised names. A name may come more than
 * once: the first one counts (Loki), and pairs may be looked at as a plain array. Names and values borrow from
 * the line, from the arena (unescaped or joined text), or from the compiled parser: they live as long as
 * the shortest of these. With a set of wanted names only those are reported, each once, and the parser stops
 * as soon as it has them all, so later faults of the line go unnoticed. Collisions with labels that the
 * entry has already (name_extracted) are the caller's business. */
#ifndef LARCH_PIPELINE_EXTRACT_EXTRACT_H
#define LARCH_PIPELINE_EXTRACT_EXTRACT_H

#include "common/arena.h"
#include "common/labels.h"

struct extract {
	struct label *v; /* found pairs */
	size_t n, cap;
	const char *error; /* NULL, "JSONParserErr" or "LogfmtParserErr" (static) */
	struct str detail; /* __error_details__; "" when there are none */

	struct arena *a;        /* the caller's */
	const struct str *want; /* label names; NULL: all */
	size_t n_want;
	uint64_t *seen; /* bit per wanted name */
	size_t n_seen;
};

/* name = expression of `json a="x.y"` and `logfmt a="b"`. */
struct extract_expr {
	struct str name, expr;
};

/* want[0..n_want) is borrowed and must not name anything twice; NULL: everything is wanted. */
void extract_init(struct extract *x, struct arena *a, const struct str *want, size_t n_want);
void extract_free(struct extract *x);
void extract_reset(struct extract *x); /* forgets pairs and error; the arena is the caller's to reset */

/* For parsers. Is the name wanted (and, if there is a set, not yet found)? */
bool extract_wants(const struct extract *x, struct str name);
/* Reports a pair if it is wanted. False: that was the last wanted one, stop. */
bool extract_put(struct extract *x, struct str name, struct str value);
/* Appends without asking. */
void extract_push(struct extract *x, struct str name, struct str value);
bool extract_fail(struct extract *x, const char *error, struct str detail); /* always false */

/* Is a name wanted that begins with prefix and "_"? */
bool extract_wants_under(const struct extract *x, struct str prefix);

/* Loki's label name for a key: blanks trimmed, a leading digit gets "_" before it, every character outside
 * [A-Za-z0-9_] becomes "_". Returns key itself when nothing changes, else arena text; n == 0: no name. */
struct str extract_name(struct arena *a, struct str key);
/* The last of these steps alone, into room for key.n bytes. */
size_t extract_sanitize(char *to, struct str key);
/* Undoes JSON's escapes, into the arena. False: an invalid escape sequence. Lenient: \' is one too, and half a
 * surrogate pair is U+FFFD. */
bool extract_unescape(struct arena *a, struct str s, bool lenient, struct str *out);
/* The value with a blank for every U+FFFD and every bad byte; itself when there are none. */
struct str extract_blank_bad(struct arena *a, struct str value);

#endif
