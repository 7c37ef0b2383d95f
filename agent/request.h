/* SPDX-License-Identifier: GPL-2.0-or-later */
/* request: one push being filled: entries are encoded as they come, grouped by stream when it is sealed.
 *
 * Entries are appended as encoded bytes to one buffer; what belongs to one stream is a chain of segments
 * in it, so entries of alternating streams cost a segment and no memory per stream. A stream is found by
 * the address of the entry's label array (entries of one pipeline batch share it), else by hash. Labels text: external
 * labels added where the entry lacks them, __tenant_id__ left out, sorted, Go-quoted. Alongside, the rows that the
 * request carries are kept as runs, for acks. Owner: one client. One thread. No allocation per entry once the buffers
 * have grown. */
#ifndef LARCH_AGENT_REQUEST_H
#define LARCH_AGENT_REQUEST_H

#include "common/buf.h"
#include "common/map.h"
#include "pipeline/entry.h"

/* Rows [from, to) of one source. */
struct run {
	void *src;
	uint64_t from, to;
};

struct runs {
	struct run *v;
	size_t n, cap;
};

void runs_add(struct runs *r, const struct origin *o);

struct request;

struct request *request_new(const struct labels *external); /* borrowed */
void request_free(struct request *r);
/* False: the entry's stream would be one more than max_streams (0: any number); nothing was added. */
bool request_add(struct request *r, const struct entry *e, struct str line, size_t max_streams);
void request_forget(struct request *r);        /* between pipeline batches: label arrays may stand where others stood */
size_t request_bytes(const struct request *r); /* line + metadata bytes, what batchsize counts */
size_t request_entries(const struct request *r);
/* Appends the protobuf message to out, hands the runs over, and leaves the request empty. */
void request_seal(struct request *r, struct buf *out, struct runs *runs);

#endif
