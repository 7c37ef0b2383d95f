/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/record.h"

#include "common/map.h"

#include <stdlib.h>

void record_set_encode(struct buf *out, const struct labels *l)
{
	buf_varint(out, l->n);
	for (size_t i = 0; i < l->n; i++) {
		buf_lpstr(out, l->v[i].name);
		buf_lpstr(out, l->v[i].value);
	}
}

/* A pair takes two bytes at least, which bounds the count before anything is allocated for it. */
bool record_set_count(struct str set, size_t *n)
{
	uint64_t c;
	if (!rd_varint(&set, &c) || c > set.n / 2) return false;
	*n = (size_t)c;
	return true;
}

bool record_set_decode(struct str set, struct label *v, size_t n)
{
	uint64_t c;
	if (!rd_varint(&set, &c) || c != n) return false;
	for (size_t i = 0; i < n; i++) {
		if (!rd_lpstr(&set, &v[i].name) || !rd_lpstr(&set, &v[i].value)) return false;
		if (i > 0 && str_cmp(v[i - 1].name, v[i].name) >= 0) return false;
	}
	return set.n == 0;
}

static size_t set_bound(const struct labels *l)
{
	size_t n = 10;
	for (size_t i = 0; i < l->n; i++) n += l->v[i].name.n + l->v[i].value.n + 20;
	return n;
}

size_t record_bound(struct str tenant, const struct record_stream *v, size_t n)
{
	size_t sum = tenant.n + 40;
	for (size_t i = 0; i < n; i++) {
		sum += set_bound(&v[i].labels) + 40;
		for (size_t k = 0; k < v[i].n; k++) {
			sum += v[i].v[k].line.n + 24;
			if (v[i].v[k].meta.n && (k == 0 || v[i].v[k].meta.v != v[i].v[k - 1].meta.v))
				sum += set_bound(&v[i].v[k].meta);
		}
	}
	return sum;
}

/* The distinct metadata sets of one push. Keys borrow from `bytes` by offset until it is complete, so the map is
 * keyed by slices of chunks that do not move: each set's bytes are in the arena. */
struct interner {
	struct map ids; /* canonical bytes -> index + 1 */
	struct arena arena;
	struct str *v;
	size_t n, cap;
	struct buf scratch;
	const struct labels *last; /* most rows repeat the row before */
	uint32_t last_id;
};

static uint32_t intern(struct interner *t, const struct labels *l)
{
	if (l->n == 0) return 0;
	if (t->last && (t->last->v == l->v ? t->last->n == l->n : labels_eq(t->last, l))) return t->last_id;
	t->last = l;
	buf_clear(&t->scratch);
	record_set_encode(&t->scratch, l);
	uintptr_t id = (uintptr_t)map_get(&t->ids, buf_view(&t->scratch));
	if (!id) {
		struct str key = arena_str(&t->arena, buf_view(&t->scratch));
		MEM_GROW(t->v, t->n, t->cap);
		t->v[t->n++] = key;
		id = t->n;
		map_put(&t->ids, key, (void *)id);
	}
	return t->last_id = (uint32_t)id;
}

static void put_le32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++) p[i] = (char)(v >> (8 * i));
}

static inline char *put_varint(char *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (char)(v | 0x80);
		v >>= 7;
	}
	*p++ = (char)v;
	return p;
}

#define ROW_MAX 25 /* three varints: 10 + 10 + 5 bytes */

static void encode_stream(struct buf *out, const struct record_stream *s, const uint32_t *set)
{
	record_set_encode(out, &s->labels);
	buf_varint(out, s->n);
	size_t at = out->n, bytes = 0;
	buf_le32(out, 0);
	buf_le32(out, 0);
	buf_reserve(out, s->n * ROW_MAX);
	char *p = out->p + out->n;
	int64_t before = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct push_entry *e = &s->v[i];
		int64_t d = (int64_t)((uint64_t)e->ts - (uint64_t)before);
		p = put_varint(p, (uint64_t)d << 1 ^ (d < 0 ? UINT64_MAX : 0));
		p = put_varint(p, e->line.n);
		p = put_varint(p, set[i]);
		before = e->ts;
		bytes += e->line.n;
	}
	out->n = (size_t)(p - out->p);
	put_le32(out->p + at, (uint32_t)(out->n - at - 8));
	put_le32(out->p + at + 4, (uint32_t)bytes);
	buf_reserve(out, bytes);
	p = out->p + out->n;
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].line.n) memcpy(p, s->v[i].line.p, s->v[i].line.n);
		p += s->v[i].line.n;
	}
	out->n += bytes;
}

void record_encode(struct buf *out, struct str tenant, const struct record_stream *v, size_t n)
{
	struct interner t = {0};
	size_t rows = 0;
	for (size_t i = 0; i < n; i++) rows += v[i].n;
	uint32_t *set = mem_alloc((rows ? rows : 1) * sizeof *set), *at = set;
	arena_init(&t.arena, 0);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < v[i].n; k++) *at++ = intern(&t, &v[i].v[k].meta);
	}
	buf_lpstr(out, tenant);
	buf_varint(out, t.n);
	for (size_t i = 0; i < t.n; i++) buf_lpstr(out, t.v[i]);
	buf_varint(out, n);
	at = set;
	for (size_t i = 0; i < n; at += v[i++].n) encode_stream(out, &v[i], at);
	free(set);
	free(t.v);
	buf_free(&t.scratch);
	map_free(&t.ids);
	arena_free(&t.arena);
}

bool record_next_set(struct str *sets, struct str *set) { return rd_lpstr(sets, set); }

/* A canonical set at the front of s. */
static bool cut_set(struct str *s, struct str *set)
{
	struct str from = *s, skip;
	uint64_t n;
	if (!rd_varint(s, &n) || n > s->n / 2) return false;
	for (uint64_t i = 0; i < 2 * n; i++) {
		if (!rd_lpstr(s, &skip)) return false;
	}
	*set = str_of(from.p, from.n - s->n);
	return true;
}

bool record_next_stream(struct str *rest, struct record_rows *s)
{
	uint64_t n;
	uint32_t cols, lines;
	if (!cut_set(rest, &s->labels) || !rd_varint(rest, &n) || !rd_le32(rest, &cols) || !rd_le32(rest, &lines))
		return false;
	if (n > cols / 3 || !rd_bytes(rest, cols, &s->cols) || !rd_bytes(rest, lines, &s->lines)) return false;
	s->n = (size_t)n;
	s->ts = 0;
	return true;
}

bool record_open(struct str bytes, struct record *r, struct err *e)
{
	uint64_t n;
	struct str set, s = bytes;
	*r = (struct record){0};
	if (!rd_lpstr(&s, &r->tenant) || !rd_varint(&s, &n) || n > s.n) goto bad;
	r->nsets = (size_t)n;
	r->sets = s;
	for (size_t i = 0; i < r->nsets; i++) {
		size_t pairs;
		if (!record_next_set(&s, &set) || !record_set_count(set, &pairs)) goto bad;
	}
	if (!rd_varint(&s, &n) || n > s.n) goto bad;
	r->nstreams = (size_t)n;
	r->rest = s;
	for (size_t i = 0; i < r->nstreams; i++) {
		struct record_rows rows;
		if (!record_next_stream(&s, &rows)) goto bad;
		r->rows += rows.n;
		r->bytes += rows.lines.n;
	}
	if (s.n == 0) return true;
bad:
	err_set(e, ERR_CORRUPT, "push record of %zu bytes is damaged at byte %zu", bytes.n, bytes.n - s.n);
	e->off = (long)(bytes.n - s.n);
	return false;
}

static inline bool get_varint(struct str *s, uint64_t *v)
{
	if (s->n && !(s->p[0] & 0x80)) {
		*v = (unsigned char)s->p[0];
		s->p++, s->n--;
		return true;
	}
	return rd_varint(s, v);
}

bool record_next_row(struct record_rows *s, struct record_row *row)
{
	uint64_t d, n, set;
	if (!get_varint(&s->cols, &d) || !get_varint(&s->cols, &n) || !get_varint(&s->cols, &set)) return false;
	if (n > s->lines.n || set > UINT32_MAX) return false;
	row->ts = s->ts = (int64_t)((uint64_t)s->ts + (d >> 1 ^ (0 - (d & 1))));
	row->line = str_of(s->lines.p, (size_t)n);
	row->set = (uint32_t)set;
	s->lines = str_from(s->lines, (size_t)n);
	return true;
}
