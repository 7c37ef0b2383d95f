/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/catalog_state.h"

#include "tests/unit/check.h"

#include <stdlib.h>

static void covers_merge_where_they_touch(void **state)
{
	struct catalog_covers c = {0};
	static const struct wal_range in[] = {{5, 10, 20}, {5, 30, 40}, {3, 0, 7}, {9, 1, 2}, {5, 50, 60}};
	(void)state;
	for (size_t i = 0; i < COUNT(in); i++) catalog_covers_add(&c, in[i]);
	assert_int_equal(c.n, 5);
	assert_true(catalog_covers_has(&c, 5, 10) && catalog_covers_has(&c, 5, 19) && catalog_covers_has(&c, 3, 0));
	assert_false(catalog_covers_has(&c, 5, 9) || catalog_covers_has(&c, 5, 20) || catalog_covers_has(&c, 4, 5));
	catalog_covers_add(&c, (struct wal_range){5, 20, 30}); /* closes a gap exactly */
	assert_int_equal(c.n, 4);
	catalog_covers_add(&c, (struct wal_range){5, 0, 100}); /* swallows the rest of the writer's */
	assert_int_equal(c.n, 3);
	catalog_covers_add(&c, (struct wal_range){5, 40, 50});
	assert_int_equal(c.n, 3);
	assert_true(catalog_covers_has(&c, 5, 0) && catalog_covers_has(&c, 5, 99));
	assert_false(catalog_covers_has(&c, 5, 100) || catalog_covers_has(&c, 9, UINT64_MAX));
	free(c.v);
}

/* Against a table of flags. */
static void covers_agree_with_a_table(void **state)
{
	(void)state;
	uint64_t x = 1;
	for (int round = 0; round < 200; round++) {
		struct catalog_covers c = {0};
		bool flags[3][64] = {0};
		for (int i = 0; i < 12; i++) {
			x = x * UINT64_C(6364136223846793005) + 1;
			uint64_t w = (x >> 33) % 3, lo = (x >> 40) % 60, hi = lo + 1 + (x >> 50) % 4;
			catalog_covers_add(&c, (struct wal_range){w, lo, hi});
			for (uint64_t k = lo; k < hi; k++) flags[w][k] = true;
		}
		for (uint64_t w = 0; w < 3; w++) {
			for (uint64_t k = 0; k < 64; k++) assert_int_equal(catalog_covers_has(&c, w, k), flags[w][k]);
		}
		for (size_t i = 1; i < c.n; i++)
			assert_true(c.v[i - 1].writer < c.v[i].writer || c.v[i - 1].hi < c.v[i].lo);
		free(c.v);
	}
}

static void segments_stand_in_arrival_order(void **state)
{
	struct catalog_state s = {0};
	struct catalog_segment in[] = {{.name = STR("c"), .order = 3},
				       {.name = STR("a"), .order = 1},
				       {.name = STR("b1"), .order = 2},
				       {.name = STR("b0"), .order = 2},
				       {.name = STR("a"), .order = 9}};
	struct catalog_entry n = {.added = in, .nadded = COUNT(in)}, out;
	struct arena a;
	(void)state;
	arena_init(&a, 0);
	catalog_state_apply(&s, &n);
	catalog_state_collect(&s, &a, &out);
	static const char *const expect[] = {"a", "b1", "b0", "c"};
	assert_int_equal(out.nadded, 4);
	for (size_t i = 0; i < 4; i++) check_str(out.added[i].name, str_c(expect[i]));
	catalog_state_fini(&s);
	arena_free(&a);
}

static void removals_are_forgotten_after_a_day(void **state)
{
	struct catalog_state s = {0};
	struct catalog_segment g = {.name = STR("a")};
	struct catalog_removal r[] = {{STR("a"), 5 * UNITS_DAY}}, later[] = {{STR("b"), 6 * UNITS_DAY + 1}};
	struct catalog_entry n = {.created = 5 * UNITS_DAY, .added = &g, .nadded = 1, .removed = r, .nremoved = 1};
	struct catalog_entry n2 = {.created = 6 * UNITS_DAY + 1, .removed = later, .nremoved = 1};
	(void)state;
	catalog_state_apply(&s, &n);
	assert_false(catalog_state_has(&s, STR("a")));
	assert_int_equal(catalog_state_removed(&s, STR("a")), 5 * UNITS_DAY);
	catalog_state_apply(&s, &n2);
	assert_int_equal(catalog_state_removed(&s, STR("a")), 0);
	assert_int_equal(catalog_state_removed(&s, STR("b")), 6 * UNITS_DAY + 1);
	catalog_state_fini(&s);
}

static void cuts_are_summed_up(void **state)
{
	struct catalog_state s = {0};
	struct catalog_cut cuts[] = {{CATALOG_CUT_BYTES, 10, 100, 1, 50, 60},
				     {CATALOG_CUT_PERIOD, 1, 2, 3, 4, 5},
				     {CATALOG_CUT_BYTES, 20, 200, 2, 40, 55}};
	struct catalog_entry n = {.cuts = cuts, .ncuts = COUNT(cuts)};
	(void)state;
	catalog_state_apply(&s, &n);
	const struct catalog_cut *b = &s.cuts[CATALOG_CUT_BYTES];
	assert_true(b->rows == 30 && b->bytes == 300 && b->segments == 3 && b->min_ts == 40 && b->max_ts == 60);
	assert_int_equal(s.cuts[CATALOG_CUT_PERIOD].rows, 1);
	assert_int_equal(s.cuts[CATALOG_CUT_STREAM].rows, 0);
	catalog_state_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(covers_merge_where_they_touch),
		cmocka_unit_test(covers_agree_with_a_table),
		cmocka_unit_test(segments_stand_in_arrival_order),
		cmocka_unit_test(removals_are_forgotten_after_a_day),
		cmocka_unit_test(cuts_are_summed_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
