/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/tail_sink.h"

#include "common/json.h"
#include "common/units.h"
#include "common/ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define OUT_LOW     ((size_t)64 << 10) /* pending bytes below which there is room, and the client is read from */
#define MESSAGE_MAX ((size_t)64 << 10) /* of a client, which has nothing to say */
#define READS       16                 /* before others have their turn */
#define SILENCE     (30 * UNITS_SEC)
#define STALL       (30 * UNITS_SEC)
#define FAREWELL    (2 * UNITS_SEC) /* for the client's answer to a close */
#define EVENT_PING  (15 * UNITS_SEC)

static void gone(struct tail_sink *s, const char *why)
{
	if (!s->gone && !s->closing) snprintf(s->why, sizeof s->why, "%s", why);
	s->gone = s->closing = true;
}

/* ---- WebSocket ---- */

struct ws_sink {
	struct tail_sink base;
	struct loop_fd *watch;
	uint32_t events; /* it waits for */
	struct httpd_conn *conn;
	struct ws *ws;
	bool half;                    /* all was sent and the sending side closed */
	int64_t heard, taken, closed; /* monotonic: a byte came or could not, a byte was taken, a close was put */
	void (*changed)(void *ud);
	void *ud;
};

static size_t pending(const struct ws_sink *s) { return ws_pending(s->ws).n; }

/* A close frame was put: by ws_end(), or since the client closed or broke a rule. */
static void note_close(struct ws_sink *s)
{
	struct str reason = ws_peer_reason(s->ws);
	if (s->base.closing) return;
	s->base.closing = true;
	s->closed = clock_mono(&clock_real);
	if (ws_peer_code(s->ws))
		snprintf(s->base.why, sizeof s->base.why, "the client closed (%u%s%.*s)", ws_peer_code(s->ws),
			 reason.n ? " " : "", STR_ARG(reason));
	else
		snprintf(s->base.why, sizeof s->base.why, "the client broke a rule of the protocol");
}

/* Sends what the socket takes. */
static void flush(struct ws_sink *s)
{
	while (!s->base.gone && pending(s)) {
		struct str out = ws_pending(s->ws);
		ssize_t n = send(httpd_conn_fd(s->conn), out.p, out.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) gone(&s->base, "the client has gone");
		if (n < 0) break;
		ws_sent(s->ws, (size_t)n);
		s->taken = clock_mono(&clock_real);
	}
	if (ws_closing(s->ws)) note_close(s);
	if (ws_done(s->ws) && pending(s) == 0 && !s->half) {
		/* Closing at once, with bytes unread, could take the close frame away from the client. */
		s->half = httpd_conn_end(s->conn);
		if (!s->half) gone(&s->base, "closed");
	}
	uint32_t events = (pending(s) < OUT_LOW ? EPOLLIN : 0) | (pending(s) ? EPOLLOUT : 0);
	if (events != s->events) loop_fd_mod(s->watch, events);
	s->events = events;
}

static void receive(struct ws_sink *s)
{
	char part[16384];
	for (int i = 0; i < READS && !s->base.gone && pending(s) < OUT_LOW; i++) {
		ssize_t n = recv(httpd_conn_fd(s->conn), part, sizeof part, 0);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
		if (n <= 0) {
			gone(&s->base, "the client has gone");
			return;
		}
		s->heard = clock_mono(&clock_real);
		ws_feed(s->ws, str_of(part, (size_t)n));
		flush(s);
	}
}

static void on_ready(void *ud, uint32_t events)
{
	struct ws_sink *s = ud;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(s);
	flush(s);
	s->changed(s->ud);
}

static bool ws_room(struct tail_sink *b)
{
	struct ws_sink *s = (struct ws_sink *)b;
	return !b->closing && pending(s) < OUT_LOW;
}

static void ws_put(struct tail_sink *b, struct str json)
{
	struct ws_sink *s = (struct ws_sink *)b;
	if (pending(s) == 0) s->taken = clock_mono(&clock_real);
	ws_text(s->ws, json);
	b->bytes += json.n;
	flush(s);
}

static void ws_end(struct tail_sink *b, unsigned code, struct str reason)
{
	struct ws_sink *s = (struct ws_sink *)b;
	if (b->closing) return;
	snprintf(b->why, sizeof b->why, "%.*s", STR_ARG(reason));
	b->closing = true;
	s->closed = clock_mono(&clock_real);
	ws_close(s->ws, code, reason);
	flush(s);
}

static void ws_tick(struct tail_sink *b, int64_t now)
{
	struct ws_sink *s = (struct ws_sink *)b;
	/* Who has not read all yet has not come to a ping either; whether he reads on is what counts. */
	if (pending(s)) s->heard = now;
	if (b->closing && now - s->closed > FAREWELL)
		gone(b, "closed");
	else if (now - s->heard > SILENCE)
		gone(b, "the client does not answer pings");
	else if (pending(s) && now - s->taken > STALL)
		ws_end(b, WS_POLICY, STR("the client reads too slowly"));
	else if (pending(s) == 0 && !b->closing)
		ws_ping(s->ws);
	flush(s);
}

static void ws_sink_free(struct tail_sink *b)
{
	struct ws_sink *s = (struct ws_sink *)b;
	if (s->watch) loop_fd_del(s->watch);
	ws_free(s->ws);
	httpd_conn_close(s->conn);
	free(s);
}

static const struct tail_sink_ops ws_ops = {ws_room, ws_put, ws_tick, ws_end, ws_sink_free};

struct tail_sink *tail_sink_ws(struct loop *l, struct httpd_conn *c, int64_t now, void (*changed)(void *ud), void *ud,
			       struct err *e)
{
	struct ws_sink *s = mem_zalloc(sizeof *s);
	*s = (struct ws_sink){.base.ops = &ws_ops,
			      .events = EPOLLIN,
			      .conn = c,
			      .heard = now,
			      .taken = now,
			      .changed = changed,
			      .ud = ud};
	s->ws = ws_new(&(struct ws_config){.side = WS_SERVER, .max_message = MESSAGE_MAX, .clock = &clock_real});
	s->watch = loop_fd_add(l, httpd_conn_fd(c), EPOLLIN, on_ready, s, e);
	if (!s->watch) {
		ws_sink_free(&s->base);
		return NULL;
	}
	ws_feed(s->ws, httpd_conn_early(c));
	flush(s);
	return &s->base;
}

/* ---- server-sent events ---- */

struct event_sink {
	struct tail_sink base;
	struct httpd_stream *stream; /* NULL: ended */
	int64_t said, moved;         /* monotonic: something was put; the window was not full */
};

static bool event_room(struct tail_sink *b)
{
	struct event_sink *s = (struct event_sink *)b;
	if (b->closing) return false;
	ssize_t room = httpd_stream_room(s->stream);
	if (room < 0) gone(b, "the client has gone");
	return room > 0;
}

static void say(struct event_sink *s, struct str text)
{
	httpd_stream_write(s->stream, text);
	s->said = clock_mono(&clock_real);
}

static void event_put(struct tail_sink *b, struct str json)
{
	struct event_sink *s = (struct event_sink *)b;
	struct buf text = {0};
	buf_printf(&text, "data: %.*s\n\n", STR_ARG(json));
	say(s, buf_view(&text));
	b->bytes += json.n;
	buf_free(&text);
}

static void event_end(struct tail_sink *b, unsigned code, struct str reason)
{
	struct event_sink *s = (struct event_sink *)b;
	struct buf text = {0};
	if (b->closing) return;
	buf_printf(&text, "event: end\ndata: {\"code\":%u,\"reason\":", code);
	json_quote(&text, reason, false);
	buf_c(&text, "}\n\n");
	say(s, buf_view(&text));
	buf_free(&text);
	httpd_stream_end(s->stream, true);
	s->stream = NULL;
	snprintf(b->why, sizeof b->why, "%.*s", STR_ARG(reason));
	b->closing = b->gone = true;
}

static void event_tick(struct tail_sink *b, int64_t now)
{
	struct event_sink *s = (struct event_sink *)b;
	if (event_room(b)) {
		s->moved = now;
		if (now - s->said > EVENT_PING) say(s, STR(": ping\n\n"));
	} else if (now - s->moved > STALL) {
		gone(b, "the client reads too slowly");
	}
}

static void event_free(struct tail_sink *b)
{
	struct event_sink *s = (struct event_sink *)b;
	if (s->stream) httpd_stream_end(s->stream, false);
	free(s);
}

static const struct tail_sink_ops event_ops = {event_room, event_put, event_tick, event_end, event_free};

struct tail_sink *tail_sink_events(struct httpd_stream *stream, int64_t now)
{
	struct event_sink *s = mem_zalloc(sizeof *s);
	*s = (struct event_sink){.base.ops = &event_ops, .stream = stream, .said = now, .moved = now};
	say(s, STR(": tail\n\n")); /* so that the client sees the answer's beginning at once */
	return &s->base;
}
