/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/httpc.h"

#include "common/httpd.h"
#include "common/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS    INT64_C(1000000)
#define SEC   (1000 * MS)
#define CALLS 100

/* A server with answers of every kind, and one that takes connections and never says a word. */
static struct {
	struct httpd *h;
	int silent_fd;
	char base[64], silent[64];
	pthread_mutex_t lock;
	char peers[CALLS + 1][NET_TEXT]; /* distinct peers seen by /echo */
	size_t npeers;
} t = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note_peer(struct str peer)
{
	size_t i = 0;

	pthread_mutex_lock(&t.lock);
	while (i < t.npeers && !str_eqc(peer, t.peers[i])) i++;
	if (i == t.npeers && i < CALLS) snprintf(t.peers[t.npeers++], NET_TEXT, "%.*s", STR_ARG(peer));
	pthread_mutex_unlock(&t.lock);
}

static void on_echo(struct httpd_req *r, void *ctx)
{
	static const char *const shown[] = {"Authorization", "X-One", "User-Agent", "Content-Type", "Expect", "Host"};
	struct buf b = {0};

	(void)ctx;
	note_peer(httpd_peer(r));
	buf_printf(&b, "%s", httpd_method(r));
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
		struct str v = httpd_header(r, shown[i]);

		if (v.p && strcmp(shown[i], "Host") != 0) buf_printf(&b, " %s=%.*s", shown[i], STR_ARG(v));
	}
	if (httpd_arg(r, "q").p) buf_printf(&b, " q=%.*s", STR_ARG(httpd_arg(r, "q")));
	if (httpd_body(r).n) buf_printf(&b, " body=%.*s", STR_ARG(httpd_body(r)));
	httpd_reply(r, 200, "application/x-echo", &b);
}

static void on_busy(struct httpd_req *r, void *ctx)
{
	(void)ctx;
	httpd_header_add(r, "Retry-After", "7");
	httpd_reply_text(r, 429, STR("slow down"));
}

static void on_moved(struct httpd_req *r, void *ctx)
{
	(void)ctx;
	httpd_header_add(r, "Location", "/echo");
	httpd_reply_text(r, 307, STR("moved"));
}

static void on_big(struct httpd_req *r, void *ctx)
{
	struct buf b = {0};

	(void)ctx;
	for (int i = 0; i < 10000; i++) buf_c(&b, "0123456789");
	httpd_reply(r, 200, NULL, &b);
}

/* Says what it was asked, and then what it hears, up to a dot. */
static void *converse(void *ud)
{
	struct httpd_conn *c = ud;
	int fd = httpd_conn_fd(c);
	char text[64];
	ssize_t n = 0;

	do {
		if (n < 0) usleep(1000);
		n = read(fd, text, sizeof text);
		if (n > 0 && write(fd, text, (size_t)n) != n) abort();
	} while (n < 0 || (n > 0 && text[n - 1] != '.'));
	httpd_conn_close(c);
	return NULL;
}

static void on_upgraded(void *ud, struct httpd_conn *c)
{
	pthread_t th;

	(void)ud;
	if (!c) return;
	if (write(httpd_conn_fd(c), "hello ", 6) != 6) abort();
	pthread_create(&th, NULL, converse, c);
	pthread_detach(th);
}

static void on_upgrade(struct httpd_req *r, void *ctx)
{
	struct buf v = {0};

	(void)ctx;
	buf_str(&v, httpd_header(r, "Authorization"));
	httpd_header_add(r, "X-Got", buf_cstr(&v));
	buf_free(&v);
	if (!str_eqc(httpd_arg(r, "q"), "a b"))
		httpd_reply_text(r, 403, STR("not you"));
	else
		httpd_upgrade(r, "echo", on_upgraded, NULL);
}

static const struct httpd_route routes[] = {
	{"GET", "/upgrade", on_upgrade, 0, "upgrade"},
	{"GET POST PUT DELETE", "/echo", on_echo, 1 << 20, "echo"},
	{"GET", "/busy", on_busy, 0, "busy"},
	{"GET POST", "/moved", on_moved, 1 << 20, "moved"},
	{"GET", "/big", on_big, 0, "big"},
};

static int start_servers(void **state)
{
	struct httpd_config c = {
		.address = "127.0.0.1", .prefix = "", .routes = routes, .nroutes = sizeof routes / sizeof *routes};
	struct err e = ERR_INIT;

	(void)state;
	t.h = httpd_start(&c, &e);
	t.silent_fd = net_listen("127.0.0.1", 0, &e);
	if (!t.h || t.silent_fd < 0) return -1;
	snprintf(t.base, sizeof t.base, "http://127.0.0.1:%u", httpd_port(t.h));
	snprintf(t.silent, sizeof t.silent, "http://127.0.0.1:%u/x", net_port(t.silent_fd));
	return 0;
}

static int stop_servers(void **state)
{
	(void)state;
	close(t.silent_fd);
	httpd_stop(t.h, SEC);
	return 0;
}

static const char *url(const char *path)
{
	static char text[128];

	snprintf(text, sizeof text, "%s%s", t.base, path);
	return text;
}

/* ---- one blocking call ---- */

static void does(struct httpc_opts o, const char *path, int status, const char *body)
{
	struct httpc_result res;
	struct err e = ERR_INIT;

	o.url = url(path);
	o.proxy = "";
	if (!httpc_do(&o, &res, &e)) fail_msg("%s", e.msg);
	assert_true(res.ok);
	assert_int_equal(res.status, status);
	assert_true(res.elapsed_ns > 0);
	if (body && !str_eqc(buf_view(&res.body), body))
		fail_msg("wanted \"%s\", got \"%.*s\"", body, STR_ARG(buf_view(&res.body)));
	buf_free(&res.body);
}

static void options_reach_the_server(void **state)
{
	static const char *const headers[] = {"X-One: 1", "Content-Type: text/plain", NULL};

	(void)state;
	does((struct httpc_opts){0}, "/echo", 200, "GET");
	does((struct httpc_opts){.user_agent = "larch/1"}, "/echo?q=%20", 200, "GET User-Agent=larch/1 q= ");
	does((struct httpc_opts){.body = STR("hi"), .headers = headers}, "/echo", 200,
	     "POST X-One=1 Content-Type=text/plain body=hi");
	does((struct httpc_opts){.body = STR("hi"), .headers = headers, .method = "PUT"}, "/echo", 200,
	     "PUT X-One=1 Content-Type=text/plain body=hi");
	does((struct httpc_opts){.method = "DELETE"}, "/echo", 200, "DELETE");
	does((struct httpc_opts){.method = "POST", .headers = headers}, "/echo", 200,
	     "POST X-One=1 Content-Type=text/plain");
	does((struct httpc_opts){.method = "HEAD"}, "/echo", 405, "");
	does((struct httpc_opts){.user = "u", .password = "p:w"}, "/echo", 200, "GET Authorization=Basic dTpwOnc=");
	does((struct httpc_opts){.bearer = "tok"}, "/echo", 200, "GET Authorization=Bearer tok");
}

static void large_upload_without_expect(void **state)
{
	struct httpc_result res;
	struct err e = ERR_INIT;
	struct buf b = {0};
	struct httpc_opts o = {.url = url("/echo"), .proxy = ""};

	(void)state;
	for (int i = 0; i < 100000; i++) buf_c(&b, "abcdefgh");
	o.body = buf_view(&b);
	assert_true(httpc_do(&o, &res, &e));
	assert_int_equal(res.status, 200);
	assert_true(str_find(buf_view(&res.body), STR("Expect")) < 0);
	assert_true(res.body.n > b.n);
	buf_free(&b);
	buf_free(&res.body);
}

static void redirects(void **state)
{
	(void)state;
	does((struct httpc_opts){0}, "/moved", 200, "GET");
	does((struct httpc_opts){.no_follow_redirects = true}, "/moved", 307, "moved");
}

static void what_the_answer_says(void **state)
{
	struct httpc_result res;
	struct err e = ERR_INIT;
	struct httpc_opts o = {.url = url("/busy"), .proxy = ""};

	(void)state;
	assert_true(httpc_do(&o, &res, &e));
	assert_int_equal(res.status, 429);
	assert_int_equal(res.retry_after_s, 7);
	assert_string_equal(res.content_type, "text/plain; charset=utf-8");
	buf_free(&res.body);
	o.url = url("/echo");
	assert_true(httpc_do(&o, &res, &e));
	assert_int_equal(res.retry_after_s, -1);
	assert_string_equal(res.content_type, "application/x-echo");
	buf_free(&res.body);
}

static void body_limit(void **state)
{
	struct httpc_opts o = {.proxy = "", .max_body = 99999};

	(void)state;
	for (int compressed = 0; compressed < 2; compressed++) {
		struct httpc_result res;
		struct err e = ERR_INIT;

		o.url = url("/big");
		o.compressed = compressed;
		o.max_body = 99999;
		assert_false(httpc_do(&o, &res, &e));
		assert_int_equal(e.code, ERR_TOO_LARGE);
		assert_true(str_ends(str_c(e.msg), STR("/big: the answer is larger than 99999 bytes")));
		o.max_body = 100000;
		assert_true(httpc_do(&o, &res, &e));
		assert_int_equal(res.body.n, 100000);
		buf_free(&res.body);
	}
}

static void failures(void **state)
{
	static const struct {
		const char *url;
		enum err_code code;
	} rows[] = {
		{"", ERR_INVALID},
		{"not a url", ERR_INVALID},
		{"localhost:3100", ERR_INVALID},
		{"ftp://127.0.0.1/x", ERR_INVALID},
		{"file:///etc/passwd", ERR_INVALID},
		{"http://no-such-host.invalid/", ERR_IO},
	};
	struct httpc_opts o = {.proxy = "", .timeout_ns = 50 * MS};
	struct httpc_result res;
	struct err e = ERR_INIT;

	(void)state;
	o.url = t.silent;
	assert_false(httpc_do(&o, &res, &e));
	assert_int_equal(e.code, ERR_TIMEOUT);
	o.timeout_ns = 20 * SEC;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		o.url = rows[i].url;
		assert_false(httpc_do(&o, &res, &e));
		if (e.code != rows[i].code) fail_msg("%s: %s", rows[i].url, e.msg);
		assert_int_equal(res.err.code, rows[i].code);
	}
}

static void passwords_stay_out_of_errors(void **state)
{
	struct httpc_opts o = {.url = "http://me:geheim@no-such-host.invalid/x", .proxy = ""};
	struct httpc_result res;
	struct err e = ERR_INIT;

	(void)state;
	assert_false(httpc_do(&o, &res, &e));
	assert_true(str_find(str_c(e.msg), STR("geheim")) < 0);
	assert_true(str_find(str_c(e.msg), STR("no-such-host.invalid/x")) > 0);
}

/* ---- many threads, few connections ---- */

static ssize_t alphabet(void *ud, uint64_t off, char *p, size_t n)
{
	size_t left = 100000 - off;

	(*(int *)ud)++;
	if (n > left) n = left;
	for (size_t i = 0; i < n; i++) p[i] = (char)('a' + (off + i) % 26);
	return (ssize_t)n;
}

static ssize_t broken(void *ud, uint64_t off, char *p, size_t n)
{
	(void)ud, (void)off, (void)p, (void)n;
	return -1;
}

static void bodies_are_read_as_they_are_sent(void **state)
{
	struct httpc_pool *p = httpc_pool_new(4);
	struct httpc_opts o = {.url = url("/echo"), .proxy = "", .body_size = 100000};
	struct httpc_result res;
	struct err e = ERR_INIT;
	int reads = 0;

	(void)state;
	o.body_at = alphabet;
	o.body_ud = &reads;
	o.want[1] = "Content-Length";
	if (!httpc_pool_do(p, &o, &res, &e)) fail_msg("%s", e.msg);
	assert_true(str_starts(buf_view(&res.body), STR("PUT body=abcdefghijklmnopqrstuvwxyzabc")));
	assert_int_equal(res.body.n, strlen("PUT body=") + 100000);
	assert_string_equal(res.got[0], "");
	assert_string_equal(res.got[1], "100009");
	assert_true(reads > 1);
	buf_free(&res.body);
	o.body_at = broken;
	assert_false(httpc_pool_do(p, &o, &res, &e));
	assert_int_equal(e.code, ERR_IO);
	httpc_pool_free(p);
}

struct calls {
	struct httpc_pool *p;
	const char *url;
};

static void *ten_calls(void *ud)
{
	struct calls *c = ud;
	struct httpc_opts o = {.url = c->url, .proxy = ""};
	long ok = 0;

	for (int i = 0; i < 10; i++) {
		struct httpc_result res;
		struct err e = ERR_INIT;

		ok += httpc_pool_do(c->p, &o, &res, &e) && res.status == 200;
		buf_free(&res.body);
	}
	return (void *)ok;
}

static void threads_share_connections(void **state)
{
	struct calls c = {httpc_pool_new(4), url("/echo")};
	pthread_t threads[4];
	void *ok;

	(void)state;
	t.npeers = 0;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, ten_calls, &c), 0);
		for (int i = 0; i < 4; i++) {
			pthread_join(threads[i], &ok);
			assert_int_equal((long)ok, 10);
		}
	}
	assert_in_range(t.npeers, 1, 8); /* of 80 calls */
	httpc_pool_free(c.p);
}

static void requests_are_signed(void **state)
{
	static const char *const headers[] = {"x-amz-content-sha256: UNSIGNED-PAYLOAD", NULL};
	struct httpc_opts o = {.url = url("/echo"), .proxy = "", .headers = headers, .sigv4 = "aws:amz:eu-west-9:s3"};
	struct httpc_result res;
	struct err e = ERR_INIT;

	(void)state;
	o.user = "key:1";
	o.password = "secret";
	if (!httpc_do(&o, &res, &e)) fail_msg("%s", e.msg);
	assert_true(str_starts(buf_view(&res.body), STR("GET Authorization=AWS4-HMAC-SHA256 Credential=key:1/")));
	assert_true(str_find(buf_view(&res.body), STR("/eu-west-9/s3/aws4_request")) > 0);
	assert_true(str_find(buf_view(&res.body), STR("x-amz-content-sha256")) > 0);
	buf_free(&res.body);
}

/* ---- on a loop ---- */

struct counter {
	struct loop *l;
	struct httpc *c;
	struct httpc_call *other; /* to cancel from a callback */
	int left, ok, cancelled, codes[ERR_CODES];
};

static void count(void *ud, struct httpc_result *res)
{
	struct counter *n = ud;

	if (res->ok && res->status == 200)
		n->ok++;
	else
		n->codes[res->err.code]++;
	if (--n->left == 0) loop_stop(n->l);
}

static void open_client(struct counter *n, struct clock *clock)
{
	struct err e = ERR_INIT;

	*n = (struct counter){.l = loop_new(clock, &e)};
	assert_non_null(n->l);
	n->c = httpc_new(n->l, &e);
	assert_non_null(n->c);
}

static void close_client(struct counter *n)
{
	httpc_free(n->c);
	loop_free(n->l);
}

static struct httpc_call *send_to(struct counter *n, const char *to, int64_t timeout_ns)
{
	struct httpc_opts o = {.url = to, .proxy = "", .timeout_ns = timeout_ns};
	struct err e = ERR_INIT;
	struct httpc_call *call = httpc_send(n->c, &o, count, n, &e);

	if (!call) fail_msg("%s", e.msg);
	n->left++;
	return call;
}

static void many_at_once(void **state)
{
	struct err e = ERR_INIT;
	struct counter n;

	(void)state;
	open_client(&n, &clock_real);
	for (int i = 0; i < CALLS; i++) send_to(&n, url("/echo"), 0);
	assert_true(loop_run(n.l, &e));
	assert_int_equal(n.ok, CALLS);
	close_client(&n);
}

static void connections_are_reused(void **state)
{
	struct err e = ERR_INIT;
	struct counter n;

	(void)state;
	open_client(&n, &clock_real);
	t.npeers = 0;
	for (int i = 0; i < 20; i++) {
		send_to(&n, url("/echo"), 0);
		assert_true(loop_run(n.l, &e));
	}
	assert_int_equal(n.ok, 20);
	assert_int_equal(t.npeers, 1);
	close_client(&n);
}

/* A fake clock stands still; the network's time does not. */
static void timeouts_need_no_clock(void **state)
{
	struct clock_fake clock;
	struct err e = ERR_INIT;
	struct counter n;

	(void)state;
	clock_fake_init(&clock, 0, 1);
	open_client(&n, &clock.base);
	send_to(&n, t.silent, 50 * MS);
	assert_true(loop_run(n.l, &e));
	assert_int_equal(n.codes[ERR_TIMEOUT], 1);
	close_client(&n);
}

static void refused_connection(void **state)
{
	struct err e = ERR_INIT;
	struct counter n;
	char to[64];
	int fd = net_listen("127.0.0.1", 0, &e);

	(void)state;
	snprintf(to, sizeof to, "http://127.0.0.1:%u/", net_port(fd));
	close(fd);
	open_client(&n, &clock_real);
	send_to(&n, to, 0);
	assert_true(loop_run(n.l, &e));
	assert_int_equal(n.codes[ERR_IO], 1);
	close_client(&n);
}

static void cancel_other(void *ud, struct httpc_result *res)
{
	struct counter *n = ud;

	httpc_cancel(n->other);
	n->left--; /* it will not be counted */
	count(ud, res);
}

static void cancelling(void **state)
{
	struct httpc_opts o = {.url = url("/echo"), .proxy = ""};
	struct err e = ERR_INIT;
	struct counter n;

	(void)state;
	open_client(&n, &clock_real);
	n.other = send_to(&n, t.silent, 0);
	n.left++;
	assert_non_null(httpc_send(n.c, &o, cancel_other, &n, &e));
	assert_true(loop_run(n.l, &e));
	assert_int_equal(n.ok, 1);
	/* What still runs when the client goes is told so. */
	send_to(&n, t.silent, 0);
	send_to(&n, t.silent, 0);
	loop_step(n.l, 0);
	close_client(&n);
	assert_int_equal(n.codes[ERR_CANCELLED], 2);
}

static void again(void *ud, struct httpc_result *res)
{
	struct counter *n = ud;

	if (n->left > 1) {
		struct httpc_opts o = {.url = url("/echo"), .proxy = ""};
		struct err e = ERR_INIT;

		assert_non_null(httpc_send(n->c, &o, again, n, &e));
	}
	count(ud, res);
}

static void callbacks_may_send(void **state)
{
	struct httpc_opts o = {.url = url("/echo"), .proxy = ""};
	struct err e = ERR_INIT;
	struct counter n;

	(void)state;
	open_client(&n, &clock_real);
	n.left = 10;
	assert_non_null(httpc_send(n.c, &o, again, &n, &e));
	assert_true(loop_run(n.l, &e));
	assert_int_equal(n.ok, 10);
	close_client(&n);
}

static void connections_that_leave_http(void **state)
{
	static const char *const headers[] = {"Connection: Upgrade", "Upgrade: echo", NULL};
	struct httpc_opts o = {
		.headers = headers, .user = "u", .password = "p", .want = {"x-got"}, .timeout_ns = 20 * SEC};
	struct httpc_result res;
	struct err e = ERR_INIT;
	struct httpc_conn *c;
	struct buf got = {0};
	char url[128], part[8];
	ssize_t n;

	(void)state;
	snprintf(url, sizeof url, "%s/upgrade?q=a%%20b", t.base);
	o.url = url;
	c = httpc_upgrade(&o, &res, &e);
	if (!c) fail_msg("%d %s", res.status, e.msg);
	assert_string_equal(res.got[0], "Basic dTpw");
	assert_true(httpc_conn_write(c, STR("and "), 20 * SEC, &e));
	while (got.n < 10 && (n = httpc_conn_read(c, part, sizeof part, 20 * SEC, &e)) > 0)
		buf_add(&got, part, (size_t)n);
	assert_int_equal(httpc_conn_read(c, part, sizeof part, 10 * MS, &e), -1);
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_true(httpc_conn_write(c, STR("good bye."), 20 * SEC, &e));
	while ((n = httpc_conn_read(c, part, sizeof part, 20 * SEC, &e)) > 0) buf_add(&got, part, (size_t)n);
	assert_int_equal(n, 0);
	assert_string_equal(buf_cstr(&got), "hello and good bye.");
	httpc_conn_close(c);
	buf_free(&got);
	/* Another answer. */
	snprintf(url, sizeof url, "%s/upgrade", t.base);
	assert_null(httpc_upgrade(&o, &res, &e));
	assert_true(res.ok);
	assert_int_equal(res.status, 403);
	assert_string_equal(buf_cstr(&res.body), "not you");
	buf_free(&res.body);
	/* No answer. */
	o.url = t.silent;
	o.timeout_ns = 100 * MS;
	e = ERR_INIT;
	assert_null(httpc_upgrade(&o, &res, &e));
	assert_false(res.ok);
	assert_int_equal(e.code, ERR_TIMEOUT);
}

static bool take_some(void *ud, struct str bytes)
{
	size_t *n = ud;

	*n += bytes.n;
	return *n < 100000;
}

static void bodies_as_they_come(void **state)
{
	struct httpc_result res;
	struct err e = ERR_INIT;
	char url[128];
	size_t n = 0;
	struct httpc_opts o = {.url = url, .take = take_some, .take_ud = &n, .max_body = 10};

	(void)state;
	snprintf(url, sizeof url, "%s/big", t.base);
	if (httpc_do(&o, &res, &e)) {
		assert_int_equal(res.status, 200);
		assert_true(n > 10 && n < 100000);
	} else {
		assert_int_equal(e.code, ERR_CANCELLED);
		assert_true(n >= 100000);
	}
	assert_int_equal(res.body.n, 0);
	n = 0;
	snprintf(url, sizeof url, "%s/none", t.base);
	o.max_body = 1000;
	assert_true(httpc_do(&o, &res, &e));
	assert_int_equal(res.status, 404);
	assert_int_equal(n, 0); /* errors stand in the result */
	assert_string_equal(buf_cstr(&res.body), "404 page not found\n");
	buf_free(&res.body);
}

static void shown_urls(void **state)
{
	struct buf b = {0};

	(void)state;
	httpc_show_url(&b, "http://u:secret@h:1/p?q=a%20b");
	assert_true(str_eqc(buf_view(&b), "http://u:xxxxx@h:1/p?q=a%20b"));
	buf_clear(&b);
	httpc_show_url(&b, "http://h/p");
	httpc_show_url(&b, "::");
	assert_true(str_eqc(buf_view(&b), "http://h/p::"));
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_reach_the_server),
		cmocka_unit_test(large_upload_without_expect),
		cmocka_unit_test(redirects),
		cmocka_unit_test(what_the_answer_says),
		cmocka_unit_test(body_limit),
		cmocka_unit_test(failures),
		cmocka_unit_test(passwords_stay_out_of_errors),
		cmocka_unit_test(bodies_are_read_as_they_are_sent),
		cmocka_unit_test(threads_share_connections),
		cmocka_unit_test(requests_are_signed),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(connections_are_reused),
		cmocka_unit_test(timeouts_need_no_clock),
		cmocka_unit_test(refused_connection),
		cmocka_unit_test(cancelling),
		cmocka_unit_test(callbacks_may_send),
		cmocka_unit_test(connections_that_leave_http),
		cmocka_unit_test(bodies_as_they_come),
		cmocka_unit_test(shown_urls),
	};

	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
