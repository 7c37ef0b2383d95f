/* SPDX-License-Identifier: GPL-2.0-or-later */
/* context: the rows around one entry, in the order of rows.h, as a log query shows them.
 *
 * The entry is named by its time and, where others have the same, by its line and its stream. The rows before it are
 * read backward, those behind it forward, as few as are needed; the query's range bounds both. What is kept is charged
 * to the memory for queries. Errors: those of a query; ERR_NOT_FOUND: there is no such entry. */
#ifndef LARCH_SERVER_EXEC_CONTEXT_H
#define LARCH_SERVER_EXEC_CONTEXT_H

#include "server/exec/exec.h"
#include "server/exec/kept.h"

struct exec_context_spec {
	int64_t ts, within;     /* the first that fits from ts to ts + within */
	struct str line;        /* .p == NULL: any */
	struct labels stream;   /* of the stream alone; n == 0: any */
	uint32_t before, after; /* rows */
};

struct exec_context {
	struct kept **v; /* oldest first */
	size_t n, at;    /* at: the entry */
	size_t bytes;
	struct exec_engine *engine;
};

/* As exec_rows_open() of q. */
struct exec_context *exec_context(struct exec_engine *en, struct store *st, struct str tenant,
				  const struct exec_query *q, const struct exec_context_spec *s, struct err *e);
void exec_context_free(struct exec_context *c); /* NULL is nothing */

#endif
