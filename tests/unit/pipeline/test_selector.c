/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/selector.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct arena a;
	struct lex lx;
	struct err e;
	struct selector s;
};

static bool parse(struct fixture *f, const char *src)
{
	*f = (struct fixture){.e = ERR_INIT};
	arena_init(&f->a, 0);
	lex_init(&f->lx, str_c(src), &f->a, 0, &f->e);
	return selector_parse(&f->lx, &f->s);
}

static void done(struct fixture *f)
{
	selector_fini(&f->s);
	arena_free(&f->a);
}

static bool selects(const char *src, const char *labels)
{
	struct fixture f;
	struct labels l;
	assert_true(parse(&f, src));
	assert_true(labels_parse(&f.a, str_c(labels), &l, &f.e));
	bool yes = selector_match(&f.s, &l);
	done(&f);
	return yes;
}

static void matching(void **unused)
{
	(void)unused;
	const char *l = "{app=\"api\", env=\"prod-1\", text=\"a\\nb\"}";
	assert_true(selects("{app=\"api\"}", l));
	assert_false(selects("{app=\"ap\"}", l));
	assert_true(selects("{app!=\"ap\", env=~\"prod-[0-9]\"}", l));
	assert_false(selects("{app=\"api\", env=~\"prod-\"}", l));
	assert_false(selects("{env!~\"prod.*\"}", l));
	assert_true(selects("{env!~\"rod.*\"}", l));
	assert_true(selects("{text=~\"a.b\"}", l));
	assert_true(selects("{none=\"\"}", l));
	assert_true(selects("{none=~\".*\"}", l));
	assert_false(selects("{none=~\".+\"}", l));
	assert_true(selects("{none!=\"x\"}", l));
	assert_true(selects("{}", l));
}

static void check_error(const char *src, const char *want)
{
	struct fixture f;
	assert_false(parse(&f, src));
	lex_wrap(&f.e);
	assert_string_equal(f.e.msg, want);
	done(&f);
}

static void errors(void **unused)
{
	(void)unused;
	check_error("{", "parse error at line 1, col 2: syntax error: unexpected $end, expecting IDENTIFIER or }");
	check_error("{app=\"api\"", "parse error at line 1, col 11: syntax error: unexpected $end, expecting } or ,");
	check_error("{app=\"api\",}",
		    "parse error at line 1, col 12: syntax error: unexpected }, expecting IDENTIFIER");
	check_error("{app=api}", "parse error at line 1, col 6: syntax error: unexpected IDENTIFIER, expecting STRING");
	check_error("{app==\"api\"}",
		    "parse error at line 0, col 5: syntax error: unexpected ==, expecting = or =~ or !~ or !=");
	check_error("{app.x=\"y\"}",
		    "parse error at line 1, col 5: syntax error: unexpected ., expecting = or =~ or !~ or !=");
	check_error("{\"app\"=\"api\"}",
		    "parse error at line 1, col 2: syntax error: unexpected STRING, expecting IDENTIFIER or }");
	check_error("{1app=\"x\"}",
		    "parse error at line 1, col 2: syntax error: unexpected NUMBER, expecting IDENTIFIER or }");
	check_error("{app=~\"(\"}", "parse error : error parsing regexp: missing closing ): `(`");
	check_error("{a=~\"x\", app=~\"(\"}", "parse error : error parsing regexp: missing closing ): `(`");
}

static void printing(void **unused)
{
	(void)unused;
	struct fixture f;
	struct buf b = {0};
	assert_true(parse(&f, "{ a=`x\"y`,b!=\"\" , c=~\"d\\n\", e!~\"f\" } rest"));
	selector_print(&b, &f.s);
	assert_string_equal(buf_cstr(&b), "{a=\"x\\\"y\", b!=\"\", c=~\"d\\n\", e!~\"f\"}");
	assert_true(str_eqc(f.lx.tok.text, "rest"));
	assert_true(matcher_eq(&f.s.v[0], &f.s.v[0]));
	assert_false(matcher_eq(&f.s.v[0], &f.s.v[1]));
	buf_free(&b);
	done(&f);
}

static bool allowed(const char *src)
{
	struct fixture f;
	assert_true(parse(&f, src));
	bool ok = selector_check(&f.s, &f.e);
	if (!ok) assert_non_null(strstr(f.e.msg, "queries require at least one regexp or equality matcher"));
	done(&f);
	return ok;
}

static void empty_compatible(void **unused)
{
	(void)unused;
	assert_false(allowed("{}"));
	assert_false(allowed("{a=\"\"}"));
	assert_false(allowed("{a=~\".*\"}"));
	assert_false(allowed("{a=~\"a*\", b!=\"x\"}"));
	assert_false(allowed("{a!~\"x\"}"));
	assert_true(allowed("{a=\"x\"}"));
	assert_true(allowed("{a!=\"\"}"));
	assert_true(allowed("{a=~\".+\"}"));
	assert_true(allowed("{a=~\".*\", b=\"x\"}"));
}

static void label_filters_have_no_dotall(void **unused)
{
	(void)unused;
	struct matcher m;
	struct err e = ERR_INIT;
	assert_true(matcher_init(&m, MATCH_RE, STR("a"), STR("x.y"), 0, &e));
	assert_true(matcher_match(&m, STR("x-y")));
	assert_false(matcher_match(&m, STR("x\ny")));
	matcher_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matching),
		cmocka_unit_test(errors),
		cmocka_unit_test(printing),
		cmocka_unit_test(empty_compatible),
		cmocka_unit_test(label_filters_have_no_dotall),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
