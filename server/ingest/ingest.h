/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ingest: acknowledged entries become durable, then visible, then flushed.
 *
 * A submitted push is one WAL record, replayed whole or not at all. One ingest thread owns the WAL and the
 * heads: it writes all waiting records, syncs once (group commit), puts them into the heads in WAL order
 * (which is arrival order), and only then calls each push's done(). After a failed write or sync the whole
 * group gets the error, the file is closed at its last synced offset and a new one starts.
 * Heads form generations over contiguous WAL ranges; a generation is flushed whole into segments (by size,
 * age or memory) by the flush thread, and its WAL files go once the catalog names the segments.
 * At start the WAL is replayed with progress in the log and in ingest_ready(); pushes wait with 503. */
#ifndef LARCH_SERVER_INGEST_H
#define LARCH_SERVER_INGEST_H

#include "common/budget.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/labels.h"
#include "common/metrics.h"
#include "proto/push.h"

struct ingest;
struct store;

enum ingest_sync { INGEST_SYNC_GROUP, INGEST_SYNC_INTERVAL, INGEST_SYNC_NONE };

struct ingest_config {
	const char *wal_dir;
	enum ingest_sync sync;
	int64_t sync_interval_ns;     /* INTERVAL: at most so long unsynced; GROUP: how long a group may wait for
	                               * company, which it does only when the one before was larger */
	uint64_t segment_bytes;       /* WAL file size, default 64 MiB */
	uint64_t flush_bytes;         /* a generation is flushed at this many bytes of lines, default 32 MiB */
	int64_t flush_age_ns;         /* or when its first entry has been there so long (max_chunk_age) */
	int64_t flush_idle_ns;        /* or when nothing came for so long (chunk_idle_period) */
	/* How many streams the tenant may have, 0: no limit; a push that would exceed it is refused with ERR_RATE. NULL:
	 * no limit for anybody. */
	uint64_t (*max_streams)(void *ud, struct str tenant);
	void *max_streams_ud;
	struct budget *heads;         /* bytes in heads, outlives the store; when exhausted a push waits up to 5 s for a
	                               * flush to make room and then gets ERR_UNAVAILABLE */
	uint64_t disk_reserve;        /* bytes of the disk that pushes leave alone, see reserve.h; they get ERR_NO_SPACE */
	double disk_full_at;
	struct fs *fs;
	struct clock *clock;
};

struct ingest_stream {
	struct labels labels;         /* validated, sorted, no empty values */
	struct push_entry *v;         /* meta sorted by name, names unique */
	size_t n;
};

struct ingest_push {
	struct str tenant;
	struct ingest_stream *v;
	size_t n;
};

/* Called once, on the ingest thread, soon: no blocking in it. e is NULL when everything is durable and visible. */
typedef void ingest_done(void *ud, const struct err *e);

/* Replay goes on in the background. The store is closed after ingest_stop(). */
struct ingest *ingest_start(const struct ingest_config *c, struct store *st, struct err *e);
/* p and all it points at stay alive until done() is called. The record is encoded on the calling thread. */
void ingest_submit(struct ingest *in, const struct ingest_push *p, ingest_done *done, void *ud);
/* True: pushes are taken. False: why and how far in e->msg ("replaying the write-ahead log: 37% (120 of 320 MiB)"). */
bool ingest_ready(struct ingest *in, struct err *e);
/* Flushes everything that was acknowledged before the call; waits until the catalog names it. */
bool ingest_flush(struct ingest *in, struct err *e);
/* Waits until no push is under way that was logged before the call: whatever is acknowledged afterwards was logged, and
 * got its floor (store/deletes.h), after the call. Without effect until pushes are taken. */
void ingest_fence(struct ingest *in);
/* Takes no more pushes from now on, but goes on with everything else. False: it was so before. */
bool ingest_close(struct ingest *in);
bool ingest_closed(struct ingest *in);
/* Is there space on the disk for a merge of segments that writes so many bytes? (reserve.h) */
bool ingest_spares(struct ingest *in, uint64_t bytes, struct err *e);
/* Takes no more pushes, answers those submitted, flushes if flush, stops threads, frees. */
void ingest_stop(struct ingest *in, bool flush);

struct ingest_stats {
	uint64_t streams, head_bytes, head_entries, generations;
	uint64_t wal_bytes, wal_records, wal_syncs, wal_failures, wal_corrupt_records;
	uint64_t flushes, flush_failures, segments_written, flushed_bytes, flushed_entries;
	uint64_t streams_created;
	uint64_t disk_free, disk_reserve, disk_refused; /* bytes as last measured; pushes */
};
void ingest_stats(struct ingest *in, struct ingest_stats *out);
/* Streams of one tenant that the heads know. */
uint64_t ingest_tenant_streams(struct ingest *in, struct str tenant);

#endif
