/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void numbers_that_pass_are_hidden(void **state)
{
	(void)state;
	check_stages("[{luhn: {}}]",
		     LINES("card 4032032513548443, again 4032032513548443", "card 4032032513548444",
			   "x4032032513548443y", "none"),
		     "{job=\"t\"} card **REDACTED**, again **REDACTED**\n{job=\"t\"} card 4032032513548444\n"
		     "{job=\"t\"} x**REDACTED**y\n{job=\"t\"} none\n");
}

static void length_and_replacement(void **state)
{
	(void)state;
	check_stages("[{luhn: {min_length: 4, replacement: '#'}}]", LINES("18 1818 0018 1819", "79927398713"),
		     "{job=\"t\"} 18 # # 1819\n{job=\"t\"} #\n");
	check_stages("[{luhn: {min_length: 0, replacement: ''}}]", LINES("1818 4032032513548443"),
		     "{job=\"t\"} 1818 **REDACTED**\n");
	/* 2^63 - 1 is the largest number there is; 20 zeros are 0 */
	check_stages("[{luhn: {replacement: '#'}}]",
		     LINES("9223372036854775809 00000000000000000000 18446744073709551617"),
		     "{job=\"t\"} 9223372036854775809 # 18446744073709551617\n");
}

static void delimiters_may_stand_between_digits(void **state)
{
	(void)state;
	check_stages(
		"[{luhn: {delimiters: ' -\xc3\xa4'}}]",
		LINES("pay 4032-0325 1354\xc3\xa4"
		      "8443 now",
		      "4032-0325-1354-8444 now", "4032032513548443-", "1-2"),
		"{job=\"t\"} pay **REDACTED** now\n{job=\"t\"} 4032-0325-1354-8444 now\n{job=\"t\"} **REDACTED**-\n"
		"{job=\"t\"} 1-2\n");
	check_stages("[{luhn: {}}]", LINES("4032-0325-1354-8443"), "{job=\"t\"} 4032-0325-1354-8443\n");
}

static void what_is_skipped_stays(void **state)
{
	(void)state;
	check_stages("[{luhn: {skip_regex: 'id=\\d+'}}]", LINES("id=4032032513548443 4032032513548443 id=1"),
		     "{job=\"t\"} id=4032032513548443 **REDACTED** id=1\n");
	check_stages("[{luhn: {skip_regex: 'q*'}}]", LINES("4032032513548443"), "{job=\"t\"} **REDACTED**\n");
}

static void a_source_becomes_the_line(void **state)
{
	(void)state;
	check_stages("[{regex: {expression: 'n=(?P<num>\\d+)'}}, {luhn: {source: num}}]",
		     LINES("n=4032032513548443 x", "n=1 y", "z"),
		     "{job=\"t\"} **REDACTED**\n{job=\"t\"} 1\n{job=\"t\"} z\n");
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{luhn: {source: ''}}]",
		      "agent.yaml:1:18: stage luhn: source must not be empty; leave it out to look at the line");
	check_refused("[{luhn: {skip_regex: '('}}]",
		      "agent.yaml:1:22: stage luhn: skip_regex: error parsing regexp: missing closing ): `(`");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_that_pass_are_hidden),        cmocka_unit_test(length_and_replacement),
		cmocka_unit_test(delimiters_may_stand_between_digits), cmocka_unit_test(what_is_skipped_stays),
		cmocka_unit_test(a_source_becomes_the_line),           cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
