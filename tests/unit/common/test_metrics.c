/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/metrics.h"

#include "tests/unit/check.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PLAIN, LEVEL, LABELLED, BOUNDED, SECONDS, SIZES };

static const double size_buckets[] = {1, 1000, 1e9, INFINITY};

static const struct metrics_row rows[] = {
	[PLAIN] = {"t_plain_total", "Plain \\ and\nmore.", METRICS_COUNTER},
	[LEVEL] = {"t_level", "A gauge.", METRICS_GAUGE},
	[LABELLED] = {"t_labelled_total", "Labelled.", METRICS_COUNTER, {"tenant", "path"}},
	[BOUNDED] = {"t_bounded", "Bounded.", METRICS_GAUGE, {"x"}, .max_series = 2},
	[SECONDS] = {"t_seconds", "Seconds.", METRICS_HISTOGRAM, .buckets = metrics_seconds_buckets},
	[SIZES] = {"t_bytes", "Sizes.", METRICS_HISTOGRAM, {"op"}, .buckets = size_buckets},
};

/* The exposition without the process's own figures. */
static void check_exposed(struct metrics *m, const char *want)
{
	struct buf b = {0};
	metrics_expose(m, &b);
	ssize_t process = str_find(buf_view(&b), STR("# HELP process_"));
	assert_true(process >= 0);
	b.n = (size_t)process;
	check_buf(&b, want);
	buf_free(&b);
}

static void nothing_happened_yet(void **state)
{
	(void)state;
	struct metrics *m = metrics_new(rows, LABELLED + 1);
	check_exposed(m, "# HELP t_plain_total Plain \\\\ and\\nmore.\n# TYPE t_plain_total counter\nt_plain_total 0\n"
			 "# HELP t_level A gauge.\n# TYPE t_level gauge\nt_level 0\n");
	metrics_free(m);
	metrics_free(NULL);
}

static void series_are_escaped_and_sorted(void **state)
{
	(void)state;
	struct metrics *m = metrics_new(&rows[LABELLED], 1);
	struct metrics_series *s = metrics_get(m, 0, (struct str[]){STR("b"), STR("q\"\\\n\xff\xc3\xa9")});
	metrics_add(s, 1);
	metrics_add(s, 0.5);
	metrics_add(metrics_get(m, 0, (struct str[]){STR("a"), STR_NULL}), 1e21);
	assert_ptr_equal(metrics_get(m, 0, (struct str[]){STR("b"), STR("q\"\\\n\xff\xc3\xa9")}), s);
	/* The split between values counts. */
	assert_ptr_not_equal(metrics_get(m, 0, (struct str[]){STR("ab"), STR("c")}),
			     metrics_get(m, 0, (struct str[]){STR("a"), STR("bc")}));
	check_exposed(m, "# HELP t_labelled_total Labelled.\n# TYPE t_labelled_total counter\n"
			 "t_labelled_total{tenant=\"a\",path=\"\"} 1e+21\n"
			 "t_labelled_total{tenant=\"a\",path=\"bc\"} 0\n"
			 "t_labelled_total{tenant=\"ab\",path=\"c\"} 0\n"
			 "t_labelled_total{tenant=\"b\",path=\"q\\\"\\\\\\n\xef\xbf\xbd\xc3\xa9\"} 1.5\n");
	metrics_remove(m, 0, (struct str[]){STR("b"), STR("absent")});
	metrics_remove(m, 0, (struct str[]){STR("b"), STR("q\"\\\n\xff\xc3\xa9")});
	metrics_remove(m, 0, (struct str[]){STR("a"), STR("bc")});
	metrics_remove(m, 0, (struct str[]){STR("ab"), STR("c")});
	check_exposed(m, "# HELP t_labelled_total Labelled.\n# TYPE t_labelled_total counter\n"
			 "t_labelled_total{tenant=\"a\",path=\"\"} 1e+21\n");
	metrics_free(m);
}

static void series_are_bounded(void **state)
{
	(void)state;
	struct metrics *m = metrics_new(&rows[BOUNDED], 1);
	static const char *const names[] = {"a", "b", "c", "d", "a"};
	for (size_t i = 0; i < COUNT(names); i++) metrics_add(metrics_get(m, 0, (struct str[]){str_c(names[i])}), 1);
	check_exposed(m, "# HELP t_bounded Bounded.\n# TYPE t_bounded gauge\n"
			 "t_bounded{x=\"a\"} 2\nt_bounded{x=\"b\"} 1\nt_bounded{x=\"other\"} 2\n");
	metrics_free(m);
}

static void histograms_are_cumulative(void **state)
{
	(void)state;
	struct metrics *m = metrics_new(&rows[SIZES], 1);
	struct metrics_series *s = metrics_get(m, 0, (struct str[]){STR("put")});
	static const double seen[] = {0, 1, 1.5, 1000, 1e6, 1e12}; /* a bound belongs to its bucket */
	for (size_t i = 0; i < COUNT(seen); i++) metrics_observe(s, seen[i]);
	assert_true(metrics_value(s) == 1e12 + 1e6 + 1002.5);
	check_exposed(m, "# HELP t_bytes Sizes.\n# TYPE t_bytes histogram\n"
			 "t_bytes_bucket{op=\"put\",le=\"1\"} 2\nt_bytes_bucket{op=\"put\",le=\"1000\"} 4\n"
			 "t_bytes_bucket{op=\"put\",le=\"1e+09\"} 5\nt_bytes_bucket{op=\"put\",le=\"+Inf\"} 6\n"
			 "t_bytes_sum{op=\"put\"} 1.0000010010025e+12\nt_bytes_count{op=\"put\"} 6\n");
	metrics_free(m);
	m = metrics_new(&rows[SECONDS], 1);
	s = metrics_get(m, 0, NULL);
	metrics_observe(s, INFINITY);
	struct buf b = {0};
	metrics_expose(m, &b);
	assert_true(str_find(buf_view(&b), STR("t_seconds_bucket{le=\"0.005\"} 0\n")) > 0);
	assert_true(str_find(buf_view(&b),
			     STR("t_seconds_bucket{le=\"+Inf\"} 1\nt_seconds_sum +Inf\nt_seconds_count 1\n")) > 0);
	buf_free(&b);
	metrics_free(m);
}

static void read_level(void *ud) { metrics_put(ud, LEVEL, metrics_value(metrics_get(ud, LEVEL, NULL)) + 1); }

static void hooks_run_first(void **state)
{
	(void)state;
	struct metrics *m = metrics_new(rows, LEVEL + 1);
	metrics_on_expose(m, read_level, m);
	metrics_on_expose(m, read_level, m);
	metrics_inc(m, PLAIN, 2);
	check_exposed(m, "# HELP t_plain_total Plain \\\\ and\\nmore.\n# TYPE t_plain_total counter\nt_plain_total 2\n"
			 "# HELP t_level A gauge.\n# TYPE t_level gauge\nt_level 2\n");
	metrics_free(m);
}

static void *hammer(void *ud)
{
	static const struct str names[] = {STR("a"), STR("b"), STR("c")};
	struct buf b = {0};
	for (int i = 0; i < 3000; i++) {
		metrics_inc(ud, PLAIN, 1);
		metrics_observe(metrics_get(ud, SIZES, &names[i % 3]), i);
		if (i % 1000 == 0) metrics_expose(ud, &b);
	}
	buf_free(&b);
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	(void)state;
	struct metrics *m = metrics_new(rows, COUNT(rows));
	pthread_t t[4];
	for (size_t i = 0; i < COUNT(t); i++) pthread_create(&t[i], NULL, hammer, m);
	for (size_t i = 0; i < COUNT(t); i++) pthread_join(t[i], NULL);
	struct buf b = {0};
	metrics_expose(m, &b);
	assert_true(str_find(buf_view(&b), STR("t_plain_total 12000\n")) > 0);
	assert_true(str_find(buf_view(&b), STR("t_bytes_count{op=\"a\"} 4000\n")) > 0);
	buf_free(&b);
	metrics_free(m);
}

static double figure(struct metrics *m, const char *name)
{
	struct buf b = {0}, line = {0};
	metrics_expose(m, &b);
	buf_printf(&line, "\n%s ", name);
	ssize_t at = str_find(buf_view(&b), buf_view(&line));
	assert_true(at >= 0);
	double v = strtod(buf_cstr(&b) + at + (ssize_t)line.n, NULL);
	buf_free(&b);
	buf_free(&line);
	return v;
}

static void this_process(void **state)
{
	(void)state;
	struct metrics *m = metrics_new(rows, 1);
	struct rlimit fds;
	getrlimit(RLIMIT_NOFILE, &fds);
	assert_true(figure(m, "process_max_fds") == (double)fds.rlim_cur);
	double open_now = figure(m, "process_open_fds");
	int fd = open("/dev/null", O_RDONLY);
	assert_true(figure(m, "process_open_fds") == open_now + 1);
	close(fd);
	double resident = figure(m, "process_resident_memory_bytes"), space = figure(m, "process_virtual_memory_bytes");
	assert_true(resident > 100e3 && resident < space);
	double started = figure(m, "process_start_time_seconds"), now = (double)time(NULL);
	assert_true(started > now - 3600 && started < now + 2); /* boot time is in whole seconds */
	double cpu = figure(m, "process_cpu_seconds_total");
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	double limit = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
	assert_true(cpu >= 0 && cpu <= limit + 0.1);
	metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_happened_yet), cmocka_unit_test(series_are_escaped_and_sorted),
		cmocka_unit_test(series_are_bounded),   cmocka_unit_test(histograms_are_cumulative),
		cmocka_unit_test(hooks_run_first),      cmocka_unit_test(threads_lose_nothing),
		cmocka_unit_test(this_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
