/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/digest.h"

#include "common/buf.h"
#include "common/log.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>

static uint32_t rotl(uint32_t v, unsigned n) { return v << n | v >> (32 - n); }
static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum order { LITTLE, BIG }; /* of bytes in the length and the digest */

/* Feeds s to a function of 64-byte blocks, padded with 0x80, zeros, and the length in bits. */
static void blocks(struct str s, uint32_t *state, enum order order,
		   void (*block)(uint32_t *state, const unsigned char *p))
{
	unsigned char last[128] = {0};
	size_t i = 0;
	for (; i + 64 <= s.n; i += 64) block(state, (const unsigned char *)s.p + i);
	size_t rest = s.n - i, padded = rest < 56 ? 64 : 128;
	if (rest) memcpy(last, s.p + i, rest);
	last[rest] = 0x80;
	for (unsigned k = 0; k < 8; k++)
		last[order == BIG ? padded - 1 - k : padded - 8 + k] = (unsigned char)((uint64_t)s.n * 8 >> 8 * k);
	for (size_t k = 0; k < padded; k += 64) block(state, last + k);
}

static void give(const uint32_t *state, size_t words, enum order order, unsigned char *out)
{
	for (size_t i = 0; i < words * 4; i++)
		out[i] = (unsigned char)(state[i / 4] >> 8 * (order == BIG ? 3 - i % 4 : i % 4));
}

static const uint32_t md5_k[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
	0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
	0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
	0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const unsigned char md5_r[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};

static void md5_block(uint32_t *state, const unsigned char *p)
{
	uint32_t m[16], a = state[0], b = state[1], c = state[2], d = state[3];
	for (int i = 0; i < 16; i++) m[i] = __builtin_bswap32(be32(p + 4 * i));
	for (unsigned i = 0; i < 64; i++) {
		uint32_t f, word;
		if (i < 16)
			f = (b & c) | (~b & d), word = i;
		else if (i < 32)
			f = (d & b) | (~d & c), word = (5 * i + 1) % 16;
		else if (i < 48)
			f = b ^ c ^ d, word = (3 * i + 5) % 16;
		else
			f = c ^ (b | ~d), word = 7 * i % 16;
		uint32_t sum = a + f + md5_k[i] + m[word];
		a = d, d = c, c = b, b += rotl(sum, md5_r[i / 16 * 4 + i % 4]);
	}
	state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

void digest_md5(struct str s, unsigned char out[DIGEST_MD5])
{
	uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
	blocks(s, state, LITTLE, md5_block);
	give(state, 4, LITTLE, out);
}

static void sha1_block(uint32_t *state, const unsigned char *p)
{
	uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
	for (int i = 0; i < 16; i++) w[i] = be32(p + 4 * i);
	for (int i = 16; i < 80; i++) w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f, k;
		if (i < 20)
			f = (b & c) | (~b & d), k = 0x5a827999;
		else if (i < 40)
			f = b ^ c ^ d, k = 0x6ed9eba1;
		else if (i < 60)
			f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
		else
			f = b ^ c ^ d, k = 0xca62c1d6;
		uint32_t t = rotl(a, 5) + f + e + k + w[i];
		e = d, d = c, c = rotl(b, 30), b = a, a = t;
	}
	state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void digest_sha1(struct str s, unsigned char out[DIGEST_SHA1])
{
	uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	blocks(s, state, BIG, sha1_block);
	give(state, 5, BIG, out);
}

/* ---- SHA-256 is GnuTLS's: what is uploaded is hashed at the speed that the processor has for it ---- */

struct digest {
	gnutls_hash_hd_t handle;
};

static void must(int rc)
{
	if (rc == 0) return;
	log_error("GnuTLS has no SHA-256", kv_c("err", gnutls_strerror(rc)));
	abort();
}

struct digest *digest_sha256_new(void)
{
	struct digest *d = mem_zalloc(sizeof *d);
	must(gnutls_hash_init(&d->handle, GNUTLS_DIG_SHA256));
	return d;
}

void digest_add(struct digest *d, struct str piece)
{
	if (piece.n) must(gnutls_hash(d->handle, piece.p, piece.n));
}

void digest_end(struct digest *d, unsigned char *out)
{
	gnutls_hash_deinit(d->handle, out);
	free(d);
}

void digest_sha256(struct str s, unsigned char out[DIGEST_SHA256])
{
	must(gnutls_hash_fast(GNUTLS_DIG_SHA256, s.p ? s.p : "", s.n, out));
}

/* ---- Keccak-f[1600]; lane (x, y) is a[x + 5y] ---- */

static uint64_t rotl64(uint64_t v, unsigned n) { return n ? v << n | v >> (64 - n) : v; }

/* One bit of the round constants: rc(t) of FIPS 202, an LFSR. */
static bool round_bit(unsigned *lfsr)
{
	bool bit = *lfsr & 1;
	*lfsr = *lfsr << 1 ^ (*lfsr & 0x80 ? 0x171 : 0);
	return bit;
}

static void keccak(uint64_t a[25])
{
	unsigned lfsr = 1;
	for (int round = 0; round < 24; round++) {
		uint64_t c[5], b[25];
		for (int x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
		for (int i = 0; i < 25; i++) a[i] ^= c[(i + 4) % 5] ^ rotl64(c[(i + 1) % 5], 1);
		/* rho and pi: lane (x, y) turns by the next triangular number and goes to (y, 2x + 3y). */
		b[0] = a[0];
		for (int t = 0, x = 1, y = 0; t < 24; t++) {
			int to_y = (2 * x + 3 * y) % 5;
			b[y + 5 * to_y] = rotl64(a[x + 5 * y], (unsigned)((t + 1) * (t + 2) / 2 % 64));
			x = y;
			y = to_y;
		}
		for (int i = 0; i < 25; i++) a[i] = b[i] ^ (~b[i / 5 * 5 + (i + 1) % 5] & b[i / 5 * 5 + (i + 2) % 5]);
		for (int j = 0; j < 7; j++)
			if (round_bit(&lfsr)) a[0] ^= UINT64_C(1) << ((1 << j) - 1);
	}
}

void digest_sha3_256(struct str s, unsigned char out[DIGEST_SHA3_256])
{
	enum { RATE = 136 };
	uint64_t a[25] = {0};
	size_t at = 0;
	for (size_t i = 0; i < s.n; i++) {
		a[at / 8] ^= (uint64_t)(unsigned char)s.p[i] << 8 * (at % 8);
		if (++at == RATE) {
			keccak(a);
			at = 0;
		}
	}
	a[at / 8] ^= UINT64_C(6) << 8 * (at % 8);
	a[(RATE - 1) / 8] ^= UINT64_C(0x80) << 8 * ((RATE - 1) % 8);
	keccak(a);
	for (size_t i = 0; i < DIGEST_SHA3_256; i++) out[i] = (unsigned char)(a[i / 8] >> 8 * (i % 8));
}
