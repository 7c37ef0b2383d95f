/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/tz.h"

#include "common/buf.h"
#include "common/fs.h"
#include "common/units.h"

#include <stdlib.h>

#define TZ_FILE_MAX (1u << 20)

struct type {
	int32_t offset;
	const char *abbr;
};

/* One change of a footer such as "CET-1CEST,M3.5.0,M10.5.0/3". */
struct change {
	char kind; /* 'M' month.week.day, 'J' Julian without leap days, 'N' day of year from 0 */
	int month, week, day;
	int32_t at; /* wall clock seconds after midnight */
};

struct tz {
	int64_t *when;  /* n transitions, ascending */
	uint8_t *which; /* type from then on */
	size_t n;
	struct type *types;
	size_t ntypes;
	char *abbrs;
	bool rules;           /* the footer has a daylight saving rule */
	struct type std, dst; /* of the footer */
	char std_abbr[16], dst_abbr[16];
	bool footer;
	struct change start, end;
};

static uint32_t be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;
	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t be64(const char *p) { return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4)); }

/* ---- the footer: POSIX TZ strings ---- */

static bool footer_name(struct str *s, char out[16])
{
	size_t n = 0;
	bool quoted = s->n && s->p[0] == '<';
	if (quoted) *s = str_from(*s, 1);
	while (n < s->n &&
	       (quoted ? s->p[n] != '>' : (s->p[n] >= 'A' && s->p[n] <= 'Z') || (s->p[n] >= 'a' && s->p[n] <= 'z')))
		n++;
	if (n == 0 || n >= 16 || (quoted && n == s->n)) return false;
	memcpy(out, s->p, n);
	out[n] = 0;
	*s = str_from(*s, n + quoted);
	return true;
}

static bool footer_int(struct str *s, int *out)
{
	size_t n = 0;
	for (*out = 0; n < s->n && n < 4 && s->p[n] >= '0' && s->p[n] <= '9'; n++) *out = *out * 10 + (s->p[n] - '0');
	*s = str_from(*s, n);
	return n > 0;
}

static bool footer_char(struct str *s, char c)
{
	if (s->n == 0 || s->p[0] != c) return false;
	*s = str_from(*s, 1);
	return true;
}

/* [+-]hh[:mm[:ss]] */
static bool footer_seconds(struct str *s, int32_t *out)
{
	bool neg = footer_char(s, '-');
	int h, m = 0, sec = 0;
	if (!neg) footer_char(s, '+');
	if (!footer_int(s, &h)) return false;
	if (footer_char(s, ':') && !footer_int(s, &m)) return false;
	if (footer_char(s, ':') && !footer_int(s, &sec)) return false;
	*out = (h * 60 + m) * 60 + sec;
	if (neg) *out = -*out;
	return true;
}

static bool footer_change(struct str *s, struct change *c)
{
	if (!footer_char(s, ',')) return false;
	c->kind = footer_char(s, 'M') ? 'M' : footer_char(s, 'J') ? 'J' : 'N';
	if (c->kind == 'M') {
		if (!footer_int(s, &c->month) || !footer_char(s, '.') || !footer_int(s, &c->week) ||
		    !footer_char(s, '.') || !footer_int(s, &c->day))
			return false;
		if (c->month < 1 || c->month > 12 || c->week < 1 || c->week > 5 || c->day > 6) return false;
	} else if (!footer_int(s, &c->day)) {
		return false;
	}
	c->at = 2 * 3600;
	return !footer_char(s, '/') || footer_seconds(s, &c->at);
}

static bool parse_footer(struct tz *z, struct str s)
{
	int32_t off;
	if (!footer_name(&s, z->std_abbr) || !footer_seconds(&s, &off)) return false;
	z->std = (struct type){-off, z->std_abbr};
	z->footer = true;
	if (s.n == 0) return true;
	if (!footer_name(&s, z->dst_abbr)) return false;
	z->dst = (struct type){z->std.offset + 3600, z->dst_abbr};
	if (s.n && s.p[0] != ',') {
		if (!footer_seconds(&s, &off)) return false;
		z->dst.offset = -off;
	}
	z->rules = footer_change(&s, &z->start) && footer_change(&s, &z->end);
	return z->rules;
}

static int64_t day_seconds(int64_t year, int mon, int day)
{
	struct units_civil c = {.year = year, .mon = mon, .day = day};
	return units_from_civil(&c) / UNITS_SEC;
}

/* Wall clock seconds of a change in a year. */
static int64_t change_at(const struct change *c, int64_t year)
{
	if (c->kind == 'N') return day_seconds(year, 1, 1) + (int64_t)c->day * 86400 + c->at;
	if (c->kind == 'J') {
		bool leap = day_seconds(year, 3, 1) - day_seconds(year, 2, 28) > 86400;
		return day_seconds(year, 1, 1) + (int64_t)(c->day - 1 + (leap && c->day >= 60)) * 86400 + c->at;
	}
	int64_t first = day_seconds(year, c->month, 1);
	int wday = (int)((first / 86400 % 7 + 11) % 7); /* the epoch was a Thursday */
	int day = (c->day - wday + 7) % 7 + (c->week - 1) * 7;
	int64_t next = c->month == 12 ? day_seconds(year + 1, 1, 1) : day_seconds(year, c->month + 1, 1);
	while (first + (int64_t)day * 86400 >= next) day -= 7;
	return first + (int64_t)day * 86400 + c->at;
}

static struct tz_rule footer_at(const struct tz *z, int64_t utc, int64_t from)
{
	struct tz_rule r = {z->std.offset, z->std.abbr, from, INT64_MAX};
	if (!z->rules) return r;
	struct units_civil c;
	/* Zones beyond what nanoseconds can say keep standard time. */
	if (utc > INT64_MAX / UNITS_SEC - 86400 * 366 || utc < INT64_MIN / UNITS_SEC + 86400 * 366) return r;
	units_civil((utc + z->std.offset) * UNITS_SEC, &c);
	for (int64_t y = c.year - 1; y <= c.year + 1; y++) {
		int64_t on = change_at(&z->start, y) - z->std.offset, off = change_at(&z->end, y) - z->dst.offset;
		int64_t edges[2] = {on < off ? on : off, on < off ? off : on};
		for (int i = 0; i < 2; i++) {
			if (edges[i] > utc) {
				r.to = edges[i];
				return r;
			}
			struct type t = edges[i] == on ? z->dst : z->std;
			r = (struct tz_rule){t.offset, t.abbr, edges[i] > from ? edges[i] : from, INT64_MAX};
		}
	}
	return r;
}

/* ---- TZif ---- */

/* Parses one data block with times of `width` bytes. False: it does not hold together. */
static bool parse_block(struct tz *z, struct str s, size_t width, size_t *used)
{
	if (s.n < 44) return false;
	size_t isutc = be32(s.p + 20), isstd = be32(s.p + 24), leap = be32(s.p + 28), times = be32(s.p + 32),
	       types = be32(s.p + 36), chars = be32(s.p + 40);
	if (times > 10000 || types > 256 || chars > 10000 || leap > 10000 || isutc > 256 || isstd > 256 || types == 0)
		return false;
	size_t need = 44 + times * (width + 1) + types * 6 + chars + leap * (width + 4) + isstd + isutc;
	*used = need;
	if (s.n < need) return false;
	const char *p = s.p + 44, *idx = p + times * width, *tt = idx + times, *ab = tt + types * 6;
	z->when = mem_realloc(z->when, (times + 1) * sizeof *z->when);
	z->which = mem_realloc(z->which, times + 1);
	z->types = mem_realloc(z->types, types * sizeof *z->types);
	free(z->abbrs);
	z->abbrs = mem_strndup("", 0);
	z->abbrs = mem_realloc(z->abbrs, chars + 1);
	memcpy(z->abbrs, ab, chars);
	z->abbrs[chars] = 0;
	z->n = times;
	z->ntypes = types;
	for (size_t i = 0; i < times; i++) {
		z->when[i] = width == 8 ? be64(p + i * 8) : (int32_t)be32(p + i * 4);
		z->which[i] = (uint8_t)idx[i];
		if (z->which[i] >= types || (i && z->when[i] < z->when[i - 1])) return false;
	}
	for (size_t i = 0; i < types; i++) {
		unsigned char a = (unsigned char)tt[i * 6 + 5];
		if (a > chars) return false;
		z->types[i] = (struct type){(int32_t)be32(tt + i * 6), z->abbrs + a};
		if (z->types[i].offset > 86400 || z->types[i].offset < -86400) return false;
	}
	return true;
}

static bool parse_tzif(struct tz *z, struct str s)
{
	size_t used;
	if (s.n < 44 || memcmp(s.p, "TZif", 4) != 0) return false;
	bool v2 = s.p[4] >= '2';
	if (!parse_block(z, s, 4, &used)) return false;
	if (!v2) return true;
	s = str_from(s, used);
	if (!parse_block(z, s, 8, &used)) return false;
	s = str_from(s, used);
	ssize_t end;
	if (s.n < 2 || s.p[0] != '\n' || (end = str_chr(str_from(s, 1), '\n')) < 0) return false;
	return end == 0 || parse_footer(z, str_sub(s, 1, (size_t)end + 1));
}

static bool name_is_safe(struct str s)
{
	return s.n < 256 && s.p[0] != '/' && str_find(s, STR("..")) < 0 && str_chr(s, '\\') < 0 && str_chr(s, '\0') < 0;
}

struct tz *tz_new(struct str name, struct err *e)
{
	struct buf path = {0}, data = {0};
	struct err read = ERR_INIT;
	struct tz *z = mem_zalloc(sizeof *z);
	const char *env = getenv("TZ");
	if (name.n == 0 || str_eqc(name, "UTC")) return z;
	bool local = str_eqc(name, "Local");
	if (local && env) name = str_c(env[0] == ':' ? env + 1 : env);
	if (local && env && (name.n == 0 || str_eqc(name, "UTC"))) return z;
	bool ok = name_is_safe(name);
	if (local && !env)
		buf_c(&path, "/etc/localtime");
	else
		buf_printf(&path, "/usr/share/zoneinfo/%.*s", STR_ARG(name));
	ok = ok && fs_read_file(&fs_real, buf_cstr(&path), TZ_FILE_MAX, &data, &read) && parse_tzif(z, buf_view(&data));
	buf_free(&path);
	buf_free(&data);
	if (ok) return z;
	tz_free(z);
	if (local) return mem_zalloc(sizeof *z); /* no zone is set on this machine: UTC */
	err_set(e, ERR_INVALID, "unknown time zone %.*s", STR_ARG(name));
	return NULL;
}

void tz_free(struct tz *z)
{
	if (!z) return;
	free(z->when);
	free(z->which);
	free(z->types);
	free(z->abbrs);
	free(z);
}

struct tz_rule tz_at(const struct tz *z, int64_t utc)
{
	struct tz_rule r = {0, "UTC", INT64_MIN, INT64_MAX};
	if (!z || (z->ntypes == 0 && !z->footer)) return r;
	if (z->n == 0 || utc < z->when[0]) {
		if (z->n == 0 && z->footer) return footer_at(z, utc, INT64_MIN);
		return (struct tz_rule){z->types[0].offset, z->types[0].abbr, INT64_MIN, z->n ? z->when[0] : INT64_MAX};
	}
	size_t lo = 0, hi = z->n; /* when[lo] <= utc < when[hi] */
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;
		if (z->when[mid] <= utc)
			lo = mid;
		else
			hi = mid;
	}
	if (hi == z->n && z->footer) return footer_at(z, utc, z->when[lo]);
	const struct type *t = &z->types[z->which[lo]];
	return (struct tz_rule){t->offset, t->abbr, z->when[lo], hi < z->n ? z->when[hi] : INT64_MAX};
}

int64_t tz_to_utc(const struct tz *z, int64_t wall)
{
	struct tz_rule r = tz_at(z, wall);
	if (r.offset == 0) return wall;
	int64_t utc = wall - r.offset;
	if (utc < r.from || utc >= r.to) utc = wall - tz_at(z, utc).offset;
	return utc;
}

bool tz_abbr(const struct tz *z, struct str abbr, int64_t wall, int32_t *offset)
{
	if (!z) return false;
	const struct type footer[2] = {z->std, z->dst};
	for (int pass = 0; pass < 2; pass++) { /* first where the abbreviation holds then, else any time */
		for (size_t i = 0; i < z->ntypes + 2; i++) {
			const struct type *t = i < z->ntypes ? &z->types[i] : &footer[i - z->ntypes];
			if (!t->abbr || !str_eqc(abbr, t->abbr)) continue;
			struct tz_rule r = tz_at(z, wall - t->offset);
			if (pass == 0 && !str_eqc(abbr, r.abbr)) continue;
			*offset = pass == 0 ? r.offset : t->offset;
			return true;
		}
	}
	return false;
}
