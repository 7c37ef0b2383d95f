/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A segment: u8 version, u32 length of the index, the index expanded (of version 2: the root), the parts from offset 16
 * on. Index and trailer are packed here; with LARCH_FUZZ the checksums of parts are not looked at. Everything the index
 * names is read, and verified. */
#include "common/codec.h"
#include "server/store/segment_filter.h"
#include "server/store/segment_verify.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory { /* one object */
	struct object_store base;
	struct str bytes;
};

static bool get(struct object_store *s, struct str name, uint64_t off, size_t n, struct buf *out, struct err *e)
{
	struct str bytes = ((struct memory *)s)->bytes;
	(void)name;
	if (off > bytes.n || n > bytes.n - off) return err_set(e, ERR_CORRUPT, "short");
	buf_add(out, bytes.p + off, n);
	return true;
}

static void build(uint32_t version, struct str index, struct str parts, struct buf *out)
{
	struct err e = ERR_INIT;
	buf_add(out, segment_magic, 8);
	buf_le32(out, version);
	buf_le32(out, 0);
	buf_str(out, parts);
	size_t at = out->n;
	if (version > 1)
		buf_str(out, index);
	else if (!codec_compress(CODEC_ZSTD, 1, index, out, &e))
		abort();
	struct str stored = str_from(buf_view(out), at);
	uint64_t sum = str_hash(stored);
	size_t tail = out->n;
	buf_le64(out, at);
	buf_le32(out, (uint32_t)(tail - at));
	buf_le32(out, (uint32_t)index.n);
	buf_le64(out, sum);
	buf_le32(out, version);
	buf_le32(out, (uint32_t)str_hash(str_from(buf_view(out), tail)));
	buf_add(out, segment_end_magic, 8);
}

static void read_page(const struct segment_page *p)
{
	for (uint32_t i = p->first; i < p->first + p->n && i < p->first + 100; i++) {
		struct segment_stream st = segment_stream_get(p, i);
		struct label *v = mem_alloc((st.npairs + 1) * sizeof *v);
		segment_labels(p, &st, v);
		for (uint32_t k = 0; k < st.npairs; k++) str_hash(v[k].value);
		free(v);
	}
}

static void read_streams(struct segment *s, const struct segment_root *r)
{
	struct matcher m[] = {{MATCH_EQ, STR("app"), STR("a1"), NULL}, {MATCH_NEQ, STR("host"), STR(""), NULL}};
	struct label pair = {STR("app"), STR("a1")};
	struct labels labels = {&pair, 1};
	struct err e = ERR_INIT;
	uint32_t found;
	uint64_t *bits = mem_zalloc((r->nstreams / 64 + 1) * sizeof *bits);
	if (segment_match(s, r, m, 2, bits, &e) && r->nstreams % 64 && bits[r->nstreams / 64] >> (r->nstreams % 64))
		abort();
	free(bits);
	if (segment_find(s, r, &labels, &found, &e) && found != UINT32_MAX && found >= r->nstreams) abort();
	for (uint32_t k = 0; k < r->npages && k < 10; k++) {
		struct segment_page *p = segment_page(s, r, k, &e);
		if (p) read_page(p);
		segment_release(s, p);
	}
}

static void ask_filter(struct segment *s, const struct segment_blocks *ix, uint32_t frame)
{
	struct err e = ERR_INIT;
	struct linefilter_operand text = {STR("a needle"), false};
	struct linefilter filter = {LINEFILTER_EQ, &text, 1};
	struct segment_filter *f = ix->frames[frame].filter.len ? segment_filter(s, ix, frame, &e) : NULL;
	struct linefilters *g = linefilters_new(&filter, 1, NULL, &e);
	struct segment_needles *n = segment_needles_new(g);
	if (f) segment_filter_may(f, n);
	segment_needles_free(n);
	linefilters_free(g);
	segment_release(s, f);
}

static void read_parts(struct segment *s, const struct segment_blocks *ix)
{
	for (uint32_t g = 0; g < ix->ngranules && g < 50; g++) {
		struct err e = ERR_INIT;
		struct segment_metas *m = segment_metas(s, ix, g, &e);
		for (uint32_t i = 0; m && i < m->n; i++) {
			for (size_t k = 0; k < m->v[i]->n; k++) str_hash(m->v[i]->v[k].value);
		}
		segment_release(s, m);
		segment_release(s, segment_times(s, ix, g, &e));
		segment_release(s, segment_lens(s, ix, g, &e));
	}
	for (uint32_t f = 0; f < ix->nframes && f < 50; f++) {
		struct err e = ERR_INIT;
		segment_release(s, segment_lines(s, ix, f, &e));
		ask_filter(s, ix, f);
	}
	for (uint32_t i = 0; i < 20 && ix->rows; i++) {
		uint32_t first, row = (uint32_t)(ix->rows * i / 20);
		if (segment_block_of(ix, row) >= ix->nblocks || segment_frame_of(ix, row) >= ix->nframes) abort();
		if (segment_granule_of(ix, row, &first) >= ix->ngranules) abort();
	}
}

static void ignore(void *ud, const char *text) { (void)ud, (void)text; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct object_ops ops = {.get = get};
	struct str in = str_of((const char *)data, size), index;
	uint32_t n;
	uint8_t version;
	if (!rd_u8(&in, &version) || !rd_le32(&in, &n) || !rd_bytes(&in, n, &index)) return 0;
	struct buf b = {0};
	struct err e = ERR_INIT;
	build(version, index, in, &b);
	struct memory mem = {{&ops}, buf_view(&b)};
	struct cache *c = cache_new(1u << 20);
	struct segment *s = segment_new(&mem.base, c, STR("fuzzed"));
	s->size = b.n;
	struct segment_root *r = segment_root(s, &e);
	struct segment_blocks *ix = r ? segment_blocks(s, r, &e) : NULL;
	if (r) read_streams(s, r);
	if (ix) read_parts(s, ix);
	segment_release(s, ix);
	segment_release(s, r);
	segment_verify(s, &(struct segment_verify_opts){.fault = ignore});
	segment_unref(s);
	cache_free(c);
	buf_free(&b);
	return 0;
}
