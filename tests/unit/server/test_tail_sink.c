/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/tail_sink.h"

#include "common/units.h"
#include "common/ws.h"
#include "tests/unit/check.h"

#include <sys/socket.h>
#include <unistd.h>

/* A connection that has left HTTP, without one. */
struct httpd_conn {
	int fd;
};

int httpd_conn_fd(const struct httpd_conn *c) { return c->fd; }
struct str httpd_conn_early(const struct httpd_conn *c)
{
	(void)c;
	return STR("");
}
bool httpd_conn_end(struct httpd_conn *c) { return shutdown(c->fd, SHUT_WR) == 0; }
void httpd_conn_close(struct httpd_conn *c) { close(c->fd); }

ssize_t httpd_stream_room(struct httpd_stream *s)
{
	(void)s;
	return -1;
}
void httpd_stream_write(struct httpd_stream *s, struct str bytes) { (void)s, (void)bytes; }
void httpd_stream_end(struct httpd_stream *s, bool whole) { (void)s, (void)whole; }

struct fixture {
	struct loop *l;
	struct httpd_conn conn;
	struct tail_sink *sink;
	int client;
	int64_t began;
	unsigned changes;
};

static void on_changed(void *ud) { ((struct fixture *)ud)->changes++; }

/* A client that was last heard of `before` ago. */
static void connect_to(struct fixture *f, int64_t before)
{
	struct err e = ERR_INIT;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	*f = (struct fixture){.conn.fd = pair[0], .client = pair[1], .began = clock_mono(&clock_real)};
	f->l = loop_new(&clock_real, &e);
	f->sink = tail_sink_ws(f->l, &f->conn, f->began - before, on_changed, f, &e);
	assert_non_null(f->sink);
}

static void disconnect(struct fixture *f)
{
	f->sink->ops->free(f->sink);
	close(f->client);
	loop_free(f->l);
}

static void put_until_full(struct fixture *f)
{
	static char text[200000];
	memset(text, 'x', sizeof text);
	while (f->sink->ops->room(f->sink)) f->sink->ops->put(f->sink, str_of(text, sizeof text));
}

/* What the socket holds by now. */
static size_t read_some(struct fixture *f)
{
	char part[65536];
	size_t n = 0;
	for (ssize_t got; (got = read(f->client, part, sizeof part)) > 0;) n += (size_t)got;
	return n;
}

static void who_reads_slowly_is_not_silent(void **state)
{
	struct fixture f;
	(void)state;
	connect_to(&f, 25 * UNITS_SEC);
	put_until_full(&f);
	assert_true(read_some(&f) > 0);
	loop_step(f.l, 0);
	put_until_full(&f);
	f.sink->ops->tick(f.sink, f.began + 10 * UNITS_SEC);
	if (f.sink->gone || f.sink->closing) fail_msg("%s", f.sink->why);
	f.sink->ops->tick(f.sink, f.began + 35 * UNITS_SEC);
	assert_true(f.sink->closing);
	check_text(f.sink->why, "the client reads too slowly");
	disconnect(&f);
}

static void who_says_nothing_is_given_up(void **state)
{
	struct fixture f;
	(void)state;
	connect_to(&f, 0);
	f.sink->ops->put(f.sink, STR("{}"));
	f.sink->ops->tick(f.sink, f.began + UNITS_SEC);
	assert_int_equal(read_some(&f), 4 + 2); /* the frame and a ping */
	f.sink->ops->tick(f.sink, f.began + 29 * UNITS_SEC);
	assert_false(f.sink->gone);
	f.sink->ops->tick(f.sink, f.began + 31 * UNITS_SEC);
	assert_true(f.sink->gone);
	check_text(f.sink->why, "the client does not answer pings");
	disconnect(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_reads_slowly_is_not_silent),
		cmocka_unit_test(who_says_nothing_is_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
