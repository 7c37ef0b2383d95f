/* SPDX-License-Identifier: GPL-2.0-or-later */
/* head: entries of one tenant and one generation that no segment holds yet, and that no delete request came between:
 * a request makes the tenant's next entry open a new one.
 *
 * One writer (the ingest thread) adds whole push records under the tenant's lock; readers capture, under the
 * same lock, how many rows each stream has (struct head_view) and then read those rows without a lock: rows,
 * chunks, streams and metadata sets never move and never change once captured.
 * Rows stand in arrival order. Lines are kept in the record they came in (large records are adopted whole) or
 * in the arena; metadata sets are interned, so a set that repeats on every row costs four bytes a row.
 *
 * Reference-counted; the last unref frees and gives the memory back to the budget. */
#ifndef LARCH_SERVER_STORE_HEAD_H
#define LARCH_SERVER_STORE_HEAD_H

#include "common/arena.h"
#include "common/budget.h"
#include "common/map.h"
#include "server/store/record.h"

#include <stdatomic.h>

struct head_row {
	int64_t ts;
	const char *line;
	uint32_t len;
	uint32_t set; /* 0: no metadata, else 1 + index for head_set() */
};

struct head_chunk {
	struct head_chunk *next;
	uint32_t cap;
	struct head_row v[];
};

struct head_view {
	uint64_t n, bytes; /* rows; bytes of their lines */
	int64_t min_ts, max_ts;
	bool in_order; /* timestamps never go back */
};

struct head_stream {
	struct labels labels;
	uint64_t hash; /* labels_hash */
	struct head_view view;
	struct head_chunk *first, *last;
	uint32_t used; /* rows in *last */
	struct head_known *known;
};

/* Items that never move: level k holds 64 << k of them. */
struct head_levels {
	void *v[26];
	uint32_t n;
};

static inline void *head_levels_at(const struct head_levels *l, size_t size, uint32_t i)
{
	unsigned k = 31 - (unsigned)__builtin_clz(i / 64 + 1);
	return (char *)l->v[k] + size * (i - 64 * ((1u << k) - 1));
}

struct head {
	_Atomic uint32_t refs;
	struct arena arena;
	struct head_levels streams; /* of struct head_stream */
	struct head_levels sets;    /* of struct labels */
	struct map set_ids;         /* canonical set -> 1 + index; the writer's */
	void **adopted;             /* buffers that rows point into */
	size_t nadopted, cap_adopted, adopted_bytes;
	uint64_t rows, bytes; /* bytes: of lines */
	int64_t min_ts, max_ts;
	uint64_t floor;        /* number of the newest delete request that was known when it was opened */
	struct budget *budget; /* may be NULL */
	size_t charged;        /* bytes taken from it */
};

/* The streams that any unflushed head of a tenant has: canonical labels -> struct head_known. Under the
 * tenant's lock. */
struct head_known {
	struct str key;
	uint32_t refs;          /* heads that hold the stream */
	struct head *head;      /* the newest of them, */
	struct head_stream *hs; /* and the stream in it */
};

struct head *head_new(struct budget *b, uint64_t floor);
struct head *head_ref(struct head *h);
void head_unref(struct head *h);

static inline struct head_stream *head_stream(const struct head *h, uint32_t i)
{
	return head_levels_at(&h->streams, sizeof(struct head_stream), i);
}
/* Metadata of a row; never NULL. */
const struct labels *head_meta(const struct head *h, const struct head_row *r);

/* How many of the record's streams are not in `known`. */
size_t head_new_streams(const struct map *known, const struct record *r);
/* Adds every row of a record. *bytes holds the record; it is taken over (and zeroed) when that is cheaper than
 * copying its lines. `reserved` bytes were taken from the budget for it before; the difference to what was
 * needed is settled. Under the tenant's lock. False: the record is damaged; its rows up to there are in. */
bool head_apply(struct head *h, struct map *known, const struct record *r, struct buf *bytes, size_t reserved,
		struct err *e);
/* The head leaves the tenant: its streams leave `known` if no other head has them. Under the tenant's lock. */
void head_retire(struct head *h, struct map *known);
size_t head_memory(const struct head *h); /* bytes, near enough */

/* Rows of a stream with from <= ts < to among the first v->n, sorted by (ts, arrival): appends pointers. */
struct head_rows {
	const struct head_row **v;
	size_t n, cap;
};
void head_collect(const struct head_stream *hs, const struct head_view *v, int64_t from, int64_t to,
		  struct head_rows *out);

#endif
