/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store: every tenant's entries: heads that ingest fills, segments, and the catalogs that name them.
 *
 * One process owns a data directory (a lock file in it); objects live where store_config says, one directory a tenant.
 * A flush turns a head into segments and swaps them in one step: a snapshot sees either the head or its
 * segments, never both or neither. Reading goes through reader.h only.
 * Locks, in order: the store's (table of tenants), then one tenant's (heads, segment list); neither is held
 * while files are read or written. Tenants and the store live until store_close(), which comes after
 * ingest_stop() and after the last snapshot is freed. */
#ifndef LARCH_SERVER_STORE_STORE_H
#define LARCH_SERVER_STORE_STORE_H

#include "common/clock.h"
#include "common/fs.h"
#include "server/store/catalog.h"
#include "server/store/head.h"

struct delete_lang;
struct store;
struct tenant;

struct store_config {
	const char *dir; /* the data directory; made when absent */
	struct fs *fs;
	struct clock *clock;
	struct object_store *objects; /* freed by the store, also when it cannot be opened; NULL: files in dir/store */
	bool remote;           /* objects may be out of reach for a while (ERR_IO, ERR_TIMEOUT); implies shared */
	uint64_t outbox_limit; /* remote: bytes that may wait on the disk to be uploaded; 0: no limit */
	/* remote: may the objects be used? Asked before they are, until it says yes; NULL: they may. */
	bool (*check)(void *ud, struct err *e);
	void *check_ud;
	bool shared;              /* other processes use the objects too */
	int64_t refresh_ns;       /* shared: how often what others wrote is looked for; 0: by store_refresh() only */
	size_t cache_bytes;       /* budget of the block cache; 0: 64 MiB */
	int64_t orphan_grace_ns;  /* objects that no catalog names are removed when older; 0: one hour */
	int64_t removed_grace_ns; /* segments are removed so long after a catalog dropped them; 0: 10 minutes */
	const struct delete_lang *delete_lang; /* of delete requests; NULL: there can be none */
};

/* Takes the lock, reads every catalog (progress in the log), sweeps. */
struct store *store_open(const struct store_config *c, struct err *e);
void store_close(struct store *s);

/* Calls fn for every tenant that has or had entries; stops when it returns false. */
void store_tenants(struct store *s, bool (*fn)(void *ud, struct str tenant), void *ud);

/* Looks for what other processes wrote: new tenants, new catalog entries. Any thread. */
bool store_refresh(struct store *s, struct err *e);
/* The tenant as it is now: where others use the store, what they wrote of it is read first. *t NULL: absent. */
bool store_tenant_now(struct store *s, struct str name, struct tenant **t, struct err *e);
/* Removes objects that no catalog names and that are older than the grace times: what a crash between writing a segment
 * and naming it left behind, and segments that compaction replaced or retention dropped. Any thread, but one at a
 * time. What fails is logged and left to the next sweep. */
void store_sweep(struct store *s);

/* Waits until what is flushed by now is uploaded. False: an attempt failed since the call. */
bool store_upload(struct store *s, struct err *e);

struct store_totals {
	uint64_t tenants, segments, segment_bytes, segment_rows, cache_bytes, damaged_entries;
};
void store_totals(struct store *s, struct store_totals *out);
struct outbox_stats;
/* What waits to be uploaded; zeroes where nothing has to. */
void store_outbox(struct store *s, struct outbox_stats *out);

/* ---- for ingest ---- */

/* The tenant, made (in memory) if create; NULL: absent. */
struct tenant *store_tenant(struct store *s, struct str name, bool create);
struct str tenant_name(const struct tenant *t);
/* Snapshots taken from now on carry this warning; "" ends it. Text is copied. */
void store_set_warning(struct store *s, const char *text);
bool tenant_covers(struct tenant *t, uint64_t writer, uint64_t seq);
uint64_t tenant_head_streams(struct tenant *t); /* streams that unflushed heads know */

/* A new newest head, owned by the tenant; ingest borrows it until it is flushed. floor: what tenant_floor() said when
 * its first entry was logged; every entry in it has the same. */
struct head *tenant_head_open(struct tenant *t, struct budget *b, uint64_t floor);
/* Number of the tenant's newest delete request that is known here; 0: none (deletes.h). */
uint32_t tenant_floor(struct tenant *t);
/* How many streams the record would add. */
uint64_t tenant_new_streams(struct tenant *t, const struct record *r);
/* head_apply() under the tenant's lock: visible as a whole to snapshots taken afterwards. */
bool tenant_apply(struct tenant *t, struct head *h, const struct record *r, struct buf *bytes, size_t reserved,
		  struct err *e);

/* One head on its way into segments: may be run again after a failure, and takes up where it stood. The flush
 * thread only. Heads of a tenant are flushed in the order they were opened. */
struct store_flush;
/* Where a generation has several heads of a tenant, its ranges are covered by the last one only: a crash between
 * them is then replayed, and what is there already counts once. */
struct store_flush *store_flush_new(struct tenant *t, struct head *h, const struct wal_range *covers, size_t ncovers);
struct store_flush_result {
	uint64_t segments, size, rows, bytes;
};
/* Writes segments, names them in the catalog and swaps. True: h is gone from the tenant (and may be freed). */
bool store_flush_run(struct store_flush *f, struct store_flush_result *out, struct err *e);
void store_flush_free(struct store_flush *f);

#endif
