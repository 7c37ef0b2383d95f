/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pipeline stages as YAML, a NUL, lines: what compiles runs over the lines, in two batches, a tick and a flush, and
 * every origin comes out or is dropped as often as it was shared, and once more. */
#include "common/units.h"
#include "pipeline/custom_metrics.h"
#include "pipeline/pipeline.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 64
static size_t owed[LINES_MAX];

static void count(const struct entry *e)
{
	for (uint32_t i = 0; i < e->norigins; i++)
		if (!owed[e->origins[i].seq]--) abort();
}

static void shared(void *ud, const struct entry *e, size_t more)
{
	(void)ud;
	for (uint32_t i = 0; i < e->norigins; i++) owed[e->origins[i].seq] += more;
}

static void dropped(void *ud, const struct entry *e, struct str reason)
{
	(void)ud;
	if (!reason.p) abort();
	count(e);
}

static void done(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct labels *l = &b->v[i].labels;
		for (size_t k = 1; k < l->n; k++)
			if (str_cmp(l->v[k - 1].name, l->v[k].name) >= 0) abort();
		count(&b->v[i]);
	}
	arena_reset(b->arena);
	*b = (struct batch){.arena = b->arena};
}

static uint64_t feed(struct batch *b, struct str *lines, uint64_t seq, size_t n)
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
		owed[seq] = 1;
	}
	return seq;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str lines = str_of((const char *)data, size), text;
	struct arena conf, arena;
	struct clock_fake clock;
	struct err e = ERR_INIT;
	arena_init(&conf, 0);
	arena_init(&arena, 0);
	clock_fake_init(&clock, UNITS_SEC, 1);
	memset(owed, 0, sizeof owed);
	str_cut(&lines, '\0', &text);
	struct pipeline_env env = {.clock = &clock.base, .job = "t", .file = "f", .dropped = dropped, .shared = shared};
	env.metrics = custom_metrics_new(&clock.base);
	const struct yaml *n = yaml_parse(&conf, text, &e);
	struct pipeline *p = n ? pipeline_new(n, &env, &e) : NULL;
	if (p) {
		struct batch b = {.arena = &arena};
		uint64_t fed = feed(&b, &lines, 0, 8);
		pipeline_run(p, &b);
		done(&b);
		clock_fake_step(&clock, UNITS_SEC);
		pipeline_tick(p, &b);
		done(&b);
		fed = feed(&b, &lines, fed, LINES_MAX);
		pipeline_run(p, &b);
		done(&b);
		pipeline_flush(p, &b);
		done(&b);
		for (uint64_t i = 0; i < fed; i++)
			if (owed[i]) abort();
		struct buf out = {0};
		custom_metrics_expose(env.metrics, &out);
		buf_free(&out);
		pipeline_free(p);
	} else if (n && (e.code == ERR_NONE || !e.line)) {
		abort();
	}
	custom_metrics_free(env.metrics);
	arena_free(&conf);
	arena_free(&arena);
	return 0;
}
