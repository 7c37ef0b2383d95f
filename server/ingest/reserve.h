/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reserve: the part of a disk that pushes leave alone, so that flush, replay, retention and compaction can always run.
 *
 * A push is let in while more is free than the reserve, plus what entries in memory may need once more when they
 * become segments. Where less is free than that, pushes are refused until there is an eighth of the reserve more, lest
 * every freed kilobyte let one push in. A disk that cannot be asked counts as having room: a write says more.
 * Any thread; no locks. Cost: a statvfs every 200 ms at most, and, near the line, one a push. */
#ifndef LARCH_SERVER_INGEST_RESERVE_H
#define LARCH_SERVER_INGEST_RESERVE_H

#include "common/budget.h"
#include "common/clock.h"
#include "common/fs.h"

struct reserve {
	struct fs *fs;
	struct clock *clock;
	const char *dir;      /* any directory on the disk */
	struct budget *heads; /* bytes that are still to become segments; may be NULL */
	uint64_t bytes;       /* larch.disk_reserve; 0: a twentieth of the disk, at most 1 GiB */
	double full_at;       /* ingester.wal.disk_full_threshold: full when this share is used; 0: does not count */

	_Atomic bool busy, low; /* low: pushes are refused until there is more than enough */
	_Atomic int64_t at;     /* monotonic: when measured last; what follows is as of then */
	_Atomic uint64_t avail, keep;
	_Atomic uint64_t written; /* let in since */
	_Atomic uint64_t refused; /* pushes, in all */
};

/* The members before `busy` are set. */
void reserve_init(struct reserve *r);
/* May a push write n bytes? False: ERR_NO_SPACE, which names directory, figures and setting. */
bool reserve_allows(struct reserve *r, uint64_t n, struct err *e);
/* May compaction? It may use half of the reserve, and leaves the rest to flushes. */
bool reserve_spares(struct reserve *r, uint64_t n, struct err *e);

#endif
