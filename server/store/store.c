/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/store.h"

#include "common/task.h"
#include "common/units.h"
#include "server/store/feed.h"
#include "server/store/tenant.h"

#include <limits.h>
#include <stdlib.h>

#define LOCK_NAME "larch.lock"

/* ---- tenants ---- */

static void escape_but(struct str name, const char *plain, struct buf *out)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c && strchr(plain, c) && (i || c != '.')))
			buf_ch(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

/* A directory name: bytes other than [A-Za-z0-9_-] as %XX, so that no name escapes or clashes. Where that is longer
 * than a file's name may be, what else a tenant's name may have stands as it is, but for a dot in front. */
static void escape(struct str name, struct buf *out)
{
	escape_but(name, "_-", out);
	if (out->n <= NAME_MAX) return;
	buf_clear(out);
	escape_but(name, "_-!.*'()", out);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool store_unescape(struct str dir, struct buf *out)
{
	for (size_t i = 0; i < dir.n; i++) {
		if (dir.p[i] != '%') {
			buf_ch(out, dir.p[i]);
			continue;
		}
		if (i + 2 >= dir.n || hex(dir.p[i + 1]) < 0 || hex(dir.p[i + 2]) < 0) return false;
		buf_ch(out, (char)(hex(dir.p[i + 1]) << 4 | hex(dir.p[i + 2])));
		i += 2;
	}
	return out->n > 0;
}

static struct tenant *tenant_new(struct store *s, struct str name)
{
	struct tenant *t = mem_zalloc(sizeof *t);
	struct buf dir = {0}, catalog = {0};
	escape(name, &dir);
	buf_ch(&dir, '/');
	buf_printf(&catalog, "%.*scatalog/", STR_ARG(buf_view(&dir)));
	t->st = s;
	t->name = mem_str(name);
	t->dir = mem_str(buf_view(&dir));
	catalog_init(&t->catalog,
		     &(struct catalog_config){.objects = s->objects,
					      .clock = s->c.clock,
					      .grace_ns = s->c.orphan_grace_ns,
					      .shared = s->c.shared},
		     buf_view(&catalog));
	t->deletes = deletes_new(s->c.delete_lang);
	pthread_mutex_init(&t->mu, NULL);
	buf_free(&dir);
	buf_free(&catalog);
	return t;
}

static void tenant_free(struct tenant *t)
{
	for (size_t i = 0; i < t->nheads; i++) {
		head_retire(t->heads[i], &t->known);
		head_unref(t->heads[i]);
	}
	for (size_t i = 0; i < t->nsegments; i++) segment_unref(t->segments[i]);
	free(t->heads);
	free(t->segments);
	map_free(&t->known);
	map_free(&t->by_name);
	deletes_unref(t->deletes);
	catalog_fini(&t->catalog);
	pthread_mutex_destroy(&t->mu);
	free((char *)t->name.p);
	free((char *)t->dir.p);
	free(t);
}

struct tenant *store_tenant(struct store *s, struct str name, bool create)
{
	pthread_mutex_lock(&s->mu);
	struct tenant *t = map_get(&s->tenants, name);
	if (!t && create) {
		t = tenant_new(s, name);
		atomic_store(&t->feed, map_get(&s->feeds, name));
		map_put(&s->tenants, t->name, t);
	}
	pthread_mutex_unlock(&s->mu);
	return t;
}

struct str tenant_name(const struct tenant *t) { return t->name; }

void store_tenants(struct store *s, bool (*fn)(void *ud, struct str tenant), void *ud)
{
	size_t n = 0;
	pthread_mutex_lock(&s->mu);
	struct str *v = mem_alloc((s->tenants.n + 1) * sizeof *v);
	for (struct map_slot *m = NULL; (m = map_next(&s->tenants, m));) v[n++] = m->key;
	pthread_mutex_unlock(&s->mu);
	for (size_t i = 0; i < n && fn(ud, v[i]); i++) {}
	free(v);
}

void store_totals(struct store *s, struct store_totals *out)
{
	*out = (struct store_totals){.cache_bytes = cache_bytes(s->cache)};
	pthread_mutex_lock(&s->mu);
	for (struct map_slot *m = NULL; (m = map_next(&s->tenants, m));) {
		struct tenant *t = m->val;
		pthread_mutex_lock(&t->mu);
		out->tenants++;
		out->segments += t->nsegments;
		out->damaged_entries += t->catalog.damaged;
		for (size_t i = 0; i < t->nsegments; i++) {
			out->segment_bytes += t->segments[i]->size;
			out->segment_rows += t->segments[i]->rows;
		}
		pthread_mutex_unlock(&t->mu);
	}
	pthread_mutex_unlock(&s->mu);
}

void store_set_warning(struct store *s, const char *text)
{
	pthread_mutex_lock(&s->mu);
	size_t n = strlen(text);
	if (n >= sizeof s->warning) n = sizeof s->warning - 1;
	memcpy(s->warning, text, n);
	s->warning[n] = 0;
	pthread_mutex_unlock(&s->mu);
}

void store_warning(struct store *s, char out[256])
{
	pthread_mutex_lock(&s->mu);
	memcpy(out, s->warning, sizeof s->warning);
	pthread_mutex_unlock(&s->mu);
}

/* ---- heads ---- */

bool tenant_covers(struct tenant *t, uint64_t writer, uint64_t seq) { return catalog_covers(&t->catalog, writer, seq); }

uint64_t tenant_head_streams(struct tenant *t)
{
	pthread_mutex_lock(&t->mu);
	uint64_t n = t->known.n;
	pthread_mutex_unlock(&t->mu);
	return n;
}

uint32_t tenant_floor(struct tenant *t)
{
	pthread_mutex_lock(&t->mu);
	uint64_t n = t->deletes->newest;
	pthread_mutex_unlock(&t->mu);
	return (uint32_t)n; /* deletes_create() sees to it that it fits */
}

struct head *tenant_head_open(struct tenant *t, struct budget *b, uint64_t floor)
{
	struct head *h = head_new(b, floor);
	pthread_mutex_lock(&t->mu);
	MEM_GROW(t->heads, t->nheads, t->cap_heads);
	t->heads[t->nheads++] = h;
	pthread_mutex_unlock(&t->mu);
	return h;
}

uint64_t tenant_new_streams(struct tenant *t, const struct record *r)
{
	pthread_mutex_lock(&t->mu);
	uint64_t n = head_new_streams(&t->known, r);
	pthread_mutex_unlock(&t->mu);
	return n;
}

bool tenant_apply(struct tenant *t, struct head *h, const struct record *r, struct buf *bytes, size_t reserved,
		  struct err *e)
{
	struct feed_node *copy = atomic_load(&t->feed) ? feed_node_new(r, buf_view(bytes), h->floor) : NULL;
	pthread_mutex_lock(&t->mu);
	struct feed *feed = atomic_load(&t->feed);
	if (feed && !copy) copy = feed_node_new(r, buf_view(bytes), h->floor); /* somebody came meanwhile */
	bool ok = head_apply(h, &t->known, r, bytes, reserved, e);
	if (feed)
		feed_add(feed, copy);
	else
		feed_node_free(copy);
	pthread_mutex_unlock(&t->mu);
	return ok;
}

/* ---- segments ---- */

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

static void add_segment(struct tenant *t, const struct catalog_segment *c)
{
	if (!catalog_state_has(&t->catalog.state, c->name)) return; /* it was removed before */
	if (find_segment(t, c->name)) {
		purge_segment(t, c->name, c->purged);
		return;
	}
	struct buf name = {0};
	buf_printf(&name, "%.*s%.*s", STR_ARG(t->dir), STR_ARG(c->name));
	struct segment *s = segment_new(t->st->objects, t->st->cache, buf_view(&name));
	s->order = c->order;
	s->size = c->size;
	s->rows = c->rows;
	s->bytes = c->bytes;
	s->streams = c->streams;
	s->hard = c->hard;
	s->min_ts = c->min_ts;
	s->max_ts = c->max_ts;
	s->purged = c->purged;
	MEM_GROW(t->segments, t->nsegments, t->cap_segments);
	size_t at = t->nsegments++;
	for (; at > 0 && t->segments[at - 1]->order > s->order; at--) t->segments[at] = t->segments[at - 1];
	t->segments[at] = s;
	map_put(&t->by_name, str_c(s->name), s);
	buf_free(&name);
}

static void remove_segment(struct tenant *t, struct str short_name)
{
	struct segment *s = find_segment(t, short_name);
	if (!s) return;
	map_del(&t->by_name, str_c(s->name));
	for (size_t i = 0; i < t->nsegments; i++) {
		if (t->segments[i] != s) continue;
		memmove(&t->segments[i], &t->segments[i + 1], (--t->nsegments - i) * sizeof(struct segment *));
		break;
	}
	segment_unref(s);
}

/* What a checkpoint does not name is not there. */
static void keep_named(struct tenant *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->nsegments; i++) {
		struct segment *s = t->segments[i];
		if (catalog_state_has(&t->catalog.state, str_from(str_c(s->name), t->dir.n))) {
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
	return catalog_append(&t->catalog, n, commit_still, commit_apply, &m, e) ||
	       err_wrap(e, "catalog of tenant \"%.*s\"", STR_ARG(t->name));
}

/* ---- start ---- */

struct store *store_open(const struct store_config *c, struct err *e)
{
	struct store *s = mem_zalloc(sizeof *s);
	struct buf objects = {0};
	s->c = *c;
	s->objects = c->objects;
	s->dir = mem_strdup(c->dir);
	s->lock = -1;
	pthread_mutex_init(&s->mu, NULL);
	if (!s->c.cache_bytes) s->c.cache_bytes = 64u << 20;
	if (!s->c.orphan_grace_ns) s->c.orphan_grace_ns = UNITS_HOUR;
	if (!s->c.removed_grace_ns) s->c.removed_grace_ns = 10 * UNITS_MIN;
	s->c.shared |= s->c.remote;
	s->cache = cache_new(s->c.cache_bytes);
	bool ok = fs_mkdirs(c->fs, c->dir, 0750, e);
	if (ok && (s->lock = fs_lock(c->dir, LOCK_NAME, e)) < 0) {
		ok = false;
		if (e->code == ERR_EXISTS)
			err_set(e, ERR_EXISTS,
				"data directory %s is in use by another process (it holds %s/" LOCK_NAME
				"); stop it or choose another directory",
				c->dir, c->dir);
	}
	if (ok && !s->objects) {
		fs_path(&objects, c->dir, "store");
		s->objects = object_fs_open(c->fs, objects.p, false, e);
		buf_free(&objects);
	}
	if (ok && s->objects && store_load(s, e)) {
		store_sweep(s);
		store_start_refresh(s);
		return s;
	}
	store_close(s);
	return NULL;
}

void store_close(struct store *s)
{
	if (!s) return;
	task_stop(s->refresher);
	for (struct map_slot *m = NULL; (m = map_next(&s->tenants, m));) tenant_free(m->val);
	map_free(&s->tenants);
	map_free(&s->feeds);
	cache_free(s->cache);
	object_close(s->objects);
	if (s->lock >= 0) fs_unlock(s->lock);
	pthread_mutex_destroy(&s->mu);
	free(s->dir);
	free(s);
}
