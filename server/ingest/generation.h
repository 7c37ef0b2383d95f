/* SPDX-License-Identifier: GPL-2.0-or-later */
/* generation: the heads of all tenants over one contiguous range of the write-ahead log, and the thread that
 * flushes sealed generations, oldest first, whole.
 *
 * The open generation belongs to whoever fills it (replay, then the ingest thread). Sealed, it belongs to the
 * flusher, which retries with growing pauses until every tenant's segments are named in its catalog; then the log
 * files go that no later generation needs. A tenant's part that is done is not written again.
 * A tenant has several parts where delete requests came while the generation was open: one for each floor
 * (store/deletes.h). Only with its last part does the catalog say that its range of the log is covered. */
#ifndef LARCH_SERVER_INGEST_GENERATION_H
#define LARCH_SERVER_INGEST_GENERATION_H

#include "server/ingest/wal.h"
#include "server/store/store.h"

struct generation_part { /* one tenant's entries of one floor */
	struct tenant *tenant;
	struct head *head;         /* NULL: flushed */
	struct store_flush *flush; /* begun */
};

struct generation {
	struct generation *next;
	uint64_t id;
	struct generation_part *parts;
	size_t nparts, cap_parts;
	struct map by_tenant; /* tenant name -> 1 + index of its last part */
	struct wal_range *ranges;
	size_t nranges, cap_ranges;
	struct wal_file **files;
	size_t nfiles, cap_files;
	uint64_t bytes, rows; /* of lines */
	size_t memory;        /* what its heads take */
	int64_t opened, last; /* monotonic, when the first and the last record came */
};

struct generation *generation_new(uint64_t id);
void generation_free(struct generation *g); /* its heads stay with their tenants */
/* The record becomes visible. rec: WAL header and payload; writer, seq and file say where it stands in the log. */
bool generation_apply(struct generation *g, struct tenant *t, struct budget *b, const struct record *r, struct buf *rec,
		      size_t reserved, uint64_t writer, uint64_t seq, struct wal_file *file, int64_t now,
		      struct err *e);

struct flusher;

struct flusher_stats {
	uint64_t pending, bytes, rows; /* sealed and not yet flushed */
	uint64_t flushes, failures, segments, flushed_bytes, flushed_rows;
};

struct flusher *flusher_start(struct err *e);
/* Takes the generation over. */
void flusher_add(struct flusher *f, struct generation *g);
/* Waits until generation `id` and all before it are flushed. False: an attempt has failed since the call (tried at
 * once), or the flusher stops. */
bool flusher_wait(struct flusher *f, uint64_t id, struct err *e);
/* Waits until something was flushed, or the time is up (milliseconds). */
void flusher_wait_progress(struct flusher *f, unsigned ms);
void flusher_stats(struct flusher *f, struct flusher_stats *out);
/* Ends after the attempt under way; what is not flushed stays in the log. */
void flusher_stop(struct flusher *f);

#endif
