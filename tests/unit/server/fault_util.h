/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fault_util: an object store whose n-th call fails, and a file system that loses its power at the n-th call.
 *
 * Calls are counted from arming on. All of it may be called from several threads at once. */
#ifndef LARCH_TESTS_UNIT_FAULT_UTIL_H
#define LARCH_TESTS_UNIT_FAULT_UTIL_H

#include "tests/unit/server/store_util.h"

#include "server/store/object.h"

#include <errno.h>

/* ---- the n-th call ---- */

struct trigger {
	_Atomic long left; /* calls until it goes off; negative: never */
	_Atomic long seen;
};

static inline bool trigger_pull(struct trigger *t)
{
	t->seen++;
	long left = t->left;
	while (left > 0) {
		if (atomic_compare_exchange_weak(&t->left, &left, left - 1)) return left == 1;
	}
	return false;
}

static inline void trigger_arm(struct trigger *t, long at)
{
	t->seen = 0;
	t->left = at;
}

/* ---- an object store that fails ---- */

enum object_fault_kind {
	OBJECT_FAILS, /* nothing is done */
	OBJECT_TIMES_OUT,
	OBJECT_ANSWER_LOST, /* all of it is done, but the answer says that it failed */
	OBJECT_HALF,        /* an upload has half of a piece, a read half of the bytes, a list half of the names */
	OBJECT_DEAD,        /* nothing is done from then on, until it is armed again */
	OBJECT_FAULTS
};

struct object_faults {
	struct trigger t;
	_Atomic enum object_fault_kind kind;
	_Atomic bool fired, dead, paused; /* paused: nothing fails, nothing counts */
	/* With a clock objects have its times rather than the kernel's: since when there is which. */
	struct clock *clock;
	pthread_mutex_t mu;
	struct arena names;
	struct map times;
};

static inline void object_faults_init(struct object_faults *f, struct clock *clock)
{
	*f = (struct object_faults){.t.left = -1, .clock = clock, .mu = PTHREAD_MUTEX_INITIALIZER};
	arena_init(&f->names, 0);
}

static inline void object_faults_fini(struct object_faults *f)
{
	map_free(&f->times);
	arena_free(&f->names);
}

static inline void object_faults_arm(struct object_faults *f, enum object_fault_kind kind, long at)
{
	f->fired = f->dead = false;
	f->kind = kind;
	trigger_arm(&f->t, at);
}

static inline void object_faults_end(struct object_faults *f) { object_faults_arm(f, f->kind, -1); }

struct object_fault {
	struct object_store base; /* first */
	struct object_store *under;
	struct object_faults *f;
};

struct object_upload {
	struct object_fault *f;
	struct object_upload *under;
	char *name;
};

static inline bool object_error(const struct object_fault *f, struct err *e)
{
	return err_set(e, f->f->kind == OBJECT_TIMES_OUT ? ERR_TIMEOUT : ERR_IO, "injected failure");
}

/* True: this call shall fail. *done: but do it first. */
static inline bool object_due(struct object_fault *f, bool *done)
{
	struct object_faults *x = f->f;
	*done = false;
	if (x->paused) return false;
	bool due = trigger_pull(&x->t);
	if (due) x->fired = true;
	if (due && x->kind == OBJECT_DEAD) x->dead = true;
	*done = due && x->kind == OBJECT_ANSWER_LOST;
	return due || x->dead;
}

static inline struct object_upload *fault_begin(struct object_store *s, struct str name, struct err *e)
{
	struct object_fault *f = (struct object_fault *)s;
	bool done;
	if (object_due(f, &done)) {
		object_error(f, e);
		return NULL;
	}
	struct object_upload *under = f->under->ops->begin(f->under, name, e);
	if (!under) return NULL;
	struct object_upload *u = mem_alloc(sizeof *u);
	*u = (struct object_upload){f, under, mem_strndup(name.p, name.n)};
	return u;
}

static inline bool fault_append(struct object_upload *u, struct str piece, struct err *e)
{
	struct object_fault *f = u->f;
	bool done;
	if (!object_due(f, &done)) return f->under->ops->append(u->under, piece, e);
	if (done || f->f->kind == OBJECT_HALF)
		f->under->ops->append(u->under, str_sub(piece, 0, done ? piece.n : piece.n / 2), e);
	return object_error(f, e);
}

static inline void fault_abort(struct object_upload *u)
{
	u->f->under->ops->abort(u->under);
	free(u->name);
	free(u);
}

/* It may come to be even when that fails. */
static inline void object_begun(struct object_faults *x, const char *name)
{
	if (!x->clock) return;
	pthread_mutex_lock(&x->mu);
	if (!map_get(&x->times, str_c(name)))
		map_put(&x->times, arena_str(&x->names, str_c(name)), (void *)(uintptr_t)clock_wall(x->clock));
	pthread_mutex_unlock(&x->mu);
}

static inline bool fault_commit(struct object_upload *u, bool if_absent, struct err *e)
{
	struct object_fault *f = u->f;
	bool done, due = object_due(f, &done), ok = false;
	object_begun(f->f, u->name);
	if (!due || done)
		ok = f->under->ops->commit(u->under, if_absent, e);
	else
		f->under->ops->abort(u->under);
	free(u->name);
	free(u);
	return due ? object_error(f, e) : ok;
}

static inline bool fault_get(struct object_store *s, struct str name, uint64_t off, size_t n, struct buf *out,
			     struct err *e)
{
	struct object_fault *f = (struct object_fault *)s;
	bool done;
	if (!object_due(f, &done)) return f->under->ops->get(f->under, name, off, n, out, e);
	if (f->f->kind == OBJECT_HALF) f->under->ops->get(f->under, name, off, n / 2, out, e);
	return object_error(f, e);
}

static inline bool fault_read(struct object_store *s, struct str name, size_t max, struct buf *out, struct err *e)
{
	struct object_fault *f = (struct object_fault *)s;
	bool done;
	return object_due(f, &done) ? object_error(f, e) : f->under->ops->read(f->under, name, max, out, e);
}

struct fault_listing {
	struct object_fault *f;
	object_list_fn *fn;
	void *ud;
	size_t left; /* names until it breaks off */
};

static inline bool list_through(void *ud, const struct object_info *o)
{
	struct fault_listing *l = ud;
	struct object_faults *x = l->f->f;
	struct object_info mine = *o;
	pthread_mutex_lock(&x->mu);
	uintptr_t at = (uintptr_t)map_get(&x->times, o->name);
	pthread_mutex_unlock(&x->mu);
	if (at) mine.mtime = (int64_t)at;
	return l->left-- > 0 && l->fn(l->ud, &mine);
}

static inline bool fault_list(struct object_store *s, struct str prefix, object_list_fn *fn, void *ud, struct err *e)
{
	struct object_fault *f = (struct object_fault *)s;
	bool done, due = object_due(f, &done);
	struct fault_listing l = {f, fn, ud, due ? 1 : SIZE_MAX};
	bool ok = (!due || f->f->kind == OBJECT_HALF) && f->under->ops->list(f->under, prefix, list_through, &l, e);
	return due ? object_error(f, e) : ok;
}

static inline bool fault_dirs(struct object_store *s, struct str prefix, object_dir_fn *fn, void *ud, struct err *e)
{
	struct object_fault *f = (struct object_fault *)s;
	bool done;
	return object_due(f, &done) ? object_error(f, e) : f->under->ops->dirs(f->under, prefix, fn, ud, e);
}

static inline bool fault_remove(struct object_store *s, struct str name, struct err *e)
{
	struct object_fault *f = (struct object_fault *)s;
	bool done, due = object_due(f, &done);
	bool ok = (!due || done) && f->under->ops->remove(f->under, name, e);
	return due ? object_error(f, e) : ok;
}

static inline void fault_free(struct object_store *s)
{
	object_close(((struct object_fault *)s)->under);
	free(s);
}

static inline struct object_store *object_fault_new(struct object_store *under, struct object_faults *faults)
{
	static const struct object_ops ops = {.begin = fault_begin,
					      .append = fault_append,
					      .commit = fault_commit,
					      .abort = fault_abort,
					      .get = fault_get,
					      .read = fault_read,
					      .list = fault_list,
					      .dirs = fault_dirs,
					      .remove = fault_remove,
					      .free = fault_free};
	struct object_fault *f = mem_zalloc(sizeof *f);
	f->base.ops = &ops;
	f->under = under;
	f->f = faults;
	return &f->base;
}

/* ---- a file system that forgets ----
 *
 * It keeps what would be there after a power cut: bytes of files as of their last datasync, names of directories as of
 * their last sync. power_restore() makes a directory of what is left, in one of three ways. */

enum power_loss {
	POWER_STRICT, /* nothing that was not synced survives */
	POWER_MIXED,  /* every name and every file by itself does or does not; files may have lost only their middle */
	POWER_KEPT,   /* everything does: a kill */
	POWER_LOSSES
};

struct power_file {
	ino_t ino;
	struct buf bytes; /* durable */
	int kept;         /* a descriptor, so that the number is not given away again */
};

struct power_name {
	char *dir, *name; /* durable name in a directory (its path) */
	ino_t ino;
	bool is_dir, gone; /* gone: replaced by the directory's next listing */
};

struct power {
	struct fs base; /* first */
	struct trigger t;
	_Atomic bool off;
	pthread_mutex_t mu; /* guards what follows */
	struct power_file *files;
	size_t nfiles, cap_files;
	struct power_name *names;
	size_t nnames, cap_names;
};

static inline bool power_fails(struct fs *fs)
{
	struct power *w = (struct power *)fs;
	if (trigger_pull(&w->t)) w->off = true;
	if (w->off) errno = EIO;
	return w->off;
}

/* Under the lock. */
static inline struct power_file *power_file(struct power *w, ino_t ino, bool make)
{
	for (size_t i = 0; i < w->nfiles; i++) {
		if (w->files[i].ino == ino) return &w->files[i];
	}
	if (!make) return NULL;
	MEM_GROW(w->files, w->nfiles, w->cap_files);
	w->files[w->nfiles] = (struct power_file){.ino = ino, .kept = -1};
	return &w->files[w->nfiles++];
}

static inline int power_open(struct fs *fs, const char *path, int flags, mode_t mode)
{
	if (flags & (O_CREAT | O_WRONLY | O_RDWR) && power_fails(fs)) return -1;
	return open(path, flags, mode);
}

static inline ssize_t power_write(struct fs *fs, int fd, const void *p, size_t n)
{
	return power_fails(fs) ? -1 : write(fd, p, n);
}

static inline ssize_t power_pwrite(struct fs *fs, int fd, const void *p, size_t n, off_t off)
{
	return power_fails(fs) ? -1 : pwrite(fd, p, n, off);
}

static inline int power_truncate(struct fs *fs, int fd, off_t n) { return power_fails(fs) ? -1 : ftruncate(fd, n); }

static inline void read_whole(const char *path, struct buf *out)
{
	struct err e = ERR_INIT;
	buf_clear(out);
	if (!fs_read_file(&fs_real, path, SIZE_MAX / 2, out, &e)) buf_clear(out);
}

static inline int power_datasync(struct fs *fs, int fd)
{
	struct power *w = (struct power *)fs;
	struct stat st;
	char path[64];
	if (power_fails(fs) || fstat(fd, &st) != 0) return -1;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	pthread_mutex_lock(&w->mu);
	read_whole(path, &power_file(w, st.st_ino, true)->bytes);
	pthread_mutex_unlock(&w->mu);
	return 0;
}

static inline int power_sync(struct fs *fs, int fd)
{
	struct power *w = (struct power *)fs;
	char link[64], dir[4096];
	struct fs_list l;
	struct buf path = {0};
	struct err e = ERR_INIT;
	if (power_fails(fs)) return -1;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, dir, sizeof dir - 1);
	assert_true(n > 0);
	dir[n] = 0;
	pthread_mutex_lock(&w->mu);
	for (size_t i = 0; i < w->nnames; i++) {
		if (strcmp(w->names[i].dir, dir) == 0) w->names[i].gone = true;
	}
	assert_true(fs_list(dir, &l, &e));
	for (size_t i = 0; i < l.n; i++) {
		struct stat st;
		fs_path(&path, dir, l.v[i]);
		if (stat(path.p, &st) != 0) continue;
		MEM_GROW(w->names, w->nnames, w->cap_names);
		w->names[w->nnames++] =
			(struct power_name){mem_strdup(dir), mem_strdup(l.v[i]), st.st_ino, S_ISDIR(st.st_mode), false};
	}
	pthread_mutex_unlock(&w->mu);
	fs_list_free(&l);
	buf_free(&path);
	return 0;
}

/* A file that loses its last name keeps its number. */
static inline void power_keep(struct power *w, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return;
	pthread_mutex_lock(&w->mu);
	if (fstat(fd, &st) == 0) {
		struct power_file *f = power_file(w, st.st_ino, true);
		if (f->kept < 0) {
			f->kept = fd;
			fd = -1;
		}
	}
	pthread_mutex_unlock(&w->mu);
	if (fd >= 0) close(fd);
}

static inline int power_rename(struct fs *fs, const char *from, const char *to)
{
	if (power_fails(fs)) return -1;
	power_keep((struct power *)fs, to);
	return rename(from, to);
}

static inline int power_link(struct fs *fs, const char *from, const char *to)
{
	return power_fails(fs) ? -1 : link(from, to);
}

static inline int power_unlink(struct fs *fs, const char *path)
{
	if (power_fails(fs)) return -1;
	power_keep((struct power *)fs, path);
	return unlink(path);
}

static inline int power_mkdir(struct fs *fs, const char *path, mode_t mode)
{
	return power_fails(fs) ? -1 : mkdir(path, mode);
}

static inline void power_init(struct power *w)
{
	memset(w, 0, sizeof *w);
	w->base = fs_real;
	w->base.open = power_open;
	w->base.write = power_write;
	w->base.pwrite = power_pwrite;
	w->base.truncate = power_truncate;
	w->base.datasync = power_datasync;
	w->base.sync = power_sync;
	w->base.rename = power_rename;
	w->base.link = power_link;
	w->base.unlink = power_unlink;
	w->base.mkdir = power_mkdir;
	w->t.left = -1;
	pthread_mutex_init(&w->mu, NULL);
}

/* What is in the directory is durable. */
static inline void power_seed(struct power *w, const char *dir)
{
	struct fs_list l;
	struct buf path = {0};
	struct err e = ERR_INIT;
	int fd = open(dir, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	power_sync(&w->base, fd);
	close(fd);
	assert_true(fs_list(dir, &l, &e));
	for (size_t i = 0; i < l.n; i++) {
		struct stat st;
		fs_path(&path, dir, l.v[i]);
		assert_int_equal(stat(path.p, &st), 0);
		if (S_ISDIR(st.st_mode))
			power_seed(w, path.p);
		else
			read_whole(path.p, &power_file(w, st.st_ino, true)->bytes);
	}
	fs_list_free(&l);
	buf_free(&path);
}

static inline void power_fini(struct power *w)
{
	for (size_t i = 0; i < w->nfiles; i++) {
		buf_free(&w->files[i].bytes);
		if (w->files[i].kept >= 0) close(w->files[i].kept);
	}
	for (size_t i = 0; i < w->nnames; i++) {
		free(w->names[i].dir);
		free(w->names[i].name);
	}
	free(w->files);
	free(w->names);
	pthread_mutex_destroy(&w->mu);
}

/* What is left of a file of which `now` is in the page cache. */
static inline void power_content(struct power *w, ino_t ino, struct buf *now, enum power_loss loss, struct rnd *r)
{
	struct power_file *f = power_file(w, ino, false);
	struct str durable = f ? buf_view(&f->bytes) : STR_NULL;
	uint64_t how = loss == POWER_STRICT ? 0 : loss == POWER_KEPT ? 1 : rnd(r, 4);
	if (how == 1) return;
	if (how == 0 || now->n < durable.n) {
		buf_clear(now);
		buf_str(now, durable);
	} else if (how == 2) { /* the length is there, the bytes are not */
		memset(now->p + durable.n, 0, now->n - durable.n);
	} else if (how == 3) {
		now->n = durable.n + (size_t)rnd(r, now->n - durable.n + 1);
	}
}

static inline const struct power_name *power_name(const struct power *w, const char *dir, const char *name)
{
	for (size_t i = 0; i < w->nnames; i++) {
		const struct power_name *p = &w->names[i];
		if (!p->gone && strcmp(p->dir, dir) == 0 && strcmp(p->name, name) == 0) return p;
	}
	return NULL;
}

static inline void power_restore_dir(struct power *w, const char *from, const char *to, enum power_loss loss,
				     struct rnd *r);

static inline void power_restore_name(struct power *w, const char *from, const char *to, const char *name,
				      enum power_loss loss, struct rnd *r)
{
	struct buf a = {0}, b = {0}, bytes = {0};
	struct stat st;
	const struct power_name *durable = power_name(w, from, name);
	fs_path(&a, from, name);
	fs_path(&b, to, name);
	bool now = stat(a.p, &st) == 0, use_now = loss == POWER_KEPT || (loss == POWER_MIXED && rnd(r, 2));
	if (use_now ? now : durable != NULL) {
		bool is_dir = use_now ? S_ISDIR(st.st_mode) : durable->is_dir;
		ino_t ino = use_now ? st.st_ino : durable->ino;
		if (is_dir) {
			power_restore_dir(w, a.p, b.p, loss, r);
		} else {
			const struct power_file *f = power_file(w, ino, false);
			char kept[64];
			snprintf(kept, sizeof kept, "/proc/self/fd/%d", f ? f->kept : -1);
			read_whole(now && st.st_ino == ino ? a.p : kept, &bytes);
			power_content(w, ino, &bytes, loss, r);
			put_file(b.p, buf_view(&bytes));
		}
	}
	buf_free(&a);
	buf_free(&b);
	buf_free(&bytes);
}

static inline void power_restore_dir(struct power *w, const char *from, const char *to, enum power_loss loss,
				     struct rnd *r)
{
	struct fs_list l;
	struct err e = ERR_INIT;
	mkdir(to, 0700);
	for (size_t i = 0; i < w->nnames; i++) { /* names that are gone since */
		struct buf path = {0};
		if (w->names[i].gone || strcmp(w->names[i].dir, from) != 0) continue;
		fs_path(&path, from, w->names[i].name);
		if (access(path.p, F_OK) != 0) power_restore_name(w, from, to, w->names[i].name, loss, r);
		buf_free(&path);
	}
	if (!fs_list(from, &l, &e)) return;
	for (size_t i = 0; i < l.n; i++) power_restore_name(w, from, to, l.v[i], loss, r);
	fs_list_free(&l);
}

/* What a power cut leaves of dir, made at `to`. When nothing uses the file system any more. */
static inline void power_restore(struct power *w, const char *dir, const char *to, enum power_loss loss, uint64_t seed)
{
	struct rnd r = {seed};
	power_restore_dir(w, dir, to, loss, &r);
}

#endif
