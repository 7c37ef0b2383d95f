/* SPDX-License-Identifier: GPL-2.0-or-later */
/* httpd: HTTP/1.1 server over libmicrohttpd (its only user), with a route table.
 *
 * The library's callbacks only buffer the body (bounded, reserved from Content-Length in `budget` before
 * anything is allocated, else 503 naming larch.memory_limit) and hand the request to a worker pool,
 * suspending the connection. A handler runs on a worker and answers with httpd_reply(), then or later,
 * from any thread: exactly once per request. The server's own watcher notices peers that hang up and
 * sets httpd_cancel_flag() (a peer that only shuts down its sending side looks the same, and is answered if the
 * handler does not mind).
 * Unknown paths: 404 "404 page not found\n"; a known path with another method: 405, empty, with Allow.
 * A broken percent escape: 400 in Go's words. A refused body is read over (up to 128 MiB), so that the
 * client sees the answer rather than a reset.
 * Limits: a body over max_body is 413; request line and headers together may take 128 KiB; beyond
 * max_connections peers wait in the listen queue; a silent connection is closed after idle_timeout_s. */
#ifndef LARCH_COMMON_HTTPD_H
#define LARCH_COMMON_HTTPD_H

#include "common/budget.h"
#include "common/buf.h"
#include "common/err.h"

struct httpd;
struct httpd_req;

typedef void httpd_handler(struct httpd_req *r, void *ctx);

struct httpd_route {
	const char *methods; /* "GET POST" */
	const char *path;    /* "/loki/api/v1/label/{name}/values"; a {x} segment matches one non-empty segment */
	httpd_handler *fn;
	size_t max_body;          /* bytes; 0: no body wanted beyond 64 KiB of form, whose fields become arguments */
	const char *name;         /* for metrics: "loki_api_v1_label_values" */
	const char *max_body_key; /* the setting max_body comes from, for the 413; may be NULL */
};

struct httpd_config {
	const char *address;              /* "": every address; IPv4, IPv6 or a host name */
	uint16_t port;                    /* 0: any */
	const char *prefix;               /* put before every route's path; "" */
	const struct httpd_route *routes; /* outlives the server */
	size_t nroutes;
	void *ctx;                /* for every handler */
	unsigned workers;         /* handler threads; 0: one per core, at least 4 */
	unsigned max_connections; /* 0: 1024 */
	int idle_timeout_s;       /* 0: 120 */
	struct budget *budget;    /* bodies in flight; NULL: unbounded but for max_body */
	/* Before each answer leaves, on any thread; for metrics and access log; may be NULL. Without a route its
	 * name is "other". */
	void (*done)(void *ctx, const char *route, const char *method, int status, int64_t ns);
};

struct httpd *httpd_start(const struct httpd_config *c, struct err *e); /* listening when it returns */
uint16_t httpd_port(const struct httpd *h);
/* New connections are refused, running requests get drain_ns to finish; then what is still being received is
 * cut and what runs is cancelled: a handler that neither answers nor looks at its flag holds this up. Frees. */
void httpd_stop(struct httpd *h, int64_t drain_ns);

/* Everything below borrows from the request and is valid until its reply. Absent: .p == NULL. */
const char *httpd_method(const struct httpd_req *r);
struct str httpd_param(const struct httpd_req *r, const char *name); /* {name} of the path, decoded */
struct str httpd_arg(const struct httpd_req *r,
		     const char *name); /* first of the form body, else of the query string: Go's order */
size_t httpd_args(const struct httpd_req *r, const char *name, struct str *out,
		  size_t max); /* all, in order; returns how many there are */
struct str httpd_header(const struct httpd_req *r, const char *name);
struct str httpd_body(const struct httpd_req *r);
struct str httpd_peer(const struct httpd_req *r); /* "127.0.0.1:4711" */
/* Set once the client is gone, for checks deep in a query that must not know httpd; valid until the reply. */
const _Atomic bool *httpd_cancel_flag(const struct httpd_req *r);

void httpd_header_add(struct httpd_req *r, const char *name, const char *value); /* of the answer; before the reply */
/* Answers and gives up r. Takes body's memory (body becomes {0}); body may be NULL. gzip is applied when the
 * client accepts it and the body is over 1 KiB. ctype NULL: none. */
void httpd_reply(struct httpd_req *r, int status, const char *ctype, struct buf *body);
/* text/plain; charset=utf-8 with X-Content-Type-Options: nosniff, as Go's http.Error, without adding a newline. */
void httpd_reply_text(struct httpd_req *r, int status, struct str text);

#endif
