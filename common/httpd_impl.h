/* SPDX-License-Identifier: GPL-2.0-or-later */
/* httpd_impl: what the files of httpd share; nobody else includes it. */
#ifndef LARCH_COMMON_HTTPD_IMPL_H
#define LARCH_COMMON_HTTPD_IMPL_H

#include "common/arena.h"
#include "common/httpd.h"
#include "common/httpd_tls.h"
#include "common/net.h"
#include "common/queue.h"
#include "common/route.h"
#include "common/url.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

enum req_state {
	REQ_READING, /* the library's thread owns it */
	REQ_RUNNING, /* its connection is suspended; whoever handles it owns it */
	REQ_ANSWERED /* the library's thread again; response is set, or was: the answer is leaving */
};

struct answer_header {
	struct answer_header *next;
	const char *name, *value;
};

/* A connection, from accept to close. Under h->lock. */
struct peer {
	struct peer *prev, *next;
	uint64_t id; /* what the watcher knows it by: a pointer could be stale */
	int fd;      /* open as long as the peer is listed */
	bool hung_up;
	bool admitted;         /* its certificate, if one is wanted */
	int64_t since;         /* monotonic: accepted, or its last request ended */
	struct httpd_req *req; /* the one that is read, handled or answered; NULL between two */
};

struct httpd_req {
	struct httpd *h;
	uint64_t id;
	struct MHD_Connection *conn;
	struct peer *peer;
	enum req_state state; /* written under h->lock */
	_Atomic bool cancelled;
	bool begun;
	bool old;         /* HTTP/1.0 */
	bool close_early; /* refused, and the rest of the body is not worth reading */
	int64_t started;
	_Atomic uint64_t received; /* bytes of the body */
	int64_t leave_by;          /* monotonic: when the whole answer must have left; 0: see stream, or any time */
	struct arena mem;
	const char *method; /* the library's, as long as the request */
	const struct httpd_route *route;
	struct str target; /* as sent; in mem */
	struct str query;
	struct str note; /* in mem */
	struct url_args args;
	struct route_path path; /* behind the prefix */
	struct buf body;
	size_t reserved;            /* of the budget */
	size_t body_reserved;       /* the same of the share, for body */
	struct budget_share *share; /* NULL: of nobody in particular */
	size_t answer;              /* of the answers' budget */
	char from[NET_TEXT];
	struct answer_header *headers;
	int status;
	struct MHD_Response *response;
	struct httpd_stream *stream; /* of an answer in pieces; under h->lock */
	httpd_upgraded *upgraded;    /* until it has been called */
	void *upgraded_ud;
};

struct httpd {
	struct httpd_config conf;
	char *prefix;
	uint16_t port;
	int listen_fd;
	struct MHD_Daemon *daemon;
	struct httpd_tls *tls; /* NULL: plain */
	struct queue *todo;    /* requests for the workers; holds one per connection, so it never fills */
	pthread_t *workers;
	unsigned nworkers;
	pthread_t watcher;
	bool watching;
	int watch_ep, watch_stop;
	_Atomic bool stopping; /* answers close their connections */

	pthread_mutex_t lock; /* what follows; a leaf: the library calls back with its own lock held */
	pthread_cond_t change;
	struct peer *peers;
	size_t hung_up;  /* of them */
	size_t requests; /* from request line to completion … */
	size_t running;  /* … suspended, or about to be or just were … */
	size_t answered; /* … with an answer on its way */
	size_t streams;  /* answers in pieces that have not been ended */
	size_t upgraded; /* connections that have left HTTP and are open */
	bool refusing;   /* nothing starts any more */
	uint64_t next_id;
};

#define NS_PER_S INT64_C(1000000000)

/* What a peer may take for n bytes besides the timeout. */
static inline int64_t httpd_transfer_ns(const struct httpd *h, uint64_t n)
{
	return (int64_t)(n / h->conf.min_rate) * NS_PER_S;
}

void *httpd_watch(void *h); /* the watcher's thread */
/* A connection that had left HTTP is to be closed. Under h->lock. */
void httpd_wake_closed(struct httpd *h, uint64_t peer);
/* The headers added so far. */
void httpd_put_headers(struct httpd_req *r, struct MHD_Response *p);
/* The handler gives r up: its body goes, `done` is told, and the connection wakes to send r->response. */
void httpd_hand_back(struct httpd_req *r);
/* The peer is gone, or the server stops. Not under h->lock: the library may hold its own while it waits for that. */
void httpd_stream_break(struct httpd_stream *s);
/* The request is over: the connection may not be touched any more. */
void httpd_stream_detach(struct httpd_stream *s);
/* When what is left of an answer that has ended must have left; INT64_MAX: it goes on. Under h->lock. */
int64_t httpd_stream_deadline(struct httpd_stream *s);
struct httpd_stream *httpd_stream_ref(struct httpd_stream *s);
void httpd_stream_unref(struct httpd_stream *s); /* NULL is nothing */

#endif
