/* SPDX-License-Identifier: GPL-2.0-or-later */
/* samples: what a range aggregation reads, as series of samples.
 *
 * A series keeps its samples in time order; where only counts and byte totals matter and samples become more
 * than steps, it keeps for each step how the window's content changes instead, so that memory is bounded by
 * the answer and not by the data. Loading runs in parallel; the outcome does not depend on the number of
 * threads. Owned by the caller of samples_load(), one thread afterwards. */
#ifndef LARCH_SERVER_EXEC_SAMPLES_H
#define LARCH_SERVER_EXEC_SAMPLES_H

#include "server/exec/labelsets.h"
#include "server/exec/op_scan.h"

/* Evaluation times start, start + step, …; a window is (t - offset - range, t - offset]. Times lie within
 * GRID_MIN..GRID_MAX, range and offset within ±GRID_SPAN, so that sums of them do not overflow. */
#define GRID_SPAN INT64_C(1000000000000000000) /* 31 years */
#define GRID_MIN  (-GRID_SPAN)
#define GRID_MAX  (5 * GRID_SPAN)
struct grid {
	int64_t start, step; /* ns */
	size_t n;            /* steps, >= 1 */
	int64_t range, offset;
};

struct sample {
	int64_t ts;
	double v;
};

struct series {
	struct sample *v;
	size_t n, cap;
	int64_t *count, *total; /* per step: samples and sum of values in the window; NULL: see v */
	bool failed;            /* labels have an __error__ that fails the query */
};

struct samples {
	struct labelsets sets; /* series by number */
	struct series *v;
	struct arena *arenas; /* labels live here */
	size_t n_arenas;
};

/* out is the caller's to free in any case. */
bool samples_load(struct query *q, const struct plan *p, const struct grid *g, struct samples *out, struct err *e);
void samples_free(struct samples *s);

#endif
