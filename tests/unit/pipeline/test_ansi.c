/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/ansi.h"

#include "tests/unit/check.h"

static void sequences(void **state)
{
	(void)state;
	static const struct {
		const char *line, *want;
	} rows[] = {
		{"", ""},
		{"plain", "plain"},
		{"\x1b[31mred\x1b[0m plain \x1b[1;32mgreen\x1b[m", "red plain green"},
		{"a\xc2\x9b"
		 "2Jb",
		 "ab"},
		{"\x1b]0;title\x07rest", "rest"},
		{"\x1b[?25lhidden\x1b[?25h", "hidden"},
		{"\x1b", "\x1b"},
		{"\x1b[", "\x1b["},
		{"\x1b[12345m", "m"}, /* four digits at most; a fifth is the final character */
		{"\x1b(Btext", "text"},
		{"\x1b\x1b[0mx", "\x1bx"},
		{"caf\xe9 \x1b[4m\xed\x95\x9c\x1b[24m", "caf\xe9 \xed\x95\x9c"},
	};
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT(rows); i++) check_str(ansi_strip(&a, str_c(rows[i].line)), str_c(rows[i].want));
	struct str same = STR("nothing to do");
	assert_ptr_equal(ansi_strip(&a, same).p, same.p);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sequences)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
