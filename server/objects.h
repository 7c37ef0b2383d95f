/* SPDX-License-Identifier: GPL-2.0-or-later */
/* objects: the object store that the configuration names, with the local cache and the figures that belong to it. */
#ifndef LARCH_SERVER_OBJECTS_H
#define LARCH_SERVER_OBJECTS_H

#include "server/config.h"
#include "server/metrics.h"
#include "server/store/object.h"

struct objects {
	struct metrics *metrics;
	struct object_store *store;          /* NULL: files in the data directory; whoever takes it frees it */
	struct object_store *cache, *bucket; /* if there is one; part of store */
	bool remote, shared;                 /* as in store_config */
};

/* o and c live as long as the store. */
bool objects_open(struct objects *o, const struct config *c, struct metrics *m, struct err *e);
/* Will the bucket do? Of a struct objects. */
bool objects_check(void *ud, struct err *e);
/* Puts the cache's figures into the metrics. */
void objects_figures(const struct objects *o);

#endif
