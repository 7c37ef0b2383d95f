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
		pool_run(p, 1, 0, count, ran);
		pool_run(p, 1, 1, count, ran);
		pool_run(p, 1, TASKS, count, ran);
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
	pool_run(p, 1, 2, meet, &both);
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
	for (int i = 0; i < 20; i++) pool_run(c->pool, 1, TASKS, count, c->ran);
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

/* Owners take turns: one worker, two jobs of owner 1 and one of owner 2, whose callers wait in their first task. */
enum { TURNS = 8 };
static struct {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	unsigned waiting;
	uint64_t order[3 * TURNS];
	size_t n;
	bool released;
} turns = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
struct turn_job {
	struct pool *pool;
	uint64_t owner;
	pthread_t caller;
};

static void take_turn(void *ud, size_t i)
{
	struct turn_job *j = ud;
	(void)i;
	pthread_mutex_lock(&turns.lock);
	turns.waiting++;
	pthread_cond_broadcast(&turns.moved);
	bool caller = pthread_equal(pthread_self(), j->caller);
	while (caller ? !turns.released : turns.waiting < 4) pthread_cond_wait(&turns.moved, &turns.lock);
	if (!caller && !turns.released) turns.order[turns.n++] = j->owner;
	if (turns.n == 6) turns.released = true;
	pthread_cond_broadcast(&turns.moved);
	pthread_mutex_unlock(&turns.lock);
}

static void *call_turns(void *arg)
{
	struct turn_job *j = arg;
	j->caller = pthread_self();
	pool_run(j->pool, j->owner, TURNS, take_turn, j);
	return NULL;
}

static void owners_take_turns(void **state)
{
	(void)state;
	struct pool *p = pool_new(1);
	struct turn_job jobs[3] = {{p, 1, 0}, {p, 1, 0}, {p, 2, 0}};
	pthread_t threads[3];
	for (size_t i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_turns, &jobs[i]), 0);
	for (size_t i = 0; i < 3; i++) pthread_join(threads[i], NULL);
	/* The first turn came before all jobs were there; from then on no owner has two in a row. */
	for (size_t i = 2; i < 6; i++) assert_int_not_equal(turns.order[i], turns.order[i - 1]);
	pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_task_runs_once),
		cmocka_unit_test(workers_help),
		cmocka_unit_test(many_callers_share_it),
		cmocka_unit_test(owners_take_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
