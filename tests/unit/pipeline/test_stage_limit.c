/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/custom_metrics.h"
#include "tests/unit/pipeline/stage_run.h"

static void drops_beyond_the_rate(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(&r, "[{limit: {rate: 2, burst: '2', drop: true}}]", NULL));
	check_text(stage_run_lines(&r, LINES("a", "b", "c")), "{job=\"t\"} a\n{job=\"t\"} b\n");
	check_text(buf_cstr(&r.dropped), "ratelimit_drop_stage:3 ");
	clock_fake_step(&r.clock, UNITS_SEC / 2);
	check_text(stage_run_lines(&r, LINES("d", "e")), "{job=\"t\"} d\n");
	clock_fake_step(&r.clock, 100 * UNITS_SEC); /* no more than the burst is saved */
	check_text(stage_run_lines(&r, LINES("f", "g", "h")), "{job=\"t\"} f\n{job=\"t\"} g\n");
	stage_run_close(&r);
}

static void waits(void **state)
{
	(void)state;
	struct stage_run r;
	assert_true(stage_run_open(&r, "[{limit: {rate: 10, burst: 1}}, {static_labels: {x: z}}]", NULL));
	check_text(stage_run_lines(&r, LINES("a", "b", "c")), "{job=\"t\", x=\"z\"} a\n");
	assert_false(pipeline_full(r.p));
	int64_t at = pipeline_deadline(r.p);
	assert_in_range(at - r.clock.mono_ns, UNITS_SEC / 10, UNITS_SEC / 10 + 2);
	check_text(stage_run_tick(&r), "");
	clock_fake_step(&r.clock, at - r.clock.mono_ns);
	check_text(stage_run_tick(&r), "{job=\"t\", x=\"z\"} b\n");
	check_text(stage_run_lines(&r, LINES("d")), ""); /* behind c, though a token might be there */
	check_text(stage_run_flush(&r), "{job=\"t\", x=\"z\"} c\n{job=\"t\", x=\"z\"} d\n");
	assert_true(pipeline_deadline(r.p) == INT64_MAX);
	check_text(buf_cstr(&r.dropped), "");
	const char *many[1200] = {0};
	for (size_t i = 0; i < 1199; i++) many[i] = "x";
	stage_run_lines(&r, many);
	assert_true(pipeline_full(r.p));
	stage_run_close(&r); /* what waits is freed */
}

static void limits_each_value_of_a_label(void **state)
{
	(void)state;
	struct stage_run r;
	struct clock_fake clock;
	struct buf out = {0};
	clock_fake_init(&clock, 0, 1);
	struct custom_metrics *m = custom_metrics_new(&clock.base);
	assert_true(stage_run_open(
		&r,
		"[{regex: {expression: '(?P<app>[ab])'}}, {labels: {app: }}, {limit: {rate: 1, burst: 1, drop: "
		"true, by_label_name: app}}]",
		m));
	check_text(stage_run_lines(&r, LINES("a1", "b1", "a2", "x1", "x2", "b2")),
		   "{app=\"a\", job=\"t\"} a1\n{app=\"b\", job=\"t\"} b1\n{job=\"t\"} x1\n{job=\"t\"} x2\n");
	custom_metrics_expose(m, &out);
	check_buf(&out, "# HELP logentry_dropped_lines_by_label_total Lines dropped by limit stages, by label.\n"
			"# TYPE logentry_dropped_lines_by_label_total counter\n"
			"logentry_dropped_lines_by_label_total{label_name=\"app\",label_value=\"a\"} 1\n"
			"logentry_dropped_lines_by_label_total{label_name=\"app\",label_value=\"b\"} 1\n");
	stage_run_close(&r);
	custom_metrics_free(m);
	buf_free(&out);
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{limit: {burst: 1}}]",
		      "agent.yaml:1:10: stage limit: rate must be set: lines per second, more than 0");
	check_refused("[{limit: {rate: 1, burst: 0}}]",
		      "agent.yaml:1:27: stage limit: burst must be set: lines at once, more than 0");
	check_refused("[{limit: {rate: 1, burst: 1, by_label_name: a}}]",
		      "agent.yaml:1:45: stage limit: by_label_name needs drop: true; lines of one label cannot wait");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(drops_beyond_the_rate), cmocka_unit_test(waits),
					   cmocka_unit_test(limits_each_value_of_a_label), cmocka_unit_test(refuses)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
