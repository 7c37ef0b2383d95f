/* SPDX-License-Identifier: GPL-2.0-or-later */
/* units: text ⇄ durations, sizes and times as Go, Prometheus and Loki write them.
 * Durations and times are int64 nanoseconds (times since the Unix epoch, UTC). Pure; any thread. */
#ifndef LARCH_COMMON_UNITS_H
#define LARCH_COMMON_UNITS_H

#include "common/buf.h"
#include "common/err.h"

#define UNITS_US   INT64_C(1000)
#define UNITS_MS   INT64_C(1000000)
#define UNITS_SEC  INT64_C(1000000000)
#define UNITS_MIN  (60 * UNITS_SEC)
#define UNITS_HOUR (3600 * UNITS_SEC)
#define UNITS_DAY  (24 * UNITS_HOUR)

/* Go time.ParseDuration: "1h30m", "1.5h", "-2us", "300ms", "0". No d, w, y. */
bool units_dur_go(struct str s, int64_t *ns, struct err *e);
/* Prometheus model.ParseDuration: ordered integer parts y w d h m s ms, e.g. "1w2d3h", "0". */
bool units_dur_prom(struct str s, int64_t *ns, struct err *e);
/* Prometheus' form first, then Go's: Loki's P type. */
bool units_dur_any(struct str s, int64_t *ns, struct err *e);
void units_dur_go_print(struct buf *b, int64_t ns);   /* Go Duration.String(): "1m3.5s", "0s", "332µs" */
void units_dur_prom_print(struct buf *b, int64_t ns); /* Prometheus: "1w", "9d", "1h30m", "0s"; below 1 ms is cut */

/* Settings: integer or decimal + unit, powers of 1024 whatever the spelling (KB, KiB, k, any case). */
bool units_bytes_1024(struct str s, uint64_t *n, struct err *e);
/* dustin/go-humanize ParseBytes: kB MB = powers of 1000, KiB MiB = powers of 1024, case-insensitive. */
bool units_bytes_human(struct str s, uint64_t *n, struct err *e);
void units_bytes_human_print(struct buf *b, uint64_t n); /* humanize.Bytes: "1.2 MB" without blank: "1.2MB" */
void units_bytes_1024_print(struct buf *b, uint64_t n);  /* flagext: "3MB", "1536KB", "100B" */

/* RFC3339 with optional fraction (any digits, cut at ns) and Z or ±hh:mm; what int64 ns cannot hold is refused. */
bool units_rfc3339(struct str s, int64_t *ns, struct err *e);
void units_rfc3339_print(struct buf *b, int64_t ns);     /* "2026-11-01T00:00:00Z", second precision */
void units_rfc3339nano_print(struct buf *b, int64_t ns); /* trailing zeros of the fraction cut */

/* Proleptic Gregorian, UTC. */
struct units_civil {
	int64_t year;
	int mon, day, hour, min, sec, nsec, wday /* 0 Sunday */, yday /* 1.. */;
};
void units_civil(int64_t ns, struct units_civil *c);
/* mon, day, … are normalised; wday and yday ignored; clamped to int64. */
int64_t units_from_civil(const struct units_civil *c);

#endif
