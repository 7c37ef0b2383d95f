/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/acks.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void in_order(void **state)
{
	(void)state;
	struct acks a;
	acks_init(&a, 2);
	a.next = 10;
	acks_done(&a, 0, 0, 4);
	assert_int_equal(acks_prefix(&a, 0), 4);
	assert_int_equal(acks_slowest(&a), 0);
	acks_done(&a, 1, 0, 10);
	acks_done(&a, 0, 4, 10);
	assert_true(acks_complete(&a));
	acks_fini(&a);
}

static void gaps_hold_the_prefix(void **state)
{
	(void)state;
	struct acks a;
	acks_init(&a, 1);
	a.next = 1000;
	acks_done(&a, 0, 500, 1000);
	acks_done(&a, 0, 1, 499);
	assert_int_equal(acks_prefix(&a, 0), 0);
	acks_done(&a, 0, 0, 1);
	assert_int_equal(acks_prefix(&a, 0), 499);
	acks_done(&a, 0, 400, 500); /* partly known already */
	assert_int_equal(acks_prefix(&a, 0), 1000);
	acks_fini(&a);
}

/* Every order of small ranges gives the same prefix as a plain array of flags. */
static void random_order_matches_model(void **state)
{
	(void)state;
	enum { ROWS = 5000 };
	unsigned seed = 7;

	for (int round = 0; round < 20; round++) {
		struct acks a;
		bool done[ROWS] = {0};
		acks_init(&a, 1);
		a.next = ROWS;
		for (int i = 0; i < 3000; i++) {
			seed = seed * 1103515245 + 12345;
			uint64_t from = seed / 65536 % ROWS, to = from + seed % 17;
			if (to > ROWS) to = ROWS;
			acks_done(&a, 0, from, to);
			for (uint64_t r = from; r < to; r++) done[r] = true;
			uint64_t want = 0;
			while (want < ROWS && done[want]) want++;
			assert_int_equal(acks_prefix(&a, 0), want);
		}
		acks_fini(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(gaps_hold_the_prefix),
		cmocka_unit_test(random_order_matches_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
