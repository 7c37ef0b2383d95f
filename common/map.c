/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Linear probing; a deletion shifts the run behind it back, so that there are no tombstones. */
#include "common/map.h"

#include "common/buf.h"
#include "common/clock.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

enum { CAP_MIN = 8 };

static uint64_t seed(void)
{
	static _Atomic uint64_t s;
	uint64_t v = atomic_load_explicit(&s, memory_order_relaxed);
	if (v) return v;
	uint64_t fresh = clock_rnd(&clock_real) | 1;
	return atomic_compare_exchange_strong(&s, &v, fresh) ? fresh : v;
}

static uint64_t hash_of(struct str key)
{
	uint64_t h = XXH3_64bits_withSeed(key.n ? key.p : "", key.n, seed());
	return h ? h : 1;
}

/* The key's slot, or the free one where it would go; cap > n. */
static struct map_slot *probe(const struct map *m, struct str key, uint64_t hash)
{
	size_t mask = m->cap - 1, i = hash & mask;
	while (m->slots[i].hash && !(m->slots[i].hash == hash && str_eq(m->slots[i].key, key))) i = (i + 1) & mask;
	return &m->slots[i];
}

static void grow(struct map *m)
{
	struct map old = *m;
	m->cap = old.cap ? old.cap * 2 : CAP_MIN;
	m->slots = mem_zalloc(m->cap * sizeof *m->slots);
	for (size_t i = 0; i < old.cap; i++) {
		if (!old.slots[i].hash) continue;
		size_t at = old.slots[i].hash & (m->cap - 1);
		while (m->slots[at].hash) at = (at + 1) & (m->cap - 1);
		m->slots[at] = old.slots[i];
	}
	free(old.slots);
}

void map_free(struct map *m)
{
	free(m->slots);
	*m = (struct map){0};
}

void *map_get(const struct map *m, struct str key) { return m->n ? probe(m, key, hash_of(key))->val : NULL; }

void *map_put(struct map *m, struct str key, void *val)
{
	if (m->n >= m->cap - m->cap / 4) grow(m);
	uint64_t hash = hash_of(key);
	struct map_slot *s = probe(m, key, hash);
	void *old = s->val;
	if (!s->hash) m->n++;
	*s = (struct map_slot){key, hash, val};
	return old;
}

void *map_del(struct map *m, struct str key)
{
	if (m->n == 0) return NULL;
	struct map_slot *s = probe(m, key, hash_of(key));
	if (!s->hash) return NULL;
	void *old = s->val;
	size_t mask = m->cap - 1, hole = (size_t)(s - m->slots);
	for (size_t i = (hole + 1) & mask; m->slots[i].hash; i = (i + 1) & mask) {
		size_t home = m->slots[i].hash & mask;
		if (((i - home) & mask) < ((i - hole) & mask)) continue; /* it would come before its home */
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole] = (struct map_slot){0};
	m->n--;
	return old;
}

void map_clear(struct map *m)
{
	if (m->n) memset(m->slots, 0, m->cap * sizeof *m->slots);
	m->n = 0;
}

struct map_slot *map_next(const struct map *m, struct map_slot *s)
{
	for (size_t i = s ? (size_t)(s - m->slots) + 1 : 0; i < m->cap; i++)
		if (m->slots[i].hash) return &m->slots[i];
	return NULL;
}
