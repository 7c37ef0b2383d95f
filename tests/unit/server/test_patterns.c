/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/patterns.h"

#include "common/budget.h"
#include "common/units.h"
#include "tests/unit/check.h"
#include "tests/unit/server/fake_reader.h"

#define SEC(t) ((int64_t)(t)*UNITS_SEC)

struct fixture {
	struct store store;
	struct limits limits;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof *f);
	struct buf line = {0};
	fake_init(&f->store);
	f->limits = (struct limits){.max_streams_matchers_per_query = 5};
	for (int i = 0; i < 60; i++) {
		buf_clear(&line);
		buf_printf(&line, i % 3 ? "GET /item/%d took %dms" : "cache miss: %d of %d", i, i * 7);
		fake_add(&f->store, "fake", i % 2 ? "{app=\"a\"}" : "{app=\"b\"}", SEC(100 + i), buf_view(&line),
			 i % 3 ? "{detected_level=\"info\"}" : "{detected_level=\"warn\"}");
	}
	fake_add(&f->store, "fake", "{app=\"a\"}", SEC(90), STR("no level here"), "{}");
	buf_free(&line);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fake_free(&f->store);
	free(f);
	return 0;
}

/* The same with no, one and seven helpers. */
static void check(struct fixture *f, const char *query, int64_t from, int64_t to, const char *want)
{
	struct buf b = {0};
	for (unsigned threads = 0; threads < 8; threads += threads ? 6 : 1) {
		struct exec_engine *en = exec_engine_new(&(struct exec_config){threads, &clock_real, 0});
		struct exec_source src = {STR("fake"), snapshot_take(&f->store, STR("fake"))};
		struct exec_query q = {
			.text = str_c(query),
			.start = from,
			.end = to,
			.step = SEC(20),
			.limit = 100000,
			.sources = &src,
			.n_sources = 1,
			.limits = &f->limits,
		};
		struct miner m;
		struct err e = ERR_INIT;
		buf_clear(&b);
		if (exec_patterns(en, &q, &m, &e)) {
			for (size_t i = 0; i < m.n; i++) {
				buf_printf(&b, "%.*s|%.*s", STR_ARG(m.v[i]->level), STR_ARG(m.v[i]->text));
				for (size_t k = 0; k < m.v[i]->n; k++)
					buf_printf(&b, " %lld:%u",
						   (long long)(exec_patterns_base(&q) / UNITS_SEC +
							       m.v[i]->v[k].step * 20),
						   m.v[i]->v[k].n);
				buf_ch(&b, '\n');
			}
			miner_free(&m);
		} else {
			buf_c(&b, e.msg);
		}
		assert_int_equal(exec_running(en), 0);
		assert_int_equal(budget_used(exec_budget(en)), 0);
		snapshot_free(src.snap);
		exec_engine_free(en);
		check_text(buf_cstr(&b), want);
	}
	buf_free(&b);
}

static void counts(void **state)
{
	check(*state, "{app=~\".+\"}", SEC(85), SEC(200),
	      "info|GET <_> took <_> 100:13 120:13 140:14\nwarn|cache miss: <_> of <_> 100:7 120:7 140:6\n|no level "
	      "here 80:1\n");
	check(*state, "{app=\"b\"}", SEC(110), SEC(130),
	      "info|GET <_> took <_> 100:3 120:4\nwarn|cache miss: <_> of <_> 100:2 120:1\n");
	check(*state, "{app=\"none\"}", SEC(0), SEC(200), "");
}

static void stages_count(void **state)
{
	check(*state, "{app=~\".+\"} |= \"miss\" | line_format \"{{.app}} {{__line__}}\"", SEC(100), SEC(120),
	      "warn|b cache miss: <_> of <_> 100:4\nwarn|a cache miss: <_> of <_> 100:3\n");
}

static void refused(void **state)
{
	struct fixture *f = *state;
	check(f, "rate({app=\"a\"}[1m])", 0, SEC(200), "only log selector is supported");
	check(f, "{app=", 0, SEC(200), "parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING");
	f->limits.max_query_length = UNITS_MIN;
	check(f, "{app=\"a\"}", 0, SEC(200), "the query time range exceeds the limit (query length: 3m20s, limit: 1m); the setting is max_query_length");
	f->limits.max_query_length = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(counts), cmocka_unit_test(stages_count),
					   cmocka_unit_test(refused)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
