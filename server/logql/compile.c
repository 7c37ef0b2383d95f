/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From stages as written to stages as run. Line filters move to the front of their group, since they are the cheapest
 * and run on the raw line; a label filter, line_format, unpack or unroll ends a group, because a filter behind it may
 * mean another line or must not hide an earlier error. */
#include "server/logql/parse.h"

struct compile {
	struct logql *q;
	struct err *e;
	struct logql_log *log;
	size_t cap;
	struct linefilter *filters; /* of the group so far */
	size_t n_filters, cap_filters;
	struct logql_stage *waiting; /* its other stages */
	size_t n_waiting, cap_waiting;
};

static void release_linefilters(void *f) { linefilters_free(f); }
static void release_json_paths(void *p) { json_paths_free(p); }
static void release_template(void *t) { template_free(t); }

static void run_stage(struct compile *c, const struct logql_stage *s)
{
	*ARENA_PUSH(c->q->a, c->log->run, c->log->n_run, c->cap) = *s;
}

static void end_group(struct compile *c)
{
	if (c->n_filters) {
		struct logql_stage s = {.kind = LOGQL_STAGE_LINE_FILTERS};
		s.filters = c->filters;
		s.n_filters = c->n_filters;
		run_stage(c, &s);
	}
	for (size_t i = 0; i < c->n_waiting; i++) run_stage(c, &c->waiting[i]);
	c->filters = NULL;
	c->n_filters = c->cap_filters = c->n_waiting = 0;
}

static void reorder(struct compile *c)
{
	for (size_t i = 0; i < c->log->n_stages; i++) {
		const struct logql_stage *s = &c->log->stages[i];
		switch (s->kind) {
		case LOGQL_STAGE_LINE_FILTERS:
			for (size_t k = 0; k < s->n_filters; k++)
				*ARENA_PUSH(c->q->a, c->filters, c->n_filters, c->cap_filters) = s->filters[k];
			break;
		case LOGQL_STAGE_LABEL_FILTER:
			end_group(c);
			run_stage(c, s);
			break;
		case LOGQL_STAGE_LINE_FORMAT:
		case LOGQL_STAGE_UNPACK:
		case LOGQL_STAGE_UNROLL:
			*ARENA_PUSH(c->q->a, c->waiting, c->n_waiting, c->cap_waiting) = *s;
			end_group(c);
			break;
		default: *ARENA_PUSH(c->q->a, c->waiting, c->n_waiting, c->cap_waiting) = *s;
		}
	}
	end_group(c);
}

static const struct template *new_template(struct compile *c, struct str text, const char *name)
{
	struct template *t = template_compile(text, name, template_funcs_logql(), c->e);
	if (t) logql_own(c->q, t, release_template);
	return t;
}

static bool build_label_format(struct compile *c, struct logql_stage *s)
{
	for (size_t i = 0; i < s->n_formats; i++) {
		struct str dst = s->formats[i].dst;
		if (str_eqc(dst, "__error__")) return err_set(c->e, ERR_INVALID, "__error__ cannot be formatted");
		for (size_t k = 0; k < i; k++)
			if (str_eq(dst, s->formats[k].dst))
				return err_set(c->e, ERR_INVALID,
					       "multiple label name '%.*s' not allowed in a single format operation",
					       STR_ARG(dst));
	}
	for (size_t i = 0; i < s->n_formats; i++) {
		struct logql_label_format *f = &s->formats[i];
		if (f->rename) continue;
		f->compiled = new_template(c, f->src, "label");
		if (!f->compiled) return err_wrap(c->e, "invalid template for label '%.*s'", STR_ARG(f->dst));
	}
	return true;
}

static bool build(struct compile *c, struct logql_stage *s)
{
	switch (s->kind) {
	case LOGQL_STAGE_LINE_FILTERS: {
		struct linefilters *f = linefilters_new(s->filters, s->n_filters, NULL, c->e);
		if (f) logql_own(c->q, f, release_linefilters);
		s->compiled_filters = f;
		return f != NULL;
	}
	case LOGQL_STAGE_UNROLL:
	case LOGQL_STAGE_JSON: {
		if (!s->n_exprs) return true;
		struct json_paths *paths = json_paths_new(s->exprs, s->n_exprs, c->e);
		if (paths) logql_own(c->q, paths, release_json_paths);
		s->paths = paths;
		return paths != NULL;
	}
	case LOGQL_STAGE_LABEL_FILTER:
		if (s->filter->kind != LOGQL_FILTER_IP || s->filter->addr_ok) return true;
		return ipfilter_init(&s->filter->addr, s->filter->ip, c->e);
	case LOGQL_STAGE_LINE_FORMAT:
		s->line_template = new_template(c, s->text, "line");
		return s->line_template || err_wrap(c->e, "invalid line template");
	case LOGQL_STAGE_LABEL_FORMAT: return build_label_format(c, s);
	default: return true;
	}
}

static bool stage_error(const struct logql_stage *s, struct err *e)
{
	struct buf text = {0};
	struct err cause = *e;
	logql_print_stage(&text, s);
	err_set(e, ERR_INVALID, "parse error : stage '%.*s' : %s", STR_ARG(buf_view(&text)), cause.msg);
	buf_free(&text);
	return false;
}

static bool compile_log(struct logql *q, struct logql_log *log, struct err *e)
{
	struct compile c = {.q = q, .e = e, .log = log};
	reorder(&c);
	for (size_t i = 0; i < log->n_run; i++)
		if (!build(&c, &log->run[i])) return stage_error(&log->run[i], e);
	return true;
}

static bool compile_expr(struct logql *q, struct logql_expr *x, struct err *e)
{
	switch (x->kind) {
	case LOGQL_LOG: return compile_log(q, x->log, e);
	case LOGQL_RANGE_AGG: return compile_log(q, x->range_agg.range->log, e);
	case LOGQL_VECTOR_AGG: return compile_expr(q, x->vector_agg.expr, e);
	case LOGQL_BINARY: return compile_expr(q, x->binary.left, e) && compile_expr(q, x->binary.right, e);
	case LOGQL_LABEL_REPLACE: return compile_expr(q, x->label_replace.expr, e);
	case LOGQL_VARIANTS:
		for (size_t i = 0; i < x->variants.n; i++)
			if (!compile_expr(q, x->variants.exprs[i], e)) return false;
		return compile_log(q, x->variants.range->log, e);
	case LOGQL_LITERAL:
	case LOGQL_VECTOR: return true;
	}
	return true;
}

bool logql_compile(struct logql *q, struct err *e)
{
	if (!q->compiled) q->compiled = compile_expr(q, q->root, e);
	return q->compiled;
}
