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
#include "server/store/columns.h"
#include "server/store/dedup.h"
#include "server/store/mask.h"
#include "server/store/reader.h"
#include "server/store/segment_filter.h"
#include "server/store/tenant.h"

/* A stream in one source. */
struct source_stream {
	uint32_t i; /* its number there */
	uint32_t first_row, rows;
	uint64_t hash, bytes;
	int64_t min_ts, max_ts;
	const void *at; /* where the source has its labels; valid during the call that hands it out */
};

struct snapshot_place { /* there may be many */
	struct source *src;
	uint32_t stream, first_row, rows;
	int64_t min_ts, max_ts;
};

struct snapshot_stream {
	struct reader_stream pub; /* first: callers hold pointers to it */
	uint32_t id;              /* 0, 1, … in the snapshot */
	struct snapshot_stream *chain;
	/* Where it is, as far as entries in [known_from, known_to) go; sources in arrival order. */
	int64_t known_from, known_to;
	struct snapshot_place *places;
	size_t nplaces;
};

struct source;
struct cursor;
struct scan_part;

/* Streams of a source, ascending. */
typedef void source_each_fn(void *ud, const struct source_stream *v, size_t n);

/* What reads an index fails where it is damaged. */
struct source_ops {
	bool (*load)(struct source *src, struct err *e); /* sets src->nstreams */
	/* Sets bits of the streams that match; there are (nstreams + 63) / 64 zeroed words. */
	bool (*match)(const struct source *src, const struct matcher *m, size_t n, uint64_t *bits, struct err *e);
	/* Calls fn, some at a time, with those streams of bits that may have entries in [from, to). */
	bool (*each)(const struct source *src, const uint64_t *bits, int64_t from, int64_t to, source_each_fn *fn,
		     void *ud, struct err *e);
	bool (*get)(const struct source *src, uint32_t i, struct source_stream *st, struct err *e);
	/* The stream with these labels; i is UINT32_MAX where there is none. */
	bool (*find)(const struct source *src, const struct reader_stream *rs, struct source_stream *st, struct err *e);
	struct labels (*labels)(const struct source_stream *st, struct arena *a);
	void (*start)(struct scan *sc, struct cursor *c, const struct scan_part *p);
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

/* A segment's index is not kept: what a query needs of it is read where it needs it, through the cache. */
struct source {
	const struct source_ops *ops;
	struct head *head;
	struct head_view *views; /* what of the head belongs to the snapshot */
	struct segment *seg;
	int64_t min_ts, max_ts;
	uint64_t floor; /* delete requests up to this number hide nothing in it */
	bool loaded, damaged;
	uint32_t nstreams;
	struct mask *mask; /* what the others hide, or NULL; once loaded */
	uint64_t *masked;  /* bits of the streams that have hidden rows, perhaps */
	uint32_t *ids;     /* by the source's stream number: 1 + id in the snapshot; 0: not resolved */
};

struct cursor {
	struct source *src;
	uint32_t stream;
	struct cursor *next_ended;
	struct mask_stream mask; /* rows that it hides are never in the window */
	/* the window, behind the struct */
	int64_t *ts;
	uint32_t *ref;
	uint32_t window, n, at; /* rows that fit, that are there, that are done */
	/* head */
	struct head_rows rows;
	size_t pos;
	/* segment: rows [lo, hi) are in the time range and not yet walked */
	struct segment_blocks *blocks;
	struct columns cols;
	uint32_t lo, hi, nhits, hit;
	size_t cap_hits;
	uint32_t *hits;
	bool check; /* a damaged granule made lo and hi uncertain */
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
	const struct snapshot_stream *rs;
	struct source *src;
	struct source_stream st;
	bool ended;
	int64_t bound;    /* first timestamp it can have, in scan direction */
	struct cursor *c; /* once the order has reached the bound, until it ends */
};

/* One stream's parts merged. */
struct scan_merger {
	const struct snapshot_stream *rs;
	int64_t key;                  /* of its next row, in scan direction */
	struct scan_group_row *group; /* rows of one timestamp from several sources, to be yielded from group_at on */
	size_t ngroup, group_at, cap_group;
	int64_t group_ts;
	struct scan_merger *next_done;
	uint32_t nparts;
	struct scan_part parts[]; /* in arrival order of their sources */
};

/* A stream that is to be read, and where it is: there may be very many. */
struct scan_candidate {
	const struct snapshot_stream *rs;
	uint32_t first, last, nparts; /* parts: 1 + index in scan.refs */
	int64_t key;                  /* no row comes before it, in scan direction */
};

struct scan_ref {
	uint32_t src, stream, next;
};

struct scan {
	struct snapshot *snap;
	struct scan_opts o; /* by time: from and to are those of the span that is open */
	int64_t at, last;   /* by time: keys still to be read, both included */
	bool at_end;        /* … none */
	size_t span_sources;
	uint32_t window;   /* rows of a cursor's window, unless the stream has fewer */
	uint32_t target;   /* rows to queue before yielding; by time it starts small, as a limit may be */
	uint64_t **barren; /* by source: bits of frames found without the filters' needle; NULL: none yet */
	struct segment_needles *needles;
	struct arena batch;
	struct scan_candidate *cands;
	size_t ncands, next_cand, cap_cands;
	struct scan_ref *refs;
	size_t nrefs, cap_refs;
	struct snapshot_place *places; /* of the only stream */
	size_t nplaces;
	struct scan_merger *current; /* SCAN_BY_STREAM */
	struct heap heap;            /* SCAN_BY_TIME */
	struct scan_merger *done;    /* freed when their queued rows are yielded */
	struct cursor *ended;        /* likewise, and when no group has rows of them */
	bool group_pending;
	struct buf scratch; /* a frame that only the filter looks at: */
	const struct segment *scratch_seg;
	uint32_t scratch_frame;
	struct dedup seen;
	struct scan_stats stats;
	struct err err;    /* cancelled or out of time */
	struct err damage; /* scratch */

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

/* Very many streams are open at once: what a cursor can read again it does not hold. */
static inline bool scan_is_crowded(const struct scan *sc) { return sc->o.order == SCAN_BY_TIME && sc->heap.n > 16; }

/* ---- snapshot.c ---- */

struct snapshot {
	struct store *st;
	pthread_mutex_t mu; /* guards the streams, what is known of sources, and the warning */
	struct arena arena;
	struct deletes *deletes;
	struct source *src; /* in arrival order */
	size_t nsrc;
	struct snapshot_stream **table;
	struct snapshot_stream **streams; /* by id */
	size_t ntable, nstreams, cap_streams;
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
 * sources in arrival order. Under the snapshot's lock; indexes are read without it. */
typedef void snapshot_each_fn(void *ud, struct source *src, const struct source_stream *st, struct snapshot_stream *rs);
void snapshot_each(struct snapshot *s, const struct matcher *m, size_t nm, int64_t from, int64_t to,
		   snapshot_each_fn *fn, void *ud);
/* Where one stream may have entries in [from, to), and perhaps outside. Allocated; free() it. */
struct snapshot_place *snapshot_places(struct snapshot *s, const struct snapshot_stream *rs, int64_t from, int64_t to,
				       size_t *n);
void snapshot_damaged(struct snapshot *s, const struct err *e);

static inline bool source_overlaps(const struct source *src, int64_t from, int64_t to)
{
	return src->max_ts >= from && src->min_ts < to;
}

static inline bool source_stream_overlaps(const struct source_stream *st, int64_t from, int64_t to)
{
	return st->rows && st->max_ts >= from && st->min_ts < to;
}

static inline struct snapshot_place snapshot_place_of(struct source *src, const struct source_stream *st)
{
	return (struct snapshot_place){src, st->i, st->first_row, st->rows, st->min_ts, st->max_ts};
}

/* But for hash and bytes. */
static inline struct source_stream snapshot_place_stream(const struct snapshot_place *p)
{
	return (struct source_stream){
		.i = p->stream, .first_row = p->first_row, .rows = p->rows, .min_ts = p->min_ts, .max_ts = p->max_ts};
}

#endif
