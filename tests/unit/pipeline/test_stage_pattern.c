/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void captures_are_extracted(void **state)
{
	(void)state;
	check_stages("[{pattern: {pattern: '<ip> - <_> [<at>] <rest>'}}, {labels: {ip: , at: , rest: }}]",
		     LINES("10.0.0.1 - bob [noon] GET /", "no", ""),
		     "{at=\"noon\", ip=\"10.0.0.1\", job=\"t\", rest=\"GET /\"} 10.0.0.1 - bob [noon] GET /\n"
		     "{ip=\"no\", job=\"t\"} no\n{job=\"t\"} \n");
}

static void captures_become_labels(void **state)
{
	(void)state;
	check_stages("[{pattern: {pattern: '<job>=<v>', labels_from_groups: true}}, {output: {source: v}}]",
		     LINES("a=b", "c=\xff"), "{job=\"a\", v=\"b\"} b\n{job=\"c\"} \xff\n");
}

static void reads_a_source(void **state)
{
	(void)state;
	check_stages("[{pattern: {pattern: '<a>:<b>'}}, {pattern: {source: b, pattern: '<c>,<_>'}}, "
		     "{pattern: {source: none, pattern: '<c>'}}, {labels: {c: }}]",
		     LINES("1:2,3"), "{c=\"2\", job=\"t\"} 1:2,3\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{pattern: {}}]",
		      "agent.yaml:1:12: stage pattern: pattern must be set, as '<ip> - <_> [<time>] <_>'");
	check_refused("[{pattern: {pattern: a <_> b}}]",
		      "agent.yaml:1:22: stage pattern: pattern: at least one capture is required");
	check_refused(
		"[{pattern: {pattern: <a><b>}}]",
		"agent.yaml:1:22: stage pattern: pattern: found consecutive capture '<a><b>': invalid expression");
	check_refused("[{pattern: {pattern: <a>, source: ''}}]",
		      "agent.yaml:1:35: stage pattern: source must not be empty; leave it out to match the line");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captures_are_extracted),
		cmocka_unit_test(captures_become_labels),
		cmocka_unit_test(reads_a_source),
		cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
