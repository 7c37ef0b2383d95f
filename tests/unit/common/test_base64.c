/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* RFC 4648 §10, and bytes that need the last two digits of the set. */
static const struct {
	struct str plain;
	const char *text;
} vectors[] = {
	{STR(""), ""},
	{STR("f"), "Zg=="},
	{STR("fo"), "Zm8="},
	{STR("foo"), "Zm9v"},
	{STR("foob"), "Zm9vYg=="},
	{STR("fooba"), "Zm9vYmE="},
	{STR("foobar"), "Zm9vYmFy"},
	{STR("\xfb\xff\0"), "+/8A"},
};

static void both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct buf b = {0};
		size_t bad;
		base64_encode(&b, vectors[i].plain);
		assert_string_equal(buf_cstr(&b), vectors[i].text);
		buf_clear(&b);
		buf_c(&b, "kept ");
		assert_true(base64_decode(&b, str_c(vectors[i].text), &bad));
		assert_true(str_eq(str_from(buf_view(&b), 5), vectors[i].plain));
		buf_free(&b);
	}
}

static void newlines_are_skipped(void **state)
{
	(void)state;
	struct buf b = {0};
	size_t bad;
	assert_true(base64_decode(&b, STR("Zm\n9v\r\nYg=\n=\n"), &bad));
	assert_string_equal(buf_cstr(&b), "foob");
	buf_free(&b);
}

static void says_where_it_is_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t bad;
	} cases[] = {{"!!", 0},  {"Zm9v!", 4}, {"Z", 1},     {"Zg", 2},
		     {"Zg=", 2}, {"Zg==x", 4}, {"Zm9v=", 4}, {"Zg===", 4}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = {0};
		size_t bad = 99;
		if (base64_decode(&b, str_c(cases[i].text), &bad)) fail_msg("%s", cases[i].text);
		assert_int_equal(bad, cases[i].bad);
		assert_int_equal(b.n, 0);
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(newlines_are_skipped),
		cmocka_unit_test(says_where_it_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
