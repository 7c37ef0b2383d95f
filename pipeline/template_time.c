/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Template functions over times and durations. Without a zone of their own they count in UTC. */
#include "common/clock.h"
#include "common/gotime.h"
#include "common/tz.h"
#include "common/units.h"
#include "pipeline/template_funcs.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#define ZERO_TIME_SECONDS INT64_C(-62135596800) /* Go's zero time, year 1 */

static bool give_time(struct tval *out, int64_t ns)
{
	*out = TVAL_OF_TIME(ns);
	return true;
}

/* Go's time.Unix(sec, nsec); what int64 nanoseconds cannot hold is the zero time. */
static int64_t unix_time(int64_t sec, int64_t scale)
{
	int64_t ns;
	return __builtin_mul_overflow(sec, scale, &ns) ? TVAL_ZERO_TIME : ns;
}

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * UNITS_SEC + t.tv_nsec;
}

TEMPLATE_FN(template_fn_timestamp)
{
	(void)argv, (void)argc, (void)e;
	return give_time(out, r->d->ts);
}

TEMPLATE_FN(template_fn_now)
{
	(void)r, (void)argv, (void)argc, (void)e;
	return give_time(out, now());
}

/* ---- layouts ---- */

/* What sprig's date takes: a time, or seconds since the epoch; anything else is now. */
static int64_t as_time(const struct tval *v)
{
	if (v->kind == TVAL_TIME) return v->num;
	return v->kind == TVAL_INT ? unix_time(v->num, UNITS_SEC) : now();
}

/* An unknown zone is UTC. */
static bool format(struct template_run *r, struct str layout, int64_t ns, struct str zone, struct tval *out)
{
	struct err unknown = ERR_INIT;
	struct gotime_layout *l = gotime_layout_new(layout);
	struct tz *z = zone.n ? tz_new(zone, &unknown) : NULL;
	struct buf b = {0};
	gotime_format(l, z, ns == TVAL_ZERO_TIME ? 0 : ns, &b);
	tz_free(z);
	gotime_layout_free(l);
	*out = tval_take(r, &b);
	return true;
}

TEMPLATE_FN(template_fn_date)
{
	(void)argc, (void)e;
	return format(r, argv[0].s, as_time(&argv[1]), STR(""), out);
}

TEMPLATE_FN(template_fn_date_in_zone)
{
	(void)argc, (void)e;
	return format(r, argv[0].s, as_time(&argv[1]), argv[2].s, out);
}

/* Text that is not of the layout gives the zero time. */
static bool parse(struct str layout, struct str zone, struct str text, struct tval *out)
{
	struct err bad = ERR_INIT;
	struct gotime_layout *l = gotime_layout_new(layout);
	struct tz *z = zone.n ? tz_new(zone, &bad) : NULL;
	int64_t ns;
	if (!gotime_parse(l, z, text, &ns, &bad)) ns = TVAL_ZERO_TIME;
	tz_free(z);
	gotime_layout_free(l);
	return give_time(out, ns);
}

TEMPLATE_FN(template_fn_to_date)
{
	(void)r, (void)argc, (void)e;
	return parse(argv[0].s, STR(""), argv[1].s, out);
}

TEMPLATE_FN(template_fn_to_date_in_zone)
{
	(void)r, (void)argc, (void)e;
	return parse(argv[0].s, argv[1].s, argv[2].s, out);
}

/* ---- epochs ---- */

static bool epoch(struct template_run *r, const struct tval *v, int64_t unit, struct tval *out)
{
	int64_t ns = v->num, count = ns / unit - (ns % unit < 0);
	if (ns == TVAL_ZERO_TIME) count = ZERO_TIME_SECONDS * (UNITS_SEC / unit == 1000 ? 1000 : 1);
	*out = TVAL_OF_STR(arena_printf(r->a, "%lld", (long long)count));
	return true;
}

TEMPLATE_FN(template_fn_unix_epoch)
{
	(void)argc, (void)e;
	return epoch(r, &argv[0], UNITS_SEC, out);
}

TEMPLATE_FN(template_fn_unix_epoch_millis)
{
	(void)argc, (void)e;
	return epoch(r, &argv[0], UNITS_MS, out);
}

TEMPLATE_FN(template_fn_unix_epoch_nanos)
{
	(void)argc, (void)e;
	return epoch(r, &argv[0], 1, out);
}

/* The number of digits says the unit. */
TEMPLATE_FN(template_fn_unix_to_time)
{
	static const struct {
		size_t digits;
		int64_t unit;
	} units[] = {{5, UNITS_DAY}, {10, UNITS_SEC}, {13, UNITS_MS}, {16, UNITS_US}, {19, 1}};
	struct str s = argv[0].s, digits = s;
	int64_t v;
	(void)r, (void)argc;
	if (s.n && s.p[0] == '+') digits = str_from(s, 1);
	if (!str_to_i64(digits, &v))
		return err_set(e, ERR_INVALID,
			       "unable to parse time '%.*s': strconv.ParseInt: parsing \"%.*s\": invalid syntax",
			       STR_ARG(s), STR_ARG(s));
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (units[i].digits == s.n) return give_time(out, unix_time(v, units[i].unit));
	return err_set(e, ERR_INVALID, "unable to parse time '%.*s': %%!w(<nil>)", STR_ARG(s));
}

/* ---- durations ---- */

/* LogQL's duration: text to seconds. */
TEMPLATE_FN(template_fn_seconds)
{
	int64_t ns;
	(void)r, (void)argc;
	if (!units_dur_go(argv[0].s, &ns, e)) return false;
	*out = TVAL_OF_FLOAT((double)(ns / UNITS_SEC) + (double)(ns % UNITS_SEC) / 1e9);
	return true;
}

/* sprig's duration: seconds to text. */
TEMPLATE_FN(template_fn_duration)
{
	struct buf b = {0};
	(void)argc, (void)e;
	units_dur_go_print(&b, unix_time(tval_to_int(&argv[0]), UNITS_SEC));
	*out = tval_take(r, &b);
	return true;
}

/* What is no duration leaves the time as it is. */
TEMPLATE_FN(template_fn_date_modify)
{
	int64_t by, ns = argv[1].num;
	struct err bad = ERR_INIT;
	(void)r, (void)argc, (void)e;
	if (ns != TVAL_ZERO_TIME && units_dur_go(argv[0].s, &by, &bad) && __builtin_add_overflow(argv[1].num, by, &ns))
		ns = TVAL_ZERO_TIME;
	return give_time(out, ns);
}
