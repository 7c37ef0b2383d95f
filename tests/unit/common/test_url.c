/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/url.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct arena mem;

static int setup(void **state)
{
	(void)state;
	arena_init(&mem, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&mem);
	return 0;
}

static void assert_str(struct str got, struct str want)
{
	assert_int_equal(got.n, want.n);
	assert_memory_equal(got.n ? got.p : "", want.n ? want.p : "", want.n);
}

static void decodes(void **state)
{
	static const struct {
		struct str in, path, arg;
	} rows[] = {
		{STR(""), STR(""), STR("")},
		{STR("abc"), STR("abc"), STR("abc")},
		{STR("a+b"), STR("a+b"), STR("a b")},
		{STR("%7Ba%3d%22b%22%7d"), STR("{a=\"b\"}"), STR("{a=\"b\"}")},
		{STR("%00x%ff"), STR("\0x\xff"), STR("\0x\xff")},
		{STR("%2B%2b"), STR("++"), STR("++")},
	};
	struct err e = ERR_INIT;
	struct str out;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_true(url_decode(&mem, rows[i].in, false, &out, &e));
		assert_str(out, rows[i].path);
		assert_true(url_decode(&mem, rows[i].in, true, &out, &e));
		assert_str(out, rows[i].arg);
	}
}

static void encodes(void **state)
{
	struct buf b = {0};

	(void)state;
	url_encode(&b, STR("{a=\"b c\"}+\0\xff-_.~/"), false);
	assert_str(buf_view(&b), STR("%7Ba%3D%22b%20c%22%7D%2B%00%FF-_.~%2F"));
	buf_clear(&b);
	url_encode(&b, STR("b c+"), true);
	assert_str(buf_view(&b), STR("b+c%2B"));
	buf_free(&b);
}

static void refuses_broken_escapes(void **state)
{
	static const struct {
		struct str in;
		const char *text;
	} rows[] = {
		{STR("%"), "invalid URL escape \"%\""},
		{STR("ab%4"), "invalid URL escape \"%4\""},
		{STR("%zz"), "invalid URL escape \"%zz\""},
		{STR("%4x%41"), "invalid URL escape \"%4x\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = ERR_INIT;
		struct str out;

		assert_false(url_decode(&mem, rows[i].in, true, &out, &e));
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.msg, rows[i].text);
	}
}

static void parses_arguments(void **state)
{
	struct url_args args = {0};
	struct err e = ERR_INIT;
	size_t i = 0;

	(void)state;
	assert_true(url_args_parse(&mem, STR("match=%7B%7D&&a&=x&match=b%3D1+2&e=&m=a=b"), &args, &e));
	assert_int_equal(args.n, 6);
	assert_str(url_args_next(&args, STR("match"), &i), STR("{}"));
	assert_str(url_args_next(&args, STR("match"), &i), STR("b=1 2"));
	assert_null(url_args_next(&args, STR("match"), &i).p);
	i = 0;
	assert_str(url_args_next(&args, STR("a"), &i), STR(""));
	i = 0;
	assert_str(url_args_next(&args, STR(""), &i), STR("x"));
	i = 0;
	assert_str(url_args_next(&args, STR("m"), &i), STR("a=b"));
	i = 0;
	assert_non_null(url_args_next(&args, STR("e"), &i).p);
}

static void refuses_semicolons(void **state)
{
	struct url_args args = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_false(url_args_parse(&mem, STR("a=1;b=2"), &args, &e));
	assert_string_equal(e.msg, "invalid semicolon separator in query");
	assert_true(url_args_parse(&mem, STR("a=1%3Bb=2"), &args, &e));
}

static void bounds_their_number(void **state)
{
	struct url_args args = {0};
	struct err e = ERR_INIT;
	struct buf b = {0};

	(void)state;
	for (int i = 0; i < URL_ARGS_MAX; i++) buf_c(&b, "a&");
	assert_true(url_args_parse(&mem, buf_view(&b), &args, &e));
	assert_int_equal(args.n, URL_ARGS_MAX);
	assert_false(url_args_parse(&mem, STR("b"), &args, &e));
	assert_int_equal(e.code, ERR_INVALID);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(decodes, setup, teardown),
		cmocka_unit_test(encodes),
		cmocka_unit_test_setup_teardown(refuses_broken_escapes, setup, teardown),
		cmocka_unit_test_setup_teardown(parses_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_semicolons, setup, teardown),
		cmocka_unit_test_setup_teardown(bounds_their_number, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
