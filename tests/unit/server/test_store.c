/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the store does with catalogs: many segments, other processes, sweeping. */
#include "server/store/segwrite.h"
#include "server/store/tenant.h"
#include "tests/unit/server/store_util.h"

/* ---- many segments ---- */

#define MANY  10000u
#define BATCH 50u /* segments of one entry */

static void ignore(void *ud, const struct catalog_entry *c) { (void)ud, (void)c; }

/* None of the segments exists, so whoever opens one at start fails. */
static void a_store_of_many_segments_opens_soon(void **state)
{
	struct place p;
	struct catalog c;
	struct err e = ERR_INIT;
	char dir[96];
	(void)state;
	place_init(&p);
	snprintf(dir, sizeof dir, "%s/store", p.dir);
	struct object_store *o = object_fs_open(p.fs, dir, false, &e);
	assert_non_null(o);
	catalog_init(&c, &(struct catalog_config){.objects = o, .clock = &clock_real}, STR("many/catalog/"));
	for (unsigned i = 0; i < MANY / BATCH; i++) {
		char names[BATCH][48];
		struct catalog_segment g[BATCH] = {0};
		for (unsigned k = 0; k < BATCH; k++) {
			snprintf(names[k], sizeof names[k], "segments/%032x", i * BATCH + k);
			g[k] = (struct catalog_segment){.name = str_c(names[k]), .rows = 1, .min_ts = i, .max_ts = i};
		}
		struct catalog_entry n = {.added = g, .nadded = BATCH};
		MUST(catalog_append(&c, &n, NULL, ignore, NULL, must));
	}
	assert_true(c.checkpoint > 0 && c.checkpoint < c.next - 1);
	catalog_fini(&c);
	object_close(o);

	int64_t from = clock_mono(&clock_real);
	struct store_config sc = {.dir = p.dir, .fs = p.fs, .clock = &p.clock.base};
	struct store *st = store_open(&sc, &e);
	if (!st) fail_msg("%s", e.msg);
	double seconds = (double)(clock_mono(&clock_real) - from) / 1e9;
	print_message("%u segments: opened in %.3f s\n", MANY, seconds);
	assert_true(seconds < 20); /* a fiftieth of that where nothing watches memory */
	struct store_totals sum;
	store_totals(st, &sum);
	assert_int_equal(sum.segments, MANY);
	assert_int_equal(sum.segment_rows, MANY);
	store_close(st);
	place_fini(&p);
}

/* ---- other processes ---- */

static void push_some(struct model *m, struct place *p, struct rnd *r, size_t n)
{
	struct entry_of v[100];
	struct arena a;
	arena_init(&a, 0);
	assert_true(n <= COUNT(v));
	random_entries(m, r, &a, p->clock.wall_ns, v, n);
	MUST(model_push(m, p->in, "t", v, n, must));
	arena_free(&a);
}

static void two_processes_see_what_the_other_flushed(void **state)
{
	struct pair w;
	struct model m;
	struct rnd r = {7};
	(void)state;
	pair_init(&w);
	model_init(&m, 5);
	for (int i = 0; i < 6; i++) {
		push_some(&m, i % 2 ? &w.b : &w.a, &r, 80);
		MUST(ingest_flush(w.a.in, must));
		MUST(ingest_flush(w.b.in, must));
		MUST(store_refresh(w.a.st, must));
		MUST(store_refresh(w.b.st, must));
		model_check_all(&m, w.a.st, "t");
		model_check_all(&m, w.b.st, "t");
	}
	place_close(&w.b, false);
	place_open(&w.b);
	model_check_all(&m, w.b.st, "t");
	model_free(&m);
	pair_fini(&w);
}

static void refresh_happens_by_itself(void **state)
{
	struct pair w;
	struct model m;
	struct rnd r = {9};
	struct err e = ERR_INIT;
	struct store_totals sum = {0};
	(void)state;
	pair_init(&w);
	model_init(&m, 5);
	place_close(&w.b, false);
	struct store_config sc = {.dir = w.b.dir,
				  .fs = w.b.fs,
				  .clock = &w.b.clock.base,
				  .objects = object_fs_open(w.b.fs, w.shared, true, &e),
				  .shared = true,
				  .refresh_ns = UNITS_MS};
	struct store *st = store_open(&sc, &e);
	assert_non_null(st);
	push_some(&m, &w.a, &r, 50);
	MUST(ingest_flush(w.a.in, must));
	for (int i = 0; i < 60000 && sum.segments == 0; i++) {
		usleep(1000);
		store_totals(st, &sum);
	}
	model_check_all(&m, st, "t");
	store_close(st);
	model_free(&m);
	pair_fini(&w);
}

static void write_at(const struct pair *w, const char *name, struct str bytes)
{
	char path[160];
	snprintf(path, sizeof path, "%s/%s", w->shared, name);
	put_file(path, bytes);
}

static void make_dir_at(const struct pair *w, const char *name)
{
	char path[160];
	snprintf(path, sizeof path, "%s/%s", w->shared, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* The catalogs of many tenants have an entry of a version to come. */
static void one_tenant_does_not_hold_up_the_others(void **state)
{
	struct pair w;
	struct model m;
	struct rnd r = {3};
	struct err e = ERR_INIT;
	struct catalog_entry none = {.number = 1};
	struct buf entry = {0};
	struct store_totals sum;
	(void)state;
	pair_init(&w);
	catalog_entry_encode(&none, &entry);
	entry.p[8] = 77;
	entry.n -= 8;
	buf_le64(&entry, str_hash(buf_view(&entry)));
	for (int i = 0; i < 20; i++) {
		char name[64];
		snprintf(name, sizeof name, "n%d", i);
		make_dir_at(&w, name);
		snprintf(name, sizeof name, "n%d/catalog", i);
		make_dir_at(&w, name);
		snprintf(name, sizeof name, "n%d/catalog/%016x", i, 1u);
		write_at(&w, name, buf_view(&entry));
	}
	model_init(&m, 5);
	push_some(&m, &w.a, &r, 50);
	MUST(ingest_flush(w.a.in, must));
	assert_false(store_refresh(w.b.st, &e));
	assert_int_equal(e.code, ERR_UNPROCESSABLE);
	store_totals(w.b.st, &sum);
	assert_true(sum.segments > 0);
	model_free(&m);
	buf_free(&entry);
	pair_fini(&w);
}

static bool count_tenant(void *ud, struct str tenant)
{
	(void)tenant;
	++*(unsigned *)ud;
	return true;
}

static void who_is_only_asked_for_is_no_tenant(void **state)
{
	struct pair w;
	struct tenant *t;
	unsigned n = 0;
	struct catalog_entry none = {.created = 1};
	(void)state;
	pair_init(&w);
	MUST(tenant_append(store_tenant(w.a.st, STR("a b"), true), &none, NULL, NULL, NULL, must));
	MUST(store_tenant_now(w.b.st, STR("nobody"), &t, must));
	assert_null(t);
	store_tenants(w.b.st, count_tenant, &n);
	assert_int_equal(n, 0);
	MUST(store_tenant_now(w.b.st, STR("a b"), &t, must));
	assert_non_null(t);
	assert_int_equal(t->catalog.next, 2);
	pair_fini(&w);
}

/* ---- sweeping ---- */

static void put_object(struct store *s, const char *name)
{
	MUST(object_put(s->objects, str_c(name), STR("x"), true, must));
}

static bool is_there(struct store *s, const char *name)
{
	struct buf b = {0};
	struct err e = ERR_INIT;
	bool there = object_read(s->objects, str_c(name), 10, &b, &e);
	buf_free(&b);
	return there;
}

static void make_entry(struct tenant *t, const char *add, const char *drop, int64_t created)
{
	struct catalog_segment g = {.name = str_c(add)};
	struct catalog_removal r = {str_c(drop), 0};
	struct catalog_entry n = {
		.created = created, .added = &g, .nadded = add != NULL, .removed = &r, .nremoved = drop != NULL};
	MUST(tenant_append(t, &n, NULL, NULL, NULL, must));
}

/* Objects get the kernel's time, so the store's clock is set by that. */
static void what_nobody_names_is_swept_when_it_is_old(void **state)
{
	struct pair w;
	(void)state;
	pair_init(&w);
	int64_t now = clock_wall(&clock_real);
	clock_fake_step(&w.a.clock, now - w.a.clock.wall_ns);
	struct tenant *t = store_tenant(w.a.st, STR("t"), true), *other = store_tenant(w.b.st, STR("t"), true);
	static const char *const names[] = {"t/segments/orphan", "t/segments/named", "t/segments/dropped",
					    "t/segments/others"};
	for (size_t i = 0; i < COUNT(names); i++) put_object(w.a.st, names[i]);
	make_entry(t, "segments/named", NULL, now);
	make_entry(t, "segments/dropped", NULL, now);
	store_sweep(w.a.st);
	for (size_t i = 0; i < COUNT(names); i++) assert_true(is_there(w.a.st, names[i]));

	clock_fake_step(&w.a.clock, 2 * UNITS_HOUR);
	make_entry(other, "segments/others", NULL, now); /* which the sweeper has not read yet */
	make_entry(t, NULL, "segments/dropped", clock_wall(&w.a.clock.base));
	store_sweep(w.a.st);
	assert_false(is_there(w.a.st, "t/segments/orphan"));
	assert_true(is_there(w.a.st, "t/segments/named"));
	assert_true(is_there(w.a.st, "t/segments/others"));
	assert_true(is_there(w.a.st, "t/segments/dropped")); /* somebody may be reading it */
	clock_fake_step(&w.a.clock, UNITS_HOUR);
	store_sweep(w.a.st);
	assert_false(is_there(w.a.st, "t/segments/dropped"));
	assert_true(is_there(w.a.st, "t/segments/named"));
	pair_fini(&w);
}

static void segments_without_a_catalog_are_left_alone(void **state)
{
	struct pair w;
	(void)state;
	pair_init(&w);
	clock_fake_step(&w.a.clock, clock_wall(&clock_real) - w.a.clock.wall_ns);
	put_object(w.a.st, "t/segments/rest");
	struct tenant *t = store_tenant(w.a.st, STR("t"), true);
	clock_fake_step(&w.a.clock, 2 * UNITS_HOUR);
	store_sweep(w.a.st);
	assert_true(is_there(w.a.st, "t/segments/rest"));
	make_entry(t, "segments/new", NULL, clock_wall(&w.a.clock.base));
	store_sweep(w.a.st);
	assert_false(is_there(w.a.st, "t/segments/rest"));
	pair_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_store_of_many_segments_opens_soon),
		cmocka_unit_test(two_processes_see_what_the_other_flushed),
		cmocka_unit_test(refresh_happens_by_itself),
		cmocka_unit_test(one_tenant_does_not_hold_up_the_others),
		cmocka_unit_test(who_is_only_asked_for_is_no_tenant),
		cmocka_unit_test(what_nobody_names_is_swept_when_it_is_old),
		cmocka_unit_test(segments_without_a_catalog_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
