/* SPDX-License-Identifier: GPL-2.0-or-later */
/* codec: compress and expand whole buffers: snappy (block format), zstd, gzip, zlib, raw deflate, lz4 (frame
 * format).
 *
 * Expanding never asks for more than `max` bytes of output: a larger result is ERR_TOO_LARGE, known for
 * snappy and sized zstd frames from their header before anything is allocated; damaged or cut input is
 * ERR_INVALID, with the offset where known and, where Loki answers it, in Loki's words. gzip may have many
 * members, zstd and lz4 many frames; bytes behind the end are refused. Output is appended; after a failure it
 * is as it was. Stateless; any thread (zstd contexts are kept per thread). */
#ifndef LARCH_COMMON_CODEC_H
#define LARCH_COMMON_CODEC_H

#include "common/buf.h"
#include "common/err.h"

enum codec { CODEC_NONE, CODEC_SNAPPY, CODEC_ZSTD, CODEC_GZIP, CODEC_ZLIB, CODEC_DEFLATE, CODEC_LZ4 };

/* zstd for lines of logs that stay: searches less than level 7, and not for matches shorter than 6 bytes. In text that
 * repeats so much they cost more than the literals they replace: 1 % smaller than level 7, and a fifth faster. */
#define CODEC_LEVEL_LINES 100

/* level 0: the codec's default. */
bool codec_compress(enum codec c, int level, struct str in, struct buf *out, struct err *e);
bool codec_expand(enum codec c, struct str in, size_t max, struct buf *out, struct err *e);
/* Size after expansion as announced by a snappy block or the header of the first zstd frame; false: damaged
 * or unknown. */
bool codec_expanded_size(enum codec c, struct str in, uint64_t *n);

#endif
