/* SPDX-License-Identifier: GPL-2.0-or-later */
/* op_scan: the bottom of every plan. Cuts a selection into tasks, scans one, and runs the plan's operators over
 * its rows.
 *
 * A task is a stream, or a slice of time over many streams; the same data and query always give the same
 * tasks. A scan belongs to one thread; what a batch holds lives until the next one. */
#ifndef LARCH_SERVER_EXEC_OP_SCAN_H
#define LARCH_SERVER_EXEC_OP_SCAN_H

#include "server/exec/plan.h"
#include "server/exec/query.h"

struct scan_task {
	const struct exec_source *src;
	const struct matcher *matchers;
	size_t n_matchers;
	const struct reader_stream *only; /* NULL: whatever the matchers select */
	int64_t from, to;                 /* [from, to) */
	unsigned columns;                 /* SCAN_… */
};

/* Gives the task its matchers: those on the tenant decide about its source and are not the reader's. False: not this
 * source. */
bool scan_select(struct query *q, const struct selector *sel, struct scan_task *t);
/* Tasks of a plan over [from, to), in the query's arena; in the order of time for a log query (backward: newest
 * first), else of streams. one: do not cut (one task per source, in time order). */
bool scan_tasks(struct query *q, const struct plan *p, int64_t from, int64_t to, bool one, struct scan_task **tasks,
		size_t *n, struct err *e);

struct op_scan;

struct op_scan *op_scan_open(struct query *q, const struct plan *p, const struct scan_task *t, bool forward,
			     enum scan_order order, struct err *e);
/* The same over what a follower is told, which the scan borrows; where that has nothing yet the batches end, until it
 * has. */
struct op_scan *op_scan_follow(struct query *q, const struct plan *p, struct follow *f);
/* A batch whose selection are the rows that passed; it may be empty. A direct batch has no rows: all of the reader's
 * batch passed and its labels are the streams'. False: the end, or an error. */
bool op_scan_next(struct op_scan *s, struct exec_batch **b, struct err *e);
/* The base of a stream's rows that have no metadata. */
struct row_base *op_scan_base(struct op_scan *s, const struct reader_stream *st);
void op_scan_close(struct op_scan *s); /* adds its statistics to the query's; s may be NULL */

#endif
