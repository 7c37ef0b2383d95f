/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/clock.h"

#include "tests/unit/check.h"

static void fake_moves_when_told(void **state)
{
	(void)state;
	struct clock_fake a, b;
	clock_fake_init(&a, 1000, 42);
	clock_fake_init(&b, 0, 42);
	assert_int_equal(clock_wall(&a.base), 1000);
	assert_int_equal(clock_mono(&a.base), 0);
	clock_fake_step(&a, 5);
	assert_int_equal(clock_wall(&a.base), 1005);
	assert_int_equal(clock_mono(&a.base), 5);
	for (int i = 0; i < 10; i++) assert_true(clock_rnd(&a.base) == clock_rnd(&b.base)); /* by seed alone */
	assert_true(clock_rnd(&a.base) != clock_rnd(&a.base));
}

static void a_mark_is_as_old_as_either_clock_says(void **state)
{
	(void)state;
	struct clock_fake f;
	const struct clock_mark none = {0};
	clock_fake_init(&f, 1000, 42);
	struct clock_mark m = clock_mark(&f.base);
	assert_true(clock_within(&f.base, &m, 10));
	assert_false(clock_within(&f.base, &none, INT64_MAX));
	clock_fake_step(&f, 9);
	assert_true(clock_within(&f.base, &m, 10));
	f.wall_ns -= 5;
	f.mono_ns++;
	assert_false(clock_within(&f.base, &m, 10));
	f.mono_ns = 0; /* asleep */
	f.wall_ns = 1010;
	assert_false(clock_within(&f.base, &m, 10));
	f.wall_ns = 999; /* set back */
	assert_false(clock_within(&f.base, &m, 10));
}

static void real_goes_forward(void **state)
{
	(void)state;
	int64_t last = clock_mono(&clock_real);
	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_mono(&clock_real);
		assert_true(now >= last);
		last = now;
	}
	assert_true(clock_wall(&clock_real) > INT64_C(1700000000) * 1000000000); /* nanoseconds of this century */
	assert_true(clock_rnd(&clock_real) != clock_rnd(&clock_real));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fake_moves_when_told),
		cmocka_unit_test(a_mark_is_as_old_as_either_clock_says),
		cmocka_unit_test(real_goes_forward),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
