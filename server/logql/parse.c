/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recursive descent with precedence climbing. Where Loki's generated parser reduces before it notices a fault, the list
 * of expected tokens is that of the state it has reduced to; the calls of lex_unexpected() follow that. */
#include "server/logql/parse.h"

#include <math.h>

struct logql_owned {
	struct logql_owned *next;
	void *obj;
	void (*release)(void *obj);
};

void logql_own_object(struct logql *q, void *obj, void (*release)(void *obj))
{
	struct logql_owned *o = ARENA_NEW(q->a, struct logql_owned);
	*o = (struct logql_owned){q->owned, obj, release};
	q->owned = o;
}

void logql_free(struct logql *q)
{
	if (!q) return;
	for (struct logql_owned *o = q->owned; o; o = o->next) o->release(o->obj);
	q->owned = NULL;
}

bool parse_enter(struct parse *p)
{
	if (p->depth >= LOGQL_MAX_DEPTH)
		return lex_fail(&p->lx, "query is nested too deeply (limit %d)", LOGQL_MAX_DEPTH);
	p->depth++;
	return true;
}

/* A span ends where the last consumed token ended; blanks before the current token are not part of it. */
struct logql_span parse_span(const struct parse *p, size_t from)
{
	size_t to = p->lx.tok.from;
	while (to > from && strchr(" \t\r\n", p->lx.src.p[to - 1])) to--;
	return (struct logql_span){(uint32_t)from, (uint32_t)to};
}

static struct logql_expr *new_expr(struct parse *p, enum logql_kind kind)
{
	struct logql_expr *x = ARENA_NEW(p->lx.a, struct logql_expr);
	x->kind = kind;
	x->depth = 1;
	return x;
}

/* Puts x over a child; false when the tree is too deep. */
static bool put_over(struct parse *p, struct logql_expr *x, const struct logql_expr *child)
{
	if (child->depth >= x->depth) x->depth = child->depth + 1;
	return x->depth <= LOGQL_MAX_DEPTH ||
	       lex_fail(&p->lx, "query is nested too deeply (limit %d)", LOGQL_MAX_DEPTH);
}

/* ---- tokens of operations ---- */

static const enum tok_kind range_toks[LOGQL_RANGE_FNS] = {
#define RANGE_FN(id, text, flags) TOK_##id,
#include "server/logql/funcs.def"
};
static const enum tok_kind vector_toks[LOGQL_VECTOR_FNS] = {
#define VECTOR_FN(id, text, flags) TOK_##id,
#include "server/logql/funcs.def"
};
static const enum tok_kind binary_toks[LOGQL_BINARY_OPS] = {
#define BINARY_OP(id, text, precedence, flags) TOK_##id,
#include "server/logql/funcs.def"
};
static const enum tok_kind conv_toks[LOGQL_UNWRAP_CONVS] = {
	TOK_IDENT, /* LOGQL_UNWRAP_NUMBER: just a label */
#define UNWRAP_CONV(id, text) TOK_##id,
#include "server/logql/funcs.def"
};

/* The row of the current token; n when it has none. */
static size_t tok_row(const struct parse *p, const enum tok_kind *toks, size_t n)
{
	size_t i = 0;
	while (i < n && toks[i] != p->lx.tok.kind) i++;
	return i;
}

/* ---- lists of names ---- */

/* The names of by (…), on (…) and group_left (…), from "(" to ")". */
bool parse_names(struct parse *p, struct str **names, size_t *n)
{
	size_t cap = 0;
	if (!lex_expect(&p->lx, TOK_LPAREN)) return false;
	if (lex_accept(&p->lx, TOK_RPAREN)) return true;
	if (p->lx.tok.kind != TOK_IDENT) return lex_unexpected(&p->lx, TOK_IDENT, TOK_RPAREN);
	for (;;) {
		if (p->lx.tok.kind != TOK_IDENT) return lex_unexpected(&p->lx, TOK_IDENT);
		*ARENA_PUSH(p->lx.a, *names, *n, cap) = p->lx.tok.text;
		lex_next(&p->lx);
		if (lex_accept(&p->lx, TOK_RPAREN)) return true;
		if (!lex_accept(&p->lx, TOK_COMMA)) return lex_unexpected(&p->lx, TOK_COMMA, TOK_RPAREN);
	}
}

static bool starts_grouping(enum tok_kind kind) { return kind == TOK_BY || kind == TOK_WITHOUT; }

static bool parse_grouping(struct parse *p, struct logql_grouping *g)
{
	g->present = true;
	g->without = p->lx.tok.kind == TOK_WITHOUT;
	lex_next(&p->lx);
	return parse_names(p, &g->names, &g->n);
}

/* ---- ranges ---- */

/* unwrap, with the "|" before it consumed. in_parens: ")" may follow, too. */
static bool parse_unwrap(struct parse *p, struct logql_range *r)
{
	struct logql_unwrap *u = ARENA_NEW(p->lx.a, struct logql_unwrap);
	size_t from = p->lx.tok.from, cap = 0;
	lex_next(&p->lx);
	size_t conv = tok_row(p, conv_toks, LOGQL_UNWRAP_CONVS);
	if (conv == LOGQL_UNWRAP_CONVS)
		return lex_unexpected(&p->lx, TOK_IDENT, TOK_BYTES_CONV, TOK_DURATION_CONV, TOK_DURATION_SECONDS_CONV);
	u->conv = (enum logql_unwrap_conv)conv;
	if (u->conv != LOGQL_UNWRAP_NUMBER) {
		lex_next(&p->lx);
		if (!lex_expect(&p->lx, TOK_LPAREN)) return false;
	}
	u->label = p->lx.tok.text;
	if (!lex_expect(&p->lx, TOK_IDENT)) return false;
	if (u->conv != LOGQL_UNWRAP_NUMBER && !lex_expect(&p->lx, TOK_RPAREN)) return false;
	while (lex_accept(&p->lx, TOK_PIPE)) {
		struct logql_filter *f = parse_filter(p);
		if (!f) return false;
		*ARENA_PUSH(p->lx.a, u->filters, u->n_filters, cap) = f;
	}
	u->span = parse_span(p, from);
	r->unwrap = u;
	return p->lx.tok.kind != TOK_ERROR;
}

/* RANGE [offset DURATION] */
static bool parse_interval(struct parse *p, struct logql_range *r)
{
	r->interval = p->lx.tok.dur;
	lex_next(&p->lx);
	if (!lex_accept(&p->lx, TOK_OFFSET)) return p->lx.tok.kind != TOK_ERROR;
	r->offset = p->lx.tok.dur;
	return lex_expect(&p->lx, TOK_DURATION);
}

/* A pipeline, an unwrap, both, or neither. */
static bool parse_tail(struct parse *p, struct logql_range *r)
{
	bool unwrap;
	return parse_pipeline(p, r->log, &unwrap) && (!unwrap || parse_unwrap(p, r));
}

/* Behind "( selector )": RANGE, and an unwrap only if the parentheses held nothing but the selector. */
static bool parse_outer_interval(struct parse *p, struct logql_range *r)
{
	bool bare = !r->log->n_stages && !r->unwrap;
	if (p->lx.tok.kind != TOK_RANGE) return lex_unexpected(&p->lx, TOK_RANGE);
	if (!parse_interval(p, r)) return false;
	if (!bare || !lex_accept(&p->lx, TOK_PIPE)) return p->lx.tok.kind != TOK_ERROR;
	if (p->lx.tok.kind != TOK_UNWRAP) return lex_unexpected(&p->lx, TOK_UNWRAP);
	return parse_unwrap(p, r);
}

static bool parse_range_body(struct parse *p, struct logql_range *r, bool in_parens)
{
	if (!parse_selector(p, r->log)) return false;
	if (p->lx.tok.kind == TOK_RANGE) return parse_interval(p, r) && parse_tail(p, r);
	if (!parse_tail(p, r)) return false;
	if (p->lx.tok.kind == TOK_RANGE) return parse_interval(p, r);
	if (in_parens && p->lx.tok.kind == TOK_RPAREN) return true;
	if (!r->unwrap) return lex_unexpected(&p->lx);
	if (in_parens) return lex_unexpected(&p->lx, TOK_RANGE, TOK_RPAREN, TOK_PIPE);
	return lex_unexpected(&p->lx, TOK_RANGE, TOK_PIPE);
}

static bool parse_range_into(struct parse *p, struct logql_range *r, bool in_parens, bool *complete)
{
	if (p->lx.tok.kind == TOK_LBRACE) {
		if (!parse_range_body(p, r, in_parens)) return false;
		*complete = r->interval >= 0;
		return true;
	}
	if (p->lx.tok.kind != TOK_LPAREN) return lex_unexpected(&p->lx, TOK_LBRACE, TOK_LPAREN);
	if (!parse_enter(p)) return false;
	lex_next(&p->lx);
	bool ok = parse_range_into(p, r, true, complete) && lex_expect(&p->lx, TOK_RPAREN);
	if (ok && !*complete) {
		*complete = true;
		ok = parse_outer_interval(p, r);
	}
	p->depth--;
	return ok;
}

struct logql_range *parse_range(struct parse *p)
{
	struct logql_range *r = ARENA_NEW(p->lx.a, struct logql_range);
	size_t from = p->lx.tok.from;
	bool complete = false;
	r->log = ARENA_NEW(p->lx.a, struct logql_log);
	r->interval = -1; /* not seen yet */
	if (!parse_range_into(p, r, false, &complete)) return NULL;
	r->span = parse_span(p, from);
	return r;
}

/* ---- expressions ---- */

static struct logql_expr *parse_expr(struct parse *p, unsigned precedence);

/* An expression where only samples make sense to the grammar. A log query here is noticed at the token behind it. */
static struct logql_expr *parse_metric(struct parse *p)
{
	struct logql_expr *x = parse_expr(p, 0);
	if (x && (x->kind == LOGQL_LOG || x->kind == LOGQL_VARIANTS)) return lex_unexpected(&p->lx), NULL;
	return x;
}

static struct logql_expr *parse_range_agg(struct parse *p, enum logql_range_fn fn)
{
	struct logql_expr *x = new_expr(p, LOGQL_RANGE_AGG);
	x->range_agg.fn = fn;
	lex_next(&p->lx);
	if (!lex_expect(&p->lx, TOK_LPAREN)) return NULL;
	if (p->lx.tok.kind == TOK_NUMBER) {
		x->range_agg.param_text = p->lx.tok.text;
		lex_next(&p->lx);
		if (!lex_expect(&p->lx, TOK_COMMA)) return NULL;
	} else if (p->lx.tok.kind != TOK_LBRACE && p->lx.tok.kind != TOK_LPAREN) {
		return lex_unexpected(&p->lx, TOK_NUMBER, TOK_LBRACE, TOK_LPAREN), NULL;
	}
	if (!(x->range_agg.range = parse_range(p)) || !lex_expect(&p->lx, TOK_RPAREN)) return NULL;
	if (starts_grouping(p->lx.tok.kind) && !parse_grouping(p, &x->range_agg.grouping)) return NULL;
	return x;
}

/* `2,` before the expression. A number that no comma follows begins the expression itself. */
static struct logql_expr *parse_vector_args(struct parse *p, struct logql_expr *x)
{
	if (p->lx.tok.kind == TOK_NUMBER) {
		struct lex ahead = p->lx;
		struct err quiet = ERR_INIT;
		ahead.e = &quiet;
		lex_next(&ahead);
		if (ahead.tok.kind == TOK_COMMA) {
			x->vector_agg.param_text = p->lx.tok.text;
			lex_next(&p->lx);
			lex_next(&p->lx);
		}
	}
	return parse_metric(p);
}

static struct logql_expr *parse_vector_agg(struct parse *p, enum logql_vector_fn fn)
{
	struct logql_expr *x = new_expr(p, LOGQL_VECTOR_AGG), *arg;
	struct logql_grouping *g = &x->vector_agg.grouping;
	x->vector_agg.fn = fn;
	lex_next(&p->lx);
	if (starts_grouping(p->lx.tok.kind)) {
		if (!parse_grouping(p, g) || !lex_expect(&p->lx, TOK_LPAREN)) return NULL;
	} else if (!lex_accept(&p->lx, TOK_LPAREN)) {
		return lex_unexpected(&p->lx, TOK_LPAREN, TOK_BY, TOK_WITHOUT), NULL;
	}
	if (!(arg = parse_vector_args(p, x)) || !put_over(p, x, arg)) return NULL;
	if (!lex_accept(&p->lx, TOK_RPAREN)) return lex_unexpected(&p->lx), NULL;
	if (!g->present && starts_grouping(p->lx.tok.kind) && !parse_grouping(p, g)) return NULL;
	x->vector_agg.expr = arg;
	return x;
}

static struct logql_expr *parse_label_replace(struct parse *p)
{
	struct logql_expr *x = new_expr(p, LOGQL_LABEL_REPLACE), *arg;
	struct str *text[] = {&x->label_replace.dst, &x->label_replace.replacement, &x->label_replace.src,
			      &x->label_replace.regex};
	lex_next(&p->lx);
	if (!lex_expect(&p->lx, TOK_LPAREN) || !(arg = parse_metric(p)) || !put_over(p, x, arg)) return NULL;
	if (p->lx.tok.kind != TOK_COMMA) return lex_unexpected(&p->lx), NULL;
	for (size_t i = 0; i < 4; i++) {
		if (!lex_expect(&p->lx, TOK_COMMA)) return NULL;
		*text[i] = p->lx.tok.str;
		if (!lex_expect(&p->lx, TOK_STRING)) return NULL;
	}
	x->label_replace.expr = arg;
	return lex_expect(&p->lx, TOK_RPAREN) ? x : NULL;
}

/* A number literal, with the sign in front consumed. */
static bool take_number(struct parse *p, double *out)
{
	struct str text = p->lx.tok.text;
	if (p->lx.tok.kind != TOK_NUMBER) return lex_unexpected(&p->lx, TOK_NUMBER);
	if (!str_to_f64(text, out))
		return lex_fail_nowhere(&p->lx,
					"unable to parse literal as a float: strconv.ParseFloat: parsing \"%.*s\": "
					"invalid syntax",
					STR_ARG(text));
	lex_next(&p->lx);
	return true;
}

static struct logql_expr *parse_literal(struct parse *p)
{
	struct logql_expr *x = new_expr(p, LOGQL_LITERAL);
	bool minus = lex_accept(&p->lx, TOK_SUB);
	if (!minus) lex_accept(&p->lx, TOK_ADD);
	if (!take_number(p, &x->literal)) return NULL;
	if (minus) x->literal = -x->literal;
	return x;
}

static struct logql_expr *parse_vector_fn(struct parse *p)
{
	struct logql_expr *x = new_expr(p, LOGQL_VECTOR);
	lex_next(&p->lx);
	if (!lex_expect(&p->lx, TOK_LPAREN) || !take_number(p, &x->literal)) return NULL;
	return lex_expect(&p->lx, TOK_RPAREN) ? x : NULL;
}

static struct logql_expr *parse_variants(struct parse *p)
{
	struct logql_expr *x = new_expr(p, LOGQL_VARIANTS), *v;
	size_t cap = 0;
	lex_next(&p->lx);
	if (!lex_expect(&p->lx, TOK_LPAREN)) return NULL;
	do {
		if (!(v = parse_metric(p)) || !put_over(p, x, v)) return NULL;
		*ARENA_PUSH(p->lx.a, x->variants.exprs, x->variants.n, cap) = v;
	} while (lex_accept(&p->lx, TOK_COMMA));
	if (!lex_accept(&p->lx, TOK_RPAREN)) return lex_unexpected(&p->lx), NULL;
	if (!lex_expect(&p->lx, TOK_OF) || !lex_expect(&p->lx, TOK_LPAREN)) return NULL;
	if (!(x->variants.range = parse_range(p))) return NULL;
	return lex_expect(&p->lx, TOK_RPAREN) ? x : NULL;
}

static struct logql_expr *parse_log(struct parse *p)
{
	struct logql_expr *x = new_expr(p, LOGQL_LOG);
	x->log = ARENA_NEW(p->lx.a, struct logql_log);
	return parse_selector(p, x->log) && parse_pipeline(p, x->log, NULL) ? x : NULL;
}

static struct logql_expr *parse_parens(struct parse *p)
{
	lex_next(&p->lx);
	struct logql_expr *x = parse_expr(p, 0);
	if (!x) return NULL;
	/* Variants have no parentheses in the grammar. */
	if (p->lx.tok.kind != TOK_RPAREN || x->kind == LOGQL_VARIANTS) return lex_unexpected(&p->lx), NULL;
	lex_next(&p->lx);
	return x;
}

static struct logql_expr *parse_primary(struct parse *p)
{
	size_t range = tok_row(p, range_toks, LOGQL_RANGE_FNS), vector = tok_row(p, vector_toks, LOGQL_VECTOR_FNS);
	if (range < LOGQL_RANGE_FNS) return parse_range_agg(p, (enum logql_range_fn)range);
	if (vector < LOGQL_VECTOR_FNS) return parse_vector_agg(p, (enum logql_vector_fn)vector);
	switch (p->lx.tok.kind) {
	case TOK_LBRACE: return parse_log(p);
	case TOK_LPAREN: return parse_parens(p);
	case TOK_NUMBER:
	case TOK_ADD:
	case TOK_SUB: return parse_literal(p);
	case TOK_VECTOR: return parse_vector_fn(p);
	case TOK_LABEL_REPLACE: return parse_label_replace(p);
	case TOK_VARIANTS: return parse_variants(p);
	default: return lex_unexpected(&p->lx), NULL;
	}
}

/* ---- binary operations ---- */

/* Is the current token an operator that binds at least as tightly as `precedence`? */
static bool at_operator(const struct parse *p, unsigned precedence, enum logql_binary_op *op)
{
	size_t row = tok_row(p, binary_toks, LOGQL_BINARY_OPS);
	*op = (enum logql_binary_op)row;
	return row < LOGQL_BINARY_OPS && logql_binary_ops[row].precedence >= precedence;
}

/* [bool] [on (…) | ignoring (…) [group_left | group_right [(…)]]] */
static bool parse_modifiers(struct parse *p, struct logql_expr *x)
{
	struct logql_matching *m = &x->binary.matching;
	x->binary.return_bool = lex_accept(&p->lx, TOK_BOOL);
	m->on = p->lx.tok.kind == TOK_ON;
	if (!m->on && p->lx.tok.kind != TOK_IGNORING) return true;
	lex_next(&p->lx);
	if (!parse_names(p, &m->names, &m->n)) return false;
	if (lex_accept(&p->lx, TOK_GROUP_LEFT))
		m->card = LOGQL_MANY_TO_ONE;
	else if (lex_accept(&p->lx, TOK_GROUP_RIGHT))
		m->card = LOGQL_ONE_TO_MANY;
	return m->card == LOGQL_ONE_TO_ONE || p->lx.tok.kind != TOK_LPAREN ||
	       parse_names(p, &m->include, &m->n_include);
}

static double fold(enum logql_binary_op op, double a, double b)
{
	switch (op) {
	case LOGQL_OP_ADD: return a + b;
	case LOGQL_OP_SUB: return a - b;
	case LOGQL_OP_MUL: return a * b;
	case LOGQL_OP_DIV: return b == 0 ? NAN : a / b;
	case LOGQL_OP_MOD: return b == 0 ? NAN : fmod(a, b);
	case LOGQL_OP_POW: return pow(a, b);
	case LOGQL_OP_CMP_EQ: return a == b;
	case LOGQL_OP_NEQ: return a != b;
	case LOGQL_OP_GT: return a > b;
	case LOGQL_OP_GTE: return a >= b;
	case LOGQL_OP_LT: return a < b;
	case LOGQL_OP_LTE: return a <= b;
	default: return NAN; /* set operators do not take literals (logql_check) */
	}
}

static struct logql_expr *join(struct parse *p, struct logql_expr *x, struct logql_expr *left, struct logql_expr *right)
{
	enum logql_binary_op op = x->binary.op;
	if (left->kind == LOGQL_LITERAL && right->kind == LOGQL_LITERAL &&
	    !(logql_binary_ops[op].flags & LOGQL_SET_OP)) {
		struct logql_expr *folded = new_expr(p, LOGQL_LITERAL);
		folded->literal = fold(op, left->literal, right->literal);
		return folded;
	}
	x->binary.left = left;
	x->binary.right = right;
	return put_over(p, x, left) && put_over(p, x, right) ? x : NULL;
}

/* Operands joined by operators that bind at least as tightly as `precedence`. */
static struct logql_expr *parse_expr(struct parse *p, unsigned precedence)
{
	if (!parse_enter(p)) return NULL;
	size_t from = p->lx.tok.from;
	enum logql_binary_op op;
	struct logql_expr *left = parse_primary(p);
	if (left) left->span = parse_span(p, from);
	while (left && at_operator(p, precedence, &op)) {
		struct logql_expr *x = new_expr(p, LOGQL_BINARY), *right = NULL;
		x->binary.op = op;
		lex_next(&p->lx);
		if (parse_modifiers(p, x))
			right = parse_expr(p, logql_binary_ops[op].precedence +
						      !(logql_binary_ops[op].flags & LOGQL_RIGHT_ASSOC));
		left = right ? join(p, x, left, right) : NULL;
		if (left) left->span = parse_span(p, from);
	}
	p->depth--;
	return p->lx.tok.kind == TOK_ERROR ? NULL : left;
}

static struct logql *parse_text(struct arena *a, struct str text, unsigned flags, struct err *e)
{
	struct logql *q = ARENA_NEW(a, struct logql);
	struct parse p = {.q = q};
	q->text = text;
	q->a = a;
	q->extended = flags & LEX_EXTENSIONS;
	lex_init(&p.lx, text, a, flags, e);
	q->root = parse_expr(&p, 0);
	if (q->root && p.lx.tok.kind != TOK_EOF) lex_unexpected(&p.lx);
	if (q->root && p.lx.tok.kind != TOK_ERROR && logql_check(q, q->root, e)) return q;
	lex_wrap(e);
	logql_free(q);
	return NULL;
}

struct logql *logql_parse(struct arena *a, struct str text, struct err *e) { return parse_text(a, text, 0, e); }

struct logql *logql_parse_extended(struct arena *a, struct str text, struct err *e)
{
	return parse_text(a, text, LEX_EXTENSIONS, e);
}

struct logql *logql_parse_matchers(struct arena *a, struct str text, struct err *e)
{
	struct logql *q = logql_parse(a, text, e);
	if (!q || (q->root->kind == LOGQL_LOG && !q->root->log->n_stages)) return q;
	logql_free(q);
	err_set(e, ERR_INVALID, "only label matchers are supported");
	return NULL;
}
