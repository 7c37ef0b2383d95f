/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/ipfilter.h"

#include "common/buf.h"

#include <arpa/inet.h>
#include <stdlib.h>

struct addr {
	unsigned char b[16];
	bool v6;
};

static size_t addr_len(bool v6) { return v6 ? 16 : 4; }

static bool parse_addr(struct str s, struct addr *a)
{
	char text[INET6_ADDRSTRLEN];
	if (s.n == 0 || s.n >= sizeof text || memchr(s.p, 0, s.n)) return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	a->v6 = memchr(text, ':', s.n) != NULL;
	return inet_pton(a->v6 ? AF_INET6 : AF_INET, text, a->b) == 1;
}

static bool single(struct ipfilter *f, struct str s)
{
	struct addr a;
	if (!parse_addr(s, &a)) return false;
	f->v6 = a.v6;
	memcpy(f->lo, a.b, sizeof f->lo);
	memcpy(f->hi, a.b, sizeof f->hi);
	return true;
}

static bool prefix(struct ipfilter *f, struct str s)
{
	struct str head;
	uint64_t bits;
	if (!str_cut(&s, '/', &head) || !single(f, head)) return false;
	if ((s.n > 1 && s.p[0] == '0') || !str_to_u64(s, &bits) || bits > 8 * addr_len(f->v6)) return false;
	for (size_t i = 0; i < addr_len(f->v6); i++) {
		size_t kept = bits > 8 * i ? bits - 8 * i : 0;
		unsigned char host = kept >= 8 ? 0 : (unsigned char)(0xff >> kept);
		f->lo[i] &= (unsigned char)~host;
		f->hi[i] |= host;
	}
	return true;
}

static bool range(struct ipfilter *f, struct str s)
{
	struct str head;
	struct addr last;
	if (!str_cut(&s, '-', &head) || !single(f, head) || !parse_addr(s, &last) || last.v6 != f->v6) return false;
	memcpy(f->hi, last.b, sizeof f->hi);
	return memcmp(f->lo, f->hi, addr_len(f->v6)) <= 0;
}

bool ipfilter_init(struct ipfilter *f, struct str pattern, struct err *e)
{
	if (single(f, pattern) || prefix(f, pattern) || range(f, pattern)) return true;
	struct buf b = {0};
	buf_quote(&b, pattern);
	err_set(e, ERR_INVALID, "ip: invalid pattern: %s", buf_cstr(&b));
	buf_free(&b);
	return false;
}

static bool contains(const struct ipfilter *f, struct str s)
{
	struct addr a;
	if (!parse_addr(s, &a) || a.v6 != f->v6) return false;
	size_t n = addr_len(f->v6);
	return memcmp(a.b, f->lo, n) >= 0 && memcmp(a.b, f->hi, n) <= 0;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_hex(char c) { return str_hex_digit((unsigned char)c) >= 0; }

/* A digit with a dot among the next three characters. */
static bool may_be_v4(struct str s, size_t i)
{
	return i + 3 < s.n && is_digit(s.p[i]) && (s.p[i + 1] == '.' || s.p[i + 2] == '.' || s.p[i + 3] == '.');
}

/* One to four hex digits and a colon, or "::" and a hex digit. */
static bool may_be_v6(struct str s, size_t i)
{
	if (i + 4 >= s.n) return false;
	if (s.p[i] == ':') return s.p[i + 1] == ':' && is_hex(s.p[i + 2]);
	size_t k = i;
	while (k < i + 4 && is_hex(s.p[k])) k++;
	return k > i && s.p[k] == ':';
}

bool ipfilter_line(const struct ipfilter *f, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool v4 = may_be_v4(s, i);
		if (!v4 && !may_be_v6(s, i)) continue;
		size_t end = i;
		while (end < s.n &&
		       (s.p[end] == '.' || (v4 ? is_digit(s.p[end]) : s.p[end] == ':' || is_hex(s.p[end]))))
			end++;
		if (contains(f, str_sub(s, i, end))) return true;
		i = end;
	}
	return false;
}
