/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/relabel.h"

#include "common/regex.h"

#include <stdlib.h>
#include <wctype.h>

#define SPANS 64 /* groups beyond cannot be referred to */

struct rule {
	const struct relabel_conf *conf;
	struct regex *re;
};

struct relabel {
	struct rule *v;
	size_t n;
};

struct relabel *relabel_new(const struct conf_list *v, struct err *e)
{
	struct relabel *r = mem_zalloc(sizeof *r);
	const struct relabel_conf *conf = v->v;

	r->v = mem_zalloc((v->n ? v->n : 1) * sizeof *r->v);
	for (size_t i = 0; i < v->n; i++) {
		struct rule *rule = &r->v[r->n++];
		rule->conf = &conf[i];
		rule->re = regex_new(conf[i].regex, REGEX_ANCHORED | REGEX_DOTALL, e);
		if (rule->re) continue;
		err_wrap(e, "relabel_configs regex \"%.*s\"", STR_ARG(conf[i].regex));
		e->line = conf[i].line;
		e->col = conf[i].col;
		relabel_free(r);
		return NULL;
	}
	return r;
}

void relabel_free(struct relabel *r)
{
	if (!r) return;
	for (size_t i = 0; i < r->n; i++) regex_free(r->v[i].re);
	free(r->v);
	free(r);
}

/* ---- the set ---- */

/* The first index whose name is not less. */
static size_t find(const struct relabel_set *s, struct str name)
{
	size_t i = 0;

	while (i < s->l.n && str_cmp(s->l.v[i].name, name) < 0) i++;
	return i;
}

struct str relabel_get(const struct relabel_set *s, struct str name)
{
	size_t i = find(s, name);

	return i < s->l.n && str_eq(s->l.v[i].name, name) ? s->l.v[i].value : STR("");
}

static void remove_at(struct relabel_set *s, size_t i)
{
	memmove(&s->l.v[i], &s->l.v[i + 1], (--s->l.n - i) * sizeof *s->l.v);
}

void relabel_put(struct relabel_set *s, struct str name, struct str value)
{
	size_t i = find(s, name);
	bool there = i < s->l.n && str_eq(s->l.v[i].name, name);

	if (there && value.n) s->l.v[i].value = value;
	if (there && !value.n) remove_at(s, i);
	if (there || !value.n) return;
	s->l.v = arena_grow(s->a, s->l.v, s->l.n, &s->cap, sizeof *s->l.v);
	memmove(&s->l.v[i + 1], &s->l.v[i], (s->l.n++ - i) * sizeof *s->l.v);
	s->l.v[i] = (struct label){name, value};
}

void relabel_strip(struct relabel_set *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->l.n; i++)
		if (!str_starts(s->l.v[i].name, STR("__"))) s->l.v[n++] = s->l.v[i];
	s->l.n = n;
}

/* ---- the actions ---- */

static struct str expand(const struct rule *r, struct arena *a, struct str tmpl, struct str s,
			 const struct regex_span *spans)
{
	struct buf b = {0};

	regex_expand(r->re, tmpl, s, spans, &b);
	struct str out = arena_str(a, buf_view(&b));
	buf_free(&b);
	return out;
}

static void replace(const struct rule *r, struct relabel_set *s, struct str value)
{
	struct regex_span spans[SPANS];

	if (!regex_exec(r->re, value, 0, spans, SPANS)) return;
	struct str target = expand(r, s->a, r->conf->target_label, value, spans);
	if (!labels_name_valid(target)) return;
	relabel_put(s, target, expand(r, s->a, r->conf->replacement, value, spans));
}

static struct str cased(struct arena *a, struct str v, bool upper)
{
	struct buf b = {0};

	for (size_t i = 0; i < v.n;) {
		size_t from = i;
		uint32_t rune = str_rune(v, &i);
		if (rune == 0xFFFD && i - from == 1)
			buf_ch(&b, v.p[from]);
		else
			buf_rune(&b, (uint32_t)(upper ? towupper((wint_t)rune) : towlower((wint_t)rune)));
	}
	struct str out = arena_str(a, buf_view(&b));
	buf_free(&b);
	return out;
}

static void labelmap(const struct rule *r, struct relabel_set *s)
{
	/* Labels that a mapping adds are not mapped again. */
	struct labels before = labels_copy(s->a, &s->l);
	struct regex_span spans[SPANS];

	for (size_t i = 0; i < before.n; i++)
		if (regex_exec(r->re, before.v[i].name, 0, spans, SPANS))
			relabel_put(s, expand(r, s->a, r->conf->replacement, before.v[i].name, spans),
				    before.v[i].value);
}

static void filter_names(const struct rule *r, struct relabel_set *s, bool keep)
{
	size_t n = 0;

	for (size_t i = 0; i < s->l.n; i++)
		if (regex_match(r->re, s->l.v[i].name) == keep) s->l.v[n++] = s->l.v[i];
	s->l.n = n;
}

/* ---- MD5 (RFC 1321), since hashmod must shard as Prometheus does ---- */

static const uint32_t md5_k[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
	0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
	0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
	0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const uint8_t md5_r[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};

static void md5_block(uint32_t h[4], const uint8_t *p)
{
	uint32_t m[16], a = h[0], b = h[1], c = h[2], d = h[3];

	for (int i = 0; i < 16; i++)
		m[i] = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 |
		       (uint32_t)p[4 * i + 3] << 24;
	for (int i = 0; i < 64; i++) {
		uint32_t f, g;
		switch (i / 16) {
		case 0:
			f = (b & c) | (~b & d);
			g = (uint32_t)i;
			break;
		case 1:
			f = (d & b) | (~d & c);
			g = (uint32_t)(5 * i + 1) % 16;
			break;
		case 2:
			f = b ^ c ^ d;
			g = (uint32_t)(3 * i + 5) % 16;
			break;
		default:
			f = c ^ (b | ~d);
			g = (uint32_t)(7 * i) % 16;
			break;
		}
		uint32_t sum = a + f + md5_k[i] + m[g], r = md5_r[i / 16 * 4 + i % 4];
		a = d;
		d = c;
		c = b;
		b += sum << r | sum >> (32 - r);
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
}

/* The last 8 bytes of the digest, big-endian. */
static uint64_t md5_tail(struct str s)
{
	uint32_t h[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
	uint8_t last[128] = {0};
	size_t whole = s.n / 64 * 64, rest = s.n - whole, end = rest < 56 ? 64 : 128;
	uint64_t bits = (uint64_t)s.n * 8;

	for (size_t i = 0; i < whole; i += 64) md5_block(h, (const uint8_t *)s.p + i);
	if (rest) memcpy(last, s.p + whole, rest);
	last[rest] = 0x80;
	for (size_t i = 0; i < 8; i++) last[end - 8 + i] = (uint8_t)(bits >> (8 * i));
	for (size_t i = 0; i < end; i += 64) md5_block(h, last + i);
	return (uint64_t)__builtin_bswap32(h[2]) << 32 | __builtin_bswap32(h[3]);
}

static bool run_rule(const struct rule *r, struct relabel_set *s)
{
	const struct relabel_conf *c = r->conf;
	struct buf joined = {0};

	for (size_t i = 0; i < c->source_labels.n; i++) {
		if (i) buf_str(&joined, c->separator);
		buf_str(&joined, relabel_get(s, c->source_labels.v[i]));
	}
	struct str value = arena_str(s->a, buf_view(&joined));
	buf_free(&joined);
	switch ((enum relabel_action)c->action) {
	case RELABEL_REPLACE: replace(r, s, value); break;
	case RELABEL_KEEP: return regex_match(r->re, value);
	case RELABEL_DROP: return !regex_match(r->re, value);
	case RELABEL_KEEPEQUAL: return str_eq(relabel_get(s, c->target_label), value);
	case RELABEL_DROPEQUAL: return !str_eq(relabel_get(s, c->target_label), value);
	case RELABEL_HASHMOD:
		relabel_put(s, c->target_label,
			    arena_printf(s->a, "%llu", (unsigned long long)(md5_tail(value) % (uint64_t)c->modulus)));
		break;
	case RELABEL_LOWERCASE: relabel_put(s, c->target_label, cased(s->a, value, false)); break;
	case RELABEL_UPPERCASE: relabel_put(s, c->target_label, cased(s->a, value, true)); break;
	case RELABEL_LABELMAP: labelmap(r, s); break;
	case RELABEL_LABELDROP: filter_names(r, s, false); break;
	case RELABEL_LABELKEEP: filter_names(r, s, true); break;
	}
	return true;
}

bool relabel_run(const struct relabel *r, struct relabel_set *s)
{
	for (size_t i = 0; i < r->n; i++)
		if (!run_rule(&r->v[i], s)) return false;
	return true;
}
