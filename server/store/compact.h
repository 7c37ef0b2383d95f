/* SPDX-License-Identifier: GPL-2.0-or-later */
/* compact: merges a tenant's segments, one merge at a time: plans (compact_plan.h), writes (compact_merge.h), and
 * swaps inputs for output in one catalog entry. A crash, or losing a race against another process, leaves at worst an
 * object that no catalog names. One thread at a time per tenant. */
#ifndef LARCH_SERVER_STORE_COMPACT_H
#define LARCH_SERVER_STORE_COMPACT_H

#include "server/store/compact_plan.h"
#include "server/store/retention.h"

struct tenant;

struct compact_opts {
	uint64_t target, memory; /* of compact_rules */
	bool all;
	int64_t now;                       /* ns, wall clock */
	const struct retention *retention; /* rows past their period are left out */
	int64_t deletes_before;            /* delete requests made before this may be carried out; INT64_MIN: none */
	bool (*step)(void *ud, struct err *e); /* of merge_opts; may be NULL */
	/* May a merge write so many bytes? Asked before each; may be NULL. */
	bool (*room)(void *ud, uint64_t bytes, struct err *e);
	void *ud;
};

struct compact_done {
	uint64_t merges, inputs;
	uint64_t read, written; /* bytes of objects */
	uint64_t rows;          /* read */
	uint64_t copies, expired, deleted;
};

/* Marks the segments in which delete requests that may be carried out hide something; where they cannot, as no stream
 * is meant, the catalog says so. */
bool compact_mark_deletes(struct tenant *t, int64_t before, struct err *e);

/* Carries out the next merge and adds its figures. *more: there was one, and there may be another. An input that turns
 * out to be damaged is logged, left alone from then on, and counts as progress. */
bool compact_step(struct tenant *t, const struct compact_opts *o, struct compact_done *done, bool *more, struct err *e);
struct compact_backlog compact_tenant_backlog(struct tenant *t, const struct compact_opts *o);

#endif
