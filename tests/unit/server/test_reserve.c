/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/ingest/reserve.h"
#include "tests/unit/check.h"

#include "common/units.h"

#include <errno.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)

struct disk {
	struct fs base; /* first */
	struct fs_space space;
	unsigned asked;
	int error;
};

static int ask(struct fs *fs, const char *path, struct fs_space *out)
{
	struct disk *d = (struct disk *)fs;
	(void)path;
	d->asked++;
	*out = d->space;
	errno = d->error;
	return d->error ? -1 : 0;
}

static void setup(struct reserve *r, struct disk *d, struct clock_fake *clock, struct budget *heads, uint64_t bytes)
{
	*d = (struct disk){.base = fs_real, .space = {1000 * MIB, 500 * MIB}};
	d->base.space = ask;
	clock_fake_init(clock, 0, 1);
	*r = (struct reserve){&d->base, &clock->base, "/data", heads, bytes, 0};
	reserve_init(r);
}

static bool allows(struct reserve *r, uint64_t n)
{
	struct err e = ERR_INIT;
	bool ok = reserve_allows(r, n, &e);
	if (!ok) assert_int_equal(e.code, ERR_NO_SPACE);
	return ok;
}

static void a_low_disk_refuses_until_there_is_an_eighth_more(void **state)
{
	struct reserve r;
	struct disk d;
	struct clock_fake clock;
	struct err e = ERR_INIT;
	(void)state;
	setup(&r, &d, &clock, NULL, 80 * MIB);
	assert_true(allows(&r, MIB));
	d.space.avail = 79 * MIB;
	assert_true(allows(&r, MIB)); /* what was measured is still fresh */
	clock_fake_step(&clock, UNITS_SEC);
	assert_false(reserve_allows(&r, 1, &e));
	assert_non_null(strstr(e.msg, "/data"));
	assert_non_null(strstr(e.msg, "larch.disk_reserve"));
	assert_non_null(strstr(e.msg, "82837504")); /* free */
	assert_non_null(strstr(e.msg, "83886080")); /* kept */
	d.space.avail = 85 * MIB;
	clock_fake_step(&clock, UNITS_SEC);
	assert_false(allows(&r, 1)); /* more than the reserve, but not an eighth more */
	d.space.avail = 91 * MIB;
	assert_false(allows(&r, 1));
	clock_fake_step(&clock, UNITS_SEC);
	assert_true(allows(&r, 1));
	d.space.avail = 85 * MIB;
	clock_fake_step(&clock, UNITS_SEC);
	assert_true(allows(&r, 1)); /* once open it stays open down to the reserve */
	assert_int_equal(r.refused, 3);
}

static void what_was_let_in_counts_until_measured(void **state)
{
	struct reserve r;
	struct disk d;
	struct clock_fake clock;
	(void)state;
	setup(&r, &d, &clock, NULL, 100 * MIB);
	unsigned asked = d.asked;
	for (int i = 0; i < 39; i++) assert_true(allows(&r, 10 * MIB));
	assert_int_equal(d.asked, asked); /* far from the line nobody asks */
	d.space.avail = 105 * MIB;
	assert_true(allows(&r, 5 * MIB)); /* near it everybody does */
	assert_true(allows(&r, 5 * MIB));
	assert_false(allows(&r, 6 * MIB)); /* too large for what is left, */
	assert_true(allows(&r, 5 * MIB));  /* others are not */
	assert_false(r.low);
}

static void entries_in_memory_need_space_once_more(void **state)
{
	struct reserve r;
	struct disk d;
	struct clock_fake clock;
	struct budget heads = {.limit = 1000 * MIB};
	(void)state;
	setup(&r, &d, &clock, &heads, 100 * MIB);
	budget_force(&heads, 399 * MIB);
	assert_true(allows(&r, MIB));
	budget_force(&heads, 2 * MIB);
	assert_false(allows(&r, MIB));
	budget_give(&heads, 300 * MIB);
	clock_fake_step(&clock, UNITS_SEC);
	assert_true(allows(&r, MIB));
}

/* Half of the reserve is for merges, whether pushes are refused or not. */
static void compaction_takes_half(void **state)
{
	struct reserve r;
	struct disk d;
	struct clock_fake clock;
	struct err e = ERR_INIT;
	(void)state;
	setup(&r, &d, &clock, NULL, 100 * MIB);
	d.space.avail = 60 * MIB;
	assert_true(reserve_spares(&r, 10 * MIB, &e));
	assert_false(allows(&r, 1));
	assert_false(reserve_spares(&r, 11 * MIB, &e));
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_non_null(strstr(e.msg, "larch.disk_reserve"));
}

static void defaults_depend_on_the_disk(void **state)
{
	struct reserve r;
	struct disk d;
	struct clock_fake clock;
	(void)state;
	setup(&r, &d, &clock, NULL, 0);
	assert_int_equal(r.keep, 50 * MIB);
	d.space = (struct fs_space){UINT64_C(4000000) * MIB, UINT64_C(3000000) * MIB};
	reserve_init(&r);
	assert_int_equal(r.keep, 1024 * MIB);
	r.full_at = 0.9;
	reserve_init(&r);
	assert_in_range(r.keep, UINT64_C(399999) * MIB, UINT64_C(400001) * MIB);
	d.error = EIO; /* who cannot tell does not refuse */
	reserve_init(&r);
	assert_true(allows(&r, MIB));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_low_disk_refuses_until_there_is_an_eighth_more),
		cmocka_unit_test(what_was_let_in_counts_until_measured),
		cmocka_unit_test(entries_in_memory_need_space_once_more),
		cmocka_unit_test(compaction_takes_half),
		cmocka_unit_test(defaults_depend_on_the_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
