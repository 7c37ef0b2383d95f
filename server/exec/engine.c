/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/exec.h"

#include "common/units.h"
#include "server/exec/eval.h"
#include "server/exec/logs.h"

#include <stdlib.h>

#define DEFAULT_MEMORY ((size_t)128 << 20)

struct exec_engine {
	struct pool *pool;
	struct clock *clock;
	struct exec_memory memory;
};

struct exec_engine *exec_engine_new(const struct exec_config *c)
{
	struct exec_engine *en = mem_zalloc(sizeof *en);
	en->pool = pool_new(c->threads);
	en->clock = c->clock;
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

/* ---- limits ---- */

struct limit_check {
	struct query *q;
	struct err *e;
	bool ok;
	uint64_t bytes;
};

static bool required_labels(const struct selector *s, const struct conf_strs *need, struct err *e)
{
	struct buf missing = {0}, present = {0};
	for (size_t i = 0; i < s->n; i++) buf_printf(&present, "%s%.*s", i ? ", " : "", STR_ARG(s->v[i].name));
	for (size_t k = 0; k < need->n; k++) {
		bool found = false;
		for (size_t i = 0; i < s->n; i++) found |= str_eq(s->v[i].name, need->v[k]);
		if (!found) buf_printf(&missing, "%s%.*s", missing.n ? ", " : "", STR_ARG(need->v[k]));
	}
	bool ok = missing.n == 0;
	if (!ok)
		err_set(e, ERR_INVALID,
			"stream selector is missing required matchers [%.*s], labels present in the query were [%.*s]",
			STR_ARG(buf_view(&missing)), STR_ARG(buf_view(&present)));
	buf_free(&missing);
	buf_free(&present);
	return ok;
}

static bool minimum_labels(const struct selector *s, int64_t need, struct err *e)
{
	if (need <= 0 || s->n >= (size_t)need) return true;
	struct buf present = {0};
	for (size_t i = 0; i < s->n; i++) buf_printf(&present, "%s%.*s", i ? ", " : "", STR_ARG(s->v[i].name));
	err_set(e, ERR_INVALID,
		"stream selector has less label matchers than required: (present: [%.*s], number_present: %zu, "
		"required_number_label_matchers: %lld)",
		STR_ARG(buf_view(&present)), s->n, (long long)need);
	buf_free(&present);
	return false;
}

static bool interval_limit(const struct logql_range *r, int64_t max, struct err *e)
{
	if (!r || max <= 0 || r->interval <= max) return true;
	struct buf have = {0}, may = {0};
	units_dur_prom_print(&have, r->interval);
	units_dur_prom_print(&may, max);
	err_set(e, ERR_INVALID, "[interval] value exceeds limit: [%s] > [%s]", buf_cstr(&have), buf_cstr(&may));
	buf_free(&have);
	buf_free(&may);
	return false;
}

static bool count_bytes(struct limit_check *c, const struct logql_log *log, const struct logql_range *r)
{
	const struct exec_query *in = c->q->in;
	int64_t from = in->instant ? in->end : in->start, to = in->end;
	if (r) {
		from -= r->interval + r->offset;
		to -= r->offset;
	}
	for (size_t i = 0; i < in->n_sources; i++) {
		struct reader_stats st = {0};
		if (!snapshot_stats(in->sources[i].snap, log->selector.v, log->selector.n, from, to, &st, c->e))
			return false;
		c->bytes += st.bytes;
	}
	return true;
}

static void check_log(void *ud, const struct logql_log *log, const struct logql_range *r)
{
	struct limit_check *c = ud;
	const struct limits *l = c->q->in->limits;
	if (!c->ok) return;
	int64_t max = l->max_streams_matchers_per_query;
	if (max > 0 && log->selector.n > (size_t)max)
		c->ok = err_set(c->e, ERR_INVALID,
				"max streams matchers per query exceeded, matchers-count > limit (%zu > %lld)",
				log->selector.n, (long long)max);
	c->ok = c->ok && required_labels(&log->selector, &l->required_labels, c->e) &&
		minimum_labels(&log->selector, l->minimum_labels_number, c->e) &&
		interval_limit(r, l->max_query_range, c->e) && (l->max_query_bytes_read == 0 || count_bytes(c, log, r));
}

static bool check_length(const struct exec_query *in, struct err *e)
{
	int64_t max = in->limits->max_query_length, have;
	if (__builtin_sub_overflow(in->end, in->start, &have)) have = INT64_MAX;
	if (in->instant || max <= 0 || have <= max) return true;
	struct buf x = {0}, y = {0};
	units_dur_go_print(&x, have);
	units_dur_prom_print(&y, max);
	err_set(e, ERR_INVALID, "the query time range exceeds the limit (query length: %s, limit: %s)", buf_cstr(&x),
		buf_cstr(&y));
	buf_free(&x);
	buf_free(&y);
	return false;
}

static bool check_bytes(const struct limit_check *c, struct err *e)
{
	uint64_t max = c->q->in->limits->max_query_bytes_read;
	if (max == 0 || c->bytes <= max) return true;
	struct buf x = {0}, y = {0};
	units_bytes_human_print(&x, c->bytes);
	units_bytes_human_print(&y, max);
	err_set(e, ERR_INVALID,
		"the query would read too many bytes (query: %s, limit: %s); consider adding more specific stream "
		"selectors "
		"or reduce the time range of the query",
		buf_cstr(&x), buf_cstr(&y));
	buf_free(&x);
	buf_free(&y);
	return false;
}

static bool check_limits(struct query *q, struct err *e)
{
	const struct exec_query *in = q->in;
	int64_t max = in->limits->max_entries_limit_per_query;
	if (!check_length(in, e)) return false;
	if (logql_is_log(q->ast->root) && max > 0 && in->limit > max)
		return err_set(e, ERR_INVALID,
			       "max entries limit per query exceeded, limit > max_entries_limit_per_query (%u > %lld)",
			       in->limit, (long long)max);
	struct limit_check c = {q, e, true, 0};
	logql_each_log(q->ast->root, check_log, &c);
	return c.ok && check_bytes(&c, e);
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

static void note_warnings(struct query *q)
{
	struct exec_result *r = q->out;
	r->warnings = arena_alloc(&r->arena, q->in->n_sources * sizeof *r->warnings);
	for (size_t i = 0; i < q->in->n_sources; i++) {
		struct str w = snapshot_warning(q->in->sources[i].snap);
		if (w.n) r->warnings[r->n_warnings++] = arena_str(&r->arena, w);
	}
}

void query_init(struct query *q, struct exec_engine *en, const struct exec_query *in)
{
	int64_t timeout = in->limits->query_timeout;
	*q = (struct query){.in = in, .pool = en->pool, .clock = en->clock, .shared = &en->memory};
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

bool query_parse(struct query *q, struct err *e)
{
	q->ast = q->in->extensions ? logql_parse_extended(&q->arena, q->in->text, e)
				   : logql_parse(&q->arena, q->in->text, e);
	if (!q->ast) return false;
	if (q->in->instant && logql_is_log(q->ast->root))
		return err_set(
			e, ERR_INVALID,
			"log queries are not supported as an instant query type, please change your query to a range "
			"query type");
	return check_limits(q, e) && logql_compile(q->ast, e);
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
		note_warnings(&q);
		bool log = logql_is_log(q.ast->root);
		if (!query_look_back(&q, &moved))
			q.out->kind = log ? EXEC_STREAMS : in->instant ? EXEC_VECTOR : EXEC_MATRIX;
		else
			ok = log ? logs_query(&q, e) : eval_query(&q, e);
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
