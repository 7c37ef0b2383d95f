/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/heap.h"

#include "common/buf.h"

#include <stdlib.h>

static void sift_up(struct heap *h, size_t i)
{
	void *item = h->v[i];
	for (size_t up; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!h->less(item, h->v[up], h->ud)) break;
		h->v[i] = h->v[up];
	}
	h->v[i] = item;
}

static void sift_down(struct heap *h, size_t i)
{
	void *item = h->v[i];
	for (size_t kid; (kid = 2 * i + 1) < h->n; i = kid) {
		if (kid + 1 < h->n && h->less(h->v[kid + 1], h->v[kid], h->ud)) kid++;
		if (!h->less(h->v[kid], item, h->ud)) break;
		h->v[i] = h->v[kid];
	}
	h->v[i] = item;
}

static void *take(struct heap *h, size_t i)
{
	void *item = h->v[i];
	h->v[i] = h->v[--h->n];
	if (i < h->n) {
		sift_down(h, i);
		sift_up(h, i);
	}
	return item;
}

void heap_free(struct heap *h)
{
	free(h->v);
	h->v = NULL;
	h->n = h->cap = 0;
}

void heap_push(struct heap *h, void *item)
{
	MEM_GROW(h->v, h->n, h->cap);
	h->v[h->n] = item;
	sift_up(h, h->n++);
}

void *heap_top(const struct heap *h) { return h->n ? h->v[0] : NULL; }

void *heap_pop(struct heap *h) { return h->n ? take(h, 0) : NULL; }

void heap_fix_top(struct heap *h)
{
	if (h->n) sift_down(h, 0);
}

bool heap_remove(struct heap *h, void *item)
{
	for (size_t i = 0; i < h->n; i++) {
		if (h->v[i] != item) continue;
		take(h, i);
		return true;
	}
	return false;
}
