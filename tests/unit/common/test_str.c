/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/str.h"

#include "tests/unit/check.h"

#include <math.h>

static void comparisons(void **state)
{
	(void)state;
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("ab"), STR("a")) > 0);
	assert_int_equal(str_cmp(STR_NULL, STR("")), 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
	assert_true(str_ieq(STR("InF"), STR("iNf")));
	assert_false(str_ieq(STR("["), STR("{"))); /* 32 apart, no letters */
	assert_true(str_starts(STR("abc"), STR("ab")));
	assert_true(str_starts(STR("abc"), STR_NULL));
	assert_false(str_starts(STR("a"), STR("ab")));
	assert_true(str_ends(STR("abc"), STR("bc")));
	assert_false(str_ends(STR("c"), STR("bc")));
}

static void searching(void **state)
{
	(void)state;
	assert_int_equal(str_find(STR("hello"), STR("lo")), 3);
	assert_int_equal(str_find(STR("hello"), STR("")), 0);
	assert_int_equal(str_find(STR_NULL, STR("")), 0);
	assert_int_equal(str_find(STR("he"), STR("hello")), -1);
	assert_int_equal(str_find(STR("a\0b"), STR("\0b")), 1);
	assert_int_equal(str_chr(STR("a.b.c"), '.'), 1);
	assert_int_equal(str_rchr(STR("a.b.c"), '.'), 3);
	assert_int_equal(str_chr(STR_NULL, '.'), -1);
	assert_int_equal(str_rchr(STR("abc"), '.'), -1);
	check_str(str_trim(STR(" \t\v x y\r\n\f")), STR("x y"));
	check_str(str_trim(STR("  ")), STR(""));
}

static void cutting(void **state)
{
	(void)state;
	struct str s = STR("a,,b"), head;
	assert_true(str_cut(&s, ',', &head));
	check_str(head, STR("a"));
	assert_true(str_cut(&s, ',', &head));
	check_str(head, STR(""));
	assert_false(str_cut(&s, ',', &head));
	check_str(head, STR("b"));
	assert_int_equal(s.n, 0);
}

static void hash_is_stable(void **state)
{
	(void)state;
	/* On disk: these are XXH3's published values for the empty input and must never change. */
	assert_true(str_hash(STR_NULL) == UINT64_C(0x2d06800538d394c2));
	assert_true(str_hash(STR("")) == str_hash(STR_NULL));
	assert_true(str_hash(STR("a")) != str_hash(STR("b")));
}

static void integers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool i_ok, u_ok;
		int64_t i;
		uint64_t u;
	} cases[] = {
		{"0", true, true, 0, 0},
		{"007", true, true, 7, 7},
		{"-0", true, false, 0, 0},
		{"-9223372036854775808", true, false, INT64_MIN, 0},
		{"-9223372036854775809", false, false, 0, 0},
		{"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
		{"9223372036854775808", false, true, 0, UINT64_C(9223372036854775808)},
		{"18446744073709551615", false, true, 0, UINT64_MAX},
		{"18446744073709551616", false, false, 0, 0},
		{"99999999999999999999999", false, false, 0, 0},
		{"", false, false, 0, 0},
		{"-", false, false, 0, 0},
		{"+1", false, false, 0, 0},
		{" 1", false, false, 0, 0},
		{"1 ", false, false, 0, 0},
		{"0x1", false, false, 0, 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t s = 0;
		uint64_t u = 0;
		assert_int_equal(str_to_i64(str_c(cases[i].text), &s), cases[i].i_ok);
		assert_int_equal(str_to_u64(str_c(cases[i].text), &u), cases[i].u_ok);
		assert_true(s == cases[i].i && u == cases[i].u);
	}
}

static void floats(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double v;
	} good[] = {
		{"0", 0.0},
		{"1", 1.0},
		{"+1.5", 1.5},
		{"-.5", -0.5},
		{"5.", 5.0},
		{"1e3", 1000.0},
		{"1E-3", 0.001},
		{"0.1", 0.1},
		{"123456789012345678901234567890", 123456789012345678901234567890.0},
		{"9007199254740993", 9007199254740992.0},
		{"1.7976931348623157e308", 1.7976931348623157e308},
		{"5e-324", 5e-324},
		{"1e-400", 0.0},
		{"0e999999999999", 0.0},
		{"0x1p-2", 0.25},
		{"0X1.8P1", 3.0},
		{"0x.8p0", 0.5},
		{"inf", INFINITY},
		{"+INF", INFINITY},
		{"-Infinity", -INFINITY},
		{"0.000000000000000000000000000000000000000001", 1e-42},
		{"4.35", 4.35},
		{"2.2250738585072011e-308", 2.2250738585072011e-308},
	};
	static const char *const bad[] = {"",      "+",     "-",      ".",       "e",         "1e",   "1e+",
					  "1.2.3", "1_000", "0x1",    "0x",      "0xp1",      "1p3",  "--1",
					  " 1",    "1 ",    "in",     "infinit", "infinityy", "+nan", "-NaN",
					  "1f",    "1e309", "-1e309", "1,5",     "0x1e2"};
	for (size_t i = 0; i < COUNT(good); i++) {
		double v = -99;
		assert_true(str_to_f64(str_c(good[i].text), &v));
		assert_true(v == good[i].v);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		double v;
		assert_false(str_to_f64(str_c(bad[i]), &v));
	}
	double v;
	assert_true(str_to_f64(STR("NaN"), &v));
	assert_true(isnan(v));
	assert_true(str_to_f64(STR("-0"), &v));
	assert_true(v == 0 && signbit(v));
	assert_true(str_to_f64(str_of("12345", 2), &v)); /* a slice, not a C string */
	assert_true(v == 12);
}

static void runes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t rune;
		size_t n;
		bool valid;
	} cases[] = {
		{"a", 'a', 1, true},
		{"\xc3\xa9", 0xe9, 2, true},
		{"\xe2\x82\xac", 0x20ac, 3, true},
		{"\xf0\x9f\x98\x80", 0x1f600, 4, true},
		{"\xf4\x8f\xbf\xbf", 0x10ffff, 4, true},
		{"\xef\xbf\xbd", 0xfffd, 3, true},
		{"\x80", 0xfffd, 1, false},     /* a continuation alone */
		{"\xc0\x80", 0xfffd, 1, false}, /* overlong */
		{"\xc1\xbf", 0xfffd, 1, false},
		{"\xe0\x9f\xbf", 0xfffd, 1, false},
		{"\xf0\x8f\xbf\xbf", 0xfffd, 1, false},
		{"\xed\xa0\x80", 0xfffd, 1, false},     /* a surrogate */
		{"\xf4\x90\x80\x80", 0xfffd, 1, false}, /* beyond U+10FFFF */
		{"\xff", 0xfffd, 1, false},
		{"\xe2\x82", 0xfffd, 1, false}, /* cut */
		{"\xf0\x9f\x98", 0xfffd, 1, false},
		{"\xe2\x28\xa1", 0xfffd, 1, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t at = 0;
		assert_int_equal(str_rune(str_c(cases[i].text), &at), cases[i].rune);
		assert_int_equal(at, cases[i].n);
		assert_int_equal(str_utf8_valid(str_c(cases[i].text)), cases[i].valid);
		char out[4];
		if (!cases[i].valid) continue;
		check_str(str_of(out, str_rune_put(cases[i].rune, out)), str_c(cases[i].text));
	}
	char out[4];
	check_str(str_of(out, str_rune_put(0xd800, out)), STR("\xef\xbf\xbd"));
	check_str(str_of(out, str_rune_put(0x110000, out)), STR("\xef\xbf\xbd"));
	/* Bad bytes behind runs that are checked eight at a time. */
	assert_true(str_utf8_valid(STR("0123456789abcdef0123456789\xc3\xa9 0123456789")));
	assert_false(str_utf8_valid(STR("0123456789abcdef\xff")));
	assert_false(str_utf8_valid(STR("0123456789abcde\xc3")));
	assert_true(str_utf8_valid(STR_NULL));
}

static void hex_digits(void **state)
{
	(void)state;
	static const char digits[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
	int known = 0;
	for (uint32_t c = 0; c < 0x200; c++) known += str_hex_digit(c) >= 0;
	assert_int_equal(known, 22);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(str_hex_digit((uint32_t)digits[i]), i);
		assert_int_equal(str_hex_digit((uint32_t)upper[i]), i);
	}
}

static void distances(void **state)
{
	(void)state;
	assert_int_equal(str_distance(STR("abc"), STR("abc"), 2), 0);
	assert_int_equal(str_distance(STR("abc"), STR("abd"), 2), 1);
	assert_int_equal(str_distance(STR("abc"), STR("acb"), 2), 1); /* a swap is one */
	assert_int_equal(str_distance(STR("abc"), STR("ab"), 2), 1);
	assert_int_equal(str_distance(STR(""), STR("ab"), 2), 2);
	assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 3), 3);
	assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 2), 3);
	assert_int_equal(str_distance(STR("aaaaaaaa"), STR("bbbbbbbb"), 2), 3);
	char long_name[200];
	memset(long_name, 'a', sizeof long_name);
	assert_int_equal(str_distance(str_of(long_name, sizeof long_name), str_of(long_name, sizeof long_name), 2), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparisons),    cmocka_unit_test(searching), cmocka_unit_test(cutting),
		cmocka_unit_test(hash_is_stable), cmocka_unit_test(integers),  cmocka_unit_test(floats),
		cmocka_unit_test(runes),          cmocka_unit_test(distances), cmocka_unit_test(hex_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
