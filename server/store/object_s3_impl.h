/* SPDX-License-Identifier: GPL-2.0-or-later */
/* object_s3_impl: what object_s3.c and object_s3_upload.c share. */
#ifndef LARCH_SERVER_STORE_OBJECT_S3_IMPL_H
#define LARCH_SERVER_STORE_OBJECT_S3_IMPL_H

#include "server/store/object_s3.h"

#define OBJECT_S3_HEADERS 4

struct object_s3 {
	struct object_store base;
	struct object_s3_config c;
	struct s3_client *client;
	char *spool_dir;
	char *headers[OBJECT_S3_HEADERS]; /* of every object that is put */
	size_t nheaders;
	_Atomic bool conditional; /* the bucket knows put-if-absent, as far as object_s3_check() has found out */
	_Atomic uint64_t uploads;
};

/* Object by its whole name. */
struct found_object {
	struct str name;
	bool found;
	uint64_t size;
};
bool object_s3_find(struct object_s3 *s, struct found_object *f, struct err *e);

struct object_upload *object_s3_begin(struct object_store *s, struct str name, struct err *e);
bool object_s3_append(struct object_upload *u, struct str piece, struct err *e);
bool object_s3_commit(struct object_upload *u, bool if_absent, struct err *e);
void object_s3_abort(struct object_upload *u);
/* What commit does, but for freeing; on failure code is S3's, or "". */
bool object_s3_send(struct object_upload *u, bool if_absent, char code[64], struct err *e);
bool object_s3_abort_parts(struct object_s3 *s, struct str name, struct str upload_id, struct err *e);

#endif
