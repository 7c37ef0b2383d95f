/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Delete requests (spec http-api §7): made, listed, cancelled; what they do is store/deletes.h's business. Texts are
 * Loki's. */
#include "common/json.h"
#include "common/log.h"
#include "common/units.h"
#include "server/http/api.h"
#include "server/http/respond.h"
#include "server/ingest/ingest.h"
#include "server/metrics.h"
#include "server/store/deletes.h"
#include "server/store/store.h"

#include <stdio.h>
#include <stdlib.h>

struct call {
	const struct api *api;
	struct httpd_req *req;
	struct str name;       /* the tenant's */
	struct tenant *tenant; /* as it is now; NULL: it has nothing */
	int64_t before;        /* requests made before may be carried out on disk */
	struct err err;
};

static void call_fail(struct call *c)
{
	size_t n = strlen(c->err.msg);
	if (n + 1 < sizeof c->err.msg) memcpy(c->err.msg + n, "\n", 2); /* errors about deletes end with one */
	api_fail(c->req, &c->err);
}

/* The tenant, if it may ask at all. False: answered. */
static bool call_open(struct call *c, struct httpd_req *r, void *ctx)
{
	*c = (struct call){.api = ctx, .req = r, .err = ERR_INIT};
	if (!api_tenant(c->api, r, &c->name)) return false;
	const struct limits *l = overrides_get(c->api->overrides, c->name);
	enum deletion_mode mode = (enum deletion_mode)l->deletion_mode;
	overrides_put(l);
	if (mode == DELETION_DISABLED) {
		httpd_reply_text(r, 403, STR("deletion is not available for this tenant\n"));
		return false;
	}
	if (!store_tenant_now(c->api->store, c->name, &c->tenant, &c->err)) {
		call_fail(c);
		return false;
	}
	c->before = mode == DELETION_FILTER_ONLY ? INT64_MIN : clock_wall(c->api->clock) - c->api->delete_cancel_period;
	return true;
}

static bool refuse(struct call *c, const char *text) { return err_set(&c->err, ERR_INVALID, "%s", text); }

/* ---- making ---- */

/* RFC3339, or ten digits of seconds. */
static bool parse_time(struct str text, int64_t *out)
{
	struct err ignored = ERR_INIT;
	if (units_rfc3339(text, out, &ignored)) return true;
	return text.n == 10 && str_to_i64(text, out) && api_time(text, 0, out, &ignored);
}

static bool parse_range(struct call *c, struct delete_spec *s)
{
	struct str start = api_arg(c->req, "start"), end = api_arg(c->req, "end");
	int64_t now = clock_wall(c->api->clock);
	if (start.n == 0) return refuse(c, "start time not set");
	if (!parse_time(start, &s->from))
		return refuse(c, "invalid start time: require unix seconds or RFC3339 format");
	s->to = now;
	if (end.n && !parse_time(end, &s->to))
		return refuse(c, "invalid end time: require unix seconds or RFC3339 format");
	if (s->to > now) return refuse(c, "deletes in the future are not allowed");
	return s->from < s->to || refuse(c, "start time can't be greater than or equal to end time");
}

static bool interval_too_long(struct call *c, const char *what, const char *end, int64_t ns)
{
	struct buf b = {0};
	units_dur_go_print(&b, ns);
	err_set(&c->err, ERR_INVALID, "max_interval can't be greater than %s%s%s", what, buf_cstr(&b), end);
	buf_free(&b);
	return false;
}

/* Loki cuts requests into parts of that length, which it works off one by one. Here a request stays whole, and its
 * progress is that of the time it covers; the parameter is only checked. */
static bool check_interval(struct call *c, const struct delete_spec *s)
{
	struct str text = api_arg(c->req, "max_interval");
	struct err ignored = ERR_INIT;
	int64_t ns, range, most = c->api->delete_max_interval;
	if (text.n == 0) return true;
	if (!units_dur_go(text, &ns, &ignored))
		return refuse(c, "invalid max_interval: valid time units are 's', 'm', 'h'");
	if (most && ns > most) return interval_too_long(c, "", "", most);
	if (__builtin_sub_overflow(s->to, s->from, &range) || ns <= range) return true;
	return interval_too_long(c, "the interval to be deleted (", ")", range);
}

static bool parse_spec(struct call *c, struct delete_spec *s)
{
	struct err why = ERR_INIT;
	s->query = api_arg(c->req, "query");
	if (s->query.n == 0) return refuse(c, "query not set");
	if (!deletes_check(c->api->store, s->query, &why)) return refuse(c, "invalid query expression");
	return parse_range(c, s) && check_interval(c, s);
}

/* What is acknowledged after the answer shows: pushes under way that do not know of the request are waited for. */
static void create(struct httpd_req *r, void *ctx)
{
	struct call c;
	struct delete_spec s;
	char id[DELETE_ID];
	if (!call_open(&c, r, ctx)) return;
	if (!parse_spec(&c, &s) || !deletes_create(store_tenant(c.api->store, c.name, true), &s, id, &c.err)) {
		call_fail(&c);
		return;
	}
	ingest_fence(c.api->ingest);
	metrics_add(metrics_get(c.api->metrics, METRIC_DELETES_RECEIVED, &c.name), 1);
	log_info("delete request made", kv_str("tenant", c.name), kv_c("request", id), kv_str("query", s.query));
	httpd_header_add(r, "X-Delete-Request-ID", id);
	httpd_reply(r, 204, NULL, NULL);
}

/* ---- listing ---- */

static int by_creation(const void *a, const void *b)
{
	const struct delete_request *x = (*(struct deletes_item *const *)a)->r,
				    *y = (*(struct deletes_item *const *)b)->r;
	if (x->created != y->created) return x->created < y->created ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static void put_text(struct json_out *o, const char *key, struct str value)
{
	json_key(o, str_c(key));
	json_put_str(o, value);
}

static void put_time(struct json_out *o, const char *key, int64_t ns)
{
	struct buf b = {0};
	respond_time(&b, ns);
	json_key(o, str_c(key));
	json_put_raw(o, buf_view(&b));
	buf_free(&b);
}

static void put_status(struct json_out *o, const struct call *c, const struct deletes_item *it)
{
	char text[32] = "received";
	unsigned percent = it->r->created < c->before ? deletes_progress(c->tenant, it->r) : 0;
	if (it->state == DELETE_DONE)
		snprintf(text, sizeof text, "processed");
	else if (percent) /* all of it is only said when it is known for good */
		snprintf(text, sizeof text, "%u%% Complete", percent < 100 ? percent : 99);
	put_text(o, "status", str_c(text));
}

static void put_request(struct json_out *o, const struct call *c, const struct deletes_item *it)
{
	json_open(o, '{');
	put_text(o, "request_id", it->r->id);
	put_time(o, "start_time", it->r->from);
	put_time(o, "end_time", it->r->to);
	put_text(o, "query", it->r->query);
	put_status(o, c, it);
	put_time(o, "created_at", it->r->created);
	put_text(o, "user_id", STR(""));
	json_close(o, '}');
}

static void put_requests(struct json_out *o, const struct call *c)
{
	struct deletes *d = deletes_of(c->tenant);
	const struct deletes_item **v = mem_alloc((d->n + 1) * sizeof *v);
	size_t n = 0;
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].state != DELETE_CANCELLED) v[n++] = &d->v[i];
	if (n) qsort(v, n, sizeof *v, by_creation);
	for (size_t i = 0; i < n; i++) put_request(o, c, v[i]);
	free(v);
	deletes_unref(d);
}

static void list(struct httpd_req *r, void *ctx)
{
	struct call c;
	struct buf b = {0};
	struct json_out o;
	if (!call_open(&c, r, ctx)) return;
	json_out_init(&o, &b, true);
	json_open(&o, '[');
	if (c.tenant) put_requests(&o, &c);
	json_close(&o, ']');
	buf_ch(&b, '\n');
	httpd_reply(r, 200, "application/json", &b);
}

/* Changes whenever an answer may change because of a request. */
static void generation(struct httpd_req *r, void *ctx)
{
	struct call c;
	struct buf b = {0};
	uint64_t number = 0;
	if (!call_open(&c, r, ctx)) return;
	if (c.tenant) {
		struct deletes *d = deletes_of(c.tenant);
		number = d->generation;
		deletes_unref(d);
	}
	buf_ch(&b, '"');
	if (number) buf_printf(&b, "%llu", (unsigned long long)number);
	buf_c(&b, "\"\n");
	httpd_reply(r, 200, "application/json", &b);
}

/* ---- cancelling ---- */

static const char *cancel_text(enum err_code code)
{
	switch (code) {
	case ERR_NOT_FOUND: return "could not find delete request with given id";
	case ERR_EXISTS: return "deletion of request which is in process or already processed is not allowed";
	case ERR_INVALID:
		return "Unable to cancel partially completed delete request. To force, use the ?force query parameter";
	default: return NULL;
	}
}

static void cancel(struct httpd_req *r, void *ctx)
{
	struct call c;
	if (!call_open(&c, r, ctx)) return;
	struct str id = api_arg(r, "request_id");
	bool force = str_eqc(api_arg(r, "force"), "true");
	bool ok = c.tenant ? deletes_cancel(c.tenant, id, c.before, force, &c.err)
			   : err_set(&c.err, ERR_NOT_FOUND, "the tenant has nothing");
	const char *text = ok ? NULL : cancel_text(c.err.code);
	if (text) err_set(&c.err, c.err.code == ERR_NOT_FOUND ? ERR_NOT_FOUND : ERR_INVALID, "%s", text);
	if (!ok) {
		call_fail(&c);
		return;
	}
	log_info("delete request cancelled", kv_str("tenant", c.name), kv_str("request", id));
	httpd_reply(r, 204, NULL, NULL);
}

static const struct httpd_route routes[] = {
	{.methods = "POST PUT", .path = "/loki/api/v1/delete", .fn = create, .name = "loki_api_v1_delete"},
	{.methods = "GET", .path = "/loki/api/v1/delete", .fn = list, .name = "loki_api_v1_delete"},
	{.methods = "DELETE", .path = "/loki/api/v1/delete", .fn = cancel, .name = "loki_api_v1_delete"},
	{.methods = "GET",
	 .path = "/loki/api/v1/cache/generation_numbers",
	 .fn = generation,
	 .name = "loki_api_v1_cache_generation_numbers"},
};

const struct api_table api_delete_table = API_TABLE_FOR(routes, AUTH_ADMIN);
