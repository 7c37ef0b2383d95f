/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/rows.h"

#include "server/exec/op_scan.h"
#include "server/exec/query.h"

#include <stdlib.h>

struct exec_rows {
	struct query q;
	struct exec_query in;
	struct plan plan;
	struct store *st;
	struct exec_source src; /* snap NULL: it rests */
	struct scan_task task;
	struct op_scan *scan;
	struct exec_batch *b;
	size_t at; /* in its selection: the next row */
	struct exec_place place;
	uint64_t met; /* rows of the place's time and stream, while skipping to it */
	bool skipping, nothing;
	struct str warning;
};

/* The names under which Loki's parser has them. */
static const char *const expr_names[] = {
	[LOGQL_RANGE_AGG] = "RangeAggregationExpr",
	[LOGQL_VECTOR_AGG] = "VectorAggregationExpr",
	[LOGQL_BINARY] = "BinOpExpr",
	[LOGQL_LITERAL] = "LiteralExpr",
	[LOGQL_VECTOR] = "VectorExpr",
	[LOGQL_LABEL_REPLACE] = "LabelReplaceExpr",
	[LOGQL_VARIANTS] = "MultiVariantExpr",
};

bool rows_plan(struct query *q, struct plan *p, struct err *e)
{
	const struct logql_expr *root = q->ast->root;
	if (!logql_is_log(root))
		return err_set(e, ERR_INVALID, "unsupported query expression: want (LogSelectorExpr), got (*syntax.%s)",
			       expr_names[root->kind]);
	plan_log(&q->arena, root->log, p);
	if (!p->group && !p->sort) return true;
	return err_set(e, ERR_INVALID,
		       "sort, uniq and top look at all lines of an answer, which are never known here: leave them out");
}

/* Parses under the limits that count: the range is put in afterwards. */
static bool prepare(struct exec_rows *x, const struct exec_query *q, struct err *e)
{
	x->in.text = arena_str(&x->q.arena, q->text);
	x->in.start = x->in.end = x->in.limit = 0;
	bool ok = query_parse(&x->q, e) && rows_plan(&x->q, &x->plan, e);
	x->in.start = q->start;
	x->in.end = q->end;
	x->nothing = ok && !query_look_back(&x->q, &x->in);
	x->in.limits = NULL;
	return ok;
}

struct exec_rows *exec_rows_open(struct exec_engine *en, struct store *st, struct str tenant,
				 const struct exec_query *q, const struct exec_place *from, bool timed, struct err *e)
{
	struct exec_rows *x = mem_zalloc(sizeof *x);
	x->in = *q;
	x->in.sources = NULL;
	x->in.n_sources = 0;
	x->st = st;
	x->place = *from;
	query_begin(&x->q, en, &x->in);
	if (!timed) x->q.deadline_mono = 0;
	x->src.tenant = arena_str(&x->q.arena, tenant);
	bool ok = prepare(x, q, e);
	if (ok && !budget_take(&x->q.shared->bytes, EXEC_ROWS_BYTES)) ok = query_too_large(&x->q, e);
	if (ok) return x;
	query_end(&x->q);
	free(x);
	return NULL;
}

static bool wake(struct exec_rows *x, struct err *e)
{
	const struct exec_place *p = &x->place;
	int64_t from = x->in.start, to = x->in.end;
	if (p->n && x->in.forward && p->ts > from) from = p->ts;
	if (p->n && !x->in.forward && p->ts < to) to = p->ts + 1;
	x->skipping = p->n > 0;
	x->met = 0;
	x->src.snap = snapshot_take(x->st, x->src.tenant);
	x->task = (struct scan_task){.src = &x->src,
				     .matchers = x->plan.selector->v,
				     .n_matchers = x->plan.selector->n,
				     .from = from,
				     .to = to,
				     .columns = plan_columns(&x->plan, NULL)};
	x->scan = op_scan_open(&x->q, &x->plan, &x->task, x->in.forward, SCAN_BY_TIME, e);
	return x->scan != NULL;
}

void exec_rows_rest(struct exec_rows *x)
{
	op_scan_close(x->scan);
	x->scan = NULL;
	x->b = NULL;
	if (!x->src.snap) return;
	struct str w = snapshot_warning(x->src.snap);
	if (w.n && !x->warning.n) x->warning = arena_str(&x->q.arena, w);
	snapshot_free(x->src.snap);
	x->src.snap = NULL;
}

/* Has the row been given before? */
static bool is_behind(struct exec_rows *x, const struct row *r)
{
	const struct exec_place *p = &x->place;
	uint64_t stream = r->base->stream->hash;
	if (!x->skipping) return false;
	if (r->ts == p->ts && stream == p->stream) {
		x->skipping = ++x->met <= p->n;
		return x->skipping;
	}
	x->skipping = r->ts == p->ts && (x->in.forward ? stream < p->stream : stream > p->stream);
	return x->skipping;
}

static const struct row *next_row(struct exec_rows *x, struct err *e)
{
	if (!x->scan && !wake(x, e)) return NULL;
	for (;;) {
		while (x->b && x->at < x->b->n_sel) {
			const struct row *r = &x->b->rows[x->b->sel[x->at++]];
			if (!is_behind(x, r)) return r;
		}
		x->at = 0;
		if (!op_scan_next(x->scan, &x->b, e)) return NULL;
	}
}

bool exec_rows_next(struct exec_rows *x, struct kept **k, struct err *e)
{
	const struct row *r = x->nothing ? NULL : next_row(x, e);
	if (!r) {
		exec_rows_rest(x);
		x->nothing = true;
		return false;
	}
	struct exec_place *p = &x->place;
	uint64_t stream = r->base->stream->hash;
	uint64_t n = p->n && p->ts == r->ts && p->stream == stream ? p->n + 1 : 1;
	*p = (struct exec_place){r->ts, stream, n};
	*k = kept_new(x->b->arena, r, x->in.categorize);
	return true;
}

struct exec_place exec_rows_place(const struct exec_rows *x) { return x->place; }
struct str exec_rows_warning(const struct exec_rows *x) { return x->warning; }

void exec_rows_close(struct exec_rows *x)
{
	if (!x) return;
	exec_rows_rest(x);
	budget_give(&x->q.shared->bytes, EXEC_ROWS_BYTES);
	query_end(&x->q);
	free(x);
}
