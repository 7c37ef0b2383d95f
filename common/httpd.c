/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/httpd.h"

#include "common/clock.h"
#include "common/codec.h"
#include "common/httpd_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FORM_MAX      ((size_t)64 << 10)    /* body of a route that asks for none */
#define HEADERS_MAX   ((size_t)128 << 10)   /* request line, headers and the library's own records of one connection */
#define FIRST_CHUNK   ((size_t)64 << 10)    /* first reservation for a body of unknown length */
#define DRAIN_MAX     ((uint64_t)128 << 20) /* of a refused body, read so that the client sees the answer */
#define GZIP_MIN      1024                  /* smaller answers are sent as they are */
#define GZIP_LEVEL    1                     /* an answer is read once */
#define TARGET_FREE   ((size_t)4 << 10)     /* a longer request target counts as body in flight */
#define ANSWER_FREE   ((size_t)64 << 10)    /* a larger one counts as an answer on its way */
#define TARGET_COPIES 3                     /* as sent, decoded, and cut into arguments */
#define FLUSH_NS      (2 * NS_PER_S)        /* at stop: for the last answers to leave */

/* ---- memory of a body ---- */

static bool reserve(struct httpd_req *r, size_t n)
{
	if (r->h->conf.budget && !budget_take(r->h->conf.budget, n)) return false;
	r->reserved += n;
	return true;
}

static bool reserve_body(struct httpd_req *r, size_t n)
{
	if (!r->share) return reserve(r, n);
	if (!budget_share_take(r->share, n)) return false;
	r->body_reserved += n;
	return true;
}

static void release_body(struct httpd_req *r)
{
	buf_free(&r->body);
	if (r->h->conf.budget && r->reserved) budget_give(r->h->conf.budget, r->reserved);
	r->reserved = 0;
	if (!r->share) return;
	budget_share_give(r->share, r->body_reserved);
	r->h->conf.unshare(r->h->conf.ctx, r->share);
	r->share = NULL;
	r->body_reserved = 0;
}

/* ---- answers ---- */

static bool accepts_gzip(struct str accept)
{
	struct str item;

	while (accept.n) {
		struct str coding;
		bool has_q;

		str_cut(&accept, ',', &item);
		has_q = str_cut(&item, ';', &coding);
		if (!str_ieq(str_trim(coding), STR("gzip"))) continue;
		item = str_trim(item);
		if (has_q && str_starts(item, STR("q="))) {
			double q;

			return str_to_f64(str_from(item, 2), &q) && q > 0;
		}
		return true;
	}
	return false;
}

static bool has_header(const struct httpd_req *r, const char *name)
{
	for (const struct answer_header *h = r->headers; h; h = h->next)
		if (str_ieq(str_c(h->name), str_c(name))) return true;
	return false;
}

/* True when *body was replaced by its compressed form. */
static bool compress_body(const struct httpd_req *r, struct buf *body)
{
	struct buf packed = {0};
	struct err e = ERR_INIT;

	if (body->n < GZIP_MIN || has_header(r, "Content-Encoding")) return false;
	if (!accepts_gzip(httpd_header(r, "Accept-Encoding"))) return false;
	if (!codec_compress(CODEC_GZIP, GZIP_LEVEL, buf_view(body), &packed, &e) || packed.n >= body->n) {
		buf_free(&packed);
		return false;
	}
	buf_free(body);
	*body = packed;
	return true;
}

void httpd_put_headers(struct httpd_req *r, struct MHD_Response *p)
{
	for (const struct answer_header *h = r->headers; h; h = h->next) MHD_add_response_header(p, h->name, h->value);
}

/* Takes body's memory. */
static void make_response(struct httpd_req *r, int status, const char *ctype, struct buf *body, bool packed)
{
	struct MHD_Response *p;

	p = MHD_create_response_from_buffer(body->n, body->p, MHD_RESPMEM_MUST_FREE);
	if (!p) {
		fprintf(stderr, "out of memory for an answer\n");
		abort();
	}
	*body = (struct buf){0};
	if (ctype) MHD_add_response_header(p, "Content-Type", ctype);
	if (packed) {
		MHD_add_response_header(p, "Content-Encoding", "gzip");
		MHD_add_response_header(p, "Vary", "Accept-Encoding");
	}
	httpd_put_headers(r, p);
	if (atomic_load(&r->h->stopping)) MHD_add_response_header(p, "Connection", "close");
	r->status = status;
	r->response = p;
}

/* Whoever counts by method must not have to keep what clients make up. */
static const char *known_method(const char *method)
{
	return route_takes("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT", method) ? method : "other";
}

static void report_done(struct httpd_req *r)
{
	struct httpd *h = r->h;

	if (h->conf.done)
		h->conf.done(h->conf.ctx, r->route ? r->route->name : "other", known_method(r->method), r->status,
			     clock_mono(&clock_real) - r->started);
}

void httpd_header_add(struct httpd_req *r, const char *name, const char *value)
{
	struct answer_header *h = ARENA_NEW(&r->mem, struct answer_header);

	h->name = arena_cstr(&r->mem, str_c(name));
	h->value = arena_cstr(&r->mem, str_c(value));
	h->next = r->headers;
	r->headers = h;
}

void httpd_hand_back(struct httpd_req *r)
{
	struct httpd *h = r->h;
	struct MHD_Connection *conn = r->conn;

	release_body(r);
	report_done(r);
	pthread_mutex_lock(&h->lock);
	r->state = REQ_ANSWERED;
	h->answered++;
	pthread_mutex_unlock(&h->lock);
	MHD_resume_connection(conn); /* r may be gone from here on; h is not while it counts as running */
	pthread_mutex_lock(&h->lock);
	h->running--;
	pthread_cond_broadcast(&h->change);
	pthread_mutex_unlock(&h->lock);
}

static const char *text_type(struct httpd_req *r)
{
	httpd_header_add(r, "X-Content-Type-Options", "nosniff");
	return "text/plain; charset=utf-8";
}

/* What a peer reads slowly stays in memory as long. One answer alone may be as large as it is. */
static bool reserve_answer(struct httpd_req *r, size_t n)
{
	struct budget *b = r->h->conf.answers;

	if (!b || n <= ANSWER_FREE) return true;
	if (!budget_take(b, n)) {
		if (budget_used(b)) return false;
		budget_force(b, n);
	}
	r->answer = n;
	return true;
}

/* Instead of an answer that there is no room for. */
static void put_no_room(const struct httpd_req *r, struct buf *body)
{
	const struct budget *b = r->h->conf.answers;
	size_t n = body->n;

	buf_free(body);
	buf_printf(
		body,
		"no memory for an answer of %zu bytes now: those on their way may take %zu bytes together (a part of "
		"larch.memory_limit); ask for less, try again later, or raise the limit",
		n, b->limit);
}

void httpd_reply(struct httpd_req *r, int status, const char *ctype, struct buf *body)
{
	struct buf none = {0};
	bool packed;
	size_t n;

	if (!body) body = &none;
	packed = compress_body(r, body);
	if (!reserve_answer(r, body->n)) {
		put_no_room(r, body);
		packed = false;
		status = 503;
		ctype = text_type(r);
	}
	n = body->n;
	make_response(r, status, ctype, body, packed);
	r->leave_by = clock_mono(&clock_real) + r->h->conf.write_timeout_s * NS_PER_S + httpd_transfer_ns(r->h, n);
	httpd_hand_back(r);
}

void httpd_reply_text(struct httpd_req *r, int status, struct str text)
{
	struct buf b = {0};

	buf_str(&b, text);
	httpd_reply(r, status, text_type(r), &b);
}

/* Sets the answer of a request that no handler will see; it goes out when the body has been read over. */
static void refuse(struct httpd_req *r, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void refuse(struct httpd_req *r, int status, const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	release_body(r);
	make_response(r, status, b.n ? text_type(r) : NULL, &b, false);
	report_done(r);
}

/* ---- routes ---- */

static void refuse_method(struct httpd_req *r)
{
	struct buf allow = {0};

	for (size_t i = 0; i < r->h->conf.nroutes; i++) {
		struct str methods = str_c(r->h->conf.routes[i].methods), one;

		if (!route_matches(r->h->conf.routes[i].path, &r->path)) continue;
		while (methods.n) {
			str_cut(&methods, ' ', &one);
			buf_printf(&allow, "%s%.*s", allow.n ? ", " : "", STR_ARG(one));
		}
	}
	httpd_header_add(r, "Allow", buf_cstr(&allow));
	buf_free(&allow);
	refuse(r, 405, "%s", "");
}

/* Splits the target and finds the route. False: refused. */
static bool find_route(struct httpd_req *r)
{
	struct str raw, decoded, prefix = str_c(r->h->prefix);
	struct err e = ERR_INIT;
	bool ours;

	r->query = r->target;
	str_cut(&r->query, '?', &raw);
	ours = str_starts(raw, prefix);
	if (ours) raw = str_from(raw, prefix.n);
	/* As a whole first: an escape that a slash breaks is refused, known path or not. */
	if (!url_decode(&r->mem, raw, false, &decoded, &e)) {
		refuse(r, 400, "%s", e.msg);
		return false;
	}
	ours = ours && route_split(&r->mem, raw, &r->path);
	for (size_t i = 0; ours && i < r->h->conf.nroutes; i++) {
		const struct httpd_route *route = &r->h->conf.routes[i];

		if (!route_matches(route->path, &r->path)) continue;
		r->route = route;
		if (route_takes(route->methods, r->method)) return true;
	}
	if (r->route)
		refuse_method(r);
	else
		refuse(r, 404, "404 page not found\n");
	return false;
}

/* ---- handling: workers ---- */

static bool is_form(const struct httpd_req *r)
{
	struct str type = httpd_header(r, "Content-Type"), media;

	str_cut(&type, ';', &media);
	return str_ieq(str_trim(media), STR("application/x-www-form-urlencoded"));
}

static bool parse_args(struct httpd_req *r, struct err *e)
{
	if (r->route->max_body == 0 && is_form(r) && !url_args_parse(&r->mem, buf_view(&r->body), &r->args, e))
		return false;
	return url_args_parse(&r->mem, r->query, &r->args, e);
}

void httpd_run(struct httpd_req *r) { r->route->fn(r, r->h->conf.ctx); }

static void handle(struct httpd_req *r)
{
	struct err e = ERR_INIT;

	if (!parse_args(r, &e))
		httpd_reply_text(r, 400, str_c(e.msg));
	else if (r->route->queued)
		r->h->conf.admit(r, r->h->conf.ctx);
	else
		httpd_run(r);
}

/* ---- reading a request: the library's thread ---- */

static size_t body_limit(const struct httpd_req *r) { return r->route->max_body ? r->route->max_body : FORM_MAX; }

static void refuse_too_large(struct httpd_req *r, uint64_t n)
{
	const char *key = r->route->max_body_key;

	refuse(r, 413, "message size too large than max (%llu vs %zu)%s%s", (unsigned long long)n, body_limit(r),
	       key ? ": " : "", key ? key : "");
}

static void refuse_no_memory(struct httpd_req *r, uint64_t n)
{
	const struct budget *b = r->h->conf.budget;

	refuse(r, 503,
	       "no memory for a request body of %llu bytes now: the bodies in flight may take %zu bytes together "
	       "(a part of larch.memory_limit); try again later, with smaller requests, or raise the limit",
	       (unsigned long long)n, b->limit);
}

static void check_length(struct httpd_req *r, uint64_t length)
{
	if (length > body_limit(r))
		refuse_too_large(r, length);
	else if (!reserve_body(r, (size_t)length))
		refuse_no_memory(r, length);
	else
		buf_reserve(&r->body, (size_t)length);
}

/* False: refused, for the certificate of its client. */
static bool admit_client(struct httpd_req *r)
{
	struct err e = ERR_INIT;

	if (!r->h->tls || r->peer->admitted) return true;
	r->peer->admitted = httpd_tls_admits(
		r->h->tls, MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session, &e);
	if (!r->peer->admitted) refuse(r, 403, "%s", e.msg);
	return r->peer->admitted;
}

static bool pass_guard(struct httpd_req *r)
{
	struct err e = ERR_INIT;

	if (!r->h->conf.guard || r->h->conf.guard(r->h->conf.ctx, r, &e)) {
		if (r->h->conf.share) r->share = r->h->conf.share(r->h->conf.ctx, r);
		return true;
	}
	if (e.code == ERR_UNAUTH) httpd_header_add(r, "WWW-Authenticate", "Basic realm=\"larch\"");
	refuse(r, err_info(e.code)->http_status, "%s", e.msg);
	return false;
}

/* Headers are complete. */
static void begin(struct httpd_req *r, const char *method)
{
	const union MHD_ConnectionInfo *addr = MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct str length = httpd_header(r, "Content-Length");
	bool chunked = httpd_header(r, "Transfer-Encoding").p;
	uint64_t n = 0;

	r->begun = true;
	r->method = method;
	if (addr && addr->client_addr) net_print(addr->client_addr, r->from);
	if (!chunked && length.p && !str_to_u64(length, &n)) n = UINT64_MAX;
	if (r->target.n > TARGET_FREE && !reserve(r, r->target.n * TARGET_COPIES))
		refuse_no_memory(r, r->target.n);
	else if (admit_client(r) && find_route(r) && pass_guard(r) && n)
		check_length(r, n);
	if (r->response) r->close_early = n > DRAIN_MAX || httpd_header(r, "Expect").p;
}

/* False: cut the connection. */
static bool take_body(struct httpd_req *r, const char *p, size_t n)
{
	size_t cap;

	atomic_fetch_add(&r->received, n);
	if (r->response) {
		return atomic_load(&r->received) <= DRAIN_MAX;
	}
	if (n > body_limit(r) - r->body.n) {
		refuse_too_large(r, r->body.n + n);
		return true;
	}
	if (n > r->body.cap - r->body.n) {
		cap = r->body.cap ? r->body.cap : FIRST_CHUNK;
		while (cap - r->body.n < n) cap *= 2;
		if (!reserve_body(r, cap - r->body.cap)) {
			refuse_no_memory(r, r->body.n + n);
			return true;
		}
		buf_reserve(&r->body, cap - r->body.n);
	}
	buf_add(&r->body, p, n);
	return true;
}

/* The connection sleeps until httpd_reply(). False: the server is stopping, r is refused. */
static bool hand_over(struct httpd_req *r)
{
	struct httpd *h = r->h;
	bool refused;

	pthread_mutex_lock(&h->lock);
	refused = h->refusing;
	if (!refused) {
		r->state = REQ_RUNNING;
		atomic_store(&r->cancelled, r->peer->hung_up);
		h->running++;
	}
	pthread_mutex_unlock(&h->lock);
	if (refused) {
		refuse(r, 503, "the server is stopping");
		return false;
	}
	MHD_suspend_connection(r->conn);
	queue_push(h->todo, r);
	return true;
}

static enum MHD_Result send_answer(struct httpd_req *r)
{
	enum MHD_Result ok = MHD_queue_response(r->conn, (unsigned)r->status, r->response);

	MHD_destroy_response(r->response);
	r->response = NULL;
	return ok;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
				 const char *version, const char *data, size_t *data_size, void **con_cls)
{
	struct httpd_req *r = *con_cls;
	size_t n = *data_size;
	bool answered;

	(void)cls, (void)conn, (void)url;
	if (!r) return MHD_NO;
	if (!r->begun) {
		r->old = strcmp(version, "HTTP/1.1") != 0;
		begin(r, method);
		return r->close_early ? send_answer(r) : MHD_YES;
	}
	if (n) {
		*data_size = 0;
		return take_body(r, data, n) ? MHD_YES : MHD_NO;
	}
	pthread_mutex_lock(&r->h->lock); /* httpd_reply wrote the response under it */
	answered = r->response;
	pthread_mutex_unlock(&r->h->lock);
	if (!answered && hand_over(r)) return MHD_YES;
	return send_answer(r);
}

/* The request line has been read: the first the library tells of a request. */
static void *on_request_line(void *cls, const char *target, struct MHD_Connection *conn)
{
	struct httpd *h = cls;
	struct httpd_req *r = mem_zalloc(sizeof *r);
	const char *authority = target[0] != '/' ? strstr(target, "://") : NULL;

	if (authority) { /* absolute form, as sent to proxies */
		target = strchr(authority + 3, '/');
		if (!target) target = "/";
	}
	r->h = h;
	r->conn = conn;
	r->peer = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	r->started = clock_mono(&clock_real);
	arena_init(&r->mem, 0);
	r->target = arena_str(&r->mem, str_c(target));
	pthread_mutex_lock(&h->lock);
	r->id = ++h->next_id;
	r->peer->req = r;
	h->requests++;
	pthread_mutex_unlock(&h->lock);
	return r;
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls, enum MHD_RequestTerminationCode how)
{
	struct httpd *h = cls;
	struct httpd_req *r = *con_cls;

	(void)conn, (void)how;
	if (!r) return;
	*con_cls = NULL;
	if (r->stream) httpd_stream_detach(r->stream);
	if (r->upgraded) r->upgraded(r->upgraded_ud, NULL);
	pthread_mutex_lock(&h->lock);
	r->peer->req = NULL;
	r->peer->since = clock_mono(&clock_real);
	h->requests--;
	if (r->state == REQ_ANSWERED) h->answered--;
	pthread_cond_broadcast(&h->change);
	pthread_mutex_unlock(&h->lock);
	httpd_stream_unref(r->stream);
	release_body(r);
	if (r->answer) budget_give(h->conf.answers, r->answer);
	if (r->response) MHD_destroy_response(r->response);
	arena_free(&r->mem);
	free(r);
}

static void peer_open(struct httpd *h, struct MHD_Connection *conn, void **ctx)
{
	struct peer *p = mem_zalloc(sizeof *p);
	struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLONESHOT};

	p->since = clock_mono(&clock_real);
	p->fd = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	*ctx = p;
	pthread_mutex_lock(&h->lock);
	ev.data.u64 = p->id = ++h->next_id;
	p->next = h->peers;
	if (p->next) p->next->prev = p;
	h->peers = p;
	epoll_ctl(h->watch_ep, EPOLL_CTL_ADD, p->fd, &ev); /* failing only loses the notice of a hang-up */
	pthread_mutex_unlock(&h->lock);
}

static void peer_close(struct httpd *h, struct peer *p)
{
	pthread_mutex_lock(&h->lock);
	epoll_ctl(h->watch_ep, EPOLL_CTL_DEL, p->fd, NULL);
	if (p->prev)
		p->prev->next = p->next;
	else
		h->peers = p->next;
	if (p->next) p->next->prev = p->prev;
	if (p->hung_up) h->hung_up--;
	pthread_mutex_unlock(&h->lock);
	free(p);
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **ctx, enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		httpd_tls_use(((struct httpd *)cls)->tls);
		peer_open(cls, conn, ctx);
	} else if (*ctx) {
		peer_close(cls, *ctx);
	}
}

/* Targets are decoded here, by length; the library's own decoding stops at a NUL. */
static size_t keep_escapes(void *cls, struct MHD_Connection *conn, char *s)
{
	(void)cls, (void)conn;
	return strlen(s);
}

/* ---- workers ---- */

static void *work(void *ud)
{
	struct httpd *h = ud;
	struct httpd_req *r;

	while ((r = queue_pop(h->todo))) handle(r);
	return NULL;
}

/* ---- start and stop ---- */

static void httpd_free(struct httpd *h)
{
	if (h->daemon) MHD_stop_daemon(h->daemon);
	if (h->todo) queue_close(h->todo);
	for (unsigned i = 0; i < h->nworkers; i++) pthread_join(h->workers[i], NULL);
	if (h->watching) {
		eventfd_write(h->watch_stop, 1);
		pthread_join(h->watcher, NULL);
	}
	if (h->todo) queue_free(h->todo);
	if (h->listen_fd >= 0) close(h->listen_fd);
	if (h->watch_ep >= 0) close(h->watch_ep);
	if (h->watch_stop >= 0) close(h->watch_stop);
	httpd_tls_free(h->tls);
	pthread_cond_destroy(&h->change);
	pthread_mutex_destroy(&h->lock);
	free(h->workers);
	free(h->prefix);
	free(h);
}

static bool start_threads(struct httpd *h, struct err *e)
{
	struct epoll_event ev = {.events = EPOLLIN};
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = h->conf.workers ? h->conf.workers : cores > 4 ? (unsigned)cores : 4;

	h->watch_ep = epoll_create1(EPOLL_CLOEXEC);
	h->watch_stop = eventfd(0, EFD_CLOEXEC);
	if (h->watch_ep < 0 || h->watch_stop < 0 || epoll_ctl(h->watch_ep, EPOLL_CTL_ADD, h->watch_stop, &ev))
		return err_errno(e, "HTTP server: watch connections");
	errno = pthread_create(&h->watcher, NULL, httpd_watch, h);
	if (errno) return err_errno(e, "HTTP server: start a thread");
	h->watching = true;
	h->workers = mem_zalloc(n * sizeof *h->workers);
	while (h->nworkers < n) {
		errno = pthread_create(&h->workers[h->nworkers], NULL, work, h);
		if (errno) return err_errno(e, "HTTP server: start a thread");
		h->nworkers++;
	}
	return true;
}

static bool start_daemon(struct httpd *h, struct err *e)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE;
	struct MHD_OptionItem tls[] = {{MHD_OPTION_END, 0, NULL},
				       {MHD_OPTION_END, 0, NULL},
				       {MHD_OPTION_END, 0, NULL},
				       {MHD_OPTION_END, 0, NULL}};

	if (h->tls) {
		const char *trust = httpd_tls_trust(h->tls);

		flags |= MHD_USE_TLS;
		tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)httpd_tls_certificate};
		tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)httpd_tls_priorities(h->tls)};
		if (trust) tls[2] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)trust};
	}
	h->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_access, h, MHD_OPTION_LISTEN_SOCKET, h->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		h->conf.max_connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)h->conf.idle_timeout_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADERS_MAX, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
		MHD_OPTION_URI_LOG_CALLBACK, on_request_line, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (!h->daemon) return err_set(e, ERR_IO, "HTTP server: libmicrohttpd did not start");
	return true;
}

struct httpd *httpd_start(const struct httpd_config *c, struct err *e)
{
	struct httpd *h = mem_zalloc(sizeof *h);
	struct str prefix = str_c(c->prefix);
	pthread_condattr_t attr;

	h->conf = *c;
	h->conf.address = h->conf.prefix = NULL; /* used here only */
	h->conf.tls = NULL;
	if (!h->conf.max_connections) h->conf.max_connections = 1024;
	if (h->conf.idle_timeout_s <= 0) h->conf.idle_timeout_s = 120;
	if (!h->conf.min_rate) h->conf.min_rate = 16384;
	if (h->conf.read_timeout_s <= 0) h->conf.read_timeout_s = 30;
	if (h->conf.write_timeout_s <= 0) h->conf.write_timeout_s = 30;
	while (prefix.n && prefix.p[prefix.n - 1] == '/') prefix.n--;
	h->prefix = mem_strndup(prefix.n ? prefix.p : "", prefix.n);
	h->watch_ep = h->watch_stop = -1;
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->change, &attr);
	pthread_condattr_destroy(&attr);
	h->todo = queue_new(h->conf.max_connections);
	h->listen_fd = -1;
	if (c->tls && !(h->tls = httpd_tls_new(c->tls, e))) {
		httpd_free(h);
		return NULL;
	}
	h->listen_fd = net_listen(c->address, c->port, e);
	if (h->listen_fd < 0 || !start_threads(h, e) || !start_daemon(h, e)) {
		httpd_free(h);
		return NULL;
	}
	h->port = net_port(h->listen_fd);
	return h;
}

uint16_t httpd_port(const struct httpd *h) { return h->port; }

/* With h->lock held: until *count is 0, or the time is over. */
static void wait_zero(struct httpd *h, const size_t *count, int64_t ns)
{
	int64_t end = clock_mono(&clock_real) + ns;
	struct timespec t = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};

	while (*count && pthread_cond_timedwait(&h->change, &h->lock, &t) != ETIMEDOUT) {}
}

static void break_streams(struct httpd *h)
{
	struct httpd_stream **v = NULL;
	size_t n = 0, cap = 0;

	pthread_mutex_lock(&h->lock);
	for (struct peer *p = h->peers; p; p = p->next) {
		if (!p->req || !p->req->stream) continue;
		MEM_GROW(v, n, cap);
		v[n++] = httpd_stream_ref(p->req->stream);
	}
	pthread_mutex_unlock(&h->lock);
	for (size_t i = 0; i < n; i++) {
		httpd_stream_break(v[i]);
		httpd_stream_unref(v[i]);
	}
	free(v);
}

void httpd_stop(struct httpd *h, int64_t drain_ns)
{
	if (!h) return;
	atomic_store(&h->stopping, true);
	/* Closed only when the library's threads are gone; shut down, it refuses from now on. */
	MHD_quiesce_daemon(h->daemon);
	shutdown(h->listen_fd, SHUT_RDWR);
	pthread_mutex_lock(&h->lock);
	wait_zero(h, &h->requests, drain_ns);
	h->refusing = true;
	for (struct peer *p = h->peers; p; p = p->next)
		if (p->req && p->req->state == REQ_RUNNING) atomic_store(&p->req->cancelled, true);
	pthread_mutex_unlock(&h->lock);
	break_streams(h);
	pthread_mutex_lock(&h->lock);
	while (h->running || h->streams || h->upgraded) pthread_cond_wait(&h->change, &h->lock);
	wait_zero(h, &h->answered, FLUSH_NS);
	pthread_mutex_unlock(&h->lock);
	httpd_free(h);
}
