/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/task.h"

#include "common/buf.h"
#include "common/units.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct task {
	task_fn *fn;
	void *ud;
	pthread_t thread;
	pthread_mutex_t mu; /* guards what follows */
	pthread_cond_t wake;
	bool woken, stop;
};

/* Under the lock. */
static void nap(struct task *t, int64_t ns)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ns / UNITS_SEC + (at.tv_nsec + ns % UNITS_SEC) / UNITS_SEC;
	at.tv_nsec = (at.tv_nsec + ns % UNITS_SEC) % UNITS_SEC;
	while (!t->woken && !t->stop && pthread_cond_timedwait(&t->wake, &t->mu, &at) != ETIMEDOUT) {}
}

static void *task_main(void *ud)
{
	struct task *t = ud;
	pthread_mutex_lock(&t->mu);
	while (!t->stop) {
		t->woken = false;
		pthread_mutex_unlock(&t->mu);
		int64_t pause = t->fn(t->ud, t);
		pthread_mutex_lock(&t->mu);
		nap(t, pause);
	}
	pthread_mutex_unlock(&t->mu);
	return NULL;
}

static void task_free(struct task *t)
{
	pthread_mutex_destroy(&t->mu);
	pthread_cond_destroy(&t->wake);
	free(t);
}

struct task *task_start(task_fn *fn, void *ud, struct err *e)
{
	struct task *t = mem_zalloc(sizeof *t);
	pthread_condattr_t a;
	t->fn = fn;
	t->ud = ud;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_mutex_init(&t->mu, NULL);
	pthread_cond_init(&t->wake, &a);
	pthread_condattr_destroy(&a);
	errno = pthread_create(&t->thread, NULL, task_main, t);
	if (!errno) return t;
	err_errno(e, "start a thread");
	task_free(t);
	return NULL;
}

void task_wake(struct task *t)
{
	pthread_mutex_lock(&t->mu);
	t->woken = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->mu);
}

bool task_stopping(struct task *t)
{
	pthread_mutex_lock(&t->mu);
	bool stop = t->stop;
	pthread_mutex_unlock(&t->mu);
	return stop;
}

void task_stop(struct task *t)
{
	if (!t) return;
	pthread_mutex_lock(&t->mu);
	t->stop = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->mu);
	pthread_join(t->thread, NULL);
	task_free(t);
}
