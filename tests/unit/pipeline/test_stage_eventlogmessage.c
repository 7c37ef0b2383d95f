/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define MESSAGE "{regex: {expression: '(?s)^(?P<message>.*)$'}}, "

static void extracts_pairs(void **state)
{
	(void)state;
	check_stages(
		"[" MESSAGE
		"{eventlogmessage: {}}, {labels: {Key: , a_b: , _x: , job: , job_extracted: , message_extracted: }}]",
		LINES("Key: v: w \r\na b:1\r\n1x:\r\nnothing\r\njob:new\r\nmessage:m"),
		"{Key=\"v: w\", _x=\"\", a_b=\"1\", job=\"t\", job_extracted=\"new\", message_extracted=\"m\"} "
		"Key: v: w \r\na b:1\r\n1x:\r\nnothing\r\njob:new\r\nmessage:m\n");
}

static void options(void **state)
{
	(void)state;
	check_stages(
		"[" MESSAGE
		"{eventlogmessage: {drop_invalid_labels: true, overwrite_existing: true}}, {labels: {a_b: , job: }}]",
		LINES("a b:1\r\njob:new"), "{job=\"new\"} a b:1\r\njob:new\n");
	check_stages("[{eventlogmessage: {source: job}}]", LINES("a: b"), "{job=\"t\"} a: b\n");
	check_refused("[{eventlogmessage: {drop_invalid_labels: 'true'}}]",
		      "agent.yaml:1:42: stage eventlogmessage: drop_invalid_labels: expected true or false, found "
		      "\"true\"; write it "
		      "without quotes");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY "[" MESSAGE "{eventlogmessage: {}}, {labels: {values: {Key: }}}]", LINES("Key: v"),
		     "{Key=\"v\", job=\"t\"} Key: v\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extracts_pairs),
		cmocka_unit_test(options),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
