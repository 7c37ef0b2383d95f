/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/buf.h"

#include "common/unicode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *checked(void *p, size_t n)
{
	if (p) return p;
	char msg[64];
	int len = snprintf(msg, sizeof msg, "larch: out of memory (%zu bytes)\n", n);
	if (write(STDERR_FILENO, msg, (size_t)len) < 0) abort();
	abort();
}

void *mem_alloc(size_t n) { return checked(malloc(n ? n : 1), n); }
void *mem_zalloc(size_t n) { return checked(calloc(1, n ? n : 1), n); }
void *mem_realloc(void *p, size_t n) { return checked(realloc(p, n ? n : 1), n); }

char *mem_strndup(const char *s, size_t n)
{
	char *p = mem_alloc(n + 1);
	if (n) memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *mem_strdup(const char *s) { return mem_strndup(s, strlen(s)); }
struct str mem_str(struct str s) { return str_of(mem_strndup(s.p, s.n), s.n); }

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}

void buf_reserve(struct buf *b, size_t more)
{
	if (more <= b->cap - b->n) return;
	size_t want;
	if (__builtin_add_overflow(b->n, more, &want)) checked(NULL, more);
	size_t cap = b->cap ? b->cap : 64;
	while (cap < want) cap = cap <= SIZE_MAX / 2 ? cap * 2 : want;
	b->p = mem_realloc(b->p, cap);
	b->cap = cap;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0) return;
	buf_reserve(b, n);
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void buf_str(struct buf *b, struct str s) { buf_add(b, s.p, s.n); }
void buf_c(struct buf *b, const char *s) { buf_add(b, s, strlen(s)); }

void buf_ch(struct buf *b, char c)
{
	buf_reserve(b, 1);
	b->p[b->n++] = c;
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	buf_reserve(b, 64);
	int n = vsnprintf(b->p + b->n, b->cap - b->n, fmt, ap);
	if (n > 0 && (size_t)n >= b->cap - b->n) {
		buf_reserve(b, (size_t)n + 1);
		n = vsnprintf(b->p + b->n, b->cap - b->n, fmt, again);
	}
	if (n > 0) b->n += (size_t)n;
	va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
				  "25262728293031323334353637383940414243444546474849"
				  "50515253545556575859606162636465666768697071727374"
				  "75767778798081828384858687888990919293949596979899";

/* Writes v so that it ends before `end`; returns its first digit. */
static char *digits_before(char *end, uint64_t v)
{
	while (v >= 100) {
		end -= 2;
		memcpy(end, digit_pairs + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10) {
		end -= 2;
		memcpy(end, digit_pairs + v * 2, 2);
	} else {
		*--end = (char)('0' + v);
	}
	return end;
}

void buf_u64(struct buf *b, uint64_t v)
{
	char tmp[20], *end = tmp + sizeof tmp, *p = digits_before(end, v);
	buf_add(b, p, (size_t)(end - p));
}

void buf_i64(struct buf *b, int64_t v)
{
	if (v < 0) buf_ch(b, '-');
	buf_u64(b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void buf_rune(struct buf *b, uint32_t rune)
{
	buf_reserve(b, 4);
	b->n += str_rune_put(rune, b->p + b->n);
}

const char *buf_cstr(struct buf *b)
{
	buf_reserve(b, 1);
	b->p[b->n] = '\0';
	return b->p;
}

void buf_insert(struct buf *b, size_t at, const void *p, size_t n)
{
	if (n == 0) return;
	buf_reserve(b, n);
	memmove(b->p + at + n, b->p + at, b->n - at);
	memcpy(b->p + at, p, n);
	b->n += n;
}

static void put_le(struct buf *b, uint64_t v, size_t n)
{
	buf_reserve(b, n);
	for (size_t i = 0; i < n; i++, v >>= 8) b->p[b->n++] = (char)(v & 0xff);
}

void buf_u8(struct buf *b, uint8_t v) { buf_ch(b, (char)v); }
void buf_le32(struct buf *b, uint32_t v) { put_le(b, v, 4); }
void buf_le64(struct buf *b, uint64_t v) { put_le(b, v, 8); }

void buf_varint(struct buf *b, uint64_t v)
{
	buf_reserve(b, 10);
	char *p = b->p + b->n;
	for (; v >= 0x80; v >>= 7) *p++ = (char)(v | 0x80);
	*p++ = (char)v;
	b->n = (size_t)(p - b->p);
}

void buf_zigzag(struct buf *b, int64_t v) { buf_varint(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0)); }

void buf_lpstr(struct buf *b, struct str s)
{
	buf_varint(b, s.n);
	buf_str(b, s);
}

static bool get_le(struct str *s, uint64_t *v, size_t n)
{
	if (s->n < n) return false;
	*v = 0;
	for (size_t i = 0; i < n; i++) *v |= (uint64_t)(unsigned char)s->p[i] << 8 * i;
	*s = str_from(*s, n);
	return true;
}

bool rd_u8(struct str *s, uint8_t *v)
{
	uint64_t w;
	if (!get_le(s, &w, 1)) return false;
	*v = (uint8_t)w;
	return true;
}

bool rd_le32(struct str *s, uint32_t *v)
{
	uint64_t w;
	if (!get_le(s, &w, 4)) return false;
	*v = (uint32_t)w;
	return true;
}

bool rd_le64(struct str *s, uint64_t *v) { return get_le(s, v, 8); }

bool rd_varint(struct str *s, uint64_t *v)
{
	uint64_t r = 0;
	for (size_t i = 0; i < s->n && i < 10; i++) {
		uint64_t c = (unsigned char)s->p[i];
		if (i == 9 && c > 1) return false;
		r |= (c & 0x7f) << 7 * i;
		if (c < 0x80) {
			*v = r;
			*s = str_from(*s, i + 1);
			return true;
		}
	}
	return false;
}

bool rd_zigzag(struct str *s, int64_t *v)
{
	uint64_t w;
	if (!rd_varint(s, &w)) return false;
	*v = (int64_t)(w >> 1 ^ -(w & 1));
	return true;
}

bool rd_bytes(struct str *s, size_t n, struct str *v)
{
	if (s->n < n) return false;
	*v = str_of(s->p, n);
	*s = str_from(*s, n);
	return true;
}

bool rd_lpstr(struct str *s, struct str *v)
{
	struct str at = *s;
	uint64_t n;
	if (!rd_varint(&at, &n) || n > at.n) return false;
	*s = at;
	return rd_bytes(s, (size_t)n, v);
}

/* ---- Go string literals ---- */

static const char escapes[][2] = {{'a', '\a'}, {'b', '\b'}, {'f', '\f'},  {'n', '\n'}, {'r', '\r'},
				  {'t', '\t'}, {'v', '\v'}, {'\\', '\\'}, {'"', '"'}};
enum { ESCAPES = sizeof escapes / sizeof escapes[0] };

static void put_escaped(struct buf *b, uint32_t rune)
{
	for (size_t k = 0; k < ESCAPES; k++) {
		if ((uint32_t)escapes[k][1] != rune) continue;
		buf_ch(b, '\\');
		buf_ch(b, escapes[k][0]);
		return;
	}
	buf_printf(b, rune < 0x80 ? "\\x%02x" : rune < 0x10000 ? "\\u%04x" : "\\U%08x", rune);
}

void buf_quote(struct buf *b, struct str s)
{
	buf_reserve(b, s.n + 2);
	buf_ch(b, '"');
	for (size_t i = 0; i < s.n;) {
		size_t at = i;
		uint32_t rune = str_rune(s, &i);
		if (rune == 0xfffd && i - at == 1)
			buf_printf(b, "\\x%02x", (unsigned char)s.p[at]);
		else if (rune == '"' || rune == '\\' || !unicode_is_print(rune))
			put_escaped(b, rune);
		else
			buf_add(b, s.p + at, i - at);
	}
	buf_ch(b, '"');
}

/* Reads `n` digits of base 8 or 16 at s.p[*i]. */
static bool read_digits(struct str s, size_t *i, size_t n, unsigned base, uint32_t *v)
{
	*v = 0;
	if (s.n - *i < n) return false;
	for (; n; n--, (*i)++) {
		char c = s.p[*i];
		unsigned d = (unsigned)str_hex_digit((unsigned char)c); /* none: above every base */
		if (d >= base) return false;
		*v = *v * base + d;
	}
	return true;
}

/* s.p[*i] follows a backslash. */
static bool unescape(struct buf *b, struct str s, size_t *i)
{
	uint32_t v;
	char c = s.p[*i];
	if (c >= '0' && c <= '7') {
		if (!read_digits(s, i, 3, 8, &v) || v > 255) return false;
		buf_ch(b, (char)v);
		return true;
	}
	(*i)++;
	for (size_t k = 0; k < ESCAPES; k++) {
		if (escapes[k][0] != c) continue;
		buf_ch(b, escapes[k][1]);
		return true;
	}
	size_t n = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
	if (n == 0 || !read_digits(s, i, n, 16, &v)) return false;
	if (n == 2) {
		buf_ch(b, (char)v);
		return true;
	}
	if (v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff)) return false;
	buf_rune(b, v);
	return true;
}

static bool unquote_raw(struct buf *b, struct str s)
{
	if (str_chr(s, '`') >= 0) return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r') buf_ch(b, s.p[i]);
	return true;
}

static bool unquote(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n;) {
		if (s.p[i] == '"' || s.p[i] == '\n') return false;
		if (s.p[i] == '\\') {
			if (++i == s.n || !unescape(b, s, &i)) return false;
			continue;
		}
		buf_rune(b, str_rune(s, &i));
	}
	return true;
}

bool buf_unquote(struct buf *b, struct str literal)
{
	if (literal.n < 2 || literal.p[0] != literal.p[literal.n - 1]) return false;
	size_t keep = b->n;
	struct str inner = str_sub(literal, 1, literal.n - 1);
	bool ok = literal.p[0] == '`' ? unquote_raw(b, inner) : literal.p[0] == '"' && unquote(b, inner);
	if (!ok) b->n = keep;
	return ok;
}

/* ---- floats: the fewest digits that read back as the same double ---- */

struct decimal {
	char d[20]; /* digits, the first and the last not '0'; one '0' for zero */
	int n;
	int point; /* the decimal point stands before d[point]; may lie outside */
};

static void set_digits(struct decimal *o, uint64_t v, int exp10)
{
	char *end = o->d + sizeof o->d, *p = digits_before(end, v);
	o->n = (int)(end - p);
	memmove(o->d, p, (size_t)o->n);
	o->point = o->n + exp10;
	while (o->n > 1 && o->d[o->n - 1] == '0') o->n--;
}

/* Any decimal of at most 15 digits that reads back is the shortest (DBL_DIG). m and 10^k are exact, so the
 * division gives the double nearest to that decimal. */
static bool few_digits(double v, struct decimal *o)
{
	static const double pow10[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
	for (int k = 0; k < 10; k++) {
		double m = nearbyint(v * pow10[k]);
		if (m >= 1e15) return false;
		if (m > 0 && m / pow10[k] == v) {
			set_digits(o, (uint64_t)m, -k);
			return true;
		}
	}
	return false;
}

static bool reads_back(uint64_t digits, int exp10, double v)
{
	char tmp[40];
	snprintf(tmp, sizeof tmp, "%llue%d", (unsigned long long)digits, exp10);
	return strtod(tmp, NULL) == v;
}

/* v is finite and positive. */
static void shortest(double v, struct decimal *o)
{
	if (few_digits(v, o)) return;
	int from = v < 0x1p-1022 ? 1 : 15; /* subnormals have fewer than 15 significant digits */
	int exp2;
	bool power_of_2 = frexp(v, &exp2) == 0.5;
	for (int prec = from; prec <= 17; prec++) {
		char tmp[40];
		snprintf(tmp, sizeof tmp, "%.*e", prec - 1, v);
		uint64_t digits = 0;
		char *p = tmp;
		for (; *p != 'e'; p++)
			if (*p != '.') digits = digits * 10 + (uint64_t)(*p - '0');
		int exp10 = (int)strtol(p + 1, NULL, 10) - (prec - 1);
		/* Below a power of two doubles lie twice as close as above: the nearest decimal may read back as
		 * the lower neighbour when the next one up does not. */
		if (power_of_2 && !reads_back(digits, exp10, v) && reads_back(digits + 1, exp10, v)) digits++;
		if (prec < 17 && !reads_back(digits, exp10, v)) continue;
		set_digits(o, digits, exp10);
		return;
	}
}

/* NaN, the infinities and zero, and the sign: false when nothing is left to print. */
static bool begin_f64(struct buf *b, double *v)
{
	if (isnan(*v)) {
		buf_c(b, "NaN");
		return false;
	}
	if (isinf(*v)) {
		buf_c(b, *v > 0 ? "+Inf" : "-Inf");
		return false;
	}
	if (signbit(*v)) buf_ch(b, '-');
	*v = fabs(*v);
	if (*v == 0) buf_ch(b, '0');
	return *v != 0;
}

static void put_chars(struct buf *b, char c, int n)
{
	for (; n > 0; n--) buf_ch(b, c);
}

static void put_fixed(struct buf *b, const struct decimal *o)
{
	int whole = o->point < 0 ? 0 : o->point < o->n ? o->point : o->n;
	buf_add(b, o->d, (size_t)whole);
	put_chars(b, '0', whole == 0 ? 1 : o->point - o->n);
	if (o->point >= o->n) return;
	buf_ch(b, '.');
	put_chars(b, '0', -o->point);
	buf_add(b, o->d + whole, (size_t)(o->n - whole));
}

void buf_f64(struct buf *b, double v)
{
	struct decimal o;
	if (!begin_f64(b, &v)) return;
	shortest(v, &o);
	put_fixed(b, &o);
}

void buf_f64_g(struct buf *b, double v)
{
	struct decimal o;
	if (!begin_f64(b, &v)) return;
	shortest(v, &o);
	int exp10 = o.point - 1;
	if (exp10 >= -4 && exp10 < 6) {
		put_fixed(b, &o);
		return;
	}
	buf_ch(b, o.d[0]);
	if (o.n > 1) {
		buf_ch(b, '.');
		buf_add(b, o.d + 1, (size_t)(o.n - 1));
	}
	buf_printf(b, "e%c%02d", exp10 < 0 ? '-' : '+', abs(exp10));
}
