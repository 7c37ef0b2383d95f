/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/segment.h"
#include "server/store/segment_filter.h"
#include "server/store/segment_verify.h"
#include "server/store/segwrite.h"
#include "tests/unit/server/store_util.h"

#define GOLDEN "tests/unit/server/golden/"
#define BASE   INT64_C(1700000000000000000)

/* ---- what is written: streams of rows that follow from their numbers ---- */

struct shape {
	uint32_t streams;
	uint32_t rows;    /* of each stream */
	size_t long_line; /* every 1000th line has so many bytes; 0: none */
};

static int64_t ts_of(uint32_t stream, uint32_t row) { return BASE + (int64_t)row * 1000000 / 3 + stream; }

static struct str line_of(struct arena *a, const struct shape *sh, uint32_t stream, uint32_t row)
{
	if (row % 97 == 5) return STR("");
	struct str s = arena_printf(a, "stream %u row %u said something", stream, row);
	if (!sh->long_line || row % 1000 != 7) return s;
	char *p = arena_alloc(a, sh->long_line);
	for (size_t i = 0; i < sh->long_line; i++) p[i] = (char)('a' + (i * i + row) % 23);
	return str_of(p, sh->long_line);
}

/* None, a common level, a level and a unique id, or a rare name. */
static struct labels meta_of(struct arena *a, uint32_t row)
{
	static struct label levels[] = {{STR("detected_level"), STR("info")}, {STR("detected_level"), STR("error")}};
	uint32_t kind = row % 8;
	if (kind == 0) return (struct labels){0};
	if (kind < 6) return (struct labels){&levels[row % 5 == 0], 1};
	struct label *l = arena_alloc(a, 3 * sizeof *l);
	l[0] = levels[0];
	l[1] = (struct label){STR("trace_id"), arena_printf(a, "%032x", row)};
	l[2] = (struct label){STR("zone"), STR("eu")};
	return (struct labels){l, row % 800 == 7 ? 3 : 2};
}

static struct labels labels_of(struct arena *a, uint32_t stream)
{
	struct label *l = arena_alloc(a, 2 * sizeof *l);
	l[0] = (struct label){STR("app"), arena_printf(a, "a%u", stream % 2)};
	l[1] = (struct label){STR("host"), arena_printf(a, "h%04u", stream)};
	return (struct labels){l, stream % 5 == 4 ? 1 : 2};
}

static int by_labels(const void *a, const void *b) { return labels_cmp(a, b); }

struct made {
	char dir[40];
	struct object_store *o;
	struct cache *cache;
	struct segment *seg;
	struct arena a;
	struct labels *streams; /* in the segment's order; value of host, or app for those without, names the stream */
	struct shape shape;
};

static void make(struct made *m, struct shape sh)
{
	struct err e = ERR_INIT;
	*m = (struct made){.dir = "/tmp/larch-segment-XXXXXX", .shape = sh};
	assert_non_null(mkdtemp(m->dir));
	m->o = object_fs_open(&fs_real, m->dir, false, &e);
	assert_non_null(m->o);
	m->cache = cache_new(4u << 20);
	arena_init(&m->a, 0);
	m->streams = arena_alloc(&m->a, (sh.streams + 1) * sizeof *m->streams);
	for (uint32_t i = 0; i < sh.streams; i++) {
		m->streams[i] = labels_of(&m->a, i);
		if (m->streams[i].n == 1) m->streams[i].v[0].value = arena_printf(&m->a, "only%u", i);
	}
	qsort(m->streams, sh.streams, sizeof *m->streams, by_labels);
	struct segwrite *w = segwrite_new(m->o, STR("t/segments/x"), STR("t"), SEGWRITE_FILTERS, &e);
	assert_non_null(w);
	for (uint32_t i = 0; i < sh.streams; i++) {
		MUST(segwrite_stream(w, &m->streams[i], labels_hash(&m->streams[i]), must));
		for (uint32_t r = 0; r < sh.rows; r++) {
			struct labels *meta = arena_alloc(&m->a, sizeof *meta);
			*meta = meta_of(&m->a, r);
			MUST(segwrite_row(w, ts_of(i, r), line_of(&m->a, &sh, i, r), meta, must));
		}
	}
	struct segwrite_result res;
	struct wal_range covers[] = {{77, 1, 9}};
	MUST(segwrite_finish(w, covers, 1, &res, must));
	assert_int_equal(res.rows, (uint64_t)sh.streams * sh.rows);
	assert_int_equal(res.streams, sh.streams);
	m->seg = segment_new(m->o, m->cache, STR("t/segments/x"));
	m->seg->size = res.size;
}

static void unmake(struct made *m)
{
	segment_unref(m->seg);
	cache_free(m->cache);
	object_close(m->o);
	arena_free(&m->a);
	remove_tree(m->dir);
}

static void check_damage(const struct err *e)
{
	assert_int_equal(e->code, ERR_CORRUPT);
	assert_non_null(strstr(e->msg, "t/segments/x"));
}

/* Compares every row with what was written; what is damaged must say so. Returns the rows read. */
static uint32_t check_page(struct made *m, const struct segment_page *p, const struct segment_blocks *ix, bool may_fail)
{
	uint32_t good = 0;
	struct arena a;
	arena_init(&a, 0);
	for (uint32_t i = p->first; i < p->first + p->n; i++) {
		struct segment_stream st = segment_stream_get(p, i);
		for (uint32_t r = 0; r < st.rows; r++) {
			struct err e = ERR_INIT;
			uint32_t row = st.first_row + r, first, g = segment_granule_of(ix, row, &first),
				 f = segment_frame_of(ix, row);
			struct segment_times *t = segment_times(m->seg, ix, g, &e);
			struct segment_lens *l = segment_lens(m->seg, ix, g, &e);
			struct segment_metas *me = segment_metas(m->seg, ix, g, &e);
			struct segment_lines *li = segment_lines(m->seg, ix, f, &e);
			if (t && l && me && li) {
				struct str want = line_of(&a, &m->shape, i, r);
				struct labels meta = meta_of(&a, r);
				assert_int_equal(t->v[row - first], ts_of(i, r));
				assert_int_equal(l->len[row - first], want.n);
				uint64_t at = l->pos[row - first] - ix->frames[f].pos;
				assert_true(at + want.n <= li->raw.n);
				check_str(str_of(li->raw.p + at, want.n), want);
				assert_true(labels_eq(me->v[row - first], &meta));
				good++;
			} else {
				assert_true(may_fail);
				check_damage(&e);
			}
			void *held[] = {t, l, me, li};
			for (size_t k = 0; k < COUNT(held); k++) segment_release(m->seg, held[k]);
		}
		arena_reset(&a);
	}
	arena_free(&a);
	return good;
}

static uint32_t check_rows(struct made *m, const struct segment_root *r, bool may_fail)
{
	uint32_t good = 0;
	struct err e = ERR_INIT;
	struct segment_blocks *b = segment_blocks(m->seg, r, &e);
	if (!b) {
		assert_true(may_fail);
		check_damage(&e);
		return 0;
	}
	for (uint32_t k = 0; k < r->npages; k++) {
		e = ERR_INIT;
		struct segment_page *p = segment_page(m->seg, r, k, &e);
		if (p) {
			good += check_page(m, p, b, may_fail);
		} else {
			assert_true(may_fail);
			check_damage(&e);
		}
		segment_release(m->seg, p);
	}
	segment_release(m->seg, b);
	return good;
}

static void check_stream(struct made *m, const struct segment_root *r, uint32_t k)
{
	struct err e = ERR_INIT;
	struct segment_page *p = segment_page(m->seg, r, segment_page_of(r, k), &e);
	if (!p) fail_msg("%s", e.msg);
	struct segment_stream st = segment_stream_get(p, k);
	struct label v[2];
	struct labels l = {v, st.npairs};
	uint32_t found;
	segment_labels(p, &st, v);
	assert_true(labels_eq(&l, &m->streams[k]));
	assert_int_equal(st.hash, labels_hash(&l));
	assert_int_equal(st.min_ts, ts_of(k, 0));
	assert_int_equal(st.max_ts, ts_of(k, m->shape.rows - 1));
	MUST(segment_find(m->seg, r, &m->streams[k], &found, must));
	assert_int_equal(found, k);
	v[st.npairs - 1].value = STR("nobody has it");
	MUST(segment_find(m->seg, r, &l, &found, must));
	assert_int_equal(found, UINT32_MAX);
	segment_release(m->seg, p);
}

static void rows_go_there_and_back(void **state)
{
	static const struct shape shapes[] = {
		{1, 1, 0}, {3, 5000, 0}, {300, 41, 0}, {5000, 2, 0}, {2, 70000, 0}, {2, 1500, 3 << 20}, {0, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct made m;
		make(&m, shapes[i]);
		struct err e = ERR_INIT;
		struct segment_root *ix = segment_root(m.seg, &e);
		if (!ix) fail_msg("%s", e.msg);
		check_str(ix->tenant, STR("t"));
		assert_int_equal(ix->nstreams, shapes[i].streams);
		assert_int_equal(ix->ncovers, 1);
		assert_int_equal(ix->covers[0].hi, 9);
		for (uint32_t k = 0; k < ix->nstreams; k++) check_stream(&m, ix, k);
		assert_int_equal(check_rows(&m, ix, false), shapes[i].streams * shapes[i].rows);
		segment_release(m.seg, ix);
		unmake(&m);
	}
}

#define STREAMS 5002 /* several pages of streams and of values */

static void postings_answer_like_labels(void **state)
{
	static const struct {
		enum match_op op;
		const char *name, *value;
	} cases[] = {
		{MATCH_EQ, "app", "a1"},         {MATCH_NEQ, "app", "a1"},     {MATCH_EQ, "host", ""},
		{MATCH_NEQ, "host", ""},         {MATCH_EQ, "none", ""},       {MATCH_EQ, "none", "x"},
		{MATCH_RE, "host", "h00[12].*"}, {MATCH_NRE, "host", "h00.*"}, {MATCH_RE, "host", ".*"},
		{MATCH_RE, "app", "only.*|a0"},  {MATCH_EQ, "host", "h4321"},  {MATCH_EQ, "host", "h00"},
		{MATCH_EQ, "host", "zz"},        {MATCH_NEQ, "host", "h0003"},
	};
	struct made m;
	struct err e = ERR_INIT;
	(void)state;
	make(&m, (struct shape){STREAMS, 1, 0});
	struct segment_root *ix = segment_root(m.seg, &e);
	assert_non_null(ix);
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (size_t k = 0; k < COUNT(cases); k++) { /* alone and in pairs */
			struct matcher v[2];
			size_t n = i == k ? 1 : 2;
			MUST(matcher_init(&v[0], cases[i].op, str_c(cases[i].name), str_c(cases[i].value), 0, must));
			MUST(matcher_init(&v[1], cases[k].op, str_c(cases[k].name), str_c(cases[k].value), 0, must));
			uint64_t bits[STREAMS / 64 + 1] = {0};
			MUST(segment_match(m.seg, ix, v, n, bits, must));
			for (uint32_t s = 0; s < STREAMS; s++)
				assert_int_equal(bits[s / 64] >> (s % 64) & 1, labels_pass(&m.streams[s], v, n));
			assert_int_equal(bits[STREAMS / 64] >> STREAMS % 64, 0);
			matcher_fini(&v[0]);
			matcher_fini(&v[1]);
		}
	}
	segment_release(m.seg, ix);
	unmake(&m);
}

/* Flips and cuts: never a crash, never a wrong row; what is left stays readable. */
static void damage_is_named_and_the_rest_is_read(void **state)
{
	struct made m;
	struct buf path = {0}, bytes = {0};
	struct rnd r = {5};
	(void)state;
	make(&m, (struct shape){4, 9000, 0});
	buf_printf(&path, "%s/t/segments/x", m.dir);
	MUST(fs_read_file(&fs_real, buf_cstr(&path), 1u << 30, &bytes, must));
	uint32_t part = 0, none = 0;
	for (int i = 0; i < 60; i++) {
		struct err e = ERR_INIT;
		size_t at = (size_t)rnd(&r, bytes.n), n = i % 10 == 9 ? at : bytes.n;
		bytes.p[at] ^= 0x20;
		put_file(path.p, str_of(bytes.p, n));
		bytes.p[at] ^= 0x20;
		segment_unref(m.seg);
		m.seg = segment_new(m.o, m.cache, STR("t/segments/x"));
		m.seg->size = n;
		struct segment_root *ix = segment_root(m.seg, &e);
		if (!ix) {
			assert_int_equal(e.code, ERR_CORRUPT);
			none++;
			continue;
		}
		part += check_rows(&m, ix, true) < 36000;
		segment_release(m.seg, ix);
	}
	assert_true(part > 20 && none > 3);
	buf_free(&path);
	buf_free(&bytes);
	unmake(&m);
}

/* ---- verifying ---- */

struct faults {
	uint64_t n;
	char last[512];
};

static void note_fault(void *ud, const char *text)
{
	struct faults *f = ud;
	f->n++;
	snprintf(f->last, sizeof f->last, "%s", text);
}

static struct faults verify(struct segment *s)
{
	struct faults f = {0};
	struct segment_verify_opts o = {note_fault, NULL, &f};
	uint64_t n = segment_verify(s, &o);
	assert_int_equal(n, f.n);
	return f;
}

/* The file of a version, as its program wrote it: three streams of 120 rows. */
static void check_golden(const char *file, uint32_t version)
{
	struct made m;
	struct err e = ERR_INIT;
	struct buf bytes = {0}, path = {0};
	make(&m, (struct shape){3, 120, 0});
	buf_printf(&path, "%s/t/segments/x", m.dir);
	if (getenv("LARCH_WRITE_GOLDEN") && version == SEGMENT_VERSION) {
		MUST(fs_read_file(&fs_real, buf_cstr(&path), 1u << 20, &bytes, must));
		MUST(fs_replace(&fs_real, file, buf_view(&bytes), 0644, must));
		buf_clear(&bytes);
	}
	MUST(fs_read_file(&fs_real, file, 1u << 20, &bytes, must));
	put_file(buf_cstr(&path), buf_view(&bytes));
	m.seg->size = bytes.n;
	struct segment_root *ix = segment_root(m.seg, &e);
	if (!ix) fail_msg("%s", e.msg);
	assert_int_equal(ix->version, version);
	check_str(ix->tenant, STR("t"));
	assert_int_equal(ix->ncovers, 1);
	for (uint32_t k = 0; k < ix->nstreams; k++) check_stream(&m, ix, k);
	assert_int_equal(check_rows(&m, ix, false), 360);
	assert_int_equal(verify(m.seg).n, 0);
	struct matcher match = {MATCH_EQ, STR("app"), STR("a1"), NULL};
	uint64_t bits = 0;
	MUST(segment_match(m.seg, ix, &match, 1, &bits, must));
	for (uint32_t k = 0; k < 3; k++) assert_int_equal(bits >> k & 1, labels_pass(&m.streams[k], &match, 1));
	segment_release(m.seg, ix);
	buf_free(&bytes);
	buf_free(&path);
	unmake(&m);
}

static void version_1_stays_readable(void **state)
{
	(void)state;
	check_golden(GOLDEN "segment-1", 1);
}

static void version_2_stays_readable(void **state)
{
	(void)state;
	check_golden(GOLDEN "segment-2", 2);
}

/* Every byte counts: whichever is another, something does not hold. */
static void verifying_finds_every_flip(void **state)
{
	struct made m;
	struct buf path = {0}, bytes = {0};
	struct rnd r = {9};
	(void)state;
	make(&m, (struct shape){7, 700, 0});
	struct faults f = verify(m.seg);
	if (f.n) fail_msg("%s", f.last);
	buf_printf(&path, "%s/t/segments/x", m.dir);
	MUST(fs_read_file(&fs_real, buf_cstr(&path), 1u << 30, &bytes, must));
	for (int i = 0; i < 150; i++) {
		/* Half of them at the ends: header, index, trailer. */
		size_t at = (size_t)rnd(&r, i % 2 ? bytes.n : 16), n = i % 10 == 9 ? at : bytes.n;
		if (i % 4 == 0) at = bytes.n - 1 - (size_t)rnd(&r, 1500);
		char flip = (char)(1 << rnd(&r, 8));
		bytes.p[at] ^= flip;
		put_file(path.p, str_of(bytes.p, n));
		struct segment *s = segment_new(m.o, m.cache, STR("t/segments/x"));
		s->size = n;
		if (verify(s).n == 0) fail_msg("a flip at %zu of %zu bytes was not found", at, bytes.n);
		segment_unref(s);
		bytes.p[at] ^= flip;
	}
	buf_free(&path);
	buf_free(&bytes);
	unmake(&m);
}

/* What has all its checksums, and is wrong all the same: its writer was told so. */
static void verifying_finds_what_never_held(void **state)
{
	static const struct {
		int64_t ts[3];
		const char *line[3], *stream[3], *says;
	} cases[] = {
		{{1, 3, 2}, {"a", "b", "c"}, {"x", "x", "x"}, "older than the row before"},
		{{1, 1, 1}, {"a", "b", "a"}, {"x", "x", "x"}, "copy"},
		{{1, 2, 3}, {"a", "b", "c"}, {"x", "z", "y"}, "does not come after"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct made m;
		struct err e = ERR_INIT;
		struct segwrite_result res;
		const struct labels none = {0};
		make(&m, (struct shape){1, 1, 0});
		struct segwrite *w = segwrite_new(m.o, STR("t/segments/wrong"), STR("t"), 1, &e);
		for (size_t k = 0; k < 3; k++) {
			struct label pair = {STR("app"), str_c(cases[i].stream[k])};
			struct labels l = {&pair, 1};
			if (k == 0 || strcmp(cases[i].stream[k], cases[i].stream[k - 1]) != 0)
				MUST(segwrite_stream(w, &l, labels_hash(&l), must));
			MUST(segwrite_row(w, cases[i].ts[k], str_c(cases[i].line[k]), &none, must));
		}
		MUST(segwrite_finish(w, NULL, 0, &res, must));
		struct segment *s = segment_new(m.o, m.cache, STR("t/segments/wrong"));
		s->size = res.size;
		struct faults f = verify(s);
		if (f.n != 1 || !strstr(f.last, cases[i].says))
			fail_msg("%llu faults, the last: %s", (unsigned long long)f.n, f.last);
		segment_unref(s);
		unmake(&m);
	}
}

/* ---- filters ---- */

#define FILTERED_ROWS 3000

/* Words of few syllables, in any case, and now and then a number: texts that do and do not occur. */
static struct str word_line(struct arena *a, struct rnd *r)
{
	static const char *const parts[] = {"con",  "nec",  "tion", "re",  "fused", "KK",
					    "sets", "time", "out",  "-",   " ",     "\xc5\xbf",
					    "q",    "Z",    "9",    "=\"", "/",     "\xe2\x84\xaa"};
	struct buf b = {0};
	for (size_t n = (size_t)rnd(r, 12); n; n--) buf_c(&b, parts[rnd(r, COUNT(parts))]);
	if (rnd(r, 4) == 0) buf_u64(&b, rnd(r, 100000));
	struct str s = arena_str(a, buf_view(&b));
	buf_free(&b);
	return s;
}

/* Filters of every kind over texts cut from words like those of the lines. */
static struct linefilters *random_filters(struct arena *a, struct rnd *r)
{
	static const struct {
		enum linefilter_op op;
		const char *before, *after;
	} kinds[] = {{LINEFILTER_EQ, "", ""},   {LINEFILTER_RE, "(?i)", ""},
		     {LINEFILTER_RE, "", ""},   {LINEFILTER_RE, "(?i)(", "|fused)"},
		     {LINEFILTER_FOLD, "", ""}, {LINEFILTER_PAT, "<_>", "<_>"},
		     {LINEFILTER_NEQ, "", ""},  {LINEFILTER_RE, "^.*", ".*9$"}};
	struct linefilter f[2];
	struct err e = ERR_INIT;
	size_t n = 1 + (size_t)rnd(r, 2);
	for (size_t i = 0; i < n; i++) {
		struct linefilter_operand *o = arena_zalloc(a, 2 * sizeof *o);
		size_t kind = (size_t)rnd(r, COUNT(kinds));
		f[i] = (struct linefilter){kinds[kind].op, o, 1 + (size_t)rnd(r, 2)};
		for (size_t k = 0; k < f[i].n; k++) {
			struct str w = word_line(a, r);
			w = str_sub(w, 0, w.n < 10 ? w.n : 10);
			o[k].text = arena_printf(a, "%s%.*s%s", kinds[kind].before, STR_ARG(w), kinds[kind].after);
		}
	}
	return linefilters_new(f, n, NULL, &e); /* NULL: a word cut inside a character is no pattern */
}

static void filters_deny_nothing_that_is_there(void **state)
{
	struct arena a;
	struct rnd r = {11};
	struct buf lines = {0};
	struct segment_filter filter = {0};
	struct str *v = mem_alloc(FILTERED_ROWS * sizeof *v);
	uint32_t denied = 0, asked = 0;
	(void)state;
	arena_init(&a, 0);
	for (int round = 0; round < 400; round++) {
		size_t n = 1 + (size_t)rnd(&r, round % 2 ? 10 : 100);
		buf_clear(&lines);
		buf_clear(&filter.raw);
		for (size_t i = 0; i < n; i++) buf_str(&lines, v[i] = word_line(&a, &r));
		segment_filter_build(buf_view(&lines), &filter.raw);
		assert_true(filter.raw.n >= 128);
		for (int q = 0; q < 20; q++) {
			struct linefilters *g = random_filters(&a, &r);
			struct segment_needles *needles = g ? segment_needles_new(g) : NULL;
			bool any = false;
			for (size_t i = 0; g && i < n && !any; i++) any = linefilters_match(g, v[i]);
			if (needles) {
				bool may = segment_filter_may(&filter, needles);
				assert_true(may || !any);
				asked += !any;
				denied += !may;
			}
			segment_needles_free(needles);
			linefilters_free(g);
		}
		arena_reset(&a);
	}
	if (denied * 2 < asked) fail_msg("%u of %u frames without the text were denied", denied, asked);
	free(v);
	buf_free(&filter.raw);
	buf_free(&lines);
	arena_free(&a);
}

static void filters_are_small_and_left_out_where_useless(void **state)
{
	struct buf lines = {0}, filter = {0};
	struct rnd r = {3};
	(void)state;
	segment_filter_build(STR("abc"), &filter);
	assert_int_equal(filter.n, 128);
	buf_clear(&filter);
	for (size_t i = 0; i < SEGMENT_FRAME; i++) buf_ch(&lines, (char)rnd(&r, 256));
	segment_filter_build(buf_view(&lines), &filter);
	assert_int_equal(filter.n, 0);
	buf_clear(&lines);
	while (lines.n < SEGMENT_FRAME) buf_printf(&lines, "GET /api/v1/items/%u 200", (unsigned)rnd(&r, 100));
	segment_filter_build(buf_view(&lines), &filter);
	assert_true(filter.n <= 256);
	buf_free(&lines);
	buf_free(&filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_go_there_and_back),
		cmocka_unit_test(postings_answer_like_labels),
		cmocka_unit_test(damage_is_named_and_the_rest_is_read),
		cmocka_unit_test(version_1_stays_readable),
		cmocka_unit_test(version_2_stays_readable),
		cmocka_unit_test(verifying_finds_every_flip),
		cmocka_unit_test(verifying_finds_what_never_held),
		cmocka_unit_test(filters_deny_nothing_that_is_there),
		cmocka_unit_test(filters_are_small_and_left_out_where_useless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
