/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api_push: requests that bring entries: POST /loki/api/v1/push and /api/prom/push here, others (api_otlp) through
 * push_handle() (spec push-protocol §1).
 *
 * A handler expands and decodes the body on a worker, has it checked, submits it, and returns; the answer is
 * given on the ingest thread once the entries are durable and visible. What a push needs in memory beyond its
 * body is reserved in its tenant's share of the memory for bodies before it is allocated; else 503. */
#ifndef LARCH_SERVER_HTTP_API_PUSH_H
#define LARCH_SERVER_HTTP_API_PUSH_H

#include "common/codec.h"
#include "server/distributor/distributor.h"
#include "server/http/api.h"

struct api_push {
	struct distributor *distributor;
	uint64_t max_expanded_bytes; /* after Content-Encoding and snappy */
	struct conf_strs otlp_index; /* resource attributes that become labels */
};

/* Route rows of pushes: the setting bounds the body; until server.c puts it in, its default. */
#define PUSH_MAX_BODY     (100u << 20)
#define PUSH_MAX_BODY_KEY "distributor.max_recv_msg_size"

/* A Content-Encoding. */
struct push_coding {
	const char *name;
	enum codec codec; /* CODEC_NONE: the name says nothing about the body */
	size_t ratio;     /* how many times its size a body may expand to; 0: no bound known */
};

/* l: the tenant's. */
typedef bool push_decode_fn(const struct api *api, const struct limits *l, struct arena *a, struct str body,
			    struct push *out, struct err *e);

/* How the requests of one protocol are read and its errors answered. */
struct push_protocol {
	const struct push_coding *codings; /* ends with {0} */
	/* The decoder for a Content-Type; *snappy: the message is inside a snappy block. NULL: refused. */
	push_decode_fn *(*decoder)(struct str content_type, bool *snappy, struct err *e);
	void (*refuse)(struct httpd_req *r, int status, struct str text);
};

/* Answers the request, now or once its entries are stored. The protocol outlives it. */
void push_handle(struct httpd_req *r, const struct api *api, const struct push_protocol *p);

/* A media type such as "application/json; charset=utf-8" without its parameters, lower case in buf; ERR_INVALID
 * with Go's text ("mime: no media type"). */
bool push_media_type(struct str header, char *buf, size_t cap, struct err *e);

#endif
