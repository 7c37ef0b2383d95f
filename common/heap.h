/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heap: binary min-heap of pointers by a caller's order. {0} plus less is ready; heap_free() releases
 * the array, not the items. Not thread-safe. O(log n). Used for k-way merges, timers and topk. */
#ifndef LARCH_COMMON_HEAP_H
#define LARCH_COMMON_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap {
	void **v;
	size_t n, cap;
	bool (*less)(const void *a, const void *b, void *ud);
	void *ud;
};

void heap_free(struct heap *h);
void heap_push(struct heap *h, void *item);
void *heap_top(const struct heap *h); /* NULL: empty */
void *heap_pop(struct heap *h);       /* NULL: empty */
void heap_fix_top(struct heap *h);    /* after the top item's key changed */
bool heap_remove(struct heap *h, void *item); /* O(n); false: not there */

#endif
