/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tenant: what the files of this room share about a tenant and the store; nobody else includes it. */
#ifndef LARCH_SERVER_STORE_TENANT_H
#define LARCH_SERVER_STORE_TENANT_H

#include "server/store/deletes.h"
#include "server/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct tenant {
	struct store *st;
	struct str name, dir; /* dir: its objects' prefix, "<escaped name>/" */
	struct catalog catalog;
	_Atomic(struct feed *) feed; /* NULL: nobody follows; set under the lock */

	pthread_mutex_t mu;        /* guards what follows */
	struct map known;          /* streams in heads: see head.h */
	struct head **heads;       /* oldest first */
	struct segment **segments; /* by order, oldest first */
	struct map by_name;        /* segments by object name */
	size_t nheads, cap_heads, nsegments, cap_segments;
	struct deletes *deletes;
	uint64_t retention_id; /* of the rules that segments were last judged by; maintenance's own */
};

struct store {
	struct store_config c;
	char *dir;
	int lock;
	struct object_store *objects;
	struct cache *cache;
	struct task *refresher;

	pthread_mutex_t mu; /* guards what follows */
	struct map tenants; /* name -> struct tenant */
	struct map feeds;   /* name -> struct feed: of tenants that somebody follows */
	char warning[256];
};

/* Carries out a catalog entry: segments come and go, and `flushed` (may be NULL) leaves in the same step. Called
 * for every entry, in order, one at a time. */
void tenant_apply_entry(struct tenant *t, const struct catalog_entry *c, struct head *flushed);
/* Makes a catalog entry, from any thread (catalog_append()): it and all before it are carried out. */
bool tenant_append(struct tenant *t, struct catalog_entry *n, struct head *flushed, catalog_still_fn *still, void *ud,
		   struct err *e);
void store_warning(struct store *s, char out[256]);
/* The tenant's name from that of its directory. False: it is no tenant's. */
bool store_unescape(struct str dir, struct buf *out);

/* ---- refresh.c ---- */

/* Reads every catalog. */
bool store_load(struct store *s, struct err *e);
/* Starts the thread that calls store_refresh(), where other processes use the store. */
void store_start_refresh(struct store *s);

#endif
