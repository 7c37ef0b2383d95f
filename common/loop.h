/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loop: epoll with timers, signals and calls posted from other threads.
 *
 * One thread runs a loop and owns everything on it; only loop_post and loop_stop may be called from
 * others. Timers use the loop's clock (a fake clock makes them deterministic: loop_step runs what is
 * due). Callbacks may add and remove anything, themselves included. */
#ifndef LARCH_COMMON_LOOP_H
#define LARCH_COMMON_LOOP_H

#include "common/clock.h"
#include "common/err.h"

#include <sys/epoll.h>

struct loop;
struct loop_fd;
struct loop_timer;

typedef void loop_fn(void *ud);
typedef void loop_fd_fn(void *ud, uint32_t events); /* EPOLLIN | … */
typedef void loop_signal_fn(void *ud, int sig);

struct loop *loop_new(struct clock *c, struct err *e);
void loop_free(struct loop *l);
bool loop_run(struct loop *l, struct err *e); /* until loop_stop */
void loop_stop(struct loop *l);               /* any thread, also from a callback */
void loop_step(struct loop *l, int64_t wait_ns); /* one round: waits at most so long, runs what is due */

struct loop_fd *loop_fd_add(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *ud, struct err *e);
void loop_fd_mod(struct loop_fd *f, uint32_t events);
void loop_fd_del(struct loop_fd *f); /* does not close fd */

/* Fires once after ns (monotonic). Re-arm with loop_timer_set; ns < 0 disarms. Freed by loop_timer_del. */
struct loop_timer *loop_timer_add(struct loop *l, int64_t ns, loop_fn *fn, void *ud);
void loop_timer_set(struct loop_timer *t, int64_t ns);
void loop_timer_del(struct loop_timer *t);

/* Blocks the signal in the calling thread (start threads afterwards) and delivers it through the loop. */
bool loop_signal(struct loop *l, int sig, loop_signal_fn *fn, void *ud, struct err *e);

/* Runs fn(ud) on the loop's thread, in order. Any thread; unbounded, so callers bound what they post. */
void loop_post(struct loop *l, loop_fn *fn, void *ud);

#endif
