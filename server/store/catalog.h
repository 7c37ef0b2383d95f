/* SPDX-License-Identifier: GPL-2.0-or-later */
/* catalog: which segments a tenant has: a numbered log of small objects, created with put-if-absent
 * (docs/FORMATS.md, Catalog entry). State = all entries in order.
 *
 * An entry is atomic: what it adds, removes and covers counts together or not at all. Whoever loses the race for
 * a number reads the winner's entry and tries the next. A damaged entry is skipped, counted and reported; while a
 * tenant has one, nothing of its is swept as unnamed. One thread at a time per catalog, but for
 * catalog_covers(), which any thread may call. */
#ifndef LARCH_SERVER_STORE_CATALOG_H
#define LARCH_SERVER_STORE_CATALOG_H

#include "server/store/segment.h"

#include <pthread.h>

#define CATALOG_VERSION   1
#define CATALOG_ENTRY_MAX (64u << 20) /* bytes */

/* A segment as the catalog describes it, so that it need not be opened to be left out of a query. */
struct catalog_segment {
	struct str name; /* of the object, below the tenant's directory */
	uint64_t size, rows, bytes, streams, order;
	int64_t min_ts, max_ts;
};

struct catalog_entry {
	uint64_t number;
	int64_t created; /* ns, wall clock of the writer */
	struct catalog_segment *added;
	struct str *removed;
	struct wal_range *covers;
	size_t nadded, nremoved, ncovers;
};

void catalog_entry_encode(const struct catalog_entry *c, struct buf *out);
/* Arrays in the arena, names borrow from bytes. */
bool catalog_entry_decode(struct str bytes, struct arena *a, struct catalog_entry *c, struct err *e);

struct catalog {
	struct object_store *objects;
	char *dir;     /* "<tenant>/catalog/" */
	uint64_t next; /* number to try */
	_Atomic uint64_t damaged;
	pthread_mutex_t mu;       /* guards the covers, which replay asks for while the flush thread appends */
	struct wal_range *covers; /* merged, per writer ascending */
	size_t ncovers, cap_covers;
};

/* Called for every entry, in order, with the entry borrowed for the call. */
typedef void catalog_apply_fn(void *ud, const struct catalog_entry *c);

void catalog_init(struct catalog *c, struct object_store *o, struct str dir);
void catalog_fini(struct catalog *c);
/* Reads the entries that are new since the last call. */
bool catalog_read(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e);
/* Numbers the entry and puts it; entries of others that came first are applied before it, then it is itself.
 * Added segments with order 0 get the entry's number. */
bool catalog_append(struct catalog *c, struct catalog_entry *n, catalog_apply_fn *apply, void *ud, struct err *e);
/* Is this WAL record in a segment that the catalog names? */
bool catalog_covers(struct catalog *c, uint64_t writer, uint64_t seq);

#endif
