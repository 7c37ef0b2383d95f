/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a tenant may do, told to itself: all of its limits as YAML, and those that Grafana's Drilldown asks for. */
#include "common/json.h"
#include "common/version.h"
#include "server/http/api.h"

static void tenant_limits(struct httpd_req *r, void *ctx)
{
	struct api *api = ctx;
	struct str tenant;
	struct buf b = {0};
	if (!api_tenant(api, r, &tenant)) return;
	const struct limits *l = overrides_get(api->overrides, tenant);
	conf_print(&limits_table, l, &b);
	overrides_put(l);
	httpd_reply(r, 200, "text/plain; charset=utf-8", &b);
}

static void drilldown_limits(struct httpd_req *r, void *ctx)
{
	static const char *const keys[] = {
		"discover_log_levels",
		"discover_service_name",
		"log_level_fields",
		"max_entries_limit_per_query",
		"max_line_size_truncate",
		"max_query_bytes_read",
		"max_query_length",
		"max_query_lookback",
		"max_query_range",
		"max_query_series",
		"query_timeout",
		"retention_period",
		"volume_enabled",
		"volume_max_series",
		NULL,
	};
	struct api *api = ctx;
	struct str tenant;
	struct buf b = {0};
	struct json_out o;
	if (!api_tenant(api, r, &tenant)) return;
	const struct limits *l = overrides_get(api->overrides, tenant);
	json_out_init(&o, &b, true);
	json_open(&o, '{');
	json_key(&o, STR("limits"));
	json_open(&o, '{');
	conf_print_json(&limits_table, l, keys, &o);
	json_close(&o, '}');
	json_key(&o, STR("pattern_ingester_enabled"));
	json_put_bool(&o, true);
	json_key(&o, STR("version"));
	json_put_str(&o, STR(LARCH_VERSION));
	json_close(&o, '}');
	overrides_put(l);
	httpd_reply(r, 200, "application/json; charset=UTF-8", &b);
}

static const struct httpd_route routes[] = {
	{"GET", "/config/tenant/v1/limits", tenant_limits, 0, "config_tenant_v1_limits"},
	{"GET", "/loki/api/v1/drilldown-limits", drilldown_limits, 0, "loki_api_v1_drilldown_limits"},
};

const struct api_table api_limits_table = API_TABLE_FOR(routes, AUTH_READ);
