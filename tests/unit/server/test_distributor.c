/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/distributor/distributor.h"

#include "common/units.h"
#include "server/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW (INT64_C(1790000000) * UNITS_SEC)

struct fixture {
	struct clock_fake clock;
	struct metrics *metrics;
	struct distributor *d;
	struct limits limits;
	struct arena conf, a;
	struct distributor_result r;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof *f);
	clock_fake_init(&f->clock, NOW, 1);
	f->metrics = metrics_new(server_metrics, SERVER_METRICS);
	f->d = distributor_new(&f->clock.base, f->metrics);
	arena_init(&f->conf, 0);
	arena_init(&f->a, 0);
	conf_defaults(&limits_table, &f->limits, &f->conf);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	distributor_free(f->d);
	metrics_free(f->metrics);
	arena_free(&f->conf);
	arena_free(&f->a);
	free(f);
	return 0;
}

static struct push_entry entry(int64_t ago, const char *line) { return (struct push_entry){.ts = NOW - ago, .line = str_c(line)}; }

/* One stream with these entries. */
static void check(struct fixture *f, const char *labels, struct push_entry *v, size_t n)
{
	struct push_stream st = {.labels = str_c(labels), .v = v, .n = n};
	struct push p = {.v = &st, .n = 1, .entries = n};
	distributor_check(f->d, &f->limits, &f->a, STR("t"), &p, &f->r);
}

static void says(struct fixture *f, int status, const char *text)
{
	assert_int_equal(f->r.status, status);
	if (!str_eqc(f->r.text, text)) fail_msg("got  %.*s\nwant %s", STR_ARG(f->r.text), text);
}

static double discarded(struct fixture *f, const char *reason)
{
	struct str values[] = {str_c(reason), STR("t")};
	return metrics_value(metrics_get(f->metrics, METRIC_DISCARDED_SAMPLES, values));
}

static void service_name_and_level_are_added(void **state)
{
	struct fixture *f = *state;
	struct push_entry v[] = {entry(1, "ERROR x"), entry(0, "plain")};
	check(f, "{container=\"c\", job=\"j\"}", v, 2);
	assert_int_equal(f->r.status, 0);
	assert_int_equal(f->r.push.n, 1);
	const struct ingest_stream *st = &f->r.push.v[0];
	assert_true(str_eqc(labels_get(&st->labels, STR("service_name")), "c"));
	assert_true(str_eqc(labels_get(&st->v[0].meta, STR("detected_level")), "error"));
	assert_true(str_eqc(labels_get(&st->v[1].meta, STR("detected_level")), "unknown"));
}

static void no_labels_is_an_unknown_service(void **state)
{
	struct fixture *f = *state;
	struct push_entry v[] = {entry(1, "x")};
	check(f, "", v, 1);
	assert_int_equal(f->r.push.n, 1);
	assert_true(str_eqc(labels_get(&f->r.push.v[0].labels, STR("service_name")), "unknown_service"));
	f->limits.discover_service_name.n = 0;
	check(f, "{}", v, 1);
	says(f, 400, "error at least one label pair is required per stream");
	assert_true(discarded(f, "missing_labels") == 1);
}

static void bad_labels_refuse_everything(void **state)
{
	struct fixture *f = *state;
	struct push_entry a[] = {entry(1, "good")}, b[] = {entry(1, "x")};
	struct push_stream st[] = {{STR("{app=\"a\"}"), a, 1}, {STR("{app=bad}"), b, 1}};
	struct push p = {.v = st, .n = 2, .entries = 2};
	distributor_check(f->d, &f->limits, &f->a, STR("t"), &p, &f->r);
	says(f, 400, "couldn't parse labels: 1:6: parse error: unexpected identifier \"bad\" in label set, expected string");
	assert_int_equal(f->r.push.n, 0);
}

static void labels_are_limited(void **state)
{
	struct fixture *f = *state;
	struct push_entry v[] = {entry(1, "x")};
	check(f, "{app=\"a\", app=\"b\"}", v, 1);
	says(f, 400, "stream '{app=\"a\", app=\"b\", service_name=\"a\"}' has duplicate label name: 'app'");
	f->limits.max_label_names_per_series = 1;
	check(f, "{app=\"a\", b=\"b\"}", v, 1);
	says(f, 400, "entry for stream '{app=\"a\", b=\"b\", service_name=\"a\"}' has 2 label names; limit 1");
	f->limits.max_label_names_per_series = 15;
	f->limits.max_label_value_length = 2;
	check(f, "{b=\"abc\", service_name=\"s\"}", v, 1);
	says(f, 400, "stream '{b=\"abc\", service_name=\"s\"}' has label value too long: 'abc'");
	f->limits.max_label_value_length = 2048;
	f->limits.enforced_labels = (struct conf_strs){(struct str[]){STR("env"), STR("app")}, 2};
	check(f, "{app=\"a\"}", v, 1);
	says(f, 400, "missing required labels 'env' for user 't' for stream '{app=\"a\", service_name=\"a\"}' (policy: '')");
}

static void good_entries_survive_bad_ones(void **state)
{
	struct fixture *f = *state;
	struct push_entry v[] = {entry(8 * UNITS_DAY, "old"), entry(-11 * UNITS_MIN, "new"), entry(-9 * UNITS_MIN, "fine"), entry(6 * UNITS_DAY, "fine")};
	check(f, "{app=\"a\"}", v, 4);
	assert_int_equal(f->r.push.n, 1);
	assert_int_equal(f->r.push.v[0].n, 2);
	says(f, 400, "1 errors like: entry for stream '{app=\"a\", service_name=\"a\"}' has timestamp too old: 2026-09-13T14:13:20Z, oldest "
	             "acceptable timestamp is: 2026-09-14T14:13:20Z; 1 errors like: entry for stream '{app=\"a\", service_name=\"a\"}' has "
	             "timestamp too new: 2026-09-21T14:24:20Z");
	f->limits.reject_old_samples = false;
	struct push_entry w[] = {entry(800 * UNITS_DAY, "old")};
	check(f, "{app=\"a\"}", w, 1);
	assert_int_equal(f->r.status, 0);
}

static void equal_refusals_are_counted(void **state)
{
	struct fixture *f = *state;
	struct push_entry v[] = {entry(1, "12345"), entry(2, "54321"), entry(3, "1234")};
	f->limits.max_line_size = 4;
	check(f, "{app=\"a\"}", v, 3);
	says(f, 400, "2 errors like: max entry size '4' bytes exceeded for stream '{app=\"a\", service_name=\"a\"}' while adding an entry with "
	             "length '5' bytes");
	assert_int_equal(f->r.push.v[0].n, 1);
	assert_true(discarded(f, "line_too_long") == 2);
}

static void long_lines_are_cut_when_asked(void **state)
{
	struct fixture *f = *state;
	struct push_entry v[] = {entry(1, "123456789")};
	f->limits.max_line_size = 5;
	f->limits.max_line_size_truncate = true;
	f->limits.max_line_size_truncate_identifier = STR("..");
	check(f, "{app=\"a\"}", v, 1);
	assert_int_equal(f->r.status, 0);
	assert_true(str_eqc(f->r.push.v[0].v[0].line, "123.."));

	v[0] = entry(1, "");
	v[0].line = str_of("1\0003456", 6); /* a line may have a NUL */
	check(f, "{app=\"a\"}", v, 1);
	assert_true(str_eq(f->r.push.v[0].v[0].line, str_of("1\0003..", 5)));
}

static void metadata_is_normalised_and_limited(void **state)
{
	struct fixture *f = *state;
	struct label meta[] = {{STR("trace.id"), STR("1")}, {STR("0ab"), STR("u")}, {STR("a--b"), STR("v\xff")}, {STR("__x__"), STR("r")}};
	struct push_entry v[] = {entry(1, "x")};
	v[0].meta = (struct labels){meta, 4};
	check(f, "{app=\"a\"}", v, 1);
	const struct labels *m = &f->r.push.v[0].v[0].meta;
	struct buf b = {0};
	labels_print(&b, m);
	assert_string_equal(buf_cstr(&b), "{__x__=\"r\", a_b=\"v \", detected_level=\"unknown\", key_0ab=\"u\", trace_id=\"1\"}");
	buf_free(&b);

	struct label bad[] = {{STR("__"), STR("1")}};
	v[0] = entry(1, "x");
	v[0].meta = (struct labels){bad, 1};
	check(f, "{app=\"a\"}", v, 1);
	assert_int_equal(f->r.status, 500);
	assert_int_equal(f->r.push.n, 0);

	v[0] = entry(1, "x");
	v[0].meta = (struct labels){meta, 4};
	f->limits.max_structured_metadata_entries_count = 3;
	check(f, "{app=\"a\"}", v, 1);
	assert_true(str_find(f->r.text, STR("too many structured metadata labels: '4', limit: '3'")) > 0);
	v[0].meta = (struct labels){meta, 4};
	f->limits.allow_structured_metadata = false;
	check(f, "{app=\"a\"}", v, 1);
	assert_true(str_find(f->r.text, STR("includes structured metadata, but this feature is disallowed")) > 0);
}

static void duplicate_timestamps_move_when_asked(void **state)
{
	struct fixture *f = *state;
	struct push_entry v[] = {entry(5, "a"), entry(5, "b"), entry(5, "b"), entry(4, "c")};
	f->limits.increment_duplicate_timestamp = true;
	check(f, "{app=\"a\"}", v, 4);
	const struct push_entry *e = f->r.push.v[0].v;
	assert_int_equal(e[0].ts, NOW - 5);
	assert_int_equal(e[1].ts, NOW - 4);
	assert_int_equal(e[2].ts, NOW - 5);
}

static void nothing_to_store(void **state)
{
	struct fixture *f = *state;
	struct push p = {0};
	distributor_check(f->d, &f->limits, &f->a, STR("t"), &p, &f->r);
	says(f, 422, "error at least one valid stream is required for ingestion");
	check(f, "{app=\"a\"}", NULL, 0);
	assert_int_equal(f->r.status, 0);
	assert_int_equal(f->r.push.n, 0);
}

static void rates_are_limited(void **state)
{
	struct fixture *f = *state;
	char *line = mem_zalloc(1 << 20);
	memset(line, 'x', (1 << 20) - 1);
	f->limits.max_line_size = 0;
	f->limits.ingestion_rate_mb = 1;
	f->limits.ingestion_burst_size_mb = 2;
	for (int i = 0; i < 3; i++) {
		struct push_entry v[] = {entry(i, line)};
		check(f, "{app=\"a\"}", v, 1);
		assert_int_equal(f->r.status, i < 2 ? 0 : 429);
	}
	says(f, 429, "ingestion rate limit exceeded for user t (limit: 1048576 bytes/sec) while attempting to ingest '1' lines totaling '1048575' "
	             "bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased");
	assert_int_equal(f->r.push.n, 0);
	clock_fake_step(&f->clock, 2 * UNITS_SEC);
	f->limits.per_stream_rate_limit = f->limits.per_stream_rate_limit_burst = 1 << 19;
	struct push_entry v[] = {entry(9, line)}, w[] = {entry(9, "small")};
	struct push_stream st[] = {{STR("{app=\"b\"}"), v, 1}, {STR("{app=\"c\"}"), w, 1}};
	struct push p = {.v = st, .n = 2, .entries = 2};
	distributor_check(f->d, &f->limits, &f->a, STR("t"), &p, &f->r);
	assert_int_equal(f->r.status, 429);
	assert_int_equal(f->r.push.n, 1); /* the other stream survives */
	assert_true(str_find(f->r.text, STR("Per stream rate limit exceeded (limit: 512KB/sec) while attempting to ingest for stream "
	                                    "'{app=\"b\", service_name=\"b\"}' totaling 1048575B")) > 0);
	free(line);
}

static void ingestion_can_be_blocked(void **state)
{
	struct fixture *f = *state;
	struct push_entry v[] = {entry(1, "x")};
	f->limits.block_ingestion_until_ns = NOW + UNITS_HOUR;
	check(f, "{app=\"a\"}", v, 1);
	says(f, 260, "ingestion blocked for user 't' until '2026-09-21T15:13:20Z' with status code '260'");
	assert_int_equal(f->r.push.n, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(service_name_and_level_are_added), T(no_labels_is_an_unknown_service), T(bad_labels_refuse_everything), T(labels_are_limited),
		T(good_entries_survive_bad_ones), T(equal_refusals_are_counted), T(long_lines_are_cut_when_asked),
		T(metadata_is_normalised_and_limited), T(duplicate_timestamps_move_when_asked), T(nothing_to_store), T(rates_are_limited),
		T(ingestion_can_be_blocked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
