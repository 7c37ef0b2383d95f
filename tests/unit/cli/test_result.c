/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/result.h"

#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct arena mem;

static int setup(void **state)
{
	(void)state;
	arena_init(&mem, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&mem);
	return 0;
}

static struct result parse(const char *text)
{
	struct err e = ERR_INIT;
	struct result r;

	if (!result_parse(&mem, str_c(text), &r, &e)) fail_msg("%s", e.msg);
	return r;
}

static void streams(void **state)
{
	struct result r =
		parse("{\"status\":\"success\",\"warnings\":[\"slow\"],\"data\":{\"resultType\":\"streams\","
		      "\"encodingFlags\":[\"x\"],\"result\":["
		      "{\"stream\":{\"b\":\"2\",\"a\":\"\\u003c1\"},\"values\":[[\"30\",\"c\"],[\"10\",\"a\\n\"]]},"
		      "{\"stream\":{},\"values\":[[\"20\",\"b\",{\"parsed\":{\"k\":[1]}}],[\"30\",\"d\"]]}"
		      "],\"stats\":{\"summary\":{\"x\":1}}}}\n");

	(void)state;
	assert_int_equal(r.kind, RESULT_STREAMS);
	assert_int_equal(r.nentries, 4);
	assert_int_equal(r.warnings.n, 1);
	assert_true(str_eqc(r.warnings.v[0], "slow"));
	result_sort(&r, true);
	assert_true(str_eqc(r.entries[0].line, "a\n"));
	assert_true(str_eqc(r.entries[1].line, "b"));
	assert_true(str_eqc(r.entries[2].line, "c"));
	assert_true(str_eqc(r.entries[3].line, "d"));
	assert_true(str_eqc(labels_get(r.entries[0].labels, STR("a")), "<1"));
	assert_int_equal(r.entries[1].labels->n, 0);
	result_sort(&r, false);
	assert_true(str_eqc(r.entries[0].line, "c")); /* equal times stay as they came */
	assert_true(str_eqc(r.entries[1].line, "d"));
	assert_int_equal(r.entries[3].ts, 10);
}

static void metrics(void **state)
{
	struct result r =
		parse("{\"data\":{\"resultType\":\"matrix\",\"result\":["
		      "{\"metric\":{\"a\":\"b\"},\"values\":[[1700000000,\"1.5\"],[1700000060.25,\"+Inf\"]]}]}}");

	(void)state;
	assert_int_equal(r.kind, RESULT_MATRIX);
	assert_int_equal(r.nsamples, 2);
	assert_true(r.samples[1].ts == INT64_C(1700000060250) * UNITS_MS);
	assert_true(str_eqc(r.samples[1].value, "+Inf"));
	r = parse("{\"data\":{\"result\":[{\"value\":[1700000000.123,\"3\"],\"metric\":{\"x\":\"y\"}}],\"resultType\":"
		  "\"vector\"}}");
	assert_int_equal(r.kind, RESULT_VECTOR);
	assert_true(str_eqc(labels_get(r.samples[0].labels, STR("x")), "y"));
	r = parse("{\"data\":{\"resultType\":\"scalar\",\"result\":[1700000000123,\"2\"]}}");
	assert_int_equal(r.kind, RESULT_SCALAR);
	assert_true(r.samples[0].ts == INT64_C(1700000000123) * UNITS_MS);
	r = parse("{\"data\":{\"resultType\":\"vector\",\"result\":[]}}");
	assert_int_equal(r.nsamples, 0);
}

static void not_an_answer(void **state)
{
	static const char *const rows[] = {
		"",
		"[]",
		"<html>",
		"{}",
		"{\"data\":{}}",
		"{\"data\":{\"resultType\":\"pictures\",\"result\":[]}}",
		"{\"data\":{\"resultType\":\"streams\"}}",
		"{\"data\":{\"resultType\":\"streams\",\"result\":{}}}",
		"{\"data\":{\"resultType\":\"streams\",\"result\":[[]]}}",
		"{\"data\":{\"resultType\":\"streams\",\"result\":[{\"values\":[[\"x\",\"l\"]]}]}}",
		"{\"data\":{\"resultType\":\"streams\",\"result\":[{\"values\":[[\"1\"]]}]}}",
		"{\"data\":{\"resultType\":\"streams\",\"result\":[{\"values\":[[1,\"l\"]]}]}}",
		"{\"data\":{\"resultType\":\"streams\",\"result\":[{\"stream\":{\"a\":1}}]}}",
		"{\"data\":{\"resultType\":\"vector\",\"result\":[{\"value\":[1e300,\"1\"]}]}}",
		"{\"data\":{\"resultType\":\"vector\",\"result\":[{\"value\":[1,1]}]}}",
		"{\"data\":{\"resultType\":\"scalar\",\"result\":[]}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = ERR_INIT;
		struct result r;

		if (result_parse(&mem, str_c(rows[i]), &r, &e)) fail_msg("%s was taken", rows[i]);
		assert_int_equal(e.code, ERR_CORRUPT);
	}
}

static void label_lists(void **state)
{
	struct result_strings list;
	struct result_series series;
	struct err e = ERR_INIT;

	(void)state;
	assert_true(
		result_parse_strings(&mem, STR("{\"status\":\"success\",\"data\":[\"a\",\"b\\tc\"]}\n"), &list, &e));
	assert_int_equal(list.n, 2);
	assert_true(str_eqc(list.v[1], "b\tc"));
	assert_true(result_parse_strings(&mem, STR("{\"status\":\"success\"}\n"), &list, &e));
	assert_int_equal(list.n, 0);
	assert_false(result_parse_strings(&mem, STR("{\"data\":[1]}"), &list, &e));
	e = ERR_INIT;
	assert_true(result_parse_series(&mem, STR("{\"data\":[{\"a\":\"1\"},{}]}"), &series, &e));
	assert_int_equal(series.n, 2);
	assert_int_equal(series.v[0].n, 1);
	assert_int_equal(series.v[1].n, 0);
}

static void frames_of_tails(void **state)
{
	struct err e = ERR_INIT;
	struct result r;
	size_t dropped;

	(void)state;
	assert_true(result_parse_frame(
		&mem,
		STR("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"2\",\"x\"]]},"
		    "{\"stream\":{},\"values\":[[\"1\",\"y\",{}]]}],\"dropped_entries\":[{\"timestamp\":"
		    "\"1\",\"labels\":{\"a\":\"1\"}},{}],\"encodingFlags\":[\"x\"]}"),
		&r, &dropped, &e));
	assert_int_equal(r.nentries, 2);
	assert_int_equal(r.entries[1].ts, 1);
	assert_true(str_eqc(r.entries[0].line, "x"));
	assert_int_equal(dropped, 2);
	assert_true(result_parse_frame(&mem, STR("{\"streams\":null,\"dropped_entries\":null}"), &r, &dropped, &e));
	assert_int_equal(r.nentries + dropped, 0);
	assert_false(result_parse_frame(&mem, STR("{\"streams\":{}}"), &r, &dropped, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
}

static void contexts(void **state)
{
	struct err e = ERR_INIT;
	struct result r;

	(void)state;
	assert_true(
		result_parse_context(&mem,
				     STR("{\"status\":\"success\",\"entry\":1,\"data\":{\"streams\":[{\"stream\":{},"
					 "\"values\":[[\"1\",\"x\"]]},{\"stream\":{},\"values\":[[\"2\",\"y\"]]}]}}\n"),
				     &r, &e));
	assert_int_equal(r.nentries, 2);
	assert_int_equal(r.entry, 1);
	assert_false(result_parse_context(&mem, STR("{\"entry\":-1}"), &r, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(streams),     T(metrics),         T(not_an_answer),
					   T(label_lists), T(frames_of_tails), T(contexts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
