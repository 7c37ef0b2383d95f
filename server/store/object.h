/* SPDX-License-Identifier: GPL-2.0-or-later */
/* object: the small interface to where segments and catalogs are kept: whole immutable objects by name.
 *
 * Names are relative paths of [A-Za-z0-9._%!*'()-] parts. An object appears whole and durably or not at all.
 * commit with if_absent is put-if-absent (S3: If-None-Match), on which the catalog's safety rests; ERR_EXISTS is said
 * of what is durable only. Errors name the object. Thread-safe.
 * object_fs keeps them as files under a directory: temp file, fdatasync, link or rename, directory sync. */
#ifndef LARCH_SERVER_STORE_OBJECT_H
#define LARCH_SERVER_STORE_OBJECT_H

#include "common/buf.h"
#include "common/err.h"
#include "common/fs.h"

struct object_info {
	struct str name; /* whole, with the prefix */
	uint64_t size;
	int64_t mtime; /* ns */
};
typedef bool object_list_fn(void *ud, const struct object_info *o); /* false: stop */

typedef bool object_dir_fn(void *ud, struct str name);              /* false: stop */

struct object_store;
struct object_upload;

struct object_ops {
	/* An object in pieces, for what is too large to be built in memory. */
	struct object_upload *(*begin)(struct object_store *, struct str name, struct err *e);
	bool (*append)(struct object_upload *, struct str piece, struct err *e);
	bool (*commit)(struct object_upload *, bool if_absent, struct err *e); /* frees; lost the race: ERR_EXISTS */
	void (*abort)(struct object_upload *);                                 /* frees */
	/* What there is of n bytes from off on, appended to out: fewer only where the object ends. Absent:
	 * ERR_NOT_FOUND. */
	bool (*get)(struct object_store *, struct str name, uint64_t off, size_t n, struct buf *out, struct err *e);
	bool (*read)(struct object_store *, struct str name, size_t max, struct buf *out, struct err *e); /* whole */
	/* In byte order of the names. */
	bool (*list)(struct object_store *, struct str prefix, object_list_fn *fn, void *ud, struct err *e);
	/* The distinct first parts of names behind the prefix ("" or ending in '/') that have a further part, in order:
	 * S3's common prefixes, without the '/'. */
	bool (*dirs)(struct object_store *, struct str prefix, object_dir_fn *fn, void *ud, struct err *e);
	bool (*remove)(struct object_store *, struct str name, struct err *e); /* absent is no error */
	void (*free)(struct object_store *);
};

struct object_store {
	const struct object_ops *ops;
};

bool object_put(struct object_store *s, struct str name, struct str data, bool if_absent, struct err *e);

/* n bytes from off on, appended to out; fewer there: ERR_CORRUPT, and out is as it was. */
bool object_get(struct object_store *s, struct str name, uint64_t off, size_t n, struct buf *out, struct err *e);

static inline bool object_read(struct object_store *s, struct str name, size_t max, struct buf *out, struct err *e)
{
	return s->ops->read(s, name, max, out, e);
}
static inline bool object_list(struct object_store *s, struct str prefix, object_list_fn *fn, void *ud, struct err *e)
{
	return s->ops->list(s, prefix, fn, ud, e);
}
static inline bool object_dirs(struct object_store *s, struct str prefix, object_dir_fn *fn, void *ud, struct err *e)
{
	return s->ops->dirs(s, prefix, fn, ud, e);
}
static inline bool object_remove(struct object_store *s, struct str name, struct err *e)
{
	return s->ops->remove(s, name, e);
}
static inline void object_close(struct object_store *s)
{
	if (s) s->ops->free(s);
}

/* Files under dir, which is made when absent and locked: for this process alone, or together with others that call it
 * shared too (ERR_EXISTS). What an interrupted upload left is removed; when shared, if it is a day old. */
struct object_store *object_fs_open(struct fs *fs, const char *dir, bool shared, struct err *e);

#endif
