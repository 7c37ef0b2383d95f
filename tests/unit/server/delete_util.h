/* SPDX-License-Identifier: GPL-2.0-or-later */
/* delete_util: the model's side of delete requests: each hides what had arrived in the model by then. */
#ifndef LARCH_TESTS_UNIT_DELETE_UTIL_H
#define LARCH_TESTS_UNIT_DELETE_UTIL_H

#include "tests/unit/server/store_util.h"

#include "server/store/deletes.h"

static inline bool any_line(const struct entry_of *x)
{
	(void)x;
	return true;
}
static inline bool has_error(const struct entry_of *x) { return str_find(x->line, STR("error")) >= 0; }
static inline bool has_no_cache(const struct entry_of *x) { return str_find(x->line, STR("cache")) < 0; }
static inline bool is_info(const struct entry_of *x)
{
	return str_eqc(labels_get(&x->meta, STR("detected_level")), "info");
}
static inline bool is_a1(const struct labels *l) { return str_eqc(labels_get(l, STR("app")), "a1"); }
static inline bool is_host(const struct labels *l) { return str_cmp(labels_get(l, STR("host")), STR("h3")) < 0; }
static inline bool is_any(const struct labels *l) { return l->n > 0; }

struct kind {
	const char *query;
	bool (*stream)(const struct labels *l);
	bool (*entry)(const struct entry_of *x);
};

static const struct kind kinds[] = {
	{"{app=\"a1\"}", is_a1, any_line},
	{"{host=~\"h[0-2]\"} |= \"error\"", is_host, has_error},
	{"{app=~\"a.\"} != `cache`", is_any, has_no_cache},
	{"{app=~\"a.+\"} | detected_level=\"info\"", is_any, is_info},
	{"{host=~\"h[0-2]\"} | json", is_host, any_line},
};

struct request {
	const struct kind *kind;
	int64_t from, to, created;
	size_t arrived; /* entries of the model that came before */
	bool cancelled;
	char id[DELETE_ID];
};

struct requests {
	struct request *v;
	size_t n, cap;
};

static inline struct requests *requests_new(void) { return mem_zalloc(sizeof(struct requests)); }

static inline void requests_free(struct requests *q)
{
	free(q->v);
	free(q);
}

static inline bool is_deleted(const struct model *m, const struct requests *q, size_t i)
{
	const struct entry_of *x = &m->v[i];
	for (size_t k = 0; k < q->n; k++) {
		const struct request *r = &q->v[k];
		if (!r->cancelled && i < r->arrived && x->ts >= r->from && x->ts <= r->to &&
		    r->kind->stream(&m->streams[x->stream]) && r->kind->entry(x))
			return true;
	}
	return false;
}

/* What is left of the model; borrows from it. free(v). */
static inline struct model visible(const struct model *m, const struct requests *q)
{
	struct model left = {.streams = m->streams, .nstreams = m->nstreams};
	for (size_t i = 0; i < m->n; i++) {
		if (is_deleted(m, q, i)) continue;
		MEM_GROW(left.v, left.n, left.cap);
		left.v[left.n++] = m->v[i];
	}
	return left;
}

static inline struct request *requests_add(struct requests *q, const struct request *r)
{
	MEM_GROW(q->v, q->n, q->cap);
	q->v[q->n] = *r;
	return &q->v[q->n++];
}

/* As the API makes them: durable, and nothing that arrived before is under way. */
static inline bool requests_make(struct requests *q, const struct model *m, struct place *p, const char *tenant,
				 const struct kind *kind, int64_t from, int64_t to, struct err *e)
{
	struct request r = {kind, from, to, clock_wall(&p->clock.base), m->n, false, ""};
	struct delete_spec spec = {str_c(kind->query), from, to};
	if (!deletes_create(store_tenant(p->st, str_c(tenant), true), &spec, r.id, e)) return false;
	ingest_fence(p->in);
	requests_add(q, &r);
	return true;
}

static inline bool requests_cancel(struct requests *q, struct place *p, const char *tenant, size_t i, int64_t before,
				   struct err *e)
{
	struct request *r = &q->v[i];
	struct tenant *t = store_tenant(p->st, str_c(tenant), true);
	if (!deletes_cancel(t, str_c(r->id), before, false, e)) return false;
	return r->cancelled = true;
}

#endif
