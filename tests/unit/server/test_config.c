/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char file[] = "/tmp/larch-config-XXXXXX";

static int setup(void **state)
{
	(void)state;
	int fd = mkstemp(file);
	if (fd >= 0) close(fd);
	return fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(file);
}

static bool load(struct config *c, const char *text, struct err *e)
{
	FILE *f = fopen(file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	*e = ERR_INIT;
	return config_load(c, file, true, NULL, 0, e);
}

static void no_file_is_loopback_and_one_tenant(void **state)
{
	struct config c;
	struct err e = ERR_INIT;
	(void)state;
	unsetenv("STATE_DIRECTORY");
	assert_true(config_load(&c, NULL, false, NULL, 0, &e));
	assert_false(c.auth_enabled);
	assert_true(str_eqc(c.server.address, "127.0.0.1"));
	assert_int_equal(c.server.port, 3100);
	assert_string_equal(c.data_dir, "./larch-data");
	config_free(&c);
	setenv("STATE_DIRECTORY", "/var/lib/larch", 1);
	assert_true(config_load(&c, "", false, NULL, 0, &e));
	assert_string_equal(c.data_dir, "/var/lib/larch");
	config_free(&c);
	unsetenv("STATE_DIRECTORY");
}

static void a_file_has_lokis_defaults(void **state)
{
	struct config c;
	struct err e;
	(void)state;
	assert_true(load(&c, "common: {path_prefix: /loki}\n", &e));
	assert_true(c.auth_enabled);
	assert_int_equal(c.server.address.n, 0);
	assert_int_equal(c.limits.max_line_size, 262144);
	assert_int_equal(c.limits.reject_old_samples_max_age, INT64_C(7) * 24 * 3600 * 1000000000);
	assert_int_equal(c.limits.discover_service_name.n, 13);
	assert_int_equal(c.limits.log_level_fields.n, 14);
	assert_string_equal(c.data_dir, "/loki/larch");
	config_free(&c);
}

static void flags_win_over_the_file(void **state)
{
	struct config c;
	struct err e;
	struct str flags[] = {STR("server.http-listen-port=9"), STR("auth.enabled=false")};
	(void)state;
	assert_true(load(&c, "server: {http_listen_port: 7}\n", &e));
	config_free(&c);
	assert_true(config_load(&c, file, false, flags, 2, &e));
	assert_int_equal(c.server.port, 9);
	assert_false(c.auth_enabled);
	config_free(&c);
	flags[0] = STR("server.http-listen-prt=9");
	assert_false(config_load(&c, file, false, flags, 1, &e));
	assert_non_null(strstr(e.msg, "server.http-listen-port"));
	config_free(&c);
}

static void meaningless_keys_are_noted(void **state)
{
	struct config c;
	struct err e;
	(void)state;
	assert_true(load(&c, "memberlist: {join_members: [a]}\ncompactor:\n  working_directory: /x\n"
			     "ingester: {wal: {dir: /x}}\nlimits_config: {unordered_writes: false}\n", &e));
	assert_int_equal(c.ignored.n, 4);
	assert_true(str_eqc(c.ignored.v[1], "compactor.working_directory (line 3)"));
	config_free(&c);
}

static void refused(void **state)
{
	static const struct { const char *text; int line; const char *says[3]; } rows[] = {
		{"limits_config:\n  max_entries_limit: 5\n", 2, {"max_entries_limit", "did you mean", "max_entries_limit_per_query"}},
		{"servr: {}\n", 1, {"servr", "server"}},
		{"common:\n  storage:\n    gcs:\n      bucket_name: x\n", 3, {"gcs", "filesystem or s3"}},
		{"storage_config: {azure: {account_name: x}}\n", 1, {"azure", "filesystem or s3"}},
		{"common: {storage: {s3: {bucketnames: b}}}\nlarch: {store_dir: /x}\n", 0, {"store_dir", "one place"}},
		{"storage_config: {aws: {s3: x}}\n", 0, {"storage_config.aws", "scheme"}},
		{"ruler:\n  alertmanager_url: http://x\n", 1, {"ruler"}},
		{"server: {http_tls_config: {cert_file: x}}\n", 1, {"http_tls_config"}},
		{"runtime_config: {files: x}\n", 1, {"runtime_config", "file"}},
		{"limits_config: {per_tenant_override_config: x}\n", 1, {"per_tenant_override_config", "runtime_config.file"}},
		{"common: {replication_factor: 3}\n", 0, {"replication_factor", "3"}},
		{"ingester: {wal: {enabled: false}}\n", 0, {"ingester.wal.enabled"}},
		{"server:\n  http_listen_port: many\n", 2, {"http_listen_port", "many"}},
		{"limits_config: {query_timeout: soon}\n", 1, {"query_timeout", "soon"}},
		{"server: {http_listen_port: 1}\nserver: {}\n", 2, {"server"}},
		{"a: [1\n", 2, {NULL}},
		{"x: ${UNFINISHED\n", 1, {NULL}},
		{"limits_config: {block_ingestion_status_code: 99999}\n", 1, {"block_ingestion_status_code", "99999", "599"}},
		{"server: {http_server_idle_timeout: -1s}\n", 1, {"http_server_idle_timeout", "-1s"}},
		{"limits_config: {block_ingestion_until: tomorrow}\n", 1, {"block_ingestion_until", "tomorrow", "RFC3339"}},
		{"limits_config:\n  otlp_config:\n    log_attributes:\n      - {action: index_label}\n", 4, {"either attributes or regex"}},
		{"limits_config:\n  otlp_config:\n    resource_attributes:\n      attributes_config:\n        - {attributes: [a], regex: b}\n", 5, {"only one of attributes or regex"}},
		{"limits_config:\n  otlp_config:\n    log_attributes: [{regex: \"(\"}]\n", 3, {"missing closing )"}},
		{"limits_config:\n  otlp_config:\n    log_attributes: [{action: keep, regex: a}]\n", 3, {"keep", "index_label"}},
		{"limits_config:\n  otlp_config: {scope_attributes: [{action: index_label, regex: a}]}\n", 2, {"scope_attributes", "index_label"}},
		{"limits_config: {blocked_queries: [{pattern: \"(\", regex: true}]}\n", 1, {"missing closing )"}},
		{"limits_config: {blocked_queries: [{types: metrics}]}\n", 1, {"metrics", "metric, filter, limited"}},
		{"limits_config: {blocked_queries: [{hash: -1}]}\n", 1, {"hash"}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct config c;
		struct err e;
		bool ok = load(&c, rows[i].text, &e);
		if (ok) fail_msg("accepted: %s", rows[i].text);
		for (int k = 0; k < 3 && rows[i].says[k]; k++)
			if (!strstr(e.msg, rows[i].says[k])) fail_msg("%s: %s lacks %s", rows[i].text, e.msg, rows[i].says[k]);
		if (rows[i].line && !strstr(e.msg, file)) fail_msg("%s: %s names no file", rows[i].text, e.msg);
		if (rows[i].line) assert_int_equal(e.line, rows[i].line);
		config_free(&c);
	}
}

static void environment_is_expanded(void **state)
{
	struct config c;
	struct err e;
	(void)state;
	setenv("LARCH_TEST_PORT", "4321", 1);
	assert_true(load(&c, "server: {http_listen_port: ${LARCH_TEST_PORT}, http_path_prefix: '${NOPE_NOT_SET:-/p}'}\n", &e));
	assert_int_equal(c.server.port, 4321);
	assert_true(str_eqc(c.server.prefix, "/p"));
	config_free(&c);
}

static void the_effective_configuration_reads_back(void **state)
{
	struct config c, d;
	struct err e;
	struct buf b = {0}, again = {0};
	(void)state;
	assert_true(load(&c, "auth_enabled: false\nlimits_config: {max_line_size: 1MB, enforced_labels: [a, b]}\n", &e));
	config_print(&c, &b);
	assert_true(load(&d, buf_cstr(&b), &e));
	config_print(&d, &again);
	assert_string_equal(buf_cstr(&b), buf_cstr(&again));
	buf_free(&b);
	buf_free(&again);
	config_free(&c);
	config_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_file_is_loopback_and_one_tenant), cmocka_unit_test(a_file_has_lokis_defaults),
		cmocka_unit_test(flags_win_over_the_file),            cmocka_unit_test(meaningless_keys_are_noted),
		cmocka_unit_test(refused),                            cmocka_unit_test(environment_is_expanded),
		cmocka_unit_test(the_effective_configuration_reads_back),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
