/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/request.h"

#include <stdlib.h>

/* Protobuf keys of push.proto: field number << 3 | wire type. */
enum {
	KEY_STREAM = 0x0a,
	KEY_LABELS = 0x0a,
	KEY_ENTRY = 0x12,
	KEY_TS = 0x0a,
	KEY_LINE = 0x12,
	KEY_META = 0x1a,
	KEY_SECONDS = 0x08,
	KEY_NANOS = 0x10,
	KEY_NAME = 0x0a,
	KEY_VALUE = 0x12
};

#define TENANT_LABEL STR("__tenant_id__")
#define NONE         UINT32_MAX

struct segment {
	uint32_t next;   /* index of the stream's next segment, or NONE */
	size_t from, to; /* in entries */
};

struct stream {
	uint64_t hash;        /* of the entry's labels; its bytes are the map's key */
	struct labels labels; /* the entry's, copied into the arena */
	struct str text;
	uint32_t first, last;    /* segments */
	size_t bytes;            /* of its entries, encoded */
	struct stream *collided; /* another stream with the same hash */
};

struct request {
	const struct labels *external;
	struct arena arena;
	struct map by_hash;
	struct stream **streams;
	struct segment *segs;
	size_t nstreams, cap_streams, nsegs, cap_segs, bytes, nentries;
	struct buf entries;
	struct runs runs;
	const struct label *last_labels; /* identity of the label array that last_stream was found by */
	size_t last_n;
	struct stream *last_stream;
};

void runs_add(struct runs *r, const struct origin *o)
{
	struct run *last = r->n ? &r->v[r->n - 1] : NULL;

	if (last && last->src == o->src && last->to == o->seq) {
		last->to++;
		return;
	}
	MEM_GROW(r->v, r->n, r->cap);
	r->v[r->n++] = (struct run){o->src, o->seq, o->seq + 1};
}

struct request *request_new(const struct labels *external)
{
	struct request *r = mem_zalloc(sizeof *r);

	r->external = external;
	arena_init(&r->arena, 0);
	return r;
}

void request_free(struct request *r)
{
	if (!r) return;
	arena_free(&r->arena);
	map_free(&r->by_hash);
	free(r->streams);
	free(r->segs);
	free(r->runs.v);
	buf_free(&r->entries);
	free(r);
}

void request_forget(struct request *r) { r->last_stream = NULL; }
size_t request_bytes(const struct request *r) { return r->bytes; }
size_t request_entries(const struct request *r) { return r->nentries; }

/* ---- streams ---- */

static void merge_labels(struct request *r, const struct labels *own, struct buf *text)
{
	struct labels all = {arena_alloc(&r->arena, (own->n + r->external->n + 1) * sizeof *all.v), 0};
	struct str dup;

	for (size_t i = 0; i < own->n; i++)
		if (!str_eq(own->v[i].name, TENANT_LABEL)) all.v[all.n++] = own->v[i];
	for (size_t i = 0; i < r->external->n; i++)
		if (!str_eq(r->external->v[i].name, TENANT_LABEL) && !labels_get(own, r->external->v[i].name).p)
			all.v[all.n++] = r->external->v[i];
	labels_sort(all.v, all.n, &dup);
	labels_print(text, &all);
}

static struct stream *stream_new(struct request *r, const struct labels *l, uint64_t hash)
{
	struct stream *s = ARENA_NEW(&r->arena, struct stream);
	struct buf text = {0};

	s->hash = hash;
	s->labels = labels_copy(&r->arena, l);
	merge_labels(r, l, &text);
	s->text = arena_str(&r->arena, buf_view(&text));
	buf_free(&text);
	s->first = s->last = NONE;
	s->collided = map_put(&r->by_hash, str_of((char *)&s->hash, sizeof s->hash), s);
	MEM_GROW(r->streams, r->nstreams, r->cap_streams);
	return r->streams[r->nstreams++] = s;
}

static struct stream *stream_of(struct request *r, const struct entry *e, size_t max_streams)
{
	if (r->last_stream && e->labels.v == r->last_labels && e->labels.n == r->last_n) return r->last_stream;
	uint64_t hash = labels_hash(&e->labels);
	struct stream *s = map_get(&r->by_hash, str_of((char *)&hash, sizeof hash));
	while (s && !labels_eq(&s->labels, &e->labels)) s = s->collided;
	if (!s && max_streams && r->nstreams >= max_streams) return NULL;
	if (!s) s = stream_new(r, &e->labels, hash);
	r->last_stream = s;
	r->last_labels = e->labels.v;
	r->last_n = e->labels.n;
	return s;
}

/* ---- entries ---- */

static size_t varint_len(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7) n++;
	return n;
}

static char *put_varint(char *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7) *p++ = (char)(v | 0x80);
	*p++ = (char)v;
	return p;
}

static char *put_bytes(char *p, uint8_t key, struct str s)
{
	*p++ = (char)key;
	p = put_varint(p, s.n);
	if (s.n) memcpy(p, s.p, s.n);
	return p + s.n;
}

static size_t field_len(size_t n) { return 1 + varint_len(n) + n; }

static void encode(struct buf *b, const struct entry *e, struct str line)
{
	int64_t sec = e->ts / 1000000000, nsec = e->ts % 1000000000;
	if (nsec < 0) {
		nsec += 1000000000;
		sec--;
	}
	size_t ts = (sec ? 1 + varint_len((uint64_t)sec) : 0) + (nsec ? 1 + varint_len((uint64_t)nsec) : 0);
	size_t n = field_len(ts) + (line.n ? field_len(line.n) : 0);
	for (size_t i = 0; i < e->meta.n; i++)
		n += field_len(field_len(e->meta.v[i].name.n) + field_len(e->meta.v[i].value.n));

	buf_reserve(b, field_len(n));
	char *p = b->p + b->n;
	*p++ = KEY_ENTRY;
	p = put_varint(p, n);
	*p++ = KEY_TS;
	p = put_varint(p, ts);
	if (sec) {
		*p++ = KEY_SECONDS;
		p = put_varint(p, (uint64_t)sec);
	}
	if (nsec) {
		*p++ = KEY_NANOS;
		p = put_varint(p, (uint64_t)nsec);
	}
	if (line.n) p = put_bytes(p, KEY_LINE, line);
	for (size_t i = 0; i < e->meta.n; i++) {
		const struct label *m = &e->meta.v[i];
		*p++ = KEY_META;
		p = put_varint(p, field_len(m->name.n) + field_len(m->value.n));
		p = put_bytes(p, KEY_NAME, m->name);
		p = put_bytes(p, KEY_VALUE, m->value);
	}
	b->n = (size_t)(p - b->p);
}

static void segment_extend(struct request *r, struct stream *s, size_t from)
{
	struct segment *last = s->last == NONE ? NULL : &r->segs[s->last];

	if (last && last->to == from) {
		last->to = r->entries.n;
	} else {
		MEM_GROW(r->segs, r->nsegs, r->cap_segs);
		r->segs[r->nsegs] = (struct segment){NONE, from, r->entries.n};
		if (s->last == NONE)
			s->first = (uint32_t)r->nsegs;
		else
			r->segs[s->last].next = (uint32_t)r->nsegs;
		s->last = (uint32_t)r->nsegs++;
	}
	s->bytes += r->entries.n - from;
}

bool request_add(struct request *r, const struct entry *e, struct str line, size_t max_streams)
{
	struct stream *s = stream_of(r, e, max_streams);
	size_t from = r->entries.n;

	if (!s) return false;
	encode(&r->entries, e, line);
	segment_extend(r, s, from);
	r->bytes += line.n;
	for (size_t i = 0; i < e->meta.n; i++) r->bytes += e->meta.v[i].name.n + e->meta.v[i].value.n;
	r->nentries++;
	for (uint32_t i = 0; i < e->norigins; i++) runs_add(&r->runs, &e->origins[i]);
	return true;
}

void request_seal(struct request *r, struct buf *out, struct runs *runs)
{
	for (size_t i = 0; i < r->nstreams; i++) {
		struct stream *s = r->streams[i];
		buf_u8(out, KEY_STREAM);
		buf_varint(out, field_len(s->text.n) + s->bytes);
		buf_u8(out, KEY_LABELS);
		buf_lpstr(out, s->text);
		for (uint32_t k = s->first; k != NONE; k = r->segs[k].next)
			buf_add(out, r->entries.p + r->segs[k].from, r->segs[k].to - r->segs[k].from);
	}
	*runs = r->runs;
	r->runs = (struct runs){0};
	map_clear(&r->by_hash);
	arena_reset(&r->arena);
	buf_clear(&r->entries);
	r->nstreams = r->nsegs = r->bytes = r->nentries = 0;
	r->last_stream = NULL;
}
