/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/logql/ast.h"
#include "server/logql/logql.h"

const struct logql_op_info logql_range_fns[LOGQL_RANGE_FNS] = {
#define RANGE_FN(id, text, bits) [LOGQL_##id] = {.name = text, .flags = bits},
#include "server/logql/funcs.def"
};
const struct logql_op_info logql_vector_fns[LOGQL_VECTOR_FNS] = {
#define VECTOR_FN(id, text, bits) [LOGQL_##id] = {.name = text, .flags = bits},
#include "server/logql/funcs.def"
};
const struct logql_op_info logql_binary_ops[LOGQL_BINARY_OPS] = {
#define BINARY_OP(id, text, prec, bits) [LOGQL_OP_##id] = {.name = text, .flags = bits, .precedence = prec},
#include "server/logql/funcs.def"
};
const struct logql_op_info logql_unwrap_convs[LOGQL_UNWRAP_CONVS] = {
	[LOGQL_UNWRAP_NUMBER] = {.name = ""},
#define UNWRAP_CONV(id, text) [LOGQL_UNWRAP_##id] = {.name = text},
#include "server/logql/funcs.def"
};

/* ---- walking ---- */

void logql_each_log(const struct logql_expr *x,
		    void (*fn)(void *ud, const struct logql_log *log, const struct logql_range *range), void *ud)
{
	switch (x->kind) {
	case LOGQL_LOG: fn(ud, x->log, NULL); break;
	case LOGQL_RANGE_AGG: fn(ud, x->range_agg.range->log, x->range_agg.range); break;
	case LOGQL_VECTOR_AGG: logql_each_log(x->vector_agg.expr, fn, ud); break;
	case LOGQL_BINARY:
		logql_each_log(x->binary.left, fn, ud);
		logql_each_log(x->binary.right, fn, ud);
		break;
	case LOGQL_LABEL_REPLACE: logql_each_log(x->label_replace.expr, fn, ud); break;
	case LOGQL_VARIANTS:
		fn(ud, x->variants.range->log, x->variants.range);
		for (size_t i = 0; i < x->variants.n; i++) logql_each_log(x->variants.exprs[i], fn, ud);
		break;
	case LOGQL_LITERAL:
	case LOGQL_VECTOR: break;
	}
}

bool logql_any(const struct logql_expr *x, bool (*fn)(void *ud, const struct logql_expr *x), void *ud)
{
	if (fn(ud, x)) return true;
	switch (x->kind) {
	case LOGQL_VECTOR_AGG: return logql_any(x->vector_agg.expr, fn, ud);
	case LOGQL_BINARY: return logql_any(x->binary.left, fn, ud) || logql_any(x->binary.right, fn, ud);
	case LOGQL_LABEL_REPLACE: return logql_any(x->label_replace.expr, fn, ud);
	case LOGQL_VARIANTS:
		for (size_t i = 0; i < x->variants.n; i++)
			if (logql_any(x->variants.exprs[i], fn, ud)) return true;
		return false;
	default: return false;
	}
}

static void look_back(void *ud, const struct logql_log *log, const struct logql_range *range)
{
	(void)log;
	int64_t *longest = ud, back;
	if (!range) return;
	if (__builtin_add_overflow(range->interval, range->offset, &back)) back = INT64_MAX;
	if (back > *longest) *longest = back;
}

int64_t logql_lookback(const struct logql_expr *x)
{
	int64_t longest = 0;
	logql_each_log(x, look_back, &longest);
	return longest;
}

/* ---- equality ---- */

static bool strs_eq(const struct str *a, size_t an, const struct str *b, size_t bn)
{
	if (an != bn) return false;
	for (size_t i = 0; i < an; i++)
		if (!str_eq(a[i], b[i])) return false;
	return true;
}

/* NaN equals NaN here: same text. */
static bool num_eq(double a, double b) { return a == b || (a != a && b != b); }

static bool filter_eq(const struct logql_filter *a, const struct logql_filter *b)
{
	if (a->kind != b->kind || !str_eq(a->label, b->label)) return false;
	switch (a->kind) {
	case LOGQL_FILTER_AND:
	case LOGQL_FILTER_OR: return filter_eq(a->left, b->left) && filter_eq(a->right, b->right);
	case LOGQL_FILTER_MATCH: return matcher_eq(&a->match, &b->match);
	case LOGQL_FILTER_IP: return a->cmp == b->cmp && str_eq(a->ip, b->ip);
	case LOGQL_FILTER_NUMBER: return a->cmp == b->cmp && num_eq(a->num, b->num);
	case LOGQL_FILTER_DURATION: return a->cmp == b->cmp && a->dur == b->dur;
	case LOGQL_FILTER_BYTES: return a->cmp == b->cmp && a->bytes == b->bytes;
	}
	return false;
}

static bool line_filters_eq(const struct logql_stage *a, const struct logql_stage *b)
{
	/* != "a" or "b" and != "a" != "b" are the same query, and print the same. */
	size_t i = 0, j = 0, k = 0, l = 0;
	while (i < a->n_filters && k < b->n_filters) {
		const struct linefilter *f = &a->filters[i], *g = &b->filters[k];
		bool none = linefilter_denies(f->op);
		if (f->op != g->op || f->v[j].ip != g->v[l].ip || !str_eq(f->v[j].text, g->v[l].text)) return false;
		bool f_ends = ++j == f->n, g_ends = ++l == g->n;
		if (f_ends != g_ends && !none) return false;
		if (f_ends) i++, j = 0;
		if (g_ends) k++, l = 0;
	}
	return i == a->n_filters && k == b->n_filters;
}

static bool exprs_eq(const struct logql_stage *a, const struct logql_stage *b)
{
	if (a->n_exprs != b->n_exprs || a->logfmt_flags != b->logfmt_flags) return false;
	for (size_t i = 0; i < a->n_exprs; i++)
		if (!str_eq(a->exprs[i].name, b->exprs[i].name) || !str_eq(a->exprs[i].expr, b->exprs[i].expr))
			return false;
	return true;
}

static bool formats_eq(const struct logql_stage *a, const struct logql_stage *b)
{
	if (a->n_formats != b->n_formats) return false;
	for (size_t i = 0; i < a->n_formats; i++) {
		const struct logql_label_format *f = &a->formats[i], *g = &b->formats[i];
		if (f->rename != g->rename || !str_eq(f->dst, g->dst) || !str_eq(f->src, g->src)) return false;
	}
	return true;
}

static bool drops_eq(const struct logql_stage *a, const struct logql_stage *b)
{
	if (a->n_drops != b->n_drops) return false;
	for (size_t i = 0; i < a->n_drops; i++) {
		const struct logql_drop *f = &a->drops[i], *g = &b->drops[i];
		if (f->has_match != g->has_match || !str_eq(f->name, g->name)) return false;
		if (f->has_match && !matcher_eq(&f->match, &g->match)) return false;
	}
	return true;
}

static bool stage_eq(const struct logql_stage *a, const struct logql_stage *b)
{
	if (a->kind != b->kind) return false;
	switch (a->kind) {
	case LOGQL_STAGE_LINE_FILTERS: return line_filters_eq(a, b);
	case LOGQL_STAGE_JSON:
	case LOGQL_STAGE_UNROLL:
	case LOGQL_STAGE_LOGFMT: return exprs_eq(a, b);
	case LOGQL_STAGE_UNIQ:
	case LOGQL_STAGE_TOP:
	case LOGQL_STAGE_SORT: return a->top == b->top && a->desc == b->desc && strs_eq(a->by, a->n_by, b->by, b->n_by);
	case LOGQL_STAGE_KINDS: break;
	case LOGQL_STAGE_REGEXP:
	case LOGQL_STAGE_PATTERN:
	case LOGQL_STAGE_LINE_FORMAT: return str_eq(a->text, b->text);
	case LOGQL_STAGE_LABEL_FILTER: return filter_eq(a->filter, b->filter);
	case LOGQL_STAGE_LABEL_FORMAT: return formats_eq(a, b);
	case LOGQL_STAGE_DROP:
	case LOGQL_STAGE_KEEP: return drops_eq(a, b);
	case LOGQL_STAGE_UNPACK:
	case LOGQL_STAGE_DECOLORIZE: return true;
	}
	return false;
}

static bool log_eq(const struct logql_log *a, const struct logql_log *b)
{
	if (a->selector.n != b->selector.n || a->n_stages != b->n_stages) return false;
	for (size_t i = 0; i < a->selector.n; i++)
		if (!matcher_eq(&a->selector.v[i], &b->selector.v[i])) return false;
	for (size_t i = 0; i < a->n_stages; i++)
		if (!stage_eq(&a->stages[i], &b->stages[i])) return false;
	return true;
}

static bool range_eq(const struct logql_range *a, const struct logql_range *b)
{
	const struct logql_unwrap *u = a->unwrap, *v = b->unwrap;
	if (!log_eq(a->log, b->log) || a->interval != b->interval || a->offset != b->offset || !u != !v) return false;
	if (!u) return true;
	if (!str_eq(u->label, v->label) || u->conv != v->conv || u->n_filters != v->n_filters) return false;
	for (size_t i = 0; i < u->n_filters; i++)
		if (!filter_eq(u->filters[i], v->filters[i])) return false;
	return true;
}

static bool grouping_eq(const struct logql_grouping *a, const struct logql_grouping *b)
{
	return a->present == b->present && a->without == b->without && strs_eq(a->names, a->n, b->names, b->n);
}

static bool matching_eq(const struct logql_matching *a, const struct logql_matching *b)
{
	return a->card == b->card && a->on == b->on && strs_eq(a->names, a->n, b->names, b->n) &&
	       strs_eq(a->include, a->n_include, b->include, b->n_include);
}

static bool vector_agg_eq(const struct logql_expr *a, const struct logql_expr *b)
{
	const struct logql_grouping *g = &a->vector_agg.grouping, *h = &b->vector_agg.grouping;
	bool one_group = !g->n && !g->without; /* by () and nothing mean the same */
	return a->vector_agg.fn == b->vector_agg.fn && a->vector_agg.param == b->vector_agg.param &&
	       (one_group ? !h->n && !h->without : grouping_eq(g, h)) &&
	       logql_equal(a->vector_agg.expr, b->vector_agg.expr);
}

static bool variants_eq(const struct logql_expr *a, const struct logql_expr *b)
{
	if (a->variants.n != b->variants.n || !range_eq(a->variants.range, b->variants.range)) return false;
	for (size_t i = 0; i < a->variants.n; i++)
		if (!logql_equal(a->variants.exprs[i], b->variants.exprs[i])) return false;
	return true;
}

bool logql_equal(const struct logql_expr *a, const struct logql_expr *b)
{
	if (a->kind != b->kind) return false;
	switch (a->kind) {
	case LOGQL_LOG: return log_eq(a->log, b->log);
	case LOGQL_RANGE_AGG:
		return a->range_agg.fn == b->range_agg.fn && num_eq(a->range_agg.param, b->range_agg.param) &&
		       range_eq(a->range_agg.range, b->range_agg.range) &&
		       grouping_eq(&a->range_agg.grouping, &b->range_agg.grouping);
	case LOGQL_VECTOR_AGG: return vector_agg_eq(a, b);
	case LOGQL_BINARY:
		return a->binary.op == b->binary.op && a->binary.return_bool == b->binary.return_bool &&
		       matching_eq(&a->binary.matching, &b->binary.matching) &&
		       logql_equal(a->binary.left, b->binary.left) && logql_equal(a->binary.right, b->binary.right);
	case LOGQL_LITERAL:
	case LOGQL_VECTOR: return num_eq(a->literal, b->literal);
	case LOGQL_LABEL_REPLACE:
		return logql_equal(a->label_replace.expr, b->label_replace.expr) &&
		       str_eq(a->label_replace.dst, b->label_replace.dst) &&
		       str_eq(a->label_replace.replacement, b->label_replace.replacement) &&
		       str_eq(a->label_replace.src, b->label_replace.src) &&
		       str_eq(a->label_replace.regex, b->label_replace.regex);
	case LOGQL_VARIANTS: return variants_eq(a, b);
	}
	return false;
}
