/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/storage.h"

#include "common/units.h"
#include "common/url.h"

#define OWN_PREFIX "larch/" /* what Loki has in the same bucket stays apart */
#define NO_OBJECT_STORE "Data is kept in filesystem or s3: use one of them."

#define ROW(T, k, key_, member, def_, doc_, ...)                                                                       \
	{.key = key_, .kind = CONF_##k, .off = offsetof(struct T, member), .def = def_, .doc = doc_, __VA_ARGS__}
#define PART(key_, table) {.key = key_, .kind = CONF_OBJ, .sub = &table, .doc = ""}
#define NOTHING(key_)     {.key = key_, .kind = CONF_IGNORED, .doc = "Means nothing here."}
#define REFUSED(key_, why) {.key = key_, .kind = CONF_REFUSED, .doc = why}
#define TABLE(linkage, var, T, name_, ...)                                                                                      \
	static const struct conf_field var##_fields[] = {__VA_ARGS__, {0}};                                            \
	linkage const struct conf_table var = {name_, sizeof(struct T), var##_fields}

/* ---- a bucket ---- */

TABLE(static, http_table, storage_s3, "http_config",
	     ROW(storage_s3, DUR_GO, "idle_conn_timeout", idle_timeout, "90s", "How long a connection is kept unused.",
		 .min = 1000000000, .max = INT64_C(86400000000000)),
	     ROW(storage_s3, DUR_GO, "response_header_timeout", header_timeout, "0s",
		 "In which not a byte moves before a request is given up; 0: 30 s."),
	     ROW(storage_s3, DUR_GO, "timeout", timeout, "0s", "For one request; 0: 30 s and what its bytes take at 64 KiB/s."),
	     ROW(storage_s3, BOOL, "insecure_skip_verify", insecure_skip_verify, "false", "Do not check the server's certificate."),
	     ROW(storage_s3, STR, "ca_file", ca_file, "", "Certificates that the server's is checked against; empty: the system's."));

TABLE(static, backoff_table, storage_s3, "backoff_config",
	     ROW(storage_s3, DUR_GO, "min_period", backoff_min, "100ms", "Pause before the first repetition; it doubles.",
		 .min = 1000000, .max = INT64_C(3600000000000)),
	     ROW(storage_s3, DUR_GO, "max_period", backoff_max, "3s", "Longest pause.", .min = 1000000,
		 .max = INT64_C(3600000000000)),
	     ROW(storage_s3, INT, "max_retries", max_retries, "5", "How often a request is sent at most.", .min = 1, .max = 100));

TABLE(static, sse_table, storage_s3, "sse",
	     ROW(storage_s3, STR, "type", sse_type, "", "SSE-S3 or SSE-KMS; empty: as the bucket says."),
	     ROW(storage_s3, STR, "kms_key_id", kms_key_id, "", "Key of SSE-KMS."),
	     ROW(storage_s3, STR, "kms_encryption_context", kms_context, "", "Context of SSE-KMS, as JSON."));

TABLE(static, s3_table, storage_s3, "s3",
	     ROW(storage_s3, SECRET, "s3", url, "", "The bucket as s3://KEY:SECRET@REGION/BUCKET, s3://KEY:SECRET@HOST:PORT/BUCKET (plain HTTP), http://… or https://…; the other keys win."),
	     ROW(storage_s3, STR, "bucketnames", bucketnames, "", "Name of the bucket."),
	     ROW(storage_s3, STR, "endpoint", endpoint, "", "Host, or scheme://host:port, of the server; empty: AWS."),
	     ROW(storage_s3, STR, "region", region, "", "Empty: $AWS_REGION, $AWS_DEFAULT_REGION, us-east-1."),
	     ROW(storage_s3, STR, "access_key_id", access_key_id, "", "Empty: as AWS's tools find it: environment, web identity, credentials file, container, instance."),
	     ROW(storage_s3, SECRET, "secret_access_key", secret_access_key, "", "Belongs to access_key_id."),
	     ROW(storage_s3, SECRET, "session_token", session_token, "", "Of temporary keys."),
	     ROW(storage_s3, BOOL, "s3forcepathstyle", path_style, "false", "The bucket's name stands in the path rather than before the host; always so where the host is an address."),
	     ROW(storage_s3, BOOL, "insecure", insecure, "false", "An endpoint without scheme means http."),
	     ROW(storage_s3, STR, "signature_version", signature_version, "v4", "Must be v4."),
	     ROW(storage_s3, STR, "storage_class", storage_class, "STANDARD", "Class of new objects."),
	     PART("http_config", http_table), PART("backoff_config", backoff_table), PART("sse", sse_table),
	     REFUSED("sse_encryption", "Say sse: {type: SSE-S3}."), REFUSED("dynamodb", NO_OBJECT_STORE),
	     NOTHING("chunk_delimiter"), NOTHING("disable_dualstack"), NOTHING("list_objects_version"));

/* ---- the three blocks ---- */

TABLE(static, common_filesystem_table, storage, "common.storage.filesystem",
	     ROW(storage, STR, "chunks_directory", chunks_directory, "", "Where Loki keeps chunks; here the data directory lies beside it."),
	     NOTHING("rules_directory"));

TABLE(, storage_common_table, storage, "common.storage",
      {.key = "filesystem", .kind = CONF_OBJ, .sub = &common_filesystem_table, .doc = "", .set_off = offsetof(struct storage, has_common_fs)},
      {.key = "s3", .kind = CONF_OBJ, .off = offsetof(struct storage, common_s3), .sub = &s3_table, .doc = "", .set_off = offsetof(struct storage, has_common_s3)},
      REFUSED("gcs", NO_OBJECT_STORE), REFUSED("azure", NO_OBJECT_STORE), REFUSED("swift", NO_OBJECT_STORE),
      REFUSED("alibabacloud", NO_OBJECT_STORE), REFUSED("bos", NO_OBJECT_STORE), REFUSED("cos", NO_OBJECT_STORE),
      REFUSED("object_store", NO_OBJECT_STORE), NOTHING("hedging"), NOTHING("congestion_control"));

TABLE(static, filesystem_table, storage, "storage_config.filesystem",
	     ROW(storage, STR, "directory", directory, "", "Where Loki keeps chunks; here the data directory lies beside it."));

TABLE(, storage_config_table, storage, "storage_config", PART("filesystem", filesystem_table),
      {.key = "aws", .kind = CONF_OBJ, .off = offsetof(struct storage, aws), .sub = &s3_table, .doc = ""},
      ROW(storage, STR, "object_prefix", object_prefix, "", "Put before the names of all objects in a bucket."),
      REFUSED("gcs", NO_OBJECT_STORE), REFUSED("azure", NO_OBJECT_STORE), REFUSED("swift", NO_OBJECT_STORE),
      REFUSED("alibabacloud", NO_OBJECT_STORE), REFUSED("bos", NO_OBJECT_STORE), REFUSED("cos", NO_OBJECT_STORE),
      REFUSED("named_stores", "Describe the one bucket in storage_config.aws."),
      REFUSED("object_store", "Describe the bucket in storage_config.aws."), REFUSED("cassandra", NO_OBJECT_STORE),
      REFUSED("bigtable", NO_OBJECT_STORE), REFUSED("grpc_store", NO_OBJECT_STORE), NOTHING("use_thanos_objstore"),
      NOTHING("hedging"), NOTHING("congestion_control"), NOTHING("tsdb_shipper"), NOTHING("boltdb_shipper"), NOTHING("boltdb"),
      NOTHING("bloom_shipper"), NOTHING("index_queries_cache_config"), NOTHING("index_cache_validity"), NOTHING("disable_broad_index_queries"),
      NOTHING("max_parallel_get_chunk"), NOTHING("max_chunk_batch_size"));

struct period {
	struct str from, object_store;
};

TABLE(static, period_table, period, "schema_config.configs entry",
	     ROW(period, STR, "from", from, "", "Day on which the period begins, YYYY-MM-DD."),
	     ROW(period, STR, "object_store", object_store, "", "filesystem or s3."), NOTHING("store"), NOTHING("schema"),
	     NOTHING("index"), NOTHING("chunks"), NOTHING("row_shards"));

TABLE(, storage_schema_table, storage, "schema_config",
      {.key = "configs", .kind = CONF_LIST, .off = offsetof(struct storage, periods), .sub = &period_table, .doc = "Periods; the one in force says where objects are kept."});

/* ---- which kind of store ---- */

static bool is_described(const struct storage_s3 *s) { return s->bucketnames.n || s->url.n; }

/* The last period that has begun; if none has, the first. */
static bool period_in_force(const struct storage *s, int64_t now, const struct period **out, struct err *e)
{
	const struct period *v = s->periods.v;
	int64_t newest = INT64_MIN;
	*out = s->periods.n ? &v[0] : NULL;
	for (size_t i = 0; i < s->periods.n; i++) {
		char text[32];
		int64_t from;
		if (v[i].from.n != 10) return err_set(e, ERR_INVALID, "schema_config.configs[%zu].from: \"%.*s\" is no date; write YYYY-MM-DD", i, STR_ARG(v[i].from));
		memcpy(text, v[i].from.p, 10);
		strcpy(text + 10, "T00:00:00Z");
		if (!units_rfc3339(str_c(text), &from, e)) return err_wrap(e, "schema_config.configs[%zu].from", i);
		if (from > now || from < newest) continue;
		newest = from;
		*out = &v[i];
	}
	return true;
}

static bool choose(struct storage *s, int64_t now, struct err *e)
{
	const struct period *p;
	bool bucket = is_described(&s->aws) || is_described(&s->common_s3);
	if (s->has_common_fs && s->has_common_s3)
		return err_set(e, ERR_INVALID, "too many storage configs provided in the common config, please only define one storage backend (common.storage has filesystem and s3)");
	if (!period_in_force(s, now, &p, e)) return false;
	struct str kind = p ? p->object_store : STR("");
	if (!kind.n) {
		s->in_bucket = bucket;
		return true;
	}
	s->in_bucket = str_eqc(kind, "s3") || str_eqc(kind, "aws");
	if (!s->in_bucket && !str_eqc(kind, "filesystem"))
		return err_set(e, ERR_INVALID, "schema_config: object_store %.*s is not available here. " NO_OBJECT_STORE, STR_ARG(kind));
	if (s->in_bucket && !bucket)
		return err_set(e, ERR_INVALID, "schema_config has object_store: %.*s, but at least one bucket name must be specified: set common.storage.s3.bucketnames", STR_ARG(kind));
	return true;
}

/* ---- the bucket ---- */

struct from_url {
	struct str key, secret, host, bucket;
	const char *scheme; /* NULL: the host is a region */
};

static bool bad_url(struct err *e, const char *why)
{
	return err_set(e, ERR_INVALID, "the URL of the bucket (key s3): %s; write s3://KEY:SECRET@REGION/BUCKET, s3://KEY:SECRET@HOST:PORT/BUCKET, or an http or https URL", why);
}

static bool parse_url(struct str url, struct arena *a, struct from_url *u, struct err *e)
{
	*u = (struct from_url){0};
	ssize_t cut = str_find(url, STR("://"));
	if (cut < 0) return bad_url(e, "it has no scheme");
	struct str scheme = str_sub(url, 0, (size_t)cut), rest = str_from(url, (size_t)cut + 3), authority;
	str_cut(&rest, '/', &authority);
	ssize_t at = str_rchr(authority, '@');
	if (at >= 0) {
		struct str user, password = str_sub(authority, 0, (size_t)at);
		authority = str_from(authority, (size_t)at + 1);
		if (!str_cut(&password, ':', &user) || !user.n || !password.n)
			return bad_url(e, "it must have both an Access Key ID and a Secret Access Key, or neither");
		if (!url_decode(a, user, false, &u->key, e) || !url_decode(a, password, false, &u->secret, e)) return false;
	}
	u->host = authority;
	if (str_eqc(scheme, "https") || str_eqc(scheme, "http"))
		u->scheme = str_eqc(scheme, "https") ? "https" : "http";
	else if (!str_eqc(scheme, "s3"))
		return bad_url(e, "its scheme is none of s3, http, https");
	else if (str_chr(authority, '.') >= 0 || str_chr(authority, ':') >= 0)
		u->scheme = "http";
	str_cut(&rest, '?', &u->bucket);
	while (u->bucket.n && u->bucket.p[u->bucket.n - 1] == '/') u->bucket.n--;
	return true;
}

static const char *text(struct arena *a, struct str s) { return s.n ? arena_cstr(a, s) : NULL; }

static bool set_bucket_name(struct object_s3_config *b, struct str names, struct arena *a, struct err *e)
{
	if (!names.n) return err_set(e, ERR_INVALID, "at least one bucket name must be specified: set bucketnames");
	if (str_chr(names, ',') >= 0)
		return err_set(e, ERR_INVALID, "bucketnames: \"%.*s\": everything is kept in one bucket; name one", STR_ARG(names));
	if (str_chr(names, '/') >= 0)
		return err_set(e, ERR_INVALID, "\"%.*s\" is no bucket's name; what is to stand before all objects' names is storage_config.object_prefix", STR_ARG(names));
	b->s3.bucket = arena_cstr(a, names);
	return true;
}

static void set_place(struct object_s3_config *b, const struct storage_s3 *s, const struct from_url *u, struct arena *a,
		      const char *(*env)(const char *))
{
	const char *region = text(a, s->region);
	if (!region && u->host.n && !u->scheme) region = text(a, u->host);
	if (!region) region = env("AWS_REGION");
	if (!region || !*region) region = env("AWS_DEFAULT_REGION");
	b->s3.region = region && *region ? region : "us-east-1";
	if (s->endpoint.n && str_find(s->endpoint, STR("://")) >= 0)
		b->s3.endpoint = text(a, s->endpoint);
	else if (s->endpoint.n)
		b->s3.endpoint = arena_printf(a, "%s://%.*s", s->insecure ? "http" : "https", STR_ARG(s->endpoint)).p;
	else if (u->scheme && u->host.n)
		b->s3.endpoint = arena_printf(a, "%s://%.*s", u->scheme, STR_ARG(u->host)).p;
	b->s3.path_style = s->path_style;
}

static bool set_keys(struct object_s3_config *b, const struct storage_s3 *s, const struct from_url *u, struct arena *a,
		     struct err *e)
{
	struct str id = s->access_key_id.n ? s->access_key_id : u->key;
	struct str secret = s->secret_access_key.n ? s->secret_access_key : u->secret;
	if (!id.n != !secret.n)
		return err_set(e, ERR_INVALID, "must supply both an Access Key ID and Secret Access Key or neither: access_key_id and secret_access_key");
	b->s3.access_key_id = text(a, id);
	b->s3.secret_access_key = text(a, secret);
	b->s3.session_token = text(a, s->session_token);
	return true;
}

static bool set_encryption(struct object_s3_config *b, const struct storage_s3 *s, struct arena *a, struct err *e)
{
	if (str_eqc(s->sse_type, "SSE-S3"))
		b->sse = "AES256";
	else if (str_eqc(s->sse_type, "SSE-KMS"))
		b->sse = "aws:kms";
	else if (s->sse_type.n)
		return err_set(e, ERR_INVALID, "sse.type: \"%.*s\" is none of SSE-S3, SSE-KMS", STR_ARG(s->sse_type));
	bool kms = str_eqc(s->sse_type, "SSE-KMS");
	if (!kms && (s->kms_key_id.n || s->kms_context.n))
		return err_set(e, ERR_INVALID, "sse.kms_key_id and sse.kms_encryption_context belong to sse.type: SSE-KMS");
	b->kms_key = text(a, s->kms_key_id);
	b->kms_context = text(a, s->kms_context);
	return true;
}

static bool set_bucket(struct storage *st, const struct storage_s3 *s, struct arena *a, const char *(*env)(const char *),
		       struct err *e)
{
	struct object_s3_config *b = &st->bucket;
	struct from_url u = {0};
	if (s->url.n && !parse_url(s->url, a, &u, e)) return false;
	if (!str_eqc(s->signature_version, "v4"))
		return err_set(e, ERR_INVALID, "signature_version: \"%.*s\" is not available; set v4", STR_ARG(s->signature_version));
	set_place(b, s, &u, a, env);
	b->s3.prefix = arena_printf(a, "%.*s" OWN_PREFIX, STR_ARG(st->object_prefix)).p;
	b->s3.ca_file = text(a, s->ca_file);
	b->s3.insecure_skip_verify = s->insecure_skip_verify;
	b->s3.timeout_ns = s->timeout;
	b->s3.stall_timeout_ns = s->header_timeout;
	b->s3.idle_timeout_ns = s->idle_timeout;
	b->s3.backoff_min_ns = s->backoff_min;
	b->s3.backoff_max_ns = s->backoff_max;
	b->s3.max_tries = (unsigned)s->max_retries;
	b->storage_class = str_eqc(s->storage_class, "STANDARD") ? NULL : text(a, s->storage_class);
	return set_bucket_name(b, s->bucketnames.n ? s->bucketnames : u.bucket, a, e) && set_keys(b, s, &u, a, e) &&
	       set_encryption(b, s, a, e);
}

bool storage_resolve(struct storage *s, struct arena *a, int64_t now, const char *(*env)(const char *), struct err *e)
{
	if (!choose(s, now, e)) return false;
	if (!s->in_bucket) return true;
	bool aws = is_described(&s->aws);
	return set_bucket(s, aws ? &s->aws : &s->common_s3, a, env, e) ||
	       err_wrap(e, aws ? "storage_config.aws" : "common.storage.s3");
}
