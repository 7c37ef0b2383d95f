/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/catalog.h"

#include "common/log.h"

#include <stdlib.h>

#define CHECKPOINT       "checkpoint-"
#define CHECKPOINT_EVERY 64u
#define CHECKPOINT_MAX   (1u << 30) /* bytes */
#define TRIM_MAX         256u       /* objects removed with one checkpoint */

void catalog_init(struct catalog *c, const struct catalog_config *config, struct str dir)
{
	*c = (struct catalog){.c = *config, .dir = mem_strndup(dir.p, dir.n), .next = 1};
	if (!c->c.checkpoint_every) c->c.checkpoint_every = CHECKPOINT_EVERY;
	pthread_mutex_init(&c->io, NULL);
	pthread_mutex_init(&c->mu, NULL);
}

void catalog_fini(struct catalog *c)
{
	free(c->dir);
	catalog_state_fini(&c->state);
	pthread_mutex_destroy(&c->io);
	pthread_mutex_destroy(&c->mu);
}

bool catalog_covers(struct catalog *c, uint64_t writer, uint64_t seq)
{
	pthread_mutex_lock(&c->mu);
	bool found = catalog_covers_has(&c->state.covers, writer, seq);
	pthread_mutex_unlock(&c->mu);
	return found;
}

bool catalog_is_empty(struct catalog *c)
{
	pthread_mutex_lock(&c->io);
	bool empty = c->next == 1;
	pthread_mutex_unlock(&c->io);
	return empty;
}

void catalog_cuts(struct catalog *c, struct catalog_cut out[CATALOG_CUT_REASONS])
{
	pthread_mutex_lock(&c->mu);
	memcpy(out, c->state.cuts, sizeof c->state.cuts);
	pthread_mutex_unlock(&c->mu);
}

int64_t catalog_removed(struct catalog *c, struct str segment)
{
	pthread_mutex_lock(&c->mu);
	int64_t at = catalog_state_removed(&c->state, segment);
	pthread_mutex_unlock(&c->mu);
	return at;
}

bool catalog_knows(struct catalog *c, struct str segment)
{
	pthread_mutex_lock(&c->mu);
	bool known = catalog_state_has(&c->state, segment) || catalog_state_removed(&c->state, segment);
	pthread_mutex_unlock(&c->mu);
	return known;
}

static void apply_entry(struct catalog *c, const struct catalog_entry *n, catalog_apply_fn *apply, void *ud)
{
	pthread_mutex_lock(&c->mu);
	catalog_state_apply(&c->state, n);
	pthread_mutex_unlock(&c->mu);
	c->damaged = c->state.ndamaged;
	apply(ud, n);
}

static void object_name(const struct catalog *c, const char *kind, uint64_t number, struct buf *out)
{
	buf_clear(out);
	buf_printf(out, "%s%s%016llx", c->dir, kind, (unsigned long long)number);
}

/* Keeps a copy of what was read or made. */
static bool mirror(struct catalog *c, struct str name, struct str bytes)
{
	struct buf have = {0};
	struct err e = ERR_INIT;
	if (!c->c.mirror) return false;
	bool ok = object_read(c->c.mirror, name, bytes.n, &have, &e) && str_eq(buf_view(&have), bytes);
	e = ERR_INIT;
	ok = ok || object_put(c->c.mirror, name, bytes, false, &e);
	if (!ok) log_warn("cannot keep a local copy of a catalog entry", kv_err(&e));
	buf_free(&have);
	return ok;
}

/* ---- one entry ---- */

/* What cannot be used is logged and counted. */
static void skip_damaged(struct catalog *c, struct str name, uint64_t number, const struct err *e)
{
	log_error("catalog entry is damaged and skipped; what only it names is missing", kv_str("object", name),
		  kv_err(e));
	pthread_mutex_lock(&c->mu);
	catalog_state_damaged(&c->state, number);
	pthread_mutex_unlock(&c->mu);
	c->damaged = c->state.ndamaged;
}

static bool apply_bytes(struct catalog *c, uint64_t number, struct str bytes, catalog_apply_fn *apply, void *ud,
			struct err *e)
{
	struct catalog_entry n;
	struct arena a;
	arena_init(&a, 0);
	bool ok = catalog_entry_decode(bytes, &a, &n, e);
	if (ok && (n.number != number || n.whole))
		ok = err_set(e, ERR_CORRUPT, "catalog entry has another number inside");
	if (ok) apply_entry(c, &n, apply, ud);
	arena_free(&a);
	return ok;
}

/* Applies one entry. A damaged one counts as applied. */
static bool take_entry(struct catalog *c, struct str name, uint64_t number, struct str bytes, catalog_apply_fn *apply,
		       void *ud, struct err *e)
{
	if (apply_bytes(c, number, bytes, apply, ud, e)) {
		mirror(c, name, bytes);
		return true;
	}
	if (e->code != ERR_CORRUPT) return err_wrap(e, "%.*s", STR_ARG(name));
	skip_damaged(c, name, number, e);
	*e = ERR_INIT;
	return true;
}

/* Reads one entry and applies it, unless it is `own`, which the caller is about to make: *made. ERR_NOT_FOUND: there
 * is none of this number. */
static bool read_entry(struct catalog *c, uint64_t number, struct str own, bool *made, catalog_apply_fn *apply,
		       void *ud, struct err *e)
{
	struct buf name = {0}, bytes = {0};
	object_name(c, "", number, &name);
	bool ok = object_read(c->c.objects, buf_view(&name), CATALOG_ENTRY_MAX, &bytes, e);
	if (ok && own.n && str_eq(own, buf_view(&bytes))) {
		*made = true;
	} else if (ok) {
		ok = take_entry(c, buf_view(&name), number, buf_view(&bytes), apply, ud, e);
	} else if (e->code == ERR_TOO_LARGE) {
		skip_damaged(c, buf_view(&name), number, e);
		*e = ERR_INIT;
		ok = true;
	}
	buf_free(&name);
	buf_free(&bytes);
	return ok;
}

/* ---- what is there ---- */

struct numbers {
	uint64_t *v;
	size_t n, cap;
};

struct listing {
	struct numbers entries, checkpoints; /* ascending */
	int64_t before;                      /* only checkpoints that are as old as this; ns, wall clock */
};

static bool parse_number(struct str digits, uint64_t *out)
{
	uint64_t v = 0;
	if (digits.n != 16) return false;
	for (size_t i = 0; i < 16; i++) {
		char ch = digits.p[i];
		if (ch >= '0' && ch <= '9')
			v = v << 4 | (uint64_t)(ch - '0');
		else if (ch >= 'a' && ch <= 'f')
			v = v << 4 | (uint64_t)(ch - 'a' + 10);
		else
			return false;
	}
	*out = v;
	return v != 0 && v != UINT64_MAX;
}

static bool add_listed(void *ud, const struct object_info *o)
{
	struct listing *l = ud;
	struct str base = str_from(o->name, (size_t)(str_rchr(o->name, '/') + 1));
	struct numbers *to = &l->entries;
	uint64_t v;
	if (str_starts(base, STR(CHECKPOINT))) {
		if (o->mtime > l->before) return true;
		base = str_from(base, sizeof CHECKPOINT - 1);
		to = &l->checkpoints;
	}
	if (!parse_number(base, &v)) return true;
	MEM_GROW(to->v, to->n, to->cap);
	to->v[to->n++] = v;
	return true;
}

/* Listed in name order, which is number order. */
static bool list(struct catalog *c, int64_t before, struct listing *l, struct err *e)
{
	struct clock_mark now = clock_mark(c->c.clock);
	*l = (struct listing){.before = before};
	if (!object_list(c->c.objects, str_c(c->dir), add_listed, l, e)) return false;
	c->listed = now;
	return true;
}

static void listing_free(struct listing *l)
{
	free(l->entries.v);
	free(l->checkpoints.v);
}

/* ---- reading ---- */

/* False: it cannot be read (now), is damaged (ERR_CORRUPT), or gone (ERR_NOT_FOUND). */
static bool read_checkpoint(struct catalog *c, uint64_t number, struct arena *a, struct buf *bytes,
			    struct catalog_entry *out, struct err *e)
{
	struct buf name = {0};
	object_name(c, CHECKPOINT, number, &name);
	buf_clear(bytes);
	bool ok = object_read(c->c.objects, buf_view(&name), CHECKPOINT_MAX, bytes, e) &&
		  catalog_entry_decode(buf_view(bytes), a, out, e);
	if (ok && (out->number != number || !out->whole))
		ok = err_set(e, ERR_CORRUPT, "catalog checkpoint has another number inside");
	if (!ok && e->code == ERR_TOO_LARGE) e->code = ERR_CORRUPT;
	if (!ok) err_wrap(e, "%.*s", STR_ARG(buf_view(&name)));
	buf_free(&name);
	return ok;
}

/* Oldest first, so that nobody ever finds a gap. Damaged entries stay: somebody may want to look at them. */
static unsigned remove_before(struct catalog *c, struct object_store *from, const char *kind, const struct numbers *l,
			      uint64_t end, unsigned max, struct err *e)
{
	struct buf name = {0};
	unsigned removed = 0;
	for (size_t i = 0; i < l->n && l->v[i] < end && removed < max; i++) {
		bool keep = false;
		for (size_t k = 0; !*kind && k < c->state.ndamaged; k++) keep |= c->state.damaged[k] == l->v[i];
		if (keep) continue;
		object_name(c, kind, l->v[i], &name);
		if (!object_remove(from, buf_view(&name), e)) break;
		removed++;
	}
	buf_free(&name);
	return removed;
}

/* Of the checkpoint that c->checkpoint names; what is older goes. */
static void mirror_checkpoint(struct catalog *c, struct str bytes)
{
	struct buf name = {0};
	struct err e = ERR_INIT;
	struct listing l = {.before = INT64_MAX};
	object_name(c, CHECKPOINT, c->checkpoint, &name);
	if (mirror(c, buf_view(&name), bytes) && object_list(c->c.mirror, str_c(c->dir), add_listed, &l, &e)) {
		remove_before(c, c->c.mirror, "", &l.entries, c->checkpoint + 1, UINT32_MAX, &e);
		remove_before(c, c->c.mirror, CHECKPOINT, &l.checkpoints, c->checkpoint, UINT32_MAX, &e);
	}
	if (e.code) log_warn("cannot remove old local copies of catalog entries", kv_err(&e));
	listing_free(&l);
	buf_free(&name);
}

/* The newest that is readable; where none is, the entries are all there is. */
static bool start_from_checkpoint(struct catalog *c, const struct numbers *l, catalog_apply_fn *apply, void *ud,
				  struct err *e)
{
	struct buf bytes = {0};
	bool ok = true, found = false;
	for (size_t i = l->n; ok && !found && i-- > 0;) {
		struct catalog_entry n;
		struct arena a;
		arena_init(&a, 0);
		found = ok = read_checkpoint(c, l->v[i], &a, &bytes, &n, e);
		if (found) {
			apply_entry(c, &n, apply, ud);
			c->next = n.number + 1;
			c->checkpoint = n.number;
			mirror_checkpoint(c, buf_view(&bytes));
		} else if (e->code == ERR_CORRUPT || e->code == ERR_NOT_FOUND) {
			log_error("catalog checkpoint is not readable; the one before is used", kv_err(e));
			*e = ERR_INIT;
			ok = true;
		}
		arena_free(&a);
	}
	buf_free(&bytes);
	return ok;
}

/* Entries are numbered without gaps, so what is not there was lost. */
static void skip_missing(struct catalog *c, uint64_t to, struct err *e)
{
	struct buf name = {0};
	object_name(c, "", c->next, &name);
	err_set(e, ERR_CORRUPT, "entries %llu to %llu are missing", (unsigned long long)c->next,
		(unsigned long long)(to - 1));
	skip_damaged(c, buf_view(&name), c->next, e);
	*e = ERR_INIT;
	c->next = to;
	buf_free(&name);
}

static bool read_listed(struct catalog *c, const struct listing *l, catalog_apply_fn *apply, void *ud, struct err *e)
{
	const struct numbers *chk = &l->checkpoints, *v = &l->entries;
	bool behind = c->next == 1 || (chk->n > 1 && c->next <= chk->v[chk->n - 2]);
	bool ok = !behind || start_from_checkpoint(c, chk, apply, ud, e);
	for (size_t i = 0; ok && i < v->n;) {
		if (v->v[i] < c->next) {
			i++;
			continue;
		}
		ok = read_entry(c, c->next, STR_NULL, NULL, apply, ud, e);
		if (ok) {
			c->next++;
		} else if (e->code == ERR_NOT_FOUND && v->v[i] > c->next) {
			skip_missing(c, v->v[i], e);
			ok = true;
		}
	}
	return ok;
}

static bool read_all(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e)
{
	struct listing l;
	bool ok = list(c, INT64_MAX, &l, e) && read_listed(c, &l, apply, ud, e);
	listing_free(&l);
	return ok;
}

bool catalog_read(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e)
{
	pthread_mutex_lock(&c->io);
	bool ok = read_all(c, apply, ud, e);
	pthread_mutex_unlock(&c->io);
	return ok;
}

/* As far as it goes without a gap: a copy may have failed. */
static bool read_mirror(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e)
{
	struct listing l = {.before = INT64_MAX};
	struct buf name = {0}, bytes = {0};
	const struct numbers *chk = &l.checkpoints;
	bool ok = object_list(c->c.objects, str_c(c->dir), add_listed, &l, e);
	if (ok && chk->n && chk->v[chk->n - 1] >= c->next) ok = start_from_checkpoint(c, chk, apply, ud, e);
	for (bool more = ok; more; c->next += more) {
		struct err end = ERR_INIT;
		object_name(c, "", c->next, &name);
		buf_clear(&bytes);
		more = object_read(c->c.objects, buf_view(&name), CATALOG_ENTRY_MAX, &bytes, &end) &&
		       apply_bytes(c, c->next, buf_view(&bytes), apply, ud, &end);
	}
	listing_free(&l);
	buf_free(&name);
	buf_free(&bytes);
	return ok;
}

bool catalog_read_mirror(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e)
{
	pthread_mutex_lock(&c->io);
	struct object_store *remote = c->c.objects, *local = c->c.mirror;
	c->c.objects = local;
	c->c.mirror = NULL;
	bool ok = read_mirror(c, apply, ud, e);
	c->c.objects = remote;
	c->c.mirror = local;
	c->listed = (struct clock_mark){0};
	pthread_mutex_unlock(&c->io);
	return ok;
}

bool catalog_poll(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e)
{
	pthread_mutex_lock(&c->io);
	bool ok = clock_within(c->c.clock, &c->listed, c->c.grace_ns / 4) || read_all(c, apply, ud, e);
	while (ok && (ok = read_entry(c, c->next, STR_NULL, NULL, apply, ud, e))) c->next++;
	if (!ok && e->code == ERR_NOT_FOUND) {
		*e = ERR_INIT;
		ok = true;
	}
	pthread_mutex_unlock(&c->io);
	return ok;
}

/* ---- checkpoints ---- */

/* The newest readable checkpoint in l[0..*n), which becomes *n; 0: none. */
static uint64_t newest_readable(struct catalog *c, const struct numbers *l, size_t *n)
{
	struct buf bytes = {0};
	uint64_t found = 0;
	while (!found && *n) {
		struct err e = ERR_INIT;
		struct catalog_entry entry;
		struct arena a;
		arena_init(&a, 0);
		--*n;
		if (read_checkpoint(c, l->v[*n], &a, &bytes, &entry, &e)) found = l->v[*n];
		arena_free(&a);
	}
	buf_free(&bytes);
	return found;
}

/* What the two newest checkpoints of some age make superfluous goes: readers that listed the log before they were
 * there have finished. */
static void trim(struct catalog *c)
{
	struct listing l;
	struct err e = ERR_INIT;
	bool ok = list(c, clock_wall(c->c.clock) - c->c.grace_ns, &l, &e);
	size_t n = l.checkpoints.n;
	if (ok && n > 1 && newest_readable(c, &l.checkpoints, &n)) {
		uint64_t keep = newest_readable(c, &l.checkpoints, &n);
		unsigned k = remove_before(c, c->c.objects, "", &l.entries, keep + 1, keep ? TRIM_MAX : 0, &e);
		if (e.code == ERR_NONE)
			remove_before(c, c->c.objects, CHECKPOINT, &l.checkpoints, keep, TRIM_MAX - k, &e);
	}
	if (e.code)
		log_warn("cannot remove old catalog entries; the next checkpoint tries again", kv_c("catalog", c->dir),
			 kv_err(&e));
	listing_free(&l);
}

static bool put_checkpoint(struct catalog *c, struct err *e)
{
	struct catalog_entry n;
	struct arena a;
	struct buf name = {0}, bytes = {0};
	arena_init(&a, 0);
	catalog_state_collect(&c->state, &a, &n);
	n.number = c->next - 1;
	n.created = clock_wall(c->c.clock);
	catalog_entry_encode(&n, &bytes);
	object_name(c, CHECKPOINT, n.number, &name);
	bool ok = object_put(c->c.objects, buf_view(&name), buf_view(&bytes), true, e) || e->code == ERR_EXISTS;
	if (ok) {
		c->checkpoint = n.number;
		*e = ERR_INIT;
		mirror_checkpoint(c, buf_view(&bytes));
	}
	buf_free(&name);
	buf_free(&bytes);
	arena_free(&a);
	return ok;
}

/* Under the lock. */
static void checkpoint(struct catalog *c)
{
	struct err e = ERR_INIT;
	if (c->next - 1 - c->checkpoint < c->c.checkpoint_every) return;
	if (put_checkpoint(c, &e))
		trim(c);
	else
		log_warn("cannot write a catalog checkpoint; the next entry tries again", kv_c("catalog", c->dir),
			 kv_err(&e));
}

void catalog_checkpoint(struct catalog *c)
{
	pthread_mutex_lock(&c->io);
	checkpoint(c);
	pthread_mutex_unlock(&c->io);
}

/* ---- appending ---- */

/* What carries the entry's own number and time gets them. */
struct stamps {
	bool *order, *number, *at; /* is it to be filled in? by segment, delete request, removal */
};

static void stamps_init(struct stamps *s, const struct catalog_entry *n)
{
	s->order = mem_zalloc(n->nadded + n->ndeletes + n->nremoved + 1);
	s->number = s->order + n->nadded;
	s->at = s->number + n->ndeletes;
	for (size_t i = 0; i < n->nadded; i++) s->order[i] = n->added[i].order == 0;
	for (size_t i = 0; i < n->ndeletes; i++) s->number[i] = n->deletes[i].number == 0;
	for (size_t i = 0; i < n->nremoved; i++) s->at[i] = n->removed[i].at == 0;
}

static void stamp(const struct stamps *s, struct catalog_entry *n, uint64_t number, int64_t created)
{
	for (size_t i = 0; i < n->nadded; i++) {
		if (s->order[i]) n->added[i].order = number;
	}
	for (size_t i = 0; i < n->ndeletes; i++) {
		if (s->number[i]) n->deletes[i].number = number;
	}
	for (size_t i = 0; i < n->nremoved; i++) {
		if (s->at[i]) n->removed[i].at = created;
	}
}

/* Was the number of the entry just made really free? False: the catalog has been read again from its newest
 * checkpoint, and whatever the entry was about may be tried again. */
static bool still_at_the_end(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e)
{
	struct listing l;
	if (!c->c.shared || clock_within(c->c.clock, &c->listed, c->c.grace_ns / 2)) return true;
	bool ok = list(c, INT64_MAX, &l, e);
	const struct numbers *chk = &l.checkpoints;
	if (ok && chk->n > 1 && c->next <= chk->v[chk->n - 2]) {
		ok = read_listed(c, &l, apply, ud, e) &&
		     err_set(e, ERR_UNAVAILABLE, "catalog %s went on without this server for long and was read again",
			     c->dir);
	}
	listing_free(&l);
	return ok;
}

/* Under the lock. */
static bool append(struct catalog *c, struct catalog_entry *n, const struct stamps *stamps, catalog_still_fn *still,
		   catalog_apply_fn *apply, void *ud, struct err *e)
{
	struct buf name = {0}, bytes = {0};
	bool made = false, ok = !c->c.shared || c->listed.wall || read_all(c, apply, ud, e);
	while (ok) {
		ok = !still || still(ud, e);
		if (!ok) break;
		n->number = c->next;
		stamp(stamps, n, n->number, n->created);
		buf_clear(&bytes);
		catalog_entry_encode(n, &bytes);
		if (bytes.n > CATALOG_ENTRY_MAX) { /* nobody would read it */
			ok = err_set(e, ERR_TOO_LARGE, "a catalog entry of %zu bytes exceeds %u", bytes.n,
				     CATALOG_ENTRY_MAX);
			break;
		}
		object_name(c, "", n->number, &name);
		ok = object_put(c->c.objects, buf_view(&name), buf_view(&bytes), true, e);
		if (ok || e->code != ERR_EXISTS) break;
		*e = ERR_INIT;
		ok = read_entry(c, c->next, buf_view(&bytes), &made, apply, ud, e);
		if (made) break;
		if (ok) c->next++;
	}
	ok = ok && still_at_the_end(c, apply, ud, e);
	if (ok) {
		c->next++;
		apply_entry(c, n, apply, ud);
		mirror(c, buf_view(&name), buf_view(&bytes));
		checkpoint(c);
	} else {
		stamp(stamps, n, 0, 0);
	}
	buf_free(&name);
	buf_free(&bytes);
	return ok;
}

bool catalog_append(struct catalog *c, struct catalog_entry *n, catalog_still_fn *still, catalog_apply_fn *apply,
		    void *ud, struct err *e)
{
	struct stamps stamps;
	stamps_init(&stamps, n);
	pthread_mutex_lock(&c->io);
	bool ok = append(c, n, &stamps, still, apply, ud, e);
	pthread_mutex_unlock(&c->io);
	free(stamps.order);
	return ok;
}
