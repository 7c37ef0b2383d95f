/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/client.h"

#include "agent/acks.h"
#include "agent/stats.h"
#include "common/codec.h"
#include "common/httpd.h"
#include "common/log.h"
#include "common/units.h"
#include "proto/push.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DEADLINE (60 * UNITS_SEC)

/* A server that answers with a script of statuses (the last one for ever) and keeps what it took. */
struct world {
	struct httpd *httpd;
	pthread_mutex_t lock;
	const int *script;
	_Atomic size_t answers;
	struct buf log; /* "tenant|auth|labels:line,line;" for each push */
	size_t room, sends;

	struct loop *loop;
	struct metrics *metrics;
	struct httpc *http;
	struct client_conf conf;
	struct client_env env;
	struct client *client;
	struct acks acks;
	char url[64];
};

static void on_push(struct httpd_req *r, void *ctx)
{
	struct world *w = ctx;
	struct err e = ERR_INIT;
	struct buf raw = {0};
	struct arena a;
	struct push p = {0};

	arena_init(&a, 0);
	bool ok =
		codec_expand(CODEC_SNAPPY, httpd_body(r), 1 << 24, &raw, &e) && push_decode(&a, buf_view(&raw), &p, &e);
	pthread_mutex_lock(&w->lock);
	int status = ok ? *w->script : 400;
	if (w->script[1]) w->script++;
	w->answers++;
	buf_printf(&w->log, "%.*s|%.*s|", STR_ARG(httpd_header(r, "X-Scope-OrgID")),
		   STR_ARG(httpd_header(r, "Authorization")));
	for (size_t i = 0; i < p.n; i++) {
		buf_printf(&w->log, "%.*s:", STR_ARG(p.v[i].labels));
		for (size_t k = 0; k < p.v[i].n; k++) buf_printf(&w->log, "%.*s,", STR_ARG(p.v[i].v[k].line));
	}
	buf_c(&w->log, ";");
	pthread_mutex_unlock(&w->lock);
	httpd_reply_text(r, status, STR("said so"));
	buf_free(&raw);
	arena_free(&a);
}

static void on_room(void *ud) { ((struct world *)ud)->room++; }
static void on_before_send(void *ud) { ((struct world *)ud)->sends++; }

static int setup(void **state)
{
	static const struct httpd_route routes[] = {{"POST", "/push", on_push, 1 << 24, "push"}};
	static const int fine[] = {204, 0};
	struct world *w = mem_zalloc(sizeof *w);
	struct err e = ERR_INIT;
	struct httpd_config c = {.address = "127.0.0.1", .prefix = "", .routes = routes, .nroutes = 1, .ctx = w};

	*state = w;
	log_set_level(LOG_LEVEL_ERROR + 1);
	pthread_mutex_init(&w->lock, NULL);
	w->script = fine;
	w->httpd = httpd_start(&c, &e);
	w->loop = loop_new(&clock_real, &e);
	w->http = httpc_new(w->loop, &e);
	w->metrics = stats_new();
	acks_init(&w->acks, 1);
	snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d/push", httpd_port(w->httpd));
	w->conf = (struct client_conf){.url = str_c(w->url),
				       .name = STR("c"),
				       .batch_wait = 10 * UNITS_MS,
				       .batch_size = 1 << 20,
				       .timeout = DEADLINE,
				       .backoff = {UNITS_MS, 4 * UNITS_MS, 3},
				       .follow_redirects = true};
	w->env = (struct client_env){.loop = w->loop,
				     .clock = &clock_real,
				     .http = w->http,
				     .metrics = w->metrics,
				     .queue_bytes = 4 << 20,
				     .before_send = on_before_send,
				     .room = on_room,
				     .ud = w};
	return w->httpd && w->loop && w->http ? 0 : -1;
}

static int teardown(void **state)
{
	struct world *w = *state;

	client_free(w->client);
	httpc_free(w->http);
	loop_free(w->loop);
	httpd_stop(w->httpd, UNITS_SEC);
	metrics_free(w->metrics);
	acks_fini(&w->acks);
	buf_free(&w->log);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return 0;
}

static void start(struct world *w)
{
	struct err e = ERR_INIT;

	w->client = client_new(&w->conf, 0, &w->env, &e);
	if (!w->client) fail_msg("%s", e.msg);
}

static void add(struct world *w, const char *line, const char *tenant)
{
	struct label l[2] = {{STR("__tenant_id__"), str_c(tenant)}, {STR("job"), STR("j")}};
	struct origin o = {&w->acks, w->acks.next++};
	struct entry e = {.ts = 1, .line = str_c(line), .origins = &o, .norigins = 1};

	e.labels = tenant ? (struct labels){l, 2} : (struct labels){l + 1, 1};
	client_begin(w->client);
	client_add(w->client, &e);
}

static void run_until_done(struct world *w)
{
	int64_t end = clock_mono(&clock_real) + DEADLINE;

	while (!client_idle(w->client) && clock_mono(&clock_real) < end) loop_step(w->loop, 10 * UNITS_MS);
	assert_true(client_idle(w->client));
	assert_true(acks_complete(&w->acks));
}

static double dropped(struct world *w, const char *reason)
{
	const struct str values[] = {str_c(client_host(w->client)), STR(""), str_c(reason)};

	return metrics_value(metrics_get(w->metrics, STAT_DROPPED_ENTRIES, values));
}

static void batches_per_tenant(void **state)
{
	struct world *w = *state;
	struct label ext[] = {{STR("host"), STR("h")}};

	w->conf.external_labels = (struct labels){ext, 1};
	start(w);
	add(w, "a", NULL);
	add(w, "b", "t1");
	add(w, "c", NULL);
	run_until_done(w);
	assert_int_equal(w->answers, 2);
	assert_int_equal(w->sends, 2);
	assert_non_null(strstr(buf_cstr(&w->log), "||{host=\"h\", job=\"j\"}:a,c,;"));
	assert_non_null(strstr(buf_cstr(&w->log), "t1||{host=\"h\", job=\"j\"}:b,;"));
}

static void tenant_of_external_labels(void **state)
{
	struct world *w = *state;
	struct label ext[] = {{STR("__tenant_id__"), STR("outer")}};

	w->conf.external_labels = (struct labels){ext, 1};
	w->conf.tenant_id = STR("fixed");
	start(w);
	add(w, "a", NULL);
	add(w, "b", "own");
	run_until_done(w);
	assert_non_null(strstr(buf_cstr(&w->log), "outer||{job=\"j\"}:a,;"));
	assert_non_null(strstr(buf_cstr(&w->log), "own||{job=\"j\"}:b,;"));
}

static void batches_by_size(void **state)
{
	struct world *w = *state;

	w->conf.batch_size = 10;
	w->conf.tenant_id = STR("fixed");
	w->conf.has_authorization = true;
	w->conf.authorization.type = STR("Token");
	w->conf.authorization.credentials = STR("abc");
	start(w);
	add(w, "12345", NULL);
	add(w, "67890", NULL);
	add(w, "more than ten bytes", NULL);
	add(w, "x", NULL);
	run_until_done(w);
	assert_string_equal(buf_cstr(&w->log),
			    "fixed|Token abc|{job=\"j\"}:12345,67890,;fixed|Token abc|{job=\"j\"}:more than ten bytes,;"
			    "fixed|Token abc|{job=\"j\"}:x,;");
}

static void retries_then_succeeds(void **state)
{
	static const int script[] = {500, 429, 204, 0};
	struct world *w = *state;

	w->script = script;
	start(w);
	add(w, "a", NULL);
	run_until_done(w);
	assert_int_equal(w->answers, 3);
	assert_int_equal(w->sends, 1); /* stamps are written down before the first attempt only */
	assert_true(dropped(w, "ingester_error") == 0);
}

static void gives_up_after_max_retries(void **state)
{
	static const int script[] = {503, 503, 503, 204, 0};
	struct world *w = *state;

	w->script = script;
	start(w);
	add(w, "a", NULL);
	add(w, "b", NULL);
	client_flush(w->client);
	add(w, "later", NULL);
	run_until_done(w);
	assert_int_equal(w->answers, 4); /* three attempts, then the next batch */
	assert_true(dropped(w, "ingester_error") == 2);
}

static void refusals_are_final(void **state)
{
	static const int script[] = {400, 429, 204, 0};
	struct world *w = *state;

	w->script = script;
	w->conf.drop_rate_limited = true;
	start(w);
	add(w, "a", NULL);
	client_flush(w->client);
	add(w, "b", NULL);
	client_flush(w->client);
	add(w, "c", NULL);
	run_until_done(w);
	assert_int_equal(w->answers, 3);
	assert_true(dropped(w, "ingester_error") == 1);
	assert_true(dropped(w, "rate_limited") == 1);
}

static void limits(void **state)
{
	struct world *w = *state;

	w->env.max_line_size = 3;
	start(w);
	add(w, "1234", NULL);
	add(w, "123", NULL);
	run_until_done(w);
	assert_string_equal(buf_cstr(&w->log), "||{job=\"j\"}:123,;");
	assert_true(dropped(w, "line_too_long") == 1);
}

static void tenants_are_checked_and_forgotten(void **state)
{
	struct world *w = *state;

	start(w);
	add(w, "a", "evil\r\nX-Other: 1");
	for (int i = 0; i < 200; i++) {
		char tenant[16];
		snprintf(tenant, sizeof tenant, "t%d", i);
		add(w, "b", tenant);
	}
	run_until_done(w);
	assert_int_equal(w->answers, 200);
	assert_null(strstr(buf_cstr(&w->log), "evil"));
	assert_true(dropped(w, "invalid_tenant") == 1);
}

static void what_was_acknowledged_before_is_not_sent(void **state)
{
	struct world *w = *state;

	start(w);
	acks_done(&w->acks, 0, 0, 1);
	add(w, "known", NULL);
	add(w, "new", NULL);
	run_until_done(w);
	assert_string_equal(buf_cstr(&w->log), "||{job=\"j\"}:new,;");
}

static void a_full_queue_says_when_there_is_room(void **state)
{
	static const int script[] = {503, 204, 0};
	struct world *w = *state;
	char *noise = mem_alloc((1 << 20) + 1);
	unsigned seed = 1;

	w->script = script;
	w->conf.backoff.min = w->conf.backoff.max = 20 * UNITS_MS;
	start(w);
	for (int i = 0; i < 1 << 20; i++) noise[i] = (char)('!' + (seed = seed * 1103515245 + 12345) / 65536 % 90);
	noise[1 << 20] = 0;
	while (!client_full(w->client)) add(w, noise, NULL);
	assert_int_equal(w->room, 0);
	run_until_done(w);
	assert_int_equal(w->room, 1);
	assert_false(client_full(w->client));
	free(noise);
}

/* A little for each of many tenants is bounded like much for one. */
static void tenants_share_what_may_be_filled(void **state)
{
	enum { TENANTS = 500, LINE = 200, BATCH = 2000 };
	struct world *w = *state;
	char line[LINE + 1];

	memset(line, 'x', LINE);
	line[LINE] = 0;
	w->conf.batch_size = BATCH;
	w->conf.batch_wait = DEADLINE; /* nothing is sealed for its age */
	start(w);
	for (int i = 0; i < TENANTS; i++) {
		char tenant[16];
		snprintf(tenant, sizeof tenant, "t%d", i);
		size_t sealed = client_queued(w->client);
		add(w, line, tenant);
		if (i < 4 * BATCH / LINE) assert_int_equal(client_queued(w->client), sealed + LINE);
		loop_step(w->loop, 0);
	}
	assert_true(w->answers > 0 || client_queued(w->client) > 4 * BATCH); /* sealed, though no batch was full */
	client_flush(w->client);
	run_until_done(w);
	assert_int_equal(w->answers, TENANTS);
	assert_int_equal(client_queued(w->client), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(batches_per_tenant),
		T(tenant_of_external_labels),
		T(batches_by_size),
		T(retries_then_succeeds),
		T(gives_up_after_max_retries),
		T(refusals_are_final),
		T(limits),
		T(tenants_are_checked_and_forgotten),
		T(what_was_acknowledged_before_is_not_sent),
		T(a_full_queue_says_when_there_is_room),
		T(tenants_share_what_may_be_filled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
