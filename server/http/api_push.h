/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api_push: POST /loki/api/v1/push and /api/prom/push (spec push-protocol §1).
 *
 * A handler expands and decodes the body on a worker, has it checked, submits it, and returns; the answer is
 * given on the ingest thread once the entries are durable and visible. What a push needs in memory beyond its
 * body is reserved in `bodies` before it is allocated; else 503. */
#ifndef LARCH_SERVER_HTTP_API_PUSH_H
#define LARCH_SERVER_HTTP_API_PUSH_H

#include "server/distributor/distributor.h"
#include "server/http/api.h"

struct api_push {
	struct distributor *distributor;
	struct budget *bodies;
	uint64_t max_recv_bytes;     /* as sent */
	uint64_t max_expanded_bytes; /* after Content-Encoding and snappy */
};

/* A media type such as "application/json; charset=utf-8" without its parameters, lower case in buf; ERR_INVALID
 * with Go's text ("mime: no media type"). */
bool push_media_type(struct str header, char *buf, size_t cap, struct err *e);

#endif
