/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segwrite: makes one segment out of rows that come sorted by (stream, timestamp, arrival), without copies.
 *
 * Memory: one frame of lines, the columns of one block, filters (at most 32 KiB a frame) and the index
 * (segwrite_index.h); the object grows as frames fill. A stream without rows is left out.
 * The caller's thread. After an error only segwrite_abort() may follow. */
#ifndef LARCH_SERVER_STORE_SEGWRITE_H
#define LARCH_SERVER_STORE_SEGWRITE_H

#include "server/store/segment.h"

struct segwrite;

struct segwrite_result {
	uint64_t size, rows, bytes, streams;
	int64_t min_ts, max_ts;
};

/* level: zstd's. From SEGWRITE_FILTERS on, frames get filters: a flush writes once and soon compaction writes again,
 * and filters would cost it a tenth of its time. */
#define SEGWRITE_FILTERS 2
struct segwrite *segwrite_new(struct object_store *o, struct str name, struct str tenant, int level, struct err *e);
/* The rows that follow are of this stream. Each stream once, in labels_cmp order. Labels are copied. */
bool segwrite_stream(struct segwrite *w, const struct labels *labels, uint64_t hash, struct err *e);
/* meta: sorted by name; it stays valid and unchanged until a row of another granule is in (granules are of
 * SEGMENT_GRANULE rows, counted through the segment), or the segment is finished. */
bool segwrite_row(struct segwrite *w, int64_t ts, struct str line, const struct labels *meta, struct err *e);
/* Writes the index and commits the object (put-if-absent). Frees w. */
bool segwrite_finish(struct segwrite *w, const struct wal_range *covers, size_t ncovers, struct segwrite_result *out,
		     struct err *e);
void segwrite_abort(struct segwrite *w);

#endif
