/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/feed.h"
#include "server/store/source.h"

#include <stdlib.h>

#define FEED_BYTES   ((size_t)8 << 20)   /* unread, per tenant */
#define STREAM_BYTES ((size_t)256 << 10) /* of streams that a follower remembers; then it starts anew */
#define RECENT       4096                /* entries back to which one that comes again is known, at least */

struct feed_node {
	struct feed_node *next;
	size_t readers; /* followers that have not read it */
	size_t bytes;   /* of the budget */
	uint64_t floor;
	struct record r;
	char copy[];
};

struct feed {
	struct str tenant;  /* own */
	pthread_mutex_t mu; /* guards what follows, and what followers have under it */
	struct feed_node *first, **last;
	size_t bytes;
	struct follow *followers;
};

/* A stream as a follower knows it, by its canonical labels. */
struct follow_stream {
	struct reader_stream pub;
	bool wanted;
};

struct follow {
	struct store *st;
	struct feed *feed;
	struct follow_opts o;
	struct budget *memory;

	/* under the feed's lock */
	struct follow *prev, *next;
	struct feed_node *at; /* to be read next; NULL: whatever comes */
	uint64_t lost;

	/* the reader's own */
	struct arena keep; /* streams */
	struct map streams;
	size_t wanted; /* of them */
	bool forgot;
	struct feed_node *node; /* being read … */
	struct mask *mask;      /* what delete requests hide of it */
	size_t streams_left, rows_left;
	struct str rest;              /* … streams of it … */
	struct record_rows rows;      /* … rows of the stream … */
	struct follow_stream *stream; /* … which this is */
	struct mask_stream hidden;
	struct arena arena; /* metadata of the node */
	struct str *sets;   /* its metadata sets; NULL: not looked at */
	const struct labels **decoded;
	struct dedup recent, older;
	int64_t ts[SCAN_ROWS];
	struct str line[SCAN_ROWS];
	uint32_t len[SCAN_ROWS];
	const struct labels *meta[SCAN_ROWS];
};

static const struct labels no_meta;

/* ---- the feed ---- */

static struct str moved(struct str s, const char *from, const char *to)
{
	return s.p ? str_of(to + (s.p - from), s.n) : s;
}

struct feed_node *feed_node_new(const struct record *r, struct str bytes, uint64_t floor)
{
	struct feed_node *n = mem_alloc(sizeof *n + bytes.n);
	memcpy(n->copy, bytes.p, bytes.n);
	*n = (struct feed_node){.r = *r, .bytes = sizeof *n + bytes.n, .floor = floor};
	n->r.tenant = moved(r->tenant, bytes.p, n->copy);
	n->r.sets = moved(r->sets, bytes.p, n->copy);
	n->r.rest = moved(r->rest, bytes.p, n->copy);
	return n;
}

void feed_node_free(struct feed_node *n) { free(n); }

/* Records at the front that nobody needs any more go. */
static void trim(struct feed *f, struct budget *memory)
{
	for (struct feed_node *n; (n = f->first) && n->readers == 0;) {
		f->first = n->next;
		if (!f->first) f->last = &f->first;
		f->bytes -= n->bytes;
		budget_give(memory, n->bytes);
		feed_node_free(n);
	}
}

void feed_add(struct feed *f, struct feed_node *n)
{
	pthread_mutex_lock(&f->mu);
	bool fits = f->bytes + n->bytes <= FEED_BYTES && budget_take(f->followers->memory, n->bytes);
	if (fits) {
		f->bytes += n->bytes;
		*f->last = n;
		f->last = &n->next;
	}
	for (struct follow *x = f->followers; x; x = x->next) {
		if (fits) n->readers++;
		if (fits && !x->at) x->at = n;
		if (!fits) x->lost += n->r.rows;
		x->o.wake(x->o.ud);
	}
	pthread_mutex_unlock(&f->mu);
	if (!fits) feed_node_free(n);
}

/* The store's lock is held. */
static struct feed *feed_of(struct store *s, struct str tenant)
{
	struct feed *f = map_get(&s->feeds, tenant);
	if (f) return f;
	f = mem_zalloc(sizeof *f);
	f->tenant = mem_str(tenant);
	f->last = &f->first;
	pthread_mutex_init(&f->mu, NULL);
	map_put(&s->feeds, f->tenant, f);
	return f;
}

static void feed_free(struct feed *f)
{
	pthread_mutex_destroy(&f->mu);
	free((char *)f->tenant.p);
	free(f);
}

/* ---- followers come and go ---- */

static void join(struct feed *f, struct follow *x)
{
	pthread_mutex_lock(&f->mu);
	x->next = f->followers;
	if (x->next) x->next->prev = x;
	f->followers = x;
	pthread_mutex_unlock(&f->mu);
}

/* True: it was the last one. */
static bool leave(struct feed *f, struct follow *x)
{
	pthread_mutex_lock(&f->mu);
	*(x->prev ? &x->prev->next : &f->followers) = x->next;
	if (x->next) x->next->prev = x->prev;
	if (x->node) x->node->readers--;
	for (struct feed_node *n = x->at; n; n = n->next) n->readers--;
	trim(f, x->memory);
	bool last = !f->followers;
	pthread_mutex_unlock(&f->mu);
	return last;
}

struct follow *follow_open(struct store *s, const struct follow_opts *o, struct snapshot **snap)
{
	struct follow *x = mem_zalloc(sizeof *x);
	x->st = s;
	x->o = *o;
	x->memory = o->memory;
	arena_init(&x->keep, 0);
	arena_init(&x->arena, 0);
	*snap = snapshot_new(s);
	pthread_mutex_lock(&s->mu);
	struct feed *f = x->feed = feed_of(s, o->tenant);
	struct tenant *t = map_get(&s->tenants, o->tenant);
	if (t) {
		pthread_mutex_lock(&t->mu);
		snapshot_pin(*snap, t);
		atomic_store(&t->feed, f);
		join(f, x);
		pthread_mutex_unlock(&t->mu);
	} else {
		join(f, x);
	}
	pthread_mutex_unlock(&s->mu);
	return x;
}

void follow_close(struct follow *x)
{
	if (!x) return;
	struct store *s = x->st;
	struct feed *f = x->feed;
	pthread_mutex_lock(&s->mu);
	struct tenant *t = map_get(&s->tenants, f->tenant);
	if (t) pthread_mutex_lock(&t->mu);
	bool last = leave(f, x);
	if (last) map_del(&s->feeds, f->tenant);
	if (last && t) atomic_store(&t->feed, NULL);
	if (t) pthread_mutex_unlock(&t->mu);
	pthread_mutex_unlock(&s->mu);
	if (last) feed_free(f);
	mask_stream_fini(&x->hidden);
	mask_free(x->mask);
	dedup_free(&x->recent);
	dedup_free(&x->older);
	map_free(&x->streams);
	arena_free(&x->keep);
	arena_free(&x->arena);
	free(x);
}

uint64_t follow_lost(struct follow *x)
{
	pthread_mutex_lock(&x->feed->mu);
	uint64_t n = x->lost;
	x->lost = 0;
	pthread_mutex_unlock(&x->feed->mu);
	return n;
}

size_t follow_streams(const struct follow *x) { return x->wanted; }

/* ---- reading ---- */

static void leave_stream(struct follow *x)
{
	mask_stream_fini(&x->hidden);
	x->rows_left = 0;
}

/* Requests that were made since the record came hide rows of it. */
static void mask_node(struct follow *x)
{
	struct deletes *d = deletes_of(store_tenant(x->st, x->feed->tenant, false));
	mask_free(x->mask);
	x->mask = d->newest > x->node->floor ? mask_new(d, x->node->floor, UINT64_MAX, INT64_MIN, INT64_MAX) : NULL;
	deletes_unref(d);
}

/* Done with the record; on to the next. False: there is none now. */
static bool next_node(struct follow *x)
{
	struct feed *f = x->feed;
	leave_stream(x);
	pthread_mutex_lock(&f->mu);
	if (x->node) x->node->readers--;
	trim(f, x->memory);
	x->node = x->at;
	if (x->at) x->at = x->at->next;
	pthread_mutex_unlock(&f->mu);
	arena_reset(&x->arena);
	x->sets = NULL;
	if (!x->node) return false;
	mask_node(x);
	x->streams_left = x->node->r.nstreams;
	x->rest = x->node->r.rest;
	return true;
}

static bool matches(const struct follow_opts *o, const struct labels *l)
{
	for (size_t i = 0; i < o->nmatchers; i++) {
		struct str v = labels_get(l, o->matchers[i].name);
		if (!matcher_match(&o->matchers[i], v.p ? v : STR(""))) return false;
	}
	return true;
}

/* NULL: the labels are damaged. */
static struct follow_stream *stream_of(struct follow *x, struct str key)
{
	struct follow_stream *s = map_get(&x->streams, key);
	struct labels l;
	if (s) return s;
	key = arena_str(&x->keep, key);
	if (!record_set_count(key, &l.n)) return NULL;
	l.v = arena_alloc(&x->keep, (l.n + 1) * sizeof *l.v);
	if (!record_set_decode(key, l.v, l.n)) return NULL;
	s = ARENA_NEW(&x->keep, struct follow_stream);
	*s = (struct follow_stream){{l, labels_hash(&l)}, matches(&x->o, &l)};
	map_put(&x->streams, key, s);
	x->wanted += s->wanted;
	return s;
}

/* No row of any is being read. */
static void forget_streams(struct follow *x)
{
	map_free(&x->streams);
	arena_reset(&x->keep);
	x->wanted = 0;
	x->forgot = true;
}

/* The next stream with rows that are wanted. False: none is left now. */
static bool next_stream(struct follow *x)
{
	for (;;) {
		while (x->node && x->streams_left > 0) {
			leave_stream(x);
			if (x->keep.used > STREAM_BYTES) forget_streams(x);
			x->streams_left--;
			if (!record_next_stream(&x->rest, &x->rows)) break;
			x->stream = stream_of(x, x->rows.labels);
			if (!x->stream || !x->stream->wanted) continue;
			mask_stream_init(&x->hidden, x->mask, &x->stream->pub.labels, INT64_MIN, INT64_MAX);
			x->rows_left = x->rows.n;
			if (x->rows_left) return true;
		}
		if (!next_node(x)) return false;
	}
}

static const struct labels *decode_set(struct follow *x, struct str set)
{
	struct labels *l = ARENA_NEW(&x->arena, struct labels);
	if (!record_set_count(set, &l->n)) return &no_meta;
	l->v = arena_alloc(&x->arena, (l->n + 1) * sizeof *l->v);
	return record_set_decode(set, l->v, l->n) ? l : &no_meta;
}

/* The metadata that a row names. */
static const struct labels *meta_of(struct follow *x, uint32_t set)
{
	const struct record *r = &x->node->r;
	if (set == 0 || set > r->nsets) return &no_meta;
	if (!x->sets) {
		struct str sets = r->sets;
		size_t n = 0;
		x->sets = arena_alloc(&x->arena, r->nsets * sizeof *x->sets);
		x->decoded = arena_zalloc(&x->arena, r->nsets * sizeof *x->decoded);
		while (n < r->nsets && record_next_set(&sets, &x->sets[n])) n++;
		for (; n < r->nsets; n++) x->decoded[n] = &no_meta;
	}
	const struct labels **l = &x->decoded[set - 1];
	if (!*l) *l = decode_set(x, x->sets[set - 1]);
	return *l;
}

/* Has this entry come a short while ago? Who gets no answer to a push sends it again. */
static bool is_repeat(struct follow *x, size_t n)
{
	struct dedup_key k = dedup_key(x->line[n], x->meta[n]);
	k.lo += x->stream->pub.hash * UINT64_C(0x9e3779b97f4a7c15);
	k.hi += (uint64_t)x->ts[n] * UINT64_C(0x9e3779b97f4a7c15);
	if (dedup_has(&x->older, k) || !dedup_add(&x->recent, k)) return true;
	if (x->recent.n < RECENT) return false;
	struct dedup swap = x->older;
	x->older = x->recent;
	x->recent = swap;
	dedup_clear(&x->recent);
	return false;
}

static bool is_hidden(struct follow *x, size_t n)
{
	enum mask_verdict v = mask_time(&x->hidden, x->ts[n]);
	return v == MASK_HIDDEN || (v == MASK_BY_LINE && mask_hides(&x->hidden, x->ts[n], x->line[n], x->meta[n]));
}

/* The stream's next row that is to be told, as row n of the batch. False: it has none. */
static bool next_row(struct follow *x, size_t n)
{
	struct record_row row;
	while (x->rows_left > 0) {
		x->rows_left--;
		if (!record_next_row(&x->rows, &row)) break;
		x->ts[n] = row.ts;
		x->line[n] = row.line;
		x->len[n] = (uint32_t)row.line.n;
		x->meta[n] = meta_of(x, row.set);
		if (!is_hidden(x, n) && !is_repeat(x, n)) return true;
	}
	leave_stream(x);
	return false;
}

bool follow_next(struct follow *x, struct follow_batch *out)
{
	size_t n = 0;
	while (n == 0) {
		if (x->rows_left == 0 && !next_stream(x)) return false;
		while (n < SCAN_ROWS && next_row(x, n)) n++;
	}
	*out = (struct follow_batch){.forgot = x->forgot};
	x->forgot = false;
	out->rows = (struct scan_batch){
		.n = n, .one = &x->stream->pub, .ts = x->ts, .line = x->line, .len = x->len, .meta = x->meta};
	return true;
}
