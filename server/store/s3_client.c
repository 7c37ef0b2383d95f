/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/s3_client.h"

#include "common/digest.h"
#include "common/log.h"
#include "common/units.h"
#include "common/url.h"
#include "common/version.h"
#include "server/store/s3_creds.h"
#include "server/store/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEEP_CONNECTIONS 16
#define SLOWEST          65536            /* bytes a second that an attempt is given time for */
#define ERROR_MAX        (64u << 10)      /* bytes of an error's XML */
#define WAIT_MAX         (30 * UNITS_SEC) /* that a server may ask for with Retry-After */
#define HEADERS          16

struct s3_client {
	struct s3_config c;
	char *base, *sigv4; /* URL of the bucket without a slash behind */
	struct s3_creds *creds;
	struct httpc_pool *http;
};

enum verdict { DONE, FINAL, AGAIN, RENEW };

/* What S3's error codes mean to us. */
static const struct code {
	const char *code;
	enum verdict verdict;
	enum err_code err;
	const char *hint;
} codes[] = {
	{"NoSuchKey", FINAL, ERR_NOT_FOUND, NULL},
	{"PreconditionFailed", FINAL, ERR_EXISTS, NULL},
	{"NoSuchBucket", FINAL, ERR_IO, "create the bucket, or correct bucketnames"},
	{"InvalidBucketName", FINAL, ERR_IO, "correct bucketnames"},
	{"AccessDenied", FINAL, ERR_IO,
	 "the key needs s3:ListBucket on the bucket and s3:GetObject, s3:PutObject, s3:DeleteObject, "
	 "s3:AbortMultipartUpload on its objects"},
	{"InvalidAccessKeyId", FINAL, ERR_IO, "the server does not know this access_key_id"},
	{"SignatureDoesNotMatch", FINAL, ERR_IO, "secret_access_key does not belong to access_key_id"},
	{"RequestTimeTooSkewed", FINAL, ERR_IO, "this machine's clock is wrong; set it (NTP)"},
	{"AuthorizationHeaderMalformed", FINAL, ERR_IO, "the region is probably another one"},
	{"PermanentRedirect", FINAL, ERR_IO, "the bucket is in another region; set region and endpoint"},
	{"TemporaryRedirect", FINAL, ERR_IO, "the bucket is in another region; set region and endpoint"},
	{"IllegalLocationConstraintException", FINAL, ERR_IO, "the bucket is in another region; set region"},
	{"QuotaExceeded", FINAL, ERR_IO, "the bucket's quota is used up"},
	{"ExpiredToken", RENEW, ERR_IO, "the session_token has expired"},
	{"InvalidToken", RENEW, ERR_IO, "the session_token is not valid"},
	{"SlowDown", AGAIN, ERR_IO, NULL},
	{"InternalError", AGAIN, ERR_IO, NULL},
	{"ServiceUnavailable", AGAIN, ERR_IO, NULL},
	{"RequestTimeout", AGAIN, ERR_IO, NULL},
	{"ConditionalRequestConflict", AGAIN, ERR_IO, NULL},
	{"OperationAborted", AGAIN, ERR_IO, NULL},
	{"IncompleteBody", AGAIN, ERR_IO, NULL},
	{"BadDigest", AGAIN, ERR_IO, "the body was changed on its way"},
	{"XAmzContentSHA256Mismatch", AGAIN, ERR_IO, "the body was changed on its way"},
};

void s3_full_key(const struct s3_client *c, struct str key, struct buf *out)
{
	if (c->c.prefix) buf_c(out, c->c.prefix);
	buf_str(out, key);
}

/* ---- one attempt ---- */

static void put_path(struct buf *b, struct str path)
{
	struct str part;
	for (bool more = true; more;) {
		more = str_cut(&path, '/', &part);
		buf_ch(b, '/');
		url_encode(b, part, false);
	}
}

static void make_url(const struct s3_client *c, const struct s3_request *r, struct buf *b)
{
	struct buf key = {0};
	if (r->key.p) s3_full_key(c, r->key, &key);
	buf_c(b, c->base);
	put_path(b, buf_view(&key));
	if (r->query) buf_printf(b, "?%s", r->query);
	buf_cstr(b);
	buf_free(&key);
}

/* What stays the same from attempt to attempt. */
struct exchange {
	struct s3_client *c;
	const struct s3_request *r;
	struct s3_response *res;
	struct buf url;
	char sha256[80 + DIGEST_SHA256 * 2];
	struct err *e;
};

static void content_header(struct exchange *x)
{
	const char *name = "x-amz-content-sha256: ";
	unsigned char sum[DIGEST_SHA256];
	size_t at = strlen(name);
	memcpy(x->sha256, name, at);
	if (x->r->sha256) {
		strncat(x->sha256, x->r->sha256, DIGEST_SHA256 * 2);
		return;
	}
	digest_sha256(x->r->body, sum);
	for (size_t i = 0; i < DIGEST_SHA256; i++, at += 2) sprintf(x->sha256 + at, "%02x", sum[i]);
}

static bool send_once(struct exchange *x, const struct s3_key *key)
{
	const struct s3_config *c = &x->c->c;
	const struct s3_request *r = x->r;
	const char *headers[HEADERS];
	struct buf token = {0};
	size_t n = 0;
	headers[n++] = x->sha256;
	if (r->body.p || r->body_at) headers[n++] = "Content-Type: application/octet-stream";
	if (key->token) {
		buf_printf(&token, "x-amz-security-token: %s", key->token);
		headers[n++] = buf_cstr(&token);
	}
	for (const char *const *h = r->headers; h && *h && n < HEADERS - 1; h++) headers[n++] = *h;
	headers[n] = NULL;
	uint64_t bytes = r->body.n + r->body_size + r->max_body;
	struct httpc_opts o = {
		.method = r->method,
		.url = x->url.p,
		.body = r->body,
		.body_at = r->body_at,
		.body_ud = r->body_ud,
		.body_size = r->body_size,
		.headers = headers,
		.user = key->id,
		.password = key->secret,
		.sigv4 = x->c->sigv4,
		.ca_file = c->ca_file,
		.insecure_skip_verify = c->insecure_skip_verify,
		.no_follow_redirects = true,
		.timeout_ns = c->timeout_ns ? c->timeout_ns : (int64_t)(30 + bytes / SLOWEST) * UNITS_SEC,
		.connect_timeout_ns = c->connect_timeout_ns ? c->connect_timeout_ns : 10 * UNITS_SEC,
		.stall_timeout_ns = c->stall_timeout_ns ? c->stall_timeout_ns : 30 * UNITS_SEC,
		.idle_timeout_ns = c->idle_timeout_ns ? c->idle_timeout_ns : 90 * UNITS_SEC,
		.max_body = r->max_body > ERROR_MAX ? r->max_body : ERROR_MAX,
		.user_agent = "larch/" LARCH_VERSION,
		.want = {[S3_WANT_ETAG] = "ETag", [S3_WANT_RANGE] = "Content-Range"},
	};
	bool ok = httpc_pool_do(x->c->http, &o, &x->res->http, x->e);
	if (c->observe) c->observe(c->observe_ud, r->op, ok ? x->res->http.status : 0, x->res->http.elapsed_ns);
	buf_free(&token);
	return ok;
}

/* ---- what an answer means ---- */

struct s3_error {
	struct str code, message, region;
};

static bool read_error(struct str body, struct arena *a, struct s3_error *out)
{
	struct err ignored = ERR_INIT;
	struct str root;
	*out = (struct s3_error){0};
	const struct s3_xml_field fields[] = {
		{"Code", &out->code}, {"Message", &out->message}, {"Region", &out->region}};
	return s3_xml_read(body, &(struct s3_xml){fields, 3, NULL, NULL, NULL}, a, &root, &ignored) &&
	       str_eqc(root, "Error");
}

static enum verdict by_status(int status)
{
	return status == 429 || status == 408 || (status >= 500 && status != 501) ? AGAIN : FINAL;
}

static enum verdict describe_error(struct exchange *x, const struct s3_error *said)
{
	int status = x->res->http.status;
	struct code unknown = {NULL, by_status(status), ERR_IO, NULL};
	const struct code *found = &unknown;
	struct buf text = {0};
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		if (str_eqc(said->code, codes[i].code)) found = &codes[i];
	}
	/* Some servers send no code with this one. */
	if (status == 412) unknown.err = ERR_EXISTS;
	buf_printf(&text, "HTTP %d", status);
	if (said->code.n) buf_printf(&text, " %.*s", STR_ARG(said->code));
	if (said->message.n && said->message.n < 500) buf_printf(&text, " (%.*s)", STR_ARG(said->message));
	if (said->region.n && said->region.n < 64)
		buf_printf(&text, ": set region: %.*s", STR_ARG(said->region));
	else if (found->hint)
		buf_printf(&text, ": %s", found->hint);
	err_set(x->e, found->err, "%s", buf_cstr(&text));
	buf_free(&text);
	strncat(x->res->code, said->code.p ? said->code.p : "", sizeof x->res->code - 1);
	return found->verdict;
}

static enum verdict judge(struct exchange *x)
{
	const struct httpc_result *res = &x->res->http;
	enum verdict v = DONE;
	struct s3_error said;
	struct arena a;
	arena_init(&a, 0);
	bool good = res->status >= 200 && res->status < 300;
	x->res->code[0] = 0;
	if (!good || x->r->error_in_200) {
		bool error = read_error(buf_view(&res->body), &a, &said);
		if (error || !good) v = describe_error(x, &said);
	}
	if (v == DONE && x->r->accept && !x->r->accept(x->r->accept_ud, res, x->e)) v = AGAIN;
	arena_free(&a);
	return v;
}

/* May an attempt that ended so have been carried out all the same? */
static bool is_unsure(const struct exchange *x, bool answered)
{
	return !answered || x->res->http.status >= 500 || x->res->http.status < 300;
}

static enum verdict attempt(struct exchange *x)
{
	buf_free(&x->res->http.body);
	*x->e = ERR_INIT;
	struct s3_key *key = s3_creds_get(x->c->creds, x->e);
	if (!key) return FINAL;
	bool answered = send_once(x, key);
	enum verdict v = answered ? judge(x) : x->e->code == ERR_IO || x->e->code == ERR_TIMEOUT ? AGAIN : FINAL;
	if (v == AGAIN && is_unsure(x, answered)) x->res->unsure = true;
	if (v == RENEW) s3_creds_reject(x->c->creds, key);
	s3_key_unref(key);
	return v;
}

/* ---- tries ---- */

/* Half of it fixed, half random, so that servers that failed together do not come back together. */
static void pause_before(struct exchange *x, unsigned tries)
{
	const struct s3_config *c = &x->c->c;
	int64_t longest = c->backoff_max_ns ? c->backoff_max_ns : 3 * UNITS_SEC;
	int64_t ns = c->backoff_min_ns ? c->backoff_min_ns : 100 * UNITS_MS;
	for (unsigned i = 1; i < tries && ns < longest; i++) ns *= 2;
	if (ns > longest) ns = longest;
	ns = ns / 2 + (int64_t)(clock_rnd(c->clock) % (uint64_t)(ns / 2 + 1));
	int64_t asked = x->res->http.ok && x->res->http.retry_after_s > 0 ? x->res->http.retry_after_s * UNITS_SEC : 0;
	if (asked > WAIT_MAX) asked = WAIT_MAX;
	if (ns < asked) ns = asked;
	nanosleep(&(struct timespec){ns / UNITS_SEC, ns % UNITS_SEC}, NULL);
}

bool s3_do(struct s3_client *c, const struct s3_request *r, struct s3_response *res, struct err *e)
{
	struct exchange x = {.c = c, .r = r, .res = res, .e = e};
	unsigned tries = 1, most = c->c.max_tries ? c->c.max_tries : 5;
	enum verdict v;
	*res = (struct s3_response){0};
	make_url(c, r, &x.url);
	content_header(&x);
	for (; (v = attempt(&x)) >= AGAIN && tries < most; tries++) {
		log_debug("S3 request is tried again", kv_c("op", r->op), kv_i("try", tries), kv_err(e));
		pause_before(&x, tries);
	}
	if (v != DONE) {
		if (tries > 1) err_wrap(e, "%u tries", tries);
		if (r->key.p)
			err_wrap(e, "S3 bucket %s, %s %s%.*s", c->c.bucket, r->op, c->c.prefix ? c->c.prefix : "",
				 STR_ARG(r->key));
		else
			err_wrap(e, "S3 bucket %s, %s", c->c.bucket, r->op);
	}
	buf_free(&x.url);
	return v == DONE;
}

/* ---- clients ---- */

/* No name ends in a label of digits. */
static bool is_address(struct str host)
{
	struct str name;
	uint64_t ignored;
	if (host.n && host.p[0] == '[') return true;
	str_cut(&host, ':', &name);
	return str_to_u64(str_from(name, (size_t)(str_rchr(name, '.') + 1)), &ignored);
}

/* A bucket's name may stand in front of the host, unless the host is an address, or TLS's wildcards would not cover
 * the dots in the name. */
static bool in_host(const struct s3_config *c, struct str scheme, struct str host)
{
	return !c->path_style && !is_address(host) && !(str_eqc(scheme, "https") && strchr(c->bucket, '.'));
}

static void make_base(const struct s3_config *c, struct buf *b)
{
	struct buf own = {0};
	bool china = str_starts(str_c(c->region), STR("cn-"));
	if (c->endpoint)
		buf_c(&own, c->endpoint);
	else
		buf_printf(&own, "https://s3.%s.amazonaws.com%s", c->region, china ? ".cn" : "");
	struct str rest = buf_view(&own), scheme, host;
	while (rest.n && rest.p[rest.n - 1] == '/') rest.n--;
	ssize_t cut = str_find(rest, STR("://"));
	scheme = str_sub(rest, 0, cut > 0 ? (size_t)cut : 0);
	rest = str_from(rest, cut > 0 ? (size_t)cut + 3 : 0);
	str_cut(&rest, '/', &host);
	buf_printf(b, "%.*s://", STR_ARG(scheme));
	bool virtual_host = in_host(c, scheme, host);
	if (virtual_host) buf_printf(b, "%s.", c->bucket);
	buf_str(b, host);
	if (rest.n) buf_printf(b, "/%.*s", STR_ARG(rest));
	if (!virtual_host) buf_printf(b, "/%s", c->bucket);
	buf_cstr(b);
	buf_free(&own);
}

struct s3_client *s3_client_new(const struct s3_config *config)
{
	struct s3_client *c = mem_zalloc(sizeof *c);
	struct buf base = {0}, sigv4 = {0};
	c->c = *config;
	make_base(config, &base);
	c->base = base.p;
	buf_printf(&sigv4, "aws:amz:%s:s3", config->region);
	buf_cstr(&sigv4);
	c->sigv4 = sigv4.p;
	c->http = httpc_pool_new(KEEP_CONNECTIONS);
	c->creds = s3_creds_new(&(struct s3_creds_config){.id = config->access_key_id,
							  .secret = config->secret_access_key,
							  .token = config->session_token,
							  .region = config->region,
							  .env = config->env,
							  .clock = config->clock});
	return c;
}

void s3_client_free(struct s3_client *c)
{
	if (!c) return;
	s3_creds_free(c->creds);
	httpc_pool_free(c->http);
	free(c->base);
	free(c->sigv4);
	free(c);
}
