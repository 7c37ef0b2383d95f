/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/object.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/units.h"
#include "server/store/open_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TMP_DIR    ".uploads" /* unfinished objects */
#define LOCK_NAME  ".lock"
#define OPEN_FILES 64

struct object_fs {
	struct object_store base;
	struct fs *fs;
	char *dir;
	int lock;
	struct open_files *files;
};

struct object_upload {
	struct object_fs *s;
	char *name, *tmp;
	int fd;
};

bool object_put(struct object_store *s, struct str name, struct str data, bool if_absent, struct err *e)
{
	struct object_upload *u = s->ops->begin(s, name, e);
	if (!u) return false;
	if (!s->ops->append(u, data, e)) {
		s->ops->abort(u);
		return false;
	}
	return s->ops->commit(u, if_absent, e);
}

bool object_get(struct object_store *s, struct str name, uint64_t off, size_t n, struct buf *out, struct err *e)
{
	size_t at = out->n;
	if (!s->ops->get(s, name, off, n, out, e)) return false;
	if (out->n - at == n) return true;
	err_set(e, ERR_CORRUPT, "object %.*s is cut off: %zu of %zu bytes at offset %llu", STR_ARG(name), out->n - at,
		n, (unsigned long long)off);
	out->n = at;
	return false;
}

static char *path_of(struct object_fs *s, struct str name)
{
	struct buf b = {0};
	buf_printf(&b, "%s/%.*s", s->dir, STR_ARG(name));
	buf_cstr(&b);
	return b.p;
}

static bool make_parent(struct object_fs *s, const char *path, struct err *e)
{
	struct stat st;
	char *dir = mem_strdup(path);
	*strrchr(dir, '/') = 0;
	bool ok = stat(dir, &st) == 0 || fs_mkdirs(s->fs, dir, 0750, e);
	free(dir);
	return ok;
}

static struct object_upload *fs_begin(struct object_store *base, struct str name, struct err *e)
{
	struct object_fs *s = (struct object_fs *)base;
	struct buf tmp = {0};
	buf_printf(&tmp, "%s/" TMP_DIR "/%016llx", s->dir, (unsigned long long)clock_rnd(&clock_real));
	int fd = fs_open(s->fs, buf_cstr(&tmp), O_WRONLY | O_CREAT | O_EXCL, 0640, e);
	if (fd < 0) {
		buf_free(&tmp);
		err_wrap(e, "object %.*s", STR_ARG(name));
		return NULL;
	}
	struct object_upload *u = mem_zalloc(sizeof *u);
	*u = (struct object_upload){.s = s, .name = path_of(s, name), .tmp = tmp.p, .fd = fd};
	return u;
}

static bool fs_append(struct object_upload *u, struct str piece, struct err *e)
{
	return fs_write(u->s->fs, u->fd, piece.p, piece.n, e) || err_wrap(e, "object %s", u->name);
}

static void upload_free(struct object_upload *u, bool remove_tmp)
{
	struct err ignored = ERR_INIT;
	if (u->fd >= 0) fs_close(u->s->fs, u->fd);
	if (remove_tmp) fs_unlink(u->s->fs, u->tmp, &ignored);
	free(u->name);
	free(u->tmp);
	free(u);
}

static void fs_abort(struct object_upload *u) { upload_free(u, true); }

static bool sync_parent(struct object_upload *u, struct err *e)
{
	char *dir = mem_strdup(u->name);
	*strrchr(dir, '/') = 0;
	bool ok = fs_sync_dir(u->s->fs, dir, e);
	free(dir);
	return ok;
}

/* What is there already is relied upon from now on, and whoever put it may have failed to sync its name; what cannot be
 * made durable goes again, before somebody relies on it. */
static bool fs_commit(struct object_upload *u, bool if_absent, struct err *e)
{
	struct fs *fs = u->s->fs;
	struct err why = ERR_INIT, ignored = ERR_INIT;
	bool ok = fs_sync(fs, u->fd, e) && make_parent(u->s, u->name, e);
	if (ok && if_absent)
		ok = fs->link(fs, u->tmp, u->name) == 0 || err_errno(e, "%s", u->name);
	else if (ok)
		ok = fs_rename(fs, u->tmp, u->name, e);
	if ((ok || e->code == ERR_EXISTS) && !sync_parent(u, &why)) {
		if (ok && if_absent) fs_unlink(fs, u->name, &ignored);
		*e = why;
		ok = false;
	}
	upload_free(u, if_absent || !ok);
	return ok;
}

static bool fs_get(struct object_store *base, struct str name, uint64_t off, size_t n, struct buf *out, struct err *e)
{
	struct object_fs *s = (struct object_fs *)base;
	char *path = path_of(s, name);
	uint64_t size;
	struct open_file *f = open_file_get(s->files, path, &size, e);
	bool ok = f != NULL;
	if (ok) {
		uint64_t left = off < size ? size - off : 0;
		if (n > left) n = (size_t)left;
		buf_reserve(out, n);
		ok = fs_pread(s->fs, open_file_fd(f), out->p + out->n, n, (off_t)off, e);
		if (ok)
			out->n += n;
		else
			err_wrap(e, "%s", path);
		open_file_done(s->files, f);
	}
	free(path);
	return ok;
}

static bool fs_read(struct object_store *base, struct str name, size_t max, struct buf *out, struct err *e)
{
	struct object_fs *s = (struct object_fs *)base;
	char *path = path_of(s, name);
	bool ok = fs_read_file(s->fs, path, max, out, e);
	free(path);
	return ok;
}

/* Depth first in name order. Directories deeper than any name we make are not entered. */
static bool list_dir(struct object_fs *s, const char *rel, struct str prefix, int depth, object_list_fn *fn, void *ud,
		     bool *stop, struct err *e)
{
	struct fs_list l;
	struct buf path = {0}, name = {0};
	fs_path(&path, s->dir, rel);
	struct stat st;
	if (stat(path.p, &st) != 0) {
		bool absent = errno == ENOENT || err_errno(e, "%s", path.p);
		buf_free(&path);
		return absent;
	}
	bool ok = fs_list(path.p, &l, e);
	for (size_t i = 0; ok && !*stop && i < l.n; i++) {
		if (str_eqc(str_c(l.v[i]), TMP_DIR) || str_eqc(str_c(l.v[i]), LOCK_NAME)) continue;
		buf_clear(&name);
		if (*rel) buf_printf(&name, "%s/", rel);
		buf_c(&name, l.v[i]);
		struct str full = buf_view(&name);
		size_t both = full.n < prefix.n ? full.n : prefix.n;
		if (memcmp(full.p, prefix.p, both) != 0) continue;
		fs_path(&path, s->dir, buf_cstr(&name));
		if (stat(path.p, &st) != 0) continue; /* removed meanwhile */
		if (S_ISDIR(st.st_mode)) {
			if (depth < 8) ok = list_dir(s, name.p, prefix, depth + 1, fn, ud, stop, e);
		} else if (full.n >= prefix.n) {
			struct object_info o = {full, (uint64_t)st.st_size,
						st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec};
			*stop = !fn(ud, &o);
		}
	}
	fs_list_free(&l);
	buf_free(&path);
	buf_free(&name);
	return ok;
}

/* Starts in the deepest directory that the prefix names. */
static bool fs_list_objects(struct object_store *base, struct str prefix, object_list_fn *fn, void *ud, struct err *e)
{
	bool stop = false;
	ssize_t cut = str_rchr(prefix, '/');
	char *rel = mem_strndup(prefix.p ? prefix.p : "", cut > 0 ? (size_t)cut : 0);
	bool ok = list_dir((struct object_fs *)base, rel, prefix, 0, fn, ud, &stop, e);
	free(rel);
	return ok;
}

static bool fs_dirs(struct object_store *base, struct str prefix, object_dir_fn *fn, void *ud, struct err *e)
{
	struct object_fs *s = (struct object_fs *)base;
	struct fs_list l = {0};
	struct buf path = {0};
	struct stat st;
	char *dir = path_of(s, prefix);
	bool ok = (stat(dir, &st) != 0 && errno == ENOENT) || fs_list(dir, &l, e);
	for (size_t i = 0; ok && i < l.n; i++) {
		if (str_eqc(str_c(l.v[i]), TMP_DIR)) continue;
		fs_path(&path, dir, l.v[i]);
		if (stat(path.p, &st) == 0 && S_ISDIR(st.st_mode) && !fn(ud, str_c(l.v[i]))) break;
	}
	fs_list_free(&l);
	buf_free(&path);
	free(dir);
	return ok;
}

static bool fs_remove(struct object_store *base, struct str name, struct err *e)
{
	struct object_fs *s = (struct object_fs *)base;
	char *path = path_of(s, name);
	open_file_drop(s->files, path);
	bool ok = fs_unlink(s->fs, path, e);
	free(path);
	return ok;
}

static void fs_free(struct object_store *base)
{
	struct object_fs *s = (struct object_fs *)base;
	if (s->lock >= 0) fs_unlock(s->lock);
	open_files_free(s->files);
	free(s->dir);
	free(s);
}

static const struct object_ops ops = {
	.begin = fs_begin,
	.append = fs_append,
	.commit = fs_commit,
	.abort = fs_abort,
	.get = fs_get,
	.read = fs_read,
	.list = fs_list_objects,
	.dirs = fs_dirs,
	.remove = fs_remove,
	.free = fs_free,
};

static bool sweep_uploads(struct object_fs *s, const char *tmp, bool shared, struct err *e)
{
	struct fs_list l;
	struct buf path = {0};
	struct stat st;
	int64_t now = clock_wall(&clock_real) / UNITS_SEC;
	if (!fs_list(tmp, &l, e)) return false;
	for (size_t i = 0; i < l.n; i++) {
		struct err ignored = ERR_INIT;
		fs_path(&path, tmp, l.v[i]);
		if (shared && (stat(path.p, &st) != 0 || now - st.st_mtime < UNITS_DAY / UNITS_SEC)) continue;
		if (!fs_unlink(s->fs, path.p, &ignored))
			log_warn("cannot remove an unfinished upload", kv_err(&ignored));
	}
	fs_list_free(&l);
	buf_free(&path);
	return true;
}

static bool take_lock(struct object_fs *s, bool shared, struct err *e)
{
	s->lock = (shared ? fs_lock_shared : fs_lock)(s->dir, LOCK_NAME, e);
	if (s->lock < 0 && e->code == ERR_EXISTS)
		err_set(e, ERR_EXISTS,
			"store directory %s is in use by another process%s; name it in larch.store_dir of every server "
			"that uses it, or choose another directory",
			s->dir, shared ? ", which takes it for its own" : "");
	return s->lock >= 0;
}

struct object_store *object_fs_open(struct fs *fs, const char *dir, bool shared, struct err *e)
{
	struct object_fs *s = mem_zalloc(sizeof *s);
	struct buf tmp = {0};
	*s = (struct object_fs){.base.ops = &ops, .fs = fs, .dir = mem_strdup(dir), .lock = -1};
	s->files = open_files_new(fs, &clock_real, OPEN_FILES);
	fs_path(&tmp, dir, TMP_DIR);
	bool ok = fs_mkdirs(fs, tmp.p, 0750, e) && take_lock(s, shared, e) && sweep_uploads(s, tmp.p, shared, e);
	buf_free(&tmp);
	if (ok) return &s->base;
	fs_free(&s->base);
	return NULL;
}
