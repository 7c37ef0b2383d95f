/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dedup: which of the entries of one stream and one timestamp are copies of each other?
 *
 * Entries are told apart by a 128-bit hash of line and metadata, keyed with a number drawn at process start, so
 * that nobody can make two entries collide on purpose. {0} is an empty set. Not thread-safe. */
#ifndef LARCH_SERVER_STORE_DEDUP_H
#define LARCH_SERVER_STORE_DEDUP_H

#include "common/labels.h"

struct dedup_key {
	uint64_t lo, hi;
};

struct dedup {
	struct dedup_key *slots; /* {0, 0}: free */
	size_t n, cap;
};

struct dedup_key dedup_key(struct str line, const struct labels *meta);
bool dedup_add(struct dedup *d, struct dedup_key k); /* false: it was there */
bool dedup_has(const struct dedup *d, struct dedup_key k);
void dedup_clear(struct dedup *d);
void dedup_free(struct dedup *d);

#endif
