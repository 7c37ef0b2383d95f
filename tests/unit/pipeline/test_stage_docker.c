/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define AT "2026-11-01T10:00:00"

static void reads_lines(void **state)
{
	(void)state;
	check_stages("[{docker: {}}]",
		     LINES("{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"" AT ".123456789Z\"}",
			   "{\"time\":\"" AT
			   "+01:00\",\"stream\":\"stderr\",\"log\":\"\\u00fc \\\"q\\\"\",\"attrs\":{\"a\":[1]}}"),
		     "{job=\"t\", stream=\"stdout\"} hello\n @1793527200123456789\n"
		     "{job=\"t\", stream=\"stderr\"} \xc3\xbc \"q\" @1793523600000000000\n");
}

/* As in Promtail: what is missing leaves the entry as it is, but for its time. */
static void what_is_missing(void **state)
{
	(void)state;
	check_stages("[{docker: }]",
		     LINES("text", "{\"log\":\"a\",\"time\":\"" AT "Z\"}", "{\"log\":\"b\"}", "{\"stream\":\"x\"}",
			   "[1]", "{\"log\":\"\"}", "{\"log\":5}", "{\"log\":null}"),
		     "{job=\"t\"} text\n{job=\"t\"} a @1793527200000000000\n{job=\"t\"} b @1793527200000000001\n"
		     "{job=\"t\", stream=\"x\"} {\"stream\":\"x\"}\n{job=\"t\"} [1] @1793527200000000002\n"
		     "{job=\"t\"}  @1793527200000000003\n{job=\"t\"} 5 @1793527200000000004\n"
		     "{job=\"t\"} {\"log\":null} @1793527200000000005\n");
}

static void later_stages_see_its_values(void **state)
{
	(void)state;
	check_stages("[{docker: {}}, {labels: {o: output, t: timestamp}}, {regex: {expression: '^(?P<w>\\w)'}}, "
		     "{output: {source: w}}]",
		     LINES("{\"log\":\"hello\",\"stream\":\"stdout\",\"time\":\"" AT "Z\"}"),
		     "{job=\"t\", o=\"hello\", stream=\"stdout\", t=\"" AT "Z\"} h @1793527200000000000\n");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(
		ALLOY "[{docker: {}}, {labels: {values: {o: output, s: stream}}}]",
		LINES("{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"" AT "Z\"}", "{\"log\":\"b\"}",
		      "{\"log\":\"\",\"stream\":\"x\"}", "{\"log\":5}", "{\"log\":\"c\",\"time\":7}", "[1]", "text",
		      "{\"log\":\"d\",\"time\":\"noon\",\"stream\":null}"),
		"{job=\"t\", o=\"a\\n\", s=\"stdout\", stream=\"stdout\"} a\n @1793527200000000000\n"
		"{job=\"t\", o=\"b\", s=\"\", stream=\"\"} b\n{job=\"t\"} {\"log\":\"\",\"stream\":\"x\"}\n"
		"{job=\"t\"} {\"log\":5}\n{job=\"t\"} {\"log\":\"c\",\"time\":7}\n{job=\"t\"} [1]\n{job=\"t\"} text\n"
		"{job=\"t\", o=\"d\", s=\"\", stream=\"\"} d\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_lines),
		cmocka_unit_test(what_is_missing),
		cmocka_unit_test(later_stages_see_its_values),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
