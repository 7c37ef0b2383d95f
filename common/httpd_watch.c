/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The watcher: what the library does not see of its connections. A peer that hangs up while its request is handled
 * cancels it; a peer that sends or reads too slowly, a byte now and then, is cut off, which the library's timeout for
 * silence never would. */
#include "common/clock.h"
#include "common/httpd_impl.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#define WAKE_MS 100
#define TICK_MS 1000 /* how exact the timeouts are */

static void hang_up(struct httpd *h, uint64_t id)
{
	struct httpd_stream *stream = NULL;

	pthread_mutex_lock(&h->lock);
	for (struct peer *p = h->peers; p; p = p->next) {
		if (p->id != id || p->hung_up) continue;
		p->hung_up = true;
		h->hung_up++;
		if (p->req && p->req->state == REQ_RUNNING) atomic_store(&p->req->cancelled, true);
		if (p->req && p->req->stream) stream = httpd_stream_ref(p->req->stream);
	}
	pthread_mutex_unlock(&h->lock);
	if (stream) httpd_stream_break(stream);
	httpd_stream_unref(stream);
}

/* The library's edge-triggered loop overlooks an end of input that came together with data, and would keep the
 * connection, and what its request has reserved, until the idle timeout. Shutting down the side that has ended
 * anyway changes nothing but to wake that loop once more; again and again, since it may be reading just then. */
static void wake_hung_up(struct httpd *h)
{
	pthread_mutex_lock(&h->lock);
	for (struct peer *p = h->peers; p; p = p->next)
		if (p->hung_up && !(p->req && p->req->state == REQ_RUNNING)) shutdown(p->fd, SHUT_RD);
	pthread_mutex_unlock(&h->lock);
}

/* Over TLS the library overlooks in the same way that a connection is to be closed. */
void httpd_wake_closed(struct httpd *h, uint64_t peer)
{
	for (struct peer *p = h->peers; p; p = p->next) {
		if (p->id != peer || p->hung_up) continue;
		p->hung_up = true;
		h->hung_up++;
	}
}

/* When the peer's patience is over; INT64_MAX: never. */
static int64_t deadline_of(const struct httpd *h, const struct peer *p)
{
	const struct httpd_req *r = p->req;

	if (!r) return p->since + h->conf.idle_timeout_s * NS_PER_S;
	if (r->state == REQ_READING)
		return r->started + h->conf.read_timeout_s * NS_PER_S + httpd_transfer_ns(h, atomic_load(&r->received));
	if (r->stream) return httpd_stream_deadline(r->stream);
	return r->state == REQ_ANSWERED && r->leave_by ? r->leave_by : INT64_MAX;
}

/* The library notices, and closes; without lingering, what the peer has not read goes, too. */
static void cut(int fd)
{
	const struct linger none = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	shutdown(fd, SHUT_RDWR);
}

static void cut_slow(struct httpd *h)
{
	int64_t now = clock_mono(&clock_real);

	pthread_mutex_lock(&h->lock);
	for (struct peer *p = h->peers; p; p = p->next)
		if (deadline_of(h, p) < now) cut(p->fd);
	pthread_mutex_unlock(&h->lock);
}

void *httpd_watch(void *ud)
{
	struct httpd *h = ud;
	int64_t next_tick = 0;
	int wait_ms = TICK_MS;

	for (;;) {
		struct epoll_event ev[64];
		int n = epoll_wait(h->watch_ep, ev, 64, wait_ms);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.u64 == 0) return NULL; /* watch_stop; connections count from 1 */
			hang_up(h, ev[i].data.u64);
		}
		if (n == 0) wake_hung_up(h);
		if (clock_mono(&clock_real) >= next_tick) {
			cut_slow(h);
			next_tick = clock_mono(&clock_real) + TICK_MS * (NS_PER_S / 1000);
		}
		pthread_mutex_lock(&h->lock);
		wait_ms = h->hung_up ? WAKE_MS : TICK_MS;
		pthread_mutex_unlock(&h->lock);
	}
}
