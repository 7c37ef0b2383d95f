/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void extracts(void **state)
{
	(void)state;
	check_stages(
		"[{logfmt: {mapping: {level: , m: msg, dur: }}}, {labels: {level: , dur: , m: }}]",
		LINES("level=info msg=\"a \\\"b\\\"\" dur=1.5s", "not logfmt", "level= dur", ""),
		"{dur=\"1.5s\", job=\"t\", level=\"info\", m=\"a \\\"b\\\"\"} level=info msg=\"a \\\"b\\\"\" dur=1.5s\n"
		"{job=\"t\"} not logfmt\n{dur=\"\", job=\"t\", level=\"\"} level= dur\n{job=\"t\"} \n");
}

static void reads_every_line_up_to_a_fault(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: '(?s)(?P<text>.*)'}}, {logfmt: {source: text, mapping: {a: , b: , c: }}}, "
		     "{labels: {a: , b: , c: }}]",
		     LINES("a=1\nb=2", "a=1 =x b=2\nc=3"),
		     "{a=\"1\", b=\"2\", job=\"t\"} a=1\nb=2\n{a=\"1\", job=\"t\"} a=1 =x b=2\nc=3\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{logfmt: {}}]",
		      "agent.yaml:1:11: stage logfmt: mapping must be set: extracted names and the keys they "
		      "come from");
	check_refused("[{logfmt: {mapping: {a: }, source: ''}}]",
		      "agent.yaml:1:36: stage logfmt: source must not be empty; leave it out to read the line");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY
		     "[{logfmt: {mapping: {a: b}, regex: '^(b|c)$', source: ''}}, {labels: {values: {a: , b: , c: , "
		     "d: }}}]",
		     LINES("b=1 c=\"x y\" d=3"), "{a=\"1\", b=\"1\", c=\"x y\", job=\"t\"} b=1 c=\"x y\" d=3\n");
	check_stages(ALLOY "[{logfmt: {regex: a}}, {labels: {values: {aa: }}}]", LINES("aa=1 b=2"),
		     "{aa=\"1\", job=\"t\"} aa=1 b=2\n");
	check_refused(
		ALLOY "[{logfmt: {}}]",
		"agent.yaml:2:11: stage logfmt: mapping must be set: extracted names and the keys they come from");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extracts),
		cmocka_unit_test(reads_every_line_up_to_a_fault),
		cmocka_unit_test(refuses),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
