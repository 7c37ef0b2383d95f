/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Template functions over numbers. */
#include "common/units.h"
#include "pipeline/template_funcs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool give_int(struct tval *out, int64_t v)
{
	*out = TVAL_OF_INT(v);
	return true;
}

static bool give_float(struct tval *out, double v)
{
	*out = TVAL_OF_FLOAT(v);
	return true;
}

/* ---- integers: Go's int64, which wraps around ---- */

TEMPLATE_FN(template_fn_int)
{
	(void)r, (void)argc, (void)e;
	return give_int(out, tval_to_int(&argv[0]));
}

TEMPLATE_FN(template_fn_add)
{
	uint64_t v = 0;
	(void)r, (void)e;
	for (size_t i = 0; i < argc; i++) v += (uint64_t)tval_to_int(&argv[i]);
	return give_int(out, (int64_t)v);
}

TEMPLATE_FN(template_fn_add1)
{
	(void)r, (void)argc, (void)e;
	return give_int(out, (int64_t)((uint64_t)tval_to_int(&argv[0]) + 1));
}

TEMPLATE_FN(template_fn_sub)
{
	(void)r, (void)argc, (void)e;
	return give_int(out, (int64_t)((uint64_t)tval_to_int(&argv[0]) - (uint64_t)tval_to_int(&argv[1])));
}

TEMPLATE_FN(template_fn_mul)
{
	uint64_t v = 1;
	(void)r, (void)e;
	for (size_t i = 0; i < argc; i++) v *= (uint64_t)tval_to_int(&argv[i]);
	return give_int(out, (int64_t)v);
}

TEMPLATE_FN(template_fn_div)
{
	int64_t a = tval_to_int(&argv[0]), b = tval_to_int(&argv[1]);
	(void)r, (void)argc;
	if (!b) return err_set(e, ERR_INVALID, "runtime error: integer divide by zero");
	return give_int(out, b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b);
}

TEMPLATE_FN(template_fn_mod)
{
	int64_t a = tval_to_int(&argv[0]), b = tval_to_int(&argv[1]);
	(void)r, (void)argc;
	if (!b) return err_set(e, ERR_INVALID, "runtime error: integer divide by zero");
	return give_int(out, b == -1 ? 0 : a % b);
}

TEMPLATE_FN(template_fn_max)
{
	int64_t v = tval_to_int(&argv[0]);
	(void)r, (void)e;
	for (size_t i = 1; i < argc; i++)
		if (tval_to_int(&argv[i]) > v) v = tval_to_int(&argv[i]);
	return give_int(out, v);
}

TEMPLATE_FN(template_fn_min)
{
	int64_t v = tval_to_int(&argv[0]);
	(void)r, (void)e;
	for (size_t i = 1; i < argc; i++)
		if (tval_to_int(&argv[i]) < v) v = tval_to_int(&argv[i]);
	return give_int(out, v);
}

TEMPLATE_FN(template_fn_atoi)
{
	int64_t v = 0;
	struct str s = argv[0].s;
	(void)r, (void)argc, (void)e;
	if (s.n && s.p[0] == '+') s = str_from(s, 1);
	if (!str_to_i64(s, &v)) v = 0;
	return give_int(out, v);
}

/* ---- floats ---- */

TEMPLATE_FN(template_fn_float64)
{
	(void)r, (void)argc, (void)e;
	return give_float(out, tval_to_float(&argv[0]));
}

TEMPLATE_FN(template_fn_ceil)
{
	(void)r, (void)argc, (void)e;
	return give_float(out, ceil(tval_to_float(&argv[0])));
}

TEMPLATE_FN(template_fn_floor)
{
	(void)r, (void)argc, (void)e;
	return give_float(out, floor(tval_to_float(&argv[0])));
}

/* round value places [from]: digits beyond are rounded up from `from` (.5) on. */
TEMPLATE_FN(template_fn_round)
{
	double v = tval_to_float(&argv[0]), scale = pow(10, (double)argv[1].num), on = argc > 2 ? argv[2].f : .5, whole;
	(void)r, (void)e;
	double rest = modf(scale * v, &whole);
	return give_float(out, (rest >= on ? ceil(scale * v) : floor(scale * v)) / scale);
}

TEMPLATE_FN(template_fn_maxf)
{
	double v = tval_to_float(&argv[0]);
	(void)r, (void)e;
	for (size_t i = 1; i < argc; i++) v = fmax(v, tval_to_float(&argv[i]));
	return give_float(out, v);
}

TEMPLATE_FN(template_fn_minf)
{
	double v = tval_to_float(&argv[0]);
	(void)r, (void)e;
	for (size_t i = 1; i < argc; i++) v = fmin(v, tval_to_float(&argv[i]));
	return give_float(out, v);
}

/* ---- decimals: sprig computes addf … divf in decimal, so that 0.1 + 0.2 is 0.3 ---- */

struct decimal {
	__int128 digits; /* below 10^36 */
	int exp;         /* value = digits · 10^exp */
};

#define MAX_DIGITS 36
#define DIV_PLACES 16

static __int128 power_of_ten(int n)
{
	__int128 v = 1;
	while (n-- > 0) v *= 10;
	return v;
}

static int count_digits(__int128 v)
{
	int n = 0;
	for (; v; v /= 10) n++;
	return n;
}

/* The shortest decimal that reads as v. False: too long to compute with. */
static bool to_decimal(double v, struct decimal *d)
{
	struct buf b = {0};
	buf_f64(&b, v);
	*d = (struct decimal){0};
	bool point = false, ok = b.n < MAX_DIGITS && !isinf(v) && v == v;
	for (size_t i = 0; ok && i < b.n; i++) {
		if (b.p[i] == '.') {
			point = true;
		} else if (b.p[i] != '-') {
			d->digits = d->digits * 10 + (b.p[i] - '0');
			d->exp -= point;
		}
	}
	if (b.n && b.p[0] == '-') d->digits = -d->digits;
	buf_free(&b);
	return ok;
}

static double from_decimal(const struct decimal *d)
{
	char text[80], digits[48];
	size_t n = sizeof digits;
	__int128 v = d->digits < 0 ? -d->digits : d->digits;
	digits[--n] = 0;
	do digits[--n] = (char)('0' + (int)(v % 10));
	while (v /= 10);
	snprintf(text, sizeof text, "%s%se%d", d->digits < 0 ? "-" : "", digits + n, d->exp);
	return strtod(text, NULL);
}

/* Brings both to the smaller exponent. */
static bool line_up(struct decimal *a, struct decimal *b)
{
	struct decimal *high = a->exp > b->exp ? a : b, *low = high == a ? b : a;
	int shift = high->exp - low->exp;
	if (count_digits(high->digits) + shift > MAX_DIGITS) return false;
	high->digits *= power_of_ten(shift);
	high->exp = low->exp;
	return true;
}

static bool decimal_add(struct decimal *a, struct decimal *b)
{
	if (!line_up(a, b)) return false;
	a->digits += b->digits;
	return true;
}

static bool decimal_sub(struct decimal *a, struct decimal *b)
{
	b->digits = -b->digits;
	return decimal_add(a, b);
}

static bool decimal_mul(struct decimal *a, struct decimal *b)
{
	if (count_digits(a->digits) + count_digits(b->digits) > MAX_DIGITS) return false;
	a->digits *= b->digits;
	a->exp += b->exp;
	return true;
}

/* To DIV_PLACES places, half away from zero. */
static bool decimal_div(struct decimal *a, struct decimal *b)
{
	int shift = a->exp - b->exp + DIV_PLACES;
	if (!b->digits || shift < 0 || count_digits(a->digits) + shift > MAX_DIGITS) return false;
	__int128 n = a->digits * power_of_ten(shift), q = n / b->digits, rest = n % b->digits;
	if (rest < 0) rest = -rest;
	__int128 half = b->digits < 0 ? -b->digits : b->digits;
	if (rest * 2 >= half) q += (n < 0) == (b->digits < 0) ? 1 : -1;
	*a = (struct decimal){q, -DIV_PLACES};
	return true;
}

static double plain_add(double a, double b) { return a + b; }
static double plain_sub(double a, double b) { return a - b; }
static double plain_mul(double a, double b) { return a * b; }
static double plain_div(double a, double b) { return a / b; }

/* Folds the arguments from left to right; where decimals would get too long, doubles have to do. */
static double fold(const struct tval *argv, size_t argc, bool (*exact)(struct decimal *, struct decimal *),
		   double (*plain)(double, double))
{
	double v = argc ? tval_to_float(&argv[0]) : 0;
	for (size_t i = 1; i < argc; i++) {
		struct decimal a, b;
		double w = tval_to_float(&argv[i]);
		v = to_decimal(v, &a) && to_decimal(w, &b) && exact(&a, &b) ? from_decimal(&a) : plain(v, w);
	}
	return v;
}

TEMPLATE_FN(template_fn_addf)
{
	(void)r, (void)e;
	return give_float(out, fold(argv, argc, decimal_add, plain_add));
}

TEMPLATE_FN(template_fn_subf)
{
	(void)r, (void)e;
	return give_float(out, fold(argv, argc, decimal_sub, plain_sub));
}

TEMPLATE_FN(template_fn_mulf)
{
	(void)r, (void)e;
	return give_float(out, fold(argv, argc, decimal_mul, plain_mul));
}

TEMPLATE_FN(template_fn_divf)
{
	(void)r;
	for (size_t i = 1; i < argc; i++)
		if (tval_to_float(&argv[i]) == 0) return err_set(e, ERR_INVALID, "decimal division by 0");
	return give_float(out, fold(argv, argc, decimal_div, plain_div));
}

/* ---- sizes ---- */

TEMPLATE_FN(template_fn_bytes)
{
	uint64_t n;
	(void)r, (void)argc;
	return units_bytes_human(argv[0].s, &n, e) && give_float(out, (double)n);
}
