/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/pack.h"

#define SUB 256

static inline void store64(char *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	memcpy(p, &v, 8);
}

/* Above 56 bits a value that starts inside a byte no longer fits one 64-bit load. */
static unsigned width_of(uint64_t max)
{
	unsigned w = max ? 64 - (unsigned)__builtin_clzll(max) : 0;
	return w > 56 ? 64 : w;
}

static void pack_sub(struct buf *b, const uint64_t *v, size_t n)
{
	uint64_t min = v[0], max = v[0];
	for (size_t i = 1; i < n; i++) {
		if (v[i] < min) min = v[i];
		if (v[i] > max) max = v[i];
	}
	unsigned w = width_of(max - min);
	buf_varint(b, min);
	buf_u8(b, (uint8_t)w);
	size_t bytes = (n * w + 7) / 8;
	buf_reserve(b, bytes + 8);
	char *p = b->p + b->n;
	memset(p, 0, bytes + 8);
	for (size_t i = 0, bit = 0; i < n; i++, bit += w) {
		char *at = p + bit / 8;
		store64(at, le64_at(at) | (v[i] - min) << (bit % 8));
	}
	b->n += bytes;
}

void pack_u64(struct buf *b, const uint64_t *v, size_t n)
{
	for (size_t i = 0; i < n; i += SUB) pack_sub(b, v + i, n - i < SUB ? n - i : SUB);
}

static bool unpack_sub(struct str *in, uint64_t *v, size_t n)
{
	uint64_t min;
	uint8_t w;
	struct str bits;
	if (!rd_varint(in, &min) || !rd_u8(in, &w) || w > 64 || (w > 56 && w < 64)) return false;
	if (!rd_bytes(in, (n * w + 7) / 8, &bits)) return false;
	if (w == 0) {
		for (size_t i = 0; i < n; i++) v[i] = min;
		return true;
	}
	uint64_t mask = w == 64 ? UINT64_MAX : (UINT64_C(1) << w) - 1;
	/* Whole loads as long as 8 bytes are left, then from a padded copy of the last bytes. */
	size_t i = 0, bit = 0, whole = bits.n >= 8 ? bits.n - 8 : 0;
	if (bits.n >= 8) {
		for (; i < n && bit / 8 <= whole; i++, bit += w)
			v[i] = min + (le64_at(bits.p + bit / 8) >> (bit % 8) & mask);
	}
	char tail[24] = {0};
	size_t from = bits.n > 8 ? bits.n - 8 : 0;
	memcpy(tail, bits.p + from, bits.n - from);
	for (; i < n; i++, bit += w) v[i] = min + (le64_at(tail + (bit / 8 - from)) >> (bit % 8) & mask);
	return true;
}

bool unpack_u64(struct str *in, uint64_t *v, size_t n)
{
	for (size_t i = 0; i < n; i += SUB) {
		if (!unpack_sub(in, v + i, n - i < SUB ? n - i : SUB)) return false;
	}
	return true;
}

static const int64_t scales[] = {1, 1000, 1000000, 1000000000};

static uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0); }
static int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1 ^ (0 - (v & 1))); }

/* Differences wrap around, as does their sum, so any two timestamps will do; those that wrap are not divided. */
static unsigned scale_of(const int64_t *ts, size_t n)
{
	unsigned s = 3;
	for (size_t i = 1; i < n && s > 0; i++) {
		int64_t d;
		if (__builtin_sub_overflow(ts[i], ts[i - 1], &d)) return 0;
		while (s > 0 && d % scales[s] != 0) s--;
	}
	return s;
}

void pack_times(struct buf *b, const int64_t *ts, size_t n)
{
	uint64_t d[SUB] = {0};
	unsigned s = scale_of(ts, n);
	buf_zigzag(b, n ? ts[0] : 0);
	buf_u8(b, (uint8_t)s);
	for (size_t i = 1; i < n;) {
		size_t k = 0;
		for (; k < SUB && i < n; k++, i++) {
			int64_t diff = (int64_t)((uint64_t)ts[i] - (uint64_t)ts[i - 1]);
			d[k] = zigzag(s ? diff / scales[s] : diff);
		}
		pack_sub(b, d, k);
	}
}

bool unpack_times(struct str *in, int64_t *ts, size_t n)
{
	uint64_t d[SUB];
	uint8_t s;
	int64_t first;
	if (!rd_zigzag(in, &first) || !rd_u8(in, &s) || s > 3) return false;
	if (n == 0) return true;
	uint64_t t = (uint64_t)first, mul = (uint64_t)scales[s];
	ts[0] = first;
	for (size_t i = 1; i < n;) {
		size_t k = n - i < SUB ? n - i : SUB;
		if (!unpack_sub(in, d, k)) return false;
		for (size_t j = 0; j < k; j++) ts[i++] = (int64_t)(t += (uint64_t)unzigzag(d[j]) * mul);
	}
	return true;
}
