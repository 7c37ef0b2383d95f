/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment: one immutable object with one tenant's entries, sorted by (stream, timestamp, arrival), read part by
 * part (docs/FORMATS.md, Segment).
 *
 * Opening one costs nothing. What is read is an item of the shared cache, held until segment_release(): the root (what
 * there is, a few KiB), pages of streams, pages of postings, the directory of blocks, then columns and frames. A
 * query reads the root, the postings of the names that it asks for, and the pages with streams that match.
 * Every part's checksum is verified before a byte of it is used, every offset and count before it is followed;
 * a damaged part is ERR_CORRUPT naming object and offset, and the other parts stay readable.
 * Copies of an entry do not occur within a segment. Threads: any; a segment is reference-counted. */
#ifndef LARCH_SERVER_STORE_SEGMENT_H
#define LARCH_SERVER_STORE_SEGMENT_H

#include "pipeline/selector.h"
#include "server/store/cache.h"
#include "server/store/object.h"

#include <stdatomic.h>

#define SEGMENT_VERSION  2
#define SEGMENT_HEADER   16
#define SEGMENT_TRAILER  40
#define SEGMENT_PAGE     1024u       /* streams in a page */
#define SEGMENT_POSTINGS (32u << 10) /* bytes in a page of postings, unless one value takes more */
#define SEGMENT_BLOCK    65536u      /* rows */
#define SEGMENT_GRANULE  4096u       /* rows */
#define SEGMENT_FRAME    (1u << 20)  /* bytes of lines in a frame, unless one line is longer */
#define SEGMENT_PART_MAX (1u << 30)  /* bytes of a part of the index, expanded */

enum segment_encoding { SEGMENT_RAW = 0 };

extern const char segment_magic[9], segment_end_magic[9];

struct segment_part {
	uint64_t off, sum;
	uint32_t len, raw; /* bytes stored; of parts of the index: bytes expanded */
};

/* WAL records [lo, hi) of one writer. */
struct wal_range {
	uint64_t writer, lo, hi;
};

/* ---- root ---- */

struct segment_page_ref { /* streams [i * page_streams, …) */
	struct segment_part part;
	uint32_t first_row, rows;
	int64_t min_ts, max_ts;
	struct labels first; /* the first stream's */
};

struct segment_postings_ref {
	struct segment_part part;
	struct str first; /* its first value */
};

struct segment_name {
	struct str name;
	struct segment_postings_ref *pages;
	uint32_t npages, first_page; /* numbered through all names */
};

struct segment_root {
	struct cache_item item;
	uint32_t version;
	uint64_t rows, bytes;
	int64_t min_ts, max_ts; /* not known in version 1 */
	uint32_t nstreams, page_streams, npages, nnames, ncovers;
	struct str tenant;
	struct wal_range *covers;
	struct segment_page_ref *pages; /* in the order of their streams' labels */
	struct segment_name *names;     /* ascending; version 1: none */
	struct segment_part self, blocks;
	struct buf raw;
	struct arena arena;
};

/* ---- streams ---- */

struct segment_stream {
	uint64_t hash, bytes;
	int64_t min_ts, max_ts;
	uint32_t first_row, rows;
	uint32_t first_pair, npairs;
};

struct segment_symbols { /* texts by number */
	uint32_t n;
	const char *ends, *bytes;
};

struct segment_tables {
	struct segment_symbols symbols;
	uint32_t npairs, nstreams;
	const char *pairs, *streams; /* fixed width */
};

struct segment_page {
	struct cache_item item;
	uint32_t first, n; /* streams [first, first + n) */
	struct segment_tables t;
	struct buf raw;
};

/* ---- the directory of blocks ---- */

struct segment_granule {
	int64_t min_ts, max_ts;
	uint64_t pos; /* of its first line among the block's lines */
	struct segment_part ts, len;
	uint32_t first_meta, nmeta;
};

struct segment_meta { /* one structured-metadata column of one granule */
	uint32_t name;
	struct segment_part part;
};

struct segment_frame {
	uint32_t first_row, rows;         /* of the segment */
	uint64_t pos;                     /* of its first byte among the block's lines */
	struct segment_part part, filter; /* filter.len 0: none */
};

struct segment_block {
	uint32_t first_row, rows, first_granule, first_frame, nframes;
	uint8_t encoding;
};

struct segment_blocks {
	struct cache_item item;
	uint64_t rows;
	uint32_t nblocks, ngranules, nframes, nmetas;
	struct segment_symbols names; /* of metadata columns */
	struct segment_block *blocks;
	struct segment_granule *granules;
	struct segment_frame *frames;
	struct segment_meta *metas;
	struct buf raw;
};

/* ---- columns ---- */

struct segment_times {
	struct cache_item item;
	uint32_t n;
	int64_t v[];
};

struct segment_lens {
	struct cache_item item;
	uint32_t n;
	uint32_t *len;
	uint64_t *pos; /* of the line among the block's lines */
};

struct segment_metas {
	struct cache_item item;
	struct arena arena;
	uint32_t n;
	const struct labels **v;
};

struct segment_lines {
	struct cache_item item;
	struct buf raw;
};

struct segment_filter { /* which grams occur in a frame: segment_filter.h */
	struct cache_item item;
	struct buf raw;
};

struct segment {
	_Atomic uint32_t refs;
	struct object_store *objects;
	struct cache *cache;
	char *name;     /* of the object */
	uint64_t id;    /* the cache's key; unique in this process */
	uint64_t order; /* where it stands in arrival order among the tenant's segments */
	uint64_t size, rows, bytes, streams;
	int64_t min_ts, max_ts;
	bool hard; /* compressed by a compaction */
	/* what maintenance found out: */
	_Atomic bool unreadable; /* a part is damaged: it is left as it is */
	_Atomic bool rewrite;    /* it holds enough that is to go */
	_Atomic int64_t look_at; /* when there may be more that is past its retention */
	bool pending; /* waits in the outbox: no catalog names it yet. Under the tenant's lock */
	_Atomic uint64_t purged; /* delete requests up to this number hide nothing in it any more */
};

struct segment *segment_new(struct object_store *o, struct cache *c, struct str name);
struct segment *segment_ref(struct segment *s);
void segment_unref(struct segment *s);

struct segment_root *segment_root(struct segment *s, struct err *e);
struct segment_page *segment_page(struct segment *s, const struct segment_root *r, uint32_t page, struct err *e);
struct segment_blocks *segment_blocks(struct segment *s, const struct segment_root *r, struct err *e);
struct segment_times *segment_times(struct segment *s, const struct segment_blocks *b, uint32_t granule, struct err *e);
struct segment_lens *segment_lens(struct segment *s, const struct segment_blocks *b, uint32_t granule, struct err *e);
struct segment_metas *segment_metas(struct segment *s, const struct segment_blocks *b, uint32_t granule, struct err *e);
struct segment_lines *segment_lines(struct segment *s, const struct segment_blocks *b, uint32_t frame, struct err *e);
struct segment_filter *segment_filter(struct segment *s, const struct segment_blocks *b, uint32_t frame, struct err *e);
/* Lines into the caller's buffer, past the cache, unless they are cached (*cached is held then). */
bool segment_lines_scratch(struct segment *s, const struct segment_blocks *b, uint32_t frame, struct buf *scratch,
			   struct segment_lines **cached, struct err *e);
/* Gives what such a read left in the scratch to the cache; *scratch is zeroed. Returns it held. */
struct segment_lines *segment_lines_adopt(struct segment *s, uint32_t frame, struct buf *scratch);
/* Any of the above; NULL is nothing. */
void segment_release(struct segment *s, void *item);

/* A stream by its number in the segment; its page must be this one. */
struct segment_stream segment_stream_get(const struct segment_page *p, uint32_t i);
/* Labels of a stream into v (npairs places), borrowing from the page. */
void segment_labels(const struct segment_page *p, const struct segment_stream *st, struct label *v);
struct str segment_symbol(const struct segment_symbols *s, uint32_t i);
static inline uint32_t segment_page_of(const struct segment_root *r, uint32_t stream)
{
	return stream / r->page_streams;
}

/* Sets the bits of the streams that match every matcher; bits holds (nstreams + 63) / 64 zeroed words. Reads the
 * postings of the matchers' names only. */
bool segment_match(struct segment *s, const struct segment_root *r, const struct matcher *m, size_t n, uint64_t *bits,
		   struct err *e);
/* Calls fn for each value of a name (by its number in the root), ascending, with each run of streams that have it. */
typedef void segment_values_fn(void *ud, struct str value, uint32_t first, uint32_t n);
bool segment_values(struct segment *s, const struct segment_root *r, uint32_t name, segment_values_fn *fn, void *ud,
		    struct err *e);
/* The number of the stream with these labels, or UINT32_MAX: there is none. False: what would tell is damaged. */
bool segment_find(struct segment *s, const struct segment_root *r, const struct labels *labels, uint32_t *stream,
		  struct err *e);

/* Which block, granule or frame holds a row. */
uint32_t segment_block_of(const struct segment_blocks *b, uint32_t row);
uint32_t segment_granule_of(const struct segment_blocks *b, uint32_t row, uint32_t *first_row);
uint32_t segment_frame_of(const struct segment_blocks *b, uint32_t row);

#endif
