/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/cache.h"

#include "common/buf.h"

#include <pthread.h>
#include <stdlib.h>

/* Items that nobody holds are in a ring in order of use: lru.next is the oldest. */
struct cache {
	pthread_mutex_t mu;
	size_t budget, bytes, n, cap;
	size_t idle; /* bytes of items that nobody holds */
	struct cache_item **slots;
	struct cache_item lru;
};

struct cache *cache_new(size_t budget)
{
	struct cache *c = mem_zalloc(sizeof *c);
	pthread_mutex_init(&c->mu, NULL);
	c->budget = budget;
	c->cap = 1024;
	c->slots = mem_zalloc(c->cap * sizeof(struct cache_item *));
	c->lru.prev = c->lru.next = &c->lru;
	return c;
}

static size_t hash(const struct cache *c, struct cache_key k)
{
	uint64_t h = (k.object * UINT64_C(0x9E3779B97F4A7C15)) ^ ((uint64_t)k.kind << 32 | k.index);
	h = (h ^ h >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
	return (h ^ h >> 32) & (c->cap - 1);
}

static bool same(struct cache_key a, struct cache_key b)
{
	return a.object == b.object && a.kind == b.kind && a.index == b.index;
}

static void ring_take(struct cache *c, struct cache_item *it)
{
	c->idle -= it->bytes;
	it->prev->next = it->next;
	it->next->prev = it->prev;
	it->prev = it->next = NULL;
}

static void ring_add(struct cache *c, struct cache_item *it)
{
	it->prev = c->lru.prev;
	it->next = &c->lru;
	c->lru.prev->next = it;
	c->lru.prev = it;
	c->idle += it->bytes;
}

static struct cache_item *find(struct cache *c, struct cache_key key)
{
	struct cache_item *it = c->slots[hash(c, key)];
	while (it && !same(it->key, key)) it = it->chain;
	return it;
}

static void hold(struct cache *c, struct cache_item *it)
{
	if (it->refs++ == 0) ring_take(c, it);
}

static void grow(struct cache *c)
{
	struct cache_item **old = c->slots;
	size_t n = c->cap;
	c->cap *= 2;
	c->slots = mem_zalloc(c->cap * sizeof(struct cache_item *));
	for (size_t i = 0; i < n; i++) {
		for (struct cache_item *it = old[i], *next; it; it = next) {
			next = it->chain;
			size_t h = hash(c, it->key);
			it->chain = c->slots[h];
			c->slots[h] = it;
		}
	}
	free(old);
}

/* Takes what must go out of the table and returns it as a list, to be freed without the lock. */
static struct cache_item *evict(struct cache *c)
{
	struct cache_item *gone = NULL;
	while (c->bytes > c->budget && c->idle > c->budget / 4) {
		struct cache_item *it = c->lru.next, **at = &c->slots[hash(c, it->key)];
		ring_take(c, it);
		while (*at != it) at = &(*at)->chain;
		*at = it->chain;
		c->bytes -= it->bytes;
		c->n--;
		it->chain = gone;
		gone = it;
	}
	return gone;
}

static void free_list(struct cache_item *it)
{
	for (struct cache_item *next; it; it = next) {
		next = it->chain;
		it->free(it);
	}
}

struct cache_item *cache_get(struct cache *c, struct cache_key key)
{
	pthread_mutex_lock(&c->mu);
	struct cache_item *it = find(c, key);
	if (it) hold(c, it);
	pthread_mutex_unlock(&c->mu);
	return it;
}

struct cache_item *cache_put(struct cache *c, struct cache_item *it)
{
	pthread_mutex_lock(&c->mu);
	struct cache_item *other = find(c, it->key), *gone = NULL;
	if (other) {
		hold(c, other);
	} else {
		if (c->n >= c->cap) grow(c);
		size_t h = hash(c, it->key);
		it->refs = 1;
		it->prev = it->next = NULL;
		it->chain = c->slots[h];
		c->slots[h] = it;
		c->bytes += it->bytes;
		c->n++;
		gone = evict(c);
	}
	pthread_mutex_unlock(&c->mu);
	free_list(gone);
	if (!other) return it;
	it->free(it);
	return other;
}

void cache_release(struct cache *c, struct cache_item *it)
{
	if (!it) return;
	struct cache_item *gone = NULL;
	pthread_mutex_lock(&c->mu);
	if (--it->refs == 0) {
		ring_add(c, it);
		gone = evict(c);
	}
	pthread_mutex_unlock(&c->mu);
	free_list(gone);
}

size_t cache_bytes(struct cache *c)
{
	pthread_mutex_lock(&c->mu);
	size_t n = c->bytes;
	pthread_mutex_unlock(&c->mu);
	return n;
}

void cache_free(struct cache *c)
{
	if (!c) return;
	while (c->lru.next != &c->lru) {
		struct cache_item *it = c->lru.next;
		ring_take(c, it);
		it->free(it);
	}
	pthread_mutex_destroy(&c->mu);
	free(c->slots);
	free(c);
}
