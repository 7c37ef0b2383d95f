/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/units.h"

#include <math.h>
#include <stdlib.h>

static inline bool digit(char c) { return c >= '0' && c <= '9'; }

/* Error text with the offending input quoted behind `what`. */
static bool refuse(struct err *e, const char *what, struct str s)
{
	struct buf q = {0};
	buf_quote(&q, s);
	err_set(e, ERR_INVALID, "%s%s", what, buf_cstr(&q));
	buf_free(&q);
	return false;
}

/* ---- durations ---- */

struct unit {
	const char *name;
	uint64_t ns;
};

static const struct unit go_units[] = {
	{"ns", 1},        {"us", UNITS_US}, {"µs", UNITS_US}, /* U+00B5, micro sign */
	{"μs", UNITS_US},                                     /* U+03BC, Greek mu */
	{"ms", UNITS_MS}, {"s", UNITS_SEC}, {"m", UNITS_MIN}, {"h", UNITS_HOUR},
};

/* In the order in which a duration must have them. */
static const struct unit prom_units[] = {
	{"y", 365 * UNITS_DAY}, {"w", 7 * UNITS_DAY}, {"d", UNITS_DAY}, {"h", UNITS_HOUR},
	{"m", UNITS_MIN},       {"s", UNITS_SEC},     {"ms", UNITS_MS},
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static size_t find_unit(const struct unit *units, size_t n, struct str name)
{
	size_t i = 0;
	while (i < n && !str_eqc(name, units[i].name)) i++;
	return i;
}

static bool unknown_unit(struct err *e, const char *prefix, struct str unit, struct str whole)
{
	struct buf q = {0};
	buf_c(&q, prefix);
	buf_quote(&q, unit);
	buf_c(&q, " in duration ");
	buf_quote(&q, whole);
	err_set(e, ERR_INVALID, "%s", buf_cstr(&q));
	buf_free(&q);
	return false;
}

/* Digits at s.p[*i]; false when the value exceeds 2^63. */
static bool leading_int(struct str s, size_t *i, uint64_t *v)
{
	const uint64_t max = UINT64_C(1) << 63;
	for (*v = 0; *i < s.n && digit(s.p[*i]); (*i)++) {
		if (*v > max / 10) return false;
		*v = *v * 10 + (uint64_t)(s.p[*i] - '0');
		if (*v > max) return false;
	}
	return true;
}

/* Digits behind the point; those beyond an int64 are read and dropped, as Go does. */
static uint64_t leading_fraction(struct str s, size_t *i, double *scale)
{
	uint64_t v = 0;
	*scale = 1;
	for (bool full = false; *i < s.n && digit(s.p[*i]); (*i)++) {
		full = full || v > (INT64_MAX - 9) / 10;
		if (full) continue;
		v = v * 10 + (uint64_t)(s.p[*i] - '0');
		*scale *= 10;
	}
	return v;
}

/* One number with its unit at s.p[*i]. *unit is empty when it is missing. */
static bool go_part(struct str s, size_t *i, uint64_t *ns, struct str *unit, size_t *u)
{
	const uint64_t max = UINT64_C(1) << 63;
	size_t from = *i;
	uint64_t whole, fraction = 0;
	double scale = 1;
	if (!leading_int(s, i, &whole)) return false;
	size_t digits = *i - from;
	if (*i < s.n && s.p[*i] == '.') {
		from = ++*i;
		fraction = leading_fraction(s, i, &scale);
		digits += *i - from;
	}
	if (digits == 0) return false;
	from = *i;
	while (*i < s.n && s.p[*i] != '.' && !digit(s.p[*i])) (*i)++;
	*unit = str_sub(s, from, *i);
	*u = find_unit(go_units, COUNT(go_units), *unit);
	if (*u == COUNT(go_units)) return true;
	uint64_t size = go_units[*u].ns;
	if (whole > max / size) return false;
	*ns = whole * size + (uint64_t)((double)fraction * ((double)size / scale));
	return *ns <= max;
}

bool units_dur_go(struct str s, int64_t *ns, struct err *e)
{
	size_t i = 0;
	uint64_t sum = 0;
	bool neg = s.n && s.p[0] == '-';
	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) i++;
	if (str_eq(str_from(s, i), STR("0"))) {
		*ns = 0;
		return true;
	}
	if (i == s.n) return refuse(e, "time: invalid duration ", s);
	while (i < s.n) {
		uint64_t part = 0;
		struct str unit;
		size_t u;
		if (!go_part(s, &i, &part, &unit, &u)) return refuse(e, "time: invalid duration ", s);
		if (unit.n == 0) return refuse(e, "time: missing unit in duration ", s);
		if (u == COUNT(go_units)) return unknown_unit(e, "time: unknown unit ", unit, s);
		sum += part; /* both at most 2^63 */
		if (sum > UINT64_C(1) << 63 || part > sum) return refuse(e, "time: invalid duration ", s);
	}
	if (sum > (uint64_t)INT64_MAX + neg) return refuse(e, "time: invalid duration ", s);
	*ns = neg ? (int64_t)-sum : (int64_t)sum;
	return true;
}

bool units_dur_prom(struct str s, int64_t *ns, struct err *e)
{
	uint64_t sum = 0;
	size_t next = 0; /* the first unit still allowed */
	if (s.n == 0) return err_set(e, ERR_INVALID, "empty duration string");
	if (str_eq(s, STR("0"))) {
		*ns = 0;
		return true;
	}
	for (size_t i = 0; i < s.n;) {
		size_t from = i;
		while (i < s.n && digit(s.p[i])) i++;
		uint64_t v;
		if (!str_to_u64(str_sub(s, from, i), &v)) return refuse(e, "not a valid duration string: ", s);
		from = i;
		while (i < s.n && !digit(s.p[i])) i++;
		struct str unit = str_sub(s, from, i);
		if (unit.n == 0) return refuse(e, "not a valid duration string: ", s);
		size_t u = find_unit(prom_units, COUNT(prom_units), unit);
		if (u == COUNT(prom_units)) return unknown_unit(e, "unknown unit ", unit, s);
		if (u < next) return refuse(e, "not a valid duration string: ", s);
		next = u + 1;
		if (v > INT64_MAX / prom_units[u].ns || (sum += v * prom_units[u].ns) > INT64_MAX)
			return err_set(e, ERR_INVALID, "duration out of range");
	}
	*ns = (int64_t)sum;
	return true;
}

bool units_dur_any(struct str s, int64_t *ns, struct err *e)
{
	struct err second;
	return units_dur_prom(s, ns, e) || units_dur_go(s, ns, &second);
}

/* v / 10^places with trailing zeros of the fraction cut. */
static void put_fraction(struct buf *b, uint64_t v, int places)
{
	uint64_t scale = 1;
	for (int i = 0; i < places; i++) scale *= 10;
	buf_u64(b, v / scale);
	if (v % scale == 0) return;
	buf_printf(b, ".%0*llu", places, (unsigned long long)(v % scale));
	while (b->p[b->n - 1] == '0') b->n--;
}

void units_dur_go_print(struct buf *b, int64_t ns)
{
	uint64_t v = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	if (ns < 0) buf_ch(b, '-');
	if (v == 0) {
		buf_c(b, "0s");
	} else if (v < UNITS_US) {
		buf_printf(b, "%uns", (unsigned)v);
	} else if (v < UNITS_MS) {
		put_fraction(b, v, 3);
		buf_c(b, "µs");
	} else if (v < UNITS_SEC) {
		put_fraction(b, v, 6);
		buf_c(b, "ms");
	} else {
		if (v >= UNITS_HOUR) buf_printf(b, "%lluh", (unsigned long long)(v / UNITS_HOUR));
		if (v >= UNITS_MIN) buf_printf(b, "%um", (unsigned)(v / UNITS_MIN % 60));
		put_fraction(b, v % UNITS_MIN, 9);
		buf_ch(b, 's');
	}
}

void units_dur_prom_print(struct buf *b, int64_t ns)
{
	int64_t left = ns / UNITS_MS * UNITS_MS; /* finer parts have no unit */
	if (left == 0) {
		buf_c(b, "0s");
		return;
	}
	if (left < 0) {
		buf_ch(b, '-');
		left = -left;
	}
	for (size_t u = 0; u < COUNT(prom_units); u++) {
		int64_t size = (int64_t)prom_units[u].ns;
		/* Years and weeks only where nothing remains: 90d reads better than 12w6d. */
		if (u < 2 && left % size != 0) continue;
		if (left >= size) buf_printf(b, "%lld%s", (long long)(left / size), prom_units[u].name);
		left %= size;
	}
}

/* ---- sizes ---- */

static const char prefixes[] = "kmgtpe";

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* Power of a unit: 0 for "" and "b", 1 for "k", "kb", "ki" and "kib", …; -1 when unknown. *binary: has the i. */
static int size_power(struct str unit, bool *binary)
{
	int power = 0;
	*binary = false;
	const char *hit = unit.n ? memchr(prefixes, lower(unit.p[0]), sizeof prefixes - 1) : NULL;
	if (hit) {
		power = (int)(hit - prefixes) + 1;
		unit = str_from(unit, 1);
		*binary = unit.n && lower(unit.p[0]) == 'i';
		if (*binary) unit = str_from(unit, 1);
	}
	return unit.n == 0 || str_ieq(unit, STR("b")) ? power : -1;
}

static double pow_of(double base, int n)
{
	double v = 1;
	while (n-- > 0) v *= base;
	return v;
}

bool units_bytes_1024(struct str s, uint64_t *n, struct err *e)
{
	static const char what[] =
		"not a size (a number with B, KB, MB, GB, TB, PB or EB, powers of 1024, as in 256KB): ";
	size_t digits = 0, number;
	while (digits < s.n && digit(s.p[digits])) digits++;
	for (number = digits; number < s.n && (digit(s.p[number]) || s.p[number] == '.');) number++;
	bool binary;
	int power = size_power(str_trim(str_from(s, number)), &binary);
	if (digits == 0 || power < 0) return refuse(e, what, s);
	if (number == digits) {
		if (!str_to_u64(str_sub(s, 0, digits), n) || *n > UINT64_MAX >> 10 * power)
			return refuse(e, "size out of range: ", s);
		*n <<= 10 * power;
		return true;
	}
	double v;
	if (!str_to_f64(str_sub(s, 0, number), &v)) return refuse(e, what, s);
	v *= pow_of(1024, power);
	if (v >= 0x1p64) return refuse(e, "size out of range: ", s);
	*n = (uint64_t)v;
	return true;
}

bool units_bytes_human(struct str s, uint64_t *n, struct err *e)
{
	struct buf num = {0};
	size_t i = 0;
	for (; i < s.n && (digit(s.p[i]) || s.p[i] == '.' || s.p[i] == ','); i++)
		if (s.p[i] != ',') buf_ch(&num, s.p[i]);
	double v = 0;
	bool ok = str_to_f64(buf_view(&num), &v);
	if (!ok) {
		struct buf q = {0};
		buf_quote(&q, buf_view(&num));
		err_set(e, ERR_INVALID, "strconv.ParseFloat: parsing %s: invalid syntax", buf_cstr(&q));
		buf_free(&q);
	}
	buf_free(&num);
	if (!ok) return false;
	struct str unit = str_trim(str_from(s, i));
	bool binary;
	int power = size_power(unit, &binary);
	if (power < 0) {
		struct buf low = {0};
		for (size_t k = 0; k < unit.n; k++) buf_ch(&low, lower(unit.p[k]));
		err_set(e, ERR_INVALID, "unhandled size name: %s", buf_cstr(&low));
		buf_free(&low);
		return false;
	}
	v *= pow_of(binary ? 1024 : 1000, power);
	if (v >= 0x1p64) return err_set(e, ERR_INVALID, "too large: %.*s", STR_ARG(s));
	*n = (uint64_t)v;
	return true;
}

void units_bytes_human_print(struct buf *b, uint64_t n)
{
	static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	if (n < 10) {
		buf_printf(b, "%uB", (unsigned)n);
		return;
	}
	int power = (int)floor(log((double)n) / log(1000));
	double v = floor((double)n / pow_of(1000, power) * 10 + 0.5) / 10;
	buf_printf(b, "%.*f%s", v < 10 ? 1 : 0, v, names[power]);
}

void units_bytes_1024_print(struct buf *b, uint64_t n)
{
	int power = 0;
	while (n && power < 6 && n % 1024 == 0) {
		n /= 1024;
		power++;
	}
	buf_u64(b, n);
	if (power) buf_ch(b, (char)(prefixes[power - 1] - 32));
	buf_ch(b, 'B');
}

/* ---- calendar: days ⇄ civil by 400-year eras that begin on 1 March (Howard Hinnant,
 * chrono-Compatible Low-Level Date Algorithms) ---- */

#define YEARS_MAX 1000000000 /* what is farther away cannot be brought back by the other fields */

static int64_t days_from_civil(int64_t y, int m, int64_t d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int yoe = (int)(y - era * 400);
	int doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy + d - 1 - 719468;
}

static bool leap(int64_t y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); }

void units_civil(int64_t ns, struct units_civil *c)
{
	int64_t days = ns / UNITS_DAY, rest = ns % UNITS_DAY;
	if (rest < 0) {
		rest += UNITS_DAY;
		days--;
	}
	c->hour = (int)(rest / UNITS_HOUR);
	c->min = (int)(rest / UNITS_MIN % 60);
	c->sec = (int)(rest / UNITS_SEC % 60);
	c->nsec = (int)(rest % UNITS_SEC);
	c->wday = (int)(((days + 4) % 7 + 7) % 7); /* the epoch was a Thursday */

	int64_t z = days + 719468; /* since 0000-03-01; positive for every int64 of nanoseconds */
	int64_t era = z / 146097, doe = z % 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	c->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	c->mon = (int)(mp < 10 ? mp + 3 : mp - 9);
	c->year = yoe + era * 400 + (c->mon <= 2);
	c->yday = (int)(days - days_from_civil(c->year, 1, 1)) + 1;
}

int64_t units_from_civil(const struct units_civil *c)
{
	if (c->year > YEARS_MAX) return INT64_MAX;
	if (c->year < -YEARS_MAX) return INT64_MIN;
	int64_t months = (int64_t)c->mon - 1;
	int mon = (int)(months % 12);
	if (mon < 0) mon += 12;
	int64_t year = c->year + (months - mon) / 12;
	__int128 ns = (__int128)days_from_civil(year, mon + 1, c->day) * UNITS_DAY;
	ns += (__int128)c->hour * UNITS_HOUR + (__int128)c->min * UNITS_MIN + (__int128)c->sec * UNITS_SEC + c->nsec;
	return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

/* n digits at s.p[*i], then the byte `then` unless it is 0. */
static bool fixed(struct str s, size_t *i, size_t n, char then, int *v)
{
	*v = 0;
	if (s.n - *i < n + (then != 0)) return false;
	for (; n; n--, (*i)++) {
		if (!digit(s.p[*i])) return false;
		*v = *v * 10 + (s.p[*i] - '0');
	}
	return !then || s.p[(*i)++] == then;
}

static bool parse_rfc3339(struct str s, struct units_civil *c)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	size_t i = 0;
	int year, zone_hour = 0, zone_min = 0;
	*c = (struct units_civil){0};
	if (!fixed(s, &i, 4, '-', &year) || !fixed(s, &i, 2, '-', &c->mon) || !fixed(s, &i, 2, 'T', &c->day))
		return false;
	if (!fixed(s, &i, 2, ':', &c->hour) || !fixed(s, &i, 2, ':', &c->min) || !fixed(s, &i, 2, 0, &c->sec))
		return false;
	c->year = year;
	if (c->mon < 1 || c->mon > 12 || c->hour > 23 || c->min > 59 || c->sec > 59) return false;
	if (c->day < 1 || c->day > month_days[c->mon - 1] + (c->mon == 2 && leap(year))) return false;
	if (i < s.n && s.p[i] == '.') {
		size_t from = ++i;
		for (int scale = 100000000; i < s.n && digit(s.p[i]); i++, scale /= 10)
			c->nsec += (s.p[i] - '0') * scale;
		if (i == from) return false;
	}
	if (i == s.n) return false;
	char sign = s.p[i++];
	if (sign == 'Z') return i == s.n;
	if (sign != '+' && sign != '-') return false;
	if (!fixed(s, &i, 2, ':', &zone_hour) || !fixed(s, &i, 2, 0, &zone_min) || i != s.n) return false;
	if (zone_hour > 23 || zone_min > 59) return false;
	c->min += (sign == '+' ? -1 : 1) * (zone_hour * 60 + zone_min);
	return true;
}

bool units_rfc3339(struct str s, int64_t *ns, struct err *e)
{
	struct units_civil c;
	if (!parse_rfc3339(s, &c)) return refuse(e, "not a time in RFC 3339 form, such as 2026-11-01T00:00:00.5Z: ", s);
	*ns = units_from_civil(&c);
	if (*ns == INT64_MAX || *ns == INT64_MIN) return refuse(e, "time outside of 1677-09-21 to 2262-04-11: ", s);
	return true;
}

static void put_seconds(struct buf *b, const struct units_civil *c)
{
	buf_printf(b, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)c->year, c->mon, c->day, c->hour, c->min, c->sec);
}

void units_rfc3339_print(struct buf *b, int64_t ns)
{
	struct units_civil c;
	units_civil(ns, &c);
	put_seconds(b, &c);
	buf_ch(b, 'Z');
}

void units_rfc3339nano_print(struct buf *b, int64_t ns)
{
	struct units_civil c;
	units_civil(ns, &c);
	put_seconds(b, &c);
	if (c.nsec) {
		buf_printf(b, ".%09d", c.nsec);
		while (b->p[b->n - 1] == '0') b->n--;
	}
	buf_ch(b, 'Z');
}
