/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/limits.h"

#include "common/units.h"
#include "pipeline/selector.h"

#define ROW(k, key_, def_, doc_, ...) {.key = #key_, .kind = CONF_##k, .off = offsetof(struct limits, key_), .def = def_, .doc = doc_, __VA_ARGS__}
#define NOTHING(key_) {.key = #key_, .kind = CONF_IGNORED, .doc = "Means nothing here."}
#define LATER(key_, why) {.key = #key_, .kind = CONF_REFUSED, .doc = why}

static const char *const deletion_modes[] = {"disabled", "filter-only", "filter-and-delete", NULL};

static const struct conf_field retention_stream_fields[] = {
	{.key = "selector", .kind = CONF_STR, .off = offsetof(struct limits_retention_stream, selector), .doc = "Which streams."},
	{.key = "priority", .kind = CONF_INT, .off = offsetof(struct limits_retention_stream, priority), .doc = "The highest wins."},
	{.key = "period", .kind = CONF_DUR_PROM, .off = offsetof(struct limits_retention_stream, period), .doc = "How long they are kept; at least 24h."},
	{0},
};

/* In Loki's words. */
static bool check_retention_stream(void *obj, const struct yaml *at, struct err *e)
{
	const struct limits_retention_stream *r = obj;
	struct selector s;
	struct arena a;
	struct lex lx;
	if (!at) return true;
	arena_init(&a, 0);
	lex_init(&lx, r->selector, &a, 0, e);
	bool ok = selector_parse(&lx, &s);
	if (ok && lx.tok.kind != TOK_EOF) ok = lex_unexpected(&lx);
	if (ok) selector_fini(&s);
	arena_free(&a);
	if (!ok) {
		struct err why = *e;
		return err_at(e, ERR_INVALID, at->line, at->col, "invalid labels matchers: %s", why.msg);
	}
	if (r->period >= UNITS_DAY) return true;
	struct buf b = {0};
	units_dur_prom_print(&b, r->period);
	err_at(e, ERR_INVALID, at->line, at->col, "retention period must be >= 24h was %s", buf_cstr(&b));
	buf_free(&b);
	return false;
}

static const struct conf_table retention_stream_table = {"retention_stream entry", sizeof(struct limits_retention_stream), retention_stream_fields, .check = check_retention_stream};

/* ---- otlp_config ---- */

static const char *const otlp_actions[] = {"structured_metadata", "drop", "index_label", NULL};

static const struct conf_field otlp_rule_fields[] = {
	{.key = "action", .kind = CONF_ENUM, .off = offsetof(struct limits_otlp_rule, action), .def = "structured_metadata", .names = otlp_actions, .doc = "What becomes of the attributes."},
	{.key = "attributes", .kind = CONF_STR_LIST, .off = offsetof(struct limits_otlp_rule, attributes), .doc = "Their names as OpenTelemetry has them."},
	{.key = "regex", .kind = CONF_STR, .off = offsetof(struct limits_otlp_rule, regex), .doc = "Or an expression that matches the whole of a name."},
	{0},
};

static void release_regex(void *p) { regex_free(p); }

/* Compiled in the arena's name; ERR_INVALID at the node. */
static struct regex *compile(struct str text, unsigned flags, const struct yaml *at, struct arena *a, struct err *e)
{
	struct regex *re = regex_new(text, flags, e);
	if (re) {
		arena_defer(a, release_regex, re);
	} else {
		struct err why = *e;
		err_at(e, ERR_INVALID, at->line, at->col, "%s", why.msg);
	}
	return re;
}

static bool derive_otlp_rule(void *obj, const struct yaml *at, struct arena *a, struct err *e)
{
	struct limits_otlp_rule *r = obj;
	if (!at) return true;
	if (!r->attributes.n == !r->regex.n)
		return err_at(e, ERR_INVALID, at->line, at->col, "%s",
			      r->regex.n ? "only one of attributes or regex must be set" : "either attributes or regex must be set");
	if (r->regex.n) r->re = compile(r->regex, REGEX_ANCHORED | REGEX_DOTALL, at, a, e);
	return !r->regex.n || r->re;
}

static const struct conf_table otlp_rule_table = {"otlp_config entry", sizeof(struct limits_otlp_rule), otlp_rule_fields, .derive = derive_otlp_rule};

static const struct conf_field otlp_resource_fields[] = {
	{.key = "ignore_defaults", .kind = CONF_BOOL, .off = offsetof(struct limits_otlp, ignore_defaults), .doc = "Leave out distributor.otlp_config.default_resource_attributes_as_index_labels, which else come first."},
	{.key = "attributes_config", .kind = CONF_LIST, .off = offsetof(struct limits_otlp, resource.written), .sub = &otlp_rule_table, .doc = "The first that takes an attribute decides."},
	{0},
};
static const struct conf_table otlp_resource_table = {"resource_attributes", sizeof(struct limits_otlp), otlp_resource_fields};

static const struct conf_field otlp_fields[] = {
	{.key = "resource_attributes", .kind = CONF_OBJ, .sub = &otlp_resource_table, .doc = "Of what sends."},
	{.key = "scope_attributes", .kind = CONF_LIST, .off = offsetof(struct limits_otlp, scope.written), .sub = &otlp_rule_table, .doc = "Of the library that logs; never labels."},
	{.key = "log_attributes", .kind = CONF_LIST, .off = offsetof(struct limits_otlp, record.written), .sub = &otlp_rule_table, .doc = "Of the record itself."},
	{.key = "severity_text_as_label", .kind = CONF_BOOL, .off = offsetof(struct limits_otlp, severity_text_as_label), .doc = "The severity's text is a label as well."},
	{0},
};

static void derive_rules(struct limits_otlp_rules *r, struct arena *a)
{
	const struct limits_otlp_rule *w = r->written.v;
	struct otlp_rule *v = arena_alloc(a, (r->written.n + 1) * sizeof *v);
	for (size_t i = 0; i < r->written.n; i++)
		v[i] = (struct otlp_rule){(enum otlp_action)w[i].action, w[i].attributes.v, w[i].attributes.n, w[i].re};
	r->rules = (struct otlp_rule_list){v, r->written.n};
}

static bool derive_otlp(void *obj, const struct yaml *at, struct arena *a, struct err *e)
{
	struct limits_otlp *o = obj;
	const struct limits_otlp_rule *scope = o->scope.written.v;
	for (size_t i = 0; at && i < o->scope.written.n; i++)
		if (scope[i].action == OTLP_INDEX_LABEL)
			return err_at(e, ERR_INVALID, at->line, at->col, "scope_attributes: index_label is only for resource_attributes and log_attributes");
	derive_rules(&o->resource, a);
	derive_rules(&o->scope, a);
	derive_rules(&o->record, a);
	return true;
}

static const struct conf_table otlp_table = {"otlp_config", sizeof(struct limits_otlp), otlp_fields, .derive = derive_otlp};

/* ---- blocked_queries ---- */

static const struct conf_field blocked_fields[] = {
	{.key = "pattern", .kind = CONF_STR, .off = offsetof(struct limits_blocked_query, pattern), .doc = "The query's text; empty: every query."},
	{.key = "regex", .kind = CONF_BOOL, .off = offsetof(struct limits_blocked_query, regex), .doc = "The pattern is an expression that matches somewhere in the text."},
	{.key = "hash", .kind = CONF_INT, .off = offsetof(struct limits_blocked_query, hash), .min = 0, .max = UINT32_MAX, .doc = "32-bit FNV-1 of the query's text, instead of a pattern."},
	{.key = "types", .kind = CONF_STR_LIST, .csv = true, .off = offsetof(struct limits_blocked_query, types), .doc = "Only metric queries, log queries that filter (filter), or those that do not (limited)."},
	{.key = "query_tags", .kind = CONF_STR_MAP, .off = offsetof(struct limits_blocked_query, query_tags), .doc = "Only where X-Query-Tags has all of these, in any case."},
	{0},
};

static bool derive_blocked(void *obj, const struct yaml *at, struct arena *a, struct err *e)
{
	static const char *const types[] = {"metric", "filter", "limited"};
	struct limits_blocked_query *b = obj;
	for (size_t i = 0; at && i < b->types.n; i++) {
		bool known = false;
		for (size_t k = 0; k < sizeof types / sizeof *types; k++) known |= str_eqc(b->types.v[i], types[k]);
		if (!known)
			return err_at(e, ERR_INVALID, at->line, at->col, "types: \"%.*s\" is not one of metric, filter, limited",
				      STR_ARG(b->types.v[i]));
	}
	if (!at || !b->regex || !b->pattern.n) return true;
	b->re = compile(b->pattern, 0, at, a, e);
	return b->re != NULL;
}

static const struct conf_table blocked_table = {"blocked_queries entry", sizeof(struct limits_blocked_query), blocked_fields, .derive = derive_blocked};

static const struct conf_field larch_fields[] = {
	ROW(BYTES, retention_bytes, "0", "Bytes on disk that the tenant's segments may take; beyond, the oldest go; 0: no limit."),
	{0},
};
static const struct conf_table larch_table = {"limits_config.larch", sizeof(struct limits), larch_fields};

static const struct conf_field fields[] = {
	ROW(FLOAT, ingestion_rate_mb, "4", "Push rate a tenant may keep up, MiB per second."),
	ROW(FLOAT, ingestion_burst_size_mb, "6", "Size of the push token bucket, MiB."),
	ROW(BYTES, per_stream_rate_limit, "3MB", "Push rate of one stream, bytes per second."),
	ROW(BYTES, per_stream_rate_limit_burst, "15MB", "Token bucket of one stream."),
	ROW(INT, max_streams_per_user, "0", "Active streams of a tenant on one server; 0: only the global limit.", .min = 0, .max = INT64_MAX),
	ROW(INT, max_global_streams_per_user, "5000", "Active streams of a tenant; 0: no limit.", .min = 0, .max = INT64_MAX),
	ROW(INT, max_label_name_length, "1024", "Longest label name, bytes."),
	ROW(INT, max_label_value_length, "2048", "Longest label value, bytes."),
	ROW(INT, max_label_names_per_series, "15", "Labels of one stream."),
	ROW(BOOL, reject_old_samples, "true", "Refuse entries older than reject_old_samples_max_age."),
	ROW(DUR_PROM, reject_old_samples_max_age, "1w", "How old an entry may be."),
	ROW(DUR_PROM, creation_grace_period, "10m", "How far in the future an entry may be."),
	ROW(BYTES, max_line_size, "256KB", "Longest line; 0: no limit."),
	ROW(BOOL, max_line_size_truncate, "false", "Cut longer lines instead of refusing them."),
	ROW(STR, max_line_size_truncate_identifier, "", "Put at the end of a cut line."),
	{.key = "unordered_writes", .kind = CONF_IGNORED, .doc = "Entries behind their stream are taken, whatever stands here."},
	ROW(BOOL, increment_duplicate_timestamp, "false", "Move an entry 1 ns past an equal timestamp before it in the request."),
	ROW(BOOL, allow_structured_metadata, "true", "Take structured metadata."),
	ROW(BYTES, max_structured_metadata_size, "64KB", "Structured metadata of one entry, bytes."),
	ROW(INT, max_structured_metadata_entries_count, "128", "Structured metadata pairs of one entry."),
	ROW(STR_LIST, discover_service_name,
	    "[service, app, application, app_name, name, app_kubernetes_io_name, container, container_name, k8s_container_name, component, workload, job, k8s_job_name]",
	    "Labels that give service_name, first present wins; empty: none is added."),
	ROW(BOOL, discover_log_levels, "true", "Add detected_level to each entry's structured metadata."),
	ROW(STR_LIST, log_level_fields,
	    "[level, LEVEL, Level, log.level, severity, SEVERITY, Severity, SeverityText, lvl, LVL, Lvl, severity_text, Severity_Text, SEVERITY_TEXT]",
	    "Names under which a level is looked for."),
	ROW(INT, log_level_from_json_max_depth, "2", "How deep in a JSON line a level is looked for."),
	ROW(STR_LIST, enforced_labels, NULL, "Labels without which a stream is refused."),
	ROW(STR, block_ingestion_until, NULL, "RFC3339 time until which pushes are refused."),
	ROW(INT, block_ingestion_status_code, "260", "Status of pushes refused by block_ingestion_until; 200 drops silently.", .min = 200, .max = 599),
	ROW(DUR_PROM, max_query_length, "30d1h", "Longest time range of a query; 0: no limit."),
	ROW(DUR_PROM, max_query_lookback, "0", "How far back queries see; 0: all."),
	ROW(DUR_PROM, max_query_range, "0", "Longest [range] of a metric query; 0: no limit."),
	ROW(INT, max_query_series, "500", "Series of one metric query."),
	ROW(INT, max_entries_limit_per_query, "5000", "Largest limit of a log query; 0: no limit."),
	ROW(INT, max_streams_matchers_per_query, "1000", "Matchers of one query."),
	ROW(DUR_PROM, query_timeout, "1m", "Deadline of a query."),
	ROW(INT, max_concurrent_tail_requests, "10", "Tails that the tenant may have at once.", .min = 0, .max = 1000000),
	ROW(DUR_PROM, split_queries_by_interval, "1h", "0 turns off the alignment of a metric query's range to multiples of its step."),
	ROW(BYTES, max_query_bytes_read, "0", "Bytes one query may read; 0: no limit."),
	ROW(STR_LIST, required_labels, NULL, "Labels that a selector must match."),
	ROW(INT, minimum_labels_number, "0", "Fewest matchers of a selector."),
	ROW(STR_LIST, shard_aggregations, NULL, "approx_topk enables that function."),
	ROW(BOOL, enable_multi_variant_queries, "false", "Allow variants(…) of (…)."),
	ROW(BOOL, volume_enabled, "true", "Serve index/volume."),
	ROW(INT, volume_max_series, "1000", "Series of one volume query."),
	ROW(ENUM, deletion_mode, "filter-and-delete", "What the delete API does: disabled (refused; what was deleted stays hidden), filter-only (hides for ever, on disk nothing goes), filter-and-delete.", .names = deletion_modes),
	ROW(DUR_PROM, retention_period, "0", "How long entries are kept; 0: for ever."),
	{.key = "retention_stream", .kind = CONF_LIST, .off = offsetof(struct limits, retention_stream), .sub = &retention_stream_table, .doc = "Streams kept for another time: of the rules that match, the one with the highest priority counts, of several the shortest."},
	{.key = "larch", .kind = CONF_OBJ, .sub = &larch_table, .doc = ""},
	NOTHING(ingestion_rate_strategy), NOTHING(shard_streams), NOTHING(policy_stream_mapping),
	{.key = "otlp_config", .kind = CONF_OBJ, .off = offsetof(struct limits, otlp), .sub = &otlp_table, .doc = "What becomes of attributes of OpenTelemetry's records."},
	NOTHING(split_metadata_queries_by_interval), NOTHING(split_instant_metric_queries_by_interval),
	NOTHING(split_recent_metadata_queries_by_interval), NOTHING(split_ingester_queries_by_interval),
	NOTHING(max_query_parallelism), NOTHING(tsdb_max_query_parallelism), NOTHING(tsdb_max_bytes_per_shard),
	NOTHING(tsdb_sharding_strategy), NOTHING(tsdb_precompute_chunks), NOTHING(cardinality_limit),
	NOTHING(max_chunks_per_query), NOTHING(max_querier_bytes_read), NOTHING(max_cache_freshness_per_query),
	NOTHING(max_stats_cache_freshness), NOTHING(max_metadata_cache_freshness), NOTHING(max_queriers_per_tenant),
	NOTHING(max_query_capacity), NOTHING(query_ready_index_num_days),
	NOTHING(metric_aggregation_enabled), NOTHING(pattern_persistence_enabled),
	NOTHING(pattern_ingester_tokenizable_json_fields_default), NOTHING(ruler_max_rules_per_rule_group),
	NOTHING(ruler_max_rule_groups_per_tenant), NOTHING(ruler_evaluation_delay_duration), NOTHING(ruler_tenant_shard_size),
	NOTHING(index_gateway_shard_size), NOTHING(bloom_gateway_enable_filtering), NOTHING(bloom_creation_enabled),
	NOTHING(allow_deletes), NOTHING(log_push_request), NOTHING(s3_sse_type),
	{.key = "blocked_queries", .kind = CONF_LIST, .off = offsetof(struct limits, blocked_queries), .sub = &blocked_table, .doc = "Queries that are refused."},
	LATER(ruler_remote_write_url, "There is no ruler: keep recording rules where they run now and remove the key."),
	LATER(ruler_remote_write_config, "There is no ruler: keep recording rules where they run now and remove the key."),
	LATER(ruler_alertmanager_config, "There is no ruler: keep alerting rules where they run now and remove the key."),
	LATER(per_tenant_override_config, "The old name: give the file to runtime_config.file and remove the key."),
	NOTHING(per_tenant_override_period), NOTHING(ruler_remote_write_disabled),
	{0},
};

static bool check(void *obj, const struct yaml *at, struct err *e)
{
	struct limits *l = obj;
	l->block_ingestion_until_ns = 0;
	if (l->block_ingestion_until.n == 0 || str_eqc(l->block_ingestion_until, "0")) return true;
	if (units_rfc3339(l->block_ingestion_until, &l->block_ingestion_until_ns, e)) return true;
	return err_at(e, ERR_INVALID, at ? at->line : 0, at ? at->col : 0,
	              "limits_config.block_ingestion_until: \"%.*s\" is not an RFC3339 time such as 2026-11-01T00:00:00Z",
	              STR_ARG(l->block_ingestion_until));
}

const struct conf_table limits_table = {"limits_config", sizeof(struct limits), fields, .check = check};

/* ---- several tenants ---- */

/* The smaller one, where 0 is no limit. */
#define STRICTER(to, also, key)                                                                                        \
	do {                                                                                                           \
		if ((also)->key > 0 && ((to)->key <= 0 || (also)->key < (to)->key)) (to)->key = (also)->key;           \
	} while (0)

static struct conf_strs both_strs(struct conf_strs x, struct conf_strs y, struct arena *a)
{
	struct conf_strs out = {arena_alloc(a, (x.n + y.n + 1) * sizeof *out.v), x.n + y.n};
	if (x.n) memcpy(out.v, x.v, x.n * sizeof *out.v);
	if (y.n) memcpy(out.v + x.n, y.v, y.n * sizeof *out.v);
	return out;
}

static struct conf_list both_lists(struct conf_list x, struct conf_list y, size_t size, struct arena *a)
{
	struct conf_list out = {arena_alloc(a, (x.n + y.n + 1) * size), x.n + y.n};
	if (x.n) memcpy(out.v, x.v, x.n * size);
	if (y.n) memcpy((char *)out.v + x.n * size, y.v, y.n * size);
	return out;
}

void limits_strictest(struct limits *to, const struct limits *also, struct arena *a)
{
	STRICTER(to, also, max_query_length);
	STRICTER(to, also, max_query_lookback);
	STRICTER(to, also, max_query_range);
	STRICTER(to, also, max_query_series);
	STRICTER(to, also, max_entries_limit_per_query);
	STRICTER(to, also, max_streams_matchers_per_query);
	STRICTER(to, also, query_timeout);
	STRICTER(to, also, max_query_bytes_read);
	STRICTER(to, also, volume_max_series);
	if (also->minimum_labels_number > to->minimum_labels_number)
		to->minimum_labels_number = also->minimum_labels_number;
	to->volume_enabled &= also->volume_enabled;
	to->enable_multi_variant_queries &= also->enable_multi_variant_queries;
	to->required_labels = both_strs(to->required_labels, also->required_labels, a);
	to->blocked_queries =
		both_lists(to->blocked_queries, also->blocked_queries, sizeof(struct limits_blocked_query), a);
}
