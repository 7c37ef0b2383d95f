/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/op.h"

#include "pipeline/extract/logfmt.h"

void op_row_fail(const struct op *o, struct arena *a, struct row *r, struct str error, struct str details)
{
	r->error = error;
	if (details.n) r->details = details;
	if (o->hints->preserve_errors) row_set(a, r, ROW_PRESERVE, STR("true"));
}

static bool passes_checks(const struct op_hints *h, struct arena *a, struct row *r, struct str name)
{
	for (size_t i = 0; i < h->n_checks; i++)
		if (str_eq(h->checks[i]->label, name) && !op_filter_row(h->checks[i], a, r)) return false;
	return true;
}

/* Takes over what a parser found. named: the query names the labels itself, so that the last value counts.
 * False: the row is out. */
static bool take(const struct op *o, struct op_local *l, struct exec_batch *b, struct row *r, bool named)
{
	const struct extract *x = &l->x;
	for (size_t i = 0; i < x->n; i++) {
		struct str name = x->v[i].name;
		if (named) {
			if (row_base_has(r, name)) name = arena_printf(b->arena, "%.*s" ROW_EXTRACTED, STR_ARG(name));
			row_set(b->arena, r, name, x->v[i].value);
		} else {
			name = row_put(b->arena, r, name, x->v[i].value);
		}
		if (name.n && !passes_checks(o->hints, b->arena, r, name)) return false;
	}
	if (x->error) op_row_fail(o, b->arena, r, str_c(x->error), x->detail);
	return true;
}

static void parse_open(const struct op *o, struct op_local *l)
{
	extract_init(&l->x, l->arena, o->hints->want, o->hints->n_want);
}

static void parse_close(struct op_local *l) { extract_free(&l->x); }

#define EACH_ROW(expr)                                                                                                 \
	do {                                                                                                           \
		size_t n_ = 0;                                                                                         \
		for (size_t i_ = 0; i_ < b->n_sel; i_++) {                                                             \
			struct row *r = &b->rows[b->sel[i_]];                                                          \
			extract_reset(&l->x);                                                                          \
			if (expr) b->sel[n_++] = b->sel[i_];                                                           \
		}                                                                                                      \
		b->n_sel = n_;                                                                                         \
	} while (0)

static void json_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	if (o->stage->n_exprs)
		EACH_ROW((extract_json_paths(o->stage->paths, r->line, &l->x), take(o, l, b, r, true)));
	else
		EACH_ROW((extract_json(r->line, &l->x), take(o, l, b, r, false)));
}

static void logfmt_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	const struct logql_stage *s = o->stage;
	if (s->n_exprs)
		EACH_ROW((extract_logfmt_keys(s->exprs, s->n_exprs, r->line, s->logfmt_flags, &l->x),
			  take(o, l, b, r, true)));
	else
		EACH_ROW((extract_logfmt(r->line, s->logfmt_flags, &l->x), take(o, l, b, r, false)));
}

static void regexp_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	EACH_ROW((extract_regexp(o->stage->re, r->line, &l->x), take(o, l, b, r, false)));
}

static void pattern_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	EACH_ROW((extract_pattern(o->stage->pattern, r->line, &l->x), take(o, l, b, r, false)));
}

static bool unpack_row(const struct op *o, struct op_local *l, struct exec_batch *b, struct row *r)
{
	struct str entry;
	bool packed = r->line.n && extract_unpack(r->line, &l->x, &entry);
	if (!take(o, l, b, r, false)) return false;
	if (packed) r->line = entry;
	return true;
}

static void unpack_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	EACH_ROW(unpack_row(o, l, b, r));
}

#define PARSER(fn)                                                                                                     \
	{                                                                                                              \
		.open = parse_open, .run = (fn), .close = parse_close                                                  \
	}

const struct op_kind op_parse_kinds[] = {
	[LOGQL_STAGE_JSON] = PARSER(json_run),     [LOGQL_STAGE_LOGFMT] = PARSER(logfmt_run),
	[LOGQL_STAGE_REGEXP] = PARSER(regexp_run), [LOGQL_STAGE_PATTERN] = PARSER(pattern_run),
	[LOGQL_STAGE_UNPACK] = PARSER(unpack_run), [LOGQL_STAGE_KINDS] = {0},
};
