/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/catalog_entry.h"

#define HEADER 32 /* bytes before the records */

static const char entry_magic[9] = "LARCHCAT", checkpoint_magic[9] = "LARCHCKP";

const char *catalog_cut_name(enum catalog_cut_reason r)
{
	static const char *const names[] = {"retention_period", "retention_stream", "retention_bytes"};
	return names[r];
}

/* ---- the body of each kind of record ---- */

static void put_added(struct buf *b, const void *item)
{
	const struct catalog_segment *s = item;
	uint64_t v[] = {s->size, s->rows, s->bytes, s->streams, s->order};
	buf_lpstr(b, s->name);
	for (size_t k = 0; k < sizeof v / sizeof v[0]; k++) buf_varint(b, v[k]);
	buf_zigzag(b, s->min_ts);
	buf_zigzag(b, s->max_ts);
	buf_varint(b, s->purged);
	buf_u8(b, s->hard);
}

static bool get_added(struct str *s, void *item, uint32_t version)
{
	struct catalog_segment *g = item;
	uint64_t *v[] = {&g->size, &g->rows, &g->bytes, &g->streams, &g->order};
	bool ok = rd_lpstr(s, &g->name);
	for (size_t k = 0; k < sizeof v / sizeof v[0]; k++) ok = ok && rd_varint(s, v[k]);
	ok = ok && rd_zigzag(s, &g->min_ts) && rd_zigzag(s, &g->max_ts);
	g->purged = 0;
	g->hard = false;
	if (version < 2) return ok;
	uint8_t hard = 0;
	ok = ok && rd_varint(s, &g->purged) && rd_u8(s, &hard) && hard <= 1;
	g->hard = hard;
	return ok;
}

static void put_removed(struct buf *b, const void *item)
{
	const struct catalog_removal *r = item;
	buf_lpstr(b, r->name);
	buf_zigzag(b, r->at);
}

static bool get_removed(struct str *s, void *item, uint32_t version)
{
	struct catalog_removal *r = item;
	r->at = 0;
	return rd_lpstr(s, &r->name) && (version < 2 || rd_zigzag(s, &r->at));
}

static void put_cover(struct buf *b, const void *item)
{
	const struct wal_range *r = item;
	buf_le64(b, r->writer);
	buf_le64(b, r->lo);
	buf_le64(b, r->hi);
}

static bool get_cover(struct str *s, void *item, uint32_t version)
{
	struct wal_range *r = item;
	(void)version;
	return rd_le64(s, &r->writer) && rd_le64(s, &r->lo) && rd_le64(s, &r->hi);
}

static void put_delete(struct buf *b, const void *item)
{
	const struct catalog_delete *d = item;
	buf_lpstr(b, d->id);
	buf_varint(b, d->number);
	buf_zigzag(b, d->created);
	buf_zigzag(b, d->from);
	buf_zigzag(b, d->to);
	buf_lpstr(b, d->query);
}

static bool get_delete(struct str *s, void *item, uint32_t version)
{
	struct catalog_delete *d = item;
	(void)version;
	return rd_lpstr(s, &d->id) && rd_varint(s, &d->number) && rd_zigzag(s, &d->created) && rd_zigzag(s, &d->from) &&
	       rd_zigzag(s, &d->to) && rd_lpstr(s, &d->query);
}

static void put_id(struct buf *b, const void *item) { buf_lpstr(b, *(const struct str *)item); }

static bool get_id(struct str *s, void *item, uint32_t version)
{
	(void)version;
	return rd_lpstr(s, item);
}

static void put_purge(struct buf *b, const void *item)
{
	const struct catalog_purge *p = item;
	buf_lpstr(b, p->name);
	buf_varint(b, p->number);
}

static bool get_purge(struct str *s, void *item, uint32_t version)
{
	struct catalog_purge *p = item;
	(void)version;
	return rd_lpstr(s, &p->name) && rd_varint(s, &p->number);
}

static void put_cut(struct buf *b, const void *item)
{
	const struct catalog_cut *c = item;
	buf_u8(b, (uint8_t)c->reason);
	buf_varint(b, c->rows);
	buf_varint(b, c->bytes);
	buf_varint(b, c->segments);
	buf_zigzag(b, c->min_ts);
	buf_zigzag(b, c->max_ts);
}

static bool get_cut(struct str *s, void *item, uint32_t version)
{
	struct catalog_cut *c = item;
	uint8_t reason;
	(void)version;
	if (!rd_u8(s, &reason) || reason >= CATALOG_CUT_REASONS) return false;
	c->reason = reason;
	return rd_varint(s, &c->rows) && rd_varint(s, &c->bytes) && rd_varint(s, &c->segments) &&
	       rd_zigzag(s, &c->min_ts) && rd_zigzag(s, &c->max_ts);
}

static void put_number(struct buf *b, const void *item) { buf_varint(b, *(const uint64_t *)item); }

static bool get_number(struct str *s, void *item, uint32_t version)
{
	(void)version;
	return rd_varint(s, item);
}

/* In the order in which they are written. */
static const struct record_kind {
	uint8_t kind;
	uint32_t since;     /* version */
	size_t at, n, size; /* where in struct catalog_entry the array and its length are; of one item */
	void (*put)(struct buf *b, const void *item);
	bool (*get)(struct str *s, void *item, uint32_t version);
} kinds[] = {
#define KIND(no, since, list, io)                                                                                      \
	{                                                                                                              \
		no, since, offsetof(struct catalog_entry, list), offsetof(struct catalog_entry, n##list),              \
			sizeof *((struct catalog_entry *)0)->list, put_##io, get_##io                                  \
	}
	KIND(1, 1, added, added),    KIND(2, 1, removed, removed), KIND(3, 1, covers, cover),
	KIND(4, 2, deletes, delete), KIND(5, 2, cancelled, id),    KIND(6, 2, done, id),
	KIND(7, 2, purged, purge),   KIND(8, 2, cuts, cut),        KIND(9, 2, damaged, number),
#undef KIND
};

#define KINDS (sizeof kinds / sizeof kinds[0])

/* ---- there and back ---- */

static void put_records(const struct catalog_entry *c, struct buf *out)
{
	struct buf b = {0};
	for (size_t k = 0; k < KINDS; k++) {
		const char *v;
		size_t n;
		memcpy(&v, (const char *)c + kinds[k].at, sizeof v);
		memcpy(&n, (const char *)c + kinds[k].n, sizeof n);
		for (size_t i = 0; i < n; i++) {
			kinds[k].put(&b, v + i * kinds[k].size);
			buf_u8(out, kinds[k].kind);
			buf_lpstr(out, buf_view(&b));
			buf_clear(&b);
		}
	}
	buf_free(&b);
}

void catalog_entry_encode(const struct catalog_entry *c, struct buf *out)
{
	size_t at = out->n;
	struct buf body = {0};
	put_records(c, &body);
	buf_add(out, c->whole ? checkpoint_magic : entry_magic, 8);
	buf_le32(out, CATALOG_VERSION);
	buf_le32(out, (uint32_t)body.n);
	buf_le64(out, c->number);
	buf_le64(out, (uint64_t)c->created);
	buf_str(out, buf_view(&body));
	buf_le64(out, str_hash(str_from(buf_view(out), at)));
	buf_free(&body);
}

struct list {
	void *v;
	size_t n, cap;
};

static bool read_record(struct str *s, struct arena *a, uint32_t version, struct list lists[KINDS])
{
	uint8_t kind;
	struct str body;
	if (!rd_u8(s, &kind) || !rd_lpstr(s, &body)) return false;
	for (size_t k = 0; k < KINDS; k++) {
		struct list *l = &lists[k];
		if (kinds[k].kind != kind || kinds[k].since > version) continue;
		l->v = arena_grow(a, l->v, l->n, &l->cap, kinds[k].size);
		return kinds[k].get(&body, (char *)l->v + l->n++ * kinds[k].size, version) && body.n == 0;
	}
	return false;
}

static bool read_records(struct str s, struct arena *a, uint32_t version, struct catalog_entry *c, struct err *e)
{
	struct list lists[KINDS] = {0};
	while (s.n) {
		if (!read_record(&s, a, version, lists))
			return err_set(e, ERR_CORRUPT, "catalog entry %llu: unreadable record",
				       (unsigned long long)c->number);
	}
	for (size_t k = 0; k < KINDS; k++) {
		memcpy((char *)c + kinds[k].at, &lists[k].v, sizeof lists[k].v);
		memcpy((char *)c + kinds[k].n, &lists[k].n, sizeof lists[k].n);
	}
	return true;
}

bool catalog_entry_decode(struct str bytes, struct arena *a, struct catalog_entry *c, struct err *e)
{
	uint32_t version, n;
	uint64_t created, sum;
	*c = (struct catalog_entry){0};
	if (bytes.n < HEADER + 8) return err_set(e, ERR_CORRUPT, "not a catalog entry (%zu bytes)", bytes.n);
	c->whole = memcmp(bytes.p, checkpoint_magic, 8) == 0;
	if (!c->whole && memcmp(bytes.p, entry_magic, 8) != 0) return err_set(e, ERR_CORRUPT, "not a catalog entry");
	struct str s = str_from(bytes, 8), tail = str_from(bytes, bytes.n - 8);
	rd_le32(&s, &version), rd_le32(&s, &n), rd_le64(&s, &c->number), rd_le64(&s, &created), rd_le64(&tail, &sum);
	c->created = (int64_t)created;
	if (n != bytes.n - HEADER - 8 || sum != str_hash(str_sub(bytes, 0, bytes.n - 8)))
		return err_set(e, ERR_CORRUPT, "damaged catalog entry (%zu bytes): checksum does not match", bytes.n);
	if (version == 0 || version > CATALOG_VERSION)
		return err_set(e, ERR_UNPROCESSABLE,
			       "catalog entry of version %u; this program reads versions up to %u: use a newer one",
			       version, CATALOG_VERSION);
	s.n -= 8;
	if (!read_records(s, a, version, c, e)) return false;
	for (size_t i = 0; version < 2 && i < c->nremoved; i++) c->removed[i].at = c->created;
	return true;
}
