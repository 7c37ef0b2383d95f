/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where keys come from, in which order, and when they are fetched anew. */
#include "server/store/s3_creds.h"
#include "tests/unit/check.h"

#include "common/httpd.h"
#include "common/units.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define START (INT64_C(1700000000) * UNITS_SEC) /* 2023-11-14T22:13:20Z */

/* The endpoints of a container, an instance and STS in one, and an environment. */
static struct {
	struct httpd *h;
	char base[64], file[64], token_file[64];
	_Atomic int calls, broken, minutes; /* how long keys live */
	const char *env[16][2];
	size_t nenv;
} t;

static const char *env(const char *name)
{
	for (size_t i = 0; i < t.nenv; i++) {
		if (strcmp(t.env[i][0], name) == 0) return t.env[i][1];
	}
	return NULL;
}

static void set(const char *name, const char *value)
{
	assert_in_range(t.nenv, 0, COUNT(t.env) - 1);
	t.env[t.nenv][0] = name;
	t.env[t.nenv++][1] = value;
}

static void expiration(struct buf *b) { units_rfc3339_print(b, START + t.minutes * UNITS_MIN); }

static bool is_broken(struct httpd_req *r)
{
	t.calls++;
	if (t.broken) httpd_reply_text(r, 500, STR("out of order"));
	return t.broken;
}

static void reply_json(struct httpd_req *r, const char *id)
{
	struct buf b = {0};
	buf_printf(&b,
		   "{\"Code\": \"Success\", \"x\": {\"AccessKeyId\": \"no\"}, \"AccessKeyId\": \"%s%d\", "
		   "\"SecretAccessKey\": \"s\\u002f1\", \"Token\": \"tok\", \"Expiration\": \"",
		   id, (int)t.calls);
	expiration(&b);
	buf_c(&b, "\"}");
	httpd_reply(r, 200, "application/json", &b);
}

static void on_container(struct httpd_req *r, void *ctx)
{
	(void)ctx;
	if (is_broken(r)) return;
	if (str_eqc(httpd_header(r, "Authorization"), "Bearer abc"))
		reply_json(r, "container");
	else
		httpd_reply_text(r, 401, STR("who are you?"));
}

static void on_token(struct httpd_req *r, void *ctx)
{
	(void)ctx;
	if (is_broken(r)) return;
	assert_true(httpd_header(r, "X-aws-ec2-metadata-token-ttl-seconds").n > 0);
	httpd_reply_text(r, 200, STR("imds-token"));
}

static void on_roles(struct httpd_req *r, void *ctx)
{
	(void)ctx;
	assert_true(str_eqc(httpd_header(r, "X-aws-ec2-metadata-token"), "imds-token"));
	httpd_reply_text(r, 200, STR("role-1\nrole-2\n"));
}

static void on_role(struct httpd_req *r, void *ctx)
{
	(void)ctx;
	assert_true(str_eqc(httpd_header(r, "X-aws-ec2-metadata-token"), "imds-token"));
	reply_json(r, "instance");
}

static void on_sts(struct httpd_req *r, void *ctx)
{
	struct buf b = {0};
	(void)ctx;
	if (is_broken(r)) return;
	struct str body = httpd_body(r);
	if (str_find(body, STR("WebIdentityToken=jwt%2F1")) < 0 || str_find(body, STR("RoleArn=arn%3Ax")) < 0) {
		httpd_reply_text(r, 400, body);
		return;
	}
	buf_printf(&b,
		   "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
		   "<AccessKeyId>web%d</AccessKeyId><SecretAccessKey>ws</SecretAccessKey><SessionToken>wt</"
		   "SessionToken><Expiration>",
		   (int)t.calls);
	expiration(&b);
	buf_c(&b, "</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
	httpd_reply(r, 200, "text/xml", &b);
}

static const struct httpd_route routes[] = {
	{"GET", "/container", on_container, 0, "container"},
	{"PUT", "/latest/api/token", on_token, 100, "token"},
	{"GET", "/latest/meta-data/iam/security-credentials/", on_roles, 0, "roles"},
	{"GET", "/latest/meta-data/iam/security-credentials/role-1", on_role, 0, "role"},
	{"POST", "/", on_sts, 10000, "sts"},
};

static int setup(void **state)
{
	struct httpd_config c = {.address = "127.0.0.1", .prefix = "", .routes = routes, .nroutes = COUNT(routes)};
	struct err e = ERR_INIT;
	(void)state;
	t.h = httpd_start(&c, &e);
	if (!t.h) return -1;
	snprintf(t.base, sizeof t.base, "http://127.0.0.1:%u", httpd_port(t.h));
	strcpy(t.file, "/tmp/larch-creds-XXXXXX");
	strcpy(t.token_file, "/tmp/larch-token-XXXXXX");
	close(mkstemp(t.file));
	close(mkstemp(t.token_file));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	httpd_stop(t.h, UNITS_SEC);
	return unlink(t.file) || unlink(t.token_file);
}

static int fresh(void **state)
{
	(void)state;
	t.nenv = 0;
	t.calls = t.broken = 0;
	t.minutes = 60;
	return 0;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct s3_creds *open_creds(struct clock_fake *clock, const char *id)
{
	clock_fake_init(clock, START, 1);
	return s3_creds_new(&(struct s3_creds_config){
		.id = id, .secret = id ? "cs" : NULL, .region = "r", .env = env, .clock = &clock->base});
}

static void check_key(struct s3_creds *c, const char *id, const char *secret, const char *token)
{
	struct err e = ERR_INIT;
	struct s3_key *k = s3_creds_get(c, &e);
	if (!k) fail_msg("%s", e.msg);
	check_text(k->id, id);
	check_text(k->secret, secret);
	check_text(k->token ? k->token : "-", token);
	s3_key_unref(k);
}

static void check_none(struct s3_creds *c, const char *says)
{
	struct err e = ERR_INIT;
	struct s3_key *k = s3_creds_get(c, &e);
	assert_null(k);
	if (!strstr(e.msg, says)) fail_msg("%s", e.msg);
	assert_int_equal(e.code, ERR_IO);
}

/* Each source hides the ones after it. */
static void in_order(void **state)
{
	struct clock_fake clock;
	char url[128];
	(void)state;
	put(t.file, "# nothing\n[other]\naws_access_key_id = no\n[ default ]\naws_access_key_id=file1\n"
		    "aws_secret_access_key = fs = 1 \n; end\n[last]\naws_access_key_id=no");
	put(t.token_file, "jwt/1\n");
	snprintf(url, sizeof url, "%s/container", t.base);
	struct s3_creds *c = open_creds(&clock, NULL);
	set("AWS_EC2_METADATA_DISABLED", "true");
	check_none(c, "no S3 credentials: set access_key_id");
	t.nenv = 0;
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", t.base);
	check_key(c, "instance1", "s/1", "tok");
	s3_creds_free(c);

	set("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
	c = open_creds(&clock, NULL);
	check_none(c, "who are you?");
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer abc\n");
	clock_fake_step(&clock, 20 * UNITS_SEC);
	check_key(c, "container3", "s/1", "tok");
	s3_creds_free(c);

	set("AWS_SHARED_CREDENTIALS_FILE", t.file);
	c = open_creds(&clock, NULL);
	check_key(c, "file1", "fs = 1", "-");
	s3_creds_free(c);

	set("AWS_WEB_IDENTITY_TOKEN_FILE", t.token_file);
	set("AWS_ROLE_ARN", "arn:x");
	set("AWS_ENDPOINT_URL_STS", t.base);
	c = open_creds(&clock, NULL);
	check_key(c, "web4", "ws", "wt");
	s3_creds_free(c);

	set("AWS_ACCESS_KEY_ID", "env1");
	c = open_creds(&clock, NULL);
	check_none(c, "go together");
	set("AWS_SECRET_ACCESS_KEY", "es");
	set("AWS_SESSION_TOKEN", "et");
	clock_fake_step(&clock, 20 * UNITS_SEC);
	check_key(c, "env1", "es", "et");
	s3_creds_free(c);

	c = open_creds(&clock, "conf1");
	check_key(c, "conf1", "cs", "-");
	s3_creds_free(c);
}

static void a_file_that_is_named_must_be_right(void **state)
{
	struct clock_fake clock;
	(void)state;
	set("AWS_EC2_METADATA_DISABLED", "true");
	set("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/at/all");
	struct s3_creds *c = open_creds(&clock, NULL);
	check_none(c, "/nowhere/at/all"); /* and it is ERR_IO, not a missing object */
	s3_creds_free(c);
	t.nenv = 0;
	put(t.file, "[default]\naws_access_key_id=x\naws_secret_access_key=y\n");
	set("AWS_SHARED_CREDENTIALS_FILE", t.file);
	set("AWS_PROFILE", "prod");
	c = open_creds(&clock, NULL);
	check_none(c, "profile \"prod\" has no");
	s3_creds_free(c);
}

static void keys_are_renewed_before_they_expire(void **state)
{
	struct clock_fake clock;
	(void)state;
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", t.base);
	struct s3_creds *c = open_creds(&clock, NULL);
	check_key(c, "instance1", "s/1", "tok");
	clock_fake_step(&clock, 54 * UNITS_MIN);
	check_key(c, "instance1", "s/1", "tok");
	t.minutes = 180;
	clock_fake_step(&clock, 2 * UNITS_MIN);
	check_key(c, "instance2", "s/1", "tok");
	clock_fake_step(&clock, 100 * UNITS_MIN);
	check_key(c, "instance2", "s/1", "tok");

	/* While that fails, the old one serves until it expires. */
	t.broken = 1;
	clock_fake_step(&clock, 22 * UNITS_MIN); /* 178 of 180 minutes */
	check_key(c, "instance2", "s/1", "tok");
	int calls = t.calls;
	check_key(c, "instance2", "s/1", "tok");
	assert_int_equal(t.calls, calls); /* not with every request */
	clock_fake_step(&clock, 3 * UNITS_MIN);
	check_none(c, "out of order");
	t.broken = 0;
	t.minutes = 300;
	clock_fake_step(&clock, 20 * UNITS_SEC);
	struct err e = ERR_INIT;
	struct s3_key *k = s3_creds_get(c, &e);
	assert_non_null(k);

	/* The server knows better. */
	calls = t.calls;
	s3_creds_reject(c, k);
	s3_key_unref(k);
	s3_key_unref(s3_creds_get(c, &e));
	assert_int_equal(t.calls, calls + 1);
	s3_creds_free(c);
}

static void files_are_read_again(void **state)
{
	struct clock_fake clock;
	(void)state;
	put(t.file, "[default]\naws_access_key_id=one\naws_secret_access_key=y\naws_session_token=z\n");
	set("AWS_SHARED_CREDENTIALS_FILE", t.file);
	struct s3_creds *c = open_creds(&clock, NULL);
	check_key(c, "one", "y", "z");
	put(t.file, "[default]\naws_access_key_id=two\naws_secret_access_key=y\n");
	check_key(c, "one", "y", "z");
	clock_fake_step(&clock, 61 * UNITS_SEC);
	check_key(c, "two", "y", "-");
	s3_creds_free(c);
}

static void *get_many(void *ud)
{
	for (int i = 0; i < 100; i++) {
		struct err e = ERR_INIT;
		struct s3_key *k = s3_creds_get(ud, &e);
		if (!k) return NULL;
		s3_key_unref(k);
	}
	return ud;
}

static void threads_fetch_once(void **state)
{
	struct clock_fake clock;
	pthread_t threads[8];
	(void)state;
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", t.base);
	struct s3_creds *c = open_creds(&clock, NULL);
	for (size_t i = 0; i < COUNT(threads); i++) assert_int_equal(pthread_create(&threads[i], NULL, get_many, c), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *ok;
		pthread_join(threads[i], &ok);
		assert_non_null(ok);
	}
	assert_int_equal(t.calls, 1);
	s3_creds_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(in_order, fresh),
		cmocka_unit_test_setup(a_file_that_is_named_must_be_right, fresh),
		cmocka_unit_test_setup(keys_are_renewed_before_they_expire, fresh),
		cmocka_unit_test_setup(files_are_read_again, fresh),
		cmocka_unit_test_setup(threads_fetch_once, fresh),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
