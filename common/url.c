/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/url.h"

void url_encode(struct buf *b, struct str s, bool plus)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
			     c == '_' || c == '.' || c == '~';

		if (plain) {
			buf_ch(b, (char)c);
		} else if (plus && c == ' ') {
			buf_ch(b, '+');
		} else {
			buf_ch(b, '%');
			buf_ch(b, hex[c >> 4]);
			buf_ch(b, hex[c & 15]);
		}
	}
}

bool url_decode(struct arena *a, struct str in, bool plus, struct str *out, struct err *e)
{
	bool as_is = str_chr(in, '%') < 0 && (!plus || str_chr(in, '+') < 0);
	char *p;
	size_t n = 0;

	*out = in;
	if (as_is) return true;
	p = arena_alloc(a, in.n);
	for (size_t i = 0; i < in.n; i++) {
		int hi, lo;

		if (in.p[i] != '%') {
			p[n++] = plus && in.p[i] == '+' ? ' ' : in.p[i];
			continue;
		}
		hi = i + 2 < in.n ? str_hex_digit((unsigned char)in.p[i + 1]) : -1;
		lo = i + 2 < in.n ? str_hex_digit((unsigned char)in.p[i + 2]) : -1;
		if (hi < 0 || lo < 0) {
			struct str bad = str_sub(in, i, i + 3 < in.n ? i + 3 : in.n);

			return err_set(e, ERR_INVALID, "invalid URL escape \"%.*s\"", STR_ARG(bad));
		}
		p[n++] = (char)(hi << 4 | lo);
		i += 2;
	}
	*out = str_of(p, n);
	return true;
}

bool url_args_parse(struct arena *a, struct str text, struct url_args *out, struct err *e)
{
	struct str part;

	while (text.n) {
		struct url_arg arg = {.value = STR("")};
		struct str name;
		bool has_value;

		str_cut(&text, '&', &part);
		if (part.n == 0) continue;
		if (str_chr(part, ';') >= 0) return err_set(e, ERR_INVALID, "invalid semicolon separator in query");
		has_value = str_cut(&part, '=', &name);
		if (out->n == URL_ARGS_MAX)
			return err_set(e, ERR_INVALID, "more than %d arguments in a request", URL_ARGS_MAX);
		if (!url_decode(a, name, true, &arg.name, e)) return false;
		if (has_value && !url_decode(a, part, true, &arg.value, e)) return false;
		*ARENA_PUSH(a, out->v, out->n, out->cap) = arg;
	}
	return true;
}

struct str url_args_next(const struct url_args *args, struct str name, size_t *i)
{
	while (*i < args->n) {
		const struct url_arg *arg = &args->v[(*i)++];

		if (str_eq(arg->name, name)) return arg->value;
	}
	return STR_NULL;
}
