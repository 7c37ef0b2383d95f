/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/catalog.h"

#include "common/log.h"

#include <stdlib.h>

void catalog_init(struct catalog *c, struct object_store *o, struct str dir)
{
	*c = (struct catalog){.objects = o, .dir = mem_strndup(dir.p, dir.n), .next = 1};
	pthread_mutex_init(&c->io, NULL);
	pthread_mutex_init(&c->mu, NULL);
}

void catalog_fini(struct catalog *c)
{
	free(c->dir);
	free(c->covers);
	pthread_mutex_destroy(&c->io);
	pthread_mutex_destroy(&c->mu);
}

/* Ranges of one writer come in ascending order and mostly touch, so the last one of the writer grows. */
static void cover(struct catalog *c, struct wal_range r)
{
	for (size_t i = c->ncovers; i-- > 0;) {
		struct wal_range *o = &c->covers[i];
		if (o->writer != r.writer || r.lo > o->hi || r.hi < o->lo) continue;
		if (r.lo < o->lo) o->lo = r.lo;
		if (r.hi > o->hi) o->hi = r.hi;
		return;
	}
	MEM_GROW(c->covers, c->ncovers, c->cap_covers);
	c->covers[c->ncovers++] = r;
}

bool catalog_covers(struct catalog *c, uint64_t writer, uint64_t seq)
{
	bool found = false;
	pthread_mutex_lock(&c->mu);
	for (size_t i = c->ncovers; i-- > 0 && !found;) {
		const struct wal_range *r = &c->covers[i];
		found = r->writer == writer && seq >= r->lo && seq < r->hi;
	}
	pthread_mutex_unlock(&c->mu);
	return found;
}

static void apply_entry(struct catalog *c, const struct catalog_entry *n, catalog_apply_fn *apply, void *ud)
{
	pthread_mutex_lock(&c->mu);
	for (size_t i = 0; i < n->ncovers; i++) cover(c, n->covers[i]);
	pthread_mutex_unlock(&c->mu);
	apply(ud, n);
}

static void entry_name(const struct catalog *c, uint64_t number, struct buf *out)
{
	buf_clear(out);
	buf_printf(out, "%s%016llx", c->dir, (unsigned long long)number);
}

/* What cannot be used is logged and counted; *e says why. */
static void skip_damaged(struct catalog *c, struct str name, const struct err *e)
{
	log_error("catalog entry is damaged and skipped; what only it names is missing", kv_str("object", name),
		  kv_err(e));
	c->damaged++;
}

/* Applies one entry. A damaged one counts as applied. */
static bool take_entry(struct catalog *c, struct str name, uint64_t number, struct str bytes, catalog_apply_fn *apply,
		       void *ud, struct err *e)
{
	struct catalog_entry n;
	struct arena a;
	arena_init(&a, 0);
	bool ok = catalog_entry_decode(bytes, &a, &n, e);
	if (ok && (n.number != number || n.whole))
		ok = err_set(e, ERR_CORRUPT, "catalog entry has another number inside");
	if (ok) apply_entry(c, &n, apply, ud);
	if (!ok && e->code == ERR_CORRUPT) {
		skip_damaged(c, name, e);
		*e = ERR_INIT;
		ok = true;
	}
	arena_free(&a);
	return ok || err_wrap(e, "%.*s", STR_ARG(name));
}

/* Reads one entry and applies it, unless it is `own`, which the caller is about to make: *made. ERR_NOT_FOUND: there
 * is none of this number. */
static bool read_entry(struct catalog *c, uint64_t number, struct str own, bool *made, catalog_apply_fn *apply,
		       void *ud, struct err *e)
{
	struct buf name = {0}, bytes = {0};
	entry_name(c, number, &name);
	bool ok = object_read(c->objects, buf_view(&name), CATALOG_ENTRY_MAX, &bytes, e);
	if (ok && own.n && str_eq(own, buf_view(&bytes))) {
		*made = true;
	} else if (ok) {
		ok = take_entry(c, buf_view(&name), number, buf_view(&bytes), apply, ud, e);
	} else if (e->code == ERR_TOO_LARGE) {
		skip_damaged(c, buf_view(&name), e);
		*e = ERR_INIT;
		ok = true;
	}
	buf_free(&name);
	buf_free(&bytes);
	return ok;
}

struct numbers {
	uint64_t *v, from;
	size_t n, cap;
};

static bool add_number(void *ud, const struct object_info *o)
{
	struct numbers *l = ud;
	uint64_t v = 0;
	ssize_t cut = str_rchr(o->name, '/');
	struct str digits = str_from(o->name, (size_t)(cut + 1));
	if (digits.n != 16) return true;
	for (size_t i = 0; i < 16; i++) {
		char ch = digits.p[i];
		if (ch >= '0' && ch <= '9')
			v = v << 4 | (uint64_t)(ch - '0');
		else if (ch >= 'a' && ch <= 'f')
			v = v << 4 | (uint64_t)(ch - 'a' + 10);
		else
			return true;
	}
	if (v < l->from || v == 0 || v == UINT64_MAX) return true;
	MEM_GROW(l->v, l->n, l->cap);
	l->v[l->n++] = v;
	return true;
}

bool catalog_read(struct catalog *c, catalog_apply_fn *apply, void *ud, struct err *e)
{
	pthread_mutex_lock(&c->io);
	struct numbers l = {.from = c->next};
	bool ok = object_list(c->objects, str_c(c->dir), add_number, &l, e);
	for (size_t i = 0; ok && i < l.n; i++) { /* listed in name order, which is number order */
		ok = read_entry(c, l.v[i], STR_NULL, NULL, apply, ud, e);
		if (!ok && e->code == ERR_NOT_FOUND) {
			ok = true;
			*e = ERR_INIT;
		}
		if (ok) c->next = l.v[i] + 1;
	}
	pthread_mutex_unlock(&c->io);
	free(l.v);
	return ok;
}

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

/* Under the lock. */
static bool append(struct catalog *c, struct catalog_entry *n, const struct stamps *stamps, catalog_still_fn *still,
		   catalog_apply_fn *apply, void *ud, struct err *e)
{
	struct buf name = {0}, bytes = {0};
	bool ok, made = false;
	for (;;) {
		ok = !still || still(ud, e);
		if (!ok) break;
		n->number = c->next;
		stamp(stamps, n, n->number, n->created);
		buf_clear(&bytes);
		catalog_entry_encode(n, &bytes);
		entry_name(c, n->number, &name);
		ok = object_put(c->objects, buf_view(&name), buf_view(&bytes), true, e);
		if (ok || e->code != ERR_EXISTS) break;
		*e = ERR_INIT;
		ok = read_entry(c, c->next, buf_view(&bytes), &made, apply, ud, e);
		if (!ok || made) break;
		c->next++;
	}
	if (ok) {
		c->next++;
		apply_entry(c, n, apply, ud);
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
