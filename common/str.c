/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/str.h"

#include "common/buf.h"

#include <math.h>
#include <stdlib.h>
#include <xxhash.h>

static inline char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static inline bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static inline bool digit(char c) { return c >= '0' && c <= '9'; }
static inline bool xdigit(char c) { return digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); }

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;
	return d ? d : (a.n > b.n) - (a.n < b.n);
}

bool str_ieq(struct str a, struct str b)
{
	if (a.n != b.n) return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i])) return false;
	return true;
}

bool str_starts(struct str s, struct str prefix) { return s.n >= prefix.n && str_eq(str_of(s.p, prefix.n), prefix); }

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_from(s, s.n - suffix.n), suffix);
}

ssize_t str_find(struct str s, struct str needle)
{
	if (needle.n == 0) return 0;
	if (s.n < needle.n) return -1;
	const char *hit = memmem(s.p, s.n, needle.p, needle.n);
	return hit ? hit - s.p : -1;
}

ssize_t str_chr(struct str s, char c)
{
	const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
	return hit ? hit - s.p : -1;
}

ssize_t str_rchr(struct str s, char c)
{
	const char *hit = s.n ? memrchr(s.p, c, s.n) : NULL;
	return hit ? hit - s.p : -1;
}

struct str str_trim(struct str s)
{
	while (s.n && blank(s.p[0])) s = str_from(s, 1);
	while (s.n && blank(s.p[s.n - 1])) s.n--;
	return s;
}

bool str_cut(struct str *s, char sep, struct str *head)
{
	ssize_t at = str_chr(*s, sep);
	if (at < 0) {
		*head = *s;
		*s = str_from(*s, s->n);
		return false;
	}
	*head = str_of(s->p, (size_t)at);
	*s = str_from(*s, (size_t)at + 1);
	return true;
}

uint64_t str_hash(struct str s) { return XXH3_64bits(s.n ? s.p : "", s.n); }

bool str_to_u64(struct str s, uint64_t *out)
{
	uint64_t v = 0;
	if (s.n == 0) return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!digit(s.p[i])) return false;
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

bool str_to_i64(struct str s, int64_t *out)
{
	uint64_t v;
	bool neg = s.n && s.p[0] == '-';
	if (!str_to_u64(neg ? str_from(s, 1) : s, &v)) return false;
	if (v > (uint64_t)INT64_MAX + neg) return false;
	*out = neg ? (int64_t)-v : (int64_t)v;
	return true;
}

/* Go takes a sign before the infinities and none before nan. */
static bool special_f64(struct str s, double *out)
{
	if (str_ieq(s, STR("nan"))) {
		*out = NAN;
		return true;
	}
	bool sign = s.n && (s.p[0] == '+' || s.p[0] == '-');
	struct str word = sign ? str_from(s, 1) : s;
	if (!str_ieq(word, STR("inf")) && !str_ieq(word, STR("infinity"))) return false;
	*out = sign && s.p[0] == '-' ? -INFINITY : INFINITY;
	return true;
}

struct number {
	bool neg, hex;
	int digits;        /* of the mantissa, leading zeros not counted */
	uint64_t mantissa; /* its first 19 decimal digits */
	long exp10;        /* of a decimal number whose mantissa is complete */
};

/* Checks the grammar and reads what the exact fast path needs. */
static bool scan_number(struct str s, struct number *o)
{
	size_t i = 0;
	bool any = false, dot = false;
	*o = (struct number){0};
	if (i < s.n && (s.p[i] == '+' || s.p[i] == '-')) o->neg = s.p[i++] == '-';
	if (s.n - i > 2 && s.p[i] == '0' && lower(s.p[i + 1]) == 'x') {
		o->hex = true;
		i += 2;
	}
	for (; i < s.n; i++) {
		if (s.p[i] == '.') {
			if (dot) return false;
			dot = true;
			continue;
		}
		if (!(o->hex ? xdigit(s.p[i]) : digit(s.p[i]))) break;
		any = true;
		if (dot) o->exp10--;
		if (o->digits || s.p[i] != '0') o->digits++;
		if (o->digits <= 19 && !o->hex) o->mantissa = o->mantissa * 10 + (uint64_t)(s.p[i] - '0');
	}
	if (!any) return false;
	if (i == s.n) return !o->hex; /* a hexadecimal mantissa needs its exponent */
	if (lower(s.p[i++]) != (o->hex ? 'p' : 'e')) return false;
	bool neg_exp = false;
	if (i < s.n && (s.p[i] == '+' || s.p[i] == '-')) neg_exp = s.p[i++] == '-';
	if (i == s.n) return false;
	long exp = 0;
	for (; i < s.n; i++) {
		if (!digit(s.p[i])) return false;
		if (exp < 100000) exp = exp * 10 + (s.p[i] - '0');
	}
	o->exp10 += neg_exp ? -exp : exp;
	return true;
}

bool str_to_f64(struct str s, double *out)
{
	static const double pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
				       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	struct number num;
	if (!scan_number(s, &num)) return special_f64(s, out);
	/* Both operands exact, so that one correctly rounded operation gives the nearest double. */
	if (!num.hex && num.digits <= 19 && num.mantissa <= UINT64_C(1) << 53 && num.exp10 >= -22 && num.exp10 <= 22) {
		double m = (double)num.mantissa;
		m = num.exp10 < 0 ? m / pow10[-num.exp10] : m * pow10[num.exp10];
		*out = num.neg ? -m : m;
		return true;
	}
	char small[128], *z = s.n < sizeof small ? small : mem_alloc(s.n + 1);
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	*out = strtod(z, NULL);
	if (z != small) free(z);
	return !isinf(*out);
}

uint32_t str_rune(struct str s, size_t *i)
{
	const unsigned char *p = (const unsigned char *)s.p + *i;
	size_t left = s.n - *i;
	(*i)++;
	if (p[0] < 0x80) return p[0];
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left < len) return 0xfffd;
	/* The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF. */
	unsigned lo = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
	unsigned hi = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
	if (p[1] < lo || p[1] > hi) return 0xfffd;
	uint32_t r = p[0] & (0x7fu >> len);
	for (size_t k = 1; k < len; k++) {
		if ((p[k] & 0xc0) != 0x80) return 0xfffd;
		r = r << 6 | (p[k] & 0x3f);
	}
	*i += len - 1;
	return r;
}

bool str_utf8_valid(struct str s)
{
	size_t i = 0;
	while (i < s.n) {
		uint64_t w;
		if (s.n - i >= sizeof w) {
			memcpy(&w, s.p + i, sizeof w);
			if (!(w & UINT64_C(0x8080808080808080))) {
				i += sizeof w;
				continue;
			}
		}
		size_t at = i;
		/* U+FFFD itself is three bytes long, a bad byte one. */
		if (str_rune(s, &i) == 0xfffd && i - at == 1) return false;
	}
	return true;
}

size_t str_rune_put(uint32_t rune, char out[4])
{
	if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff)) rune = 0xfffd;
	if (rune < 0x80) {
		out[0] = (char)rune;
		return 1;
	}
	size_t len = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
	for (size_t k = len - 1; k > 0; k--, rune >>= 6) out[k] = (char)(0x80 | (rune & 0x3f));
	out[0] = (char)((0xf00u >> len & 0xf0u) | rune);
	return len;
}

unsigned str_distance(struct str a, struct str b, unsigned max)
{
	enum { LONGEST = 128 };
	unsigned rows[3][LONGEST + 1], *before = rows[0], *prev = rows[1], *cur = rows[2];
	if (a.n > LONGEST || b.n > LONGEST) return max + 1;
	for (unsigned j = 0; j <= b.n; j++) prev[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned least = cur[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned d = prev[j - 1] + (a.p[i - 1] != b.p[j - 1]);
			if (prev[j] + 1 < d) d = prev[j] + 1;
			if (cur[j - 1] + 1 < d) d = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] &&
			    before[j - 2] + 1 < d)
				d = before[j - 2] + 1;
			cur[j] = d;
			if (d < least) least = d;
		}
		/* A transposition reaches back two rows: only both rows beyond the cap settle it. */
		if (least > max + 1) return max + 1;
		unsigned *t = before;
		before = prev, prev = cur, cur = t;
	}
	return prev[b.n] > max ? max + 1 : prev[b.n];
}
