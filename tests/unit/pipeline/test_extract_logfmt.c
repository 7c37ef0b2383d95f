/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/logfmt.h"

#include "tests/unit/pipeline/extract_check.h"

#include <stdlib.h>

static unsigned flags;
static const struct extract_expr *exprs;
static size_t n_exprs;

static void run(struct str line, struct extract *x)
{
	if (exprs)
		extract_logfmt_keys(exprs, n_exprs, line, flags, x);
	else
		extract_logfmt(line, flags, x);
}

static void check(const char *line, const char *want) { check_extract(run, line, want); }

static int reset(void **unused)
{
	(void)unused;
	flags = 0;
	exprs = NULL;
	return 0;
}

static void tolerant(void **unused)
{
	(void)unused;
	check("a=1 b=\"x y\" c", "a=1|b=x y");
	check("level=info =novalue key= =\"x\" dup=1 dup=2 bare \"quo ted\"", "level=info|dup=1|dup=2");
	check("  a=1\tb=2\n", "a=1|b=2");
	check("a=\"x\\\"y\\n\\u00e9\\ud83d\\ude80\"", "a=x\"y\n\xC3\xA9\xF0\x9F\x9A\x80");
	check("a=\"\\ud800\" b=\"\\'\"", "a= |b='");
	check("a=\"\\q\" b=1", "b=1");
	check("a=\"open b=1", "");
	check("a=b=c d=1", "d=1");
	check("a=b\"c d=1", "d=1");
	check("ts=now _x=1 9y=2 z.w=3 \xC3\xBC=4", "ts=now|_x=1|_9y=2|z_w=3|_=4");
	check("a=\xFFx\xFF b=\xEF\xBF\xBDy", "a= x |b= y");
	check("a\xFF=1 b=2", "b=2");
	check("a=\xC3\xA9", "a=\xC3\xA9");
	check("", "");
	check("a_very_long_key_indeed=a_very_long_value_without_any_blank next=\"a rather long quoted value \\\\ "
	      "here\"",
	      "a_very_long_key_indeed=a_very_long_value_without_any_blank|next=a rather long quoted value \\ here");
}

static void keep_empty(void **unused)
{
	(void)unused;
	flags = LOGFMT_KEEP_EMPTY;
	check("C:\\path\\new\\table", "C__path_new_table=");
	check("emoji \xF0\x9F\x9A\x80 \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E \xC3\xB1", "emoji=|_=|___=|_=");
	check("a= b=\"\" c", "a=|b=|c=");
}

static void strict(void **unused)
{
	(void)unused;
	flags = LOGFMT_STRICT;
	check("a=1 b=2", "a=1|b=2");
	check("\"just a string\"", "!LogfmtParserErr logfmt syntax error at pos 1 : unexpected '\"'");
	check("level=info =novalue", "level=info|!LogfmtParserErr logfmt syntax error at pos 12 : unexpected '='");
	check("a=\"x", "!LogfmtParserErr logfmt syntax error at pos 5 : unterminated quoted value");
	check("a=\"\\q\" b=1", "!LogfmtParserErr logfmt syntax error at pos 7 : invalid quoted value");
	check("a\xFF=1", "!LogfmtParserErr logfmt syntax error at pos 3 : invalid key");
}

static void wanted(void **unused)
{
	(void)unused;
	const struct str want[] = {STR("b"), STR("z_w")};
	flags = LOGFMT_STRICT;
	set_wanted(want, 2);
	/* Stops at the last wanted one: the fault behind it goes unnoticed. */
	check("a=1 b=2 b=3 z.w=4 \"", "b=2|z_w=4");
	check("a=1 b=2 \"", "b=2|!LogfmtParserErr logfmt syntax error at pos 9 : unexpected '\"'");
	set_wanted(NULL, 0);
}

static void requested_keys(void **unused)
{
	(void)unused;
	const struct extract_expr want[] = {{STR("x"), STR("b")}, {STR("c"), STR("c")}};
	exprs = want;
	n_exprs = 2;
	check("a=1 b=2 b=3", "x=3|c=");
	check("b=2 x=7 c=\"\"", "x=7|c=");
	check("c=\xFF", "x=|c=");
	check("b=1 \" c=2", "x=1|c=2");
	flags = LOGFMT_STRICT;
	check("b=1 \" c=2", "x=1|c=|!LogfmtParserErr logfmt syntax error at pos 5 : unexpected '\"'");
}

static void expressions(void **unused)
{
	(void)unused;
	struct err e = ERR_INIT;
	struct str key;
	assert_true(logfmt_expr(STR(" a_1 "), &key, &e) && str_eqc(key, "a_1"));
	assert_true(logfmt_expr(STR("\"a.b\""), &key, &e) && str_eqc(key, "a.b"));
	assert_false(logfmt_expr(STR("a.b"), &key, &e));
	assert_string_equal(e.msg, "cannot parse expression [a.b]: unexpected char .");
	assert_false(logfmt_expr(STR(""), &key, &e));
	assert_string_equal(e.msg,
			    "cannot parse expression []: syntax error: unexpected $end, expecting STRING or FIELD");
	assert_false(logfmt_expr(STR("a b"), &key, &e));
	assert_string_equal(e.msg, "cannot parse expression [a b]: syntax error: unexpected FIELD");
}

static void pairs(void **unused)
{
	(void)unused;
	struct arena a;
	struct logfmt_pair p;
	struct str detail;
	size_t pos = 0;
	arena_init(&a, 0);
	struct str line = STR("k= \"bad\" bare");
	assert_true(logfmt_next(line, &pos, &a, &p, &detail) && p.has_value && p.value.n == 0);
	assert_false(logfmt_next(line, &pos, &a, &p, &detail));
	assert_true(detail.n > 0);
	assert_true(logfmt_next(line, &pos, &a, &p, &detail) && !p.has_value && str_eqc(p.key, "bare"));
	assert_false(logfmt_next(line, &pos, &a, &p, &detail));
	assert_int_equal(detail.n, 0);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tolerant, reset),
		cmocka_unit_test_setup(keep_empty, reset),
		cmocka_unit_test_setup(strict, reset),
		cmocka_unit_test_setup(wanted, reset),
		cmocka_unit_test_setup(requested_keys, reset),
		cmocka_unit_test(expressions),
		cmocka_unit_test(pairs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
