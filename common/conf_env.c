/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/conf.h"

#include <stdio.h>
#include <stdlib.h>

#define NESTED_MAX 32 /* ${…${…}…} */

struct env {
	struct str text;
	size_t pos;
	const char *(*get)(const char *name);
	unsigned nested;
	struct err *e;
};

static bool fail(struct env *x, size_t at, const char *what)
{
	int line = 1, col = 1;
	for (size_t i = 0; i < at && i < x->text.n; i++) {
		col = x->text.p[i] == '\n' ? 1 : col + 1;
		line += x->text.p[i] == '\n';
	}
	err_at(x->e, ERR_INVALID, line, col, "environment expansion: %s", what);
	x->e->off = (long)at;
	return false;
}

static bool put(struct env *x, struct buf *out, struct str s)
{
	if (s.n > YAML_TEXT_MAX - out->n) {
		fail(x, x->pos, "the result is larger than 16 MiB");
		x->e->code = ERR_TOO_LARGE;
		return false;
	}
	buf_str(out, s);
	return true;
}

static int peek(const struct env *x, size_t ahead)
{
	return x->pos + ahead < x->text.n ? (unsigned char)x->text.p[x->pos + ahead] : -1;
}

static bool is_name(int c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_'; }

/* Length of an escape ($$, \\, \/) at the cursor, of which the last byte stays; or 0. */
static size_t escape_len(const struct env *x)
{
	int c = peek(x, 0), next = peek(x, 1);
	return (c == '$' && next == '$') || (c == '\\' && (next == '\\' || next == '/')) ? 2 : 0;
}

static bool expand_braces(struct env *x, struct buf *out);

/* Appends up to, not including, one of the stop bytes; "" runs to the end of the text. */
static bool expand_until(struct env *x, struct buf *out, const char *stops, bool escapes)
{
	for (;;) {
		int c = peek(x, 0);
		if (c < 0) return *stops ? fail(x, x->pos, "'}' is missing at the end of the text") : true;
		if (c && strchr(stops, c)) return true;
		if (escapes && escape_len(x)) {
			if (!put(x, out, str_sub(x->text, x->pos + 1, x->pos + 2))) return false;
			x->pos += 2;
		} else if (c == '$' && peek(x, 1) == '{') {
			if (!expand_braces(x, out)) return false;
		} else {
			size_t from = x->pos++;
			while ((c = peek(x, 0)) >= 0 && c != '$' && c != '\\' && !(c && strchr(stops, c))) x->pos++;
			if (!put(x, out, str_sub(x->text, from, x->pos))) return false;
		}
	}
}

static bool close_brace(struct env *x)
{
	if (peek(x, 0) != '}') return fail(x, x->pos, "expected '}'");
	x->pos++;
	return true;
}

/* ---- the forms; the cursor is behind the name, value is the variable's or "" ---- */

static bool put_default(struct env *x, struct str value, struct buf *out)
{
	x->pos += peek(x, 0) == ':' ? 2 : 1;
	struct buf arg = {0};
	bool ok = expand_until(x, &arg, "}", false) && close_brace(x) && put(x, out, value.n ? value : buf_view(&arg));
	buf_free(&arg);
	return ok;
}

static bool read_number(struct env *x, const char *stops, int64_t *n)
{
	struct buf arg = {0};
	size_t at = x->pos;
	bool ok = expand_until(x, &arg, stops, false) &&
		  (str_to_i64(str_trim(buf_view(&arg)), n) || fail(x, at, "expected a number for the substring"));
	buf_free(&arg);
	return ok;
}

static bool put_substring(struct env *x, struct str value, struct buf *out)
{
	int64_t size = (int64_t)value.n, pos, len = size;
	x->pos++;
	if (!read_number(x, ":}", &pos)) return false;
	if (peek(x, 0) == ':') {
		x->pos++;
		if (!read_number(x, "}", &len)) return false;
	}
	if (pos < 0) pos = pos < -size ? 0 : pos + size;
	if (pos > size) pos = size;
	if (len < 0) len = 0;
	if (len > size - pos) len = size - pos;
	return close_brace(x) && put(x, out, str_sub(value, (size_t)pos, (size_t)(pos + len)));
}

static bool put_case(struct env *x, struct str value, struct buf *out)
{
	int c = peek(x, 0);
	bool all = peek(x, 1) == c;
	x->pos += all ? 2 : 1;
	size_t at = out->n;
	if (!close_brace(x) || !put(x, out, value)) return false;
	size_t end = all ? out->n : value.n ? at + 1 : at;
	for (size_t i = at; i < end; i++) {
		char *p = &out->p[i];
		if (c == '^' ? *p >= 'a' && *p <= 'z' : *p >= 'A' && *p <= 'Z') *p ^= 0x20;
	}
	return true;
}

/* One [set] at p[*i] against c; advances *i behind it. False also for a set that is not closed. */
static bool match_set(struct str p, size_t *i, char c)
{
	size_t j = *i + 1;
	bool negate = j < p.n && (p.p[j] == '^' || p.p[j] == '!'), hit = false;
	if (negate) j++;
	for (size_t first = j; j < p.n && (p.p[j] != ']' || j == first); j++) {
		unsigned char lo = (unsigned char)p.p[j], hi = lo;
		if (j + 2 < p.n && p.p[j + 1] == '-' && p.p[j + 2] != ']') {
			hi = (unsigned char)p.p[j + 2];
			j += 2;
		}
		hit |= (unsigned char)c >= lo && (unsigned char)c <= hi;
	}
	*i = j + 1;
	return j < p.n && hit != negate;
}

/* Shell pattern over the whole of s: * ? [set] and \ as escape. Backtracks to the last * only. */
static bool glob(struct str p, struct str s)
{
	size_t i = 0, k = 0, star = SIZE_MAX, star_k = 0;
	while (k < s.n || i < p.n) {
		if (i < p.n && p.p[i] == '*') {
			star = i++;
			star_k = k;
			continue;
		}
		if (i < p.n && k < s.n) {
			size_t next = i + 1;
			bool ok = p.p[i] == '?';
			if (p.p[i] == '[') {
				next = i;
				ok = match_set(p, &next, s.p[k]);
			} else if (p.p[i] == '\\' && i + 1 < p.n) {
				next = i + 2;
				ok = p.p[i + 1] == s.p[k];
			} else if (!ok) {
				ok = p.p[i] == s.p[k];
			}
			if (ok) {
				i = next;
				k++;
				continue;
			}
		}
		if (star == SIZE_MAX || star_k >= s.n) return false;
		i = star + 1;
		k = ++star_k;
	}
	return true;
}

static bool put_trimmed(struct env *x, struct str value, struct buf *out)
{
	int c = peek(x, 0);
	bool prefix = c == '#', longest = peek(x, 1) == c;
	x->pos += longest ? 2 : 1;
	struct buf pattern = {0};
	bool ok = expand_until(x, &pattern, "}", false) && close_brace(x);
	for (size_t i = 1; ok && i <= value.n; i++) {
		size_t n = longest ? value.n + 1 - i : i;
		struct str part = prefix ? str_sub(value, 0, n) : str_from(value, value.n - n);
		if (!glob(buf_view(&pattern), part)) continue;
		value = prefix ? str_from(value, n) : str_sub(value, 0, value.n - n);
		break;
	}
	ok = ok && put(x, out, value);
	buf_free(&pattern);
	return ok;
}

static bool replace(struct env *x, struct str s, char how, struct str from, struct str to, struct buf *out)
{
	if (how == '#' || how == '%') {
		if (!(how == '#' ? str_starts(s, from) : str_ends(s, from))) return put(x, out, s);
		struct str rest = how == '#' ? str_from(s, from.n) : str_sub(s, 0, s.n - from.n);
		return put(x, out, how == '#' ? to : rest) && put(x, out, how == '#' ? rest : to);
	}
	ssize_t at;
	while (from.n && (at = str_find(s, from)) >= 0) {
		if (!put(x, out, str_sub(s, 0, (size_t)at)) || !put(x, out, to)) return false;
		s = str_from(s, (size_t)at + from.n);
		if (how != '/') break;
	}
	return put(x, out, s);
}

static bool put_replaced(struct env *x, struct str value, struct buf *out)
{
	int how = peek(x, 1);
	bool marked = how == '/' || how == '#' || how == '%';
	x->pos += marked ? 2 : 1;
	struct buf from = {0}, to = {0};
	bool ok = expand_until(x, &from, "/}", true);
	if (ok && peek(x, 0) != '/')
		ok = fail(x, x->pos, "expected '/' between what is replaced and what comes in its place");
	if (ok) {
		x->pos++;
		ok = expand_until(x, &to, "}", true) && close_brace(x) &&
		     replace(x, value, marked ? (char)how : 0, buf_view(&from), buf_view(&to), out);
	}
	buf_free(&from);
	buf_free(&to);
	return ok;
}

static bool put_form(struct env *x, struct str value, struct buf *out)
{
	int c = peek(x, 0), next = peek(x, 1);
	switch (c) {
	case '}': return close_brace(x) && put(x, out, value);
	case ':': return next > 0 && strchr("-=?+", next) ? put_default(x, value, out) : put_substring(x, value, out);
	case '=': return put_default(x, value, out);
	case '^':
	case ',': return put_case(x, value, out);
	case '#':
	case '%': return put_trimmed(x, value, out);
	case '/': return put_replaced(x, value, out);
	default: return fail(x, x->pos, "expected '}' after the name of a variable");
	}
}

/* At "${". */
static bool expand_braces(struct env *x, struct buf *out)
{
	size_t start = x->pos;
	if (x->nested == NESTED_MAX) return fail(x, start, "more than 32 nested ${…}");
	x->pos += 2;
	bool length = peek(x, 0) == '#';
	if (length) x->pos++;
	size_t from = x->pos;
	while (is_name(peek(x, 0))) x->pos++;
	if (x->pos == from)
		return fail(x, start, "expected the name of a variable after ${ (write $${ for a literal ${)");
	char *name = mem_strndup(x->text.p + from, x->pos - from);
	struct str value = str_c(x->get(name));
	free(name);
	if (!value.p) value = STR("");
	if (length) {
		char digits[24];
		int n = snprintf(digits, sizeof digits, "%zu", value.n);
		return close_brace(x) && put(x, out, str_of(digits, (size_t)n));
	}
	x->nested++;
	bool ok = put_form(x, value, out);
	x->nested--;
	return ok;
}

bool conf_expand_env(struct str text, const char *(*get)(const char *name), struct buf *out, struct err *e)
{
	struct env x = {.text = text, .get = get, .e = e};
	return expand_until(&x, out, "", true);
}
