/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base64.h"
#include "common/clock.h"
#include "common/httpc_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define HEAD_MAX ((size_t)64 << 10)

struct httpc_conn {
	struct httpc_exchange x;
	curl_socket_t fd;
	struct buf in; /* what came with the answer's head */
	size_t at;
	uint64_t length; /* of the answer's body; UINT64_MAX: until the end */
};

/* Until the socket is ready; ERR_TIMEOUT after `until` (monotonic). */
static bool await(const struct httpc_conn *c, short events, int64_t until, struct err *e)
{
	struct pollfd p = {.fd = c->fd, .events = events};
	int64_t left = (until - clock_mono(&clock_real)) / 1000000 + 1;

	if (left > INT32_MAX) left = INT32_MAX;
	switch (poll(&p, 1, left < 0 ? 0 : (int)left)) {
	case 0: return err_set(e, ERR_TIMEOUT, "%s %s: nothing came in time", c->x.method, c->x.shown_url);
	case -1: return errno == EINTR || err_errno(e, "%s %s", c->x.method, c->x.shown_url);
	default: return true;
	}
}

static bool failed(const struct httpc_conn *c, CURLcode rc, struct err *e)
{
	httpc_describe_failure(&c->x, rc, e);
	return false;
}

bool httpc_conn_write(struct httpc_conn *c, struct str bytes, int64_t wait_ns, struct err *e)
{
	int64_t until = clock_mono(&clock_real) + wait_ns;

	while (bytes.n) {
		size_t n = 0;
		CURLcode rc = curl_easy_send(c->x.easy, bytes.p, bytes.n, &n);

		if (rc == CURLE_AGAIN && !await(c, POLLOUT, until, e)) return false;
		if (rc != CURLE_OK && rc != CURLE_AGAIN) return failed(c, rc, e);
		bytes = str_from(bytes, n);
	}
	return true;
}

/* From the connection itself. */
static ssize_t receive(struct httpc_conn *c, char *p, size_t n, int64_t until, struct err *e)
{
	for (;;) {
		size_t got = 0;
		CURLcode rc = curl_easy_recv(c->x.easy, p, n, &got);

		if (rc == CURLE_OK) return (ssize_t)got;
		if (rc != CURLE_AGAIN) failed(c, rc, e);
		if (rc != CURLE_AGAIN || !await(c, POLLIN, until, e)) return -1;
	}
}

ssize_t httpc_conn_read(struct httpc_conn *c, char *p, size_t n, int64_t wait_ns, struct err *e)
{
	if (c->at < c->in.n) {
		if (n > c->in.n - c->at) n = c->in.n - c->at;
		memcpy(p, c->in.p + c->at, n);
		c->at += n;
		return (ssize_t)n;
	}
	return receive(c, p, n, clock_mono(&clock_real) + wait_ns, e);
}

void httpc_conn_close(struct httpc_conn *c)
{
	if (!c) return;
	httpc_exchange_fini(&c->x);
	buf_free(&c->in);
	free(c);
}

/* ---- the handshake ---- */

static char *part_of(CURLU *u, CURLUPart part)
{
	char *text = NULL;

	return curl_url_get(u, part, &text, 0) ? NULL : text;
}

static void put_target(struct buf *b, const char *url)
{
	CURLU *u = curl_url();
	char *path, *query, *host, *port;

	curl_url_set(u, CURLUPART_URL, url, 0);
	path = part_of(u, CURLUPART_PATH);
	query = part_of(u, CURLUPART_QUERY);
	host = part_of(u, CURLUPART_HOST);
	port = part_of(u, CURLUPART_PORT);
	buf_printf(b, "GET %s%s%s HTTP/1.1\r\nHost: %s%s%s\r\n", path ? path : "/", query ? "?" : "",
		   query ? query : "", host ? host : "", port ? ":" : "", port ? port : "");
	curl_free(path);
	curl_free(query);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
}

static void put_request(struct buf *b, const struct httpc_opts *o)
{
	put_target(b, o->url);
	for (const char *const *h = o->headers; h && *h; h++) buf_printf(b, "%s\r\n", *h);
	if (o->user_agent) buf_printf(b, "User-Agent: %s\r\n", o->user_agent);
	if (o->bearer) buf_printf(b, "Authorization: Bearer %s\r\n", o->bearer);
	if (o->user) {
		struct buf both = {0};

		buf_printf(&both, "%s:%s", o->user, o->password ? o->password : "");
		buf_c(b, "Authorization: Basic ");
		base64_encode(b, buf_view(&both));
		buf_c(b, "\r\n");
		buf_free(&both);
	}
	buf_c(b, "\r\n");
}

/* Appends what comes to c->in. False: the end (e->code is ERR_NONE) or the error. */
static bool read_more(struct httpc_conn *c, int64_t until, struct err *e)
{
	ssize_t n;

	buf_reserve(&c->in, 4096);
	n = receive(c, c->in.p + c->in.n, 4096, until, e);
	if (n > 0) c->in.n += (size_t)n;
	return n > 0;
}

static struct str header(struct str head, const char *wanted)
{
	while (head.n) {
		struct str line, name;

		str_cut(&head, '\n', &line);
		str_cut(&line, ':', &name);
		if (str_ieq(name, str_c(wanted))) return str_trim(line);
	}
	return STR("");
}

static void note_headers(struct httpc_conn *c, const struct httpc_opts *o, struct str head, struct httpc_result *res)
{
	if (!str_to_u64(header(head, "Content-Length"), &c->length)) c->length = UINT64_MAX;
	for (size_t i = 0; i < HTTPC_WANT && o->want[i]; i++) {
		struct str v = header(head, o->want[i]);

		if (v.n < sizeof res->got[i]) memcpy(res->got[i], v.p, v.n);
	}
}

static bool read_head(struct httpc_conn *c, const struct httpc_opts *o, int64_t until, struct httpc_result *res,
		      struct err *e)
{
	static const char end[] = "\r\n\r\n";
	struct str head, line, version;
	uint64_t status;
	ssize_t at;

	while ((at = str_find(buf_view(&c->in), str_c(end))) < 0) {
		if (c->in.n > HEAD_MAX)
			return err_set(e, ERR_TOO_LARGE, "%s %s: the answer's head is larger than %zu bytes",
				       c->x.method, c->x.shown_url, HEAD_MAX);
		if (read_more(c, until, e)) continue;
		return e->code ? false : failed(c, CURLE_GOT_NOTHING, e);
	}
	head = str_sub(buf_view(&c->in), 0, (size_t)at);
	c->at = (size_t)at + sizeof end - 1;
	str_cut(&head, '\n', &line);
	note_headers(c, o, head, res);
	str_cut(&line, ' ', &version);
	if (!str_starts(version, STR("HTTP/1.")) || line.n < 3 || !str_to_u64(str_sub(line, 0, 3), &status))
		return err_set(e, ERR_IO, "%s %s: the answer is not HTTP/1.1", c->x.method, c->x.shown_url);
	res->status = (int)status;
	return true;
}

/* The body of another answer than 101. */
static void read_body(struct httpc_conn *c, int64_t until, struct httpc_result *res)
{
	struct err ignored = ERR_INIT;

	while (c->in.n - c->at < HEAD_MAX && c->in.n - c->at < c->length && read_more(c, until, &ignored)) {}
	buf_add(&res->body, c->in.p + c->at, c->in.n - c->at);
	res->ok = true;
}

static bool shake_hands(struct httpc_conn *c, const struct httpc_opts *o, struct httpc_result *res, struct err *e)
{
	struct buf request = {0};
	CURLcode rc;
	int64_t until = clock_mono(&clock_real) + c->x.timeout_ns;
	bool ok;

	curl_easy_setopt(c->x.easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(c->x.easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(c->x.easy, CURLOPT_NOSIGNAL, 0L); /* a write to a closed TLS connection is no SIGPIPE then */
	rc = curl_easy_perform(c->x.easy);
	if (rc == CURLE_OK) rc = curl_easy_getinfo(c->x.easy, CURLINFO_ACTIVESOCKET, &c->fd);
	if (rc != CURLE_OK) return failed(c, rc, e);
	put_request(&request, o);
	ok = httpc_conn_write(c, buf_view(&request), c->x.timeout_ns, e) && read_head(c, o, until, res, e);
	buf_free(&request);
	if (ok && res->status != 101) read_body(c, until, res);
	return ok && res->status == 101;
}

struct httpc_conn *httpc_upgrade(const struct httpc_opts *o, struct httpc_result *res, struct err *e)
{
	struct httpc_conn *c = mem_zalloc(sizeof *c);

	*res = (struct httpc_result){.err = ERR_INIT, .retry_after_s = -1};
	if (!httpc_exchange_init(&c->x, NULL, o, e)) {
		free(c);
		return NULL;
	}
	if (shake_hands(c, o, res, e)) return c;
	httpc_conn_close(c);
	return NULL;
}
