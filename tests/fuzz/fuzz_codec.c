/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first byte picks the codec. What expands stays below the limit and survives compressing. */
#include "common/codec.h"

#include <stdlib.h>

enum { MAX_EXPANDED = 256 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok) abort();
}

static void round_trip(enum codec c, struct str in)
{
	struct buf packed = {0}, out = {0};
	struct err e = ERR_INIT;
	check(codec_compress(c, 0, in, &packed, &e));
	check(codec_expand(c, buf_view(&packed), in.n, &out, &e));
	check(str_eq(buf_view(&out), in));
	if (in.n) check(!codec_expand(c, buf_view(&packed), in.n - 1, &out, &e) && e.code == ERR_TOO_LARGE);
	buf_free(&packed);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size) return 0;
	enum codec c = data[0] % (CODEC_LZ4 + 1);
	struct str in = str_of((const char *)data + 1, size - 1);
	struct buf out = {0};
	struct err e = ERR_INIT;
	uint64_t announced;
	bool known = codec_expanded_size(c, in, &announced);
	bool ok = codec_expand(c, in, MAX_EXPANDED, &out, &e);
	check(out.n <= MAX_EXPANDED && out.cap <= 4 * MAX_EXPANDED);
	check(ok || (out.n == 0 && e.code != ERR_NONE && e.msg[0]));
	if (ok && known && c == CODEC_SNAPPY) check(announced == out.n);
	if (ok) round_trip(c, buf_view(&out));
	round_trip(c, in);
	buf_free(&out);
	return 0;
}
