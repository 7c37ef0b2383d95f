/* SPDX-License-Identifier: GPL-2.0-or-later */
/* open_files: files open for reading, kept open for who reads the next part of them.
 *
 * A few of the latest; one that was removed or replaced meanwhile is noticed and opened again, so that reading is as
 * if the file had been opened each time. Not used for a minute, it is closed when another is asked for, lest it hold
 * the space of a file that another process has removed. Threads: any; one mutex, not held while files are opened or
 * read. */
#ifndef LARCH_SERVER_STORE_OPEN_FILES_H
#define LARCH_SERVER_STORE_OPEN_FILES_H

#include "common/clock.h"
#include "common/fs.h"

struct open_files;
struct open_file;

struct open_files *open_files_new(struct fs *fs, struct clock *clock, size_t max);
void open_files_free(struct open_files *o); /* none may be held */
/* Held until open_file_done(). NULL: as fs_open() fails. *size is that of now. */
struct open_file *open_file_get(struct open_files *o, const char *path, uint64_t *size, struct err *e);
int open_file_fd(const struct open_file *f);
void open_file_done(struct open_files *o, struct open_file *f);
/* Closes it, if it is open, as soon as nobody holds it. */
void open_file_drop(struct open_files *o, const char *path);

#endif
