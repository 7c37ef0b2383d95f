/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/logfmt.h"

#include "common/simd.h"
#include "pipeline/extract/json_scan.h"

/* ---- scanning ---- */

static bool blank(char c) { return (unsigned char)c <= ' '; }

/* First byte at or after i that is a blank, '=' or '"'; *high says whether one before it is not ASCII. */
static size_t bare_end(struct str s, size_t i, bool *high)
{
	v16 seen = {0};
	for (; i + 16 <= s.n; i += 16) {
		v16 v = v16_load(s.p + i);
		unsigned stop = v16_mask(v16_eq(v, '=') | v16_eq(v, '"') | (v16)(v <= v16_splat(' ')));
		if (stop) {
			unsigned before = (1u << __builtin_ctz(stop)) - 1;
			*high |= (v16_mask(v) & before) || v16_mask(seen);
			return i + (unsigned)__builtin_ctz(stop);
		}
		seen |= v;
	}
	*high |= v16_mask(seen) != 0;
	for (; i < s.n && !blank(s.p[i]) && s.p[i] != '=' && s.p[i] != '"'; i++) *high |= (unsigned char)s.p[i] >= 0x80;
	return i;
}

/* ---- pairs ---- */

enum logfmt_found { LOGFMT_PAIR, LOGFMT_FAULT, LOGFMT_END };

static enum logfmt_found fault(struct arena *a, struct str *detail, size_t pos, const char *what)
{
	*detail = arena_printf(a, "logfmt syntax error at pos %zu : %s", pos + 1, what);
	return LOGFMT_FAULT;
}

static enum logfmt_found unexpected(struct str line, size_t *pos, struct arena *a, struct str *detail)
{
	enum logfmt_found f = fault(a, detail, *pos, line.p[*pos] == '=' ? "unexpected '='" : "unexpected '\"'");
	while (*pos < line.n && !blank(line.p[*pos])) (*pos)++;
	return f;
}

static bool has_bad_rune(struct str s)
{
	for (size_t i = 0; i < s.n;)
		if (str_rune(s, &i) == 0xFFFD) return true;
	return false;
}

/* At the opening quote. */
static enum logfmt_found quoted(struct str line, size_t *pos, struct arena *a, struct logfmt_pair *p,
				struct str *detail, bool *high)
{
	struct js_str s;
	const char *end = js_string(line.p + *pos + 1, line.p + line.n, &s);
	*pos = end ? (size_t)(end - line.p) : line.n;
	if (!end) return fault(a, detail, *pos, "unterminated quoted value");
	p->value = s.raw;
	*high = s.high || s.escaped; /* an escape may stand for anything */
	if (!s.escaped) return LOGFMT_PAIR;
	return extract_unescape(a, s.raw, true, &p->value) ? LOGFMT_PAIR
							   : fault(a, detail, *pos, "invalid quoted value");
}

static enum logfmt_found next_pair(struct str line, size_t *pos, struct arena *a, struct logfmt_pair *p,
				   struct str *detail, bool *high)
{
	bool high_key = false;
	while (*pos < line.n && blank(line.p[*pos])) (*pos)++;
	if (*pos >= line.n) return LOGFMT_END;
	size_t from = *pos;
	*p = (struct logfmt_pair){.value = STR("")};
	*pos = bare_end(line, from, &high_key);
	bool equals = *pos < line.n && line.p[*pos] == '=';
	if (*pos < line.n && !blank(line.p[*pos]) && (!equals || *pos == from)) return unexpected(line, pos, a, detail);
	p->key = str_sub(line, from, *pos);
	if (high_key && has_bad_rune(p->key)) {
		fault(a, detail, *pos, "invalid key");
		while (equals && *pos < line.n && !blank(line.p[*pos])) (*pos)++;
		return LOGFMT_FAULT;
	}
	if (!equals) return LOGFMT_PAIR;
	p->has_value = true;
	if (++*pos >= line.n || blank(line.p[*pos])) return LOGFMT_PAIR;
	if (line.p[*pos] == '"') return quoted(line, pos, a, p, detail, high);
	from = *pos;
	*pos = bare_end(line, from, high);
	if (*pos < line.n && !blank(line.p[*pos])) return unexpected(line, pos, a, detail);
	p->value = str_sub(line, from, *pos);
	return LOGFMT_PAIR;
}

bool logfmt_next(struct str line, size_t *pos, struct arena *a, struct logfmt_pair *p, struct str *detail)
{
	bool high = false;
	detail->n = 0;
	return next_pair(line, pos, a, p, detail, &high) == LOGFMT_PAIR;
}

/* ---- extraction ---- */

void extract_logfmt(struct str line, unsigned flags, struct extract *x)
{
	struct logfmt_pair p;
	struct str detail;
	for (size_t pos = 0; pos < line.n;) {
		bool high = false;
		enum logfmt_found f = next_pair(line, &pos, x->a, &p, &detail, &high);
		if (f == LOGFMT_FAULT && flags & LOGFMT_STRICT) {
			extract_fail(x, "LogfmtParserErr", detail);
			return;
		}
		if (f != LOGFMT_PAIR || (p.value.n == 0 && !(flags & LOGFMT_KEEP_EMPTY))) continue;
		struct str name = extract_name(x->a, p.key);
		if (name.n == 0 || !extract_wants(x, name)) continue;
		if (!extract_put(x, name, high ? extract_blank_bad(x->a, p.value) : p.value)) return;
	}
}

static ssize_t expr_for(const struct extract_expr *exprs, size_t n, struct str key)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(exprs[i].expr, key)) return (ssize_t)i;
	for (size_t i = 0; i < n; i++)
		if (str_eq(exprs[i].name, key)) return (ssize_t)i;
	return -1;
}

void extract_logfmt_keys(const struct extract_expr *exprs, size_t n, struct str line, unsigned flags, struct extract *x)
{
	size_t base = x->n;
	struct logfmt_pair p;
	struct str detail;
	for (size_t i = 0; i < n; i++) extract_push(x, exprs[i].name, STR(""));
	for (size_t pos = 0; pos < line.n;) {
		bool high = false;
		enum logfmt_found f = next_pair(line, &pos, x->a, &p, &detail, &high);
		if (f == LOGFMT_FAULT && flags & LOGFMT_STRICT) {
			extract_fail(x, "LogfmtParserErr", detail);
			return;
		}
		ssize_t i = f == LOGFMT_PAIR ? expr_for(exprs, n, extract_name(x->a, p.key)) : -1;
		/* Here Loki drops a value with bad bytes instead of blanking them. */
		if (i >= 0) x->v[base + (size_t)i].value = high && has_bad_rune(p.value) ? STR("") : p.value;
	}
}

/* ---- expressions ---- */

static bool is_alpha(char c) { return c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

static bool refuse(struct str expr, struct err *e, const char *what)
{
	return err_set(e, ERR_INVALID, "cannot parse expression [%.*s]: %s", STR_ARG(expr), what);
}

bool logfmt_expr(struct str expr, struct str *key, struct err *e)
{
	struct str s = str_trim(expr);
	char odd[] = "unexpected char  ";
	size_t i = 0;
	if (s.n == 0) return refuse(expr, e, "syntax error: unexpected $end, expecting STRING or FIELD");
	if (s.p[0] == '"') {
		for (i = 1; i < s.n && s.p[i] != '"' && s.p[i] != ']';) i++;
		*key = str_sub(s, 1, i);
		i += i < s.n;
	} else if (is_alpha(s.p[0])) {
		while (i < s.n && (is_alpha(s.p[i]) || (s.p[i] >= '0' && s.p[i] <= '9'))) i++;
		*key = str_sub(s, 0, i);
	} else {
		return refuse(expr, e, "syntax error: unexpected $end, expecting STRING or FIELD");
	}
	s = str_trim(str_from(s, i));
	if (s.n == 0) return true;
	odd[16] = s.p[0];
	if (is_alpha(s.p[0])) return refuse(expr, e, "syntax error: unexpected FIELD");
	return refuse(expr, e, s.p[0] == '"' ? "syntax error: unexpected STRING" : odd);
}
