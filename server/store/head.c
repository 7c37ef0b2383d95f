/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/head.h"

#include <stdlib.h>

#define ADOPT_MIN (64u << 10) /* records from this size on are kept as they are */
#define CHUNK_MAX 4096u       /* rows of a chunk, unless one push brings more */

struct head *head_new(struct budget *b, uint64_t floor)
{
	struct head *h = mem_zalloc(sizeof *h);
	h->refs = 1;
	h->budget = b;
	h->floor = floor;
	h->min_ts = INT64_MAX;
	h->max_ts = INT64_MIN;
	arena_init(&h->arena, 0);
	return h;
}

struct head *head_ref(struct head *h)
{
	atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
	return h;
}

void head_unref(struct head *h)
{
	if (!h || atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1) return;
	for (size_t i = 0; i < h->nadopted; i++) free(h->adopted[i]);
	free(h->adopted);
	map_free(&h->set_ids);
	arena_free(&h->arena);
	if (h->budget) budget_give(h->budget, h->charged);
	free(h);
}

size_t head_memory(const struct head *h)
{
	return sizeof *h + h->arena.used + h->adopted_bytes + h->set_ids.cap * sizeof(struct map_slot);
}

static void *levels_push(struct head_levels *l, struct arena *a, size_t size)
{
	uint32_t i = l->n;
	unsigned k = 31 - (unsigned)__builtin_clz(i / 64 + 1);
	if (!l->v[k]) l->v[k] = arena_alloc(a, (64u << k) * size);
	l->n++;
	return head_levels_at(l, size, i);
}

static const struct labels no_labels;

const struct labels *head_meta(const struct head *h, const struct head_row *r)
{
	return r->set ? head_levels_at(&h->sets, sizeof(struct labels), r->set - 1) : &no_labels;
}

/* A label set from its canonical bytes, which must live as long as the head. */
static bool set_decode(struct head *h, struct str bytes, struct labels *out)
{
	if (!record_set_count(bytes, &out->n)) return false;
	out->v = arena_alloc(&h->arena, (out->n ? out->n : 1) * sizeof *out->v);
	return record_set_decode(bytes, out->v, out->n);
}

/* Number of the set in this head, or 0 when it is damaged. */
static uint32_t set_intern(struct head *h, struct str bytes)
{
	uintptr_t id = (uintptr_t)map_get(&h->set_ids, bytes);
	if (id) return (uint32_t)id;
	struct labels l;
	struct str own = arena_str(&h->arena, bytes);
	if (!set_decode(h, own, &l)) return 0;
	*(struct labels *)levels_push(&h->sets, &h->arena, sizeof(struct labels)) = l;
	id = h->sets.n;
	map_put(&h->set_ids, own, (void *)id);
	return (uint32_t)id;
}

static struct head_stream *stream_get(struct head *h, struct map *known, struct str key)
{
	struct head_known *k = map_get(known, key);
	if (k && k->head == h) return k->hs;
	struct labels l;
	struct str own = arena_str(&h->arena, key);
	if (!set_decode(h, own, &l)) return NULL;
	if (!k) {
		k = mem_zalloc(sizeof *k + key.n);
		memcpy((char *)(k + 1), key.p, key.n);
		k->key = str_of((char *)(k + 1), key.n);
		map_put(known, k->key, k);
		h->adopted_bytes += sizeof *k + key.n + sizeof(struct map_slot);
	}
	struct head_stream *hs = levels_push(&h->streams, &h->arena, sizeof *hs);
	*hs = (struct head_stream){.labels = l, .hash = labels_hash(&l), .known = k};
	hs->view = (struct head_view){.min_ts = INT64_MAX, .max_ts = INT64_MIN, .in_order = true};
	k->refs++;
	k->head = h;
	k->hs = hs;
	return hs;
}

size_t head_new_streams(const struct map *known, const struct record *r)
{
	size_t n = 0;
	struct str rest = r->rest;
	struct record_rows rows;
	for (size_t i = 0; i < r->nstreams && record_next_stream(&rest, &rows); i++) n += !map_get(known, rows.labels);
	return n;
}

/* Room for one more row. Chunks grow with the stream, so that a stream of one line costs one row. */
static struct head_row *row_push(struct head *h, struct head_stream *hs, size_t more)
{
	if (!hs->last || hs->used == hs->last->cap) {
		uint64_t cap = hs->view.n < CHUNK_MAX ? hs->view.n : CHUNK_MAX;
		if (cap < more) cap = more;
		if (cap > UINT32_MAX / 2) cap = UINT32_MAX / 2;
		struct head_chunk *c = arena_alloc(&h->arena, sizeof *c + cap * sizeof c->v[0]);
		c->next = NULL;
		c->cap = (uint32_t)cap;
		if (hs->last)
			hs->last->next = c;
		else
			hs->first = c;
		hs->last = c;
		hs->used = 0;
	}
	return &hs->last->v[hs->used++];
}

static bool rows_apply(struct head *h, struct head_stream *hs, struct record_rows *rows, const uint32_t *ids,
		       size_t nsets, bool copy)
{
	if (copy) rows->lines = arena_str(&h->arena, rows->lines);
	struct head_view v = hs->view;
	bool ok = true;
	for (size_t left = rows->n; left > 0; left--) {
		struct record_row row;
		if (!record_next_row(rows, &row) || row.set > nsets) {
			ok = false;
			break;
		}
		struct head_row *to = row_push(h, hs, left);
		*to = (struct head_row){row.ts, row.line.p, (uint32_t)row.line.n, row.set ? ids[row.set - 1] : 0};
		if (v.n && row.ts < v.max_ts) v.in_order = false;
		if (row.ts < v.min_ts) v.min_ts = row.ts;
		if (row.ts > v.max_ts) v.max_ts = row.ts;
		v.bytes += row.line.n;
		hs->view.n = ++v.n; /* row_push sizes chunks by it */
	}
	hs->view = v;
	if (v.min_ts < h->min_ts) h->min_ts = v.min_ts;
	if (v.max_ts > h->max_ts) h->max_ts = v.max_ts;
	return ok;
}

static void settle(struct head *h, size_t reserved)
{
	size_t now = head_memory(h), grown = now - h->charged;
	h->charged = now;
	if (!h->budget) return;
	if (grown > reserved)
		budget_force(h->budget, grown - reserved);
	else
		budget_give(h->budget, reserved - grown);
}

bool head_apply(struct head *h, struct map *known, const struct record *r, struct buf *bytes, size_t reserved,
		struct err *e)
{
	uint32_t *ids = mem_alloc((r->nsets ? r->nsets : 1) * sizeof *ids);
	struct str sets = r->sets, rest = r->rest, set;
	bool ok = true, adopt = bytes->n >= ADOPT_MIN;
	for (size_t i = 0; i < r->nsets && ok; i++)
		ok = record_next_set(&sets, &set) && (ids[i] = set_intern(h, set)) != 0;
	for (size_t i = 0; i < r->nstreams && ok; i++) {
		struct record_rows rows;
		struct head_stream *hs;
		ok = record_next_stream(&rest, &rows) && (hs = stream_get(h, known, rows.labels)) &&
		     rows_apply(h, hs, &rows, ids, r->nsets, !adopt);
	}
	free(ids);
	h->rows += r->rows;
	h->bytes += r->bytes;
	if (adopt) {
		MEM_GROW(h->adopted, h->nadopted, h->cap_adopted);
		h->adopted[h->nadopted++] = bytes->p;
		h->adopted_bytes += bytes->cap;
		*bytes = (struct buf){0};
	}
	settle(h, reserved);
	return ok || err_set(e, ERR_CORRUPT, "push record of tenant \"%.*s\" is damaged", STR_ARG(r->tenant));
}

void head_retire(struct head *h, struct map *known)
{
	for (uint32_t i = 0; i < h->streams.n; i++) {
		struct head_known *k = head_stream(h, i)->known;
		if (k->head == h) k->head = NULL;
		if (--k->refs > 0) continue;
		map_del(known, k->key);
		free(k);
	}
}

/* Stable: a merge sort over pointers that start in arrival order. */
static void sort_rows(const struct head_row **v, size_t n)
{
	const struct head_row **tmp = mem_alloc(n * sizeof *tmp), **from = v, **to = tmp;
	for (size_t w = 1; w < n; w *= 2) {
		for (size_t lo = 0; lo < n; lo += 2 * w) {
			size_t mid = lo + w < n ? lo + w : n, hi = lo + 2 * w < n ? lo + 2 * w : n;
			size_t i = lo, j = mid, k = lo;
			while (i < mid && j < hi) to[k++] = from[j]->ts < from[i]->ts ? from[j++] : from[i++];
			while (i < mid) to[k++] = from[i++];
			while (j < hi) to[k++] = from[j++];
		}
		const struct head_row **swap = from;
		from = to;
		to = swap;
	}
	if (from != v) memcpy(v, from, n * sizeof *v);
	free(tmp);
}

void head_collect(const struct head_stream *hs, const struct head_view *v, int64_t from, int64_t to,
		  struct head_rows *out)
{
	size_t start = out->n;
	uint64_t left = v->n;
	if (v->n == 0 || v->max_ts < from || v->min_ts >= to) return;
	/* The chunk behind the captured rows is the writer's: its pointer is not even looked at. */
	for (const struct head_chunk *c = hs->first; left > 0; c = left ? c->next : NULL) {
		size_t n = left < c->cap ? (size_t)left : c->cap;
		left -= n;
		for (size_t i = 0; i < n; i++) {
			if (c->v[i].ts < from || c->v[i].ts >= to) continue;
			MEM_GROW(out->v, out->n, out->cap);
			out->v[out->n++] = &c->v[i];
		}
	}
	if (!v->in_order && out->n - start > 1) sort_rows(out->v + start, out->n - start);
}
