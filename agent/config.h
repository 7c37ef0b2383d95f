/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config: what the agent is told to do, whatever language it was written in (agent/config/ reads them).
 *
 * Plain data in the arena of struct agent_config; immutable once loaded, so any thread may read it. */
#ifndef LARCH_AGENT_CONFIG_H
#define LARCH_AGENT_CONFIG_H

#include "common/conf.h"
#include "common/labels.h"

struct tls_conf {
	struct str ca_file, cert_file, key_file, server_name;
	bool insecure_skip_verify;
};

struct client_conf {
	struct str url, name, tenant_id;
	int64_t batch_wait, timeout; /* ns */
	int64_t batch_size;          /* line + metadata bytes of a push */
	struct {
		int64_t min, max, max_retries;
	} backoff; /* ns, ns, attempts; 0: for ever */
	bool drop_rate_limited;
	struct labels external_labels, headers;
	struct {
		struct str username, username_file, password, password_file;
	} basic;
	struct {
		struct str type, credentials, credentials_file;
	} authorization;
	struct str bearer_token, bearer_token_file, proxy_url;
	struct tls_conf tls;
	bool follow_redirects;
	bool has_basic, has_authorization;
	int line; /* in the file; 0: from flags */
};

enum relabel_action {
	RELABEL_REPLACE,
	RELABEL_KEEP,
	RELABEL_DROP,
	RELABEL_KEEPEQUAL,
	RELABEL_DROPEQUAL,
	RELABEL_HASHMOD,
	RELABEL_LOWERCASE,
	RELABEL_UPPERCASE,
	RELABEL_LABELMAP,
	RELABEL_LABELDROP,
	RELABEL_LABELKEEP
};

struct relabel_conf {
	struct conf_strs source_labels;
	struct str separator, regex, target_label, replacement;
	int64_t modulus;
	int action; /* enum relabel_action */
	bool has_separator, has_regex, has_replacement;
	int line, col;
};

struct static_conf {
	struct conf_strs targets;
	struct labels labels;
	int line;
};

struct journal_conf {
	bool json;
	int64_t max_age; /* ns */
	struct labels labels;
	struct str path, matches;
};

/* One scrape_configs entry: where lines come from and what happens to them. */
struct job_conf {
	struct str name;
	struct yaml *stages;      /* list for pipeline_new(), or NULL */
	struct conf_list relabel; /* struct relabel_conf */
	struct conf_list statics; /* struct static_conf */
	struct journal_conf journal;
	bool has_statics, has_journal, is_stdin;
	struct {
		bool enabled;
	} decompression;
	int line;
};

struct server_conf {
	struct str address, path_prefix, external_url;
	int64_t port, conn_limit;
	int log_level;  /* enum log_level */
	int log_format; /* 0 logfmt, 1 json */
	bool disable, register_instrumentation, health_check_target;
	int64_t idle_timeout, graceful_timeout; /* ns */
};

struct agent_config {
	struct server_conf server;
	struct conf_list clients; /* struct client_conf */
	struct yaml *one_client;  /* the old form of a single client; loading moves it into clients */
	struct {
		struct str filename;
		int64_t sync_period;
		bool ignore_invalid;
	} positions;
	struct conf_list jobs; /* struct job_conf */
	struct {
		int64_t sync_period;
		bool is_stdin;
	} target;
	struct {
		struct {
			int64_t min, max;
		} poll;
	} global; /* ns; used where inotify does not work */
	struct {
		int dialect; /* enum pipeline_dialect */
		int64_t max_rotated_files;
	} larch;
	struct agent_limits {
		double readline_rate;
		int64_t readline_burst;
		bool readline_rate_enabled, readline_rate_drop;
		int64_t max_streams;
		uint64_t max_line_size;
		bool max_line_size_truncate;
	} limits;
	struct arena arena;
	const char *file; /* path it came from, or "" */
};

void agent_config_free(struct agent_config *c);
/* Puts file:line:column in front of an error that does not have it yet. Returns false. */
bool agent_config_place(const struct agent_config *c, struct err *e);

#endif
