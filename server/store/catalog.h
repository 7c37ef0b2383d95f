/* SPDX-License-Identifier: GPL-2.0-or-later */
/* catalog: which segments a tenant has, and what was asked to be deleted: a numbered log of small objects, created
 * with put-if-absent (catalog_entry.h). State = the newest checkpoint + the entries after it, in order.
 *
 * An entry is atomic: what it says counts together or not at all. Whoever loses the race for a number reads the
 * winner's entry and tries the next. A damaged entry is skipped, counted and reported; while a tenant has one,
 * nothing of its is swept as unnamed. An entry of a newer version is an error: going on without what it says would
 * undo it.
 * Every 64 entries whoever made the last one writes a checkpoint, and removes what two readable checkpoints of some
 * age make superfluous: entries up to the older one, checkpoints before it. A reader that is behind the last but one
 * checkpoint starts again from the last. A writer that has not listed the log for half the grace time looks, after
 * it made an entry, whether the number was free only because the entry there had been removed.
 * Any thread: a mutex is held while entries are read or written and applied, so entries are applied one at a time
 * and in order. */
#ifndef LARCH_SERVER_STORE_CATALOG_H
#define LARCH_SERVER_STORE_CATALOG_H

#include "common/clock.h"
#include "server/store/catalog_state.h"

#include <pthread.h>

struct catalog_config {
	struct object_store *objects;
	struct object_store
		*mirror; /* local copies of what was read and made, for a start without `objects`; or NULL */
	struct clock *clock;
	int64_t grace_ns;          /* what is superfluous is removed when older */
	unsigned checkpoint_every; /* entries; 0: 64 */
	bool shared;               /* other processes make entries too */
};

struct catalog {
	struct catalog_config c;
	char *dir;                /* "<tenant>/catalog/" */
	pthread_mutex_t io;       /* held over object I/O; guards what follows */
	uint64_t next;            /* number to try */
	uint64_t checkpoint;      /* number of the newest one known; 0: none */
	struct clock_mark listed; /* when the log was listed last */
	_Atomic uint64_t damaged;
	pthread_mutex_t mu; /* the state is changed under both and read under either */
	struct catalog_state state;
};

/* Called for every entry, in order, with the entry borrowed for the call, under the catalog's mutex; the state has it
 * already. A checkpoint comes as an entry that is `whole`. */
typedef void catalog_apply_fn(void *ud, const struct catalog_entry *c);
/* Does the entry still make sense? Asked, under the catalog's mutex, before each attempt at a number, when all that
 * comes before that number has been applied. False, and *e set (ERR_EXISTS by custom): nothing is written. */
typedef bool catalog_still_fn(void *ud, struct err *e);

void catalog_init(struct catalog *c, const struct catalog_config *config, struct str dir);
void catalog_fini(struct catalog *c);
/* Reads what is new since the last call. */
bool catalog_read(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e);
/* From where reading has come to, what the mirror has. */
bool catalog_read_mirror(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e);
/* As catalog_read(), for every few seconds: mostly it asks only whether the next number is there. */
bool catalog_poll(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e);
/* Numbers the entry and puts it; entries of others that came first are applied before it, then it is itself.
 * Added segments with order 0 and delete requests with number 0 get the entry's number. still may be NULL.
 * After an error the entry may have been made all the same (an answer lost on its way): what it names must not be
 * removed by hand; what is not named after all is swept. */
bool catalog_append(struct catalog *c, struct catalog_entry *n, catalog_still_fn *still, catalog_apply_fn *apply,
		    void *ud, struct err *e);
/* Writes a checkpoint when one is due. A failure is logged; the next entry tries again. */
void catalog_checkpoint(struct catalog *c);
/* No entry has ever been read or made. */
bool catalog_is_empty(struct catalog *c);
/* What retention has taken away in all, by reason. */
void catalog_cuts(struct catalog *c, struct catalog_cut out[CATALOG_CUT_REASONS]);
/* Is the segment there, or was it removed not long ago? */
bool catalog_knows(struct catalog *c, struct str segment);
/* When the segment was removed, ns; 0: it was not, or long ago. */
int64_t catalog_removed(struct catalog *c, struct str segment);
/* Is this WAL record in a segment that the catalog names? */
bool catalog_covers(struct catalog *c, uint64_t writer, uint64_t seq);

#endif
