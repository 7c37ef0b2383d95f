/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/catalog.h"

#include "common/units.h"
#include "tests/unit/server/store_util.h"

#define GOLDEN "tests/unit/server/golden/"

static struct catalog_segment added[] = {
	{STR("segments/0123456789abcdef0123456789abcdef"), 1000, 20, 3000, 2, 7, -5, INT64_MAX, 0, true},
	{STR("segments/ffffffffffffffff0000000000000000"), 1, 1, 0, 1, 7, INT64_MIN, 1700000000000000000, 0, false},
};
static struct catalog_removal removed[] = {{STR("segments/aa"), 1700000000000000001},
					   {STR("segments/bb"), 1700000000000000001}};
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
		check_str(c->removed[i].name, removed[i].name);
		assert_int_equal(c->removed[i].at, removed[i].at);
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

/* What version 2 has besides. */
static struct catalog_delete deletes[] = {{STR("d1"), 7, 1700000000000000000, INT64_MIN, 5, STR("{a=\"b\"} |= `x`")},
					  {STR("d2"), 3, 0, -1, INT64_MAX, STR("{}")}};
static struct str cancelled[] = {STR("c1")}, done[] = {STR("c2"), STR("")};
static struct catalog_purge purged[] = {{STR("segments/cc"), 6}};
static struct catalog_cut cuts[] = {{CATALOG_CUT_BYTES, 1, 2, 3, INT64_MIN, INT64_MAX},
				    {CATALOG_CUT_PERIOD, UINT64_MAX, 0, 0, 0, 0}};
static uint64_t damaged[] = {5, UINT64_MAX};

static struct catalog_entry full_sample(void)
{
	struct catalog_entry c = sample;
	c.deletes = deletes, c.ndeletes = 2;
	c.cancelled = cancelled, c.ncancelled = 1;
	c.done = done, c.ndone = 2;
	c.purged = purged, c.npurged = 1;
	c.cuts = cuts, c.ncuts = 2;
	return c;
}

static void check_full(const struct catalog_entry *c)
{
	check_sample(c);
	assert_int_equal(c->ndeletes, 2);
	assert_int_equal(c->ncancelled, 1);
	assert_int_equal(c->ndone, 2);
	assert_true(c->added[0].hard && !c->added[1].hard);
	assert_int_equal(c->npurged, 1);
	assert_int_equal(c->ncuts, 2);
	for (int i = 0; i < 2; i++) {
		check_str(c->deletes[i].id, deletes[i].id);
		check_str(c->deletes[i].query, deletes[i].query);
		assert_int_equal(c->deletes[i].number, deletes[i].number);
		assert_int_equal(c->deletes[i].created, deletes[i].created);
		assert_int_equal(c->deletes[i].from, deletes[i].from);
		assert_int_equal(c->deletes[i].to, deletes[i].to);
		check_str(c->done[i], done[i]);
		const struct catalog_cut *x = &c->cuts[i], *y = &cuts[i];
		assert_true(x->reason == y->reason && x->rows == y->rows && x->bytes == y->bytes);
		assert_true(x->segments == y->segments && x->min_ts == y->min_ts && x->max_ts == y->max_ts);
	}
	check_str(c->cancelled[0], cancelled[0]);
	check_str(c->purged[0].name, purged[0].name);
	assert_int_equal(c->purged[0].number, 6);
}

static void entries_go_there_and_back(void **state)
{
	struct buf b = {0};
	struct arena a;
	struct catalog_entry c, full = full_sample();
	struct err e = ERR_INIT;
	(void)state;
	arena_init(&a, 0);
	catalog_entry_encode(&full, &b);
	MUST(catalog_entry_decode(buf_view(&b), &a, &c, must));
	check_full(&c);
	assert_false(c.whole);
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

static void a_newer_version_is_no_damage(void **state)
{
	struct buf b = {0};
	struct arena a;
	struct catalog_entry c;
	struct err e = ERR_INIT;
	(void)state;
	arena_init(&a, 0);
	catalog_entry_encode(&sample, &b);
	b.n -= 8;
	b.p[8] = CATALOG_VERSION + 1;
	buf_le64(&b, str_hash(buf_view(&b)));
	assert_false(catalog_entry_decode(buf_view(&b), &a, &c, &e));
	assert_int_equal(e.code, ERR_UNPROCESSABLE);
	buf_free(&b);
	arena_free(&a);
}

static void version_1_stays_readable(void **state)
{
	struct buf b = {0};
	struct arena a;
	struct catalog_entry c;
	(void)state;
	arena_init(&a, 0);
	MUST(fs_read_file(&fs_real, GOLDEN "catalog-1", 1 << 20, &b, must));
	MUST(catalog_entry_decode(buf_view(&b), &a, &c, must));
	check_sample(&c);
	assert_int_equal(c.added[0].purged, 0);
	assert_false(c.added[0].hard);
	buf_free(&b);
	arena_free(&a);
}

/* The file holds an entry, then a checkpoint. */
static void version_2_stays_readable(void **state)
{
	struct buf b = {0}, now = {0};
	struct arena a;
	struct catalog_entry c = full_sample();
	(void)state;
	arena_init(&a, 0);
	catalog_entry_encode(&c, &now);
	size_t first = now.n;
	c.whole = true;
	c.damaged = damaged, c.ndamaged = 2;
	catalog_entry_encode(&c, &now);
	if (getenv("LARCH_WRITE_GOLDEN")) MUST(fs_replace(&fs_real, GOLDEN "catalog-2", buf_view(&now), 0644, must));
	MUST(fs_read_file(&fs_real, GOLDEN "catalog-2", 1 << 20, &b, must));
	MUST(catalog_entry_decode(str_sub(buf_view(&b), 0, first), &a, &c, must));
	check_full(&c);
	MUST(catalog_entry_decode(str_from(buf_view(&b), first), &a, &c, must));
	check_full(&c);
	assert_true(c.whole);
	assert_int_equal(c.ndamaged, 2);
	assert_memory_equal(c.damaged, damaged, sizeof damaged);
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
	return catalog_append(c, &n, NULL, note, s, e);
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
	struct object_store *o = object_fs_open(&fs_real, dir, false, &e);
	assert_non_null(o);
	struct catalog_config config = {.objects = o, .clock = &clock_real, .grace_ns = UNITS_HOUR};
	catalog_init(&a, &config, STR("t/catalog/"));
	catalog_init(&b, &config, STR("t/catalog/"));
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
	assert_int_equal(b.state.covers.n, 2); /* touching ranges are one */

	/* A damaged entry is left out; the others count. */
	buf_printf(&path, "%s/t/catalog/0000000000000002", dir);
	FILE *f = fopen(buf_cstr(&path), "r+");
	assert_non_null(f);
	fseek(f, 40, SEEK_SET);
	fputc('?', f);
	fclose(f);
	catalog_init(&c, &config, STR("t/catalog/"));
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

/* ---- the check, and lost answers ---- */

struct inputs {
	struct seen seen;
	bool gone;
	int asked;
};

static void note_removal(void *ud, const struct catalog_entry *c)
{
	struct inputs *s = ud;
	note(&s->seen, c);
	if (c->nremoved) s->gone = true;
}

static bool still_there(void *ud, struct err *e)
{
	struct inputs *s = ud;
	s->asked++;
	return !s->gone || err_set(e, ERR_EXISTS, "an input is gone");
}

static void an_entry_that_makes_no_sense_any_more_is_not_made(void **state)
{
	char dir[] = "/tmp/larch-catalog-XXXXXX";
	struct err e = ERR_INIT;
	struct catalog a, b;
	struct inputs ia = {0}, ib = {0};
	struct catalog_removal gone = {STR("x"), 0};
	struct catalog_segment out = {.name = STR("y")};
	struct catalog_entry n = {.created = 44, .removed = &gone, .nremoved = 1, .added = &out, .nadded = 1};
	(void)state;
	assert_non_null(mkdtemp(dir));
	struct object_store *o = object_fs_open(&fs_real, dir, false, &e);
	assert_non_null(o);
	struct catalog_config config = {.objects = o, .clock = &clock_real, .grace_ns = UNITS_HOUR};
	catalog_init(&a, &config, STR("t/catalog/"));
	catalog_init(&b, &config, STR("t/catalog/"));
	MUST(catalog_append(&a, &n, still_there, note_removal, &ia, must));
	assert_int_equal(ia.asked, 1);
	assert_int_equal(gone.at, 44);
	gone.at = 0;
	out = (struct catalog_segment){.name = STR("z")};
	assert_false(catalog_append(&b, &n, still_there, note_removal, &ib, &e)); /* loses number 1, and with it x */
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(ib.asked, 2);
	assert_int_equal(b.next, 2);
	assert_int_equal(gone.at, 0);
	assert_int_equal(out.order, 0);
	check_buf(&ib.seen.names, "y@1 ");
	catalog_fini(&a);
	catalog_fini(&b);
	buf_free(&ia.seen.names);
	buf_free(&ib.seen.names);
	object_close(o);
	remove_tree(dir);
}

struct appender {
	struct object_store *o;
	struct catalog *c;
	unsigned id;
	uint64_t sum; /* of orders */
};

static void sum_up(void *ud, const struct catalog_entry *c)
{
	uint64_t *sum = ud;
	for (size_t i = 0; i < c->nadded; i++) *sum += c->added[i].order;
}

static void *append_many(void *ud)
{
	struct appender *w = ud;
	for (unsigned i = 0; i < 20; i++) {
		char name[32];
		snprintf(name, sizeof name, "%u-%u", w->id, i);
		struct catalog_segment g = {.name = str_c(name)};
		struct catalog_entry n = {.added = &g, .nadded = 1};
		MUST(catalog_append(w->c, &n, NULL, sum_up, &w->sum, must));
	}
	return NULL;
}

/* Threads of one process, and two processes: every number is made once and applied once everywhere. */
static void many_threads_append(void **state)
{
	char dir[] = "/tmp/larch-catalog-XXXXXX";
	struct err e = ERR_INIT;
	struct catalog c[2];
	struct appender w[4];
	pthread_t t[4];
	(void)state;
	assert_non_null(mkdtemp(dir));
	struct object_store *o = object_fs_open(&fs_real, dir, false, &e);
	assert_non_null(o);
	struct catalog_config config = {.objects = o, .clock = &clock_real, .grace_ns = UNITS_HOUR};
	for (unsigned i = 0; i < 2; i++) catalog_init(&c[i], &config, STR("t/catalog/"));
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct appender){o, &c[i % 2], i, 0};
		assert_int_equal(pthread_create(&t[i], NULL, append_many, &w[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) pthread_join(t[i], NULL);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t sum = w[i].sum + w[i + 2].sum;
		MUST(catalog_read(&c[i], sum_up, &sum, must));
		assert_int_equal(sum, 80 * 81 / 2);
		assert_int_equal(c[i].next, 81);
		catalog_fini(&c[i]);
	}
	object_close(o);
	remove_tree(dir);
}

/* ---- checkpoints ---- */

struct log {
	char dir[64];
	struct object_store *o;
	struct catalog_config config;
};

static void log_init(struct log *l)
{
	struct err e = ERR_INIT;
	strcpy(l->dir, "/tmp/larch-catalog-XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	l->o = object_fs_open(quick_fs(), l->dir, false, &e);
	assert_non_null(l->o);
	l->config = (struct catalog_config){.objects = l->o, .clock = &clock_real, .checkpoint_every = 4};
}

static void log_fini(struct log *l)
{
	object_close(l->o);
	remove_tree(l->dir);
}

static void log_open(struct log *l, struct catalog *c) { catalog_init(c, &l->config, STR("t/catalog/")); }

static void ignore(void *ud, const struct catalog_entry *c)
{
	unsigned *whole = ud;
	if (whole) *whole += c->whole;
}

/* Adds a segment, now and then instead of an earlier one, with what else an entry may say. */
static bool append_step(struct catalog *c, unsigned i, struct err *e)
{
	char name[32], old[32], id[32];
	snprintf(name, sizeof name, "segments/%u", i);
	snprintf(old, sizeof old, "segments/%u", i - 2);
	snprintf(id, sizeof id, "d%u", i);
	struct catalog_segment g = {.name = str_c(name), .rows = i, .max_ts = i};
	struct catalog_removal r = {str_c(old), 0};
	struct wal_range range = {1 + i % 3, i, i + 1};
	struct catalog_delete d = {.id = str_c(id), .query = STR("{}")};
	struct str ids[] = {str_c(id)};
	struct catalog_cut cut = {CATALOG_CUT_STREAM, i, 1, 1, -(int64_t)i, i};
	struct catalog_purge purge = {str_c(name), i};
	struct catalog_entry n = {.created = clock_wall(&clock_real),
				  .added = &g,
				  .nadded = 1,
				  .removed = &r,
				  .nremoved = i % 3 == 0,
				  .covers = &range,
				  .ncovers = 1,
				  .deletes = &d,
				  .ndeletes = i % 4 == 0,
				  .cancelled = ids,
				  .ncancelled = i % 8 == 0,
				  .done = ids,
				  .ndone = i % 8 == 4,
				  .cuts = &cut,
				  .ncuts = i % 5 == 0,
				  .purged = &purge,
				  .npurged = i % 2};
	return catalog_append(c, &n, NULL, ignore, NULL, e);
}

static void append_steps(struct catalog *c, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) MUST(append_step(c, i, must));
}

static void state_of(const struct catalog *c, struct buf *out)
{
	struct arena a;
	struct catalog_entry n;
	arena_init(&a, 0);
	catalog_state_collect(&c->state, &a, &n);
	n.number = c->next;
	buf_clear(out);
	catalog_entry_encode(&n, out);
	arena_free(&a);
}

static void check_same(const struct catalog *a, const struct catalog *b)
{
	struct buf x = {0}, y = {0};
	state_of(a, &x);
	state_of(b, &y);
	assert_true(str_eq(buf_view(&x), buf_view(&y)));
	buf_free(&x);
	buf_free(&y);
}

/* A new reader finds the same state; returns how many checkpoints it started from. */
static unsigned check_reader(struct log *l, const struct catalog *c)
{
	struct catalog r;
	unsigned whole = 0;
	log_open(l, &r);
	MUST(catalog_read(&r, ignore, &whole, must));
	check_same(c, &r);
	assert_int_equal(r.damaged, 0);
	catalog_fini(&r);
	return whole;
}

static bool count_objects(void *ud, const struct object_info *o)
{
	size_t *n = ud;
	n[str_find(o->name, STR("checkpoint")) >= 0]++;
	return true;
}

static void damage(const struct log *l, const char *name)
{
	char path[128];
	snprintf(path, sizeof path, "%s/t/catalog/%s", l->dir, name);
	FILE *f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, 50, SEEK_SET);
	int was = fgetc(f);
	fseek(f, 50, SEEK_SET);
	fputc(was ^ 1, f);
	fclose(f);
}

static void checkpoints_stand_for_entries(void **state)
{
	struct log l;
	struct catalog c;
	(void)state;
	log_init(&l);
	log_open(&l, &c);
	append_steps(&c, 1, 4);
	assert_int_equal(check_reader(&l, &c), 0);
	for (unsigned i = 4; i < 40; i++) {
		append_steps(&c, i, i + 1);
		assert_int_equal(check_reader(&l, &c), 1);
		assert_int_equal(c.checkpoint, i / 4 * 4);
	}
	size_t n[2] = {0};
	MUST(object_list(l.o, STR("t/catalog/"), count_objects, n, must));
	assert_in_range(n[0], 4, 8); /* entries after the last checkpoint but one */
	assert_in_range(n[1], 2, 3);

	/* A damaged checkpoint: the one before and the entries after it say the same. */
	damage(&l, "checkpoint-0000000000000024");
	assert_int_equal(check_reader(&l, &c), 1);
	append_steps(&c, 40, 60); /* and no entry goes that it needs */
	assert_int_equal(check_reader(&l, &c), 1);
	catalog_fini(&c);
	log_fini(&l);
}

static void without_a_checkpoint_what_is_lost_is_told(void **state)
{
	struct log l;
	struct catalog c, r;
	(void)state;
	log_init(&l);
	log_open(&l, &c);
	append_steps(&c, 1, 42);
	damage(&l, "checkpoint-0000000000000024");
	damage(&l, "checkpoint-0000000000000028");
	log_open(&l, &r);
	MUST(catalog_read(&r, ignore, NULL, must));
	assert_int_equal(r.next, 42);
	assert_int_equal(r.damaged, 1);
	assert_in_range(r.state.nsegments, 1, 8); /* of the entries that are left */
	append_steps(&r, 42, 50);
	catalog_fini(&c);
	catalog_fini(&r);
	log_open(&l, &c); /* a checkpoint keeps the news */
	MUST(catalog_read(&c, ignore, NULL, must));
	assert_int_equal(c.damaged, 1);
	catalog_fini(&c);
	log_fini(&l);
}

/* Whoever was away for long finds the entries gone that it needs: it starts again from a checkpoint, and nothing that
 * it makes of a number long taken counts. */
static void who_was_away_starts_again(void **state)
{
	struct log l;
	struct catalog a, b, w;
	struct err e = ERR_INIT;
	unsigned whole = 0;
	(void)state;
	log_init(&l);
	l.config.shared = true;
	log_open(&l, &a);
	log_open(&l, &b);
	log_open(&l, &w);
	append_steps(&a, 1, 5);
	MUST(catalog_read(&b, ignore, &whole, must));
	MUST(catalog_poll(&w, ignore, NULL, must));
	assert_int_equal(w.next, 5);
	append_steps(&a, 5, 50);
	whole = 0;
	MUST(catalog_poll(&b, ignore, &whole, must));
	assert_int_equal(whole, 1);
	check_same(&a, &b);

	assert_false(append_step(&w, 1000, &e)); /* its number was free, as the entry there is gone */
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	check_same(&a, &w);
	MUST(append_step(&w, 1000, must));
	assert_int_equal(w.next, 51);
	MUST(catalog_poll(&a, ignore, NULL, must));
	check_same(&a, &w);
	assert_true(catalog_state_has(&a.state, STR("segments/1000")));
	assert_int_equal(check_reader(&l, &a), 1);

	struct catalog late; /* knows nothing at all */
	log_open(&l, &late);
	MUST(append_step(&late, 1001, must));
	assert_int_equal(late.next, 52);
	MUST(catalog_poll(&a, ignore, NULL, must));
	check_same(&a, &late);
	catalog_fini(&late);
	catalog_fini(&a);
	catalog_fini(&b);
	catalog_fini(&w);
	log_fini(&l);
}

/* An answer got lost, the entry was read as if it were another's, and its segment is compacted by now. */
static void a_removed_segment_does_not_come_back(void **state)
{
	struct log l;
	struct catalog c;
	struct catalog_segment g = {.name = STR("segments/a")};
	struct catalog_removal r = {STR("segments/a"), 0};
	struct catalog_entry add = {.added = &g, .nadded = 1}, drop = {.removed = &r, .nremoved = 1};
	(void)state;
	log_init(&l);
	log_open(&l, &c);
	drop.created = clock_wall(&clock_real);
	MUST(catalog_append(&c, &add, NULL, ignore, NULL, must));
	MUST(catalog_append(&c, &drop, NULL, ignore, NULL, must));
	assert_int_equal(catalog_removed(&c, STR("segments/a")), drop.created);
	MUST(catalog_append(&c, &add, NULL, ignore, NULL, must));
	assert_int_equal(c.state.nsegments, 0);
	append_steps(&c, 10, 20);
	check_reader(&l, &c);
	catalog_fini(&c);
	log_fini(&l);
}

static void what_nobody_would_read_is_not_written(void **state)
{
	struct log l;
	struct catalog c;
	struct err e = ERR_INIT;
	char *query = mem_zalloc(CATALOG_ENTRY_MAX);
	struct catalog_delete d = {.id = STR("d"), .query = str_of(query, CATALOG_ENTRY_MAX)};
	struct catalog_entry n = {.deletes = &d, .ndeletes = 1};
	(void)state;
	log_init(&l);
	log_open(&l, &c);
	assert_false(catalog_append(&c, &n, NULL, ignore, NULL, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	append_steps(&c, 1, 3);
	check_reader(&l, &c);
	free(query);
	catalog_fini(&c);
	log_fini(&l);
}

static void copy_object(struct object_store *from, struct object_store *to, const char *name)
{
	struct buf b = {0};
	MUST(object_read(from, str_c(name), 1 << 20, &b, must));
	MUST(object_put(to, str_c(name), buf_view(&b), false, must));
	buf_free(&b);
}

/* Whatever was read or made is there without the objects, also behind what could be read of them. */
static void the_mirror_knows_what_was_seen(void **state)
{
	struct log l, local, part;
	struct catalog maker, reader, r;
	(void)state;
	log_init(&l);
	log_init(&local);
	log_init(&part);
	l.config.mirror = local.o;
	log_open(&l, &maker);
	append_steps(&maker, 1, 4);
	log_open(&l, &r);
	MUST(catalog_read_mirror(&r, ignore, NULL, must));
	check_same(&maker, &r);
	catalog_fini(&r);

	copy_object(l.o, part.o, "t/catalog/0000000000000001");
	append_steps(&maker, 4, 31); /* with checkpoints, which let older copies go */
	assert_false(object_read(local.o, STR("t/catalog/0000000000000004"), 1, &(struct buf){0}, &(struct err){0}));
	part.config.mirror = local.o;
	log_open(&part, &r);
	MUST(catalog_read(&r, ignore, NULL, must));
	assert_int_equal(r.next, 2);
	MUST(catalog_read_mirror(&r, ignore, NULL, must));
	check_same(&maker, &r);
	catalog_fini(&r);

	struct log other; /* what was only read, too */
	log_init(&other);
	l.config.mirror = other.o;
	log_open(&l, &reader);
	MUST(catalog_read(&reader, ignore, NULL, must));
	append_steps(&maker, 31, 34);
	MUST(catalog_read(&reader, ignore, NULL, must));
	log_open(&l, &r);
	MUST(catalog_read_mirror(&r, ignore, NULL, must));
	check_same(&maker, &r);
	catalog_fini(&r);
	catalog_fini(&reader);
	catalog_fini(&maker);
	log_fini(&l);
	log_fini(&local);
	log_fini(&part);
	log_fini(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_go_there_and_back),
		cmocka_unit_test(a_newer_version_is_no_damage),
		cmocka_unit_test(version_1_stays_readable),
		cmocka_unit_test(version_2_stays_readable),
		cmocka_unit_test(two_writers_share_one_log),
		cmocka_unit_test(an_entry_that_makes_no_sense_any_more_is_not_made),
		cmocka_unit_test(many_threads_append),
		cmocka_unit_test(checkpoints_stand_for_entries),
		cmocka_unit_test(without_a_checkpoint_what_is_lost_is_told),
		cmocka_unit_test(who_was_away_starts_again),
		cmocka_unit_test(a_removed_segment_does_not_come_back),
		cmocka_unit_test(what_nobody_would_read_is_not_written),
		cmocka_unit_test(the_mirror_knows_what_was_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
