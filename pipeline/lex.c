/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/lex.h"

#include "common/unicode.h"
#include "common/units.h"

#include <stdio.h>
#include <stdlib.h>

enum how { C, S, K, F, W };

static const struct {
	const char *name, *text;
	enum how how;
} kinds[TOK_KINDS] = {
	[TOK_EOF] = {"$end", "$end", C},
	[TOK_ERROR] = {"error", "error", C},
#define TOK(name, text, how) [TOK_##name] = {#name, text, how},
#include "pipeline/tokens.def"
#undef TOK
};

const char *tok_name(enum tok_kind kind) { return kinds[kind].how == F ? kinds[kind].name : kinds[kind].text; }

/* ---- errors ---- */

static bool fail_at(struct lex *lx, int line, int col, const char *fmt, va_list ap)
{
	if (lx->tok.kind == TOK_ERROR) return false;
	lx->tok.kind = TOK_ERROR;
	err_vset(lx->e, ERR_INVALID, fmt, ap);
	lx->e->line = line;
	lx->e->col = col;
	lx->e->off = (long)lx->tok.from;
	return false;
}

bool lex_fail(struct lex *lx, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail_at(lx, lx->tok.line, lx->tok.col, fmt, ap);
	va_end(ap);
	return false;
}

bool lex_fail_nowhere(struct lex *lx, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail_at(lx, 0, 0, fmt, ap);
	va_end(ap);
	return false;
}

bool lex_unexpected_of(struct lex *lx, const enum tok_kind *expected, size_t n)
{
	struct buf b = {0};
	size_t named = 0;
	if (lx->tok.kind == TOK_ERROR) return false;
	buf_printf(&b, "syntax error: unexpected %s", tok_name(lx->tok.kind));
	for (int k = 0; n <= 4 && k < TOK_KINDS; k++) {
		for (size_t i = 0; i < n; i++) {
			if ((int)expected[i] != k) continue;
			buf_printf(&b, "%s%s", named++ ? " or " : ", expecting ", tok_name((enum tok_kind)k));
			break;
		}
	}
	lex_fail(lx, "%s", buf_cstr(&b));
	buf_free(&b);
	return false;
}

bool lex_wrap(struct err *e)
{
	if (strncmp(e->msg, "parse error", 11) == 0) return false;
	if (e->line == 0 && e->col == 0) {
		char text[sizeof e->msg];
		snprintf(text, sizeof text, "%s", e->msg);
		snprintf(e->msg, sizeof e->msg, "parse error : %.*s", (int)sizeof text - 20, text);
		return false;
	}
	return err_wrap(e, "parse error at line %d, col %d", e->line, e->col);
}

/* ---- characters ---- */

#define END 0xFFFFFFFFu

/* The next character, not read yet. */
static uint32_t peek(const struct lex *lx)
{
	size_t i = lx->pos;
	if (i >= lx->src.n) return END;
	return (unsigned char)lx->src.p[i] < 0x80 ? (unsigned char)lx->src.p[i] : str_rune(lx->src, &i);
}

static void fault(struct lex *lx, const char *what) { lex_fail(lx, "%s", what); }

static uint32_t next(struct lex *lx)
{
	size_t from = lx->pos;
	if (from >= lx->src.n) return END;
	uint32_t r = str_rune(lx->src, &lx->pos);
	lx->col++;
	if (r == '\n') {
		lx->line++;
		lx->col = 1;
	}
	if (r == 0) fault(lx, "invalid character NUL");
	if (r == 0xFFFD && lx->pos - from == 1) fault(lx, "invalid UTF-8 encoding");
	return r;
}

static bool is_space(uint32_t r) { return r == ' ' || (r >= '\t' && r <= '\r'); }
static bool is_digit(uint32_t r) { return r >= '0' && r <= '9'; }
static bool is_letter(uint32_t r)
{
	if (r < 0x80) return r == '_' || ((r | 0x20) >= 'a' && (r | 0x20) <= 'z');
	return r != END && r != 0xFFFD && unicode_is_print(r);
}

static struct str text_from(const struct lex *lx) { return str_sub(lx->src, lx->tok.from, lx->pos); }

/* Takes what lies up to `to`, as looking ahead for it does: the line of the token is lost. */
static void take_ahead(struct lex *lx, size_t to)
{
	while (lx->pos < to) next(lx);
	lx->tok.line = 0;
}

/* ---- blanks and comments ---- */

static void skip_line(struct lex *lx)
{
	while (peek(lx) != END && peek(lx) != '\n') next(lx);
}

static void skip_block(struct lex *lx)
{
	lx->pos += 2;
	lx->col += 2;
	for (;;) {
		uint32_t r = next(lx);
		if (r == END) {
			fault(lx, "comment not terminated");
			return;
		}
		if (r == '*' && peek(lx) == '/') {
			next(lx);
			return;
		}
	}
}

static void mark(struct lex *lx)
{
	lx->tok.from = lx->pos;
	lx->tok.line = lx->src.n ? lx->line : 0;
	lx->tok.col = lx->src.n ? lx->col : 0;
}

/* Up to the first character of a token; blanks are Go's: no vertical tab or form feed. */
static void skip(struct lex *lx)
{
	for (;;) {
		uint32_t r = peek(lx);
		struct str rest = str_from(lx->src, lx->pos);
		mark(lx);
		if (r == ' ' || r == '\t' || r == '\r' || r == '\n')
			next(lx);
		else if (r == '#' || str_starts(rest, STR("//")))
			skip_line(lx);
		else if (str_starts(rest, STR("/*")))
			skip_block(lx);
		else
			return;
	}
}

/* ---- strings ---- */

static void escape_digits(struct lex *lx, unsigned base, int n)
{
	for (; n > 0 && (unsigned)str_hex_digit(peek(lx)) < base; n--) next(lx);
	if (n > 0) fault(lx, "invalid char escape");
}

static void escape(struct lex *lx, uint32_t quote)
{
	uint32_t r = peek(lx);
	if (r == quote || (r < 0x80 && r && strchr("abfnrtv\\", (int)r))) {
		next(lx);
	} else if (r >= '0' && r <= '7') {
		escape_digits(lx, 8, 3);
	} else if (r == 'x' || r == 'u' || r == 'U') {
		next(lx);
		escape_digits(lx, 16, r == 'x' ? 2 : r == 'u' ? 4 : 8);
	} else {
		fault(lx, "invalid char escape");
	}
}

/* "…" or '…'; says how many characters there are. */
static size_t quoted(struct lex *lx)
{
	uint32_t quote = next(lx), r;
	size_t n = 0;
	for (; (r = peek(lx)) != quote; n++) {
		if (r == END || r == '\n') {
			fault(lx, "literal not terminated");
			return n;
		}
		next(lx);
		if (r == '\\') escape(lx, quote);
	}
	next(lx);
	return n;
}

static void unquote(struct lex *lx)
{
	struct buf b = {0};
	if (buf_unquote(&b, text_from(lx)))
		lx->tok.str = arena_str(lx->a, buf_view(&b));
	else
		fault(lx, "invalid syntax");
	buf_free(&b);
}

static void string(struct lex *lx)
{
	quoted(lx);
	struct str inner = text_from(lx);
	if (lx->tok.kind == TOK_ERROR) return;
	lx->tok.kind = TOK_STRING;
	inner = str_sub(inner, 1, inner.n - 1);
	if (str_chr(inner, '\\') >= 0)
		unquote(lx);
	else
		lx->tok.str = inner;
}

static void raw_string(struct lex *lx)
{
	uint32_t r = next(lx);
	do {
		r = next(lx);
	} while (r != '`' && r != END);
	if (r == END) fault(lx, "literal not terminated");
	if (lx->flags & LEX_NO_RAW) fault(lx, "raw strings (`…`) are not allowed here, use \"…\"");
	if (lx->tok.kind == TOK_ERROR) return;
	lx->tok.kind = TOK_STRING;
	lx->tok.str = str_sub(lx->src, lx->tok.from + 1, lx->pos - 1);
}

/* ---- numbers, durations, sizes ---- */

struct number {
	unsigned base;
	char prefix;      /* 0, '0' (leading zero), 'x', 'o', 'b' */
	bool digits, sep; /* some, with '_' among them */
	bool is_float;
	uint32_t invalid; /* first digit too large for the base */
};

static const char *base_name(char prefix)
{
	switch (prefix) {
	case 'x': return "hexadecimal literal";
	case 'o':
	case '0': return "octal literal";
	case 'b': return "binary literal";
	default: return "decimal literal";
	}
}

static bool digits(struct lex *lx, struct number *n, unsigned base)
{
	bool some = false;
	for (;; next(lx)) {
		uint32_t r = peek(lx);
		if (r == '_') {
			n->sep = true;
		} else if (is_digit(r) || (base == 16 && str_hex_digit(r) >= 0)) {
			some = true;
			if ((unsigned)str_hex_digit(r) >= base && !n->invalid) n->invalid = r;
		} else {
			return some;
		}
	}
}

static void prefix(struct lex *lx, struct number *n)
{
	if (peek(lx) != '0') return;
	next(lx);
	uint32_t r = peek(lx) | 0x20;
	if (r == 'x' || r == 'o' || r == 'b') {
		next(lx);
		n->prefix = (char)r;
		n->base = r == 'x' ? 16 : r == 'o' ? 8 : 2;
	} else {
		n->prefix = '0';
		n->base = 8;
		n->digits = true;
	}
}

static void exponent(struct lex *lx, struct number *n)
{
	uint32_t e = peek(lx) | 0x20;
	/* "5PB" is a size; only hexadecimal numbers have an exponent p. */
	if (e != (n->prefix == 'x' ? 'p' : 'e') || peek(lx) == END) {
		if (n->prefix == 'x' && n->is_float) fault(lx, "hexadecimal mantissa requires a 'p' exponent");
		return;
	}
	uint32_t letter = next(lx);
	if (n->prefix && n->prefix != '0' && e == 'e')
		lex_fail(lx, "'%c' exponent requires decimal mantissa", (char)letter);
	n->is_float = true;
	if (peek(lx) == '+' || peek(lx) == '-') next(lx);
	if (!digits(lx, n, 10)) fault(lx, "exponent has no digits");
}

/* Every "_" must stand between digits or behind the prefix. */
static bool separators_ok(struct str s)
{
	bool digit = s.n > 1 && s.p[0] == '0' && (s.p[1] | 0x20) >= 'b';
	for (size_t i = digit ? 2 : 0; i < s.n; i++) {
		bool sep = s.p[i] == '_', here = str_hex_digit((unsigned char)s.p[i]) >= 0;
		if (sep && (!digit || i + 1 == s.n || str_hex_digit((unsigned char)s.p[i + 1]) < 0)) return false;
		digit = here;
	}
	return true;
}

/* How far what stands at i goes on as a duration or a size. */
static size_t unit_end(const struct lex *lx, size_t i, const char *units)
{
	while (i < lx->src.n) {
		char c = lx->src.p[i];
		bool micro = str_starts(str_from(lx->src, i), STR("\xC2\xB5")) && units[0] == 'n';
		if (!micro && !is_digit((unsigned char)c) && c != '.' && !(c && strchr(units, c))) break;
		i += micro ? 2 : 1;
	}
	return i;
}

/* Is the token, which now reaches up to `from`, the beginning of a duration or size? */
static bool try_unit(struct lex *lx, size_t from, enum tok_kind kind)
{
	struct err ignored = ERR_INIT;
	size_t end = unit_end(lx, from, kind == TOK_DURATION ? "numshdwy" : "BikKMGTP");
	if (end == from) return false;
	struct str text = str_sub(lx->src, lx->tok.from, end);
	bool ok = kind == TOK_DURATION ? units_dur_any(text, &lx->tok.dur, &ignored)
				       : units_bytes_human(text, &lx->tok.bytes, &ignored);
	if (!ok) return false;
	take_ahead(lx, end);
	lx->tok.kind = kind;
	return true;
}

static void number(struct lex *lx)
{
	struct number n = {.base = 10};
	if (peek(lx) != '.') {
		prefix(lx, &n);
		n.digits |= digits(lx, &n, n.base);
	}
	if (peek(lx) == '.') {
		next(lx);
		n.is_float = true;
		if (n.prefix == 'o' || n.prefix == 'b') lex_fail(lx, "invalid radix point in %s", base_name(n.prefix));
		n.digits |= digits(lx, &n, n.base);
	}
	if (!n.digits) lex_fail(lx, "%s has no digits", base_name(n.prefix));
	exponent(lx, &n);
	if (!n.is_float && n.invalid) lex_fail(lx, "invalid digit '%c' in %s", (char)n.invalid, base_name(n.prefix));
	if (n.sep && !separators_ok(text_from(lx))) fault(lx, "'_' must separate successive digits");
	if (lx->tok.kind == TOK_ERROR || try_unit(lx, lx->pos, TOK_DURATION)) return;
	if (try_unit(lx, lx->pos, TOK_BYTES)) return;
	lx->tok.kind = TOK_NUMBER;
}

/* [1h30m] */
static void range(struct lex *lx)
{
	ssize_t len = str_chr(str_from(lx->src, lx->pos), ']');
	struct err e = ERR_INIT;
	size_t from = lx->pos + 1;
	take_ahead(lx, len < 0 ? lx->src.n : lx->pos + (size_t)len + 1);
	if (len < 0)
		fault(lx, "missing closing ']' in duration");
	else if (!units_dur_prom(str_sub(lx->src, from, lx->pos - 1), &lx->tok.dur, &e))
		fault(lx, e.msg);
	if (lx->tok.kind != TOK_ERROR) lx->tok.kind = TOK_RANGE;
}

static bool flag(struct lex *lx)
{
	static const char *const flags[] = {"--strict", "--keep-empty"};
	size_t end = lx->pos;
	while (end < lx->src.n &&
	       (lx->src.p[end] == '-' || (lx->src.p[end] != '_' && is_letter((unsigned char)lx->src.p[end]))))
		end++;
	struct str text = str_sub(lx->src, lx->pos, end);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		if (!str_eqc(text, flags[i])) continue;
		take_ahead(lx, end);
		lx->tok.kind = TOK_FLAG;
		return true;
	}
	return false;
}

/* ---- words and symbols ---- */

static size_t past_space(const struct lex *lx, size_t i)
{
	while (i < lx->src.n && is_space((unsigned char)lx->src.p[i])) i++;
	return i;
}

static bool word_at(const struct lex *lx, size_t i, const char *word)
{
	size_t n = strlen(word);
	return i + n <= lx->src.n && str_ieq(str_sub(lx->src, i, i + n), str_of(word, n));
}

/* Is what follows "(", or "by (" or "without ("? */
static bool calls(const struct lex *lx)
{
	size_t i = past_space(lx, lx->pos);
	if (word_at(lx, i, "by"))
		i = past_space(lx, i + 2);
	else if (word_at(lx, i, "without"))
		i = past_space(lx, i + 7);
	return i < lx->src.n && lx->src.p[i] == '(';
}

static void word(struct lex *lx)
{
	next(lx);
	while (is_letter(peek(lx)) || is_digit(peek(lx))) next(lx);
	struct str text = text_from(lx);
	lx->tok.kind = TOK_IDENT;
	for (int k = 0; k < TOK_KINDS; k++) {
		if (kinds[k].how < K || !str_ieq(text, str_c(kinds[k].text))) continue;
		if (kinds[k].how == K || calls(lx)) lx->tok.kind = (enum tok_kind)k;
		return;
	}
}

/* Two characters if they are a symbol, else one; what is no symbol either is an identifier (as in Loki). */
static void symbol(struct lex *lx)
{
	static const char *const twos = "=~ !~ !> |~ |= |> == != <= >=";
	struct str rest = str_from(lx->src, lx->pos);
	size_t n = 1;
	if (rest.n >= 2 && rest.p[1] != ' ' && rest.p[0] != ' ') {
		char two[] = {rest.p[0], rest.p[1], 0};
		if (two[0] && two[1] && strstr(twos, two)) n = 2;
	}
	enum tok_kind kind = TOK_IDENT;
	struct str text = str_of(rest.p, n);
	for (int k = 0; k < TOK_KINDS; k++)
		if (kinds[k].how == S && str_eqc(text, kinds[k].text)) kind = (enum tok_kind)k;
	next(lx);
	if (n == 2) take_ahead(lx, lx->pos + 1);
	if (lx->tok.kind != TOK_ERROR) lx->tok.kind = kind;
}

static void scan(struct lex *lx)
{
	uint32_t r = peek(lx);
	bool dot_digit = r == '.' && lx->pos + 1 < lx->src.n && is_digit((unsigned char)lx->src.p[lx->pos + 1]);
	lx->tok.kind = TOK_EOF;
	if (r == END) return;
	if (is_letter(r)) {
		word(lx);
	} else if (is_digit(r) || dot_digit) {
		number(lx);
	} else if (r == '"') {
		string(lx);
	} else if (r == '`') {
		raw_string(lx);
	} else if (r == '\'') {
		if (quoted(lx) != 1) fault(lx, "invalid char literal");
		if (lx->tok.kind != TOK_ERROR) lx->tok.kind = TOK_IDENT;
	} else if (r == '[') {
		range(lx);
	} else if (r != '-' || (!flag(lx) && !try_unit(lx, lx->pos + 1, TOK_DURATION))) {
		symbol(lx);
	}
}

void lex_next(struct lex *lx)
{
	if (lx->tok.kind == TOK_ERROR) return;
	skip(lx);
	if (lx->tok.kind == TOK_ERROR) return;
	scan(lx);
	lx->tok.to = lx->pos;
	lx->tok.text = text_from(lx);
}

void lex_init(struct lex *lx, struct str src, struct arena *a, unsigned flags, struct err *e)
{
	*lx = (struct lex){.src = src.p ? src : STR(""), .a = a, .e = e, .flags = flags, .line = 1, .col = 1};
	if (src.n >= LEX_MAX_SIZE) {
		lex_fail_nowhere(lx, "input size too long (%zu > %d)", src.n, LEX_MAX_SIZE);
		return;
	}
	if (str_starts(lx->src, STR("\xEF\xBB\xBF"))) {
		lx->pos = 3;
		lx->col = 2;
	}
	lex_next(lx);
}

bool lex_accept(struct lex *lx, enum tok_kind kind)
{
	if (lx->tok.kind != kind) return false;
	lex_next(lx);
	return true;
}

bool lex_expect(struct lex *lx, enum tok_kind kind) { return lex_accept(lx, kind) || lex_unexpected(lx, kind); }
