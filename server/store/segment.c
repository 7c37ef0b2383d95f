/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The object, its parts, the root and the pages of streams (segment.h). */
#include "server/store/segment.h"

#include "common/codec.h"
#include "server/store/segment_impl.h"

#include <stdlib.h>

const char segment_magic[9] = "LARCHSEG", segment_end_magic[9] = "LARCHEND";

#define STREAM_SIZE 48u    /* bytes of a stream's record */
#define PAGE_MAX    65536u /* streams that a page may have */
#define TAIL_GUESS  4096u  /* the root of a small segment and the trailer come with one read */

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

/* ---- parts ---- */

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

bool segment_part_read(struct segment *s, const struct segment_part *p, const char *what, struct buf *out,
		       struct err *e)
{
	size_t at = out->n;
	if (!object_get(s->objects, str_c(s->name), p->off, p->len, out, e)) return false;
	return sum_holds(str_from(buf_view(out), at), p->sum) || segment_corrupt(s, p->off, what, e);
}

static bool expand(struct segment *s, const struct segment_part *p, const char *what, struct str stored,
		   struct buf *out, struct err *e)
{
	if (p->raw == p->len) {
		buf_str(out, stored);
		return true;
	}
	return (codec_expand(CODEC_ZSTD, stored, p->raw, out, e) && out->n == p->raw) ||
	       segment_corrupt(s, p->off, what, e);
}

bool segment_part_expand(struct segment *s, const struct segment_part *p, const char *what, struct buf *out,
			 struct err *e)
{
	struct buf stored = {0};
	bool ok = segment_part_read(s, p, what, &stored, e) && expand(s, p, what, buf_view(&stored), out, e);
	buf_free(&stored);
	return ok;
}

bool segment_part_parse(struct str *in, uint64_t end, struct segment_part *p)
{
	uint64_t len;
	if (!rd_varint(in, &p->off) || !rd_varint(in, &len) || !rd_le64(in, &p->sum)) return false;
	if (p->off > end || len > end - p->off || len > UINT32_MAX) return false;
	p->len = (uint32_t)len;
	p->raw = 0;
	return true;
}

bool segment_part_parse_sized(struct str *in, uint64_t end, struct segment_part *p)
{
	uint64_t raw;
	if (!segment_part_parse(in, end, p) || !rd_varint(in, &raw)) return false;
	if (raw < p->len || raw > SEGMENT_PART_MAX || !segment_plausible(raw, p->len)) return false;
	p->raw = (uint32_t)raw;
	return true;
}

/* ---- symbols and streams ---- */

struct str segment_symbol(const struct segment_symbols *s, uint32_t i)
{
	uint32_t from = i ? le32_at(s->ends + 4 * (size_t)(i - 1)) : 0;
	return str_of(s->bytes + from, le32_at(s->ends + 4 * (size_t)i) - from);
}

static struct segment_stream stream_at(const struct segment_tables *t, uint32_t i)
{
	const char *p = t->streams + (size_t)i * STREAM_SIZE;
	return (struct segment_stream){
		le64_at(p),      le64_at(p + 8),  (int64_t)le64_at(p + 16), (int64_t)le64_at(p + 24),
		le32_at(p + 32), le32_at(p + 36), le32_at(p + 40),          le32_at(p + 44)};
}

struct segment_stream segment_stream_get(const struct segment_page *p, uint32_t i)
{
	return stream_at(&p->t, i - p->first);
}

void segment_labels(const struct segment_page *page, const struct segment_stream *st, struct label *v)
{
	const char *p = page->t.pairs + 8 * (size_t)st->first_pair;
	for (uint32_t i = 0; i < st->npairs; i++, p += 8) {
		v[i] = (struct label){segment_symbol(&page->t.symbols, le32_at(p)),
				      segment_symbol(&page->t.symbols, le32_at(p + 4))};
	}
}

bool segment_symbols_parse(struct str *in, struct segment_symbols *s)
{
	struct str ends, bytes;
	if (!rd_le32(in, &s->n) || !rd_bytes(in, 4 * (size_t)s->n, &ends)) return false;
	uint32_t before = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t end = le32_at(ends.p + 4 * (size_t)i);
		if (end < before) return false;
		before = end;
	}
	if (!rd_bytes(in, before, &bytes)) return false;
	s->ends = ends.p;
	s->bytes = bytes.p;
	return true;
}

bool segment_tables_parse(struct str *in, uint64_t first_row, struct segment_tables *t, uint64_t *rows)
{
	struct str pairs, streams;
	if (!segment_symbols_parse(in, &t->symbols)) return false;
	if (!rd_le32(in, &t->npairs) || !rd_bytes(in, 8 * (size_t)t->npairs, &pairs)) return false;
	if (!rd_le32(in, &t->nstreams) || !rd_bytes(in, (size_t)t->nstreams * STREAM_SIZE, &streams)) return false;
	for (size_t i = 0; i < 2 * (size_t)t->npairs; i++) {
		if (le32_at(pairs.p + 4 * i) >= t->symbols.n) return false;
	}
	t->pairs = pairs.p;
	t->streams = streams.p;
	uint64_t row = first_row;
	for (uint32_t i = 0; i < t->nstreams; i++) {
		struct segment_stream st = stream_at(t, i);
		if (st.first_row != row || st.rows == 0 || st.min_ts > st.max_ts) return false;
		if ((uint64_t)st.first_pair + st.npairs > t->npairs) return false;
		row += st.rows;
	}
	*rows = row - first_row;
	return true;
}

static void page_free(struct cache_item *it)
{
	buf_free(&((struct segment_page *)it)->raw);
	free(it);
}

static bool page_read(struct segment *s, const struct segment_root *r, uint32_t page, struct segment_page *p,
		      struct err *e)
{
	const struct segment_page_ref *ref = &r->pages[page];
	uint64_t rows;
	uint32_t left = r->nstreams - page * r->page_streams;
	p->first = page * r->page_streams;
	p->n = left < r->page_streams ? left : r->page_streams;
	if (r->version == 1) return segment_v1_page(s, r, p, e);
	if (!segment_part_expand(s, &ref->part, "page of streams", &p->raw, e)) return false;
	struct str in = buf_view(&p->raw);
	if (segment_tables_parse(&in, ref->first_row, &p->t, &rows) && in.n == 0 && p->t.nstreams == p->n &&
	    rows == ref->rows)
		return true;
	return segment_corrupt(s, ref->part.off, "page of streams", e);
}

struct segment_page *segment_page(struct segment *s, const struct segment_root *r, uint32_t page, struct err *e)
{
	struct segment_page *p = segment_cached(s, SEGMENT_KIND_PAGE, page);
	if (p) return p;
	p = mem_zalloc(sizeof *p);
	if (page_read(s, r, page, p, e))
		return segment_keep(s, SEGMENT_KIND_PAGE, page, &p->item, sizeof *p + p->raw.cap, page_free);
	page_free(&p->item);
	return NULL;
}

/* ---- the root ---- */

/* A label set in canonical form, checked to be one. */
static bool read_labels(struct str *in, struct arena *a, struct labels *l)
{
	uint64_t n;
	if (!rd_varint(in, &n) || n > in->n / 2) return false;
	l->n = (size_t)n;
	l->v = arena_alloc(a, (l->n + 1) * sizeof *l->v);
	for (size_t i = 0; i < l->n; i++) {
		if (!rd_lpstr(in, &l->v[i].name) || !rd_lpstr(in, &l->v[i].value)) return false;
	}
	return true;
}

static bool read_covers(struct segment_root *r, struct str *in)
{
	uint64_t n;
	if (!rd_varint(in, &n) || n > in->n / 24) return false;
	r->ncovers = (uint32_t)n;
	r->covers = arena_alloc(&r->arena, (n + 1) * sizeof *r->covers);
	for (uint32_t i = 0; i < r->ncovers; i++)
		if (!rd_le64(in, &r->covers[i].writer) || !rd_le64(in, &r->covers[i].lo) ||
		    !rd_le64(in, &r->covers[i].hi))
			return false;
	return true;
}

static bool read_page_refs(struct segment_root *r, struct str *in, uint64_t end)
{
	uint64_t n, rows, range, row = 0;
	if (!rd_varint(in, &n) || n >= UINT32_MAX) return false;
	r->nstreams = (uint32_t)n;
	if (!rd_varint(in, &n) || n == 0 || n > PAGE_MAX) return false;
	r->page_streams = (uint32_t)n;
	r->npages = r->nstreams / r->page_streams + (r->nstreams % r->page_streams != 0);
	if (r->npages > in->n / 14) return false;
	r->pages = arena_alloc(&r->arena, (r->npages + 1) * sizeof *r->pages);
	for (uint32_t i = 0; i < r->npages; i++) {
		struct segment_page_ref *p = &r->pages[i];
		if (!segment_part_parse_sized(in, end, &p->part) || !rd_varint(in, &rows)) return false;
		if (!rd_zigzag(in, &p->min_ts) || !rd_varint(in, &range) || !read_labels(in, &r->arena, &p->first))
			return false;
		p->max_ts = (int64_t)((uint64_t)p->min_ts + range);
		if (p->max_ts < p->min_ts || rows > r->rows - row) return false;
		p->first_row = (uint32_t)row;
		p->rows = (uint32_t)rows;
		row += rows;
		if (i == 0 || p->min_ts < r->min_ts) r->min_ts = p->min_ts;
		if (i == 0 || p->max_ts > r->max_ts) r->max_ts = p->max_ts;
	}
	return row == r->rows;
}

static bool read_names(struct segment_root *r, struct str *in, uint64_t end)
{
	uint64_t n, all = 0;
	if (!rd_varint(in, &n) || n > in->n / 3) return false;
	r->nnames = (uint32_t)n;
	r->names = arena_alloc(&r->arena, (n + 1) * sizeof *r->names);
	for (uint32_t i = 0; i < r->nnames; i++) {
		struct segment_name *m = &r->names[i];
		if (!rd_lpstr(in, &m->name) || !rd_varint(in, &n) || n == 0 || n > in->n / 12) return false;
		m->npages = (uint32_t)n;
		m->first_page = (uint32_t)all;
		m->pages = arena_alloc(&r->arena, n * sizeof *m->pages);
		for (uint32_t k = 0; k < m->npages; k++) {
			if (!rd_lpstr(in, &m->pages[k].first) || !segment_part_parse_sized(in, end, &m->pages[k].part))
				return false;
		}
		all += n;
	}
	return all <= UINT32_MAX;
}

static bool root_parse(struct segment_root *r)
{
	struct str in = buf_view(&r->raw);
	uint64_t end = r->self.off;
	if (!rd_lpstr(&in, &r->tenant) || !rd_le64(&in, &r->rows) || !rd_le64(&in, &r->bytes)) return false;
	return r->rows < UINT32_MAX && read_covers(r, &in) && segment_part_parse_sized(&in, end, &r->blocks) &&
	       read_page_refs(r, &in, end) && read_names(r, &in, end) && in.n == 0;
}

/* The last bytes of the object: the trailer and what stands before it. */
static bool trailer_read(struct segment *s, struct segment_root *r, struct buf *tail, struct err *e)
{
	uint32_t check = 0;
	if (s->size < SEGMENT_HEADER + SEGMENT_TRAILER) return segment_corrupt(s, 0, "segment (too short)", e);
	uint64_t n = s->size < TAIL_GUESS ? s->size : TAIL_GUESS, at = s->size - SEGMENT_TRAILER;
	if (!object_get(s->objects, str_c(s->name), s->size - n, (size_t)n, tail, e)) return false;
	struct str in = str_from(buf_view(tail), (size_t)n - SEGMENT_TRAILER);
	uint32_t sum = (uint32_t)str_hash(str_sub(in, 0, SEGMENT_TRAILER - 12));
	struct segment_part *p = &r->self;
	rd_le64(&in, &p->off), rd_le32(&in, &p->len), rd_le32(&in, &p->raw), rd_le64(&in, &p->sum);
	rd_le32(&in, &r->version), rd_le32(&in, &check);
	if (memcmp(in.p, segment_end_magic, 8) != 0 || check != sum) return segment_corrupt(s, at, "trailer", e);
	if (r->version == 0 || r->version > SEGMENT_VERSION)
		return err_set(e, ERR_CORRUPT, "segment %s has version %u; this program reads versions 1 to %u",
			       s->name, r->version, SEGMENT_VERSION);
	if (p->off < SEGMENT_HEADER || p->off > at || at - p->off != p->len || p->raw > SEGMENT_PART_MAX ||
	    !segment_plausible(p->raw, p->len))
		return segment_corrupt(s, at, "trailer", e);
	return true;
}

static bool root_read(struct segment *s, struct segment_root *r, struct err *e)
{
	struct buf tail = {0};
	bool ok = trailer_read(s, r, &tail, e);
	struct segment_part *p = &r->self;
	struct str in = buf_view(&tail);
	if (ok && r->version == 1) {
		buf_free(&tail);
		return segment_v1_root(s, r, e);
	}
	if (ok && (uint64_t)p->len + SEGMENT_TRAILER <= in.n) {
		struct str stored = str_sub(in, in.n - SEGMENT_TRAILER - p->len, in.n - SEGMENT_TRAILER);
		ok = (sum_holds(stored, p->sum) || segment_corrupt(s, p->off, "index", e)) &&
		     expand(s, p, "index", stored, &r->raw, e);
	} else if (ok) {
		ok = segment_part_expand(s, p, "index", &r->raw, e);
	}
	buf_free(&tail);
	return ok && (root_parse(r) || segment_corrupt(s, p->off, "index", e));
}

static void root_free(struct cache_item *it)
{
	struct segment_root *r = (struct segment_root *)it;
	arena_free(&r->arena);
	buf_free(&r->raw);
	free(r);
}

struct segment_root *segment_root(struct segment *s, struct err *e)
{
	struct segment_root *r = segment_cached(s, SEGMENT_KIND_ROOT, 0);
	if (r) return r;
	r = mem_zalloc(sizeof *r);
	arena_init(&r->arena, 0);
	if (root_read(s, r, e))
		return segment_keep(s, SEGMENT_KIND_ROOT, 0, &r->item, sizeof *r + r->raw.cap + r->arena.used,
				    root_free);
	root_free(&r->item);
	return NULL;
}
