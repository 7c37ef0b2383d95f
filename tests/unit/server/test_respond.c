/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/respond.h"

#include "common/json.h"
#include "common/units.h"
#include "tests/unit/check.h"

#include <math.h>

static void times(void **state)
{
	(void)state;
	static const struct {
		int64_t ns;
		const char *want;
	} rows[] = {
		{0, "0"},
		{1793491200 * UNITS_SEC, "1793491200"},
		{1793491200 * UNITS_SEC + 500 * UNITS_MS, "1793491200.5"},
		{1793491200 * UNITS_SEC + 120 * UNITS_MS, "1793491200.12"},
		{UNITS_SEC + 7 * UNITS_MS + 999999, "1.007"},
		{-1500 * UNITS_MS, "-1.5"},
		{-1, "-0.001"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(rows); i++) {
		respond_time(&b, rows[i].ns);
		check_buf(&b, rows[i].want);
	}
	buf_free(&b);
}

static void labels_are_escaped(void **state)
{
	(void)state;
	struct buf b = {0};
	struct label v[] = {{STR("a"), STR("<\"&\n")}, {STR("b"), STR("")}};
	respond_labels(&b, &(struct labels){v, 2});
	check_buf(&b, "{\"a\":\"\\u003c\\\"\\u0026\\n\",\"b\":\"\"}");
	respond_labels(&b, &(struct labels){NULL, 0});
	check_buf(&b, "{}");
	buf_free(&b);
}

/* The text before the statistics, and what follows them. */
static void check_around(struct buf *b, const char *head, const char *tail)
{
	struct str all = buf_view(b), stats = STR("\"stats\":");
	ssize_t at = str_find(all, stats);
	assert_true(at > 0);
	check_str(str_sub(all, 0, (size_t)at), str_c(head));
	struct err e = ERR_INIT;
	struct json j;
	struct str raw;
	json_init(&j, str_from(all, (size_t)at + stats.n), &e);
	assert_true(json_raw(&j, &raw));
	check_str(str_from(all, (size_t)(raw.p + raw.n - all.p)), str_c(tail));
	buf_clear(b);
}

static void streams(void **state)
{
	(void)state;
	struct label stream = {STR("app"), STR("x")}, meta = {STR("m"), STR("1")}, parsed = {STR("p"), STR("2")};
	struct exec_entry v[] = {
		{5, STR("one"), {&meta, 1}, {&parsed, 1}},
		{6, STR("two"), {NULL, 0}, {&parsed, 1}},
		{7, STR("three"), {NULL, 0}, {NULL, 0}},
	};
	struct exec_stream s = {{&stream, 1}, v, 3};
	struct str warning = STR("hm");
	struct exec_result r = {.kind = EXEC_STREAMS, .streams = &s, .n_streams = 1};
	struct buf b = {0};
	respond_query(&b, &r, false);
	check_around(&b,
		     "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[{\"stream\":{\"app\":"
		     "\"x\"},\"values\":"
		     "[[\"5\",\"one\"],[\"6\",\"two\"],[\"7\",\"three\"]]}],",
		     "}}\n");
	r.warnings = &warning;
	r.n_warnings = 1;
	respond_query(&b, &r, true);
	check_around(
		&b,
		"{\"status\":\"success\",\"warnings\":[\"hm\"],\"data\":{\"resultType\":\"streams\",\"encodingFlags\":"
		"[\"categorize-labels\"],\"result\":[{\"stream\":{\"app\":\"x\"},\"values\":[[\"5\",\"one\",{"
		"\"structuredMetadata\":"
		"{\"m\":\"1\"},\"parsed\":{\"p\":\"2\"}}],[\"6\",\"two\",{\"parsed\":{\"p\":\"2\"}}],[\"7\",\"three\",{"
		"}]]}],",
		"}}\n");
	respond_legacy(&b, &r);
	check_around(&b,
		     "{\"streams\":[{\"labels\":\"{app=\\\"x\\\"}\",\"entries\":[{\"ts\":\"1970-01-01T00:00:00."
		     "000000005Z\",\"line\":"
		     "\"one\"},{\"ts\":\"1970-01-01T00:00:00.000000006Z\",\"line\":\"two\"},{\"ts\":\"1970-01-01T00:00:"
		     "00.000000007Z\","
		     "\"line\":\"three\"}]}],",
		     "}\n");
	buf_free(&b);
}

static void samples(void **state)
{
	(void)state;
	struct exec_point v[] = {
		{UNITS_SEC, 1.5}, {2500 * UNITS_MS, NAN}, {3 * UNITS_SEC, INFINITY}, {4 * UNITS_SEC, 1e21}};
	struct exec_series s = {{NULL, 0}, v, 4};
	struct str warning = STR("hm");
	struct exec_result r = {.kind = EXEC_MATRIX, .series = &s, .n_series = 1};
	struct buf b = {0};
	respond_query(&b, &r, false);
	check_around(&b,
		     "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},"
		     "\"values\":[[1,\"1.5\"],"
		     "[2.5,\"NaN\"],[3,\"+Inf\"],[4,\"1000000000000000000000\"]]}],",
		     "}}");
	r.kind = EXEC_VECTOR;
	r.warnings = &warning;
	r.n_warnings = s.n = 1;
	respond_query(&b, &r, false);
	check_around(&b,
		     "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":"
		     "[1,\"1.5\"]}],",
		     "},\"warnings\":[\"hm\"]}");
	r.n_warnings = 0;
	r.kind = EXEC_SCALAR;
	v[0] = (struct exec_point){INT64_C(1793491200000000000), 2};
	respond_query(&b, &r, false);
	check_around(&b,
		     "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[4157024850173,\"2\"],",
		     "}}");
	r = (struct exec_result){.kind = EXEC_MATRIX};
	respond_query(&b, &r, false);
	check_around(&b, "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[],", "}}");
	buf_free(&b);
}

static void stats_have_every_key(void **state)
{
	(void)state;
	struct exec_stats s = {.scan = {.head_bytes = 10, .head_lines = 1, .segment_bytes = 30, .segment_lines = 3},
			       .entries = 2,
			       .post_filter_lines = 4,
			       .exec_ns = 2 * UNITS_SEC};
	struct buf b = {0};
	respond_stats(&b, &s);
	static const char *const parts[] = {
		"\"summary\":{\"bytesProcessedPerSecond\":20,\"linesProcessedPerSecond\":2,\"totalBytesProcessed\":40,"
		"\"totalLinesProcessed\":4,\"execTime\":2.000000,",
		"\"totalEntriesReturned\":2,",
		"\"totalPostFilterLines\":4,",
		"\"querier\":{\"store\":{",
		"\"ingester\":{\"totalReached\":0,\"totalChunksMatched\":0,\"totalBatches\":0,\"totalLinesSent\":0,"
		"\"store\":{",
		"\"decompressedBytes\":30,\"decompressedLines\":3,",
		"\"headChunkBytes\":10,\"headChunkLines\":1,",
		"\"dataobj\":{",
		"\"cache\":{\"chunk\":{\"entriesFound\":0,",
		"\"instantMetricResult\":{",
		"\"index\":{\"totalChunks\":0,",
	};
	for (size_t i = 0; i < COUNT(parts); i++)
		if (str_find(buf_view(&b), str_c(parts[i])) < 0) fail_msg("missing: %s\nin %s", parts[i], buf_cstr(&b));
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),   cmocka_unit_test(labels_are_escaped),   cmocka_unit_test(streams),
		cmocka_unit_test(samples), cmocka_unit_test(stats_have_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
