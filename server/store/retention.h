/* SPDX-License-Identifier: GPL-2.0-or-later */
/* retention: how long a tenant's streams are kept, and what of a segment is past that (limits_config's
 * retention_period and retention_stream, as Loki resolves them).
 *
 * A stream's period is that of the matching rule with the highest priority, of several with the same the shortest;
 * without one the tenant's; 0 is for ever. Pure but for matching; any thread once made. */
#ifndef LARCH_SERVER_STORE_RETENTION_H
#define LARCH_SERVER_STORE_RETENTION_H

#include "pipeline/selector.h"
#include "server/limits.h"
#include "server/store/catalog_entry.h"
#include "server/store/columns.h"

#define RETENTION_REASONS CATALOG_CUT_BYTES /* the reasons before it are those of age */

struct retention;

/* l's rules have been checked (limits.c). */
struct retention *retention_new(const struct limits *l);
void retention_free(struct retention *r);
uint64_t retention_id(const struct retention *r); /* differs for different rules, never 0 */
/* Rows of the stream before this time are past their period; INT64_MIN: none ever is. */
int64_t retention_keep_from(const struct retention *r, const struct labels *stream, int64_t now,
			    enum catalog_cut_reason *reason);

/* When all of a segment is past its period, and when the first of it may be; INT64_MAX: never. From the bounds of its
 * timestamps alone: with rules per stream all_at is late rather than early, and first_at early rather than late. */
struct retention_bounds {
	int64_t first_at, all_at;
	bool exact; /* all_at is: there are no rules per stream */
};
struct retention_bounds retention_bounds(const struct retention *r, int64_t min_ts, int64_t max_ts);

/* What a segment's streams say. A stream counts when its newest entry is past its period. */
struct retention_look {
	struct retention_tally {
		uint64_t rows, bytes; /* bytes: of lines */
		int64_t min_ts, max_ts;
	} past[RETENTION_REASONS];
	uint64_t rows, bytes; /* together */
	int64_t since;        /* when the first of them was */
	int64_t next;         /* when the next stream will be; INT64_MAX: never */
};
bool retention_look(const struct retention *r, struct segment_view *v, int64_t now, struct retention_look *out,
		    struct err *e);

/* One line of the log for what was taken away. */
void retention_log(struct str tenant, const struct catalog_cut *c);

/* Is rewriting the segment worth it? At a quarter of its bytes, or when some of it is due for a day. */
bool retention_worthwhile(const struct retention_look *l, uint64_t bytes, int64_t now);

#endif
