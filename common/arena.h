/* SPDX-License-Identifier: GPL-2.0-or-later */
/* arena: memory that dies together (a request, a query, a batch).
 *
 * Invariants: pointers stay valid until arena_reset/arena_free; alignment 16. An arena has a soft
 * byte cap: allocation never fails, but once more than `cap` bytes are in use arena_over() is true
 * and the owner stops at its next check (once per batch), so the overshoot is one batch.
 * One owner thread. Bump allocation from blocks that double up to 1 MiB; reset keeps one block. */
#ifndef LARCH_COMMON_ARENA_H
#define LARCH_COMMON_ARENA_H

#include "common/str.h"
#include <stdarg.h>

struct arena {
	struct arena_block *head;
	struct arena_deferred *deferred;
	char *p, *end;
	size_t used; /* bytes handed out since init/reset */
	size_t cap;  /* 0: none */
};

void arena_init(struct arena *a, size_t cap);
void arena_free(struct arena *a);
void arena_reset(struct arena *a);
static inline bool arena_over(const struct arena *a) { return a->cap && a->used > a->cap; }

/* Calls fn(p) when the arena is reset or freed, last come first: for what is not memory of the arena. */
void arena_defer(struct arena *a, void (*fn)(void *p), void *p);

void *arena_alloc(struct arena *a, size_t n);           /* uninitialised */
void *arena_zalloc(struct arena *a, size_t n);
struct str arena_str(struct arena *a, struct str s);    /* copy, NUL behind it */
char *arena_cstr(struct arena *a, struct str s);        /* NUL-terminated copy */
struct str arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Grows an array in the arena: returns room for at least n + 1 items of `size`, copying the old. */
void *arena_grow(struct arena *a, void *v, size_t n, size_t *cap, size_t size);

#define ARENA_NEW(a, T) ((T *)arena_zalloc((a), sizeof(T)))
#define ARENA_PUSH(a, v, n, cap) ((v) = arena_grow((a), (v), (n), &(cap), sizeof *(v)), &(v)[(n)++])

#endif
