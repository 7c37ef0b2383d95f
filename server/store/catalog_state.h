/* SPDX-License-Identifier: GPL-2.0-or-later */
/* catalog_state: what the entries of one tenant's catalog, in order, add up to, so that it can be written down as a
 * checkpoint.
 *
 * Owns copies of all strings. Not thread-safe: the catalog's lock guards it. Applying an entry costs what it says,
 * but for a removal, which looks through the tenant's segments. */
#ifndef LARCH_SERVER_STORE_CATALOG_STATE_H
#define LARCH_SERVER_STORE_CATALOG_STATE_H

#include "common/map.h"
#include "common/units.h"
#include "server/store/catalog_entry.h"

/* Removals are remembered for so long after they happened: whoever deletes objects waits less. */
#define CATALOG_REMOVALS_KEPT UNITS_DAY

/* Ranges of WAL records, merged where they touch, by writer and then ascending. */
struct catalog_covers {
	struct wal_range *v;
	size_t n, cap;
};

void catalog_covers_add(struct catalog_covers *c, struct wal_range r);
bool catalog_covers_has(const struct catalog_covers *c, uint64_t writer, uint64_t seq);

struct state_delete { /* a delete request */
	struct catalog_delete d;
	bool cancelled, done;
};

struct catalog_state {
	struct catalog_segment **segments; /* by order, then as they came */
	size_t nsegments, cap_segments;
	struct map by_name;
	struct catalog_removal *removed;
	size_t nremoved, cap_removed;
	struct catalog_covers covers;
	struct state_delete **deletes; /* by number */
	size_t ndeletes, cap_deletes;
	struct map deletes_by_id;
	struct catalog_cut cuts[CATALOG_CUT_REASONS]; /* summed up */
	uint64_t *damaged;
	size_t ndamaged, cap_damaged;
};

void catalog_state_fini(struct catalog_state *s); /* leaves {0}, which is the empty state */
void catalog_state_apply(struct catalog_state *s, const struct catalog_entry *c);
void catalog_state_damaged(struct catalog_state *s, uint64_t number);
/* The state as one entry, without number and time; arrays in the arena, strings borrow from the state. */
void catalog_state_collect(const struct catalog_state *s, struct arena *a, struct catalog_entry *out);
bool catalog_state_has(const struct catalog_state *s, struct str segment);
/* When the segment was removed; 0: it was not, or long ago. */
int64_t catalog_state_removed(const struct catalog_state *s, struct str segment);

#endif
