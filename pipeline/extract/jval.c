/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/jval.h"

#include "common/map.h"

const struct jval jval_null = {.kind = JVAL_NULL};
const struct jval jval_true = {.kind = JVAL_BOOL, .b = true};
const struct jval jval_false = {.kind = JVAL_BOOL};

const struct jval *jval_str(struct arena *a, struct str s)
{
	struct jval *v = ARENA_NEW(a, struct jval);
	v->kind = JVAL_STR;
	v->s = s;
	return v;
}

const struct jval *jval_num(struct arena *a, double num)
{
	struct jval *v = ARENA_NEW(a, struct jval);
	v->kind = JVAL_NUM;
	v->num = num;
	return v;
}

static struct str text_of(struct arena *a, const struct json *j)
{
	if (!j->escaped) return j->text;
	char *p = arena_alloc(a, j->text.n);
	return str_of(p, json_unescape(j->text, p));
}

/* Keeps the last of equal names, at the place of the first. */
static void remove_duplicates(struct jval *o)
{
	struct map seen = {0};
	size_t n = 0;
	for (size_t i = 0; i < o->obj.n; i++) {
		struct jmember *m = map_get(&seen, o->obj.v[i].name);
		if (m) {
			m->val = o->obj.v[i].val;
			continue;
		}
		o->obj.v[n] = o->obj.v[i];
		map_put(&seen, o->obj.v[n].name, &o->obj.v[n]);
		n++;
	}
	o->obj.n = n;
	map_free(&seen);
}

static bool has_duplicates(const struct jval *o)
{
	if (o->obj.n > 16) return true; /* may have: the table finds out */
	for (size_t i = 1; i < o->obj.n; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(o->obj.v[i].name, o->obj.v[k].name)) return true;
	return false;
}

static const struct jval *read_object(struct arena *a, struct json *j)
{
	struct jval *o = ARENA_NEW(a, struct jval);
	size_t cap = 0;
	o->kind = JVAL_OBJ;
	for (enum json_tok t; (t = json_next(j)) != JSON_OBJ_CLOSE;) {
		if (t != JSON_KEY) return NULL;
		struct str name = text_of(a, j);
		const struct jval *val = jval_read(a, j, json_next(j));
		if (!val) return NULL;
		*ARENA_PUSH(a, o->obj.v, o->obj.n, cap) = (struct jmember){name, val};
	}
	if (has_duplicates(o)) remove_duplicates(o);
	return o;
}

static const struct jval *read_array(struct arena *a, struct json *j)
{
	struct jval *o = ARENA_NEW(a, struct jval);
	size_t cap = 0;
	o->kind = JVAL_ARR;
	for (enum json_tok t; (t = json_next(j)) != JSON_ARR_CLOSE;) {
		const struct jval *val = jval_read(a, j, t);
		if (!val) return NULL;
		*ARENA_PUSH(a, o->arr.v, o->arr.n, cap) = val;
	}
	return o;
}

const struct jval *jval_read(struct arena *a, struct json *j, enum json_tok t)
{
	double num;
	switch (t) {
	case JSON_OBJ_OPEN: return read_object(a, j);
	case JSON_ARR_OPEN: return read_array(a, j);
	case JSON_STRING: return jval_str(a, text_of(a, j));
	case JSON_NUMBER:
		if (str_to_f64(j->text, &num)) return jval_num(a, num);
		err_set(j->err, ERR_INVALID, "number %.*s is out of range", STR_ARG(j->text));
		return NULL;
	case JSON_TRUE: return &jval_true;
	case JSON_FALSE: return &jval_false;
	case JSON_NULL: return &jval_null;
	default: return NULL;
	}
}

const struct jval *jval_parse(struct arena *a, struct str text, struct err *e)
{
	struct json j;
	json_init(&j, text, e);
	const struct jval *v = jval_read(a, &j, json_next(&j));
	return v && json_next(&j) == JSON_END ? v : NULL;
}

const struct jval *jval_get(const struct jval *obj, struct str name)
{
	for (size_t i = 0; obj->kind == JVAL_OBJ && i < obj->obj.n; i++)
		if (str_eq(obj->obj.v[i].name, name)) return obj->obj.v[i].val;
	return NULL;
}

bool jval_eq(const struct jval *a, const struct jval *b)
{
	if (a->kind != b->kind) return false;
	switch (a->kind) {
	case JVAL_NULL: return true;
	case JVAL_BOOL: return a->b == b->b;
	case JVAL_NUM: return a->num == b->num;
	case JVAL_STR: return str_eq(a->s, b->s);
	case JVAL_ARR:
		for (size_t i = 0; a->arr.n == b->arr.n && i < a->arr.n; i++)
			if (!jval_eq(a->arr.v[i], b->arr.v[i])) return false;
		return a->arr.n == b->arr.n;
	case JVAL_OBJ:
		for (size_t i = 0; a->obj.n == b->obj.n && i < a->obj.n; i++) {
			const struct jval *other = jval_get(b, a->obj.v[i].name);
			if (!other || !jval_eq(a->obj.v[i].val, other)) return false;
		}
		return a->obj.n == b->obj.n;
	}
	return false;
}

void jval_print(const struct jval *v, struct json_out *o)
{
	switch (v->kind) {
	case JVAL_NULL: json_put_null(o); break;
	case JVAL_BOOL: json_put_bool(o, v->b); break;
	case JVAL_NUM: json_put_f64(o, v->num); break;
	case JVAL_STR: json_put_str(o, v->s); break;
	case JVAL_ARR:
		json_open(o, '[');
		for (size_t i = 0; i < v->arr.n; i++) jval_print(v->arr.v[i], o);
		json_close(o, ']');
		break;
	case JVAL_OBJ:
		json_open(o, '{');
		for (size_t i = 0; i < v->obj.n; i++) {
			json_key(o, v->obj.v[i].name);
			jval_print(v->obj.v[i].val, o);
		}
		json_close(o, '}');
		break;
	}
}
