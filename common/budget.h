/* SPDX-License-Identifier: GPL-2.0-or-later */
/* budget: a byte allowance shared by threads. Take before allocating, give back after freeing; a
 * refused take is an answer (503), never a wait. Lock-free, any thread. */
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
static inline size_t budget_used(struct budget *b) { return atomic_load(&b->used); }

#endif
