/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/catalog.h"

#include "common/log.h"

#include <stdlib.h>

static const char magic[9] = "LARCHCAT";

enum { REC_ADD = 1, REC_REMOVE = 2, REC_COVER = 3 };

#define HEADER 32 /* bytes before the records */

static void put_record(struct buf *out, uint8_t kind, struct buf *body)
{
	buf_u8(out, kind);
	buf_lpstr(out, buf_view(body));
	buf_clear(body);
}

void catalog_entry_encode(const struct catalog_entry *c, struct buf *out)
{
	size_t at = out->n;
	struct buf b = {0}, body = {0};
	for (size_t i = 0; i < c->nadded; i++) {
		const struct catalog_segment *s = &c->added[i];
		buf_lpstr(&b, s->name);
		uint64_t v[] = {s->size, s->rows, s->bytes, s->streams, s->order};
		for (size_t k = 0; k < sizeof v / sizeof v[0]; k++) buf_varint(&b, v[k]);
		buf_zigzag(&b, s->min_ts);
		buf_zigzag(&b, s->max_ts);
		put_record(&body, REC_ADD, &b);
	}
	for (size_t i = 0; i < c->nremoved; i++) {
		buf_lpstr(&b, c->removed[i]);
		put_record(&body, REC_REMOVE, &b);
	}
	for (size_t i = 0; i < c->ncovers; i++) {
		buf_le64(&b, c->covers[i].writer);
		buf_le64(&b, c->covers[i].lo);
		buf_le64(&b, c->covers[i].hi);
		put_record(&body, REC_COVER, &b);
	}
	buf_add(out, magic, 8);
	buf_le32(out, CATALOG_VERSION);
	buf_le32(out, (uint32_t)body.n);
	buf_le64(out, c->number);
	buf_le64(out, (uint64_t)c->created);
	buf_str(out, buf_view(&body));
	buf_le64(out, str_hash(str_from(buf_view(out), at)));
	buf_free(&b);
	buf_free(&body);
}

static bool read_added(struct str s, struct arena *a, struct catalog_entry *c, size_t *cap)
{
	struct catalog_segment *g = ARENA_PUSH(a, c->added, c->nadded, *cap);
	*g = (struct catalog_segment){0};
	uint64_t *v[] = {&g->size, &g->rows, &g->bytes, &g->streams, &g->order};
	bool ok = rd_lpstr(&s, &g->name);
	for (size_t k = 0; k < sizeof v / sizeof v[0]; k++) ok = ok && rd_varint(&s, v[k]);
	return ok && rd_zigzag(&s, &g->min_ts) && rd_zigzag(&s, &g->max_ts) && s.n == 0;
}

static bool read_record(struct str *s, struct arena *a, struct catalog_entry *c, size_t cap[3])
{
	uint8_t kind;
	struct str b;
	if (!rd_u8(s, &kind) || !rd_lpstr(s, &b)) return false;
	if (kind == REC_ADD) return read_added(b, a, c, &cap[0]);
	if (kind == REC_REMOVE) {
		struct str *r = ARENA_PUSH(a, c->removed, c->nremoved, cap[1]);
		return rd_lpstr(&b, r) && b.n == 0;
	}
	if (kind != REC_COVER) return false;
	struct wal_range *r = ARENA_PUSH(a, c->covers, c->ncovers, cap[2]);
	return rd_le64(&b, &r->writer) && rd_le64(&b, &r->lo) && rd_le64(&b, &r->hi) && b.n == 0;
}

bool catalog_entry_decode(struct str bytes, struct arena *a, struct catalog_entry *c, struct err *e)
{
	uint32_t version, n;
	uint64_t created, sum;
	size_t cap[3] = {0};
	*c = (struct catalog_entry){0};
	if (bytes.n < HEADER + 8 || memcmp(bytes.p, magic, 8) != 0)
		return err_set(e, ERR_CORRUPT, "not a catalog entry");
	struct str s = str_from(bytes, 8), tail = str_from(bytes, bytes.n - 8);
	rd_le32(&s, &version), rd_le32(&s, &n), rd_le64(&s, &c->number), rd_le64(&s, &created), rd_le64(&tail, &sum);
	c->created = (int64_t)created;
	if (version != CATALOG_VERSION)
		return err_set(e, ERR_CORRUPT, "catalog entry of version %u; this program reads version %u", version,
			       CATALOG_VERSION);
	if (n != bytes.n - HEADER - 8 || sum != str_hash(str_sub(bytes, 0, bytes.n - 8)))
		return err_set(e, ERR_CORRUPT, "damaged catalog entry (%zu bytes): checksum does not match", bytes.n);
	s.n -= 8;
	while (s.n) {
		if (!read_record(&s, a, c, cap))
			return err_set(e, ERR_CORRUPT, "catalog entry %llu: unreadable record",
				       (unsigned long long)c->number);
	}
	return true;
}

void catalog_init(struct catalog *c, struct object_store *o, struct str dir)
{
	*c = (struct catalog){.objects = o, .dir = mem_strndup(dir.p, dir.n), .next = 1};
	pthread_mutex_init(&c->mu, NULL);
}

void catalog_fini(struct catalog *c)
{
	free(c->dir);
	free(c->covers);
	pthread_mutex_destroy(&c->mu);
}

/* Ranges of one writer come in ascending order and mostly touch, so the last one of the writer grows. */
static void cover(struct catalog *c, struct wal_range r)
{
	for (size_t i = c->ncovers; i-- > 0;) {
		struct wal_range *o = &c->covers[i];
		if (o->writer != r.writer || r.lo > o->hi || r.hi < o->lo) continue;
		if (r.lo < o->lo) o->lo = r.lo;
		if (r.hi > o->hi) o->hi = r.hi;
		return;
	}
	MEM_GROW(c->covers, c->ncovers, c->cap_covers);
	c->covers[c->ncovers++] = r;
}

bool catalog_covers(struct catalog *c, uint64_t writer, uint64_t seq)
{
	bool found = false;
	pthread_mutex_lock(&c->mu);
	for (size_t i = c->ncovers; i-- > 0 && !found;) {
		const struct wal_range *r = &c->covers[i];
		found = r->writer == writer && seq >= r->lo && seq < r->hi;
	}
	pthread_mutex_unlock(&c->mu);
	return found;
}

static void apply_entry(struct catalog *c, const struct catalog_entry *n, catalog_apply_fn *apply, void *ud)
{
	pthread_mutex_lock(&c->mu);
	for (size_t i = 0; i < n->ncovers; i++) cover(c, n->covers[i]);
	pthread_mutex_unlock(&c->mu);
	apply(ud, n);
}

static void entry_name(const struct catalog *c, uint64_t number, struct buf *out)
{
	buf_clear(out);
	buf_printf(out, "%s%016llx", c->dir, (unsigned long long)number);
}

/* Reads one entry. *gone: there is none of this number. A damaged one counts as read. */
static bool read_entry(struct catalog *c, uint64_t number, bool *gone, catalog_apply_fn *apply, void *ud, struct err *e)
{
	struct buf name = {0}, bytes = {0};
	struct catalog_entry n;
	struct arena a;
	arena_init(&a, 0);
	entry_name(c, number, &name);
	*gone = false;
	bool ok = object_read(c->objects, buf_view(&name), CATALOG_ENTRY_MAX, &bytes, e);
	if (!ok && e->code == ERR_NOT_FOUND) {
		*gone = true;
	} else if (ok || e->code == ERR_TOO_LARGE) {
		if (ok && catalog_entry_decode(buf_view(&bytes), &a, &n, e) && n.number == number) {
			apply_entry(c, &n, apply, ud);
		} else {
			if (e->code == ERR_NONE) err_set(e, ERR_CORRUPT, "catalog entry has another number inside");
			log_error("catalog entry is damaged and skipped; what only it names is missing",
				  kv_str("object", buf_view(&name)), kv_err(e));
			*e = ERR_INIT;
			c->damaged++;
		}
		ok = true;
	}
	buf_free(&name);
	buf_free(&bytes);
	arena_free(&a);
	return ok;
}

struct numbers {
	uint64_t *v, from;
	size_t n, cap;
};

static bool add_number(void *ud, const struct object_info *o)
{
	struct numbers *l = ud;
	uint64_t v = 0;
	ssize_t cut = str_rchr(o->name, '/');
	struct str digits = str_from(o->name, (size_t)(cut + 1));
	if (digits.n != 16) return true;
	for (size_t i = 0; i < 16; i++) {
		char ch = digits.p[i];
		if (ch >= '0' && ch <= '9')
			v = v << 4 | (uint64_t)(ch - '0');
		else if (ch >= 'a' && ch <= 'f')
			v = v << 4 | (uint64_t)(ch - 'a' + 10);
		else
			return true;
	}
	if (v < l->from || v == 0 || v == UINT64_MAX) return true;
	MEM_GROW(l->v, l->n, l->cap);
	l->v[l->n++] = v;
	return true;
}

bool catalog_read(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e)
{
	struct numbers l = {.from = c->next};
	bool ok = object_list(c->objects, str_c(c->dir), add_number, &l, e);
	for (size_t i = 0; ok && i < l.n; i++) { /* listed in name order, which is number order */
		bool gone;
		ok = read_entry(c, l.v[i], &gone, apply, ud, e);
		if (!ok && gone) {
			ok = true;
			*e = ERR_INIT;
		}
		if (ok) c->next = l.v[i] + 1;
	}
	free(l.v);
	return ok;
}

bool catalog_append(struct catalog *c, struct catalog_entry *n, catalog_apply_fn *apply, void *ud, struct err *e)
{
	struct buf name = {0}, bytes = {0};
	bool *ours = mem_zalloc(n->nadded + 1);
	for (size_t i = 0; i < n->nadded; i++) ours[i] = n->added[i].order == 0;
	bool ok;
	for (;;) {
		n->number = c->next;
		for (size_t i = 0; i < n->nadded; i++) {
			if (ours[i]) n->added[i].order = n->number;
		}
		buf_clear(&bytes);
		catalog_entry_encode(n, &bytes);
		entry_name(c, n->number, &name);
		ok = object_put(c->objects, buf_view(&name), buf_view(&bytes), true, e);
		if (ok || e->code != ERR_EXISTS) break;
		bool gone;
		*e = ERR_INIT;
		if (!read_entry(c, c->next, &gone, apply, ud, e)) break;
		c->next++;
	}
	if (ok) {
		c->next++;
		apply_entry(c, n, apply, ud);
	}
	for (size_t i = 0; !ok && i < n->nadded; i++) {
		if (ours[i]) n->added[i].order = 0;
	}
	free(ours);
	buf_free(&name);
	buf_free(&bytes);
	return ok;
}
