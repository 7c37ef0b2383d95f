/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A segment: u32 length of the index, the index expanded, the parts from offset 16 on. Index and trailer are
 * packed here; with LARCH_FUZZ the checksums of parts are not looked at. Everything the index names is read. */
#include "common/codec.h"
#include "server/store/segment.h"

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

static void build(struct str index, struct str parts, struct buf *out)
{
	struct err e = ERR_INIT;
	buf_add(out, segment_magic, 8);
	buf_le32(out, SEGMENT_VERSION);
	buf_le32(out, 0);
	buf_str(out, parts);
	size_t at = out->n;
	if (!codec_compress(CODEC_ZSTD, 1, index, out, &e)) abort();
	struct str stored = str_from(buf_view(out), at);
	uint64_t sum = str_hash(stored);
	size_t tail = out->n;
	buf_le64(out, at);
	buf_le32(out, (uint32_t)(tail - at));
	buf_le32(out, (uint32_t)index.n);
	buf_le64(out, sum);
	buf_le32(out, SEGMENT_VERSION);
	buf_le32(out, (uint32_t)str_hash(str_from(buf_view(out), tail)));
	buf_add(out, segment_end_magic, 8);
}

static void read_streams(const struct segment_index *ix)
{
	struct matcher m[] = {{MATCH_EQ, STR("app"), STR("a1"), NULL}, {MATCH_NEQ, STR("host"), STR(""), NULL}};
	uint64_t *bits = mem_zalloc((ix->nstreams / 64 + 1) * sizeof *bits);
	segment_match(ix, m, 2, bits);
	free(bits);
	for (uint32_t i = 0; i < ix->nstreams && i < 100; i++) {
		struct segment_stream st = segment_stream_get(ix, i);
		struct label *v = mem_alloc((st.npairs + 1) * sizeof *v);
		segment_labels(ix, &st, v);
		for (uint32_t k = 0; k < st.npairs; k++) str_hash(v[k].value);
		free(v);
	}
}

static void read_parts(struct segment *s, const struct segment_index *ix)
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
	}
	for (uint32_t i = 0; i < 20 && ix->rows; i++) {
		uint32_t first, row = (uint32_t)(ix->rows * i / 20);
		if (segment_block_of(ix, row) >= ix->nblocks || segment_frame_of(ix, row) >= ix->nframes) abort();
		if (segment_granule_of(ix, row, &first) >= ix->ngranules) abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct object_ops ops = {.get = get};
	struct str in = str_of((const char *)data, size), index;
	uint32_t n;
	if (!rd_le32(&in, &n) || !rd_bytes(&in, n, &index)) return 0;
	struct buf b = {0};
	struct err e = ERR_INIT;
	build(index, in, &b);
	struct memory mem = {{&ops}, buf_view(&b)};
	struct cache *c = cache_new(1u << 20);
	struct segment *s = segment_new(&mem.base, c, STR("fuzzed"));
	s->size = b.n;
	struct segment_index *ix = segment_index(s, &e);
	if (ix) {
		read_streams(ix);
		read_parts(s, ix);
	}
	segment_release(s, ix);
	segment_unref(s);
	cache_free(c);
	buf_free(&b);
	return 0;
}
