/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The checks of a whole tree. Parents come before children, left before right: when there are several faults, the one
 * that Loki reports is the one reported. */
#include "server/logql/parse.h"

#define fail(e, ...) err_set((e), ERR_INVALID, __VA_ARGS__)

static void release_regex(void *re) { regex_free(re); }

/* With extensions a selector may match everything. */
static bool check_selector(const struct logql *q, const struct logql_log *log, struct err *e)
{
	return q->extended || selector_check(&log->selector, e);
}

static bool check_range_agg(const struct logql *q, struct logql_expr *x, struct err *e)
{
	const struct logql_op_info *fn = &logql_range_fns[x->range_agg.fn];
	struct str param = x->range_agg.param_text;
	bool unwrap = x->range_agg.range->unwrap != NULL;
	if (param.n && !(fn->flags & LOGQL_PARAM))
		return fail(e, "parameter %.*s not supported for operation %s", STR_ARG(param), fn->name);
	if (!param.n && (fn->flags & LOGQL_PARAM)) return fail(e, "parameter required for operation %s", fn->name);
	if (param.n && !str_to_f64(param, &x->range_agg.param))
		return fail(e,
			    "invalid parameter for operation %s: strconv.ParseFloat: parsing \"%.*s\": invalid syntax",
			    fn->name, STR_ARG(param));
	if (x->range_agg.grouping.present && !(fn->flags & LOGQL_GROUPS))
		return fail(e, "grouping not allowed for %s aggregation", fn->name);
	if (unwrap && (fn->flags & LOGQL_UNWRAP_NEVER)) return fail(e, "invalid aggregation %s with unwrap", fn->name);
	if (!unwrap && (fn->flags & LOGQL_UNWRAP_ALWAYS))
		return fail(e, "invalid aggregation %s without unwrap", fn->name);
	return check_selector(q, x->range_agg.range->log, e);
}

static bool check_vector_agg(struct logql_expr *x, struct err *e)
{
	const struct logql_op_info *fn = &logql_vector_fns[x->vector_agg.fn];
	const struct logql_grouping *g = &x->vector_agg.grouping;
	struct str param = x->vector_agg.param_text;
	if (param.n && !(fn->flags & LOGQL_PARAM))
		return fail(e, "unsupported parameter for operation %s(%.*s,", fn->name, STR_ARG(param));
	if (fn->flags & LOGQL_PARAM) {
		if (!param.n) return fail(e, "parameter required for operation %s", fn->name);
		if (!str_to_i64(param, &x->vector_agg.param))
			return fail(e, "invalid parameter %s(%.*s,", fn->name, STR_ARG(param));
		if (x->vector_agg.param <= 0)
			return fail(e, "invalid parameter (must be greater than 0) %s(%.*s", fn->name, STR_ARG(param));
		if (g->present && !(fn->flags & LOGQL_GROUPS))
			return fail(e, "grouping not allowed for %s aggregation", fn->name);
	}
	if (g->n && !(fn->flags & (LOGQL_GROUPS | LOGQL_PARAM)))
		return fail(e, "sort and sort_desc doesn't allow grouping by ");
	return true;
}

/* The kind of a leg that gives no samples, as Loki names it; NULL: it gives samples. */
static const char *log_type(const struct logql_expr *x)
{
	if (x->kind == LOGQL_VARIANTS) return "*syntax.MultiVariantExpr";
	if (x->kind != LOGQL_LOG) return NULL;
	return x->log->n_stages ? "*syntax.PipelineExpr" : "*syntax.MatchersExpr";
}

static bool check_binary(const struct logql_expr *x, struct err *e)
{
	const struct logql_op_info *op = &logql_binary_ops[x->binary.op];
	const struct logql_expr *legs[] = {x->binary.left, x->binary.right};
	static const char *const names[] = {"left", "right"};
	for (int i = 0; i < 2; i++)
		if (log_type(legs[i]))
			return fail(e, "unexpected type for %s leg of binary operation (%s): %s", names[i], op->name,
				    log_type(legs[i]));
	for (int i = 0; i < 2; i++)
		if ((op->flags & LOGQL_SET_OP) && legs[i]->kind == LOGQL_LITERAL)
			return fail(e, "unexpected literal for %s leg of logical/set binary operation (%s): %f",
				    names[i], op->name, legs[i]->literal);
	return true;
}

static bool check_label_replace(struct logql *q, struct logql_expr *x, struct err *e)
{
	/* Wrapped by hand rather than with REGEX_ANCHORED: messages show the wrapped expression. */
	struct str wrapped = arena_printf(q->a, "^(?:%.*s)$", STR_ARG(x->label_replace.regex));
	struct regex *re = regex_new(wrapped, 0, e);
	if (!re) return err_wrap(e, "invalid regex in label_replace");
	logql_own(q, re, release_regex);
	x->label_replace.re = re;
	return true;
}

bool logql_check(struct logql *q, struct logql_expr *x, struct err *e)
{
	switch (x->kind) {
	case LOGQL_LOG: return check_selector(q, x->log, e);
	case LOGQL_RANGE_AGG: return check_range_agg(q, x, e);
	case LOGQL_VECTOR_AGG: return check_vector_agg(x, e) && logql_check(q, x->vector_agg.expr, e);
	case LOGQL_BINARY:
		return check_binary(x, e) && logql_check(q, x->binary.left, e) && logql_check(q, x->binary.right, e);
	case LOGQL_LABEL_REPLACE: return check_label_replace(q, x, e) && logql_check(q, x->label_replace.expr, e);
	case LOGQL_VARIANTS:
		if (!check_selector(q, x->variants.range->log, e)) return false;
		for (size_t i = 0; i < x->variants.n; i++)
			if (!logql_check(q, x->variants.exprs[i], e)) return false;
		return true;
	case LOGQL_LITERAL:
	case LOGQL_VECTOR: return true;
	}
	return true;
}
