/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Template functions over lists, maps, JSON and digests, and those that choose between values. */
#include "common/digest.h"
#include "common/json.h"
#include "pipeline/template_funcs.h"

#include <stdio.h>
#include <stdlib.h>

static bool give_str(struct tval *out, struct str s)
{
	*out = TVAL_OF_STR(s);
	return true;
}

/* ---- choosing ---- */

TEMPLATE_FN(template_fn_default)
{
	(void)e;
	*out = argc < 2 || tval_empty(r, &argv[1]) ? argv[0] : argv[1];
	return true;
}

TEMPLATE_FN(template_fn_empty)
{
	(void)argc, (void)e;
	*out = TVAL_OF_BOOL(tval_empty(r, &argv[0]));
	return true;
}

TEMPLATE_FN(template_fn_coalesce)
{
	(void)e;
	*out = TVAL_NOTHING;
	for (size_t i = 0; i < argc && out->kind == TVAL_NIL; i++)
		if (!tval_empty(r, &argv[i])) *out = argv[i];
	return true;
}

TEMPLATE_FN(template_fn_ternary)
{
	(void)r, (void)argc, (void)e;
	*out = argv[2].b ? argv[0] : argv[1];
	return true;
}

/* ---- lists ---- */

/* A function that takes a list says so when it gets something else. */
static bool need_list(const struct tval *v, const char *fn, struct err *e)
{
	return v->kind == TVAL_LIST || err_set(e, ERR_INVALID, "Cannot find %s on type %s", fn, tval_type(v));
}

TEMPLATE_FN(template_fn_list)
{
	(void)e;
	*out = tval_list(r, argv, argc);
	return true;
}

TEMPLATE_FN(template_fn_append)
{
	(void)argc;
	if (!need_list(&argv[0], "append", e)) return false;
	size_t n = argv[0].list->n;
	struct tval *v = arena_alloc(r->a, (n + 1) * sizeof *v);
	memcpy(v, argv[0].list->v, n * sizeof *v);
	v[n] = argv[1];
	*out = tval_list(r, v, n + 1);
	return true;
}

TEMPLATE_FN(template_fn_first)
{
	(void)r, (void)argc;
	if (!need_list(&argv[0], "first", e)) return false;
	*out = argv[0].list->n ? argv[0].list->v[0] : TVAL_NOTHING;
	return true;
}

TEMPLATE_FN(template_fn_last)
{
	(void)r, (void)argc;
	if (!need_list(&argv[0], "last", e)) return false;
	*out = argv[0].list->n ? argv[0].list->v[argv[0].list->n - 1] : TVAL_NOTHING;
	return true;
}

TEMPLATE_FN(template_fn_rest)
{
	(void)argc;
	if (!need_list(&argv[0], "rest", e)) return false;
	size_t n = argv[0].list->n;
	*out = n ? tval_list(r, argv[0].list->v + 1, n - 1) : TVAL_NOTHING;
	return true;
}

TEMPLATE_FN(template_fn_initial)
{
	(void)argc;
	if (!need_list(&argv[0], "initial", e)) return false;
	size_t n = argv[0].list->n;
	*out = n ? tval_list(r, argv[0].list->v, n - 1) : TVAL_NOTHING;
	return true;
}

TEMPLATE_FN(template_fn_reverse)
{
	(void)argc;
	if (!need_list(&argv[0], "reverse", e)) return false;
	*out = tval_list(r, argv[0].list->v, argv[0].list->n);
	for (size_t i = 0, n = out->list->n; i < n; i++) out->list->v[i] = argv[0].list->v[n - 1 - i];
	return true;
}

/* Equal as values of the same type; lists and maps by what they print. */
static bool same(struct template_run *r, const struct tval *a, const struct tval *b)
{
	return a->kind == b->kind && str_eq(tval_to_str(r, a), tval_to_str(r, b));
}

static bool holds(struct template_run *r, const struct tval *v, size_t n, const struct tval *item)
{
	for (size_t i = 0; i < n; i++)
		if (same(r, &v[i], item)) return true;
	return false;
}

TEMPLATE_FN(template_fn_has)
{
	(void)argc;
	*out = TVAL_OF_BOOL(false);
	if (argv[1].kind == TVAL_NIL) return true;
	if (!need_list(&argv[1], "has", e)) return false;
	*out = TVAL_OF_BOOL(holds(r, argv[1].list->v, argv[1].list->n, &argv[0]));
	return true;
}

TEMPLATE_FN(template_fn_uniq)
{
	(void)argc;
	if (!need_list(&argv[0], "uniq", e)) return false;
	struct tval *v = arena_alloc(r->a, (argv[0].list->n + 1) * sizeof *v);
	size_t n = 0;
	if (argv[0].list->n > 1000) return err_set(e, ERR_INVALID, "uniq takes at most 1000 items");
	for (size_t i = 0; i < argv[0].list->n; i++)
		if (!holds(r, v, n, &argv[0].list->v[i])) v[n++] = argv[0].list->v[i];
	*out = tval_list(r, v, n);
	return true;
}

/* The members as strings, nil left out; a single value is a list of one. */
static struct tval strings(struct template_run *r, const struct tval *v)
{
	struct tval x = tval_expand(r, v), *texts;
	size_t n = 0, all = x.kind == TVAL_LIST ? x.list->n : x.kind != TVAL_NIL;
	texts = arena_alloc(r->a, (all + 1) * sizeof *texts);
	for (size_t i = 0; i < all; i++) {
		const struct tval *item = x.kind == TVAL_LIST ? &x.list->v[i] : &x;
		if (item->kind != TVAL_NIL) texts[n++] = TVAL_OF_STR(tval_to_str(r, item));
	}
	return tval_list(r, texts, n);
}

TEMPLATE_FN(template_fn_join)
{
	struct tval texts = strings(r, &argv[1]);
	struct buf b = {0};
	(void)argc, (void)e;
	for (size_t i = 0; i < texts.list->n; i++) {
		if (i) buf_str(&b, argv[0].s);
		buf_str(&b, texts.list->v[i].s);
	}
	*out = tval_take(r, &b);
	return true;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(((const struct tval *)a)->s, ((const struct tval *)b)->s);
}

TEMPLATE_FN(template_fn_sort_alpha)
{
	(void)argc, (void)e;
	*out = strings(r, &argv[0]);
	qsort(out->list->v, out->list->n, sizeof *out->list->v, by_text);
	return true;
}

TEMPLATE_FN(template_fn_until)
{
	int64_t n = argv[0].num, step = n < 0 ? -1 : 1, count = n * step;
	(void)argc;
	if (count > 10000 || count < 0) return err_set(e, ERR_INVALID, "until takes at most 10000");
	struct tval *v = arena_alloc(r->a, ((size_t)count + 1) * sizeof *v);
	for (int64_t i = 0; i < count; i++) v[i] = TVAL_OF_INT(i * step);
	*out = tval_list(r, v, (size_t)count);
	return true;
}

TEMPLATE_FN(template_fn_split_list)
{
	struct str sep = argv[0].s, s = argv[1].s;
	struct tval *v = NULL;
	size_t n = 0, cap = 0;
	(void)argc, (void)e;
	while (sep.n ? str_find(s, sep) >= 0 : s.n > 0) {
		size_t at = 0;
		if (sep.n)
			at = (size_t)str_find(s, sep);
		else
			str_rune(s, &at);
		*ARENA_PUSH(r->a, v, n, cap) = TVAL_OF_STR(str_sub(s, 0, at));
		s = str_from(s, at + sep.n);
	}
	if (sep.n) *ARENA_PUSH(r->a, v, n, cap) = TVAL_OF_STR(s);
	*out = tval_list(r, v, n);
	return true;
}

/* ---- maps ---- */

struct member {
	struct str key;
	struct tval v;
	size_t order;
};

static int by_key(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int c = str_cmp(x->key, y->key);
	return c ? c : x->order < y->order ? -1 : 1;
}

/* Of equal keys the last counts. */
static struct tval make_map(struct template_run *r, struct member *members, size_t n)
{
	struct tval_map *m = ARENA_NEW(r->a, struct tval_map);
	m->keys = arena_alloc(r->a, (n + 1) * sizeof *m->keys);
	m->v = arena_alloc(r->a, (n + 1) * sizeof *m->v);
	for (size_t i = 0; i < n; i++) members[i].order = i;
	if (n) qsort(members, n, sizeof *members, by_key);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && str_eq(members[i].key, members[i + 1].key)) continue;
		m->keys[m->n] = members[i].key;
		m->v[m->n++] = members[i].v;
	}
	return (struct tval){.kind = TVAL_MAP, .map = m};
}

TEMPLATE_FN(template_fn_dict)
{
	struct member *members = arena_alloc(r->a, (argc / 2 + 1) * sizeof *members);
	(void)e;
	for (size_t i = 0; i < argc; i += 2)
		members[i / 2] =
			(struct member){tval_to_str(r, &argv[i]), i + 1 < argc ? argv[i + 1] : TVAL_OF_STR(STR("")), 0};
	*out = make_map(r, members, (argc + 1) / 2);
	return true;
}

/* split: a map _0, _1, … */
TEMPLATE_FN(template_fn_split)
{
	struct tval parts;
	if (!template_fn_split_list(r, argv, argc, &parts, e)) return false;
	struct member *members = arena_alloc(r->a, (parts.list->n + 1) * sizeof *members);
	for (size_t i = 0; i < parts.list->n; i++)
		members[i] = (struct member){arena_printf(r->a, "_%zu", i), parts.list->v[i], 0};
	*out = make_map(r, members, parts.list->n);
	return true;
}

TEMPLATE_FN(template_fn_get)
{
	(void)argc, (void)e;
	if (argv[0].kind == TVAL_NIL || !tval_member(r, &argv[0], argv[1].s, out)) *out = TVAL_OF_STR(STR(""));
	return true;
}

TEMPLATE_FN(template_fn_has_key)
{
	struct tval v;
	(void)argc, (void)e;
	*out = TVAL_OF_BOOL(argv[0].kind != TVAL_NIL && tval_member(r, &argv[0], argv[1].s, &v));
	return true;
}

TEMPLATE_FN(template_fn_keys)
{
	struct tval *v = NULL;
	size_t n = 0, cap = 0;
	(void)e;
	for (size_t i = 0; i < argc; i++)
		for (size_t k = 0; argv[i].kind == TVAL_MAP && k < argv[i].map->n; k++)
			*ARENA_PUSH(r->a, v, n, cap) = TVAL_OF_STR(argv[i].map->keys[k]);
	*out = tval_list(r, v, n);
	return true;
}

TEMPLATE_FN(template_fn_values)
{
	(void)argc, (void)e;
	*out = argv[0].kind == TVAL_MAP ? tval_list(r, argv[0].map->v, argv[0].map->n) : tval_list(r, NULL, 0);
	return true;
}

/* ---- JSON ---- */

#define MAX_JSON_DEPTH 100

static bool json_value(struct template_run *r, struct json *j, enum json_tok tok, unsigned depth, struct tval *out);

/* Unescaped text, in the arena unless it can borrow. */
static struct str json_string(struct template_run *r, struct json *j)
{
	struct buf b = {0};
	if (!j->escaped) return j->text;
	struct str s = arena_str(r->a, json_text(j, &b));
	buf_free(&b);
	return s;
}

static bool json_object(struct template_run *r, struct json *j, unsigned depth, struct tval *out)
{
	struct member *members = NULL;
	size_t n = 0, cap = 0;
	enum json_tok tok;
	while ((tok = json_next(j)) == JSON_KEY) {
		struct member m = {.key = json_string(r, j)};
		if (!json_value(r, j, json_next(j), depth, &m.v)) return false;
		*ARENA_PUSH(r->a, members, n, cap) = m;
	}
	*out = make_map(r, members, n);
	return tok == JSON_OBJ_CLOSE;
}

static bool json_array(struct template_run *r, struct json *j, unsigned depth, struct tval *out)
{
	struct tval *items = NULL, item;
	size_t n = 0, cap = 0;
	enum json_tok tok;
	while ((tok = json_next(j)) != JSON_ARR_CLOSE) {
		if (!json_value(r, j, tok, depth, &item)) return false;
		*ARENA_PUSH(r->a, items, n, cap) = item;
	}
	*out = tval_list(r, items, n);
	return true;
}

static bool json_value(struct template_run *r, struct json *j, enum json_tok tok, unsigned depth, struct tval *out)
{
	*out = TVAL_NOTHING;
	if (depth >= MAX_JSON_DEPTH) return false;
	switch (tok) {
	case JSON_OBJ_OPEN: return json_object(r, j, depth + 1, out);
	case JSON_ARR_OPEN: return json_array(r, j, depth + 1, out);
	case JSON_STRING: return give_str(out, json_string(r, j));
	case JSON_NUMBER: out->kind = TVAL_FLOAT; return str_to_f64(j->text, &out->f);
	case JSON_TRUE:
	case JSON_FALSE: *out = TVAL_OF_BOOL(tok == JSON_TRUE); return true;
	case JSON_NULL: return true;
	default: return false;
	}
}

/* What does not parse is nil. */
TEMPLATE_FN(template_fn_from_json)
{
	struct json j;
	struct err bad = ERR_INIT;
	(void)argc, (void)e;
	json_init(&j, argv[0].s, &bad);
	if (!json_value(r, &j, json_next(&j), 0, out) || json_next(&j) != JSON_END) *out = TVAL_NOTHING;
	return true;
}

static void put_json(struct template_run *r, struct json_out *o, const struct tval *val)
{
	struct tval v = tval_expand(r, val);
	switch (v.kind) {
	case TVAL_STR: json_put_str(o, v.s); break;
	case TVAL_INT: json_put_i64(o, v.num); break;
	case TVAL_FLOAT: json_put_f64(o, v.f); break;
	case TVAL_BOOL: json_put_bool(o, v.b); break;
	case TVAL_LIST:
		json_open(o, '[');
		for (size_t i = 0; i < v.list->n; i++) put_json(r, o, &v.list->v[i]);
		json_close(o, ']');
		break;
	case TVAL_MAP:
		json_open(o, '{');
		for (size_t i = 0; i < v.map->n; i++) {
			json_key(o, v.map->keys[i]);
			put_json(r, o, &v.map->v[i]);
		}
		json_close(o, '}');
		break;
	case TVAL_TIME: json_put_str(o, tval_to_str(r, &v)); break;
	default: json_put_null(o);
	}
}

TEMPLATE_FN(template_fn_to_json)
{
	struct buf b = {0};
	struct json_out o;
	(void)argc, (void)e;
	json_out_init(&o, &b, true);
	put_json(r, &o, &argv[0]);
	*out = tval_take(r, &b);
	return true;
}

/* ---- digests ---- */

static bool give_hex(struct template_run *r, struct tval *out, const unsigned char *p, size_t n)
{
	struct buf b = {0};
	for (size_t i = 0; i < n; i++) buf_printf(&b, "%02x", p[i]);
	*out = tval_take(r, &b);
	return true;
}

TEMPLATE_FN(template_fn_sha1sum)
{
	unsigned char d[DIGEST_SHA1];
	(void)argc, (void)e;
	digest_sha1(argv[0].s, d);
	return give_hex(r, out, d, sizeof d);
}

TEMPLATE_FN(template_fn_sha256sum)
{
	unsigned char d[DIGEST_SHA256];
	(void)argc, (void)e;
	digest_sha256(argv[0].s, d);
	return give_hex(r, out, d, sizeof d);
}

/* Promtail's salted digests: Hash and Sha2Hash of salt, then input. */
TEMPLATE_FN(template_fn_hash)
{
	unsigned char d[DIGEST_SHA3_256];
	(void)argc, (void)e;
	digest_sha3_256(arena_printf(r->a, "%.*s%.*s", STR_ARG(argv[0].s), STR_ARG(argv[1].s)), d);
	return give_hex(r, out, d, sizeof d);
}

TEMPLATE_FN(template_fn_sha2_hash)
{
	unsigned char d[DIGEST_SHA256];
	(void)argc, (void)e;
	digest_sha256(arena_printf(r->a, "%.*s%.*s", STR_ARG(argv[0].s), STR_ARG(argv[1].s)), d);
	return give_hex(r, out, d, sizeof d);
}
