/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/regex.h"
#include "server/exec/eval.h"
#include "server/exec/plan.h"

#include <math.h>
#include <stdlib.h>

/* ---- groups ---- */

static bool named(const struct logql_grouping *g, struct str name)
{
	for (size_t i = 0; i < g->n; i++)
		if (str_eq(g->names[i], name)) return true;
	return false;
}

static uint32_t group_of(const struct logql_grouping *g, const struct labels *l, struct labelsets *to,
			 struct label *scratch)
{
	struct labels key = {scratch, 0};
	if (g->without || g->n) {
		for (size_t i = 0; i < l->n; i++)
			if (named(g, l->v[i].name) != g->without) key.v[key.n++] = l->v[i];
	}
	return labelsets_add(to, &key, LABELSETS_COPY);
}

/* Groups of the child's series that came since the last block. */
static void map_groups(struct node *nd, struct series_map *m, struct labelsets *to)
{
	const struct labelsets *in = &nd->left->out;
	size_t old = m->n, widest = 1;
	series_map_room(m, in->n);
	if (old == in->n) return;
	for (size_t i = old; i < in->n; i++)
		if (in->v[i].n > widest) widest = in->v[i].n;
	struct label *scratch = mem_alloc(widest * sizeof *scratch);
	for (size_t i = old; i < in->n; i++) m->v[i] = group_of(&nd->x->vector_agg.grouping, &in->v[i], to, scratch);
	free(scratch);
}

/* ---- folding a group to one value ---- */

struct cell { /* beside the value: what a running aggregate needs */
	uint64_t n;
	double m2;
};

typedef void fold_fn(double *v, struct cell *c, double x);

static void fold_sum(double *v, struct cell *c, double x) { *v = c->n++ ? *v + x : x; }

static void fold_avg(double *v, struct cell *c, double x)
{
	double n = (double)++c->n;
	if (c->n == 1) *v = 0;
	if (isinf(*v) && isinf(x) && (*v > 0) == (x > 0)) return;
	*v += x / n - *v / n;
}

static void fold_count(double *v, struct cell *c, double x)
{
	(void)x;
	*v = (double)++c->n;
}

static void fold_max(double *v, struct cell *c, double x)
{
	if (c->n++ == 0 || x > *v || isnan(*v)) *v = x;
}

static void fold_min(double *v, struct cell *c, double x)
{
	if (c->n++ == 0 || x < *v || isnan(*v)) *v = x;
}

static void fold_var(double *v, struct cell *c, double x) /* v is the mean until the end */
{
	if (c->n == 0) *v = 0;
	double delta = x - *v;
	*v += delta / (double)++c->n;
	c->m2 += delta * (x - *v);
}

static double end_var(const struct cell *c) { return c->m2 / (double)c->n; }
static double end_dev(const struct cell *c) { return sqrt(end_var(c)); }

/* fold: one value per group. rank: keeps members, least or greatest first. Neither: order only, values pass. */
static const struct {
	fold_fn *fold;
	double (*end)(const struct cell *c);
	int rank;
} vector_fns[LOGQL_VECTOR_FNS] = {
	[LOGQL_SUM] = {.fold = fold_sum},
	[LOGQL_AVG] = {.fold = fold_avg},
	[LOGQL_COUNT] = {.fold = fold_count},
	[LOGQL_MAX] = {.fold = fold_max},
	[LOGQL_MIN] = {.fold = fold_min},
	[LOGQL_STDDEV] = {.fold = fold_var, .end = end_dev},
	[LOGQL_STDVAR] = {.fold = fold_var, .end = end_var},
	[LOGQL_TOPK] = {.rank = 1},
	[LOGQL_APPROX_TOPK] = {.rank = 1},
	[LOGQL_BOTTOMK] = {.rank = -1},
};

struct vector_state {
	struct series_map groups;    /* child's series → group */
	struct labelsets group_sets; /* ranking: groups, apart from the series that are yielded */
	struct arena arena;
	struct cell *cells;
	size_t n_cells;
	uint32_t *order; /* ranking: child's series by labels */
	size_t n_order;
};

static void run_fold(struct node *nd, const struct block *b)
{
	struct vector_state *st = nd->state;
	const struct node *in = nd->left;
	fold_fn *fold = vector_fns[nd->x->vector_agg.fn].fold;
	map_groups(nd, &st->groups, &nd->out);
	node_clear(nd, b->n);
	size_t cells = nd->out.n * b->n;
	if (cells > st->n_cells) {
		st->cells = mem_realloc(st->cells, cells * sizeof *st->cells);
		st->n_cells = cells;
	}
	if (cells) memset(st->cells, 0, cells * sizeof *st->cells);
	for (size_t i = 0; i < in->out.n; i++) {
		size_t to = st->groups.v[i] * b->n, from = i * b->n;
		for (size_t k = 0; k < b->n; k++) {
			if (!in->has[from + k]) continue;
			fold(&nd->v[to + k], &st->cells[to + k], in->v[from + k]);
			nd->has[to + k] = true;
		}
	}
	double (*end)(const struct cell *) = vector_fns[nd->x->vector_agg.fn].end;
	for (size_t i = 0; end && i < cells; i++)
		if (nd->has[i]) nd->v[i] = end(&st->cells[i]);
}

/* ---- topk, bottomk: the best k members of each group, in the order of their labels where equal ---- */

/* Is x worse than y (NaN is worst)? */
static bool worse(double x, double y, int rank)
{
	if (isnan(x)) return !isnan(y);
	return rank > 0 ? x < y : x > y;
}

/* Puts series i into the k best of its group at one step; best[0 … *n) is ordered, best first. */
static void rank_in(uint32_t *best, size_t *n, size_t k, uint32_t i, const double *v, size_t stride, int rank)
{
	double x = v[i * stride];
	if (*n == k && !worse(v[best[k - 1] * stride], x, rank)) return;
	if (*n < k) (*n)++;
	size_t at = *n - 1;
	for (; at > 0 && worse(v[best[at - 1] * stride], x, rank); at--) best[at] = best[at - 1];
	best[at] = i;
}

static void pass_labels(struct node *nd)
{
	const struct labelsets *in = &nd->left->out;
	for (size_t i = nd->out.n; i < in->n; i++) labelsets_add(&nd->out, &in->v[i], LABELSETS_BORROW);
}

static int by_labels(const void *a, const void *b, void *ud)
{
	const struct labelsets *in = ud;
	return labels_cmp(&in->v[*(const uint32_t *)a], &in->v[*(const uint32_t *)b]);
}

static void sort_series(struct vector_state *st, struct labelsets *in)
{
	if (st->n_order == in->n) return;
	st->order = mem_realloc(st->order, in->n * sizeof *st->order);
	st->n_order = in->n;
	for (size_t i = 0; i < in->n; i++) st->order[i] = (uint32_t)i;
	qsort_r(st->order, in->n, sizeof *st->order, by_labels, in);
}

static void run_rank(struct node *nd, const struct block *b)
{
	struct vector_state *st = nd->state;
	struct node *in = nd->left;
	int rank = vector_fns[nd->x->vector_agg.fn].rank;
	pass_labels(nd);
	map_groups(nd, &st->groups, &st->group_sets);
	sort_series(st, &in->out);
	node_clear(nd, b->n);
	size_t groups = st->group_sets.n, k_max = (size_t)nd->x->vector_agg.param;
	if (k_max > in->out.n) k_max = in->out.n;
	if (groups == 0 || k_max == 0) return;
	uint32_t *best = mem_alloc(groups * k_max * sizeof *best);
	size_t *n = mem_alloc(groups * sizeof *n);
	for (size_t k = 0; k < b->n; k++) {
		memset(n, 0, groups * sizeof *n);
		for (size_t o = 0; o < in->out.n; o++) {
			uint32_t i = st->order[o], g = st->groups.v[i];
			if (in->has[i * b->n + k]) rank_in(best + g * k_max, &n[g], k_max, i, in->v + k, b->n, rank);
		}
		for (size_t g = 0; g < groups; g++) {
			for (size_t i = 0; i < n[g]; i++) {
				size_t at = best[g * k_max + i] * b->n + k;
				nd->v[at] = in->v[at];
				nd->has[at] = true;
			}
		}
	}
	free(best);
	free(n);
}

/* ---- the node ---- */

static bool vector_agg_open(struct node *nd, struct eval *ev, struct err *e)
{
	struct vector_state *st = mem_zalloc(sizeof *st);
	nd->state = st;
	arena_init(&st->arena, 0);
	labelsets_init(&st->group_sets, &st->arena);
	if (nd->x->vector_agg.fn == LOGQL_APPROX_TOPK) {
		const struct conf_strs *on = &ev->q->in->limits->shard_aggregations;
		bool enabled = false;
		for (size_t i = 0; i < on->n; i++) enabled |= str_eqc(on->v[i], "approx_topk");
		if (!enabled)
			return err_set(e, ERR_INTERNAL, "approx_topk is not enabled. See -limits.shard_aggregations");
	}
	const struct logql_grouping *pushed = plan_pushes_group(nd->x) ? &nd->x->vector_agg.grouping : NULL;
	nd->left = node_new(ev, nd->x->vector_agg.expr, pushed, e);
	return nd->left != NULL;
}

static bool vector_agg_run(struct node *nd, struct eval *ev, const struct block *b, struct err *e)
{
	if (!node_run(nd->left, ev, b, e)) return false;
	if (vector_fns[nd->x->vector_agg.fn].fold) {
		run_fold(nd, b);
	} else if (vector_fns[nd->x->vector_agg.fn].rank) {
		run_rank(nd, b);
	} else {
		pass_labels(nd);
		node_room(nd, b->n);
		size_t cells = nd->out.n * b->n;
		if (cells) memcpy(nd->v, nd->left->v, cells * sizeof *nd->v);
		if (cells) memcpy(nd->has, nd->left->has, cells * sizeof *nd->has);
	}
	return true;
}

static void vector_agg_close(struct node *nd)
{
	struct vector_state *st = nd->state;
	if (!st) return;
	free(st->groups.v);
	free(st->cells);
	free(st->order);
	labelsets_free(&st->group_sets);
	arena_free(&st->arena);
	free(st);
}

const struct node_kind node_vector_agg = {vector_agg_open, vector_agg_run, vector_agg_close};

/* ---- label_replace ---- */

static bool label_replace_open(struct node *nd, struct eval *ev, struct err *e)
{
	nd->state = mem_zalloc(sizeof(struct series_map));
	nd->left = node_new(ev, nd->x->label_replace.expr, NULL, e);
	return nd->left != NULL;
}

static uint32_t replaced(struct node *nd, const struct labels *l)
{
	const struct regex *re = nd->x->label_replace.re;
	size_t n = regex_groups(re) + 1;
	struct regex_span *spans = mem_alloc(n * sizeof *spans);
	struct str src = labels_get(l, nd->x->label_replace.src);
	if (!src.p) src = STR("");
	struct buf b = {0};
	bool match = regex_exec(re, src, 0, spans, n);
	if (match) regex_expand(re, nd->x->label_replace.replacement, src, spans, &b);
	free(spans);
	if (!match) return labelsets_add(&nd->out, l, LABELSETS_COPY);
	struct labels out = {mem_alloc((l->n + 1) * sizeof *out.v), 0};
	for (size_t i = 0; i < l->n; i++)
		if (!str_eq(l->v[i].name, nd->x->label_replace.dst)) out.v[out.n++] = l->v[i];
	if (b.n) out.v[out.n++] = (struct label){nd->x->label_replace.dst, buf_view(&b)};
	struct str dup;
	labels_sort(out.v, out.n, &dup);
	uint32_t id = labelsets_add(&nd->out, &out, LABELSETS_COPY);
	free(out.v);
	buf_free(&b);
	return id;
}

static bool label_replace_run(struct node *nd, struct eval *ev, const struct block *b, struct err *e)
{
	struct series_map *m = nd->state;
	const struct node *in = nd->left;
	if (!node_run(nd->left, ev, b, e)) return false;
	size_t old = m->n;
	series_map_room(m, in->out.n);
	for (size_t i = old; i < in->out.n; i++) m->v[i] = replaced(nd, &in->out.v[i]);
	node_clear(nd, b->n);
	for (size_t i = 0; i < in->out.n; i++) {
		for (size_t k = 0; k < b->n; k++) {
			if (!in->has[i * b->n + k]) continue;
			nd->v[m->v[i] * b->n + k] = in->v[i * b->n + k];
			nd->has[m->v[i] * b->n + k] = true;
		}
	}
	return true;
}

static void label_replace_close(struct node *nd)
{
	struct series_map *m = nd->state;
	if (m) free(m->v);
	free(m);
}

const struct node_kind node_label_replace = {label_replace_open, label_replace_run, label_replace_close};
