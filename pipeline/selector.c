/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/selector.h"

static const struct {
	const char *text;
	enum tok_kind kind;
} ops[] = {
	[MATCH_EQ] = {"=", TOK_EQ},
	[MATCH_NEQ] = {"!=", TOK_NEQ},
	[MATCH_RE] = {"=~", TOK_RE},
	[MATCH_NRE] = {"!~", TOK_NRE},
};

const char *match_op_text(enum match_op op) { return ops[op].text; }

bool match_op_of(enum tok_kind kind, enum match_op *op)
{
	for (int i = 0; i < (int)(sizeof ops / sizeof *ops); i++) {
		if (ops[i].kind != kind) continue;
		*op = (enum match_op)i;
		return true;
	}
	return false;
}

bool matcher_init(struct matcher *m, enum match_op op, struct str name, struct str value, unsigned flags, struct err *e)
{
	*m = (struct matcher){.op = op, .name = name, .value = value};
	if (op == MATCH_EQ || op == MATCH_NEQ) return true;
	m->re = regex_new(value, REGEX_ANCHORED | flags, e);
	return m->re != NULL;
}

void matcher_fini(struct matcher *m)
{
	regex_free(m->re);
	m->re = NULL;
}

bool matcher_match(const struct matcher *m, struct str value)
{
	switch (m->op) {
	case MATCH_EQ: return str_eq(m->value, value);
	case MATCH_NEQ: return !str_eq(m->value, value);
	case MATCH_RE: return regex_match(m->re, value);
	default: return !regex_match(m->re, value);
	}
}

bool matcher_eq(const struct matcher *a, const struct matcher *b)
{
	return a->op == b->op && str_eq(a->name, b->name) && str_eq(a->value, b->value);
}

void matcher_print(struct buf *b, const struct matcher *m)
{
	buf_str(b, m->name);
	buf_c(b, ops[m->op].text);
	buf_quote(b, m->value);
}

/* IDENTIFIER op STRING */
static bool parse_matcher(struct lex *lx, struct matcher *m)
{
	struct str name = lx->tok.text, value;
	struct err e = ERR_INIT;
	enum match_op op;
	if (!lex_expect(lx, TOK_IDENT)) return false;
	if (!match_op_of(lx->tok.kind, &op)) return lex_unexpected(lx, TOK_EQ, TOK_NEQ, TOK_RE, TOK_NRE);
	lex_next(lx);
	value = lx->tok.str;
	if (!lex_expect(lx, TOK_STRING)) return false;
	return matcher_init(m, op, name, value, REGEX_DOTALL, &e) || lex_fail_nowhere(lx, "%s", e.msg);
}

/* Up to "}"; *s holds what was read even on failure. */
static bool parse_matchers(struct lex *lx, struct selector *s)
{
	size_t cap = 0;
	if (!lex_expect(lx, TOK_LBRACE)) return false;
	if (lex_accept(lx, TOK_RBRACE)) return true;
	if (lx->tok.kind != TOK_IDENT) return lex_unexpected(lx, TOK_IDENT, TOK_RBRACE);
	do {
		struct matcher m;
		if (!parse_matcher(lx, &m)) return false;
		*ARENA_PUSH(lx->a, s->v, s->n, cap) = m;
	} while (lex_accept(lx, TOK_COMMA));
	return lex_accept(lx, TOK_RBRACE) || lex_unexpected(lx, TOK_RBRACE, TOK_COMMA);
}

bool selector_parse(struct lex *lx, struct selector *s)
{
	*s = (struct selector){0};
	if (parse_matchers(lx, s)) return true;
	selector_fini(s);
	return false;
}

void selector_fini(struct selector *s)
{
	for (size_t i = 0; i < s->n; i++) matcher_fini(&s->v[i]);
	s->n = 0;
}

bool selector_match(const struct selector *s, const struct labels *l)
{
	for (size_t i = 0; i < s->n; i++)
		if (!matcher_match(&s->v[i], labels_get(l, s->v[i].name))) return false;
	return true;
}

void selector_print(struct buf *b, const struct selector *s)
{
	buf_ch(b, '{');
	for (size_t i = 0; i < s->n; i++) {
		if (i) buf_c(b, ", ");
		matcher_print(b, &s->v[i]);
	}
	buf_ch(b, '}');
}

bool selector_check(const struct selector *s, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (!matcher_match(&s->v[i], STR(""))) return true;
	return err_set(e, ERR_INVALID,
		       "queries require at least one regexp or equality matcher that does not have an empty-compatible "
		       "value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will");
}
