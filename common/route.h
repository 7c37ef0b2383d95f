/* SPDX-License-Identifier: GPL-2.0-or-later */
/* route: does a request's path fit a pattern such as "/label/{name}/values"?
 *
 * A {x} segment of the pattern fits one segment that is not empty; every other fits itself. Segments are cut
 * before they are decoded, so that an escaped slash is part of one. Pure; any thread; linear. */
#ifndef LARCH_COMMON_ROUTE_H
#define LARCH_COMMON_ROUTE_H

#include "common/arena.h"

#define ROUTE_SEGMENTS 16 /* longer paths fit no pattern */

struct route_path {
	struct str v[ROUTE_SEGMENTS]; /* decoded; the one before the leading slash is empty */
	size_t n;
};

/* path: as sent, its escapes known to be whole. False: too many segments. Segments borrow from path or lie in a. */
bool route_split(struct arena *a, struct str path, struct route_path *out);
bool route_matches(const char *pattern, const struct route_path *p);
/* The segment that {name} stands for, of a path that matches; absent: .p == NULL. */
struct str route_param(const char *pattern, const struct route_path *p, const char *name);
/* Is method one of "GET POST"? */
bool route_takes(const char *methods, const char *method);

#endif
