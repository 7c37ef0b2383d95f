/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/queue.h"

#include "common/buf.h"

#include <pthread.h>
#include <stdlib.h>

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
	pthread_mutex_init(&q->mutex, NULL);
	pthread_cond_init(&q->not_empty, NULL);
	pthread_cond_init(&q->not_full, NULL);
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

bool queue_push(struct queue *q, void *item)
{
	pthread_mutex_lock(&q->mutex);
	while (!q->closed && q->n == q->cap) pthread_cond_wait(&q->not_full, &q->mutex);
	bool taken = !q->closed;
	if (taken) {
		q->v[(q->head + q->n++) % q->cap] = item;
		pthread_cond_signal(&q->not_empty);
	}
	pthread_mutex_unlock(&q->mutex);
	return taken;
}

void *queue_pop(struct queue *q)
{
	void *item = NULL;
	pthread_mutex_lock(&q->mutex);
	while (q->n == 0 && !q->closed) pthread_cond_wait(&q->not_empty, &q->mutex);
	if (q->n) {
		item = q->v[q->head];
		q->head = (q->head + 1) % q->cap;
		q->n--;
		pthread_cond_signal(&q->not_full);
	}
	pthread_mutex_unlock(&q->mutex);
	return item;
}

void queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->mutex);
	q->closed = true;
	pthread_cond_broadcast(&q->not_empty);
	pthread_cond_broadcast(&q->not_full);
	pthread_mutex_unlock(&q->mutex);
}
