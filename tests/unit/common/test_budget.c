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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(takes_up_to_the_limit),
					   cmocka_unit_test(threads_lose_nothing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
