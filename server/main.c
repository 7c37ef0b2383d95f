/* SPDX-License-Identifier: GPL-2.0-or-later */
/* larch-server: command line, configuration, signals. */
#include "common/httpc.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/version.h"
#include "server/http/api.h"
#include "server/metrics.h"
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

struct args {
	const char *config_file, *health_url;
	bool expand_env, verify, print_config, health, list_targets, list_routes, list_metrics, version, help;
	struct str *settings; /* flags that stand for configuration keys: name=value */
	size_t nsettings, cap;
	struct arena arena;
};

static const struct option {
	const char *name, *doc;
	size_t off;
	bool has_value;
} options[] = {
	{"config.file", "YAML file, Loki's format; several, comma-separated: the first that exists. None: no file.", offsetof(struct args, config_file), true},
	{"config.expand-env", "Replace ${VAR} and ${VAR:-default} in the file.", offsetof(struct args, expand_env), false},
	{"verify-config", "Check the configuration and exit.", offsetof(struct args, verify), false},
	{"print-config-stderr", "Print the effective configuration.", offsetof(struct args, print_config), false},
	{"list-targets", "List what -target may be, and exit.", offsetof(struct args, list_targets), false},
	{"list-routes", "List what is served: methods, path, and the role that it needs where larch.auth_file is set (admin*: for all tenants).", offsetof(struct args, list_routes), false},
	{"list-metrics", "Print what /metrics has, in Markdown.", offsetof(struct args, list_metrics), false},
	{"health", "Ask a running server's /ready and exit 0 or 1.", offsetof(struct args, health), false},
	{"health.url", "What -health asks; default http://localhost:3100/ready.", offsetof(struct args, health_url), true},
	{"version", "Print the version and exit.", offsetof(struct args, version), false},
	{"help", "Print this help and exit.", offsetof(struct args, help), false},
};
#define OPTIONS (sizeof options / sizeof *options)

static void print_help(void)
{
	struct buf b = {0};
	buf_c(&b, "larch-server stores logs and answers LogQL over Loki's HTTP API.\n\n"
	          "Usage: larch-server [-config.file=FILE] [OPTIONS]\n\n"
	          "Without a file it listens on 127.0.0.1:3100 only, has one tenant, and keeps its data in\n"
	          "$STATE_DIRECTORY or ./larch-data.\n\nOptions (one dash or two):\n");
	for (size_t i = 0; i < OPTIONS; i++)
		buf_printf(&b, "  -%s%s\n        %s\n", options[i].name, options[i].has_value ? "=VALUE" : "", options[i].doc);
	buf_c(&b, "\nSettings (they win over the file):\n");
	conf_flags_help(&config_table, &b);
	buf_c(&b, "\nExamples:\n"
	          "  larch-server\n"
	          "  larch-server -config.file=/etc/loki/loki-config.yml -config.expand-env=true\n"
	          "  larch-server -larch.data-dir=/var/lib/larch -server.http-listen-address=0.0.0.0\n"
	          "  larch-server -config.file=loki.yml -verify-config\n\n"
	          "Exit status: 0 stopped or checked fine, 1 failed, 2 wrong usage.\n");
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
}

static const struct option *find_option(struct str name)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (str_eqc(name, options[i].name)) return &options[i];
	return NULL;
}

/* Go's flag rules: -name, --name, -name=value, -name value. */
static bool parse_args(struct args *a, int argc, char **argv, struct err *e)
{
	for (int i = 1; i < argc; i++) {
		struct str arg = str_c(argv[i]), value = STR_NULL, name;
		if (arg.n < 2 || arg.p[0] != '-') return err_set(e, ERR_INVALID, "unexpected argument \"%s\"; see -help", argv[i]);
		arg = str_from(arg, arg.p[1] == '-' ? 2 : 1);
		bool given = str_cut(&arg, '=', &name);
		if (given) value = arg;
		const struct option *o = find_option(name);
		bool wants = o ? o->has_value : i + 1 < argc && argv[i + 1][0] != '-';
		if (!given && wants) {
			if (i + 1 == argc) return err_set(e, ERR_INVALID, "-%.*s needs a value", STR_ARG(name));
			value = str_c(argv[++i]);
			given = true;
		}
		if (!o) {
			struct str set = arena_printf(&a->arena, "%.*s=%.*s", STR_ARG(name), STR_ARG(given ? value : STR("true")));
			*ARENA_PUSH(&a->arena, a->settings, a->nsettings, a->cap) = set;
		} else if (o->has_value) {
			*(const char **)((char *)a + o->off) = value.p;
		} else {
			*(bool *)((char *)a + o->off) = !given || str_eqc(value, "true") || str_eqc(value, "1");
		}
	}
	return true;
}

/* The first of a comma list that exists; the last one's name when none does, so that the error names a file. */
static const char *pick_file(struct arena *a, const char *list)
{
	struct str rest = str_c(list ? list : ""), one;
	const char *path = NULL;
	for (bool more = rest.n > 0; more;) {
		more = str_cut(&rest, ',', &one);
		path = arena_cstr(a, one);
		if (access(path, F_OK) == 0) return path;
	}
	return path;
}

static int check_health(const char *url)
{
	struct httpc_result res = {0};
	struct err e = ERR_INIT;
	bool ok = httpc_do(&(struct httpc_opts){.url = url ? url : "http://localhost:3100/ready", .user_agent = "larch-server/" LARCH_VERSION}, &res, &e);
	if (!ok) fprintf(stderr, "larch-server: %s\n", e.msg);
	else fwrite(res.body.p, 1, res.body.n, res.status == 200 ? stdout : stderr);
	buf_free(&res.body);
	return ok && res.status == 200 ? EXIT_OK : EXIT_FAILED;
}

static void log_ignored(const struct config *c)
{
	struct buf b = {0};
	for (size_t i = 0; i < c->ignored.n; i++) buf_printf(&b, "%s%.*s", i ? ", " : "", STR_ARG(c->ignored.v[i]));
	if (b.n) log_info("settings that mean nothing here are ignored", kv_str("keys", buf_view(&b)));
	if (c->limits.retention_period || c->limits.retention_stream.n)
		log_info("entries are removed when they are older than limits_config says", kv_dur("retention_period", c->limits.retention_period),
			 kv_i("retention_stream", (int64_t)c->limits.retention_stream.n));
	buf_free(&b);
}

static void on_signal(void *ud, int sig)
{
	log_info("stopping", kv_c("signal", strsignal(sig)));
	loop_stop(ud);
}

struct reload {
	const struct config *config;
	struct server *server; /* NULL while it starts */
	struct loop_timer *timer;
};

static void reload(void *ud)
{
	struct reload *r = ud;
	if (r->config->runtime.files.n == 0 && r->config->larch.auth_file.n == 0) return;
	if (r->server) server_reload(r->server);
	loop_timer_set(r->timer, r->config->runtime.period);
}

static void on_hangup(void *ud, int sig)
{
	(void)sig;
	reload(ud);
}

static bool serve(const struct config *c, struct err *e)
{
	struct loop *l = loop_new(&clock_real, e);
	if (!l) return false;
	struct server *s = NULL;
	struct reload r = {.config = c};
	bool ok = loop_signal(l, SIGINT, on_signal, l, e) && loop_signal(l, SIGTERM, on_signal, l, e) &&
	          loop_signal(l, SIGHUP, on_hangup, &r, e) && (s = server_start(c, e));
	if (ok) {
		r.server = s;
		r.timer = loop_timer_add(l, c->runtime.period, reload, &r);
		log_info("listening", kv_str("address", c->server.address), kv_i("port", server_port(s)), kv_c("data_dir", c->data_dir));
		sd_notify(0, "READY=1");
		ok = loop_run(l, e);
		sd_notify(0, "STOPPING=1");
		loop_timer_del(r.timer);
		server_stop(s);
		log_info("stopped");
	}
	loop_free(l);
	return ok;
}

static int run(struct args *a)
{
	struct config c;
	struct err e = ERR_INIT;
	int rc = EXIT_FAILED;
	if (config_load(&c, pick_file(&a->arena, a->config_file), a->expand_env, a->settings, a->nsettings, &e)) {
		log_set_level((enum log_level)c.server.log_level);
		log_set_json(c.server.log_format == 1);
		if (a->print_config) {
			struct buf b = {0};
			config_print(&c, &b);
			fwrite(b.p, 1, b.n, stderr);
			buf_free(&b);
		}
		if (a->verify) {
			log_info("config is valid");
			rc = EXIT_OK;
		} else {
			log_info("starting larch-server", kv_c("version", LARCH_VERSION));
			log_ignored(&c);
			if (serve(&c, &e)) rc = EXIT_OK;
			else log_error("cannot go on", kv_err(&e));
		}
	} else {
		fprintf(stderr, "larch-server: %s\n", e.msg);
	}
	config_free(&c);
	return rc;
}

static void list_metrics(void)
{
	struct buf b = {0};
	metrics_manual(server_metrics, SERVER_METRICS, &b);
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
}

static void list_routes(void)
{
	static const char *const roles[] = {
		[AUTH_SERVER] = "admin*", [AUTH_ADMIN] = "admin", [AUTH_PUBLIC] = "-", [AUTH_KNOWN] = "any", [AUTH_PUSH] = "push", [AUTH_READ] = "read"};
	size_t n;
	struct httpd_route *v = api_routes(&n);
	for (size_t i = 0; i < n; i++) {
		struct str rest = str_c(v[i].methods), method;
		for (bool more = true; more;) {
			more = str_cut(&rest, ' ', &method);
			printf("%-6.*s %-6s %s\n", STR_ARG(method), roles[v[i].access], v[i].path);
		}
	}
	free(v);
}

int main(int argc, char **argv)
{
	struct args a = {0};
	struct err e = ERR_INIT;
	int rc = EXIT_OK;
	arena_init(&a.arena, 0);
	signal(SIGPIPE, SIG_IGN);
	if (!parse_args(&a, argc, argv, &e)) {
		fprintf(stderr, "larch-server: %s\n", e.msg);
		rc = EXIT_USAGE;
	} else if (a.help) {
		print_help();
	} else if (a.version) {
		puts("larch-server " LARCH_VERSION);
	} else if (a.list_metrics) {
		list_metrics();
	} else if (a.list_routes) {
		list_routes();
	} else if (a.list_targets) {
		puts("all");
	} else if (a.health) {
		rc = check_health(a.health_url);
	} else {
		rc = run(&a);
	}
	arena_free(&a.arena);
	return rc;
}
