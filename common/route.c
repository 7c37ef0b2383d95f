/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/route.h"

#include "common/url.h"

bool route_split(struct arena *a, struct str path, struct route_path *out)
{
	struct err e = ERR_INIT;
	bool more = true;

	for (out->n = 0; more; out->n++) {
		struct str segment;

		if (out->n == ROUTE_SEGMENTS) return false;
		more = str_cut(&path, '/', &segment);
		if (!url_decode(a, segment, false, &out->v[out->n], &e)) return false;
	}
	return true;
}

static bool is_param(struct str part) { return part.n > 2 && part.p[0] == '{'; }

bool route_matches(const char *pattern, const struct route_path *p)
{
	struct str pat = str_c(pattern), want;
	bool more = true;

	for (size_t i = 0; i < p->n; i++) {
		if (!more) return false;
		more = str_cut(&pat, '/', &want);
		if (is_param(want) ? p->v[i].n == 0 : !str_eq(want, p->v[i])) return false;
	}
	return !more;
}

struct str route_param(const char *pattern, const struct route_path *p, const char *name)
{
	struct str pat = str_c(pattern), part;

	for (size_t i = 0; i < p->n; i++) {
		str_cut(&pat, '/', &part);
		if (is_param(part) && str_eqc(str_sub(part, 1, part.n - 1), name)) return p->v[i];
	}
	return STR_NULL;
}

bool route_takes(const char *methods, const char *method)
{
	struct str all = str_c(methods), one;

	while (all.n) {
		str_cut(&all, ' ', &one);
		if (str_eqc(one, method)) return true;
	}
	return false;
}
