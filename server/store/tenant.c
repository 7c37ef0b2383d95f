/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tenant's list of segments, and what changes it: catalog entries, and the outbox (tenant.h). */
#include "server/store/tenant.h"

#include <stdlib.h>

/* ---- the list; under the tenant's lock ---- */

static struct segment *find_segment(struct tenant *t, struct str short_name)
{
	struct buf name = {0};
	buf_printf(&name, "%.*s%.*s", STR_ARG(t->dir), STR_ARG(short_name));
	struct segment *s = map_get(&t->by_name, buf_view(&name));
	buf_free(&name);
	return s;
}

static void purge_segment(struct tenant *t, struct str name, uint64_t number)
{
	struct segment *s = find_segment(t, name);
	if (s && s->purged < number) s->purged = number;
}

/* To where its order says, behind its equals. */
static void insert_segment(struct tenant *t, struct segment *s)
{
	MEM_GROW(t->segments, t->nsegments, t->cap_segments);
	size_t at = t->nsegments++;
	for (; at > 0 && t->segments[at - 1]->order > s->order; at--) t->segments[at] = t->segments[at - 1];
	t->segments[at] = s;
}

static void take_out(struct tenant *t, const struct segment *s)
{
	for (size_t i = 0; i < t->nsegments; i++) {
		if (t->segments[i] != s) continue;
		memmove(&t->segments[i], &t->segments[i + 1], (--t->nsegments - i) * sizeof(struct segment *));
		return;
	}
}

static void new_segment(struct tenant *t, const struct catalog_segment *c, bool pending)
{
	struct buf name = {0};
	buf_printf(&name, "%.*s%.*s", STR_ARG(t->dir), STR_ARG(c->name));
	struct segment *s = segment_new(t->st->segments, t->st->cache, buf_view(&name));
	s->pending = pending;
	s->order = pending ? UINT64_MAX : c->order; /* what has no number yet comes last */
	s->size = c->size;
	s->rows = c->rows;
	s->bytes = c->bytes;
	s->streams = c->streams;
	s->hard = c->hard;
	s->min_ts = c->min_ts;
	s->max_ts = c->max_ts;
	s->purged = c->purged;
	insert_segment(t, s);
	map_put(&t->by_name, str_c(s->name), s);
	buf_free(&name);
}

static void add_segment(struct tenant *t, const struct catalog_segment *c)
{
	if (!catalog_state_has(&t->catalog.state, c->name)) return; /* it was removed before */
	struct segment *s = find_segment(t, c->name);
	if (!s) {
		new_segment(t, c, false);
		return;
	}
	purge_segment(t, c->name, c->purged);
	if (!s->pending) return;
	take_out(t, s);
	s->pending = false;
	s->order = c->order;
	insert_segment(t, s);
}

static void remove_segment(struct tenant *t, struct str short_name)
{
	struct segment *s = find_segment(t, short_name);
	if (!s) return;
	map_del(&t->by_name, str_c(s->name));
	take_out(t, s);
	segment_unref(s);
}

size_t tenant_named_segments(const struct tenant *t)
{
	size_t n = t->nsegments;
	while (n && t->segments[n - 1]->pending) n--;
	return n;
}

/* What a checkpoint does not name is not there, but for what waits in the outbox. */
static void keep_named(struct tenant *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->nsegments; i++) {
		struct segment *s = t->segments[i];
		if (s->pending || catalog_state_has(&t->catalog.state, str_from(str_c(s->name), t->dir.n))) {
			t->segments[n++] = s;
			continue;
		}
		map_del(&t->by_name, str_c(s->name));
		segment_unref(s);
	}
	t->nsegments = n;
}

static void drop_head(struct tenant *t, struct head *h)
{
	for (size_t i = 0; i < t->nheads; i++) {
		if (t->heads[i] != h) continue;
		memmove(&t->heads[i], &t->heads[i + 1], (--t->nheads - i) * sizeof(struct head *));
		head_retire(h, &t->known);
		return;
	}
}

/* ---- catalog entries ---- */

void tenant_apply_entry(struct tenant *t, const struct catalog_entry *c, struct head *flushed)
{
	pthread_mutex_lock(&t->mu);
	if (c->whole) keep_named(t);
	for (size_t i = 0; i < c->nadded; i++) add_segment(t, &c->added[i]);
	for (size_t i = 0; i < c->nremoved; i++) remove_segment(t, c->removed[i].name);
	for (size_t i = 0; i < c->npurged; i++) purge_segment(t, c->purged[i].name, c->purged[i].number);
	deletes_apply(&t->deletes, c);
	if (flushed) drop_head(t, flushed);
	pthread_mutex_unlock(&t->mu);
	head_unref(flushed);
}

struct commit {
	struct tenant *t;
	const struct catalog_entry *own;
	struct head *flushed;
	catalog_still_fn *still;
	void *ud;
};

static void read_apply(void *ud, const struct catalog_entry *c) { tenant_apply_entry(ud, c, NULL); }

bool tenant_read(struct tenant *t, struct err *e)
{
	return catalog_read(&t->catalog, read_apply, t, e) ||
	       err_wrap(e, "catalog of tenant \"%.*s\"", STR_ARG(t->name));
}

bool tenant_poll(struct tenant *t, struct err *e)
{
	return catalog_poll(&t->catalog, read_apply, t, e) ||
	       err_wrap(e, "catalog of tenant \"%.*s\"", STR_ARG(t->name));
}

bool tenant_read_mirror(struct tenant *t, struct err *e)
{
	return catalog_read_mirror(&t->catalog, read_apply, t, e) ||
	       err_wrap(e, "catalog of tenant \"%.*s\", local copy", STR_ARG(t->name));
}

static void commit_apply(void *ud, const struct catalog_entry *c)
{
	struct commit *m = ud;
	tenant_apply_entry(m->t, c, c == m->own ? m->flushed : NULL);
}

static bool commit_still(void *ud, struct err *e)
{
	struct commit *m = ud;
	return !m->still || m->still(m->ud, e);
}

bool tenant_append(struct tenant *t, struct catalog_entry *n, struct head *flushed, catalog_still_fn *still, void *ud,
		   struct err *e)
{
	struct commit m = {t, n, flushed, still, ud};
	if (!store_check(t->st, e)) return false;
	return catalog_append(&t->catalog, n, commit_still, commit_apply, &m, e) ||
	       err_wrap(e, "catalog of tenant \"%.*s\"", STR_ARG(t->name));
}

bool tenant_covers(struct tenant *t, uint64_t writer, uint64_t seq)
{
	pthread_mutex_lock(&t->mu);
	bool found = catalog_covers_has(&t->pending, writer, seq);
	pthread_mutex_unlock(&t->mu);
	return found || catalog_covers(&t->catalog, writer, seq);
}

/* ---- the outbox ---- */

void tenant_apply_pending(struct tenant *t, const struct catalog_entry *n, struct head *flushed)
{
	pthread_mutex_lock(&t->mu);
	for (size_t i = 0; i < n->nadded; i++) {
		if (!find_segment(t, n->added[i].name)) new_segment(t, &n->added[i], true);
	}
	for (size_t i = 0; i < n->ncovers; i++) catalog_covers_add(&t->pending, n->covers[i]);
	if (flushed) drop_head(t, flushed);
	pthread_mutex_unlock(&t->mu);
	head_unref(flushed);
}

static struct tenant *tenant_of(struct store *s, struct str dir)
{
	struct buf name = {0};
	struct tenant *t =
		store_unescape(str_sub(dir, 0, dir.n - 1), &name) ? store_tenant(s, buf_view(&name), true) : NULL;
	buf_free(&name);
	return t;
}

static void load_pending(void *ud, struct str dir, const struct catalog_entry *n)
{
	struct tenant *t = tenant_of(ud, dir);
	if (t) tenant_apply_pending(t, n, NULL);
}

void store_load_outbox(struct store *s) { outbox_each(s->outbox, load_pending, s); }

static bool pending_ready(void *ud, struct err *e) { return store_check(ud, e); }

static bool pending_commit(void *ud, struct str dir, struct catalog_entry *n, struct err *e)
{
	struct tenant *t = tenant_of(ud, dir);
	if (!t) return err_set(e, ERR_CORRUPT, "outbox directory %.*s is no tenant's", STR_ARG(dir));
	return tenant_append(t, n, NULL, NULL, NULL, e);
}

static bool pending_known(void *ud, struct str dir, const struct catalog_entry *n, bool *yes, struct err *e)
{
	struct tenant *t = tenant_of(ud, dir);
	if (!t) return err_set(e, ERR_CORRUPT, "outbox directory %.*s is no tenant's", STR_ARG(dir));
	if (!tenant_read(t, e)) return false;
	*yes = true;
	for (size_t i = 0; i < n->nadded; i++) *yes = *yes && catalog_knows(&t->catalog, n->added[i].name);
	return true;
}

static void pending_settled(void *ud, struct str dir, const struct str *names, size_t n)
{
	struct tenant *t = tenant_of(ud, dir);
	if (!t) return;
	pthread_mutex_lock(&t->mu);
	for (size_t i = 0; i < n; i++) {
		struct segment *s = find_segment(t, names[i]);
		if (s && s->pending) remove_segment(t, names[i]);
	}
	pthread_mutex_unlock(&t->mu);
}

const struct outbox_ops pending_ops = {pending_ready, pending_commit, pending_known, pending_settled};
