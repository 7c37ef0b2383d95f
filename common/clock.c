/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static int64_t now(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t real_wall(struct clock *c)
{
	(void)c;
	return now(CLOCK_REALTIME);
}

static int64_t real_mono(struct clock *c)
{
	(void)c;
	return now(CLOCK_MONOTONIC);
}

static uint64_t real_rnd(struct clock *c)
{
	(void)c;
	uint64_t v;
	/* Up to 256 bytes come whole or, before the pool is ready, with EINTR. */
	while (getrandom(&v, sizeof v, 0) != sizeof v)
		if (errno != EINTR) abort();
	return v;
}

struct clock clock_real = {real_wall, real_mono, real_rnd};

static int64_t fake_wall(struct clock *c) { return ((struct clock_fake *)c)->wall_ns; }
static int64_t fake_mono(struct clock *c) { return ((struct clock_fake *)c)->mono_ns; }

/* splitmix64 */
static uint64_t fake_rnd(struct clock *c)
{
	const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = atomic_fetch_add(&((struct clock_fake *)c)->seed, step) + step;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void clock_fake_init(struct clock_fake *f, int64_t wall_ns, uint64_t seed)
{
	f->base = (struct clock){fake_wall, fake_mono, fake_rnd};
	f->wall_ns = wall_ns;
	f->mono_ns = 0;
	f->seed = seed;
}

void clock_fake_step(struct clock_fake *f, int64_t ns)
{
	f->wall_ns += ns;
	f->mono_ns += ns;
}
