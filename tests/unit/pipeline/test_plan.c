/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nobody reads is not extracted, and everything that somebody reads is. */
#include "tests/unit/pipeline/stage_run.h"

static void ignore(void *ud, const char *stage, const struct entry *before, const struct entry *after)
{
	(void)ud, (void)stage, (void)before, (void)after;
}

/* The names that were extracted from the line, in order; "dropped" if there is no entry. */
static void check_extracted(const char *stages, bool inspect, const char *line, const char *want)
{
	struct stage_run r;
	struct buf got = {0};
	struct label job = {STR("job"), STR("t")};
	if (!stage_run_open(&r, stages, NULL)) fail_msg("%s", r.e.msg);
	if (inspect) {
		pipeline_free(r.p);
		r.env.inspect = ignore;
		r.p = pipeline_new(yaml_parse(&r.conf, str_c(stages), &r.e), &r.env, &r.e);
	}
	struct batch b = {.arena = &r.batch};
	struct entry *e = batch_push(&b);
	e->line = str_c(line);
	e->labels = (struct labels){&job, 1};
	pipeline_run(r.p, &b);
	for (uint32_t i = 0; b.n && i < b.v[0].nextracted; i++)
		buf_printf(&got, "%s%.*s", i ? " " : "", STR_ARG(b.v[0].extracted[i].name));
	if (!b.n) buf_c(&got, "dropped");
	check_text(buf_cstr(&got), want);
	buf_free(&got);
	stage_run_close(&r);
}

#define REGEX   "{regex: {expression: '(?P<a>\\w)(?P<b>\\w)(?P<c>\\w)'}}"
#define JSON    "{json: {expressions: {a: , b: , c: 'c | d'}}}"
#define LOGFMT  "{logfmt: {mapping: {a: , b: , c: }}}"
#define PATTERN "{pattern: {pattern: '<a> <b> <c>'}}"

static void what_nobody_reads_is_left_out(void **state)
{
	(void)state;
	check_extracted("[" REGEX "]", false, "xyz", "");
	check_extracted("[" REGEX "]", true, "xyz", "a b c");
	check_extracted("[" REGEX ", {labels: {l: b}}]", false, "xyz", "b");
	check_extracted("[" JSON ", {labels: {l: b}}]", false, "{\"a\":1,\"b\":2}", "b");
	check_extracted("[" JSON ", {output: {source: c}}]", false, "{\"a\":1,\"b\":2}", "c");
	check_extracted("[" JSON "]", true, "{\"a\":1,\"b\":2}", "a b c");
	check_extracted("[" LOGFMT ", {tenant: {source: c}}]", false, "a=1 b=2 c=3", "c");
	check_extracted("[" LOGFMT "]", false, "a=1 b=2 c=3", "");
	check_extracted("[" PATTERN ", {drop: {source: [a, z], value: x}}]", false, "1 2 3", "a");
	check_extracted("[" PATTERN "]", false, "1 2 3", "");
	check_extracted("[{eventlogmessage: {source: job}}]", false, "x", "");
}

/* One of each kind of reader, behind a stage that extracts everything. */
static void what_somebody_reads_is_there(void **state)
{
	static const struct {
		const char *stages, *names;
	} rows[] = {
		{"{labels: {b: }}", "b"},
		{"{output: {source: b}}", "b"},
		{"{tenant: {source: b}}", "b"},
		{"{timestamp: {source: b, format: Unix}}", "b"},
		{"{structured_metadata: {x: b}}", "b"},
		{"{non_indexed_labels: {x: b}}", "b"},
		{"{pack: {labels: [b], ingest_timestamp: false}}", "b"},
		{"{drop: {source: [b, nope]}}, {labels: {c: }}", "b c"},
		{"{drop: {source: [b, c], expression: '^$'}}", "b c"},
		{"{luhn: {source: b}}", "b"},
		{"{split_json: {source: b}}", "b"},
		{"{template: {source: x, template: '{{ .b }}'}}", "b x"},
		{"{template: {source: b, template: '{{ .Value }}'}}", "b"},
		{"{template: {source: x, template: '{{ . }}'}}", "a b c x"},
		{"{template: {source: x, template: '{{ index . \"c\" }}'}}", "a b c x"},
		{"{replace: {expression: '(.)', source: b, replace: '{{ .c }}'}}", "b c"},
		{"{regex: {expression: '(?P<d>.)', source: b}}, {labels: {d: }}", "b d"},
		{"{json: {expressions: {d: }, source: b}}, {labels: {d: }}", "b"},
		{"{json: {expressions: {d: }, source: b, drop_malformed: true}}", "dropped"},
		{"{logfmt: {mapping: {d: }, source: b}}, {labels: {d: }}", "b"},
		{"{pattern: {pattern: '<d>', source: b}}, {labels: {d: }}", "b d"},
		{"{pattern: {pattern: '<d>', source: b, labels_from_groups: true}}", "b d"},
		{"{truncate: {rules: [{limit: 8, source_type: extracted, sources: [b]}]}}", "b"},
		{"{truncate: {rules: [{limit: 8, source_type: extracted}]}}", "a b c"},
		{"{eventlogmessage: {source: b}}, {labels: {a: }}", "a b c"},
		{"{eventlogmessage: {source: b, overwrite_existing: true}}, {labels: {a: }}", "a b"},
		{"{windowsevent: {source: b}}, {labels: {Description: }}", "a b c Description"},
		{"{match: {selector: '{job=\"t\"}', stages: [{labels: {b: }}]}}", "b job"},
		{"{match: {selector: '{job=\"x\"}', stages: [{regex: {expression: '(?P<a>.)', source: c}}]}}", ""},
		{"{match: {selector: '{job=\"x\"}', stages: [{regex: {expression: '(?P<d>.)', source: c}}]}}, "
		 "{labels: {d: }}",
		 "c"},
		{"{match: {selector: '{job=\"t\"}', action: drop}}, {labels: {b: }}", "dropped"},
		{"{cri: {}}, {multiline: {firstline: ^z}}, {decolorize: }, {labels: {c: }}", "c job"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char stages[512];
		snprintf(stages, sizeof stages, "[" REGEX ", %s]", rows[i].stages);
		check_extracted(stages, false, "xyz", rows[i].names);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_nobody_reads_is_left_out),
					   cmocka_unit_test(what_somebody_reads_is_there)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
