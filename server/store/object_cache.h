/* SPDX-License-Identifier: GPL-2.0-or-later */
/* object_cache: a local cache, bounded in bytes, in front of an object store that is far away.
 *
 * Objects never change, so what was read once need not be fetched again. Ranges are kept in pages of a mebibyte, one
 * file each with checksums of its 64 KiB pieces (docs/FORMATS.md, Cached pages); missing pages that lie side by side
 * are fetched by one request; whoever wants a page that is on its way waits for it. An upload leaves its pages behind
 * when it is committed. The pages used longest ago go first. Files are not synced: after a crash or a restart what is
 * found counts if its checksums hold, and a page that does not is fetched again. When a page cannot be written (the
 * disk is full, or less than a tenth of it would be left) it is served without being kept.
 *
 * Only ranged reads of objects whose names contain `only` go through the cache; all else is passed on. Thread-safe;
 * one mutex, not held while files are read or written or the store is asked. */
#ifndef LARCH_SERVER_STORE_OBJECT_CACHE_H
#define LARCH_SERVER_STORE_OBJECT_CACHE_H

#include "server/store/object.h"

#define OBJECT_CACHE_VERSION 1
#define OBJECT_CACHE_PAGE    (1u << 20)
#define OBJECT_CACHE_PIECE   (64u << 10)

struct object_cache_config {
	struct object_store *under; /* freed with the cache, also when it cannot be opened */
	struct fs *fs;
	const char *dir;    /* the cache's own; made when absent */
	uint64_t max_bytes; /* of the files */
	const char *only;
};

struct object_cache_figures {
	uint64_t hits, misses; /* pages */
	uint64_t fetched;      /* bytes */
	uint64_t bytes, pages; /* now */
};

struct object_store *object_cache_open(const struct object_cache_config *c, struct err *e);
void object_cache_figures(struct object_store *s, struct object_cache_figures *out);

#endif
