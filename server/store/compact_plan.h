/* SPDX-License-Identifier: GPL-2.0-or-later */
/* compact_plan: which segments of a tenant are to be merged next. Pure functions over what the catalog says.
 *
 * Segments are merged within one UTC day, and only such as follow each other there in arrival order: the result
 * takes the place of the first, and no third segment may stand between rows with equal timestamps. A day that may
 * still grow waits for enough segments of like size, so that a row is rewritten once for each doubling and rarely
 * more than twice; a day that is over is merged with less ado. What has reached three quarters of the target is
 * done, once it has been compressed hard. */
#ifndef LARCH_SERVER_STORE_COMPACT_PLAN_H
#define LARCH_SERVER_STORE_COMPACT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct compact_segment {
	int64_t day;      /* since the epoch */
	uint64_t bytes;   /* of lines */
	uint64_t streams; /* the output's index takes memory for them */
	uint64_t apart;   /* segments with different values must not be merged */
	bool hard;        /* written by a compaction */
	bool rewrite;     /* holds rows that are to go: rewritten even alone */
	bool skip;        /* cannot be read: left alone, and nothing is merged across it */
};

struct compact_rules {
	uint64_t target;    /* bytes of lines */
	uint64_t memory;    /* what a merge may take */
	int64_t closed_day; /* days before this one are over */
	bool all;           /* do not wait for more: merge whatever can be merged */
};

#define COMPACT_INPUTS 32 /* of one merge, at most */

struct compact_job {
	size_t v[COMPACT_INPUTS]; /* indices, in arrival order */
	size_t n;                 /* 0: nothing to do */
};

/* v in arrival order. Rewrites come first, then the oldest day. */
void compact_plan(const struct compact_segment *v, size_t n, const struct compact_rules *r, struct compact_job *out);

/* What compact_plan() would do if nothing new came: segments that go into merges, each counted once, and their
 * bytes. */
struct compact_backlog {
	uint64_t segments, bytes;
};
struct compact_backlog compact_backlog(const struct compact_segment *v, size_t n, const struct compact_rules *r);

/* Memory that one input of a merge takes, near enough. */
uint64_t compact_memory(const struct compact_segment *s);

int64_t compact_day(int64_t ts);

#endif
