/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment: one immutable object with one tenant's entries, sorted by (stream, timestamp, arrival), read part by
 * part (docs/FORMATS.md, Segment).
 *
 * Opening one costs nothing; its index is loaded when a query first touches it, and every expanded part (index,
 * timestamps, lengths, metadata, frames of lines) is an item of the shared cache, held until segment_release().
 * Every part's checksum is verified before a byte of it is used, every offset and count before it is followed;
 * a damaged part is ERR_CORRUPT naming object and offset, and the other parts stay readable.
 * Copies of an entry do not occur within a segment. Threads: any; a segment is reference-counted. */
#ifndef LARCH_SERVER_STORE_SEGMENT_H
#define LARCH_SERVER_STORE_SEGMENT_H

#include "pipeline/selector.h"
#include "server/store/cache.h"
#include "server/store/object.h"

#include <stdatomic.h>

#define SEGMENT_VERSION   1
#define SEGMENT_HEADER    16
#define SEGMENT_TRAILER   40
#define SEGMENT_BLOCK     65536u     /* rows */
#define SEGMENT_GRANULE   4096u      /* rows */
#define SEGMENT_FRAME     (1u << 20) /* bytes of lines in a frame, unless one line is longer */
#define SEGMENT_INDEX_MAX (1u << 30) /* bytes, expanded */

enum segment_encoding { SEGMENT_RAW = 0 };

extern const char segment_magic[9], segment_end_magic[9];

struct segment_part {
	uint64_t off, sum;
	uint32_t len;
};

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
	uint32_t first_row, rows; /* of the segment */
	uint32_t raw;             /* bytes, expanded */
	uint64_t pos;             /* of its first byte among the block's lines */
	struct segment_part part;
};

struct segment_block {
	uint32_t first_row, rows, first_granule, first_frame, nframes;
	uint8_t encoding;
};

struct segment_stream {
	uint64_t hash, bytes;
	int64_t min_ts, max_ts;
	uint32_t first_row, rows;
	uint32_t first_pair, npairs;
};

/* WAL records [lo, hi) of one writer. */
struct wal_range {
	uint64_t writer, lo, hi;
};

struct segment_index {
	struct cache_item item;
	struct str tenant;
	uint64_t rows, bytes;
	uint32_t nstreams, nsymbols, npairs, nblocks, ngranules, nframes, nmetas, ncovers;
	const char *symbol_ends, *symbol_bytes, *pairs, *streams; /* fixed-width tables in raw */
	struct str postings;
	struct segment_block *blocks;
	struct segment_granule *granules;
	struct segment_frame *frames;
	struct segment_meta *metas;
	struct wal_range *covers;
	struct buf raw;
	struct arena arena;
};

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
	_Atomic uint64_t purged; /* delete requests up to this number hide nothing in it any more */
};

struct segment *segment_new(struct object_store *o, struct cache *c, struct str name);
struct segment *segment_ref(struct segment *s);
void segment_unref(struct segment *s);

struct segment_index *segment_index(struct segment *s, struct err *e);
struct segment_times *segment_times(struct segment *s, const struct segment_index *ix, uint32_t granule, struct err *e);
struct segment_lens *segment_lens(struct segment *s, const struct segment_index *ix, uint32_t granule, struct err *e);
struct segment_metas *segment_metas(struct segment *s, const struct segment_index *ix, uint32_t granule, struct err *e);
struct segment_lines *segment_lines(struct segment *s, const struct segment_index *ix, uint32_t frame, struct err *e);
/* The same into the caller's buffer, past the cache, unless it is cached (*cached is held then). */
bool segment_lines_scratch(struct segment *s, const struct segment_index *ix, uint32_t frame, struct buf *scratch,
			   struct segment_lines **cached, struct err *e);
/* Gives what such a read left in the scratch to the cache; *scratch is zeroed. Returns it held. */
struct segment_lines *segment_lines_adopt(struct segment *s, uint32_t frame, struct buf *scratch);
/* Any of the above; NULL is nothing. */
void segment_release(struct segment *s, void *item);

struct segment_stream segment_stream_get(const struct segment_index *ix, uint32_t i);
struct str segment_symbol(const struct segment_index *ix, uint32_t i);
/* Labels of a stream into v (npairs places), borrowing from the index. */
void segment_labels(const struct segment_index *ix, const struct segment_stream *st, struct label *v);
/* Sets the bits of the streams that match every matcher; bits holds (nstreams + 63) / 64 zeroed words. */
void segment_match(const struct segment_index *ix, const struct matcher *m, size_t n, uint64_t *bits);

/* Which block, granule or frame holds a row. */
uint32_t segment_block_of(const struct segment_index *ix, uint32_t row);
uint32_t segment_granule_of(const struct segment_index *ix, uint32_t row, uint32_t *first_row);
uint32_t segment_frame_of(const struct segment_index *ix, uint32_t row);

#endif
