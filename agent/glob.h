/* SPDX-License-Identifier: GPL-2.0-or-later */
/* glob: path patterns as Promtail's `__path__` has them (doublestar): `*` and `?` within one component
 * (they match a leading dot), `[a-z]` `[^a]` `[!a]`, `{a,b}` alternatives that may span components, `**` as
 * a whole component for any number of directories, and `\` before a literal. Symbolic links are followed;
 * a directory is not entered again below itself. A pattern that names an existing file means that file,
 * whatever characters it has. Bounded: 256 alternatives, 64 directories deep. Immutable; any thread. */
#ifndef LARCH_AGENT_GLOB_H
#define LARCH_AGENT_GLOB_H

#include "common/err.h"
#include "common/str.h"

struct glob;

struct glob *glob_new(struct str pattern, struct err *e);
void glob_free(struct glob *g);
bool glob_match(const struct glob *g, struct str path);
/* Calls fn for each existing path that is not a directory, each once, in byte order. Directories that
 * cannot be read are skipped. dir (may be NULL) is called for each directory that was looked into. */
void glob_each(const struct glob *g, void (*fn)(void *ud, const char *path), void (*dir)(void *ud, const char *path),
	       void *ud);

#endif
