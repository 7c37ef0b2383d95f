/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/print.h"

#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW (INT64_C(1793527200) * UNITS_SEC + 123456789) /* 2026-11-01T10:00:00.123456789Z */

static struct label pairs[] = {{STR("app"), STR("a\"pi")}, {STR("env"), STR("\x1b[31m")}};
static const struct labels two = {.v = pairs, .n = 2}, none = {0};

static void entry_is(struct cli c, struct str line, struct str want)
{
	struct result_entry entry = {.ts = NOW, .labels = &two, .line = line};

	print_entry(&c, &entry);
	if (!str_eq(buf_view(&c.out), want)) fail_msg("%.*s", STR_ARG(buf_view(&c.out)));
	buf_free(&c.out);
}

static void entries(void **state)
{
	const struct str line = STR("x \x1b[2J\xc2\x9b\t\xc3\xa9\xff");

	(void)state;
	entry_is(
		(struct cli){0}, line,
		STR("2026-11-01T10:00:00.123Z {app=\"a\\\"pi\", env=\"\\x1b[31m\"} x \x1b[2J\xc2\x9b\t\xc3\xa9\xff\n"));
	entry_is((struct cli){.tty = true}, line,
		 STR("2026-11-01T10:00:00.123Z {app=\"a\\\"pi\", env=\"\\x1b[31m\"} x \\x1b[2J\\x9b\t\xc3\xa9\xff\n"));
	entry_is((struct cli){.tty = true, .o.output = OUTPUT_RAW}, line, STR("x \x1b[2J\xc2\x9b\t\xc3\xa9\xff\n"));
	entry_is((struct cli){.o.output = OUTPUT_JSONL}, STR("say \"hi\""),
		 STR("{\"labels\":{\"app\":\"a\\\"pi\",\"env\":\"\\u001b[31m\"},\"timestamp\":\"2026-11-01T10:00:00."
		     "123456789Z\","
		     "\"line\":\"say \\\"hi\\\"\"}\n"));
}

static void colors(void **state)
{
	struct cli c = {.tty = true, .color = true};
	struct result_entry entry = {.ts = NOW, .labels = &none, .line = STR("x")};

	(void)state;
	print_entry(&c, &entry);
	assert_true(str_starts(buf_view(&c.out), STR("\x1b[2m2026-11-01T10:00:00.123Z\x1b[0m \x1b[3")));
	assert_true(str_ends(buf_view(&c.out), STR("{}\x1b[0m x\n")));
	buf_free(&c.out);
}

static void samples_are(struct cli c, struct str want)
{
	const struct result_sample v[] = {{NOW, &none, STR("1.5")}, {NOW + UNITS_SEC, &two, STR("1234567")}};

	print_samples(&c, v, 2);
	if (!str_eq(buf_view(&c.out), want)) fail_msg("%.*s", STR_ARG(buf_view(&c.out)));
	buf_free(&c.out);
}

static void samples(void **state)
{
	(void)state;
	samples_are((struct cli){0}, STR("TIME                        VALUE  SERIES\n"
					 "2026-11-01T10:00:00.123Z      1.5  {}\n"
					 "2026-11-01T10:00:01.123Z  1234567  {app=\"a\\\"pi\", env=\"\\x1b[31m\"}\n"));
	samples_are((struct cli){.o.output = OUTPUT_RAW}, STR("1.5\n1234567\n"));
	samples_are((struct cli){.o.output = OUTPUT_JSONL},
		    STR("{\"metric\":{},\"timestamp\":1793527200.123,\"value\":\"1.5\"}\n"
			"{\"metric\":{\"app\":\"a\\\"pi\",\"env\":\"\\u001b[31m\"},\"timestamp\":1793527201.123,"
			"\"value\":\"1234567\"}\n"));
}

static void names_and_series(void **state)
{
	struct cli c = {0};

	(void)state;
	print_string(&c, STR("a\"b"));
	print_labels(&c, &two);
	c.o.output = OUTPUT_JSONL;
	print_string(&c, STR("a\"b"));
	print_labels(&c, &two);
	assert_string_equal(buf_cstr(&c.out), "a\"b\n{app=\"a\\\"pi\", env=\"\\x1b[31m\"}\n\"a\\\"b\"\n"
					      "{\"app\":\"a\\\"pi\",\"env\":\"\\u001b[31m\"}\n");
	buf_free(&c.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),
		cmocka_unit_test(colors),
		cmocka_unit_test(samples),
		cmocka_unit_test(names_and_series),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
