/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/tail.h"

#include "common/budget.h"
#include "common/units.h"
#include "tests/unit/check.h"
#include "tests/unit/server/fake_reader.h"

#define LINE "level=error status=500 took=1.5s"

struct fixture {
	struct store store;
	struct exec_engine *engine;
	struct limits limits;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof *f);
	fake_init(&f->store);
	f->engine = exec_engine_new(&(struct exec_config){0, &clock_real, 4 * EXEC_TAIL_BYTES});
	f->limits = (struct limits){.max_entries_limit_per_query = 5000, .max_streams_matchers_per_query = 5};
	fake_add(&f->store, "t", "{app=\"web\"}", 1, STR("before"), "{}");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(budget_used(exec_budget(f->engine)), 0);
	exec_engine_free(f->engine);
	fake_free(&f->store);
	free(f);
	return 0;
}

static void no_wake(void *ud) { (void)ud; }

static struct exec_tail *try_open(struct fixture *f, const char *query, bool categorize, struct err *e)
{
	struct exec_query q = {.text = str_c(query),
			       .end = UNITS_HOUR,
			       .step = 1,
			       .limit = 100,
			       .categorize = categorize,
			       .extensions = true,
			       .limits = &f->limits};
	struct exec_source source = {STR("t"), NULL};
	struct exec_tail *t = exec_tail_open(f->engine, &f->store, &q, &source, no_wake, NULL, e);
	if (t) snapshot_free(source.snap);
	return t;
}

static void print_row(void *ud, struct kept *k)
{
	struct buf *b = ud;
	labels_print(b, &k->labels);
	if (k->meta.n) labels_print(b, &k->meta);
	if (k->parsed.n) labels_print(b, &k->parsed);
	buf_printf(b, " %lld %.*s\n", (long long)k->ts, STR_ARG(k->line));
	free(k);
}

/* What the query makes of these entries, which come after it began. */
static void follow(struct fixture *f, const char *query, bool categorize, const char *want)
{
	struct err e = ERR_INIT;
	struct buf got = {0};
	struct exec_tail *t = try_open(f, query, categorize, &e);
	if (!t) fail_msg("%s: %s", query, e.msg);
	assert_false(exec_tail_next(t, print_row, &got, &e));
	fake_add(&f->store, "t", "{app=\"web\"}", 20, STR(LINE), "{trace=\"1\"}");
	fake_add(&f->store, "other", "{app=\"web\"}", 20, STR(LINE), "{}");
	fake_add(&f->store, "t", "{app=\"web\"}", 10, STR("level=info status=200"), "{}");
	while (exec_tail_next(t, print_row, &got, &e)) {}
	fake_add(&f->store, "t", "{app=\"shop\"}", 30, STR("[1,2]"), "{}");
	while (exec_tail_next(t, print_row, &got, &e)) {}
	assert_int_equal(e.code, ERR_NONE);
	assert_int_equal(exec_tail_lost(t), 0);
	if (!str_eqc(buf_view(&got), want)) fail_msg("%s\ngot:\n%s\nwanted:\n%s", query, buf_cstr(&got), want);
	exec_tail_close(t);
	buf_free(&got);
}

static void every_stage_runs(void **state)
{
	follow(*state, "{app=~\".+\"}", false,
	       "{app=\"web\", trace=\"1\"} 20 " LINE
	       "\n{app=\"web\"} 10 level=info status=200\n{app=\"shop\"} 30 [1,2]\n");
	follow(*state, "{app=\"web\"} |= \"500\"", false, "{app=\"web\", trace=\"1\"} 20 " LINE "\n");
	follow(*state, "{app=\"web\"} | logfmt | status >= 500 | drop trace, took | line_format \"{{.level}}!\"", false,
	       "{app=\"web\", level=\"error\", status=\"500\"} 20 error!\n");
	follow(*state, "{app=\"web\"} | logfmt level", true,
	       "{app=\"web\"}{trace=\"1\"}{level=\"error\"} 20 " LINE
	       "\n{app=\"web\"}{level=\"info\"} 10 level=info status=200\n");
	follow(*state, "{app=\"shop\"} | json | drop __error_details__, app", false, "{__error__=\"JSONParserErr\"} 30 [1,2]\n");
	follow(*state, "{app=\"shop\"} | unroll", false, "{app=\"shop\"} 30 1\n{app=\"shop\"} 30 2\n");
}

static void what_has_no_end_is_refused(void **state)
{
	static const struct {
		const char *query, *error;
	} rows[] = {
		{"", "parse error : syntax error: unexpected $end"},
		{"{app=\"web\"", "parse error at line 1, col 11: syntax error: unexpected $end, expecting }"},
		{"rate({app=\"web\"}[1m])",
		 "unsupported query expression: want (LogSelectorExpr), got (*syntax.RangeAggregationExpr)"},
		{"sum(rate({app=\"web\"}[1m]))",
		 "unsupported query expression: want (LogSelectorExpr), got (*syntax.VectorAggregationExpr)"},
		{"1 + vector(1)", "unsupported query expression: want (LogSelectorExpr), got (*syntax.BinOpExpr)"},
		{"{app=\"web\"} | sort", "sort, uniq and top look at all lines"},
		{"{app=\"web\"} | uniq by (app)", "sort, uniq and top look at all lines"},
		{"{app=\"web\",a=\"1\",b=\"1\",c=\"1\",d=\"1\",e=\"1\"}", "max streams matchers per query exceeded"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = ERR_INIT;
		assert_null(try_open(*state, rows[i].query, false, &e));
		assert_int_equal(e.code, ERR_INVALID);
		if (strncmp(e.msg, rows[i].error, strlen(rows[i].error)) != 0) fail_msg("%s: %s", rows[i].query, e.msg);
	}
}

static void tails_share_the_memory_for_queries(void **state)
{
	struct exec_tail *t[4];
	struct err e = ERR_INIT;
	for (size_t i = 0; i < COUNT(t); i++) assert_non_null(t[i] = try_open(*state, "{app=\"web\"}", false, &e));
	assert_null(try_open(*state, "{app=\"web\"}", false, &e));
	assert_non_null(strstr(e.msg, "larch.memory_limit"));
	for (size_t i = 0; i < COUNT(t); i++) exec_tail_close(t[i]);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_stage_runs),
		T(what_has_no_end_is_refused),
		T(tails_share_the_memory_for_queries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
