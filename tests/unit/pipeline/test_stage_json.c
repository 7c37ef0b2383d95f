/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define DOC                                                                                                            \
	"{\"level\":\"info\",\"n\":5,\"f\":1.50,\"b\":true,\"nul\":null,\"obj\":{\"a\":{\"b\":\"deep\"},\"k.dot\":\"<" \
	"v>\"},\"arr\":[1, \"two\"]}"

/* One expression, by the scan for paths and (with a second expression that is none) by the tree. */
static void check_both(const char *expr, const char *line, const char *want)
{
	for (int tree = 0; tree < 2; tree++) {
		char stages[256], all[1024];
		snprintf(stages, sizeof stages, "[{json: {expressions: {out: '%s'%s}}}, {output: {source: out}}]", expr,
			 tree ? ", other: '@'" : "");
		snprintf(all, sizeof all, "{job=\"t\"} %s\n", want);
		check_stages(stages, LINES(line), all);
	}
}

static void extracts_paths(void **state)
{
	(void)state;
	check_both("level", DOC, "info");
	check_both("n", DOC, "5");
	check_both("f", DOC, "1.5");
	check_both("b", DOC, "true");
	check_both("obj.a.b", DOC, "deep");
	check_both("obj.\"k.dot\"", DOC, "<v>");
	check_both("obj", DOC, "{\"a\":{\"b\":\"deep\"},\"k.dot\":\"\\u003cv\\u003e\"}");
	check_both("arr", DOC, "[1,\"two\"]");
	check_both("nul", DOC, DOC); /* null has no text: the line stays */
	check_both("nope", DOC, DOC);
	check_both("level.x", DOC, DOC);
	check_both("arr.x", DOC, DOC);
	check_both("a.b", "{\"a\":{\"b\":1},\"a\":{\"b\":2}}", "2");
	check_both("a.b", "{\"a\":{\"b\":1},\"a\":{}}", "{\"a\":{\"b\":1},\"a\":{}}"); /* the last a has no b */
	check_both("a.b", "{\"a\":{\"b\":1},\"a\":7}", "{\"a\":{\"b\":1},\"a\":7}");
	check_both("a", "{\"\\u0061\":\"x\\ty\\u00fc\"}", "x\tyü");
	check_both("a", " { \"a\" : -1e3 } ", "-1000");
	check_both("a", "{\"a\":9007199254740993}", "9007199254740992");
	check_both("a", "{\"a\":{}}", "{}");
}

static void several_at_once(void **state)
{
	(void)state;
	check_stages("[{json: {expressions: {o: obj, ob: obj.a, l: level, level: }}}, {labels: {o: , ob: , l: , level: "
		     "}}, {output: {source: ob}}]",
		     LINES(DOC),
		     "{job=\"t\", l=\"info\", level=\"info\", "
		     "o=\"{\\\"a\\\":{\\\"b\\\":\\\"deep\\\"},\\\"k.dot\\\":\\\"\\\\u003cv\\\\u003e\\\"}\", "
		     "ob=\"{\\\"b\\\":\\\"deep\\\"}\"} {\"b\":\"deep\"}\n");
	check_stages("[{json: {expressions: {first: 'arr[0]', len: length(arr), alt: nope || level, bad: length(n)}}}, "
		     "{labels: {first: , len: , alt: , bad: }}, {output: {source: nope}}, {labeldrop: [job]}]",
		     LINES(DOC), "{alt=\"info\", first=\"1\", len=\"2\"} " DOC "\n");
}

static void a_missing_path_overwrites_with_null(void **state)
{
	(void)state;
	check_stages("[{json: {expressions: {job: }}}, {output: {source: job}}]", LINES("{}", "null", "x"),
		     "{job=\"t\"} {}\n{job=\"t\"} null\n{job=\"t\"} t\n");
}

static void malformed_text_passes_or_is_dropped(void **state)
{
	static const char *const bad[] = {"not json", "{\"a\":",    "[]",         "\"str\"",   "{} x",      "",
					  "5",        "{\"a\":1}}", "{\"b\":[1}", "{\"a\" 1}", "{\"b\":{]}"};
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		check_both("a", bad[i], bad[i]);
		check_stages("[{json: {expressions: {a: }, drop_malformed: true}}]", LINES(bad[i]), "");
	}
}

static void reads_another_value(void **state)
{
	(void)state;
	check_stages("[{json: {expressions: {obj: }}}, {json: {source: obj, expressions: {a: a.b}}}, {labels: {a: }}, "
		     "{output: {source: a}}]",
		     LINES(DOC, "{}"), "{a=\"deep\", job=\"t\"} deep\n{job=\"t\"} {}\n");
}

static void docker_lines(void **state)
{
	(void)state;
	check_stages("[{docker: {}}]",
		     LINES("{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-01T10:00:00.123456789Z\"}",
			   "{\"log\":\"more\",\"stream\":\"stdout\",\"time\":\"bad\"}", "not docker"),
		     "{job=\"t\", stream=\"stdout\"} hello\n @1793527200123456789\n"
		     "{job=\"t\", stream=\"stdout\"} more @1793527200123456790\n{job=\"t\"} not docker\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{json: {}}]",
		      "agent.yaml:1:9: stage json: expressions must be set: extracted names and the JMESPath "
		      "expressions they come from");
	check_refused("[{json: {expressions: {a: '[['}}}]",
		      "agent.yaml:1:23: stage json: expression of a: SyntaxError: Incomplete expression");
	check_refused("[{json: {expressions: {a: }, source: ''}}]",
		      "agent.yaml:1:38: stage json: source must not be empty; leave it out to read the line");
	check_refused("[{json: {expressions: {a: 5}}}]",
		      "agent.yaml:1:27: stage json: expressions: expected a string, found \"5\"; write it in quotes");
	check_refused("[{json: {expressions: {a: nofunc(b)}}}]", ""); /* fails when it runs, as in Promtail */
}

static void in_alloy(void **state)
{
	(void)state;
	check_stages(
		ALLOY "[{json: {expressions: {a: b.c}, regex: '^(a|d|n)'}}, {labels: {values: {a: , d: , n: , x: }}}]",
		LINES("{\"a\": 1, \"b\": {\"c\": 2}, \"d\": [1, {\"e\": null}], \"x\": 3, \"n\": null}", "null", "5"),
		"{a=\"1\", d=\"[1,{\\\"e\\\":null}]\", job=\"t\"} {\"a\": 1, \"b\": {\"c\": 2}, \"d\": [1, {\"e\": "
		"null}], \"x\": 3, \"n\": null}\n{job=\"t\"} null\n{job=\"t\"} 5\n");
	check_stages(ALLOY "[{json: {regex: '^.$', drop_malformed: true}}, {labels: {values: {a: , bb: }}}]",
		     LINES("{\"a\": 1, \"bb\": 2}", "x"), "{a=\"1\", job=\"t\"} {\"a\": 1, \"bb\": 2}\n");
	check_refused(ALLOY "[{json: {regex: '('}}]",
		      "agent.yaml:2:17: stage json: regex: error parsing regexp: missing closing ): `(`");
	check_refused(ALLOY "[{json: {}}]",
		      "agent.yaml:2:9: stage json: expressions must be set: extracted names and the JMESPath "
		      "expressions they come from");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extracts_paths),
		cmocka_unit_test(several_at_once),
		cmocka_unit_test(a_missing_path_overwrites_with_null),
		cmocka_unit_test(malformed_text_passes_or_is_dropped),
		cmocka_unit_test(reads_another_value),
		cmocka_unit_test(docker_lines),
		cmocka_unit_test(refuses),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
