/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/convert.h"

#include "tests/unit/check.h"

static struct arena arena;

static void numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
		double want;
	} rows[] = {
		{"1.5", NULL, 1.5},
		{"-2e3", NULL, -2000},
		{"", "strconv.ParseFloat: parsing \"\": invalid syntax", 0},
		{"1s", "strconv.ParseFloat: parsing \"1s\": invalid syntax", 0},
		{"a\"b", "strconv.ParseFloat: parsing \"a\\\"b\": invalid syntax", 0},
		{"1e999", "strconv.ParseFloat: parsing \"1e999\": value out of range", 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str why;
		double got = 0;
		bool ok = convert_number(&arena, str_c(rows[i].text), &got, &why);
		assert_int_equal(ok, rows[i].error == NULL);
		if (ok)
			assert_true(got == rows[i].want);
		else
			check_str(why, str_c(rows[i].error));
	}
}

static void durations(void **state)
{
	(void)state;
	struct str why;
	int64_t ns;
	assert_true(convert_duration(&arena, STR("1m3.5s"), &ns, &why));
	assert_int_equal(ns, INT64_C(63500000000));
	assert_false(convert_duration(&arena, STR("oops"), &ns, &why));
	check_str(why, STR("time: invalid duration \"oops\""));
	assert_false(convert_duration(&arena, STR("1d"), &ns, &why));
	check_str(why, STR("time: unknown unit \"d\" in duration \"1d\""));
}

static void bytes(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
		uint64_t want;
	} rows[] = {
		{"42", NULL, 42},
		{"1.5kB", NULL, 1500},
		{"2 MiB", NULL, 2 << 20},
		{"", "strconv.ParseFloat: parsing \"\": invalid syntax", 0},
		{"x", "strconv.ParseFloat: parsing \"\": invalid syntax", 0},
		{"1.2.3kB", "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax", 0},
		{"5 Parsecs", "unhandled size name: parsecs", 0},
		{"99999 EB", "too large: 99999 EB", 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str why;
		uint64_t got = 0;
		bool ok = convert_bytes(&arena, str_c(rows[i].text), &got, &why);
		assert_int_equal(ok, rows[i].error == NULL);
		if (ok)
			assert_int_equal(got, rows[i].want);
		else
			check_str(why, str_c(rows[i].error));
	}
}

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(durations),
					   cmocka_unit_test(bytes)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
