/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/units.h"

#include "tests/unit/check.h"

/* What a parser makes of a text: a value, or an error. */
struct parse_case {
	const char *text;
	int64_t v;
	const char *error; /* NULL: parsed */
};

static void check_i64(bool (*parse)(struct str, int64_t *, struct err *), const struct parse_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err e = ERR_INIT;
		int64_t v = 0;
		bool ok = parse(str_c(c[i].text), &v, &e);
		check_text(ok ? "" : e.msg, c[i].error ? c[i].error : "");
		assert_int_equal(v, c[i].v);
		if (!ok) assert_int_equal(e.code, ERR_INVALID);
	}
}

static void check_u64(bool (*parse)(struct str, uint64_t *, struct err *), const struct parse_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err e = ERR_INIT;
		uint64_t v = 0;
		bool ok = parse(str_c(c[i].text), &v, &e);
		check_text(ok ? "" : e.msg, c[i].error ? c[i].error : "");
		if (ok) assert_true(v == (uint64_t)c[i].v);
	}
}

static void go_durations(void **state)
{
	(void)state;
	static const struct parse_case cases[] = {
		{"0", 0, NULL},
		{"-0", 0, NULL},
		{"+5s", 5 * UNITS_SEC, NULL},
		{"-2us", -2000, NULL},
		{"1h30m", 90 * UNITS_MIN, NULL},
		{"1.5h", 90 * UNITS_MIN, NULL},
		{".5s", 500 * UNITS_MS, NULL},
		{"5.s", 5 * UNITS_SEC, NULL},
		{"300ms", 300 * UNITS_MS, NULL},
		{"1µs", 1000, NULL},
		{"1\xce\xbcs", 1000, NULL},     /* Greek mu */
		{"1m1h", 61 * UNITS_MIN, NULL}, /* any order, repeated */
		{"1s1s", 2 * UNITS_SEC, NULL},
		{"0.3333333333333333333h", 20 * UNITS_MIN, NULL},
		{"0.9223372036854775807s", 922337203, NULL}, /* the fraction is cut to what fits */
		{"0.1ns", 0, NULL},
		{"9223372036854775807ns", INT64_MAX, NULL},
		{"-9223372036854775808ns", INT64_MIN, NULL},
		{"9223372036854775808ns", 0, "time: invalid duration \"9223372036854775808ns\""},
		{"9223372036s9223372036s", 0, "time: invalid duration \"9223372036s9223372036s\""},
		{"2562048h", 0, "time: invalid duration \"2562048h\""},
		{"99999999999999999999h", 0, "time: invalid duration \"99999999999999999999h\""},
		{"", 0, "time: invalid duration \"\""},
		{"-", 0, "time: invalid duration \"-\""},
		{"s", 0, "time: invalid duration \"s\""},
		{".", 0, "time: invalid duration \".\""},
		{".s", 0, "time: invalid duration \".s\""},
		{"xx", 0, "time: invalid duration \"xx\""},
		{"5", 0, "time: missing unit in duration \"5\""},
		{"1h5", 0, "time: missing unit in duration \"1h5\""},
		{"1d", 0, "time: unknown unit \"d\" in duration \"1d\""},
		{"1h 5m", 0, "time: unknown unit \"h \" in duration \"1h 5m\""},
		{"+-1s", 0, "time: invalid duration \"+-1s\""},
	};
	check_i64(units_dur_go, cases, COUNT(cases));
}

static void prom_durations(void **state)
{
	(void)state;
	static const struct parse_case cases[] = {
		{"0", 0, NULL},
		{"0s", 0, NULL},
		{"1y2w3d4h5m6s7ms",
		 (365 + 14 + 3) * UNITS_DAY + 4 * UNITS_HOUR + 5 * UNITS_MIN + 6 * UNITS_SEC + 7 * UNITS_MS, NULL},
		{"1d12h", 36 * UNITS_HOUR, NULL},
		{"744h", 744 * UNITS_HOUR, NULL},
		{"292y", INT64_C(292) * 365 * UNITS_DAY, NULL},
		{"300y", 0, "duration out of range"},
		{"292y300d", 0, "duration out of range"},
		{"", 0, "empty duration string"},
		{"5", 0, "not a valid duration string: \"5\""},
		{"-5m", 0, "not a valid duration string: \"-5m\""},
		{"1.5h", 0, "unknown unit \".\" in duration \"1.5h\""},
		{"5m:1m", 0, "unknown unit \"m:\" in duration \"5m:1m\""},
		{"1s1h", 0, "not a valid duration string: \"1s1h\""},
		{"1s1s", 0, "not a valid duration string: \"1s1s\""},
		{"1x", 0, "unknown unit \"x\" in duration \"1x\""},
		{"99999999999999999999s", 0, "not a valid duration string: \"99999999999999999999s\""},
	};
	check_i64(units_dur_prom, cases, COUNT(cases));
	static const struct parse_case any[] = {
		{"1d", UNITS_DAY, NULL},
		{"1.5h", 90 * UNITS_MIN, NULL},
		{"-5m", -5 * UNITS_MIN, NULL},
		{"100us", 100 * UNITS_US, NULL},
		{"1m1h", 61 * UNITS_MIN, NULL},
		{"1.5d", 0, "unknown unit \".\" in duration \"1.5d\""},
		{"5", 0, "not a valid duration string: \"5\""},
	};
	check_i64(units_dur_any, any, COUNT(any));
}

static void durations_print(void **state)
{
	(void)state;
	static const struct {
		int64_t ns;
		const char *go, *prom;
	} cases[] = {
		{0, "0s", "0s"},
		{1, "1ns", "0s"},
		{999, "999ns", "0s"},
		{1000, "1µs", "0s"},
		{332000, "332µs", "0s"},
		{1100, "1.1µs", "0s"},
		{2200000, "2.2ms", "2ms"},
		{999999999, "999.999999ms", "999ms"},
		{UNITS_SEC, "1s", "1s"},
		{3300 * UNITS_MS, "3.3s", "3s300ms"},
		{63500 * UNITS_MS, "1m3.5s", "1m3s500ms"},
		{5 * UNITS_MIN + 5001 * UNITS_MS, "5m5.001s", "5m5s1ms"},
		{UNITS_HOUR, "1h0m0s", "1h"},
		{90 * UNITS_MIN, "1h30m0s", "1h30m"},
		{UNITS_DAY, "24h0m0s", "1d"},
		{9 * UNITS_DAY, "216h0m0s", "9d"}, /* weeks only when they are whole */
		{14 * UNITS_DAY, "336h0m0s", "2w"},
		{365 * UNITS_DAY, "8760h0m0s", "1y"},
		{-1500 * UNITS_MS, "-1.5s", "-1s500ms"},
		{INT64_MAX, "2562047h47m16.854775807s", "106751d23h47m16s854ms"},
		{INT64_MIN, "-2562047h47m16.854775808s", "-106751d23h47m16s854ms"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(cases); i++) {
		units_dur_go_print(&b, cases[i].ns);
		check_buf(&b, cases[i].go);
		units_dur_prom_print(&b, cases[i].ns);
		check_buf(&b, cases[i].prom);
	}
	buf_free(&b);
}

#define NO_SIZE "not a size (a number with B, KB, MB, GB, TB, PB or EB, powers of 1024, as in 256KB): "

static void sizes(void **state)
{
	(void)state;
	static const struct parse_case cases_1024[] = {
		{"0", 0, NULL},
		{"262144", 262144, NULL},
		{"100B", 100, NULL},
		{"256KB", 256 << 10, NULL},
		{"256kb", 256 << 10, NULL},
		{"4M", 4 << 20, NULL},
		{"1.5MiB", 3 << 19, NULL},
		{"3 GB", INT64_C(3) << 30, NULL},
		{"15EB", (int64_t)(UINT64_C(15) << 60), NULL},
		{"18446744073709551615", -1, NULL},
		{"16EB", 0, "size out of range: \"16EB\""},
		{"16.5EB", 0, "size out of range: \"16.5EB\""},
		{"18446744073709551616", 0, "size out of range: \"18446744073709551616\""},
		{"", 0, NO_SIZE "\"\""},
		{"KB", 0, NO_SIZE "\"KB\""},
		{"-1KB", 0, NO_SIZE "\"-1KB\""},
		{".5KB", 0, NO_SIZE "\".5KB\""},
		{"1.2.3KB", 0, NO_SIZE "\"1.2.3KB\""},
		{"1XB", 0, NO_SIZE "\"1XB\""},
		{"1KBB", 0, NO_SIZE "\"1KBB\""},
	};
	check_u64(units_bytes_1024, cases_1024, COUNT(cases_1024));
	static const struct parse_case human[] = {
		{"42", 42, NULL},
		{"42 B", 42, NULL},
		{"42MB", 42000000, NULL},
		{"42 mb", 42000000, NULL},
		{"42MiB", 42 << 20, NULL},
		{"42mi", 42 << 20, NULL},
		{"42k", 42000, NULL},
		{"42.5MB", 42500000, NULL},
		{"1,005.03 MB", 1005030000, NULL},
		{"12.5 EB", (int64_t)UINT64_C(12500000000000000000), NULL},
		{"84 JB", 0, "unhandled size name: jb"},
		{"", 0, "strconv.ParseFloat: parsing \"\": invalid syntax"},
		{"-5KB", 0, "strconv.ParseFloat: parsing \"\": invalid syntax"},
		{"1.2.3KB", 0, "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax"},
		{"16 EiB", 0, "too large: 16 EiB"},
	};
	check_u64(units_bytes_human, human, COUNT(human));
}

static void sizes_print(void **state)
{
	(void)state;
	static const struct {
		uint64_t n;
		const char *human, *text;
	} cases[] = {
		{0, "0B", "0B"},
		{9, "9B", "9B"},
		{10, "10B", "10B"},
		{100, "100B", "100B"},
		{999, "999B", "999B"},
		{1000, "1.0kB", "1000B"},
		{1024, "1.0kB", "1KB"},
		{1500, "1.5kB", "1500B"},
		{9999, "10kB", "9999B"},
		{1000000, "1.0MB", "1000000B"},
		{1536 << 10, "1.6MB", "1536KB"},
		{3 << 20, "3.1MB", "3MB"},
		{82854982, "83MB", "82854982B"},
		{UINT64_C(1000000000), "1.0GB", "1000000000B"},
		{UINT64_C(1) << 60, "1.2EB", "1EB"},
		{UINT64_MAX, "18EB", "18446744073709551615B"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(cases); i++) {
		units_bytes_human_print(&b, cases[i].n);
		check_buf(&b, cases[i].human);
		units_bytes_1024_print(&b, cases[i].n);
		check_buf(&b, cases[i].text);
	}
	buf_free(&b);
}

static void times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ns;
		const char *nano; /* printed back */
	} good[] = {
		{"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"},
		{"1969-12-31T23:59:59.9Z", -100000000, "1969-12-31T23:59:59.9Z"},
		{"2026-11-01T00:00:00Z", INT64_C(1793491200) * UNITS_SEC, "2026-11-01T00:00:00Z"},
		{"2026-11-01T01:00:00+01:00", INT64_C(1793491200) * UNITS_SEC, "2026-11-01T00:00:00Z"},
		{"2026-10-31T19:30:00-04:30", INT64_C(1793491200) * UNITS_SEC, "2026-11-01T00:00:00Z"},
		{"2000-02-29T12:00:00.123456789Z", INT64_C(951825600123456789), "2000-02-29T12:00:00.123456789Z"},
		{"2000-02-29T12:00:00.1234567899Z", INT64_C(951825600123456789), "2000-02-29T12:00:00.123456789Z"},
		{"2000-02-29T12:00:00.120Z", INT64_C(951825600120000000), "2000-02-29T12:00:00.12Z"},
		{"1677-09-21T00:12:43.145224193Z", INT64_MIN + 1, "1677-09-21T00:12:43.145224193Z"},
		{"2262-04-11T23:47:16.854775806Z", INT64_MAX - 1, "2262-04-11T23:47:16.854775806Z"},
	};
	static const char *const bad[] = {"",
					  "2026-11-01",
					  "2026-11-01T00:00:00",
					  "2026-11-01 00:00:00Z",
					  "2026-11-01t00:00:00Z",
					  "2026-13-01T00:00:00Z",
					  "2026-00-01T00:00:00Z",
					  "2026-02-29T00:00:00Z",
					  "1900-02-29T00:00:00Z",
					  "2026-04-31T00:00:00Z",
					  "2026-11-00T00:00:00Z",
					  "2026-11-01T24:00:00Z",
					  "2026-11-01T00:60:00Z",
					  "2026-11-01T00:00:60Z",
					  "2026-11-01T00:00:00.Z",
					  "2026-11-01T00:00:00+0100",
					  "2026-11-01T00:00:00+24:00",
					  "2026-11-01T00:00:00Zx",
					  "2026-11-01T00:00:00+01:00x",
					  "26-11-01T00:00:00Z",
					  "9999-01-01T00:00:00Z",
					  "1000-01-01T00:00:00Z"};
	struct buf b = {0};
	struct err e = ERR_INIT;
	int64_t ns;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(units_rfc3339(str_c(good[i].text), &ns, &e));
		assert_int_equal(ns, good[i].ns);
		units_rfc3339nano_print(&b, ns);
		check_buf(&b, good[i].nano);
	}
	for (size_t i = 0; i < COUNT(bad); i++) assert_false(units_rfc3339(str_c(bad[i]), &ns, &e));
	check_text(e.msg, "time outside of 1677-09-21 to 2262-04-11: \"1000-01-01T00:00:00Z\"");
	units_rfc3339_print(&b, 1999999999);
	check_buf(&b, "1970-01-01T00:00:01Z");
	buf_free(&b);
}

static void calendar(void **state)
{
	(void)state;
	struct units_civil c;
	for (int64_t day = -106600; day < 106700; day += 13) { /* 1678 to 2262 */
		int64_t ns = day * UNITS_DAY + 12345678901;
		units_civil(ns, &c);
		assert_int_equal(units_from_civil(&c), ns);
		assert_int_equal(c.wday, ((day + 4) % 7 + 7) % 7);
		int64_t begin = units_from_civil(&(struct units_civil){.year = c.year, .mon = 1, .day = 1});
		assert_int_equal((ns - begin) / UNITS_DAY + 1, c.yday);
	}
	units_civil(INT64_MIN, &c);
	assert_int_equal(c.year, 1677);
	assert_int_equal(units_from_civil(&c), INT64_MIN);
	units_civil(INT64_MAX, &c);
	assert_int_equal(c.nsec, 854775807);
	assert_int_equal(units_from_civil(&c), INT64_MAX);
	/* Normalised like Go's time.Date. */
	struct units_civil odd = {.year = 2025, .mon = 14, .day = 30, .hour = -1, .min = 61, .sec = -1};
	units_civil(units_from_civil(&odd), &c);
	assert_true(c.year == 2026 && c.mon == 3 && c.day == 2 && c.hour == 0 && c.min == 0 && c.sec == 59);
	odd = (struct units_civil){.year = 2026, .mon = 0, .day = 1};
	units_civil(units_from_civil(&odd), &c);
	assert_true(c.year == 2025 && c.mon == 12);
	assert_int_equal(units_from_civil(&(struct units_civil){.year = INT64_MAX, .mon = 1, .day = 1}), INT64_MAX);
	assert_int_equal(units_from_civil(&(struct units_civil){.year = INT64_MIN, .mon = 1, .day = 1}), INT64_MIN);
	assert_int_equal(units_from_civil(&(struct units_civil){.year = 2000, .mon = INT32_MIN, .day = 1}), INT64_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(go_durations), cmocka_unit_test(prom_durations), cmocka_unit_test(durations_print),
		cmocka_unit_test(sizes),        cmocka_unit_test(sizes_print),    cmocka_unit_test(times),
		cmocka_unit_test(calendar),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
