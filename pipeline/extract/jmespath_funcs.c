/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions of JMESPath: a table of names, the types of their arguments, and what they do. */
#include "pipeline/extract/jmespath_impl.h"

#include <math.h>
#include <stdlib.h>

/* Types that an argument may have. */
enum {
	NUL = 1 << JVAL_NULL,
	BOOL = 1 << JVAL_BOOL,
	NUM = 1 << JVAL_NUM,
	STRING = 1 << JVAL_STR,
	ARR = 1 << JVAL_ARR,
	OBJ = 1 << JVAL_OBJ,
	ANY = NUL | BOOL | NUM | STRING | ARR | OBJ,
	ARR_NUM = 1 << 8, /* an array of numbers only */
	ARR_STR = 1 << 9,
	EXPR = 1 << 10
};

struct jfunc {
	const char *name;
	size_t n;      /* arguments */
	bool variadic; /* the last type goes on; at least n */
	unsigned types[2];
	const struct jval *(*fn)(struct jrun *r, const struct jarg *v, size_t n);
};

static const struct jval *fail(struct jrun *r, const char *what)
{
	err_set(r->e, ERR_INVALID, "%s", what);
	return NULL;
}

/* ---- numbers ---- */

static const struct jval *f_abs(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)n;
	return jval_num(r->a, fabs(v[0].val->num));
}

static const struct jval *f_ceil(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)n;
	return jval_num(r->a, ceil(v[0].val->num));
}

static const struct jval *f_floor(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)n;
	return jval_num(r->a, floor(v[0].val->num));
}

static double total(const struct jval *v)
{
	double sum = 0;
	for (size_t i = 0; i < v->arr.n; i++) sum += v->arr.v[i]->num;
	return sum;
}

static const struct jval *f_sum(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)n;
	return jval_num(r->a, total(v[0].val));
}

static const struct jval *f_avg(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)n;
	size_t size = v[0].val->arr.n;
	return size ? jval_num(r->a, total(v[0].val) / (double)size) : &jval_null;
}

static const struct jval *f_to_number(struct jrun *r, const struct jarg *v, size_t n)
{
	double num;
	(void)n;
	if (v[0].val->kind == JVAL_NUM) return v[0].val;
	if (v[0].val->kind != JVAL_STR || !str_to_f64(v[0].val->s, &num) || !isfinite(num)) return &jval_null;
	return jval_num(r->a, num);
}

/* ---- strings ---- */

static const struct jval *f_starts_with(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)r, (void)n;
	return jmespath_bool(str_starts(v[0].val->s, v[1].val->s));
}

static const struct jval *f_ends_with(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)r, (void)n;
	return jmespath_bool(str_ends(v[0].val->s, v[1].val->s));
}

static const struct jval *f_join(struct jrun *r, const struct jarg *v, size_t n)
{
	struct buf b = {0};
	const struct jval *list = v[1].val;
	(void)n;
	size_t size = 0;
	for (size_t i = 0; i < list->arr.n; i++) size += list->arr.v[i]->s.n + v[0].val->s.n;
	if (!jmespath_step(r, size / 64)) return NULL;
	for (size_t i = 0; i < list->arr.n; i++) {
		if (i) buf_str(&b, v[0].val->s);
		buf_str(&b, list->arr.v[i]->s);
	}
	const struct jval *out = jval_str(r->a, arena_str(r->a, buf_view(&b)));
	buf_free(&b);
	return out;
}

static const struct jval *f_to_string(struct jrun *r, const struct jarg *v, size_t n)
{
	struct buf b = {0};
	struct json_out o;
	(void)n;
	if (v[0].val->kind == JVAL_STR) return v[0].val;
	json_out_init(&o, &b, true);
	jval_print(v[0].val, &o);
	const struct jval *out = jmespath_step(r, b.n / 64) ? jval_str(r->a, arena_str(r->a, buf_view(&b))) : NULL;
	buf_free(&b);
	return out;
}

static const struct jval *f_type(struct jrun *r, const struct jarg *v, size_t n)
{
	static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
	(void)n;
	return jval_str(r->a, str_c(names[v[0].val->kind]));
}

static const struct jval *f_contains(struct jrun *r, const struct jarg *v, size_t n)
{
	const struct jval *in = v[0].val, *what = v[1].val;
	(void)n;
	if (in->kind == JVAL_STR) return jmespath_bool(what->kind == JVAL_STR && str_find(in->s, what->s) >= 0);
	if (!jmespath_step(r, in->arr.n)) return NULL;
	for (size_t i = 0; i < in->arr.n; i++)
		if (jval_eq(in->arr.v[i], what)) return &jval_true;
	return &jval_false;
}

static const struct jval *f_length(struct jrun *r, const struct jarg *v, size_t n)
{
	const struct jval *x = v[0].val;
	size_t size = x->kind == JVAL_ARR ? x->arr.n : x->kind == JVAL_OBJ ? x->obj.n : 0;
	(void)n;
	for (size_t i = 0; x->kind == JVAL_STR && i < x->s.n; size++) str_rune(x->s, &i);
	return jval_num(r->a, (double)size);
}

/* ---- arrays and objects ---- */

/* An array of n, to be filled. */
static struct jval *full_list(struct jrun *r, size_t n)
{
	struct jval *v = jmespath_list(r, n);
	if (v) v->arr.n = n;
	return v;
}

static const struct jval *reverse_text(struct jrun *r, struct str s)
{
	char *out = arena_alloc(r->a, s.n);
	if (!jmespath_step(r, s.n / 64)) return NULL;
	for (size_t i = 0; i < s.n;) {
		size_t at = i;
		str_rune(s, &i);
		memcpy(out + s.n - i, s.p + at, i - at);
	}
	return jval_str(r->a, str_of(out, s.n));
}

static const struct jval *f_reverse(struct jrun *r, const struct jarg *v, size_t n)
{
	const struct jval *x = v[0].val;
	(void)n;
	if (x->kind == JVAL_STR) return reverse_text(r, x->s);
	struct jval *out = full_list(r, x->arr.n);
	for (size_t i = 0; out && i < x->arr.n; i++) out->arr.v[i] = x->arr.v[x->arr.n - 1 - i];
	return out;
}

static const struct jval *f_keys(struct jrun *r, const struct jarg *v, size_t n)
{
	const struct jval *x = v[0].val;
	struct jval *out = full_list(r, x->obj.n);
	(void)n;
	for (size_t i = 0; out && i < x->obj.n; i++) out->arr.v[i] = jval_str(r->a, x->obj.v[i].name);
	return out;
}

static const struct jval *f_values(struct jrun *r, const struct jarg *v, size_t n)
{
	const struct jval *x = v[0].val;
	struct jval *out = full_list(r, x->obj.n);
	(void)n;
	for (size_t i = 0; out && i < x->obj.n; i++) out->arr.v[i] = x->obj.v[i].val;
	return out;
}

static const struct jval *f_to_array(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)n;
	if (v[0].val->kind == JVAL_ARR) return v[0].val;
	struct jval *out = full_list(r, 1);
	if (out) out->arr.v[0] = v[0].val;
	return out;
}

static const struct jval *f_not_null(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)r;
	for (size_t i = 0; i < n; i++)
		if (v[i].val->kind != JVAL_NULL) return v[i].val;
	return &jval_null;
}

static const struct jval *f_merge(struct jrun *r, const struct jarg *v, size_t n)
{
	struct jval *out = ARENA_NEW(r->a, struct jval);
	size_t room = 0;
	for (size_t i = 0; i < n; i++) room += v[i].val->obj.n;
	out->kind = JVAL_OBJ;
	out->obj.v = arena_alloc(r->a, room * sizeof *out->obj.v);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < v[i].val->obj.n; k++) {
			size_t at = 0;
			const struct jmember *m = &v[i].val->obj.v[k];
			if (!jmespath_step(r, 1 + out->obj.n / 16)) return NULL;
			while (at < out->obj.n && !str_eq(out->obj.v[at].name, m->name)) at++;
			out->obj.v[at] = *m;
			if (at == out->obj.n) out->obj.n++;
		}
	}
	return out;
}

static const struct jval *f_map(struct jrun *r, const struct jarg *v, size_t n)
{
	const struct jval *x = v[1].val;
	struct jval *out = full_list(r, x->arr.n);
	(void)n;
	for (size_t i = 0; out && i < x->arr.n; i++)
		if (!(out->arr.v[i] = jmespath_eval(r, v[0].ref, x->arr.v[i]))) return NULL;
	return out;
}

/* ---- by order ---- */

struct keyed {
	const struct jval *key, *val;
	size_t at; /* keeps equal ones in order */
};

/* Keys are all numbers or all strings. */
static int by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	int c = x->key->kind == JVAL_STR ? str_cmp(x->key->s, y->key->s)
					 : (x->key->num > y->key->num) - (x->key->num < y->key->num);
	return c ? c : (x->at > y->at) - (x->at < y->at);
}

/* The elements with their keys: what ref gives, else themselves. */
static struct keyed *keyed(struct jrun *r, const struct jval *list, const struct jnode *ref)
{
	size_t n = list->arr.n;
	struct keyed *v = arena_alloc(r->a, (n + 1) * sizeof *v);
	if (!jmespath_step(r, n * 4)) return NULL;
	for (size_t i = 0; i < n; i++) {
		const struct jval *x = list->arr.v[i], *key = ref ? jmespath_eval(r, ref, x) : x;
		if (!key) return NULL;
		v[i] = (struct keyed){key, x, i};
		if ((key->kind != JVAL_NUM && key->kind != JVAL_STR) || key->kind != v[0].key->kind) {
			fail(r, "Invalid type, must be all numbers or all strings");
			return NULL;
		}
	}
	return v;
}

static const struct jval *sorted(struct jrun *r, const struct jval *list, const struct jnode *ref)
{
	struct keyed *v = keyed(r, list, ref);
	struct jval *out = v ? full_list(r, list->arr.n) : NULL;
	if (!out) return NULL;
	qsort(v, list->arr.n, sizeof *v, by_key);
	for (size_t i = 0; i < list->arr.n; i++) out->arr.v[i] = v[i].val;
	return out;
}

/* The first of the largest (sign 1) or smallest (-1). */
static const struct jval *extreme(struct jrun *r, const struct jval *list, const struct jnode *ref, int sign)
{
	const struct keyed *v = keyed(r, list, ref);
	if (!v) return NULL;
	if (!list->arr.n) return &jval_null;
	size_t best = 0;
	for (size_t i = 1; i < list->arr.n; i++) {
		struct keyed x = v[i], y = v[best];
		x.at = y.at = 0;
		if (by_key(&x, &y) * sign > 0) best = i;
	}
	return v[best].val;
}

static const struct jval *f_sort(struct jrun *r, const struct jarg *v, size_t n)
{
	return (void)n, sorted(r, v[0].val, NULL);
}
static const struct jval *f_sort_by(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)n;
	return sorted(r, v[0].val, v[1].ref);
}
static const struct jval *f_max(struct jrun *r, const struct jarg *v, size_t n)
{
	return (void)n, extreme(r, v[0].val, NULL, 1);
}
static const struct jval *f_min(struct jrun *r, const struct jarg *v, size_t n)
{
	return (void)n, extreme(r, v[0].val, NULL, -1);
}
static const struct jval *f_max_by(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)n;
	return extreme(r, v[0].val, v[1].ref, 1);
}
static const struct jval *f_min_by(struct jrun *r, const struct jarg *v, size_t n)
{
	(void)n;
	return extreme(r, v[0].val, v[1].ref, -1);
}

static const struct jfunc funcs[] = {
	{"abs", 1, false, {NUM}, f_abs},
	{"avg", 1, false, {ARR_NUM}, f_avg},
	{"ceil", 1, false, {NUM}, f_ceil},
	{"contains", 2, false, {ARR | STRING, ANY}, f_contains},
	{"ends_with", 2, false, {STRING, STRING}, f_ends_with},
	{"floor", 1, false, {NUM}, f_floor},
	{"join", 2, false, {STRING, ARR_STR}, f_join},
	{"keys", 1, false, {OBJ}, f_keys},
	{"length", 1, false, {STRING | ARR | OBJ}, f_length},
	{"map", 2, false, {EXPR, ARR}, f_map},
	{"max", 1, false, {ARR_NUM | ARR_STR}, f_max},
	{"max_by", 2, false, {ARR, EXPR}, f_max_by},
	{"merge", 1, true, {OBJ}, f_merge},
	{"min", 1, false, {ARR_NUM | ARR_STR}, f_min},
	{"min_by", 2, false, {ARR, EXPR}, f_min_by},
	{"not_null", 1, true, {ANY}, f_not_null},
	{"reverse", 1, false, {ARR | STRING}, f_reverse},
	{"sort", 1, false, {ARR_NUM | ARR_STR}, f_sort},
	{"sort_by", 2, false, {ARR, EXPR}, f_sort_by},
	{"starts_with", 2, false, {STRING, STRING}, f_starts_with},
	{"sum", 1, false, {ARR_NUM}, f_sum},
	{"to_array", 1, false, {ANY}, f_to_array},
	{"to_number", 1, false, {ANY}, f_to_number},
	{"to_string", 1, false, {ANY}, f_to_string},
	{"type", 1, false, {ANY}, f_type},
	{"values", 1, false, {OBJ}, f_values},
};

const struct jfunc *jmespath_func(struct str name)
{
	for (size_t i = 0; i < sizeof funcs / sizeof *funcs; i++)
		if (str_eqc(name, funcs[i].name)) return &funcs[i];
	return NULL;
}

static bool all_of(const struct jval *v, enum jval_kind kind)
{
	for (size_t i = 0; i < v->arr.n; i++)
		if (v->arr.v[i]->kind != kind) return false;
	return true;
}

static bool fits(const struct jarg *arg, unsigned types)
{
	if (arg->ref) return types & EXPR;
	if (types & 1u << arg->val->kind) return true;
	if (arg->val->kind != JVAL_ARR) return false;
	return (types & ARR_NUM && all_of(arg->val, JVAL_NUM)) || (types & ARR_STR && all_of(arg->val, JVAL_STR));
}

const struct jval *jmespath_call(struct jrun *r, const struct jfunc *f, const struct jarg *v, size_t n)
{
	if (n < f->n || (n > f->n && !f->variadic)) return fail(r, "incorrect number of args");
	for (size_t i = 0; i < n; i++) {
		if (fits(&v[i], f->types[i < f->n ? i : f->n - 1])) continue;
		err_set(r->e, ERR_INVALID, "Invalid type for: %s()", f->name);
		return NULL;
	}
	return f->fn(r, v, n);
}
