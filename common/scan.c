/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/scan.h"

#include "common/buf.h"
#include "common/simd.h"

static inline uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; }
static inline bool is_letter(uint8_t c) { return c >= 'a' && c <= 'z'; }

static inline bool same(const char *p, const char *needle, size_t n, bool fold)
{
	if (!fold) return memcmp(p, needle, n) == 0;
	for (size_t i = 0; i < n; i++)
		if (lower((uint8_t)p[i]) != (uint8_t)needle[i]) return false;
	return true;
}

bool scan_at(struct str s, size_t at, struct str needle, bool fold)
{
	if (at > s.n || needle.n > s.n - at) return false;
	return needle.n == 0 || same(s.p + at, needle.p, needle.n, fold); /* an empty slice may have no address */
}

/* What a byte of the needle looks like to the vector loop: v | bit == want. */
struct probe {
	v16 bit, want;
};

static inline struct probe probe(uint8_t c, bool fold)
{
	return (struct probe){v16_splat(fold && is_letter(c) ? 0x20 : 0), v16_splat(c)};
}

/* Bits of the offsets i..i+15 at which first and last byte fit. */
static inline unsigned candidates(const char *p, size_t last, struct probe a, struct probe b)
{
	return v16_mask((v16)((v16_load(p) | a.bit) == a.want) & (v16)((v16_load(p + last) | b.bit) == b.want));
}

static ssize_t find_short(struct str s, struct str needle, size_t from, bool fold)
{
	for (size_t i = from; i + needle.n <= s.n; i++)
		if (same(s.p + i, needle.p, needle.n, fold)) return (ssize_t)i;
	return -1;
}

static ssize_t find(struct str s, struct str needle, bool fold)
{
	size_t m = needle.n, fails = 0;
	if (m > s.n) return -1;
	size_t starts = s.n - m + 1; /* offsets at which it may begin */
	if (starts < 16) return find_short(s, needle, 0, fold);
	struct probe a = probe((uint8_t)needle.p[0], fold), b = probe((uint8_t)needle.p[m - 1], fold);
	for (size_t i = 0;;) {
		for (unsigned bits = candidates(s.p + i, m - 1, a, b); bits; bits &= bits - 1) {
			size_t at = i + (unsigned)__builtin_ctz(bits);
			if (same(s.p + at, needle.p, m, fold)) return (ssize_t)at;
			fails++;
		}
		i += 16;
		if (i >= starts) return -1;
		if (i > starts - 16) i = starts - 16;
		if (!fold && fails > 16 && fails * 8 > i) {
			const char *p = memmem(s.p + i, s.n - i, needle.p, m);
			return p ? p - s.p : -1;
		}
	}
}

ssize_t scan_find(struct str s, struct str needle)
{
	if (needle.n == 0) return 0;
	if (needle.n > 1) return find(s, needle, false);
	const char *p = s.n ? memchr(s.p, needle.p[0], s.n) : NULL;
	return p ? p - s.p : -1;
}

ssize_t scan_find_fold(struct str s, struct str needle) { return needle.n == 0 ? 0 : find(s, needle, true); }

ssize_t scan_rfind(struct str s, struct str needle, bool fold)
{
	if (needle.n == 0) return (ssize_t)s.n;
	if (needle.n > s.n) return -1;
	for (size_t end = s.n - needle.n + 1; end > 0;) {
		size_t at = end - 1;
		if (!fold) {
			const char *p = memrchr(s.p, needle.p[0], end);
			if (!p) return -1;
			at = (size_t)(p - s.p);
		}
		if (same(s.p + at, needle.p, needle.n, fold)) return (ssize_t)at;
		end = at;
	}
	return -1;
}

bool scan_ascii(struct str s)
{
	size_t i = 0;
	v16 acc = {0};
	for (; i + 64 <= s.n; i += 64) {
		acc = v16_load(s.p + i) | v16_load(s.p + i + 16) | v16_load(s.p + i + 32) | v16_load(s.p + i + 48);
		if (v16_mask(acc)) return false;
	}
	for (; i + 16 <= s.n; i += 16) acc |= v16_load(s.p + i);
	uint8_t rest = 0;
	for (; i < s.n; i++) rest |= (uint8_t)s.p[i];
	return v16_mask(acc) == 0 && rest < 0x80;
}

/* ---- sets ---- */

#define ONE_BY_ONE 4 /* up to so many literals, a search each is faster than the table */

static size_t pair_of(uint8_t a, uint8_t b) { return (size_t)a << 8 | b; }

static void add_pairs(struct scan_set *set, uint8_t a, uint8_t b)
{
	uint8_t as[2] = {a, set->fold && is_letter(a) ? a ^ 0x20 : a};
	uint8_t bs[2] = {b, set->fold && is_letter(b) ? b ^ 0x20 : b};
	for (int i = 0; i < 4; i++) {
		size_t k = pair_of(as[i / 2], bs[i % 2]);
		set->pairs[k / 64] |= UINT64_C(1) << (k % 64);
	}
}

static void build_table(struct scan_set *set)
{
	set->pairs = mem_zalloc(65536 / 8);
	set->head = mem_alloc(256 * sizeof *set->head);
	set->next = mem_alloc(set->n * sizeof *set->next);
	memset(set->head, 0xff, 256 * sizeof *set->head);
	for (size_t i = set->n; i-- > 0;) {
		uint8_t a = (uint8_t)set->v[i].p[0];
		set->next[i] = set->head[a];
		set->head[a] = (int16_t)i;
		for (unsigned b = 0; b < 256; b++)
			if (set->v[i].n == 1 || (uint8_t)set->v[i].p[1] == b) add_pairs(set, a, (uint8_t)b);
	}
}

void scan_set_init(struct scan_set *set, const struct str *v, size_t n, bool fold)
{
	*set = (struct scan_set){.n = n, .fold = fold, .v = mem_alloc(n * sizeof *v + 1)};
	for (size_t i = 0; i < n; i++) set->v[i] = mem_str(v[i]);
	if (n > ONE_BY_ONE) build_table(set);
}

void scan_set_free(struct scan_set *set)
{
	for (size_t i = 0; i < set->n; i++) free((char *)set->v[i].p);
	free(set->v);
	free(set->pairs);
	free(set->head);
	free(set->next);
	*set = (struct scan_set){0};
}

/* Does a literal of the table begin at i? */
static bool starts_at(const struct scan_set *set, struct str s, size_t i)
{
	uint8_t c = set->fold ? lower((uint8_t)s.p[i]) : (uint8_t)s.p[i];
	for (int k = set->head[c]; k >= 0; k = set->next[k])
		if (scan_at(s, i, set->v[k], set->fold)) return true;
	return false;
}

bool scan_set_any(const struct scan_set *set, struct str s)
{
	if (!set->pairs) {
		for (size_t i = 0; i < set->n; i++)
			if ((set->fold ? scan_find_fold(s, set->v[i]) : scan_find(s, set->v[i])) >= 0) return true;
		return false;
	}
	for (size_t i = 0; i + 1 < s.n; i++) {
		size_t k = pair_of((uint8_t)s.p[i], (uint8_t)s.p[i + 1]);
		if (set->pairs[k / 64] >> (k % 64) & 1 && starts_at(set, s, i)) return true;
	}
	return s.n > 0 && starts_at(set, s, s.n - 1);
}

ssize_t scan_set_last(const struct scan_set *set, struct str s, size_t before)
{
	ssize_t best = -1;
	for (size_t i = 0; i < set->n && before > 0; i++) {
		/* Only what lies behind the best so far can be better. */
		size_t skip = (size_t)(best + 1), end = before - 1 + set->v[i].n;
		if (end > s.n) end = s.n;
		ssize_t at = skip < end ? scan_rfind(str_sub(s, skip, end), set->v[i], set->fold) : -1;
		if (at >= 0) best = at + (ssize_t)skip;
	}
	return best;
}
