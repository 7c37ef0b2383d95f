/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Uploads of object_s3: collected, hashed, sent whole or in parts, and read back where an answer was lost. */
#include "server/store/object_s3_impl.h"

#include "common/digest.h"
#include "common/log.h"
#include "common/url.h"
#include "server/store/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SPOOL_FROM (1u << 20)           /* bytes kept in memory */
#define PART       (UINT64_C(16) << 20) /* bytes of a part, unless there would be too many */
#define PARTS_MAX  10000
#define PIECE      (256u << 10) /* bytes hashed or compared at a time */
#define HEX        (DIGEST_SHA256 * 2 + 1)

struct object_upload {
	struct object_s3 *s;
	char *name;
	struct buf tail;  /* the last bytes, from `spooled` on */
	int fd;           /* -1: all is in tail */
	uint64_t spooled; /* bytes in the file */
};

/* ---- collecting ---- */

struct object_upload *object_s3_begin(struct object_store *base, struct str name, struct err *e)
{
	struct object_upload *u = mem_zalloc(sizeof *u);
	(void)e;
	*u = (struct object_upload){.s = (struct object_s3 *)base, .name = mem_strndup(name.p, name.n), .fd = -1};
	return u;
}

/* Without a name, the file goes with the process. */
static bool open_spool(struct object_upload *u, struct err *e)
{
	struct object_s3 *s = u->s;
	struct fs *fs = s->c.fs;
	struct buf path = {0};
	buf_printf(&path, "%s/upload-%d-%llu", s->spool_dir, (int)getpid(),
		   (unsigned long long)atomic_fetch_add(&s->uploads, 1));
	u->fd = fs_open(fs, buf_cstr(&path), O_RDWR | O_CREAT | O_TRUNC, 0640, e);
	bool ok = u->fd >= 0 && fs_unlink(fs, path.p, e);
	buf_free(&path);
	return ok;
}

bool object_s3_append(struct object_upload *u, struct str piece, struct err *e)
{
	buf_str(&u->tail, piece);
	if (u->tail.n <= SPOOL_FROM) return true;
	bool ok = (u->fd >= 0 || open_spool(u, e)) && fs_write(u->s->c.fs, u->fd, u->tail.p, u->tail.n, e);
	if (!ok) return err_wrap(e, "upload of %s", u->name);
	u->spooled += u->tail.n;
	buf_clear(&u->tail);
	return true;
}

void object_s3_abort(struct object_upload *u)
{
	if (u->fd >= 0) fs_close(u->s->c.fs, u->fd);
	buf_free(&u->tail);
	free(u->name);
	free(u);
}

static uint64_t size_of(const struct object_upload *u) { return u->spooled + u->tail.n; }

/* Up to n bytes from off on; -1: the file cannot be read. */
static ssize_t read_at(struct object_upload *u, uint64_t off, char *p, size_t n)
{
	if (off >= u->spooled) {
		size_t at = (size_t)(off - u->spooled), left = u->tail.n - at;
		if (n > left) n = left;
		memcpy(p, u->tail.p + at, n);
		return (ssize_t)n;
	}
	if (n > u->spooled - off) n = (size_t)(u->spooled - off);
	struct err e = ERR_INIT;
	if (fs_pread(u->s->c.fs, u->fd, p, n, (off_t)off, &e)) return (ssize_t)n;
	log_warn("cannot read what is to be uploaded", kv_c("object", u->name), kv_err(&e));
	return -1;
}

/* ---- a range of the upload as a request's body ---- */

struct body {
	struct object_upload *u;
	uint64_t off, n;
};

static ssize_t body_at(void *ud, uint64_t off, char *p, size_t n)
{
	struct body *b = ud;
	if (n > b->n - off) n = (size_t)(b->n - off);
	return n ? read_at(b->u, b->off + off, p, n) : 0;
}

static bool hash(struct body *b, char hex[HEX], struct err *e)
{
	unsigned char sum[DIGEST_SHA256];
	struct digest *d = digest_sha256_new();
	char *piece = mem_alloc(PIECE);
	uint64_t at = 0;
	ssize_t got = 0;
	for (; at < b->n && (got = body_at(b, at, piece, PIECE)) > 0; at += (uint64_t)got)
		digest_add(d, str_of(piece, (size_t)got));
	free(piece);
	digest_end(d, sum);
	for (size_t i = 0; i < DIGEST_SHA256; i++) sprintf(hex + 2 * i, "%02x", sum[i]);
	return got >= 0 || err_set(e, ERR_IO, "upload of %s: the file with its bytes cannot be read", b->u->name);
}

/* r gets its body: small ones from memory, since a request with one is sent in one packet. */
static bool give_body(struct s3_request *r, struct body *b, char hex[HEX], struct err *e)
{
	if (!hash(b, hex, e)) return false;
	r->sha256 = hex;
	if (b->off >= b->u->spooled) {
		r->body = str_from(buf_view(&b->u->tail), (size_t)(b->off - b->u->spooled));
		r->body.n = (size_t)b->n;
		return true;
	}
	r->body_at = body_at;
	r->body_ud = b;
	r->body_size = b->n;
	return true;
}

static size_t put_headers(const struct object_s3 *s, bool if_absent, const char **out)
{
	size_t n = 0;
	if (if_absent && s->conditional) out[n++] = "If-None-Match: *";
	for (size_t i = 0; i < s->nheaders; i++) out[n++] = s->headers[i];
	out[n] = NULL;
	return n;
}

/* ---- whose object is it? ---- */

static bool same_piece(struct object_upload *u, uint64_t off, size_t n, char *ours, struct buf *theirs, bool *same,
		       struct err *e)
{
	buf_clear(theirs);
	for (size_t at = 0; at < n;) {
		ssize_t got = read_at(u, off + at, ours + at, n - at);
		if (got <= 0)
			return err_set(e, ERR_IO, "upload of %s: the file with its bytes cannot be read", u->name);
		at += (size_t)got;
	}
	if (!u->s->base.ops->get(&u->s->base, str_c(u->name), off, n, theirs, e)) return false;
	*same = theirs->n == n && memcmp(theirs->p, ours, n) == 0;
	return true;
}

/* Reads back what stands under the name. */
static bool is_ours(struct object_upload *u, bool *there, bool *ours, struct err *e)
{
	struct found_object f = {.name = str_c(u->name)};
	if (!object_s3_find(u->s, &f, e)) return false;
	*there = f.found;
	*ours = f.found && f.size == size_of(u);
	char *piece = mem_alloc(SPOOL_FROM);
	struct buf theirs = {0};
	bool ok = true;
	for (uint64_t off = 0; ok && *ours && off < f.size; off += SPOOL_FROM) {
		size_t n = f.size - off < SPOOL_FROM ? (size_t)(f.size - off) : SPOOL_FROM;
		ok = same_piece(u, off, n, piece, &theirs, ours, e);
	}
	free(piece);
	buf_free(&theirs);
	return ok;
}

/* A request to create the object failed, but it may have been carried out: by an attempt whose answer was lost, also
 * one that libcurl repeated by itself because a kept connection broke, which nobody sees. */
static bool settle(struct object_upload *u, struct err *e)
{
	struct err why = *e;
	bool there, ours;
	*e = ERR_INIT;
	if (!is_ours(u, &there, &ours, e)) {
		*e = why;
		return false;
	}
	if (ours) return true;
	if (there) return err_set(e, ERR_EXISTS, "object %s exists", u->name);
	*e = why;
	return false;
}

/* ---- sending ---- */

static bool put_whole(struct object_upload *u, bool if_absent, struct s3_response *res, struct err *e)
{
	const char *headers[OBJECT_S3_HEADERS + 2];
	char hex[HEX];
	struct body b = {u, 0, size_of(u)};
	struct s3_request r = {.op = "PutObject", .method = "PUT", .key = str_c(u->name), .headers = headers};
	put_headers(u->s, if_absent, headers);
	if (!give_body(&r, &b, hex, e)) return false;
	bool ok = s3_do(u->s->client, &r, res, e);
	buf_free(&res->http.body);
	return ok || (if_absent && u->s->conditional && (e->code == ERR_EXISTS || res->unsure) && settle(u, e));
}

static bool begin_parts(struct object_upload *u, struct buf *id, struct err *e)
{
	const char *headers[OBJECT_S3_HEADERS + 2];
	struct s3_response res;
	struct str value, root;
	struct arena a;
	arena_init(&a, 0);
	put_headers(u->s, false, headers);
	const struct s3_xml_field field = {"UploadId", &value};
	struct s3_request r = {.op = "CreateMultipartUpload",
			       .method = "POST",
			       .key = str_c(u->name),
			       .query = "uploads=",
			       .headers = headers,
			       .body = STR("")};
	bool ok = s3_do(u->s->client, &r, &res, e);
	if (ok) {
		ok = s3_xml_read(buf_view(&res.http.body), &(struct s3_xml){&field, 1, NULL, NULL, NULL}, &a, &root, e);
		if (ok && !value.n) ok = err_set(e, ERR_IO, "the server gave the upload of %s no UploadId", u->name);
		if (ok) buf_str(id, value);
	}
	buf_free(&res.http.body);
	arena_free(&a);
	return ok;
}

/* The part's number and ETag go into the list that completes the upload. */
static bool put_part(struct object_upload *u, struct str id, unsigned number, uint64_t off, uint64_t n,
		     struct buf *list, struct err *e)
{
	struct buf query = {0};
	struct s3_response res;
	struct body b = {u, off, n};
	char hex[HEX];
	buf_printf(&query, "partNumber=%u&uploadId=", number);
	url_encode(&query, id, false);
	struct s3_request r = {.op = "UploadPart", .method = "PUT", .key = str_c(u->name), .query = buf_cstr(&query)};
	bool ok = give_body(&r, &b, hex, e);
	if (ok) {
		ok = s3_do(u->s->client, &r, &res, e);
		const char *etag = res.http.got[S3_WANT_ETAG];
		if (ok && (!*etag || strpbrk(etag, "<>&")))
			ok = err_set(e, ERR_IO, "the server gave part %u of %s no ETag", number, u->name);
		if (ok) buf_printf(list, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", number, etag);
		buf_free(&res.http.body);
	}
	buf_free(&query);
	return ok;
}

static bool complete(struct object_upload *u, struct str id, struct str list, bool if_absent, struct s3_response *res,
		     struct err *e)
{
	struct buf query = {0}, body = {0};
	const char *headers[] = {if_absent && u->s->conditional ? "If-None-Match: *" : NULL, NULL};
	buf_c(&query, "uploadId=");
	url_encode(&query, id, false);
	buf_printf(&body, "<CompleteMultipartUpload>%.*s</CompleteMultipartUpload>", STR_ARG(list));
	struct s3_request r = {.op = "CompleteMultipartUpload",
			       .method = "POST",
			       .key = str_c(u->name),
			       .query = buf_cstr(&query),
			       .headers = headers,
			       .body = buf_view(&body),
			       .error_in_200 = true};
	bool ok = s3_do(u->s->client, &r, res, e);
	buf_free(&res->http.body);
	buf_free(&query);
	buf_free(&body);
	bool gone = strcmp(res->code, "NoSuchUpload") == 0; /* it is complete, or somebody gave it up */
	return ok || ((e->code == ERR_EXISTS || res->unsure || gone) && settle(u, e));
}

bool object_s3_abort_parts(struct object_s3 *s, struct str name, struct str upload_id, struct err *e)
{
	struct buf query = {0};
	struct s3_response res;
	buf_c(&query, "uploadId=");
	url_encode(&query, upload_id, false);
	struct s3_request r = {
		.op = "AbortMultipartUpload", .method = "DELETE", .key = name, .query = buf_cstr(&query)};
	bool ok = s3_do(s->client, &r, &res, e);
	buf_free(&res.http.body);
	buf_free(&query);
	return ok;
}

static bool put_parts(struct object_upload *u, bool if_absent, struct s3_response *res, struct err *e)
{
	uint64_t size = size_of(u), part = u->s->c.multipart_bytes < PART ? u->s->c.multipart_bytes : PART;
	struct buf id = {0}, list = {0};
	struct err ignored = ERR_INIT;
	unsigned number = 0;
	if (part < (size + PARTS_MAX - 1) / PARTS_MAX) part = (size + PARTS_MAX - 1) / PARTS_MAX;
	bool begun = begin_parts(u, &id, e), ok = begun;
	for (uint64_t off = 0; ok && off < size; off += part)
		ok = put_part(u, buf_view(&id), ++number, off, size - off < part ? size - off : part, &list, e);
	ok = ok && complete(u, buf_view(&id), buf_view(&list), if_absent, res, e);
	if (begun && !ok && !object_s3_abort_parts(u->s, str_c(u->name), buf_view(&id), &ignored))
		log_info("an unfinished upload stays in the bucket for a day", kv_c("object", u->name),
			 kv_err(&ignored));
	buf_free(&id);
	buf_free(&list);
	return ok;
}

bool object_s3_send(struct object_upload *u, bool if_absent, char code[64], struct err *e)
{
	struct s3_response res = {0};
	struct found_object f = {.name = str_c(u->name)};
	code[0] = 0;
	if (if_absent && !u->s->conditional) {
		if (!object_s3_find(u->s, &f, e)) return false;
		if (f.found) return err_set(e, ERR_EXISTS, "object %s exists", u->name);
	}
	bool ok = size_of(u) <= u->s->c.multipart_bytes ? put_whole(u, if_absent, &res, e)
							: put_parts(u, if_absent, &res, e);
	if (!ok) memcpy(code, res.code, sizeof res.code);
	return ok;
}

bool object_s3_commit(struct object_upload *u, bool if_absent, struct err *e)
{
	char code[64];
	bool ok = object_s3_send(u, if_absent, code, e);
	object_s3_abort(u);
	return ok;
}
