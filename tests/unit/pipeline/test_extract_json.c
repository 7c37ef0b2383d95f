/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/json.h"

#include "common/buf.h"

#include <stdlib.h>

#include "tests/unit/pipeline/extract_check.h"

#define NO_OBJECT "!JSONParserErr Value looks like object, but can't find closing '}' symbol"
#define MALFORMED "!JSONParserErr Malformed JSON error"
#define NO_ARRAY  "!JSONParserErr Value is array, but can't find closing ']' symbol"
#define NO_STRING "!JSONParserErr Value is string, but can't find closing '\"' symbol"
#define NO_TYPE   "!JSONParserErr Unknown value type"

static void check(const char *line, const char *want) { check_extract(extract_json, line, want); }

static void flatten(void **unused)
{
	(void)unused;
	check("{}", "");
	check(" {\"a\":1, \"b\" : \"x\", \"c\":true,\"d\":null,\"e\":[1,{\"f\":2}],\"g\":-1.5e3}",
	      "a=1|b=x|c=true|g=-1.5e3");
	check("{\"request\": {\"method\": \"PUT\", \"headers\": {\"User-Agent\": \"x (y)\", \"x.id\": 45}}, "
	      "\"status\": 500}",
	      "request_method=PUT|request_headers_User_Agent=x (y)|request_headers_x_id=45|status=500");
	check("{\"1abc\":\"digit\",\"sp ace\":\"x\",\"da-sh\":\"y\",\"dot.ted\":\"z\",\"\":\"empty\",\" t \":1}",
	      "_1abc=digit|sp_ace=x|da_sh=y|dot_ted=z|t=1");
	check("{\"a\":{\"1\":{\"\":2}},\"\":{\"b\":3}}", "a_1_=2|b=3");
	check("{\"a\":1}{\"b\":2}", "a=1");
	check("{\"a\":\"1\",\"a\":\"2\"}", "a=1|a=2");
	check("{\"\xD0\xB6\":1, \"\xFF\":2}", "_=1|_=2");
	check("{\"e\":{}, \"f\":[], \"g\":[\"]\",\"\\\"]\"], \"h\":{\"s\":\"}{\"}}", "h_s=}{");
	check("{\"long\":\"a text that is longer than sixteen bytes \\\\ with an escape\",\"more\":\"and another one "
	      "that is long\"}",
	      "long=a text that is longer than sixteen bytes \\ with an escape|more=and another one that is long");
}

static void strings(void **unused)
{
	(void)unused;
	check("{\"a\":\"x\\\"y\\\\\\/\\b\\f\\n\\r\\t\"}", "a=x\"y\\/\b\f\n\r\t");
	check("{\"a\":\"\\u00fcber \\u2713 \\ud83d\\ude80\"}", "a=\xC3\xBC"
							       "ber \xE2\x9C\x93 \xF0\x9F\x9A\x80");
	check("{\"a\":\"\\ud800x\",\"b\":\"\\q\",\"c\":\"\\u12\",\"d\":1}", "a=|b=|c=|d=1");
	check("{\"a\":\"x\xFFy\xEF\xBF\xBDz\",\"b\":\"\\ufffd\"}", "a=x y z|b= ");
	check("{\"a\":\"\xEA\xB0\x80\xEB\x82\x98\"}", "a=\xEA\xB0\x80\xEB\x82\x98");
	check("{\"k\\u0041\":1}", "kA=1");
	check("{\"k\\q\":1}", "!JSONParserErr Encountered an invalid escape sequence in a string");
}

static void faults(void **unused)
{
	(void)unused;
	check("", NO_OBJECT);
	check("level=debug", NO_OBJECT);
	check("[1]", NO_OBJECT);
	check("{", MALFORMED);
	check("{\"broken\": ", MALFORMED);
	check("{\"a\"", MALFORMED);
	check("{\"a", MALFORMED);
	check("{\"a\" 1}", MALFORMED);
	check("{\"a\":1", "a=1|" NO_ARRAY);
	check("{\"a\":1,", "a=1|" NO_ARRAY);
	check("{\"a\":1,}", "a=1|" NO_OBJECT);
	check("{\"a\":1, }", "a=1");
	check("{\"a\":1 \"b\":2}", "a=1|" NO_OBJECT);
	check("{\"a\":1,b:2}", "a=1|" NO_OBJECT);
	check("{\"a\":\"x", NO_STRING);
	check("{\"a\":[1,2", NO_ARRAY);
	check("{\"a\":tru}", NO_TYPE);
	check("{\"a\":}", NO_TYPE);
	check("{\"a\":nul,\"b\":1}", NO_TYPE);
	/* Nothing of an object that is not closed counts; of a closed one all before the fault. */
	check("{\"a\":{\"b\":1", NO_OBJECT);
	check("{\"x\":1,\"a\":{\"b\":{\"c\":1},", "x=1|" NO_OBJECT);
	check("{\"a\":{\"b\":1,\"c\":}}", "a_b=1|" NO_TYPE);
}

static void deep(void **unused)
{
	(void)unused;
	struct buf b = {0};
	for (int i = 0; i < 20000; i++) buf_c(&b, "{\"a\":");
	check(buf_cstr(&b), NO_OBJECT);
	buf_c(&b, "1");
	for (int i = 0; i < 20000; i++) buf_c(&b, "}");
	check(buf_cstr(&b), "");
	buf_free(&b);
}

static void wanted(void **unused)
{
	(void)unused;
	const struct str want[] = {STR("a_b"), STR("c")};
	set_wanted(want, 2);
	check("{\"x\":1,\"a\":{\"b\":2,\"z\":3},\"a\":{\"b\":9},\"c\":4, broken", "a_b=2|c=4");
	check("{\"x\":{\"y\":1,\"a_b\":2},\"a_b\":5,", "a_b=5|" NO_ARRAY);
	check("{\"ab\":{\"b\":1},\"a\":{\"b\":\"\\u0041\"}}", "a_b=A");
	set_wanted(NULL, 0);
}

/* ---- paths ---- */

static struct json_paths *paths;

static void run_paths(struct str line, struct extract *x) { extract_json_paths(paths, line, x); }

static void check_path(const char *expr, const char *line, const char *want)
{
	struct extract_expr e[] = {{STR("r"), str_c(expr)}};
	struct err err = ERR_INIT;
	paths = json_paths_new(e, 1, &err);
	if (!paths) print_error("%s\n", err.msg);
	assert_non_null(paths);
	check_extract(run_paths, line, want);
	json_paths_free(paths);
}

static void path_values(void **unused)
{
	(void)unused;
	check_path("a", "{\"a\":1}", "r=1");
	check_path("a.b.c", "{\"x\":{\"b\":0},\"a\":{\"x\":1,\"b\":{\"c\":\"\\u00e9\"}}}", "r=\xC3\xA9");
	check_path("request.headers[\"User-Agent\"]", "{\"request\":{\"headers\":{\"User-Agent\":\"curl\"}}}",
		   "r=curl");
	check_path("[\"a b\"].c", "{\"a b\":{\"c\":true}}", "r=true");
	check_path("items[1].sku", "{\"items\":[{\"sku\":1},{\"sku\":2}]}", "r=2");
	check_path("items[9]", "{\"items\":[1]}", "r=");
	check_path("m[1][0]", "{\"m\":[[1],[2,3]]}", "r=2");
	check_path("[0]", "[\"x\"]", "r=x");
	check_path("a", "{\"a\":null}", "r=");
	check_path("a", "{\"a\":{\"b\": [1, \"\\n\"]}}", "r={\"b\": [1, \"\\n\"]}");
	check_path("a", "{\"a\":[1, 2]}", "r=[1, 2]");
	check_path("a", "{\"a\":1,\"a\":2}", "r=1");
	check_path("a.b", "{\"a\":1}", "r=");
	check_path("nope", "{\"a\":{\"nope\":1}}", "r=");
	check_path("a", "", "");
	check_path("a", "level=info", "!JSONParserErr");
	check_path("a", "{\"x\":1,\"a\":", "r=|" MALFORMED);
	check_path("a", "{\"x\":", "r=");
	check_path("a", "\"a\"", "r=");
}

static void several_paths(void **unused)
{
	(void)unused;
	const struct extract_expr e[] = {
		{STR("a"), STR("o.a")}, {STR("o"), STR("o")}, {STR("b"), STR("o.b[0]")}, {STR("m"), STR("x")}};
	const struct str want[] = {STR("m"), STR("a")};
	struct err err = ERR_INIT;
	paths = json_paths_new(e, 4, &err);
	check_extract(run_paths, "{\"o\":{\"a\":1,\"b\":[2]}}", "a=1|o={\"a\":1,\"b\":[2]}|b=2|m=");
	set_wanted(want, 2);
	check_extract(run_paths, "{\"o\":{\"a\":1,\"b\":[2]}}", "a=1|m=");
	set_wanted(NULL, 0);
	json_paths_free(paths);
	struct extract_expr many[100];
	for (size_t i = 0; i < 100; i++) many[i] = (struct extract_expr){STR("n"), i == 99 ? STR("z") : STR("y")};
	paths = json_paths_new(many, 100, &err);
	struct arena a;
	struct extract x;
	arena_init(&a, 0);
	extract_init(&x, &a, NULL, 0);
	extract_json_paths(paths, STR("{\"y\":1,\"z\":2}"), &x);
	assert_int_equal(x.n, 100);
	assert_true(str_eqc(x.v[98].value, "1") && str_eqc(x.v[99].value, "2"));
	extract_free(&x);
	arena_free(&a);
	json_paths_free(paths);
}

static void path_errors(void **unused)
{
	(void)unused;
	static const struct {
		const char *expr, *text;
	} t[] = {
		{"[", "syntax error: unexpected $end, expecting STRING or INDEX"},
		{"", "syntax error: unexpected $end, expecting LSB or FIELD"},
		{".a", "syntax error: unexpected DOT, expecting LSB or FIELD"},
		{"a.", "syntax error: unexpected $end, expecting FIELD"},
		{"a..b", "syntax error: unexpected DOT, expecting FIELD"},
		{"a[0", "syntax error: unexpected $end, expecting STRING or INDEX"},
		{"a[\"x\"", "syntax error: unexpected $end, expecting RSB"},
		{"a b", "syntax error: unexpected FIELD"},
		{"a-b", "unexpected char -"},
		{"a[x]", "syntax error: unexpected FIELD, expecting STRING or INDEX"},
	};
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct extract_expr e[] = {{STR("r"), str_c(t[i].expr)}};
		struct err err = ERR_INIT;
		struct buf b = {0};
		buf_printf(&b, "cannot parse expression [%s]: %s", t[i].expr, t[i].text);
		assert_null(json_paths_new(e, 1, &err));
		assert_string_equal(err.msg, buf_cstr(&b));
		buf_free(&b);
	}
	struct extract_expr e[] = {{STR("1x"), STR("a")}};
	struct err err = ERR_INIT;
	assert_null(json_paths_new(e, 1, &err));
	assert_string_equal(err.msg, "invalid extracted label name '1x'");
}

/* ---- unpack ---- */

static void run_unpack(struct str line, struct extract *x)
{
	struct str entry;
	if (extract_unpack(line, x, &entry)) extract_push(x, STR("LINE"), entry);
}

static void unpack(void **unused)
{
	(void)unused;
	check_extract(run_unpack, "{\"c\": \"c0\", \"n\":1, \"p-d\":\"p0\", \"_entry\": \"a=\\\"b\\\"\"}",
		      "c=c0|p_d=p0|LINE=a=\"b\"");
	check_extract(run_unpack, "{\"c\": \"c0\"}", "");
	check_extract(run_unpack, "{}", "");
	check_extract(run_unpack, "", "");
	check_extract(run_unpack, "a=b", "!JSONParserErr expecting json object(6), but it is not");
	check_extract(run_unpack, "{\"_entry\":\"x\",", NO_ARRAY);
	check_extract(run_unpack, "{\"_entry\":\"\\q\"}",
		      "!JSONParserErr Encountered an invalid escape sequence in a string");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flatten),       cmocka_unit_test(strings),     cmocka_unit_test(faults),
		cmocka_unit_test(deep),          cmocka_unit_test(wanted),      cmocka_unit_test(path_values),
		cmocka_unit_test(several_paths), cmocka_unit_test(path_errors), cmocka_unit_test(unpack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
