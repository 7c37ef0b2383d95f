/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/expire.h"

#include "common/log.h"
#include "common/units.h"
#include "server/store/columns.h"
#include "server/store/tenant.h"

#include <stdlib.h>

/* ---- dropping segments ---- */

/* What leaves a tenant's catalog in one entry. */
struct drop {
	struct tenant *t;
	struct segment **v; /* held */
	size_t n, cap;
	struct catalog_cut cuts[CATALOG_CUT_REASONS];
};

static void drop_add(struct drop *d, struct segment *s)
{
	MEM_GROW(d->v, d->n, d->cap);
	d->v[d->n++] = segment_ref(s);
}

static void cut_add(struct catalog_cut *c, const struct catalog_cut *x)
{
	if (!x->rows) return;
	if (!c->rows || x->min_ts < c->min_ts) c->min_ts = x->min_ts;
	if (!c->rows || x->max_ts > c->max_ts) c->max_ts = x->max_ts;
	c->rows += x->rows;
	c->bytes += x->bytes;
	c->segments += x->segments;
}

static void drop_whole(struct drop *d, struct segment *s, enum catalog_cut_reason reason)
{
	drop_add(d, s);
	cut_add(&d->cuts[reason],
		&(struct catalog_cut){
			.rows = s->rows, .bytes = s->bytes, .segments = 1, .min_ts = s->min_ts, .max_ts = s->max_ts});
}

static void drop_free(struct drop *d)
{
	for (size_t i = 0; i < d->n; i++) segment_unref(d->v[i]);
	free(d->v);
}

static bool all_there(void *ud, struct err *e)
{
	const struct drop *d = ud;
	bool there = true;
	pthread_mutex_lock(&d->t->mu);
	for (size_t i = 0; i < d->n && there; i++) there = map_get(&d->t->by_name, str_c(d->v[i]->name)) == d->v[i];
	pthread_mutex_unlock(&d->t->mu);
	return there || err_set(e, ERR_EXISTS, "another process has changed the segments that were to be dropped");
}

static bool drop_run(struct drop *d, struct err *e)
{
	if (!d->n) return true;
	struct catalog_entry n = {.created = clock_wall(d->t->st->c.clock), .nremoved = d->n};
	struct catalog_cut cuts[CATALOG_CUT_REASONS];
	n.cuts = cuts;
	for (int i = 0; i < CATALOG_CUT_REASONS; i++) {
		if (!d->cuts[i].rows) continue;
		cuts[n.ncuts] = d->cuts[i];
		cuts[n.ncuts++].reason = (enum catalog_cut_reason)i;
	}
	n.removed = mem_zalloc(d->n * sizeof *n.removed);
	for (size_t i = 0; i < d->n; i++) n.removed[i].name = str_from(str_c(d->v[i]->name), d->t->dir.n);
	bool ok = tenant_append(d->t, &n, NULL, all_there, d, e);
	free(n.removed);
	for (size_t i = 0; ok && i < n.ncuts; i++) retention_log(d->t->name, &cuts[i]);
	return ok || err_wrap(e, "retention of tenant \"%.*s\"", STR_ARG(d->t->name));
}

/* ---- by age ---- */

/* Streams have periods of their own: what is past them? False: the index cannot be read. */
static bool look(const struct segment *s, const struct retention *r, int64_t now, struct retention_look *out)
{
	struct segment_view view;
	struct err e = ERR_INIT;
	bool ok = segment_view_open(&view, s, &e) && retention_look(r, &view, now, out, &e);
	if (!ok) log_error("retention cannot read a segment's index", kv_err(&e));
	segment_view_close(&view);
	return ok;
}

static void drop_looked(struct drop *d, struct segment *s, const struct retention_look *l)
{
	drop_add(d, s);
	enum catalog_cut_reason most = l->past[CATALOG_CUT_STREAM].rows > l->past[CATALOG_CUT_PERIOD].rows
					       ? CATALOG_CUT_STREAM
					       : CATALOG_CUT_PERIOD;
	for (int i = 0; i < RETENTION_REASONS; i++) {
		const struct retention_tally *p = &l->past[i];
		cut_add(&d->cuts[i], &(struct catalog_cut){.rows = p->rows,
							   .bytes = p->bytes,
							   .segments = i == (int)most,
							   .min_ts = p->min_ts,
							   .max_ts = p->max_ts});
	}
}

/* Decides on one segment. */
static void judge(struct drop *d, struct segment *s, const struct retention *r, int64_t now)
{
	struct retention_bounds b = retention_bounds(r, s->min_ts, s->max_ts);
	struct retention_look l;
	int64_t at = s->look_at > b.first_at ? s->look_at : b.first_at;
	/* What waits to be rewritten, and perhaps cannot be, still goes when all of it is past. */
	if (at > now || (s->rewrite && b.all_at > now)) {
		s->look_at = at;
		return;
	}
	if (b.exact) {
		drop_whole(d, s, CATALOG_CUT_PERIOD);
		return;
	}
	if (!look(s, r, now, &l)) {
		if (b.all_at <= now)
			drop_whole(d, s, CATALOG_CUT_PERIOD);
		else
			s->look_at = now + UNITS_DAY;
	} else if (l.rows == s->rows) {
		drop_looked(d, s, &l);
	} else if (retention_worthwhile(&l, s->bytes, now)) {
		s->rewrite = true;
	} else {
		s->look_at = l.rows && l.since + UNITS_DAY < l.next ? l.since + UNITS_DAY : l.next;
	}
}

static struct segment **hold_segments(struct tenant *t, size_t *n)
{
	pthread_mutex_lock(&t->mu);
	size_t named = tenant_named_segments(t);
	struct segment **v = mem_alloc((named + 1) * sizeof(struct segment *));
	for (*n = 0; *n < named; ++*n) v[*n] = segment_ref(t->segments[*n]);
	pthread_mutex_unlock(&t->mu);
	return v;
}

static void let_go(struct segment **v, size_t n)
{
	for (size_t i = 0; i < n; i++) segment_unref(v[i]);
	free(v);
}

bool expire_by_age(struct tenant *t, const struct retention *r, int64_t now, struct err *e)
{
	struct drop d = {.t = t};
	size_t n;
	struct segment **v = hold_segments(t, &n);
	if (t->retention_id != retention_id(r)) { /* what was found out under other rules is void */
		for (size_t i = 0; i < n; i++) v[i]->look_at = INT64_MIN;
		t->retention_id = retention_id(r);
	}
	for (size_t i = 0; i < n; i++) judge(&d, v[i], r, now);
	bool ok = drop_run(&d, e);
	drop_free(&d);
	let_go(v, n);
	return ok;
}

int64_t expire_next(struct tenant *t, const struct retention *r)
{
	int64_t next = INT64_MAX;
	pthread_mutex_lock(&t->mu);
	for (size_t i = 0; i < t->nsegments; i++) {
		const struct segment *s = t->segments[i];
		struct retention_bounds b = retention_bounds(r, s->min_ts, s->max_ts);
		int64_t at = s->look_at > b.first_at ? s->look_at : b.first_at;
		if (at < next) next = at;
	}
	pthread_mutex_unlock(&t->mu);
	return next;
}

/* ---- by bytes ---- */

struct candidate {
	struct segment *s; /* held */
	size_t tenant;
};

static int oldest_first(const void *a, const void *b)
{
	const struct segment *x = ((const struct candidate *)a)->s, *y = ((const struct candidate *)b)->s;
	if (x->max_ts != y->max_ts) return x->max_ts < y->max_ts ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

bool expire_by_bytes(struct tenant *const *t, size_t n, uint64_t limit, struct err *e)
{
	struct candidate *v = NULL;
	size_t all = 0, cap = 0;
	uint64_t size = 0;
	bool ok = true;
	struct drop *drops = mem_zalloc((n + 1) * sizeof *drops);
	for (size_t i = 0; i < n; i++) {
		size_t k;
		struct segment **held = hold_segments(t[i], &k);
		drops[i].t = t[i];
		for (size_t j = 0; j < k; j++) {
			MEM_GROW(v, all, cap);
			v[all++] = (struct candidate){held[j], i};
			size += held[j]->size;
		}
		free(held);
	}
	if (size > limit) qsort(v, all, sizeof *v, oldest_first);
	for (size_t i = 0; i < all && size > limit; i++) {
		size -= v[i].s->size;
		drop_whole(&drops[v[i].tenant], v[i].s, CATALOG_CUT_BYTES);
	}
	for (size_t i = 0; i < n; i++) {
		ok = ok && drop_run(&drops[i], e);
		drop_free(&drops[i]);
	}
	for (size_t i = 0; i < all; i++) segment_unref(v[i].s);
	free(v);
	free(drops);
	return ok;
}
