/* SPDX-License-Identifier: GPL-2.0-or-later */
/* siblings: the files that log rotation leaves beside a path: app.log.1, app.log-20240131, app-3.log,
 * app.log.old … Compressed ones are left out. Pure but for reading the directory. */
#ifndef LARCH_AGENT_SIBLINGS_H
#define LARCH_AGENT_SIBLINGS_H

#include "common/str.h"

#include <sys/stat.h>

struct sibling {
	char *path;
	struct stat st;
};

struct siblings {
	struct sibling *v; /* oldest modification first */
	size_t n, cap;
};

/* Is `name` what rotation may call a former `base`? */
bool sibling_name(struct str base, struct str name);
/* Regular files beside path; all of them, or those with sibling names. */
void siblings_list(struct siblings *s, const char *path, bool all);
void siblings_free(struct siblings *s);

#endif
