/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_file: a segment that is a file anywhere, for tools: nothing beside it is read or written.
 *
 * The name is the path. One thread. */
#ifndef LARCH_SERVER_STORE_SEGMENT_FILE_H
#define LARCH_SERVER_STORE_SEGMENT_FILE_H

#include "server/store/segment.h"

struct segment_file {
	struct object_store base; /* reads the one file, by any name */
	struct fs *fs;
	int fd;
	struct cache *cache;
	struct segment *seg;
};

/* False: it cannot be opened, or is no segment of a version that can be read; nothing is to be closed then. */
bool segment_file_open(struct segment_file *f, struct fs *fs, const char *path, struct err *e);
void segment_file_close(struct segment_file *f);

#endif
