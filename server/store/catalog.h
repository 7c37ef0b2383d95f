/* SPDX-License-Identifier: GPL-2.0-or-later */
/* catalog: which segments a tenant has, and what was asked to be deleted: a numbered log of small objects, created
 * with put-if-absent (catalog_entry.h). State = all entries in order.
 *
 * An entry is atomic: what it says counts together or not at all. Whoever loses the race for a number reads the
 * winner's entry and tries the next. A damaged entry is skipped, counted and reported; while a tenant has one,
 * nothing of its is swept as unnamed. An entry of a newer version is an error: going on without what it says would
 * undo it.
 * Any thread: a mutex is held while entries are read or written and applied, so entries are applied one at a time
 * and in order. */
#ifndef LARCH_SERVER_STORE_CATALOG_H
#define LARCH_SERVER_STORE_CATALOG_H

#include "server/store/catalog_entry.h"

#include <pthread.h>

struct catalog {
	struct object_store *objects;
	char *dir;          /* "<tenant>/catalog/" */
	pthread_mutex_t io; /* held over object I/O; guards `next` */
	uint64_t next;      /* number to try */
	_Atomic uint64_t damaged;
	pthread_mutex_t mu;       /* guards the covers */
	struct wal_range *covers; /* merged, per writer ascending */
	size_t ncovers, cap_covers;
};

/* Called for every entry, in order, with the entry borrowed for the call, under the catalog's mutex. */
typedef void catalog_apply_fn(void *ud, const struct catalog_entry *c);
/* Does the entry still make sense? Asked, under the catalog's mutex, before each attempt at a number, when all that
 * comes before that number has been applied. False, and *e set (ERR_EXISTS by custom): nothing is written. */
typedef bool catalog_still_fn(void *ud, struct err *e);

void catalog_init(struct catalog *c, struct object_store *o, struct str dir);
void catalog_fini(struct catalog *c);
/* Reads the entries that are new since the last call. */
bool catalog_read(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e);
/* Numbers the entry and puts it; entries of others that came first are applied before it, then it is itself.
 * Added segments with order 0 and delete requests with number 0 get the entry's number. still may be NULL.
 * After an error the entry may have been made all the same (an answer lost on its way): what it names must not be
 * removed by hand; what is not named after all is swept. */
bool catalog_append(struct catalog *c, struct catalog_entry *n, catalog_still_fn *still, catalog_apply_fn *apply,
		    void *ud, struct err *e);
/* Is this WAL record in a segment that the catalog names? */
bool catalog_covers(struct catalog *c, uint64_t writer, uint64_t seq);

#endif
