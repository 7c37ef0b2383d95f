/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LogQL beyond Loki (docs/LOGQL-EXTENSIONS.md): refused as by Loki without the flag; read, printed and run with it. */
#include "common/units.h"
#include "server/exec/exec.h"
#include "server/logql/logql.h"
#include "tests/unit/check.h"
#include "tests/unit/server/fake_reader.h"

#include <stdio.h>

#define SEC(t) ((int64_t)(t)*UNITS_SEC)

struct sample {
	const char *query, *want;
};

/* ---- the language ---- */

static void refused_without_the_flag(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"{}", "parse error : queries require at least one regexp or equality matcher that does not have an "
		       "empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but "
		       "app=~\".+\" will"},
		{"{a=\"b\"} |=i \"x\"",
		 "parse error at line 1, col 11: syntax error: unexpected IDENTIFIER, expecting STRING or ip"},
		{"{a=\"b\"} | uniq", "parse error at line 1, col 15: syntax error: unexpected $end"},
		{"{a=\"b\"} | uniq by (c)", "parse error at line 1, col 16: syntax error: unexpected by"},
		{"{a=\"b\"} | top 3", "parse error at line 1, col 15: syntax error: unexpected NUMBER"},
		{"{a=\"b\"} | sort by (c)", "parse error at line 1, col 11: syntax error: unexpected SORT"},
		{"{a=\"b\"} | unroll \"c\"", "parse error at line 1, col 18: syntax error: unexpected STRING"},
	};
	for (size_t i = 0; i < COUNT(v); i++) {
		struct arena a;
		struct err e = ERR_INIT;
		arena_init(&a, 0);
		assert_null(logql_parse(&a, str_c(v[i].query), &e));
		check_text(e.msg, v[i].want);
		struct logql *q = logql_parse_extended(&a, str_c(v[i].query), &e);
		assert_non_null(q);
		logql_free(q);
		arena_free(&a);
	}
}

/* What Loki takes means the same with the flag: these words are labels where an operator follows. */
static void same_as_loki(void **state)
{
	(void)state;
	static const char *const v[] = {
		"{a=\"b\"} | sort = \"x\" | uniq!=\"y\" | top > 5 | unroll=~\"z\"",
		"{sort=\"b\"} | json uniq, top | label_format unroll=sort",
		"{a=\"b\"} |= \"i\" != \"i\" | i=\"i\"",
		"sort(count_over_time({a=\"b\"} | uniq==1 | top < 1ms [1m]))",
		"sum by (uniq, top) (rate({a=\"b\"} | unwrap unroll [1m]))",
	};
	for (size_t i = 0; i < COUNT(v); i++) {
		struct arena a;
		struct err e = ERR_INIT;
		arena_init(&a, 0);
		struct logql *loki = logql_parse(&a, str_c(v[i]), &e);
		struct logql *larch = logql_parse_extended(&a, str_c(v[i]), &e);
		if (!loki != !larch) fail_msg("%s: %s", v[i], e.msg);
		if (loki) assert_true(logql_equal(loki->root, larch->root));
		logql_free(loki);
		logql_free(larch);
		arena_free(&a);
	}
}

static void printed_and_read_back(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"{}", "{}"},
		{"{a=~\".*\"}", "{a=~\".*\"}"},
		{"{}|=i\"x\"or`Y`!=i \"z\" or \"w\"", "{} |=i \"x\" or \"Y\" !=i \"z\" !=i \"w\""},
		{"{} | unroll | unroll \"a.b[0]\" | json", "{} | unroll | unroll \"a.b[0]\" | json"},
		{"{} | uniq | sort", "{} | uniq | sort"},
		{"{} | uniq by(c,d) | sort by (c) desc", "{} | uniq by (c, d) | sort by (c) desc"},
		{"{} | top 3", "{} | top 3"},
		{"{} | json | top 3 by (c, d) | sort desc", "{} | json | top 3 by (c, d) | sort desc"},
		{"sum(count_over_time({} | unroll [1m]))", "sum(count_over_time({} | unroll[1m]))"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(v); i++) {
		struct arena a;
		struct err e = ERR_INIT;
		arena_init(&a, 0);
		struct logql *q = logql_parse_extended(&a, str_c(v[i].query), &e);
		if (!q) fail_msg("%s: %s", v[i].query, e.msg);
		buf_clear(&b);
		logql_print(&b, q->root);
		check_text(buf_cstr(&b), v[i].want);
		struct logql *again = logql_parse_extended(&a, buf_view(&b), &e);
		assert_non_null(again);
		assert_true(logql_equal(q->root, again->root));
		logql_free(q);
		logql_free(again);
		arena_free(&a);
	}
	buf_free(&b);
}

static void misuse(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"count_over_time({} | uniq [1m])", "parse error at line 0, col 27: `| uniq` can only end a log query"},
		{"{} | uniq | json",
		 "parse error at line 1, col 17: `| json` cannot stand behind uniq or top; only sort can"},
		{"{} | sort | uniq", "parse error at line 1, col 17: `| uniq` cannot stand behind sort"},
		{"{} | sort |= \"x\"", "parse error at line 1, col 17: `|= \"x\"` cannot stand behind sort"},
		{"{} | sort by (a, b)", "parse error at line 1, col 20: sort takes one label, not 2"},
		{"{} | uniq by ()", "parse error at line 1, col 16: by () needs at least one label"},
		{"{} | top", "parse error at line 1, col 9: syntax error: unexpected $end, expecting NUMBER"},
		{"{} | top 0", "parse error at line 1, col 10: top needs a whole number above 0, not 0"},
		{"{} | top 1.5", "parse error at line 1, col 10: top needs a whole number above 0, not 1.5"},
		{"{} |=i ip(\"::1\")", "parse error at line 1, col 8: syntax error: unexpected ip, expecting STRING"},
	};
	for (size_t i = 0; i < COUNT(v); i++) {
		struct arena a;
		struct err e = ERR_INIT;
		arena_init(&a, 0);
		if (logql_parse_extended(&a, str_c(v[i].query), &e)) fail_msg("%s is taken", v[i].query);
		check_text(e.msg, v[i].want);
		arena_free(&a);
	}
}

/* ---- running ---- */

static void fill(struct store *s)
{
	static const struct {
		const char *labels;
		int t;
		const char *line;
	} v[] = {
		{"{app=\"web\"}", 1, "user=ann took=1.5s"}, {"{app=\"web\"}", 2, "user=bob took=20ms"},
		{"{app=\"db\"}", 3, "user=Ann took=2"},     {"{app=\"web\"}", 4, "user=ann took=20ms"},
		{"{app=\"db\"}", 5, "user=Ann took=2"},     {"{app=\"db\"}", 6, "user=eve took=long"},
		{"{app=\"db\"}", 7, "no fields"},
	};
	for (size_t i = 0; i < COUNT(v); i++) fake_add(s, "fake", v[i].labels, SEC(v[i].t), str_c(v[i].line), "{}");
	fake_add(s, "fake", "{app=\"cart\"}", SEC(20),
		 STR("{\"user\":\"ann\",\"items\":[{\"sku\":\"a\",\"n\":1},{\"sku\":\"b\",\"n\":5}]}"), "{}");
	fake_add(s, "fake", "{app=\"cart\"}", SEC(21), STR("{\"items\":[{\"sku\":\"b\",\"n\":2}]}"), "{}");
	fake_add(s, "fake", "{app=\"cart\"}", SEC(22), STR("{\"items\":[]}"), "{}");
	fake_add(s, "fake", "{app=\"cart\"}", SEC(23), STR("{\"items\":7}"), "{}");
	fake_add(s, "fake", "{app=\"cart\"}", SEC(24), STR("not json"), "{}");
	fake_add(s, "fake", "{app=\"list\"}", SEC(30), STR(" [1, \"t\\u00e9\", [2,3], null] "), "{}");
	fake_add(s, "fake", "{app=\"utf8\"}", SEC(40), STR("caf\xc3\x89 KELVIN"), "{}");
}

static void print(struct buf *b, const struct exec_result *r)
{
	for (size_t i = 0; i < r->n_streams; i++) {
		const struct exec_stream *s = &r->streams[i];
		for (size_t k = 0; k < s->labels.n; k++)
			buf_printf(b, "%s%.*s=%.*s", k ? "," : "", STR_ARG(s->labels.v[k].name),
				   STR_ARG(s->labels.v[k].value));
		for (size_t k = 0; k < s->n; k++)
			buf_printf(b, " %lld:%.*s", (long long)(s->v[k].ts / UNITS_SEC), STR_ARG(s->v[k].line));
		buf_ch(b, '\n');
	}
	for (size_t i = 0; i < r->n_series; i++) {
		for (size_t k = 0; k < r->series[i].labels.n; k++)
			buf_printf(b, "%.*s=%.*s ", STR_ARG(r->series[i].labels.v[k].name),
				   STR_ARG(r->series[i].labels.v[k].value));
		buf_f64(b, r->series[i].v[0].v);
		buf_ch(b, '\n');
	}
}

static void answers(void **state)
{
	(void)state;
	static const struct {
		const char *query, *want;
		uint32_t limit; /* 0: 100 */
		bool backward, instant;
	} rows[] = {
		{.query = "{} |=i \"ANN\" |= \"took=2\" | drop app",
		 .want = " 3:user=Ann took=2 4:user=ann took=20ms 5:user=Ann took=2\n"},
		{.query = "{app=~\"web|db\"} !=i \"ANN\" or \"eve\" | drop app",
		 .want = " 2:user=bob took=20ms 7:no fields\n"},
		{.query = "{} |=i \"caf\xc3\xa9\"", .want = "app=utf8 40:caf\xc3\x89 KELVIN\n"},
		{.query = "{} |=i \"kelvin\" or \"x.z\"", .want = "app=utf8 40:caf\xc3\x89 KELVIN\n"},
		{.query = "{app=~\"web|db\"} | logfmt | keep user | uniq by (user)",
		 .want = "user=Ann 3:user=Ann took=2\nuser=ann 1:user=ann took=1.5s\nuser=bob 2:user=bob "
			 "took=20ms\nuser=eve 6:user=eve took=long\n 7:no fields\n"},
		{.query = "{app=~\"web|db\"} | logfmt | keep user | uniq by (user)",
		 .backward = true,
		 .limit = 3,
		 .want = "user=Ann 5:user=Ann took=2\nuser=eve 6:user=eve took=long\n 7:no fields\n"},
		{.query = "{app=\"db\"} | uniq", .want = "app=db 3:user=Ann took=2 6:user=eve took=long 7:no fields\n"},
		{.query = "{app=~\"web|db\"} | logfmt | top 2 by (user)",
		 .want = "count=2,user=ann 1:user=ann took=1.5s\ncount=2,user=Ann 3:user=Ann took=2\n"},
		{.query = "{app=~\"web|db\"} | logfmt | top 3 by (user) | sort by (user) desc",
		 .want = "count=1,user=bob 2:user=bob took=20ms\ncount=2,user=ann 1:user=ann took=1.5s\n"
			 "count=2,user=Ann 3:user=Ann took=2\n"},
		{.query = "{app=\"db\"} | top 1", .want = "count=2 3:user=Ann took=2\n"},
		{.query = "{app=\"db\"} | label_format count=\"x\" | top 1 by (count)",
		 .want = "count=x,count_extracted=4 3:user=Ann took=2\n"},
		{.query = "{app=~\"web|db\"} | logfmt | line_format \"-\" | drop app, user | sort by (took)",
		 .want = "took=20ms 2:- 4:-\ntook=1.5s 1:-\ntook=2 3:- 5:-\ntook=long 6:-\n 7:-\n"},
		{.query = "{app=~\"web|db\"} | logfmt | line_format \"-\" | drop app, user | sort by (took) desc",
		 .limit = 4,
		 .want = "took=long 6:-\ntook=2 3:- 5:-\ntook=1.5s 1:-\n"},
		{.query = "{app=\"web\"} | sort desc",
		 .want = "app=web 2:user=bob took=20ms 4:user=ann took=20ms 1:user=ann took=1.5s\n"},
		{.query = "{app=\"cart\"} | unroll \"items\" | __error__=\"\"",
		 .want = "app=cart 20:{\"sku\":\"a\",\"n\":1} 20:{\"sku\":\"b\",\"n\":5} 21:{\"sku\":\"b\",\"n\":2} "
			 "23:{\"items\":7}\n"},
		{.query = "{app=\"cart\"} | unroll \"items\" | __error__!=\"\" | drop __error_details__",
		 .want = "__error__=JSONParserErr,app=cart 24:not json\n"},
		{.query = "{app=\"cart\"} | json user | unroll \"items\" | json | user=\"ann\" | line_format "
			  "\"{{.sku}}\" | keep user, n",
		 .want = "n=1,user=ann 20:a\nn=5,user=ann 20:b\n"},
		{.query = "{app=\"list\"} | unroll", .want = "app=list 30:1 30:t\xc3\xa9 30:[2,3] 30:null\n"},
		{.query = "{app=\"list\"} | unroll | unroll",
		 .want = "__error__=JSONParserErr,app=list 30:t\xc3\xa9\napp=list 30:1 30:2 30:3 30:null\n"},
		{.query = "sum by (sku) (sum_over_time({app=\"cart\"} | unroll \"items\" | json | unwrap n [1m]))",
		 .instant = true,
		 .want = "sku=a 1\nsku=b 7\n"},
		{.query = "sum(count_over_time({app=\"list\"} | unroll [1m]))", .instant = true, .want = "4\n"},
		{.query = "sum(bytes_over_time({app=\"list\"} | unroll [1m]))", .instant = true, .want = "13\n"},
	};
	struct limits limits = {0};
	struct store store;
	struct buf b = {0};
	bool bad = false;
	fake_init(&store);
	fill(&store);
	struct exec_engine *engines[] = {exec_engine_new(&(struct exec_config){0, &clock_real, 0}),
					 exec_engine_new(&(struct exec_config){3, &clock_real, 0})};
	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		struct exec_source src = {STR("fake"), snapshot_take(&store, STR("fake"))};
		struct err e = ERR_INIT;
		size_t at = i / 2;
		struct exec_query q = {
			.text = str_c(rows[at].query),
			.end = SEC(60),
			.start = rows[at].instant ? SEC(60) : 0,
			.instant = rows[at].instant,
			.step = SEC(1),
			.limit = rows[at].limit ? rows[at].limit : 100,
			.forward = !rows[at].backward,
			.extensions = true,
			.sources = &src,
			.n_sources = 1,
			.limits = &limits,
		};
		store.filters = i % 2;
		buf_clear(&b);
		struct exec_result *r = exec_run(engines[i % 2], &q, &e);
		if (!r) fail_msg("%s: %s", rows[at].query, e.msg);
		print(&b, r);
		if (strcmp(buf_cstr(&b), rows[at].want) != 0) {
			bad = true;
			print_error("%s\nwant: %s\ngot:  %s", rows[at].query, rows[at].want, buf_cstr(&b));
		}
		exec_result_free(r);
		snapshot_free(src.snap);
	}
	assert_false(bad);
	exec_engine_free(engines[0]);
	exec_engine_free(engines[1]);
	buf_free(&b);
	fake_free(&store);
}

/* An array far longer than a batch. */
static void long_arrays(void **state)
{
	(void)state;
	struct limits limits = {0};
	struct store store;
	struct buf line = {0};
	fake_init(&store);
	buf_c(&line, "[0");
	for (int i = 1; i < 10000; i++) buf_c(&line, ",[1,1]");
	buf_ch(&line, ']');
	for (int i = 0; i < 3; i++) fake_add(&store, "fake", "{a=\"b\"}", SEC(i + 1), buf_view(&line), "{}");
	struct exec_engine *en = exec_engine_new(&(struct exec_config){1, &clock_real, 8 << 20});
	struct exec_source src = {STR("fake"), snapshot_take(&store, STR("fake"))};
	struct exec_query q = {
		.text = STR("sum(count_over_time({} | unroll | unroll [1m]))"),
		.instant = true,
		.start = SEC(10),
		.end = SEC(10),
		.extensions = true,
		.sources = &src,
		.n_sources = 1,
		.limits = &limits,
	};
	struct err e = ERR_INIT;
	struct exec_result *r = exec_run(en, &q, &e);
	if (!r) fail_msg("%s", e.msg);
	assert_float_equal(r->series[0].v[0].v, 3 * (1 + 2 * 9999), 0);
	exec_result_free(r);
	exec_engine_free(en);
	snapshot_free(src.snap);
	fake_free(&store);
	buf_free(&line);
}

static void groups_are_bounded(void **state)
{
	(void)state;
	static const char *const queries[] = {"{} | uniq", "{} | top 1 | sort", "{} | pattern \"<n>\" | uniq by (n)"};
	struct limits limits = {0};
	struct store store;
	fake_init(&store);
	for (int i = 0; i < 3000; i++) {
		char line[32];
		snprintf(line, sizeof line, "line %d", i);
		fake_add(&store, "fake", "{a=\"b\"}", SEC(i), str_c(line), "{}");
	}
	struct exec_engine *en = exec_engine_new(&(struct exec_config){1, &clock_real, 256 << 10});
	for (size_t i = 0; i < COUNT(queries); i++) {
		struct exec_source src = {STR("fake"), snapshot_take(&store, STR("fake"))};
		struct exec_query q = {
			.text = str_c(queries[i]),
			.end = SEC(5000),
			.limit = 10,
			.extensions = true,
			.sources = &src,
			.n_sources = 1,
			.limits = &limits,
		};
		struct err e = ERR_INIT;
		assert_null(exec_run(en, &q, &e));
		assert_non_null(strstr(e.msg, "larch.memory_limit"));
		snapshot_free(src.snap);
	}
	exec_engine_free(en);
	fake_free(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_without_the_flag),
		cmocka_unit_test(same_as_loki),
		cmocka_unit_test(printed_and_read_back),
		cmocka_unit_test(misuse),
		cmocka_unit_test(answers),
		cmocka_unit_test(long_arrays),
		cmocka_unit_test(groups_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
