/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void drops(void **state)
{
	(void)state;
	check_stages("[{static_labels: {a: '1', b: '2'}}, {labeldrop: [a, job, nope]}]", LINES("x", "y"),
		     "{b=\"2\"} x\n{b=\"2\"} y\n");
	check_stages("[{labeldrop: [job]}, {output: {source: job}}]", LINES("x"), "{} t\n"); /* the value stays */
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{labeldrop: []}]", "agent.yaml:1:14: stage labeldrop: at least one label name must be given");
	check_refused("[{labeldrop: a}]",
		      "agent.yaml:1:14: stage labeldrop: labeldrop: expected a list of strings such as "
		      "[a, b], found \"a\"");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY "[{static_labels: {values: {a: b}}}, {label_drop: {values: [job, nope]}}]", LINES("x"),
		     "{a=\"b\"} x\n");
	check_refused(ALLOY "[{label_drop: {values: []}}]",
		      "agent.yaml:2:15: stage label_drop: at least one label name must be given");
	check_refused(ALLOY "[{labeldrop: [a]}]",
		      "agent.yaml:2:3: unknown pipeline stage \"labeldrop\"; did you mean \"label_drop\"?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops),
		cmocka_unit_test(refuses),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
