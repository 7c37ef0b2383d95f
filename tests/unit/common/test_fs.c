/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/fs.h"

#include "tests/unit/check.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct place {
	char dir[64];
	struct buf file; /* dir/file */
};

static int setup(void **state)
{
	struct place *p = mem_zalloc(sizeof *p);
	strcpy(p->dir, "/tmp/larch-fs-XXXXXX");
	if (!mkdtemp(p->dir)) return -1;
	fs_path(&p->file, p->dir, "file");
	*state = p;
	return 0;
}

static void remove_tree(const char *dir)
{
	struct fs_list names;
	struct buf path = {0};
	struct err e;
	if (fs_list(dir, &names, &e)) {
		for (size_t i = 0; i < names.n; i++) {
			fs_path(&path, dir, names.v[i]);
			if (unlink(path.p) != 0) remove_tree(path.p);
		}
		fs_list_free(&names);
	}
	buf_free(&path);
	rmdir(dir);
}

static int teardown(void **state)
{
	struct place *p = *state;
	remove_tree(p->dir);
	buf_free(&p->file);
	free(p);
	return 0;
}

#define MUST(call)                                                                                                     \
	do {                                                                                                           \
		struct err must_ = ERR_INIT;                                                                           \
		struct err *must = &must_;                                                                             \
		if (!(call)) fail_msg("%s", must->msg);                                                                \
	} while (0)

static void check_content(const char *path, const char *want)
{
	struct buf b = {0};
	MUST(fs_read_file(&fs_real, path, 1 << 20, &b, must));
	check_buf(&b, want);
	buf_free(&b);
}

static size_t names_in(const char *dir)
{
	struct fs_list l;
	MUST(fs_list(dir, &l, must));
	size_t n = l.n;
	fs_list_free(&l);
	return n;
}

static void replace_keeps_the_mode(void **state)
{
	struct place *p = *state;
	struct stat st;
	umask(022);
	MUST(fs_replace(&fs_real, p->file.p, STR("one"), 0640, must));
	check_content(p->file.p, "one");
	assert_int_equal(stat(p->file.p, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	chmod(p->file.p, 0666); /* beyond what the umask lets through */
	MUST(fs_replace(&fs_real, p->file.p, STR(""), 0600, must));
	check_content(p->file.p, "");
	assert_int_equal(stat(p->file.p, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	assert_int_equal(names_in(p->dir), 1);
}

/* Fails every operation in turn until one run meets no fault any more. */
static void every_fault_in_replace(void **state)
{
	struct place *p = *state;
	static const int errors[] = {EIO, ENOSPC, 0};
	for (size_t k = 0; k < COUNT(errors); k++) {
		bool ok = false;
		for (long nth = 1; !ok; nth++) {
			struct fs_fault f;
			struct err e = ERR_INIT;
			fs_fault_init(&f, &fs_real);
			f.ops = FS_OP_ALL & ~(unsigned)FS_OP_UNLINK;
			f.count = nth;
			f.error = errors[k];
			f.sticky = nth % 2; /* a cleanup must not need anything but unlink */
			MUST(fs_replace(&fs_real, p->file.p, STR("old"), 0644, must));
			ok = fs_replace(&f.base, p->file.p, STR("new content"), 0644, &e);
			assert_int_equal(ok, f.seen < nth);
			assert_int_equal(names_in(p->dir), 1);
			/* open, write, sync and rename come before the old content goes; the directory's open and sync
			 * after. */
			check_content(p->file.p, nth <= 4 ? "old" : "new content");
			if (ok) continue;
			assert_true(e.code == ERR_IO || e.code == ERR_NO_SPACE);
			assert_non_null(strstr(e.msg, p->dir));
			assert_true(nth <= 6);
		}
	}
}

static void faults_count_and_stick(void **state)
{
	struct place *p = *state;
	struct fs_fault f;
	struct err e = ERR_INIT;
	fs_fault_init(&f, &fs_real);
	f.ops = FS_OP_WRITE;
	int fd = fs_open(&f.base, p->file.p, O_RDWR | O_CREAT, 0600, &e);
	assert_true(fd >= 0);
	MUST(fs_write(&f.base, fd, "ab", 2, must));
	assert_int_equal(f.seen, 1);
	f.count = 2; /* the second from now */
	f.error = EIO;
	MUST(fs_write(&f.base, fd, "cd", 2, must));
	assert_false(fs_write(&f.base, fd, "ef", 2, &e));
	assert_int_equal(e.code, ERR_IO);
	MUST(fs_write(&f.base, fd, "gh", 2, must)); /* only that one */
	f.count = 1;
	f.error = 0;
	f.sticky = true;
	assert_false(fs_write(&f.base, fd, "1234", 4, &e)); /* half of it */
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_false(fs_write(&f.base, fd, "5678", 4, &e));
	check_content(p->file.p, "abcdgh1256");
	f.count = -1;
	MUST(fs_sync(&f.base, fd, must));
	MUST(fs_truncate(&f.base, fd, 3, must));
	check_content(p->file.p, "abc");
	fs_close(&f.base, fd);
}

/* Wraps fs_real with an EINTR before, and one byte in, every read and write. */
static struct fs halting;
static int halts;

static ssize_t halting_write(struct fs *fs, int fd, const void *b, size_t n)
{
	(void)fs;
	if (halts++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	return write(fd, b, n > 1 ? 1 : n);
}

static ssize_t halting_pread(struct fs *fs, int fd, void *b, size_t n, off_t off)
{
	(void)fs;
	if (halts++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	return pread(fd, b, n > 1 ? 1 : n, off);
}

static void short_and_interrupted_calls_go_on(void **state)
{
	struct place *p = *state;
	char got[8] = "";
	struct err e = ERR_INIT;
	halting = fs_real;
	halting.write = halting_write;
	halting.pread = halting_pread;
	MUST(fs_replace(&halting, p->file.p, STR("content"), 0600, must));
	check_content(p->file.p, "content");
	int fd = fs_open(&halting, p->file.p, O_RDONLY, 0, &e);
	MUST(fs_pread(&halting, fd, got, 6, 1, must));
	check_text(got, "ontent");
	assert_false(fs_pread(&halting, fd, got, 8, 0, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_non_null(strstr(e.msg, p->file.p)); /* named through its descriptor */
	fs_close(&halting, fd);
	struct buf b = {0};
	MUST(fs_read_file(&halting, p->file.p, 7, &b, must));
	check_buf(&b, "content");
	buf_free(&b);
}

static void reading_whole_files(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;
	struct buf b = {0};
	assert_false(fs_read_file(&fs_real, p->file.p, 100, &b, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	MUST(fs_replace(&fs_real, p->file.p, STR("12345"), 0600, must));
	buf_c(&b, "kept");
	assert_false(fs_read_file(&fs_real, p->file.p, 4, &b, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	check_str(buf_view(&b), STR("kept"));
	MUST(fs_read_file(&fs_real, p->file.p, 5, &b, must));
	check_buf(&b, "kept12345");
	MUST(fs_read_file(&fs_real, "/proc/self/stat", 1 << 20, &b, must)); /* says its size is 0 */
	assert_true(b.n > 0);
	assert_false(fs_read_file(&fs_real, p->dir, 100, &b, &e));
	assert_int_equal(e.code, ERR_IO);
	buf_free(&b);
}

static void directories(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;
	struct buf path = {0};
	struct stat st;
	fs_path(&path, p->dir, "a//b/c/");
	MUST(fs_mkdirs(&fs_real, path.p, 0755, must));
	MUST(fs_mkdirs(&fs_real, path.p, 0755, must));
	assert_true(stat(path.p, &st) == 0 && S_ISDIR(st.st_mode));
	MUST(fs_mkdirs(&fs_real, "/", 0755, must));
	MUST(fs_mkdirs(&fs_real, ".", 0755, must));
	MUST(fs_replace(&fs_real, p->file.p, STR("x"), 0600, must));
	fs_path(&path, p->file.p, "below");
	assert_false(fs_mkdirs(&fs_real, path.p, 0755, &e)); /* a file is in the way */
	assert_non_null(strstr(e.msg, p->file.p));
	struct fs_fault f;
	fs_fault_init(&f, &fs_real);
	f.ops = FS_OP_MKDIR | FS_OP_SYNC;
	f.error = EIO;
	fs_path(&path, p->dir, "d/e");
	for (long nth = 1; nth <= 4; nth++) {
		f.count = nth;
		assert_false(fs_mkdirs(&f.base, path.p, 0755, &e));
		fs_path(&path, p->dir, "d");
		remove_tree(path.p);
		fs_path(&path, p->dir, "d/e");
	}
	struct fs_list l;
	MUST(fs_list(p->dir, &l, must));
	assert_int_equal(l.n, 2);
	check_text(l.v[0], "a");
	check_text(l.v[1], "file");
	fs_list_free(&l);
	assert_false(fs_list(path.p, &l, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	fs_path(&path, "/", "x");
	check_text(path.p, "/x");
	buf_free(&path);
}

static void names_come_and_go(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;
	struct buf to = {0};
	fs_path(&to, p->dir, "to");
	MUST(fs_unlink(&fs_real, p->file.p, must)); /* absent is fine */
	assert_false(fs_rename(&fs_real, p->file.p, to.p, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	MUST(fs_replace(&fs_real, p->file.p, STR("x"), 0600, must));
	MUST(fs_rename(&fs_real, p->file.p, to.p, must));
	check_content(to.p, "x");
	MUST(fs_unlink(&fs_real, to.p, must));
	assert_int_equal(names_in(p->dir), 0);
	assert_false(fs_unlink(&fs_real, p->dir, &e));
	buf_free(&to);
}

static void one_lock_at_a_time(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;
	int fd = fs_lock(p->dir, "lock", &e);
	assert_true(fd >= 0);
	assert_int_equal(fs_lock(p->dir, "lock", &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	fs_unlock(fd);
	fd = fs_lock(p->dir, "lock", &e);
	assert_true(fd >= 0);
	fs_unlock(fd);
	assert_int_equal(fs_lock("/nonexistent", "lock", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(replace_keeps_the_mode),
		T(every_fault_in_replace),
		T(faults_count_and_stick), T(short_and_interrupted_calls_go_on),
		T(reading_whole_files),    T(directories),
		T(names_come_and_go),      T(one_lock_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
