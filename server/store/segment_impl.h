/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_impl: what the files that read segments share; nobody else includes it. */
#ifndef LARCH_SERVER_STORE_SEGMENT_IMPL_H
#define LARCH_SERVER_STORE_SEGMENT_IMPL_H

#include "server/store/segment.h"

enum segment_kind { /* of a cached item */
		    SEGMENT_KIND_INDEX,
		    SEGMENT_KIND_TIMES,
		    SEGMENT_KIND_LENS,
		    SEGMENT_KIND_METAS,
		    SEGMENT_KIND_LINES
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
uint32_t segment_granule_rows(const struct segment_index *ix, uint32_t granule);

#endif
