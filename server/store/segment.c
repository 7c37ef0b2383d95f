/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/segment.h"

#include "common/codec.h"
#include "server/store/pack.h"
#include "server/store/segment_impl.h"

#include <stdlib.h>

const char segment_magic[9] = "LARCHSEG", segment_end_magic[9] = "LARCHEND";

#define STREAM_SIZE 48u /* bytes of a stream's record in the index */

static _Atomic uint64_t last_id;

struct segment *segment_new(struct object_store *o, struct cache *c, struct str name)
{
	struct segment *s = mem_zalloc(sizeof *s);
	s->refs = 1;
	s->objects = o;
	s->cache = c;
	s->name = mem_strndup(name.p, name.n);
	s->id = atomic_fetch_add(&last_id, 1) + 1;
	return s;
}

struct segment *segment_ref(struct segment *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void segment_unref(struct segment *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
	free(s->name);
	free(s);
}

void segment_release(struct segment *s, void *item) { cache_release(s->cache, item); }

bool segment_corrupt(const struct segment *s, uint64_t off, const char *what, struct err *e)
{
	err_set(e, ERR_CORRUPT, "segment %s: damaged %s at offset %llu", s->name, what, (unsigned long long)off);
	e->off = (long)off;
	return false;
}

void *segment_cached(const struct segment *s, enum segment_kind kind, uint32_t index)
{
	return cache_get(s->cache, (struct cache_key){s->id, kind, index});
}

void *segment_keep(const struct segment *s, enum segment_kind kind, uint32_t index, struct cache_item *it, size_t bytes,
		   void (*free_item)(struct cache_item *))
{
	it->key = (struct cache_key){s->id, kind, index};
	it->bytes = bytes;
	it->free = free_item;
	return cache_put(s->cache, it);
}

static bool sum_holds(struct str bytes, uint64_t sum)
{
#ifdef LARCH_FUZZ
	(void)bytes, (void)sum;
	return true; /* a fuzzer finds no checksums */
#else
	return str_hash(bytes) == sum;
#endif
}

/* The stored bytes of a part, checked. Appends. */
bool segment_part_read(struct segment *s, const struct segment_part *p, const char *what, struct buf *out,
		       struct err *e)
{
	size_t at = out->n;
	if (!object_get(s->objects, str_c(s->name), p->off, p->len, out, e)) return false;
	return sum_holds(str_from(buf_view(out), at), p->sum) || segment_corrupt(s, p->off, what, e);
}

/* ---- the index ---- */

static uint32_t le32(const char *p)
{
	struct str s = {p, 4};
	uint32_t v = 0;
	rd_le32(&s, &v);
	return v;
}

static uint64_t le64(const char *p)
{
	struct str s = {p, 8};
	uint64_t v = 0;
	rd_le64(&s, &v);
	return v;
}

struct str segment_symbol(const struct segment_index *ix, uint32_t i)
{
	uint32_t from = i ? le32(ix->symbol_ends + 4 * (size_t)(i - 1)) : 0;
	return str_of(ix->symbol_bytes + from, le32(ix->symbol_ends + 4 * (size_t)i) - from);
}

struct segment_stream segment_stream_get(const struct segment_index *ix, uint32_t i)
{
	const char *p = ix->streams + (size_t)i * STREAM_SIZE;
	return (struct segment_stream){le64(p),      le64(p + 8),  (int64_t)le64(p + 16), (int64_t)le64(p + 24),
				       le32(p + 32), le32(p + 36), le32(p + 40),          le32(p + 44)};
}

void segment_labels(const struct segment_index *ix, const struct segment_stream *st, struct label *v)
{
	const char *p = ix->pairs + 8 * (size_t)st->first_pair;
	for (uint32_t i = 0; i < st->npairs; i++, p += 8) {
		v[i] = (struct label){segment_symbol(ix, le32(p)), segment_symbol(ix, le32(p + 4))};
	}
}

static bool read_symbols(struct segment_index *ix, struct str *s)
{
	struct str ends, bytes;
	if (!rd_le32(s, &ix->nsymbols) || !rd_bytes(s, 4 * (size_t)ix->nsymbols, &ends)) return false;
	uint32_t before = 0;
	for (uint32_t i = 0; i < ix->nsymbols; i++) {
		uint32_t end = le32(ends.p + 4 * (size_t)i);
		if (end < before) return false;
		before = end;
	}
	if (!rd_bytes(s, before, &bytes)) return false;
	ix->symbol_ends = ends.p;
	ix->symbol_bytes = bytes.p;
	return true;
}

static bool read_streams(struct segment_index *ix, struct str *s)
{
	struct str pairs, streams;
	if (!rd_le32(s, &ix->npairs) || !rd_bytes(s, 8 * (size_t)ix->npairs, &pairs)) return false;
	if (!rd_le32(s, &ix->nstreams) || !rd_bytes(s, (size_t)ix->nstreams * STREAM_SIZE, &streams)) return false;
	for (size_t i = 0; i < 2 * (size_t)ix->npairs; i++) {
		if (le32(pairs.p + 4 * i) >= ix->nsymbols) return false;
	}
	ix->pairs = pairs.p;
	ix->streams = streams.p;
	uint64_t row = 0;
	for (uint32_t i = 0; i < ix->nstreams; i++) {
		struct segment_stream st = segment_stream_get(ix, i);
		if (st.first_row != row || st.rows == 0 || st.min_ts > st.max_ts) return false;
		if ((uint64_t)st.first_pair + st.npairs > ix->npairs) return false;
		row += st.rows;
	}
	return row == ix->rows;
}

static bool read_part(struct str *s, uint64_t end, struct segment_part *p)
{
	uint64_t len;
	if (!rd_varint(s, &p->off) || !rd_varint(s, &len) || !rd_le64(s, &p->sum)) return false;
	if (p->off > end || len > end - p->off || len > UINT32_MAX) return false;
	p->len = (uint32_t)len;
	return true;
}

static bool read_granule(struct segment_index *ix, struct str *s, uint64_t end, size_t *cap_metas,
			 struct segment_granule *g)
{
	uint64_t range, n, name;
	if (!rd_zigzag(s, &g->min_ts) || !rd_varint(s, &range) || !rd_varint(s, &g->pos)) return false;
	g->max_ts = (int64_t)((uint64_t)g->min_ts + range);
	if (g->max_ts < g->min_ts || !read_part(s, end, &g->ts) || !read_part(s, end, &g->len)) return false;
	if (!rd_varint(s, &n) || n > s->n / 10) return false;
	g->first_meta = ix->nmetas;
	g->nmeta = (uint32_t)n;
	for (uint64_t i = 0; i < n; i++) {
		MEM_GROW(ix->metas, ix->nmetas, *cap_metas);
		struct segment_meta *m = &ix->metas[ix->nmetas++];
		if (!rd_varint(s, &name) || name >= ix->nsymbols || !read_part(s, end, &m->part)) return false;
		m->name = (uint32_t)name;
	}
	return true;
}

static bool read_frames(struct segment_index *ix, struct str *s, uint64_t end, struct segment_block *b, size_t *cap)
{
	uint64_t n, rows, raw, pos = 0, row = b->first_row;
	if (!rd_varint(s, &n) || n > s->n / 12) return false;
	b->first_frame = ix->nframes;
	b->nframes = (uint32_t)n;
	for (uint64_t i = 0; i < n; i++) {
		MEM_GROW(ix->frames, ix->nframes, *cap);
		struct segment_frame *f = &ix->frames[ix->nframes++];
		if (!rd_varint(s, &rows) || !rd_varint(s, &raw) || !read_part(s, end, &f->part)) return false;
		if (rows == 0 || rows > SEGMENT_BLOCK || raw > UINT32_MAX || !segment_plausible(raw, f->part.len))
			return false;
		f->first_row = (uint32_t)row;
		f->rows = (uint32_t)rows;
		f->raw = (uint32_t)raw;
		f->pos = pos;
		row += rows;
		pos += raw;
	}
	return row == (uint64_t)b->first_row + b->rows;
}

static bool read_blocks(struct segment_index *ix, struct str *s, uint64_t end)
{
	uint64_t n, rows, row = 0;
	size_t cap_granules = 0, cap_frames = 0, cap_metas = 0;
	if (!rd_varint(s, &n) || n > s->n / 24) return false; /* a granule alone takes more */
	ix->blocks = mem_alloc((n ? n : 1) * sizeof *ix->blocks);
	for (ix->nblocks = 0; ix->nblocks < n; ix->nblocks++) {
		struct segment_block *b = &ix->blocks[ix->nblocks];
		if (!rd_u8(s, &b->encoding) || b->encoding != SEGMENT_RAW) return false;
		if (!rd_varint(s, &rows) || rows == 0 || rows > SEGMENT_BLOCK) return false;
		b->first_row = (uint32_t)row;
		b->rows = (uint32_t)rows;
		b->first_granule = ix->ngranules;
		for (uint64_t g = 0; g < rows; g += SEGMENT_GRANULE) {
			MEM_GROW(ix->granules, ix->ngranules, cap_granules);
			if (!read_granule(ix, s, end, &cap_metas, &ix->granules[ix->ngranules++])) return false;
		}
		if (!read_frames(ix, s, end, b, &cap_frames)) return false;
		row += rows;
		if (row > ix->rows) return false;
	}
	return row == ix->rows && s->n == 0;
}

static bool index_parse(struct segment_index *ix, uint64_t end)
{
	struct str s = buf_view(&ix->raw);
	uint64_t n;
	if (!rd_lpstr(&s, &ix->tenant) || !rd_le64(&s, &ix->rows) || !rd_le64(&s, &ix->bytes)) return false;
	if (ix->rows >= UINT32_MAX || !rd_varint(&s, &n) || n > s.n / 24) return false;
	ix->covers = mem_alloc((n ? n : 1) * sizeof *ix->covers);
	for (ix->ncovers = 0; ix->ncovers < n; ix->ncovers++) {
		struct wal_range *r = &ix->covers[ix->ncovers];
		if (!rd_le64(&s, &r->writer) || !rd_le64(&s, &r->lo) || !rd_le64(&s, &r->hi)) return false;
	}
	return read_symbols(ix, &s) && read_streams(ix, &s) && rd_lpstr(&s, &ix->postings) && read_blocks(ix, &s, end);
}

static void index_free(struct cache_item *it)
{
	struct segment_index *ix = (struct segment_index *)it;
	free(ix->blocks);
	free(ix->granules);
	free(ix->frames);
	free(ix->metas);
	free(ix->covers);
	buf_free(&ix->raw);
	free(ix);
}

struct trailer {
	uint64_t off, sum;
	uint32_t stored, raw;
};

static bool trailer_read(struct segment *s, struct trailer *t, struct err *e)
{
	struct buf b = {0};
	uint32_t version = 0, check = 0;
	uint64_t at = s->size - SEGMENT_TRAILER;
	if (s->size < SEGMENT_HEADER + SEGMENT_TRAILER) return segment_corrupt(s, 0, "segment (too short)", e);
	bool ok = object_get(s->objects, str_c(s->name), at, SEGMENT_TRAILER, &b, e);
	if (ok) {
		struct str r = buf_view(&b);
		uint32_t sum = (uint32_t)str_hash(str_sub(r, 0, SEGMENT_TRAILER - 12));
		rd_le64(&r, &t->off), rd_le32(&r, &t->stored), rd_le32(&r, &t->raw), rd_le64(&r, &t->sum);
		rd_le32(&r, &version), rd_le32(&r, &check);
		if (memcmp(r.p, segment_end_magic, 8) != 0 || check != sum)
			ok = segment_corrupt(s, at, "trailer", e);
		else if (version != SEGMENT_VERSION)
			ok = err_set(e, ERR_CORRUPT, "segment %s has version %u; this program reads version %u",
				     s->name, version, SEGMENT_VERSION);
		else if (t->off < SEGMENT_HEADER || t->off > at || at - t->off != t->stored || t->raw > SEGMENT_INDEX_MAX ||
			 !segment_plausible(t->raw, t->stored))
			ok = segment_corrupt(s, at, "trailer", e);
	}
	buf_free(&b);
	return ok;
}

struct segment_index *segment_index(struct segment *s, struct err *e)
{
	struct trailer t;
	struct buf stored = {0};
	struct segment_index *ix = segment_cached(s, SEGMENT_KIND_INDEX, 0);
	if (ix) return ix;
	if (!trailer_read(s, &t, e)) return NULL;
	ix = mem_zalloc(sizeof *ix);
	struct segment_part p = {t.off, t.sum, t.stored};
	bool ok = segment_part_read(s, &p, "index", &stored, e);
	if (ok && (!codec_expand(CODEC_ZSTD, buf_view(&stored), t.raw, &ix->raw, e) || ix->raw.n != t.raw ||
		   !index_parse(ix, t.off)))
		ok = segment_corrupt(s, t.off, "index", e);
	buf_free(&stored);
	if (!ok) {
		index_free(&ix->item);
		return NULL;
	}
	size_t bytes = sizeof *ix + ix->raw.cap + ix->nblocks * sizeof *ix->blocks +
		       ix->ngranules * sizeof *ix->granules + ix->nframes * sizeof *ix->frames +
		       ix->nmetas * sizeof *ix->metas;
	return segment_keep(s, SEGMENT_KIND_INDEX, 0, &ix->item, bytes, index_free);
}

/* ---- where a row is ---- */

uint32_t segment_block_of(const struct segment_index *ix, uint32_t row)
{
	uint32_t lo = 0, hi = ix->nblocks;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (ix->blocks[mid].first_row <= row)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint32_t segment_granule_of(const struct segment_index *ix, uint32_t row, uint32_t *first_row)
{
	const struct segment_block *b = &ix->blocks[segment_block_of(ix, row)];
	uint32_t g = (row - b->first_row) / SEGMENT_GRANULE;
	*first_row = b->first_row + g * SEGMENT_GRANULE;
	return b->first_granule + g;
}

uint32_t segment_frame_of(const struct segment_index *ix, uint32_t row)
{
	uint32_t lo = 0, hi = ix->nframes;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (ix->frames[mid].first_row <= row)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint32_t segment_granule_rows(const struct segment_index *ix, uint32_t granule)
{
	uint32_t lo = 0, hi = ix->nblocks;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (ix->blocks[mid].first_granule <= granule)
			lo = mid;
		else
			hi = mid;
	}
	uint32_t left = ix->blocks[lo].rows - (granule - ix->blocks[lo].first_granule) * SEGMENT_GRANULE;
	return left < SEGMENT_GRANULE ? left : SEGMENT_GRANULE;
}

/* ---- columns ---- */

static void plain_free(struct cache_item *it) { free(it); }

struct segment_times *segment_times(struct segment *s, const struct segment_index *ix, uint32_t granule, struct err *e)
{
	struct segment_times *t = segment_cached(s, SEGMENT_KIND_TIMES, granule);
	if (t) return t;
	const struct segment_part *p = &ix->granules[granule].ts;
	struct buf b = {0};
	uint32_t n = segment_granule_rows(ix, granule);
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

struct segment_lens *segment_lens(struct segment *s, const struct segment_index *ix, uint32_t granule, struct err *e)
{
	struct segment_lens *l = segment_cached(s, SEGMENT_KIND_LENS, granule);
	if (l) return l;
	const struct segment_granule *g = &ix->granules[granule];
	struct buf b = {0};
	uint32_t n = segment_granule_rows(ix, granule);
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

static bool lines_read(struct segment *s, const struct segment_frame *f, struct buf *out, struct err *e)
{
	struct buf stored = {0};
	buf_clear(out);
	if (f->raw == 0) return true;
	bool ok = segment_part_read(s, &f->part, "frame of lines", &stored, e);
	if (ok && (!codec_expand(CODEC_ZSTD, buf_view(&stored), f->raw, out, e) || out->n != f->raw))
		ok = segment_corrupt(s, f->part.off, "frame of lines", e);
	buf_free(&stored);
	return ok;
}

static void lines_free(struct cache_item *it)
{
	buf_free(&((struct segment_lines *)it)->raw);
	free(it);
}

struct segment_lines *segment_lines(struct segment *s, const struct segment_index *ix, uint32_t frame, struct err *e)
{
	struct segment_lines *l = segment_cached(s, SEGMENT_KIND_LINES, frame);
	if (l) return l;
	l = mem_zalloc(sizeof *l);
	if (!lines_read(s, &ix->frames[frame], &l->raw, e)) {
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

bool segment_lines_scratch(struct segment *s, const struct segment_index *ix, uint32_t frame, struct buf *scratch,
			   struct segment_lines **held, struct err *e)
{
	*held = segment_cached(s, SEGMENT_KIND_LINES, frame);
	return *held || lines_read(s, &ix->frames[frame], scratch, e);
}

/* ---- label matchers ---- */

/* One matcher over one name's values: sets the bits of streams whose value passes, and of all that have the name. */
static bool match_values(const struct segment_index *ix, const struct matcher *m, struct str in, uint64_t nvalues,
			 uint64_t *pass, uint64_t *have)
{
	for (uint64_t i = 0; i < nvalues; i++) {
		uint64_t value, n, d, stream = 0;
		if (!rd_varint(&in, &value) || value >= ix->nsymbols || !rd_varint(&in, &n)) return false;
		bool ok = matcher_match(m, segment_symbol(ix, (uint32_t)value));
		for (uint64_t k = 0; k < n; k++) {
			if (!rd_varint(&in, &d) || d >= ix->nstreams || (stream += d) >= ix->nstreams) return false;
			have[stream / 64] |= UINT64_C(1) << (stream % 64);
			if (ok) pass[stream / 64] |= UINT64_C(1) << (stream % 64);
		}
	}
	return true;
}

static void match_one(const struct segment_index *ix, const struct matcher *m, uint64_t *pass, uint64_t *have)
{
	struct str in = ix->postings, values;
	uint64_t names, name, n;
	if (!rd_varint(&in, &names)) return;
	for (uint64_t i = 0; i < names; i++) {
		if (!rd_varint(&in, &name) || name >= ix->nsymbols || !rd_varint(&in, &n) || !rd_lpstr(&in, &values))
			return;
		if (!str_eq(segment_symbol(ix, (uint32_t)name), m->name)) continue;
		match_values(ix, m, values, n, pass, have);
		return;
	}
}

void segment_match(const struct segment_index *ix, const struct matcher *m, size_t n, uint64_t *bits)
{
	size_t words = ((size_t)ix->nstreams + 63) / 64;
	uint64_t *pass = mem_alloc((2 * words + 1) * sizeof *pass), *have = pass + words;
	for (size_t w = 0; w < words; w++) bits[w] = UINT64_MAX;
	if (ix->nstreams % 64) bits[words - 1] = (UINT64_C(1) << (ix->nstreams % 64)) - 1;
	for (size_t i = 0; i < n; i++) {
		memset(pass, 0, 2 * words * sizeof *pass);
		match_one(ix, &m[i], pass, have);
		bool empty = matcher_match(&m[i], STR("")); /* a stream without the name has "" */
		for (size_t w = 0; w < words; w++) bits[w] &= pass[w] | (empty ? ~have[w] : 0);
	}
	free(pass);
}
