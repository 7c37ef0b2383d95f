/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/ws.h"

#include "common/base64.h"
#include "common/buf.h"
#include "common/digest.h"

#include <stdlib.h>
#include <wslay/wslay.h>

#define GUID       "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 §1.3 */
#define REASON_MAX 123                                    /* bytes behind the code in a control frame */
#define KEY_BYTES  16

struct ws {
	struct ws_config c;
	wslay_event_context_ptr ctx;
	struct str in; /* what ws_feed() still has */
	struct buf out;
	size_t at; /* of out: what has been sent */
	bool failed;
	unsigned peer_code;
	size_t n_reason;
	char reason[REASON_MAX];
	uint64_t pongs;
};

/* ---- what wslay asks for ---- */

static ssize_t take_input(wslay_event_context_ptr ctx, uint8_t *to, size_t n, int flags, void *ud)
{
	struct ws *w = ud;

	(void)flags;
	if (w->in.n == 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	if (n > w->in.n) n = w->in.n;
	memcpy(to, w->in.p, n);
	w->in = str_from(w->in, n);
	return (ssize_t)n;
}

static ssize_t put_output(wslay_event_context_ptr ctx, const uint8_t *p, size_t n, int flags, void *ud)
{
	struct ws *w = ud;

	(void)ctx, (void)flags;
	buf_add(&w->out, p, n);
	return (ssize_t)n;
}

static int make_mask(wslay_event_context_ptr ctx, uint8_t *to, size_t n, void *ud)
{
	struct ws *w = ud;

	(void)ctx;
	for (size_t i = 0; i < n; i++) to[i] = (uint8_t)clock_rnd(w->c.clock);
	return 0;
}

static void on_close(struct ws *w, const struct wslay_event_on_msg_recv_arg *m)
{
	struct str reason = str_of((const char *)m->msg, m->msg_length);

	w->peer_code = m->status_code ? m->status_code : WS_NO_CODE;
	if (reason.n <= 2) return;
	reason = str_from(reason, 2);
	w->n_reason = reason.n < REASON_MAX ? reason.n : REASON_MAX;
	memcpy(w->reason, reason.p, w->n_reason);
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *ud)
{
	struct ws *w = ud;

	(void)ctx;
	switch (m->opcode) {
	case WSLAY_CONNECTION_CLOSE: on_close(w, m); break;
	case WSLAY_PONG: w->pongs++; break;
	case WSLAY_TEXT_FRAME:
	case WSLAY_BINARY_FRAME:
		if (w->c.message)
			w->c.message(w->c.ud, m->opcode == WSLAY_TEXT_FRAME,
				     str_of((const char *)m->msg, m->msg_length));
		break;
	default: break; /* wslay answers pings */
	}
}

/* ---- both ends ---- */

struct ws *ws_new(const struct ws_config *c)
{
	static const struct wslay_event_callbacks callbacks = {.recv_callback = take_input,
							       .send_callback = put_output,
							       .genmask_callback = make_mask,
							       .on_msg_recv_callback = on_message};
	struct ws *w = mem_zalloc(sizeof *w);
	int rc;

	w->c = *c;
	rc = c->side == WS_SERVER ? wslay_event_context_server_init(&w->ctx, &callbacks, w)
				  : wslay_event_context_client_init(&w->ctx, &callbacks, w);
	if (rc) abort(); /* out of memory, as in mem_alloc() */
	wslay_event_config_set_max_recv_msg_length(w->ctx, c->max_message);
	return w;
}

void ws_free(struct ws *w)
{
	if (!w) return;
	wslay_event_context_free(w->ctx);
	buf_free(&w->out);
	free(w);
}

static void flush(struct ws *w)
{
	if (wslay_event_send(w->ctx)) w->failed = true;
}

void ws_feed(struct ws *w, struct str bytes)
{
	w->in = bytes;
	if (!w->failed && wslay_event_recv(w->ctx)) w->failed = true;
	w->in = STR_NULL;
	flush(w);
}

struct str ws_pending(const struct ws *w) { return str_from(buf_view(&w->out), w->at); }

void ws_sent(struct ws *w, size_t n)
{
	w->at += n;
	if (w->at == 0 || w->at < w->out.n / 2) return;
	memmove(w->out.p, w->out.p + w->at, w->out.n - w->at);
	w->out.n -= w->at;
	w->at = 0;
}

static void put(struct ws *w, uint8_t opcode, struct str bytes)
{
	const struct wslay_event_msg m = {opcode, (const uint8_t *)bytes.p, bytes.n};

	if (ws_closing(w) || w->failed) return;
	wslay_event_queue_msg(w->ctx, &m);
	flush(w);
}

void ws_text(struct ws *w, struct str utf8) { put(w, WSLAY_TEXT_FRAME, utf8); }
void ws_ping(struct ws *w) { put(w, WSLAY_PING, STR("")); }

void ws_close(struct ws *w, unsigned code, struct str reason)
{
	if (ws_closing(w) || w->failed) return;
	if (reason.n > REASON_MAX) reason.n = REASON_MAX;
	while (reason.n && !str_utf8_valid(reason)) reason.n--; /* not within a character */
	wslay_event_queue_close(w->ctx, (uint16_t)code, (const uint8_t *)reason.p, reason.n);
	flush(w);
}

bool ws_closing(const struct ws *w) { return wslay_event_get_close_sent(w->ctx); }

bool ws_done(const struct ws *w)
{
	return w->failed || (!wslay_event_want_read(w->ctx) && !wslay_event_want_write(w->ctx));
}

unsigned ws_peer_code(const struct ws *w) { return w->peer_code; }
struct str ws_peer_reason(const struct ws *w) { return str_of(w->reason, w->n_reason); }
uint64_t ws_pongs(const struct ws *w) { return w->pongs; }

/* ---- the handshake ---- */

static bool has_token(struct str list, struct str token)
{
	struct str one;

	for (bool more = list.p != NULL; more;) {
		more = str_cut(&list, ',', &one);
		if (str_ieq(str_trim(one), token)) return true;
	}
	return false;
}

bool ws_requested(const struct ws_request *q, struct err *e)
{
	struct buf raw = {0};
	size_t bad, n;

	if (!has_token(q->connection, STR("upgrade")) || !has_token(q->upgrade, STR("websocket")))
		return err_set(e, ERR_INVALID,
			       "this needs a WebSocket (Connection: Upgrade, Upgrade: websocket and so on)");
	if (!str_eqc(q->version, "13"))
		return err_set(e, ERR_INVALID, "Sec-WebSocket-Version: version 13 is spoken here");
	if (!base64_decode(&raw, q->key, &bad)) raw.n = 0;
	n = raw.n;
	buf_free(&raw);
	return n == KEY_BYTES || err_set(e, ERR_INVALID, "Sec-WebSocket-Key: 16 bytes in base64 are missing");
}

static void encode(struct str bytes, char out[WS_ACCEPT])
{
	struct buf b = {0};

	base64_encode(&b, bytes);
	memcpy(out, buf_cstr(&b), b.n + 1);
	buf_free(&b);
}

void ws_accept(struct str key, char out[WS_ACCEPT])
{
	unsigned char sum[DIGEST_SHA1];
	struct buf b = {0};

	buf_str(&b, key);
	buf_c(&b, GUID);
	digest_sha1(buf_view(&b), sum);
	encode(str_of((const char *)sum, sizeof sum), out);
	buf_free(&b);
}

void ws_key(struct clock *c, char out[WS_ACCEPT])
{
	uint64_t raw[KEY_BYTES / sizeof(uint64_t)];

	for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) raw[i] = clock_rnd(c);
	encode(str_of((const char *)raw, sizeof raw), out);
}
