/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

/* All else is in test_stage_structured_metadata.c. */
static void is_structured_metadata(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: 'trace=(?P<trace>\\w*)'}}, {non_indexed_labels: {trace: , j: job}}]",
		     LINES("trace=7", "x"), "{} trace=7 {j=\"t\", trace=\"7\"}\n{} x {j=\"t\"}\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{non_indexed_labels: {a-b: x}}]",
		      "agent.yaml:1:29: stage non_indexed_labels: invalid label name \"a-b\"; it must match "
		      "[a-zA-Z_][a-zA-Z0-9_]*");
	check_refused("[{non_indexed_labels: }]",
		      "agent.yaml:1:3: stage non_indexed_labels: it needs a value: a mapping of metadata names to "
		      "extracted values or labels; nothing means that of the same name.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_structured_metadata),
		cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
