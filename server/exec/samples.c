/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/samples.h"

#include "common/units.h"
#include "server/exec/convert.h"

#include <math.h>
#include <stdlib.h>

struct loader {
	struct query *q;
	const struct plan *plan;
	const struct grid *grid;
	struct scan_task *tasks;
	struct samples *parts; /* per task */
};

struct load { /* one task */
	struct loader *l;
	struct samples *to;
	struct op_scan *scan;
	struct arena *arena; /* of the batch */
	size_t cap, charged;
};

/* ---- windows ---- */

static int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); }

/* Steps whose window holds ts: [*from, *to), not yet cut to the grid. */
static void steps_of(const struct grid *g, int64_t ts, int64_t *from, int64_t *to)
{
	int64_t x = ts - g->start + g->offset;
	*from = ceil_div(x, g->step);
	*to = ceil_div(x + g->range, g->step);
}

static size_t clamp(int64_t k, size_t n) { return k < 0 ? 0 : (uint64_t)k > n ? n : (size_t)k; }

static void dense_add(struct series *s, const struct grid *g, int64_t from, int64_t to, int64_t count, int64_t total)
{
	size_t a = clamp(from, g->n), b = clamp(to, g->n);
	if (a >= b) return;
	s->count[a] += count;
	s->count[b] -= count;
	s->total[a] += total;
	s->total[b] -= total;
}

static void make_dense(struct query *q, struct series *s, const struct grid *g)
{
	if (!s->count) {
		s->count = mem_zalloc(2 * (g->n + 1) * sizeof *s->count);
		s->total = s->count + g->n + 1;
		query_charge(q, 2 * (g->n + 1) * sizeof *s->count);
	}
	for (size_t i = 0; i < s->n; i++) {
		int64_t from, to;
		steps_of(g, s->v[i].ts, &from, &to);
		dense_add(s, g, from, to, 1, (int64_t)s->v[i].v);
	}
	query_release(q, s->cap * sizeof *s->v);
	free(s->v);
	s->v = NULL;
	s->n = s->cap = 0;
}

static bool may_be_dense(const struct plan *p) { return p->sample.value != PLAN_UNWRAP; }
static size_t dense_from(const struct grid *g) { return g->n > 64 ? g->n : 64; }

static void add_sample(struct load *ld, uint32_t id, int64_t ts, double v)
{
	struct series *s = &ld->to->v[id];
	const struct grid *g = ld->l->grid;
	if (s->count) {
		int64_t from, to;
		steps_of(g, ts, &from, &to);
		dense_add(s, g, from, to, 1, (int64_t)v);
		return;
	}
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 4;
		query_charge(ld->l->q, (cap - s->cap) * sizeof *s->v);
		s->v = mem_realloc(s->v, cap * sizeof *s->v);
		s->cap = cap;
	}
	s->v[s->n++] = (struct sample){ts, v};
	if (s->n >= dense_from(g) && may_be_dense(ld->l->plan)) make_dense(ld->l->q, s, g);
}

/* ---- which series ---- */

static bool in_names(const struct plan_sample *s, struct str name)
{
	for (size_t i = 0; i < s->n_names; i++)
		if (str_eq(s->names[i], name)) return true;
	return false;
}

/* An error is never grouped away: the series is then all the labels. */
static struct labels series_labels(struct load *ld, const struct row *r)
{
	const struct plan_sample *sm = &ld->l->plan->sample;
	if (r->error.n || sm->group == PLAN_GROUP_ALL) return row_all(ld->arena, r);
	struct labels l = {0};
	if (sm->group == PLAN_GROUP_BY) {
		l.v = arena_alloc(ld->arena, sm->n_names * sizeof *l.v);
		for (size_t i = 0; i < sm->n_names; i++) {
			enum row_kind kind;
			struct str v = row_get(r, sm->names[i], &kind);
			if (kind != ROW_NONE) l.v[l.n++] = (struct label){sm->names[i], v};
		}
	} else if (sm->group == PLAN_GROUP_WITHOUT) {
		struct labels all = row_all(ld->arena, r);
		l.v = all.v;
		for (size_t i = 0; i < all.n; i++)
			if (!in_names(sm, all.v[i].name)) l.v[l.n++] = all.v[i];
	}
	return l;
}

static bool fails_query(const struct labels *l)
{
	return labels_get(l, ROW_ERROR).p && !str_eqc(labels_get(l, ROW_PRESERVE), "true");
}

static uint32_t series_of(struct load *ld, const struct row *r)
{
	if (!row_changed(r) && r->base->series) return r->base->series - 1;
	struct samples *t = ld->to;
	struct labels l = series_labels(ld, r);
	size_t before = t->sets.n;
	uint32_t id = labelsets_add(&t->sets, &l, LABELSETS_COPY);
	if (t->sets.n > before) {
		MEM_GROW(t->v, (size_t)id, ld->cap);
		t->v[id] = (struct series){.failed = fails_query(&l)};
		query_charge(ld->l->q, sizeof(struct series) + sizeof(struct labels) + 24);
	}
	if (!row_changed(r)) r->base->series = id + 1;
	return id;
}

/* ---- rows to samples ---- */

static bool unwrap(struct load *ld, struct row *r, double *v)
{
	const struct logql_unwrap *u = ld->l->plan->sample.unwrap;
	struct str text = row_get(r, u->label, NULL), why = STR("");
	if (text.n == 0) return false;
	bool ok;
	if (u->conv == LOGQL_UNWRAP_NUMBER) {
		ok = convert_number(ld->arena, text, v, &why);
	} else if (u->conv == LOGQL_UNWRAP_BYTES_CONV) {
		uint64_t n = 0;
		ok = convert_bytes(ld->arena, text, &n, &why);
		*v = (double)n;
	} else {
		int64_t ns = 0;
		ok = convert_duration(ld->arena, text, &ns, &why);
		*v = (double)(ns / UNITS_SEC) + (double)(ns % UNITS_SEC) / 1e9;
	}
	if (!ok) {
		*v = 0;
		r->error = STR("SampleExtractionErr");
		r->details = why;
	}
	bool pass = true;
	for (size_t i = 0; i < u->n_filters; i++) pass = op_filter_row(u->filters[i], ld->arena, r) && pass;
	return pass;
}

static void add_rows(struct load *ld, struct exec_batch *b)
{
	const struct plan *p = ld->l->plan;
	ld->arena = b->arena;
	for (size_t i = 0; i < b->n_sel; i++) {
		struct row *r = &b->rows[b->sel[i]];
		double v = 1;
		if (p->sample.value == PLAN_BYTES)
			v = p->line_made ? (double)r->line.n : r->len;
		else if (p->sample.value == PLAN_UNWRAP && !unwrap(ld, r, &v))
			continue;
		add_sample(ld, series_of(ld, r), r->ts, v);
	}
}

/* Rows [i, j) of a direct batch are of one stream: counts whole runs between two steps at a time. */
static void add_run(struct load *ld, const struct scan_batch *in, size_t i, size_t j, struct row_base *base)
{
	const struct grid *g = ld->l->grid;
	bool bytes = ld->l->plan->sample.value == PLAN_BYTES;
	struct row r = {.base = base};
	uint32_t id = series_of(ld, &r);
	struct series *s = &ld->to->v[id];
	if (!s->count && j - i + s->n >= dense_from(g)) make_dense(ld->l->q, s, g);
	if (!s->count) {
		for (; i < j; i++) add_sample(ld, id, in->ts[i], bytes ? in->len[i] : 1);
		return;
	}
	while (i < j) {
		int64_t from, to, total = 0;
		steps_of(g, in->ts[i], &from, &to);
		int64_t until = g->start + from * g->step - g->offset;
		int64_t leaves = g->start + to * g->step - g->offset - g->range;
		if (leaves < until) until = leaves;
		size_t k = i;
		if (bytes)
			while (k < j && in->ts[k] <= until) total += in->len[k++];
		else
			while (k < j && in->ts[k] <= until) k++;
		dense_add(s, g, from, to, (int64_t)(k - i), total);
		i = k;
	}
}

static void add_direct(struct load *ld, struct exec_batch *b)
{
	const struct scan_batch *in = &b->in;
	ld->arena = b->arena;
	for (size_t i = 0, j; i < in->n; i = j) {
		const struct reader_stream *st = in->one ? in->one : in->stream[i];
		j = i + 1;
		if (in->one)
			j = in->n;
		else
			while (j < in->n && in->stream[j] == st) j++;
		add_run(ld, in, i, j, op_scan_base(ld->scan, st));
	}
}

static void load_task(void *ud, size_t i)
{
	struct loader *l = ud;
	struct load ld = {.l = l, .to = &l->parts[i]};
	struct exec_batch *b;
	struct err e = ERR_INIT;
	if (atomic_load(&l->q->stop)) return;
	ld.scan = op_scan_open(l->q, l->plan, &l->tasks[i], true, SCAN_BY_STREAM, &e);
	while (ld.scan && op_scan_next(ld.scan, &b, &e)) {
		if (b->direct)
			add_direct(&ld, b);
		else
			add_rows(&ld, b);
		query_charge(l->q, ld.to->sets.arena->used - ld.charged);
		ld.charged = ld.to->sets.arena->used;
	}
	op_scan_close(ld.scan);
	if (e.code) query_fail(l->q, i, &e);
}

/* ---- joining tasks ---- */

static void join_series(struct query *q, const struct plan *p, const struct grid *g, struct series *to,
			struct series *from)
{
	to->failed = from->failed;
	if (to->n == 0 && !to->count) {
		*to = *from;
		*from = (struct series){0};
		return;
	}
	if (may_be_dense(p) && (to->count || from->count)) {
		make_dense(q, to, g);
		make_dense(q, from, g);
		for (size_t k = 0; k <= g->n; k++) {
			to->count[k] += from->count[k];
			to->total[k] += from->total[k];
		}
		return;
	}
	if (from->n == 0) return;
	query_charge(q, from->n * sizeof *to->v);
	to->v = mem_realloc(to->v, (to->n + from->n) * sizeof *to->v);
	memcpy(to->v + to->n, from->v, from->n * sizeof *to->v);
	to->n = to->cap = to->n + from->n;
}

/* Sorts by time, keeping the order of equal times (bottom-up merge sort; mostly there is nothing to do). */
static void sort_samples(struct series *s)
{
	size_t i = 1;
	while (i < s->n && s->v[i - 1].ts <= s->v[i].ts) i++;
	if (i >= s->n) return;
	struct sample *a = s->v, *b = mem_alloc(s->n * sizeof *b);
	for (size_t w = 1; w < s->n; w *= 2) {
		for (size_t lo = 0; lo < s->n; lo += 2 * w) {
			size_t mid = lo + w < s->n ? lo + w : s->n, hi = lo + 2 * w < s->n ? lo + 2 * w : s->n;
			for (size_t x = lo, y = mid, o = lo; o < hi; o++)
				b[o] = y >= hi || (x < mid && a[x].ts <= a[y].ts) ? a[x++] : a[y++];
		}
		struct sample *t = a;
		a = b;
		b = t;
	}
	free(b);
	s->v = a;
	s->cap = s->n;
}

static void finish(struct series *s, const struct grid *g)
{
	if (!s->count) {
		sort_samples(s);
		return;
	}
	for (size_t k = 1; k < g->n; k++) {
		s->count[k] += s->count[k - 1];
		s->total[k] += s->total[k - 1];
	}
}

static void part_free(struct samples *s)
{
	for (size_t i = 0; i < s->sets.n; i++) {
		free(s->v[i].v);
		free(s->v[i].count);
	}
	free(s->v);
	s->v = NULL;
	labelsets_free(&s->sets);
}

void samples_free(struct samples *s)
{
	part_free(s);
	for (size_t i = 0; i < s->n_arenas; i++) arena_free(&s->arenas[i]);
	free(s->arenas);
}

static void join(struct loader *l, size_t n, struct samples *out)
{
	size_t cap = 0;
	for (size_t i = 0; i < n; i++) {
		struct samples *part = &l->parts[i];
		for (size_t k = 0; k < part->sets.n; k++) {
			size_t before = out->sets.n;
			uint32_t id = labelsets_add(&out->sets, &part->sets.v[k], LABELSETS_BORROW);
			if (out->sets.n > before) {
				MEM_GROW(out->v, (size_t)id, cap);
				out->v[id] = (struct series){0};
			}
			join_series(l->q, l->plan, l->grid, &out->v[id], &part->v[k]);
		}
		part_free(part);
	}
	for (size_t i = 0; i < out->sets.n; i++) finish(&out->v[i], l->grid);
}

bool samples_load(struct query *q, const struct plan *p, const struct grid *g, struct samples *out, struct err *e)
{
	struct loader l = {.q = q, .plan = p, .grid = g};
	size_t n;
	int64_t from = g->start - g->offset - g->range + 1;
	int64_t to = g->start + (int64_t)(g->n - 1) * g->step - g->offset + 1;
	*out = (struct samples){0};
	if (!scan_tasks(q, p, from, to, false, &l.tasks, &n, e)) return false;
	l.parts = mem_zalloc((n + 1) * sizeof *l.parts);
	out->arenas = mem_zalloc((n + 1) * sizeof *out->arenas);
	out->n_arenas = n;
	for (size_t i = 0; i < n; i++) {
		arena_init(&out->arenas[i], 0);
		labelsets_init(&l.parts[i].sets, &out->arenas[i]);
	}
	bool ok = query_run(q, n, load_task, &l, e);
	if (ok) join(&l, n, out);
	for (size_t i = 0; i < n; i++) part_free(&l.parts[i]);
	free(l.parts);
	return ok;
}
