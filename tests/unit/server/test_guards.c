/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/guards.h"

#include "common/units.h"
#include "tests/unit/check.h"
#include "tests/unit/server/fake_reader.h"

#define SEC(t) ((int64_t)(t)*UNITS_SEC)

struct fixture {
	struct store store;
	struct clock_fake clock;
	struct exec_engine *engine;
	struct limits limits;
	struct arena arena;
	struct exec_query q;
	unsigned blocked;
};

static void count_blocked(void *ud, struct str tenant)
{
	struct fixture *f = ud;
	check_str(tenant, STR("fake"));
	f->blocked++;
}

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof *f);
	fake_init(&f->store);
	arena_init(&f->arena, 0);
	clock_fake_init(&f->clock, SEC(1000), 0);
	f->engine = exec_engine_new(&(struct exec_config){0, &f->clock.base, 0, count_blocked, f});
	for (int i = 0; i < 100; i++) {
		fake_add(&f->store, "fake", "{app=\"a\"}", SEC(900 + i), STR("0123456789"), "{}");
		fake_add(&f->store, "fake", i % 2 ? "{app=\"b\",host=\"x\"}" : "{app=\"b\",host=\"y\"}", SEC(900 + i),
			 STR("01234"), "{}");
		fake_add(&f->store, "other", "{app=\"a\"}", SEC(900 + i), STR("0123456789"), "{}");
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	exec_engine_free(f->engine);
	fake_free(&f->store);
	arena_free(&f->arena);
	free(f);
	return 0;
}

/* Limits from YAML. */
static void limit(struct fixture *f, const char *yaml)
{
	struct err e = ERR_INIT;
	struct conf_ctx ctx = {.arena = &f->arena, .file = "limits"};
	conf_defaults(&limits_table, &f->limits, &f->arena);
	struct yaml *root = yaml_parse(&f->arena, str_c(yaml), &e);
	if (!root || !conf_decode(&limits_table, root, &f->limits, &ctx, &e)) fail_msg("%s: %s", yaml, e.msg);
}

static struct exec_query query(struct fixture *f, const char *text, struct exec_source *src, size_t n)
{
	static const char *const tenants[] = {"fake", "other"};
	for (size_t i = 0; i < n; i++)
		src[i] = (struct exec_source){str_c(tenants[i]), snapshot_take(&f->store, str_c(tenants[i]))};
	return (struct exec_query){.text = str_c(text),
				   .start = SEC(940),
				   .end = SEC(1000),
				   .step = SEC(10),
				   .limit = 100,
				   .sources = src,
				   .n_sources = n,
				   .limits = &f->limits,
				   .tags = STR("Source=grafana, feature=Beta")};
}

/* The refusal, "" when the query ran. */
static void check_run(struct fixture *f, const char *text, const char *want)
{
	struct exec_source src[1];
	struct exec_query q = query(f, text, src, 1);
	struct err e = ERR_INIT;
	struct exec_result *r = exec_run(f->engine, &q, &e);
	exec_result_free(r);
	snapshot_free(src[0].snap);
	check_text(e.msg, want);
	assert_int_equal(r == NULL, *want != 0);
}

static void blocked_queries(void **state)
{
	static const char blocked[] = "query blocked by policy";
	static const struct {
		const char *rules, *query;
		bool blocked;
	} rows[] = {
		{"[]", "{app=\"a\"}", false},
		{"[{pattern: ' {app=\"a\"} '}]", "{app=\"a\"}", true},
		{"[{pattern: '{app=\"a\"}'}]", "{app=\"a\"} |= \"x\"", false},
		{"[{pattern: 'app=.*a', regex: true}]", "{app=\"a\"} |= \"x\"", true},
		{"[{pattern: '^app', regex: true}]", "{app=\"a\"}", false},
		{"[{types: metric}]", "rate({app=\"a\"}[1m])", true},
		{"[{types: metric}]", "{app=\"a\"}", false},
		{"[{types: 'filter,limited'}]", "{app=\"a\"}", true},
		{"[{types: [filter]}]", "{app=\"a\"}", false},
		{"[{types: [filter]}]", "{app=\"a\"} | json | x=\"y\"", true},
		/* FNV-1 as Grafana's documentation has it */
		{"[{hash: 2943214005}]", "{stream=\"stdout\",pod=\"loki-canary-9w49x\"}", true},
		{"[{hash: 2943214005, pattern: '.*', regex: true}]", "{app=\"a\"}", false},
		{"[{query_tags: {source: Grafana, FEATURE: beta}}]", "{app=\"a\"}", true},
		{"[{query_tags: {source: Grafana, user: x}}]", "{app=\"a\"}", false},
		{"[{query_tags: {source: logcli}}, {pattern: '{app=\"a\"}', types: metric}, {pattern: '{app=\"a\"}'}]",
		 "{app=\"a\"}", true},
	};
	struct fixture *f = *state;
	struct buf yaml = {0};
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_clear(&yaml);
		buf_printf(&yaml, "blocked_queries: %s\n", rows[i].rules);
		limit(f, buf_cstr(&yaml));
		f->blocked = 0;
		check_run(f, rows[i].query, rows[i].blocked ? blocked : "");
		assert_int_equal(f->blocked, rows[i].blocked);
	}
	buf_free(&yaml);
}

static void each_names_its_setting(void **state)
{
	static const struct {
		const char *limits, *query, *want;
	} rows[] = {
		{"max_query_length: 30s", "{app=\"a\"}",
		 "the query time range exceeds the limit (query length: 1m0s, limit: 30s); the setting is "
		 "max_query_length"},
		{"max_query_length: 1m", "{app=\"a\"}", ""},
		{"max_query_range: 5m", "rate({app=\"a\"}[10m])",
		 "[interval] value exceeds limit: [10m] > [5m]; the setting is max_query_range"},
		{"max_streams_matchers_per_query: 1", "{app=\"a\",host=\"x\"}",
		 "max streams matchers per query exceeded, matchers-count > limit (2 > 1); the setting is "
		 "max_streams_matchers_per_query"},
		{"required_labels: [app, host]", "{app=\"a\"}",
		 "stream selector is missing required matchers [host], labels present in the query were [app]; the "
		 "setting is required_labels"},
		{"minimum_labels_number: 2", "{app=\"a\"}",
		 "stream selector has less label matchers than required: (present: [app], number_present: 1, "
		 "required_number_label_matchers: 2); the setting is minimum_labels_number"},
		{"max_entries_limit_per_query: 99", "{app=\"a\"}",
		 "max entries limit per query exceeded, limit > max_entries_limit_per_query (100 > 99)"},
		{"max_query_bytes_read: 600B", "{app=\"a\"}", ""},
		{"max_query_bytes_read: 599B", "{app=\"a\"}",
		 "the query would read too many bytes (query: 600B, limit: 599B); consider adding more specific "
		 "stream selectors or "
		 "reduce the time range of the query; the setting is max_query_bytes_read"},
		/* Both sides count, each with its interval. */
		{"max_query_bytes_read: 1149B", "sum(rate({app=\"a\"}[10s])) / sum(rate({app=\"b\"}[1m] offset 10s))",
		 "the query would read too many bytes (query: 1.2kB, limit: 1.1kB); consider adding more specific "
		 "stream selectors or "
		 "reduce the time range of the query; the setting is max_query_bytes_read"},
		{"{max_query_bytes_read: 100B, max_query_lookback: 10s}", "{app=\"a\"}", ""},
		{"max_query_series: 1", "rate({app=\"b\"}[1m])",
		 "maximum number of series (1) reached for a single query; consider reducing query cardinality by "
		 "adding more specific "
		 "stream selectors, reducing the time range, or aggregating results with functions like sum(), count() "
		 "or topk(); the setting is max_query_series"},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		limit(f, rows[i].limits);
		check_run(f, rows[i].query, rows[i].want);
	}
}

static void print_read(void *ud, const struct exec_read *r)
{
	struct buf *b = ud;
	selector_print(b, r->selector);
	buf_printf(b, " %lld-%lld %llu streams %llu entries %llu bytes\n", (long long)(r->from / UNITS_SEC),
		   (long long)(r->to / UNITS_SEC), (unsigned long long)r->stats.streams,
		   (unsigned long long)r->stats.entries, (unsigned long long)r->stats.bytes);
}

static void check_estimate(struct fixture *f, const char *text, bool instant, size_t tenants, const char *want,
			   const char *refused)
{
	struct exec_source src[2];
	struct exec_query q = query(f, text, src, tenants);
	struct err e = ERR_INIT, refusal = ERR_INIT;
	struct buf b = {0};
	q.instant = instant;
	if (instant) q.start = q.end;
	if (!exec_estimate(f->engine, &q, print_read, &b, &refusal, &e)) buf_c(&b, e.msg);
	check_text(buf_cstr(&b), want);
	check_text(refusal.msg, refused);
	for (size_t i = 0; i < tenants; i++) snapshot_free(src[i].snap);
	buf_free(&b);
}

static void estimates(void **state)
{
	struct fixture *f = *state;
	limit(f, "max_query_bytes_read: 800B");
	check_estimate(f, "{app=\"a\"}", false, 1, "{app=\"a\"} 940-1000 1 streams 60 entries 600 bytes\n", "");
	check_estimate(f, "rate({app=\"b\"}[30s])", true, 1, "{app=\"b\"} 970-1000 2 streams 30 entries 150 bytes\n",
		       "");
	check_estimate(f, "sum(rate({app=\"a\"}[10s])) / sum(rate({app=\"b\"}[10s] offset 20s))", false, 1,
		       "{app=\"a\"} 930-1000 1 streams 70 entries 700 bytes\n{app=\"b\"} 910-980 2 streams 70 entries "
		       "350 bytes\n",
		       "the query would read too many bytes (query: 1.1kB, limit: 800B); consider adding more "
		       "specific stream selectors or "
		       "reduce the time range of the query; the setting is max_query_bytes_read");
	check_estimate(f, "{app=", false, 1,
		       "parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING", "");
	check_estimate(f, "{app=\"a\"}", true, 1,
		       "log queries are not supported as an instant query type, please change your query to a range "
		       "query type",
		       "");
	limit(f, "max_query_lookback: 20s");
	check_estimate(f, "{app=\"a\"}", false, 2, "{app=\"a\"} 980-1000 2 streams 40 entries 400 bytes\n", "");
	check_estimate(f, "{app=\"a\", __tenant_id__=\"other\"}", false, 2,
		       "{app=\"a\", __tenant_id__=\"other\"} 980-1000 1 streams 20 entries 200 bytes\n", "");
	check_estimate(f, "vector(1)", false, 1, "", "");
}

/* Nothing lies before the beginning of time, and from there on everything is read. */
static void bytes_since_ever(void **state)
{
	struct fixture *f = *state;
	struct exec_source src[1];
	struct err e = ERR_INIT;
	limit(f, "{max_query_length: 0, max_query_bytes_read: 800B}");
	struct exec_query q = query(f, "sum(rate({app=\"a\"}[1h]))", src, 1);
	q.start = INT64_MIN;
	q.step = SEC(1000000);
	assert_null(exec_run(f->engine, &q, &e));
	check_text(e.msg, "the query would read too many bytes (query: 1.0kB, limit: 800B); consider adding more "
			  "specific stream selectors or reduce the time range of the query; the setting is "
			  "max_query_bytes_read");
	snapshot_free(src[0].snap);
}

/* For Logs Drilldown the series with the most are better than none. */
static void partial_answers(void **state)
{
	struct fixture *f = *state;
	struct exec_source src[1];
	struct err e = ERR_INIT;
	limit(f, "max_query_series: 2");
	struct exec_query q = query(f, "sum by (app, host) (bytes_over_time({app=~\"a|b\"}[10s]))", src, 1);
	q.partial = true;
	struct exec_result *r = exec_run(f->engine, &q, &e);
	if (!r) fail_msg("%s", e.msg);
	assert_int_equal(r->n_series, 2);
	check_str(labels_get(&r->series[0].labels, STR("app")), STR("a"));
	assert_int_equal(r->n_warnings, 1);
	check_str(r->warnings[0],
		  STR("maximum number of series (2) reached for a single query; returning partial results"));
	exec_result_free(r);
	snapshot_free(src[0].snap);
}

static void strictest_of_tenants(void **state)
{
	struct fixture *f = *state;
	limit(f, "{max_query_length: 0, query_timeout: 1m, max_query_series: 500, required_labels: [a], "
		 "volume_enabled: true, blocked_queries: [{hash: 1}]}");
	struct limits one = f->limits;
	limit(f, "{max_query_length: 1h, query_timeout: 2m, max_query_series: 0, required_labels: [b], volume_enabled: "
		 "false, minimum_labels_number: 3, "
		 "max_query_bytes_read: 1KB, blocked_queries: [{types: metric}]}");
	limits_strictest(&one, &f->limits, &f->arena);
	assert_int_equal(one.max_query_length, UNITS_HOUR);
	assert_int_equal(one.query_timeout, UNITS_MIN);
	assert_int_equal(one.max_query_series, 500);
	assert_int_equal(one.max_query_bytes_read, 1024);
	assert_int_equal(one.minimum_labels_number, 3);
	assert_false(one.volume_enabled);
	assert_int_equal(one.required_labels.n, 2);
	check_str(one.required_labels.v[1], STR("b"));
	assert_int_equal(one.blocked_queries.n, 2);
	check_str(((struct limits_blocked_query *)one.blocked_queries.v)[1].types.v[0], STR("metric"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocked_queries), cmocka_unit_test(each_names_its_setting),
		cmocka_unit_test(estimates),       cmocka_unit_test(bytes_since_ever),
		cmocka_unit_test(partial_answers), cmocka_unit_test(strictest_of_tenants),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
