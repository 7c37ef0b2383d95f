/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json: JMESPath expressions over a JSON object become extracted values, typed: strings, numbers, booleans and null as
 * they are, arrays and objects as JSON text. What is not there is null. Text that is no JSON object passes, or is
 * dropped.
 *
 * When all expressions are plain paths, one scan of the text finds them; else a tree is built. Expressions whose values
 * nobody reads are not searched. In Alloy's dialect keys of the object that match an expression are extracted, too. */
#include "pipeline/extract/jmespath.h"
#include "pipeline/stage.h"

#define PATHS_MAX 64 /* bits of a mask */

struct conf {
	struct labels expressions; /* extracted name → expression */
	struct str source, regex;
	bool drop_malformed;
};
struct expr {
	struct str name;
	struct jmespath *j;
	const struct str *path;
	size_t n;
	struct value result;
	bool found; /* false: null, or the search failed */
};
struct state {
	struct expr *v;
	size_t n; /* expressions that are searched come first */
	size_t compiled;
	struct regex *re;    /* for keys; NULL: none */
	bool paths;          /* all are plain */
	bool idle;           /* there is nothing to find out */
	struct buf key, out; /* scratch */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!c->expressions.n && !c->regex.n)
		return stage_refuse(
			body, "expressions", e,
			"expressions must be set: extracted names and the JMESPath expressions they come from");
	if (c->source.p && !c->source.n)
		return stage_refuse(body, "source", e, "source must not be empty; leave it out to read the line");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->v = arena_zalloc(s->arena, c->expressions.n * sizeof *st->v);
	for (; st->compiled < c->expressions.n; st->compiled++) {
		const struct label *l = &c->expressions.v[st->compiled];
		struct expr *x = &st->v[st->compiled];
		struct err why = ERR_INIT;
		x->name = l->name;
		x->j = jmespath_compile(l->value.n ? l->value : l->name, &why);
		if (!x->j)
			return stage_refuse(body, "expressions", e, "expression of %.*s: %s", STR_ARG(l->name),
					    why.msg);
	}
	if (c->regex.n) st->re = stage_compile(body, "regex", c->regex, e);
	return st->re || !c->regex.n;
}

static void plan(struct stage *s, struct reads *r)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	for (size_t i = 0; i < st->compiled; i++) {
		struct expr x = st->v[i];
		if (!reads_has(r, x.name)) continue;
		st->v[i] = st->v[st->n];
		st->v[st->n++] = x;
	}
	st->paths = !st->re && st->n <= PATHS_MAX;
	for (size_t i = 0; i < st->n; i++) st->paths &= jmespath_is_path(st->v[i].j, &st->v[i].path, &st->v[i].n);
	st->idle = !st->n && !c->drop_malformed && !(st->re && (r->all || r->n));
	if (!st->idle) reads_add(r, c->source);
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	for (size_t i = 0; i < st->compiled; i++) jmespath_free(st->v[i].j);
	regex_free(st->re);
	buf_free(&st->key);
	buf_free(&st->out);
}

/* ---- one scan for plain paths ---- */

/* It reads back as the same text, so nobody has to compute the number until somebody wants to. */
static bool is_short_integer(struct str s)
{
	size_t i = 0;
	while (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-')) i++;
	return i == s.n && s.n <= 15;
}

static bool set_scalar(struct batch *b, const struct json *j, enum json_tok t, struct value *v)
{
	*v = (struct value){.kind = VALUE_NULL};
	switch (t) {
	case JSON_STRING:
		v->kind = VALUE_STR;
		v->s = j->text;
		if (!j->escaped) return true;
		char *p = arena_alloc(b->arena, j->text.n);
		v->s = str_of(p, json_unescape(j->text, p));
		return true;
	case JSON_NUMBER:
		v->kind = VALUE_NUM;
		if (!is_short_integer(j->text)) return str_to_f64(j->text, &v->num);
		v->s = j->text;
		return true;
	case JSON_TRUE:
	case JSON_FALSE:
		v->kind = VALUE_BOOL;
		v->num = t == JSON_TRUE;
		return true;
	default: return true;
	}
}

/* An array or object: its text, as Go would print what it read. */
static bool set_text(struct state *st, struct batch *b, struct str raw, struct value *v)
{
	struct err e = ERR_INIT;
	const struct jval *tree = jval_parse(b->arena, raw, &e);
	if (tree) *v = stage_value(b->arena, tree, &st->out);
	return tree;
}

/* Of the expressions in the mask, those whose path goes on with this key. What they found under an earlier key of
 * the same name does not count. */
static uint64_t follow(struct state *st, uint64_t mask, size_t depth, struct str key)
{
	uint64_t hit = 0;
	for (; mask; mask &= mask - 1) {
		size_t i = (size_t)__builtin_ctzll(mask);
		if (!str_eq(st->v[i].path[depth], key)) continue;
		hit |= UINT64_C(1) << i;
		st->v[i].result.kind = VALUE_NULL;
	}
	return hit;
}

/* The value whose first token t was returned is what the first `depth` names of the masked expressions' paths lead to.
 * False: malformed. */
static bool scan(struct state *st, struct batch *b, struct json *j, enum json_tok t, uint64_t mask, size_t depth)
{
	size_t from = j->tok_at;
	uint64_t ends = 0;
	if (t == JSON_ERROR || t == JSON_END) return false;
	for (uint64_t m = mask; m; m &= m - 1) {
		size_t i = (size_t)__builtin_ctzll(m);
		if (st->v[i].n == depth) ends |= UINT64_C(1) << i;
	}
	if (t == JSON_OBJ_OPEN && mask != ends) {
		while ((t = json_next(j)) == JSON_KEY) {
			buf_clear(&st->key);
			uint64_t hit = follow(st, mask & ~ends, depth, json_text(j, &st->key));
			t = json_next(j);
			if (hit ? !scan(st, b, j, t, hit, depth + 1) : t == JSON_ERROR || !json_skip_rest(j, t))
				return false;
		}
		if (t != JSON_OBJ_CLOSE) return false;
	} else if (t == JSON_OBJ_OPEN || t == JSON_ARR_OPEN) {
		if (!json_skip_rest(j, t)) return false;
	} else {
		for (uint64_t m = ends; m; m &= m - 1)
			if (!set_scalar(b, j, t, &st->v[__builtin_ctzll(m)].result)) return false;
		return true;
	}
	for (uint64_t m = ends; m; m &= m - 1)
		if (!set_text(st, b, str_sub(j->in, from, j->pos), &st->v[__builtin_ctzll(m)].result)) return false;
	return true;
}

static void set_results(const struct state *st, struct batch *b, struct entry *en)
{
	for (size_t i = 0; i < st->n; i++)
		if (st->v[i].found) entry_set(b, en, st->v[i].name, st->v[i].result);
}

static bool read_paths(struct state *st, struct batch *b, struct entry *en, struct str text, struct err *e)
{
	struct json j;
	for (size_t i = 0; i < st->n; i++) {
		st->v[i].result = (struct value){.kind = VALUE_NULL};
		st->v[i].found = true;
	}
	json_init(&j, text, e);
	enum json_tok t = json_next(&j);
	if (t != JSON_OBJ_OPEN && t != JSON_NULL) return false;
	uint64_t all = st->n == PATHS_MAX ? UINT64_MAX : (UINT64_C(1) << st->n) - 1;
	if (!scan(st, b, &j, t, all, 0) || json_next(&j) != JSON_END) return false;
	set_results(st, b, en);
	return true;
}

/* ---- a tree for everything else ---- */

static void set_keys(struct state *st, struct batch *b, struct entry *en, const struct jval *object)
{
	for (size_t i = 0; object->kind == JVAL_OBJ && i < object->obj.n; i++) {
		const struct jmember *m = &object->obj.v[i];
		if (regex_match(st->re, m->name)) entry_set(b, en, m->name, stage_value(b->arena, m->val, &st->out));
	}
}

static bool read_tree(struct state *st, struct batch *b, struct entry *en, struct str text, struct err *e)
{
	const struct jval *root = jval_parse(b->arena, text, e);
	if (!root || (root->kind != JVAL_OBJ && root->kind != JVAL_NULL)) return false;
	for (size_t i = 0; i < st->n; i++) {
		const struct jval *v = jmespath_search(st->v[i].j, root, b->arena, e);
		st->v[i].found = v;
		if (v) st->v[i].result = stage_value(b->arena, v, &st->out);
	}
	set_results(st, b, en);
	if (st->re) set_keys(st, b, en, root);
	return true;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct err why = ERR_INIT;
	for (size_t i = 0; !st->idle && i < b->n; i++) {
		struct entry *e = &b->v[i];
		struct str text;
		if (!stage_input(b, e, c->source, &text)) continue;
		bool ok = st->paths ? read_paths(st, b, e, text, &why) : read_tree(st, b, e, text, &why);
		if (!ok && c->drop_malformed) stage_drop_entry(s, e, STR("json_malformed"));
	}
}

static const struct conf_field fields[] = {
	{.key = "expressions",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct conf, expressions),
	 .doc = "Extracted names and the JMESPath expressions they come from; nothing means the name itself."},
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value to read instead of the line."},
	{.key = "drop_malformed",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct conf, drop_malformed),
	 .doc = "Drop entries whose text is no JSON object."},
	{0},
};
static const struct conf_table table = {"json stage",    sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_EXACT};

static const struct conf_field alloy_fields[] = {
	{.key = "regex",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, regex),
	 .doc = "RE2 expression; keys of the object that it matches are extracted under their own names. It or "
		"expressions "
		"must be set."},
	{0},
};
static const struct conf_table alloy = {"json stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_json = {
	.name = "json",
	.doc = "Extracts values of a JSON object by JMESPath.",
	.conf = &table,
	.alloy = &alloy,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
};
