/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/siblings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *base, *name;
		bool want;
	} cases[] = {
		{"app.log", "app.log.1", true},
		{"app.log", "app.log-20240131", true},
		{"app.log", "app.log.2024-01-31T10:00:00Z", true},
		{"app.log", "app.log.old", true},
		{"app.log", "app-1.log", true},
		{"app.log", "app-2024-01-31.log", true},
		{"syslog", "syslog.1", true},
		{"app.log", "app.log", false},
		{"app.log", "app.log.1.gz", false},
		{"app.log", "app.log.", false},
		{"app.log", "app-audit.log", false},
		{"app.log", "app.log-audit", false},
		{"app.log", "application.log", false},
		{"app.log", "app.log1", false},
		{"app.log", "app..log", false},
		{".log", ".log.1", true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (sibling_name(str_c(cases[i].base), str_c(cases[i].name)) != cases[i].want)
			fail_msg("%s of %s", cases[i].name, cases[i].base);
}

static void listing(void **state)
{
	(void)state;
	static const char *const files[] = {"a.log", "a.log.1", "a.log.2", "b.log"};
	char dir[] = "/tmp/test_siblings.XXXXXX", path[4][96];
	struct siblings s;

	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 4; i++) {
		snprintf(path[i], sizeof path[i], "%s/%s", dir, files[i]);
		fclose(fopen(path[i], "w"));
		struct timespec t[2] = {{.tv_sec = 1000 - i}, {.tv_sec = 1000 - i}};
		assert_int_equal(utimensat(0, path[i], t, 0), 0);
	}
	siblings_list(&s, path[0], false);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.v[0].path, path[2]); /* oldest first */
	siblings_free(&s);
	siblings_list(&s, path[0], true);
	assert_int_equal(s.n, 4);
	siblings_free(&s);
	for (int i = 0; i < 4; i++) unlink(path[i]);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(listing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
