/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/ingest/generation.h"

#include "common/log.h"
#include "common/units.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define PAUSE_MIN (200 * UNITS_MS) /* between attempts to flush */
#define PAUSE_MAX (10 * UNITS_SEC)

struct generation *generation_new(uint64_t id)
{
	struct generation *g = mem_zalloc(sizeof *g);
	g->id = id;
	return g;
}

void generation_free(struct generation *g)
{
	if (!g) return;
	for (size_t i = 0; i < g->nparts; i++) store_flush_free(g->parts[i].flush);
	for (size_t i = 0; i < g->nfiles; i++) wal_file_unref(g->files[i]);
	map_free(&g->by_tenant);
	free(g->parts);
	free(g->ranges);
	free(g->files);
	free(g);
}

static struct generation_part *part_of(struct generation *g, struct tenant *t, struct budget *b, uint64_t floor)
{
	uintptr_t i = (uintptr_t)map_get(&g->by_tenant, tenant_name(t));
	if (!i || g->parts[i - 1].head->floor != floor) {
		MEM_GROW(g->parts, g->nparts, g->cap_parts);
		g->parts[g->nparts] = (struct generation_part){.tenant = t, .head = tenant_head_open(t, b, floor)};
		i = ++g->nparts;
		map_put(&g->by_tenant, tenant_name(t), (void *)i);
	}
	return &g->parts[i - 1];
}

/* Numbers that a failed group used up leave gaps, which a range may span. */
static void add_range(struct generation *g, uint64_t writer, uint64_t seq)
{
	struct wal_range *r = g->nranges ? &g->ranges[g->nranges - 1] : NULL;
	if (r && r->writer == writer && seq >= r->lo) {
		if (seq >= r->hi) r->hi = seq + 1;
		return;
	}
	MEM_GROW(g->ranges, g->nranges, g->cap_ranges);
	g->ranges[g->nranges++] = (struct wal_range){writer, seq, seq + 1};
}

bool generation_apply(struct generation *g, struct tenant *t, struct budget *b, const struct record *r, struct buf *rec,
		      size_t reserved, uint64_t writer, uint64_t seq, struct wal_file *file, int64_t now, struct err *e)
{
	struct generation_part *p = part_of(g, t, b, wal_record_floor(rec));
	size_t before = p->head->charged;
	bool ok = tenant_apply(t, p->head, r, rec, reserved, e);
	add_range(g, writer, seq);
	if (g->nfiles == 0 || g->files[g->nfiles - 1] != file) {
		MEM_GROW(g->files, g->nfiles, g->cap_files);
		g->files[g->nfiles++] = wal_file_ref(file);
	}
	if (g->rows == 0) g->opened = now;
	g->last = now;
	g->rows += r->rows;
	g->bytes += r->bytes;
	g->memory += p->head->charged - before;
	return ok;
}

/* ---- the flusher ---- */

struct flusher {
	pthread_t thread;
	pthread_mutex_t mu; /* guards what follows */
	pthread_cond_t work, progress;
	struct generation *first, **last;
	uint64_t done; /* id of the last flushed generation */
	uint64_t attempts_failed;
	struct err error; /* of the last failed attempt */
	bool hurry, stop;
	struct flusher_stats stats;
};

static bool flush_part(struct flusher *f, struct generation *g, struct generation_part *p, struct err *e)
{
	struct store_flush_result r;
	bool last = &g->parts[(uintptr_t)map_get(&g->by_tenant, tenant_name(p->tenant)) - 1] == p;
	if (!p->flush) p->flush = store_flush_new(p->tenant, p->head, g->ranges, last ? g->nranges : 0);
	if (!store_flush_run(p->flush, &r, e)) return false;
	store_flush_free(p->flush);
	p->flush = NULL;
	p->head = NULL;
	log_info("flushed", kv_str("tenant", tenant_name(p->tenant)), kv_i("segments", (int64_t)r.segments),
		 kv_i("rows", (int64_t)r.rows), kv_i("bytes", (int64_t)r.bytes), kv_i("compressed", (int64_t)r.size));
	pthread_mutex_lock(&f->mu);
	f->stats.segments += r.segments;
	f->stats.flushed_bytes += r.bytes;
	f->stats.flushed_rows += r.rows;
	pthread_mutex_unlock(&f->mu);
	return true;
}

static bool flush_generation(struct flusher *f, struct generation *g, struct err *e)
{
	for (size_t i = 0; i < g->nparts; i++) {
		if (g->parts[i].head && !flush_part(f, g, &g->parts[i], e)) return false;
	}
	return true;
}

static void wait_until(pthread_cond_t *c, pthread_mutex_t *mu, int64_t ns)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	int64_t sum = at.tv_nsec + ns;
	at.tv_sec += sum / UNITS_SEC;
	at.tv_nsec = sum % UNITS_SEC;
	pthread_cond_timedwait(c, mu, &at);
}

/* Under the lock. */
static void pause_after_failure(struct flusher *f, int64_t *pause)
{
	if (!f->hurry && !f->stop) wait_until(&f->work, &f->mu, *pause);
	*pause = *pause * 2 < PAUSE_MAX ? *pause * 2 : PAUSE_MAX;
}

/* Its log files go before anybody is told. */
static void flushed(struct flusher *f, struct generation *g)
{
	uint64_t id = g->id, bytes = g->bytes, rows = g->rows;
	generation_free(g);
	pthread_mutex_lock(&f->mu);
	f->done = id;
	f->stats.flushes++;
	f->stats.pending--;
	f->stats.bytes -= bytes;
	f->stats.rows -= rows;
	pthread_cond_broadcast(&f->progress);
	pthread_mutex_unlock(&f->mu);
}

static void *flusher_main(void *ud)
{
	struct flusher *f = ud;
	int64_t pause = PAUSE_MIN;
	pthread_mutex_lock(&f->mu);
	while (!f->stop) {
		struct generation *g = f->first;
		struct err e = ERR_INIT;
		if (!g) {
			pthread_cond_wait(&f->work, &f->mu);
			continue;
		}
		f->hurry = false;
		pthread_mutex_unlock(&f->mu);
		bool ok = flush_generation(f, g, &e);
		if (!ok)
			log_error("flush failed; the entries stay in the write-ahead log and the flush is tried again",
				  kv_err(&e));
		pthread_mutex_lock(&f->mu);
		if (!ok) {
			f->error = e;
			f->stats.failures++;
			f->attempts_failed++;
			pthread_cond_broadcast(&f->progress);
			pause_after_failure(f, &pause);
			continue;
		}
		pause = PAUSE_MIN;
		if (!(f->first = g->next)) f->last = &f->first;
		pthread_mutex_unlock(&f->mu);
		flushed(f, g);
		pthread_mutex_lock(&f->mu);
	}
	pthread_mutex_unlock(&f->mu);
	return NULL;
}

static void flusher_free(struct flusher *f)
{
	pthread_mutex_destroy(&f->mu);
	pthread_cond_destroy(&f->work);
	pthread_cond_destroy(&f->progress);
	free(f);
}

struct flusher *flusher_start(struct err *e)
{
	struct flusher *f = mem_zalloc(sizeof *f);
	pthread_condattr_t a;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_mutex_init(&f->mu, NULL);
	pthread_cond_init(&f->work, &a);
	pthread_cond_init(&f->progress, &a);
	pthread_condattr_destroy(&a);
	f->last = &f->first;
	errno = pthread_create(&f->thread, NULL, flusher_main, f);
	if (errno == 0) return f;
	err_errno(e, "cannot start the flush thread");
	flusher_free(f);
	return NULL;
}

void flusher_add(struct flusher *f, struct generation *g)
{
	pthread_mutex_lock(&f->mu);
	g->next = NULL;
	*f->last = g;
	f->last = &g->next;
	f->stats.pending++;
	f->stats.bytes += g->bytes;
	f->stats.rows += g->rows;
	pthread_cond_signal(&f->work);
	pthread_mutex_unlock(&f->mu);
}

bool flusher_wait(struct flusher *f, uint64_t id, struct err *e)
{
	bool ok = true;
	pthread_mutex_lock(&f->mu);
	uint64_t failed = f->attempts_failed;
	f->hurry = true;
	pthread_cond_signal(&f->work);
	while (ok && f->done < id) {
		if (f->stop)
			ok = err_set(e, ERR_UNAVAILABLE, "the server is stopping");
		else if (f->attempts_failed != failed) {
			*e = f->error;
			ok = false;
		} else
			pthread_cond_wait(&f->progress, &f->mu);
	}
	pthread_mutex_unlock(&f->mu);
	return ok;
}

void flusher_wait_progress(struct flusher *f, unsigned ms)
{
	pthread_mutex_lock(&f->mu);
	wait_until(&f->progress, &f->mu, ms * UNITS_MS);
	pthread_mutex_unlock(&f->mu);
}

void flusher_stats(struct flusher *f, struct flusher_stats *out)
{
	pthread_mutex_lock(&f->mu);
	*out = f->stats;
	pthread_mutex_unlock(&f->mu);
}

void flusher_stop(struct flusher *f)
{
	pthread_mutex_lock(&f->mu);
	f->stop = true;
	pthread_cond_signal(&f->work);
	pthread_cond_broadcast(&f->progress);
	pthread_mutex_unlock(&f->mu);
	pthread_join(f->thread, NULL);
	for (struct generation *g = f->first, *next; g; g = next) {
		next = g->next;
		for (size_t i = 0; i < g->nfiles; i++) g->files[i]->keep = true; /* not in segments yet */
		generation_free(g);
	}
	flusher_free(f);
}
