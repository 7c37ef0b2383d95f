/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/regex_parse.h"

#include "common/buf.h"
#include "common/regex_class.h"

#include <stdlib.h>

enum { F_ICASE = 1, F_DOTALL = 2, F_MULTILINE = 4, F_UNGREEDY = 8 };

/* An open group. Its finished alternatives are stack[base..cat), its current branch stack[cat..). */
struct frame {
	size_t base, cat;
	unsigned flags; /* to restore at ")" */
	unsigned group; /* 0: does not capture */
};

struct parser {
	struct re_ast *t;
	struct str in;
	size_t pos;
	unsigned flags;
	struct re_node **stack;
	size_t n_stack, cap_stack;
	struct frame *frame;
	size_t n_frame, cap_frame;
	size_t cap_name;
	struct err *e;
};

/* ---- errors ---- */

static bool fail(struct parser *p, const char *what, size_t from, size_t to)
{
	struct str x = str_sub(p->in, from, to);
	/* The pattern is cut in the middle so that the text stays within an err. */
	if (x.n > 1600) return err_set(p->e, ERR_INVALID, "error parsing regexp: %s: `%.*s…`", what, 1600, x.p);
	return err_set(p->e, ERR_INVALID, "error parsing regexp: %s: `%.*s`", what, STR_ARG(x));
}

static bool fail_whole(struct parser *p, const char *what) { return fail(p, what, 0, p->in.n); }

/* Next rune at *i, which must be before the end; the pattern must be UTF-8. */
static bool next_rune(struct parser *p, size_t *i, uint32_t *r)
{
	size_t from = *i;
	*r = str_rune(p->in, i);
	if (*r == 0xFFFD && *i - from == 1) return fail(p, "invalid UTF-8", from, p->in.n);
	return true;
}

/* ---- nodes ---- */

static struct re_node *node(struct re_ast *t, enum re_op op)
{
	struct re_node *n = ARENA_NEW(&t->a, struct re_node);
	n->op = op;
	n->height = 1;
	n->size = 1;
	n->nullable = op == RE_EMPTY || (op >= RE_LINE_START && op <= RE_NOT_WORD);
	return n;
}

struct re_node *re_leaf(struct re_ast *t, enum re_op op) { return node(t, op); }

bool re_is_dot_star(const struct re_node *n)
{
	return n->op == RE_REPEAT && n->min == 0 && n->max < 0 &&
	       (n->sub[0]->op == RE_ANY || n->sub[0]->op == RE_ANY_NOT_NL);
}

static uint64_t repeat_size(const struct re_node *n)
{
	uint64_t sub = n->sub[0]->size, min = n->min, max = n->max;
	if (n->max < 0) return n->min == 0 ? 2 + sub : 1 + min * sub;
	uint64_t size = max * sub + (max - min);
	return size ? size : 1;
}

/* Fills what follows from the members. */
static void measure(struct re_node *n)
{
	bool all = true, any = false;
	n->size = n->op == RE_ALT ? n->n_sub - 1 : n->op == RE_GROUP ? 2 : 0;
	for (size_t i = 0; i < n->n_sub; i++) {
		const struct re_node *s = n->sub[i];
		if (s->height >= n->height) n->height = s->height + 1;
		n->size += s->size;
		if (s->nullable)
			any = true;
		else
			all = false;
	}
	if (n->op == RE_REPEAT) n->size = repeat_size(n);
	n->nullable = n->op == RE_ALT ? any : n->op == RE_REPEAT ? all || n->min == 0 : all;
}

static struct re_node *over(struct re_ast *t, enum re_op op, struct re_node *const *sub, size_t n_sub)
{
	struct re_node *n = node(t, op);
	n->sub = arena_alloc(&t->a, n_sub * sizeof *sub);
	memcpy(n->sub, sub, n_sub * sizeof *sub);
	n->n_sub = n_sub;
	measure(n);
	return n;
}

static bool push(struct parser *p, struct re_node *n)
{
	if (n->height > RE_MAX_HEIGHT) return fail_whole(p, "expression nests too deeply");
	if (n->size > RE_MAX_SIZE) return fail_whole(p, "expression too large");
	MEM_GROW(p->stack, p->n_stack, p->cap_stack);
	p->stack[p->n_stack++] = n;
	return true;
}

static bool push_leaf(struct parser *p, enum re_op op) { return push(p, node(p->t, op)); }

static bool has_cased_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)((s.p[i] | 0x20) - 'a') < 26) return true;
	return false;
}

static struct re_node *class_of_rune(struct parser *p, uint32_t r)
{
	struct re_node *n = node(p->t, RE_CLASS);
	n->icase = p->flags & F_ICASE;
	n->range = arena_alloc(&p->t->a, sizeof *n->range);
	n->range[0] = (struct re_range){r, r};
	n->n_range = 1;
	n->id = p->t->n_classes++;
	return n;
}

/* A single rune. Only ASCII is folded inside literals (see struct re_node); U+FFFD also stands for bad
 * bytes, so it is no literal text either. */
static bool push_rune(struct parser *p, uint32_t r)
{
	if (r >= 0xD800 && r <= 0xDFFF) return push_leaf(p, RE_NONE);
	if (r == 0xFFFD || (r >= 0x80 && (p->flags & F_ICASE))) return push(p, class_of_rune(p, r));
	char tmp[4];
	struct re_node *n = node(p->t, RE_LIT);
	n->text = arena_str(&p->t->a, str_of(tmp, str_rune_put(r, tmp)));
	n->icase = p->flags & F_ICASE;
	return push(p, n);
}

/* ---- groups and branches ---- */

static struct re_node *merge_literals(struct parser *p, struct re_node *const *v, size_t n)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++) bytes += v[i]->text.n;
	struct re_node *lit = node(p->t, RE_LIT);
	char *to = arena_alloc(&p->t->a, bytes);
	lit->text = str_of(to, bytes);
	for (size_t i = 0; i < n; to += v[i++]->text.n) memcpy(to, v[i]->text.p, v[i]->text.n);
	lit->icase = v[0]->icase && has_cased_ascii(lit->text);
	lit->size = bytes;
	return lit;
}

/* stack[from..) in place: neighbouring literals become one, and concatenations are flattened. */
static size_t squeeze(struct parser *p, size_t from)
{
	size_t out = from;
	for (size_t i = from; i < p->n_stack;) {
		size_t j = i;
		while (j < p->n_stack && p->stack[j]->op == RE_LIT && p->stack[j]->icase == p->stack[i]->icase) j++;
		if (j > i) {
			p->stack[out++] = merge_literals(p, p->stack + i, j - i);
			i = j;
		} else if (p->stack[i]->op == RE_EMPTY) {
			i++;
		} else {
			p->stack[out++] = p->stack[i++];
		}
	}
	return out;
}

struct re_node *re_concat(struct re_ast *t, struct re_node *const *sub, size_t n)
{
	return n == 0 ? node(t, RE_EMPTY) : n == 1 ? sub[0] : over(t, RE_CONCAT, sub, n);
}

/* Ends the current branch: it becomes one node. */
static bool close_branch(struct parser *p, struct frame *f)
{
	p->n_stack = squeeze(p, f->cat);
	struct re_node *n = re_concat(p->t, p->stack + f->cat, p->n_stack - f->cat);
	p->n_stack = f->cat;
	if (!push(p, n)) return false;
	f->cat = p->n_stack;
	return true;
}

/* Ends the innermost group: its alternatives become one node. */
static bool close_group(struct parser *p)
{
	struct frame *f = &p->frame[p->n_frame - 1];
	if (!close_branch(p, f)) return false;
	size_t n = p->n_stack - f->base;
	struct re_node *r = n == 1 ? p->stack[f->base] : over(p->t, RE_ALT, p->stack + f->base, n);
	p->n_stack = f->base;
	if (f->group) {
		r = over(p->t, RE_GROUP, &r, 1);
		r->group = f->group;
	}
	p->flags = f->flags;
	p->n_frame--;
	return push(p, r);
}

static void open_group(struct parser *p, unsigned group)
{
	MEM_GROW(p->frame, p->n_frame, p->cap_frame);
	p->frame[p->n_frame++] =
		(struct frame){.base = p->n_stack, .cat = p->n_stack, .flags = p->flags, .group = group};
}

static void open_capture(struct parser *p, struct str name)
{
	struct re_ast *t = p->t;
	unsigned g = ++t->n_groups;
	size_t n = g;
	*ARENA_PUSH(&t->a, t->name, n, p->cap_name) = name;
	open_group(p, g);
}

/* ---- (?… ---- */

static bool named_capture(struct parser *p, size_t name_at)
{
	size_t from = p->pos;
	ssize_t len = str_chr(str_from(p->in, name_at), '>');
	if (len < 0) {
		for (size_t i = from; i < p->in.n;) {
			uint32_t r;
			if (!next_rune(p, &i, &r)) return false;
		}
		return fail(p, "invalid named capture", from, p->in.n);
	}
	struct str name = str_of(p->in.p + name_at, len);
	bool ok = len > 0;
	for (size_t i = 0; i < name.n; i++) ok = ok && re_is_word(name.p[i]);
	if (!ok) return fail(p, "invalid named capture", from, name_at + len + 1);
	p->pos = name_at + len + 1;
	open_capture(p, arena_str(&p->t->a, name));
	return true;
}

static unsigned flag_of(uint32_t c)
{
	switch (c) {
	case 'i': return F_ICASE;
	case 'm': return F_MULTILINE;
	case 's': return F_DOTALL;
	case 'U': return F_UNGREEDY;
	default: return 0;
	}
}

/* At "(?": a named capture, flags, or a group that does not capture. */
static bool perl_group(struct parser *p)
{
	struct str s = str_from(p->in, p->pos);
	if (s.n > 4 && s.p[2] == 'P' && s.p[3] == '<') return named_capture(p, p->pos + 4);
	if (s.n > 3 && s.p[2] == '<') return named_capture(p, p->pos + 3);
	unsigned flags = p->flags;
	bool minus = false, saw = false;
	size_t i = p->pos + 2;
	while (i < p->in.n) {
		uint32_t c;
		if (!next_rune(p, &i, &c)) return false;
		unsigned f = flag_of(c);
		if (f) {
			flags = minus ? flags & ~f : flags | f;
			saw = true;
		} else if (c == '-' && !minus) {
			minus = true;
			saw = false;
		} else if ((c == ':' || c == ')') && (!minus || saw)) {
			if (c == ':') open_group(p, 0);
			p->flags = flags;
			p->pos = i;
			return true;
		} else {
			break;
		}
	}
	return fail(p, "invalid or unsupported Perl syntax", p->pos, i);
}

/* ---- repeats ---- */

/* Digits without leading zeros; -1: too big. False: none here. */
static bool repeat_int(struct parser *p, size_t *i, int *out)
{
	size_t from = *i;
	long v = 0;
	while (*i < p->in.n && p->in.p[*i] >= '0' && p->in.p[*i] <= '9') {
		if (v < 100000000) v = v * 10 + (p->in.p[*i] - '0');
		(*i)++;
	}
	if (*i == from || (*i - from > 1 && p->in.p[from] == '0')) return false;
	*out = v >= 100000000 ? -1 : (int)v;
	return true;
}

/* {n}, {n,} or {n,m} at *i. False: the brace is a literal. */
static bool repeat_bounds(struct parser *p, size_t *i, int *min, int *max)
{
	struct str s = p->in;
	size_t k = *i + 1;
	if (!repeat_int(p, &k, min) || k >= s.n) return false;
	*max = *min;
	if (s.p[k] == ',') {
		if (++k >= s.n) return false;
		if (s.p[k] == '}')
			*max = -1;
		else if (!repeat_int(p, &k, max))
			return false;
		else if (*max < 0)
			*min = -1;
	}
	if (k >= s.n || s.p[k] != '}') return false;
	*i = k + 1;
	return true;
}

/* No chain of nested repeats may multiply to more than RE_MAX_REPEAT. */
static bool repeat_ok(const struct re_node *n, int limit)
{
	if (n->op == RE_REPEAT && !(n->min == 0 && n->max == -1) && !(n->min == 1 && n->max == -1) &&
	    !(n->min == 0 && n->max == 1)) {
		int m = n->max < 0 ? n->min : n->max;
		if (n->max == 0) return true;
		if (m > limit) return false;
		if (m > 0) limit /= m;
	}
	for (size_t i = 0; i < n->n_sub; i++)
		if (!repeat_ok(n->sub[i], limit)) return false;
	return true;
}

/* A repeat whose operator is in[from..to); *last is where the previous token's operator began, if it was one. */
static bool repeat(struct parser *p, int min, int max, size_t from, size_t to, ssize_t *last)
{
	bool lazy = p->flags & F_UNGREEDY;
	bool counted = p->in.p[from] == '{';
	if (to < p->in.n && p->in.p[to] == '?') {
		to++;
		lazy = !lazy;
	}
	if (*last >= 0) return fail(p, "invalid nested repetition operator", *last, to);
	if (p->n_stack == p->frame[p->n_frame - 1].cat)
		return fail(p, "missing argument to repetition operator", from, to);
	struct re_node *sub = p->stack[p->n_stack - 1];
	struct re_node *r = over(p->t, RE_REPEAT, &sub, 1);
	r->min = min;
	r->max = max;
	r->lazy = lazy;
	measure(r);
	p->n_stack--;
	if (!push(p, r)) return false;
	if (counted && (min >= 2 || max >= 2) && !repeat_ok(r, RE_MAX_REPEAT))
		return fail(p, "invalid repeat count", from, to);
	p->pos = to;
	*last = from;
	return true;
}

static bool repeat_op(struct parser *p, ssize_t *last)
{
	size_t from = p->pos, to = from + 1;
	int min = 0, max = -1;
	switch (p->in.p[from]) {
	case '*': break;
	case '+': min = 1; break;
	case '?': max = 1; break;
	default:
		to = from;
		if (!repeat_bounds(p, &to, &min, &max)) {
			p->pos++;
			*last = -1;
			return push_rune(p, '{');
		}
		if (min < 0 || min > RE_MAX_REPEAT || max > RE_MAX_REPEAT || (max >= 0 && min > max))
			return fail(p, "invalid repeat count", from, to);
	}
	return repeat(p, min, max, from, to, last);
}

/* ---- classes ---- */

/* \d \D \s \S \w \W at *i. */
static bool perl_class(struct parser *p, size_t *i, struct re_set *c)
{
	if (*i + 1 >= p->in.n || p->in.p[*i] != '\\') return false;
	if (!re_set_perl(c, p->in.p[*i + 1], p->flags & F_ICASE)) return false;
	*i += 2;
	return true;
}

enum found { ABSENT, FOUND, FAILED };

/* \pN, \p{Name}, \P… at *i. */
static enum found unicode_class(struct parser *p, size_t *i, struct re_set *c)
{
	struct str s = p->in;
	size_t from = *i, k = from + 2;
	if (k > s.n || s.p[from] != '\\' || (s.p[from + 1] != 'p' && s.p[from + 1] != 'P')) return ABSENT;
	bool negate = s.p[from + 1] == 'P';
	uint32_t r = 0;
	if (k < s.n && !next_rune(p, &k, &r)) return FAILED;
	struct str name = str_sub(s, from + 2, k);
	if (r == '{') {
		ssize_t len = str_chr(str_from(s, k), '}');
		size_t stop = len < 0 ? s.n : k + len;
		for (size_t j = k; j < stop;)
			if (!next_rune(p, &j, &r)) return FAILED;
		if (len < 0) {
			fail(p, "invalid character class range", from, s.n);
			return FAILED;
		}
		name = str_of(s.p + k, len);
		k = stop + 1;
	}
	if (name.n && name.p[0] == '^') {
		negate = !negate;
		name = str_from(name, 1);
	}
	if (!re_set_prop(c, &p->t->a, name, negate, p->flags & F_ICASE)) {
		fail(p, "invalid character class range", from, k);
		return FAILED;
	}
	*i = k;
	return FOUND;
}

/* [:name:] or [:^name:] at *i, inside a class. */
static enum found posix_class(struct parser *p, size_t *i, struct re_set *c)
{
	struct str s = str_from(p->in, *i);
	if (s.n < 3 || s.p[0] != '[' || s.p[1] != ':') return ABSENT;
	ssize_t end = str_find(str_from(s, 2), STR(":]"));
	if (end < 0) return ABSENT;
	if (!re_set_posix(c, str_of(s.p + 2, end), p->flags & F_ICASE)) {
		fail(p, "invalid character class range", *i, *i + end + 4);
		return FAILED;
	}
	*i += end + 4;
	return FOUND;
}

/* ---- escapes ---- */

/* Behind "\x". 1: done, 0: not an escape, -1: bad UTF-8. */
static int hex_escape(struct parser *p, size_t *i, uint32_t *out)
{
	uint32_t c, v = 0;
	if (*i >= p->in.n) return 0;
	if (!next_rune(p, i, &c)) return -1;
	if (c != '{') {
		int x = str_hex_digit(c), y;
		if (*i >= p->in.n) return 0;
		if (!next_rune(p, i, &c)) return -1;
		y = str_hex_digit(c);
		*out = (uint32_t)(x * 16 + y);
		return x >= 0 && y >= 0;
	}
	for (bool some = false;; some = true) {
		if (*i >= p->in.n) return 0;
		if (!next_rune(p, i, &c)) return -1;
		if (c == '}') {
			*out = v;
			return some;
		}
		if (str_hex_digit(c) < 0) return 0;
		v = v * 16 + (uint32_t)str_hex_digit(c);
		if (v > 0x10FFFF) return 0;
	}
}

/* An escaped single character at *i ("\…"). */
static bool escape(struct parser *p, size_t *i, uint32_t *out)
{
	static const char from[] = "afnrtv", to[] = "\a\f\n\r\t\v";
	size_t at = *i, k = at + 1;
	uint32_t c;
	if (k >= p->in.n) return fail(p, "trailing backslash at end of expression", at, at);
	if (!next_rune(p, &k, &c)) return false;
	int ok = 0;
	bool octal = c == '0' || (c >= '1' && c <= '7' && k < p->in.n && p->in.p[k] >= '0' && p->in.p[k] <= '7');
	const char *simple = c && c < 0x80 ? strchr(from, (int)c) : NULL;
	if (c < 0x80 && (c == '_' || !re_is_word((unsigned char)c))) {
		*out = c;
		ok = 1;
	} else if (octal) {
		*out = c - '0';
		for (int d = 1; d < 3 && k < p->in.n && p->in.p[k] >= '0' && p->in.p[k] <= '7'; d++)
			*out = *out * 8 + (uint32_t)(p->in.p[k++] - '0');
		ok = 1;
	} else if (c == 'x') {
		ok = hex_escape(p, &k, out);
	} else if (simple) {
		*out = (uint32_t)to[simple - from];
		ok = 1;
	}
	if (ok < 0) return false;
	if (!ok) return fail(p, "invalid escape sequence", at, k);
	*i = k;
	return true;
}

/* ---- [...] ---- */

static bool class_char(struct parser *p, size_t *i, size_t class_at, uint32_t *r)
{
	if (*i >= p->in.n) return fail(p, "missing closing ]", class_at, p->in.n);
	if (p->in.p[*i] == '\\') return escape(p, i, r);
	return next_rune(p, i, r);
}

/* One character or a range. */
static bool class_range(struct parser *p, size_t *i, size_t class_at, struct re_set *c)
{
	size_t from = *i;
	uint32_t lo, hi;
	if (!class_char(p, i, class_at, &lo)) return false;
	hi = lo;
	if (*i + 1 < p->in.n && p->in.p[*i] == '-' && p->in.p[*i + 1] != ']') {
		(*i)++;
		if (!class_char(p, i, class_at, &hi)) return false;
		if (hi < lo) return fail(p, "invalid character class range", from, *i);
	}
	re_set_range(c, lo, hi);
	return true;
}

static bool class_items(struct parser *p, size_t *i, size_t class_at, struct re_set *c)
{
	for (bool first = true; first || *i >= p->in.n || p->in.p[*i] != ']'; first = false) {
		enum found f = *i < p->in.n ? posix_class(p, i, c) : ABSENT;
		if (f == ABSENT && *i < p->in.n) f = unicode_class(p, i, c);
		if (f == ABSENT && perl_class(p, i, c)) f = FOUND;
		if (f == FAILED || (f == ABSENT && !class_range(p, i, class_at, c))) return false;
	}
	(*i)++;
	return true;
}

static bool push_class(struct parser *p, struct re_set *c, bool negate)
{
	re_set_sort(c);
	if (!negate && c->n_prop == 0 && c->n == 1 && c->v[0].lo == c->v[0].hi) return push_rune(p, c->v[0].lo);
	struct re_node *n = node(p->t, RE_CLASS);
	n->icase = p->flags & F_ICASE;
	n->negate = negate;
	n->n_range = c->n;
	n->range = arena_alloc(&p->t->a, c->n * sizeof *c->v + 1);
	if (c->n) memcpy(n->range, c->v, c->n * sizeof *c->v);
	n->n_prop = c->n_prop;
	n->prop = arena_alloc(&p->t->a, c->n_prop * sizeof *c->prop + 1);
	if (c->n_prop) memcpy(n->prop, c->prop, c->n_prop * sizeof *c->prop);
	n->id = p->t->n_classes++;
	return push(p, n);
}

static bool bracket(struct parser *p)
{
	struct re_set c = {0};
	size_t i = p->pos + 1;
	bool negate = i < p->in.n && p->in.p[i] == '^';
	i += negate;
	bool ok = class_items(p, &i, p->pos, &c) && push_class(p, &c, negate);
	re_set_free(&c);
	p->pos = i;
	return ok;
}

/* ---- the loop ---- */

static bool quoted(struct parser *p)
{
	struct str rest = str_from(p->in, p->pos + 2);
	ssize_t end = str_find(rest, STR("\\E"));
	size_t i = p->pos + 2, stop = end < 0 ? p->in.n : i + end;
	while (i < stop) {
		uint32_t r;
		if (!next_rune(p, &i, &r) || !push_rune(p, r)) return false;
	}
	p->pos = end < 0 ? stop : stop + 2;
	return true;
}

static bool backslash(struct parser *p)
{
	if (p->pos + 1 < p->in.n) {
		static const struct {
			char c;
			enum re_op op;
		} marks[] = {{'A', RE_TEXT_START}, {'b', RE_WORD}, {'B', RE_NOT_WORD}, {'z', RE_TEXT_END}};
		char c = p->in.p[p->pos + 1];
		if (c == 'C') return fail(p, "invalid escape sequence", p->pos, p->pos + 2);
		if (c == 'Q') return quoted(p);
		for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
			if (marks[i].c != c) continue;
			p->pos += 2;
			return push_leaf(p, marks[i].op);
		}
	}
	struct re_set c = {0};
	enum found f = unicode_class(p, &p->pos, &c);
	if (f == ABSENT && perl_class(p, &p->pos, &c)) f = FOUND;
	bool ok = f == FOUND && push_class(p, &c, false);
	re_set_free(&c);
	if (f != ABSENT) return ok;
	uint32_t r;
	return escape(p, &p->pos, &r) && push_rune(p, r);
}

static bool right_paren(struct parser *p)
{
	if (p->n_frame == 1) return fail_whole(p, "unexpected )");
	p->pos++;
	return close_group(p);
}

static bool left_paren(struct parser *p)
{
	if (p->pos + 1 < p->in.n && p->in.p[p->pos + 1] == '?') return perl_group(p);
	p->pos++;
	open_capture(p, STR_NULL);
	return true;
}

/* Anything but a repeat. */
static bool item(struct parser *p)
{
	uint32_t r;
	switch (p->in.p[p->pos]) {
	case '(': return left_paren(p);
	case ')': return right_paren(p);
	case '|': p->pos++; return close_branch(p, &p->frame[p->n_frame - 1]);
	case '^': p->pos++; return push_leaf(p, p->flags & F_MULTILINE ? RE_LINE_START : RE_TEXT_START);
	case '$': p->pos++; return push_leaf(p, p->flags & F_MULTILINE ? RE_LINE_END : RE_TEXT_END);
	case '.': p->pos++; return push_leaf(p, p->flags & F_DOTALL ? RE_ANY : RE_ANY_NOT_NL);
	case '[': return bracket(p);
	case '\\': return backslash(p);
	default: return next_rune(p, &p->pos, &r) && push_rune(p, r);
	}
}

static bool parse(struct parser *p)
{
	ssize_t last = -1; /* where the operator just before this token began, if it is a repeat */
	open_group(p, 0);
	while (p->pos < p->in.n) {
		if (strchr("*+?{", p->in.p[p->pos]) && p->in.p[p->pos]) {
			if (!repeat_op(p, &last)) return false;
		} else {
			last = -1;
			if (!item(p)) return false;
		}
	}
	if (p->n_frame > 1) return fail_whole(p, "missing closing )");
	return close_group(p);
}

bool re_parse(struct re_ast *t, struct str pattern, unsigned flags, struct err *e)
{
	*t = (struct re_ast){0};
	arena_init(&t->a, 0);
	t->pattern = arena_str(&t->a, pattern);
	struct parser p = {.t = t, .in = t->pattern, .e = e};
	p.flags = (flags & RE_ICASE ? F_ICASE : 0) | (flags & RE_DOTALL ? F_DOTALL : 0);
	size_t n = 0;
	*ARENA_PUSH(&t->a, t->name, n, p.cap_name) = STR_NULL; /* group 0 */
	MEM_GROW(p.stack, 0, p.cap_stack);                     /* an empty stack, too, has an address to count from */
	bool ok = parse(&p);
	if (ok) t->root = p.stack[0];
	free(p.stack);
	free(p.frame);
	if (!ok) re_ast_free(t);
	return ok;
}

void re_ast_free(struct re_ast *t)
{
	arena_free(&t->a);
	*t = (struct re_ast){0};
}
