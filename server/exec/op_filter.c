/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/convert.h"
#include "server/exec/op.h"
#include "server/logql/simple_regex.h"

/* ---- label filters ---- */

static int cmp_f64(double a, double b) { return a < b ? -1 : a > b; }

static bool holds(enum logql_cmp op, int c, bool ordered)
{
	switch (op) {
	case LOGQL_CMP_EQ: return ordered && c == 0;
	case LOGQL_CMP_NEQ: return !ordered || c != 0;
	case LOGQL_CMP_GT: return ordered && c > 0;
	case LOGQL_CMP_GTE: return ordered && c >= 0;
	case LOGQL_CMP_LT: return ordered && c < 0;
	case LOGQL_CMP_LTE: return ordered && c <= 0;
	}
	return false;
}

static bool match_row(const struct logql_filter *f, struct row *r)
{
	struct str v = row_get(r, f->label, NULL);
	if (f->simple) return simple_regex_match(f->simple, v) == (f->match.op == MATCH_RE);
	return matcher_match(&f->match, v);
}

/* Compares numerically; a value that is no such number keeps the row and marks it. */
static bool compare_row(const struct logql_filter *f, struct arena *a, struct row *r)
{
	if (r->error.n) return true;
	enum row_kind kind;
	struct str v = row_get(r, f->label, &kind), why = STR("");
	if (kind == ROW_NONE || str_eq(f->label, ROW_DETAILS)) return false;
	bool ok, pass = false;
	if (f->kind == LOGQL_FILTER_NUMBER) {
		double d = 0;
		ok = convert_number(a, v, &d, &why);
		pass = ok && holds(f->cmp, cmp_f64(d, f->num), d == d && f->num == f->num);
	} else if (f->kind == LOGQL_FILTER_DURATION) {
		int64_t d = 0;
		ok = convert_duration(a, v, &d, &why);
		pass = ok && holds(f->cmp, d < f->dur ? -1 : d > f->dur, true);
	} else {
		uint64_t n = 0;
		ok = convert_bytes(a, v, &n, &why);
		pass = ok && holds(f->cmp, n < f->bytes ? -1 : n > f->bytes, true);
	}
	if (ok) return pass;
	r->error = STR("LabelFilterErr");
	r->details = why;
	return true;
}

static bool ip_row(const struct logql_filter *f, struct row *r)
{
	if (r->error.n) return true;
	enum row_kind kind;
	struct str v = row_get(r, f->label, &kind);
	if (kind == ROW_NONE) return false;
	return ipfilter_line(&f->addr, v) == (f->cmp == LOGQL_CMP_EQ);
}

bool op_filter_row(const struct logql_filter *f, struct arena *a, struct row *r)
{
	bool left;
	switch (f->kind) {
	case LOGQL_FILTER_AND: /* both sides always run: either may set the error */
		left = op_filter_row(f->left, a, r);
		return op_filter_row(f->right, a, r) && left;
	case LOGQL_FILTER_OR: return op_filter_row(f->left, a, r) || op_filter_row(f->right, a, r);
	case LOGQL_FILTER_MATCH: return match_row(f, r);
	case LOGQL_FILTER_IP: return ip_row(f, r);
	case LOGQL_FILTER_NUMBER:
	case LOGQL_FILTER_DURATION:
	case LOGQL_FILTER_BYTES: return compare_row(f, a, r);
	}
	return false;
}

static void label_filter_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	(void)l;
	size_t n = 0;
	for (size_t i = 0; i < b->n_sel; i++)
		if (op_filter_row(o->stage->filter, b->arena, &b->rows[b->sel[i]])) b->sel[n++] = b->sel[i];
	b->n_sel = n;
}

/* ---- line filters ---- */

static void line_filter_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	(void)l;
	size_t n = 0;
	for (size_t i = 0; i < b->n_sel; i++)
		if (linefilters_match(o->stage->compiled_filters, b->rows[b->sel[i]].line)) b->sel[n++] = b->sel[i];
	b->n_sel = n;
}

const struct op_kind op_filter_kinds[] = {
	[LOGQL_STAGE_LINE_FILTERS] = {.run = line_filter_run},
	[LOGQL_STAGE_LABEL_FILTER] = {.run = label_filter_run},
	[LOGQL_STAGE_KINDS] = {0},
};
