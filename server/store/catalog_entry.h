/* SPDX-License-Identifier: GPL-2.0-or-later */
/* catalog_entry: one entry of a tenant's catalog, and a checkpoint, which is the sum of all entries up to a number
 * in the same form (docs/FORMATS.md, Catalog entry).
 *
 * Plain data: strings borrow from the bytes that were decoded, or from whoever builds the entry. A damaged entry is
 * ERR_CORRUPT; a whole one of a newer version is ERR_UNPROCESSABLE, so that nobody takes it for damage. */
#ifndef LARCH_SERVER_STORE_CATALOG_ENTRY_H
#define LARCH_SERVER_STORE_CATALOG_ENTRY_H

#include "server/store/segment.h"

#define CATALOG_VERSION   2
#define CATALOG_ENTRY_MAX (64u << 20) /* bytes */

/* A segment as the catalog describes it, so that it need not be opened to be left out of a query. */
struct catalog_segment {
	struct str name; /* of the object, below the tenant's directory */
	uint64_t size, rows, bytes, streams, order;
	int64_t min_ts, max_ts;
	uint64_t purged; /* delete requests up to this number hide nothing in it any more */
	bool hard;       /* written by a compaction, which compresses harder than a flush */
};

struct catalog_removal { /* of a segment */
	struct str name;
	int64_t at; /* ns, wall clock; catalog_append() puts the entry's own time in place of 0 */
};

/* A request is known by its id and ordered by its number, which is that of the entry that made it
 * (catalog_append() fills in a 0). */
struct catalog_delete {
	struct str id;
	uint64_t number;
	int64_t created;  /* ns, wall clock */
	int64_t from, to; /* ns, both included */
	struct str query;
};

/* Requests up to `number` have been carried out on the segment. */
struct catalog_purge {
	struct str name;
	uint64_t number;
};

enum catalog_cut_reason { CATALOG_CUT_PERIOD, CATALOG_CUT_STREAM, CATALOG_CUT_BYTES, CATALOG_CUT_REASONS };

const char *catalog_cut_name(enum catalog_cut_reason r); /* the setting: "retention_period" … */

/* What retention took away. */
struct catalog_cut {
	enum catalog_cut_reason reason;
	uint64_t rows, bytes, segments; /* bytes: of lines */
	int64_t min_ts, max_ts;
};

struct catalog_entry {
	uint64_t number; /* of a checkpoint: of the last entry in it */
	int64_t created; /* ns, wall clock of the writer */
	bool whole;      /* a checkpoint: what it does not name is not there */
	struct catalog_segment *added;
	struct catalog_removal *removed;
	struct wal_range *covers;
	struct catalog_delete *deletes;
	struct str *cancelled, *done; /* ids of delete requests */
	struct catalog_purge *purged;
	struct catalog_cut *cuts;
	uint64_t *damaged; /* numbers of entries that could not be read; checkpoints only */
	size_t nadded, nremoved, ncovers, ndeletes, ncancelled, ndone, npurged, ncuts, ndamaged;
};

void catalog_entry_encode(const struct catalog_entry *c, struct buf *out);
/* Arrays in the arena, names borrow from bytes. */
bool catalog_entry_decode(struct str bytes, struct arena *a, struct catalog_entry *c, struct err *e);

#endif
