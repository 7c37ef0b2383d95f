/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/plan.h"

#include <stdlib.h>

const struct op_kind *op_kind_of(enum logql_stage_kind k)
{
	const struct op_kind *const tables[] = {op_filter_kinds, op_parse_kinds, op_format_kinds};
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		if (tables[i][k].run) return &tables[i][k];
	return NULL;
}

bool op_is_parser(enum logql_stage_kind k) { return op_parse_kinds[k].run != NULL; }

/* ---- which labels are read ---- */

struct names {
	struct arena *a;
	struct str *v;
	size_t n, cap;
	bool any; /* nobody can say which */
};

static void names_add(struct names *s, struct str name)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->v[i], name)) return;
	*ARENA_PUSH(s->a, s->v, s->n, s->cap) = name;
}

/* A label that collides with one of the stream is read as name_extracted, but named by the line without. */
static void names_add_label(struct names *s, struct str name)
{
	names_add(s, name);
	if (str_ends(name, STR(ROW_EXTRACTED))) names_add(s, str_sub(name, 0, name.n - strlen(ROW_EXTRACTED)));
}

static void names_of_filter(struct names *s, const struct logql_filter *f)
{
	if (f->kind == LOGQL_FILTER_AND || f->kind == LOGQL_FILTER_OR) {
		names_of_filter(s, f->left);
		names_of_filter(s, f->right);
	} else {
		names_add_label(s, f->label);
	}
}

static void names_of_template(struct names *s, const struct template *t)
{
	const struct str *v;
	size_t n;
	if (!template_fields(t, &v, &n)) {
		s->any = true;
		return;
	}
	for (size_t i = 0; i < n; i++) names_add_label(s, v[i]);
}

static void names_of_stage(struct names *s, const struct logql_stage *st)
{
	if (st->kind == LOGQL_STAGE_LABEL_FILTER) names_of_filter(s, st->filter);
	if (st->kind == LOGQL_STAGE_LINE_FORMAT) names_of_template(s, st->line_template);
	if (st->kind != LOGQL_STAGE_LABEL_FORMAT) return;
	for (size_t i = 0; i < st->n_formats; i++) {
		if (st->formats[i].rename)
			names_add_label(s, st->formats[i].src);
		else
			names_of_template(s, st->formats[i].compiled);
	}
}

/* ---- operators ---- */

static void add_checks(struct arena *a, const struct logql_filter *f, struct op_hints *h)
{
	if (f->kind == LOGQL_FILTER_AND || f->kind == LOGQL_FILTER_OR) return;
	size_t cap = h->n_checks;
	h->checks = arena_grow(a, h->checks, h->n_checks, &cap, sizeof *h->checks);
	h->checks[h->n_checks++] = f;
}

/* line_format that nothing behind it looks at is left out where lines are only counted. */
static bool formats_for_nobody(const struct logql_log *log, size_t i, const struct plan *p)
{
	if (log->run[i].kind != LOGQL_STAGE_LINE_FORMAT || p->is_log || p->sample.value == PLAN_BYTES) return false;
	for (size_t k = i + 1; k < log->n_run; k++)
		if (op_is_parser(log->run[k].kind) || log->run[k].kind == LOGQL_STAGE_LINE_FILTERS ||
		    log->run[k].kind == LOGQL_STAGE_UNROLL)
			return false;
	return true;
}

static bool template_stage_reads_line(const struct logql_stage *st)
{
	if (st->kind == LOGQL_STAGE_LINE_FORMAT) return template_uses_line(st->line_template);
	if (st->kind != LOGQL_STAGE_LABEL_FORMAT) return false;
	for (size_t i = 0; i < st->n_formats; i++)
		if (!st->formats[i].rename && template_uses_line(st->formats[i].compiled)) return true;
	return false;
}

static void note_stage(struct plan *p, const struct logql_stage *st)
{
	bool parses = op_is_parser(st->kind);
	bool unrolls = st->kind == LOGQL_STAGE_UNROLL;
	if (parses || unrolls || st->kind == LOGQL_STAGE_LINE_FILTERS || st->kind == LOGQL_STAGE_DECOLORIZE ||
	    template_stage_reads_line(st))
		p->reads_line = true;
	if (st->kind != LOGQL_STAGE_LINE_FILTERS && st->kind != LOGQL_STAGE_DECOLORIZE) p->reads_labels = true;
	if (unrolls || st->kind == LOGQL_STAGE_LINE_FORMAT || st->kind == LOGQL_STAGE_DECOLORIZE ||
	    st->kind == LOGQL_STAGE_UNPACK)
		p->line_made = true;
}

static void build_ops(struct arena *a, const struct logql_log *log, struct plan *p)
{
	size_t i = 0;
	p->selector = &log->selector;
	p->ops = arena_alloc(a, (log->n_run + 1) * sizeof *p->ops);
	if (log->n_run && log->run[0].kind == LOGQL_STAGE_LINE_FILTERS) p->filters = log->run[i++].compiled_filters;
	for (; i < log->n_run; i++) {
		const struct logql_stage *st = &log->run[i];
		if (p->hints.skip_parsers && op_is_parser(st->kind)) continue;
		if (formats_for_nobody(log, i, p)) continue;
		if (logql_stage_ends(st->kind)) {
			*(st->kind == LOGQL_STAGE_SORT ? &p->sort : &p->group) = st;
			continue;
		}
		p->ops[p->n_ops++] = (struct op){op_kind_of(st->kind), st, &p->hints};
		note_stage(p, st);
	}
}

static void checks_of(struct arena *a, const struct logql_log *log, struct op_hints *h)
{
	for (size_t i = 0; i < log->n_run; i++)
		if (log->run[i].kind == LOGQL_STAGE_LABEL_FILTER) add_checks(a, log->run[i].filter, h);
}

void plan_log(struct arena *a, const struct logql_log *log, struct plan *p)
{
	*p = (struct plan){.is_log = true};
	checks_of(a, log, &p->hints);
	build_ops(a, log, p);
	p->reads_line = p->reads_labels = true;
}

/* ---- samples ---- */

static int by_text(const void *a, const void *b) { return str_cmp(*(const struct str *)a, *(const struct str *)b); }

static void set_group(struct arena *a, struct plan_sample *s, const struct logql_grouping *g, struct str unwrapped)
{
	s->group = !g ? PLAN_GROUP_ALL : g->without ? PLAN_GROUP_WITHOUT : g->n ? PLAN_GROUP_BY : PLAN_GROUP_NONE;
	if (s->group == PLAN_GROUP_NONE) return;
	size_t n = g ? g->n : 0;
	s->names = arena_alloc(a, (n + 1) * sizeof *s->names);
	for (size_t i = 0; i < n; i++) s->names[s->n_names++] = g->names[i];
	/* The unwrapped label is part of the series only where it is asked for by name. */
	if (s->group != PLAN_GROUP_BY && unwrapped.n) {
		s->group = PLAN_GROUP_WITHOUT;
		s->names[s->n_names++] = unwrapped;
	}
	if (s->n_names == 0) s->group = PLAN_GROUP_ALL;
	qsort(s->names, s->n_names, sizeof *s->names, by_text);
	size_t kept = 0;
	for (size_t i = 0; i < s->n_names; i++)
		if (i == 0 || !str_eq(s->names[i], s->names[i - 1])) s->names[kept++] = s->names[i];
	s->n_names = kept;
}

static void set_hints(struct arena *a, const struct logql_range *r, struct plan *p)
{
	struct names s = {.a = a};
	const struct plan_sample *sm = &p->sample;
	for (size_t i = 0; i < r->log->n_run; i++) names_of_stage(&s, &r->log->run[i]);
	if (r->unwrap) {
		names_add_label(&s, r->unwrap->label);
		for (size_t i = 0; i < r->unwrap->n_filters; i++) {
			names_of_filter(&s, r->unwrap->filters[i]);
			add_checks(a, r->unwrap->filters[i], &p->hints);
		}
	}
	if (sm->group == PLAN_GROUP_BY)
		for (size_t i = 0; i < sm->n_names; i++) names_add_label(&s, sm->names[i]);
	for (size_t i = 0; i < s.n; i++)
		if (str_eq(s.v[i], ROW_ERROR) || str_eq(s.v[i], ROW_DETAILS)) p->hints.preserve_errors = true;
	if (s.any || sm->group == PLAN_GROUP_ALL || sm->group == PLAN_GROUP_WITHOUT) return;
	p->hints.skip_parsers = sm->group == PLAN_GROUP_NONE && s.n == 0;
	p->hints.want = s.v;
	p->hints.n_want = s.n;
}

bool plan_pushes_group(const struct logql_expr *x)
{
	if (x->vector_agg.fn != LOGQL_SUM || x->vector_agg.expr->kind != LOGQL_RANGE_AGG) return false;
	const struct logql_expr *in = x->vector_agg.expr;
	switch (in->range_agg.fn) {
	case LOGQL_BYTES_OVER_TIME:
	case LOGQL_BYTES_RATE:
	case LOGQL_SUM_OVER_TIME:
	case LOGQL_RATE:
	case LOGQL_COUNT_OVER_TIME: return !in->range_agg.grouping.present;
	default: return false;
	}
}

void plan_range(struct arena *a, const struct logql_expr *x, const struct logql_grouping *outer, struct plan *p)
{
	static const struct logql_grouping none = {.present = true};
	const struct logql_range *r = x->range_agg.range;
	enum logql_range_fn fn = x->range_agg.fn;
	const struct logql_grouping *g = fn == LOGQL_ABSENT_OVER_TIME    ? &none
					 : outer                         ? outer
					 : x->range_agg.grouping.present ? &x->range_agg.grouping
									 : NULL;
	*p = (struct plan){.sample.unwrap = r->unwrap};
	bool bytes = fn == LOGQL_BYTES_OVER_TIME || fn == LOGQL_BYTES_RATE;
	p->sample.value = r->unwrap ? PLAN_UNWRAP : bytes ? PLAN_BYTES : PLAN_COUNT;
	set_group(a, &p->sample, g, r->unwrap ? r->unwrap->label : STR(""));
	set_hints(a, r, p);
	checks_of(a, r->log, &p->hints);
	build_ops(a, r->log, p);
	if (r->unwrap) p->reads_labels = true;
}

unsigned plan_columns(const struct plan *p, const struct labels *stream)
{
	unsigned want = 0;
	if (p->reads_line || p->filters) want |= SCAN_LINE;
	if (p->sample.value == PLAN_BYTES && !p->line_made) want |= SCAN_LEN;
	bool meta = p->reads_labels || p->sample.group == PLAN_GROUP_ALL || p->sample.group == PLAN_GROUP_WITHOUT;
	if (!meta && p->sample.group == PLAN_GROUP_BY) {
		for (size_t i = 0; i < p->sample.n_names && !meta; i++)
			meta = !stream || !labels_get(stream, p->sample.names[i]).p;
	}
	return meta ? want | SCAN_META : want;
}
