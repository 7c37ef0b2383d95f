/* SPDX-License-Identifier: GPL-2.0-or-later */
/* queue: bounded FIFO of pointers between threads. A full queue slows its source: push waits.
 * Closing wakes everyone; what is queued can still be popped. Mutex + two conditions. */
#ifndef LARCH_COMMON_QUEUE_H
#define LARCH_COMMON_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct queue;

struct queue *queue_new(size_t cap);
void queue_free(struct queue *q);             /* must be empty or its items owned elsewhere */
bool queue_push(struct queue *q, void *item); /* waits; false: closed, item not taken */
void *queue_pop(struct queue *q);             /* waits; NULL: closed and empty */
void queue_close(struct queue *q);

#endif
