/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void packs(void **state)
{
	(void)state;
	check_stages("[{static_labels: {a: '1'}}, {pack: {labels: [a, nope], ingest_timestamp: false}}]",
		     LINES("line \"quoted\" <x>"),
		     "{a=\"1\", job=\"t\"} {\"_entry\":\"line \\\"quoted\\\" \\u003cx\\u003e\"}\n");
	check_stages("[{regex: {expression: '(?P<w>\\w+)'}}, {labels: {w: }}, {pack: {labels: [w, job, w], "
		     "ingest_timestamp: "
		     "false}}]",
		     LINES("hello world"), "{} {\"job\":\"t\",\"w\":\"hello\",\"_entry\":\"hello world\"}\n");
	check_stages("[{pack: {ingest_timestamp: 'false'}}]", LINES(""), "{job=\"t\"} {\"_entry\":\"\"}\n");
}

static void stamps_with_the_time_of_reading(void **state)
{
	(void)state;
	check_stages("[{pack: {}}]", LINES("a", "b"),
		     "{job=\"t\"} {\"_entry\":\"a\"} @1793534400000000000\n{job=\"t\"} {\"_entry\":\"b\"} "
		     "@1793534400000000001\n");
	struct stage_run r;
	assert_true(stage_run_open(&r, "[{pack: {}}]", NULL));
	struct batch b = {.arena = &r.batch};
	struct entry *e = batch_push(&b);
	e->ts = 5;
	e->read_ts = 7; /* known to the source: the same when the line is read again */
	pipeline_run(r.p, &b);
	assert_int_equal(b.v[0].ts, 7);
	stage_run_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(packs), cmocka_unit_test(stamps_with_the_time_of_reading)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
