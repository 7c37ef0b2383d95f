/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/codec.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <zstd.h>

#include <cmocka.h>

static const enum codec all[] = {CODEC_NONE, CODEC_SNAPPY, CODEC_ZSTD, CODEC_GZIP, CODEC_ZLIB, CODEC_DEFLATE, CODEC_LZ4};
#define N_ALL (sizeof all / sizeof *all)

/* Compressible, larger than any internal step. */
static struct buf sample(size_t n)
{
	struct buf b = {0};
	for (size_t i = 0; b.n < n; i++)
		buf_printf(&b, "line %zu level=%s\n", i * 7919 % 1000, i % 3 ? "info" : "error");
	b.n = n;
	return b;
}

static void round_trips(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 100, 70000, 3 << 20};
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		struct buf in = sample(sizes[s]);
		for (size_t i = 0; i < N_ALL; i++)
			for (int level = 0; level <= 3; level += 3) {
				struct err e = ERR_INIT;
				struct buf packed = {0}, out = {0};
				buf_c(&packed, "head");
				buf_c(&out, "before");
				assert_true(codec_compress(all[i], level, buf_view(&in), &packed, &e));
				struct str body = str_from(buf_view(&packed), 4);
				if (sizes[s] > 1000 && all[i] != CODEC_NONE) assert_true(body.n < in.n / 2);
				if (!codec_expand(all[i], body, in.n, &out, &e))
					fail_msg("codec %d: %s", (int)all[i], e.msg);
				assert_int_equal(out.n, in.n + 6);
				assert_memory_equal(out.p, "before", 6);
				assert_memory_equal(out.p + 6, in.n ? in.p : "", in.n);

				uint64_t n = 0;
				bool known = codec_expanded_size(all[i], body, &n);
				assert_int_equal(known, all[i] == CODEC_SNAPPY || all[i] == CODEC_ZSTD);
				if (known) assert_int_equal(n, in.n);
				buf_free(&packed);
				buf_free(&out);
			}
		buf_free(&in);
	}
}

static void enforces_max(void **state)
{
	(void)state;
	struct buf in = sample(100000);
	for (size_t i = 0; i < N_ALL; i++) {
		struct err e = ERR_INIT;
		struct buf packed = {0}, out = {0};
		buf_c(&out, "before");
		assert_true(codec_compress(all[i], 0, buf_view(&in), &packed, &e));
		assert_false(codec_expand(all[i], buf_view(&packed), in.n - 1, &out, &e));
		assert_int_equal(e.code, ERR_TOO_LARGE);
		assert_int_equal(out.n, 6);
		assert_true(out.cap <= 4 * in.n);
		assert_false(codec_expand(all[i], buf_view(&packed), 0, &out, &e));
		assert_int_equal(e.code, ERR_TOO_LARGE);
		buf_free(&packed);
		buf_free(&out);
	}
	buf_free(&in);
}

/* A header may announce any size; nothing of that size is allocated. */
static void refuses_lies(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct buf out = {0};
	assert_false(codec_expand(CODEC_SNAPPY,
				  STR("\xff\xff\xff\xff\x0f"
				      "abc"),
				  1 << 20, &out, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	assert_true(out.cap < 1 << 20);
	assert_false(codec_expand(CODEC_SNAPPY,
				  STR("\x64"
				      "abc"),
				  1 << 20, &out, &e));
	assert_int_equal(e.code, ERR_INVALID);
	assert_string_equal(e.msg, "snappy: corrupt input");
	buf_free(&out);
}

static void refuses_damage(void **state)
{
	(void)state;
	struct buf in = sample(5000);
	for (size_t i = 1; i < N_ALL; i++) {
		struct err e = ERR_INIT;
		struct buf packed = {0}, out = {0};
		assert_true(codec_compress(all[i], 0, buf_view(&in), &packed, &e));
		for (size_t cut = 0; cut < packed.n; cut += 1 + packed.n / 50) {
			e = ERR_INIT;
			if (codec_expand(all[i], str_of(packed.p, cut), 1 << 20, &out, &e))
				fail_msg("codec %d cut at %zu", (int)all[i], cut);
			assert_int_equal(e.code, ERR_INVALID);
			assert_int_equal(out.n, 0);
		}
		buf_c(&packed, "tail");
		assert_false(codec_expand(all[i], buf_view(&packed), 1 << 20, &out, &e));
		assert_int_equal(e.code, ERR_INVALID);
		buf_free(&packed);
		buf_free(&out);
	}
	buf_free(&in);
}

static void names_gzip_errors(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct buf packed = {0}, out = {0};
	assert_true(codec_compress(CODEC_GZIP, 0, STR("hello"), &packed, &e));
	packed.p[packed.n - 6] ^= 1;
	assert_false(codec_expand(CODEC_GZIP, buf_view(&packed), 100, &out, &e));
	assert_string_equal(e.msg, "gzip: invalid checksum");
	assert_false(codec_expand(CODEC_GZIP, STR("not gzip"), 100, &out, &e));
	assert_string_equal(e.msg, "unexpected EOF"); /* shorter than a header */
	assert_false(codec_expand(CODEC_GZIP, STR("not gzip at all"), 100, &out, &e));
	assert_string_equal(e.msg, "gzip: invalid header");
	assert_false(codec_expand(CODEC_GZIP, STR(""), 100, &out, &e));
	assert_string_equal(e.msg, "unexpected EOF");
	buf_free(&packed);
	buf_free(&out);
}

static void reads_many_members(void **state)
{
	(void)state;
	static const enum codec many[] = {CODEC_GZIP, CODEC_ZSTD, CODEC_LZ4};
	for (size_t i = 0; i < 3; i++) {
		struct err e = ERR_INIT;
		struct buf packed = {0}, out = {0};
		assert_true(codec_compress(many[i], 0, STR("one "), &packed, &e));
		assert_true(codec_compress(many[i], 0, STR(""), &packed, &e));
		assert_true(codec_compress(many[i], 0, STR("two"), &packed, &e));
		assert_true(codec_expand(many[i], buf_view(&packed), 7, &out, &e));
		assert_string_equal(buf_cstr(&out), "one two");
		assert_false(codec_expand(many[i], buf_view(&packed), 6, &out, &e));
		assert_int_equal(e.code, ERR_TOO_LARGE);
		buf_free(&packed);
		buf_free(&out);
	}
}

/* As a streaming compressor writes it: the frame does not say how long it is. */
static void reads_zstd_without_size(void **state)
{
	(void)state;
	struct buf in = sample(300000), out = {0};
	char *packed = mem_alloc(ZSTD_compressBound(in.n));
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	size_t n = ZSTD_compress2(c, packed, ZSTD_compressBound(in.n), in.p, in.n);
	ZSTD_freeCCtx(c);
	assert_false(ZSTD_isError(n));
	struct err e = ERR_INIT;
	uint64_t size;
	assert_false(codec_expanded_size(CODEC_ZSTD, str_of(packed, n), &size));
	if (!codec_expand(CODEC_ZSTD, str_of(packed, n), in.n, &out, &e)) fail_msg("%s", e.msg);
	assert_int_equal(out.n, in.n);
	assert_memory_equal(out.p, in.p, in.n);
	buf_clear(&out);
	assert_false(codec_expand(CODEC_ZSTD, str_of(packed, n), in.n - 1, &out, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	assert_false(codec_expand(CODEC_ZSTD, str_of(packed, n - 1), in.n, &out, &e));
	assert_int_equal(e.code, ERR_INVALID);
	free(packed);
	buf_free(&in);
	buf_free(&out);
}

static void *work(void *ud)
{
	(void)ud;
	struct buf in = sample(10000), packed = {0}, out = {0};
	struct err e = ERR_INIT;
	bool ok = codec_compress(CODEC_ZSTD, 0, buf_view(&in), &packed, &e) &&
		  codec_expand(CODEC_ZSTD, buf_view(&packed), in.n, &out, &e) && str_eq(buf_view(&in), buf_view(&out));
	buf_free(&in);
	buf_free(&packed);
	buf_free(&out);
	return ok ? ud : NULL;
}

static void works_in_threads(void **state)
{
	(void)state;
	pthread_t t[4];
	int mark;
	for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, work, &mark), 0);
	for (int i = 0; i < 4; i++) {
		void *r = NULL;
		pthread_join(t[i], &r);
		assert_ptr_equal(r, &mark);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(enforces_max),
		cmocka_unit_test(refuses_lies),
		cmocka_unit_test(refuses_damage),
		cmocka_unit_test(names_gzip_errors),
		cmocka_unit_test(reads_many_members),
		cmocka_unit_test(reads_zstd_without_size),
		cmocka_unit_test(works_in_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
