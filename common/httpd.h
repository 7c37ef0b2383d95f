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
 * An answer that does not fit beside those that are being read is 503 instead.
 * Limits: a body over max_body is 413; request line and headers together may take 128 KiB; beyond
 * max_connections peers wait in the listen queue. Who is silent, or slower at sending and reading than the timeouts
 * allow, is cut off.
 *
 * Besides, an answer may come in pieces (httpd_stream), and a connection may leave HTTP (httpd_upgrade). */
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
	bool queued;              /* goes to httpd_config.admit instead of a worker */
	unsigned char access;     /* what httpd_config.guard makes of it */
};

/* What a client must show: nothing; is asked for a certificate; any certificate; a trusted one if any; a trusted one. */
enum httpd_client_auth {
	HTTPD_CLIENTS_ANY,
	HTTPD_CLIENTS_ASKED,
	HTTPD_CLIENTS_CERTIFIED,
	HTTPD_CLIENTS_VERIFIED_IF_GIVEN,
	HTTPD_CLIENTS_VERIFIED
};

struct httpd_tls_config {
	const char *cert_file, *key_file; /* PEM; the certificate with its chain; looked at again when they change */
	const char *client_ca_file;       /* PEM, whom clients' certificates must come from; "" or NULL: none is asked */
	enum httpd_client_auth clients;
	enum { HTTPD_TLS_12, HTTPD_TLS_13 } version; /* the lowest */
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
	int idle_timeout_s;       /* between requests; 0: 120 */
	int read_timeout_s;       /* for a request, and besides what its body takes at min_rate; 0: 30 */
	int write_timeout_s;      /* the same for an answer, for one in pieces from its end on; 0: 30 */
	uint64_t min_rate;        /* bytes a second; 0: 16384 */
	const struct httpd_tls_config *tls; /* NULL: plain HTTP; used by httpd_start() only */
	struct budget *budget;    /* bodies in flight; NULL: unbounded but for max_body */
	struct budget *answers;   /* answers over 64 KiB that their peers have yet to read; NULL: unbounded */
	/* May a request go on whose headers are complete and whose route is known? On the library's thread, must not wait.
	 * False: refused with the error's status and text. NULL: everything may. */
	bool (*guard)(void *ctx, struct httpd_req *r, struct err *e);
	/* Whose share of `budget` the request's body takes, asked once the guard let it pass; given back after the answer.
	 * NULL: the budget is everybody's. */
	struct budget_share *(*share)(void *ctx, struct httpd_req *r);
	void (*unshare)(void *ctx, struct budget_share *s);
	/* Takes over requests of queued routes, for httpd_run() on a thread of its own; on a worker, must not wait. */
	httpd_handler *admit;
	/* Before each answer leaves, on any thread; for metrics and access log; may be NULL. Without a route its
	 * name is "other", and so is a method that HTTP does not have. */
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
uint64_t httpd_id(const struct httpd_req *r); /* unique in this process */
void httpd_run(struct httpd_req *r);          /* the route's handler */
/* Sets the flag of request `id` of the same server. False: no such request is being handled. */
bool httpd_cancel(struct httpd_req *r, uint64_t id);
unsigned char httpd_access(const struct httpd_req *r); /* of the route */
/* A text that the guard leaves for the handler; copied. */
void httpd_note(struct httpd_req *r, struct str text);
struct str httpd_noted(const struct httpd_req *r);
const char *httpd_route_name(const struct httpd_req *r);
/* Set once the client is gone or the request is cancelled, for checks deep in a query that must not know httpd; valid until the reply. */
const _Atomic bool *httpd_cancel_flag(const struct httpd_req *r);

void httpd_header_add(struct httpd_req *r, const char *name, const char *value); /* of the answer; before the reply */
/* Answers and gives up r. Takes body's memory (body becomes {0}); body may be NULL. gzip is applied when the
 * client accepts it and the body is over 1 KiB. ctype NULL: none. */
void httpd_reply(struct httpd_req *r, int status, const char *ctype, struct buf *body);
/* text/plain; charset=utf-8 with X-Content-Type-Options: nosniff, as Go's http.Error, without adding a newline. */
void httpd_reply_text(struct httpd_req *r, int status, struct str text);

/* ---- answers in pieces ----
 *
 * For answers that have no end or do not fit into memory. What is written is buffered and leaves as fast as the peer
 * takes it; nothing waits. The writer asks for room, writes, and is told when there is room again. Owned by whoever
 * began it until httpd_stream_end(); one thread at a time writes. */
struct httpd_stream;

struct httpd_stream_config {
	int status;
	const char *ctype;
	size_t window; /* bytes that may be buffered; one write may go beyond it */
	/* Half of the window is free again after it was full; broken: the peer is gone, or the server stops. On any thread,
	 * with the stream locked: it may only wake somebody up. Not called after the end. */
	void (*wake)(void *ud, bool broken);
	void *ud;
};

/* Begins the answer and gives up r; never NULL. A silent peer is given up after the idle timeout. */
struct httpd_stream *httpd_stream(struct httpd_req *r, const struct httpd_stream_config *c);
/* Bytes of the window that are free; -1: write no more, the peer is gone or the server stops. */
ssize_t httpd_stream_room(struct httpd_stream *s);
void httpd_stream_write(struct httpd_stream *s, struct str bytes);
/* whole: what is buffered leaves, and the peer can tell that nothing is missing; else the connection is cut. */
void httpd_stream_end(struct httpd_stream *s, bool whole);

/* ---- connections that leave HTTP ---- */

struct httpd_conn;
/* On the library's thread: it must not wait. NULL: the peer went before, or spoke HTTP/1.0. */
typedef void httpd_upgraded(void *ud, struct httpd_conn *c);

/* Answers 101 with the headers added before and Upgrade: protocol, and gives up r. The connection counts as one and is
 * nobody's to time out but its owner's, who closes it, before httpd_stop() returns. */
void httpd_upgrade(struct httpd_req *r, const char *protocol, httpd_upgraded *fn, void *ud);
int httpd_conn_fd(const struct httpd_conn *c);           /* non-blocking */
struct str httpd_conn_early(const struct httpd_conn *c); /* what came right behind the request; borrowed */
/* Nothing more is going to be written: the peer sees the end, and what it sends can still be read. False: that is not
 * possible here (TLS), only closing is. */
bool httpd_conn_end(struct httpd_conn *c);
void httpd_conn_close(struct httpd_conn *c);             /* any thread, once; frees */

#endif
