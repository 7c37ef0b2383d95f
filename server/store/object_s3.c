/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/object_s3.h"

#include "common/base64.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/units.h"
#include "common/url.h"
#include "server/store/object_s3_impl.h"
#include "server/store/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LIST_MAX (16u << 20) /* bytes of one page of a listing */
#define PROBE    "larch-probe-"
#define STALE    UNITS_DAY

/* ---- reading ---- */

struct range {
	uint64_t off;
	size_t n;
};

/* "bytes FIRST-LAST/TOTAL"; TOTAL may be an asterisk. */
static bool parse_range(struct str s, uint64_t *first, uint64_t *last, uint64_t *total)
{
	struct str a, b;
	if (!str_starts(s, STR("bytes "))) return false;
	s = str_from(s, 6);
	if (!str_cut(&s, '-', &a) || !str_cut(&s, '/', &b)) return false;
	*total = UINT64_MAX;
	return str_to_u64(a, first) && str_to_u64(b, last) && (str_eqc(s, "*") || str_to_u64(s, total));
}

/* All that there is of the range, and nothing else. */
static bool is_range(void *ud, const struct httpc_result *res, struct err *e)
{
	const struct range *r = ud;
	uint64_t first, last, total;
	if (res->status == 200 && r->off == 0 && res->body.n <= r->n) return true;
	if (res->status != 206) return err_set(e, ERR_IO, "the server does not know ranges");
	if (!parse_range(str_c(res->got[S3_WANT_RANGE]), &first, &last, &total))
		return err_set(e, ERR_IO, "answer without a Content-Range that can be read");
	bool whole = last == r->off + r->n - 1 || (last < r->off + r->n && last == total - 1);
	if (first == r->off && whole && res->body.n == last - first + 1) return true;
	return err_set(e, ERR_IO, "asked for %zu bytes from %llu on, got %zu as \"%s\"", r->n,
		       (unsigned long long)r->off, res->body.n, res->got[S3_WANT_RANGE]);
}

static bool s3_get(struct object_store *base, struct str name, uint64_t off, size_t n, struct buf *out, struct err *e)
{
	struct object_s3 *s = (struct object_s3 *)base;
	struct range range = {off, n};
	char header[64];
	const char *headers[] = {header, NULL};
	struct s3_response res;
	if (n == 0) return true;
	snprintf(header, sizeof header, "Range: bytes=%llu-%llu", (unsigned long long)off,
		 (unsigned long long)(off + n - 1));
	struct s3_request r = {.op = "GetObject",
			       .method = "GET",
			       .key = name,
			       .headers = headers,
			       .max_body = n,
			       .accept = is_range,
			       .accept_ud = &range};
	bool ok = s3_do(s->client, &r, &res, e);
	if (ok && !out->p) {
		*out = res.http.body;
		res.http.body = (struct buf){0};
	} else if (ok) {
		buf_str(out, buf_view(&res.http.body));
	} else if (res.http.status == 416) { /* the object ends before */
		*e = ERR_INIT;
		ok = true;
	}
	buf_free(&res.http.body);
	return ok;
}

static bool s3_read(struct object_store *base, struct str name, size_t max, struct buf *out, struct err *e)
{
	struct object_s3 *s = (struct object_s3 *)base;
	struct s3_response res;
	struct s3_request r = {.op = "GetObject", .method = "GET", .key = name, .max_body = max};
	bool ok = s3_do(s->client, &r, &res, e);
	if (ok && res.http.body.n > max)
		ok = err_set(e, ERR_TOO_LARGE, "object %.*s is larger than %zu bytes", STR_ARG(name), max);
	if (ok) buf_str(out, buf_view(&res.http.body));
	buf_free(&res.http.body);
	return ok;
}

/* ---- listing ---- */

struct listing {
	struct object_s3 *s;
	struct str prefix; /* the store's and the caller's */
	size_t own;        /* bytes of the store's prefix, which names do not show */
	bool dirs;
	size_t most; /* names of one page */
	object_list_fn *fn;
	object_dir_fn *dir_fn;
	void *ud;
	struct str key, size, modified, dir, truncated, token;
	bool stop;
};

static bool list_object(void *ud)
{
	struct listing *l = ud;
	struct err ignored = ERR_INIT;
	struct object_info o = {.name = l->key};
	if (l->key.n < l->own || !str_to_u64(l->size, &o.size)) return true; /* nothing that we put there */
	o.name = str_from(l->key, l->own);
	if (!units_rfc3339(l->modified, &o.mtime, &ignored)) o.mtime = INT64_MAX; /* never old enough to go */
	l->stop = !l->fn(l->ud, &o);
	return !l->stop;
}

static bool list_dir(void *ud)
{
	struct listing *l = ud;
	struct str name = l->dir;
	if (name.n <= l->prefix.n || name.p[name.n - 1] != '/') return true;
	name = str_sub(name, l->prefix.n, name.n - 1);
	l->stop = !l->dir_fn(l->ud, name);
	return !l->stop;
}

static bool is_listing(void *ud, const struct httpc_result *res, struct err *e)
{
	struct err why = ERR_INIT;
	struct arena a;
	struct str root;
	(void)ud;
	arena_init(&a, 0);
	bool ok = s3_xml_read(buf_view(&res->body), &(struct s3_xml){0}, &a, &root, &why) &&
		  str_eqc(root, "ListBucketResult");
	arena_free(&a);
	return ok || err_set(e, ERR_IO, "the answer is no listing%s%s; is this the endpoint of an S3 server?",
			     why.code ? ": " : "", why.msg);
}

/* One page; after is where the one before ended. */
static bool list_page(struct listing *l, struct str after, struct arena *a, struct err *e)
{
	const struct s3_xml_field fields[] = {{"Contents/Key", &l->key},
					      {"Contents/Size", &l->size},
					      {"Contents/LastModified", &l->modified},
					      {"CommonPrefixes/Prefix", &l->dir},
					      {"IsTruncated", &l->truncated},
					      {"NextContinuationToken", &l->token}};
	const struct s3_xml x = {fields, sizeof fields / sizeof *fields, l->dirs ? "CommonPrefixes" : "Contents",
				 l->dirs ? list_dir : list_object, l};
	struct buf query = {0};
	struct s3_response res;
	struct str root;
	if (after.n) {
		buf_c(&query, "continuation-token=");
		url_encode(&query, after, false);
		buf_ch(&query, '&');
	}
	if (l->dirs) buf_c(&query, "delimiter=%2F&");
	buf_printf(&query, "list-type=2&max-keys=%zu&prefix=", l->most);
	url_encode(&query, l->prefix, false);
	struct s3_request r = {.op = "ListObjectsV2",
			       .method = "GET",
			       .query = buf_cstr(&query),
			       .max_body = LIST_MAX,
			       .accept = is_listing};
	bool ok = s3_do(l->s->client, &r, &res, e) && s3_xml_read(buf_view(&res.http.body), &x, a, &root, e);
	buf_free(&res.http.body);
	buf_free(&query);
	return ok;
}

static bool list_pages(struct listing *l, struct err *e)
{
	struct buf after = {0};
	bool ok, more;
	do {
		struct arena a;
		arena_init(&a, 0);
		ok = list_page(l, buf_view(&after), &a, e);
		more = ok && !l->stop && str_eqc(l->truncated, "true");
		if (more && (!l->token.n || str_eq(l->token, buf_view(&after))))
			more = ok = err_set(e, ERR_IO,
					    "S3 bucket %s: a listing that is cut off does not say where to go on",
					    l->s->c.s3.bucket);
		buf_clear(&after);
		if (more) buf_str(&after, l->token);
		arena_free(&a);
	} while (more);
	buf_free(&after);
	return ok;
}

/* Fills prefix and own; prefix borrows from full. */
static void listing_init(struct listing *l, struct str prefix, struct buf *full)
{
	s3_full_key(l->s->client, STR(""), full);
	l->own = full->n;
	buf_str(full, prefix);
	l->prefix = buf_view(full);
}

static bool s3_list(struct object_store *base, struct str prefix, object_list_fn *fn, void *ud, struct err *e)
{
	struct listing l = {.s = (struct object_s3 *)base, .most = 1000, .fn = fn, .ud = ud};
	struct buf full = {0};
	listing_init(&l, prefix, &full);
	bool ok = list_pages(&l, e);
	buf_free(&full);
	return ok;
}

static bool s3_dirs(struct object_store *base, struct str prefix, object_dir_fn *fn, void *ud, struct err *e)
{
	struct listing l = {.s = (struct object_s3 *)base, .dirs = true, .most = 1000, .dir_fn = fn, .ud = ud};
	struct buf full = {0};
	listing_init(&l, prefix, &full);
	bool ok = list_pages(&l, e);
	buf_free(&full);
	return ok;
}

static bool note_size(void *ud, const struct object_info *o)
{
	struct found_object *f = ud;
	if (!str_eq(o->name, f->name)) return true;
	f->found = true;
	f->size = o->size;
	return false;
}

bool object_s3_find(struct object_s3 *s, struct found_object *f, struct err *e)
{
	struct listing l = {.s = s, .most = 1, .fn = note_size, .ud = f};
	struct buf full = {0};
	struct arena a;
	arena_init(&a, 0);
	listing_init(&l, f->name, &full);
	f->found = false;
	bool ok = list_page(&l, STR_NULL, &a, e); /* nothing sorts between a prefix and the name that it is */
	buf_free(&full);
	arena_free(&a);
	return ok;
}

static bool s3_remove(struct object_store *base, struct str name, struct err *e)
{
	struct object_s3 *s = (struct object_s3 *)base;
	struct s3_response res;
	bool ok =
		s3_do(s->client, &(struct s3_request){.op = "DeleteObject", .method = "DELETE", .key = name}, &res, e);
	buf_free(&res.http.body);
	if (!ok && e->code == ERR_NOT_FOUND) {
		*e = ERR_INIT;
		ok = true;
	}
	return ok;
}

/* ---- is this a bucket that we can work with? ---- */

static const char no_put_if_absent[] =
	"S3 bucket %s does not know put-if-absent (PUT with If-None-Match: *)%s, on which servers that share a bucket "
	"rely; "
	"use a server that has it, or, if this is and stays the only one that writes to the bucket, set "
	"larch.single_writer: true";

static void without_conditions(struct object_s3 *s, const char *how, struct err *e)
{
	*e = ERR_INIT;
	s->conditional = false;
	if (!s->c.single_writer) {
		err_set(e, ERR_INVALID, no_put_if_absent, s->c.s3.bucket, how);
		return;
	}
	log_warn("the bucket does not know put-if-absent; this must stay the only server that writes to it",
		 kv_c("bucket", s->c.s3.bucket));
}

static bool put_probe(struct object_s3 *s, struct str name, struct str data, char code[64], struct err *e)
{
	struct object_upload *u = object_s3_begin(&s->base, name, e);
	bool ok = u && object_s3_append(u, data, e) && object_s3_send(u, true, code, e);
	if (u) object_s3_abort(u);
	return ok;
}

/* A second object under the name of the first must be refused. */
static bool probe(struct object_s3 *s, struct str name, struct err *e)
{
	char code[64];
	struct buf back = {0};
	bool ok = put_probe(s, name, STR("1"), code, e);
	if (!ok && (strcmp(code, "NotImplemented") == 0 || strcmp(code, "InvalidArgument") == 0)) {
		without_conditions(s, ": it refuses the header", e);
		ok = e->code == ERR_NONE && put_probe(s, name, STR("1"), code, e);
	} else if (ok) {
		bool again = put_probe(s, name, STR("2"), code, e);
		if (again)
			without_conditions(s, ": it replaced an object", e);
		else if (e->code == ERR_EXISTS)
			*e = ERR_INIT;
		ok = e->code == ERR_NONE;
	}
	ok = ok && s3_read(&s->base, name, 16, &back, e);
	if (ok && back.n != 1)
		ok = err_set(e, ERR_IO, "S3 bucket %s: what was put is not what is read", s->c.s3.bucket);
	buf_free(&back);
	return ok;
}

struct stale {
	struct object_s3 *s;
	struct str key, id, begun;
	int64_t before;
	uint64_t n;
};

static bool abort_stale(void *ud)
{
	struct stale *w = ud;
	struct err e = ERR_INIT;
	struct buf own = {0};
	int64_t begun;
	s3_full_key(w->s->client, STR(""), &own);
	if (str_starts(w->key, buf_view(&own)) && units_rfc3339(w->begun, &begun, &e) && begun < w->before) {
		if (object_s3_abort_parts(w->s, str_from(w->key, own.n), w->id, &e)) w->n++;
	}
	buf_free(&own);
	return true;
}

/* Parts of unfinished uploads cost money for ever. Not every server lists them, which does no harm. */
static void abort_stale_uploads(struct object_s3 *s)
{
	struct stale w = {.s = s, .before = clock_wall(s->c.s3.clock) - STALE};
	const struct s3_xml_field fields[] = {
		{"Upload/Key", &w.key}, {"Upload/UploadId", &w.id}, {"Upload/Initiated", &w.begun}};
	struct buf query = {0}, prefix = {0};
	struct s3_response res;
	struct err e = ERR_INIT;
	struct arena a;
	struct str root;
	arena_init(&a, 0);
	s3_full_key(s->client, STR(""), &prefix);
	buf_c(&query, "max-uploads=1000&prefix=");
	url_encode(&query, buf_view(&prefix), false);
	buf_c(&query, "&uploads=");
	struct s3_request r = {
		.op = "ListMultipartUploads", .method = "GET", .query = buf_cstr(&query), .max_body = LIST_MAX};
	if (!s3_do(s->client, &r, &res, &e) ||
	    !s3_xml_read(buf_view(&res.http.body), &(struct s3_xml){fields, 3, "Upload", abort_stale, &w}, &a, &root,
			 &e))
		log_info("unfinished uploads cannot be listed", kv_err(&e));
	else if (w.n)
		log_info("gave up uploads that were begun more than a day ago", kv_i("uploads", (int64_t)w.n));
	buf_free(&res.http.body);
	buf_free(&query);
	buf_free(&prefix);
	arena_free(&a);
}

bool object_s3_check(struct object_store *base, struct err *e)
{
	struct object_s3 *s = (struct object_s3 *)base;
	char name[64];
	struct err ignored = ERR_INIT;
	snprintf(name, sizeof name, PROBE "%016llx", (unsigned long long)clock_rnd(s->c.s3.clock));
	bool ok = probe(s, str_c(name), e);
	bool gone = s3_remove(base, str_c(name), ok ? e : &ignored);
	if (ok && gone) abort_stale_uploads(s);
	return ok && gone;
}

/* ---- opening ---- */

static void s3_free(struct object_store *base)
{
	struct object_s3 *s = (struct object_s3 *)base;
	s3_client_free(s->client);
	for (size_t i = 0; i < s->nheaders; i++) free(s->headers[i]);
	free(s->spool_dir);
	free(s);
}

static const struct object_ops ops = {
	.begin = object_s3_begin,
	.append = object_s3_append,
	.commit = object_s3_commit,
	.abort = object_s3_abort,
	.get = s3_get,
	.read = s3_read,
	.list = s3_list,
	.dirs = s3_dirs,
	.remove = s3_remove,
	.free = s3_free,
};

static void add_header(struct object_s3 *s, const char *name, const char *value)
{
	struct buf b = {0};
	if (!value) return;
	buf_printf(&b, "%s: %s", name, value);
	buf_cstr(&b);
	s->headers[s->nheaders++] = b.p;
}

struct object_store *object_s3_open(const struct object_s3_config *c, struct err *e)
{
	struct object_s3 *s = mem_zalloc(sizeof *s);
	struct buf context = {0};
	s->base.ops = &ops;
	s->c = *c;
	s->spool_dir = mem_strdup(c->spool_dir);
	s->conditional = true;
	if (!s->c.multipart_bytes) s->c.multipart_bytes = 64u << 20;
	s->client = s3_client_new(&c->s3);
	add_header(s, "x-amz-storage-class", c->storage_class);
	add_header(s, "x-amz-server-side-encryption", c->sse);
	add_header(s, "x-amz-server-side-encryption-aws-kms-key-id", c->kms_key);
	if (c->kms_context) {
		base64_encode(&context, str_c(c->kms_context));
		add_header(s, "x-amz-server-side-encryption-context", buf_cstr(&context));
		buf_free(&context);
	}
	if (fs_mkdirs(c->fs, c->spool_dir, 0750, e)) return &s->base;
	s3_free(&s->base);
	return NULL;
}
