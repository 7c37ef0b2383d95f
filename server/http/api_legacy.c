/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/api_query.h"
#include "server/http/respond.h"

struct str api_legacy_query(struct arena *a, const struct httpd_req *r)
{
	struct str query = api_arg(r, "query"), regexp = api_arg(r, "regexp");
	struct buf b = {0};
	if (!regexp.n) return query;
	buf_str(&b, query);
	buf_c(&b, " |~ ");
	buf_quote(&b, regexp);
	query = arena_str(a, buf_view(&b));
	buf_free(&b);
	return query;
}

/* /api/prom/query: a log query over a range. */
static bool legacy_params(struct api_read *a, struct exec_query *q)
{
	if (!api_limit(a->req, "limit", 100, &q->limit, &a->err) || !api_direction(a->req, &q->forward, &a->err))
		return false;
	struct logql *ast = q->extensions ? logql_parse_extended(&a->arena, q->text, &a->err)
					  : logql_parse(&a->arena, q->text, &a->err);
	bool log = ast && logql_is_log(ast->root);
	logql_free(ast);
	return log ||
	       (!ast ? false : err_set(&a->err, ERR_INVALID, "legacy endpoints only support streams result type"));
}

static void get_query(struct httpd_req *r, void *ctx)
{
	struct api_read a;
	struct buf b = {0};
	if (!api_read_open(&a, r, ctx)) return;
	struct exec_query q = api_query_base(&a, api_legacy_query(&a.arena, r));
	struct exec_result *res = legacy_params(&a, &q) ? exec_run(a.api->engine, &q, &a.err) : NULL;
	if (!res) {
		api_read_fail(&a);
		return;
	}
	respond_legacy(&b, res);
	exec_result_free(res);
	api_read_reply(&a, &b);
}

static const struct httpd_route routes[] = {
	{.methods = "GET POST", .path = "/api/prom/query", .fn = get_query, .name = "api_prom_query"},
};

const struct api_table api_legacy_table = API_QUEUED_TABLE(routes);
