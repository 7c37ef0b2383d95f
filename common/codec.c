/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/codec.h"

#include <limits.h>
#include <lz4frame.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

static bool too_large(struct err *e, size_t max)
{
	return err_set(e, ERR_TOO_LARGE, "the expanded data is larger than %zu bytes", max);
}

static bool damaged(struct err *e, const char *what, size_t off)
{
	err_set(e, ERR_INVALID, "%s", what);
	e->off = (long)off;
	return false;
}

/* ---- none ---- */

static bool copy(int level, struct str in, struct buf *out, struct err *e)
{
	(void)level, (void)e;
	buf_str(out, in);
	return true;
}

static bool copy_expand(struct str in, size_t max, struct buf *out, struct err *e)
{
	if (in.n > max) return too_large(e, max);
	buf_str(out, in);
	return true;
}

/* ---- snappy ---- */

static bool snappy_compress_to(int level, struct str in, struct buf *out, struct err *e)
{
	(void)level;
	if (in.n > UINT32_MAX)
		return err_set(e, ERR_TOO_LARGE, "%zu bytes are more than a snappy block can hold", in.n);
	size_t n = snappy_max_compressed_length(in.n);
	buf_reserve(out, n);
	if (snappy_compress(in.n ? in.p : "", in.n, out->p + out->n, &n) != SNAPPY_OK)
		return err_set(e, ERR_INTERNAL, "snappy cannot compress %zu bytes", in.n);
	out->n += n;
	return true;
}

static bool snappy_expand(struct str in, size_t max, struct buf *out, struct err *e)
{
	size_t n;
	if (!in.n || snappy_uncompressed_length(in.p, in.n, &n) != SNAPPY_OK)
		return damaged(e, "snappy: corrupt input", 0);
	if (n > max) return too_large(e, max);
	buf_reserve(out, n + 1); /* never a null pointer */
	if (snappy_uncompress(in.p, in.n, out->p + out->n, &n) != SNAPPY_OK)
		return damaged(e, "snappy: corrupt input", 0);
	out->n += n;
	return true;
}

/* ---- zstd ---- */

struct zstd_contexts {
	ZSTD_CCtx *c;
	ZSTD_CCtx *lines; /* CODEC_LEVEL_LINES */
	ZSTD_DCtx *d;
};

static pthread_key_t zstd_key;
static pthread_once_t zstd_once = PTHREAD_ONCE_INIT;

static void zstd_free(void *v)
{
	struct zstd_contexts *z = v;
	ZSTD_freeCCtx(z->c);
	ZSTD_freeCCtx(z->lines);
	ZSTD_freeDCtx(z->d);
	free(z);
}

static void zstd_init(void)
{
	if (pthread_key_create(&zstd_key, zstd_free) != 0) abort();
}

/* This thread's; freed when it ends. */
static struct zstd_contexts *zstd_contexts(void)
{
	pthread_once(&zstd_once, zstd_init);
	struct zstd_contexts *z = pthread_getspecific(zstd_key);
	if (!z) {
		z = mem_zalloc(sizeof *z);
		pthread_setspecific(zstd_key, z);
	}
	return z;
}

/* Tables of 2^17 entries stay in the second-level cache; larger ones cost more time than they save space. */
static ZSTD_CCtx *zstd_lines_context(void)
{
	static const struct {
		ZSTD_cParameter key;
		int value;
	} rows[] = {
		{ZSTD_c_compressionLevel, 7}, {ZSTD_c_strategy, ZSTD_lazy}, {ZSTD_c_minMatch, 6},
		{ZSTD_c_searchLog, 3},        {ZSTD_c_hashLog, 17},          {ZSTD_c_chainLog, 17},
	};
	ZSTD_CCtx *c = ZSTD_createCCtx();
	for (size_t i = 0; c && i < sizeof rows / sizeof *rows; i++)
		ZSTD_CCtx_setParameter(c, rows[i].key, rows[i].value);
	return c;
}

static bool zstd_compress(int level, struct str in, struct buf *out, struct err *e)
{
	struct zstd_contexts *z = zstd_contexts();
	bool lines = level == CODEC_LEVEL_LINES;
	ZSTD_CCtx **c = lines ? &z->lines : &z->c;
	if (!*c && !(*c = lines ? zstd_lines_context() : ZSTD_createCCtx()))
		return err_set(e, ERR_INTERNAL, "zstd: out of memory");
	size_t bound = ZSTD_compressBound(in.n), n;
	buf_reserve(out, bound);
	char *to = out->p + out->n;
	if (lines)
		n = ZSTD_compress2(*c, to, bound, in.p, in.n);
	else
		n = ZSTD_compressCCtx(*c, to, bound, in.p, in.n, level ? level : ZSTD_CLEVEL_DEFAULT);
	if (ZSTD_isError(n)) return err_set(e, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
	out->n += n;
	return true;
}

/* A frame that does not announce its size. */
static bool zstd_stream_frame(ZSTD_DCtx *d, struct str frame, size_t max, struct buf *out, struct err *e, size_t off)
{
	int window_log = 10; /* a window larger than the output may be is never needed */
	while (window_log < 27 && (size_t)1 << window_log < max) window_log++;
	ZSTD_DCtx_reset(d, ZSTD_reset_session_and_parameters);
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, window_log);
	ZSTD_inBuffer in = {frame.p, frame.n, 0};
	size_t left = max;
	for (;;) {
		size_t step = ZSTD_DStreamOutSize();
		if (step > left + 1) step = left + 1; /* one more than allowed shows that there is more */
		buf_reserve(out, step);
		ZSTD_outBuffer o = {out->p + out->n, step, 0};
		size_t r = ZSTD_decompressStream(d, &o, &in);
		if (ZSTD_isError(r)) {
			err_set(e, ERR_INVALID, "zstd: %s", ZSTD_getErrorName(r));
			e->off = (long)(off + in.pos);
			return false;
		}
		if (o.pos > left) return too_large(e, max);
		out->n += o.pos;
		left -= o.pos;
		if (r == 0) return true;
		if (in.pos == in.size && o.pos < step) return damaged(e, "zstd: unexpected end of input", off + in.pos);
	}
}

static bool zstd_expand(struct str in, size_t max, struct buf *out, struct err *e)
{
	struct zstd_contexts *z = zstd_contexts();
	if (!z->d && !(z->d = ZSTD_createDCtx())) return err_set(e, ERR_INTERNAL, "zstd: out of memory");
	size_t start = out->n, off = 0;
	do {
		struct str rest = str_from(in, off);
		size_t n = ZSTD_findFrameCompressedSize(rest.p, rest.n), room = max - (out->n - start);
		unsigned long long size = ZSTD_getFrameContentSize(rest.p, rest.n);
		if (ZSTD_isError(n) || size == ZSTD_CONTENTSIZE_ERROR)
			return damaged(e, "zstd: invalid or cut frame", off);
		rest.n = n;
		if (size == ZSTD_CONTENTSIZE_UNKNOWN) {
			if (!zstd_stream_frame(z->d, rest, room, out, e, off)) return false;
		} else {
			if (size > room) return too_large(e, max);
			buf_reserve(out, (size_t)size + 1);
			size_t got = ZSTD_decompressDCtx(z->d, out->p + out->n, (size_t)size, rest.p, rest.n);
			if (ZSTD_isError(got)) return damaged(e, "zstd: damaged frame", off);
			out->n += got;
		}
		off += n;
	} while (off < in.n);
	return true;
}

/* ---- lz4 (frame format) ---- */

static bool lz4_compress(int level, struct str in, struct buf *out, struct err *e)
{
	LZ4F_preferences_t prefs = {.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled,
				    .compressionLevel = level};
	size_t bound = LZ4F_compressFrameBound(in.n, &prefs);
	buf_reserve(out, bound);
	size_t n = LZ4F_compressFrame(out->p + out->n, bound, in.n ? in.p : "", in.n, &prefs);
	if (LZ4F_isError(n)) return err_set(e, ERR_INTERNAL, "lz4: %s", LZ4F_getErrorName(n));
	out->n += n;
	return true;
}

/* One frame after the other, until the input ends at the end of one. */
static bool lz4_frames(LZ4F_dctx *d, struct str in, size_t max, struct buf *out, struct err *e)
{
	size_t pos = 0, left = max;
	for (;;) {
		size_t step = in.n * 4 < 4096 ? 4096 : in.n * 4;
		if (step > 1 << 18) step = 1 << 18;
		if (step > left + 1) step = left + 1; /* one more than allowed shows that there is more */
		buf_reserve(out, step);
		size_t got = step, read = in.n - pos;
		size_t r = LZ4F_decompress(d, out->p + out->n, &got, in.p + pos, &read, NULL);
		if (LZ4F_isError(r)) {
			err_set(e, ERR_INVALID, "lz4: %s", LZ4F_getErrorName(r));
			e->off = (long)pos;
			return false;
		}
		pos += read;
		if (got > left) return too_large(e, max);
		out->n += got;
		left -= got;
		if (r == 0 && pos == in.n) return true;
		if (r != 0 && pos == in.n && got < step) return damaged(e, "lz4: unexpected end of input", pos);
	}
}

static bool lz4_expand(struct str in, size_t max, struct buf *out, struct err *e)
{
	LZ4F_dctx *d;
	if (in.n == 0) return damaged(e, "lz4: unexpected end of input", 0);
	if (LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
		return err_set(e, ERR_INTERNAL, "lz4: out of memory");
	bool ok = lz4_frames(d, in, max, out, e);
	LZ4F_freeDecompressionContext(d);
	return ok;
}

/* ---- zlib: gzip, zlib, raw deflate differ in the window bits ---- */

enum { RAW = -MAX_WBITS, ZLIB = MAX_WBITS, GZIP = MAX_WBITS + 16 };

/* zlib counts in unsigned int. */
static unsigned piece(size_t n) { return n > UINT_MAX / 2 ? UINT_MAX / 2 : (unsigned)n; }

static bool zlib_compress(int window_bits, int level, struct str in, struct buf *out, struct err *e)
{
	z_stream z = {0};
	if (deflateInit2(&z, level ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return err_set(e, ERR_INTERNAL, "zlib cannot compress at level %d", level);
	size_t pos = 0;
	int r;
	do {
		unsigned n = piece(in.n - pos), room = piece(deflateBound(&z, n) + 64);
		buf_reserve(out, room);
		z.next_in = (Bytef *)(uintptr_t)(in.p + pos);
		z.avail_in = n;
		z.next_out = (Bytef *)out->p + out->n;
		z.avail_out = room;
		r = deflate(&z, pos + n == in.n ? Z_FINISH : Z_NO_FLUSH);
		pos += n - z.avail_in;
		out->n += room - z.avail_out;
	} while (r == Z_OK || r == Z_BUF_ERROR);
	deflateEnd(&z);
	return r == Z_STREAM_END || err_set(e, ERR_INTERNAL, "zlib failed with status %d", r);
}

static bool zlib_damaged(struct err *e, const z_stream *z, int window_bits, size_t off)
{
	const char *msg = z->msg ? z->msg : "invalid data";
	if (window_bits == GZIP && strstr(msg, "header")) return damaged(e, "gzip: invalid header", off);
	if (window_bits == GZIP && strstr(msg, "check")) return damaged(e, "gzip: invalid checksum", off);
	err_set(e, ERR_INVALID, "%s: %s at byte %zu",
		window_bits == GZIP  ? "gzip"
		: window_bits == RAW ? "deflate"
				     : "zlib",
		msg, off);
	e->off = (long)off;
	return false;
}

/* At the end of a stream: true when another gzip member is to be read. */
static bool next_member(z_stream *z, int window_bits, size_t pos, size_t n)
{
	return window_bits == GZIP && pos < n && inflateReset(z) == Z_OK;
}

static bool inflate_all(z_stream *z, int window_bits, struct str in, size_t max, struct buf *out, struct err *e)
{
	size_t pos = 0, left = max;
	for (;;) {
		size_t step = in.n * 4 < 4096 ? 4096 : in.n * 4;
		if (step > 1 << 20) step = 1 << 20;
		if (step > left + 1) step = left + 1; /* one more than allowed shows that there is more */
		buf_reserve(out, step);
		z->next_out = (Bytef *)out->p + out->n;
		z->avail_out = (unsigned)step;
		z->next_in = (Bytef *)(uintptr_t)(in.p + pos);
		z->avail_in = piece(in.n - pos);
		unsigned given = z->avail_in;
		int r = inflate(z, Z_NO_FLUSH);
		pos += given - z->avail_in;
		size_t got = step - z->avail_out;
		if (got > left) return too_large(e, max);
		out->n += got;
		left -= got;
		if (r == Z_STREAM_END) {
			if (next_member(z, window_bits, pos, in.n)) continue;
			return pos == in.n || damaged(e, "data after the end of the compressed stream", pos);
		}
		if (r != Z_OK && r != Z_BUF_ERROR) return zlib_damaged(e, z, window_bits, pos);
		if (pos == in.n && z->avail_out) return damaged(e, "unexpected EOF", pos);
	}
}

static bool zlib_expand(int window_bits, struct str in, size_t max, struct buf *out, struct err *e)
{
	z_stream z = {0};
	if (inflateInit2(&z, window_bits) != Z_OK) return err_set(e, ERR_INTERNAL, "zlib: out of memory");
	bool ok = inflate_all(&z, window_bits, in, max, out, e);
	inflateEnd(&z);
	return ok;
}

static bool gzip_compress(int level, struct str in, struct buf *out, struct err *e)
{
	return zlib_compress(GZIP, level, in, out, e);
}
static bool gzip_expand(struct str in, size_t max, struct buf *out, struct err *e)
{
	enum { HEADER = 10 }; /* read whole before any of it is looked at */
	if (in.n < HEADER) return damaged(e, "unexpected EOF", in.n);
	return zlib_expand(GZIP, in, max, out, e);
}
static bool zlib_compress_to(int level, struct str in, struct buf *out, struct err *e)
{
	return zlib_compress(ZLIB, level, in, out, e);
}
static bool zlib_expand_to(struct str in, size_t max, struct buf *out, struct err *e)
{
	return zlib_expand(ZLIB, in, max, out, e);
}
static bool raw_compress(int level, struct str in, struct buf *out, struct err *e)
{
	return zlib_compress(RAW, level, in, out, e);
}
static bool raw_expand(struct str in, size_t max, struct buf *out, struct err *e)
{
	return zlib_expand(RAW, in, max, out, e);
}

/* ---- the table ---- */

static const struct {
	bool (*compress)(int level, struct str in, struct buf *out, struct err *e);
	bool (*expand)(struct str in, size_t max, struct buf *out, struct err *e);
} codecs[] = {
	[CODEC_NONE] = {copy, copy_expand},
	[CODEC_SNAPPY] = {snappy_compress_to, snappy_expand},
	[CODEC_ZSTD] = {zstd_compress, zstd_expand},
	[CODEC_GZIP] = {gzip_compress, gzip_expand},
	[CODEC_ZLIB] = {zlib_compress_to, zlib_expand_to},
	[CODEC_DEFLATE] = {raw_compress, raw_expand},
	[CODEC_LZ4] = {lz4_compress, lz4_expand},
};

bool codec_compress(enum codec c, int level, struct str in, struct buf *out, struct err *e)
{
	return codecs[c].compress(level, in, out, e);
}

bool codec_expand(enum codec c, struct str in, size_t max, struct buf *out, struct err *e)
{
	size_t start = out->n;
	if (codecs[c].expand(in, max, out, e)) return true;
	out->n = start;
	return false;
}

bool codec_expanded_size(enum codec c, struct str in, uint64_t *n)
{
	if (c == CODEC_SNAPPY) {
		size_t size;
		if (!in.n || snappy_uncompressed_length(in.p, in.n, &size) != SNAPPY_OK) return false;
		*n = size;
		return true;
	}
	if (c != CODEC_ZSTD) return false;
	unsigned long long size = ZSTD_getFrameContentSize(in.p, in.n);
	if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) return false;
	*n = size;
	return true;
}
