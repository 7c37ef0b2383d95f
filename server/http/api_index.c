/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a selection costs, and who writes how much: index/stats, index/shards and index/volume, exact rather than by
 * chunk. */
#include "common/units.h"
#include "server/exec/labelsets.h"
#include "server/http/api_query.h"
#include "server/http/respond.h"

#include <stdlib.h>

/* ---- stats ---- */

/* Of what the parameter `query` selects, over all tenants. */
static bool sum_stats(struct api_read *a, struct reader_stats *sum)
{
	struct logql *q = logql_parse_matchers(&a->arena, api_arg(a->req, "query"), &a->err);
	bool ok = q != NULL;
	for (size_t i = 0; ok && a->from < a->end && i < a->n_sources; i++) {
		const struct selector *s = &q->root->log->selector;
		struct reader_stats one = {0};
		ok = snapshot_stats(a->sources[i].snap, s->v, s->n, a->from, a->end, &one, &a->err);
		sum->streams += one.streams;
		sum->chunks += one.chunks;
		sum->bytes += one.bytes;
		sum->entries += one.entries;
	}
	logql_free(q);
	return ok;
}

static void print_stats(struct buf *b, const struct reader_stats *st)
{
	buf_printf(b, "{\"streams\":%llu,\"chunks\":%llu,\"bytes\":%llu,\"entries\":%llu}",
		   (unsigned long long)st->streams, (unsigned long long)st->chunks, (unsigned long long)st->bytes,
		   (unsigned long long)st->entries);
}

static void get_stats(struct httpd_req *r, void *ctx)
{
	struct api_read a;
	struct reader_stats st = {0};
	struct buf b = {0};
	if (!api_read_open(&a, r, ctx)) return;
	if (!sum_stats(&a, &st)) {
		api_read_fail(&a);
		return;
	}
	print_stats(&b, &st);
	buf_ch(&b, '\n');
	api_read_reply(&a, &b);
}

/* ---- shards: ranges of stream hashes, a power of two of them, each with its share of the bytes ---- */

#define SHARDS_MAX 1024u

static bool shard_count(struct api_read *a, const struct reader_stats *st, uint64_t *n)
{
	struct str text = api_arg(a->req, "targetBytesPerShard");
	uint64_t target;
	if (!text.n) return err_set(&a->err, ERR_INVALID, "missing targetBytesPerShard");
	if (!units_bytes_human(text, &target, &a->err)) return false;
	if (!target) return err_set(&a->err, ERR_INVALID, "targetBytesPerShard must be a positive value");
	while (*n < SHARDS_MAX && st->bytes / *n > target) *n *= 2;
	return true;
}

/* The i-th of n whole parts of a sum. */
static uint64_t part(uint64_t sum, uint64_t n, uint64_t i) { return sum / n + (i < sum % n); }

static void get_shards(struct httpd_req *r, void *ctx)
{
	struct api_read a;
	struct reader_stats st = {0};
	struct buf b = {0};
	uint64_t n = 1;
	if (!api_read_open(&a, r, ctx)) return;
	if (!sum_stats(&a, &st) || !shard_count(&a, &st, &n)) {
		api_read_fail(&a);
		return;
	}
	uint64_t width = UINT64_MAX / n + (n > 1);
	for (uint64_t i = 0; i < n; i++) {
		struct reader_stats share = {
			.streams = part(st.streams, n, i),
			.chunks = part(st.chunks, n, i),
			.entries = part(st.entries, n, i),
			.bytes = part(st.bytes, n, i),
		};
		buf_printf(&b, "%s{\"bounds\":{\"min\":%llu,\"max\":%llu},\"stats\":", i ? "," : "{\"shards\":[",
			   (unsigned long long)(i * width),
			   (unsigned long long)(i + 1 < n ? (i + 1) * width - 1 : UINT64_MAX));
		print_stats(&b, &share);
		buf_ch(&b, '}');
	}
	buf_c(&b, "],\"statistics\":");
	respond_stats(&b, &(struct exec_stats){0});
	buf_c(&b, ",\"chunkGroups\":null}");
	api_read_reply(&a, &b);
}

/* ---- volume ---- */

struct volume {
	struct api_read a;
	struct api_selectors sel;
	struct str *targets; /* labels that name a series */
	size_t n_targets;
	bool every_label; /* no targets and no matchers: all labels do */
	bool by_label;    /* aggregateBy=labels: one series per label name */
	uint32_t limit;
	int64_t step;
	size_t n_steps;
	struct labelsets sets;
	uint64_t *bytes;  /* per series, n_steps each */
	size_t cap, held; /* of series; bytes of the queries' memory */
	uint64_t *one;    /* of the stream at hand, per step */
	int64_t deadline; /* monotonic; 0: none */
};

static bool is_target(const struct volume *v, struct str name)
{
	for (size_t i = 0; i < v->n_targets; i++)
		if (str_eq(v->targets[i], name)) return true;
	return v->every_label;
}

static bool volume_grow(struct volume *v)
{
	size_t cap = v->cap ? v->cap * 2 : 16, more = (cap - v->cap) * v->n_steps * sizeof *v->bytes;
	struct budget *memory = exec_budget(v->a.api->engine);
	if (!budget_take(memory, more))
		return err_set(&v->a.err, ERR_INVALID,
			       "volumes of %zu series at %zu steps need more memory than larch.memory_limit leaves for "
			       "queries (%zu of %zu KiB are in use); ask for fewer steps or labels, or raise "
			       "larch.memory_limit",
			       v->sets.n, v->n_steps, budget_used(memory) >> 10, memory->limit >> 10);
	v->held += more;
	v->cap = cap;
	v->bytes = mem_realloc(v->bytes, cap * v->n_steps * sizeof *v->bytes);
	return true;
}

static bool volume_add(struct volume *v, const struct labels *l)
{
	size_t before = v->sets.n, max = (size_t)v->a.limits->volume_max_series;
	uint32_t id = labelsets_add(&v->sets, l, LABELSETS_COPY);
	if (max && v->sets.n > max)
		return err_set(&v->a.err, ERR_INVALID,
			       "the query hit the max number of series limit (limit: %zu series)", max);
	if (v->sets.n > before) {
		if (id >= v->cap && !volume_grow(v)) return false;
		memset(v->bytes + id * v->n_steps, 0, v->n_steps * sizeof *v->bytes);
	}
	for (size_t k = 0; k < v->n_steps; k++) v->bytes[id * v->n_steps + k] += v->one[k];
	return true;
}

/* Line bytes of one stream into v->one. */
static bool count_stream(struct volume *v, const struct exec_source *src, const struct reader_stream *st)
{
	struct scan_opts o = {
		.only = st,
		.from = v->a.from,
		.to = v->a.end,
		.forward = true,
		.want = SCAN_LEN,
		.cancel = httpd_cancel_flag(v->a.req),
		.deadline_mono = v->deadline,
	};
	struct scan_batch b;
	struct scan *sc = scan_open(src->snap, &o, &v->a.err);
	if (!sc) return false;
	memset(v->one, 0, v->n_steps * sizeof *v->one);
	while (scan_next(sc, &b, &v->a.err))
		for (size_t i = 0; i < b.n; i++) v->one[(b.ts[i] - v->a.start) / v->step] += b.len[i];
	scan_close(sc);
	return v->a.err.code == ERR_NONE;
}

static bool add_stream(void *ud, const struct exec_source *src, const struct reader_stream *st)
{
	struct volume *v = ud;
	struct labels l = {mem_alloc((st->labels.n + 1) * sizeof *l.v), 0};
	for (size_t i = 0; i < st->labels.n; i++)
		if (is_target(v, st->labels.v[i].name)) l.v[l.n++] = st->labels.v[i];
	/* A stream without one of the target labels is nobody's. */
	bool counts = v->by_label ? l.n > 0 : v->every_label || l.n == v->n_targets;
	bool ok = !counts || count_stream(v, src, st);
	if (counts && ok && !v->by_label) ok = volume_add(v, &l);
	for (size_t i = 0; counts && ok && v->by_label && i < l.n; i++) {
		struct label name = {l.v[i].name, STR("")};
		ok = volume_add(v, &(struct labels){&name, 1});
	}
	free(l.v);
	return ok;
}

static void add_target(struct volume *v, struct str name, size_t *cap)
{
	name = str_trim(name);
	for (size_t i = 0; i < v->n_targets; i++)
		if (str_eq(v->targets[i], name)) return;
	if (name.n) *ARENA_PUSH(&v->a.arena, v->targets, v->n_targets, *cap) = name;
}

static void find_targets(struct volume *v)
{
	size_t cap = 0;
	struct str rest = api_arg(v->a.req, "targetLabels"), name;
	for (bool more = rest.n > 0; more;) {
		more = str_cut(&rest, ',', &name);
		add_target(v, name, &cap);
	}
	v->every_label = v->n_targets == 0 && (v->by_label || v->sel.n == 0);
	if (v->n_targets || v->every_label) return;
	const struct selector *s = &v->sel.v[0]->root->log->selector;
	for (size_t i = 0; i < s->n; i++) add_target(v, s->v[i].name, &cap);
}

static bool volume_params(struct volume *v, bool range)
{
	struct err *e = &v->a.err;
	struct str by = api_arg(v->a.req, "aggregateBy");
	v->by_label = str_eqc(by, "labels");
	if (by.n && !v->by_label && !str_eqc(by, "series"))
		return err_set(e, ERR_INVALID, "invalid aggregation option");
	if (!api_limit(v->a.req, "limit", 100, &v->limit, e)) return false;
	if (v->a.end <= v->a.start)
		return err_set(e, ERR_INVALID, "end timestamp must not be before or equal to start time");
	if (__builtin_sub_overflow(v->a.end, v->a.start, &v->step))
		return err_set(e, ERR_INVALID, "the range from start to end is longer than 292 years");
	if (range && !api_step(v->a.req, v->a.start, v->a.end, &v->step, e)) return false;
	v->n_steps = (size_t)((v->a.end - v->a.start - 1) / v->step) + 1;
	return api_selectors(&v->a, "query", &v->sel);
}

struct ranked {
	uint32_t id;
	uint64_t total;
	const struct labels *labels;
};

static int by_volume(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->total != y->total) return x->total > y->total ? -1 : 1;
	return labels_cmp(x->labels, y->labels);
}

/* The end of a step's interval, which is just before the next one's begin. */
static int64_t step_time(const struct volume *v, size_t k)
{
	return k + 1 == v->n_steps ? v->a.end : v->a.start + (int64_t)(k + 1) * v->step - UNITS_MS;
}

static void print_series(struct buf *b, const struct volume *v, const struct ranked *s, bool matrix)
{
	buf_c(b, "{\"metric\":");
	respond_labels(b, s->labels);
	buf_c(b, matrix ? ",\"values\":[" : ",\"value\":");
	for (size_t k = 0; k < v->n_steps; k++) {
		buf_c(b, k ? ",[" : "[");
		respond_time(b, step_time(v, k));
		buf_printf(b, ",\"%llu\"]", (unsigned long long)v->bytes[s->id * v->n_steps + k]);
	}
	buf_c(b, matrix ? "]}" : "}");
}

static void print_volume(struct buf *b, struct volume *v)
{
	bool matrix = v->n_steps > 1;
	size_t n = v->sets.n;
	struct ranked *r = mem_zalloc((n + 1) * sizeof *r);
	for (size_t i = 0; i < n; i++) {
		r[i] = (struct ranked){.id = (uint32_t)i, .labels = &v->sets.v[i]};
		for (size_t k = 0; k < v->n_steps; k++) r[i].total += v->bytes[i * v->n_steps + k];
	}
	qsort(r, n, sizeof *r, by_volume);
	buf_printf(b, "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",\"result\":[",
		   matrix ? "matrix" : "vector");
	for (size_t i = 0; i < n && i < v->limit; i++) {
		if (i) buf_ch(b, ',');
		print_series(b, v, &r[i], matrix);
	}
	buf_c(b, "],\"stats\":");
	respond_stats(b, &(struct exec_stats){0});
	buf_c(b, "}}");
	free(r);
}

static void volume_with(struct httpd_req *r, void *ctx, bool range)
{
	struct volume v = {0};
	struct buf b = {0};
	if (!api_read_open(&v.a, r, ctx)) return;
	if (!v.a.limits->volume_enabled) {
		err_set(&v.a.err, ERR_NOT_FOUND, "not found");
		api_read_fail(&v.a);
		return;
	}
	labelsets_init(&v.sets, &v.a.arena);
	if (v.a.limits->query_timeout > 0) v.deadline = clock_mono(v.a.api->clock) + v.a.limits->query_timeout;
	bool ok = volume_params(&v, range);
	if (ok) {
		find_targets(&v);
		v.one = mem_alloc(v.n_steps * sizeof *v.one);
		ok = api_each_stream(&v.a, &v.sel, add_stream, &v);
		if (ok) print_volume(&b, &v);
		api_selectors_free(&v.sel);
	}
	free(v.one);
	free(v.bytes);
	budget_give(exec_budget(v.a.api->engine), v.held);
	labelsets_free(&v.sets);
	if (ok)
		api_read_reply(&v.a, &b);
	else
		api_read_fail(&v.a);
}

static void get_volume(struct httpd_req *r, void *ctx) { volume_with(r, ctx, false); }
static void get_volume_range(struct httpd_req *r, void *ctx) { volume_with(r, ctx, true); }

static const struct httpd_route routes[] = {
	{.methods = "GET POST", .path = "/loki/api/v1/index/stats", .fn = get_stats, .name = "loki_api_v1_index_stats"},
	{.methods = "GET POST",
	 .path = "/loki/api/v1/index/shards",
	 .fn = get_shards,
	 .name = "loki_api_v1_index_shards"},
	{.methods = "GET POST",
	 .path = "/loki/api/v1/index/volume",
	 .fn = get_volume,
	 .name = "loki_api_v1_index_volume"},
	{.methods = "GET POST",
	 .path = "/loki/api/v1/index/volume_range",
	 .fn = get_volume_range,
	 .name = "loki_api_v1_index_volume_range"},
};

const struct api_table api_index_table = API_QUEUED_TABLE(routes);
