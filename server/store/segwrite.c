/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/segwrite.h"

#include "common/codec.h"
#include "server/store/pack.h"
#include "server/store/segment_filter.h"
#include "server/store/segwrite_index.h"

#include <stdlib.h>

#define FRAME_CUT     (SEGMENT_FRAME / 8) /* a frame this full is not shared with the next stream */
#define META_COMPRESS 256                 /* bytes from which a metadata column is worth compressing */

struct column { /* one metadata name within the open granule */
	uint32_t name;
	struct map ids; /* value -> 1 + id */
	struct str *values;
	uint64_t *rows, *row_ids;
	size_t nvalues, cap_values, n, cap_rows, cap_ids;
};

struct pair_ref {
	uint32_t column, id;
};

struct set_ref { /* a metadata set seen in the open granule, taken apart */
	const struct labels *key;
	uint32_t first, n; /* in pairs */
};

struct segwrite {
	struct object_upload *up;
	const struct object_ops *ops;
	int level;
	uint64_t off; /* bytes written so far */
	struct str tenant;
	struct segwrite_result sum;

	struct segwrite_index index;
	struct segment_stream stream; /* the open one */
	struct labels labels;         /* its, in its arena */
	struct arena stream_arena;

	struct arena arena;
	struct map name_ids; /* of metadata columns -> 1 + id */
	struct str *names;
	size_t nnames, cap_names;
	struct segment_block *blocks;
	struct segment_granule *granules;
	struct segment_frame *frames;
	struct segment_meta *metas;
	size_t nblocks, cap_blocks, ngranules, cap_granules, nframes, cap_frames, nmetas, cap_metas;
	struct buf filters;

	/* the open frame, granule and block */
	struct buf frame, packed;
	uint32_t frame_rows, block_rows, block_granule, block_meta;
	uint64_t block_pos; /* bytes of lines in the block */
	int64_t ts[SEGMENT_GRANULE];
	uint64_t len[SEGMENT_GRANULE];
	uint32_t n; /* rows in the granule */
	uint64_t granule_pos;
	struct buf ts_parts, len_parts, meta_parts;

	struct column *columns;
	size_t ncolumns, cap_columns;
	struct map column_ids; /* name -> 1 + column */
	struct set_ref sets[2 * SEGMENT_GRANULE];
	struct pair_ref *set_pairs;
	size_t nset_pairs, cap_set_pairs;
	const struct labels *last_set;
	struct set_ref *last_ref;
};

static bool emit(struct segwrite *w, struct str bytes, struct err *e)
{
	if (!w->ops->append(w->up, bytes, e)) return false;
	w->off += bytes.n;
	return true;
}

struct segwrite *segwrite_new(struct object_store *o, struct str name, struct str tenant, int level, struct err *e)
{
	struct object_upload *up = o->ops->begin(o, name, e);
	if (!up) return NULL;
	struct segwrite *w = mem_zalloc(sizeof *w);
	w->up = up;
	w->ops = o->ops;
	w->level = level;
	w->tenant = tenant;
	w->sum.min_ts = INT64_MAX;
	w->sum.max_ts = INT64_MIN;
	arena_init(&w->arena, 0);
	arena_init(&w->stream_arena, 0);
	segwrite_index_init(&w->index, level);
	struct buf head = {0};
	buf_add(&head, segment_magic, 8);
	buf_le32(&head, SEGMENT_VERSION);
	buf_le32(&head, 0);
	bool ok = emit(w, buf_view(&head), e);
	buf_free(&head);
	if (ok) return w;
	segwrite_abort(w);
	return NULL;
}

static uint32_t name_id(struct segwrite *w, struct str s)
{
	uintptr_t id = (uintptr_t)map_get(&w->name_ids, s);
	if (!id) {
		MEM_GROW(w->names, w->nnames, w->cap_names);
		s = arena_str(&w->arena, s);
		w->names[w->nnames] = s;
		id = ++w->nnames;
		map_put(&w->name_ids, s, (void *)id);
	}
	return (uint32_t)id - 1;
}

/* ---- metadata columns of the open granule ---- */

static uint32_t column_of(struct segwrite *w, struct str name)
{
	uintptr_t id = (uintptr_t)map_get(&w->column_ids, name);
	if (id) return (uint32_t)id - 1;
	MEM_GROW(w->columns, w->ncolumns, w->cap_columns);
	w->columns[w->ncolumns] = (struct column){.name = name_id(w, name)};
	id = ++w->ncolumns;
	map_put(&w->column_ids, name, (void *)id);
	return (uint32_t)id - 1;
}

static uint32_t value_of(struct column *c, struct str value)
{
	uintptr_t id = (uintptr_t)map_get(&c->ids, value);
	if (id) return (uint32_t)id - 1;
	MEM_GROW(c->values, c->nvalues, c->cap_values);
	c->values[c->nvalues] = value;
	id = ++c->nvalues;
	map_put(&c->ids, value, (void *)id);
	return (uint32_t)id - 1;
}

/* A granule has at most half as many sets as the table has slots. */
static struct set_ref *set_of(struct segwrite *w, const struct labels *meta)
{
	if (meta == w->last_set) return w->last_ref;
	size_t mask = 2 * SEGMENT_GRANULE - 1, h = ((uintptr_t)meta * UINT64_C(0x9E3779B97F4A7C15) >> 40) & mask;
	while (w->sets[h].key && w->sets[h].key != meta) h = (h + 1) & mask;
	struct set_ref *s = &w->sets[h];
	w->last_set = meta;
	w->last_ref = s;
	if (s->key) return s;
	*s = (struct set_ref){meta, (uint32_t)w->nset_pairs, (uint32_t)meta->n};
	for (size_t i = 0; i < meta->n; i++) {
		uint32_t c = column_of(w, meta->v[i].name);
		MEM_GROW(w->set_pairs, w->nset_pairs, w->cap_set_pairs);
		w->set_pairs[w->nset_pairs++] = (struct pair_ref){c, value_of(&w->columns[c], meta->v[i].value)};
	}
	return s;
}

static void meta_add(struct segwrite *w, const struct labels *meta)
{
	const struct set_ref *s = set_of(w, meta);
	for (uint32_t i = 0; i < s->n; i++) {
		const struct pair_ref *p = &w->set_pairs[s->first + i];
		struct column *c = &w->columns[p->column];
		MEM_GROW(c->rows, c->n, c->cap_rows);
		MEM_GROW(c->row_ids, c->n, c->cap_ids);
		c->rows[c->n] = w->n;
		c->row_ids[c->n++] = p->id;
	}
}

static void column_free(struct column *c)
{
	map_free(&c->ids);
	free(c->values);
	free(c->rows);
	free(c->row_ids);
}

static void column_encode(const struct column *c, uint32_t rows, struct buf *b)
{
	buf_varint(b, c->n);
	if (c->n < rows) pack_u64(b, c->rows, c->n);
	buf_varint(b, c->nvalues);
	pack_u64(b, c->row_ids, c->n);
	uint64_t *lens = mem_alloc(c->nvalues * sizeof *lens);
	for (size_t i = 0; i < c->nvalues; i++) lens[i] = c->values[i].n;
	pack_u64(b, lens, c->nvalues);
	free(lens);
	for (size_t i = 0; i < c->nvalues; i++) buf_str(b, c->values[i]);
}

static bool column_part(struct segwrite *w, const struct column *c, struct err *e)
{
	struct buf *raw = &w->packed, *out = &w->meta_parts;
	buf_clear(raw);
	column_encode(c, w->n, raw);
	size_t at = out->n;
	bool zstd = raw->n >= META_COMPRESS;
	buf_u8(out, zstd ? CODEC_ZSTD : CODEC_NONE);
	buf_varint(out, raw->n);
	if (!zstd)
		buf_str(out, buf_view(raw));
	else if (!codec_compress(CODEC_ZSTD, w->level, buf_view(raw), out, e))
		return false;
	struct str part = str_from(buf_view(out), at);
	MEM_GROW(w->metas, w->nmetas, w->cap_metas);
	w->metas[w->nmetas++] = (struct segment_meta){c->name, {at, str_hash(part), (uint32_t)part.n, 0}};
	return true;
}

static bool metas_flush(struct segwrite *w, struct err *e)
{
	bool ok = true;
	for (size_t i = 0; i < w->ncolumns; i++) {
		ok = ok && column_part(w, &w->columns[i], e);
		column_free(&w->columns[i]);
	}
	w->ncolumns = w->nset_pairs = 0;
	map_clear(&w->column_ids);
	memset(w->sets, 0, sizeof w->sets);
	w->last_set = NULL;
	return ok;
}

/* ---- granules, frames, blocks ---- */

/* Parts of a block's columns are gathered first and written behind its frames, so that a count reads one range. */
static struct segment_part part_of(struct buf *b, size_t from)
{
	struct str bytes = str_from(buf_view(b), from);
	return (struct segment_part){from, str_hash(bytes), (uint32_t)bytes.n, 0};
}

static bool granule_flush(struct segwrite *w, struct err *e)
{
	if (w->n == 0) return true;
	struct segment_granule g = {.min_ts = INT64_MAX, .max_ts = INT64_MIN, .pos = w->granule_pos};
	for (uint32_t i = 0; i < w->n; i++) {
		if (w->ts[i] < g.min_ts) g.min_ts = w->ts[i];
		if (w->ts[i] > g.max_ts) g.max_ts = w->ts[i];
	}
	size_t at = w->ts_parts.n;
	pack_times(&w->ts_parts, w->ts, w->n);
	g.ts = part_of(&w->ts_parts, at);
	at = w->len_parts.n;
	pack_u64(&w->len_parts, w->len, w->n);
	g.len = part_of(&w->len_parts, at);
	g.first_meta = (uint32_t)w->nmetas;
	if (!metas_flush(w, e)) return false;
	g.nmeta = (uint32_t)w->nmetas - g.first_meta;
	MEM_GROW(w->granules, w->ngranules, w->cap_granules);
	w->granules[w->ngranules++] = g;
	w->granule_pos = w->block_pos;
	w->n = 0;
	return true;
}

static bool frame_flush(struct segwrite *w, struct err *e)
{
	if (w->frame_rows == 0) return true;
	struct segment_frame f = {.first_row = (uint32_t)w->sum.rows - w->frame_rows,
				  .rows = w->frame_rows,
				  .pos = w->block_pos - w->frame.n};
	buf_clear(&w->packed);
	if (!codec_compress(CODEC_ZSTD, w->level, buf_view(&w->frame), &w->packed, e)) return false;
	f.part = (struct segment_part){w->off, str_hash(buf_view(&w->packed)), (uint32_t)w->packed.n,
				       (uint32_t)w->frame.n};
	if (!emit(w, buf_view(&w->packed), e)) return false;
	size_t at = w->filters.n;
	if (w->level >= SEGWRITE_FILTERS) segment_filter_build(buf_view(&w->frame), &w->filters);
	f.filter = part_of(&w->filters, at);
	MEM_GROW(w->frames, w->nframes, w->cap_frames);
	w->frames[w->nframes++] = f;
	buf_clear(&w->frame);
	w->frame_rows = 0;
	return true;
}

static bool block_flush(struct segwrite *w, struct err *e)
{
	if (w->block_rows == 0) return true;
	if (!granule_flush(w, e) || !frame_flush(w, e)) return false;
	struct segment_block *b = &w->blocks[w->nblocks - 1];
	b->rows = w->block_rows;
	b->nframes = (uint32_t)w->nframes - b->first_frame;
	uint64_t ts = w->off, len = ts + w->ts_parts.n, meta = len + w->len_parts.n;
	for (size_t i = b->first_granule; i < w->ngranules; i++) {
		w->granules[i].ts.off += ts;
		w->granules[i].len.off += len;
	}
	for (size_t i = w->block_meta; i < w->nmetas; i++) w->metas[i].part.off += meta;
	if (!emit(w, buf_view(&w->ts_parts), e) || !emit(w, buf_view(&w->len_parts), e)) return false;
	if (!emit(w, buf_view(&w->meta_parts), e)) return false;
	buf_clear(&w->ts_parts);
	buf_clear(&w->len_parts);
	buf_clear(&w->meta_parts);
	w->block_rows = 0;
	return true;
}

static void block_open(struct segwrite *w)
{
	MEM_GROW(w->blocks, w->nblocks, w->cap_blocks);
	w->blocks[w->nblocks++] = (struct segment_block){.first_row = (uint32_t)w->sum.rows,
							 .first_granule = (uint32_t)w->ngranules,
							 .first_frame = (uint32_t)w->nframes,
							 .encoding = SEGMENT_RAW};
	w->block_meta = (uint32_t)w->nmetas;
	w->block_pos = w->granule_pos = 0;
}

/* The open stream's figures are complete. */
static bool stream_end(struct segwrite *w, struct err *e)
{
	const struct segment_stream *st = &w->stream;
	if (st->rows == 0) return true;
	w->sum.streams++;
	if (st->min_ts < w->sum.min_ts) w->sum.min_ts = st->min_ts;
	if (st->max_ts > w->sum.max_ts) w->sum.max_ts = st->max_ts;
	return segwrite_index_add(&w->index, &w->labels, st, e);
}

bool segwrite_stream(struct segwrite *w, const struct labels *labels, uint64_t hash, struct err *e)
{
	if (!stream_end(w, e)) return false;
	if (w->frame.n >= FRAME_CUT && !frame_flush(w, e)) return false;
	arena_reset(&w->stream_arena);
	w->labels = labels_copy(&w->stream_arena, labels);
	w->stream = (struct segment_stream){
		.hash = hash, .min_ts = INT64_MAX, .max_ts = INT64_MIN, .first_row = (uint32_t)w->sum.rows};
	return true;
}

bool segwrite_row(struct segwrite *w, int64_t ts, struct str line, const struct labels *meta, struct err *e)
{
	if (w->sum.rows >= UINT32_MAX - 1) return err_set(e, ERR_TOO_LARGE, "a segment has at most 2^32 - 2 rows");
	if (w->block_rows == SEGMENT_BLOCK && !block_flush(w, e)) return false;
	if (w->n == SEGMENT_GRANULE && !granule_flush(w, e)) return false;
	if (w->frame.n && w->frame.n + line.n > SEGMENT_FRAME && !frame_flush(w, e)) return false;
	if (w->block_rows == 0) block_open(w);
	if (meta->n) meta_add(w, meta);
	w->ts[w->n] = ts;
	w->len[w->n++] = line.n;
	buf_str(&w->frame, line);
	w->frame_rows++;
	w->block_rows++;
	w->block_pos += line.n;
	struct segment_stream *st = &w->stream;
	st->rows++;
	st->bytes += line.n;
	if (ts < st->min_ts) st->min_ts = ts;
	if (ts > st->max_ts) st->max_ts = ts;
	w->sum.rows++;
	w->sum.bytes += line.n;
	return true;
}

/* ---- the index ---- */

static void put_part(struct buf *b, const struct segment_part *p)
{
	buf_varint(b, p->off);
	buf_varint(b, p->len);
	buf_le64(b, p->sum);
}

static void put_granule(const struct segwrite *w, const struct segment_granule *g, struct buf *b)
{
	buf_zigzag(b, g->min_ts);
	buf_varint(b, (uint64_t)g->max_ts - (uint64_t)g->min_ts);
	buf_varint(b, g->pos);
	put_part(b, &g->ts);
	put_part(b, &g->len);
	buf_varint(b, g->nmeta);
	for (uint32_t m = 0; m < g->nmeta; m++) {
		buf_varint(b, w->metas[g->first_meta + m].name);
		put_part(b, &w->metas[g->first_meta + m].part);
	}
}

/* Filters stand together at offset `filters`. */
static void put_frame(const struct segment_frame *f, uint64_t filters, struct buf *b)
{
	buf_varint(b, f->rows);
	buf_varint(b, f->part.raw);
	put_part(b, &f->part);
	buf_varint(b, f->filter.len);
	if (f->filter.len == 0) return;
	buf_varint(b, filters + f->filter.off);
	buf_le64(b, f->filter.sum);
}

static void put_blocks(const struct segwrite *w, uint64_t filters, struct buf *b)
{
	segwrite_put_texts(b, w->names, w->nnames);
	buf_varint(b, w->nblocks);
	for (size_t i = 0; i < w->nblocks; i++) {
		const struct segment_block *k = &w->blocks[i];
		buf_u8(b, k->encoding);
		buf_varint(b, k->rows);
		size_t end = i + 1 < w->nblocks ? w->blocks[i + 1].first_granule : w->ngranules;
		for (size_t g = k->first_granule; g < end; g++) put_granule(w, &w->granules[g], b);
		buf_varint(b, k->nframes);
		for (uint32_t f = 0; f < k->nframes; f++) put_frame(&w->frames[k->first_frame + f], filters, b);
	}
}

static bool finish(struct segwrite *w, const struct wal_range *covers, size_t ncovers, struct err *e)
{
	if (!stream_end(w, e) || !block_flush(w, e)) return false;
	struct segwrite_root r = {w->tenant, w->sum.rows, w->sum.bytes, covers, ncovers, {0}};
	struct buf raw = {0}, tail = {0};
	uint64_t filters = w->off;
	bool ok = emit(w, buf_view(&w->filters), e) && segwrite_index_end(&w->index, e);
	if (ok) {
		put_blocks(w, filters, &raw);
		ok = segwrite_index_part(&w->index, buf_view(&raw), &r.blocks, e) &&
		     segwrite_index_put(&w->index, &r, w->off, &tail, e) && emit(w, buf_view(&tail), e);
	}
	buf_free(&raw);
	buf_free(&tail);
	return ok;
}

static void segwrite_free(struct segwrite *w)
{
	for (size_t i = 0; i < w->ncolumns; i++) column_free(&w->columns[i]);
	map_free(&w->column_ids);
	map_free(&w->name_ids);
	segwrite_index_free(&w->index);
	arena_free(&w->arena);
	arena_free(&w->stream_arena);
	void *owned[] = {w->names, w->blocks, w->granules, w->frames, w->metas, w->columns, w->set_pairs};
	for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) free(owned[i]);
	struct buf *bufs[] = {&w->frame, &w->packed, &w->ts_parts, &w->len_parts, &w->meta_parts, &w->filters};
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) buf_free(bufs[i]);
	free(w);
}

void segwrite_abort(struct segwrite *w)
{
	w->ops->abort(w->up);
	segwrite_free(w);
}

bool segwrite_finish(struct segwrite *w, const struct wal_range *covers, size_t ncovers, struct segwrite_result *out,
		     struct err *e)
{
	if (!finish(w, covers, ncovers, e)) {
		segwrite_abort(w);
		return false;
	}
	w->sum.size = w->off;
	*out = w->sum;
	bool ok = w->ops->commit(w->up, true, e);
	segwrite_free(w);
	return ok;
}
