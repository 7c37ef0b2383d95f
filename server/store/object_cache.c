/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/object_cache.h"

#include "common/log.h"
#include "common/map.h"
#include "server/store/object_cache_page.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE      OBJECT_CACHE_PAGE
#define RUN_MAX   4                   /* pages fetched by one request */
#define KEEP_FREE 10                  /* a tenth of the disk is left to others */
#define END_MAX   (UINT64_C(1) << 40) /* bytes of an object beyond which nothing is kept */

struct page {
	struct cached *o;
	uint32_t index, len;
	bool ready;               /* else on its way */
	struct page *prev, *next; /* when ready: by last use */
};

/* An object of which pages are here. */
struct cached {
	char *name;
	struct page **v; /* by index; NULL: absent */
	size_t n, used;
};

struct object_cache {
	struct object_store base;
	struct object_cache_config c;
	char *dir;
	_Atomic uint64_t files; /* written so far, for temporary names */

	pthread_mutex_t mu; /* guards what follows */
	pthread_cond_t arrived;
	struct map objects; /* name -> struct cached */
	struct page lru;    /* sentinel; next is the page used last */
	struct object_cache_figures f;
};

/* ---- the index; all of it under the lock ---- */

static struct page *find(struct object_cache *c, struct str name, uint64_t index)
{
	struct cached *o = map_get(&c->objects, name);
	return o && index < o->n ? o->v[index] : NULL;
}

static struct page *add(struct object_cache *c, struct str name, uint32_t index)
{
	struct cached *o = map_get(&c->objects, name);
	if (!o) {
		o = mem_zalloc(sizeof *o);
		o->name = mem_strndup(name.p, name.n);
		map_put(&c->objects, str_of(o->name, name.n), o);
	}
	if (index >= o->n) {
		size_t n = (size_t)index + 8;
		o->v = mem_realloc(o->v, n * sizeof *o->v);
		memset(o->v + o->n, 0, (n - o->n) * sizeof *o->v);
		o->n = n;
	}
	struct page *p = mem_zalloc(sizeof *p);
	*p = (struct page){.o = o, .index = index};
	o->v[index] = p;
	o->used++;
	return p;
}

static void unlink_page(struct page *p)
{
	p->prev->next = p->next;
	p->next->prev = p->prev;
}

static void use(struct object_cache *c, struct page *p)
{
	if (p->next) unlink_page(p);
	p->next = c->lru.next;
	p->prev = &c->lru;
	p->next->prev = p;
	c->lru.next = p;
}

static void make_ready(struct object_cache *c, struct page *p, uint32_t len)
{
	p->len = len;
	p->ready = true;
	c->f.pages++;
	use(c, p);
}

static void drop(struct object_cache *c, struct page *p)
{
	struct cached *o = p->o;
	if (p->ready) {
		unlink_page(p);
		c->f.pages--;
		c->f.bytes -= object_cache_file_size(p->len);
	}
	o->v[p->index] = NULL;
	free(p);
	if (--o->used) return;
	map_del(&c->objects, str_c(o->name));
	free(o->v);
	free(o->name);
	free(o);
}

/* ---- files ---- */

static void page_path(const struct object_cache *c, struct str name, uint32_t index, struct buf *path)
{
	buf_clear(path);
	buf_printf(path, "%s/%016llx-%08x", c->dir, (unsigned long long)str_hash(name), index);
	buf_cstr(path);
}

static void remove_file(struct object_cache *c, const char *path)
{
	struct err e = ERR_INIT;
	if (!fs_unlink(c->c.fs, path, &e)) log_warn("cannot remove a cached page", kv_err(&e));
}

/* Counts `need` bytes and makes place for them. */
static bool make_room(struct object_cache *c, uint64_t need)
{
	struct fs_space space;
	struct err ignored = ERR_INIT;
	struct buf path = {0};
	if (fs_space(c->c.fs, c->dir, &space, &ignored) && space.avail < space.total / KEEP_FREE + need) return false;
	bool more;
	pthread_mutex_lock(&c->mu);
	c->f.bytes += need;
	do {
		struct page *oldest = c->lru.prev;
		more = c->f.bytes > c->c.max_bytes && oldest != &c->lru;
		if (!more) break;
		page_path(c, str_c(oldest->o->name), oldest->index, &path);
		drop(c, oldest);
		pthread_mutex_unlock(&c->mu);
		remove_file(c, path.p);
		pthread_mutex_lock(&c->mu);
	} while (more);
	pthread_mutex_unlock(&c->mu);
	buf_free(&path);
	return true;
}

static void give_back(struct object_cache *c, uint64_t bytes)
{
	pthread_mutex_lock(&c->mu);
	c->f.bytes -= bytes;
	pthread_mutex_unlock(&c->mu);
}

/* On success the file's bytes are counted. */
static bool write_page(struct object_cache *c, struct str name, uint32_t index, struct str data)
{
	uint64_t size = object_cache_file_size((uint32_t)data.n);
	struct buf tmp = {0}, path = {0};
	struct err e = ERR_INIT;
	if (!make_room(c, size)) return false;
	buf_printf(&tmp, "%s/" OBJECT_CACHE_TMP "%llu", c->dir, (unsigned long long)atomic_fetch_add(&c->files, 1));
	page_path(c, name, index, &path);
	bool ok = object_cache_page_write(c->c.fs, buf_cstr(&tmp), name, index, data, &e);
	if (ok && !fs_rename(c->c.fs, tmp.p, path.p, &e)) ok = false;
	if (!ok) {
		log_warn("a page of an object could not be kept in the cache", kv_err(&e));
		remove_file(c, tmp.p);
		give_back(c, size);
	}
	buf_free(&tmp);
	buf_free(&path);
	return ok;
}

/* ---- reading ---- */

/* The page is no good: it is forgotten, unless somebody has replaced it meanwhile. */
static void forget(struct object_cache *c, struct str name, uint32_t index, const char *path)
{
	pthread_mutex_lock(&c->mu);
	struct page *p = find(c, name, index);
	bool ours = p && p->ready;
	if (ours) drop(c, p);
	pthread_mutex_unlock(&c->mu);
	if (ours) remove_file(c, path);
}

/* How much of [at, at + n) a page of len bytes has. */
static size_t overlap(size_t len, size_t at, size_t n)
{
	if (at >= len) return 0;
	return n < len - at ? n : len - at;
}

/* Fetches the claimed pages, keeps them, and appends n bytes from `at` in the first. */
static bool fetch(struct object_cache *c, struct str name, uint32_t first, uint32_t count, size_t at, size_t n,
		  struct buf *out, struct err *e)
{
	struct buf body = {0};
	bool ok = c->c.under->ops->get(c->c.under, name, (uint64_t)first * PAGE, (size_t)count * PAGE, &body, e);
	for (uint32_t i = 0; i < count; i++) {
		size_t len = ok ? overlap(body.n, (size_t)i * PAGE, PAGE) : 0;
		bool kept = len && write_page(c, name, first + i, str_of(body.p + (size_t)i * PAGE, len));
		pthread_mutex_lock(&c->mu);
		struct page *p = find(c, name, first + i);
		if (kept)
			make_ready(c, p, (uint32_t)len);
		else
			drop(c, p);
		pthread_cond_broadcast(&c->arrived);
		c->f.fetched += len;
		pthread_mutex_unlock(&c->mu);
	}
	if (ok) buf_add(out, body.p ? body.p + (at < body.n ? at : body.n) : "", overlap(body.n, at, n));
	buf_free(&body);
	return ok;
}

/* Marks absent pages from `first` on as on their way, as far as `last`. Under the lock. */
static uint32_t claim(struct object_cache *c, struct str name, uint32_t first, uint64_t last)
{
	uint32_t n = 0;
	while (n < RUN_MAX && first + n <= last && !find(c, name, first + n)) add(c, name, first + n++);
	c->f.misses += n;
	return n;
}

enum step { STEP_DONE, STEP_AGAIN, STEP_FAILED };

/* Appends what it can get at once of n bytes, n > 0: as far as a page or a run of missing pages goes. *asked is what
 * it tried to get. */
static enum step get_some(struct object_cache *c, struct str name, uint64_t off, size_t n, size_t *asked,
			  struct buf *out, struct err *e)
{
	uint32_t index = (uint32_t)(off / PAGE), run = 0, len = 0;
	size_t at = (size_t)(off % PAGE);
	struct buf path = {0};
	*asked = n < PAGE - at ? n : PAGE - at;
	pthread_mutex_lock(&c->mu);
	struct page *p = find(c, name, index);
	if (p && !p->ready) {
		pthread_cond_wait(&c->arrived, &c->mu);
		pthread_mutex_unlock(&c->mu);
		return STEP_AGAIN;
	}
	if (p) {
		c->f.hits++;
		len = p->len;
		use(c, p);
	} else {
		run = claim(c, name, index, (off + n - 1) / PAGE);
	}
	pthread_mutex_unlock(&c->mu);
	if (run) {
		if ((uint64_t)run * PAGE - at < n)
			*asked = (size_t)run * PAGE - at;
		else
			*asked = n;
		return fetch(c, name, index, run, at, *asked, out, e) ? STEP_DONE : STEP_FAILED;
	}
	struct err why = ERR_INIT;
	page_path(c, name, index, &path);
	bool ok = object_cache_page_read(c->c.fs, path.p, name, index, at, overlap(len, at, *asked), out, &why);
	if (!ok) {
		/* Evicted meanwhile is no damage. */
		if (why.code != ERR_NOT_FOUND) log_warn("a cached page is fetched again", kv_err(&why));
		forget(c, name, index, path.p);
	}
	buf_free(&path);
	return ok ? STEP_DONE : STEP_AGAIN;
}

static bool is_kept(const struct object_cache *c, struct str name) { return str_find(name, str_c(c->c.only)) >= 0; }

static bool cache_get_range(struct object_store *base, struct str name, uint64_t off, size_t n, struct buf *out,
			    struct err *e)
{
	struct object_cache *c = (struct object_cache *)base;
	if (!is_kept(c, name) || off > END_MAX || n > END_MAX - off)
		return c->c.under->ops->get(c->c.under, name, off, n, out, e);
	size_t from = out->n;
	while (n) {
		size_t asked, before = out->n;
		enum step s = get_some(c, name, off, n, &asked, out, e);
		if (s == STEP_AGAIN) continue;
		if (s == STEP_FAILED) {
			out->n = from;
			return false;
		}
		size_t got = out->n - before;
		off += got;
		n -= got;
		if (got < asked) break; /* the object ends here */
	}
	return true;
}

static bool cache_read(struct object_store *base, struct str name, size_t max, struct buf *out, struct err *e)
{
	struct object_cache *c = (struct object_cache *)base;
	return object_read(c->c.under, name, max, out, e);
}

static bool cache_list(struct object_store *base, struct str prefix, object_list_fn *fn, void *ud, struct err *e)
{
	struct object_cache *c = (struct object_cache *)base;
	return object_list(c->c.under, prefix, fn, ud, e);
}

static bool cache_dirs(struct object_store *base, struct str prefix, object_dir_fn *fn, void *ud, struct err *e)
{
	struct object_cache *c = (struct object_cache *)base;
	return object_dirs(c->c.under, prefix, fn, ud, e);
}

static bool cache_remove(struct object_store *base, struct str name, struct err *e)
{
	struct object_cache *c = (struct object_cache *)base;
	if (!object_remove(c->c.under, name, e)) return false;
	struct buf path = {0};
	for (uint32_t i = 0;; i++) {
		pthread_mutex_lock(&c->mu);
		struct cached *o = map_get(&c->objects, name);
		bool end = !o || i >= o->n;
		pthread_mutex_unlock(&c->mu);
		if (end) break;
		page_path(c, name, i, &path);
		forget(c, name, i, path.p);
	}
	buf_free(&path);
	return true;
}

/* ---- writing: through, with a copy in pages ---- */

struct object_upload {
	struct object_cache *c;
	struct object_upload *under;
	struct str name; /* own */
	bool keep;
	struct buf page; /* the last, unfinished */
	uint32_t pages;  /* written: all full */
};

static struct object_upload *cache_begin(struct object_store *base, struct str name, struct err *e)
{
	struct object_cache *c = (struct object_cache *)base;
	struct object_upload *under = c->c.under->ops->begin(c->c.under, name, e);
	if (!under) return NULL;
	struct object_upload *u = mem_zalloc(sizeof *u);
	*u = (struct object_upload){.c = c, .under = under, .name = mem_str(name), .keep = is_kept(c, name)};
	return u;
}

static void drop_pages(struct object_upload *u)
{
	struct buf path = {0};
	for (uint32_t i = 0; i < u->pages; i++) {
		page_path(u->c, u->name, i, &path);
		remove_file(u->c, path.p);
		give_back(u->c, object_cache_file_size(PAGE));
	}
	u->pages = 0;
	u->keep = false;
	buf_free(&path);
}

static bool cache_append(struct object_upload *u, struct str piece, struct err *e)
{
	if (!u->c->c.under->ops->append(u->under, piece, e)) return false;
	while (u->keep && piece.n) {
		size_t n = overlap(piece.n, 0, PAGE - u->page.n);
		buf_add(&u->page, piece.p, n);
		piece = str_from(piece, n);
		if (u->page.n < PAGE) break;
		if (write_page(u->c, u->name, u->pages, buf_view(&u->page)))
			u->pages++;
		else
			drop_pages(u);
		buf_clear(&u->page);
	}
	return true;
}

static void upload_free(struct object_upload *u)
{
	buf_free(&u->page);
	free((char *)u->name.p);
	free(u);
}

static void cache_abort(struct object_upload *u)
{
	u->c->c.under->ops->abort(u->under);
	drop_pages(u);
	upload_free(u);
}

static void adopt(struct object_cache *c, struct str name, uint32_t index, uint32_t len)
{
	pthread_mutex_lock(&c->mu);
	if (find(c, name, index))
		c->f.bytes -= object_cache_file_size(len); /* somebody was quicker, and counted it too */
	else
		make_ready(c, add(c, name, index), len);
	pthread_mutex_unlock(&c->mu);
}

static bool cache_commit(struct object_upload *u, bool if_absent, struct err *e)
{
	bool ok = u->c->c.under->ops->commit(u->under, if_absent, e);
	if (ok) {
		for (uint32_t i = 0; i < u->pages; i++) adopt(u->c, u->name, i, PAGE);
		if (u->keep && u->page.n && write_page(u->c, u->name, u->pages, buf_view(&u->page)))
			adopt(u->c, u->name, u->pages, (uint32_t)u->page.n);
	} else {
		drop_pages(u);
	}
	upload_free(u);
	return ok;
}

/* ---- opening ---- */

static void cache_close(struct object_store *base)
{
	struct object_cache *c = (struct object_cache *)base;
	while (c->lru.next != &c->lru) drop(c, c->lru.next);
	map_free(&c->objects);
	object_close(c->c.under);
	pthread_mutex_destroy(&c->mu);
	pthread_cond_destroy(&c->arrived);
	free(c->dir);
	free(c);
}

static const struct object_ops ops = {
	.begin = cache_begin,
	.append = cache_append,
	.commit = cache_commit,
	.abort = cache_abort,
	.get = cache_get_range,
	.read = cache_read,
	.list = cache_list,
	.dirs = cache_dirs,
	.remove = cache_remove,
	.free = cache_close,
};

struct old_file {
	struct str name; /* of the object; in the arena */
	uint32_t index, len;
	int64_t mtime;
};

static int by_age(const void *a, const void *b)
{
	int64_t x = ((const struct old_file *)a)->mtime, y = ((const struct old_file *)b)->mtime;
	return (x > y) - (x < y);
}

/* Takes over what an earlier process left, the newest as the ones used last. */
static bool scan_dir(struct object_cache *c, struct err *e)
{
	struct fs_list l;
	struct buf path = {0}, right = {0};
	struct old_file *v = NULL;
	size_t n = 0, cap = 0;
	struct arena a;
	if (!fs_list(c->dir, &l, e)) return false;
	arena_init(&a, 0);
	for (size_t i = 0; i < l.n; i++) {
		struct old_file f;
		fs_path(&path, c->dir, l.v[i]);
		bool ok = object_cache_page_open(c->c.fs, path.p, &a, &f.name, &f.index, &f.len, &f.mtime);
		if (ok) page_path(c, f.name, f.index, &right);
		if (!ok || strcmp(path.p, right.p) != 0) {
			remove_file(c, path.p);
			continue;
		}
		MEM_GROW(v, n, cap);
		v[n++] = f;
	}
	if (n) qsort(v, n, sizeof *v, by_age);
	for (size_t i = 0; i < n; i++) {
		c->f.bytes += object_cache_file_size(v[i].len);
		make_ready(c, add(c, v[i].name, v[i].index), v[i].len);
	}
	free(v);
	fs_list_free(&l);
	buf_free(&path);
	buf_free(&right);
	arena_free(&a);
	make_room(c, 0);
	return true;
}

struct object_store *object_cache_open(const struct object_cache_config *config, struct err *e)
{
	struct object_cache *c = mem_zalloc(sizeof *c);
	c->base.ops = &ops;
	c->c = *config;
	c->dir = mem_strdup(config->dir);
	c->lru.prev = c->lru.next = &c->lru;
	pthread_mutex_init(&c->mu, NULL);
	pthread_cond_init(&c->arrived, NULL);
	if (fs_mkdirs(config->fs, config->dir, 0750, e) && scan_dir(c, e)) {
		if (c->f.pages)
			log_info("cache of objects opened", kv_c("directory", c->dir),
				 kv_i("pages", (int64_t)c->f.pages), kv_i("bytes", (int64_t)c->f.bytes));
		return &c->base;
	}
	cache_close(&c->base);
	return NULL;
}

void object_cache_figures(struct object_store *s, struct object_cache_figures *out)
{
	struct object_cache *c = (struct object_cache *)s;
	pthread_mutex_lock(&c->mu);
	*out = c->f;
	pthread_mutex_unlock(&c->mu);
}
