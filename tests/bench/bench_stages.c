/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bench_stages FILE: what each stage costs a line, over the lines of a file: "NANOSECONDS STAGE" each. What an
 * empty pipeline costs is taken off; what extracts a stage's source is in its figure only where its name says so. */
#include "common/fs.h"
#include "common/units.h"
#include "pipeline/custom_metrics.h"
#include "pipeline/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH  512
#define ROUNDS 5

static const struct {
	const char *name, *stages;
} rows[] = {
	{"cri", "[{cri: {}}]"},
	{"decolorize", "[{decolorize: }]"},
	{"docker", "[{docker: {}}]"},
	{"drop", "[{drop: {expression: 'debug|trace'}}]"},
	{"eventlogmessage", "[{eventlogmessage: {source: job}}]"},
	{"json", "[{json: {expressions: {level: , msg: }}}]"},
	{"labelallow", "[{labelallow: [job]}]"},
	{"labeldrop", "[{labeldrop: [filename]}]"},
	{"labels", "[{labels: {copy: job}}]"},
	{"limit", "[{limit: {rate: 1e12, burst: 1000000000, drop: true}}]"},
	{"logfmt", "[{logfmt: {mapping: {level: , msg: }}}]"},
	{"luhn", "[{luhn: {}}]"},
	{"match", "[{match: {selector: '{job=\"bench\"} |= \"error\"', stages: [{static_labels: {a: b}}]}}]"},
	{"metrics", "[{metrics: {lines: {type: counter, config: {match_all: true, action: inc}}}}]"},
	{"multiline", "[{multiline: {firstline: '^\\S'}}]"},
	{"multiline, preset", "[{multiline: {preset: java}}]"},
	{"output", "[{output: {source: job}}]"},
	{"pack", "[{pack: {labels: [job], ingest_timestamp: false}}]"},
	{"pattern", "[{pattern: {pattern: '<a> <b> <_>'}}]"},
	{"regex", "[{regex: {expression: '(?P<level>INFO|WARN|ERROR|DEBUG|info|warn|error|debug)'}}]"},
	{"regex + labels",
	 "[{regex: {expression: '(?P<level>INFO|WARN|ERROR|DEBUG|info|warn|error|debug)'}}, {labels: {level: }}]"},
	{"replace", "[{replace: {expression: '(\\d+\\.\\d+\\.\\d+\\.\\d+)', replace: x}}]"},
	{"sampling", "[{sampling: {rate: 0.5}}]"},
	{"split_json", "[{split_json: {}}]"},
	{"static_labels", "[{static_labels: {env: prod}}]"},
	{"structured_metadata", "[{structured_metadata: {a: job}}]"},
	{"structured_metadata_drop", "[{structured_metadata_drop: [a]}]"},
	{"template", "[{template: {source: up, template: '{{ ToUpper .job }}'}}]"},
	{"tenant", "[{tenant: {value: a}}]"},
	{"timestamp", "[{timestamp: {source: at, format: RFC3339}}]"},
	{"truncate", "[{truncate: {rules: [{limit: 64}]}}]"},
};

static struct label labels[] = {{STR("at"), STR("2026-11-01T12:00:00.5Z")},
				{STR("filename"), STR("/var/log/a.log")},
				{STR("job"), STR("bench")}};

static int64_t cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * UNITS_SEC + t.tv_nsec;
}

/* All lines of text once; how many there were. */
static size_t run(struct pipeline *p, struct arena *a, struct str text)
{
	size_t n = 0;
	while (text.n) {
		struct batch b = {.arena = a};
		for (struct str line; text.n && b.n < BATCH; n++) {
			str_cut(&text, '\n', &line);
			struct entry *e = batch_push(&b);
			e->line = line;
			e->ts = (int64_t)n;
			e->labels = (struct labels){labels, sizeof labels / sizeof *labels};
		}
		pipeline_run(p, &b);
		arena_reset(a);
	}
	return n;
}

/* The best of some rounds, ns a line. */
static double measure(const char *stages, struct str text)
{
	struct err e = ERR_INIT;
	struct arena a, conf;
	struct custom_metrics *metrics = custom_metrics_new(&clock_real);
	struct pipeline_env env = {.clock = &clock_real, .job = "bench", .file = "bench", .metrics = metrics};
	double best = 1e18;
	arena_init(&a, 0);
	arena_init(&conf, 0);
	struct yaml *y = yaml_parse(&conf, str_c(stages), &e);
	struct pipeline *p = y ? pipeline_new(y, &env, &e) : NULL;
	if (!p) {
		fprintf(stderr, "%s: %s\n", stages, e.msg);
		exit(1);
	}
	for (int i = 0; i < ROUNDS; i++) {
		int64_t before = cpu_ns();
		size_t n = run(p, &a, text);
		double cost = (double)(cpu_ns() - before) / (double)(n ? n : 1);
		if (cost < best) best = cost;
	}
	pipeline_free(p);
	custom_metrics_free(metrics);
	arena_free(&conf);
	arena_free(&a);
	return best;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct buf text = {0};
	if (argc != 2) return fprintf(stderr, "usage: bench_stages FILE\n"), 2;
	if (!fs_read_file(&fs_real, argv[1], SIZE_MAX / 2, &text, &e)) return fprintf(stderr, "%s\n", e.msg), 1;
	double none = measure("[]", buf_view(&text));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		double cost = measure(rows[i].stages, buf_view(&text)) - none;
		printf("%.1f %s\n", cost > 0 ? cost : 0, rows[i].name);
	}
	buf_free(&text);
	return 0;
}
