/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/route.h"
#include "tests/unit/check.h"

static bool fits(const char *pattern, const char *path)
{
	struct route_path p;
	struct arena a;
	arena_init(&a, 0);
	bool is = route_split(&a, str_c(path), &p) && route_matches(pattern, &p);
	arena_free(&a);
	return is;
}

static void patterns(void **state)
{
	(void)state;
	assert_true(fits("/", "/"));
	assert_true(fits("/a/b", "/a/b"));
	assert_true(fits("/a/b", "/%61/b"));
	assert_false(fits("/a/b", "/a"));
	assert_false(fits("/a/b", "/a/b/"));
	assert_false(fits("/a/b", "/a/b/c"));
	assert_false(fits("/a/b", "/a%2fb"));
	assert_false(fits("/a", "a"));
	assert_false(fits("/a", ""));
	assert_true(fits("/a/{x}/c", "/a/b/c"));
	assert_true(fits("/a/{x}/c", "/a/%2f/c"));
	assert_false(fits("/a/{x}/c", "/a//c"));
	assert_false(fits("/a/{x}/c", "/a/b/b/c"));
}

static void long_paths(void **state)
{
	(void)state;
	assert_true(fits("/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f", "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f"));
	assert_false(fits("/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g", "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g"));
}

static void parameters(void **state)
{
	(void)state;
	struct route_path p;
	struct arena a;
	arena_init(&a, 0);
	assert_true(route_split(&a, STR("/a/x%20y/c/%25"), &p));
	check_str(route_param("/a/{one}/c/{two}", &p, "one"), STR("x y"));
	check_str(route_param("/a/{one}/c/{two}", &p, "two"), STR("%"));
	assert_null(route_param("/a/{one}/c/{two}", &p, "three").p);
	assert_null(route_param("/a/{one}/c/{two}", &p, "a").p);
	arena_free(&a);
}

static void methods(void **state)
{
	(void)state;
	assert_true(route_takes("GET", "GET"));
	assert_true(route_takes("GET POST", "POST"));
	assert_false(route_takes("GET POST", "PUT"));
	assert_false(route_takes("GET POST", "POS"));
	assert_false(route_takes("GET POST", "get"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns),
		cmocka_unit_test(long_paths),
		cmocka_unit_test(parameters),
		cmocka_unit_test(methods),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
