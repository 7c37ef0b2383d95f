/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define LEVEL "{regex: {expression: '(?P<level>INFO|ERROR)(?P<rest>.*)'}}, "

static void conditions(void **state)
{
	(void)state;
	check_stages("[{drop: {expression: '.*INFO.*'}}]", LINES("x INFO", "y"), "{job=\"t\"} y\n");
	check_stages("[{drop: {longer_than: 4}}]", LINES("1234", "12345"), "{job=\"t\"} 1234\n");
	check_stages("[{drop: {longer_than: 4b}}]", LINES("1234", "12345"), "{job=\"t\"} 1234\n");
	check_stages("[{drop: {older_than: 24h}}]", LINES("1970"), "");
	check_stages("[{drop: {source: nope}}]", LINES("a"), "{job=\"t\"} a\n");
	check_stages("[" LEVEL "{drop: {source: level}}]", LINES("INFO", "a"), "{job=\"t\"} a\n");
	check_stages("[" LEVEL "{drop: {source: [level, nope]}}]", LINES("INFO", "a"),
		     "{job=\"t\"} INFO\n{job=\"t\"} a\n");
	check_stages("[" LEVEL "{drop: {source: level, value: ERROR}}]", LINES("INFO", "ERROR", "a"),
		     "{job=\"t\"} INFO\n{job=\"t\"} a\n");
	check_stages("[" LEVEL "{drop: {source: [level, rest, nope], value: 'INFO;x'}}]", LINES("INFOx", "INFO"),
		     "{job=\"t\"} INFO\n");
	check_stages("[" LEVEL "{drop: {source: [level, rest], separator: '', expression: '^INFOx'}}]",
		     LINES("INFOx", "ERRORx"), "{job=\"t\"} ERRORx\n");
	check_stages("[{drop: {source: nope, expression: '^$'}}]", LINES("a"), ""); /* none there: "" */
	check_stages("[{drop: {source: a, value: ''}}]", LINES("a"), "");
}

static void all_must_hold(void **state)
{
	(void)state;
	check_stages("[{drop: {longer_than: 3, expression: a}}]", LINES("aaa", "bbbb", "aaaa"),
		     "{job=\"t\"} aaa\n{job=\"t\"} bbbb\n");
}

static void tells_why(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(&r, "[{drop: {expression: a}}, {drop: {expression: b, drop_counter_reason: noise}}]",
				   NULL));
	check_text(stage_run_lines(&r, LINES("a", "b", "c")), "{job=\"t\"} c\n");
	check_text(buf_cstr(&r.dropped), "drop_stage:1 noise:2 ");
	stage_run_close(&r);
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{drop: {}}]",
		      "agent.yaml:1:9: stage drop: at least one of source, expression, older_than or longer_than "
		      "must be set");
	check_refused("[{drop: {source: a, value: b, expression: c}}]",
		      "agent.yaml:1:28: stage drop: value and expression cannot both be set");
	check_refused(
		"[{drop: {expression: a, source: {b: c}}}]",
		"agent.yaml:1:33: stage drop: source: expected a list of strings such as [a, b], found a mapping");
	check_refused("[{drop: {longer_than: 1, value: b}}]",
		      "agent.yaml:1:33: stage drop: value needs a source: which extracted value to compare");
	check_refused("[{drop: {older_than: 1y}}]",
		      "agent.yaml:1:22: stage drop: older_than: time: unknown unit \"y\" in duration \"1y\"");
	check_refused("[{drop: {longer_than: zz}}]", "agent.yaml:1:23: stage drop: longer_than: not a size (a number "
						     "with B, KB, MB, GB, TB, PB or EB, powers of "
						     "1024, as in 256KB): \"zz\"");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY
		     "[{regex: {expression: '(?P<a>.)(?P<b>.)'}}, {drop: {source: 'a,b', value: x;y, separator: ''}}]",
		     LINES("xy", "yx"), "{job=\"t\"} yx\n");
	check_stages(ALLOY "[{drop: {longer_than: 3B, value: '', expression: ''}}]", LINES("abc", "abcd"),
		     "{job=\"t\"} abc\n");
	check_refused(ALLOY "[{drop: {expression: '', older_than: ''}}]",
		      "agent.yaml:2:9: stage drop: at least one of source, expression, older_than or longer_than must "
		      "be set");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions), cmocka_unit_test(all_must_hold), cmocka_unit_test(tells_why),
		cmocka_unit_test(refuses),    cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
