/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/regex_lit.h"

#include "common/scan.h"

#define CLASS_MAX 16 /* larger classes are not spelt out */

static const struct re_lits unknown = {0};

static bool has_letter(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)((s.p[i] | 0x20) - 'a') < 26) return true;
	return false;
}

/* No letters: the set means the same folded or not. */
static bool caseless(const struct re_lits *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (has_letter(l->v[i])) return false;
	return true;
}

static bool only_ascii(const struct re_lits *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (!scan_ascii(l->v[i])) return false;
	return true;
}

static struct re_lits one(struct arena *a, struct str s, bool fold)
{
	struct re_lits l = {arena_alloc(a, sizeof *l.v), 1, fold};
	if (s.n > RE_LIT_MAX) return unknown;
	l.v[0] = fold ? arena_str(a, s) : s;
	for (size_t i = 0; fold && i < s.n; i++) {
		char *c = (char *)l.v[0].p + i;
		if (*c >= 'A' && *c <= 'Z') *c |= 0x20;
	}
	return l;
}

/* Do both sets agree on folding, and on which? Sets without letters join either side. */
static bool agree(const struct re_lits *x, const struct re_lits *y, bool *fold)
{
	*fold = x->fold || y->fold;
	if (x->fold == y->fold) return true;
	const struct re_lits *plain = x->fold ? y : x;
	return caseless(plain) && only_ascii(plain);
}

/* Every text of x followed by every text of y, in the order of preference. */
static struct re_lits cross(struct arena *a, const struct re_lits *x, const struct re_lits *y)
{
	struct re_lits out = {0};
	if (x->n == 0 || y->n == 0 || x->n * y->n > SCAN_SET_MAX || !agree(x, y, &out.fold)) return unknown;
	if (arena_over(a)) return unknown;
	out.v = arena_alloc(a, x->n * y->n * sizeof *out.v);
	for (size_t i = 0; i < x->n; i++) {
		for (size_t j = 0; j < y->n; j++) {
			struct str l = x->v[i], r = y->v[j];
			if (l.n + r.n > RE_LIT_MAX) return unknown;
			char *p = arena_alloc(a, l.n + r.n + 1);
			memcpy(p, l.p, l.n);
			memcpy(p + l.n, r.p, r.n);
			out.v[out.n++] = str_of(p, l.n + r.n);
		}
	}
	return out;
}

static struct re_lits join(struct arena *a, const struct re_lits *x, const struct re_lits *y)
{
	struct re_lits out = {0};
	if (x->n == 0 || y->n == 0 || x->n + y->n > SCAN_SET_MAX || !agree(x, y, &out.fold)) return unknown;
	out.v = arena_alloc(a, (x->n + y->n) * sizeof *out.v);
	memcpy(out.v, x->v, x->n * sizeof *out.v);
	memcpy(out.v + x->n, y->v, y->n * sizeof *out.v);
	out.n = x->n + y->n;
	return out;
}

static size_t shortest(const struct re_lits *l)
{
	size_t min = l->n ? SIZE_MAX : 0;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].n < min) min = l->v[i].n;
	return min;
}

/* How much searching for the set saves; 0: nothing. A long literal is rare, a set costs a search each. */
static size_t worth(const struct re_lits *l)
{
	size_t min = shortest(l), cost = l->n <= 1 ? 0 : l->n <= 4 ? l->n * 4 : 32;
	if (min > 8) min = 8;
	return min == 0 ? 0 : min * 8 + 32 - cost;
}

static struct re_lits better(struct re_lits x, struct re_lits y) { return worth(&y) > worth(&x) ? y : x; }

static struct re_facts settled(struct re_facts f)
{
	if (f.exact.n) {
		f.prefix = f.exact;
		if (shortest(&f.exact) > 0) f.inner = better(f.inner, f.exact);
	}
	return f;
}

static struct re_facts class_facts(struct arena *a, const struct re_node *n)
{
	struct re_facts f = {.whole = true};
	struct re_lits l = {.v = arena_alloc(a, CLASS_MAX * sizeof *l.v)};
	if (n->icase || n->negate || n->n_prop) return f;
	for (size_t i = 0; i < n->n_range; i++) {
		for (uint32_t r = n->range[i].lo; r <= n->range[i].hi; r++) {
			/* U+FFFD also stands for bad bytes: no text to search for. */
			if (l.n == CLASS_MAX || r == 0xFFFD || (r >= 0xD800 && r <= 0xDFFF)) return f;
			char *p = arena_alloc(a, 4);
			l.v[l.n++] = str_of(p, str_rune_put(r, p));
		}
	}
	f.exact = l;
	return settled(f);
}

static struct re_facts empty_facts(struct arena *a, bool whole)
{
	return settled((struct re_facts){.exact = one(a, STR(""), false), .whole = whole});
}

static struct re_facts concat_facts(struct arena *a, const struct re_node *n)
{
	struct re_facts f = empty_facts(a, true);
	struct re_lits run = f.exact; /* the exact texts since the last unknown part */
	bool all = true;              /* … which was none so far: run began at the start */
	f.whole = true;
	for (size_t i = 0; i < n->n_sub; i++) {
		struct re_facts s = re_facts(a, n->sub[i]);
		f.whole = f.whole && s.whole;
		struct re_lits grown = cross(a, &run, &s.exact);
		f.inner = better(f.inner, s.inner);
		if (s.exact.n > 1 && shortest(&run) > 0) f.inner = better(f.inner, run);
		if (grown.n) {
			run = grown;
			continue;
		}
		if (all) {
			struct re_lits pre = cross(a, &run, &s.prefix);
			f.prefix = pre.n ? pre : run;
		}
		if (shortest(&run) > 0) f.inner = better(f.inner, run);
		all = false;
		run = s.exact.n ? s.exact : one(a, STR(""), false);
	}
	if (shortest(&run) > 0) f.inner = better(f.inner, run);
	f.exact = all ? run : unknown;
	return settled(f);
}

static struct re_facts alt_facts(struct arena *a, const struct re_node *n)
{
	struct re_facts f = re_facts(a, n->sub[0]);
	for (size_t i = 1; i < n->n_sub; i++) {
		struct re_facts s = re_facts(a, n->sub[i]);
		f.whole = f.whole && s.whole;
		f.exact = join(a, &f.exact, &s.exact);
		f.prefix = join(a, &f.prefix, &s.prefix);
		f.inner = join(a, &f.inner, &s.inner);
	}
	return settled(f);
}

static struct re_facts repeat_facts(struct arena *a, const struct re_node *n)
{
	struct re_facts f = {0}, s;
	if (n->max == 0) return empty_facts(a, true);
	s = re_facts(a, n->sub[0]);
	if (n->min == 0 && n->max == 1) {
		struct re_lits none = one(a, STR(""), false);
		f.exact = n->lazy ? join(a, &none, &s.exact) : join(a, &s.exact, &none);
		f.whole = s.whole;
		return settled(f);
	}
	if (n->min == 0) return f;
	if (n->min == n->max) {
		f.exact = s.exact;
		f.whole = s.whole;
		for (int i = 1; i < n->min && f.exact.n; i++) f.exact = cross(a, &f.exact, &s.exact);
		f = settled(f);
	}
	f.inner = better(f.inner, s.inner);
	if (!f.prefix.n) f.prefix = s.prefix;
	return f;
}

struct re_facts re_facts(struct arena *a, const struct re_node *n)
{
	struct re_facts f = {0};
	switch (n->op) {
	case RE_EMPTY: return empty_facts(a, true);
	case RE_LIT:
		f.exact = one(a, n->text, n->icase);
		f.whole = true;
		if (f.exact.n) return settled(f);
		f.inner = f.prefix = one(a, str_sub(n->text, 0, RE_LIT_MAX), n->icase);
		return f;
	case RE_CLASS: return class_facts(a, n);
	case RE_LINE_START:
	case RE_LINE_END:
	case RE_TEXT_START:
	case RE_TEXT_END:
	case RE_WORD:
	case RE_NOT_WORD: return empty_facts(a, false);
	case RE_GROUP: return re_facts(a, n->sub[0]);
	case RE_CONCAT: return concat_facts(a, n);
	case RE_ALT: return alt_facts(a, n);
	case RE_REPEAT: return repeat_facts(a, n);
	default: return f;
	}
}
