/* SPDX-License-Identifier: GPL-2.0-or-later */
/* parse: what the parser, the checks and the compiler of LogQL share. Private to server/logql. */
#ifndef LARCH_SERVER_LOGQL_PARSE_H
#define LARCH_SERVER_LOGQL_PARSE_H

#include "server/logql/logql.h"

struct parse {
	struct lex lx;
	struct logql *q;
	unsigned depth; /* open recursive calls */
};

/* Remembers an object that logql_free() must release. */
#define logql_own(q, obj, release) logql_own_object((q), (void *)(obj), (release))
void logql_own_object(struct logql *q, void *obj, void (*release)(void *obj));

/* Enters one level of nesting, or fails the query as too deep. The caller leaves with p->depth--. */
bool parse_enter(struct parse *p);
struct logql_span parse_span(const struct parse *p, size_t from); /* from there to the current token */

/* The pieces below leave their errors in the lexer's err and return false or NULL then. */

/* Stages up to the first token that starts none; stops before `| unwrap`, which is *unwrap then, with the "|"
 * consumed. unwrap == NULL: unwrap is not allowed here. */
bool parse_pipeline(struct parse *p, struct logql_log *log, bool *unwrap);
/* (a, b, …), appended to names. */
bool parse_names(struct parse *p, struct str **names, size_t *n);
/* A label filter with its and, or and comma. */
struct logql_filter *parse_filter(struct parse *p);
/* {…}, registered for logql_free. */
bool parse_selector(struct parse *p, struct logql_log *log);
/* What a range function takes. */
struct logql_range *parse_range(struct parse *p);

/* The checks that Loki makes on the whole tree once it is read, in its order: the first fault counts. */
bool logql_check(struct logql *q, struct logql_expr *x, struct err *e);

#endif
