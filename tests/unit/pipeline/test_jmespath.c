/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/jmespath.h"

#include "tests/unit/check.h"

#include <stdlib.h>

/* What an expression makes of a document, as JSON; or why it fails. */
static const char *search(struct arena *a, const char *doc, const char *expr)
{
	struct err e = ERR_INIT;
	struct buf out = {0};
	struct json_out o;
	struct jmespath *j = jmespath_compile(str_c(expr), &e);
	const struct jval *root = j ? jval_parse(a, str_c(doc), &e) : NULL;
	const struct jval *v = root ? jmespath_search(j, root, a, &e) : NULL;
	json_out_init(&o, &out, false);
	if (v) jval_print(v, &o);
	const char *text = arena_cstr(a, v ? buf_view(&out) : str_c(e.msg));
	buf_free(&out);
	jmespath_free(j);
	return text;
}

struct row {
	const char *expr, *want;
};

static void check_rows(const char *doc, const struct row *rows, size_t n)
{
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < n; i++) {
		const char *got = search(&a, doc, rows[i].expr);
		if (strcmp(got, rows[i].want)) fail_msg("%s\ngot  %s\nwant %s", rows[i].expr, got, rows[i].want);
	}
	arena_free(&a);
}
#define CHECK(doc, ...)                                                                                                \
	do {                                                                                                           \
		static const struct row rows_[] = {__VA_ARGS__};                                                       \
		check_rows(doc, rows_, COUNT(rows_));                                                                  \
	} while (0)

static void fields_and_subexpressions(void **state)
{
	(void)state;
	CHECK("{\"foo\":{\"bar\":{\"baz\":\"x\"},\"n\":[0,1]},\"a.b\":7,\"ü\":1,\"with \\\"q\":2,\"\":3}",
	      {"foo.bar.baz", "\"x\""}, {"foo . bar\n.baz", "\"x\""}, {"foo.nope", "null"}, {"foo.nope.baz", "null"},
	      {"foo.bar.baz.x", "null"}, {"\"a.b\"", "7"}, {"\"\\u00fc\"", "1"}, {"\"ü\"", "1"},
	      {"\"with \\\"q\"", "2"}, {"\"\"", "3"}, {"foo.\"bar\".baz", "\"x\""}, {"@.foo.bar", "{\"baz\":\"x\"}"},
	      {"foo.n.x", "null"});
}

static void indexes_and_slices(void **state)
{
	(void)state;
	CHECK("{\"a\":[0,1,2,3,4,5],\"o\":{},\"n\":[[1,2],[3]]}", {"a[0]", "0"}, {"a[-1]", "5"}, {"a[6]", "null"},
	      {"a[-7]", "null"}, {"o[0]", "null"}, {"[0]", "null"}, {"n[0][1]", "2"}, {"a[1:3]", "[1,2]"},
	      {"a[:2]", "[0,1]"}, {"a[4:]", "[4,5]"}, {"a[::2]", "[0,2,4]"}, {"a[::-1]", "[5,4,3,2,1,0]"},
	      {"a[-2:]", "[4,5]"}, {"a[10:]", "[]"}, {"a[:-4]", "[0,1]"}, {"a[-100:2]", "[0,1]"},
	      {"a[3:0:-2]", "[3,1]"}, {"a[100::-3]", "[5,2]"}, {"o[0:1]", "null"},
	      {"a[::0]", "Invalid slice, step cannot be 0"}, {"a[::9223372036854775807]", "[0]"},
	      {"a[::-9223372036854775808]", "[5]"}, {"n[0:2][0]", "[1,3]"});
}

static void projections(void **state)
{
	(void)state;
	CHECK("{\"p\":[{\"n\":1,\"t\":[\"a\"]},{\"n\":2},{\"x\":0,\"t\":[\"b\",\"c\"]}],\"o\":{\"a\":{\"v\":1},\"b\":{"
	      "\"v\":2},\"c\":3}}",
	      {"p[*].n", "[1,2]"}, {"p[*].t", "[[\"a\"],[\"b\",\"c\"]]"}, {"p[*].t[]", "[\"a\",\"b\",\"c\"]"},
	      {"p[*].t[0]", "[\"a\",\"b\"]"}, {"p[*].t | [0]", "[\"a\"]"}, {"o.*.v", "[1,2]"},
	      {"o.*", "[{\"v\":1},{\"v\":2},3]"}, {"*.a.v", "[1]"}, {"p.*", "null"}, {"o[*]", "null"},
	      {"p[].t[]", "[\"a\",\"b\",\"c\"]"}, {"[*].a", "null"}, {"p[*].nope", "[]"},
	      {"p[*].[n]", "[[1],[2],[null]]"}, {"(p[*].n)[0]", "1"}, {"p[0].*", "[1,[\"a\"]]"});
	CHECK("[[1,[2]],3,[],null,[[4]]]", {"[]", "[1,[2],3,[4]]"}, {"[][]", "[1,2,3,4]"},
	      {"[*]", "[[1,[2]],3,[],[[4]]]"}, {"[] | [0]", "1"}, {"[*][0]", "[1,[4]]"});
}

static void filters_and_comparisons(void **state)
{
	(void)state;
	CHECK("{\"p\":[{\"n\":1,\"k\":\"a\"},{\"n\":2,\"k\":\"b\"},{\"n\":3,\"k\":\"b\"}],\"t\":true,\"z\":null,\"e\":["
	      "]}",
	      {"p[?n > `1`].k", "[\"b\",\"b\"]"}, {"p[?n >= `2` && k == 'b'].n", "[2,3]"},
	      {"p[?n < `2` || n == `3`].n", "[1,3]"}, {"p[?!(k == 'b')].n", "[1]"}, {"p[?k != 'a'] | [0].n", "2"},
	      {"p[?n <= `1`]", "[{\"n\":1,\"k\":\"a\"}]"}, {"p[?k > 'a']", "[]"}, {"p[?nope]", "[]"},
	      {"t && 'x'", "\"x\""}, {"z || e || 'last'", "\"last\""}, {"z && t", "null"}, {"e && t", "[]"},
	      {"!t", "false"}, {"!z", "true"}, {"!!e", "false"}, {"t == `true`", "true"},
	      {"p[0] == `{\"k\":\"a\",\"n\":1}`", "true"}, {"e == `[]`", "true"}, {"e != `[1]`", "true"},
	      {"`1` == '1'", "false"}, {"`0` && 'x'", "\"x\""}, {"t < `1`", "null"}, {"z[?a]", "null"},
	      {"p[?n==`1`][]", "[{\"n\":1,\"k\":\"a\"}]"});
}

static void lists_hashes_and_literals(void **state)
{
	(void)state;
	CHECK("{\"a\":1,\"b\":{\"c\":2}}", {"[a, b.c, nope]", "[1,2,null]"},
	      {"{x: a, \"y z\": b.c}", "{\"x\":1,\"y z\":2}"}, {"b.{d: c, d: `9`}", "{\"d\":9}"}, {"b.[c]", "[2]"},
	      {"nope.[a]", "null"}, {"nope.{a: a}", "null"}, {"'raw \\'x\\' \\n'", "\"raw 'x' \\\\n\""},
	      {"`\"a\\`b\"`", "\"a`b\""}, {"` {\"a\": [1, 2]} `", "{\"a\":[1,2]}"}, {"`-1.5e3`", "-1500"},
	      {"`null`", "null"}, {"@", "{\"a\":1,\"b\":{\"c\":2}}"}, {"a | @", "1"}, {"''", "\"\""}, {"[a][0]", "1"});
}

static void functions(void **state)
{
	(void)state;
	CHECK("{\"n\":[3,1,2],\"s\":[\"b\",\"a\",\"ü\"],\"o\":{\"x\":1,\"y\":2},\"m\":[1,\"a\"],\"e\":[],\"p\":[{\"k\":"
	      "2,\"v\":\"a\"},{\"k\":1,\"v\":\"b\"},"
	      "{\"k\":2,\"v\":\"c\"}],\"t\":\"hallo ü\"}",
	      {"abs(`-1.5`)", "1.5"}, {"avg(n)", "2"}, {"avg(e)", "null"}, {"ceil(`1.2`)", "2"},
	      {"floor(`-1.2`)", "-2"}, {"sum(n)", "6"}, {"sum(e)", "0"}, {"contains(s, 'a')", "true"},
	      {"contains(t, 'all')", "true"}, {"contains(t, `1`)", "false"}, {"contains(n, `2`)", "true"},
	      {"starts_with(t, 'ha')", "true"}, {"ends_with(t, 'ha')", "false"}, {"join('-', s)", "\"b-a-ü\""},
	      {"join('-', e)", "\"\""}, {"keys(o)", "[\"x\",\"y\"]"}, {"values(o)", "[1,2]"}, {"length(t)", "7"},
	      {"length(o)", "2"}, {"length(n)", "3"}, {"map(&k, p)", "[2,1,2]"}, {"map(&nope, p)", "[null,null,null]"},
	      {"max(n)", "3"}, {"min(s)", "\"a\""}, {"max(e)", "null"}, {"max_by(p, &k).v", "\"a\""},
	      {"min_by(p, &k).v", "\"b\""}, {"max_by(e, &k)", "null"},
	      {"merge(o, `{\"x\":9,\"z\":0}`)", "{\"x\":9,\"y\":2,\"z\":0}"}, {"not_null(nope, e, n)", "[]"},
	      {"not_null(nope)", "null"}, {"reverse(n)", "[2,1,3]"}, {"reverse(t)", "\"ü ollah\""},
	      {"sort(n)", "[1,2,3]"}, {"sort(s)", "[\"a\",\"b\",\"ü\"]"},
	      {"sort_by(p, &k)[*].v", "[\"b\",\"a\",\"c\"]"}, {"to_array(n)", "[3,1,2]"},
	      {"to_array(t)", "[\"hallo ü\"]"}, {"to_number('1.5')", "1.5"}, {"to_number('x')", "null"},
	      {"to_number(n)", "null"}, {"to_string(n)", "\"[3,1,2]\""}, {"to_string(t)", "\"hallo ü\""},
	      {"type(n)", "\"array\""}, {"type(`null`)", "\"null\""}, {"type(o)", "\"object\""},
	      {"type(`true`)", "\"boolean\""}, {"type(t)", "\"string\""}, {"type(`1`)", "\"number\""},
	      {"n | sort(@) | [-1]", "3"}, {"p[?contains(v, 'a')].k", "[2]"},
	      {"sort_by(p, &to_string(k))[0].v", "\"b\""}, {"abs('x')", "Invalid type for: abs()"},
	      {"sum(m)", "Invalid type for: sum()"}, {"sort(m)", "Invalid type for: sort()"},
	      {"abs()", "incorrect number of args"}, {"abs(`1`, `2`)", "incorrect number of args"},
	      {"sort_by(p, &nope)", "Invalid type, must be all numbers or all strings"},
	      {"sort_by(p, k)", "Invalid type for: sort_by()"}, {"nope(n)", "unknown function: nope"},
	      {"merge()", "incorrect number of args"}, {"length(`1`)", "Invalid type for: length()"},
	      {"max_by(`[1,\"a\"]`, &@)", "Invalid type, must be all numbers or all strings"},
	      {"abs(&n)", "Invalid type for: abs()"}, {"&n", "&expression is only an argument of a function"});
}

/* What one construct does to another: where projections end, what binds tighter, what is false, and errors of types. */
static void combinations(void **state)
{
	(void)state;
	CHECK("{\"a\":{\"b\":[{\"c\":1,\"d\":[1,2]},{\"c\":2},{\"e\":null},5,\"s\",null]},\"m\":[[1,[2,[3]]],4],\"o\":{"
	      "\"x\":{\"v\":1},\"y\":{\"v\":null},\"z\":3},\"s\":[\"b\",\"a\",\"B\"],\"n\":[3,-1,2.5],\"t\":true,\"f\":"
	      "false,\"z\":null,\"es\":\"\",\"ea\":[],\"eo\":{},\"str\":\"héllo\",\"k e "
	      "y\":7,\"people\":[{\"n\":\"x\",\"age\":3,\"tags\":[\"p\"]},{\"n\":\"y\",\"age\":1,\"tags\":[]},{\"n\":"
	      "\"z\",\"age\":3,\"tags\":[\"p\",\"q\"]}]}",
	      {"a.b[*].c", "[1,2]"}, {"a.b[].c", "[1,2]"}, {"a.b[*].d[]", "[1,2]"}, {"a.b[*].d[*]", "[[1,2]]"},
	      {"a.b[*].d[0]", "[1]"}, {"a.b[?c].c", "[1,2]"}, {"a.b[?c == `2`] | [0].c", "2"},
	      {"a.b[?@ == `5`]", "[5]"}, {"a.b[?@ == null]", "[]"}, {"a.b[?!@]", "[]"},
	      {"a.*[0]", "[{\"c\":1,\"d\":[1,2]}]"}, {"a.*[*].c", "[[1,2]]"}, {"o.*.v", "[1]"}, {"o.* | [2]", "3"},
	      {"o.*.v | length(@)", "1"}, {"m[]", "[1,[2,[3]],4]"}, {"m[][]", "[1,2,[3],4]"},
	      {"m[*][*]", "[[1,[2,[3]]]]"}, {"m[][] | [0]", "1"}, {"a.b[-1]", "null"}, {"a.b[-2:]", "[\"s\"]"},
	      {"a.b[::-1][0]", "[]"}, {"a.b[1:2].c", "[2]"}, {"\"k e y\"", "7"}, {"a.\"b\"[0].\"c\"", "1"},
	      {"t || f", "true"}, {"f || t", "true"}, {"f || es || ea || eo || z", "null"}, {"t && f", "false"},
	      {"es && t", "\"\""}, {"eo || 'x'", "\"x\""}, {"!eo", "true"}, {"!z", "true"},
	      {"t && (f || 'x')", "\"x\""}, {"f && t || 'y'", "\"y\""}, {"t || f && 'no'", "true"},
	      {"n[0] > n[1]", "true"}, {"n[0] > s[0]", "null"}, {"s[0] == 'b'", "true"}, {"ea == `[]`", "true"},
	      {"eo == `{}`", "true"}, {"o == `{\"z\":3,\"y\":{\"v\":null},\"x\":{\"v\":1}}`", "true"},
	      {"[t, [z, `\"lit\"`]]", "[true,[null,\"lit\"]]"},
	      {"{a: n[0], b: {c: s}}", "{\"a\":3,\"b\":{\"c\":[\"b\",\"a\",\"B\"]}}"},
	      {"people[?age > `1` && contains(tags, 'q')].n", "[\"z\"]"},
	      {"people[?age == `3`].n | sort(@) | [-1]", "\"z\""},
	      {"people[?length(tags) > `0`].{n: n, first: tags[0]}",
	       "[{\"n\":\"x\",\"first\":\"p\"},{\"n\":\"z\",\"first\":\"p\"}]"},
	      {"people[*].tags[]", "[\"p\",\"p\",\"q\"]"}, {"people[*].tags | []", "[\"p\",\"p\",\"q\"]"},
	      {"sort_by(people, &age)[*].n", "[\"y\",\"x\",\"z\"]"}, {"max_by(people, &age).n", "\"x\""},
	      {"min_by(people, &n).age", "3"}, {"map(&length(tags), people)", "[1,0,2]"},
	      {"people[].tags[?@ == 'p'][]", "[\"p\",\"p\"]"}, {"length(str)", "5"}, {"reverse(str)", "\"olléh\""},
	      {"join(',', s)", "\"b,a,B\""}, {"join(',', n)", "Invalid type for: join()"},
	      {"to_string(n)", "\"[3,-1,2.5]\""}, {"to_number('1e3')", "1000"}, {"to_number(' 1')", "null"},
	      {"not_null(z, es, t)", "\"\""}, {"merge(eo, {x: t}, {x: f})", "{\"x\":false}"}, {"type(z)", "\"null\""},
	      {"keys(eo)", "[]"}, {"values(eo)", "[]"}, {"sum(ea)", "0"}, {"avg(ea)", "null"}, {"max(ea)", "null"},
	      {"sort(s)", "[\"B\",\"a\",\"b\"]"}, {"contains(str, 'llo')", "true"}, {"contains(s, 'A')", "false"},
	      {"starts_with(str, '')", "true"}, {"ends_with(str, 'o')", "true"}, {"ceil(n[2])", "3"},
	      {"floor(n[1])", "-1"}, {"abs(n[1])", "1"}, {"@.t", "true"}, {"*.b | [0][0].c", "1"}, {"z.a", "null"},
	      {"z[0]", "null"}, {"z[*]", "null"}, {"z[]", "null"}, {"str[0]", "null"}, {"str[0:2]", "null"},
	      {"t.*", "null"}, {"`\"\\u00e9\"`", "\"é\""}, {"'\\\\'", "\"\\\\\\\\\""}, {"a.{x: b[0].c}.x", "1"},
	      {"a.[b[0].c, b[1].c]", "[1,2]"}, {"a.b[0].[c, d]", "[1,[1,2]]"}, {"a | b | [0] | c", "1"},
	      {"a.b[*].c | [1]", "2"}, {"(a.b[*].c)[1]", "2"}, {"a.b[*].c[1]", "[]"}, {"a.b[*].[c][0]", "[1]"},
	      {"sort_by(people, &tags)", "Invalid type, must be all numbers or all strings"},
	      {"sort(people)", "Invalid type for: sort()"}, {"sum(s)", "Invalid type for: sum()"},
	      {"max_by(people, &nope)", "Invalid type, must be all numbers or all strings"},
	      {"map(&n, z)", "Invalid type for: map()"}, {"join(s, ',')", "Invalid type for: join()"},
	      {"length(z)", "Invalid type for: length()"}, {"&a", "&expression is only an argument of a function"},
	      {"f(a,)", "unknown function: f"}, {"a == b == c", "false"});
}

static void syntax_errors(void **state)
{
	(void)state;
	CHECK("{}", {"", "SyntaxError: Incomplete expression"}, {"[[", "SyntaxError: Incomplete expression"},
	      {"a.", "SyntaxError: Expected identifier, lbracket, or lbrace"},
	      {"a.'b'", "SyntaxError: Expected identifier, lbracket, or lbrace"},
	      {".a", "SyntaxError: Invalid token: tDot"},
	      {"a b", "SyntaxError: Unexpected token at the end of the expression: tUnquotedIdentifier"},
	      {"a]", "SyntaxError: Unexpected token at the end of the expression: tRbracket"},
	      {"a[0", "SyntaxError: Expected tRbracket, received: tEOF"},
	      {"a[x]", "SyntaxError: Expected tStar, received: tUnquotedIdentifier"},
	      {"\"a", "SyntaxError: Unclosed delimiter: \""}, {"'a", "SyntaxError: Unclosed delimiter: '"},
	      {"`a", "SyntaxError: Unclosed delimiter: `"}, {"a=b", "SyntaxError: Unknown char: ="},
	      {"a ü", "SyntaxError: Unknown char: ü"}, {"#", "SyntaxError: Unknown char: #"},
	      {"(a", "SyntaxError: Expected tRparen, received: tEOF"},
	      {"f(a b)", "SyntaxError: Expected tRparen, received: tUnquotedIdentifier"},
	      {"a[?b", "SyntaxError: Expected tRbracket, received: tEOF"},
	      {"{a}", "SyntaxError: Expected tColon, received: tRbrace"},
	      {"{a: b", "SyntaxError: Expected tComma, received: tEOF"},
	      {"{`1`: b}", "SyntaxError: Expected tQuotedIdentifier or tUnquotedIdentifier, received: tJSONLiteral"},
	      {"a[1:2:3:4]", "SyntaxError: Expected tRbracket, tColon or tNumber, received: tColon"},
	      {"a[:::]", "SyntaxError: Expected tRbracket, tColon or tNumber, received: tColon"},
	      {"a[1 2:]", "SyntaxError: Expected tRbracket, received: tNumber"},
	      {"a[:1 2]", "SyntaxError: Expected tRbracket, tColon or tNumber, received: tNumber"},
	      {"a[:x]", "SyntaxError: Expected tRbracket, tColon or tNumber, received: tUnquotedIdentifier"},
	      {"\"f\"(a)", "SyntaxError: Can't have quoted identifier as function name."},
	      {"-", "SyntaxError: Expected a number"}, {"a[99999999999999999999]", "SyntaxError: Expected a number"},
	      {"[a](b)", "SyntaxError: Invalid node as function name."},
	      {"*.*.", "SyntaxError: Expected identifier, lbracket, or lbrace"},
	      {"a..b", "SyntaxError: Expected identifier, lbracket, or lbrace"},
	      {"[a,]", "SyntaxError: Invalid token: tRbracket"}, {"a[?]", "SyntaxError: Invalid token: tRbracket"},
	      {"{a:b,}", "SyntaxError: Expected tQuotedIdentifier or tUnquotedIdentifier, received: tRbrace"},
	      {"a ||", "SyntaxError: Incomplete expression"}, {"||a", "SyntaxError: Invalid token: tOr"},
	      {"a,b", "SyntaxError: Unexpected token at the end of the expression: tComma"},
	      {"a[*]b", "SyntaxError: Unexpected token at the end of the expression: tUnquotedIdentifier"});
}

/* Whatever is nested, an answer comes. */
static void is_bounded(void **state)
{
	(void)state;
	struct arena a;
	struct buf b = {0};
	arena_init(&a, 0);
	for (int i = 0; i < 100000; i++) buf_ch(&b, '[');
	check_text(search(&a, "{}", buf_cstr(&b)), "SyntaxError: expression is nested too deeply");
	buf_clear(&b);
	for (int i = 0; i < 1000; i++) buf_c(&b, "a.");
	buf_ch(&b, 'a');
	check_text(search(&a, "{}", buf_cstr(&b)), "SyntaxError: expression is nested too deeply");
	buf_clear(&b);
	buf_c(&b, "[");
	for (int i = 0; i < 1000; i++) buf_printf(&b, "%d,", i);
	buf_c(&b, "0]");
	check_text(search(&a, buf_cstr(&b), "map(&[@,@,@,@], map(&[@,@,@,@], @))[].[@,@][].[@,@][].[@,@][].[@,@][]"),
		   "the expression takes more than 100000 steps on this value");
	buf_free(&b);
	arena_free(&a);
}

static void knows_plain_paths(void **state)
{
	(void)state;
	const struct str *names;
	size_t n;
	struct err e = ERR_INIT;
	struct jmespath *j = jmespath_compile(STR("a.\"b c\".d"), &e);
	assert_true(jmespath_is_path(j, &names, &n));
	assert_int_equal(n, 3);
	check_str(names[1], STR("b c"));
	jmespath_free(j);
	static const char *const others[] = {"a[0]", "@", "a.*", "a || b", "length(a)", "a.[b]"};
	for (size_t i = 0; i < COUNT(others); i++) {
		j = jmespath_compile(str_c(others[i]), &e);
		assert_false(jmespath_is_path(j, &names, &n));
		jmespath_free(j);
	}
}

static void of_equal_names_the_last_counts(void **state)
{
	(void)state;
	struct buf b = {0};
	struct arena a;
	arena_init(&a, 0);
	check_text(search(&a, "{\"a\":1,\"b\":2,\"a\":3}", "@"), "{\"a\":3,\"b\":2}");
	buf_c(&b, "{");
	for (int i = 0; i < 40; i++) buf_printf(&b, "\"k%d\":%d,", i % 30, i);
	buf_c(&b, "\"z\":0}");
	check_text(search(&a, buf_cstr(&b), "[length(@), k5, k20]"), "[31,35,20]");
	buf_free(&b);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_and_subexpressions),
		cmocka_unit_test(indexes_and_slices),
		cmocka_unit_test(projections),
		cmocka_unit_test(filters_and_comparisons),
		cmocka_unit_test(lists_hashes_and_literals),
		cmocka_unit_test(functions),
		cmocka_unit_test(combinations),
		cmocka_unit_test(syntax_errors),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(knows_plain_paths),
		cmocka_unit_test(of_equal_names_the_last_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
