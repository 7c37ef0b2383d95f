/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* One letter a token: { } [ ] k s n t f 0 (null) . (end) ! (error). */
static const char *tokens(const char *text, size_t n, struct err *e)
{
	static char out[4096];
	static const char letter[] = "!.{}[]ksntf0";
	struct json j;
	json_init(&j, str_of(text, n), e);
	size_t i = 0;
	for (;;) {
		enum json_tok t = json_next(&j);
		out[i++] = letter[t];
		out[i] = '\0';
		if (t == JSON_END || t == JSON_ERROR) {
			assert_int_equal(json_next(&j), t);
			return out;
		}
	}
}

static void accepts(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"null", "0."},
		{" \t\r\n true \n", "t."},
		{"false", "f."},
		{"\"\"", "s."},
		{"0", "n."},
		{"-0", "n."},
		{"-0.0e-0", "n."},
		{"1E+400", "n."},
		{"123456789012345678901234567890", "n."},
		{"{}", "{}."},
		{"[]", "[]."},
		{"[ ]", "[]."},
		{"[1,\"a\",null,[],{}]", "[ns0[]{}]."},
		{"{\"a\":1,\"b\":{\"c\":[true,false]}}", "{knk{k[tf]}}."},
		{"{ \"a\" : \"\\ud83d\\ude80\\/\" }", "{ks}."},
		{"\"\x7f caf\xe9\"", "s."},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = ERR_INIT;
		assert_string_equal(tokens(cases[i].text, strlen(cases[i].text), &e), cases[i].want);
		assert_int_equal(e.code, ERR_NONE);
	}
}

static void refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		long off;
	} cases[] = {
		{"", 0},          {" ", 1},
		{"nul", 0},       {"True", 0},
		{"[1,]", 3},      {"[,1]", 1},
		{"[1 2]", 3},     {"{\"a\"}", 4},
		{"{\"a\":}", 5},  {"{\"a\":1,}", 7},
		{"{a:1}", 1},     {"{1:1}", 1},
		{"01", 1},        {"1.", 2},
		{".5", 0},        {"+1", 0},
		{"-", 1},         {"1e", 2},
		{"1e+", 3},       {"\"a", 2},
		{"\"\\x\"", 2},   {"\"\\u12g4\"", 2},
		{"\"\\u12", 2},   {"\"a\nb\"", 2},
		{"\"a\x01\"", 2}, {"[1}", 2},
		{"{\"a\":1]", 6}, {"1 1", 2},
		{"[] x", 3},      {"'a'", 0},
		{"[1", 2},        {"NaN", 0},
		{"\"\\", 2},      {"\xef\xbb\xbf{}", 0},
		{"/**/1", 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = ERR_INIT;
		const char *got = tokens(cases[i].text, strlen(cases[i].text), &e);
		assert_int_equal(got[strlen(got) - 1], '!');
		assert_int_equal(e.code, ERR_INVALID);
		if (e.off != cases[i].off)
			fail_msg("%s: offset %ld, want %ld (%s)", cases[i].text, e.off, cases[i].off, e.msg);
	}
	struct err e = ERR_INIT;
	assert_string_equal(tokens("\"a\0b\"", 5, &e), "!");
}

static void bounds_depth(void **state)
{
	(void)state;
	char text[2 * JSON_DEPTH + 2];
	memset(text, '[', JSON_DEPTH);
	memset(text + JSON_DEPTH, ']', JSON_DEPTH);
	struct err e = ERR_INIT;
	struct json j;
	json_init(&j, str_of(text, 2 * JSON_DEPTH), &e);
	assert_true(json_skip(&j));
	assert_int_equal(json_next(&j), JSON_END);

	memset(text, '[', JSON_DEPTH + 1);
	json_init(&j, str_of(text, JSON_DEPTH + 1), &e);
	assert_false(json_skip(&j));
	assert_int_equal(e.off, JSON_DEPTH);
}

static void gives_text(void **state)
{
	(void)state;
	static const struct {
		const char *in, *want;
		size_t n;
	} cases[] = {
		{"\"plain\"", "plain", 5},
		{"\"q\\\"b\\\\t\\tn\\nu\\u00e9s\\ud83d\\ude80\"", "q\"b\\t\tn\nu\xc3\xa9s\xf0\x9f\x9a\x80", 16},
		{"\"\\/\\b\\f\\r\"", "/\b\f\r", 4},
		{"\"\\u0000\"", "\0", 1},
		{"\"\\ud83d\"", "\xef\xbf\xbd", 3},
		{"\"\\ude80x\"", "\xef\xbf\xbdx", 4},
		{"\"\\ud83d\\ud83d\\ude80\"", "\xef\xbf\xbd\xf0\x9f\x9a\x80", 7},
		{"\"\\ud83d\\n\"", "\xef\xbf\xbd\n", 4},
		{"\"\\uFFFF\"", "\xef\xbf\xbf", 3},
	};
	struct buf scratch = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = ERR_INIT;
		struct json j;
		json_init(&j, str_c(cases[i].in), &e);
		assert_int_equal(json_next(&j), JSON_STRING);
		struct str got = json_text(&j, &scratch);
		assert_int_equal(got.n, cases[i].n);
		assert_memory_equal(got.p, cases[i].want, got.n);
	}
	buf_free(&scratch);
}

static void skips_and_cuts(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct json j;
	struct str raw;
	json_init(&j, STR("{\"a\": {\"x\":[1,{}]} , \"b\":[ 1, 2 ],\"c\":-1.5e3}"), &e);
	assert_int_equal(json_next(&j), JSON_OBJ_OPEN);
	assert_int_equal(json_next(&j), JSON_KEY);
	assert_true(json_raw(&j, &raw));
	assert_true(str_eqc(raw, "{\"x\":[1,{}]}"));
	assert_int_equal(json_next(&j), JSON_KEY);
	assert_true(str_eqc(j.text, "b"));
	assert_true(json_skip(&j));
	assert_int_equal(json_next(&j), JSON_KEY);
	enum json_tok t = json_next(&j);
	assert_int_equal(t, JSON_NUMBER);
	assert_true(str_eqc(j.text, "-1.5e3"));
	assert_true(json_skip_rest(&j, t));
	assert_int_equal(json_next(&j), JSON_OBJ_CLOSE);
	assert_int_equal(json_next(&j), JSON_END);

	json_init(&j, STR("[]"), &e);
	assert_int_equal(json_next(&j), JSON_ARR_OPEN);
	assert_false(json_skip(&j));
	assert_int_equal(e.code, ERR_INVALID);
}

static void quotes(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		bool html;
		const char *want;
	} cases[] = {
		{{"", 0}, false, "\"\""},
		{{NULL, 0}, false, "\"\""},
		{{"a<b>&c", 6}, false, "\"a<b>&c\""},
		{{"a<b>&c", 6}, true, "\"a\\u003cb\\u003e\\u0026c\""},
		{{"\"\\\b\f\n\r\t\0\x1f\x7f", 10}, false, "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\""},
		{{"caf\xe9!", 5}, false, "\"caf\\ufffd!\""},
		{{"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", 9}, false, "\"\\u2028\\u2029\xe2\x80\xaa\""},
		{{"\xed\xa0\x80", 3}, false, "\"\\ufffd\\ufffd\\ufffd\""},
		{{"\xef\xbf\xbd", 3}, false, "\"\xef\xbf\xbd\""},
		{{"\xf0\x9f\x9a", 3}, false, "\"\\ufffd\\ufffd\\ufffd\""},
	};
	struct buf b = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_clear(&b);
		json_quote(&b, cases[i].in, cases[i].html);
		assert_string_equal(buf_cstr(&b), cases[i].want);
	}
	buf_free(&b);
}

/* Every byte value at every distance from the start, so that each width of the scan meets it. */
static void quotes_at_every_offset(void **state)
{
	(void)state;
	struct buf b = {0};
	struct buf scratch = {0};
	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < 40; at++) {
			char text[41];
			memset(text, 'x', sizeof text);
			text[at] = (char)c;
			buf_clear(&b);
			json_quote(&b, str_of(text, sizeof text), c & 1);
			struct err e = ERR_INIT;
			struct json j;
			json_init(&j, buf_view(&b), &e);
			assert_int_equal(json_next(&j), JSON_STRING);
			buf_clear(&scratch);
			struct str back = json_text(&j, &scratch);
			assert_int_equal(back.n, c < 0x80 ? 41 : 43);
			assert_memory_equal(back.p, text, at);
			if (c < 0x80) assert_memory_equal(back.p, text, 41);
			assert_int_equal(json_next(&j), JSON_END);
		}
	buf_free(&b);
	buf_free(&scratch);
}

static void writes(void **state)
{
	(void)state;
	struct buf b = {0};
	struct json_out o;
	json_out_init(&o, &b, false);
	json_open(&o, '{');
	json_key(&o, STR("a"));
	json_open(&o, '[');
	json_put_i64(&o, INT64_MIN);
	json_put_u64(&o, UINT64_MAX);
	json_put_bool(&o, true);
	json_put_null(&o);
	json_put_str(&o, STR("s"));
	json_open(&o, '{');
	json_close(&o, '}');
	json_put_raw(&o, STR("[ 1 ]"));
	json_close(&o, ']');
	json_key(&o, STR("b"));
	json_put_bool(&o, false);
	json_close(&o, '}');
	assert_string_equal(buf_cstr(&b),
			    "{\"a\":[-9223372036854775808,18446744073709551615,true,null,\"s\",{},[ 1 ]],\"b\":false}");
	buf_free(&b);
}

static void writes_floats(void **state)
{
	(void)state;
	static const struct {
		double v;
		const char *want;
	} cases[] = {
		{0, "0"},
		{1.5, "1.5"},
		{-100, "-100"},
		{1e20, "100000000000000000000"},
		{1e21, "1e+21"},
		{1.25e-7, "1.25e-7"},
		{1e-6, "0.000001"},
		{1e-10, "1e-10"},
		{5e-324, "5e-324"},
		{1.7976931348623157e308, "1.7976931348623157e+308"},
		{0.1, "0.1"},
		{NAN, "null"},
		{-INFINITY, "null"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_clear(&b);
		struct json_out o;
		json_out_init(&o, &b, false);
		json_put_f64(&o, cases[i].v);
		assert_string_equal(buf_cstr(&b), cases[i].want);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(refuses),
		cmocka_unit_test(bounds_depth),
		cmocka_unit_test(gives_text),
		cmocka_unit_test(skips_and_cuts),
		cmocka_unit_test(quotes),
		cmocka_unit_test(quotes_at_every_offset),
		cmocka_unit_test(writes),
		cmocka_unit_test(writes_floats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
