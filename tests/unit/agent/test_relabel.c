/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/relabel.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Runs one rule over {a="1", b="Two", c=""…}; the result as text, or "dropped". */
static const char *run(struct relabel_conf c, struct str s0, struct str s1)
{
	static char text[1024];
	static const struct label in[] = {
		{{"__meta_x_name", 13}, {"m", 1}}, {{"a", 1}, {"1", 1}}, {{"b", 1}, {"Two", 3}}};
	struct str sources[] = {s0, s1};
	struct err e = ERR_INIT;
	struct arena a;
	struct relabel_set set = {.a = &a};
	struct buf b = {0};

	c.source_labels = (struct conf_strs){sources, (size_t)(s0.n > 0) + (s1.n > 0)};
	if (!c.regex.p) c.regex = STR("(.*)");
	if (!c.separator.p) c.separator = STR(";");
	if (!c.replacement.p) c.replacement = STR("$1");
	struct conf_list list = {&c, 1};
	struct relabel *r = relabel_new(&list, &e);
	if (!r) fail_msg("%s", e.msg);
	arena_init(&a, 0);
	for (size_t i = 0; i < 3; i++) relabel_put(&set, in[i].name, in[i].value);
	bool kept = relabel_run(r, &set);
	labels_print(&b, &set.l);
	snprintf(text, sizeof text, "%s", kept ? buf_cstr(&b) : "dropped");
	buf_free(&b);
	arena_free(&a);
	relabel_free(r);
	return text;
}

#define A    STR("a")
#define B    STR("b")
#define X    STR("x")
#define N    STR("")
#define KEPT "{__meta_x_name=\"m\", a=\"1\", b=\"Two\"}"

static void replacing(void **state)
{
	(void)state;
	assert_string_equal(run((struct relabel_conf){.target_label = X}, A, B),
			    "{__meta_x_name=\"m\", a=\"1\", b=\"Two\", x=\"1;Two\"}");
	assert_string_equal(run((struct relabel_conf){.target_label = X,
						      .separator = STR("/"),
						      .regex = STR("(.)/(?P<w>.*)"),
						      .replacement = STR("${w}-$1-$$")},
				A, B),
			    "{__meta_x_name=\"m\", a=\"1\", b=\"Two\", x=\"Two-1-$\"}");
	assert_string_equal(run((struct relabel_conf){.target_label = X, .regex = STR("w")}, B, N),
			    KEPT); /* anchored */
	assert_string_equal(run((struct relabel_conf){.target_label = A, .replacement = STR("$9")}, B, N),
			    "{__meta_x_name=\"m\", b=\"Two\"}");
	assert_string_equal(run((struct relabel_conf){.target_label = STR("x_$1")}, B, N),
			    "{__meta_x_name=\"m\", a=\"1\", b=\"Two\", x_Two=\"Two\"}");
	assert_string_equal(run((struct relabel_conf){.target_label = STR("$1-"), .replacement = STR("v")}, B, N),
			    KEPT); /* no name */
	assert_string_equal(run((struct relabel_conf){.target_label = X, .replacement = STR("fixed")}, N, N),
			    "{__meta_x_name=\"m\", a=\"1\", b=\"Two\", x=\"fixed\"}");
}

static void filtering(void **state)
{
	(void)state;
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_KEEP, .regex = STR("1")}, A, N), KEPT);
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_KEEP, .regex = STR("2")}, A, N), "dropped");
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_KEEP, .regex = STR("")}, X, N),
			    KEPT); /* missing is "" */
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_DROP, .regex = STR("1|2")}, A, N), "dropped");
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_KEEPEQUAL, .target_label = B}, A, N),
			    "dropped");
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_DROPEQUAL, .target_label = B}, A, N), KEPT);
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_LABELDROP, .regex = STR("__.*|a")}, N, N),
			    "{b=\"Two\"}");
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_LABELKEEP, .regex = STR("a")}, N, N),
			    "{a=\"1\"}");
}

static void mapping(void **state)
{
	(void)state;
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_LOWERCASE, .target_label = X}, B, N),
			    "{__meta_x_name=\"m\", a=\"1\", b=\"Two\", x=\"two\"}");
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_UPPERCASE, .target_label = B}, B, N),
			    "{__meta_x_name=\"m\", a=\"1\", b=\"TWO\"}");
	assert_string_equal(run((struct relabel_conf){.action = RELABEL_LABELMAP, .regex = STR("__meta_x_(.+)")}, N, N),
			    "{__meta_x_name=\"m\", a=\"1\", b=\"Two\", name=\"m\"}");
	/* The low 64 bits of MD5("1"), c4ca4238a0b923820dcc509a6f75849b, modulo 1000. */
	assert_string_equal(
		run((struct relabel_conf){.action = RELABEL_HASHMOD, .target_label = X, .modulus = 1000}, A, N),
		"{__meta_x_name=\"m\", a=\"1\", b=\"Two\", x=\"291\"}");
}

static void bad_regex_has_its_place(void **state)
{
	(void)state;
	struct relabel_conf c = {.regex = STR("("), .line = 7, .col = 3};
	struct conf_list list = {&c, 1};
	struct err e = ERR_INIT;

	assert_null(relabel_new(&list, &e));
	assert_int_equal(e.line, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replacing),
		cmocka_unit_test(filtering),
		cmocka_unit_test(mapping),
		cmocka_unit_test(bad_regex_has_its_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
