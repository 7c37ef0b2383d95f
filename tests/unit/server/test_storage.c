/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Loki's three blocks say about where objects are kept. */
#include "server/storage.h"
#include "tests/unit/check.h"

#include "common/units.h"

#define NOW (INT64_C(1700000000) * UNITS_SEC) /* 2023-11-14 */

static const struct conf_field fields[] = {
	{.key = "common", .kind = CONF_OBJ, .sub = &storage_common_table, .doc = ""},
	{.key = "storage_config", .kind = CONF_OBJ, .sub = &storage_config_table, .doc = ""},
	{.key = "schema_config", .kind = CONF_OBJ, .sub = &storage_schema_table, .doc = ""},
	{0},
};
static const struct conf_table table = {"test", sizeof(struct storage), fields};

static const char *no_env(const char *name)
{
	(void)name;
	return NULL;
}

static const char *some_env(const char *name) { return strcmp(name, "AWS_DEFAULT_REGION") == 0 ? "eu-north-7" : NULL; }

static bool resolve(struct arena *a, const char *text, const char *(*env)(const char *), struct storage *s,
		    struct err *e)
{
	struct conf_ctx c = {.arena = a, .file = "f"};
	*e = ERR_INIT;
	memset(s, 0, sizeof *s);
	conf_defaults(&table, s, a);
	struct yaml *root = yaml_parse(a, arena_str(a, str_c(text)), e);
	return root && conf_decode(&table, root, s, &c, e) && storage_resolve(s, a, NOW, env, e);
}

static void check_opt(const char *got, const char *want)
{
	if (want)
		check_text(got ? got : "(none)", want);
	else
		check_text(got ? got : "", "");
}

static void places(void **state)
{
	(void)state;
	static const struct {
		const char *text, *endpoint, *region, *bucket, *key, *secret;
		bool path_style;
	} v[] = {
		{"common: {s3: {bucketnames: b, region: r1}}", NULL, "r1", "b", NULL, NULL, false},
		{"common: {s3: {bucketnames: b}}", NULL, "us-east-1", "b", NULL, NULL, false},
		{"common: {s3: {bucketnames: b, endpoint: 'h:9', s3forcepathstyle: true}}", "https://h:9", "us-east-1",
		 "b", NULL, NULL, true},
		{"common: {s3: {bucketnames: b, endpoint: 'h:9', insecure: true}}", "http://h:9", "us-east-1", "b",
		 NULL, NULL, false},
		{"common: {s3: {bucketnames: b, endpoint: 'http://h', access_key_id: k, secret_access_key: s}}",
		 "http://h", "us-east-1", "b", "k", "s", false},
		{"storage_config: {aws: {s3: 's3://K:S%2F%3A@eu-1/b'}}", NULL, "eu-1", "b", "K", "S/:", false},
		{"storage_config: {aws: {s3: 's3://eu-1/b'}}", NULL, "eu-1", "b", NULL, NULL, false},
		{"storage_config: {aws: {s3: 's3://K:S@h.x:9000/b/'}}", "http://h.x:9000", "us-east-1", "b", "K", "S",
		 false},
		{"storage_config: {aws: {s3: 'https://K:S@h.x/b', region: r}}", "https://h.x", "r", "b", "K", "S",
		 false},
		{"storage_config: {aws: {s3: 'https://K:S@h/b', bucketnames: other, endpoint: 'http://q'}}", "http://q",
		 "us-east-1", "other", "K", "S", false},
		{"{common: {s3: {bucketnames: c}}, storage_config: {aws: {bucketnames: a}}}", NULL, "us-east-1", "a",
		 NULL, NULL, false},
	};
	for (size_t i = 0; i < COUNT(v); i++) {
		struct storage s;
		struct arena a;
		struct err e;
		arena_init(&a, 0);
		if (!resolve(&a, v[i].text, no_env, &s, &e)) fail_msg("%s: %s", v[i].text, e.msg);
		assert_true(s.in_bucket);
		const struct s3_config *c = &s.bucket.s3;
		check_opt(c->endpoint, v[i].endpoint);
		check_text(c->region, v[i].region);
		check_text(c->bucket, v[i].bucket);
		check_opt(c->access_key_id, v[i].key);
		check_opt(c->secret_access_key, v[i].secret);
		check_text(c->prefix, "larch/");
		assert_int_equal(c->path_style, v[i].path_style);
		arena_free(&a);
	}
}

static void details(void **state)
{
	(void)state;
	struct storage s;
	struct arena a;
	struct err e;
	arena_init(&a, 0);
	bool ok = resolve(&a,
			  "common:\n  s3:\n    bucketnames: b\n    session_token: t\n    storage_class: STANDARD_IA\n"
			  "    sse: {type: SSE-KMS, kms_key_id: id, kms_encryption_context: '{}'}\n"
			  "    http_config: {timeout: 7s, response_header_timeout: 3s, insecure_skip_verify: true, "
			  "ca_file: /ca}\n"
			  "    backoff_config: {min_period: 20ms, max_period: 1s, max_retries: 9}\n"
			  "storage_config: {object_prefix: p/}\n",
			  some_env, &s, &e);
	if (!ok) fail_msg("%s", e.msg);
	const struct object_s3_config *b = &s.bucket;
	check_text(b->s3.region, "eu-north-7");
	check_text(b->s3.session_token, "t");
	check_text(b->s3.prefix, "p/larch/");
	check_text(b->s3.ca_file, "/ca");
	assert_true(b->s3.insecure_skip_verify);
	assert_int_equal(b->s3.timeout_ns, 7 * UNITS_SEC);
	assert_int_equal(b->s3.stall_timeout_ns, 3 * UNITS_SEC);
	assert_int_equal(b->s3.idle_timeout_ns, 90 * UNITS_SEC);
	assert_int_equal(b->s3.backoff_min_ns, 20 * UNITS_MS);
	assert_int_equal(b->s3.backoff_max_ns, UNITS_SEC);
	assert_int_equal(b->s3.max_tries, 9);
	check_text(b->storage_class, "STANDARD_IA");
	check_text(b->sse, "aws:kms");
	check_text(b->kms_key, "id");
	check_text(b->kms_context, "{}");
	arena_free(&a);
}

#define S3                "common: {s3: {bucketnames: b}}\n"
#define HERE(from, store) "{from: " from ", object_store: " store "}"

static void the_period_in_force_decides(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool bucket;
	} v[] = {
		{"{}", false},
		{"schema_config: {configs: [" HERE("2020-01-01", "filesystem") "]}", false},
		{S3, true},
		{S3 "schema_config: {configs: [" HERE("2020-01-01", "filesystem") "]}", false},
		{S3 "schema_config: {configs: [" HERE("2020-01-01", "s3") "]}", true},
		{S3 "schema_config: {configs: [" HERE("2020-01-01", "aws") "]}", true},
		{S3 "schema_config: {configs: [" HERE("2020-01-01", "filesystem") ", " HERE("2022-01-01", "s3") "]}",
		 true},
		{S3 "schema_config: {configs: [" HERE("2022-01-01", "s3") ", " HERE("2020-01-01", "filesystem") "]}",
		 true},
		{S3 "schema_config: {configs: [" HERE("2020-01-01", "filesystem") ", " HERE("2030-01-01", "s3") "]}",
		 false},
		{S3 "schema_config: {configs: [" HERE("2030-01-01", "s3") "]}", true},
		{S3 "schema_config: {configs: [{from: 2020-01-01}]}", true},
	};
	for (size_t i = 0; i < COUNT(v); i++) {
		struct storage s;
		struct arena a;
		struct err e;
		arena_init(&a, 0);
		if (!resolve(&a, v[i].text, no_env, &s, &e)) fail_msg("%s: %s", v[i].text, e.msg);
		if (s.in_bucket != v[i].bucket) fail_msg("%s", v[i].text);
		arena_free(&a);
	}
}

static void refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} v[] = {
		{"common: {s3: {bucketnames: b}, filesystem: {chunks_directory: /x}}", "too many storage configs"},
		{"schema_config: {configs: [" HERE("2020-01-01", "s3") "]}",
		 "at least one bucket name must be specified"},
		{"schema_config: {configs: [" HERE("2020-01-01", "gcs") "]}", "object_store gcs is not available"},
		{"schema_config: {configs: [" HERE("soon", "s3") "]}", "\"soon\" is no date"},
		{"common: {s3: {bucketnames: 'a,b'}}", "everything is kept in one bucket"},
		{"common: {s3: {bucketnames: 'a/b'}}", "object_prefix"},
		{"common: {s3: {bucketnames: b, access_key_id: x}}", "must supply both"},
		{"common: {s3: {bucketnames: b, signature_version: v2}}", "signature_version"},
		{"common: {s3: {bucketnames: b, sse: {type: SSE-C}}}", "sse.type"},
		{"common: {s3: {bucketnames: b, sse: {kms_key_id: x}}}", "SSE-KMS"},
		{"common: {s3: {s3: 'ftp://h/b'}}", "its scheme is none of"},
		{"common: {s3: {s3: 's3://K@h/b'}}", "or neither"},
		{"common: {s3: {s3: 's3://eu-1/'}}", "at least one bucket name"},
		{"common: {s3: {s3: 's3://%zz:s@eu-1/b'}}", "%zz"},
		{"storage_config: {named_stores: {aws: {x: {}}}}", "storage_config.aws"},
		{"common: {s3: {bucketname: b}}", "bucketnames"},
	};
	for (size_t i = 0; i < COUNT(v); i++) {
		struct storage s;
		struct arena a;
		struct err e;
		arena_init(&a, 0);
		if (resolve(&a, v[i].text, no_env, &s, &e)) fail_msg("%s: taken", v[i].text);
		if (!strstr(e.msg, v[i].says)) fail_msg("%s: %s", v[i].text, e.msg);
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(details),
		cmocka_unit_test(the_period_in_force_decides),
		cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
