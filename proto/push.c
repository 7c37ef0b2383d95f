/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/push.h"

#include "proto/wire.h"

/* The parts of push.proto by number. */
enum { REQUEST_STREAMS = 1, REQUEST_FORMAT = 2 };
enum { STREAM_LABELS = 1, STREAM_ENTRIES = 2, STREAM_HASH = 3 };
enum { ENTRY_TIMESTAMP = 1, ENTRY_LINE = 2, ENTRY_METADATA = 3, ENTRY_PARSED = 4 };
enum { TIMESTAMP_SECONDS = 1, TIMESTAMP_NANOS = 2 };
enum { PAIR_NAME = 1, PAIR_VALUE = 2 };

/* ---- reading ---- */

struct dec {
	struct arena *a;
	const char *base; /* of the body, for offsets */
	struct push *out;
	struct err *e;
};

static bool fail(struct dec *d, const char *at, const char *what)
{
	err_set(d->e, ERR_INVALID, "protobuf: %s at byte %td", what, at - d->base);
	d->e->off = at - d->base;
	return false;
}

static inline bool read_field(struct dec *d, const char **p, const char *end, struct wire_field *f)
{
	const char *what = wire_next(p, end, f);
	return what ? fail(d, *p, what) : true;
}

static bool wrong_wire(struct dec *d, const char *at) { return fail(d, at, "wrong wire type of a known field before"); }

/* How many fields of this number p..end holds, so that their array is allocated once. Stops at what
 * read_field() will refuse. */
static size_t count_fields(const char *p, const char *end, uint32_t number)
{
	struct wire_field f;
	size_t n = 0;
	while (p < end && !wire_next(&p, end, &f)) n += f.number == number;
	return n;
}

static bool alloc_array(struct dec *d, size_t n, size_t size, void *out)
{
	size_t bytes = n * size; /* n is at most the body's length */
	if (d->a->cap && (bytes > d->a->cap || d->a->used > d->a->cap - bytes))
		return err_set(d->e, ERR_TOO_LARGE,
			       "the push request needs more than %zu bytes of memory to decode; send smaller batches",
			       d->a->cap);
	void *v = n ? arena_alloc(d->a, bytes) : NULL;
	memcpy(out, &v, sizeof v);
	return true;
}

/* Out of int64's range: the nearest end, which lies outside every accepted range of times. */
static int64_t clamped_ns(int64_t seconds, int32_t nanos)
{
	int64_t ns;
	if (__builtin_mul_overflow(seconds, INT64_C(1000000000), &ns) ||
	    __builtin_add_overflow(ns, (int64_t)nanos, &ns))
		return seconds < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

static bool read_timestamp(struct dec *d, struct str in, int64_t *ns)
{
	uint64_t seconds = 0, nanos = 0;
	struct wire_field f = {0};
	for (const char *p = in.p, *end = in.p + in.n; p < end;) {
		if (!read_field(d, &p, end, &f)) return false;
		if (f.number != TIMESTAMP_SECONDS && f.number != TIMESTAMP_NANOS) continue;
		if (f.wire != WIRE_VARINT) return wrong_wire(d, p);
		*(f.number == TIMESTAMP_SECONDS ? &seconds : &nanos) = f.varint;
	}
	*ns = clamped_ns((int64_t)seconds, (int32_t)(uint32_t)nanos);
	return true;
}

static bool read_pair(struct dec *d, struct str in, struct label *out)
{
	struct wire_field f;
	*out = (struct label){STR(""), STR("")};
	for (const char *p = in.p, *end = in.p + in.n; p < end;) {
		if (!read_field(d, &p, end, &f)) return false;
		if (f.number != PAIR_NAME && f.number != PAIR_VALUE) continue;
		if (f.wire != WIRE_BYTES) return wrong_wire(d, p);
		*(f.number == PAIR_NAME ? &out->name : &out->value) = f.bytes;
	}
	return true;
}

static bool read_metadata(struct dec *d, struct str in, const char *at, const char *end, struct push_entry *out)
{
	if (!out->meta.v && !alloc_array(d, count_fields(at, end, ENTRY_METADATA), sizeof *out->meta.v, &out->meta.v))
		return false;
	struct label *l = &out->meta.v[out->meta.n++];
	if (!read_pair(d, in, l)) return false;
	d->out->bytes += l->name.n + l->value.n;
	return true;
}

static bool read_entry(struct dec *d, struct str in, struct push_entry *out)
{
	struct wire_field f;
	struct label ignored;
	*out = (struct push_entry){.line = STR("")};
	for (const char *p = in.p, *end = in.p + in.n; p < end;) {
		const char *at = p;
		if (!read_field(d, &p, end, &f)) return false;
		if (f.number < ENTRY_TIMESTAMP || f.number > ENTRY_PARSED) continue;
		if (f.wire != WIRE_BYTES) return wrong_wire(d, p);
		bool ok = true;
		switch (f.number) {
		case ENTRY_TIMESTAMP: ok = read_timestamp(d, f.bytes, &out->ts); break;
		case ENTRY_LINE: out->line = f.bytes; break;
		case ENTRY_METADATA: ok = read_metadata(d, f.bytes, at, end, out); break;
		case ENTRY_PARSED: ok = read_pair(d, f.bytes, &ignored); break;
		}
		if (!ok) return false;
	}
	d->out->bytes += out->line.n;
	return true;
}

static bool read_stream(struct dec *d, struct str in, struct push_stream *out)
{
	struct wire_field f;
	*out = (struct push_stream){.labels = STR("")};
	for (const char *p = in.p, *end = in.p + in.n; p < end;) {
		const char *at = p;
		if (!read_field(d, &p, end, &f)) return false;
		if (f.number == STREAM_ENTRIES) {
			if (f.wire != WIRE_BYTES) return wrong_wire(d, p);
			if (!out->v && !alloc_array(d, count_fields(at, end, STREAM_ENTRIES), sizeof *out->v, &out->v))
				return false;
			if (!read_entry(d, f.bytes, &out->v[out->n++])) return false;
		} else if (f.number == STREAM_LABELS) {
			if (f.wire != WIRE_BYTES) return wrong_wire(d, p);
			out->labels = f.bytes;
		} else if (f.number == STREAM_HASH && f.wire != WIRE_VARINT) {
			return wrong_wire(d, p);
		}
	}
	d->out->entries += out->n;
	return true;
}

bool push_decode(struct arena *a, struct str body, struct push *out, struct err *e)
{
	struct dec d = {.a = a, .base = body.p, .out = out, .e = e};
	struct wire_field f;
	*out = (struct push){0};
	for (const char *p = body.p, *end = body.p + body.n; p < end;) {
		const char *at = p;
		if (!read_field(&d, &p, end, &f)) return false;
		if (f.number != REQUEST_STREAMS && f.number != REQUEST_FORMAT) continue;
		if (f.wire != WIRE_BYTES) return wrong_wire(&d, p);
		if (f.number == REQUEST_FORMAT) continue;
		if (!out->v && !alloc_array(&d, count_fields(at, end, REQUEST_STREAMS), sizeof *out->v, &out->v))
			return false;
		if (!read_stream(&d, f.bytes, &out->v[out->n++])) return false;
	}
	return true;
}

/* ---- writing: sizes first, then every byte once ---- */

static size_t varint_size(uint64_t v) { return (size_t)(63 - __builtin_clzll(v | 1)) / 7 + 1; }

/* Of a length-prefixed field whose number is below 16. */
static size_t field_size(size_t n) { return 1 + varint_size(n) + n; }

static char *put_varint(char *w, uint64_t v)
{
	for (; v >= 0x80; v >>= 7) *w++ = (char)(v | 0x80);
	*w++ = (char)v;
	return w;
}

static char *put_head(char *w, unsigned number, size_t n)
{
	*w++ = (char)(number << 3 | WIRE_BYTES);
	return put_varint(w, n);
}

static char *put_bytes(char *w, unsigned number, struct str s)
{
	w = put_head(w, number, s.n);
	if (s.n) memcpy(w, s.p, s.n);
	return w + s.n;
}

static void split_ns(int64_t ns, int64_t *seconds, int64_t *nanos)
{
	*seconds = ns / 1000000000;
	*nanos = ns % 1000000000;
	if (*nanos >= 0) return;
	*nanos += 1000000000;
	--*seconds;
}

static size_t timestamp_size(int64_t ns)
{
	int64_t seconds, nanos;
	split_ns(ns, &seconds, &nanos);
	return (seconds ? 1 + varint_size((uint64_t)seconds) : 0) + (nanos ? 1 + varint_size((uint64_t)nanos) : 0);
}

static char *put_timestamp(char *w, int64_t ns)
{
	int64_t seconds, nanos;
	split_ns(ns, &seconds, &nanos);
	w = put_head(w, ENTRY_TIMESTAMP, timestamp_size(ns));
	if (seconds) {
		*w++ = (char)(TIMESTAMP_SECONDS << 3 | WIRE_VARINT);
		w = put_varint(w, (uint64_t)seconds);
	}
	if (nanos) {
		*w++ = (char)(TIMESTAMP_NANOS << 3 | WIRE_VARINT);
		w = put_varint(w, (uint64_t)nanos);
	}
	return w;
}

static size_t pair_size(const struct label *l)
{
	return (l->name.n ? field_size(l->name.n) : 0) + (l->value.n ? field_size(l->value.n) : 0);
}

static size_t entry_size(const struct push_entry *v)
{
	size_t n = field_size(timestamp_size(v->ts)) + (v->line.n ? field_size(v->line.n) : 0);
	for (size_t i = 0; i < v->meta.n; i++) n += field_size(pair_size(&v->meta.v[i]));
	return n;
}

static char *put_entry(char *w, const struct push_entry *v)
{
	w = put_head(w, STREAM_ENTRIES, entry_size(v));
	w = put_timestamp(w, v->ts);
	if (v->line.n) w = put_bytes(w, ENTRY_LINE, v->line);
	for (size_t i = 0; i < v->meta.n; i++) {
		const struct label *l = &v->meta.v[i];
		w = put_head(w, ENTRY_METADATA, pair_size(l));
		if (l->name.n) w = put_bytes(w, PAIR_NAME, l->name);
		if (l->value.n) w = put_bytes(w, PAIR_VALUE, l->value);
	}
	return w;
}

static size_t stream_size(const struct push_stream *s)
{
	size_t n = s->labels.n ? field_size(s->labels.n) : 0;
	for (size_t i = 0; i < s->n; i++) n += field_size(entry_size(&s->v[i]));
	return n;
}

void push_encode(const struct push *p, struct buf *out)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct push_stream *s = &p->v[i];
		size_t n = stream_size(s);
		buf_reserve(out, field_size(n));
		char *w = put_head(out->p + out->n, REQUEST_STREAMS, n);
		if (s->labels.n) w = put_bytes(w, STREAM_LABELS, s->labels);
		for (size_t k = 0; k < s->n; k++) w = put_entry(w, &s->v[k]);
		out->n = (size_t)(w - out->p);
	}
}
