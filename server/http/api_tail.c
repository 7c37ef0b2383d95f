/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/units.h"
#include "common/ws.h"
#include "server/http/api_query.h"
#include "server/http/tails.h"
#include "server/ingest/ingest.h"

#define DELAY_MAX 5 /* seconds */

/* A request that becomes a tail. */
struct opening {
	const struct api *api;
	struct httpd_req *req;
	struct arena arena;
	struct exec_query q;
	struct exec_source source;
	struct tail_spec spec;
	struct ws_request ws;
	bool events; /* server-sent, rather than a WebSocket */
	struct err err;
};

static bool wants_events(const struct httpd_req *r)
{
	struct str rest = httpd_header(r, "Accept"), one, type;
	for (bool more = rest.p != NULL; more;) {
		more = str_cut(&rest, ',', &one);
		str_cut(&one, ';', &type);
		if (str_ieq(str_trim(type), STR("text/event-stream"))) return true;
	}
	return false;
}

static bool delay_param(struct opening *o)
{
	struct str text = api_arg(o->req, "delay_for");
	int64_t s = 0;
	if (text.n && !api_int(text, &s, &o->err)) return false;
	if (s < 0 || s > DELAY_MAX)
		return err_set(&o->err, ERR_INVALID, "delay_for can't be greater than %d", DELAY_MAX);
	o->spec.delay_ns = s * UNITS_SEC;
	return true;
}

static bool protocol(struct opening *o)
{
	struct httpd_req *r = o->req;
	o->events = wants_events(r);
	o->ws = (struct ws_request){httpd_header(r, "Connection"), httpd_header(r, "Upgrade"),
				    httpd_header(r, "Sec-WebSocket-Version"), httpd_header(r, "Sec-WebSocket-Key")};
	if (o->events || ws_requested(&o->ws, &o->err)) return true;
	httpd_header_add(r, "Sec-WebSocket-Version", "13");
	return err_wrap(&o->err, "a tail is a WebSocket, or text/event-stream for those who Accept that");
}

static bool params(struct opening *o)
{
	struct exec_query *q = &o->q;
	int64_t end;
	q->text = api_arg(o->req, "query");
	if (o->spec.legacy) q->text = api_legacy_query(&o->arena, o->req);
	q->extensions = api_extensions(o->api, o->req);
	q->categorize = !o->spec.legacy && api_wants_categories(o->req);
	q->step = 1;
	if (!api_limit(o->req, "limit", 100, &q->limit, &o->err) ||
	    !api_bounds(o->req, clock_wall(o->api->clock), &q->start, &end, &o->err) || !delay_param(o))
		return false;
	q->end = clock_wall(o->api->clock);
	if (q->start > q->end) q->start = q->end;
	o->spec.tenant = o->source.tenant;
	o->spec.query = q->text;
	o->spec.categorize = q->categorize;
	o->spec.max_of_tenant = q->limits->max_concurrent_tail_requests;
	return ingest_ready(o->api->ingest, &o->err) && protocol(o);
}

/* Takes a place and begins to follow; what was there before is in o->source.snap. */
static struct tail *start(struct opening *o)
{
	struct tail *t = tails_add(o->api->tails, &o->spec, &o->err);
	if (!t) return NULL;
	struct exec_tail *x = exec_tail_open(o->api->engine, o->api->store, &o->q, &o->source, tail_wake, t, &o->err);
	if (!x) {
		tail_cancel(t);
		return NULL;
	}
	tail_follow(t, x);
	return t;
}

static void attach(struct opening *o, struct tail *t)
{
	char accept[WS_ACCEPT];
	if (o->events) {
		httpd_header_add(o->req, "Cache-Control", "no-cache");
		tail_attach_events(t, o->req);
	} else {
		ws_accept(o->ws.key, accept);
		httpd_header_add(o->req, "Sec-WebSocket-Accept", accept);
		tail_attach_ws(t, o->req);
	}
	o->req = NULL;
}

/* The last entries since start. Everything that was taken counts, also what is a little ahead of time. */
static void backfill(struct opening *o, struct tail *t)
{
	struct exec_query q = o->q;
	q.end += q.limits->creation_grace_period + UNITS_SEC;
	q.sources = &o->source;
	q.n_sources = 1;
	q.cancel = tail_cancel_flag(t);
	struct exec_result *r = exec_run(o->api->engine, &q, &o->err);
	snapshot_free(o->source.snap);
	tail_backfill(t, r, &o->err);
}

static void open_tail(struct httpd_req *r, const struct api *api, bool legacy)
{
	struct opening o = {.api = api, .req = r, .spec.legacy = legacy, .err = ERR_INIT};
	struct str tenant;
	if (!api_tenant(api, r, &tenant)) return;
	arena_init(&o.arena, 0);
	o.source.tenant = arena_str(&o.arena, tenant);
	o.q.limits = overrides_get(api->overrides, o.source.tenant);
	struct tail *t = params(&o) ? start(&o) : NULL;
	if (t) {
		o.q.text = arena_str(&o.arena, o.q.text); /* it borrows from the request */
		attach(&o, t);
		backfill(&o, t);
	} else {
		api_fail(r, &o.err);
	}
	overrides_put(o.q.limits);
	arena_free(&o.arena);
}

static void get_tail(struct httpd_req *r, void *ctx) { open_tail(r, ctx, false); }
static void get_legacy_tail(struct httpd_req *r, void *ctx) { open_tail(r, ctx, true); }

static const struct httpd_route routes[] = {
	{.methods = "GET", .path = "/loki/api/v1/tail", .fn = get_tail, .name = "loki_api_v1_tail"},
	{.methods = "GET", .path = "/api/prom/tail", .fn = get_legacy_tail, .name = "api_prom_tail"},
};

const struct api_table api_tail_table = API_QUEUED_TABLE(routes);
