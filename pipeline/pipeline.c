/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/pipeline.h"

#include "pipeline/stage.h"

#include <stdlib.h>

#define NESTING_MAX 16

#define S(name) extern const struct stage_type stage_##name;
#include "pipeline/stages.def"
#undef S

static const struct stage_type *const types[] = {
#define S(name) &stage_##name,
#include "pipeline/stages.def"
#undef S
};
#define TYPES (sizeof types / sizeof *types)

struct pipeline {
	const struct pipeline_env *env;
	struct arena arena;
	struct stage *v;
	size_t n;
	unsigned depth;
};

/* "": the dialect has no such stage. */
static const char *type_name(const struct stage_type *t, enum pipeline_dialect dialect)
{
	return dialect == PIPELINE_ALLOY && t->alloy_name ? t->alloy_name : t->name;
}

const struct stage_info *pipeline_stages(size_t *n)
{
	static struct stage_info info[TYPES];
	for (size_t i = 0; i < TYPES; i++) {
		const struct stage_type *t = types[i];
		const char *alloy_name = type_name(t, PIPELINE_ALLOY);
		info[i] = (struct stage_info){t->name, t->doc, t->conf, t->bare, *alloy_name ? alloy_name : NULL,
					      t->alloy};
	}
	*n = TYPES;
	return info;
}

static const struct stage_type *find_type(struct str name, enum pipeline_dialect dialect)
{
	for (size_t i = 0; name.n && i < TYPES; i++)
		if (str_eqc(name, type_name(types[i], dialect))) return types[i];
	return NULL;
}

static bool unknown_type(const struct yaml *key, enum pipeline_dialect dialect, struct err *e)
{
	const char *names[TYPES];
	for (size_t i = 0; i < TYPES; i++) names[i] = type_name(types[i], dialect);
	const char *near = conf_nearest(key->text, names, TYPES);
	return err_at(e, ERR_INVALID, key->line, key->col, "unknown pipeline stage \"%.*s\"%s%s%s", STR_ARG(key->text),
		      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* ---- making stages: errors have their place in e; pipeline_new puts it into the text ---- */

static bool sets_member(const struct conf_field *v, size_t n, size_t off)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].off == off) return true;
	return false;
}

/* The stage's table as Alloy has it: with its own rows, and as strict as Alloy is. */
static const struct conf_table *alloy_table(const struct stage *s)
{
	const struct conf_table *base = s->type->conf, *own = s->type->alloy;
	struct conf_table *t = ARENA_NEW(s->arena, struct conf_table);
	struct conf_field *v = NULL;
	size_t n = 0, cap = 0;
	for (const struct conf_field *f = own ? own->fields : NULL; f && f->key; f++)
		*ARENA_PUSH(s->arena, v, n, cap) = *f;
	size_t n_own = n;
	for (const struct conf_field *f = base->fields; f->key; f++)
		if (!sets_member(v, n_own, f->off)) *ARENA_PUSH(s->arena, v, n, cap) = *f;
	*ARENA_PUSH(s->arena, v, n, cap) = (struct conf_field){0};
	*t = *base;
	t->fields = v;
	t->lenient = t->any_case = false;
	t->typing = CONF_CONVERTIBLE;
	return t;
}

static bool decode_body(struct stage *s, const struct yaml *key, const struct yaml *body, struct err *e)
{
	const struct conf_table *t = s->type->conf;
	struct conf_ctx ctx = stage_conf_ctx(s);
	if (!t) return true;
	if (stage_is_alloy(s)) t = alloy_table(s);
	s->conf = arena_zalloc(s->arena, t->size);
	conf_defaults(t, s->conf, s->arena);
	if (!s->type->bare || stage_is_alloy(s)) return conf_decode(t, body, s->conf, &ctx, e);
	if (yaml_is_null(body))
		return err_at(e, ERR_INVALID, key->line, key->col, "it needs a value: %s", t->fields[0].doc);
	return conf_decode_bare(t, body, s->conf, &ctx, e);
}

static bool make_stage(struct pipeline *p, const struct yaml *item, struct stage *s, struct err *e)
{
	if (item->kind != YAML_MAP)
		return err_at(e, ERR_INVALID, item->line, item->col,
			      "a pipeline stage must be a mapping such as `- regex: {…}`, not %s",
			      yaml_kind_name(item));
	if (item->n != 1)
		return err_at(
			e, ERR_INVALID, item->line, item->col,
			"a pipeline stage must have only one key, not %zu; put each stage into an item of its own",
			item->n);
	const struct yaml *key = item->pairs[0].key, *body = item->pairs[0].val;
	const struct stage_type *t = find_type(key->text, p->env->dialect);
	if (!t) return unknown_type(key, p->env->dialect, e);
	*s = (struct stage){.type = t, .env = p->env, .arena = &p->arena, .depth = p->depth};
	if (decode_body(s, key, body, e) && (!t->make || t->make(s, body, e))) return true;
	if (!e->line) e->line = body->line, e->col = body->col;
	return err_wrap(e, "stage %s", type_name(t, p->env->dialect));
}

static struct pipeline *build(const struct yaml *stages, const struct pipeline_env *env, unsigned depth, struct err *e)
{
	struct pipeline *p = mem_zalloc(sizeof *p);
	p->env = env;
	p->depth = depth;
	arena_init(&p->arena, 0);
	if (yaml_is_null(stages)) return p;
	bool ok = stages->kind == YAML_LIST;
	if (!ok)
		err_at(e, ERR_INVALID, stages->line, stages->col, "pipeline stages must be a list, not %s",
		       yaml_kind_name(stages));
	if (ok && depth > NESTING_MAX)
		ok = err_at(e, ERR_INVALID, stages->line, stages->col, "stages are nested more than %d deep",
			    NESTING_MAX);
	p->v = ok ? arena_zalloc(&p->arena, stages->n * sizeof *p->v) : NULL;
	for (size_t i = 0; ok && i < stages->n; i++) {
		ok = make_stage(p, stages->items[i], &p->v[i], e);
		if (ok || p->v[i].state) p->n++; /* fini() sees whatever make() left behind */
	}
	if (ok) return p;
	pipeline_free(p);
	return NULL;
}

void pipeline_plan(struct pipeline *p, struct reads *r)
{
	for (size_t i = p->n; i-- > 0;)
		if (p->v[i].type->plan) p->v[i].type->plan(&p->v[i], r);
}

struct pipeline *pipeline_new(const struct yaml *stages, const struct pipeline_env *env, struct err *e)
{
	struct pipeline *p = build(stages, env, 1, e);
	if (!p) {
		err_wrap(e, "%s:%d:%d", env->file, e->line, e->col);
		return NULL;
	}
	struct reads r = {.a = &p->arena, .all = env->inspect != NULL}; /* inspect: everything is looked at */
	pipeline_plan(p, &r);
	return p;
}

struct pipeline *pipeline_nested(const struct stage *parent, const struct yaml *stages, struct err *e)
{
	return build(stages, parent->env, parent->depth + 1, e);
}

void pipeline_free(struct pipeline *p)
{
	if (!p) return;
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].type->fini && p->v[i].state) p->v[i].type->fini(&p->v[i]);
	arena_free(&p->arena);
	free(p);
}

void stage_drop_entry(struct stage *s, struct entry *e, struct str reason)
{
	e->dropped = true;
	if (s->env->dropped) s->env->dropped(s->env->ud, e, reason);
}

static void run_inspected(struct stage *s, struct batch *b)
{
	struct batch before = {.arena = b->arena};
	batch_append(&before, b);
	for (size_t i = 0; i < before.n; i++) { /* values written in place must not show in the copy */
		struct entry *e = &before.v[i];
		struct field *copy = arena_alloc(b->arena, (e->nextracted + 1) * sizeof *copy);
		if (e->nextracted) memcpy(copy, e->extracted, e->nextracted * sizeof *copy);
		e->extracted = copy;
		e->labels = labels_copy(b->arena, &e->labels);
	}
	s->type->run(s, b);
	for (size_t i = 0; i < b->n && i < before.n; i++)
		s->env->inspect(s->env->ud, s->type->name, &before.v[i], &b->v[i]);
}

static void run_from(struct pipeline *p, size_t first, struct batch *b)
{
	for (size_t i = first; i < p->n && b->n; i++) {
		struct stage *s = &p->v[i];
		if (p->env->inspect && s->type->simple)
			run_inspected(s, b);
		else
			s->type->run(s, b);
		batch_compact(b);
	}
}

void pipeline_run(struct pipeline *p, struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) entry_begin(b, &b->v[i], false);
	run_from(p, 0, b);
}

void pipeline_run_nested(struct pipeline *p, struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) entry_begin(b, &b->v[i], true);
	run_from(p, 0, b);
}

void pipeline_run_rest(struct pipeline *p, struct batch *b) { run_from(p, 0, b); }

bool pipeline_full(const struct pipeline *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].type->full && p->v[i].type->full(&p->v[i])) return true;
	return false;
}

int64_t pipeline_deadline(const struct pipeline *p)
{
	int64_t at = INT64_MAX;
	for (size_t i = 0; i < p->n; i++) {
		int64_t d = p->v[i].type->deadline ? p->v[i].type->deadline(&p->v[i]) : INT64_MAX;
		if (d < at) at = d;
	}
	return at;
}

void pipeline_tick(struct pipeline *p, struct batch *b)
{
	int64_t now = clock_mono(p->env->clock);
	for (size_t i = 0; i < p->n; i++) {
		struct stage *s = &p->v[i];
		if (!s->type->deadline || s->type->deadline(s) > now) continue;
		struct batch due = {.arena = b->arena};
		s->type->tick(s, &due, now);
		run_from(p, i + 1, &due);
		batch_append(b, &due);
	}
}

void pipeline_flush(struct pipeline *p, struct batch *b)
{
	for (size_t i = 0; i < p->n; i++) {
		struct stage *s = &p->v[i];
		if (!s->type->flush) continue;
		struct batch kept = {.arena = b->arena};
		s->type->flush(s, &kept);
		run_from(p, i + 1, &kept);
		batch_append(b, &kept);
	}
}
