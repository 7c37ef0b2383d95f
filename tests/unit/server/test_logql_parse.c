/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults and their texts, and the shape of the tree. */
#include "server/logql/logql.h"
#include "server/logql/simple_regex.h"
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>

#define SELECTOR "{app=\"api\"}"
#define NO_MATCHER                                                                                                     \
	"parse error : queries require at least one regexp or equality matcher that does not have an "                 \
	"empty-compatible "                                                                                            \
	"value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will"

struct sample {
	const char *query, *want;
};

/* The error of parsing and compiling; "" when there is none. */
static void check_errors(const struct sample *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct arena a;
		struct err e = ERR_INIT;
		arena_init(&a, 0);
		struct logql *q = logql_parse(&a, str_c(v[i].query), &e);
		if (q && logql_compile(q, &e)) e.msg[0] = 0;
		if (strcmp(e.msg, v[i].want) != 0) print_error("query: %s\n", v[i].query);
		check_text(e.msg, v[i].want);
		logql_free(q);
		arena_free(&a);
	}
}

static void syntax_errors(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"", "parse error : syntax error: unexpected $end"},
		{"{", "parse error at line 1, col 2: syntax error: unexpected $end, expecting IDENTIFIER or }"},
		{"{app=api}", "parse error at line 1, col 6: syntax error: unexpected IDENTIFIER, expecting STRING"},
		{"{app==\"api\"}",
		 "parse error at line 0, col 5: syntax error: unexpected ==, expecting = or =~ or !~ or !="},
		{"{app=\"api\"", "parse error at line 1, col 11: syntax error: unexpected $end, expecting } or ,"},
		{"{app=\"api\",}", "parse error at line 1, col 12: syntax error: unexpected }, expecting IDENTIFIER"},
		{"{\"app\"=\"api\"}",
		 "parse error at line 1, col 2: syntax error: unexpected STRING, expecting IDENTIFIER or }"},
		{SELECTOR "}", "parse error at line 1, col 12: syntax error: unexpected }"},
		{SELECTOR " |", "parse error at line 1, col 14: syntax error: unexpected $end"},
		{SELECTOR " |= ",
		 "parse error at line 1, col 16: syntax error: unexpected $end, expecting STRING or ip"},
		{SELECTOR " |= \"a\" or",
		 "parse error at line 1, col 22: syntax error: unexpected $end, expecting STRING or ip"},
		{SELECTOR " | unknown", "parse error at line 1, col 22: syntax error: unexpected $end"},
		{SELECTOR " | json a=",
		 "parse error at line 1, col 22: syntax error: unexpected $end, expecting STRING"},
		{SELECTOR " | json a,",
		 "parse error at line 1, col 22: syntax error: unexpected $end, expecting IDENTIFIER"},
		{SELECTOR " | logfmt --foo",
		 "parse error at line 1, col 24: syntax error: unexpected IDENTIFIER, expecting NUMBER"},
		{SELECTOR " | label_format a=",
		 "parse error at line 1, col 30: syntax error: unexpected $end, expecting IDENTIFIER or STRING"},
		{SELECTOR " | line_format",
		 "parse error at line 1, col 26: syntax error: unexpected $end, expecting STRING"},
		{SELECTOR " | level=", "parse error at line 1, col 21: syntax error: unexpected $end"},
		{SELECTOR " | level=\"a\" and",
		 "parse error at line 1, col 28: syntax error: unexpected $end, expecting IDENTIFIER or ("},
		{SELECTOR " | status > \"5\"", "parse error at line 1, col 24: syntax error: unexpected STRING"},
		{SELECTOR " | a > +b",
		 "parse error at line 1, col 20: syntax error: unexpected IDENTIFIER, expecting NUMBER"},
		{SELECTOR " | drop",
		 "parse error at line 1, col 19: syntax error: unexpected $end, expecting IDENTIFIER"},
		{SELECTOR " | decolorize x", "parse error at line 1, col 26: syntax error: unexpected IDENTIFIER"},
		{SELECTOR " | unwrap x", "parse error at line 1, col 15: syntax error: unexpected unwrap"},
		{SELECTOR " extra", "parse error at line 1, col 13: syntax error: unexpected IDENTIFIER"},
		{SELECTOR " offset 5m", "parse error at line 1, col 13: syntax error: unexpected offset"},
		{"foo", "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"},
		{")", "parse error at line 1, col 1: syntax error: unexpected )"},
		{"+", "parse error at line 1, col 2: syntax error: unexpected $end, expecting NUMBER"},
		{"rate()", "parse error at line 1, col 6: syntax error: unexpected ), expecting NUMBER or { or ("},
		{"rate(" SELECTOR ")", "parse error at line 1, col 17: syntax error: unexpected )"},
		{"rate((" SELECTOR "))", "parse error at line 1, col 19: syntax error: unexpected ), expecting RANGE"},
		{"rate(" SELECTOR "[5x])", "parse error at line 0, col 17: unknown unit \"x\" in duration \"5x\""},
		{"rate(" SELECTOR "[5m] @ 100)",
		 "parse error at line 1, col 22: syntax error: unexpected IDENTIFIER, expecting )"},
		{"rate(" SELECTOR "[5m] offset)",
		 "parse error at line 1, col 28: syntax error: unexpected ), expecting DURATION"},
		{"rate(" SELECTOR "[5m]) offset 5m", "parse error at line 1, col 23: syntax error: unexpected offset"},
		{"count_over_time(" SELECTOR " |= \"error\" [5m] | logfmt | keep level)",
		 "parse error at line 1, col 45: syntax error: unexpected |, expecting )"},
		{"sum_over_time(" SELECTOR " | unwrap x | unwrap y [5m])",
		 "parse error at line 1, col 40: syntax error: unexpected unwrap, expecting IDENTIFIER or ("},
		{"sum_over_time(" SELECTOR " | unwrap nofn(x) [5m])",
		 "parse error at line 1, col 40: syntax error: unexpected (, expecting RANGE or |"},
		{"sum_over_time((" SELECTOR " | unwrap x , [5m])",
		 "parse error at line 1, col 39: syntax error: unexpected ,, expecting RANGE or ) or |"},
		{"sum_over_time(" SELECTOR " | unwrap [5m])",
		 "parse error at line 0, col 36: syntax error: unexpected RANGE, expecting IDENTIFIER or BYTES_CONV or "
		 "DURATION_CONV or DURATION_SECONDS_CONV"},
		{"sum(" SELECTOR ")", "parse error at line 1, col 16: syntax error: unexpected )"},
		{"sum by pod (rate(" SELECTOR "[5m]))",
		 "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"},
		{"sum by (a,) (rate(" SELECTOR "[5m]))",
		 "parse error at line 1, col 11: syntax error: unexpected ), expecting IDENTIFIER"},
		{"sum(rate(" SELECTOR "[5m])) by",
		 "parse error at line 1, col 30: syntax error: unexpected $end, expecting ("},
		{"topk(-1, rate(" SELECTOR "[5m]))", "parse error at line 1, col 8: syntax error: unexpected ,"},
		{"vector(\"a\")", "parse error at line 1, col 8: syntax error: unexpected STRING, expecting NUMBER"},
		{"label_replace(rate(" SELECTOR "[5m]), \"a\", \"$1\", \"b\")",
		 "parse error at line 1, col 52: syntax error: unexpected ), expecting ,"},
		{"rate(" SELECTOR "[5m]) > bool", "parse error at line 1, col 29: syntax error: unexpected $end"},
		{"rate(" SELECTOR "[5m]) bool > 1", "parse error at line 1, col 23: syntax error: unexpected bool"},
		{"1 + on() group_left (rate(" SELECTOR "[5m]))",
		 "parse error at line 1, col 22: syntax error: unexpected RATE, expecting IDENTIFIER or )"},
		{"((rate(" SELECTOR "[5m]))", "parse error at line 1, col 25: syntax error: unexpected $end"},
		{"(variants(1) of (" SELECTOR "[1m]))", "parse error at line 1, col 34: syntax error: unexpected )"},
	};
	check_errors(v, COUNT(v));
}

static void semantic_errors(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"{}", NO_MATCHER},
		{"{app!=\"x\"}", NO_MATCHER},
		{"rate({app=~\"a*\"}[5m])", NO_MATCHER},
		{"{app=~\"(\"}", "parse error : error parsing regexp: missing closing ): `(`"},
		{"topk(rate(" SELECTOR "[5m]))", "parse error : parameter required for operation topk"},
		{"topk(0, rate(" SELECTOR "[5m]))", "parse error : invalid parameter (must be greater than 0) topk(0"},
		{"topk(1.5, rate(" SELECTOR "[5m]))", "parse error : invalid parameter topk(1.5,"},
		{"sum(2, rate(" SELECTOR "[5m]))", "parse error : unsupported parameter for operation sum(2,"},
		{"approx_topk(2, rate(" SELECTOR "[1m])) by (x)",
		 "parse error : grouping not allowed for approx_topk aggregation"},
		{"sort(rate(" SELECTOR "[1m])) by (x)", "parse error : sort and sort_desc doesn't allow grouping by "},
		{"rate(5, " SELECTOR "[5m])", "parse error : parameter 5 not supported for operation rate"},
		{"quantile_over_time(" SELECTOR " | unwrap x [5m])",
		 "parse error : parameter required for operation quantile_over_time"},
		{"sum_over_time(" SELECTOR "[5m])", "parse error : invalid aggregation sum_over_time without unwrap"},
		{"count_over_time(" SELECTOR " | unwrap x [5m])",
		 "parse error : invalid aggregation count_over_time with unwrap"},
		{"rate(" SELECTOR "[5m]) by (x)", "parse error : grouping not allowed for rate aggregation"},
		{SELECTOR " and {app=\"b\"}",
		 "parse error : unexpected type for left leg of binary operation (and): *syntax.MatchersExpr"},
		{"1 + (" SELECTOR " | json)",
		 "parse error : unexpected type for right leg of binary operation (+): *syntax.PipelineExpr"},
		{"1 and 2",
		 "parse error : unexpected literal for left leg of logical/set binary operation (and): 1.000000"},
		{"rate(" SELECTOR "[5m]) and 1",
		 "parse error : unexpected literal for right leg of logical/set binary operation (and): 1.000000"},
		{"label_replace(rate(" SELECTOR "[5m]), \"a\", \"b\", \"c\", \"(\")",
		 "parse error : invalid regex in label_replace: error parsing regexp: missing closing ): `^(?:()$`"},
		{SELECTOR " | regexp \"(\"",
		 "parse error : invalid regexp parser: error parsing regexp: missing closing ): `(`"},
		{SELECTOR " | regexp \"x\"",
		 "parse error : invalid regexp parser: at least one named capture must be supplied"},
		{SELECTOR " | pattern \"<_>\"",
		 "parse error : invalid pattern parser: at least one capture is required"},
		{SELECTOR " | level =~ \"(\"", "parse error : error parsing regexp: missing closing ): `(`"},
		/* Syntax errors anywhere come before the checks of the tree. */
		{"topk(rate(" SELECTOR "[5m])) by",
		 "parse error at line 1, col 31: syntax error: unexpected $end, expecting ("},
	};
	check_errors(v, COUNT(v));
}

static void stage_errors(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{SELECTOR " | line_format `{{`", "parse error : stage '| line_format \"{{\"' : invalid line template: "
						 "template: line:1: unclosed action"},
		{SELECTOR " | label_format a=`{{.x`", "parse error : stage '| label_format a=\"{{.x\"' : invalid "
						      "template for label 'a': template: label:1: unclosed "
						      "action"},
		{SELECTOR " | label_format a=b,a=c", "parse error : stage '| label_format a=b,a=c' : multiple label "
						     "name 'a' not allowed in a single format operation"},
		{SELECTOR " | label_format __error__=`x`",
		 "parse error : stage '| label_format __error__=\"x\"' : __error__ cannot be formatted"},
		{SELECTOR " |= ip(\"999.1.1.1\")",
		 "parse error : stage '|= ip(\"999.1.1.1\")' : ip: invalid pattern: \"999.1.1.1\""},
		{SELECTOR " | json |~ \"(\"",
		 "parse error : stage '|~ \"(\"' : error parsing regexp: missing closing ): `(`"},
		{SELECTOR " | a=ip(\"zz\")", "parse error : stage '| a=ip(\"zz\")' : ip: invalid pattern: \"zz\""},
		{SELECTOR " | a=ip(\"zz\") or b=\"c\"", ""},
		{SELECTOR " | json a=\"[\"", "parse error : stage '| json a=\"[\"' : cannot parse expression [[]: "
					     "syntax error: unexpected $end, expecting "
					     "STRING or INDEX"},
	};
	check_errors(v, COUNT(v));
}

static void matchers_only(void **state)
{
	(void)state;
	struct arena a;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	struct logql *q = logql_parse_matchers(&a, STR("{a=\"b\", c=~\"d\"}"), &e);
	assert_non_null(q);
	assert_int_equal(q->root->log->selector.n, 2);
	logql_free(q);
	assert_null(logql_parse_matchers(&a, STR("{a=\"b\"} | json"), &e));
	check_text(e.msg, "only label matchers are supported");
	arena_free(&a);
}

/* ---- the tree ---- */

static struct arena arena;

static int begin(void **state)
{
	(void)state;
	arena_init(&arena, 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct logql *parsed(const char *text)
{
	struct err e = ERR_INIT;
	struct logql *q = logql_parse(&arena, str_c(text), &e);
	if (!q) print_error("%s: %s\n", text, e.msg);
	assert_non_null(q);
	return q;
}

static struct str part(const struct logql *q, struct logql_span s) { return str_sub(q->text, s.from, s.to); }

static void spans_and_fields(void **state)
{
	(void)state;
	struct logql *q = parsed(
		"sum by (a) (quantile_over_time(0.9, {x=\"y\"} |= \"e\" | logfmt | unwrap duration(d) | d>5 [5m] "
		"offset 1m) by (b)) > bool 3");
	struct logql_expr *cmp = q->root, *sum = cmp->binary.left, *quantile = sum->vector_agg.expr;
	assert_int_equal(cmp->kind, LOGQL_BINARY);
	assert_int_equal(cmp->binary.op, LOGQL_OP_GT);
	assert_true(cmp->binary.return_bool);
	assert_int_equal(sum->vector_agg.fn, LOGQL_SUM);
	check_str(sum->vector_agg.grouping.names[0], STR("a"));
	assert_int_equal(quantile->range_agg.fn, LOGQL_QUANTILE_OVER_TIME);
	assert_true(quantile->range_agg.param == 0.9);
	check_str(quantile->range_agg.grouping.names[0], STR("b"));
	struct logql_range *r = quantile->range_agg.range;
	assert_int_equal(r->interval, INT64_C(300000000000));
	assert_int_equal(r->offset, INT64_C(60000000000));
	assert_int_equal(r->unwrap->conv, LOGQL_UNWRAP_DURATION_CONV);
	assert_int_equal(r->unwrap->n_filters, 1);
	check_str(part(q, r->log->span), STR("{x=\"y\"} |= \"e\" | logfmt"));
	check_str(part(q, r->log->stages[0].span), STR("|= \"e\""));
	check_str(part(q, r->log->stages[1].span), STR("| logfmt"));
	check_str(part(q, cmp->binary.right->span), STR("3"));
	assert_int_equal(logql_lookback(q->root), INT64_C(360000000000));
	logql_free(q);
}

static void precedence(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"1 + 2 * 3 ^ 2 ^ 0 - -4", "11"},
		{"(1 + 2) * 3", "9"},
		{"1 > 2", "0"},
		{"7 % 0", "NaN"},
		{"vector(1) + vector(2) * vector(3)", "(vector(1.000000) + (vector(2.000000) * vector(3.000000)))"},
		{"vector(1) - vector(2) - vector(3)", "((vector(1.000000) - vector(2.000000)) - vector(3.000000))"},
		{"vector(1) ^ vector(2) ^ vector(3)", "(vector(1.000000) ^ (vector(2.000000) ^ vector(3.000000)))"},
		{"vector(1) or vector(2) and vector(3) == vector(4)",
		 "(vector(1.000000) or (vector(2.000000) and (vector(3.000000) == vector(4.000000))))"},
		{SELECTOR " | a=1 or b=2 and c=3", SELECTOR " | ( a==1 or ( b==2 , c==3 ) )"},
		{SELECTOR " | a=1 and b=2 or c=3", SELECTOR " | ( ( a==1 , b==2 ) or c==3 )"},
		{SELECTOR " | a=1, b=2 or c=3", SELECTOR " | ( a==1 , ( b==2 or c==3 ) )"},
		{SELECTOR " | a=1 b=2 or c=3", SELECTOR " | ( a==1 , ( b==2 or c==3 ) )"},
		{SELECTOR " | a=1 or b=2, c=3 or d=4", SELECTOR " | ( a==1 or ( b==2 , ( c==3 or d==4 ) ) )"},
		{SELECTOR " | (a=1 or b=2) and (c=3)", SELECTOR " | ( ( a==1 or b==2 ) , c==3 )"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(v); i++) {
		struct logql *q = parsed(v[i].query);
		logql_print(&b, q->root);
		check_buf(&b, v[i].want);
		logql_free(q);
	}
	buf_free(&b);
}

/* All the places where RANGE may stand give the same tree. */
static void range_forms(void **state)
{
	(void)state;
	static const char *const forms[][6] = {
		{"rate({a=\"b\"} | json [5m] offset 1m)", "rate({a=\"b\"}[5m] offset 1m | json)",
		 "rate(({a=\"b\"} | json)[5m] offset 1m)", "rate(({a=\"b\"} | json [5m] offset 1m))",
		 "rate((({a=\"b\"}[5m] offset 1m | json)))", NULL},
		{"rate({a=\"b\"} | unwrap x [5m])", "rate({a=\"b\"}[5m] | unwrap x)",
		 "rate(({a=\"b\"})[5m] | unwrap x)", "rate(({a=\"b\"} | unwrap x)[5m])",
		 "rate(({a=\"b\"}[5m] | unwrap x))", NULL},
	};
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct logql *first = parsed(forms[i][0]);
		for (size_t k = 1; forms[i][k]; k++) {
			struct logql *q = parsed(forms[i][k]);
			assert_true(logql_equal(first->root, q->root));
			logql_free(q);
		}
		logql_free(first);
	}
}

static void line_filters_move_left(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct logql *q = parsed(
		SELECTOR " | json |= \"a\" | decolorize |= \"b\" | x=1 | logfmt |= \"c\" | line_format \"l\" |= \"d\"");
	static const enum logql_stage_kind want[] = {
		LOGQL_STAGE_LINE_FILTERS, LOGQL_STAGE_JSON,   LOGQL_STAGE_DECOLORIZE,  LOGQL_STAGE_LABEL_FILTER,
		LOGQL_STAGE_LINE_FILTERS, LOGQL_STAGE_LOGFMT, LOGQL_STAGE_LINE_FORMAT, LOGQL_STAGE_LINE_FILTERS};
	assert_true(logql_compile(q, &e));
	const struct logql_log *log = q->root->log;
	assert_int_equal(log->n_run, COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++) assert_int_equal(log->run[i].kind, want[i]);
	assert_int_equal(log->run[0].n_filters, 2);
	assert_true(linefilters_match(log->run[0].compiled_filters, STR("ba")));
	assert_false(linefilters_match(log->run[0].compiled_filters, STR("a")));
	assert_non_null(log->run[6].line_template);
	assert_int_equal(log->n_stages, 9);
	logql_free(q);
}

/* ---- bounds ---- */

static void repeat(struct buf *b, const char *text, int n)
{
	while (n-- > 0) buf_c(b, text);
}

static void too_deep(const char *open, const char *inner, const char *close, int n)
{
	struct buf b = {0};
	struct err e = ERR_INIT;
	repeat(&b, open, n);
	buf_c(&b, inner);
	repeat(&b, close, n);
	struct logql *q = logql_parse(&arena, buf_view(&b), &e);
	assert_null(q);
	if (!strstr(e.msg, "too deeply") && !strstr(e.msg, "too many label filters")) print_error("%s\n", e.msg);
	assert_true(strstr(e.msg, "too deeply") || strstr(e.msg, "too many label filters"));
	buf_free(&b);
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	too_deep("(", "1", ")", 10000);
	too_deep("sum(", "1", ")", 10000);
	too_deep("1 ^ ", "1", "", 10000);
	too_deep("", "vector(1)", " + vector(1)", 5000);
	too_deep("", SELECTOR " | a=1", " and a=1", 5000);
	too_deep("", SELECTOR " | a=1", ", a=1", 5000);
	too_deep("", SELECTOR " | ", "(", 10000);
	too_deep("", "rate(", "(", 10000);
}

static void simple_regexes(void **state)
{
	(void)state;
	static const struct {
		const char *regex, *yes, *no; /* NULL: not simple */
	} v[] = {
		{"error", "error", "errors"},
		{"err.*", "stderr", "warn"},
		{".*err.*", "stderr", "er"},
		{".*", "", NULL},
		{".+", "x", ""},
		{"info|debug", "debug", "debug2"},
		{"warn|warning", "xwarny", "war"},
		{"(?i)ERR.*", "stdErr", "er"},
		{"a(b|cd)", "xacd", "ac"},
		{"(foo)|(bar)", "foo", "fooo"},
		{"x\\.y", "x.y", "xzy"},
		{"[.]x.*", "a.x", "ax"},
		{".*|foo", "foo", "x"},
		{"foo.*|bar", "xfoo", "xbar"},
		{"5..", NULL, NULL},
		{"a|b", NULL, NULL},
		{"api|app", NULL, NULL},
		{"^foo$", NULL, NULL},
		{"foo.*bar.*", NULL, NULL},
		{"a\\d", NULL, NULL},
		{"[ab]", NULL, NULL},
		{"(?s).*x", NULL, NULL},
		{"(a|b)c", NULL, NULL},
	};
	for (size_t i = 0; i < COUNT(v); i++) {
		const struct logql_simple_regex *r = simple_regex_new(&arena, str_c(v[i].regex));
		if (!r != !v[i].yes) print_error("%s\n", v[i].regex);
		assert_int_equal(!r, !v[i].yes);
		if (v[i].yes) assert_true(simple_regex_match(r, str_c(v[i].yes)));
		if (v[i].no) assert_false(simple_regex_match(r, str_c(v[i].no)));
	}
}

static void tables_are_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < LOGQL_RANGE_FNS; i++) assert_non_null(logql_range_fns[i].name);
	for (size_t i = 0; i < LOGQL_VECTOR_FNS; i++) assert_non_null(logql_vector_fns[i].name);
	for (size_t i = 0; i < LOGQL_BINARY_OPS; i++) assert_in_range(logql_binary_ops[i].precedence, 1, 6);
	for (size_t i = 0; i < LOGQL_UNWRAP_CONVS; i++) assert_non_null(logql_unwrap_convs[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syntax_errors),
		cmocka_unit_test(semantic_errors),
		cmocka_unit_test(stage_errors),
		cmocka_unit_test(matchers_only),
		cmocka_unit_test_setup_teardown(spans_and_fields, begin, end),
		cmocka_unit_test_setup_teardown(precedence, begin, end),
		cmocka_unit_test_setup_teardown(range_forms, begin, end),
		cmocka_unit_test_setup_teardown(line_filters_move_left, begin, end),
		cmocka_unit_test_setup_teardown(nesting_is_bounded, begin, end),
		cmocka_unit_test_setup_teardown(simple_regexes, begin, end),
		cmocka_unit_test(tables_are_complete),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
