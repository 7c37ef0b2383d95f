/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Grafana asks every Loki for its alert list. No rule is evaluated here, and a configuration that names some is
 * refused, so that the lists are empty for every tenant. */
#include "server/http/api.h"

static void reply_none(struct httpd_req *r, void *ctx, const char *list)
{
	struct str tenant;
	struct buf b = {0};
	if (!api_tenant(ctx, r, &tenant)) return;
	buf_printf(&b, "{\"status\":\"success\",\"data\":{\"%s\":[]},\"errorType\":\"\",\"error\":\"\"}", list);
	httpd_reply(r, 200, "application/json", &b);
}

static void rules(struct httpd_req *r, void *ctx) { reply_none(r, ctx, "groups"); }

static void alerts(struct httpd_req *r, void *ctx) { reply_none(r, ctx, "alerts"); }

static const struct httpd_route routes[] = {
	{"GET", "/prometheus/api/v1/rules", rules, 0, "prometheus_api_v1_rules"},
	{"GET", "/prometheus/api/v1/alerts", alerts, 0, "prometheus_api_v1_alerts"},
};

const struct api_table api_rules_table = API_TABLE_FOR(routes, AUTH_READ);
