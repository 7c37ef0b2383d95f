/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/budget.h"

#include <stdint.h>

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

/* The n for which held + n = 4 (free - n). */
static size_t room(const struct budget_share *s, size_t held)
{
	size_t used = atomic_load(&s->of->used), free = s->of->limit > used ? s->of->limit - used : 0;
	if (s->whole) return free;
	return free > held / 4 ? (free - held / 4) / 5 * 4 : 0;
}

size_t budget_share_room(struct budget_share *s) { return room(s, atomic_load(&s->used)); }

bool budget_share_take(struct budget_share *s, size_t n)
{
	size_t held = atomic_fetch_add(&s->used, n);
	if (n <= room(s, held) && budget_take(s->of, n)) return true;
	atomic_fetch_sub(&s->used, n);
	return false;
}

void budget_share_give(struct budget_share *s, size_t n)
{
	atomic_fetch_sub(&s->used, n);
	budget_give(s->of, n);
}
