/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cache: expanded parts of segments, shared by all queries, within a byte budget.
 *
 * Items are immutable and reference-counted; the least recently used that nobody holds go first. What is held
 * may exceed the budget, and a quarter of it is left to what is not, lest every read expands anew. Two threads
 * that miss the same key may both load it; the second gets the first's. One mutex, held for a lookup only; any
 * thread. */
#ifndef LARCH_SERVER_STORE_CACHE_H
#define LARCH_SERVER_STORE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;

struct cache_key {
	uint64_t object; /* unique for ever: a number per opened segment */
	uint32_t kind, index;
};

/* Embedded as the first member of what is kept. */
struct cache_item {
	struct cache_key key;
	size_t bytes;
	void (*free)(struct cache_item *);
	/* the cache's own */
	uint32_t refs;
	struct cache_item *chain, *prev, *next;
};

struct cache *cache_new(size_t budget);
void cache_free(struct cache *c);                                    /* nothing may be held */
struct cache_item *cache_get(struct cache *c, struct cache_key key); /* held; NULL: absent */
/* Puts an item (key, bytes and free set) and returns it held; if the key is there already, frees the item and
 * returns the other. */
struct cache_item *cache_put(struct cache *c, struct cache_item *it);
void cache_release(struct cache *c, struct cache_item *it); /* NULL is nothing */
size_t cache_bytes(struct cache *c);

#endif
