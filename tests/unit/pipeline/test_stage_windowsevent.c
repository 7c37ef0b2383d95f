/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define MESSAGE "{regex: {expression: '(?s)^(?P<message>.*)$'}}, "
/* Everything but the message, which regex has put there, and the label. */
#define SHOW ", {structured_metadata_drop: {values: [message, job]}}, {output: {source: short}}]"
#define ALL  "{structured_metadata: {regex: '^[A-Z].*'}}, {template: {source: short, template: x}}"

static void reads_sections(void **state)
{
	(void)state;
	check_stages(
		ALLOY "[" MESSAGE "{windowsevent: {}}, " ALL SHOW,
		LINES("Someone\tlogged on.\r\n\r\nSubject:\r\n\tSecurity ID:\t\tS-1\r\n\tAccount Name:\t\tBob Q\r\n\r\n"
		      "Level:\t\tHigh\r\nPackage (NTLM):\t-\r\n\r\nThis is text."),
		"{job=\"t\"} x {Description=\"Someonelogged on.\", Subject_SecurityID=\"S-1\", "
		"Subject_AccountName=\"Bob Q\", Level=\"High\", Package(NTLM)=\"-\"}\n");
}

static void values_go_on_in_lines_without_a_key(void **state)
{
	(void)state;
	check_stages(
		ALLOY "[" MESSAGE "{windowsevent: {}}, " ALL SHOW,
		LINES("D\r\n\r\nPrivileges:\t\tSeA\r\n\t\t\tSeB\r\n\t\tSeC\r\nNext: 1\r\n\r\nTitle:\r\nno key\r\nB: 2",
		      "only this", ""),
		"{job=\"t\"} x {Description=\"D\", Privileges=\"SeA,SeB,SeC\", Next=\"1\", Title_B=\"2\"}\n"
		"{job=\"t\"} x {Description=\"only this\"}\n{job=\"t\"} x {Description=\"\"}\n");
}

static void names(void **state)
{
	(void)state;
	/* an empty value that is not the first line is none; a taken name gets a suffix */
	check_stages(
		ALLOY "[" MESSAGE "{windowsevent: {}}, " ALL SHOW,
		LINES("D\r\n\r\nA: 1\r\nA: 2\r\nEmpty:\r\nDescription: other"),
		"{job=\"t\"} x {Description=\"D\", A=\"1\", A_extracted=\"2\", Description_extracted=\"other\"}\n");
	check_stages(ALLOY "[" MESSAGE "{windowsevent: {overwrite_existing: true}}, " ALL SHOW,
		     LINES("D\r\n\r\nA: 1\r\nA: 2\r\nDescription: other"),
		     "{job=\"t\"} x {Description=\"other\", A=\"2\"}\n");
	check_stages(ALLOY "[" MESSAGE "{windowsevent: {}}, {labels: {values: {a: _, b: __extracted}}}]",
		     LINES("D\r\n\r\n: 1\r\n\xff: 2"), "{a=\"1\", b=\"2\", job=\"t\"} D\r\n\r\n: 1\r\n\xff: 2\n");
	check_stages(ALLOY "[" MESSAGE "{windowsevent: {drop_invalid_labels: true}}, {labels: {values: {a: _, b: B}}}]",
		     LINES("D\r\n\r\n: 1\r\nB: 2\r\nC: \xff"),
		     "{b=\"2\", job=\"t\"} D\r\n\r\n: 1\r\nB: 2\r\nC: \xff\n");
}

static void source(void **state)
{
	(void)state;
	check_stages(
		"[{regex: {expression: '(?s)(?P<ev>.*)'}}, {windowsevent: {source: ev}}, {labels: {d: Description}}]",
		LINES("D"), "{d=\"D\", job=\"t\"} D\n");
	check_stages("[{windowsevent: {}}, {labels: {d: Description}}]", LINES("D"), "{job=\"t\"} D\n");
	check_refused("[{windowsevent: {source: ''}}]",
		      "agent.yaml:1:26: stage windowsevent: source must not be empty; the default is message");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_sections),
		cmocka_unit_test(values_go_on_in_lines_without_a_key),
		cmocka_unit_test(names),
		cmocka_unit_test(source),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
