/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/ingest/ingest.h"

#include "common/log.h"
#include "common/units.h"
#include "server/ingest/impl.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define GROUP_BYTES (8u << 20)      /* records taken into one group, unless one is larger */
#define ROW_MEMORY  32u             /* what a row costs in a head besides its line, about */
#define PATIENCE_NS (5 * UNITS_SEC) /* a push waits so long for a flush to make room before it is refused */
#define PARKED_NS   (5 * UNITS_MS)  /* how often those that wait are looked at */
#define POLL_NS     UNITS_SEC       /* how often ages are looked at while entries wait */

enum kind { PUSH, FLUSH, FENCE };
enum refusal { ACCEPTED, NOT_READY, CLOSED, STOPPING, NO_SPACE, NO_MEMORY, TOO_LARGE, TOO_MANY_STREAMS };

struct item_wait { /* on the stack of the thread that waits */
	bool taken;
	uint64_t sealed; /* id of the last generation sealed by then */
};

struct ingest_item {
	struct ingest_item *next;
	enum kind kind;
	enum refusal refusal;
	struct err *why; /* NO_SPACE: what was measured then */
	const struct ingest_push *p;
	ingest_done *done;
	void *ud;
	size_t bound, need; /* bytes: of the record, and of what it takes in a head, at most */
	int64_t patience;   /* kernel's monotonic clock: so long it may wait for memory; 0: it has what it needs */
	struct buf rec;     /* WAL header and payload */
	struct record r;
	struct tenant *tenant;
	size_t reserved;
	uint64_t seq;
	struct item_wait *wait;
};

/* ---- submitting (any thread) ---- */

static void enqueue(struct ingest *in, struct ingest_item *it)
{
	pthread_mutex_lock(&in->mu);
	it->next = NULL;
	*in->last = it;
	in->last = &it->next;
	in->queued++;
	if (it->patience || it->refusal == NO_SPACE) in->pressure = true; /* a flush makes room in either */
	pthread_cond_signal(&in->wake);
	pthread_mutex_unlock(&in->mu);
}

static struct record_stream *streams_of(const struct ingest_push *p)
{
	struct record_stream *v = mem_alloc((p->n + 1) * sizeof *v);
	for (size_t i = 0; i < p->n; i++) v[i] = (struct record_stream){p->v[i].labels, p->v[i].v, p->v[i].n};
	return v;
}

/* Takes memory for the item and makes its record. False: there is not enough now. */
static bool encode(struct ingest *in, struct ingest_item *it)
{
	struct err e = ERR_INIT;
	if (in->c.heads && !budget_take(in->c.heads, it->need)) return false;
	it->reserved = in->c.heads ? it->need : 0;
	struct record_stream *v = streams_of(it->p);
	it->tenant = store_tenant(in->st, it->p->tenant, true);
	it->rec = (struct buf){mem_alloc(it->bound), WAL_RECORD_HEADER, it->bound};
	record_encode(&it->rec, it->p->tenant, v, it->p->n);
	it->rec.p = mem_realloc(it->rec.p, it->rec.n); /* it may live in a head for long */
	it->rec.cap = it->rec.n;
	wal_record_sum(&it->rec, in->writer);
	if (!record_open(str_from(buf_view(&it->rec), WAL_RECORD_HEADER), &it->r, &e)) it->refusal = TOO_LARGE;
	free(v);
	return true;
}

/* What one item needs in memory at most. */
static void size_up(struct ingest_item *it)
{
	struct record_stream *v = streams_of(it->p);
	size_t rows = 0;
	for (size_t i = 0; i < it->p->n; i++) rows += v[i].n;
	it->bound = WAL_RECORD_HEADER + record_bound(it->p->tenant, v, it->p->n);
	it->need = it->bound + rows * ROW_MEMORY;
	free(v);
}

static uint64_t max_streams(const struct ingest *in, struct str tenant)
{
	return in->c.max_streams ? in->c.max_streams(in->c.max_streams_ud, tenant) : 0;
}

static bool has_space(struct ingest *in, struct ingest_item *it)
{
	struct err e = ERR_INIT;
	if (reserve_allows(&in->disk, it->bound, &e)) return true;
	it->why = mem_alloc(sizeof *it->why);
	*it->why = e;
	return false;
}

void ingest_submit(struct ingest *in, const struct ingest_push *p, ingest_done *done, void *ud)
{
	struct ingest_item *it = mem_zalloc(sizeof *it);
	it->p = p;
	it->done = done;
	it->ud = ud;
	pthread_mutex_lock(&in->mu);
	it->refusal = in->stopping ? STOPPING : in->closed ? CLOSED : !in->ready ? NOT_READY : ACCEPTED;
	pthread_mutex_unlock(&in->mu);
	if (it->refusal == ACCEPTED) {
		size_up(it);
		if (it->bound > WAL_RECORD_MAX)
			it->refusal = TOO_LARGE;
		else if (in->c.heads && it->need > in->c.heads->limit)
			it->refusal = NO_MEMORY;
		else if (!has_space(in, it))
			it->refusal = NO_SPACE;
		else if (!encode(in, it))
			it->patience = clock_mono(&clock_real) + PATIENCE_NS;
	}
	enqueue(in, it);
}

static void refuse(struct ingest *in, const struct ingest_item *it, struct err *e)
{
	*e = ERR_INIT;
	switch (it->refusal) {
	case ACCEPTED: break;
	case NOT_READY: ingest_ready(in, e); break;
	case NO_SPACE: *e = *it->why; break;
	case CLOSED: err_set(e, ERR_UNAVAILABLE, "the ingester was shut down: /ingester/shutdown"); break;
	case STOPPING: err_set(e, ERR_UNAVAILABLE, "the server is stopping"); break;
	case NO_MEMORY:
		err_set(e, ERR_UNAVAILABLE,
			"memory for entries not yet flushed is used up (%zu of %zu bytes, a share of "
			"larch.memory_limit) and "
			"this push needs up to %zu; flushing makes room, try again",
			budget_used(in->c.heads), in->c.heads->limit, it->need);
		break;
	case TOO_LARGE:
		err_set(e, ERR_TOO_LARGE, "the push is larger than a log record may be (%u bytes)", WAL_RECORD_MAX);
		break;
	case TOO_MANY_STREAMS:
		err_set(e, ERR_RATE,
			"Maximum active stream limit exceeded when trying to create stream, reduce the number of "
			"active streams (reduce labels or reduce label values), or contact your administrator to see "
			"if the limit can be increased, user: '%.*s' (limit %llu)",
			STR_ARG(it->p->tenant), (unsigned long long)max_streams(in, it->p->tenant));
	}
}

/* Answers and frees. */
static void finish(struct ingest *in, struct ingest_item *it, const struct err *e)
{
	if (e && it->reserved) budget_give(in->c.heads, it->reserved);
	it->done(it->ud, e);
	buf_free(&it->rec);
	free(it->why);
	free(it);
}

/* ---- generations ---- */

bool ingest_is_full(struct ingest *in)
{
	const struct generation *g = in->gen;
	if (g->rows == 0) return false;
	if (g->bytes >= in->c.flush_bytes) return true;
	return in->c.heads && g->memory >= in->c.heads->limit / 3;
}

static bool is_old(const struct ingest *in)
{
	int64_t now = clock_mono(in->c.clock);
	if (in->gen->rows == 0) return false;
	if (in->c.flush_age_ns && now - in->gen->opened >= in->c.flush_age_ns) return true;
	return in->c.flush_idle_ns && now - in->gen->last >= in->c.flush_idle_ns;
}

void ingest_seal(struct ingest *in)
{
	struct generation *g = in->gen;
	if (g->rows == 0) return;
	struct err e = ERR_INIT;
	if (in->unsynced && !wal_sync(&in->wal, &e))
		log_error("cannot sync the write-ahead log; its entries are being flushed", kv_err(&e));
	in->unsynced = false;
	wal_close(&in->wal); /* so that this file goes with this generation */
	in->gen = generation_new(g->id + 1);
	pthread_mutex_lock(&in->mu);
	in->sealed = g->id;
	in->pressure = false;
	in->stats.head_bytes = in->stats.head_entries = 0;
	pthread_mutex_unlock(&in->mu);
	flusher_add(in->flusher, g);
}

/* INGEST_SYNC_INTERVAL: makes what is written so far durable; the entries are acknowledged, so where the log cannot,
 * segments do. */
static void sync_log(struct ingest *in)
{
	struct err e = ERR_INIT;
	if (!in->unsynced) return;
	in->unsynced = false;
	in->synced = clock_mono(in->c.clock);
	if (wal_sync(&in->wal, &e)) {
		pthread_mutex_lock(&in->mu);
		in->stats.wal_syncs++;
		pthread_mutex_unlock(&in->mu);
		return;
	}
	log_error("cannot sync the write-ahead log; its entries are being flushed", kv_err(&e));
	ingest_seal(in);
}

/* ---- one group (the ingest thread) ---- */

static bool write_group(struct ingest *in, struct ingest_item *group, uint64_t *bytes, struct err *e)
{
	if (wal_is_full(&in->wal)) sync_log(in); /* it is about to be closed */
	if (!wal_prepare(&in->wal, in->next_seq, e)) return false;
	for (struct ingest_item *it = group; it; it = it->next) {
		it->seq = in->next_seq++;
		wal_record_number(&it->rec, in->writer, it->seq, tenant_floor(it->tenant));
		*bytes += it->rec.n;
		if (!wal_append(&in->wal, buf_view(&it->rec), e)) return false;
	}
	if (!wal_push(&in->wal, e)) return false;
	if (in->c.sync == INGEST_SYNC_GROUP) return wal_sync(&in->wal, e);
	in->unsynced = in->c.sync == INGEST_SYNC_INTERVAL;
	return true;
}

/* Sequence numbers of a failed group are not used again: parts of it may be on disk. */
static void fail_group(struct ingest *in, struct ingest_item *group, struct err *e)
{
	if (e->code == ERR_NO_SPACE)
		err_wrap(e,
			 "no space for the write-ahead log in %s; nothing of this push was stored, free space and send "
			 "it again",
			 in->wal_dir);
	else
		err_wrap(e, "cannot write the write-ahead log; nothing of this push was stored, send it again");
	log_error("a group of pushes is refused", kv_err(e));
	wal_cut(&in->wal);
	sync_log(in);
	wal_close(&in->wal);
	pthread_mutex_lock(&in->mu);
	in->stats.wal_failures++;
	pthread_mutex_unlock(&in->mu);
	for (struct ingest_item *it = group, *next; it; it = next) {
		next = it->next;
		finish(in, it, e);
	}
}

static void apply_group(struct ingest *in, struct ingest_item *group)
{
	int64_t now = clock_mono(in->c.clock);
	uint64_t created = 0;
	for (struct ingest_item *it = group; it; it = it->next) {
		struct err e = ERR_INIT;
		created += tenant_new_streams(it->tenant, &it->r);
		if (!generation_apply(in->gen, it->tenant, in->c.heads, &it->r, &it->rec, it->reserved, in->writer,
				      it->seq, in->wal.file, now, &e))
			log_error("a push was logged but not taken in whole", kv_err(&e));
		it->reserved = 0;
	}
	pthread_mutex_lock(&in->mu);
	in->stats.streams_created += created;
	in->stats.head_bytes = in->gen->bytes;
	in->stats.head_entries = in->gen->rows;
	pthread_mutex_unlock(&in->mu);
	for (struct ingest_item *it = group, *next; it; it = next) {
		next = it->next;
		finish(in, it, NULL);
	}
}

static void run_group(struct ingest *in, struct ingest_item *group)
{
	struct err e = ERR_INIT;
	uint64_t bytes = 0, records = 0;
	for (struct ingest_item *it = group; it; it = it->next) records++;
	if (!write_group(in, group, &bytes, &e)) {
		fail_group(in, group, &e);
		return;
	}
	wal_mark(&in->wal);
	pthread_mutex_lock(&in->mu);
	in->stats.wal_bytes += bytes;
	in->stats.wal_records += records;
	in->stats.wal_syncs += in->c.sync == INGEST_SYNC_GROUP;
	pthread_mutex_unlock(&in->mu);
	apply_group(in, group);
	if (ingest_is_full(in)) ingest_seal(in);
}

/* Is there room for the streams this push would add? */
static bool streams_fit(const struct ingest *in, const struct ingest_item *it)
{
	uint64_t max = max_streams(in, it->p->tenant), more = max ? tenant_new_streams(it->tenant, &it->r) : 0;
	return more == 0 || tenant_head_streams(it->tenant) + more <= max;
}

/* An item that waits for memory: true when it got some, or has waited long enough. */
static bool stop_waiting(struct ingest *in, struct ingest_item *it)
{
	if (!encode(in, it)) {
		pthread_mutex_lock(&in->mu);
		bool stopping = in->stopping;
		pthread_mutex_unlock(&in->mu);
		if (!stopping && clock_mono(&clock_real) < it->patience) return false;
		it->refusal = NO_MEMORY;
	}
	it->patience = 0;
	return true;
}

/* Takes items off the list up to one that is no push: pushes that may go on become the group, the rest is answered, or
 * parked until there is memory. */
static void take_group(struct ingest *in, struct ingest_item **list, struct ingest_item **group)
{
	struct ingest_item **tail = group;
	*group = NULL;
	for (size_t bytes = 0; *list && (*list)->kind == PUSH && bytes < GROUP_BYTES;) {
		struct ingest_item *it = *list;
		*list = it->next;
		it->next = NULL;
		if (it->patience && !stop_waiting(in, it)) {
			*in->parked_last = it;
			in->parked_last = &it->next;
			continue;
		}
		if (it->refusal == ACCEPTED && !streams_fit(in, it)) it->refusal = TOO_MANY_STREAMS;
		if (it->refusal != ACCEPTED) {
			struct err e;
			refuse(in, it, &e);
			finish(in, it, &e);
			continue;
		}
		bytes += it->rec.n;
		*tail = it;
		tail = &it->next;
	}
}

static void answer_waiting(struct ingest *in, struct ingest_item *it)
{
	if (it->kind == FLUSH) ingest_seal(in);
	pthread_mutex_lock(&in->mu);
	it->wait->sealed = in->sealed;
	it->wait->taken = true;
	pthread_cond_broadcast(&in->answered);
	pthread_mutex_unlock(&in->mu);
	free(it);
}

static void run_list(struct ingest *in, struct ingest_item *list)
{
	while (list) {
		struct ingest_item *group;
		take_group(in, &list, &group);
		if (group) run_group(in, group);
		if (list && list->kind != PUSH) {
			struct ingest_item *it = list;
			list = it->next;
			answer_waiting(in, it);
		}
	}
}

/* ---- the ingest thread ---- */

static void wait_for(struct ingest *in, int64_t ns)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	int64_t sum = at.tv_nsec + ns;
	at.tv_sec += sum / UNITS_SEC;
	at.tv_nsec = sum % UNITS_SEC;
	pthread_cond_timedwait(&in->wake, &in->mu, &at);
}

/* What is due without a push: syncs, and flushes by age or because heads are full. Without the lock. */
static void tend(struct ingest *in, bool pressure)
{
	struct flusher_stats fs;
	if (in->unsynced && clock_mono(in->c.clock) - in->synced >= in->c.sync_interval_ns) sync_log(in);
	if (pressure) flusher_stats(in->flusher, &fs);
	if (is_old(in) || (pressure && fs.pending == 0)) ingest_seal(in);
	if (!pressure || in->gen->rows || in->parked) return;
	pthread_mutex_lock(&in->mu); /* nothing is left whose flush would help; what comes next need not go at once */
	in->pressure = false;
	pthread_mutex_unlock(&in->mu);
}

/* Those that waited longest come first. Under the lock. */
static struct ingest_item *take_all(struct ingest *in)
{
	*in->parked_last = in->first;
	struct ingest_item *list = in->parked;
	in->parked = NULL;
	in->parked_last = &in->parked;
	in->first = NULL;
	in->last = &in->first;
	in->queued = 0;
	return list;
}

static int64_t nap(const struct ingest *in)
{
	if (in->parked) return PARKED_NS;
	return in->unsynced && in->c.sync_interval_ns < POLL_NS ? in->c.sync_interval_ns : POLL_NS;
}

/* A group waits a little for as many pushes as the one before had: senders that were answered together are about to
 * send again, and then share a sync. A lone sender never waits. Under the lock. */
static void await_company(struct ingest *in, size_t *before)
{
	int64_t now = clock_mono(&clock_real), until = now + in->c.sync_interval_ns;
	if (in->c.sync == INGEST_SYNC_GROUP) {
		while (in->first && in->queued < *before && !in->stopping && now < until) {
			wait_for(in, until - now);
			now = clock_mono(&clock_real);
		}
	}
	*before = in->queued;
}

static void *ingest_main(void *ud)
{
	struct ingest *in = ud;
	size_t before = 0;
	pthread_mutex_lock(&in->mu);
	for (;;) {
		bool ready = in->ready;
		if (!in->first) {
			if (in->stopping && !in->parked) break;
			if (ready && (in->parked || in->gen->rows))
				wait_for(in, nap(in));
			else
				pthread_cond_wait(&in->wake, &in->mu);
			ready = in->ready;
		}
		if (ready) await_company(in, &before);
		struct ingest_item *list = take_all(in);
		bool pressure = in->pressure;
		pthread_mutex_unlock(&in->mu);
		run_list(in, list);
		if (ready) tend(in, pressure);
		pthread_mutex_lock(&in->mu);
	}
	pthread_mutex_unlock(&in->mu);
	return NULL;
}

/* ---- from outside ---- */

bool ingest_ready(struct ingest *in, struct err *e)
{
	*e = ERR_INIT;
	pthread_mutex_lock(&in->mu);
	bool ready = in->ready;
	uint64_t done = in->replay_done, total = in->replay_total;
	pthread_mutex_unlock(&in->mu);
	if (ready) return true;
	return err_set(e, ERR_UNAVAILABLE, "replaying the write-ahead log: %llu%% (%llu of %llu MiB)",
		       (unsigned long long)(total ? 100 * done / total : 0), (unsigned long long)(done >> 20),
		       (unsigned long long)(total >> 20));
}

bool ingest_close(struct ingest *in)
{
	pthread_mutex_lock(&in->mu);
	bool open = !in->closed;
	in->closed = true;
	pthread_mutex_unlock(&in->mu);
	return open;
}

bool ingest_closed(struct ingest *in)
{
	pthread_mutex_lock(&in->mu);
	bool closed = in->closed;
	pthread_mutex_unlock(&in->mu);
	return closed;
}

/* Waits until the ingest thread has dealt with all that was submitted before; the last generation sealed by then. */
static uint64_t await_item(struct ingest *in, enum kind kind)
{
	struct item_wait w = {0};
	struct ingest_item *it = mem_zalloc(sizeof *it);
	it->kind = kind;
	it->wait = &w;
	enqueue(in, it);
	pthread_mutex_lock(&in->mu);
	while (!w.taken) pthread_cond_wait(&in->answered, &in->mu);
	pthread_mutex_unlock(&in->mu);
	return w.sealed;
}

bool ingest_flush(struct ingest *in, struct err *e)
{
	return ingest_ready(in, e) && flusher_wait(in->flusher, await_item(in, FLUSH), e);
}

void ingest_fence(struct ingest *in)
{
	struct err not_ready;
	if (ingest_ready(in, &not_ready)) await_item(in, FENCE);
}

bool ingest_spares(struct ingest *in, uint64_t bytes, struct err *e) { return reserve_spares(&in->disk, bytes, e); }

static void set_defaults(struct ingest_config *c)
{
	if (!c->segment_bytes) c->segment_bytes = 64u << 20;
	if (!c->flush_bytes) c->flush_bytes = 32u << 20;
	if (c->sync == INGEST_SYNC_INTERVAL && c->sync_interval_ns <= 0) c->sync_interval_ns = UNITS_SEC;
}

static void release(struct ingest *in)
{
	wal_fini(&in->wal);
	generation_free(in->gen);
	pthread_mutex_destroy(&in->mu);
	pthread_cond_destroy(&in->wake);
	pthread_cond_destroy(&in->answered);
	free(in->wal_dir);
	free(in);
}

static bool start_thread(pthread_t *t, void *(*run)(void *), struct ingest *in, struct err *e)
{
	errno = pthread_create(t, NULL, run, in);
	return errno == 0 || err_errno(e, "write-ahead log: cannot start a thread");
}

/* A thread that stops finds nothing to do yet. */
static bool start_threads(struct ingest *in, struct err *e)
{
	in->flusher = flusher_start(e);
	if (!in->flusher) return false;
	if (start_thread(&in->thread, ingest_main, in, e)) {
		if (start_thread(&in->replay_thread, ingest_replay, in, e)) return true;
		pthread_mutex_lock(&in->mu);
		in->stopping = true;
		pthread_cond_signal(&in->wake);
		pthread_mutex_unlock(&in->mu);
		pthread_join(in->thread, NULL);
	}
	flusher_stop(in->flusher);
	return false;
}

struct ingest *ingest_start(const struct ingest_config *c, struct store *st, struct err *e)
{
	uint64_t *files = NULL;
	size_t nfiles = 0;
	if (!fs_mkdirs(c->fs, c->wal_dir, 0750, e) || !wal_files(c->wal_dir, &files, &nfiles, e)) {
		err_wrap(e, "write-ahead log");
		return NULL;
	}
	free(files);
	struct ingest *in = mem_zalloc(sizeof *in);
	in->c = *c;
	set_defaults(&in->c);
	in->wal_dir = mem_strdup(c->wal_dir);
	in->st = st;
	in->last = &in->first;
	in->parked_last = &in->parked;
	in->gen = generation_new(1);
	in->next_seq = 1;
	in->writer = clock_rnd(c->clock);
	wal_init(&in->wal, c->fs, in->wal_dir, in->writer, in->c.segment_bytes);
	in->wal.created = clock_wall(c->clock);
	pthread_condattr_t a;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_mutex_init(&in->mu, NULL);
	pthread_cond_init(&in->wake, &a);
	pthread_cond_init(&in->answered, &a);
	pthread_condattr_destroy(&a);
	if (nfiles) store_set_warning(st, "the write-ahead log is being replayed: recent entries may be missing");
	in->disk = (struct reserve){c->fs, c->clock, in->wal_dir, c->heads, c->disk_reserve, c->disk_full_at};
	reserve_init(&in->disk);
	if (start_threads(in, e)) return in;
	release(in);
	return NULL;
}

void ingest_stop(struct ingest *in, bool flush)
{
	struct err e = ERR_INIT;
	if (!in) return;
	if (flush && ingest_ready(in, &e) && !ingest_flush(in, &e))
		log_error("cannot flush at the end; the entries stay in the write-ahead log", kv_err(&e));
	pthread_mutex_lock(&in->mu);
	in->stopping = true;
	pthread_cond_broadcast(&in->wake);
	pthread_mutex_unlock(&in->mu);
	pthread_join(in->replay_thread, NULL);
	pthread_join(in->thread, NULL);
	if (in->unsynced && !wal_sync(&in->wal, &e)) log_error("cannot sync the write-ahead log", kv_err(&e));
	for (size_t i = 0; i < in->gen->nfiles; i++) in->gen->files[i]->keep = true; /* not in segments yet */
	flusher_stop(in->flusher);
	release(in);
}

static bool add_streams(void *ud, struct str tenant)
{
	void **p = ud;
	struct ingest *in = p[0];
	struct ingest_stats *out = p[1];
	out->streams += ingest_tenant_streams(in, tenant);
	return true;
}

void ingest_stats(struct ingest *in, struct ingest_stats *out)
{
	struct flusher_stats fs;
	flusher_stats(in->flusher, &fs);
	pthread_mutex_lock(&in->mu);
	*out = in->stats;
	pthread_mutex_unlock(&in->mu);
	out->head_bytes += fs.bytes;
	out->head_entries += fs.rows;
	out->generations = fs.pending + 1;
	out->flushes = fs.flushes;
	out->flush_failures = fs.failures;
	out->segments_written = fs.segments;
	out->flushed_bytes = fs.flushed_bytes;
	out->flushed_entries = fs.flushed_rows;
	out->disk_free = in->disk.avail;
	out->disk_reserve = in->disk.keep;
	out->disk_refused = in->disk.refused;
	void *ud[] = {in, out};
	store_tenants(in->st, add_streams, ud);
}

uint64_t ingest_tenant_streams(struct ingest *in, struct str tenant)
{
	struct tenant *t = store_tenant(in->st, tenant, false);
	return t ? tenant_head_streams(t) : 0;
}
