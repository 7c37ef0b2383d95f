/* SPDX-License-Identifier: GPL-2.0-or-later */
/* timearg: points in time and durations as people type them. Pure; any thread. */
#ifndef LARCH_CLI_TIMEARG_H
#define LARCH_CLI_TIMEARG_H

#include "common/err.h"
#include "common/str.h"

/* RFC3339 ("2026-11-01T10:00:00Z", also with +01:00 and a fraction), a date alone ("2026-11-01": its midnight,
 * UTC), Unix seconds (up to 10 digits, a fraction allowed), Unix nanoseconds (more digits), "now", or a duration
 * that says how long ago ("15m", "1d12h"). */
bool timearg_parse(struct str s, int64_t now, int64_t *ns, struct err *e);
/* Prometheus' form ("1d", "1h30m") or Go's ("1.5h"); not negative. */
bool timearg_duration(struct str s, int64_t *ns, struct err *e);

#endif
