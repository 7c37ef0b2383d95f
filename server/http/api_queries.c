/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tenants have asked and is not answered yet: the list, and cancelling. */
#include "common/json.h"
#include "server/http/api.h"
#include "server/http/queries.h"

static void put_text(struct json_out *o, const char *key, struct str text)
{
	json_key(o, str_c(key));
	json_put_str(o, text);
}

static void put_seconds(struct json_out *o, const char *key, int64_t ns)
{
	json_key(o, str_c(key));
	json_put_f64(o, (double)ns / 1e9);
}

static void put_query(void *ud, const struct query_info *i)
{
	struct json_out *o = ud;
	json_open(o, '{');
	json_key(o, STR("id"));
	json_put_u64(o, i->id);
	put_text(o, "tenant", i->tenant);
	put_text(o, "route", i->route);
	put_text(o, "query", i->text);
	put_text(o, "peer", i->peer);
	put_text(o, "state", i->ran < 0 ? STR("waiting") : STR("running"));
	put_seconds(o, "waitedSeconds", i->waited);
	put_seconds(o, "ranSeconds", i->ran < 0 ? 0 : i->ran);
	json_close(o, '}');
}

static void list(struct httpd_req *r, void *ctx)
{
	const struct api *api = ctx;
	struct arena a;
	struct str *tenants;
	size_t n;
	struct buf b = {0};
	struct json_out o;
	arena_init(&a, 0);
	if (api_tenants(api, r, &a, &tenants, &n)) {
		json_out_init(&o, &b, true);
		json_open(&o, '{');
		json_key(&o, STR("queries"));
		json_open(&o, '[');
		queries_each(api->queries, tenants, n, put_query, &o);
		json_close(&o, ']');
		json_close(&o, '}');
		api_json(r, &b);
	}
	arena_free(&a);
}

static void cancel(struct httpd_req *r, void *ctx)
{
	const struct api *api = ctx;
	struct arena a;
	struct str *tenants;
	size_t n;
	uint64_t id;
	arena_init(&a, 0);
	if (api_tenants(api, r, &a, &tenants, &n)) {
		if (str_to_u64(httpd_param(r, "id"), &id) && queries_cancel(api->queries, r, tenants, n, id))
			httpd_reply(r, 204, NULL, NULL);
		else
			httpd_reply_text(r, 404, STR("no such query: it is answered already, or another tenant's\n"));
	}
	arena_free(&a);
}

static const struct httpd_route routes[] = {
	{"GET", "/larch/v1/queries", list, 0, "larch_v1_queries"},
	{"DELETE", "/larch/v1/queries/{id}", cancel, 0, "larch_v1_queries_id"},
};

const struct api_table api_queries_table = API_TABLE_FOR(routes, AUTH_READ);
