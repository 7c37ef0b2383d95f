/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/fs.h"

#include "common/clock.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- the kernel's operations ---- */

#define REAL(ret, name, call, ...)                                                                                     \
	static ret real_##name(struct fs *fs, __VA_ARGS__)                                                             \
	{                                                                                                              \
		(void)fs;                                                                                              \
		return call;                                                                                           \
	}

REAL(int, open, open(path, flags, mode), const char *path, int flags, mode_t mode)
REAL(int, close, close(fd), int fd)
REAL(ssize_t, write, write(fd, p, n), int fd, const void *p, size_t n)
REAL(ssize_t, pwrite, pwrite(fd, p, n, off), int fd, const void *p, size_t n, off_t off)
REAL(ssize_t, pread, pread(fd, p, n, off), int fd, void *p, size_t n, off_t off)
REAL(int, datasync, fdatasync(fd), int fd)
REAL(int, sync, fsync(fd), int fd)
REAL(int, truncate, ftruncate(fd, n), int fd, off_t n)
REAL(int, rename, rename(from, to), const char *from, const char *to)
REAL(int, link, link(from, to), const char *from, const char *to)
REAL(int, unlink, unlink(path), const char *path)
REAL(int, mkdir, mkdir(path, mode), const char *path, mode_t mode)

static int real_space(struct fs *fs, const char *path, struct fs_space *out)
{
	struct statvfs s;
	(void)fs;
	if (statvfs(path, &s) != 0) return -1;
	*out = (struct fs_space){(uint64_t)s.f_blocks * s.f_frsize, (uint64_t)s.f_bavail * s.f_frsize};
	return 0;
}

#define TABLE(prefix)                                                                                                  \
	{                                                                                                              \
		prefix##_open, prefix##_close, prefix##_write, prefix##_pwrite, prefix##_pread, prefix##_datasync,     \
			prefix##_sync, prefix##_truncate, prefix##_rename, prefix##_link, prefix##_unlink,             \
			prefix##_mkdir, prefix##_space                                                                 \
	}

struct fs fs_real = TABLE(real);

/* ---- calls that finish or fail ---- */

#define RETRY(r, call)                                                                                                 \
	do r = (call);                                                                                                 \
	while (r < 0 && errno == EINTR)

/* The path behind a descriptor, for error texts; keeps errno. */
static const char *fd_path(int fd, char out[PATH_MAX])
{
	int no = errno;
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, out, PATH_MAX - 1);
	if (n < 0) n = snprintf(out, PATH_MAX, "file descriptor %d", fd);
	out[n] = '\0';
	errno = no;
	return out;
}

int fs_open(struct fs *fs, const char *path, int flags, mode_t mode, struct err *e)
{
	int fd;
	RETRY(fd, fs->open(fs, path, flags | O_CLOEXEC, mode));
	if (fd < 0) err_errno(e, "open %s", path);
	return fd;
}

void fs_close(struct fs *fs, int fd) { fs->close(fs, fd); } /* after EINTR Linux has closed it, too */

bool fs_write(struct fs *fs, int fd, const void *p, size_t n, struct err *e)
{
	char path[PATH_MAX];
	for (const char *at = p; n;) {
		ssize_t put;
		RETRY(put, fs->write(fs, fd, at, n));
		if (put == 0) errno = ENOSPC;
		if (put <= 0) return err_errno(e, "write %s", fd_path(fd, path));
		at += put;
		n -= (size_t)put;
	}
	return true;
}

bool fs_pread(struct fs *fs, int fd, void *p, size_t n, off_t off, struct err *e)
{
	char path[PATH_MAX];
	for (char *at = p; n;) {
		ssize_t got;
		RETRY(got, fs->pread(fs, fd, at, n, off));
		if (got < 0) return err_errno(e, "read %s", fd_path(fd, path));
		if (got == 0)
			return err_set(e, ERR_CORRUPT, "read %s: the file ends at byte %lld, %zu bytes short",
				       fd_path(fd, path), (long long)off, n);
		at += got;
		off += got;
		n -= (size_t)got;
	}
	return true;
}

bool fs_sync(struct fs *fs, int fd, struct err *e)
{
	char path[PATH_MAX];
	int r;
	RETRY(r, fs->datasync(fs, fd));
	return r == 0 || err_errno(e, "sync %s", fd_path(fd, path));
}

bool fs_truncate(struct fs *fs, int fd, off_t n, struct err *e)
{
	char path[PATH_MAX];
	int r;
	RETRY(r, fs->truncate(fs, fd, n));
	return r == 0 || err_errno(e, "truncate %s to %lld bytes", fd_path(fd, path), (long long)n);
}

bool fs_sync_dir(struct fs *fs, const char *dir, struct err *e)
{
	int fd = fs_open(fs, dir, O_RDONLY | O_DIRECTORY, 0, e);
	if (fd < 0) return false;
	int r;
	RETRY(r, fs->sync(fs, fd));
	bool ok = r == 0 || err_errno(e, "sync directory %s", dir);
	fs_close(fs, fd);
	return ok;
}

static bool sync_parent(struct fs *fs, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	size_t n = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
	char *dir = n ? mem_strndup(path, n) : mem_strdup(".");
	bool ok = fs_sync_dir(fs, dir, e);
	free(dir);
	return ok;
}

static bool is_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool fs_mkdirs(struct fs *fs, const char *path, mode_t mode, struct err *e)
{
	char *at = mem_strdup(path);
	size_t len = strlen(at);
	while (len > 1 && at[len - 1] == '/') at[--len] = '\0';
	bool ok = true;
	for (size_t i = 1; ok && i <= len; i++) {
		if (at[i] != '/' && at[i] != '\0') continue;
		char keep = at[i];
		at[i] = '\0';
		if (!is_dir(at)) {
			int r;
			RETRY(r, fs->mkdir(fs, at, mode));
			if (r == 0) {
				ok = sync_parent(fs, at, e);
				if (!ok) rmdir(at); /* lest the next attempt take it for durable */
			} else if (!(errno == EEXIST && is_dir(at)))
				ok = err_errno(e, "create directory %s", at);
		}
		at[i] = keep;
	}
	free(at);
	return ok;
}

bool fs_unlink(struct fs *fs, const char *path, struct err *e)
{
	int r;
	RETRY(r, fs->unlink(fs, path));
	return r == 0 || errno == ENOENT || err_errno(e, "remove %s", path);
}

bool fs_rename(struct fs *fs, const char *from, const char *to, struct err *e)
{
	int r;
	RETRY(r, fs->rename(fs, from, to));
	return r == 0 || err_errno(e, "rename %s to %s", from, to);
}

bool fs_space(struct fs *fs, const char *path, struct fs_space *out, struct err *e)
{
	int r;
	RETRY(r, fs->space(fs, path, out));
	return r == 0 || err_errno(e, "free space of %s", path);
}

/* ---- whole files ---- */

static bool read_all(struct fs *fs, int fd, const char *path, size_t max, struct buf *out, struct err *e)
{
	struct stat st;
	size_t from = out->n;
	if (fstat(fd, &st) == 0 && st.st_size > 0 && (size_t)st.st_size <= max)
		buf_reserve(out, (size_t)st.st_size + 1);
	for (;;) {
		buf_reserve(out, out->cap - out->n > 0 ? 1 : 64 << 10);
		ssize_t got;
		RETRY(got, fs->pread(fs, fd, out->p + out->n, out->cap - out->n, (off_t)(out->n - from)));
		if (got < 0) return err_errno(e, "read %s", path);
		if (got == 0) return true;
		out->n += (size_t)got;
		if (out->n - from > max)
			return err_set(e, ERR_TOO_LARGE, "read %s: larger than the allowed %zu bytes", path, max);
	}
}

bool fs_read_file(struct fs *fs, const char *path, size_t max, struct buf *out, struct err *e)
{
	int fd = fs_open(fs, path, O_RDONLY, 0, e);
	if (fd < 0) return false;
	size_t from = out->n;
	bool ok = read_all(fs, fd, path, max, out, e);
	fs_close(fs, fd);
	if (!ok) out->n = from;
	return ok;
}

/* A file beside path with the bytes, on disk: its name, to be freed, or NULL. */
static char *write_temp(struct fs *fs, const char *path, struct str data, mode_t mode, bool exact_mode, struct err *e)
{
	struct buf name = {0};
	buf_printf(&name, "%s.%016llx.tmp", path, (unsigned long long)clock_rnd(&clock_real));
	const char *temp = buf_cstr(&name);
	int fd = fs_open(fs, temp, O_WRONLY | O_CREAT | O_EXCL, mode, e);
	if (fd >= 0) {
		bool ok = !exact_mode || fchmod(fd, mode) == 0 || err_errno(e, "change the mode of %s", temp);
		ok = ok && fs_write(fs, fd, data.p, data.n, e) && fs_sync(fs, fd, e);
		fs_close(fs, fd);
		if (ok) return name.p;
		fs->unlink(fs, temp);
	}
	buf_free(&name);
	return NULL;
}

bool fs_replace(struct fs *fs, const char *path, struct str data, mode_t mode, struct err *e)
{
	struct stat st;
	bool exists = stat(path, &st) == 0;
	char *temp = write_temp(fs, path, data, exists ? st.st_mode & 07777 : mode, exists, e);
	if (!temp) return false;
	bool ok = fs_rename(fs, temp, path, e);
	if (!ok) fs->unlink(fs, temp);
	free(temp);
	return ok && sync_parent(fs, path, e);
}

/* ---- directories and locks ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

bool fs_list(const char *dir, struct fs_list *out, struct err *e)
{
	size_t cap = 0;
	*out = (struct fs_list){0};
	DIR *d = opendir(dir);
	if (!d) return err_errno(e, "list %s", dir);
	errno = 0;
	for (struct dirent *ent; (ent = readdir(d)); errno = 0) {
		if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0) continue;
		MEM_GROW(out->v, out->n, cap);
		out->v[out->n++] = mem_strdup(ent->d_name);
	}
	bool ok = errno == 0 || err_errno(e, "list %s", dir);
	closedir(d);
	if (!ok)
		fs_list_free(out);
	else if (out->n)
		qsort(out->v, out->n, sizeof *out->v, by_text);
	return ok;
}

void fs_list_free(struct fs_list *l)
{
	for (size_t i = 0; i < l->n; i++) free(l->v[i]);
	free(l->v);
	*l = (struct fs_list){0};
}

void fs_path(struct buf *out, const char *dir, const char *name)
{
	buf_clear(out);
	buf_c(out, dir);
	if (out->n && out->p[out->n - 1] != '/') buf_ch(out, '/');
	buf_c(out, name);
	buf_cstr(out);
}

static int lock(const char *dir, const char *name, int how, struct err *e)
{
	struct buf path = {0};
	fs_path(&path, dir, name);
	int fd = fs_open(&fs_real, path.p, O_RDWR | O_CREAT, 0644, e);
	int r = 0;
	if (fd >= 0) RETRY(r, flock(fd, how | LOCK_NB));
	if (r != 0) {
		if (errno == EWOULDBLOCK)
			err_set(e, ERR_EXISTS, "%s is locked: another process uses this directory", path.p);
		else
			err_errno(e, "lock %s", path.p);
		close(fd);
		fd = -1;
	}
	buf_free(&path);
	return fd;
}

int fs_lock(const char *dir, const char *name, struct err *e) { return lock(dir, name, LOCK_EX, e); }

int fs_lock_shared(const char *dir, const char *name, struct err *e) { return lock(dir, name, LOCK_SH, e); }

void fs_unlock(int fd) { close(fd); }

/* ---- fault injection ---- */

/* Counts one operation; true: it shall fail. */
static bool due(struct fs_fault *f, enum fs_op op)
{
	if (!(f->ops & op)) return false;
	f->seen++;
	long left = f->count;
	while (left > 0)
		if (atomic_compare_exchange_weak(&f->count, &left, left - 1)) return left == 1;
	return left == 0 && f->sticky;
}

static bool fails(struct fs *fs, enum fs_op op)
{
	struct fs_fault *f = (struct fs_fault *)fs;
	if (!due(f, op)) return false;
	errno = f->error ? f->error : EIO;
	return true;
}

static struct fs *under(struct fs *fs) { return ((struct fs_fault *)fs)->under; }

#define FAULTY(op, name, args, ...)                                                                                    \
	static int fault_##name(struct fs *fs, __VA_ARGS__) { return fails(fs, op) ? -1 : under(fs)->name args; }

FAULTY(FS_OP_OPEN, open, (under(fs), path, flags, mode), const char *path, int flags, mode_t mode)
FAULTY(FS_OP_SYNC, datasync, (under(fs), fd), int fd)
FAULTY(FS_OP_SYNC, sync, (under(fs), fd), int fd)
FAULTY(FS_OP_TRUNCATE, truncate, (under(fs), fd, n), int fd, off_t n)
FAULTY(FS_OP_RENAME, rename, (under(fs), from, to), const char *from, const char *to)
FAULTY(FS_OP_LINK, link, (under(fs), from, to), const char *from, const char *to)
FAULTY(FS_OP_UNLINK, unlink, (under(fs), path), const char *path)
FAULTY(FS_OP_MKDIR, mkdir, (under(fs), path, mode), const char *path, mode_t mode)

static int fault_close(struct fs *fs, int fd) { return under(fs)->close(under(fs), fd); }

static ssize_t fault_pread(struct fs *fs, int fd, void *p, size_t n, off_t off)
{
	return fails(fs, FS_OP_READ) ? -1 : under(fs)->pread(under(fs), fd, p, n, off);
}

/* A write that fails with no error number set leaves half of its bytes behind. */
static ssize_t fault_write(struct fs *fs, int fd, const void *p, size_t n)
{
	if (!fails(fs, FS_OP_WRITE)) return under(fs)->write(under(fs), fd, p, n);
	if (((struct fs_fault *)fs)->error == 0) {
		if (under(fs)->write(under(fs), fd, p, n / 2) >= 0) errno = ENOSPC;
	}
	return -1;
}

static ssize_t fault_pwrite(struct fs *fs, int fd, const void *p, size_t n, off_t off)
{
	if (!fails(fs, FS_OP_WRITE)) return under(fs)->pwrite(under(fs), fd, p, n, off);
	if (((struct fs_fault *)fs)->error == 0) {
		if (under(fs)->pwrite(under(fs), fd, p, n / 2, off) >= 0) errno = ENOSPC;
	}
	return -1;
}

static int fault_space(struct fs *fs, const char *path, struct fs_space *out)
{
	return under(fs)->space(under(fs), path, out);
}

void fs_fault_init(struct fs_fault *f, struct fs *below)
{
	*f = (struct fs_fault){.base = TABLE(fault), .under = below, .count = -1};
}
