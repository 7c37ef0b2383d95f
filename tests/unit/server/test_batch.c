/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/batch.h"

#include "tests/unit/check.h"

#include <stdlib.h>

/* A row of {app="x", env="p"} with metadata user="1". */
struct fixture {
	struct arena a;
	struct label stream[2], meta[1];
	struct row_base base;
	struct row row;
	struct buf text;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof *f);
	arena_init(&f->a, 0);
	f->stream[0] = (struct label){STR("app"), STR("x")};
	f->stream[1] = (struct label){STR("env"), STR("p")};
	f->meta[0] = (struct label){STR("user"), STR("1")};
	f->base = (struct row_base){.labels = {f->stream, 2}, .meta = f->meta, .n_meta = 1};
	f->row = (struct row){.base = &f->base};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	buf_free(&f->text);
	arena_free(&f->a);
	free(f);
	return 0;
}

static void check_all(struct fixture *f, const char *want)
{
	struct labels l = row_all(&f->a, &f->row);
	labels_print(&f->text, &l);
	check_buf(&f->text, want);
}

static void check_get(struct fixture *f, const char *name, enum row_kind kind, const char *want)
{
	enum row_kind got;
	check_str(row_get(&f->row, str_c(name), &got), str_c(want));
	assert_int_equal(got, kind);
}

static void reading(void **state)
{
	struct fixture *f = *state;
	assert_false(row_changed(&f->row));
	check_get(f, "app", ROW_STREAM, "x");
	check_get(f, "user", ROW_META, "1");
	check_get(f, "nope", ROW_NONE, "");
	check_get(f, "__error__", ROW_NONE, "");
	check_all(f, "{app=\"x\", env=\"p\", user=\"1\"}");
}

static void parsers_do_not_override(void **state)
{
	struct fixture *f = *state;
	check_str(row_put(&f->a, &f->row, STR("new"), STR("1")), STR("new"));
	check_str(row_put(&f->a, &f->row, STR("new"), STR("2")), STR("")); /* the first counts */
	check_str(row_put(&f->a, &f->row, STR("app"), STR("y")), STR("app_extracted"));
	check_str(row_put(&f->a, &f->row, STR("user"), STR("2")), STR("user_extracted"));
	assert_true(row_changed(&f->row));
	check_all(f, "{app=\"x\", app_extracted=\"y\", env=\"p\", new=\"1\", user=\"1\", user_extracted=\"2\"}");
}

static void formats_do(void **state)
{
	struct fixture *f = *state;
	row_set(&f->a, &f->row, STR("app"), STR("y"));
	row_set(&f->a, &f->row, STR("user"), STR(""));
	check_get(f, "app", ROW_PARSED, "y");
	check_all(f, "{app=\"y\", env=\"p\", user=\"\"}");
	row_set(&f->a, &f->row, STR("app"), STR("z"));
	check_all(f, "{app=\"z\", env=\"p\", user=\"\"}");
}

static void removing(void **state)
{
	struct fixture *f = *state;
	row_set(&f->a, &f->row, STR("app"), STR("y"));
	row_del(&f->a, &f->row, STR("app")); /* what was beneath does not come back */
	row_del(&f->a, &f->row, STR("user"));
	row_del(&f->a, &f->row, STR("nope"));
	check_get(f, "app", ROW_NONE, "");
	check_all(f, "{env=\"p\"}");
	assert_true(row_base_has(&f->row, STR("app"))); /* still a stream label to parsers */
	assert_false(row_base_has(&f->row, STR("user")));
	row_set(&f->a, &f->row, STR("app"), STR("again"));
	check_all(f, "{app=\"again\", env=\"p\"}");
}

static void errors_are_parsed_labels(void **state)
{
	struct fixture *f = *state;
	f->row.error = STR("Oops");
	f->row.details = STR("why");
	assert_true(row_changed(&f->row));
	check_get(f, "__error__", ROW_PARSED, "Oops");
	check_get(f, "__error_details__", ROW_PARSED, "why");
	check_all(f, "{__error__=\"Oops\", __error_details__=\"why\", app=\"x\", env=\"p\", user=\"1\"}");
	struct label v[8];
	assert_int_equal(row_labels(&f->row, ROW_STREAM, v), 2);
	assert_int_equal(row_labels(&f->row, ROW_META, v), 1);
	assert_int_equal(row_labels(&f->row, ROW_PARSED, v), 2);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(reading),  TEST(parsers_do_not_override),  TEST(formats_do),
		TEST(removing), TEST(errors_are_parsed_labels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
