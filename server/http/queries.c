/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/queries.h"

#include "common/map.h"
#include "common/units.h"
#include "server/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define TEXT_MAX 1024            /* bytes of a query that are kept for the list */
#define NAP      (2 * UNITS_SEC) /* after which a job that nobody wakes runs once more */
#define LOOK     (UNITS_SEC / 2) /* how often somebody looks for such jobs */

struct query {
	struct query *next;            /* in its tenant's queue */
	struct query *older, *younger; /* among all */
	struct httpd_req *r;           /* NULL: a job */
	struct owner *owner;
	uint64_t id;
	struct str text, peer; /* own */
	const char *route;
	int64_t added, begun; /* monotonic; begun 0: it waits */
};

struct queries_job {
	struct query x; /* first */
	struct queries *q;
	bool (*run)(void *ud);
	void *ud;
	_Atomic bool *cancel;
	bool queued, running, again;
	bool napping; /* it runs though nobody woke it, … */
	int64_t nap;  /* … since this time (monotonic) has come; 0: none is set */
};

struct fifo {
	struct query *first, **last;
};

/* A tenant with requests or jobs, in a ring. */
struct owner {
	struct owner *prev, *next;
	struct str name; /* own */
	struct fifo requests, jobs;
	size_t waiting, running; /* requests that wait; of both: that run */
	size_t njobs, working;   /* jobs that there are, and that run */
	bool job_next;           /* so that neither keeps the other from running */
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
	size_t njobs;
	int64_t look; /* monotonic: when somebody looks for jobs that nobody wakes */
	bool stopping;
};

/* ---- owners: with the lock held ---- */

static struct owner *owner_of(struct queries *q, struct str name)
{
	struct owner *o = map_get(&q->owners, name);
	if (o) return o;
	o = mem_zalloc(sizeof *o);
	o->name = mem_str(name);
	o->requests.last = &o->requests.first;
	o->jobs.last = &o->jobs.first;
	map_put(&q->owners, o->name, o);
	if (!q->turn) q->turn = o->prev = o->next = o;
	o->next = q->turn;
	o->prev = q->turn->prev;
	o->prev->next = o->next->prev = o;
	return o;
}

static void owner_leave(struct queries *q, struct owner *o)
{
	if (o->waiting || o->running || o->njobs) return;
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

static void fifo_put(struct fifo *f, struct query *x)
{
	x->next = NULL;
	*f->last = x;
	f->last = &x->next;
}

static struct query *fifo_take(struct fifo *f)
{
	struct query *x = f->first;
	f->first = x->next;
	if (!f->first) f->last = &f->first;
	return x;
}

static struct queries_job *job_of(struct query *x) { return x->r ? NULL : (struct queries_job *)x; }

/* What of the owner's may run now, or NULL. */
static struct query *take_of(struct queries *q, struct owner *o)
{
	bool job = o->jobs.first && o->working < (q->c.share + 1) / 2 && (o->job_next || !o->requests.first);
	if (o->running >= q->c.share || (!job && !o->requests.first)) return NULL;
	struct query *x = fifo_take(job ? &o->jobs : &o->requests);
	o->job_next = !job;
	if (job) {
		struct queries_job *j = job_of(x);
		j->queued = false;
		j->running = true;
		o->working++;
	} else {
		o->waiting--, q->figures.waiting--;
	}
	o->running++, q->figures.running++;
	if (!x->begun) x->begun = clock_mono(q->c.clock);
	return x;
}

/* The next that may run, or NULL. */
static struct query *take(struct queries *q)
{
	struct owner *o = q->turn;
	do {
		struct query *x = o ? take_of(q, o) : NULL;
		if (x) q->turn = o->next;
		if (x || !o) return x;
		o = o->next;
	} while (o != q->turn);
	return NULL;
}

static void query_free(struct query *x)
{
	free((char *)x->text.p);
	free((char *)x->peer.p);
	free(x);
}

/* Its thread is free again. */
static void rest(struct queries *q, struct owner *o)
{
	o->running--, q->figures.running--;
	if (o->requests.first || o->jobs.first) pthread_cond_signal(&q->work); /* its share was used up */
}

static void finished(struct queries *q, struct query *x)
{
	list_del(q, x);
	owner_leave(q, x->owner);
	query_free(x);
}

static void job_put(struct queries_job *j)
{
	j->nap = 0;
	if (j->running) j->again = true;
	if (j->running || j->queued) return;
	j->queued = true;
	fifo_put(&j->x.owner->jobs, &j->x);
	pthread_cond_signal(&j->q->work);
}

/* Those that nobody has woken for long. */
static void wake_napping(struct queries *q)
{
	int64_t now = clock_mono(q->c.clock);
	if (!q->njobs || now < q->look) return;
	q->look = now + LOOK;
	for (struct query *x = q->oldest; x; x = x->younger) {
		struct queries_job *j = job_of(x);
		if (!j || !j->nap || j->nap > now) continue;
		j->napping = true;
		job_put(j);
	}
}

/* For work, or the time to look for jobs that nobody wakes. */
static void wait_for_work(struct queries *q)
{
	struct timespec t;
	if (!q->njobs) {
		pthread_cond_wait(&q->work, &q->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += LOOK;
	if (t.tv_nsec >= UNITS_SEC) t.tv_sec++, t.tv_nsec -= UNITS_SEC;
	pthread_cond_timedwait(&q->work, &q->lock, &t);
}

/* ---- threads ---- */

/* The lock is let go meanwhile. */
static void run_job(struct queries *q, struct queries_job *j)
{
	struct owner *o = j->x.owner;
	bool napping = j->napping;
	j->napping = false;
	pthread_mutex_unlock(&q->lock);
	bool more = j->run(j->ud);
	pthread_mutex_lock(&q->lock);
	o->working--;
	rest(q, o);
	j->running = false;
	if (!more) {
		o->njobs--, q->njobs--;
		finished(q, &j->x);
	} else if (j->again) {
		j->again = false;
		job_put(j);
	} else if (!napping) {
		j->nap = clock_mono(q->c.clock) + NAP;
	}
}

static void run_request(struct queries *q, struct query *x)
{
	if (q->c.metrics)
		metrics_observe(metrics_get(q->c.metrics, METRIC_QUERY_QUEUE_SECONDS, NULL),
				(double)(x->begun - x->added) / 1e9);
	pthread_mutex_unlock(&q->lock);
	httpd_run(x->r);
	pthread_mutex_lock(&q->lock);
	rest(q, x->owner);
	finished(q, x);
}

static void *work(void *ud)
{
	struct queries *q = ud;
	struct query *x;
	pthread_mutex_lock(&q->lock);
	for (;;) {
		wake_napping(q);
		if ((x = take(q)) && x->r)
			run_request(q, x);
		else if (x)
			run_job(q, job_of(x));
		else if (q->stopping)
			break;
		else
			wait_for_work(q);
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
	pthread_condattr_t a;
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&q->work, &a);
	pthread_condattr_destroy(&a);
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

static void query_fill(const struct queries *q, struct query *x, struct str text, struct str peer)
{
	x->text = mem_str(str_sub(text, 0, text.n < TEXT_MAX ? text.n : TEXT_MAX));
	x->peer = mem_str(peer);
	x->added = clock_mono(q->c.clock);
}

static struct query *query_new(const struct queries *q, struct httpd_req *r)
{
	struct query *x = mem_zalloc(sizeof *x);
	x->r = r;
	x->id = httpd_id(r);
	x->route = httpd_route_name(r);
	query_fill(q, x, httpd_arg(r, "query"), httpd_peer(r));
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
		fifo_put(&o->requests, x);
		o->waiting++, q->figures.waiting++;
		pthread_cond_signal(&q->work);
	}
	pthread_mutex_unlock(&q->lock);
	if (!full) return;
	query_free(x);
	refuse(q, r);
}

struct queries_job *queries_job_new(struct queries *q, const struct queries_work *w, const char *what, const char *key,
				    struct err *e)
{
	struct queries_job *j = mem_zalloc(sizeof *j);
	*j = (struct queries_job){
		.x = {.id = w->id, .route = w->route}, .q = q, .run = w->run, .ud = w->ud, .cancel = w->cancel};
	query_fill(q, &j->x, w->text, w->peer);
	pthread_mutex_lock(&q->lock);
	struct owner *o = j->x.owner = owner_of(q, w->tenant);
	bool full = o->njobs >= w->max_of_tenant;
	if (!full) {
		list_add(q, &j->x);
		o->njobs++, q->njobs++;
	}
	owner_leave(q, o);
	pthread_mutex_unlock(&q->lock);
	if (!full) return j;
	query_free(&j->x);
	err_set(e, ERR_RATE, "too many %s: this tenant has %zu of them already (%s)", what, w->max_of_tenant, key);
	return NULL;
}

void queries_job_wake(struct queries_job *j)
{
	struct queries *q = j->q;
	pthread_mutex_lock(&q->lock);
	job_put(j);
	pthread_mutex_unlock(&q->lock);
}

void queries_figures(struct queries *q, struct queries_figures *out)
{
	pthread_mutex_lock(&q->lock);
	*out = q->figures;
	pthread_mutex_unlock(&q->lock);
}

static int by_name(const void *a, const void *b) { return str_cmp(*(const struct str *)a, *(const struct str *)b); }

/* Whoever sees a query over several tenants must be allowed to see all of them. */
static bool is_of(const struct query *x, const struct str *tenants, size_t n)
{
	struct str rest = x->owner->name, one;
	for (bool more = n > 0; more;) {
		more = str_cut(&rest, '|', &one);
		if (!bsearch(&one, tenants, n, sizeof one, by_name)) return false;
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
	bool found = false, job = false;
	pthread_mutex_lock(&q->lock);
	for (struct query *x = q->oldest; x && !found; x = x->younger) {
		found = x->id == id && is_of(x, tenants, n);
		job = found && !x->r;
		if (!job) continue;
		atomic_store(job_of(x)->cancel, true);
		job_put(job_of(x));
	}
	pthread_mutex_unlock(&q->lock);
	return job || (found && httpd_cancel(asking, id));
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
