/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/eval.h"

#include "common/units.h"
#include "server/exec/samples.h"

#include <math.h>
#include <stdlib.h>

/* Cells of one block over all nodes: what a query holds at a time. */
#define BLOCK_CELLS (1 << 20)

static const struct node_kind *const kinds[] = {
	[LOGQL_RANGE_AGG] = &node_range, [LOGQL_VECTOR_AGG] = &node_vector_agg,       [LOGQL_BINARY] = &node_binary,
	[LOGQL_VECTOR] = &node_vector,   [LOGQL_LABEL_REPLACE] = &node_label_replace, [LOGQL_VARIANTS] = NULL,
};

struct node *node_new(struct eval *ev, const struct logql_expr *x, const struct logql_grouping *pushed, struct err *e)
{
	if (!kinds[x->kind]) {
		const char *what = x->kind == LOGQL_LITERAL ? "LiteralExpr" : "MultiVariantExpr";
		err_set(e, ERR_INTERNAL,
			"unexpected expr type (*syntax.%s) for Evaluator type (*logql.DefaultEvaluator) ", what);
		return NULL;
	}
	struct node *nd = mem_zalloc(sizeof *nd);
	*nd = (struct node){.q = ev->q, .kind = kinds[x->kind], .x = x, .pushed = pushed};
	ev->nodes++;
	arena_init(&nd->arena, 0);
	labelsets_init(&nd->out, &nd->arena);
	if (nd->kind->open(nd, ev, e)) return nd;
	node_free(nd);
	return NULL;
}

void node_free(struct node *nd)
{
	if (!nd) return;
	if (nd->kind->close) nd->kind->close(nd);
	node_free(nd->left);
	node_free(nd->right);
	labelsets_free(&nd->out);
	arena_free(&nd->arena);
	free(nd->v);
	free(nd->has);
	free(nd);
}

bool node_run(struct node *nd, struct eval *ev, const struct block *b, struct err *e)
{
	bool ok = query_check(ev->q, e) && nd->kind->run(nd, ev, b, e);
	query_charge(ev->q, nd->arena.used - nd->charged);
	nd->charged = nd->arena.used;
	return ok;
}

void node_room(struct node *nd, size_t n)
{
	size_t want = nd->out.n * n;
	if (want <= nd->cells) return;
	size_t had = nd->cells;
	nd->cells = want * 2;
	query_charge(nd->q, (nd->cells - had) * (sizeof *nd->v + sizeof *nd->has));
	nd->v = mem_realloc(nd->v, nd->cells * sizeof *nd->v);
	nd->has = mem_realloc(nd->has, nd->cells * sizeof *nd->has);
	memset(nd->has + had, 0, (nd->cells - had) * sizeof *nd->has);
}

void node_clear(struct node *nd, size_t n)
{
	node_room(nd, n);
	if (nd->cells) memset(nd->has, 0, nd->cells * sizeof *nd->has);
}

void series_map_room(struct series_map *m, size_t n)
{
	if (n <= m->n) return;
	m->v = mem_realloc(m->v, n * sizeof *m->v);
	memset(m->v + m->n, 0xff, (n - m->n) * sizeof *m->v);
	m->n = n;
}

/* ---- vector(5) ---- */

static bool vector_open(struct node *nd, struct eval *ev, struct err *e)
{
	(void)ev;
	(void)e;
	labelsets_add(&nd->out, &(struct labels){0}, LABELSETS_COPY);
	return true;
}

static bool vector_run(struct node *nd, struct eval *ev, const struct block *b, struct err *e)
{
	(void)ev;
	(void)e;
	node_room(nd, b->n);
	for (size_t k = 0; k < b->n; k++) {
		nd->v[k] = nd->x->literal;
		nd->has[k] = true;
	}
	return true;
}

const struct node_kind node_vector = {vector_open, vector_run, NULL};

/* ---- the answer ---- */

struct answer {
	struct labelsets sets;
	struct arena arena;
	struct exec_series *v; /* by number in sets */
	size_t *caps, cap;
};

static void answer_add(struct query *q, struct answer *an, const struct labels *l, int64_t ts, double v)
{
	uint32_t id = labelsets_add(&an->sets, l, LABELSETS_COPY);
	if (id >= an->cap) {
		size_t cap = an->cap ? an->cap * 2 : 64;
		an->v = mem_realloc(an->v, cap * sizeof *an->v);
		an->caps = mem_realloc(an->caps, cap * sizeof *an->caps);
		memset(an->v + an->cap, 0, (cap - an->cap) * sizeof *an->v);
		memset(an->caps + an->cap, 0, (cap - an->cap) * sizeof *an->caps);
		an->cap = cap;
	}
	struct exec_series *s = &an->v[id];
	if (s->n == an->caps[id]) {
		size_t was = an->caps[id];
		MEM_GROW(s->v, s->n, an->caps[id]);
		query_charge(q, (an->caps[id] - was) * sizeof *s->v);
	}
	s->v[s->n++] = (struct exec_point){ts, v};
}

static bool collect(struct eval *ev, struct answer *an, const struct node *nd, const struct block *b,
		    const struct label *extra, struct err *e)
{
	int64_t max = ev->q->in->limits->max_query_series;
	for (size_t i = 0; i < nd->out.n; i++) {
		struct labels l = nd->out.v[i];
		bool made = false;
		for (size_t k = 0; k < b->n; k++) {
			if (!nd->has[i * b->n + k]) continue;
			if (extra && !made) {
				struct label *v = arena_alloc(&an->arena, (l.n + 1) * sizeof *v);
				memcpy(v, l.v, l.n * sizeof *v);
				v[l.n] = *extra;
				l = (struct labels){v, l.n + 1};
				struct str dup;
				labels_sort(l.v, l.n, &dup);
			}
			made = true;
			answer_add(ev->q, an, &l, ev->start + (int64_t)(b->from + k) * ev->step, nd->v[i * b->n + k]);
		}
	}
	if (max > 0 && an->sets.n > (size_t)max && !ev->q->in->partial)
		return err_set(e, ERR_INVALID,
			       "maximum number of series (%lld) reached for a single query; consider reducing query "
			       "cardinality by adding more specific stream selectors, reducing the time range, or "
			       "aggregating results with functions like sum(), count() or topk(); the setting is "
			       "max_query_series",
			       (long long)max);
	return true;
}

static bool run_blocks(struct eval *ev, struct node *nd, struct answer *an, const struct label *extra, struct err *e)
{
	size_t per = BLOCK_CELLS / (ev->series + 1) / ev->nodes;
	if (per < 1) per = 1;
	for (struct block b = {0, 0}; b.from < ev->n_steps; b.from += b.n) {
		b.n = ev->n_steps - b.from < per ? ev->n_steps - b.from : per;
		if (!node_run(nd, ev, &b, e) || !collect(ev, an, nd, &b, extra, e)) return false;
	}
	return true;
}

static bool run_expr(struct eval *ev, const struct logql_expr *x, struct answer *an, const struct label *extra,
		     struct err *e)
{
	ev->series = ev->nodes = 0;
	struct node *nd = node_new(ev, x, NULL, e);
	bool ok = nd && run_blocks(ev, nd, an, extra, e);
	node_free(nd);
	return ok;
}

static bool run_variants(struct eval *ev, const struct logql_expr *x, struct answer *an, struct err *e)
{
	if (!ev->q->in->limits->enable_multi_variant_queries)
		return err_set(e, ERR_INVALID, "multi variant queries are disabled for this instance");
	ev->variants = true;
	for (size_t i = 0; i < x->variants.n; i++) {
		struct label extra = {STR("__variant__"), arena_printf(&an->arena, "%zu", i)};
		if (!run_expr(ev, x->variants.exprs[i], an, &extra, e)) return false;
	}
	return true;
}

/* ---- order ---- */

static int by_labels(const void *a, const void *b)
{
	return labels_cmp(&((const struct exec_series *)a)->labels, &((const struct exec_series *)b)->labels);
}

static int by_value(const void *pa, const void *pb, void *ud)
{
	const struct exec_series *a = pa, *b = pb;
	double x = a->v[0].v, y = b->v[0].v;
	int nan = (x != x) - (y != y); /* last, whatever the direction */
	int c = nan ? nan : x < y ? -1 : x > y;
	if (*(bool *)ud && !nan) c = -c;
	return c ? c : labels_cmp(&a->labels, &b->labels);
}

static void sort_answer(struct query *q, struct exec_result *r)
{
	const struct logql_expr *x = q->ast->root;
	bool sorts =
		x->kind == LOGQL_VECTOR_AGG && (x->vector_agg.fn == LOGQL_SORT || x->vector_agg.fn == LOGQL_SORT_DESC);
	bool down = sorts && x->vector_agg.fn == LOGQL_SORT_DESC;
	if (sorts && q->in->instant)
		qsort_r(r->series, r->n_series, sizeof *r->series, by_value, &down);
	else if (r->n_series)
		qsort(r->series, r->n_series, sizeof *r->series, by_labels);
}

struct weighed {
	uint32_t id;
	double sum;
	const struct labels *labels;
};

static int by_weight(const void *pa, const void *pb)
{
	const struct weighed *a = pa, *b = pb;
	if (a->sum != b->sum) return a->sum > b->sum ? -1 : 1;
	return labels_cmp(a->labels, b->labels);
}

/* The first *n of the answer's series by the sum of their values; the rest is left out, with a warning. */
static uint32_t *heaviest(struct query *q, const struct answer *an, size_t *n)
{
	size_t max = (size_t)q->in->limits->max_query_series;
	struct weighed *w = mem_alloc((an->sets.n + 1) * sizeof *w);
	uint32_t *ids = mem_alloc((an->sets.n + 1) * sizeof *ids);
	bool cut = q->in->partial && max && an->sets.n > max;
	for (size_t i = 0; i < an->sets.n; i++) {
		w[i] = (struct weighed){(uint32_t)i, 0, &an->sets.v[i]};
		for (size_t k = 0; k < an->v[i].n; k++)
			if (isfinite(an->v[i].v[k].v)) w[i].sum += an->v[i].v[k].v;
	}
	if (cut) {
		qsort(w, an->sets.n, sizeof *w, by_weight);
		query_warn(q,
			   arena_printf(&q->out->arena,
					"maximum number of series (%zu) reached for a single query; returning partial "
					"results",
					max));
	}
	*n = cut ? max : an->sets.n;
	for (size_t i = 0; i < *n; i++) ids[i] = w[i].id;
	free(w);
	return ids;
}

static void answer_give(struct query *q, struct answer *an)
{
	struct exec_result *r = q->out;
	size_t n;
	uint32_t *ids = heaviest(q, an, &n);
	r->series = arena_alloc(&r->arena, (n + 1) * sizeof *r->series);
	for (size_t i = 0; i < n; i++) {
		struct exec_series *s = &r->series[r->n_series++], *from = &an->v[ids[i]];
		s->labels = labels_copy(&r->arena, &an->sets.v[ids[i]]);
		s->n = from->n;
		s->v = arena_alloc(&r->arena, s->n * sizeof *s->v);
		memcpy(s->v, from->v, s->n * sizeof *s->v);
		r->stats.entries += s->n;
	}
	free(ids);
	sort_answer(q, r);
}

static void answer_free(struct answer *an)
{
	for (size_t i = 0; i < an->sets.n; i++) free(an->v[i].v);
	free(an->v);
	free(an->caps);
	labelsets_free(&an->sets);
	arena_free(&an->arena);
}

static void literal(struct eval *ev, double v, struct answer *an)
{
	for (size_t k = 0; k < ev->n_steps; k++)
		answer_add(ev->q, an, &(struct labels){0}, ev->start + (int64_t)k * ev->step, v);
}

/* With split_queries_by_interval, steps are multiples of the step, and the last may lie behind the end. */
static void align(const struct exec_query *in, int64_t *start, int64_t *end)
{
	int64_t ms = in->step / UNITS_MS;
	if (in->limits->split_queries_by_interval == 0 || ms <= 0) return;
	int64_t s = *start / UNITS_MS, n = *end / UNITS_MS;
	*start = (s - s % ms) * UNITS_MS;
	*end = (n % ms ? n + ms - n % ms : n) * UNITS_MS;
}

static int64_t within(int64_t t) { return t < GRID_MIN ? GRID_MIN : t > GRID_MAX ? GRID_MAX : t; }

bool eval_query(struct query *q, struct err *e)
{
	const struct exec_query *in = q->in;
	const struct logql_expr *x = q->ast->root;
	int64_t start = within(in->instant ? in->end : in->start), end = within(in->end);
	struct eval ev = {.q = q, .start = start, .step = in->instant ? 1 : in->step, .n_steps = 1};
	if (!in->instant) {
		align(in, &start, &end);
		ev.start = start;
		ev.n_steps = end < start ? 0 : (size_t)((end - start) / in->step) + 1;
	}
	struct answer an = {0};
	arena_init(&an.arena, 0);
	labelsets_init(&an.sets, &an.arena);
	bool ok = true;
	if (x->kind == LOGQL_LITERAL)
		literal(&ev, x->literal, &an);
	else if (ev.n_steps == 0)
		q->out->n_series = 0;
	else if (x->kind == LOGQL_VARIANTS)
		ok = run_variants(&ev, x, &an, e);
	else
		ok = run_expr(&ev, x, &an, NULL, e);
	q->out->kind = !in->instant ? EXEC_MATRIX : x->kind == LOGQL_LITERAL ? EXEC_SCALAR : EXEC_VECTOR;
	if (ok) answer_give(q, &an);
	answer_free(&an);
	return ok;
}
