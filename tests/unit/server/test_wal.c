/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/ingest/wal.h"
#include "server/store/pack.h"
#include "server/store/record.h"
#include "tests/unit/server/store_util.h"

#define GOLDEN "tests/unit/server/golden/"
#define WRITER UINT64_C(0x0123456789abcdef)

static void record_of(struct str payload, uint64_t seq, struct buf *rec)
{
	buf_clear(rec);
	buf_reserve(rec, WAL_RECORD_HEADER);
	rec->n = WAL_RECORD_HEADER;
	buf_str(rec, payload);
	wal_record_sum(rec, WRITER);
	wal_record_number(rec, WRITER, seq, (uint32_t)(3 * seq));
}

/* Reads a file and says what was found: "r<seq>:<bytes>" records (and "f<floor>" where that is not what record_of()
 * writes), "d<off>+<len>" damage, "t<off>" a torn end. */
static void describe(const char *path, struct buf *out)
{
	struct wal_reader r;
	struct buf rec = {0};
	MUST(wal_read_open(&r, &fs_real, path, must));
	for (;;) {
		uint64_t seq, off, len;
		struct err e = ERR_INIT;
		enum wal_read_kind k = wal_read_next(&r, &seq, &rec, &off, &len, &e);
		if (k == WAL_READ_RECORD)
			buf_printf(out, "r%llu:%zu ", (unsigned long long)seq, rec.n - WAL_RECORD_HEADER);
		if (k == WAL_READ_RECORD && wal_record_floor(&rec) != (uint32_t)(3 * seq))
			buf_printf(out, "f%u ", wal_record_floor(&rec));
		if (k == WAL_READ_DAMAGED)
			buf_printf(out, "d%llu+%llu ", (unsigned long long)off, (unsigned long long)len);
		if (k == WAL_READ_TORN) buf_printf(out, "t%llu ", (unsigned long long)off);
		if (k == WAL_READ_ERROR) fail_msg("%s", e.msg);
		if (k == WAL_READ_END || k == WAL_READ_TORN) break;
	}
	wal_read_close(&r);
	buf_free(&rec);
}

struct log {
	char dir[40];
	struct wal w;
	struct wal_file *file; /* kept */
	struct buf rec, text, bytes;
};

/* Three records of 100, 5 and 40000 bytes at 48, 196 and 249; the end is at 40297. */
static void log_write(struct log *l)
{
	*l = (struct log){.dir = "/tmp/larch-wal-XXXXXX"};
	assert_non_null(mkdtemp(l->dir));
	wal_init(&l->w, &fs_real, l->dir, WRITER, 1u << 20);
	MUST(wal_prepare(&l->w, 5, must));
	l->file = wal_file_ref(l->w.file);
	static const size_t sizes[] = {100, 5, 40000};
	struct buf payload = {0};
	for (size_t i = 0; i < COUNT(sizes); i++) {
		buf_clear(&payload);
		for (size_t k = 0; k < sizes[i]; k++) buf_ch(&payload, (char)k);
		record_of(buf_view(&payload), 5 + i, &l->rec);
		MUST(wal_append(&l->w, buf_view(&l->rec), must));
	}
	buf_free(&payload);
	MUST(wal_push(&l->w, must));
	MUST(wal_sync(&l->w, must));
	wal_mark(&l->w);
	wal_close(&l->w);
	MUST(fs_read_file(&fs_real, l->file->path, 1 << 20, &l->bytes, must));
	assert_int_equal(l->bytes.n, 40297);
}

static void log_free(struct log *l)
{
	wal_file_unref(l->file);
	wal_fini(&l->w);
	buf_free(&l->rec);
	buf_free(&l->text);
	buf_free(&l->bytes);
	remove_tree(l->dir);
}

static void records_are_read_back(void **state)
{
	struct log l;
	(void)state;
	log_write(&l);
	describe(l.file->path, &l.text);
	check_buf(&l.text, "r5:100 r6:5 r7:40000 ");
	log_free(&l);
}

static void damage_is_found_and_skipped(void **state)
{
	static const struct {
		size_t at;
		const char *want;
	} cases[] = {
		{60, "d48+148 r6:5 r7:40000 "},    /* header */
		{100, "d48+148 r6:5 r7:40000 "},   /* payload */
		{200, "r5:100 d196+53 r7:40000 "}, /* header */
		{9000, "r5:100 r6:5 d249+40048 "}, /* payload of the last */
		{250, "r5:100 r6:5 d249+40048 "},  /* header of the last */
		{0, "r5:100 r6:5 r7:40000 "},      /* file header: the first record names the writer */
		{20, "r5:100 r6:5 r7:40000 "},
	};
	struct log l;
	(void)state;
	log_write(&l);
	for (size_t i = 0; i < COUNT(cases); i++) {
		l.bytes.p[cases[i].at] ^= 1;
		put_file(l.file->path, buf_view(&l.bytes));
		describe(l.file->path, &l.text);
		check_buf(&l.text, cases[i].want);
		l.bytes.p[cases[i].at] ^= 1;
	}
	log_free(&l);
}

static void a_cut_at_any_place_keeps_what_is_before(void **state)
{
	struct log l;
	(void)state;
	log_write(&l);
	for (size_t n = 0; n < 400; n++) {
		put_file(l.file->path, str_of(l.bytes.p, n));
		describe(l.file->path, &l.text);
		const char *want = n < 48     ? NULL
				   : n == 48  ? ""
				   : n < 196  ? "t48 "
				   : n == 196 ? "r5:100 "
				   : n < 249  ? "r5:100 t196 "
				   : n == 249 ? "r5:100 r6:5 "
					      : "r5:100 r6:5 t249 ";
		if (want) check_buf(&l.text, want);
		buf_clear(&l.text);
	}
	log_free(&l);
}

/* A record inside a logged line is not one: its checksums were not made with this file's writer. */
static void a_forged_record_is_not_believed(void **state)
{
	struct log l;
	struct buf forged = {0};
	(void)state;
	log_write(&l);
	record_of(STR("never sent"), 99, &forged);
	wal_record_sum(&forged, WRITER ^ 1);
	wal_record_number(&forged, WRITER ^ 1, 99, 0);
	memcpy(l.bytes.p + 3000, forged.p, forged.n);
	l.bytes.p[260] ^= 1; /* the header of the record around it is gone too */
	put_file(l.file->path, buf_view(&l.bytes));
	describe(l.file->path, &l.text);
	check_buf(&l.text, "r5:100 r6:5 d249+40048 ");
	buf_free(&forged);
	log_free(&l);
}

static void a_refused_group_is_cut_off(void **state)
{
	struct log l;
	struct fs_fault f;
	struct err e = ERR_INIT;
	(void)state;
	log_write(&l);
	fs_fault_init(&f, &fs_real);
	f.ops = FS_OP_SYNC;
	f.error = 5;
	f.count = -1;
	wal_fini(&l.w);
	wal_init(&l.w, &f.base, l.dir, WRITER, 1u << 20);
	l.w.next_number = 2;
	MUST(wal_prepare(&l.w, 8, must));
	struct wal_file *second = wal_file_ref(l.w.file);
	record_of(STR("kept"), 8, &l.rec);
	MUST(wal_append(&l.w, buf_view(&l.rec), must));
	MUST(wal_push(&l.w, must));
	wal_mark(&l.w);
	record_of(STR("refused"), 9, &l.rec);
	MUST(wal_append(&l.w, buf_view(&l.rec), must));
	MUST(wal_push(&l.w, must));
	f.seen = 0;
	f.count = 1;
	assert_false(wal_sync(&l.w, &e));
	wal_cut(&l.w);
	wal_close(&l.w);
	assert_null(l.w.file);
	describe(second->path, &l.text);
	check_buf(&l.text, "r8:4 ");
	MUST(wal_prepare(&l.w, 10, must));
	assert_int_equal(l.w.file->number, 3);
	uint64_t *numbers;
	size_t n;
	MUST(wal_files(l.dir, &numbers, &n, must));
	assert_int_equal(n, 3);
	assert_int_equal(numbers[2], 3);
	free(numbers);
	wal_file_unref(second); /* the last reference removes it */
	MUST(wal_files(l.dir, &numbers, &n, must));
	assert_int_equal(n, 2);
	free(numbers);
	log_free(&l);
}

/* ---- what records hold ---- */

static void fill_sample(struct record_stream s[2], struct push_entry v[3], struct label l[4])
{
	l[0] = (struct label){STR("app"), STR("x")};
	l[1] = (struct label){STR("app"), STR("y")};
	l[2] = (struct label){STR("detected_level"), STR("info")};
	l[3] = (struct label){STR("trace_id"), STR("0af7651916cd43dd8448eb211c80319c")};
	v[0] = (struct push_entry){1700000000000000000, STR("first line"), {l + 2, 1}};
	v[1] = (struct push_entry){-5, STR(""), {0}};
	v[2] = (struct push_entry){INT64_MAX, STR("na\xc3\xafve \xff"), {l + 2, 2}};
	s[0] = (struct record_stream){{l, 1}, v, 2};
	s[1] = (struct record_stream){{l + 1, 1}, v + 2, 1};
}

static void check_sample(struct str payload)
{
	struct record r;
	struct record_rows rows;
	struct record_row row;
	struct str set;
	struct label pairs[2];
	MUST(record_open(payload, &r, must));
	check_str(r.tenant, STR("team"));
	assert_int_equal(r.rows, 3);
	assert_int_equal(r.bytes, 18);
	assert_int_equal(r.nsets, 2);
	assert_int_equal(r.nstreams, 2);
	struct str sets = r.sets, rest = r.rest;
	assert_true(record_next_set(&sets, &set) && record_set_decode(set, pairs, 1));
	check_str(pairs[0].value, STR("info"));
	assert_true(record_next_set(&sets, &set) && record_set_decode(set, pairs, 2));
	check_str(pairs[1].name, STR("trace_id"));
	assert_true(record_next_stream(&rest, &rows));
	assert_true(record_set_decode(rows.labels, pairs, 1));
	check_str(pairs[0].value, STR("x"));
	assert_true(record_next_row(&rows, &row));
	assert_true(row.ts == 1700000000000000000 && row.set == 1);
	check_str(row.line, STR("first line"));
	assert_true(record_next_row(&rows, &row));
	assert_true(row.ts == -5 && row.set == 0 && row.line.n == 0);
	assert_true(record_next_stream(&rest, &rows) && record_next_row(&rows, &row));
	assert_true(row.ts == INT64_MAX && row.set == 2);
	check_str(row.line, STR("na\xc3\xafve \xff"));
	assert_int_equal(rest.n, 0);
}

static void push_records_go_there_and_back(void **state)
{
	struct record_stream s[2];
	struct push_entry v[3];
	struct label l[4];
	struct buf b = {0};
	struct record r;
	struct err e = ERR_INIT;
	(void)state;
	fill_sample(s, v, l);
	record_encode(&b, STR("team"), s, 2);
	assert_true(b.n <= record_bound(STR("team"), s, 2));
	check_sample(buf_view(&b));
	for (size_t n = 0; n < b.n; n++) assert_false(record_open(str_of(b.p, n), &r, &e));
	buf_free(&b);
}

/* The file of the version, with its one record. */
static void check_golden(const char *path, struct buf *text)
{
	struct buf b = {0};
	describe(path, text);
	MUST(fs_read_file(&fs_real, path, 1 << 20, &b, must));
	assert_true(b.n > WAL_FILE_HEADER + WAL_RECORD_HEADER);
	assert_true(str_starts(buf_view(text), STR("r1:")));
	assert_null(strchr(buf_cstr(text), 'd'));
	check_sample(str_from(buf_view(&b), WAL_FILE_HEADER + WAL_RECORD_HEADER));
	buf_free(&b);
}

static void version_1_stays_readable(void **state)
{
	struct buf text = {0};
	(void)state;
	check_golden(GOLDEN "wal-1", &text);
	assert_non_null(strstr(buf_cstr(&text), "f0 ")); /* it knew no floors */
	buf_free(&text);
}

static void version_2_stays_readable(void **state)
{
	struct record_stream s[2];
	struct push_entry v[3];
	struct label l[4];
	struct buf b = {0}, text = {0};
	(void)state;
	if (getenv("LARCH_WRITE_GOLDEN")) {
		char dir[] = "/tmp/larch-wal-XXXXXX";
		struct wal w;
		struct buf rec = {0};
		assert_non_null(mkdtemp(dir));
		fill_sample(s, v, l);
		record_encode(&b, STR("team"), s, 2);
		record_of(buf_view(&b), 1, &rec);
		wal_init(&w, &fs_real, dir, WRITER, 1u << 20);
		w.created = 1700000000000000000;
		MUST(wal_prepare(&w, 1, must));
		MUST(wal_append(&w, buf_view(&rec), must));
		MUST(wal_push(&w, must));
		buf_clear(&b);
		MUST(fs_read_file(&fs_real, w.file->path, 1 << 20, &b, must));
		MUST(fs_replace(&fs_real, GOLDEN "wal-2", buf_view(&b), 0644, must));
		wal_fini(&w);
		buf_free(&rec);
		remove_tree(dir);
	}
	check_golden(GOLDEN "wal-2", &text);
	assert_null(strchr(buf_cstr(&text), 'f'));
	buf_free(&b);
	buf_free(&text);
}

/* ---- packed integers ---- */

static void integers_go_there_and_back(void **state)
{
	struct rnd r = {1};
	uint64_t v[1000], w[1000];
	int64_t t[1000], u[1000];
	struct buf b = {0};
	(void)state;
	for (unsigned bits = 0; bits <= 64; bits++) {
		size_t n = (size_t)rnd(&r, 1000);
		for (size_t i = 0; i < n; i++) {
			uint64_t x = rnd(&r, UINT64_MAX) ^ rnd(&r, UINT64_MAX) << 1;
			v[i] = bits == 0 ? 7 : x >> (64 - bits);
			t[i] = (int64_t)(bits % 4 == 0 ? x : (x >> (64 - (bits ? bits : 1))) / 1000000 * 1000000);
		}
		buf_clear(&b);
		pack_u64(&b, v, n);
		struct str in = buf_view(&b);
		assert_true(unpack_u64(&in, w, n) && in.n == 0);
		assert_memory_equal(v, w, n * sizeof *v);
		for (size_t cut = 0; n && cut < b.n; cut += 1 + b.n / 20) {
			in = str_of(b.p, cut);
			assert_false(unpack_u64(&in, w, n));
		}
		buf_clear(&b);
		pack_times(&b, t, n);
		in = buf_view(&b);
		assert_true(unpack_times(&in, u, n) && in.n == 0);
		assert_memory_equal(t, u, n * sizeof *t);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_read_back),
		cmocka_unit_test(damage_is_found_and_skipped),
		cmocka_unit_test(a_cut_at_any_place_keeps_what_is_before),
		cmocka_unit_test(a_forged_record_is_not_believed),
		cmocka_unit_test(a_refused_group_is_cut_off),
		cmocka_unit_test(push_records_go_there_and_back),
		cmocka_unit_test(version_1_stays_readable),
		cmocka_unit_test(version_2_stays_readable),
		cmocka_unit_test(integers_go_there_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
