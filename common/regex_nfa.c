/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/regex_nfa.h"

#include "common/regex_emit.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum inst_op { I_RUNE, I_RUNE_FOLD, I_SET, I_ANY, I_ANY_NOT_NL, I_NONE, I_SPLIT, I_SLOT, I_ASSERT, I_MATCH };

struct inst {
	enum inst_op op;
	uint32_t arg;  /* RUNE: the rune (lower case); SET: its index; SLOT: its index; ASSERT: an enum re_op */
	uint32_t next; /* SPLIT: the preferred way */
	uint32_t alt;  /* SPLIT: the other way */
};

/* A character class. Beyond ASCII, ranges answer where they are the whole truth, else PCRE2 does. */
struct set {
	uint64_t ascii[2];
	const struct re_node *cls;
	pcre2_code *code; /* one character of the class; NULL: use the ranges */
};

struct nfa {
	struct inst *v;
	uint32_t n, cap;
	uint32_t start;
	struct set *set; /* by class id */
	size_t n_set;
	bool groups;
};

bool nfa_fits(const struct re_ast *t)
{
	return t->root->size <= NFA_MAX_SIZE && t->root->size * 2 * (t->n_groups + 1) <= NFA_MAX_SLOTS;
}

/* ---- sets ---- */

static bool in_ranges(const struct re_node *cls, uint32_t r)
{
	size_t lo = 0, hi = cls->n_range;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (r > cls->range[mid].hi)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo < cls->n_range && r >= cls->range[lo].lo) != cls->negate;
}

static bool code_takes(const struct set *s, uint32_t r)
{
	char text[4];
	size_t n = str_rune_put(r, text);
	pcre2_match_data *md = pcre2_match_data_create(1, NULL);
	int rc = pcre2_match(s->code, (PCRE2_SPTR)text, n, 0, PCRE2_NO_UTF_CHECK, md, NULL);
	pcre2_match_data_free(md);
	return rc >= 0;
}

static bool set_takes(const struct set *s, uint32_t r)
{
	if (r < 0x80) return s->ascii[r / 64] >> (r % 64) & 1;
	return s->code ? code_takes(s, r) : in_ranges(s->cls, r);
}

static void set_init(struct set *s, const struct re_node *cls)
{
	s->cls = cls;
	if (cls->n_prop || cls->icase) {
		struct buf b = {0};
		int error;
		PCRE2_SIZE at;
		re_emit(&b, cls, EMIT_UTF);
		s->code = pcre2_compile((PCRE2_SPTR)b.p, b.n, PCRE2_UTF | PCRE2_ANCHORED, &error, &at, NULL);
		buf_free(&b);
	}
	for (uint32_t r = 0; r < 0x80; r++)
		if (s->code ? code_takes(s, r) : in_ranges(cls, r)) s->ascii[r / 64] |= UINT64_C(1) << (r % 64);
}

/* ---- compiling: each node is emitted behind what follows it, so every target is known ---- */

static uint32_t put(struct nfa *p, enum inst_op op, uint32_t arg, uint32_t next)
{
	MEM_GROW(p->v, p->n, p->cap);
	p->v[p->n] = (struct inst){.op = op, .arg = arg, .next = next};
	return p->n++;
}

static uint32_t put_split(struct nfa *p, uint32_t first, uint32_t second, bool lazy)
{
	uint32_t at = put(p, I_SPLIT, 0, lazy ? second : first);
	p->v[at].alt = lazy ? first : second;
	return at;
}

static uint32_t gen(struct nfa *p, const struct re_node *n, uint32_t next);

/* Text backwards, so that the first rune comes last. */
static uint32_t gen_lit(struct nfa *p, const struct re_node *n, uint32_t next)
{
	for (size_t end = n->text.n; end > 0;) {
		size_t at = end - 1;
		while (at > 0 && ((unsigned char)n->text.p[at] & 0xC0) == 0x80) at--;
		end = at;
		uint32_t r = str_rune(n->text, &at);
		bool cased = n->icase && (r | 0x20) >= 'a' && (r | 0x20) <= 'z';
		next = put(p, cased ? I_RUNE_FOLD : I_RUNE, cased ? r | 0x20 : r, next);
	}
	return next;
}

static uint32_t gen_repeat(struct nfa *p, const struct re_node *n, uint32_t next)
{
	const struct re_node *sub = n->sub[0];
	uint32_t at = next;
	int copies = n->min;
	if (n->max < 0) {
		/* The loop is x+; x* is (x+)?, so that an empty turn ends it as it does when backtracking. */
		uint32_t loop = put_split(p, 0, next, n->lazy);
		at = gen(p, sub, loop);
		if (n->lazy)
			p->v[loop].alt = at;
		else
			p->v[loop].next = at;
		if (n->min == 0) return sub->nullable ? put_split(p, at, next, n->lazy) : loop;
		copies--;
	} else {
		/* x{2,5} = xx(x(x(x)?)?)? */
		for (int i = n->min; i < n->max; i++) at = put_split(p, gen(p, sub, at), next, n->lazy);
	}
	for (int i = 0; i < copies; i++) at = gen(p, sub, at);
	return at;
}

static uint32_t gen_group(struct nfa *p, const struct re_node *n, uint32_t next)
{
	if (!p->groups) return gen(p, n->sub[0], next);
	uint32_t end = put(p, I_SLOT, 2 * n->group + 1, next);
	return put(p, I_SLOT, 2 * n->group, gen(p, n->sub[0], end));
}

static uint32_t gen_set(struct nfa *p, const struct re_node *n, uint32_t next)
{
	if (!p->set[n->id].cls) set_init(&p->set[n->id], n);
	return put(p, I_SET, n->id, next);
}

static uint32_t gen(struct nfa *p, const struct re_node *n, uint32_t next)
{
	uint32_t at;
	switch (n->op) {
	case RE_NONE: return put(p, I_NONE, 0, next);
	case RE_EMPTY: return next;
	case RE_LIT: return gen_lit(p, n, next);
	case RE_CLASS: return gen_set(p, n, next);
	case RE_ANY: return put(p, I_ANY, 0, next);
	case RE_ANY_NOT_NL: return put(p, I_ANY_NOT_NL, 0, next);
	case RE_GROUP: return gen_group(p, n, next);
	case RE_REPEAT: return gen_repeat(p, n, next);
	case RE_CONCAT:
		for (size_t i = n->n_sub; i-- > 0;) next = gen(p, n->sub[i], next);
		return next;
	case RE_ALT:
		at = gen(p, n->sub[n->n_sub - 1], next);
		for (size_t i = n->n_sub - 1; i-- > 0;) at = put_split(p, gen(p, n->sub[i], next), at, false);
		return at;
	default: return put(p, I_ASSERT, n->op, next);
	}
}

struct nfa *nfa_new(const struct re_ast *t, const struct re_node *root, bool groups)
{
	struct nfa *p = mem_zalloc(sizeof *p);
	p->groups = groups;
	p->n_set = t->n_classes;
	p->set = mem_zalloc(p->n_set * sizeof *p->set + 1);
	uint32_t match = put(p, I_MATCH, 0, 0);
	p->start = gen(p, root, match);
	return p;
}

void nfa_free(struct nfa *p)
{
	if (!p) return;
	for (size_t i = 0; i < p->n_set; i++) pcre2_code_free(p->set[i].code);
	free(p->set);
	free(p->v);
	free(p);
}

/* ---- running ---- */

/* Threads in order of preference; each instruction at most once. */
struct list {
	uint32_t *dense, *sparse;
	uint32_t n;
	ssize_t *slots; /* n_slots for each entry of dense */
};

/* Work of add(): go on at pc, or (undo) put an old slot value back. */
struct todo {
	uint32_t pc;
	bool undo;
	ssize_t old;
};

struct run {
	const struct nfa *p;
	struct str s;
	size_t n_slots;
	ssize_t *cur; /* slots of the thread being added */
	struct todo *todo;
	size_t n_todo, cap_todo;
};

static bool word_at(struct str s, size_t i) { return i < s.n && re_is_word((unsigned char)s.p[i]); }

static bool holds(uint32_t op, struct str s, size_t i)
{
	bool boundary = (i > 0 && word_at(s, i - 1)) != word_at(s, i);
	switch (op) {
	case RE_TEXT_START: return i == 0;
	case RE_TEXT_END: return i == s.n;
	case RE_LINE_START: return i == 0 || s.p[i - 1] == '\n';
	case RE_LINE_END: return i == s.n || s.p[i] == '\n';
	case RE_WORD: return boundary;
	default: return !boundary;
	}
}

static void list_init(struct list *l, const struct nfa *p, size_t n_slots)
{
	l->dense = mem_alloc(p->n * sizeof *l->dense);
	l->sparse = mem_zalloc(p->n * sizeof *l->sparse);
	l->slots = mem_alloc(p->n * n_slots * sizeof *l->slots + 1);
	l->n = 0;
}

static void list_free(struct list *l)
{
	free(l->dense);
	free(l->sparse);
	free(l->slots);
}

static bool list_has(const struct list *l, uint32_t pc)
{
	uint32_t i = l->sparse[pc];
	return i < l->n && l->dense[i] == pc;
}

static void later(struct run *r, struct todo t)
{
	MEM_GROW(r->todo, r->n_todo, r->cap_todo);
	r->todo[r->n_todo++] = t;
}

/* Adds pc and all that is reached from it without reading, in order of preference. */
static void add(struct run *r, struct list *l, uint32_t pc0, size_t at)
{
	later(r, (struct todo){.pc = pc0});
	while (r->n_todo) {
		struct todo t = r->todo[--r->n_todo];
		if (t.undo) {
			r->cur[t.pc] = t.old;
			continue;
		}
		for (uint32_t pc = t.pc; !list_has(l, pc);) {
			const struct inst *in = &r->p->v[pc];
			l->sparse[pc] = l->n;
			l->dense[l->n++] = pc;
			if (in->op == I_SPLIT) {
				later(r, (struct todo){.pc = in->alt});
			} else if (in->op == I_SLOT) {
				if (in->arg < r->n_slots) {
					later(r, (struct todo){.pc = in->arg, .undo = true, .old = r->cur[in->arg]});
					r->cur[in->arg] = (ssize_t)at;
				}
			} else if (in->op != I_ASSERT || !holds(in->arg, r->s, at)) {
				memcpy(l->slots + (l->n - 1) * r->n_slots, r->cur, r->n_slots * sizeof *r->cur);
				break;
			}
			pc = in->next;
		}
	}
}

static bool folds_to(uint32_t r, uint32_t low)
{
	return (r < 0x80 && (r | 0x20) == low) || (r == 0x17F && low == 's') || (r == 0x212A && low == 'k');
}

static bool takes(const struct nfa *p, const struct inst *in, uint32_t r)
{
	switch (in->op) {
	case I_RUNE: return in->arg == r;
	case I_RUNE_FOLD: return folds_to(r, in->arg);
	case I_SET: return set_takes(&p->set[in->arg], r);
	case I_ANY: return true;
	case I_ANY_NOT_NL: return r != '\n';
	default: return false;
	}
}

/* One step: threads of l that take the rune at `at` go on in `to`. True: a thread had matched (its slots are
 * in slots), and those after it are cut off. */
static bool step(struct run *r, struct list *l, struct list *to, size_t at, size_t after, uint32_t rune, bool end,
		 ssize_t *slots)
{
	to->n = 0;
	for (uint32_t i = 0; i < l->n; i++) {
		const struct inst *in = &r->p->v[l->dense[i]];
		const ssize_t *mine = l->slots + i * r->n_slots;
		if (in->op == I_MATCH) {
			if (r->n_slots) {
				memcpy(slots, mine, r->n_slots * sizeof *slots);
				slots[1] = (ssize_t)at;
			}
			return true;
		}
		if (end || in->op >= I_SPLIT || !takes(r->p, in, rune)) continue;
		memcpy(r->cur, mine, r->n_slots * sizeof *slots);
		add(r, to, in->next, after);
	}
	return false;
}

bool nfa_run(const struct nfa *p, struct str s, size_t start, ssize_t *slots, size_t n)
{
	struct run r = {.p = p, .s = s, .n_slots = 2 * n, .cur = mem_alloc(2 * n * sizeof *slots + 1)};
	struct list a, b, *l = &a, *to = &b;
	bool matched = false;
	list_init(&a, p, r.n_slots);
	list_init(&b, p, r.n_slots);
	for (size_t at = start;;) {
		if (!matched) {
			for (size_t i = 0; i < r.n_slots; i++) r.cur[i] = -1;
			if (n) r.cur[0] = (ssize_t)at;
			add(&r, l, p->start, at);
		}
		bool end = at == s.n;
		size_t after = at;
		uint32_t rune = end ? 0 : str_rune(s, &after);
		if (step(&r, l, to, at, after, rune, end, slots)) matched = true;
		if (end || (matched && (n == 0 || to->n == 0))) break;
		struct list *t = l;
		l = to;
		to = t;
		at = after;
	}
	list_free(&a);
	list_free(&b);
	free(r.cur);
	free(r.todo);
	return matched;
}
