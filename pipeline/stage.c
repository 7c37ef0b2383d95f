/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/stage.h"

void reads_add(struct reads *r, struct str name)
{
	if (name.n && !reads_has(r, name)) *ARENA_PUSH(r->a, r->v, r->n, r->cap) = name;
}

bool reads_has(const struct reads *r, struct str name)
{
	for (size_t i = 0; !r->all && i < r->n; i++)
		if (str_eq(r->v[i], name)) return true;
	return r->all;
}

struct value stage_value(struct arena *a, const struct jval *v, struct buf *scratch)
{
	struct json_out o;
	switch (v->kind) {
	case JVAL_NULL: break;
	case JVAL_BOOL: return (struct value){.kind = VALUE_BOOL, .num = v->b};
	case JVAL_NUM: return (struct value){.kind = VALUE_NUM, .num = v->num};
	case JVAL_STR: return (struct value){.kind = VALUE_STR, .s = v->s};
	case JVAL_ARR:
	case JVAL_OBJ:
		buf_clear(scratch);
		json_out_init(&o, scratch, true);
		jval_print(v, &o);
		return (struct value){.kind = VALUE_STR, .s = arena_str(a, buf_view(scratch))};
	}
	return (struct value){.kind = VALUE_NULL};
}

static void warn(void *ud, const char *text)
{
	const struct pipeline_env *env = ud;
	if (env->warn) env->warn(env->ud, text);
}

struct conf_ctx stage_conf_ctx(const struct stage *s)
{
	return (struct conf_ctx){
		.arena = s->arena, .file = s->env->file, .warn = warn, .ud = (void *)s->env, .unplaced = true};
}

static const struct yaml *value_at(const struct yaml *body, const char *key)
{
	for (size_t i = 0; key && body->kind == YAML_MAP && i < body->n; i++)
		if (str_ieq(body->pairs[i].key->text, str_c(key))) return body->pairs[i].val;
	return body;
}

bool stage_refuse(const struct yaml *body, const char *key, struct err *e, const char *fmt, ...)
{
	const struct yaml *at = value_at(body, key);
	va_list ap;
	va_start(ap, fmt);
	err_vset(e, ERR_INVALID, fmt, ap);
	va_end(ap);
	e->line = at->line;
	e->col = at->col;
	return false;
}

struct regex *stage_compile(const struct yaml *body, const char *key, struct str pattern, struct err *e)
{
	struct regex *re = regex_new(pattern, 0, e);
	if (re) return re;
	const struct yaml *at = value_at(body, key);
	e->line = at->line;
	e->col = at->col;
	err_wrap(e, "%s", key);
	return NULL;
}

void stage_warn(const struct stage *s, const struct yaml *body, const char *key, const char *text)
{
	struct err e = ERR_INIT;
	const struct yaml *at = value_at(body, key);
	err_set(&e, ERR_INVALID, "%s:%d:%d: stage %s: %s: %s", s->env->file, at->line, at->col, s->type->name, key,
		text);
	if (s->env->warn) s->env->warn(s->env->ud, e.msg);
}

bool stage_label_sources(const struct yaml *body, struct labels *map, bool (*valid)(struct str name), struct err *e)
{
	for (size_t i = 0; i < map->n; i++) {
		struct label *l = &map->v[i];
		if (!valid(l->name))
			return stage_refuse(body, l->name.p, e,
					    "invalid label name \"%.*s\"; it must match [a-zA-Z_][a-zA-Z0-9_]*",
					    STR_ARG(l->name));
		if (!l->value.n) l->value = l->name;
	}
	return true;
}
