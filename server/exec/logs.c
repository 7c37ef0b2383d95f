/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/logs.h"

#include "common/heap.h"
#include "server/exec/labelsets.h"
#include "server/exec/lines.h"
#include "server/exec/op_scan.h"

#include <stdlib.h>

struct log_run {
	struct query *q;
	struct plan plan;
	struct scan_task *tasks;
	size_t n_tasks;
	size_t limit;
	struct lines lines;   /* uniq, top, sort */
	pthread_mutex_t lock; /* guards lines and the heap */
	struct heap heap;     /* of struct kept, the last of the answer on top */
	_Atomic int64_t cut;  /* time of the last one, once there are `limit` */
	_Atomic bool full;
};

/* ---- keeping ---- */

static bool comes_later(const void *a, const void *b, void *ud)
{
	return lines_order(&((struct log_run *)ud)->lines, a, b) > 0;
}

static bool behind_cut(struct log_run *lr, int64_t ts)
{
	if (!atomic_load_explicit(&lr->full, memory_order_acquire)) return false;
	int64_t cut = atomic_load_explicit(&lr->cut, memory_order_relaxed);
	return lr->q->in->forward ? ts > cut : ts < cut;
}

/* Keeps the first `limit` entries. */
static void limit(void *ud, struct kept *k)
{
	struct log_run *lr = ud;
	if (lr->heap.n == lr->limit && lines_order(&lr->lines, k, heap_top(&lr->heap)) > 0) {
		free(k);
		return;
	}
	heap_push(&lr->heap, k);
	query_charge(lr->q, k->bytes);
	if (lr->heap.n <= lr->limit) return;
	struct kept *out = heap_pop(&lr->heap);
	query_release(lr->q, out->bytes);
	free(out);
}

static void offer(struct log_run *lr, struct kept *k)
{
	pthread_mutex_lock(&lr->lock);
	if (!lines_take(&lr->lines, k)) limit(lr, k);
	if (lr->heap.n == lr->limit && !lines_wait(&lr->lines)) {
		atomic_store_explicit(&lr->cut, ((struct kept *)heap_top(&lr->heap))->ts, memory_order_relaxed);
		atomic_store_explicit(&lr->full, true, memory_order_release);
	}
	pthread_mutex_unlock(&lr->lock);
}

static bool take_batch(struct log_run *lr, struct exec_batch *b, size_t task, uint64_t *seq)
{
	for (size_t i = 0; i < b->n_sel; i++) {
		const struct row *r = &b->rows[b->sel[i]];
		if (behind_cut(lr, r->ts)) return false;
		struct kept *k = kept_new(b->arena, r, lr->q->in->categorize);
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
	uint64_t n;
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
	struct kept *k = kept_new(&t->scratch, r, in->categorize);
	k->seq = t->n++;
	offer(t->lr, k);
	return lines_wait(&t->lr->lines) || t->lr->heap.n < t->lr->limit;
}

/* ---- the answer ---- */

static int by_order(const void *a, const void *b, void *ud)
{
	return lines_order(&((struct log_run *)ud)->lines, *(struct kept *const *)a, *(struct kept *const *)b);
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
	uint32_t *of = mem_alloc((n + 1) * sizeof *of), last = 0;
	labelsets_init(&sets, &r->arena);
	if (n) qsort_r(v, n, sizeof *v, by_order, lr);
	r->ordered = lines_ordered(&lr->lines);
	r->streams = arena_zalloc(&r->arena, (n + 1) * sizeof *r->streams);
	for (size_t i = 0; i < n; i++) {
		uint32_t set = labelsets_add(&sets, &v[i]->labels, LABELSETS_COPY);
		bool again = r->ordered && i && set == last;
		of[i] = !r->ordered ? set : again ? of[i - 1] : (uint32_t)r->n_streams;
		if (of[i] == r->n_streams) r->streams[r->n_streams++].labels = sets.v[set];
		r->streams[of[i]].n++;
		last = set;
	}
	for (size_t i = 0; i < r->n_streams; i++) {
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
	if (sets.n && !r->ordered) qsort(r->streams, sets.n, sizeof *r->streams, by_text);
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
	lines_init(&lr.lines, q, &lr.plan);
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
	if (ok) lines_finish(&lr.lines, limit, &lr);
	if (ok) give(&lr);
	lines_free(&lr.lines);
	for (size_t i = 0; i < lr.heap.n; i++) free(lr.heap.v[i]);
	heap_free(&lr.heap);
	pthread_mutex_destroy(&lr.lock);
	return ok;
}
