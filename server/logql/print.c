/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two forms. The one-line form is Loki's String(). The pretty form is Loki's format_query: whatever is longer than
 * MAX_LINE bytes in one line is split, two blanks an indent. It differs from Loki's where theirs would not read back as
 * the same query: `or` operands of a long line filter, `without ()`, on () and ignoring () with a group,
 * group_left () before a parenthesis, and parentheses of long nested operations are kept. */
#include "server/logql/parse.h"

#include "common/units.h"

#include "pipeline/extract/logfmt.h"
#include <stdio.h>

#define MAX_LINE 100

static void names(struct buf *b, const struct str *v, size_t n, const char *comma)
{
	buf_ch(b, '(');
	for (size_t i = 0; i < n; i++) {
		if (i) buf_c(b, comma);
		buf_str(b, v[i]);
	}
	buf_ch(b, ')');
}

/* ---- stages ---- */

static const char *const cmp_texts[] = {[LOGQL_CMP_EQ] = "==",  [LOGQL_CMP_NEQ] = "!=", [LOGQL_CMP_GT] = ">",
					[LOGQL_CMP_GTE] = ">=", [LOGQL_CMP_LT] = "<",   [LOGQL_CMP_LTE] = "<="};

static void print_match(struct buf *b, const struct logql_filter *f)
{
	const struct matcher *m = &f->match;
	if (m->op != MATCH_RE || f->simple || str_chr(m->value, '`') >= 0) {
		matcher_print(b, m);
		return;
	}
	buf_str(b, m->name);
	buf_c(b, match_op_text(m->op));
	buf_ch(b, '`');
	buf_str(b, m->value);
	buf_ch(b, '`');
}

static void print_bytes(struct buf *b, uint64_t n)
{
	size_t from = b->n, to = from;
	units_bytes_human_print(b, n);
	for (size_t i = from; i < b->n; i++)
		if (b->p[i] != ' ') b->p[to++] = b->p[i];
	b->n = to;
}

void logql_print_filter(struct buf *b, const struct logql_filter *f)
{
	if (f->kind == LOGQL_FILTER_AND || f->kind == LOGQL_FILTER_OR) {
		buf_c(b, "( ");
		logql_print_filter(b, f->left);
		buf_c(b, f->kind == LOGQL_FILTER_AND ? " , " : " or ");
		logql_print_filter(b, f->right);
		buf_c(b, " )");
		return;
	}
	if (f->kind == LOGQL_FILTER_MATCH) {
		print_match(b, f);
		return;
	}
	buf_str(b, f->label);
	if (f->kind == LOGQL_FILTER_IP) {
		buf_c(b, f->cmp == LOGQL_CMP_EQ ? "=ip(" : "!=ip(");
		buf_quote(b, f->ip);
		buf_ch(b, ')');
		return;
	}
	buf_c(b, cmp_texts[f->cmp]);
	if (f->kind == LOGQL_FILTER_NUMBER)
		buf_f64(b, f->num);
	else if (f->kind == LOGQL_FILTER_DURATION)
		units_dur_go_print(b, f->dur);
	else
		print_bytes(b, f->bytes);
}

static void print_exprs(struct buf *b, const struct logql_stage *s)
{
	for (size_t i = 0; i < s->n_exprs; i++) {
		buf_ch(b, i ? ',' : ' ');
		buf_str(b, s->exprs[i].name);
		buf_ch(b, '=');
		buf_quote(b, s->exprs[i].expr);
	}
}

static void print_formats(struct buf *b, const struct logql_stage *s)
{
	for (size_t i = 0; i < s->n_formats; i++) {
		const struct logql_label_format *f = &s->formats[i];
		buf_ch(b, i ? ',' : ' ');
		buf_str(b, f->dst);
		buf_ch(b, '=');
		if (f->rename)
			buf_str(b, f->src);
		else
			buf_quote(b, f->src);
	}
}

static void print_drops(struct buf *b, const struct logql_stage *s)
{
	for (size_t i = 0; i < s->n_drops; i++) {
		buf_ch(b, i ? ',' : ' ');
		if (s->drops[i].has_match)
			matcher_print(b, &s->drops[i].match);
		else
			buf_str(b, s->drops[i].name);
	}
}

static void print_line_filters(struct buf *b, const struct logql_stage *s, const char *between)
{
	for (size_t i = 0; i < s->n_filters; i++) {
		if (i) buf_c(b, between);
		linefilter_print(b, &s->filters[i]);
	}
}

/* by (…) of a stage; nothing where the line counts. */
static void print_by(struct buf *b, const struct logql_stage *s)
{
	if (!s->n_by) return;
	buf_c(b, " by ");
	names(b, s->by, s->n_by, ", ");
}

void logql_print_stage(struct buf *b, const struct logql_stage *s)
{
	static const char *const words[] = {
		[LOGQL_STAGE_JSON] = "| json",
		[LOGQL_STAGE_LOGFMT] = "| logfmt",
		[LOGQL_STAGE_REGEXP] = "| regexp ",
		[LOGQL_STAGE_PATTERN] = "| pattern ",
		[LOGQL_STAGE_UNPACK] = "| unpack",
		[LOGQL_STAGE_LABEL_FILTER] = "| ",
		[LOGQL_STAGE_LINE_FORMAT] = "| line_format ",
		[LOGQL_STAGE_LABEL_FORMAT] = "| label_format",
		[LOGQL_STAGE_DECOLORIZE] = "| decolorize",
		[LOGQL_STAGE_DROP] = "| drop",
		[LOGQL_STAGE_KEEP] = "| keep",
		[LOGQL_STAGE_UNROLL] = "| unroll",
		[LOGQL_STAGE_UNIQ] = "| uniq",
		[LOGQL_STAGE_TOP] = "| top",
		[LOGQL_STAGE_SORT] = "| sort",
	};
	if (s->kind == LOGQL_STAGE_LINE_FILTERS) {
		print_line_filters(b, s, " ");
		return;
	}
	buf_c(b, words[s->kind]);
	switch (s->kind) {
	case LOGQL_STAGE_LOGFMT:
		if (s->logfmt_flags & LOGFMT_STRICT) buf_c(b, " --strict");
		if (s->logfmt_flags & LOGFMT_KEEP_EMPTY) buf_c(b, " --keep-empty");
		print_exprs(b, s);
		break;
	case LOGQL_STAGE_JSON: print_exprs(b, s); break;
	case LOGQL_STAGE_REGEXP:
	case LOGQL_STAGE_PATTERN:
	case LOGQL_STAGE_LINE_FORMAT: buf_quote(b, s->text); break;
	case LOGQL_STAGE_LABEL_FILTER: logql_print_filter(b, s->filter); break;
	case LOGQL_STAGE_LABEL_FORMAT: print_formats(b, s); break;
	case LOGQL_STAGE_DROP:
	case LOGQL_STAGE_KEEP: print_drops(b, s); break;
	case LOGQL_STAGE_UNROLL:
		if (!s->n_exprs) break;
		buf_ch(b, ' ');
		buf_quote(b, s->exprs[0].expr);
		break;
	case LOGQL_STAGE_TOP:
		buf_printf(b, " %u", s->top);
		print_by(b, s);
		break;
	case LOGQL_STAGE_UNIQ:
	case LOGQL_STAGE_SORT:
		print_by(b, s);
		if (s->desc) buf_c(b, " desc");
		break;
	default: break;
	}
}

void logql_print_log(struct buf *b, const struct logql_log *log)
{
	selector_print(b, &log->selector);
	for (size_t i = 0; i < log->n_stages; i++) {
		buf_ch(b, ' ');
		logql_print_stage(b, &log->stages[i]);
	}
}

/* ---- one line ---- */

/* `between` stands before each of its filters. */
static void print_unwrap(struct buf *b, const struct logql_unwrap *u, const char *between)
{
	const char *conv = logql_unwrap_convs[u->conv].name;
	buf_c(b, "| unwrap ");
	if (*conv) {
		buf_c(b, conv);
		names(b, &u->label, 1, ",");
	} else {
		buf_str(b, u->label);
	}
	for (size_t i = 0; i < u->n_filters; i++) {
		buf_c(b, between);
		buf_c(b, "| ");
		logql_print_filter(b, u->filters[i]);
	}
}

static void print_interval(struct buf *b, int64_t ns)
{
	buf_ch(b, '[');
	units_dur_prom_print(b, ns);
	buf_ch(b, ']');
}

void logql_print_range(struct buf *b, const struct logql_range *r)
{
	logql_print_log(b, r->log);
	if (r->unwrap) {
		buf_ch(b, ' ');
		print_unwrap(b, r->unwrap, " ");
	}
	print_interval(b, r->interval);
	if (!r->offset) return;
	buf_c(b, " offset ");
	units_dur_go_print(b, r->offset);
}

static void print_grouping(struct buf *b, const struct logql_grouping *g, const char *comma)
{
	if (!g->present) return;
	buf_c(b, g->without ? " without " : " by ");
	names(b, g->names, g->n, comma);
}

/* Vector functions take "by ()" and nothing for the same. */
static void print_vector_grouping(struct buf *b, const struct logql_grouping *g, const char *comma)
{
	if (g->without || g->n) print_grouping(b, g, comma);
}

static void print_op(struct buf *b, const struct logql_expr *x, const char *comma)
{
	const struct logql_matching *m = &x->binary.matching;
	buf_c(b, logql_binary_ops[x->binary.op].name);
	if (x->binary.return_bool) buf_c(b, " bool");
	if (!m->on && !m->n && m->card == LOGQL_ONE_TO_ONE) return;
	buf_c(b, m->on ? " on " : " ignoring ");
	names(b, m->names, m->n, comma);
	buf_ch(b, ' '); /* Loki leaves this one even with nothing behind it */
	if (m->card == LOGQL_ONE_TO_ONE) return;
	buf_c(b, m->card == LOGQL_MANY_TO_ONE ? "group_left" : "group_right");
	/* An operand in parentheses would be read as the list. */
	if (!m->n_include && x->binary.right->kind != LOGQL_BINARY) return;
	buf_ch(b, ' ');
	names(b, m->include, m->n_include, comma);
}

/* Six decimals, as Loki prints it, unless that changes the value. */
static void print_vector(struct buf *b, double v)
{
	char text[400];
	int n = snprintf(text, sizeof text, "%f", v);
	double back;
	buf_c(b, "vector(");
	if (n > 0 && (size_t)n < sizeof text && str_to_f64(str_of(text, (size_t)n), &back) && back == v)
		buf_add(b, text, (size_t)n);
	else
		buf_f64(b, v);
	buf_ch(b, ')');
}

static void print_label_replace_args(struct buf *b, const struct logql_expr *x, const char *between)
{
	const struct str args[] = {x->label_replace.dst, x->label_replace.replacement, x->label_replace.src,
				   x->label_replace.regex};
	for (size_t i = 0; i < 4; i++) {
		buf_c(b, between);
		buf_quote(b, args[i]);
	}
}

/* Stops when the text is longer than max: the caller only wants to know that it is. */
static void print_line(struct buf *b, const struct logql_expr *x, size_t max)
{
	if (b->n > max) return;
	switch (x->kind) {
	case LOGQL_LOG: logql_print_log(b, x->log); break;
	case LOGQL_RANGE_AGG:
		buf_c(b, logql_range_fns[x->range_agg.fn].name);
		buf_ch(b, '(');
		if (x->range_agg.param_text.n) {
			buf_f64(b, x->range_agg.param);
			buf_ch(b, ',');
		}
		logql_print_range(b, x->range_agg.range);
		buf_ch(b, ')');
		print_grouping(b, &x->range_agg.grouping, ",");
		break;
	case LOGQL_VECTOR_AGG:
		buf_c(b, logql_vector_fns[x->vector_agg.fn].name);
		print_vector_grouping(b, &x->vector_agg.grouping, ",");
		buf_ch(b, '(');
		if (x->vector_agg.param) {
			buf_i64(b, x->vector_agg.param);
			buf_ch(b, ',');
		}
		print_line(b, x->vector_agg.expr, max);
		buf_ch(b, ')');
		break;
	case LOGQL_BINARY:
		buf_ch(b, '(');
		print_line(b, x->binary.left, max);
		buf_ch(b, ' ');
		print_op(b, x, ",");
		buf_ch(b, ' ');
		print_line(b, x->binary.right, max);
		buf_ch(b, ')');
		break;
	/* No sign on 0: "-0" would be read as a duration. */
	case LOGQL_LITERAL: buf_f64_g(b, x->literal == 0 ? 0 : x->literal); break;
	case LOGQL_VECTOR: print_vector(b, x->literal); break;
	case LOGQL_LABEL_REPLACE:
		buf_c(b, "label_replace(");
		print_line(b, x->label_replace.expr, max);
		print_label_replace_args(b, x, ",");
		buf_ch(b, ')');
		break;
	case LOGQL_VARIANTS:
		buf_c(b, "variants(");
		for (size_t i = 0; i < x->variants.n; i++) {
			if (i) buf_c(b, ", ");
			print_line(b, x->variants.exprs[i], max);
		}
		buf_c(b, ") of (");
		logql_print_range(b, x->variants.range);
		buf_ch(b, ')');
		break;
	}
}

void logql_print(struct buf *b, const struct logql_expr *x) { print_line(b, x, SIZE_MAX); }

/* ---- several lines ---- */

static void indent(struct buf *b, unsigned level)
{
	for (unsigned i = 0; i < level; i++) buf_c(b, "  ");
}

static void new_line(struct buf *b, unsigned level)
{
	buf_ch(b, '\n');
	indent(b, level);
}

static bool log_fits(const struct logql_log *log)
{
	struct buf text = {0};
	logql_print_log(&text, log);
	bool fits = text.n <= MAX_LINE;
	buf_free(&text);
	return fits;
}

static bool fits(const struct logql_expr *x)
{
	struct buf text = {0};
	print_line(&text, x, MAX_LINE);
	bool short_enough = text.n <= MAX_LINE;
	buf_free(&text);
	return short_enough;
}

static void pretty_stage(struct buf *b, const struct logql_stage *s, unsigned level)
{
	size_t from = b->n;
	if (s->kind == LOGQL_STAGE_DECOLORIZE) level = 0; /* Loki does not indent this one */
	indent(b, level);
	size_t text = b->n;
	logql_print_stage(b, s);
	if (s->kind != LOGQL_STAGE_LINE_FILTERS || b->n - text <= MAX_LINE) return;
	struct buf between = {0};
	new_line(&between, level);
	b->n = from;
	indent(b, level);
	print_line_filters(b, s, buf_cstr(&between));
	buf_free(&between);
}

static void pretty_log(struct buf *b, const struct logql_log *log, unsigned level)
{
	indent(b, level);
	if (log_fits(log)) {
		logql_print_log(b, log);
		return;
	}
	selector_print(b, &log->selector);
	for (size_t i = 0; i < log->n_stages; i++) {
		buf_ch(b, '\n');
		pretty_stage(b, &log->stages[i], level + 1);
	}
}

static void pretty_range(struct buf *b, const struct logql_range *r, unsigned level)
{
	pretty_log(b, r->log, level);
	if (r->unwrap) {
		struct buf between = {0};
		new_line(&between, level + 1);
		buf_str(b, buf_view(&between));
		print_unwrap(b, r->unwrap, buf_cstr(&between));
		buf_free(&between);
	}
	buf_ch(b, ' ');
	print_interval(b, r->interval);
	if (!r->offset) return;
	buf_c(b, " offset ");
	if (r->offset > 0)
		units_dur_prom_print(b, r->offset);
	else
		units_dur_go_print(b, r->offset);
}

static void pretty(struct buf *b, const struct logql_expr *x, unsigned level);

/* Would the operand, printed over several lines and without parentheses, be read as something else? */
static bool needs_parens(const struct logql_expr *operand, const struct logql_expr *of, bool right)
{
	const struct logql_op_info *in = &logql_binary_ops[of->binary.op];
	if (operand->kind != LOGQL_BINARY || fits(operand)) return false;
	unsigned p = logql_binary_ops[operand->binary.op].precedence;
	return p < in->precedence || (p == in->precedence && right != !!(in->flags & LOGQL_RIGHT_ASSOC));
}

static void pretty_operand(struct buf *b, const struct logql_expr *x, const struct logql_expr *of, unsigned level)
{
	if (!needs_parens(x, of, x == of->binary.right)) {
		pretty(b, x, level);
		return;
	}
	indent(b, level);
	buf_c(b, "(\n");
	pretty(b, x, level + 1);
	new_line(b, level);
	buf_ch(b, ')');
}

static void pretty_range_agg(struct buf *b, const struct logql_expr *x, unsigned level)
{
	buf_c(b, logql_range_fns[x->range_agg.fn].name);
	buf_c(b, "(\n");
	if (x->range_agg.param_text.n) {
		indent(b, level + 1);
		buf_f64_g(b, x->range_agg.param);
		buf_c(b, ",\n");
	}
	pretty_range(b, x->range_agg.range, level + 1);
	new_line(b, level);
	buf_ch(b, ')');
	print_grouping(b, &x->range_agg.grouping, ", ");
}

static void pretty_vector_agg(struct buf *b, const struct logql_expr *x, unsigned level)
{
	buf_c(b, logql_vector_fns[x->vector_agg.fn].name);
	print_vector_grouping(b, &x->vector_agg.grouping, ", ");
	buf_c(b, "(\n");
	if (x->vector_agg.param) {
		indent(b, level + 1);
		buf_i64(b, x->vector_agg.param);
		buf_c(b, ",\n");
	}
	pretty(b, x->vector_agg.expr, level + 1);
	new_line(b, level);
	buf_ch(b, ')');
}

static void pretty_label_replace(struct buf *b, const struct logql_expr *x, unsigned level)
{
	struct buf between = {0};
	buf_ch(&between, ',');
	new_line(&between, level + 1);
	buf_c(b, "label_replace(\n");
	pretty(b, x->label_replace.expr, level + 1);
	print_label_replace_args(b, x, buf_cstr(&between));
	new_line(b, level);
	buf_ch(b, ')');
	buf_free(&between);
}

static void pretty_variants(struct buf *b, const struct logql_expr *x, unsigned level)
{
	buf_c(b, "variants(\n");
	for (size_t i = 0; i < x->variants.n; i++) {
		pretty(b, x->variants.exprs[i], level + 1);
		buf_c(b, i + 1 < x->variants.n ? ",\n" : "\n");
	}
	indent(b, level);
	buf_c(b, ") of (\n");
	pretty_range(b, x->variants.range, level + 1);
	new_line(b, level);
	buf_ch(b, ')');
}

static void pretty(struct buf *b, const struct logql_expr *x, unsigned level)
{
	if (x->kind == LOGQL_LOG) {
		pretty_log(b, x->log, level);
		return;
	}
	if (x->kind == LOGQL_BINARY && !fits(x)) {
		pretty_operand(b, x->binary.left, x, level + 1);
		new_line(b, level);
		print_op(b, x, ", ");
		buf_ch(b, '\n');
		pretty_operand(b, x->binary.right, x, level + 1);
		return;
	}
	indent(b, level);
	if (x->kind != LOGQL_VARIANTS && fits(x)) {
		logql_print(b, x);
		return;
	}
	switch (x->kind) {
	case LOGQL_RANGE_AGG: pretty_range_agg(b, x, level); break;
	case LOGQL_VECTOR_AGG: pretty_vector_agg(b, x, level); break;
	case LOGQL_LABEL_REPLACE: pretty_label_replace(b, x, level); break;
	case LOGQL_VARIANTS: pretty_variants(b, x, level); break;
	default: logql_print(b, x); break;
	}
}

void logql_print_pretty(struct buf *b, const struct logql_expr *x) { pretty(b, x, 0); }
