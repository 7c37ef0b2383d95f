/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define AT(s) "2026-11-01T10:00:0" s

static void reads_lines(void **state)
{
	(void)state;
	check_stages("[{cri: {}}]",
		     LINES(AT("0.123456789Z stdout F full line"), AT("3Z stdout F "), "not cri", AT("3Z stdin F x"),
			   AT("3Z stdout F"), AT("4Z  stdout F x"), AT("5+01:00 stderr F:x\vy  z")),
		     "{job=\"t\", stream=\"stdout\"} full line @1793527200123456789\n"
		     "{job=\"t\", stream=\"stdout\"}  @1793527203000000000\n"
		     "{job=\"t\"} not cri\n{job=\"t\"} " AT("3Z stdin F x") "\n{job=\"t\"} " AT(
			     "3Z stdout F") "\n"
					    "{job=\"t\"} " AT("4Z  stdout F x") "\n{job=\"t\", stream=\"stderr\"}  z "
										"@1793523605000000000\n");
}

static void joins_pieces(void **state)
{
	(void)state;
	check_stages("[{cri: }]",
		     LINES(AT("1Z stderr P one "), AT("2Z stdout F other"), AT("3Z stderr P two "),
			   AT("4Z stderr F three"), AT("5Z stderr F alone")),
		     "{job=\"t\", stream=\"stdout\"} other @1793527202000000000\n"
		     "{job=\"t\", stream=\"stderr\"} one two three @1793527204000000000 from 1,3,4\n"
		     "{job=\"t\", stream=\"stderr\"} alone @1793527205000000000\n");
}

static void pieces_come_in_several_batches(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(&r, "[{cri: {}}]", NULL));
	check_text(stage_run_lines(&r, LINES(AT("1Z stdout P a"))), "");
	check_text(stage_run_lines(&r, LINES(AT("2Z stdout P b"))), "");
	check_text(stage_run_lines(&r, LINES(AT("3Z stdout F c"))),
		   "{job=\"t\", stream=\"stdout\"} abc @1793527203000000000 from 1,2,3\n");
	check_text(stage_run_lines(&r, LINES(AT("4Z stdout P d"), AT("5Z stdout P e"))), "");
	check_text(stage_run_tick(&r), "");
	clock_fake_step(&r.clock, 60 * UNITS_SEC); /* nobody finishes it */
	assert_true(pipeline_deadline(r.p) <= r.clock.mono_ns);
	check_text(stage_run_tick(&r), "{job=\"t\", stream=\"stdout\"} de @1793527205000000000 from 4,5\n");
	assert_true(pipeline_deadline(r.p) == INT64_MAX);
	check_text(stage_run_lines(&r, LINES(AT("6Z stderr P f"))), "");
	check_text(stage_run_flush(&r), "{job=\"t\", stream=\"stderr\"} f @1793527206000000000\n");
	stage_run_close(&r);
}

static void bounds(void **state)
{
	(void)state;
	check_stages("[{cri: {max_partial_lines: 1}}]",
		     LINES(AT("1Z stdout P a"), AT("2Z stderr P b"), AT("3Z stdout F c"), AT("4Z stderr F d")),
		     "{job=\"t\", stream=\"stdout\"} a @1793527201000000000\n"
		     "{job=\"t\", stream=\"stdout\"} c @1793527203000000000\n"
		     "{job=\"t\", stream=\"stderr\"} bd @1793527204000000000 from 2,4\n");
	check_stages("[{cri: {max_partial_line_size: 10, max_partial_line_size_truncate: true}}]",
		     LINES(AT("0Z stdout P 0123456"), AT("1Z stdout F 789abcdef"), AT("1Z stdout F 0123456789abcdef")),
		     "{job=\"t\", stream=\"stdout\"} 0123456789 @1793527201000000000 from 1,2\n"
		     "{job=\"t\", stream=\"stdout\"} 0123456789abcdef @1793527201000000000\n");
}

static void lines_may_be_joined_further(void **state)
{
	(void)state;
	check_stages("[{cri: {}}, {multiline: {firstline: '^S'}}]",
		     LINES(AT("1Z stdout P S"), AT("2Z stdout F 1"), AT("3Z stdout F at a"), AT("4Z stdout P at"),
			   AT("5Z stdout F  b")),
		     "{job=\"t\", stream=\"stdout\"} S1\nat a\nat b @1793527202000000000 from 1,2,3,4,5\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{cri: {max_partial_line_size: -1}}]",
		      "agent.yaml:1:32: stage cri: max_partial_line_size: \"-1\" is out "
		      "of range; it must be at least 0");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY "[{cri: {}}]",
		     LINES(AT("1Z stdout F x"), AT("2Z stderr no flag"), AT("3Z stdout Px "), AT("4Z stdout y"), "text",
			   AT("5Z stdin F x"), "? stdout F no time", AT("6Z stdout"), ""),
		     "{job=\"t\", stream=\"stdout\"} x @1793527201000000000\n"
		     "{job=\"t\", stream=\"stderr\"} no flag @1793527202000000000\n"
		     "{job=\"t\", stream=\"stdout\"} x y @1793527204000000000 from 3,4\n"
		     "{job=\"t\"} text\n{job=\"t\"} " AT(
			     "5Z stdin F x") "\n"
					     "{job=\"t\", stream=\"stdout\"} no time\n{job=\"t\"} " AT(
						     "6Z stdout") "\n{job=\"t\"} \n");
	check_refused(ALLOY "[{cri: {max_partial_lines: 0}}]",
		      "agent.yaml:2:28: stage cri: max_partial_lines must be greater than 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_lines), cmocka_unit_test(joins_pieces),
		cmocka_unit_test(bounds),      cmocka_unit_test(pieces_come_in_several_batches),
		cmocka_unit_test(refuses),     cmocka_unit_test(lines_may_be_joined_further),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
