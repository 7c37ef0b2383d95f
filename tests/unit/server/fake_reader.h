/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake_reader: server/store/reader.h over a few entries in memory, for tests of what reads through it. Included by
 * one file of a program, which then needs no store. Batches are small so that their edges are met. */
#ifndef LARCH_TESTS_FAKE_READER_H
#define LARCH_TESTS_FAKE_READER_H

#include "common/clock.h"
#include "server/store/reader.h"

#include <stdlib.h>

struct fake_entry {
	const struct reader_stream *stream;
	int64_t ts;
	struct str line;
	const struct labels *meta;
	size_t seq;
};

struct store {
	struct arena arena;
	struct str tenant[64];
	struct reader_stream *streams[64];
	size_t n_streams;
	struct fake_entry *v;
	size_t n, cap;
	size_t rows;               /* per batch */
	bool filters;              /* apply line filters here */
	_Atomic size_t lines_read; /* rows handed out with their line */
	_Atomic unsigned columns;  /* asked for by any scan */
	_Atomic int64_t deadline;          /* of the last scan */
};

struct snapshot {
	struct store *store;
	struct str tenant;
};

static inline void fake_init(struct store *s)
{
	*s = (struct store){.rows = 3};
	arena_init(&s->arena, 0);
}

static inline void fake_free(struct store *s) { arena_free(&s->arena); }

static inline void fake_labels(struct store *s, const char *text, struct labels *out)
{
	struct err e = ERR_INIT;
	if (!labels_parse(&s->arena, arena_str(&s->arena, str_c(text)), out, &e)) abort();
}

static inline void fake_add(struct store *s, const char *tenant, const char *labels, int64_t ts, struct str line,
			    const char *meta)
{
	struct reader_stream *st = NULL;
	struct labels l, *m = ARENA_NEW(&s->arena, struct labels);
	fake_labels(s, labels, &l);
	fake_labels(s, meta, m);
	for (size_t i = 0; i < s->n_streams && !st; i++)
		if (str_eqc(s->tenant[i], tenant) && labels_eq(&s->streams[i]->labels, &l)) st = s->streams[i];
	if (!st) {
		st = ARENA_NEW(&s->arena, struct reader_stream);
		*st = (struct reader_stream){l, labels_hash(&l)};
		s->tenant[s->n_streams] = str_c(tenant);
		s->streams[s->n_streams++] = st;
	}
	*ARENA_PUSH(&s->arena, s->v, s->n, s->cap) = (struct fake_entry){st, ts, arena_str(&s->arena, line), m, s->n};
}

struct snapshot *snapshot_take(struct store *s, struct str tenant)
{
	struct snapshot *sn = mem_alloc(sizeof *sn);
	*sn = (struct snapshot){s, tenant};
	return sn;
}

void snapshot_free(struct snapshot *s) { free(s); }

struct str snapshot_warning(const struct snapshot *s)
{
	(void)s;
	return STR_NULL;
}

static bool fake_matches(const struct matcher *m, size_t nm, const struct reader_stream *st)
{
	return selector_match(&(struct selector){(struct matcher *)m, nm}, &st->labels);
}

static bool fake_in_tenant(const struct snapshot *s, const struct reader_stream *st)
{
	for (size_t i = 0; i < s->store->n_streams; i++)
		if (s->store->streams[i] == st) return str_eq(s->store->tenant[i], s->tenant);
	return false;
}

bool snapshot_streams(struct snapshot *s, const struct matcher *m, size_t nm, int64_t from, int64_t to,
		      bool (*fn)(void *ud, const struct reader_stream *st), void *ud, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < s->store->n_streams; i++) {
		const struct reader_stream *st = s->store->streams[i];
		bool any = false;
		for (size_t k = 0; k < s->store->n; k++)
			any |= s->store->v[k].stream == st && s->store->v[k].ts >= from && s->store->v[k].ts < to;
		if (any && fake_in_tenant(s, st) && fake_matches(m, nm, st) && !fn(ud, st)) break;
	}
	return true;
}

bool snapshot_stats(struct snapshot *s, const struct matcher *m, size_t nm, int64_t from, int64_t to,
		    struct reader_stats *out, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < s->store->n; i++) {
		const struct fake_entry *x = &s->store->v[i];
		if (x->ts < from || x->ts >= to || !fake_in_tenant(s, x->stream) || !fake_matches(m, nm, x->stream))
			continue;
		bool first = true;
		for (size_t k = 0; k < i && first; k++)
			first = s->store->v[k].stream != x->stream || s->store->v[k].ts < from ||
				s->store->v[k].ts >= to;
		out->streams += first;
		out->entries++;
		out->bytes += x->line.n;
	}
	return true;
}

struct scan {
	struct snapshot *snap;
	struct scan_opts o;
	struct fake_entry *v;
	size_t n, at;
	const struct reader_stream *streams[SCAN_ROWS];
	int64_t ts[SCAN_ROWS];
	struct str lines[SCAN_ROWS];
	uint32_t len[SCAN_ROWS];
	const struct labels *meta[SCAN_ROWS];
	uint64_t lines_read;
};

static int fake_order(const void *a, const void *b, void *ud)
{
	const struct fake_entry *x = a, *y = b;
	const struct scan_opts *o = ud;
	if (o->order == SCAN_BY_STREAM && x->stream != y->stream) return x->stream < y->stream ? -1 : 1;
	if (x->ts != y->ts) return (x->ts < y->ts) == o->forward ? -1 : 1;
	if (x->stream->hash != y->stream->hash) return (x->stream->hash < y->stream->hash) == o->forward ? -1 : 1;
	return (x->seq < y->seq) == o->forward ? -1 : 1;
}

struct scan *scan_open(struct snapshot *s, const struct scan_opts *o, struct err *e)
{
	(void)e;
	struct scan *sc = mem_zalloc(sizeof *sc);
	sc->snap = s;
	sc->o = *o;
	sc->v = mem_alloc((s->store->n + 1) * sizeof *sc->v);
	s->store->columns |= o->want;
	s->store->deadline = o->deadline_mono;
	for (size_t i = 0; i < s->store->n; i++) {
		const struct fake_entry *x = &s->store->v[i];
		bool mine =
			o->only ? x->stream == o->only
				: fake_in_tenant(s, x->stream) && fake_matches(o->matchers, o->nmatchers, x->stream);
		if (!mine || x->ts < o->from || x->ts >= o->to) continue;
		if (s->store->filters && o->filters && !linefilters_match(o->filters, x->line)) continue;
		sc->v[sc->n++] = *x;
	}
	qsort_r(sc->v, sc->n, sizeof *sc->v, fake_order, &sc->o);
	return sc;
}

bool scan_next(struct scan *sc, struct scan_batch *out, struct err *e)
{
	size_t n = sc->n - sc->at, rows = sc->snap->store->rows;
	if (sc->o.cancel && *sc->o.cancel) return err_set(e, ERR_CANCELLED, "cancelled");
	if (n > rows) n = rows;
	if (n == 0) return false;
	bool one = true;
	for (size_t i = 0; i < n; i++) {
		const struct fake_entry *x = &sc->v[sc->at + i];
		sc->streams[i] = x->stream;
		sc->ts[i] = x->ts;
		sc->lines[i] = x->line;
		sc->len[i] = (uint32_t)x->line.n;
		sc->meta[i] = x->meta;
		one &= x->stream == sc->v[sc->at].stream;
	}
	sc->at += n;
	sc->lines_read += n;
	if (sc->o.want & SCAN_LINE) sc->snap->store->lines_read += n;
	*out = (struct scan_batch){
		.n = n,
		.one = one ? sc->streams[0] : NULL,
		.stream = one ? NULL : sc->streams,
		.ts = sc->ts,
		.line = sc->o.want & SCAN_LINE ? sc->lines : NULL,
		.len = sc->o.want & SCAN_LEN ? sc->len : NULL,
		.meta = sc->o.want & SCAN_META ? sc->meta : NULL,
		.filtered = sc->o.filters && sc->snap->store->filters,
	};
	return true;
}

void scan_stats(const struct scan *sc, struct scan_stats *out) { out->head_lines += sc->lines_read; }

void scan_close(struct scan *sc)
{
	free(sc->v);
	free(sc);
}

/* Followers are told of what fake_add() put since, one entry a batch. */
struct follow {
	struct store *store;
	struct follow_opts o;
	size_t at;
	struct fake_entry row;
	uint32_t len;
};

struct follow *follow_open(struct store *s, const struct follow_opts *o, struct snapshot **snap)
{
	struct follow *f = mem_alloc(sizeof *f);
	*f = (struct follow){.store = s, .o = *o, .at = s->n};
	*snap = snapshot_take(s, o->tenant);
	return f;
}

bool follow_next(struct follow *f, struct follow_batch *out)
{
	const struct snapshot s = {f->store, f->o.tenant};
	while (f->at < f->store->n) {
		f->row = f->store->v[f->at++];
		if (!fake_in_tenant(&s, f->row.stream) || !fake_matches(f->o.matchers, f->o.nmatchers, f->row.stream))
			continue;
		f->len = (uint32_t)f->row.line.n;
		*out = (struct follow_batch){.rows = {.n = 1,
						      .one = f->row.stream,
						      .ts = &f->row.ts,
						      .line = &f->row.line,
						      .len = &f->len,
						      .meta = &f->row.meta},
					     .forgot = f->at % 2};
		return true;
	}
	return false;
}

uint64_t follow_lost(struct follow *f)
{
	(void)f;
	return 0;
}

size_t follow_streams(const struct follow *f) { return f->at > 0; }
void follow_close(struct follow *f) { free(f); }

#endif
