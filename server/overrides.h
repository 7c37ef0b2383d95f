/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overrides: what each tenant may do: limits_config, and over it the tenant's block in the files of runtime_config
 * (`overrides: {TENANT: {limits}}`), key by key; of several files the later ones win.
 *
 * The limits of one reading are an immutable set. Who asks holds the set until overrides_put(), so that a new reading
 * takes nothing away from a request under way. overrides_reload() is for one thread at a time, everything else for
 * any. */
#ifndef LARCH_SERVER_OVERRIDES_H
#define LARCH_SERVER_OVERRIDES_H

#include "common/fs.h"
#include "server/limits.h"

struct overrides;

/* Everything is borrowed for as long as the overrides live. NULL: a file cannot be read or is wrong. */
struct overrides *overrides_new(const struct limits *global, struct conf_strs files, struct fs *fs, struct err *e);
void overrides_free(struct overrides *o); /* nothing may be held */

/* The tenant's limits, held. */
const struct limits *overrides_get(struct overrides *o, struct str tenant);
void overrides_put(const struct limits *l); /* NULL is nothing */

/* Reads the files again. *changed: they say something new. False: what was read before stays. */
bool overrides_reload(struct overrides *o, bool *changed, struct err *e);

#endif
