/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/timearg.h"

#include "common/units.h"

#include <math.h>

#define SECONDS_DIGITS 10 /* as the server reads integers: longer ones are nanoseconds */

bool timearg_duration(struct str s, int64_t *ns, struct err *e)
{
	struct err ignored = ERR_INIT;

	if (units_dur_any(s, ns, &ignored) && *ns >= 0) return true;
	return err_set(e, ERR_INVALID, "\"%.*s\" is not a duration; write it like 15m, 1h30m or 7d", STR_ARG(s));
}

static bool unix_time(struct str s, int64_t *ns)
{
	double seconds;
	int64_t v;

	if (str_to_i64(s, &v)) {
		*ns = v;
		return s.n > SECONDS_DIGITS || !__builtin_mul_overflow(v, UNITS_SEC, ns);
	}
	if (str_chr(s, '.') < 0 || !str_to_f64(s, &seconds) || !(fabs(seconds) < 9e9)) return false;
	*ns = (int64_t)floor(seconds) * UNITS_SEC + llround((seconds - floor(seconds)) * 1e6) * UNITS_US;
	return true;
}

static bool date_only(struct str s, int64_t *ns)
{
	struct err ignored = ERR_INIT;
	char full[32];

	if (s.n != strlen("2006-01-02")) return false;
	memcpy(full, s.p, s.n);
	memcpy(full + s.n, "T00:00:00Z", sizeof "T00:00:00Z");
	return units_rfc3339(str_c(full), ns, &ignored);
}

bool timearg_parse(struct str s, int64_t now, int64_t *ns, struct err *e)
{
	struct err ignored = ERR_INIT;

	if (str_eqc(s, "now")) {
		*ns = now;
		return true;
	}
	if (unix_time(s, ns) || date_only(s, ns) || units_rfc3339(s, ns, &ignored)) return true;
	if (timearg_duration(s, ns, &ignored)) {
		*ns = now - *ns;
		return true;
	}
	return err_set(e, ERR_INVALID,
		       "\"%.*s\" is not a time; write it like 2026-11-01T10:00:00Z, 2026-11-01, 1793527200 (seconds or "
		       "nanoseconds since 1970), now, or 15m (ago)",
		       STR_ARG(s));
}
