/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/httpc.h"

#include "common/httpc_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_NS (30 * INT64_C(1000000000))
#define DEFAULT_MAX_BODY   ((size_t)64 << 20)
#define MAX_REDIRECTS      10L

struct httpc_call {
	struct httpc *c;
	struct httpc_call *prev, *next;
	struct httpc_exchange x;
	httpc_fn *fn;
	void *ud;
};

struct httpc {
	struct loop *l;
	CURLM *multi;
	/* libcurl measures real time; so does this timer, whatever clock the loop has. */
	int timer;
	struct loop_fd *timer_fd;
	struct httpc_call *calls;
	bool closing;
};

/* ---- one exchange: options in, result out ---- */

static void global_init(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

static CURL *new_handle(struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CURL *easy;

	pthread_once(&once, global_init);
	easy = curl_easy_init();
	if (!easy) err_set(e, ERR_INTERNAL, "libcurl could not be initialised");
	return easy;
}

static size_t on_body(char *p, size_t size, size_t n, void *ud)
{
	struct httpc_exchange *x = ud;
	curl_off_t whole;
	long status = 0;

	n *= size;
	if (x->take && !curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status) && status / 100 == 2) {
		x->stopped = !x->take(x->take_ud, str_of(p, n));
		return x->stopped ? 0 : n;
	}
	if (!x->body.p && !curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &whole) && whole > 0)
		buf_reserve(&x->body, (size_t)whole < x->max_body ? (size_t)whole : x->max_body);
	if (n > x->max_body - x->body.n) {
		x->too_large = true;
		return 0; /* anything but n stops the transfer */
	}
	buf_add(&x->body, p, n);
	return n;
}

static size_t give_body(char *p, size_t size, size_t n, void *ud)
{
	struct httpc_exchange *x = ud;
	ssize_t got = x->body_at(x->body_ud, x->sent, p, size * n);

	if (got < 0) return CURL_READFUNC_ABORT;
	x->sent += (uint64_t)got;
	return (size_t)got;
}

static int seek_body(void *ud, curl_off_t off, int origin)
{
	struct httpc_exchange *x = ud;

	if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
	x->sent = (uint64_t)off;
	return CURL_SEEKFUNC_OK;
}

static char *url_part(CURLU *u, CURLUPart part)
{
	char *raw = NULL, *own;

	if (curl_url_get(u, part, &raw, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0)) return NULL;
	own = mem_strdup(raw);
	curl_free(raw);
	return own;
}

static char *without_password(const char *url)
{
	CURLU *u = curl_url();
	char *password = NULL, *shown = NULL;

	if (!curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME)) password = url_part(u, CURLUPART_PASSWORD);
	if (password && !curl_url_set(u, CURLUPART_PASSWORD, "xxxxx", 0)) shown = url_part(u, CURLUPART_URL);
	free(password);
	curl_url_cleanup(u);
	return shown ? shown : mem_strdup(url);
}

/* The certificate is asked for and checked under server_name, while the connection and the Host header stay
 * with the URL's host: libcurl takes the TLS name from the URL, so that is where server_name goes. */
static char *set_server_name(struct httpc_exchange *x, CURLU *u, const char *server_name)
{
	char *host = url_part(u, CURLUPART_HOST), *port = url_part(u, CURLUPART_PORT), *url = NULL;
	struct buf text = {0};

	if (host && port && !curl_url_set(u, CURLUPART_HOST, server_name, 0)) {
		buf_printf(&text, "%s:%s:%s:%s", server_name, port, host, port);
		x->connect_to = curl_slist_append(NULL, buf_cstr(&text));
		buf_clear(&text);
		buf_printf(&text, "Host: %s:%s", host, port);
		x->headers = curl_slist_append(x->headers, buf_cstr(&text));
		url = url_part(u, CURLUPART_URL);
	}
	buf_free(&text);
	free(host);
	free(port);
	return url;
}

static bool set_url(struct httpc_exchange *x, const struct httpc_opts *o, struct err *e)
{
	CURLU *u = curl_url();
	CURLUcode rc = curl_url_set(u, CURLUPART_URL, o->url ? o->url : "", CURLU_NON_SUPPORT_SCHEME);
	char *url;
	bool ok = false;

	if (rc) {
		err_set(e, ERR_INVALID, "\"%s\" is not a URL: %s", o->url ? o->url : "", curl_url_strerror(rc));
		goto out;
	}
	url = o->server_name ? set_server_name(x, u, o->server_name) : mem_strdup(o->url);
	if (!url) {
		err_set(e, ERR_INVALID, "\"%s\" is not a TLS server name", o->server_name);
		goto out;
	}
	ok = curl_easy_setopt(x->easy, CURLOPT_URL, url) == CURLE_OK;
	if (!ok) err_set(e, ERR_INVALID, "\"%s\" is not a URL", o->url);
	free(url);
	x->shown_url = without_password(o->url);
out:
	curl_url_cleanup(u);
	return ok;
}

static void set_headers(struct httpc_exchange *x, const struct httpc_opts *o)
{
	for (const char *const *h = o->headers; h && *h; h++) x->headers = curl_slist_append(x->headers, *h);
	if (o->bearer) {
		struct buf b = {0};

		buf_printf(&b, "Authorization: Bearer %s", o->bearer);
		x->headers = curl_slist_append(x->headers, buf_cstr(&b));
		buf_free(&b);
	}
	/* A server that does not know it would cost a second of waiting per request. libcurl would sign its absence. */
	if (!o->sigv4) x->headers = curl_slist_append(x->headers, "Expect:");
	curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
}

static void set_method(struct httpc_exchange *x, const struct httpc_opts *o)
{
	x->method = o->method ? o->method : o->body_at ? "PUT" : o->body.p ? "POST" : "GET";
	if (o->body_at) {
		x->body_at = o->body_at;
		x->body_ud = o->body_ud;
		curl_easy_setopt(x->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(x->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)o->body_size);
		curl_easy_setopt(x->easy, CURLOPT_READFUNCTION, give_body);
		curl_easy_setopt(x->easy, CURLOPT_READDATA, x);
		curl_easy_setopt(x->easy, CURLOPT_SEEKFUNCTION, seek_body);
		curl_easy_setopt(x->easy, CURLOPT_SEEKDATA, x);
	} else if (o->body.p || strcmp(x->method, "POST") == 0) {
		curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.n);
		curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, o->body.p ? o->body.p : "");
	} else if (strcmp(x->method, "HEAD") == 0) {
		curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
	}
	if (strcmp(x->method, "GET") != 0 && strcmp(x->method, "POST") != 0 && strcmp(x->method, "HEAD") != 0)
		curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, x->method);
}

static void set_strings(struct httpc_exchange *x, const struct httpc_opts *o)
{
	const struct {
		CURLoption opt;
		const char *value;
	} rows[] = {
		{CURLOPT_USERNAME, o->user},        {CURLOPT_PASSWORD, o->password},
		{CURLOPT_CAINFO, o->ca_file},       {CURLOPT_SSLCERT, o->cert_file},
		{CURLOPT_SSLKEY, o->key_file},      {CURLOPT_PROXY, o->proxy},
		{CURLOPT_USERAGENT, o->user_agent}, {CURLOPT_ACCEPT_ENCODING, o->compressed ? "gzip" : NULL},
		{CURLOPT_AWS_SIGV4, o->sigv4},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].value) curl_easy_setopt(x->easy, rows[i].opt, rows[i].value);
	}
}

/* ns in a unit of `unit` ns, at least 1, as libcurl takes times. */
static long curl_time(int64_t ns, int64_t unit)
{
	int64_t n = ns / unit + (ns % unit > 0);

	return n > INT32_MAX ? INT32_MAX : n > 0 ? (long)n : 1;
}

static void set_limits(struct httpc_exchange *x, const struct httpc_opts *o)
{
	int64_t connect = o->connect_timeout_ns > 0 ? o->connect_timeout_ns : o->timeout_ns;

	x->max_body = o->max_body ? o->max_body : DEFAULT_MAX_BODY;
	x->timeout_ns = o->timeout_ns > 0 ? o->timeout_ns : DEFAULT_TIMEOUT_NS;
	if (connect <= 0) connect = x->timeout_ns;
	curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, curl_time(x->timeout_ns, 1000000));
	curl_easy_setopt(x->easy, CURLOPT_CONNECTTIMEOUT_MS, curl_time(connect, 1000000));
	if (o->stall_timeout_ns > 0) {
		curl_easy_setopt(x->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(x->easy, CURLOPT_LOW_SPEED_TIME, curl_time(o->stall_timeout_ns, 1000000000));
	}
	if (o->idle_timeout_ns > 0)
		curl_easy_setopt(x->easy, CURLOPT_MAXAGE_CONN, curl_time(o->idle_timeout_ns, 1000000000));
}

void httpc_exchange_fini(struct httpc_exchange *x)
{
	if (x->easy) curl_easy_cleanup(x->easy);
	curl_slist_free_all(x->headers);
	curl_slist_free_all(x->connect_to);
	buf_free(&x->body);
	free(x->shown_url);
}

/* Takes the handle, or a new one when it is NULL. On failure x holds nothing. */
bool httpc_exchange_init(struct httpc_exchange *x, CURL *easy, const struct httpc_opts *o, struct err *e)
{
	*x = (struct httpc_exchange){.easy = easy ? easy : new_handle(e)};
	memcpy(x->want, o->want, sizeof x->want);
	x->take = o->take;
	x->take_ud = o->take_ud;
	if (!x->easy) return false;
	if (!set_url(x, o, e)) {
		httpc_exchange_fini(x);
		return false;
	}
	curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(x->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(x->easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(x->easy, CURLOPT_FOLLOWLOCATION, o->no_follow_redirects ? 0L : 1L);
	curl_easy_setopt(x->easy, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
	curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYPEER, o->insecure_skip_verify ? 0L : 1L);
	curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYHOST, o->insecure_skip_verify ? 0L : 2L);
	curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->errbuf);
	curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
	set_method(x, o);
	set_headers(x, o);
	set_strings(x, o);
	set_limits(x, o);
	if (x->connect_to) curl_easy_setopt(x->easy, CURLOPT_CONNECT_TO, x->connect_to);
	return true;
}

void httpc_describe_failure(const struct httpc_exchange *x, CURLcode rc, struct err *e)
{
	const char *why = x->errbuf[0] ? x->errbuf : curl_easy_strerror(rc);

	if (x->too_large)
		err_set(e, ERR_TOO_LARGE, "%s %s: the answer is larger than %zu bytes", x->method, x->shown_url,
			x->max_body);
	else if (x->stopped)
		err_set(e, ERR_CANCELLED, "%s %s: stopped", x->method, x->shown_url);
	else if (rc == CURLE_OPERATION_TIMEDOUT)
		err_set(e, ERR_TIMEOUT, "%s %s: no complete answer within %.3g s: %s", x->method, x->shown_url,
			(double)x->timeout_ns / 1e9, why);
	else if (rc == CURLE_UNSUPPORTED_PROTOCOL)
		err_set(e, ERR_INVALID, "%s %s: only http and https are spoken", x->method, x->shown_url);
	else
		err_set(e, ERR_IO, "%s %s: %s", x->method, x->shown_url, why);
}

static int64_t retry_after(CURL *easy)
{
	struct curl_header *h;
	curl_off_t s = 0;

	if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &h) != CURLHE_OK) return -1;
	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &s);
	return s;
}

static void wanted_headers(const struct httpc_exchange *x, struct httpc_result *res)
{
	struct curl_header *h;

	for (size_t i = 0; i < HTTPC_WANT; i++) {
		if (!x->want[i] || curl_easy_header(x->easy, x->want[i], 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
			continue;
		if (strlen(h->value) < sizeof res->got[i]) strcpy(res->got[i], h->value);
	}
}

/* Moves the body into *res. */
static void exchange_result(struct httpc_exchange *x, CURLcode rc, struct httpc_result *res)
{
	curl_off_t us = 0;
	char *type = NULL;
	long status = 0;

	*res = (struct httpc_result){.err = ERR_INIT, .retry_after_s = -1};
	curl_easy_getinfo(x->easy, CURLINFO_TOTAL_TIME_T, &us);
	res->elapsed_ns = us * 1000;
	if (rc != CURLE_OK) {
		httpc_describe_failure(x, rc, &res->err);
		return;
	}
	res->ok = true;
	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	res->status = (int)status;
	curl_easy_getinfo(x->easy, CURLINFO_CONTENT_TYPE, &type);
	if (type) strncat(res->content_type, type, sizeof res->content_type - 1);
	res->retry_after_s = retry_after(x->easy);
	wanted_headers(x, res);
	res->body = x->body;
	x->body = (struct buf){0};
}

bool httpc_do(const struct httpc_opts *o, struct httpc_result *res, struct err *e)
{
	struct httpc_exchange x;

	*res = (struct httpc_result){.err = ERR_INIT, .retry_after_s = -1};
	if (!httpc_exchange_init(&x, NULL, o, &res->err)) {
		*e = res->err;
		return false;
	}
	exchange_result(&x, curl_easy_perform(x.easy), res);
	httpc_exchange_fini(&x);
	if (!res->ok) *e = res->err;
	return res->ok;
}

/* ---- blocking calls that share connections: each handle has its own, and is used by one call at a time ---- */

struct httpc_pool {
	pthread_mutex_t lock;
	CURL **idle; /* the one used last is taken first: it has the freshest connection */
	size_t n, keep;
};

struct httpc_pool *httpc_pool_new(size_t keep)
{
	struct httpc_pool *p = mem_zalloc(sizeof *p);

	p->idle = mem_alloc((keep + 1) * sizeof *p->idle);
	p->keep = keep;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void httpc_pool_free(struct httpc_pool *p)
{
	if (!p) return;
	for (size_t i = 0; i < p->n; i++) curl_easy_cleanup(p->idle[i]);
	pthread_mutex_destroy(&p->lock);
	free(p->idle);
	free(p);
}

static CURL *take_handle(struct httpc_pool *p)
{
	CURL *easy = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->n) easy = p->idle[--p->n];
	pthread_mutex_unlock(&p->lock);
	return easy;
}

static void give_handle(struct httpc_pool *p, CURL *easy)
{
	curl_easy_reset(easy); /* the options; connections stay */
	pthread_mutex_lock(&p->lock);
	if (p->n < p->keep) {
		p->idle[p->n++] = easy;
		easy = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	if (easy) curl_easy_cleanup(easy);
}

bool httpc_pool_do(struct httpc_pool *p, const struct httpc_opts *o, struct httpc_result *res, struct err *e)
{
	struct httpc_exchange x;

	*res = (struct httpc_result){.err = ERR_INIT, .retry_after_s = -1};
	if (!httpc_exchange_init(&x, take_handle(p), o, &res->err)) {
		*e = res->err;
		return false;
	}
	exchange_result(&x, curl_easy_perform(x.easy), res);
	give_handle(p, x.easy);
	x.easy = NULL;
	httpc_exchange_fini(&x);
	if (!res->ok) *e = res->err;
	return res->ok;
}

/* ---- many exchanges on a loop ---- */

static void call_free(struct httpc_call *call)
{
	struct httpc *c = call->c;

	if (call->prev)
		call->prev->next = call->next;
	else
		c->calls = call->next;
	if (call->next) call->next->prev = call->prev;
	curl_multi_remove_handle(c->multi, call->x.easy);
	httpc_exchange_fini(&call->x);
	free(call);
}

/* The call is gone before its callback runs, so that the callback may send, cancel others, or count. */
static void finish(struct httpc_call *call, struct httpc_result *res)
{
	httpc_fn *fn = call->fn;
	void *ud = call->ud;

	call_free(call);
	fn(ud, res);
	buf_free(&res->body);
}

static void reap(struct httpc *c)
{
	struct httpc_result res;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left))) {
		struct httpc_call *call;
		CURLcode rc = m->data.result;

		if (m->msg != CURLMSG_DONE) continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		exchange_result(&call->x, rc, &res);
		finish(call, &res);
	}
}

struct socket_watch {
	struct httpc *c;
	struct loop_fd *lfd;
	int fd;
};

static void on_socket_ready(void *ud, uint32_t events)
{
	struct socket_watch *w = ud;
	struct httpc *c = w->c;
	int running, what = 0;

	if (events & EPOLLIN) what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT) what |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP)) what |= CURL_CSELECT_ERR;
	curl_multi_socket_action(c->multi, w->fd, what, &running);
	reap(c);
}

/* libcurl says which events it waits for on a socket; w is what it was last told to remember for it. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ud, void *socket_ud)
{
	struct httpc *c = ud;
	struct socket_watch *w = socket_ud;
	uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	struct err e = ERR_INIT;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w) loop_fd_del(w->lfd);
		free(w);
		return 0;
	}
	if (w) {
		loop_fd_mod(w->lfd, events);
		return 0;
	}
	w = mem_zalloc(sizeof *w);
	*w = (struct socket_watch){.c = c, .fd = fd};
	w->lfd = loop_fd_add(c->l, fd, events, on_socket_ready, w, &e);
	if (!w->lfd) {
		free(w);
		return -1;
	}
	curl_multi_assign(c->multi, fd, w);
	return 0;
}

static void on_timer(void *ud, uint32_t events)
{
	struct httpc *c = ud;
	uint64_t n;
	int running;

	(void)events;
	if (read(c->timer, &n, sizeof n) != (ssize_t)sizeof n) return; /* re-armed meanwhile */
	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(c);
}

static int set_timer(CURLM *multi, long ms, void *ud)
{
	struct httpc *c = ud;
	struct itimerspec t = {0};

	(void)multi;
	if (ms >= 0) {
		t.it_value.tv_sec = ms / 1000;
		t.it_value.tv_nsec = ms ? ms % 1000 * 1000000 : 1; /* zero would disarm */
	}
	timerfd_settime(c->timer, 0, &t, NULL);
	return 0;
}

struct httpc *httpc_new(struct loop *l, struct err *e)
{
	struct httpc *c = mem_zalloc(sizeof *c);
	CURL *probe = new_handle(e);

	c->l = l;
	c->timer = -1;
	if (!probe) goto fail;
	curl_easy_cleanup(probe);
	c->multi = curl_multi_init();
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!c->multi || c->timer < 0) {
		err_errno(e, "HTTP client");
		goto fail;
	}
	c->timer_fd = loop_fd_add(l, c->timer, EPOLLIN, on_timer, c, e);
	if (!c->timer_fd) goto fail;
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	return c;
fail:
	httpc_free(c);
	return NULL;
}

void httpc_free(struct httpc *c)
{
	if (!c) return;
	c->closing = true;
	while (c->calls) {
		struct httpc_call *call = c->calls;
		struct httpc_result res = {.err = ERR_INIT, .retry_after_s = -1};

		err_set(&res.err, ERR_CANCELLED, "%s %s: cancelled", call->x.method, call->x.shown_url);
		finish(call, &res);
	}
	if (c->multi) curl_multi_cleanup(c->multi);
	if (c->timer_fd) loop_fd_del(c->timer_fd);
	if (c->timer >= 0) close(c->timer);
	free(c);
}

struct httpc_call *httpc_send(struct httpc *c, const struct httpc_opts *o, httpc_fn *fn, void *ud, struct err *e)
{
	struct httpc_call *call;
	CURLMcode rc;

	if (c->closing) {
		err_set(e, ERR_CANCELLED, "the HTTP client is closing");
		return NULL;
	}
	call = mem_zalloc(sizeof *call);
	call->c = c;
	call->fn = fn;
	call->ud = ud;
	if (!httpc_exchange_init(&call->x, NULL, o, e)) {
		free(call);
		return NULL;
	}
	curl_easy_setopt(call->x.easy, CURLOPT_PRIVATE, call);
	call->next = c->calls;
	if (call->next) call->next->prev = call;
	c->calls = call;
	rc = curl_multi_add_handle(c->multi, call->x.easy);
	if (rc) {
		err_set(e, ERR_INTERNAL, "%s %s: %s", call->x.method, call->x.shown_url, curl_multi_strerror(rc));
		call_free(call);
		return NULL;
	}
	return call;
}

void httpc_cancel(struct httpc_call *call)
{
	if (call) call_free(call);
}

void httpc_show_url(struct buf *b, const char *url)
{
	char *shown = without_password(url);

	buf_c(b, shown);
	free(shown);
}
