/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_client: signed requests to one bucket, with retries, and errors that say what to do.
 *
 * Requests are signed by libcurl (Signature Version 4) exactly as given, so that paths and queries come percent-encoded
 * and sorted. What may pass is tried again after a pause that doubles, with jitter: connections that fail, timeouts,
 * 5xx, 429 and the codes that mean "later"; an expired key is renewed. After an attempt whose outcome is unknown the
 * answer says so (unsure): whoever cares reads back what became of it. Thread-safe; connections are pooled. Blocks for
 * at most max_tries times the time limit and the pauses.
 * Source: Amazon S3 API Reference. */
#ifndef LARCH_SERVER_STORE_S3_CLIENT_H
#define LARCH_SERVER_STORE_S3_CLIENT_H

#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/httpc.h"

/* Strings are borrowed until the client is freed. NULL: not set. */
struct s3_config {
	const char *bucket, *region;
	const char *endpoint; /* scheme://host[:port][/path]; NULL: AWS's for the region */
	bool path_style;      /* endpoint/bucket/key rather than bucket.endpoint/key */
	const char *prefix;   /* of every object's name in the bucket; "" or NULL: none */
	const char *access_key_id, *secret_access_key, *session_token;
	const char *(*env)(const char *name); /* where credentials are looked for; NULL: getenv */
	const char *ca_file;
	bool insecure_skip_verify;
	int64_t timeout_ns;                     /* of one attempt; 0: 30 s and what the bytes take at 64 KiB/s */
	int64_t stall_timeout_ns;               /* in which not a byte moves; 0: 30 s */
	int64_t connect_timeout_ns;             /* 0: 10 s */
	int64_t idle_timeout_ns;                /* of kept connections; 0: 90 s */
	int64_t backoff_min_ns, backoff_max_ns; /* 0: 100 ms, 3 s */
	unsigned max_tries;                     /* 0: 5 */
	struct clock *clock;
	/* Called for every attempt; status 0: no answer. */
	void (*observe)(void *ud, const char *op, int status, int64_t ns);
	void *observe_ud;
};

struct s3_request {
	const char *op; /* for errors and figures: "PutObject" */
	const char *method;
	struct str key;    /* without the prefix; STR_NULL: the bucket itself */
	const char *query; /* encoded, sorted, each name with `=`; or NULL */
	const char *const *headers;
	struct str body;
	ssize_t (*body_at)(void *ud, uint64_t off, char *p, size_t n); /* or, as in httpc.h */
	void *body_ud;
	uint64_t body_size;
	const char *sha256; /* of the body, hexadecimal; NULL: it is computed from `body` */
	size_t max_body;    /* of the answer */
	/* Is the answer what was asked for? False: it is tried again. NULL: any 2xx is. */
	bool (*accept)(void *ud, const struct httpc_result *res, struct err *e);
	void *accept_ud;
	bool error_in_200; /* an error may come with status 200 */
};

#define S3_WANT_ETAG  0 /* indexes in got[] of the result */
#define S3_WANT_RANGE 1 /* Content-Range */

struct s3_response {
	struct httpc_result http;
	char code[64]; /* S3's, of an error */
	bool unsure;   /* an attempt before the last may have been carried out */
};

struct s3_client;

struct s3_client *s3_client_new(const struct s3_config *c);
void s3_client_free(struct s3_client *c);
/* True: 2xx, and accepted. Else e has ERR_NOT_FOUND (no such object), ERR_EXISTS (a condition does not hold),
 * ERR_TOO_LARGE (of the answer), ERR_TIMEOUT or ERR_IO. Free res->http.body either way. */
bool s3_do(struct s3_client *c, const struct s3_request *r, struct s3_response *res, struct err *e);
/* The prefix and the key. */
void s3_full_key(const struct s3_client *c, struct str key, struct buf *out);

#endif
