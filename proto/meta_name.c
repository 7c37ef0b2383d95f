/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/meta_name.h"

static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool alnum(char c) { return digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

static bool fits(struct str s, bool reserved)
{
	bool named = false;
	if (s.n == 0 || digit(s.p[0])) return false;
	for (size_t i = 0; i < s.n; i++) {
		if (alnum(s.p[i]))
			named = true;
		else if (s.p[i] != '_' || (!reserved && i && s.p[i - 1] == '_'))
			return false;
	}
	return named;
}

struct str meta_name(struct arena *a, struct str s)
{
	bool reserved = s.n > 4 && str_starts(s, STR("__")) && str_ends(s, STR("__")), named = false;
	if (fits(s, reserved)) return s;
	char *p = arena_alloc(a, s.n + sizeof "key_");
	size_t n = 0;
	if (s.n && digit(s.p[0])) memcpy(p, "key_", n = 4);
	for (size_t i = 0; i < s.n; i++) {
		if (alnum(s.p[i]))
			p[n++] = s.p[i], named = true;
		else if (n == 0 || p[n - 1] != '_' || (reserved && s.p[i] == '_'))
			p[n++] = '_';
	}
	return named ? str_of(p, n) : STR_NULL;
}
