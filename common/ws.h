/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ws: one end of a WebSocket connection (RFC 6455), over wslay (its only user).
 *
 * Knows bytes and messages, no sockets: what the peer sent is fed in, what is to leave waits in ws_pending(). Pings are
 * answered, a close is answered with a close; a peer that breaks the rules is closed with the code the RFC has for it
 * (1002, 1007 for text that is not UTF-8, 1009 for a message over max_message). What pends is as large as what was put
 * in, and a pong per ping: whoever reads from the peer stops while too much pends. One thread. */
#ifndef LARCH_COMMON_WS_H
#define LARCH_COMMON_WS_H

#include "common/clock.h"
#include "common/err.h"
#include "common/str.h"

struct ws;

enum ws_side { WS_SERVER, WS_CLIENT };

/* Close codes (RFC 6455 §7.4.1). */
enum {
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_NO_CODE = 1005, /* the peer's close frame had none */
	WS_POLICY = 1008,
	WS_INTERNAL = 1011
};

struct ws_config {
	enum ws_side side;
	size_t max_message;  /* bytes of a message from the peer */
	struct clock *clock; /* for a client's masks */
	/* A message; borrowed for the call, which may put messages and close. NULL: they are thrown away. */
	void (*message)(void *ud, bool text, struct str bytes);
	void *ud;
};

struct ws *ws_new(const struct ws_config *c);
void ws_free(struct ws *w);

void ws_feed(struct ws *w, struct str bytes); /* from the peer */
struct str ws_pending(const struct ws *w);    /* for the peer; valid until the next call */
void ws_sent(struct ws *w, size_t n);         /* the first n bytes of it are on their way */

/* Nothing is put any more behind a close. */
void ws_text(struct ws *w, struct str utf8);
void ws_ping(struct ws *w);
void ws_close(struct ws *w, unsigned code, struct str reason); /* the reason is cut at 123 bytes */

/* Has a close frame been put, by ws_close() or in answer to the peer? */
bool ws_closing(const struct ws *w);
/* Nothing will come and nothing be put any more: once what pends is sent, the connection may go. */
bool ws_done(const struct ws *w);
unsigned ws_peer_code(const struct ws *w);     /* of the peer's close frame; 0: there was none */
struct str ws_peer_reason(const struct ws *w); /* with it */
uint64_t ws_pongs(const struct ws *w);         /* that came so far */

/* ---- the handshake ---- */

#define WS_ACCEPT 29 /* base64 of a SHA-1, and a NUL */

struct ws_request { /* headers of a GET; .p == NULL: absent */
	struct str connection, upgrade, version, key;
};
/* Do they ask for a WebSocket? False: what is missing. */
bool ws_requested(const struct ws_request *q, struct err *e);
/* Sec-WebSocket-Accept for a key. */
void ws_accept(struct str key, char out[WS_ACCEPT]);
/* A new key for a client. */
void ws_key(struct clock *c, char out[WS_ACCEPT]);

#endif
