/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/meta_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *name, *want;
	} cases[] = {
		{"trace_id", "trace_id"},
		{"trace.id", "trace_id"},
		{"a--b", "a_b"},
		{"a__b", "a_b"},
		{"a._-b", "a_b"},
		{"_a", "_a"},
		{"a.", "a_"},
		{"0ab", "key_0ab"},
		{"__name__", "__name__"},
		{"__a.b__", "__a_b__"},
		{"caf\xc3\xa9", "caf_"},
		{"7", "key_7"},
	};
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str got = meta_name(&a, str_c(cases[i].name));
		if (!str_eqc(got, cases[i].want)) fail_msg("%s: got %.*s", cases[i].name, STR_ARG(got));
		if (strcmp(cases[i].name, cases[i].want) == 0) assert_ptr_equal(got.p, cases[i].name);
	}
	arena_free(&a);
}

static void nothing_is_left(void **state)
{
	(void)state;
	static const char *const names[] = {"", "_", "___", "_____", "...", "-", "\xc3\xa9"};
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_null(meta_name(&a, str_c(names[i])).p);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(nothing_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
