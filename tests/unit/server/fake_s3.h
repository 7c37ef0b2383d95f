/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake_s3: an S3 server in the test's own process that goes wrong where it is told to: a bucket "b" in memory, a thread
 * per connection. It checks that bodies have the SHA-256 that they announce; signatures it takes as they are. */
#ifndef LARCH_TESTS_UNIT_FAKE_S3_H
#define LARCH_TESTS_UNIT_FAKE_S3_H

#include "common/digest.h"
#include "common/net.h"
#include "common/url.h"

#include "tests/unit/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum fault {
	FAULT_NONE,
	FAULT_LOSE,      /* carried out, but the connection closes without an answer */
	FAULT_HANG_UP,   /* not carried out, and the connection closes */
	FAULT_SLOW_DOWN, /* 503 */
	FAULT_TRUNCATE,  /* the connection closes in the middle of the body */
	FAULT_SHORT,     /* a range shorter than asked for, announced as such */
	FAULT_SHIFT,     /* another range than asked for */
	FAULT_ERROR,     /* f->status and f->code */
	FAULT_ERROR_200, /* the same with status 200 */
};

struct fake_object {
	char *name;
	struct buf data;
};

struct fake_s3 {
	int fd;
	pthread_t thread;
	char url[64];
	pthread_mutex_t mu; /* guards what follows */
	pthread_cond_t idle;
	unsigned connections;
	bool stopping;
	struct fake_object *v; /* sorted by name */
	size_t n, cap;
	struct buf parts[16]; /* of the one upload under way */
	bool uploading;
	size_t page; /* most keys of a listing */
	bool ignore_conditions, refuse_conditions, endless_list;
	const char *initiated; /* of a stale upload that is listed, or NULL */
	/* the next `faults` requests whose "METHOD target" contains `match` */
	enum fault fault;
	const char *match, *code;
	int faults, status;
	/* seen */
	unsigned requests, puts, gets, aborted;
	char host[128], target[1024], headers[4096];
};

/* What tests read and set of the server while it runs: FAKE(&f, f.page = 1). */
#define FAKE(f, expression)                                                                                            \
	({                                                                                                             \
		pthread_mutex_lock(&(f)->mu);                                                                          \
		__auto_type value_ = (expression);                                                                     \
		pthread_mutex_unlock(&(f)->mu);                                                                        \
		value_;                                                                                                \
	})

struct fake_request {
	char method[16], target[1024];
	char *head; /* all headers, NUL-terminated */
	struct buf body;
};

static inline struct str fake_header(const struct fake_request *q, const char *name)
{
	size_t n = strlen(name);
	for (const char *line = q->head; (line = strstr(line, "\r\n"));) {
		line += 2;
		if (strncasecmp(line, name, n) != 0 || line[n] != ':') continue;
		const char *end = strstr(line, "\r\n");
		return str_trim(str_of(line + n + 1, (size_t)(end - line) - n - 1));
	}
	return STR_NULL;
}

static inline struct fake_object *fake_find(struct fake_s3 *f, struct str name)
{
	for (size_t i = 0; i < f->n; i++) {
		if (str_eqc(name, f->v[i].name)) return &f->v[i];
	}
	return NULL;
}

static inline void fake_put(struct fake_s3 *f, struct str name, struct str data)
{
	struct fake_object *o = fake_find(f, name);
	if (!o) {
		size_t at = f->n;
		MEM_GROW(f->v, f->n, f->cap);
		for (f->n++; at > 0 && str_cmp(name, str_c(f->v[at - 1].name)) < 0; at--) f->v[at] = f->v[at - 1];
		o = &f->v[at];
		*o = (struct fake_object){.name = mem_strndup(name.p, name.n)};
	}
	buf_clear(&o->data);
	buf_str(&o->data, data);
}

/* ---- answers ---- */

static inline void fake_head(struct buf *out, int status, size_t length, const char *more)
{
	buf_printf(out, "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n%s\r\n", status, length, more);
}

static inline void fake_text(struct buf *out, int status, const char *text)
{
	fake_head(out, status, strlen(text), "");
	buf_c(out, text);
}

static inline void fake_error(struct buf *out, int status, const char *code)
{
	char text[256];
	snprintf(text, sizeof text, "<Error><Code>%s</Code><Message>as told</Message><Region>%s</Region></Error>", code,
		 strcmp(code, "PermanentRedirect") == 0 ? "eu-far-1" : "");
	fake_text(out, status, text);
}

static inline void fake_get(struct fake_s3 *f, const struct fake_request *q, struct str key, enum fault fault,
			    struct buf *out)
{
	struct fake_object *o = fake_find(f, key);
	struct str range = fake_header(q, "Range"), data;
	unsigned long long from = 0, to = 0;
	char more[128] = "";
	f->gets++;
	if (!o) {
		fake_error(out, 404, "NoSuchKey");
		return;
	}
	data = buf_view(&o->data);
	if (range.p) {
		assert_int_equal(sscanf(range.p, "bytes=%llu-%llu", &from, &to), 2);
		if (from >= data.n) {
			fake_error(out, 416, "InvalidRange");
			return;
		}
		if (fault == FAULT_SHIFT && from > 0) from--, to--;
		if (fault == FAULT_SHORT && to > from) to--;
		if (to >= data.n) to = data.n - 1;
		snprintf(more, sizeof more, "Content-Range: bytes %llu-%llu/%zu\r\n", from, to, data.n);
		data = str_sub(data, (size_t)from, (size_t)to + 1);
	}
	fake_head(out, range.p ? 206 : 200, data.n, more);
	if (fault == FAULT_TRUNCATE) data.n /= 2;
	buf_str(out, data);
}

static inline struct str fake_arg(struct arena *a, struct str query, const char *name)
{
	struct url_args args = {0};
	struct err e = ERR_INIT;
	size_t i = 0;
	assert_true(url_args_parse(a, query, &args, &e));
	return url_args_next(&args, str_c(name), &i);
}

static inline void fake_list(struct fake_s3 *f, struct str query, struct buf *out)
{
	struct arena a;
	arena_init(&a, 0);
	struct str prefix = fake_arg(&a, query, "prefix"), after = fake_arg(&a, query, "continuation-token"), max,
		   last = STR_NULL;
	bool dirs = fake_arg(&a, query, "delimiter").n > 0, more = false;
	struct buf x = {0};
	uint64_t most = 0, n = 0;
	max = fake_arg(&a, query, "max-keys");
	assert_true(str_to_u64(max, &most));
	if (most > f->page) most = f->page;
	buf_c(&x, "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>");
	for (size_t i = 0; i < f->n; i++) {
		struct str name = str_c(f->v[i].name);
		if (!str_starts(name, prefix)) continue;
		ssize_t cut = dirs ? str_chr(str_from(name, prefix.n), '/') : -1;
		struct str shown = cut >= 0 ? str_sub(name, 0, prefix.n + (size_t)cut + 1) : name;
		if ((after.n && str_cmp(shown, after) <= 0) || (last.p && str_eq(shown, last))) continue;
		if (n == most) {
			more = true;
			break;
		}
		last = shown;
		n++;
		if (cut >= 0)
			buf_printf(&x, "<CommonPrefixes><Prefix>%.*s</Prefix></CommonPrefixes>", STR_ARG(shown));
		else
			buf_printf(&x,
				   "<Contents><Key>%s</Key><LastModified>2026-01-02T03:04:05.678Z</"
				   "LastModified><Size>%zu</Size></Contents>",
				   f->v[i].name, f->v[i].data.n);
	}
	if (f->endless_list) last = STR("again"), more = true;
	buf_printf(&x, "<IsTruncated>%s</IsTruncated>", more ? "true" : "false");
	if (more) buf_printf(&x, "<NextContinuationToken>%.*s</NextContinuationToken>", STR_ARG(last));
	buf_c(&x, "</ListBucketResult>");
	fake_text(out, 200, buf_cstr(&x));
	buf_free(&x);
	arena_free(&a);
}

static inline void fake_upload(struct fake_s3 *f, const struct fake_request *q, struct str key, struct str query,
			       struct buf *out)
{
	unsigned number = 0;
	if (strcmp(q->method, "POST") == 0 && str_eqc(query, "uploads=")) {
		f->uploading = true;
		fake_text(out, 200,
			  "<InitiateMultipartUploadResult><UploadId>id/1</UploadId></InitiateMultipartUploadResult>");
	} else if (!f->uploading) {
		fake_error(out, 404, "NoSuchUpload");
	} else if (strcmp(q->method, "PUT") == 0) {
		assert_int_equal(sscanf(query.p, "partNumber=%u&uploadId=id%%2F1", &number), 1);
		assert_in_range(number, 1, COUNT(f->parts));
		buf_clear(&f->parts[number - 1]);
		buf_str(&f->parts[number - 1], buf_view(&q->body));
		char etag[64];
		snprintf(etag, sizeof etag, "ETag: \"part%u\"\r\n", number);
		fake_head(out, 200, 0, etag);
	} else if (strcmp(q->method, "DELETE") == 0) {
		f->uploading = false;
		f->aborted++;
		fake_head(out, 204, 0, "");
	} else {
		struct buf all = {0};
		for (size_t i = 0; i < COUNT(f->parts); i++) {
			char want[64];
			snprintf(want, sizeof want, "<PartNumber>%zu</PartNumber><ETag>\"part%zu\"</ETag>", i + 1,
				 i + 1);
			if (str_find(buf_view(&q->body), str_c(want)) >= 0) buf_str(&all, buf_view(&f->parts[i]));
		}
		fake_put(f, key, buf_view(&all));
		buf_free(&all);
		f->uploading = false;
		fake_text(out, 200, "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>");
	}
}

static inline void fake_put_object(struct fake_s3 *f, const struct fake_request *q, struct str key, struct buf *out)
{
	bool conditional = fake_header(q, "If-None-Match").n > 0;
	f->puts++;
	if (conditional && f->refuse_conditions) {
		fake_error(out, 501, "NotImplemented");
	} else if (conditional && !f->ignore_conditions && fake_find(f, key)) {
		fake_error(out, 412, "PreconditionFailed");
	} else {
		fake_put(f, key, buf_view(&q->body));
		fake_head(out, 200, 0, "ETag: \"x\"\r\n");
	}
}

static inline void fake_carry_out(struct fake_s3 *f, const struct fake_request *q, enum fault fault, struct buf *out)
{
	struct str query = str_c(q->target), path;
	struct arena a;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	str_cut(&query, '?', &path);
	if (str_starts(path, STR("/b/"))) path = str_from(path, 2);
	struct str key;
	assert_true(url_decode(&a, str_from(path, 1), false, &key, &e));
	if (str_find(query, STR("max-uploads=")) == 0)
		fake_text(out, 200,
			  f->initiated ? f->initiated : "<ListMultipartUploadsResult></ListMultipartUploadsResult>");
	else if (str_find(query, STR("list-type=2")) >= 0)
		fake_list(f, query, out);
	else if (query.n)
		fake_upload(f, q, key, query, out);
	else if (strcmp(q->method, "PUT") == 0)
		fake_put_object(f, q, key, out);
	else if (strcmp(q->method, "GET") == 0)
		fake_get(f, q, key, fault, out);
	else {
		struct fake_object *o = fake_find(f, key);
		if (o) {
			buf_free(&o->data);
			free(o->name);
			memmove(o, o + 1, (size_t)(f->v + --f->n - o) * sizeof *o);
		}
		fake_head(out, 204, 0, "");
	}
	arena_free(&a);
}

/* ---- connections ---- */

static inline bool fake_checks(const struct fake_request *q)
{
	unsigned char sum[DIGEST_SHA256];
	char hex[2 * DIGEST_SHA256 + 1];
	digest_sha256(buf_view(&q->body), sum);
	for (size_t i = 0; i < DIGEST_SHA256; i++) sprintf(hex + 2 * i, "%02x", sum[i]);
	return str_eqc(fake_header(q, "x-amz-content-sha256"), hex) &&
	       str_starts(fake_header(q, "Authorization"), STR("AWS4-HMAC-SHA256 Credential="));
}

/* False: the connection is to be closed. */
static inline bool fake_answer(struct fake_s3 *f, struct fake_request *q, struct buf *out)
{
	enum fault fault = FAULT_NONE;
	char line[1100];
	snprintf(line, sizeof line, "%s %s", q->method, q->target);
	pthread_mutex_lock(&f->mu);
	f->requests++;
	snprintf(f->target, sizeof f->target, "%s", q->target);
	snprintf(f->headers, sizeof f->headers, "%s", q->head);
	struct str host = fake_header(q, "Host");
	snprintf(f->host, sizeof f->host, "%.*s", STR_ARG(host));
	if (f->faults && (!f->match || strstr(line, f->match))) {
		f->faults--;
		fault = f->fault;
	}
	if (!fake_checks(q))
		fake_error(out, 400, "XAmzContentSHA256Mismatch");
	else if (fault == FAULT_SLOW_DOWN)
		fake_error(out, 503, "SlowDown");
	else if (fault == FAULT_ERROR || fault == FAULT_ERROR_200)
		fake_error(out, fault == FAULT_ERROR ? f->status : 200, f->code);
	else if (fault != FAULT_HANG_UP)
		fake_carry_out(f, q, fault, out);
	pthread_mutex_unlock(&f->mu);
	if (fault == FAULT_LOSE || fault == FAULT_HANG_UP) buf_clear(out);
	return fault != FAULT_LOSE && fault != FAULT_HANG_UP && fault != FAULT_TRUNCATE;
}

static inline bool fake_read(int fd, struct buf *in)
{
	buf_reserve(in, 65536);
	ssize_t n = recv(fd, in->p + in->n, 65536, 0);
	if (n > 0) in->n += (size_t)n;
	return n > 0;
}

/* One request off the front of in. */
static inline bool fake_receive(int fd, struct buf *in, struct fake_request *q)
{
	ssize_t end;
	while ((end = str_find(buf_view(in), STR("\r\n\r\n"))) < 0) {
		if (!fake_read(fd, in)) return false;
	}
	size_t head = (size_t)end + 4;
	uint64_t length = 0;
	q->head = mem_strndup(in->p, head);
	assert_int_equal(sscanf(q->head, "%15s %1023s", q->method, q->target), 2);
	str_to_u64(fake_header(q, "Content-Length"), &length);
	if (fake_header(q, "Expect").n) send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
	while (in->n < head + length) {
		if (!fake_read(fd, in)) return false;
	}
	buf_add(&q->body, in->p + head, (size_t)length);
	memmove(in->p, in->p + head + length, in->n - head - length);
	in->n -= head + length;
	return true;
}

struct fake_connection {
	struct fake_s3 *f;
	int fd;
};

static inline void *fake_serve(void *ud)
{
	struct fake_connection *c = ud;
	struct buf in = {0};
	for (bool open = true; open;) {
		struct fake_request q = {0};
		struct buf out = {0};
		open = fake_receive(c->fd, &in, &q) && fake_answer(c->f, &q, &out);
		for (size_t at = 0; at < out.n;) {
			ssize_t n = send(c->fd, out.p + at, out.n - at, MSG_NOSIGNAL);
			if (n <= 0) break;
			at += (size_t)n;
		}
		free(q.head);
		buf_free(&q.body);
		buf_free(&out);
	}
	close(c->fd);
	buf_free(&in);
	pthread_mutex_lock(&c->f->mu);
	c->f->connections--;
	pthread_cond_broadcast(&c->f->idle);
	pthread_mutex_unlock(&c->f->mu);
	free(c);
	return NULL;
}

static inline void *fake_accept(void *ud)
{
	struct fake_s3 *f = ud;
	int fd;
	while ((fd = accept(f->fd, NULL, NULL)) >= 0) {
		struct fake_connection *c = mem_zalloc(sizeof *c);
		pthread_t t;
		*c = (struct fake_connection){f, fd};
		pthread_mutex_lock(&f->mu);
		f->connections++;
		pthread_mutex_unlock(&f->mu);
		assert_int_equal(pthread_create(&t, NULL, fake_serve, c), 0);
		pthread_detach(t);
	}
	return NULL;
}

static inline void fake_s3_start(struct fake_s3 *f)
{
	struct err e = ERR_INIT;
	*f = (struct fake_s3){.page = 1000};
	pthread_mutex_init(&f->mu, NULL);
	pthread_cond_init(&f->idle, NULL);
	int fd = net_listen("127.0.0.1", 0, &e);
	assert_true(fd >= 0);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	f->fd = fd;
	snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", net_port(fd));
	assert_int_equal(pthread_create(&f->thread, NULL, fake_accept, f), 0);
}

/* After the clients have closed their connections. */
static inline void fake_s3_stop(struct fake_s3 *f)
{
	shutdown(f->fd, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->fd);
	pthread_mutex_lock(&f->mu);
	while (f->connections) pthread_cond_wait(&f->idle, &f->mu);
	pthread_mutex_unlock(&f->mu);
	for (size_t i = 0; i < f->n; i++) {
		buf_free(&f->v[i].data);
		free(f->v[i].name);
	}
	for (size_t i = 0; i < COUNT(f->parts); i++) buf_free(&f->parts[i]);
	free(f->v);
}

static inline void fake_s3_fail(struct fake_s3 *f, enum fault fault, const char *match, int times)
{
	pthread_mutex_lock(&f->mu);
	f->fault = fault;
	f->match = match;
	f->faults = times;
	pthread_mutex_unlock(&f->mu);
}

#endif
