/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/convert.h"

#include "common/units.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

static bool bad_float(struct arena *a, struct str s, struct str *why)
{
	char text[512];
	bool range = false;
	if (s.n && s.n < sizeof text) {
		memcpy(text, s.p, s.n);
		text[s.n] = 0;
		char *end;
		range = isinf(strtod(text, &end)) && end == text + s.n;
	}
	struct buf b = {0};
	buf_c(&b, "strconv.ParseFloat: parsing ");
	buf_quote(&b, s);
	buf_c(&b, range ? ": value out of range" : ": invalid syntax");
	*why = arena_str(a, buf_view(&b));
	buf_free(&b);
	return false;
}

bool convert_number(struct arena *a, struct str s, double *out, struct str *why)
{
	return str_to_f64(s, out) || bad_float(a, s, why);
}

bool convert_duration(struct arena *a, struct str s, int64_t *ns, struct str *why)
{
	struct err e = ERR_INIT;
	if (units_dur_go(s, ns, &e)) return true;
	*why = arena_str(a, str_c(e.msg));
	return false;
}

/* "", b, kb, kib, ki, … in lower case. */
static bool known_unit(struct str u)
{
	if (u.n && strchr("kmgtpe", u.p[0])) {
		u = str_from(u, 1);
		if (u.n && u.p[0] == 'i') u = str_from(u, 1);
	}
	return u.n == 0 || str_eqc(u, "b");
}

bool convert_bytes(struct arena *a, struct str s, uint64_t *n, struct str *why)
{
	struct err e = ERR_INIT;
	if (units_bytes_human(s, n, &e)) return true;
	size_t digits = 0, kept = 0;
	char *num = arena_alloc(a, s.n + 1);
	while (digits < s.n && (isdigit((unsigned char)s.p[digits]) || s.p[digits] == '.' || s.p[digits] == ',')) {
		if (s.p[digits] != ',') num[kept++] = s.p[digits];
		digits++;
	}
	double f;
	if (!convert_number(a, str_of(num, kept), &f, why)) return false;
	struct str unit = str_trim(str_from(s, digits));
	char *low = arena_cstr(a, unit);
	for (size_t i = 0; i < unit.n; i++) low[i] = (char)tolower((unsigned char)low[i]);
	if (known_unit(str_of(low, unit.n)))
		*why = arena_printf(a, "too large: %.*s", STR_ARG(s));
	else
		*why = arena_printf(a, "unhandled size name: %s", low);
	return false;
}
