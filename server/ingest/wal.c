/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/ingest/wal.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

static const char file_magic[9] = "LARCHWAL";
static const char record_magic[5] = "LWRC";

#define SMALL    (32u << 10)  /* records below this are gathered */
#define SMALL_AT (256u << 10) /* and written at this many bytes */
#define SCAN     (64u << 10)  /* bytes read at a time when looking for the next record */

/* ---- files ---- */

struct wal_file *wal_file_new(struct fs *fs, const char *dir, uint64_t number)
{
	struct wal_file *f = mem_zalloc(sizeof *f);
	struct buf path = {0};
	buf_printf(&path, "%s/wal-%016llx", dir, (unsigned long long)number);
	buf_cstr(&path);
	*f = (struct wal_file){.refs = 1, .fs = fs, .path = path.p, .number = number};
	return f;
}

struct wal_file *wal_file_ref(struct wal_file *f)
{
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

void wal_file_unref(struct wal_file *f)
{
	struct err e = ERR_INIT;
	if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1) return;
	if (!f->keep && !fs_unlink(f->fs, f->path, &e))
		log_warn("cannot remove a write-ahead log file that is no longer needed", kv_err(&e));
	free(f->path);
	free(f);
}

bool wal_files(const char *dir, uint64_t **v, size_t *n, struct err *e)
{
	struct fs_list l;
	if (!fs_list(dir, &l, e)) return false;
	*v = mem_alloc((l.n + 1) * sizeof **v);
	*n = 0;
	for (size_t i = 0; i < l.n; i++) { /* sorted by name, which is by number */
		unsigned long long number;
		int end = 0;
		if (strlen(l.v[i]) == 20 && sscanf(l.v[i], "wal-%16llx%n", &number, &end) == 1 && end == 20)
			(*v)[(*n)++] = number;
	}
	fs_list_free(&l);
	return true;
}

/* ---- records: magic 4, floor 4, payload bytes 8, writer 8, seq 8, payload sum 8, header sum 8 ---- */

static void put(char *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++) p[i] = (char)(v >> (8 * i));
}

static uint64_t get(const char *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++) v |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return v;
}

void wal_record_sum(struct buf *rec, uint64_t writer)
{
	put(rec->p + 32, XXH3_64bits_withSeed(rec->p + WAL_RECORD_HEADER, rec->n - WAL_RECORD_HEADER, writer), 8);
}

void wal_record_number(struct buf *rec, uint64_t writer, uint64_t seq, uint32_t floor)
{
	char *p = rec->p;
	memcpy(p, record_magic, 4);
	put(p + 4, floor, 4);
	put(p + 8, rec->n - WAL_RECORD_HEADER, 8);
	put(p + 16, writer, 8);
	put(p + 24, seq, 8);
	put(p + 40, XXH3_64bits_withSeed(p, 40, writer), 8);
}

uint32_t wal_record_floor(const struct buf *rec) { return (uint32_t)get(rec->p + 4, 4); }

static bool header_ok(const char *p, uint64_t writer)
{
	return memcmp(p, record_magic, 4) == 0 && get(p + 8, 8) <= WAL_RECORD_MAX && get(p + 16, 8) == writer &&
	       get(p + 40, 8) == XXH3_64bits_withSeed(p, 40, writer);
}

/* ---- appending ---- */

void wal_init(struct wal *w, struct fs *fs, const char *dir, uint64_t writer, uint64_t segment_bytes)
{
	*w = (struct wal){
		.fs = fs, .dir = dir, .writer = writer, .next_number = 1, .segment_bytes = segment_bytes, .fd = -1};
}

static void file_header(const struct wal *w, uint64_t first_seq, char out[WAL_FILE_HEADER])
{
	memset(out, 0, WAL_FILE_HEADER);
	memcpy(out, file_magic, 8);
	put(out + 8, WAL_VERSION, 4);
	put(out + 16, w->writer, 8);
	put(out + 24, first_seq, 8);
	put(out + 32, (uint64_t)w->created, 8);
	put(out + 40, XXH3_64bits(out, 40), 8);
}

bool wal_prepare(struct wal *w, uint64_t first_seq, struct err *e)
{
	char head[WAL_FILE_HEADER];
	if (w->file && !wal_is_full(w)) return true;
	wal_close(w);
	w->file = wal_file_new(w->fs, w->dir, w->next_number);
	w->size = w->marked = 0;
	w->fd = fs_open(w->fs, w->file->path, O_RDWR | O_CREAT | O_EXCL, 0640, e);
	if (w->fd >= 0)
		w->next_number++;
	else if (e->code == ERR_EXISTS)
		w->next_number++;
	file_header(w, first_seq, head);
	/* The name must be durable before the first acknowledgement that relies on it. */
	if (w->fd >= 0 && fs_write(w->fs, w->fd, head, sizeof head, e) && fs_sync_dir(w->fs, w->dir, e)) {
		w->size = w->marked = sizeof head;
		return true;
	}
	if (w->fd < 0) {
		w->file->keep = true; /* not ours */
		wal_file_unref(w->file);
		w->file = NULL;
		return false;
	}
	wal_cut(w);
	wal_close(w);
	return false;
}

bool wal_push(struct wal *w, struct err *e)
{
	bool ok = w->small.n == 0 || fs_write(w->fs, w->fd, w->small.p, w->small.n, e);
	buf_clear(&w->small);
	return ok;
}

bool wal_append(struct wal *w, struct str record, struct err *e)
{
	w->size += record.n;
	if (record.n < SMALL) {
		buf_str(&w->small, record);
		return w->small.n < SMALL_AT || wal_push(w, e);
	}
	return wal_push(w, e) && fs_write(w->fs, w->fd, record.p, record.n, e);
}

bool wal_sync(struct wal *w, struct err *e) { return w->fd < 0 || fs_sync(w->fs, w->fd, e); }

/* Records that were refused must not come back at replay; where even cutting fails they may, as entries that were
 * sent but not acknowledged. */
void wal_cut(struct wal *w)
{
	struct err e = ERR_INIT;
	buf_clear(&w->small);
	if (w->fd >= 0 && !fs_truncate(w->fs, w->fd, (off_t)w->marked, &e))
		log_warn("cannot cut refused records off a write-ahead log file", kv_err(&e));
	w->size = w->marked;
}

void wal_close(struct wal *w)
{
	if (w->fd >= 0) fs_close(w->fs, w->fd);
	w->fd = -1;
	buf_clear(&w->small);
	wal_file_unref(w->file);
	w->file = NULL;
}

void wal_fini(struct wal *w)
{
	wal_close(w);
	buf_free(&w->small);
}

/* ---- reading ---- */

bool wal_read_open(struct wal_reader *r, struct fs *fs, const char *path, struct err *e)
{
	struct stat st;
	char h[WAL_FILE_HEADER], first[WAL_RECORD_HEADER];
	*r = (struct wal_reader){.fs = fs, .off = WAL_FILE_HEADER};
	if (stat(path, &st) != 0) return err_errno(e, "%s", path);
	r->size = (uint64_t)st.st_size;
	r->fd = fs_open(fs, path, O_RDONLY, 0, e);
	if (r->fd < 0) return false;
	if (r->size < WAL_FILE_HEADER) return true; /* a crash right after it was made */
	if (!fs_pread(fs, r->fd, h, sizeof h, 0, e)) goto fail;
	if (memcmp(h, file_magic, 8) == 0 && get(h + 40, 8) == XXH3_64bits(h, 40)) {
		if (get(h + 8, 4) == 0 || get(h + 8, 4) > WAL_VERSION) {
			err_set(e, ERR_CORRUPT, "%s has version %llu; this program reads versions up to %d", path,
				(unsigned long long)get(h + 8, 4), WAL_VERSION);
			goto fail;
		}
		r->writer = get(h + 16, 8);
		r->first_seq = get(h + 24, 8);
		r->have_writer = true;
		return true;
	}
	/* The header is damaged: the first record, where it must stand, names the writer too. */
	if (r->size >= WAL_FILE_HEADER + sizeof first) {
		if (!fs_pread(fs, r->fd, first, sizeof first, WAL_FILE_HEADER, e)) goto fail;
		r->writer = get(first + 16, 8);
		r->have_writer = header_ok(first, r->writer);
	}
	return true;
fail:
	fs_close(fs, r->fd);
	r->fd = -1;
	return false;
}

void wal_read_close(struct wal_reader *r)
{
	if (r->fd >= 0) fs_close(r->fs, r->fd);
	r->fd = -1;
}

/* The next offset from `from` on where a record header stands, or the file's size. */
static bool find_record(struct wal_reader *r, uint64_t from, uint64_t *at, struct err *e)
{
	struct buf b = {0};
	bool ok = true;
	buf_reserve(&b, SCAN + WAL_RECORD_HEADER);
	*at = r->size;
	while (r->have_writer && *at == r->size && from + WAL_RECORD_HEADER <= r->size) {
		uint64_t left = r->size - from;
		size_t n = left < SCAN + WAL_RECORD_HEADER ? (size_t)left : SCAN + WAL_RECORD_HEADER;
		if (!(ok = fs_pread(r->fs, r->fd, b.p, n, (off_t)from, e))) break;
		size_t last = n - WAL_RECORD_HEADER;
		for (const char *p = b.p;
		     *at == r->size && (p = memmem(p, last + 4 - (size_t)(p - b.p), record_magic, 4)); p++) {
			if (header_ok(p, r->writer)) *at = from + (uint64_t)(p - b.p);
		}
		from += last + 1;
	}
	buf_free(&b);
	return ok;
}

static enum wal_read_kind damaged(struct wal_reader *r, uint64_t from, uint64_t *off, uint64_t *len, struct err *e)
{
	uint64_t next;
	if (!find_record(r, from, &next, e)) return WAL_READ_ERROR;
	*off = r->off;
	*len = next - r->off;
	r->off = next;
	return WAL_READ_DAMAGED;
}

enum wal_read_kind wal_read_next(struct wal_reader *r, uint64_t *seq, struct buf *rec, uint64_t *off, uint64_t *len,
				 struct err *e)
{
	char h[WAL_RECORD_HEADER];
	*off = r->off;
	*len = r->size > r->off ? r->size - r->off : 0;
	if (r->off == r->size) return WAL_READ_END;
	if (r->size < r->off + WAL_RECORD_HEADER) return WAL_READ_TORN;
	if (!fs_pread(r->fs, r->fd, h, sizeof h, (off_t)r->off, e)) return WAL_READ_ERROR;
	if (!r->have_writer || !header_ok(h, r->writer)) return damaged(r, r->off + 1, off, len, e);
	uint64_t n = get(h + 8, 8);
	if (n > r->size - r->off - WAL_RECORD_HEADER) {
		enum wal_read_kind k = damaged(r, r->off + 1, off, len, e);
		if (k != WAL_READ_DAMAGED || r->off < r->size) return k;
		r->off = *off;
		return WAL_READ_TORN;
	}
	buf_clear(rec);
	buf_reserve(rec, WAL_RECORD_HEADER + (size_t)n);
	if (!fs_pread(r->fs, r->fd, rec->p, WAL_RECORD_HEADER + (size_t)n, (off_t)r->off, e)) return WAL_READ_ERROR;
	rec->n = WAL_RECORD_HEADER + (size_t)n;
	if (XXH3_64bits_withSeed(rec->p + WAL_RECORD_HEADER, (size_t)n, r->writer) != get(h + 32, 8)) {
		*len = rec->n;
		r->off += rec->n;
		return WAL_READ_DAMAGED;
	}
	*seq = get(h + 24, 8);
	*len = rec->n;
	r->off += rec->n;
	return WAL_READ_RECORD;
}
