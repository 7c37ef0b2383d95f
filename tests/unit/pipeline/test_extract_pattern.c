/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/pattern.h"

#include "common/buf.h"

#include <stdlib.h>

#include "tests/unit/pipeline/extract_check.h"

static struct pattern *p;

static void run(struct str line, struct extract *x) { extract_pattern(p, line, x); }

static void check(const char *pattern, const char *line, const char *want)
{
	struct err e = ERR_INIT;
	p = pattern_new(str_c(pattern), &e);
	if (!p) print_error("%s\n", e.msg);
	assert_non_null(p);
	check_extract(run, line, want);
	pattern_free(p);
}

static void captures(void **unused)
{
	(void)unused;
	check("<ip> - <user> [<_>] \"<method> <path> <_>\" <status> <size> <_> \"<ua>\" <took>",
	      "10.0.0.124 - ada [01/Nov/2026:00:42:49 +0000] \"GET /api HTTP/1.1\" 404 54943 \"-\" \"curl/8.0\" 1.071",
	      "ip=10.0.0.124|user=ada|method=GET|path=/api|status=404|size=54943|ua=curl/8.0|took=1.071");
	check("zzz<level>", "level=debug", "");
	check("level=<level> <_>", "level=debug x", "level=debug");
	check("<a>=<b> <c>", " ", "a= ");
	check("<a>=<b> <c>", "k=v", "a=k|b=v");
	check("<a>x<b>", "yx", "a=y|b=");
	check("<a>", "", "");
	check("<1a> <a> >", "<1a> v > rest", "a=v");
	const struct str want[] = {STR("b")};
	set_wanted(want, 1);
	check("<a> <b> <c>", "1 2 3", "b=2");
	set_wanted(NULL, 0);
}

static void check_error(const char *pattern, const char *want)
{
	struct err e = ERR_INIT;
	assert_null(pattern_new(str_c(pattern), &e));
	assert_string_equal(e.msg, want);
}

static void errors(void **unused)
{
	(void)unused;
	check_error("", "parse error at line 1, col 1: syntax error: unexpected $end, expecting IDENTIFIER or LITERAL");
	check_error("nocapture", "at least one capture is required");
	check_error("<_>", "at least one capture is required");
	check_error("<a><b>", "found consecutive capture '<a><b>': invalid expression");
	check_error("<a> x<_><b>", "found consecutive capture '<_><b>': invalid expression");
	check_error("<a> <a>", "duplicate capture name (a): invalid expression");
}

static void needle(void **unused)
{
	(void)unused;
	struct err e = ERR_INIT;
	p = pattern_new(STR("a <x> long <_> b<y>"), &e);
	assert_true(str_eqc(pattern_needle(p), " long "));
	pattern_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(captures), cmocka_unit_test(errors),
					   cmocka_unit_test(needle)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
