/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/glob.h"

#include "common/buf.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static bool match(const char *pattern, const char *path)
{
	struct err e = ERR_INIT;
	struct glob *g = glob_new(str_c(pattern), &e);
	assert_non_null(g);
	bool hit = glob_match(g, str_c(path));
	glob_free(g);
	return hit;
}

static void matching(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *path;
		bool want;
	} cases[] = {
		{"/var/log/*.log", "/var/log/a.log", true},
		{"/var/log/*.log", "/var/log/.log", true},
		{"/var/log/*.log", "/var/log/x/a.log", false},
		{"/var/log/*.log", "/var/log/a.log.1", false},
		{"/var/log/**/*.log", "/var/log/a.log", true},
		{"/var/log/**/*.log", "/var/log/x/y/a.log", true},
		{"/var/log/**", "/var/log/x/y", true},
		{"/var/**/b/**/c", "/var/a/b/a/b/c", true},
		{"/var/**/b/**/c", "/var/a/c", false},
		{"/a/?.log", "/a/b.log", true},
		{"/a/?.log", "/a/\xd0\xb6.log", true},
		{"/a/?.log", "/a/.log", false},
		{"/a/[a-c]x", "/a/bx", true},
		{"/a/[^a-c]x", "/a/bx", false},
		{"/a/[!a-c]x", "/a/dx", true},
		{"/a/[]]x", "/a/]x", true},
		{"/a/{b,c/d}.log", "/a/b.log", true},
		{"/a/{b,c/d}.log", "/a/c/d.log", true},
		{"/a/{b,{c,d}e}", "/a/de", true},
		{"/a/\\*", "/a/*", true},
		{"/a/\\*", "/a/b", false},
		{"/a/*a*b*c", "/a/xaybzc", true},
		{"/a/*a*b*c", "/a/xaybz", false},
		{"/a/b", "/a/b", true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (match(cases[i].pattern, cases[i].path) != cases[i].want)
			fail_msg("%s on %s", cases[i].pattern, cases[i].path);
}

static void refusals(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "relative/*.log", "/a/{b", "/a/[b",
					  "/{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = ERR_INIT;
		assert_null(glob_new(str_c(bad[i]), &e));
		assert_true(e.msg[0] != 0);
	}
}

static void add_path(void *ud, const char *path) { buf_c(ud, strrchr(path, '/')); }

static void touch(const char *dir, const char *name)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void walking(void **state)
{
	(void)state;
	char dir[] = "/tmp/test_glob.XXXXXX", sub[256], pattern[512];
	struct err e = ERR_INIT;
	struct buf got = {0};

	assert_non_null(mkdtemp(dir));
	snprintf(sub, sizeof sub, "%s/sub", dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	touch(dir, "b.log");
	touch(dir, "a.log");
	touch(dir, "[odd].log");
	touch(sub, "c.log");
	snprintf(pattern, sizeof pattern, "%s/loop", sub);
	assert_int_equal(symlink(dir, pattern), 0);

	snprintf(pattern, sizeof pattern, "%s/*.log", dir);
	struct glob *g = glob_new(str_c(pattern), &e);
	glob_each(g, add_path, NULL, &got);
	assert_string_equal(buf_cstr(&got), "/[odd].log/a.log/b.log");
	glob_free(g);

	buf_clear(&got);
	snprintf(pattern, sizeof pattern, "%s/**/[ab,c].log", dir);
	g = glob_new(str_c(pattern), &e);
	glob_each(g, add_path, NULL, &got);
	assert_string_equal(buf_cstr(&got), "/a.log/b.log/c.log");
	glob_free(g);

	buf_clear(&got);
	snprintf(pattern, sizeof pattern, "%s/[odd].log", dir);
	g = glob_new(str_c(pattern), &e);
	glob_each(g, add_path, NULL, &got);
	assert_string_equal(buf_cstr(&got), "/[odd].log");
	glob_free(g);
	buf_free(&got);

	snprintf(pattern, sizeof pattern, "rm -r %s", dir);
	assert_int_equal(system(pattern), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matching),
		cmocka_unit_test(refusals),
		cmocka_unit_test(walking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
