/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compaction, retention and deletes on disk, through the maintenance of a real store with a clock that stands. */
#include "server/store/maintain.h"
#include "server/store/tenant.h"
#include "tests/unit/server/fault_util.h"

#include "common/units.h"

#define NOW INT64_C(1700000000000000000)
#define DAY UNITS_DAY

struct keep {
	struct place p;
	struct arena a;
	struct limits limits;
	struct overrides *overrides;
	struct maintain *m;
	struct model model;
	struct rnd r;
	uint64_t bytes; /* of retention, all tenants */
	int64_t retention_interval;
	bool (*busy)(void *ud);
	size_t calls, objects; /* of busy; most objects that it saw */
};

static void set_limits(struct keep *k)
{
	struct err e = ERR_INIT;
	overrides_free(k->overrides);
	k->overrides = overrides_new(&k->limits, (struct conf_strs){0}, &fs_real, &e);
	if (!k->overrides) fail_msg("%s", e.msg);
}

static void start(struct keep *k)
{
	struct err e = ERR_INIT;
	k->m = maintain_start(&(struct maintain_config){.store = k->p.st,
							.overrides = k->overrides,
							.clock = &k->p.clock.base,
							.busy = k->busy,
							.ud = k,
							.retention_interval_ns = k->retention_interval,
							.cancel_ns = DAY,
							.target = 1u << 20,
							.memory = 16u << 20,
							.retention_bytes = k->bytes,
							.compact = true},
			      &e);
	if (!k->m) fail_msg("%s", e.msg);
}

static void setup(struct keep *k, uint64_t seed, uint32_t streams)
{
	*k = (struct keep){.r = {seed}};
	place_init(&k->p);
	arena_init(&k->a, 0);
	conf_defaults(&limits_table, &k->limits, &k->a);
	set_limits(k);
	model_init(&k->model, streams);
	place_open(&k->p);
	start(k);
}

static void restart(struct keep *k)
{
	maintain_stop(k->m);
	place_close(&k->p, false);
	place_open(&k->p);
	start(k);
}

static void teardown(struct keep *k)
{
	maintain_stop(k->m);
	place_fini(&k->p);
	overrides_free(k->overrides);
	model_free(&k->model);
	arena_free(&k->a);
}

static void push(struct keep *k, int64_t at, size_t n, bool flush)
{
	struct entry_of *v = arena_alloc(&k->a, n * sizeof *v);
	struct err e = ERR_INIT;
	random_entries(&k->model, &k->r, &k->a, at, v, n);
	if (!model_push(&k->model, k->p.in, "t", v, n, &e)) fail_msg("%s", e.msg);
	if (flush) MUST(ingest_flush(k->p.in, must));
}

static void run(struct keep *k) { MUST(maintain_run(k->m, NULL, must)); }

static void get_tenant(void *ud, const struct maintain_tenant *t) { *(struct maintain_tenant *)ud = *t; }

static struct maintain_tenant status(struct keep *k)
{
	struct maintain_tenant t = {0};
	maintain_tenants(k->m, true, get_tenant, &t);
	return t;
}

/* ---- compaction ---- */

static void answers_stay_the_same(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct keep k;
		setup(&k, seed, 7);
		for (int round = 0; round < 3; round++) {
			for (int i = 0; i < 6; i++)
				push(&k, NOW + i * UNITS_HOUR, 1 + (size_t)rnd(&k.r, 300), rnd(&k.r, 4));
			uint64_t before = status(&k).segments;
			run(&k);
			struct maintain_tenant t = status(&k);
			assert_true(t.segments < before && t.backlog.segments == 0);
			model_check_all(&k.model, k.p.st, "t");
			push(&k, NOW, 50, false);
			model_check_all(&k.model, k.p.st, "t");
		}
		struct maintain_stats st;
		maintain_stats(k.m, &st);
		assert_true(st.rounds == 3 && st.failures == 0 && st.done.merges >= 3 && st.done.copies > 0);
		restart(&k);
		model_check_all(&k.model, k.p.st, "t");
		uint64_t merged = status(&k).segments;
		run(&k); /* nothing is left to do, but what the restart flushed */
		assert_true(status(&k).segments <= merged + 1);
		teardown(&k);
	}
}

/* A snapshot taken before goes on reading the segments that were replaced; their objects go when the grace is over. */
static void old_snapshots_keep_their_segments(void **state)
{
	struct keep k;
	struct err e = ERR_INIT;
	struct fs_list files;
	struct buf path = {0};
	(void)state;
	setup(&k, 3, 4);
	for (int i = 0; i < 5; i++) push(&k, NOW, 200, true);
	struct snapshot *s = snapshot_take(k.p.st, STR("t"));
	struct scan_opts o = {.from = INT64_MIN, .to = INT64_MAX, .want = SCAN_LINE};
	struct scan *sc = scan_open(s, &o, &e);
	struct scan_batch b;
	size_t rows = 0;
	run(&k);
	while (scan_next(sc, &b, &e)) rows += b.n;
	assert_int_equal(e.code, ERR_NONE);
	struct model_query q = {.from = INT64_MIN, .to = INT64_MAX};
	assert_int_equal(rows, model_check(&k.model, k.p.st, "t", &q, SCAN_BY_STREAM, SCAN_LINE, NULL));
	scan_close(sc);
	snapshot_free(s);

	uint64_t named = status(&k).segments;
	fs_path(&path, k.p.dir, "store/t/segments");
	for (int i = 0; i < 2; i++) { /* the grace is ten minutes */
		clock_fake_step(&k.p.clock, 6 * UNITS_MIN);
		run(&k);
		assert_int_equal(status(&k).segments, named);
		MUST(fs_list(path.p, &files, must));
		assert_true(i == 0 ? files.n > named : files.n == named);
		fs_list_free(&files);
	}
	model_check_all(&k.model, k.p.st, "t");
	buf_free(&path);
	teardown(&k);
}

static void flip(const char *path)
{
	FILE *f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, -45, SEEK_END);
	fputs("?!", f);
	fclose(f);
}

static void lose(const char *path) { assert_int_equal(unlink(path), 0); }

static bool no_room(void *ud, uint64_t bytes, struct err *e)
{
	uint64_t *asked = ud;
	*asked += bytes;
	return err_set(e, ERR_NO_SPACE, "no room");
}

/* Where there is no space to merge, segments stay, and a later round has them. */
static void a_full_disk_merges_nothing(void **state)
{
	struct keep k;
	struct err e = ERR_INIT;
	uint64_t asked = 0;
	(void)state;
	setup(&k, 5, 3);
	for (int i = 0; i < 4; i++) push(&k, NOW, 20, true);
	uint64_t before = status(&k).segments;
	struct maintain *full = maintain_start(&(struct maintain_config){.store = k.p.st,
									 .overrides = k.overrides,
									 .clock = &k.p.clock.base,
									 .room = no_room,
									 .ud = &asked,
									 .cancel_ns = DAY,
									 .target = 1u << 20,
									 .memory = 16u << 20,
									 .compact = true},
					       &e);
	assert_non_null(full);
	assert_false(maintain_run(full, NULL, &e));
	assert_int_equal(e.code, ERR_NO_SPACE);
	maintain_stop(full);
	assert_true(asked > 0);
	assert_int_equal(status(&k).segments, before);
	run(&k);
	assert_true(status(&k).segments < before);
	model_check_all(&k.model, k.p.st, "t");
	teardown(&k);
}

/* A segment that cannot be read stays as it is, and the others of its day are merged around it. */
static void check_damage(void (*spoil)(const char *path))
{
	struct keep k;
	struct buf path = {0};
	setup(&k, 4, 3);
	int64_t noon = NOW - NOW % DAY + DAY / 2;
	for (int i = 0; i < 5; i++) {
		struct entry_of x = {.ts = noon + i, .line = STR("one line")};
		struct err e;
		assert_true(model_push(&k.model, k.p.in, "t", &x, 1, &e));
		MUST(ingest_flush(k.p.in, must));
	}
	struct tenant *t = store_tenant(k.p.st, STR("t"), false);
	assert_int_equal(t->nsegments, 5);
	char name[200];
	snprintf(name, sizeof name, "store/%s", t->segments[2]->name);
	fs_path(&path, k.p.dir, name);
	spoil(path.p);
	run(&k);
	assert_int_equal(status(&k).segments, 3);
	assert_true(t->segments[1]->unreadable && !t->segments[0]->unreadable);
	buf_free(&path);
	teardown(&k);
}

static void damage_is_left_alone(void **state)
{
	(void)state;
	check_damage(flip);
}

static void so_is_what_is_gone(void **state)
{
	(void)state;
	check_damage(lose);
}

/* What compaction cannot rewrite goes when all of it is past its period. */
static void what_cannot_be_rewritten_goes_in_the_end(void **state)
{
	struct keep k;
	(void)state;
	setup(&k, 11, 3);
	push(&k, NOW, 20, true);
	struct tenant *t = store_tenant(k.p.st, STR("t"), false);
	assert_true(t->nsegments > 0);
	for (size_t i = 0; i < t->nsegments; i++) t->segments[i]->rewrite = t->segments[i]->unreadable = true;
	k.limits.retention_period = 5 * DAY;
	set_limits(&k);
	maintain_stop(k.m);
	start(&k);
	clock_fake_step(&k.p.clock, 20 * DAY);
	run(&k);
	assert_int_equal(t->nsegments, 0);
	teardown(&k);
}

/* ---- retention ---- */

struct rule_of {
	const char *selector;
	int64_t priority, period;
};

static void set_rules(struct keep *k, int64_t period, const struct rule_of *r, size_t n)
{
	struct limits_retention_stream *v = arena_alloc(&k->a, (n + 1) * sizeof *v);
	for (size_t i = 0; i < n; i++)
		v[i] = (struct limits_retention_stream){str_c(r[i].selector), r[i].priority, r[i].period};
	k->limits.retention_period = period;
	k->limits.retention_stream = (struct conf_list){v, n};
	if (k->m) {
		maintain_stop(k->m);
		set_limits(k);
		start(k);
	}
}

static void periods_of_streams(void **state)
{
	static const struct rule_of rules[] = {
		{"{app=\"a\"}", 1, 2 * DAY},
		{"{app=\"a\", env=\"prod\"}", 2, 30 * DAY},
		{"{env=~\"te.*\"}", 2, 3 * DAY},
		{"{env=~\"tes.*\"}", 2, 1 * DAY},
		{"{env!=\"\", app=\"z\"}", 0, 9 * DAY},
	};
	static const struct {
		const char *labels;
		int64_t days; /* 0: for ever */
		enum catalog_cut_reason reason;
	} rows[] = {
		{"{app=\"a\"}", 2, CATALOG_CUT_STREAM},
		{"{app=\"a\", env=\"prod\"}", 30, CATALOG_CUT_STREAM},
		{"{app=\"a\", env=\"test\"}", 1, CATALOG_CUT_STREAM}, /* the priority first, then the shortest */
		{"{app=\"b\", env=\"tea\"}", 3, CATALOG_CUT_STREAM},
		{"{app=\"z\", env=\"prod\"}", 9, CATALOG_CUT_STREAM},
		{"{app=\"z\"}", 7, CATALOG_CUT_PERIOD},
		{"{other=\"x\"}", 7, CATALOG_CUT_PERIOD},
	};
	struct keep k = {0};
	struct err e = ERR_INIT;
	(void)state;
	arena_init(&k.a, 0);
	conf_defaults(&limits_table, &k.limits, &k.a);
	struct retention *forever = retention_new(&k.limits);
	set_rules(&k, 7 * DAY, rules, COUNT(rules));
	struct retention *r = retention_new(&k.limits);
	assert_int_not_equal(retention_id(r), retention_id(forever));
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct labels l;
		enum catalog_cut_reason reason;
		assert_true(labels_parse(&k.a, str_c(rows[i].labels), &l, &e));
		assert_int_equal(retention_keep_from(r, &l, NOW, &reason), NOW - rows[i].days * DAY);
		assert_int_equal(reason, rows[i].reason);
		assert_int_equal(retention_keep_from(forever, &l, NOW, &reason), INT64_MIN);
	}
	struct retention_bounds b = retention_bounds(r, NOW, NOW + 5);
	assert_false(b.exact);
	assert_int_equal(b.first_at, NOW + DAY + 1);
	assert_int_equal(b.all_at, NOW + 5 + 30 * DAY + 1);
	b = retention_bounds(forever, NOW, NOW);
	assert_true(b.exact && b.first_at == INT64_MAX && b.all_at == INT64_MAX);
	retention_free(r);
	retention_free(forever);
	arena_free(&k.a);
}

/* Noon of ten days, one segment or two each; the model keeps what is to stay. */
static void push_days(struct keep *k, bool flush_each)
{
	int64_t today = NOW - NOW % DAY;
	for (int64_t day = -9; day <= 0; day++) {
		struct entry_of v[60];
		struct err e;
		for (size_t i = 0; i < COUNT(v); i++) {
			v[i] = (struct entry_of){.stream = (uint32_t)(i % k->model.nstreams),
						 .ts = today + day * DAY + DAY / 2 + (int64_t)i,
						 .line = arena_printf(&k->a, "day %d line %zu", (int)day, i)};
		}
		assert_true(model_push(&k->model, k->p.in, "t", v, 30, &e));
		if (flush_each) MUST(ingest_flush(k->p.in, must));
		assert_true(model_push(&k->model, k->p.in, "t", v + 30, 30, &e));
	}
	MUST(ingest_flush(k->p.in, must));
}

static void forget(struct keep *k, int64_t before, const char *app)
{
	size_t n = 0;
	for (size_t i = 0; i < k->model.n; i++) {
		const struct entry_of *x = &k->model.v[i];
		bool meant = !app || str_eqc(labels_get(&k->model.streams[x->stream], STR("app")), app);
		if (!meant || x->ts >= before) k->model.v[n++] = *x;
	}
	k->model.n = n;
}

static void whole_segments_go_by_period(void **state)
{
	struct keep k;
	int64_t today = NOW - NOW % DAY;
	(void)state;
	setup(&k, 5, 6);
	push_days(&k, true);
	clock_fake_step(&k.p.clock, today + 2 * DAY - NOW); /* noon of day -4 is 5.5 days ago */
	run(&k);
	model_check_all(&k.model, k.p.st, "t");
	assert_int_equal(status(&k).next_deletion, INT64_MAX);
	set_rules(&k, 5 * DAY, NULL, 0);
	assert_int_equal(status(&k).next_deletion, today - 9 * DAY + DAY / 2 + 59 + 5 * DAY + 1);
	run(&k);
	forget(&k, today - 3 * DAY, NULL);
	model_check_all(&k.model, k.p.st, "t");
	struct maintain_tenant t = status(&k);
	assert_int_equal(t.segments, 4);
	assert_int_equal(t.cuts[CATALOG_CUT_PERIOD].segments, 6);
	assert_int_equal(t.cuts[CATALOG_CUT_PERIOD].rows, 6 * 60);
	assert_int_equal(t.cuts[CATALOG_CUT_PERIOD].min_ts, today - 9 * DAY + DAY / 2);
	assert_int_equal(t.cuts[CATALOG_CUT_PERIOD].max_ts, today - 4 * DAY + DAY / 2 + 59);
	assert_int_equal(t.next_deletion, today - 3 * DAY + DAY / 2 + 59 + 5 * DAY + 1);
	restart(&k); /* cuts are in the catalog */
	assert_int_equal(status(&k).cuts[CATALOG_CUT_PERIOD].segments, 6);
	model_check_all(&k.model, k.p.st, "t");
	teardown(&k);
}

static void streams_with_periods_of_their_own_are_rewritten(void **state)
{
	static const struct rule_of rules[] = {{"{app=\"a0\"}", 1, 2 * DAY}, {"{app=\"a1\"}", 1, 4 * DAY}};
	struct keep k;
	int64_t today = NOW - NOW % DAY;
	(void)state;
	setup(&k, 6, 6);
	push_days(&k, true);
	clock_fake_step(&k.p.clock, today + DAY - NOW);
	run(&k);
	assert_int_equal(status(&k).segments, 10);
	set_rules(&k, 6 * DAY, rules, COUNT(rules));
	run(&k);
	forget(&k, today - 1 * DAY, "a0"); /* noon of day -2 is 2.5 days ago */
	forget(&k, today - 3 * DAY, "a1");
	forget(&k, today - 5 * DAY, NULL);
	model_check_all(&k.model, k.p.st, "t");
	struct maintain_tenant t = status(&k);
	assert_int_equal(t.segments, 6);
	assert_int_equal(t.cuts[CATALOG_CUT_PERIOD].rows, 4 * 20);
	assert_int_equal(t.cuts[CATALOG_CUT_STREAM].rows, 8 * 20 + 6 * 20);
	struct maintain_stats st;
	maintain_stats(k.m, &st);
	assert_true(st.done.expired == 4 * 20 + 2 * 20 && st.done.merges == 4); /* the rest went with whole segments */
	run(&k);                                                                /* nothing more until time passes */
	maintain_stats(k.m, &st);
	assert_int_equal(st.done.merges, 4);
	clock_fake_step(&k.p.clock, DAY);
	run(&k);
	forget(&k, today, "a0");
	forget(&k, today - 2 * DAY, "a1");
	forget(&k, today - 4 * DAY, NULL);
	model_check_all(&k.model, k.p.st, "t");
	teardown(&k);
}

static bool a_day_passes(void *ud)
{
	struct keep *k = ud;
	struct fs_list l;
	struct buf path = {0};
	fs_path(&path, k->p.dir, "store/t/segments");
	MUST(fs_list(path.p, &l, must));
	if (l.n > k->objects) k->objects = l.n;
	fs_list_free(&l);
	buf_free(&path);
	k->calls++;
	clock_fake_step(&k->p.clock, DAY);
	return false;
}

/* Merging may take so long that meanwhile periods end, and that what was replaced would fill the disk. */
static void a_long_round_does_what_is_due(void **state)
{
	struct keep k;
	struct err e;
	(void)state;
	setup(&k, 12, 3);
	clock_fake_step(&k.p.clock, clock_wall(&clock_real) - NOW);
	int64_t now = k.p.clock.wall_ns;
	char *line = arena_alloc(&k.a, 32768);
	memset(line, 'x', 32768);
	for (int day = 0; day < 5; day++) {
		struct entry_of v[48];
		for (int i = 0; i < 48; i++)
			v[i] = (struct entry_of){.ts = now - day * DAY - i, .line = str_of(line, 32768)};
		assert_true(model_push(&k.model, k.p.in, "t", v, 48, &e));
	}
	struct entry_of old = {.ts = now - 30 * DAY + DAY / 2, .line = STR("old")};
	assert_true(model_push(&k.model, k.p.in, "old", &old, 1, &e));
	MUST(ingest_flush(k.p.in, must));
	size_t objects = store_tenant(k.p.st, STR("t"), false)->nsegments;
	k.busy = a_day_passes;
	k.retention_interval = UNITS_HOUR;
	k.limits.retention_period = 30 * DAY;
	set_limits(&k);
	maintain_stop(k.m);
	start(&k);
	run(&k);
	assert_true(k.calls >= 3);
	assert_int_equal(store_tenant(k.p.st, STR("old"), false)->nsegments, 0);
	assert_in_range(k.objects, objects, objects + 1);
	teardown(&k);
}

static void the_oldest_go_by_bytes(void **state)
{
	struct keep k;
	int64_t today = NOW - NOW % DAY;
	(void)state;
	setup(&k, 7, 6);
	push_days(&k, false);
	run(&k);
	struct maintain_tenant t = status(&k);
	assert_int_equal(t.segments, 10);
	k.limits.retention_bytes = t.size / 2;
	set_rules(&k, 0, NULL, 0);
	run(&k);
	uint64_t left = status(&k).segments;
	assert_true(left >= 4 && left <= 5 && status(&k).size <= t.size / 2);
	assert_int_equal(status(&k).cuts[CATALOG_CUT_BYTES].segments, 10 - left);
	forget(&k, today - ((int64_t)left - 1) * DAY, NULL);
	model_check_all(&k.model, k.p.st, "t");
	k.bytes = 1; /* of all tenants together: less than any segment */
	set_rules(&k, 0, NULL, 0);
	run(&k);
	assert_int_equal(status(&k).segments, 0);
	assert_int_equal(status(&k).cuts[CATALOG_CUT_BYTES].rows, 600);
	k.model.n = 0;
	model_check_all(&k.model, k.p.st, "t");
	teardown(&k);
}

/* ---- deletes ---- */

static bool marked(void *ud, const struct entry_of *x)
{
	const struct keep *k = ud;
	return str_eqc(labels_get(&k->model.streams[x->stream], STR("app")), "a1") &&
	       str_find(x->line, STR("line 3")) >= 0;
}

static void deletes_become_true_on_disk(void **state)
{
	struct keep k;
	char id[DELETE_ID];
	(void)state;
	setup(&k, 8, 6);
	push_days(&k, true);
	struct tenant *t = store_tenant(k.p.st, STR("t"), false);
	struct delete_spec spec = {STR("{app=\"a1\"} |= \"line 3\""), NOW - 5 * DAY, NOW + DAY};
	MUST(deletes_create(t, &spec, id, must));
	ingest_fence(k.p.in);
	uint64_t rows = status(&k).rows, gone = 0;
	size_t n = 0;
	for (size_t i = 0; i < k.model.n; i++) {
		if (marked(&k, &k.model.v[i]) && k.model.v[i].ts >= spec.from)
			gone++;
		else
			k.model.v[n++] = k.model.v[i];
	}
	k.model.n = n;
	assert_true(gone > 3);
	model_check_all(&k.model, k.p.st, "t");
	run(&k); /* it can still be cancelled */
	assert_int_equal(status(&k).rows, rows);
	assert_int_equal(status(&k).deletes_pending, 1);
	model_check_all(&k.model, k.p.st, "t");
	push(&k, NOW, 40, true); /* what comes later shows, and may be merged with the rest once that is purged */
	clock_fake_step(&k.p.clock, DAY + 1);
	run(&k);
	struct maintain_stats st;
	maintain_stats(k.m, &st);
	assert_int_equal(st.done.deleted, gone);
	assert_int_equal(status(&k).deletes_pending, 0);
	model_check_all(&k.model, k.p.st, "t");
	restart(&k);
	model_check_all(&k.model, k.p.st, "t");
	teardown(&k);
}

/* ---- faults ---- */

static struct object_store *wrap(void *ud, struct object_store *files) { return object_fault_new(files, ud); }

/* The n-th call of a round fails; then a round without failures, or a start on what is left, finds what was there
 * before, and compaction goes on. True: the round has fewer calls. */
static bool fail_at(struct keep *k, struct object_faults *f, enum object_fault_kind kind, long call)
{
	struct err e = ERR_INIT;
	place_open(&k->p);
	start(k);
	object_faults_arm(f, kind, call);
	bool ok = maintain_run(k->m, NULL, &e), done = f->t.seen < call;
	if (done && !ok) fail_msg("%s", e.msg);
	object_faults_arm(f, kind, -1);
	if (kind == OBJECT_DEAD) restart(k);
	model_check_all(&k->model, k->p.st, "t");
	run(k);
	model_check_all(&k->model, k->p.st, "t");
	assert_true(status(k).segments <= 3 && status(k).backlog.segments == 0);
	maintain_stop(k->m);
	place_close(&k->p, false);
	k->m = NULL;
	return done;
}

static void every_call_may_fail(void **state)
{
	struct object_faults f = {.t.left = -1};
	char saved[] = "/tmp/larch-store-XXXXXX";
	struct keep k;
	(void)state;
	setup(&k, 9, 5);
	for (int i = 0; i < 4; i++) push(&k, NOW, 60, true);
	maintain_stop(k.m);
	place_close(&k.p, true);
	assert_non_null(mkdtemp(saved));
	copy_tree(k.p.dir, saved);
	k.p.objects = wrap;
	k.p.objects_ud = &f;
	for (int kind = 0; kind < OBJECT_FAULTS; kind++) {
		bool done = false;
		for (long call = 1; !done; call++) {
			assert_true(call < 1000);
			remove_tree(k.p.dir);
			copy_tree(saved, k.p.dir);
			done = fail_at(&k, &f, (enum object_fault_kind)kind, call);
		}
	}
	remove_tree(saved);
	teardown(&k);
}

static void waiting_ends_when_the_server_stops(void **state)
{
	struct keep k;
	struct err e = ERR_INIT;
	_Atomic bool gone = true;
	(void)state;
	setup(&k, 10, 3);
	push(&k, NOW, 20, true);
	maintain_run(k.m, &gone, &e); /* either is right */
	assert_true(e.code == ERR_NONE || e.code == ERR_CANCELLED);
	maintain_give_up(k.m);
	e = ERR_INIT;
	assert_false(maintain_run(k.m, NULL, &e));
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	teardown(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_stay_the_same),
		cmocka_unit_test(old_snapshots_keep_their_segments),
		cmocka_unit_test(a_full_disk_merges_nothing),
		cmocka_unit_test(damage_is_left_alone),
		cmocka_unit_test(so_is_what_is_gone),
		cmocka_unit_test(what_cannot_be_rewritten_goes_in_the_end),
		cmocka_unit_test(periods_of_streams),
		cmocka_unit_test(whole_segments_go_by_period),
		cmocka_unit_test(streams_with_periods_of_their_own_are_rewritten),
		cmocka_unit_test(a_long_round_does_what_is_due),
		cmocka_unit_test(the_oldest_go_by_bytes),
		cmocka_unit_test(deletes_become_true_on_disk),
		cmocka_unit_test(every_call_may_fail),
		cmocka_unit_test(waiting_ends_when_the_server_stops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
