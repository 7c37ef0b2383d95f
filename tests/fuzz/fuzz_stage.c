/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pipeline stages as YAML (in Alloy's dialect if it begins with "# alloy"), a NUL, lines: what compiles runs over the
 * lines, in two batches, a tick and a flush. Every origin comes out or is dropped as often as it was shared, and once
 * more. A second pipeline that extracts everything (as for -inspect) gives the same entries as one that extracts only
 * what is read. */
#include "common/units.h"
#include "pipeline/custom_metrics.h"
#include "pipeline/pipeline.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 64
#define OUT_MAX   (1 << 22)

/* One run over the lines. */
struct run {
	struct clock_fake clock;
	struct arena arena;
	struct pipeline_env env;
	struct pipeline *p;
	size_t owed[LINES_MAX];
	struct buf out; /* what came of it */
};

static void count(struct run *r, const struct entry *e)
{
	for (uint32_t i = 0; i < e->norigins; i++)
		if (!r->owed[e->origins[i].seq]--) abort();
}

static void shared(void *ud, const struct entry *e, size_t more)
{
	struct run *r = ud;
	for (uint32_t i = 0; i < e->norigins; i++) r->owed[e->origins[i].seq] += more;
}

static void dropped(void *ud, const struct entry *e, struct str reason)
{
	struct run *r = ud;
	if (!reason.p) abort();
	count(r, e);
	buf_printf(&r->out, "dropped %.*s\n", STR_ARG(reason));
}

static void inspect(void *ud, const char *stage, const struct entry *before, const struct entry *after)
{
	(void)ud, (void)stage, (void)before, (void)after;
}

static void done(struct run *r, struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct entry *e = &b->v[i];
		for (size_t k = 1; k < e->labels.n; k++)
			if (str_cmp(e->labels.v[k - 1].name, e->labels.v[k].name) >= 0) abort();
		count(r, e);
		if (r->out.n > OUT_MAX) continue;
		labels_print(&r->out, &e->labels);
		buf_printf(&r->out, " %lld %.*s ", (long long)e->ts, STR_ARG(e->line));
		labels_print(&r->out, &e->meta);
		buf_ch(&r->out, '\n');
	}
	arena_reset(b->arena);
	*b = (struct batch){.arena = b->arena};
}

static uint64_t feed(struct run *r, struct batch *b, struct str *lines, uint64_t seq, size_t n)
{
	static struct label labels[] = {{STR("app"), STR("x")}, {STR("job"), STR("t")}};
	for (struct str line; n-- && lines->n && seq < LINES_MAX; seq++) {
		str_cut(lines, '\n', &line);
		struct entry *e = batch_push(b);
		e->line = arena_str(b->arena, line);
		e->labels = (struct labels){labels, 2};
		e->ts = (int64_t)seq;
		e->origins = arena_alloc(b->arena, sizeof *e->origins);
		*e->origins = (struct origin){NULL, seq};
		e->norigins = 1;
		r->owed[seq] = 1;
	}
	return seq;
}

static void run_all(struct run *r, struct str lines)
{
	struct batch b = {.arena = &r->arena};
	uint64_t fed = feed(r, &b, &lines, 0, 8);
	pipeline_run(r->p, &b);
	done(r, &b);
	clock_fake_step(&r->clock, UNITS_SEC);
	pipeline_tick(r->p, &b);
	done(r, &b);
	fed = feed(r, &b, &lines, fed, LINES_MAX);
	pipeline_run(r->p, &b);
	done(r, &b);
	pipeline_flush(r->p, &b);
	done(r, &b);
	for (uint64_t i = 0; i < fed; i++)
		if (r->owed[i]) abort();
	custom_metrics_expose(r->env.metrics, &r->out);
}

/* False: the stages do not compile. */
static bool run_open(struct run *r, const struct yaml *stages, enum pipeline_dialect dialect, bool all, struct err *e)
{
	*r = (struct run){0};
	clock_fake_init(&r->clock, UNITS_SEC, 1);
	arena_init(&r->arena, 0);
	r->env = (struct pipeline_env){.dialect = dialect,
				       .clock = &r->clock.base,
				       .job = "t",
				       .file = "f",
				       .ud = r,
				       .dropped = dropped,
				       .shared = shared,
				       .inspect = all ? inspect : NULL};
	r->env.metrics = custom_metrics_new(&r->clock.base);
	r->p = pipeline_new(stages, &r->env, e);
	return r->p;
}

static void run_close(struct run *r)
{
	pipeline_free(r->p);
	custom_metrics_free(r->env.metrics);
	arena_free(&r->arena);
	buf_free(&r->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run some, all;
	struct str lines = str_of((const char *)data, size), text;
	struct arena conf;
	struct err e = ERR_INIT;
	arena_init(&conf, 0);
	str_cut(&lines, '\0', &text);
	enum pipeline_dialect dialect = str_starts(text, STR("# alloy")) ? PIPELINE_ALLOY : PIPELINE_PROMTAIL;
	const struct yaml *n = yaml_parse(&conf, text, &e);
	if (n && run_open(&some, n, dialect, false, &e)) {
		run_all(&some, lines);
		if (!run_open(&all, n, dialect, true, &e)) abort();
		run_all(&all, lines);
		if (!str_eq(buf_view(&some.out), buf_view(&all.out))) abort();
		run_close(&all);
	} else if (n && (e.code == ERR_NONE || !e.line)) {
		abort();
	}
	if (n) run_close(&some);
	arena_free(&conf);
	return 0;
}
