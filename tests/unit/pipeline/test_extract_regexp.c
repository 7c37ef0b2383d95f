/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/regexp.h"

#include "common/buf.h"

#include <stdlib.h>

#include "tests/unit/pipeline/extract_check.h"

static struct extract_re *re;

static void run(struct str line, struct extract *x) { extract_regexp(re, line, x); }

static void check(const char *pattern, const char *line, const char *want)
{
	struct err e = ERR_INIT;
	re = extract_re_new(str_c(pattern), &e);
	assert_non_null(re);
	check_extract(run, line, want);
	extract_re_free(re);
}

static void groups(void **unused)
{
	(void)unused;
	check("status=(?P<status>\\d+)", "x status=500 status=404", "status=500");
	check("(?P<a>x)|(?P<b>y)", "y", "a=|b=y");
	check("(?P<a>x)(y)(?P<b>z)", "xyz", "a=x|b=z");
	check("(?P<a>x)", "none", "");
	check("^(?P<ip>\\S+) - (?P<user>\\S+) \\[(?P<ts>[^\\]]+)\\] \"(?P<method>\\w+) (?P<path>\\S+)",
	      "10.0.0.1 - ada [01/Nov/2026] \"GET /x HTTP/1.1\" 200",
	      "ip=10.0.0.1|user=ada|ts=01/Nov/2026|method=GET|path=/x");
	check(".*(?P<level>INFO|WARN|ERROR).*", "a INFO b ERROR c", "level=ERROR");
	const struct str want[] = {STR("b")};
	set_wanted(want, 1);
	check("(?P<a>x)(?P<b>y)(?P<c>z)", "xyz", "b=y");
	set_wanted(NULL, 0);
}

static void check_error(const char *pattern, const char *want)
{
	struct err e = ERR_INIT;
	assert_null(extract_re_new(str_c(pattern), &e));
	assert_string_equal(e.msg, want);
}

static void errors(void **unused)
{
	(void)unused;
	check_error("(", "error parsing regexp: missing closing ): `(`");
	check_error("nogroups", "at least one named capture must be supplied");
	check_error("(x)", "at least one named capture must be supplied");
	check_error("(?P<a>x)(?P<a>y)", "duplicate extracted label name 'a'");
	check_error("(?P<1a>x)", "invalid extracted label name '1a'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(groups), cmocka_unit_test(errors)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
