/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define ATTACH "{regex: {expression: 'v=(?P<v>\\w*)'}}, {structured_metadata: {a: v, b: v}}, "

static void drops_by_name(void **state)
{
	(void)state;
	check_stages("[" ATTACH "{structured_metadata_drop: [a, c]}]", LINES("v=7", "x"),
		     "{job=\"t\"} v=7 {b=\"7\"}\n{job=\"t\"} x\n");
	check_stages("[" ATTACH "{structured_metadata_drop: [b, a]}]", LINES("v=7"), "{job=\"t\"} v=7\n");
	check_stages("[" ATTACH "{structured_metadata_drop: [job, v, A]}]", LINES("v=7"),
		     "{job=\"t\"} v=7 {a=\"7\", b=\"7\"}\n"); /* neither labels nor extracted values */
}

static void drops_every_one_of_the_name(void **state)
{
	(void)state;
	check_stages("[" ATTACH "{structured_metadata: {a: job}}, {structured_metadata_drop: [a]}]", LINES("v=7"),
		     "{} v=7 {b=\"7\"}\n");
}

/* Parts of a divided line share what is attached until one changes it. */
static void leaves_others_alone(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: '(?P<v>\\d)'}}, {structured_metadata: {a: v}}, {split_json: {}}, "
		     "{match: {selector: '{job=\"t\"} |= \"2\"', stages: [{structured_metadata_drop: [a]}]}}]",
		     LINES("[1, 2, 3]"), "{job=\"t\"} 1 {a=\"1\"}\n{job=\"t\"} 2\n{job=\"t\"} 3 {a=\"1\"}\n");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY "[{structured_metadata: {values: {j: job}}}, {structured_metadata_drop: {values: [j]}}]",
		     LINES("x"), "{} x\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{structured_metadata_drop: []}]",
		      "agent.yaml:1:29: stage structured_metadata_drop: at least one name must be given");
	check_refused("[{structured_metadata_drop: a}]",
		      "agent.yaml:1:29: stage structured_metadata_drop: structured_metadata_drop: expected a list of "
		      "strings such as [a, b], found \"a\"");
	check_refused(ALLOY "[{structured_metadata_drop: {}}]",
		      "agent.yaml:2:29: stage structured_metadata_drop: at least one name must be given");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_by_name),
		cmocka_unit_test(drops_every_one_of_the_name),
		cmocka_unit_test(leaves_others_alone),
		cmocka_unit_test(in_alloy),
		cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
