/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wal: the files of the write-ahead log: framing, appending, reading back (docs/FORMATS.md, Write-ahead log).
 *
 * A file belongs to one writer, a random number drawn at process start that also keys every checksum, so that bytes
 * inside a logged line can never pass for a record. Records carry a sequence number that the writer uses once.
 * Appending: what is written counts from wal_mark() on; after a failure the file is cut back to the last mark and
 * closed, and the next append opens a new one. A failed fsync is never tried again on the same file.
 * Files are reference-counted (the writer, the reader, each generation with records in one) and removed with the
 * last reference. One thread per struct, but for the counts. */
#ifndef LARCH_SERVER_INGEST_WAL_H
#define LARCH_SERVER_INGEST_WAL_H

#include "common/fs.h"

#include <stdatomic.h>

#define WAL_VERSION       2 /* 1 is read too */
#define WAL_FILE_HEADER   48
#define WAL_RECORD_HEADER 48
#define WAL_RECORD_MAX    (1u << 30) /* bytes of a payload */

struct wal_file {
	_Atomic uint32_t refs;
	struct fs *fs;
	char *path;
	uint64_t number;
	bool keep; /* not removed with the last reference */
};

struct wal_file *wal_file_new(struct fs *fs, const char *dir, uint64_t number);
struct wal_file *wal_file_ref(struct wal_file *f);
void wal_file_unref(struct wal_file *f);
/* Numbers of the files in dir, ascending; free(*v). */
bool wal_files(const char *dir, uint64_t **v, size_t *n, struct err *e);

/* ---- records ---- */

/* rec: WAL_RECORD_HEADER bytes of room, then the payload. First on the thread that made the payload, */
void wal_record_sum(struct buf *rec, uint64_t writer);
/* then, when its number is known. */
void wal_record_number(struct buf *rec, uint64_t writer, uint64_t seq, uint32_t floor);
/* What it was given: the number of the tenant's newest delete request. rec: as read back. */
uint32_t wal_record_floor(const struct buf *rec);

/* ---- appending ---- */

struct wal {
	struct fs *fs;
	const char *dir;
	uint64_t writer, next_number, segment_bytes;
	int64_t created;       /* put into file headers */
	struct wal_file *file; /* open, or NULL */
	int fd;
	uint64_t size, marked;
	struct buf small; /* short records, written together */
};

void wal_init(struct wal *w, struct fs *fs, const char *dir, uint64_t writer, uint64_t segment_bytes);
/* Opens a new file when none is open or the open one is full. first_seq: of the next record. */
bool wal_prepare(struct wal *w, uint64_t first_seq, struct err *e);
bool wal_append(struct wal *w, struct str record, struct err *e); /* may be held back until wal_push() */
bool wal_push(struct wal *w, struct err *e);
bool wal_sync(struct wal *w, struct err *e);
static inline void wal_mark(struct wal *w) { w->marked = w->size; }
static inline bool wal_is_full(const struct wal *w) { return w->file && w->size >= w->segment_bytes; }
void wal_cut(struct wal *w);   /* back to the mark, after a failure; to be closed then */
void wal_close(struct wal *w); /* the file is complete; what is not synced may be lost */
void wal_fini(struct wal *w);  /* closes too */

/* ---- reading ---- */

enum wal_read_kind {
	WAL_READ_RECORD,
	WAL_READ_DAMAGED, /* [off, off + len) is no record; reading goes on behind it */
	WAL_READ_TORN,    /* the file ends at off within a record: what a crash leaves; the end */
	WAL_READ_END,
	WAL_READ_ERROR /* the file cannot be read */
};

struct wal_reader {
	struct fs *fs;
	int fd;
	uint64_t size, off, writer;
	uint64_t first_seq; /* of the first record, as the header has it; 0: the header is damaged */
	bool have_writer;
};

bool wal_read_open(struct wal_reader *r, struct fs *fs, const char *path, struct err *e);
/* payload: room for the header, then the payload, as it was appended. */
enum wal_read_kind wal_read_next(struct wal_reader *r, uint64_t *seq, struct buf *rec, uint64_t *off, uint64_t *len,
				 struct err *e);
void wal_read_close(struct wal_reader *r);

#endif
