/* SPDX-License-Identifier: GPL-2.0-or-later */
/* outbox: what was flushed and is not in a remote object store yet. It makes an outage cost disk, not lines.
 *
 * A flush writes its segments to the local disk, then its catalog entry, without a number, beside them: from then on
 * they count, whatever happens. One thread uploads entry after entry, oldest first: segments, then the entry into the
 * tenant's catalog; then the local files go. While the store is out of reach it tries again with growing pauses; what
 * waits is bounded, and beyond that flushes wait, then pushes.
 * Segments are read through outbox_objects(): the local file while there is one, else the remote object.
 * A segment that was uploaded long before its entry could be made may have been swept: it is uploaded again under
 * another name, under which only the remote object stands.
 * Threads: any, but outbox_open(), outbox_each() and outbox_free() while nobody else uses it. */
#ifndef LARCH_SERVER_STORE_OUTBOX_H
#define LARCH_SERVER_STORE_OUTBOX_H

#include "common/clock.h"
#include "server/store/catalog_entry.h"

struct outbox;

/* What the outbox asks of the tenants it serves. dir: a tenant's, "<tenant>/". From the uploading thread. */
struct outbox_ops {
	/* May the remote store be used? Asked before it is. */
	bool (*ready)(void *ud, struct err *e);
	/* Makes the entry in the tenant's catalog. */
	bool (*commit)(void *ud, struct str dir, struct catalog_entry *n, struct err *e);
	/* Does the tenant's catalog, as of now, know all segments of the entry (*yes)? Asked when an attempt was made
	 * before. */
	bool (*known)(void *ud, struct str dir, const struct catalog_entry *n, bool *yes, struct err *e);
	/* The entry is in the catalog: segments under these names need not count any longer beside those that the
	 * catalog names. */
	void (*settled)(void *ud, struct str dir, const struct str *names, size_t n);
};

struct outbox_config {
	struct fs *fs;
	struct clock *clock;
	const char *dir;             /* made when absent */
	struct object_store *remote; /* outlives the outbox */
	uint64_t limit;              /* bytes that may wait; 0: as many as the disk takes */
	int64_t grace_ns;            /* unnamed objects may be swept when they are so old */
	const struct outbox_ops *ops;
	void *ud;
};

/* Reads what an earlier process left. */
struct outbox *outbox_open(const struct outbox_config *c, struct err *e);
void outbox_free(struct outbox *o); /* what waits stays on the disk */
/* Calls fn for each waiting entry, oldest first. */
void outbox_each(struct outbox *o, void (*fn)(void *ud, struct str dir, const struct catalog_entry *n), void *ud);
/* Starts the uploading thread. */
bool outbox_start(struct outbox *o, struct err *e);
void outbox_stop(struct outbox *o);

/* New segments go to the local disk (ERR_UNAVAILABLE: too much waits already). Reads look there first. */
struct object_store *outbox_objects(struct outbox *o);
/* Makes the entry durable; its segments, which lie in the outbox, and what it covers, count from then on. *seq: 0 at
 * first; after a failure the entry may be there all the same, and the next attempt, with the same *seq, replaces it. */
bool outbox_put(struct outbox *o, struct str dir, const struct catalog_entry *n, uint64_t *seq, struct err *e);
/* Waits until all that waits now is uploaded. False: an attempt has failed since the call. */
bool outbox_wait(struct outbox *o, struct err *e);

struct outbox_stats {
	uint64_t entries, segments, bytes; /* waiting */
	int64_t oldest;                    /* ns, wall clock: when the first that waits was flushed; 0: none */
	uint64_t uploaded, uploaded_bytes, failures;
	struct err error; /* of the last attempt; ERR_NONE: it went well */
};
void outbox_stats(struct outbox *o, struct outbox_stats *out);

#endif
