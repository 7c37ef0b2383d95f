/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Following a tenant over a real store and ingest: what is in the snapshot and what comes afterwards are, together,
 * everything exactly once. */
#include "common/budget.h"
#include "server/store/deletes.h"
#include "server/store/reader.h"
#include "tests/unit/server/store_util.h"

#include <stdatomic.h>

#define T0 INT64_C(1700000000000000000)

static struct budget memory = {.limit = 64u << 20};

static void count_wake(void *ud) { atomic_fetch_add((_Atomic int *)ud, 1); }

static struct follow *follow_all(struct place *p, const char *tenant, _Atomic int *wakes, struct snapshot **snap)
{
	struct follow_opts o = {.tenant = str_c(tenant), .memory = &memory, .wake = count_wake, .ud = wakes};
	return follow_open(p->st, &o, snap);
}

/* How often each numbered line is in the snapshot. */
static void count_snapshot(struct snapshot *s, unsigned *seen, size_t n)
{
	struct err e = ERR_INIT;
	struct scan_opts o = {.from = INT64_MIN, .to = INT64_MAX, .forward = true, .want = SCAN_LINE};
	struct scan *sc = scan_open(s, &o, &e);
	struct scan_batch b;
	while (scan_next(sc, &b, &e)) {
		for (size_t i = 0; i < b.n; i++) {
			uint64_t k;
			assert_true(str_to_u64(b.line[i], &k) && k < n);
			seen[k]++;
		}
	}
	assert_int_equal(e.code, ERR_NONE);
	scan_close(sc);
}

/* ---- what comes, as it came ---- */

struct expected {
	struct model *m;
	size_t from; /* first entry of the model that is to come */
	size_t *at;  /* per stream: entries of the model behind `from` already met */
	size_t rows;
};

/* Was an equal entry pushed since the follower came? */
static bool is_again(const struct expected *x, size_t i)
{
	for (size_t k = x->from; k < i; k++)
		if (entry_same(&x->m->v[k], &x->m->v[i])) return true;
	return false;
}

/* The next entry of this stream in arrival order. */
static const struct entry_of *next_of(struct expected *x, uint32_t stream)
{
	size_t i = x->at[stream];
	while (i < x->m->n && (x->m->v[i].stream != stream || is_again(x, i))) i++;
	assert_true(i < x->m->n);
	x->at[stream] = i + 1;
	return &x->m->v[i];
}

static void drain(struct follow *f, struct expected *x)
{
	struct follow_batch b;
	while (follow_next(f, &b)) {
		uint32_t stream = 0;
		assert_in_range(b.rows.n, 1, SCAN_ROWS);
		while (!labels_eq(&x->m->streams[stream], &b.rows.one->labels)) assert_true(++stream < x->m->nstreams);
		assert_int_equal(b.rows.one->hash, labels_hash(&b.rows.one->labels));
		for (size_t i = 0; i < b.rows.n; i++, x->rows++) {
			const struct entry_of *want = next_of(x, stream);
			assert_int_equal(b.rows.ts[i], want->ts);
			check_str(b.rows.line[i], want->line);
			assert_int_equal(b.rows.len[i], want->line.n);
			assert_true(labels_eq(b.rows.meta[i], &want->meta));
		}
	}
}

static void entries_come_in_order_of_arrival(void **state)
{
	struct place p;
	struct model m;
	struct rnd r = {7};
	struct arena a;
	struct err e = ERR_INIT;
	struct entry_of *v = mem_alloc(3000 * sizeof *v);
	_Atomic int wakes = 0;
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 5);
	arena_init(&a, 0);
	random_entries(&m, &r, &a, T0, v, 100);
	assert_true(model_push(&m, p.in, "t", v, 100, &e));
	struct snapshot *snap;
	struct follow *f = follow_all(&p, "t", &wakes, &snap);
	struct follow_batch b;
	assert_false(follow_next(f, &b)); /* what was there before is in the snapshot */
	struct expected x = {.m = &m, .from = m.n, .at = mem_alloc(m.nstreams * sizeof(size_t))};
	for (uint32_t i = 0; i < m.nstreams; i++) x.at[i] = m.n;
	size_t before = m.n, again = 0;
	for (int k = 0; k < 20; k++) {
		size_t n = k == 10 ? 3000
				   : 1 + rnd(&r, 60); /* one of several batches per stream, with copies and late ones */
		random_entries(&m, &r, &a, T0, v, n);
		assert_true(model_push(&m, p.in, "t", v, n, &e));
		if (k % 5 == 4) assert_true(ingest_flush(p.in, &e));
		if (k % 3 == 0) drain(f, &x);
	}
	drain(f, &x);
	for (size_t i = before; i < m.n; i++) again += is_again(&x, i);
	assert_true(again > 10);
	assert_int_equal(x.rows, m.n - before - again);
	assert_int_equal(wakes, 20);
	assert_int_equal(follow_lost(f), 0);
	assert_int_equal(budget_used(&memory), 0);
	follow_close(f);
	snapshot_free(snap);
	free(x.at);
	free(v);
	arena_free(&a);
	model_free(&m);
	place_fini(&p);
}

static void followers_of_parts_and_of_nothing(void **state)
{
	struct place p;
	struct model m;
	struct err e = ERR_INIT;
	struct snapshot *snap, *none;
	struct follow_batch b;
	_Atomic int wakes = 0;
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 4);
	struct matcher host;
	assert_true(matcher_init(&host, MATCH_EQ, STR("host"), STR("h1"), 0, &e));
	struct follow_opts o = {.tenant = STR("new"),
				.matchers = &host,
				.nmatchers = 1,
				.memory = &memory,
				.wake = count_wake,
				.ud = &wakes};
	struct follow *f = follow_open(p.st, &o, &snap), *other = follow_all(&p, "another", &wakes, &none);
	unsigned seen[1] = {0};
	count_snapshot(snap, seen, 0); /* no such tenant yet */
	struct entry_of v[] = {
		{0, T0, STR("not this"), {0}}, {1, T0 + 1, STR("this"), {0}}, {2, T0, STR("nor this"), {0}}};
	assert_true(model_push(&m, p.in, "new", v, 3, &e));
	assert_true(follow_next(f, &b));
	assert_int_equal(b.rows.n, 1);
	check_str(b.rows.line[0], STR("this"));
	assert_false(follow_next(f, &b));
	assert_false(follow_next(other, &b));
	assert_int_equal(wakes, 1);
	follow_close(f);
	assert_true(model_push(&m, p.in, "new", v, 3, &e)); /* nobody listens */
	assert_int_equal(wakes, 1);
	assert_int_equal(budget_used(&memory), 0);
	follow_close(other);
	snapshot_free(snap);
	snapshot_free(none);
	matcher_fini(&host);
	model_free(&m);
	place_fini(&p);
}

/* ---- followers that come while pushes go on ---- */

#define PUSHES 400
#define LINES  3 /* per push */

struct pusher {
	struct place *p;
	struct model m;
	_Atomic int pushed;
};

static void *push_on(void *ud)
{
	struct pusher *u = ud;
	for (int k = 0; k < PUSHES; k++) {
		struct entry_of v[LINES];
		char text[LINES][16];
		struct err e = ERR_INIT;
		for (int i = 0; i < LINES; i++) {
			snprintf(text[i], sizeof text[i], "%d", k * LINES + i);
			/* half of them late */
			v[i] = (struct entry_of){(uint32_t)i % 2, T0 + (k % 2 ? k : -k), str_c(text[i]), {0}};
		}
		if (!model_push(&u->m, u->p->in, "t", v, LINES, &e)) fail_msg("%s", e.msg);
		if (k % 100 == 50 && !ingest_flush(u->p->in, &e)) fail_msg("%s", e.msg);
		atomic_store(&u->pushed, k + 1);
	}
	return NULL;
}

static void no_gap_and_no_repeat(void **state)
{
	enum { FOLLOWERS = 12 };
	struct place p;
	struct pusher u = {.p = &p};
	struct follow *f[FOLLOWERS];
	unsigned(*seen)[PUSHES * LINES] = mem_zalloc(FOLLOWERS * sizeof *seen);
	_Atomic int wakes = 0;
	pthread_t th;
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&u.m, 2);
	pthread_create(&th, NULL, push_on, &u);
	for (int i = 0; i < FOLLOWERS; i++) {
		struct snapshot *snap;
		while (atomic_load(&u.pushed) < i * PUSHES / (FOLLOWERS + 1)) usleep(100);
		f[i] = follow_all(&p, "t", &wakes, &snap);
		count_snapshot(snap, seen[i], PUSHES * LINES);
		snapshot_free(snap);
	}
	pthread_join(th, NULL);
	for (int i = 0; i < FOLLOWERS; i++) {
		struct follow_batch b;
		while (follow_next(f[i], &b)) {
			for (size_t k = 0; k < b.rows.n; k++) {
				uint64_t n;
				assert_true(str_to_u64(b.rows.line[k], &n));
				seen[i][n]++;
			}
		}
		for (int k = 0; k < PUSHES * LINES; k++)
			if (seen[i][k] != 1) fail_msg("follower %d: line %d came %u times", i, k, seen[i][k]);
		assert_int_equal(follow_lost(f[i]), 0);
		follow_close(f[i]);
	}
	assert_int_equal(budget_used(&memory), 0);
	free(seen);
	model_free(&u.m);
	place_fini(&p);
}

static void what_does_not_fit_is_lost_and_told(void **state)
{
	struct place p;
	struct model m;
	struct err e = ERR_INIT;
	struct snapshot *snap, *again;
	struct follow_batch b;
	_Atomic int wakes = 0;
	char *line = mem_alloc(1 << 20);
	uint64_t rows = 0;
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 1);
	memset(line, 'x', 1 << 20);
	struct follow *slow = follow_all(&p, "t", &wakes, &snap);
	struct entry_of v[] = {{0, T0, str_of(line, 1 << 20), {0}}, {0, T0, STR("short"), {0}}};
	for (int i = 0; i < 20; i++) {
		v[0].ts++, v[1].ts++;
		assert_true(model_push(&m, p.in, "t", v, 2, &e)); /* ingest does not mind */
	}
	assert_true(budget_used(&memory) <= 9u << 20);
	while (follow_next(slow, &b)) rows += b.rows.n;
	uint64_t lost = follow_lost(slow);
	assert_true(rows >= 10 && lost > 0);
	assert_int_equal(rows + lost, 40);
	assert_int_equal(follow_lost(slow), 0);
	/* Then it goes on as before; and who closes with unread pushes leaves nothing behind. */
	struct follow *other = follow_all(&p, "t", &wakes, &again);
	v[1].ts++;
	assert_true(model_push(&m, p.in, "t", v + 1, 1, &e));
	assert_true(follow_next(slow, &b));
	follow_close(slow);
	assert_true(budget_used(&memory) > 0);
	follow_close(other);
	assert_int_equal(budget_used(&memory), 0);
	/* Too little memory at all. */
	struct budget none = {.limit = 10};
	struct follow_opts o = {.tenant = STR("t"), .memory = &none, .wake = count_wake, .ud = &wakes};
	snapshot_free(again);
	other = follow_open(p.st, &o, &again);
	assert_true(model_push(&m, p.in, "t", v, 2, &e));
	assert_false(follow_next(other, &b));
	assert_int_equal(follow_lost(other), 2);
	follow_close(other);
	snapshot_free(snap);
	snapshot_free(again);
	free(line);
	model_free(&m);
	place_fini(&p);
}

/* Labels that change all the time do not grow a follower for ever. */
static void streams_are_forgotten(void **state)
{
	enum { STREAMS = 700, ROUNDS = 20 };
	struct place p;
	struct err e = ERR_INIT;
	struct snapshot *snap;
	struct follow_batch b;
	_Atomic int wakes = 0;
	unsigned forgot = 0, rows = 0;
	(void)state;
	place_init(&p);
	place_open(&p);
	struct follow *f = follow_all(&p, "t", &wakes, &snap);
	for (int k = 0; k < ROUNDS; k++) {
		struct ingest_stream s[STREAMS];
		struct label l[STREAMS];
		char text[STREAMS][16];
		struct push_entry entry = {T0, STR("line"), {0}};
		for (int i = 0; i < STREAMS; i++) {
			snprintf(text[i], sizeof text[i], "%d", k * STREAMS + i);
			l[i] = (struct label){STR("pod"), str_c(text[i])};
			s[i] = (struct ingest_stream){.labels = {&l[i], 1}, .v = &entry, .n = 1};
		}
		struct ingest_push push = {STR("t"), s, STREAMS};
		if (!push_wait(p.in, &push, &e)) fail_msg("%s", e.msg);
		while (follow_next(f, &b)) {
			forgot += b.forgot;
			check_str(b.rows.one->labels.v[0].value, str_c(text[rows++ % STREAMS]));
		}
	}
	assert_int_equal(rows, STREAMS * ROUNDS);
	assert_in_range(forgot, 1, 40);
	follow_close(f);
	snapshot_free(snap);
	place_fini(&p);
}

static void push_pods(struct place *p, unsigned from, unsigned n)
{
	struct ingest_stream *s = mem_alloc(n * sizeof *s);
	struct label *l = mem_alloc(n * sizeof *l);
	char(*text)[16] = mem_alloc(n * sizeof *text);
	struct push_entry entry = {T0, STR("line"), {0}};
	struct err e = ERR_INIT;
	for (unsigned i = 0; i < n; i++) {
		snprintf(text[i], sizeof text[i], "%u", from + i);
		l[i] = (struct label){STR("pod"), str_c(text[i])};
		s[i] = (struct ingest_stream){.labels = {&l[i], 1}, .v = &entry, .n = 1};
	}
	struct ingest_push push = {STR("t"), s, n};
	if (!push_wait(p->in, &push, &e)) fail_msg("%s", e.msg);
	free(s);
	free(l);
	free(text);
}

/* … nor while it looks for one that is wanted. */
static void streams_that_nobody_wants_are_forgotten(void **state)
{
	struct place p;
	struct snapshot *snap;
	struct follow_batch b;
	struct matcher pod;
	_Atomic int wakes = 0;
	(void)state;
	place_init(&p);
	place_open(&p);
	MUST(matcher_init(&pod, MATCH_EQ, STR("pod"), STR("19999"), 0, must));
	struct follow_opts o = {.tenant = STR("t"),
				.matchers = &pod,
				.nmatchers = 1,
				.memory = &memory,
				.wake = count_wake,
				.ud = &wakes};
	struct follow *f = follow_open(p.st, &o, &snap);
	push_pods(&p, 0, 20000);
	assert_true(follow_next(f, &b));
	assert_true(b.forgot && b.rows.n == 1);
	assert_false(follow_next(f, &b));
	follow_close(f);
	matcher_fini(&pod);
	snapshot_free(snap);
	place_fini(&p);
}

/* What came before a delete request and was not read yet is hidden; what comes after it is not. */
static void delete_requests_hide_what_waits(void **state)
{
	struct place p;
	struct model m;
	struct err e = ERR_INIT;
	struct snapshot *snap;
	struct follow_batch b;
	_Atomic int wakes = 0;
	char id[DELETE_ID];
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 2);
	struct follow *f = follow_all(&p, "t", &wakes, &snap);
	struct entry_of v[] = {
		{0, T0, STR("a secret"), {0}}, {0, T0 + 1, STR("kept"), {0}}, {1, T0, STR("secret"), {0}}};
	assert_true(model_push(&m, p.in, "t", v, 3, &e));
	struct delete_spec spec = {STR("{host=\"h0\"} |= \"secret\""), T0, T0};
	MUST(deletes_create(store_tenant(p.st, STR("t"), false), &spec, id, must));
	v[0].line = STR("another secret");
	assert_true(model_push(&m, p.in, "t", v, 1, &e));
	static const char *const want[] = {"kept", "secret", "another secret"};
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_true(follow_next(f, &b));
		assert_int_equal(b.rows.n, 1);
		check_str(b.rows.line[0], str_c(want[i]));
	}
	assert_false(follow_next(f, &b));
	follow_close(f);
	snapshot_free(snap);
	model_free(&m);
	place_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_in_order_of_arrival),
		cmocka_unit_test(followers_of_parts_and_of_nothing),
		cmocka_unit_test(no_gap_and_no_repeat),
		cmocka_unit_test(what_does_not_fit_is_lost_and_told),
		cmocka_unit_test(streams_are_forgotten),
		cmocka_unit_test(streams_that_nobody_wants_are_forgotten),
		cmocka_unit_test(delete_requests_hide_what_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
