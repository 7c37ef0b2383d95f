/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/unicode.h"

#include "tests/unit/check.h"

static void printable_as_in_go(void **state)
{
	(void)state;
	static const struct {
		uint32_t rune;
		bool print;
	} cases[] = {
		{0x00, false},
		{0x1f, false},
		{' ', true},
		{'~', true},
		{0x7f, false},
		{0x85, false},
		{0xa0, false} /* no-break space */,
		{0xa1, true},
		{0xad, false} /* soft hyphen */,
		{0xe9, true},
		{0x300, true} /* a mark */,
		{0x378, false} /* unassigned */,
		{0x200b, false},
		{0x2028, false},
		{0x20ac, true},
		{0x3000, false} /* ideographic space */,
		{0x4e00, true},
		{0x9fff, true},
		{0xd7a3, true},
		{0xd800, false},
		{0xe000, false} /* private */,
		{0xfeff, false},
		{0xfffd, true},
		{0xffff, false},
		{0x1f600, true},
		{0x1fae8, true} /* new in 15.0 */,
		{0x31350, true} /* CJK H, new in 15.0 */,
		{0x2fffe, false},
		{0xe0001, false},
		{0x10ffff, false},
		{0x110000, false},
		{UINT32_MAX, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) assert_int_equal(unicode_is_print(cases[i].rune), cases[i].print);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(printable_as_in_go)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
