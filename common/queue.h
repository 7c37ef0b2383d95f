/* SPDX-License-Identifier: GPL-2.0-or-later */
/* queue: bounded FIFO of pointers between threads. A full queue slows its source: push waits.
 * Closing wakes everyone; what is queued can still be popped. Mutex + two conditions. */
#ifndef LARCH_COMMON_QUEUE_H
#define LARCH_COMMON_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

struct queue *queue_new(size_t cap);
void queue_free(struct queue *q);                       /* must be empty or its items owned elsewhere */
bool queue_push(struct queue *q, void *item);           /* waits; false: closed, item not taken */
bool queue_try_push(struct queue *q, void *item);       /* false: full or closed */
void *queue_pop(struct queue *q);                       /* waits; NULL: closed and empty */
void *queue_pop_until(struct queue *q, int64_t mono_ns); /* NULL: deadline (CLOCK_MONOTONIC), or closed and empty */
void *queue_try_pop(struct queue *q);
void queue_close(struct queue *q);
size_t queue_len(struct queue *q);

#endif
