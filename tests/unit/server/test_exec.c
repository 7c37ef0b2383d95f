/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/exec.h"

#include "common/units.h"
#include "tests/unit/check.h"
#include "tests/unit/server/fake_reader.h"

#include <stdio.h>

/* Every query runs on engines with no, one and seven helpers, with and without line filters in the reader; the
 * answers, printed as text, must be the same and be what is expected. Times are in seconds. */

#define SEC(t) ((int64_t)(t)*UNITS_SEC)

static const unsigned helpers[] = {0, 1, 7};

struct fixture {
	struct store store;
	struct exec_engine *engines[3];
	struct limits limits;
};

static void add(struct fixture *f, const char *labels, int64_t t, const char *line, const char *meta)
{
	fake_add(&f->store, "fake", labels, SEC(t), str_c(line), meta);
}

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof *f);
	fake_init(&f->store);
	static struct conf_strs approx;
	static struct str approx_name[1];
	approx_name[0] = STR("approx_topk");
	approx = (struct conf_strs){approx_name, 1};
	f->limits = (struct limits){.max_query_series = 500,
				    .max_entries_limit_per_query = 5000,
				    .max_streams_matchers_per_query = 5,
				    .enable_multi_variant_queries = true,
				    .shard_aggregations = approx};
	for (size_t i = 0; i < 3; i++)
		f->engines[i] = exec_engine_new(&(struct exec_config){helpers[i], &clock_real, 0});
	add(f, "{app=\"web\",host=\"a\"}", 10, "level=info status=200 took=10ms size=1kB path=/a", "{}");
	add(f, "{app=\"web\",host=\"b\"}", 20, "level=error status=500 took=1.5s size=20 path=/b", "{}");
	add(f, "{app=\"web\",host=\"a\"}", 30, "level=error status=503 took=2s size=3KiB path=/a", "{}");
	add(f, "{app=\"web\",host=\"b\"}", 30, "level=info status=200 took=20ms size=4kB path=/c", "{}");
	add(f, "{app=\"web\",host=\"a\"}", 40, "level=warn status=404 took=oops size=5kB path=/a", "{}");
	add(f, "{app=\"shop\"}", 15, "{\"level\":\"info\",\"n\":4,\"o\":{\"k\":\"x\"},\"app\":\"inner\"}",
	    "{user=\"1\"}");
	add(f, "{app=\"shop\"}", 25, "{\"level\":\"warn\",\"n\":1,\"o\":{\"k\":\"y\"}}", "{user=\"2\",app=\"meta\"}");
	add(f, "{app=\"shop\"}", 35, "{\"level\":\"info\",\"n\":7", "{user=\"1\"}");
	add(f, "{app=\"packed\"}", 13, "{\"pod\":\"p\",\"_entry\":\"x=1\"}", "{}");
	add(f, "{app=\"plain\"}", 12, "\x1b[31mred\x1b[0m plain", "{}");
	add(f, "{app=\"plain\"}", 12, "second of two", "{}");
	fake_add(&f->store, "other", "{app=\"web\",host=\"z\"}", SEC(11), STR("level=info status=201"), "{}");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 3; i++) exec_engine_free(f->engines[i]);
	fake_free(&f->store);
	free(f);
	return 0;
}

/* ---- answers as text ---- */

static void print_labels(struct buf *b, const struct labels *l)
{
	buf_ch(b, '{');
	for (size_t i = 0; i < l->n; i++)
		buf_printf(b, "%s%.*s=%.*s", i ? " " : "", STR_ARG(l->v[i].name), STR_ARG(l->v[i].value));
	buf_ch(b, '}');
}

static void print_result(struct buf *b, const struct exec_result *r, bool categorize)
{
	for (size_t i = 0; i < r->n_streams; i++) {
		print_labels(b, &r->streams[i].labels);
		for (size_t k = 0; k < r->streams[i].n; k++) {
			const struct exec_entry *e = &r->streams[i].v[k];
			buf_printf(b, " %lld:%.*s", (long long)(e->ts / UNITS_SEC), STR_ARG(e->line));
			if (!categorize) continue;
			print_labels(b, &e->meta);
			print_labels(b, &e->parsed);
		}
		buf_ch(b, '\n');
	}
	for (size_t i = 0; i < r->n_series; i++) {
		print_labels(b, &r->series[i].labels);
		for (size_t k = 0; k < r->series[i].n; k++) {
			buf_printf(b, " %lld:", (long long)(r->series[i].v[k].ts / UNITS_SEC));
			buf_f64(b, r->series[i].v[k].v);
		}
		buf_ch(b, '\n');
	}
}

static struct exec_query base(struct fixture *f, const char *text, struct exec_source *src)
{
	*src = (struct exec_source){STR("fake"), snapshot_take(&f->store, STR("fake"))};
	return (struct exec_query){
		.text = str_c(text),
		.start = SEC(10),
		.end = SEC(50),
		.step = SEC(10),
		.limit = 100,
		.forward = true,
		.sources = src,
		.n_sources = 1,
		.limits = &f->limits,
	};
}

static void run_all(struct fixture *f, const struct exec_query *q, const char *want)
{
	struct buf got = {0};
	for (size_t i = 0; i < 6; i++) {
		struct err e = ERR_INIT;
		f->store.filters = i % 2;
		f->store.rows = i < 4 ? 3 : 1;
		buf_clear(&got);
		struct exec_result *r = exec_run(f->engines[i / 2], q, &e);
		if (r)
			print_result(&got, r, q->categorize);
		else
			buf_printf(&got, "%s: %s", err_info(e.code)->name, e.msg);
		exec_result_free(r);
		if (strcmp(buf_cstr(&got), want) != 0)
			fail_msg("%.*s\nwant: %s\ngot:  %s", STR_ARG(q->text), want, buf_cstr(&got));
	}
	buf_free(&got);
}

struct row {
	const char *query, *want;
};

static void run_rows(struct fixture *f, const struct row *rows, size_t n, bool instant)
{
	for (size_t i = 0; i < n; i++) {
		struct exec_source src;
		struct exec_query q = base(f, rows[i].query, &src);
		q.instant = instant;
		run_all(f, &q, rows[i].want);
		snapshot_free(src.snap);
	}
}

#define ROWS(state, rows, instant) run_rows(*(state), rows, sizeof(rows) / sizeof *(rows), instant)

/* ---- log queries ---- */

static void filters(void **state)
{
	static const struct row rows[] = {
		{"{app=\"web\"} |= \"status=200\" | keep host",
		 "{host=a} 10:level=info status=200 took=10ms size=1kB path=/a\n"
		 "{host=b} 30:level=info status=200 took=20ms size=4kB path=/c\n"},
		{"{app=\"plain\"} != \"red\"", "{app=plain} 12:second of two\n"},
		{"{app=~\"web|plain\"} |~ \"status=5..\" | keep app",
		 "{app=web} 20:level=error status=500 took=1.5s size=20 path=/b "
		 "30:level=error status=503 took=2s size=3KiB path=/a\n"},
		{"{app=\"web\"} | logfmt | status >= 500 | line_format \"{{.status}}\" | keep host",
		 "{host=a} 30:503\n{host=b} 20:500\n"},
		{"{app=\"web\"} | logfmt | took > 1s | line_format \"{{.took}}\" | keep host",
		 "{__error__=LabelFilterErr __error_details__=time: invalid duration \"oops\" host=a} "
		 "40:oops\n{host=a} 30:2s\n"
		 "{host=b} 20:1.5s\n"},
		{"{app=\"web\"} | logfmt | size > 3KB | line_format \"{{.size}}\" | keep host",
		 "{host=a} 30:3KiB 40:5kB\n{host=b} 30:4kB\n"},
		{"{app=\"web\"} | logfmt | level=\"error\" or status=404 and host=\"a\" | line_format \"{{.status}}\" "
		 "| keep app",
		 "{app=web} 20:500 30:503 40:404\n"},
		{"{app=\"web\"} | logfmt | level=\"info\" | status!=200 | nope=\"x\"", ""},
		{"{app=\"web\"} | nope > 5", ""},
		{"{app=\"web\"} | logfmt | level > 5 | __error__=\"\"", ""},
		{"{app=\"web\"} | logfmt | level!~\"err.*|warn\" | line_format \"-\" | keep level",
		 "{level=info} 10:- 30:-\n"},
		{"{app=\"none\"}", ""},
	};
	ROWS(state, rows, false);
}

static void parsers(void **state)
{
	static const struct row rows[] = {
		{"{app=\"web\"} | logfmt | line_format \"{{.path}}\" | keep host, level",
		 "{host=a level=error} 30:/a\n{host=a level=info} 10:/a\n{host=a level=warn} 40:/a\n"
		 "{host=b level=error} 20:/b\n{host=b level=info} 30:/c\n"},
		{"{app=\"web\"} | logfmt where=\"path\", host=\"level\" | line_format \"-\" | drop app, detected_level",
		 "{host=a host_extracted=error where=/a} 30:-\n{host=a host_extracted=info where=/a} 10:-\n"
		 "{host=a host_extracted=warn where=/a} 40:-\n{host=b host_extracted=error where=/b} 20:-\n"
		 "{host=b host_extracted=info where=/c} 30:-\n"},
		{"{app=\"shop\"} | json | line_format \"-\" | drop __error_details__, level",
		 "{__error__=JSONParserErr app=shop n=7 user=1} 35:-\n{app=shop app_extracted=inner n=4 o_k=x user=1} "
		 "15:-\n"
		 "{app=shop app_extracted=meta n=1 o_k=y user=2} 25:-\n"},
		{"{app=\"shop\"} | json k=\"o.k\", none | line_format \"-\" | __error__=\"\" | drop app, "
		 "app_extracted, user",
		 "{k= none=} 35:-\n{k=x none=} 15:-\n{k=y none=} 25:-\n"},
		{"{app=\"web\"} | regexp \"status=(?P<code>.)..\" | line_format \"-\" | code=\"5\" | keep host, code",
		 "{code=5 host=a} 30:-\n{code=5 host=b} 20:-\n"},
		{"{app=\"web\"} | pattern \"level=<l> <_> path=<host>\" | line_format \"-\" | l=\"info\" | drop app",
		 "{host=a host_extracted=/a l=info} 10:-\n{host=b host_extracted=/c l=info} 30:-\n"},
		{"{app=\"packed\"} | unpack", "{app=packed pod=p} 13:x=1\n"},
		{"{app=\"packed\"} | unpack | logfmt | line_format \"{{.x}}\" | drop pod", "{app=packed x=1} 13:1\n"},
		/* The first value found decides at once, whatever is made of it later. */
		{"{app=\"web\"} | logfmt | label_format level=\"x\" | level=\"x\"", ""},
	};
	ROWS(state, rows, false);
}

static void formats(void **state)
{
	static const struct row rows[] = {
		{"{app=\"web\",host=\"b\"} | label_format a=\"{{.host}}\", b=\"<{{.a}}>\", app=host | line_format "
		 "\"-\"",
		 "{a=b app=b b=<>} 20:- 30:-\n"},
		{"{app=\"web\",host=\"b\"} | label_format nope=nothing | line_format \"{{.host | ToUpper}}\"",
		 "{app=web host=b} 20:B 30:B\n"},
		{"{app=\"plain\"} | line_format \"{{ .x.y }}\" | keep __error__ | drop __error_details__",
		 "{__error__=TemplateFormatErr} 12:\x1b[31mred\x1b[0m plain 12:second of two\n"},
		{"{app=\"plain\"} | decolorize", "{app=plain} 12:red plain 12:second of two\n"},
		{"{app=\"web\"} | logfmt | drop level=\"error\", took, size, path, app | line_format \"-\"",
		 "{host=a level=info status=200} 10:-\n{host=a level=warn status=404} 40:-\n{host=a status=503} 30:-\n"
		 "{host=b level=info status=200} 30:-\n{host=b status=500} 20:-\n"},
		{"{app=\"web\"} | logfmt | keep level=\"error\", host=~\"a.*\" | line_format \"-\"",
		 "{host=a level=error} 30:-\n{host=a} 10:- 40:-\n{level=error} 20:-\n{} 30:-\n"},
	};
	ROWS(state, rows, false);
}

static void limits_and_order(void **state)
{
	struct fixture *f = *state;
	struct exec_source src;
	struct exec_query q =
		base(f, "{app=~\"web|plain\"} | keep app | line_format \"{{__timestamp__ | unixEpoch}}\"", &src);
	run_all(f, &q, "{app=plain} 12:12 12:12\n{app=web} 10:10 20:20 30:30 30:30 40:40\n");
	q.limit = 3;
	run_all(f, &q, "{app=plain} 12:12 12:12\n{app=web} 10:10\n");
	q.forward = false;
	run_all(f, &q, "{app=web} 40:40 30:30 30:30\n");
	q.limit = 2;
	run_all(f, &q, "{app=web} 40:40 30:30\n");
	q.limit = 100;
	q.interval = SEC(10);
	run_all(f, &q, "{app=web} 40:40 30:30 20:20 10:10\n");
	q.forward = true;
	run_all(f, &q, "{app=web} 10:10 20:20 30:30 40:40\n");
	q.interval = 0;
	q.end = SEC(40);
	q.start = SEC(20);
	run_all(f, &q, "{app=web} 20:20 30:30 30:30\n");
	q.end = q.start;
	run_all(f, &q, "{app=web} 20:20\n");
	snapshot_free(src.snap);
}

static void categories(void **state)
{
	struct fixture *f = *state;
	struct exec_source src;
	struct exec_query q =
		base(f, "{app=\"shop\"} | json | line_format \"-\" | drop __error_details__, level, o_k", &src);
	q.categorize = true;
	run_all(f, &q,
		"{app=shop} 15:-{user=1}{app_extracted=inner n=4} 25:-{app_extracted=meta user=2}{n=1} "
		"35:-{user=1}{__error__=JSONParserErr n=7}\n");
	snapshot_free(src.snap);
}

static void tenants(void **state)
{
	struct fixture *f = *state;
	struct exec_source src[] =
		{
			{STR("fake"), snapshot_take(&f->store, STR("fake"))},
			{STR("other"), snapshot_take(&f->store, STR("other"))},
		},
			   one;
	struct exec_query q = base(f, "sum by (__tenant_id__) (count_over_time({app=\"web\"}[10s]))", &one);
	q.sources = src;
	q.n_sources = 2;
	run_all(f, &q, "{__tenant_id__=fake} 10:1 20:1 30:2 40:1\n{__tenant_id__=other} 20:1\n");
	q.text = STR("{app=\"web\", __tenant_id__=~\"o.*\"}");
	run_all(f, &q, "{__tenant_id__=other app=web host=z} 11:level=info status=201\n");
	for (size_t i = 0; i < 2; i++) snapshot_free(src[i].snap);
	snapshot_free(one.snap);
}

/* ---- samples ---- */

static void counts(void **state)
{
	static const struct row rows[] = {
		{"count_over_time({app=\"web\"}[10s])",
		 "{app=web host=a} 10:1 30:1 40:1\n{app=web host=b} 20:1 30:1\n"},
		{"sum(rate({app=\"web\"}[20s]))", "{} 10:0.05 20:0.1 30:0.15 40:0.15 50:0.05\n"},
		{"sum by (level) (count_over_time({app=\"web\"} | logfmt [20s]))",
		 "{level=error} 20:1 30:2 40:1\n{level=info} 10:1 20:1 30:1 40:1\n{level=warn} 40:1 50:1\n"},
		{"bytes_over_time({app=\"plain\"}[10s])", "{app=plain} 20:31\n"},
		{"bytes_over_time({app=\"plain\"} | decolorize [10s])", "{app=plain} 20:22\n"},
		{"bytes_rate({app=\"plain\"}[10s] offset 10s)", "{app=plain} 30:3.1\n"},
		{"bytes_over_time({app=\"plain\"} | line_format \"{{.app}}!\" [10s])", "{app=plain} 20:12\n"},
		{"absent_over_time({app=\"plain\"}[10s])", "{app=plain} 10:1 30:1 40:1 50:1\n"},
		{"absent_over_time({app=\"none\", x!=\"\", x=\"y\", k=\"v\"}[10s])",
		 "{app=none k=v} 10:1 20:1 30:1 40:1 50:1\n"},
		{"count_over_time({app=\"shop\"}[1m] offset 5s)",
		 "{app=shop app_extracted=meta user=2} 30:1 40:1 50:1\n{app=shop user=1} 20:1 30:1 40:2 50:2\n"},
		{"count_over_time({app=\"web\"}[0s])", ""},
		{"count_over_time({app=\"web\"}[10s] offset -10s)",
		 "{app=web host=a} 20:1 30:1\n{app=web host=b} 10:1 20:1\n"},
	};
	ROWS(state, rows, false);
}

static void unwrapped(void **state)
{
#define WEB "{app=\"web\"} | logfmt | "
	static const struct row rows[] = {
		{"sum by (host) (sum_over_time(" WEB "unwrap status [20s]))",
		 "{host=a} 10:200 20:200 30:503 40:907 50:404\n{host=b} 20:500 30:700 40:200\n"},
		{"avg_over_time(" WEB "unwrap status [20s]) by (app)",
		 "{app=web} 10:200 20:350 30:401 40:369 50:404\n"},
		{"min_over_time(" WEB "unwrap status [1m]) by (host)",
		 "{host=a} 10:200 20:200 30:200 40:200 50:200\n{host=b} 20:500 30:200 40:200 50:200\n"},
		{"max_over_time(" WEB "unwrap bytes(size) [1m]) by (app)",
		 "{app=web} 10:1000 20:1000 30:4000 40:5000 50:5000\n"},
		{"first_over_time(" WEB "unwrap status [1m]) by (host)",
		 "{host=a} 10:200 20:200 30:200 40:200 50:200\n{host=b} 20:500 30:500 40:500 50:500\n"},
		{"last_over_time(" WEB "unwrap status [1m]) by (host)",
		 "{host=a} 10:200 20:200 30:503 40:404 50:404\n{host=b} 20:500 30:200 40:200 50:200\n"},
		{"stdvar_over_time(" WEB "unwrap status [1m]) by (host)",
		 "{host=a} 10:0 20:0 30:22952.25 40:15914 50:15914\n{host=b} 20:0 30:22500 40:22500 50:22500\n"},
		{"quantile_over_time(0.5, " WEB "unwrap status [1m]) by (host)",
		 "{host=a} 10:200 20:200 30:351.5 40:404 50:404\n{host=b} 20:500 30:350 40:350 50:350\n"},
		{"quantile_over_time(2, {app=\"shop\"} | json | unwrap n | __error__=\"\" [1m]) by (app)",
		 "{app=shop} 20:+Inf 30:+Inf 40:+Inf 50:+Inf\n"},
		{"rate(" WEB "drop level, took, size, path | unwrap status [20s])",
		 "{app=web host=a} 10:10 20:10 30:25.15 40:45.35 50:20.2\n{app=web host=b} 20:25 30:35 40:10\n"},
		{"sum_over_time(" WEB "keep host, took | unwrap duration(took) | __error__=\"\" [10s])",
		 "{host=a} 10:0.01 30:2\n{host=b} 20:1.5 30:0.02\n"},
		{"sum_over_time({app=\"shop\"} | unwrap user [10s])",
		 "{app=shop} 20:1 40:1\n{app=shop app_extracted=meta} 30:2\n"},
		{"sum_over_time(" WEB "unwrap nope [10s])", ""},
	};
	ROWS(state, rows, false);
}

static void vectors(void **state)
{
#define C "count_over_time({app=\"web\"} | logfmt | keep host, level [1m])"
	static const struct row rows[] = {
		{C, "{host=a level=error} 50:1\n{host=a level=info} 50:1\n{host=a level=warn} 50:1\n{host=b "
		    "level=error} 50:1\n"
		    "{host=b level=info} 50:1\n"},
		{"sum by (host) (" C ")", "{host=a} 50:3\n{host=b} 50:2\n"},
		{"sum without (level) (" C ")", "{host=a} 50:3\n{host=b} 50:2\n"},
		{"count(" C ")", "{} 50:5\n"},
		{"avg by (host) (" C " * 2)", "{host=a} 50:2\n{host=b} 50:2\n"},
		{"max(sum by (host) (" C "))", "{} 50:3\n"},
		{"min(sum by (host) (" C "))", "{} 50:2\n"},
		{"stddev(sum by (host) (" C "))", "{} 50:0.5\n"},
		{"stdvar(sum by (host) (" C "))", "{} 50:0.25\n"},
		{"topk(1, sum by (host) (" C "))", "{host=a} 50:3\n"},
		{"bottomk(1, sum by (host) (" C "))", "{host=b} 50:2\n"},
		{"topk by (host) (1, " C ")", "{host=a level=error} 50:1\n{host=b level=error} 50:1\n"},
		{"approx_topk(1, sum by (host) (" C "))", "{host=a} 50:3\n"},
		{"sort(sum by (host) (" C "))", "{host=b} 50:2\n{host=a} 50:3\n"},
		{"sort_desc(sum by (host) (" C "))", "{host=a} 50:3\n{host=b} 50:2\n"},
		{"label_replace(sum by (host) (" C "), \"who\", \"<$1>\", \"host\", \"(.)\")",
		 "{host=a who=<a>} 50:3\n{host=b who=<b>} 50:2\n"},
		{"label_replace(sum by (host) (" C "), \"host\", \"\", \"host\", \"a\")", "{} 50:3\n{host=b} 50:2\n"},
		{"vector(3)", "{} 50:3\n"},
		{"1 + 2", "{} 50:3\n"},
		{"variants(count_over_time({app=\"web\"}[5m]), bytes_over_time({app=\"plain\"}[5m])) of "
		 "({app=\"web\"}[5m])",
		 "{__variant__=0 app=web host=a} 50:3\n{__variant__=0 app=web host=b} 50:2\n{__variant__=1 app=plain} "
		 "50:31\n"},
	};
	ROWS(state, rows, true);
}

static void binaries(void **state)
{
#define A "sum by (host) (count_over_time({app=\"web\"}[1m]))"
#define B "sum by (host, level) (count_over_time({app=\"web\"} | logfmt [1m]))"
	static const struct row rows[] = {
		{A " + 1", "{host=a} 50:4\n{host=b} 50:3\n"},
		{"10 - " A, "{host=a} 50:7\n{host=b} 50:8\n"},
		{A " / 0", "{host=a} 50:NaN\n{host=b} 50:NaN\n"},
		{A " % 2", "{host=a} 50:1\n{host=b} 50:0\n"},
		{A " ^ 2", "{host=a} 50:9\n{host=b} 50:4\n"},
		{A " > 2", "{host=a} 50:3\n"},
		{"2 < " A, "{host=a} 50:3\n"},
		{A " > bool 2", "{host=a} 50:1\n{host=b} 50:0\n"},
		{A " * " A, "{host=a} 50:9\n{host=b} 50:4\n"},
		{A " == " A, "{host=a} 50:3\n{host=b} 50:2\n"},
		{A " and " A " > 2", "{host=a} 50:3\n"},
		{A " unless " A " > 2", "{host=b} 50:2\n"},
		{"(" A " > 2) or " A, "{host=a} 50:3\n{host=b} 50:2\n"},
		{A " and on () vector(1)", "{host=a} 50:3\n{host=b} 50:2\n"},
		{"sum(" B ") or vector(0)", "{} 50:5\n"},
		{"sum(count_over_time({app=\"none\"}[1m])) or vector(0)", "{} 50:0\n"},
		{B " / on (host) group_left " A " > 0.4", "{host=b level=error} 50:0.5\n{host=b level=info} 50:0.5\n"},
		{A " / on (host) group_right " B " > 2.5",
		 "{host=a level=error} 50:3\n{host=a level=info} 50:3\n{host=a level=warn} 50:3\n"},
		{B " * ignoring (level) group_left (nope) " A " < 3",
		 "{host=b level=error} 50:2\n{host=b level=info} 50:2\n"},
		{A " + on (host) label_replace(" A ", \"x\", \"y\", \"host\", \".*\")",
		 "{host=a} 50:6\n{host=b} 50:4\n"},
		{A " + on (host) " B, "internal: found duplicate series on the right hand-side;many-to-many matching "
				      "not allowed: matching labels must be "
				      "unique on one side"},
		{B " + on (host) " A, "internal: multiple matches for labels: many-to-one matching must be explicit "
				      "(group_left/group_right)"},
		{"sum(1)",
		 "internal: unexpected expr type (*syntax.LiteralExpr) for Evaluator type (*logql.DefaultEvaluator) "},
	};
	ROWS(state, rows, true);
}

/* ---- refusals ---- */

static void pipeline_errors(void **state)
{
#define HOW(kind)                                                                                                      \
	"\nUse a label filter to intentionally skip this error. (e.g | __error__!=\"" kind "\").\n"                    \
	"To skip all potential errors you can match empty errors.(e.g __error__=\"\")\n"                               \
	"The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n"
	static const struct row rows[] = {
		{"sum_over_time({app=\"web\"} | logfmt took | unwrap took [1m])",
		 "invalid: pipeline error: 'SampleExtractionErr' for series: '{__error__=\"SampleExtractionErr\", "
		 "__error_details__=\"strconv.ParseFloat: parsing \\\"10ms\\\": invalid syntax\", app=\"web\", "
		 "host=\"a\", "
		 "took=\"10ms\"}'." HOW("SampleExtractionErr")},
		/* Nobody needs what the parser finds: it does not run. */
		{"sum(count_over_time({app=\"shop\"} | json [1m]))", "{} 20:1 30:2 40:3 50:3\n"},
		/* Only `user` is looked for, and reading goes on to the fault. */
		{"sum by (__error__) (count_over_time({app=\"shop\"} | json [1m]))",
		 "{} 20:1 30:2 40:2 50:2\n{__error__=JSONParserErr} 40:1 50:1\n"},
		{"sum(count_over_time({app=\"shop\"} | json | __error__=\"\" [1m]))", "{} 20:1 30:2 40:2 50:2\n"},
		{"sum by (level) (count_over_time({app=\"shop\"} | json [1m]))",
		 "{level=info} 20:1 30:1 40:2 50:2\n{level=warn} 30:1 40:1 50:1\n"},
	};
	ROWS(state, rows, false);
}

static void limits(void **state)
{
	struct fixture *f = *state;
	static struct str names[] = {STR("app"), STR("team")};
	static const struct {
		const char *query, *want;
		int64_t series, range, length, minimum;
		uint32_t entries;
		size_t required;
	} rows[] = {
		{"count_over_time({app=\"web\"}[1m])",
		 "invalid: maximum number of series (1) reached for a single query; consider reducing query "
		 "cardinality by adding more "
		 "specific stream selectors, reducing the time range, or aggregating results with functions like "
		 "sum(), count() or "
		 "topk(); the setting is max_query_series",
		 .series = 1},
		{"count_over_time({app=\"web\"}[2h])", "invalid: [interval] value exceeds limit: [2h] > [1h]; the setting is max_query_range",
		 .range = SEC(3600)},
		{"{app=\"none\"}", "invalid: the query time range exceeds the limit (query length: 40s, limit: 30s); the setting is max_query_length",
		 .length = SEC(30)},
		{"{app=\"none\"}",
		 "invalid: max entries limit per query exceeded, limit > max_entries_limit_per_query (100 > 99)",
		 .entries = 99},
		{"{app=\"none\"}",
		 "invalid: stream selector has less label matchers than required: (present: [app], number_present: 1, "
		 "required_number_label_matchers: 2); the setting is minimum_labels_number",
		 .minimum = 2},
		{"{app=\"none\"}",
		 "invalid: stream selector is missing required matchers [team], labels present in the query were [app]; the setting is required_labels",
		 .required = 2},
		{"{a=\"1\",b=\"1\",c=\"1\",d=\"1\",e=\"1\",f=\"1\"}",
		 "invalid: max streams matchers per query exceeded, matchers-count > limit (6 > 5); the setting is max_streams_matchers_per_query"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct exec_source src;
		struct exec_query q = base(f, rows[i].query, &src);
		struct limits l = f->limits;
		if (rows[i].series) l.max_query_series = rows[i].series;
		if (rows[i].entries) l.max_entries_limit_per_query = rows[i].entries;
		l.max_query_range = rows[i].range;
		l.max_query_length = rows[i].length;
		l.minimum_labels_number = rows[i].minimum;
		l.required_labels = (struct conf_strs){names, rows[i].required};
		q.limits = &l;
		run_all(f, &q, rows[i].want);
		snapshot_free(src.snap);
	}
}

static void functions_that_are_off(void **state)
{
	struct fixture *f = *state;
	struct exec_source src;
	struct exec_query q = base(f, "variants(count_over_time({app=\"web\"}[5m])) of ({app=\"web\"}[5m])", &src);
	struct limits l = f->limits;
	l.enable_multi_variant_queries = false;
	l.shard_aggregations.n = 0;
	q.limits = &l;
	run_all(f, &q, "invalid: multi variant queries are disabled for this instance");
	q.text = STR("approx_topk(1, count_over_time({app=\"web\"}[5m]))");
	run_all(f, &q, "internal: approx_topk is not enabled. See -limits.shard_aggregations");
	q.text = STR("{app=\"web\"}");
	q.instant = true;
	run_all(f, &q,
		"invalid: log queries are not supported as an instant query type, please change your query to a range "
		"query type");
	snapshot_free(src.snap);
}

static void cancelled_and_timed_out(void **state)
{
	struct fixture *f = *state;
	struct exec_source src;
	struct exec_query q = base(f, "count_over_time({app=\"web\"}[1m])", &src);
	_Atomic bool cancel = true;
	struct limits l = f->limits;
	q.cancel = &cancel;
	run_all(f, &q, "cancelled: the request was cancelled by the client");
	q.cancel = NULL;
	l.query_timeout = 1;
	q.limits = &l;
	run_all(f, &q,
		"timeout: request timed out, decrease the duration of the request or add more label matchers (prefer "
		"exact match "
		"over regex match) to reduce the amount of data processed");
	snapshot_free(src.snap);
}

static void memory_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct exec_source src;
	struct exec_engine *en = exec_engine_new(&(struct exec_config){1, &clock_real, 100});
	static const char *const queries[] = {"{app=\"web\"} | logfmt", "count_over_time({app=\"web\"} | logfmt [1m])"};
	for (size_t i = 0; i < 2; i++) {
		struct exec_query q = base(f, queries[i], &src);
		struct err e = ERR_INIT;
		f->store.rows = 1;
		assert_null(exec_run(en, &q, &e));
		assert_int_equal(e.code, ERR_INVALID);
		assert_non_null(strstr(e.msg, "larch.memory_limit"));
		snapshot_free(src.snap);
	}
	exec_engine_free(en);
}

/* ---- what is read ---- */

static void columns_asked_for(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *query;
		unsigned want;
	} rows[] = {
		{"sum(count_over_time({app=\"web\"}[1m]))", 0},
		{"sum by (host) (rate({app=\"web\"}[1m]))", 0},
		{"sum by (user) (rate({app=\"web\"}[1m]))", SCAN_META},
		{"count_over_time({app=\"web\"}[1m])", SCAN_META},
		{"sum(bytes_over_time({app=\"web\"}[1m]))", SCAN_LEN},
		{"sum(count_over_time({app=\"web\"} | logfmt [1m]))", 0},
		{"sum(count_over_time({app=\"web\"} |= \"x\" [1m]))", SCAN_LINE},
		{"sum(count_over_time({app=\"web\"} | user=\"1\" [1m]))", SCAN_META},
		{"sum by (host) (count_over_time({app=\"web\"} | line_format \"x\" [1m]))", 0},
		{"{app=\"web\"}", SCAN_LINE | SCAN_META},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct exec_source src;
		struct exec_query q = base(f, rows[i].query, &src);
		struct err e = ERR_INIT;
		f->store.columns = 0;
		exec_result_free(exec_run(f->engines[0], &q, &e));
		if (f->store.columns != rows[i].want)
			fail_msg("%s: columns %u, want %u", rows[i].query, f->store.columns, rows[i].want);
		snapshot_free(src.snap);
	}
}

static void old_entries_can_be_hidden(void **state)
{
	struct fixture *f = *state;
	struct clock_fake clock;
	struct exec_source src;
	struct limits l = f->limits;
	struct err e = ERR_INIT;
	struct buf got = {0};
	clock_fake_init(&clock, SEC(60), 1);
	struct exec_engine *en = exec_engine_new(&(struct exec_config){0, &clock.base, 0});
	struct exec_query q = base(f, "{app=\"web\"} | line_format \"-\" | drop host", &src);
	q.limits = &l;
	l.max_query_lookback = SEC(30);
	struct exec_result *r = exec_run(en, &q, &e);
	assert_non_null(r);
	print_result(&got, r, false);
	check_buf(&got, "{app=web} 30:- 30:- 40:-\n");
	exec_result_free(r);
	clock_fake_step(&clock, SEC(100));
	r = exec_run(en, &q, &e);
	assert_non_null(r);
	assert_int_equal(r->kind, EXEC_STREAMS);
	assert_int_equal(r->n_streams, 0);
	exec_result_free(r);
	buf_free(&got);
	exec_engine_free(en);
	snapshot_free(src.snap);
}

/* Steps are multiples of the step where queries are split, and the last may lie behind the end. */
static void steps_are_aligned(void **state)
{
	struct fixture *f = *state;
	struct exec_source src;
	struct exec_query q = base(f, "sum(count_over_time({app=\"web\"}[1m]))", &src);
	struct limits l = f->limits;
	q.limits = &l;
	q.start = SEC(13);
	q.end = SEC(35);
	run_all(f, &q, "{} 13:1 23:2 33:4\n");
	l.split_queries_by_interval = SEC(3600);
	run_all(f, &q, "{} 10:1 20:2 30:4 40:5\n");
	snapshot_free(src.snap);
}

/* Many samples, few steps: counts are kept per step, and come out as if they were not. */
static void dense_series(void **state)
{
	(void)state;
	struct store s;
	struct err e = ERR_INIT;
	struct buf got = {0};
	fake_init(&s);
	s.rows = 100;
	for (int i = 0; i < 1000; i++)
		fake_add(&s, "fake", i % 3 ? "{a=\"x\"}" : "{a=\"y\"}", SEC(i) / 10, STR("abc"), "{}");
	struct limits l = {.max_query_series = 5};
	struct exec_source src = {STR("fake"), snapshot_take(&s, STR("fake"))};
	struct exec_query q = {.text = STR("sum by (a) (bytes_over_time({a!=\"\"}[30s]))"),
			       .start = 0,
			       .end = SEC(120),
			       .step = SEC(40),
			       .sources = &src,
			       .n_sources = 1,
			       .limits = &l};
	for (unsigned threads = 0; threads < 4; threads += 3) {
		struct exec_engine *en = exec_engine_new(&(struct exec_config){threads, &clock_real, 0});
		struct exec_result *r = exec_run(en, &q, &e);
		assert_non_null(r);
		print_result(&got, r, false);
		/* (10, 40]: entries 101 … 400, of which 100 are multiples of three. */
		check_buf(&got, "{a=x} 40:600 80:600 120:198\n{a=y} 0:3 40:300 80:300 120:99\n");
		exec_result_free(r);
		exec_engine_free(en);
	}
	snapshot_free(src.snap);
	fake_free(&s);
	buf_free(&got);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(filters),
		TEST(parsers),
		TEST(formats),
		TEST(limits_and_order),
		TEST(categories),
		TEST(tenants),
		TEST(counts),
		TEST(unwrapped),
		TEST(vectors),
		TEST(binaries),
		TEST(pipeline_errors),
		TEST(limits),
		TEST(functions_that_are_off),
		TEST(cancelled_and_timed_out),
		TEST(memory_is_bounded),
		TEST(columns_asked_for),
		TEST(old_entries_can_be_hidden),
		TEST(steps_are_aligned),
		cmocka_unit_test(dense_series),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
