/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/overrides.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
	struct arena arena;
	struct limits global;
	char dir[64];
	struct str files[2];
} t;

static int setup(void **state)
{
	(void)state;
	arena_init(&t.arena, 0);
	t.global = (struct limits){0};
	conf_defaults(&limits_table, &t.global, &t.arena);
	strcpy(t.dir, "/tmp/larch-overrides-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	t.files[0] = arena_printf(&t.arena, "%s/one.yaml", t.dir);
	t.files[1] = arena_printf(&t.arena, "%s/two.yaml", t.dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(t.files[0].p);
	unlink(t.files[1].p);
	rmdir(t.dir);
	arena_free(&t.arena);
	return 0;
}

static void put(int file, const char *text)
{
	FILE *f = fopen(t.files[file].p, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct overrides *open_files(size_t n, struct err *e)
{
	*e = ERR_INIT;
	return overrides_new(&t.global, (struct conf_strs){t.files, n}, &fs_real, e);
}

static int64_t series_of(struct overrides *o, const char *tenant)
{
	const struct limits *l = overrides_get(o, str_c(tenant));
	int64_t n = l->max_query_series;
	overrides_put(l);
	return n;
}

static void keys_stand_over_the_global_ones(void **state)
{
	struct err e;
	(void)state;
	put(0, "overrides:\n  a: {max_query_series: 7, discover_service_name: [x]}\n  b: {max_query_series: 8}\n");
	put(1, "overrides:\n  b: {max_line_size: 1KB}\n  c:\nconfigs: {a: {log_push_request: true}}\n");
	struct overrides *o = open_files(2, &e);
	assert_non_null(o);
	const struct limits *a = overrides_get(o, STR("a")), *b = overrides_get(o, STR("b"));
	assert_int_equal(a->max_query_series, 7);
	assert_int_equal(a->discover_service_name.n, 1);
	assert_int_equal(a->max_line_size, t.global.max_line_size);
	assert_int_equal(b->max_query_series, 8);
	assert_int_equal(b->max_line_size, 1024);
	assert_int_equal(series_of(o, "c"), t.global.max_query_series);
	assert_int_equal(series_of(o, "unknown"), t.global.max_query_series);
	overrides_put(a);
	overrides_put(b);
	overrides_free(o);
}

static void what_is_held_outlives_a_reload(void **state)
{
	struct err e;
	bool changed;
	(void)state;
	put(0, "overrides: {a: {max_query_series: 7, log_level_fields: [one]}}\n");
	struct overrides *o = open_files(1, &e);
	const struct limits *before = overrides_get(o, STR("a"));
	assert_true(overrides_reload(o, &changed, &e) && !changed);
	put(0, "overrides: {a: {max_query_series: 9}}\n");
	assert_true(overrides_reload(o, &changed, &e) && changed);
	assert_int_equal(series_of(o, "a"), 9);
	assert_int_equal(before->max_query_series, 7);
	assert_true(str_eqc(before->log_level_fields.v[0], "one"));
	overrides_put(before);
	overrides_free(o);
}

static void mistakes_are_fatal_at_start_only(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"overrides: {a: {max_query_seris: 7}}\n", "max_query_series"},
		{"overrides: [a]\n", "want a mapping from tenants to limits, have a list"},
		{"override: {}\n", "overrides"},
		{"overrides: {a: {block_ingestion_until: soon}}\n", "not an RFC3339 time"},
		{"{", "one.yaml:"},
	};
	struct err e;
	bool changed;
	(void)state;
	put(0, "overrides: {a: {max_query_series: 7}}\n");
	struct overrides *o = open_files(1, &e);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put(0, rows[i].text);
		assert_null(open_files(1, &e));
		if (!strstr(e.msg, rows[i].want)) fail_msg("\"%s\" does not tell of \"%s\"", e.msg, rows[i].want);
		e = ERR_INIT;
		assert_false(overrides_reload(o, &changed, &e));
		assert_int_equal(series_of(o, "a"), 7);
	}
	unlink(t.files[0].p);
	assert_null(open_files(1, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	overrides_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_stand_over_the_global_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_held_outlives_a_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_are_fatal_at_start_only, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
