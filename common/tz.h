/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tz: time zones by IANA name, from the system's zoneinfo files (TZif versions 1 to 4 with their footer, RFC 8536).
 * Immutable once made; any thread. Times are seconds since the epoch. */
#ifndef LARCH_COMMON_TZ_H
#define LARCH_COMMON_TZ_H

#include "common/err.h"
#include "common/str.h"

struct tz;

/* "UTC" and "" (UTC), "Local" (TZ or /etc/localtime), "Europe/Berlin". Error: "unknown time zone Mars/X". */
struct tz *tz_new(struct str name, struct err *e);
void tz_free(struct tz *z);

struct tz_rule {
	int32_t offset;     /* seconds east of UTC */
	const char *abbr;   /* borrows from the zone */
	int64_t from, to;   /* holds for from <= t < to, as far as known */
};

/* z NULL: UTC. */
struct tz_rule tz_at(const struct tz *z, int64_t utc);
/* Wall clock seconds → UTC, as Go's time.Date chooses when a wall clock repeats or is skipped. */
int64_t tz_to_utc(const struct tz *z, int64_t wall);
/* Offset of an abbreviation at about that wall clock time. False: the zone never used it. */
bool tz_abbr(const struct tz *z, struct str abbr, int64_t wall, int32_t *offset);

#endif
