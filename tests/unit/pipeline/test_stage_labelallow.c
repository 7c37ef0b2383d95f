/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void keeps_only_those(void **state)
{
	(void)state;
	check_stages(
		"[{regex: {expression: '(?P<l>\\w)'}}, {labels: {l: }}, {tenant: {value: x}}, {labelallow: [l, nope]}]",
		LINES("a", "b", "a"), "{l=\"a\"} a\n{l=\"b\"} b\n{l=\"a\"} a\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{labelallow: []}]", "agent.yaml:1:15: stage labelallow: at least one label name must be given");
	check_refused(
		"[{labelallow: [1]}]",
		"agent.yaml:1:16: stage labelallow: labelallow: expected a string, found \"1\"; write it in quotes");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY "[{static_labels: {values: {a: b}}}, {label_keep: {values: [a, nope]}}]", LINES("x"),
		     "{a=\"b\"} x\n");
	check_refused(ALLOY "[{label_keep: {}}]",
		      "agent.yaml:2:15: stage label_keep: at least one label name must be given");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_only_those),
		cmocka_unit_test(refuses),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
