/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions that Go's text/template brings along (text/template/funcs.go). */
#include "common/url.h"
#include "pipeline/template_impl.h"

#include <stdio.h>

/* ---- comparing ---- */

static bool same_kind(const struct tval *a, const struct tval *b)
{
	bool map_a = a->kind == TVAL_MAP || a->kind == TVAL_DATA, map_b = b->kind == TVAL_MAP || b->kind == TVAL_DATA;
	return a->kind == b->kind || (map_a && map_b);
}

static bool equal(const struct tval *a, const struct tval *b, bool *eq, struct err *e)
{
	*eq = false;
	if (a->kind == TVAL_NIL || b->kind == TVAL_NIL) {
		*eq = a->kind == b->kind;
		return true;
	}
	if (!same_kind(a, b)) return err_set(e, ERR_INVALID, "incompatible types for comparison");
	switch (a->kind) {
	case TVAL_STR: *eq = str_eq(a->s, b->s); return true;
	case TVAL_INT:
	case TVAL_TIME: *eq = a->num == b->num; return true;
	case TVAL_FLOAT: *eq = a->f == b->f; return true;
	case TVAL_BOOL: *eq = a->b == b->b; return true;
	default: return err_set(e, ERR_INVALID, "non-comparable types %s, %s", tval_type(a), tval_type(b));
	}
}

static bool less(const struct tval *a, const struct tval *b, bool *lt, struct err *e)
{
	if (a->kind != TVAL_STR && a->kind != TVAL_INT && a->kind != TVAL_FLOAT)
		return err_set(e, ERR_INVALID, "invalid type for comparison");
	if (a->kind != b->kind) return err_set(e, ERR_INVALID, "incompatible types for comparison");
	*lt = a->kind == TVAL_STR ? str_cmp(a->s, b->s) < 0 : a->kind == TVAL_INT ? a->num < b->num : a->f < b->f;
	return true;
}

static TEMPLATE_FN(fn_eq)
{
	bool eq = false;
	(void)r;
	if (argc < 2) return err_set(e, ERR_INVALID, "missing argument for comparison");
	for (size_t i = 1; i < argc && !eq; i++)
		if (!equal(&argv[0], &argv[i], &eq, e)) return false;
	*out = TVAL_OF_BOOL(eq);
	return true;
}

static TEMPLATE_FN(fn_ne)
{
	bool eq = false;
	(void)r, (void)argc;
	if (!equal(&argv[0], &argv[1], &eq, e)) return false;
	*out = TVAL_OF_BOOL(!eq);
	return true;
}

static TEMPLATE_FN(fn_lt)
{
	bool lt = false;
	(void)r, (void)argc;
	if (!less(&argv[0], &argv[1], &lt, e)) return false;
	*out = TVAL_OF_BOOL(lt);
	return true;
}

static TEMPLATE_FN(fn_le)
{
	bool lt = false, eq = false;
	(void)r, (void)argc;
	if (!less(&argv[0], &argv[1], &lt, e) || !equal(&argv[0], &argv[1], &eq, e)) return false;
	*out = TVAL_OF_BOOL(lt || eq);
	return true;
}

/* As in Go: not le, so that a NaN is greater than everything. */
static TEMPLATE_FN(fn_gt)
{
	if (!fn_le(r, argv, argc, out, e)) return false;
	out->b = !out->b;
	return true;
}

static TEMPLATE_FN(fn_ge)
{
	if (!fn_lt(r, argv, argc, out, e)) return false;
	out->b = !out->b;
	return true;
}

static TEMPLATE_FN(fn_not)
{
	(void)argc, (void)e;
	*out = TVAL_OF_BOOL(!tval_true(r, &argv[0]));
	return true;
}

/* and, or are evaluated by the run (template_short_circuits); here is what is left of them. */
static TEMPLATE_FN(fn_last)
{
	(void)r, (void)e;
	*out = argv[argc - 1];
	return true;
}

/* ---- members ---- */

static bool index_list(const struct tval *list, const struct tval *i, struct tval *out, struct err *e)
{
	size_t n = list->kind == TVAL_STR ? list->s.n : list->list->n;
	if (i->kind == TVAL_NIL) return err_set(e, ERR_INVALID, "cannot index slice/array with nil");
	if (i->kind != TVAL_INT) return err_set(e, ERR_INVALID, "cannot index slice/array with type %s", tval_type(i));
	if (i->num < 0 || (uint64_t)i->num >= n)
		return err_set(e, ERR_INVALID, "index out of range: %lld", (long long)i->num);
	*out = list->kind == TVAL_STR ? TVAL_OF_INT((unsigned char)list->s.p[i->num]) : list->list->v[i->num];
	return true;
}

static TEMPLATE_FN(fn_index)
{
	struct tval v = argv[0];
	if (v.kind == TVAL_NIL) return err_set(e, ERR_INVALID, "index of untyped nil");
	for (size_t i = 1; i < argc; i++) {
		struct tval next;
		switch (v.kind) {
		case TVAL_STR:
		case TVAL_LIST:
			if (!index_list(&v, &argv[i], &next, e)) return false;
			break;
		case TVAL_MAP:
		case TVAL_DATA:
			if (argv[i].kind != TVAL_STR)
				return err_set(e, ERR_INVALID, "value has type %s; should be string",
					       tval_type(&argv[i]));
			tval_member(r, &v, argv[i].s, &next);
			break;
		case TVAL_NIL: return err_set(e, ERR_INVALID, "index of nil pointer");
		default: return err_set(e, ERR_INVALID, "can't index item of type %s", tval_type(&v));
		}
		v = next;
	}
	*out = v;
	return true;
}

static TEMPLATE_FN(fn_slice)
{
	const struct tval *v = &argv[0];
	if (v->kind != TVAL_STR && v->kind != TVAL_LIST)
		return err_set(e, ERR_INVALID,
			       v->kind == TVAL_NIL ? "slice of untyped nil" : "can't slice item of type %s",
			       tval_type(v));
	if (argc > 4) return err_set(e, ERR_INVALID, "too many slice indexes: %zu", argc - 1);
	if (argc == 4 && v->kind == TVAL_STR) return err_set(e, ERR_INVALID, "cannot 3-index slice a string");
	size_t n = tval_len(r, v), at[3] = {0, n, n};
	for (size_t i = 1; i < argc; i++) {
		if (argv[i].kind != TVAL_INT)
			return err_set(e, ERR_INVALID, "cannot index slice/array with type %s", tval_type(&argv[i]));
		if (argv[i].num < 0 || (uint64_t)argv[i].num > n)
			return err_set(e, ERR_INVALID, "index out of range: %lld", (long long)argv[i].num);
		at[i - 1] = (size_t)argv[i].num;
	}
	if (at[0] > at[1]) return err_set(e, ERR_INVALID, "invalid slice index: %zu > %zu", at[0], at[1]);
	if (at[1] > at[2]) return err_set(e, ERR_INVALID, "invalid slice index: %zu > %zu", at[1], at[2]);
	*out = v->kind == TVAL_STR ? TVAL_OF_STR(str_sub(v->s, at[0], at[1]))
				   : tval_list(r, v->list->v + at[0], at[1] - at[0]);
	return true;
}

static TEMPLATE_FN(fn_len)
{
	(void)argc;
	switch (argv[0].kind) {
	case TVAL_STR:
	case TVAL_LIST:
	case TVAL_MAP:
	case TVAL_DATA: *out = TVAL_OF_INT((int64_t)tval_len(r, &argv[0])); return true;
	case TVAL_NIL: return err_set(e, ERR_INVALID, "len of nil pointer");
	default: return err_set(e, ERR_INVALID, "len of type %s", tval_type(&argv[0]));
	}
}

static TEMPLATE_FN(fn_call)
{
	(void)r, (void)argc, (void)out;
	if (argv[0].kind == TVAL_NIL) return err_set(e, ERR_INVALID, "call of nil");
	return err_set(e, ERR_INVALID, "non-function of type %s", tval_type(&argv[0]));
}

/* ---- printing and escaping ---- */

static TEMPLATE_FN(fn_print)
{
	struct buf b = {0};
	(void)e;
	tval_sprint(r, &b, argv, argc, false);
	*out = tval_take(r, &b);
	return true;
}

static TEMPLATE_FN(fn_println)
{
	struct buf b = {0};
	(void)e;
	tval_sprint(r, &b, argv, argc, true);
	*out = tval_take(r, &b);
	return true;
}

static TEMPLATE_FN(fn_printf)
{
	struct buf b = {0};
	(void)e;
	tval_sprintf(r, &b, argv[0].s, argv + 1, argc - 1);
	*out = tval_take(r, &b);
	return true;
}

/* The text that the escapers work on: a lone string as it is, else what print gives. */
static struct str all_text(struct template_run *r, const struct tval *argv, size_t argc)
{
	struct buf b = {0};
	if (argc == 1 && argv[0].kind == TVAL_STR) return argv[0].s;
	tval_sprint(r, &b, argv, argc, false);
	return tval_take(r, &b).s;
}

static TEMPLATE_FN(fn_html)
{
	static const char *const escapes[256] = {['\0'] = "\xef\xbf\xbd", ['"'] = "&#34;", ['\''] = "&#39;",
						 ['&'] = "&amp;",         ['<'] = "&lt;",  ['>'] = "&gt;"};
	struct str s = all_text(r, argv, argc);
	struct buf b = {0};
	(void)e;
	for (size_t i = 0; i < s.n; i++) {
		const char *esc = escapes[(unsigned char)s.p[i]];
		if (esc)
			buf_c(&b, esc);
		else
			buf_ch(&b, s.p[i]);
	}
	*out = tval_take(r, &b);
	return true;
}

static TEMPLATE_FN(fn_js)
{
	struct str s = all_text(r, argv, argc);
	struct buf b = {0};
	(void)e;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '\\' || c == '\'' || c == '"')
			buf_printf(&b, "\\%c", c);
		else if (c < ' ' || strchr("<>&=", c))
			buf_printf(&b, "\\u%04X", c);
		else
			buf_ch(&b, (char)c);
	}
	*out = tval_take(r, &b);
	return true;
}

static TEMPLATE_FN(fn_urlquery)
{
	struct buf b = {0};
	(void)e;
	url_encode(&b, all_text(r, argv, argc), true);
	*out = tval_take(r, &b);
	return true;
}

const struct template_func template_builtins[] = {
	{"and", "aa*", fn_last},
	{"call", "aa*", fn_call},
	{"eq", "aa*", fn_eq},
	{"ge", "aa", fn_ge},
	{"gt", "aa", fn_gt},
	{"html", "a*", fn_html},
	{"index", "aa*", fn_index},
	{"js", "a*", fn_js},
	{"le", "aa", fn_le},
	{"len", "a", fn_len},
	{"lt", "aa", fn_lt},
	{"ne", "aa", fn_ne},
	{"not", "a", fn_not},
	{"or", "aa*", fn_last},
	{"print", "a*", fn_print},
	{"printf", "sa*", fn_printf},
	{"println", "a*", fn_println},
	{"slice", "aa*", fn_slice},
	{"urlquery", "a*", fn_urlquery},
};
const size_t template_n_builtins = sizeof template_builtins / sizeof *template_builtins;

bool template_short_circuits(const struct template_func *fn, bool *stop_when)
{
	*stop_when = fn->name[0] == 'o'; /* or stops at the first true, and at the first false value */
	return fn->fn == fn_last;
}
