/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cache in front of a store that counts how often it is asked. */
#include "server/store/object_cache.h"
#include "tests/unit/server/store_util.h"

#define PAGE ((size_t)OBJECT_CACHE_PAGE)
#define NAME "t/segments/s"

/* A store of files that counts ranged reads, and fails them when told to. */
struct counting {
	struct object_store base;
	struct object_store *files;
	_Atomic unsigned gets, failing;
	_Atomic size_t bytes;
};

static bool counting_get(struct object_store *s, struct str name, uint64_t off, size_t n, struct buf *out,
			 struct err *e)
{
	struct counting *c = (struct counting *)s;
	size_t at = out->n;
	c->gets++;
	if (c->failing) return err_set(e, ERR_IO, "out of reach");
	bool ok = c->files->ops->get(c->files, name, off, n, out, e);
	c->bytes += out->n - at;
	return ok;
}

static struct object_upload *counting_begin(struct object_store *s, struct str name, struct err *e)
{
	struct counting *c = (struct counting *)s;
	return c->files->ops->begin(c->files, name, e);
}

static bool counting_read(struct object_store *s, struct str name, size_t max, struct buf *out, struct err *e)
{
	return object_read(((struct counting *)s)->files, name, max, out, e);
}

static bool counting_list(struct object_store *s, struct str prefix, object_list_fn *fn, void *ud, struct err *e)
{
	return object_list(((struct counting *)s)->files, prefix, fn, ud, e);
}

static bool counting_dirs(struct object_store *s, struct str prefix, object_dir_fn *fn, void *ud, struct err *e)
{
	return object_dirs(((struct counting *)s)->files, prefix, fn, ud, e);
}

static bool counting_remove(struct object_store *s, struct str name, struct err *e)
{
	return object_remove(((struct counting *)s)->files, name, e);
}

static void counting_free(struct object_store *s) { (void)s; }

struct world {
	char dir[64], store[80], cache[80];
	struct counting under;
	struct object_ops ops;
	struct fs *fs;
	uint64_t max_bytes;
	struct object_store *s;
	struct buf data;
};

static void open_cache(struct world *w)
{
	struct object_cache_config c = {
		.under = &w->under.base, .fs = w->fs, .dir = w->cache, .max_bytes = w->max_bytes, .only = "/segments/"};
	w->under.gets = 0;
	w->under.bytes = 0;
	MUST(w->s = object_cache_open(&c, must));
}

static int ample(struct fs *fs, const char *path, struct fs_space *out)
{
	(void)fs, (void)path;
	*out = (struct fs_space){UINT64_C(1) << 40, UINT64_C(1) << 40};
	return 0;
}

/* The kernel's, on a disk with space. */
static struct fs roomy;

static void start(struct world *w, uint64_t max_bytes)
{
	memset(w, 0, sizeof *w);
	roomy = fs_real;
	roomy.space = ample;
	strcpy(w->dir, "/tmp/larch-cache-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->store, sizeof w->store, "%s/store", w->dir);
	snprintf(w->cache, sizeof w->cache, "%s/cache", w->dir);
	w->fs = &roomy;
	w->max_bytes = max_bytes;
	MUST(w->under.files = object_fs_open(&fs_real, w->store, false, must));
	w->ops = *w->under.files->ops;
	w->ops.get = counting_get;
	w->ops.begin = counting_begin;
	w->ops.read = counting_read;
	w->ops.list = counting_list;
	w->ops.dirs = counting_dirs;
	w->ops.remove = counting_remove;
	w->ops.free = counting_free;
	w->under.base.ops = &w->ops;
	struct rnd r = {1};
	while (w->data.n < 5 * PAGE + 100) buf_le64(&w->data, rnd(&r, UINT64_MAX));
	open_cache(w);
}

static void stop(struct world *w)
{
	object_close(w->s);
	object_close(w->under.files);
	buf_free(&w->data);
	remove_tree(w->dir);
}

/* As if another server had written it. */
static void put_under(struct world *w, const char *name, size_t n)
{
	MUST(object_put(w->under.files, str_c(name), str_sub(buf_view(&w->data), 0, n), false, must));
}

static void check_range(struct world *w, const char *name, uint64_t off, size_t n)
{
	struct buf got = {0};
	buf_c(&got, "x");
	MUST(object_get(w->s, str_c(name), off, n, &got, must));
	assert_int_equal(got.n, n + 1);
	assert_memory_equal(got.p + 1, w->data.p + off, n);
	buf_free(&got);
}

static struct object_cache_figures figures(struct world *w)
{
	struct object_cache_figures f;
	object_cache_figures(w->s, &f);
	return f;
}

static void what_was_read_is_kept(void **state)
{
	struct world w;
	struct buf got = {0};
	struct err e = ERR_INIT;
	(void)state;
	start(&w, 100 * PAGE);
	size_t size = 2 * PAGE + 1000;
	put_under(&w, NAME, size);
	check_range(&w, NAME, 10, 20);
	assert_int_equal(w.under.gets, 1);
	assert_int_equal(w.under.bytes, PAGE);
	check_range(&w, NAME, 0, PAGE);
	check_range(&w, NAME, OBJECT_CACHE_PIECE - 1, 2);
	assert_int_equal(w.under.gets, 1);
	check_range(&w, NAME, PAGE - 5, size - PAGE + 5); /* the other two pages in one */
	assert_int_equal(w.under.gets, 2);
	assert_int_equal(w.under.bytes, size);
	for (size_t off = 0; off < size; off += 99991)
		check_range(&w, NAME, off, size - off < 200000 ? size - off : 200000);
	assert_int_equal(w.under.gets, 2);
	assert_int_equal(figures(&w).pages, 3);

	/* The end of the object, known or not. */
	MUST(w.s->ops->get(w.s, STR(NAME), size - 3, 100, &got, must));
	assert_int_equal(got.n, 3);
	MUST(w.s->ops->get(w.s, STR(NAME), size, 100, &got, must));
	MUST(w.s->ops->get(w.s, STR(NAME), 10 * PAGE, 100, &got, must));
	assert_int_equal(got.n, 3);
	put_under(&w, NAME "2", PAGE);
	MUST(w.s->ops->get(w.s, STR(NAME "2"), PAGE - 1, 3 * PAGE, &got, must));
	assert_int_equal(got.n, 4);
	assert_false(object_get(w.s, STR(NAME "2"), PAGE - 1, 2, &got, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
	e = ERR_INIT;
	assert_false(object_get(w.s, STR("t/segments/none"), 0, 1, &got, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);

	/* Other objects go past it. */
	put_under(&w, "t/catalog/1", 100);
	unsigned before = w.under.gets;
	check_range(&w, "t/catalog/1", 0, 50);
	check_range(&w, "t/catalog/1", 0, 50);
	assert_int_equal(w.under.gets, before + 2);
	buf_free(&got);
	stop(&w);
}

static void it_survives_a_restart(void **state)
{
	struct world w;
	(void)state;
	start(&w, 100 * PAGE);
	put_under(&w, NAME, 2 * PAGE + 1000);
	check_range(&w, NAME, 0, 2 * PAGE + 1000);
	struct object_cache_figures before = figures(&w);
	object_close(w.s);
	char path[200];
	snprintf(path, sizeof path, "%s/new-7", w.cache);
	put_file(path, STR("half a page"));
	snprintf(path, sizeof path, "%s/0123456789abcdef-00000000", w.cache);
	put_file(path, STR("no page"));
	open_cache(&w);
	assert_int_equal(figures(&w).pages, before.pages);
	assert_int_equal(figures(&w).bytes, before.bytes);
	assert_int_equal(access(path, F_OK), -1);
	check_range(&w, NAME, 0, 2 * PAGE + 1000);
	assert_int_equal(w.under.gets, 0);
	assert_int_equal(figures(&w).hits, 3);
	stop(&w);
}

static void damage(const char *path, long at)
{
	FILE *f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, at, SEEK_SET);
	int c = fgetc(f);
	fseek(f, at, SEEK_SET);
	fputc(c ^ 1, f);
	fclose(f);
}

/* Every place of the only page's file in turn: header, data, cut off, gone. */
static void damaged_pages_are_fetched_again(void **state)
{
	struct world w;
	struct fs_list l;
	struct buf path = {0};
	struct err e = ERR_INIT;
	(void)state;
	start(&w, 100 * PAGE);
	put_under(&w, NAME, 300000);
	check_range(&w, NAME, 0, 300000);
	assert_true(fs_list(w.cache, &l, &e));
	assert_int_equal(l.n, 1);
	fs_path(&path, w.cache, l.v[0]);
	static const long places[] = {0, 8, 12, 16, 20, 24, 32, 150, 155, 4096, 4096 + 70000, 4096 + 299999};
	for (size_t i = 0; i < COUNT(places) + 2; i++) {
		unsigned before = w.under.gets;
		if (i < COUNT(places))
			damage(path.p, places[i]);
		else if (i == COUNT(places))
			assert_int_equal(truncate(path.p, 4096 + 299999), 0);
		else
			assert_int_equal(unlink(path.p), 0);
		check_range(&w, NAME, 0, 300000);
		assert_int_equal(w.under.gets, before + 1);
		check_range(&w, NAME, 0, 300000);
		assert_int_equal(w.under.gets, before + 1);
		assert_int_equal(figures(&w).pages, 1);
		assert_int_equal(figures(&w).bytes, 4096 + 300000);
	}
	fs_list_free(&l);
	buf_free(&path);
	stop(&w);
}

static void the_pages_used_longest_ago_go(void **state)
{
	struct world w;
	(void)state;
	start(&w, 3 * (PAGE + 4096));
	put_under(&w, NAME, 5 * PAGE);
	for (size_t i = 0; i < 3; i++) check_range(&w, NAME, i * PAGE, 10);
	check_range(&w, NAME, 0, 10);
	check_range(&w, NAME, 3 * PAGE, 10); /* page 1 goes */
	assert_int_equal(w.under.gets, 4);
	assert_int_equal(figures(&w).pages, 3);
	assert_int_equal(figures(&w).bytes, w.max_bytes);
	check_range(&w, NAME, 0, 10);
	check_range(&w, NAME, 2 * PAGE, 10);
	check_range(&w, NAME, 3 * PAGE, 10);
	assert_int_equal(w.under.gets, 4);
	check_range(&w, NAME, PAGE, 10);
	assert_int_equal(w.under.gets, 5);
	check_range(&w, NAME, 0, 5 * PAGE); /* more than it may keep */
	assert_int_equal(figures(&w).pages, 3);

	/* A smaller bound counts at once. */
	object_close(w.s);
	w.max_bytes = PAGE + 4096;
	open_cache(&w);
	assert_int_equal(figures(&w).pages, 1);
	struct fs_list l;
	struct err e = ERR_INIT;
	assert_true(fs_list(w.cache, &l, &e));
	assert_int_equal(l.n, 1);
	fs_list_free(&l);
	stop(&w);
}

static bool upload(struct world *w, const char *name, size_t n, bool if_absent, struct err *e)
{
	struct object_upload *u = w->s->ops->begin(w->s, str_c(name), e);
	for (size_t at = 0; at < n; at += 333333)
		assert_true(
			w->s->ops->append(u, str_sub(buf_view(&w->data), at, at + 333333 < n ? at + 333333 : n), e));
	return w->s->ops->commit(u, if_absent, e);
}

static void uploads_leave_their_pages_behind(void **state)
{
	struct world w;
	struct err e = ERR_INIT;
	struct fs_list l;
	(void)state;
	start(&w, 100 * PAGE);
	assert_true(upload(&w, NAME, 2 * PAGE + 5, true, &e));
	check_range(&w, NAME, 0, 2 * PAGE + 5);
	assert_true(upload(&w, NAME "2", PAGE, true, &e));
	check_range(&w, NAME "2", 0, PAGE);
	assert_int_equal(w.under.gets, 0);
	assert_int_equal(figures(&w).pages, 4);
	uint64_t bytes = figures(&w).bytes;

	/* Not those that come to nothing. */
	assert_false(upload(&w, NAME, 3 * PAGE, true, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	struct object_upload *u = w.s->ops->begin(w.s, STR(NAME "3"), &e);
	assert_true(w.s->ops->append(u, buf_view(&w.data), &e));
	w.s->ops->abort(u);
	assert_int_equal(figures(&w).bytes, bytes);

	MUST(object_remove(w.s, STR(NAME "2"), must));
	MUST(object_remove(w.s, STR(NAME), must));
	assert_int_equal(figures(&w).pages, 0);
	assert_int_equal(figures(&w).bytes, 0);
	assert_true(fs_list(w.cache, &l, &e));
	assert_int_equal(l.n, 0);
	fs_list_free(&l);
	stop(&w);
}

/* Each operation on the cache's own files fails in turn, and then all of them: what is read is right all the same. */
static void faults_cost_nothing_but_requests(void **state)
{
	struct world w;
	struct fs_fault f;
	struct err e = ERR_INIT;
	(void)state;
	start(&w, 100 * PAGE);
	object_close(w.s);
	fs_fault_init(&f, &roomy);
	f.ops = FS_OP_ALL & ~(unsigned)FS_OP_MKDIR;
	w.fs = &f.base;
	f.count = -1;
	open_cache(&w);
	for (long i = 1; i <= 40; i++) {
		char name[48];
		snprintf(name, sizeof name, NAME "%ld", i);
		f.count = i;
		f.sticky = i % 2;
		assert_true(upload(&w, name, PAGE + 5, true, &e));
		check_range(&w, name, 0, PAGE + 5);
		snprintf(name, sizeof name, NAME "-%ld", i);
		put_under(&w, name, PAGE + 5);
		check_range(&w, name, 0, PAGE + 5);
		check_range(&w, name, 0, PAGE + 5);
	}
	f.count = -1;
	f.sticky = false;
	stop(&w);
}

static int scarce(struct fs *fs, const char *path, struct fs_space *out)
{
	(void)fs, (void)path;
	*out = (struct fs_space){1000 * PAGE, 100 * PAGE + 100};
	return 0;
}

static void a_full_disk_is_left_to_others(void **state)
{
	struct world w;
	(void)state;
	start(&w, 100 * PAGE);
	roomy.space = scarce;
	put_under(&w, NAME, PAGE);
	check_range(&w, NAME, 0, PAGE);
	check_range(&w, NAME, 0, PAGE);
	assert_int_equal(w.under.gets, 2);
	assert_int_equal(figures(&w).bytes, 0);
	stop(&w);
}

static void failed_fetches_can_be_repeated(void **state)
{
	struct world w;
	struct buf got = {0};
	struct err e = ERR_INIT;
	(void)state;
	start(&w, 100 * PAGE);
	put_under(&w, NAME, 3 * PAGE);
	check_range(&w, NAME, 0, 10);
	w.under.failing = 1;
	assert_false(object_get(w.s, STR(NAME), 5, 2 * PAGE, &got, &e));
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(got.n, 0);
	w.under.failing = 0;
	check_range(&w, NAME, 5, 2 * PAGE);
	buf_free(&got);
	stop(&w);
}

static void *read_all(void *ud)
{
	struct world *w = ud;
	struct rnd r = {(uint64_t)(uintptr_t)&r};
	for (int i = 0; i < 30; i++) {
		size_t off = rnd(&r, 4 * PAGE), n = 1 + rnd(&r, PAGE);
		struct buf got = {0};
		struct err e = ERR_INIT;
		bool same = object_get(w->s, STR(NAME), off, n, &got, &e) && memcmp(got.p, w->data.p + off, n) == 0;
		buf_free(&got);
		if (!same) return NULL;
	}
	return ud;
}

static void threads(struct world *w)
{
	pthread_t t[4];
	for (size_t i = 0; i < COUNT(t); i++) assert_int_equal(pthread_create(&t[i], NULL, read_all, w), 0);
	for (size_t i = 0; i < COUNT(t); i++) {
		void *ok;
		pthread_join(t[i], &ok);
		assert_non_null(ok);
	}
}

static void threads_fetch_a_page_once(void **state)
{
	struct world w;
	(void)state;
	start(&w, 100 * PAGE);
	put_under(&w, NAME, 5 * PAGE);
	threads(&w);
	assert_in_range(w.under.bytes, 1, 5 * PAGE);
	object_close(w.s);
	w.max_bytes = 2 * (PAGE + 4096); /* while others evict it */
	open_cache(&w);
	threads(&w);
	assert_in_range(figures(&w).bytes, 1, w.max_bytes);
	stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_read_is_kept),
		cmocka_unit_test(it_survives_a_restart),
		cmocka_unit_test(damaged_pages_are_fetched_again),
		cmocka_unit_test(the_pages_used_longest_ago_go),
		cmocka_unit_test(uploads_leave_their_pages_behind),
		cmocka_unit_test(faults_cost_nothing_but_requests),
		cmocka_unit_test(a_full_disk_is_left_to_others),
		cmocka_unit_test(failed_fetches_can_be_repeated),
		cmocka_unit_test(threads_fetch_a_page_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
