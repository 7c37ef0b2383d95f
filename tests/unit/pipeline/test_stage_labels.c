/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void sets_what_is_there(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: '(?P<job>\\w+) ?(?P<x>.*)'}}, {labels: {job: , copy: job, nope: , x: }}]",
		     LINES("newjob rest", "j", "\xff"),
		     "{copy=\"newjob\", job=\"newjob\", x=\"rest\"} newjob rest\n"
		     "{copy=\"j\", job=\"j\", x=\"\"} j\n{copy=\"t\", job=\"t\"} \xff\n");
}

static void what_is_not_utf8_is_left_out(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: '^(?P<job>.*)$'}}, {labels: {job: }}]", LINES("\xff\xfe"),
		     "{job=\"t\"} \xff\xfe\n");
}

/* Whoever sends them looks streams up by the array's address. */
static void equal_results_are_shared(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(&r, "[{regex: {expression: '(?P<l>\\w)'}}, {labels: {l: }}]", NULL));
	struct label job = {STR("job"), STR("t")};
	for (int round = 0; round < 2; round++) {
		struct batch b = {.arena = &r.batch};
		const char *lines[] = {"a", "b", "a", "b"};
		for (size_t i = 0; i < 4; i++) {
			struct entry *e = batch_push(&b);
			e->line = str_c(lines[i]);
			e->labels = (struct labels){&job, 1};
		}
		pipeline_run(r.p, &b);
		assert_int_equal(b.n, 4);
		assert_ptr_equal(b.v[0].labels.v, b.v[2].labels.v);
		assert_ptr_equal(b.v[1].labels.v, b.v[3].labels.v);
		assert_ptr_not_equal(b.v[0].labels.v, b.v[1].labels.v);
		check_str(labels_get(&b.v[3].labels, STR("l")), STR("b"));
		entry_label_set(&b, &b.v[0], STR("l"), STR("c")); /* a change of one is not one of the other */
		check_str(labels_get(&b.v[2].labels, STR("l")), STR("a"));
		arena_reset(&r.batch);
	}
	stage_run_close(&r);
}

static void refuses(void **state)
{
	(void)state;
	check_refused(
		"[{labels: {a-b: x}}]",
		"agent.yaml:1:17: stage labels: invalid label name \"a-b\"; it must match [a-zA-Z_][a-zA-Z0-9_]*");
	check_refused("[{labels: {a: 5}}]",
		      "agent.yaml:1:15: stage labels: labels: expected a string, found \"5\"; write it in quotes");
	check_refused("[{labels: [a]}]",
		      "agent.yaml:1:11: stage labels: labels: expected a mapping of strings such as {a: "
		      "b}, found a list");
	check_refused(
		"[{labels: }]",
		"agent.yaml:1:3: stage labels: it needs a value: a mapping of label names to the extracted values they "
		"get; nothing means the value of the same name.");
	check_refused("[{labels: {}}]", "");
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(ALLOY "[{regex: {expression: '(?P<a>\\w+)'}}, {labels: {values: {a: , b: a}}}]", LINES("x"),
		     "{a=\"x\", b=\"x\", job=\"t\"} x\n");
	check_stages(ALLOY "[{regex: {expression: '(?P<a>\\w+)'}}, {structured_metadata: {values: {a: , j: job}}}, "
			   "{labels: {values: {b: a, j: , c: nope}, source_type: structured_metadata}}]",
		     LINES("x"), "{b=\"x\", j=\"t\"} x {a=\"x\", j=\"t\"}\n");
	check_refused(ALLOY "[{labels: {}}]",
		      "agent.yaml:2:11: stage labels: values must be set: labels and the extracted values they get");
	check_refused(
		ALLOY "[{labels: {values: {a.b: x}}}]",
		"agent.yaml:2:11: stage labels: invalid label name \"a.b\"; it must match [a-zA-Z_][a-zA-Z0-9_]*");
	check_refused(ALLOY "[{labels: {values: {a: }, source_type: line}}]",
		      "agent.yaml:2:40: stage labels: source_type: expected extracted or structured_metadata, found "
		      "\"line\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_what_is_there),
		cmocka_unit_test(what_is_not_utf8_is_left_out),
		cmocka_unit_test(equal_results_are_shared),
		cmocka_unit_test(refuses),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
