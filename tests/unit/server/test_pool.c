/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/pool.h"

#include "tests/unit/check.h"

#include <pthread.h>
#include <stdatomic.h>

enum { TASKS = 500, CALLERS = 4 };

static void count(void *ud, size_t i) { atomic_fetch_add(&((_Atomic unsigned *)ud)[i], 1); }

static void each_task_runs_once(void **state)
{
	(void)state;
	for (unsigned threads = 0; threads <= 8; threads += 4) {
		struct pool *p = pool_new(threads);
		_Atomic unsigned ran[TASKS] = {0};
		pool_run(p, 0, count, ran);
		pool_run(p, 1, count, ran);
		pool_run(p, TASKS, count, ran);
		assert_int_equal(ran[0], 2);
		for (size_t i = 1; i < TASKS; i++) assert_int_equal(ran[i], 1);
		pool_free(p);
	}
}

static void meet(void *ud, size_t i)
{
	(void)i;
	pthread_barrier_wait(ud);
}

/* Two tasks that wait for each other need two threads: a worker must have come to help. */
static void workers_help(void **state)
{
	(void)state;
	struct pool *p = pool_new(1);
	pthread_barrier_t both;
	pthread_barrier_init(&both, NULL, 2);
	pool_run(p, 2, meet, &both);
	pthread_barrier_destroy(&both);
	pool_free(p);
}

struct caller {
	struct pool *pool;
	_Atomic unsigned ran[TASKS];
};

static void *call(void *arg)
{
	struct caller *c = arg;
	for (int i = 0; i < 20; i++) pool_run(c->pool, TASKS, count, c->ran);
	return NULL;
}

static void many_callers_share_it(void **state)
{
	(void)state;
	struct pool *p = pool_new(2);
	static struct caller callers[CALLERS];
	pthread_t threads[CALLERS];
	for (size_t i = 0; i < CALLERS; i++) {
		callers[i].pool = p;
		assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
	}
	for (size_t i = 0; i < CALLERS; i++) pthread_join(threads[i], NULL);
	for (size_t i = 0; i < CALLERS; i++)
		for (size_t k = 0; k < TASKS; k++) assert_int_equal(callers[i].ran[k], 20);
	pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_task_runs_once),
		cmocka_unit_test(workers_help),
		cmocka_unit_test(many_callers_share_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
