/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/tail.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define TAIL_BUF_KEPT (8 * TAIL_CHUNK)

/* ---- fingerprints ---- */

static ssize_t read_at(int fd, char *p, size_t n, int64_t off)
{
	ssize_t got;

	do got = pread(fd, p, n, off);
	while (got < 0 && errno == EINTR);
	return got;
}

static bool print_holds(const struct print *p, int fd, int64_t off)
{
	char b[LEDGER_HEAD];

	return p->len <= sizeof b && read_at(fd, b, p->len, off) == (ssize_t)p->len &&
	       (!p->len || str_hash(str_of(b, p->len)) == p->hash);
}

static struct print print_of(int fd, size_t max, int64_t off)
{
	char b[LEDGER_HEAD];
	ssize_t n = read_at(fd, b, max, off);

	return n > 0 ? (struct print){(uint32_t)n, str_hash(str_of(b, (size_t)n))} : (struct print){0};
}

bool ledger_file_holds(const struct ledger_file *file, int fd, int64_t size)
{
	int64_t off = ledger_slowest(file);

	return size >= off && print_holds(&file->head, fd, 0) && off >= file->before.len &&
	       print_holds(&file->before, fd, off - file->before.len);
}

bool tail_resembles(const struct tail *t, int fd, int64_t size)
{
	uint32_t n = t->file->head.len;

	return n && size >= n && print_holds(&t->file->head, fd, 0);
}

bool tail_holds(const struct tail *t, int fd, int64_t size)
{
	char b[LEDGER_TAIL];

	return size >= t->off && tail_resembles(t, fd, size) &&
	       read_at(fd, b, t->nlast, t->off - (int64_t)t->nlast) == (ssize_t)t->nlast &&
	       memcmp(b, t->last, t->nlast) == 0;
}

/* ---- life ---- */

static void own_labels(struct tail *t, const struct labels *labels)
{
	struct label *v = mem_alloc((labels->n + 1) * sizeof *v);
	size_t n = 0;
	struct str dup;

	for (size_t i = 0; i < labels->n; i++)
		if (!str_eq(labels->v[i].name, STR("filename")))
			v[n++] = (struct label){mem_str(labels->v[i].name), mem_str(labels->v[i].value)};
	v[n++] = (struct label){mem_str(STR("filename")), mem_str(str_c(t->file->path))};
	labels_sort(v, n, &dup);
	t->labels = (struct labels){v, n};
}

/* The bytes before off, by which a rewritten file is told from a grown one. */
static void remember_last(struct tail *t)
{
	size_t want = t->off < LEDGER_TAIL ? (size_t)t->off : LEDGER_TAIL;
	ssize_t n = want ? read_at(t->fd, t->last, want, t->off - (int64_t)want) : 0;

	t->nlast = n == (ssize_t)want ? want : 0;
}

/* The smallest cursor is another one: what must be found before it, and which stamps may be needed again. */
static void cursor_moved(struct tail *t)
{
	struct ledger_file *f = t->file;
	int64_t slowest = ledger_slowest(f);

	ledger_drop_chunks(f, slowest);
	if (t->fd >= 0)
		f->before = print_of(t->fd, slowest < LEDGER_TAIL ? (size_t)slowest : LEDGER_TAIL,
				     slowest < LEDGER_TAIL ? 0 : slowest - LEDGER_TAIL);
	else if (slowest == t->off)
		f->before = (struct print){(uint32_t)t->nlast, str_hash(str_of(t->last, t->nlast))};
	else
		f->before = (struct print){0};
}

struct tail *tail_new(struct ledger *l, struct ledger_file *file, int fd, const struct labels *labels,
		      const char *const *clients, size_t nclients)
{
	struct tail *t = mem_zalloc(sizeof *t);

	*t = (struct tail){
		.ledger = l, .file = file, .fd = fd, .skip_from = -1, .seen_size = -1, .off = ledger_slowest(file)};
	acks_init(&t->acks, nclients);
	t->known = mem_alloc((nclients ? nclients : 1) * sizeof *t->known);
	for (size_t i = 0; i < nclients; i++) {
		if (ledger_cursor(file, clients[i]) < 0) ledger_set_cursor(file, clients[i], t->off);
		t->known[i] = ledger_cursor(file, clients[i]);
	}
	if (nclients) ledger_keep_cursors(file, clients, nclients);
	if (ledger_slowest(file) != t->off) {
		t->off = ledger_slowest(file);
		cursor_moved(t);
	}
	own_labels(t, labels);
	file->bound = true;
	file->missing_since = 0;
	if (file->head.len < LEDGER_HEAD) file->head = print_of(fd, LEDGER_HEAD, 0);
	remember_last(t);
	return t;
}

void tail_close(struct tail *t)
{
	if (t->fd >= 0) close(t->fd);
	t->fd = -1;
}

void tail_free(struct tail *t)
{
	if (!t) return;
	tail_close(t);
	for (size_t i = t->first_row; i < t->nrows; i++) free(t->rows[i].offs);
	free(t->rows);
	for (size_t i = 0; i < t->labels.n; i++) {
		free((char *)t->labels.v[i].name.p);
		free((char *)t->labels.v[i].value.p);
	}
	free(t->labels.v);
	free(t->known);
	acks_fini(&t->acks);
	t->file->bound = false;
	free(t);
}

void tail_reopen(struct tail *t, int fd)
{
	tail_close(t);
	t->fd = fd;
	t->scanned = 0;
}

void tail_move(struct tail *t, int fd, const struct stat *st)
{
	tail_reopen(t, fd);
	t->file->dev = st->st_dev;
	t->file->ino = st->st_ino;
	t->file->announced = false;
}

/* ---- rows ---- */

static void push_rows(struct tail *t, const struct rows *r)
{
	if (t->first_row && t->first_row == t->nrows) t->first_row = t->nrows = 0;
	MEM_GROW(t->rows, t->nrows, t->cap_rows);
	t->rows[t->nrows++] = *r;
}

static void drop_rows(struct tail *t)
{
	uint64_t done = acks_slowest(&t->acks);

	while (t->first_row < t->nrows && t->rows[t->first_row].first + t->rows[t->first_row].n <= done)
		free(t->rows[t->first_row++].offs);
	if (!t->first_row || t->first_row < t->nrows / 2) return;
	memmove(t->rows, t->rows + t->first_row, (t->nrows - t->first_row) * sizeof *t->rows);
	t->nrows -= t->first_row;
	t->first_row = 0;
}

/* The offset before which everything is dealt with when rows below `row` are. */
static int64_t offset_of_row(const struct tail *t, uint64_t row)
{
	size_t lo = t->first_row, hi = t->nrows; /* the first block that ends after row */

	if (row == t->acks.next) return t->skip_from >= 0 ? t->skip_from : t->off;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (t->rows[mid].first + t->rows[mid].n <= row)
			lo = mid + 1;
		else
			hi = mid;
	}
	return t->rows[lo].start + t->rows[lo].offs[row - t->rows[lo].first];
}

bool tail_save(struct tail *t, const char *const *clients)
{
	struct ledger_file *f = t->file;
	bool changed = false;

	for (size_t i = 0; i < t->acks.nclients; i++) {
		int64_t off = offset_of_row(t, acks_prefix(&t->acks, i)), old = ledger_cursor(f, clients[i]);
		if (off <= old) continue; /* a cursor ahead of what has been read again stays */
		ledger_set_cursor(f, clients[i], off);
		changed = true;
	}
	drop_rows(t);
	if (!changed) return false;
	cursor_moved(t);
	return true;
}

/* ---- reading ---- */

static void grow(struct tail_buf *rb, size_t cap)
{
	if (rb->cap >= cap) return;
	rb->p = mem_realloc(rb->p, cap);
	rb->cap = cap;
}

/* Fills rb with the bytes before off (for comparison) and up to `want` behind it; the count of the latter,
 * -1 on an error, -2 when the bytes before are no longer what was read. */
static ssize_t fill(struct tail *t, struct tail_buf *rb, size_t want)
{
	grow(rb, LEDGER_TAIL + want);
	ssize_t n = read_at(t->fd, rb->p, t->nlast + want, t->off - (int64_t)t->nlast);
	if (n < 0) return -1;
	if (n < (ssize_t)t->nlast || memcmp(rb->p, t->last, t->nlast) != 0) return -2;
	return n - (ssize_t)t->nlast;
}

struct cut { /* how lines are taken out of what was read */
	const char *p;
	size_t n;     /* bytes of whole lines */
	int64_t base; /* stamp of the first byte */
};

static void emit(struct tail *t, const struct cut *c, struct batch *b)
{
	struct rows r = {.first = t->acks.next, .start = t->off};
	size_t cap = 0, lines = 0;
	const char *p = c->p, *end = c->p + c->n;

	for (const char *nl = p; nl < end && (nl = memchr(nl, '\n', (size_t)(end - nl))); nl++) lines++;
	cap = lines + 1;
	r.offs = mem_alloc(cap * sizeof *r.offs);
	if (!b->v) {
		b->v = arena_alloc(b->arena, cap * sizeof *b->v);
		b->cap = cap;
	}
	struct origin *o = arena_alloc(b->arena, cap * sizeof *o);
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		struct entry *e = batch_push(b);
		e->line = str_of(p, (size_t)((nl ? nl : end) - p));
		e->ts = e->read_ts = c->base + (p - c->p);
		e->labels = e->initial = t->labels;
		e->origins = &o[r.n];
		e->norigins = 1;
		o[r.n] = (struct origin){&t->acks, t->acks.next++};
		r.offs[r.n++] = (uint32_t)(p - c->p);
		p = nl ? nl + 1 : end;
	}
	t->lines += r.n;
	push_rows(t, &r);
}

/* Rows that a client had before this start are read again only for the others. */
static void settle_known(struct tail *t, uint64_t from)
{
	const struct rows *r = &t->rows[t->nrows - 1];

	for (size_t i = 0; i < t->acks.nclients; i++) {
		uint32_t n = 0;
		if (t->known[i] <= t->off) continue;
		while (n < r->n && r->start + r->offs[n] < t->known[i]) n++;
		acks_done(&t->acks, i, from, from + n);
	}
}

static void advance(struct tail *t, const char *p, size_t n)
{
	/* p borrows from the buffer, which has the last bytes before it. */
	size_t have = t->nlast + n, keep = have < LEDGER_TAIL ? have : LEDGER_TAIL;

	memmove(t->last, p + n - keep, keep);
	t->nlast = keep;
	t->off += (int64_t)n;
}

/* Leaves out the overlong line that p begins or goes on with. */
static void skip(struct tail *t, const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);
	size_t used = nl ? (size_t)(nl + 1 - p) : n;

	if (t->skip_from < 0) {
		t->skip_from = t->off;
		t->too_long++;
		log_warn("a line is too long and is left out", kv_c("file", t->file->path), kv_i("offset", t->off),
			 kv_i("limit", TAIL_LINE_MAX));
	}
	advance(t, p, used);
	if (nl) t->skip_from = -1;
}

static void extend_head(struct tail *t, int64_t size)
{
	if (t->file->head.len >= LEDGER_HEAD || size <= t->file->head.len) return;
	t->file->head = print_of(t->fd, LEDGER_HEAD, 0);
	t->file->announced = false;
}

/* How much of n bytes is whole lines. to_end: what is read ends where a line ends, newline or not. */
static size_t whole_lines(const char *p, size_t n, bool to_end)
{
	const char *nl = to_end ? NULL : memrchr(p, '\n', n);

	return to_end ? n : nl ? (size_t)(nl + 1 - p) : 0;
}

static void hand_out(struct tail *t, const char *p, size_t n, const struct chunk *old, struct clock *clock,
		     struct batch *b)
{
	struct chunk fresh = {t->off, t->off + (int64_t)n, ledger_next_base(t->ledger, clock_wall(clock))};
	struct cut c = {p, n, old ? old->base + (t->off - old->start) : fresh.base};
	uint64_t from = t->acks.next;

	emit(t, &c, b);
	settle_known(t, from);
	if (!old) ledger_stamp(t->ledger, t->file, &fresh);
	advance(t, p, n);
}

static int64_t mtime_ns(const struct stat *st)
{
	return st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;
}

bool tail_changed(const struct tail *t, const struct stat *st)
{
	return st->st_size != t->seen_size || mtime_ns(st) != t->seen_mtime;
}

/* Does the line at off, of which the beginning has been looked through, end by now, or is it too long? Only what is new
 * is read, so that a line that grows slowly costs no more than one that is written at once. */
static bool line_ends(struct tail *t, struct tail_buf *rb)
{
	grow(rb, TAIL_CHUNK);
	for (;;) {
		ssize_t n = read_at(t->fd, rb->p, TAIL_CHUNK, t->scanned);
		if (n < 0 || memchr(rb->p, '\n', (size_t)n)) return true; /* an error shows again when all is read */
		t->scanned += n;
		if (t->scanned - t->off >= TAIL_LINE_MAX) return true;
		if (n < TAIL_CHUNK) return false;
	}
}

enum tail_result tail_read(struct tail *t, struct tail_buf *rb, struct clock *clock, bool finished, struct batch *b,
			   struct err *e)
{
	struct stat st;
	int64_t next, limit;

	if (fstat(t->fd, &st) != 0) return err_errno(e, "%s", t->file->path), TAIL_FAILED;
	if (rb->cap > TAIL_BUF_KEPT) { /* the longest line was long ago; its batch is done with */
		free(rb->p);
		*rb = (struct tail_buf){0};
	}
	t->seen_size = st.st_size;
	t->seen_mtime = mtime_ns(&st);
	if (st.st_size < t->off) return TAIL_TRUNCATED;
	if (st.st_size == t->off) return fill(t, rb, 1) == -2 ? TAIL_TRUNCATED : TAIL_IDLE;
	const struct chunk *old = ledger_chunk_at(t->file, t->off, &next);
	limit = old ? old->end - t->off : next - t->off;
	if (t->scanned > st.st_size) t->scanned = 0; /* written anew */
	if (t->scanned > t->off && !finished && !old && next == INT64_MAX) {
		if (fill(t, rb, 1) == -2) return TAIL_TRUNCATED;
		if (!line_ends(t, rb)) return TAIL_IDLE;
	}
	for (size_t want = TAIL_CHUNK;; want *= 2) {
		if ((int64_t)want > limit) want = (size_t)limit;
		ssize_t n = fill(t, rb, want);
		if (n == -1) return err_errno(e, "read %s", t->file->path), TAIL_FAILED;
		if (n == -2) return TAIL_TRUNCATED;
		if (n == 0) return TAIL_IDLE;
		extend_head(t, st.st_size); /* not before it is known to be the same content still */
		const char *p = rb->p + t->nlast;
		if (t->skip_from >= 0) {
			skip(t, p, (size_t)n);
			return TAIL_MORE;
		}
		bool short_read = (size_t)n < want;
		size_t lines = whole_lines(p, (size_t)n, (finished && short_read) || (!short_read && n == limit));
		if (lines) {
			hand_out(t, p, lines, old, clock, b);
			return short_read ? TAIL_IDLE : TAIL_MORE;
		}
		if (short_read) {
			t->scanned = t->off + n;
			return TAIL_IDLE;
		}
		if (want >= TAIL_LINE_MAX) {
			skip(t, p, (size_t)n);
			return TAIL_MORE;
		}
	}
}
