/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /larch/v1/context: the entries around one, in the order in which a query has them and arrivals were. */
#include "common/units.h"
#include "server/exec/context.h"
#include "server/http/api_query.h"
#include "server/http/respond.h"

#include <stdlib.h>

#define AROUND 10 /* entries on either side, unless told otherwise */

struct request {
	const struct api *api;
	struct httpd_req *req;
	struct arena arena;
	struct str tenant;
	struct exec_query q;
	struct exec_context_spec s;
	struct err err;
};

static bool count_param(struct request *x, const char *name, uint32_t *n)
{
	int64_t max = x->q.limits->max_entries_limit_per_query, v = AROUND;
	struct str text = api_arg(x->req, name);
	if (text.n && !api_int(text, &v, &x->err)) return err_wrap(&x->err, "%s", name);
	if (max <= 0 || max > UINT32_MAX) max = UINT32_MAX;
	if (v < 0 || v > max)
		return err_set(&x->err, ERR_INVALID, "%s has to be between 0 and %lld (max_entries_limit_per_query)",
			       name, (long long)max);
	*n = (uint32_t)v;
	return true;
}

static bool entry_params(struct request *x)
{
	struct str ts = api_arg(x->req, "ts"), stream = api_arg(x->req, "stream"), within = api_arg(x->req, "within"),
		   dup;
	if (!ts.n) return err_set(&x->err, ERR_INVALID, "ts is missing: the entry's time, in ns or RFC3339");
	if (!api_time(ts, 0, &x->s.ts, &x->err)) return err_wrap(&x->err, "ts");
	if (within.n && !api_int(within, &x->s.within, &x->err)) return err_wrap(&x->err, "within");
	if (x->s.within < 0) return err_set(&x->err, ERR_INVALID, "within has to be a number of ns");
	if (httpd_arg(x->req, "line").p) x->s.line = httpd_arg(x->req, "line");
	if (stream.n && !labels_parse(&x->arena, stream, &x->s.stream, &x->err)) return err_wrap(&x->err, "stream");
	return labels_sort(x->s.stream.v, x->s.stream.n, &dup) ||
	       err_set(&x->err, ERR_INVALID, "stream: %.*s occurs twice", STR_ARG(dup));
}

static bool params(struct request *x)
{
	struct exec_query *q = &x->q;
	q->text = api_arg(x->req, "query");
	q->step = 1;
	q->extensions = api_extensions(x->api, x->req);
	q->cancel = httpd_cancel_flag(x->req);
	return api_time(api_arg(x->req, "start"), INT64_MIN, &q->start, &x->err) &&
	       api_time(api_arg(x->req, "end"), INT64_MAX, &q->end, &x->err) && entry_params(x) &&
	       count_param(x, "before", &x->s.before) && count_param(x, "after", &x->s.after);
}

static void print(struct buf *b, const struct exec_context *c)
{
	struct respond_row *rows = mem_alloc((c->n + 1) * sizeof *rows);
	for (size_t i = 0; i < c->n; i++) {
		const struct kept *k = c->v[i];
		rows[i] = (struct respond_row){&k->labels, {.ts = k->ts, .line = k->line}, i};
	}
	buf_printf(b, "{\"status\":\"success\",\"entry\":%zu,\"data\":", c->at);
	respond_tail(b, &(struct respond_tail){.rows = rows, .n = c->n});
	buf_c(b, "}\n");
	free(rows);
}

static void get_context(struct httpd_req *r, void *ctx)
{
	struct request x = {.api = ctx, .req = r, .err = ERR_INIT};
	struct exec_context *c = NULL;
	struct buf b = {0};
	if (!api_tenant(ctx, r, &x.tenant)) return;
	arena_init(&x.arena, 0);
	x.q.limits = overrides_get(x.api->overrides, x.tenant);
	if (params(&x)) c = exec_context(x.api->engine, x.api->store, x.tenant, &x.q, &x.s, &x.err);
	overrides_put(x.q.limits);
	arena_free(&x.arena);
	if (c) print(&b, c);
	exec_context_free(c);
	if (c)
		api_json(r, &b);
	else
		api_fail(r, &x.err);
}

static const struct httpd_route routes[] = {
	{.methods = "GET POST", .path = "/larch/v1/context", .fn = get_context, .name = "larch_v1_context"},
};

const struct api_table api_context_table = API_QUEUED_TABLE(routes);
