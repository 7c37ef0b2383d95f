/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/yaml.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* One-line form for comparison: plain scalars bare, others quoted. */
static void dump(struct buf *b, const struct yaml *n)
{
	if (n->kind == YAML_SCALAR) {
		buf_printf(b, n->plain ? "%.*s" : "'%.*s'", STR_ARG(n->text));
		return;
	}
	buf_ch(b, n->kind == YAML_MAP ? '{' : '[');
	for (size_t i = 0; i < n->n; i++) {
		if (i) buf_ch(b, ',');
		if (n->kind == YAML_MAP) {
			dump(b, n->pairs[i].key);
			buf_ch(b, ':');
		}
		dump(b, n->kind == YAML_MAP ? n->pairs[i].val : n->items[i]);
	}
	buf_ch(b, n->kind == YAML_MAP ? '}' : ']');
}

static void reads(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", ""},
		{"# nothing\n", ""},
		{"---\n", ""},
		{"a", "a"},
		{"a: 1\nb: [x, 'y', \"z\\n\"]\n", "{a:1,b:[x,'y','z\n']}"},
		{"a:\n  - b: c\n    d: e\n  - f\n", "{a:[{b:c,d:e},f]}"},
		{"{\"a\": [1, true, null, {\"b\": \"c\"}]}", "{'a':[1,true,null,{'b':'c'}]}"},
		{"a: |\n  x\n  y\n", "{a:'x\ny\n'}"},
		{"a: >-\n  x\n  y\n", "{a:'x y'}"},
		{"a: !!str 5\nb: !!int 5\nc: ! 7\nd: !own x", "{a:'5',b:5,c:'7',d:x}"},
		{"a: &x [1]\nb: *x\n", "{a:[1],b:[1]}"},
		{"a: &x {p: 1, q: 2}\nb:\n  q: 3\n  <<: *x\n  r: 4\n", "{a:{p:1,q:2},b:{q:3,r:4,p:1}}"},
		{"b:\n  <<: [{p: 1}, {p: 2, q: 3}]\n", "{b:{p:1,q:3}}"},
		{"b: {'<<': 1}\n", "{b:{'<<':1}}"},
		{"\xef\xbb\xbf"
		 "a: b",
		 "{a:b}"},
		{"a: &x 1\nb: &x 2\nc: *x\n", "{a:1,b:2,c:2}"},
	};
	struct arena a;
	arena_init(&a, 0);
	struct buf b = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = ERR_INIT;
		struct yaml *n = yaml_parse(&a, str_c(cases[i].text), &e);
		if (!n) fail_msg("%s: %s", cases[i].text, e.msg);
		buf_clear(&b);
		dump(&b, n);
		assert_string_equal(buf_cstr(&b), cases[i].want);
	}
	buf_free(&b);
	arena_free(&a);
}

static void places(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 0);
	struct err e = ERR_INIT;
	struct yaml *n = yaml_parse(&a, STR("a: 1\nlist:\n  - x\n  - {k: v}\n"), &e);
	assert_non_null(n);
	assert_int_equal(n->line, 1);
	struct yaml *list = yaml_get(n, "list");
	assert_int_equal(list->items[1]->line, 4);
	assert_int_equal(list->items[1]->col, 5);
	assert_int_equal(yaml_get(list->items[1], "k")->col, 9);
	assert_null(yaml_get(n, "absent"));
	assert_null(yaml_get(list, "k"));
	arena_free(&a);
}

static void refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int line, col;
		const char *want; /* part of the text */
	} cases[] = {
		{"a: 1\nb: 2\na: 3\n", 3, 1, "key \"a\" is already set in line 1"},
		{"a: {x: 1, x: 2}", 1, 11, "key \"x\" is already set in line 1"},
		{"a: 1\n\tb: 2\n", 2, 1, "a tab here"},
		{"a: 1\n  b: 2\n", 2, 4, "mapping values are not allowed in this context"},
		{"a:\n  - b\n c: d\n", 3, 2, "did not find expected"},
		{"a: [1, 2\n", 2, 1, "did not find expected ',' or ']'"},
		{"a: *x\n", 1, 4, "alias *x has no anchor &x before it"},
		{"a: &x [1, *x]\n", 1, 11, "alias *x stands inside the value it names"},
		{"a: &x {b: *x}\n", 1, 11, "alias *x stands inside the value it names"},
		{"? [a]\n: b\n", 1, 3, "a key must be a string, not a list"},
		{"a: 1\n---\nb: 2\n", 2, 1, "a second document"},
		{"a: {<<: 5}", 1, 9, "<< takes a mapping or a list of mappings"},
		{"a: {<<: [[]]}", 1, 10, "not a list"},
		{"a: b\nc: \x01\n", 2, 4, "control characters are not allowed"},
		{"a: b\nc: \xff\n", 2, 4, "invalid leading UTF-8 octet"},
		{"a: !!binary aGk=", 1, 4, "!!binary is not supported"},
		{"a: 'x\n", 2, 1, "unexpected end of stream"},
		{"a: @x\n", 1, 4, "cannot start any token"},
	};
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = ERR_INIT;
		if (yaml_parse(&a, str_c(cases[i].text), &e)) fail_msg("accepted: %s", cases[i].text);
		if (!strstr(e.msg, cases[i].want) || e.line != cases[i].line || e.col != cases[i].col)
			fail_msg("%s: %d:%d: %s", cases[i].text, e.line, e.col, e.msg);
	}
	arena_free(&a);
}

static void bounds(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 0);
	struct buf b = {0};
	struct err e = ERR_INIT;

	/* Ten aliases of ten aliases of …: 10^9 values if expanded. */
	buf_c(&b, "a: &a [x,x,x,x,x,x,x,x,x,x]\n");
	for (char c = 'b'; c <= 'i'; c++) {
		buf_printf(&b, "%c: &%c [", c, c);
		for (int i = 0; i < 10; i++) buf_printf(&b, "*%c,", c - 1);
		buf_c(&b, "]\n");
	}
	struct yaml *n = yaml_parse(&a, buf_view(&b), &e);
	assert_non_null(n);
	assert_true(a.used < 64 << 10);
	assert_ptr_equal(n->pairs[1].val->items[0], n->pairs[0].val);

	for (int depth = YAML_DEPTH_MAX; depth <= YAML_DEPTH_MAX + 1; depth++) {
		buf_clear(&b);
		for (int i = 0; i < depth; i++) buf_ch(&b, '[');
		for (int i = 0; i < depth; i++) buf_ch(&b, ']');
		assert_int_equal(yaml_parse(&a, buf_view(&b), &e) != NULL, depth == YAML_DEPTH_MAX);
	}
	assert_int_equal(e.code, ERR_TOO_LARGE);

	/* Merging a map of 2,000 pairs 2,000 times. */
	buf_clear(&b);
	buf_c(&b, "m: &m {");
	for (int i = 0; i < 2000; i++) buf_printf(&b, "k%d: 1, ", i);
	buf_c(&b, "}\nl:\n");
	for (int i = 0; i < 2000; i++) buf_c(&b, "  - <<: *m\n");
	assert_null(yaml_parse(&a, buf_view(&b), &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);

	assert_null(yaml_parse(&a, str_of(b.p, YAML_TEXT_MAX + 1), &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	buf_free(&b);
	arena_free(&a);
}

static void resolves_scalars(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 0);
	struct err e = ERR_INIT;
	struct yaml *n = yaml_parse(&a, STR("[yes, Off, y, N, TRUE, 'yes', yEs, 1, ~, null, '', 'null', , {}]"), &e);
	assert_null(n); /* an empty item of a flow list */
	n = yaml_parse(&a, STR("[yes, Off, y, N, TRUE, 'yes', yEs, 1, ~, null, '', 'null', {}]"), &e);
	assert_non_null(n);
	static const char want[] = "tftft....";
	for (size_t i = 0; i < sizeof want - 1; i++) {
		bool v = false;
		bool is = yaml_bool(n->items[i], &v);
		assert_int_equal(is ? (v ? 't' : 'f') : '.', want[i]);
	}
	static const char nulls[] = "........nn...";
	for (size_t i = 0; i < n->n; i++) assert_int_equal(yaml_is_null(n->items[i]) ? 'n' : '.', nulls[i]);
	assert_true(yaml_is_null(NULL));
	assert_string_equal(yaml_kind_name(n), "a list");
	assert_string_equal(yaml_kind_name(n->items[12]), "a mapping");
	assert_string_equal(yaml_kind_name(n->items[0]), "a string");
	assert_string_equal(yaml_kind_name(n->items[9]), "null");
	arena_free(&a);
}

static void prints_strings(void **state)
{
	(void)state;
	static const struct {
		struct str s;
		const char *want;
	} cases[] = {
		{{"", 0}, "\"\""},
		{{"abc", 3}, "abc"},
		{{"/var/log/*.log", 14}, "\"/var/log/*.log\""},
		{{"http://h:3100/push", 18}, "http://h:3100/push"},
		{{"10s", 3}, "10s"},
		{{"0080", 4}, "\"0080\""},
		{{"1:30:00", 7}, "\"1:30:00\""},
		{{"2026-11-01", 10}, "\"2026-11-01\""},
		{{"127.0.0.1:80", 12}, "\"127.0.0.1:80\""},
		{{"yes", 3}, "\"yes\""},
		{{"null", 4}, "\"null\""},
		{{"~", 1}, "\"~\""},
		{{".inf", 4}, "\".inf\""},
		{{"a: b", 4}, "\"a: b\""},
		{{"a:", 2}, "\"a:\""},
		{{"a ", 2}, "\"a \""},
		{{"- a", 3}, "\"- a\""},
		{{"a #b", 4}, "\"a #b\""},
		{{"a\"\\\n\t\x01\x7f", 7}, "\"a\\\"\\\\\\n\\t\\x01\\x7f\""},
		{{"\xe2\x80\xa8\xc3\xa9\xf0\x9f\x9a\x80", 9}, "\"\\u2028\xc3\xa9\xf0\x9f\x9a\x80\""},
		{{"\xc2\x85", 2}, "\"\\x85\""},
	};
	struct arena a;
	arena_init(&a, 0);
	struct buf b = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_clear(&b);
		yaml_print_str(&b, cases[i].s);
		assert_string_equal(buf_cstr(&b), cases[i].want);
		buf_insert(&b, 0, "k: ", 3);
		struct err e = ERR_INIT;
		struct yaml *n = yaml_parse(&a, buf_view(&b), &e);
		assert_non_null(n);
		assert_true(str_eq(n->pairs[0].val->text, cases[i].s));
	}
	buf_free(&b);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),  cmocka_unit_test(places),           cmocka_unit_test(refuses),
		cmocka_unit_test(bounds), cmocka_unit_test(resolves_scalars), cmocka_unit_test(prints_strings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
