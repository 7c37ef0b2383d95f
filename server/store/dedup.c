/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/dedup.h"

#include "common/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

static uint64_t seed;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void draw_seed(void) { seed = clock_rnd(&clock_real); }

struct dedup_key dedup_key(struct str line, const struct labels *meta)
{
	pthread_once(&once, draw_seed);
	XXH128_hash_t h = XXH3_128bits_withSeed(line.n ? line.p : "", line.n, seed);
	for (size_t i = 0; i < meta->n; i++) {
		XXH128_hash_t n = XXH3_128bits_withSeed(meta->v[i].name.p, meta->v[i].name.n, h.low64);
		XXH128_hash_t v = XXH3_128bits_withSeed(meta->v[i].value.p, meta->v[i].value.n, n.low64 ^ h.high64);
		h = (XXH128_hash_t){v.low64 + n.high64, v.high64};
	}
	return h.low64 || h.high64 ? (struct dedup_key){h.low64, h.high64} : (struct dedup_key){1, 0};
}

static struct dedup_key *slot(const struct dedup *d, struct dedup_key k)
{
	size_t i = k.lo & (d->cap - 1);
	while ((d->slots[i].lo || d->slots[i].hi) && (d->slots[i].lo != k.lo || d->slots[i].hi != k.hi))
		i = (i + 1) & (d->cap - 1);
	return &d->slots[i];
}

bool dedup_add(struct dedup *d, struct dedup_key k)
{
	if (2 * (d->n + 1) > d->cap) {
		struct dedup old = *d;
		d->cap = old.cap ? 2 * old.cap : 16;
		d->slots = mem_zalloc(d->cap * sizeof *d->slots);
		for (size_t i = 0; i < old.cap; i++) {
			if (old.slots[i].lo || old.slots[i].hi) *slot(d, old.slots[i]) = old.slots[i];
		}
		free(old.slots);
	}
	struct dedup_key *s = slot(d, k);
	if (s->lo || s->hi) return false;
	*s = k;
	d->n++;
	return true;
}

bool dedup_has(const struct dedup *d, struct dedup_key k)
{
	if (!d->n) return false;
	const struct dedup_key *s = slot(d, k);
	return s->lo || s->hi;
}

/* A table that one large group blew up is not swept for every small one after it. */
void dedup_clear(struct dedup *d)
{
	if (d->cap > 1024)
		dedup_free(d);
	else if (d->n)
		memset(d->slots, 0, d->cap * sizeof *d->slots);
	d->n = 0;
}

void dedup_free(struct dedup *d)
{
	free(d->slots);
	*d = (struct dedup){0};
}
