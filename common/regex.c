/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/regex.h"

#include "common/regex_lit.h"
#include "common/regex_nfa.h"
#include "common/regex_pcre.h"
#include "common/scan.h"

#include <stdatomic.h>
#include <stdlib.h>

/* How regex_match() answers. */
enum how {
	ALWAYS,   /* every text matches */
	NONEMPTY, /* every text but "" */
	LITERALS, /* a text matches that contains (begins with, ends in, is) one of the literals */
	PROGRAM
};

#define GAVE_UP_MAX 8  /* then PCRE2 is not asked any more */
#define TAIL_TRIES  32 /* candidates of a leading .* before the whole program is run instead */
#define FACTS_BYTES (4 << 20)

struct regex {
	atomic_uint refs;
	atomic_uint gave_up; /* how often PCRE2 hit its limit */
	struct re_ast ast;
	struct str source; /* as given */
	enum how how;
	bool one_line;         /* `how` holds only for texts without a newline */
	bool at_start, at_end; /* LITERALS: the literal stands there */
	bool exec_by_nfa;      /* PCRE2 would not choose the match that RE2 does */
	struct re_lits lits;   /* LITERALS; in the arena */
	struct scan_set any;   /* LITERALS anywhere in the text */
	struct scan_set need;  /* one of these is in every match; n == 0: unknown */
	struct rp match, exec, tail;
	/* A pattern that begins with a greedy .*: the tail matches at the last place where it can. */
	struct scan_set tail_starts;
	bool tail_text_start; /* ^ before the .* */
	bool tail_dotall;
	unsigned tail_group;          /* the group around the .*, 0: none */
	_Atomic(struct nfa *) nfa[2]; /* without and with groups */
};

/* ---- planning ---- */

static struct re_lits keep(struct arena *a, struct re_lits l)
{
	struct re_lits out = {arena_alloc(a, l.n * sizeof *l.v + 1), l.n, l.fold};
	for (size_t i = 0; i < l.n; i++) out.v[i] = arena_str(a, l.v[i]);
	return out;
}

static bool has_empty(const struct re_lits *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].n == 0) return true;
	return false;
}

/* The parts of a pattern in a row; groups are looked through when only a yes or no is asked. */
struct parts {
	struct re_node **v;
	size_t n, cap;
};

static void flatten(struct parts *p, struct re_node *n, bool through_groups)
{
	if (n->op == RE_GROUP && through_groups) {
		flatten(p, n->sub[0], through_groups);
	} else if (n->op == RE_CONCAT) {
		for (size_t i = 0; i < n->n_sub; i++) flatten(p, n->sub[i], through_groups);
	} else {
		MEM_GROW(p->v, p->n, p->cap);
		p->v[p->n++] = n;
	}
}

/* Takes .* and text anchors off one end: .*foo matches where foo does. dir is 1 at the start, -1 at the end. */
static bool strip(struct regex *re, struct parts *p, size_t *edge, size_t other, int dir)
{
	bool anchored = false;
	for (; *edge != other; *edge += dir) {
		const struct re_node *n = p->v[dir > 0 ? *edge : *edge - 1];
		if (n->op == (dir > 0 ? RE_TEXT_START : RE_TEXT_END)) {
			anchored = true;
		} else if (re_is_dot_star(n)) {
			if (anchored && n->sub[0]->op == RE_ANY_NOT_NL) re->one_line = true;
			anchored = false;
		} else {
			break;
		}
	}
	return anchored;
}

static bool is_dot_plus(const struct re_node *n)
{
	return n->op == RE_REPEAT && n->min == 1 && n->max < 0 &&
	       (n->sub[0]->op == RE_ANY || n->sub[0]->op == RE_ANY_NOT_NL);
}

/* How to say yes or no to the parts [from, to) between the anchors. */
static void plan_middle(struct regex *re, struct arena *tmp, const struct re_node *middle)
{
	if (middle->op == RE_EMPTY && !(re->at_start && re->at_end)) {
		re->how = ALWAYS;
		return;
	}
	if (is_dot_plus(middle)) {
		re->how = NONEMPTY;
		if (middle->sub[0]->op == RE_ANY_NOT_NL) re->one_line = true;
		return;
	}
	struct re_facts f = re_facts(tmp, middle);
	if (!f.exact.n || !f.whole) {
		re->how = PROGRAM;
	} else if (has_empty(&f.exact) && !(re->at_start && re->at_end)) {
		re->how = ALWAYS;
	} else {
		re->how = LITERALS;
		re->lits = keep(&re->ast.a, f.exact);
		if (!re->at_start && !re->at_end) scan_set_init(&re->any, re->lits.v, re->lits.n, re->lits.fold);
	}
}

static void plan_match(struct regex *re, struct arena *tmp)
{
	struct parts p = {0};
	flatten(&p, re->ast.root, true);
	size_t from = 0, to = p.n;
	re->at_start = strip(re, &p, &from, to, 1);
	re->at_end = strip(re, &p, &to, from, -1);
	struct re_node *middle = re_concat(&re->ast, p.v + from, to - from);
	plan_middle(re, tmp, middle);
	re->match.root = re->ast.root;
	if (re->how == PROGRAM && !re->one_line) {
		struct re_node *v[3];
		size_t n = 0;
		if (re->at_start) v[n++] = re_leaf(&re->ast, RE_TEXT_START);
		v[n++] = middle;
		if (re->at_end) v[n++] = re_leaf(&re->ast, RE_TEXT_END);
		re->match.root = re_concat(&re->ast, v, n);
	}
	free(p.v);
}

static bool usable_starts(const struct re_lits *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].n == 0 || str_chr(l->v[i], '\n') >= 0) return false;
	return l->n > 0;
}

/* A pattern with a leading greedy .* is matched from the back, if its tail begins with literals. */
static void plan_tail(struct regex *re, struct arena *tmp)
{
	struct parts p = {0};
	flatten(&p, re->ast.root, false);
	size_t at = p.n > 0 && p.v[0]->op == RE_TEXT_START;
	struct re_node *lead = at < p.n ? p.v[at] : NULL, *dots = lead;
	if (lead && lead->op == RE_GROUP) dots = lead->sub[0];
	if (lead && re_is_dot_star(dots) && !dots->lazy && at + 1 < p.n) {
		struct re_node *tail = re_concat(&re->ast, p.v + at + 1, p.n - at - 1);
		struct re_facts f = re_facts(tmp, tail);
		if (usable_starts(&f.prefix)) {
			scan_set_init(&re->tail_starts, f.prefix.v, f.prefix.n, f.prefix.fold);
			re->tail.root = tail;
			re->tail.groups = re->tail.anchored = true;
			re->tail_text_start = at == 1;
			re->tail_dotall = dots->sub[0]->op == RE_ANY;
			re->tail_group = lead->op == RE_GROUP ? lead->group : 0;
		}
	}
	free(p.v);
}

/* An endless loop over something that may be empty: after an empty turn PCRE2 leaves the loop, while RE2 first
 * tries the other ways through it; what is matched, and what groups hold, may differ. */
static bool has_empty_loop(const struct re_node *n)
{
	if (n->op == RE_REPEAT && n->max < 0 && n->sub[0]->nullable) return true;
	for (size_t i = 0; i < n->n_sub; i++)
		if (has_empty_loop(n->sub[i])) return true;
	return false;
}

static void plan(struct regex *re)
{
	struct arena tmp;
	arena_init(&tmp, FACTS_BYTES);
	plan_match(re, &tmp);
	plan_tail(re, &tmp);
	struct re_facts f = re_facts(&tmp, re->ast.root);
	bool long_enough = f.inner.n > 0;
	for (size_t i = 0; i < f.inner.n; i++) long_enough = long_enough && f.inner.v[i].n > 1;
	if (long_enough) scan_set_init(&re->need, f.inner.v, f.inner.n, f.inner.fold);
	re->exec.root = re->ast.root;
	re->exec.groups = true;
	re->exec_by_nfa = has_empty_loop(re->ast.root);
	arena_free(&tmp);
}

/* ^(?:…)$ */
static void anchor(struct re_ast *t)
{
	struct re_node *v[] = {re_leaf(t, RE_TEXT_START), t->root, re_leaf(t, RE_TEXT_END)};
	t->root = re_concat(t, v, 3);
}

struct regex *regex_new(struct str pattern, unsigned flags, struct err *e)
{
	struct regex *re = mem_zalloc(sizeof *re);
	unsigned f = (flags & REGEX_DOTALL ? RE_DOTALL : 0) | (flags & REGEX_ICASE ? RE_ICASE : 0);
	atomic_init(&re->refs, 1);
	if (!re_parse(&re->ast, pattern, f, e)) {
		free(re);
		return NULL;
	}
	re->source = re->ast.pattern;
	if (!nfa_fits(&re->ast)) {
		err_set(e, ERR_INVALID, "error parsing regexp: expression too large: `%.*s`",
			pattern.n < 1600 ? (int)pattern.n : 1600, pattern.p);
		re_ast_free(&re->ast);
		free(re);
		return NULL;
	}
	if (flags & REGEX_ANCHORED) anchor(&re->ast);
	plan(re);
	return re;
}

struct regex *regex_ref(struct regex *re)
{
	atomic_fetch_add(&re->refs, 1);
	return re;
}

void regex_free(struct regex *re)
{
	if (!re || atomic_fetch_sub(&re->refs, 1) != 1) return;
	rp_free(&re->match);
	rp_free(&re->exec);
	rp_free(&re->tail);
	for (int i = 0; i < 2; i++) nfa_free(atomic_load(&re->nfa[i]));
	scan_set_free(&re->any);
	scan_set_free(&re->need);
	scan_set_free(&re->tail_starts);
	re_ast_free(&re->ast);
	free(re);
}

/* ---- matching ---- */

/* Programs are compiled on first use behind const functions; that is not seen from outside. */
static struct regex *mut(const struct regex *re) { return (struct regex *)re; }

static struct nfa *nfa_of(const struct regex *re, bool groups)
{
	_Atomic(struct nfa *) *slot = &mut(re)->nfa[groups];
	struct nfa *p = atomic_load_explicit(slot, memory_order_acquire), *none = NULL;
	if (p) return p;
	p = nfa_new(&re->ast, groups ? re->exec.root : re->match.root, groups);
	if (atomic_compare_exchange_strong(slot, &none, p)) return p;
	nfa_free(p);
	return none;
}

static bool pcre_hopeless(const struct regex *re)
{
	return atomic_load_explicit(&mut(re)->gave_up, memory_order_relaxed) >= GAVE_UP_MAX;
}

/* With folding, k and s have other cases beyond ASCII, which the literal searches do not know. */
static bool miss_is_final(const struct scan_set *set, struct str s)
{
	if (!set->fold) return true;
	for (size_t i = 0; i < set->n; i++)
		if (str_chr(set->v[i], 'k') >= 0 || str_chr(set->v[i], 's') >= 0) return scan_ascii(s);
	return true;
}

/* Is it sure that nothing in s matches? */
static bool lacks_need(const struct regex *re, struct str s)
{
	return re->need.n && !scan_set_any(&re->need, s) && miss_is_final(&re->need, s);
}

static bool literal_at_edge(const struct regex *re, struct str s)
{
	for (size_t i = 0; i < re->lits.n; i++) {
		struct str l = re->lits.v[i];
		if (l.n > s.n || (re->at_start && re->at_end && l.n != s.n)) continue;
		if (scan_at(s, re->at_start ? 0 : s.n - l.n, l, re->lits.fold)) return true;
	}
	return false;
}

/* The answer without a program; false: it takes one. */
static bool answer(const struct regex *re, struct str s, bool *yes)
{
	if (re->how == PROGRAM || (re->one_line && s.n && memchr(s.p, '\n', s.n))) return false;
	struct scan_set edge = {.v = re->lits.v, .n = re->lits.n, .fold = re->lits.fold};
	switch (re->how) {
	case ALWAYS: *yes = true; return true;
	case NONEMPTY: *yes = s.n > 0; return true;
	default: *yes = re->any.n ? scan_set_any(&re->any, s) : literal_at_edge(re, s);
	}
	return *yes || miss_is_final(&edge, s);
}

bool regex_match(const struct regex *re, struct str s)
{
	bool yes;
	if (answer(re, s, &yes)) return yes;
	if (lacks_need(re, s)) return false;
	if (!pcre_hopeless(re)) {
		struct rp_text t;
		rp_prepare(&t, s);
		enum rp_outcome o = rp_run(&mut(re)->match, &t, 0, NULL, 0);
		if (o != RP_GAVE_UP) return o == RP_HIT;
		atomic_fetch_add(&mut(re)->gave_up, 1);
	}
	return nfa_run(nfa_of(re, false), s, 0, NULL, 0);
}

static bool exec_nfa(const struct regex *re, struct str s, size_t start, struct regex_span *spans, size_t n)
{
	size_t have = n < re->ast.n_groups + 1 ? n : re->ast.n_groups + 1;
	ssize_t slots[2 * 16], *v = have <= 16 ? slots : mem_alloc(2 * have * sizeof *v);
	bool hit = nfa_run(nfa_of(re, true), s, start, v, have);
	for (size_t i = 0; hit && i < n; i++) {
		bool set = i < have && v[2 * i] >= 0 && v[2 * i + 1] >= 0;
		spans[i] = set ? (struct regex_span){v[2 * i], v[2 * i + 1]} : (struct regex_span){-1, -1};
	}
	if (v != slots) free(v);
	return hit;
}

/* The tail at one of its candidates; the .* before it began at `from`. */
static enum rp_outcome tail_at(const struct regex *re, const struct rp_text *t, size_t from, size_t at,
			       struct regex_span *spans, size_t n)
{
	size_t shift = re->tail_group ? 1 : 0; /* the first group of the tail is this group of the whole */
	size_t skip = n > shift ? shift : 0;
	enum rp_outcome o = rp_run(&mut(re)->tail, t, at, spans + skip, n - skip);
	if (o != RP_HIT || n == 0) return o;
	struct regex_span whole = spans[skip];
	if (skip) spans[1] = (struct regex_span){(ssize_t)from, (ssize_t)at};
	spans[0] = (struct regex_span){(ssize_t)from, whole.to};
	return o;
}

static enum rp_outcome exec_tail(const struct regex *re, const struct rp_text *t, size_t start,
				 struct regex_span *spans, size_t n)
{
	if (re->tail_text_start && start > 0) return RP_MISS;
	int tries = 0;
	for (size_t from = start;;) {
		const char *nl = re->tail_dotall ? NULL : memchr(t->s.p + from, '\n', t->s.n - from);
		size_t end = nl ? (size_t)(nl - t->s.p) : t->s.n;
		for (size_t before = end - from;;) {
			ssize_t at = scan_set_last(&re->tail_starts, str_sub(t->s, from, end), before);
			if (at < 0) break;
			if (++tries > TAIL_TRIES) return RP_GAVE_UP;
			enum rp_outcome o = tail_at(re, t, from, from + (size_t)at, spans, n);
			if (o != RP_MISS) return o;
			before = (size_t)at;
		}
		if (!nl || re->tail_text_start) return RP_MISS;
		from = end + 1;
	}
}

/* start is an offset in t->s, and so are the spans. */
static enum rp_outcome exec_prepared(const struct regex *re, const struct rp_text *t, size_t start,
				     struct regex_span *spans, size_t n)
{
	if (re->tail.root && miss_is_final(&re->tail_starts, t->s)) {
		enum rp_outcome o = exec_tail(re, t, start, spans, n);
		if (o != RP_GAVE_UP) return o;
	}
	return rp_run(&mut(re)->exec, t, start, spans, n);
}

/* One search in a text prepared once: the NFA reads the original, PCRE2 the prepared one. */
static bool search(const struct regex *re, struct str s, const struct rp_text *t, size_t start,
		   struct regex_span *spans, size_t n)
{
	size_t at = rp_offset_in(t, start);
	/* PCRE2 cannot begin inside a character. */
	bool inside = t->utf && at < t->s.n && ((unsigned char)t->s.p[at] & 0xC0) == 0x80;
	if (!re->exec_by_nfa && !inside && !pcre_hopeless(re)) {
		enum rp_outcome o = exec_prepared(re, t, at, spans, n);
		for (size_t i = 0; o == RP_HIT && t->n_bad && i < n; i++) {
			if (spans[i].from < 0) continue;
			spans[i].from = (ssize_t)rp_offset_out(t, (size_t)spans[i].from);
			spans[i].to = (ssize_t)rp_offset_out(t, (size_t)spans[i].to);
		}
		if (o != RP_GAVE_UP) return o == RP_HIT;
		atomic_fetch_add(&mut(re)->gave_up, 1);
	}
	return exec_nfa(re, s, start, spans, n);
}

bool regex_exec(const struct regex *re, struct str s, size_t start, struct regex_span *spans, size_t n)
{
	struct rp_text t;
	if (start > s.n || lacks_need(re, str_from(s, start))) return false;
	rp_prepare(&t, s);
	return search(re, s, &t, start, spans, n);
}

/* ---- properties ---- */

size_t regex_groups(const struct regex *re) { return re->ast.n_groups; }
struct str regex_group_name(const struct regex *re, size_t i) { return re->ast.name[i]; }
struct str regex_source(const struct regex *re) { return re->source; }
ssize_t regex_group_index(const struct regex *re, struct str name)
{
	for (size_t i = 1; name.n && i <= re->ast.n_groups; i++)
		if (str_eq(re->ast.name[i], name)) return (ssize_t)i;
	return -1;
}

bool regex_literals(const struct regex *re, void (*fn)(struct str lit, void *ud), void *ud)
{
	if (re->how != LITERALS || !re->at_start || !re->at_end || re->one_line || re->lits.fold) return false;
	for (size_t i = 0; i < re->lits.n; i++) fn(re->lits.v[i], ud);
	return true;
}

size_t regex_required(const struct regex *re, const struct str **v, bool *fold)
{
	bool literals = re->how == LITERALS;
	*v = literals ? re->lits.v : re->need.v;
	*fold = literals ? re->lits.fold : re->need.fold;
	return literals ? re->lits.n : re->need.n;
}

/* ---- replacing ---- */

/* A group number without leading zeros, or -1. */
static ssize_t group_number(struct str name)
{
	ssize_t v = 0;
	if (name.n == 0 || name.n > 8 || (name.n > 1 && name.p[0] == '0')) return -1;
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] < '0' || name.p[i] > '9') return -1;
		v = v * 10 + (name.p[i] - '0');
	}
	return v;
}

/* Behind a "$": the name, and how many bytes it took. False: not a variable. */
static bool variable(struct str t, struct str *name, size_t *used)
{
	bool brace = t.n && t.p[0] == '{';
	size_t i = brace;
	while (i < t.n && re_is_word((unsigned char)t.p[i])) i++;
	*name = str_sub(t, brace, i);
	if (name->n == 0 || (brace && (i >= t.n || t.p[i] != '}'))) return false;
	*used = i + brace;
	return true;
}

static ssize_t group_of(const struct regex *re, struct str name, const struct regex_span *spans)
{
	ssize_t k = group_number(name);
	if (k >= 0) return k <= (ssize_t)re->ast.n_groups ? k : -1;
	for (size_t i = 1; i <= re->ast.n_groups; i++)
		if (str_eq(re->ast.name[i], name) && spans[i].from >= 0) return (ssize_t)i;
	return -1;
}

void regex_expand(const struct regex *re, struct str tmpl, struct str s, const struct regex_span *spans,
		  struct buf *out)
{
	for (size_t i = 0; i < tmpl.n;) {
		struct str name, rest = str_from(tmpl, i);
		ssize_t dollar = str_chr(rest, '$');
		size_t used;
		buf_add(out, rest.p, dollar < 0 ? rest.n : (size_t)dollar);
		if (dollar < 0) return;
		i += (size_t)dollar + 1;
		rest = str_from(tmpl, i);
		if (rest.n && rest.p[0] == '$') {
			buf_ch(out, '$');
			i++;
		} else if (!variable(rest, &name, &used)) {
			buf_ch(out, '$');
		} else {
			ssize_t k = group_of(re, name, spans);
			if (k >= 0 && spans[k].from >= 0)
				buf_add(out, s.p + spans[k].from, (size_t)(spans[k].to - spans[k].from));
			i += used;
		}
	}
}

void regex_replace(const struct regex *re, struct str s, struct str repl, bool literal, struct buf *out)
{
	size_t n = re->ast.n_groups + 1, from = 0, last = 0;
	struct regex_span few[16], *spans = n <= 16 ? few : mem_alloc(n * sizeof *spans);
	struct rp_text t;
	rp_prepare(&t, s);
	bool some = !lacks_need(re, s);
	while (some && from <= s.n && search(re, s, &t, from, spans, n)) {
		size_t begin = (size_t)spans[0].from, end = (size_t)spans[0].to;
		buf_add(out, s.p + last, begin - last);
		/* An empty match right behind another match does not count. */
		if (end > last || begin == 0) {
			if (literal)
				buf_str(out, repl);
			else
				regex_expand(re, repl, s, spans, out);
		}
		last = end;
		if (end > from) {
			from = end;
		} else if (from < s.n) {
			str_rune(s, &from);
		} else {
			break;
		}
	}
	buf_add(out, s.p + last, s.n - last);
	if (spans != few) free(spans);
}
