/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/shares.h"

#include "tests/unit/check.h"

#include <pthread.h>

static void tenants_leave_something_for_each_other(void **state)
{
	struct budget b = {.limit = 300};
	struct shares *s = shares_new(&b, true);
	struct budget_share *greedy = shares_get(s, STR("a")), *again = shares_get(s, STR("a")),
			    *other = shares_get(s, STR("b"));
	(void)state;
	assert_ptr_equal(greedy, again);
	assert_false(budget_share_take(greedy, 250));
	assert_true(budget_share_take(greedy, 200) && budget_share_take(again, 30));
	assert_false(budget_share_take(again, 30));
	assert_true(budget_share_take(other, 50));
	budget_share_give(again, 230);
	budget_share_give(other, 50);
	shares_put(s, greedy);
	shares_put(s, again);
	shares_put(s, other);
	/* A tenant that has nothing under way is forgotten. */
	greedy = shares_get(s, STR("a"));
	assert_int_equal(greedy->used, 0);
	shares_put(s, greedy);
	shares_free(s);
}

static void the_only_tenant_may_have_everything(void **state)
{
	struct budget b = {.limit = 300};
	struct shares *s = shares_new(&b, false);
	struct budget_share *one = shares_get(s, STR_NULL);
	(void)state;
	assert_true(budget_share_take(one, 150) && budget_share_take(one, 150));
	assert_int_equal(budget_share_room(one), 0);
	budget_share_give(one, 300);
	shares_put(s, one);
	shares_free(s);
}

static struct shares *shared;

static void *come_and_go(void *ud)
{
	for (int i = 0; i < 5000; i++) {
		struct budget_share *s = shares_get(shared, str_c(i % 2 ? ud : "x"));
		if (budget_share_take(s, 5)) budget_share_give(s, 5);
		shares_put(shared, s);
	}
	return NULL;
}

static void threads(void **state)
{
	static const char *const names[] = {"x", "y", "z"};
	struct budget b = {.limit = 20};
	pthread_t t[3];
	(void)state;
	shared = shares_new(&b, true);
	for (size_t i = 0; i < COUNT(t); i++) pthread_create(&t[i], NULL, come_and_go, (void *)names[i]);
	for (size_t i = 0; i < COUNT(t); i++) pthread_join(t[i], NULL);
	assert_int_equal(budget_used(&b), 0);
	shares_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(tenants_leave_something_for_each_other),
					   cmocka_unit_test(the_only_tenant_may_have_everything),
					   cmocka_unit_test(threads)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
