/* SPDX-License-Identifier: GPL-2.0-or-later */
/* custom_metrics: metrics that users define in pipelines, next to the program's own (common/metrics has fixed rows and
 * label names; here every label set makes a series).
 *
 * A family is found by its name: stages of several pipelines with one name count into one family, which goes when the
 * last of them closes it. Series are bounded (CUSTOM_SERIES_MAX a family): what would make one more is counted as
 * refused. A series that was not updated for the family's idle time is exposed once more and then removed. Labels that
 * start with "__" are left out. One lock over all, so that updates and the exposure may be in different threads. */
#ifndef LARCH_PIPELINE_CUSTOM_METRICS_H
#define LARCH_PIPELINE_CUSTOM_METRICS_H

#include "common/clock.h"
#include "common/labels.h"

#define CUSTOM_SERIES_MAX 10000

enum custom_kind { CUSTOM_COUNTER, CUSTOM_GAUGE, CUSTOM_HISTOGRAM };

struct custom_spec {
	struct str name, help; /* copied; characters that a metric's name may not have become "_" */
	enum custom_kind kind;
	const double *buckets; /* HISTOGRAM: ascending upper bounds without +Inf; copied */
	size_t n_buckets;
	int64_t idle; /* ns; 0: series stay */
};

struct custom_metrics;
struct custom_family;

struct custom_metrics *custom_metrics_new(struct clock *clock);
void custom_metrics_free(struct custom_metrics *m); /* every family has been closed */
/* Appends Prometheus' text format 0.0.4. */
void custom_metrics_expose(struct custom_metrics *m, struct buf *out);

/* Error: the name is in use with another kind or other buckets. */
struct custom_family *custom_family_open(struct custom_metrics *m, const struct custom_spec *spec, struct err *e);
void custom_family_close(struct custom_family *f); /* may be NULL */
/* Before the updates of each batch: label arrays seen so far may mean something else now. */
void custom_family_begin(struct custom_family *f);
void custom_add(struct custom_family *f, const struct labels *l, double v); /* counters: v >= 0 */
void custom_set(struct custom_family *f, const struct labels *l, double v);
void custom_observe(struct custom_family *f, const struct labels *l, double v);

#endif
