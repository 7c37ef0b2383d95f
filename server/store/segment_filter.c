/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/segment_filter.h"

#include <stdlib.h>

#define GRAM      4
#define BITS_MIN  10
#define BITS_MAX  18
#define WORDS_MAX ((1u << BITS_MAX) / 64)
#define SET_MAX   (WORDS_MAX * 64 / 5 * 4) /* with more bits set it would hardly ever deny */

static inline uint32_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? c | 0x20u : c; }

/* The gram's number among 2^BITS_MAX; smaller filters use its low bits. */
static inline uint32_t place(uint32_t gram) { return gram * 0x9E3779B1u >> (32 - BITS_MAX); }

/* ---- building ---- */

static void mark(struct str lines, uint64_t *bits)
{
	const uint8_t *p = (const uint8_t *)lines.p;
	uint32_t gram = 0;
	for (size_t i = 0; i < lines.n; i++) {
		gram = gram << 8 | lower(p[i]);
		if (i < GRAM - 1) continue;
		uint32_t at = place(gram);
		bits[at / 64] |= UINT64_C(1) << (at % 64);
	}
}

void segment_filter_build(struct str lines, struct buf *out)
{
	uint64_t *bits = mem_zalloc(WORDS_MAX * sizeof *bits);
	size_t set = 0, words = WORDS_MAX;
	mark(lines, bits);
	for (size_t i = 0; i < words; i++) set += (size_t)__builtin_popcountll(bits[i]);
	for (; words * 64 > (1u << BITS_MIN) && words * 32 >= set; words /= 2) {
		for (size_t i = 0; i < words / 2; i++) bits[i] |= bits[i + words / 2];
	}
	if (set <= SET_MAX) {
		for (size_t i = 0; i < words; i++) buf_le64(out, bits[i]);
	}
	free(bits);
}

/* ---- asking ---- */

struct needle { /* grams that must all be there */
	uint32_t first, n;
};

struct segment_needles {
	uint32_t *grams; /* places */
	struct needle *v;
	struct needle *groups; /* of v: of each group one must be there */
	size_t ngrams, cap_grams, n, cap, ngroups, cap_groups;
	bool useless; /* the group being added has a text without grams */
};

/* In any case k and s may stand for letters beyond ASCII, which the filter does not know. */
static bool has_kin(uint32_t gram)
{
	for (int i = 0; i < GRAM; i++, gram >>= 8)
		if ((gram & 0xff) == 'k' || (gram & 0xff) == 's') return true;
	return false;
}

static void add_text(void *ud, struct str text, bool fold)
{
	struct segment_needles *w = ud;
	uint32_t gram = 0;
	MEM_GROW(w->v, w->n, w->cap);
	struct needle *v = &w->v[w->n++];
	*v = (struct needle){(uint32_t)w->ngrams, 0};
	for (size_t i = 0; i < text.n; i++) {
		gram = gram << 8 | lower((uint8_t)text.p[i]);
		if (i < GRAM - 1 || (fold && has_kin(gram))) continue;
		MEM_GROW(w->grams, w->ngrams, w->cap_grams);
		w->grams[w->ngrams++] = place(gram);
		v->n++;
	}
	if (v->n == 0) w->useless = true;
}

struct segment_needles *segment_needles_new(const struct linefilters *g)
{
	struct segment_needles *w = mem_zalloc(sizeof *w);
	for (size_t i = 0; i < linefilters_count(g); i++) {
		size_t first = w->n;
		w->useless = false;
		if (!linefilters_texts(g, i, add_text, w) || w->useless) {
			w->n = first;
			continue;
		}
		MEM_GROW(w->groups, w->ngroups, w->cap_groups);
		w->groups[w->ngroups++] = (struct needle){(uint32_t)first, (uint32_t)(w->n - first)};
	}
	if (w->ngroups) return w;
	segment_needles_free(w);
	return NULL;
}

void segment_needles_free(struct segment_needles *w)
{
	if (!w) return;
	free(w->grams);
	free(w->v);
	free(w->groups);
	free(w);
}

static bool has_all(struct str bits, const uint32_t *grams, uint32_t n)
{
	uint32_t mask = (uint32_t)bits.n * 8 - 1;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = grams[i] & mask;
		if (!((uint8_t)bits.p[at / 8] >> (at % 8) & 1)) return false;
	}
	return true;
}

bool segment_filter_may(const struct segment_filter *f, const struct segment_needles *w)
{
	struct str bits = buf_view(&f->raw);
	/* A size that this version does not write says nothing. */
	if (bits.n < (1u << BITS_MIN) / 8 || bits.n > (1u << BITS_MAX) / 8 || bits.n & (bits.n - 1)) return true;
	for (size_t g = 0; g < w->ngroups; g++) {
		const struct needle *v = &w->v[w->groups[g].first], *end = v + w->groups[g].n;
		while (v < end && !has_all(bits, w->grams + v->first, v->n)) v++;
		if (v == end) return false;
	}
	return true;
}
