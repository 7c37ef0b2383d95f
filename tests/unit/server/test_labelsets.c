/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/labelsets.h"

#include "tests/unit/check.h"

#include <stdio.h>

static void numbers_by_first_appearance(void **state)
{
	(void)state;
	struct arena a;
	struct labelsets t;
	struct label ab[] = {{STR("a"), STR("1")}, {STR("b"), STR("2")}}, a_empty = {STR("a"), STR("")};
	arena_init(&a, 0);
	labelsets_init(&t, &a);
	assert_int_equal(labelsets_add(&t, &(struct labels){ab, 2}, LABELSETS_COPY), 0);
	assert_int_equal(labelsets_add(&t, &(struct labels){NULL, 0}, LABELSETS_COPY), 1);
	assert_int_equal(labelsets_add(&t, &(struct labels){&a_empty, 1}, LABELSETS_BORROW), 2);
	assert_int_equal(labelsets_add(&t, &(struct labels){ab, 1}, LABELSETS_COPY), 3);
	assert_int_equal(labelsets_add(&t, &(struct labels){ab, 2}, LABELSETS_BORROW), 0);
	assert_int_equal(t.n, 4);
	assert_ptr_not_equal(t.v[0].v, ab);
	assert_ptr_equal(t.v[2].v, &a_empty);
	ab[1].value = STR("changed"); /* a copy does not notice */
	check_str(t.v[0].v[1].value, STR("2"));
	labelsets_free(&t);
	arena_free(&a);
}

static void many(void **state)
{
	(void)state;
	enum { N = 5000 };
	struct arena a;
	struct labelsets t;
	arena_init(&a, 0);
	labelsets_init(&t, &a);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++) {
			char text[16];
			snprintf(text, sizeof text, "%d", i);
			struct label l = {STR("n"), str_c(text)};
			assert_int_equal(labelsets_add(&t, &(struct labels){&l, 1}, LABELSETS_COPY), i);
		}
	}
	assert_int_equal(t.n, N);
	labelsets_free(&t);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(numbers_by_first_appearance), cmocka_unit_test(many)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
