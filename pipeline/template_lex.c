/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/template_lex.h"

#include "common/buf.h"

static const struct {
	const char *word;
	enum ttok_kind kind;
} words[] = {{"block", T_BLOCK},
	     {"break", T_BREAK},
	     {"continue", T_CONTINUE},
	     {"define", T_DEFINE},
	     {"else", T_ELSE},
	     {"end", T_END},
	     {"if", T_IF},
	     {"nil", T_NIL},
	     {"range", T_RANGE},
	     {"template", T_TEMPLATE},
	     {"with", T_WITH},
	     {"true", T_BOOL},
	     {"false", T_BOOL}};

struct tlex {
	struct arena *a;
	struct ttok *tok;
	size_t n_tok, cap_tok;
	struct str in;
	size_t pos;
	uint32_t line;
	unsigned parens;
};

static void emit(struct tlex *l, enum ttok_kind kind, size_t from)
{
	struct str text = str_sub(l->in, from, l->pos);
	*ARENA_PUSH(l->a, l->tok, l->n_tok, l->cap_tok) = (struct ttok){kind, (uint32_t)from, l->line, text};
	for (size_t i = 0; i < text.n; i++) l->line += text.p[i] == '\n';
}

static bool lex_error(struct tlex *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool lex_error(struct tlex *l, const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	*ARENA_PUSH(l->a, l->tok, l->n_tok, l->cap_tok) =
		(struct ttok){T_ERROR, (uint32_t)l->pos, l->line, arena_str(l->a, buf_view(&b))};
	buf_free(&b);
	return false;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
static bool is_digit(int c) { return c >= '0' && c <= '9'; }

/* Letters, digits and _; any rune beyond ASCII is taken for a letter. */
static bool is_word(uint32_t c)
{
	return c == '_' || is_digit((int)c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static int peek_at(const struct tlex *l, size_t i) { return i < l->in.n ? (unsigned char)l->in.p[i] : -1; }
static int peek(const struct tlex *l) { return peek_at(l, l->pos); }
static bool at(const struct tlex *l, const char *text) { return str_starts(str_from(l->in, l->pos), str_c(text)); }

static void skip_word(struct tlex *l)
{
	while (l->pos < l->in.n) {
		size_t next = l->pos;
		if (!is_word(str_rune(l->in, &next))) return;
		l->pos = next;
	}
}

/* " -}}" */
static bool at_trimmed_right(const struct tlex *l)
{
	return l->pos < l->in.n && is_space(l->in.p[l->pos]) && str_starts(str_from(l->in, l->pos + 1), STR("-}}"));
}

static bool at_terminator(const struct tlex *l)
{
	int c = peek(l);
	return c < 0 || is_space((char)c) || strchr(".,|:)(", c) != NULL || at(l, "}}");
}

static void lex_bad_character(struct tlex *l)
{
	size_t i = l->pos;
	uint32_t c = str_rune(l->in, &i);
	lex_error(l, c < 0x80 && c >= ' ' ? "bad character U+%04X '%c'" : "bad character U+%04X", c, (char)c);
}

/* Behind a right delimiter with a trim marker, blanks vanish. */
static void skip_trimmed(struct tlex *l)
{
	while (l->pos < l->in.n && is_space(l->in.p[l->pos])) l->line += l->in.p[l->pos++] == '\n';
}

static bool lex_right(struct tlex *l)
{
	bool trim = at_trimmed_right(l);
	size_t from = l->pos;
	if (trim) from += 2;
	l->pos = from + 2;
	emit(l, T_RIGHT, from);
	if (trim) skip_trimmed(l);
	return true;
}

static bool lex_quoted(struct tlex *l, char quote, enum ttok_kind kind, const char *fault)
{
	size_t from = l->pos++;
	for (;; l->pos++) {
		int c = peek(l);
		if (c == '\\' && peek_at(l, l->pos + 1) >= 0 && peek_at(l, l->pos + 1) != '\n')
			l->pos++;
		else if (c < 0 || c == '\n' || c == '\\')
			return lex_error(l, "%s", fault);
		else if (c == quote)
			break;
	}
	l->pos++;
	emit(l, kind, from);
	return true;
}

static bool lex_raw(struct tlex *l)
{
	size_t from = l->pos;
	ssize_t end = str_chr(str_from(l->in, from + 1), '`');
	if (end < 0) return lex_error(l, "unterminated raw quoted string");
	l->pos = from + (size_t)end + 2;
	emit(l, T_RAW, from);
	return true;
}

static void accept_run(struct tlex *l, const char *set)
{
	while (peek(l) > 0 && strchr(set, peek(l))) l->pos++;
}

static bool lex_number(struct tlex *l)
{
	size_t from = l->pos;
	const char *digits = "0123456789_";
	bool hex = false;
	if (peek(l) == '+' || peek(l) == '-') l->pos++;
	if (peek(l) == '0') {
		int c = peek_at(l, l->pos + 1) | 0x20;
		const char *base = c == 'x'   ? "0123456789abcdefABCDEF_"
				   : c == 'o' ? "01234567_"
				   : c == 'b' ? "01_"
					      : NULL;
		hex = c == 'x';
		if (base) {
			digits = base;
			l->pos += 2;
		}
	}
	accept_run(l, digits);
	if (peek(l) == '.') {
		l->pos++;
		accept_run(l, digits);
	}
	int exp = peek(l) | 0x20;
	if ((!hex && exp == 'e') || (hex && exp == 'p')) {
		l->pos++;
		if (peek(l) == '+' || peek(l) == '-') l->pos++;
		accept_run(l, "0123456789_");
	}
	if (is_word((uint32_t)peek(l)) && peek(l) >= 0) {
		size_t to = l->pos + 1;
		struct buf b = {0};
		buf_quote(&b, str_sub(l->in, from, to));
		lex_error(l, "bad number syntax: %.*s", STR_ARG(buf_view(&b)));
		buf_free(&b);
		return false;
	}
	emit(l, T_NUMBER, from);
	return true;
}

static bool lex_word(struct tlex *l)
{
	size_t from = l->pos;
	enum ttok_kind kind = T_IDENT;
	skip_word(l);
	struct str word = str_sub(l->in, from, l->pos);
	if (!at_terminator(l)) return lex_bad_character(l), false;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (str_eqc(word, words[i].word)) kind = words[i].kind;
	emit(l, kind, from);
	return true;
}

/* .name, $name, and "." and "$" alone */
static bool lex_field(struct tlex *l, enum ttok_kind kind)
{
	size_t from = l->pos++;
	if (at_terminator(l)) {
		emit(l, kind == T_FIELD ? T_DOT : kind, from);
		return true;
	}
	skip_word(l);
	if (!at_terminator(l)) return lex_bad_character(l), false;
	emit(l, kind, from);
	return true;
}

static bool lex_space(struct tlex *l)
{
	size_t from = l->pos;
	while (peek(l) >= 0 && is_space((char)peek(l)) && !at_trimmed_right(l)) l->pos++;
	if (l->pos > from) emit(l, T_SPACE, from);
	return true;
}

static bool lex_one(struct tlex *l, enum ttok_kind kind, size_t n)
{
	l->pos += n;
	emit(l, kind, l->pos - n);
	return true;
}

static bool lex_close(struct tlex *l)
{
	if (l->parens-- == 0) return lex_error(l, "unexpected right paren");
	return lex_one(l, T_RPAREN, 1);
}

/* One token inside {{ }}. False: stop. */
static bool lex_action(struct tlex *l)
{
	int c = peek(l);
	if (c < 0) return lex_error(l, "unclosed action");
	if (is_space((char)c)) return lex_space(l);
	switch (c) {
	case '=': return lex_one(l, T_ASSIGN, 1);
	case ':':
		if (peek_at(l, l->pos + 1) != '=') return lex_error(l, "expected :=");
		return lex_one(l, T_DECLARE, 2);
	case '|': return lex_one(l, T_PIPE, 1);
	case '"': return lex_quoted(l, '"', T_STRING, "unterminated quoted string");
	case '\'': return lex_quoted(l, '\'', T_RUNE, "unterminated character constant");
	case '`': return lex_raw(l);
	case '$': return lex_field(l, T_VARIABLE);
	case '.': return is_digit(peek_at(l, l->pos + 1)) ? lex_number(l) : lex_field(l, T_FIELD);
	case '(': l->parens++; return lex_one(l, T_LPAREN, 1);
	case ')': return lex_close(l);
	case '+':
	case '-': return lex_number(l);
	default: break;
	}
	if (is_digit(c)) return lex_number(l);
	if (is_word((uint32_t)c)) return lex_word(l);
	if (c >= ' ' && c < 0x7f) return lex_one(l, T_CHAR, 1);
	return lex_error(l, "unrecognized character in action: U+%04X", (unsigned)c);
}

/* {{/ * … * /}}, at the "/". */
static bool lex_comment(struct tlex *l)
{
	size_t from = l->pos;
	ssize_t end = str_find(str_from(l->in, from + 2), STR("*/"));
	if (end < 0) return lex_error(l, "unclosed comment");
	l->pos = from + 2 + (size_t)end + 2;
	for (size_t i = from; i < l->pos; i++) l->line += l->in.p[i] == '\n';
	bool trim = at_trimmed_right(l);
	if (trim) l->pos += 2;
	if (!at(l, "}}")) return lex_error(l, "comment ends before closing delimiter");
	l->pos += 2;
	if (trim) skip_trimmed(l);
	return true;
}

/* From "{{" to behind "}}". */
static bool lex_delimited(struct tlex *l)
{
	size_t from = l->pos;
	bool trim = peek_at(l, from + 2) == '-' && peek_at(l, from + 3) >= 0 && is_space(l->in.p[from + 3]);
	l->pos = from + (trim ? 4 : 2);
	if (at(l, "/*")) return lex_comment(l);
	l->pos = from + 2;
	emit(l, T_LEFT, from);
	if (trim) l->pos += 2;
	l->parens = 0;
	while (!at(l, "}}") && !at_trimmed_right(l))
		if (!lex_action(l)) return false;
	if (l->parens) return lex_error(l, "unclosed left paren");
	return lex_right(l);
}

struct ttok *template_lex(struct arena *a, struct str text, size_t *n)
{
	struct tlex l = {.a = a, .in = text, .line = 1};
	bool ok = true;
	while (ok && l.pos < l.in.n) {
		ssize_t open = str_find(str_from(l.in, l.pos), STR("{{"));
		size_t from = l.pos, to = open < 0 ? l.in.n : l.pos + (size_t)open, end = to;
		bool trim =
			open >= 0 && peek_at(&l, to + 2) == '-' && peek_at(&l, to + 3) >= 0 && is_space(l.in.p[to + 3]);
		while (trim && end > from && is_space(l.in.p[end - 1])) end--;
		l.pos = end;
		if (end > from) emit(&l, T_TEXT, from);
		for (; l.pos < to; l.pos++) l.line += l.in.p[l.pos] == '\n';
		if (open >= 0) ok = lex_delimited(&l);
	}
	if (ok) emit(&l, T_EOF, l.pos);
	*n = l.n_tok;
	return l.tok;
}
