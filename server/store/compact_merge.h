/* SPDX-License-Identifier: GPL-2.0-or-later */
/* compact_merge: several segments of a tenant into one: streams in order of their labels, a stream's rows by
 * (timestamp, input, arrival), each entry once; rows that are hidden or expired are left out.
 *
 * Inputs are read once, in order, past the shared cache: an expanded frame, a granule of each column and the index of
 * every input are in memory, and what segwrite.h says of the output. Rows are left out before copies are looked for,
 * so that a hidden row hides no later one. The caller's thread. */
#ifndef LARCH_SERVER_STORE_COMPACT_MERGE_H
#define LARCH_SERVER_STORE_COMPACT_MERGE_H

#include "server/store/mask.h"
#include "server/store/segwrite.h"

#define MERGE_REASONS 2 /* why a row is expired: the caller's numbers 0 and 1 */

struct merge_opts {
	int level; /* of compression */
	/* Rows of the stream before this time are expired, for the reason *reason; INT64_MIN: none. May be NULL. */
	int64_t (*keep_from)(void *ud, const struct labels *stream, unsigned *reason);
	/* What is hidden in each input, with NULL where nothing is. May be NULL. */
	struct mask *const *masks;
	/* Called for every MiB of lines or so: may sleep; false ends the merge. May be NULL. */
	bool (*step)(void *ud, struct err *e);
	void *ud;
};

struct merge_expired {
	uint64_t rows, bytes; /* bytes: of lines */
	int64_t min_ts, max_ts;
};

struct merge_result {
	struct segwrite_result out; /* rows 0: nothing was left, and nothing was written */
	uint64_t rows, copies, hidden;
	struct merge_expired expired[MERGE_REASONS];
	size_t damaged; /* after ERR_CORRUPT or ERR_NOT_FOUND: the input that cannot be read, or is gone; n: none */
};

/* in: in arrival order; n >= 1. The object `name` is committed when all is well. */
bool merge_segments(struct object_store *o, struct segment *const *in, size_t n, struct str name, struct str tenant,
		    const struct merge_opts *opts, struct merge_result *out, struct err *e);

#endif
