/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config/promtail_tables.h"

#include "pipeline/pipeline.h"

#define F(key, kind, type, member, ...)                                                                                \
	{                                                                                                              \
		key, kind, offsetof(type, member), __VA_ARGS__                                                         \
	}
#define IGNORED(key)                                                                                                   \
	{                                                                                                              \
		key, CONF_IGNORED, .doc = "accepted; has no meaning here"                                              \
	}
#define REFUSED(key, why)                                                                                              \
	{                                                                                                              \
		key, CONF_REFUSED, .doc = why                                                                          \
	}

static void place(const struct yaml *at, int *line, int *col)
{
	*line = at ? at->line : 0;
	if (col) *col = at ? at->col : 0;
}

static bool bad(struct err *e, const struct yaml *at, const char *text)
{
	return err_at(e, ERR_INVALID, at ? at->line : 0, at ? at->col : 0, "%s", text);
}

/* ---- clients ---- */

static const struct conf_field tls_fields[] = {
	F("ca_file", CONF_STR, struct tls_conf, ca_file, .doc = "PEM file with the authorities to trust."),
	F("cert_file", CONF_STR, struct tls_conf, cert_file, .doc = "PEM file with the client's certificate."),
	F("key_file", CONF_STR, struct tls_conf, key_file, .doc = "PEM file with the client's key."),
	F("server_name", CONF_STR, struct tls_conf, server_name, .doc = "Name to verify instead of the URL's host."),
	F("insecure_skip_verify", CONF_BOOL, struct tls_conf, insecure_skip_verify, .doc = "Accept any certificate."),
	REFUSED("ca", "is not supported: write the certificate to a file and name it in ca_file"),
	REFUSED("cert", "is not supported: write the certificate to a file and name it in cert_file"),
	REFUSED("key", "is not supported: write the key to a file and name it in key_file"),
	REFUSED("min_version", "is not supported: the TLS library's minimum (TLS 1.2) holds"),
	REFUSED("max_version", "is not supported: remove it"),
	{0},
};
static const struct conf_table tls_table = {"tls_config", sizeof(struct tls_conf), tls_fields};

#define BASIC(member)   offsetof(struct client_conf, basic.member) - offsetof(struct client_conf, basic)
#define AUTHZ(member)   offsetof(struct client_conf, authorization.member) - offsetof(struct client_conf, authorization)
#define BACKOFF(member) offsetof(struct client_conf, backoff.member) - offsetof(struct client_conf, backoff)

static const struct conf_field basic_fields[] = {
	{"username", CONF_STR, BASIC(username), .doc = "User name."},
	{"username_file", CONF_STR, BASIC(username_file), .doc = "File with the user name, read for every request."},
	{"password", CONF_SECRET, BASIC(password), .doc = "Password."},
	{"password_file", CONF_STR, BASIC(password_file), .doc = "File with the password, read for every request."},
	{0},
};
static const struct conf_table basic_table = {"basic_auth", sizeof((struct client_conf *)0)->basic, basic_fields};

static const struct conf_field authz_fields[] = {
	{"type", CONF_STR, AUTHZ(type), "Bearer", "Scheme put before the credentials."},
	{"credentials", CONF_SECRET, AUTHZ(credentials), .doc = "Credentials."},
	{"credentials_file", CONF_STR, AUTHZ(credentials_file),
	 .doc = "File with the credentials, read for every request."},
	{0},
};
static const struct conf_table authz_table = {"authorization", sizeof((struct client_conf *)0)->authorization,
					      authz_fields};

static const struct conf_field backoff_fields[] = {
	{"min_period", CONF_DUR_GO, BACKOFF(min), "500ms", "First pause after a failed attempt.",
	 .flag = "client.min-backoff"},
	{"max_period", CONF_DUR_GO, BACKOFF(max), "5m", "Longest pause.", .flag = "client.max-backoff"},
	{"max_retries", CONF_INT, BACKOFF(max_retries), "10", "Attempts before a batch is given up; 0: never.",
	 .min = 0, .max = INT32_MAX, .flag = "client.max-retries"},
	{0},
};
static const struct conf_table backoff_table = {"backoff_config", sizeof((struct client_conf *)0)->backoff,
						backoff_fields};

static const struct conf_field client_fields[] = {
	F("url", CONF_STR, struct client_conf, url, .doc = "Full push URL (…/loki/api/v1/push).", .flag = "client.url",
	  .url = true),
	F("name", CONF_STR, struct client_conf, name, .doc = "Name in messages and in the saved cursors."),
	F("tenant_id", CONF_STR, struct client_conf, tenant_id,
	  .doc = "X-Scope-OrgID of pushes; an entry's __tenant_id__ label overrides.", .flag = "client.tenant-id"),
	F("batchwait", CONF_DUR_GO, struct client_conf, batch_wait, "1s", "Longest wait before a batch is sent.",
	  .flag = "client.batch-wait"),
	F("batchsize", CONF_INT, struct client_conf, batch_size, "1048576",
	  "Largest batch, bytes of lines and metadata.", .min = 1, .max = 1 << 30, .flag = "client.batch-size-bytes"),
	F("timeout", CONF_DUR_GO, struct client_conf, timeout, "10s", "Longest wait for an answer.",
	  .flag = "client.timeout"),
	F("backoff_config", CONF_OBJ, struct client_conf, backoff, .doc = "Pauses between attempts.",
	  .sub = &backoff_table),
	F("drop_rate_limited_batches", CONF_BOOL, struct client_conf, drop_rate_limited, "false",
	  "Give a batch up at 429.", .flag = "client.drop-rate-limited-batches"),
	F("external_labels", CONF_STR_MAP, struct client_conf, external_labels,
	  .doc = "Labels added where an entry lacks them."),
	F("headers", CONF_STR_MAP, struct client_conf, headers, .doc = "Further request headers."),
	F("basic_auth", CONF_OBJ, struct client_conf, basic, .doc = "User name and password.", .sub = &basic_table,
	  .set_off = offsetof(struct client_conf, has_basic)),
	F("authorization", CONF_OBJ, struct client_conf, authorization, .doc = "Authorization header.",
	  .sub = &authz_table, .set_off = offsetof(struct client_conf, has_authorization)),
	F("bearer_token", CONF_SECRET, struct client_conf, bearer_token, .doc = "Bearer token."),
	F("bearer_token_file", CONF_STR, struct client_conf, bearer_token_file,
	  .doc = "File with the token, read for every request."),
	F("tls_config", CONF_OBJ, struct client_conf, tls, .doc = "TLS of https URLs.", .sub = &tls_table),
	F("proxy_url", CONF_STR, struct client_conf, proxy_url, .doc = "HTTP proxy.", .url = true),
	F("follow_redirects", CONF_BOOL, struct client_conf, follow_redirects, "true", "Follow 3xx answers."),
	IGNORED("enable_http2"),
	REFUSED("oauth2", "is not supported: use authorization with credentials_file, renewed by another program"),
	REFUSED("no_proxy", "is not supported: leave proxy_url out for clients that need no proxy"),
	REFUSED("proxy_from_environment", "is not supported: name the proxy in proxy_url"),
	REFUSED("proxy_connect_header", "is not supported"),
	REFUSED("http_headers", "is not supported: use headers"),
	{0},
};

static bool client_check(void *obj, const struct yaml *at, struct err *e)
{
	struct client_conf *c = obj;
	static const char *const schemes[] = {"http://", "https://"};

	place(at, &c->line, NULL);
	if (!c->url.n) return bad(e, at, "the client has no url (for example http://localhost:3100/loki/api/v1/push)");
	if (!str_starts(c->url, str_c(schemes[0])) && !str_starts(c->url, str_c(schemes[1])))
		return err_at(e, ERR_INVALID, c->line, at ? at->col : 0,
			      "url \"%.*s\" must start with http:// or https://", STR_ARG(c->url));
	if ((c->basic.username.n && c->basic.username_file.n) || (c->basic.password.n && c->basic.password_file.n))
		return bad(e, at, "basic_auth: give either the value or the file, not both");
	if (c->bearer_token.n && c->bearer_token_file.n)
		return bad(e, at, "give either bearer_token or bearer_token_file, not both");
	if (c->authorization.credentials.n && c->authorization.credentials_file.n)
		return bad(e, at, "authorization: give either credentials or credentials_file, not both");
	if (c->has_authorization && str_ieq(c->authorization.type, STR("basic")))
		return bad(e, at, "authorization type cannot be \"basic\": use basic_auth");
	if (c->has_basic + c->has_authorization + (c->bearer_token.n || c->bearer_token_file.n) > 1)
		return bad(e, at, "at most one of basic_auth, authorization and bearer_token may be given");
	if (!c->tls.cert_file.n != !c->tls.key_file.n)
		return bad(e, at, "tls_config: cert_file and key_file go together");
	if (c->backoff.max < c->backoff.min) return bad(e, at, "backoff_config: max_period is less than min_period");
	for (size_t i = 0; i < c->external_labels.n; i++)
		if (!labels_name_valid(c->external_labels.v[i].name))
			return err_at(e, ERR_INVALID, c->line, at ? at->col : 0,
				      "external_labels: \"%.*s\" is not a label name",
				      STR_ARG(c->external_labels.v[i].name));
	return true;
}
const struct conf_table promtail_client_table = {"clients entry", sizeof(struct client_conf), client_fields,
						 client_check};
/* Flags fill one client before its url is known, so they are decoded without the checks. */
const struct conf_table promtail_client_flags = {"client flags", sizeof(struct client_conf), client_fields};

/* ---- scrape_configs ---- */

static const char *const actions[] = {"replace",   "keep",      "drop",     "keepequal", "dropequal", "hashmod",
				      "lowercase", "uppercase", "labelmap", "labeldrop", "labelkeep", NULL};

static const struct conf_field relabel_fields[] = {
	F("source_labels", CONF_STR_LIST, struct relabel_conf, source_labels,
	  .doc = "Labels whose values are joined and matched."),
	F("separator", CONF_STR, struct relabel_conf, separator, ";", "Text between joined values.",
	  .set_off = offsetof(struct relabel_conf, has_separator)),
	F("regex", CONF_STR, struct relabel_conf, regex, "(.*)", "RE2 expression that must match the whole text.",
	  .set_off = offsetof(struct relabel_conf, has_regex)),
	F("modulus", CONF_INT, struct relabel_conf, modulus, .doc = "Modulus of hashmod.", .min = 0, .max = INT64_MAX),
	F("target_label", CONF_STR, struct relabel_conf, target_label, .doc = "Label that is written; may hold $1."),
	F("replacement", CONF_STR, struct relabel_conf, replacement, "$1", "New value; may hold $1.",
	  .set_off = offsetof(struct relabel_conf, has_replacement)),
	F("action", CONF_ENUM, struct relabel_conf, action, "replace", "What to do.", .names = actions),
	{0},
};

static bool relabel_target_ok(struct str t)
{
	/* A name, or one with references such as ${1}_x: those are checked when expanded. */
	return labels_name_valid(t) || str_chr(t, '$') >= 0;
}

static bool relabel_check(void *obj, const struct yaml *at, struct err *e)
{
	struct relabel_conf *r = obj;
	bool only_regex = r->action == RELABEL_LABELDROP || r->action == RELABEL_LABELKEEP;
	bool equal = r->action == RELABEL_KEEPEQUAL || r->action == RELABEL_DROPEQUAL;
	bool cased = r->action == RELABEL_LOWERCASE || r->action == RELABEL_UPPERCASE;
	bool target = r->action == RELABEL_REPLACE || r->action == RELABEL_HASHMOD || cased || equal;
	const char *name = actions[r->action];

	place(at, &r->line, &r->col);
	for (size_t i = 0; i < r->source_labels.n; i++)
		if (!labels_name_valid(r->source_labels.v[i]))
			return err_at(e, ERR_INVALID, r->line, r->col, "source_labels: \"%.*s\" is not a label name",
				      STR_ARG(r->source_labels.v[i]));
	if (target && !r->target_label.n)
		return err_at(e, ERR_INVALID, r->line, r->col, "relabel action %s needs target_label", name);
	if (r->target_label.n &&
	    !(r->action == RELABEL_REPLACE ? relabel_target_ok(r->target_label) : labels_name_valid(r->target_label)))
		return err_at(e, ERR_INVALID, r->line, r->col, "\"%.*s\" is not a label name for relabel action %s",
			      STR_ARG(r->target_label), name);
	if (r->action == RELABEL_HASHMOD && r->modulus == 0)
		return err_at(e, ERR_INVALID, r->line, r->col, "relabel action hashmod needs a modulus above 0");
	if (cased && r->has_replacement)
		return err_at(e, ERR_INVALID, r->line, r->col, "relabel action %s takes no replacement", name);
	if (r->action == RELABEL_LABELMAP && !relabel_target_ok(r->replacement))
		return err_at(e, ERR_INVALID, r->line, r->col,
			      "replacement \"%.*s\" of relabel action labelmap is not a label name",
			      STR_ARG(r->replacement));
	if (equal && (r->has_regex || r->has_separator || r->has_replacement || r->modulus))
		return err_at(e, ERR_INVALID, r->line, r->col,
			      "relabel action %s takes only source_labels and target_label", name);
	if (only_regex &&
	    (r->source_labels.n || r->target_label.n || r->modulus || r->has_separator || r->has_replacement))
		return err_at(e, ERR_INVALID, r->line, r->col, "relabel action %s takes only regex", name);
	return true;
}
static const struct conf_table relabel_table = {"relabel_configs entry", sizeof(struct relabel_conf), relabel_fields,
						relabel_check};

static const struct conf_field static_fields[] = {
	F("targets", CONF_STR_LIST, struct static_conf, targets,
	  .doc = "Kept for compatibility: the __address__ label."),
	F("labels", CONF_STR_MAP, struct static_conf, labels,
	  .doc = "Labels; __path__ and __path_exclude__ are path patterns."),
	{0},
};
static bool labels_check(const struct labels *l, const struct yaml *at, struct err *e)
{
	for (size_t i = 0; i < l->n; i++)
		if (!labels_name_valid(l->v[i].name))
			return err_at(e, ERR_INVALID, at ? at->line : 0, at ? at->col : 0,
				      "\"%.*s\" is not a valid label name", STR_ARG(l->v[i].name));
	return true;
}
static bool static_check(void *obj, const struct yaml *at, struct err *e)
{
	struct static_conf *s = obj;

	place(at, &s->line, NULL);
	return labels_check(&s->labels, at, e);
}
static const struct conf_table static_table = {"static_configs entry", sizeof(struct static_conf), static_fields,
					       static_check};

static const struct conf_field journal_fields[] = {
	F("json", CONF_BOOL, struct journal_conf, json, "false",
	  "The line is a JSON object of all fields instead of MESSAGE."),
	F("max_age", CONF_DUR_GO, struct journal_conf, max_age, "7h",
	  "How far back reading starts without a saved cursor."),
	F("labels", CONF_STR_MAP, struct journal_conf, labels, .doc = "Labels of every entry."),
	F("path", CONF_STR, struct journal_conf, path,
	  .doc = "Directory of journal files; empty: this machine's journal."),
	F("matches", CONF_STR, struct journal_conf, matches, .doc = "FIELD=value pairs separated by blanks."),
	{0},
};
static bool journal_check(void *obj, const struct yaml *at, struct err *e)
{
	struct journal_conf *j = obj;
	struct str rest = j->matches, word;
	bool more = rest.n > 0;

	while (more) {
		more = str_cut(&rest, ' ', &word);
		ssize_t eq = str_chr(word, '=');
		if (word.n == 0) continue;
		if (eq <= 0 || str_chr(str_from(word, (size_t)eq + 1), '=') >= 0)
			return err_at(e, ERR_INVALID, at ? at->line : 0, at ? at->col : 0,
				      "matches: \"%.*s\" is not FIELD=value", STR_ARG(word));
	}
	return labels_check(&j->labels, at, e);
}
static const struct conf_table journal_table = {"journal", sizeof(struct journal_conf), journal_fields, journal_check};

static const struct conf_field decompression_fields[] = {
	{"enabled", CONF_BOOL, 0, "false", "Must be false: compressed files are not read."},
	IGNORED("initial_delay"),
	IGNORED("format"),
	{0},
};
static bool decompression_check(void *obj, const struct yaml *at, struct err *e)
{
	return !*(bool *)obj || bad(e, at, "decompression is not supported: name uncompressed files in __path__");
}
static const struct conf_table decompression_table = {"decompression", sizeof((struct job_conf *)0)->decompression,
						      decompression_fields, decompression_check};

#define NO_SD "is not supported: use static_configs with a __path__ pattern"
static const struct conf_field job_fields[] = {
	F("job_name", CONF_STR, struct job_conf, name, .doc = "Name of the job; unique."),
	F("pipeline_stages", CONF_NODE, struct job_conf, stages, .doc = "What happens to each line."),
	F("relabel_configs", CONF_LIST, struct job_conf, relabel, .doc = "Changes of target labels.",
	  .sub = &relabel_table),
	F("static_configs", CONF_LIST, struct job_conf, statics, .doc = "Files to read.", .sub = &static_table,
	  .set_off = offsetof(struct job_conf, has_statics)),
	F("journal", CONF_OBJ, struct job_conf, journal, .doc = "Read systemd's journal.", .sub = &journal_table,
	  .set_off = offsetof(struct job_conf, has_journal)),
	F("decompression", CONF_OBJ, struct job_conf, decompression, .doc = "Must be off.",
	  .sub = &decompression_table),
	REFUSED("encoding", "is not supported: lines are sent byte for byte"),
	REFUSED("file_sd_configs", NO_SD),
	REFUSED("kubernetes_sd_configs", "is not supported: use __path__: /var/log/pods/*/*/*.log with the cri stage"),
	REFUSED("docker_sd_configs",
		"is not supported: use __path__: /var/lib/docker/containers/*/*-json.log with the docker stage"),
	REFUSED("consul_sd_configs", NO_SD),
	REFUSED("consulagent_sd_configs", NO_SD),
	REFUSED("dns_sd_configs", NO_SD),
	REFUSED("ec2_sd_configs", NO_SD),
	REFUSED("gce_sd_configs", NO_SD),
	REFUSED("azure_sd_configs", NO_SD),
	REFUSED("marathon_sd_configs", NO_SD),
	REFUSED("nerve_sd_configs", NO_SD),
	REFUSED("openstack_sd_configs", NO_SD),
	REFUSED("serverset_sd_configs", NO_SD),
	REFUSED("triton_sd_configs", NO_SD),
	REFUSED("digitalocean_sd_configs", NO_SD),
	REFUSED("dockerswarm_sd_configs", NO_SD),
	REFUSED("syslog", "is not supported: let the syslog daemon write files, and name them in __path__"),
	REFUSED("gcplog", "is not supported"),
	REFUSED("loki_push_api", "is not supported"),
	REFUSED("windows_events", "is not supported: this is a program for Linux"),
	REFUSED("kafka", "is not supported"),
	REFUSED("azure_event_hubs", "is not supported"),
	REFUSED("gelf", "is not supported"),
	REFUSED("cloudflare", "is not supported"),
	REFUSED("heroku_drain", "is not supported"),
	{0},
};
static bool job_check(void *obj, const struct yaml *at, struct err *e)
{
	struct job_conf *j = obj;

	place(at, &j->line, NULL);
	return j->name.n || bad(e, at, "the scrape config has no job_name");
}
static const struct conf_table job_table = {"scrape_configs entry", sizeof(struct job_conf), job_fields, job_check};

/* ---- the rest of the file ---- */

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const formats[] = {"logfmt", "json", NULL};
#define NO_TLS "is not supported: put a reverse proxy in front, or listen on a loopback address"
static const struct conf_field server_fields[] = {
	F("http_listen_address", CONF_STR, struct server_conf, address,
	  .doc = "Address of the HTTP server; empty: all.", .flag = "server.http-listen-address"),
	F("http_listen_port", CONF_INT, struct server_conf, port, "80", "Port of the HTTP server; 0: any free one.",
	  .min = 0, .max = 65535, .flag = "server.http-listen-port"),
	F("http_listen_conn_limit", CONF_INT, struct server_conf, conn_limit, "0", "Most connections at once; 0: 1024.",
	  .min = 0, .max = 1 << 20, .flag = "server.http-conn-limit"),
	F("http_path_prefix", CONF_STR, struct server_conf, path_prefix, .doc = "Put before every path.",
	  .flag = "server.path-prefix"),
	F("external_url", CONF_STR, struct server_conf, external_url, .doc = "Not used; links are relative."),
	F("log_level", CONF_ENUM, struct server_conf, log_level, "info", "Least severe level that is logged.",
	  .names = levels, .flag = "log.level"),
	F("log_format", CONF_ENUM, struct server_conf, log_format, "logfmt", "Form of the log.", .names = formats,
	  .flag = "log.format"),
	F("register_instrumentation", CONF_BOOL, struct server_conf, register_instrumentation, "true",
	  "Serve /metrics.", .flag = "server.register-instrumentation"),
	F("disable", CONF_BOOL, struct server_conf, disable, "false", "No HTTP server at all.",
	  .flag = "server.disable"),
	F("health_check_target", CONF_BOOL, struct server_conf, health_check_target, "true",
	  "/ready waits for a target.", .flag = "server.health-check-target"),
	F("http_server_idle_timeout", CONF_DUR_GO, struct server_conf, idle_timeout, "120s",
	  "Idle connections are closed after this.", .flag = "server.http-idle-timeout"),
	F("graceful_shutdown_timeout", CONF_DUR_GO, struct server_conf, graceful_timeout, "30s",
	  "How long running requests may take at stop.", .flag = "server.graceful-shutdown-timeout"),
	REFUSED("http_tls_config", NO_TLS),
	REFUSED("proxy_protocol_enabled", "is not supported"),
	REFUSED("cluster_validation", "is not supported"),
	IGNORED("http_listen_network"),
	IGNORED("http_server_read_timeout"),
	IGNORED("http_server_write_timeout"),
	IGNORED("http_server_read_header_timeout"),
	IGNORED("enable_runtime_reload"),
	IGNORED("profiling_enabled"),
	IGNORED("grpc_listen_address"),
	IGNORED("grpc_listen_port"),
	IGNORED("grpc_listen_network"),
	IGNORED("grpc_listen_conn_limit"),
	IGNORED("grpc_tls_config"),
	IGNORED("grpc_server_max_recv_msg_size"),
	IGNORED("grpc_server_max_send_msg_size"),
	IGNORED("grpc_server_max_concurrent_streams"),
	IGNORED("grpc_server_max_connection_idle"),
	IGNORED("grpc_server_max_connection_age"),
	IGNORED("grpc_server_max_connection_age_grace"),
	IGNORED("grpc_server_keepalive_time"),
	IGNORED("grpc_server_keepalive_timeout"),
	IGNORED("grpc_server_min_time_between_pings"),
	IGNORED("grpc_server_ping_without_stream_allowed"),
	IGNORED("grpc_server_num_workers"),
	IGNORED("grpc_server_stats_tracking_enabled"),
	IGNORED("grpc_server_recv_buffer_pools_enabled"),
	IGNORED("grpc_collect_max_streams_by_conn"),
	IGNORED("tls_cipher_suites"),
	IGNORED("tls_min_version"),
	IGNORED("log_source_ips_enabled"),
	IGNORED("log_source_ips_full"),
	IGNORED("log_source_ips_header"),
	IGNORED("log_source_ips_regex"),
	IGNORED("log_request_headers"),
	IGNORED("log_request_at_info_level_enabled"),
	IGNORED("log_request_exclude_headers_list"),
	IGNORED("trace_request_headers"),
	IGNORED("trace_request_exclude_headers_list"),
	IGNORED("report_grpc_codes_in_instrumentation_label_enabled"),
	IGNORED("http_log_closed_connections_without_response_enabled"),
	{0},
};
static const struct conf_table server_table = {"server", sizeof(struct server_conf), server_fields};

#define IN(member, sub) offsetof(struct agent_config, member.sub) - offsetof(struct agent_config, member)
static const struct conf_field positions_fields[] = {
	{"filename", CONF_STR, IN(positions, filename), "/var/log/positions.yaml", "Where progress is saved.",
	 .flag = "positions.file"},
	{"sync_period", CONF_DUR_GO, IN(positions, sync_period), "10s", "How often progress is saved.", .min = 1000000,
	 .max = INT64_MAX, .flag = "positions.sync-period"},
	{"ignore_invalid_yaml", CONF_BOOL, IN(positions, ignore_invalid), "false",
	 "Start afresh when the file cannot be read.", .flag = "positions.ignore-invalid-yaml"},
	{0},
};
static const struct conf_table positions_table = {"positions", sizeof((struct agent_config *)0)->positions,
						  positions_fields};

static const struct conf_field target_fields[] = {
	{"sync_period", CONF_DUR_GO, IN(target, sync_period), "10s", "How often path patterns are looked up again.",
	 .min = 1000000, .max = INT64_MAX, .flag = "target.sync-period"},
	{"stdin", CONF_BOOL, IN(target, is_stdin), "false", "Read standard input instead of files."},
	{0},
};
static const struct conf_table target_table = {"target_config", sizeof((struct agent_config *)0)->target,
					       target_fields};

#define POLL(member) (offsetof(struct agent_config, global.poll.member) - offsetof(struct agent_config, global.poll))
static const struct conf_field poll_fields[] = {
	{"min_poll_frequency", CONF_DUR_GO, POLL(min), "250ms", "First pause between looks at a file without inotify.",
	 .min = 1000000, .max = INT64_MAX, .flag = "file-watch.min_poll_frequency"},
	{"max_poll_frequency", CONF_DUR_GO, POLL(max), "250ms",
	 "Longest pause, reached by doubling while the file is idle.", .min = 1000000, .max = INT64_MAX,
	 .flag = "file-watch.max_poll_frequency"},
	{0},
};
static bool poll_check(void *obj, const struct yaml *at, struct err *e)
{
	const int64_t *v = obj;
	size_t min = POLL(min) / sizeof *v, max = POLL(max) / sizeof *v;

	return v[max] >= v[min] || bad(e, at, "file_watch_config: max_poll_frequency is less than min_poll_frequency");
}
static const struct conf_table poll_table = {"file_watch_config", sizeof((struct agent_config *)0)->global.poll,
					     poll_fields, poll_check};
static const struct conf_field global_fields[] = {
	{"file_watch_config", CONF_OBJ, IN(global, poll), .doc = "Polling where inotify does not work.",
	 .sub = &poll_table},
	{0},
};
static const struct conf_table global_table = {"global", sizeof((struct agent_config *)0)->global, global_fields};

static const struct conf_field limits_fields[] = {
	{"readline_rate", CONF_FLOAT, IN(limits, readline_rate), "10000", "Entries per second over all jobs.",
	 .flag = "limit.readline-rate"},
	{"readline_burst", CONF_INT, IN(limits, readline_burst), "10000", "Entries that may come at once.", .min = 1,
	 .max = INT32_MAX, .flag = "limit.readline-burst"},
	{"readline_rate_enabled", CONF_BOOL, IN(limits, readline_rate_enabled), "false", "Apply the rate.",
	 .flag = "limit.readline-rate-enabled"},
	{"readline_rate_drop", CONF_BOOL, IN(limits, readline_rate_drop), "true",
	 "Drop what is above the rate; else wait.", .flag = "limit.readline-rate-drop"},
	{"max_streams", CONF_INT, IN(limits, max_streams), "0", "Most streams in one batch; 0: any number.", .min = 0,
	 .max = INT32_MAX, .flag = "max-streams"},
	{"max_line_size", CONF_BYTES, IN(limits, max_line_size), "0", "Longest line after the pipeline; 0: any length.",
	 .flag = "max-line-size"},
	{"max_line_size_truncate", CONF_BOOL, IN(limits, max_line_size_truncate), "false",
	 "Cut longer lines; else drop them.", .flag = "max-line-size-truncate"},
	{0},
};
static bool limits_check(void *obj, const struct yaml *at, struct err *e)
{
	const struct agent_limits *l = obj;

	if (!l->readline_rate_enabled || l->readline_rate > 0) return true;
	return bad(e, at, "readline_rate must be above 0 when readline_rate_enabled is true");
}
static const struct conf_table limits_table = {"limits_config", sizeof((struct agent_config *)0)->limits, limits_fields,
					       limits_check};

static const char *const dialects[] = {[PIPELINE_PROMTAIL] = "promtail", [PIPELINE_ALLOY] = "alloy", NULL};
static const struct conf_field larch_fields[] = {
	{"pipeline_dialect", CONF_ENUM, IN(larch, dialect), "promtail",
	 "Whose stages pipeline_stages are, and so what they are called and mean (docs/STAGES.md).", .names = dialects},
	{"max_rotated_files", CONF_INT, IN(larch, max_rotated_files), "256",
	 "Rotated files that each scrape config holds open. What is beyond waits closed, to be found again by its "
	 "inode "
	 "beside its path; what was deleted meanwhile is given up.",
	 .min = 1, .max = INT32_MAX},
	{0},
};
static const struct conf_table larch_table = {"larch", sizeof((struct agent_config *)0)->larch, larch_fields};

static const struct conf_field root_fields[] = {
	F("server", CONF_OBJ, struct agent_config, server, .doc = "The agent's own HTTP server and log.",
	  .sub = &server_table),
	F("clients", CONF_LIST, struct agent_config, clients, .doc = "Where lines go.", .sub = &promtail_client_table),
	F("client", CONF_NODE, struct agent_config, one_client, .doc = "One client; the old form."),
	F("positions", CONF_OBJ, struct agent_config, positions, .doc = "Where progress is saved.",
	  .sub = &positions_table),
	F("scrape_configs", CONF_LIST, struct agent_config, jobs, .doc = "Where lines come from.", .sub = &job_table),
	F("target_config", CONF_OBJ, struct agent_config, target, .doc = "How targets are looked up.",
	  .sub = &target_table),
	F("limits_config", CONF_OBJ, struct agent_config, limits, .doc = "Limits.", .sub = &limits_table),
	F("global", CONF_OBJ, struct agent_config, global, .doc = "Settings of every job.", .sub = &global_table),
	F("larch", CONF_OBJ, struct agent_config, larch, .doc = "What Promtail does not have.", .sub = &larch_table),
	IGNORED("options"),
	IGNORED("tracing"),
	IGNORED("wal"),
	{0},
};
const struct conf_table promtail_table = {"configuration", sizeof(struct agent_config), root_fields};
