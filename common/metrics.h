/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics: a program's metrics as one table of rows, and Prometheus' text exposition of them.
 *
 * A row is a family; a series is a row plus label values, found or made by metrics_get() and cheap to
 * keep. Any thread: updates are lock-free, metrics_get takes a mutex. Series of one row are bounded (row.max_series,
 * default 10000): beyond it everything goes to one more series with every value "other". Rows outlive the
 * table. A row without labels is exposed from the start, one with labels once it has a series. */
#ifndef LARCH_COMMON_METRICS_H
#define LARCH_COMMON_METRICS_H

#include "common/buf.h"

#define METRICS_LABELS 8

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_row {
	const char *name, *help;
	enum metrics_type type;
	const char *labels[METRICS_LABELS]; /* names, NULL-ended when fewer */
	const double *buckets;              /* HISTOGRAM: upper bounds ascending, ended by INFINITY */
	size_t max_series;                  /* 0: 10000 */
};

struct metrics;
struct metrics_series;

struct metrics *metrics_new(const struct metrics_row *rows, size_t n);
void metrics_free(struct metrics *m);
/* Series of rows[row] with these label values (as many as the row has labels). Valid until removed. */
struct metrics_series *metrics_get(struct metrics *m, size_t row, const struct str *values);
void metrics_remove(struct metrics *m, size_t row, const struct str *values);
void metrics_add(struct metrics_series *s, double v);     /* counters and gauges */
void metrics_set(struct metrics_series *s, double v);     /* gauges */
void metrics_observe(struct metrics_series *s, double v); /* histograms */
double metrics_value(const struct metrics_series *s);     /* of a histogram: the sum */
/* One-liners for rows without labels. */
void metrics_inc(struct metrics *m, size_t row, double v);
void metrics_put(struct metrics *m, size_t row, double v);
/* Appends the text format 0.0.4; also process_* figures of this process. */
void metrics_expose(struct metrics *m, struct buf *out);
/* Appends the rows as a table in Markdown, in their order. */
void metrics_manual(const struct metrics_row *rows, size_t n, struct buf *out);
/* Called at the start of every exposure, one at a time, to set gauges that are read rather than kept; it may
 * use everything here but metrics_expose and metrics_on_expose. */
void metrics_on_expose(struct metrics *m, void (*fn)(void *ud), void *ud);
extern const double metrics_seconds_buckets[]; /* Prometheus' default buckets */

#endif
