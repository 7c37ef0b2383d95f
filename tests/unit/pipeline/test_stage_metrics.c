/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/custom_metrics.h"
#include "tests/unit/pipeline/stage_run.h"

struct fixture {
	struct clock_fake clock;
	struct custom_metrics *m;
	struct buf out;
};

static int setup(void **state)
{
	struct fixture *f = *state = mem_zalloc(sizeof *f);
	clock_fake_init(&f->clock, 0, 1);
	f->m = custom_metrics_new(&f->clock.base);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	custom_metrics_free(f->m);
	buf_free(&f->out);
	free(f);
	return 0;
}

#define TOOK "{regex: {expression: 'took (?P<ms>\\S+)'}}, "

/* The exposition after these lines, without comments. */
static const char *exposed(struct fixture *f, struct stage_run *r, const char *stages, const char *const *lines)
{
	struct buf all = {0};
	if (!stage_run_open(r, stages, f->m)) fail_msg("%s", r->e.msg);
	stage_run_lines(r, lines);
	custom_metrics_expose(f->m, &all);
	buf_clear(&f->out);
	struct str rest = buf_view(&all), line;
	while (str_cut(&rest, '\n', &line))
		if (line.p[0] != '#') buf_printf(&f->out, "%.*s\n", STR_ARG(line));
	buf_free(&all);
	return buf_cstr(&f->out);
}

#define check_exposed(f, stages, lines, want)                                                                          \
	do {                                                                                                           \
		struct stage_run r_;                                                                                   \
		check_text(exposed(f, &r_, stages, lines), want);                                                      \
		stage_run_close(&r_);                                                                                  \
	} while (0)

static void counts(void **state)
{
	check_exposed(*state, "[" TOOK "{metrics: {took: {type: Counter, source: ms, config: {action: ADD}}}}]",
		      LINES("took 12", "took 99", "x", "took -5", "took 1m", "took y"),
		      "promtail_custom_took{job=\"t\"} 171\n");
	check_exposed(*state,
		      "[" TOOK "{metrics: {n: {type: counter, source: ms, config: {action: inc, value: '1'}}}}]",
		      LINES("took 1", "took 2", "took 1"), "promtail_custom_n{job=\"t\"} 2\n");
	check_exposed(*state, "[{metrics: {n: {type: counter, prefix: my_, config: {match_all: true, action: inc}}}}]",
		      LINES("a", "b"), "my_n{job=\"t\"} 2\n");
	check_exposed(
		*state,
		"[{metrics: {n: {type: counter, config: {match_all: true, count_entry_bytes: true, action: add}}}}]",
		LINES("abc", "de"), "promtail_custom_n{job=\"t\"} 5\n");
	check_exposed(*state, "[{metrics: {job: {type: counter, config: {action: inc}}}}]",
		      LINES("a"), /* source: the name */
		      "promtail_custom_job{job=\"t\"} 1\n");
}

static void gauges(void **state)
{
	check_exposed(
		*state,
		"[" TOOK
		"{metrics: {ms: {type: gauge, config: {action: set}}}}, {metrics: {ms: {type: gauge, config: {action: "
		"sub}}}}, {metrics: {ms: {type: gauge, config: {action: dec}}}}]",
		LINES("took 7", "took 10"), "promtail_custom_ms{job=\"t\"} -9\n"); /* 10 - 7 - 10 - 1 - 1 */
}

static void histograms(void **state)
{
	check_exposed(
		*state, "[" TOOK "{metrics: {h: {type: Histogram, source: ms, config: {buckets: [10, 50.5, 100]}}}}]",
		LINES("took 12", "took 99", "took 10", "took 1000"),
		"promtail_custom_h_bucket{job=\"t\",le=\"10\"} 1\npromtail_custom_h_bucket{job=\"t\",le=\"50.5\"} 2\n"
		"promtail_custom_h_bucket{job=\"t\",le=\"100\"} 3\npromtail_custom_h_bucket{job=\"t\",le=\"+Inf\"} 4\n"
		"promtail_custom_h_sum{job=\"t\"} 1121\npromtail_custom_h_count{job=\"t\"} 4\n");
}

static void series_are_the_labels_without_reserved_ones(void **state)
{
	check_exposed(*state,
		      "[{regex: {expression: '(?P<l>.)(?P<x>.*)'}}, {labels: {l: , x: }}, {tenant: {source: l}}, "
		      "{metrics: {n: {type: "
		      "counter, config: {match_all: true, action: inc}}}}]",
		      LINES("b", "a\\\"", "a\\\""),
		      "promtail_custom_n{job=\"t\",l=\"b\",x=\"\"} 1\n"
		      "promtail_custom_n{job=\"t\",l=\"a\",x=\"\\\\\\\"\"} 2\n");
}

static void idle_series_go_after_one_more_exposure(void **state)
{
	struct fixture *f = *state;
	struct stage_run r;
	const char *n =
		"[{metrics: {n: {type: counter, max_idle_duration: 10s, config: {match_all: true, action: inc}}}}]";
	check_text(exposed(f, &r, n, LINES("a")), "promtail_custom_n{job=\"t\"} 1\n");
	clock_fake_step(&f->clock, 10 * UNITS_SEC);
	buf_clear(&f->out);
	custom_metrics_expose(f->m, &f->out);
	check_buf(&f->out,
		  "# HELP promtail_custom_n \n# TYPE promtail_custom_n counter\npromtail_custom_n{job=\"t\"} 1\n");
	custom_metrics_expose(f->m, &f->out);
	check_buf(&f->out, "");
	stage_run_close(&r);
}

static void series_are_bounded(void **state)
{
	struct fixture *f = *state;
	const struct custom_spec spec = {.name = STR("n-1"), .help = STR("a\nb"), .kind = CUSTOM_COUNTER};
	struct err e = ERR_INIT;
	struct custom_family *n = custom_family_open(f->m, &spec, &e);
	for (int i = 0; i < CUSTOM_SERIES_MAX + 5; i++) {
		char text[16];
		struct label l = {STR("i"), str_of(text, (size_t)snprintf(text, sizeof text, "%d", i))};
		custom_family_begin(n);
		custom_add(n, &(struct labels){&l, 1}, 1);
	}
	custom_metrics_expose(f->m, &f->out);
	check_str(str_sub(buf_view(&f->out), 0, 41), STR("# HELP n_1 a\\nb\n# TYPE n_1 counter\nn_1{i="));
	assert_true(str_ends(buf_view(&f->out), STR("larch_agent_custom_updates_refused_total{metric=\"n_1\"} 5\n")));
	custom_family_close(n);
}

static void a_name_has_one_type(void **state)
{
	struct fixture *f = *state;
	struct stage_run a, b;
	assert_true(stage_run_open(&a, "[{metrics: {n: {type: gauge, config: {action: inc}}}}]", f->m));
	assert_false(stage_run_open(&b, "[{metrics: {n: {type: counter, config: {action: inc}}}}]", f->m));
	check_text(b.e.msg, "agent.yaml:1:13: stage metrics: metric n: metric promtail_custom_n is a gauge with other "
			    "buckets or of "
			    "another type elsewhere; give it another name");
	stage_run_close(&a);
	stage_run_close(&b);
	assert_true(stage_run_open(&b, "[{metrics: {n: {type: counter, config: {action: inc}}}}]",
				   f->m)); /* the other is gone */
	stage_run_close(&b);
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{metrics: {m: {type: Counter, config: {action: set}}}}]",
		      "agent.yaml:1:49: stage metrics: metric m: action of a counter must be inc or add, not \"set\"");
	check_refused(
		"[{metrics: {m: {type: timer}}}]",
		"agent.yaml:1:23: stage metrics: metric m: type must be counter, gauge or histogram, not \"timer\"");
	check_refused("[{metrics: {m: {type: gauge}}}]", "agent.yaml:1:16: stage metrics: metric m: action of a gauge "
							 "must be inc, dec, add, sub or set, not \"\"");
	check_refused("[{metrics: {m: {type: counter, config: {action: inc, match_all: true, value: x}}}}]",
		      "agent.yaml:1:78: stage metrics: metric m: value and match_all cannot both be set");
	check_refused(
		"[{metrics: {m: {type: counter, config: {action: inc, count_entry_bytes: true}}}}]",
		"agent.yaml:1:73: stage metrics: metric m: count_entry_bytes needs match_all: true and action: add");
	check_refused("[{metrics: {m: {type: histogram, max_idle_duration: 500ms}}}]",
		      "agent.yaml:1:53: stage metrics: metric m: max_idle_duration must be at least 1s");
	check_refused("[{metrics: {m: {type: histogram, config: {buckets: [1, a]}}}}]",
		      "agent.yaml:1:56: stage metrics: metric m: buckets must be a list of numbers");
	check_refused("[{metrics: {m: {type: histogram}}}]", "");
	check_refused("[{metrics: }]",
		      "agent.yaml:1:12: stage metrics: the body must be a mapping of metric names to metrics, "
		      "not null");
}

static void in_alloy(void **state)
{
	check_exposed(
		*state,
		ALLOY "[" TOOK "{metrics: [{counter: {name: lines, match_all: true, action: inc}}, {gauge: {name: ms, "
		      "action: set}}, {histogram: {name: h, source: ms, buckets: [10, 20], prefix: my_}}, "
		      "{counter: {name: v, source: ms, value: 15, action: add, max_idle_duration: 1h}}]}]",
		LINES("took 12", "x", "took 15"),
		"loki_process_custom_v{job=\"t\"} 15\nmy_h_bucket{job=\"t\",le=\"10\"} 0\n"
		"my_h_bucket{job=\"t\",le=\"20\"} 2\nmy_h_bucket{job=\"t\",le=\"+Inf\"} 2\nmy_h_sum{job=\"t\"} 27\n"
		"my_h_count{job=\"t\"} 2\nloki_process_custom_ms{job=\"t\"} 15\n"
		"loki_process_custom_lines{job=\"t\"} 3\n");
	check_refused(ALLOY "[{metrics: {n: {}}}]",
		      "agent.yaml:2:12: stage metrics: the body must be a list of metrics, not a mapping");
	check_refused(ALLOY "[{metrics: [n]}]",
		      "agent.yaml:2:13: stage metrics: metric 1: a metric must be a mapping such as `counter: {…}`");
	check_refused(ALLOY "[{metrics: [{counter: {action: inc}}]}]",
		      "agent.yaml:2:23: stage metrics: metric 1: name must be set");
	check_refused(ALLOY "[{metrics: [{gauge: {name: lines, match_all: true}}]}]",
		      "agent.yaml:2:35: stage metrics: metric 1: unknown key \"match_all\" in gauge");
	check_refused(ALLOY "[{metrics: [{histogram: {name: lines}}]}]",
		      "agent.yaml:2:25: stage metrics: metric 1: buckets must be set: upper bounds, ascending");
	check_refused(
		ALLOY "[{metrics: [{meter: {name: lines}}]}]",
		"agent.yaml:2:13: stage metrics: metric 1: type must be counter, gauge or histogram, not \"meter\"");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(counts),
		TEST(gauges),
		TEST(histograms),
		TEST(series_are_the_labels_without_reserved_ones),
		TEST(idle_series_go_after_one_more_exposure),
		TEST(series_are_bounded),
		TEST(a_name_has_one_type),
		TEST(refuses),
		TEST(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
