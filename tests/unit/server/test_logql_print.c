/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Canonical text: samples of what Loki answers to format_query, and generated trees, whose text must read back as
 * themselves. */
#include "pipeline/extract/logfmt.h"
#include "server/logql/logql.h"
#include "server/logql/simple_regex.h"
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>

static void samples(void **state)
{
	(void)state;
	static const struct {
		const char *query, *want;
	} v[] = {
		{"{app=`api`,env=~\"\\\\w{3}\"}", "{app=\"api\", env=~\"\\\\w{3}\"}"},
		{"{app=\"api\"} # comment", "{app=\"api\"}"},
		{"{app=\"api\"}|=\"error\" or \"warn\" |~`\\d+`",
		 "{app=\"api\"} |= \"error\" or \"warn\" |~ \"\\\\d+\""},
		{"{app=\"api\"} != \"info\" or \"debug\"", "{app=\"api\"} != \"info\" != \"debug\""},
		{"{app=\"api\"} |= ip(\"10.0.0.0/8\")", "{app=\"api\"} |= ip(\"10.0.0.0/8\")"},
		{"{a=\"b\"} | json level, first=\"items[0]\"", "{a=\"b\"} | json level=\"level\",first=\"items[0]\""},
		{"{a=\"b\"} | logfmt --keep-empty --strict", "{a=\"b\"} | logfmt --strict --keep-empty"},
		{"{a=\"b\"} | logfmt | size <= 1MiB", "{a=\"b\"} | logfmt | size<=1.0MB"},
		{"{a=\"b\"} | d > 50ms and b < 100KB", "{a=\"b\"} | ( d>50ms , b<100kB )"},
		{"{a=\"b\"} | status = 200 | d = 1m", "{a=\"b\"} | status==200 | d==1m0s"},
		{"{a=\"b\"} | l=~\"err.*|warn\" | l=~\"5..\" | l!~\"5..\"",
		 "{a=\"b\"} | l=~\"err.*|warn\" | l=~`5..` | l!~\"5..\""},
		{"{a=\"b\"} | l=~\"5.`\"", "{a=\"b\"} | l=~\"5.`\""},
		{"{a=\"b\"} | ip!=ip(\"192.168.4.0/28\")", "{a=\"b\"} | ip!=ip(\"192.168.4.0/28\")"},
		{"{a=\"b\"} | label_format l=level, c=`{{.x}}`", "{a=\"b\"} | label_format l=level,c=\"{{.x}}\""},
		{"{a=\"b\"} | drop x, y=\"z\" | keep k!~\"v\"", "{a=\"b\"} | drop x,y=\"z\" | keep k!~\"v\""},
		{"sum(rate({a=\"b\"} |= \"x\" [5m])) by (c, d)", "sum by (c,d)(rate({a=\"b\"} |= \"x\"[5m]))"},
		{"sum by () (rate({a=\"b\"}[5m]))", "sum(rate({a=\"b\"}[5m]))"},
		{"sum without () (rate({a=\"b\"}[5m]))", "sum without ()(rate({a=\"b\"}[5m]))"},
		{"topk(1, rate({a=\"b\"}[5m])) without (c)", "topk without (c)(1,rate({a=\"b\"}[5m]))"},
		{"sum_over_time({a=\"b\"} | unwrap bytes(s) | __error__=\"\" [5m] offset 2m)",
		 "sum_over_time({a=\"b\"} | unwrap bytes(s) | __error__=\"\"[5m] offset 2m0s)"},
		{"quantile_over_time(0.5, {a=\"b\"} | unwrap s [1h30m]) by (l)",
		 "quantile_over_time(0.5,{a=\"b\"} | unwrap s[1h30m]) by (l)"},
		{"rate({a=\"b\"}[5m]) > bool 1 or vector(0)", "((rate({a=\"b\"}[5m]) > bool 1) or vector(0.000000))"},
		{"1e6 * 3", "3e+06"},
		{"sum by (env, pod) (count_over_time({app=\"api\"}[5m])) / on (env) group_left sum by (env) "
		 "(count_over_time({app=\"api\"}[5m]))",
		 "  sum by (env,pod)(count_over_time({app=\"api\"}[5m]))\n/ on (env) group_left\n"
		 "  sum by (env)(count_over_time({app=\"api\"}[5m]))"},
		{"sum by (app, pod) (count_over_time({app=\"api\"}[5m])) - ignoring (app) sum by (pod) "
		 "(count_over_time({app=\"api\"}[5m]))",
		 "  sum by (app,pod)(count_over_time({app=\"api\"}[5m]))\n- ignoring (app) \n"
		 "  sum by (pod)(count_over_time({app=\"api\"}[5m]))"},
		{"{app=\"api\"} |= \"error\" | logfmt | status>=500 | line_format \"{{.path}} {{.duration}}\" | "
		 "label_format "
		 "sev=\"high\"",
		 "{app=\"api\"}\n  |= \"error\"\n  | logfmt\n  | status>=500\n  | line_format \"{{.path}} "
		 "{{.duration}}\"\n"
		 "  | label_format sev=\"high\""},
		{"topk(5, sum by (ip) (count_over_time({app=\"real\",system=\"OpenSSH\"} | regexp `from "
		 "(?P<ip>\\d+\\.\\d+\\.\\d+\\.\\d+)` [1h])))",
		 "topk(\n  5,\n  sum by (ip)(\n    count_over_time(\n      {app=\"real\", system=\"OpenSSH\"} | regexp "
		 "\"from "
		 "(?P<ip>\\\\d+\\\\.\\\\d+\\\\.\\\\d+\\\\.\\\\d+)\" [1h]\n    )\n  )\n)"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(v); i++) {
		struct arena a;
		struct err e = ERR_INIT;
		arena_init(&a, 0);
		struct logql *q = logql_parse(&a, str_c(v[i].query), &e);
		if (!q) print_error("%s: %s\n", v[i].query, e.msg);
		assert_non_null(q);
		logql_print_pretty(&b, q->root);
		check_buf(&b, v[i].want);
		logql_free(q);
		arena_free(&a);
	}
	buf_free(&b);
}

/* ---- generated trees ---- */

static uint64_t seed;
static struct arena arena;
static struct matcher *made[64]; /* whose regexes are to be released */
static size_t n_made;

static unsigned pick(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

#define PICK(set) (set)[pick(COUNT(set))]

static struct str name(void)
{
	static const char *const names[] = {"a", "level", "__error__", "sum", "rate", "x9", "duration"};
	return str_c(PICK(names));
}

static struct str text(void)
{
	static const char *const texts[] = {"x",    "",     "two words", "q\"uote", "back`tick",
					    "\\d+", "a.*b", "new\nline", "{{.x}}",  "\xc3\xa9"};
	return str_c(PICK(texts));
}

static struct str *names(size_t *n)
{
	struct str *v = arena_alloc(&arena, 3 * sizeof *v);
	*n = pick(4);
	for (size_t i = 0; i < *n; i++) v[i] = name();
	return v;
}

static struct matcher make_matcher(void)
{
	struct matcher *m = ARENA_NEW(&arena, struct matcher);
	struct err e = ERR_INIT;
	enum match_op op = n_made < COUNT(made) ? (enum match_op)pick(4) : (enum match_op)pick(2);
	static const char *const regexes[] = {"err.*", "5..", "a|b", "x`y", "warn|warning", "\\w+"};
	bool re = op == MATCH_RE || op == MATCH_NRE;
	assert_true(matcher_init(m, op, name(), re ? str_c(PICK(regexes)) : text(), 0, &e));
	if (re) made[n_made++] = m;
	return *m;
}

static struct logql_filter *make_filter(unsigned depth)
{
	struct logql_filter *f = ARENA_NEW(&arena, struct logql_filter);
	static const double nums[] = {0, 1, -2.5, 1e21, 0.001};
	static const int64_t durs[] = {1, 1500000, 60000000000, 5400000000000, 123456789};
	static const uint64_t sizes[] = {1, 500, 2000, 1500000, 7000000000};
	f->kind = (enum logql_filter_kind)(depth > 3 ? 2 + pick(5) : pick(7));
	if (f->kind <= LOGQL_FILTER_OR) {
		f->left = make_filter(depth + 1);
		f->right = make_filter(depth + 1);
		return f;
	}
	f->label = name();
	if (f->kind == LOGQL_FILTER_MATCH) {
		f->match = make_matcher();
		f->label = f->match.name;
		f->simple = f->match.op == MATCH_RE || f->match.op == MATCH_NRE
				    ? simple_regex_new(&arena, f->match.value)
				    : NULL;
		return f;
	}
	f->cmp = (enum logql_cmp)pick(f->kind == LOGQL_FILTER_IP ? 2 : 6);
	f->num = PICK(nums);
	f->dur = PICK(durs);
	f->bytes = PICK(sizes);
	f->ip = STR("10.0.0.1");
	return f;
}

static void make_line_filters(struct logql_stage *s)
{
	s->n_filters = 1 + pick(3);
	s->filters = arena_zalloc(&arena, s->n_filters * sizeof *s->filters);
	for (size_t i = 0; i < s->n_filters; i++) {
		struct linefilter *f = &s->filters[i];
		f->op = (enum linefilter_op)pick(6);
		f->n = 1 + pick(3);
		f->v = arena_zalloc(&arena, f->n * sizeof *f->v);
		for (size_t k = 0; k < f->n; k++) f->v[k] = (struct linefilter_operand){text(), pick(5) == 0};
	}
}

static struct logql_stage make_stage(bool after_filters)
{
	struct logql_stage s = {.kind = (enum logql_stage_kind)(after_filters ? 1 + pick(11) : pick(12))};
	size_t n = 1 + pick(3);
	switch (s.kind) {
	case LOGQL_STAGE_LINE_FILTERS: make_line_filters(&s); break;
	case LOGQL_STAGE_JSON:
	case LOGQL_STAGE_LOGFMT:
		if (s.kind == LOGQL_STAGE_LOGFMT) s.logfmt_flags = pick(4);
		s.n_exprs = pick(3);
		s.exprs = arena_alloc(&arena, 3 * sizeof *s.exprs);
		for (size_t i = 0; i < s.n_exprs; i++) s.exprs[i] = (struct extract_expr){name(), text()};
		break;
	case LOGQL_STAGE_REGEXP: s.text = STR("(?P<x>\\d+)"); break;
	case LOGQL_STAGE_PATTERN: s.text = STR("<x> \"<_>"); break;
	case LOGQL_STAGE_LABEL_FILTER: s.filter = make_filter(0); break;
	case LOGQL_STAGE_LINE_FORMAT: s.text = text(); break;
	case LOGQL_STAGE_LABEL_FORMAT:
		s.n_formats = n;
		s.formats = arena_zalloc(&arena, n * sizeof *s.formats);
		for (size_t i = 0; i < n; i++) {
			bool rename = pick(2);
			s.formats[i] = (struct logql_label_format){
				.dst = name(), .rename = rename, .src = rename ? name() : text()};
		}
		break;
	case LOGQL_STAGE_DROP:
	case LOGQL_STAGE_KEEP:
		s.n_drops = n;
		s.drops = arena_zalloc(&arena, n * sizeof *s.drops);
		for (size_t i = 0; i < n; i++) {
			struct logql_drop *d = &s.drops[i];
			d->has_match = pick(2);
			if (d->has_match) d->match = make_matcher();
			d->name = d->has_match ? d->match.name : name();
		}
		break;
	default: break;
	}
	return s;
}

static struct logql_log *make_log(void)
{
	struct logql_log *log = ARENA_NEW(&arena, struct logql_log);
	log->selector.n = 1 + pick(3);
	log->selector.v = arena_alloc(&arena, log->selector.n * sizeof *log->selector.v);
	log->selector.v[0] = (struct matcher){.op = MATCH_EQ, .name = STR("app"), .value = STR("x")};
	for (size_t i = 1; i < log->selector.n; i++) log->selector.v[i] = make_matcher();
	log->n_stages = pick(5);
	log->stages = arena_alloc(&arena, 5 * sizeof *log->stages);
	for (size_t i = 0; i < log->n_stages; i++) {
		struct logql_stage *s = &log->stages[i], *before = i ? s - 1 : NULL;
		*s = make_stage(before && before->kind == LOGQL_STAGE_LINE_FILTERS);
		/* `| drop x != "y"` can only be a matcher of x. */
		if (s->kind == LOGQL_STAGE_LINE_FILTERS && before) s->filters[0].op = LINEFILTER_EQ;
	}
	return log;
}

static struct logql_range *make_range(bool unwrap)
{
	static const int64_t intervals[] = {1000000000, 300000000000, 5400000000000, 604800000000000, 250000000};
	struct logql_range *r = ARENA_NEW(&arena, struct logql_range);
	r->log = make_log();
	r->interval = PICK(intervals);
	r->offset = pick(2) ? (pick(2) ? 1 : -1) * PICK(intervals) : 0;
	if (!unwrap) return r;
	r->unwrap = ARENA_NEW(&arena, struct logql_unwrap);
	r->unwrap->label = name();
	r->unwrap->conv = (enum logql_unwrap_conv)pick(LOGQL_UNWRAP_CONVS);
	r->unwrap->n_filters = pick(3);
	r->unwrap->filters = arena_alloc(&arena, 3 * sizeof *r->unwrap->filters);
	for (size_t i = 0; i < r->unwrap->n_filters; i++) r->unwrap->filters[i] = make_filter(2);
	return r;
}

static struct logql_grouping make_grouping(void)
{
	struct logql_grouping g = {.present = true, .without = pick(2)};
	g.names = names(&g.n);
	return pick(2) ? g : (struct logql_grouping){0};
}

static struct logql_expr *make_expr(unsigned depth);

static struct logql_expr *make_range_agg(void)
{
	struct logql_expr *x = ARENA_NEW(&arena, struct logql_expr);
	x->kind = LOGQL_RANGE_AGG;
	x->range_agg.fn = (enum logql_range_fn)pick(LOGQL_RANGE_FNS);
	unsigned flags = logql_range_fns[x->range_agg.fn].flags;
	x->range_agg.range = make_range((flags & LOGQL_UNWRAP_ALWAYS) || (!(flags & LOGQL_UNWRAP_NEVER) && pick(2)));
	if (flags & LOGQL_GROUPS) x->range_agg.grouping = make_grouping();
	if (flags & LOGQL_PARAM) {
		x->range_agg.param = 0.95;
		x->range_agg.param_text = STR("0.95");
	}
	return x;
}

static struct logql_expr *make_vector_agg(unsigned depth)
{
	struct logql_expr *x = ARENA_NEW(&arena, struct logql_expr);
	x->kind = LOGQL_VECTOR_AGG;
	x->vector_agg.fn = (enum logql_vector_fn)pick(LOGQL_VECTOR_FNS);
	unsigned flags = logql_vector_fns[x->vector_agg.fn].flags;
	if (flags & LOGQL_GROUPS) x->vector_agg.grouping = make_grouping();
	if (flags & LOGQL_PARAM) x->vector_agg.param = 1 + pick(100);
	x->vector_agg.expr = make_expr(depth + 1);
	return x;
}

static struct logql_expr *make_literal(void)
{
	static const double v[] = {0, 1, -1, 0.5, 1e21, 123456789, 1e-7};
	struct logql_expr *x = ARENA_NEW(&arena, struct logql_expr);
	x->kind = LOGQL_LITERAL;
	x->literal = PICK(v);
	return x;
}

static struct logql_expr *make_binary(unsigned depth)
{
	struct logql_expr *x = ARENA_NEW(&arena, struct logql_expr);
	struct logql_matching *m = &x->binary.matching;
	x->kind = LOGQL_BINARY;
	x->binary.op = (enum logql_binary_op)pick(LOGQL_BINARY_OPS);
	bool set = logql_binary_ops[x->binary.op].flags & LOGQL_SET_OP;
	x->binary.return_bool = pick(4) == 0;
	if (pick(2)) {
		m->on = pick(2);
		m->names = names(&m->n);
		m->card = (enum logql_card)pick(3);
		if (m->card != LOGQL_ONE_TO_ONE) m->include = names(&m->n_include);
	}
	x->binary.left = make_expr(depth + 1);
	x->binary.right = pick(4) || set ? make_expr(depth + 1) : make_literal();
	return x;
}

static struct logql_expr *make_expr(unsigned depth)
{
	struct logql_expr *x;
	switch (depth > 4 ? 0 : pick(7)) {
	case 1:
	case 2: return make_vector_agg(depth);
	case 3:
	case 4: return make_binary(depth);
	case 5:
		x = ARENA_NEW(&arena, struct logql_expr);
		x->kind = LOGQL_LABEL_REPLACE;
		x->label_replace.expr = make_expr(depth + 1);
		x->label_replace.dst = name();
		x->label_replace.replacement = text();
		x->label_replace.src = name();
		x->label_replace.regex = STR("a-(.*)");
		return x;
	case 6:
		x = make_literal();
		x->kind = LOGQL_VECTOR;
		if (x->literal < 0) x->literal = -x->literal;
		return x;
	default: return make_range_agg();
	}
}

static struct logql_expr *make_root(void)
{
	struct logql_expr *x = ARENA_NEW(&arena, struct logql_expr);
	switch (pick(4)) {
	case 0:
		x->kind = LOGQL_LOG;
		x->log = make_log();
		return x;
	case 1:
		x->kind = LOGQL_VARIANTS;
		x->variants.n = 1 + pick(2);
		x->variants.exprs = arena_alloc(&arena, 2 * sizeof *x->variants.exprs);
		for (size_t i = 0; i < x->variants.n; i++) x->variants.exprs[i] = make_expr(3);
		x->variants.range = make_range(pick(2));
		return x;
	default: return make_expr(0);
	}
}

static void reads_back(const struct logql_expr *x, void (*print)(struct buf *b, const struct logql_expr *x))
{
	struct buf b = {0};
	struct err e = ERR_INIT;
	print(&b, x);
	struct logql *q = logql_parse(&arena, buf_view(&b), &e);
	bool equal = q && logql_equal(q->root, x);
	if (!equal) fprintf(stderr, "%s\n%s\n", buf_cstr(&b), q ? "reads back differently" : e.msg);
	assert_true(equal);
	logql_free(q);
	buf_free(&b);
}

static void trees_read_back(void **state)
{
	(void)state;
	arena_init(&arena, 0);
	for (unsigned i = 0; i < 3000; i++) {
		seed = i;
		const struct logql_expr *x = make_root();
		reads_back(x, logql_print);
		reads_back(x, logql_print_pretty);
		while (n_made) matcher_fini(made[--n_made]);
		arena_reset(&arena);
	}
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples),
		cmocka_unit_test(trees_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
