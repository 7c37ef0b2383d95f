/* SPDX-License-Identifier: GPL-2.0-or-later */
/* storage: where Loki's configuration says that objects are kept.
 *
 * As in Loki, schema_config's period that is in force names the kind of store, and storage_config describes it, or
 * common.storage where storage_config does not. Without schema_config it is the bucket that is described, if any.
 * Part of struct config: filled at start, read-only afterwards; strings live in the configuration's arena. */
#ifndef LARCH_SERVER_STORAGE_H
#define LARCH_SERVER_STORAGE_H

#include "common/conf.h"
#include "server/store/object_s3.h"

/* common.storage.s3 and storage_config.aws. */
struct storage_s3 {
	struct str url, bucketnames, endpoint, region, access_key_id, secret_access_key, session_token;
	struct str signature_version, storage_class, ca_file, sse_type, kms_key_id, kms_context;
	bool path_style, insecure, insecure_skip_verify;
	int64_t timeout, header_timeout, idle_timeout, backoff_min, backoff_max, max_retries;
};

struct storage {
	struct str chunks_directory; /* common.storage.filesystem */
	struct str directory;        /* storage_config.filesystem */
	struct storage_s3 common_s3, aws;
	bool has_common_fs, has_common_s3;
	struct str object_prefix;
	struct conf_list periods; /* schema_config.configs */

	/* What comes of it. */
	bool in_bucket;
	struct object_s3_config bucket; /* in_bucket: without directory, clock and what is Larch's own */
};

extern const struct conf_table storage_common_table; /* common.storage */
extern const struct conf_table storage_config_table; /* storage_config */
extern const struct conf_table storage_schema_table; /* schema_config */

/* After decoding: fills the last members. now: wall clock, ns. env: getenv, or a test's. */
bool storage_resolve(struct storage *s, struct arena *a, int64_t now, const char *(*env)(const char *), struct err *e);

#endif
