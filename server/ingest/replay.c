/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Replay: the write-ahead log of earlier runs, streamed into heads in bounded memory (impl.h). */
#include "server/ingest/impl.h"

#include "common/log.h"
#include "common/units.h"

#include <stdlib.h>
#include <xxhash.h>

#define QUARANTINE "quarantine"
#define PIECE      (256u << 10) /* bytes of a damaged range that are copied at a time */

struct replay {
	struct ingest *in;
	struct wal_file *file;
	struct wal_reader r;
	uint64_t from; /* where an attempt to read the file broke off */
	bool last;     /* the newest file, which a crash may have cut */
	struct {
		uint64_t number, writer, next; /* next: the sequence number after its last */
	} before;                              /* the file read before */
	uint64_t records, skipped, damaged, rows;
	int64_t logged;
};

/* Copies [off, off + len) of the file into an open one; *sum: their hash. */
static bool copy_range(struct replay *p, int to, uint64_t off, uint64_t len, uint64_t *sum, struct err *e)
{
	XXH3_state_t *h = XXH3_createState();
	char *piece = mem_alloc(PIECE);
	bool ok = XXH3_64bits_reset(h) == XXH_OK;
	while (ok && len) {
		size_t n = len < PIECE ? (size_t)len : PIECE;
		ok = fs_pread(p->in->c.fs, p->r.fd, piece, n, (off_t)off, e) && fs_write(p->in->c.fs, to, piece, n, e);
		if (ok) XXH3_64bits_update(h, piece, n);
		off += n;
		len -= n;
	}
	*sum = XXH3_64bits_digest(h);
	XXH3_freeState(h);
	free(piece);
	return ok;
}

/* The name ends in a hash of the bytes: numbers of log files come again once all are gone, and what another one left
 * must stay, while the same bytes met again after a crash make no second copy. */
static bool set_aside(struct replay *p, uint64_t off, uint64_t len, struct buf *path, struct err *e)
{
	struct fs *fs = p->in->c.fs;
	struct buf dir = {0}, tmp = {0};
	uint64_t sum;
	fs_path(&dir, p->in->wal_dir, QUARANTINE);
	buf_printf(path, "%s/%s-%llu", dir.p, strrchr(p->file->path, '/') + 1, (unsigned long long)off);
	buf_printf(&tmp, "%s.tmp", buf_cstr(path));
	int fd =
		fs_mkdirs(fs, dir.p, 0750, e) ? fs_open(fs, buf_cstr(&tmp), O_WRONLY | O_CREAT | O_TRUNC, 0640, e) : -1;
	bool ok = fd >= 0 && copy_range(p, fd, off, len, &sum, e) && fs_sync(fs, fd, e);
	if (fd >= 0) fs_close(fs, fd);
	if (ok) {
		buf_printf(path, "-%016llx", (unsigned long long)sum);
		ok = fs_rename(fs, tmp.p, buf_cstr(path), e) && fs_sync_dir(fs, dir.p, e);
	}
	struct err ignored = ERR_INIT;
	if (!ok && fd >= 0) fs_unlink(fs, tmp.p, &ignored);
	buf_free(&dir);
	buf_free(&tmp);
	return ok;
}

/* What cannot be read is set aside, so that nothing is lost for good when the file goes. */
static void quarantine(struct replay *p, uint64_t off, uint64_t len)
{
	struct buf path = {0};
	struct err e = ERR_INIT;
	bool ok = set_aside(p, off, len, &path, &e);
	if (!ok) {
		log_error("cannot set damaged bytes of the write-ahead log aside; the file is kept", kv_err(&e));
		p->file->keep = true;
	}
	log_error("the write-ahead log is damaged; the entries in it are lost unless they were flushed",
		  kv_c("file", p->file->path), kv_i("offset", (int64_t)off), kv_i("bytes", (int64_t)len),
		  kv_c("copy", ok ? path.p : "none"));
	p->damaged++;
	pthread_mutex_lock(&p->in->mu);
	p->in->stats.wal_corrupt_records++;
	pthread_mutex_unlock(&p->in->mu);
	buf_free(&path);
}

static void progress(struct replay *p, uint64_t bytes)
{
	struct ingest *in = p->in;
	struct err e;
	pthread_mutex_lock(&in->mu);
	in->replay_done += bytes;
	uint64_t done = in->replay_done, total = in->replay_total;
	pthread_mutex_unlock(&in->mu);
	int64_t now = clock_mono(in->c.clock);
	if (now - p->logged < UNITS_SEC) return;
	p->logged = now;
	log_info("replaying the write-ahead log", kv_i("percent", total ? (int64_t)(100 * done / total) : 100),
		 kv_i("bytes", (int64_t)done), kv_i("of", (int64_t)total));
	ingest_ready(in, &e);
	store_set_warning(in->st, e.msg);
}

static bool stopping(struct ingest *in)
{
	pthread_mutex_lock(&in->mu);
	bool stop = in->stopping;
	pthread_mutex_unlock(&in->mu);
	return stop;
}

/* Heads may take what ingest leaves them; beyond that replay waits for the flusher. */
static void make_room(struct replay *p)
{
	struct ingest *in = p->in;
	struct flusher_stats fs;
	if (ingest_is_full(in)) ingest_seal(in);
	for (;;) {
		flusher_stats(in->flusher, &fs);
		if (!in->c.heads || !fs.pending || budget_used(in->c.heads) < in->c.heads->limit / 3 * 2 ||
		    stopping(in))
			return;
		flusher_wait_progress(in->flusher, 100);
	}
}

static void apply(struct replay *p, uint64_t seq, struct buf *rec, uint64_t off)
{
	struct ingest *in = p->in;
	struct record r;
	struct err e = ERR_INIT;
	if (!record_open(str_from(buf_view(rec), WAL_RECORD_HEADER), &r, &e)) {
		quarantine(p, off, rec->n);
		return;
	}
	struct tenant *t = store_tenant(in->st, r.tenant, true);
	p->records++;
	if (tenant_covers(t, p->r.writer, seq)) {
		p->skipped++;
		return;
	}
	size_t n = rec->n; /* it may be taken over */
	p->rows += r.rows;
	if (!generation_apply(in->gen, t, in->c.heads, &r, rec, 0, p->r.writer, seq, p->file, clock_mono(in->c.clock),
			      &e)) {
		log_error("a record of the write-ahead log is damaged inside", kv_err(&e));
		quarantine(p, off, n);
	}
	make_room(p);
}

/* Cut now, the file is whole when it is no longer the newest. */
static void cut_torn_tail(struct replay *p, uint64_t off, uint64_t len)
{
	struct err e = ERR_INIT;
	log_info("the write-ahead log ends in an unfinished record, as a crash leaves it", kv_c("file", p->file->path),
		 kv_i("offset", (int64_t)off), kv_i("bytes", (int64_t)len));
	int fd = fs_open(p->in->c.fs, p->file->path, O_WRONLY, 0, &e);
	if (fd < 0 || !fs_truncate(p->in->c.fs, fd, (off_t)off, &e) || !fs_sync(p->in->c.fs, fd, &e))
		log_warn("cannot cut the unfinished record off", kv_err(&e));
	if (fd >= 0) fs_close(p->in->c.fs, fd);
}

/* A file that lost its end just behind a record looks whole; the numbers in the next one tell. */
static void look_for_gap(struct replay *p)
{
	bool follows = p->before.number + 1 == p->file->number && p->before.writer == p->r.writer;
	if (follows && p->r.first_seq > p->before.next)
		log_warn("numbers are missing from the write-ahead log: pushes that were refused when it could not be "
			 "written, or entries that are lost unless they were flushed",
			 kv_c("before", p->file->path), kv_i("from", (int64_t)p->before.next),
			 kv_i("to", (int64_t)p->r.first_seq - 1));
	p->before.number = p->file->number;
	p->before.writer = p->r.writer;
	p->before.next = p->r.first_seq;
}

/* False: the file cannot be read (now). */
static bool replay_file(struct replay *p, struct err *e)
{
	struct buf rec = {0};
	if (!wal_read_open(&p->r, p->in->c.fs, p->file->path, e)) return false;
	enum wal_read_kind k = WAL_READ_RECORD;
	if (p->from)
		p->r.off = p->from;
	else
		look_for_gap(p);
	if (p->r.size < WAL_FILE_HEADER) {
		k = WAL_READ_END; /* of the newest nothing was ever acknowledged; another one has lost what it had */
		if (!p->last) quarantine(p, 0, p->r.size);
	}
	while (!stopping(p->in) && (k == WAL_READ_RECORD || k == WAL_READ_DAMAGED)) {
		uint64_t seq, off, len;
		k = wal_read_next(&p->r, &seq, &rec, &off, &len, e);
		if (k == WAL_READ_RECORD) {
			p->before.next = seq + 1;
			apply(p, seq, &rec, off);
		} else if (k == WAL_READ_DAMAGED)
			quarantine(p, off, len);
		else if (k == WAL_READ_TORN && p->last)
			cut_torn_tail(p, off, len);
		else if (k == WAL_READ_TORN)
			quarantine(p, off, len);
		if (k != WAL_READ_ERROR) progress(p, len);
	}
	p->from = p->r.off;
	buf_free(&rec);
	wal_read_close(&p->r);
	return k != WAL_READ_ERROR;
}

/* A file that cannot be read keeps its place and blocks: skipping it would lose what is in it. */
static void replay_until_read(struct replay *p)
{
	struct ingest *in = p->in;
	for (int64_t pause = 100;; pause = pause < 5000 ? pause * 2 : pause) {
		struct err e = ERR_INIT;
		if (replay_file(p, &e) || stopping(in)) return;
		if (e.code == ERR_CORRUPT) { /* a version of the future: not ours to touch */
			log_error("a write-ahead log file is left alone", kv_err(&e));
			p->file->keep = true;
			return;
		}
		log_error("cannot read the write-ahead log; trying again", kv_err(&e));
		flusher_wait_progress(in->flusher, (unsigned)pause);
	}
}

static void replay_all(struct replay *p, const uint64_t *numbers, size_t n)
{
	struct ingest *in = p->in;
	for (size_t i = 0; i < n && !stopping(in); i++) {
		p->file = wal_file_new(in->c.fs, in->wal_dir, numbers[i]);
		p->from = 0;
		p->last = i + 1 == n;
		replay_until_read(p);
		if (stopping(in)) p->file->keep = true; /* perhaps not read to its end */
		wal_file_unref(p->file);                /* gone if segments have all of it */
	}
}

static uint64_t file_bytes(struct ingest *in, uint64_t number)
{
	struct stat st;
	struct wal_file *f = wal_file_new(in->c.fs, in->wal_dir, number);
	uint64_t n = stat(f->path, &st) == 0 ? (uint64_t)st.st_size : 0;
	f->keep = true;
	wal_file_unref(f);
	return n;
}

void *ingest_replay(void *ud)
{
	struct ingest *in = ud;
	struct replay p = {.in = in, .logged = clock_mono(in->c.clock)};
	struct err e = ERR_INIT;
	uint64_t *numbers = NULL, total = 0;
	size_t n = 0;
	while (!wal_files(in->wal_dir, &numbers, &n, &e) && !stopping(in)) {
		log_error("cannot list the write-ahead log; trying again", kv_err(&e));
		flusher_wait_progress(in->flusher, 1000);
		e = ERR_INIT;
	}
	for (size_t i = 0; i < n; i++) total += file_bytes(in, numbers[i]);
	pthread_mutex_lock(&in->mu);
	in->replay_total = total;
	pthread_mutex_unlock(&in->mu);
	replay_all(&p, numbers, n);
	if (n) {
		in->wal.next_number = numbers[n - 1] + 1;
		log_info("the write-ahead log is replayed", kv_i("files", (int64_t)n),
			 kv_i("records", (int64_t)p.records), kv_i("flushed_before", (int64_t)p.skipped),
			 kv_i("damaged", (int64_t)p.damaged), kv_i("rows", (int64_t)p.rows));
	}
	free(numbers);
	store_set_warning(in->st, "");
	pthread_mutex_lock(&in->mu);
	in->ready = true;
	in->stats.head_bytes = in->gen->bytes;
	in->stats.head_entries = in->gen->rows;
	pthread_cond_signal(&in->wake);
	pthread_mutex_unlock(&in->mu);
	return NULL;
}
