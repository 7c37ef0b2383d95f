/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/watch.h"

#include "common/buf.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE INT64_C(60000000000)
#define STEP     INT64_C(10000000)

struct world {
	struct loop *loop;
	struct watch *watch;
	char dir[64], path[96];
	size_t changed, names;
};

static void on_changed(void *ud, struct str path)
{
	struct world *w = ud;

	w->changed += str_eqc(path, w->path);
}

static void on_names(void *ud) { ((struct world *)ud)->names++; }
static void on_overflow(void *ud) { (void)ud; }

static void append(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x\n", 2), 2);
	close(fd);
}

static void wait_until(struct world *w, const size_t *counter, size_t at_least)
{
	int64_t end = clock_mono(&clock_real) + DEADLINE;

	while (*counter < at_least && clock_mono(&clock_real) < end) loop_step(w->loop, STEP);
	assert_true(*counter >= at_least);
}

static void tells_what_happens_in_directories(void **state)
{
	(void)state;
	struct world w = {.dir = "/tmp/test_watch.XXXXXX"};
	struct watch_fns fns = {on_changed, on_names, on_overflow, &w};
	struct err e = ERR_INIT;
	char sub[80], moved[128];

	assert_non_null(mkdtemp(w.dir));
	snprintf(w.path, sizeof w.path, "%s/a.log", w.dir);
	snprintf(moved, sizeof moved, "%s.1", w.path);
	w.loop = loop_new(&clock_real, &e);
	w.watch = watch_new(w.loop, &fns, &e);
	assert_non_null(w.watch);
	assert_true(watch_dir(w.watch, w.dir));
	assert_true(watch_dir(w.watch, w.dir));
	wait_until(&w, &w.names, 1); /* the watch stands: look once */

	append(w.path);
	wait_until(&w, &w.changed, 1);
	size_t before = w.changed;
	append(w.path);
	wait_until(&w, &w.changed, before + 1);
	before = w.names;
	assert_int_equal(rename(w.path, moved), 0);
	wait_until(&w, &w.names, before + 1);

	/* A directory that goes and comes back can be watched again, once its end has been heard of. */
	snprintf(sub, sizeof sub, "%s/sub", w.dir);
	snprintf(w.path, sizeof w.path, "%s/b.log", sub);
	for (int i = 0; i < 2; i++) {
		int64_t end = clock_mono(&clock_real) + DEADLINE;
		assert_int_equal(mkdir(sub, 0700), 0);
		for (before = w.changed; w.changed == before && clock_mono(&clock_real) < end;
		     loop_step(w.loop, STEP)) {
			assert_true(watch_dir(w.watch, sub));
			append(w.path);
		}
		assert_true(w.changed > before);
		assert_int_equal(unlink(w.path), 0);
		assert_int_equal(rmdir(sub), 0);
	}
	watch_free(w.watch);
	loop_free(w.loop);
	unlink(moved);
	assert_int_equal(rmdir(w.dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(tells_what_happens_in_directories)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
