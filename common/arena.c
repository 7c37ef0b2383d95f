/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/arena.h"

#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>

enum { ALIGN = 16, BLOCK_MIN = 4 << 10, BLOCK_MAX = 1 << 20 };

struct arena_block {
	struct arena_block *next;
	size_t size; /* bytes behind the header */
};
_Static_assert(sizeof(struct arena_block) == ALIGN, "the first allocation of a block is aligned");

static inline size_t round_up(size_t n) { return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1); }

struct arena_deferred {
	void (*fn)(void *p);
	void *p;
	struct arena_deferred *before;
};

void arena_init(struct arena *a, size_t cap) { *a = (struct arena){.cap = cap}; }

static void free_blocks(struct arena_block *b)
{
	while (b) {
		struct arena_block *next = b->next;
		free(b);
		b = next;
	}
}

static void run_deferred(struct arena *a)
{
	for (; a->deferred; a->deferred = a->deferred->before) a->deferred->fn(a->deferred->p);
}

void arena_defer(struct arena *a, void (*fn)(void *p), void *p)
{
	struct arena_deferred *d = ARENA_NEW(a, struct arena_deferred);
	*d = (struct arena_deferred){fn, p, a->deferred};
	a->deferred = d;
}

void arena_free(struct arena *a)
{
	run_deferred(a);
	free_blocks(a->head);
	arena_init(a, a->cap);
}

void arena_reset(struct arena *a)
{
	struct arena_block *keep = a->head;
	run_deferred(a);
	a->used = 0;
	if (!keep) return;
	free_blocks(keep->next);
	keep->next = NULL;
	a->p = (char *)(keep + 1);
	a->end = a->p + keep->size;
}

static struct arena_block *block_new(size_t size)
{
	struct arena_block *b = mem_alloc(sizeof *b + size);
	b->size = size;
	b->next = NULL;
	return b;
}

/* The head is the block that is bumped; a large piece gets a block of its own behind it. */
static void *alloc_slow(struct arena *a, size_t n)
{
	if (a->head && n > BLOCK_MAX / 4) {
		struct arena_block *own = block_new(n);
		own->next = a->head->next;
		a->head->next = own;
		return own + 1;
	}
	size_t size = a->head ? a->head->size * 2 : BLOCK_MIN;
	if (size > BLOCK_MAX) size = BLOCK_MAX;
	while (size < n) size *= 2;
	struct arena_block *b = block_new(size);
	b->next = a->head;
	a->head = b;
	a->p = (char *)(b + 1) + n;
	a->end = (char *)(b + 1) + size;
	return b + 1;
}

void *arena_alloc(struct arena *a, size_t n)
{
	n = round_up(n ? n : 1);
	a->used += n;
	if (n > (size_t)(a->end - a->p)) return alloc_slow(a, n);
	void *p = a->p;
	a->p += n;
	return p;
}

void *arena_zalloc(struct arena *a, size_t n) { return memset(arena_alloc(a, n), 0, n); }

char *arena_cstr(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	if (s.n) memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct str arena_str(struct arena *a, struct str s) { return str_of(arena_cstr(a, s), s.n); }

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	size_t len = n < 0 ? 0 : (size_t)n;
	char *p = arena_alloc(a, len + 1);
	p[0] = '\0';
	vsnprintf(p, len + 1, fmt, again);
	va_end(again);
	return str_of(p, len);
}

void *arena_grow(struct arena *a, void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap) return v;
	size_t want = *cap ? *cap * 2 : 8;
	if (want <= n) want = n + 1;
	size_t old = round_up(*cap * size), more = round_up(want * size) - old;
	*cap = want;
	if (v && old && (char *)v + old == a->p && more <= (size_t)(a->end - a->p)) {
		a->p += more;
		a->used += more;
		return v;
	}
	void *bigger = arena_alloc(a, want * size);
	if (n) memcpy(bigger, v, n * size);
	return bigger;
}
