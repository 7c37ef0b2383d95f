/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clock: wall and monotonic time and randomness behind one small interface, so that tests set them.
 * clock_real is the kernel's; a fake one starts where told and moves only when told. Thread-safe. */
#ifndef LARCH_COMMON_CLOCK_H
#define LARCH_COMMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock {
	int64_t (*wall)(struct clock *c); /* ns since the Unix epoch */
	int64_t (*mono)(struct clock *c); /* ns, never goes back */
	uint64_t (*rnd)(struct clock *c); /* uniform 64 bits */
};

extern struct clock clock_real;

static inline int64_t clock_wall(struct clock *c) { return c->wall(c); }
static inline int64_t clock_mono(struct clock *c) { return c->mono(c); }
static inline uint64_t clock_rnd(struct clock *c) { return c->rnd(c); }

/* A moment; {0} is none. */
struct clock_mark {
	int64_t wall, mono;
};

static inline struct clock_mark clock_mark(struct clock *c)
{
	return (struct clock_mark){clock_wall(c), clock_mono(c)};
}

/* Is it less than ns since then? No where it may be more: the monotonic clock stands while a machine sleeps, the other
 * may have been set. */
static inline bool clock_within(struct clock *c, const struct clock_mark *m, int64_t ns)
{
	int64_t wall = clock_wall(c) - m->wall;
	return m->wall && wall >= 0 && wall < ns && clock_mono(c) - m->mono < ns;
}

struct clock_fake {
	struct clock base;
	_Atomic int64_t wall_ns, mono_ns;
	_Atomic uint64_t seed;
};
void clock_fake_init(struct clock_fake *f, int64_t wall_ns, uint64_t seed);
void clock_fake_step(struct clock_fake *f, int64_t ns); /* moves both clocks */

#endif
