/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/queue.h"

#include "common/buf.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct queue {
	pthread_mutex_t mutex;
	pthread_cond_t not_empty, not_full;
	size_t head, n, cap; /* ring of cap items, n of them from head on */
	bool closed;
	void *v[];
};

struct queue *queue_new(size_t cap)
{
	if (cap == 0) cap = 1;
	struct queue *q = mem_zalloc(sizeof *q + cap * sizeof q->v[0]);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&q->mutex, NULL);
	pthread_cond_init(&q->not_empty, &attr);
	pthread_cond_init(&q->not_full, &attr);
	pthread_condattr_destroy(&attr);
	q->cap = cap;
	return q;
}

void queue_free(struct queue *q)
{
	if (!q) return;
	pthread_cond_destroy(&q->not_empty);
	pthread_cond_destroy(&q->not_full);
	pthread_mutex_destroy(&q->mutex);
	free(q);
}

static bool push(struct queue *q, void *item, bool wait)
{
	pthread_mutex_lock(&q->mutex);
	while (wait && !q->closed && q->n == q->cap) pthread_cond_wait(&q->not_full, &q->mutex);
	bool taken = !q->closed && q->n < q->cap;
	if (taken) {
		q->v[(q->head + q->n++) % q->cap] = item;
		pthread_cond_signal(&q->not_empty);
	}
	pthread_mutex_unlock(&q->mutex);
	return taken;
}

bool queue_push(struct queue *q, void *item) { return push(q, item, true); }
bool queue_try_push(struct queue *q, void *item) { return push(q, item, false); }

void *queue_pop_until(struct queue *q, int64_t mono_ns)
{
	void *item = NULL;
	struct timespec deadline = {mono_ns / 1000000000, mono_ns % 1000000000};
	pthread_mutex_lock(&q->mutex);
	while (q->n == 0 && !q->closed && mono_ns > 0)
		if (pthread_cond_timedwait(&q->not_empty, &q->mutex, &deadline) != 0) break;
	if (q->n) {
		item = q->v[q->head];
		q->head = (q->head + 1) % q->cap;
		q->n--;
		pthread_cond_signal(&q->not_full);
	}
	pthread_mutex_unlock(&q->mutex);
	return item;
}

void *queue_pop(struct queue *q) { return queue_pop_until(q, INT64_MAX); }
void *queue_try_pop(struct queue *q) { return queue_pop_until(q, 0); }

void queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->mutex);
	q->closed = true;
	pthread_cond_broadcast(&q->not_empty);
	pthread_cond_broadcast(&q->not_full);
	pthread_mutex_unlock(&q->mutex);
}

size_t queue_len(struct queue *q)
{
	pthread_mutex_lock(&q->mutex);
	size_t n = q->n;
	pthread_mutex_unlock(&q->mutex);
	return n;
}
