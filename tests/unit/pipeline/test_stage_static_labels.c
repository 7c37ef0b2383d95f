/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void sets(void **state)
{
	(void)state;
	check_stages("[{static_labels: {a: '1', job: new, none: , empty: ''}}]", LINES("x", "y"),
		     "{a=\"1\", job=\"new\"} x\n{a=\"1\", job=\"new\"} y\n");
}

static void leaves_extracted_values_alone(void **state)
{
	(void)state;
	check_stages("[{static_labels: {job: new}}, {output: {source: job}}]", LINES("x"), "{job=\"new\"} t\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{static_labels: {env: 5}}]", "agent.yaml:1:24: stage static_labels: static_labels: expected a "
						     "string, found \"5\"; write it in quotes");
	check_refused("[{static_labels: {x: yes}}]",
		      "agent.yaml:1:22: stage static_labels: static_labels: expected a string, "
		      "found \"yes\"; write it in quotes");
	check_refused("[{static_labels: {a.b: x}}]",
		      "agent.yaml:1:24: stage static_labels: invalid label name \"a.b\"");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY "[{static_labels: {values: {a: b, c: , n: 5}}}]", LINES("x"),
		     "{a=\"b\", job=\"t\", n=\"5\"} x\n");
	check_refused(ALLOY "[{static_labels: {a: b}}]",
		      "agent.yaml:2:19: stage static_labels: unknown key \"a\" in static_labels stage");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets),
		cmocka_unit_test(leaves_extracted_values_alone),
		cmocka_unit_test(refuses),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
