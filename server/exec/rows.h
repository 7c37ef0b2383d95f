/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rows: the rows of one tenant's log query, pulled one after the other, however many there are.
 *
 * Their order is that of time, at equal times that of the streams' hashes, and in a stream that of arrival (all
 * reversed when reading backward). It does not depend on where entries are kept, so a reader may rest, which gives
 * everything back that it holds in the store, and go on later, or in another process, behind the place it had reached:
 * every entry that is there all the while comes exactly once. What comes in between is met if it lies ahead.
 *
 * Of the query's limits, those that bound the size of an answer (length of the range, entries, bytes read) do not count
 * here. Stages that look at all lines of an answer (sort, uniq, top) and metrics are refused. A reader holds
 * EXEC_ROWS_BYTES of the memory for queries. One thread at a time. */
#ifndef LARCH_SERVER_EXEC_ROWS_H
#define LARCH_SERVER_EXEC_ROWS_H

#include "server/exec/exec.h"
#include "server/exec/kept.h"

struct exec_rows;
struct query;
struct plan;

#define EXEC_ROWS_BYTES ((size_t)1 << 20)

/* Behind the n-th row that streams of this hash have at this time. */
struct exec_place {
	int64_t ts;
	uint64_t stream, n; /* n == 0: at the beginning */
};

/* Text, range and direction of q, over [start, end); cancel is borrowed, nothing else, sources are not looked at.
 * timed: the tenant's query_timeout holds from now on. */
struct exec_rows *exec_rows_open(struct exec_engine *en, struct store *st, struct str tenant,
				 const struct exec_query *q, const struct exec_place *from, bool timed, struct err *e);
/* The next row, the caller's (free()). False: the end (e->code is ERR_NONE, when *e was ERR_INIT) or the error. */
bool exec_rows_next(struct exec_rows *x, struct kept **k, struct err *e);
struct exec_place exec_rows_place(const struct exec_rows *x); /* behind the last row */
void exec_rows_rest(struct exec_rows *x);
/* What the store warned of while reading; .n == 0: nothing. */
struct str exec_rows_warning(const struct exec_rows *x);
void exec_rows_close(struct exec_rows *x); /* NULL is nothing */

/* For tails, too: plans the parsed query, or refuses it. */
bool rows_plan(struct query *q, struct plan *p, struct err *e);

#endif
