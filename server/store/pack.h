/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pack: arrays of unsigned 64-bit integers, frame of reference and bit-packed (docs/FORMATS.md, Packed integers).
 *
 * Sub-blocks of 256 values, each with its own minimum and bit width, so that one outlier widens 256 values and
 * no more. About 1 ns a value either way. Pure; any thread. Decoding checks every length: damaged bytes give
 * false, never an access outside the slice. */
#ifndef LARCH_SERVER_STORE_PACK_H
#define LARCH_SERVER_STORE_PACK_H

#include "common/buf.h"

void pack_u64(struct buf *b, const uint64_t *v, size_t n);
/* Reads exactly n values and shortens *in by what they took. */
bool unpack_u64(struct str *in, uint64_t *v, size_t n);

/* Timestamps: the first, then differences divided by the largest of 1, 10^3, 10^6, 10^9 that divides them all. */
void pack_times(struct buf *b, const int64_t *ts, size_t n);
bool unpack_times(struct str *in, int64_t *ts, size_t n);

#endif
