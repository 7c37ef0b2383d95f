/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/server.h"

#include "common/log.h"
#include "common/version.h"
#include "server/exec/delete_filter.h"
#include "server/exec/exec.h"
#include "server/http/api_push.h"
#include "server/http/api_status.h"
#include "server/http/queries.h"
#include "server/http/shares.h"
#include "server/http/tails.h"
#include "server/ingest/ingest.h"
#include "server/metrics.h"
#include "server/objects.h"
#include "server/store/maintain.h"
#include "server/store/outbox.h"
#include "server/store/store.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct server {
	struct api api; /* first: the HTTP server's context */
	const struct config *config;
	struct metrics *metrics;
	struct overrides *overrides;
	struct auth *auth; /* NULL: no users */
	struct objects objects;
	struct store *store;
	struct ingest *ingest;
	struct maintain *maintain;
	struct exec_engine *engine;
	struct distributor *distributor;
	struct queries *queries;
	struct shares *shares;
	struct tails *tails;
	struct httpd *httpd;
	struct httpd_route *routes;
	struct api_push push;
	struct api_status status;
	struct budget heads, bodies, answers;
	char *auth_file, *wal_dir, *address, *prefix, *marker_dir;
};

/* The memory limit's parts, in sixteenths: heads, request bodies, block cache, one query. One is left to what nobody
 * counts: segments being written, read and merged, indexes, threads. */
enum { PART_HEADS = 5, PART_BODIES = 4, PART_CACHE = 2, PART_QUERY = 4, PART_REST = 1 };
static size_t part(const struct config *c, int sixteenths) { return c->larch.memory_limit / 16 * (unsigned)sixteenths; }

static uint64_t max_streams(void *ud, struct str tenant)
{
	const struct limits *l = overrides_get(ud, tenant);
	int64_t n = l->max_streams_per_user ? l->max_streams_per_user : l->max_global_streams_per_user;
	overrides_put(l);
	return (uint64_t)n;
}

static void set_log_counts(struct metrics *m)
{
	for (enum log_level l = LOG_LEVEL_DEBUG; l <= LOG_LEVEL_ERROR; l++) {
		struct str name = str_c(log_level_name(l));
		metrics_set(metrics_get(m, METRIC_LOG_MESSAGES, &name), (double)log_count(l));
		metrics_set(metrics_get(m, METRIC_INTERNAL_LOG_MESSAGES, &name), (double)log_count(l));
	}
}

static void set_delete_figures(struct server *s)
{
	struct deletes_totals st;
	deletes_totals(s->store, &st);
	int64_t age = st.oldest ? clock_wall(&clock_real) - st.oldest : 0;
	metrics_put(s->metrics, METRIC_DELETES_PENDING, (double)st.pending);
	metrics_put(s->metrics, METRIC_DELETES_OLDEST, (double)age / 1e9);
}

static void set_outbox_figures(struct server *s)
{
	struct outbox_stats st;
	store_outbox(s->store, &st);
	int64_t age = st.oldest ? clock_wall(&clock_real) - st.oldest : 0;
	metrics_put(s->metrics, METRIC_OUTBOX_SEGMENTS, (double)st.segments);
	metrics_put(s->metrics, METRIC_OUTBOX_BYTES, (double)st.bytes);
	metrics_put(s->metrics, METRIC_OUTBOX_OLDEST, (double)age / 1e9);
	metrics_put(s->metrics, METRIC_OUTBOX_UPLOADED, (double)st.uploaded);
	metrics_put(s->metrics, METRIC_OUTBOX_FAILURES, (double)st.failures);
	metrics_put(s->metrics, METRIC_OUTBOX_FAILING, st.error.code != ERR_NONE);
}

static void put_tenant(void *ud, const struct maintain_tenant *t)
{
	struct server *s = ud;
	struct metrics *m = s->metrics;
	metrics_set(metrics_get(m, METRIC_MEMORY_STREAMS, &t->name), (double)ingest_tenant_streams(s->ingest, t->name));
	metrics_set(metrics_get(m, METRIC_STORE_SEGMENTS, &t->name), (double)t->segments);
	metrics_set(metrics_get(m, METRIC_STORE_BYTES, &t->name), (double)t->size);
	metrics_set(metrics_get(m, METRIC_STORE_ENTRIES, &t->name), (double)t->rows);
	for (int i = 0; i < CATALOG_CUT_REASONS; i++) {
		const struct catalog_cut *c = &t->cuts[i];
		struct str values[] = {str_c(catalog_cut_name((enum catalog_cut_reason)i)), t->name};
		if (!c->rows) continue;
		metrics_set(metrics_get(m, METRIC_RETENTION_SEGMENTS, values), (double)c->segments);
		metrics_set(metrics_get(m, METRIC_RETENTION_ENTRIES, values), (double)c->rows);
		metrics_set(metrics_get(m, METRIC_RETENTION_BYTES, values), (double)c->bytes);
	}
}

static void read_store_figures(struct server *s)
{
	struct maintain_stats st;
	maintain_stats(s->maintain, &st);
	const struct { enum server_metric id; double v; } rows[] = {
		{METRIC_MAINTENANCE_ROUNDS, (double)st.rounds},          {METRIC_MAINTENANCE_FAILURES, (double)st.failures},
		{METRIC_COMPACT_MERGES, (double)st.done.merges},         {METRIC_COMPACT_INPUTS, (double)st.done.inputs},
		{METRIC_COMPACT_READ, (double)st.done.read},             {METRIC_COMPACT_WRITTEN, (double)st.done.written},
		{METRIC_COMPACT_ENTRIES, (double)st.done.rows},          {METRIC_COMPACT_SECONDS, st.seconds},
		{METRIC_COMPACT_BACKLOG, (double)st.backlog.segments},   {METRIC_COMPACT_BACKLOG_BYTES, (double)st.backlog.bytes},
		{METRIC_RETENTION_SUCCESS, (double)st.last_success / 1e9}, {METRIC_COMPACT_SUCCESS, (double)st.last_success / 1e9},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) metrics_put(s->metrics, rows[i].id, rows[i].v);
	const struct { const char *reason; uint64_t v; } dropped[] = {
		{"duplicate", st.done.copies}, {"retention", st.done.expired}, {"deleted", st.done.deleted}};
	for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
		metrics_set(metrics_get(s->metrics, METRIC_COMPACT_DROPPED, &(struct str){dropped[i].reason, strlen(dropped[i].reason)}), (double)dropped[i].v);
	maintain_tenants(s->maintain, false, put_tenant, s);
}

/* Figures that ingest and the store keep are read when somebody looks. */
static void read_figures(void *ud)
{
	struct server *s = ud;
	struct ingest_stats st;
	struct err replaying = ERR_INIT;
	ingest_stats(s->ingest, &st);
	const struct { enum server_metric id; uint64_t v; } rows[] = {
		{METRIC_MEMORY_CHUNKS, st.streams},          {METRIC_STREAMS_CREATED, st.streams_created},
		{METRIC_FLUSHES, st.segments_written},       {METRIC_HEAD_BYTES, st.head_bytes},
		{METRIC_HEAD_ENTRIES, st.head_entries},      {METRIC_WAL_BYTES, st.wal_bytes},
		{METRIC_WAL_RECORDS, st.wal_records},        {METRIC_WAL_SYNCS, st.wal_syncs},
		{METRIC_WAL_FAILURES, st.wal_failures},      {METRIC_WAL_CORRUPT, st.wal_corrupt_records},
		{METRIC_FLUSH_FAILURES, st.flush_failures},  {METRIC_FLUSHED_BYTES, st.flushed_bytes},
		{METRIC_FLUSHED_ENTRIES, st.flushed_entries}, {METRIC_DISK_FREE, st.disk_free},
		{METRIC_DISK_RESERVE, st.disk_reserve},      {METRIC_DISK_REFUSED, st.disk_refused},
		{METRIC_FLUSH_QUEUE, st.generations - 1},
		{METRIC_WAL_DISK_FULL, st.disk_refused},     {METRIC_WAL_REPLAY, !ingest_ready(s->ingest, &replaying)},
		{METRIC_QUERIES_RUNNING, exec_running(s->engine)},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) metrics_put(s->metrics, rows[i].id, (double)rows[i].v);
	struct queries_figures waiting;
	queries_figures(s->queries, &waiting);
	metrics_put(s->metrics, METRIC_QUERIES_WAITING, (double)waiting.waiting);
	metrics_put(s->metrics, METRIC_QUERY_QUEUE_LENGTH, (double)waiting.waiting);
	metrics_put(s->metrics, METRIC_COMPACTOR_RUNNING, s->config->larch.compaction);
	set_delete_figures(s);
	set_outbox_figures(s);
	objects_figures(&s->objects);
	read_store_figures(s);
	set_log_counts(s->metrics);
}

static void answered(void *ctx, const char *route, const char *method, int status, int64_t ns)
{
	struct server *s = ctx;
	char code[16];
	snprintf(code, sizeof code, "%d", status);
	struct str values[] = {str_c(method), str_c(route), str_c(code), status == 101 ? STR("true") : STR("false")};
	metrics_observe(metrics_get(s->metrics, METRIC_REQUEST_SECONDS, values), (double)ns / 1e9);
}

static void blocked(void *ud, struct str tenant)
{
	struct server *s = ud;
	metrics_add(metrics_get(s->metrics, METRIC_QUERIES_BLOCKED, &tenant), 1);
}

static void start_metrics(struct server *s)
{
	struct str version = STR(LARCH_VERSION);
	s->metrics = metrics_new(server_metrics, SERVER_METRICS);
	metrics_set(metrics_get(s->metrics, METRIC_BUILD_INFO, &version), 1);
}

static bool start_storage(struct server *s, struct err *e)
{
	const struct config *c = s->config;
	if (!objects_open(&s->objects, c, s->metrics, e)) return false;
	struct store_config sc = {.dir = c->data_dir,
				  .objects = s->objects.store,
				  .remote = s->objects.remote,
				  .shared = s->objects.shared,
				  .check = objects_check,
				  .check_ud = &s->objects,
				  .outbox_limit = c->larch.outbox_limit,
				  .fs = &fs_real,
				  .clock = &clock_real,
				  .cache_bytes = part(c, PART_CACHE),
				  .refresh_ns = c->larch.catalog_refresh,
				  .removed_grace_ns = c->larch.compaction_grace,
				  .delete_lang = &delete_filter_lang};
	s->store = store_open(&sc, e);
	if (!s->store) return false;
	struct buf wal = {0};
	fs_path(&wal, c->data_dir, "wal");
	s->wal_dir = mem_strdup(buf_cstr(&wal));
	buf_free(&wal);
	s->heads.limit = part(c, PART_HEADS);
	s->bodies.limit = part(c, PART_BODIES);
	s->answers.limit = part(c, PART_QUERY); /* what queries made and nobody has read */
	static const enum ingest_sync sync[] = {[WAL_SYNC_GROUP] = INGEST_SYNC_GROUP, [WAL_SYNC_INTERVAL] = INGEST_SYNC_INTERVAL, [WAL_SYNC_NONE] = INGEST_SYNC_NONE};
	struct ingest_config ic = {
		.wal_dir = s->wal_dir, .sync = sync[c->larch.sync], .sync_interval_ns = c->larch.sync_interval,
		.flush_bytes = c->larch.flush_bytes, .flush_age_ns = c->ingester.max_chunk_age, .flush_idle_ns = c->ingester.chunk_idle_period,
		.max_streams = max_streams, .max_streams_ud = s->overrides,
		.disk_reserve = c->larch.disk_reserve, .disk_full_at = c->ingester.wal.disk_full_threshold,
		.heads = &s->heads, .fs = &fs_real, .clock = &clock_real,
	};
	s->ingest = ingest_start(&ic, s->store, e);
	return s->ingest != NULL;
}

/* Compaction makes way for queries, and for pushes when there is little memory left for them. */
static bool busy(void *ud)
{
	struct server *s = ud;
	return exec_running(s->engine) > 0 || budget_used(&s->heads) > s->heads.limit / 8 * 7 ||
	       budget_used(&s->bodies) > s->bodies.limit / 8 * 7;
}

static bool has_room(void *ud, uint64_t bytes, struct err *e) { return ingest_spares(((struct server *)ud)->ingest, bytes, e); }

static bool start_maintenance(struct server *s, struct err *e)
{
	const struct config *c = s->config;
	s->maintain = maintain_start(&(struct maintain_config){
		.store = s->store, .overrides = s->overrides, .clock = &clock_real, .busy = busy,
		.room = s->objects.remote ? NULL : has_room, .ud = s,
		.interval_ns = c->compactor.compaction_interval, .retention_interval_ns = c->compactor.apply_retention_interval,
		.cancel_ns = c->compactor.delete_request_cancel_period, .target = c->larch.compaction_target, .memory = part(c, PART_REST),
		.retention_bytes = c->larch.retention_bytes, .cpu_percent = (unsigned)c->larch.compaction_cpu, .compact = c->larch.compaction}, e);
	return s->maintain != NULL;
}

/* Rounded up: 0 would mean something else. */
static int seconds(int64_t ns) { return (int)((ns + 999999999) / 1000000000); }

static bool start_http(struct server *s, struct err *e)
{
	const struct config *c = s->config;
	size_t n;
	s->push = (struct api_push){s->distributor, c->distributor.max_decompressed_size, c->distributor.otlp_index_labels};
	s->status.metrics = c->server.register_instrumentation ? s->metrics : NULL;
	config_print(c, &s->status.config);
	struct str marker = c->ingester.shutdown_marker_path;
	s->status.fs = &fs_real;
	s->status.marker_dir = s->marker_dir = marker.n ? mem_strndup(marker.p, marker.n) : NULL;
	s->api = (struct api){
		.store = s->store, .maintain = s->maintain, .ingest = s->ingest, .engine = s->engine, .clock = &clock_real, .auth_enabled = c->auth_enabled,
		.multi_tenant = c->querier.multi_tenant_queries_enabled, .logql_extensions = c->larch.logql_extensions, .overrides = s->overrides,
		.delete_cancel_period = c->compactor.delete_request_cancel_period, .delete_max_interval = c->compactor.delete_max_interval,
		.queries = s->queries, .shares = s->shares, .tails = s->tails, .max_exports = (size_t)c->larch.max_exports, .auth = s->auth, .metrics = s->metrics,
		.push = &s->push, .status = &s->status,
	};
	s->routes = api_routes(&n);
	for (size_t i = 0; i < n; i++) /* there is one setting that bounds a route's body */
		if (s->routes[i].max_body_key) s->routes[i].max_body = c->distributor.max_recv_msg_size;
	s->address = mem_strndup(c->server.address.p ? c->server.address.p : "", c->server.address.n);
	s->prefix = mem_strndup(c->server.prefix.p ? c->server.prefix.p : "", c->server.prefix.n);
	struct arena names;
	arena_init(&names, 0);
	struct httpd_tls_config tls = {
		.cert_file = arena_cstr(&names, c->server.tls.cert_file), .key_file = arena_cstr(&names, c->server.tls.key_file),
		.client_ca_file = arena_cstr(&names, c->server.tls.client_ca_file), .clients = c->server.tls.clients,
		.version = c->server.tls_min_version};
	s->httpd = httpd_start(&(struct httpd_config){
		.tls = c->server.tls.cert_file.n ? &tls : NULL,
		.address = s->address, .port = (uint16_t)c->server.port, .prefix = s->prefix, .routes = s->routes, .nroutes = n, .ctx = s,
		.workers = (unsigned)c->larch.http_workers, .idle_timeout_s = seconds(c->server.idle_timeout ? c->server.idle_timeout : c->server.read_timeout),
		.read_timeout_s = seconds(c->server.read_timeout), .write_timeout_s = seconds(c->server.write_timeout), .budget = &s->bodies, .answers = &s->answers,
		.guard = api_guard, .share = api_share, .unshare = api_unshare, .admit = api_admit, .done = answered}, e);
	arena_free(&names);
	return s->httpd != NULL;
}

/* Who may do what, and how many at once. */
static bool start_access(struct server *s, struct err *e)
{
	const struct config *c = s->config;
	s->overrides = overrides_new(&c->limits, c->runtime.files, &fs_real, e);
	if (!s->overrides) return false;
	metrics_put(s->metrics, METRIC_RUNTIME_RELOADED, 1);
	s->auth_file = mem_strndup(c->larch.auth_file.p ? c->larch.auth_file.p : "", c->larch.auth_file.n);
	if (*s->auth_file && !(s->auth = auth_new(s->auth_file, &fs_real, e))) return false;
	if (s->auth && !c->server.tls.cert_file.n)
		log_warn("secrets of users travel in clear: set server.http_tls_config, or keep them on this machine");
	s->shares = shares_new(&s->bodies, c->auth_enabled);
	s->queries = queries_new(&(struct queries_config){
		.threads = (unsigned)c->querier.max_concurrent, .max_waiting = (size_t)c->frontend.max_outstanding, .clock = &clock_real, .metrics = s->metrics}, e);
	s->tails = tails_new(&(struct tails_config){.memory = exec_budget(s->engine), .metrics = s->metrics, .max_duration_ns = c->querier.tail_max_duration}, e);
	return s->queries && s->tails;
}

struct server *server_start(const struct config *c, struct err *e)
{
	struct server *s = mem_zalloc(sizeof *s);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef M_ARENA_MAX
	/* Every arena keeps free memory of its own: eight of glibc's a core double what a process with this many threads
	 * holds. */
	mallopt(M_ARENA_MAX, cores > 1 ? (int)cores : 1);
#endif
	s->config = c;
	start_metrics(s);
	s->distributor = distributor_new(&clock_real, s->metrics);
	s->engine = exec_engine_new(&(struct exec_config){.threads = (unsigned)(cores > 1 ? cores - 1 : 1), .clock = &clock_real, .query_memory = part(c, PART_QUERY), .blocked = blocked, .ud = s});
	if (start_access(s, e) && start_storage(s, e) && start_maintenance(s, e)) {
		metrics_on_expose(s->metrics, read_figures, s);
		if (start_http(s, e)) return s;
	}
	server_stop(s);
	return NULL;
}

static void tell_reload(const char *what, bool ok, bool changed, const struct err *e)
{
	if (!ok)
		log_error("a file could not be read again; what it said before stays", kv_c("of", what), kv_err(e));
	else if (changed)
		log_info("read again", kv_c("what", what));
}

void server_reload(struct server *s)
{
	struct err e = ERR_INIT;
	bool changed, ok = overrides_reload(s->overrides, &changed, &e);
	metrics_put(s->metrics, METRIC_RUNTIME_RELOADED, ok);
	tell_reload("limits of tenants", ok, changed, &e);
	if (!s->auth) return;
	e = ERR_INIT;
	ok = auth_reload(s->auth, &changed, &e);
	tell_reload("users", ok, changed, &e);
}

uint16_t server_port(const struct server *s) { return httpd_port(s->httpd); }

static void upload_rest(struct store *st)
{
	struct err e = ERR_INIT;
	if (!store_upload(st, &e))
		log_error("not everything that was flushed is uploaded; the next start goes on", kv_err(&e));
}

void server_stop(struct server *s)
{
	if (!s) return;
	s->status.stopping = true;
	if (s->maintain) maintain_give_up(s->maintain);
	tails_stop(s->tails);
	if (s->httpd) httpd_stop(s->httpd, s->config->server.graceful_shutdown_timeout);
	queries_free(s->queries);
	shares_free(s->shares);
	tails_free(s->tails);
	maintain_stop(s->maintain);
	bool flush = s->config->ingester.wal.flush_on_shutdown || api_shutdown_marked(&fs_real, s->marker_dir);
	if (s->ingest) ingest_stop(s->ingest, flush);
	if (s->store && flush) upload_rest(s->store);
	exec_engine_free(s->engine);
	if (s->store) store_close(s->store);
	distributor_free(s->distributor);
	overrides_free(s->overrides);
	auth_free(s->auth);
	free(s->auth_file);
	metrics_free(s->metrics);
	buf_free(&s->status.config);
	free(s->routes);
	free(s->wal_dir);
	free(s->address);
	free(s->prefix);
	free(s->marker_dir);
	free(s);
}
