/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/err.h"

#include "tests/unit/check.h"

#include <errno.h>

static void every_code_has_a_row(void **state)
{
	(void)state;
	for (int code = ERR_NONE; code < ERR_CODES; code++) {
		const struct err_info *info = err_info((enum err_code)code);
		assert_non_null(info->name);
		assert_in_range(info->http_status, 200, 599);
		/* What a client may send again unchanged is a 429 or a 5xx, as Promtail retries. */
		if (info->retry) assert_true(info->http_status == 429 || info->http_status >= 500);
		if (info->is_fault) assert_true(info->http_status >= 500);
	}
	assert_int_equal(err_info(ERR_RATE)->http_status, 429);
	assert_int_equal(err_info(ERR_CANCELLED)->http_status, 499);
	assert_ptr_equal(err_info((enum err_code)1000), err_info(ERR_INTERNAL));
}

static void set_forgets_what_was(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_false(err_at(&e, ERR_INVALID, 3, 7, "bad %s", "thing"));
	assert_int_equal(e.line, 3);
	assert_int_equal(e.col, 7);
	assert_int_equal(e.off, -1);
	check_text(e.msg, "bad thing");
	assert_false(err_set(&e, ERR_RATE, "slow"));
	assert_int_equal(e.code, ERR_RATE);
	assert_int_equal(e.line, 0);
	check_text(e.msg, "slow");
}

static void errno_chooses_the_code(void **state)
{
	(void)state;
	static const struct {
		int no;
		enum err_code code;
	} cases[] = {{ENOSPC, ERR_NO_SPACE},
		     {EDQUOT, ERR_NO_SPACE},
		     {ENOENT, ERR_NOT_FOUND},
		     {EEXIST, ERR_EXISTS},
		     {EIO, ERR_IO}};
	struct err e = ERR_INIT;
	for (size_t i = 0; i < COUNT(cases); i++) {
		errno = cases[i].no;
		assert_false(err_errno(&e, "open %s", "f"));
		assert_int_equal(e.code, cases[i].code);
	}
	check_text(e.msg, "open f: Input/output error");
}

static void wrap_keeps_code_and_place(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	err_at(&e, ERR_CORRUPT, 1, 2, "inner");
	assert_false(err_wrap(&e, "outer %d", 5));
	check_text(e.msg, "outer 5: inner");
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_int_equal(e.col, 2);
}

static void long_texts_are_cut(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	char big[sizeof e.msg * 2];
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	err_set(&e, ERR_INVALID, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
	err_wrap(&e, "prefix");
	assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
	assert_memory_equal(e.msg, "prefix: xxx", 11);
	err_wrap(&e, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
	errno = EIO;
	err_errno(&e, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_row),   cmocka_unit_test(set_forgets_what_was),
		cmocka_unit_test(errno_chooses_the_code), cmocka_unit_test(wrap_keeps_code_and_place),
		cmocka_unit_test(long_texts_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
