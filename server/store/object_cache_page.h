/* SPDX-License-Identifier: GPL-2.0-or-later */
/* object_cache_page: one file of the object cache: a page of an object behind a header with checksums
 * (docs/FORMATS.md, Cached pages). Stateless; any thread. */
#ifndef LARCH_SERVER_STORE_OBJECT_CACHE_PAGE_H
#define LARCH_SERVER_STORE_OBJECT_CACHE_PAGE_H

#include "common/arena.h"
#include "server/store/object_cache.h"

#define OBJECT_CACHE_HEADER 4096u  /* bytes before the data */
#define OBJECT_CACHE_TMP    "new-" /* in front of the name of a file that is being written */

static inline uint64_t object_cache_file_size(uint32_t len) { return OBJECT_CACHE_HEADER + (uint64_t)len; }

/* data: 1 to OBJECT_CACHE_PAGE bytes. Not synced. */
bool object_cache_page_write(struct fs *fs, const char *path, struct str name, uint32_t index, struct str data,
			     struct err *e);
/* Appends n bytes from `at` on, whose checksums hold. ERR_NOT_FOUND: no file; ERR_CORRUPT: not this page, or not as
 * it was written. */
bool object_cache_page_read(struct fs *fs, const char *path, struct str name, uint32_t index, size_t at, size_t n,
			    struct buf *out, struct err *e);
/* What is in the file, by its header; false: nothing of use. */
bool object_cache_page_open(struct fs *fs, const char *path, struct arena *a, struct str *name, uint32_t *index,
			    uint32_t *len, int64_t *mtime);

#endif
