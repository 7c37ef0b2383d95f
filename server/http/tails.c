/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/tails.h"

#include "common/budget.h"
#include "common/heap.h"
#include "common/log.h"
#include "common/map.h"
#include "common/units.h"
#include "common/ws.h"
#include "server/http/respond.h"
#include "server/http/tail_sink.h"
#include "server/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define QUEUE_BYTES   ((size_t)4 << 20) /* of rows that wait for a client */
#define FRAME_ROWS    100
#define FRAME_BYTES   ((size_t)256 << 10) /* of lines in a frame, unless one line is longer */
#define DROPPED_MAX   1000                /* reported one by one; what is beyond is only counted … */
#define DROPPED_BYTES ((size_t)1 << 20)   /* … and so it is when the labels of those take so much */
#define TURN          16                  /* batches of one tail before the next has its turn */
#define TICK          UNITS_SEC
#define FAREWELL      (3 * UNITS_SEC) /* at stop: for closes to be answered */
#define STOPPING      "the server is stopping"

struct tail_row {
	struct kept *k;
	int64_t due; /* monotonic: not sent before */
	uint64_t seq;
};

struct tail {
	struct tails *ts;
	struct tail *prev, *next;
	struct arena arena;
	struct str tenant, query;
	int64_t delay_ns, began; /* monotonic */
	bool legacy, categorize;
	_Atomic bool cancelled;

	/* the hub's thread */
	struct exec_tail *x;
	struct tail_sink *sink;
	bool waits_for_sink, waits_for_backfill, ended;
	unsigned end_code; /* closes the sink once there is one; 0: no */
	struct str end_reason;

	struct exec_result *before; /* the backfill, until it is sent */
	struct respond_row *back;
	size_t n_back, back_at, back_bytes;

	struct heap rows; /* of struct tail_row, by time */
	size_t bytes;     /* of them */
	uint64_t seq;

	struct arena dropped_arena;
	struct respond_dropped dropped[DROPPED_MAX];
	size_t n_dropped;
	uint64_t lines, lost;
};

struct tails {
	struct tails_config c;
	struct loop *loop;
	pthread_t thread;
	bool running;
	_Atomic bool woken;
	struct tail *all; /* the hub's thread */
	struct loop_timer *tick, *due;
	struct buf frame;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t left;
	struct map owners; /* tenant -> struct owner */
	size_t n;
	bool stopping;
};

struct owner {
	size_t n;
	char name[];
};

/* ---- places ---- */

static void leave(struct tails *ts, const struct tail *t)
{
	pthread_mutex_lock(&ts->lock);
	struct owner *o = map_get(&ts->owners, t->tenant);
	if (--o->n == 0) free(map_del(&ts->owners, t->tenant));
	pthread_mutex_unlock(&ts->lock);
}

static bool enter(struct tails *ts, const struct tail_spec *s, struct err *e)
{
	struct owner *o = map_get(&ts->owners, s->tenant);
	int64_t n = o ? (int64_t)o->n + 1 : 1;
	if (ts->stopping) return err_set(e, ERR_UNAVAILABLE, STOPPING);
	if (n > s->max_of_tenant)
		return err_set(e, ERR_RATE, "max concurrent tail requests limit exceeded, count > limit (%lld > %lld)",
			       (long long)n, (long long)s->max_of_tenant);
	if (!o) {
		o = mem_zalloc(sizeof *o + s->tenant.n + 1);
		memcpy(o->name, s->tenant.p, s->tenant.n);
		map_put(&ts->owners, str_of(o->name, s->tenant.n), o);
	}
	o->n++;
	ts->n++;
	return true;
}

/* ---- rows that wait ---- */

static bool by_time(const void *a, const void *b, void *ud)
{
	const struct tail_row *x = a, *y = b;
	(void)ud;
	return x->k->ts != y->k->ts ? x->k->ts < y->k->ts : x->seq < y->seq;
}

static void note_dropped(struct tail *t, int64_t ts, const struct labels *l)
{
	t->lost++;
	if (t->n_dropped == DROPPED_MAX || t->dropped_arena.used > DROPPED_BYTES) return;
	t->dropped[t->n_dropped++] = (struct respond_dropped){ts, labels_copy(&t->dropped_arena, l)};
}

/* Late ones have waited already; those from the future wait as if they were from now. */
static int64_t when_due(const struct tail *t, int64_t ts)
{
	int64_t age;
	if (t->delay_ns == 0) return 0;
	if (__builtin_sub_overflow(clock_wall(&clock_real), ts, &age) || age > t->delay_ns) return 0;
	return clock_mono(&clock_real) + t->delay_ns - (age > 0 ? age : 0);
}

static void take_row(void *ud, struct kept *k)
{
	struct tail *t = ud;
	size_t bytes = k->bytes + sizeof(struct tail_row);
	if (t->bytes + bytes > QUEUE_BYTES || !budget_take(t->ts->c.memory, bytes)) {
		note_dropped(t, k->ts, &k->labels);
		free(k);
		return;
	}
	struct tail_row *r = mem_alloc(sizeof *r);
	*r = (struct tail_row){k, when_due(t, k->ts), t->seq++};
	t->bytes += bytes;
	heap_push(&t->rows, r);
}

static void row_free(struct tail *t, struct tail_row *r)
{
	size_t bytes = r->k->bytes + sizeof *r;
	t->bytes -= bytes;
	budget_give(t->ts->c.memory, bytes);
	free(r->k);
	free(r);
}

static void back_free(struct tail *t)
{
	if (!t->before) return;
	exec_result_free(t->before);
	free(t->back);
	budget_give(t->ts->c.memory, t->back_bytes);
	t->before = NULL;
	t->back = NULL;
	t->n_back = t->back_at = 0;
}

/* ---- frames ---- */

static void put_frame(struct tail *t, const struct respond_row *v, size_t n)
{
	struct buf *b = &t->ts->frame;
	uint64_t before = t->sink->bytes;
	buf_clear(b);
	respond_tail(b, &(struct respond_tail){.rows = v,
					       .n = n,
					       .dropped = t->dropped,
					       .n_dropped = t->n_dropped,
					       .categorize = t->categorize,
					       .legacy = t->legacy});
	t->n_dropped = 0;
	arena_reset(&t->dropped_arena);
	t->sink->ops->put(t->sink, buf_view(b));
	t->lines += n;
	if (t->ts->c.metrics) metrics_inc(t->ts->c.metrics, METRIC_TAIL_BYTES, (double)(t->sink->bytes - before));
}

static void send_back(struct tail *t)
{
	size_t n = 0, bytes = 0;
	for (; n < FRAME_ROWS && t->back_at + n < t->n_back && (n == 0 || bytes < FRAME_BYTES); n++)
		bytes += t->back[t->back_at + n].entry.line.n;
	put_frame(t, t->back + t->back_at, n);
	t->back_at += n;
	if (t->back_at == t->n_back) back_free(t);
}

/* Of the rows that are due; false: there are none. */
static bool send_rows(struct tail *t, int64_t now)
{
	struct respond_row v[FRAME_ROWS];
	struct tail_row *taken[FRAME_ROWS], *r;
	size_t n = 0, bytes = 0;
	while (n < FRAME_ROWS && (n == 0 || bytes < FRAME_BYTES) && (r = heap_top(&t->rows)) && r->due <= now) {
		const struct kept *k = r->k;
		heap_pop(&t->rows);
		v[n] = (struct respond_row){&k->labels, {k->ts, k->line, k->meta, k->parsed}};
		taken[n++] = r;
		bytes += k->line.n;
	}
	if (n == 0 && t->n_dropped == 0) return false;
	put_frame(t, v, n);
	for (size_t i = 0; i < n; i++) row_free(t, taken[i]);
	return n > 0;
}

static void send(struct tail *t, int64_t now)
{
	if (!t->sink || t->waits_for_backfill) return;
	while (t->sink->ops->room(t->sink)) {
		if (t->n_back)
			send_back(t);
		else if (!send_rows(t, now))
			break;
	}
}

/* ---- one tail's life: the hub's thread ---- */

static void log_end(const struct tail *t)
{
	if (!t->sink) return;
	log_each("tail", kv_str("tenant", t->tenant), kv_str("query", t->query),
		 kv_dur("duration", clock_mono(&clock_real) - t->began), kv_i("lines", (int64_t)t->lines),
		 kv_i("bytes", (int64_t)t->sink->bytes), kv_i("dropped", (int64_t)t->lost), kv_c("end", t->sink->why));
}

static void count(struct tails *ts, int by)
{
	if (ts->c.metrics) metrics_inc(ts->c.metrics, METRIC_TAILS, by);
}

/* It takes nothing any more, and its place is free. */
static void end(struct tail *t)
{
	if (t->ended) return;
	t->ended = true;
	atomic_store(&t->cancelled, true);
	if (t->ts->c.metrics) metrics_inc(t->ts->c.metrics, METRIC_TAIL_DROPPED, (double)t->lost);
	exec_tail_close(t->x);
	t->x = NULL;
	back_free(t);
	for (struct tail_row *r; (r = heap_pop(&t->rows));) row_free(t, r);
	leave(t->ts, t);
	count(t->ts, -1);
}

static void tail_close(struct tail *t, unsigned code, struct str reason)
{
	if (!t->end_code) {
		t->end_code = code;
		t->end_reason = arena_str(&t->arena, reason);
	}
	end(t);
	if (t->sink) t->sink->ops->close(t->sink, t->end_code, t->end_reason);
}

static void tail_free(struct tail *t)
{
	struct tails *ts = t->ts;
	*(t->prev ? &t->prev->next : &ts->all) = t->next;
	if (t->next) t->next->prev = t->prev;
	log_end(t);
	if (t->sink) t->sink->ops->free(t->sink);
	heap_free(&t->rows);
	arena_free(&t->dropped_arena);
	arena_free(&t->arena);
	free(t);
	pthread_mutex_lock(&ts->lock);
	ts->n--;
	pthread_cond_broadcast(&ts->left);
	pthread_mutex_unlock(&ts->lock);
}

/* Frees it when nobody is left who could touch it. True: it is gone. */
static bool settle(struct tail *t)
{
	if (t->sink && t->sink->closing) end(t);
	bool idle = t->ended && !t->waits_for_sink && !t->waits_for_backfill && (!t->sink || t->sink->gone);
	if (idle) tail_free(t);
	return idle;
}

/* Entries that came faster than stages run: which, nobody knows. */
static void note_lost(struct tail *t)
{
	uint64_t n = exec_tail_lost(t->x);
	if (n == 0) return;
	note_dropped(t, clock_wall(&clock_real), &(struct labels){0});
	t->lost += n - 1;
}

/* True: there is more. */
static bool take_rows(struct tail *t, int64_t now)
{
	struct err e = ERR_INIT;
	for (int i = 0; i < TURN && t->x; i++) {
		if (!exec_tail_next(t->x, take_row, t, &e)) {
			note_lost(t);
			if (e.code) tail_close(t, WS_INTERNAL, str_c(e.msg));
			return false;
		}
		send(t, now);
	}
	return t->x != NULL;
}

static int64_t next_due(const struct tail *t)
{
	const struct tail_row *r = heap_top(&t->rows);
	return r && t->sink && !t->waits_for_backfill ? r->due : INT64_MAX;
}

static void serve(void *ud);

static void wake(struct tails *ts)
{
	if (!atomic_exchange(&ts->woken, true)) loop_post(ts->loop, serve, ts);
}

static void serve(void *ud)
{
	struct tails *ts = ud;
	int64_t now = clock_mono(&clock_real), due = INT64_MAX;
	bool more = false;
	atomic_store(&ts->woken, false);
	for (struct tail *t = ts->all, *next; t; t = next) {
		next = t->next;
		more |= take_rows(t, now);
		send(t, now);
		if (settle(t)) continue;
		if (next_due(t) > now && next_due(t) < due) due = next_due(t);
	}
	loop_timer_set(ts->due, due == INT64_MAX ? -1 : due - now);
	if (more) wake(ts);
}

static void on_due(void *ud) { serve(ud); }

static void on_tick(void *ud)
{
	struct tails *ts = ud;
	int64_t now = clock_mono(&clock_real);
	size_t streams = 0;
	for (struct tail *t = ts->all, *next; t; t = next) {
		next = t->next;
		if (t->x) streams += exec_tail_streams(t->x);
		if (!t->ended && ts->c.max_duration_ns && now - t->began > ts->c.max_duration_ns)
			tail_close(t, WS_INTERNAL, STR("reached tail max duration limit"));
		if (t->sink) t->sink->ops->tick(t->sink, now);
		settle(t);
	}
	if (ts->c.metrics) metrics_put(ts->c.metrics, METRIC_TAIL_STREAMS, (double)streams);
	loop_timer_set(ts->tick, TICK);
}

/* ---- what openers say: posted to the hub's thread ---- */

struct message {
	struct tail *t;
	struct exec_tail *x;
	struct httpd_conn *conn;
	struct httpd_stream *stream;
	struct exec_result *r;
	struct err e;
};

static void say(struct tail *t, loop_fn *fn, struct message m)
{
	struct message *own = mem_alloc(sizeof *own);
	*own = m;
	own->t = t;
	loop_post(t->ts->loop, fn, own);
}

static void on_added(void *ud)
{
	struct tail *t = ud;
	struct tails *ts = t->ts;
	t->next = ts->all;
	if (t->next) t->next->prev = t;
	ts->all = t;
	count(ts, 1);
}

static void on_follow(void *ud)
{
	struct message *m = ud;
	if (m->t->ended)
		exec_tail_close(m->x);
	else
		m->t->x = m->x;
	wake(m->t->ts);
	free(m);
}

static void on_changed(void *ud) { wake(((struct tail *)ud)->ts); }

static void on_attached(void *ud)
{
	struct message *m = ud;
	struct tail *t = m->t;
	int64_t now = clock_mono(&clock_real);
	t->waits_for_sink = false;
	if (m->conn) t->sink = tail_sink_ws(t->ts->loop, m->conn, now, on_changed, t, &m->e);
	if (m->stream) t->sink = tail_sink_events(m->stream, now);
	if (m->e.code) log_error("a tail cannot be served", kv_err(&m->e));
	if (!t->sink)
		end(t);
	else if (t->end_code)
		tail_close(t, t->end_code, t->end_reason);
	free(m);
	wake(t->ts);
}

static int by_place(const void *a, const void *b)
{
	const struct respond_row *x = a, *y = b;
	if (x->entry.ts != y->entry.ts) return x->entry.ts < y->entry.ts ? -1 : 1;
	if (x->labels != y->labels) return x->labels < y->labels ? -1 : 1;
	return x->place > y->place ? -1 : 1; /* it was read backward */
}

/* In order of time. False: there is no memory to keep it for a client that reads slowly. */
static bool keep_back(struct tail *t, struct exec_result *r)
{
	size_t n = 0, bytes = r->arena.used;
	for (size_t i = 0; i < r->n_streams; i++) n += r->streams[i].n;
	bytes += n * sizeof *t->back;
	if (!budget_take(t->ts->c.memory, bytes)) {
		exec_result_free(r);
		return false;
	}
	t->before = r;
	t->back_bytes = bytes;
	t->back = mem_alloc((n + 1) * sizeof *t->back);
	for (size_t i = 0; i < r->n_streams; i++) {
		const struct exec_stream *s = &r->streams[i];
		for (size_t k = 0; k < s->n; k++) t->back[t->n_back++] = (struct respond_row){&s->labels, s->v[k], k};
	}
	if (n)
		qsort(t->back, n, sizeof *t->back, by_place);
	else
		back_free(t);
	return true;
}

static void on_backfill(void *ud)
{
	struct message *m = ud;
	struct tail *t = m->t;
	t->waits_for_backfill = false;
	if (t->ended)
		exec_result_free(m->r);
	else if (!m->r)
		tail_close(t, WS_INTERNAL, str_c(m->e.msg));
	else if (!keep_back(t, m->r))
		tail_close(t, WS_INTERNAL, STR("no memory for the entries since start: larch.memory_limit"));
	free(m);
	wake(t->ts);
}

static void on_cancel(void *ud)
{
	struct tail *t = ud;
	end(t);
	t->waits_for_backfill = false;
	settle(t);
}

/* ---- for openers ---- */

struct tail *tails_add(struct tails *ts, const struct tail_spec *s, struct err *e)
{
	pthread_mutex_lock(&ts->lock);
	bool ok = enter(ts, s, e);
	pthread_mutex_unlock(&ts->lock);
	if (!ok) return NULL;
	struct tail *t = mem_zalloc(sizeof *t);
	t->ts = ts;
	t->delay_ns = s->delay_ns;
	t->legacy = s->legacy;
	t->categorize = s->categorize;
	t->began = clock_mono(&clock_real);
	t->rows.less = by_time;
	t->waits_for_backfill = true;
	arena_init(&t->arena, 0);
	arena_init(&t->dropped_arena, 0);
	t->tenant = arena_str(&t->arena, s->tenant);
	t->query = arena_str(&t->arena, s->query);
	loop_post(ts->loop, on_added, t);
	return t;
}

void tail_wake(void *t) { wake(((struct tail *)t)->ts); }
void tail_follow(struct tail *t, struct exec_tail *x) { say(t, on_follow, (struct message){.x = x}); }

static void on_upgraded(void *ud, struct httpd_conn *c) { say(ud, on_attached, (struct message){.conn = c}); }

static void on_waiting(void *ud) { ((struct tail *)ud)->waits_for_sink = true; }

void tail_attach_ws(struct tail *t, struct httpd_req *r)
{
	loop_post(t->ts->loop, on_waiting, t);
	httpd_upgrade(r, "websocket", on_upgraded, t);
}

static void on_stream(void *ud, bool broken)
{
	(void)broken;
	on_changed(ud);
}

void tail_attach_events(struct tail *t, struct httpd_req *r)
{
	loop_post(t->ts->loop, on_waiting, t);
	struct httpd_stream *s = httpd_stream(r, &(struct httpd_stream_config){.status = 200,
									       .ctype = "text/event-stream",
									       .window = TAIL_SINK_WINDOW,
									       .wake = on_stream,
									       .ud = t});
	say(t, on_attached, (struct message){.stream = s});
}

const _Atomic bool *tail_cancel_flag(const struct tail *t) { return &t->cancelled; }

void tail_backfill(struct tail *t, struct exec_result *r, const struct err *e)
{
	say(t, on_backfill, (struct message){.r = r, .e = *e});
}

void tail_cancel(struct tail *t) { loop_post(t->ts->loop, on_cancel, t); }

/* ---- start and stop ---- */

static void *run(void *ud)
{
	struct tails *ts = ud;
	struct err e = ERR_INIT;
	if (!loop_run(ts->loop, &e)) log_error("tails stop", kv_err(&e));
	return NULL;
}

struct tails *tails_new(const struct tails_config *c, struct err *e)
{
	struct tails *ts = mem_zalloc(sizeof *ts);
	pthread_condattr_t a;
	ts->c = *c;
	pthread_mutex_init(&ts->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&ts->left, &a);
	pthread_condattr_destroy(&a);
	ts->loop = loop_new(&clock_real, e);
	if (ts->loop) {
		ts->tick = loop_timer_add(ts->loop, TICK, on_tick, ts);
		ts->due = loop_timer_add(ts->loop, -1, on_due, ts);
		errno = pthread_create(&ts->thread, NULL, run, ts);
		ts->running = errno == 0;
		if (ts->running) return ts;
		err_errno(e, "start a thread for tails");
	}
	tails_free(ts);
	return NULL;
}

static void on_stop(void *ud)
{
	struct tails *ts = ud;
	for (struct tail *t = ts->all, *next; t; t = next) {
		next = t->next;
		tail_close(t, WS_GOING_AWAY, STR(STOPPING));
		settle(t);
	}
}

static void on_cut(void *ud)
{
	struct tails *ts = ud;
	for (struct tail *t = ts->all, *next; t; t = next) {
		next = t->next;
		if (t->sink) t->sink->gone = true;
		settle(t);
	}
}

/* With the lock held: until all have left, or the time is over. */
static bool all_left(struct tails *ts, int64_t ns)
{
	int64_t end_at = clock_mono(&clock_real) + ns;
	struct timespec at = {.tv_sec = end_at / UNITS_SEC, .tv_nsec = end_at % UNITS_SEC};
	while (ts->n && pthread_cond_timedwait(&ts->left, &ts->lock, &at) != ETIMEDOUT) {}
	return ts->n == 0;
}

void tails_stop(struct tails *ts)
{
	if (!ts) return;
	pthread_mutex_lock(&ts->lock);
	ts->stopping = true;
	pthread_mutex_unlock(&ts->lock);
	loop_post(ts->loop, on_stop, ts);
	pthread_mutex_lock(&ts->lock);
	while (!all_left(ts, FAREWELL)) {
		pthread_mutex_unlock(&ts->lock);
		loop_post(ts->loop, on_cut, ts);
		pthread_mutex_lock(&ts->lock);
	}
	pthread_mutex_unlock(&ts->lock);
}

void tails_free(struct tails *ts)
{
	if (!ts) return;
	if (ts->running) {
		loop_stop(ts->loop);
		pthread_join(ts->thread, NULL);
	}
	if (ts->tick) loop_timer_del(ts->tick);
	if (ts->due) loop_timer_del(ts->due);
	if (ts->loop) loop_free(ts->loop);
	map_free(&ts->owners);
	buf_free(&ts->frame);
	pthread_cond_destroy(&ts->left);
	pthread_mutex_destroy(&ts->lock);
	free(ts);
}
