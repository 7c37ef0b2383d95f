/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/httpd.h"

#include "common/clock.h"
#include "common/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEC      INT64_C(1000000000)
#define DEADLINE (30 * SEC)
#define CROWD    200

/* What handlers and tests share. */
static struct {
	struct budget budget, answers;
	_Atomic int entered;   /* handlers of /wait that run */
	_Atomic int cancelled; /* … that saw their flag */
	_Atomic bool release;  /* … that may answer */
	_Atomic int done;
	_Atomic int last_status;
	_Atomic bool last_method_other;
	pthread_mutex_t lock;
	struct httpd_req *crowd[CROWD];
	size_t ncrowd;
} t = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void reply_buf(struct httpd_req *r, struct buf *b) { httpd_reply(r, 200, "text/plain", b); }

/* Prints what it got. */
static void on_echo(struct httpd_req *r, void *ctx)
{
	struct buf b = {0};
	struct str v[4];
	size_t n = httpd_args(r, "m", v, 4);

	assert_ptr_equal(ctx, &t);
	buf_c(&b, httpd_method(r));
	for (size_t i = 0; i < n && i < 4; i++) buf_printf(&b, " m=%.*s", STR_ARG(v[i]));
	if (httpd_arg(r, "q").p) buf_printf(&b, " q=%.*s", STR_ARG(httpd_arg(r, "q")));
	if (httpd_header(r, "x-scope-orgid").p) buf_printf(&b, " org=%.*s", STR_ARG(httpd_header(r, "X-Scope-OrgID")));
	if (!httpd_arg(r, "absent").p && !httpd_header(r, "Absent").p && !httpd_param(r, "absent").p) buf_c(&b, " ok");
	reply_buf(r, &b);
}

static void on_item(struct httpd_req *r, void *ctx)
{
	struct buf b = {0};

	(void)ctx;
	buf_str(&b, httpd_param(r, "name"));
	reply_buf(r, &b);
}

static void on_body(struct httpd_req *r, void *ctx)
{
	struct buf b = {0};

	(void)ctx;
	buf_printf(&b, "%zu %016llx", httpd_body(r).n, (unsigned long long)str_hash(httpd_body(r)));
	reply_buf(r, &b);
}

static void on_wait(struct httpd_req *r, void *ctx)
{
	const _Atomic bool *flag = httpd_cancel_flag(r);

	(void)ctx;
	atomic_fetch_add(&t.entered, 1);
	while (!atomic_load(flag) && !atomic_load(&t.release)) usleep(1000);
	if (atomic_load(flag)) atomic_fetch_add(&t.cancelled, 1);
	httpd_reply_text(r, atomic_load(flag) ? 499 : 200, STR("waited"));
}

/* Answers nobody until the whole crowd is there. */
static void on_crowd(struct httpd_req *r, void *ctx)
{
	size_t n;

	(void)ctx;
	pthread_mutex_lock(&t.lock);
	t.crowd[t.ncrowd++] = r;
	n = t.ncrowd;
	pthread_mutex_unlock(&t.lock);
	if (n < CROWD) return;
	for (size_t i = 0; i < CROWD; i++) httpd_reply_text(t.crowd[i], 200, STR("all here"));
}

static void on_big(struct httpd_req *r, void *ctx)
{
	struct buf b = {0};

	(void)ctx;
	for (int i = 0; i < 10000; i++) buf_printf(&b, "line %d\n", i);
	httpd_header_add(r, "X-Extra", "yes");
	reply_buf(r, &b);
}

#define LARGE ((size_t)32 << 20) /* more than sockets hold */

static void on_large(struct httpd_req *r, void *ctx)
{
	struct buf b = {0};

	(void)ctx;
	buf_reserve(&b, LARGE);
	memset(b.p, 'x', LARGE);
	b.n = LARGE;
	reply_buf(r, &b);
}

/* ---- answers in pieces, and connections that leave HTTP ---- */

#define FLOOD ((size_t)20 << 20)

struct flood {
	struct httpd_stream *s;
	size_t left, most_room;
	bool cut; /* in the middle */
	_Atomic int woken;
};

static void on_flood_wake(void *ud, bool broken)
{
	(void)broken;
	atomic_fetch_add(&((struct flood *)ud)->woken, 1);
}

/* As much as there is room for, whenever there is. */
static void *flood(void *ud)
{
	struct flood *f = ud;
	struct buf b = {0};
	ssize_t room = 0;
	size_t end = f->cut ? FLOOD / 2 : 0;

	for (int seen = 0; f->left > end && (room = httpd_stream_room(f->s)) >= 0;) {
		size_t n = (size_t)room < f->left ? (size_t)room : f->left;

		if (n > f->most_room) f->most_room = n;
		buf_clear(&b);
		for (size_t i = 0; i < n; i++) buf_ch(&b, (char)((FLOOD - f->left + i) % 251));
		f->left -= n;
		httpd_stream_write(f->s, buf_view(&b));
		while (room == 0 && atomic_load(&f->woken) == seen) usleep(100);
		seen = atomic_load(&f->woken);
	}
	buf_free(&b);
	if (room < 0) atomic_fetch_add(&t.cancelled, 1);
	assert_true(f->most_room <= 100000);
	httpd_stream_end(f->s, !f->cut);
	free(f);
	atomic_fetch_add(&t.entered, 1);
	return NULL;
}

static void on_flood(struct httpd_req *r, void *ctx)
{
	struct flood *f = malloc(sizeof *f);
	pthread_t th;

	(void)ctx;
	*f = (struct flood){.left = FLOOD, .cut = httpd_arg(r, "cut").p};
	httpd_header_add(r, "X-Extra", "yes");
	f->s = httpd_stream(
		r, &(struct httpd_stream_config){
			   .status = 200, .ctype = "text/plain", .window = 100000, .wake = on_flood_wake, .ud = f});
	pthread_create(&th, NULL, flood, f);
	pthread_detach(th);
}

static void on_nothing(void *ud, bool broken) { (void)ud, (void)broken; }

/* Ends before the peer can have read all of it. */
static void on_ended(struct httpd_req *r, void *ctx)
{
	struct buf b = {0};
	struct httpd_stream *s =
		httpd_stream(r, &(struct httpd_stream_config){.status = 200, .window = LARGE, .wake = on_nothing});

	(void)ctx;
	buf_reserve(&b, LARGE);
	memset(b.p, 'x', LARGE);
	b.n = LARGE;
	httpd_stream_write(s, buf_view(&b));
	httpd_stream_end(s, true);
	buf_free(&b);
}

static void on_drip_wake(void *ud, bool broken) { atomic_fetch_add((_Atomic int *)ud, broken); }

/* One that says something now and then, from a thread of its own. */
static void *drip(void *ud)
{
	struct httpd_stream *s = ud;

	for (int i = 0; httpd_stream_room(s) >= 0; i++) {
		httpd_stream_write(s, STR("tick\n"));
		usleep(2000);
	}
	httpd_stream_end(s, true);
	atomic_fetch_add(&t.entered, 1);
	return NULL;
}

static void on_drip(struct httpd_req *r, void *ctx)
{
	pthread_t th;
	struct httpd_stream *s = httpd_stream(r, &(struct httpd_stream_config){.status = 200,
									       .ctype = "text/plain",
									       .window = 1000,
									       .wake = on_drip_wake,
									       .ud = &t.cancelled});

	(void)ctx;
	pthread_create(&th, NULL, drip, s);
	pthread_detach(th);
}

/* Gives back what it gets, in capitals, until it gets a dot. */
static void *echo_upgraded(void *ud)
{
	struct httpd_conn *c = ud;
	struct str early = httpd_conn_early(c);
	int fd = httpd_conn_fd(c);
	char text[64];
	ssize_t n = early.n < sizeof text ? (ssize_t)early.n : (ssize_t)sizeof text;
	bool more = true;

	if (n) memcpy(text, early.p, (size_t)n);
	while (n >= 0 && more) {
		for (ssize_t i = 0; i < n; i++) {
			if (text[i] == '.') more = false;
			if (text[i] >= 'a' && text[i] <= 'z') text[i] = (char)(text[i] - 32);
		}
		assert_int_equal(write(fd, text, (size_t)n), n);
		if (!more) break;
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
		n = read(fd, text, sizeof text);
		if (n <= 0) break;
	}
	httpd_conn_close(c);
	atomic_fetch_add(&t.entered, 1);
	return NULL;
}

static void on_upgraded(void *ud, struct httpd_conn *c)
{
	pthread_t th;

	assert_ptr_equal(ud, &t);
	if (!c) {
		atomic_fetch_add(&t.cancelled, 1);
		return;
	}
	pthread_create(&th, NULL, echo_upgraded, c);
	pthread_detach(th);
}

static void on_upgrade(struct httpd_req *r, void *ctx)
{
	(void)ctx;
	httpd_header_add(r, "X-Extra", "yes");
	httpd_upgrade(r, "capitals", on_upgraded, &t);
}

static const struct httpd_route routes[] = {
	{"GET", "/flood", on_flood, 0, "flood"},
	{"GET", "/drip", on_drip, 0, "drip"},
	{"GET", "/upgrade", on_upgrade, 0, "upgrade"},
	{"GET POST", "/echo", on_echo, 0, "echo"},
	{"GET", "/item/{name}/values", on_item, 0, "item"},
	{"POST", "/body", on_body, 1 << 20, "body", "some.limit"},
	{"PUT", "/body", on_echo, 0, "body_put"},
	{"GET", "/wait", on_wait, 0, "wait"},
	{"GET", "/crowd", on_crowd, 0, "crowd"},
	{"GET", "/big", on_big, 0, "big"},
	{"GET", "/large", on_large, 0, "large"},
	{"GET", "/ended", on_ended, 0, "ended"},
};

static void on_done(void *ctx, const char *route, const char *method, int status, int64_t ns)
{
	assert_ptr_equal(ctx, &t);
	assert_non_null(route);
	assert_non_null(method);
	assert_true(ns >= 0);
	atomic_fetch_add(&t.done, 1);
	atomic_store(&t.last_status, status);
	atomic_store(&t.last_method_other, strcmp(method, "other") == 0);
}

static struct httpd *start(struct httpd_config c)
{
	struct err e = ERR_INIT;
	struct httpd *h;

	t.budget = (struct budget){.limit = 4 << 20};
	t.entered = t.cancelled = t.done = 0;
	t.release = false;
	t.ncrowd = 0;
	if (!c.address) c.address = "127.0.0.1";
	if (!c.prefix) c.prefix = "";
	c.routes = routes;
	c.nroutes = sizeof routes / sizeof *routes;
	c.ctx = &t;
	c.budget = &t.budget;
	c.done = on_done;
	h = httpd_start(&c, &e);
	if (!h) fail_msg("%s", e.msg);
	return h;
}

static int setup(void **state)
{
	*state = start((struct httpd_config){.workers = 4});
	return 0;
}

static int teardown(void **state)
{
	httpd_stop(*state, DEADLINE);
	assert_int_equal(budget_used(&t.budget), 0);
	return 0;
}

/* ---- a plain client ---- */

static int dial(uint16_t port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = 30};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_return_code(fd, errno);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	assert_return_code(connect(fd, (struct sockaddr *)&a, sizeof a), errno);
	return fd;
}

static void put(int fd, struct str s)
{
	while (s.n) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n <= 0) return; /* the server may have cut us off: what it answered tells */
		s = str_from(s, (size_t)n);
	}
}

static void put_c(int fd, const char *s) { put(fd, str_c(s)); }

/* One answer: headers and Content-Length bytes of body, into b. Returns the status, 0 on a cut. */
static int get(int fd, struct buf *b)
{
	ssize_t end = -1, at;
	size_t want = SIZE_MAX;

	buf_clear(b);
	while (b->n < want) {
		char p[1];

		/* Byte by byte, so that a pipelined answer stays in the socket. */
		if (recv(fd, p, 1, 0) != 1) return 0;
		buf_add(b, p, 1);
		if (end < 0 && str_ends(buf_view(b), STR("\r\n\r\n"))) {
			uint64_t length = 0;
			struct str rest;

			end = (ssize_t)b->n;
			at = str_find(buf_view(b), STR("Content-Length: "));
			if (at >= 0) {
				rest = str_from(buf_view(b), (size_t)at + 16);
				assert_true(str_to_u64(str_sub(rest, 0, (size_t)str_chr(rest, '\r')), &length));
			}
			want = (size_t)end + length;
		}
	}
	return atoi(buf_cstr(b) + 9);
}

static struct str body_of(struct buf *b)
{
	return str_from(buf_view(b), (size_t)str_find(buf_view(b), STR("\r\n\r\n")) + 4);
}

static int ask(struct httpd *h, struct buf *b, struct str request)
{
	int fd = dial(httpd_port(h)), status;

	put(fd, request);
	status = get(fd, b);
	close(fd);
	return status;
}

static void expect(struct httpd *h, const char *request, int status, const char *body)
{
	struct buf b = {0};

	assert_int_equal(ask(h, &b, str_c(request)), status);
	if (body && !str_eqc(body_of(&b), body)) fail_msg("wanted \"%s\", got \"%.*s\"", body, STR_ARG(body_of(&b)));
	buf_free(&b);
}

static void await(_Atomic int *v, int at_least)
{
	int64_t end = clock_mono(&clock_real) + DEADLINE;

	while (atomic_load(v) < at_least && clock_mono(&clock_real) < end) usleep(1000);
	assert_true(atomic_load(v) >= at_least);
}

/* ---- tests ---- */

static void arguments_and_headers(void **state)
{
	struct httpd *h = *state;

	expect(h, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 200, "GET ok");
	expect(h, "GET /ec%68o?m=a+b&q=%7B%7D&m=%2B&m= HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: t1\r\n\r\n", 200,
	       "GET m=a b m=+ m= q={} org=t1 ok");
	expect(h, "GET http://host:80/echo?q=1 HTTP/1.1\r\nHost: x\r\n\r\n", 200, "GET q=1 ok");
	/* Form fields come before the query string's. */
	expect(h,
	       "POST /echo?m=3&q=url HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded; "
	       "charset=utf-8\r\n"
	       "Content-Length: 14\r\n\r\nm=1&q=form&m=2",
	       200, "POST m=1 m=2 m=3 q=form ok");
	expect(h, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nm=1", 200,
	       "POST ok");
	expect(h, "GET /echo?q=%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid URL escape \"%zz\"");
	assert_int_equal(t.last_status, 400);
}

static void path_parameters(void **state)
{
	struct httpd *h = *state;

	expect(h, "GET /item/job/values HTTP/1.1\r\nHost: x\r\n\r\n", 200, "job");
	expect(h, "GET /item/a%2Fb%20+/values HTTP/1.1\r\nHost: x\r\n\r\n", 200, "a/b +");
	expect(h, "GET /item//values HTTP/1.1\r\nHost: x\r\n\r\n", 404, NULL);
	expect(h, "GET /item/a/b/values HTTP/1.1\r\nHost: x\r\n\r\n", 404, NULL);
	expect(h, "GET /item/%2/values HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid URL escape \"%2/\"");
}

static void unknown_paths_and_methods(void **state)
{
	struct httpd *h = *state;
	struct buf b = {0};

	expect(h, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404, "404 page not found\n");
	expect(h, "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 404, "404 page not found\n");
	expect(h, "GET /echo/ HTTP/1.1\r\nHost: x\r\n\r\n", 404, NULL);
	expect(h, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404, NULL);
	assert_int_equal(ask(h, &b, STR("DELETE /body HTTP/1.1\r\nHost: x\r\n\r\n")), 405);
	assert_true(str_find(buf_view(&b), STR("\r\nAllow: POST, PUT\r\n")) > 0);
	assert_int_equal(body_of(&b).n, 0);
	assert_int_equal(t.done, 5);
	assert_false(t.last_method_other);
	expect(h, "MADE-UP /echo HTTP/1.1\r\nHost: x\r\n\r\n", 405, NULL);
	assert_true(t.last_method_other);
	buf_free(&b);
}

static void body_by_length(struct httpd *h, size_t n, int status)
{
	struct buf b = {0}, answer = {0};
	char want[64];

	buf_printf(&b, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n);
	for (size_t i = 0; i < n; i++) buf_ch(&b, (char)(i * 7));
	assert_int_equal(ask(h, &answer, buf_view(&b)), status);
	snprintf(want, sizeof want, "%zu %016llx", n, (unsigned long long)str_hash(str_from(buf_view(&b), b.n - n)));
	if (status == 200) assert_true(str_eqc(body_of(&answer), want));
	if (status == 413)
		assert_true(
			str_eqc(body_of(&answer), "message size too large than max (1048577 vs 1048576): some.limit"));
	buf_free(&b);
	buf_free(&answer);
}

static void bodies_up_to_the_limit(void **state)
{
	body_by_length(*state, 0, 200);
	body_by_length(*state, 1, 200);
	body_by_length(*state, 1 << 20, 200);
	body_by_length(*state, (1 << 20) + 1, 413);
	expect(*state, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 413, NULL);
	/* So large that it is not even read over. */
	expect(*state, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n", 413, NULL);
	/* Refused before the client sent it. */
	expect(*state, "POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n", 413,
	       NULL);
}

static void chunked(struct httpd *h, size_t chunks, int status)
{
	struct buf b = {0}, plain = {0}, answer = {0};
	char want[64];

	buf_c(&b, "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t i = 0; i < chunks; i++) {
		buf_c(&b, "1000\r\n");
		for (size_t k = 0; k < 0x1000; k++) {
			buf_ch(&b, (char)(i + k));
			buf_ch(&plain, (char)(i + k));
		}
		buf_c(&b, "\r\n");
	}
	buf_c(&b, "0\r\n\r\n");
	assert_int_equal(ask(h, &answer, buf_view(&b)), status);
	snprintf(want, sizeof want, "%zu %016llx", plain.n, (unsigned long long)str_hash(buf_view(&plain)));
	if (status == 200) assert_true(str_eqc(body_of(&answer), want));
	buf_free(&b);
	buf_free(&plain);
	buf_free(&answer);
}

static void chunked_bodies(void **state)
{
	chunked(*state, 0, 200);
	chunked(*state, 3, 200);
	chunked(*state, 256, 200);
	chunked(*state, 257, 413);
}

static void budget_refuses(void **state)
{
	struct httpd *h = *state;
	struct buf b = {0};

	t.budget.limit = 100000;
	assert_true(budget_take(&t.budget, 40000));
	body_by_length(h, 60000, 200);
	body_by_length(h, 60001, 503);
	chunked(h, 10, 503);
	assert_int_equal(
		ask(h, &b,
		    STR("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n")),
		503);
	assert_true(str_find(body_of(&b), STR("larch.memory_limit")) > 0);
	budget_give(&t.budget, 40000);
	body_by_length(h, 60001, 200);
	buf_free(&b);
}

static void long_targets_count(void **state)
{
	struct buf b = {0};

	t.budget.limit = 20000;
	buf_c(&b, "GET /echo?q=");
	for (int i = 0; i < 6000; i++) buf_ch(&b, 'x');
	assert_int_equal(b.n, 6012);
	buf_c(&b, " HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(*state, buf_cstr(&b), 200, NULL);
	assert_true(budget_take(&t.budget, 3000));
	expect(*state, buf_cstr(&b), 503, NULL);
	budget_give(&t.budget, 3000);
	expect(*state, "GET /echo/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a HTTP/1.1\r\nHost: x\r\n\r\n", 404, NULL);
	buf_free(&b);
}

static void slow_body(void **state)
{
	int fd = dial(httpd_port(*state));
	struct buf b = {0};

	put_c(fd, "POST /body HT");
	usleep(20000);
	put_c(fd, "TP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
	for (int i = 0; i < 10; i++) {
		usleep(2000);
		put_c(fd, "x");
	}
	assert_int_equal(get(fd, &b), 200);
	assert_true(str_starts(body_of(&b), STR("10 ")));
	buf_free(&b);
	close(fd);
}

static void gone_during_upload(void **state)
{
	int64_t end = clock_mono(&clock_real) + DEADLINE;
	int fd = dial(httpd_port(*state));

	put_c(fd, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\nsome");
	while (budget_used(&t.budget) == 0 && clock_mono(&clock_real) < end) usleep(1000);
	assert_int_equal(budget_used(&t.budget), 500000);
	close(fd);
	while (budget_used(&t.budget) && clock_mono(&clock_real) < end) usleep(1000);
	assert_int_equal(budget_used(&t.budget), 0);
	assert_int_equal(t.done, 0);
}

static void keep_alive(void **state)
{
	int fd = dial(httpd_port(*state));
	struct buf b = {0};

	for (int i = 0; i < 3; i++) {
		put_c(fd, "GET /echo?q=1 HTTP/1.1\r\nHost: x\r\n\r\n");
		assert_int_equal(get(fd, &b), 200);
	}
	/* Pipelined: a refused one between two good ones. */
	put_c(fd,
	      "GET /echo?q=2 HTTP/1.1\r\nHost: x\r\n\r\nPOST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
	      "GET /echo?q=3 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(get(fd, &b), 200);
	assert_true(str_eqc(body_of(&b), "GET q=2 ok"));
	assert_int_equal(get(fd, &b), 404);
	assert_int_equal(get(fd, &b), 200);
	assert_true(str_eqc(body_of(&b), "GET q=3 ok"));
	put_c(fd, "GET /echo HTTP/1.0\r\n\r\n");
	assert_int_equal(get(fd, &b), 200);
	assert_int_equal(get(fd, &b), 0); /* closed */
	buf_free(&b);
	close(fd);
}

static void hang_up_cancels(void **state)
{
	int fd = dial(httpd_port(*state)), rst = dial(httpd_port(*state));
	struct linger hard = {.l_onoff = 1};

	put_c(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	put_c(rst, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	await(&t.entered, 2);
	assert_int_equal(t.cancelled, 0);
	close(fd);
	await(&t.cancelled, 1);
	setsockopt(rst, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(rst);
	await(&t.cancelled, 2);
	expect(*state, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 200, NULL);
}

/* A peer may be gone before a worker takes its request: the flag is set from the start. */
static void gone_before_a_worker_came(void **state)
{
	int busy[4], gone[8];

	for (int i = 0; i < 4; i++) {
		busy[i] = dial(httpd_port(*state));
		put_c(busy[i], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	await(&t.entered, 4);
	for (int i = 0; i < 8; i++) {
		gone[i] = dial(httpd_port(*state));
		put_c(gone[i], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
		close(gone[i]);
	}
	close(busy[0]); /* its worker goes through all of them: none waits for t.release */
	await(&t.done, 9);
	assert_int_equal(t.cancelled, 9);
	atomic_store(&t.release, true);
	await(&t.done, 12);
	assert_int_equal(t.cancelled, 9);
	for (int i = 1; i < 4; i++) close(busy[i]);
}

/* Netcat's way: the question, the end of input, then wait for the answer. */
static void half_closed_peers_are_answered(void **state)
{
	struct buf b = {0};

	for (int i = 0; i < 20; i++) {
		int fd = dial(httpd_port(*state));

		put_c(fd, "GET /echo HTTP/1.0\r\n\r\n");
		shutdown(fd, SHUT_WR);
		assert_int_equal(get(fd, &b), 200);
		assert_true(str_eqc(body_of(&b), "GET ok"));
		close(fd);
	}
	buf_free(&b);
}

/* Data and the end of input in one go: what was reserved comes back at once, not after the idle timeout. */
static void gone_with_the_last_byte(void **state)
{
	int64_t end = clock_mono(&clock_real) + DEADLINE;

	for (int i = 0; i < 20; i++) {
		int fd = dial(httpd_port(*state));

		put_c(fd, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nsome");
		close(fd);
	}
	expect(*state, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 200, NULL);
	while (budget_used(&t.budget) && clock_mono(&clock_real) < end) usleep(1000);
	assert_int_equal(budget_used(&t.budget), 0);
}

static void crowd_of_connections(void **state)
{
	static int fd[CROWD];
	struct buf b = {0};

	for (int i = 0; i < CROWD; i++) fd[i] = dial(httpd_port(*state));
	for (int i = 0; i < CROWD; i++) put_c(fd[i], "GET /crowd HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(get(fd[i], &b), 200);
		assert_true(str_eqc(body_of(&b), "all here"));
		close(fd[i]);
	}
	assert_int_equal(t.done, CROWD);
	buf_free(&b);
}

static void gzip_answers(void **state)
{
	struct buf plain = {0}, packed = {0}, expanded = {0};
	struct err e = ERR_INIT;

	assert_int_equal(
		ask(*state, &plain, STR("GET /big HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0, br\r\n\r\n")), 200);
	assert_true(str_find(buf_view(&plain), STR("Content-Encoding")) < 0);
	assert_true(str_find(buf_view(&plain), STR("X-Extra: yes\r\n")) > 0);
	assert_int_equal(
		ask(*state, &packed, STR("GET /big HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, GZip;q=0.5\r\n\r\n")),
		200);
	assert_true(str_find(buf_view(&packed), STR("Content-Encoding: gzip\r\n")) > 0);
	assert_true(codec_expand(CODEC_GZIP, body_of(&packed), 1 << 20, &expanded, &e));
	assert_true(str_eq(buf_view(&expanded), body_of(&plain)));
	/* Too small to be worth it. */
	assert_int_equal(ask(*state, &packed, STR("GET /echo HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")),
			 200);
	assert_true(str_find(buf_view(&packed), STR("Content-Encoding")) < 0);
	buf_free(&plain);
	buf_free(&packed);
	buf_free(&expanded);
}

/* Whatever comes, the server goes on. */
static void nonsense(void **state)
{
	static const struct str rows[] = {
		STR("\0\0\0\0\r\n\r\n"),
		STR("GET /echo\0x HTTP/1.1\r\nHost: x\r\n\r\n"),
		STR("GET /echo?q=%00x HTTP/1.1\r\nHost: a\0b\r\nX-Scope-OrgID: a\0b\r\n\r\n"),
		STR("GET /%00 HTTP/1.1\r\n\r\n"),
		STR("GET  HTTP/1.1\r\n\r\n"),
		STR("GET\r\n\r\n"),
		STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		STR("POST /body HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
		STR("POST /body HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
		STR("POST /body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n"),
		STR("POST /body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx"),
		STR("GET /echo HTTP/9.9\r\nno colon\r\n : \r\n\r\n"),
		STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	};
	struct buf b = {0}, answer = {0};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int fd = dial(httpd_port(*state));

		put(fd, rows[i]);
		shutdown(fd, SHUT_WR);
		get(fd, &answer);
		close(fd);
	}
	buf_c(&b, "GET /echo HTTP/1.1\r\n");
	for (int i = 0; i < 20000; i++) buf_printf(&b, "X-Header-%d: %d\r\n", i, i);
	buf_c(&b, "\r\n");
	ask(*state, &answer, buf_view(&b));
	buf_clear(&b);
	buf_c(&b, "GET /echo?");
	for (int i = 0; i < 100000; i++) buf_c(&b, "m=%41&");
	buf_c(&b, " HTTP/1.1\r\nHost: x\r\n\r\n");
	ask(*state, &answer, buf_view(&b));
	expect(*state, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 200, "GET ok");
	buf_free(&b);
	buf_free(&answer);
}

static void prefix_before_routes(void **state)
{
	struct httpd *h = start((struct httpd_config){.prefix = "/logs/"});

	(void)state;
	expect(h, "GET /logs/echo HTTP/1.1\r\nHost: x\r\n\r\n", 200, "GET ok");
	expect(h, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 404, NULL);
	expect(h, "GET /logsecho HTTP/1.1\r\nHost: x\r\n\r\n", 404, NULL);
	httpd_stop(h, DEADLINE);
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;

	if (fd >= 0) close(fd);
	return ok;
}

static void addresses(void **state)
{
	struct httpd *h = start((struct httpd_config){.address = "localhost"}), *second;
	struct httpd_config taken = {.address = "127.0.0.1", .port = httpd_port(h)},
			    odd = {.address = "no host of that name"};
	struct err e = ERR_INIT;

	(void)state;
	expect(h, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 200, NULL);
	assert_null(httpd_start(&taken, &e));
	assert_true(str_find(str_c(e.msg), STR("cannot listen on 127.0.0.1:")) == 0);
	assert_null(httpd_start(&odd, &e));
	assert_true(str_find(str_c(e.msg), STR("no host of that name")) > 0);
	second = start((struct httpd_config){.address = ""});
	expect(second, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 200, NULL);
	httpd_stop(second, DEADLINE);
	httpd_stop(h, DEADLINE);
	if (!has_ipv6()) return;
	h = start((struct httpd_config){.address = "[::1]"});
	assert_int_not_equal(httpd_port(h), 0);
	httpd_stop(h, DEADLINE);
}

static void silent_connections_are_closed(void **state)
{
	struct httpd *h = start((struct httpd_config){.idle_timeout_s = 1});
	int fd = dial(httpd_port(h));
	struct buf b = {0};

	(void)state;
	put_c(fd, "GET /ec");
	get(fd, &b);
	assert_int_equal(recv(fd, &(char){0}, 1, 0), 0);
	close(fd);
	buf_free(&b);
	httpd_stop(h, DEADLINE);
}

/* A byte now and then is no silence: the head, the body, or nothing at all of a large answer taken. */
static void slow_peers_are_cut_off(void **state)
{
	static const char *const starts[] = {
		"",
		"GET /echo HTTP/1.1\r\nX: ",
		"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
	};
	struct httpd *h = start((struct httpd_config){.idle_timeout_s = 1, .read_timeout_s = 1});

	(void)state;
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		int fd = dial(httpd_port(h));

		put_c(fd, starts[i]);
		while (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 100) == 0) send(fd, "x", 1, MSG_NOSIGNAL);
		close(fd);
	}
	httpd_stop(h, DEADLINE);
}

static void slow_readers_are_cut_off(void **state)
{
	static const char *const requests[] = {"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
					       "GET /ended HTTP/1.1\r\nHost: x\r\n\r\n"};
	struct httpd *h = start((struct httpd_config){.write_timeout_s = 1, .min_rate = LARGE});

	(void)state;
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		int fd = dial(httpd_port(h));
		struct pollfd p = {.fd = fd, .events = POLLRDHUP};

		put_c(fd, requests[i]);
		assert_int_equal(poll(&p, 1, DEADLINE / 1000000), 1); /* cut off, though nothing was read */
		close(fd);
	}
	httpd_stop(h, DEADLINE);
}

static void answers_that_nobody_reads(void **state)
{
	struct httpd *h;
	struct buf b = {0};
	int64_t end = clock_mono(&clock_real) + DEADLINE;
	int fd;

	(void)state;
	t.answers = (struct budget){.limit = 1 << 20};
	h = start((struct httpd_config){.answers = &t.answers});
	fd = dial(httpd_port(h));
	put_c(fd, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"); /* alone it may be too large */
	while (budget_used(&t.answers) == 0 && clock_mono(&clock_real) < end) usleep(1000);
	assert_int_equal(budget_used(&t.answers), LARGE);
	expect(h, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", 503,
	       "no memory for an answer of 33554432 bytes now: those on their way may take 1048576 bytes together (a "
	       "part of larch.memory_limit); ask for less, try again later, or raise the limit");
	expect(h, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 200, NULL);
	close(fd);
	while (budget_used(&t.answers) && clock_mono(&clock_real) < end) usleep(1000);
	assert_int_equal(ask(h, &b, STR("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")), 200);
	httpd_stop(h, DEADLINE);
	assert_int_equal(budget_used(&t.answers), 0);
	buf_free(&b);
}

static void further_connections_wait(void **state)
{
	struct httpd *h = start((struct httpd_config){.max_connections = 2});
	int one = dial(httpd_port(h)), two = dial(httpd_port(h)), three;
	struct buf b = {0};

	(void)state;
	put_c(one, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
	put_c(two, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(get(one, &b), 200);
	assert_int_equal(get(two, &b), 200);
	three = dial(httpd_port(h));
	put_c(three, "GET /echo?q=3 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(poll(&(struct pollfd){.fd = three, .events = POLLIN}, 1, 50), 0);
	close(one);
	assert_int_equal(get(three, &b), 200);
	assert_true(str_eqc(body_of(&b), "GET q=3 ok"));
	close(two);
	close(three);
	buf_free(&b);
	httpd_stop(h, DEADLINE);
}

struct stopping {
	struct httpd *h;
	int64_t drain;
};

static void *stop_it(void *ud)
{
	struct stopping *s = ud;

	httpd_stop(s->h, s->drain);
	return NULL;
}

static void stop_drains(void **state)
{
	struct stopping s = {.h = start((struct httpd_config){0}), .drain = DEADLINE};
	uint16_t port = httpd_port(s.h);
	int fd = dial(port), late, idle = dial(port);
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct buf b = {0};
	pthread_t th;
	int rc, tries = 0;

	(void)state;
	put_c(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	await(&t.entered, 1);
	assert_int_equal(pthread_create(&th, NULL, stop_it, &s), 0);
	do { /* until new connections are refused */
		usleep(1000);
		late = socket(AF_INET, SOCK_STREAM, 0);
		rc = connect(late, (struct sockaddr *)&a, sizeof a);
		close(late);
	} while (rc == 0 && ++tries < 10000);
	assert_int_not_equal(rc, 0);
	assert_int_equal(t.cancelled, 0);
	atomic_store(&t.release, true);
	assert_int_equal(get(fd, &b), 200);
	assert_true(str_find(buf_view(&b), STR("Connection: close\r\n")) > 0);
	pthread_join(th, NULL);
	close(fd);
	close(idle);
	buf_free(&b);
}

static void stop_cancels_after_the_drain(void **state)
{
	struct httpd *h = start((struct httpd_config){.workers = 1});
	int fd = dial(httpd_port(h)), queued = dial(httpd_port(h)), half = dial(httpd_port(h));

	(void)state;
	put_c(half, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
	put_c(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	put_c(queued, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	await(&t.entered, 1);
	httpd_stop(h, 10000000);
	assert_int_equal(t.cancelled, 2);
	assert_int_equal(t.entered, 2);
	assert_int_equal(budget_used(&t.budget), 0);
	close(fd);
	close(queued);
	close(half);
}

/* Everything up to the peer's end. */
static void get_all(int fd, struct buf *b)
{
	char part[65536];
	ssize_t n;

	buf_clear(b);
	while ((n = read(fd, part, sizeof part)) > 0) buf_add(b, part, (size_t)n);
}

/* The body of a chunked answer; false: it does not end as it should. */
static bool unchunk(struct str in, struct buf *out)
{
	for (;;) {
		ssize_t eol = str_find(in, STR("\r\n"));
		size_t n = 0;

		if (eol < 0) return false;
		for (ssize_t i = 0; i < eol; i++) n = n * 16 + (size_t)str_hex_digit((unsigned char)in.p[i]);
		in = str_from(in, (size_t)eol + 2);
		if (n == 0) return true;
		if (in.n < n + 2) return false;
		buf_add(out, in.p, n);
		in = str_from(in, n + 2);
	}
}

static void pieces_of(struct httpd *h, const char *request, size_t *n, bool *whole)
{
	struct buf b = {0}, body = {0};
	int fd = dial(httpd_port(h));

	put_c(fd, request);
	usleep(20000); /* so that the window fills while nobody reads */
	get_all(fd, &b);
	assert_true(str_starts(buf_view(&b), STR("HTTP/1.1 200")));
	assert_true(str_find(buf_view(&b), STR("X-Extra: yes\r\n")) > 0);
	*whole = unchunk(body_of(&b), &body);
	*n = body.n;
	for (size_t i = 0; i < body.n; i++)
		if ((unsigned char)body.p[i] != i % 251) fail_msg("byte %zu is wrong", i);
	buf_free(&b);
	buf_free(&body);
	close(fd);
}

static void answers_in_pieces(void **state)
{
	size_t n;
	bool whole;

	pieces_of(*state, "GET /flood HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &n, &whole);
	assert_true(whole && n == FLOOD);
	pieces_of(*state, "GET /flood?cut=1 HTTP/1.1\r\nHost: x\r\n\r\n", &n, &whole);
	assert_true(!whole && n < FLOOD);
	await(&t.entered, 2);
	assert_int_equal(t.cancelled, 0);
}

static void a_reader_that_goes_ends_the_answer(void **state)
{
	struct httpd *h = *state;
	struct buf b = {0};
	int flood = dial(httpd_port(h)), drops = dial(httpd_port(h));
	char c;

	put_c(flood, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
	put_c(drops, "GET /drip HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(read(flood, &c, 1), 1);
	assert_int_equal(read(drops, &c, 1), 1);
	assert_int_equal(t.entered, 0);
	close(flood);
	close(drops);
	await(&t.entered, 2);
	assert_int_equal(t.cancelled, 2); /* one saw it, the other was woken */
	buf_free(&b);
}

static void connections_leave_http(void **state)
{
	struct httpd *h = *state;
	struct buf b = {0};
	int fd = dial(httpd_port(h)), old = dial(httpd_port(h));

	put_c(fd, "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: capitals\r\n\r\nearly ");
	usleep(10000);
	put_c(fd, "late.");
	get_all(fd, &b);
	assert_true(str_starts(buf_view(&b), STR("HTTP/1.1 101")));
	assert_true(str_find(buf_view(&b), STR("Upgrade: capitals\r\n")) > 0);
	assert_true(str_find(buf_view(&b), STR("X-Extra: yes\r\n")) > 0);
	if (!str_eqc(body_of(&b), "EARLY LATE.")) fail_msg("got \"%.*s\"", STR_ARG(body_of(&b)));
	close(fd);
	put_c(old, "GET /upgrade HTTP/1.0\r\n\r\n");
	assert_int_equal(get(old, &b), 400);
	await(&t.cancelled, 1);
	close(old);
	buf_free(&b);
}

static void stop_breaks_answers_in_pieces(void **state)
{
	struct httpd *h = start((struct httpd_config){.workers = 1});
	struct buf b = {0};
	int flood = dial(httpd_port(h)), drops = dial(httpd_port(h));
	char c;

	(void)state;
	put_c(flood, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
	put_c(drops, "GET /drip HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(read(flood, &c, 1), 1);
	assert_int_equal(read(drops, &c, 1), 1);
	httpd_stop(h, 10000000);
	await(&t.entered, 2);
	close(flood);
	close(drops);
	buf_free(&b);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(arguments_and_headers),
		T(path_parameters),
		T(unknown_paths_and_methods),
		T(bodies_up_to_the_limit),
		T(chunked_bodies),
		T(budget_refuses),
		T(long_targets_count),
		T(slow_body),
		T(gone_during_upload),
		T(keep_alive),
		T(hang_up_cancels),
		T(gone_before_a_worker_came),
		T(half_closed_peers_are_answered),
		T(gone_with_the_last_byte),
		T(crowd_of_connections),
		T(gzip_answers),
		T(nonsense),
		T(answers_in_pieces),
		T(a_reader_that_goes_ends_the_answer),
		T(connections_leave_http),
		cmocka_unit_test(stop_breaks_answers_in_pieces),
		cmocka_unit_test(prefix_before_routes),
		cmocka_unit_test(addresses),
		cmocka_unit_test(silent_connections_are_closed),
		cmocka_unit_test(slow_peers_are_cut_off),
		cmocka_unit_test(slow_readers_are_cut_off),
		cmocka_unit_test(answers_that_nobody_reads),
		cmocka_unit_test(further_connections_wait),
		cmocka_unit_test(stop_drains),
		cmocka_unit_test(stop_cancels_after_the_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
