/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ledger.h"

#include "common/buf.h"
#include "common/log.h"
#include "common/map.h"

#include <stdlib.h>

#define LEDGER_MAGIC   "larchldg"
#define LEDGER_VERSION 1
#define LEDGER_MAX     (256u << 20)
#define RECORD_MAX     (1u << 20)
#define FILES_MAX      (1u << 20)
#define STAMPS_AHEAD   (INT64_C(300) * 1000000000) /* half of what servers take from the future */

/* A record: le32 length of the body, le64 its xxh3, the body. The body's first byte is its kind. */
enum record { RECORD_FILE = 1, RECORD_CHUNK = 2 };

struct ledger {
	struct fs *fs;
	char *path;
	int fd;           /* for appending; -1: not open */
	struct map by_id; /* key: the 8 bytes of id */
	struct ledger_file **v;
	size_t n, cap;
	struct buf pending;
	size_t appended;
	int64_t last; /* the greatest of all files' */
};

/* ---- files ---- */

static struct str id_key(const uint64_t *id) { return str_of((const char *)id, sizeof *id); }

struct ledger *ledger_new(struct fs *fs, const char *path)
{
	struct ledger *l = mem_zalloc(sizeof *l);

	*l = (struct ledger){.fs = fs, .path = mem_strdup(path), .fd = -1};
	return l;
}

static void file_free(struct ledger_file *f)
{
	for (size_t i = 0; i < f->ncursors; i++) free(f->cursors[i].client);
	free(f->cursors);
	free(f->chunks);
	free(f->path);
	free(f);
}

void ledger_free(struct ledger *l)
{
	if (!l) return;
	for (size_t i = 0; i < l->n; i++) file_free(l->v[i]);
	free(l->v);
	map_free(&l->by_id);
	buf_free(&l->pending);
	if (l->fd >= 0) fs_close(l->fs, l->fd);
	free(l->path);
	free(l);
}

struct ledger_file *ledger_add(struct ledger *l, uint64_t id, const char *path)
{
	struct ledger_file *f = mem_zalloc(sizeof *f);

	f->id = id;
	f->path = mem_strdup(path);
	f->yaml = f->yaml_before = -1;
	map_put(&l->by_id, id_key(&f->id), f);
	MEM_GROW(l->v, l->n, l->cap);
	return l->v[l->n++] = f;
}

void ledger_forget(struct ledger *l, struct ledger_file *f)
{
	size_t i = 0;

	while (l->v[i] != f) i++;
	memmove(&l->v[i], &l->v[i + 1], (--l->n - i) * sizeof *l->v);
	map_del(&l->by_id, id_key(&f->id));
	file_free(f);
}

struct ledger_file **ledger_files(struct ledger *l, size_t *n)
{
	*n = l->n;
	return l->v;
}

static struct cursor *cursor_of(const struct ledger_file *f, const char *client)
{
	for (size_t i = 0; i < f->ncursors; i++)
		if (strcmp(f->cursors[i].client, client) == 0) return &f->cursors[i];
	return NULL;
}

int64_t ledger_cursor(const struct ledger_file *f, const char *client)
{
	const struct cursor *c = cursor_of(f, client);

	return c ? c->off : -1;
}

int64_t ledger_slowest(const struct ledger_file *f)
{
	int64_t min = f->ncursors ? f->cursors[0].off : 0;

	for (size_t i = 1; i < f->ncursors; i++)
		if (f->cursors[i].off < min) min = f->cursors[i].off;
	return min;
}

void ledger_set_cursor(struct ledger_file *f, const char *client, int64_t off)
{
	struct cursor *c = cursor_of(f, client);

	if (!c) {
		f->cursors = mem_realloc(f->cursors, (f->ncursors + 1) * sizeof *f->cursors);
		c = &f->cursors[f->ncursors++];
		c->client = mem_strdup(client);
	}
	c->off = off;
}

void ledger_keep_cursors(struct ledger_file *f, const char *const *clients, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->ncursors; i++) {
		size_t k = 0;
		while (k < n && strcmp(clients[k], f->cursors[i].client) != 0) k++;
		if (k < n)
			f->cursors[kept++] = f->cursors[i];
		else
			free(f->cursors[i].client);
	}
	f->ncursors = kept;
}

void ledger_drop_chunks(struct ledger_file *f, int64_t below)
{
	size_t n = 0;

	while (n < f->nchunks && f->chunks[n].end <= below) n++;
	if (!n) return;
	memmove(f->chunks, f->chunks + n, (f->nchunks - n) * sizeof *f->chunks);
	f->nchunks -= n;
}

const struct chunk *ledger_chunk_at(const struct ledger_file *f, int64_t off, int64_t *next)
{
	size_t lo = 0, hi = f->nchunks; /* the first chunk that ends after off */

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (f->chunks[mid].end <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	*next = INT64_MAX;
	if (lo == f->nchunks) return NULL;
	if (f->chunks[lo].start <= off) return &f->chunks[lo];
	*next = f->chunks[lo].start;
	return NULL;
}

static void stamps_given(struct ledger *l, struct ledger_file *f, int64_t last)
{
	if (last > f->last) f->last = last;
	if (last > l->last) l->last = last;
}

int64_t ledger_next_base(const struct ledger *l, int64_t now)
{
	return now > l->last || l->last - now > STAMPS_AHEAD ? now : l->last + 1;
}

/* In its place, which is the last but for a file that is read again from before its chunks. False: it overlaps. */
static bool insert_chunk(struct ledger *l, struct ledger_file *f, const struct chunk *c)
{
	size_t i = f->nchunks;

	while (i && f->chunks[i - 1].start > c->start) i--;
	if ((i && f->chunks[i - 1].end > c->start) || (i < f->nchunks && f->chunks[i].start < c->end)) return false;
	MEM_GROW(f->chunks, f->nchunks, f->cap_chunks);
	memmove(&f->chunks[i + 1], &f->chunks[i], (f->nchunks++ - i) * sizeof *f->chunks);
	f->chunks[i] = *c;
	stamps_given(l, f, c->base + (c->end - c->start));
	return true;
}

/* ---- writing ---- */

static size_t record_begin(struct buf *b, enum record kind)
{
	size_t at = b->n;

	buf_le32(b, 0);
	buf_le64(b, 0);
	buf_u8(b, (uint8_t)kind);
	return at;
}

static void record_end(struct buf *b, size_t at)
{
	struct str body = str_of(b->p + at + 12, b->n - at - 12);
	struct buf head = {0};

	buf_le32(&head, (uint32_t)body.n);
	buf_le64(&head, str_hash(body));
	memcpy(b->p + at, head.p, head.n);
	buf_free(&head);
}

static void put_print(struct buf *b, const struct print *p)
{
	buf_varint(b, p->len);
	buf_le64(b, p->hash);
}

static void put_file(struct buf *b, const struct ledger_file *f)
{
	size_t at = record_begin(b, RECORD_FILE);

	buf_le64(b, f->id);
	buf_lpstr(b, str_c(f->path));
	buf_le64(b, f->target);
	buf_varint(b, f->dev);
	buf_varint(b, f->ino);
	put_print(b, &f->head);
	put_print(b, &f->before);
	buf_zigzag(b, f->last);
	buf_zigzag(b, f->yaml);
	buf_zigzag(b, f->yaml_before);
	buf_u8(b, f->rotated);
	buf_zigzag(b, f->missing_since);
	buf_varint(b, f->ncursors);
	for (size_t i = 0; i < f->ncursors; i++) {
		buf_lpstr(b, str_c(f->cursors[i].client));
		buf_zigzag(b, f->cursors[i].off);
	}
	record_end(b, at);
}

static void put_chunk(struct buf *b, const struct ledger_file *f, const struct chunk *c)
{
	size_t at = record_begin(b, RECORD_CHUNK);

	buf_le64(b, f->id);
	buf_varint(b, (uint64_t)c->start);
	buf_varint(b, (uint64_t)(c->end - c->start));
	buf_zigzag(b, c->base);
	record_end(b, at);
}

static void put_header(struct buf *b)
{
	buf_c(b, LEDGER_MAGIC);
	buf_le32(b, LEDGER_VERSION);
}

void ledger_stamp(struct ledger *l, struct ledger_file *f, const struct chunk *c)
{
	if (!insert_chunk(l, f, c)) return;
	int64_t last = c->base + (c->end - c->start);
	if (l->last - last > STAMPS_AHEAD) l->last = last; /* the clock was put right */
	if (!f->announced) put_file(&l->pending, f);
	f->announced = true;
	put_chunk(&l->pending, f, c);
}

size_t ledger_appended(const struct ledger *l) { return l->appended; }

static bool open_log(struct ledger *l, struct err *e)
{
	struct buf head = {0};
	struct stat st;

	l->fd = fs_open(l->fs, l->path, O_WRONLY | O_APPEND | O_CREAT, 0600, e);
	if (l->fd < 0) return false;
	if (fstat(l->fd, &st) == 0 && st.st_size > 0) return true;
	put_header(&head);
	char *dir = mem_strdup(l->path), *slash = strrchr(dir, '/');
	if (slash) *slash = 0;
	bool ok = fs_write(l->fs, l->fd, head.p, head.n, e) && fs_sync_dir(l->fs, slash ? dir : ".", e);
	free(dir);
	buf_free(&head);
	if (ok) return true;
	fs_close(l->fs, l->fd);
	l->fd = -1;
	return false;
}

/* After a failed write or sync nothing is known of the log's end: the next attempt is a new snapshot. */
static bool broken(struct ledger *l)
{
	if (l->fd >= 0) fs_close(l->fs, l->fd);
	l->fd = -1;
	l->appended = SIZE_MAX;
	return false;
}

bool ledger_sync(struct ledger *l, struct err *e)
{
	if (!l->pending.n) return true;
	if (l->appended == SIZE_MAX) return ledger_save(l, e);
	if (l->fd < 0 && !open_log(l, e)) return broken(l);
	if (!fs_write(l->fs, l->fd, l->pending.p, l->pending.n, e) || !fs_sync(l->fs, l->fd, e)) return broken(l);
	l->appended += l->pending.n;
	buf_clear(&l->pending);
	return true;
}

bool ledger_save(struct ledger *l, struct err *e)
{
	struct buf b = {0};

	put_header(&b);
	for (size_t i = 0; i < l->n; i++) {
		put_file(&b, l->v[i]);
		for (size_t k = 0; k < l->v[i]->nchunks; k++) put_chunk(&b, l->v[i], &l->v[i]->chunks[k]);
	}
	bool ok = fs_replace(l->fs, l->path, buf_view(&b), 0600, e);
	buf_free(&b);
	if (!ok) return false;
	if (l->fd >= 0) fs_close(l->fs, l->fd); /* the replaced file */
	l->fd = -1;
	l->appended = 0;
	buf_clear(&l->pending);
	for (size_t i = 0; i < l->n; i++) l->v[i]->announced = true;
	return true;
}

/* ---- reading ---- */

static bool get_print(struct str *s, struct print *p, uint32_t max)
{
	uint64_t len;

	if (!rd_varint(s, &len) || len > max || !rd_le64(s, &p->hash)) return false;
	p->len = (uint32_t)len;
	return true;
}

static bool get_cursors(struct ledger_file *f, struct str *s)
{
	uint64_t n;
	struct str name;
	int64_t off;

	if (!rd_varint(s, &n)) return false;
	for (uint64_t i = 0; i < n; i++) {
		if (!rd_lpstr(s, &name) || memchr(name.p, 0, name.n) || !rd_zigzag(s, &off) || off < 0) return false;
		char *client = mem_strndup(name.p, name.n);
		ledger_set_cursor(f, client, off);
		free(client);
	}
	return true;
}

/* The last record of a file wins; its chunks stay. */
static bool get_file(struct ledger *l, struct str s)
{
	uint64_t id;
	struct str path;
	uint8_t rotated;

	if (!rd_le64(&s, &id) || !rd_lpstr(&s, &path) || !path.n || memchr(path.p, 0, path.n)) return false;
	struct ledger_file *f = map_get(&l->by_id, id_key(&id));
	if (!f && l->n >= FILES_MAX) return false;
	if (!f) {
		char *c = mem_strndup(path.p, path.n);
		f = ledger_add(l, id, c);
		free(c);
	}
	int64_t last;
	bool ok = rd_le64(&s, &f->target) && rd_varint(&s, &f->dev) && rd_varint(&s, &f->ino) &&
		  get_print(&s, &f->head, LEDGER_HEAD) && get_print(&s, &f->before, LEDGER_TAIL) &&
		  rd_zigzag(&s, &last) && rd_zigzag(&s, &f->yaml) && rd_zigzag(&s, &f->yaml_before) &&
		  rd_u8(&s, &rotated) && rd_zigzag(&s, &f->missing_since) && get_cursors(f, &s);
	if (!ok || last > INT64_MAX / 2) return false;
	stamps_given(l, f, last);
	f->rotated = rotated != 0;
	f->announced = true;
	return true;
}

static bool get_chunk(struct ledger *l, struct str s)
{
	uint64_t id, start, len;
	struct chunk c;

	if (!rd_le64(&s, &id) || !rd_varint(&s, &start) || !rd_varint(&s, &len) || !rd_zigzag(&s, &c.base))
		return false;
	struct ledger_file *f = map_get(&l->by_id, id_key(&id));
	if (!f || start > INT64_MAX || len > INT64_MAX - start || len > INT64_MAX / 4 || c.base > INT64_MAX / 2 ||
	    c.base < INT64_MIN / 2)
		return false;
	c.start = (int64_t)start;
	c.end = (int64_t)(start + len);
	return insert_chunk(l, f, &c);
}

static bool get_record(struct ledger *l, struct str *s)
{
	struct str body;
	uint32_t len;
	uint64_t hash;
	uint8_t kind;

	if (!rd_le32(s, &len) || len > RECORD_MAX || !rd_le64(s, &hash) || !rd_bytes(s, len, &body)) return false;
	if (str_hash(body) != hash || !rd_u8(&body, &kind)) return false;
	if (kind == RECORD_FILE) return get_file(l, body);
	return kind == RECORD_CHUNK && get_chunk(l, body);
}

bool ledger_parse(struct ledger *l, struct str bytes, struct err *e)
{
	struct str s = bytes, magic;
	uint32_t version;

	if (!bytes.n) return true;
	if (!rd_bytes(&s, strlen(LEDGER_MAGIC), &magic) || !str_eqc(magic, LEDGER_MAGIC) || !rd_le32(&s, &version))
		return err_set(e, ERR_CORRUPT,
			       "%s is not a larch-agent ledger; move it away to start from the positions file alone",
			       l->path);
	if (version != LEDGER_VERSION)
		return err_set(e, ERR_INVALID, "%s has version %u; this program reads version %d", l->path, version,
			       LEDGER_VERSION);
	while (s.n) {
		size_t at = bytes.n - s.n;
		if (get_record(l, &s)) continue;
		/* A torn last write is what a crash leaves; what it told had not been sent. */
		log_warn("the ledger is damaged and used up to there", kv_c("file", l->path),
			 kv_i("offset", (int64_t)at), kv_i("size", (int64_t)bytes.n));
		l->appended = SIZE_MAX;
		break;
	}
	return true;
}

struct ledger *ledger_open(struct fs *fs, const char *path, struct err *e)
{
	struct ledger *l = ledger_new(fs, path);
	struct buf b = {0};
	struct err re = ERR_INIT;
	bool ok = true;

	if (fs_read_file(fs, path, LEDGER_MAX, &b, &re))
		ok = ledger_parse(l, buf_view(&b), e);
	else if (re.code != ERR_NOT_FOUND) {
		*e = re;
		ok = false;
	}
	buf_free(&b);
	if (ok) return l;
	ledger_free(l);
	return NULL;
}
