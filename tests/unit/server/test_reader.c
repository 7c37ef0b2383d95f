/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/server/store_util.h"

#define TENANT "team-a"
#define NOW    INT64_C(1700000000000000000)

static void push_random(struct model *m, struct place *p, struct rnd *r, int64_t now, size_t n)
{
	struct arena a;
	struct err e;
	arena_init(&a, 0);
	struct entry_of *v = mem_alloc(n * sizeof *v);
	random_entries(m, r, &a, now, v, n);
	if (!model_push(m, p->in, TENANT, v, n, &e)) fail_msg("%s", e.msg);
	free(v);
	arena_free(&a);
}

static void flush(struct place *p)
{
	struct err e = ERR_INIT;
	if (!ingest_flush(p->in, &e)) fail_msg("%s", e.msg);
}

static bool has_error(struct str line) { return str_find(line, STR("error")) >= 0; }
static bool has_timeout_error(struct str line) { return str_find(line, STR("timeout error")) >= 0; }

static struct linefilters *filter_of(enum linefilter_op op, struct linefilter_operand *v, size_t n)
{
	struct linefilter f = {op, v, n};
	struct err e = ERR_INIT;
	struct linefilters *g = linefilters_new(&f, 1, NULL, &e);
	if (!g) fail_msg("%s", e.msg);
	return g;
}

/* Random ranges, directions, orders, matchers and filters against the naive array. */
static void check_random(const struct model *m, struct place *p, struct rnd *r, int64_t now)
{
	struct linefilter_operand has[] = {{STR("error"), false}}, phrase[] = {{STR("timeout error"), false}};
	struct linefilters *f1 = filter_of(LINEFILTER_EQ, has, 1), *f2 = filter_of(LINEFILTER_EQ, phrase, 1);
	struct matcher app, host;
	struct err e = ERR_INIT;
	assert_true(matcher_init(&app, MATCH_EQ, STR("app"), STR("a1"), 0, &e));
	assert_true(matcher_init(&host, MATCH_RE, STR("host"), STR("h[1-3]?"), 0, &e));
	for (int i = 0; i < 24; i++) {
		struct model_query q = {.from = INT64_MIN, .to = INT64_MAX, .forward = i & 1};
		const struct linefilters *f = NULL;
		if (rnd(r, 3)) q.from = now - (int64_t)rnd(r, 100) * 10000000;
		if (rnd(r, 3))
			q.to = q.from == INT64_MIN ? now - (int64_t)rnd(r, 50) * 10000000
						   : q.from + (int64_t)rnd(r, 90) * 10000000;
		if (rnd(r, 3) == 0)
			q.m = &app, q.nm = 1;
		else if (rnd(r, 3) == 0)
			q.m = &host, q.nm = 1;
		if (rnd(r, 3) == 0)
			q.pass = has_error, f = f1;
		else if (rnd(r, 3) == 0)
			q.pass = has_timeout_error, f = f2;
		unsigned want = rnd(r, 2) ? SCAN_LINE | SCAN_LEN | SCAN_META : (unsigned)rnd(r, 8);
		model_check(m, p->st, TENANT, &q, i & 2 ? SCAN_BY_TIME : SCAN_BY_STREAM, want, f);
	}
	matcher_fini(&app);
	matcher_fini(&host);
	linefilters_free(f1);
	linefilters_free(f2);
}

static void run_model(uint64_t seed, int steps, bool flushes)
{
	struct place p;
	struct model m;
	struct rnd r = {seed};
	int64_t now = NOW;
	print_message("seed %llu\n", (unsigned long long)seed);
	place_init(&p);
	place_open(&p);
	model_init(&m, 7);
	for (int i = 0; i < steps; i++, now += 20000000) {
		push_random(&m, &p, &r, now, 1 + rnd(&r, i % 5 == 0 ? 400 : 20));
		if (flushes && rnd(&r, 4) == 0) flush(&p);
		if (flushes && rnd(&r, 12) == 0) {
			place_close(&p, rnd(&r, 2));
			place_open(&p);
		}
		if (i % 10 == 9) check_random(&m, &p, &r, now);
	}
	model_check_all(&m, p.st, TENANT);
	place_close(&p, true);
	place_open(&p);
	model_check_all(&m, p.st, TENANT);
	place_fini(&p);
	model_free(&m);
}

struct streams_seen {
	const struct model *m;
	bool seen[16];
	const struct reader_stream *first;
};

static bool see(void *ud, const struct reader_stream *st)
{
	struct streams_seen *w = ud;
	for (uint32_t i = 0; i < w->m->nstreams; i++) {
		if (!labels_eq(&w->m->streams[i], &st->labels)) continue;
		assert_false(w->seen[i]);
		w->seen[i] = true;
		w->first = st;
		return true;
	}
	fail_msg("a stream that was never pushed");
	return false;
}

/* Streams, figures, scans of one stream by its identity, and the same pointers throughout a snapshot. */
static void streams_and_stats_agree_with_scans(void **state)
{
	struct place p;
	struct model m;
	struct rnd r = {9};
	struct err e = ERR_INIT;
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 7);
	for (int i = 0; i < 6; i++) {
		push_random(&m, &p, &r, NOW + i * 20000000, 200);
		if (i % 2 == 0) flush(&p);
	}
	struct snapshot *s = snapshot_take(p.st, STR(TENANT));
	push_random(&m, &p, &r, NOW, 50); /* after the snapshot: not in it */
	m.n -= 50;
	struct streams_seen w = {.m = &m};
	assert_true(snapshot_streams(s, NULL, 0, INT64_MIN, INT64_MAX, see, &w, &e));
	size_t total = 0;
	const struct entry_of **expect = mem_alloc((m.n + 1) * sizeof(struct entry_of *));
	for (uint32_t i = 0; i < m.nstreams; i++) {
		struct model_query q = {.from = INT64_MIN, .to = INT64_MAX, .forward = true};
		size_t n = model_stream(&m, &q, i, expect);
		assert_int_equal(w.seen[i], n > 0);
		total += n;
	}
	struct scan_opts o = {.only = w.first, .from = INT64_MIN, .to = INT64_MAX, .forward = true};
	struct scan *sc = scan_open(s, &o, &e);
	struct scan_batch b;
	size_t rows = 0;
	while (scan_next(sc, &b, &e)) {
		assert_ptr_equal(b.one, w.first);
		rows += b.n;
	}
	scan_close(sc);
	for (uint32_t i = 0; i < m.nstreams; i++) {
		struct model_query q = {.from = INT64_MIN, .to = INT64_MAX, .forward = true};
		if (labels_eq(&m.streams[i], &w.first->labels)) assert_int_equal(rows, model_stream(&m, &q, i, expect));
	}
	struct reader_stats st;
	assert_true(snapshot_stats(s, NULL, 0, INT64_MIN, INT64_MAX, &st, &e));
	assert_int_equal(st.streams, 7);
	assert_in_range(st.entries, total, m.n); /* copies across sources may count twice */
	assert_true(snapshot_stats(s, NULL, 0, NOW + 1000, NOW + 30000000, &st, &e)); /* a part: counted */
	size_t part = 0;
	for (uint32_t i = 0; i < m.nstreams; i++) {
		struct model_query q = {.from = NOW + 1000, .to = NOW + 30000000, .forward = true};
		part += model_stream(&m, &q, i, expect);
	}
	assert_int_equal(st.entries, part);
	free(expect);
	snapshot_free(s);
	place_fini(&p);
	model_free(&m);
}

/* A snapshot taken while a flush commits has each entry once; readers run beside the writer. */
struct race {
	struct place *p;
	_Atomic size_t acked;
	_Atomic bool stop;
};

static void *read_all(void *ud)
{
	struct race *w = ud;
	while (!w->stop) {
		struct err e = ERR_INIT;
		size_t before = w->acked, rows = 0;
		struct snapshot *s = snapshot_take(w->p->st, STR(TENANT));
		struct scan_opts o = {.from = INT64_MIN,
				      .to = INT64_MAX,
				      .want = SCAN_LINE,
				      .order = before % 2 ? SCAN_BY_TIME : SCAN_BY_STREAM};
		struct scan *sc = scan_open(s, &o, &e);
		struct scan_batch b;
		while (scan_next(sc, &b, &e)) rows += b.n;
		scan_close(sc);
		snapshot_free(s);
		size_t after = w->acked;
		assert_in_range(rows, before, after + 10); /* one push is in flight */
	}
	return NULL;
}

static void readers_run_beside_writer_and_flusher(void **state)
{
	struct place p;
	struct model m;
	struct race w = {.p = &p};
	pthread_t t[2];
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 3);
	for (int i = 0; i < 2; i++) pthread_create(&t[i], NULL, read_all, &w);
	for (int64_t i = 0; i < 200; i++) {
		struct entry_of v[10];
		struct err e;
		for (uint32_t k = 0; k < 10; k++)
			v[k] = (struct entry_of){
				k % 3, NOW + i * 1000 - (k % 4 == 0 ? 50000 : 0) + k, STR("line"), {0}};
		if (!model_push(&m, p.in, TENANT, v, 10, &e)) fail_msg("%s", e.msg);
		w.acked += 10;
		if (i % 40 == 39) flush(&p);
	}
	w.stop = true;
	for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
	model_check_all(&m, p.st, TENANT);
	place_fini(&p);
	model_free(&m);
}

/* A damaged segment costs its rows and a warning; whatever is answered is right. */
static void damage_warns_and_the_query_goes_on(void **state)
{
	struct place p;
	struct model m;
	struct rnd r = {11};
	struct buf dir = {0}, path = {0}, bytes = {0};
	struct fs_list l;
	size_t warned = 0;
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 3);
	for (int i = 0; i < 4; i++) push_random(&m, &p, &r, NOW + i * 20000000, 800);
	place_close(&p, true);
	buf_printf(&dir, "%s/store/" TENANT "/segments", p.dir);
	MUST(fs_list(buf_cstr(&dir), &l, must));
	fs_path(&path, dir.p, l.v[0]);
	MUST(fs_read_file(&fs_real, path.p, 1u << 30, &bytes, must));
	for (int i = 0; i < 25; i++) {
		size_t at = (size_t)rnd(&r, bytes.n), rows = 0;
		struct err e = ERR_INIT;
		bytes.p[at] ^= 1;
		put_file(path.p, buf_view(&bytes));
		bytes.p[at] ^= 1;
		place_open(&p);
		struct snapshot *s = snapshot_take(p.st, STR(TENANT));
		struct scan_opts o = {.from = INT64_MIN,
				      .to = INT64_MAX,
				      .want = SCAN_LINE | SCAN_META,
				      .order = i % 2 ? SCAN_BY_TIME : SCAN_BY_STREAM};
		struct scan *sc = scan_open(s, &o, &e);
		struct scan_batch b;
		while (scan_next(sc, &b, &e)) {
			for (size_t k = 0; k < b.n; k++, rows++) {
				const struct reader_stream *rs = b.one ? b.one : b.stream[k];
				bool found = false;
				for (size_t x = 0; x < m.n && !found; x++)
					found = m.v[x].ts == b.ts[k] && str_eq(m.v[x].line, b.line[k]) &&
						labels_eq(&m.v[x].meta, b.meta[k]) &&
						labels_eq(&m.streams[m.v[x].stream], &rs->labels);
				assert_true(found);
			}
		}
		assert_int_equal(e.code, ERR_NONE);
		struct str warning = snapshot_warning(s);
		if (warning.n) {
			warned++;
			assert_true(str_find(warning, STR("segments/")) >= 0);
		}
		scan_close(sc);
		snapshot_free(s);
		place_close(&p, false);
	}
	assert_true(warned > 10);
	fs_list_free(&l);
	buf_free(&dir);
	buf_free(&path);
	buf_free(&bytes);
	place_fini(&p);
	model_free(&m);
}

static void a_scan_stops_when_told(void **state)
{
	struct place p;
	struct model m;
	struct rnd r = {13};
	_Atomic bool cancel = true;
	(void)state;
	place_init(&p);
	place_open(&p);
	model_init(&m, 3);
	push_random(&m, &p, &r, NOW, 100);
	for (int i = 0; i < 2; i++) {
		struct err e = ERR_INIT;
		struct snapshot *s = snapshot_take(p.st, STR(TENANT));
		struct scan_opts o = {
			.from = INT64_MIN, .to = INT64_MAX, .cancel = i ? NULL : &cancel, .deadline_mono = i ? 1 : 0};
		struct scan *sc = scan_open(s, &o, &e);
		struct scan_batch b;
		assert_false(scan_next(sc, &b, &e));
		assert_int_equal(e.code, i ? ERR_TIMEOUT : ERR_CANCELLED);
		scan_close(sc);
		snapshot_free(s);
	}
	place_fini(&p);
	model_free(&m);
}

static void heads_answer_like_the_model(void **state)
{
	(void)state;
	run_model(1, 60, false);
}

static void heads_and_segments_answer_like_the_model(void **state)
{
	(void)state;
	for (uint64_t seed = 2; seed < 5; seed++) run_model(seed, 50, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_answer_like_the_model),
		cmocka_unit_test(heads_and_segments_answer_like_the_model),
		cmocka_unit_test(streams_and_stats_agree_with_scans),
		cmocka_unit_test(readers_run_beside_writer_and_flusher),
		cmocka_unit_test(damage_warns_and_the_query_goes_on),
		cmocka_unit_test(a_scan_stops_when_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
