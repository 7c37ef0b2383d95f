/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bench_store: figures of server/ingest and server/store alone: bench_store PUSHES DIR
 *
 * PUSHES is a replay file: u32 little-endian length, snappy-compressed push body, and so on. Four threads push it
 * into a store in DIR (which must not exist), then queries run over what was stored. CPU is the process's own. */
#include "common/codec.h"
#include "common/metrics.h"
#include "server/ingest/ingest.h"
#include "server/store/reader.h"
#include "server/store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double wall_s(void) { return (double)clock_mono(&clock_real) / 1e9; }

static long peak_mib(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return r.ru_maxrss / 1024;
}

/* ---- pushing ---- */

struct source {
	FILE *f;
	pthread_mutex_t mu;
	struct ingest *in;
	uint64_t entries, bytes, pushes;
};

struct wait {
	pthread_mutex_t mu;
	pthread_cond_t cond;
	bool done, ok;
};

static void done(void *ud, const struct err *e)
{
	struct wait *w = ud;
	if (e) fprintf(stderr, "%s\n", e->msg);
	pthread_mutex_lock(&w->mu);
	w->done = true;
	w->ok = !e;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->mu);
}

static bool push_one(struct source *s, struct arena *a, struct str body)
{
	struct push p;
	struct err e = ERR_INIT;
	struct label level = {STR("detected_level"), STR("info")};
	if (!push_decode(a, body, &p, &e)) return fprintf(stderr, "%s\n", e.msg), false;
	struct ingest_push ip = {STR("fake"), arena_zalloc(a, p.n * sizeof *ip.v), p.n};
	for (size_t i = 0; i < p.n; i++) {
		ip.v[i].v = p.v[i].v;
		ip.v[i].n = p.v[i].n;
		if (!labels_parse(a, p.v[i].labels, &ip.v[i].labels, &e)) return fprintf(stderr, "%s\n", e.msg), false;
		for (size_t k = 0; k < p.v[i].n; k++) p.v[i].v[k].meta = (struct labels){&level, 1};
	}
	struct wait w = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
	do {
		w.done = false;
		ingest_submit(s->in, &ip, done, &w);
		pthread_mutex_lock(&w.mu);
		while (!w.done) pthread_cond_wait(&w.cond, &w.mu);
		pthread_mutex_unlock(&w.mu);
	} while (!w.ok);
	pthread_mutex_lock(&s->mu);
	s->entries += p.entries;
	s->bytes += p.bytes;
	s->pushes++;
	pthread_mutex_unlock(&s->mu);
	return true;
}

static void *pusher(void *ud)
{
	struct source *s = ud;
	struct buf in = {0}, body = {0};
	struct arena a;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	for (;;) {
		uint32_t n = 0;
		pthread_mutex_lock(&s->mu);
		bool ok = fread(&n, 4, 1, s->f) == 1;
		buf_clear(&in);
		buf_reserve(&in, n);
		ok = ok && fread(in.p, 1, n, s->f) == n;
		pthread_mutex_unlock(&s->mu);
		if (!ok) break;
		buf_clear(&body);
		if (!codec_expand(CODEC_SNAPPY, str_of(in.p, n), 64u << 20, &body, &e) ||
		    !push_one(s, &a, buf_view(&body)))
			break;
		arena_reset(&a);
	}
	buf_free(&in);
	buf_free(&body);
	arena_free(&a);
	return NULL;
}

/* ---- queries ---- */

static void query(struct store *st, const char *name, const char *needle, unsigned want, enum scan_order order,
		  uint64_t limit, int threads)
{
	struct err e = ERR_INIT;
	struct linefilter_operand op = {str_c(needle), false};
	struct linefilter f = {LINEFILTER_EQ, &op, 1};
	struct linefilters *g = needle ? linefilters_new(&f, 1, NULL, &e) : NULL;
	double cpu = cpu_s(), wall = wall_s();
	struct snapshot *s = snapshot_take(st, STR("fake"));
	struct scan_opts o = {.from = INT64_MIN, .to = INT64_MAX, .want = want, .order = order, .filters = g};
	struct scan *sc = scan_open(s, &o, &e);
	struct scan_batch b;
	uint64_t rows = 0, bytes = 0;
	while (rows < limit && scan_next(sc, &b, &e)) {
		rows += b.n;
		for (size_t i = 0; i < b.n && want & SCAN_LEN; i++) bytes += b.len[i];
	}
	struct scan_stats stats = {0};
	scan_stats(sc, &stats);
	scan_close(sc);
	snapshot_free(s);
	linefilters_free(g);
	(void)threads;
	printf("%-28s cpu %6.3f s  wall %6.3f s  rows %8llu  bytes %llu  expanded %llu KiB\n", name, cpu_s() - cpu,
	       wall_s() - wall, (unsigned long long)rows, (unsigned long long)bytes,
	       (unsigned long long)(stats.segment_bytes >> 10));
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct budget heads = {.limit = 96u << 20};
	if (argc != 3) return fprintf(stderr, "usage: bench_store PUSHES DIR\n"), 2;
	struct source s = {.f = fopen(argv[1], "rb"), .mu = PTHREAD_MUTEX_INITIALIZER};
	if (!s.f) return perror(argv[1]), 1;
	struct buf wal = {0};
	fs_path(&wal, argv[2], "wal");
	struct store_config sc = {.dir = argv[2], .fs = &fs_real, .clock = &clock_real, .cache_bytes = 32u << 20};
	struct store *st = store_open(&sc, &e);
	if (!st) return fprintf(stderr, "%s\n", e.msg), 1;
	struct ingest_config ic = {.wal_dir = wal.p, .heads = &heads, .fs = &fs_real, .clock = &clock_real};
	s.in = ingest_start(&ic, st, &e);
	if (!s.in) return fprintf(stderr, "%s\n", e.msg), 1;
	while (!ingest_ready(s.in, &e)) {}
	double cpu = cpu_s(), wall = wall_s();
	pthread_t t[4];
	for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, pusher, &s);
	for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
	double pushed = wall_s() - wall;
	e = ERR_INIT;
	if (!ingest_flush(s.in, &e)) fprintf(stderr, "%s\n", e.msg);
	printf("ingest: %llu entries, %.1f MB in %llu pushes: cpu %.2f s, wall %.2f s (%.2f s with the last flush), "
	       "peak %ld MiB\n",
	       (unsigned long long)s.entries, (double)s.bytes / 1e6, (unsigned long long)s.pushes, cpu_s() - cpu,
	       pushed, wall_s() - wall, peak_mib());
	struct ingest_stats is;
	ingest_stats(s.in, &is);
	struct store_totals tot;
	store_totals(st, &tot);
	printf("wal: %.1f MB, %llu syncs; segments: %llu, %.1f MB\n", (double)is.wal_bytes / 1e6,
	       (unsigned long long)is.wal_syncs, (unsigned long long)tot.segments, (double)tot.segment_bytes / 1e6);
	query(st, "count", NULL, 0, SCAN_BY_STREAM, UINT64_MAX, 1);
	query(st, "bytes", NULL, SCAN_LEN, SCAN_BY_STREAM, UINT64_MAX, 1);
	query(st, "count and metadata", NULL, SCAN_META, SCAN_BY_STREAM, UINT64_MAX, 1);
	query(st, "all lines", NULL, SCAN_LINE, SCAN_BY_STREAM, UINT64_MAX, 1);
	query(st, "absent needle", "zz-not-there-zz", 0, SCAN_BY_STREAM, UINT64_MAX, 1);
	query(st, "common word", "error", SCAN_LINE, SCAN_BY_STREAM, UINT64_MAX, 1);
	query(st, "newest 1000", NULL, SCAN_LINE | SCAN_META, SCAN_BY_TIME, 1000, 1);
	query(st, "newest 100 of a common word", "error", SCAN_LINE | SCAN_META, SCAN_BY_TIME, 100, 1);
	ingest_stop(s.in, false);
	store_close(st);
	buf_free(&wal);
	fclose(s.f);
	return 0;
}
