/* SPDX-License-Identifier: GPL-2.0-or-later */
/* client: one destination: batches entries per tenant, compresses, sends in order, retries.
 *
 * What is being filled, over all tenants, is at most a few batches; a sealed batch (a parcel) keeps only its compressed
 * bytes and the rows that it carries, and waits in a queue bounded by bytes; one request is on its way at a time, so
 * entries arrive in order. Transport errors, 429 and 5xx are retried with exponential back-off and jitter, up to
 * max_retries attempts; every other answer but 2xx drops the batch, counted and logged. Rows are reported to their
 * sources (origin.src is a struct acks) when they are acknowledged, refused for good, or given up as configured.
 * Clients know nothing of each other. Owner: the agent's loop; one thread. */
#ifndef LARCH_AGENT_CLIENT_H
#define LARCH_AGENT_CLIENT_H

#include "agent/config.h"
#include "common/httpc.h"
#include "common/metrics.h"
#include "pipeline/entry.h"

struct client;

struct client_env {
	struct loop *loop;
	struct clock *clock;
	struct httpc *http;
	struct metrics *metrics;
	size_t max_streams;            /* per batch; 0: any number */
	uint64_t max_line_size;        /* 0: any length */
	bool truncate;                 /* cut longer lines instead of dropping them */
	size_t queue_bytes;            /* compressed bytes that may wait; beyond, sources pause */
	void (*before_send)(void *ud); /* before a parcel's first attempt: what it carries must be on disk */
	void (*room)(void *ud);        /* the queue has room again after client_full() */
	void *ud;
};

/* index: which column of every acks is this client's. conf and env outlive it. */
struct client *client_new(const struct client_conf *conf, size_t index, const struct client_env *env, struct err *e);
void client_free(struct client *c); /* what is unsent stays unacknowledged */

void client_begin(struct client *c); /* before the entries of each pipeline batch */
void client_add(struct client *c, const struct entry *e);
bool client_full(const struct client *c);
void client_flush(struct client *c);      /* seals what is being filled */
bool client_idle(const struct client *c); /* nothing is filled, queued or on its way */
const char *client_name(const struct client *c);
const char *client_host(const struct client *c); /* host:port, the metrics' label */
size_t client_queued(const struct client *c);    /* bytes, those of batches being filled included */

#endif
