/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pipeline of a log query: parsers, filters and formats behind a selector. */
#include "server/logql/parse.h"
#include "server/logql/simple_regex.h"

#include "pipeline/extract/logfmt.h"

static void release_matcher(void *m) { matcher_fini(m); }
static void release_selector(void *s) { selector_fini(s); }
static void release_extract_re(void *r) { extract_re_free(r); }
static void release_pattern(void *p) { pattern_free(p); }

/* Takes the text of the current identifier; otherwise it is a syntax error. */
static bool take_ident(struct parse *p, struct str *name)
{
	*name = p->lx.tok.text;
	return lex_expect(&p->lx, TOK_IDENT);
}

static bool take_string(struct parse *p, struct str *text)
{
	*text = p->lx.tok.str;
	return lex_expect(&p->lx, TOK_STRING);
}

/* The string of a stage that is checked before the token behind it is looked at. */
static bool at_string(struct parse *p, struct str *text)
{
	*text = p->lx.tok.str;
	return p->lx.tok.kind == TOK_STRING || lex_unexpected(&p->lx, TOK_STRING);
}

static bool make_matcher(struct parse *p, struct matcher *m, enum match_op op, struct str name, struct str value)
{
	struct err bad = ERR_INIT;
	if (!matcher_init(m, op, name, value, 0, &bad)) return lex_fail_nowhere(&p->lx, "%s", bad.msg);
	logql_own(p->q, m, release_matcher);
	return true;
}

bool parse_selector(struct parse *p, struct logql_log *log)
{
	size_t from = p->lx.tok.from;
	if (!selector_parse(&p->lx, &log->selector)) return false;
	logql_own(p->q, &log->selector, release_selector);
	log->span = parse_span(p, from);
	return true;
}

/* ---- label filters ---- */

static bool cmp_of(enum tok_kind kind, enum logql_cmp *cmp)
{
	switch (kind) {
	case TOK_EQ:
	case TOK_CMP_EQ: *cmp = LOGQL_CMP_EQ; return true;
	case TOK_NEQ: *cmp = LOGQL_CMP_NEQ; return true;
	case TOK_GT: *cmp = LOGQL_CMP_GT; return true;
	case TOK_GTE: *cmp = LOGQL_CMP_GTE; return true;
	case TOK_LT: *cmp = LOGQL_CMP_LT; return true;
	case TOK_LTE: *cmp = LOGQL_CMP_LTE; return true;
	default: return false;
	}
}

static bool string_operand(struct parse *p, struct logql_filter *f, enum match_op op)
{
	struct str value = p->lx.tok.str;
	f->kind = LOGQL_FILTER_MATCH;
	if (!make_matcher(p, &f->match, op, f->label, value)) return false;
	if (op == MATCH_RE || op == MATCH_NRE) f->simple = simple_regex_new(p->lx.a, value);
	lex_next(&p->lx);
	return true;
}

/* ip("…"), behind = or !=. */
static bool ip_operand(struct parse *p, struct logql_filter *f)
{
	struct err bad = ERR_INIT;
	f->kind = LOGQL_FILTER_IP;
	lex_next(&p->lx);
	if (!lex_expect(&p->lx, TOK_LPAREN) || !take_string(p, &f->ip) || !lex_expect(&p->lx, TOK_RPAREN)) return false;
	f->addr_ok = ipfilter_init(&f->addr, f->ip, &bad);
	return true;
}

/* A number with its sign, as an operand of a filter. */
static bool number_operand(struct parse *p, struct logql_filter *f)
{
	bool minus = p->lx.tok.kind == TOK_SUB;
	if (minus || p->lx.tok.kind == TOK_ADD) {
		lex_next(&p->lx);
		if (p->lx.tok.kind != TOK_NUMBER) return lex_unexpected(&p->lx, TOK_NUMBER);
	}
	f->kind = LOGQL_FILTER_NUMBER;
	if (!str_to_f64(p->lx.tok.text, &f->num)) f->num = 0;
	if (minus) f->num = -f->num;
	lex_next(&p->lx);
	return true;
}

static bool compared_operand(struct parse *p, struct logql_filter *f, enum tok_kind op)
{
	switch (p->lx.tok.kind) {
	case TOK_NUMBER:
	case TOK_ADD:
	case TOK_SUB: return number_operand(p, f);
	case TOK_DURATION:
		f->kind = LOGQL_FILTER_DURATION;
		f->dur = p->lx.tok.dur;
		lex_next(&p->lx);
		return true;
	case TOK_BYTES:
		f->kind = LOGQL_FILTER_BYTES;
		f->bytes = p->lx.tok.bytes;
		lex_next(&p->lx);
		return true;
	case TOK_IP:
		if (op == TOK_EQ || op == TOK_NEQ) return ip_operand(p, f);
		break;
	case TOK_STRING:
		if (op == TOK_EQ || op == TOK_NEQ) return string_operand(p, f, op == TOK_EQ ? MATCH_EQ : MATCH_NEQ);
		break;
	default: break;
	}
	return lex_unexpected(&p->lx);
}

static struct logql_filter *filter_leaf(struct parse *p)
{
	struct logql_filter *f = ARENA_NEW(p->lx.a, struct logql_filter);
	size_t from = p->lx.tok.from;
	f->depth = 1;
	if (!take_ident(p, &f->label)) return NULL;
	enum tok_kind op = p->lx.tok.kind;
	bool ok;
	if (op == TOK_RE || op == TOK_NRE) {
		lex_next(&p->lx);
		if (p->lx.tok.kind != TOK_STRING)
			ok = lex_unexpected(&p->lx, TOK_STRING);
		else
			ok = string_operand(p, f, op == TOK_RE ? MATCH_RE : MATCH_NRE);
	} else if (cmp_of(op, &f->cmp)) {
		lex_next(&p->lx);
		ok = compared_operand(p, f, op);
	} else {
		ok = lex_unexpected(&p->lx);
	}
	f->span = parse_span(p, from);
	return ok ? f : NULL;
}

static struct logql_filter *filter_chain(struct parse *p, unsigned outer);

static struct logql_filter *filter_primary(struct parse *p)
{
	if (p->lx.tok.kind != TOK_LPAREN) {
		if (p->lx.tok.kind != TOK_IDENT) return lex_unexpected(&p->lx, TOK_IDENT, TOK_LPAREN), NULL;
		return filter_leaf(p);
	}
	if (!parse_enter(p)) return NULL;
	lex_next(&p->lx);
	struct logql_filter *f = filter_chain(p, 0);
	if (f && p->lx.tok.kind != TOK_RPAREN) f = (lex_unexpected(&p->lx), NULL);
	if (f) lex_next(&p->lx);
	p->depth--;
	return f;
}

/* How tightly the operator at the current token binds: or 1, and 2. The comma, and nothing at all before another
 * filter, have no precedence in Loki's grammar, so its parser always shifts there: `a, b or c` is `a, (b or c)`. */
enum { NO_OPERATOR, BINDS_OR, BINDS_AND, BINDS_ANY };

static unsigned filter_operator(const struct parse *p)
{
	switch (p->lx.tok.kind) {
	case TOK_OR: return BINDS_OR;
	case TOK_AND: return BINDS_AND;
	case TOK_COMMA:
	case TOK_IDENT:
	case TOK_LPAREN: return BINDS_ANY;
	default: return NO_OPERATOR;
	}
}

/* Filters joined by operators, as far as they bind tighter than `outer`. */
static struct logql_filter *filter_chain(struct parse *p, unsigned outer)
{
	if (!parse_enter(p)) return NULL;
	struct logql_filter *left = filter_primary(p);
	unsigned op;
	while (left && (op = filter_operator(p))) {
		if (op != BINDS_ANY && outer && outer != BINDS_ANY && op <= outer) break;
		if (p->lx.tok.kind != TOK_IDENT && p->lx.tok.kind != TOK_LPAREN) lex_next(&p->lx);
		struct logql_filter *right = filter_chain(p, op);
		if (!right) {
			left = NULL;
			break;
		}
		struct logql_filter *both = ARENA_NEW(p->lx.a, struct logql_filter);
		both->kind = op == BINDS_OR ? LOGQL_FILTER_OR : LOGQL_FILTER_AND;
		both->span = (struct logql_span){left->span.from, right->span.to};
		both->left = left;
		both->right = right;
		both->depth = 1 + (left->depth > right->depth ? left->depth : right->depth);
		left = both;
		if (both->depth > LOGQL_MAX_DEPTH)
			left = (lex_fail(&p->lx, "too many label filters in one stage"), NULL);
	}
	p->depth--;
	return left;
}

struct logql_filter *parse_filter(struct parse *p) { return filter_chain(p, 0); }

/* ---- parsers and formats ---- */

static bool stage_exprs(struct parse *p, struct logql_stage *s)
{
	size_t cap = 0;
	do {
		struct extract_expr x;
		if (!take_ident(p, &x.name)) return false;
		x.expr = x.name;
		if (lex_accept(&p->lx, TOK_EQ) && !take_string(p, &x.expr)) return false;
		*ARENA_PUSH(p->lx.a, s->exprs, s->n_exprs, cap) = x;
	} while (lex_accept(&p->lx, TOK_COMMA));
	return true;
}

static bool stage_json(struct parse *p, struct logql_stage *s)
{
	lex_next(&p->lx);
	return p->lx.tok.kind != TOK_IDENT || stage_exprs(p, s);
}

static bool stage_logfmt(struct parse *p, struct logql_stage *s)
{
	for (lex_next(&p->lx); p->lx.tok.kind == TOK_FLAG; lex_next(&p->lx))
		s->logfmt_flags |= str_eqc(p->lx.tok.text, "--strict") ? LOGFMT_STRICT : LOGFMT_KEEP_EMPTY;
	return p->lx.tok.kind != TOK_IDENT || stage_exprs(p, s);
}

static bool stage_regexp(struct parse *p, struct logql_stage *s)
{
	struct err bad = ERR_INIT;
	lex_next(&p->lx);
	if (!at_string(p, &s->text)) return false;
	struct extract_re *re = extract_re_new(s->text, &bad);
	if (!re) return lex_fail_nowhere(&p->lx, "invalid regexp parser: %s", bad.msg);
	logql_own(p->q, re, release_extract_re);
	s->re = re;
	lex_next(&p->lx);
	return true;
}

static bool stage_pattern(struct parse *p, struct logql_stage *s)
{
	struct err bad = ERR_INIT;
	lex_next(&p->lx);
	if (!at_string(p, &s->text)) return false;
	struct pattern *pattern = pattern_new(s->text, &bad);
	if (!pattern) return lex_fail_nowhere(&p->lx, "invalid pattern parser: %s", bad.msg);
	logql_own(p->q, pattern, release_pattern);
	s->pattern = pattern;
	lex_next(&p->lx);
	return true;
}

static bool stage_word(struct parse *p, struct logql_stage *s)
{
	(void)s;
	lex_next(&p->lx);
	return true;
}

static bool stage_line_format(struct parse *p, struct logql_stage *s)
{
	lex_next(&p->lx);
	return take_string(p, &s->text);
}

static bool stage_label_format(struct parse *p, struct logql_stage *s)
{
	size_t cap = 0;
	do {
		struct logql_label_format f = {0};
		lex_next(&p->lx);
		if (!take_ident(p, &f.dst) || !lex_expect(&p->lx, TOK_EQ)) return false;
		f.rename = p->lx.tok.kind == TOK_IDENT;
		if (!f.rename && p->lx.tok.kind != TOK_STRING) return lex_unexpected(&p->lx, TOK_IDENT, TOK_STRING);
		f.src = f.rename ? p->lx.tok.text : p->lx.tok.str;
		lex_next(&p->lx);
		*ARENA_PUSH(p->lx.a, s->formats, s->n_formats, cap) = f;
	} while (p->lx.tok.kind == TOK_COMMA);
	return true;
}

static bool stage_drop(struct parse *p, struct logql_stage *s)
{
	size_t cap = 0;
	do {
		struct logql_drop d = {0};
		enum match_op op = MATCH_EQ;
		struct str value;
		lex_next(&p->lx);
		if (!take_ident(p, &d.name)) return false;
		d.has_match = match_op_of(p->lx.tok.kind, &op);
		if (d.has_match) {
			lex_next(&p->lx);
			if (!at_string(p, &value)) return false;
			/* Owned where it stays: array items move. */
			struct matcher *m = ARENA_NEW(p->lx.a, struct matcher);
			if (!make_matcher(p, m, op, d.name, value)) return false;
			d.match = *m;
			lex_next(&p->lx);
		}
		*ARENA_PUSH(p->lx.a, s->drops, s->n_drops, cap) = d;
	} while (p->lx.tok.kind == TOK_COMMA);
	return true;
}

static bool stage_filter(struct parse *p, struct logql_stage *s) { return (s->filter = parse_filter(p)) != NULL; }

/* ---- beyond Loki ---- */

static bool stage_unroll(struct parse *p, struct logql_stage *s)
{
	size_t cap = 0;
	lex_next(&p->lx);
	if (p->lx.tok.kind != TOK_STRING) return p->lx.tok.kind != TOK_ERROR;
	*ARENA_PUSH(p->lx.a, s->exprs, s->n_exprs, cap) = (struct extract_expr){STR("unroll"), p->lx.tok.str};
	lex_next(&p->lx);
	return true;
}

static bool stage_by(struct parse *p, struct logql_stage *s)
{
	lex_next(&p->lx);
	if (!lex_accept(&p->lx, TOK_BY)) return p->lx.tok.kind != TOK_ERROR;
	if (!parse_names(p, &s->by, &s->n_by)) return false;
	return s->n_by || lex_fail(&p->lx, "by () needs at least one label");
}

static bool stage_top(struct parse *p, struct logql_stage *s)
{
	uint64_t n;
	lex_next(&p->lx);
	if (p->lx.tok.kind != TOK_NUMBER) return lex_unexpected(&p->lx, TOK_NUMBER);
	if (!str_to_u64(p->lx.tok.text, &n) || n == 0 || n > UINT32_MAX)
		return lex_fail(&p->lx, "top needs a whole number above 0, not %.*s", STR_ARG(p->lx.tok.text));
	s->top = (uint32_t)n;
	return stage_by(p, s);
}

static bool stage_sort(struct parse *p, struct logql_stage *s)
{
	if (!stage_by(p, s)) return false;
	if (s->n_by > 1) return lex_fail(&p->lx, "sort takes one label, not %zu", s->n_by);
	s->desc = p->lx.tok.kind == TOK_IDENT && str_eqc(p->lx.tok.text, "desc");
	if (s->desc) lex_next(&p->lx);
	return p->lx.tok.kind != TOK_ERROR;
}

static const struct extension {
	const char *word;
	enum logql_stage_kind kind;
	bool (*parse)(struct parse *p, struct logql_stage *s);
} extensions[] = {
	{"unroll", LOGQL_STAGE_UNROLL, stage_unroll},
	{"uniq", LOGQL_STAGE_UNIQ, stage_by},
	{"top", LOGQL_STAGE_TOP, stage_top},
	{"sort", LOGQL_STAGE_SORT, stage_sort},
};

/* The extension that the current word starts. A word that an operator follows is the label of a filter, as in Loki. */
static const struct extension *at_extension(const struct parse *p)
{
	enum logql_cmp cmp;
	struct lex ahead = p->lx;
	struct err quiet = ERR_INIT;
	bool is_word = p->lx.tok.kind == TOK_IDENT || p->lx.tok.kind == TOK_SORT;
	if (!is_word || !(p->lx.flags & LEX_EXTENSIONS)) return NULL;
	ahead.e = &quiet;
	lex_next(&ahead);
	if (ahead.tok.kind == TOK_RE || ahead.tok.kind == TOK_NRE || cmp_of(ahead.tok.kind, &cmp)) return NULL;
	for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
		if (str_eqc(p->lx.tok.text, extensions[i].word)) return &extensions[i];
	return NULL;
}

static bool misplaced(struct parse *p, const struct logql_stage *s, const char *rule)
{
	struct buf text = {0};
	logql_print_stage(&text, s);
	lex_fail(&p->lx, "`%s` %s", buf_cstr(&text), rule);
	buf_free(&text);
	return false;
}

/* Does this stage stand where one of its kind may? in_range: the pipeline is that of a range. */
static bool check_order(struct parse *p, const struct logql_log *log, const struct logql_stage *s, bool in_range)
{
	enum logql_stage_kind last = log->n_stages ? log->stages[log->n_stages - 1].kind : LOGQL_STAGE_LINE_FILTERS;
	if (logql_stage_ends(s->kind) && in_range) return misplaced(p, s, "can only end a log query");
	if (!logql_stage_ends(last)) return true;
	if (last == LOGQL_STAGE_SORT) return misplaced(p, s, "cannot stand behind sort");
	return s->kind == LOGQL_STAGE_SORT || misplaced(p, s, "cannot stand behind uniq or top; only sort can");
}

/* ---- pipelines ---- */

/* What a word behind "|" starts; the parser function is called on that word. */
static const struct {
	enum tok_kind tok;
	enum logql_stage_kind kind;
	bool (*parse)(struct parse *p, struct logql_stage *s);
} stages[] = {
	{TOK_JSON, LOGQL_STAGE_JSON, stage_json},
	{TOK_LOGFMT, LOGQL_STAGE_LOGFMT, stage_logfmt},
	{TOK_REGEXP, LOGQL_STAGE_REGEXP, stage_regexp},
	{TOK_PATTERN, LOGQL_STAGE_PATTERN, stage_pattern},
	{TOK_UNPACK, LOGQL_STAGE_UNPACK, stage_word},
	{TOK_IDENT, LOGQL_STAGE_LABEL_FILTER, stage_filter},
	{TOK_LPAREN, LOGQL_STAGE_LABEL_FILTER, stage_filter},
	{TOK_LINE_FORMAT, LOGQL_STAGE_LINE_FORMAT, stage_line_format},
	{TOK_LABEL_FORMAT, LOGQL_STAGE_LABEL_FORMAT, stage_label_format},
	{TOK_DECOLORIZE, LOGQL_STAGE_DECOLORIZE, stage_word},
	{TOK_DROP, LOGQL_STAGE_DROP, stage_drop},
	{TOK_KEEP, LOGQL_STAGE_KEEP, stage_drop},
};

static bool stage_behind_pipe(struct parse *p, struct logql_stage *s)
{
	const struct extension *x = at_extension(p);
	if (x) {
		s->kind = x->kind;
		return x->parse(p, s);
	}
	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
		if (stages[i].tok != p->lx.tok.kind) continue;
		s->kind = stages[i].kind;
		return stages[i].parse(p, s);
	}
	return lex_unexpected(&p->lx);
}

static bool stage_line_filters(struct parse *p, struct logql_stage *s)
{
	size_t cap = 0;
	s->kind = LOGQL_STAGE_LINE_FILTERS;
	while (linefilter_starts(p->lx.tok.kind)) {
		struct linefilter f = {0};
		if (!linefilter_parse(&p->lx, &f)) return false;
		*ARENA_PUSH(p->lx.a, s->filters, s->n_filters, cap) = f;
	}
	return p->lx.tok.kind != TOK_ERROR;
}

bool parse_pipeline(struct parse *p, struct logql_log *log, bool *unwrap)
{
	size_t cap = 0;
	if (unwrap) *unwrap = false;
	for (;;) {
		struct logql_stage s = {0};
		size_t from = p->lx.tok.from;
		bool ok;
		if (linefilter_starts(p->lx.tok.kind)) {
			ok = stage_line_filters(p, &s);
		} else if (lex_accept(&p->lx, TOK_PIPE)) {
			if (unwrap && (*unwrap = p->lx.tok.kind == TOK_UNWRAP)) return true;
			ok = stage_behind_pipe(p, &s);
		} else {
			return p->lx.tok.kind != TOK_ERROR;
		}
		if (!ok || !check_order(p, log, &s, unwrap != NULL)) return false;
		s.span = parse_span(p, from);
		log->span.to = s.span.to;
		*ARENA_PUSH(p->lx.a, log->stages, log->n_stages, cap) = s;
	}
}
