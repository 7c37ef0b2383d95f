/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config: larch-server's configuration: Loki's YAML (spec server-config) plus the block `larch:`.
 *
 * Without a file: data in $STATE_DIRECTORY or ./larch-data, loopback only, one tenant. With a file: Loki's
 * defaults. Keys that mean nothing here are accepted and listed once in the log; keys that name a
 * destination or a protection that is not there, and unknown ones, are refused with place and nearest name.
 * Filled once at start, then read-only for every thread; strings live in its arena. */
#ifndef LARCH_SERVER_CONFIG_H
#define LARCH_SERVER_CONFIG_H

#include "server/limits.h"
#include "server/storage.h"

enum wal_sync { WAL_SYNC_GROUP, WAL_SYNC_INTERVAL, WAL_SYNC_NONE };

struct config {
	struct arena arena;
	bool auth_enabled;
	struct {
		struct str address, prefix;
		int64_t port;
		int log_level, log_format;
		int64_t graceful_shutdown_timeout, idle_timeout, read_timeout, write_timeout;
		bool register_instrumentation;
		struct { struct str cert_file, key_file, client_ca_file; int clients; } tls;
		int tls_min_version;
	} server;
	struct {
		struct str path_prefix;
		int64_t replication_factor;
	} common;
	struct {
		int64_t chunk_idle_period, max_chunk_age;
		struct str shutdown_marker_path;
		struct { bool enabled, flush_on_shutdown; double disk_full_threshold; } wal;
	} ingester;
	struct { uint64_t max_recv_msg_size, max_decompressed_size; struct conf_strs otlp_index_labels; } distributor;
	struct { bool multi_tenant_queries_enabled; int64_t max_concurrent, tail_max_duration; } querier;
	struct { int64_t max_outstanding; } frontend;
	struct { int64_t compaction_interval, apply_retention_interval, delete_request_cancel_period, delete_max_interval; } compactor;
	struct storage storage; /* of common, storage_config and schema_config */
	struct limits limits;
	struct { struct conf_strs files; int64_t period; } runtime;
	struct {
		struct str data_dir, store_dir;
		int64_t catalog_refresh;
		uint64_t outbox_limit;
		uint64_t memory_limit;
		int sync;
		int64_t sync_interval;
		uint64_t flush_bytes, disk_reserve, object_cache_bytes, multipart_bytes;
		struct str object_cache_dir;
		bool single_writer;
		int64_t http_workers, max_exports;
		bool logql_extensions;
		struct str auth_file;
		bool compaction;
		uint64_t compaction_target;
		int64_t compaction_cpu, compaction_grace;
		uint64_t retention_bytes;
	} larch;
	const char *data_dir;    /* what is used, absolute or as given */
	struct conf_strs ignored; /* "compactor.working_directory (line 12)" */
};

extern const struct conf_table config_table;

/* path NULL or "": no file. Fills defaults, the file, then flags "name=value" (n of them). */
bool config_load(struct config *c, const char *path, bool expand_env, const struct str *flags, size_t n, struct err *e);
void config_free(struct config *c);
void config_print(const struct config *c, struct buf *out); /* effective YAML */

#endif
