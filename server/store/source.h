/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source: one place where entries of a tenant are, a head or a segment, as a snapshot and its scans see it.
 *
 * A cursor walks one stream of one source in time order (or back), window by window; the rows of a source are
 * free of copies, and those that delete requests hide are left out. A window holds timestamps and row references only;
 * lines, lengths and metadata are fetched for the rows that a batch really yields. Line filters are applied while
 * walking. Internal to reader.h's implementation. */
#ifndef LARCH_SERVER_STORE_SOURCE_H
#define LARCH_SERVER_STORE_SOURCE_H

#include "common/heap.h"
#include "server/store/dedup.h"
#include "server/store/mask.h"
#include "server/store/reader.h"
#include "server/store/tenant.h"

struct snapshot_stream {
	struct reader_stream pub; /* first: callers hold pointers to it */
	uint32_t id;              /* 0, 1, … in the snapshot */
	struct snapshot_stream *chain;
};

struct source;
struct cursor;

struct source_ops {
	/* Makes the index available. False: it is damaged; the source has no streams then. */
	bool (*load)(struct source *src, struct err *e);
	uint32_t (*streams)(const struct source *src);
	uint64_t (*hash)(const struct source *src, uint32_t i);
	struct labels (*labels)(const struct source *src, uint32_t i, struct arena *a);
	struct head_view (*view)(const struct source *src, uint32_t i);
	void (*match)(const struct source *src, const struct matcher *m, size_t n, uint64_t *bits);
	void (*start)(struct scan *sc, struct cursor *c);
	void (*fill)(struct scan *sc, struct cursor *c); /* the next window; n == 0: the end */
	/* Puts line, length and metadata (as the scan wants) of batch rows at[0..n) in their places; returns how many
	 * it did before the batch held too much. Rows that cannot be read are marked in scan.lost. */
	size_t (*fetch)(struct scan *sc, struct cursor *c, const uint16_t *at, size_t n);
	/* Identity of one row, for finding copies. False: it cannot be read. */
	bool (*key)(struct scan *sc, struct cursor *c, uint32_t ref, struct dedup_key *k);
	void (*stop)(struct cursor *c);
	void (*unload)(struct source *src);
};

extern const struct source_ops source_head_ops, source_segment_ops;

struct source {
	const struct source_ops *ops;
	struct head *head;
	struct head_view *views; /* what of the head belongs to the snapshot */
	uint32_t nviews;
	struct segment *seg;
	struct segment_index *ix;
	int64_t min_ts, max_ts;
	uint64_t floor; /* delete requests up to this number hide nothing in it */
	bool loaded;
	struct mask *mask;                /* what the others hide, or NULL; once loaded */
	uint64_t *masked;                 /* bits of the streams that have hidden rows, perhaps */
	struct snapshot_stream **streams; /* by the source's stream number; NULL until resolved */
	uint32_t *by_hash;                /* stream numbers + 1, open addressing; built when first looked up */
	size_t by_hash_cap;
};

struct cursor {
	struct source *src;
	uint32_t stream;
	struct cursor *next_ended;
	struct mask_stream mask; /* rows that it hides are never in the window */
	/* the window */
	int64_t *ts;
	uint32_t *ref;
	uint32_t n, at;
	/* head */
	struct head_rows rows;
	size_t pos;
	/* segment: rows [lo, hi) are in the time range and not yet walked */
	uint32_t lo, hi, granule_first, lens_first, frame, nhits, hit;
	size_t cap_hits;
	uint32_t *hits;
	bool check; /* a damaged granule made lo and hi uncertain */
	struct segment_times *times;
	struct segment_lens *lens;
	struct segment_lines *lines;
	struct segment_metas *metas;
	uint32_t metas_first, lines_first, lines_end;
};

#define SCAN_PINS 32 /* cache items a batch may hold on to */

struct scan_pin {
	struct segment *seg;
	void *item;
};

struct scan_group_row {
	struct cursor *c;
	uint32_t ref;
};

/* A stream in one source. */
struct scan_part {
	struct source *src;
	uint32_t stream;
	bool ended;
	int64_t bound;     /* first timestamp it can have, in scan direction */
	struct cursor *c;  /* once the order has reached the bound, until it ends */
	struct scan_part *next;
};

/* One stream's parts merged. */
struct scan_merger {
	const struct snapshot_stream *rs;
	uint32_t order;
	struct scan_part *parts;      /* in arrival order of their sources */
	int64_t key;                  /* of its next row, in scan direction */
	struct scan_group_row *group; /* rows of one timestamp from several sources, to be yielded from group_at on */
	size_t ngroup, group_at, cap_group;
	int64_t group_ts;
	struct scan_merger *next_done;
};


struct scan_candidate {
	const struct snapshot_stream *rs;
	struct scan_part *first, *last;
	int64_t key; /* no row comes before it, in scan direction */
};

struct scan {
	struct snapshot *snap;
	struct scan_opts o;
	uint32_t window;           /* rows of a cursor's window */
	uint32_t target;           /* rows to queue before yielding; by time it starts small, as a limit may be */
	uint64_t **barren; /* by source: bits of frames found without the filters' needle; NULL: none yet */
	struct arena arena, batch; /* the scan's; the batch's */
	struct scan_candidate *cands;
	size_t ncands, next_cand;
	struct scan_merger *current; /* SCAN_BY_STREAM */
	struct heap heap;            /* SCAN_BY_TIME */
	struct scan_merger *done;    /* freed when their queued rows are yielded */
	struct cursor *ended;        /* likewise, and when no group has rows of them */
	bool group_pending;
	struct buf scratch;          /* a frame that only the filter looks at */
	struct dedup seen;
	struct scan_stats stats;
	struct err err; /* cancelled or out of time */

	/* rows found, in order; [qat, qn) not yet yielded */
	size_t qn, qat;
	int64_t ts[SCAN_ROWS];
	struct cursor *cursor[SCAN_ROWS];
	uint32_t ref[SCAN_ROWS];
	const struct reader_stream *stream[SCAN_ROWS];
	struct str line[SCAN_ROWS];
	uint32_t len[SCAN_ROWS];
	const struct labels *meta[SCAN_ROWS];
	bool lost[SCAN_ROWS];
	struct scan_pin pins[SCAN_PINS];
	size_t npins;
};

/* False (and scan.err set) when the scan is to end. */
bool scan_poll(struct scan *sc);
/* A part cannot be read: logs, counts, and puts it into the snapshot's warning. */
void scan_damaged(struct scan *sc, const struct err *e);

/* ---- snapshot.c ---- */

struct snapshot {
	struct store *st;
	pthread_mutex_t mu; /* guards resolving, loading and the warning */
	struct arena arena;
	struct deletes *deletes;
	struct source *src; /* in arrival order */
	size_t nsrc;
	struct snapshot_stream **table;
	size_t ntable, nstreams;
	struct str warning;
	uint64_t damaged;
};

/* May a delete request hide rows of the stream? */
static inline bool source_is_masked(const struct source *src, uint32_t i)
{
	return src->mask && src->masked[i / 64] >> (i % 64) & 1;
}

struct snapshot *snapshot_new(struct store *st); /* empty */
/* What the tenant has; under its lock. */
void snapshot_pin(struct snapshot *s, struct tenant *t);
/* Calls fn for each (source, stream) that passes and may have entries in [from, to). One source's streams ascend;
 * sources in arrival order. */
typedef void snapshot_each_fn(void *ud, struct source *src, uint32_t i, const struct snapshot_stream *rs);
void snapshot_each(struct snapshot *s, const struct matcher *m, size_t nm, const struct reader_stream *only,
		   int64_t from, int64_t to, snapshot_each_fn *fn, void *ud);
void snapshot_damaged(struct snapshot *s, const struct err *e);

#endif
