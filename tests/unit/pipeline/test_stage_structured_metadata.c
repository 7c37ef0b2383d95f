/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define EXTRACT "{regex: {expression: 'trace=(?P<trace>\\w*)'}}, "

static void attaches_extracted_values(void **state)
{
	(void)state;
	check_stages("[" EXTRACT "{structured_metadata: {trace: , id: trace, none: }}]", LINES("trace=t1", "x"),
		     "{job=\"t\"} trace=t1 {id=\"t1\", trace=\"t1\"}\n{job=\"t\"} x\n");
}

static void a_label_moves(void **state)
{
	(void)state;
	check_stages("[{structured_metadata: {j: job}}]", LINES("x"), "{} x {j=\"t\"}\n");
	check_stages("[{static_labels: {a: b}}, {structured_metadata: {a: }}]", LINES("x"),
		     "{job=\"t\"} x {a=\"b\"}\n");
	/* the label says something else than the extracted value: it stays */
	check_stages("[{static_labels: {job: other}}, {structured_metadata: {job: }}]", LINES("x"),
		     "{job=\"other\"} x {job=\"t\"}\n");
}

static void the_old_name_works(void **state)
{
	(void)state;
	check_stages("[" EXTRACT "{non_indexed_labels: {trace: }}]", LINES("trace=7"),
		     "{job=\"t\"} trace=7 {trace=\"7\"}\n");
}

static void drops_by_name(void **state)
{
	(void)state;
	check_stages("[" EXTRACT "{structured_metadata: {a: trace, b: trace}}, {structured_metadata: {a: trace}}, "
		     "{structured_metadata_drop: [a, c]}]",
		     LINES("trace=7"), "{job=\"t\"} trace=7 {b=\"7\"}\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{structured_metadata: {'': x}}]",
		      "agent.yaml:1:29: stage structured_metadata: invalid label name "
		      "\"\"; it must match [a-zA-Z_][a-zA-Z0-9_]*");
	check_refused("[{structured_metadata_drop: []}]",
		      "agent.yaml:1:29: stage structured_metadata_drop: at least one name must be given");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attaches_extracted_values),
		cmocka_unit_test(a_label_moves),
		cmocka_unit_test(the_old_name_works),
		cmocka_unit_test(drops_by_name),
		cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
