/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/client.h"

#include "common/fs.h"
#include "common/units.h"
#include "common/url.h"
#include "common/version.h"
#include "common/ws.h"

#include <time.h>

#define PUSH_TRIES  6
#define FIRST_PAUSE (500 * UNITS_MS) /* doubled from try to try */
#define HEADERS_MAX 10
#define SECRET_MAX  4096 /* bytes */

void client_arg(struct buf *query, const char *name, struct str value)
{
	buf_ch(query, query->n ? '&' : '?');
	url_encode(query, str_c(name), false);
	buf_ch(query, '=');
	url_encode(query, value, false);
}

void client_arg_i64(struct buf *query, const char *name, int64_t value)
{
	struct buf text = {0};

	buf_i64(&text, value);
	client_arg(query, name, buf_view(&text));
	buf_free(&text);
}

struct request {
	struct buf url, tenant, secret;
	const char *headers[HEADERS_MAX];
	struct httpc_opts opts;
};

/* Without a user's name the secret is a bearer's. */
static bool credentials(struct request *q, const struct cli *c, struct err *e)
{
	const struct options *o = &c->o;

	q->opts.ca_file = o->ca_file;
	q->opts.cert_file = o->cert_file;
	q->opts.key_file = o->key_file;
	if (!o->secret) return true;
	if (o->secret[0] == '@' && !fs_read_file(&fs_real, o->secret + 1, SECRET_MAX, &q->secret, e))
		return err_wrap(e, "--secret");
	if (o->secret[0] != '@') buf_c(&q->secret, o->secret);
	while (q->secret.n && strchr("\r\n ", q->secret.p[q->secret.n - 1])) q->secret.n--;
	q->opts.user = o->user;
	*(o->user ? &q->opts.password : &q->opts.bearer) = buf_cstr(&q->secret);
	return true;
}

static bool request_init(struct request *q, struct cli *c, const char *path, struct str query, const char *content_type,
			 struct err *e)
{
	struct str server = str_c(c->o.server);
	size_t n = 0;

	*q = (struct request){0};
	while (server.n && server.p[server.n - 1] == '/') server.n--;
	if (str_find(server, STR("://")) < 0) buf_c(&q->url, "http://");
	buf_str(&q->url, server);
	buf_c(&q->url, path);
	buf_str(&q->url, query);
	if (c->o.tenant) {
		buf_printf(&q->tenant, "X-Scope-OrgID: %s", c->o.tenant);
		q->headers[n++] = buf_cstr(&q->tenant);
	}
	if (content_type) q->headers[n++] = content_type;
	q->headers[n++] = "X-Query-Tags: Source=larchctl";
	q->headers[n++] = "X-Larch-Extensions: on";
	q->opts = (struct httpc_opts){.url = buf_cstr(&q->url),
				      .headers = q->headers,
				      .timeout_ns = c->o.timeout_ns,
				      .max_body = CLIENT_ANSWER_MAX,
				      .compressed = true,
				      .user_agent = "larchctl/" LARCH_VERSION};
	return credentials(q, c, e);
}

static void request_fini(struct request *q)
{
	buf_free(&q->url);
	buf_free(&q->tenant);
	buf_free(&q->secret);
}

/* True when the answer is 2xx; else *e has the server's text. */
static bool accepted(const struct request *q, const struct httpc_result *res, struct err *e)
{
	struct str text = str_trim(buf_view(&res->body));
	struct buf url = {0};

	if (res->status / 100 == 2) return true;
	httpc_show_url(&url, q->opts.url);
	err_set(e, ERR_UNPROCESSABLE, "%s answered %d: %.*s", buf_cstr(&url), res->status, STR_ARG(text));
	buf_free(&url);
	return false;
}

static bool ask(struct cli *c, const char *method, const char *path, struct str query, struct buf *answer,
		struct err *e)
{
	struct httpc_result res = {0};
	struct request q;
	bool ok;

	bool made = request_init(&q, c, path, query, NULL, e);
	q.opts.method = method;
	ok = made && httpc_do(&q.opts, &res, e) && accepted(&q, &res, e);
	if (ok) {
		buf_free(answer);
		*answer = res.body;
		res.body = (struct buf){0};
	}
	buf_free(&res.body);
	request_fini(&q);
	return ok;
}

bool client_stream(struct cli *c, const char *path, struct str query, bool (*take)(void *ud, struct str bytes),
		   void *ud, struct err *e)
{
	struct httpc_result res = {0};
	struct request q;
	bool ok = request_init(&q, c, path, query, NULL, e);

	q.opts.connect_timeout_ns = c->o.timeout_ns;
	q.opts.timeout_ns = INT64_MAX; /* how long it takes nobody knows */
	q.opts.take = take;
	q.opts.take_ud = ud;
	ok = ok && httpc_do(&q.opts, &res, e) && accepted(&q, &res, e);
	buf_free(&res.body);
	request_fini(&q);
	return ok;
}

bool client_send(struct cli *c, const char *method, const char *path, struct str query, const char *want,
		 struct buf *value, struct err *e)
{
	struct httpc_result res = {0};
	struct request q;
	bool ok = request_init(&q, c, path, query, NULL, e);

	q.opts.method = method;
	q.opts.want[0] = want;
	ok = ok && httpc_do(&q.opts, &res, e) && accepted(&q, &res, e);
	if (ok && want) buf_c(value, res.got[0]);
	buf_free(&res.body);
	request_fini(&q);
	return ok;
}

bool client_get(struct cli *c, const char *path, struct str query, struct buf *answer, struct err *e)
{
	return ask(c, "GET", path, query, answer, e);
}

bool client_post(struct cli *c, const char *path, struct buf *answer, struct err *e)
{
	return ask(c, "POST", path, STR(""), answer, e);
}

struct httpc_conn *client_websocket(struct cli *c, const char *path, struct str query, struct err *e)
{
	char key[WS_ACCEPT], want[WS_ACCEPT];
	struct buf line = {0};
	struct httpc_result res = {0};
	struct httpc_conn *conn = NULL;
	struct request q;
	size_t n = 0;

	if (request_init(&q, c, path, query, NULL, e)) {
		ws_key(c->clock, key);
		ws_accept(str_c(key), want);
		buf_printf(&line, "Sec-WebSocket-Key: %s", key);
		while (q.headers[n]) n++;
		q.headers[n++] = "Connection: Upgrade";
		q.headers[n++] = "Upgrade: websocket";
		q.headers[n++] = "Sec-WebSocket-Version: 13";
		q.headers[n++] = buf_cstr(&line);
		q.opts.want[0] = "Sec-WebSocket-Accept";
		conn = httpc_upgrade(&q.opts, &res, e);
		if (!conn && res.ok && accepted(&q, &res, e))
			err_set(e, ERR_UNPROCESSABLE, "%s: the server does not speak WebSocket here", path);
		if (conn && strcmp(res.got[0], want) != 0) {
			err_set(e, ERR_UNPROCESSABLE, "%s: the server's Sec-WebSocket-Accept is wrong", path);
			httpc_conn_close(conn);
			conn = NULL;
		}
	}
	buf_free(&res.body);
	buf_free(&line);
	request_fini(&q);
	return conn;
}

static bool worth_another_try(const struct httpc_result *res)
{
	if (!res->ok) return res->err.code == ERR_IO || res->err.code == ERR_TIMEOUT;
	return res->status == 429 || res->status / 100 == 5;
}

static void pause_ns(int64_t ns)
{
	struct timespec t = {.tv_sec = ns / UNITS_SEC, .tv_nsec = ns % UNITS_SEC};

	nanosleep(&t, NULL);
}

bool client_push(struct cli *c, const char *content_type, struct str body, struct err *e)
{
	int64_t wait = FIRST_PAUSE;
	struct request q;
	bool ok = request_init(&q, c, "/loki/api/v1/push", STR(""), content_type, e);

	q.opts.body = body;
	for (int try = 1, usable = ok; usable; try++) {
		struct httpc_result res;
		bool again;

		ok = httpc_do(&q.opts, &res, e) && accepted(&q, &res, e);
		again = !ok && try < PUSH_TRIES && worth_another_try(&res);
		buf_free(&res.body);
		if (!again) break;
		cli_note(c, "%s; trying again in %.2g s", e->msg, (double)wait / 1e9);
		pause_ns(wait);
		wait *= 2;
	}
	request_fini(&q);
	return ok;
}
