/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void takes_the_value(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: 'msg=(?P<m>\\S*)'}}, {output: {source: m}}]",
		     LINES("msg=hello x", "nothing", "msg= x"),
		     "{job=\"t\"} hello\n{job=\"t\"} nothing\n{job=\"t\"} \n");
	check_stages("[{output: {source: job}}]", LINES("x"), "{job=\"t\"} t\n"); /* labels are extracted values */
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{output: {}}]",
		      "agent.yaml:1:11: stage output: source must be set: name the extracted value that "
		      "becomes the line");
	check_refused("[{output: {source: 5}}]",
		      "agent.yaml:1:20: stage output: source: expected a string, found \"5\"; write it in quotes");
	check_refused("[{output: {SOURCE: a}}]", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(takes_the_value), cmocka_unit_test(refuses)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
