/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void removes_sequences(void **state)
{
	(void)state;
	check_stages("[{decolorize: {}}]",
		     LINES("\x1b[31mred\x1b[0m plain", "\x1b[1;33;41mx\x1b[K", "none", "\x1b]0;title\x07y",
			   "\xc2\x9b"
			   "1mz",
			   "100% caf\xe9 \x1b[0mend"),
		     "{job=\"t\"} red plain\n{job=\"t\"} x\n{job=\"t\"} none\n{job=\"t\"} y\n{job=\"t\"} z\n"
		     "{job=\"t\"} 100% caf\xe9 end\n");
	check_stages("[{decolorize: }]", LINES("\x1b[31mred"), "{job=\"t\"} red\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(removes_sequences)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
