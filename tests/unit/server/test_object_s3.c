/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects in a bucket, with a server that goes wrong in every way that ours must stand. */
#include "server/store/object_s3.h"
#include "tests/unit/server/fake_s3.h"
#include "tests/unit/server/store_util.h"

#include "common/units.h"

struct bucket {
	struct fake_s3 f;
	struct object_s3_config c;
	struct object_store *s;
	char dir[64];
};

static void start(struct bucket *b)
{
	memset(b, 0, sizeof *b);
	fake_s3_start(&b->f);
	strcpy(b->dir, "/tmp/larch-s3-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->c = (struct object_s3_config){.s3 = {.bucket = "b",
						.region = "r",
						.endpoint = b->f.url,
						.prefix = "p/",
						.access_key_id = "key",
						.secret_access_key = "secret",
						.backoff_min_ns = UNITS_MS,
						.backoff_max_ns = 2 * UNITS_MS,
						.clock = &clock_real},
					 .spool_dir = b->dir,
					 .fs = &fs_real};
}

static void start_open(struct bucket *b)
{
	start(b);
	MUST(b->s = object_s3_open(&b->c, must));
}

static void stop(struct bucket *b)
{
	object_close(b->s);
	fake_s3_stop(&b->f);
	remove_tree(b->dir);
}

static void fill(struct buf *b, size_t n)
{
	uint64_t x = 88172645463325252u;
	buf_reserve(b, n + 8);
	while (b->n < n) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		buf_le64(b, x);
	}
	b->n = n;
}

static void check_object(struct bucket *b, const char *name, struct str want)
{
	struct fake_object *o;
	assert_true(FAKE(&b->f, (o = fake_find(&b->f, str_c(name))) && str_eq(buf_view(&o->data), want)));
}

struct names {
	struct buf text;
	size_t n, stop_at;
};

static bool add_name(void *ud, const struct object_info *o)
{
	struct names *l = ud;
	buf_printf(&l->text, "%.*s:%llu ", STR_ARG(o->name), (unsigned long long)o->size);
	assert_true(o->mtime == INT64_C(1767323045678000000));
	return ++l->n != l->stop_at;
}

static bool add_dir(void *ud, struct str name)
{
	struct names *l = ud;
	buf_printf(&l->text, "%.*s ", STR_ARG(name));
	return ++l->n != l->stop_at;
}

static void objects_are_put_listed_read_and_removed(void **state)
{
	struct bucket b;
	struct err e = ERR_INIT;
	struct buf got = {0};
	struct names l = {0};
	(void)state;
	start_open(&b);
	MUST(object_put(b.s, STR("t%2F/segments/b"), STR("two"), true, must));
	MUST(object_put(b.s, STR("t/segments/a"), STR("one!"), false, must));
	MUST(object_put(b.s, STR("t/catalog/1"), STR(""), true, must));
	check_object(&b, "p/t%2F/segments/b", STR("two"));
	for (size_t page = 1; page < 4; page += 2) { /* one key a page, and all on one */
		FAKE(&b.f, b.f.page = page);
		MUST(object_list(b.s, STR(""), add_name, &l, must));
		check_buf(&l.text, "t%2F/segments/b:3 t/catalog/1:0 t/segments/a:4 ");
		MUST(object_dirs(b.s, STR(""), add_dir, &l, must));
		check_buf(&l.text, "t%2F t ");
		MUST(object_dirs(b.s, STR("t/"), add_dir, &l, must));
		check_buf(&l.text, "catalog segments ");
	}
	MUST(object_list(b.s, STR("t/seg"), add_name, &l, must));
	check_buf(&l.text, "t/segments/a:4 ");
	l.stop_at = l.n + 1;
	MUST(object_list(b.s, STR("t/"), add_name, &l, must));
	check_buf(&l.text, "t/catalog/1:0 ");

	MUST(object_get(b.s, STR("t/segments/a"), 1, 2, &got, must));
	MUST(object_get(b.s, STR("t/segments/a"), 2, 2, &got, must));
	check_buf(&got, "nee!");
	MUST(b.s->ops->get(b.s, STR("t/segments/a"), 3, 100, &got, must));
	check_buf(&got, "!");
	MUST(b.s->ops->get(b.s, STR("t/segments/a"), 4, 100, &got, must));
	check_buf(&got, "");
	assert_false(object_get(b.s, STR("t/segments/a"), 2, 3, &got, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
	e = ERR_INIT;
	assert_false(object_read(b.s, STR("t/segments/none"), 100, &got, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	e = ERR_INIT;
	assert_false(object_read(b.s, STR("t/segments/a"), 3, &got, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	e = ERR_INIT;
	assert_false(object_put(b.s, STR("t/segments/a"), STR("other"), true, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	MUST(object_put(b.s, STR("t/segments/a"), STR("other"), false, must));
	MUST(object_read(b.s, STR("t/segments/a"), 100, &got, must));
	check_buf(&got, "other");
	MUST(object_remove(b.s, STR("t/segments/a"), must));
	MUST(object_remove(b.s, STR("t/segments/a"), must));
	assert_int_equal(FAKE(&b.f, b.f.n), 2);
	buf_free(&got);
	buf_free(&l.text);
	stop(&b);
}

static bool put_pieces(struct bucket *b, const char *name, struct str data, size_t piece, bool if_absent, struct err *e)
{
	struct object_upload *u = b->s->ops->begin(b->s, str_c(name), e);
	for (size_t at = 0; at < data.n; at += piece)
		assert_true(b->s->ops->append(u, str_sub(data, at, at + piece < data.n ? at + piece : data.n), e));
	return b->s->ops->commit(u, if_absent, e);
}

static void large_ones_come_from_a_file_and_in_parts(void **state)
{
	struct bucket b;
	struct err e = ERR_INIT;
	struct buf data = {0};
	struct fs_list left;
	(void)state;
	start(&b);
	b.c.multipart_bytes = 5u << 20;
	MUST(b.s = object_s3_open(&b.c, must));
	fill(&data, (12u << 20) + 12345);
	if (!put_pieces(&b, "file", str_sub(buf_view(&data), 0, 4u << 20), 300000, true, &e)) fail_msg("%s", e.msg);
	check_object(&b, "p/file", str_sub(buf_view(&data), 0, 4u << 20));
	assert_int_equal(FAKE(&b.f, b.f.puts), 1);
	if (!put_pieces(&b, "parts", buf_view(&data), 777777, true, &e)) fail_msg("%s", e.msg);
	check_object(&b, "p/parts", buf_view(&data));
	assert_int_equal(FAKE(&b.f, b.f.puts), 1);

	/* Parts are tried again like everything else. */
	fake_s3_fail(&b.f, FAULT_HANG_UP, "partNumber=2", 2);
	if (!put_pieces(&b, "parts2", buf_view(&data), 1u << 20, false, &e)) fail_msg("%s", e.msg);
	check_object(&b, "p/parts2", buf_view(&data));
	/* The answer to the last step is lost: the upload is gone, the object is there. */
	fake_s3_fail(&b.f, FAULT_LOSE, "POST /b/p/parts3?uploadId=", 1);
	if (!put_pieces(&b, "parts3", buf_view(&data), 1u << 20, true, &e)) fail_msg("%s", e.msg);
	check_object(&b, "p/parts3", buf_view(&data));
	/* An error that comes with status 200, once and for good. */
	FAKE(&b.f, b.f.code = "InternalError");
	fake_s3_fail(&b.f, FAULT_ERROR_200, "POST /b/p/parts4?uploadId=", 1);
	if (!put_pieces(&b, "parts4", buf_view(&data), 1u << 20, true, &e)) fail_msg("%s", e.msg);
	FAKE(&b.f, b.f.code = "InvalidPart");
	fake_s3_fail(&b.f, FAULT_ERROR_200, "POST /b/p/parts5?uploadId=", 1);
	assert_false(put_pieces(&b, "parts5", buf_view(&data), 1u << 20, true, &e));
	assert_non_null(strstr(e.msg, "InvalidPart"));
	assert_int_equal(FAKE(&b.f, b.f.aborted), 1);
	assert_null(FAKE(&b.f, fake_find(&b.f, STR("p/parts5"))));

	struct object_upload *u = b.s->ops->begin(b.s, STR("given-up"), &e);
	assert_true(b.s->ops->append(u, buf_view(&data), &e));
	b.s->ops->abort(u);
	assert_true(fs_list(b.dir, &left, &e));
	assert_int_equal(left.n, 0); /* the files have no names */
	fs_list_free(&left);
	buf_free(&data);
	stop(&b);
}

static void what_passes_is_tried_again(void **state)
{
	static const enum fault faults[] = {FAULT_LOSE,     FAULT_HANG_UP, FAULT_SLOW_DOWN,
					    FAULT_TRUNCATE, FAULT_SHORT,   FAULT_SHIFT};
	struct bucket b;
	struct buf got = {0};
	struct names l = {0};
	(void)state;
	start_open(&b);
	for (size_t i = 0; i < COUNT(faults); i++) {
		char name[32];
		snprintf(name, sizeof name, "o%zu", i);
		fake_s3_fail(&b.f, faults[i], NULL, 4);
		MUST(object_put(b.s, str_c(name), STR("0123456789"), false, must));
		fake_s3_fail(&b.f, faults[i], NULL, 4);
		MUST(object_get(b.s, str_c(name), 2, 5, &got, must));
		check_buf(&got, "23456");
		fake_s3_fail(&b.f, faults[i], NULL, 3);
		MUST(object_read(b.s, str_c(name), 10, &got, must));
		check_buf(&got, "0123456789");
		fake_s3_fail(&b.f, faults[i], NULL, 4);
		MUST(object_list(b.s, str_c(name), add_name, &l, must));
		buf_clear(&l.text);
		fake_s3_fail(&b.f, faults[i], NULL, 4);
		MUST(object_remove(b.s, str_c(name), must));
	}
	fake_s3_fail(&b.f, FAULT_NONE, NULL, 0);
	buf_free(&got);
	buf_free(&l.text);
	stop(&b);
}

static void but_not_for_ever(void **state)
{
	static const enum fault faults[] = {FAULT_HANG_UP, FAULT_SLOW_DOWN, FAULT_SHORT, FAULT_SHIFT};
	struct bucket b;
	struct buf got = {0};
	(void)state;
	start_open(&b);
	MUST(object_put(b.s, STR("o"), STR("0123456789"), false, must));
	for (size_t i = 0; i < COUNT(faults); i++) {
		struct err e = ERR_INIT;
		fake_s3_fail(&b.f, faults[i], NULL, 1000);
		unsigned before = FAKE(&b.f, b.f.requests);
		assert_false(object_get(b.s, STR("o"), 2, 5, &got, &e));
		assert_int_equal(e.code, ERR_IO);
		assert_in_range(FAKE(&b.f, b.f.requests) - before, 5,
				6); /* libcurl repeats one on a kept connection itself */
		assert_non_null(strstr(e.msg, "bucket b, GetObject p/o: 5 tries: "));
		assert_int_equal(got.n, 0);
	}
	buf_free(&got);
	stop(&b);
}

static void put_if_absent_holds_when_answers_are_lost(void **state)
{
	struct bucket b;
	struct err e = ERR_INIT;
	struct buf data = {0};
	(void)state;
	start_open(&b);
	fill(&data, 3u << 20); /* compared in pieces */
	fake_s3_fail(&b.f, FAULT_LOSE, "PUT", 1);
	MUST(object_put(b.s, STR("mine"), STR("mine"), true, must));
	fake_s3_fail(&b.f, FAULT_LOSE, "PUT", 1);
	MUST(object_put(b.s, STR("large"), buf_view(&data), true, must));
	check_object(&b, "p/large", buf_view(&data));

	/* Somebody else was first, and our attempt was lost on its way: of another length, and of the same. */
	pthread_mutex_lock(&b.f.mu);
	fake_put(&b.f, STR("p/theirs"), STR("theirs"));
	pthread_mutex_unlock(&b.f.mu);
	static const char *const tries[] = {"ours", "ours!!"};
	for (size_t i = 0; i < COUNT(tries); i++) {
		fake_s3_fail(&b.f, FAULT_HANG_UP, "PUT", 1);
		e = ERR_INIT;
		assert_false(object_put(b.s, STR("theirs"), str_c(tries[i]), true, &e));
		assert_int_equal(e.code, ERR_EXISTS);
		check_object(&b, "p/theirs", STR("theirs"));
	}

	/* Every answer is lost, but the first attempt was carried out. */
	fake_s3_fail(&b.f, FAULT_LOSE, "PUT", 1000);
	MUST(object_put(b.s, STR("silent"), STR("s"), true, must));
	/* No attempt was. */
	fake_s3_fail(&b.f, FAULT_HANG_UP, "PUT", 1000);
	e = ERR_INIT;
	assert_false(object_put(b.s, STR("never"), STR("s"), true, &e));
	assert_int_equal(e.code, ERR_IO);
	/* Nor can it be found out. */
	fake_s3_fail(&b.f, FAULT_HANG_UP, NULL, 1000);
	e = ERR_INIT;
	assert_false(object_put(b.s, STR("never"), STR("s"), true, &e));
	assert_int_equal(e.code, ERR_IO);
	buf_free(&data);
	stop(&b);
}

static void errors_say_what_to_do(void **state)
{
	static const struct {
		int status;
		const char *code, *says;
		enum err_code err;
	} v[] = {
		{403, "SignatureDoesNotMatch", "secret_access_key does not belong", ERR_IO},
		{403, "InvalidAccessKeyId", "does not know this access_key_id", ERR_IO},
		{403, "AccessDenied", "s3:PutObject", ERR_IO},
		{403, "RequestTimeTooSkewed", "clock", ERR_IO},
		{404, "NoSuchBucket", "create the bucket", ERR_IO},
		{301, "PermanentRedirect", "set region: eu-far-1", ERR_IO},
		{403, "QuotaExceeded", "quota", ERR_IO},
		{404, "NoSuchKey", "as told", ERR_NOT_FOUND},
		{404, "", "HTTP 404", ERR_IO}, /* of something that is no S3: the object may well be there */
		{200, NULL, "", ERR_IO},
	};
	struct bucket b;
	struct buf got = {0};
	(void)state;
	start_open(&b);
	for (size_t i = 0; v[i].code; i++) {
		struct err e = ERR_INIT;
		FAKE(&b.f, b.f.status = v[i].status);
		FAKE(&b.f, b.f.code = v[i].code);
		fake_s3_fail(&b.f, FAULT_ERROR, NULL, 1);
		unsigned before = FAKE(&b.f, b.f.requests);
		assert_false(object_read(b.s, STR("k"), 10, &got, &e));
		if (!strstr(e.msg, v[i].says) || !strstr(e.msg, "S3 bucket b, GetObject p/k") ||
		    !strstr(e.msg, v[i].code))
			fail_msg("%s: %s", v[i].code, e.msg);
		assert_int_equal(e.code, v[i].err);
		assert_int_equal(FAKE(&b.f, b.f.requests) - before, 1);
	}
	stop(&b);
}

static bool any(void *ud, const struct object_info *o)
{
	(void)ud, (void)o;
	return true;
}

static void listings_that_make_no_sense_are_errors(void **state)
{
	struct bucket b;
	struct err e = ERR_INIT;
	(void)state;
	start_open(&b);
	FAKE(&b.f, b.f.endless_list = true);
	assert_false(object_list(b.s, STR(""), any, NULL, &e));
	assert_non_null(strstr(e.msg, "does not say where to go on"));
	FAKE(&b.f, b.f.endless_list = false);
	FAKE(&b.f, b.f.code = "no listing");
	fake_s3_fail(&b.f, FAULT_ERROR_200, NULL, 1000);
	e = ERR_INIT;
	assert_false(object_list(b.s, STR(""), any, NULL, &e));
	assert_non_null(strstr(e.msg, "is this the endpoint of an S3 server?"));
	stop(&b);
}

static void a_bucket_without_put_if_absent(void **state)
{
	(void)state;
	for (int refuse = 0; refuse < 2; refuse++) {
		struct bucket b;
		struct err e = ERR_INIT;
		start_open(&b);
		FAKE(&b.f, b.f.ignore_conditions = !refuse);
		FAKE(&b.f, b.f.refuse_conditions = refuse);
		assert_false(object_s3_check(b.s, &e));
		assert_non_null(strstr(e.msg, "larch.single_writer: true"));
		assert_int_equal(FAKE(&b.f, b.f.n), 0); /* the probe is gone */
		object_close(b.s);

		b.c.single_writer = true;
		MUST(b.s = object_s3_open(&b.c, must));
		MUST(object_s3_check(b.s, must));
		MUST(object_put(b.s, STR("o"), STR("1"), true, must));
		e = ERR_INIT;
		assert_false(object_put(b.s, STR("o"), STR("2"), true, &e));
		assert_int_equal(e.code, ERR_EXISTS);
		check_object(&b, "p/o", STR("1"));
		stop(&b);
	}
}

static void a_good_bucket_passes_and_is_tidied(void **state)
{
	struct bucket b;
	struct err e = ERR_INIT;
	(void)state;
	start_open(&b);
	FAKE(&b.f, b.f.uploading = true);
	FAKE(&b.f,
	     b.f.initiated =
		     "<ListMultipartUploadsResult><Upload><Key>p/old</Key><UploadId>id/1</UploadId>"
		     "<Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload><Upload><Key>p/new</Key><UploadId>id/"
		     "2</UploadId>"
		     "<Initiated>2999-01-01T00:00:00.000Z</Initiated></Upload><Upload><Key>other/old</"
		     "Key><UploadId>id/3</UploadId>"
		     "<Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>");
	MUST(object_s3_check(b.s, must));
	assert_int_equal(FAKE(&b.f, b.f.aborted), 1);
	assert_int_equal(FAKE(&b.f, b.f.n), 0);
	FAKE(&b.f, b.f.status = 403);
	FAKE(&b.f, b.f.code = "AccessDenied");
	fake_s3_fail(&b.f, FAULT_ERROR, "PUT", 1);
	assert_false(object_s3_check(b.s, &e));
	assert_non_null(strstr(e.msg, "AccessDenied"));
	stop(&b);
}

static void what_is_put_carries_the_headers_asked_for(void **state)
{
	struct bucket b;
	(void)state;
	start(&b);
	b.c.storage_class = "STANDARD_IA";
	b.c.sse = "aws:kms";
	b.c.kms_key = "k1";
	b.c.kms_context = "{}";
	b.c.s3.session_token = "tok";
	MUST(b.s = object_s3_open(&b.c, must));
	MUST(object_put(b.s, STR("o"), STR("1"), true, must));
	static const char *const want[] = {"x-amz-storage-class: STANDARD_IA",
					   "x-amz-server-side-encryption: aws:kms",
					   "x-amz-server-side-encryption-aws-kms-key-id: k1",
					   "x-amz-server-side-encryption-context: e30=",
					   "x-amz-security-token: tok",
					   "If-None-Match: *",
					   "/r/s3/aws4_request"};
	for (size_t i = 0; i < COUNT(want); i++) {
		if (!FAKE(&b.f, strstr(b.f.headers, want[i]))) fail_msg("no \"%s\"", want[i]);
	}
	stop(&b);
}

static void the_bucket_may_stand_before_the_host(void **state)
{
	struct bucket b;
	char endpoint[64], host[64];
	(void)state;
	start(&b);
	const char *port = strrchr(b.f.url, ':');
	snprintf(endpoint, sizeof endpoint, "http://localhost%s/", port);
	snprintf(host, sizeof host, "b.localhost%s", port);
	b.c.s3.endpoint = endpoint;
	MUST(b.s = object_s3_open(&b.c, must));
	MUST(object_put(b.s, STR("o"), STR("1"), true, must));
	assert_int_equal(FAKE(&b.f, strcmp(b.f.host, host)), 0);
	assert_int_equal(FAKE(&b.f, strcmp(b.f.target, "/p/o")), 0);
	object_close(b.s);
	b.c.s3.path_style = true;
	MUST(b.s = object_s3_open(&b.c, must));
	MUST(object_remove(b.s, STR("o"), must));
	assert_int_equal(FAKE(&b.f, strcmp(b.f.target, "/b/p/o")), 0);
	stop(&b);
}

static void a_dead_server_is_named(void **state)
{
	struct bucket b;
	struct err e = ERR_INIT;
	struct buf got = {0};
	(void)state;
	start(&b);
	b.c.s3.endpoint = "http://127.0.0.1:1";
	MUST(b.s = object_s3_open(&b.c, must));
	assert_false(object_read(b.s, STR("o"), 10, &got, &e));
	assert_int_equal(e.code, ERR_IO);
	assert_non_null(strstr(e.msg, "127.0.0.1:1"));
	stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_put_listed_read_and_removed),
		cmocka_unit_test(large_ones_come_from_a_file_and_in_parts),
		cmocka_unit_test(what_passes_is_tried_again),
		cmocka_unit_test(but_not_for_ever),
		cmocka_unit_test(put_if_absent_holds_when_answers_are_lost),
		cmocka_unit_test(errors_say_what_to_do),
		cmocka_unit_test(listings_that_make_no_sense_are_errors),
		cmocka_unit_test(a_bucket_without_put_if_absent),
		cmocka_unit_test(a_good_bucket_passes_and_is_tidied),
		cmocka_unit_test(what_is_put_carries_the_headers_asked_for),
		cmocka_unit_test(the_bucket_may_stand_before_the_host),
		cmocka_unit_test(a_dead_server_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
