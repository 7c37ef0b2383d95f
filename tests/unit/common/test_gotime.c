/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/gotime.h"

#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Parses text with a layout in a zone and prints the time as RFC 3339 with nanoseconds, UTC; or the error. */
static const char *parsed(const char *layout, const char *zone, const char *text)
{
	static struct buf b;
	struct err e = ERR_INIT;
	int64_t ns;
	struct gotime_layout *l = gotime_layout_new(gotime_alias(str_c(layout)));
	struct tz *z = tz_new(str_c(zone), &e);
	assert_non_null(z);
	buf_clear(&b);
	if (gotime_parse(l, z, str_c(text), &ns, &e)) units_rfc3339nano_print(&b, ns);
	else buf_c(&b, e.msg);
	gotime_layout_free(l);
	tz_free(z);
	static char out[512];
	snprintf(out, sizeof out, "%s", buf_cstr(&b));
	buf_free(&b);
	return out;
}

static void parses(void **state)
{
	static const struct { const char *layout, *zone, *text, *want; } rows[] = {
		{"RFC3339", "", "2026-11-01T10:00:00Z", "2026-11-01T10:00:00Z"},
		{"RFC3339", "", "2026-11-01T10:00:00.123456789+02:00", "2026-11-01T08:00:00.123456789Z"},
		{"RFC3339Nano", "", "2026-11-01T10:00:00-00:30", "2026-11-01T10:30:00Z"},
		{"ANSIC", "", "Sun Nov  1 10:00:00 2026", "2026-11-01T10:00:00Z"},
		{"ANSIC", "", "Fri Nov 1 10:00:00 2026", "2026-11-01T10:00:00Z"}, /* the weekday is not checked */
		{"RFC1123Z", "", "Sun, 01 Nov 2026 10:00:00 +0100", "2026-11-01T09:00:00Z"},
		{"RFC822", "", "01 Nov 26 10:00 UTC", "2026-11-01T10:00:00Z"},
		{"RFC822", "", "01 Nov 69 10:00 EST", "1969-11-01T10:00:00Z"}, /* unknown there: offset 0 */
		{"RFC822", "America/New_York", "01 Nov 26 10:00 EST", "2026-11-01T15:00:00Z"},
		{"RFC822", "", "01 Nov 26 10:00 GMT+3", "2026-11-01T07:00:00Z"},
		{"RFC850", "", "Sunday, 01-Nov-26 10:00:00 UTC", "2026-11-01T10:00:00Z"},
		{"2006-01-02 15:04:05,000", "", "2026-11-01 10:00:00,123", "2026-11-01T10:00:00.123Z"},
		{"2006-01-02 15:04:05", "", "2026-11-01 10:00:00.5", "2026-11-01T10:00:00.5Z"},
		{"2006-01-02 15:04:05.999", "", "2026-11-01 10:00:00", "2026-11-01T10:00:00Z"},
		{"01/02/2006 03:04:05 PM", "", "11/01/2026 12:00:00 AM", "2026-11-01T00:00:00Z"},
		{"1/2/2006 3:04PM", "", "11/1/2026 1:02PM", "2026-11-01T13:02:00Z"},
		{"02/Jan/2006:15:04:05 -0700", "", "01/nov/2026:10:00:00 -0800", "2026-11-01T18:00:00Z"},
		{"2006-002", "", "2026-305", "2026-11-01T00:00:00Z"},
		{"2006-01-02 15:04", "Europe/Berlin", "2026-07-01 12:00", "2026-07-01T10:00:00Z"},
		{"2006-01-02 15:04", "Europe/Berlin", "2026-12-01 12:00", "2026-12-01T11:00:00Z"},
		{"2006-01-02 15:04", "Europe/Berlin", "2200-07-01 12:00", "2200-07-01T10:00:00Z"}, /* beyond the table: the footer */
		{"2006-01-02 15:04", "America/New_York", "2026-03-08 02:30", "2026-03-08T06:30:00Z"}, /* does not exist */
		{"2006-01-02 15:04", "Asia/Kolkata", "2026-01-01 00:00", "2025-12-31T18:30:00Z"},
		{"Mon Jan 02 15:04:05 Z07:00 2006", "", "Sun Nov 01 10:00:00 +05:30 2026", "2026-11-01T04:30:00Z"},
		{"2006", "", "x", "parsing time \"x\" as \"2006\": cannot parse \"x\" as \"2006\""},
		{"2006-01-02", "", "2026-13-01", "parsing time \"2026-13-01\": month out of range"},
		{"2006-01-02", "", "2026-02-29", "parsing time \"2026-02-29\": day out of range"},
		{"2006-01-02", "", "2026-02-28 ", "parsing time \"2026-02-28 \": extra text: \" \""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *got = parsed(rows[i].layout, rows[i].zone, rows[i].text);
		if (strcmp(got, rows[i].want)) fail_msg("%s of %s in %s: got %s, want %s", rows[i].text, rows[i].layout, rows[i].zone, got, rows[i].want);
	}
}

static void a_missing_year_is_the_nearest(void **state)
{
	static const struct { const char *now, *text, *want; } rows[] = {
		{"2026-06-01T00:00:00Z", "Jun  2 10:00:00", "2026-06-02T10:00:00Z"},
		{"2026-01-01T00:00:05Z", "Dec 31 23:59:59", "2025-12-31T23:59:59Z"},
		{"2025-12-31T23:59:59Z", "Jan  1 00:00:01", "2026-01-01T00:00:01Z"},
	};
	struct gotime_layout *l = gotime_layout_new(STR("Jan _2 15:04:05"));
	(void)state;
	assert_false(gotime_layout_has_year(l));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = ERR_INIT;
		int64_t now = 0, want = 0, ns = 0;
		assert_true(units_rfc3339(str_c(rows[i].now), &now, &e) && units_rfc3339(str_c(rows[i].want), &want, &e));
		assert_true(gotime_parse_near(l, NULL, str_c(rows[i].text), now, &ns, &e));
		assert_int_equal(ns, want);
	}
	gotime_layout_free(l);
}

static void formats(void **state)
{
	static const struct { const char *layout, *zone, *want; } rows[] = {
		{"RFC3339Nano", "", "2026-11-01T08:05:09.12Z"},
		{"RFC3339", "Europe/Berlin", "2026-11-01T09:05:09+01:00"},
		{"Monday, 02-Jan-06 15:04:05 MST", "America/New_York", "Sunday, 01-Nov-26 03:05:09 EST"},
		{"3:4:5 PM .000 .999 002 __2 _2 2 January", "", "8:5:9 AM .120 .12 305 305  1 1 November"},
		{"06/1/2 Z0700 -07 -07:00:00", "Asia/Kolkata", "26/11/1 +0530 +05 +05:30:00"},
		{"_2006 Janx Mon Monx", "", "_2026 Janx Sun Monx"},
	};
	int64_t ns = INT64_C(1793520309) * UNITS_SEC + 120 * UNITS_MS;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = ERR_INIT;
		struct buf b = {0};
		struct gotime_layout *l = gotime_layout_new(gotime_alias(str_c(rows[i].layout)));
		struct tz *z = tz_new(str_c(rows[i].zone), &e);
		assert_non_null(z);
		gotime_format(l, z, ns, &b);
		if (strcmp(buf_cstr(&b), rows[i].want)) fail_msg("%s: got %s, want %s", rows[i].layout, buf_cstr(&b), rows[i].want);
		buf_free(&b);
		gotime_layout_free(l);
		tz_free(z);
	}
}

static void zones(void **state)
{
	struct err e = ERR_INIT;
	(void)state;
	assert_null(tz_new(STR("Mars/X"), &e));
	assert_string_equal(e.msg, "unknown time zone Mars/X");
	assert_null(tz_new(STR("../../etc/passwd"), &e));
	assert_null(tz_new(STR("/etc/localtime"), &e));
	struct tz *z = tz_new(STR("Europe/Berlin"), &e);
	struct tz_rule r = tz_at(z, INT64_C(1793520309));
	assert_int_equal(r.offset, 3600);
	assert_string_equal(r.abbr, "CET");
	int32_t off;
	assert_true(tz_abbr(z, STR("CEST"), INT64_C(1793520309), &off));
	assert_int_equal(off, 7200);
	assert_false(tz_abbr(z, STR("EST"), 0, &off));
	tz_free(z);
	assert_string_equal(tz_at(NULL, 5).abbr, "UTC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses), cmocka_unit_test(a_missing_year_is_the_nearest), cmocka_unit_test(formats), cmocka_unit_test(zones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
