/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/linefilter.h"

#include "pipeline/ipfilter.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct group {
	struct arena a;
	struct linefilter v[8];
	size_t n;
	struct err e;
};

static bool parse(struct group *g, const char *src)
{
	struct lex lx;
	*g = (struct group){.e = ERR_INIT};
	arena_init(&g->a, 0);
	lex_init(&lx, str_c(src), &g->a, 0, &g->e);
	while (linefilter_starts(lx.tok.kind))
		if (!linefilter_parse(&lx, &g->v[g->n++])) return false;
	return lx.tok.kind == TOK_EOF;
}

static bool passes(const char *src, const char *line)
{
	struct group g;
	if (!parse(&g, src)) print_error("%s: %s\n", src, g.e.msg);
	struct linefilters *f = linefilters_new(g.v, g.n, NULL, &g.e);
	arena_free(&g.a); /* what is compiled stands alone */
	assert_non_null(f);
	bool yes = linefilters_match(f, str_c(line));
	struct str needle = linefilters_needle(f);
	if (yes && needle.n) assert_true(str_find(str_c(line), needle) >= 0);
	linefilters_free(f);
	return yes;
}

static void literals(void **unused)
{
	(void)unused;
	assert_true(passes("", "anything"));
	assert_true(passes("|= \"err\"", "an error"));
	assert_false(passes("|= \"Err\"", "an error"));
	assert_false(passes("!= \"err\"", "an error"));
	assert_true(passes("|= \"\"", "x"));
	assert_false(passes("!= \"\"", "x"));
	assert_true(passes("|= \"a\" or \"b\"", "xb"));
	assert_false(passes("|= \"a\" or \"b\"", "xc"));
	assert_true(passes("|= \"a\" or \"\"", "xc"));
	assert_false(passes("!= \"a\" or \"b\"", "xb"));
	assert_true(passes("!= \"a\" or \"b\"", "xc"));
	assert_true(passes("|= \"a\" |= \"b\" != \"c\"", "ab"));
	assert_false(passes("|= \"a\" |= \"b\" != \"c\"", "abc"));
	assert_false(passes("|= \"a\" |= \"b\" != \"c\"", "ac"));
	assert_true(passes("|= \"a1\" or \"b2\" or \"c3\" or \"d4\" or \"e5\"", "--e5"));
	assert_false(passes("|= \"a1\" or \"b2\" or \"c3\" or \"d4\" or \"e5\"", "--e6"));
}

static void regexes(void **unused)
{
	(void)unused;
	assert_true(passes("|~ \"status=(4|5)..\"", "x status=503"));
	assert_false(passes("!~ \"status=2..\"", "x status=200"));
	assert_true(passes("|~ \"^x\" or \"y$\"", "ay"));
	assert_false(passes("!~ \"^x\" or \"y$\"", "ay"));
	assert_false(passes("|~ \"a.b\"", "a\nb"));
	assert_true(passes("|~ \"(?s)a.b\"", "a\nb"));
	assert_true(passes("|~ \"\"", "x"));
	assert_false(passes("!~ \"\"", "x"));
	assert_true(passes("|~ \"a|b\" |= \"b\"", "b"));
	assert_true(passes("|~ \".*ERROR\"", "caf\xE9 ERROR"));
}

static void patterns(void **unused)
{
	(void)unused;
	assert_true(passes("|> \"<_>error<_>\"", "an error here"));
	assert_false(passes("|> \"<_>error<_>\"", "error here"));
	assert_false(passes("|> \"<_>error\"", "an error here"));
	assert_true(passes("|> \"<_>error\"", "an error"));
	assert_true(passes("|> \"level=info<_>\"", "level=info msg"));
	assert_true(passes("!> \"<_> - ada <_>\"", "x - bob y"));
	assert_false(passes("!> \"<_> - ada <_>\"", "x - ada y"));
	assert_true(passes("|> \"<_>error<_>\" or \"<_>warn<_>\"", "a warn b"));
	assert_true(passes("|> \"<_>\"", "x"));
	assert_false(passes("|> \"<_>\"", ""));
	assert_true(passes("|> \"\"", ""));
	assert_true(passes("|> \"plain\"", "plain"));
	assert_false(passes("|> \"plain\"", "plain text"));
}

static void addresses(void **unused)
{
	(void)unused;
	assert_true(passes("|= ip(\"192.168.4.5\")", "from 192.168.4.5:80"));
	assert_false(passes("|= ip(\"192.168.4.5\")", "from 192.168.4.50"));
	assert_true(passes("|= ip(\"10.0.0.0/16\")", "a 10.1.0.1 b 10.0.255.1 c"));
	assert_false(passes("!= ip(\"10.0.0.0/8\")", "x 10.9.9.9"));
	assert_true(passes("!= ip(\"10.0.0.0/8\")", "x 11.9.9.9"));
	assert_true(passes("|= ip(\"192.168.4.1-192.168.4.9\")", "192.168.4.9"));
	assert_false(passes("|= ip(\"192.168.4.1-192.168.4.9\")", "192.168.4.10"));
	assert_true(passes("|= ip(\"2001:db8::/32\")", "[2001:db8::1]:443"));
	assert_true(passes("|= ip(\"::1\")", "at ::1 now"));
	assert_false(passes("|= ip(\"2001:db8::/32\")", "2001:db9::1 10.0.0.1"));
	assert_true(passes("|= ip(\"10.0.0.1\") or \"x\"", "x"));
	/* A later ip() is a plain string. */
	assert_true(passes("|= \"x\" or ip(\"10.0.0.1\")", "10.0.0.15"));
	assert_false(passes("!= \"x\" or ip(\"10.0.0.0/8\")", "10.1.2.3"));
	/* Not an address as a whole. */
	assert_false(passes("|= ip(\"10.0.0.1\")", "10.0.0.1."));
}

static void check_compile_error(const char *src, size_t at, const char *want)
{
	struct group g;
	size_t bad = 99;
	assert_true(parse(&g, src));
	assert_null(linefilters_new(g.v, g.n, &bad, &g.e));
	assert_int_equal(bad, at);
	assert_string_equal(g.e.msg, want);
	arena_free(&g.a);
}

static void compile_errors(void **unused)
{
	(void)unused;
	check_compile_error("|= ip(\"999.1.1.1\")", 0, "ip: invalid pattern: \"999.1.1.1\"");
	check_compile_error("|= ip(\"10.0.0.0/33\")", 0, "ip: invalid pattern: \"10.0.0.0/33\"");
	check_compile_error("|= ip(\"10.0.0.2-10.0.0.1\")", 0, "ip: invalid pattern: \"10.0.0.2-10.0.0.1\"");
	check_compile_error("|= ip(\"10.0.0.1-::1\")", 0, "ip: invalid pattern: \"10.0.0.1-::1\"");
	check_compile_error("|= \"a\" |~ ip(\"1.1.1.1\")", 1, "ip: invalid operation");
	check_compile_error("|= \"a\" |~ \"x\" or \"(\"", 1, "error parsing regexp: missing closing ): `(`");
	check_compile_error("|> \"<named> x\"", 0, "named captures are not allowed: found '<named>'");
	check_compile_error("|> \"<_><_>\"", 0, "found consecutive capture '<_><_>': invalid expression");
}

static void check_syntax_error(const char *src, const char *want)
{
	struct group g;
	assert_false(parse(&g, src));
	lex_wrap(&g.e);
	assert_string_equal(g.e.msg, want);
	arena_free(&g.a);
}

static void syntax_errors(void **unused)
{
	(void)unused;
	check_syntax_error("|= ",
			   "parse error at line 1, col 4: syntax error: unexpected $end, expecting STRING or ip");
	check_syntax_error("|= error",
			   "parse error at line 1, col 4: syntax error: unexpected IDENTIFIER, expecting STRING or ip");
	check_syntax_error("|= or \"b\"",
			   "parse error at line 1, col 4: syntax error: unexpected or, expecting STRING or ip");
	check_syntax_error("|= \"a\" or",
			   "parse error at line 1, col 10: syntax error: unexpected $end, expecting STRING or ip");
	check_syntax_error("|= ip(x)",
			   "parse error at line 1, col 7: syntax error: unexpected IDENTIFIER, expecting STRING");
	check_syntax_error("|= ip(\"x\"", "parse error at line 1, col 10: syntax error: unexpected $end, expecting )");
}

static void printing(void **unused)
{
	(void)unused;
	struct group g;
	struct buf b = {0};
	assert_true(parse(&g, "|=`a\"b` or \"c\" != ip( \"1.1.1.1\" ) or `d` !> \"<_>\""));
	for (size_t i = 0; i < g.n; i++) {
		if (i) buf_ch(&b, ' ');
		linefilter_print(&b, &g.v[i]);
	}
	assert_string_equal(buf_cstr(&b), "|= \"a\\\"b\" or \"c\" != ip(\"1.1.1.1\") != \"d\" !> \"<_>\"");
	buf_free(&b);
	arena_free(&g.a);
}

static void needles(void **unused)
{
	(void)unused;
	struct group g;
	assert_true(parse(
		&g,
		"|~ \"x+\" |= \"ab\" |> \"<_>long text<_>\" != \"not this one\" |= \"either\" or \"the other one\""));
	struct linefilters *f = linefilters_new(g.v, g.n, NULL, &g.e);
	assert_true(str_eqc(linefilters_needle(f), "long text"));
	linefilters_free(f);
	arena_free(&g.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(literals),  cmocka_unit_test(regexes),        cmocka_unit_test(patterns),
		cmocka_unit_test(addresses), cmocka_unit_test(compile_errors), cmocka_unit_test(syntax_errors),
		cmocka_unit_test(printing),  cmocka_unit_test(needles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
