/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/ansi.h"

static bool in(char c, const char *set) { return c && strchr(set, c); }
static bool alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* Length of the escape sequence behind an introducer (ESC or CSI), 0: it is none. Either text up to BEL (operating
 * system commands), or numbers separated by ";" and a final character. */
static size_t escape_len(const char *p, const char *end)
{
	const char *s = p;
	while (s < end && in(*s, "[]()#;?")) s++;
	for (const char *q = s; q < end && (alnum(*q) || *q == ';' || *q == '\a'); q++)
		if (*q == '\a') return (size_t)(q + 1 - p);
	const char *q = s;
	for (int digits = 0; q < end && ((*q >= '0' && *q <= '9' && digits < 4) || (*q == ';' && q > s)); q++)
		digits = *q == ';' ? 0 : digits + 1;
	for (; q >= s; q--) /* a digit may be the final character itself */
		if (q < end && ((*q >= '0' && *q <= '9') || (*q >= 'A' && *q <= 'P') || in(*q, "RZcfghijklmntqry=><~")))
			return (size_t)(q + 1 - p);
	return 0;
}

struct str ansi_strip(struct arena *a, struct str line)
{
	const char *end = line.p + line.n;
	if (!memchr(line.p, 0x1b, line.n) && !memchr(line.p, 0xc2, line.n)) return line;
	char *out = arena_alloc(a, line.n), *o = out;
	for (const char *p = line.p; p < end;) {
		size_t intro = *p == 0x1b ? 1 : end - p >= 2 && memcmp(p, "\xc2\x9b", 2) == 0 ? 2 : 0;
		size_t len = intro ? escape_len(p + intro, end) : 0;
		if (len)
			p += intro + len;
		else
			*o++ = *p++;
	}
	return str_of(out, (size_t)(o - out));
}
