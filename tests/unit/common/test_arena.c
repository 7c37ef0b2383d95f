/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/arena.h"

#include "tests/unit/check.h"

static void pieces_are_aligned_and_apart(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 0);
	enum { N = 2000 };
	char *p[N];
	for (int i = 0; i < N; i++) {
		size_t n = (size_t)(i * 7 % 500);
		p[i] = arena_alloc(&a, n);
		assert_int_equal((uintptr_t)p[i] % 16, 0);
		memset(p[i], i & 0xff, n);
	}
	for (int i = 0; i < N; i++)
		for (int k = 0; k < i * 7 % 500; k++) assert_int_equal((unsigned char)p[i][k], i & 0xff);
	assert_false(arena_over(&a));
	arena_free(&a);
	arena_free(&a);
}

static void large_pieces_leave_the_block_in_use(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 0);
	char *small = arena_alloc(&a, 16), *big = arena_zalloc(&a, 3 << 20), *next = arena_alloc(&a, 16);
	assert_ptr_equal(next, small + 16);
	assert_int_equal(big[(3 << 20) - 1], 0);
	arena_reset(&a);
	assert_int_equal(a.used, 0);
	assert_ptr_equal(arena_alloc(&a, 16), small); /* the block is kept */
	arena_free(&a);
	arena_init(&a, 0);
	memset(arena_alloc(&a, 5 << 20), 1, 5 << 20); /* a large one first */
	arena_reset(&a);
	memset(arena_alloc(&a, 5 << 20), 1, 5 << 20);
	arena_free(&a);
}

static void cap_is_soft(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 1000);
	assert_non_null(arena_alloc(&a, 1000));
	assert_true(arena_over(&a)); /* rounded up */
	assert_non_null(arena_alloc(&a, 1 << 20));
	arena_reset(&a);
	assert_false(arena_over(&a));
	assert_int_equal(a.cap, 1000);
	arena_free(&a);
}

static void texts(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 0);
	struct str s = arena_str(&a, STR("a\0b"));
	assert_int_equal(s.n, 3);
	assert_memory_equal(s.p, "a\0b", 4);
	check_text(arena_cstr(&a, STR_NULL), "");
	check_str(arena_printf(&a, "%s-%d", "x", 42), STR("x-42"));
	struct str wide = arena_printf(&a, "%*s", 100000, "x");
	assert_int_equal(wide.n, 100000);
	assert_int_equal(wide.p[99999], 'x');
	arena_free(&a);
}

static void arrays_grow(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 0);
	int *v = NULL, *w = NULL;
	size_t n = 0, cap = 0, m = 0, wcap = 0;
	for (int i = 0; i < 10000; i++) *ARENA_PUSH(&a, v, n, cap) = i; /* alone: grows in place */
	for (int i = 0; i < 1000; i++) {
		*ARENA_PUSH(&a, v, n, cap) = 10000 + i; /* two in turn: must be copied */
		*ARENA_PUSH(&a, w, m, wcap) = -i;
	}
	for (int i = 0; i < 11000; i++) assert_int_equal(v[i], i);
	for (int i = 0; i < 1000; i++) assert_int_equal(w[i], -i);
	struct str *z = ARENA_NEW(&a, struct str);
	assert_null(z->p);
	arena_free(&a);
}

static char released[8];

static void release(void *p) { strcat(released, p); }

static void deferred_calls_run_once_in_reverse(void **state)
{
	struct arena a;
	(void)state;
	arena_init(&a, 0);
	arena_defer(&a, release, "a");
	arena_defer(&a, release, "b");
	arena_reset(&a);
	assert_string_equal(released, "ba");
	arena_defer(&a, release, "c");
	arena_free(&a);
	arena_free(&a);
	assert_string_equal(released, "bac");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_aligned_and_apart),
		cmocka_unit_test(large_pieces_leave_the_block_in_use),
		cmocka_unit_test(cap_is_soft),
		cmocka_unit_test(texts),
		cmocka_unit_test(arrays_grow),
		cmocka_unit_test(deferred_calls_run_once_in_reverse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
