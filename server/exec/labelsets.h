/* SPDX-License-Identifier: GPL-2.0-or-later */
/* labelsets: label sets numbered from 0 in the order they first came, each once. Grouping compares numbers.
 * A set's labels are sorted by name; they are copied into the table's arena unless the caller vouches for them.
 * Not thread-safe. O(1) expected per lookup, the hash apart. */
#ifndef LARCH_SERVER_EXEC_LABELSETS_H
#define LARCH_SERVER_EXEC_LABELSETS_H

#include "common/arena.h"
#include "common/labels.h"

struct labelsets {
	struct arena *arena;
	struct labels *v;
	uint64_t *hash; /* labels_hash of each */
	size_t n, cap;
	uint32_t *slots; /* number + 1; 0: free */
	size_t n_slots;
};

void labelsets_init(struct labelsets *t, struct arena *a);
void labelsets_free(struct labelsets *t); /* not the arena */
enum labelsets_keep { LABELSETS_COPY, LABELSETS_BORROW };
uint32_t labelsets_add(struct labelsets *t, const struct labels *l, enum labelsets_keep keep);

#endif
