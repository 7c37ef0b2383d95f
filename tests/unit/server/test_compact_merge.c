/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Merges of random segments against a naive model. */
#include "server/exec/delete_filter.h"
#include "server/store/columns.h"
#include "server/store/compact_merge.h"
#include "tests/unit/server/store_util.h"

#define BASE INT64_C(1700000000000000000)

struct row {
	uint32_t input, stream;
	int64_t ts;
	struct str line;
	struct labels meta;
};

struct bench {
	char dir[40];
	struct object_store *o;
	struct cache *cache;
	struct arena a;
	struct rnd r;
	struct labels streams[40]; /* in label order */
	uint32_t nstreams;
	struct row *v; /* by (stream, input, ts), arrival kept */
	size_t n, cap;
	struct segment *in[8];
	size_t nin;
	bool expire, hide;
	uint64_t steps;
};

static int by_labels(const void *a, const void *b) { return labels_cmp(a, b); }

static void setup(struct bench *b, uint64_t seed, uint32_t nstreams, size_t nin)
{
	struct err e = ERR_INIT;
	*b = (struct bench){.dir = "/tmp/larch-merge-XXXXXX", .r = {seed}, .nstreams = nstreams, .nin = nin};
	assert_non_null(mkdtemp(b->dir));
	b->o = object_fs_open(&fs_real, b->dir, false, &e);
	assert_non_null(b->o);
	b->cache = cache_new(1u << 20);
	arena_init(&b->a, 0);
	for (uint32_t i = 0; i < nstreams; i++) {
		struct label *l = arena_alloc(&b->a, 2 * sizeof *l);
		l[0] = (struct label){STR("app"), arena_printf(&b->a, "a%u", i % 3)};
		l[1] = (struct label){STR("n"), arena_printf(&b->a, "%u", i)};
		b->streams[i] = (struct labels){l, i % 7 == 6 ? 1 : 2};
		if (b->streams[i].n == 1) l[0].value = arena_printf(&b->a, "only %u", i);
	}
	qsort(b->streams, nstreams, sizeof *b->streams, by_labels);
}

static void teardown(struct bench *b)
{
	for (size_t i = 0; i < b->nin; i++) segment_unref(b->in[i]);
	cache_free(b->cache);
	object_close(b->o);
	arena_free(&b->a);
	free(b->v);
	remove_tree(b->dir);
}

static struct row random_row(struct bench *b, uint32_t input, uint32_t stream, int64_t *ts)
{
	struct row x = {input, stream, *ts, {0}, {0}};
	uint64_t kind = rnd(&b->r, 6);
	if (rnd(&b->r, 3)) x.ts = *ts += (int64_t)rnd(&b->r, 5);
	x.line = kind == 0 ? STR("") : arena_printf(&b->a, "line %u", (unsigned)rnd(&b->r, 4));
	if (kind < 3) return x;
	struct label *l = arena_alloc(&b->a, 2 * sizeof *l);
	l[0] = (struct label){STR("level"), rnd(&b->r, 2) ? STR("info") : STR("warn")};
	l[1] = (struct label){STR("trace"), arena_printf(&b->a, "%u", (unsigned)rnd(&b->r, kind == 5 ? 1000000 : 2))};
	x.meta = (struct labels){l, kind == 3 ? 1 : 2};
	return x;
}

static bool same(const struct row *x, const struct row *y)
{
	return x->stream == y->stream && x->ts == y->ts && str_eq(x->line, y->line) && labels_eq(&x->meta, &y->meta);
}

/* A segment has no copies of its own: neither have the rows of one input. */
static bool add_row(struct bench *b, size_t from, struct row x)
{
	for (size_t i = b->n; i-- > from && b->v[i].ts == x.ts;) {
		if (same(&b->v[i], &x)) return false;
	}
	MEM_GROW(b->v, b->n, b->cap);
	b->v[b->n++] = x;
	return true;
}

static void write_input(struct bench *b, uint32_t input, uint32_t rows)
{
	struct err e = ERR_INIT;
	struct str name = arena_printf(&b->a, "t/segments/%u", input);
	struct segwrite *w = segwrite_new(b->o, name, STR("t"), 1, &e);
	struct segwrite_result r;
	struct wal_range range = {5, input * 10, input * 10 + (input == 3 ? 5 : 10)};
	assert_non_null(w);
	bool empty = true;
	for (uint32_t s = 0; s < b->nstreams; s++) {
		if (rnd(&b->r, 3) == 0 && !(empty && s + 1 == b->nstreams)) continue;
		size_t from = b->n;
		int64_t ts = BASE + (int64_t)rnd(&b->r, 100);
		for (uint64_t k = 1 + rnd(&b->r, rows); k > 0; k--) add_row(b, from, random_row(b, input, s, &ts));
		assert_true(segwrite_stream(w, &b->streams[s], labels_hash(&b->streams[s]), &e));
		for (size_t i = from; i < b->n; i++)
			assert_true(segwrite_row(w, b->v[i].ts, b->v[i].line, &b->v[i].meta, &e));
		empty = false;
	}
	MUST(segwrite_finish(w, &range, 1, &r, must));
	b->in[input] = segment_new(b->o, b->cache, name);
	b->in[input]->size = r.size;
}

/* ---- what is left out ---- */

static unsigned number_of(const struct labels *l) { return (unsigned)labels_hash(l) % 3; }

static int64_t keep_from(void *ud, const struct labels *stream, unsigned *reason)
{
	const struct bench *b = ud;
	unsigned n = number_of(stream);
	if (!b->expire || n == 2) return INT64_MIN;
	*reason = n;
	return BASE + 60 * (1 + (int64_t)n);
}

#define HIDE_QUERY "{app=~\"a.*\"} |~ \"^line 1$\""
#define HIDE_TO    (BASE + 150)

static bool hidden(const struct bench *b, const struct row *x)
{
	return b->hide && x->input < b->nin / 2 && x->ts <= HIDE_TO && b->streams[x->stream].n == 2 &&
	       str_eqc(x->line, "line 1");
}

static bool count_step(void *ud, struct err *e)
{
	(void)e;
	((struct bench *)ud)->steps++;
	return true;
}

/* ---- the model ---- */

static int by_ts(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
	if (x->stream != y->stream) return x->stream < y->stream ? -1 : 1;
	if (x->ts != y->ts) return x->ts < y->ts ? -1 : 1;
	if (x->input != y->input) return x->input < y->input ? -1 : 1;
	return (x > y) - (x < y);
}

static size_t expected(struct bench *b, const struct row **out, struct merge_result *r)
{
	const struct row **all = mem_alloc((b->n + 1) * sizeof(struct row *));
	size_t n = 0;
	*r = (struct merge_result){.rows = b->n};
	for (size_t i = 0; i < b->n; i++) all[i] = &b->v[i];
	qsort(all, b->n, sizeof(struct row *), by_ts);
	for (size_t i = 0; i < b->n; i++) {
		const struct row *x = all[i];
		unsigned reason = 0;
		bool copy = false;
		if (x->ts < keep_from(b, &b->streams[x->stream], &reason)) {
			r->expired[reason].rows++;
			r->expired[reason].bytes += x->line.n;
			continue;
		}
		if (hidden(b, x)) {
			r->hidden++;
			continue;
		}
		for (size_t k = n; k-- > 0 && out[k]->stream == x->stream && out[k]->ts == x->ts && !copy;)
			copy = same(out[k], x);
		if (copy)
			r->copies++;
		else
			out[n++] = x;
	}
	free(all);
	return n;
}

static void check_output(struct bench *b, const struct merge_result *got, const struct row **want, size_t n)
{
	struct err e = ERR_INIT;
	struct segment *s = segment_new(b->o, b->cache, STR("t/segments/out"));
	s->size = got->out.size;
	struct segment_view view = {0};
	if (!segment_view_open(&view, s, &e)) fail_msg("%s", e.msg);
	struct columns c = {.seg = view.seg, .blocks = view.blocks};
	assert_int_equal(view.root->rows, n);
	assert_int_equal(got->out.streams, view.root->nstreams);
	for (uint32_t i = 0; i < view.root->nstreams; i++) {
		struct segment_stream st;
		struct label v[2];
		MUST(segment_view_stream(&view, i, &st, must));
		segment_labels(view.page, &st, v);
		for (uint32_t r = st.first_row; r < st.first_row + st.rows; r++) {
			struct str line = STR_NULL;
			const int64_t *ts = columns_ts(&c, r, &e);
			assert_true(labels_eq(&(struct labels){v, st.npairs}, &b->streams[want[r]->stream]));
			assert_true(ts && columns_line(&c, r, &line, &e));
			assert_int_equal(*ts, want[r]->ts);
			check_str(line, want[r]->line);
			const struct labels *meta = columns_meta(&c, r, &e);
			assert_true(meta && labels_eq(meta, &want[r]->meta));
		}
	}
	columns_release(&c);
	segment_view_close(&view);
	segment_unref(s);
}

static bool merge(struct bench *b, struct merge_result *got, struct err *e)
{
	struct deletes *d = deletes_new(&delete_filter_lang);
	struct catalog_delete r = {
		.id = STR("x"), .number = 7, .from = BASE - 1, .to = HIDE_TO, .query = STR(HIDE_QUERY)};
	struct catalog_entry entry = {.number = 7, .deletes = &r, .ndeletes = 1};
	struct mask *masks[COUNT(b->in)] = {0};
	deletes_apply(&d, &entry);
	for (size_t i = 0; b->hide && i < b->nin / 2; i++) {
		masks[i] = mask_new(d, 6, 7, INT64_MIN, INT64_MAX);
		assert_non_null(masks[i]);
	}
	struct merge_opts o = {.level = 1, .keep_from = keep_from, .masks = masks, .step = count_step, .ud = b};
	bool ok = merge_segments(b->o, b->in, b->nin, STR("t/segments/out"), STR("t"), &o, got, e);
	for (size_t i = 0; i < COUNT(masks); i++) mask_free(masks[i]);
	deletes_unref(d);
	return ok;
}

static void check_merge(struct bench *b)
{
	struct merge_result got, want;
	const struct row **rows = mem_alloc((b->n + 1) * sizeof(struct row *));
	size_t n = expected(b, rows, &want);
	MUST(merge(b, &got, must));
	assert_int_equal(got.out.rows, n);
	assert_int_equal(got.rows, want.rows);
	assert_int_equal(got.copies, want.copies);
	assert_int_equal(got.hidden, want.hidden);
	for (int i = 0; i < MERGE_REASONS; i++) {
		assert_int_equal(got.expired[i].rows, want.expired[i].rows);
		assert_int_equal(got.expired[i].bytes, want.expired[i].bytes);
		if (got.expired[i].rows) assert_true(got.expired[i].min_ts <= got.expired[i].max_ts);
	}
	if (n) check_output(b, &got, rows, n);
	free(rows);
}

static void merges_are_what_a_model_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct bench b;
		setup(&b, seed, (uint32_t)(1 + seed % 30), 1 + seed % 8);
		b.expire = seed & 1;
		b.hide = seed & 2;
		for (uint32_t i = 0; i < b.nin; i++) write_input(&b, i, seed % 5 ? 40 : 400);
		check_merge(&b);
		teardown(&b);
	}
}

/* Several blocks, many granules, metadata that is different on each row. */
static void large_merges(void **state)
{
	struct bench b;
	(void)state;
	setup(&b, 77, 5, 4);
	for (uint32_t i = 0; i < b.nin; i++) write_input(&b, i, 40000);
	assert_true(b.n > 150000);
	check_merge(&b);
	assert_true(b.steps > 3);
	teardown(&b);
}

static void what_inputs_cover_is_joined(void **state)
{
	struct err e = ERR_INIT;
	struct merge_result got;
	struct bench b;
	(void)state;
	setup(&b, 5, 3, 5);
	for (uint32_t i = 0; i < b.nin; i++) write_input(&b, i, 10);
	MUST(merge(&b, &got, must));
	struct segment *s = segment_new(b.o, b.cache, STR("t/segments/out"));
	s->size = got.out.size;
	struct segment_root *ix = segment_root(s, &e);
	assert_non_null(ix);
	assert_int_equal(ix->ncovers, 2);
	assert_true(ix->covers[0].writer == 5 && ix->covers[0].lo == 0 && ix->covers[0].hi == 35);
	assert_true(ix->covers[1].lo == 40 && ix->covers[1].hi == 50);
	segment_release(s, ix);
	segment_unref(s);
	teardown(&b);
}

static int64_t keep_none(void *ud, const struct labels *stream, unsigned *reason)
{
	(void)ud, (void)stream;
	*reason = 1;
	return INT64_MAX;
}

static void nothing_left_is_no_segment(void **state)
{
	struct bench b;
	struct err e = ERR_INIT;
	struct merge_result got;
	struct buf none = {0};
	(void)state;
	setup(&b, 3, 4, 2);
	for (uint32_t i = 0; i < b.nin; i++) write_input(&b, i, 20);
	struct merge_opts o = {.level = 1, .keep_from = keep_none};
	MUST(merge_segments(b.o, b.in, b.nin, STR("t/segments/out"), STR("t"), &o, &got, must));
	assert_int_equal(got.out.rows, 0);
	assert_int_equal(got.expired[1].rows, b.n);
	assert_false(object_read(b.o, STR("t/segments/out"), 100, &none, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	teardown(&b);
}

static bool give_up(void *ud, struct err *e)
{
	(void)ud;
	return err_set(e, ERR_CANCELLED, "enough");
}

/* A merge that cannot be finished leaves nothing behind, and says which input is to blame. */
static void failures_leave_nothing(void **state)
{
	struct bench b;
	struct err e = ERR_INIT;
	struct merge_result got;
	struct buf path = {0}, none = {0};
	(void)state;
	setup(&b, 9, 4, 3);
	for (uint32_t i = 0; i < b.nin; i++) write_input(&b, i, 20000);
	struct merge_opts o = {.level = 1, .step = give_up};
	assert_false(merge_segments(b.o, b.in, b.nin, STR("t/segments/out"), STR("t"), &o, &got, &e));
	assert_int_equal(e.code, ERR_CANCELLED);
	fs_path(&path, b.dir, "t/segments/1");
	FILE *f = fopen(path.p, "r+");
	assert_non_null(f);
	fseek(f, 50, SEEK_SET);
	fputc('?', f), fputc('!', f);
	fclose(f);
	assert_false(merge(&b, &got, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_int_equal(got.damaged, 1);
	assert_false(object_read(b.o, STR("t/segments/out"), 100, &none, &e));
	fs_path(&path, b.dir, ".uploads");
	struct fs_list left;
	MUST(fs_list(path.p, &left, must));
	assert_int_equal(left.n, 0);
	fs_list_free(&left);
	buf_free(&path);
	teardown(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merges_are_what_a_model_says), cmocka_unit_test(large_merges),
		cmocka_unit_test(what_inputs_cover_is_joined),  cmocka_unit_test(nothing_left_is_no_segment),
		cmocka_unit_test(failures_leave_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
