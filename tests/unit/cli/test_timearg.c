/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/timearg.h"

#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW (INT64_C(1793527200) * UNITS_SEC) /* 2026-11-01T10:00:00Z */

static void reads_times(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
		{"now", NOW},
		{"2026-11-01T10:00:00Z", NOW},
		{"2026-11-01T11:00:00.5+01:00", NOW + 500 * UNITS_MS},
		{"2026-11-01", NOW - 10 * UNITS_HOUR},
		{"1793527200", NOW},
		{"1793527200.25", NOW + 250 * UNITS_MS},
		{"1793527200000000001", NOW + 1},
		{"0", 0},
		{"15m", NOW - 15 * UNITS_MIN},
		{"1d12h", NOW - 36 * UNITS_HOUR},
		{"1.5h", NOW - 90 * UNITS_MIN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = ERR_INIT;
		int64_t ns = -1;

		if (!timearg_parse(str_c(rows[i].text), NOW, &ns, &e)) fail_msg("%s: %s", rows[i].text, e.msg);
		if (ns != rows[i].ns) fail_msg("%s: %lld", rows[i].text, (long long)ns);
	}
}

static void refuses_other_texts(void **state)
{
	static const char *const rows[] = {"",      "yesterday",        "2026-13-01", "-5m",       "1e300",
					   "10:00", "2026-11-01 10:00", ".",          "9999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = ERR_INIT;
		int64_t ns;

		if (timearg_parse(str_c(rows[i]), NOW, &ns, &e)) fail_msg("%s was taken", rows[i]);
		assert_int_equal(e.code, ERR_INVALID);
		assert_true(str_find(str_c(e.msg), str_c(rows[i])) >= 0);
	}
}

static void reads_durations(void **state)
{
	struct err e = ERR_INIT;
	int64_t ns;

	(void)state;
	assert_true(timearg_duration(STR("1w"), &ns, &e));
	assert_int_equal(ns, 7 * UNITS_DAY);
	assert_true(timearg_duration(STR("1m30s"), &ns, &e));
	assert_int_equal(ns, 90 * UNITS_SEC);
	assert_false(timearg_duration(STR("-1h"), &ns, &e));
	assert_false(timearg_duration(STR("5"), &ns, &e));
	assert_false(timearg_duration(STR(""), &ns, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_times),
		cmocka_unit_test(refuses_other_texts),
		cmocka_unit_test(reads_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
