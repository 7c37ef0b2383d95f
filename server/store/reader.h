/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader: the one way to read entries, flushed or not (docs/DESIGN.md, Segments and catalog).
 *
 * A snapshot pins what a tenant has at one moment: head generations and segments. Entries acknowledged
 * before snapshot_take() are in it; a flush or compaction that commits later does not disturb it. A scan
 * selects from a snapshot and yields batches of rows. Every entry is yielded exactly once: copies of an
 * entry, equal in (stream, timestamp, line, metadata), within or across sources count as one; entries with
 * equal timestamps in one stream come in arrival order (reversed when reading backward). What a delete request hides
 * (deletes.h) is in no scan, stream list or figure of a snapshot taken after the request was made.
 *
 * Threads: take and scan from any thread; one thread per scan; several scans of one snapshot may run in
 * parallel. Memory: a batch and what it borrows live until the next scan_next() or scan_close(). */
#ifndef LARCH_SERVER_STORE_READER_H
#define LARCH_SERVER_STORE_READER_H

#include "common/labels.h"
#include "pipeline/linefilter.h"
#include "pipeline/selector.h"

struct store;
struct snapshot;
struct scan;

/* The tenant's entries as of now. Several tenants: take several snapshots. Never NULL (may be empty). */
struct snapshot *snapshot_take(struct store *s, struct str tenant);
void snapshot_free(struct snapshot *s);
/* While the write-ahead log is being replayed the snapshot is incomplete, what only a damaged catalog entry named is
 * missing, and a damaged part of a segment is left out by the scan that meets it: a text for the answer's `warnings`, to be asked for after the scans,
 * borrowed from the snapshot; else STR_NULL. */
struct str snapshot_warning(const struct snapshot *s);

/* One stream of a snapshot. Immutable, lives as long as the snapshot; the same stream has the same
 * pointer in every batch and every call on that snapshot. */
struct reader_stream {
	struct labels labels;
	uint64_t hash; /* labels_hash */
};

/* Calls fn once for each stream that matches every matcher and has an entry in [from, to); a block index may
 * decide the time, so a stream with entries near the range may be reported too. fn returns false to stop. */
bool snapshot_streams(struct snapshot *s, const struct matcher *m, size_t nm, int64_t from, int64_t to,
                      bool (*fn)(void *ud, const struct reader_stream *st), void *ud, struct err *e);

struct reader_stats {
	uint64_t streams, chunks, entries, bytes; /* chunks: segment blocks and head streams touched; bytes: of lines */
};
bool snapshot_stats(struct snapshot *s, const struct matcher *m, size_t nm, int64_t from, int64_t to,
                    struct reader_stats *out, struct err *e);

enum scan_order {
	SCAN_BY_STREAM, /* stream after stream, each in time order; the cheap one */
	/* One time order over all streams; at equal times streams stand in the order of their hashes, then labels, reversed
	 * when reading backward. */
	SCAN_BY_TIME
};

enum { SCAN_LINE = 1, SCAN_LEN = 2, SCAN_META = 4 }; /* which columns the caller reads besides time and stream */

struct scan_opts {
	const struct matcher *matchers;
	size_t nmatchers;
	const struct reader_stream *only;      /* just this stream (matchers are not looked at), or NULL */
	int64_t from, to;                      /* ns, [from, to) */
	bool forward;
	enum scan_order order;
	unsigned want;                         /* SCAN_… */
	/* A compiled group of line filters, or NULL. The reader may use it to skip frames and rows; batch.filtered
	 * says whether every row of the batch has passed it. Needs no SCAN_LINE. */
	const struct linefilters *filters;
	const _Atomic bool *cancel;            /* polled per batch: ERR_CANCELLED; may be NULL */
	int64_t deadline_mono;                 /* ns, CLOCK_MONOTONIC; 0: none; ERR_TIMEOUT */
};

#define SCAN_ROWS 1024

struct scan_batch {
	size_t n;                                   /* 1..SCAN_ROWS */
	const struct reader_stream *one;            /* all rows are of this stream, or NULL: see stream[] */
	const struct reader_stream *const *stream;  /* per row; NULL when `one` is set */
	const int64_t *ts;
	const struct str *line;                     /* SCAN_LINE */
	const uint32_t *len;                        /* SCAN_LEN: line bytes */
	const struct labels *const *meta;           /* SCAN_META: structured metadata sorted by name; rows with equal
	                                             * metadata often, not always, share a pointer; never NULL */
	bool filtered;                              /* scan_opts.filters hold for every row here; else none was applied */
};

struct scan_stats { /* for the answer's statistics; grows while scanning */
	uint64_t head_bytes, head_lines;            /* read from heads (before filters) */
	uint64_t segment_bytes, segment_lines;      /* read from segments, expanded */
	uint64_t compressed_bytes, duplicates, chunks, meta_bytes;
};

struct scan *scan_open(struct snapshot *s, const struct scan_opts *o, struct err *e);
/* False: the end (e->code is ERR_NONE, when *e was ERR_INIT) or an error. */
bool scan_next(struct scan *sc, struct scan_batch *out, struct err *e);
void scan_stats(const struct scan *sc, struct scan_stats *out); /* adds to *out */
void scan_close(struct scan *sc);

/* ---- following: entries as they become visible ----
 *
 * Not by time but by arrival: whatever is pushed from follow_open() on comes once, late entries too, in the order in
 * which it became visible; what was there before is in the snapshot that is taken in the same moment. An entry that is
 * pushed again comes again unless it was among the last few thousand. A follower that does not keep up loses pushes as a whole and learns how many
 * entries they had; it never slows ingest. One thread per follower. */
struct follow;
struct budget;

struct follow_opts {
	struct str tenant;
	const struct matcher *matchers; /* borrowed as long as it follows */
	size_t nmatchers;
	struct budget *memory; /* of unread pushes; the same for all followers of a store */
	/* Something has come, or was lost. On the thread that fills heads: it must only wake somebody up. */
	void (*wake)(void *ud);
	void *ud;
};

struct follow_batch {
	struct scan_batch rows; /* all of one stream, with line, length and metadata; until the next call */
	bool forgot;            /* streams of earlier batches are no more: their pointers may mean others now */
};

struct follow *follow_open(struct store *s, const struct follow_opts *o, struct snapshot **snap);
bool follow_next(struct follow *f, struct follow_batch *out); /* false: nothing now */
uint64_t follow_lost(struct follow *f);                       /* entries, of any stream, since the last call */
size_t follow_streams(const struct follow *f);                /* that match and of which something came */
void follow_close(struct follow *f);                          /* NULL is nothing */

#endif
