/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/buf.h"

#include "tests/unit/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void grows_and_inserts(void **state)
{
	(void)state;
	struct buf b = {0};
	check_str(buf_view(&b), STR(""));
	check_text(buf_cstr(&b), "");
	for (int i = 0; i < 1000; i++) buf_c(&b, "0123456789");
	assert_int_equal(b.n, 10000);
	buf_clear(&b);
	buf_str(&b, STR("ad"));
	buf_insert(&b, 1, "bc", 2);
	buf_insert(&b, 4, "e", 1);
	buf_insert(&b, 0, NULL, 0);
	check_text(buf_cstr(&b), "abcde");
	buf_printf(&b, "%0*d", 300, 7); /* more than what is reserved at first */
	assert_int_equal(b.n, 305);
	assert_int_equal(b.p[304], '7');
	buf_str(&b, STR_NULL);
	assert_int_equal(b.n, 305);
	buf_free(&b);
	assert_null(b.p);
	buf_free(&b);
}

static void copies(void **state)
{
	(void)state;
	struct str s = mem_str(STR("a\0b"));
	assert_int_equal(s.n, 3);
	assert_memory_equal(s.p, "a\0b", 4);
	free((char *)s.p);
	s = mem_str(STR_NULL);
	assert_int_equal(s.p[0], 0);
	free((char *)s.p);
	int *v = NULL;
	size_t cap = 0;
	for (size_t i = 0; i < 100; i++) {
		MEM_GROW(v, i, cap);
		v[i] = (int)i;
	}
	assert_int_equal(v[99], 99);
	free(v);
}

static void decimal_integers(void **state)
{
	(void)state;
	struct buf b = {0};
	uint64_t v = 1;
	for (int digits = 1; digits <= 20; digits++, v *= 10) {
		char want[32];
		for (int d = -1; d <= 1; d++) {
			snprintf(want, sizeof want, "%llu", (unsigned long long)(v + (uint64_t)d));
			buf_u64(&b, v + (uint64_t)d);
			check_buf(&b, want);
		}
	}
	buf_u64(&b, UINT64_MAX);
	check_buf(&b, "18446744073709551615");
	buf_i64(&b, INT64_MIN);
	check_buf(&b, "-9223372036854775808");
	buf_i64(&b, -1);
	check_buf(&b, "-1");
	buf_free(&b);
}

static void binary_round_trips(void **state)
{
	(void)state;
	static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(values); i++) {
		buf_varint(&b, values[i]);
		buf_zigzag(&b, (int64_t)values[i]);
		buf_le64(&b, values[i]);
		buf_le32(&b, (uint32_t)values[i]);
		buf_u8(&b, (uint8_t)values[i]);
	}
	buf_lpstr(&b, STR("text"));
	struct str s = buf_view(&b), text;
	for (size_t i = 0; i < COUNT(values); i++) {
		uint64_t v, le64;
		int64_t z;
		uint32_t le32;
		uint8_t u8;
		assert_true(rd_varint(&s, &v) && rd_zigzag(&s, &z) && rd_le64(&s, &le64));
		assert_true(rd_le32(&s, &le32) && rd_u8(&s, &u8));
		assert_true(v == values[i] && z == (int64_t)values[i] && le64 == values[i]);
		assert_true(le32 == (uint32_t)values[i] && u8 == (uint8_t)values[i]);
	}
	assert_true(rd_lpstr(&s, &text));
	check_str(text, STR("text"));
	assert_int_equal(s.n, 0);
	buf_free(&b);
	buf_le32(&b, 0x01020304);
	check_buf(&b, "\x04\x03\x02\x01");
	buf_zigzag(&b, -1);
	check_buf(&b, "\x01");
	buf_free(&b);
}

static void short_input_is_refused_and_kept(void **state)
{
	(void)state;
	struct str s = STR("\x01\x02\x03");
	uint64_t v;
	uint32_t w;
	struct str t;
	assert_false(rd_le32(&s, &w));
	assert_false(rd_le64(&s, &v));
	assert_false(rd_bytes(&s, 4, &t));
	assert_int_equal(s.n, 3);
	s = STR("\x05"
		"abc");
	assert_false(rd_lpstr(&s, &t));
	assert_int_equal(s.n, 4);
	s = STR("\x80\x80");
	assert_false(rd_varint(&s, &v));
	s = STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"); /* 65 bits */
	assert_false(rd_varint(&s, &v));
	s = STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"); /* 11 bytes */
	assert_false(rd_varint(&s, &v));
	s = STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
		"a");
	assert_false(rd_lpstr(&s, &t));
	s = STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
		"a"); /* a length near 2^64 */
	assert_false(rd_lpstr(&s, &t));
}

static void quoting(void **state)
{
	(void)state;
	static const struct {
		struct str raw;
		const char *quoted;
	} cases[] = {
		{STR(""), "\"\""},
		{STR("plain"), "\"plain\""},
		{STR("\a\b\f\n\r\t\v\\\""), "\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\""},
		{STR("it's"), "\"it's\""},
		{STR("\0\x01\x7f"), "\"\\x00\\x01\\x7f\""},
		{STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{STR("\xc2\xa0\xc2\x85"), "\"\\u00a0\\u0085\""},
		{STR("\xe2\x80\xa8\xef\xbb\xbf"), "\"\\u2028\\ufeff\""},
		{STR("\xf3\xa0\x80\x81"), "\"\\U000e0001\""},
		{STR("a\xff\xc3"), "\"a\\xff\\xc3\""},
		{STR("\xef\xbf\xbd"), "\"\xef\xbf\xbd\""}, /* a real U+FFFD stays */
	};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_quote(&b, cases[i].raw);
		check_buf(&b, cases[i].quoted);
		assert_true(buf_unquote(&b, str_c(cases[i].quoted)));
		check_str(buf_view(&b), cases[i].raw);
		buf_clear(&b);
	}
	buf_free(&b);
}

static void unquoting(void **state)
{
	(void)state;
	static const struct {
		const char *literal, *value; /* NULL: refused */
	} cases[] = {
		{"`a\\n\"\nb`", "a\\n\"\nb"},
		{"`a\r\nb`", "a\nb"},
		{"``", ""},
		{"\"\\101\\x41\\u0041\\U00000041\"", "AAAA"},
		{"\"\\377\\xfF\"", "\xff\xff"},
		{"\"\\u00e9\"", "\xc3\xa9"},
		{"\"\\U0001F600\"", "\xf0\x9f\x98\x80"},
		{"\"a\xff\"", "a\xef\xbf\xbd"}, /* bad bytes become U+FFFD, as in Go */
		{"\"it's\"", "it's"},
		{"", NULL},
		{"\"", NULL},
		{"`", NULL},
		{"\"a", NULL},
		{"a\"", NULL},
		{"abc", NULL},
		{"'a'", NULL},
		{"\"a\"b\"", NULL},
		{"`a`b`", NULL},
		{"\"a\nb\"", NULL},
		{"\"\\\"", NULL},
		{"\"\\'\"", NULL}, /* only in rune literals */
		{"\"\\q\"", NULL},
		{"\"\\400\"", NULL},
		{"\"\\18\"", NULL},
		{"\"\\x4\"", NULL},
		{"\"\\xg0\"", NULL},
		{"\"\\x4@\"", NULL},
		{"\"\\ud800\"", NULL},
		{"\"\\U00110000\"", NULL},
		{"\"\\u12\"", NULL},
		{"\"ab`", NULL},
	};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_c(&b, "kept:");
		assert_int_equal(buf_unquote(&b, str_c(cases[i].literal)), cases[i].value != NULL);
		check_str(str_of(b.p, 5), STR("kept:"));
		check_str(str_from(buf_view(&b), 5), str_c(cases[i].value));
		buf_clear(&b);
	}
	buf_free(&b);
}

static void shortest_floats(void **state)
{
	(void)state;
	static const struct {
		double v;
		const char *fixed, *general;
	} cases[] = {
		{0.0, "0", "0"},
		{-0.0, "-0", "-0"},
		{1, "1", "1"},
		{-1.5, "-1.5", "-1.5"},
		{0.1, "0.1", "0.1"},
		{100, "100", "100"},
		{999999, "999999", "999999"},
		{1e6, "1000000", "1e+06"},
		{123456789.125, "123456789.125", "1.23456789125e+08"},
		{1e20, "100000000000000000000", "1e+20"},
		{1e21, "1000000000000000000000", "1e+21"},
		{1e23, "100000000000000000000000", "1e+23"},
		{1.5e300, NULL, "1.5e+300"},
		{0.0001, "0.0001", "0.0001"},
		{0.00001, "0.00001", "1e-05"},
		{0.000012345, "0.000012345", "1.2345e-05"},
		{0.30000000000000004, "0.30000000000000004", "0.30000000000000004"},
		{1.0 / 3, "0.3333333333333333", "0.3333333333333333"},
		{2.0 / 3, "0.6666666666666666", "0.6666666666666666"},
		{9007199254740993.0, "9007199254740992", "9.007199254740992e+15"},
		{0x1p60, "1152921504606847000", "1.152921504606847e+18"},
		{0x1p-44, NULL, "5.684341886080802e-14"}, /* the nearest of 16 digits does not read back */
		{5e-324, NULL, "5e-324"},
		{2.2250738585072014e-308, NULL, "2.2250738585072014e-308"},
		{1.7976931348623157e308, NULL, "1.7976931348623157e+308"},
		{NAN, "NaN", "NaN"},
		{INFINITY, "+Inf", "+Inf"},
		{-INFINITY, "-Inf", "-Inf"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_f64_g(&b, cases[i].v);
		check_buf(&b, cases[i].general);
		buf_f64(&b, cases[i].v);
		if (cases[i].fixed) check_buf(&b, cases[i].fixed);
		buf_clear(&b);
	}
	buf_free(&b);
}

static void any_float_reads_back(void **state)
{
	(void)state;
	struct buf b = {0};
	uint64_t bits = 1;
	for (int i = 0; i < 20000; i++) {
		bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		double v, again;
		memcpy(&v, &bits, sizeof v);
		if (isnan(v) || isinf(v)) continue;
		buf_f64_g(&b, v);
		assert_true(str_to_f64(buf_view(&b), &again) && again == v);
		buf_clear(&b);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_inserts),
		cmocka_unit_test(copies),
		cmocka_unit_test(decimal_integers),
		cmocka_unit_test(binary_round_trips),
		cmocka_unit_test(short_input_is_refused_and_kept),
		cmocka_unit_test(quoting),
		cmocka_unit_test(unquoting),
		cmocka_unit_test(shortest_floats),
		cmocka_unit_test(any_float_reads_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
