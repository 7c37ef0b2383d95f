/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/tail.h"

#include "cli/client.h"
#include "cli/print.h"
#include "common/units.h"
#include "common/ws.h"

#include <time.h>

#define RECENT      2000               /* lines that are known again after a new connection */
#define OVERLAP     (10 * UNITS_SEC)   /* how far before the break the new one begins */
#define SILENCE     (60 * UNITS_SEC)   /* servers ping every second or few */
#define MESSAGE_MAX ((size_t)64 << 20) /* of the server */
#define PAUSE_MIN   (250 * UNITS_MS)
#define PAUSE_MAX   (5 * UNITS_SEC)

struct tail {
	struct cli *c;
	struct err *e;
	struct arena a;
	struct ws *ws;
	bool failed;            /* the error is in e */
	bool resumed;           /* lines may come again */
	int64_t start;          /* of the next connection */
	int64_t oldest, newest; /* time of the first line shown, or of the start; of the newest one */
	uint64_t recent[RECENT];
	size_t nrecent; /* ever; the ring has the last of them */
};

static bool is_known(struct tail *t, uint64_t id)
{
	size_t n = t->nrecent < RECENT ? t->nrecent : RECENT;

	for (size_t i = 0; t->resumed && i < n; i++)
		if (t->recent[i] == id) return true;
	return false;
}

static void show(struct tail *t, const struct result_entry *x)
{
	uint64_t id = labels_hash(x->labels) * 31 + str_hash(x->line) + (uint64_t)x->ts * 1099511628211u;

	if (is_known(t, id)) return;
	t->recent[t->nrecent++ % RECENT] = id;
	if (t->nrecent == 1) t->oldest = x->ts;
	if (x->ts > t->newest) t->newest = x->ts;
	print_entry(t->c, x);
}

static void on_frame(void *ud, bool text, struct str bytes)
{
	struct tail *t = ud;
	struct result r;
	size_t dropped;

	if (t->failed || !text) return;
	arena_reset(&t->a);
	t->failed = !result_parse_frame(&t->a, bytes, &r, &dropped, t->e);
	if (t->failed) return;
	for (size_t i = 0; i < r.nentries; i++) show(t, &r.entries[i]);
	if (dropped) cli_note(t->c, "the server left out %zu lines: they came too fast", dropped);
	t->failed = !cli_flush(t->c, t->e);
}

static struct httpc_conn *dial(struct tail *t, struct err *e)
{
	const struct options *o = &t->c->o;
	struct buf query = {0};
	struct httpc_conn *conn;

	client_arg(&query, "query", str_c(o->args.v[0]));
	client_arg_i64(&query, "start", t->start);
	client_arg_i64(&query, "limit", t->resumed ? RECENT : o->limit ? (int64_t)o->limit : 1);
	if (o->delay_ns) client_arg_i64(&query, "delay_for", (o->delay_ns + UNITS_SEC - 1) / UNITS_SEC);
	conn = client_websocket(t->c, "/loki/api/v1/tail", buf_view(&query), e);
	buf_free(&query);
	return conn;
}

static bool send_pending(struct tail *t, struct httpc_conn *conn, struct err *e)
{
	struct str out = ws_pending(t->ws);

	if (!httpc_conn_write(conn, out, t->c->o.timeout_ns, e)) return false;
	ws_sent(t->ws, out.n);
	return true;
}

/* After the end of a connection: is it worth another one? */
static bool goes_on(struct tail *t, const struct err *e)
{
	unsigned code = ws_peer_code(t->ws);
	struct str reason = ws_peer_reason(t->ws);

	if (code == 0)
		cli_note(t->c, "the connection broke%s%s; opening it again", e->code ? ": " : "",
			 e->code ? e->msg : "");
	else if (code == WS_GOING_AWAY || str_starts(reason, STR("reached tail max duration")))
		cli_note(t->c, "the server closed the tail: %.*s; opening it again", STR_ARG(reason));
	else
		return err_set(t->e, ERR_UNPROCESSABLE, "the server closed the tail (%u): %.*s", code, STR_ARG(reason));
	return true;
}

/* One connection, to its end. False: the tail is over, with the error in t->e. */
static bool listen_to(struct tail *t, struct httpc_conn *conn)
{
	struct err e = ERR_INIT;
	char part[65536];
	ssize_t n = 1;

	while (n > 0 && !t->failed && !ws_done(t->ws)) {
		n = httpc_conn_read(conn, part, sizeof part, SILENCE, &e);
		if (n > 0) ws_feed(t->ws, str_of(part, (size_t)n));
		if (n > 0 && !send_pending(t, conn, &e)) break;
	}
	return t->failed ? false : goes_on(t, &e);
}

static void pause_ns(int64_t ns)
{
	struct timespec at = {.tv_sec = ns / UNITS_SEC, .tv_nsec = ns % UNITS_SEC};

	nanosleep(&at, NULL);
}

/* Opens a connection; one that broke, again and again for a while. */
static struct httpc_conn *open_again(struct tail *t)
{
	int64_t began = clock_mono(t->c->clock), wait = PAUSE_MIN;

	for (;;) {
		struct httpc_conn *conn;

		*t->e = ERR_INIT;
		conn = dial(t, t->e);
		if (conn || !t->resumed || clock_mono(t->c->clock) - began > t->c->o.timeout_ns) return conn;
		pause_ns(wait);
		wait = wait * 2 < PAUSE_MAX ? wait * 2 : PAUSE_MAX;
	}
}

static bool follow(struct tail *t)
{
	struct httpc_conn *conn = open_again(t);
	bool go_on;

	if (!conn) return false;
	t->ws = ws_new(&(struct ws_config){
		.side = WS_CLIENT, .max_message = MESSAGE_MAX, .clock = t->c->clock, .message = on_frame, .ud = t});
	go_on = listen_to(t, conn);
	ws_free(t->ws);
	httpc_conn_close(conn);
	t->resumed = true;
	if (t->newest - OVERLAP > t->oldest) t->oldest = t->newest - OVERLAP;
	t->start = t->oldest;
	return go_on;
}

bool tail_run(struct cli *c, struct err *e)
{
	struct tail t = {.c = c, .e = e, .oldest = clock_wall(c->clock)};
	t.start = c->o.limit ? c->o.start : t.oldest;

	if (c->o.to) return err_set(e, ERR_INVALID, "a tail has no end: leave --to out");
	if (c->o.instant || c->o.step_ns) return err_set(e, ERR_INVALID, "a tail shows lines, no metrics");
	arena_init(&t.a, 0);
	while (follow(&t)) {}
	arena_free(&t.a);
	return false;
}
