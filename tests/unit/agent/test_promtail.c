/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config/promtail.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CLIENT "clients: [{url: 'http://h/push'}]\n"

static struct agent_config *load(const char *text, const struct promtail_flag *flags, size_t n, struct err *e)
{
	struct promtail_source src = {
		.file = "f.yaml", .text = str_c(text), .flags = flags, .nflags = n, .want_client = true};

	*e = ERR_INIT;
	return promtail_load(&src, e);
}

static struct agent_config *good(const char *text)
{
	struct err e;
	struct agent_config *c = load(text, NULL, 0, &e);

	if (!c) fail_msg("%s", e.msg);
	return c;
}

static const struct client_conf *client(const struct agent_config *c, size_t i)
{
	return (struct client_conf *)c->clients.v + i;
}

static void defaults(void **state)
{
	(void)state;
	struct agent_config *c = good(CLIENT);

	assert_int_equal(c->server.port, 80);
	assert_true(str_eqc(c->positions.filename, "/var/log/positions.yaml"));
	assert_int_equal(c->positions.sync_period, INT64_C(10000000000));
	assert_int_equal(client(c, 0)->batch_wait, 1000000000);
	assert_int_equal(client(c, 0)->batch_size, 1048576);
	assert_int_equal(client(c, 0)->backoff.max_retries, 10);
	assert_int_equal(client(c, 0)->backoff.min, 500000000);
	assert_true(client(c, 0)->follow_redirects);
	assert_int_equal(client(c, 0)->name.n, 6);
	assert_true(c->limits.readline_rate_drop);
	agent_config_free(c);
}

static void a_file_as_people_have_it(void **state)
{
	(void)state;
	static const char text[] =
		"server:\n  http_listen_port: 9080\n  grpc_listen_port: 0\n"
		"positions:\n  filename: /tmp/positions.yaml\n"
		"clients:\n  - url: http://loki:3100/loki/api/v1/push\n    external_labels: {cluster: eu}\n"
		"scrape_configs:\n- job_name: system\n  static_configs:\n  - targets: [localhost]\n"
		"    labels: {job: varlogs, __path__: /var/log/*.log}\n"
		"- job_name: journal\n  journal:\n    max_age: 12h\n    labels: {job: systemd-journal}\n  "
		"relabel_configs:\n"
		"  - source_labels: ['__journal__systemd_unit']\n    target_label: unit\n";
	struct agent_config *c = good(text);
	const struct job_conf *j = c->jobs.v;

	assert_int_equal(c->jobs.n, 2);
	assert_true(j[0].has_statics && !j[0].has_journal && j[1].has_journal);
	assert_int_equal(j[1].journal.max_age, INT64_C(12) * 3600 * 1000000000);
	const struct relabel_conf *r = j[1].relabel.v;
	assert_true(str_eqc(r->regex, "(.*)") && str_eqc(r->replacement, "$1") && r->action == RELABEL_REPLACE);
	assert_true(str_eqc(labels_get(&client(c, 0)->external_labels, STR("cluster")), "eu"));
	agent_config_free(c);
}

static void errors_have_their_place(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *place;
		const char *word;
	} bad[] = {
		{CLIENT "scrape_configs:\n- job_nam: x\n", "f.yaml:3:", "job_name"},
		{CLIENT "positions:\n  sync_period: 1d\n", "f.yaml:3:", "sync_period"},
		{"clients:\n- url: http://h\n  oauth2: {client_id: x}\n", "f.yaml:3:", "oauth2"},
		{"clients:\n- {url: 'ftp://h'}\n", "f.yaml:2:", "http"},
		{"clients:\n- {tenant_id: x}\n", "f.yaml:2:", "url"},
		{"server: {}\n", "f.yaml", "client"},
		{CLIENT "scrape_configs:\n- job_name: a\n  static_configs: []\n- job_name: a\n  static_configs: []\n",
		 "f.yaml:5:", "twice"},
		{CLIENT "scrape_configs:\n- job_name: a\n", "f.yaml:3:", "no source"},
		{CLIENT "scrape_configs:\n- job_name: a\n  syslog: {listen_address: 0.0.0.0:1514}\n",
		 "f.yaml:4:", "syslog"},
		{CLIENT "scrape_configs:\n- job_name: a\n  decompression: {enabled: true}\n",
		 "f.yaml:4:", "uncompressed"},
		{CLIENT "scrape_configs:\n- job_name: a\n  journal: {matches: 'A=1 + B=2'}\n", "f.yaml:4:", "matches"},
		{CLIENT "scrape_configs:\n- job_name: a\n  static_configs: []\n  relabel_configs:\n  - {action: "
			"hashmod, target_label: x}\n",
		 "f.yaml:6:", "modulus"},
		{CLIENT "scrape_configs:\n- job_name: a\n  static_configs: []\n  relabel_configs:\n  - {action: "
			"keepequal, target_label: x, regex: y}\n",
		 "f.yaml:6:", "only"},
		{CLIENT
		 "scrape_configs:\n- job_name: a\n  static_configs: []\n  relabel_configs:\n  - {action: repplace}\n",
		 "f.yaml:6:", "replace"},
		{CLIENT "global:\n  file_watch_config: {min_poll_frequency: 2s, max_poll_frequency: 1s}\n",
		 "f.yaml:3:", "less"},
		{CLIENT "clients: []\n", "f.yaml:2:", "clients"},
		{"clients: [\n", "f.yaml:2:", ""},
		{"clients:\n- {url: 'http://h', basic_auth: {username: a}, bearer_token: b}\n",
		 "f.yaml:2:", "at most one"},
		{"clients:\n- {url: 'http://h'}\n- {url: 'http://h'}\n", "f.yaml:3:", "own name"},
		{CLIENT "server: {http_tls_config: {cert_file: x}}\n", "f.yaml:2:", "http_tls_config"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e;
		struct agent_config *c = load(bad[i].text, NULL, 0, &e);
		if (c) fail_msg("accepted: %s", bad[i].text);
		if (strncmp(e.msg, bad[i].place, strlen(bad[i].place)) != 0 || !strstr(e.msg, bad[i].word))
			fail_msg("%s\n-> %s", bad[i].text, e.msg);
	}
}

static void flags_come_last(void **state)
{
	(void)state;
	static const struct promtail_flag flags[] = {{{"client.external-labels", 22}, {"env=flag,zone=1", 15}},
						     {{"server.http-listen-port", 23}, {"1234", 4}},
						     {{"client.url", 10}, {"http://second/push", 18}},
						     {{"client.batch-wait", 17}, {"3s", 2}},
						     {{"max-line-size", 13}, {"256kb", 5}}};
	struct err e;
	struct agent_config *c =
		load("server: {http_listen_port: 1}\nclients: [{url: 'http://h', external_labels: {env: file}}]\n",
		     flags, 5, &e);

	assert_non_null(c);
	assert_int_equal(c->server.port, 1234);
	assert_int_equal(c->clients.n, 2);
	assert_int_equal(client(c, 0)->batch_wait, 1000000000);
	assert_int_equal(client(c, 1)->batch_wait, INT64_C(3000000000));
	assert_true(str_eqc(labels_get(&client(c, 0)->external_labels, STR("env")), "file"));
	assert_true(str_eqc(labels_get(&client(c, 1)->external_labels, STR("env")), "flag"));
	assert_int_equal(c->limits.max_line_size, 262144);
	agent_config_free(c);
	bool is_bool;
	assert_true(promtail_flag_known(STR("server.disable"), &is_bool) && is_bool);
	assert_true(promtail_flag_known(STR("client.url"), &is_bool) && !is_bool);
	assert_false(promtail_flag_known(STR("client.uri"), &is_bool));
}

static void standard_input_takes_the_first_job(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct promtail_source src = {.file = "", .text = STR(""), .want_stdin = true};
	struct agent_config *c = promtail_load(&src, &e);
	assert_non_null(c);
	const struct job_conf *j = c->jobs.v;
	assert_true(c->jobs.n == 1 && j->is_stdin);
	const struct static_conf *s = j->statics.v;
	assert_true(str_eqc(labels_get(&s->labels, STR("job")), "stdin"));
	agent_config_free(c);
	src.text = STR(CLIENT "scrape_configs: [{job_name: a, journal: {}}, {job_name: b, journal: {}}]\n");
	c = promtail_load(&src, &e);
	assert_non_null(c);
	j = c->jobs.v;
	assert_true(c->jobs.n == 1 && j->is_stdin && !j->has_journal && str_eqc(j->name, "a"));
	agent_config_free(c);
}

static void environment_is_expanded_on_request(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct promtail_source src = {.file = "f.yaml",
				      .text = STR("clients: [{url: '${TEST_PROMTAIL_URL:-http://dflt/push}'}]\n"),
				      .want_client = true};

	assert_null(promtail_load(&src, &e));
	src.expand_env = true;
	struct agent_config *c = promtail_load(&src, &e);
	assert_true(str_eqc(client(c, 0)->url, "http://dflt/push"));
	agent_config_free(c);
	setenv("TEST_PROMTAIL_URL", "http://set/push", 1);
	c = promtail_load(&src, &e);
	assert_true(str_eqc(client(c, 0)->url, "http://set/push"));
	agent_config_free(c);
}

static void printed_configuration_reads_back_without_secrets(void **state)
{
	(void)state;
	struct agent_config *c = good("clients: [{url: 'http://h', basic_auth: {username: u, password: hidden}}]\n");
	struct buf b = {0};
	struct err e;

	promtail_print(c, &b);
	assert_null(strstr(buf_cstr(&b), "hidden"));
	struct agent_config *again = load(buf_cstr(&b), NULL, 0, &e);
	if (!again) fail_msg("%s\n%s", e.msg, buf_cstr(&b));
	assert_true(str_eqc(client(again, 0)->url, "http://h"));
	buf_free(&b);
	agent_config_free(again);
	agent_config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(a_file_as_people_have_it),
		cmocka_unit_test(errors_have_their_place),
		cmocka_unit_test(flags_come_last),
		cmocka_unit_test(standard_input_takes_the_first_job),
		cmocka_unit_test(environment_is_expanded_on_request),
		cmocka_unit_test(printed_configuration_reads_back_without_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
