/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/budget.h"

#include "tests/unit/check.h"

#include <pthread.h>

static void takes_up_to_the_limit(void **state)
{
	(void)state;
	struct budget b = {.limit = 100};
	assert_true(budget_take(&b, 60));
	assert_false(budget_take(&b, 41));
	assert_int_equal(budget_used(&b), 60);
	assert_true(budget_take(&b, 40));
	assert_false(budget_take(&b, 1));
	assert_true(budget_take(&b, 0));
	budget_force(&b, 50);
	assert_int_equal(budget_used(&b), 150);
	assert_false(budget_take(&b, 0)); /* beyond it nothing is granted */
	budget_give(&b, 150);
	assert_false(budget_take(&b, SIZE_MAX)); /* no wrap */
	assert_int_equal(budget_used(&b), 0);
}

static void *take_and_give(void *ud)
{
	struct budget *b = ud;
	for (int i = 0; i < 20000; i++)
		if (budget_take(b, 7)) budget_give(b, 7);
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	(void)state;
	struct budget b = {.limit = 10};
	pthread_t t[4];
	for (size_t i = 0; i < COUNT(t); i++) pthread_create(&t[i], NULL, take_and_give, &b);
	for (size_t i = 0; i < COUNT(t); i++) pthread_join(t[i], NULL);
	assert_int_equal(budget_used(&b), 0);
}

static void shares_leave_something_for_the_others(void **state)
{
	struct budget b = {.limit = 10000};
	struct budget_share one = {.of = &b}, two = {.of = &b}, late = {.of = &b}, whole = {.of = &b, .whole = true};
	(void)state;
	assert_int_equal(budget_share_room(&one), 8000);
	assert_false(budget_share_take(&one, 8001));
	/* At once or in pieces, each gets no more than four times what it leaves. */
	while (budget_share_take(&one, 10))
		;
	assert_in_range(one.used, 7950, 8000);
	assert_true(budget_share_take(&two, budget_share_room(&two)));
	while (budget_share_take(&two, 1))
		;
	assert_in_range(two.used, 1590, 1660);
	assert_true(budget_share_take(&late, 300));
	assert_false(budget_share_take(&late, 100));
	assert_true(budget_share_take(&whole, 100));
	assert_int_equal(budget_share_room(&whole), b.limit - budget_used(&b));
	budget_share_give(&whole, 100);
	budget_share_give(&one, one.used);
	budget_share_give(&two, two.used);
	budget_share_give(&late, 300);
	assert_int_equal(budget_used(&b), 0);
	assert_false(budget_share_take(&one, SIZE_MAX));
	assert_int_equal(one.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(takes_up_to_the_limit),
					   cmocka_unit_test(threads_lose_nothing),
					   cmocka_unit_test(shares_leave_something_for_the_others)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
