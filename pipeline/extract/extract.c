/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/extract.h"

#include <stdlib.h>

void extract_init(struct extract *x, struct arena *a, const struct str *want, size_t n_want)
{
	*x = (struct extract){.a = a, .want = want, .n_want = want ? n_want : 0};
	if (want) x->seen = mem_zalloc((n_want / 64 + 1) * sizeof *x->seen);
}

void extract_free(struct extract *x)
{
	free(x->v);
	free(x->seen);
	*x = (struct extract){0};
}

void extract_reset(struct extract *x)
{
	x->n = 0;
	x->error = NULL;
	x->detail = STR("");
	if (!x->want) return;
	memset(x->seen, 0, (x->n_want / 64 + 1) * sizeof *x->seen);
	x->n_seen = 0;
}

/* Place of the name among the wanted that were not found yet, or -1. */
static ssize_t open_want(const struct extract *x, struct str name)
{
	for (size_t i = 0; i < x->n_want; i++)
		if (str_eq(x->want[i], name)) return x->seen[i / 64] >> (i % 64) & 1 ? -1 : (ssize_t)i;
	return -1;
}

bool extract_wants(const struct extract *x, struct str name) { return !x->want || open_want(x, name) >= 0; }

bool extract_wants_under(const struct extract *x, struct str prefix)
{
	if (!x->want) return true;
	for (size_t i = 0; i < x->n_want; i++) {
		struct str w = x->want[i];
		if (w.n > prefix.n && w.p[prefix.n] == '_' && str_starts(w, prefix)) return true;
	}
	return false;
}

void extract_push(struct extract *x, struct str name, struct str value)
{
	MEM_GROW(x->v, x->n, x->cap);
	x->v[x->n++] = (struct label){name, value};
}

bool extract_put(struct extract *x, struct str name, struct str value)
{
	if (!x->want) {
		extract_push(x, name, value);
		return true;
	}
	ssize_t i = open_want(x, name);
	if (i >= 0) {
		extract_push(x, x->want[i], value);
		x->seen[i / 64] |= UINT64_C(1) << (i % 64);
		x->n_seen++;
	}
	return x->n_seen < x->n_want;
}

bool extract_fail(struct extract *x, const char *error, struct str detail)
{
	x->error = error;
	x->detail = detail;
	return false;
}

static bool name_byte(unsigned char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c < 0x80 && (c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool name_whole(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!name_byte((unsigned char)s.p[i])) return false;
	return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

size_t extract_sanitize(char *to, struct str key)
{
	size_t n = 0;
	for (size_t i = 0; i < key.n;) {
		if (name_byte((unsigned char)key.p[i])) {
			to[n++] = key.p[i++];
		} else {
			str_rune(key, &i);
			to[n++] = '_';
		}
	}
	return n;
}

struct str extract_name(struct arena *a, struct str key)
{
	key = str_trim(key);
	bool digit = key.n && is_digit(key.p[0]);
	if (!digit && name_whole(key)) return key;
	char *p = arena_alloc(a, key.n + 1);
	p[0] = '_';
	return str_of(p, extract_sanitize(p + digit, key) + digit);
}

struct str extract_blank_bad(struct arena *a, struct str value)
{
	size_t bad = 0;
	for (size_t i = 0; i < value.n && !bad;) bad = str_rune(value, &i) == 0xFFFD;
	if (!bad) return value;
	char *p = arena_alloc(a, value.n);
	size_t n = 0;
	for (size_t i = 0; i < value.n;) {
		size_t at = i;
		if (str_rune(value, &i) == 0xFFFD) {
			p[n++] = ' ';
		} else {
			memcpy(p + n, value.p + at, i - at);
			n += i - at;
		}
	}
	return str_of(p, n);
}

static bool hex4(struct str s, size_t i, uint32_t *out)
{
	*out = 0;
	if (i + 4 > s.n) return false;
	for (size_t k = i; k < i + 4; k++) {
		int v = str_hex_digit((unsigned char)s.p[k]);
		if (v < 0) return false;
		*out = *out << 4 | (uint32_t)v;
	}
	return true;
}

/* Behind "\u" at *i. A surrogate without its other half is U+FFFD, or a fault. */
static bool unicode_escape(struct str s, size_t *i, bool lenient, uint32_t *r)
{
	uint32_t low;
	if (!hex4(s, *i, r)) return false;
	*i += 4;
	if (*r < 0xD800 || *r > 0xDFFF) return true;
	bool pair = *r < 0xDC00 && *i + 2 <= s.n && s.p[*i] == '\\' && s.p[*i + 1] == 'u' && hex4(s, *i + 2, &low) &&
		    low >= 0xDC00 && low <= 0xDFFF;
	if (pair) {
		*r = 0x10000 + ((*r - 0xD800) << 10) + (low - 0xDC00);
		*i += 6;
	} else {
		*r = 0xFFFD;
	}
	return pair || lenient;
}

bool extract_unescape(struct arena *a, struct str s, bool lenient, struct str *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n;) {
		const char *back = memchr(s.p + i, '\\', s.n - i);
		size_t plain = back ? (size_t)(back - s.p) - i : s.n - i;
		memcpy(p + n, s.p + i, plain);
		n += plain;
		i += plain;
		if (!back) break;
		if (i + 1 >= s.n) return false;
		char c = s.p[i + 1];
		const char *k = c ? strchr(from, c) : NULL;
		uint32_t r;
		i += 2;
		if (k) {
			p[n++] = to[k - from];
		} else if (c == '\'' && lenient) {
			p[n++] = c;
		} else if (c == 'u' && unicode_escape(s, &i, lenient, &r)) {
			n += str_rune_put(r, p + n);
		} else {
			return false;
		}
	}
	*out = str_of(p, n);
	return true;
}
