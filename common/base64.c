/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base64.h"

static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *b, struct str s)
{
	buf_reserve(b, s.n / 3 * 4 + 4);
	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++) v = v << 8 | (i + k < s.n ? (unsigned char)s.p[i + k] : 0);
		for (size_t k = 0; k < 4; k++) buf_ch(b, i + k > s.n ? '=' : set[v >> (18 - 6 * k) & 63]);
	}
}

static bool newline(char c) { return c == '\n' || c == '\r'; }

/* The padding from i on must be what `rest` digits of the last group lack. False: *bad is where it is not. */
static bool padding_fits(struct str s, size_t i, size_t rest, size_t *bad)
{
	size_t n = 0;
	*bad = i;
	for (size_t k = i; k < s.n; k++) {
		if (newline(s.p[k])) continue;
		if (s.p[k] == '=' && ++n <= 2) continue;
		*bad = k;
		return false;
	}
	return rest == 0 ? n == 0 : rest > 1 && n == 4 - rest;
}

bool base64_decode(struct buf *b, struct str s, size_t *bad)
{
	size_t start = b->n, n = 0, i = 0;
	uint32_t v = 0;
	for (; i < s.n && s.p[i] != '='; i++) {
		if (newline(s.p[i])) continue;
		const char *at = s.p[i] ? strchr(set, s.p[i]) : NULL;
		if (!at) {
			*bad = i;
			b->n = start;
			return false;
		}
		v = v << 6 | (uint32_t)(at - set);
		if (++n % 4 == 0) buf_add(b, (char[]){(char)(v >> 16), (char)(v >> 8), (char)v}, 3);
	}
	if (!padding_fits(s, i, n % 4, bad)) {
		b->n = start;
		return false;
	}
	if (n % 4) buf_ch(b, (char)(n % 4 == 2 ? v >> 4 : v >> 10));
	if (n % 4 == 3) buf_ch(b, (char)(v >> 2));
	return true;
}
