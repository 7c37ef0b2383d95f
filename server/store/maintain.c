/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/maintain.h"

#include "common/log.h"
#include "common/task.h"
#include "common/units.h"
#include "server/store/expire.h"
#include "server/store/tenant.h"

#include <stdlib.h>
#include <time.h>

#define FIRST_ROUND  UNITS_MIN        /* after start, when the interval is longer */
#define BUSY_PERCENT 10u              /* of a core, while there is other work */
#define SWEEP_EVERY  (10 * UNITS_MIN) /* in a round that takes longer */
#define PAUSE_MAX    UNITS_SEC        /* between two pieces of work */
#define PAUSE_SLICE  (20 * UNITS_MS)

struct maintain {
	struct maintain_config c;
	struct task *task;
	int64_t next_round, next_retention, next_sweep; /* monotonic; the thread's */
	int64_t worked_since;                           /* monotonic; the thread's */
	bool all;                                       /* the round was asked for; the thread's */
	_Atomic bool stopping;

	pthread_mutex_t mu; /* guards what follows */
	pthread_cond_t ended;
	uint64_t asked, begun, finished; /* rounds asked for, begun, ended */
	struct err failure;              /* of the round under way, or the last */
	struct maintain_stats stats;
};

/* ---- throttling ---- */

static void sleep_ns(int64_t ns)
{
	struct timespec t = {.tv_sec = ns / UNITS_SEC, .tv_nsec = ns % UNITS_SEC};
	nanosleep(&t, NULL);
}

static int64_t mono_now(const struct maintain *m) { return clock_mono(m->c.clock); }

/* Called for every MiB or so: sleeps so long that the time worked since the last call is the share that is allowed. */
static bool throttle(void *ud, struct err *e)
{
	struct maintain *m = ud;
	int64_t worked = mono_now(m) - m->worked_since;
	bool busy = m->c.busy && m->c.busy(m->c.ud);
	unsigned percent = m->c.cpu_percent;
	if (busy)
		percent = percent < BUSY_PERCENT ? percent : BUSY_PERCENT;
	else if (m->all)
		percent = 100;
	int64_t pause = worked / percent * (100 - percent);
	pthread_mutex_lock(&m->mu);
	m->stats.seconds += (double)worked / 1e9;
	pthread_mutex_unlock(&m->mu);
	for (int64_t left = pause < PAUSE_MAX ? pause : PAUSE_MAX; left > 0 && !m->stopping;) {
		int64_t slice = left < PAUSE_SLICE ? left : PAUSE_SLICE;
		sleep_ns(slice);
		left -= slice;
	}
	m->worked_since = mono_now(m);
	return !m->stopping || err_set(e, ERR_CANCELLED, "the server stops");
}

/* ---- a round ---- */

struct work { /* a tenant in a round */
	struct tenant *t;
	struct retention *retention;
	uint64_t retention_bytes;
	int64_t deletes_before;
};

struct round {
	struct maintain *m;
	int64_t now; /* wall clock */
	struct work *v;
	size_t n, cap;
};

static bool add_tenant(void *ud, struct str name)
{
	struct round *r = ud;
	const struct limits *l = overrides_get(r->m->c.overrides, name);
	MEM_GROW(r->v, r->n, r->cap);
	struct work *w = &r->v[r->n++];
	*w = (struct work){.t = store_tenant(r->m->c.store, name, false),
			   .retention = retention_new(l),
			   .retention_bytes = l->retention_bytes,
			   .deletes_before = INT64_MIN};
	if (l->deletion_mode == DELETION_FILTER_AND_DELETE) w->deletes_before = r->now - r->m->c.cancel_ns;
	overrides_put(l);
	return true;
}

static void round_init(struct round *r, struct maintain *m)
{
	*r = (struct round){.m = m, .now = clock_wall(m->c.clock)};
	store_tenants(m->c.store, add_tenant, r);
}

static void round_fini(struct round *r)
{
	for (size_t i = 0; i < r->n; i++) retention_free(r->v[i].retention);
	free(r->v);
}

static void failed(struct maintain *m, const struct err *e)
{
	if (e->code == ERR_CANCELLED) return; /* stopping */
	log_warn("maintenance of the store failed in part; trying again in the next round", kv_err(e));
	pthread_mutex_lock(&m->mu);
	m->failure = *e;
	m->stats.failures++;
	pthread_mutex_unlock(&m->mu);
}

static void apply_retention(struct round *r)
{
	struct maintain *m = r->m;
	struct tenant **all = mem_alloc((r->n + 1) * sizeof(struct tenant *));
	r->now = clock_wall(m->c.clock);
	for (size_t i = 0; i < r->n; i++) {
		struct work *w = &r->v[i];
		struct err e = ERR_INIT;
		all[i] = w->t;
		if (!expire_by_age(w->t, w->retention, r->now, &e) ||
		    (w->retention_bytes && !expire_by_bytes(&w->t, 1, w->retention_bytes, &e)))
			failed(m, &e);
	}
	struct err e = ERR_INIT;
	if (m->c.retention_bytes && !expire_by_bytes(all, r->n, m->c.retention_bytes, &e)) failed(m, &e);
	free(all);
	m->next_retention = mono_now(m) + m->c.retention_interval_ns;
}

static void sweep(struct maintain *m)
{
	store_sweep(m->c.store);
	m->next_sweep = mono_now(m) + SWEEP_EVERY;
}

/* A round may take hours: meanwhile periods end, and what merges have replaced takes up the disk. */
static void meanwhile(struct round *r)
{
	struct maintain *m = r->m;
	if (m->c.retention_interval_ns && mono_now(m) >= m->next_retention) apply_retention(r);
	if (mono_now(m) >= m->next_sweep) sweep(m);
}

static bool has_room(void *ud, uint64_t bytes, struct err *e)
{
	struct maintain *m = ud;
	return !m->c.room || m->c.room(m->c.ud, bytes, e);
}

static struct compact_opts opts_of(const struct round *r, const struct work *w)
{
	return (struct compact_opts){.target = r->m->c.target,
				     .memory = r->m->c.memory,
				     .all = r->m->all,
				     .now = r->now,
				     .retention = w->retention,
				     .deletes_before = w->deletes_before,
				     .step = throttle,
				     .room = has_room,
				     .ud = r->m};
}

static void done_add(struct compact_done *sum, const struct compact_done *d)
{
	sum->merges += d->merges;
	sum->inputs += d->inputs;
	sum->read += d->read;
	sum->written += d->written;
	sum->rows += d->rows;
	sum->copies += d->copies;
	sum->expired += d->expired;
	sum->deleted += d->deleted;
}

static bool compact_tenant(struct round *r, const struct work *w, struct err *e)
{
	struct maintain *m = r->m;
	if (!compact_mark_deletes(w->t, w->deletes_before, e)) return false;
	for (bool more = true; more && !m->stopping;) {
		struct compact_done d = {0};
		struct compact_opts o = opts_of(r, w);
		m->worked_since = mono_now(m);
		bool ok = compact_step(w->t, &o, &d, &more, e);
		pthread_mutex_lock(&m->mu);
		done_add(&m->stats.done, &d);
		pthread_mutex_unlock(&m->mu);
		if (!ok) return false;
		meanwhile(r);
	}
	return deletes_finish(w->t, w->deletes_before, e);
}

static void count_backlog(struct round *r)
{
	struct maintain *m = r->m;
	struct compact_backlog sum = {0};
	for (size_t i = 0; i < r->n; i++) {
		struct compact_opts o = opts_of(r, &r->v[i]);
		o.all = false;
		struct compact_backlog b = compact_tenant_backlog(r->v[i].t, &o);
		sum.segments += b.segments;
		sum.bytes += b.bytes;
	}
	pthread_mutex_lock(&m->mu);
	m->stats.backlog = sum;
	m->stats.last_round = clock_wall(m->c.clock);
	pthread_mutex_unlock(&m->mu);
}

static void work(struct maintain *m)
{
	struct round r;
	round_init(&r, m);
	if (m->all || mono_now(m) >= m->next_retention) apply_retention(&r);
	m->next_sweep = mono_now(m) + SWEEP_EVERY;
	for (size_t i = 0; i < r.n && !m->stopping; i++) {
		struct err e = ERR_INIT;
		if (!compact_tenant(&r, &r.v[i], &e)) failed(m, &e);
	}
	if (!m->stopping) sweep(m);
	count_backlog(&r);
	round_fini(&r);
}

static int64_t run(void *ud, struct task *task)
{
	struct maintain *m = ud;
	int64_t now = mono_now(m);
	(void)task;
	pthread_mutex_lock(&m->mu);
	bool asked = m->asked > m->begun, due = m->c.compact && m->c.interval_ns && now >= m->next_round;
	uint64_t begun = m->begun = m->asked;
	if (asked || due) {
		m->failure = ERR_INIT;
		m->stats.running = true;
	}
	pthread_mutex_unlock(&m->mu);
	if (asked || due) {
		m->all = asked;
		work(m);
		m->next_round = mono_now(m) + m->c.interval_ns;
		pthread_mutex_lock(&m->mu);
		m->finished = begun;
		m->stats.rounds++;
		if (m->failure.code == ERR_NONE) m->stats.last_success = clock_wall(m->c.clock);
		m->stats.running = false;
		pthread_cond_broadcast(&m->ended);
		pthread_mutex_unlock(&m->mu);
	}
	if (!m->c.interval_ns || !m->c.compact || m->stopping) return UNITS_DAY;
	int64_t left = m->next_round - mono_now(m);
	return left > 0 ? left : 0;
}

/* ---- outside ---- */

struct maintain *maintain_start(const struct maintain_config *c, struct err *e)
{
	struct maintain *m = mem_zalloc(sizeof *m);
	pthread_condattr_t a;
	m->c = *c;
	m->failure = ERR_INIT;
	if (m->c.cpu_percent == 0 || m->c.cpu_percent > 100) m->c.cpu_percent = 100;
	m->next_retention = mono_now(m);
	m->next_round = m->next_retention + (c->interval_ns < FIRST_ROUND ? c->interval_ns : FIRST_ROUND);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_mutex_init(&m->mu, NULL);
	pthread_cond_init(&m->ended, &a);
	pthread_condattr_destroy(&a);
	m->task = task_start(run, m, e);
	if (m->task) return m;
	maintain_stop(m);
	return NULL;
}

void maintain_give_up(struct maintain *m)
{
	pthread_mutex_lock(&m->mu);
	m->stopping = true;
	pthread_cond_broadcast(&m->ended);
	pthread_mutex_unlock(&m->mu);
}

void maintain_stop(struct maintain *m)
{
	if (!m) return;
	maintain_give_up(m);
	task_stop(m->task);
	pthread_cond_destroy(&m->ended);
	pthread_mutex_destroy(&m->mu);
	free(m);
}

/* Under the lock. Wakes now and then to look whether the client went away. */
static void wait_a_while(struct maintain *m)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	int64_t ns = at.tv_nsec + 100 * UNITS_MS;
	at.tv_sec += ns / UNITS_SEC;
	at.tv_nsec = ns % UNITS_SEC;
	pthread_cond_timedwait(&m->ended, &m->mu, &at);
}

bool maintain_run(struct maintain *m, const _Atomic bool *cancel, struct err *e)
{
	if (!m->c.compact)
		return err_set(e, ERR_UNPROCESSABLE,
			       "larch.compaction is false: another server does that for this store");
	pthread_mutex_lock(&m->mu);
	uint64_t mine = ++m->asked;
	task_wake(m->task);
	while (m->finished < mine && !m->stopping && !(cancel && *cancel)) wait_a_while(m);
	bool ok = true;
	if (m->finished < mine)
		ok = m->stopping ? err_set(e, ERR_UNAVAILABLE, "the server is stopping")
				 : err_set(e, ERR_CANCELLED, "the client went away; maintenance goes on");
	else if (m->failure.code)
		ok = (*e = m->failure, false);
	pthread_mutex_unlock(&m->mu);
	return ok;
}

void maintain_stats(struct maintain *m, struct maintain_stats *out)
{
	pthread_mutex_lock(&m->mu);
	*out = m->stats;
	pthread_mutex_unlock(&m->mu);
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct work *)a)->t->name, ((const struct work *)b)->t->name);
}

static void add_segments(struct tenant *t, struct maintain_tenant *out)
{
	pthread_mutex_lock(&t->mu);
	out->segments = t->nsegments;
	for (size_t i = 0; i < t->nsegments; i++) {
		const struct segment *s = t->segments[i];
		out->size += s->size;
		out->rows += s->rows;
		out->bytes += s->bytes;
		if (i == 0 || s->min_ts < out->oldest) out->oldest = s->min_ts;
		if (i == 0 || s->max_ts > out->newest) out->newest = s->max_ts;
	}
	pthread_mutex_unlock(&t->mu);
}

static uint64_t pending_deletes(struct tenant *t)
{
	uint64_t n = 0;
	struct deletes *d = deletes_of(t);
	for (size_t i = 0; i < d->n; i++) n += d->v[i].state == DELETE_PENDING;
	deletes_unref(d);
	return n;
}

void maintain_tenants(struct maintain *m, bool backlog, void (*fn)(void *ud, const struct maintain_tenant *t), void *ud)
{
	struct round r;
	round_init(&r, m);
	if (r.n) qsort(r.v, r.n, sizeof *r.v, by_name);
	for (size_t i = 0; i < r.n; i++) {
		struct tenant *t = r.v[i].t;
		struct maintain_tenant out = {.name = t->name, .next_deletion = expire_next(t, r.v[i].retention)};
		struct compact_opts o = opts_of(&r, &r.v[i]);
		o.all = false;
		if (backlog) out.backlog = compact_tenant_backlog(t, &o);
		out.deletes_pending = pending_deletes(t);
		catalog_cuts(&t->catalog, out.cuts);
		add_segments(t, &out);
		fn(ud, &out);
	}
	round_fini(&r);
}
