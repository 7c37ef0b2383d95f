/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/catalog.h"
#include "tests/unit/server/store_util.h"

#define GOLDEN "tests/unit/server/golden/"

static struct catalog_segment added[] = {
	{STR("segments/0123456789abcdef0123456789abcdef"), 1000, 20, 3000, 2, 7, -5, INT64_MAX},
	{STR("segments/ffffffffffffffff0000000000000000"), 1, 1, 0, 1, 7, INT64_MIN, 1700000000000000000},
};
static struct str removed[] = {STR("segments/aa"), STR("segments/bb")};
static struct wal_range covers[] = {{0xfedcba9876543210, 1, 100}, {2, 0, UINT64_MAX}};

static const struct catalog_entry sample = {.number = 7,
					    .created = 1700000000000000001,
					    .added = added,
					    .removed = removed,
					    .covers = covers,
					    .nadded = 2,
					    .nremoved = 2,
					    .ncovers = 2};

static void check_sample(const struct catalog_entry *c)
{
	assert_int_equal(c->number, 7);
	assert_int_equal(c->created, sample.created);
	assert_int_equal(c->nadded, 2);
	assert_int_equal(c->nremoved, 2);
	assert_int_equal(c->ncovers, 2);
	for (int i = 0; i < 2; i++) {
		check_str(c->added[i].name, added[i].name);
		check_str(c->removed[i], removed[i]);
		assert_memory_equal(&c->covers[i], &covers[i], sizeof covers[i]);
		assert_int_equal(c->added[i].size, added[i].size);
		assert_int_equal(c->added[i].rows, added[i].rows);
		assert_int_equal(c->added[i].bytes, added[i].bytes);
		assert_int_equal(c->added[i].streams, added[i].streams);
		assert_int_equal(c->added[i].order, added[i].order);
		assert_int_equal(c->added[i].min_ts, added[i].min_ts);
		assert_int_equal(c->added[i].max_ts, added[i].max_ts);
	}
}

static void entries_go_there_and_back(void **state)
{
	struct buf b = {0};
	struct arena a;
	struct catalog_entry c;
	struct err e = ERR_INIT;
	(void)state;
	arena_init(&a, 0);
	catalog_entry_encode(&sample, &b);
	MUST(catalog_entry_decode(buf_view(&b), &a, &c, must));
	check_sample(&c);
	for (size_t i = 0; i < b.n; i++) { /* every single flip and every cut is noticed */
		b.p[i] ^= 4;
		assert_false(catalog_entry_decode(buf_view(&b), &a, &c, &e));
		assert_int_equal(e.code, ERR_CORRUPT);
		b.p[i] ^= 4;
		assert_false(catalog_entry_decode(str_of(b.p, i), &a, &c, &e));
	}
	buf_free(&b);
	arena_free(&a);
}

static void version_1_stays_readable(void **state)
{
	struct buf b = {0}, now = {0};
	struct arena a;
	struct catalog_entry c;
	(void)state;
	arena_init(&a, 0);
	catalog_entry_encode(&sample, &now);
	if (getenv("LARCH_WRITE_GOLDEN")) MUST(fs_replace(&fs_real, GOLDEN "catalog-1", buf_view(&now), 0644, must));
	MUST(fs_read_file(&fs_real, GOLDEN "catalog-1", 1 << 20, &b, must));
	MUST(catalog_entry_decode(buf_view(&b), &a, &c, must));
	check_sample(&c);
	assert_true(str_eq(buf_view(&b), buf_view(&now)));
	buf_free(&b);
	buf_free(&now);
	arena_free(&a);
}

/* ---- the numbered log ---- */

struct seen {
	struct buf names; /* added segments, in order */
};

static void note(void *ud, const struct catalog_entry *c)
{
	struct seen *s = ud;
	for (size_t i = 0; i < c->nadded; i++)
		buf_printf(&s->names, "%.*s@%llu ", STR_ARG(c->added[i].name), (unsigned long long)c->added[i].order);
}

static bool append(struct catalog *c, const char *name, uint64_t lo, uint64_t hi, struct seen *s, struct err *e)
{
	struct catalog_segment g = {.name = str_c(name)};
	struct wal_range r = {9, lo, hi};
	struct catalog_entry n = {.added = &g, .nadded = 1, .covers = &r, .ncovers = 1};
	return catalog_append(c, &n, note, s, e);
}

static void two_writers_share_one_log(void **state)
{
	char dir[] = "/tmp/larch-catalog-XXXXXX";
	struct err e = ERR_INIT;
	struct catalog a, b, c;
	struct seen sa = {0}, sb = {0}, sc = {0};
	struct buf path = {0};
	(void)state;
	assert_non_null(mkdtemp(dir));
	struct object_store *o = object_fs_open(&fs_real, dir, &e);
	assert_non_null(o);
	catalog_init(&a, o, STR("t/catalog/"));
	catalog_init(&b, o, STR("t/catalog/"));
	MUST(catalog_read(&a, note, &sa, must));
	MUST(append(&a, "x", 0, 10, &sa, must));
	MUST(append(&b, "y", 10, 20, &sb, must)); /* loses the race for 1, reads it, takes 2 */
	MUST(append(&a, "z", 30, 40, &sa, must));
	check_buf(&sb.names, "x@1 y@2 ");
	check_buf(&sa.names, "x@1 y@2 z@3 ");
	MUST(catalog_read(&b, note, &sb, must));
	check_buf(&sb.names, "z@3 ");
	assert_true(catalog_covers(&b, 9, 0) && catalog_covers(&b, 9, 19) && catalog_covers(&b, 9, 30));
	assert_false(catalog_covers(&b, 9, 20) || catalog_covers(&b, 9, 40) || catalog_covers(&b, 8, 5));
	assert_int_equal(b.ncovers, 2); /* touching ranges are one */

	/* A damaged entry is left out; the others count. */
	buf_printf(&path, "%s/t/catalog/0000000000000002", dir);
	FILE *f = fopen(buf_cstr(&path), "r+");
	assert_non_null(f);
	fseek(f, 40, SEEK_SET);
	fputc('?', f);
	fclose(f);
	catalog_init(&c, o, STR("t/catalog/"));
	MUST(catalog_read(&c, note, &sc, must));
	check_buf(&sc.names, "x@1 z@3 ");
	assert_int_equal(c.damaged, 1);
	MUST(append(&c, "w", 40, 41, &sc, must));
	check_buf(&sc.names, "w@4 ");
	catalog_fini(&a);
	catalog_fini(&b);
	catalog_fini(&c);
	buf_free(&sa.names);
	buf_free(&sb.names);
	buf_free(&sc.names);
	buf_free(&path);
	object_close(o);
	remove_tree(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_go_there_and_back),
		cmocka_unit_test(version_1_stays_readable),
		cmocka_unit_test(two_writers_share_one_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
