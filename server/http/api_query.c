/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/api_query.h"

#include "common/json.h"
#include "common/log.h"
#include "server/http/queries.h"
#include "server/http/respond.h"
#include "server/metrics.h"

#include <ctype.h>

/* ---- shared ---- */

static void close_read(struct api_read *a)
{
	for (size_t i = 0; i < a->n_sources; i++) {
		snapshot_free(a->sources[i].snap);
		overrides_put(a->held[i]);
	}
	arena_free(&a->arena);
}

static const struct limits *strictest(struct api_read *a)
{
	if (a->n_sources == 1) return a->held[0];
	struct limits *l = arena_alloc(&a->arena, sizeof *l);
	*l = *a->held[0];
	for (size_t i = 1; i < a->n_sources; i++) limits_strictest(l, a->held[i], &a->arena);
	return l;
}

static int64_t visible_from(const struct api_read *a)
{
	int64_t max = a->limits->max_query_lookback, oldest = clock_wall(a->api->clock) - max;
	return max > 0 && a->start < oldest ? oldest : a->start;
}

bool api_read_open(struct api_read *a, struct httpd_req *r, void *ctx)
{
	struct str *tenants;
	size_t n;
	*a = (struct api_read){.api = ctx, .req = r, .err = ERR_INIT};
	arena_init(&a->arena, 0);
	if (!api_tenants(a->api, r, &a->arena, &tenants, &n)) {
		arena_free(&a->arena);
		return false;
	}
	if (!api_bounds(r, clock_wall(a->api->clock), &a->start, &a->end, &a->err)) {
		api_read_fail(a);
		return false;
	}
	a->sources = arena_alloc(&a->arena, n * sizeof *a->sources);
	a->held = arena_alloc(&a->arena, n * sizeof *a->held);
	for (; a->n_sources < n; a->n_sources++) {
		struct str t = tenants[a->n_sources];
		a->sources[a->n_sources] = (struct exec_source){t, snapshot_take(a->api->store, t)};
		a->held[a->n_sources] = overrides_get(a->api->overrides, t);
	}
	a->limits = strictest(a);
	a->from = visible_from(a);
	return true;
}

void api_read_fail(struct api_read *a)
{
	struct httpd_req *r = a->req;
	struct err e = a->err;
	close_read(a);
	api_fail(r, &e);
}

void api_read_reply(struct api_read *a, struct buf *body)
{
	struct httpd_req *r = a->req;
	close_read(a);
	api_json(r, body);
}

struct str api_query_tags(struct arena *a, const struct httpd_req *r)
{
	struct str raw = httpd_header(r, "X-Query-Tags");
	if (!raw.n) return STR("");
	char *p = arena_cstr(a, raw);
	for (size_t i = 0; i < raw.n; i++)
		if (!isalnum((unsigned char)p[i]) && !(p[i] && strchr("-=.@, ", p[i]))) p[i] = '_';
	return str_of(p, raw.n);
}

struct exec_query api_query_base(struct api_read *a, struct str text)
{
	struct str tags = api_query_tags(&a->arena, a->req), source = exec_tag(tags, STR("source"));
	return (struct exec_query){
		.text = text,
		.start = a->start,
		.end = a->end,
		.step = 1,
		.limit = 100,
		.extensions = api_extensions(a->api, a->req),
		.sources = a->sources,
		.n_sources = a->n_sources,
		.limits = a->limits,
		.tags = tags,
		/* Logs Drilldown would rather show some series than none. */
		.partial = source.p && str_ieq(source, STR("grafana-lokiexplore-app")),
		.cancel = httpd_cancel_flag(a->req),
	};
}

static bool takes_everything(struct str s)
{
	s = str_trim(s);
	return s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}' && str_trim(str_sub(s, 1, s.n - 1)).n == 0;
}

bool api_selectors(struct api_read *a, const char *name, struct api_selectors *out)
{
	size_t n = httpd_args(a->req, name, NULL, 0);
	struct str *texts = arena_alloc(&a->arena, (n + 1) * sizeof *texts);
	httpd_args(a->req, name, texts, n);
	*out = (struct api_selectors){arena_alloc(&a->arena, (n + 1) * sizeof *out->v), 0};
	if (n == 1 && takes_everything(texts[0])) return true;
	for (size_t i = 0; i < n; i++) {
		struct logql *q = logql_parse_matchers(&a->arena, texts[i], &a->err);
		if (!q) {
			api_selectors_free(out);
			return false;
		}
		out->v[out->n++] = q;
	}
	return true;
}

void api_selectors_free(struct api_selectors *s)
{
	for (size_t i = 0; i < s->n; i++) logql_free(s->v[i]);
	s->n = 0;
}

struct each {
	struct api_read *a;
	const struct api_selectors *sel;
	size_t at;
	const struct exec_source *src;
	bool (*fn)(void *ud, const struct exec_source *src, const struct reader_stream *st);
	void *ud;
	bool stopped;
};

/* A stream counts with the first selector that takes it. */
static bool each_stream(void *ud, const struct reader_stream *st)
{
	struct each *x = ud;
	for (size_t i = 0; i < x->at; i++)
		if (selector_match(&x->sel->v[i]->root->log->selector, &st->labels)) return true;
	if (atomic_load_explicit(httpd_cancel_flag(x->a->req), memory_order_relaxed))
		x->stopped = !err_set(&x->a->err, ERR_CANCELLED, "the request was cancelled by the client");
	else
		x->stopped = !x->fn(x->ud, x->src, st);
	return !x->stopped;
}

bool api_each_stream(struct api_read *a, const struct api_selectors *s,
		     bool (*fn)(void *ud, const struct exec_source *src, const struct reader_stream *st), void *ud)
{
	struct each x = {.a = a, .sel = s, .fn = fn, .ud = ud};
	if (a->from > a->end) return true;
	for (size_t i = 0; i < a->n_sources; i++) {
		x.src = &a->sources[i];
		for (x.at = 0; x.at < (s->n ? s->n : 1) && !x.stopped; x.at++) {
			const struct selector *sel = s->n ? &s->v[x.at]->root->log->selector : &(struct selector){0};
			if (!snapshot_streams(x.src->snap, sel->v, sel->n, a->from, a->end, each_stream, &x, &a->err))
				return false;
		}
	}
	return a->err.code == ERR_NONE;
}

/* ---- /loki/api/v1/query, query_range ---- */

bool api_wants_categories(const struct httpd_req *r)
{
	struct str rest = httpd_header(r, "X-Loki-Response-Encoding-Flags"), flag;
	if (!rest.p) return false;
	for (bool more = true; more;) {
		more = str_cut(&rest, ',', &flag);
		if (str_eqc(str_trim(flag), "categorize-labels")) return true;
	}
	return false;
}

/* One line for every query, with what it cost. */
static void record(const struct api_read *a, const struct exec_query *q, const struct exec_stats *s)
{
	const struct scan_stats *scan = &s->scan;
	int status = a->err.code == ERR_NONE ? 200 : err_info(a->err.code)->http_status;
	uint64_t bytes = scan->head_bytes + scan->segment_bytes;
	struct buf code = {0};
	buf_i64(&code, status);
	struct str tenant = a->sources[0].tenant,
		   labels[] = {buf_view(&code), q->instant ? STR("instant") : STR("range")};
	if (a->api->metrics) {
		struct metrics *m = a->api->metrics;
		double seconds = (double)s->exec_ns / 1e9;
		metrics_observe(metrics_get(m, METRIC_QUERY_SECONDS, labels), seconds);
		metrics_observe(metrics_get(m, METRIC_QUERY_DURATION, &labels[1]), seconds);
		if (bytes && seconds > 0) metrics_observe(metrics_get(m, METRIC_QUERY_RATE, labels), (double)bytes / seconds);
		metrics_inc(m, METRIC_QUERY_DUPLICATES, (double)scan->duplicates);
		metrics_add(metrics_get(a->api->metrics, METRIC_QUERY_BYTES, &tenant), (double)bytes);
	}
	log_each("query", kv_str("tenant", tenant), kv_str("query", q->text), kv_str("tags", q->tags),
		 kv_str("range", labels[1]), kv_dur("length", q->end - q->start), kv_i("status", status),
		 kv_dur("duration", s->exec_ns), kv_dur("queued", s->queue_ns),
		 kv_i("lines", (int64_t)(scan->head_lines + scan->segment_lines)), kv_i("bytes", (int64_t)bytes),
		 kv_i("entries", (int64_t)s->entries), kv_err(&a->err));
	buf_free(&code);
}

static void run(struct api_read *a, const struct exec_query *q)
{
	int64_t began = clock_mono(a->api->clock);
	struct exec_result *res = exec_run(a->api->engine, q, &a->err);
	struct exec_stats failed = {0}, *stats = res ? &res->stats : &failed;
	struct buf b = {0};
	if (a->api->queries) stats->queue_ns = queries_waited(a->api->queries, a->req);
	stats->exec_ns = clock_mono(a->api->clock) - began;
	record(a, q, stats);
	if (!res) {
		api_read_fail(a);
		return;
	}
	respond_query(&b, res, q->categorize);
	exec_result_free(res);
	api_read_reply(a, &b);
}

static bool instant_params(struct api_read *a, struct exec_query *q)
{
	if (!api_time(api_arg(a->req, "time"), clock_wall(a->api->clock), &q->end, &a->err)) return false;
	q->start = q->end;
	q->instant = true;
	return api_limit(a->req, "limit", 100, &q->limit, &a->err) && api_direction(a->req, &q->forward, &a->err);
}

static bool range_params(struct api_read *a, struct exec_query *q)
{
	struct str interval = api_arg(a->req, "interval");
	if (a->end < a->start)
		return err_set(&a->err, ERR_INVALID, "end timestamp must not be before or equal to start time");
	if (!api_limit(a->req, "limit", 100, &q->limit, &a->err) || !api_direction(a->req, &q->forward, &a->err) ||
	    !api_step(a->req, a->start, a->end, &q->step, &a->err))
		return false;
	if (interval.n && !api_duration(interval, &q->interval, &a->err)) return false;
	return q->interval >= 0 || err_set(&a->err, ERR_INVALID, "interval must be >= 0");
}

static void query_with(struct httpd_req *r, void *ctx, bool (*params)(struct api_read *a, struct exec_query *q))
{
	struct api_read a;
	if (!api_read_open(&a, r, ctx)) return;
	struct exec_query q = api_query_base(&a, api_arg(r, "query"));
	q.categorize = api_wants_categories(r);
	if (params(&a, &q))
		run(&a, &q);
	else
		api_read_fail(&a);
}

static void get_query(struct httpd_req *r, void *ctx) { query_with(r, ctx, instant_params); }
static void get_query_range(struct httpd_req *r, void *ctx) { query_with(r, ctx, range_params); }

/* ---- /loki/api/v1/format_query ---- */

static void get_format_query(struct httpd_req *r, void *ctx)
{
	struct arena a;
	struct buf text = {0}, b = {0};
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	struct str query = api_arg(r, "query");
	struct logql *q = api_extensions(ctx, r) ? logql_parse_extended(&a, query, &e) : logql_parse(&a, query, &e);
	if (q)
		logql_print_pretty(&text, q->root);
	else
		buf_c(&text, e.msg);
	buf_c(&b, q ? "{\"status\":\"success\",\"data\":" : "{\"status\":\"invalid-query\",\"error\":");
	json_quote(&b, buf_view(&text), false);
	buf_c(&b, "}\n");
	logql_free(q);
	arena_free(&a);
	buf_free(&text);
	httpd_reply(r, q ? 200 : 400, "application/json; charset=utf-8", &b);
}

static const struct httpd_route routes[] = {
	{.methods = "GET POST", .path = "/loki/api/v1/query", .fn = get_query, .name = "loki_api_v1_query"},
	{.methods = "GET POST",
	 .path = "/loki/api/v1/query_range",
	 .fn = get_query_range,
	 .name = "loki_api_v1_query_range"},
	{.methods = "GET POST",
	 .path = "/loki/api/v1/format_query",
	 .fn = get_format_query,
	 .name = "loki_api_v1_format_query"},
};

const struct api_table api_query_table = API_QUEUED_TABLE(routes);
