/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/gotime.h"

#include "common/units.h"

#include <stdio.h>
#include <stdlib.h>

enum elem {
	LITERAL, LONG_MONTH, MONTH, NUM_MONTH, ZERO_MONTH, LONG_WEEKDAY, WEEKDAY, DAY, UNDER_DAY, ZERO_DAY, UNDER_YEARDAY,
	ZERO_YEARDAY, HOUR, HOUR12, ZERO_HOUR12, MINUTE, ZERO_MINUTE, SECOND, ZERO_SECOND, LONG_YEAR, YEAR, PM_UPPER, PM_LOWER,
	ZONE, ISO_ZONE, ISO_SECONDS_ZONE, ISO_SHORT_ZONE, ISO_COLON_ZONE, ISO_COLON_SECONDS_ZONE, NUM_ZONE, NUM_SECONDS_ZONE,
	NUM_SHORT_ZONE, NUM_COLON_ZONE, NUM_COLON_SECONDS_ZONE, FRACTION0, FRACTION9
};

struct item {
	enum elem elem;
	struct str text; /* of the layout: what a literal is, what an element was written as */
};

struct gotime_layout {
	struct str text; /* own copy */
	struct item *v;
	size_t n;
};

/* Longest first where one is the start of another. `word`: no lower-case letter may follow. */
static const struct {
	struct str text;
	enum elem elem;
	bool word;
} elems[] = {
	{STR("January"), LONG_MONTH, false}, {STR("Jan"), MONTH, true}, {STR("Monday"), LONG_WEEKDAY, false}, {STR("Mon"), WEEKDAY, true},
	{STR("MST"), ZONE, false}, {STR("002"), ZERO_YEARDAY, false}, {STR("01"), ZERO_MONTH, false}, {STR("02"), ZERO_DAY, false},
	{STR("03"), ZERO_HOUR12, false}, {STR("04"), ZERO_MINUTE, false}, {STR("05"), ZERO_SECOND, false}, {STR("06"), YEAR, false},
	{STR("15"), HOUR, false}, {STR("1"), NUM_MONTH, false}, {STR("2006"), LONG_YEAR, false}, {STR("2"), DAY, false},
	{STR("__2"), UNDER_YEARDAY, false}, {STR("_2"), UNDER_DAY, false}, {STR("3"), HOUR12, false}, {STR("4"), MINUTE, false},
	{STR("5"), SECOND, false}, {STR("PM"), PM_UPPER, false}, {STR("pm"), PM_LOWER, false},
	{STR("-070000"), NUM_SECONDS_ZONE, false}, {STR("-07:00:00"), NUM_COLON_SECONDS_ZONE, false}, {STR("-0700"), NUM_ZONE, false},
	{STR("-07:00"), NUM_COLON_ZONE, false}, {STR("-07"), NUM_SHORT_ZONE, false},
	{STR("Z070000"), ISO_SECONDS_ZONE, false}, {STR("Z07:00:00"), ISO_COLON_SECONDS_ZONE, false}, {STR("Z0700"), ISO_ZONE, false},
	{STR("Z07:00"), ISO_COLON_ZONE, false}, {STR("Z07"), ISO_SHORT_ZONE, false},
};
#define ELEMS (sizeof elems / sizeof *elems)

static const struct { const char *name; struct str layout; } aliases[] = {
	{"ANSIC", STR("Mon Jan _2 15:04:05 2006")},         {"UnixDate", STR("Mon Jan _2 15:04:05 MST 2006")},
	{"RubyDate", STR("Mon Jan 02 15:04:05 -0700 2006")}, {"RFC822", STR("02 Jan 06 15:04 MST")},
	{"RFC822Z", STR("02 Jan 06 15:04 -0700")},          {"RFC850", STR("Monday, 02-Jan-06 15:04:05 MST")},
	{"RFC1123", STR("Mon, 02 Jan 2006 15:04:05 MST")},  {"RFC1123Z", STR("Mon, 02 Jan 2006 15:04:05 -0700")},
	{"RFC3339", STR("2006-01-02T15:04:05Z07:00")},      {"RFC3339Nano", STR("2006-01-02T15:04:05.999999999Z07:00")},
};

static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"};
static const char *const weekdays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

struct str gotime_alias(struct str s)
{
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (str_eqc(s, aliases[i].name)) return aliases[i].layout;
	return s;
}

static bool digit(struct str s, size_t i) { return i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; }

/* The element that starts at s, or LITERAL; *n is its length. */
static enum elem element_at(struct str s, size_t *n)
{
	if (str_starts(s, STR("_2006"))) return LITERAL;
	for (size_t i = 0; i < ELEMS; i++) {
		*n = elems[i].text.n;
		if (!str_starts(s, elems[i].text)) continue;
		if (elems[i].word && *n < s.n && s.p[*n] >= 'a' && s.p[*n] <= 'z') continue;
		return elems[i].elem;
	}
	if (s.n > 1 && (s.p[0] == '.' || s.p[0] == ',') && (s.p[1] == '0' || s.p[1] == '9')) {
		size_t k = 1;
		while (k < s.n && s.p[k] == s.p[1]) k++;
		*n = k;
		if (!digit(s, k)) return s.p[1] == '0' ? FRACTION0 : FRACTION9;
	}
	return LITERAL;
}

struct gotime_layout *gotime_layout_new(struct str layout)
{
	struct gotime_layout *l = mem_zalloc(sizeof *l);
	size_t cap = 0, literal = 0, n = 1;
	l->text = mem_str(layout);
	for (size_t i = 0; i <= layout.n; i += n) {
		enum elem el = i < layout.n ? element_at(str_from(l->text, i), &n) : LITERAL;
		if (el == LITERAL && i < layout.n) {
			n = 1;
			continue;
		}
		if (i > literal) {
			MEM_GROW(l->v, l->n, cap);
			l->v[l->n++] = (struct item){LITERAL, str_sub(l->text, literal, i)};
		}
		if (i == layout.n) break;
		MEM_GROW(l->v, l->n, cap);
		l->v[l->n++] = (struct item){el, str_sub(l->text, i, i + n)};
		literal = i + n;
	}
	return l;
}

void gotime_layout_free(struct gotime_layout *l)
{
	if (!l) return;
	free((char *)l->text.p);
	free(l->v);
	free(l);
}

bool gotime_layout_has_year(const struct gotime_layout *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].elem == YEAR || l->v[i].elem == LONG_YEAR) return true;
	return false;
}

/* ---- parsing ---- */

struct parse {
	struct str s;           /* what is left */
	struct units_civil t;   /* mon, day, yday: -1 not given */
	bool pm, am, utc, has_offset;
	int32_t offset;
	struct str zone;        /* abbreviation */
	const char *range;      /* what was out of range, or NULL */
};

/* One or two digits; `fixed`: two. */
static bool number(struct str *s, bool fixed, int *out)
{
	if (!digit(*s, 0)) return false;
	size_t n = digit(*s, 1) ? 2 : 1;
	if (fixed && n == 1) return false;
	*out = s->p[0] - '0';
	if (n == 2) *out = *out * 10 + (s->p[1] - '0');
	*s = str_from(*s, n);
	return true;
}

static bool in_range(struct parse *p, int v, int lo, int hi, const char *what)
{
	if (v >= lo && v <= hi) return true;
	p->range = what;
	return false;
}

static bool lookup(struct str *s, const char *const *names, int n, size_t len, int *out)
{
	for (int i = 0; i < n; i++) {
		struct str name = str_c(names[i]);
		if (len) name.n = len;
		if (s->n < name.n || !str_ieq(str_sub(*s, 0, name.n), name)) continue;
		*out = i;
		*s = str_from(*s, name.n);
		return true;
	}
	return false;
}

/* ".123": n bytes with the mark. */
static void fraction(struct parse *p, size_t n)
{
	int ns = 0, scale = 100000000;
	for (size_t i = 1; i < n && scale; i++, scale /= 10) ns += (p->s.p[i] - '0') * scale;
	p->t.nsec = ns;
	p->s = str_from(p->s, n);
}

static size_t fraction_length(struct str s)
{
	size_t n = 1;
	if (s.n < 2 || (s.p[0] != '.' && s.p[0] != ',') || !digit(s, 1)) return 0;
	while (digit(s, n)) n++;
	return n;
}

static bool parse_seconds(struct parse *p, bool fixed, bool fraction_next)
{
	if (!number(&p->s, fixed, &p->t.sec) || !in_range(p, p->t.sec, 0, 59, "second")) return false;
	size_t n = fraction_next ? 0 : fraction_length(p->s);
	if (n) fraction(p, n);
	return true;
}

static bool parse_offset(struct parse *p, enum elem el)
{
	bool colon = el == ISO_COLON_ZONE || el == NUM_COLON_ZONE || el == ISO_COLON_SECONDS_ZONE || el == NUM_COLON_SECONDS_ZONE;
	bool seconds = el == ISO_SECONDS_ZONE || el == NUM_SECONDS_ZONE || el == ISO_COLON_SECONDS_ZONE || el == NUM_COLON_SECONDS_ZONE;
	bool minutes = el != ISO_SHORT_ZONE && el != NUM_SHORT_ZONE;
	int h = 0, m = 0, sec = 0;
	if (el >= ISO_ZONE && el <= ISO_COLON_SECONDS_ZONE && p->s.n && p->s.p[0] == 'Z') {
		p->s = str_from(p->s, 1);
		p->utc = true;
		return true;
	}
	if (p->s.n == 0 || (p->s.p[0] != '+' && p->s.p[0] != '-')) return false;
	bool neg = p->s.p[0] == '-';
	p->s = str_from(p->s, 1);
	if (!number(&p->s, true, &h)) return false;
	for (int part = 0; part < 2; part++) {
		if (part == 0 ? !minutes : !seconds) continue;
		if (colon && (p->s.n == 0 || p->s.p[0] != ':')) return false;
		if (colon) p->s = str_from(p->s, 1);
		if (!number(&p->s, true, part == 0 ? &m : &sec)) return false;
	}
	if (!in_range(p, h, 0, 24, "time zone offset hour") || !in_range(p, m, 0, 59, "time zone offset minute") ||
	    !in_range(p, sec, 0, 59, "time zone offset second"))
		return false;
	p->offset = ((h * 60 + m) * 60 + sec) * (neg ? -1 : 1);
	p->has_offset = true;
	return true;
}

/* Sign and one or two digits, at most 23; 0 when it is none. */
static size_t signed_offset(struct str s)
{
	if (s.n < 2 || (s.p[0] != '+' && s.p[0] != '-') || !digit(s, 1)) return 0;
	size_t n = digit(s, 2) ? 3 : 2;
	int v = s.p[1] - '0';
	if (n == 3) v = v * 10 + (s.p[2] - '0');
	return v < 24 ? n : 0;
}

/* Length of a zone abbreviation, by Go's rules of thumb; 0: none. */
static size_t abbr_length(struct str s)
{
	size_t n = 0;
	if (str_starts(s, STR("ChST")) || str_starts(s, STR("MeST"))) return 4;
	if (str_starts(s, STR("GMT"))) return 3 + signed_offset(str_from(s, 3));
	if (s.n && (s.p[0] == '+' || s.p[0] == '-')) return signed_offset(s);
	while (n < s.n && n < 6 && s.p[n] >= 'A' && s.p[n] <= 'Z') n++;
	if (n == 3 || (n == 4 && (s.p[3] == 'T' || str_starts(s, STR("WITA")))) || (n == 5 && s.p[4] == 'T')) return n;
	return 0;
}

static bool parse_zone(struct parse *p)
{
	if (str_starts(p->s, STR("UTC"))) {
		p->s = str_from(p->s, 3);
		p->utc = true;
		return true;
	}
	size_t n = abbr_length(p->s);
	p->zone = str_sub(p->s, 0, n);
	p->s = str_from(p->s, n);
	return n > 0;
}

static bool parse_year(struct parse *p, size_t digits)
{
	int64_t y = 0;
	for (size_t i = 0; i < digits; i++) {
		if (!digit(p->s, i)) return false;
		y = y * 10 + (p->s.p[i] - '0');
	}
	p->s = str_from(p->s, digits);
	p->t.year = digits == 4 ? y : y >= 69 ? 1900 + y : 2000 + y;
	return true;
}

static bool parse_yearday(struct parse *p, bool fixed)
{
	int v = 0;
	size_t n = 0;
	for (int i = 0; !fixed && i < 2 && p->s.n && p->s.p[0] == ' '; i++) p->s = str_from(p->s, 1);
	while (n < 3 && digit(p->s, n)) v = v * 10 + (p->s.p[n++] - '0');
	if (n == 0 || (fixed && n < 3)) return false;
	p->s = str_from(p->s, n);
	p->t.yday = v;
	return in_range(p, v, 1, 366, "day-of-year");
}

static bool parse_half_day(struct parse *p, bool upper)
{
	if (str_starts(p->s, upper ? STR("PM") : STR("pm"))) p->pm = true;
	else if (str_starts(p->s, upper ? STR("AM") : STR("am"))) p->am = true;
	else return false;
	p->s = str_from(p->s, 2);
	return true;
}

/* Blanks of a literal match any number of blanks. */
static bool parse_literal(struct parse *p, struct str lit)
{
	while (lit.n) {
		if (lit.p[0] == ' ') {
			if (p->s.n && p->s.p[0] != ' ') return false;
			while (lit.n && lit.p[0] == ' ') lit = str_from(lit, 1);
			while (p->s.n && p->s.p[0] == ' ') p->s = str_from(p->s, 1);
			continue;
		}
		if (p->s.n == 0 || p->s.p[0] != lit.p[0]) return false;
		lit = str_from(lit, 1);
		p->s = str_from(p->s, 1);
	}
	return true;
}

static bool parse_fraction0(struct parse *p, size_t n)
{
	if (p->s.n < n || (p->s.p[0] != '.' && p->s.p[0] != ',')) return false;
	for (size_t i = 1; i < n; i++)
		if (!digit(p->s, i)) return false;
	fraction(p, n);
	return true;
}

/* A state machine over elements: longer than most. */
static bool parse_item(struct parse *p, const struct item *it, bool fraction_next)
{
	int ignored;
	size_t n;
	switch (it->elem) {
	case LITERAL: return parse_literal(p, it->text);
	case LONG_YEAR: return parse_year(p, 4);
	case YEAR: return parse_year(p, 2);
	case LONG_MONTH:
		if (!lookup(&p->s, months, 12, 0, &p->t.mon)) return false;
		p->t.mon++;
		return true;
	case MONTH:
		if (!lookup(&p->s, months, 12, 3, &p->t.mon)) return false;
		p->t.mon++;
		return true;
	case NUM_MONTH:
	case ZERO_MONTH: return number(&p->s, it->elem == ZERO_MONTH, &p->t.mon) && in_range(p, p->t.mon, 1, 12, "month");
	case LONG_WEEKDAY: return lookup(&p->s, weekdays, 7, 0, &ignored);
	case WEEKDAY: return lookup(&p->s, weekdays, 7, 3, &ignored);
	case UNDER_DAY:
		if (p->s.n && p->s.p[0] == ' ') p->s = str_from(p->s, 1);
		return number(&p->s, false, &p->t.day);
	case DAY:
	case ZERO_DAY: return number(&p->s, it->elem == ZERO_DAY, &p->t.day);
	case UNDER_YEARDAY:
	case ZERO_YEARDAY: return parse_yearday(p, it->elem == ZERO_YEARDAY);
	case HOUR: return number(&p->s, false, &p->t.hour) && in_range(p, p->t.hour, 0, 23, "hour");
	case HOUR12:
	case ZERO_HOUR12: return number(&p->s, it->elem == ZERO_HOUR12, &p->t.hour) && in_range(p, p->t.hour, 0, 12, "hour");
	case MINUTE:
	case ZERO_MINUTE: return number(&p->s, it->elem == ZERO_MINUTE, &p->t.min) && in_range(p, p->t.min, 0, 59, "minute");
	case SECOND:
	case ZERO_SECOND: return parse_seconds(p, it->elem == ZERO_SECOND, fraction_next);
	case PM_UPPER: return parse_half_day(p, true);
	case PM_LOWER: return parse_half_day(p, false);
	case ZONE: return parse_zone(p);
	case FRACTION0: return parse_fraction0(p, it->text.n);
	case FRACTION9:
		n = fraction_length(p->s);
		if (n) fraction(p, n);
		return true;
	default: return parse_offset(p, it->elem);
	}
}

static int days_in(int64_t year, int mon)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[mon - 1] + (mon == 2 && leap);
}

/* Fills month and day from the day of the year, checks the day. */
static bool settle_day(struct parse *p)
{
	struct units_civil *t = &p->t;
	if (t->yday >= 0) {
		int left = t->yday, mon = 1;
		while (mon <= 12 && left > days_in(t->year, mon)) left -= days_in(t->year, mon++);
		if (mon > 12 || (t->mon >= 0 && t->mon != mon) || (t->day >= 0 && t->day != left)) {
			p->range = "day-of-year";
			return false;
		}
		t->mon = mon;
		t->day = left;
	}
	if (t->mon < 0) t->mon = 1;
	if (t->day < 0) t->day = 1;
	return in_range(p, t->day, 1, days_in(t->year, t->mon), "day");
}

static int64_t settle_zone(const struct parse *p, const struct tz *zone)
{
	int64_t wall = units_from_civil(&p->t), sec = wall / UNITS_SEC - (wall % UNITS_SEC < 0), ns = wall - sec * UNITS_SEC;
	int32_t off = 0;
	int64_t gmt;
	if (p->utc) return wall;
	if (p->has_offset) return wall - (int64_t)p->offset * UNITS_SEC;
	if (p->zone.n == 0) return tz_to_utc(zone, sec) * UNITS_SEC + ns;
	if (!tz_abbr(zone, p->zone, sec, &off) && p->zone.n > 3 && str_starts(p->zone, STR("GMT"))) {
		struct str num = str_from(p->zone, 3);
		if (num.p[0] == '+') num = str_from(num, 1);
		if (str_to_i64(num, &gmt)) off = (int32_t)gmt * 3600;
	}
	return wall - (int64_t)off * UNITS_SEC;
}

static bool mismatch(struct err *e, const struct gotime_layout *l, struct str text, struct str left, struct str as, const char *range)
{
	struct buf q[4] = {0};
	struct str parts[4] = {text, l->text, left, as};
	for (int i = 0; i < 4; i++) buf_quote(&q[i], parts[i]);
	if (range) err_set(e, ERR_INVALID, "parsing time %s: %s out of range", buf_cstr(&q[0]), range);
	else if (as.n == 0) err_set(e, ERR_INVALID, "parsing time %s: extra text: %s", buf_cstr(&q[0]), buf_cstr(&q[2]));
	else err_set(e, ERR_INVALID, "parsing time %s as %s: cannot parse %s as %s", buf_cstr(&q[0]), buf_cstr(&q[1]), buf_cstr(&q[2]), buf_cstr(&q[3]));
	for (int i = 0; i < 4; i++) buf_free(&q[i]);
	return false;
}

static bool parse(const struct gotime_layout *l, struct str text, struct parse *p, struct err *e)
{
	*p = (struct parse){.s = text, .t = {.mon = -1, .day = -1, .yday = -1}};
	for (size_t i = 0; i < l->n; i++) {
		struct str before = p->s;
		bool fraction_next = i + 1 < l->n && (l->v[i + 1].elem == FRACTION0 || l->v[i + 1].elem == FRACTION9);
		if (!parse_item(p, &l->v[i], fraction_next)) return mismatch(e, l, text, before, l->v[i].text, p->range);
	}
	if (p->s.n) return mismatch(e, l, text, p->s, STR_NULL, NULL);
	if (p->pm && p->t.hour < 12) p->t.hour += 12;
	if (p->am && p->t.hour == 12) p->t.hour = 0;
	return true;
}

bool gotime_parse(const struct gotime_layout *l, const struct tz *zone, struct str text, int64_t *ns, struct err *e)
{
	struct parse p;
	if (!parse(l, text, &p, e)) return false;
	if (!settle_day(&p)) return mismatch(e, l, text, STR_NULL, STR_NULL, p.range);
	if (p.t.year > 2261 || p.t.year < 1678) p.t.year = p.t.year > 2261 ? 2261 : 1678; /* what int64 ns can say */
	*ns = settle_zone(&p, zone);
	return true;
}

bool gotime_parse_near(const struct gotime_layout *l, const struct tz *zone, struct str text, int64_t now, int64_t *ns, struct err *e)
{
	struct parse p;
	struct units_civil c;
	if (!parse(l, text, &p, e)) return false;
	units_civil(now, &c);
	p.t.year = c.year;
	if (c.mon == 1 && p.t.mon == 12) p.t.year--;
	else if (c.mon == 12 && p.t.mon == 1) p.t.year++;
	if (!settle_day(&p)) return mismatch(e, l, text, STR_NULL, STR_NULL, p.range);
	*ns = settle_zone(&p, zone);
	return true;
}

/* ---- formatting ---- */

static void put_offset(struct buf *b, enum elem el, int32_t off)
{
	bool iso = el >= ISO_ZONE && el <= ISO_COLON_SECONDS_ZONE;
	bool colon = el == ISO_COLON_ZONE || el == NUM_COLON_ZONE || el == ISO_COLON_SECONDS_ZONE || el == NUM_COLON_SECONDS_ZONE;
	bool seconds = el == ISO_SECONDS_ZONE || el == NUM_SECONDS_ZONE || el == ISO_COLON_SECONDS_ZONE || el == NUM_COLON_SECONDS_ZONE;
	if (iso && off == 0) {
		buf_ch(b, 'Z');
		return;
	}
	int32_t a = off < 0 ? -off : off;
	buf_printf(b, "%c%02d", off < 0 ? '-' : '+', a / 3600);
	if (el == ISO_SHORT_ZONE || el == NUM_SHORT_ZONE) return;
	buf_printf(b, "%s%02d", colon ? ":" : "", a / 60 % 60);
	if (seconds) buf_printf(b, "%s%02d", colon ? ":" : "", a % 60);
}

static void put_fraction(struct buf *b, const struct item *it, int nsec)
{
	char digits[16];
	snprintf(digits, sizeof digits, "%09d", nsec);
	size_t n = it->text.n - 1 < 9 ? it->text.n - 1 : 9;
	if (it->elem == FRACTION9)
		while (n && digits[n - 1] == '0') n--;
	if (n == 0) return;
	buf_ch(b, it->text.p[0]);
	buf_add(b, digits, n);
}

static void put_item(struct buf *b, const struct item *it, const struct units_civil *t, const struct tz_rule *r)
{
	int hour12 = t->hour % 12 ? t->hour % 12 : 12;
	switch (it->elem) {
	case LITERAL: buf_str(b, it->text); break;
	case LONG_YEAR: buf_printf(b, "%04lld", (long long)t->year); break;
	case YEAR: buf_printf(b, "%02d", (int)(t->year % 100)); break;
	case LONG_MONTH: buf_c(b, months[t->mon - 1]); break;
	case MONTH: buf_add(b, months[t->mon - 1], 3); break;
	case NUM_MONTH: buf_i64(b, t->mon); break;
	case ZERO_MONTH: buf_printf(b, "%02d", t->mon); break;
	case LONG_WEEKDAY: buf_c(b, weekdays[t->wday]); break;
	case WEEKDAY: buf_add(b, weekdays[t->wday], 3); break;
	case DAY: buf_i64(b, t->day); break;
	case UNDER_DAY: buf_printf(b, "%2d", t->day); break;
	case ZERO_DAY: buf_printf(b, "%02d", t->day); break;
	case UNDER_YEARDAY: buf_printf(b, "%3d", t->yday); break;
	case ZERO_YEARDAY: buf_printf(b, "%03d", t->yday); break;
	case HOUR: buf_printf(b, "%02d", t->hour); break;
	case HOUR12: buf_i64(b, hour12); break;
	case ZERO_HOUR12: buf_printf(b, "%02d", hour12); break;
	case MINUTE: buf_i64(b, t->min); break;
	case ZERO_MINUTE: buf_printf(b, "%02d", t->min); break;
	case SECOND: buf_i64(b, t->sec); break;
	case ZERO_SECOND: buf_printf(b, "%02d", t->sec); break;
	case PM_UPPER: buf_c(b, t->hour >= 12 ? "PM" : "AM"); break;
	case PM_LOWER: buf_c(b, t->hour >= 12 ? "pm" : "am"); break;
	case ZONE: buf_c(b, r->abbr); break;
	case FRACTION0:
	case FRACTION9: put_fraction(b, it, t->nsec); break;
	default: put_offset(b, it->elem, r->offset); break;
	}
}

void gotime_format(const struct gotime_layout *l, const struct tz *zone, int64_t ns, struct buf *out)
{
	struct units_civil t;
	int64_t sec = ns / UNITS_SEC - (ns % UNITS_SEC < 0);
	struct tz_rule r = tz_at(zone, sec);
	int64_t shift = (int64_t)r.offset * UNITS_SEC;
	units_civil((shift > 0 && ns > INT64_MAX - shift) || (shift < 0 && ns < INT64_MIN - shift) ? ns : ns + shift, &t);
	for (size_t i = 0; i < l->n; i++) put_item(out, &l->v[i], &t, &r);
}
