/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One head into segments, one for each UTC day it has entries of (store.h, store_flush). */
#include "common/units.h"
#include "server/store/dedup.h"
#include "server/store/segwrite.h"
#include "server/store/tenant.h"

#include <stdlib.h>

#define TRIES       3 /* at writing segments in time */
#define FLUSH_LEVEL 1 /* zstd's: fast now, compaction compresses harder */

struct store_flush {
	struct tenant *t;
	struct head *h;
	struct wal_range *covers;
	size_t ncovers;
	struct arena arena;
	bool written;                  /* the segments are there; only the catalog is missing */
	struct clock_mark started;     /* when the first was begun; also the catalog entry's time, in every attempt */
	uint64_t seq;                  /* in the outbox */
	struct catalog_segment *added; /* by day */
	size_t nadded, cap_added;
	/* scratch */
	uint32_t *streams; /* in label order */
	struct head_rows rows;
	struct dedup seen;
};

struct store_flush *store_flush_new(struct tenant *t, struct head *h, const struct wal_range *covers, size_t ncovers)
{
	struct store_flush *f = mem_zalloc(sizeof *f);
	f->t = t;
	f->h = h;
	f->ncovers = ncovers;
	f->covers = mem_alloc((ncovers + 1) * sizeof *covers);
	memcpy(f->covers, covers, ncovers * sizeof *covers);
	arena_init(&f->arena, 0);
	return f;
}

void store_flush_free(struct store_flush *f)
{
	if (!f) return;
	free(f->covers);
	free(f->streams);
	free(f->rows.v);
	dedup_free(&f->seen);
	arena_free(&f->arena);
	free(f);
}

static int by_labels(const void *a, const void *b, void *ud)
{
	const struct head *h = ud;
	return labels_cmp(&head_stream(h, *(const uint32_t *)a)->labels, &head_stream(h, *(const uint32_t *)b)->labels);
}

static int64_t day_of(int64_t ts)
{
	int64_t d = ts / UNITS_DAY;
	return ts % UNITS_DAY < 0 ? d - 1 : d;
}

static int by_day(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* The days that the head has entries of, ascending. Consecutive rows are mostly of one day. */
static int64_t *days_of(const struct head *h, size_t *n)
{
	int64_t *v = NULL, last = INT64_MIN;
	size_t cap = 0;
	*n = 0;
	for (uint32_t i = 0; i < h->streams.n; i++) {
		const struct head_stream *hs = head_stream(h, i);
		uint64_t left = hs->view.n;
		for (const struct head_chunk *c = hs->first; left; c = c->next) {
			size_t k = left < c->cap ? (size_t)left : c->cap;
			left -= k;
			for (size_t r = 0; r < k; r++) {
				int64_t day = day_of(c->v[r].ts);
				if (day == last) continue;
				last = day;
				MEM_GROW(v, *n, cap);
				v[(*n)++] = day;
			}
		}
	}
	if (*n) qsort(v, *n, sizeof *v, by_day);
	size_t k = 0;
	for (size_t i = 0; i < *n; i++) {
		if (k == 0 || v[k - 1] != v[i]) v[k++] = v[i];
	}
	*n = k;
	return v;
}

/* Is the row a copy of an earlier one with its timestamp? Rows come sorted. */
static bool is_copy(struct store_flush *f, size_t i)
{
	const struct head_row *r = f->rows.v[i];
	bool prev = i > 0 && f->rows.v[i - 1]->ts == r->ts, next = i + 1 < f->rows.n && f->rows.v[i + 1]->ts == r->ts;
	if (!prev) dedup_clear(&f->seen);
	if (!prev && !next) return false;
	return !dedup_add(&f->seen, dedup_key(str_of(r->line, r->len), head_meta(f->h, r)));
}

static bool write_stream(struct store_flush *f, struct segwrite *w, const struct head_stream *hs, int64_t from,
			 int64_t to, struct err *e)
{
	f->rows.n = 0;
	head_collect(hs, &hs->view, from, to, &f->rows);
	if (f->rows.n == 0) return true;
	if (!segwrite_stream(w, &hs->labels, hs->hash, e)) return false;
	for (size_t i = 0; i < f->rows.n; i++) {
		const struct head_row *r = f->rows.v[i];
		if (is_copy(f, i)) continue;
		if (!segwrite_row(w, r->ts, str_of(r->line, r->len), head_meta(f->h, r), e)) return false;
	}
	return true;
}

static bool write_segment(struct store_flush *f, int64_t day, struct err *e)
{
	struct tenant *t = f->t;
	struct clock *clock = t->st->c.clock;
	struct str name = arena_printf(&f->arena, "segments/%016llx%016llx", (unsigned long long)clock_rnd(clock),
				       (unsigned long long)clock_rnd(clock));
	struct str object = arena_printf(&f->arena, "%.*s%.*s", STR_ARG(t->dir), STR_ARG(name));
	struct segwrite *w = segwrite_new(t->st->segments, object, t->name, FLUSH_LEVEL, e);
	if (!w) return false;
	/* The last day of the representable time has no end; its last nanosecond is no valid end of a range. */
	int64_t from = day < INT64_MIN / UNITS_DAY ? INT64_MIN : day * UNITS_DAY;
	int64_t to = day >= INT64_MAX / UNITS_DAY ? INT64_MAX : (day + 1) * UNITS_DAY;
	for (uint32_t i = 0; i < f->h->streams.n; i++) {
		if (write_stream(f, w, head_stream(f->h, f->streams[i]), from, to, e)) continue;
		segwrite_abort(w);
		return false;
	}
	struct segwrite_result r;
	if (!segwrite_finish(w, f->covers, f->ncovers, &r, e)) return false;
	struct catalog_segment c = {name, r.size,   r.rows,   r.bytes,     r.streams,
				    0,    r.min_ts, r.max_ts, f->h->floor, false};
	*ARENA_PUSH(&f->arena, f->added, f->nadded, f->cap_added) = c;
	return true;
}

/* After a failure half-way it goes on with the day that failed: on a full disk, writing the others again with every
 * attempt would fill it further. */
static bool write_segments(struct store_flush *f, struct err *e)
{
	size_t ndays;
	bool ok = true;
	int64_t *days = days_of(f->h, &ndays);
	if (!f->streams) {
		f->streams = mem_alloc((f->h->streams.n + 1) * sizeof *f->streams);
		for (uint32_t i = 0; i < f->h->streams.n; i++) f->streams[i] = i;
		qsort_r(f->streams, f->h->streams.n, sizeof *f->streams, by_labels, f->h);
	}
	for (size_t i = f->nadded; i < ndays && ok; i++) ok = write_segment(f, days[i], e);
	free(days);
	return ok;
}

/* Segments that are not named in time are swept, perhaps by another process: they are written anew. */
static bool is_late(const struct store_flush *f)
{
	const struct store *s = f->t->st;
	return f->nadded && !s->outbox && !clock_within(s->c.clock, &f->started, s->c.orphan_grace_ns / 2);
}

static void start_again_if_late(struct store_flush *f)
{
	if (is_late(f)) {
		f->nadded = 0;
		f->written = false;
	}
	if (f->nadded == 0) f->started = clock_mark(f->t->st->c.clock);
}

/* In the catalog, or in the outbox, which sees to it that it comes there. */
static bool commit(struct store_flush *f, struct catalog_entry *n, struct err *e)
{
	struct outbox *o = f->t->st->outbox;
	if (!o) return tenant_append(f->t, n, f->h, NULL, NULL, e);
	if (!outbox_put(o, f->t->dir, n, &f->seq, e)) return false;
	tenant_apply_pending(f->t, n, f->h);
	return true;
}

/* What is written, in an attempt before or now, in time to be named. */
static bool write_in_time(struct store_flush *f, struct err *e)
{
	for (int tries = 0; tries < TRIES; tries++) {
		start_again_if_late(f);
		if (!f->written && !write_segments(f, e)) return false;
		f->written = true;
		if (!is_late(f)) return true;
	}
	return err_set(e, ERR_UNAVAILABLE, "writing takes so long that what is there may have been swept already");
}

bool store_flush_run(struct store_flush *f, struct store_flush_result *out, struct err *e)
{
	if (!write_in_time(f, e)) return err_wrap(e, "flush of tenant \"%.*s\"", STR_ARG(f->t->name));
	struct catalog_entry n = {.created = f->started.wall,
				  .added = f->added,
				  .nadded = f->nadded,
				  .covers = f->covers,
				  .ncovers = f->ncovers};
	if (!commit(f, &n, e)) return false;
	*out = (struct store_flush_result){.segments = f->nadded};
	for (size_t i = 0; i < f->nadded; i++) {
		out->size += f->added[i].size;
		out->rows += f->added[i].rows;
		out->bytes += f->added[i].bytes;
	}
	return true;
}
