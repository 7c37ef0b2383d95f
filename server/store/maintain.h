/* SPDX-License-Identifier: GPL-2.0-or-later */
/* maintain: the thread that keeps a store in order: retention by age and by bytes, delete requests made true on disk,
 * compaction, removal of objects that nothing names any more.
 *
 * A round goes through all tenants: what is past its retention leaves their catalogs; then each tenant's segments are
 * merged until nothing is left to merge; then objects are swept. Where this takes long, retention and sweeping come in
 * between when they are due. What fails is logged and tried again in the next
 * round; one tenant's failure does not hold up the others.
 * Merging is throttled to a share of one core, and to a tenth while queries run or pushes wait for memory. */
#ifndef LARCH_SERVER_STORE_MAINTAIN_H
#define LARCH_SERVER_STORE_MAINTAIN_H

#include "server/overrides.h"
#include "server/store/compact.h"
#include "server/store/store.h"

struct maintain;

struct maintain_config {
	struct store *store;         /* outlives it */
	struct overrides *overrides; /* each tenant's retention; outlives it */
	struct clock *clock;
	bool (*busy)(void *ud); /* is there work that compaction should make way for? May be NULL */
	/* Is there space to write so many bytes beside what is kept for flushes? May be NULL. */
	bool (*room)(void *ud, uint64_t bytes, struct err *e);
	void *ud;
	int64_t interval_ns;           /* between rounds; 0: only maintain_run() */
	int64_t retention_interval_ns; /* retention is applied so often; 0: in each round */
	int64_t cancel_ns;             /* delete requests of that age are carried out */
	uint64_t target;               /* bytes of lines that merged segments should have */
	uint64_t memory;               /* for reading a merge's inputs */
	uint64_t retention_bytes;      /* what all tenants' segments together may take; 0: no limit */
	unsigned cpu_percent;          /* of one core, that merging may take */
	bool compact;                  /* false: no merges, no retention: another process on the store does that */
};

struct maintain *maintain_start(const struct maintain_config *c, struct err *e); /* NULL: no thread */
/* Gives up what is under way; who waits in maintain_run() gets an answer. Then only maintain_stop() may do more. */
void maintain_give_up(struct maintain *m);
void maintain_stop(struct maintain *m); /* gives up, waits, frees; NULL is nothing */

/* Makes a round that merges whatever can be merged, and waits for its end. ERR_UNAVAILABLE: stopping; ERR_CANCELLED
 * when *cancel becomes true (the round goes on); else the last thing that failed in it. */
bool maintain_run(struct maintain *m, const _Atomic bool *cancel, struct err *e);

struct maintain_stats {            /* since start */
	uint64_t rounds, failures; /* failures: of a tenant in a round */
	struct compact_done done;
	struct compact_backlog backlog; /* when the last round ended */
	int64_t last_round;             /* ns, wall clock, when it ended; 0: there was none */
	int64_t last_success;           /* of a round without failures */
	double seconds;                 /* spent merging, pauses not counted */
	bool running;
};
void maintain_stats(struct maintain *m, struct maintain_stats *out);

struct maintain_tenant {
	struct str name;
	uint64_t segments, size, rows, bytes; /* size: of objects; bytes: of lines */
	int64_t oldest, newest;               /* of entries in segments; when there are any */
	struct compact_backlog backlog;       /* when asked for */
	int64_t next_deletion;                /* ns; INT64_MAX: none is foreseen */
	uint64_t deletes_pending;
	struct catalog_cut cuts[CATALOG_CUT_REASONS]; /* all there ever were */
};
/* Calls fn for every tenant, in order of their names. A backlog takes time, as all its merges are planned. */
void maintain_tenants(struct maintain *m, bool backlog, void (*fn)(void *ud, const struct maintain_tenant *t),
		      void *ud);

#endif
