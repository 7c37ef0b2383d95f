/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/labelsets.h"

#include <stdlib.h>

void labelsets_init(struct labelsets *t, struct arena *a) { *t = (struct labelsets){.arena = a}; }

void labelsets_free(struct labelsets *t)
{
	free(t->v);
	free(t->hash);
	free(t->slots);
	*t = (struct labelsets){.arena = t->arena};
}

static void rehash(struct labelsets *t, size_t n)
{
	free(t->slots);
	t->slots = mem_zalloc(n * sizeof *t->slots);
	t->n_slots = n;
	for (size_t i = 0; i < t->n; i++) {
		size_t s = t->hash[i] & (n - 1);
		while (t->slots[s]) s = (s + 1) & (n - 1);
		t->slots[s] = (uint32_t)i + 1;
	}
}

uint32_t labelsets_add(struct labelsets *t, const struct labels *l, enum labelsets_keep keep)
{
	if (t->n * 2 >= t->n_slots) rehash(t, t->n_slots ? t->n_slots * 2 : 64);
	uint64_t h = labels_hash(l);
	size_t s = h & (t->n_slots - 1);
	for (; t->slots[s]; s = (s + 1) & (t->n_slots - 1)) {
		uint32_t i = t->slots[s] - 1;
		if (t->hash[i] == h && labels_eq(&t->v[i], l)) return i;
	}
	if (t->n >= t->cap) {
		t->cap = t->cap ? t->cap * 2 : 16;
		t->v = mem_realloc(t->v, t->cap * sizeof *t->v);
		t->hash = mem_realloc(t->hash, t->cap * sizeof *t->hash);
	}
	t->v[t->n] = keep == LABELSETS_COPY ? labels_copy(t->arena, l) : *l;
	t->hash[t->n] = h;
	t->slots[s] = (uint32_t)++t->n;
	return (uint32_t)t->n - 1;
}
