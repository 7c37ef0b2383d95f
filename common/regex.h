/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex: RE2's regular expressions, run by PCRE2.
 *
 * The pattern is parsed with RE2's grammar (https://github.com/google/re2/wiki/Syntax, as Go's
 * regexp/syntax reads it: what Go refuses is refused, in Go's words, e.g. "error parsing regexp: missing
 * closing ): `(a`"), translated to the PCRE2 equivalent and compiled with JIT. Leftmost-first semantics.
 * Input may be any bytes: a byte that is not valid UTF-8 matches as U+FFFD, one byte long.
 * Immutable after regex_new: share between threads (match data is per thread). When PCRE2 hits its
 * match limit the DFA matcher goes on; a match is never silently missed. Required literals are
 * extracted and searched (memmem/SIMD) before PCRE2 runs; patterns that are only a literal, an
 * alternation of literals, or .*literal.* never reach PCRE2. */
#ifndef LARCH_COMMON_REGEX_H
#define LARCH_COMMON_REGEX_H

#include "common/buf.h"
#include "common/err.h"

struct regex;

enum {
	REGEX_ANCHORED = 1, /* must match the whole input: ^(?:…)$ with text anchors */
	REGEX_DOTALL = 2,   /* (?s) from the start */
	REGEX_ICASE = 4     /* (?i) from the start */
};

struct regex_span {
	ssize_t from, to;
}; /* byte offsets; -1, -1: the group did not take part */

struct regex *regex_new(struct str pattern, unsigned flags, struct err *e);
void regex_free(struct regex *re);
struct regex *regex_ref(struct regex *re); /* refcounted; regex_free drops one */

bool regex_match(const struct regex *re, struct str s);
/* First match at or after `start`: spans[0] is the whole match, spans[1..] groups (up to n). */
bool regex_exec(const struct regex *re, struct str s, size_t start, struct regex_span *spans, size_t n);

size_t regex_groups(const struct regex *re);                        /* capture groups, without group 0 */
struct str regex_group_name(const struct regex *re, size_t i);      /* 1-based; n == 0: unnamed */
ssize_t regex_group_index(const struct regex *re, struct str name); /* first such group or -1 */
struct str regex_source(const struct regex *re);
/* If the pattern is equivalent to a set of whole literals (a|b|c, ab(c|d), [ab]; no icase), calls fn for
 * each and returns true; more than 128 literals count as not a set. For postings lookups. */
bool regex_literals(const struct regex *re, void (*fn)(struct str lit, void *ud), void *ud);
/* Literals of which every text that matches contains at least one; returns how many, 0: unknown. fold: in any case,
 * where k and s may be other letters than ASCII's. Borrows from re. */
size_t regex_required(const struct regex *re, const struct str **v, bool *fold);

/* Go's Regexp.Expand: $1, ${1}, $name, ${name}, $$; appends. */
void regex_expand(const struct regex *re, struct str tmpl, struct str s, const struct regex_span *spans,
		  struct buf *out);
/* Go's ReplaceAllString (with expansion) / ReplaceAllLiteralString; appends to out. */
void regex_replace(const struct regex *re, struct str s, struct str repl, bool literal, struct buf *out);

#endif
