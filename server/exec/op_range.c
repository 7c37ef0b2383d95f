/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/eval.h"
#include "server/exec/samples.h"

#include <math.h>
#include <stdlib.h>

struct range_state {
	struct plan plan;
	struct grid grid;
	struct samples in;
	double seconds; /* of the range */
	double param;
	struct buf scratch; /* quantile: values of a window */
};

/* ---- functions over a window ---- */

typedef double window_fn(const struct sample *s, size_t n, struct range_state *st);
typedef double total_fn(int64_t count, int64_t total, const struct range_state *st);

static double sum_of(const struct sample *s, size_t n, struct range_state *st)
{
	(void)st;
	double sum = 0;
	for (size_t i = 0; i < n; i++) sum += s[i].v;
	return sum;
}

static double rate_of(const struct sample *s, size_t n, struct range_state *st)
{
	return sum_of(s, n, st) / st->seconds;
}

static double avg_of(const struct sample *s, size_t n, struct range_state *st)
{
	(void)st;
	double mean = 0;
	for (size_t i = 0; i < n; i++) {
		if (isinf(mean) && isinf(s[i].v) && (mean > 0) == (s[i].v > 0)) continue;
		mean += s[i].v / (double)(i + 1) - mean / (double)(i + 1);
	}
	return mean;
}

static double min_of(const struct sample *s, size_t n, struct range_state *st)
{
	(void)st;
	double m = s[0].v;
	for (size_t i = 1; i < n; i++)
		if (s[i].v < m || isnan(m)) m = s[i].v;
	return m;
}

static double max_of(const struct sample *s, size_t n, struct range_state *st)
{
	(void)st;
	double m = s[0].v;
	for (size_t i = 1; i < n; i++)
		if (s[i].v > m || isnan(m)) m = s[i].v;
	return m;
}

static double var_of(const struct sample *s, size_t n, struct range_state *st)
{
	(void)st;
	double mean = 0, m2 = 0;
	for (size_t i = 0; i < n; i++) {
		double delta = s[i].v - mean;
		mean += delta / (double)(i + 1);
		m2 += delta * (s[i].v - mean);
	}
	return m2 / (double)n;
}

static double dev_of(const struct sample *s, size_t n, struct range_state *st) { return sqrt(var_of(s, n, st)); }

static double first_of(const struct sample *s, size_t n, struct range_state *st)
{
	(void)n;
	(void)st;
	return s[0].v;
}

static double last_of(const struct sample *s, size_t n, struct range_state *st)
{
	(void)st;
	return s[n - 1].v;
}

static int by_number(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	if (isnan(x) || isnan(y)) return isnan(y) - isnan(x); /* NaN is least */
	return x < y ? -1 : x > y;
}

static double quantile_of(const struct sample *s, size_t n, struct range_state *st)
{
	if (st->param < 0) return -INFINITY;
	if (st->param > 1) return INFINITY;
	buf_clear(&st->scratch);
	buf_reserve(&st->scratch, n * sizeof(double));
	double *v = (double *)(void *)st->scratch.p;
	for (size_t i = 0; i < n; i++) v[i] = s[i].v;
	qsort(v, n, sizeof *v, by_number);
	double rank = st->param * (double)(n - 1);
	size_t lo = (size_t)floor(rank), hi = lo + 1 < n ? lo + 1 : n - 1;
	double w = rank - floor(rank);
	return v[lo] * (1 - w) + v[hi] * w;
}

/* The increase of a counter with its resets, stretched towards the ends of the window as Prometheus does; as in Loki
 * the window is taken in milliseconds where samples are in nanoseconds. */
static double counter_of(const struct sample *s, size_t n, struct range_state *st)
{
	if (n < 2) return 0;
	double sum = s[n - 1].v - s[0].v, last = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i].v < last) sum += last;
		last = s[i].v;
	}
	double to_start = st->seconds, seen = (double)(s[n - 1].ts - s[0].ts) / 1e3;
	double between = seen / (double)(n - 1);
	if (sum > 0 && s[0].v >= 0) {
		double to_zero = seen * (s[0].v / sum);
		if (to_zero < to_start) to_start = to_zero;
	}
	double stretched = seen + (to_start < between * 1.1 ? to_start : between / 2);
	stretched += between > 0 ? 0 : between / 2;
	return sum * (stretched / seen) / st->seconds;
}

static double total_count(int64_t count, int64_t total, const struct range_state *st)
{
	(void)total;
	(void)st;
	return (double)count;
}

static double total_bytes(int64_t count, int64_t total, const struct range_state *st)
{
	(void)count;
	(void)st;
	return (double)total;
}

static double count_rate(int64_t count, int64_t total, const struct range_state *st)
{
	(void)total;
	return (double)count / st->seconds;
}

static double bytes_rate(int64_t count, int64_t total, const struct range_state *st)
{
	(void)count;
	return (double)total / st->seconds;
}

/* over: of unwrapped values; total: where counts and sums are enough. */
static const struct {
	window_fn *over;
	total_fn *total;
} range_fns[LOGQL_RANGE_FNS] = {
	[LOGQL_COUNT_OVER_TIME] = {NULL, total_count},
	[LOGQL_RATE] = {rate_of, count_rate},
	[LOGQL_RATE_COUNTER] = {counter_of, NULL},
	[LOGQL_BYTES_OVER_TIME] = {NULL, total_bytes},
	[LOGQL_BYTES_RATE] = {NULL, bytes_rate},
	[LOGQL_AVG_OVER_TIME] = {avg_of, NULL},
	[LOGQL_SUM_OVER_TIME] = {sum_of, NULL},
	[LOGQL_MIN_OVER_TIME] = {min_of, NULL},
	[LOGQL_MAX_OVER_TIME] = {max_of, NULL},
	[LOGQL_STDVAR_OVER_TIME] = {var_of, NULL},
	[LOGQL_STDDEV_OVER_TIME] = {dev_of, NULL},
	[LOGQL_QUANTILE_OVER_TIME] = {quantile_of, NULL},
	[LOGQL_FIRST_OVER_TIME] = {first_of, NULL},
	[LOGQL_LAST_OVER_TIME] = {last_of, NULL},
	[LOGQL_ABSENT_OVER_TIME] = {last_of, total_count},
};

/* ---- the node ---- */

static int64_t span(int64_t ns) { return ns > GRID_SPAN ? GRID_SPAN : ns < -GRID_SPAN ? -GRID_SPAN : ns; }

/* Labels of absent_over_time: names that one equality matcher and no other speaks of. */
static struct labels absent_labels(struct arena *a, const struct selector *sel)
{
	struct labels l = {arena_alloc(a, sel->n * sizeof *l.v), 0};
	for (size_t i = 0; i < sel->n; i++) {
		bool once = sel->v[i].op == MATCH_EQ;
		for (size_t k = 0; k < sel->n; k++)
			if (k != i && str_eq(sel->v[k].name, sel->v[i].name)) once = false;
		if (once && sel->v[i].value.n) l.v[l.n++] = (struct label){sel->v[i].name, sel->v[i].value};
	}
	struct str dup;
	labels_sort(l.v, l.n, &dup);
	return l;
}

static bool is_absent(const struct node *nd) { return nd->x->range_agg.fn == LOGQL_ABSENT_OVER_TIME; }

static bool range_open(struct node *nd, struct eval *ev, struct err *e)
{
	const struct logql_range *r = nd->x->range_agg.range;
	struct range_state *st = mem_zalloc(sizeof *st);
	nd->state = st;
	plan_range(&ev->q->arena, nd->x, nd->pushed, &st->plan);
	st->plan.sample.meta_twice = ev->variants;
	st->grid = (struct grid){ev->start, ev->step, ev->n_steps, span(r->interval), span(r->offset)};
	st->seconds = (double)r->interval / 1e9;
	st->param = nd->x->range_agg.param;
	if (!samples_load(ev->q, &st->plan, &st->grid, &st->in, e)) return false;
	ev->series += st->in.sets.n;
	if (is_absent(nd)) {
		struct labels l = absent_labels(&nd->arena, &r->log->selector);
		labelsets_add(&nd->out, &l, LABELSETS_BORROW);
		return true;
	}
	for (size_t i = 0; i < st->in.sets.n; i++) labelsets_add(&nd->out, &st->in.sets.v[i], LABELSETS_BORROW);
	return true;
}

static void range_close(struct node *nd)
{
	struct range_state *st = nd->state;
	if (!st) return;
	samples_free(&st->in);
	buf_free(&st->scratch);
	free(st);
}

/* First sample later than ts, at or after `from`. */
static size_t later_than(const struct series *s, size_t from, int64_t ts)
{
	size_t lo = from, hi = s->n;
	if (from < s->n && s->v[from].ts > ts) return from;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->v[mid].ts <= ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* One series over a block. */
static void run_series(struct node *nd, const struct series *s, const struct block *b, double *v, bool *has)
{
	struct range_state *st = nd->state;
	const struct grid *g = &st->grid;
	total_fn *total = st->plan.sample.value == PLAN_UNWRAP ? NULL : range_fns[nd->x->range_agg.fn].total;
	window_fn *over = range_fns[nd->x->range_agg.fn].over;
	for (size_t k = 0, i = 0, j = 0; k < b->n; k++) {
		if (s->count) {
			has[k] = s->count[b->from + k] > 0;
			if (has[k]) v[k] = total(s->count[b->from + k], s->total[b->from + k], st);
			continue;
		}
		int64_t end = g->start + (int64_t)(b->from + k) * g->step - g->offset;
		i = later_than(s, i, end - g->range);
		j = later_than(s, j < i ? i : j, end);
		has[k] = i < j;
		if (!has[k]) continue;
		if (total)
			v[k] = total((int64_t)(j - i), (int64_t)sum_of(s->v + i, j - i, st), st);
		else
			v[k] = over(s->v + i, j - i, st);
	}
}

/* The step at which a series with an error is seen first fails the query. */
static bool check_errors(struct node *nd, const struct block *b, double *v, bool *has, struct err *e)
{
	struct range_state *st = nd->state;
	size_t first = b->n, which = 0;
	for (size_t i = 0; i < st->in.sets.n; i++) {
		if (!st->in.v[i].failed) continue;
		run_series(nd, &st->in.v[i], b, v, has);
		for (size_t k = 0; k < first; k++) {
			if (!has[k]) continue;
			first = k;
			which = i;
		}
	}
	if (first == b->n) return true;
	struct buf text = {0};
	struct str kind = labels_get(&st->in.sets.v[which], ROW_ERROR);
	labels_print(&text, &st->in.sets.v[which]);
	err_set(e, ERR_INVALID,
		"pipeline error: '%.*s' for series: '%.*s'.\n"
		"Use a label filter to intentionally skip this error. (e.g | __error__!=\"%.*s\").\n"
		"To skip all potential errors you can match empty errors.(e.g __error__=\"\")\n"
		"The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n",
		STR_ARG(kind), STR_ARG(buf_view(&text)), STR_ARG(kind));
	buf_free(&text);
	return false;
}

static bool any_failed(const struct samples *in)
{
	for (size_t i = 0; i < in->sets.n; i++)
		if (in->v[i].failed) return true;
	return false;
}

static void run_absent(struct node *nd, const struct block *b, double *v, bool *has)
{
	struct range_state *st = nd->state;
	for (size_t k = 0; k < b->n; k++) {
		nd->v[k] = 1;
		nd->has[k] = true;
	}
	for (size_t i = 0; i < st->in.sets.n; i++) {
		run_series(nd, &st->in.v[i], b, v, has);
		for (size_t k = 0; k < b->n; k++)
			if (has[k]) nd->has[k] = false;
	}
}

static bool range_run(struct node *nd, struct eval *ev, const struct block *b, struct err *e)
{
	struct range_state *st = nd->state;
	double *v = mem_alloc(b->n * sizeof *v);
	bool *has = mem_alloc(b->n * sizeof *has);
	node_room(nd, b->n);
	bool ok = !any_failed(&st->in) || check_errors(nd, b, v, has, e);
	if (ok && is_absent(nd)) run_absent(nd, b, v, has);
	for (size_t i = 0; ok && !is_absent(nd) && i < st->in.sets.n; i++) {
		run_series(nd, &st->in.v[i], b, nd->v + i * b->n, nd->has + i * b->n);
		if (i % 256 == 255) ok = query_check(ev->q, e);
	}
	free(v);
	free(has);
	return ok;
}

const struct node_kind node_range = {range_open, range_run, range_close};
