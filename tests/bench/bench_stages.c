/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bench_stages FILE: what each stage costs a line, over the lines of a file: "NANOSECONDS STAGE" each. What an empty
 * pipeline costs is taken off. Values that nobody reads are not extracted, so what extracts is measured together with
 * what its name says. Lines for docker, cri and windowsevent are put into their formats first. */
#include "common/fs.h"
#include "common/json.h"
#include "common/units.h"
#include "pipeline/custom_metrics.h"
#include "pipeline/pipeline.h"
#include "tests/unit/pipeline/mmdb_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BATCH  512
#define ROUNDS 5

#define LEVEL    "(?P<level>INFO|WARN|ERROR|DEBUG|info|warn|error|debug)"
#define DATABASE "DATABASE" /* stands for the path of one */

enum dress { PLAIN, CRI, DOCKER };

static const struct {
	const char *name, *stages;
	enum dress dress;
} rows[] = {
	{"cri", "[{cri: {}}]", CRI},
	{"decolorize", "[{decolorize: }]"},
	{"docker", "[{docker: {}}]", DOCKER},
	{"drop", "[{drop: {expression: 'debug|trace'}}]"},
	{"eventlogmessage + labels", "[{eventlogmessage: {source: job}}, {labels: {a: }}]"},
#ifdef LARCH_MAXMINDDB
	{"geoip", "[{geoip: {db: " DATABASE ", source: ip, db_type: city}}]"},
#endif
	{"json + labels", "[{json: {expressions: {level: , msg: }}}, {labels: {level: , msg: }}]"},
	{"labelallow", "[{labelallow: [job]}]"},
	{"labeldrop", "[{labeldrop: [filename]}]"},
	{"labels", "[{labels: {copy: job}}]"},
	{"limit", "[{limit: {rate: 1e12, burst: 1000000000, drop: true}}]"},
	{"logfmt + labels", "[{logfmt: {mapping: {level: , msg: }}}, {labels: {level: , msg: }}]"},
	{"luhn", "[{luhn: {}}]"},
	{"match", "[{match: {selector: '{job=\"bench\"} |= \"error\"', stages: [{static_labels: {a: b}}]}}]"},
	{"metrics", "[{metrics: {lines: {type: counter, config: {match_all: true, action: inc}}}}]"},
	{"multiline", "[{multiline: {firstline: '^\\S'}}]"},
	{"multiline, java", "[{multiline: {preset: java}}]"},
	{"multiline, python", "[{multiline: {preset: python}}]"},
	{"multiline, go", "[{multiline: {preset: go}}]"},
	{"multiline, node", "[{multiline: {preset: node}}]"},
	{"multiline, ruby", "[{multiline: {preset: ruby}}]"},
	{"multiline, dotnet", "[{multiline: {preset: dotnet}}]"},
	{"non_indexed_labels", "[{non_indexed_labels: {a: job}}]"},
	{"output", "[{output: {source: job}}]"},
	{"pack", "[{pack: {labels: [job], ingest_timestamp: false}}]"},
	{"pattern + labels", "[{pattern: {pattern: '<a> <b> <_>'}}, {labels: {a: }}]"},
	{"regex + labels", "[{regex: {expression: '" LEVEL "'}}, {labels: {level: }}]"},
	{"regex + labels + timestamp + output",
	 "[{regex: {expression: '^(?P<msg>.*?" LEVEL ".*)'}}, {labels: {level: }}, "
	 "{timestamp: {source: at, format: RFC3339}}, {output: {source: msg}}]"},
	{"replace", "[{replace: {expression: '(\\d+\\.\\d+\\.\\d+\\.\\d+)', replace: x}}]"},
	{"sampling", "[{sampling: {rate: 0.5}}]"},
	{"split_json", "[{split_json: {}}]"},
	{"static_labels", "[{static_labels: {env: prod}}]"},
	{"structured_metadata", "[{structured_metadata: {a: job}}]"},
	{"structured_metadata_drop", "[{structured_metadata_drop: [a]}]"},
	{"template + output", "[{template: {source: up, template: '{{ ToUpper .job }}'}}, {output: {source: up}}]"},
	{"tenant", "[{tenant: {value: a}}]"},
	{"timestamp", "[{timestamp: {source: at, format: RFC3339}}]"},
	{"truncate", "[{truncate: {rules: [{limit: 64}]}}]"},
	{"windowsevent + labels", "[{windowsevent: {source: event}}, {labels: {d: Subject_Name}}]"},
};

static struct label labels[] = {{STR("at"), STR("2026-11-01T12:00:00.5Z")},
				{STR("event"), STR("Text.\r\n\r\nSubject:\r\n\tName:\tann\r\n\tID:\tS-1\r\n")},
				{STR("filename"), STR("/var/log/a.log")},
				{STR("ip"), STR("81.2.69.142")},
				{STR("job"), STR("bench")}};

/* The lines of text in another format. */
static void dress_up(struct str text, enum dress dress, struct buf *out)
{
	for (struct str line; text.n;) {
		struct json_out o;
		str_cut(&text, '\n', &line);
		if (dress == CRI) {
			buf_printf(out, "2026-11-01T12:00:00.123456789Z stdout F %.*s", STR_ARG(line));
		} else {
			buf_c(out, "{\"log\":");
			json_out_init(&o, out, true);
			json_put_str(&o, line);
			buf_c(out, ",\"stream\":\"stdout\",\"time\":\"2026-11-01T12:00:00.123456789Z\"}");
		}
		buf_ch(out, '\n');
	}
}

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
	struct buf text = {0}, dressed[3] = {0};
	char db[] = "/tmp/larch-bench-XXXXXX";
	if (argc != 2) return fprintf(stderr, "usage: bench_stages FILE\n"), 2;
	if (!fs_read_file(&fs_real, argv[1], SIZE_MAX / 2, &text, &e)) return fprintf(stderr, "%s\n", e.msg), 1;
	close(mkstemp(db));
	mmdb_save_example(db);
	double none[3];
	for (enum dress d = PLAIN; d <= DOCKER; d++) {
		if (d == PLAIN)
			buf_str(&dressed[d], buf_view(&text));
		else
			dress_up(buf_view(&text), d, &dressed[d]);
		none[d] = measure("[]", buf_view(&dressed[d]));
	}
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf stages = {0};
		const char *at = strstr(rows[i].stages, DATABASE);
		buf_add(&stages, rows[i].stages, at ? (size_t)(at - rows[i].stages) : strlen(rows[i].stages));
		if (at) buf_printf(&stages, "%s%s", db, at + strlen(DATABASE));
		double cost = measure(buf_cstr(&stages), buf_view(&dressed[rows[i].dress])) - none[rows[i].dress];
		printf("%.1f %s\n", cost > 0 ? cost : 0, rows[i].name);
		buf_free(&stages);
	}
	for (enum dress d = PLAIN; d <= DOCKER; d++) buf_free(&dressed[d]);
	buf_free(&text);
	return unlink(db) != 0;
}
