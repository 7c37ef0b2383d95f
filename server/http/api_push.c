/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/api_push.h"

#include "common/codec.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdlib.h>

/* One push on its way; everything it points at dies with it. */
struct job {
	struct httpd_req *req;
	struct budget *budget;
	size_t reserved;
	struct arena arena;
	struct buf plain, expanded; /* after Content-Encoding, after snappy */
	struct push push;
	struct distributor_result result;
};

static void job_free(struct job *j)
{
	buf_free(&j->plain);
	buf_free(&j->expanded);
	arena_free(&j->arena);
	budget_give(j->budget, j->reserved);
	free(j);
}

/* Push errors end with a newline. */
static void answer(struct job *j, int status, struct str text)
{
	struct httpd_req *r = j->req;
	struct buf b = {0};
	if (status == 204) {
		job_free(j);
		httpd_reply(r, 204, NULL, NULL);
		return;
	}
	buf_str(&b, text);
	buf_ch(&b, '\n');
	job_free(j);
	httpd_reply_text(r, status, buf_view(&b));
	buf_free(&b);
}

static void fail(struct job *j, const struct err *e) { answer(j, err_info(e->code)->http_status, str_c(e->msg)); }

static bool reserve(struct job *j, size_t n, struct err *e)
{
	if (budget_take(j->budget, n)) {
		j->reserved += n;
		return true;
	}
	return err_set(e, ERR_UNAVAILABLE, "the push needs %zu bytes and %zu of the %zu for request bodies are in use; send smaller pushes, "
	               "retry later, or raise larch.memory_limit", n, budget_used(j->budget), j->budget->limit);
}

bool push_media_type(struct str header, char *buf, size_t cap, struct err *e)
{
	struct str type = header, rest = header;
	str_cut(&rest, ';', &type);
	type = str_trim(type);
	if (type.n == 0) return err_set(e, ERR_INVALID, "mime: no media type");
	if (str_chr(type, '/') <= 0 || type.n >= cap) return err_set(e, ERR_INVALID, "mime: unexpected content after media subtype");
	for (size_t i = 0; i < type.n; i++) buf[i] = (char)(type.p[i] >= 'A' && type.p[i] <= 'Z' ? type.p[i] + 32 : type.p[i]);
	buf[type.n] = 0;
	return true;
}

static bool check_size(const struct api_push *p, struct str body, struct err *e)
{
	if (body.n <= p->max_recv_bytes) return true;
	return err_set(e, ERR_TOO_LARGE, "message size too large than max (%zu vs %" PRIu64 ")", body.n, p->max_recv_bytes);
}

/* Undoes gzip or deflate; "snappy" and nothing leave the body as it is. */
static bool undo_encoding(struct job *j, const struct api_push *p, struct str *body, struct err *e)
{
	struct str enc = httpd_header(j->req, "Content-Encoding");
	enum codec c;
	if (enc.n == 0 || str_eqc(enc, "snappy")) return true;
	if (str_eqc(enc, "gzip")) c = CODEC_GZIP;
	else if (str_eqc(enc, "deflate")) c = CODEC_DEFLATE;
	else return err_set(e, ERR_INVALID, "Content-Encoding \"%.*s\" not supported", STR_ARG(enc));
	/* The size is not announced: what memory allows at most is reserved first, what was not needed is given back. */
	size_t room = j->budget->limit - budget_used(j->budget), max = room / 2 < p->max_expanded_bytes ? room / 2 : p->max_expanded_bytes;
	if (body->n > SIZE_MAX / 1100) max = 0;
	else if (max > body->n * 1100 + 1024) max = body->n * 1100 + 1024; /* deflate expands no more than 1032 times */
	if (!reserve(j, max, e)) return false;
	if (!codec_expand(c, *body, max, &j->plain, e)) return false;
	size_t spare = max > j->plain.cap ? max - j->plain.cap : 0;
	budget_give(j->budget, spare);
	j->reserved -= spare;
	*body = buf_view(&j->plain);
	return true;
}

static bool undo_snappy(struct job *j, const struct api_push *p, struct str *body, struct err *e)
{
	uint64_t n;
	if (!codec_expanded_size(CODEC_SNAPPY, *body, &n)) return err_set(e, ERR_INVALID, "snappy: corrupt input");
	if (n > p->max_expanded_bytes)
		return err_set(e, ERR_TOO_LARGE, "message size too large than max (%" PRIu64 " vs %" PRIu64 ")", n, p->max_expanded_bytes);
	if (!reserve(j, n, e)) return false;
	if (!codec_expand(CODEC_SNAPPY, *body, n, &j->expanded, e)) return err_set(e, ERR_INVALID, "snappy: corrupt input");
	*body = buf_view(&j->expanded);
	return true;
}

static bool decode_into(struct job *j, bool json, struct str body, size_t room, struct err *e)
{
	if (!reserve(j, room, e)) return false;
	arena_reset(&j->arena);
	j->arena.cap = room;
	if (json ? push_json_decode(&j->arena, body, &j->push, e) : push_decode(&j->arena, body, &j->push, e)) return true;
	budget_give(j->budget, room);
	j->reserved -= room;
	return false;
}

/* The arrays of a push take about its bytes again; of one made of tiny entries many times that (an empty entry is
 * two bytes on the wire), which is found out and tried with what is left of the budget. */
static bool decode(struct job *j, const struct api_push *p, bool json, struct str body, struct err *e)
{
	if (!json && !undo_snappy(j, p, &body, e)) return false;
	if (json && body.n == 0) return err_set(e, ERR_INVALID, "EOF");
	if (decode_into(j, json, body, body.n * 2 + 65536, e)) return true;
	if (e->code != ERR_TOO_LARGE) return false;
	size_t used = budget_used(j->budget), left = j->budget->limit > used ? j->budget->limit - used : 0;
	*e = ERR_INIT;
	return decode_into(j, json, body, left, e);
}

static void stored(void *ud, const struct err *e)
{
	struct job *j = ud;
	if (e) fail(j, e);
	else if (j->result.status) answer(j, j->result.status, j->result.text);
	else answer(j, 204, STR_NULL);
}

static void push_handler(struct httpd_req *r, void *ctx)
{
	struct api *api = ctx;
	struct err e = ERR_INIT;
	struct str tenant;
	char type[256];
	if (!api_tenant(api, r, &tenant)) return;
	struct job *j = mem_zalloc(sizeof *j);
	j->req = r;
	j->budget = api->push->bodies;
	arena_init(&j->arena, 0);
	struct str body = httpd_body(r);
	if (!ingest_ready(api->ingest, &e) || !check_size(api->push, body, &e) ||
	    !push_media_type(httpd_header(r, "Content-Type"), type, sizeof type, &e) ||
	    !undo_encoding(j, api->push, &body, &e) || !decode(j, api->push, strcmp(type, "application/json") == 0, body, &e)) {
		fail(j, &e);
		return;
	}
	distributor_check(api->push->distributor, api->limits(api->limits_ud, tenant), &j->arena, tenant, &j->push, &j->result);
	if (j->result.push.n == 0) answer(j, j->result.status ? j->result.status : 204, j->result.text);
	else ingest_submit(api->ingest, &j->result.push, stored, j);
}

/* The limit on the wire is a setting, checked from Content-Length; this one bounds the route whatever it says. */
#define PUSH_MAX_BODY (100u << 20)

static const struct httpd_route routes[] = {
	{"POST", "/loki/api/v1/push", push_handler, PUSH_MAX_BODY, "loki_api_v1_push"},
	{"POST", "/api/prom/push", push_handler, PUSH_MAX_BODY, "api_prom_push"},
};

const struct api_table api_push_table = API_TABLE(routes);
