/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/queries.h"

#include "common/map.h"
#include "server/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define TEXT_MAX 1024 /* bytes of a query that are kept for the list */

struct query {
	struct query *next;            /* in its tenant's queue */
	struct query *older, *younger; /* among all */
	struct httpd_req *r;
	struct owner *owner;
	uint64_t id;
	struct str text, peer; /* own */
	const char *route;
	int64_t added, begun; /* monotonic; begun 0: it waits */
};

/* A tenant with requests, in a ring. */
struct owner {
	struct owner *prev, *next;
	struct str name; /* own */
	struct query *first, **last;
	size_t waiting, running;
};

struct queries {
	struct queries_config c;
	pthread_t *threads;
	unsigned nthreads;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t work;
	struct map owners;  /* name -> struct owner */
	struct owner *turn; /* whose it is */
	struct query *oldest, *youngest;
	struct queries_figures figures;
	bool stopping;
};

/* ---- owners: with the lock held ---- */

static struct owner *owner_of(struct queries *q, struct str name)
{
	struct owner *o = map_get(&q->owners, name);
	if (o) return o;
	o = mem_zalloc(sizeof *o);
	o->name = mem_str(name);
	o->last = &o->first;
	map_put(&q->owners, o->name, o);
	if (!q->turn) q->turn = o->prev = o->next = o;
	o->next = q->turn;
	o->prev = q->turn->prev;
	o->prev->next = o->next->prev = o;
	return o;
}

static void owner_leave(struct queries *q, struct owner *o)
{
	if (o->waiting || o->running) return;
	map_del(&q->owners, o->name);
	o->prev->next = o->next;
	o->next->prev = o->prev;
	if (q->turn == o) q->turn = o->next == o ? NULL : o->next;
	free((char *)o->name.p);
	free(o);
}

/* ---- requests: with the lock held ---- */

static void list_add(struct queries *q, struct query *x)
{
	x->older = q->youngest;
	*(q->youngest ? &q->youngest->younger : &q->oldest) = x;
	q->youngest = x;
}

static void list_del(struct queries *q, struct query *x)
{
	*(x->older ? &x->older->younger : &q->oldest) = x->younger;
	*(x->younger ? &x->younger->older : &q->youngest) = x->older;
}

/* The next that may run, or NULL. */
static struct query *take(struct queries *q)
{
	struct owner *o = q->turn;
	do {
		if (!o) return NULL;
		if (o->first && o->running < q->c.share) {
			struct query *x = o->first;
			o->first = x->next;
			if (!o->first) o->last = &o->first;
			o->waiting--, q->figures.waiting--;
			o->running++, q->figures.running++;
			x->begun = clock_mono(q->c.clock);
			q->turn = o->next;
			return x;
		}
		o = o->next;
	} while (o != q->turn);
	return NULL;
}

static void finished(struct queries *q, struct query *x)
{
	struct owner *o = x->owner;
	list_del(q, x);
	o->running--, q->figures.running--;
	if (o->first) pthread_cond_signal(&q->work); /* its share was used up */
	owner_leave(q, o);
	free((char *)x->text.p);
	free((char *)x->peer.p);
	free(x);
}

static void *work(void *ud)
{
	struct queries *q = ud;
	pthread_mutex_lock(&q->lock);
	for (;;) {
		struct query *x = take(q);
		if (x) {
			if (q->c.metrics)
				metrics_observe(metrics_get(q->c.metrics, METRIC_QUERY_QUEUE_SECONDS, NULL),
						(double)(x->begun - x->added) / 1e9);
			pthread_mutex_unlock(&q->lock);
			httpd_run(x->r);
			pthread_mutex_lock(&q->lock);
			finished(q, x);
		} else if (q->stopping) {
			break;
		} else {
			pthread_cond_wait(&q->work, &q->lock);
		}
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* ---- public ---- */

struct queries *queries_new(const struct queries_config *c, struct err *e)
{
	struct queries *q = mem_zalloc(sizeof *q);
	q->c = *c;
	if (!q->c.share) q->c.share = (c->threads + 1) / 2;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	q->threads = mem_zalloc(c->threads * sizeof *q->threads);
	for (; q->nthreads < c->threads; q->nthreads++) {
		errno = pthread_create(&q->threads[q->nthreads], NULL, work, q);
		if (!errno) continue;
		err_errno(e, "start a thread for queries");
		queries_free(q);
		return NULL;
	}
	return q;
}

void queries_free(struct queries *q)
{
	if (!q) return;
	pthread_mutex_lock(&q->lock);
	q->stopping = true;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (unsigned i = 0; i < q->nthreads; i++) pthread_join(q->threads[i], NULL);
	map_free(&q->owners);
	pthread_cond_destroy(&q->work);
	pthread_mutex_destroy(&q->lock);
	free(q->threads);
	free(q);
}

static struct query *query_new(const struct queries *q, struct httpd_req *r)
{
	struct query *x = mem_zalloc(sizeof *x);
	struct str text = httpd_arg(r, "query");
	x->r = r;
	x->id = httpd_id(r);
	x->route = httpd_route_name(r);
	x->text = mem_str(str_sub(text, 0, text.n < TEXT_MAX ? text.n : TEXT_MAX));
	x->peer = mem_str(httpd_peer(r));
	x->added = clock_mono(q->c.clock);
	return x;
}

static void refuse(const struct queries *q, struct httpd_req *r)
{
	struct buf b = {0};
	buf_printf(&b,
		   "too many outstanding requests: %zu queries of this tenant wait already "
		   "(frontend.max_outstanding_per_tenant)",
		   q->c.max_waiting);
	httpd_reply_text(r, 429, buf_view(&b));
	buf_free(&b);
}

void queries_add(struct queries *q, struct httpd_req *r, struct str tenant)
{
	struct query *x = query_new(q, r);
	pthread_mutex_lock(&q->lock);
	struct owner *o = owner_of(q, tenant);
	bool full = q->c.max_waiting && o->waiting >= q->c.max_waiting;
	if (!full) {
		x->owner = o;
		list_add(q, x);
		*o->last = x;
		o->last = &x->next;
		o->waiting++, q->figures.waiting++;
		pthread_cond_signal(&q->work);
	}
	pthread_mutex_unlock(&q->lock);
	if (!full) return;
	free((char *)x->text.p);
	free((char *)x->peer.p);
	free(x);
	refuse(q, r);
}

void queries_figures(struct queries *q, struct queries_figures *out)
{
	pthread_mutex_lock(&q->lock);
	*out = q->figures;
	pthread_mutex_unlock(&q->lock);
}

static bool is_one_of(struct str name, const struct str *tenants, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(name, tenants[i])) return true;
	return false;
}

/* Whoever sees a query over several tenants must be allowed to see all of them. */
static bool is_of(const struct query *x, const struct str *tenants, size_t n)
{
	struct str rest = x->owner->name, one;
	for (bool more = n > 0; more;) {
		more = str_cut(&rest, '|', &one);
		if (!is_one_of(one, tenants, n)) return false;
	}
	return true;
}

void queries_each(struct queries *q, const struct str *tenants, size_t n,
		  void (*fn)(void *ud, const struct query_info *i), void *ud)
{
	int64_t now = clock_mono(q->c.clock);
	pthread_mutex_lock(&q->lock);
	for (const struct query *x = q->oldest; x; x = x->younger) {
		struct query_info i = {
			.id = x->id,
			.tenant = x->owner->name,
			.route = str_c(x->route),
			.text = x->text,
			.peer = x->peer,
			.waited = (x->begun ? x->begun : now) - x->added,
			.ran = x->begun ? now - x->begun : -1,
		};
		if (is_of(x, tenants, n)) fn(ud, &i);
	}
	pthread_mutex_unlock(&q->lock);
}

bool queries_cancel(struct queries *q, struct httpd_req *asking, const struct str *tenants, size_t n, uint64_t id)
{
	bool found = false;
	pthread_mutex_lock(&q->lock);
	for (const struct query *x = q->oldest; x && !found; x = x->younger)
		found = x->id == id && is_of(x, tenants, n);
	pthread_mutex_unlock(&q->lock);
	return found && httpd_cancel(asking, id);
}

int64_t queries_waited(struct queries *q, const struct httpd_req *r)
{
	int64_t ns = 0;
	pthread_mutex_lock(&q->lock);
	for (const struct query *x = q->oldest; x; x = x->younger)
		if (x->r == r) ns = x->begun - x->added;
	pthread_mutex_unlock(&q->lock);
	return ns;
}
