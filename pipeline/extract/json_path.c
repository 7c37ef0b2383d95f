/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of json.h about path expressions. */
#include "common/buf.h"
#include "pipeline/extract/json.h"
#include "pipeline/extract/json_scan.h"

#include <stdio.h>
#include <stdlib.h>

#define PATH_MAX_DEPTH 128 /* segments of a path: bounds the recursion */
#define AT_ONCE        64  /* paths followed in one walk: bits of a mask */

struct segment {
	bool is_index;
	size_t index;
	struct str key;
};

struct path {
	struct str name;
	struct segment *v;
	size_t n, cap;
};

struct json_paths {
	struct arena a;
	struct path *v;
	size_t n;
};

/* ---- parsing: a.b["c d"][0] ---- */

enum path_tok { P_END, P_DOT, P_LSB, P_RSB, P_STRING, P_FIELD, P_INDEX, P_TOKS };

static const char *const tok_names[P_TOKS] = {"$end", "DOT", "LSB", "RSB", "STRING", "FIELD", "INDEX"};

struct path_parser {
	struct str expr;
	size_t pos;
	enum path_tok tok;
	struct str text;  /* STRING, FIELD */
	size_t index;     /* INDEX */
	char lexical[64]; /* a character that is no token; the token is then P_END */
};

static bool is_alpha(char c) { return c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static void odd_char(struct path_parser *p, const char *what)
{
	size_t i = p->pos;
	char rune[5] = "";
	if (i < p->expr.n) rune[str_rune_put(str_rune(p->expr, &i), rune)] = 0;
	snprintf(p->lexical, sizeof p->lexical, "%s%s", what, rune);
	p->tok = P_END;
	p->pos = p->expr.n;
}

/* An index ends at a blank or "]". */
static void lex_index(struct path_parser *p)
{
	struct str s = p->expr;
	size_t from = p->pos;
	uint64_t v;
	p->tok = P_INDEX;
	while (p->pos < s.n && is_digit(s.p[p->pos])) p->pos++;
	bool ok = str_to_u64(str_sub(s, from, p->pos), &v) && v <= INT32_MAX;
	p->index = ok ? (size_t)v : 0;
	char c = p->pos < s.n ? s.p[p->pos] : 0;
	if (c == '.')
		odd_char(p, "cannot use float as array index");
	else if (!ok)
		odd_char(p, "array index out of range");
	else if (c != ' ' && c != '\t' && c != '\n' && c != ']')
		odd_char(p, "non-integer value: ");
}

static void lex_word(struct path_parser *p, bool quoted)
{
	struct str s = p->expr;
	size_t from = p->pos += quoted;
	if (quoted)
		while (p->pos < s.n && s.p[p->pos] != '"' && s.p[p->pos] != ']') p->pos++;
	else
		while (p->pos < s.n && (is_alpha(s.p[p->pos]) || is_digit(s.p[p->pos]))) p->pos++;
	p->text = str_sub(s, from, p->pos);
	p->tok = quoted ? P_STRING : P_FIELD;
	if (quoted && p->pos < s.n) p->pos++;
}

static void next(struct path_parser *p)
{
	struct str s = p->expr;
	while (p->pos < s.n && (s.p[p->pos] == ' ' || s.p[p->pos] == '\t' || s.p[p->pos] == '\n')) p->pos++;
	p->tok = P_END;
	if (p->pos >= s.n) return;
	char c = s.p[p->pos];
	if (c == '.' || c == '[' || c == ']') {
		p->tok = c == '.' ? P_DOT : c == '[' ? P_LSB : P_RSB;
		p->pos++;
	} else if (is_digit(c)) {
		lex_index(p);
	} else if (is_alpha(c) || c == '"') {
		lex_word(p, c == '"');
	} else {
		odd_char(p, "unexpected char ");
	}
}

static bool unexpected(const struct path_parser *p, const char *expecting, struct err *e)
{
	return err_set(e, ERR_INVALID, "syntax error: unexpected %s%s%s", tok_names[p->tok],
		       *expecting ? ", expecting " : "", expecting);
}

/* Behind "[". */
static bool parse_bracket(struct path_parser *p, struct segment *s, struct err *e)
{
	next(p);
	if (p->tok != P_STRING && p->tok != P_INDEX) return unexpected(p, "STRING or INDEX", e);
	s->is_index = p->tok == P_INDEX;
	s->index = p->index;
	if (!s->is_index) s->key = p->text;
	next(p);
	return p->tok == P_RSB || unexpected(p, "RSB", e);
}

static bool parse_path(struct arena *a, struct str expr, struct path *path, struct err *e)
{
	struct path_parser p = {.expr = arena_str(a, expr)};
	next(&p);
	do {
		struct segment s = {0};
		bool dot = path->n > 0 && p.tok == P_DOT;
		if (dot) next(&p);
		if (p.tok == P_LSB && !dot) {
			if (!parse_bracket(&p, &s, e)) return false;
		} else if (p.tok == P_FIELD && (dot || path->n == 0)) {
			s.key = p.text;
		} else {
			return unexpected(&p, dot ? "FIELD" : path->n ? "" : "LSB or FIELD", e);
		}
		if (path->n == PATH_MAX_DEPTH) return err_set(e, ERR_INVALID, "more than %d parts", PATH_MAX_DEPTH);
		*ARENA_PUSH(a, path->v, path->n, path->cap) = s;
		next(&p);
	} while (p.tok != P_END);
	return !*p.lexical || err_set(e, ERR_INVALID, "%s", p.lexical);
}

static bool add_path(struct json_paths *ps, const struct extract_expr *x, struct err *e)
{
	struct path *path = &ps->v[ps->n++];
	if (!parse_path(&ps->a, x->expr, path, e))
		return err_wrap(e, "cannot parse expression [%.*s]", STR_ARG(x->expr));
	path->name = arena_str(&ps->a, x->name);
	return labels_name_valid(x->name) ||
	       err_set(e, ERR_INVALID, "invalid extracted label name '%.*s'", STR_ARG(x->name));
}

struct json_paths *json_paths_new(const struct extract_expr *exprs, size_t n, struct err *e)
{
	struct json_paths *ps = mem_zalloc(sizeof *ps);
	arena_init(&ps->a, 0);
	ps->v = arena_zalloc(&ps->a, n * sizeof *ps->v + 1);
	for (size_t i = 0; i < n; i++) {
		if (add_path(ps, &exprs[i], e)) continue;
		json_paths_free(ps);
		return NULL;
	}
	return ps;
}

void json_paths_free(struct json_paths *ps)
{
	if (!ps) return;
	arena_free(&ps->a);
	free(ps);
}

/* ---- following them through a line ---- */

struct find {
	const char *p, *end;
	struct arena *a;
	const struct path *path; /* up to AT_ONCE */
	uint64_t open;           /* paths without a value yet */
	struct str value[AT_ONCE];
	enum js_fault fault;
};

static struct str text_of(struct arena *a, const struct js_value *v)
{
	switch (v->type) {
	case JS_T_NULL: return STR("");
	case JS_T_STRING: return js_label_value(a, v->raw, v->escaped, v->high);
	/* Loki undoes escapes in the raw text of arrays as well. */
	case JS_T_ARRAY: return js_label_value(a, v->raw, str_chr(v->raw, '\\') >= 0, true);
	default: return v->raw;
	}
}

/* Of the paths in `in`, those whose segment number `depth` is this key or index. */
static uint64_t select_paths(const struct find *f, uint64_t in, size_t depth, const struct segment *here)
{
	uint64_t out = 0;
	for (uint64_t m = in; m; m &= m - 1) {
		int i = __builtin_ctzll(m);
		const struct segment *s = &f->path[i].v[depth];
		if (s->is_index != here->is_index) continue;
		if (here->is_index ? s->index == here->index : str_eq(s->key, here->key)) out |= UINT64_C(1) << i;
	}
	return out;
}

static uint64_t ending_at(const struct find *f, uint64_t in, size_t depth)
{
	uint64_t out = 0;
	for (uint64_t m = in; m; m &= m - 1)
		if (f->path[__builtin_ctzll(m)].n == depth + 1) out |= m & -m;
	return out;
}

static bool container(struct find *f, uint64_t paths, size_t depth);

/* The value at f->p, for the paths that lead to it. False: the line is broken from here, or all is found. */
static bool visit(struct find *f, uint64_t paths, size_t depth)
{
	uint64_t here = ending_at(f, paths, depth) & f->open, deeper = paths & ~ending_at(f, paths, depth) & f->open;
	const char *from = f->p = js_blank(f->p, f->end);
	struct js_value v;
	enum js_fault fault = js_value(&f->p, f->end, &v);
	if (fault != JS_OK) {
		if (here) f->fault = fault;
		return false;
	}
	for (uint64_t m = here; m; m &= m - 1) f->value[__builtin_ctzll(m)] = text_of(f->a, &v);
	f->open &= ~here;
	if (!deeper || (v.type != JS_T_OBJECT && v.type != JS_T_ARRAY)) return f->open != 0;
	const char *behind = f->p;
	f->p = from;
	bool more = container(f, deeper, depth + 1);
	f->p = behind;
	return more && f->open;
}

/* "key": of an object. */
static bool key_of(struct find *f, struct segment *s)
{
	struct js_str k;
	if (f->p >= f->end || *f->p != '"') return false;
	f->p = js_string(f->p + 1, f->end, &k);
	if (!f->p) return false;
	s->key = k.raw;
	if (k.escaped && !extract_unescape(f->a, k.raw, false, &s->key)) return false;
	f->p = js_blank(f->p, f->end);
	return f->p < f->end && *f->p++ == ':';
}

/* The object or array at f->p. */
static bool container(struct find *f, uint64_t paths, size_t depth)
{
	char open = *f->p++, close = open == '{' ? '}' : ']';
	struct segment here = {.is_index = open == '['};
	for (;; here.index++) {
		f->p = js_blank(f->p, f->end);
		if (f->p < f->end && *f->p == close) return true;
		if (open == '{' && !key_of(f, &here)) return false;
		if (!visit(f, select_paths(f, paths, depth, &here), depth)) return false;
		f->p = js_blank(f->p, f->end);
		if (f->p >= f->end || (*f->p != ',' && *f->p != close)) return false;
		if (*f->p++ == close) return true;
	}
}

void extract_json_paths(const struct json_paths *ps, struct str line, struct extract *x)
{
	if (line.n == 0) return;
	if (line.p[0] != '"' && line.p[0] != '{' && line.p[0] != '[') {
		extract_fail(x, "JSONParserErr", STR(""));
		return;
	}
	for (size_t from = 0; from < ps->n; from += AT_ONCE) {
		size_t n = ps->n - from < AT_ONCE ? ps->n - from : AT_ONCE;
		struct find f = {.p = line.p, .end = line.p + line.n, .a = x->a, .path = ps->v + from};
		f.open = n == AT_ONCE ? UINT64_MAX : (UINT64_C(1) << n) - 1;
		for (size_t i = 0; i < n; i++) f.value[i] = STR("");
		if (line.p[0] != '"') container(&f, f.open, 0);
		if (f.fault) extract_fail(x, "JSONParserErr", js_fault_text(f.fault));
		for (size_t i = 0; i < n; i++) extract_put(x, f.path[i].name, f.value[i]);
	}
}
