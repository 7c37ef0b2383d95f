/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The directory of blocks, and the columns and frames that it names (segment.h). */
#include "common/codec.h"
#include "server/store/pack.h"
#include "server/store/segment_impl.h"

#include <stdlib.h>

/* ---- the directory ---- */

struct parsing {
	struct segment_blocks *b;
	struct str in;
	uint64_t end; /* of what parts may hold */
	bool filters;
	size_t cap_granules, cap_frames, cap_metas;
};

static bool read_granule(struct parsing *p, struct segment_granule *g)
{
	struct segment_blocks *b = p->b;
	uint64_t range, n, name;
	if (!rd_zigzag(&p->in, &g->min_ts) || !rd_varint(&p->in, &range) || !rd_varint(&p->in, &g->pos)) return false;
	g->max_ts = (int64_t)((uint64_t)g->min_ts + range);
	if (g->max_ts < g->min_ts || !segment_part_parse(&p->in, p->end, &g->ts) ||
	    !segment_part_parse(&p->in, p->end, &g->len))
		return false;
	if (!rd_varint(&p->in, &n) || n > p->in.n / 10) return false;
	g->first_meta = b->nmetas;
	g->nmeta = (uint32_t)n;
	for (uint64_t i = 0; i < n; i++) {
		MEM_GROW(b->metas, b->nmetas, p->cap_metas);
		struct segment_meta *m = &b->metas[b->nmetas++];
		if (!rd_varint(&p->in, &name) || name >= b->names.n || !segment_part_parse(&p->in, p->end, &m->part))
			return false;
		m->name = (uint32_t)name;
	}
	return true;
}

static bool read_filter(struct parsing *p, struct segment_part *f)
{
	uint64_t len;
	*f = (struct segment_part){0};
	if (!p->filters) return true;
	if (!rd_varint(&p->in, &len) || len > UINT32_MAX) return false;
	if (len == 0) return true;
	f->len = f->raw = (uint32_t)len;
	return rd_varint(&p->in, &f->off) && rd_le64(&p->in, &f->sum) && f->off <= p->end && len <= p->end - f->off;
}

static bool read_frames(struct parsing *p, struct segment_block *b)
{
	uint64_t n, rows, raw, pos = 0, row = b->first_row;
	if (!rd_varint(&p->in, &n) || n > p->in.n / 12) return false;
	b->first_frame = p->b->nframes;
	b->nframes = (uint32_t)n;
	for (uint64_t i = 0; i < n; i++) {
		MEM_GROW(p->b->frames, p->b->nframes, p->cap_frames);
		struct segment_frame *f = &p->b->frames[p->b->nframes++];
		if (!rd_varint(&p->in, &rows) || !rd_varint(&p->in, &raw) ||
		    !segment_part_parse(&p->in, p->end, &f->part) || !read_filter(p, &f->filter))
			return false;
		if (rows == 0 || rows > SEGMENT_BLOCK || raw > UINT32_MAX || !segment_plausible(raw, f->part.len))
			return false;
		f->first_row = (uint32_t)row;
		f->rows = (uint32_t)rows;
		f->part.raw = (uint32_t)raw;
		f->pos = pos;
		row += rows;
		pos += raw;
	}
	return row == (uint64_t)b->first_row + b->rows;
}

bool segment_blocks_parse(struct str in, uint64_t end, bool filters, struct segment_blocks *d)
{
	uint64_t n, rows, row = 0;
	struct parsing p = {.b = d, .in = in, .end = end, .filters = filters};
	if (!rd_varint(&p.in, &n) || n > p.in.n / 24) return false; /* a granule alone takes more */
	d->blocks = mem_alloc((n ? n : 1) * sizeof *d->blocks);
	for (d->nblocks = 0; d->nblocks < n; d->nblocks++) {
		struct segment_block *b = &d->blocks[d->nblocks];
		if (!rd_u8(&p.in, &b->encoding) || b->encoding != SEGMENT_RAW) return false;
		if (!rd_varint(&p.in, &rows) || rows == 0 || rows > SEGMENT_BLOCK) return false;
		b->first_row = (uint32_t)row;
		b->rows = (uint32_t)rows;
		b->first_granule = d->ngranules;
		for (uint64_t g = 0; g < rows; g += SEGMENT_GRANULE) {
			MEM_GROW(d->granules, d->ngranules, p.cap_granules);
			if (!read_granule(&p, &d->granules[d->ngranules++])) return false;
		}
		if (!read_frames(&p, b)) return false;
		row += rows;
		if (row > d->rows) return false;
	}
	return row == d->rows && p.in.n == 0;
}

static void blocks_free(struct cache_item *it)
{
	struct segment_blocks *b = (struct segment_blocks *)it;
	free(b->blocks);
	free(b->granules);
	free(b->frames);
	free(b->metas);
	buf_free(&b->raw);
	free(b);
}

static bool blocks_read(struct segment *s, const struct segment_root *r, struct segment_blocks *b, struct err *e)
{
	b->rows = r->rows;
	if (r->version == 1) return segment_v1_blocks(s, r, b, e);
	if (!segment_part_expand(s, &r->blocks, "directory of blocks", &b->raw, e)) return false;
	struct str in = buf_view(&b->raw);
	return (segment_symbols_parse(&in, &b->names) && segment_blocks_parse(in, r->self.off, true, b)) ||
	       segment_corrupt(s, r->blocks.off, "directory of blocks", e);
}

struct segment_blocks *segment_blocks(struct segment *s, const struct segment_root *r, struct err *e)
{
	struct segment_blocks *b = segment_cached(s, SEGMENT_KIND_BLOCKS, 0);
	if (b) return b;
	b = mem_zalloc(sizeof *b);
	if (!blocks_read(s, r, b, e)) {
		blocks_free(&b->item);
		return NULL;
	}
	size_t bytes = sizeof *b + b->raw.cap + b->nblocks * sizeof *b->blocks + b->ngranules * sizeof *b->granules +
		       b->nframes * sizeof *b->frames + b->nmetas * sizeof *b->metas;
	return segment_keep(s, SEGMENT_KIND_BLOCKS, 0, &b->item, bytes, blocks_free);
}

/* ---- where a row is ---- */

/* The last of n items of `size` bytes whose u32 at `at` is not above v; the first has 0 there. */
static uint32_t last_not_above(const void *items, uint32_t n, size_t size, size_t at, uint32_t v)
{
	uint32_t lo = 0, hi = n, key;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;
		memcpy(&key, (const char *)items + mid * size + at, sizeof key);
		if (key <= v)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint32_t segment_block_of(const struct segment_blocks *b, uint32_t row)
{
	return last_not_above(b->blocks, b->nblocks, sizeof *b->blocks, offsetof(struct segment_block, first_row), row);
}

uint32_t segment_frame_of(const struct segment_blocks *b, uint32_t row)
{
	return last_not_above(b->frames, b->nframes, sizeof *b->frames, offsetof(struct segment_frame, first_row), row);
}

uint32_t segment_granule_of(const struct segment_blocks *d, uint32_t row, uint32_t *first_row)
{
	const struct segment_block *b = &d->blocks[segment_block_of(d, row)];
	uint32_t g = (row - b->first_row) / SEGMENT_GRANULE;
	*first_row = b->first_row + g * SEGMENT_GRANULE;
	return b->first_granule + g;
}

uint32_t segment_granule_rows(const struct segment_blocks *d, uint32_t granule)
{
	const struct segment_block *b = &d->blocks[last_not_above(
		d->blocks, d->nblocks, sizeof *d->blocks, offsetof(struct segment_block, first_granule), granule)];
	uint32_t left = b->rows - (granule - b->first_granule) * SEGMENT_GRANULE;
	return left < SEGMENT_GRANULE ? left : SEGMENT_GRANULE;
}

/* ---- columns ---- */

static void plain_free(struct cache_item *it) { free(it); }

struct segment_times *segment_times(struct segment *s, const struct segment_blocks *d, uint32_t granule, struct err *e)
{
	struct segment_times *t = segment_cached(s, SEGMENT_KIND_TIMES, granule);
	if (t) return t;
	const struct segment_part *p = &d->granules[granule].ts;
	struct buf b = {0};
	uint32_t n = segment_granule_rows(d, granule);
	size_t size = sizeof *t + n * sizeof t->v[0];
	t = mem_alloc(size);
	t->n = n;
	bool ok = segment_part_read(s, p, "timestamps", &b, e);
	struct str in = buf_view(&b);
	if (ok && (!unpack_times(&in, t->v, n) || in.n)) ok = segment_corrupt(s, p->off, "timestamps", e);
	buf_free(&b);
	if (ok) return segment_keep(s, SEGMENT_KIND_TIMES, granule, &t->item, size, plain_free);
	free(t);
	return NULL;
}

struct segment_lens *segment_lens(struct segment *s, const struct segment_blocks *d, uint32_t granule, struct err *e)
{
	struct segment_lens *l = segment_cached(s, SEGMENT_KIND_LENS, granule);
	if (l) return l;
	const struct segment_granule *g = &d->granules[granule];
	struct buf b = {0};
	uint32_t n = segment_granule_rows(d, granule);
	size_t size = sizeof *l + n * (sizeof *l->pos + sizeof *l->len);
	l = mem_alloc(size);
	l->n = n;
	l->pos = (uint64_t *)(l + 1);
	l->len = (uint32_t *)(l->pos + n);
	bool ok = segment_part_read(s, &g->len, "lengths", &b, e);
	struct str in = buf_view(&b);
	if (ok && (!unpack_u64(&in, l->pos, n) || in.n)) ok = segment_corrupt(s, g->len.off, "lengths", e);
	buf_free(&b);
	uint64_t pos = g->pos;
	for (uint32_t i = 0; ok && i < n; i++) {
		uint64_t len = l->pos[i];
		if (len > UINT32_MAX) ok = segment_corrupt(s, g->len.off, "lengths", e);
		l->len[i] = (uint32_t)len;
		l->pos[i] = pos;
		pos += len;
	}
	if (ok) return segment_keep(s, SEGMENT_KIND_LENS, granule, &l->item, size, plain_free);
	free(l);
	return NULL;
}

/* ---- frames ---- */

static bool lines_read(struct segment *s, const struct segment_frame *f, struct buf *out, struct err *e)
{
	struct buf stored = {0};
	buf_clear(out);
	if (f->part.raw == 0) return true;
	bool ok = segment_part_read(s, &f->part, "frame of lines", &stored, e);
	if (ok && (!codec_expand(CODEC_ZSTD, buf_view(&stored), f->part.raw, out, e) || out->n != f->part.raw))
		ok = segment_corrupt(s, f->part.off, "frame of lines", e);
	buf_free(&stored);
	return ok;
}

static void lines_free(struct cache_item *it)
{
	buf_free(&((struct segment_lines *)it)->raw);
	free(it);
}

struct segment_lines *segment_lines(struct segment *s, const struct segment_blocks *b, uint32_t frame, struct err *e)
{
	struct segment_lines *l = segment_cached(s, SEGMENT_KIND_LINES, frame);
	if (l) return l;
	l = mem_zalloc(sizeof *l);
	if (!lines_read(s, &b->frames[frame], &l->raw, e)) {
		lines_free(&l->item);
		return NULL;
	}
	return segment_keep(s, SEGMENT_KIND_LINES, frame, &l->item, sizeof *l + l->raw.cap, lines_free);
}

struct segment_lines *segment_lines_adopt(struct segment *s, uint32_t frame, struct buf *scratch)
{
	struct segment_lines *l = mem_zalloc(sizeof *l);
	l->raw = *scratch;
	*scratch = (struct buf){0};
	return segment_keep(s, SEGMENT_KIND_LINES, frame, &l->item, sizeof *l + l->raw.cap, lines_free);
}

bool segment_lines_scratch(struct segment *s, const struct segment_blocks *b, uint32_t frame, struct buf *scratch,
			   struct segment_lines **held, struct err *e)
{
	*held = segment_cached(s, SEGMENT_KIND_LINES, frame);
	return *held || lines_read(s, &b->frames[frame], scratch, e);
}

static void filter_free(struct cache_item *it)
{
	buf_free(&((struct segment_filter *)it)->raw);
	free(it);
}

struct segment_filter *segment_filter(struct segment *s, const struct segment_blocks *b, uint32_t frame, struct err *e)
{
	struct segment_filter *f = segment_cached(s, SEGMENT_KIND_FILTER, frame);
	if (f) return f;
	f = mem_zalloc(sizeof *f);
	if (segment_part_read(s, &b->frames[frame].filter, "filter", &f->raw, e))
		return segment_keep(s, SEGMENT_KIND_FILTER, frame, &f->item, sizeof *f + f->raw.cap, filter_free);
	filter_free(&f->item);
	return NULL;
}
