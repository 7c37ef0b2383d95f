/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/labels.h"

#include "common/unicode.h"

#include <stdlib.h>
#include <xxhash.h>

/* ---- sets ---- */

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Insertion for the usual few, which often come sorted; qsort bounds what a hostile set costs. */
static void sort(struct label *v, size_t n)
{
	enum { FEW = 32 };
	if (n > FEW) {
		qsort(v, n, sizeof *v, by_name);
		return;
	}
	for (size_t from = 1; from < n; from++) {
		struct label l = v[from];
		size_t i = from;
		for (; i > 0 && by_name(&v[i - 1], &l) > 0; i--) v[i] = v[i - 1];
		v[i] = l;
	}
}

bool labels_sort(struct label *v, size_t n, struct str *dup)
{
	sort(v, n);
	for (size_t i = 1; i < n; i++) {
		if (!str_eq(v[i - 1].name, v[i].name)) continue;
		*dup = v[i].name;
		return false;
	}
	return true;
}

struct str labels_get(const struct labels *l, struct str name)
{
	size_t lo = 0, hi = l->n;
	while (hi - lo > 8) {
		size_t mid = lo + (hi - lo) / 2;
		if (str_cmp(l->v[mid].name, name) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	for (; lo < hi; lo++)
		if (str_eq(l->v[lo].name, name)) return l->v[lo].value.p ? l->v[lo].value : STR("");
	return STR_NULL;
}

int labels_cmp(const struct labels *a, const struct labels *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		int d = str_cmp(a->v[i].name, b->v[i].name);
		if (d == 0) d = str_cmp(a->v[i].value, b->v[i].value);
		if (d) return d;
	}
	return (a->n > b->n) - (a->n < b->n);
}

bool labels_eq(const struct labels *a, const struct labels *b)
{
	if (a->n != b->n) return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i].name, b->v[i].name) || !str_eq(a->v[i].value, b->v[i].value)) return false;
	return true;
}

/* The hash is that of: for each pair, name then value, each as its length (u32 LE) and its bytes. */
static char *put_sized(char *p, struct str s)
{
	for (int i = 0; i < 4; i++) *p++ = (char)(s.n >> 8 * i & 0xff);
	if (s.n) memcpy(p, s.p, s.n);
	return p + s.n;
}

uint64_t labels_hash(const struct labels *l)
{
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++) n += 8 + l->v[i].name.n + l->v[i].value.n;
	char small[1024], *text = n <= sizeof small ? small : mem_alloc(n), *p = text;
	for (size_t i = 0; i < l->n; i++) p = put_sized(put_sized(p, l->v[i].name), l->v[i].value);
	uint64_t h = XXH3_64bits(n ? text : "", n);
	if (text != small) free(text);
	return h;
}

struct labels labels_copy(struct arena *a, const struct labels *l)
{
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++) n += l->v[i].name.n + l->v[i].value.n;
	struct labels out = {arena_alloc(a, l->n * sizeof *l->v), l->n};
	char *p = arena_alloc(a, n);
	for (size_t i = 0; i < l->n; i++) {
		struct str s[2] = {l->v[i].name, l->v[i].value};
		for (int k = 0; k < 2; k++) {
			if (s[k].n) memcpy(p, s[k].p, s[k].n);
			s[k].p = p;
			p += s[k].n;
		}
		out.v[i] = (struct label){s[0], s[1]};
	}
	return out;
}

void labels_print(struct buf *b, const struct labels *l)
{
	buf_ch(b, '{');
	for (size_t i = 0; i < l->n; i++) {
		if (i) buf_c(b, ", ");
		buf_str(b, l->v[i].name);
		buf_ch(b, '=');
		buf_quote(b, l->v[i].value);
	}
	buf_ch(b, '}');
}

/* ---- text ---- */

static inline bool alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static inline bool digit(char c) { return c >= '0' && c <= '9'; }
static inline bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool labels_name_valid(struct str name)
{
	if (name.n == 0 || !alpha(name.p[0])) return false;
	for (size_t i = 1; i < name.n; i++)
		if (!alpha(name.p[i]) && !digit(name.p[i])) return false;
	return true;
}

enum tok { TOK_END, TOK_NAME, TOK_STRING, TOK_EQ, TOK_OP, TOK_COMMA, TOK_OPEN, TOK_CLOSE };

/* A reader of Prometheus' metric grammar, as far as label sets need it; the first error wins. */
struct parser {
	struct str in;
	size_t pos;  /* behind the current token */
	size_t at;   /* where it starts */
	bool inside; /* of braces */
	enum tok tok;
	struct str text; /* of the token */
	struct arena *arena;
	struct err *e;
};

/* "LINE:COL: parse error: WHAT" for offset p->at; frees what. */
static bool fail(struct parser *p, struct buf *what)
{
	int line = 1, col = 1;
	for (size_t i = 0; i < p->at; i++, col++) {
		if (p->in.p[i] != '\n') continue;
		line++;
		col = 0;
	}
	err_at(p->e, ERR_INVALID, line, col, "%d:%d: parse error: %s", line, col, buf_cstr(what));
	p->e->off = (long)p->at;
	buf_free(what);
	return false;
}

static bool fail_c(struct parser *p, const char *what)
{
	struct buf b = {0};
	buf_c(&b, what);
	return fail(p, &b);
}

enum rune_style { RUNE_QUOTED, RUNE_NAMED };

/* Names the rune at pos as Go's %q ('x') or %#U (U+0078 'x') does; past the end it is U+FFFD. */
static bool fail_rune(struct parser *p, const char *prefix, size_t pos, enum rune_style style, const char *suffix)
{
	struct buf b = {0};
	uint32_t rune = pos < p->in.n ? str_rune(p->in, &pos) : 0xfffd;
	buf_c(&b, prefix);
	if (style == RUNE_NAMED) buf_printf(&b, unicode_is_print(rune) ? "U+%04X " : "U+%04X", rune);
	if (rune == '\'') {
		buf_c(&b, "'\\''");
	} else if (rune == '"') {
		buf_c(&b, "'\"'");
	} else if (style == RUNE_QUOTED || unicode_is_print(rune)) {
		char utf8[4];
		size_t from = b.n;
		buf_quote(&b, str_of(utf8, str_rune_put(rune, utf8)));
		b.p[from] = b.p[b.n - 1] = '\'';
	}
	buf_c(&b, suffix);
	return fail(p, &b);
}

static bool take(struct parser *p, enum tok tok, size_t end)
{
	p->tok = tok;
	p->text = str_sub(p->in, p->at, end);
	p->pos = end;
	return true;
}

/* Checks the escape whose letter is at *i and steps over it. */
static bool scan_escape(struct parser *p, size_t *i, char quote)
{
	if (*i == p->in.n) return fail_c(p, "escape sequence not terminated");
	char c = p->in.p[*i];
	size_t digits = 0;
	uint32_t base = 16, max = 0x10ffff, v = 0;
	if (c == quote || memchr("abfnrtv\\", c, 8)) {
		(*i)++;
		return true;
	}
	if (c >= '0' && c <= '7')
		digits = 3, base = 8, max = 255;
	else if (c == 'x')
		digits = 2, max = 255;
	else if (c == 'u')
		digits = 4;
	else if (c == 'U')
		digits = 8;
	else
		return fail_rune(p, "unknown escape sequence ", *i, RUNE_NAMED, "");
	if (base == 16) (*i)++;
	for (; digits; digits--, (*i)++) {
		if (*i == p->in.n) return fail_c(p, "escape sequence not terminated");
		c = p->in.p[*i];
		uint32_t d = (uint32_t)str_hex_digit((unsigned char)c); /* none: above every base */
		if (d >= base) return fail_rune(p, "illegal character ", *i, RUNE_NAMED, " in escape sequence");
		v = v * base + d;
	}
	if (v <= max && !(v >= 0xd800 && v < 0xe000)) return true;
	return fail_c(p, "escape sequence is an invalid Unicode code point");
}

static bool scan_string(struct parser *p)
{
	char quote = p->in.p[p->at];
	for (size_t i = p->at + 1; i < p->in.n;) {
		char c = p->in.p[i];
		if (c == quote) return take(p, TOK_STRING, i + 1);
		if (quote != '`' && c == '\n') break;
		if (quote != '`' && c == '\\') {
			i++;
			if (!scan_escape(p, &i, quote)) return false;
			continue;
		}
		if (str_rune(p->in, &i) == 0xfffd) return fail_c(p, "invalid UTF-8 rune");
	}
	return fail_c(p, quote == '`' ? "unterminated raw string" : "unterminated quoted string");
}

static bool scan_operator(struct parser *p)
{
	char c = p->in.p[p->at], next = p->at + 1 < p->in.n ? p->in.p[p->at + 1] : '\0';
	if (next == '~' || (next == '=' && (c == '!' || !p->inside))) return take(p, TOK_OP, p->at + 2);
	if (c == '=') return take(p, TOK_EQ, p->at + 1);
	return fail_rune(
		p, p->inside ? "unexpected character after '!' inside braces: " : "unexpected character after '!': ",
		p->at + 1, RUNE_QUOTED, "");
}

/* Steps over blanks and comments. */
static void skip_blank(struct parser *p)
{
	for (; p->pos < p->in.n; p->pos++) {
		if (p->in.p[p->pos] == '#') {
			ssize_t eol = str_chr(str_from(p->in, p->pos), '\n');
			p->pos = eol < 0 ? p->in.n : p->pos + (size_t)eol;
			if (eol < 0) return;
		}
		if (!space(p->in.p[p->pos])) return;
	}
}

static bool next_token(struct parser *p)
{
	skip_blank(p);
	p->at = p->pos;
	if (p->at == p->in.n)
		return p->inside ? fail_c(p, "unexpected end of input inside braces") : take(p, TOK_END, p->at);
	char c = p->in.p[p->at];
	switch (c) {
	case '"':
	case '\'':
	case '`': return scan_string(p);
	case '=':
	case '!': return scan_operator(p);
	case ',': return take(p, TOK_COMMA, p->at + 1);
	case '{':
		if (p->inside) return fail_c(p, "unexpected left brace '{'");
		p->inside = true;
		return take(p, TOK_OPEN, p->at + 1);
	case '}':
		if (!p->inside) break;
		p->inside = false;
		return take(p, TOK_CLOSE, p->at + 1);
	}
	size_t end = p->at;
	while (end < p->in.n && (alpha(p->in.p[end]) || (end > p->at && digit(p->in.p[end])))) end++;
	if (end > p->at) return take(p, TOK_NAME, end);
	const char *prefix = p->inside ? "unexpected character inside braces: " : "unexpected character: ";
	return fail_rune(p, prefix, p->at, RUNE_QUOTED, "");
}

/* The current token does not fit. */
static bool unexpected(struct parser *p, const char *expected)
{
	static const char *const kinds[] = {[TOK_NAME] = "identifier ", [TOK_STRING] = "string "};
	enum { SHOWN = 10 };
	struct buf b = {0};
	buf_c(&b, "unexpected ");
	if (p->tok == TOK_END) {
		buf_c(&b, "end of input");
	} else if (p->tok == TOK_OP) {
		buf_printf(&b, "<op:%.*s>", STR_ARG(p->text));
	} else {
		if (p->tok < TOK_EQ && kinds[p->tok]) buf_c(&b, kinds[p->tok]);
		size_t end = 0;
		for (int runes = 0; end < p->text.n && runes < SHOWN; runes++) str_rune(p->text, &end);
		buf_quote(&b, str_sub(p->text, 0, end));
		if (p->text.n > SHOWN) buf_c(&b, "...");
	}
	if (expected) buf_printf(&b, " in label set, expected %s", expected);
	return fail(p, &b);
}

/* The value of the current string token: borrowed where nothing is escaped. */
static struct str string_value(struct parser *p)
{
	struct str raw = p->text, inner = str_sub(raw, 1, raw.n - 1);
	if (str_chr(inner, raw.p[0] == '`' ? '\r' : '\\') < 0) return inner;
	struct buf literal = {0}, out = {0};
	if (raw.p[0] == '\'') {
		/* Go knows no single-quoted strings: make it a double-quoted one. */
		buf_ch(&literal, '"');
		for (size_t i = 0; i < inner.n; i++) {
			if (inner.p[i] == '"') buf_ch(&literal, '\\');
			if (inner.p[i] == '\\' && inner.p[i + 1] == '\'') continue;
			if (inner.p[i] == '\\') buf_ch(&literal, inner.p[i++]);
			buf_ch(&literal, inner.p[i]);
		}
		buf_ch(&literal, '"');
		raw = buf_view(&literal);
	}
	buf_unquote(&out, raw); /* cannot fail: the scanner has checked the escapes */
	struct str value = arena_str(p->arena, buf_view(&out));
	buf_free(&literal);
	buf_free(&out);
	return value;
}

/* Behind the opening brace, up to and with the closing one. */
static bool parse_pairs(struct parser *p, struct labels *out, size_t *cap)
{
	if (!next_token(p)) return false;
	while (p->tok != TOK_CLOSE) {
		if (p->tok != TOK_NAME) return unexpected(p, "identifier or \"}\"");
		struct label *l = ARENA_PUSH(p->arena, out->v, out->n, *cap);
		l->name = p->text;
		if (!next_token(p)) return false;
		if (p->tok != TOK_EQ) return unexpected(p, "\"=\"");
		if (!next_token(p)) return false;
		if (p->tok != TOK_STRING) return unexpected(p, "string");
		l->value = string_value(p);
		if (!next_token(p)) return false;
		if (p->tok == TOK_CLOSE) break;
		if (p->tok != TOK_COMMA) return unexpected(p, "\",\" or \"}\"");
		if (!next_token(p)) return false;
	}
	return next_token(p);
}

/* An empty value means that the label is absent, however often its name occurs. */
static void drop_empty(struct labels *l)
{
	size_t kept = 0;
	for (size_t i = 0, end; i < l->n; i = end) {
		bool empty = false;
		for (end = i; end < l->n && str_eq(l->v[end].name, l->v[i].name); end++)
			empty |= l->v[end].value.n == 0;
		if (empty) continue;
		memmove(&l->v[kept], &l->v[i], (end - i) * sizeof *l->v);
		kept += end - i;
	}
	l->n = kept;
}

bool labels_parse(struct arena *a, struct str text, struct labels *out, struct err *e)
{
	struct parser p = {.in = text, .arena = a, .e = e};
	size_t cap = 0;
	*out = (struct labels){0};
	if (!next_token(&p)) return false;
	if (p.tok == TOK_NAME) {
		*ARENA_PUSH(a, out->v, out->n, cap) = (struct label){STR("__name__"), p.text};
		if (!next_token(&p)) return false;
	}
	if (p.tok == TOK_OPEN && !parse_pairs(&p, out, &cap)) return false;
	if (p.tok != TOK_END) return unexpected(&p, NULL);
	sort(out->v, out->n);
	drop_empty(out);
	return true;
}
