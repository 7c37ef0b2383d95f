/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_creds: the key that requests to S3 are signed with, from where AWS's own tools find it.
 *
 * In this order, and the first that has one is kept to: the configuration; AWS_ACCESS_KEY_ID and its companions; a web
 * identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, exchanged at STS); the shared credentials file; a container's
 * endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI); the instance metadata service, version 2. A key that
 * expires is fetched anew minutes before; while that fails the old one serves as long as it is valid. A credentials
 * file is read again every minute.
 *
 * A key is immutable and reference-counted. Any thread; one fetches, the others take what is still valid or wait.
 * Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers". */
#ifndef LARCH_SERVER_STORE_S3_CREDS_H
#define LARCH_SERVER_STORE_S3_CREDS_H

#include "common/clock.h"
#include "common/err.h"
#include "common/httpc.h"

struct s3_key {
	const char *id, *secret, *token; /* token NULL: none; all are the key's own */
	int64_t expires;                 /* wall clock, ns; INT64_MAX: never */
	_Atomic unsigned refs;
};

struct s3_creds_config {
	const char *id, *secret, *token;      /* of the configuration, or NULL; copied */
	const char *region;                   /* for STS; borrowed */
	const char *(*env)(const char *name); /* NULL: getenv */
	struct clock *clock;
};

struct s3_creds;

struct s3_creds *s3_creds_new(const struct s3_creds_config *c);
void s3_creds_free(struct s3_creds *c); /* no key may be held */
/* Held; NULL: nobody has one, and e says where it was looked for. */
struct s3_key *s3_creds_get(struct s3_creds *c, struct err *e);
void s3_key_unref(struct s3_key *k); /* NULL is nothing */
/* The server says that k has expired: the next get fetches anew. */
void s3_creds_reject(struct s3_creds *c, const struct s3_key *k);

#endif
