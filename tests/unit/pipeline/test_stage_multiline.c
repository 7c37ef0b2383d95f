/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define STAGE "[{multiline: {firstline: '^S'}}]"

static void open_stages(struct stage_run *r, const char *stages)
{
	if (!stage_run_open(r, stages, NULL)) fail_msg("%s", r->e.msg);
}

static void joins(void **state)
{
	(void)state;
	check_stages(STAGE, LINES("orphan", "S1", " a", " b", "S2", "S3", " c"),
		     "{job=\"t\"} orphan\n{job=\"t\"} S1\n a\n b @2000000000 from 2,3,4\n{job=\"t\"} S2\n"
		     "{job=\"t\"} S3\n c @6000000000 from 6,7\n");
}

static void a_block_goes_on_in_the_next_batch(void **state)
{
	(void)state;
	struct stage_run r;
	open_stages(&r, STAGE);
	check_text(stage_run_lines(&r, LINES("S1", "a")), "");
	check_text(stage_run_lines(&r, LINES("b")), "");
	check_text(stage_run_lines(&r, LINES("c", "S2")), "{job=\"t\"} S1\na\nb\nc @1000000000 from 1,2,3,4\n");
	check_text(stage_run_lines(&r, LINES("S3")), "{job=\"t\"} S2\n");
	check_text(stage_run_flush(&r), "{job=\"t\"} S3\n");
	check_text(stage_run_flush(&r), "");
	check_text(stage_run_lines(&r, LINES("d")), "{job=\"t\"} d\n"); /* all is forgotten */
	check_text(buf_cstr(&r.dropped), "");
	stage_run_close(&r);
}

static void idle_blocks_are_sent(void **state)
{
	(void)state;
	struct stage_run r;
	open_stages(&r, "[{multiline: {firstline: '^S', max_wait_time: 1s}}, {regex: {expression: '(?P<l>\\w)$'}}, "
			"{labels: {l: }}]");
	assert_true(pipeline_deadline(r.p) == INT64_MAX);
	stage_run_lines(&r, LINES("S1", "a"));
	assert_true(pipeline_deadline(r.p) == r.clock.mono_ns + UNITS_SEC);
	clock_fake_step(&r.clock, UNITS_SEC - 1);
	check_text(stage_run_tick(&r), "");
	clock_fake_step(&r.clock, 1);
	check_text(stage_run_tick(&r),
		   "{job=\"t\", l=\"a\"} S1\na @1000000000 from 1,2\n"); /* through the other stages */
	assert_true(pipeline_deadline(r.p) == INT64_MAX);
	check_text(stage_run_lines(&r, LINES("late")), ""); /* a block under the first line's time */
	clock_fake_step(&r.clock, UNITS_SEC);
	check_text(stage_run_tick(&r), "{job=\"t\", l=\"e\"} late @1000000000\n");
	stage_run_close(&r);
}

static void max_lines_ends_a_block(void **state)
{
	(void)state;
	check_stages("[{multiline: {firstline: '^S', max_lines: '2'}}]", LINES("S1", "a", "b", "c", "d", "S2"),
		     "{job=\"t\"} S1\na @1000000000 from 1,2\n{job=\"t\"} b\nc @1000000000 from 3,4\n"
		     "{job=\"t\"} d @1000000000\n{job=\"t\"} S2\n");
	check_stages("[{multiline: {firstline: '^S', max_lines: 1}}]", LINES("S1", "", "b"),
		     "{job=\"t\"} S1\n{job=\"t\"} b @1000000000\n");
}

static void empty_lines(void **state)
{
	(void)state;
	check_stages("[{multiline: {firstline: '^(S|$)'}}]", LINES("S", "", "", "S"), "{job=\"t\"} S\n{job=\"t\"} S\n");
	check_stages(STAGE, LINES("S", "", "b", ""), "{job=\"t\"} S\n\nb\n @1000000000 from 1,2,3,4\n");
}

static void one_block_per_label_set(void **state)
{
	(void)state;
	struct stage_run r;
	open_stages(&r, "[{regex: {expression: '(?P<l>\\w)$'}}, {labels: {l: }}, {multiline: {firstline: '^S'}}]");
	check_text(stage_run_lines(&r, LINES("S a", "S b", "x a", "y b", "z a")), "");
	check_text(stage_run_lines(&r, LINES("S b")), "{job=\"t\", l=\"b\"} S b\ny b @2000000000 from 2,4\n");
	check_text(stage_run_flush(&r),
		   "{job=\"t\", l=\"a\"} S a\nx a\nz a @1000000000 from 1,3,5\n{job=\"t\", l=\"b\"} S b\n");
	stage_run_close(&r);
}

static void presets_know_stack_traces(void **state)
{
	static const struct {
		const char *name, *lines[12];
	} rows[] = {
		{"java",
		 {"ERROR boom", "java.lang.IllegalStateException: x", "\tat a.B(C.java:1)",
		  "Caused by: java.io.IOException: y", "\t... 3 more", ""}},
		{"python",
		 {"ERROR failed", "Traceback (most recent call last):", "  File \"a.py\", line 1, in <module>",
		  "    f()", "ValueError: bad"}},
		{"go",
		 {"panic: runtime error", "[signal SIGSEGV: segmentation violation]", "",
		  "goroutine 1 [running]:", "main.main()", "\t/a/main.go:5 +0x1d", "exit status 2"}},
		{"node",
		 {"error in handler", "TypeError: x is not a function", "    at f (/a.js:1:2)",
		  "    at g (/a.js:3:4)"}},
		{"ruby", {"a.rb:1:in `f': bad (RuntimeError)", "\tfrom a.rb:2:in `<main>'"}},
		{"dotnet",
		 {"Unhandled", "System.InvalidOperationException: x", "   at A.B() in /a.cs:line 3",
		  " ---> System.Exception: y", "   --- End of inner exception stack trace ---"}},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char stages[64];
		struct stage_run r;
		snprintf(stages, sizeof stages, "[{multiline: {preset: %s}}]", rows[i].name);
		open_stages(&r, stages);
		check_text(stage_run_lines(&r, rows[i].lines), "");
		check_text(stage_run_lines(&r, LINES("    indented")), "");
		const char *out = stage_run_lines(&r, LINES("2026 INFO next"));
		for (size_t k = 0; rows[i].lines[k]; k++)
			if (!strstr(out, rows[i].lines[k])) fail_msg("%s: %s", rows[i].name, out);
		assert_non_null(strstr(out, " from 1,2"));
		stage_run_close(&r);
	}
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{multiline: {max_lines: 2}}]",
		      "agent.yaml:1:14: stage multiline: firstline must be set: an expression that matches the first "
		      "line of an entry, as '^\\d{4}-'; or a preset such as java");
	check_refused("[{multiline: {firstline: a, max_wait_time: xx}}]",
		      "agent.yaml:1:44: stage multiline: max_wait_time: time: invalid duration \"xx\"");
	check_refused("[{multiline: {firstline: a, preset: java}}]",
		      "agent.yaml:1:37: stage multiline: set firstline or preset, not both");
	check_refused("[{multiline: {firstline: '('}}]",
		      "agent.yaml:1:26: stage multiline: firstline: error parsing regexp: missing closing ): `(`");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins),
		cmocka_unit_test(a_block_goes_on_in_the_next_batch),
		cmocka_unit_test(idle_blocks_are_sent),
		cmocka_unit_test(max_lines_ends_a_block),
		cmocka_unit_test(empty_lines),
		cmocka_unit_test(one_block_per_label_set),
		cmocka_unit_test(presets_know_stack_traces),
		cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
