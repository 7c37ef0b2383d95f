/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/catalog_state.h"

#include <stdlib.h>

/* ---- covers ---- */

/* The first range that ends at or behind (writer, seq). */
static size_t covers_from(const struct catalog_covers *c, uint64_t writer, uint64_t seq)
{
	size_t lo = 0, hi = c->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct wal_range *r = &c->v[mid];
		if (r->writer < writer || (r->writer == writer && r->hi < seq))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void catalog_covers_add(struct catalog_covers *c, struct wal_range r)
{
	size_t at = covers_from(c, r.writer, r.lo), end = at;
	for (; end < c->n && c->v[end].writer == r.writer && c->v[end].lo <= r.hi; end++) {
		if (c->v[end].lo < r.lo) r.lo = c->v[end].lo;
		if (c->v[end].hi > r.hi) r.hi = c->v[end].hi;
	}
	MEM_GROW(c->v, c->n, c->cap);
	memmove(&c->v[at + 1], &c->v[end], (c->n - end) * sizeof *c->v);
	c->v[at] = r;
	c->n = c->n - (end - at) + 1;
}

bool catalog_covers_has(const struct catalog_covers *c, uint64_t writer, uint64_t seq)
{
	if (seq == UINT64_MAX) return false; /* ranges end before it */
	size_t i = covers_from(c, writer, seq + 1);
	return i < c->n && c->v[i].writer == writer && c->v[i].lo <= seq;
}

/* ---- segments ---- */

bool catalog_state_has(const struct catalog_state *s, struct str segment)
{
	return map_get(&s->by_name, segment) != NULL;
}

int64_t catalog_state_removed(const struct catalog_state *s, struct str segment)
{
	for (size_t i = s->nremoved; i-- > 0;) {
		if (str_eq(s->removed[i].name, segment)) return s->removed[i].at;
	}
	return 0;
}

/* Whoever got no answer to its entry may add a segment again that another has compacted meanwhile. */
static void add_segment(struct catalog_state *s, const struct catalog_segment *c)
{
	if (catalog_state_has(s, c->name) || catalog_state_removed(s, c->name)) return;
	struct catalog_segment *g = mem_alloc(sizeof *g);
	*g = *c;
	g->name = mem_str(c->name);
	MEM_GROW(s->segments, s->nsegments, s->cap_segments);
	size_t at = s->nsegments++;
	for (; at > 0 && s->segments[at - 1]->order > g->order; at--) s->segments[at] = s->segments[at - 1];
	s->segments[at] = g;
	map_put(&s->by_name, g->name, g);
}

static void free_segment(struct catalog_segment *g)
{
	free((char *)g->name.p);
	free(g);
}

/* A removal of what is not there is remembered too: a checkpoint says both. */
static void remove_segment(struct catalog_state *s, const struct catalog_removal *r)
{
	struct catalog_segment *g = map_del(&s->by_name, r->name);
	for (size_t i = 0; g && i < s->nsegments; i++) {
		if (s->segments[i] != g) continue;
		memmove(&s->segments[i], &s->segments[i + 1], (--s->nsegments - i) * sizeof *s->segments);
		break;
	}
	if (g) free_segment(g);
	MEM_GROW(s->removed, s->nremoved, s->cap_removed);
	s->removed[s->nremoved++] = (struct catalog_removal){mem_str(r->name), r->at};
}

static void forget_removals(struct catalog_state *s, int64_t now)
{
	size_t n = 0;
	for (size_t i = 0; i < s->nremoved; i++) {
		if (s->removed[i].at >= now - CATALOG_REMOVALS_KEPT)
			s->removed[n++] = s->removed[i];
		else
			free((char *)s->removed[i].name.p);
	}
	s->nremoved = n;
}

static void purge_segment(struct catalog_state *s, const struct catalog_purge *p)
{
	struct catalog_segment *g = map_get(&s->by_name, p->name);
	if (g && g->purged < p->number) g->purged = p->number;
}

/* ---- delete requests ---- */

static void add_delete(struct catalog_state *s, const struct catalog_delete *d)
{
	if (map_get(&s->deletes_by_id, d->id)) return;
	struct state_delete *n = mem_zalloc(sizeof *n);
	n->d = *d;
	n->d.id = mem_str(d->id);
	n->d.query = mem_str(d->query);
	MEM_GROW(s->deletes, s->ndeletes, s->cap_deletes);
	s->deletes[s->ndeletes++] = n;
	map_put(&s->deletes_by_id, n->d.id, n);
}

static void free_delete(struct state_delete *d)
{
	free((char *)d->d.id.p);
	free((char *)d->d.query.p);
	free(d);
}

/* ---- the whole ---- */

static void add_cut(struct catalog_state *s, const struct catalog_cut *c)
{
	struct catalog_cut *sum = &s->cuts[c->reason];
	bool first = sum->segments == 0 && sum->rows == 0;
	sum->reason = c->reason;
	sum->rows += c->rows;
	sum->bytes += c->bytes;
	sum->segments += c->segments;
	if (first || c->min_ts < sum->min_ts) sum->min_ts = c->min_ts;
	if (first || c->max_ts > sum->max_ts) sum->max_ts = c->max_ts;
}

void catalog_state_damaged(struct catalog_state *s, uint64_t number)
{
	MEM_GROW(s->damaged, s->ndamaged, s->cap_damaged);
	s->damaged[s->ndamaged++] = number;
}

void catalog_state_apply(struct catalog_state *s, const struct catalog_entry *c)
{
	struct state_delete *d;
	if (c->whole) catalog_state_fini(s);
	for (size_t i = 0; i < c->nadded; i++) add_segment(s, &c->added[i]);
	for (size_t i = 0; i < c->nremoved; i++) remove_segment(s, &c->removed[i]);
	for (size_t i = 0; i < c->ncovers; i++) catalog_covers_add(&s->covers, c->covers[i]);
	for (size_t i = 0; i < c->ndeletes; i++) add_delete(s, &c->deletes[i]);
	for (size_t i = 0; i < c->ncancelled; i++) {
		if ((d = map_get(&s->deletes_by_id, c->cancelled[i]))) d->cancelled = true;
	}
	for (size_t i = 0; i < c->ndone; i++) {
		if ((d = map_get(&s->deletes_by_id, c->done[i]))) d->done = true;
	}
	for (size_t i = 0; i < c->npurged; i++) purge_segment(s, &c->purged[i]);
	for (size_t i = 0; i < c->ncuts; i++) add_cut(s, &c->cuts[i]);
	for (size_t i = 0; i < c->ndamaged; i++) catalog_state_damaged(s, c->damaged[i]);
	if (c->nremoved) forget_removals(s, c->created);
}

static void collect_deletes(const struct catalog_state *s, struct arena *a, struct catalog_entry *out)
{
	out->deletes = arena_alloc(a, (s->ndeletes + 1) * sizeof *out->deletes);
	out->cancelled = arena_alloc(a, (s->ndeletes + 1) * sizeof *out->cancelled);
	out->done = arena_alloc(a, (s->ndeletes + 1) * sizeof *out->done);
	for (size_t i = 0; i < s->ndeletes; i++) {
		const struct state_delete *d = s->deletes[i];
		out->deletes[out->ndeletes++] = d->d;
		if (d->cancelled) out->cancelled[out->ncancelled++] = d->d.id;
		if (d->done) out->done[out->ndone++] = d->d.id;
	}
}

void catalog_state_collect(const struct catalog_state *s, struct arena *a, struct catalog_entry *out)
{
	*out = (struct catalog_entry){.whole = true,
				      .removed = s->removed,
				      .nremoved = s->nremoved,
				      .covers = s->covers.v,
				      .ncovers = s->covers.n,
				      .damaged = s->damaged,
				      .ndamaged = s->ndamaged};
	out->added = arena_alloc(a, (s->nsegments + 1) * sizeof *out->added);
	for (size_t i = 0; i < s->nsegments; i++) out->added[out->nadded++] = *s->segments[i];
	collect_deletes(s, a, out);
	out->cuts = arena_alloc(a, sizeof s->cuts);
	for (size_t i = 0; i < CATALOG_CUT_REASONS; i++) {
		if (s->cuts[i].segments || s->cuts[i].rows) out->cuts[out->ncuts++] = s->cuts[i];
	}
}

void catalog_state_fini(struct catalog_state *s)
{
	for (size_t i = 0; i < s->nsegments; i++) free_segment(s->segments[i]);
	for (size_t i = 0; i < s->nremoved; i++) free((char *)s->removed[i].name.p);
	for (size_t i = 0; i < s->ndeletes; i++) free_delete(s->deletes[i]);
	free(s->segments);
	free(s->removed);
	free(s->deletes);
	free(s->covers.v);
	free(s->damaged);
	map_free(&s->by_name);
	map_free(&s->deletes_by_id);
	*s = (struct catalog_state){0};
}
