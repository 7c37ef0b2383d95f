/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/distributor/ratelimit.h"

#include "common/units.h"
#include "tests/unit/check.h"

#include <pthread.h>

static struct clock_fake fake;
static struct ratelimit *r;

static int setup(void **state)
{
	(void)state;
	clock_fake_init(&fake, 0, 1);
	r = ratelimit_new(&fake.base);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ratelimit_free(r);
	return 0;
}

static void a_bucket_starts_full_and_refills(void **state)
{
	(void)state;
	assert_true(ratelimit_take(r, STR("k"), 10, 20, 20));
	assert_false(ratelimit_take(r, STR("k"), 10, 20, 1));
	clock_fake_step(&fake, UNITS_SEC / 2);
	assert_true(ratelimit_take(r, STR("k"), 10, 20, 5));
	assert_false(ratelimit_take(r, STR("k"), 10, 20, 1));
	clock_fake_step(&fake, 3600 * UNITS_SEC);
	assert_true(ratelimit_take(r, STR("k"), 10, 20, 20)); /* never more than the burst */
	assert_false(ratelimit_take(r, STR("k"), 10, 20, 1));
}

static void a_take_is_all_or_nothing(void **state)
{
	(void)state;
	assert_false(ratelimit_take(r, STR("k"), 10, 20, 21)); /* more than the bucket ever holds */
	assert_true(ratelimit_take(r, STR("k"), 10, 20, 20));
	assert_true(ratelimit_take(r, STR("k"), 10, 20, 0));
}

static void keys_have_their_own_bucket(void **state)
{
	(void)state;
	assert_true(ratelimit_take(r, STR("a"), 10, 20, 20));
	assert_true(ratelimit_take(r, STR("b"), 10, 20, 20));
	assert_false(ratelimit_take(r, STR("a"), 10, 20, 1));
}

/* The limits are the tenant's of now. */
static void limits_may_change(void **state)
{
	(void)state;
	assert_true(ratelimit_take(r, STR("k"), 10, 20, 20));
	clock_fake_step(&fake, UNITS_SEC);
	assert_true(ratelimit_take(r, STR("k"), 100, 200, 100));
	assert_false(ratelimit_take(r, STR("k"), 100, 200, 1));
	clock_fake_step(&fake, 10 * UNITS_SEC);
	assert_false(ratelimit_take(r, STR("k"), 100, 50, 51));
	assert_true(ratelimit_take(r, STR("k"), 100, 50, 50));
}

/* Full buckets are dropped when the table grows; one that is not full keeps what it knows. */
static void full_buckets_are_forgotten(void **state)
{
	(void)state;
	assert_true(ratelimit_take(r, STR("busy"), 1e-9, 20, 20));
	for (uint64_t i = 0; i < 5000; i++) {
		clock_fake_step(&fake, 3 * UNITS_SEC);
		assert_true(ratelimit_take(r, str_of((char *)&i, sizeof i), 10, 20, 20));
	}
	assert_false(ratelimit_take(r, STR("busy"), 1e-9, 20, 1));
}

enum { THREADS = 4, TAKES = 2000 };

static void *take_ones(void *ud)
{
	size_t *got = ud;
	for (int i = 0; i < TAKES; i++) *got += ratelimit_take(r, STR("k"), 1, TAKES, 1);
	return NULL;
}

static void threads_share_a_bucket(void **state)
{
	(void)state;
	pthread_t t[THREADS];
	size_t got[THREADS] = {0}, all = 0;
	for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&t[i], NULL, take_ones, &got[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		all += got[i];
	}
	assert_int_equal(all, TAKES);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_bucket_starts_full_and_refills), T(a_take_is_all_or_nothing),
		T(keys_have_their_own_bucket),       T(limits_may_change),
		T(full_buckets_are_forgotten),       T(threads_share_a_bucket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
