/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void replaces_groups(void **state)
{
	(void)state;
	check_stages("[{replace: {expression: 'user=(\\w+)', replace: X}}]", LINES("a user=ada user=bob b", "none"),
		     "{job=\"t\"} a user=X user=X b\n{job=\"t\"} none\n");
	check_stages("[{replace: {expression: 'user=\\w+', replace: X}}]", LINES("user=ada"), "{job=\"t\"} user=ada\n");
	check_stages("[{replace: {expression: '(a)(?:b|(c))', replace: '<{{ .Value }}{{ .job }}>'}}]", LINES("ab ac"),
		     "{job=\"t\"} <at>b <at><ct>\n");
	check_stages("[{replace: {expression: 'x(.*)'}}]", LINES("axb"), "{job=\"t\"} ax\n"); /* the default is "" */
	check_stages("[{replace: {expression: '(x(y)z)', replace: Q}}]", LINES("axyzb"),
		     "{job=\"t\"} aQb\n"); /* the outer one */
	check_stages("[{replace: {expression: '(b*)', replace: '-'}}]", LINES("abé"), "{job=\"t\"} -a-é-\n");
}

static void named_groups_are_extracted(void **state)
{
	(void)state;
	check_stages(
		"[{replace: {expression: '(?P<u>user=\\w+) took (?P<d>\\d+)ms', replace: '{{ .Value | ToUpper }}!'}}, "
		"{labels: {u: , d: }}]",
		LINES("user=ada took 12ms", "none"),
		"{d=\"12!\", job=\"t\", u=\"USER=ADA!\"} USER=ADA! took 12!ms\n{job=\"t\"} none\n");
}

static void works_on_a_value(void **state)
{
	(void)state;
	check_stages(
		"[{regex: {expression: 'user=(?P<user>\\w+)'}}, {replace: {source: user, expression: '(.*)', replace: "
		"'{{ .Value | Hash \"salt\" }}'}}, {labels: {user: }}]",
		LINES("user=ada", "none"),
		"{job=\"t\", user=\"cd5068f5a47d8bcecc609c659a2b296c1ffa4f8c188622773f50aa6f433c3196\"} user=ada\n"
		"{job=\"t\"} none\n");
}

static void a_bad_template_changes_nothing(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(&r, "[{replace: {expression: (a), replace: '{{'}}]", NULL));
	check_buf(&r.warned,
		  "agent.yaml:1:39: stage replace: replace: template: pipeline_template:1: unclosed action\n");
	check_text(stage_run_lines(&r, LINES("a")), "{job=\"t\"} a\n");
	stage_run_close(&r);
	check_stages("[{replace: {expression: (a), replace: '{{ ToUpper .nope }}'}}]", LINES("a"), "{job=\"t\"} a\n");
	check_refused("[{replace: {replace: x}}]", "agent.yaml:1:12: stage replace: expression must be set");
}

static void in_alloy(void **state)
{
	(void)state;
	check_refused(ALLOY "[{replace: {expression: '(a)', replace: '{{'}}]",
		      "agent.yaml:2:41: stage replace: template: pipeline_template:1: unclosed action");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replaces_groups),  cmocka_unit_test(named_groups_are_extracted),
		cmocka_unit_test(works_on_a_value), cmocka_unit_test(a_bad_template_changes_nothing),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
