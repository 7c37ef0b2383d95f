/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree of Go's text/template, with the messages of text/template/parse. */
#include "pipeline/template_impl.h"
#include "pipeline/template_lex.h"

#include <stdlib.h>

#define MAX_NESTING 200 /* of parentheses and of control structures */

struct tparse {
	struct template *t;
	struct err *e;
	struct arena scratch; /* tokens */
	struct ttok *tok;
	size_t n_tok;
	size_t at;
	struct str *vars; /* declared, innermost last */
	size_t n_vars, cap_vars;
	unsigned range_depth, nesting, line_of_action;
	bool failed;
};

static struct tnode *list_until(struct tparse *p, enum ttok_kind *end);
static struct tnode *pipeline(struct tparse *p, const char *context, enum ttok_kind end);

static const struct ttok *cur(const struct tparse *p) { return &p->tok[p->at < p->n_tok ? p->at : p->n_tok - 1]; }

static const struct ttok *take(struct tparse *p)
{
	const struct ttok *t = cur(p);
	if (p->at < p->n_tok) p->at++;
	return t;
}

static const struct ttok *peek_solid(struct tparse *p)
{
	while (cur(p)->kind == T_SPACE) p->at++;
	return cur(p);
}

static const struct ttok *take_solid(struct tparse *p)
{
	peek_solid(p);
	return take(p);
}

/* Always NULL, so that `return fail(…)` reads well. The first fault counts. */
static void *fail(struct tparse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void *fail(struct tparse *p, const char *fmt, ...)
{
	if (p->failed) return NULL;
	va_list ap;
	va_start(ap, fmt);
	err_vset(p->e, ERR_INVALID, fmt, ap);
	va_end(ap);
	size_t at_tok = p->at ? p->at - 1 : 0;
	err_wrap(p->e, "template: %s:%u", p->t->name, p->tok[at_tok].line);
	p->failed = true;
	return NULL;
}

/* How messages show a token. */
static struct str token_text(struct tparse *p, const struct ttok *t)
{
	struct buf b = {0};
	if (t->kind == T_EOF) return STR("EOF");
	if (t->kind > T_KEYWORD) return arena_printf(&p->scratch, "<%.*s>", STR_ARG(t->text));
	buf_quote(&b, str_sub(t->text, 0, t->text.n > 10 ? 10 : t->text.n));
	struct str s = arena_printf(&p->scratch, "%.*s%s", STR_ARG(buf_view(&b)), t->text.n > 10 ? "..." : "");
	buf_free(&b);
	return s;
}

static void *unexpected(struct tparse *p, const struct ttok *t, const char *context)
{
	if (t->kind != T_ERROR) return fail(p, "unexpected %.*s in %s", STR_ARG(token_text(p, t)), context);
	if (!p->line_of_action || p->line_of_action == t->line) return fail(p, "%.*s", STR_ARG(t->text));
	bool action = str_ends(t->text, STR(" action"));
	return fail(p, "%.*s%s started at %s:%u", STR_ARG(t->text), action ? "" : " in action", p->t->name,
		    p->line_of_action);
}

static const struct ttok *expect(struct tparse *p, enum ttok_kind kind, const char *context)
{
	const struct ttok *t = take_solid(p);
	return t->kind == kind ? t : unexpected(p, t, context);
}

static struct tnode *new_node(struct tparse *p, enum tnode_kind kind, const struct ttok *t)
{
	struct tnode *n = ARENA_NEW(&p->t->a, struct tnode);
	n->kind = kind;
	n->pos = t->pos;
	n->text = t->text;
	return n;
}

struct nodes {
	size_t cap;
};

static void add_kid(struct tparse *p, struct tnode *n, struct nodes *room, struct tnode *kid)
{
	size_t count = n->n_kid;
	*ARENA_PUSH(&p->t->a, n->kid, count, room->cap) = kid;
	n->n_kid = (uint32_t)count;
}

static void add_name(struct tparse *p, struct tnode *n, struct str name)
{
	struct str *names = arena_alloc(&p->t->a, (n->n_name + 1) * sizeof *names);
	if (n->n_name) memcpy(names, n->name, n->n_name * sizeof *names);
	names[n->n_name++] = name;
	n->name = names;
}

static void declare(struct tparse *p, struct str name)
{
	*ARENA_PUSH(&p->scratch, p->vars, p->n_vars, p->cap_vars) = name;
}

static bool enter(struct tparse *p)
{
	if (++p->nesting <= MAX_NESTING) return true;
	fail(p, "nested too deeply (limit %d)", MAX_NESTING);
	return false;
}

/* ---- operands ---- */

static struct tnode *string_operand(struct tparse *p, const struct ttok *t)
{
	struct tnode *n = new_node(p, TN_STRING, t);
	struct buf b = {0};
	if (!buf_unquote(&b, t->text)) {
		buf_free(&b);
		return fail(p, "invalid syntax");
	}
	n->val = TVAL_OF_STR(arena_str(&p->t->a, buf_view(&b)));
	buf_free(&b);
	return n;
}

static struct tnode *rune_operand(struct tparse *p, const struct ttok *t)
{
	struct tnode *n = new_node(p, TN_NUMBER, t);
	struct buf quoted = {0}, b = {0};
	buf_str(&quoted, t->text);
	quoted.p[0] = quoted.p[quoted.n - 1] = '"';
	size_t used = 0;
	bool ok;
	if (str_eq(t->text, STR("'\"'")) || str_eq(t->text, STR("'\\''"))) {
		n->num = t->text.n == 3 ? '"' : '\'';
		ok = true;
	} else {
		ok = buf_unquote(&b, buf_view(&quoted)) && b.n;
		if (ok) n->num = str_rune(buf_view(&b), &used);
		ok = ok && used == b.n;
	}
	n->val = TVAL_OF_INT(n->num);
	n->is_int = true;
	buf_free(&quoted);
	buf_free(&b);
	return ok ? n : fail(p, "malformed character constant: %.*s", STR_ARG(t->text));
}

/* Integers as Go writes them: 0x, 0o, 0b, a leading 0 for octal, underscores between digits. */
static bool parse_int(struct str s, int64_t *out)
{
	char digits[72];
	size_t n = 0;
	bool minus = s.n && s.p[0] == '-';
	if (s.n && (s.p[0] == '+' || s.p[0] == '-')) s = str_from(s, 1);
	int base = 10;
	if (s.n > 1 && s.p[0] == '0') {
		int c = s.p[1] | 0x20;
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		s = str_from(s, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
	}
	for (size_t i = 0; i < s.n && n + 1 < sizeof digits; i++)
		if (s.p[i] != '_') digits[n++] = s.p[i];
	digits[n] = 0;
	char *end;
	unsigned long long v = strtoull(digits, &end, base);
	if (!n || *end || v > (unsigned long long)INT64_MAX + minus) return false;
	*out = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static struct tnode *number_operand(struct tparse *p, const struct ttok *t)
{
	struct tnode *n = new_node(p, TN_NUMBER, t);
	double f;
	if (parse_int(t->text, &n->num)) {
		n->is_int = true;
		n->val = TVAL_OF_INT(n->num);
		return n;
	}
	bool dot = str_chr(t->text, '.') >= 0, exp = str_chr(t->text, 'e') >= 0 || str_chr(t->text, 'E') >= 0;
	if (!str_to_f64(t->text, &f)) return fail(p, "illegal number syntax: \"%.*s\"", STR_ARG(t->text));
	if (!dot && !exp && str_chr(t->text, 'p') < 0) return fail(p, "integer overflow: \"%.*s\"", STR_ARG(t->text));
	n->val = TVAL_OF_FLOAT(f);
	n->is_int = f >= -9.2e18 && f <= 9.2e18 && (double)(int64_t)f == f;
	if (n->is_int) n->num = (int64_t)f;
	return n;
}

static struct tnode *variable_operand(struct tparse *p, const struct ttok *t)
{
	struct tnode *n = new_node(p, TN_VARIABLE, t);
	add_name(p, n, t->text);
	for (size_t i = p->n_vars; i-- > 0;)
		if (str_eq(p->vars[i], t->text)) return n;
	return fail(p, "undefined variable \"%.*s\"", STR_ARG(t->text));
}

static struct tnode *function_operand(struct tparse *p, const struct ttok *t)
{
	struct tnode *n = new_node(p, TN_FUNC, t);
	n->fn = template_find_func(p->t->funcs, t->text);
	return n->fn ? n : fail(p, "function \"%.*s\" not defined", STR_ARG(t->text));
}

/* One operand without fields behind it. NULL without a failure: none is here. */
static struct tnode *term(struct tparse *p)
{
	const struct ttok *t = take_solid(p);
	struct tnode *n;
	switch (t->kind) {
	case T_IDENT: return function_operand(p, t);
	case T_DOT: return new_node(p, TN_DOT, t);
	case T_NIL: return new_node(p, TN_NIL, t);
	case T_VARIABLE: return variable_operand(p, t);
	case T_FIELD:
		n = new_node(p, TN_FIELD, t);
		add_name(p, n, str_from(t->text, 1));
		return n;
	case T_BOOL:
		n = new_node(p, TN_BOOL, t);
		n->val = TVAL_OF_BOOL(t->text.n == 4);
		return n;
	case T_RUNE: return rune_operand(p, t);
	case T_NUMBER: return number_operand(p, t);
	case T_STRING:
	case T_RAW: return string_operand(p, t);
	case T_LPAREN:
		n = enter(p) ? pipeline(p, "parenthesized pipeline", T_RPAREN) : NULL;
		p->nesting--;
		return n;
	default: p->at--; return NULL;
	}
}

static struct tnode *operand(struct tparse *p)
{
	struct tnode *n = term(p);
	if (!n || cur(p)->kind != T_FIELD) return n;
	uint32_t pos = cur(p)->pos;
	bool merges = n->kind == TN_FIELD || n->kind == TN_VARIABLE;
	if (!merges && n->kind != TN_PIPE && n->kind != TN_FUNC) {
		struct buf quoted = {0};
		buf_quote(&quoted, n->text);
		fail(p, "unexpected . after term %.*s", STR_ARG(buf_view(&quoted)));
		buf_free(&quoted);
		return NULL;
	}
	struct tnode *into = n;
	if (!merges) {
		into = new_node(p, TN_CHAIN, cur(p));
		add_kid(p, into, &(struct nodes){0}, n);
	}
	into->pos = pos;
	while (cur(p)->kind == T_FIELD) add_name(p, into, str_from(take(p)->text, 1));
	return into;
}

static struct tnode *command(struct tparse *p)
{
	struct tnode *c = new_node(p, TN_COMMAND, peek_solid(p));
	struct nodes room = {0};
	for (;;) {
		peek_solid(p);
		struct tnode *n = operand(p);
		if (p->failed) return NULL;
		if (n) add_kid(p, c, &room, n);
		const struct ttok *t = take(p);
		if (t->kind == T_SPACE) continue;
		if (t->kind == T_RIGHT || t->kind == T_RPAREN)
			p->at--;
		else if (t->kind != T_PIPE)
			return unexpected(p, t, "operand");
		break;
	}
	return c->n_kid ? c : fail(p, "empty command");
}

/* $x := …, $x = …, $i, $e := … at the start of a pipeline. */
static bool declarations(struct tparse *p, struct tnode *pipe, const char *context)
{
	bool ranges = strcmp(context, "range") == 0;
	while (peek_solid(p)->kind == T_VARIABLE) {
		size_t before = p->at;
		struct str name = take(p)->text;
		const struct ttok *next = peek_solid(p);
		bool comma = next->kind == T_CHAR && str_eq(next->text, STR(","));
		if (next->kind != T_ASSIGN && next->kind != T_DECLARE && !comma) {
			p->at = before;
			return true;
		}
		take(p);
		add_name(p, pipe, name);
		declare(p, name);
		if (!comma) {
			pipe->assign = next->kind == T_ASSIGN;
			return true;
		}
		if (!ranges || pipe->n_name > 1) return fail(p, "too many declarations in %s", context) != NULL;
		enum ttok_kind k = peek_solid(p)->kind;
		if (k != T_VARIABLE && k != T_RIGHT && k != T_RPAREN)
			return fail(p, "range can only initialize variables") != NULL;
	}
	return true;
}

static struct tnode *check_pipeline(struct tparse *p, struct tnode *pipe, const char *context)
{
	if (!pipe->n_kid) return fail(p, "missing value for %s", context);
	for (uint32_t i = 1; i < pipe->n_kid; i++) {
		enum tnode_kind k = pipe->kid[i]->kid[0]->kind;
		if (k == TN_BOOL || k == TN_DOT || k == TN_NIL || k == TN_NUMBER || k == TN_STRING)
			return fail(p, "non executable command in pipeline stage %u", i + 1);
	}
	return pipe;
}

static struct tnode *pipeline(struct tparse *p, const char *context, enum ttok_kind end)
{
	struct tnode *pipe = new_node(p, TN_PIPE, peek_solid(p));
	struct nodes room = {0};
	if (!declarations(p, pipe, context)) return NULL;
	for (;;) {
		const struct ttok *t = take_solid(p);
		if (t->kind == end) return check_pipeline(p, pipe, context);
		switch (t->kind) {
		case T_BOOL:
		case T_RUNE:
		case T_DOT:
		case T_FIELD:
		case T_IDENT:
		case T_NUMBER:
		case T_NIL:
		case T_RAW:
		case T_STRING:
		case T_VARIABLE:
		case T_LPAREN: break;
		default: return unexpected(p, t, context);
		}
		p->at--;
		struct tnode *c = command(p);
		if (!c) return NULL;
		add_kid(p, pipe, &room, c);
	}
}

/* ---- actions ---- */

static struct tnode *action(struct tparse *p, enum ttok_kind *end);

/* if, range, with: pipeline, list, else part. The word has been taken. */
static struct tnode *control(struct tparse *p, enum tnode_kind kind, const char *context, const struct ttok *t)
{
	struct tnode *n = new_node(p, kind, t);
	size_t scope = p->n_vars;
	enum ttok_kind end = T_END, same = kind == TN_IF ? T_IF : T_WITH;
	if (!enter(p) || !(n->pipe = pipeline(p, context, T_RIGHT))) return NULL;
	p->range_depth += kind == TN_RANGE;
	n->list = list_until(p, &end);
	p->range_depth -= kind == TN_RANGE;
	if (!n->list) return NULL;
	if (end == T_ELSE && kind != TN_RANGE && peek_solid(p)->kind == same) {
		/* {{else if}}: the one {{end}} serves both. */
		const struct ttok *word = take(p);
		struct tnode *inner = control(p, kind, context, word);
		if (!inner) return NULL;
		n->otherwise = new_node(p, TN_LIST, word);
		add_kid(p, n->otherwise, &(struct nodes){0}, inner);
	} else if (end == T_ELSE) {
		if (!(n->otherwise = list_until(p, &end))) return NULL;
		if (end != T_END) return fail(p, "expected end; found {{else}}");
	}
	p->n_vars = scope;
	p->nesting--;
	return n;
}

static bool template_name(struct tparse *p, const char *context, struct str *name)
{
	const struct ttok *t = take_solid(p);
	struct buf b = {0};
	if (t->kind != T_STRING && t->kind != T_RAW) return unexpected(p, t, context) != NULL;
	bool ok = buf_unquote(&b, t->text);
	*name = arena_str(&p->t->a, buf_view(&b));
	buf_free(&b);
	return ok || fail(p, "invalid syntax") != NULL;
}

static struct tnode *invoke(struct tparse *p, const struct ttok *t)
{
	struct tnode *n = new_node(p, TN_TEMPLATE, t);
	if (!template_name(p, "template clause", &n->text)) return NULL;
	if (peek_solid(p)->kind == T_RIGHT) {
		take(p);
		return n;
	}
	n->pipe = pipeline(p, "template clause", T_RIGHT);
	return n->pipe ? n : NULL;
}

static void *define(struct tparse *p, struct str name, const char *context)
{
	size_t vars = p->n_vars, cap = p->cap_vars;
	struct str *outer = p->vars;
	unsigned ranges = p->range_depth;
	enum ttok_kind end = T_END;
	p->vars = NULL;
	p->n_vars = p->cap_vars = p->range_depth = 0;
	declare(p, STR("$"));
	struct tnode *list = enter(p) ? list_until(p, &end) : NULL;
	p->nesting--;
	p->vars = outer;
	p->n_vars = vars;
	p->cap_vars = cap;
	p->range_depth = ranges;
	if (!list) return NULL;
	if (end != T_END) return fail(p, "unexpected {{else}} in %s", context);
	map_put(&p->t->defined, name, list);
	return list;
}

static struct tnode *block(struct tparse *p, const struct ttok *t)
{
	struct tnode *n = new_node(p, TN_TEMPLATE, t);
	if (!template_name(p, "block clause", &n->text)) return NULL;
	if (!(n->pipe = pipeline(p, "block clause", T_RIGHT))) return NULL;
	return define(p, n->text, "block clause") ? n : NULL;
}

static struct tnode *jump(struct tparse *p, enum tnode_kind kind, const struct ttok *t)
{
	const char *context = kind == TN_BREAK ? "{{break}}" : "{{continue}}";
	if (!expect(p, T_RIGHT, context)) return NULL;
	return p->range_depth ? new_node(p, kind, t) : fail(p, "%s outside {{range}}", context);
}

/* Behind "{{". *end is set to T_END or T_ELSE when that was the action (the result is NULL then). */
static struct tnode *action(struct tparse *p, enum ttok_kind *end)
{
	const struct ttok *t = take_solid(p);
	switch (t->kind) {
	case T_BLOCK: return block(p, t);
	case T_BREAK: return jump(p, TN_BREAK, t);
	case T_CONTINUE: return jump(p, TN_CONTINUE, t);
	case T_ELSE:
		*end = T_ELSE;
		if (peek_solid(p)->kind != T_IF && cur(p)->kind != T_WITH) expect(p, T_RIGHT, "else");
		return NULL;
	case T_END:
		*end = T_END;
		expect(p, T_RIGHT, "end");
		return NULL;
	case T_IF: return control(p, TN_IF, "if", t);
	case T_RANGE: return control(p, TN_RANGE, "range", t);
	case T_WITH: return control(p, TN_WITH, "with", t);
	case T_TEMPLATE: return invoke(p, t);
	default: break;
	}
	p->at--;
	struct tnode *n = new_node(p, TN_ACTION, peek_solid(p));
	n->pipe = pipeline(p, "command", T_RIGHT);
	return n->pipe ? n : NULL;
}

/* {{define "x"}} at the top level; false: something else is here. */
static bool definition(struct tparse *p)
{
	size_t before = p->at;
	struct str name;
	take(p);
	if (peek_solid(p)->kind != T_DEFINE) {
		p->at = before;
		return false;
	}
	take(p);
	if (template_name(p, "define clause", &name) && expect(p, T_RIGHT, "define clause"))
		define(p, name, "define clause");
	return true;
}

/* Nodes up to {{end}} or {{else}}; end == NULL: up to the end of the text. */
static struct tnode *list_until(struct tparse *p, enum ttok_kind *end)
{
	struct tnode *list = new_node(p, TN_LIST, cur(p)), *n;
	struct nodes room = {0};
	while (!p->failed && peek_solid(p)->kind != T_EOF) {
		enum ttok_kind stop = T_EOF;
		if (!end && cur(p)->kind == T_LEFT && definition(p)) continue;
		const struct ttok *t = take(p);
		if (t->kind == T_TEXT) {
			n = new_node(p, TN_TEXT, t);
		} else if (t->kind != T_LEFT) {
			return unexpected(p, t, "input");
		} else {
			p->line_of_action = t->line;
			n = action(p, &stop);
			p->line_of_action = 0;
		}
		if (p->failed) return NULL;
		if (n) {
			add_kid(p, list, &room, n);
		} else if (end) {
			*end = stop;
			return list;
		} else {
			return fail(p, "unexpected %s", stop == T_END ? "{{end}}" : "{{else}}");
		}
	}
	if (p->failed) return NULL;
	if (!end) return list;
	take(p);
	return fail(p, "unexpected EOF");
}

bool template_parse(struct template *t, struct err *e)
{
	struct tparse p = {.t = t, .e = e};
	arena_init(&p.scratch, 0);
	p.tok = template_lex(&p.scratch, t->text, &p.n_tok);
	declare(&p, STR("$"));
	t->root = list_until(&p, NULL);
	arena_free(&p.scratch);
	return t->root != NULL;
}
