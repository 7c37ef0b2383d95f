/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/pool.h"

#include "common/buf.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct job {
	uint64_t owner;
	size_t next, n, running;
	void (*fn)(void *ud, size_t i);
	void *ud;
	struct job *after;
};

struct pool {
	pthread_mutex_t lock; /* everything here and in the jobs */
	pthread_cond_t work, done;
	struct job *head, *tail; /* jobs with tasks that nobody has begun; put back at the tail after their turn */
	uint64_t served;         /* owner of the job that had the last turn */
	pthread_t *threads;
	unsigned n_threads;
	bool stopping;
};

static void enqueue(struct pool *p, struct job *j)
{
	j->after = NULL;
	if (p->tail)
		p->tail->after = j;
	else
		p->head = j;
	p->tail = j;
}

static void dequeue(struct pool *p, struct job *j)
{
	struct job **at = &p->head, *before = NULL;
	while (*at && *at != j) {
		before = *at;
		at = &(*at)->after;
	}
	if (!*at) return;
	*at = j->after;
	if (p->tail == j) p->tail = before;
}

/* Runs the job's next task; called and returns with the lock held. */
static void run_one(struct pool *p, struct job *j)
{
	size_t i = j->next++;
	j->running++;
	dequeue(p, j);
	if (j->next < j->n) enqueue(p, j);
	pthread_mutex_unlock(&p->lock);
	j->fn(j->ud, i);
	pthread_mutex_lock(&p->lock);
	if (--j->running == 0 && j->next == j->n) pthread_cond_broadcast(&p->done);
}

/* The job that has waited longest of another owner than the last one's; else the one that has waited longest. As
 * jobs go to the tail after their turn, no owner waits for two turns of another. */
static struct job *whose_turn(struct pool *p)
{
	struct job *j = p->head;
	while (j && j->owner == p->served) j = j->after;
	if (!j) j = p->head;
	p->served = j->owner;
	return j;
}

static void *worker(void *arg)
{
	struct pool *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		if (p->head)
			run_one(p, whose_turn(p));
		else
			pthread_cond_wait(&p->work, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct pool *pool_new(unsigned threads)
{
	struct pool *p = mem_zalloc(sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->done, NULL);
	p->threads = mem_zalloc((threads + 1) * sizeof *p->threads);
	/* With fewer threads than asked for, callers do more themselves. */
	while (p->n_threads < threads && pthread_create(&p->threads[p->n_threads], NULL, worker, p) == 0)
		p->n_threads++;
	return p;
}

void pool_free(struct pool *p)
{
	if (!p) return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++) pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->threads);
	free(p);
}

void pool_run(struct pool *p, uint64_t owner, size_t n, void (*fn)(void *ud, size_t i), void *ud)
{
	struct job j = {.owner = owner, .n = n, .fn = fn, .ud = ud};
	if (n == 0) return;
	pthread_mutex_lock(&p->lock);
	enqueue(p, &j);
	if (n > 1) pthread_cond_broadcast(&p->work);
	while (j.next < j.n) run_one(p, &j);
	while (j.running) pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
}
