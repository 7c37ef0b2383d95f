/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/linefilter.h"

#include "common/regex.h"
#include "common/scan.h"
#include "pipeline/extract/pattern.h"
#include "pipeline/ipfilter.h"

#include <stdlib.h>

/* What an operand is compiled to, in the order in which a group runs them: the cheapest first. */
enum test_kind { TEST_LITERAL, TEST_LITERALS, TEST_FOLDED, TEST_PATTERN, TEST_IP, TEST_REGEX };

static const struct {
	const char *text;
	enum tok_kind kind;
	bool negate;
	enum test_kind test;
} ops[] = {
	[LINEFILTER_EQ] = {"|=", TOK_PIPE_EXACT, false, TEST_LITERAL},
	[LINEFILTER_NEQ] = {"!=", TOK_NEQ, true, TEST_LITERAL},
	[LINEFILTER_RE] = {"|~", TOK_PIPE_MATCH, false, TEST_REGEX},
	[LINEFILTER_NRE] = {"!~", TOK_NRE, true, TEST_REGEX},
	[LINEFILTER_PAT] = {"|>", TOK_PIPE_PATTERN, false, TEST_PATTERN},
	[LINEFILTER_NPAT] = {"!>", TOK_NPA, true, TEST_PATTERN},
	/* Behind those with the same token: linefilter_parse turns these into the folded ones. */
	[LINEFILTER_FOLD] = {"|=i", TOK_PIPE_EXACT, false, TEST_FOLDED},
	[LINEFILTER_NFOLD] = {"!=i", TOK_NEQ, true, TEST_FOLDED},
};

#define N_OPS (int)(sizeof ops / sizeof *ops)

/* ---- parsing and printing ---- */

static bool op_of(enum tok_kind kind, enum linefilter_op *op)
{
	for (int i = 0; i < N_OPS; i++) {
		if (ops[i].kind != kind) continue;
		*op = (enum linefilter_op)i;
		return true;
	}
	return false;
}

bool linefilter_starts(enum tok_kind kind)
{
	enum linefilter_op op;
	return op_of(kind, &op);
}

bool linefilter_denies(enum linefilter_op op) { return ops[op].negate; }

/* The "i" that belongs to |= or != stands directly behind it. */
static void parse_fold(struct lex *lx, struct linefilter *f, size_t end)
{
	bool folds = f->op == LINEFILTER_EQ || f->op == LINEFILTER_NEQ;
	if (!folds || !(lx->flags & LEX_EXTENSIONS) || lx->tok.kind != TOK_IDENT || lx->tok.from != end) return;
	if (!str_eqc(lx->tok.text, "i")) return;
	f->op = f->op == LINEFILTER_EQ ? LINEFILTER_FOLD : LINEFILTER_NFOLD;
	lex_next(lx);
}

static bool parse_operand(struct lex *lx, enum linefilter_op op, struct linefilter_operand *o)
{
	if (ops[op].test == TEST_FOLDED) {
		o->text = lx->tok.str;
		o->ip = false;
		return lex_expect(lx, TOK_STRING);
	}
	o->ip = lx->tok.kind == TOK_IP;
	if (o->ip) {
		lex_next(lx);
		if (!lex_expect(lx, TOK_LPAREN)) return false;
	} else if (lx->tok.kind != TOK_STRING) {
		return lex_unexpected(lx, TOK_STRING, TOK_IP);
	}
	o->text = lx->tok.str;
	return lex_expect(lx, TOK_STRING) && (!o->ip || lex_expect(lx, TOK_RPAREN));
}

bool linefilter_parse(struct lex *lx, struct linefilter *f)
{
	size_t cap = 0;
	*f = (struct linefilter){0};
	if (!op_of(lx->tok.kind, &f->op)) return lex_unexpected(lx);
	size_t end = lx->tok.to;
	lex_next(lx);
	parse_fold(lx, f, end);
	do {
		struct linefilter_operand o;
		if (!parse_operand(lx, f->op, &o)) return false;
		*ARENA_PUSH(lx->a, f->v, f->n, cap) = o;
	} while (lex_accept(lx, TOK_OR));
	return true;
}

void linefilter_print(struct buf *b, const struct linefilter *f)
{
	for (size_t i = 0; i < f->n; i++) {
		if (i) buf_c(b, ops[f->op].negate ? " " : " or ");
		if (i == 0 || ops[f->op].negate) {
			buf_c(b, ops[f->op].text);
			buf_ch(b, ' ');
		}
		if (f->v[i].ip) buf_c(b, "ip(");
		buf_quote(b, f->v[i].text);
		if (f->v[i].ip) buf_ch(b, ')');
	}
}

/* ---- compiling ---- */

struct test {
	enum test_kind kind;
	union {
		struct str literal; /* own copy; FOLDED: in lower case */
		struct scan_set literals;
		struct pattern *pattern;
		struct ipfilter ip;
		struct regex *regex;
	};
};

/* One filter: a line passes if some test holds, or (negate) if none does. */
struct chain {
	struct test *v;
	size_t n;
	bool negate;
};

struct linefilters {
	struct chain *v;
	size_t n;
	struct str needle;
};

static void test_fini(struct test *t)
{
	switch (t->kind) {
	case TEST_LITERAL:
	case TEST_FOLDED: free((char *)t->literal.p); break;
	case TEST_LITERALS: scan_set_free(&t->literals); break;
	case TEST_PATTERN: pattern_free(t->pattern); break;
	case TEST_REGEX: regex_free(t->regex); break;
	default: break;
	}
}

static struct str lower_copy(struct str text)
{
	char *p = mem_alloc(text.n + 1);
	for (size_t i = 0; i < text.n; i++)
		p[i] = (char)(text.p[i] >= 'A' && text.p[i] <= 'Z' ? text.p[i] | 0x20 : text.p[i]);
	return str_of(p, text.n);
}

/* Letters beyond ASCII fold by Unicode's rules, which the regex engine knows. */
static struct regex *fold_regex(struct str text, struct err *e)
{
	struct buf b = {0};
	buf_c(&b, "(?i)");
	for (size_t i = 0; i < text.n; i++) {
		if (strchr("\\.+*?()|[]{}^$", text.p[i]) && text.p[i]) buf_ch(&b, '\\');
		buf_ch(&b, text.p[i]);
	}
	struct regex *re = regex_new(buf_view(&b), 0, e);
	buf_free(&b);
	return re;
}

static bool test_init(struct test *t, enum test_kind kind, struct str text, struct err *e)
{
	if (kind == TEST_FOLDED && !scan_ascii(text)) {
		*t = (struct test){.kind = TEST_REGEX, .regex = fold_regex(text, e)};
		return t->regex != NULL;
	}
	*t = (struct test){.kind = kind};
	switch (kind) {
	case TEST_LITERAL: t->literal = mem_str(text); return true;
	case TEST_FOLDED: t->literal = lower_copy(text); return true;
	case TEST_PATTERN: return (t->pattern = pattern_new_filter(text, e));
	case TEST_IP: return ipfilter_init(&t->ip, text, e);
	default: return (t->regex = regex_new(text, 0, e));
	}
}

static void chain_fini(struct chain *c)
{
	for (size_t i = 0; i < c->n; i++) test_fini(&c->v[i]);
	free(c->v);
}

/* Is operand i an address? Loki takes a chain under != apart, so that there every ip() is one. */
static bool is_address(const struct linefilter *f, size_t i) { return f->v[i].ip && (i == 0 || ops[f->op].negate); }

/* Plain strings of a chain as one set, if there are enough of them and none is empty. */
static bool literal_set(const struct linefilter *f, struct chain *c)
{
	struct str v[SCAN_SET_MAX];
	if (f->n < 2 || f->n > SCAN_SET_MAX || ops[f->op].test != TEST_LITERAL) return false;
	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].text.n == 0 || is_address(f, i)) return false;
		v[i] = f->v[i].text;
	}
	c->v[0].kind = TEST_LITERALS;
	scan_set_init(&c->v[0].literals, v, f->n, false);
	c->n = 1;
	return true;
}

static bool chain_init(struct chain *c, const struct linefilter *f, struct err *e)
{
	*c = (struct chain){.v = mem_zalloc(f->n * sizeof *c->v), .negate = ops[f->op].negate};
	if (literal_set(f, c)) return true;
	for (size_t i = 0; i < f->n; i++) {
		enum test_kind kind = ops[f->op].test;
		if (is_address(f, i)) {
			if (kind != TEST_LITERAL) return err_set(e, ERR_INVALID, "ip: invalid operation");
			kind = TEST_IP;
		}
		if (!test_init(&c->v[c->n], kind, f->v[i].text, e)) return false;
		c->n++;
	}
	return true;
}

static enum test_kind cost(const struct chain *c)
{
	enum test_kind most = TEST_LITERAL;
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].kind > most) most = c->v[i].kind;
	return most;
}

/* Stable, by cost; groups are short. */
static void order(struct linefilters *g)
{
	for (size_t i = 1; i < g->n; i++) {
		struct chain c = g->v[i];
		size_t k = i;
		for (; k > 0 && cost(&g->v[k - 1]) > cost(&c); k--) g->v[k] = g->v[k - 1];
		g->v[k] = c;
	}
}

static void find_needle(struct linefilters *g)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct chain *c = &g->v[i];
		struct str s = STR_NULL;
		if (c->negate || c->n != 1) continue;
		if (c->v[0].kind == TEST_LITERAL) s = c->v[0].literal;
		if (c->v[0].kind == TEST_PATTERN) s = pattern_needle(c->v[0].pattern);
		if (s.n > g->needle.n) g->needle = s;
	}
}

struct linefilters *linefilters_new(const struct linefilter *f, size_t n, size_t *bad, struct err *e)
{
	struct linefilters *g = mem_zalloc(sizeof *g);
	g->v = mem_zalloc(n * sizeof *g->v + 1);
	for (size_t i = 0; i < n; i++) {
		if (!chain_init(&g->v[i], &f[i], e)) {
			chain_fini(&g->v[i]);
			if (bad) *bad = i;
			linefilters_free(g);
			return NULL;
		}
		g->n++;
	}
	order(g);
	find_needle(g);
	return g;
}

void linefilters_free(struct linefilters *g)
{
	if (!g) return;
	for (size_t i = 0; i < g->n; i++) chain_fini(&g->v[i]);
	free(g->v);
	free(g);
}

struct str linefilters_needle(const struct linefilters *g) { return g->needle; }

size_t linefilters_count(const struct linefilters *g) { return g->n; }

static bool test_texts(const struct test *t, void (*fn)(void *ud, struct str text, bool fold), void *ud)
{
	struct str s;
	const struct str *v = &s;
	size_t n = 1;
	bool fold = false;
	switch (t->kind) {
	case TEST_LITERAL:
	case TEST_FOLDED: s = t->literal; break;
	case TEST_LITERALS:
		v = t->literals.v;
		n = t->literals.n;
		break;
	case TEST_PATTERN: s = pattern_needle(t->pattern); break;
	case TEST_REGEX: n = regex_required(t->regex, &v, &fold); break;
	default: return false;
	}
	for (size_t i = 0; i < n; i++) fn(ud, v[i], fold);
	return n > 0;
}

bool linefilters_texts(const struct linefilters *g, size_t i, void (*fn)(void *ud, struct str text, bool fold),
		       void *ud)
{
	const struct chain *c = &g->v[i];
	bool known = !c->negate;
	for (size_t k = 0; k < c->n && known; k++) known = test_texts(&c->v[k], fn, ud);
	return known;
}

/* ---- matching ---- */

static bool holds(const struct test *t, struct str line)
{
	switch (t->kind) {
	case TEST_LITERAL: return scan_find(line, t->literal) >= 0;
	case TEST_LITERALS: return scan_set_any(&t->literals, line);
	case TEST_FOLDED: return scan_find_fold(line, t->literal) >= 0;
	case TEST_PATTERN: return pattern_match(t->pattern, line);
	case TEST_IP: return ipfilter_line(&t->ip, line);
	default: return regex_match(t->regex, line);
	}
}

bool linefilters_match(const struct linefilters *g, struct str line)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct chain *c = &g->v[i];
		bool any = false;
		for (size_t k = 0; k < c->n && !any; k++) any = holds(&c->v[k], line);
		if (any == c->negate) return false;
	}
	return true;
}
