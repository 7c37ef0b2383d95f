/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define MARK ", stages: [{static_labels: {m: x}}]}}]"

static void selects_by_labels_and_line(void **state)
{
	(void)state;
	check_stages("[{match: {selector: '{job=\"t\"}'" MARK, LINES("a"), "{job=\"t\", m=\"x\"} a\n");
	check_stages("[{match: {selector: '{job=~\"s|t\", nope=\"\"} |= \"a\" != \"b\"'" MARK, LINES("a", "ab", "c"),
		     "{job=\"t\", m=\"x\"} a\n{job=\"t\"} ab\n{job=\"t\"} c\n");
	check_stages("[{match: {selector: '{job!~\"t.+\"} |~ \"^a\" !~ \"x$\"'" MARK, LINES("ab", "ax", "ba"),
		     "{job=\"t\", m=\"x\"} ab\n{job=\"t\"} ax\n{job=\"t\"} ba\n");
}

static void drops(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(&r, "[{match: {selector: '{job=\"t\"} |= \"a\"', action: drop}}]", NULL));
	check_text(stage_run_lines(&r, LINES("a", "b", "a")), "{job=\"t\"} b\n");
	check_text(buf_cstr(&r.dropped), "match_stage:1 match_stage:3 ");
	stage_run_close(&r);
}

static void order_is_kept(void **state)
{
	(void)state;
	check_stages("[{match: {selector: '{job=\"t\"} |= \"x\"', stages: [{drop: {expression: 'y'}}, {labeldrop: "
		     "[job]}]}}]",
		     LINES("1", "2x", "3", "4xy", "5x", "6"),
		     "{job=\"t\"} 1\n{} 2x\n{job=\"t\"} 3\n{} 5x\n{job=\"t\"} 6\n");
}

/* Labels are extracted values again, over what was extracted before. */
static void nested_stages_see_the_labels(void **state)
{
	(void)state;
	check_stages("[{static_labels: {job: new}}, {match: {selector: '{job=\"new\"}', stages: [{output: {source: "
		     "job}}]}}]",
		     LINES("a"), "{job=\"new\"} new\n");
}

static void nested_blocks_wait(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(
		&r,
		"[{match: {selector: '{job=\"t\"}', stages: [{multiline: {firstline: ^S}}, {static_labels: "
		"{a: b}}]}}, {static_labels: {c: d}}]",
		NULL));
	check_text(stage_run_lines(&r, LINES("S", "x")), "");
	assert_true(pipeline_deadline(r.p) != INT64_MAX);
	clock_fake_step(&r.clock, 3 * UNITS_SEC);
	check_text(stage_run_tick(&r), "{a=\"b\", c=\"d\", job=\"t\"} S\nx @1000000000 from 1,2\n");
	check_text(stage_run_lines(&r, LINES("S2")), "");
	check_text(stage_run_flush(&r), "{a=\"b\", c=\"d\", job=\"t\"} S2\n");
	stage_run_close(&r);
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{match: {stages: []}}]",
		      "agent.yaml:1:10: stage match: selector must be set, for example '{app=\"x\"}'");
	check_refused("[{match: {selector: '{a=\"b\"}', stages: []}}]",
		      "agent.yaml:1:40: stage match: stages must have at least one stage");
	check_refused("[{match: {selector: '{a=\"b\"}', action: drop, stages: [{output: {source: x}}]}}]",
		      "agent.yaml:1:54: stage match: with action: drop there must be no stages");
	check_refused("[{match: {selector: '{a=\"b\"}', action: zzz, stages: [{output: {source: x}}]}}]",
		      "agent.yaml:1:40: stage match: action must be keep or drop, not \"zzz\"");
	check_refused("[{match: {selector: '{}'" MARK,
		      "agent.yaml:1:21: stage match: selector: {} selects nothing; name at least one label");
	check_refused(
		"[{match: {selector: '{a=\"b\"}', stages: [{output: {}}]}}]",
		"agent.yaml:1:50: stage match: stage output: source must be set: name the extracted value that becomes "
		"the line");
	static const char *const bad[] = {"{",
					  "{a=`b`}",
					  "{a=\"b\"} | json",
					  "{a=\"b\"} |= \"x\" or \"y\"",
					  "{a=\"b\"} |> \"x\"",
					  "{a=\"b\"} |= ip(\"::1\")",
					  "{a=~\"(\"}",
					  "{a=\"b\"} |~ \"(\"",
					  "{a=\"b\"} x"};
	for (size_t i = 0; i < COUNT(bad); i++) {
		char stages[256];
		struct stage_run r;
		snprintf(stages, sizeof stages, "[{match: {selector: '%s'" MARK, bad[i]);
		if (stage_run_open(&r, stages, NULL)) fail_msg("taken: %s", bad[i]);
		check_str(str_sub(str_c(r.e.msg), 0, 39), STR("agent.yaml:1:21: stage match: selector:"));
		stage_run_close(&r);
	}
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	struct buf b = {0};
	for (int i = 0; i < 20; i++) buf_c(&b, "[{match: {selector: '{a=\"b\"}', stages: ");
	buf_c(&b, "[{decolorize: }]");
	for (int i = 0; i < 20; i++) buf_c(&b, "}}]");
	struct stage_run r;
	assert_false(stage_run_open(&r, buf_cstr(&b), NULL));
	assert_non_null(strstr(r.e.msg, "stages are nested more than 16 deep"));
	stage_run_close(&r);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selects_by_labels_and_line),
		cmocka_unit_test(drops),
		cmocka_unit_test(order_is_kept),
		cmocka_unit_test(nested_stages_see_the_labels),
		cmocka_unit_test(nested_blocks_wait),
		cmocka_unit_test(refuses),
		cmocka_unit_test(nesting_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
