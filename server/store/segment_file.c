/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/segment_file.h"

#include <sys/stat.h>

static bool get(struct object_store *o, struct str name, uint64_t off, size_t n, struct buf *out, struct err *e)
{
	struct segment_file *f = (struct segment_file *)o;
	buf_reserve(out, n);
	if (!fs_pread(f->fs, f->fd, out->p + out->n, n, (off_t)off, e)) return err_wrap(e, "%.*s", STR_ARG(name));
	out->n += n;
	return true;
}

static const struct object_ops ops = {.get = get};

/* The first bytes, which reading does not need otherwise. */
static bool check_header(struct segment_file *f, struct err *e)
{
	struct buf b = {0};
	bool ok = f->seg->size >= SEGMENT_HEADER && get(&f->base, str_c(f->seg->name), 0, SEGMENT_HEADER, &b, e);
	if (e->code == ERR_NONE && (!ok || memcmp(b.p, segment_magic, 8) != 0))
		ok = err_set(e, ERR_CORRUPT, "%s is no segment: it does not begin with %s", f->seg->name,
			     segment_magic);
	buf_free(&b);
	return ok;
}

bool segment_file_open(struct segment_file *f, struct fs *fs, const char *path, struct err *e)
{
	struct stat st;
	*f = (struct segment_file){.base.ops = &ops, .fs = fs};
	f->fd = fs_open(fs, path, O_RDONLY, 0, e);
	if (f->fd < 0) return false;
	f->cache = cache_new(0);
	f->seg = segment_new(&f->base, f->cache, str_c(path));
	bool ok = fstat(f->fd, &st) == 0 || err_errno(e, "%s", path);
	f->seg->size = ok ? (uint64_t)st.st_size : 0;
	if (ok && check_header(f, e)) return true;
	segment_file_close(f);
	return false;
}

void segment_file_close(struct segment_file *f)
{
	segment_unref(f->seg);
	cache_free(f->cache);
	fs_close(f->fs, f->fd);
}
