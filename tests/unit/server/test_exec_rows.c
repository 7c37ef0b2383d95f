/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/rows.h"

#include "common/budget.h"
#include "common/units.h"
#include "server/exec/context.h"
#include "tests/unit/check.h"
#include "tests/unit/server/fake_reader.h"

#include <stdio.h>

#define ROWS 200

struct fixture {
	struct store store;
	struct exec_engine *engine;
	struct limits limits;
};

/* Lines "0", "1", … in three streams, many at one time. */
static int setup(void **state)
{
	static const char *const streams[] = {"{app=\"a\"}", "{app=\"b\"}", "{app=\"c\",x=\"1\"}"};
	struct fixture *f = mem_zalloc(sizeof *f);
	fake_init(&f->store);
	f->engine = exec_engine_new(&(struct exec_config){0, &clock_real, (size_t)8 << 20});
	f->limits = (struct limits){
		.max_query_length = UNITS_MIN, .max_entries_limit_per_query = 5, .max_streams_matchers_per_query = 2};
	for (int i = 0; i < ROWS; i++) {
		char line[16];
		snprintf(line, sizeof line, "%d", i);
		fake_add(&f->store, "t", streams[i * 7 % 3], UNITS_HOUR * (i / 23), str_c(line), "{}");
	}
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

static struct exec_query query(struct fixture *f, const char *text, bool forward)
{
	return (struct exec_query){.text = str_c(text),
				   .start = -UNITS_HOUR,
				   .end = 1000 * UNITS_HOUR,
				   .forward = forward,
				   .extensions = true,
				   .limits = &f->limits};
}

static struct exec_rows *open_rows(struct fixture *f, const struct exec_query *q, const struct exec_place *from)
{
	struct err e = ERR_INIT;
	struct exec_rows *x = exec_rows_open(f->engine, &f->store, STR("t"), q, from, false, &e);
	if (!x) fail_msg("%s", e.msg);
	return x;
}

/* Lines, one blank behind each; every `rest` rows it rests, every `leave` rows it is closed and opened again. */
static void read_all(struct fixture *f, const char *text, bool forward, int rest, int leave, struct buf *out)
{
	struct exec_query q = query(f, text, forward);
	struct exec_rows *x = open_rows(f, &q, &(struct exec_place){0});
	struct err e = ERR_INIT;
	struct kept *k;
	for (int n = 1; exec_rows_next(x, &k, &e); n++) {
		buf_printf(out, "%.*s ", STR_ARG(k->line));
		free(k);
		if (rest && n % rest == 0) exec_rows_rest(x);
		if (!leave || n % leave) continue;
		struct exec_place place = exec_rows_place(x);
		exec_rows_close(x);
		x = open_rows(f, &q, &place);
	}
	assert_int_equal(e.code, ERR_NONE);
	assert_false(exec_rows_next(x, &k, &e));
	exec_rows_close(x);
}

static size_t words(const struct buf *b)
{
	size_t n = 0;
	for (size_t i = 0; i < b->n; i++) n += b->p[i] == ' ';
	return n;
}

static void rows_come_once_whatever_rests_are_made(void **state)
{
	static const char *const queries[] = {"{app=~\".+\"}", "{app=~\".+\"} |= \"1\"",
					      "{app=\"a\"} | line_format \"[{{__line__}},2,3]\" | unroll"};
	for (size_t i = 0; i < COUNT(queries); i++) {
		for (int forward = 0; forward < 2; forward++) {
			struct buf want = {0}, got = {0};
			read_all(*state, queries[i], forward, 0, 0, &want);
			assert_true(words(&want) > 60);
			if (i == 0) assert_int_equal(words(&want), ROWS);
			for (int n = 1; n < 40; n += 1 + n / 4) {
				buf_clear(&got);
				read_all(*state, queries[i], forward, n, 0, &got);
				assert_true(str_eq(buf_view(&got), buf_view(&want)));
				buf_clear(&got);
				read_all(*state, queries[i], forward, 3, n, &got);
				assert_true(str_eq(buf_view(&got), buf_view(&want)));
			}
			buf_free(&want);
			buf_free(&got);
		}
	}
}

/* Backward is forward the other way round. */
static void both_directions_have_one_order(void **state)
{
	struct buf forward = {0}, backward = {0}, turned = {0};
	read_all(*state, "{app=~\".+\"}", true, 0, 0, &forward);
	read_all(*state, "{app=~\".+\"}", false, 0, 0, &backward);
	struct str rest = buf_view(&backward), word;
	while (rest.n) {
		str_cut(&rest, ' ', &word);
		buf_insert(&turned, 0, " ", 1);
		buf_insert(&turned, 0, word.p, word.n);
	}
	assert_true(str_eq(buf_view(&turned), buf_view(&forward)));
	buf_free(&forward);
	buf_free(&backward);
	buf_free(&turned);
}

static void what_comes_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct exec_query q = query(f, "{app=\"a\"}", true);
	struct exec_rows *x = open_rows(f, &q, &(struct exec_place){0});
	struct err e = ERR_INIT;
	struct kept *k;
	struct buf got = {0};
	assert_true(exec_rows_next(x, &k, &e));
	free(k);
	exec_rows_rest(x);
	fake_add(&f->store, "t", "{app=\"a\"}", -1, STR("behind"), "{}");
	fake_add(&f->store, "t", "{app=\"a\"}", 900 * UNITS_HOUR, STR("ahead"), "{}");
	while (exec_rows_next(x, &k, &e)) {
		buf_printf(&got, "%.*s ", STR_ARG(k->line));
		free(k);
	}
	assert_true(str_ends(buf_view(&got), STR(" ahead ")));
	assert_true(str_find(buf_view(&got), STR("behind")) < 0);
	exec_rows_close(x);
	buf_free(&got);
}

static void refusals(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"", "rate({app=\"a\"}[1m])", "{app=\"a\"} | sort",
					  "{app=\"a\",b=\"\",c=\"\"}"};
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct exec_query q = query(f, bad[i], true);
		struct err e = ERR_INIT;
		assert_null(exec_rows_open(f->engine, &f->store, STR("t"), &q, &(struct exec_place){0}, false, &e));
		assert_int_equal(e.code, ERR_INVALID);
	}
}

/* ---- context ---- */

static struct exec_context *around(struct fixture *f, const char *text, const struct exec_context_spec *s,
				   struct err *e)
{
	struct exec_query q = query(f, text, true);
	*e = ERR_INIT;
	return exec_context(f->engine, &f->store, STR("t"), &q, s, e);
}

/* Every row in turn is asked for with its neighbours, which must be those of the whole answer. */
static void the_neighbours_of_every_entry(void **state)
{
	struct fixture *f = *state;
	struct buf all = {0}, want = {0}, got = {0};
	struct str line[ROWS];
	struct err e;
	size_t n = 0;
	read_all(f, "{app=~\".+\"}", true, 0, 0, &all);
	for (struct str rest = buf_view(&all); rest.n; n++) str_cut(&rest, ' ', &line[n]);
	assert_int_equal(n, ROWS);
	for (size_t i = 0; i < n; i++) {
		uint64_t number;
		uint32_t before = (uint32_t)(i * 5 % 40), after = (uint32_t)(i * 11 % 40);
		assert_true(str_to_u64(line[i], &number));
		struct exec_context_spec s = {
			.ts = UNITS_HOUR * (int64_t)(number / 23), .line = line[i], .before = before, .after = after};
		struct exec_context *c = around(f, "{app=~\".+\"}", &s, &e);
		if (!c) fail_msg("%s", e.msg);
		size_t from = i > before ? i - before : 0, to = i + after + 1 < n ? i + after + 1 : n;
		buf_clear(&want);
		buf_clear(&got);
		for (size_t k = from; k < to; k++) buf_printf(&want, "%.*s ", STR_ARG(line[k]));
		for (size_t k = 0; k < c->n; k++) buf_printf(&got, "%.*s ", STR_ARG(c->v[k]->line));
		assert_true(str_eq(buf_view(&got), buf_view(&want)));
		assert_int_equal(c->at, i - from);
		exec_context_free(c);
	}
	buf_free(&all);
	buf_free(&want);
	buf_free(&got);
}

static void entries_by_stream_and_nearly(void **state)
{
	struct fixture *f = *state;
	struct err e;
	struct label b = {STR("app"), STR("b")};
	struct exec_context_spec s = {.ts = 0, .stream = {&b, 1}, .after = 1};
	struct exec_context *c = around(f, "{app=~\".+\"} | drop app", &s, &e);
	assert_non_null(c);
	assert_int_equal(c->n, 2);
	exec_context_free(c);
	s = (struct exec_context_spec){.ts = UNITS_HOUR - 5, .line = STR("30")};
	assert_null(around(f, "{app=~\".+\"}", &s, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	s.within = 5;
	c = around(f, "{app=~\".+\"}", &s, &e);
	assert_non_null(c);
	assert_int_equal(c->n, 1);
	check_str(c->v[0]->line, STR("30"));
	exec_context_free(c);
	s = (struct exec_context_spec){.ts = 77, .before = 3, .after = 3};
	assert_null(around(f, "{app=\"a\"}", &s, &e));
	assert_null(around(f, "count_over_time({app=\"a\"}[1m])", &s, &e));
	assert_int_equal(e.code, ERR_INVALID);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rows_come_once_whatever_rests_are_made),
		T(both_directions_have_one_order),
		T(what_comes_meanwhile),
		T(refusals),
		T(the_neighbours_of_every_entry),
		T(entries_by_stream_and_nearly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
