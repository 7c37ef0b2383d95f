/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/lex.h"

#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The kinds of all tokens by name, one blank apart; on an error its message as shown to users. */
static const char *kinds_of(struct buf *out, const char *src, unsigned flags)
{
	struct arena a;
	struct lex lx;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	buf_clear(out);
	for (lex_init(&lx, str_c(src), &a, flags, &e); lx.tok.kind != TOK_EOF && lx.tok.kind != TOK_ERROR;
	     lex_next(&lx)) {
		if (out->n) buf_ch(out, ' ');
		buf_c(out, tok_name(lx.tok.kind));
	}
	if (lx.tok.kind == TOK_ERROR) {
		lex_wrap(&e);
		buf_clear(out);
		buf_c(out, e.msg);
	}
	arena_free(&a);
	return buf_cstr(out);
}

static void tokens(void **unused)
{
	(void)unused;
	static const struct {
		const char *src, *want;
	} t[] = {
		{"", ""},
		{" \t\r\n", ""},
		{"{a=\"b\", c=~`d`}", "{ IDENTIFIER = STRING , IDENTIFIER =~ STRING }"},
		{"|= |~ |> != !~ !> |", "|= |~ |> != !~ !> |"},
		{"== = =~ < <= > >= + - * / % ^ .", "== = =~ < <= > >= + - * / % ^ ."},
		{"a # b\nc // d\ne /* f\n */ g", "IDENTIFIER IDENTIFIER IDENTIFIER IDENTIFIER"},
		{"json JSON Logfmt unwrap on without", "json json logfmt unwrap on without"},
		{"rate rate( sum by (x) Sum without(y) sum bye",
		 "IDENTIFIER RATE ( SUM by ( IDENTIFIER ) SUM without ( IDENTIFIER ) "
		 "IDENTIFIER IDENTIFIER"},
		{"ip ip (", "IDENTIFIER ip ("},
		{"label_replace( label_replace", "label_replace ( IDENTIFIER"},
		{"count_over_time({}[5m])", "COUNT_OVER_TIME ( { } RANGE )"},
		{"1 1.5 .5 1e3 1E-3 0x1F 1_000 010 0",
		 "NUMBER NUMBER NUMBER NUMBER NUMBER NUMBER NUMBER NUMBER NUMBER"},
		{"5m 1.5h -5m 1w2d 300ms 5\xC2\xB5s 1y",
		 "DURATION DURATION DURATION DURATION DURATION DURATION DURATION"},
		{"5B 5kB 1.5KiB 2MB 3PB 5k", "BYTES BYTES BYTES BYTES BYTES BYTES"},
		{"5zz", "NUMBER IDENTIFIER"},
		{"- 5", "- NUMBER"},
		{"-5", "- NUMBER"},
		{"--strict --keep-empty --foo", "PARSER_FLAG PARSER_FLAG - - IDENTIFIER"},
		{"@ ! : 'x' \xC3\xA9t\xC3\xA9", "IDENTIFIER IDENTIFIER IDENTIFIER IDENTIFIER IDENTIFIER"},
		{"\xEF\xBB\xBF{", "{"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) assert_string_equal(kinds_of(&b, t[i].src, 0), t[i].want);
	buf_free(&b);
}

static void faults(void **unused)
{
	(void)unused;
	static const struct {
		const char *src, *want;
	} t[] = {
		{"{app=\"a\\q\"}", "parse error at line 1, col 6: invalid char escape"},
		{"{app=\"api\"} |= \"unterminated", "parse error at line 1, col 16: literal not terminated"},
		{"{app=\"api\"} |= `unterminated", "parse error at line 1, col 16: literal not terminated"},
		{"\"a\nb\"", "parse error at line 1, col 1: literal not terminated"},
		{"\"\\'\"", "parse error at line 1, col 1: invalid char escape"},
		{"\"\\400\"", "parse error at line 1, col 1: invalid syntax"},
		{"rate({app=\"api\"}[])", "parse error at line 0, col 17: empty duration string"},
		{"rate({app=\"api\"}[5x])", "parse error at line 0, col 17: unknown unit \"x\" in duration \"5x\""},
		{"rate({app=\"api\"}[-5m])", "parse error at line 0, col 17: not a valid duration string: \"-5m\""},
		{"[5m", "parse error at line 0, col 1: missing closing ']' in duration"},
		{"'ab'", "parse error at line 1, col 1: invalid char literal"},
		{"/* x", "parse error at line 1, col 1: comment not terminated"},
		{"0x", "parse error at line 1, col 1: hexadecimal literal has no digits"},
		{"1e", "parse error at line 1, col 1: exponent has no digits"},
		{"08", "parse error at line 1, col 1: invalid digit '8' in octal literal"},
		{"1__0", "parse error at line 1, col 1: '_' must separate successive digits"},
		{"a\n  \xff", "parse error at line 2, col 3: invalid UTF-8 encoding"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) assert_string_equal(kinds_of(&b, t[i].src, 0), t[i].want);
	assert_string_equal(kinds_of(&b, "`x`", LEX_NO_RAW),
			    "parse error at line 1, col 1: raw strings (`\xE2\x80\xA6`) are not allowed here, use "
			    "\"\xE2\x80\xA6\"");
	buf_free(&b);
}

static void values(void **unused)
{
	(void)unused;
	struct arena a;
	struct lex lx;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	lex_init(&lx, STR("\"a\\tb\\u00e9\\x00\" `raw\\t` 1h30m 1.5KiB [1d12h] Name\n -2us"), &a, 0, &e);
	assert_true(str_eq(lx.tok.str, str_of("a\tb\xC3\xA9\0", 6)));
	lex_next(&lx);
	assert_true(str_eqc(lx.tok.str, "raw\\t"));
	lex_next(&lx);
	assert_int_equal(lx.tok.dur, 90 * UNITS_MIN);
	assert_int_equal(lx.tok.line, 0);
	lex_next(&lx);
	assert_int_equal(lx.tok.bytes, 1536);
	lex_next(&lx);
	assert_int_equal(lx.tok.dur, 36 * UNITS_HOUR);
	lex_next(&lx);
	assert_true(str_eqc(lx.tok.text, "Name"));
	assert_int_equal(lx.tok.line, 1);
	size_t from = lx.tok.from;
	assert_int_equal(lx.tok.to, from + 4);
	lex_next(&lx);
	assert_int_equal(lx.tok.dur, -2 * UNITS_US);
	assert_int_equal(lx.tok.col, 2);
	arena_free(&a);
}

static void check_unexpected(const char *src, int skip, const char *want)
{
	struct arena a;
	struct lex lx;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	lex_init(&lx, str_c(src), &a, 0, &e);
	while (skip-- > 0) lex_next(&lx);
	/* Given in any order, named in Loki's. */
	assert_false(lex_unexpected(&lx, TOK_NEQ, TOK_NRE, TOK_EQ, TOK_RE));
	assert_false(lex_unexpected(&lx)); /* the first error stays */
	assert_int_equal(lx.tok.kind, TOK_ERROR);
	lex_next(&lx);
	assert_int_equal(lx.tok.kind, TOK_ERROR);
	lex_wrap(&e);
	lex_wrap(&e);
	assert_string_equal(e.msg, want);
	arena_free(&a);
}

static void syntax_errors(void **unused)
{
	(void)unused;
	const char *expecting = "expecting = or =~ or !~ or !=";
	struct buf b = {0};
	buf_printf(&b, "parse error at line 0, col 5: syntax error: unexpected ==, %s", expecting);
	check_unexpected("{app==", 2, buf_cstr(&b));
	buf_clear(&b);
	buf_printf(&b, "parse error at line 1, col 5: syntax error: unexpected $end, %s", expecting);
	check_unexpected("{app", 2, buf_cstr(&b));
	buf_clear(&b);
	buf_printf(&b, "parse error : syntax error: unexpected $end, %s", expecting);
	check_unexpected("", 0, buf_cstr(&b));
	buf_clear(&b);
	buf_printf(&b, "parse error at line 2, col 3: syntax error: unexpected RATE, %s", expecting);
	check_unexpected("\xC3\xA9\n  rate(", 1, buf_cstr(&b));
	buf_free(&b);
}

static void too_long(void **unused)
{
	(void)unused;
	struct buf src = {0};
	struct arena a;
	struct lex lx;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	for (int i = 0; i < LEX_MAX_SIZE; i++) buf_ch(&src, 'a');
	lex_init(&lx, buf_view(&src), &a, 0, &e);
	assert_int_equal(lx.tok.kind, TOK_ERROR);
	lex_wrap(&e);
	assert_string_equal(e.msg, "parse error : input size too long (131072 > 131072)");
	buf_free(&src);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens),        cmocka_unit_test(faults),   cmocka_unit_test(values),
		cmocka_unit_test(syntax_errors), cmocka_unit_test(too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
