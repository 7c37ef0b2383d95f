/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/config.h"

#include "common/fs.h"
#include "common/httpd.h"
#include "common/log.h"

#include <stdlib.h>

#define CONFIG_FILE_MAX (8u << 20)

/* A row for a member of struct config; one for a key that means nothing; one for a refused key. */
#define ROW(k, key_, member, def_, doc_, ...) {.key = key_, .kind = CONF_##k, .off = offsetof(struct config, member), .def = def_, .doc = doc_, __VA_ARGS__}
#define BLOCK(key_, table) {.key = key_, .kind = CONF_OBJ, .sub = &table, .doc = ""}
#define STORAGE(key_, table) {.key = key_, .kind = CONF_OBJ, .off = offsetof(struct config, storage), .sub = &table, .doc = ""}
#define NOTHING(key_) {.key = key_, .kind = CONF_IGNORED, .doc = "Means nothing here."}
#define REFUSED(key_, why) {.key = key_, .kind = CONF_REFUSED, .doc = why}
/* Blocks share one struct: their tables describe struct config itself, at offset 0. */
#define TABLE(var, name_, ...) \
	static const struct conf_field var##_fields[] = {__VA_ARGS__, {0}}; \
	static const struct conf_table var = {name_, sizeof(struct config), var##_fields}

#define NO_RULER "There is no ruler: keep rules where they are evaluated now and remove the block."

static const char *const level_names[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_names[] = {"logfmt", "json", NULL};
static const char *const sync_names[] = {"group", "interval", "none", NULL};

static const char *const tls_versions[] = {"VersionTLS12", "VersionTLS13", NULL};
static const char *const client_auths[] = {"NoClientCert", "RequestClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert", NULL};
static bool check_tls(void *obj, const struct yaml *at, struct err *e);

#define NO_INLINE_PEM "Give the name of a file instead: it is read again when it changes."

static const struct conf_field server_tls_fields[] = {
	ROW(STR, "cert_file", server.tls.cert_file, "", "The listener's certificate and its chain, PEM; empty: plain HTTP. Read again when it changes.", .flag = "server.http-tls-cert-path"),
	ROW(STR, "key_file", server.tls.key_file, "", "Its key, PEM.", .flag = "server.http-tls-key-path"),
	ROW(ENUM, "client_auth_type", server.tls.clients, "NoClientCert", "What certificate clients must show.", .names = client_auths, .flag = "server.http-tls-client-auth"),
	ROW(STR, "client_ca_file", server.tls.client_ca_file, "", "Authorities of clients' certificates, PEM.", .flag = "server.http-tls-ca-path"),
	REFUSED("cert", NO_INLINE_PEM), REFUSED("key", NO_INLINE_PEM), REFUSED("client_ca", NO_INLINE_PEM),
	{0},
};
static const struct conf_table server_tls_table = {"server.http_tls_config", sizeof(struct config), server_tls_fields, .check = check_tls};

static bool check_tls(void *obj, const struct yaml *at, struct err *e)
{
	const struct config *c = obj;
	const char *says = NULL;
	if (!c->server.tls.cert_file.n != !c->server.tls.key_file.n)
		says = "cert_file and key_file go together";
	else if (!c->server.tls.cert_file.n && c->server.tls.client_ca_file.n)
		says = "client_ca_file needs cert_file and key_file: without them the listener speaks plain HTTP";
	else if (c->server.tls.clients != HTTPD_CLIENTS_ANY && !c->server.tls.client_ca_file.n)
		says = "client_auth_type needs client_ca_file: without it no client is asked for a certificate";
	return !says || err_at(e, ERR_INVALID, at ? at->line : 0, at ? at->col : 0, "server.http_tls_config: %s", says);
}

TABLE(server_table, "server",
      ROW(STR, "http_listen_address", server.address, "", "Address to listen on; empty: all.", .flag = "server.http-listen-address"),
      ROW(INT, "http_listen_port", server.port, "3100", "Port to listen on; 0: any free one.", .min = 0, .max = 65535, .flag = "server.http-listen-port"),
      ROW(STR, "http_path_prefix", server.prefix, "", "Put before every route.", .flag = "server.path-prefix"),
      ROW(ENUM, "log_level", server.log_level, "info", "Least level that is logged.", .names = level_names, .flag = "log.level"),
      ROW(ENUM, "log_format", server.log_format, "logfmt", "Form of the log on stderr.", .names = format_names, .flag = "log.format"),
      ROW(DUR_GO, "graceful_shutdown_timeout", server.graceful_shutdown_timeout, "30s", "How long running requests may take at stop.", .min = 0, .max = INT64_C(86400000000000), .flag = "server.graceful-shutdown-timeout"),
      ROW(DUR_GO, "http_server_idle_timeout", server.idle_timeout, "2m", "How long a connection may be idle; 0: http_server_read_timeout.", .min = 0, .max = INT64_C(86400000000000), .flag = "server.http-idle-timeout"),
      ROW(DUR_GO, "http_server_read_timeout", server.read_timeout, "30s", "How long a request may take to arrive, besides what its body takes at 16 KiB a second.", .min = 1000000000, .max = INT64_C(86400000000000), .flag = "server.http-read-timeout"),
      ROW(DUR_GO, "http_server_write_timeout", server.write_timeout, "30s", "How long an answer may take to leave, besides what it takes at 16 KiB a second; streams and tails have no end.", .min = 1000000000, .max = INT64_C(86400000000000), .flag = "server.http-write-timeout"),
      ROW(BOOL, "register_instrumentation", server.register_instrumentation, "true", "Serve /metrics.", .flag = "server.register-instrumentation"),
      BLOCK("http_tls_config", server_tls_table),
      ROW(ENUM, "tls_min_version", server.tls_min_version, "VersionTLS12", "The oldest TLS that the listener speaks.", .names = tls_versions, .flag = "server.tls-min-version"),
      REFUSED("tls_cipher_suites", "Cipher suites are GnuTLS' secure ones: remove the key (tls_min_version: VersionTLS13 leaves only those of TLS 1.3)."),
      REFUSED("grpc_tls_config", "There is no gRPC listener: remove the key."),
      NOTHING("grpc_listen_address"), NOTHING("grpc_listen_port"), NOTHING("grpc_listen_network"), NOTHING("grpc_listen_conn_limit"),
      NOTHING("grpc_server_max_recv_msg_size"), NOTHING("grpc_server_max_send_msg_size"),
      NOTHING("grpc_server_max_concurrent_streams"), NOTHING("grpc_server_max_connection_idle"),
      NOTHING("grpc_server_max_connection_age"), NOTHING("grpc_server_max_connection_age_grace"),
      NOTHING("grpc_server_keepalive_time"), NOTHING("grpc_server_keepalive_timeout"),
      NOTHING("grpc_server_min_time_between_pings"), NOTHING("grpc_server_ping_without_stream_allowed"),
      NOTHING("grpc_server_num_workers"), NOTHING("grpc_server_stats_tracking_enabled"),
      NOTHING("grpc_server_recv_buffer_pools_enabled"), NOTHING("http_listen_network"), NOTHING("http_listen_conn_limit"),
      NOTHING("http_server_read_header_timeout"),
      NOTHING("http_log_closed_connections_without_response_enabled"),
      NOTHING("log_source_ips_enabled"), NOTHING("log_source_ips_full"),
      NOTHING("log_source_ips_header"), NOTHING("log_source_ips_regex"), NOTHING("log_request_headers"),
      NOTHING("log_request_at_info_level_enabled"), NOTHING("log_request_exclude_headers_list"),
      NOTHING("report_grpc_codes_in_instrumentation_label_enabled"), NOTHING("proxy_protocol_enabled"),
      NOTHING("trace_request_headers"), NOTHING("cluster_validation"), NOTHING("graceful_shutdown_delay"));

TABLE(common_table, "common",
      ROW(STR, "path_prefix", common.path_prefix, "", "Directory under which data lies.", .flag = "common.path-prefix"),
      ROW(INT, "replication_factor", common.replication_factor, "1", "Copies of each entry; only 1 can be kept.", .min = 1, .max = 1000),
      STORAGE("storage", storage_common_table), NOTHING("ring"), NOTHING("instance_addr"), NOTHING("instance_enable_ipv6"),
      NOTHING("instance_interface_names"), NOTHING("compactor_address"), NOTHING("compactor_grpc_address"),
      NOTHING("persist_tokens"));

TABLE(ingester_wal_table, "ingester.wal",
      ROW(BOOL, "enabled", ingester.wal.enabled, "true", "Must be true: an acknowledged entry is durable."),
      {.key = "dir", .kind = CONF_IGNORED, .doc = "The log lies in larch.data_dir."},
      ROW(BOOL, "flush_on_shutdown", ingester.wal.flush_on_shutdown, "false", "Flush heads to segments at stop instead of replaying at start."),
      ROW(FLOAT, "disk_full_threshold", ingester.wal.disk_full_threshold, "0", "Pushes get 503 when this share of the disk (0 to 1) is used; 0: larch.disk_reserve alone counts."),
      NOTHING("checkpoint_duration"), NOTHING("replay_memory_ceiling"));
TABLE(ingester_table, "ingester", BLOCK("wal", ingester_wal_table),
      ROW(STR, "shutdown_marker_path", ingester.shutdown_marker_path, "", "Directory of the mark that /ingester/prepare_shutdown leaves: while it is there, heads are flushed at stop."),
      ROW(DUR_GO, "chunk_idle_period", ingester.chunk_idle_period, "30m", "Heads without news for so long are flushed."),
      ROW(DUR_GO, "max_chunk_age", ingester.max_chunk_age, "2h", "Heads are flushed at this age."),
      NOTHING("lifecycler"), NOTHING("concurrent_flushes"), NOTHING("flush_check_period"), NOTHING("flush_op_timeout"),
      NOTHING("flush_op_backoff"), NOTHING("chunk_retain_period"), NOTHING("chunk_block_size"), NOTHING("chunk_target_size"),
      NOTHING("chunk_encoding"), NOTHING("sync_period"), NOTHING("sync_min_utilization"), NOTHING("autoforget_unhealthy"),
      NOTHING("index_shards"), NOTHING("max_returned_stream_errors"), NOTHING("owned_streams_check_interval"),
      NOTHING("max_transfer_retries"), NOTHING("query_store_max_look_back_period"), NOTHING("max_dropped_streams"), NOTHING("kafka_ingestion"));

TABLE(distributor_otlp_table, "distributor.otlp_config",
      ROW(STR_LIST, "default_resource_attributes_as_index_labels", distributor.otlp_index_labels,
	  "[service.name, service.namespace, service.instance.id, deployment.environment, deployment.environment.name, cloud.region, "
	  "cloud.availability_zone, k8s.cluster.name, k8s.namespace.name, k8s.pod.name, k8s.container.name, container.name, "
	  "k8s.replicaset.name, k8s.deployment.name, k8s.statefulset.name, k8s.daemonset.name, k8s.cronjob.name, k8s.job.name]",
	  "Resource attributes of OTLP requests that become labels of the stream."));

TABLE(distributor_table, "distributor",
      ROW(BYTES, "max_recv_msg_size", distributor.max_recv_msg_size, "100MB", "Largest push body as sent.", .flag = "distributor.max-recv-msg-size"),
      ROW(BYTES, "max_decompressed_size", distributor.max_decompressed_size, "5000MB", "Largest push body after expansion; never more than memory allows."),
      NOTHING("ring"), NOTHING("rate_store"), NOTHING("write_failures_logging"), BLOCK("otlp_config", distributor_otlp_table),
      NOTHING("push_worker_count"), NOTHING("default_policy_stream_mappings"), NOTHING("kafka_writes_enabled"),
      NOTHING("ingester_writes_enabled"), NOTHING("ingest_limits_enabled"), NOTHING("ingest_limits_dry_run_enabled"),
      NOTHING("tenant_topic"));

TABLE(querier_table, "querier",
      ROW(BOOL, "multi_tenant_queries_enabled", querier.multi_tenant_queries_enabled, "false", "Allow X-Scope-OrgID: a|b.", .flag = "querier.multi-tenant-queries-enabled"),
      ROW(INT, "max_concurrent", querier.max_concurrent, "4", "Queries that run at once; each is worked on by all cores. No tenant gets more than half of them.", .min = 1, .max = 1024, .flag = "querier.max-concurrent"),
      ROW(DUR_GO, "tail_max_duration", querier.tail_max_duration, "1h", "After which a tail is closed.", .min = INT64_C(1000000000), .max = INT64_MAX, .flag = "querier.tail-max-duration"),
      NOTHING("extra_query_delay"), NOTHING("query_ingesters_within"), NOTHING("engine"), NOTHING("engine_v2"),
      NOTHING("query_store_only"), NOTHING("query_ingester_only"), NOTHING("query_partition_ingesters"),
      NOTHING("ingester_query_store_max_look_back_period"), NOTHING("dataobj_storage_start"),
      REFUSED("per_request_limits_enabled", "Limits cannot come from a request: remove the key."));

TABLE(frontend_table, "frontend",
      ROW(INT, "max_outstanding_per_tenant", frontend.max_outstanding, "2048", "Queries of one tenant that may wait; 0: no limit.", .min = 0, .max = INT64_MAX),
      NOTHING("compress_responses"),
      NOTHING("log_queries_longer_than"), NOTHING("max_body_size"), NOTHING("query_stats_enabled"),
      NOTHING("querier_forget_delay"), NOTHING("scheduler_address"), NOTHING("scheduler_dns_lookup_period"),
      NOTHING("scheduler_worker_concurrency"), NOTHING("grpc_client_config"), NOTHING("graceful_shutdown_timeout"),
      NOTHING("instance_interface_names"), NOTHING("address"), NOTHING("port"), NOTHING("encoding"), NOTHING("tail_tls_config"),
      NOTHING("experimental_retain_parquet"), NOTHING("support_parquet_encoding"),
      REFUSED("downstream_url", "Queries are answered here, not passed on: remove the key."),
      REFUSED("tail_proxy_url", "Queries are answered here, not passed on: remove the key."));

TABLE(query_range_table, "query_range",
      NOTHING("align_queries_with_step"),
      NOTHING("cache_results"), NOTHING("results_cache"), NOTHING("cache_index_stats_results"), NOTHING("index_stats_results_cache"),
      NOTHING("cache_volume_results"), NOTHING("volume_results_cache"), NOTHING("cache_series_results"),
      NOTHING("series_results_cache"), NOTHING("cache_label_results"), NOTHING("label_results_cache"),
      NOTHING("cache_instant_metric_results"), NOTHING("instant_metric_results_cache"), NOTHING("instant_metric_query_split_align"),
      NOTHING("max_retries"), NOTHING("parallelise_shardable_queries"), NOTHING("shard_aggregations"), NOTHING("split_queries_by_interval"));

TABLE(compactor_table, "compactor",
      ROW(DUR_GO, "compaction_interval", compactor.compaction_interval, "10m", "How often segments are merged and delete requests carried out.", .min = 1000000, .max = INT64_C(31536000000000000), .flag = "compactor.compaction-interval"),
      ROW(DUR_GO, "apply_retention_interval", compactor.apply_retention_interval, "0", "How often retention is applied; 0: with each compaction.", .min = 0, .max = INT64_C(31536000000000000), .flag = "compactor.apply-retention-interval"),
      ROW(DUR_GO, "delete_request_cancel_period", compactor.delete_request_cancel_period, "24h", "How long a delete request may be cancelled; only then what it hides leaves the disk.", .min = 0, .max = INT64_MAX, .flag = "compactor.delete-request-cancel-period"),
      ROW(DUR_GO, "delete_max_interval", compactor.delete_max_interval, "24h", "Largest max_interval of a delete request; 0: any.", .min = 0, .max = INT64_MAX, .flag = "compactor.delete-max-interval"),
      {.key = "retention_enabled", .kind = CONF_IGNORED, .doc = "Retention applies wherever limits_config sets a period, whatever stands here."},
      {.key = "retention_delete_delay", .kind = CONF_IGNORED, .doc = "See larch.compaction_grace."},
      NOTHING("working_directory"), NOTHING("retention_delete_worker_count"), NOTHING("retention_table_timeout"),
      NOTHING("retention_backoff_config"), NOTHING("delete_request_store"), NOTHING("delete_request_store_key_prefix"),
      NOTHING("delete_request_store_db_type"), NOTHING("delete_batch_size"), NOTHING("max_compaction_parallelism"),
      NOTHING("upload_parallelism"), NOTHING("compactor_ring"), NOTHING("run_once"), NOTHING("tables_to_compact"),
      NOTHING("skip_latest_n_tables"), NOTHING("deletion_marker_object_store_prefix"), NOTHING("horizontal_scaling_mode"),
      NOTHING("worker_config"), NOTHING("jobs_config"));

TABLE(runtime_table, "runtime_config",
      ROW(STR_LIST, "file", runtime.files, NULL, "Files with limits of single tenants (overrides: {TENANT: {…}}), read again without a restart; later ones win.", .csv = true, .flag = "runtime-config.file"),
      ROW(DUR_GO, "period", runtime.period, "10s", "How often they are read.", .min = 1000000, .max = INT64_C(86400000000000), .flag = "runtime-config.reload-period"));

TABLE(larch_table, "larch",
      ROW(STR, "data_dir", larch.data_dir, "", "Where everything is kept; empty: common.path_prefix, else $STATE_DIRECTORY, else ./larch-data.", .flag = "larch.data-dir"),
      ROW(STR, "store_dir", larch.store_dir, "", "A directory for segments and catalogs that several servers share, each with a data_dir of its own; empty: in data_dir, for this server alone.", .flag = "larch.store-dir"),
      ROW(DUR_GO, "catalog_refresh", larch.catalog_refresh, "5s", "How often a server looks for what others wrote to a store that they share (store_dir, a bucket).", .min = 10000000, .max = INT64_C(3600000000000), .flag = "larch.catalog-refresh"),
      ROW(BYTES, "outbox_limit", larch.outbox_limit, "0", "Bytes of flushed segments that may wait on disk while the bucket is out of reach; then pushes get 503 once memory is full. 0: as many as larch.disk_reserve leaves.", .flag = "larch.outbox-limit"),
      ROW(BYTES, "memory_limit", larch.memory_limit, "256MB", "Memory for heads, request bodies, caches and queries.", .min = 32 << 20, .max = INT64_MAX, .flag = "larch.memory-limit"),
      ROW(ENUM, "sync", larch.sync, "group", "When the log is flushed to disk: group (before each answer), interval, none.", .names = sync_names, .flag = "larch.sync"),
      ROW(DUR_GO, "sync_interval", larch.sync_interval, "5ms", "Longest time between syncs.", .min = 0, .max = INT64_C(60000000000), .flag = "larch.sync-interval"),
      ROW(BYTES, "flush_bytes", larch.flush_bytes, "32MB", "Heads are flushed to segments at this size.", .min = 1 << 20, .max = INT64_C(1) << 40, .flag = "larch.flush-bytes"),
      ROW(BYTES, "disk_reserve", larch.disk_reserve, "0", "With less than this free on the data directory's disk pushes get 503, so that flushing, retention and compaction can go on; 0: a twentieth of the disk, at most 1GB.", .flag = "larch.disk-reserve"),
      ROW(BOOL, "single_writer", larch.single_writer, "false", "No other server writes to the bucket: needed where the bucket does not know put-if-absent.", .flag = "larch.single-writer"),
      ROW(STR, "object_cache_dir", larch.object_cache_dir, "", "Where pieces of a bucket's objects are kept once they were read; empty: in data_dir.", .flag = "larch.object-cache-dir"),
      ROW(BYTES, "object_cache_bytes", larch.object_cache_bytes, "4GB", "Most that may be kept of a bucket's objects; 0: nothing is.", .max = INT64_MAX, .flag = "larch.object-cache-bytes"),
      ROW(BYTES, "multipart_bytes", larch.multipart_bytes, "64MB", "Objects larger than this are uploaded to a bucket in parts.", .min = 5 << 20, .max = INT64_C(5) << 30, .flag = "larch.multipart-bytes"),
      ROW(INT, "max_exports", larch.max_exports, "4", "Exports (/larch/v1/export) that a tenant may have at once.", .min = 0, .max = 1000000, .flag = "larch.max-exports"),
      ROW(INT, "http_workers", larch.http_workers, "0", "Threads that answer requests; 0: by the number of cores.", .min = 0, .max = 1024, .flag = "larch.http-workers"),
      ROW(STR, "auth_file", larch.auth_file, "", "Users with their secrets' digests, tenants and roles (docs/SECURITY.md); empty: everybody may do everything. Read again every runtime_config.period.", .flag = "larch.auth-file"),
      ROW(BOOL, "compaction", larch.compaction, "true", "Merge segments, apply retention and carry out delete requests; false: another server on the same store does.", .flag = "larch.compaction"),
      ROW(BYTES, "compaction_target", larch.compaction_target, "128MB", "Bytes of lines that merged segments should have.", .min = 1 << 20, .max = INT64_C(1) << 32, .flag = "larch.compaction-target"),
      ROW(INT, "compaction_cpu", larch.compaction_cpu, "50", "Percent of one core that merging may take; a tenth of a core while queries run or pushes wait for memory.", .min = 1, .max = 100, .flag = "larch.compaction-cpu"),
      ROW(DUR_GO, "compaction_grace", larch.compaction_grace, "10m", "Segments that were merged or dropped stay on disk so long, as queries may still read them.", .min = 1000000, .max = INT64_C(86400000000000), .flag = "larch.compaction-grace"),
      ROW(BYTES, "retention_bytes", larch.retention_bytes, "0", "Bytes on disk that all segments together may take; beyond, the oldest go; 0: no limit. For single tenants: limits_config.larch.retention_bytes.", .flag = "larch.retention-bytes"),
      ROW(BOOL, "logql_extensions", larch.logql_extensions, "false", "Queries may use LogQL beyond Loki (docs/LOGQL-EXTENSIONS.md). Without it a request asks for that with X-Larch-Extensions: on.", .flag = "larch.logql-extensions"));

static bool check(void *obj, const struct yaml *at, struct err *e);

static const struct conf_field fields[] = {
	{.key = "target", .kind = CONF_IGNORED, .doc = "Everything runs in one process, whatever the target."},
	ROW(BOOL, "auth_enabled", auth_enabled, "true", "Requests must name their tenant in X-Scope-OrgID; false: the one tenant is \"fake\".", .flag = "auth.enabled"),
	BLOCK("server", server_table), BLOCK("common", common_table), BLOCK("ingester", ingester_table),
	BLOCK("distributor", distributor_table), BLOCK("querier", querier_table), BLOCK("frontend", frontend_table),
	BLOCK("query_range", query_range_table), BLOCK("compactor", compactor_table), STORAGE("storage_config", storage_config_table), STORAGE("schema_config", storage_schema_table),
	{.key = "limits_config", .kind = CONF_OBJ, .off = offsetof(struct config, limits), .sub = &limits_table, .doc = ""},
	BLOCK("larch", larch_table),
	REFUSED("ruler", NO_RULER), REFUSED("ruler_storage", NO_RULER),
	REFUSED("kafka_config", "Kafka is not read or written here: remove the block."),
	BLOCK("runtime_config", runtime_table),
	NOTHING("ballast_bytes"), NOTHING("internal_server"), NOTHING("ui"), NOTHING("query_engine"),
	NOTHING("query_scheduler"), NOTHING("ingester_client"), NOTHING("pattern_ingester"), NOTHING("index_gateway"), NOTHING("bloom_build"),
	NOTHING("bloom_gateway"), NOTHING("chunk_store_config"), NOTHING("compactor_grpc_client"), NOTHING("compactor_client"), NOTHING("frontend_worker"),
	NOTHING("table_manager"), NOTHING("memberlist"), NOTHING("dataobj"), NOTHING("ingest_limits"), NOTHING("ingest_limits_client"),
	NOTHING("ingest_limits_frontend"), NOTHING("ingest_limits_frontend_client"), NOTHING("operational_config"), NOTHING("tracing"),
	NOTHING("analytics"), NOTHING("profiling"), NOTHING("tenant_limits_allow_publish"), NOTHING("shutdown_delay"), NOTHING("metrics_namespace"),
	{0},
};

const struct conf_table config_table = {"the configuration", sizeof(struct config), fields, .check = check};

static bool check(void *obj, const struct yaml *at, struct err *e)
{
	const struct config *c = obj;
	(void)at;
	if (c->common.replication_factor != 1)
		return err_set(e, ERR_INVALID, "common.replication_factor: %lld copies cannot be kept by one server; set it to 1",
		               (long long)c->common.replication_factor);
	if (!c->ingester.wal.enabled)
		return err_set(e, ERR_INVALID, "ingester.wal.enabled: false is refused, because acknowledged entries would be lost in a crash; "
		               "remove the key (larch.sync: none trades safety for speed)");
	if (!(c->ingester.wal.disk_full_threshold >= 0 && c->ingester.wal.disk_full_threshold < 1))
		return err_set(e, ERR_INVALID, "ingester.wal.disk_full_threshold: %g is no share of the disk; set it to 0.9, or to 0 to leave it to larch.disk_reserve",
		               c->ingester.wal.disk_full_threshold);
	return at || check_tls(obj, NULL, e); /* flags may have changed what the file said */
}

static void note_ignored(void *ud, const char *path, int line)
{
	struct config *c = ud;
	struct str *v = arena_alloc(&c->arena, (c->ignored.n + 1) * sizeof *v);
	if (c->ignored.n) memcpy(v, c->ignored.v, c->ignored.n * sizeof *v);
	v[c->ignored.n++] = arena_printf(&c->arena, "%s (line %d)", path, line);
	c->ignored.v = v;
}

static bool load_file(struct config *c, const char *path, bool expand_env, struct err *e)
{
	struct buf raw = {0}, text = {0};
	if (!fs_read_file(&fs_real, path, CONFIG_FILE_MAX, &raw, e)) {
		buf_free(&raw);
		return false;
	}
	bool ok = true;
	if (expand_env) {
		ok = conf_expand_env(buf_view(&raw), (const char *(*)(const char *))getenv, &text, e);
		if (!ok) err_wrap(e, "%s:%d:%d", path, e->line, e->col);
		buf_free(&raw);
	} else {
		text = raw;
	}
	struct yaml *root = NULL;
	if (ok) {
		root = yaml_parse(&c->arena, arena_str(&c->arena, buf_view(&text)), e);
		if (!root) ok = err_wrap(e, "%s:%d:%d", path, e->line, e->col);
	}
	buf_free(&text);
	struct conf_ctx ctx = {.arena = &c->arena, .file = path, .ignored = note_ignored, .ud = c};
	return ok && conf_decode(&config_table, root, c, &ctx, e);
}

/* Everything lies under one directory: named by larch.data_dir, or where Loki's keys point. */
static void pick_data_dir(struct config *c)
{
	const char *state = getenv("STATE_DIRECTORY");
	struct str d = c->larch.data_dir;
	if (!d.n && c->common.path_prefix.n) d = arena_printf(&c->arena, "%.*s/larch", STR_ARG(c->common.path_prefix));
	if (!d.n && c->storage.directory.n) d = arena_printf(&c->arena, "%.*s/larch", STR_ARG(c->storage.directory));
	if (!d.n && c->storage.chunks_directory.n) d = arena_printf(&c->arena, "%.*s/larch", STR_ARG(c->storage.chunks_directory));
	if (!d.n && state && *state) d = str_c(state);
	c->data_dir = d.n ? arena_cstr(&c->arena, d) : "./larch-data";
}

static bool pick_storage(struct config *c, struct err *e)
{
	if (!storage_resolve(&c->storage, &c->arena, clock_wall(&clock_real), (const char *(*)(const char *))getenv, e)) return false;
	if (!c->storage.in_bucket || !c->larch.store_dir.n) return true;
	return err_set(e, ERR_INVALID, "larch.store_dir and a bucket (%s): objects are kept in one place; remove one of them", c->storage.bucket.s3.bucket);
}

bool config_load(struct config *c, const char *path, bool expand_env, const struct str *flags, size_t n, struct err *e)
{
	bool file = path && *path;
	memset(c, 0, sizeof *c);
	arena_init(&c->arena, 0);
	conf_defaults(&config_table, c, &c->arena);
	if (!file) {
		c->auth_enabled = false;
		c->server.address = STR("127.0.0.1");
	}
	if (file && !load_file(c, path, expand_env, e)) return false;
	for (size_t i = 0; i < n; i++) {
		struct str value = flags[i], name;
		if (!str_cut(&value, '=', &name)) value = STR("true");
		if (!conf_set_flag(&config_table, c, &c->arena, name, value, e)) return false;
	}
	if (!check(c, NULL, e)) return false;
	pick_data_dir(c);
	if (!pick_storage(c, e)) return file ? err_wrap(e, "%s", path) : false;
	return true;
}

void config_free(struct config *c) { arena_free(&c->arena); }

void config_print(const struct config *c, struct buf *out) { conf_print(&config_table, c, out); }
