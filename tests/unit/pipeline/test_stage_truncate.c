/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define NOTED ", {labels: {truncated: }}]"

static void lines_are_cut(void **state)
{
	(void)state;
	check_stages("[{truncate: {rules: [{limit: 4}]}}" NOTED, LINES("abcde", "abcd", ""),
		     "{job=\"t\", truncated=\"line\"} abcd\n{job=\"t\"} abcd\n{job=\"t\"} \n");
	/* no room for the suffix: cut, though the line is not over the limit */
	check_stages("[{truncate: {rules: [{limit: 5, suffix: ..}]}}]", LINES("abc", "abcd", "abcdef"),
		     "{job=\"t\"} abc\n{job=\"t\"} abc..\n{job=\"t\"} abc..\n");
}

static void characters_stay_whole(void **state)
{
	(void)state;
	check_stages("[{truncate: {rules: [{limit: 4}]}}]",
		     LINES("abc\xc3\xa4", "\xf0\x9f\x98\x80\xf0\x9f\x98\x80", "ab\xc3\xa4x"),
		     "{job=\"t\"} abc\n{job=\"t\"} \xf0\x9f\x98\x80\n{job=\"t\"} ab\xc3\xa4\n");
}

static void labels_are_cut(void **state)
{
	(void)state;
	check_stages(
		"[{static_labels: {a: long value, b: long value}}, {truncate: {rules: [{limit: 4, source_type: label, "
		"sources: [a, none]}]}}" NOTED,
		LINES("x"), "{a=\"long\", b=\"long value\", job=\"t\", truncated=\"label\"} x\n");
	check_stages("[{static_labels: {a: long value, b: long value}}, "
		     "{truncate: {rules: [{limit: 4, source_type: label}]}}]",
		     LINES("x"), "{a=\"long\", b=\"long\", job=\"t\"} x\n");
}

static void metadata_is_cut(void **state)
{
	(void)state;
	check_stages(
		"[{regex: {expression: '(?P<a>.*) (?P<b>.*)'}}, {structured_metadata: {a: , b: }}, {truncate: {rules: "
		"[{limit: 3, source_type: structured_metadata, sources: [b]}]}}" NOTED,
		LINES("1234 5678"),
		"{job=\"t\", truncated=\"structured_metadata\"} 1234 5678 {a=\"1234\", b=\"567\"}\n");
}

static void extracted_values_are_cut(void **state)
{
	(void)state;
	check_stages(
		"[{static_labels: {job: x}}, {regex: {expression: '(?P<a>.*) (?P<b>.*)'}}, "
		"{truncate: {rules: [{limit: 3, suffix: '!', source_type: extracted}]}}, {labels: {a: , b: , job: }}]",
		LINES("1234 5"), "{a=\"12!\", b=\"5\", job=\"t\"} 1234 5\n");
	check_stages("[{json: {expressions: {a: }}}, {truncate: {rules: [{limit: 1, source_type: extracted}]}}, "
		     "{labels: {a: }}]",
		     LINES("{\"a\": 123}"), "{a=\"123\", job=\"t\"} {\"a\": 123}\n"); /* no text */
}

static void kinds_are_noted_together(void **state)
{
	(void)state;
	check_stages(
		"[{truncate: {rules: [{limit: 2}]}}, {truncate: {rules: [{limit: 9}]}}, {static_labels: {a: abc}}, "
		"{truncate: {rules: [{limit: 2, source_type: label}]}}" NOTED,
		LINES("abc"), "{a=\"ab\", job=\"t\", truncated=\"label,line\"} ab\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{truncate: {}}]",
		      "agent.yaml:1:13: stage truncate: at least one rule must be given, as {limit: 8KB}");
	check_refused("[{truncate: {rules: [{suffix: a}]}}]",
		      "agent.yaml:1:21: stage truncate: limit must be set, to more than 0 bytes");
	check_refused("[{truncate: {rules: [{limit: 3, suffix: abc}]}}]",
		      "agent.yaml:1:21: stage truncate: the suffix must be shorter than the limit");
	check_refused(
		"[{truncate: {rules: [{limit: 1KB, sources: [a]}]}}]",
		"agent.yaml:1:21: stage truncate: sources name labels or values; set source_type or leave them out");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_cut),
		cmocka_unit_test(characters_stay_whole),
		cmocka_unit_test(labels_are_cut),
		cmocka_unit_test(metadata_is_cut),
		cmocka_unit_test(extracted_values_are_cut),
		cmocka_unit_test(kinds_are_noted_together),
		cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
