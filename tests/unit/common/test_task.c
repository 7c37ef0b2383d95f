/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/task.h"
#include "common/units.h"
#include "tests/unit/check.h"

#include <sched.h>
#include <stdatomic.h>

struct count {
	_Atomic int runs;
	int64_t pause;
	bool until_stopped;
};

static int64_t run(void *ud, struct task *t)
{
	struct count *c = ud;
	c->runs++;
	while (c->until_stopped && !task_stopping(t)) sched_yield();
	return c->pause;
}

static void await_runs(struct count *c, int n)
{
	while (c->runs < n) sched_yield();
}

static void it_runs_again_after_a_pause(void **state)
{
	struct count c = {.pause = UNITS_MS};
	(void)state;
	struct task *t = task_start(run, &c);
	await_runs(&c, 3);
	task_stop(t);
	int runs = c.runs;
	sched_yield();
	assert_int_equal(c.runs, runs);
}

static void a_wake_ends_the_pause(void **state)
{
	struct count c = {.pause = INT64_C(1000000) * UNITS_HOUR};
	(void)state;
	struct task *t = task_start(run, &c);
	await_runs(&c, 1);
	for (int i = 2; i < 5; i++) {
		task_wake(t);
		await_runs(&c, i);
	}
	task_stop(t); /* from a pause that would outlast everybody */
	task_stop(NULL);
}

static void a_long_run_hears_of_the_stop(void **state)
{
	struct count c = {.until_stopped = true};
	(void)state;
	struct task *t = task_start(run, &c);
	await_runs(&c, 1);
	task_stop(t);
	assert_int_equal(c.runs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_runs_again_after_a_pause),
		cmocka_unit_test(a_wake_ends_the_pause),
		cmocka_unit_test(a_long_run_hears_of_the_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
