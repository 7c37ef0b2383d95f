/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/jmespath_impl.h"

bool jmespath_step(struct jrun *r, size_t n)
{
	r->steps += n;
	if (r->steps <= JMESPATH_STEPS) return true;
	return err_set(r->e, ERR_TOO_LARGE, "the expression takes more than %d steps on this value", JMESPATH_STEPS);
}

static bool is_false(const struct jval *v)
{
	switch (v->kind) {
	case JVAL_NULL: return true;
	case JVAL_BOOL: return !v->b;
	case JVAL_STR: return !v->s.n;
	case JVAL_ARR: return !v->arr.n;
	case JVAL_OBJ: return !v->obj.n;
	case JVAL_NUM: break;
	}
	return false;
}

struct jval *jmespath_list(struct jrun *r, size_t room)
{
	if (!jmespath_step(r, room)) return NULL;
	struct jval *v = ARENA_NEW(r->a, struct jval);
	v->kind = JVAL_ARR;
	v->arr.v = arena_alloc(r->a, room * sizeof *v->arr.v);
	return v;
}

static const struct jval *compare(const struct jnode *n, const struct jval *a, const struct jval *b)
{
	if (n->cmp == JCMP_EQ || n->cmp == JCMP_NE) return jmespath_bool(jval_eq(a, b) == (n->cmp == JCMP_EQ));
	if (a->kind != JVAL_NUM || b->kind != JVAL_NUM) return &jval_null;
	switch (n->cmp) {
	case JCMP_LT: return jmespath_bool(a->num < b->num);
	case JCMP_LE: return jmespath_bool(a->num <= b->num);
	case JCMP_GT: return jmespath_bool(a->num > b->num);
	default: return jmespath_bool(a->num >= b->num);
	}
}

static const struct jval *element(const struct jval *v, int64_t i)
{
	if (v->kind != JVAL_ARR) return &jval_null;
	if (i < 0) i += (int64_t)v->arr.n;
	return i >= 0 && i < (int64_t)v->arr.n ? v->arr.v[i] : &jval_null;
}

/* An end of a slice, within -1 … n as the direction of the walk has it. */
static int64_t clamp(int64_t at, int64_t n, bool back)
{
	if (at < 0) at += n;
	if (at < 0) return back ? -1 : 0;
	if (at >= n) return back ? n - 1 : n;
	return at;
}

static const struct jval *slice(struct jrun *r, const struct jnode *n, const struct jval *v)
{
	if (v->kind != JVAL_ARR) return &jval_null;
	int64_t size = (int64_t)v->arr.n, step = n->given[2] ? n->slice[2] : 1;
	if (!step) {
		err_set(r->e, ERR_INVALID, "Invalid slice, step cannot be 0");
		return NULL;
	}
	bool back = step < 0;
	int64_t from = n->given[0] ? clamp(n->slice[0], size, back) : back ? size - 1 : 0;
	int64_t to = n->given[1] ? clamp(n->slice[1], size, back) : back ? -1 : size;
	struct jval *out = jmespath_list(r, v->arr.n);
	if (!out) return NULL;
	if (step > size) step = size + 1; /* no overflow below */
	if (step < -size) step = -size - 1;
	for (int64_t i = from; back ? i > to : i < to; i += step) out->arr.v[out->arr.n++] = v->arr.v[i];
	return out;
}

static const struct jval *flatten(struct jrun *r, const struct jval *v)
{
	if (v->kind != JVAL_ARR) return &jval_null;
	size_t n = 0;
	for (size_t i = 0; i < v->arr.n; i++) n += v->arr.v[i]->kind == JVAL_ARR ? v->arr.v[i]->arr.n : 1;
	struct jval *out = jmespath_list(r, n);
	for (size_t i = 0; out && i < v->arr.n; i++) {
		const struct jval *x = v->arr.v[i];
		if (x->kind != JVAL_ARR)
			out->arr.v[out->arr.n++] = x;
		else
			for (size_t k = 0; k < x->arr.n; k++) out->arr.v[out->arr.n++] = x->arr.v[k];
	}
	return out;
}

/* b of each element (or value) of what a gives, for which c holds; nulls are left out. */
static const struct jval *project(struct jrun *r, const struct jnode *n, const struct jval *v)
{
	bool values = n->kind == JNODE_PROJECT_VALUES;
	v = jmespath_eval(r, n->a, v);
	if (!v) return NULL;
	if (v->kind != (values ? JVAL_OBJ : JVAL_ARR)) return &jval_null;
	size_t size = values ? v->obj.n : v->arr.n;
	struct jval *out = jmespath_list(r, size);
	for (size_t i = 0; out && i < size; i++) {
		const struct jval *x = values ? v->obj.v[i].val : v->arr.v[i];
		if (n->c) {
			const struct jval *holds = jmespath_eval(r, n->c, x);
			if (!holds) return NULL;
			if (is_false(holds)) continue;
		}
		x = jmespath_eval(r, n->b, x);
		if (!x) return NULL;
		if (x->kind != JVAL_NULL) out->arr.v[out->arr.n++] = x;
	}
	return out;
}

static const struct jval *make_list(struct jrun *r, const struct jnode *n, const struct jval *v)
{
	if (v->kind == JVAL_NULL) return v;
	struct jval *out = jmespath_list(r, n->n);
	for (size_t i = 0; out && i < n->n; i++) {
		const struct jval *x = jmespath_eval(r, n->kids[i], v);
		if (!x) return NULL;
		out->arr.v[out->arr.n++] = x;
	}
	return out;
}

static const struct jval *make_hash(struct jrun *r, const struct jnode *n, const struct jval *v)
{
	if (v->kind == JVAL_NULL) return v;
	struct jval *out = ARENA_NEW(r->a, struct jval);
	out->kind = JVAL_OBJ;
	out->obj.v = arena_alloc(r->a, n->n * sizeof *out->obj.v);
	for (size_t i = 0; i < n->n; i++) {
		const struct jval *x = jmespath_eval(r, n->kids[i], v);
		size_t at = 0;
		if (!x) return NULL;
		while (at < out->obj.n && !str_eq(out->obj.v[at].name, n->keys[i])) at++;
		out->obj.v[at] = (struct jmember){n->keys[i], x};
		if (at == out->obj.n) out->obj.n++;
	}
	return out;
}

static const struct jval *call(struct jrun *r, const struct jnode *n, const struct jval *v)
{
	struct jarg *args = arena_alloc(r->a, n->n * sizeof *args);
	if (!n->func) {
		err_set(r->e, ERR_INVALID, "unknown function: %.*s", STR_ARG(n->name));
		return NULL;
	}
	for (size_t i = 0; i < n->n; i++) {
		const struct jnode *kid = n->kids[i];
		args[i].ref = kid->kind == JNODE_EXPREF ? kid->a : NULL;
		args[i].val = args[i].ref ? &jval_null : jmespath_eval(r, kid, v);
		if (!args[i].val) return NULL;
	}
	return jmespath_call(r, n->func, args, n->n);
}

static const struct jval *either(struct jrun *r, const struct jnode *n, const struct jval *v)
{
	const struct jval *left = jmespath_eval(r, n->a, v);
	if (!left || is_false(left) != (n->kind == JNODE_OR)) return left;
	return jmespath_eval(r, n->b, v);
}

static const struct jval *both(struct jrun *r, const struct jnode *n, const struct jval *v)
{
	const struct jval *a = jmespath_eval(r, n->a, v), *b = a ? jmespath_eval(r, n->b, v) : NULL;
	return b ? compare(n, a, b) : NULL;
}

/* NULL: an error. Depth is that of the expression. */
const struct jval *jmespath_eval(struct jrun *r, const struct jnode *n, const struct jval *v)
{
	const struct jval *x;
	if (!jmespath_step(r, 1)) return NULL;
	switch (n->kind) {
	case JNODE_IDENTITY: return v;
	case JNODE_FIELD: x = jval_get(v, n->name); return x ? x : &jval_null;
	case JNODE_LITERAL: return n->literal;
	case JNODE_SUB: x = jmespath_eval(r, n->a, v); return x ? jmespath_eval(r, n->b, x) : NULL;
	case JNODE_INDEX: return element(v, n->slice[0]);
	case JNODE_SLICE: return slice(r, n, v);
	case JNODE_FLATTEN: x = jmespath_eval(r, n->a, v); return x ? flatten(r, x) : NULL;
	case JNODE_PROJECT:
	case JNODE_PROJECT_VALUES:
	case JNODE_FILTER: return project(r, n, v);
	case JNODE_COMPARE: return both(r, n, v);
	case JNODE_OR:
	case JNODE_AND: return either(r, n, v);
	case JNODE_NOT: x = jmespath_eval(r, n->a, v); return x ? jmespath_bool(is_false(x)) : NULL;
	case JNODE_LIST: return make_list(r, n, v);
	case JNODE_HASH: return make_hash(r, n, v);
	case JNODE_CALL: return call(r, n, v);
	case JNODE_EXPREF: break;
	}
	err_set(r->e, ERR_INVALID, "&expression is only an argument of a function");
	return NULL;
}

const struct jval *jmespath_search(const struct jmespath *j, const struct jval *root, struct arena *a, struct err *e)
{
	struct jrun r = {.a = a, .e = e};
	return jmespath_eval(&r, j->root, root);
}
