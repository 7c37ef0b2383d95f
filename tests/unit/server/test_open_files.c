/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/open_files.h"
#include "tests/unit/server/store_util.h"

#include <dirent.h>

static char dir[40];

static int open_now(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d)) n++;
	closedir(d);
	return n;
}

static char *path(struct buf *b, int i)
{
	buf_clear(b);
	buf_printf(b, "%s/%d", dir, i);
	return (char *)buf_cstr(b);
}

static void check_content(struct open_files *o, const char *p, const char *want)
{
	struct err e = ERR_INIT;
	char text[16] = "";
	uint64_t size;
	struct open_file *f = open_file_get(o, p, &size, &e);
	if (!f) fail_msg("%s", e.msg);
	assert_int_equal(size, strlen(want));
	MUST(fs_pread(&fs_real, open_file_fd(f), text, (size_t)size, 0, must));
	assert_string_equal(text, want);
	open_file_done(o, f);
}

static void a_few_stay_open_and_none_for_long(void **state)
{
	struct clock_fake clock;
	struct buf b = {0};
	(void)state;
	clock_fake_init(&clock, 0, 1);
	struct open_files *o = open_files_new(&fs_real, &clock.base, 4);
	int before = open_now();
	for (int i = 0; i < 10; i++) {
		put_file(path(&b, i), STR("text"));
		check_content(o, path(&b, i), "text");
	}
	assert_int_equal(open_now(), before + 4);
	check_content(o, path(&b, 9), "text");
	clock_fake_step(&clock, 61 * INT64_C(1000000000));
	check_content(o, path(&b, 0), "text");
	assert_int_equal(open_now(), before + 1);
	open_files_free(o);
	assert_int_equal(open_now(), before);
	buf_free(&b);
}

static void what_was_replaced_or_removed_is_noticed(void **state)
{
	struct err e = ERR_INIT;
	struct buf b = {0};
	uint64_t size;
	(void)state;
	struct open_files *o = open_files_new(&fs_real, &clock_real, 4);
	put_file(path(&b, 1), STR("old"));
	check_content(o, b.p, "old");
	MUST(fs_replace(&fs_real, b.p, STR("newer"), 0644, must));
	check_content(o, b.p, "newer");
	struct open_file *held = open_file_get(o, b.p, &size, &e);
	assert_non_null(held);
	MUST(fs_unlink(&fs_real, b.p, must));
	assert_null(open_file_get(o, b.p, &size, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	open_file_drop(o, b.p);
	open_file_done(o, held);
	open_files_free(o);
	buf_free(&b);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/larch-open-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	remove_tree(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_few_stay_open_and_none_for_long, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_replaced_or_removed_is_noticed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
