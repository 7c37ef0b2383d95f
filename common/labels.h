/* SPDX-License-Identifier: GPL-2.0-or-later */
/* labels: a set of name=value pairs, sorted by name (byte order), names unique. The one shape in
 * which rooms hand label sets to each other (streams, series, metrics); slices borrow from whoever
 * made the set. Pure functions; any thread. */
#ifndef LARCH_COMMON_LABELS_H
#define LARCH_COMMON_LABELS_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"

struct label {
	struct str name, value;
};

struct labels {
	struct label *v;
	size_t n;
};

/* Sorts by name in place. False when a name occurs twice (*dup is it; the set stays sorted). */
bool labels_sort(struct label *v, size_t n, struct str *dup);
/* Value of name, or STR_NULL (p == NULL) when absent. Linear up to 8, then bisection. */
struct str labels_get(const struct labels *l, struct str name);
int labels_cmp(const struct labels *a, const struct labels *b); /* Prometheus labels.Compare order */
bool labels_eq(const struct labels *a, const struct labels *b);
uint64_t labels_hash(const struct labels *l); /* stable for ever: names and values length-separated through xxh3 */
struct labels labels_copy(struct arena *a, const struct labels *l); /* deep */
/* `{a="x", b="y"}`: values Go-quoted. */
void labels_print(struct buf *b, const struct labels *l);
/* Parses that form: names [A-Za-z_][A-Za-z0-9_]*, values "…" or '…' with Go escapes or `…`, trailing comma
 * and # comments allowed, any order; a name before the brace becomes __name__; blank text is the empty set.
 * The result is sorted and has no empty values. A name that occurs twice is not refused here, as Loki does
 * it later in other words: both pairs are in the result, in the order written; check with labels_sort(). Error
 * texts are those of Prometheus' parser ("1:3: parse error: …"), place included, also in e->line, col, off.
 * Slices borrow from text or live in the arena. */
bool labels_parse(struct arena *a, struct str text, struct labels *out, struct err *e);
bool labels_name_valid(struct str name); /* [a-zA-Z_][a-zA-Z0-9_]* */

#endif
