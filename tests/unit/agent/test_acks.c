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

static void a_shared_row_is_done_when_all_its_entries_are(void **state)
{
	(void)state;
	struct acks a;
	acks_init(&a, 2);
	a.next = 4;
	acks_share(&a, 1, 2);
	acks_share(&a, 1, 1); /* one of them became two */
	acks_done(&a, 0, 0, 4);
	assert_int_equal(acks_prefix(&a, 0), 1);
	acks_done(&a, 0, 1, 2);
	acks_done(&a, 0, 1, 2);
	assert_int_equal(acks_prefix(&a, 0), 1);
	acks_done_all(&a, 1, 2); /* dropped by a stage, for everyone */
	assert_int_equal(acks_prefix(&a, 0), 4);
	acks_done(&a, 1, 0, 4);
	acks_done(&a, 1, 1, 2);
	assert_int_equal(acks_prefix(&a, 1), 1);
	assert_int_equal(a.shares.n, 1);
	acks_done(&a, 1, 1, 2);
	assert_true(acks_complete(&a));
	assert_int_equal(a.shares.n, 0);
	acks_share(&a, 9, 1); /* left behind */
	acks_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(gaps_hold_the_prefix),
		cmocka_unit_test(random_order_matches_model),
		cmocka_unit_test(a_shared_row_is_done_when_all_its_entries_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
