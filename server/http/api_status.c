/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/api_status.h"

#include "common/json.h"
#include "common/log.h"
#include "common/version.h"
#include "server/ingest/ingest.h"
#include "server/store/store.h"

static void ready(struct httpd_req *r, void *ctx)
{
	struct api *api = ctx;
	struct err e = ERR_INIT;
	if (api->status->stopping) {
		httpd_reply_text(r, 503, STR("Application is stopping\n"));
		return;
	}
	if (ingest_closed(api->ingest)) {
		httpd_reply_text(r, 503, STR("Ingester not ready: it was shut down by /ingester/shutdown\n"));
		return;
	}
	if (ingest_ready(api->ingest, &e)) {
		httpd_reply_text(r, 200, STR("ready\n"));
		return;
	}
	struct buf b = {0};
	buf_printf(&b, "Ingester not ready: %s\n", e.msg);
	httpd_reply_text(r, 503, buf_view(&b));
	buf_free(&b);
}

static void metrics(struct httpd_req *r, void *ctx)
{
	struct api *api = ctx;
	if (!api->status->metrics) {
		httpd_reply_text(r, 404, STR("404 page not found\n"));
		return;
	}
	struct buf b = {0};
	metrics_expose(api->status->metrics, &b);
	httpd_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

static void config(struct httpd_req *r, void *ctx)
{
	struct api *api = ctx;
	struct buf b = {0};
	buf_str(&b, buf_view(&api->status->config));
	httpd_reply(r, 200, "text/plain; charset=utf-8", &b);
}

static void services(struct httpd_req *r, void *ctx)
{
	(void)ctx;
	httpd_reply_text(r, 200, STR("server => Running\ndistributor => Running\ningester => Running\nstore => Running\n"
	                             "querier => Running\n"));
}

static void buildinfo(struct httpd_req *r, void *ctx)
{
	(void)ctx;
	struct buf b = {0};
	struct json_out o;
	json_out_init(&o, &b, true);
	json_open(&o, '{');
	static const struct { const char *key, *value; } rows[] = {
		{"version", LARCH_VERSION}, {"revision", LARCH_VERSION}, {"branch", "main"}, {"buildUser", "larch"},
		{"buildDate", ""},          {"goVersion", ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_key(&o, str_c(rows[i].key));
		json_put_str(&o, str_c(rows[i].value));
	}
	json_close(&o, '}');
	httpd_reply(r, 200, "application/json; charset=UTF-8", &b);
}

static void reply_pairs(struct httpd_req *r, int status, const char *state, const char *message)
{
	struct buf b = {0};
	struct json_out o;
	json_out_init(&o, &b, true);
	json_open(&o, '{');
	if (state) {
		json_key(&o, STR("status"));
		json_put_str(&o, str_c(state));
	}
	json_key(&o, STR("message"));
	json_put_str(&o, str_c(message));
	json_close(&o, '}');
	httpd_reply(r, status, "application/json", &b);
}

static void log_level(struct httpd_req *r, void *ctx)
{
	(void)ctx;
	struct buf b = {0};
	enum log_level l;
	if (strcmp(httpd_method(r), "GET") == 0) {
		buf_printf(&b, "Current log level is %s", log_level_name(log_get_level()));
		reply_pairs(r, 200, NULL, buf_cstr(&b));
	} else if (log_level_parse(api_arg(r, "log_level"), &l)) {
		log_set_level(l);
		buf_printf(&b, "Log level set to %s", log_level_name(l));
		reply_pairs(r, 200, "success", buf_cstr(&b));
	} else {
		struct str given = api_arg(r, "log_level");
		buf_printf(&b, "unrecognized log level \"%.*s\"", STR_ARG(given));
		reply_pairs(r, 400, "failed", buf_cstr(&b));
	}
	buf_free(&b);
}

static void flush(struct httpd_req *r, void *ctx)
{
	struct api *api = ctx;
	struct err e = ERR_INIT;
	if (ingest_flush(api->ingest, &e) && store_upload(api->store, &e)) httpd_reply(r, 204, NULL, NULL);
	else api_fail(r, &e);
}

static const struct httpd_route routes[] = {
	{"GET", "/ready", ready, 0, "ready", .access = AUTH_PUBLIC},
	{"GET", "/metrics", metrics, 0, "metrics", .access = AUTH_KNOWN},
	{"GET", "/config", config, 0, "config"},
	{"GET", "/services", services, 0, "services"},
	{"GET", "/loki/api/v1/status/buildinfo", buildinfo, 0, "loki_api_v1_status_buildinfo", .access = AUTH_KNOWN},
	{"GET POST", "/log_level", log_level, 0, "log_level"},
	{"GET POST", "/flush", flush, 0, "flush"},
};

const struct api_table api_status_table = API_TABLE(routes);
