/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/logs.h"

#include "common/heap.h"
#include "server/exec/labelsets.h"
#include "server/exec/op_scan.h"

#include <stdlib.h>

/* An entry that is in the answer so far; one allocation with all it points at. */
struct kept {
	int64_t ts;
	const struct reader_stream *stream;
	size_t task;
	uint64_t seq; /* in the task's order of reading */
	struct str line;
	struct labels labels; /* what the entry's stream in the answer is called */
	struct labels meta, parsed;
	size_t bytes;
};

struct log_run {
	struct query *q;
	struct plan plan;
	struct scan_task *tasks;
	size_t n_tasks;
	size_t limit;
	pthread_mutex_t lock; /* guards the heap */
	struct heap heap;     /* of struct kept, the last of the answer on top */
	_Atomic int64_t cut;  /* time of the last one, once there are `limit` */
	_Atomic bool full;
};

/* ---- keeping ---- */

static struct label *copy_labels(struct label *at, char **bytes, struct labels *to, const struct label *v, size_t n)
{
	*to = (struct labels){at, n};
	for (size_t i = 0; i < n; i++) {
		struct str *parts[] = {&at[i].name, &at[i].value};
		const struct str *from[] = {&v[i].name, &v[i].value};
		for (size_t k = 0; k < 2; k++) {
			if (from[k]->n) memcpy(*bytes, from[k]->p, from[k]->n);
			*parts[k] = str_of(*bytes, from[k]->n);
			*bytes += from[k]->n;
		}
	}
	struct str dup;
	labels_sort(at, n, &dup);
	return at + n;
}

static struct kept *keep(const struct log_run *lr, struct arena *a, const struct row *r)
{
	bool apart = lr->q->in->categorize;
	struct label *v = arena_alloc(a, row_max(r) * sizeof *v);
	size_t stream = row_labels(r, ROW_STREAM, v), meta = row_labels(r, ROW_META, v + stream);
	size_t parsed = row_labels(r, ROW_PARSED, v + stream + meta), n = stream + meta + parsed, bytes = r->line.n;
	for (size_t i = 0; i < n; i++) bytes += v[i].name.n + v[i].value.n;
	bytes += sizeof(struct kept) + n * sizeof *v;
	struct kept *k = mem_alloc(bytes);
	*k = (struct kept){.ts = r->ts, .stream = r->base->stream, .bytes = bytes};
	struct label *at = (struct label *)(k + 1);
	char *p = (char *)(at + n);
	if (r->line.n) memcpy(p, r->line.p, r->line.n);
	k->line = str_of(p, r->line.n);
	p += r->line.n;
	at = copy_labels(at, &p, &k->labels, v, apart ? stream : n);
	if (!apart) return k;
	at = copy_labels(at, &p, &k->meta, v + stream, meta);
	copy_labels(at, &p, &k->parsed, v + stream + meta, parsed);
	return k;
}

/* Order of the answer: negative when a comes first. */
static int order(const struct kept *a, const struct kept *b, bool forward)
{
	if (a->ts != b->ts) return (a->ts < b->ts) == forward ? -1 : 1;
	int c = a->stream == b->stream ? 0 : labels_cmp(&a->stream->labels, &b->stream->labels);
	if (c) return c;
	if (a->task != b->task) return a->task < b->task ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static bool comes_later(const void *a, const void *b, void *ud)
{
	return order(a, b, ((struct log_run *)ud)->q->in->forward) > 0;
}

static bool behind_cut(struct log_run *lr, int64_t ts)
{
	if (!atomic_load_explicit(&lr->full, memory_order_acquire)) return false;
	int64_t cut = atomic_load_explicit(&lr->cut, memory_order_relaxed);
	return lr->q->in->forward ? ts > cut : ts < cut;
}

static void offer(struct log_run *lr, struct kept *k)
{
	struct kept *out = NULL;
	pthread_mutex_lock(&lr->lock);
	if (lr->heap.n == lr->limit && order(k, heap_top(&lr->heap), lr->q->in->forward) > 0) {
		out = k;
	} else {
		heap_push(&lr->heap, k);
		query_charge(lr->q, k->bytes);
		if (lr->heap.n > lr->limit) {
			out = heap_pop(&lr->heap);
			query_release(lr->q, out->bytes);
		}
	}
	if (lr->heap.n == lr->limit) {
		atomic_store_explicit(&lr->cut, ((struct kept *)heap_top(&lr->heap))->ts, memory_order_relaxed);
		atomic_store_explicit(&lr->full, true, memory_order_release);
	}
	pthread_mutex_unlock(&lr->lock);
	free(out);
}

static bool take_batch(struct log_run *lr, struct exec_batch *b, size_t task, uint64_t *seq)
{
	for (size_t i = 0; i < b->n_sel; i++) {
		const struct row *r = &b->rows[b->sel[i]];
		if (behind_cut(lr, r->ts)) return false;
		struct kept *k = keep(lr, b->arena, r);
		k->task = task;
		k->seq = (*seq)++;
		offer(lr, k);
	}
	return b->n_rows == 0 || !behind_cut(lr, b->in.ts[b->n_rows - 1]);
}

static void log_task(void *ud, size_t i)
{
	struct log_run *lr = ud;
	const struct scan_task *t = &lr->tasks[i];
	bool forward = lr->q->in->forward;
	struct exec_batch *b;
	struct err e = ERR_INIT;
	uint64_t seq = 0;
	if (atomic_load(&lr->q->stop) || behind_cut(lr, forward ? t->from : t->to - 1)) return;
	struct op_scan *s = op_scan_open(lr->q, &lr->plan, t, forward, SCAN_BY_TIME, &e);
	while (s && op_scan_next(s, &b, &e) && take_batch(lr, b, i, &seq))
		;
	op_scan_close(s);
	if (e.code) query_fail(lr->q, i, &e);
}

/* ---- one time order over all sources ---- */

struct stream_head {
	struct op_scan *scan;
	struct exec_batch *b;
	size_t at; /* in the selection */
};

/* Moves to the next row that passed; the scan is closed and NULL at its end. */
static bool head_next(struct stream_head *h, struct err *e)
{
	while (h->scan) {
		if (h->b && ++h->at < h->b->n_sel) return true;
		h->at = (size_t)-1;
		if (op_scan_next(h->scan, &h->b, e)) continue;
		op_scan_close(h->scan);
		h->scan = NULL;
	}
	return e->code == ERR_NONE;
}

static const struct row *head_row(const struct stream_head *h) { return &h->b->rows[h->b->sel[h->at]]; }

static struct stream_head *head_first(struct stream_head *v, size_t n, bool forward)
{
	struct stream_head *best = NULL;
	for (size_t i = 0; i < n; i++) {
		if (!v[i].scan) continue;
		if (!best ||
		    (forward ? head_row(&v[i])->ts < head_row(best)->ts : head_row(&v[i])->ts > head_row(best)->ts))
			best = &v[i];
	}
	return best;
}

static int64_t range_end(const struct exec_query *in) { return in->start == in->end ? in->end + 1 : in->end; }

static bool each_row(struct log_run *lr, bool (*fn)(void *ud, const struct row *r), void *ud, struct err *e)
{
	struct query *q = lr->q;
	bool ok = scan_tasks(q, &lr->plan, q->in->start, range_end(q->in), true, &lr->tasks, &lr->n_tasks, e);
	if (!ok) return false;
	struct stream_head *heads = mem_zalloc((lr->n_tasks + 1) * sizeof *heads), *h;
	for (size_t i = 0; ok && i < lr->n_tasks; i++) {
		heads[i].scan = op_scan_open(q, &lr->plan, &lr->tasks[i], q->in->forward, SCAN_BY_TIME, e);
		ok = heads[i].scan && head_next(&heads[i], e);
	}
	while (ok && (h = head_first(heads, lr->n_tasks, q->in->forward))) {
		if (!fn(ud, head_row(h))) break;
		ok = head_next(h, e);
	}
	for (size_t i = 0; i < lr->n_tasks; i++) op_scan_close(heads[i].scan);
	free(heads);
	return ok;
}

/* `interval`: an entry counts only so far behind the one kept before. */
struct thinned {
	struct log_run *lr;
	int64_t last;
	bool any;
	struct arena scratch;
};

static bool thin(void *ud, const struct row *r)
{
	struct thinned *t = ud;
	const struct exec_query *in = t->lr->q->in;
	int64_t apart = in->forward ? r->ts - t->last : t->last - r->ts;
	if (t->any && apart < in->interval) return true;
	t->any = true;
	t->last = r->ts;
	arena_reset(&t->scratch);
	struct kept *k = keep(t->lr, &t->scratch, r);
	k->seq = t->lr->heap.n;
	offer(t->lr, k);
	return t->lr->heap.n < t->lr->limit;
}

/* ---- the answer ---- */

static int by_order(const void *a, const void *b, void *ud)
{
	return order(*(struct kept *const *)a, *(struct kept *const *)b, ((struct log_run *)ud)->q->in->forward);
}

static int by_text(const void *a, const void *b)
{
	const struct exec_stream *x = a, *y = b;
	struct buf s = {0}, t = {0};
	labels_print(&s, &x->labels);
	labels_print(&t, &y->labels);
	int c = str_cmp(buf_view(&s), buf_view(&t));
	buf_free(&s);
	buf_free(&t);
	return c;
}

static void give(struct log_run *lr)
{
	struct exec_result *r = lr->q->out;
	struct kept **v = (struct kept **)lr->heap.v;
	size_t n = lr->heap.n;
	struct labelsets sets;
	uint32_t *of = mem_alloc((n + 1) * sizeof *of);
	labelsets_init(&sets, &r->arena);
	if (n) qsort_r(v, n, sizeof *v, by_order, lr);
	for (size_t i = 0; i < n; i++) of[i] = labelsets_add(&sets, &v[i]->labels, LABELSETS_COPY);
	r->streams = arena_zalloc(&r->arena, (sets.n + 1) * sizeof *r->streams);
	r->n_streams = sets.n;
	for (size_t i = 0; i < sets.n; i++) r->streams[i].labels = sets.v[i];
	for (size_t i = 0; i < n; i++) r->streams[of[i]].n++;
	for (size_t i = 0; i < sets.n; i++) {
		r->streams[i].v = arena_alloc(&r->arena, r->streams[i].n * sizeof *r->streams[i].v);
		r->streams[i].n = 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct exec_stream *s = &r->streams[of[i]];
		s->v[s->n++] = (struct exec_entry){
			.ts = v[i]->ts,
			.line = arena_str(&r->arena, v[i]->line),
			.meta = labels_copy(&r->arena, &v[i]->meta),
			.parsed = labels_copy(&r->arena, &v[i]->parsed),
		};
	}
	if (sets.n) qsort(r->streams, sets.n, sizeof *r->streams, by_text);
	r->stats.entries = n;
	labelsets_free(&sets);
	free(of);
}

bool logs_query(struct query *q, struct err *e)
{
	struct log_run lr = {.q = q, .limit = q->in->limit};
	lr.heap = (struct heap){.less = comes_later, .ud = &lr};
	pthread_mutex_init(&lr.lock, NULL);
	plan_log(&q->arena, q->ast->root->log, &lr.plan);
	bool ok;
	if (q->in->interval > 0) {
		struct thinned t = {.lr = &lr};
		arena_init(&t.scratch, 0);
		ok = each_row(&lr, thin, &t, e);
		arena_free(&t.scratch);
	} else {
		ok = scan_tasks(q, &lr.plan, q->in->start, range_end(q->in), false, &lr.tasks, &lr.n_tasks, e) &&
		     query_run(q, lr.n_tasks, log_task, &lr, e);
	}
	q->out->kind = EXEC_STREAMS;
	if (ok) give(&lr);
	for (size_t i = 0; i < lr.heap.n; i++) free(lr.heap.v[i]);
	heap_free(&lr.heap);
	pthread_mutex_destroy(&lr.lock);
	return ok;
}
