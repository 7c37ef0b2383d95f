/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/admin.h"

#include "agent/stats.h"
#include "common/httpd.h"
#include "common/log.h"
#include "common/units.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define RETRY_NS UNITS_SEC /* between attempts at a port that is taken */

struct admin {
	struct admin_env env;
	struct httpd *httpd;      /* NULL while the port is taken */
	struct loop_timer *again; /* runs out when it is to be tried again */
	char *prefix, *address;
	_Atomic bool ready;
	pthread_mutex_t lock; /* guards stopping against posts */
	bool stopping;
};

/* ---- targets ---- */

struct question {
	struct admin *a;
	struct httpd_req *r;
	bool json;
};

static void html_escape(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '<': buf_c(b, "&lt;"); break;
		case '>': buf_c(b, "&gt;"); break;
		case '&': buf_c(b, "&amp;"); break;
		case '"': buf_c(b, "&quot;"); break;
		default: buf_ch(b, s.p[i]);
		}
	}
}

/* Objects become tables of their keys, arrays rows of blocks. */
static void json_to_html(struct str json, struct buf *out)
{
	struct err e = ERR_INIT;
	struct json j;
	struct buf scratch = {0};
	enum json_tok t;

	json_init(&j, json, &e);
	while ((t = json_next(&j)) != JSON_END && t != JSON_ERROR) {
		switch (t) {
		case JSON_OBJ_OPEN: buf_c(out, "<table>"); break;
		case JSON_OBJ_CLOSE: buf_c(out, "</table>\n"); break;
		case JSON_KEY:
			buf_clear(&scratch);
			buf_c(out, "<tr><th>");
			html_escape(out, json_text(&j, &scratch));
			buf_c(out, "</th><td>");
			break;
		case JSON_STRING:
			buf_clear(&scratch);
			html_escape(out, json_text(&j, &scratch));
			break;
		case JSON_NUMBER: buf_str(out, j.text); break;
		case JSON_TRUE: buf_c(out, "yes"); break;
		case JSON_FALSE: buf_c(out, "no"); break;
		default: break;
		}
	}
	buf_free(&scratch);
}

static const char page_head[] =
	"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>larch-agent: targets</title><style>"
	"body{font:14px sans-serif;margin:1em}table{border-collapse:collapse;margin:.3em 0}"
	"th{text-align:left;vertical-align:top;font-weight:normal;color:#555}th,td{border:1px solid #ccc;padding:.2em "
	".5em}"
	"</style></head><body><h1>Targets</h1><p><a href=\"metrics\">metrics</a> · <a "
	"href=\"config\">configuration</a> · "
	"<a href=\"ready\">ready</a> · <a href=\"targets?format=json\">as JSON</a></p>\n";

/* On the loop's thread. */
static void answer(void *ud)
{
	struct question *q = ud;
	struct buf json = {0}, html = {0};
	struct json_out o;

	json_out_init(&o, &json, true);
	q->a->env.describe(q->a->env.ud, &o);
	if (!q->json) {
		buf_c(&html, page_head);
		json_to_html(buf_view(&json), &html);
		buf_c(&html, "</body></html>\n");
	}
	httpd_reply(q->r, 200, q->json ? "application/json; charset=utf-8" : "text/html; charset=utf-8",
		    q->json ? &json : &html);
	buf_free(&json);
	buf_free(&html);
	free(q);
}

static void on_targets(struct httpd_req *r, void *ctx)
{
	struct admin *a = ctx;
	struct question *q = mem_alloc(sizeof *q);
	bool json = str_eqc(httpd_arg(r, "format"), "json") ||
		    str_find(httpd_header(r, "Accept"), STR("application/json")) >= 0;

	*q = (struct question){a, r, json};
	pthread_mutex_lock(&a->lock);
	bool stopping = a->stopping;
	if (!stopping) loop_post(a->env.loop, answer, q);
	pthread_mutex_unlock(&a->lock);
	if (!stopping) return;
	free(q);
	httpd_reply_text(r, 503, STR("stopping\n"));
}

/* ---- the rest ---- */

static void on_ready(struct httpd_req *r, void *ctx)
{
	struct admin *a = ctx;

	if (!a->env.conf->health_check_target || atomic_load(&a->ready))
		httpd_reply_text(r, 200, STR("Ready"));
	else
		httpd_reply_text(r, 500, STR("Not ready: nothing is being read yet; see /targets\n"));
}

static void on_metrics(struct httpd_req *r, void *ctx)
{
	struct admin *a = ctx;
	struct buf b = {0};

	metrics_expose(a->env.metrics, &b);
	custom_metrics_expose(a->env.custom, &b);
	httpd_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

static void on_config(struct httpd_req *r, void *ctx)
{
	struct admin *a = ctx;

	httpd_reply_text(r, 200, str_c(a->env.config));
}

static void on_root(struct httpd_req *r, void *ctx)
{
	struct admin *a = ctx;
	struct buf to = {0};

	buf_printf(&to, "%s/targets", a->prefix);
	httpd_header_add(r, "Location", buf_cstr(&to));
	buf_free(&to);
	httpd_reply_text(r, 303, STR("see /targets\n"));
}

static const struct httpd_route routes[] = {
	{"GET", "/ready", on_ready, 0, "ready"},
	{"GET", "/targets", on_targets, 0, "targets"},
	{"GET", "/service-discovery", on_targets, 0, "service_discovery"},
	{"GET", "/config", on_config, 0, "config"},
	{"GET", "/", on_root, 0, "root"},
	{"GET", "/metrics", on_metrics, 0, "metrics"}, /* last: left out without register_instrumentation */
};
#define ROUTES (sizeof routes / sizeof *routes)

static void on_done(void *ctx, const char *route, const char *method, int status, int64_t ns)
{
	struct admin *a = ctx;
	char code[16];
	struct buf b = {0};

	buf_i64(&b, status);
	memcpy(code, b.p, b.n);
	const struct str values[] = {str_c(method), str_c(route ? route : "other"), str_of(code, b.n)};
	buf_free(&b);
	metrics_observe(metrics_get(a->env.metrics, STAT_HTTP_SECONDS, values), (double)ns / 1e9);
}

void admin_set_ready(struct admin *a, bool ready)
{
	if (a) atomic_store(&a->ready, ready);
}

static void admin_free(struct admin *a)
{
	loop_timer_del(a->again);
	pthread_mutex_destroy(&a->lock);
	free(a->prefix);
	free(a->address);
	free(a);
}

static bool serve(struct admin *a, struct err *e)
{
	const struct server_conf *s = a->env.conf;
	struct httpd_config c = {.address = a->address,
				 .port = (uint16_t)s->port,
				 .prefix = a->prefix,
				 .routes = routes,
				 .nroutes = s->register_instrumentation ? ROUTES : ROUTES - 1,
				 .ctx = a,
				 .workers = 2,
				 .max_connections = (unsigned)s->conn_limit,
				 .idle_timeout_s = (int)(s->idle_timeout / UNITS_SEC),
				 .done = on_done};
	a->httpd = httpd_start(&c, e);
	if (a->httpd) log_info("listening", kv_i("port", httpd_port(a->httpd)));
	return a->httpd;
}

static void serve_again(void *ud)
{
	struct admin *a = ud;
	struct err e = ERR_INIT;

	if (serve(a, &e)) return;
	log_warn("the agent's own page and metrics are still missing", kv_err(&e));
	loop_timer_set(a->again, RETRY_NS);
}

struct admin *admin_start(const struct admin_env *env, struct err *e)
{
	struct admin *a = mem_zalloc(sizeof *a);
	struct str prefix = env->conf->path_prefix;

	while (prefix.n && prefix.p[prefix.n - 1] == '/') prefix.n--;
	a->env = *env;
	a->prefix = mem_strndup(prefix.p ? prefix.p : "", prefix.n);
	a->address = mem_strndup(env->conf->address.p ? env->conf->address.p : "", env->conf->address.n);
	pthread_mutex_init(&a->lock, NULL);
	a->again = loop_timer_add(env->loop, -1, serve_again, a);
	if (serve(a, e)) return a;
	if (e->code == ERR_UNAVAILABLE) {
		log_error("the agent's own page and metrics are missing until the port is free; logs are shipped "
			  "(server.http_listen_port chooses another one)",
			  kv_err(e));
		*e = ERR_INIT;
		loop_timer_set(a->again, RETRY_NS);
		return a;
	}
	admin_free(a);
	return NULL;
}

void admin_stop(struct admin *a)
{
	if (!a) return;
	pthread_mutex_lock(&a->lock);
	a->stopping = true;
	pthread_mutex_unlock(&a->lock);
	loop_step(a->env.loop, 0); /* answers what was posted before */
	httpd_stop(a->httpd, UNITS_SEC);
	admin_free(a);
}
