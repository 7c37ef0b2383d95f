/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/delete_filter.h"

#include "server/exec/plan.h"
#include "server/logql/logql.h"

#include <stdlib.h>

#define ROW_MEMORY (64u << 20)

struct filter {
	struct delete_query pub; /* first */
	struct arena arena;
	struct logql *ast;
	struct plan plan;
};

struct delete_run {
	const struct filter *f;
	struct arena arena; /* of the row */
	struct reader_stream stream;
	struct exec_batch batch;
	struct row row;
	uint16_t sel;
	struct op_local locals[]; /* per op */
};

static void filter_free(struct delete_query *q)
{
	struct filter *f = (struct filter *)q;
	logql_free(f->ast);
	arena_free(&f->arena);
	free(f);
}

static struct delete_query *filter_compile(struct str text, struct err *e)
{
	struct filter *f = mem_zalloc(sizeof *f);
	arena_init(&f->arena, 0);
	f->ast = logql_parse(&f->arena, arena_str(&f->arena, text), e);
	bool ok = f->ast &&
		  (logql_is_log(f->ast->root) || err_set(e, ERR_INVALID, "only log queries select entries")) &&
		  logql_compile(f->ast, e);
	if (!ok) {
		filter_free(&f->pub);
		return NULL;
	}
	plan_log(&f->arena, f->ast->root->log, &f->plan);
	f->pub = (struct delete_query){f->plan.selector, f->plan.filters, f->plan.n_ops > 0};
	return &f->pub;
}

static struct delete_run *run_start(const struct delete_query *q, const struct labels *stream)
{
	const struct filter *f = (const struct filter *)q;
	struct delete_run *r = mem_zalloc(sizeof *r + f->plan.n_ops * sizeof r->locals[0]);
	r->f = f;
	r->stream.labels = *stream;
	arena_init(&r->arena, ROW_MEMORY);
	r->batch = (struct exec_batch){.arena = &r->arena, .rows = &r->row, .sel = &r->sel, .n_rows = 1};
	for (size_t i = 0; i < f->plan.n_ops; i++) {
		const struct op *o = &f->plan.ops[i];
		r->locals[i].arena = &r->arena;
		if (o->kind->open) o->kind->open(o, &r->locals[i]);
	}
	return r;
}

static bool run_passes(struct delete_run *r, int64_t ts, struct str line, const struct labels *meta)
{
	struct row_base base = {.stream = &r->stream, .labels = r->stream.labels};
	arena_reset(&r->arena);
	row_base_meta(&r->arena, &base, meta, false);
	r->row = (struct row){.ts = ts, .line = line, .len = (uint32_t)line.n, .base = &base};
	r->sel = 0;
	r->batch.n_sel = 1;
	for (size_t i = 0; i < r->f->plan.n_ops && r->batch.n_sel; i++) {
		const struct op *o = &r->f->plan.ops[i];
		o->kind->run(o, &r->locals[i], &r->batch);
		if (arena_over(&r->arena)) return false;
	}
	return r->batch.n_sel > 0;
}

static void run_stop(struct delete_run *r)
{
	for (size_t i = 0; i < r->f->plan.n_ops; i++) {
		const struct op_kind *k = r->f->plan.ops[i].kind;
		if (k->close) k->close(&r->locals[i]);
	}
	arena_free(&r->arena);
	free(r);
}

const struct delete_lang delete_filter_lang = {filter_compile, filter_free, run_start, run_passes, run_stop};
