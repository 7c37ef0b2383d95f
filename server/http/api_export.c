/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /larch/v1/export: all entries of a log query, as lines or as JSON, however many there are.
 *
 * An export is a job of the queue of queries: it fills the window of its answer and gives the thread back; a reader
 * that is slow keeps neither a thread nor, after two seconds, anything in the store. */
#include "common/json.h"
#include "common/log.h"
#include "common/units.h"
#include "server/exec/rows.h"
#include "server/http/api_query.h"
#include "server/http/queries.h"
#include "server/http/respond.h"
#include "server/ingest/ingest.h"
#include "server/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW ((size_t)1 << 20)  /* bytes on their way to the client */
#define PIECE  ((size_t)64 << 10) /* written at once */
#define TURN   (500 * UNITS_MS)   /* before others have the thread */

struct export
{
	const struct api *api;
	struct arena arena;
	struct str tenant, query;
	struct exec_rows *rows;
	struct httpd_stream *stream;
	struct queries_job *job;
	_Atomic bool cancelled; /* by somebody, or since the client has gone */
	_Atomic bool begun;     /* all of this is set */
	bool jsonl;
	uint64_t left; /* entries; UINT64_MAX: all */
	uint64_t key;  /* of query and direction: a place is theirs alone */
	struct buf out;
	uint64_t entries, bytes;
	int64_t began; /* monotonic */
	struct err err;
};

/* ---- places as text: time.stream.n.key ---- */

static void print_place(struct buf *b, const struct exec_place *p, uint64_t key)
{
	buf_printf(b, "%" PRId64 ".%016" PRIx64 ".%" PRIu64 ".%016" PRIx64, p->ts, p->stream, p->n, key);
}

static bool hex16(struct str s, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < s.n; i++) {
		int d = str_hex_digit((unsigned char)s.p[i]);
		if (d < 0) return false;
		*v = *v << 4 | (uint64_t)d;
	}
	return s.n == 16;
}

static bool parse_place(struct str text, uint64_t key, struct exec_place *p, struct err *e)
{
	struct str ts, stream, n;
	uint64_t of;
	if (!text.n) return true;
	str_cut(&text, '.', &ts);
	str_cut(&text, '.', &stream);
	str_cut(&text, '.', &n);
	if (!str_to_i64(ts, &p->ts) || !hex16(stream, &p->stream) || !str_to_u64(n, &p->n) || !p->n ||
	    !hex16(text, &of))
		return err_set(e, ERR_INVALID, "cursor: this is none");
	return of == key || err_set(e, ERR_INVALID, "cursor: it belongs to another query or direction");
}

/* ---- lines ---- */

/* A line of its own, {"key": "value"}, in JSONL; raw text has no room for it. */
static void put_note(struct export *x, const char *key, struct str value)
{
	if (!x->jsonl) return;
	buf_printf(&x->out, "{\"%s\":", key);
	json_quote(&x->out, value, false);
	buf_c(&x->out, "}\n");
}

static void put_row(struct export *x, const struct kept *k)
{
	x->entries++;
	if (x->jsonl) {
		respond_jsonl(&x->out, &k->labels, k->ts, k->line);
	} else {
		buf_str(&x->out, k->line);
		buf_ch(&x->out, '\n');
	}
}

static void write_out(struct export *x)
{
	httpd_stream_write(x->stream, buf_view(&x->out));
	x->bytes += x->out.n;
	buf_clear(&x->out);
}

/* ---- one turn ---- */

static void export_free(struct export *x)
{
	exec_rows_close(x->rows);
	buf_free(&x->out);
	arena_free(&x->arena);
	free(x);
}

static void finish(struct export *x, bool gone)
{
	struct str warning = exec_rows_warning(x->rows);
	bool whole = !gone && x->err.code == ERR_NONE;
	if (!whole && !gone) put_note(x, "error", str_c(x->err.msg));
	if (whole && warning.n) put_note(x, "warning", warning);
	if (!gone) write_out(x);
	log_each("export", kv_str("tenant", x->tenant), kv_str("query", x->query),
		 kv_dur("duration", clock_mono(&clock_real) - x->began), kv_i("entries", (int64_t)x->entries),
		 kv_i("bytes", (int64_t)x->bytes),
		 kv_c("end", gone    ? "the client has gone"
			     : whole ? "done"
				     : x->err.msg));
	if (x->api->metrics) metrics_inc(x->api->metrics, METRIC_EXPORTED_BYTES, (double)x->bytes);
	httpd_stream_end(x->stream, whole);
	export_free(x);
}

/* The next row; behind the last one that is wanted, where to go on. False: there is none. */
static bool next_row(struct export *x, struct kept **k)
{
	struct exec_place place = exec_rows_place(x->rows);
	struct buf text = {0};
	if (!exec_rows_next(x->rows, k, &x->err)) return false;
	if (x->left > 0) {
		if (x->left != UINT64_MAX) x->left--;
		return true;
	}
	free(*k);
	print_place(&text, &place, x->key);
	put_note(x, "cursor", buf_view(&text));
	buf_free(&text);
	return false;
}

static bool run(void *ud)
{
	struct export *x = ud;
	int64_t until = clock_mono(&clock_real) + TURN;
	ssize_t room = httpd_stream_room(x->stream);
	if (room == 0) exec_rows_rest(x->rows); /* nobody woke us: the client is slow */
	if (room >= 0 && atomic_load(&x->cancelled)) {
		err_set(&x->err, ERR_CANCELLED, "the export was cancelled");
		finish(x, false);
		return false;
	}
	while (room > 0) {
		struct kept *k;
		if (!next_row(x, &k)) {
			finish(x, false);
			return false;
		}
		put_row(x, k);
		free(k);
		if (x->out.n < PIECE && x->out.n < (size_t)room) continue;
		write_out(x);
		room = httpd_stream_room(x->stream);
		if (room > 0 && clock_mono(&clock_real) > until) {
			queries_job_wake(x->job);
			return true;
		}
	}
	if (room < 0) finish(x, true);
	return room >= 0;
}

static void on_stream(void *ud, bool broken)
{
	struct export *x = ud;
	if (broken) atomic_store(&x->cancelled, true);
	if (atomic_load(&x->begun)) queries_job_wake(x->job);
}

/* ---- the request ---- */

static bool params(struct export *x, struct httpd_req *r, struct exec_query *q, struct exec_place *place)
{
	struct str format = api_arg(r, "format");
	uint32_t limit;
	q->text = x->query = arena_str(&x->arena, api_arg(r, "query"));
	q->step = 1;
	q->extensions = api_extensions(x->api, r);
	q->cancel = &x->cancelled;
	q->forward = true;
	x->jsonl = !str_eqc(format, "raw");
	x->left = UINT64_MAX;
	if (format.n && x->jsonl && !str_eqc(format, "jsonl"))
		return err_set(&x->err, ERR_INVALID, "format: \"%.*s\" is none of jsonl and raw", STR_ARG(format));
	if (!api_bounds(r, clock_wall(x->api->clock), &q->start, &q->end, &x->err)) return false;
	if (api_arg(r, "direction").n && !api_direction(r, &q->forward, &x->err)) return false;
	if (api_arg(r, "limit").n && !str_eqc(api_arg(r, "limit"), "0")) {
		if (!api_limit(r, "limit", 1, &limit, &x->err)) return false;
		x->left = limit;
	}
	x->key = str_hash(q->text) + q->forward;
	return parse_place(api_arg(r, "cursor"), x->key, place, &x->err) && ingest_ready(x->api->ingest, &x->err);
}

static bool begin(struct export *x, struct httpd_req *r)
{
	struct exec_query q = {.limits = overrides_get(x->api->overrides, x->tenant)};
	struct exec_place place = {0};
	bool ok = params(x, r, &q, &place);
	if (ok) x->rows = exec_rows_open(x->api->engine, x->api->store, x->tenant, &q, &place, false, &x->err);
	overrides_put(q.limits);
	if (!ok || !x->rows) return false;
	x->job = queries_job_new(x->api->queries,
				 &(struct queries_work){.tenant = x->tenant,
							.text = x->query,
							.peer = httpd_peer(r),
							.route = "larch_v1_export",
							.id = httpd_id(r),
							.run = run,
							.ud = x,
							.cancel = &x->cancelled,
							.max_of_tenant = x->api->max_exports},
				 "exports", "larch.max_exports", &x->err);
	return x->job != NULL;
}

static void get_export(struct httpd_req *r, void *ctx)
{
	struct export *x;
	struct str tenant;
	if (!api_tenant(ctx, r, &tenant)) return;
	x = mem_zalloc(sizeof *x);
	x->api = ctx;
	x->err = ERR_INIT;
	x->began = clock_mono(&clock_real);
	arena_init(&x->arena, 0);
	x->tenant = arena_str(&x->arena, tenant);
	if (!begin(x, r)) {
		struct err e = x->err;
		export_free(x);
		api_fail(r, &e);
		return;
	}
	const char *type = x->jsonl ? "application/x-ndjson" : "text/plain; charset=utf-8";
	httpd_header_add(r, "X-Content-Type-Options", "nosniff");
	x->stream = httpd_stream(r, &(struct httpd_stream_config){200, type, WINDOW, on_stream, x});
	atomic_store(&x->begun, true);
	queries_job_wake(x->job);
}

static const struct httpd_route routes[] = {
	{.methods = "GET POST", .path = "/larch/v1/export", .fn = get_export, .name = "larch_v1_export"},
};

const struct api_table api_export_table = API_QUEUED_TABLE(routes);
