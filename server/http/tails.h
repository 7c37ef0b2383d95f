/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tails: everyone who follows a log query, all served by one thread.
 *
 * A tail first sends what was there (the backfill, read by whoever opened it), then what comes, in order of time within
 * a window of delay_ns. The thread runs the query's stages over what followers are told, keeps the rows of each tail in
 * a bounded queue, and writes frames of up to 100 entries to clients that have room; it waits for nobody. What does not
 * fit into the queue is dropped and reported in `dropped_entries`. A tail ends when its client goes or closes, with the
 * maximal duration, or when the server stops (1001).
 *
 * Memory: of each tail 4 MiB of rows at most and what exec_tail_open() takes, all from the queries' memory.
 * Threads: tails_* and tail_* may be called from any; a tail belongs to the hub, its pointer is the opener's until
 * tail_backfill() or tail_cancel(). */
#ifndef LARCH_SERVER_HTTP_TAILS_H
#define LARCH_SERVER_HTTP_TAILS_H

#include "common/httpd.h"
#include "common/metrics.h"
#include "server/exec/tail.h"

struct tails;
struct tail;

struct tails_config {
	struct budget *memory;
	struct metrics *metrics; /* may be NULL */
	int64_t max_duration_ns; /* 0: none */
};

struct tails *tails_new(const struct tails_config *c, struct err *e);
/* Refuses new ones, closes those that are there, waits until they are gone. Before the HTTP server stops. */
void tails_stop(struct tails *ts);
void tails_free(struct tails *ts); /* afterwards; NULL is nothing */

struct tail_spec {
	struct str tenant, query; /* copied */
	int64_t delay_ns;
	bool legacy, categorize;
	int64_t max_of_tenant; /* tails that it may have at once */
};

/* A place among the tenant's tails. ERR_RATE: it has as many as it may; ERR_UNAVAILABLE: the server stops. */
struct tail *tails_add(struct tails *ts, const struct tail_spec *s, struct err *e);
/* For exec_tail_open(): something has come. */
void tail_wake(void *tail);
/* It begins to take what x has; x becomes the hub's. */
void tail_follow(struct tail *t, struct exec_tail *x);
/* Where frames go: one of the two. The request is given up. */
void tail_attach_ws(struct tail *t, struct httpd_req *r);
void tail_attach_events(struct tail *t, struct httpd_req *r);
/* Set when there is nobody any more who would read the backfill. */
const _Atomic bool *tail_cancel_flag(const struct tail *t);
/* What was there before: a log query's answer, backward, which becomes the hub's; or NULL and why there is none, which
 * ends the tail. Gives up t. */
void tail_backfill(struct tail *t, struct exec_result *r, const struct err *e);
/* Nothing was attached: it goes. */
void tail_cancel(struct tail *t);

#endif
