/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pipeline: a compiled list of stages that entries run through, batch by batch.
 *
 * pipeline_new() compiles the YAML list of stages (spec pipeline-stages.md) and checks everything that a
 * start would check. pipeline_run() takes a batch in, changes it in place, and leaves in it what goes on:
 * entries a stage held back earlier may appear, entries may be kept for later. Order within a stream is
 * kept. Entries that a stage drops on purpose are reported to env.dropped with their origins, so that the
 * source knows that they are dealt with. Stages with timers (multiline, limit) name the next moment they
 * want to run. One thread. */
#ifndef LARCH_PIPELINE_PIPELINE_H
#define LARCH_PIPELINE_PIPELINE_H

#include "common/clock.h"
#include "common/err.h"
#include "common/yaml.h"
#include "pipeline/entry.h"

struct pipeline;
struct custom_metrics;
struct conf_table;

/* Whose stages are described, and so what they are called, which options they have, and what these mean. A list in
 * Alloy's dialect has the stages of loki.process as mappings: `stage.x { a = "b" }` is `- x: {a: "b"}`; blocks within a
 * stage (stage.match, rule, metric.counter) are lists under their names. There an unknown option is an error. */
enum pipeline_dialect { PIPELINE_PROMTAIL, PIPELINE_ALLOY };

struct pipeline_env {
	enum pipeline_dialect dialect;
	struct clock *clock;
	const char *job;  /* job_name, for messages and metrics */
	const char *file; /* configuration file, for error places */
	void *ud;
	/* An entry was dropped on purpose; reason is the metric's ("drop_stage", "match_stage", …). */
	void (*dropped)(void *ud, const struct entry *e, struct str reason);
	/* e was divided: so many entries more than one have its origins now, and each of them comes out or is dropped.
	 * May be NULL. */
	void (*shared)(void *ud, const struct entry *e, size_t more);
	struct custom_metrics *metrics; /* what the metrics stage counts into; NULL: nothing is counted */
	/* Warnings at load time (unknown key inside a stage). May be NULL. */
	void (*warn)(void *ud, const char *text);
	/* -inspect: called after each simple stage with the entry before and after; NULL: off. */
	void (*inspect)(void *ud, const char *stage, const struct entry *before, const struct entry *after);
};

/* stages: a YAML list, or NULL for none. e names file:line:column. env must outlive the pipeline. */
struct pipeline *pipeline_new(const struct yaml *stages, const struct pipeline_env *env, struct err *e);
void pipeline_free(struct pipeline *p); /* kept entries are dropped silently: call pipeline_flush first */

void pipeline_run(struct pipeline *p, struct batch *b);
/* Moment (clock_mono, ns) at which pipeline_tick should be called; INT64_MAX: never. */
int64_t pipeline_deadline(const struct pipeline *p);
/* Adds to b what is due now (multiline blocks whose wait is over); it has run through the rest of the stages. */
void pipeline_tick(struct pipeline *p, struct batch *b);
/* A stage holds back as many entries as it may (limit without drop): run no more until a tick has made room. */
bool pipeline_full(const struct pipeline *p);
/* Shutdown or end of a source: adds everything kept. */
void pipeline_flush(struct pipeline *p, struct batch *b);

/* The stage table, for --help and the manual. */
struct stage_info {
	const char *name, *doc;
	const struct conf_table *conf;  /* options; NULL: the body is a mapping of names of its own */
	bool bare;                      /* the body is the value of conf's only row */
	const char *alloy_name;         /* in that dialect; NULL: not there */
	const struct conf_table *alloy; /* options only of that dialect, NULL: none; of a bare stage, all */
};
const struct stage_info *pipeline_stages(size_t *n);

#endif
