/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tenant: what the files of this room share about a tenant and the store; nobody else includes it. */
#ifndef LARCH_SERVER_STORE_TENANT_H
#define LARCH_SERVER_STORE_TENANT_H

#include "server/store/deletes.h"
#include "server/store/outbox.h"
#include "server/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct tenant {
	struct store *st;
	struct str name, dir; /* dir: its objects' prefix, "<escaped name>/" */
	struct catalog catalog;
	_Atomic(struct feed *) feed; /* NULL: nobody follows; set under the lock */

	pthread_mutex_t mu;            /* guards what follows */
	struct map known;              /* streams in heads: see head.h */
	struct head **heads;           /* oldest first */
	struct segment **segments;     /* by order, oldest first */
	struct map by_name;            /* segments by object name */
	struct catalog_covers pending; /* what segments in the outbox cover */
	size_t nheads, cap_heads, nsegments, cap_segments;
	struct deletes *deletes;
	uint64_t retention_id; /* of the rules that segments were last judged by; maintenance's own */
};

struct store {
	struct store_config c;
	char *dir;
	int lock;
	struct object_store *objects;
	struct object_store *segments; /* the same, or the outbox before it */
	struct object_store *mirror;   /* of catalogs, on the local disk; remote only */
	struct outbox *outbox;         /* remote only */
	struct cache *cache;
	struct task *refresher;
	pthread_mutex_t checking; /* held while the objects are checked */
	bool checked;             /* under it: they may be used */

	pthread_mutex_t mu; /* guards what follows */
	struct map tenants; /* name -> struct tenant */
	struct map feeds;   /* name -> struct feed: of tenants that somebody follows */
	char warning[256];
	bool away; /* the objects were out of reach when others' entries were looked for last */
};

/* Carries out a catalog entry: segments come and go, and `flushed` (may be NULL) leaves in the same step. Called
 * for every entry, in order, one at a time. */
void tenant_apply_entry(struct tenant *t, const struct catalog_entry *c, struct head *flushed);
/* Makes a catalog entry, from any thread (catalog_append()): it and all before it are carried out. */
bool tenant_append(struct tenant *t, struct catalog_entry *n, struct head *flushed, catalog_still_fn *still, void *ud,
		   struct err *e);
/* Reads what others appended: catalog_read(), catalog_poll(), catalog_read_mirror(). */
bool tenant_read(struct tenant *t, struct err *e);
bool tenant_poll(struct tenant *t, struct err *e);
bool tenant_read_mirror(struct tenant *t, struct err *e);
/* How many of the segments a catalog names: they come first; the rest waits in the outbox, and is not to be compacted
 * or dropped yet. Under the tenant's lock. */
size_t tenant_named_segments(const struct tenant *t);
/* Segments that wait in the outbox count from now on, and what they cover; `flushed` (may be NULL) leaves. */
void tenant_apply_pending(struct tenant *t, const struct catalog_entry *n, struct head *flushed);
/* What an earlier process left in the outbox. */
void store_load_outbox(struct store *s);
extern const struct outbox_ops pending_ops; /* of a store */
void store_warning(struct store *s, char out[256]);
/* The name of the directory of a tenant of that name. */
void store_escape(struct str name, struct buf *out);
/* The tenant's name from that of its directory. False: it is no tenant's. */
bool store_unescape(struct str dir, struct buf *out);

/* ---- refresh.c ---- */

/* May the objects be used (store_config.check)? Asked until they may. */
bool store_check(struct store *s, struct err *e);
/* Reads every catalog; where the objects are out of reach, what was seen of it last. */
bool store_load(struct store *s, struct err *e);
/* Starts the thread that calls store_refresh(), where other processes use the store. */
bool store_start_refresh(struct store *s, struct err *e);

#endif
