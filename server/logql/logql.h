/* SPDX-License-Identifier: GPL-2.0-or-later */
/* logql: text ⇄ tree.
 *
 * logql_parse() reads a query and makes all checks that Loki makes while parsing; messages are Loki's, complete with
 * "parse error at line L, col C: " or "parse error : ", code ERR_INVALID. The text may be anything:
 * its length (LEX_MAX_SIZE) and the tree's depth (LOGQL_MAX_DEPTH) are bounded. logql_compile() then builds what a run
 * needs, with the errors that Loki has only then ("parse error : stage '…' : …"); format_query does not call it.
 * logql_parse_extended() takes Larch's extensions as well (docs/LOGQL-EXTENSIONS.md): everything that Loki takes
 * means the same there.
 * The text must outlive the arena's use. One owner thread until parsed and compiled; then read-only and
 * shared freely, until the owner calls logql_free (before the arena goes). */
#ifndef LARCH_SERVER_LOGQL_LOGQL_H
#define LARCH_SERVER_LOGQL_LOGQL_H

#include "server/logql/ast.h"

struct logql {
	struct str text;
	struct arena *a;
	struct logql_expr *root;
	struct logql_owned *owned; /* compiled objects to free */
	bool extended;             /* parsed with the extensions */
	bool compiled;
};

/* In the arena; NULL on error (nothing to free). */
struct logql *logql_parse(struct arena *a, struct str text, struct err *e);
struct logql *logql_parse_extended(struct arena *a, struct str text, struct err *e);
bool logql_compile(struct logql *q, struct err *e);
void logql_free(struct logql *q); /* compiled objects; q may be NULL */

/* Just a selector with at least one matcher that refuses "": match[] of series and labels. The error when text is
 * another kind of query is Loki's. */
struct logql *logql_parse_matchers(struct arena *a, struct str text, struct err *e);

/* The one-line canonical form (Loki's Expr.String()), and format_query's (split where longer than 100 bytes). Both
 * parse again to an equal tree. */
void logql_print(struct buf *b, const struct logql_expr *x);
void logql_print_pretty(struct buf *b, const struct logql_expr *x);
void logql_print_log(struct buf *b, const struct logql_log *log);
void logql_print_stage(struct buf *b, const struct logql_stage *s);
void logql_print_filter(struct buf *b, const struct logql_filter *f);
void logql_print_range(struct buf *b, const struct logql_range *r);

/* Do two trees mean the same text? (Spans are not looked at.) */
bool logql_equal(const struct logql_expr *a, const struct logql_expr *b);

/* Is the answer streams (LOGQL_LOG) rather than samples? */
static inline bool logql_is_log(const struct logql_expr *x) { return x->kind == LOGQL_LOG; }

/* Calls fn for every selector with its pipeline, left to right; range is NULL for a log query. */
void logql_each_log(const struct logql_expr *x,
		    void (*fn)(void *ud, const struct logql_log *log, const struct logql_range *range), void *ud);
/* Does fn hold for any expression in the tree (x itself included)? */
bool logql_any(const struct logql_expr *x, bool (*fn)(void *ud, const struct logql_expr *x), void *ud);
/* The longest interval plus offset that the query looks back, in ns; 0 for log queries. */
int64_t logql_lookback(const struct logql_expr *x);

#endif
