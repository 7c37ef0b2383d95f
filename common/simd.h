/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simd: sixteen bytes at once, with GCC's vectors: SSE2 on x86-64, NEON on arm64, plain code elsewhere. */
#ifndef LARCH_COMMON_SIMD_H
#define LARCH_COMMON_SIMD_H

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef uint8_t v16 __attribute__((vector_size(16)));

static inline v16 v16_load(const char *p)
{
	v16 v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline v16 v16_splat(uint8_t c) { return (v16){0} + c; }

/* All bits of a byte where both agree. */
static inline v16 v16_eq(v16 v, uint8_t c) { return (v16)(v == v16_splat(c)); }

/* One bit per byte, from its top bit; bit 0 is the first byte. */
static inline unsigned v16_mask(v16 v)
{
#ifdef __SSE2__
	return (unsigned)_mm_movemask_epi8((__m128i)v);
#else
	uint64_t half[2];
	unsigned out = 0;
	memcpy(half, &v, sizeof half);
	for (int i = 0; i < 2; i++)
		out |= (unsigned)((((half[i] & 0x8080808080808080u) >> 7) * 0x0102040810204080u) >> 56) << (8 * i);
	return out;
#endif
}

#endif
