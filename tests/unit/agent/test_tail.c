/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/tail.h"

#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define START INT64_C(1700000000000000000)

static const char *const clients[] = {"one", "two"};

struct world {
	char dir[64], path[96], ledger_path[96];
	struct clock_fake clock;
	struct ledger *ledger;
	struct tail *tail;
	struct tail_buf rb;
	struct arena arena;
	struct batch batch;
};

static void append(struct world *w, const char *text)
{
	FILE *f = fopen(w->path, "a");

	fputs(text, f);
	fclose(f);
}

static void start(struct world *w, struct ledger_file *f)
{
	const struct labels none = {0};
	int fd = open(w->path, O_RDONLY);

	w->tail = tail_new(w->ledger, f, fd, &none, clients, 2);
}

static int setup(void **state)
{
	struct world *w = mem_zalloc(sizeof *w);
	struct err e = ERR_INIT;

	*state = w;
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(w->dir, sizeof w->dir, "/tmp/test_tail.XXXXXX");
	if (!mkdtemp(w->dir)) return -1;
	snprintf(w->path, sizeof w->path, "%s/a.log", w->dir);
	snprintf(w->ledger_path, sizeof w->ledger_path, "%s/ledger", w->dir);
	clock_fake_init(&w->clock, START, 1);
	arena_init(&w->arena, 0);
	append(w, "");
	w->ledger = ledger_open(&fs_real, w->ledger_path, &e);
	start(w, ledger_add(w->ledger, 1, w->path));
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	tail_free(w->tail);
	ledger_free(w->ledger);
	arena_free(&w->arena);
	free(w->rb.p);
	unlink(w->path);
	unlink(w->ledger_path);
	int rc = rmdir(w->dir);
	free(w);
	return rc;
}

static enum tail_result read_some(struct world *w, bool finished)
{
	struct err e = ERR_INIT;

	arena_reset(&w->arena);
	w->batch = (struct batch){.arena = &w->arena};
	return tail_read(w->tail, &w->rb, &w->clock.base, finished, &w->batch, &e);
}

/* As after a crash: everything but the synced ledger is gone. */
static void crash(struct world *w)
{
	struct err e = ERR_INIT;
	size_t n;

	tail_free(w->tail);
	ledger_free(w->ledger);
	w->ledger = ledger_open(&fs_real, w->ledger_path, &e);
	struct ledger_file **v = ledger_files(w->ledger, &n);
	assert_int_equal(n, 1);
	start(w, v[0]);
}

static void lines_and_stamps(void **state)
{
	struct world *w = *state;

	append(w, "one\n\nthree\r\nfo");
	assert_int_equal(read_some(w, false), TAIL_IDLE);
	assert_int_equal(w->batch.n, 3);
	assert_true(str_eqc(w->batch.v[0].line, "one"));
	assert_true(str_eqc(w->batch.v[1].line, ""));
	assert_true(str_eqc(w->batch.v[2].line, "three\r"));
	assert_true(w->batch.v[0].ts == START && w->batch.v[1].ts == START + 4 && w->batch.v[2].ts == START + 5);
	assert_true(str_eqc(labels_get(&w->batch.v[0].labels, STR("filename")), w->path));
	assert_int_equal(read_some(w, false), TAIL_IDLE);
	assert_int_equal(w->batch.n, 0);
	append(w, "ur\n");
	assert_int_equal(read_some(w, false), TAIL_IDLE);
	assert_true(str_eqc(w->batch.v[0].line, "four"));
	assert_true(w->batch.v[0].ts > START + 12); /* the clock stood still; stamps do not */
	append(w, "last");
	assert_int_equal(read_some(w, true), TAIL_IDLE);
	assert_true(str_eqc(w->batch.v[0].line, "last"));
	assert_int_equal(read_some(w, true), TAIL_IDLE);
	assert_int_equal(w->batch.n, 0);
}

static void unacknowledged_lines_get_the_same_stamps(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	append(w, "same\nsame\nsame\n");
	read_some(w, false);
	acks_done(&w->tail->acks, 0, 0, 2);
	acks_done(&w->tail->acks, 1, 0, 1);
	assert_true(tail_save(w->tail, clients));
	assert_int_equal(ledger_cursor(w->tail->file, "one"), 10);
	assert_int_equal(ledger_cursor(w->tail->file, "two"), 5);
	assert_true(ledger_save(w->ledger, &e));
	clock_fake_step(&w->clock, INT64_C(1000000000));
	append(w, "more\n");
	crash(w);
	/* Read again from the slower client's cursor; the faster one is not asked again for what it has. */
	assert_int_equal(read_some(w, false), TAIL_MORE);
	assert_int_equal(w->batch.n, 2);
	assert_true(w->batch.v[0].ts == START + 5 && w->batch.v[1].ts == START + 10);
	assert_int_equal(acks_prefix(&w->tail->acks, 0), 1);
	assert_int_equal(acks_prefix(&w->tail->acks, 1), 0);
	read_some(w, false);
	assert_int_equal(w->batch.n, 1);
	assert_true(w->batch.v[0].ts == START + INT64_C(1000000000));
	acks_done_all(&w->tail->acks, 0, 3);
	assert_true(tail_save(w->tail, clients));
	assert_int_equal(ledger_slowest(w->tail->file), 20);
	assert_int_equal(w->tail->file->nchunks, 0);
}

static void gaps_hold_the_cursor(void **state)
{
	struct world *w = *state;

	append(w, "a\nbb\nccc\n");
	read_some(w, false);
	append(w, "d\n");
	read_some(w, false);
	acks_done_all(&w->tail->acks, 1, 4);
	assert_false(tail_save(w->tail, clients));
	assert_false(tail_complete(w->tail));
	acks_done_all(&w->tail->acks, 0, 1);
	assert_true(tail_save(w->tail, clients));
	assert_int_equal(ledger_slowest(w->tail->file), 11);
	assert_true(tail_complete(w->tail));
}

static void truncation_is_noticed(void **state)
{
	struct world *w = *state;

	append(w, "first\nsecond\n");
	read_some(w, false);
	assert_int_equal(truncate(w->path, 0), 0);
	assert_int_equal(read_some(w, false), TAIL_TRUNCATED);
	append(w, "other\nthings\n"); /* as long as before */
	assert_int_equal(read_some(w, false), TAIL_TRUNCATED);
	append(w, "and more\n");
	assert_int_equal(read_some(w, false), TAIL_TRUNCATED);
}

static void content_is_told_apart(void **state)
{
	struct world *w = *state;

	append(w, "first\nsecond\n");
	read_some(w, false);
	int fd = open(w->path, O_RDONLY);
	assert_true(tail_holds(w->tail, fd, 13));
	assert_false(tail_holds(w->tail, fd, 12));
	assert_false(ledger_file_holds(&(struct ledger_file){.head = {5, 1}}, fd, 13));
	w->tail->last[3] ^= 1;
	assert_false(tail_holds(w->tail, fd, 13));
	w->tail->last[3] ^= 1;
	close(fd);
}

/* A copy of what was there must be found after something longer was written over it. */
static void what_replaced_content_is_not_taken_for_it(void **state)
{
	struct world *w = *state;
	char copy[128];

	append(w, "first\nsecond\n");
	read_some(w, false);
	snprintf(copy, sizeof copy, "%s.1", w->path);
	assert_int_equal(rename(w->path, copy), 0);
	append(w, "quite other things\n");
	tail_reopen(w->tail, open(w->path, O_RDONLY));
	assert_int_equal(read_some(w, false), TAIL_TRUNCATED);
	int fd = open(copy, O_RDONLY);
	assert_true(tail_holds(w->tail, fd, 13));
	close(fd);
	unlink(copy);
}

static void removed_clients_hold_nothing(void **state)
{
	struct world *w = *state;
	struct ledger_file *f = w->tail->file;

	tail_free(w->tail);
	append(w, "first\nsecond\n");
	ledger_keep_cursors(f, NULL, 0);
	ledger_set_cursor(f, "removed", 6);
	ledger_set_cursor(f, "one", 13);
	start(w, f);
	read_some(w, false);
	assert_int_equal(w->batch.n, 1); /* "two" goes on where the slowest was */
	acks_done(&w->tail->acks, 1, 0, 1);
	assert_true(tail_save(w->tail, clients));
	assert_int_equal(ledger_slowest(f), 13);
	assert_int_equal(f->ncursors, 2);

	tail_free(w->tail);
	ledger_set_cursor(f, "removed", 0);
	f->before = (struct print){0};
	start(w, f);
	assert_int_equal(w->tail->off, 13);
	assert_int_equal(f->before.len, 13); /* so that the next start finds its place */
	assert_true(ledger_file_holds(f, w->tail->fd, 13));
}

static void overlong_lines_are_left_out(void **state)
{
	struct world *w = *state;
	enum tail_result r;
	size_t lines = 0;
	char *big = mem_alloc((1 << 20) + 1);

	memset(big, 'x', 1 << 20);
	big[1 << 20] = 0;
	append(w, "before\n");
	for (int i = 0; i < 20; i++) append(w, big);
	append(w, "\nafter\n");
	do {
		r = read_some(w, false);
		lines += w->batch.n;
		if (w->tail->skip_from >= 0) { /* in the middle: the cursor must not point into the line */
			acks_done_all(&w->tail->acks, 0, 1);
			tail_save(w->tail, clients);
			assert_int_equal(ledger_slowest(w->tail->file), 7);
		}
	} while (r == TAIL_MORE);
	assert_int_equal(lines, 2);
	assert_int_equal(w->tail->too_long, 1);
	acks_done_all(&w->tail->acks, 0, 2);
	tail_save(w->tail, clients);
	assert_int_equal(ledger_slowest(w->tail->file), 7 + 20 * (1 << 20) + 7);
	free(big);
}

/* Bytes that this process has read so far; -1: the kernel does not tell. */
static long long bytes_read(void)
{
	long long n = -1;
	FILE *f = fopen("/proc/self/io", "r");

	if (f && fscanf(f, "rchar: %lld", &n) != 1) n = -1;
	if (f) fclose(f);
	return n;
}

static void a_slowly_growing_line_is_read_twice_at_most(void **state)
{
	enum { STEPS = 64, STEP = 64 * 1024 };
	struct world *w = *state;
	char *piece = mem_alloc(STEP + 1);
	long long before = bytes_read();

	memset(piece, 'x', STEP);
	piece[STEP] = 0;
	append(w, "first\n");
	for (int i = 0; i < STEPS; i++) {
		append(w, piece);
		assert_int_equal(read_some(w, false), TAIL_IDLE);
		assert_int_equal(w->batch.n, i == 0);
	}
	long long growing = bytes_read() - before;
	append(w, "\nlast\n");
	assert_int_equal(read_some(w, false), TAIL_IDLE);
	assert_int_equal(w->batch.n, 2);
	assert_int_equal(w->batch.v[0].line.n, (size_t)STEPS * STEP);
	assert_true(str_eqc(w->batch.v[1].line, "last"));
	/* Each byte once, and what makes sure of the content; all over again it would be STEPS / 2 times as much. */
	if (before >= 0) assert_in_range(growing, 0, 2 * STEPS * STEP + STEPS * 8192);
	free(piece);
}

static void a_line_that_is_written_anew_is_read_anew(void **state)
{
	struct world *w = *state;

	append(w, "first\nhalf a li");
	assert_int_equal(read_some(w, false), TAIL_IDLE);
	assert_int_equal(read_some(w, false), TAIL_IDLE);
	assert_int_equal(truncate(w->path, 6), 0);
	append(w, "new\n");
	assert_int_equal(read_some(w, false), TAIL_IDLE);
	assert_int_equal(w->batch.n, 1);
	assert_true(str_eqc(w->batch.v[0].line, "new"));
	append(w, "the rest");
	assert_int_equal(read_some(w, false), TAIL_IDLE);
	assert_int_equal(read_some(w, true), TAIL_IDLE); /* nothing follows: it counts as it is */
	assert_true(w->batch.n == 1 && str_eqc(w->batch.v[0].line, "the rest"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(lines_and_stamps),
		T(unacknowledged_lines_get_the_same_stamps),
		T(gaps_hold_the_cursor),
		T(truncation_is_noticed),
		T(content_is_told_apart),
		T(overlong_lines_are_left_out),
		T(what_replaced_content_is_not_taken_for_it),
		T(removed_clients_hold_nothing),
		T(a_slowly_growing_line_is_read_twice_at_most),
		T(a_line_that_is_written_anew_is_read_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
