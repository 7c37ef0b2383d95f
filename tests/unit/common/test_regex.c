/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/regex.h"

#include "common/scan.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct regex *make(const char *pattern, unsigned flags)
{
	struct err e = ERR_INIT;
	struct regex *re = regex_new(str_c(pattern), flags, &e);
	if (!re) print_error("%s\n", e.msg);
	assert_non_null(re);
	return re;
}

static bool matches(const char *pattern, unsigned flags, struct str text)
{
	struct regex *re = make(pattern, flags);
	bool hit = regex_match(re, text);
	regex_free(re);
	return hit;
}

static void refused_in_gos_words(void **unused)
{
	(void)unused;
	static const struct {
		const char *pattern, *text;
	} t[] = {
		{"(a", "missing closing ): `(a`"},
		{"a)", "unexpected ): `a)`"},
		{"a**", "invalid nested repetition operator: `**`"},
		{"a*+", "invalid nested repetition operator: `*+`"},
		{"a???", "invalid nested repetition operator: `???`"},
		{"*a", "missing argument to repetition operator: `*`"},
		{"a|*", "missing argument to repetition operator: `*`"},
		{"(+?)", "missing argument to repetition operator: `+?`"},
		{"a{1001}", "invalid repeat count: `{1001}`"},
		{"a{3,2}", "invalid repeat count: `{3,2}`"},
		{"(a{100}){100}", "invalid repeat count: `{100}`"},
		{"[a", "missing closing ]: `[a`"},
		{"x[]a", "missing closing ]: `[]a`"},
		{"[b-a]", "invalid character class range: `b-a`"},
		{"[[:foo:]]", "invalid character class range: `[:foo:]`"},
		{"\\pX", "invalid character class range: `\\pX`"},
		{"\\p{Klingon}", "invalid character class range: `\\p{Klingon}`"},
		{"\\p{Grek}", "invalid character class range: `\\p{Grek}`"},
		{"\\8", "invalid escape sequence: `\\8`"},
		{"\\1", "invalid escape sequence: `\\1`"},
		{"[a-\\d]", "invalid escape sequence: `\\d`"},
		{"\\C", "invalid escape sequence: `\\C`"},
		{"\\h", "invalid escape sequence: `\\h`"},
		{"\\x{110000}", "invalid escape sequence: `\\x{110000`"},
		{"a\\", "trailing backslash at end of expression: ``"},
		{"(?=a)", "invalid or unsupported Perl syntax: `(?=`"},
		{"(?i", "invalid or unsupported Perl syntax: `(?i`"},
		{"(?>a)", "invalid or unsupported Perl syntax: `(?>`"},
		{"(?i-)", "invalid or unsupported Perl syntax: `(?i-)`"},
		{"(?P<a b>x)", "invalid named capture: `(?P<a b>`"},
		{"(?P<a", "invalid named capture: `(?P<a`"},
		{"(?<>x)", "invalid named capture: `(?<>`"},
		{"a\xff", "invalid UTF-8: `\xff`"},
	};
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct err e = ERR_INIT;
		struct buf want = {0};
		buf_printf(&want, "error parsing regexp: %s", t[i].text);
		assert_null(regex_new(str_c(t[i].pattern), 0, &e));
		assert_string_equal(e.msg, buf_cstr(&want));
		assert_int_equal(e.code, ERR_INVALID);
		buf_free(&want);
	}
}

static void limits(void **unused)
{
	(void)unused;
	struct buf b = {0};
	struct err e = ERR_INIT;
	for (int i = 0; i < 1100; i++) buf_c(&b, "(");
	for (int i = 0; i < 1100; i++) buf_c(&b, ")");
	assert_null(regex_new(buf_view(&b), 0, &e));
	assert_non_null(strstr(e.msg, "expression nests too deeply: `(("));
	buf_clear(&b);
	for (int i = 0; i < 900; i++) buf_c(&b, "(?:a|");
	for (int i = 0; i < 900; i++) buf_c(&b, ")b");
	assert_null(regex_new(buf_view(&b), 0, &e));
	buf_clear(&b);
	buf_c(&b, "(?:");
	for (int i = 0; i < 4000; i++) buf_c(&b, "x");
	buf_c(&b, "){1000}");
	assert_null(regex_new(buf_view(&b), 0, &e));
	assert_non_null(strstr(e.msg, "expression too large"));
	/* Deep, but allowed; PCRE2 refuses the expansion of the second. */
	buf_clear(&b);
	for (int i = 0; i < 400; i++) buf_c(&b, "(?:x");
	for (int i = 0; i < 400; i++) buf_c(&b, ")?");
	assert_true(matches(buf_cstr(&b), 0, STR("xxxx")));
	assert_true(matches("^(?:[ab]c|ad|b[c-f]){1000}$", 0, STR("")) == false);
	buf_free(&b);
}

struct want {
	const char *pattern;
	struct str text;
	unsigned flags;
	bool hit;
};

static void yes_or_no(void **unused)
{
	(void)unused;
	static const char nul[] = "a\0b";
	const struct want t[] = {
		{".*ERROR", STR("caf\xe9 ERROR"), 0, true},
		{"caf.", STR("caf\xe9"), 0, true},
		{"caf.. ", STR("caf\xe9 "), 0, false},
		{"caf\\x{fffd}", STR("caf\xe9"), 0, true},
		{"(?i)connection (refused|reset)", STR("x CONNECTION RESET y"), 0, true},
		{"(?i)connection (refused|reset)", STR("x connection closed"), 0, false},
		{"(?i)refused",
		 STR("refu\xc5\xbf"
		     "ed"),
		 0, true}, /* LATIN SMALL LETTER LONG S */
		{"(?i)\xd0\xbe\xd1\x88", STR("\xd0\x9e\xd0\xa8"), 0, true},
		{"a|b|c", STR("xxcxx"), 0, true},
		{"a|b|c", STR("xxx"), 0, false},
		{"error|warn|fatal|panic|crit|alert", STR("all is fatal here"), 0, true},
		{"error|warn|fatal|panic|crit|alert", STR("all is well her"), 0, false},
		{"foo", STR("xfoox"), REGEX_ANCHORED, false},
		{"foo|bar", STR("bar"), REGEX_ANCHORED, true},
		{"foo|", STR(""), REGEX_ANCHORED, true},
		{"foo.*", STR("foobar"), REGEX_ANCHORED, true},
		{"foo.*", STR("foo\nbar"), REGEX_ANCHORED, false},
		{"foo.*", STR("foo\nbar"), REGEX_ANCHORED | REGEX_DOTALL, true},
		{".*foo", STR("xfoo"), REGEX_ANCHORED, true},
		{".*foo", STR("xfoox"), REGEX_ANCHORED, false},
		{".*foo.*", STR("\nxfoox"), REGEX_ANCHORED, false},
		{".+", STR(""), REGEX_ANCHORED | REGEX_DOTALL, false},
		{".+", STR("\n"), REGEX_ANCHORED | REGEX_DOTALL, true},
		{".+", STR("\n"), REGEX_ANCHORED, false},
		{".*", STR("\n"), REGEX_ANCHORED, false},
		{".*", STR("a\nb"), REGEX_ANCHORED | REGEX_DOTALL, true},
		{"FOO", STR("foo"), REGEX_ANCHORED | REGEX_ICASE, true},
		{"a$", STR("a\n"), 0, false},
		{"(?m)a$", STR("a\nb"), 0, true},
		{"(?m)^$", STR("a\n"), 0, true},
		{"(?m)^b", STR("a\nb"), 0, true},
		{"a\\z", STR("a\n"), 0, false},
		{"^\\s$", STR("\v"), 0, false},
		{"^[[:space:]]$", STR("\v"), 0, true},
		{"^\\d$", STR("\xd9\xa3"), 0, false},
		{"^\\pN$", STR("\xd9\xa3"), 0, true},
		{"^[^\\pL]$", STR("5"), 0, true},
		{"^\\p{Greek}$", STR("\xce\xa9"), 0, true},
		{"^\\P{Latin}$", STR("a"), 0, false},
		{"^\\Qa.b\\E$", STR("a.b"), 0, true},
		{"a\\x00b", str_of(nul, 3), 0, true},
		{"{", STR("{"), 0, true},
		{"a{,2}", STR("a{,2}"), 0, true},
		{"[]a]", STR("]"), 0, true},
		{"\\bfoo\\b", STR("a foo b"), 0, true},
		{"", STR(""), 0, true},
		{"x*", STR(""), REGEX_ANCHORED, true},
		{"[^\\x00-\\x{10FFFF}]", STR("a"), 0, false},
		{"\\x{d800}", STR("\xed\xa0\x80"), 0, false},
	};
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		bool hit = matches(t[i].pattern, t[i].flags, t[i].text);
		if (hit != t[i].hit) print_error("%s on %s\n", t[i].pattern, t[i].text.p);
		assert_int_equal(hit, t[i].hit);
	}
}

static struct str span_of(struct str s, struct regex_span sp)
{
	return sp.from < 0 ? STR("(none)") : str_sub(s, (size_t)sp.from, (size_t)sp.to);
}

static void check_groups(const char *pattern, struct str s, const char *const *want, size_t n)
{
	struct regex *re = make(pattern, 0);
	struct regex_span sp[8];
	assert_true(regex_exec(re, s, 0, sp, n));
	for (size_t i = 0; i < n; i++) {
		struct str got = span_of(s, sp[i]);
		if (!str_eqc(got, want[i])) print_error("%s: group %zu is %.*s\n", pattern, i, STR_ARG(got));
		assert_true(str_eqc(got, want[i]));
	}
	regex_free(re);
}

#define GROUPS(pattern, text, ...)                                                                                     \
	check_groups(pattern, STR(text), (const char *const[]){__VA_ARGS__},                                           \
		     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void groups(void **unused)
{
	(void)unused;
	GROUPS("(\\w+)=(\\d+)?", "k=", "k=", "k", "(none)");
	/* The last place on the first line that has one. */
	GROUPS(".*(?P<level>INFO|WARN|ERROR).*", "a\nINFO then WARN x\nERROR", "INFO then WARN x", "WARN");
	GROUPS("(?s).*(?P<level>INFO|WARN|ERROR).*", "a\nINFO then WARN x\nERROR", "a\nINFO then WARN x\nERROR",
	       "ERROR");
	GROUPS("^(.*)(b+)(c?)", "abbb", "abbb", "abb", "b", "");
	GROUPS("(.*)x(\\d)", "x1 x2 xx", "x1 x2", "x1 ", "2");
	GROUPS("(.*)x(\\d)", "caf\xe9 x1 x2 \xff x", "caf\xe9 x1 x2", "caf\xe9 x1 ", "2");
	GROUPS("(\xc3\xa9|.)$", "\xff\xff\xc3\xa9", "\xc3\xa9", "\xc3\xa9");
	GROUPS("(a*)+", "aa", "aa", "aa");
	GROUPS("(a|ab)(c|bcd)(d*)", "abcd", "abcd", "a", "bcd", "");
	GROUPS("(?i)(k+)", "\xe2\x84\xaaK", "\xe2\x84\xaaK", "\xe2\x84\xaaK");
}

static void names(void **unused)
{
	(void)unused;
	struct regex *re = make("(?P<a>x)(y)(?<b>z)(?P<a>w)", 0);
	assert_int_equal(regex_groups(re), 4);
	assert_true(str_eqc(regex_group_name(re, 1), "a"));
	assert_int_equal(regex_group_name(re, 2).n, 0);
	assert_int_equal(regex_group_index(re, STR("b")), 3);
	assert_int_equal(regex_group_index(re, STR("a")), 1);
	assert_int_equal(regex_group_index(re, STR("q")), -1);
	assert_true(str_eqc(regex_source(re), "(?P<a>x)(y)(?<b>z)(?P<a>w)"));
	struct regex *again = regex_ref(re);
	regex_free(re);
	assert_false(regex_match(again, STR("")));
	regex_free(again);
}

static void exec_from(void **unused)
{
	(void)unused;
	struct regex *re = make("^a|b", 0);
	struct regex_span sp[1];
	assert_true(regex_exec(re, STR("aab"), 1, sp, 1));
	assert_int_equal(sp[0].from, 2);
	assert_false(regex_exec(re, STR("aab"), 3, sp, 1));
	assert_false(regex_exec(re, STR("aab"), 4, sp, 1));
	regex_free(re);
	re = make("\\B.", 0);
	assert_true(regex_exec(re,
			       STR("\xc3\xa9\xff"
				   "b"),
			       1, sp, 1));
	assert_int_equal(sp[0].from, 1);
	regex_free(re);
}

static void collect(struct str lit, void *ud)
{
	buf_str(ud, lit);
	buf_ch(ud, ',');
}

static void check_literals(const char *pattern, const char *want)
{
	struct regex *re = make(pattern, REGEX_ANCHORED | REGEX_DOTALL);
	struct buf b = {0};
	bool is = regex_literals(re, collect, &b);
	assert_int_equal(is, want != NULL);
	if (want) assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
	regex_free(re);
}

static void literal_sets(void **unused)
{
	(void)unused;
	check_literals("a|b|c", "a,b,c,");
	check_literals("ab(c|d)", "abc,abd,");
	check_literals("[ab]x?", "ax,a,bx,b,");
	check_literals("(prod|dev)-[0-2]", "prod-0,prod-1,prod-2,dev-0,dev-1,dev-2,");
	check_literals("\xd0\xb6", "\xd0\xb6,");
	check_literals("", ",");
	check_literals("(?i)a|b", NULL);
	check_literals("a.*", NULL);
	check_literals("a|\\bb", NULL);
	check_literals("[a-z][a-z]", NULL);
}

static void check_replace(const char *pattern, const char *s, const char *repl, bool literal, const char *want)
{
	struct regex *re = make(pattern, 0);
	struct buf b = {0};
	regex_replace(re, str_c(s), str_c(repl), literal, &b);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
	regex_free(re);
}

static void replacing(void **unused)
{
	(void)unused;
	check_replace("a(x*)b", "-ab-axxb-", "T", false, "-T-T-");
	check_replace("a(x*)b", "-ab-axxb-", "$1", false, "--xx-");
	check_replace("a(x*)b", "-ab-axxb-", "$1W", false, "---");
	check_replace("a(x*)b", "-ab-axxb-", "${1}W$$", false, "-W$-xxW$-");
	check_replace("a(?P<n>x*)b", "axb", "<$n|$7|$01|${n>", false, "<x|||${n>");
	check_replace("a(x*)b", "axb", "$1", true, "$1");
	check_replace("x*", "abc", "-", false, "-a-b-c-");
	check_replace("x*", "\xd0\xb6\xffx", "-", false, "-\xd0\xb6-\xff-");
	check_replace("b*", "abba", "X", false, "XaXaX");
	check_replace("^", "ab", "X", false, "Xab");
	check_replace("z", "ab", "X", false, "ab");
}

/* Patterns that make a backtracker run for ages: the answer comes all the same. */
static void catastrophic(void **unused)
{
	(void)unused;
	struct buf b = {0};
	for (int i = 0; i < 3000; i++) buf_c(&b, "a");
	struct regex *re = make("^(?:a+)+$", 0), *groups_too = make("^((?:a|aa|a{3})*)(b?)$", 0);
	struct regex_span sp[3];
	for (int i = 0; i < 20; i++) {
		assert_true(regex_match(re, buf_view(&b)));
		assert_true(regex_exec(groups_too, buf_view(&b), 0, sp, 3));
		assert_int_equal(sp[1].to, 3000);
		assert_int_equal(sp[2].from, 3000);
	}
	buf_c(&b, "!");
	for (int i = 0; i < 20; i++) {
		assert_false(regex_match(re, buf_view(&b)));
		assert_false(regex_exec(groups_too, buf_view(&b), 0, sp, 3));
	}
	regex_free(re);
	regex_free(groups_too);
	buf_free(&b);
}

static void *share(void *arg)
{
	const struct regex *re = arg;
	struct regex_span sp[2];
	for (int i = 0; i < 200; i++) {
		if (!regex_match(re, STR("x 42 y"))) return (void *)1;
		if (!regex_exec(re, STR("\xd0\xb6 42"), 0, sp, 2) || sp[1].from != 3) return (void *)1;
	}
	return NULL;
}

static void threads_share(void **unused)
{
	(void)unused;
	struct regex *re = make("\\s(\\d+)", 0);
	pthread_t t[4];
	for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, share, re), 0);
	for (int i = 0; i < 4; i++) {
		void *bad;
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	regex_free(re);
}

/* Searches at every offset and length agree with the obvious loop. */
static void scanning(void **unused)
{
	(void)unused;
	char text[80];
	for (size_t i = 0; i < sizeof text; i++) text[i] = "abAB."[(i * i + i / 7) % 5];
	for (size_t n = 0; n < sizeof text; n++) {
		for (size_t at = 0; at + 5 < sizeof text; at += 3) {
			for (size_t m = 1; m <= 5; m++) {
				struct str s = str_of(text, n), needle = str_of(text + at, m);
				char low[5];
				for (size_t k = 0; k < m; k++)
					low[k] = needle.p[k] >= 'A' && needle.p[k] <= 'Z' ? needle.p[k] | 0x20
											  : needle.p[k];
				ssize_t first[2] = {-1, -1}, last[2] = {-1, -1};
				for (size_t i = 0; i + m <= n; i++) {
					for (int fold = 0; fold < 2; fold++) {
						if (!scan_at(s, i, fold ? str_of(low, m) : needle, fold)) continue;
						if (first[fold] < 0) first[fold] = (ssize_t)i;
						last[fold] = (ssize_t)i;
					}
				}
				assert_int_equal(scan_find(s, needle), first[0]);
				assert_int_equal(scan_find_fold(s, str_of(low, m)), first[1]);
				assert_int_equal(scan_rfind(s, needle, false), last[0]);
				assert_int_equal(scan_rfind(s, str_of(low, m), true), last[1]);
			}
		}
	}
	memset(text, 'a', sizeof text);
	for (size_t i = 0; i < sizeof text; i++) {
		text[i] = '\x80';
		assert_false(scan_ascii(str_of(text, sizeof text)));
		assert_true(scan_ascii(str_of(text, i)));
		text[i] = 'a';
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_in_gos_words),
		cmocka_unit_test(limits),
		cmocka_unit_test(yes_or_no),
		cmocka_unit_test(groups),
		cmocka_unit_test(names),
		cmocka_unit_test(exec_from),
		cmocka_unit_test(literal_sets),
		cmocka_unit_test(replacing),
		cmocka_unit_test(catastrophic),
		cmocka_unit_test(threads_share),
		cmocka_unit_test(scanning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
