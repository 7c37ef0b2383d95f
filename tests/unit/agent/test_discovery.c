/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/discovery.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct label path_only[] = {{{"__path__", 8}, {"/x/*.log", 8}}};
static struct label other_host[] = {{{"__host__", 8}, {"not-this-one", 12}}, {{"__path__", 8}, {"/y", 2}}};
static struct label excluded[] = {{{"__path__", 8}, {"/z/*", 4}},
				  {{"__path_exclude__", 16}, {"/z/*.gz", 7}},
				  {{"job", 3}, {"z", 1}},
				  {{"secret", 6}, {"s", 1}}};

static void targets(void **state)
{
	(void)state;
	struct str addresses[2] = {STR("one"), STR("two")};
	struct str from = STR("__address__"), secret = STR("secret");
	struct static_conf statics[] = {{.labels = {path_only, 1}},
					{.labels = {path_only, 1}},
					{.labels = {other_host, 2}},
					{.targets = {addresses, 2}, .labels = {excluded, 4}},
					{.line = 9}};
	struct relabel_conf rules[] = {{.source_labels = {&from, 1}, .regex = STR("two"), .action = RELABEL_DROP},
				       {.source_labels = {&secret, 1},
					.regex = STR(".*"),
					.replacement = STR(""),
					.target_label = STR("secret")}};
	struct job_conf job = {.statics = {statics, 5}, .relabel = {rules, 2}};
	struct err e = ERR_INIT;
	struct relabel *r = relabel_new(&job.relabel, &e);
	struct discovery d;

	assert_true(discovery_init(&d, &job, r, &e));
	static const char *const reasons[] = {NULL, "exists", "wrong_host", NULL, "dropped", "no_path"};
	assert_int_equal(d.n, 6);
	for (size_t i = 0; i < 6; i++) {
		if (!reasons[i])
			assert_null(d.v[i].dropped);
		else
			assert_string_equal(d.v[i].dropped, reasons[i]);
	}
	const struct target *t = &d.v[3];
	assert_int_equal(t->labels.n, 1); /* neither __path__ nor what was relabelled away */
	assert_true(str_eqc(labels_get(&t->labels, STR("job")), "z"));
	assert_true(str_eqc(labels_get(&t->discovered, STR("secret")), "s"));
	assert_true(glob_match(t->exclude, STR("/z/a.gz")));
	discovery_fini(&d);
	relabel_free(r);
}

static void bad_patterns_have_their_line(void **state)
{
	(void)state;
	struct label l[] = {{STR("__path__"), STR("/x/[")}};
	struct static_conf statics[] = {{.labels = {l, 1}, .line = 12}};
	struct job_conf job = {.statics = {statics, 1}};
	struct err e = ERR_INIT;
	struct relabel *r = relabel_new(&job.relabel, &e);
	struct discovery d;

	assert_false(discovery_init(&d, &job, r, &e));
	assert_int_equal(e.line, 12);
	relabel_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(targets), cmocka_unit_test(bad_patterns_have_their_line)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
