/* SPDX-License-Identifier: GPL-2.0-or-later */
/* limits: what one tenant may send and ask for; Loki's `limits_config` (spec server-config §3).
 *
 * One immutable struct per tenant, filled by config's field tables. Sizes in bytes, durations in ns; 0
 * means "no limit" where Loki says so. Strings are borrowed from the arena it was decoded into (server/overrides.h). */
#ifndef LARCH_SERVER_LIMITS_H
#define LARCH_SERVER_LIMITS_H

#include "common/conf.h"
#include "proto/otlp.h"

enum deletion_mode { DELETION_DISABLED, DELETION_FILTER_ONLY, DELETION_FILTER_AND_DELETE };

struct limits_retention_stream {
	struct str selector;
	int64_t priority, period; /* ns */
};

/* A list of rules as the file has it, and made of it. */
struct limits_otlp_rules {
	struct conf_list written; /* of struct limits_otlp_rule */
	struct otlp_rule_list rules;
};

struct limits_otlp_rule {
	int action; /* enum otlp_action */
	struct conf_strs attributes;
	struct str regex;
	struct regex *re; /* of the arena; NULL: no regex */
};

struct limits_otlp {
	bool ignore_defaults, severity_text_as_label;
	struct limits_otlp_rules resource, scope, record;
};

struct limits_blocked_query {
	struct str pattern;
	bool regex;
	int64_t hash; /* FNV-1 of the query's text; 0: the pattern counts */
	struct conf_strs types;
	struct labels query_tags;
	struct regex *re; /* of the arena; NULL: whole text */
};

struct limits {
	/* push */
	double ingestion_rate_mb, ingestion_burst_size_mb;
	uint64_t per_stream_rate_limit, per_stream_rate_limit_burst;
	int64_t max_streams_per_user, max_global_streams_per_user;
	int64_t max_label_name_length, max_label_value_length, max_label_names_per_series;
	bool reject_old_samples;
	int64_t reject_old_samples_max_age, creation_grace_period;
	uint64_t max_line_size;
	bool max_line_size_truncate;
	struct str max_line_size_truncate_identifier;
	bool increment_duplicate_timestamp;
	bool allow_structured_metadata;
	uint64_t max_structured_metadata_size;
	int64_t max_structured_metadata_entries_count;
	struct conf_strs discover_service_name;
	bool discover_log_levels;
	struct conf_strs log_level_fields;
	int64_t log_level_from_json_max_depth;
	struct conf_strs enforced_labels;
	struct str block_ingestion_until;
	int64_t block_ingestion_until_ns; /* parsed; 0: not blocked */
	int64_t block_ingestion_status_code;
	struct limits_otlp otlp;
	/* query */
	int64_t max_query_length, max_query_lookback, max_query_range;
	int64_t max_query_series, max_entries_limit_per_query, max_streams_matchers_per_query;
	int64_t query_timeout, split_queries_by_interval;
	int64_t max_concurrent_tail_requests;
	uint64_t max_query_bytes_read;
	struct conf_strs required_labels;
	struct conf_list blocked_queries; /* of struct limits_blocked_query */
	int64_t minimum_labels_number;
	struct conf_strs shard_aggregations;
	bool enable_multi_variant_queries;
	bool volume_enabled;
	int64_t volume_max_series;
	/* deletes */
	int deletion_mode; /* enum deletion_mode */
	/* retention */
	int64_t retention_period;
	struct conf_list retention_stream; /* of struct limits_retention_stream */
	uint64_t retention_bytes;          /* larch.retention_bytes: what the tenant's segments may take; 0: no limit */
};

extern const struct conf_table limits_table;

/* Makes *to no laxer for queries than `also` is: for a query over several tenants. Lists are the arena's. */
void limits_strictest(struct limits *to, const struct limits *also, struct arena *a);

#endif
