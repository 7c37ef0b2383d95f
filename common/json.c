/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/json.h"

#include <math.h>
#include <stdio.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* What the reader accepts next. */
enum state { VALUE, FIRST_ELEM, FIRST_KEY, KEY, AFTER_VALUE, FAILED };

/* ---- runs of bytes that need no attention ---- */

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* High bit set in every byte of v that is zero; bytes above a zero byte may be set wrongly. */
static inline uint64_t zero_bytes(uint64_t v) { return (v - ONES) & ~v & HIGHS; }

/* The same for bytes that end a run: quote, backslash, controls; ascii: also >= 0x80; html: also < > &. */
static inline uint64_t special_bytes(uint64_t v, bool ascii, bool html)
{
	uint64_t m = zero_bytes(v ^ ONES * '"') | zero_bytes(v ^ ONES * '\\') | ((v - ONES * 0x20) & ~v & HIGHS);
	if (ascii) m |= v & HIGHS;
	if (html) m |= zero_bytes(v ^ ONES * '<') | zero_bytes(v ^ ONES * '>') | zero_bytes(v ^ ONES * '&');
	return m;
}

static inline bool is_special(unsigned char c, bool ascii, bool html)
{
	return c < 0x20 || c == '"' || c == '\\' || (ascii && c >= 0x80) ||
	       (html && (c == '<' || c == '>' || c == '&'));
}

#ifdef __SSE2__
static inline unsigned special_mask16(__m128i v, bool ascii, bool html)
{
	__m128i m = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
	/* Unsigned v < 0x20: the saturated difference to 0x1f is zero. */
	m = _mm_or_si128(m, _mm_cmpeq_epi8(_mm_subs_epu8(v, _mm_set1_epi8(0x1f)), _mm_setzero_si128()));
	if (html) {
		m = _mm_or_si128(m, _mm_cmpeq_epi8(v, _mm_set1_epi8('<')));
		m = _mm_or_si128(m, _mm_cmpeq_epi8(v, _mm_set1_epi8('>')));
		m = _mm_or_si128(m, _mm_cmpeq_epi8(v, _mm_set1_epi8('&')));
	}
	if (ascii) m = _mm_or_si128(m, v);
	return (unsigned)_mm_movemask_epi8(m);
}
#endif

/* Length of the run at the start of p[0..n) that can be copied as it stands. */
static inline size_t plain_run(const char *p, size_t n, bool ascii, bool html)
{
	size_t i = 0;
#ifdef __SSE2__
	for (; n - i >= 16; i += 16) {
		unsigned m = special_mask16(_mm_loadu_si128((const __m128i *)(const void *)(p + i)), ascii, html);
		if (m) return i + (size_t)__builtin_ctz(m);
	}
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	for (; n - i >= 8; i += 8) {
		uint64_t v;
		memcpy(&v, p + i, 8);
		uint64_t m = special_bytes(v, ascii, html);
		if (m) return i + (size_t)__builtin_ctzll(m) / 8;
	}
#endif
	while (i < n && !is_special((unsigned char)p[i], ascii, html)) i++;
	return i;
}

/* ---- reader ---- */

void json_init(struct json *j, struct str in, struct err *e) { *j = (struct json){.in = in, .state = VALUE, .err = e}; }

static enum json_tok fail(struct json *j, size_t at, const char *what)
{
	char found[48];
	if (at >= j->in.n) {
		snprintf(found, sizeof found, "the end of the text");
	} else {
		unsigned char c = (unsigned char)j->in.p[at];
		snprintf(found, sizeof found, c > 0x20 && c < 0x7f ? "'%c'" : "byte 0x%02x", c);
	}
	err_set(j->err, ERR_INVALID, "invalid JSON at byte %zu: %s, found %s", at, what, found);
	j->err->off = (long)at;
	j->state = FAILED;
	return JSON_ERROR;
}

static bool in_object(const struct json *j)
{
	unsigned d = j->depth - 1;
	return j->stack[d / 64] >> (d % 64) & 1;
}

static enum json_tok open_nested(struct json *j, bool object)
{
	if (j->depth == JSON_DEPTH) return fail(j, j->pos, "more than 512 nested arrays and objects");
	uint64_t bit = UINT64_C(1) << (j->depth % 64);
	if (object)
		j->stack[j->depth / 64] |= bit;
	else
		j->stack[j->depth / 64] &= ~bit;
	j->depth++;
	j->pos++;
	j->state = object ? FIRST_KEY : FIRST_ELEM;
	return object ? JSON_OBJ_OPEN : JSON_ARR_OPEN;
}

static enum json_tok close_nested(struct json *j)
{
	enum json_tok t = in_object(j) ? JSON_OBJ_CLOSE : JSON_ARR_CLOSE;
	j->depth--;
	j->pos++;
	j->state = AFTER_VALUE;
	return t;
}

/* At a backslash; returns the escape's length or 0. */
static size_t escape_len(struct json *j, size_t at)
{
	if (at + 1 >= j->in.n) return 0;
	char c = j->in.p[at + 1];
	if (c != 'u') return c && strchr("\"\\/bfnrt", c) ? 2 : 0;
	if (j->in.n - at < 6) return 0;
	for (size_t i = 2; i < 6; i++)
		if (str_hex_digit((unsigned char)j->in.p[at + i]) < 0) return 0;
	return 6;
}

/* At the opening quote. Sets text and escaped, moves behind the closing quote. */
static bool read_string(struct json *j)
{
	size_t start = j->pos + 1, i = start;
	j->escaped = false;
	for (;;) {
		i += plain_run(j->in.p + i, j->in.n - i, false, false);
		if (i >= j->in.n) return fail(j, i, "expected '\"' at the end of a string"), false;
		if (j->in.p[i] == '"') break;
		if (j->in.p[i] != '\\') return fail(j, i, "a control character in a string must be escaped"), false;
		size_t n = escape_len(j, i);
		if (!n) return fail(j, i + 1, "unknown escape in a string"), false;
		j->escaped = true;
		i += n;
	}
	j->text = str_sub(j->in, start, i);
	j->pos = i + 1;
	return true;
}

static void skip_blanks(struct json *j)
{
	size_t i = j->pos;
	while (i < j->in.n && (j->in.p[i] == ' ' || j->in.p[i] == '\n' || j->in.p[i] == '\t' || j->in.p[i] == '\r'))
		i++;
	j->pos = i;
}

static size_t skip_digits(const struct json *j, size_t i)
{
	while (i < j->in.n && j->in.p[i] >= '0' && j->in.p[i] <= '9') i++;
	return i;
}

static enum json_tok read_number(struct json *j)
{
	const char *p = j->in.p;
	size_t n = j->in.n, i = j->pos, digits;
	if (p[i] == '-') i++;
	digits = i;
	i = i < n && p[i] == '0' ? i + 1 : skip_digits(j, i);
	if (i == digits) return fail(j, i, "expected a digit");
	if (i < n && p[i] == '.') {
		digits = i + 1;
		if ((i = skip_digits(j, digits)) == digits) return fail(j, i, "expected a digit");
	}
	if (i < n && (p[i] == 'e' || p[i] == 'E')) {
		digits = i + 1;
		if (digits < n && (p[digits] == '+' || p[digits] == '-')) digits++;
		if ((i = skip_digits(j, digits)) == digits) return fail(j, i, "expected a digit");
	}
	j->text = str_sub(j->in, j->pos, i);
	j->pos = i;
	j->state = AFTER_VALUE;
	return JSON_NUMBER;
}

static enum json_tok read_word(struct json *j, struct str word, enum json_tok t)
{
	if (!str_starts(str_from(j->in, j->pos), word)) return fail(j, j->pos, "expected a value");
	j->text = word;
	j->pos += word.n;
	j->state = AFTER_VALUE;
	return t;
}

static enum json_tok read_value(struct json *j, int c)
{
	switch (c) {
	case '{': return open_nested(j, true);
	case '[': return open_nested(j, false);
	case '"':
		if (!read_string(j)) return JSON_ERROR;
		j->state = AFTER_VALUE;
		return JSON_STRING;
	case 't': return read_word(j, STR("true"), JSON_TRUE);
	case 'f': return read_word(j, STR("false"), JSON_FALSE);
	case 'n': return read_word(j, STR("null"), JSON_NULL);
	default:
		if (c == '-' || (c >= '0' && c <= '9')) return read_number(j);
		return fail(j, j->pos, "expected a value");
	}
}

static enum json_tok read_key(struct json *j, int c)
{
	if (c != '"') return fail(j, j->pos, j->state == KEY ? "expected a key" : "expected a key or '}'");
	if (!read_string(j)) return JSON_ERROR;
	skip_blanks(j);
	if (j->pos >= j->in.n || j->in.p[j->pos] != ':') return fail(j, j->pos, "expected ':'");
	j->pos++;
	j->state = VALUE;
	return JSON_KEY;
}

enum json_tok json_next(struct json *j)
{
	if (j->state == FAILED) return JSON_ERROR;
	skip_blanks(j);
	int c = j->pos < j->in.n ? (unsigned char)j->in.p[j->pos] : -1;
	if (j->state == AFTER_VALUE) {
		j->tok_at = j->pos;
		if (!j->depth) return c < 0 ? JSON_END : fail(j, j->pos, "expected nothing more");
		bool object = in_object(j);
		if (c == (object ? '}' : ']')) return close_nested(j);
		if (c != ',') return fail(j, j->pos, object ? "expected ',' or '}'" : "expected ',' or ']'");
		j->pos++;
		skip_blanks(j);
		j->state = object ? KEY : VALUE;
		c = j->pos < j->in.n ? (unsigned char)j->in.p[j->pos] : -1;
	}
	j->tok_at = j->pos;
	if ((j->state == FIRST_ELEM && c == ']') || (j->state == FIRST_KEY && c == '}')) return close_nested(j);
	if (j->state == KEY || j->state == FIRST_KEY) return read_key(j, c);
	return read_value(j, c);
}

bool json_skip_rest(struct json *j, enum json_tok t)
{
	if (t == JSON_ERROR) return false;
	if (t != JSON_OBJ_OPEN && t != JSON_ARR_OPEN) return true;
	unsigned outside = j->depth - 1;
	while (j->depth > outside)
		if (json_next(j) == JSON_ERROR) return false;
	return true;
}

bool json_skip(struct json *j)
{
	enum json_tok t = json_next(j);
	if (t == JSON_ARR_CLOSE || t == JSON_OBJ_CLOSE || t == JSON_END) {
		fail(j, j->tok_at, "expected a value");
		return false;
	}
	return json_skip_rest(j, t);
}

bool json_raw(struct json *j, struct str *out)
{
	enum json_tok t = json_next(j);
	size_t at = j->tok_at;
	if (t == JSON_ARR_CLOSE || t == JSON_OBJ_CLOSE || t == JSON_END) {
		fail(j, at, "expected a value");
		return false;
	}
	if (!json_skip_rest(j, t)) return false;
	*out = str_sub(j->in, at, j->pos);
	return true;
}

static uint32_t hex4(const char *p)
{
	uint32_t v = 0;
	for (int i = 0; i < 4; i++) v = v << 4 | (uint32_t)str_hex_digit((unsigned char)p[i]);
	return v;
}

/* At a \u escape of a checked text; advances *i behind it, and behind the low half of a pair. */
static uint32_t read_u(struct str raw, size_t *i)
{
	uint32_t r = hex4(raw.p + *i + 2);
	*i += 6;
	if (r < 0xd800 || r > 0xdfff) return r;
	if (r <= 0xdbff && raw.n - *i >= 6 && raw.p[*i] == '\\' && raw.p[*i + 1] == 'u') {
		uint32_t low = hex4(raw.p + *i + 2);
		if (low >= 0xdc00 && low <= 0xdfff) {
			*i += 6;
			return 0x10000 + ((r - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return 0xfffd;
}

size_t json_unescape(struct str raw, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < raw.n;) {
		const char *slash = memchr(raw.p + i, '\\', raw.n - i);
		size_t run = slash ? (size_t)(slash - raw.p) - i : raw.n - i;
		memcpy(out + n, raw.p + i, run);
		n += run;
		i += run;
		if (!slash) break;
		char c = raw.p[i + 1];
		if (c == 'u') {
			n += str_rune_put(read_u(raw, &i), out + n);
			continue;
		}
		out[n++] = c == 'b' ? '\b' : c == 'f' ? '\f' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
		i += 2;
	}
	return n;
}

struct str json_text(struct json *j, struct buf *scratch)
{
	if (!j->escaped) return j->text;
	buf_reserve(scratch, j->text.n);
	size_t at = scratch->n;
	scratch->n += json_unescape(j->text, scratch->p + at);
	return str_of(scratch->p + at, scratch->n - at);
}

/* ---- writer ---- */

static const char hex[] = "0123456789abcdef";

static size_t put_u(char *w, unsigned v)
{
	memcpy(w, "\\u", 2);
	for (int i = 0; i < 4; i++) w[2 + i] = hex[v >> (12 - 4 * i) & 15];
	return 6;
}

/* Writes the special byte or rune at s.p[*i] to w (at most 6 bytes) and advances *i. */
static size_t put_special(char *w, struct str s, size_t *i)
{
	unsigned char c = (unsigned char)s.p[*i];
	if (c >= 0x80) {
		size_t at = *i;
		uint32_t r = str_rune(s, i);
		if ((r == 0xfffd && *i - at == 1) || r == 0x2028 || r == 0x2029) return put_u(w, r);
		memcpy(w, s.p + at, *i - at);
		return *i - at;
	}
	++*i;
	static const char shorts[128] = {
		['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	if (!shorts[c]) return put_u(w, c);
	w[0] = '\\';
	w[1] = shorts[c];
	return 2;
}

static inline void quote(struct buf *b, struct str s, bool html)
{
	/* Room for the rest as it stands, one escape and the quotes; an escape that eats it makes the buffer double. */
	enum { SLACK = 8 };
	buf_reserve(b, s.n + SLACK);
	b->p[b->n++] = '"';
	for (size_t i = 0; i < s.n;) {
		if (b->cap - b->n < s.n - i + SLACK) buf_reserve(b, s.n - i + SLACK);
		size_t run = plain_run(s.p + i, s.n - i, true, html);
		memcpy(b->p + b->n, s.p + i, run);
		b->n += run;
		i += run;
		if (i < s.n) b->n += put_special(b->p + b->n, s, &i);
	}
	buf_ch(b, '"');
}

void json_quote(struct buf *b, struct str s, bool html)
{
	if (html)
		quote(b, s, true);
	else
		quote(b, s, false);
}

void json_out_init(struct json_out *o, struct buf *b, bool html) { *o = (struct json_out){.b = b, .html = html}; }

static void item(struct json_out *o)
{
	if (o->comma) buf_ch(o->b, ',');
	o->comma = true;
}

void json_open(struct json_out *o, char c)
{
	item(o);
	buf_ch(o->b, c);
	o->comma = false;
}

void json_close(struct json_out *o, char c)
{
	buf_ch(o->b, c);
	o->comma = true;
}

void json_key(struct json_out *o, struct str k)
{
	item(o);
	json_quote(o->b, k, o->html);
	buf_ch(o->b, ':');
	o->comma = false;
}

void json_put_str(struct json_out *o, struct str s)
{
	item(o);
	json_quote(o->b, s, o->html);
}

void json_put_i64(struct json_out *o, int64_t v)
{
	item(o);
	buf_i64(o->b, v);
}

void json_put_u64(struct json_out *o, uint64_t v)
{
	item(o);
	buf_u64(o->b, v);
}

/* Shortest digits in exponent form; Go writes e-9 where C writes e-09. */
static void put_exponent_form(struct buf *b, double v)
{
	char t[40];
	int n = 0;
	for (int digits = 0; digits < 17; digits++) {
		n = snprintf(t, sizeof t, "%.*e", digits, v);
		double back;
		if (str_to_f64(str_of(t, (size_t)n), &back) && back == v) break;
	}
	if (n >= 4 && t[n - 4] == 'e' && t[n - 3] == '-' && t[n - 2] == '0') {
		t[n - 2] = t[n - 1];
		n--;
	}
	buf_add(b, t, (size_t)n);
}

void json_put_f64(struct json_out *o, double v)
{
	item(o);
	double abs = fabs(v);
	if (!isfinite(v))
		buf_c(o->b, "null");
	else if (abs != 0 && (abs < 1e-6 || abs >= 1e21))
		put_exponent_form(o->b, v);
	else
		buf_f64(o->b, v);
}

void json_put_bool(struct json_out *o, bool v)
{
	item(o);
	buf_c(o->b, v ? "true" : "false");
}

void json_put_null(struct json_out *o)
{
	item(o);
	buf_c(o->b, "null");
}

void json_put_raw(struct json_out *o, struct str text)
{
	item(o);
	buf_str(o->b, text);
}
