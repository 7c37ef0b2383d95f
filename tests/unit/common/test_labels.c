/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/labels.h"

#include "tests/unit/check.h"

#include <stdio.h>

static struct labels parse(struct arena *a, const char *text)
{
	struct labels l;
	struct err e = ERR_INIT;
	if (!labels_parse(a, str_c(text), &l, &e)) fail_msg("%s", e.msg);
	return l;
}

static void parsing(void **state)
{
	(void)state;
	static const struct {
		const char *text, *printed;
	} cases[] = {
		{"", "{}"},
		{" \t\r\n", "{}"},
		{"{}", "{}"},
		{" { } ", "{}"},
		{"{app=\"a\"}", "{app=\"a\"}"},
		{"{b=\"2\",a=\"1\" , _c3 = \"3\"}", "{_c3=\"3\", a=\"1\", b=\"2\"}"},
		{"{a=\"1\",}", "{a=\"1\"}"},
		{"{a=`q\\n\"`}", "{a=\"q\\\\n\\\"\"}"},
		{"{a=`x\r\ny`}", "{a=\"x\\ny\"}"},
		{"{a='it\\'s \"b\" \\\\'}", "{a=\"it's \\\"b\\\" \\\\\"}"},
		{"{a='\\x41\\u00e9'}", "{a=\"A\xc3\xa9\"}"},
		{"{a=\"\\\"\\\\\\n\\101\\x41\\U0001F600\"}", "{a=\"\\\"\\\\\\nAA\xf0\x9f\x98\x80\"}"},
		{"{a=\"\\xff\"}", "{a=\"\\xff\"}"},
		{"{a=\"1\", e=\"\"}", "{a=\"1\"}"},
		{"{a=\"1\", a=\"\", b=\"2\"}", "{b=\"2\"}"},  /* empty means absent, for every pair of the name */
		{"{a=\"2\", a=\"1\"}", "{a=\"2\", a=\"1\"}"}, /* refused later, in other words */
		{"up{b=\"1\"}", "{__name__=\"up\", b=\"1\"}"},
		{"up", "{__name__=\"up\"}"},
		{"{ # note\n a=\"1\" # more\n}", "{a=\"1\"}"},
		{"# only a note", "{}"},
	};
	struct buf b = {0};
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct labels l = parse(&a, cases[i].text);
		labels_print(&b, &l);
		check_buf(&b, cases[i].printed);
	}
	buf_free(&b);
	arena_free(&a);
}

static void errors(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} cases[] = {
		/* as recorded of Loki */
		{"{app=\"a\"", "1:9: parse error: unexpected end of input inside braces"},
		{"app=\"a\"", "1:4: parse error: unexpected \"=\""},
		{"{app=~\"a\"}", "1:5: parse error: unexpected <op:=~> in label set, expected \"=\""},
		{"{a-b=\"a\"}", "1:3: parse error: unexpected character inside braces: '-'"},
		{"{a.b=\"a\"}", "1:3: parse error: unexpected character inside braces: '.'"},
		{"{app=bad}", "1:6: parse error: unexpected identifier \"bad\" in label set, expected string"},
		/* of the same grammar */
		{"{", "1:2: parse error: unexpected end of input inside braces"},
		{"{a", "1:3: parse error: unexpected end of input inside braces"},
		{"{=", "1:2: parse error: unexpected \"=\" in label set, expected identifier or \"}\""},
		{"{,}", "1:2: parse error: unexpected \",\" in label set, expected identifier or \"}\""},
		{"{a=\"1\",,}", "1:8: parse error: unexpected \",\" in label set, expected identifier or \"}\""},
		{"{a}", "1:3: parse error: unexpected \"}\" in label set, expected \"=\""},
		{"{a!=\"1\"}", "1:3: parse error: unexpected <op:!=> in label set, expected \"=\""},
		{"{a!~\"1\"}", "1:3: parse error: unexpected <op:!~> in label set, expected \"=\""},
		{"{a!\"1\"}", "1:3: parse error: unexpected character after '!' inside braces: '\"'"},
		{"{a=\"1\" b=\"2\"}",
		 "1:8: parse error: unexpected identifier \"b\" in label set, expected \",\" or \"}\""},
		{"{a=\"1\"\n  b}",
		 "2:3: parse error: unexpected identifier \"b\" in label set, expected \",\" or \"}\""},
		{"{\"a.b\"=\"1\"}",
		 "1:2: parse error: unexpected string \"\\\"a.b\\\"\" in label set, expected identifier or \"}\""},
		{"{a=abcdefghijklm}",
		 "1:4: parse error: unexpected identifier \"abcdefghij\"... in label set, expected string"},
		{"{a={", "1:4: parse error: unexpected left brace '{'"},
		{"}", "1:1: parse error: unexpected character: '}'"},
		{"{a=\"1\"}}", "1:8: parse error: unexpected character: '}'"},
		{"{a=\"1\"} b", "1:9: parse error: unexpected identifier \"b\""},
		{"a b", "1:3: parse error: unexpected identifier \"b\""},
		{"{1=\"a\"}", "1:2: parse error: unexpected character inside braces: '1'"},
		{"{\xc3\xa9=\"a\"}", "1:2: parse error: unexpected character inside braces: '\xc3\xa9'"},
		{"{'", "1:2: parse error: unterminated quoted string"},
		{"{a=\"b", "1:4: parse error: unterminated quoted string"},
		{"{a=\"b\nc\"}", "1:4: parse error: unterminated quoted string"},
		{"{a=`b", "1:4: parse error: unterminated raw string"},
		{"{a=\"\\q\"}", "1:4: parse error: unknown escape sequence U+0071 'q'"},
		{"{a=\"\\'\"}", "1:4: parse error: unknown escape sequence U+0027 '\\''"},
		{"{a=\"\\", "1:4: parse error: escape sequence not terminated"},
		{"{a=\"\\x4", "1:4: parse error: escape sequence not terminated"},
		{"{a=\"\\x4g\"}", "1:4: parse error: illegal character U+0067 'g' in escape sequence"},
		{"{a=\"\\x4@\"}", "1:4: parse error: illegal character U+0040 '@' in escape sequence"},
		{"{a=\"\\x4\n\"}", "1:4: parse error: illegal character U+000A in escape sequence"},
		{"{a=\"\\400\"}", "1:4: parse error: escape sequence is an invalid Unicode code point"},
		{"{a=\"\\ud800\"}", "1:4: parse error: escape sequence is an invalid Unicode code point"},
		{"{a=\"\\UFFFFFFFF\"}", "1:4: parse error: escape sequence is an invalid Unicode code point"},
		{"{a=\"\xff\"}", "1:4: parse error: invalid UTF-8 rune"},
	};
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct labels l;
		struct err e = ERR_INIT;
		assert_false(labels_parse(&a, str_c(cases[i].text), &l, &e));
		check_text(e.msg, cases[i].error);
		char place[32];
		snprintf(place, sizeof place, "%d:%d:", e.line, e.col);
		assert_memory_equal(e.msg, place, strlen(place));
		assert_int_equal(e.code, ERR_INVALID);
	}
	arena_free(&a);
}

static void slices_borrow(void **state)
{
	(void)state;
	const char *text = "{a=\"plain\", b=\"esc\\n\"}";
	struct arena a;
	arena_init(&a, 0);
	struct labels l = parse(&a, text);
	assert_ptr_equal(l.v[0].value.p, text + 4);
	assert_true(l.v[1].value.p < text || l.v[1].value.p > text + strlen(text));
	arena_free(&a);
}

static void looking_up(void **state)
{
	(void)state;
	static char names[100][8];
	struct label v[100];
	for (int n = 0; n <= 100; n++) { /* below and above where bisection begins */
		for (int i = 0; i < n; i++) {
			snprintf(names[i], sizeof names[i], "l%02d", (i * 37 + 11) % 100);
			v[i] = (struct label){str_c(names[i]), str_c(names[i])};
		}
		struct str dup;
		assert_true(labels_sort(v, (size_t)n, &dup));
		struct labels l = {v, (size_t)n};
		for (int i = 0; i < n; i++) check_str(labels_get(&l, str_c(names[i])), str_c(names[i]));
		assert_null(labels_get(&l, STR("a")).p);
		assert_null(labels_get(&l, STR("l500")).p);
		assert_null(labels_get(&l, STR("z")).p);
	}
	struct label empty = {STR("x"), STR_NULL};
	assert_non_null(labels_get(&(struct labels){&empty, 1}, STR("x")).p); /* present, though empty */
}

static void duplicates_are_named(void **state)
{
	(void)state;
	struct str dup;
	struct label few[] = {{STR("b"), STR("1")}, {STR("a"), STR("")}, {STR("b"), STR("2")}};
	assert_false(labels_sort(few, 3, &dup));
	check_str(dup, STR("b"));
	check_str(few[1].value, STR("1")); /* the order written */
	static char names[200][8];
	struct label many[200];
	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof names[i], "l%d", i % 199);
		many[i] = (struct label){str_c(names[i]), STR("")};
	}
	assert_false(labels_sort(many, 200, &dup));
	check_str(dup, STR("l0"));
}

static void order_equality_hash_copy(void **state)
{
	(void)state;
	/* In ascending order. */
	static const char *const texts[] = {"{}",        "{a=\"1\"}",  "{a=\"1\", b=\"1\"}", "{a=\"1\", c=\"0\"}",
					    "{a=\"2\"}", "{ab=\"1\"}", "{b=\"1\"}"};
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct labels x = parse(&a, texts[i]), copy = labels_copy(&a, &x);
		assert_true(labels_eq(&x, &copy));
		assert_true(labels_hash(&x) == labels_hash(&copy));
		if (x.n) assert_ptr_not_equal(x.v[0].name.p, copy.v[0].name.p);
		for (size_t k = 0; k < COUNT(texts); k++) {
			struct labels y = parse(&a, texts[k]);
			int d = labels_cmp(&x, &y);
			assert_int_equal((d > 0) - (d < 0), (i > k) - (i < k));
			assert_int_equal(labels_eq(&x, &y), i == k);
			assert_int_equal(labels_hash(&x) == labels_hash(&y), i == k);
		}
	}
	/* On disk: must never change. Equal bytes split elsewhere differ. */
	struct labels l = parse(&a, "{app=\"a\", host=\"b\"}");
	struct str flat = STR("\3\0\0\0app\1\0\0\0a\4\0\0\0host\1\0\0\0b");
	assert_true(labels_hash(&l) == str_hash(flat));
	struct label one = {STR("ab"), STR("c")}, other = {STR("a"), STR("bc")};
	assert_true(labels_hash(&(struct labels){&one, 1}) != labels_hash(&(struct labels){&other, 1}));
	struct buf big = {0};
	for (int i = 0; i < 500; i++) buf_c(&big, "long value ");
	one.value = buf_view(&big);
	struct labels large = {&one, 1}, copy = labels_copy(&a, &large);
	assert_true(labels_hash(&large) == labels_hash(&copy));
	buf_free(&big);
	arena_free(&a);
}

static void names(void **state)
{
	(void)state;
	static const char *const good[] = {"a", "_", "__x__", "A1_b"}, *const bad[] = {"",    "1a",       "a-b", "a.b",
										       "a:b", "\xc3\xa9", "a "};
	for (size_t i = 0; i < COUNT(good); i++) assert_true(labels_name_valid(str_c(good[i])));
	for (size_t i = 0; i < COUNT(bad); i++) assert_false(labels_name_valid(str_c(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing),
		cmocka_unit_test(errors),
		cmocka_unit_test(slices_borrow),
		cmocka_unit_test(looking_up),
		cmocka_unit_test(duplicates_are_named),
		cmocka_unit_test(order_equality_hash_copy),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
