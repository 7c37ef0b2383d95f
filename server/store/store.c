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

/* Bytes other than [A-Za-z0-9_-] as %XX, so that no name escapes or clashes. Where that is longer than a file's name
 * may be, what else a tenant's name may have stands as it is, but for a dot in front. */
void store_escape(struct str name, struct buf *out)
{
	escape_but(name, "_-", out);
	if (out->n <= NAME_MAX) return;
	buf_clear(out);
	escape_but(name, "_-!.*'()", out);
}

/* What store_escape() makes of a name, and nothing else. */
bool store_unescape(struct str dir, struct buf *out)
{
	struct buf again = {0};
	size_t at = out->n;
	for (size_t i = 0; i < dir.n; i++) {
		int hi = -1, lo = -1;
		if (dir.p[i] == '%' && i + 2 < dir.n) {
			hi = str_hex_digit((unsigned char)dir.p[i + 1]);
			lo = str_hex_digit((unsigned char)dir.p[i + 2]);
		}
		if (hi >= 0 && lo >= 0) i += 2;
		buf_ch(out, hi >= 0 && lo >= 0 ? (char)(hi << 4 | lo) : dir.p[i]);
	}
	store_escape(str_from(buf_view(out), at), &again);
	bool ok = out->n > at && str_eq(buf_view(&again), dir);
	buf_free(&again);
	return ok;
}

static struct tenant *tenant_new(struct store *s, struct str name)
{
	struct tenant *t = mem_zalloc(sizeof *t);
	struct buf dir = {0}, catalog = {0};
	store_escape(name, &dir);
	buf_ch(&dir, '/');
	buf_printf(&catalog, "%.*scatalog/", STR_ARG(buf_view(&dir)));
	t->st = s;
	t->name = mem_str(name);
	t->dir = mem_str(buf_view(&dir));
	catalog_init(&t->catalog,
		     &(struct catalog_config){.objects = s->objects,
					      .mirror = s->mirror,
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
	free(t->pending.v);
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
	if (s->warning[0] || !s->away)
		memcpy(out, s->warning, sizeof s->warning);
	else
		strcpy(out, "the object store is out of reach: what other servers wrote may be missing");
	pthread_mutex_unlock(&s->mu);
}

bool store_upload(struct store *s, struct err *e) { return !s->outbox || outbox_wait(s->outbox, e); }

void store_outbox(struct store *s, struct outbox_stats *out)
{
	*out = (struct outbox_stats){.error = ERR_INIT};
	if (s->outbox) outbox_stats(s->outbox, out);
}

/* ---- heads ---- */

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

/* ---- start ---- */

static bool lock_dir(struct store *s, struct err *e)
{
	const char *dir = s->dir;
	if (!fs_mkdirs(s->c.fs, dir, 0750, e)) return false;
	s->lock = fs_lock(dir, LOCK_NAME, e);
	if (s->lock < 0 && e->code == ERR_EXISTS)
		err_set(e, ERR_EXISTS,
			"data directory %s is in use by another process (it holds %s/" LOCK_NAME
			"); stop it or choose another directory",
			dir, dir);
	return s->lock >= 0;
}

/* What stands between us and objects that may be out of reach. */
static bool open_local(struct store *s, struct err *e)
{
	struct buf dir = {0};
	struct outbox_config c = {.fs = s->c.fs,
				  .clock = s->c.clock,
				  .remote = s->objects,
				  .limit = s->c.outbox_limit,
				  .grace_ns = s->c.orphan_grace_ns,
				  .ops = &pending_ops,
				  .ud = s};
	fs_path(&dir, s->dir, "catalogs");
	s->mirror = object_fs_open(s->c.fs, dir.p, false, e);
	fs_path(&dir, s->dir, "outbox");
	c.dir = dir.p;
	s->outbox = s->mirror ? outbox_open(&c, e) : NULL;
	buf_free(&dir);
	if (s->outbox) s->segments = outbox_objects(s->outbox);
	return s->outbox != NULL;
}

static bool open_objects(struct store *s, struct err *e)
{
	struct buf dir = {0};
	fs_path(&dir, s->dir, "store");
	if (!s->objects) s->objects = object_fs_open(s->c.fs, dir.p, false, e);
	buf_free(&dir);
	s->segments = s->objects;
	return s->objects && (!s->c.remote || open_local(s, e));
}

static bool load(struct store *s, struct err *e)
{
	if (!store_load(s, e)) return false;
	if (s->outbox) {
		store_load_outbox(s);
		if (!outbox_start(s->outbox, e)) return false;
	}
	if (!s->c.remote) store_sweep(s);
	return store_start_refresh(s, e);
}

struct store *store_open(const struct store_config *c, struct err *e)
{
	struct store *s = mem_zalloc(sizeof *s);
	s->c = *c;
	s->objects = c->objects;
	s->dir = mem_strdup(c->dir);
	s->lock = -1;
	pthread_mutex_init(&s->mu, NULL);
	pthread_mutex_init(&s->checking, NULL);
	if (!s->c.cache_bytes) s->c.cache_bytes = 64u << 20;
	if (!s->c.orphan_grace_ns) s->c.orphan_grace_ns = UNITS_HOUR;
	if (!s->c.removed_grace_ns) s->c.removed_grace_ns = 10 * UNITS_MIN;
	s->c.shared |= s->c.remote;
	s->cache = cache_new(s->c.cache_bytes);
	if (lock_dir(s, e) && open_objects(s, e) && load(s, e)) return s;
	store_close(s);
	return NULL;
}

void store_close(struct store *s)
{
	if (!s) return;
	task_stop(s->refresher);
	if (s->outbox) outbox_stop(s->outbox);
	for (struct map_slot *m = NULL; (m = map_next(&s->tenants, m));) tenant_free(m->val);
	map_free(&s->tenants);
	map_free(&s->feeds);
	cache_free(s->cache);
	outbox_free(s->outbox);
	object_close(s->mirror);
	object_close(s->objects);
	if (s->lock >= 0) fs_unlock(s->lock);
	pthread_mutex_destroy(&s->mu);
	pthread_mutex_destroy(&s->checking);
	free(s->dir);
	free(s);
}
