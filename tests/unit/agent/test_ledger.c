/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ledger.h"

#include "common/buf.h"
#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[96];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/test_ledger.XXXXXX");
	log_set_level(LOG_LEVEL_ERROR); /* the damage is made on purpose */
	if (!mkdtemp(dir)) return -1;
	snprintf(path, sizeof path, "%s/l", dir);
	return 0;
}

static int drop_dir(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	fs_unlink(&fs_real, path, &e);
	return rmdir(dir);
}

static struct ledger_file *fill(struct ledger *l, uint64_t id)
{
	struct ledger_file *f = ledger_add(l, id, "/var/log/a.log");

	f->dev = 1;
	f->ino = 22;
	f->target = 333;
	f->head = (struct print){100, 4444};
	f->yaml = 5;
	ledger_set_cursor(f, "one", 10);
	ledger_set_cursor(f, "two", 7);
	return f;
}

static struct ledger_file *only(struct ledger *l)
{
	size_t n;
	struct ledger_file **v = ledger_files(l, &n);

	assert_int_equal(n, 1);
	return v[0];
}

static void stamps_survive_a_crash(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct ledger *l = ledger_open(&fs_real, path, &e);
	struct ledger_file *f = fill(l, 9);
	int64_t next;

	ledger_stamp(l, f, &(struct chunk){0, 50, 1000});
	ledger_stamp(l, f, &(struct chunk){50, 90, 2000});
	assert_true(ledger_sync(l, &e));
	ledger_stamp(l, f, &(struct chunk){90, 95, 3000}); /* never synced */
	ledger_free(l);

	l = ledger_open(&fs_real, path, &e);
	assert_non_null(l);
	f = only(l);
	assert_string_equal(f->path, "/var/log/a.log");
	assert_int_equal(f->ino, 22);
	assert_int_equal(f->head.hash, 4444);
	assert_int_equal(ledger_slowest(f), 7);
	assert_int_equal(ledger_cursor(f, "one"), 10);
	assert_int_equal(f->nchunks, 2);
	assert_int_equal(ledger_chunk_at(f, 49, &next)->base, 1000);
	assert_int_equal(ledger_chunk_at(f, 50, &next)->base, 2000);
	assert_null(ledger_chunk_at(f, 90, &next));
	assert_true(next == INT64_MAX);
	assert_int_equal(f->last, 2040);
	ledger_free(l);
}

/* Somebody set the position back: what lies before the chunks is stamped after them. */
static void earlier_chunks_may_come_later(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct ledger *l = ledger_open(&fs_real, path, &e);
	struct ledger_file *f = fill(l, 9);
	int64_t next;

	ledger_stamp(l, f, &(struct chunk){50, 90, 1000});
	ledger_stamp(l, f, &(struct chunk){0, 50, 2000});
	ledger_stamp(l, f, &(struct chunk){90, 95, 3000});
	for (int i = 0; i < 3; i++) { /* as stamped, as logged, as in a snapshot */
		assert_int_equal(f->nchunks, 3);
		assert_int_equal(ledger_chunk_at(f, 49, &next)->base, 2000);
		assert_int_equal(ledger_chunk_at(f, 50, &next)->base, 1000);
		assert_int_equal(ledger_chunk_at(f, 94, &next)->base, 3000);
		assert_true(i ? ledger_save(l, &e) : ledger_sync(l, &e));
		ledger_free(l);
		l = ledger_open(&fs_real, path, &e);
		assert_non_null(l);
		f = only(l);
	}
	ledger_free(l);
}

static void snapshot_keeps_what_is_owed(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct ledger *l = ledger_open(&fs_real, path, &e);
	struct ledger_file *f = fill(l, 9);
	int64_t next;

	ledger_stamp(l, f, &(struct chunk){0, 50, 1000});
	ledger_stamp(l, f, &(struct chunk){60, 90, 2000});
	assert_true(ledger_sync(l, &e));
	assert_true(ledger_appended(l) > 0);
	ledger_drop_chunks(f, 50);
	ledger_set_cursor(f, "two", 55);
	assert_true(ledger_save(l, &e));
	assert_int_equal(ledger_appended(l), 0);
	ledger_stamp(l, f, &(struct chunk){90, 91, 4000});
	assert_true(ledger_sync(l, &e));
	ledger_free(l);

	l = ledger_open(&fs_real, path, &e);
	f = only(l);
	assert_int_equal(f->nchunks, 2);
	assert_null(ledger_chunk_at(f, 55, &next));
	assert_int_equal(next, 60);
	assert_int_equal(ledger_cursor(f, "two"), 55);
	ledger_forget(l, f);
	assert_true(ledger_save(l, &e));
	ledger_free(l);
	l = ledger_open(&fs_real, path, &e);
	size_t n;
	ledger_files(l, &n);
	assert_int_equal(n, 0);
	ledger_free(l);
}

/* A log cut or damaged at any byte gives a prefix of what was written, and goes on from there. */
static void damage_costs_only_the_end(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct buf whole = {0};
	struct ledger *l = ledger_open(&fs_real, path, &e);
	struct ledger_file *f = fill(l, 9);

	for (int i = 0; i < 20; i++) ledger_stamp(l, f, &(struct chunk){i * 10, i * 10 + 10, i * 1000});
	assert_true(ledger_sync(l, &e));
	ledger_free(l);
	assert_true(fs_read_file(&fs_real, path, 1 << 20, &whole, &e));
	for (size_t at = 12; at < whole.n; at++) {
		for (int flip = 0; flip < 2; flip++) {
			struct buf b = {0};
			buf_add(&b, whole.p, flip ? whole.n : at);
			if (flip) b.p[at] ^= 0x40;
			l = ledger_new(&fs_real, path);
			assert_true(ledger_parse(l, buf_view(&b), &e));
			size_t n;
			struct ledger_file **v = ledger_files(l, &n);
			assert_true(n <= 1);
			for (size_t i = 0; n && i < v[0]->nchunks; i++)
				assert_int_equal(v[0]->chunks[i].base, i * 1000);
			buf_free(&b);
			ledger_free(l);
		}
	}
	buf_free(&whole);
}

static void foreign_files_are_refused(void **state)
{
	(void)state;
	struct err e = ERR_INIT;

	assert_true(fs_replace(&fs_real, path, STR("positions: {}\n"), 0600, &e));
	assert_null(ledger_open(&fs_real, path, &e));
	assert_true(fs_replace(&fs_real, path, STR("larchldg\x63\0\0\0"), 0600, &e));
	assert_null(ledger_open(&fs_real, path, &e));
	assert_non_null(strstr(e.msg, "version 99"));
}

/* After a failed write the next sync writes everything anew. */
static void failures_heal(void **state)
{
	(void)state;
	for (int op = 0; op < 2; op++) {
		struct err e = ERR_INIT;
		struct fs_fault fault;
		fs_fault_init(&fault, &fs_real);
		struct ledger *l = ledger_open(&fault.base, path, &e);
		struct ledger_file *f = fill(l, 9);
		ledger_stamp(l, f, &(struct chunk){0, 50, 1000});
		assert_true(ledger_sync(l, &e));
		ledger_stamp(l, f, &(struct chunk){50, 60, 2000});
		fault.seen = 0;
		fault.ops = op ? FS_OP_SYNC : FS_OP_WRITE;
		fault.count = 1;
		fault.error = op ? 5 : 0; /* 0: half of the bytes, then a full disk */
		assert_false(ledger_sync(l, &e));
		fault.count = -1;
		ledger_stamp(l, f, &(struct chunk){60, 70, 3000});
		assert_true(ledger_sync(l, &e));
		ledger_free(l);
		l = ledger_open(&fs_real, path, &e);
		assert_int_equal(only(l)->nchunks, 3);
		ledger_free(l);
		assert_true(fs_unlink(&fs_real, path, &e));
	}
}

/* A clock that was days ahead and is right again. */
static void stamps_return_from_the_future(void **state)
{
	const int64_t day = INT64_C(86400) * 1000000000, now = 20000 * day;
	struct err e = ERR_INIT;
	struct ledger *l = ledger_open(&fs_real, path, &e);
	struct ledger_file *a = ledger_add(l, 1, "/a.log"), *b = ledger_add(l, 2, "/b.log");
	(void)state;
	ledger_stamp(l, a, &(struct chunk){0, 500, now + day});
	assert_int_equal(ledger_next_base(l, now + day - 1), now + day + 501); /* a small step back */
	assert_int_equal(ledger_next_base(l, now), now);
	ledger_stamp(l, b, &(struct chunk){0, 500, now});
	assert_int_equal(ledger_next_base(l, now + 1), now + 501);
	assert_true(ledger_save(l, &e));
	ledger_free(l);
	l = ledger_open(&fs_real, path, &e);
	assert_int_equal(ledger_next_base(l, now + 1000), now + 1000);
	ledger_free(l);
}

static void stamps_are_given_once_over_all_files(void **state)
{
	struct ledger *l = ledger_new(&fs_real, path);
	struct ledger_file *rotated = ledger_add(l, 1, "/a.log"), *fresh = ledger_add(l, 2, "/a.log");
	(void)state;
	assert_int_equal(ledger_next_base(l, 1000), 1000);
	ledger_stamp(l, rotated, &(struct chunk){0, 500, 1000});
	assert_int_equal(ledger_next_base(l, 1200), 1501);
	ledger_stamp(l, fresh, &(struct chunk){0, 10, 1501});
	assert_int_equal(ledger_next_base(l, 1200), 1512);
	assert_int_equal(ledger_next_base(l, 9000), 9000);
	ledger_free(l);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		T(stamps_survive_a_crash),
		T(earlier_chunks_may_come_later),
		T(snapshot_keeps_what_is_owed),
		T(damage_costs_only_the_end),
		T(foreign_files_are_refused),
		T(failures_heal),
		T(stamps_are_given_once_over_all_files),
		T(stamps_return_from_the_future),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
