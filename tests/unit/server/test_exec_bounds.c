/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queries made to hurt: they are answered, or refused by the limit that they hit, in bounded time and memory. Rows in
 * great numbers come from a few lines whose arrays are unrolled. */
#include "common/units.h"
#include "server/exec/exec.h"
#include "tests/unit/check.h"
#include "tests/unit/server/fake_reader.h"

#include <sys/resource.h>

#define SEC(t)  ((int64_t)(t)*UNITS_SEC)
#define LINES   10
#define NUMBERS 100000 /* in one line */
#define MEMORY  ((size_t)16 << 20)

static struct store store;
static struct exec_engine *engine;

static int setup(void **state)
{
	struct buf b = {0};
	(void)state;
	fake_init(&store);
	for (int i = 0; i < LINES; i++) {
		buf_clear(&b);
		for (int k = 0; k < NUMBERS; k++) buf_printf(&b, "%c%d", k ? ',' : '[', i * NUMBERS + k);
		buf_ch(&b, ']');
		fake_add(&store, "fake", "{app=\"many\"}", SEC(i + 1), buf_view(&b), "{}");
	}
	buf_clear(&b);
	for (int k = 0; k < 20000; k++) buf_ch(&b, 'a');
	for (int i = 0; i < LINES; i++) fake_add(&store, "fake", "{app=\"aaa\"}", SEC(i + 1), buf_view(&b), "{}");
	buf_free(&b);
	engine = exec_engine_new(&(struct exec_config){1, &clock_real, MEMORY});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	exec_engine_free(engine);
	fake_free(&store);
	return 0;
}

static struct exec_result *run(const char *text, bool instant, const struct limits *l, struct err *e)
{
	struct exec_source src = {STR("fake"), snapshot_take(&store, STR("fake"))};
	struct exec_query q = {
		.text = str_c(text),
		.instant = instant,
		.start = instant ? SEC(60) : 0,
		.end = SEC(60),
		.step = SEC(1),
		.limit = 1000,
		.extensions = true,
		.sources = &src,
		.n_sources = 1,
		.limits = l,
	};
	*e = ERR_INIT;
	struct exec_result *r = exec_run(engine, &q, e);
	snapshot_free(src.snap);
	return r;
}

/* Backtracking engines need exponential or high polynomial time for these. */
static void pathological_regexes(void **state)
{
	static const struct {
		const char *query;
		size_t lines;
	} rows[] = {
		{"{app=\"aaa\"} |~ `(a*)*b`", 0},
		{"{app=\"aaa\"} |~ `^(a|aa)+$`", LINES},
		{"{app=\"aaa\"} |~ `(a+a+)+b`", 0},
		{"{app=\"aaa\"} !~ `^(a?){50}a{50}b`", LINES},
		{"{app=\"aaa\"} |~ `(.*)(.*)(.*)(.*)(.*)[b-z]`", 0},
		{"{app=\"aaa\"} | regexp `(?P<n>(a+)+)b` | n!=``", 0},
		{"{app=\"aaa\"} | label_format x=`{{ regexReplaceAll \"(a*)*b\" __line__ \"\" }}` | x=~`(a|a)*c`", 0},
	};
	struct limits l = {0};
	struct err e;
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct exec_result *r = run(rows[i].query, false, &l, &e);
		if (!r) fail_msg("%s: %s", rows[i].query, e.msg);
		assert_int_equal(r->stats.entries, rows[i].lines);
		exec_result_free(r);
	}
}

static size_t peak_bytes(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (size_t)u.ru_maxrss << 10;
}

static void a_million_groups(void **state)
{
	static const char *const queries[] = {
		"sum by (n) (count_over_time({app=\"many\"} | unroll | pattern \"<n>\" [1m]))",
		"max_over_time({app=\"many\"} | unroll | pattern \"<n>\" | unwrap n [1m]) by (n)",
		"{app=\"many\"} | unroll | uniq",
		"{app=\"many\"} | unroll | pattern \"<n>\" | top 5 by (n)",
	};
	struct limits l = {.max_query_series = 10000000};
	struct err e;
	size_t before = peak_bytes();
	(void)state;
	/* It is the groups that do not fit. */
	struct exec_result *r = run("sum(count_over_time({app=\"many\"} | unroll [1m]))", true, &l, &e);
	assert_non_null(r);
	assert_float_equal(r->series[0].v[0].v, LINES * NUMBERS, 0);
	exec_result_free(r);
	for (size_t i = 0; i < COUNT(queries); i++) {
		if (run(queries[i], i < 2, &l, &e)) fail_msg("%s: answered", queries[i]);
		assert_int_equal(e.code, ERR_INVALID);
		if (!strstr(e.msg, "larch.memory_limit")) fail_msg("%s: %s", queries[i], e.msg);
	}
/* Sanitizers keep freed memory for a while and shadows beside it. */
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	assert_in_range(peak_bytes() - before, 0, 8 * MEMORY);
#else
	(void)before;
#endif
}

/* A million templates take many seconds; the deadline is seen between batches. */
static void the_deadline_holds(void **state)
{
	struct limits l = {.query_timeout = 100 * UNITS_MS};
	struct err e;
	(void)state;
	int64_t began = clock_mono(&clock_real);
	assert_null(run("sum by (x) (count_over_time({app=\"many\"} | unroll | label_format "
			"x=`{{ repeat 200 __line__ | upper | lower | replace \"1\" \"2\" | trunc 1 }}` [1m]))",
			true, &l, &e));
	if (e.code != ERR_TIMEOUT) fail_msg("%s", e.msg);
	assert_in_range(clock_mono(&clock_real) - began, 0, 10 * UNITS_SEC);
}

static void bytes_are_counted_before(void **state)
{
	struct limits l = {.max_query_bytes_read = 100 << 10};
	struct err e;
	(void)state;
	assert_null(run("{app=\"aaa\"}", false, &l, &e));
	assert_int_equal(e.code, ERR_INVALID);
	assert_non_null(strstr(e.msg, "the query would read too many bytes"));
	assert_int_equal(store.lines_read, 0);
	l.max_query_bytes_read = 10 << 20;
	struct exec_result *r = run("{app=\"aaa\"}", false, &l, &e);
	assert_non_null(r);
	exec_result_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_counted_before),
		cmocka_unit_test(pathological_regexes),
		cmocka_unit_test(a_million_groups),
		cmocka_unit_test(the_deadline_holds),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
