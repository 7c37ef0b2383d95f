/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/deletes.h"

#include "common/log.h"
#include "server/store/tenant.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- requests ---- */

/* Stands for the compiled form of a query that cannot be read. */
static struct delete_query unreadable;

static struct delete_request *request_new(const struct catalog_delete *c)
{
	struct delete_request *r = mem_zalloc(sizeof *r);
	r->refs = 1;
	r->id = mem_str(c->id);
	r->query = mem_str(c->query);
	r->number = c->number;
	r->created = c->created;
	r->from = c->from;
	r->to = c->to;
	return r;
}

static void request_unref(struct delete_request *r, const struct delete_lang *lang)
{
	if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) return;
	struct delete_query *q = atomic_load(&r->compiled);
	if (q && q != &unreadable) lang->free(q);
	free((char *)r->id.p);
	free((char *)r->query.p);
	free(r);
}

/* Compiled when first needed, by whoever comes first; old requests mostly are not. */
const struct delete_query *deletes_query(const struct deletes *d, struct delete_request *r)
{
	struct delete_query *q = atomic_load_explicit(&r->compiled, memory_order_acquire), *before = NULL;
	struct err e = ERR_INIT;
	if (q) return q == &unreadable ? NULL : q;
	if (d->lang)
		q = d->lang->compile(r->query, &e);
	else
		err_set(&e, ERR_INVALID, "no language of queries is known here");
	if (!q) {
		log_error("a delete request cannot be read and hides nothing", kv_str("request", r->id),
			  kv_str("query", r->query), kv_err(&e));
		q = &unreadable;
	}
	if (!atomic_compare_exchange_strong(&r->compiled, &before, q)) {
		if (q != &unreadable) d->lang->free(q);
		q = before;
	}
	return q == &unreadable ? NULL : q;
}

/* ---- sets ---- */

struct deletes *deletes_new(const struct delete_lang *lang)
{
	struct deletes *d = mem_zalloc(sizeof *d);
	d->refs = 1;
	d->lang = lang;
	return d;
}

struct deletes *deletes_ref(struct deletes *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return d;
}

void deletes_unref(struct deletes *d)
{
	if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1) return;
	for (size_t i = 0; i < d->n; i++) request_unref(d->v[i].r, d->lang);
	free(d->v);
	free(d);
}

static struct deletes_item *find(const struct deletes *d, struct str id)
{
	for (size_t i = d->n; i-- > 0;) {
		if (str_eq(d->v[i].r->id, id)) return &d->v[i];
	}
	return NULL;
}

/* A set that nobody else holds. */
static void make_own(struct deletes **d)
{
	struct deletes *old = *d;
	if (atomic_load_explicit(&old->refs, memory_order_acquire) == 1) return;
	struct deletes *own = deletes_new(old->lang);
	own->v = mem_alloc((old->n + 1) * sizeof *own->v);
	own->cap = old->n + 1;
	own->n = old->n;
	own->newest = old->newest;
	own->generation = old->generation;
	for (size_t i = 0; i < old->n; i++) {
		own->v[i] = old->v[i];
		atomic_fetch_add_explicit(&own->v[i].r->refs, 1, memory_order_relaxed);
	}
	deletes_unref(old);
	*d = own;
}

static void add(struct deletes *d, const struct catalog_delete *c)
{
	if (find(d, c->id)) return; /* made twice, as its answer was lost on the way: the first one counts */
	MEM_GROW(d->v, d->n, d->cap);
	size_t at = d->n++;
	for (; at > 0 && d->v[at - 1].r->number > c->number; at--) d->v[at] = d->v[at - 1];
	d->v[at] = (struct deletes_item){request_new(c), DELETE_PENDING};
	if (c->number > d->newest) d->newest = c->number;
}

/* Who cancels first and who finishes first is decided before the entry is made; a cancelled one stays so. */
static void set_state(struct deletes *d, const struct str *ids, size_t n, enum delete_state state)
{
	for (size_t i = 0; i < n; i++) {
		struct deletes_item *it = find(d, ids[i]);
		if (it && it->state != DELETE_CANCELLED) it->state = state;
	}
}

void deletes_apply(struct deletes **d, const struct catalog_entry *c)
{
	if (!c->ndeletes && !c->ncancelled && !c->ndone) return;
	make_own(d);
	for (size_t i = 0; i < c->ndeletes; i++) add(*d, &c->deletes[i]);
	set_state(*d, c->done, c->ndone, DELETE_DONE);
	set_state(*d, c->cancelled, c->ncancelled, DELETE_CANCELLED);
	(*d)->generation = c->number;
}

struct deletes *deletes_of(struct tenant *t)
{
	pthread_mutex_lock(&t->mu);
	struct deletes *d = deletes_ref(t->deletes);
	pthread_mutex_unlock(&t->mu);
	return d;
}

/* ---- making and cancelling ---- */

struct change {
	struct tenant *t;
	struct str id;
	int64_t before;
	bool force;
	uint64_t generation; /* of the set that the change is made of */
	struct err why;      /* set: refused */
};

/* The floor that goes with a logged record has 32 bits. */
static bool may_create(void *ud, struct err *e)
{
	struct change *c = ud;
	struct deletes *d = deletes_of(c->t);
	size_t pending = 0;
	for (size_t i = 0; i < d->n; i++) pending += d->v[i].state == DELETE_PENDING;
	if (pending >= DELETES_MAX)
		err_set(&c->why, ERR_RATE, "%zu delete requests are pending, which is the most there may be", pending);
	else if (c->t->catalog.next > UINT32_MAX)
		err_set(&c->why, ERR_UNPROCESSABLE,
			"the catalog of the tenant has too many entries for a delete request");
	deletes_unref(d);
	if (c->why.code) *e = c->why;
	return c->why.code == ERR_NONE;
}

bool deletes_check(struct store *s, struct str query, struct err *e)
{
	const struct delete_lang *lang = s->c.delete_lang;
	struct delete_query *q = lang->compile(query, e);
	if (q) lang->free(q);
	return q != NULL;
}

bool deletes_create(struct tenant *t, const struct delete_spec *s, char id[DELETE_ID], struct err *e)
{
	struct clock *clock = t->st->c.clock;
	if (!deletes_check(t->st, s->query, e)) return false;
	snprintf(id, DELETE_ID, "%016llx", (unsigned long long)clock_rnd(clock));
	struct catalog_delete d = {
		.id = str_c(id), .created = clock_wall(clock), .from = s->from, .to = s->to, .query = s->query};
	struct catalog_entry n = {.created = d.created, .deletes = &d, .ndeletes = 1};
	struct change c = {.t = t, .why = ERR_INIT};
	if (tenant_append(t, &n, NULL, may_create, &c, e)) return true;
	if (c.why.code) *e = c.why;
	return false;
}

static bool may_cancel(void *ud, struct err *e)
{
	struct change *c = ud;
	struct deletes *d = deletes_of(c->t);
	const struct deletes_item *it = find(d, c->id);
	if (!it || it->state == DELETE_CANCELLED)
		err_set(&c->why, ERR_NOT_FOUND, "there is no delete request %.*s", STR_ARG(c->id));
	else if (it->state == DELETE_DONE)
		err_set(&c->why, ERR_EXISTS, "delete request %.*s is done", STR_ARG(c->id));
	else if (it->r->created < c->before && !c->force)
		err_set(&c->why, ERR_INVALID, "delete request %.*s may be carried out already", STR_ARG(c->id));
	deletes_unref(d);
	if (c->why.code) *e = c->why;
	return c->why.code == ERR_NONE;
}

bool deletes_cancel(struct tenant *t, struct str id, int64_t before, bool force, struct err *e)
{
	struct catalog_entry n = {.created = clock_wall(t->st->c.clock), .cancelled = &id, .ncancelled = 1};
	struct change c = {.t = t, .id = id, .before = before, .force = force, .why = ERR_INIT};
	if (tenant_append(t, &n, NULL, may_cancel, &c, e)) return true;
	if (c.why.code) *e = c.why;
	return false;
}

/* ---- what is left to do ---- */

static bool overlaps(const struct delete_request *r, int64_t min_ts, int64_t max_ts)
{
	return r->from <= max_ts && r->to >= min_ts;
}

uint64_t deletes_purgeable(const struct deletes *d, uint64_t floor, int64_t min_ts, int64_t max_ts, int64_t before)
{
	for (size_t i = 0; i < d->n; i++) {
		struct delete_request *r = d->v[i].r;
		if (r->number <= floor || d->v[i].state == DELETE_CANCELLED || !overlaps(r, min_ts, max_ts)) continue;
		if (r->created >= before || !deletes_query(d, r)) return r->number - 1;
	}
	return d->newest > floor ? d->newest : floor;
}

bool deletes_stand(struct tenant *t, const struct deletes *d, uint64_t floor, uint64_t upto)
{
	bool stand = true;
	struct deletes *now = deletes_of(t);
	for (size_t i = 0; stand && now->generation != d->generation && i < d->n; i++) {
		const struct deletes_item *it = &d->v[i];
		if (it->state == DELETE_CANCELLED || it->r->number <= floor || it->r->number > upto) continue;
		stand = find(now, it->r->id)->state != DELETE_CANCELLED;
	}
	deletes_unref(now);
	return stand;
}

/* Calls fn for the times of every head and segment in which the request hides something, or may. */
static void each_left(struct tenant *t, const struct delete_request *r, void (*fn)(void *ud, int64_t min, int64_t max),
		      void *ud)
{
	pthread_mutex_lock(&t->mu);
	for (size_t i = 0; i < t->nheads; i++) {
		const struct head *h = t->heads[i];
		if (h->rows && h->floor < r->number && overlaps(r, h->min_ts, h->max_ts)) fn(ud, h->min_ts, h->max_ts);
	}
	for (size_t i = 0; i < t->nsegments; i++) {
		const struct segment *s = t->segments[i];
		if (s->purged < r->number && overlaps(r, s->min_ts, s->max_ts)) fn(ud, s->min_ts, s->max_ts);
	}
	pthread_mutex_unlock(&t->mu);
}

static void note_left(void *ud, int64_t min, int64_t max)
{
	(void)min, (void)max;
	*(bool *)ud = true;
}

static bool is_finished(struct tenant *t, const struct deletes_item *it, int64_t before)
{
	bool left = false;
	if (it->state != DELETE_PENDING || it->r->created >= before) return false;
	each_left(t, it->r, note_left, &left);
	return !left;
}

/* Nobody cancelled or finished one of them before. */
static bool may_finish(void *ud, struct err *e)
{
	struct change *c = ud;
	struct deletes *d = deletes_of(c->t);
	bool ok = d->generation == c->generation;
	deletes_unref(d);
	return ok || err_set(e, ERR_EXISTS, "delete requests have changed meanwhile");
}

bool deletes_finish(struct tenant *t, int64_t before, struct err *e)
{
	struct deletes *d = deletes_of(t);
	struct catalog_entry n = {.created = clock_wall(t->st->c.clock)};
	bool ok = true;
	n.done = mem_alloc((d->n + 1) * sizeof *n.done);
	for (size_t i = 0; i < d->n; i++) {
		if (is_finished(t, &d->v[i], before)) n.done[n.ndone++] = d->v[i].r->id;
	}
	if (n.ndone) {
		struct change c = {.t = t, .generation = d->generation};
		ok = tenant_append(t, &n, NULL, may_finish, &c, e);
		if (ok)
			log_info("delete requests are done", kv_str("tenant", t->name),
				 kv_i("requests", (int64_t)n.ndone));
	}
	free(n.done);
	deletes_unref(d);
	return ok;
}

#define SLICES 100

struct progress {
	const struct delete_request *r;
	bool left[SLICES];
};

static size_t slice_of(const struct delete_request *r, int64_t ts)
{
	uint64_t whole = (uint64_t)r->to - (uint64_t)r->from, part = (uint64_t)ts - (uint64_t)r->from;
	if (ts <= r->from) return 0;
	return ts >= r->to ? SLICES - 1 : (size_t)(part / (whole / SLICES + 1));
}

static void mark_slices(void *ud, int64_t min, int64_t max)
{
	struct progress *p = ud;
	for (size_t i = slice_of(p->r, min); i <= slice_of(p->r, max); i++) p->left[i] = true;
}

unsigned deletes_progress(struct tenant *t, const struct delete_request *r)
{
	struct progress p = {.r = r};
	unsigned done = SLICES;
	each_left(t, r, mark_slices, &p);
	for (size_t i = 0; i < SLICES; i++) done -= p.left[i];
	return done;
}

static void add_totals(struct deletes_totals *sum, const struct deletes *d)
{
	for (size_t i = 0; i < d->n; i++) {
		int64_t created = d->v[i].r->created;
		sum->done += d->v[i].state == DELETE_DONE;
		if (d->v[i].state != DELETE_PENDING) continue;
		if (sum->pending++ == 0 || created < sum->oldest) sum->oldest = created;
	}
}

void deletes_totals(struct store *s, struct deletes_totals *out)
{
	*out = (struct deletes_totals){0};
	pthread_mutex_lock(&s->mu);
	for (struct map_slot *m = NULL; (m = map_next(&s->tenants, m));) {
		struct deletes *d = deletes_of(m->val);
		add_totals(out, d);
		deletes_unref(d);
	}
	pthread_mutex_unlock(&s->mu);
}
