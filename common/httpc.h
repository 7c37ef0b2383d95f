/* SPDX-License-Identifier: GPL-2.0-or-later */
/* httpc: HTTP/1.1 client over libcurl (its only user): asynchronous on a loop, one blocking call, or blocking calls
 * of many threads that share a pool of connections.
 *
 * Connections are kept alive and shared per httpc and per pool. Timeouts always apply, in real time whatever the loop's
 * clock. TLS, basic auth, bearer, proxy, and extra headers come from httpc_opts, which is copied but for the
 * body. Answers larger than max_body are cut off with ERR_TOO_LARGE. Error texts name method and URL, without
 * a password in it. One thread, the loop's; httpc_do, httpc_pool_do and httpc_show_url from any. A callback may send
 * and cancel calls but not free its httpc. */
#ifndef LARCH_COMMON_HTTPC_H
#define LARCH_COMMON_HTTPC_H

#include "common/buf.h"
#include "common/err.h"
#include "common/loop.h"

struct httpc;
struct httpc_call;

#define HTTPC_WANT 3 /* headers of an answer that a caller may ask for */

struct httpc_opts {
	const char *method; /* NULL: GET, or POST when there is a body */
	const char *url;
	struct str body; /* borrowed until the call is done */
	/* Or a body that is read as it is sent, from off on: bytes put to p, at most n; -1: failed. It may be asked
	 * again for what it gave, when a kept connection turns out to be closed. The method is PUT unless given. */
	ssize_t (*body_at)(void *ud, uint64_t off, char *p, size_t n);
	void *body_ud;
	uint64_t body_size;
	const char *const *headers;           /* "Name: value", NULL-terminated; may be NULL */
	const char *user, *password, *bearer; /* may be NULL */
	const char *sigv4;                    /* "aws:amz:REGION:SERVICE": signed with user, password */
	const char *ca_file, *cert_file, *key_file, *server_name; /* TLS; may be NULL */
	const char *proxy; /* NULL: as the environment says (https_proxy, no_proxy, …); "": none */
	bool insecure_skip_verify, no_follow_redirects;
	bool compressed;            /* ask for gzip; the body arrives expanded, and max_body counts it expanded */
	int64_t timeout_ns;         /* for all of it; 0: 30 s */
	int64_t connect_timeout_ns; /* 0: timeout_ns */
	int64_t stall_timeout_ns;   /* in which not a byte moves; 0: timeout_ns */
	int64_t idle_timeout_ns;    /* a kept connection idle for longer is not used again; 0: 118 s */
	size_t max_body;            /* 0: 64 MiB */
	/* The body of a 2xx answer as it comes, however large, instead of in the result; false: enough (ERR_CANCELLED).
	 */
	bool (*take)(void *ud, struct str bytes);
	void *take_ud;
	const char *user_agent;
	const char *want[HTTPC_WANT]; /* static names of headers whose values go to got[] of the result; may be NULL */
};

struct httpc_result {
	bool ok; /* an HTTP answer arrived, whatever its status */
	int status;
	struct buf body; /* the callback may take it (set to {0}) */
	struct err err;  /* !ok: ERR_IO, ERR_TIMEOUT, ERR_TOO_LARGE, ERR_CANCELLED, ERR_INVALID */
	int64_t elapsed_ns;
	char content_type[128];
	char got[HTTPC_WANT][128]; /* "": not there, or longer */
	int64_t retry_after_s;     /* -1: not given */
};

typedef void httpc_fn(void *ud, struct httpc_result *res); /* on the loop's thread */

struct httpc *httpc_new(struct loop *l, struct err *e);
void httpc_free(struct httpc *c); /* cancels what runs: each callback is called with ERR_CANCELLED */
struct httpc_call *httpc_send(struct httpc *c, const struct httpc_opts *o, httpc_fn *fn, void *ud, struct err *e);
void httpc_cancel(struct httpc_call *call); /* no callback */
/* Blocks; for larchctl and tests. False only when !ok. Free res->body. */
bool httpc_do(const struct httpc_opts *o, struct httpc_result *res, struct err *e);
/* Blocking calls of any thread; up to `keep` connections that nobody uses stay open. */
struct httpc_pool;
struct httpc_pool *httpc_pool_new(size_t keep);
void httpc_pool_free(struct httpc_pool *p); /* no call may be under way */
bool httpc_pool_do(struct httpc_pool *p, const struct httpc_opts *o, struct httpc_result *res, struct err *e);

/* ---- connections that leave HTTP: blocking, one thread ---- */

struct httpc_conn;
/* GET with the headers of o, which ask for an upgrade. NULL: there was another answer than 101, which is in *res (its
 * body up to 64 KiB), or the error. The proxy, if any, tunnels. */
struct httpc_conn *httpc_upgrade(const struct httpc_opts *o, struct httpc_result *res, struct err *e);
/* Up to n bytes; 0: the end; -1: the error, which is ERR_TIMEOUT when nothing came within wait_ns. */
ssize_t httpc_conn_read(struct httpc_conn *c, char *p, size_t n, int64_t wait_ns, struct err *e);
bool httpc_conn_write(struct httpc_conn *c, struct str bytes, int64_t wait_ns, struct err *e);
void httpc_conn_close(struct httpc_conn *c); /* NULL is nothing */

/* Appends url as it may be shown: with xxxxx for a password. */
void httpc_show_url(struct buf *b, const char *url);

#endif
