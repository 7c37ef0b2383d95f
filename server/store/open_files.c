/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/open_files.h"

#include "common/map.h"
#include "common/units.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#define IDLE_NS (60 * UNITS_SEC)

struct open_file {
	char *path;
	int fd;
	uint32_t refs;                 /* who reads it, and the table */
	int64_t used;                  /* monotonic */
	struct open_file *prev, *next; /* in order of use; prev is newer */
};

struct open_files {
	struct fs *fs;
	struct clock *clock;
	size_t max;
	pthread_mutex_t mu;
	struct map by_path;
	struct open_file ring; /* next: the newest */
};

struct open_files *open_files_new(struct fs *fs, struct clock *clock, size_t max)
{
	struct open_files *o = mem_zalloc(sizeof *o);
	o->fs = fs;
	o->clock = clock;
	o->max = max;
	pthread_mutex_init(&o->mu, NULL);
	o->ring.next = o->ring.prev = &o->ring;
	return o;
}

static void unref(struct open_files *o, struct open_file *f)
{
	if (--f->refs) return;
	fs_close(o->fs, f->fd);
	free(f->path);
	free(f);
}

static void ring_take(struct open_file *f)
{
	f->prev->next = f->next;
	f->next->prev = f->prev;
}

static void ring_put(struct open_files *o, struct open_file *f)
{
	f->next = o->ring.next;
	f->prev = &o->ring;
	f->next->prev = o->ring.next = f;
	f->used = clock_mono(o->clock);
}

static void forget(struct open_files *o, struct open_file *f)
{
	ring_take(f);
	map_del(&o->by_path, str_c(f->path));
	unref(o, f);
}

static void close_old(struct open_files *o, int64_t now)
{
	while (o->by_path.n > o->max || (o->by_path.n && o->ring.prev->used < now - IDLE_NS)) forget(o, o->ring.prev);
}

/* The file, held, if it is open. */
static struct open_file *find(struct open_files *o, const char *path)
{
	pthread_mutex_lock(&o->mu);
	struct open_file *f = map_get(&o->by_path, str_c(path));
	if (f) {
		ring_take(f);
		ring_put(o, f);
		f->refs++;
	}
	pthread_mutex_unlock(&o->mu);
	return f;
}

/* Of two threads that open the same, the second's is read once and closed. */
static struct open_file *add(struct open_files *o, const char *path, int fd)
{
	struct open_file *f = mem_zalloc(sizeof *f);
	*f = (struct open_file){.path = mem_strdup(path), .fd = fd, .refs = 1};
	pthread_mutex_lock(&o->mu);
	if (!map_get(&o->by_path, str_c(path))) {
		f->refs++;
		map_put(&o->by_path, str_c(f->path), f);
		ring_put(o, f);
		close_old(o, f->used);
	}
	pthread_mutex_unlock(&o->mu);
	return f;
}

/* Has the file still its name? */
static bool is_current(const struct open_file *f, uint64_t *size)
{
	struct stat st;
	if (fstat(f->fd, &st) != 0 || st.st_nlink == 0) return false;
	*size = (uint64_t)st.st_size;
	return true;
}

struct open_file *open_file_get(struct open_files *o, const char *path, uint64_t *size, struct err *e)
{
	struct open_file *f = find(o, path);
	if (f && is_current(f, size)) return f;
	if (f) {
		open_file_done(o, f);
		open_file_drop(o, path);
	}
	int fd = fs_open(o->fs, path, O_RDONLY, 0, e);
	if (fd < 0) return NULL;
	f = add(o, path, fd);
	if (!is_current(f, size)) *size = 0; /* removed this moment */
	return f;
}

int open_file_fd(const struct open_file *f) { return f->fd; }

void open_file_done(struct open_files *o, struct open_file *f)
{
	pthread_mutex_lock(&o->mu);
	unref(o, f);
	pthread_mutex_unlock(&o->mu);
}

void open_file_drop(struct open_files *o, const char *path)
{
	pthread_mutex_lock(&o->mu);
	struct open_file *f = map_get(&o->by_path, str_c(path));
	if (f) forget(o, f);
	pthread_mutex_unlock(&o->mu);
}

void open_files_free(struct open_files *o)
{
	if (!o) return;
	while (o->ring.next != &o->ring) forget(o, o->ring.next);
	map_free(&o->by_path);
	pthread_mutex_destroy(&o->mu);
	free(o);
}
