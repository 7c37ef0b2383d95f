/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json: JMESPath expressions over a JSON object become extracted values, typed: strings, numbers, booleans and null as
 * they are, arrays and objects as JSON text. What is not there is null. Text that is no JSON object passes, or is
 * dropped.
 *
 * When all expressions are plain paths, one scan of the text finds them; else a tree is built. */
#include "pipeline/extract/jmespath.h"
#include "pipeline/stage.h"

#define PATHS_MAX 64 /* bits of a mask */

struct conf {
	struct labels expressions; /* extracted name → expression */
	struct str source;
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
	size_t n;
	bool paths;          /* all are plain */
	struct buf key, out; /* scratch */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!c->expressions.n)
		return stage_refuse(
			body, "expressions", e,
			"expressions must be set: extracted names and the JMESPath expressions they come from");
	if (c->source.p && !c->source.n)
		return stage_refuse(body, "source", e, "source must not be empty; leave it out to read the line");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->v = arena_zalloc(s->arena, c->expressions.n * sizeof *st->v);
	st->paths = c->expressions.n <= PATHS_MAX;
	for (; st->n < c->expressions.n; st->n++) {
		const struct label *l = &c->expressions.v[st->n];
		struct expr *x = &st->v[st->n];
		struct err why = ERR_INIT;
		x->name = l->name;
		x->j = jmespath_compile(l->value.n ? l->value : l->name, &why);
		if (!x->j)
			return stage_refuse(body, "expressions", e, "expression of %.*s: %s", STR_ARG(l->name),
					    why.msg);
		st->paths &= jmespath_is_path(x->j, &x->path, &x->n);
	}
	return true;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	for (size_t i = 0; i < st->n; i++) jmespath_free(st->v[i].j);
	buf_free(&st->key);
	buf_free(&st->out);
}

/* ---- one scan for plain paths ---- */

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
	case JSON_NUMBER: v->kind = VALUE_NUM; return str_to_f64(j->text, &v->num);
	case JSON_TRUE:
	case JSON_FALSE:
		v->kind = VALUE_BOOL;
		v->num = t == JSON_TRUE;
		return true;
	default: return true;
	}
}

/* The text of an array or object, as Go would print what it read. */
static bool set_text(struct state *st, struct batch *b, struct str raw, struct value *v)
{
	struct err e = ERR_INIT;
	struct json_out o;
	const struct jval *tree = jval_parse(b->arena, raw, &e);
	if (!tree) return false;
	buf_clear(&st->out);
	json_out_init(&o, &st->out, true);
	jval_print(tree, &o);
	*v = (struct value){.kind = VALUE_STR, .s = arena_str(b->arena, buf_view(&st->out))};
	return true;
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

static bool read_paths(struct state *st, struct batch *b, struct str text, struct err *e)
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
	return scan(st, b, &j, t, all, 0) && json_next(&j) == JSON_END;
}

/* ---- a tree for everything else ---- */

static struct value value_of(struct state *st, struct batch *b, const struct jval *v)
{
	struct json_out o;
	switch (v->kind) {
	case JVAL_NULL: break;
	case JVAL_BOOL: return (struct value){.kind = VALUE_BOOL, .num = v->b};
	case JVAL_NUM: return (struct value){.kind = VALUE_NUM, .num = v->num};
	case JVAL_STR: return (struct value){.kind = VALUE_STR, .s = v->s};
	case JVAL_ARR:
	case JVAL_OBJ:
		buf_clear(&st->out);
		json_out_init(&o, &st->out, true);
		jval_print(v, &o);
		return (struct value){.kind = VALUE_STR, .s = arena_str(b->arena, buf_view(&st->out))};
	}
	return (struct value){.kind = VALUE_NULL};
}

static bool read_tree(struct state *st, struct batch *b, struct str text, struct err *e)
{
	const struct jval *root = jval_parse(b->arena, text, e);
	if (!root || (root->kind != JVAL_OBJ && root->kind != JVAL_NULL)) return false;
	for (size_t i = 0; i < st->n; i++) {
		const struct jval *v = jmespath_search(st->v[i].j, root, b->arena, e);
		st->v[i].found = v;
		if (v) st->v[i].result = value_of(st, b, v);
	}
	return true;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct err why = ERR_INIT;
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->v[i];
		struct str text;
		if (!stage_input(b, e, c->source, &text)) continue;
		if (st->paths ? read_paths(st, b, text, &why) : read_tree(st, b, text, &why)) {
			for (size_t k = 0; k < st->n; k++)
				if (st->v[k].found) entry_set(b, e, st->v[k].name, st->v[k].result);
		} else if (c->drop_malformed) {
			stage_drop_entry(s, e, STR("json_malformed"));
		}
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

const struct stage_type stage_json = {
	.name = "json",
	.doc = "Extracts values of a JSON object by JMESPath.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.run = run,
};
