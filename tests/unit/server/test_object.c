/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/cache.h"
#include "tests/unit/server/store_util.h"

#include <errno.h>

struct names {
	struct buf text;
	size_t n, stop_at;
};

static bool add_name(void *ud, const struct object_info *o)
{
	struct names *l = ud;
	buf_printf(&l->text, "%.*s:%llu ", STR_ARG(o->name), (unsigned long long)o->size);
	assert_true(o->mtime > 0);
	return ++l->n != l->stop_at;
}

static void objects_are_put_listed_read_and_removed(void **state)
{
	char dir[] = "/tmp/larch-object-XXXXXX";
	struct err e = ERR_INIT;
	struct buf b = {0};
	struct names l = {0};
	(void)state;
	assert_non_null(mkdtemp(dir));
	struct object_store *s = object_fs_open(&fs_real, dir, false, &e);
	assert_non_null(s);
	MUST(object_put(s, STR("t/segments/b"), STR("two"), true, must));
	MUST(object_put(s, STR("t/segments/a"), STR("one!"), false, must));
	MUST(object_put(s, STR("t/catalog/1"), STR(""), true, must));
	MUST(object_put(s, STR("u/catalog/1"), STR("x"), true, must));
	MUST(object_list(s, STR(""), add_name, &l, must));
	check_buf(&l.text, "t/catalog/1:0 t/segments/a:4 t/segments/b:3 u/catalog/1:1 ");
	MUST(object_list(s, STR("t/seg"), add_name, &l, must));
	check_buf(&l.text, "t/segments/a:4 t/segments/b:3 ");
	MUST(object_list(s, STR("none/at/all"), add_name, &l, must));
	check_buf(&l.text, "");
	l.stop_at = l.n + 1;
	MUST(object_list(s, STR("t/"), add_name, &l, must));
	check_buf(&l.text, "t/catalog/1:0 ");

	MUST(object_get(s, STR("t/segments/a"), 1, 2, &b, must));
	check_buf(&b, "ne");
	assert_false(object_get(s, STR("t/segments/a"), 2, 3, &b, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
	e = ERR_INIT;
	assert_false(object_read(s, STR("t/segments/none"), 100, &b, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);

	e = ERR_INIT;
	assert_false(object_put(s, STR("t/segments/a"), STR("other"), true, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	MUST(object_read(s, STR("t/segments/a"), 100, &b, must));
	check_buf(&b, "one!");
	MUST(object_put(s, STR("t/segments/a"), STR("other"), false, must));
	MUST(object_read(s, STR("t/segments/a"), 100, &b, must));
	check_buf(&b, "other");

	MUST(object_remove(s, STR("t/segments/a"), must));
	MUST(object_remove(s, STR("t/segments/a"), must));
	e = ERR_INIT;
	assert_false(object_read(s, STR("t/segments/a"), 100, &b, &e));

	struct object_upload *u = s->ops->begin(s, STR("t/segments/c"), &e);
	assert_non_null(u);
	MUST(s->ops->append(u, STR("abc"), must));
	s->ops->abort(u);
	buf_printf(&b, "%s/.uploads/1-1", dir);
	put_file(buf_cstr(&b), STR("what a crash left"));
	object_close(s);
	s = object_fs_open(&fs_real, dir, false, &e);
	buf_clear(&l.text);
	l.stop_at = 0;
	MUST(object_list(s, STR(""), add_name, &l, must));
	check_buf(&l.text, "t/catalog/1:0 t/segments/b:3 u/catalog/1:1 ");
	buf_clear(&b);
	buf_printf(&b, "%s/.uploads", dir);
	struct fs_list left;
	MUST(fs_list(buf_cstr(&b), &left, must));
	assert_int_equal(left.n, 0);
	fs_list_free(&left);
	object_close(s);
	buf_free(&b);
	buf_free(&l.text);
	remove_tree(dir);
}

/* Who finds a name may rely on it: it is not there when it could not be made durable. */
static void what_is_found_is_durable(void **state)
{
	char dir[] = "/tmp/larch-object-XXXXXX";
	struct fs_fault f;
	struct err e = ERR_INIT;
	struct buf b = {0};
	(void)state;
	assert_non_null(mkdtemp(dir));
	fs_fault_init(&f, &fs_real);
	struct object_store *s = object_fs_open(&f.base, dir, false, &e);
	assert_non_null(s);
	MUST(object_put(s, STR("t/x"), STR("data"), true, must));
	f.ops = FS_OP_SYNC;
	f.count = 2; /* the directory's, after the file's */
	assert_false(object_put(s, STR("t/y"), STR("data"), true, &e));
	assert_int_equal(e.code, ERR_IO);
	assert_false(object_read(s, STR("t/y"), 100, &b, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	e = ERR_INIT;
	f.count = 2;
	assert_false(object_put(s, STR("t/x"), STR("data"), true, &e));
	assert_int_equal(e.code, ERR_IO); /* not ERR_EXISTS, which comes when it can be relied upon */
	e = ERR_INIT;
	assert_false(object_put(s, STR("t/x"), STR("data"), true, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	MUST(object_read(s, STR("t/x"), 100, &b, must));
	object_close(s);
	buf_free(&b);
	remove_tree(dir);
}

static void a_failing_put_leaves_nothing(void **state)
{
	static const unsigned ops[] = {FS_OP_OPEN, FS_OP_WRITE, FS_OP_SYNC, FS_OP_LINK, FS_OP_MKDIR};
	(void)state;
	for (size_t k = 0; k < COUNT(ops); k++) {
		char dir[] = "/tmp/larch-object-XXXXXX";
		struct fs_fault f;
		struct err e = ERR_INIT;
		struct buf b = {0};
		assert_non_null(mkdtemp(dir));
		fs_fault_init(&f, &fs_real);
		f.count = -1;
		struct object_store *s = object_fs_open(&f.base, dir, false, &e);
		assert_non_null(s);
		f.ops = ops[k];
		f.error = 5;
		f.seen = 0;
		f.count = 1;
		assert_false(object_put(s, STR("t/x"), STR("data"), true, &e));
		f.count = -1;
		f.seen = 0;
		e = ERR_INIT;
		assert_false(object_read(s, STR("t/x"), 100, &b, &e));
		assert_int_equal(e.code, ERR_NOT_FOUND);
		MUST(object_put(s, STR("t/x"), STR("data"), true, must));
		MUST(object_read(s, STR("t/x"), 100, &b, must));
		check_buf(&b, "data");
		buf_free(&b);
		object_close(s);
		remove_tree(dir);
	}
}

/* ---- the cache ---- */

struct thing {
	struct cache_item item;
	int *freed;
};

static void thing_free(struct cache_item *it)
{
	++*((struct thing *)it)->freed;
	free(it);
}

static struct cache_item *thing(uint32_t i, size_t bytes, int *freed)
{
	struct thing *t = mem_zalloc(sizeof *t);
	t->item = (struct cache_item){.key = {1, 2, i}, .bytes = bytes, .free = thing_free};
	t->freed = freed;
	return &t->item;
}

static void the_cache_keeps_what_is_held_and_what_was_used_last(void **state)
{
	struct cache *c = cache_new(100);
	int freed = 0;
	(void)state;
	struct cache_item *a = cache_put(c, thing(1, 40, &freed)), *b = cache_put(c, thing(2, 40, &freed));
	struct cache_item *same = cache_put(c, thing(1, 40, &freed));
	assert_ptr_equal(same, a);
	assert_int_equal(freed, 1);
	cache_release(c, same);
	cache_release(c, a);
	cache_release(c, b);
	assert_ptr_equal(cache_get(c, (struct cache_key){1, 2, 1}), a); /* 2 is now the oldest */
	cache_release(c, a);
	cache_release(c, cache_put(c, thing(3, 40, &freed)));
	assert_int_equal(freed, 2);
	assert_null(cache_get(c, (struct cache_key){1, 2, 2}));
	assert_int_equal(cache_bytes(c), 80);
	cache_release(c, cache_put(c, thing(4, 10, &freed)));
	struct cache_item *big =
		cache_put(c, thing(5, 1000, &freed)); /* over the budget: only a quarter stays beside it */
	assert_int_equal(freed, 4);
	assert_int_equal(cache_bytes(c), 1010);
	cache_release(c, big);
	assert_in_range(cache_bytes(c), 0, 100);
	for (uint32_t i = 0; i < 5000; i++) cache_release(c, cache_put(c, thing(i, 0, &freed)));
	for (uint32_t i = 0; i < 5000; i++) {
		struct cache_item *it = cache_get(c, (struct cache_key){1, 2, i});
		assert_non_null(it);
		cache_release(c, it);
	}
	cache_free(c);
	assert_int_equal(freed, 5006);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_put_listed_read_and_removed),
		cmocka_unit_test(a_failing_put_leaves_nothing),
		cmocka_unit_test(what_is_found_is_durable),
		cmocka_unit_test(the_cache_keeps_what_is_held_and_what_was_used_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
