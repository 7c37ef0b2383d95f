/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/push.h"
#include "tests/unit/proto/push_util.h"

static bool decode(const char *text, struct push *p)
{
	e = ERR_INIT;
	arena_reset(&a);
	return push_json_decode(&a, str_c(text), p, &e);
}

static void decodes(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"{}", ""},
		{"null", ""},
		{" {\"streams\":null, \"other\":[{}]} ", ""},
		{"{\"streams\":[]}", ""},
		{"{\"streams\":[{}]}", ""},
		{"{\"streams\":[{\"stream\":{\"b\":\"2\",\"a\":\"1\"},\"values\":[[\"5\",\"x\"],[\"-6\",\"y\"]]}]}",
		 "{a=\"1\", b=\"2\"} 5:x -6:y"},
		{"{\"streams\":[{\"values\":[[\"5\",\"x\"]]},{\"stream\":{},\"values\":[[\"6\",\"y\"]]}]}",
		 " 5:x | {} 6:y"},
		{"{\"streams\":[{\"values\":[[\"5\",\"x\",{\"k\":\"v\",\"j\":\"w\"}],[\"5\",\"x\",{}]]}]}",
		 " 5:x(k=v)(j=w) 5:x"},
		{"{\"streams\":[{\"values\":[[\"5\"],[],[\"5\",\"a\",{},\"x\",{\"y\":[1]}],null]}]}", " 5: 0: 5:a"},
		{"{\"streams\":[{\"values\":null,\"stream\":{\"a\":\"1\"}}]}", "{a=\"1\"}"},
		{"{\"streams\":[{\"stream\":{\"a\":\"1\",\"a\":\"2\",\"n\":5,\"t\":true,\"z\":null,\"o\":{\"x\": "
		 "1}}}]}",
		 "{a=\"2\", n=\"5\", o=\"{\\\"x\\\": 1}\", t=\"true\", z=\"null\"}"},
		{"{\"streams\":[{\"stream\":{\"a\\u002d\":\"q\\\"b\\\\t\\n\\u00e9\"}}]}",
		 "{a-=\"q\\\"b\\\\t\\n\xc3\xa9\"}"},
		{"{\"streams\":[{\"values\":[[\"5\",\"q\\\"b\\\\t\\tn\\nu\\u00e9s\\ud83d\\ude80\",{\"\\u006b\":"
		 "\"\\u0076\"}]]}]}",
		 " 5:q\"b\\t\tn\nu\xc3\xa9s\xf0\x9f\x9a\x80(k=v)"},
		{"{\"streams\":[{\"values\":[[\"1\",\"a\"]],\"values\":[[\"2\",\"b\"]]}]}", " 1:a 2:b"},
		{"{\"streams\":[{\"values\":[[\"1\",\"a\"]],\"entries\":[{\"ts\":\"1970-01-01T00:00:02Z\",\"line\":"
		 "\"b\"}],"
		 "\"values\":null}]}",
		 " 1:a 2000000000:b"},
		{"{\"streams\":[{\"values\":[[\"1\",\"a\"]]}],\"Streams\":[{\"values\":[[\"2\",\"b\"]]}],\"streams\":"
		 "null}",
		 " 1:a |  2:b"},
		{"{\"streams\":[{\"labels\":\"{k=\\\"v\\\"}\",\"entries\":[{\"ts\":\"1970-01-01T00:00:01.5Z\",\"line\":"
		 "\"x\"},"
		 "{\"line\":\"y\",\"other\":[1],\"ts\":\"1970-01-01T01:00:00+01:00\"},null,{}]}]}",
		 "{k=\"v\"} 1500000000:x 0:y 0:"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct push p;
		if (!decode(cases[i].text, &p)) fail_msg("%s: %s", cases[i].text, e.msg);
		assert_string_equal(dump(&p), cases[i].want);
	}
}

static void counts(void **state)
{
	(void)state;
	struct push p;
	assert_true(decode("{\"streams\":[{\"values\":[[\"1\",\"first\"]],\"values\":[[\"5\",\"abc\",{\"k\":\"vv\"}],"
			   "[\"6\",\"d\"]]},"
			   "{\"values\":[[\"7\",\"e\"]]}]}",
			   &p));
	assert_int_equal(p.n, 2);
	assert_int_equal(p.entries, 4);
	assert_int_equal(p.bytes, 5 + 3 + 1 + 2 + 1 + 1);
}

#define IN_STREAM   "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: "
#define LONG_TS     "\"1795164924000000000\""
#define STREAM(v)   "{\"streams\":[{\"stream\":{\"app\":\"a\"},\"values\":[" v "]}]}"
#define BAD_STRING  "Value is string, but can't find closing '\"' symbol"
#define BAD_OBJECT  "Value looks like object, but can't find closing '}' symbol"
#define BAD_NUMBER  "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"
#define AT_10(near) ", error found in #10 byte of ...|" near "|..., bigger context ...|"

/* Texts as Loki answers them. */
static void refuses_in_known_words(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", "EOF"},
		{" \n", "EOF"},
		{"not json", "skipThreeBytes: expect ull, error found in #2 byte of ...|not json|..., bigger context "
			     "...|not json|..."},
		{"[]", "readObjectStart: expect { or n, but found [, error found in #1 byte of ...|[]|..., bigger "
		       "context ...|[]|..."},
		{STREAM("[" LONG_TS ",\"hello\",null]"),
		 IN_STREAM BAD_OBJECT AT_10("o\",null]]}]}") "},\"values\":[[" LONG_TS ",\"hello\",null]]}]}|..."},
		{STREAM("[1795164924000000000,\"hello\"]"),
		 IN_STREAM BAD_NUMBER AT_10(
			 "\"hello\"]]}]}") "pp\":\"a\"},\"values\":[[1795164924000000000,\"hello\"]]}]}|..."},
		{STREAM("[\"abc\",\"hello\"]"),
		 IN_STREAM BAD_NUMBER AT_10(
			 "\"hello\"]]}]}") "[{\"stream\":{\"app\":\"a\"},\"values\":[[\"abc\",\"hello\"]]}]}|..."},
		{STREAM("[\"2026-11-01T00:00:00Z\",\"hello\"]"),
		 IN_STREAM BAD_NUMBER AT_10(
			 "\"hello\"]]}]}") ":\"a\"},\"values\":[[\"2026-11-01T00:00:00Z\",\"hello\"]]}]}|..."},
		{STREAM("[" LONG_TS ",5]"),
		 IN_STREAM BAD_STRING AT_10("0000\",5]]}]}") ":{\"app\":\"a\"},\"values\":[[" LONG_TS ",5]]}]}|..."},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct push p;
		assert_false(decode(cases[i].text, &p));
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.msg, cases[i].want);
	}
}

static void refuses(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"5",
		"nul",
		"{",
		"{\"streams\":[]",
		"{\"streams\":[]} x",
		"{\"streams\":[]}{\"streams\":[]}",
		"{\"streams\":{}}",
		"{\"streams\":[5]}",
		"{\"streams\":[null]}",
		"{\"streams\":[{\"stream\":null}]}",
		"{\"streams\":[{\"stream\":[]}]}",
		"{\"streams\":[{\"stream\":\"{}\"}]}",
		"{\"streams\":[{\"values\":{}}]}",
		"{\"streams\":[{\"values\":[5]}]}",
		"{\"streams\":[{\"values\":[{}]}]}",
		"{\"streams\":[{\"values\":[[5]]}]}",
		"{\"streams\":[{\"values\":[[\"\",\"x\"]]}]}",
		"{\"streams\":[{\"values\":[[\"1.5\",\"x\"]]}]}",
		"{\"streams\":[{\"values\":[[\"9223372036854775808\",\"x\"]]}]}",
		"{\"streams\":[{\"values\":[[\"\\u0031\",\"x\"]]}]}",
		"{\"streams\":[{\"values\":[[\"1\",\"x\",{\"k\":5}]]}]}",
		"{\"streams\":[{\"values\":[[\"1\",\"x\",[]]]}]}",
		"{\"streams\":[{\"values\":[[\"1\",\"x\",{\"k\"}]]}]}",
		"{\"streams\":[{\"values\":[[\"1\",\"x\ny\"]]}]}",
		"{\"streams\":[{\"labels\":5}]}",
		"{\"streams\":[{\"entries\":[[]]}]}",
		"{\"streams\":[{\"entries\":[{\"ts\":5}]}]}",
		"{\"streams\":[{\"entries\":[{\"ts\":\"5\"}]}]}",
		"{\"streams\":[{\"entries\":[{\"ts\":\"9999-01-01T00:00:00Z\"}]}]}",
		"{\"streams\":[{\"entries\":[{\"line\":5}]}]}",
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct push p;
		if (decode(cases[i], &p)) fail_msg("accepted: %s", cases[i]);
		assert_int_equal(e.code, ERR_INVALID);
		assert_true(e.msg[0] != '\0');
	}
}

static void bounds(void **state)
{
	(void)state;
	struct buf b = {0};
	struct push p;
	buf_c(&b, "{\"streams\":[{\"stream\":{\"l0\":\"\"");
	for (int i = 1; i <= 1000; i++) buf_printf(&b, ",\"l%d\":\"\"", i);
	buf_c(&b, "}}]}");
	assert_false(decode(buf_cstr(&b), &p));
	assert_non_null(strstr(e.msg, "more than 1000 labels"));

	buf_clear(&b);
	buf_c(&b, "{\"streams\":[{\"values\":[[]");
	for (int i = 0; i < 100000; i++) buf_c(&b, ",[]");
	buf_c(&b, "]}]}");
	assert_true(decode(buf_cstr(&b), &p));
	assert_int_equal(p.entries, 100001);
	struct arena small;
	arena_init(&small, 64 << 10);
	assert_false(push_json_decode(&small, buf_view(&b), &p, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	assert_true(small.used < 256 << 10);
	arena_free(&small);
	buf_free(&b);
}

static void encodes(void **state)
{
	(void)state;
	struct label meta[] = {{STR("k"), STR("v\"")}};
	struct push_entry entries[] = {{.ts = 5, .line = STR("a\n<b>"), .meta = {meta, 1}},
				       {.ts = -6, .line = STR("")}};
	struct push_stream streams[] = {{STR("{b=\"2\", a=\"1\"}"), entries, 2}, {STR("{}"), NULL, 0}};
	struct push in = {streams, 2, 2, 0};
	struct buf b = {0};
	buf_c(&b, "head:");
	e = ERR_INIT;
	assert_true(push_json_encode(&in, &b, &e));
	static const char want[] =
		"head:{\"streams\":[{\"stream\":{\"a\":\"1\",\"b\":\"2\"},\"values\":"
		"[[\"5\",\"a\\n<b>\",{\"k\":\"v\\\"\"}],[\"-6\",\"\"]]},{\"stream\":{},\"values\":[]}]}";
	assert_string_equal(buf_cstr(&b), want);
	struct push out;
	assert_true(decode(want + 5, &out));
	assert_string_equal(dump(&out), "{a=\"1\", b=\"2\"} 5:a\n<b>(k=v\") -6: | {}");

	streams[1].labels = STR("{a=");
	assert_false(push_json_encode(&in, &b, &e));
	assert_int_equal(e.code, ERR_INVALID);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(decodes), TEST(counts), TEST(refuses_in_known_words), TEST(refuses), TEST(bounds), TEST(encodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
