/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/entry.h"

#include "pipeline/label_edits.h"
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>

static struct label base_labels[] = {{STR("a"), STR("1")}, {STR("c"), STR("3")}};

struct fixture {
	struct arena a;
	struct batch b;
	struct buf out;
};

static int setup(void **state)
{
	struct fixture *f = *state = mem_zalloc(sizeof *f);
	arena_init(&f->a, 0);
	f->b.arena = &f->a;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	arena_free(&f->a);
	buf_free(&f->out);
	free(f);
	return 0;
}

static struct entry *add(struct fixture *f, const char *line)
{
	struct entry *e = batch_push(&f->b);
	e->line = str_c(line);
	e->labels = (struct labels){base_labels, COUNT(base_labels)};
	e->origins = arena_alloc(&f->a, sizeof *e->origins);
	*e->origins = (struct origin){NULL, f->b.n};
	e->norigins = 1;
	entry_begin(&f->b, e, false);
	return e;
}

#define check_labels(f, l, want)                                                                                       \
	do {                                                                                                           \
		labels_print(&(f)->out, l);                                                                            \
		check_buf(&(f)->out, want);                                                                            \
	} while (0)

static void labels_are_copied_when_changed(void **state)
{
	struct fixture *f = *state;
	struct entry *e = add(f, "x");
	entry_label_set(&f->b, e, STR("c"), STR("3")); /* no change */
	assert_ptr_equal(e->labels.v, base_labels);
	entry_label_set(&f->b, e, STR("b"), STR("2"));
	entry_label_set(&f->b, e, STR("c"), STR("4"));
	entry_label_set(&f->b, e, STR("z"), STR("9"));
	entry_label_set(&f->b, e, STR("A"), STR("0"));
	check_labels(f, &e->labels, "{A=\"0\", a=\"1\", b=\"2\", c=\"4\", z=\"9\"}");
	assert_true(entry_label_del(&f->b, e, STR("b")));
	assert_false(entry_label_del(&f->b, e, STR("b")));
	check_labels(f, &e->labels, "{A=\"0\", a=\"1\", c=\"4\", z=\"9\"}");
	check_labels(f, &e->initial, "{a=\"1\", c=\"3\"}"); /* what is extracted stays */
	struct labels before = {base_labels, 2};
	check_labels(f, &before, "{a=\"1\", c=\"3\"}");
}

static void metadata_is_appended(void **state)
{
	struct fixture *f = *state;
	struct entry *e = add(f, "x");
	entry_meta_add(&f->b, e, STR("t"), STR("1"));
	entry_meta_add(&f->b, e, STR("s"), STR("2"));
	entry_meta_add(&f->b, e, STR("t"), STR("3"));
	check_labels(f, &e->meta, "{t=\"1\", s=\"2\", t=\"3\"}");
	entry_meta_del(&f->b, e, STR("t"));
	entry_meta_del(&f->b, e, STR("nope"));
	check_labels(f, &e->meta, "{s=\"2\"}");
}

static struct str text(struct fixture *f, const struct entry *e, const char *name)
{
	struct value scratch;
	struct str s;
	const struct value *v = entry_get(e, str_c(name), &scratch);
	if (!v) return STR("(none)");
	return value_text(&f->a, v, &s) ? s : STR("(no text)");
}

static void extracted_values_hide_labels(void **state)
{
	struct fixture *f = *state;
	struct entry *e = add(f, "x");
	check_str(text(f, e, "a"), STR("1"));
	check_str(text(f, e, "b"), STR("(none)"));
	entry_set(&f->b, e, STR("a"), (struct value){.kind = VALUE_STR, .s = STR("x")});
	check_str(text(f, e, "a"), STR("x"));
	entry_set(&f->b, e, STR("a"), (struct value){.kind = VALUE_NULL});
	check_str(text(f, e, "a"), STR("(no text)"));
	entry_unset(&f->b, e, STR("a"));
	check_str(text(f, e, "a"), STR("(none)"));
	for (int i = 0; i < 100; i++) {
		struct str name = arena_printf(&f->a, "n%d", i);
		entry_set(&f->b, e, name, (struct value){.kind = VALUE_NUM, .num = i});
	}
	check_str(text(f, e, "n77"), STR("77"));
	entry_label_set(&f->b, e, STR("c"), STR("new"));
	check_str(text(f, e, "c"), STR("3"));
	entry_begin(&f->b, e, true); /* a nested pipeline starts */
	check_str(text(f, e, "c"), STR("new"));
	check_str(text(f, e, "a"), STR("1"));
}

static void numbers_are_written_shortest(void **state)
{
	struct fixture *f = *state;
	static const struct {
		double v;
		const char *want;
	} rows[] = {{0, "0"},
		    {-0.0, "-0"},
		    {5, "5"},
		    {-12, "-12"},
		    {1.5, "1.5"},
		    {0.1, "0.1"},
		    {1e21, "1000000000000000000000"},
		    {9007199254740992, "9007199254740992"},
		    {-9007199254740991, "-9007199254740991"},
		    {1e-7, "0.0000001"}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str s;
		assert_true(value_text(&f->a, &(struct value){.kind = VALUE_NUM, .num = rows[i].v}, &s));
		check_str(s, str_c(rows[i].want));
	}
	struct str s;
	assert_true(value_text(&f->a, &(struct value){.kind = VALUE_BOOL, .num = 1}, &s));
	check_str(s, STR("true"));
}

static void values_are_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *s;
		double want; /* -99: none */
	} rows[] = {{"1.5", 1.5}, {"1e3", 1000}, {"1m30s", 90}, {"5ms", 0.005}, {"x", -99}, {"", -99}, {"1d", -99}};
	double v;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool ok = value_number(&(struct value){.kind = VALUE_STR, .s = str_c(rows[i].s)}, &v);
		assert_true(ok ? v == rows[i].want : rows[i].want == -99);
	}
	assert_true(value_number(&(struct value){.kind = VALUE_BOOL, .num = 1}, &v) && v == 1);
	assert_false(value_number(&(struct value){.kind = VALUE_NULL}, &v));
}

static void dropped_entries_go(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 20; i++) add(f, i % 3 ? "keep" : "drop")->dropped = i % 3 == 0;
	batch_compact(&f->b);
	assert_int_equal(f->b.n, 13);
	assert_int_equal(f->b.v[0].origins[0].seq, 2);
	assert_int_equal(f->b.v[12].origins[0].seq, 20);
}

static void kept_entries_outlive_the_batch(void **state)
{
	struct fixture *f = *state;
	struct entry *e = add(f, "first");
	e->line = arena_str(&f->a, STR("first"));
	entry_set(&f->b, e, STR("k"), (struct value){.kind = VALUE_STR, .s = arena_str(&f->a, STR("value"))});
	entry_meta_add(&f->b, e, STR("m"), STR("1"));
	struct kept *k = entry_keep(e);
	assert_true(e->dropped && e->norigins == 0);
	memset((char *)e->line.p, '#', e->line.n);
	arena_reset(&f->a);
	f->b = (struct batch){.arena = &f->a};

	for (int i = 0; i < 40; i++) entry_join(&k->arena, &k->e, add(f, "more"));
	batch_compact(&f->b);
	assert_int_equal(f->b.n, 0);
	for (int round = 0; round < 2; round++) { /* the second copy has no origins left */
		e = kept_emit(k, &f->b);
		check_str(e->line, STR("first"));
		check_str(text(f, e, "k"), STR("value"));
		check_labels(f, &e->labels, "{a=\"1\", c=\"3\"}");
		check_labels(f, &e->meta, "{m=\"1\"}");
		assert_int_equal(e->norigins, round ? 0 : 41);
		assert_true(round || (e->origins[0].seq == 1 && e->origins[40].seq == 40));
		assert_false(e->dropped);
	}
	kept_free(k);
	kept_free(NULL);
}

/* Many different results in one batch, over the cache's slots: each entry gets its own. */
static void edits_are_exact(void **state)
{
	struct fixture *f = *state;
	struct label_edits *c = label_edits_new();
	char values[1000][8];
	label_edits_begin(c);
	for (int i = 0; i < 2000; i++) {
		struct entry *e = add(f, "x");
		snprintf(values[i % 1000], sizeof *values, "%d", i % 1000);
		const struct label_edit v[] = {{.name = STR("a"), .del = true},
					       {.name = STR("b"), .value = str_c(values[i % 1000])}};
		label_edits_apply(c, &f->b, e, v, i % 2 ? 2 : 1);
	}
	for (int i = 0; i < 2000; i++) {
		char want[64];
		snprintf(want, sizeof want, i % 2 ? "{b=\"%d\", c=\"3\"}" : "{c=\"3\"}", i % 1000);
		check_labels(f, &f->b.v[i].labels, want);
	}
	assert_ptr_equal(f->b.v[0].labels.v, f->b.v[2].labels.v);
	label_edits_free(c);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(labels_are_copied_when_changed), TEST(metadata_is_appended), TEST(extracted_values_hide_labels),
		TEST(numbers_are_written_shortest),   TEST(values_are_numbers),   TEST(dropped_entries_go),
		TEST(kept_entries_outlive_the_batch), TEST(edits_are_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
