/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/json_report.h"

#include "tests/unit/check.h"

static void windows_are_cut_at_the_ends(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_false(json_report(STR("abc"), 1, "WHAT", &e));
	check_text(e.msg, "WHAT, error found in #1 byte of ...|abc|..., bigger context ...|abc|...");
	assert_int_equal(e.code, ERR_INVALID);
	assert_int_equal(e.off, 1);
	char body[200];
	for (int i = 0; i < 200; i++) body[i] = (char)('a' + i % 26);
	assert_false(json_report(str_of(body, 200), 100, "W", &e));
	check_text(e.msg, "W, error found in #10 byte of ...|mnopqrstuvwxyzabcdef|..., bigger context "
			  "...|"
			  "yzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"
			  "mnopqrst|...");
	assert_false(json_report(str_of(body, 200), 200, "W", &e));
	assert_non_null(strstr(e.msg, "#10 byte of ...|ijklmnopqr|..."));
}

static void starts(void **state)
{
	(void)state;
	static const char *const good[] = {"{", " \r\n\t{}", "null", "nullx"};
	static const char *const bad[][2] = {
		{"", "EOF"},
		{" \n", "EOF"},
		{"nope",
		 "skipThreeBytes: expect ull, error found in #2 byte of ...|nope|..., bigger context ...|nope|..."},
		{"nul",
		 "skipThreeBytes: expect ull, error found in #3 byte of ...|nul|..., bigger context ...|nul|..."},
		{"nuly",
		 "skipThreeBytes: expect ull, error found in #4 byte of ...|nuly|..., bigger context ...|nuly|..."},
		{" []", "readObjectStart: expect { or n, but found [, error found in #2 byte of ...| []|..., bigger "
			"context ...| []|..."},
	};
	struct err e;
	for (size_t i = 0; i < COUNT(good); i++) {
		e = ERR_INIT;
		if (!json_report_start(str_c(good[i]), &e)) fail_msg("%s: %s", good[i], e.msg);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		e = ERR_INIT;
		assert_false(json_report_start(str_c(bad[i][0]), &e));
		check_text(e.msg, bad[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_are_cut_at_the_ends),
		cmocka_unit_test(starts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
