/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define SEC INT64_C(1000000000)

struct fixture {
	struct clock_fake clock;
	struct loop *l;
	char trace[256]; /* what ran, one letter each */
	size_t n;
};

static int setup(void **state)
{
	static struct fixture f;
	struct err e = ERR_INIT;

	f = (struct fixture){0};
	clock_fake_init(&f.clock, 0, 1);
	f.l = loop_new(&f.clock.base, &e);
	*state = &f;
	return f.l ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_free(f->l);
	return 0;
}

static void mark(struct fixture *f, char c)
{
	assert_true(f->n + 1 < sizeof f->trace);
	f->trace[f->n++] = c;
	f->trace[f->n] = 0;
}

static void mark_a(void *ud) { mark(ud, 'a'); }
static void mark_b(void *ud) { mark(ud, 'b'); }
static void mark_c(void *ud) { mark(ud, 'c'); }

static void timers_fire_in_order(void **state)
{
	struct fixture *f = *state;
	struct loop_timer *c = loop_timer_add(f->l, 3 * SEC, mark_c, f);
	struct loop_timer *a = loop_timer_add(f->l, 1 * SEC, mark_a, f);
	struct loop_timer *b = loop_timer_add(f->l, 1 * SEC, mark_b, f);

	loop_step(f->l, 0);
	assert_string_equal(f->trace, "");
	clock_fake_step(&f->clock, SEC - 1);
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "");
	clock_fake_step(&f->clock, 1);
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "ab"); /* equal times: as armed */
	loop_timer_set(a, 5 * SEC);
	clock_fake_step(&f->clock, 2 * SEC);
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "abc");
	loop_timer_set(a, -1);
	clock_fake_step(&f->clock, 10 * SEC);
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "abc");
	loop_timer_set(b, INT64_MAX); /* no overflow: simply never */
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "abc");
	loop_timer_del(a);
	loop_timer_del(b);
	loop_timer_del(c);
}

struct self {
	struct fixture *f;
	struct loop_timer *t;
};

static void again_at_once(void *ud)
{
	struct self *s = ud;

	mark(s->f, 's');
	loop_timer_set(s->t, 0);
}

static void rearming_runs_once_a_round(void **state)
{
	struct fixture *f = *state;
	struct self s = {.f = f};

	s.t = loop_timer_add(f->l, 0, again_at_once, &s);
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "s");
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "ss");
	loop_timer_del(s.t);
}

static void delete_self(void *ud)
{
	struct self *s = ud;

	mark(s->f, 'd');
	loop_timer_del(s->t);
}

static void timer_deletes_itself(void **state)
{
	struct fixture *f = *state;
	struct self s = {.f = f};

	s.t = loop_timer_add(f->l, 0, delete_self, &s);
	loop_step(f->l, 0);
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "d");
}

struct pair {
	struct fixture *f;
	struct loop_fd *one, *two;
};

/* Whichever is first removes both: the other's event is already in the round. */
static void remove_both(void *ud, uint32_t events)
{
	struct pair *p = ud;

	assert_true(events & EPOLLIN);
	mark(p->f, 'r');
	loop_fd_del(p->one);
	loop_fd_del(p->two);
}

static void removed_while_pending(void **state)
{
	struct fixture *f = *state;
	struct pair p = {.f = f};
	struct err e = ERR_INIT;
	int x[2], y[2];

	assert_return_code(pipe(x), 0);
	assert_return_code(pipe(y), 0);
	p.one = loop_fd_add(f->l, x[0], EPOLLIN, remove_both, &p, &e);
	p.two = loop_fd_add(f->l, y[0], EPOLLIN, remove_both, &p, &e);
	assert_non_null(p.one);
	assert_non_null(p.two);
	assert_int_equal(write(x[1], "x", 1), 1);
	assert_int_equal(write(y[1], "y", 1), 1);
	loop_step(f->l, SEC);
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "r");
	close(x[0]);
	close(x[1]);
	close(y[0]);
	close(y[1]);
}

static void count_writable(void *ud, uint32_t events) { mark(ud, events & EPOLLOUT ? 'w' : 'r'); }

static void interest_changes(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	int x[2];
	struct loop_fd *lf;

	assert_return_code(pipe(x), 0);
	lf = loop_fd_add(f->l, x[1], 0, count_writable, f, &e);
	assert_non_null(lf);
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "");
	loop_fd_mod(lf, EPOLLOUT);
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "w");
	loop_fd_del(lf);
	close(x[0]);
	close(x[1]);
}

static void bad_fd_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	assert_null(loop_fd_add(f->l, -1, EPOLLIN, count_writable, f, &e));
	assert_int_equal(e.code, ERR_IO);
}

static void on_sig(void *ud, int sig) { mark(ud, sig == SIGUSR1 ? '1' : '2'); }

static void signals_arrive(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	assert_true(loop_signal(f->l, SIGUSR1, on_sig, f, &e));
	assert_true(loop_signal(f->l, SIGUSR2, on_sig, f, &e));
	kill(getpid(), SIGUSR1);
	loop_step(f->l, 10 * SEC);
	kill(getpid(), SIGUSR2);
	loop_step(f->l, 10 * SEC);
	assert_string_equal(f->trace, "12");
	assert_false(loop_signal(f->l, 0, on_sig, f, &e));
}

struct poster {
	struct loop *l;
	int left; /* loop's thread only */
	int seen;
};

#define POSTS 1000

static void count_down(void *ud)
{
	struct poster *p = ud;

	p->seen++;
	if (--p->left == 0) loop_stop(p->l);
}

static void *post_many(void *ud)
{
	struct poster *p = ud;

	for (int i = 0; i < POSTS; i++) loop_post(p->l, count_down, p);
	return NULL;
}

static void posts_from_threads(void **state)
{
	struct fixture *f = *state;
	struct poster p = {.l = f->l, .left = 4 * POSTS};
	struct err e = ERR_INIT;
	pthread_t t[4];

	for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, post_many, &p), 0);
	assert_true(loop_run(f->l, &e));
	for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
	assert_int_equal(p.seen, 4 * POSTS);
}

static void post_again(void *ud)
{
	struct fixture *f = ud;

	mark(f, 'p');
	loop_post(f->l, mark_b, f);
}

static void posts_keep_order(void **state)
{
	struct fixture *f = *state;

	loop_post(f->l, post_again, f);
	loop_post(f->l, mark_a, f);
	loop_step(f->l, 0);
	loop_step(f->l, 0);
	assert_string_equal(f->trace, "pab");
}

static void stop_before_run_counts(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	loop_stop(f->l);
	assert_true(loop_run(f->l, &e));
}

static void stop_it(void *ud) { loop_stop(((struct fixture *)ud)->l); }

static void runs_on_the_real_clock(void **state)
{
	struct err e = ERR_INIT;
	struct fixture f = {.l = loop_new(&clock_real, &e)};
	struct loop_timer *t;
	int64_t from = clock_mono(&clock_real);

	(void)state;
	assert_non_null(f.l);
	t = loop_timer_add(f.l, 20000000, stop_it, &f);
	assert_true(loop_run(f.l, &e));
	assert_true(clock_mono(&clock_real) - from >= 20000000);
	loop_timer_del(t);
	loop_free(f.l);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(timers_fire_in_order),   T(rearming_runs_once_a_round), T(timer_deletes_itself),
		T(removed_while_pending),  T(interest_changes),           T(bad_fd_is_an_error),
		T(signals_arrive),         T(posts_from_threads),         T(posts_keep_order),
		T(stop_before_run_counts), T(runs_on_the_real_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
