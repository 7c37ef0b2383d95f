/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define T "{regex: {expression: '^(?P<t>[^|]*)\\|'}}, "

static void parses(void **state)
{
	static const struct {
		const char *format, *text;
		int64_t want;
	} rows[] = {
		{"Unix", "1793527200", 1793527200000000000},
		{"Unix", "1793527201.5", 1793527201500000000},
		{"Unix", "+7.0000000019", 7000000001},
		{"UnixMs", "1793527200123", 1793527200123000000},
		{"UnixUs", "1793527200123456", 1793527200123456000},
		{"UnixNs", "-1", -1},
		{"RFC3339", "2026-11-01T10:00:00.5Z", 1793527200500000000},
		{"ANSIC", "Sun Nov  1 10:00:00 2026", 1793527200000000000},
		{"RFC1123Z", "Sun, 01 Nov 2026 10:00:00 +0000", 1793527200000000000},
		{"RFC822", "01 Nov 26 10:00 UTC", 1793527200000000000},
		{"RFC850", "Sunday, 01-Nov-26 10:00:00 UTC", 1793527200000000000},
		{"01/02/2006 03:04:05 PM", "11/01/2026 12:00:00 AM", 1793491200000000000},
		{"2006-01-02 15:04:05,000", "2026-11-01 10:00:00,123", 1793527200123000000},
		{"Jan _2 15:04:05", "Oct 31 23:59:59", 1793491199000000000}, /* the clock says 2026 */
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char stages[256], line[128], want[256];
		snprintf(stages, sizeof stages, "[" T "{timestamp: {source: t, format: '%s'}}]", rows[i].format);
		snprintf(line, sizeof line, "%s|", rows[i].text);
		snprintf(want, sizeof want, "{job=\"t\"} %s @%lld\n", line, (long long)rows[i].want);
		check_stages(stages, LINES(line), want);
	}
}

static void unparsable_stays_or_is_fudged(void **state)
{
	static const char *const bad[] = {"x", "", "1.", "1.2.3", "1e3", "99999999999999999999", "9300000000"};
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char line[64], want[128];
		snprintf(line, sizeof line, "%s|", bad[i]);
		snprintf(want, sizeof want, "{job=\"t\"} %s\n", line);
		check_stages("[" T "{timestamp: {source: t, format: Unix}}]", LINES(line), want);
	}
	check_stages("[" T "{timestamp: {source: t, format: RFC3339}}]",
		     LINES("first", "2026-11-01T10:00:00Z|a", "bad|b", "c"),
		     "{job=\"t\"} first\n{job=\"t\"} 2026-11-01T10:00:00Z|a @1793527200000000000\n"
		     "{job=\"t\"} bad|b @1793527200000000001\n{job=\"t\"} c @1793527200000000002\n");
	check_stages("[" T "{timestamp: {source: t, format: RFC3339, action_on_failure: skip}}]",
		     LINES("2026-11-01T10:00:00Z|a", "bad|b"),
		     "{job=\"t\"} 2026-11-01T10:00:00Z|a @1793527200000000000\n{job=\"t\"} bad|b\n");
}

static void fudges_per_label_set(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: '^(?P<l>\\w)(?P<t>\\d*)'}}, {labels: {l: }}, {timestamp: {source: t, "
		     "format: UnixNs}}]",
		     LINES("a100", "b200", "a", "b", "a", "c"),
		     "{job=\"t\", l=\"a\"} a100 @100\n{job=\"t\", l=\"b\"} b200 @200\n{job=\"t\", l=\"a\"} a @101\n"
		     "{job=\"t\", l=\"b\"} b @201\n{job=\"t\", l=\"a\"} a @102\n{job=\"t\", l=\"c\"} c\n");
}

static void falls_back(void **state)
{
	(void)state;
	check_stages("[" T "{timestamp: {source: t, format: RFC3339, fallback_formats: [Unix, '2006-01-02']}}]",
		     LINES("7|", "1970-01-02|"),
		     "{job=\"t\"} 7| @7000000000\n{job=\"t\"} 1970-01-02| @86400000000000\n");
}

static void a_location_is_for_own_layouts(void **state)
{
	(void)state;
	check_stages("[" T "{timestamp: {source: t, format: '2006-01-02 15:04', location: Europe/Berlin}}]",
		     LINES("2026-11-01 11:00|"), "{job=\"t\"} 2026-11-01 11:00| @1793527200000000000\n");
	check_stages("[" T "{timestamp: {source: t, format: ANSIC, location: Europe/Berlin}}]",
		     LINES("Sun Nov  1 10:00:00 2026|"),
		     "{job=\"t\"} Sun Nov  1 10:00:00 2026| @1793527200000000000\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{timestamp: {format: RFC3339}}]",
		      "agent.yaml:1:14: stage timestamp: source must be set: name the extracted value with the time");
	check_refused("[{timestamp: {source: a}}]",
		      "agent.yaml:1:14: stage timestamp: format must be set, for example RFC3339, Unix or a Go layout");
	check_refused("[{timestamp: {source: a, format: RFC3339, location: Mars/X}}]",
		      "agent.yaml:1:53: stage timestamp: location: unknown time zone Mars/X");
	check_refused("[{timestamp: {source: a, format: RFC3339, action_on_failure: boom}}]",
		      "agent.yaml:1:62: stage timestamp: action_on_failure must be fudge or skip, not \"boom\"");
	check_refused("[{timestamp: {source: a, format: 'not a layout'}}]", "");
}

static void in_alloy(void **state)
{
	(void)state;
	/* Equal times follow each other; the time of the text is what they are compared with. */
	check_stages(ALLOY "[{timestamp: {source: t, format: Unix}}]", LINES("x"), "{job=\"t\"} x\n");
	check_stages(ALLOY "[{regex: {expression: '(?P<t>\\d*)'}}, {timestamp: {source: t, format: Unix}}]",
		     LINES("9", "9", "9", "x", "9", "8", "9"),
		     "{job=\"t\"} 9 @9000000000\n{job=\"t\"} 9 @9000000001\n{job=\"t\"} 9 @9000000002\n"
		     "{job=\"t\"} x @9000000003\n{job=\"t\"} 9 @9000000004\n{job=\"t\"} 8 @8000000000\n"
		     "{job=\"t\"} 9 @9000000000\n");
	check_stages(ALLOY "[{regex: {expression: '(?P<t>\\d*)'}}, {timestamp: {source: t, format: Unix, "
			   "action_on_failure: skip, action_on_duplicate_timestamp: keep}}]",
		     LINES("9", "9"), "{job=\"t\"} 9 @9000000000\n{job=\"t\"} 9 @9000000000\n");
	check_refused(
		ALLOY "[{timestamp: {source: t, format: Unix, action_on_duplicate_timestamp: x}}]",
		"agent.yaml:2:71: stage timestamp: action_on_duplicate_timestamp: expected keep or fudge, found \"x\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),     cmocka_unit_test(unparsable_stays_or_is_fudged),
		cmocka_unit_test(falls_back), cmocka_unit_test(fudges_per_label_set),
		cmocka_unit_test(refuses),    cmocka_unit_test(a_location_is_for_own_layouts),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
