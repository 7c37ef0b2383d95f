/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tail_sink: where the frames of one tail go: a WebSocket, or server-sent events.
 *
 * Nothing waits: a frame is put when there is room, and `changed` is called when there is again, or when the client has
 * gone or closed. A client that takes nothing for 30 s, or does not answer pings for as long, is given up.
 * One thread, the loop's. */
#ifndef LARCH_SERVER_HTTP_TAIL_SINK_H
#define LARCH_SERVER_HTTP_TAIL_SINK_H

#include "common/httpd.h"
#include "common/loop.h"

struct tail_sink;

struct tail_sink_ops {
	bool (*room)(struct tail_sink *s); /* for a frame */
	void (*put)(struct tail_sink *s, struct str json);
	void (*tick)(struct tail_sink *s, int64_t now); /* about once a second: pings, and who is silent */
	void (*close)(struct tail_sink *s, unsigned code, struct str reason);
	void (*free)(struct tail_sink *s);
};

/* The first member of each kind. */
struct tail_sink {
	const struct tail_sink_ops *ops;
	bool closing;   /* we closed it, or the client did: no frames any more */
	bool gone;      /* there is nobody any more: to be freed */
	char why[128];  /* when closing or gone: for the log */
	uint64_t bytes; /* put so far */
};

#define TAIL_SINK_WINDOW ((size_t)256 << 10) /* of server-sent events */

/* Takes the connection. changed is never called from within the functions here. */
struct tail_sink *tail_sink_ws(struct loop *l, struct httpd_conn *c, int64_t now, void (*changed)(void *ud), void *ud,
			       struct err *e);
/* Takes the stream, whose owner hears of changes by himself. */
struct tail_sink *tail_sink_events(struct httpd_stream *s, int64_t now);

#endif
