/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/outbox.h"

#include "common/log.h"
#include "common/map.h"
#include "common/task.h"
#include "common/units.h"

#include <pthread.h>
#include <stdlib.h>

#define ENTRIES   "entries/" /* below a tenant's directory; FORMATS.md, The outbox */
#define SEGMENTS  "segments/"
#define PIECE     (1u << 20)
#define PAUSE_MIN UNITS_SEC /* after a failure */
#define PAUSE_MAX UNITS_MIN
#define IDLE      UNITS_HOUR       /* when nothing waits; a new entry wakes the thread */
#define TOLD      (10 * UNITS_SEC) /* how often progress is logged */

struct outbox_entry {
	struct outbox_entry *next;
	struct arena arena;
	uint64_t seq;
	struct str dir;
	struct catalog_entry n;
	struct str *local; /* names of its segments on the disk */
	uint64_t bytes;
	bool tried;                /* an attempt was made, perhaps by an earlier process */
	bool stale;                /* its uploads may have been swept */
	size_t uploaded;           /* segments that are there already */
	struct clock_mark started; /* when the first of them was begun */
};

struct outbox {
	struct object_store base; /* first: outbox_objects() */
	struct outbox_config c;
	struct object_store *local;
	struct task *task;
	int64_t pause, told; /* the uploading thread's */
	pthread_mutex_t mu;  /* guards what follows */
	pthread_cond_t settled;
	struct outbox_entry *first, **last;
	struct map here;  /* names of local segments, own copies */
	struct map alias; /* name on the disk, when it was there -> name of the remote object */
	uint64_t seq;
	bool stopping;
	struct outbox_stats stats;
};

/* ---- names ---- */

static struct str full_name(struct arena *a, struct str dir, struct str name)
{
	return arena_printf(a, "%.*s%.*s", STR_ARG(dir), STR_ARG(name));
}

static void put_here(struct outbox *o, struct str name)
{
	struct str own = mem_str(name);
	pthread_mutex_lock(&o->mu);
	char *old = map_put(&o->here, own, (void *)own.p);
	pthread_mutex_unlock(&o->mu);
	free(old);
}

static bool is_here(struct outbox *o, struct str name)
{
	pthread_mutex_lock(&o->mu);
	bool here = map_get(&o->here, name) != NULL;
	pthread_mutex_unlock(&o->mu);
	return here;
}

static void remove_segment(struct outbox *o, struct str name)
{
	struct err e = ERR_INIT;
	pthread_mutex_lock(&o->mu);
	char *own = map_del(&o->here, name);
	pthread_mutex_unlock(&o->mu);
	if (!object_remove(o->local, name, &e))
		log_warn("cannot remove a segment that was uploaded; the next start tries again", kv_err(&e));
	free(own);
}

/* Under which name the remote object stands: the same, but for what was uploaded anew. Lives as long as the outbox. */
static struct str remote_name(struct outbox *o, struct str name)
{
	pthread_mutex_lock(&o->mu);
	const char *alias = map_get(&o->alias, name);
	pthread_mutex_unlock(&o->mu);
	return alias ? str_c(alias) : name;
}

/* Once given it stays: readers hold on to it. */
static void put_alias(struct outbox *o, struct str local, struct str remote)
{
	struct buf both = {0}; /* value and key in one piece, which the value owns */
	buf_str(&both, remote);
	buf_ch(&both, 0);
	size_t key = both.n;
	buf_str(&both, local);
	pthread_mutex_lock(&o->mu);
	bool there = map_get(&o->alias, local) != NULL;
	if (!there) map_put(&o->alias, str_of(both.p + key, local.n), both.p);
	pthread_mutex_unlock(&o->mu);
	if (there) buf_free(&both);
}

/* ---- entries ---- */

static void entry_free(struct outbox_entry *x)
{
	if (!x) return;
	arena_free(&x->arena);
	free(x);
}

static struct str entry_name(struct outbox_entry *x)
{
	return arena_printf(&x->arena, "%.*s" ENTRIES "%016llx", STR_ARG(x->dir), (unsigned long long)x->seq);
}

/* From its bytes, which are copied. NULL: they are damaged. */
static struct outbox_entry *entry_new(uint64_t seq, struct str dir, struct str bytes, struct err *e)
{
	struct outbox_entry *x = mem_zalloc(sizeof *x);
	arena_init(&x->arena, 0);
	x->seq = seq;
	x->dir = arena_str(&x->arena, dir);
	if (!catalog_entry_decode(arena_str(&x->arena, bytes), &x->arena, &x->n, e)) {
		entry_free(x);
		return NULL;
	}
	x->local = arena_alloc(&x->arena, (x->n.nadded + 1) * sizeof *x->local);
	for (size_t i = 0; i < x->n.nadded; i++) {
		x->local[i] = x->n.added[i].name;
		x->bytes += x->n.added[i].size;
	}
	return x;
}

/* Under the lock. */
static void count_waiting(struct outbox *o)
{
	struct outbox_stats *s = &o->stats;
	s->entries = s->segments = s->bytes = 0;
	s->oldest = o->first ? o->first->n.created : 0;
	for (const struct outbox_entry *x = o->first; x; x = x->next) {
		s->entries++;
		s->segments += x->n.nadded;
		s->bytes += x->bytes;
	}
}

static void enqueue(struct outbox *o, struct outbox_entry *x)
{
	pthread_mutex_lock(&o->mu);
	*o->last = x;
	o->last = &x->next;
	if (x->seq > o->seq) o->seq = x->seq;
	count_waiting(o);
	bool failing = o->stats.error.code != ERR_NONE;
	pthread_mutex_unlock(&o->mu);
	if (o->task && !failing) task_wake(o->task);
}

bool outbox_put(struct outbox *o, struct str dir, const struct catalog_entry *n, uint64_t *seq, struct err *e)
{
	struct buf bytes = {0};
	catalog_entry_encode(n, &bytes);
	pthread_mutex_lock(&o->mu);
	if (!*seq) *seq = ++o->seq;
	pthread_mutex_unlock(&o->mu);
	struct outbox_entry *x = entry_new(*seq, dir, buf_view(&bytes), e);
	bool ok = x && object_put(o->local, entry_name(x), buf_view(&bytes), false, e);
	if (ok)
		enqueue(o, x);
	else
		entry_free(x);
	buf_free(&bytes);
	return ok;
}

void outbox_each(struct outbox *o, void (*fn)(void *ud, struct str dir, const struct catalog_entry *n), void *ud)
{
	for (const struct outbox_entry *x = o->first; x; x = x->next) fn(ud, x->dir, &x->n);
}

/* ---- the objects, as segments are written and read ---- */

struct object_upload {
	struct outbox *o;
	struct object_upload *under;
	struct str name;
};

static struct object_upload *layer_begin(struct object_store *base, struct str name, struct err *e)
{
	struct outbox *o = (struct outbox *)base;
	pthread_mutex_lock(&o->mu);
	bool full = o->c.limit && o->stats.bytes >= o->c.limit;
	struct outbox_stats s = o->stats;
	pthread_mutex_unlock(&o->mu);
	if (full) {
		err_set(e, ERR_UNAVAILABLE,
			"%llu bytes wait to be uploaded, the limit is %llu (larch.outbox_limit); the object store: %s",
			(unsigned long long)s.bytes, (unsigned long long)o->c.limit,
			s.error.code ? s.error.msg : "is being written to");
		return NULL;
	}
	struct object_upload *under = o->local->ops->begin(o->local, name, e);
	if (!under) return NULL;
	struct object_upload *u = mem_zalloc(sizeof *u);
	*u = (struct object_upload){o, under, mem_str(name)};
	return u;
}

static bool layer_append(struct object_upload *u, struct str piece, struct err *e)
{
	return u->o->local->ops->append(u->under, piece, e);
}

static bool layer_commit(struct object_upload *u, bool if_absent, struct err *e)
{
	bool ok = u->o->local->ops->commit(u->under, if_absent, e);
	if (ok) put_here(u->o, u->name);
	free((char *)u->name.p);
	free(u);
	return ok;
}

static void layer_abort(struct object_upload *u)
{
	u->o->local->ops->abort(u->under);
	free((char *)u->name.p);
	free(u);
}

/* It may go to the remote store between the question and the reading. */
static bool layer_get(struct object_store *base, struct str name, uint64_t off, size_t n, struct buf *out,
		      struct err *e)
{
	struct outbox *o = (struct outbox *)base;
	if (is_here(o, name)) {
		if (o->local->ops->get(o->local, name, off, n, out, e)) return true;
		if (e->code != ERR_NOT_FOUND) return false;
		*e = ERR_INIT;
	}
	return o->c.remote->ops->get(o->c.remote, remote_name(o, name), off, n, out, e);
}

static bool layer_read(struct object_store *base, struct str name, size_t max, struct buf *out, struct err *e)
{
	struct outbox *o = (struct outbox *)base;
	if (is_here(o, name)) {
		if (object_read(o->local, name, max, out, e)) return true;
		if (e->code != ERR_NOT_FOUND) return false;
		*e = ERR_INIT;
	}
	return object_read(o->c.remote, remote_name(o, name), max, out, e);
}

static bool layer_list(struct object_store *base, struct str prefix, object_list_fn *fn, void *ud, struct err *e)
{
	return object_list(((struct outbox *)base)->c.remote, prefix, fn, ud, e);
}

static bool layer_dirs(struct object_store *base, struct str prefix, object_dir_fn *fn, void *ud, struct err *e)
{
	return object_dirs(((struct outbox *)base)->c.remote, prefix, fn, ud, e);
}

static bool layer_remove(struct object_store *base, struct str name, struct err *e)
{
	return object_remove(((struct outbox *)base)->c.remote, name, e);
}

static const struct object_ops layer = {
	.begin = layer_begin,
	.append = layer_append,
	.commit = layer_commit,
	.abort = layer_abort,
	.get = layer_get,
	.read = layer_read,
	.list = layer_list,
	.dirs = layer_dirs,
	.remove = layer_remove,
};

struct object_store *outbox_objects(struct outbox *o) { return &o->base; }

/* ---- uploading ---- */

static bool upload(struct outbox *o, struct str local, struct str remote, uint64_t size, struct err *e)
{
	struct buf piece = {0};
	struct object_upload *u = o->c.remote->ops->begin(o->c.remote, remote, e);
	bool ok = u != NULL;
	for (uint64_t off = 0; ok && off < size; off += PIECE) {
		buf_clear(&piece);
		size_t n = size - off < PIECE ? (size_t)(size - off) : PIECE;
		ok = object_get(o->local, local, off, n, &piece, e);
		if (!ok) e->code = ERR_CORRUPT; /* not the remote store's fault */
		ok = ok && o->c.remote->ops->append(u, buf_view(&piece), e);
	}
	if (u && !ok) o->c.remote->ops->abort(u);
	ok = ok && o->c.remote->ops->commit(u, false, e);
	buf_free(&piece);
	return ok;
}

static void name_anew(struct outbox *o, struct outbox_entry *x)
{
	for (size_t i = 0; i < x->n.nadded; i++)
		x->n.added[i].name =
			arena_printf(&x->arena, SEGMENTS "%016llx%016llx", (unsigned long long)clock_rnd(o->c.clock),
				     (unsigned long long)clock_rnd(o->c.clock));
	x->uploaded = 0;
	x->stale = false;
}

/* The local files go, the entry first, and for good: segments without one are removed at start, but an entry that came
 * back without its segments would name what is nowhere. */
static bool remove_entry(struct outbox *o, struct outbox_entry *x, struct err *e)
{
	struct str dir = arena_printf(&x->arena, "%s/%.*s" ENTRIES, o->c.dir, STR_ARG(x->dir));
	return object_remove(o->local, entry_name(x), e) && fs_sync_dir(o->c.fs, dir.p, e);
}

static bool settle(struct outbox *o, struct outbox_entry *x, struct err *e)
{
	for (size_t i = 0; i < x->n.nadded; i++) {
		struct str local = full_name(&x->arena, x->dir, x->local[i]);
		if (!str_eq(x->local[i], x->n.added[i].name))
			put_alias(o, local, full_name(&x->arena, x->dir, x->n.added[i].name));
	}
	o->c.ops->settled(o->c.ud, x->dir, x->local, x->n.nadded);
	if (!remove_entry(o, x, e)) return false;
	for (size_t i = 0; i < x->n.nadded; i++) remove_segment(o, full_name(&x->arena, x->dir, x->local[i]));
	return true;
}

/* Another process may take what is uploaded so far for orphans. */
static bool is_late(const struct outbox *o, const struct outbox_entry *x)
{
	return x->uploaded && !clock_within(o->c.clock, &x->started, o->c.grace_ns / 2);
}

static bool upload_segments(struct outbox *o, struct outbox_entry *x, struct err *e)
{
	if (x->uploaded == 0) x->started = clock_mark(o->c.clock);
	for (; x->uploaded < x->n.nadded; x->uploaded++) {
		const struct catalog_segment *g = &x->n.added[x->uploaded];
		if (!upload(o, full_name(&x->arena, x->dir, x->local[x->uploaded]),
			    full_name(&x->arena, x->dir, g->name), g->size, e))
			return false;
	}
	return !is_late(o, x) ||
	       err_set(e, ERR_UNAVAILABLE, "uploading took so long that what is there may have been swept already");
}

static bool upload_entry(struct outbox *o, struct outbox_entry *x, struct err *e)
{
	bool known = false;
	x->stale |= is_late(o, x);
	if (!o->c.ops->ready(o->c.ud, e)) return false;
	if (x->tried && !o->c.ops->known(o->c.ud, x->dir, &x->n, &known, e)) return false;
	if (known) return settle(o, x, e);
	if (x->stale) name_anew(o, x);
	x->tried = true;
	return upload_segments(o, x, e) && o->c.ops->commit(o->c.ud, x->dir, &x->n, e) && settle(o, x, e);
}

static void failed_once(struct outbox *o, const struct err *e)
{
	pthread_mutex_lock(&o->mu);
	o->stats.failures++;
	o->stats.error = *e;
	struct outbox_stats s = o->stats;
	pthread_cond_broadcast(&o->settled);
	pthread_mutex_unlock(&o->mu);
	log_warn("cannot upload; what was flushed stays on the disk and counts, and the upload is tried again",
		 kv_i("segments", (int64_t)s.segments), kv_i("bytes", (int64_t)s.bytes), kv_dur("pause", o->pause),
		 kv_err(e));
}

/* The entry, which comes first or follows *at, leaves the list. */
static void uploaded(struct outbox *o, struct outbox_entry **at)
{
	pthread_mutex_lock(&o->mu);
	struct outbox_entry *x = *at;
	*at = x->next;
	if (!x->next) o->last = at;
	o->stats.uploaded += x->n.nadded;
	o->stats.uploaded_bytes += x->bytes;
	count_waiting(o);
	struct outbox_stats s = o->stats;
	pthread_cond_broadcast(&o->settled);
	pthread_mutex_unlock(&o->mu);
	int64_t now = clock_mono(&clock_real);
	if (s.entries && now - o->told >= TOLD) {
		o->told = now;
		log_info("uploading what was flushed", kv_i("segments", (int64_t)s.segments),
			 kv_i("bytes", (int64_t)s.bytes));
	}
	entry_free(x);
}

/* A round without failure ends an outage. False: something came since the round had nothing left, and did not wake the
 * thread, as the outage was not over yet. */
static bool all_well(struct outbox *o)
{
	pthread_mutex_lock(&o->mu);
	bool was = o->stats.error.code != ERR_NONE, all = !o->first;
	o->stats.error = ERR_INIT;
	uint64_t n = o->stats.uploaded;
	pthread_mutex_unlock(&o->mu);
	if (was && all) log_info("everything that waited is uploaded", kv_i("segments_since_start", (int64_t)n));
	return all;
}

static struct outbox_entry *entry_at(struct outbox *o, struct outbox_entry **at)
{
	pthread_mutex_lock(&o->mu);
	struct outbox_entry *x = *at;
	pthread_mutex_unlock(&o->mu);
	return x;
}

/* A tenant whose local files cannot be read does not hold the others up: the round goes on with theirs, in their
 * order. When the remote store is out of reach it ends. */
static bool one_round(struct outbox *o, struct task *task)
{
	struct map failed = {0};
	bool ok = true;
	for (struct outbox_entry **at = &o->first, *x; (x = entry_at(o, at)) && !task_stopping(task);) {
		struct err e = ERR_INIT;
		if (map_get(&failed, x->dir)) {
			at = &x->next;
		} else if (upload_entry(o, x, &e)) {
			uploaded(o, at);
			o->pause = PAUSE_MIN;
		} else {
			ok = false;
			failed_once(o, &e);
			if (e.code == ERR_IO || e.code == ERR_TIMEOUT) break;
			map_put(&failed, x->dir, x);
			at = &x->next;
		}
	}
	map_free(&failed);
	return ok;
}

static int64_t upload_all(void *ud, struct task *task)
{
	struct outbox *o = ud;
	if (one_round(o, task)) {
		o->pause = PAUSE_MIN;
		return all_well(o) ? IDLE : 0;
	}
	int64_t pause = o->pause;
	o->pause = o->pause * 2 < PAUSE_MAX ? o->pause * 2 : PAUSE_MAX;
	return pause;
}

bool outbox_wait(struct outbox *o, struct err *e)
{
	bool ok = true;
	pthread_mutex_lock(&o->mu);
	uint64_t failures = o->stats.failures, upto = o->seq;
	if (o->first) task_wake(o->task);
	while (ok && o->first && o->first->seq <= upto) {
		if (o->stopping)
			ok = err_set(e, ERR_UNAVAILABLE, "the server is stopping");
		else if (o->stats.failures != failures) {
			*e = o->stats.error;
			ok = false;
		} else
			pthread_cond_wait(&o->settled, &o->mu);
	}
	pthread_mutex_unlock(&o->mu);
	return ok;
}

void outbox_stats(struct outbox *o, struct outbox_stats *out)
{
	pthread_mutex_lock(&o->mu);
	*out = o->stats;
	pthread_mutex_unlock(&o->mu);
}

/* ---- start and end ---- */

static bool load_entry(struct outbox *o, struct str name, struct err *e)
{
	struct buf bytes = {0};
	uint64_t seq = 0;
	struct str dir = str_sub(name, 0, (size_t)str_find(name, STR("/" ENTRIES)) + 1);
	struct str digits = str_from(name, dir.n + sizeof ENTRIES - 1);
	for (size_t i = 0; i < digits.n; i++) seq = seq << 4 | (uint64_t)str_hex_digit((unsigned char)digits.p[i]);
	bool ok = object_read(o->local, name, CATALOG_ENTRY_MAX, &bytes, e);
	struct outbox_entry *x = ok ? entry_new(seq, dir, buf_view(&bytes), e) : NULL;
	if (x) {
		x->tried = x->stale = true;
		enqueue(o, x);
	} else if (ok && e->code == ERR_CORRUPT) {
		log_error("an entry of the outbox is damaged; it and the segments of its tenant are left alone",
			  kv_str("object", name), kv_err(e));
		pthread_mutex_lock(&o->mu);
		if (seq > o->seq) o->seq = seq;
		pthread_mutex_unlock(&o->mu);
		*e = ERR_INIT;
	}
	buf_free(&bytes);
	return ok && e->code == ERR_NONE;
}

struct found {
	struct arena arena;
	struct str *v;
	size_t n, cap;
};

static bool add_found(void *ud, const struct object_info *i)
{
	struct found *f = ud;
	*ARENA_PUSH(&f->arena, f->v, f->n, f->cap) = arena_str(&f->arena, i->name);
	return true;
}

/* By sequence number: the name's last part. */
static int by_seq(const void *a, const void *b)
{
	struct str x = *(const struct str *)a, y = *(const struct str *)b;
	return str_cmp(str_from(x, (size_t)(str_rchr(x, '/') + 1)), str_from(y, (size_t)(str_rchr(y, '/') + 1)));
}

/* Segments that an entry names are here; others are what a crash left, unless an entry of the tenant was damaged. */
static void load_segments(struct outbox *o, const struct found *f, const struct map *damaged)
{
	struct arena a;
	arena_init(&a, 0);
	for (const struct outbox_entry *x = o->first; x; x = x->next) {
		for (size_t i = 0; i < x->n.nadded; i++) put_here(o, full_name(&a, x->dir, x->local[i]));
	}
	for (size_t i = 0; i < f->n; i++) {
		struct err e = ERR_INIT;
		ssize_t cut = str_find(f->v[i], STR("/" SEGMENTS));
		if (cut < 0 || is_here(o, f->v[i]) || map_get(damaged, str_sub(f->v[i], 0, (size_t)cut + 1))) continue;
		if (!object_remove(o->local, f->v[i], &e)) log_warn("cannot remove an unfinished flush", kv_err(&e));
	}
	arena_free(&a);
}

static bool load(struct outbox *o, struct err *e)
{
	struct found all = {0}, entries = {0};
	struct map damaged = {0};
	arena_init(&all.arena, 0);
	arena_init(&entries.arena, 0);
	bool ok = object_list(o->local, STR(""), add_found, &all, e);
	for (size_t i = 0; ok && i < all.n; i++) {
		if (str_find(all.v[i], STR("/" ENTRIES)) > 0)
			*ARENA_PUSH(&entries.arena, entries.v, entries.n, entries.cap) = all.v[i];
	}
	if (entries.n) qsort(entries.v, entries.n, sizeof *entries.v, by_seq);
	for (size_t i = 0; ok && i < entries.n; i++) {
		uint64_t before = o->stats.entries;
		ok = load_entry(o, entries.v[i], e);
		struct str dir = str_sub(entries.v[i], 0, (size_t)str_find(entries.v[i], STR("/" ENTRIES)) + 1);
		if (ok && o->stats.entries == before) map_put(&damaged, dir, o);
	}
	if (ok) load_segments(o, &all, &damaged);
	if (ok && o->first)
		log_info("segments wait to be uploaded", kv_i("segments", (int64_t)o->stats.segments),
			 kv_i("bytes", (int64_t)o->stats.bytes));
	map_free(&damaged);
	arena_free(&all.arena);
	arena_free(&entries.arena);
	return ok;
}

struct outbox *outbox_open(const struct outbox_config *c, struct err *e)
{
	struct outbox *o = mem_zalloc(sizeof *o);
	o->base.ops = &layer;
	o->c = *c;
	o->c.dir = mem_strdup(c->dir);
	o->last = &o->first;
	o->pause = PAUSE_MIN;
	pthread_mutex_init(&o->mu, NULL);
	pthread_cond_init(&o->settled, NULL);
	o->local = object_fs_open(c->fs, c->dir, false, e);
	if (o->local && load(o, e)) return o;
	outbox_free(o);
	return NULL;
}

bool outbox_start(struct outbox *o, struct err *e) { return (o->task = task_start(upload_all, o, e)); }

void outbox_stop(struct outbox *o)
{
	pthread_mutex_lock(&o->mu);
	o->stopping = true;
	pthread_cond_broadcast(&o->settled);
	pthread_mutex_unlock(&o->mu);
	task_stop(o->task);
	o->task = NULL;
}

static void free_values(struct map *m)
{
	for (struct map_slot *s = NULL; (s = map_next(m, s));) free(s->val);
	map_free(m);
}

void outbox_free(struct outbox *o)
{
	if (!o) return;
	for (struct outbox_entry *x = o->first, *next; x; x = next) {
		next = x->next;
		entry_free(x);
	}
	free_values(&o->here);
	free_values(&o->alias);
	object_close(o->local);
	free((char *)o->c.dir);
	pthread_mutex_destroy(&o->mu);
	pthread_cond_destroy(&o->settled);
	free(o);
}
