/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/compact.h"

#include "common/codec.h"
#include "common/log.h"
#include "common/units.h"
#include "server/store/columns.h"
#include "server/store/compact_merge.h"
#include "server/store/tenant.h"

#include <stdlib.h>

#define DAY_LAG (3 * UNITS_HOUR) /* a day is over when what came at its end is flushed */

/* ---- what there is ---- */

struct listing {
	struct deletes *deletes;
	struct segment **seg; /* held, in arrival order */
	struct compact_segment *v;
	size_t n;
};

/* Segments that may be purged up to the same number may be merged: what is above that number hides rows of all of them
 * alike, and none of it is below any one's floor. */
static struct compact_segment describe(const struct segment *s, const struct deletes *d, int64_t before)
{
	return (struct compact_segment){
		.apart = deletes_purgeable(d, s->purged, s->min_ts, s->max_ts, before),
		.day = compact_day(s->min_ts),
		.bytes = s->bytes,
		.streams = s->streams,
		.hard = s->hard,
		.rewrite = s->rewrite,
		.skip = s->unreadable || compact_day(s->min_ts) != compact_day(s->max_ts),
	};
}

static void list_segments(struct tenant *t, struct listing *l, int64_t deletes_before)
{
	l->deletes = deletes_of(t);
	pthread_mutex_lock(&t->mu);
	l->n = tenant_named_segments(t);
	l->seg = mem_alloc((l->n + 1) * sizeof(struct segment *));
	l->v = mem_alloc((l->n + 1) * sizeof *l->v);
	for (size_t i = 0; i < l->n; i++) l->seg[i] = segment_ref(t->segments[i]);
	pthread_mutex_unlock(&t->mu);
	/* Looks at every request for each, and compiles some: pushes need not wait for that. */
	for (size_t i = 0; i < l->n; i++) l->v[i] = describe(l->seg[i], l->deletes, deletes_before);
}

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) segment_unref(l->seg[i]);
	deletes_unref(l->deletes);
	free(l->seg);
	free(l->v);
}

static struct compact_rules rules(const struct compact_opts *o)
{
	return (struct compact_rules){o->target, o->memory, compact_day(o->now - DAY_LAG), o->all};
}

struct compact_backlog compact_tenant_backlog(struct tenant *t, const struct compact_opts *o)
{
	struct listing l;
	struct compact_rules r = rules(o);
	list_segments(t, &l, o->deletes_before);
	struct compact_backlog b = compact_backlog(l.v, l.n, &r);
	listing_free(&l);
	return b;
}

/* ---- one merge ---- */

struct job {
	struct tenant *t;
	const struct compact_opts *o;
	struct deletes *deletes;
	struct segment *in[COMPACT_INPUTS];
	struct mask *masks[COMPACT_INPUTS];
	size_t n;
	uint64_t floor, upto; /* requests above the inputs' least floor are carried out, up to this number */
	struct arena arena;
	struct str name, object; /* of the output */
	struct merge_result r;
	bool lost; /* what it was made from has changed meanwhile */
};

static int64_t keep_from(void *ud, const struct labels *stream, unsigned *reason)
{
	const struct job *j = ud;
	enum catalog_cut_reason why;
	int64_t from = retention_keep_from(j->o->retention, stream, j->o->now, &why);
	*reason = why;
	return from;
}

static bool step(void *ud, struct err *e)
{
	const struct job *j = ud;
	return !j->o->step || j->o->step(j->o->ud, e);
}

static bool merge(struct job *j, struct err *e)
{
	struct tenant *t = j->t;
	struct clock *clock = t->st->c.clock;
	struct merge_opts m = {
		.level = CODEC_LEVEL_LINES, .keep_from = keep_from, .masks = j->masks, .step = step, .ud = j};
	j->name = arena_printf(&j->arena, "segments/%016llx%016llx", (unsigned long long)clock_rnd(clock),
			       (unsigned long long)clock_rnd(clock));
	j->object = arena_printf(&j->arena, "%.*s%.*s", STR_ARG(t->dir), STR_ARG(j->name));
	return merge_segments(t->st->objects, j->in, j->n, j->object, t->name, &m, &j->r, e);
}

static bool inputs_stand(void *ud, struct err *e)
{
	struct job *j = ud;
	pthread_mutex_lock(&j->t->mu);
	for (size_t i = 0; i < j->n && !j->lost; i++)
		j->lost = map_get(&j->t->by_name, str_c(j->in[i]->name)) != j->in[i];
	pthread_mutex_unlock(&j->t->mu);
	if (!j->lost && !deletes_stand(j->t, j->deletes, j->floor, j->upto)) j->lost = true;
	return !j->lost ||
	       err_set(e, ERR_EXISTS, "segments that were being merged are gone, or a delete request was cancelled");
}

/* What the merge did, as a catalog entry. */
static void describe_entry(struct job *j, struct catalog_entry *n)
{
	const struct segwrite_result *r = &j->r.out;
	struct catalog_segment *added = arena_alloc(&j->arena, sizeof *added);
	*added = (struct catalog_segment){.name = j->name,
					  .size = r->size,
					  .rows = r->rows,
					  .bytes = r->bytes,
					  .streams = r->streams,
					  .order = j->in[0]->order,
					  .min_ts = r->min_ts,
					  .max_ts = r->max_ts,
					  .purged = j->upto,
					  .hard = true};
	*n = (struct catalog_entry){
		.created = clock_wall(j->t->st->c.clock), .added = added, .nadded = r->rows > 0, .nremoved = j->n};
	n->removed = arena_zalloc(&j->arena, j->n * sizeof *n->removed);
	for (size_t i = 0; i < j->n; i++) n->removed[i].name = str_from(str_c(j->in[i]->name), j->t->dir.n);
	n->cuts = arena_alloc(&j->arena, MERGE_REASONS * sizeof *n->cuts);
	for (int i = 0; i < MERGE_REASONS; i++) {
		const struct merge_expired *x = &j->r.expired[i];
		if (!x->rows) continue;
		n->cuts[n->ncuts++] = (struct catalog_cut){.reason = (enum catalog_cut_reason)i,
							   .rows = x->rows,
							   .bytes = x->bytes,
							   .min_ts = x->min_ts,
							   .max_ts = x->max_ts};
	}
}

static bool commit(struct job *j, struct err *e)
{
	struct catalog_entry n;
	describe_entry(j, &n);
	bool ok = tenant_append(j->t, &n, NULL, inputs_stand, j, e);
	for (size_t i = 0; ok && i < n.ncuts; i++) retention_log(j->t->name, &n.cuts[i]);
	if (ok) return true;
	struct err ignored = ERR_INIT;
	if (j->lost && n.nadded) object_remove(j->t->st->objects, j->object, &ignored);
	return false;
}

static void count(const struct job *j, struct compact_done *d)
{
	d->merges++;
	d->inputs += j->n;
	for (size_t i = 0; i < j->n; i++) d->read += j->in[i]->size;
	d->written += j->r.out.size;
	d->rows += j->r.rows;
	d->copies += j->r.copies;
	d->deleted += j->r.hidden;
	for (int i = 0; i < MERGE_REASONS; i++) d->expired += j->r.expired[i].rows;
}

/* One of the inputs cannot be read: the others are merged without it. An object that is gone may have been merged by
 * another process; if the catalog goes on naming it, it is lost. */
static bool leave_out(struct job *j, struct err *e)
{
	struct err why = *e;
	if (j->r.damaged == j->n) return false;
	*e = ERR_INIT;
	if (why.code == ERR_NOT_FOUND && !tenant_read(j->t, e)) return false;
	j->in[j->r.damaged]->unreadable = true;
	if (inputs_stand(j, &(struct err){0}))
		log_error("a segment that cannot be read is left as it is by compaction", kv_err(&why));
	return true;
}

/* Until the grace time is over, inputs and output are both there. */
static bool has_room(const struct job *j, struct err *e)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < j->n; i++) bytes += j->in[i]->size;
	return !j->o->room || j->o->room(j->o->ud, bytes, e);
}

static bool run(struct job *j, struct compact_done *done, struct err *e)
{
	if (!has_room(j, e)) return false;
	int64_t began = clock_mono(j->t->st->c.clock);
	if (!merge(j, e)) return leave_out(j, e);
	if (!commit(j, e)) {
		if (!j->lost) return false;
		log_info("a merge was given up", kv_str("tenant", j->t->name), kv_err(e));
		*e = ERR_INIT;
		return true;
	}
	count(j, done);
	log_info("merged segments", kv_str("tenant", j->t->name), kv_i("segments", (int64_t)j->n),
		 kv_i("rows", (int64_t)j->r.rows), kv_i("copies", (int64_t)j->r.copies),
		 kv_i("bytes", (int64_t)j->r.out.size), kv_dur("duration", clock_mono(j->t->st->c.clock) - began));
	return true;
}

/* A segment's own floor may be above what another of the inputs is purged to: then nothing between is hidden in it. */
static void job_init(struct job *j, struct listing *l, const struct compact_job *plan)
{
	arena_init(&j->arena, 0);
	j->deletes = l->deletes;
	j->floor = UINT64_MAX;
	for (; j->n < plan->n; j->n++) {
		struct segment *s = j->in[j->n] = l->seg[plan->v[j->n]];
		uint64_t floor = s->purged;
		j->upto = l->v[plan->v[j->n]].apart;
		j->masks[j->n] = mask_new(l->deletes, floor, j->upto, s->min_ts, s->max_ts);
		if (floor < j->floor) j->floor = floor;
	}
}

static void job_fini(struct job *j)
{
	for (size_t i = 0; i < j->n; i++) mask_free(j->masks[i]);
	arena_free(&j->arena);
}

bool compact_step(struct tenant *t, const struct compact_opts *o, struct compact_done *done, bool *more, struct err *e)
{
	struct listing l;
	struct compact_job plan;
	struct compact_rules r = rules(o);
	struct job j = {.t = t, .o = o};
	list_segments(t, &l, o->deletes_before);
	compact_plan(l.v, l.n, &r, &plan);
	*more = plan.n > 0;
	job_init(&j, &l, &plan);
	bool ok = plan.n == 0 || run(&j, done, e) || err_wrap(e, "compaction of tenant \"%.*s\"", STR_ARG(t->name));
	job_fini(&j);
	listing_free(&l);
	return ok;
}

/* ---- what delete requests want rewritten ---- */

struct marking {
	struct tenant *t;
	struct deletes *deletes;
	struct catalog_purge *v; /* nothing of theirs is hidden, up to these numbers */
	size_t n, cap;
	uint64_t floor, upto;
	struct arena arena;
};

/* Does the mask take a stream of the segment? */
static bool mask_takes(struct segment_view *view, const struct mask *m, bool *takes, struct err *e)
{
	struct label *v = NULL;
	size_t cap = 0;
	bool ok = true;
	*takes = false;
	for (uint32_t i = 0; ok && !*takes && i < view->root->nstreams; i++) {
		struct segment_stream st;
		struct mask_stream ms;
		ok = segment_view_stream(view, i, &st, e);
		if (!ok) break;
		if (st.npairs > cap) v = mem_realloc(v, (cap = 2 * (size_t)st.npairs) * sizeof *v);
		segment_labels(view->page, &st, v);
		mask_stream_init(&ms, m, &(struct labels){v, st.npairs}, st.min_ts, st.max_ts);
		*takes = ms.n > 0;
		mask_stream_fini(&ms);
	}
	free(v);
	return ok;
}

static void nothing_hidden(struct marking *w, const struct segment *s, uint64_t floor, uint64_t upto)
{
	struct str name = arena_str(&w->arena, str_from(str_c(s->name), w->t->dir.n));
	*ARENA_PUSH(&w->arena, w->v, w->n, w->cap) = (struct catalog_purge){name, upto};
	if (floor < w->floor) w->floor = floor;
	if (upto > w->upto) w->upto = upto;
}

static void mark(struct marking *w, struct segment *s, int64_t before)
{
	uint64_t floor = s->purged, upto = deletes_purgeable(w->deletes, floor, s->min_ts, s->max_ts, before);
	if (s->rewrite || s->unreadable || upto <= floor) return;
	struct mask *m = mask_new(w->deletes, floor, upto, s->min_ts, s->max_ts);
	struct segment_view view;
	struct err e = ERR_INIT;
	bool takes;
	if (!m) return;
	if (!segment_view_open(&view, s, &e) || !mask_takes(&view, m, &takes, &e)) {
		s->unreadable = e.code == ERR_CORRUPT;
		log_error("delete requests cannot be carried out on a segment", kv_err(&e));
	} else if (takes) {
		s->rewrite = true;
	} else {
		nothing_hidden(w, s, floor, upto);
	}
	segment_view_close(&view);
	mask_free(m);
}

static bool requests_stand(void *ud, struct err *e)
{
	const struct marking *w = ud;
	return deletes_stand(w->t, w->deletes, w->floor, w->upto) ||
	       err_set(e, ERR_EXISTS, "a delete request was cancelled");
}

bool compact_mark_deletes(struct tenant *t, int64_t before, struct err *e)
{
	struct marking w = {.t = t, .deletes = deletes_of(t), .floor = UINT64_MAX};
	struct listing l = {0};
	bool ok = true;
	arena_init(&w.arena, 0);
	if (w.deletes->n) list_segments(t, &l, before);
	for (size_t i = 0; i < l.n; i++) mark(&w, l.seg[i], before);
	if (w.n) {
		struct catalog_entry n = {.created = clock_wall(t->st->c.clock), .purged = w.v, .npurged = w.n};
		ok = tenant_append(t, &n, NULL, requests_stand, &w, e);
	}
	listing_free(&l);
	deletes_unref(w.deletes);
	arena_free(&w.arena);
	return ok;
}
