/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Template functions over strings. */
#include "common/base64.h"
#include "common/regex.h"
#include "common/url.h"
#include "pipeline/template_funcs.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <wctype.h>

static bool give(struct tval *out, struct str s)
{
	*out = TVAL_OF_STR(s);
	return true;
}

static bool give_buf(struct template_run *r, struct buf *b, struct tval *out)
{
	*out = tval_take(r, b);
	return true;
}

static bool too_large(struct err *e)
{
	return err_set(e, ERR_INVALID, "result too large (limit %d bytes)", TEMPLATE_MAX_OUTPUT);
}

/* ---- runes ---- */

static locale_t utf8; /* C.UTF-8; 0 where the system lacks it, and then only ASCII has cases */

static void make_utf8(void) { utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0); }

static locale_t utf8_locale(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_utf8);
	return utf8;
}

static uint32_t rune_lower(uint32_t c)
{
	if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
	return utf8_locale() ? (uint32_t)towlower_l((wint_t)c, utf8) : c;
}

static uint32_t rune_upper(uint32_t c)
{
	if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
	return utf8_locale() ? (uint32_t)towupper_l((wint_t)c, utf8) : c;
}

/* unicode.IsSpace */
static bool rune_is_space(uint32_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* ---- case ---- */

static bool map_runes(struct template_run *r, struct str s, uint32_t (*fn)(uint32_t), struct tval *out)
{
	char *ascii = arena_alloc(r->a, s.n + 1);
	size_t n = 0;
	for (; n < s.n && (signed char)s.p[n] >= 0; n++) ascii[n] = (char)fn((unsigned char)s.p[n]);
	if (n == s.n) return give(out, str_of(ascii, n));
	struct buf b = {0};
	for (size_t i = 0; i < s.n;) buf_rune(&b, fn(str_rune(s, &i)));
	return give_buf(r, &b, out);
}

TEMPLATE_FN(template_fn_lower)
{
	(void)argc, (void)e;
	return map_runes(r, argv[0].s, rune_lower, out);
}

TEMPLATE_FN(template_fn_upper)
{
	(void)argc, (void)e;
	return map_runes(r, argv[0].s, rune_upper, out);
}

/* Go's strings.Title: the first letter of every word; among ASCII, letters, digits and _ do not end
 * one, elsewhere all but blanks. */
TEMPLATE_FN(template_fn_title)
{
	struct str s = argv[0].s;
	struct buf b = {0};
	uint32_t before = ' ';
	(void)argc, (void)e;
	for (size_t i = 0; i < s.n;) {
		uint32_t c = str_rune(s, &i);
		bool starts = before < 0x80 ? !((before >= '0' && before <= '9') || (before >= 'a' && before <= 'z') ||
						(before >= 'A' && before <= 'Z') || before == '_')
					    : rune_is_space(before);
		buf_rune(&b, starts ? rune_upper(c) : c);
		before = c;
	}
	return give_buf(r, &b, out);
}

/* ---- trimming ---- */

enum { LEFT = 1, RIGHT = 2 };

static bool in_set(struct str set, uint32_t c)
{
	for (size_t i = 0; i < set.n;)
		if (str_rune(set, &i) == c) return true;
	return false;
}

static struct str trim_set(struct str s, struct str set, unsigned sides)
{
	size_t from = 0, to = 0;
	if (sides & LEFT) {
		for (size_t i = 0; i < s.n && in_set(set, str_rune(s, &i));) from = i;
		s = str_from(s, from);
	}
	if (!(sides & RIGHT)) return s;
	for (size_t i = 0; i < s.n;)
		if (!in_set(set, str_rune(s, &i))) to = i;
	return str_sub(s, 0, to);
}

static struct str trim_space(struct str s)
{
	size_t from = 0, to = 0;
	for (size_t i = 0; i < s.n && rune_is_space(str_rune(s, &i));) from = i;
	s = str_from(s, from);
	for (size_t i = 0; i < s.n;)
		if (!rune_is_space(str_rune(s, &i))) to = i;
	return str_sub(s, 0, to);
}

static struct str cut_prefix(struct str s, struct str prefix)
{
	return str_starts(s, prefix) ? str_from(s, prefix.n) : s;
}

static struct str cut_suffix(struct str s, struct str suffix)
{
	return str_ends(s, suffix) ? str_sub(s, 0, s.n - suffix.n) : s;
}

/* One-line functions of strings: fewer words than a function head each. */
#define TEXT_FN(name, result)                                                                                          \
	TEMPLATE_FN(name)                                                                                              \
	{                                                                                                              \
		(void)r, (void)argv, (void)argc, (void)e;                                                              \
		return give(out, (result));                                                                            \
	}
TEXT_FN(template_fn_trim, trim_space(argv[0].s))
TEXT_FN(template_fn_go_trim, trim_set(argv[0].s, argv[1].s, LEFT | RIGHT))
TEXT_FN(template_fn_go_trim_left, trim_set(argv[0].s, argv[1].s, LEFT))
TEXT_FN(template_fn_go_trim_right, trim_set(argv[0].s, argv[1].s, RIGHT))
TEXT_FN(template_fn_trim_all, trim_set(argv[1].s, argv[0].s, LEFT | RIGHT))
TEXT_FN(template_fn_go_trim_prefix, cut_prefix(argv[0].s, argv[1].s))
TEXT_FN(template_fn_go_trim_suffix, cut_suffix(argv[0].s, argv[1].s))
TEXT_FN(template_fn_trim_prefix, cut_prefix(argv[1].s, argv[0].s))
TEXT_FN(template_fn_trim_suffix, cut_suffix(argv[1].s, argv[0].s))
TEXT_FN(template_fn_to_string, tval_to_str(r, &argv[0]))
TEXT_FN(template_fn_line, r->d->line)

#define TEST_FN(name, result)                                                                                          \
	TEMPLATE_FN(name)                                                                                              \
	{                                                                                                              \
		(void)r, (void)argv, (void)argc, (void)e;                                                              \
		*out = TVAL_OF_BOOL(result);                                                                           \
		return true;                                                                                           \
	}
TEST_FN(template_fn_contains, str_find(argv[1].s, argv[0].s) >= 0)
TEST_FN(template_fn_has_prefix, str_starts(argv[1].s, argv[0].s))
TEST_FN(template_fn_has_suffix, str_ends(argv[1].s, argv[0].s))

/* ---- cutting and filling ---- */

TEMPLATE_FN(template_fn_trunc)
{
	struct str s = argv[1].s;
	int64_t n = argv[0].num;
	(void)r, (void)argc, (void)e;
	if (n < 0 && (uint64_t)-n < s.n) s = str_from(s, s.n - (size_t)-n);
	if (n >= 0 && (uint64_t)n < s.n) s = str_sub(s, 0, (size_t)n);
	return give(out, s);
}

TEMPLATE_FN(template_fn_substr)
{
	struct str s = argv[2].s;
	int64_t from = argv[0].num, to = argv[1].num, n = (int64_t)s.n;
	(void)r, (void)argc;
	if (from < 0)
		from = 0;
	else if (to < 0 || to > n)
		to = n;
	if (to < 0 || to > n || from > to)
		return err_set(e, ERR_INVALID, "runtime error: slice bounds out of range [%lld:%lld] with length %lld",
			       (long long)from, (long long)to, (long long)n);
	return give(out, str_sub(s, (size_t)from, (size_t)to));
}

static size_t count_runes(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; n++) str_rune(s, &i);
	return n;
}

/* Brings s to a width in runes: cut at the far side, or filled with blanks. */
static bool align(struct template_run *r, int64_t width, struct str s, bool left, struct tval *out, struct err *e)
{
	struct buf b = {0};
	size_t n = count_runes(s), cut = 0, want = width < 0 ? n : (size_t)width;
	if (width > TEMPLATE_MAX_OUTPUT) return too_large(e);
	if (n > want) {
		for (size_t k = left ? want : n - want; k; k--) str_rune(s, &cut);
		return give(out, left ? str_sub(s, 0, cut) : str_from(s, cut));
	}
	if (left) buf_str(&b, s);
	for (; n < want; n++) buf_ch(&b, ' ');
	if (!left) buf_str(&b, s);
	return give_buf(r, &b, out);
}

TEMPLATE_FN(template_fn_align_left)
{
	(void)argc;
	return align(r, argv[0].num, argv[1].s, true, out, e);
}

TEMPLATE_FN(template_fn_align_right)
{
	(void)argc;
	return align(r, argv[0].num, argv[1].s, false, out, e);
}

static bool indent(struct template_run *r, int64_t n, struct str s, const char *before, struct tval *out, struct err *e)
{
	struct buf b = {0};
	size_t lines = 1;
	for (size_t i = 0; i < s.n; i++) lines += s.p[i] == '\n';
	if (n < 0) return err_set(e, ERR_INVALID, "strings: negative Repeat count");
	if (n > TEMPLATE_MAX_OUTPUT || (size_t)n * lines > TEMPLATE_MAX_OUTPUT) return too_large(e);
	buf_c(&b, before);
	for (size_t i = 0; i <= s.n; i++) {
		if (i == 0 || s.p[i - 1] == '\n')
			for (int64_t k = 0; k < n; k++) buf_ch(&b, ' ');
		if (i < s.n) buf_ch(&b, s.p[i]);
	}
	return give_buf(r, &b, out);
}

TEMPLATE_FN(template_fn_indent)
{
	(void)argc;
	return indent(r, argv[0].num, argv[1].s, "", out, e);
}

TEMPLATE_FN(template_fn_nindent)
{
	(void)argc;
	return indent(r, argv[0].num, argv[1].s, "\n", out, e);
}

TEMPLATE_FN(template_fn_repeat)
{
	struct buf b = {0};
	int64_t n = argv[0].num;
	struct str s = argv[1].s;
	(void)argc;
	if (n < 0) return err_set(e, ERR_INVALID, "strings: negative Repeat count");
	if (s.n && (uint64_t)n > TEMPLATE_MAX_OUTPUT / s.n) return too_large(e);
	for (; s.n && n > 0; n--) buf_str(&b, s);
	return give_buf(r, &b, out);
}

/* Go's strings.Replace: an empty `from` is found before every rune and at the end. */
static bool replace(struct template_run *r, struct str s, struct str from, struct str to, int64_t times,
		    struct tval *out, struct err *e)
{
	struct buf b = {0};
	size_t i = 0;
	while (times != 0 && i <= s.n && b.n <= TEMPLATE_MAX_OUTPUT) {
		ssize_t at = str_find(str_from(s, i), from);
		if (at < 0) break;
		buf_str(&b, str_sub(s, i, i + (size_t)at));
		buf_str(&b, to);
		i += (size_t)at + from.n;
		times -= times > 0;
		if (from.n) continue;
		size_t next = i;
		if (i == s.n) break;
		str_rune(s, &next);
		buf_str(&b, str_sub(s, i, next));
		i = next;
	}
	buf_str(&b, str_from(s, i));
	if (b.n <= TEMPLATE_MAX_OUTPUT) return give_buf(r, &b, out);
	buf_free(&b);
	return too_large(e);
}

TEMPLATE_FN(template_fn_go_replace)
{
	(void)argc;
	return replace(r, argv[0].s, argv[1].s, argv[2].s, argv[3].num, out, e);
}

TEMPLATE_FN(template_fn_replace)
{
	(void)argc;
	return replace(r, argv[2].s, argv[0].s, argv[1].s, -1, out, e);
}

TEMPLATE_FN(template_fn_nospace)
{
	struct buf b = {0};
	(void)argc, (void)e;
	for (size_t i = 0, from = 0; i < argv[0].s.n; from = i)
		if (!rune_is_space(str_rune(argv[0].s, &i))) buf_str(&b, str_sub(argv[0].s, from, i));
	return give_buf(r, &b, out);
}

/* The arguments that are not nil, joined by blanks, each through `one`. */
static bool join_all(struct template_run *r, const struct tval *argv, size_t argc,
		     void (*one)(struct buf *b, struct str s), struct tval *out)
{
	struct buf b = {0};
	for (size_t i = 0, n = 0; i < argc; i++) {
		if (argv[i].kind == TVAL_NIL) continue;
		if (n++) buf_ch(&b, ' ');
		one(&b, tval_to_str(r, &argv[i]));
	}
	return give_buf(r, &b, out);
}

static void single_quote(struct buf *b, struct str s)
{
	buf_ch(b, '\'');
	buf_str(b, s);
	buf_ch(b, '\'');
}

TEMPLATE_FN(template_fn_cat)
{
	(void)e;
	return join_all(r, argv, argc, buf_str, out);
}

TEMPLATE_FN(template_fn_quote)
{
	(void)e;
	return join_all(r, argv, argc, buf_quote, out);
}

TEMPLATE_FN(template_fn_squote)
{
	(void)e;
	return join_all(r, argv, argc, single_quote, out);
}

TEMPLATE_FN(template_fn_env)
{
	(void)argc, (void)e;
	const char *v = getenv(arena_cstr(r->a, argv[0].s));
	return give(out, v ? arena_str(r->a, str_c(v)) : STR(""));
}

/* ---- encodings ---- */

TEMPLATE_FN(template_fn_b64enc)
{
	struct buf b = {0};
	(void)argc, (void)e;
	base64_encode(&b, argv[0].s);
	return give_buf(r, &b, out);
}

/* Text that is no base64 gives Go's message as the result, as sprig does. */
TEMPLATE_FN(template_fn_b64dec)
{
	struct buf b = {0};
	size_t bad;
	(void)argc, (void)e;
	if (!base64_decode(&b, argv[0].s, &bad)) buf_printf(&b, "illegal base64 data at input byte %zu", bad);
	return give_buf(r, &b, out);
}

TEMPLATE_FN(template_fn_url_encode)
{
	struct buf b = {0};
	(void)argc, (void)e;
	url_encode(&b, argv[0].s, true);
	return give_buf(r, &b, out);
}

TEMPLATE_FN(template_fn_url_decode)
{
	struct str s;
	(void)argc;
	return url_decode(r->a, argv[0].s, true, &s, e) && give(out, s);
}

/* ---- regular expressions ---- */

static bool regex_replacement(struct template_run *r, const struct tval *argv, bool literal, struct tval *out,
			      struct err *e)
{
	struct buf b = {0};
	struct regex *re = template_regex_get(r, argv[0].s, e);
	if (!re) return false;
	regex_replace(re, argv[1].s, argv[2].s, literal, &b);
	regex_free(re);
	return give_buf(r, &b, out);
}

TEMPLATE_FN(template_fn_regex_replace)
{
	(void)argc;
	return regex_replacement(r, argv, false, out, e);
}

TEMPLATE_FN(template_fn_regex_replace_literal)
{
	(void)argc;
	return regex_replacement(r, argv, true, out, e);
}

/* The next match at or behind *at, as Go counts them: an empty one right behind the previous match is none. */
static bool next_match(const struct regex *re, struct str s, size_t *at, ssize_t *last_end, struct regex_span *m)
{
	while (*at <= s.n && regex_exec(re, s, *at, m, 1)) {
		bool empty = m->to == m->from, counts = !empty || m->from != *last_end;
		*at = (size_t)m->to;
		if (empty) {
			size_t next = *at;
			if (next < s.n)
				str_rune(s, &next);
			else
				next++;
			*at = next;
		}
		*last_end = m->to;
		if (counts) return true;
	}
	return false;
}

TEMPLATE_FN(template_fn_count)
{
	struct regex *re = template_regex_get(r, argv[0].s, e);
	struct regex_span m;
	size_t at = 0;
	ssize_t last_end = -1;
	int64_t n = 0;
	(void)argc;
	if (!re) return false;
	while (next_match(re, argv[1].s, &at, &last_end, &m)) n++;
	regex_free(re);
	*out = TVAL_OF_INT(n);
	return true;
}

/* sprig's short forms panic on a bad expression, which the run reports as an error of the call. */
TEMPLATE_FN(template_fn_regex_match)
{
	struct regex *re = template_regex_get(r, argv[0].s, e);
	(void)argc;
	if (!re) return false;
	*out = TVAL_OF_BOOL(regex_match(re, argv[1].s));
	regex_free(re);
	return true;
}

TEMPLATE_FN(template_fn_regex_find)
{
	struct regex *re = template_regex_get(r, argv[0].s, e);
	struct regex_span m;
	(void)argc;
	if (!re) return false;
	bool found = regex_exec(re, argv[1].s, 0, &m, 1);
	regex_free(re);
	return give(out, found ? str_sub(argv[1].s, (size_t)m.from, (size_t)m.to) : STR(""));
}

/* Go's Regexp.Split. */
TEMPLATE_FN(template_fn_regex_split)
{
	struct regex *re = template_regex_get(r, argv[0].s, e);
	struct str s = argv[1].s;
	int64_t limit = argv[2].num;
	struct tval *parts = NULL;
	size_t n = 0, cap = 0, at = 0, from = 0, end = 0;
	ssize_t last_end = -1;
	struct regex_span m;
	(void)argc;
	if (!re) return false;
	bool whole = regex_source(re).n && !s.n;
	while (limit && !whole && (limit < 0 || (int64_t)n < limit - 1) && next_match(re, s, &at, &last_end, &m)) {
		end = (size_t)m.from;
		if (m.to) *ARENA_PUSH(r->a, parts, n, cap) = TVAL_OF_STR(str_sub(s, from, end));
		from = (size_t)m.to;
	}
	if (limit && (whole || end != s.n)) *ARENA_PUSH(r->a, parts, n, cap) = TVAL_OF_STR(str_from(s, from));
	regex_free(re);
	*out = tval_list(r, parts, n);
	return true;
}
