/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rule is stated on the tree that Go's regexp/syntax builds, with common prefixes of alternatives factored out and
 * single characters merged to classes ("api|app" is ap[ip], which is not simple; "warn|warning" is warn(?:|ing), which
 * is). So the tree is brought to that form first. Whatever cannot be part of a simple expression ends it at once: NULL.
 */
#include "server/logql/simple_regex.h"

#include "common/regex_parse.h"

enum kind { EMPTY, LIT, DOT_STAR, DOT_PLUS, CONCAT, ALT, GROUP };

struct node {
	enum kind kind;
	bool icase; /* LIT */
	struct str text;
	struct node **sub;
	size_t n;
};

enum test_kind { EQUALS, CONTAINS, EXISTS };

struct test {
	enum test_kind kind;
	bool icase;
	struct str text; /* lower case if icase */
};

struct logql_simple_regex {
	struct test *tests; /* one must hold; none at all: everything passes */
	size_t n, cap;
	struct arena *a;
};

/* ---- Go's tree ---- */

static struct node *new_node(struct arena *a, enum kind kind, size_t n)
{
	struct node *x = ARENA_NEW(a, struct node);
	x->kind = kind;
	x->sub = arena_alloc(a, (n + 1) * sizeof(struct node *));
	return x;
}

static bool is_single_rune(const struct node *x)
{
	size_t i = 0;
	if (x->kind != LIT) return false;
	str_rune(x->text, &i);
	return i == x->text.n;
}

static const struct node *leading(const struct node *x)
{
	if (x->kind == CONCAT) x = x->sub[0];
	return x->kind == LIT ? x : NULL;
}

/* Bytes of the longest common prefix that ends between runes. */
static size_t common_prefix(struct str a, struct str b)
{
	size_t n = 0;
	while (n < a.n && n < b.n && a.p[n] == b.p[n]) n++;
	while (n && ((n < a.n && (a.p[n] & 0xC0) == 0x80) || (n < b.n && (b.p[n] & 0xC0) == 0x80))) n--;
	return n;
}

static struct node *without_leading(struct arena *a, const struct node *x, size_t bytes)
{
	struct node *rest = new_node(a, x->kind, x->n);
	if (x->kind == LIT) {
		rest->kind = bytes == x->text.n ? EMPTY : LIT;
		rest->text = str_from(x->text, bytes);
		rest->icase = x->icase;
		return rest;
	}
	struct node *first = without_leading(a, x->sub[0], bytes);
	if (first->kind != EMPTY) rest->sub[rest->n++] = first;
	for (size_t i = 1; i < x->n; i++) rest->sub[rest->n++] = x->sub[i];
	return rest->n == 1 ? rest->sub[0] : rest;
}

static struct node *alternatives(struct arena *a, struct node **sub, size_t n);

/* sub[from..to) begin with the same text: it goes in front. */
static struct node *factored(struct arena *a, struct node **sub, size_t from, size_t to, struct str prefix)
{
	struct node *x = new_node(a, CONCAT, 2), *lit = new_node(a, LIT, 0);
	lit->text = prefix;
	lit->icase = leading(sub[from])->icase;
	for (size_t i = from; i < to; i++) sub[i] = without_leading(a, sub[i], prefix.n);
	x->n = 2;
	x->sub[0] = lit;
	x->sub[1] = alternatives(a, sub + from, to - from);
	return x->sub[1] ? x : NULL;
}

/* Neighbours of one rune each would become a class; equal ones, and empty ones, become one. NULL: a class. */
static bool merge_neighbours(struct node **sub, size_t *n)
{
	size_t out = 0;
	for (size_t i = 0; i < *n; i++) {
		struct node *last = out ? sub[out - 1] : NULL;
		bool runes = last && is_single_rune(last) && is_single_rune(sub[i]);
		if (runes && (!str_eq(last->text, sub[i]->text) || last->icase != sub[i]->icase)) return false;
		if (runes || (last && last->kind == EMPTY && sub[i]->kind == EMPTY)) continue;
		sub[out++] = sub[i];
	}
	*n = out;
	return true;
}

static struct node *alternatives(struct arena *a, struct node **sub, size_t n)
{
	struct node *x = new_node(a, ALT, n);
	size_t start = 0;
	struct str prefix = STR("");
	for (size_t i = 0; i <= n; i++) {
		const struct node *lead = i < n ? leading(sub[i]) : NULL;
		const struct node *first = start < i ? leading(sub[start]) : NULL;
		if (lead && first && lead->icase == first->icase && common_prefix(prefix, lead->text)) {
			prefix = str_sub(prefix, 0, common_prefix(prefix, lead->text));
			continue;
		}
		if (i == start + 1) x->sub[x->n++] = sub[start];
		if (i > start + 1 && !(x->sub[x->n++] = factored(a, sub, start, i, prefix))) return NULL;
		start = i;
		prefix = lead ? lead->text : STR("");
	}
	if (!merge_neighbours(x->sub, &x->n)) return NULL;
	return x->n == 1 ? x->sub[0] : x;
}

static struct node *convert(struct arena *a, const struct re_node *re);

/* The members, those of the same kind spliced in. */
static struct node *convert_all(struct arena *a, const struct re_node *re, enum kind kind)
{
	struct node *x = ARENA_NEW(a, struct node);
	size_t cap = 0;
	x->kind = kind;
	for (size_t i = 0; i < re->n_sub; i++) {
		struct node *s = convert(a, re->sub[i]);
		if (!s) return NULL;
		if (s->kind != kind)
			*ARENA_PUSH(a, x->sub, x->n, cap) = s;
		else
			for (size_t k = 0; k < s->n; k++) *ARENA_PUSH(a, x->sub, x->n, cap) = s->sub[k];
	}
	return x;
}

static struct node *convert_literal(struct arena *a, struct str text, bool icase)
{
	struct node *x = new_node(a, LIT, 0);
	char *p = arena_cstr(a, text);
	for (size_t i = 0; icase && i < text.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z') p[i] += 'a' - 'A';
	x->text = str_of(p, text.n);
	x->icase = icase;
	return x;
}

static struct node *convert(struct arena *a, const struct re_node *re)
{
	struct node *x;
	char rune[4];
	switch (re->op) {
	case RE_EMPTY: return new_node(a, EMPTY, 0);
	case RE_LIT: return convert_literal(a, re->text, re->icase);
	case RE_CLASS:
		if (re->negate || re->icase || re->n_prop || re->n_range != 1 || re->range->lo != re->range->hi)
			return NULL;
		return convert_literal(a, str_of(rune, str_rune_put(re->range->lo, rune)), false);
	case RE_REPEAT:
		if (re->min == 1 && re->max == 1) return convert(a, re->sub[0]);
		if (re->sub[0]->op != RE_ANY_NOT_NL || re->max >= 0 || re->min > 1) return NULL;
		return new_node(a, re->min ? DOT_PLUS : DOT_STAR, 0);
	case RE_GROUP:
		x = new_node(a, GROUP, 1);
		x->sub[0] = convert(a, re->sub[0]);
		x->n = 1;
		return x->sub[0] ? x : NULL;
	case RE_CONCAT: return convert_all(a, re, CONCAT);
	case RE_ALT:
		x = convert_all(a, re, ALT);
		return x && merge_neighbours(x->sub, &x->n) ? alternatives(a, x->sub, x->n) : NULL;
	default: return NULL;
	}
}

/* ---- tests ---- */

static void add_test(struct logql_simple_regex *r, enum test_kind kind, struct str text, bool icase)
{
	*ARENA_PUSH(r->a, r->tests, r->n, r->cap) = (struct test){kind, icase, text};
}

static const struct node *uncapture(const struct node *x) { return x->kind == GROUP ? x->sub[0] : x; }

static bool concat(struct logql_simple_regex *r, const struct node *x, struct str base, bool has_base);

/* Each alternative behind the literal. */
static bool concat_alternatives(struct logql_simple_regex *r, const struct node *alt, struct str base, bool icase)
{
	for (size_t i = 0; i < alt->n; i++) {
		const struct node *x = alt->sub[i];
		switch (x->kind) {
		case EMPTY:
		case DOT_STAR: add_test(r, CONTAINS, base, icase); break;
		case LIT:
			if (x->icase && !icase) return false;
			add_test(r, CONTAINS, arena_printf(r->a, "%.*s%.*s", STR_ARG(base), STR_ARG(x->text)), icase);
			break;
		case CONCAT:
			if (!concat(r, x, base, true)) return false;
			break;
		default: return false;
		}
	}
	return true;
}

/* At most one literal, .* and alternatives behind the literal. */
static bool concat(struct logql_simple_regex *r, const struct node *x, struct str base, bool has_base)
{
	size_t before = r->n, parts = 0, literals = 0;
	bool icase = false;
	for (size_t i = 0; i < x->n; i++) parts += uncapture(x->sub[i])->kind != EMPTY;
	if (parts > 3) return false;
	for (size_t i = 0; i < x->n; i++) {
		const struct node *s = uncapture(x->sub[i]);
		if (s->kind == LIT) {
			if (literals++) return false;
			base = arena_printf(r->a, "%.*s%.*s", STR_ARG(base), STR_ARG(s->text));
			icase = s->icase;
			has_base = true;
		} else if (s->kind == ALT && has_base) {
			if (!concat_alternatives(r, s, base, icase)) return false;
		} else if (s->kind != DOT_STAR && s->kind != EMPTY) {
			return false;
		}
	}
	if (r->n == before && has_base) add_test(r, CONTAINS, base, icase);
	return r->n > before;
}

static bool simplify(struct logql_simple_regex *r, const struct node *x)
{
	switch (x->kind) {
	case EMPTY:
	case DOT_STAR: return true; /* takes everything, but does not count beside other alternatives */
	case DOT_PLUS: add_test(r, EXISTS, STR(""), false); return true;
	case LIT: add_test(r, EQUALS, x->text, x->icase); return true;
	case GROUP: return simplify(r, x->sub[0]);
	case CONCAT: return concat(r, x, STR(""), false);
	case ALT:
		for (size_t i = 0; i < x->n; i++)
			if (!simplify(r, uncapture(x->sub[i]))) return false;
		return true;
	}
	return false;
}

const struct logql_simple_regex *simple_regex_new(struct arena *a, struct str regex)
{
	struct re_ast ast;
	struct err ignored = ERR_INIT;
	struct logql_simple_regex *r = ARENA_NEW(a, struct logql_simple_regex);
	r->a = a;
	if (!re_parse(&ast, regex, 0, &ignored)) return NULL;
	const struct node *x = convert(a, ast.root);
	bool ok = x && simplify(r, x);
	re_ast_free(&ast);
	return ok ? r : NULL;
}

/* ---- matching ---- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c; }

static bool holds_at(const struct test *t, struct str value, size_t at)
{
	size_t i = 0;
	while (i < t->text.n && lower(value.p[at + i]) == t->text.p[i]) i++;
	return i == t->text.n;
}

static bool contains(const struct test *t, struct str value)
{
	if (!t->icase) return str_find(value, t->text) >= 0;
	for (size_t at = 0; at + t->text.n <= value.n; at++)
		if (holds_at(t, value, at)) return true;
	return false;
}

bool simple_regex_match(const struct logql_simple_regex *r, struct str value)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct test *t = &r->tests[i];
		if (t->kind == EXISTS ? value.n > 0
				      : (t->kind == CONTAINS || t->text.n == value.n) && contains(t, value))
			return true;
	}
	return r->n == 0;
}
