/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/server/ledger_util.h"

#include "common/units.h"
#include "server/ingest/wal.h"

static size_t names_in(const char *dir)
{
	struct fs_list l;
	struct err e = ERR_INIT;
	if (!fs_list(dir, &l, &e)) return 0;
	size_t n = l.n;
	fs_list_free(&l);
	return n;
}

/* ---- the plain road ---- */

static void acknowledged_is_visible_and_survives(void **state)
{
	struct place p;
	struct ledger l;
	(void)state;
	place_init(&p);
	ledger_init(&l, TENANT);
	place_open(&p);
	MUST(ledger_push(&l, p.in, 0, 100, must));
	ledger_check(&l, p.st);
	struct ingest_stats s;
	ingest_stats(p.in, &s);
	assert_int_equal(s.streams, 2);
	assert_int_equal(s.streams_created, 2);
	assert_int_equal(s.head_entries, 100);
	assert_int_equal(s.wal_records, 1);
	assert_true(s.wal_syncs == 1 && s.wal_bytes > 100);
	assert_int_equal(ingest_tenant_streams(p.in, STR(TENANT)), 2);
	place_close(&p, false);
	place_open(&p);
	ledger_check(&l, p.st);
	MUST(ledger_push(&l, p.in, 100, 50, must));
	MUST(ingest_flush(p.in, must));
	ledger_check(&l, p.st);
	ingest_stats(p.in, &s);
	assert_int_equal(s.head_entries, 0);
	assert_int_equal(s.streams, 0);
	assert_int_equal(s.flushed_entries, 150);
	assert_int_equal(names_in(p.wal), 0); /* covered: gone */
	place_close(&p, true);
	place_open(&p);
	ledger_check(&l, p.st);
	place_fini(&p);
	ledger_free(&l);
}

static void tenants_do_not_see_each_other(void **state)
{
	struct place p;
	(void)state;
	place_init(&p);
	place_open(&p);
	char dots[151] = "", marks[151] = ""; /* as long as a name may be, and longer when escaped */
	memset(dots, '.', 150);
	memset(marks, '!', 150);
	const char *const names[] = {"a", "b", "../b", "A%2F", dots, marks};
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT(names); i++)
			MUST(push_numbers(p.in, names[i], (size_t)round * 10, i + 1, 5, must));
		for (size_t i = 0; i < COUNT(names); i++)
			assert_int_equal(count_rows(p.st, names[i]), (size_t)(round + 1) * (i + 1));
		MUST(ingest_flush(p.in, must));
		place_close(&p, false);
		place_open(&p);
	}
	for (size_t i = 0; i < COUNT(names); i++) assert_int_equal(count_rows(p.st, names[i]), 2 * (i + 1));
	assert_int_equal(count_rows(p.st, "c"), 0);
	place_fini(&p);
}

static void a_second_process_is_refused(void **state)
{
	struct place p;
	struct err e = ERR_INIT;
	(void)state;
	place_init(&p);
	place_open(&p);
	struct store_config c = {.dir = p.dir, .fs = &fs_real, .clock = &p.clock.base};
	assert_null(store_open(&c, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	assert_non_null(strstr(e.msg, p.dir));
	place_fini(&p);
}

/* ---- limits ---- */

static uint64_t one_stream(void *ud, struct str tenant)
{
	(void)ud;
	return str_eqc(tenant, "x");
}

static void too_many_streams_are_refused(void **state)
{
	struct place p;
	struct err e;
	(void)state;
	place_init(&p);
	p.c.max_streams = one_stream;
	place_open(&p);
	assert_false(push_numbers(p.in, "x", 0, 2, 5, &e));
	assert_int_equal(e.code, ERR_RATE);
	assert_int_equal(count_rows(p.st, "x"), 0);
	p.c.max_streams = NULL;
	place_close(&p, false);
	place_open(&p);
	MUST(push_numbers(p.in, "x", 0, 2, 5, must));
	place_fini(&p);
}

static void full_heads_refuse_and_recover(void **state)
{
	struct place p;
	struct err e;
	(void)state;
	place_init(&p);
	p.heads.limit = 1u << 20;
	place_open(&p);
	assert_false(push_numbers(p.in, TENANT, 0, 20000, 100, &e)); /* larger than all of the budget */
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(e.msg, "larch.memory_limit"));
	size_t next = 0;
	for (int i = 0; i < 200; i++) { /* five times the budget: some are refused until a flush has made room */
		for (int k = 0; !push_numbers(p.in, TENANT, next, 100, 200, &e); k++) {
			assert_int_equal(e.code, ERR_UNAVAILABLE);
			if (k > 10000) fail_msg("no room is made: %s", e.msg);
			usleep(1000);
		}
		next += 100;
	}
	assert_int_equal(count_rows(p.st, TENANT), next);
	place_fini(&p);
}

static void generations_are_flushed_by_age_and_idleness(void **state)
{
	struct place p;
	struct ingest_stats s;
	(void)state;
	for (int idle = 0; idle < 2; idle++) {
		place_init(&p);
		if (idle)
			p.c.flush_idle_ns = UNITS_HOUR;
		else
			p.c.flush_age_ns = UNITS_HOUR;
		place_open(&p);
		MUST(push_numbers(p.in, TENANT, 0, 10, 5, must));
		clock_fake_step(&p.clock, UNITS_HOUR / 2);
		MUST(push_numbers(p.in, TENANT, 10, 10, 5, must));
		ingest_stats(p.in, &s);
		assert_int_equal(s.flushes, 0);
		clock_fake_step(&p.clock, UNITS_HOUR / 2 + UNITS_SEC);
		for (int i = 0; idle && i < 1200; i++) usleep(1000); /* only half an hour idle: nothing may happen */
		ingest_stats(p.in, &s);
		if (idle) assert_int_equal(s.flushes, 0);
		clock_fake_step(&p.clock, UNITS_HOUR / 2);
		for (int i = 0; s.flushes == 0; i++) {
			if (i > 30000) fail_msg("not flushed");
			usleep(1000);
			ingest_stats(p.in, &s);
		}
		assert_int_equal(s.flushed_entries, 20);
		place_fini(&p);
	}
}

static void sync_modes_keep_entries(void **state)
{
	(void)state;
	for (int mode = INGEST_SYNC_GROUP; mode <= INGEST_SYNC_NONE; mode++) {
		struct place p;
		struct ledger l;
		place_init(&p);
		ledger_init(&l, TENANT);
		p.c.sync = (enum ingest_sync)mode;
		p.c.sync_interval_ns = UNITS_MS;
		place_open(&p);
		for (size_t i = 0; i < 5; i++) MUST(ledger_push(&l, p.in, 10 * i, 10, must));
		place_close(&p, false);
		place_open(&p);
		ledger_check(&l, p.st);
		place_fini(&p);
		ledger_free(&l);
	}
}

/* A full file is synced before the next one takes its place, whenever the interval ends. */
static void a_full_log_file_is_synced(void **state)
{
	struct place p;
	struct ingest_stats s;
	(void)state;
	place_init(&p);
	p.c.sync = INGEST_SYNC_INTERVAL;
	p.c.sync_interval_ns = UNITS_DAY;
	p.c.segment_bytes = 1;
	place_open(&p);
	for (size_t i = 0; i < 3; i++) MUST(push_numbers(p.in, TENANT, 10 * i, 10, 5, must));
	ingest_stats(p.in, &s);
	assert_int_equal(names_in(p.wal), 3);
	assert_int_equal(s.wal_syncs, 2);
	place_fini(&p);
}

/* ---- crashes ---- */

struct load {
	struct place *p;
	struct ledger *l;
	_Atomic bool stop;
	_Atomic size_t next, limit; /* entries */
};

static void *push_load(void *ud)
{
	struct load *w = ud;
	struct err e;
	struct rnd r = {(uint64_t)(uintptr_t)&e};
	while (!w->stop) {
		if (w->next >= w->limit) {
			usleep(200);
			continue;
		}
		size_t n = 1 + (size_t)rnd(&r, 30), first = atomic_fetch_add(&w->next, n);
		ledger_push(w->l, w->p->in, first, n, &e);
	}
	return NULL;
}

static void *flush_load(void *ud)
{
	struct load *w = ud;
	struct err e = ERR_INIT;
	while (!w->stop) {
		ingest_flush(w->p->in, &e);
		usleep(2000);
	}
	return NULL;
}

/* The log first, then catalogs before segments: later states of what is copied later only add to it. */
static void copy_place(const struct place *from, const char *to)
{
	struct buf a = {0}, b = {0};
	mkdir(to, 0700);
	for (int i = 0; i < 2; i++) {
		fs_path(&a, from->dir, i ? "store" : "wal");
		fs_path(&b, to, i ? "store" : "wal");
		copy_tree(a.p, b.p);
	}
	buf_free(&a);
	buf_free(&b);
}

static void a_crash_at_any_moment_loses_nothing(void **state)
{
	struct place p, copy;
	struct ledger l, then;
	struct load w = {.p = &p, .l = &l};
	pthread_t t[3];
	(void)state;
	place_init(&p);
	ledger_init(&l, TENANT);
	ledger_init(&then, TENANT);
	place_open(&p);
	pthread_create(&t[0], NULL, push_load, &w);
	pthread_create(&t[1], NULL, push_load, &w);
	pthread_create(&t[2], NULL, flush_load, &w);
	for (int round = 0; round < 12; round++) {
		w.limit = w.next + 1500;
		usleep(500 + 400 * (useconds_t)round);
		place_init(&copy);
		rmdir(copy.dir);
		pthread_mutex_lock(&l.mu); /* what is acknowledged before the copy begins must be in it */
		then.state = mem_realloc(then.state, l.n + 1);
		if (l.n) memcpy(then.state, l.state, l.n);
		then.n = l.n;
		pthread_mutex_unlock(&l.mu);
		copy_place(&p, copy.dir);
		pthread_mutex_lock(&l.mu); /* what came later may be in it */
		then.state = mem_realloc(then.state, l.n + 1);
		for (size_t i = then.n; i < l.n; i++) then.state[i] = l.state[i] ? 1 : 0;
		for (size_t i = 0; i < then.n; i++) then.state[i] = then.state[i] ? then.state[i] : l.state[i] ? 1 : 0;
		then.n = l.n;
		pthread_mutex_unlock(&l.mu);
		place_open(&copy);
		ledger_check(&then, copy.st);
		if (round % 3 == 0) { /* and once more after a flush of what was replayed */
			place_close(&copy, true);
			place_open(&copy);
			ledger_check(&then, copy.st);
		}
		place_fini(&copy);
	}
	w.stop = true;
	for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
	ledger_check(&l, p.st);
	place_fini(&p);
	ledger_free(&l);
	ledger_free(&then);
}

static void newest_wal(const struct place *p, struct buf *path)
{
	struct wal_file *f;
	uint64_t *v;
	size_t n;
	MUST(wal_files(p->wal, &v, &n, must));
	assert_true(n > 0);
	f = wal_file_new(&fs_real, p->wal, v[n - 1]);
	f->keep = true;
	buf_clear(path);
	buf_c(path, f->path);
	buf_cstr(path);
	wal_file_unref(f);
	free(v);
}

static void a_torn_tail_is_cut(void **state)
{
	struct place p;
	struct ledger l;
	struct buf path = {0};
	struct stat st;
	(void)state;
	place_init(&p);
	ledger_init(&l, TENANT);
	place_open(&p);
	for (size_t i = 0; i < 3; i++) MUST(ledger_push(&l, p.in, 10 * i, 10, must));
	place_close(&p, false);
	newest_wal(&p, &path);
	assert_int_equal(stat(path.p, &st), 0);
	assert_int_equal(truncate(path.p, st.st_size - 7), 0);
	memset(l.state + 20, 1, 10);
	for (int i = 0; i < 2; i++) { /* the second time the file is not the newest */
		place_open(&p);
		ledger_check(&l, p.st);
		assert_int_equal(count_rows(p.st, TENANT), 20 + i);
		struct ingest_stats s;
		ingest_stats(p.in, &s);
		assert_int_equal(s.wal_corrupt_records, 0);
		if (i == 0) MUST(ledger_push(&l, p.in, 40, 1, must));
		place_close(&p, false);
	}
	place_fini(&p);
	buf_free(&path);
	ledger_free(&l);
}

static void flip(const char *path, off_t at)
{
	FILE *f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, at, SEEK_SET);
	int c = fgetc(f);
	fseek(f, at, SEEK_SET);
	fputc(c ^ 0x10, f);
	fclose(f);
}

static void a_damaged_record_is_set_aside(void **state)
{
	(void)state;
	for (int where = 0; where < 3; where++) { /* payload, record header, file header */
		struct place p;
		struct ledger l;
		struct buf path = {0}, q = {0};
		struct stat st;
		struct ingest_stats s;
		place_init(&p);
		ledger_init(&l, TENANT);
		place_open(&p);
		MUST(ledger_push(&l, p.in, 0, 10, must));
		newest_wal(&p, &path);
		assert_int_equal(stat(path.p, &st), 0);
		for (size_t i = 1; i < 4; i++) MUST(ledger_push(&l, p.in, 10 * i, 10, must));
		place_close(&p, false);
		flip(path.p, where == 0 ? st.st_size + 60 : where == 1 ? st.st_size + 20 : 17);
		if (where < 2) memset(l.state + 10, 1, 10);
		place_open(&p);
		ledger_check(&l, p.st);
		assert_int_equal(count_rows(p.st, TENANT), where < 2 ? 30 : 40);
		ingest_stats(p.in, &s);
		assert_int_equal(s.wal_corrupt_records, where < 2 ? 1 : 0);
		fs_path(&q, p.wal, "quarantine");
		assert_int_equal(names_in(q.p), where < 2 ? 1 : 0);
		place_fini(&p);
		buf_free(&path);
		buf_free(&q);
		ledger_free(&l);
	}
}

/* Numbers of log files come again; what was set aside of an earlier one stays. */
static void what_is_set_aside_is_never_replaced(void **state)
{
	struct place p;
	struct buf path = {0}, q = {0};
	(void)state;
	place_init(&p);
	fs_path(&q, p.wal, "quarantine");
	for (size_t i = 0; i < 3; i++) {
		place_open(&p);
		MUST(push_numbers(p.in, TENANT, 100 * i, 10, 5, must));
		place_close(&p, false);
		newest_wal(&p, &path);
		flip(path.p, 100);
		for (int again = 0; again < 2; again++) { /* the file is met again after a crash: no second copy */
			struct buf kept = {0};
			MUST(fs_read_file(&fs_real, path.p, 1 << 20, &kept, must));
			place_open(&p);
			assert_int_equal(names_in(q.p), i + 1);
			place_close(&p, true);
			if (again == 0) put_file(path.p, buf_view(&kept));
			buf_free(&kept);
		}
	}
	place_fini(&p);
	buf_free(&path);
	buf_free(&q);
}

static void a_log_larger_than_memory_replays(void **state)
{
	struct place p;
	(void)state;
	place_init(&p);
	p.c.flush_bytes = UINT64_MAX;
	place_open(&p);
	for (size_t i = 0; i < 40; i++) MUST(push_numbers(p.in, TENANT, 1000 * i, 1000, 300, must));
	place_close(&p, false);
	p.heads.limit = 1u << 20; /* the log is some 12 MiB */
	p.c.flush_bytes = 0;
	place_open(&p);
	assert_int_equal(count_rows(p.st, TENANT), 40000);
	struct ingest_stats s;
	ingest_stats(p.in, &s);
	assert_true(s.segments_written > 10);
	place_fini(&p);
}

/* ---- faults ---- */

static void a_full_disk_refuses_until_there_is_space(void **state)
{
	struct place p;
	struct ledger l;
	struct err e;
	struct fs_fault f;
	(void)state;
	place_init(&p);
	ledger_init(&l, TENANT);
	fs_fault_init(&f, quick_fs());
	f.ops = FS_OP_WRITE;
	f.count = -1;
	f.error = 28;
	p.fs = &f.base;
	place_open(&p);
	MUST(ledger_push(&l, p.in, 0, 5, must));
	f.sticky = true;
	f.count = 1;
	for (size_t i = 1; i < 4; i++) {
		assert_false(ledger_push(&l, p.in, 5 * i, 5, &e));
		assert_int_equal(e.code, ERR_NO_SPACE);
		assert_non_null(strstr(e.msg, "no space"));
		ledger_check(&l, p.st);
	}
	assert_false(ingest_flush(p.in, &e));
	f.sticky = false;
	f.count = -1;
	MUST(ledger_push(&l, p.in, 20, 5, must));
	MUST(ingest_flush(p.in, must));
	ledger_check(&l, p.st);
	place_fini(&p);
	ledger_free(&l);
}

struct small_disk {
	struct fs base; /* first */
	_Atomic uint64_t avail;
};

static int space_of(struct fs *fs, const char *path, struct fs_space *out)
{
	(void)path;
	*out = (struct fs_space){UINT64_C(1) << 40, ((struct small_disk *)fs)->avail};
	return 0;
}

/* Below the reserve nothing is taken, but what is there is answered and flushed; then all goes on by itself. */
static void a_reserve_of_the_disk_is_kept(void **state)
{
	struct place p;
	struct ledger l;
	struct err e;
	struct small_disk d = {.base = *quick_fs(), .avail = 50u << 20};
	struct ingest_stats s;
	(void)state;
	place_init(&p);
	ledger_init(&l, TENANT);
	d.base.space = space_of;
	p.fs = &d.base;
	p.c.disk_reserve = 10u << 20;
	place_open(&p);
	MUST(ledger_push(&l, p.in, 0, 5, must));
	d.avail = 10u << 20;
	clock_fake_step(&p.clock, UNITS_SEC);
	assert_false(ledger_push(&l, p.in, 5, 5, &e));
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_non_null(strstr(e.msg, p.dir));
	ledger_check(&l, p.st);
	for (int i = 0; ingest_stats(p.in, &s), s.flushes == 0; i++) { /* segments are smaller than the log */
		if (i > 30000) fail_msg("a low disk makes no flush");
		usleep(1000);
	}
	assert_int_equal(names_in(p.wal), 0);
	place_close(&p, false);
	place_open(&p); /* starts on a full disk, too */
	assert_false(ledger_push(&l, p.in, 10, 5, &e));
	ingest_stats(p.in, &s);
	assert_true(s.disk_refused == 1 && s.disk_free == 10u << 20 && s.disk_reserve == 10u << 20);
	d.avail = 20u << 20;
	clock_fake_step(&p.clock, UNITS_SEC);
	MUST(ledger_push(&l, p.in, 15, 5, must));
	ledger_check(&l, p.st);
	place_fini(&p);
	ledger_free(&l);
}

/* Segments that a failed attempt has written are not written again. */
static void a_flush_goes_on_where_it_failed(void **state)
{
	struct place p;
	struct err e = ERR_INIT;
	struct fs_fault f;
	struct buf segments = {0};
	(void)state;
	place_init(&p);
	fs_fault_init(&f, quick_fs());
	f.ops = FS_OP_LINK;
	f.count = -1;
	f.error = 28;
	p.fs = &f.base;
	place_open(&p);
	MUST(push_numbers(p.in, TENANT, 0, 4, 5, must));
	MUST(push_numbers(p.in, TENANT, UNITS_DAY, 4, 5, must));
	f.count = 2; /* the second day's segment */
	if (!ingest_flush(p.in, &e)) MUST(ingest_flush(p.in, must));
	struct ingest_stats s;
	ingest_stats(p.in, &s);
	assert_int_equal(s.flush_failures, 1);
	fs_path(&segments, p.dir, "store/" TENANT "/segments");
	assert_int_equal(names_in(segments.p), 2);
	assert_int_equal(s.flushed_entries, 8);
	place_fini(&p);
	buf_free(&segments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged_is_visible_and_survives),
		cmocka_unit_test(tenants_do_not_see_each_other),
		cmocka_unit_test(a_second_process_is_refused),
		cmocka_unit_test(too_many_streams_are_refused),
		cmocka_unit_test(full_heads_refuse_and_recover),
		cmocka_unit_test(generations_are_flushed_by_age_and_idleness),
		cmocka_unit_test(sync_modes_keep_entries),
		cmocka_unit_test(a_full_log_file_is_synced),
		cmocka_unit_test(a_crash_at_any_moment_loses_nothing),
		cmocka_unit_test(a_torn_tail_is_cut),
		cmocka_unit_test(a_damaged_record_is_set_aside),
		cmocka_unit_test(what_is_set_aside_is_never_replaced),
		cmocka_unit_test(a_log_larger_than_memory_replays),
		cmocka_unit_test(a_full_disk_refuses_until_there_is_space),
		cmocka_unit_test(a_reserve_of_the_disk_is_kept),
		cmocka_unit_test(a_flush_goes_on_where_it_failed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
