/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_impl: what the files that read segments share; nobody else includes it. */
#ifndef LARCH_SERVER_STORE_SEGMENT_IMPL_H
#define LARCH_SERVER_STORE_SEGMENT_IMPL_H

#include "server/store/segment.h"

enum segment_kind { /* of a cached item */
		    SEGMENT_KIND_ROOT,
		    SEGMENT_KIND_PAGE,
		    SEGMENT_KIND_POSTINGS, /* numbered through all names */
		    SEGMENT_KIND_BLOCKS,
		    SEGMENT_KIND_TIMES,
		    SEGMENT_KIND_LENS,
		    SEGMENT_KIND_METAS,
		    SEGMENT_KIND_LINES,
		    SEGMENT_KIND_FILTER
};

/* zstd cannot expand a byte to more; what claims more is damaged and not worth the memory. */
#define SEGMENT_RATIO_MAX 40000u
static inline bool segment_plausible(uint64_t raw, uint64_t stored)
{
	return raw <= SEGMENT_FRAME || raw / SEGMENT_RATIO_MAX <= stored;
}

/* ERR_CORRUPT naming object and offset; false. */
bool segment_corrupt(const struct segment *s, uint64_t off, const char *what, struct err *e);
/* Held, or NULL. */
void *segment_cached(const struct segment *s, enum segment_kind kind, uint32_t index);
/* Puts an item into the cache; held. */
void *segment_keep(const struct segment *s, enum segment_kind kind, uint32_t index, struct cache_item *it, size_t bytes,
		   void (*free_item)(struct cache_item *));
/* The stored bytes of a part, checked. Appends. */
bool segment_part_read(struct segment *s, const struct segment_part *p, const char *what, struct buf *out,
		       struct err *e);
/* A part of the index, expanded, into an empty buffer. */
bool segment_part_expand(struct segment *s, const struct segment_part *p, const char *what, struct buf *out,
			 struct err *e);
/* A part reference, and one with the expanded size, within the first `end` bytes of the object. */
bool segment_part_parse(struct str *in, uint64_t end, struct segment_part *p);
bool segment_part_parse_sized(struct str *in, uint64_t end, struct segment_part *p);

bool segment_symbols_parse(struct str *in, struct segment_symbols *s);
/* Streams must hold the rows from first_row on without gaps; *rows is how many. */
bool segment_tables_parse(struct str *in, uint64_t first_row, struct segment_tables *t, uint64_t *rows);
/* Blocks that hold b->rows rows, whose names are parsed; frames name filters if so said. */
bool segment_blocks_parse(struct str in, uint64_t end, bool filters, struct segment_blocks *b);
uint32_t segment_granule_rows(const struct segment_blocks *b, uint32_t granule);

/* For one matcher: bits of streams whose value passes, and of all that have the name. */
struct segment_matching {
	const struct matcher *m;
	uint32_t nstreams;
	uint64_t *pass, *have; /* have is NULL where nobody asks */
};

/* ---- version 1: all of the index is one part (segment_v1.c) ---- */

bool segment_v1_root(struct segment *s, struct segment_root *r, struct err *e);
bool segment_v1_page(struct segment *s, const struct segment_root *r, struct segment_page *p, struct err *e);
bool segment_v1_blocks(struct segment *s, const struct segment_root *r, struct segment_blocks *b, struct err *e);
bool segment_v1_match(struct segment *s, const struct segment_root *r, struct segment_matching *w, struct err *e);

#endif
