/* SPDX-License-Identifier: GPL-2.0-or-later */
/* object_s3: objects in a bucket of S3 or of what speaks its language (docs/FORMATS.md, Objects in a bucket).
 *
 * An upload is collected in memory, above a mebibyte in an unlinked file in spool_dir, and sent at commit: in one PUT
 * up to multipart_bytes, else in parts, so that memory stays bounded. What is sent carries its SHA-256.
 *
 * Put-if-absent is `If-None-Match: *`. Since answers get lost, an object that is said to exist is read back: our bytes
 * mean that we were first. A large object's If-None-Match comes with the last step of its upload, which not
 * every server heeds: large objects need names of their own. A bucket that does not know put-if-absent at all is
 * refused by object_s3_check(), unless this is said to be its only writer; then the object is looked for first.
 *
 * Errors name bucket, operation, object, HTTP status, S3's code, and what to do; one that means "out of reach" is
 * ERR_IO or ERR_TIMEOUT. Thread-safe. Calls block for as long as the retries take (s3_client.h).
 * Source: Amazon S3 API Reference. */
#ifndef LARCH_SERVER_STORE_OBJECT_S3_H
#define LARCH_SERVER_STORE_OBJECT_S3_H

#include "server/store/object.h"
#include "server/store/s3_client.h"

struct object_s3_config {
	struct s3_config s3;
	const char *spool_dir; /* made when absent; copied */
	struct fs *fs;
	uint64_t multipart_bytes;                /* 0: 64 MiB */
	bool single_writer;                      /* nobody else writes to the bucket under the prefix */
	const char *storage_class;               /* NULL: the bucket's */
	const char *sse, *kms_key, *kms_context; /* server-side encryption: "AES256" or "aws:kms"; NULL: the bucket's */
};

/* Strings are borrowed. Does not talk to the server. */
struct object_store *object_s3_open(const struct object_s3_config *c, struct err *e);
/* Is the bucket there, may we write, read and delete, and does it know put-if-absent? Before it has said yes nothing
 * may be put. ERR_INVALID: this bucket will not do. Also gives up uploads that were begun more than a day ago. */
bool object_s3_check(struct object_store *s, struct err *e);

#endif
