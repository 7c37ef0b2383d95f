/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/loop.h"

#include "common/buf.h"
#include "common/heap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define ROUND_EVENTS 64 /* epoll events taken in one round */

struct loop_fd {
	struct loop *l;
	int fd;
	loop_fd_fn *fn; /* NULL: removed, freed at the end of the round */
	void *ud;
	struct loop_fd *next_dead;
};

struct loop_timer {
	struct loop *l;
	int64_t at;   /* monotonic ns; -1: disarmed, not on the heap */
	uint64_t seq; /* order of arming: breaks ties, and keeps one that re-arms itself at once to one run a round */
	loop_fn *fn;
	void *ud;
};

struct post {
	loop_fn *fn;
	void *ud;
};

struct posts {
	struct post *v;
	size_t n, cap;
};

struct loop {
	struct clock *clock;
	int ep;
	int wake; /* eventfd: something was posted, or stop */
	atomic_bool stop;

	struct heap timers;
	uint64_t seq;

	struct loop_fd *wake_fd;
	struct loop_fd *dead;

	int sigfd; /* -1: no signal wanted yet */
	struct loop_fd *signal_fd;
	sigset_t signals;
	struct {
		loop_signal_fn *fn;
		void *ud;
	} on_signal[_NSIG];

	pthread_mutex_t lock; /* of posts */
	struct posts posts;
};

static bool earlier(const void *a, const void *b, void *ud)
{
	const struct loop_timer *x = a, *y = b;

	(void)ud;
	return x->at != y->at ? x->at < y->at : x->seq < y->seq;
}

static void wake(struct loop *l)
{
	/* Only a full counter can fail, and then the loop is awake anyway. */
	while (eventfd_write(l->wake, 1) && errno == EINTR) {}
}

static void on_wake(void *ud, uint32_t events)
{
	struct loop *l = ud;
	eventfd_t n;
	struct posts p;

	(void)events;
	eventfd_read(l->wake, &n);
	pthread_mutex_lock(&l->lock);
	p = l->posts;
	l->posts = (struct posts){0};
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < p.n; i++) p.v[i].fn(p.v[i].ud);
	free(p.v);
}

struct loop *loop_new(struct clock *c, struct err *e)
{
	struct loop *l = mem_zalloc(sizeof *l);

	l->clock = c;
	l->timers.less = earlier;
	l->sigfd = -1;
	sigemptyset(&l->signals);
	pthread_mutex_init(&l->lock, NULL);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->ep = epoll_create1(EPOLL_CLOEXEC);
	if (l->wake < 0 || l->ep < 0) {
		err_errno(e, "event loop");
		loop_free(l);
		return NULL;
	}
	l->wake_fd = loop_fd_add(l, l->wake, EPOLLIN, on_wake, l, e);
	if (!l->wake_fd) {
		loop_free(l);
		return NULL;
	}
	return l;
}

static void bury(struct loop *l)
{
	while (l->dead) {
		struct loop_fd *f = l->dead;

		l->dead = f->next_dead;
		free(f);
	}
}

void loop_free(struct loop *l)
{
	if (!l) return;
	if (l->wake_fd) loop_fd_del(l->wake_fd);
	if (l->signal_fd) loop_fd_del(l->signal_fd);
	bury(l);
	if (l->sigfd >= 0) close(l->sigfd);
	if (l->wake >= 0) close(l->wake);
	if (l->ep >= 0) close(l->ep);
	heap_free(&l->timers);
	free(l->posts.v);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* ---- file descriptors ---- */

struct loop_fd *loop_fd_add(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *ud, struct err *e)
{
	struct loop_fd *f = mem_zalloc(sizeof *f);
	struct epoll_event ev = {.events = events, .data.ptr = f};

	*f = (struct loop_fd){.l = l, .fd = fd, .fn = fn, .ud = ud};
	if (epoll_ctl(l->ep, EPOLL_CTL_ADD, fd, &ev)) {
		err_errno(e, "watch file descriptor %d", fd);
		free(f);
		return NULL;
	}
	return f;
}

void loop_fd_mod(struct loop_fd *f, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = f};

	epoll_ctl(f->l->ep, EPOLL_CTL_MOD, f->fd, &ev);
}

void loop_fd_del(struct loop_fd *f)
{
	epoll_ctl(f->l->ep, EPOLL_CTL_DEL, f->fd, NULL);
	f->fn = NULL; /* the round in progress may still hold an event for it */
	f->next_dead = f->l->dead;
	f->l->dead = f;
}

/* ---- timers ---- */

struct loop_timer *loop_timer_add(struct loop *l, int64_t ns, loop_fn *fn, void *ud)
{
	struct loop_timer *t = mem_zalloc(sizeof *t);

	*t = (struct loop_timer){.l = l, .at = -1, .fn = fn, .ud = ud};
	loop_timer_set(t, ns);
	return t;
}

void loop_timer_set(struct loop_timer *t, int64_t ns)
{
	struct loop *l = t->l;
	int64_t now;

	if (t->at >= 0) heap_remove(&l->timers, t);
	t->at = -1;
	if (ns < 0) return;
	now = clock_mono(l->clock);
	t->at = ns > INT64_MAX - now ? INT64_MAX : now + ns;
	t->seq = l->seq++;
	heap_push(&l->timers, t);
}

void loop_timer_del(struct loop_timer *t)
{
	if (!t) return;
	loop_timer_set(t, -1);
	free(t);
}

static void run_timers(struct loop *l)
{
	int64_t now = clock_mono(l->clock);
	uint64_t armed_before = l->seq;
	struct loop_timer *t;

	while ((t = heap_top(&l->timers)) && t->at <= now && t->seq < armed_before) {
		heap_pop(&l->timers);
		t->at = -1;
		t->fn(t->ud);
	}
}

/* ---- signals ---- */

static void on_signals(void *ud, uint32_t events)
{
	struct loop *l = ud;
	struct signalfd_siginfo si;

	(void)events;
	while (read(l->sigfd, &si, sizeof si) == (ssize_t)sizeof si) {
		if (si.ssi_signo < _NSIG && l->on_signal[si.ssi_signo].fn)
			l->on_signal[si.ssi_signo].fn(l->on_signal[si.ssi_signo].ud, (int)si.ssi_signo);
	}
}

bool loop_signal(struct loop *l, int sig, loop_signal_fn *fn, void *ud, struct err *e)
{
	sigset_t one;
	int fd, rc;

	if (sig <= 0 || sig >= _NSIG) return err_set(e, ERR_INTERNAL, "signal %d does not exist", sig);
	sigemptyset(&one);
	sigaddset(&one, sig);
	rc = pthread_sigmask(SIG_BLOCK, &one, NULL);
	if (rc) {
		errno = rc;
		return err_errno(e, "block signal %d", sig);
	}
	sigaddset(&l->signals, sig);
	fd = signalfd(l->sigfd, &l->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0) return err_errno(e, "receive signal %d", sig);
	l->on_signal[sig].fn = fn;
	l->on_signal[sig].ud = ud;
	if (l->sigfd >= 0) return true;
	l->sigfd = fd;
	l->signal_fd = loop_fd_add(l, fd, EPOLLIN, on_signals, l, e);
	return l->signal_fd != NULL;
}

/* ---- running ---- */

void loop_post(struct loop *l, loop_fn *fn, void *ud)
{
	bool first;

	pthread_mutex_lock(&l->lock);
	first = l->posts.n == 0;
	MEM_GROW(l->posts.v, l->posts.n, l->posts.cap);
	l->posts.v[l->posts.n++] = (struct post){.fn = fn, .ud = ud};
	pthread_mutex_unlock(&l->lock);
	if (first) wake(l);
}

/* Milliseconds for epoll_wait, rounded up so that the timer is due when it returns. */
static int wait_ms(struct loop *l, int64_t wait_ns)
{
	struct loop_timer *t = heap_top(&l->timers);
	int64_t ms;

	if (t) {
		int64_t left = t->at - clock_mono(l->clock);

		if (left < 0) left = 0;
		if (wait_ns < 0 || left < wait_ns) wait_ns = left;
	}
	if (wait_ns < 0) return -1;
	ms = wait_ns / 1000000 + (wait_ns % 1000000 != 0);
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* wait_ns < 0: for ever. */
static bool one_round(struct loop *l, int64_t wait_ns, struct err *e)
{
	struct epoll_event ev[ROUND_EVENTS];
	int n = epoll_wait(l->ep, ev, ROUND_EVENTS, wait_ms(l, wait_ns));

	if (n < 0 && errno != EINTR) return err_errno(e, "event loop: epoll_wait");
	for (int i = 0; i < n; i++) {
		struct loop_fd *f = ev[i].data.ptr;

		if (f->fn) f->fn(f->ud, ev[i].events);
	}
	run_timers(l);
	bury(l);
	return true;
}

void loop_step(struct loop *l, int64_t wait_ns)
{
	struct err e = ERR_INIT;

	one_round(l, wait_ns < 0 ? 0 : wait_ns, &e);
}

bool loop_run(struct loop *l, struct err *e)
{
	while (!atomic_load(&l->stop)) {
		if (!one_round(l, -1, e)) return false;
	}
	atomic_store(&l->stop, false);
	return true;
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	wake(l);
}
