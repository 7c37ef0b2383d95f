/* SPDX-License-Identifier: GPL-2.0-or-later */
/* forget: preloaded into a program, keeps beside $FORGET_DIR a shadow ($FORGET_SHADOW) that holds exactly what would
 * be there after a power cut: bytes of files as of their last fsync, names of directories as of theirs.
 * forget.py turns a shadow back into a directory after kill -9.
 *
 * The shadow: ino/N holds the durable bytes of inode N; names/PATH (slashes as '%') lists "INODE NAME" of the
 * directory FORGET_DIR/PATH as of its last fsync; keep/N keeps unlinked files, so that inode numbers are not
 * given away again. The strictest file system there could be: nothing is durable but what was asked for. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *dir, *shadow;
static struct { ino_t ino; off_t from; } dirty[4096]; /* lowest offset changed since the last sync */
static size_t ndirty;

#define REAL(ret, name, ...) static ret (*real_##name)(__VA_ARGS__)
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
REAL(int, ftruncate, int, off_t);
REAL(int, fsync, int);
REAL(int, fdatasync, int);
REAL(int, unlink, const char *);
REAL(int, rename, const char *, const char *);

__attribute__((constructor)) static void start(void)
{
	dir = getenv("FORGET_DIR");
	shadow = getenv("FORGET_SHADOW");
#define FIND(name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)
	FIND(write);
	FIND(pwrite);
	FIND(ftruncate);
	FIND(fsync);
	FIND(fdatasync);
	FIND(unlink);
	FIND(rename);
}

/* Path of fd below dir ("" for dir itself), or NULL when it lies elsewhere. */
static const char *below(int fd, char *path, size_t cap)
{
	char proc[64];
	if (!dir || !shadow) return NULL;
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(proc, path, cap - 1);
	if (n <= 0) return NULL;
	path[n] = 0;
	size_t d = strlen(dir);
	if (strncmp(path, dir, d) || (path[d] && path[d] != '/')) return NULL;
	return path[d] ? path + d + 1 : path + d;
}

static void mark(int fd, off_t from)
{
	struct stat st;
	char path[4096];
	if (!dir || fstat(fd, &st) || !S_ISREG(st.st_mode) || !below(fd, path, sizeof path)) return;
	pthread_mutex_lock(&lock);
	size_t i = 0;
	while (i < ndirty && dirty[i].ino != st.st_ino) i++;
	if (i == ndirty) {
		if (ndirty == sizeof dirty / sizeof *dirty) abort();
		dirty[ndirty++] = (typeof(*dirty)){st.st_ino, from};
	} else if (from < dirty[i].from) {
		dirty[i].from = from;
	}
	pthread_mutex_unlock(&lock);
}

static void copy_range(int fd, ino_t ino, off_t from, off_t size)
{
	char path[4096], buf[65536];
	snprintf(path, sizeof path, "%s/ino/%llu", shadow, (unsigned long long)ino);
	char proc[64];
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	int in = open(proc, O_RDONLY | O_CLOEXEC);
	int out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (in < 0 || out < 0) abort();
	for (off_t at = from; at < size;) {
		ssize_t n = pread(in, buf, sizeof buf, at);
		if (n <= 0 || real_pwrite(out, buf, (size_t)n, at) != n) break;
		at += n;
	}
	if (real_ftruncate(out, size)) abort();
	close(in);
	close(out);
}

static void file_synced(int fd, const struct stat *st)
{
	pthread_mutex_lock(&lock);
	off_t from = -1;
	for (size_t i = 0; i < ndirty; i++)
		if (dirty[i].ino == st->st_ino) {
			from = dirty[i].from;
			dirty[i] = dirty[--ndirty];
			break;
		}
	char path[4096];
	snprintf(path, sizeof path, "%s/ino/%llu", shadow, (unsigned long long)st->st_ino);
	if (from < 0 && access(path, F_OK)) from = 0;
	if (from >= 0) copy_range(fd, st->st_ino, from, st->st_size);
	pthread_mutex_unlock(&lock);
}

static void dir_synced(const char *rel, const char *full)
{
	char name[4096], path[8300], tmp[8400];
	snprintf(name, sizeof name, "%s", rel);
	for (char *p = name; *p; p++)
		if (*p == '/') *p = '%';
	snprintf(path, sizeof path, "%s/names/%s%%", shadow, name);
	snprintf(tmp, sizeof tmp, "%s.tmp", path);
	pthread_mutex_lock(&lock);
	DIR *d = opendir(full);
	FILE *f = fopen(tmp, "w");
	if (d && f)
		for (struct dirent *e; (e = readdir(d));)
			if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
				fprintf(f, "%c %llu %s\n", e->d_type == DT_DIR ? 'd' : 'f', (unsigned long long)e->d_ino, e->d_name);
	if (d) closedir(d);
	if (f) fclose(f);
	real_rename(tmp, path);
	pthread_mutex_unlock(&lock);
}

static void synced(int fd)
{
	struct stat st;
	char path[4096];
	const char *rel = below(fd, path, sizeof path);
	if (!rel || fstat(fd, &st)) return;
	if (S_ISREG(st.st_mode)) file_synced(fd, &st);
	else if (S_ISDIR(st.st_mode)) dir_synced(rel, path);
}

/* Whatever name loses its file: the file lives on, so that its inode number is not reused. */
static void keep(const char *path)
{
	struct stat st;
	char to[4096];
	if (!dir || !shadow || strncmp(path, dir, strlen(dir)) || lstat(path, &st)) return;
	snprintf(to, sizeof to, "%s/keep/%llu", shadow, (unsigned long long)st.st_ino);
	if (link(path, to) && errno != EEXIST) abort();
}

ssize_t write(int fd, const void *p, size_t n);
ssize_t pwrite(int fd, const void *p, size_t n, off_t off);
int ftruncate(int fd, off_t n);
int fsync(int fd);
int fdatasync(int fd);
int unlink(const char *path);
int rename(const char *from, const char *to);

ssize_t write(int fd, const void *p, size_t n)
{
	off_t at = dir ? lseek(fd, 0, SEEK_CUR) : -1;
	struct stat st;
	if (at >= 0 && (fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &st) == 0) at = st.st_size;
	ssize_t r = real_write(fd, p, n);
	int saved = errno;
	if (at >= 0) mark(fd, at);
	errno = saved;
	return r;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
	ssize_t r = real_pwrite(fd, p, n, off);
	int saved = errno;
	mark(fd, off);
	errno = saved;
	return r;
}

int ftruncate(int fd, off_t n)
{
	int r = real_ftruncate(fd, n);
	int saved = errno;
	mark(fd, n);
	errno = saved;
	return r;
}

int fsync(int fd)
{
	int r = real_fsync(fd);
	if (r == 0) synced(fd);
	return r;
}

int fdatasync(int fd)
{
	int r = real_fdatasync(fd);
	if (r == 0) synced(fd);
	return r;
}

int unlink(const char *path)
{
	keep(path);
	return real_unlink(path);
}

int rename(const char *from, const char *to)
{
	keep(to);
	return real_rename(from, to);
}
