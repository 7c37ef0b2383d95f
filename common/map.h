/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map: open-addressing hash table from byte strings to pointers.
 *
 * Keys are borrowed: whoever puts one keeps its bytes alive (usually inside the value) until it is
 * deleted. Not thread-safe. O(1) expected; a slot is 32 bytes, at most three quarters are in use. {0} is
 * an empty map. Iteration order is unspecified. Hashes are seeded per process (flooding). */
#ifndef LARCH_COMMON_MAP_H
#define LARCH_COMMON_MAP_H

#include "common/str.h"

struct map_slot {
	struct str key;
	uint64_t hash; /* 0: free */
	void *val;
};

struct map {
	struct map_slot *slots;
	size_t n, cap; /* cap is 0 or a power of two */
};

void map_free(struct map *m); /* not keys, not values */
void *map_get(const struct map *m, struct str key); /* NULL: absent */
/* Puts or replaces; returns the old value or NULL. A replaced entry keeps the new key slice. val != NULL. */
void *map_put(struct map *m, struct str key, void *val);
void *map_del(struct map *m, struct str key); /* returns what was there */
void map_clear(struct map *m);

/* for (struct map_slot *s = NULL; (s = map_next(&m, s));) — deleting the current entry is not allowed. */
struct map_slot *map_next(const struct map *m, struct map_slot *s);

#endif
