/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Version 1 of the index: one part with everything, cut up into what the parts of version 2 are (segment_impl.h). */
#include "common/codec.h"
#include "server/store/segment_impl.h"

#include <stdlib.h>

/* The index as it stands in the object, borrowing from its bytes. */
struct index {
	struct str tenant, covers, symbols, tables, postings, blocks;
	uint64_t rows, bytes, ncovers;
	struct segment_tables t; /* tables, parsed; symbols is their beginning */
};

static bool cut(struct str in, struct index *x)
{
	uint64_t rows;
	if (!rd_lpstr(&in, &x->tenant) || !rd_le64(&in, &x->rows) || !rd_le64(&in, &x->bytes)) return false;
	if (x->rows >= UINT32_MAX || !rd_varint(&in, &x->ncovers) || x->ncovers > in.n / 24) return false;
	if (!rd_bytes(&in, (size_t)x->ncovers * 24, &x->covers)) return false;
	struct str from = in;
	if (!segment_symbols_parse(&in, &x->t.symbols)) return false;
	x->symbols = str_of(from.p, from.n - in.n);
	in = from;
	if (!segment_tables_parse(&in, 0, &x->t, &rows) || rows != x->rows) return false;
	x->tables = str_of(from.p, from.n - in.n);
	if (!rd_lpstr(&in, &x->postings)) return false;
	x->blocks = in;
	return true;
}

/* The whole index into *raw. */
static bool index_read(struct segment *s, const struct segment_root *r, struct buf *raw, struct index *x, struct err *e)
{
	struct buf stored = {0};
	bool ok = segment_part_read(s, &r->self, "index", &stored, e);
	if (ok && (!codec_expand(CODEC_ZSTD, buf_view(&stored), r->self.raw, raw, e) || raw->n != r->self.raw ||
		   !cut(buf_view(raw), x)))
		ok = segment_corrupt(s, r->self.off, "index", e);
	buf_free(&stored);
	return ok;
}

bool segment_v1_root(struct segment *s, struct segment_root *r, struct err *e)
{
	struct buf raw = {0};
	struct index x;
	if (!index_read(s, r, &raw, &x, e)) {
		buf_free(&raw);
		return false;
	}
	r->tenant = arena_str(&r->arena, x.tenant);
	r->rows = x.rows;
	r->bytes = x.bytes;
	r->ncovers = (uint32_t)x.ncovers;
	r->covers = arena_alloc(&r->arena, (r->ncovers + 1) * sizeof *r->covers);
	for (uint32_t i = 0; i < r->ncovers; i++) {
		struct wal_range *c = &r->covers[i];
		rd_le64(&x.covers, &c->writer), rd_le64(&x.covers, &c->lo), rd_le64(&x.covers, &c->hi);
	}
	r->nstreams = x.t.nstreams;
	r->page_streams = r->nstreams ? r->nstreams : 1;
	r->npages = r->nstreams ? 1 : 0;
	r->pages = arena_alloc(&r->arena, sizeof *r->pages);
	r->pages[0] = (struct segment_page_ref){.rows = (uint32_t)r->rows, .min_ts = INT64_MIN, .max_ts = INT64_MAX};
	r->min_ts = INT64_MIN;
	r->max_ts = INT64_MAX;
	buf_free(&raw);
	return true;
}

bool segment_v1_page(struct segment *s, const struct segment_root *r, struct segment_page *p, struct err *e)
{
	struct buf raw = {0};
	struct index x;
	uint64_t rows;
	bool ok = index_read(s, r, &raw, &x, e);
	if (ok) {
		buf_str(&p->raw, x.tables);
		struct str in = buf_view(&p->raw);
		segment_tables_parse(&in, 0, &p->t, &rows);
	}
	buf_free(&raw);
	return ok;
}

bool segment_v1_blocks(struct segment *s, const struct segment_root *r, struct segment_blocks *b, struct err *e)
{
	struct buf raw = {0};
	struct index x;
	bool ok = index_read(s, r, &raw, &x, e);
	if (ok) {
		buf_str(&b->raw, x.symbols);
		struct str in = buf_view(&b->raw);
		segment_symbols_parse(&in, &b->names);
		ok = segment_blocks_parse(x.blocks, r->self.off, false, b) ||
		     segment_corrupt(s, r->self.off, "index", e);
	}
	buf_free(&raw);
	return ok;
}

/* ---- postings ---- */

struct v1_postings {
	struct cache_item item;
	struct buf raw;
	struct index x;
};

static void postings_free(struct cache_item *it)
{
	buf_free(&((struct v1_postings *)it)->raw);
	free(it);
}

static struct v1_postings *postings(struct segment *s, const struct segment_root *r, struct err *e)
{
	struct v1_postings *p = segment_cached(s, SEGMENT_KIND_POSTINGS, 0);
	if (p) return p;
	p = mem_zalloc(sizeof *p);
	if (index_read(s, r, &p->raw, &p->x, e))
		return segment_keep(s, SEGMENT_KIND_POSTINGS, 0, &p->item, sizeof *p + p->raw.cap, postings_free);
	postings_free(&p->item);
	return NULL;
}

static bool match_values(struct segment_matching *w, const struct index *x, struct str in, uint64_t nvalues)
{
	for (uint64_t i = 0; i < nvalues; i++) {
		uint64_t value, n, d, stream = 0;
		if (!rd_varint(&in, &value) || value >= x->t.symbols.n || !rd_varint(&in, &n)) return false;
		bool ok = matcher_match(w->m, segment_symbol(&x->t.symbols, (uint32_t)value));
		for (uint64_t k = 0; k < n; k++) {
			if (!rd_varint(&in, &d) || d >= w->nstreams || (stream += d) >= w->nstreams) return false;
			w->have[stream / 64] |= UINT64_C(1) << (stream % 64);
			if (ok) w->pass[stream / 64] |= UINT64_C(1) << (stream % 64);
		}
	}
	return true;
}

static bool match_name(struct segment_matching *w, const struct index *x)
{
	struct str in = x->postings, values;
	uint64_t names, name, n;
	if (!rd_varint(&in, &names)) return false;
	for (uint64_t i = 0; i < names; i++) {
		if (!rd_varint(&in, &name) || name >= x->t.symbols.n || !rd_varint(&in, &n) || !rd_lpstr(&in, &values))
			return false;
		if (str_eq(segment_symbol(&x->t.symbols, (uint32_t)name), w->m->name))
			return match_values(w, x, values, n);
	}
	return true;
}

bool segment_v1_match(struct segment *s, const struct segment_root *r, struct segment_matching *w, struct err *e)
{
	struct v1_postings *p = postings(s, r, e);
	if (!p) return false;
	bool ok = match_name(w, &p->x) || segment_corrupt(s, r->self.off, "postings", e);
	segment_release(s, p);
	return ok;
}
