/* SPDX-License-Identifier: GPL-2.0-or-later */
/* task: a thread that does the same thing again and again, with pauses between, until it is stopped.
 *
 * The function says how long to pause; task_wake() ends a pause early, or makes the next one none. task_stop() ends
 * the pause, waits for a run under way, and frees; a long run looks at task_stopping(). Any thread may call, but
 * task_stop() comes last and from another thread. */
#ifndef LARCH_COMMON_TASK_H
#define LARCH_COMMON_TASK_H

#include "common/err.h"

#include <stdint.h>

struct task;

/* Pause in ns until the next run. */
typedef int64_t task_fn(void *ud, struct task *t);

struct task *task_start(task_fn *fn, void *ud, struct err *e); /* the first run is at once; NULL: no thread */
void task_wake(struct task *t);
bool task_stopping(struct task *t);
void task_stop(struct task *t); /* NULL is nothing */

#endif
