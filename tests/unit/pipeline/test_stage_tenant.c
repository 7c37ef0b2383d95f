/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void sets_the_label(void **state)
{
	(void)state;
	check_stages("[{tenant: {value: acme}}]", LINES("x"), "{__tenant_id__=\"acme\", job=\"t\"} x\n");
	check_stages("[{tenant: {label: job}}, {tenant: {label: nope}}]", LINES("x"),
		     "{__tenant_id__=\"t\", job=\"t\"} x\n");
	check_stages("[{regex: {expression: 't=(?P<t>\\w*)'}}, {tenant: {source: t}}]", LINES("t=abc", "none", "t="),
		     "{__tenant_id__=\"abc\", job=\"t\"} t=abc\n{job=\"t\"} none\n{job=\"t\"} t=\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{tenant: {}}]", "agent.yaml:1:11: stage tenant: one of label, source or value must be set");
	check_refused("[{tenant: {source: a, value: b}}]",
		      "agent.yaml:1:11: stage tenant: only one of label, source and value may be set");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY "[{tenant: {value: 5}}]", LINES("x"), "{__tenant_id__=\"5\", job=\"t\"} x\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_the_label),
		cmocka_unit_test(refuses),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
