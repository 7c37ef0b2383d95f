/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store_util: a store with an ingest in a directory of its own, pushes into it, and a naive model of what it must
 * answer. For the tests of server/ingest and server/store. */
#ifndef LARCH_TESTS_UNIT_STORE_UTIL_H
#define LARCH_TESTS_UNIT_STORE_UTIL_H

#include "server/exec/delete_filter.h"
#include "server/ingest/ingest.h"
#include "server/store/reader.h"
#include "server/store/store.h"

#include "tests/unit/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void remove_tree(const char *dir)
{
	struct fs_list names;
	struct buf path = {0};
	struct err e = ERR_INIT;
	if (fs_list(dir, &names, &e)) {
		for (size_t i = 0; i < names.n; i++) {
			fs_path(&path, dir, names.v[i]);
			if (unlink(path.p) != 0) remove_tree(path.p);
		}
		fs_list_free(&names);
	}
	buf_free(&path);
	rmdir(dir);
}

static inline void put_file(const char *path, struct str bytes)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	if (bytes.n) assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
	fclose(f);
}

static inline void copy_tree(const char *from, const char *to)
{
	struct fs_list names;
	struct buf a = {0}, b = {0}, bytes = {0};
	struct err e = ERR_INIT;
	mkdir(to, 0700);
	assert_true(fs_list(from, &names, &e));
	for (size_t i = 0; i < names.n; i++) {
		struct stat st;
		fs_path(&a, from, names.v[i]);
		fs_path(&b, to, names.v[i]);
		if (stat(a.p, &st) != 0) continue; /* removed while we looked */
		if (S_ISDIR(st.st_mode)) {
			copy_tree(a.p, b.p);
			continue;
		}
		buf_clear(&bytes);
		if (!fs_read_file(&fs_real, a.p, 1u << 30, &bytes, &e)) continue;
		put_file(b.p, buf_view(&bytes));
	}
	fs_list_free(&names);
	buf_free(&a);
	buf_free(&b);
	buf_free(&bytes);
}

#define MUST(call)                                                                                                     \
	do {                                                                                                           \
		struct err must_ = ERR_INIT;                                                                           \
		struct err *must = &must_;                                                                             \
		if (!(call)) fail_msg("%s", must->msg);                                                                \
	} while (0)

/* ---- a store in a directory ---- */

struct place {
	char dir[64], wal[80];
	struct fs *fs;
	struct budget heads;
	struct clock_fake clock;
	struct store *st;
	struct ingest *in;
	struct ingest_config c;
	struct object_store *(*objects)(void *ud,
					struct object_store *files); /* what is used in their place; or NULL */
	void *objects_ud;
	const char *shared; /* directory of objects that other places use too; or NULL */
	bool remote; /* as if they were far away */
	uint64_t outbox_limit;
};

/* The kernel's, without waiting for the disk: what these tests call a crash does not lose what was not synced. */
static int no_sync(struct fs *fs, int fd)
{
	(void)fs, (void)fd;
	return 0;
}

static inline struct fs *quick_fs(void)
{
	static struct fs quick;
	if (!quick.open) {
		quick = fs_real;
		quick.datasync = quick.sync = no_sync;
	}
	return &quick;
}

/* A new directory, in memory where there is such a file system: several times faster. */
static inline void make_dir(char dir[64])
{
	strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/larch-store-XXXXXX" : "/tmp/larch-store-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static inline void place_init(struct place *p)
{
	memset(p, 0, sizeof *p);
	make_dir(p->dir);
	snprintf(p->wal, sizeof p->wal, "%s/wal", p->dir);
	p->fs = quick_fs();
	p->heads.limit = 256u << 20;
	static uint64_t seed;
	clock_fake_init(&p->clock, INT64_C(1700000000000000000), ++seed);
	p->c = (struct ingest_config){.wal_dir = p->wal, .heads = &p->heads, .clock = &p->clock.base};
}

static inline bool place_try_open(struct place *p, struct err *e)
{
	struct store_config sc = {.dir = p->dir,
				  .fs = p->fs,
				  .clock = &p->clock.base,
				  .cache_bytes = 8u << 20,
				  .remote = p->remote,
				  .outbox_limit = p->outbox_limit,
				  .delete_lang = &delete_filter_lang};
	p->c.fs = p->fs;
	if (p->shared) {
		sc.shared = true;
		sc.objects = object_fs_open(p->fs, p->shared, true, e);
		if (!sc.objects) return false;
	} else if (p->objects) {
		struct buf dir = {0};
		fs_path(&dir, p->dir, "store");
		struct object_store *files =
			fs_mkdirs(p->fs, p->dir, 0750, e) ? object_fs_open(p->fs, dir.p, false, e) : NULL;
		buf_free(&dir);
		if (!files) return false;
		sc.objects = p->objects(p->objects_ud, files);
	}
	p->st = store_open(&sc, e);
	if (!p->st) return false;
	p->in = ingest_start(&p->c, p->st, e);
	if (p->in) return true;
	store_close(p->st);
	p->st = NULL;
	return false;
}

static inline void wait_ready(struct place *p)
{
	struct err e;
	for (int i = 0; !ingest_ready(p->in, &e); i++) {
		if (i > 60000) fail_msg("not ready: %s", e.msg);
		usleep(1000);
	}
}

static inline void place_open(struct place *p)
{
	struct err e = ERR_INIT;
	if (!place_try_open(p, &e)) fail_msg("%s", e.msg);
	wait_ready(p);
}

static inline void place_close(struct place *p, bool flush)
{
	ingest_stop(p->in, flush);
	store_close(p->st);
	p->in = NULL;
	p->st = NULL;
}

static inline void place_fini(struct place *p)
{
	if (p->in) place_close(p, false);
	remove_tree(p->dir);
	assert_int_equal(budget_used(&p->heads), 0);
}

/* Two processes on one store. */
struct pair {
	char shared[64];
	struct place a, b;
};

static inline void pair_init(struct pair *w)
{
	strcpy(w->shared, "/tmp/larch-shared-XXXXXX");
	assert_non_null(mkdtemp(w->shared));
	place_init(&w->a);
	place_init(&w->b);
	w->a.shared = w->b.shared = w->shared;
	place_open(&w->a);
	place_open(&w->b);
}

static inline void pair_fini(struct pair *w)
{
	place_fini(&w->a);
	place_fini(&w->b);
	remove_tree(w->shared);
}

/* ---- pushing ---- */

struct push_wait {
	pthread_mutex_t mu;
	pthread_cond_t cond;
	bool done;
	struct err e;
};

static inline void push_done(void *ud, const struct err *e)
{
	struct push_wait *w = ud;
	pthread_mutex_lock(&w->mu);
	w->e = e ? *e : ERR_INIT;
	w->done = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->mu);
}

static inline bool push_wait(struct ingest *in, const struct ingest_push *p, struct err *e)
{
	struct push_wait w = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
	ingest_submit(in, p, push_done, &w);
	pthread_mutex_lock(&w.mu);
	while (!w.done) pthread_cond_wait(&w.cond, &w.mu);
	pthread_mutex_unlock(&w.mu);
	*e = w.e;
	return e->code == ERR_NONE;
}

/* ---- the model: entries in arrival order ---- */

struct entry_of {
	uint32_t stream;
	int64_t ts;
	struct str line;
	struct labels meta;
};

struct model {
	struct arena a;
	struct labels *streams;
	uint32_t nstreams;
	struct entry_of *v;
	size_t n, cap;
};

static inline void model_init(struct model *m, uint32_t nstreams)
{
	*m = (struct model){.nstreams = nstreams};
	arena_init(&m->a, 0);
	m->streams = arena_alloc(&m->a, nstreams * sizeof *m->streams);
	for (uint32_t i = 0; i < nstreams; i++) {
		struct label *l = arena_alloc(&m->a, 2 * sizeof *l);
		l[0] = (struct label){STR("app"), arena_printf(&m->a, "a%u", i % 3)};
		l[1] = (struct label){STR("host"), arena_printf(&m->a, "h%u", i)};
		m->streams[i] = (struct labels){l, 2};
	}
}

static inline void model_free(struct model *m)
{
	free(m->v);
	arena_free(&m->a);
}

static inline bool entry_same(const struct entry_of *a, const struct entry_of *b)
{
	return a->stream == b->stream && a->ts == b->ts && str_eq(a->line, b->line) && labels_eq(&a->meta, &b->meta);
}

/* They have arrived. */
static inline void model_add(struct model *m, const struct entry_of *v, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		MEM_GROW(m->v, m->n, m->cap);
		m->v[m->n++] = (struct entry_of){v[k].stream, v[k].ts, arena_str(&m->a, v[k].line),
						 labels_copy(&m->a, &v[k].meta)};
	}
}

static inline bool model_any(const struct model *m, uint32_t stream)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].stream == stream) return true;
	}
	return false;
}

/* Pushes the entries as one request; on success they join the model. */
static inline bool model_push(struct model *m, struct ingest *in, const char *tenant, const struct entry_of *v,
			      size_t n, struct err *e)
{
	struct ingest_stream *s = mem_zalloc(m->nstreams * sizeof *s);
	struct ingest_push p = {str_c(tenant), mem_zalloc(m->nstreams * sizeof *s), 0};
	for (uint32_t i = 0; i < m->nstreams; i++) {
		s[i].labels = m->streams[i];
		s[i].v = mem_alloc((n + 1) * sizeof *s[i].v);
		for (size_t k = 0; k < n; k++) {
			if (v[k].stream == i) s[i].v[s[i].n++] = (struct push_entry){v[k].ts, v[k].line, v[k].meta};
		}
		if (s[i].n) p.v[p.n++] = s[i];
	}
	bool ok = push_wait(in, &p, e);
	if (ok) model_add(m, v, n);
	for (uint32_t i = 0; i < m->nstreams; i++) free(s[i].v);
	free(s);
	free(p.v);
	return ok;
}

struct model_query {
	const struct matcher *m;
	size_t nm;
	int64_t from, to;
	bool forward;
	bool (*pass)(struct str line); /* or NULL */
};

/* What one stream must answer: sorted by (ts, arrival), first of each set of copies, in query order. */
static inline size_t model_stream(const struct model *m, const struct model_query *q, uint32_t stream,
				  const struct entry_of **out)
{
	size_t n = 0;
	for (size_t i = 0; i < m->n; i++) {
		const struct entry_of *x = &m->v[i];
		if (x->stream != stream || x->ts < q->from || x->ts >= q->to || (q->pass && !q->pass(x->line)))
			continue;
		size_t at = n;
		bool copy = false;
		for (; at > 0 && out[at - 1]->ts > x->ts; at--) {}
		for (size_t k = at; k > 0 && out[k - 1]->ts == x->ts && !copy; k--) copy = entry_same(out[k - 1], x);
		if (copy) continue;
		memmove(out + at + 1, out + at, (n - at) * sizeof *out);
		out[at] = x;
		n++;
	}
	for (size_t a = 0, b = n; !q->forward && a + 1 < b; a++) {
		const struct entry_of *swap = out[a];
		out[a] = out[--b];
		out[b] = swap;
	}
	return n;
}

static inline bool labels_pass(const struct labels *l, const struct matcher *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str v = labels_get(l, m[i].name);
		if (!matcher_match(&m[i], v.p ? v : STR(""))) return false;
	}
	return true;
}

/* Runs the scan and compares every row with the model. Returns the number of rows. */
static inline size_t model_check(const struct model *m, struct store *st, const char *tenant,
				 const struct model_query *q, enum scan_order order, unsigned want,
				 const struct linefilters *filters)
{
	struct err e = ERR_INIT;
	struct snapshot *s = snapshot_take(st, str_c(tenant));
	struct scan_opts o = {.matchers = q->m,
			      .nmatchers = q->nm,
			      .from = q->from,
			      .to = q->to,
			      .forward = q->forward,
			      .order = order,
			      .want = want,
			      .filters = filters};
	struct scan *sc = scan_open(s, &o, &e);
	assert_non_null(sc);
	const struct entry_of ***expect = mem_zalloc(m->nstreams * sizeof *expect);
	size_t *n = mem_zalloc(m->nstreams * sizeof *n), *at = mem_zalloc(m->nstreams * sizeof *at), total = 0,
	       rows = 0;
	for (uint32_t i = 0; i < m->nstreams; i++) {
		expect[i] = mem_alloc((m->n + 1) * sizeof(struct entry_of *));
		if (labels_pass(&m->streams[i], q->m, q->nm)) n[i] = model_stream(m, q, i, expect[i]);
		total += n[i];
	}
	struct scan_batch b;
	int64_t last = 0;
	uint64_t last_stream = 0;
	uint32_t hint = 0;
	while (scan_next(sc, &b, &e)) {
		assert_in_range(b.n, 1, SCAN_ROWS);
		assert_int_equal(b.filtered, filters != NULL);
		for (size_t r = 0; r < b.n; r++, rows++) {
			const struct reader_stream *rs = b.one ? b.one : b.stream[r];
			uint32_t i = hint;
			for (uint32_t k = 0; k < m->nstreams && !labels_eq(&m->streams[i], &rs->labels); k++)
				i = (i + 1) % m->nstreams;
			hint = i;
			assert_true(labels_eq(&m->streams[i], &rs->labels));
			if (at[i] >= n[i])
				fail_msg("stream %u: a row more than expected, ts %lld", i, (long long)b.ts[r]);
			const struct entry_of *x = expect[i][at[i]++];
			if (b.ts[r] != x->ts)
				fail_msg("stream %u row %zu: ts %lld, expected %lld", i, at[i] - 1, (long long)b.ts[r],
					 (long long)x->ts);
			if (want & SCAN_LINE) check_str(b.line[r], x->line);
			if (want & SCAN_LEN) assert_int_equal(b.len[r], x->line.n);
			if (want & SCAN_META) assert_true(labels_eq(b.meta[r], &x->meta));
			if (order == SCAN_BY_TIME && rows) assert_true(q->forward ? last <= b.ts[r] : last >= b.ts[r]);
			if (order == SCAN_BY_TIME && rows && last == b.ts[r])
				assert_true(q->forward ? last_stream <= rs->hash : last_stream >= rs->hash);
			last = b.ts[r];
			last_stream = rs->hash;
		}
	}
	if (e.code) fail_msg("%s", e.msg);
	if (rows != total) fail_msg("%zu rows, expected %zu", rows, total);
	for (uint32_t i = 0; i < m->nstreams; i++) free(expect[i]);
	free(expect);
	free(n);
	free(at);
	scan_close(sc);
	snapshot_free(s);
	return rows;
}

static inline void model_check_all(const struct model *m, struct store *st, const char *tenant)
{
	for (int k = 0; k < 4; k++) {
		struct model_query q = {.from = INT64_MIN, .to = INT64_MAX, .forward = k & 1};
		model_check(m, st, tenant, &q, k & 2 ? SCAN_BY_TIME : SCAN_BY_STREAM, SCAN_LINE | SCAN_LEN | SCAN_META,
			    NULL);
	}
}

/* ---- random entries: ties, repeats, late ones, empty and long lines, metadata ---- */

struct rnd {
	uint64_t s;
};

static inline uint64_t rnd(struct rnd *r, uint64_t below)
{
	r->s = r->s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	uint64_t x = r->s ^ r->s >> 29;
	return (x * UINT64_C(0xBF58476D1CE4E5B9) >> 20) % below;
}

static inline void random_entries(struct model *m, struct rnd *r, struct arena *a, int64_t now, struct entry_of *v,
				  size_t n)
{
	static const char *const words[] = {"error", "info", "cache", "GET", "/api", "timeout", "zeta", "naïve"};
	for (size_t i = 0; i < n; i++) {
		struct entry_of *x = &v[i];
		if (m->n && rnd(r, 10) == 0) { /* a copy of something old */
			*x = m->v[rnd(r, m->n)];
			continue;
		}
		struct buf line = {0};
		for (uint64_t w = rnd(r, 8); w > 0; w--) buf_printf(&line, "%s ", words[rnd(r, COUNT(words))]);
		if (rnd(r, 2)) buf_printf(&line, "%u", (unsigned)rnd(r, 1000));
		if (rnd(r, 200) == 0) {
			for (uint64_t w = rnd(r, 60000); w > 0; w--) buf_ch(&line, (char)('a' + w % 26));
		}
		*x = (struct entry_of){.stream = (uint32_t)rnd(r, m->nstreams),
				       .ts = now + (int64_t)rnd(r, 50) * 1000000,
				       .line = arena_str(a, buf_view(&line))};
		buf_free(&line);
		if (rnd(r, 20) == 0) x->ts -= (int64_t)rnd(r, 4) * INT64_C(40000000000000); /* hours and days late */
		if (rnd(r, 7) == 0) x->ts += (int64_t)rnd(r, 1000);
		uint64_t kind = rnd(r, 10);
		if (kind == 0) continue;
		struct label *l = arena_alloc(a, 2 * sizeof *l);
		l[0] = (struct label){STR("detected_level"), str_c(words[rnd(r, 2)])};
		l[1] = (struct label){STR("trace_id"),
				      arena_printf(a, "%016llx", (unsigned long long)rnd(r, UINT64_MAX))};
		if (kind < 7)
			x->meta = (struct labels){l, 1};
		else if (kind < 9)
			x->meta = (struct labels){l, 2};
		else
			x->meta = (struct labels){l + 1, 1};
	}
}

#endif
