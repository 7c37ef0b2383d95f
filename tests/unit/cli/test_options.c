/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/options.h"

#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#define NOW   (INT64_C(1793527200) * UNITS_SEC)
#define QUERY (OPTIONS_CONNECT | OPTIONS_RANGE | OPTIONS_QUERY | OPTIONS_OUTPUT)

static bool parse(struct options *o, unsigned groups, const char *const *argv, struct err *e)
{
	int n = 0;

	while (argv[n]) n++;
	*e = ERR_INIT;
	return options_parse(o, groups, n, (char *const *)argv, 0, e);
}

static int no_environment(void **state)
{
	(void)state;
	unsetenv("LARCH_ADDR");
	unsetenv("LARCH_TENANT");
	return 0;
}

static void defaults(void **state)
{
	const char *const argv[] = {NULL};
	struct options o;
	struct err e;

	(void)state;
	assert_true(parse(&o, QUERY, argv, &e));
	assert_string_equal(o.server, "http://127.0.0.1:3100");
	assert_null(o.tenant);
	assert_int_equal(o.limit, 100);
	assert_int_equal(o.timeout_ns, 2 * UNITS_MIN);
	assert_int_equal(o.output, OUTPUT_DEFAULT);
	assert_true(options_range(&o, NOW, &e));
	assert_int_equal(o.end, NOW);
	assert_int_equal(o.start, NOW - UNITS_HOUR);
	options_free(&o);
}

static void environment_then_command_line(void **state)
{
	const char *const none[] = {NULL}, *const given[] = {"--server", "http://b:2", NULL};
	struct options o;
	struct err e;

	(void)state;
	setenv("LARCH_ADDR", "http://a:1", 1);
	setenv("LARCH_TENANT", "t1", 1);
	assert_true(parse(&o, QUERY, none, &e));
	assert_string_equal(o.server, "http://a:1");
	assert_string_equal(o.tenant, "t1");
	options_free(&o);
	assert_true(parse(&o, QUERY, given, &e));
	assert_string_equal(o.server, "http://b:2");
	options_free(&o);
	setenv("LARCH_ADDR", "", 1);
	assert_true(parse(&o, QUERY, none, &e));
	assert_string_equal(o.server, "http://127.0.0.1:3100");
	options_free(&o);
}

static void every_spelling(void **state)
{
	const char *const argv[] = {"-n5", "{a}", "--output=raw", "-q", "--step", "1m", "--forward",
				    "-t",  "x",   "--",           "-n", NULL};
	struct options o;
	struct err e;

	(void)state;
	if (!parse(&o, QUERY, argv, &e)) fail_msg("%s", e.msg);
	assert_int_equal(o.limit, 5);
	assert_int_equal(o.output, OUTPUT_RAW);
	assert_true(o.quiet);
	assert_true(o.forward);
	assert_false(o.instant);
	assert_int_equal(o.step_ns, UNITS_MIN);
	assert_string_equal(o.tenant, "x");
	assert_int_equal(o.args.n, 2);
	assert_string_equal(o.args.v[0], "{a}");
	assert_string_equal(o.args.v[1], "-n");
	options_free(&o);
}

static void lists(void **state)
{
	const char *const argv[] = {"--label", "a=b", "-lc=d=e", "--metadata=x=", "--json", NULL};
	struct options o;
	struct err e;

	(void)state;
	assert_true(parse(&o, OPTIONS_CONNECT | OPTIONS_PUSH, argv, &e));
	assert_int_equal(o.labels.n, 2);
	assert_string_equal(o.labels.v[1], "c=d=e");
	assert_int_equal(o.metadata.n, 1);
	assert_string_equal(o.metadata.v[0], "x=");
	assert_true(o.json);
	options_free(&o);
}

static void wrong_lines(void **state)
{
	static const struct {
		const char *argv[3], *text;
	} rows[] = {
		{{"--limti", "5"}, "there is no option --limti; did you mean --limit?"},
		{{"--label", "a=b"}, "there is no option --label here"},
		{{"--limit"}, "--limit wants a value: N"},
		{{"--limit", "many"}, "--limit: \"many\" is not a number of 0 or more"},
		{{"--limit", "-1"}, "--limit: \"-1\" is not a number of 0 or more"},
		{{"--forward=yes"}, "--forward takes no value"},
		{{"-x"}, "there is no option -x here"},
		{{"-qx"}, "there is no option -qx here"},
		{{"-o", "xml"}, "--output: \"xml\" is no form of output; there are default, raw and jsonl"},
		{{"--step", "fast"}, "--step: \"fast\" is not a duration; write it like 15m, 1h30m or 7d"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct options o;
		struct err e;

		assert_false(parse(&o, QUERY, rows[i].argv, &e));
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.msg, rows[i].text);
		options_free(&o);
	}
}

static void ranges(void **state)
{
	static const struct {
		const char *since, *from, *to;
		int64_t start, end; /* 0, 0: refused */
	} rows[] = {
		{"1d", NULL, NULL, NOW - UNITS_DAY, NOW},
		{NULL, "2h", "1h", NOW - 2 * UNITS_HOUR, NOW - UNITS_HOUR},
		{"30m", NULL, "2026-11-01", NOW - 10 * UNITS_HOUR - 30 * UNITS_MIN, NOW - 10 * UNITS_HOUR},
		{NULL, "1793527100", NULL, NOW - 100 * UNITS_SEC, NOW},
		{"1h", "2h", NULL, 0, 0},
		{NULL, "1h", "2h", 0, 0},
		{NULL, "now", NULL, 0, 0},
		{"0s", NULL, NULL, 0, 0},
		{NULL, NULL, "tomorrow", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct options o = {.since = rows[i].since, .from = rows[i].from, .to = rows[i].to};
		struct err e = ERR_INIT;
		bool ok = options_range(&o, NOW, &e);

		if (ok != (rows[i].end != 0)) fail_msg("row %zu: %s", i, e.msg);
		if (!ok) continue;
		assert_int_equal(o.start, rows[i].start);
		assert_int_equal(o.end, rows[i].end);
	}
}

static void help_lists_the_groups_options(void **state)
{
	struct buf b = {0};

	(void)state;
	options_help(&b, OPTIONS_CONNECT | OPTIONS_QUERY);
	assert_true(str_find(buf_view(&b), STR("-n, --limit N")) > 0);
	assert_true(str_find(buf_view(&b), STR("[$LARCH_ADDR]")) > 0);
	assert_true(str_find(buf_view(&b), STR("--metadata")) < 0);
	buf_free(&b);
}

#define T(fn) cmocka_unit_test_setup(fn, no_environment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(defaults), T(environment_then_command_line), T(every_spelling), T(lists), T(wrong_lines),
		T(ranges),   T(help_lists_the_groups_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
