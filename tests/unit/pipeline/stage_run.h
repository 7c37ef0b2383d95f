/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stage_run: a list of stages as YAML and lines in, the entries that come out as text.
 *
 * Every line starts with the labels {job="t"}, a time of 1, 2, 3 … s after the epoch, and one origin (1, 2, 3 …). Out
 * comes one line per entry: {labels} line, and only if they are not as at the start: "@" and the time in ns, metadata,
 * "from" and the origins. What was dropped on purpose is noted as "reason:origins "; lines that became n entries more
 * as
 * "+n:origins " in `shared`. */
#ifndef LARCH_TESTS_UNIT_PIPELINE_STAGE_RUN_H
#define LARCH_TESTS_UNIT_PIPELINE_STAGE_RUN_H

#include "pipeline/pipeline.h"

#include "common/units.h"
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>

struct stage_run {
	struct clock_fake clock;
	struct arena conf, batch;
	struct pipeline_env env;
	struct pipeline *p;
	const char *labels;
	struct buf out, dropped, shared, warned;
	struct err e;
	uint64_t seq;
};

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline void stage_run_origins(struct buf *b, const struct entry *e)
{
	for (uint32_t i = 0; i < e->norigins; i++)
		buf_printf(b, "%s%llu", i ? "," : "", (unsigned long long)e->origins[i].seq);
}

static inline void stage_run_dropped(void *ud, const struct entry *e, struct str reason)
{
	struct stage_run *r = ud;
	buf_printf(&r->dropped, "%.*s:", STR_ARG(reason));
	stage_run_origins(&r->dropped, e);
	buf_ch(&r->dropped, ' ');
}

static inline void stage_run_shared(void *ud, const struct entry *e, size_t more)
{
	struct stage_run *r = ud;
	buf_printf(&r->shared, "+%zu:", more);
	stage_run_origins(&r->shared, e);
	buf_ch(&r->shared, ' ');
}

static inline void stage_run_warn(void *ud, const char *text)
{
	struct stage_run *r = ud;
	buf_printf(&r->warned, "%s\n", text);
}

/* Stages whose text begins with this are in Alloy's dialect. */
#define ALLOY "# alloy\n"

/* Wall clock: 2026-11-01T12:00:00Z. False: refused, r->e says why. */
static inline bool stage_run_open(struct stage_run *r, const char *stages, struct custom_metrics *metrics)
{
	*r = (struct stage_run){.labels = "{job=\"t\"}", .e = ERR_INIT};
	clock_fake_init(&r->clock, INT64_C(1793534400) * UNITS_SEC, 1);
	arena_init(&r->conf, 0);
	arena_init(&r->batch, 0);
	bool alloy = str_starts(str_c(stages), STR(ALLOY));
	r->env = (struct pipeline_env){.dialect = alloy ? PIPELINE_ALLOY : PIPELINE_PROMTAIL,
				       .clock = &r->clock.base,
				       .job = "t",
				       .file = "agent.yaml",
				       .ud = r,
				       .dropped = stage_run_dropped,
				       .shared = stage_run_shared,
				       .metrics = metrics,
				       .warn = stage_run_warn};
	struct yaml *n = yaml_parse(&r->conf, str_c(stages), &r->e);
	if (!n) fail_msg("%s: %s", stages, r->e.msg);
	r->p = pipeline_new(n, &r->env, &r->e);
	return r->p;
}

static inline void stage_run_close(struct stage_run *r)
{
	pipeline_free(r->p);
	arena_free(&r->conf);
	arena_free(&r->batch);
	buf_free(&r->out);
	buf_free(&r->dropped);
	buf_free(&r->shared);
	buf_free(&r->warned);
}

static inline void stage_run_text(struct stage_run *r, const struct entry *e)
{
	labels_print(&r->out, &e->labels);
	buf_printf(&r->out, " %.*s", STR_ARG(e->line));
	uint64_t first = e->norigins ? e->origins[0].seq : 0;
	if (e->norigins != 1 || e->ts != (int64_t)first * UNITS_SEC) buf_printf(&r->out, " @%lld", (long long)e->ts);
	if (e->meta.n) {
		buf_ch(&r->out, ' ');
		labels_print(&r->out, &e->meta);
	}
	if (e->norigins != 1) {
		buf_c(&r->out, " from ");
		stage_run_origins(&r->out, e);
	}
	buf_ch(&r->out, '\n');
}

/* What a call added to the batch; the batch is over afterwards. */
static inline const char *stage_run_done(struct stage_run *r, const struct batch *b)
{
	buf_clear(&r->out);
	for (size_t i = 0; i < b->n; i++) stage_run_text(r, &b->v[i]);
	arena_reset(&r->batch);
	return buf_cstr(&r->out);
}

static inline const char *stage_run_lines(struct stage_run *r, const char *const *lines)
{
	struct batch b = {.arena = &r->batch};
	struct labels l;
	if (!labels_parse(&r->batch, str_c(r->labels), &l, &r->e)) fail_msg("%s", r->e.msg);
	for (; *lines; lines++) {
		struct entry *e = batch_push(&b);
		e->line = arena_str(&r->batch, str_c(*lines)); /* dies with the batch, as a read buffer does */
		e->labels = l;
		e->ts = (int64_t)++r->seq * UNITS_SEC;
		e->origins = arena_alloc(&r->batch, sizeof *e->origins);
		*e->origins = (struct origin){r, r->seq};
		e->norigins = 1;
	}
	pipeline_run(r->p, &b);
	return stage_run_done(r, &b);
}

static inline const char *stage_run_tick(struct stage_run *r)
{
	struct batch b = {.arena = &r->batch};
	pipeline_tick(r->p, &b);
	return stage_run_done(r, &b);
}

static inline const char *stage_run_flush(struct stage_run *r)
{
	struct batch b = {.arena = &r->batch};
	pipeline_flush(r->p, &b);
	return stage_run_done(r, &b);
}

/* Lines through stages, and what is kept behind them. */
#define check_stages(stages, lines, want) check_stages_(stages, lines, want, __FILE__, __LINE__)
static inline void check_stages_(const char *stages, const char *const *lines, const char *want, const char *file,
				 int line)
{
	struct stage_run r;
	struct buf all = {0};
	if (!stage_run_open(&r, stages, NULL)) fail_msg("%s:%d: %s", file, line, r.e.msg);
	buf_c(&all, stage_run_lines(&r, lines));
	buf_c(&all, stage_run_flush(&r));
	check_str_(buf_view(&all), str_c(want), file, line);
	buf_free(&all);
	stage_run_close(&r);
}

/* The configuration is refused with this text; "": it is taken. */
#define check_refused(stages, want) check_refused_(stages, want, __FILE__, __LINE__)
static inline void check_refused_(const char *stages, const char *want, const char *file, int line)
{
	struct stage_run r;
	stage_run_open(&r, stages, NULL);
	check_str_(str_c(r.e.msg), str_c(want), file, line);
	stage_run_close(&r);
}

#endif
