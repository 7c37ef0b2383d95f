/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/api_push.h"

#include "common/log.h"
#include "server/http/shares.h"
#include "server/metrics.h"

#include <inttypes.h>
#include <stdlib.h>

/* One push on its way; everything it points at dies with it. */
struct job {
	struct httpd_req *req;
	const struct api *api;
	const struct push_protocol *protocol;
	struct budget_share *share; /* held */
	size_t reserved;
	struct arena arena;
	struct buf plain, expanded; /* after Content-Encoding, after snappy */
	struct push push;
	const struct limits *limits; /* held */
	struct distributor_result result;
};

static struct job *job_new(struct httpd_req *r, const struct api *api, struct str tenant, const struct push_protocol *p)
{
	struct job *j = mem_zalloc(sizeof *j);
	j->req = r;
	j->api = api;
	j->protocol = p;
	j->share = shares_get(api->shares, tenant);
	j->limits = overrides_get(api->overrides, tenant);
	arena_init(&j->arena, 0);
	return j;
}

static void job_free(struct job *j)
{
	buf_free(&j->plain);
	buf_free(&j->expanded);
	arena_free(&j->arena);
	budget_share_give(j->share, j->reserved);
	shares_put(j->api->shares, j->share);
	overrides_put(j->limits);
	free(j);
}

static void answer(struct job *j, int status, struct str text)
{
	struct httpd_req *r = j->req;
	const struct push_protocol *p = j->protocol;
	struct buf own = {0}; /* text may be the job's */
	buf_str(&own, text);
	job_free(j);
	if (status == 204)
		httpd_reply(r, 204, NULL, NULL);
	else
		p->refuse(r, status, buf_view(&own));
	buf_free(&own);
}

static void fail(struct job *j, const struct err *e) { answer(j, err_info(e->code)->http_status, str_c(e->msg)); }

static bool reserve(struct job *j, size_t n, struct err *e)
{
	struct budget *all = j->share->of;
	if (budget_share_take(j->share, n)) {
		j->reserved += n;
		return true;
	}
	return err_set(e, ERR_UNAVAILABLE,
		       "the push needs %zu bytes and %zu of the %zu for request bodies are in use; send smaller "
		       "pushes, retry later, or raise larch.memory_limit",
		       n, budget_used(all), all->limit);
}

static void give_back(struct job *j, size_t n)
{
	budget_share_give(j->share, n);
	j->reserved -= n;
}

/* ---- the body ---- */

static const struct push_coding *find_coding(const struct push_protocol *p, struct str name)
{
	for (const struct push_coding *c = p->codings; c->name; c++)
		if (str_eqc(name, c->name)) return c;
	return NULL;
}

/* What the body may expand to: not announced, so that what memory allows at most is reserved first, and what was not
 * needed given back. */
static size_t expanded_max(const struct job *j, const struct push_coding *c, size_t n)
{
	size_t max = budget_share_room(j->share) / 2;
	size_t bound = c->ratio && n < (SIZE_MAX - 1024) / c->ratio ? n * c->ratio + 1024 : SIZE_MAX;
	if (max > j->api->push->max_expanded_bytes) max = j->api->push->max_expanded_bytes;
	return max < bound ? max : bound;
}

/* A limit that is a setting is final; memory that others use now will be free again. */
static bool expands_too_far(const struct job *j, size_t max, struct err *e)
{
	if (max == j->api->push->max_expanded_bytes)
		return err_set(e, ERR_TOO_LARGE,
			       "the body expands to more than %zu bytes: distributor.max_decompressed_size", max);
	return err_set(
		e, ERR_UNAVAILABLE,
		"the body expands to more than the %zu bytes that are free for it now; send smaller pushes, retry "
		"later, or raise larch.memory_limit",
		max);
}

static bool undo_encoding(struct job *j, struct str *body, struct err *e)
{
	struct str name = httpd_header(j->req, "Content-Encoding");
	if (name.n == 0) return true;
	const struct push_coding *c = find_coding(j->protocol, name);
	if (!c) return err_set(e, ERR_INVALID, "Content-Encoding \"%.*s\" not supported", STR_ARG(name));
	if (c->codec == CODEC_NONE) return true;
	size_t max = expanded_max(j, c, body->n);
	if (!reserve(j, max, e)) return false;
	if (!codec_expand(c->codec, *body, max, &j->plain, e))
		return e->code == ERR_TOO_LARGE ? expands_too_far(j, max, e) : false;
	if (max > j->plain.cap) give_back(j, max - j->plain.cap);
	*body = buf_view(&j->plain);
	return true;
}

static bool undo_snappy(struct job *j, struct str *body, struct err *e)
{
	uint64_t n, max = j->api->push->max_expanded_bytes;
	if (!codec_expanded_size(CODEC_SNAPPY, *body, &n)) return err_set(e, ERR_INVALID, "snappy: corrupt input");
	if (n > max)
		return err_set(e, ERR_TOO_LARGE,
			       "message size too large than max (%" PRIu64 " vs %" PRIu64
			       "): distributor.max_decompressed_size",
			       n, max);
	if (!reserve(j, n, e)) return false;
	if (!codec_expand(CODEC_SNAPPY, *body, n, &j->expanded, e))
		return err_set(e, ERR_INVALID, "snappy: corrupt input");
	*body = buf_view(&j->expanded);
	return true;
}

static bool decode_into(struct job *j, push_decode_fn *decode, struct str body, size_t room, struct err *e)
{
	if (!reserve(j, room, e)) return false;
	arena_reset(&j->arena);
	j->arena.cap = room;
	if (decode(j->api, j->limits, &j->arena, body, &j->push, e)) return true;
	give_back(j, room);
	return false;
}

/* The arrays of a push take about its bytes again; of one made of tiny entries many times that (an empty entry is
 * two bytes on the wire), which is found out and tried with what is left of the budget. */
static bool decode_body(struct job *j, struct str body, struct err *e)
{
	bool snappy = false;
	push_decode_fn *decode = j->protocol->decoder(httpd_header(j->req, "Content-Type"), &snappy, e);
	if (!decode || !undo_encoding(j, &body, e) || (snappy && !undo_snappy(j, &body, e))) return false;
	if (decode_into(j, decode, body, body.n * 2 + 65536, e)) return true;
	if (e->code != ERR_TOO_LARGE) return false;
	size_t left = budget_share_room(j->share);
	bool alone = budget_used(j->share->of) <=
		     j->reserved + httpd_body(j->req).n; /* whose bytes the HTTP server has reserved */
	*e = ERR_INIT;
	if (decode_into(j, decode, body, left, e)) return true;
	if (e->code != ERR_TOO_LARGE || alone) return false;
	/* It may fit when the others are done: senders drop what gets 413. */
	return err_set(
		e, ERR_UNAVAILABLE,
		"the push's entries need more than the %zu bytes that are free for request bodies now; send smaller "
		"pushes, retry later, or raise larch.memory_limit",
		left);
}

/* What was reserved to be safe and is not needed while the push waits to be durable. */
static void settle(struct job *j)
{
	size_t held = j->plain.cap + j->expanded.cap + 2 * j->arena.used; /* blocks of an arena double */
	if (j->reserved > held) give_back(j, j->reserved - held);
}

/* ---- the whole ---- */

static void stored(void *ud, const struct err *e)
{
	struct job *j = ud;
	if (e) {
		if (j->api->metrics) metrics_inc(j->api->metrics, METRIC_APPEND_FAILURES, 1);
		fail(j, e);
	} else if (j->result.status) {
		answer(j, j->result.status, j->result.text);
	} else {
		answer(j, 204, STR_NULL);
	}
}

void push_handle(struct httpd_req *r, const struct api *api, const struct push_protocol *p)
{
	struct err e = ERR_INIT;
	struct str tenant;
	if (!api_tenant(api, r, &tenant)) return;
	struct job *j = job_new(r, api, tenant, p);
	if (!ingest_ready(api->ingest, &e) || !decode_body(j, httpd_body(r), &e)) {
		fail(j, &e);
		return;
	}
	distributor_check(api->push->distributor, j->limits, &j->arena, tenant, &j->push, &j->result);
	settle(j);
	if (j->result.push.n == 0)
		answer(j, j->result.status ? j->result.status : 204, j->result.text);
	else
		ingest_submit(api->ingest, &j->result.push, stored, j);
}

/* ---- Loki's own protocol ---- */

bool push_media_type(struct str header, char *buf, size_t cap, struct err *e)
{
	struct str type = header, rest = header;
	str_cut(&rest, ';', &type);
	type = str_trim(type);
	if (type.n == 0) return err_set(e, ERR_INVALID, "mime: no media type");
	if (str_chr(type, '/') <= 0 || type.n >= cap)
		return err_set(e, ERR_INVALID, "mime: unexpected content after media subtype");
	for (size_t i = 0; i < type.n; i++)
		buf[i] = (char)(type.p[i] >= 'A' && type.p[i] <= 'Z' ? type.p[i] + 32 : type.p[i]);
	buf[type.n] = 0;
	return true;
}

static bool decode_proto(const struct api *api, const struct limits *l, struct arena *a, struct str body,
			 struct push *out, struct err *e)
{
	(void)api, (void)l;
	return push_decode(a, body, out, e);
}

static bool decode_json(const struct api *api, const struct limits *l, struct arena *a, struct str body,
			struct push *out, struct err *e)
{
	(void)api, (void)l;
	return push_json_decode(a, body, out, e);
}

static push_decode_fn *decoder(struct str content_type, bool *snappy, struct err *e)
{
	char type[256];
	if (!push_media_type(content_type, type, sizeof type, e)) return NULL;
	*snappy = strcmp(type, "application/json") != 0;
	return *snappy ? decode_proto : decode_json;
}

/* Push errors end with a newline. */
static void refuse(struct httpd_req *r, int status, struct str text)
{
	struct buf b = {0};
	buf_str(&b, text);
	buf_ch(&b, '\n');
	httpd_reply_text(r, status, buf_view(&b));
	buf_free(&b);
}

static const struct push_coding codings[] = {
	{"snappy", CODEC_NONE, 0}, {"gzip", CODEC_GZIP, 1100}, {"deflate", CODEC_DEFLATE, 1100}, {0}};
static const struct push_protocol protocol = {codings, decoder, refuse};

static void push_handler(struct httpd_req *r, void *ctx) { push_handle(r, ctx, &protocol); }

static const struct httpd_route routes[] = {
	{"POST", "/loki/api/v1/push", push_handler, PUSH_MAX_BODY, "loki_api_v1_push", PUSH_MAX_BODY_KEY},
	{"POST", "/api/prom/push", push_handler, PUSH_MAX_BODY, "api_prom_push", PUSH_MAX_BODY_KEY},
};

const struct api_table api_push_table = API_TABLE_FOR(routes, AUTH_PUSH);
