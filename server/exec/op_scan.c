/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/op_scan.h"

#include "server/exec/op_unroll.h"

#include <stdlib.h>

#define TENANT_LABEL STR("__tenant_id__")
/* Streams up to which each gets tasks of its own; more are cut by time alone. */
#define TASK_STREAMS 256
/* Slices of time when there are few streams. */
#define TASK_SLICES 8

/* ---- tasks ---- */

struct task_list {
	struct query *q;
	const struct plan *plan;
	struct scan_task *v;
	size_t n, cap;
	const struct reader_stream **streams;
	size_t n_streams, cap_streams;
};

static bool note_stream(void *ud, const struct reader_stream *st)
{
	struct task_list *l = ud;
	*ARENA_PUSH(&l->q->arena, l->streams, l->n_streams, l->cap_streams) = st;
	return l->n_streams <= TASK_STREAMS;
}

static void add_task(struct task_list *l, const struct scan_task *base, const struct reader_stream *only, int64_t from,
		     int64_t to)
{
	struct scan_task *t = ARENA_PUSH(&l->q->arena, l->v, l->n, l->cap);
	*t = *base;
	t->only = only;
	t->from = from;
	t->to = to;
	t->columns = plan_columns(l->plan, only ? &only->labels : NULL);
}

static void add_slices(struct task_list *l, const struct scan_task *base, const struct reader_stream *only, size_t n)
{
	uint64_t len = (uint64_t)base->to - (uint64_t)base->from;
	if (len < n) n = 1;
	for (size_t i = 0; i < n; i++) {
		/* Newest first for a backward log query. */
		size_t k = l->plan->is_log && !l->q->in->forward ? n - 1 - i : i;
		int64_t from = base->from + (int64_t)(len / n * k);
		add_task(l, base, only, from, k == n - 1 ? base->to : base->from + (int64_t)(len / n * (k + 1)));
	}
}

bool scan_select(struct query *q, const struct selector *sel, struct scan_task *t)
{
	t->matchers = sel->v;
	t->n_matchers = sel->n;
	if (q->in->n_sources < 2) return true;
	struct matcher *v = arena_alloc(&q->arena, sel->n * sizeof *v);
	size_t n = 0;
	for (size_t i = 0; i < sel->n; i++) {
		if (!str_eq(sel->v[i].name, TENANT_LABEL))
			v[n++] = sel->v[i];
		else if (!matcher_match(&sel->v[i], t->src->tenant))
			return false;
	}
	t->matchers = v;
	t->n_matchers = n;
	return true;
}

static int by_labels(const void *a, const void *b)
{
	return labels_cmp(&(*(const struct reader_stream *const *)a)->labels,
			  &(*(const struct reader_stream *const *)b)->labels);
}

bool scan_tasks(struct query *q, const struct plan *p, int64_t from, int64_t to, bool one, struct scan_task **tasks,
		size_t *n, struct err *e)
{
	struct task_list l = {.q = q, .plan = p};
	for (size_t i = 0; from < to && i < q->in->n_sources; i++) {
		struct scan_task base = {.src = &q->in->sources[i], .from = from, .to = to};
		if (!scan_select(q, p->selector, &base)) continue;
		if (one) {
			add_task(&l, &base, NULL, from, to);
			continue;
		}
		l.n_streams = 0;
		if (!snapshot_streams(base.src->snap, base.matchers, base.n_matchers, from, to, note_stream, &l, e))
			return false;
		if (l.n_streams == 0) continue;
		if (l.n_streams > TASK_STREAMS) {
			add_slices(&l, &base, NULL, TASK_SLICES);
			continue;
		}
		qsort(l.streams, l.n_streams, sizeof *l.streams, by_labels);
		for (size_t k = 0; k < l.n_streams; k++)
			add_slices(&l, &base, l.streams[k], (TASK_SLICES + l.n_streams - 1) / l.n_streams);
	}
	*tasks = l.v;
	*n = l.n;
	return true;
}

/* ---- one scan ---- */

#define BASE_SLOTS 512

struct base_slot {
	const struct reader_stream *stream;
	const struct labels *meta;
	struct row_base *base;
};

struct stream_slot { /* labels of a stream as rows show them */
	const struct reader_stream *stream;
	struct row_base base;
};

/* The operators between two unrolls, and the rows that they run over. Level 0 takes the scan's batches, any other what
 * an unroll makes of the level below. */
struct level {
	size_t from, to; /* ops [from, to) */
	struct exec_batch batch;
	struct arena arena; /* of the batch */
	struct unroll unroll;
};

struct op_scan {
	struct query *q;
	const struct plan *plan;
	const struct scan_task *task;
	struct scan *scan;     /* one of the two is where rows come from */
	struct follow *follow;
	struct arena keep; /* as long as the scan, or until the follower forgets streams */
	struct level *levels;
	size_t n_levels;
	struct op_local *locals;
	struct base_slot *slots;      /* bases of the batch; direct-mapped */
	struct stream_slot **streams; /* open addressing by pointer */
	size_t n_streams, cap_streams;
	uint64_t passed;
};

static void open_level(struct op_scan *s, size_t from)
{
	struct level *l = &s->levels[s->n_levels++];
	const struct plan *p = s->plan;
	arena_init(&l->arena, s->q->shared->bytes.limit);
	l->batch = (struct exec_batch){
		.arena = &l->arena,
		.rows = mem_alloc(SCAN_ROWS * sizeof *l->batch.rows),
		.sel = mem_alloc(SCAN_ROWS * sizeof *l->batch.sel),
	};
	l->from = from;
	for (l->to = from; l->to < p->n_ops && p->ops[l->to].kind; l->to++) {
		const struct op *o = &p->ops[l->to];
		s->locals[l->to].arena = &l->arena;
		if (o->kind->open) o->kind->open(o, &s->locals[l->to]);
	}
}

static void open_levels(struct op_scan *s)
{
	const struct plan *p = s->plan;
	size_t unrolls = 0;
	for (size_t i = 0; i < p->n_ops; i++) unrolls += !p->ops[i].kind;
	s->levels = mem_zalloc((unrolls + 1) * sizeof *s->levels);
	s->locals = mem_zalloc((p->n_ops + 1) * sizeof *s->locals);
	open_level(s, 0);
	while (s->n_levels <= unrolls) {
		struct level *below = &s->levels[s->n_levels - 1];
		unroll_init(&s->levels[s->n_levels].unroll, &p->ops[below->to], &below->arena);
		open_level(s, below->to + 1);
	}
}

static void close_levels(struct op_scan *s)
{
	for (size_t i = 0; i < s->plan->n_ops; i++)
		if (s->plan->ops[i].kind && s->plan->ops[i].kind->close) s->plan->ops[i].kind->close(&s->locals[i]);
	for (size_t i = 0; i < s->n_levels; i++) {
		free(s->levels[i].batch.rows);
		free(s->levels[i].batch.sel);
		if (i) unroll_free(&s->levels[i].unroll);
		arena_free(&s->levels[i].arena);
	}
	free(s->levels);
	free(s->locals);
}

static struct op_scan *scan_new(struct query *q, const struct plan *p)
{
	struct op_scan *s = mem_zalloc(sizeof *s);
	*s = (struct op_scan){.q = q, .plan = p};
	arena_init(&s->keep, 0);
	s->slots = mem_zalloc(BASE_SLOTS * sizeof *s->slots);
	open_levels(s);
	return s;
}

struct op_scan *op_scan_open(struct query *q, const struct plan *p, const struct scan_task *t, bool forward,
			     enum scan_order order, struct err *e)
{
	struct scan_opts o = {
		.matchers = t->matchers,
		.nmatchers = t->n_matchers,
		.only = t->only,
		.from = t->from,
		.to = t->to,
		.forward = forward,
		.order = order,
		.want = t->columns,
		.filters = p->filters,
		/* A scan may look at much before it has a batch: there the client's own flag counts most. */
		.cancel = q->in->cancel ? q->in->cancel : &q->stop,
		.deadline_mono = q->deadline_mono,
	};
	struct scan *sc = scan_open(t->src->snap, &o, e);
	if (!sc) return NULL;
	struct op_scan *s = scan_new(q, p);
	s->task = t;
	s->scan = sc;
	return s;
}

struct op_scan *op_scan_follow(struct query *q, const struct plan *p, struct follow *f)
{
	struct op_scan *s = scan_new(q, p);
	s->follow = f;
	return s;
}

void op_scan_close(struct op_scan *s)
{
	if (!s) return;
	struct scan_stats st = {0};
	if (s->scan) scan_stats(s->scan, &st);
	query_stats_add(s->q, &st, s->passed);
	if (s->scan) scan_close(s->scan);
	close_levels(s);
	free(s->slots);
	free(s->streams);
	arena_free(&s->keep);
	free(s);
}

/* ---- bases ---- */

static struct labels with_tenant(struct arena *a, const struct labels *l, struct str tenant)
{
	struct labels out = {arena_alloc(a, (l->n + 1) * sizeof *out.v), 0};
	for (size_t i = 0; i < l->n; i++) {
		out.v[out.n] = l->v[i];
		if (str_eq(l->v[i].name, TENANT_LABEL)) out.v[out.n].name = STR("original___tenant_id__");
		out.n++;
	}
	out.v[out.n++] = (struct label){TENANT_LABEL, tenant};
	struct str dup;
	labels_sort(out.v, out.n, &dup);
	return out;
}

static size_t pointer_slot(const void *p, size_t n)
{
	return ((uintptr_t)p * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (n - 1);
}

static void grow_streams(struct op_scan *s)
{
	size_t cap = s->cap_streams ? s->cap_streams * 2 : 64;
	struct stream_slot **v = mem_zalloc(cap * sizeof *v);
	for (size_t i = 0; i < s->cap_streams; i++) {
		if (!s->streams[i]) continue;
		size_t k = pointer_slot(s->streams[i]->stream, cap);
		while (v[k]) k = (k + 1) & (cap - 1);
		v[k] = s->streams[i];
	}
	free(s->streams);
	s->streams = v;
	s->cap_streams = cap;
}

struct row_base *op_scan_base(struct op_scan *s, const struct reader_stream *st)
{
	if (s->n_streams * 2 >= s->cap_streams) grow_streams(s);
	size_t k = pointer_slot(st, s->cap_streams);
	for (; s->streams[k]; k = (k + 1) & (s->cap_streams - 1))
		if (s->streams[k]->stream == st) return &s->streams[k]->base;
	struct stream_slot *slot = ARENA_NEW(&s->keep, struct stream_slot);
	bool tenants = s->q->in->n_sources > 1;
	slot->stream = st;
	slot->base = (struct row_base){
		.stream = st,
		.labels = tenants ? with_tenant(&s->keep, &st->labels, s->task->src->tenant) : st->labels,
	};
	s->streams[k] = slot;
	s->n_streams++;
	return &slot->base;
}

static struct row_base *meta_base(struct op_scan *s, const struct reader_stream *st, const struct labels *meta)
{
	struct arena *a = s->levels[0].batch.arena;
	const struct row_base *plain = op_scan_base(s, st);
	struct row_base *b = ARENA_NEW(a, struct row_base);
	*b = (struct row_base){.stream = st, .labels = plain->labels};
	row_base_meta(a, b, meta, s->plan->sample.meta_twice);
	return b;
}

static struct row_base *base_of(struct op_scan *s, const struct reader_stream *st, const struct labels *meta)
{
	if (!meta || meta->n == 0) return op_scan_base(s, st);
	struct base_slot *slot = &s->slots[pointer_slot((const char *)meta + ((uintptr_t)st >> 4), BASE_SLOTS)];
	if (slot->stream != st || slot->meta != meta) *slot = (struct base_slot){st, meta, meta_base(s, st, meta)};
	return slot->base;
}

/* ---- batches ---- */

static void fill_rows(struct op_scan *s, const struct scan_batch *in)
{
	struct exec_batch *b = &s->levels[0].batch;
	const struct linefilters *filters = in->filtered ? NULL : s->plan->filters;
	b->n_sel = 0;
	for (size_t i = 0; i < in->n; i++) {
		struct str line = in->line ? in->line[i] : STR("");
		b->rows[i] =
			(struct row){.ts = in->ts[i], .line = line, .len = in->len ? in->len[i] : (uint32_t)line.n};
		if (filters && !linefilters_match(filters, line)) continue;
		b->rows[i].base = base_of(s, in->one ? in->one : in->stream[i], in->meta ? in->meta[i] : NULL);
		b->sel[b->n_sel++] = (uint16_t)i;
	}
}

/* Nothing to run and nothing to look up: the reader's batch will do. */
static bool is_direct(const struct op_scan *s, const struct scan_batch *in)
{
	return !s->plan->is_log && s->plan->n_ops == 0 && !(s->task->columns & SCAN_META) &&
	       (in->filtered || !s->plan->filters) && !s->plan->reads_labels;
}

static bool run_ops(struct op_scan *s, struct level *l, struct err *e)
{
	for (size_t i = l->from; i < l->to && l->batch.n_sel; i++) {
		s->plan->ops[i].kind->run(&s->plan->ops[i], &s->locals[i], &l->batch);
		if (arena_over(&l->arena)) return query_too_large(s->q, e);
	}
	return true;
}

static void forget_streams(struct op_scan *s)
{
	free(s->streams);
	s->streams = NULL;
	s->n_streams = s->cap_streams = 0;
	arena_reset(&s->keep);
}

static bool next_batch(struct op_scan *s, struct scan_batch *in, struct err *e)
{
	struct follow_batch b;
	if (s->scan) return scan_next(s->scan, in, e);
	if (!follow_next(s->follow, &b)) return false;
	if (b.forgot) forget_streams(s);
	*in = b.rows;
	return true;
}

static bool read_batch(struct op_scan *s, struct err *e)
{
	struct level *l = &s->levels[0];
	struct scan_batch *in = &l->batch.in;
	arena_reset(&l->arena);
	memset(s->slots, 0, BASE_SLOTS * sizeof *s->slots);
	if (!query_check(s->q, e) || !next_batch(s, in, e)) return false;
	l->batch.n_rows = in->n;
	l->batch.direct = is_direct(s, in);
	if (l->batch.direct) return true;
	fill_rows(s, in);
	return run_ops(s, l, e);
}

/* The next batch of the last level. Elements that are left in a lower one come first. */
static bool pull(struct op_scan *s, size_t level, struct err *e)
{
	struct level *l = &s->levels[level];
	if (level == 0) return read_batch(s, e);
	for (;;) {
		arena_reset(&l->arena);
		if (unroll_next(&l->unroll, &l->batch)) break;
		if (!pull(s, level - 1, e)) return false;
		unroll_start(&l->unroll, &s->levels[level - 1].batch);
	}
	return run_ops(s, l, e) && query_check(s->q, e);
}

bool op_scan_next(struct op_scan *s, struct exec_batch **b, struct err *e)
{
	*b = &s->levels[s->n_levels - 1].batch;
	if (!pull(s, s->n_levels - 1, e)) return false;
	s->passed += (*b)->direct ? (*b)->in.n : (*b)->n_sel;
	return true;
}
