/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/regex_emit.h"

#define NEVER "[^\\s\\S]"

static bool is_alnum(uint32_t r) { return (r >= '0' && r <= '9') || ((r | 0x20) >= 'a' && (r | 0x20) <= 'z'); }

static void emit_rune(struct buf *b, uint32_t r)
{
	if (r < 0x80 && is_alnum(r))
		buf_ch(b, (char)r);
	else if (r > ' ' && r < 0x7F)
		buf_printf(b, "\\%c", (char)r);
	else
		buf_printf(b, "\\x{%x}", r);
}

static void emit_lit(struct buf *b, const struct re_node *n, unsigned flags)
{
	size_t at = b->n;
	if (n->icase) buf_c(b, "(?i:");
	for (size_t i = 0; i < n->text.n;) {
		uint32_t r = str_rune(n->text, &i);
		if (r >= 0x80 && !(flags & EMIT_UTF)) {
			b->n = at;
			buf_c(b, NEVER);
			return;
		}
		emit_rune(b, r);
	}
	if (n->icase) buf_ch(b, ')');
}

static void emit_range(struct buf *b, uint32_t lo, uint32_t hi)
{
	emit_rune(b, lo);
	if (hi == lo) return;
	buf_ch(b, '-');
	emit_rune(b, hi);
}

/* Inside […]: surrogates are no characters, and PCRE2 refuses to name them. */
static bool emit_utf_range(struct buf *b, struct re_range r)
{
	bool some = false;
	if (r.lo < 0xD800) {
		emit_range(b, r.lo, r.hi < 0xD800 ? r.hi : 0xD7FF);
		some = true;
	}
	if (r.hi > 0xDFFF) {
		emit_range(b, r.lo > 0xDFFF ? r.lo : 0xE000, r.hi);
		some = true;
	}
	return some;
}

/* Without UTF mode PCRE2 folds ASCII only; k and s have other cases beyond it. */
static bool emit_ascii_range(struct buf *b, struct re_range r, bool icase)
{
	bool some = false;
	if (r.lo < 0x80) {
		emit_range(b, r.lo, r.hi < 0x80 ? r.hi : 0x7F);
		some = true;
	}
	if (icase && r.lo <= 0x17F && r.hi >= 0x17F) {
		buf_ch(b, 's');
		some = true;
	}
	if (icase && r.lo <= 0x212A && r.hi >= 0x212A) {
		buf_ch(b, 'k');
		some = true;
	}
	return some;
}

static void emit_class(struct buf *b, const struct re_node *n, unsigned flags)
{
	size_t at = b->n;
	bool some = n->n_prop > 0;
	if (n->icase) buf_c(b, "(?i:");
	buf_c(b, n->negate ? "[^" : "[");
	for (size_t i = 0; i < n->n_range; i++)
		some |= flags & EMIT_UTF ? emit_utf_range(b, n->range[i]) : emit_ascii_range(b, n->range[i], n->icase);
	for (size_t i = 0; i < n->n_prop; i++)
		buf_printf(b, "\\%c{%.*s}", n->prop[i].negate ? 'P' : 'p', STR_ARG(n->prop[i].name));
	buf_c(b, n->icase ? "])" : "]");
	if (!some) {
		b->n = at;
		buf_c(b, n->negate ? "." : NEVER);
	}
}

/* Is what was emitted for n one atom, to which a quantifier may be put? */
static bool is_atom(const struct re_node *n)
{
	return n->op == RE_CLASS || n->op == RE_ANY || n->op == RE_ANY_NOT_NL || n->op == RE_GROUP ||
	       (n->op == RE_LIT && !n->icase && n->text.n == 1);
}

static void emit_repeat(struct buf *b, const struct re_node *n, unsigned flags)
{
	bool atom = is_atom(n->sub[0]);
	if (!atom) buf_c(b, "(?:");
	re_emit(b, n->sub[0], flags);
	if (!atom) buf_ch(b, ')');
	if (n->max < 0 && n->min <= 1)
		buf_ch(b, n->min ? '+' : '*');
	else if (n->min == 0 && n->max == 1)
		buf_ch(b, '?');
	else if (n->max < 0)
		buf_printf(b, "{%d,}", n->min);
	else
		buf_printf(b, "{%d,%d}", n->min, n->max);
	if (n->lazy) buf_ch(b, '?');
}

static void emit_subs(struct buf *b, const struct re_node *n, unsigned flags)
{
	if (n->op == RE_GROUP)
		buf_c(b, flags & EMIT_GROUPS ? "(" : "(?:");
	else if (n->op == RE_ALT)
		buf_c(b, "(?:");
	for (size_t i = 0; i < n->n_sub; i++) {
		if (i && n->op == RE_ALT) buf_ch(b, '|');
		re_emit(b, n->sub[i], flags);
	}
	if (n->op != RE_CONCAT) buf_ch(b, ')');
}

void re_emit(struct buf *b, const struct re_node *n, unsigned flags)
{
	static const char *const plain[] = {
		[RE_NONE] = NEVER,          [RE_EMPTY] = "",          [RE_ANY] = ".",          [RE_ANY_NOT_NL] = "\\N",
		[RE_LINE_START] = "(?m:^)", [RE_LINE_END] = "(?m:$)", [RE_TEXT_START] = "\\A", [RE_TEXT_END] = "\\z",
		[RE_WORD] = "\\b",          [RE_NOT_WORD] = "\\B",
	};
	switch (n->op) {
	case RE_LIT: emit_lit(b, n, flags); break;
	case RE_CLASS: emit_class(b, n, flags); break;
	case RE_REPEAT: emit_repeat(b, n, flags); break;
	case RE_GROUP:
	case RE_CONCAT:
	case RE_ALT: emit_subs(b, n, flags); break;
	default: buf_c(b, plain[n->op]);
	}
}
