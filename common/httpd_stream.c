/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/clock.h"
#include "common/httpd_impl.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define BLOCK ((size_t)32 << 10) /* what the library sends at once */

struct httpd_stream {
	struct httpd *h;
	struct httpd_stream_config c;
	_Atomic unsigned refs; /* the writer's, the request's, and who is about to break it */

	pthread_mutex_t lock;
	struct MHD_Connection *conn; /* NULL: the request is over */
	int fd;                      /* as long as conn */
	struct buf out;
	size_t at;   /* of out: what has left */
	bool asleep; /* the connection is suspended until there is something to send */
	bool full;   /* the writer waits for room */
	bool broken, ended, whole;
	_Atomic int64_t
		leave_by; /* monotonic: what is buffered at the end must have left then; INT64_MAX: no end yet */
};

struct httpd_stream *httpd_stream_ref(struct httpd_stream *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void httpd_stream_unref(struct httpd_stream *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
	buf_free(&s->out);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* All with the stream locked. */

static void wake_connection(struct httpd_stream *s)
{
	if (s->asleep && s->conn) MHD_resume_connection(s->conn);
	s->asleep = false;
}

static void wake_writer(struct httpd_stream *s)
{
	if (!s->ended) s->c.wake(s->c.ud, s->broken);
}

/* The library's thread: what is to be sent next. */
static ssize_t read_next(void *cls, uint64_t pos, char *to, size_t max)
{
	struct httpd_stream *s = cls;
	ssize_t n = 0;

	(void)pos;
	pthread_mutex_lock(&s->lock);
	if (s->out.n > s->at) {
		n = (ssize_t)(s->out.n - s->at < max ? s->out.n - s->at : max);
		memcpy(to, s->out.p + s->at, (size_t)n);
		s->at += (size_t)n;
		if (s->at == s->out.n) s->out.n = s->at = 0;
		if (s->full && s->out.n - s->at <= s->c.window / 2) {
			s->full = false;
			wake_writer(s);
		}
	} else if (s->ended || s->broken) {
		n = s->whole ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
	} else {
		MHD_suspend_connection(s->conn);
		s->asleep = true;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

void httpd_stream_break(struct httpd_stream *s)
{
	pthread_mutex_lock(&s->lock);
	if (!s->broken && !s->ended) {
		s->broken = true;
		wake_writer(s);
	}
	wake_connection(s);
	pthread_mutex_unlock(&s->lock);
}

void httpd_stream_detach(struct httpd_stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->conn = NULL;
	if (!s->broken) {
		s->broken = true;
		wake_writer(s);
	}
	pthread_mutex_unlock(&s->lock);
}

int64_t httpd_stream_deadline(struct httpd_stream *s) { return atomic_load(&s->leave_by); }

/* A peer that vanished without a word: what it has not acknowledged for so long is not going to be. */
static void bound_silence(struct httpd_req *r)
{
	unsigned ms = (unsigned)r->h->conf.idle_timeout_s * 1000;

	setsockopt(r->peer->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

static void no_memory(void)
{
	fprintf(stderr, "out of memory for an answer\n");
	abort();
}

struct httpd_stream *httpd_stream(struct httpd_req *r, const struct httpd_stream_config *c)
{
	struct httpd_stream *s = mem_zalloc(sizeof *s);
	struct httpd *h = r->h;

	*s = (struct httpd_stream){
		.h = h, .c = *c, .refs = 2, .conn = r->conn, .fd = r->peer->fd, .leave_by = INT64_MAX};
	pthread_mutex_init(&s->lock, NULL);
	r->status = c->status;
	r->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_next, s, NULL);
	if (!r->response) no_memory();
	if (c->ctype) MHD_add_response_header(r->response, "Content-Type", c->ctype);
	httpd_put_headers(r, r->response);
	if (atomic_load(&h->stopping)) MHD_add_response_header(r->response, "Connection", "close");
	bound_silence(r);
	pthread_mutex_lock(&h->lock);
	r->stream = s;
	h->streams++;
	s->broken = r->peer->hung_up || h->refusing;
	pthread_mutex_unlock(&h->lock);
	httpd_hand_back(r);
	return s;
}

ssize_t httpd_stream_room(struct httpd_stream *s)
{
	size_t left;
	ssize_t room;

	pthread_mutex_lock(&s->lock);
	left = s->out.n - s->at;
	room = s->broken ? -1 : left < s->c.window ? (ssize_t)(s->c.window - left) : 0;
	if (room == 0) s->full = true;
	pthread_mutex_unlock(&s->lock);
	return room;
}

void httpd_stream_write(struct httpd_stream *s, struct str bytes)
{
	pthread_mutex_lock(&s->lock);
	if (!s->broken && bytes.n) {
		if (s->at > s->out.n / 2) { /* moving less than has left keeps writing linear */
			memmove(s->out.p, s->out.p + s->at, s->out.n - s->at);
			s->out.n -= s->at;
			s->at = 0;
		}
		buf_str(&s->out, bytes);
		wake_connection(s);
	}
	pthread_mutex_unlock(&s->lock);
}

void httpd_stream_end(struct httpd_stream *s, bool whole)
{
	struct httpd *h = s->h;

	pthread_mutex_lock(&s->lock);
	s->ended = true;
	s->whole = whole && !s->broken;
	s->leave_by =
		clock_mono(&clock_real) + h->conf.write_timeout_s * NS_PER_S + httpd_transfer_ns(h, s->out.n - s->at);
	if (!whole && s->conn) shutdown(s->fd, SHUT_RDWR);
	wake_connection(s);
	pthread_mutex_unlock(&s->lock);
	httpd_stream_unref(s);
	pthread_mutex_lock(&h->lock);
	h->streams--;
	pthread_cond_broadcast(&h->change);
	pthread_mutex_unlock(&h->lock);
}

/* ---- connections that leave HTTP ---- */

struct httpd_conn {
	struct httpd *h;
	uint64_t peer; /* its id */
	struct MHD_UpgradeResponseHandle *urh;
	int fd;
	size_t n_early;
	char early[];
};

/* The watcher no longer minds this peer. Under h->lock. */
static void unwatch(struct httpd *h, struct peer *p)
{
	epoll_ctl(h->watch_ep, EPOLL_CTL_DEL, p->fd, NULL);
	if (p->hung_up) h->hung_up--;
	p->hung_up = false;
}

static void on_upgrade(void *cls, struct MHD_Connection *conn, void *con_cls, const char *extra, size_t n_extra,
		       MHD_socket fd, struct MHD_UpgradeResponseHandle *urh)
{
	struct httpd_req *r = cls;
	struct httpd *h = r->h;
	struct httpd_conn *c = mem_alloc(sizeof *c + n_extra);
	httpd_upgraded *fn = r->upgraded;

	(void)conn, (void)con_cls;
	*c = (struct httpd_conn){.h = h, .urh = urh, .peer = r->peer->id, .fd = fd, .n_early = n_extra};
	if (n_extra) memcpy(c->early, extra, n_extra);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	r->upgraded = NULL;
	pthread_mutex_lock(&h->lock);
	unwatch(h, r->peer);
	h->upgraded++;
	pthread_mutex_unlock(&h->lock);
	fn(r->upgraded_ud, c);
}

void httpd_upgrade(struct httpd_req *r, const char *protocol, httpd_upgraded *fn, void *ud)
{
	if (r->old) {
		httpd_reply_text(r, 400, STR("this needs HTTP/1.1"));
		fn(ud, NULL);
		return;
	}
	r->upgraded = fn;
	r->upgraded_ud = ud;
	r->status = MHD_HTTP_SWITCHING_PROTOCOLS;
	r->response = MHD_create_response_for_upgrade(on_upgrade, r);
	if (!r->response) no_memory();
	MHD_add_response_header(r->response, MHD_HTTP_HEADER_UPGRADE, protocol);
	httpd_put_headers(r, r->response);
	httpd_hand_back(r);
}

int httpd_conn_fd(const struct httpd_conn *c) { return c->fd; }
struct str httpd_conn_early(const struct httpd_conn *c) { return str_of(c->early, c->n_early); }

bool httpd_conn_end(struct httpd_conn *c)
{
	if (c->h->tls) return false; /* fd is one end of a pair, and the library does not pass its shutdown on */
	shutdown(c->fd, SHUT_WR);
	return true;
}

void httpd_conn_close(struct httpd_conn *c)
{
	struct httpd *h = c->h;

	MHD_upgrade_action(c->urh, MHD_UPGRADE_ACTION_CLOSE);
	pthread_mutex_lock(&h->lock);
	httpd_wake_closed(h, c->peer);
	h->upgraded--;
	pthread_cond_broadcast(&h->change);
	pthread_mutex_unlock(&h->lock);
	free(c);
}
