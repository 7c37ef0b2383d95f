/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tokens, and a parser by binding powers (Pratt), which are those of go-jmespath. */
#include "pipeline/extract/jmespath_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum tok {
	T_EOF,
	T_IDENT,
	T_QUOTED,
	T_RBRACKET,
	T_RPAREN,
	T_COMMA,
	T_RBRACE,
	T_NUMBER,
	T_CURRENT,
	T_EXPREF,
	T_COLON,
	T_LITERAL,
	T_PIPE,
	T_OR,
	T_AND,
	T_EQ,
	T_NE,
	T_LT,
	T_LE,
	T_GT,
	T_GE,
	T_FLATTEN,
	T_STAR,
	T_FILTER,
	T_DOT,
	T_NOT,
	T_LBRACE,
	T_LBRACKET,
	T_LPAREN
};

static const struct {
	const char *name;
	int power;
} toks[] = {
	[T_EOF] = {"tEOF", 0},
	[T_IDENT] = {"tUnquotedIdentifier", 0},
	[T_RBRACKET] = {"tRbracket", 0},
	[T_QUOTED] = {"tQuotedIdentifier", 0},
	[T_RPAREN] = {"tRparen", 0},
	[T_COMMA] = {"tComma", 0},
	[T_RBRACE] = {"tRbrace", 0},
	[T_NUMBER] = {"tNumber", 0},
	[T_CURRENT] = {"tCurrent", 0},
	[T_EXPREF] = {"tExpref", 0},
	[T_COLON] = {"tColon", 0},
	[T_LITERAL] = {"tJSONLiteral", 0},
	[T_PIPE] = {"tPipe", 1},
	[T_OR] = {"tOr", 2},
	[T_AND] = {"tAnd", 3},
	[T_EQ] = {"tEQ", 5},
	[T_NE] = {"tNE", 5},
	[T_LT] = {"tLT", 5},
	[T_LE] = {"tLTE", 5},
	[T_GT] = {"tGT", 5},
	[T_GE] = {"tGTE", 5},
	[T_FLATTEN] = {"tFlatten", 9},
	[T_STAR] = {"tStar", 20},
	[T_FILTER] = {"tFilter", 21},
	[T_DOT] = {"tDot", 40},
	[T_NOT] = {"tNot", 45},
	[T_LBRACE] = {"tLbrace", 50},
	[T_LBRACKET] = {"tLbracket", 55},
	[T_LPAREN] = {"tLparen", 60},
};
#define PROJECTION_STOP 10 /* tokens of less power end a projection */

struct token {
	enum tok kind;
	struct str text;            /* IDENT, QUOTED: the name */
	int64_t num;                /* NUMBER */
	const struct jval *literal; /* LITERAL */
};
struct parser {
	struct str in;
	size_t pos;
	struct token *v; /* ends with T_EOF */
	size_t n, at;
	unsigned depth;
	struct arena *a;
	struct err *e;
};

static void *fail(struct parser *p, const char *what, const char *more)
{
	err_set(p->e, ERR_INVALID, "SyntaxError: %s%s", what, more);
	return NULL;
}

/* ---- tokens ---- */

static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool digit(char c) { return c >= '0' && c <= '9'; }

/* Up to the delimiter that is not behind a backslash; pos is behind the first one and moves behind the last. */
static bool delimited(struct parser *p, char delimiter, struct str *text)
{
	size_t from = p->pos;
	for (; p->pos < p->in.n; p->pos++) {
		char c = p->in.p[p->pos];
		if (c == delimiter) {
			*text = str_sub(p->in, from, p->pos++);
			return true;
		}
		if (c == '\\' && p->pos + 1 < p->in.n) p->pos++;
	}
	char name[2] = {delimiter};
	return fail(p, "Unclosed delimiter: ", name);
}

/* Text with \delimiter as the delimiter itself. */
static struct str unescape(struct arena *a, struct str s, char delimiter)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1] == delimiter) i++;
		out[n++] = s.p[i];
	}
	return str_of(out, n);
}

static bool lex_text(struct parser *p, char delimiter, struct token *t)
{
	struct str text;
	struct err why = ERR_INIT;
	if (!delimited(p, delimiter, &text)) return false;
	t->kind = delimiter == '"' ? T_QUOTED : T_LITERAL;
	if (delimiter == '\'') {
		t->literal = jval_str(p->a, unescape(p->a, text, '\''));
		return true;
	}
	struct str json = unescape(p->a, text, '`');
	if (delimiter == '"') json = arena_printf(p->a, "\"%.*s\"", STR_ARG(text));
	t->literal = jval_parse(p->a, json, &why);
	if (!t->literal) return fail(p, "Invalid JSON: ", why.msg);
	if (delimiter == '"') t->text = t->literal->s;
	return true;
}

static bool lex_number(struct parser *p, struct token *t)
{
	size_t from = p->pos++;
	while (p->pos < p->in.n && digit(p->in.p[p->pos])) p->pos++;
	t->kind = T_NUMBER;
	return str_to_i64(str_sub(p->in, from, p->pos), &t->num) || fail(p, "Expected a number", "");
}

static bool lex_symbol(struct parser *p, struct token *t)
{
	static const struct {
		char text[3];
		enum tok kind;
	} symbols[] = {/* longer ones first */
		       {"[?", T_FILTER},  {"[]", T_FLATTEN}, {"||", T_OR},    {"&&", T_AND},     {"==", T_EQ},
		       {"!=", T_NE},      {"<=", T_LE},      {">=", T_GE},    {"[", T_LBRACKET}, {"|", T_PIPE},
		       {"&", T_EXPREF},   {"!", T_NOT},      {"<", T_LT},     {">", T_GT},       {".", T_DOT},
		       {"*", T_STAR},     {",", T_COMMA},    {":", T_COLON},  {"{", T_LBRACE},   {"}", T_RBRACE},
		       {"]", T_RBRACKET}, {"(", T_LPAREN},   {")", T_RPAREN}, {"@", T_CURRENT}};
	struct str rest = str_from(p->in, p->pos);
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		if (!str_starts(rest, str_c(symbols[i].text))) continue;
		t->kind = symbols[i].kind;
		p->pos += strlen(symbols[i].text);
		return true;
	}
	char c[8];
	size_t n = 0, k = p->pos;
	str_rune(p->in, &k);
	for (n = 0; n < k - p->pos && n + 1 < sizeof c; n++) c[n] = p->in.p[p->pos + n];
	c[n] = 0;
	return fail(p, "Unknown char: ", c);
}

static bool lex_one(struct parser *p, struct token *t)
{
	char c = p->in.p[p->pos];
	if (letter(c)) {
		size_t from = p->pos;
		while (p->pos < p->in.n && (letter(p->in.p[p->pos]) || digit(p->in.p[p->pos]))) p->pos++;
		t->kind = T_IDENT;
		t->text = str_sub(p->in, from, p->pos);
		return true;
	}
	if (digit(c) || c == '-') return lex_number(p, t);
	if (c == '"' || c == '\'' || c == '`') {
		p->pos++;
		return lex_text(p, c, t);
	}
	return lex_symbol(p, t);
}

static bool lex_all(struct parser *p)
{
	size_t cap = 0;
	for (;;) {
		while (p->pos < p->in.n && memchr(" \t\n\r", p->in.p[p->pos], 4)) p->pos++;
		struct token t = {.kind = T_EOF};
		if (p->pos < p->in.n && !lex_one(p, &t)) return false;
		*ARENA_PUSH(p->a, p->v, p->n, cap) = t;
		if (t.kind == T_EOF) return true;
	}
}

/* ---- parser ---- */

static enum tok peek(const struct parser *p, size_t ahead)
{
	return p->at + ahead < p->n ? p->v[p->at + ahead].kind : T_EOF;
}

static const struct token *take(struct parser *p)
{
	const struct token *t = &p->v[p->at];
	if (p->at + 1 < p->n) p->at++;
	return t;
}

static bool match(struct parser *p, enum tok kind)
{
	char text[80];
	if (peek(p, 0) == kind) return take(p);
	snprintf(text, sizeof text, "%s, received: %s", toks[kind].name, toks[peek(p, 0)].name);
	return fail(p, "Expected ", text);
}

static struct jnode *node(struct parser *p, enum jnode_kind kind, struct jnode *a, struct jnode *b)
{
	struct jnode *n = ARENA_NEW(p->a, struct jnode);
	n->kind = kind;
	n->a = a;
	n->b = b;
	n->depth = 1 + (a && (!b || a->depth > b->depth) ? a->depth : b ? b->depth : 0);
	return n;
}

static struct jnode *parse(struct parser *p, int power);
static struct jnode *parse_list(struct parser *p);
static struct jnode *parse_hash(struct parser *p);

/* Makes a node of what may have failed. */
static struct jnode *join(struct parser *p, enum jnode_kind kind, struct jnode *a, struct jnode *b)
{
	return a && b ? node(p, kind, a, b) : NULL;
}

static struct jnode *parse_dot(struct parser *p, int power)
{
	switch (peek(p, 0)) {
	case T_IDENT:
	case T_QUOTED:
	case T_STAR: return parse(p, power);
	case T_LBRACKET: take(p); return parse_list(p);
	case T_LBRACE: take(p); return parse_hash(p);
	default: return fail(p, "Expected identifier, lbracket, or lbrace", "");
	}
}

/* What is done to each element of a projection. */
static struct jnode *parse_each(struct parser *p, int power)
{
	enum tok t = peek(p, 0);
	if (toks[t].power < PROJECTION_STOP) return node(p, JNODE_IDENTITY, NULL, NULL);
	if (t == T_LBRACKET || t == T_FILTER) return parse(p, power);
	if (t != T_DOT) return fail(p, "Unexpected token: ", toks[t].name);
	take(p);
	return parse_dot(p, power);
}

static struct jnode *parse_slice(struct parser *p)
{
	struct jnode *n = node(p, JNODE_SLICE, NULL, NULL);
	for (int i = 0; peek(p, 0) != T_RBRACKET;) {
		const struct token *t = take(p);
		if (t->kind == T_COLON && i < 2) {
			i++;
		} else if (t->kind == T_NUMBER && !n->given[i]) {
			n->slice[i] = t->num;
			n->given[i] = true;
		} else {
			return fail(p, "Expected tRbracket, tColon or tNumber, received: ", toks[t->kind].name);
		}
	}
	return match(p, T_RBRACKET) ? n : NULL;
}

/* Behind "[": a number or a slice, which makes a projection. */
static struct jnode *parse_index(struct parser *p, struct jnode *left)
{
	if (peek(p, 0) == T_COLON || peek(p, 1) == T_COLON) {
		struct jnode *slice = join(p, JNODE_SUB, left, parse_slice(p));
		return slice ? join(p, JNODE_PROJECT, slice, parse_each(p, toks[T_STAR].power)) : NULL;
	}
	struct jnode *n = node(p, JNODE_INDEX, NULL, NULL);
	n->slice[0] = take(p)->num;
	return match(p, T_RBRACKET) ? node(p, JNODE_SUB, left, n) : NULL;
}

static struct jnode *parse_filter(struct parser *p, struct jnode *left)
{
	struct jnode *condition = parse(p, 0);
	if (!condition || !match(p, T_RBRACKET)) return NULL;
	struct jnode *each =
		peek(p, 0) == T_FLATTEN ? node(p, JNODE_IDENTITY, NULL, NULL) : parse_each(p, toks[T_FILTER].power);
	struct jnode *n = join(p, JNODE_FILTER, left, each);
	if (!n) return NULL;
	n->c = condition;
	if (condition->depth >= n->depth) n->depth = condition->depth + 1;
	return n;
}

static struct jnode *parse_flatten(struct parser *p, struct jnode *left)
{
	struct jnode *flat = node(p, JNODE_FLATTEN, left, NULL);
	return join(p, JNODE_PROJECT, flat, parse_each(p, toks[T_FLATTEN].power));
}

static bool push_kid(struct parser *p, struct jnode *n, size_t *cap, struct jnode *kid)
{
	if (!kid) return false;
	*ARENA_PUSH(p->a, n->kids, n->n, *cap) = kid;
	if (kid->depth >= n->depth) n->depth = kid->depth + 1;
	return true;
}

static struct jnode *parse_list(struct parser *p)
{
	struct jnode *n = node(p, JNODE_LIST, NULL, NULL);
	size_t cap = 0;
	for (;;) {
		if (!push_kid(p, n, &cap, parse(p, 0))) return NULL;
		if (peek(p, 0) == T_RBRACKET) break;
		if (!match(p, T_COMMA)) return NULL;
	}
	take(p);
	return n;
}

static struct jnode *parse_hash(struct parser *p)
{
	struct jnode *n = node(p, JNODE_HASH, NULL, NULL);
	size_t cap = 0, cap_keys = 0, keys = 0;
	for (;;) {
		const struct token *key = take(p);
		if (key->kind != T_IDENT && key->kind != T_QUOTED)
			return fail(p, "Expected tQuotedIdentifier or tUnquotedIdentifier, received: ",
				    toks[key->kind].name);
		*ARENA_PUSH(p->a, n->keys, keys, cap_keys) = key->text;
		if (!match(p, T_COLON) || !push_kid(p, n, &cap, parse(p, 0))) return NULL;
		if (peek(p, 0) == T_RBRACE) break;
		if (!match(p, T_COMMA)) return NULL;
	}
	take(p);
	return n;
}

static struct jnode *parse_call(struct parser *p, const struct jnode *left)
{
	if (left->kind != JNODE_FIELD) return fail(p, "Invalid node as function name.", "");
	struct jnode *n = node(p, JNODE_CALL, NULL, NULL);
	size_t cap = 0;
	n->func = jmespath_func(left->name); /* none: the call fails, not the compilation */
	n->name = left->name;
	while (peek(p, 0) != T_RPAREN) {
		if (!push_kid(p, n, &cap, parse(p, 0))) return NULL;
		if (peek(p, 0) == T_COMMA)
			take(p);
		else if (peek(p, 0) != T_RPAREN)
			return match(p, T_RPAREN), NULL;
	}
	take(p);
	return n;
}

static struct jnode *parse_literal(struct parser *p, const struct token *t)
{
	struct jnode *n = node(p, JNODE_LITERAL, NULL, NULL);
	n->literal = t->literal;
	return n;
}

static struct jnode *parse_field(struct parser *p, const struct token *t)
{
	struct jnode *n = node(p, JNODE_FIELD, NULL, NULL);
	n->name = arena_str(p->a, t->text);
	if (t->kind == T_QUOTED && peek(p, 0) == T_LPAREN)
		return fail(p, "Can't have quoted identifier as function name.", "");
	return n;
}

static struct jnode *parse_bracket(struct parser *p)
{
	struct jnode *all = node(p, JNODE_IDENTITY, NULL, NULL);
	enum tok t = peek(p, 0);
	if (t == T_NUMBER || t == T_COLON) return parse_index(p, all);
	if (t != T_STAR || peek(p, 1) != T_RBRACKET) return parse_list(p);
	take(p);
	take(p);
	return join(p, JNODE_PROJECT, all, parse_each(p, toks[T_STAR].power));
}

static struct jnode *one(struct parser *p, enum jnode_kind kind, struct jnode *a)
{
	return a ? node(p, kind, a, NULL) : NULL;
}

/* A token at the start of an expression. */
static struct jnode *prefix(struct parser *p, const struct token *t)
{
	struct jnode *n;
	switch (t->kind) {
	case T_LITERAL: return parse_literal(p, t);
	case T_IDENT:
	case T_QUOTED: return parse_field(p, t);
	case T_STAR:
		n = peek(p, 0) == T_RBRACKET ? node(p, JNODE_IDENTITY, NULL, NULL) : parse_each(p, toks[T_STAR].power);
		return join(p, JNODE_PROJECT_VALUES, node(p, JNODE_IDENTITY, NULL, NULL), n);
	case T_FILTER: return parse_filter(p, node(p, JNODE_IDENTITY, NULL, NULL));
	case T_LBRACE: return parse_hash(p);
	case T_FLATTEN: return parse_flatten(p, node(p, JNODE_IDENTITY, NULL, NULL));
	case T_LBRACKET: return parse_bracket(p);
	case T_CURRENT: return node(p, JNODE_IDENTITY, NULL, NULL);
	case T_EXPREF: return one(p, JNODE_EXPREF, parse(p, toks[T_EXPREF].power));
	case T_NOT: return one(p, JNODE_NOT, parse(p, toks[T_NOT].power));
	case T_LPAREN: n = parse(p, 0); return n && match(p, T_RPAREN) ? n : NULL;
	case T_EOF: return fail(p, "Incomplete expression", "");
	default: return fail(p, "Invalid token: ", toks[t->kind].name);
	}
}

/* A token behind an expression. */
static struct jnode *infix(struct parser *p, enum tok t, struct jnode *left)
{
	struct jnode *n;
	switch (t) {
	case T_DOT:
		if (peek(p, 0) != T_STAR) return join(p, JNODE_SUB, left, parse_dot(p, toks[T_DOT].power));
		take(p);
		return join(p, JNODE_PROJECT_VALUES, left, parse_each(p, toks[T_DOT].power));
	case T_PIPE: return join(p, JNODE_SUB, left, parse(p, toks[T_PIPE].power));
	case T_OR: return join(p, JNODE_OR, left, parse(p, toks[T_OR].power));
	case T_AND: return join(p, JNODE_AND, left, parse(p, toks[T_AND].power));
	case T_LPAREN: return parse_call(p, left);
	case T_FILTER: return parse_filter(p, left);
	case T_FLATTEN: return parse_flatten(p, left);
	case T_EQ:
	case T_NE:
	case T_LT:
	case T_LE:
	case T_GT:
	case T_GE:
		n = join(p, JNODE_COMPARE, left, parse(p, toks[t].power));
		if (n) n->cmp = (enum jcompare)(t - T_EQ);
		return n;
	case T_LBRACKET:
		if (peek(p, 0) == T_NUMBER || peek(p, 0) == T_COLON) return parse_index(p, left);
		if (!match(p, T_STAR) || !match(p, T_RBRACKET)) return NULL;
		return join(p, JNODE_PROJECT, left, parse_each(p, toks[T_STAR].power));
	default: return fail(p, "Unexpected token: ", toks[t].name);
	}
}

static struct jnode *parse(struct parser *p, int power)
{
	struct jnode *left = NULL;
	if (++p->depth > JMESPATH_DEPTH) return fail(p, "expression is nested too deeply", "");
	left = prefix(p, take(p));
	while (left && power < toks[peek(p, 0)].power) {
		left = infix(p, take(p)->kind, left);
		if (left && left->depth > JMESPATH_DEPTH) return fail(p, "expression is nested too deeply", "");
	}
	p->depth--;
	return left;
}

/* ---- the compiled form ---- */

static bool collect_path(struct jmespath *j, const struct jnode *n, size_t *cap)
{
	if (n->kind == JNODE_SUB) return collect_path(j, n->a, cap) && collect_path(j, n->b, cap);
	if (n->kind != JNODE_FIELD) return false;
	*ARENA_PUSH(&j->arena, j->path, j->n_path, *cap) = n->name;
	return true;
}

struct jmespath *jmespath_compile(struct str expr, struct err *e)
{
	struct jmespath *j = mem_zalloc(sizeof *j);
	arena_init(&j->arena, 0);
	struct parser p = {.in = arena_str(&j->arena, expr), .a = &j->arena, .e = e};
	j->root = lex_all(&p) ? parse(&p, 0) : NULL;
	if (j->root && peek(&p, 0) != T_EOF)
		j->root = fail(&p, "Unexpected token at the end of the expression: ", toks[peek(&p, 0)].name);
	if (!j->root) {
		jmespath_free(j);
		return NULL;
	}
	size_t cap = 0;
	if (!collect_path(j, j->root, &cap)) j->n_path = 0;
	return j;
}

void jmespath_free(struct jmespath *j)
{
	if (!j) return;
	arena_free(&j->arena);
	free(j);
}

bool jmespath_is_path(const struct jmespath *j, const struct str **names, size_t *n)
{
	*names = j->path;
	*n = j->n_path;
	return j->n_path > 0;
}
