/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/heap.h"

#include "tests/unit/check.h"

static bool less(const void *a, const void *b, void *ud)
{
	int sign = ud ? *(int *)ud : 1;
	return sign * *(const int *)a < sign * *(const int *)b;
}

static void pops_in_order(void **state)
{
	(void)state;
	enum { N = 500 };
	int v[N], last = -1;
	struct heap h = {.less = less};
	assert_null(heap_top(&h));
	assert_null(heap_pop(&h));
	heap_fix_top(&h);
	for (int i = 0; i < N; i++) {
		v[i] = i * 7919 % 251; /* with equal ones */
		heap_push(&h, &v[i]);
	}
	for (int i = 0; i < N; i++) {
		int *top = heap_top(&h);
		assert_ptr_equal(heap_pop(&h), top);
		assert_true(*top >= last);
		last = *top;
	}
	assert_null(heap_pop(&h));
	heap_free(&h);
}

static void top_changes_and_items_leave(void **state)
{
	(void)state;
	int v[] = {5, 3, 8, 1, 9, 2}, reverse = -1, other = 0;
	struct heap h = {.less = less, .ud = &reverse};
	for (size_t i = 0; i < COUNT(v); i++) heap_push(&h, &v[i]);
	assert_ptr_equal(heap_top(&h), &v[4]);
	v[4] = 0;
	heap_fix_top(&h);
	assert_ptr_equal(heap_top(&h), &v[2]);
	assert_false(heap_remove(&h, &other));
	assert_true(heap_remove(&h, &v[2]));
	assert_true(heap_remove(&h, &v[4]));
	static const int want[] = {5, 3, 2, 1};
	for (size_t i = 0; i < COUNT(want); i++) assert_int_equal(*(int *)heap_pop(&h), want[i]);
	assert_int_equal(h.n, 0);
	heap_free(&h);
}

/* A removed item's place may be filled by one that belongs further up. */
static void removal_restores_order(void **state)
{
	(void)state;
	enum { N = 60 };
	for (int gone = 0; gone < N; gone++) {
		int v[N], last = -1;
		struct heap h = {.less = less};
		for (int i = 0; i < N; i++) {
			v[i] = i * 37 % 61;
			heap_push(&h, &v[i]);
		}
		assert_true(heap_remove(&h, &v[gone]));
		for (int *p; (p = heap_pop(&h));) {
			assert_true(*p > last && p != &v[gone]);
			last = *p;
		}
		heap_free(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pops_in_order),
		cmocka_unit_test(top_changes_and_items_leave),
		cmocka_unit_test(removal_restores_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
