/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/budget.h"

bool budget_take(struct budget *b, size_t n)
{
	size_t used = atomic_load(&b->used);
	do {
		if (used > b->limit || n > b->limit - used) return false;
	} while (!atomic_compare_exchange_weak(&b->used, &used, used + n));
	return true;
}

void budget_give(struct budget *b, size_t n) { atomic_fetch_sub(&b->used, n); }

void budget_force(struct budget *b, size_t n) { atomic_fetch_add(&b->used, n); }
