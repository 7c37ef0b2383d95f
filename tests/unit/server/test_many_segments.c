/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What it costs to have many small segments, counted in reads of objects. LARCH_SEGMENTS=10000 for as many. */
#include "tests/unit/server/store_util.h"

#define TENANT  "team-a"
#define STREAMS 14
#define EACH    3 /* rows of a stream in a segment */
#define STEP    INT64_C(1000000000)

static struct object_ops counted;
static const struct object_ops *counted_of;
static _Atomic uint64_t reads;

static bool count_get(struct object_store *o, struct str name, uint64_t off, size_t n, struct buf *out, struct err *e)
{
	if (str_find(name, STR("/segments/")) >= 0) reads++;
	return counted_of->get(o, name, off, n, out, e);
}

static struct object_store *count_reads(void *ud, struct object_store *files)
{
	(void)ud;
	counted_of = files->ops;
	counted = *files->ops;
	counted.get = count_get;
	files->ops = &counted;
	return files;
}

static uint32_t segments(void)
{
	const char *n = getenv("LARCH_SEGMENTS");
	return n ? (uint32_t)atoi(n) : 1500;
}

static int64_t time_of(uint32_t segment) { return INT64_C(1700000000000000000) + segment * STEP; }

static void fill(struct place *p, struct model *m)
{
	struct err e = ERR_INIT;
	for (uint32_t i = 0; i < segments(); i++) {
		struct ingest_stream s[STREAMS] = {0};
		struct push_entry v[STREAMS][EACH];
		for (uint32_t k = 0; k < STREAMS; k++) {
			for (uint32_t r = 0; r < EACH; r++)
				v[k][r] =
					(struct push_entry){time_of(i) + r, STR("a line of some length or other"), {0}};
			s[k] = (struct ingest_stream){.labels = m->streams[k], .v = v[k], .n = EACH};
		}
		struct ingest_push push = {STR(TENANT), s, STREAMS};
		if (!push_wait(p->in, &push, &e) || !ingest_flush(p->in, &e)) fail_msg("%s", e.msg);
	}
}

struct listed {
	const struct reader_stream *v[STREAMS];
	size_t n;
};

static bool list_stream(void *ud, const struct reader_stream *st)
{
	struct listed *l = ud;
	l->v[l->n++] = st;
	return true;
}

/* Rows up to `limit` that a scan yields. */
static uint64_t rows_of(struct snapshot *s, struct scan_opts o, uint64_t limit)
{
	struct err e = ERR_INIT;
	struct scan_batch b;
	uint64_t n = 0;
	if (!o.to) o.from = INT64_MIN, o.to = INT64_MAX;
	struct scan *sc = scan_open(s, &o, &e);
	while (n < limit && scan_next(sc, &b, &e)) n += b.n;
	if (e.code) fail_msg("%s", e.msg);
	scan_close(sc);
	return n;
}

static uint64_t reads_since(uint64_t *before)
{
	uint64_t n = reads - *before;
	*before += n;
	return n;
}

static void a_query_reads_what_it_needs(void **state)
{
	struct place p;
	struct model m;
	struct listed l = {0};
	uint64_t n = segments(), at = 0;
	(void)state;
	place_init(&p);
	p.objects = count_reads;
	place_open(&p);
	model_init(&m, STREAMS);
	fill(&p, &m);
	place_close(&p, true);
	at = reads;
	place_open(&p);
	assert_int_equal(reads_since(&at), 0); /* the catalog says all that a start must know */

	struct snapshot *s = snapshot_take(p.st, STR(TENANT));
	struct scan_opts newest = {.order = SCAN_BY_TIME, .want = SCAN_LINE};
	assert_in_range(rows_of(s, newest, 100), 100, 1024);
	assert_in_range(reads_since(&at), 1, 200);

	struct matcher host;
	MUST(matcher_init(&host, MATCH_EQ, STR("host"), STR("nowhere"), 0, must));
	struct scan_opts none = {.matchers = &host, .nmatchers = 1};
	assert_int_equal(rows_of(s, none, UINT64_MAX), 0);
	assert_in_range(reads_since(&at), 1, 2 * n); /* root and one page of postings */
	matcher_fini(&host);

	struct scan_opts middle = {.from = time_of((uint32_t)n / 2), .to = time_of((uint32_t)n / 2 + 2)};
	assert_int_equal(rows_of(s, middle, UINT64_MAX), 2 * STREAMS * EACH);
	assert_in_range(reads_since(&at), 1, 12);

	/* Listed once, the streams are read without looking for them again: blocks, times, and the root where the cache
	 * has it no more. */
	MUST(snapshot_streams(s, NULL, 0, INT64_MIN, INT64_MAX, list_stream, &l, must));
	assert_int_equal(l.n, STREAMS);
	reads_since(&at);
	for (size_t i = 0; i < l.n; i++) {
		assert_int_equal(rows_of(s, (struct scan_opts){.only = l.v[i]}, UINT64_MAX), n * EACH);
		assert_in_range(reads_since(&at), 0, 3 * n);
	}
	assert_int_equal(rows_of(s, (struct scan_opts){.want = SCAN_LEN}, UINT64_MAX), n * STREAMS * EACH);
	struct reader_stats st;
	MUST(snapshot_stats(s, NULL, 0, INT64_MIN, INT64_MAX, &st, must));
	assert_int_equal(st.entries, n * STREAMS * EACH);
	snapshot_free(s);
	place_fini(&p);
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_reads_what_it_needs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
