/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/stage.h"
#include "tests/unit/pipeline/stage_run.h"

static void no_stages_change_nothing(void **state)
{
	(void)state;
	check_stages("[]", LINES("a\r", ""), "{job=\"t\"} a\r\n{job=\"t\"} \n");
	check_stages("", LINES("a"), "{job=\"t\"} a\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{nope: {}}]", "agent.yaml:1:3: unknown pipeline stage \"nope\"");
	check_refused("[{regexp: {}}]", "agent.yaml:1:3: unknown pipeline stage \"regexp\"; did you mean \"regex\"?");
	check_refused("[regex]",
		      "agent.yaml:1:2: a pipeline stage must be a mapping such as `- regex: {…}`, not a string");
	check_refused("[{docker: {}, cri: {}}]",
		      "agent.yaml:1:2: a pipeline stage must have only one key, not 2; put each stage into "
		      "an item of its own");
	check_refused("{docker: {}}", "agent.yaml:1:1: pipeline stages must be a list, not a mapping");
	check_refused("[{decolorize: }, {output: }]",
		      "agent.yaml:1:27: stage output: source must be set: name the extracted value "
		      "that becomes the line");
}

/* Blocks of two stages that hold back: what the first gives up goes through the second. */
static void flush_runs_the_rest(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(
		&r, "[{multiline: {firstline: ^A}}, {multiline: {firstline: ^A1}}, {static_labels: {x: z}}]", NULL));
	check_text(stage_run_lines(&r, LINES("A1", "b", "A2", "c")), "");
	check_text(stage_run_flush(&r), "{job=\"t\", x=\"z\"} A1\nb\nA2\nc @1000000000 from 1,2,3,4\n");
	stage_run_close(&r);
}

static void the_earliest_deadline_counts(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(
		&r,
		"[{match: {selector: '{job=\"t\"} |= \"x\"', stages: [{multiline: {firstline: ^A, max_wait_time: "
		"1s}}]}}, {multiline: {firstline: ^B, max_wait_time: 5s}}]",
		NULL));
	stage_run_lines(&r, LINES("Ax", "B"));
	assert_int_equal(pipeline_deadline(r.p) - r.clock.mono_ns, UNITS_SEC);
	clock_fake_step(&r.clock, 5 * UNITS_SEC);
	check_text(stage_run_tick(&r), ""); /* what the first gives up goes on with the other's block */
	clock_fake_step(&r.clock, 5 * UNITS_SEC);
	check_text(stage_run_tick(&r), "{job=\"t\"} B\nAx @2000000000 from 2,1\n");
	stage_run_close(&r);
}

static void inspected(void *ud, const char *stage, const struct entry *before, const struct entry *after)
{
	struct buf *b = ud;
	buf_printf(b, "%s: ", stage);
	labels_print(b, &before->labels);
	buf_printf(b, " %.*s %u -> ", STR_ARG(before->line), before->nextracted);
	labels_print(b, &after->labels);
	buf_printf(b, " %.*s %u\n", STR_ARG(after->line), after->nextracted);
}

static void shows_what_stages_do(void **state)
{
	(void)state;
	struct buf out = {0};
	struct err e = ERR_INIT;
	struct arena a;
	arena_init(&a, 0);
	struct pipeline_env env = {.clock = &clock_real, .file = "x", .ud = &out, .inspect = inspected};
	struct yaml *n = yaml_parse(
		&a, STR("[{regex: {expression: '(?P<l>.)(?P<m>.)'}}, {labels: {l: }}, {output: {source: m}}]"), &e);
	struct pipeline *p = pipeline_new(n, &env, &e);
	struct batch b = {.arena = &a};
	batch_push(&b)->line = STR("ab");
	pipeline_run(p, &b);
	check_buf(&out, "regex: {} ab 0 -> {} ab 2\nlabels: {} ab 2 -> {l=\"a\"} ab 2\noutput: {l=\"a\"} ab 2 -> "
			"{l=\"a\"} b 2\n");
	pipeline_free(p);
	arena_free(&a);
	buf_free(&out);
}

/* Every stage says what it is, under the name of its row. */
static void the_table_is_complete(void **state)
{
	(void)state;
	static const char *const names[] = {
#define S(name) #name,
#include "pipeline/stages.def"
#undef S
	};
	size_t n;
	const struct stage_info *info = pipeline_stages(&n);
	assert_int_equal(n, COUNT(names));
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(info[i].name, names[i]);
		assert_true(strlen(info[i].doc) > 10);
		assert_true(i == 0 || strcmp(names[i - 1], names[i]) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_stages_change_nothing), cmocka_unit_test(refuses),
		cmocka_unit_test(flush_runs_the_rest),      cmocka_unit_test(the_earliest_deadline_counts),
		cmocka_unit_test(shows_what_stages_do),     cmocka_unit_test(the_table_is_complete),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
