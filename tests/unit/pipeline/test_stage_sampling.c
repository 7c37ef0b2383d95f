/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

static void keeps_all_or_nothing(void **state)
{
	(void)state;
	check_stages("[{sampling: {rate: 1}}]", LINES("a", "b"), "{job=\"t\"} a\n{job=\"t\"} b\n");
	check_stages("[{sampling: {rate: 0}}]", LINES("a", "b"), "");
	check_stages("[{sampling: {}}]", LINES("a"), ""); /* as in Promtail */
}

static void keeps_a_share(void **state)
{
	(void)state;
	struct stage_run r;
	const char *lines[1001] = {0};
	size_t kept = 0;
	assert_true(stage_run_open(&r, "[{sampling: {rate: '0.25'}}]", NULL));
	for (size_t i = 0; i < 1000; i++) lines[i] = "x";
	for (const char *p = stage_run_lines(&r, lines); *p; p++) kept += *p == '\n';
	assert_in_range(kept, 150, 350); /* the fake clock's numbers are the same each time */
	check_str(str_sub(buf_view(&r.dropped), 0, 15), STR("sampling_stage:"));
	stage_run_close(&r);
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{sampling: {rate: 2}}]",
		      "agent.yaml:1:20: stage sampling: rate must be between 0.0 (drop everything) "
		      "and 1.0 (keep everything), not 2.000000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_all_or_nothing), cmocka_unit_test(keeps_a_share),
					   cmocka_unit_test(refuses)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
