/* SPDX-License-Identifier: GPL-2.0-or-later */
/* budget: a byte allowance shared by threads. Take before allocating, give back after freeing; a
 * refused take is an answer (503), never a wait. Lock-free, any thread.
 *
 * Where several owners use one budget, each takes through a share of its own. A share may hold four times what it
 * leaves free: one greedy owner gets four fifths, two get four ninths each, and there is always something for who holds
 * nothing. */
#ifndef LARCH_COMMON_BUDGET_H
#define LARCH_COMMON_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
	_Atomic size_t used;
	size_t limit; /* bytes; set before the threads start */
};

bool budget_take(struct budget *b, size_t n); /* false: n would exceed the limit; nothing taken */
void budget_give(struct budget *b, size_t n);
/* Takes without asking, for memory that must be had (replay); may exceed the limit. */
void budget_force(struct budget *b, size_t n);

struct budget_share {
	struct budget *of;
	_Atomic size_t used;
	bool whole; /* may have all of it */
};

bool budget_share_take(struct budget_share *s, size_t n);
void budget_share_give(struct budget_share *s, size_t n);
size_t budget_share_room(struct budget_share *s); /* what it could take now */

static inline size_t budget_used(struct budget *b) { return atomic_load(&b->used); }

#endif
