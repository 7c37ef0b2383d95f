/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define EXTRACT "{regex: {expression: '(?P<level>INFO|ERROR).*user=(?P<user>\\w+) took (?P<ms>\\d+)'}}, "

/* One template over a line that matches and one that does not. */
static void check(const char *template, const char *first, const char *second)
{
	char stages[512], want[512];
	snprintf(stages, sizeof stages,
		 "[" EXTRACT "{template: {source: out, template: '%s'}}, {output: {source: out}}]", template);
	snprintf(want, sizeof want, "{job=\"t\"} %s\n{job=\"t\"} %s\n", first, second);
	check_stages(stages, LINES("INFO user=ada took 12ms", "garbage"), want);
}

static void makes_values(void **state)
{
	(void)state;
	check("{{ .level }}/{{ .user }}/{{ .nope }}", "INFO/ada/<no value>", "<no value>/<no value>/<no value>");
	check("{{ .Entry }}", "INFO user=ada took 12ms", "garbage");
	check("{{ .Value }}", "<no value>", "<no value>"); /* out is new */
	check("{{ if eq .level \"ERROR\" }}bad{{ else }}ok{{ end }}", "ok", "ok");
	check("{{ .job }}", "t", "t");
	check("{{ Replace .user \"a\" \"A\" -1 }}", "AdA",
	      "garbage"); /* a missing value is no string: nothing changes */
	check("", "INFO user=ada took 12ms", "garbage");
	check("{{ range $k, $v := . }}{{ $k }}={{ $v }};{{ end }}",
	      "Entry=INFO user=ada took 12ms;job=t;level=INFO;ms=12;user=ada;", "Entry=garbage;job=t;");
}

static void changes_values(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: '(?P<level>INFO|ERROR)'}}, {template: {source: level, template: '{{ "
		     "ToLower .Value }}'}}, "
		     "{labels: {level: }}]",
		     LINES("ERROR", "garbage"), "{job=\"t\", level=\"error\"} ERROR\n{job=\"t\"} garbage\n");
	check_stages("[{template: {source: job, template: '{{ if false }}x{{ end }}'}}, {template: {source: x, "
		     "template: '{{ .job "
		     "}}'}}, {output: {source: x}}]",
		     LINES("a"), "{job=\"t\"} <no value>\n"); /* an empty result unsets */
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{template: {source: a, template: '{{'}}]",
		      "agent.yaml:1:35: stage template: template: pipeline_template:1: unclosed action");
	check_refused("[{template: {template: x}}]",
		      "agent.yaml:1:13: stage template: source must be set: name the extracted "
		      "value that the result goes to");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(makes_values), cmocka_unit_test(changes_values),
					   cmocka_unit_test(refuses)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
