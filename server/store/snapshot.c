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
						    .nviews = h->streams.n,
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

struct snapshot *snapshot_take(struct store *st, struct str tenant)
{
	struct snapshot *s = snapshot_new(st);
	struct tenant *t = store_tenant(st, tenant, false);
	if (!t) return s;
	pthread_mutex_lock(&t->mu);
	snapshot_pin(s, t);
	pthread_mutex_unlock(&t->mu);
	return s;
}

void snapshot_free(struct snapshot *s)
{
	if (!s) return;
	for (size_t i = 0; i < s->nsrc; i++) {
		struct source *src = &s->src[i];
		src->ops->unload(src);
		mask_free(src->mask);
		free(src->masked);
		free(src->streams);
		free(src->by_hash);
	}
	deletes_unref(s->deletes);
	free(s->src);
	free(s->table);
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

static struct snapshot_stream *resolve(struct snapshot *s, struct source *src, uint32_t i)
{
	if (src->streams[i]) return src->streams[i];
	struct arena scratch;
	arena_init(&scratch, 0);
	struct labels l = src->ops->labels(src, i, &scratch);
	uint64_t hash = src->ops->hash(src, i);
	if (s->nstreams >= s->ntable) table_grow(s);
	struct snapshot_stream **at = &s->table[hash & (s->ntable - 1)], *r = *at;
	while (r && (r->pub.hash != hash || !labels_eq(&r->pub.labels, &l))) r = r->chain;
	if (!r) {
		r = arena_alloc(&s->arena, sizeof *r);
		*r = (struct snapshot_stream){{labels_copy(&s->arena, &l), hash}, (uint32_t)s->nstreams++, *at};
		*at = r;
	}
	arena_free(&scratch);
	return src->streams[i] = r;
}

/* Finds the requests that hide rows here, and the streams that they take. */
static void source_mask(struct snapshot *s, struct source *src)
{
	size_t words = (size_t)src->ops->streams(src) / 64 + 1;
	src->mask = mask_new(s->deletes, src->floor, UINT64_MAX, src->min_ts, src->max_ts);
	if (!src->mask) return;
	src->masked = mem_zalloc(words * sizeof *src->masked);
	uint64_t *bits = mem_alloc(words * sizeof *bits);
	for (size_t k = 0; k < src->mask->n; k++) {
		const struct selector *sel = src->mask->v[k].query->selector;
		memset(bits, 0, words * sizeof *bits);
		src->ops->match(src, sel->v, sel->n, bits);
		for (size_t w = 0; w < words; w++) src->masked[w] |= bits[w];
	}
	free(bits);
}

static bool source_load(struct snapshot *s, struct source *src)
{
	struct err e = ERR_INIT;
	if (src->loaded) return src->streams != NULL;
	src->loaded = true;
	if (!src->ops->load(src, &e)) {
		add_warning(s, &e);
		return false;
	}
	src->streams = mem_zalloc(((size_t)src->ops->streams(src) + 1) * sizeof(struct snapshot_stream *));
	source_mask(s, src);
	return true;
}

/* The source's number of a stream, or UINT32_MAX. */
static uint32_t find_stream(struct snapshot *s, struct source *src, const struct reader_stream *st)
{
	uint32_t n = src->ops->streams(src);
	if (!src->by_hash) {
		size_t cap = 16;
		while (cap < 2 * (size_t)n) cap *= 2;
		src->by_hash = mem_zalloc(cap * sizeof *src->by_hash);
		src->by_hash_cap = cap;
		for (uint32_t i = 0; i < n; i++) {
			size_t h = src->ops->hash(src, i) & (cap - 1);
			while (src->by_hash[h]) h = (h + 1) & (cap - 1);
			src->by_hash[h] = i + 1;
		}
	}
	for (size_t h = st->hash & (src->by_hash_cap - 1); src->by_hash[h]; h = (h + 1) & (src->by_hash_cap - 1)) {
		uint32_t i = src->by_hash[h] - 1;
		if (src->ops->hash(src, i) == st->hash && &resolve(s, src, i)->pub == st) return i;
	}
	return UINT32_MAX;
}

static bool in_range(const struct source *src, uint32_t i, int64_t from, int64_t to)
{
	struct head_view v = src->ops->view(src, i);
	return v.n && v.max_ts >= from && v.min_ts < to;
}

static void each_matching(struct snapshot *s, struct source *src, const struct matcher *m, size_t nm, int64_t from,
			  int64_t to, snapshot_each_fn *fn, void *ud)
{
	uint32_t n = src->ops->streams(src);
	size_t words = ((size_t)n + 63) / 64;
	uint64_t *bits = mem_zalloc((words + 1) * sizeof *bits);
	src->ops->match(src, m, nm, bits);
	for (size_t w = 0; w < words; w++) {
		for (uint64_t left = bits[w]; left; left &= left - 1) {
			uint32_t i = (uint32_t)(w * 64 + (size_t)__builtin_ctzll(left));
			if (in_range(src, i, from, to)) fn(ud, src, i, resolve(s, src, i));
		}
	}
	free(bits);
}

void snapshot_each(struct snapshot *s, const struct matcher *m, size_t nm, const struct reader_stream *only,
		   int64_t from, int64_t to, snapshot_each_fn *fn, void *ud)
{
	pthread_mutex_lock(&s->mu);
	for (size_t k = 0; k < s->nsrc; k++) {
		struct source *src = &s->src[k];
		if (src->max_ts < from || src->min_ts >= to || !source_load(s, src)) continue;
		if (!only) {
			each_matching(s, src, m, nm, from, to, fn, ud);
			continue;
		}
		uint32_t i = find_stream(s, src, only);
		if (i != UINT32_MAX && in_range(src, i, from, to)) fn(ud, src, i, src->streams[i]);
	}
	pthread_mutex_unlock(&s->mu);
}

/* ---- streams and stats ---- */

struct stream_set {
	uint64_t *seen; /* by stream id */
	size_t words;
	const struct snapshot_stream **v;
	size_t n, cap;
};

static bool set_has(const struct stream_set *c, const struct snapshot_stream *rs)
{
	return rs->id / 64 < c->words && c->seen[rs->id / 64] >> (rs->id % 64) & 1;
}

static void set_add(struct stream_set *c, const struct snapshot_stream *rs)
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

/* Streams that have entries, and those of whose entries delete requests may hide all. */
struct collect {
	struct stream_set sure, masked;
};

static void collect_stream(void *ud, struct source *src, uint32_t i, const struct snapshot_stream *rs)
{
	struct collect *c = ud;
	set_add(source_is_masked(src, i) ? &c->masked : &c->sure, rs);
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

/* Calls fn for the streams collected; returns for how many. */
static size_t report_streams(struct snapshot *s, struct collect *c, int64_t from, int64_t to,
			     bool (*fn)(void *ud, const struct reader_stream *st), void *ud, struct err *e)
{
	size_t n = 0;
	bool more = true;
	for (; more && n < c->sure.n; n++) more = fn(ud, &c->sure.v[n]->pub);
	for (size_t i = 0; more && i < c->masked.n && e->code == ERR_NONE; i++) {
		const struct snapshot_stream *rs = c->masked.v[i];
		if (set_has(&c->sure, rs) || !has_entry(s, &rs->pub, from, to, e)) continue;
		more = fn(ud, &rs->pub);
		n++;
	}
	set_free(&c->sure);
	set_free(&c->masked);
	return n;
}

bool snapshot_streams(struct snapshot *s, const struct matcher *m, size_t nm, int64_t from, int64_t to,
		      bool (*fn)(void *ud, const struct reader_stream *st), void *ud, struct err *e)
{
	struct collect c = {0};
	/* a damaged source is left out and warned of */
	snapshot_each(s, m, nm, NULL, from, to, collect_stream, &c);
	report_streams(s, &c, from, to, fn, ud, e);
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

static void add_stats(void *ud, struct source *src, uint32_t i, const struct snapshot_stream *rs)
{
	struct stats *c = ud;
	struct head_view v = src->ops->view(src, i);
	collect_stream(&c->streams, src, i, rs);
	c->out->chunks += src->seg ? 1 + (v.n - 1) / SEGMENT_BLOCK : 1;
	c->out->entries += v.n;
	c->out->bytes += v.bytes;
	if (v.min_ts < c->from || v.max_ts >= c->to || source_is_masked(src, i)) c->partial = true;
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
	snapshot_each(s, m, nm, NULL, from, to, add_stats, &c);
	out->streams = report_streams(s, &c.streams, from, to, count_stream, NULL, e);
	bool ok = e->code == ERR_NONE;
	if (ok && c.partial) {
		out->entries = out->bytes = 0;
		struct scan_opts o = {
			.matchers = m, .nmatchers = nm, .from = from, .to = to, .forward = true, .want = SCAN_LEN};
		ok = count_rows(s, &o, out, e);
	}
	return ok;
}
