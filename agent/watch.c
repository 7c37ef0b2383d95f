/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/watch.h"

#include "common/buf.h"
#include "common/log.h"
#include "common/map.h"

#include <errno.h>
#include <fcntl.h>
#include <inotifytools/inotifytools.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_CONTENT (IN_MODIFY | IN_CLOSE_WRITE)
#define EVENTS_NAMES   (IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)
#define GATHER_NS      5000000 /* how long events are let gather, and at most how often */
#define FOREVER        -1
#define SMB2_MAGIC     0xfe534d42
#define CIFS_MAGIC     0xff534d42

struct dir {
	char *path;
	bool wanted; /* the thread is to add it */
	bool failed;
};

struct watch {
	struct loop *loop;
	struct watch_fns fns;
	pthread_t thread;
	int wake[2]; /* a pipe that the thread watches too: writing to it ends its wait */

	pthread_mutex_t lock; /* guards what follows */
	struct map dirs;      /* struct dir */
	struct map changed;   /* char *: paths */
	bool names, overflow, posted, stop, more_dirs, incomplete;
};

/* ---- the thread ---- */

static void drain(void *ud);

/* Called with the lock held. */
static void post(struct watch *w)
{
	if (w->posted) return;
	w->posted = true;
	loop_post(w->loop, drain, w);
}

static void add_dirs(struct watch *w)
{
	pthread_mutex_lock(&w->lock);
	if (w->more_dirs) {
		w->more_dirs = false;
		for (struct map_slot *s = NULL; (s = map_next(&w->dirs, s));) {
			struct dir *d = s->val;
			if (!d->wanted) continue;
			d->wanted = false;
			d->failed = !inotifytools_watch_file(d->path, EVENTS_CONTENT | EVENTS_NAMES);
			if (d->failed)
				log_warn("a directory cannot be watched and is polled", kv_c("dir", d->path),
					 kv_c("err", strerror(inotifytools_error())));
			w->incomplete |= d->failed;
			w->names = true; /* what happened before the watch stood is found by looking */
		}
		post(w);
	}
	pthread_mutex_unlock(&w->lock);
}

/* The directory is gone: a new one of that name needs a new watch. */
static void forget_dir(struct watch *w, struct str path)
{
	struct dir *d = map_del(&w->dirs, path);

	if (!d) return;
	free(d->path);
	free(d);
}

static void gather(struct watch *w, const struct inotify_event *ev)
{
	struct buf path = {0};
	const char *dir = ev->mask & IN_Q_OVERFLOW ? NULL : inotifytools_filename_from_wd(ev->wd);

	pthread_mutex_lock(&w->lock);
	if (ev->mask & IN_Q_OVERFLOW) w->overflow = true;
	if (ev->mask & (EVENTS_NAMES | IN_IGNORED | IN_UNMOUNT)) w->names = true;
	if (dir && ev->mask & (IN_IGNORED | IN_MOVE_SELF)) {
		struct str d = str_c(dir);
		if (d.n > 1 && d.p[d.n - 1] == '/') d.n--;
		forget_dir(w, d);
	}
	if (dir && ev->len && ev->mask & (EVENTS_CONTENT | IN_CREATE | IN_MOVED_TO)) {
		buf_c(&path, dir); /* ends with a slash */
		buf_c(&path, ev->name);
		struct str key = buf_view(&path);
		if (!map_get(&w->changed, key)) {
			char *own = mem_strndup(key.p, key.n);
			map_put(&w->changed, str_of(own, key.n), own);
		}
	}
	post(w);
	pthread_mutex_unlock(&w->lock);
	buf_free(&path);
}

static int64_t mono(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static bool is_wake(struct watch *w, const struct inotify_event *ev)
{
	char b[64];

	if (ev->len || !(ev->mask & IN_MODIFY)) return false;
	while (read(w->wake[0], b, sizeof b) > 0) continue;
	return true;
}

static void *run(void *ud)
{
	struct watch *w = ud;
	int64_t slept = 0;
	bool stop = false;

	while (!stop) {
		add_dirs(w);
		const struct inotify_event *ev = inotifytools_next_event(FOREVER);
		if (ev && !is_wake(w, ev))
			gather(w, ev);
		else if (!ev && inotifytools_error() != EINTR)
			nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
		/* Let equal events fall together: the loop is woken at most that often. */
		if (ev && mono() - slept > GATHER_NS) {
			nanosleep(&(struct timespec){.tv_nsec = GATHER_NS}, NULL);
			slept = mono();
		}
		pthread_mutex_lock(&w->lock);
		stop = w->stop;
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

/* ---- the loop's side ---- */

static void free_paths(struct map *m)
{
	for (struct map_slot *s = NULL; (s = map_next(m, s));) free(s->val);
	map_free(m);
}

static void release(struct watch *w)
{
	for (struct map_slot *s = NULL; (s = map_next(&w->dirs, s));) {
		struct dir *d = s->val;
		free(d->path);
		free(d);
	}
	map_free(&w->dirs);
	free_paths(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void drain(void *ud)
{
	struct watch *w = ud;

	pthread_mutex_lock(&w->lock);
	struct map changed = w->changed;
	bool names = w->names, overflow = w->overflow;
	w->changed = (struct map){0};
	w->names = w->overflow = w->posted = false;
	pthread_mutex_unlock(&w->lock);
	for (struct map_slot *s = NULL; (s = map_next(&changed, s));) w->fns.changed(w->fns.ud, s->key);
	free_paths(&changed);
	if (overflow) w->fns.overflow(w->fns.ud);
	if (names || overflow) w->fns.names(w->fns.ud);
}

static void wake(struct watch *w)
{
	/* A full pipe is a wake-up already on its way. */
	if (write(w->wake[1], "", 1) < 0 && errno != EAGAIN)
		log_error("the watcher cannot be woken", kv_c("err", strerror(errno)));
}

static bool polled_fs(const char *dir)
{
	struct statfs fs;

	if (statfs(dir, &fs) != 0) return true;
	switch ((unsigned long)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case CIFS_MAGIC:
	case SMB2_MAGIC:
	case FUSE_SUPER_MAGIC:
	case V9FS_MAGIC:
	case CODA_SUPER_MAGIC:
	case AFS_SUPER_MAGIC:
	case CEPH_SUPER_MAGIC: return true;
	default: return false;
	}
}

bool watch_dir(struct watch *w, const char *dir)
{
	pthread_mutex_lock(&w->lock);
	struct dir *d = map_get(&w->dirs, str_c(dir));
	bool known = d != NULL;
	if (!known) {
		d = mem_zalloc(sizeof *d);
		d->path = mem_strdup(dir);
		d->failed = polled_fs(dir);
		d->wanted = !d->failed;
		w->more_dirs |= d->wanted;
		map_put(&w->dirs, str_c(d->path), d);
	}
	bool ok = !d->failed;
	pthread_mutex_unlock(&w->lock);
	if (!known && ok) wake(w);
	return ok;
}

bool watch_incomplete(struct watch *w)
{
	pthread_mutex_lock(&w->lock);
	bool some = w->incomplete;
	pthread_mutex_unlock(&w->lock);
	return some;
}

struct watch *watch_new(struct loop *l, const struct watch_fns *fns, struct err *e)
{
	struct watch *w = mem_zalloc(sizeof *w);
	char path[64];

	*w = (struct watch){.loop = l, .fns = *fns};
	pthread_mutex_init(&w->lock, NULL);
	bool ok = inotifytools_initialize() ||
		  err_set(e, ERR_IO, "inotify: %s (fs.inotify.max_user_instances?)", strerror(inotifytools_error()));
	ok = ok && (pipe2(w->wake, O_NONBLOCK | O_CLOEXEC) == 0 || err_errno(e, "pipe"));
	if (!ok) {
		release(w);
		return NULL;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", w->wake[0]);
	ok = inotifytools_watch_file(path, IN_MODIFY) ||
	     err_set(e, ERR_IO, "inotify on %s: %s", path, strerror(inotifytools_error()));
	ok = ok && (pthread_create(&w->thread, NULL, run, w) == 0 ||
		    err_set(e, ERR_UNAVAILABLE, "the watcher thread cannot be started"));
	if (ok) return w;
	close(w->wake[0]);
	close(w->wake[1]);
	inotifytools_cleanup();
	release(w);
	return NULL;
}

void watch_free(struct watch *w)
{
	if (!w) return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_mutex_unlock(&w->lock);
	wake(w);
	pthread_join(w->thread, NULL);
	close(w->wake[0]);
	close(w->wake[1]);
	inotifytools_cleanup();
	release(w);
}
