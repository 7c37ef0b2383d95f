/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs: the only way to files that must survive a crash.
 *
 * Every call goes through a table of operations (struct fs) so that tests inject faults at any call
 * site: fs_real is the kernel; fs_fault wraps another and fails the Nth operation, writes short, or
 * returns ENOSPC/EIO. Errors name the path. Calls restart on EINTR. Thread-safe when the table is. */
#ifndef LARCH_COMMON_FS_H
#define LARCH_COMMON_FS_H

#include "common/buf.h"
#include "common/err.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

struct fs_space {
	uint64_t total, avail; /* bytes; avail: what this process may still write */
};

struct fs {
	int (*open)(struct fs *, const char *path, int flags, mode_t mode);
	int (*close)(struct fs *, int fd);
	ssize_t (*write)(struct fs *, int fd, const void *p, size_t n);
	ssize_t (*pwrite)(struct fs *, int fd, const void *p, size_t n, off_t off);
	ssize_t (*pread)(struct fs *, int fd, void *p, size_t n, off_t off);
	int (*datasync)(struct fs *, int fd); /* fdatasync, for contents */
	int (*sync)(struct fs *, int fd);     /* fsync, for directories: their entries are no data */
	int (*truncate)(struct fs *, int fd, off_t n);
	int (*rename)(struct fs *, const char *from, const char *to);
	int (*link)(struct fs *, const char *from, const char *to);
	int (*unlink)(struct fs *, const char *path);
	int (*mkdir)(struct fs *, const char *path, mode_t mode);
	int (*space)(struct fs *, const char *path, struct fs_space *out);
};

extern struct fs fs_real;

int fs_open(struct fs *fs, const char *path, int flags, mode_t mode, struct err *e); /* O_CLOEXEC added; -1: failed */
void fs_close(struct fs *fs, int fd);
bool fs_write(struct fs *fs, int fd, const void *p, size_t n, struct err *e);      /* all of it */
bool fs_pread(struct fs *fs, int fd, void *p, size_t n, off_t off, struct err *e); /* exactly n; short: ERR_CORRUPT */
bool fs_sync(struct fs *fs, int fd, struct err *e);                                /* fdatasync */
bool fs_sync_dir(struct fs *fs, const char *dir, struct err *e);                   /* makes names in dir durable */
bool fs_truncate(struct fs *fs, int fd, off_t n, struct err *e);
bool fs_mkdirs(struct fs *fs, const char *path, mode_t mode, struct err *e); /* like mkdir -p, parents synced */
bool fs_unlink(struct fs *fs, const char *path, struct err *e);              /* a missing file is no error */
bool fs_rename(struct fs *fs, const char *from, const char *to, struct err *e);
bool fs_space(struct fs *fs, const char *path, struct fs_space *out, struct err *e); /* of the file system below path */
/* The whole file; larger than max is ERR_TOO_LARGE; absent is ERR_NOT_FOUND. */
bool fs_read_file(struct fs *fs, const char *path, size_t max, struct buf *out, struct err *e);
/* Replaces path with the bytes, durably and at once: temp file beside it, write, sync, rename, directory
 * sync. An existing file's mode is kept, else mode. On failure the old file stands and the temp file is gone;
 * only when the directory sync fails the new one stands, perhaps not for long. A crash may leave a temp file,
 * `path.<16 hex digits>.tmp`. */
bool fs_replace(struct fs *fs, const char *path, struct str data, mode_t mode, struct err *e);
/* Names in dir (no "." and ".."), sorted, each NUL-terminated. Free with fs_list_free. */
struct fs_list {
	char **v;
	size_t n;
};
bool fs_list(const char *dir, struct fs_list *out, struct err *e);
void fs_list_free(struct fs_list *l);
void fs_path(struct buf *out, const char *dir, const char *name); /* dir/name, cleared first, NUL behind */

/* Exclusive lock on dir/name, kept until the process ends or fs_unlock. ERR_EXISTS: another holds it, or, for the
 * shared kind, which many may hold together, somebody holds the exclusive one. */
int fs_lock(const char *dir, const char *name, struct err *e);
int fs_lock_shared(const char *dir, const char *name, struct err *e);
void fs_unlock(int fd);

/* Fault injection for tests: the count-th operation from now (from 1) whose name is in the set fails with
 * errno `error` (0: EIO; a write then puts half and fails with ENOSPC). Thread-safe. */
enum fs_op {
	FS_OP_OPEN = 1,
	FS_OP_WRITE = 2,
	FS_OP_READ = 4,
	FS_OP_SYNC = 8, /* of files and of directories */
	FS_OP_RENAME = 16,
	FS_OP_UNLINK = 32,
	FS_OP_LINK = 64,
	FS_OP_MKDIR = 128,
	FS_OP_TRUNCATE = 256,
	FS_OP_ALL = 511
};
struct fs_fault {
	struct fs base;
	struct fs *under;
	unsigned ops;       /* set of fs_op that count */
	_Atomic long count; /* fails when it gets to 0; negative: never */
	bool sticky;        /* once it is 0, every later one fails too */
	int error;
	_Atomic long seen; /* operations in the set so far */
};
void fs_fault_init(struct fs_fault *f, struct fs *under);

#endif
