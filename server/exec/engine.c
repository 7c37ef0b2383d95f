/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/exec.h"

#include "common/units.h"
#include "server/exec/eval.h"
#include "server/exec/guards.h"
#include "server/exec/logs.h"

#include <stdlib.h>

#define DEFAULT_MEMORY ((size_t)128 << 20)

struct exec_engine {
	struct pool *pool;
	struct clock *clock;
	struct exec_memory memory;
	void (*blocked)(void *ud, struct str tenant);
	void *ud;
};

struct exec_engine *exec_engine_new(const struct exec_config *c)
{
	struct exec_engine *en = mem_zalloc(sizeof *en);
	en->pool = pool_new(c->threads);
	en->clock = c->clock;
	en->blocked = c->blocked;
	en->ud = c->ud;
	en->memory.bytes.limit = c->query_memory ? c->query_memory : DEFAULT_MEMORY;
	return en;
}

void exec_engine_free(struct exec_engine *en)
{
	if (!en) return;
	pool_free(en->pool);
	free(en);
}

unsigned exec_running(struct exec_engine *en)
{
	return atomic_load_explicit(&en->memory.queries, memory_order_relaxed);
}

struct budget *exec_budget(struct exec_engine *en) { return &en->memory.bytes; }

/* ---- query.h ---- */

static const char timed_out[] =
	"request timed out, decrease the duration of the request or add more label matchers (prefer exact match over "
	"regex match) to reduce the amount of data processed";
static const char cancelled[] = "the request was cancelled by the client";

bool query_too_large(struct query *q, struct err *e)
{
	return err_set(
		e, ERR_INVALID,
		"the query needs more memory than larch.memory_limit leaves for queries (%zu of %zu KiB are in use); "
		"aggregate by fewer labels, reduce the time range or the limit, or raise larch.memory_limit",
		budget_used(&q->shared->bytes) >> 10, q->shared->bytes.limit >> 10);
}

/* Where memory is short, those fail that hold at least their share. */
static bool is_greediest(struct query *q)
{
	size_t mine = atomic_load_explicit(&q->memory, memory_order_relaxed);
	unsigned n = atomic_load_explicit(&q->shared->queries, memory_order_relaxed);
	return mine >= q->shared->bytes.limit / (n ? n : 1); /* none: q is a tail */
}

bool query_check(struct query *q, struct err *e)
{
	if (q->in->cancel && atomic_load_explicit(q->in->cancel, memory_order_relaxed))
		return err_set(e, ERR_CANCELLED, "%s", cancelled);
	if (atomic_load_explicit(&q->stop, memory_order_relaxed)) return err_set(e, ERR_CANCELLED, "%s", cancelled);
	if (q->deadline_mono && clock_mono(q->clock) > q->deadline_mono)
		return err_set(e, ERR_TIMEOUT, "%s", timed_out);
	return budget_used(&q->shared->bytes) <= q->shared->bytes.limit || !is_greediest(q) || query_too_large(q, e);
}

void query_charge(struct query *q, size_t n)
{
	atomic_fetch_add_explicit(&q->memory, n, memory_order_relaxed);
	budget_force(&q->shared->bytes, n);
}

void query_release(struct query *q, size_t n)
{
	atomic_fetch_sub_explicit(&q->memory, n, memory_order_relaxed);
	budget_give(&q->shared->bytes, n);
}

/* A task that was merely told to stop is not the cause. */
static bool is_cause(const struct query *q, const struct err *e)
{
	return e->code != ERR_CANCELLED || (q->in->cancel && atomic_load(q->in->cancel));
}

void query_fail(struct query *q, size_t task, const struct err *e)
{
	pthread_mutex_lock(&q->lock);
	if (is_cause(q, e) && (q->err.code == ERR_NONE || task < q->err_task)) {
		q->err = *e;
		q->err_task = task;
		if (e->code == ERR_TIMEOUT) err_set(&q->err, ERR_TIMEOUT, "%s", timed_out);
		if (e->code == ERR_CANCELLED) err_set(&q->err, ERR_CANCELLED, "%s", cancelled);
	}
	atomic_store(&q->stop, true);
	pthread_mutex_unlock(&q->lock);
}

bool query_run(struct query *q, size_t n, void (*fn)(void *ud, size_t i), void *ud, struct err *e)
{
	uint64_t owner = q->in->n_sources ? str_hash(q->in->sources[0].tenant) : 0;
	pool_run(q->pool, owner, n, fn, ud);
	if (q->err.code == ERR_NONE) return true;
	*e = q->err;
	return false;
}

void query_stats_add(struct query *q, const struct scan_stats *s, uint64_t passed)
{
	struct scan_stats *t = &q->stats.scan;
	pthread_mutex_lock(&q->lock);
	t->head_bytes += s->head_bytes;
	t->head_lines += s->head_lines;
	t->segment_bytes += s->segment_bytes;
	t->segment_lines += s->segment_lines;
	t->compressed_bytes += s->compressed_bytes;
	t->duplicates += s->duplicates;
	t->chunks += s->chunks;
	t->meta_bytes += s->meta_bytes;
	q->stats.post_filter_lines += passed;
	pthread_mutex_unlock(&q->lock);
}

/* ---- running ---- */

bool query_look_back(const struct query *q, struct exec_query *in)
{
	int64_t max = in->limits->max_query_lookback;
	if (max <= 0) return true;
	int64_t oldest = clock_wall(q->clock) - max;
	if (in->end < oldest) return false;
	if (in->start < oldest) in->start = oldest;
	return true;
}

void query_warn(struct query *q, struct str text)
{
	struct exec_result *r = q->out;
	struct str *v = arena_alloc(&r->arena, (r->n_warnings + 1) * sizeof *v);
	if (r->n_warnings) memcpy(v, r->warnings, r->n_warnings * sizeof *v);
	v[r->n_warnings++] = text;
	r->warnings = v;
}

static void note_warnings(struct query *q)
{
	for (size_t i = 0; i < q->in->n_sources; i++) {
		struct str w = snapshot_warning(q->in->sources[i].snap);
		if (w.n) query_warn(q, arena_str(&q->out->arena, w));
	}
}

void query_init(struct query *q, struct exec_engine *en, const struct exec_query *in)
{
	int64_t timeout = in->limits->query_timeout;
	*q = (struct query){.in = in, .pool = en->pool, .clock = en->clock, .shared = &en->memory};
	q->blocked = en->blocked;
	q->ud = en->ud;
	q->err = ERR_INIT;
	if (timeout > 0) q->deadline_mono = clock_mono(en->clock) + timeout;
	pthread_mutex_init(&q->lock, NULL);
	arena_init(&q->arena, 0);
}

void query_fini(struct query *q)
{
	budget_give(&q->shared->bytes, atomic_load(&q->memory));
	logql_free(q->ast);
	arena_free(&q->arena);
	pthread_mutex_destroy(&q->lock);
}

bool query_read(struct query *q, struct err *e)
{
	q->ast = q->in->extensions ? logql_parse_extended(&q->arena, q->in->text, e)
				   : logql_parse(&q->arena, q->in->text, e);
	if (!q->ast) return false;
	if (q->in->instant && logql_is_log(q->ast->root))
		return err_set(
			e, ERR_INVALID,
			"log queries are not supported as an instant query type, please change your query to a range "
			"query type");
	return true;
}

bool query_parse(struct query *q, struct err *e)
{
	return query_read(q, e) && guards_check(q, e) && logql_compile(q->ast, e);
}

void query_begin(struct query *q, struct exec_engine *en, const struct exec_query *in)
{
	query_init(q, en, in);
	atomic_fetch_add(&q->shared->queries, 1);
}

void query_end(struct query *q)
{
	struct exec_memory *shared = q->shared;
	query_fini(q);
	atomic_fetch_sub(&shared->queries, 1);
}

struct exec_result *exec_run(struct exec_engine *en, const struct exec_query *in, struct err *e)
{
	struct query q;
	struct exec_query moved = *in;
	int64_t began = clock_mono(en->clock);
	query_begin(&q, en, &moved);
	bool ok = query_parse(&q, e);
	if (ok) {
		q.out = mem_zalloc(sizeof *q.out);
		arena_init(&q.out->arena, 0);
		bool log = logql_is_log(q.ast->root);
		if (!query_look_back(&q, &moved))
			q.out->kind = log ? EXEC_STREAMS : in->instant ? EXEC_VECTOR : EXEC_MATRIX;
		else
			ok = log ? logs_query(&q, e) : eval_query(&q, e);
		note_warnings(&q);
		uint64_t entries = q.out->stats.entries;
		q.out->stats = q.stats;
		q.out->stats.entries = entries;
		q.out->stats.exec_ns = clock_mono(en->clock) - began;
	}
	if (!ok) exec_result_free(q.out);
	query_end(&q);
	return ok ? q.out : NULL;
}

void exec_result_free(struct exec_result *r)
{
	if (!r) return;
	arena_free(&r->arena);
	free(r);
}
