/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deletes: a tenant's delete requests.
 *
 * A request hides what matches its query, lies in [from, to] and arrived before it; what is acknowledged after the
 * request was answered shows, even when it equals a hidden entry. The catalog entry that makes a request is what makes
 * it durable, and the entry's number orders it.
 * What came before what is told by floors: an entry is logged together with the number of the newest request that its
 * process knows of, and stands in a head, and later in a segment, of that floor. A request hides nothing where the
 * floor is at least its number. Whoever makes a request therefore waits, once it is in the catalog and before it
 * answers, until no push of an older floor is under way (ingest_fence()). Another process on the same store gives its
 * entries the new floor from when it reads the catalog entry on: what it takes in between may be hidden.
 * Requests are never forgotten: a process that was away may come back with a log of any age.
 *
 * A set of requests is immutable and reference-counted: a snapshot holds the one of its moment. Threads: any. */
#ifndef LARCH_SERVER_STORE_DELETES_H
#define LARCH_SERVER_STORE_DELETES_H

#include "pipeline/linefilter.h"
#include "pipeline/selector.h"

struct catalog_entry;
struct store;
struct tenant;

/* ---- the language of requests, which the store does not know: store_config.delete_lang ---- */

struct delete_query {
	const struct selector *selector;
	const struct linefilters *filters; /* NULL: every line */
	bool stages;                       /* and there is more than that: ask a run */
};

struct delete_run; /* evaluates one query for rows of one stream; one thread */

struct delete_lang {
	struct delete_query *(*compile)(struct str text, struct err *e); /* immutable */
	void (*free)(struct delete_query *q);
	struct delete_run *(*start)(const struct delete_query *q, const struct labels *stream);
	/* Does a row that passed the selector and the filters pass the stages? */
	bool (*passes)(struct delete_run *r, int64_t ts, struct str line, const struct labels *meta);
	void (*stop)(struct delete_run *r);
};

/* ---- sets ---- */

enum delete_state {
	DELETE_PENDING,
	DELETE_DONE,     /* what it hides has left the disk: for the list only, it hides on */
	DELETE_CANCELLED /* hides nothing any more */
};

struct delete_request { /* shared by sets */
	_Atomic uint32_t refs;
	struct str id, query;
	uint64_t number;
	int64_t created, from, to; /* ns, wall clock; both included */
	_Atomic(struct delete_query *) compiled;
};

struct deletes_item {
	struct delete_request *r;
	enum delete_state state;
};

struct deletes {
	_Atomic uint32_t refs;
	const struct delete_lang *lang;
	struct deletes_item *v; /* by number, ascending */
	size_t n, cap;
	uint64_t newest;     /* number of the last request */
	uint64_t generation; /* of the catalog entry that last changed anything here */
};

struct deletes *deletes_new(const struct delete_lang *lang);
struct deletes *deletes_ref(struct deletes *d);
void deletes_unref(struct deletes *d);
/* What the entry says of requests; *d may become another set. What is known already changes nothing. */
void deletes_apply(struct deletes **d, const struct catalog_entry *c);
/* The compiled query; NULL: it cannot be read (which was logged), and hides nothing. Borrows from the request. */
const struct delete_query *deletes_query(const struct deletes *d, struct delete_request *r);

/* ---- for the API ---- */

/* Pending requests that a tenant may have; bounds what they cost every query. */
#define DELETES_MAX 10000

struct delete_spec {
	struct str query;
	int64_t from, to;
};

/* Makes a request, with its id in `id` (NUL-terminated). It holds for snapshots taken from now on. ERR_INVALID: no such
 * query; ERR_RATE: too many are pending. */
#define DELETE_ID 17
bool deletes_check(struct store *s, struct str query, struct err *e); /* is there such a query? */
bool deletes_create(struct tenant *t, const struct delete_spec *s, char id[DELETE_ID], struct err *e);
/* ERR_NOT_FOUND: there is none of this id, or it was cancelled before. ERR_EXISTS: it is done. ERR_INVALID: it was made
 * before `before`, so parts may be gone for good, and force was not given. */
bool deletes_cancel(struct tenant *t, struct str id, int64_t before, bool force, struct err *e);
/* The set of this moment, to be unreferenced. */
struct deletes *deletes_of(struct tenant *t);
/* How much of the time that a request covers holds nothing that it still hides: 0 to 100. */
unsigned deletes_progress(struct tenant *t, const struct delete_request *r);

/* ---- for compaction, which makes it true on disk ----
 *
 * A request made before `before` (now minus compactor.delete_request_cancel_period) may be carried out; where the
 * tenant's deletion_mode is filter-only, none may: INT64_MIN. */

/* The highest number up to which all requests above `floor` that overlap [min_ts, max_ts] may be carried out (those
 * cancelled count as nothing): what a segment of these times and this floor may be purged to. Unless there is
 * something to do it is the newest request's number. */
uint64_t deletes_purgeable(const struct deletes *d, uint64_t floor, int64_t min_ts, int64_t max_ts, int64_t before);
/* Has a request with a number in (floor, upto] been cancelled since the set d was taken? Then what was purged with d
 * must not be committed. Asked in the check of tenant_append(). */
bool deletes_stand(struct tenant *t, const struct deletes *d, uint64_t floor, uint64_t upto);
/* Marks requests as done of which no head and no segment has anything left. True: done, or nothing to do. */
bool deletes_finish(struct tenant *t, int64_t before, struct err *e);

struct deletes_totals {
	uint64_t pending, done;
	int64_t oldest; /* when the oldest pending one was made; 0: there is none */
};
void deletes_totals(struct store *s, struct deletes_totals *out); /* over all tenants */

#endif
