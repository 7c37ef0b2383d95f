/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/dedup.h"
#include "server/store/source.h"

#include "common/log.h"

#include <stdlib.h>

/* ---- taking ---- */

static struct head_view *capture(const struct head *h)
{
	struct head_view *v = mem_alloc((h->streams.n + 1) * sizeof *v);
	for (uint32_t i = 0; i < h->streams.n; i++) v[i] = head_stream(h, i)->view;
	return v;
}

void snapshot_pin(struct snapshot *s, struct tenant *t)
{
	s->src = mem_zalloc((t->nsegments + t->nheads + 1) * sizeof *s->src);
	for (size_t i = 0; i < t->nsegments; i++) {
		struct segment *g = segment_ref(t->segments[i]);
		s->src[s->nsrc++] = (struct source){.ops = &source_segment_ops,
						    .seg = g,
						    .min_ts = g->min_ts,
						    .max_ts = g->max_ts,
						    .floor = g->purged};
	}
	for (size_t i = 0; i < t->nheads; i++) {
		struct head *h = t->heads[i];
		if (h->rows == 0) continue;
		s->src[s->nsrc++] = (struct source){.ops = &source_head_ops,
						    .head = head_ref(h),
						    .views = capture(h),
						    .nstreams = h->streams.n,
						    .min_ts = h->min_ts,
						    .max_ts = h->max_ts,
						    .floor = h->floor};
	}
	s->deletes = deletes_ref(t->deletes);
}

struct snapshot *snapshot_new(struct store *st)
{
	struct snapshot *s = mem_zalloc(sizeof *s);
	char warning[256];
	s->st = st;
	pthread_mutex_init(&s->mu, NULL);
	arena_init(&s->arena, 0);
	store_warning(st, warning);
	if (warning[0]) s->warning = arena_str(&s->arena, str_c(warning));
	return s;
}

/* Which entries only a damaged catalog entry knew of, nobody can tell. */
static void warn_of_catalog(struct snapshot *s, const struct tenant *t)
{
	unsigned long long n = t->catalog.damaged;
	if (n)
		s->warning =
			arena_printf(&s->arena, "%.*s%sentries may be missing: %llu entries of the catalog are damaged",
				     STR_ARG(s->warning), s->warning.n ? "; " : "", n);
}

struct snapshot *snapshot_take(struct store *st, struct str tenant)
{
	struct snapshot *s = snapshot_new(st);
	struct tenant *t = store_tenant(st, tenant, false);
	if (!t) return s;
	pthread_mutex_lock(&t->mu);
	snapshot_pin(s, t);
	pthread_mutex_unlock(&t->mu);
	warn_of_catalog(s, t);
	return s;
}

static void index_free(struct source *src)
{
	mask_free(src->mask);
	free(src->masked);
	free(src->ids);
}

void snapshot_free(struct snapshot *s)
{
	if (!s) return;
	for (size_t i = 0; i < s->nsrc; i++) {
		struct source *src = &s->src[i];
		src->ops->unload(src);
		index_free(src);
	}
	deletes_unref(s->deletes);
	free(s->src);
	free(s->table);
	free(s->streams);
	arena_free(&s->arena);
	pthread_mutex_destroy(&s->mu);
	free(s);
}

struct str snapshot_warning(const struct snapshot *s)
{
	struct snapshot *own = (struct snapshot *)s;
	pthread_mutex_lock(&own->mu);
	struct str w = s->warning;
	pthread_mutex_unlock(&own->mu);
	return w;
}

static void add_warning(struct snapshot *s, const struct err *e)
{
	log_error("a damaged part of the store is skipped", kv_err(e));
	if (s->damaged++ == 0)
		s->warning = arena_printf(&s->arena, "%.*s%sentries are missing from the answer: %s",
					  STR_ARG(s->warning), s->warning.n ? "; " : "", e->msg);
}

void snapshot_damaged(struct snapshot *s, const struct err *e)
{
	pthread_mutex_lock(&s->mu);
	add_warning(s, e);
	pthread_mutex_unlock(&s->mu);
}

/* ---- one identity per stream; all under the snapshot's lock ---- */

static void table_grow(struct snapshot *s)
{
	struct snapshot_stream **old = s->table;
	size_t n = s->ntable;
	s->ntable = n ? 2 * n : 64;
	s->table = mem_zalloc(s->ntable * sizeof(struct snapshot_stream *));
	for (size_t i = 0; i < n; i++) {
		for (struct snapshot_stream *r = old[i], *next; r; r = next) {
			next = r->chain;
			struct snapshot_stream **at = &s->table[r->pub.hash & (s->ntable - 1)];
			r->chain = *at;
			*at = r;
		}
	}
	free(old);
}

static struct snapshot_stream *resolve(struct snapshot *s, struct source *src, const struct source_stream *st)
{
	if (src->ids[st->i]) return s->streams[src->ids[st->i] - 1];
	struct arena scratch;
	arena_init(&scratch, 0);
	struct labels l = src->ops->labels(st, &scratch);
	if (s->nstreams >= s->ntable) table_grow(s);
	struct snapshot_stream **at = &s->table[st->hash & (s->ntable - 1)], *r = *at;
	while (r && (r->pub.hash != st->hash || !labels_eq(&r->pub.labels, &l))) r = r->chain;
	if (!r) {
		r = arena_zalloc(&s->arena, sizeof *r);
		r->pub = (struct reader_stream){labels_copy(&s->arena, &l), st->hash};
		r->id = (uint32_t)s->nstreams;
		r->chain = *at;
		*at = r;
		MEM_GROW(s->streams, s->nstreams, s->cap_streams);
		s->streams[s->nstreams++] = r;
	}
	arena_free(&scratch);
	src->ids[st->i] = r->id + 1;
	return r;
}

/* ---- what matches ---- */

static bool damaged(struct snapshot *s, struct source *src, const struct err *e)
{
	pthread_mutex_lock(&s->mu);
	if (!src->damaged) add_warning(s, e);
	src->damaged = true;
	pthread_mutex_unlock(&s->mu);
	return false;
}

/* Finds the requests that hide rows here, and the streams that they take. */
static bool source_mask(const struct snapshot *s, struct source *src, struct err *e)
{
	size_t words = (size_t)src->nstreams / 64 + 1;
	bool ok = true;
	src->mask = mask_new(s->deletes, src->floor, UINT64_MAX, src->min_ts, src->max_ts);
	if (!src->mask) return true;
	src->masked = mem_zalloc(words * sizeof *src->masked);
	uint64_t *bits = mem_alloc(words * sizeof *bits);
	for (size_t k = 0; k < src->mask->n && ok; k++) {
		const struct selector *sel = src->mask->v[k].query->selector;
		memset(bits, 0, words * sizeof *bits);
		ok = src->ops->match(src, sel->v, sel->n, bits, e);
		for (size_t w = 0; w < words; w++) src->masked[w] |= bits[w];
	}
	free(bits);
	return ok;
}

/* Learns how many streams the source has, and which of them have hidden rows. */
static bool source_load(struct snapshot *s, struct source *src)
{
	struct err e = ERR_INIT;
	pthread_mutex_lock(&s->mu);
	bool loaded = src->loaded;
	struct source look = *src;
	pthread_mutex_unlock(&s->mu);
	if (loaded) return true;
	bool ok = look.ops->load(&look, &e) && source_mask(s, &look, &e);
	if (ok) {
		look.ids = mem_zalloc(((size_t)look.nstreams + 1) * sizeof *look.ids);
		pthread_mutex_lock(&s->mu);
		if (!src->loaded) {
			look.loaded = true;
			look.damaged = src->damaged;
			*src = look;
			look.mask = NULL;
			look.masked = NULL;
			look.ids = NULL;
		}
		pthread_mutex_unlock(&s->mu);
	}
	index_free(&look);
	return ok || damaged(s, src, &e);
}

struct each {
	struct snapshot *s;
	struct source *src;
	snapshot_each_fn *fn;
	void *ud;
};

static void each_some(void *ud, const struct source_stream *v, size_t n)
{
	struct each *w = ud;
	pthread_mutex_lock(&w->s->mu);
	for (size_t i = 0; i < n; i++) w->fn(w->ud, w->src, &v[i], resolve(w->s, w->src, &v[i]));
	pthread_mutex_unlock(&w->s->mu);
}

static void each_of(struct snapshot *s, struct source *src, const struct matcher *m, size_t nm, int64_t from,
		    int64_t to, snapshot_each_fn *fn, void *ud)
{
	struct each w = {s, src, fn, ud};
	struct err e = ERR_INIT;
	if (!source_overlaps(src, from, to) || !source_load(s, src)) return;
	uint64_t *bits = mem_zalloc(((size_t)src->nstreams / 64 + 1) * sizeof *bits);
	if (!src->ops->match(src, m, nm, bits, &e) || !src->ops->each(src, bits, from, to, each_some, &w, &e))
		damaged(s, src, &e);
	free(bits);
}

void snapshot_each(struct snapshot *s, const struct matcher *m, size_t nm, int64_t from, int64_t to,
		   snapshot_each_fn *fn, void *ud)
{
	for (size_t k = 0; k < s->nsrc; k++) each_of(s, &s->src[k], m, nm, from, to, fn, ud);
}

/* ---- where a stream is ---- */

static struct snapshot_place *known_places(struct snapshot *s, const struct snapshot_stream *rs, int64_t from,
					   int64_t to, size_t *n)
{
	struct snapshot_place *v = NULL;
	pthread_mutex_lock(&s->mu);
	if (rs->places && rs->known_from <= from && rs->known_to >= to) {
		*n = rs->nplaces;
		v = mem_alloc((*n + 1) * sizeof *v);
		memcpy(v, rs->places, *n * sizeof *v);
	}
	pthread_mutex_unlock(&s->mu);
	return v;
}

struct snapshot_place *snapshot_places(struct snapshot *s, const struct snapshot_stream *rs, int64_t from, int64_t to,
				       size_t *n)
{
	struct snapshot_place *v = known_places(s, rs, from, to, n);
	if (v) return v;
	size_t cap = 0;
	*n = 0;
	for (size_t k = 0; k < s->nsrc; k++) {
		struct source *src = &s->src[k];
		struct source_stream st;
		struct err e = ERR_INIT;
		if (!source_overlaps(src, from, to) || !source_load(s, src)) continue;
		if (!src->ops->find(src, &rs->pub, &st, &e)) {
			damaged(s, src, &e);
			continue;
		}
		if (st.i == UINT32_MAX || !source_stream_overlaps(&st, from, to)) continue;
		MEM_GROW(v, *n, cap);
		v[(*n)++] = snapshot_place_of(src, &st);
	}
	return v;
}

/* ---- streams and stats ---- */

struct stream_set {     /* in the order they were met */
	uint64_t *seen; /* by stream id */
	size_t words;
	struct snapshot_stream **v;
	size_t n, cap;
};

static bool set_has(const struct stream_set *c, const struct snapshot_stream *rs)
{
	return rs->id / 64 < c->words && c->seen[rs->id / 64] >> (rs->id % 64) & 1;
}

static void set_add(struct stream_set *c, struct snapshot_stream *rs)
{
	if (set_has(c, rs)) return;
	if (rs->id / 64 >= c->words) {
		size_t words = 2 * (rs->id / 64 + 1);
		c->seen = mem_realloc(c->seen, words * sizeof *c->seen);
		memset(c->seen + c->words, 0, (words - c->words) * sizeof *c->seen);
		c->words = words;
	}
	c->seen[rs->id / 64] |= UINT64_C(1) << (rs->id % 64);
	MEM_GROW(c->v, c->n, c->cap);
	c->v[c->n++] = rs;
}

static void set_free(struct stream_set *c)
{
	free(c->seen);
	free(c->v);
}

struct found {
	struct snapshot_stream *rs;
	struct snapshot_place place;
};

/* Streams that have entries, those of whose entries delete requests may hide all, and where they are, as long as these
 * places are few. */
struct collect {
	struct stream_set sure, masked;
	struct found *found;
	size_t nfound, cap_found;
};

#define PLACES_MAX (1u << 18) /* that one pass over the streams remembers */

static void collect_stream(struct collect *c, const struct source *src, uint32_t i, struct snapshot_stream *rs)
{
	set_add(source_is_masked(src, i) ? &c->masked : &c->sure, rs);
}

static void collect_place(void *ud, struct source *src, const struct source_stream *st, struct snapshot_stream *rs)
{
	struct collect *c = ud;
	collect_stream(c, src, st->i, rs);
	if (c->nfound > PLACES_MAX) return;
	MEM_GROW(c->found, c->nfound, c->cap_found);
	c->found[c->nfound++] = (struct found){rs, snapshot_place_of(src, st)};
}

static int by_stream(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	if (x->rs->id != y->rs->id) return x->rs->id < y->rs->id ? -1 : 1;
	return (x->place.src > y->place.src) - (x->place.src < y->place.src);
}

/* Scans of the single streams follow, mostly: they need not look for them again. */
static void remember_places(struct snapshot *s, struct collect *c, int64_t from, int64_t to)
{
	if (c->nfound == 0 || c->nfound > PLACES_MAX) return;
	qsort(c->found, c->nfound, sizeof *c->found, by_stream);
	pthread_mutex_lock(&s->mu);
	for (size_t i = 0, k; i < c->nfound; i = k) {
		struct snapshot_stream *rs = c->found[i].rs;
		for (k = i + 1; k < c->nfound && c->found[k].rs == rs;) k++;
		if (rs->places && rs->known_from <= from && rs->known_to >= to) continue;
		rs->places = arena_alloc(&s->arena, (k - i) * sizeof *rs->places);
		rs->nplaces = k - i;
		for (size_t p = i; p < k; p++) rs->places[p - i] = c->found[p].place;
		rs->known_from = from;
		rs->known_to = to;
	}
	pthread_mutex_unlock(&s->mu);
}

/* Has the stream an entry in [from, to) that is not hidden? */
static bool has_entry(struct snapshot *s, const struct reader_stream *st, int64_t from, int64_t to, struct err *e)
{
	struct scan_opts o = {.only = st, .from = from, .to = to, .forward = true};
	struct scan_batch b;
	struct scan *sc = scan_open(s, &o, e);
	bool found = sc && scan_next(sc, &b, e);
	scan_close(sc);
	return found;
}

/* Calls fn for the masked streams that still have an entry; returns for how many. */
static size_t report_masked(struct snapshot *s, const struct collect *c, int64_t from, int64_t to,
			    bool (*fn)(void *ud, const struct reader_stream *st), void *ud, struct err *e)
{
	size_t n = 0;
	bool more = true;
	for (size_t i = 0; more && i < c->masked.n && e->code == ERR_NONE; i++) {
		const struct snapshot_stream *rs = c->masked.v[i];
		if (set_has(&c->sure, rs) || !has_entry(s, &rs->pub, from, to, e)) continue;
		more = fn(ud, &rs->pub);
		n++;
	}
	return n;
}

static void collect_free(struct collect *c)
{
	set_free(&c->sure);
	set_free(&c->masked);
	free(c->found);
}

/* Reports after each source: who has seen enough saves looking at the others. */
bool snapshot_streams(struct snapshot *s, const struct matcher *m, size_t nm, int64_t from, int64_t to,
		      bool (*fn)(void *ud, const struct reader_stream *st), void *ud, struct err *e)
{
	struct collect c = {0};
	bool more = true;
	/* a damaged source is left out and warned of */
	for (size_t k = 0, told = 0; k < s->nsrc && more; k++) {
		each_of(s, &s->src[k], m, nm, from, to, collect_place, &c);
		for (; told < c.sure.n && more; told++) more = fn(ud, &c.sure.v[told]->pub);
	}
	if (more) {
		remember_places(s, &c, from, to);
		report_masked(s, &c, from, to, fn, ud, e);
	}
	collect_free(&c);
	return e->code == ERR_NONE;
}

static bool count_rows(struct snapshot *s, const struct scan_opts *o, struct reader_stats *out, struct err *e)
{
	struct scan *sc = scan_open(s, o, e);
	struct scan_batch b;
	if (!sc) return false;
	while (scan_next(sc, &b, e)) {
		out->entries += b.n;
		for (size_t i = 0; i < b.n; i++) out->bytes += b.len[i];
	}
	scan_close(sc);
	return e->code == ERR_NONE;
}

struct stats {
	struct collect streams;
	struct reader_stats *out;
	int64_t from, to;
	bool partial; /* some stream crosses an end of the range in some source, or has hidden rows */
};

static void add_stats(void *ud, struct source *src, const struct source_stream *st, struct snapshot_stream *rs)
{
	struct stats *c = ud;
	collect_stream(&c->streams, src, st->i, rs);
	c->out->chunks += src->seg ? 1 + (st->rows - 1) / SEGMENT_BLOCK : 1;
	c->out->entries += st->rows;
	c->out->bytes += st->bytes;
	if (st->min_ts < c->from || st->max_ts >= c->to || source_is_masked(src, st->i)) c->partial = true;
}

static bool count_stream(void *ud, const struct reader_stream *st)
{
	(void)ud, (void)st;
	return true;
}

/* The index knows the figures of whole streams (copies in several sources counted twice); else rows are counted. */
bool snapshot_stats(struct snapshot *s, const struct matcher *m, size_t nm, int64_t from, int64_t to,
		    struct reader_stats *out, struct err *e)
{
	struct stats c = {.out = out, .from = from, .to = to};
	*out = (struct reader_stats){0};
	snapshot_each(s, m, nm, from, to, add_stats, &c);
	out->streams = c.streams.sure.n + report_masked(s, &c.streams, from, to, count_stream, NULL, e);
	collect_free(&c.streams);
	bool ok = e->code == ERR_NONE;
	if (ok && c.partial) {
		out->entries = out->bytes = 0;
		struct scan_opts o = {
			.matchers = m, .nmatchers = nm, .from = from, .to = to, .forward = true, .want = SCAN_LEN};
		ok = count_rows(s, &o, out, e);
	}
	return ok;
}
