/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every tenant's catalog: read at start, looked at again for what other processes made, swept of what none names
 * (store.h, tenant.h). */
#include "common/log.h"
#include "common/task.h"
#include "common/units.h"
#include "server/store/tenant.h"

#include <stdlib.h>

#define LOADERS 8u /* threads that read catalogs at start */

/* ---- which tenants there are ---- */

struct tenants {
	struct store *s;
	bool tell; /* of directories that are no tenant's */
	struct tenant **v;
	size_t n, cap;
};

static bool add_tenant(void *ud, struct str dir)
{
	struct tenants *l = ud;
	struct buf name = {0};
	if (store_unescape(dir, &name)) {
		MEM_GROW(l->v, l->n, l->cap);
		l->v[l->n++] = store_tenant(l->s, buf_view(&name), true);
	} else if (l->tell) {
		log_warn("a directory in the store is no tenant's; left alone", kv_str("directory", dir));
	}
	buf_free(&name);
	return true;
}

/* Of those known, and those that have a directory there. */
static bool list_tenants(struct store *s, struct object_store *where, bool tell, struct tenants *l, struct err *e)
{
	*l = (struct tenants){.s = s, .tell = tell};
	if (!object_dirs(where, STR(""), add_tenant, l, e)) return false;
	l->n = 0;
	pthread_mutex_lock(&s->mu);
	for (struct map_slot *m = NULL; (m = map_next(&s->tenants, m));) {
		MEM_GROW(l->v, l->n, l->cap);
		l->v[l->n++] = m->val;
	}
	pthread_mutex_unlock(&s->mu);
	return true;
}

/* ---- at start ---- */

struct load {
	struct tenants l;
	struct clock *clock;
	bool mirror; /* from the local copies */
	_Atomic size_t next, done;
	_Atomic bool failed;
	_Atomic int64_t logged;
	pthread_mutex_t mu; /* guards the error */
	struct err *e;
};

static void tell_progress(struct load *w)
{
	int64_t now = clock_mono(w->clock), logged = w->logged;
	if (now - logged < UNITS_SEC || !atomic_compare_exchange_strong(&w->logged, &logged, now)) return;
	log_info("reading catalogs", kv_i("tenants", (int64_t)w->done), kv_i("of", (int64_t)w->l.n));
}

static void *load_some(void *ud)
{
	struct load *w = ud;
	for (size_t i; (i = w->next++) < w->l.n && !w->failed;) {
		struct tenant *t = w->l.v[i];
		struct err e = ERR_INIT;
		if (!(w->mirror ? tenant_read_mirror : tenant_read)(t, &e)) {
			pthread_mutex_lock(&w->mu);
			if (!w->failed) *w->e = e;
			w->failed = true;
			pthread_mutex_unlock(&w->mu);
			break;
		}
		if (!w->mirror) catalog_checkpoint(&t->catalog);
		w->done++;
		tell_progress(w);
	}
	return NULL;
}

static bool load_from(struct store *s, bool from_mirror, struct err *e)
{
	pthread_t threads[LOADERS];
	struct load w = {.clock = s->c.clock, .mirror = from_mirror, .e = e};
	w.logged = clock_mono(w.clock);
	if (!list_tenants(s, from_mirror ? s->mirror : s->objects, true, &w.l, e)) {
		free(w.l.v);
		return false;
	}
	pthread_mutex_init(&w.mu, NULL);
	size_t n = w.l.n < LOADERS ? w.l.n : LOADERS;
	size_t started = 0;
	while (started < n && pthread_create(&threads[started], NULL, load_some, &w) == 0) started++;
	if (started < n) load_some(&w); /* with as many as there may be, and this one */
	for (size_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&w.mu);
	free(w.l.v);
	return !w.failed;
}

/* ---- objects out of reach ---- */

#define SEEN "seen" /* in the mirror: every catalog has been read once */

static bool is_outage(const struct err *e) { return e->code == ERR_IO || e->code == ERR_TIMEOUT; }

bool store_check(struct store *s, struct err *e)
{
	if (!s->c.check) return true;
	pthread_mutex_lock(&s->checking);
	s->checked = s->checked || s->c.check(s->c.check_ud, e);
	bool ok = s->checked;
	pthread_mutex_unlock(&s->checking);
	return ok;
}

static void set_away(struct store *s, bool away)
{
	pthread_mutex_lock(&s->mu);
	s->away = away;
	pthread_mutex_unlock(&s->mu);
}

/* A process that has seen the store once starts on what it has seen: what it wrote itself is all there. */
static bool load_mirror(struct store *s, struct err *e)
{
	struct buf mark = {0};
	struct err none = ERR_INIT;
	bool seen = s->mirror && is_outage(e) && object_read(s->mirror, STR(SEEN), 1, &mark, &none);
	buf_free(&mark);
	if (!seen) return false;
	log_error("the object store is out of reach: starting on what was seen of it last; queries lack what it holds "
		  "and what other servers wrote since",
		  kv_err(e));
	*e = ERR_INIT;
	set_away(s, true);
	return load_from(s, true, e);
}

bool store_load(struct store *s, struct err *e)
{
	if (store_check(s, e) && load_from(s, false, e)) {
		struct err ignored = ERR_INIT;
		if (s->mirror && !object_put(s->mirror, STR(SEEN), STR(""), false, &ignored))
			log_warn("cannot write to the local copy of catalogs", kv_err(&ignored));
	} else if (!load_mirror(s, e)) {
		return false;
	}
	struct store_totals sum;
	store_totals(s, &sum);
	if (sum.segments) {
		log_info("catalogs read", kv_i("tenants", (int64_t)sum.tenants),
			 kv_i("segments", (int64_t)sum.segments), kv_i("rows", (int64_t)sum.segment_rows),
			 kv_i("bytes", (int64_t)sum.segment_bytes));
	}
	return true;
}

/* ---- every now and then ---- */

bool store_refresh(struct store *s, struct err *e)
{
	struct tenants l = {0};
	bool ok = store_check(s, e) && list_tenants(s, s->objects, false, &l, e), outage = !ok;
	for (size_t i = 0; !outage && i < l.n; i++) {
		struct err why = ERR_INIT;
		if (tenant_poll(l.v[i], &why)) continue;
		if (ok) *e = why;
		ok = false;
		outage = is_outage(&why); /* else the others can be read */
	}
	free(l.v);
	set_away(s, !ok);
	return ok;
}

static bool note_one(void *ud, const struct object_info *o)
{
	(void)o;
	*(bool *)ud = true;
	return false;
}

/* Has anybody made an entry for a tenant of that name? */
static bool is_there(struct store *s, struct str name, bool *yes, struct err *e)
{
	struct buf prefix = {0};
	*yes = false;
	store_escape(name, &prefix);
	buf_c(&prefix, "/catalog/");
	bool ok = object_list(s->objects, buf_view(&prefix), note_one, yes, e);
	buf_free(&prefix);
	return ok;
}

/* A name that is only asked for makes no tenant: it would be looked for for ever. */
bool store_tenant_now(struct store *s, struct str name, struct tenant **t, struct err *e)
{
	bool others;
	*t = store_tenant(s, name, false);
	if (!s->c.shared) return true;
	if (!store_check(s, e)) return false;
	if (!*t) {
		if (!is_there(s, name, &others, e)) return false;
		if (others) *t = store_tenant(s, name, true);
	}
	return !*t || tenant_poll(*t, e);
}

static int64_t refresh(void *ud, struct task *task)
{
	struct store *s = ud;
	struct err e = ERR_INIT;
	(void)task;
	if (!store_refresh(s, &e)) log_warn("cannot look for what other servers wrote; trying again", kv_err(&e));
	return s->c.refresh_ns;
}

bool store_start_refresh(struct store *s, struct err *e)
{
	if (!s->c.shared || !s->c.refresh_ns) return true;
	return (s->refresher = task_start(refresh, s, e));
}

/* ---- sweeping ---- */

struct sweep {
	struct tenant *t;
	struct arena arena;
	struct str *v; /* names of objects that were not named when they were listed */
	size_t n, cap;
	int64_t now, orphan_before;
};

static bool is_named(struct tenant *t, struct str object)
{
	pthread_mutex_lock(&t->mu);
	bool named = map_get(&t->by_name, object) != NULL;
	pthread_mutex_unlock(&t->mu);
	return named;
}

static bool sweep_candidate(void *ud, const struct object_info *o)
{
	struct sweep *w = ud;
	bool removed = catalog_removed(&w->t->catalog, str_from(o->name, w->t->dir.n)) != 0;
	if ((removed || o->mtime < w->orphan_before) && !is_named(w->t, o->name))
		*ARENA_PUSH(&w->arena, w->v, w->n, w->cap) = arena_str(&w->arena, o->name);
	return true;
}

static uint64_t sweep_candidates(struct sweep *w)
{
	struct tenant *t = w->t;
	uint64_t removed = 0;
	for (size_t i = 0; i < w->n; i++) {
		struct err e = ERR_INIT;
		int64_t at = catalog_removed(&t->catalog, str_from(w->v[i], t->dir.n));
		if (is_named(t, w->v[i]) || (at && at > w->now - t->st->c.removed_grace_ns)) continue;
		if (object_remove(t->st->objects, w->v[i], &e))
			removed++;
		else
			log_warn("cannot remove a segment that no catalog names; trying again later", kv_err(&e));
	}
	return removed;
}

/* What the catalog once named is removed by the time of its removal, anything else by its age. The catalog is read
 * between listing and removing: an object of that age was named by then, or never will be, since
 * whoever writes a segment names it within half the grace time. Where there is no catalog at all it may have been lost,
 * and the segments are all that is left. */
static void sweep_tenant(struct store *s, struct tenant *t)
{
	struct err e = ERR_INIT;
	struct buf prefix = {0};
	struct sweep w = {.t = t, .now = clock_wall(s->c.clock)};
	w.orphan_before = w.now - s->c.orphan_grace_ns;
	if (t->catalog.damaged) return; /* an unnamed segment may be all there is of its lines */
	arena_init(&w.arena, 0);
	buf_printf(&prefix, "%.*ssegments/", STR_ARG(t->dir));
	bool ok =
		object_list(s->objects, buf_view(&prefix), sweep_candidate, &w, &e) && (w.n == 0 || tenant_read(t, &e));
	bool lost = ok && w.n && catalog_is_empty(&t->catalog);
	uint64_t removed = ok && !t->catalog.damaged && !lost ? sweep_candidates(&w) : 0;
	if (!ok) log_warn("cannot look for unnamed segments", kv_err(&e));
	if (lost)
		log_warn("a tenant has segments, but no catalog; they are left alone", kv_str("tenant", t->name),
			 kv_i("segments", (int64_t)w.n));
	if (removed)
		log_info("removed segments that no catalog names", kv_str("tenant", t->name),
			 kv_i("segments", (int64_t)removed));
	arena_free(&w.arena);
	buf_free(&prefix);
}

void store_sweep(struct store *s)
{
	struct tenants l = {0};
	struct err e = ERR_INIT;
	if (store_check(s, &e) && list_tenants(s, s->objects, false, &l, &e)) {
		for (size_t i = 0; i < l.n; i++) sweep_tenant(s, l.v[i]);
	} else {
		log_warn("cannot look for unnamed segments", kv_err(&e));
	}
	free(l.v);
}
