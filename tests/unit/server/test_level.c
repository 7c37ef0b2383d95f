/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/distributor/level.h"

#include "tests/unit/check.h"

#include <stdlib.h>

static struct arena conf, a;
static struct limits limits;
static struct level_rules rules;
static const struct labels none;

static int setup(void **state)
{
	(void)state;
	arena_init(&conf, 0);
	arena_init(&a, 0);
	conf_defaults(&limits_table, &limits, &conf);
	level_rules_init(&rules, &limits);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&conf);
	arena_free(&a);
	return 0;
}

static struct str detect(struct str line) { return level_detect(&rules, STR_NULL, &none, line, &a); }

static const char *const lines[][2] = {
	/* logfmt */
	{"level=error x", "error"},
	{"lvl=warn", "warn"},
	{"x=1 lvl=inf", "info"},
	{"level=\"WARN\" a", "warn"},
	{"caller level=DEBUG", "debug"},
	{"level=weird", "unknown"},
	{"level=weird then an error", "error"},
	{"a=\"level=error\" b=2", "error"}, /* the word, not the field */
	{"a=\"x level=trace\" level=warn", "warn"},
	{"msg=\"an error\" level=info", "info"},
	{"sublevel=error", "error"},
	{"level= error", "error"},
	{"bad\"pair level=warn", "warn"},
	{"a=1 level", "unknown"},
	{"a=\"unterminated level=warn", "warn"},
	/* JSON */
	{"{\"level\":\"info\"}", "info"},
	{" {\"level\":\"info\"}\n", "info"},
	{"{\"severity\":\"CRITICAL\"}", "critical"},
	{"{\"a\":{\"level\":\"dbg\"}}", "debug"},
	{"{\"a\":{\"b\":{\"level\":\"warn\"}}}", "warn"}, /* as a word: too deep for a field */
	{"{\"a\":{\"b\":{\"level\":\"wrn\"}}}", "unknown"},
	{"{\"a\":[1,{\"level\":\"wrn\"}],\"lvl\":\"err\"}", "error"},
	{"{\"level\":\"\\u0065rr\\u006fr\"}", "error"},
	{"{\"level\": broken", "unknown"},
	{"{\"msg\":\"error\"}", "error"},
	{"{\"msg\":\"error\",\"level\":\"info\"}", "info"},
	{"{\"level\":5,\"lvl\":\"wrn\"}", "unknown"},
	{"{\"xlevel\":\"wrn\",\"lvl\":\"dbg\"}", "debug"},
	{"{\"level\" : \"wrn\"}", "warn"},
	{"{}", "unknown"},
	/* words */
	{"ERROR something", "error"},
	{"warning: x", "warn"},
	{"fatal crash", "fatal"},
	{"trace z", "trace"},
	{"debug y", "debug"},
	{"INFO ok", "info"},
	{"no error", "error"},
	{"err: no", "error"},
	{"a CRITICAL b", "critical"},
	{"[E] x", "unknown"},
	{"errors=0", "unknown"},
	{"terror infos", "unknown"},
	{"error_count", "unknown"},
	{"error1", "unknown"},
	{"xerror error", "error"},
	{"info error", "info"},
	{"wrn dbg trc inf", "unknown"}, /* short forms count in fields only */
	{"x\xc3\xa9"
	 "error",
	 "error"},
	{"nothing here", "unknown"},
	{"", "unknown"},
};

static void from_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct str got = detect(str_c(lines[i][0]));
		if (!str_eqc(got, lines[i][1]))
			fail_msg("%s: got %.*s, want %s", lines[i][0], STR_ARG(got), lines[i][1]);
	}
}

/* A word is found wherever it stands, and nothing that only looks like one. */
static void words_at_every_offset(void **state)
{
	static const char *const words[][2] = {{"error", "error"},  {"Err", "error"},   {"WARN", "warn"},
					       {"warning", "warn"}, {"info", "info"},   {"Debug", "debug"},
					       {"trace", "trace"},  {"fatal", "fatal"}, {"critical", "critical"},
					       {"Info\x01", "info"}};
	(void)state;
	char *line = mem_alloc(160);
	for (size_t w = 0; w < COUNT(words); w++)
		for (size_t n = strlen(words[w][0]), at = 0; at + n < 80; at++)
			for (size_t end = at + n; end < at + n + 20; end += 3) {
				char *own = line + 160 - end; /* ends where the memory does */
				memset(own, ' ', end);
				memcpy(own + at, words[w][0], n);
				check_str(detect(str_of(own, end)), str_c(words[w][1]));
				if (words[w][0][n - 1] == 1) continue;
				if (end > at + n)
					own[at + n] = 'x';
				else if (at)
					own[at - 1] = '_';
				else
					continue;
				check_str(detect(str_of(own, end)), STR("unknown"));
			}
	free(line);
}

static void metadata_and_labels_come_first(void **state)
{
	(void)state;
	struct label sev = {STR("severity"), STR("WARNING")}, odd = {STR("level"), STR("LOUD")};
	struct label det = {STR("detected_level"), STR("Fatal")};
	check_str(level_detect(&rules, STR_NULL, &(struct labels){&sev, 1}, STR("info x"), &a), STR("warn"));
	check_str(level_detect(&rules, STR("error"), &(struct labels){&sev, 1}, STR("info x"), &a), STR("error"));
	check_str(level_detect(&rules, STR("error"), &(struct labels){&det, 1}, STR("info x"), &a), STR("fatal"));
	check_str(level_of_labels(&rules, &(struct labels){&odd, 1}), STR("LOUD"));
	assert_null(level_of_labels(&rules, &none).p);
}

static void otlp_severities(void **state)
{
	(void)state;
	static const char *const rows[][2] = {{"1", "trace"},   {"4", "trace"},  {"5", "debug"},  {"12", "info"},
					      {"13", "warn"},   {"17", "error"}, {"24", "fatal"}, {"25", "unknown"},
					      {"0", "unknown"}, {"x", "info"}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct label v[] = {{STR("severity_number"), str_c(rows[i][0])},
				    {STR("severity_text"), STR("critical")}};
		check_str(level_detect(&rules, STR_NULL, &(struct labels){v, 1}, STR("error x"), &a),
			  str_c(rows[i][1]));
		check_str(level_detect(&rules, STR_NULL, &(struct labels){v, 2}, STR("error x"), &a), STR("critical"));
	}
}

/* The names are a setting. */
static void other_fields(void **state)
{
	(void)state;
	struct str names[] = {STR("prio"), STR("a.b")};
	struct limits own = limits;
	own.log_level_fields = (struct conf_strs){names, 2};
	struct level_rules other;
	level_rules_init(&other, &own);
	check_str(level_detect(&other, STR_NULL, &none, STR("prio=wrn level=error"), &a), STR("warn"));
	check_str(level_detect(&other, STR_NULL, &none, STR("{\"a.b\":\"dbg\"}"), &a), STR("debug"));
	own.log_level_fields.n = 0;
	level_rules_init(&other, &own);
	check_str(level_detect(&other, STR_NULL, &none, STR("level=wrn x"), &a), STR("unknown"));
	own.log_level_from_json_max_depth = 1;
	own.log_level_fields.n = 1;
	level_rules_init(&other, &own);
	check_str(level_detect(&other, STR_NULL, &none, STR("{\"x\":{\"prio\":\"wrn\"}}"), &a), STR("unknown"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_lines),
		cmocka_unit_test(words_at_every_offset),
		cmocka_unit_test(metadata_and_labels_come_first),
		cmocka_unit_test(otlp_severities),
		cmocka_unit_test(other_fields),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
