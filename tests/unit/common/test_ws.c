/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/ws.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MAX_MESSAGE 1000

/* What one end got. */
struct got {
	struct buf text;
	unsigned messages;
};

static void on_message(void *ud, bool text, struct str bytes)
{
	struct got *g = ud;

	buf_printf(&g->text, "%s(%.*s)", text ? "text" : "binary", STR_ARG(bytes));
	g->messages++;
}

static struct ws *open_end(enum ws_side side, struct got *g)
{
	static struct clock_fake clock;

	clock_fake_init(&clock, 0, 7);
	*g = (struct got){0};
	return ws_new(&(struct ws_config){
		.side = side, .max_message = MAX_MESSAGE, .clock = &clock.base, .message = on_message, .ud = g});
}

/* Carries what pends from one end to the other, `step` bytes at a time. */
static void carry(struct ws *from, struct ws *to, size_t step)
{
	while (ws_pending(from).n) {
		struct str all = ws_pending(from), part = str_sub(all, 0, all.n < step ? all.n : step);

		ws_feed(to, part);
		ws_sent(from, part.n);
	}
}

static void messages_in_any_pieces(void **state)
{
	static const size_t steps[] = {1, 2, 7, 4096};
	char large[MAX_MESSAGE];

	(void)state;
	memset(large, 'x', sizeof large);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct got server, client;
		struct ws *s = open_end(WS_SERVER, &server), *c = open_end(WS_CLIENT, &client);

		ws_text(c, STR("caf\xc3\xa9"));
		ws_text(c, str_of(large, sizeof large));
		carry(c, s, steps[i]);
		assert_int_equal(server.messages, 2);
		assert_true(str_starts(buf_view(&server.text), STR("text(caf\xc3\xa9)text(xxx")));
		ws_text(s, STR("back"));
		ws_ping(s);
		carry(s, c, steps[i]);
		assert_string_equal(buf_cstr(&client.text), "text(back)");
		carry(c, s, steps[i]);
		assert_int_equal(ws_pongs(s), 1);
		assert_false(ws_done(s) || ws_done(c) || ws_closing(s));
		ws_free(s);
		ws_free(c);
		buf_free(&server.text);
		buf_free(&client.text);
	}
}

static void closing_from_either_end(void **state)
{
	struct got server, client;
	struct ws *s = open_end(WS_SERVER, &server), *c = open_end(WS_CLIENT, &client);
	char long_reason[200];

	(void)state;
	ws_close(s, WS_GOING_AWAY, STR("the server is stopping"));
	ws_text(s, STR("nothing more"));
	ws_close(s, WS_NORMAL, STR("not twice"));
	assert_true(ws_closing(s) && !ws_done(s));
	carry(s, c, 4096);
	assert_int_equal(ws_peer_code(c), WS_GOING_AWAY);
	assert_true(str_eqc(ws_peer_reason(c), "the server is stopping"));
	assert_true(ws_done(c));
	assert_int_equal(client.messages, 0);
	carry(c, s, 4096);
	assert_int_equal(ws_peer_code(s), WS_GOING_AWAY);
	assert_true(ws_done(s));
	ws_free(s);
	ws_free(c);

	s = open_end(WS_SERVER, &server);
	c = open_end(WS_CLIENT, &client);
	memset(long_reason, 'r', sizeof long_reason);
	memcpy(long_reason + 122, "\xc3\xa9", 2); /* across the edge */
	ws_close(c, WS_NORMAL, str_of(long_reason, sizeof long_reason));
	carry(c, s, 3);
	assert_int_equal(ws_peer_code(s), WS_NORMAL);
	assert_int_equal(ws_peer_reason(s).n, 122);
	assert_true(ws_done(s));
	ws_free(s);
	ws_free(c);
}

struct breach {
	const char *what;
	struct str bytes;
	unsigned code; /* with which it is closed */
};

#define B(what, bytes, code)                                                                                           \
	{                                                                                                              \
		what, {bytes, sizeof(bytes) - 1}, code                                                                 \
	}

static void breaches_are_closed(void **state)
{
	static const struct breach rows[] = {
		B("a frame without a mask", "\x81\x02hi", 1002),
		B("a reserved bit", "\xc1\x82\0\0\0\0hi", 1002),
		B("a reserved opcode", "\x83\x81\0\0\0\0x", 1002),
		B("a continuation of nothing", "\x80\x81\0\0\0\0x", 1002),
		B("a new message within another", "\x01\x81\0\0\0\0x\x81\x81\0\0\0\0x", 1002),
		B("text that is not UTF-8", "\x81\x82\0\0\0\0\xff\xfe", 1007),
		B("half a character at the end", "\x81\x81\0\0\0\0\xc3", 1007),
		B("a message over the limit", "\x82\xfe\x03\xe9\0\0\0\0x", 1009),
		B("a length of 63 bits", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x", 1009),
		B("a reserved close code", "\x88\x82\0\0\0\0\x03\xed", 1002),
		/* These are no frames at all: closed without a code. */
		B("a fragmented ping", "\x09\x81\0\0\0\0x", 0),
		B("a length in more bytes than it takes", "\x81\xfe\0\x02\0\0\0\0hi", 0),
		B("a ping of 126 bytes", "\x89\xfe\0\x7e\0\0\0\0", 0),
		B("a length of 64 bits", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 0),
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct got g;
		struct ws *s = open_end(WS_SERVER, &g);
		struct str out;

		ws_feed(s, rows[i].bytes);
		out = ws_pending(s);
		if (g.messages || !ws_done(s) || !ws_closing(s)) fail_msg("%s is taken", rows[i].what);
		if (out.n < 2 || (unsigned char)out.p[0] != 0x88) fail_msg("%s: no close frame", rows[i].what);
		if (rows[i].code &&
		    (out.n < 4 || ((unsigned char)out.p[2] << 8 | (unsigned char)out.p[3]) != (int)rows[i].code))
			fail_msg("%s: not closed with %u", rows[i].what, rows[i].code);
		ws_text(s, STR("more"));
		ws_feed(s, STR("\x81\x82\0\0\0\0hi"));
		assert_int_equal(ws_pending(s).n, out.n);
		assert_int_equal(g.messages, 0);
		ws_free(s);
		buf_free(&g.text);
	}
}

static void fragments_with_control_frames_between(void **state)
{
	struct got g;
	struct ws *s = open_end(WS_SERVER, &g);
	struct str in =
		STR("\x01\x82\0\0\0\0ab\x89\x81\0\0\0\0p\x00\x81\0\0\0\0\xc3\x8a\x80\0\0\0\0\x80\x81\0\0\0\0\xa9");

	(void)state;
	for (size_t i = 0; i < in.n; i++) ws_feed(s, str_sub(in, i, i + 1));
	assert_string_equal(buf_cstr(&g.text), "text(ab\xc3\xa9)");
	assert_true(str_eq(ws_pending(s), STR("\x8a\x01p")));
	assert_int_equal(ws_pongs(s), 1);
	assert_false(ws_done(s));
	ws_free(s);
	buf_free(&g.text);
}

static void handshake(void **state)
{
	struct ws_request good = {STR("keep-alive, Upgrade"), STR("WebSocket"), STR("13"),
				  STR("dGhlIHNhbXBsZSBub25jZQ==")},
			  q;
	struct err e = ERR_INIT;
	char accept[WS_ACCEPT], key[WS_ACCEPT], other[WS_ACCEPT];

	(void)state;
	ws_accept(good.key, accept);
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* the RFC's example */
	assert_true(ws_requested(&good, &e));
	q = good;
	q.connection = STR_NULL;
	assert_false(ws_requested(&q, &e));
	q = good;
	q.upgrade = STR("h2c");
	assert_false(ws_requested(&q, &e));
	q = good;
	q.version = STR("8");
	assert_false(ws_requested(&q, &e));
	assert_non_null(strstr(e.msg, "Sec-WebSocket-Version"));
	q = good;
	q.key = STR("dGhl");
	assert_false(ws_requested(&q, &e));
	q.key = STR("!");
	assert_false(ws_requested(&q, &e));
	assert_int_equal(e.code, ERR_INVALID);
	ws_key(&clock_real, key);
	ws_key(&clock_real, other);
	assert_string_not_equal(key, other);
	q.key = str_c(key);
	assert_true(ws_requested(&q, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_in_any_pieces),
		cmocka_unit_test(closing_from_either_end),
		cmocka_unit_test(breaches_are_closed),
		cmocka_unit_test(fragments_with_control_frames_between),
		cmocka_unit_test(handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
