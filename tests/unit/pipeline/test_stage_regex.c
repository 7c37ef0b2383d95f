/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void extracts_groups(void **state)
{
	(void)state;
	check_stages(
		"[{regex: {expression: '^(?P<date>\\S+) (?<level>\\w+) (x)?'}}, {labels: {level: , d: date}}]",
		LINES("2026 INFO", "2026 INFO y", "garbage"),
		"{job=\"t\"} 2026 INFO\n{d=\"2026\", job=\"t\", level=\"INFO\"} 2026 INFO y\n{job=\"t\"} garbage\n");
}

static void a_group_without_part_is_empty(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: '(?P<a>INFO)?(?P<rest>.*)'}}, {labels: {a: , rest: }}]",
		     LINES("INFO yes", "none"),
		     "{a=\"INFO\", job=\"t\", rest=\" yes\"} INFO yes\n{a=\"\", job=\"t\", rest=\"none\"} none\n");
}

static void reads_another_value(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: '(?P<a>\\d+)'}}, {regex: {source: a, expression: '(?P<b>\\d)$'}}, {regex: "
		     "{source: nope, expression: '(?P<c>.*)'}}, {labels: {b: , c: }}]",
		     LINES("x 123"), "{b=\"3\", job=\"t\"} x 123\n");
}

static void the_last_match_of_a_greedy_prefix(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: '.*(?P<level>INFO|WARN|info).*'}}, {labels: {level: }}]",
		     LINES("INFO then WARN", "no", "info"),
		     "{job=\"t\", level=\"WARN\"} INFO then WARN\n{job=\"t\"} no\n{job=\"t\", level=\"info\"} info\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{regex: {}}]", "agent.yaml:1:10: stage regex: expression must be set");
	check_refused("\n- regex:\n    expression: (",
		      "agent.yaml:3:17: stage regex: expression: error parsing regexp: missing closing ): `(`");
	check_refused("[{regex: {expression: a, source: ''}}]",
		      "agent.yaml:1:34: stage regex: source must not be empty; leave it out to match the line");
	check_refused("[{regex: {expression: 7}}]",
		      "agent.yaml:1:23: stage regex: expression: expected a string, found "
		      "\"7\"; write it in quotes");
	check_refused("[{regex: {expression: abc}}]", "");
}

static void unknown_keys_are_warned_about(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(&r, "[{regex: {expression: (?P<a>b), labels_from_groups: true}}]", NULL));
	check_buf(&r.warned, "agent.yaml:1:33: unknown key \"labels_from_groups\" in regex stage\n");
	check_text(stage_run_lines(&r, LINES("b")), "{job=\"t\"} b\n"); /* as Promtail, which has no such key */
	stage_run_close(&r);
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY "[{regex: {expression: '(?P<job>\\w+) (?P<a>\\w*) ?(?P<b>.*)', labels_from_groups: true}}]",
		     LINES("x y", "z", "p q \xff"),
		     "{a=\"y\", b=\"\", job=\"x\"} x y\n{job=\"t\"} z\n{a=\"q\", job=\"p\"} p q \xff\n");
	check_stages(ALLOY "[{regex: {expression: '(?P<a>.)', labels_from_groups: true}}, {output: {source: a}}]",
		     LINES("xy"), "{a=\"x\", job=\"t\"} x\n");
	check_stages(ALLOY "[{regex: {expression: '(?P<a>.)'}}]", LINES("x"), "{job=\"t\"} x\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extracts_groups),
		cmocka_unit_test(a_group_without_part_is_empty),
		cmocka_unit_test(reads_another_value),
		cmocka_unit_test(the_last_match_of_a_greedy_prefix),
		cmocka_unit_test(refuses),
		cmocka_unit_test(unknown_keys_are_warned_about),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
