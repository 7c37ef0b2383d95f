/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define EXTRACT "{regex: {expression: 'trace=(?P<trace>\\w*)'}}, "

static void attaches_extracted_values(void **state)
{
	(void)state;
	check_stages("[" EXTRACT "{structured_metadata: {trace: , id: trace, none: }}]", LINES("trace=t1", "x"),
		     "{job=\"t\"} trace=t1 {id=\"t1\", trace=\"t1\"}\n{job=\"t\"} x\n");
}

static void a_label_moves(void **state)
{
	(void)state;
	check_stages("[{structured_metadata: {j: job}}]", LINES("x"), "{} x {j=\"t\"}\n");
	check_stages("[{static_labels: {a: b}}, {structured_metadata: {a: }}]", LINES("x"),
		     "{job=\"t\"} x {a=\"b\"}\n");
	/* the label says something else than the extracted value: it stays */
	check_stages("[{static_labels: {job: other}}, {structured_metadata: {job: }}]", LINES("x"),
		     "{job=\"other\"} x {job=\"t\"}\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{structured_metadata: {'': x}}]",
		      "agent.yaml:1:29: stage structured_metadata: invalid label name "
		      "\"\"; it must match [a-zA-Z_][a-zA-Z0-9_]*");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY "[" EXTRACT "{structured_metadata: {values: {trace.id: trace, j: job}}}]", LINES("trace=t1"),
		     "{} trace=t1 {j=\"t\", trace.id=\"t1\"}\n");
	/* labels win, and go, whatever was extracted; names are attached once */
	check_stages(ALLOY "[{regex: {expression: '(?P<job>.*)'}}, {structured_metadata: {values: {job: }}}, "
			   "{structured_metadata: {values: {job: }}}]",
		     LINES("x"), "{} x {job=\"x\"}\n");
	check_stages(ALLOY "[{static_labels: {values: {ab: 1, b: 2}}}, {regex: {expression: '(?P<ac>.)'}}, "
			   "{structured_metadata: {values: {z: ab}, regex: ^a}}]",
		     LINES("x"), "{b=\"2\", job=\"t\"} x {ac=\"x\", z=\"1\"}\n");
	check_stages(ALLOY "[{static_labels: {values: {ab: 1, b: 2}}}, {structured_metadata: {regex: 'b|job'}}]",
		     LINES("x"), "{} x {job=\"t\", ab=\"1\", b=\"2\"}\n");
	check_refused(
		ALLOY "[{structured_metadata: {regex: '['}}]",
		"agent.yaml:2:32: stage structured_metadata: regex: error parsing regexp: missing closing ]: `[`");
	check_refused(ALLOY "[{non_indexed_labels: {values: {a: }}}]",
		      "agent.yaml:2:3: unknown pipeline stage \"non_indexed_labels\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attaches_extracted_values),
		cmocka_unit_test(a_label_moves),
		cmocka_unit_test(refuses),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
