/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void elements_are_entries(void **state)
{
	(void)state;
	check_stages("[{split_json: {}}]", LINES(" [1, \"a\\n\", {\"k\": [2]} ,null] ", "x", "[7]"),
		     "{job=\"t\"} 1\n{job=\"t\"} \"a\\n\"\n"
		     "{job=\"t\"} {\"k\": [2]}\n{job=\"t\"} null\n{job=\"t\"} x\n{job=\"t\"} 7\n");
}

static void what_is_no_array_passes(void **state)
{
	(void)state;
	check_stages(
		"[{split_json: {}}]", LINES("[1", "[1] 2", "[1,]", "{\"a\": [1]}", "[tru]", ""),
		"{job=\"t\"} [1\n{job=\"t\"} [1] 2\n{job=\"t\"} [1,]\n{job=\"t\"} {\"a\": [1]}\n{job=\"t\"} [tru]\n"
		"{job=\"t\"} \n");
}

static void reads_a_source(void **state)
{
	(void)state;
	check_stages("[{json: {expressions: {records: , id: }}}, {split_json: {source: records}}, "
		     "{json: {expressions: {num: }}}, {labels: {id: , num: }}]",
		     LINES("{\"id\": \"i\", \"records\": [{\"num\": 1}, {\"num\": 2}]}", "{\"id\": \"j\"}"),
		     "{id=\"i\", job=\"t\", num=\"1\"} {\"num\":1}\n{id=\"i\", job=\"t\", num=\"2\"} "
		     "{\"num\":2}\n"
		     "{id=\"j\", job=\"t\"} {\"id\": \"j\"}\n");
}

static void an_empty_array_is_dropped(void **state)
{
	(void)state;
	struct stage_run r;
	if (!stage_run_open(&r, "[{split_json: {}}]", NULL)) fail_msg("%s", r.e.msg);
	check_text(stage_run_lines(&r, LINES("[ ]", "x")), "{job=\"t\"} x\n");
	check_text(buf_cstr(&r.dropped), "split_json_empty:1 ");
	stage_run_close(&r);
}

/* Each element answers for the line: it is dealt with when the last of them is. */
static void elements_share_their_line(void **state)
{
	(void)state;
	struct stage_run r;
	if (!stage_run_open(&r, "[{split_json: {}}, {drop: {expression: a}}, {split_json: {}}]", NULL))
		fail_msg("%s", r.e.msg);
	check_text(stage_run_lines(&r, LINES("[1, \"a\", [2, 3]]", "[4]")),
		   "{job=\"t\"} 1\n{job=\"t\"} 2\n{job=\"t\"} 3\n{job=\"t\"} 4\n");
	check_text(buf_cstr(&r.shared), "+2:1 +1:1 ");
	check_text(buf_cstr(&r.dropped), "drop_stage:1 ");
	stage_run_close(&r);
	/* A block of several elements answers once for each. */
	check_stages("[{split_json: {}}, {multiline: {firstline: a}}]", LINES("[\"a\", 1]", "[\"a\"]"),
		     "{job=\"t\"} \"a\"\n1 @1000000000 from 1,1\n{job=\"t\"} \"a\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_are_entries),
		cmocka_unit_test(what_is_no_array_passes),
		cmocka_unit_test(reads_a_source),
		cmocka_unit_test(an_empty_array_is_dropped),
		cmocka_unit_test(elements_share_their_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
