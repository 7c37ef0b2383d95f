/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/task.h"
#include "common/units.h"
#include "tests/unit/check.h"

#include <pthread.h>
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

static struct task *start(struct count *c)
{
	struct err e = ERR_INIT;
	struct task *t = task_start(run, c, &e);
	if (!t) fail_msg("%s", e.msg);
	return t;
}

static void it_runs_again_after_a_pause(void **state)
{
	struct count c = {.pause = UNITS_MS};
	(void)state;
	struct task *t = start(&c);
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
	struct task *t = start(&c);
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
	struct task *t = start(&c);
	await_runs(&c, 1);
	task_stop(t);
	assert_int_equal(c.runs, 1);
}

/* There is no room for its stack. */
static void without_a_thread_there_is_an_error(void **state)
{
	struct count c = {0};
	struct err e = ERR_INIT;
	pthread_attr_t before, huge;
	(void)state;
	pthread_getattr_default_np(&before);
	pthread_attr_init(&huge);
	assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 47), 0);
	assert_int_equal(pthread_setattr_default_np(&huge), 0);
	assert_null(task_start(run, &c, &e));
	pthread_setattr_default_np(&before);
	assert_non_null(strstr(e.msg, "start a thread"));
	assert_int_equal(c.runs, 0);
	pthread_attr_destroy(&huge);
	pthread_attr_destroy(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_runs_again_after_a_pause),
		cmocka_unit_test(a_wake_ends_the_pause),
		cmocka_unit_test(a_long_run_hears_of_the_stop),
		cmocka_unit_test(without_a_thread_there_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
