/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values: truth, printing as Go's fmt does, conversions as github.com/spf13/cast does. */
#include "common/units.h"
#include "pipeline/template_impl.h"

#include <math.h>
#include <stdio.h>

bool tval_true(const struct template_run *r, const struct tval *v)
{
	switch (v->kind) {
	case TVAL_STR: return v->s.n > 0;
	case TVAL_INT: return v->num != 0;
	case TVAL_FLOAT: return v->f != 0;
	case TVAL_BOOL: return v->b;
	case TVAL_TIME: return true;
	case TVAL_LIST: return v->list->n > 0;
	case TVAL_MAP: return v->map->n > 0;
	case TVAL_DATA: return r->d->all(r->d->ud, r->a).n > 0;
	case TVAL_NIL: break;
	}
	return false;
}

bool tval_empty(const struct template_run *r, const struct tval *v)
{
	return v->kind == TVAL_TIME ? false : !tval_true(r, v);
}

const char *tval_type(const struct tval *v)
{
	static const char *const names[] = {[TVAL_NIL] = "<nil>",
					    [TVAL_STR] = "string",
					    [TVAL_INT] = "int",
					    [TVAL_FLOAT] = "float64",
					    [TVAL_BOOL] = "bool",
					    [TVAL_TIME] = "time.Time",
					    [TVAL_LIST] = "[]interface {}",
					    [TVAL_MAP] = "map[string]interface {}",
					    [TVAL_DATA] = "map[string]string"};
	return names[v->kind];
}

bool tval_member(const struct template_run *r, const struct tval *v, struct str name, struct tval *out)
{
	const struct tval_map *map = v->map; /* out may be v */
	bool data = v->kind == TVAL_DATA;
	*out = TVAL_NOTHING;
	if (data) {
		if (r->d->get(r->d->ud, name, out)) return true;
		*out = r->t->funcs->missing_is_empty ? TVAL_OF_STR(STR("")) : TVAL_NOTHING;
		return false;
	}
	for (size_t lo = 0, hi = map->n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;
		int c = str_cmp(name, map->keys[mid]);
		if (c == 0) {
			*out = map->v[mid];
			return true;
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return false;
}

struct tval tval_expand(struct template_run *r, const struct tval *v)
{
	if (v->kind != TVAL_DATA) return *v;
	struct tval_map *m = ARENA_NEW(r->a, struct tval_map);
	*m = r->d->all(r->d->ud, r->a);
	return (struct tval){.kind = TVAL_MAP, .map = m};
}

size_t tval_len(struct template_run *r, const struct tval *v)
{
	struct tval x = tval_expand(r, v);
	return x.kind == TVAL_MAP ? x.map->n : x.kind == TVAL_LIST ? x.list->n : x.kind == TVAL_STR ? x.s.n : 0;
}

struct tval tval_take(struct template_run *r, struct buf *b)
{
	struct tval v = TVAL_OF_STR(arena_str(r->a, buf_view(b)));
	buf_free(b);
	return v;
}

struct tval tval_list(struct template_run *r, const struct tval *v, size_t n)
{
	struct tval_list *l = ARENA_NEW(r->a, struct tval_list);
	l->n = n;
	l->v = arena_alloc(r->a, (n + !n) * sizeof *v);
	if (n) memcpy(l->v, v, n * sizeof *v);
	return (struct tval){.kind = TVAL_LIST, .list = l};
}

/* ---- conversions ---- */

/* "12.00" is 12 to cast. */
static struct str trim_zero_decimal(struct str s)
{
	ssize_t dot = str_chr(s, '.');
	for (size_t i = (size_t)dot + 1; dot > 0 && i < s.n; i++)
		if (s.p[i] != '0') return s;
	return dot > 0 ? str_sub(s, 0, (size_t)dot) : s;
}

static int64_t clamp_to_int(double f)
{
	if (f != f) return INT64_MIN;
	return f >= 0x1p63 ? INT64_MAX : f <= -0x1p63 ? INT64_MIN : (int64_t)f;
}

/* strconv.ParseInt(s, 0, 0), without underscores. */
static int64_t str_to_int(struct str s)
{
	int64_t v = 0;
	bool minus = s.n && s.p[0] == '-';
	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) s = str_from(s, 1);
	unsigned base = 10;
	if (s.n > 1 && s.p[0] == '0') {
		int c = s.p[1] | 0x20;
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		s = str_from(s, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
	}
	if (!s.n) return 0;
	for (size_t i = 0; i < s.n; i++) {
		int c = s.p[i];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
		if (digit >= base || __builtin_mul_overflow(v, (int64_t)base, &v) ||
		    __builtin_sub_overflow(v, (int64_t)digit, &v))
			return 0;
	}
	return minus ? v : v == INT64_MIN ? 0 : -v;
}

int64_t tval_to_int(const struct tval *v)
{
	switch (v->kind) {
	case TVAL_STR: return str_to_int(trim_zero_decimal(v->s));
	case TVAL_INT: return v->num;
	case TVAL_FLOAT: return clamp_to_int(v->f);
	case TVAL_BOOL: return v->b;
	default: return 0;
	}
}

double tval_to_float(const struct tval *v)
{
	double f;
	switch (v->kind) {
	case TVAL_STR: return str_to_f64(v->s, &f) ? f : 0;
	case TVAL_INT: return (double)v->num;
	case TVAL_FLOAT: return v->f;
	case TVAL_BOOL: return v->b;
	default: return 0;
	}
}

/* ---- printing ---- */

static void print_time(struct buf *b, int64_t ns)
{
	if (ns == TVAL_ZERO_TIME) {
		buf_c(b, "0001-01-01 00:00:00 +0000 UTC");
		return;
	}
	struct units_civil c;
	units_civil(ns, &c);
	buf_printf(b, "%04lld-%02d-%02d %02d:%02d:%02d", (long long)c.year, c.mon, c.day, c.hour, c.min, c.sec);
	if (c.nsec) {
		buf_printf(b, ".%09d", c.nsec);
		while (b->p[b->n - 1] == '0') b->n--;
	}
	buf_c(b, " +0000 UTC");
}

void tval_print(struct template_run *r, struct buf *b, const struct tval *v)
{
	struct tval x = tval_expand(r, v);
	switch (x.kind) {
	case TVAL_NIL: buf_c(b, "<nil>"); break;
	case TVAL_STR: buf_str(b, x.s); break;
	case TVAL_INT: buf_i64(b, x.num); break;
	case TVAL_FLOAT: buf_f64_g(b, x.f); break;
	case TVAL_BOOL: buf_c(b, x.b ? "true" : "false"); break;
	case TVAL_TIME: print_time(b, x.num); break;
	case TVAL_LIST:
		buf_ch(b, '[');
		for (size_t i = 0; i < x.list->n; i++) {
			if (i) buf_ch(b, ' ');
			tval_print(r, b, &x.list->v[i]);
		}
		buf_ch(b, ']');
		break;
	case TVAL_MAP:
		buf_c(b, "map[");
		for (size_t i = 0; i < x.map->n; i++) {
			if (i) buf_ch(b, ' ');
			buf_str(b, x.map->keys[i]);
			buf_ch(b, ':');
			tval_print(r, b, &x.map->v[i]);
		}
		buf_ch(b, ']');
		break;
	case TVAL_DATA: break; /* expanded */
	}
}

struct str tval_to_str(struct template_run *r, const struct tval *v)
{
	struct buf b = {0};
	if (v->kind == TVAL_STR) return v->s;
	tval_print(r, &b, v);
	return tval_take(r, &b).s;
}

void tval_sprint(struct template_run *r, struct buf *b, const struct tval *v, size_t n, bool line)
{
	for (size_t i = 0; i < n; i++) {
		if (i && (line || (v[i].kind != TVAL_STR && v[i - 1].kind != TVAL_STR))) buf_ch(b, ' ');
		tval_print(r, b, &v[i]);
	}
	if (line) buf_ch(b, '\n');
}

/* ---- printf ---- */

#define MAX_WIDTH 10000

struct verb {
	bool minus, plus, sharp, space, zero, has_width, has_prec;
	int width, prec;
};

/* Fills up to the width, counted in runes. */
static void pad(struct buf *b, const struct verb *f, struct str s, bool number)
{
	int runes = 0;
	for (size_t i = 0; i < s.n; runes++) str_rune(s, &i);
	int fill = f->has_width && f->width > runes ? f->width - runes : 0;
	if (f->minus) {
		buf_str(b, s);
		for (; fill > 0; fill--) buf_ch(b, ' ');
		return;
	}
	bool zero = f->zero && number;
	if (zero && s.n && (s.p[0] == '-' || s.p[0] == '+' || s.p[0] == ' ')) {
		buf_ch(b, s.p[0]);
		s = str_from(s, 1);
	}
	for (; fill > 0; fill--) buf_ch(b, f->zero && (zero || !number) ? '0' : ' ');
	buf_str(b, s);
}

static void sign(struct buf *b, const struct verb *f, bool negative)
{
	if (negative)
		buf_ch(b, '-');
	else if (f->plus)
		buf_ch(b, '+');
	else if (f->space)
		buf_ch(b, ' ');
}

static void format_int(struct buf *out, struct verb f, int64_t v, char verb)
{
	char digits[65];
	size_t n = sizeof digits;
	struct buf b = {0};
	unsigned base = verb == 'x' || verb == 'X' ? 16 : verb == 'o' || verb == 'O' ? 8 : verb == 'b' ? 2 : 10;
	const char *set = verb == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	do digits[--n] = set[u % base];
	while (u /= base);
	sign(&b, &f, v < 0);
	if (f.sharp && base == 16) buf_c(&b, verb == 'x' ? "0x" : "0X");
	if (f.sharp && base == 2) buf_c(&b, "0b");
	if (verb == 'O') buf_c(&b, "0o");
	if (f.sharp && verb == 'o') buf_ch(&b, '0');
	for (int i = (int)(sizeof digits - n); f.has_prec && i < f.prec; i++) buf_ch(&b, '0');
	if (!(f.has_prec && f.prec == 0 && v == 0)) buf_add(&b, digits + n, sizeof digits - n);
	if (f.has_prec) f.zero = false;
	pad(out, &f, buf_view(&b), true);
	buf_free(&b);
}

static void format_float(struct buf *out, struct verb f, double v, char verb)
{
	struct buf b = {0};
	if (v != v || isinf(v)) {
		if (v == v || f.plus) sign(&b, &(struct verb){.plus = f.plus || (v > 0 && verb == 'v')}, v < 0);
		buf_c(&b, v != v ? "NaN" : "Inf");
		f.zero = false;
	} else if ((verb == 'v' || verb == 'g' || verb == 'G') && !f.has_prec) {
		sign(&b, &f, signbit(v));
		buf_f64_g(&b, fabs(v));
	} else {
		char c_format[] = {'%', '.', '*', verb == 'v' ? 'g' : verb == 'F' ? 'f' : verb, 0}, text[512];
		int prec = f.has_prec ? f.prec : 6;
		sign(&b, &f, signbit(v));
		if (prec > 100) prec = 100;
		int n = snprintf(text, sizeof text, c_format, prec, fabs(v));
		buf_add(&b, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
	}
	pad(out, &f, buf_view(&b), true);
	buf_free(&b);
}

static struct str first_runes(struct str s, int n)
{
	size_t i = 0;
	while (i < s.n && n-- > 0) str_rune(s, &i);
	return str_sub(s, 0, i);
}

static void format_str(struct buf *out, struct verb f, struct str s, char verb)
{
	struct buf b = {0};
	if (f.has_prec && (verb == 's' || verb == 'v' || verb == 'q')) s = first_runes(s, f.prec);
	if (verb == 'q') {
		if (f.sharp && str_chr(s, '`') < 0) {
			buf_ch(&b, '`');
			buf_str(&b, s);
			buf_ch(&b, '`');
		} else {
			buf_quote(&b, s);
		}
	} else if (verb == 'x' || verb == 'X') {
		for (size_t i = 0; i < s.n; i++) {
			if (f.space && i) buf_ch(&b, ' ');
			buf_printf(&b, verb == 'x' ? "%02x" : "%02X", (unsigned char)s.p[i]);
		}
	} else {
		buf_str(&b, s);
	}
	pad(out, &f, buf_view(&b), false);
	buf_free(&b);
}

static bool is_in(char c, const char *set) { return c && strchr(set, c); }

static void bad_verb(struct template_run *r, struct buf *b, const struct tval *v, struct str verb)
{
	buf_printf(b, "%%!%.*s(%s=", STR_ARG(verb), v->kind == TVAL_NIL ? "<nil>" : tval_type(v));
	if (v->kind == TVAL_NIL) b->n -= 1; /* %!d(<nil>) */
	if (v->kind != TVAL_NIL) tval_print(r, b, v);
	buf_ch(b, ')');
}

static void format_value(struct template_run *r, struct buf *b, const struct verb *f, const struct tval *v,
			 struct str verb);

static void format_members(struct template_run *r, struct buf *b, const struct verb *f, const struct tval *v,
			   struct str verb)
{
	bool map = v->kind == TVAL_MAP;
	size_t n = map ? v->map->n : v->list->n;
	buf_c(b, map ? "map[" : "[");
	for (size_t i = 0; i < n; i++) {
		if (i) buf_ch(b, ' ');
		if (map) {
			struct tval key = TVAL_OF_STR(v->map->keys[i]);
			format_value(r, b, f, &key, verb);
			buf_ch(b, ':');
		}
		format_value(r, b, f, map ? &v->map->v[i] : &v->list->v[i], verb);
	}
	buf_ch(b, ']');
}

static void format_value(struct template_run *r, struct buf *b, const struct verb *f, const struct tval *val,
			 struct str verb)
{
	struct tval v = tval_expand(r, val);
	struct buf text = {0};
	char c = verb.n == 1 ? verb.p[0] : 0;
	if (c == 'T') {
		format_str(b, *f, str_c(tval_type(val)), 's');
	} else if (v.kind == TVAL_STR && is_in(c, "svqxX")) {
		format_str(b, *f, v.s, c);
	} else if (v.kind == TVAL_INT && is_in(c, "dvbxXoO")) {
		format_int(b, *f, v.num, c == 'v' ? 'd' : c);
	} else if (v.kind == TVAL_INT && is_in(c, "cqU")) {
		uint32_t rune = v.num >= 0 && v.num <= 0x10FFFF ? (uint32_t)v.num : 0xFFFD;
		if (c == 'U')
			buf_printf(&text, "U+%04X", rune);
		else
			buf_rune(&text, rune);
		if (c == 'q') {
			buf_insert(&text, 0, "'", 1);
			buf_ch(&text, '\'');
		}
		pad(b, f, buf_view(&text), false);
	} else if (v.kind == TVAL_FLOAT && is_in(c, "veEfFgG")) {
		format_float(b, *f, v.f, c);
	} else if (v.kind == TVAL_BOOL && is_in(c, "vt")) {
		pad(b, f, v.b ? STR("true") : STR("false"), false);
	} else if (v.kind == TVAL_TIME && is_in(c, "vsq")) {
		print_time(&text, v.num);
		format_str(b, *f, buf_view(&text), c);
	} else if (v.kind == TVAL_NIL && c == 'v') {
		pad(b, f, STR("<nil>"), false);
	} else if (v.kind == TVAL_LIST || v.kind == TVAL_MAP) {
		format_members(r, b, f, &v, verb);
	} else {
		bad_verb(r, b, &v, verb);
	}
	buf_free(&text);
}

struct printf_state {
	struct str fmt;
	size_t i; /* in fmt */
	const struct tval *v;
	size_t n, arg;
	bool reordered;
};

static int take_digits(struct printf_state *p)
{
	int v = 0;
	for (; p->i < p->fmt.n && p->fmt.p[p->i] >= '0' && p->fmt.p[p->i] <= '9'; p->i++)
		if (v <= MAX_WIDTH) v = v * 10 + (p->fmt.p[p->i] - '0');
	return v > MAX_WIDTH ? MAX_WIDTH : v;
}

/* [3]: the next operand is the third. */
static bool take_index(struct printf_state *p)
{
	if (p->i >= p->fmt.n || p->fmt.p[p->i] != '[') return true;
	p->i++;
	int k = take_digits(p);
	p->reordered = true;
	if (p->i >= p->fmt.n || p->fmt.p[p->i] != ']' || k < 1 || (size_t)k > p->n) return false;
	p->i++;
	p->arg = (size_t)k - 1;
	return true;
}

/* A number or "*". */
static bool take_size(struct printf_state *p, int *size, struct buf *b, const char *bad)
{
	if (p->i >= p->fmt.n || p->fmt.p[p->i] != '*') {
		size_t from = p->i;
		*size = take_digits(p);
		return p->i > from;
	}
	p->i++;
	if (p->arg >= p->n || p->v[p->arg].kind != TVAL_INT || p->v[p->arg].num > MAX_WIDTH ||
	    p->v[p->arg].num < -MAX_WIDTH) {
		if (p->arg < p->n) p->arg++;
		buf_c(b, bad);
		return false;
	}
	*size = (int)p->v[p->arg++].num;
	return true;
}

static void take_flags(struct printf_state *p, struct verb *f)
{
	for (; p->i < p->fmt.n; p->i++) {
		switch (p->fmt.p[p->i]) {
		case '#': f->sharp = true; break;
		case '0': f->zero = true; break;
		case '+': f->plus = true; break;
		case '-': f->minus = true; break;
		case ' ': f->space = true; break;
		default: return;
		}
	}
}

static void format_one(struct template_run *r, struct buf *b, struct printf_state *p)
{
	struct verb f = {0};
	take_flags(p, &f);
	bool ok = take_index(p);
	f.has_width = take_size(p, &f.width, b, "%!(BADWIDTH)");
	if (f.width < 0) {
		f.width = -f.width;
		f.minus = true;
	}
	if (p->i < p->fmt.n && p->fmt.p[p->i] == '.') {
		p->i++;
		ok = take_index(p) && ok;
		if (!take_size(p, &f.prec, b, "%!(BADPREC)")) f.prec = 0;
		f.has_prec = f.prec >= 0;
	}
	ok = take_index(p) && ok;
	if (p->i >= p->fmt.n) {
		buf_c(b, "%!(NOVERB)");
		return;
	}
	size_t from = p->i;
	str_rune(p->fmt, &p->i);
	struct str verb = str_sub(p->fmt, from, p->i);
	if (str_eq(verb, STR("%")))
		buf_ch(b, '%');
	else if (!ok)
		buf_printf(b, "%%!%.*s(BADINDEX)", STR_ARG(verb));
	else if (p->arg >= p->n)
		buf_printf(b, "%%!%.*s(MISSING)", STR_ARG(verb));
	else
		format_value(r, b, &f, &p->v[p->arg++], verb);
}

void tval_sprintf(struct template_run *r, struct buf *b, struct str fmt, const struct tval *v, size_t n)
{
	struct printf_state p = {.fmt = fmt, .v = v, .n = n};
	while (p.i < fmt.n && b->n <= TEMPLATE_MAX_OUTPUT) {
		ssize_t percent = str_chr(str_from(fmt, p.i), '%');
		size_t to = percent < 0 ? fmt.n : p.i + (size_t)percent;
		buf_str(b, str_sub(fmt, p.i, to));
		p.i = to + 1;
		if (percent >= 0) format_one(r, b, &p);
	}
	if (p.reordered || p.arg >= n) return;
	buf_c(b, "%!(EXTRA ");
	for (size_t i = p.arg; i < n; i++) {
		if (i > p.arg) buf_c(b, ", ");
		buf_c(b, tval_type(&v[i]));
		if (v[i].kind == TVAL_NIL) continue;
		buf_ch(b, '=');
		tval_print(r, b, &v[i]);
	}
	buf_ch(b, ')');
}
