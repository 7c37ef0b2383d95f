/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/server/delete_util.h"

#include "common/units.h"
#include "server/store/mask.h"

#define TENANT "team-a"
#define NOW    INT64_C(1700000000000000000)
#define PERIOD UNITS_DAY /* in which a request may be cancelled */

static void request(const struct model *m, struct requests *q, struct place *p, const struct kind *kind, int64_t from,
		    int64_t to)
{
	MUST(requests_make(q, m, p, TENANT, kind, from, to, must));
}

static void cancel(struct requests *q, struct place *p, size_t i)
{
	struct err e = ERR_INIT;
	bool was = q->v[i].cancelled, ok = requests_cancel(q, p, TENANT, i, INT64_MIN, &e);
	assert_int_equal(ok, !was);
	if (!ok) assert_int_equal(e.code, ERR_NOT_FOUND);
}

static struct tenant *tenant_of(struct place *p) { return store_tenant(p->st, STR(TENANT), true); }

/* ---- checks ---- */

struct streams_seen {
	const struct model *m;
	bool seen[16];
};

static bool see(void *ud, const struct reader_stream *st)
{
	struct streams_seen *w = ud;
	for (uint32_t i = 0; i < w->m->nstreams; i++) {
		if (!labels_eq(&w->m->streams[i], &st->labels)) continue;
		assert_false(w->seen[i]);
		w->seen[i] = true;
	}
	return true;
}

/* Over all time, streams are exactly those with an entry that shows, and figures count what shows. */
static void check_streams(const struct model *left, struct place *p, bool exact)
{
	struct streams_seen got = {.m = left}, want = {.m = left};
	struct snapshot *s = snapshot_take(p->st, STR(TENANT));
	struct reader_stats st;
	uint64_t streams = 0;
	for (size_t i = 0; i < left->n; i++) want.seen[left->v[i].stream] = true;
	for (uint32_t i = 0; i < left->nstreams; i++) streams += want.seen[i];
	MUST(snapshot_streams(s, NULL, 0, INT64_MIN, INT64_MAX, see, &got, must));
	assert_memory_equal(got.seen, want.seen, sizeof got.seen);
	MUST(snapshot_stats(s, NULL, 0, INT64_MIN, INT64_MAX, &st, must));
	assert_int_equal(st.streams, streams);
	if (exact) assert_int_equal(st.entries, left->n);
	snapshot_free(s);
}

static bool line_has_error(struct str line) { return str_find(line, STR("error")) >= 0; }

static void check(const struct model *m, const struct requests *q, struct place *p, struct rnd *r)
{
	struct linefilter_operand has[] = {{STR("error"), false}};
	struct linefilter lf = {LINEFILTER_EQ, has, 1};
	struct err e = ERR_INIT;
	struct linefilters *f = linefilters_new(&lf, 1, NULL, &e);
	struct model left = visible(m, q);
	model_check_all(&left, p->st, TENANT);
	check_streams(&left, p, false);
	for (int i = 0; i < 8; i++) {
		struct model_query mq = {.from = NOW + (int64_t)rnd(r, 100) * 10000000, .forward = i & 1};
		mq.to = mq.from + (int64_t)rnd(r, 90) * 10000000;
		if (i & 4) mq.pass = line_has_error;
		model_check(&left, p->st, TENANT, &mq, i & 2 ? SCAN_BY_TIME : SCAN_BY_STREAM, (unsigned)rnd(r, 8),
			    i & 4 ? f : NULL);
	}
	linefilters_free(f);
	free(left.v);
}

static void push_random(struct model *m, struct place *p, struct rnd *r, int64_t now, size_t n)
{
	struct arena a;
	arena_init(&a, 0);
	struct entry_of *v = mem_alloc(n * sizeof *v);
	random_entries(m, r, &a, now, v, n);
	MUST(model_push(m, p->in, TENANT, v, n, must));
	free(v);
	arena_free(&a);
}

/* What a crash right now leaves on disk. */
static void crash(struct place *p)
{
	struct place next;
	const char *shared = p->shared;
	place_init(&next);
	remove_tree(next.dir);
	copy_tree(p->dir, next.dir);
	place_fini(p);
	*p = next;
	p->c.heads = &p->heads;
	p->c.clock = &p->clock.base;
	p->c.wal_dir = p->wal;
	p->shared = shared;
	place_open(p);
}

static void step(struct model *m, struct requests *q, struct place *p, struct rnd *r, int64_t now)
{
	switch (rnd(r, 16)) {
	case 0:
	case 1:
	case 2: {
		const struct kind *k = &kinds[rnd(r, COUNT(kinds))];
		int64_t from = rnd(r, 3) ? now - (int64_t)rnd(r, 60) * 10000000 : NOW - 10 * UNITS_DAY;
		request(m, q, p, k, from, rnd(r, 3) ? from + (int64_t)rnd(r, 50) * 10000000 : now + UNITS_DAY);
		break;
	}
	case 3:
		if (q->n) cancel(q, p, rnd(r, q->n));
		break;
	case 4:
	case 5: MUST(ingest_flush(p->in, must)); break;
	case 6:
		place_close(p, rnd(r, 2));
		place_open(p);
		break;
	case 7: crash(p); break;
	default: push_random(m, p, r, now, 1 + rnd(r, 40));
	}
}

static void run_model(uint64_t seed, int steps)
{
	struct place p;
	struct model m;
	struct requests *q = requests_new();
	struct rnd r = {seed};
	int64_t now = NOW;
	print_message("seed %llu\n", (unsigned long long)seed);
	place_init(&p);
	place_open(&p);
	model_init(&m, 7);
	for (int i = 0; i < steps; i++, now += 8000000) {
		step(&m, q, &p, &r, now);
		if (i % 4 == 3) check(&m, q, &p, &r);
	}
	place_close(&p, true);
	place_open(&p);
	check(&m, q, &p, &r);
	place_fini(&p);
	model_free(&m);
	requests_free(q);
}

static void every_reading_agrees_with_the_model(void **state)
{
	const char *seed = getenv("LARCH_SEED");
	(void)state;
	if (seed) {
		run_model(strtoull(seed, NULL, 10), 150);
		return;
	}
	for (uint64_t s = 1; s <= 6; s++) run_model(s, 80);
}

/* ---- what arrives after a request shows, at once ---- */

static void push_line(struct model *m, struct place *p, int64_t ts, const char *line)
{
	struct entry_of x = {.stream = 1, .ts = ts, .line = str_c(line)};
	MUST(model_push(m, p->in, TENANT, &x, 1, must));
}

static void an_equal_entry_sent_again_shows(void **state)
{
	struct place p;
	struct model m;
	struct requests *q = requests_new();
	struct rnd r = {1};
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 3);
	for (int round = 0; round < 4; round++) {
		push_line(&m, &p, NOW, "secret");
		push_line(&m, &p, NOW + round, "other");
		if (round == 1) MUST(ingest_flush(p.in, must));
		request(&m, q, &p, &kinds[0], NOW, NOW + 100);
		struct model left = visible(&m, q);
		assert_int_equal(left.n, 0);
		check(&m, q, &p, &r);
		push_line(&m, &p, NOW, "secret");
		check(&m, q, &p, &r);
		free(left.v);
		if (round == 2) crash(&p);
		check(&m, q, &p, &r);
	}
	MUST(ingest_flush(p.in, must));
	check(&m, q, &p, &r);
	for (size_t i = 0; i < q->n; i++) cancel(q, &p, i);
	check(&m, q, &p, &r);
	place_fini(&p);
	model_free(&m);
	requests_free(q);
}

/* A crash between the flushes of two heads of a tenant in one generation. */
static void heads_of_one_generation_survive_apart(void **state)
{
	(void)state;
	for (int n = 1; n < 8; n++) {
		struct place p;
		struct model m;
		struct requests *q = requests_new();
		struct rnd r = {1};
		struct err e = ERR_INIT;
		struct fs_fault f;
		place_init(&p);
		fs_fault_init(&f, quick_fs());
		f.ops = FS_OP_LINK;
		f.count = -1;
		f.error = 28;
		f.sticky = true;
		p.fs = &f.base;
		place_open(&p);
		model_init(&m, 3);
		push_line(&m, &p, NOW, "one");
		request(&m, q, &p, &kinds[0], NOW, NOW + 100);
		push_line(&m, &p, NOW, "one");
		push_line(&m, &p, NOW, "two");
		request(&m, q, &p, &kinds[1], NOW, NOW + 100);
		push_line(&m, &p, NOW + 1, "an error");
		f.count = n;
		bool flushed = ingest_flush(p.in, &e);
		check(&m, q, &p, &r);
		p.fs = quick_fs();
		crash(&p);
		check(&m, q, &p, &r);
		MUST(ingest_flush(p.in, must));
		check(&m, q, &p, &r);
		place_fini(&p);
		model_free(&m);
		requests_free(q);
		if (flushed) return;
	}
	fail_msg("the flush never came through");
}

/* ---- many at once ---- */

struct race {
	struct place *p;
	_Atomic bool stop;
	_Atomic int pushed; /* lines acknowledged, in order */
	pthread_mutex_t mu;
};

static void *race_push(void *ud)
{
	struct race *x = ud;
	struct label l[] = {{STR("app"), STR("a1")}};
	char line[32];
	for (int i = 0; !atomic_load(&x->stop); i++) {
		snprintf(line, sizeof line, "%d", i);
		struct push_entry en = {NOW + i, str_c(line), {0}};
		struct ingest_stream s = {{l, 1}, &en, 1};
		struct ingest_push push = {STR(TENANT), &s, 1};
		MUST(push_wait(x->p->in, &push, must));
		atomic_store(&x->pushed, i + 1);
	}
	return NULL;
}

static uint64_t count_lines(struct place *p, int64_t from, int64_t to)
{
	struct err e = ERR_INIT;
	struct snapshot *s = snapshot_take(p->st, STR(TENANT));
	struct scan_opts o = {.from = from, .to = to, .forward = true};
	struct scan *sc = scan_open(s, &o, &e);
	struct scan_batch b;
	uint64_t n = 0;
	while (scan_next(sc, &b, &e)) n += b.n;
	assert_int_equal(e.code, ERR_NONE);
	scan_close(sc);
	snapshot_free(s);
	return n;
}

/* While lines come in: all that were acknowledged before the request go, none that was acknowledged after it. */
static void requests_and_pushes_race(void **state)
{
	struct place p;
	struct race x = {.p = &p};
	pthread_t t;
	char id[DELETE_ID];
	(void)state;
	place_init(&p);
	place_open(&p);
	pthread_create(&t, NULL, race_push, &x);
	int shown_from = 0;
	for (int round = 0; round < 20; round++) {
		while (atomic_load(&x.pushed) < shown_from + 10) sched_yield();
		int before = atomic_load(&x.pushed);
		MUST(deletes_create(tenant_of(&p), &(struct delete_spec){STR("{app=\"a1\"}"), NOW, INT64_MAX}, id,
				    must));
		ingest_fence(p.in);
		shown_from = atomic_load(&x.pushed) + 1; /* one may have been acknowledged and not yet counted */
		assert_int_equal(count_lines(&p, NOW, NOW + before), 0);
		if (round % 8 == 3) MUST(ingest_flush(p.in, must));
		while (atomic_load(&x.pushed) < shown_from + 5) sched_yield();
		assert_int_equal(count_lines(&p, NOW + shown_from, NOW + shown_from + 5), 5);
	}
	atomic_store(&x.stop, true);
	pthread_join(t, NULL);
	place_fini(&p);
}

/* ---- two processes ---- */

/* Each gives what it takes the new floor from when it has read of the request. */
static void another_process_learns_of_requests(void **state)
{
	struct pair w;
	struct model m;
	struct requests *q = requests_new();
	struct rnd r = {1};
	(void)state;
	pair_init(&w);
	model_init(&m, 3);
	for (int i = 0; i < 4; i++) {
		struct place *p = i % 2 ? &w.a : &w.b, *other = i % 2 ? &w.b : &w.a;
		push_line(&m, p, NOW, "secret");
		push_line(&m, other, NOW, "secret");
		push_line(&m, other, NOW + 10 * i, "more");
		request(&m, q, p, &kinds[0], NOW, NOW + 5);
		MUST(store_refresh(other->st, must));
		push_line(&m, other, NOW + 10 * i + 2, "later");
		if (i == 1) crash(other);
		if (i == 2) crash(p);
		if (i == 2) cancel(q, other, 0);
	}
	MUST(ingest_flush(w.a.in, must));
	MUST(ingest_flush(w.b.in, must));
	MUST(store_refresh(w.a.st, must));
	MUST(store_refresh(w.b.st, must));
	check(&m, q, &w.a, &r);
	check(&m, q, &w.b, &r);
	pair_fini(&w);
	model_free(&m);
	requests_free(q);
}

/* A snapshot keeps what it saw. */
static void a_snapshot_stays_as_it_was(void **state)
{
	struct place p;
	struct model m;
	struct requests *q = requests_new();
	struct reader_stats before, after, cancelled;
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 3);
	push_line(&m, &p, NOW, "one");
	push_line(&m, &p, NOW + 1, "two");
	struct snapshot *s1 = snapshot_take(p.st, STR(TENANT));
	request(&m, q, &p, &kinds[0], NOW, NOW);
	struct snapshot *s2 = snapshot_take(p.st, STR(TENANT));
	cancel(q, &p, 0);
	struct snapshot *s3 = snapshot_take(p.st, STR(TENANT));
	MUST(snapshot_stats(s1, NULL, 0, INT64_MIN, INT64_MAX, &before, must));
	MUST(snapshot_stats(s2, NULL, 0, INT64_MIN, INT64_MAX, &after, must));
	MUST(snapshot_stats(s3, NULL, 0, INT64_MIN, INT64_MAX, &cancelled, must));
	assert_int_equal(before.entries, 2);
	assert_int_equal(after.entries, 1);
	assert_int_equal(after.bytes, 3);
	assert_int_equal(cancelled.entries, 2);
	snapshot_free(s1);
	snapshot_free(s2);
	snapshot_free(s3);
	place_fini(&p);
	model_free(&m);
	requests_free(q);
}

/* ---- what compaction asks ---- */

static void requests_are_done_when_nothing_is_left(void **state)
{
	struct place p;
	struct model m;
	struct requests *q = requests_new();
	struct err e = ERR_INIT;
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 3);
	push_line(&m, &p, NOW, "one");
	request(&m, q, &p, &kinds[0], NOW - 1000, NOW + 1000);
	request(&m, q, &p, &kinds[0], NOW + 10, NOW + 20);
	struct tenant *t = tenant_of(&p);
	struct deletes *d = deletes_of(t);
	int64_t now = clock_wall(&p.clock.base);
	assert_int_equal(d->n, 2);
	/* too young to be carried out */
	assert_int_equal(deletes_purgeable(d, 0, NOW, NOW, now - PERIOD), d->v[0].r->number - 1);
	assert_int_equal(deletes_purgeable(d, 0, NOW + 15, NOW + 15, now - PERIOD), d->v[0].r->number - 1);
	assert_int_equal(deletes_purgeable(d, d->newest, NOW, NOW, now - PERIOD), d->newest);
	assert_int_equal(deletes_purgeable(d, 0, NOW + 2000, NOW + 3000, now - PERIOD), d->newest);
	MUST(deletes_finish(t, now - PERIOD, must));
	assert_int_equal(d->generation, d->v[1].r->number);
	/* old enough; the second one has nothing to do */
	int64_t later = now + PERIOD;
	assert_int_equal(deletes_purgeable(d, 0, NOW, NOW, later), d->newest);
	assert_in_range(deletes_progress(t, d->v[0].r), 98, 99);
	assert_int_equal(deletes_progress(t, d->v[1].r), 100);
	MUST(deletes_finish(t, later, must));
	assert_false(deletes_cancel(t, d->v[1].r->id, INT64_MIN, false, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	assert_false(deletes_cancel(t, d->v[0].r->id, later, false, &e));
	assert_int_equal(e.code, ERR_INVALID);
	assert_true(deletes_stand(t, d, 0, d->newest));
	MUST(deletes_cancel(t, d->v[0].r->id, later, true, must));
	assert_false(deletes_stand(t, d, 0, d->newest));
	assert_true(deletes_stand(t, d, d->v[0].r->number, d->newest));
	struct deletes_totals sum;
	deletes_totals(p.st, &sum);
	assert_int_equal(sum.pending, 0);
	assert_int_equal(sum.done, 1);
	deletes_unref(d);
	place_fini(&p);
	model_free(&m);
	requests_free(q);
}

static void queries_that_select_no_lines_are_refused(void **state)
{
	static const char *const bad[] = {"",
					  "{",
					  "{app=\"a\"",
					  "count_over_time({a=\"b\"}[1m])",
					  "{a=\"b\"} |= ",
					  "{a=\"b\"} |~ \"(\"",
					  "{a=\"b\"} | sort"};
	struct place p;
	char id[DELETE_ID];
	(void)state;
	place_init(&p);
	place_open(&p);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = ERR_INIT;
		assert_false(deletes_create(tenant_of(&p), &(struct delete_spec){str_c(bad[i]), 0, 1}, id, &e));
		assert_int_equal(e.code, ERR_INVALID);
	}
	place_fini(&p);
}

/* Stages decide by what they make of a line; copies in heads and segments alike. */
static void stages_select_entries(void **state)
{
	struct place p;
	struct model m;
	char id[DELETE_ID];
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 3);
	for (int round = 0; round < 2; round++) {
		push_line(&m, &p, NOW + 10 * round, "{\"user\":\"bob\",\"n\":1}");
		push_line(&m, &p, NOW + 10 * round + 1, "{\"user\":\"ann\",\"n\":2}");
		push_line(&m, &p, NOW + 10 * round + 2, "no JSON, bob");
		if (round == 0) MUST(ingest_flush(p.in, must));
	}
	MUST(deletes_create(tenant_of(&p),
			    &(struct delete_spec){STR("{app=~\".+\"} | json | user=\"bob\""), 0, INT64_MAX}, id, must));
	assert_int_equal(count_lines(&p, 0, INT64_MAX), 4);
	assert_int_equal(count_lines(&p, NOW, NOW + 1), 0);
	assert_int_equal(count_lines(&p, NOW + 10, NOW + 11), 0);
	MUST(deletes_create(tenant_of(&p),
			    &(struct delete_spec){STR("{app=~\".+\"} |= \"bob\" | __error__=\"\""), 0, INT64_MAX}, id,
			    must));
	assert_int_equal(count_lines(&p, 0, INT64_MAX), 2);
	place_fini(&p);
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_equal_entry_sent_again_shows),
		cmocka_unit_test(a_snapshot_stays_as_it_was),
		cmocka_unit_test(another_process_learns_of_requests),
		cmocka_unit_test(heads_of_one_generation_survive_apart),
		cmocka_unit_test(requests_are_done_when_nothing_is_left),
		cmocka_unit_test(queries_that_select_no_lines_are_refused),
		cmocka_unit_test(stages_select_entries),
		cmocka_unit_test(every_reading_agrees_with_the_model),
		cmocka_unit_test(requests_and_pushes_race),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
