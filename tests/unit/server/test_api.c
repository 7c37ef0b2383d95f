/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/api.h"

#include "common/units.h"
#include "server/exec/exec.h"
#include "tests/unit/check.h"
#include "tests/unit/server/fake_httpd.h"
#include "tests/unit/server/fake_reader.h"

/* ---- parameters ---- */

static void times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t want;
	} rows[] = {
		{"", 42},
		{"1793491200", 1793491200 * UNITS_SEC},
		{"1793491200000000000", 1793491200 * UNITS_SEC},
		{"1793491200000", 1793491200000}, /* milliseconds are taken for nanoseconds */
		{"1793491200.25", 1793491200 * UNITS_SEC + 250 * UNITS_MS},
		{"1793491200.2504", 1793491200 * UNITS_SEC + 250 * UNITS_MS},
		{"-1.5", -1500 * UNITS_MS},
		{"9999999999", INT64_MAX},
		{"2026-11-01T00:00:00Z", 1793491200 * UNITS_SEC},
		{"2026-11-01T02:00:00.5+02:00", 1793491200 * UNITS_SEC + 500 * UNITS_MS},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = ERR_INIT;
		int64_t got = 0;
		assert_true(api_time(str_c(rows[i].text), 42, &got, &e));
		assert_int_equal(e.code, ERR_NONE);
		assert_int_equal(got, rows[i].want);
	}
}

static void bad_times(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	int64_t t;
	assert_false(api_time(STR("now"), 0, &t, &e));
	check_text(e.msg, "strconv.ParseInt: parsing \"now\": invalid syntax");
	assert_false(api_time(STR("99999999999999999999"), 0, &t, &e));
	check_text(e.msg, "strconv.ParseInt: parsing \"99999999999999999999\": value out of range");
}

static void durations(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	int64_t d;
	assert_true(api_duration(STR("1.5"), &d, &e));
	assert_int_equal(d, 1500 * UNITS_MS);
	assert_true(api_duration(STR("1m"), &d, &e));
	assert_int_equal(d, UNITS_MIN);
	assert_false(api_duration(STR("abc"), &d, &e));
	check_text(e.msg, "cannot parse \"abc\" to a valid duration");
	assert_false(api_duration(STR("1e300"), &d, &e));
	check_text(e.msg, "cannot parse \"1e300\" to a valid duration. It overflows int64");
}

static void bounds(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	int64_t from, to, now = 1793491200 * UNITS_SEC;
	assert_true(api_bounds(&(struct httpd_req){0}, now, &from, &to, &e));
	assert_int_equal(to, now);
	assert_int_equal(from, now - UNITS_HOUR);
	assert_true(api_bounds(&(struct httpd_req){.args = "since=10m&end=1793490000"}, now, &from, &to, &e));
	assert_int_equal(to, 1793490000 * UNITS_SEC);
	assert_int_equal(from, to - 10 * UNITS_MIN);
	assert_false(api_bounds(&(struct httpd_req){.args = "start=x&end=y"}, now, &from, &to, &e));
	check_text(e.msg, "could not parse 'end' parameter: strconv.ParseInt: parsing \"y\": invalid syntax");
}

static void steps(void **state)
{
	(void)state;
	static const struct {
		const char *args;
		int64_t want;
		const char *error;
	} rows[] = {
		{"", 14 * UNITS_SEC, NULL},
		{"step=30", 30 * UNITS_SEC, NULL},
		{"step=5m", 5 * UNITS_MIN, NULL},
		{"step=0", 0, "zero or negative query resolution step widths are not accepted. Try a positive integer"},
		{"step=1ms", 0,
		 "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step "
		 "parameter"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = ERR_INIT;
		int64_t step;
		bool ok = api_step(&(struct httpd_req){.args = rows[i].args}, 0, UNITS_HOUR, &step, &e);
		assert_int_equal(ok, rows[i].error == NULL);
		if (ok)
			assert_int_equal(step, rows[i].want);
		else
			check_text(e.msg, rows[i].error);
	}
}

static void limits_and_directions(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	uint32_t n;
	bool forward;
	assert_true(api_limit(&(struct httpd_req){0}, "limit", 100, &n, &e));
	assert_int_equal(n, 100);
	assert_false(api_limit(&(struct httpd_req){.args = "limit=0"}, "limit", 100, &n, &e));
	check_text(e.msg, "limit must be a positive value");
	assert_false(api_limit(&(struct httpd_req){.args = "limit=abc"}, "limit", 100, &n, &e));
	check_text(e.msg, "strconv.Atoi: parsing \"abc\": invalid syntax");
	assert_true(api_direction(&(struct httpd_req){.args = "direction=FORWARD"}, &forward, &e));
	assert_true(forward);
	assert_true(api_direction(&(struct httpd_req){.args = "direction="}, &forward, &e));
	assert_false(forward);
	assert_false(api_direction(&(struct httpd_req){.args = "direction=up"}, &forward, &e));
	check_text(e.msg, "invalid direction 'up'");
}

static void tenants(void **state)
{
	(void)state;
	static const struct {
		bool auth, multi;
		const char *header, *want; /* want: names joined by blanks, or the error */
	} rows[] = {
		{false, false, "a b", "fake"},
		{true, false, NULL, "no org id\n"},
		{true, false, "a:meta", "a"},
		{true, false, ":meta", "no org id\n"},
		{true, true, "a|", "no org id\n"},
		{true, true, "b|a|b", "a b"},
		{true, false, "a|b", "multiple org IDs present\n"},
		{true, false, "a|a", "a"},
		{true, true, "a|b/c", "tenant ID 'b/c' contains unsupported character '/'\n"},
		{true, true, "..", "tenant ID is '.' or '..'\n"},
		{true, true, "\xc3\xbc", "tenant ID '\xc3\xbc' contains unsupported character '\xc3\x83'\n"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct api a = {.auth_enabled = rows[i].auth, .multi_tenant = rows[i].multi};
		struct arena ar;
		struct err e = ERR_INIT;
		struct str *v;
		struct buf b = {0};
		size_t n;
		arena_init(&ar, 0);
		if (!api_tenants_parse(&a, str_c(rows[i].header), &ar, &v, &n, &e))
			buf_c(&b, e.msg);
		else
			for (size_t k = 0; k < n; k++) buf_printf(&b, "%s%.*s", k ? " " : "", STR_ARG(v[k]));
		check_buf(&b, rows[i].want);
		buf_free(&b);
		arena_free(&ar);
	}
}

static void long_tenants_are_refused(void **state)
{
	(void)state;
	struct api a = {.auth_enabled = true};
	struct arena ar;
	struct err e = ERR_INIT;
	struct str *v;
	size_t n;
	char text[152];
	memset(text, 'x', sizeof text);
	arena_init(&ar, 0);
	assert_true(api_tenants_parse(&a, str_of(text, 150), &ar, &v, &n, &e));
	assert_false(api_tenants_parse(&a, str_of(text, 151), &ar, &v, &n, &e));
	assert_int_equal(e.code, ERR_INVALID);
	check_text(e.msg, "tenant ID is too long: max 150 characters\n");
	arena_free(&ar);
}

/* ---- endpoints ---- */

static struct {
	struct store store;
	struct api api;
	struct clock_fake clock;
	struct limits limits;
} t;

static void limits_changed(void)
{
	struct err e = ERR_INIT;
	overrides_free(t.api.overrides);
	t.api.overrides = overrides_new(&t.limits, (struct conf_strs){0}, &fs_real, &e);
}

static int setup(void **state)
{
	(void)state;
	fake_init(&t.store);
	clock_fake_init(&t.clock, 100 * UNITS_SEC, 1);
	t.limits = (struct limits){
		.max_query_series = 10, .volume_enabled = true, .volume_max_series = 3, .query_timeout = UNITS_HOUR};
	t.api = (struct api){
		.store = &t.store,
		.engine = exec_engine_new(&(struct exec_config){1, &clock_real, 0}),
		.clock = &t.clock.base,
		.auth_enabled = true,
		.multi_tenant = true,
	};
	limits_changed();
	fake_add(&t.store, "a", "{app=\"x\",env=\"p\"}", 10 * UNITS_SEC, STR("n=1 d=5ms"), "{lvl=\"info\"}");
	fake_add(&t.store, "a", "{app=\"x\",env=\"q\"}", 20 * UNITS_SEC, STR("{\"n\":\"<>\",\"o\":{\"p q\":2.5}}"),
		 "{}");
	fake_add(&t.store, "a", "{app=\"y\"}", 30 * UNITS_SEC, STR("bye"), "{}");
	fake_add(&t.store, "b", "{app=\"x\",env=\"p\"}", 10 * UNITS_SEC, STR("other"), "{}");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	exec_engine_free(t.api.engine);
	overrides_free(t.api.overrides);
	fake_free(&t.store);
	return 0;
}

static httpd_handler *route(const char *path)
{
	const struct api_table *tables[] = {&api_query_table,  &api_labels_table, &api_index_table,
					    &api_detect_table, &api_legacy_table, &api_rules_table};
	for (size_t i = 0; i < COUNT(tables); i++)
		for (size_t k = 0; k < tables[i]->n; k++)
			if (strcmp(tables[i]->v[k].path, path) == 0) return tables[i]->v[k].fn;
	fail_msg("no route %s", path);
	return NULL;
}

struct call {
	const char *path, *name, *org, *args;
	int status;
	const char *want; /* the body; "…" at its end: only so far */
};

static void calls(const struct call *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct httpd_req r = {.args = v[i].args, .org = v[i].org ? v[i].org : "a", .name = v[i].name};
		route(v[i].path)(&r, &t.api);
		assert_int_equal(r.replies, 1);
		struct str got = buf_view(&r.body), want = str_c(v[i].want);
		if (str_ends(want, STR("…"))) {
			want.n -= strlen("…");
			if (got.n > want.n) got.n = want.n;
		}
		if (r.status != v[i].status) print_error("%s?%s: status %d\n", v[i].path, v[i].args, r.status);
		check_str(got, want);
		assert_int_equal(r.status, v[i].status);
		buf_free(&r.body);
	}
}

#define CALLS(v) calls(v, COUNT(v))
#define L        "/loki/api/v1/"

static void queries(void **state)
{
	(void)state;
	static const struct call v[] = {
		{L "query_range", 0, 0, "query={app=\"x\"}&start=0&end=100&limit=1", 200,
		 "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[{\"stream\":{\"app\":\"x\","
		 "\"env\":\"q\"},"
		 "\"values\":[[\"20000000000\",\"{\\\"n\\\":\\\"\\u003c\\u003e\\\",\\\"o\\\":{\\\"p "
		 "q\\\":2.5}}\"]]}],\"stats\":{…"},
		{L "query_range", 0, 0, "query=count_over_time({app=\"y\"}[10s])&start=30&end=50&step=5", 200,
		 "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"app\":\"y\"},"
		 "\"values\":"
		 "[[30,\"1\"],[35,\"1\"]]}],\"stats\":{…"},
		{L "query", 0, 0, "query=count_over_time({app=\"y\"}[1m])&time=40.5", 200,
		 "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"app\":\"y\"},"
		 "\"value\":"
		 "[40.5,\"1\"]}],\"stats\":{…"},
		{L "query", 0, 0, "query={app=\"y\"}", 400,
		 "log queries are not supported as an instant query type, please change your query to a range query "
		 "type"},
		{L "query_range", 0, 0, "", 400, "parse error : syntax error: unexpected $end"},
		{L "query_range", 0, "", "query={app=\"y\"}", 401, "no org id\n"},
		{L "query_range", 0, 0, "query={app=\"y\"}&start=50&end=40", 400,
		 "end timestamp must not be before or equal to start time"},
		{L "query_range", 0, 0, "query={app=\"y\"}&interval=-1", 400, "interval must be >= 0"},
		{L "format_query", 0, 0, "query={app=\"x\"}|=\"y\"", 200,
		 "{\"status\":\"success\",\"data\":\"{app=\\\"x\\\"} |= \\\"y\\\"\"}\n"},
		{L "format_query", 0, 0, "query={", 400,
		 "{\"status\":\"invalid-query\",\"error\":\"parse error at line 1, col 2: syntax error: unexpected "
		 "$end, expecting "
		 "IDENTIFIER or }\"}\n"},
		{"/api/prom/query", 0, 0, "query={app=\"x\"}&regexp=n.1", 200,
		 "{\"streams\":[{\"labels\":\"{app=\\\"x\\\", env=\\\"p\\\", lvl=\\\"info\\\"}\",\"entries\":[{\"ts\":"
		 "\"1970-01-01T00:00:10Z\",\"line\":\"n=1 d=5ms\"}]}],\"stats\":{…"},
		{"/api/prom/query", 0, 0, "query=vector(1)", 400, "legacy endpoints only support streams result type"},
	};
	CALLS(v);
}

static void categories(void **state)
{
	(void)state;
	struct httpd_req r = {.args = "query={env=\"p\"} | logfmt", .org = "a", .encoding = "x, categorize-labels"};
	route(L "query_range")(&r, &t.api);
	static const char want[] = "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"encodingFlags\":["
				   "\"categorize-labels\"],\"result\":["
				   "{\"stream\":{\"app\":\"x\",\"env\":\"p\"},\"values\":[[\"10000000000\",\"n=1 "
				   "d=5ms\",{\"structuredMetadata\":"
				   "{\"lvl\":\"info\"},\"parsed\":{\"d\":\"5ms\",\"n\":\"1\"}}]]}],\"stats\":";
	check_str(str_of(r.body.p, sizeof want - 1), str_c(want));
	buf_free(&r.body);
}

static void labels_and_series(void **state)
{
	(void)state;
	static const struct call v[] = {
		{L "labels", 0, 0, "", 200, "{\"status\":\"success\",\"data\":[\"app\",\"env\"]}\n"},
		{L "labels", 0, 0, "query={app=\"y\"}", 200, "{\"status\":\"success\",\"data\":[\"app\"]}\n"},
		{L "labels", 0, 0, "start=1000&end=2000", 200, "{\"status\":\"success\"}\n"},
		{L "labels", 0, "a|b", "", 200,
		 "{\"status\":\"success\",\"data\":[\"__tenant_id__\",\"app\",\"env\"]}\n"},
		{L "label/{name}/values", "env", 0, "", 200, "{\"status\":\"success\",\"data\":[\"p\",\"q\"]}\n"},
		{L "label/{name}/values", "nope", 0, "", 200, "{\"status\":\"success\"}\n"},
		{"/api/prom/label", 0, 0, "", 200, "{\"values\":[\"app\",\"env\"]}\n"},
		{"/api/prom/label/{name}/values", "nope", 0, "", 200, "{}\n"},
		{L "series", 0, 0, "match[]={env=\"q\"}&match[]={app=\"x\"}", 200,
		 "{\"status\":\"success\",\"data\":[{\"app\":\"x\",\"env\":\"q\"},{\"app\":\"x\",\"env\":\"p\"}]}\n"},
		{L "series", 0, "a|b", "match={env=\"p\"}", 200,
		 "{\"status\":\"success\",\"data\":[{\"__tenant_id__\":\"a\",\"app\":\"x\",\"env\":\"p\"},{\"__tenant_"
		 "id__\":\"b\","
		 "\"app\":\"x\",\"env\":\"p\"}]}\n"},
		{L "series", 0, 0, "match[]={", 400,
		 "parse error at line 1, col 2: syntax error: unexpected $end, expecting IDENTIFIER or }"},
		{L "series", 0, 0, "match[]={}&start=25", 200, "{\"status\":\"success\",\"data\":[{\"app\":\"y\"}]}\n"},
	};
	CALLS(v);
}

static void no_rules(void **state)
{
	(void)state;
#define NONE(list) "{\"status\":\"success\",\"data\":{\"" list "\":[]},\"errorType\":\"\",\"error\":\"\"}"
	static const struct call v[] = {
		{"/prometheus/api/v1/rules", 0, 0, "", 200, NONE("groups")},
		{"/prometheus/api/v1/alerts", 0, 0, "", 200, NONE("alerts")},
	};
	CALLS(v);
}

static void index_of_data(void **state)
{
	(void)state;
#define VECTOR "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
	static const struct call v[] = {
		{L "index/stats", 0, 0, "query={app=\"x\"}", 200,
		 "{\"streams\":2,\"chunks\":0,\"bytes\":35,\"entries\":2}\n"},
		{L "index/shards", 0, 0, "query={app=\"x\"}", 400, "missing targetBytesPerShard"},
		{L "index/shards", 0, 0, "query={app=\"x\"}&targetBytesPerShard=0", 400,
		 "targetBytesPerShard must be a positive value"},
		{L "index/shards", 0, 0, "query={app=\"x\"}&targetBytesPerShard=1KB", 200,
		 "{\"shards\":[{\"bounds\":{\"min\":0,\"max\":18446744073709551615},\"stats\":{\"streams\":2,"
		 "\"chunks\":0,"
		 "\"bytes\":35,\"entries\":2}}],\"statistics\":{…"},
		{L "index/shards", 0, 0, "query={app=\"x\"}&targetBytesPerShard=20B", 200,
		 "{\"shards\":[{\"bounds\":{\"min\":0,\"max\":9223372036854775807},\"stats\":{\"streams\":1,\"chunks\":"
		 "0,"
		 "\"bytes\":18,\"entries\":1}},{\"bounds\":{\"min\":9223372036854775808,\"max\":18446744073709551615},"
		 "…"},
		{L "index/volume", 0, 0, "query={bad", 400, "parse error …"},
		{L "index/volume", 0, 0, "query={app!=\"\"}", 200,
		 VECTOR "{\"metric\":{\"app\":\"x\"},\"value\":[100,\"35\"]},{\"metric\":{\"app\":\"y\"},\"value\":["
			"100,\"3\"]}],…"},
		{L "index/volume", 0, 0, "query={}&targetLabels=env&limit=1", 200,
		 VECTOR "{\"metric\":{\"env\":\"q\"},\"value\":[100,\"26\"]}],…"},
		{L "index/volume", 0, 0, "query={}&aggregateBy=labels", 200,
		 VECTOR "{\"metric\":{\"app\":\"\"},\"value\":[100,\"38\"]},{\"metric\":{\"env\":\"\"},\"value\":[100,"
			"\"35\"]}],…"},
		{L "index/volume", 0, 0, "query={}&aggregateBy=bad", 400, "invalid aggregation option"},
		{L "index/volume", 0, 0, "query={}&start=-9000000000000000000&end=9000000000000000000", 400,
		 "the range from start to end is longer than 292 years"},
		{L "index/volume_range", 0, 0, "query={env=\"q\"}&start=10&end=30&step=10", 200,
		 "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"env\":\"q\"},"
		 "\"values\":"
		 "[[19.999,\"0\"],[30,\"26\"]]}],…"},
	};
	CALLS(v);
	t.limits.volume_max_series = 2;
	limits_changed();
	static const struct call refused[] = {
		{L "index/volume", 0, 0, "query={}", 400,
		 "the query hit the max number of series limit (limit: 2 series)"},
	};
	CALLS(refused);
	t.limits.volume_max_series = 3;
	limits_changed();
}

static void what_max_query_lookback_hides(void **state)
{
	(void)state;
	static const struct call some[] = {
		{L "labels", 0, 0, "start=0", 200, "{\"status\":\"success\",\"data\":[\"app\"]}\n"},
		{L "label/{name}/values", "env", 0, "start=0", 200, "{\"status\":\"success\"}\n"},
		{L "series", 0, 0, "match[]={}&start=0", 200, "{\"status\":\"success\",\"data\":[{\"app\":\"y\"}]}\n"},
		{L "index/stats", 0, 0, "query={app=~\".+\"}&start=0", 200,
		 "{\"streams\":1,\"chunks\":0,\"bytes\":3,\"entries\":1}\n"},
		{L "index/volume", 0, 0, "query={}&start=0", 200,
		 VECTOR "{\"metric\":{\"app\":\"y\"},\"value\":[100,\"3\"]}],…"},
	};
	static const struct call nothing[] = {
		{L "labels", 0, 0, "start=0&end=50", 200, "{\"status\":\"success\"}\n"},
		{L "index/stats", 0, 0, "query={app=~\".+\"}&start=0&end=50", 200,
		 "{\"streams\":0,\"chunks\":0,\"bytes\":0,\"entries\":0}\n"},
		{L "index/volume", 0, 0, "query={}&start=0&end=50", 200, VECTOR "],…"},
	};
	t.limits.max_query_lookback = 75 * UNITS_SEC;
	limits_changed();
	CALLS(some);
	t.limits.max_query_lookback = 10 * UNITS_SEC;
	limits_changed();
	CALLS(nothing);
}

static void bounds_of_volume(void **state)
{
	(void)state;
	static const struct call refused[] = {
		{L "index/volume_range", 0, 0, "query={}&start=0&end=100&step=1", 400,
		 "volumes of 1 series at 100 steps need more memory than larch.memory_limit leaves for queries (0 of "
		 "1 KiB are in use); …"},
	};
	static const struct call fine[] = {{L "index/volume", 0, 0, "query={}", 200, VECTOR "…"}};
	struct budget *memory = exec_budget(t.api.engine);
	size_t limit = memory->limit;
	memory->limit = 1024;
	CALLS(refused);
	assert_int_equal(budget_used(memory), 0);
	memory->limit = limit;
	t.limits.query_timeout = 0; /* none */
	limits_changed();
	CALLS(fine);
	assert_int_equal(t.store.deadline, 0);
	assert_int_equal(budget_used(memory), 0);
}

static void who_has_gone_is_not_searched_for(void **state)
{
	(void)state;
	struct httpd_req r = {.args = "match[]={}", .org = "a", .cancelled = true};
	route(L "series")(&r, &t.api);
	assert_int_equal(r.replies, 1);
	assert_int_equal(r.status, 499);
	buf_free(&r.body);
}

static void detection(void **state)
{
	(void)state;
	static const struct call v[] = {
		{L "detected_labels", 0, 0, "", 200,
		 "{\"detectedLabels\":[{\"label\":\"app\",\"cardinality\":2},{\"label\":\"env\",\"cardinality\":2}]}"
		 "\n"},
		{L "detected_fields", 0, 0, "query={env=\"p\"}", 200,
		 "{\"fields\":[{\"label\":\"lvl\",\"type\":\"string\",\"cardinality\":1,\"parsers\":null},{\"label\":"
		 "\"n\",\"type\":\"int\","
		 "\"cardinality\":1,\"parsers\":[\"logfmt\"]},{\"label\":\"d\",\"type\":\"duration\",\"cardinality\":1,"
		 "\"parsers\":"
		 "[\"logfmt\"]}],\"limit\":1000}\n"},
		{L "detected_fields", 0, 0, "query={env=\"q\"}&limit=5", 200,
		 "{\"fields\":[{\"label\":\"n\",\"type\":\"string\",\"cardinality\":1,\"parsers\":[\"json\"],"
		 "\"jsonPath\":[\"n\"]},{\"label\":"
		 "\"o_p_q\",\"type\":\"float\",\"cardinality\":1,\"parsers\":[\"json\"],\"jsonPath\":[\"o\",\"p "
		 "q\"]}],\"limit\":5}\n"},
		{L "detected_field/{name}/values", "lvl", 0, "query={app=\"x\"}", 200,
		 "{\"values\":[\"info\"],\"limit\":1000}\n"},
		{L "detected_field/{name}/values", "nope", 0, "query={app=\"x\"}", 200, "{}\n"},
	};
	CALLS(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(bad_times),
		cmocka_unit_test(durations),
		cmocka_unit_test(bounds),
		cmocka_unit_test(steps),
		cmocka_unit_test(limits_and_directions),
		cmocka_unit_test(tenants),
		cmocka_unit_test(long_tenants_are_refused),
		cmocka_unit_test_setup_teardown(queries, setup, teardown),
		cmocka_unit_test_setup_teardown(categories, setup, teardown),
		cmocka_unit_test_setup_teardown(labels_and_series, setup, teardown),
		cmocka_unit_test_setup_teardown(what_max_query_lookback_hides, setup, teardown),
		cmocka_unit_test_setup_teardown(bounds_of_volume, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_gone_is_not_searched_for, setup, teardown),
		cmocka_unit_test_setup_teardown(no_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(index_of_data, setup, teardown),
		cmocka_unit_test_setup_teardown(detection, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
