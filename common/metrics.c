/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/metrics.h"

#include "common/map.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_SERIES_DEFAULT = 10000 };

struct metrics_series {
	const struct metrics_row *row;
	struct str key;                    /* the values, length-prefixed; owned */
	struct str values[METRICS_LABELS]; /* slices of key */
	_Atomic double value;              /* of a histogram: the sum */
	_Atomic uint64_t in_bucket[];      /* of a histogram: one per bound, not cumulative */
};

struct family {
	const struct metrics_row *row;
	size_t labels, bounds;
	struct metrics_series *sole; /* of a row without labels */
	struct map series;           /* of one with labels, by key */
};

struct hook {
	void (*fn)(void *ud);
	void *ud;
};

struct metrics {
	pthread_mutex_t mutex;  /* the families' maps */
	pthread_mutex_t expose; /* one exposure at a time, and the hooks; taken before mutex */
	struct family *families;
	size_t n;
	struct hook *hooks;
	size_t hooks_n, hooks_cap;
};

const double metrics_seconds_buckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, INFINITY};

static const char *const type_names[] = {"counter", "gauge", "histogram"};

static struct metrics_series *series_new(const struct family *f, struct str key)
{
	struct metrics_series *s = mem_zalloc(sizeof *s + f->bounds * sizeof s->in_bucket[0]);
	s->row = f->row;
	s->key = mem_str(key);
	struct str rest = s->key;
	for (size_t i = 0; i < f->labels; i++) rd_lpstr(&rest, &s->values[i]);
	return s;
}

static void series_free(struct metrics_series *s)
{
	if (!s) return;
	free((char *)s->key.p);
	free(s);
}

static void family_init(struct family *f, const struct metrics_row *row)
{
	f->row = row;
	while (f->labels < METRICS_LABELS && row->labels[f->labels]) f->labels++;
	if (row->type == METRICS_HISTOGRAM)
		while (!isinf(row->buckets[f->bounds++])) continue;
	if (f->labels == 0) f->sole = series_new(f, STR(""));
}

struct metrics *metrics_new(const struct metrics_row *rows, size_t n)
{
	struct metrics *m = mem_zalloc(sizeof *m);
	pthread_mutex_init(&m->mutex, NULL);
	pthread_mutex_init(&m->expose, NULL);
	m->families = mem_zalloc(n * sizeof *m->families);
	m->n = n;
	for (size_t i = 0; i < n; i++) family_init(&m->families[i], &rows[i]);
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m) return;
	for (size_t i = 0; i < m->n; i++) {
		struct family *f = &m->families[i];
		series_free(f->sole);
		for (struct map_slot *s = NULL; (s = map_next(&f->series, s));) series_free(s->val);
		map_free(&f->series);
	}
	free(m->families);
	free(m->hooks);
	pthread_mutex_destroy(&m->mutex);
	pthread_mutex_destroy(&m->expose);
	free(m);
}

static void put_key(struct buf *key, const struct family *f, const struct str *values)
{
	for (size_t i = 0; i < f->labels; i++) buf_lpstr(key, values[i]);
}

static struct metrics_series *find_or_make(struct family *f, const struct str *values)
{
	struct buf key = {0};
	put_key(&key, f, values);
	struct metrics_series *s = map_get(&f->series, buf_view(&key));
	if (!s && f->series.n >= (f->row->max_series ? f->row->max_series : MAX_SERIES_DEFAULT)) {
		struct str other[METRICS_LABELS];
		for (size_t i = 0; i < f->labels; i++) other[i] = STR("other");
		buf_clear(&key);
		put_key(&key, f, other);
		s = map_get(&f->series, buf_view(&key));
	}
	if (!s) {
		s = series_new(f, buf_view(&key));
		map_put(&f->series, s->key, s);
	}
	buf_free(&key);
	return s;
}

struct metrics_series *metrics_get(struct metrics *m, size_t row, const struct str *values)
{
	struct family *f = &m->families[row];
	if (f->sole) return f->sole;
	pthread_mutex_lock(&m->mutex);
	struct metrics_series *s = find_or_make(f, values);
	pthread_mutex_unlock(&m->mutex);
	return s;
}

void metrics_remove(struct metrics *m, size_t row, const struct str *values)
{
	struct family *f = &m->families[row];
	struct buf key = {0};
	put_key(&key, f, values);
	pthread_mutex_lock(&m->mutex);
	struct metrics_series *s = map_del(&f->series, buf_view(&key));
	pthread_mutex_unlock(&m->mutex);
	series_free(s);
	buf_free(&key);
}

void metrics_add(struct metrics_series *s, double v)
{
	double old = atomic_load_explicit(&s->value, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&s->value, &old, old + v, memory_order_relaxed,
						      memory_order_relaxed))
		continue;
}

void metrics_set(struct metrics_series *s, double v) { atomic_store_explicit(&s->value, v, memory_order_relaxed); }

void metrics_observe(struct metrics_series *s, double v)
{
	const double *bounds = s->row->buckets;
	size_t i = 0;
	while (v > bounds[i]) i++; /* stops at +Inf; NaN counts in the first */
	atomic_fetch_add_explicit(&s->in_bucket[i], 1, memory_order_relaxed);
	metrics_add(s, v);
}

double metrics_value(const struct metrics_series *s) { return atomic_load_explicit(&s->value, memory_order_relaxed); }

void metrics_inc(struct metrics *m, size_t row, double v) { metrics_add(m->families[row].sole, v); }
void metrics_put(struct metrics *m, size_t row, double v) { metrics_set(m->families[row].sole, v); }

void metrics_on_expose(struct metrics *m, void (*fn)(void *ud), void *ud)
{
	pthread_mutex_lock(&m->expose);
	MEM_GROW(m->hooks, m->hooks_n, m->hooks_cap);
	m->hooks[m->hooks_n++] = (struct hook){fn, ud};
	pthread_mutex_unlock(&m->expose);
}

/* ---- the text ---- */

static void put_escaped(struct buf *out, struct str s, bool quotes)
{
	for (size_t i = 0; i < s.n;) {
		uint32_t rune = str_rune(s, &i); /* a bad byte becomes U+FFFD: scrapers refuse anything else */
		if (rune == '\n')
			buf_c(out, "\\n");
		else if (rune == '\\')
			buf_c(out, "\\\\");
		else if (rune == '"' && quotes)
			buf_c(out, "\\\"");
		else
			buf_rune(out, rune);
	}
}

static void put_head(struct buf *out, const char *name, const char *help, const char *type)
{
	buf_printf(out, "# HELP %s ", name);
	put_escaped(out, str_c(help), false);
	buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

static void put_label(struct buf *out, char before, const char *name, struct str value)
{
	buf_ch(out, before);
	buf_c(out, name);
	buf_c(out, "=\"");
	put_escaped(out, value, true);
	buf_ch(out, '"');
}

static void put_value(struct buf *out, double v)
{
	buf_ch(out, ' ');
	buf_f64_g(out, v);
	buf_ch(out, '\n');
}

/* name + suffix, the labels, and `le` when it is not NULL. */
static void put_name(struct buf *out, const struct family *f, const struct metrics_series *s, const char *suffix,
		     const double *le)
{
	buf_c(out, f->row->name);
	buf_c(out, suffix);
	for (size_t i = 0; i < f->labels; i++) put_label(out, i ? ',' : '{', f->row->labels[i], s->values[i]);
	if (le) {
		struct buf bound = {0};
		buf_f64_g(&bound, *le);
		put_label(out, f->labels ? ',' : '{', "le", buf_view(&bound));
		buf_free(&bound);
	}
	if (f->labels || le) buf_ch(out, '}');
}

static void put_series(struct buf *out, const struct family *f, const struct metrics_series *s)
{
	if (f->row->type != METRICS_HISTOGRAM) {
		put_name(out, f, s, "", NULL);
		put_value(out, metrics_value(s));
		return;
	}
	uint64_t count = 0;
	for (size_t i = 0; i < f->bounds; i++) {
		count += atomic_load_explicit(&s->in_bucket[i], memory_order_relaxed);
		put_name(out, f, s, "_bucket", &f->row->buckets[i]);
		put_value(out, (double)count);
	}
	put_name(out, f, s, "_sum", NULL);
	put_value(out, metrics_value(s));
	put_name(out, f, s, "_count", NULL);
	put_value(out, (double)count);
}

static int by_values(const void *a, const void *b)
{
	const struct metrics_series *x = *(struct metrics_series *const *)a, *y = *(struct metrics_series *const *)b;
	int d = 0;
	for (size_t i = 0; i < METRICS_LABELS && d == 0; i++) d = str_cmp(x->values[i], y->values[i]);
	return d;
}

static void put_family(struct buf *out, const struct family *f)
{
	if (f->labels && f->series.n == 0) return;
	put_head(out, f->row->name, f->row->help, type_names[f->row->type]);
	if (f->sole) {
		put_series(out, f, f->sole);
		return;
	}
	struct metrics_series **sorted = mem_alloc(f->series.n * sizeof *sorted);
	size_t n = 0;
	for (struct map_slot *s = NULL; (s = map_next(&f->series, s));) sorted[n++] = s->val;
	qsort(sorted, n, sizeof *sorted, by_values);
	for (size_t i = 0; i < n; i++) put_series(out, f, sorted[i]);
	free(sorted);
}

/* ---- this process, from proc(5) ---- */

static bool slurp(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");
	if (!f) return false;
	size_t n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
	return n > 0;
}

/* Seconds since the epoch at which the kernel started; 0 when unknown. */
static double boot_time(void)
{
	FILE *f = fopen("/proc/stat", "re");
	char line[256];
	unsigned long long at = 0;
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "btime %llu", &at) == 1) break;
	if (f) fclose(f);
	return (double)at;
}

static double open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	if (!d) return 0;
	double n = -3; /* ".", ".." and the directory itself */
	while (readdir(d)) n++;
	closedir(d);
	return n;
}

static void put_process(struct buf *out)
{
	char stat[1024];
	unsigned long long utime, stime, start, vsize, rss;
	struct rlimit fds = {0};
	getrlimit(RLIMIT_NOFILE, &fds);
	const char *fields = slurp("/proc/self/stat", stat, sizeof stat) ? strrchr(stat, ')') : NULL;
	/* Behind the command's name come fields 3 to 24. */
	if (!fields ||
	    sscanf(fields + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu %llu %llu",
		   &utime, &stime, &start, &vsize, &rss) != 5)
		return;
	double tick = (double)sysconf(_SC_CLK_TCK);
	const struct {
		const char *name, *help, *type;
		double v;
	} rows[] = {
		{"process_cpu_seconds_total", "User and system CPU time spent.", "counter",
		 (double)(utime + stime) / tick},
		{"process_max_fds", "Most file descriptors that may be open.", "gauge", (double)fds.rlim_cur},
		{"process_open_fds", "File descriptors that are open.", "gauge", open_fds()},
		{"process_resident_memory_bytes", "Memory that is resident.", "gauge",
		 (double)rss * (double)sysconf(_SC_PAGESIZE)},
		{"process_start_time_seconds", "When the process started, since the Unix epoch.", "gauge",
		 boot_time() + (double)start / tick},
		{"process_virtual_memory_bytes", "Virtual memory.", "gauge", (double)vsize},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		put_head(out, rows[i].name, rows[i].help, rows[i].type);
		buf_c(out, rows[i].name);
		put_value(out, rows[i].v);
	}
}

void metrics_expose(struct metrics *m, struct buf *out)
{
	pthread_mutex_lock(&m->expose);
	for (size_t i = 0; i < m->hooks_n; i++) m->hooks[i].fn(m->hooks[i].ud);
	pthread_mutex_lock(&m->mutex);
	for (size_t i = 0; i < m->n; i++) put_family(out, &m->families[i]);
	pthread_mutex_unlock(&m->mutex);
	put_process(out);
	pthread_mutex_unlock(&m->expose);
}

void metrics_manual(const struct metrics_row *rows, size_t n, struct buf *out)
{
	static const char *const types[] = {
		[METRICS_COUNTER] = "counter", [METRICS_GAUGE] = "gauge", [METRICS_HISTOGRAM] = "histogram"};
	buf_c(out, "| name | kind | labels | what |\n|---|---|---|---|\n");
	for (size_t i = 0; i < n; i++) {
		const struct metrics_row *r = &rows[i];
		buf_printf(out, "| `%s` | %s | ", r->name, types[r->type]);
		for (size_t k = 0; k < METRICS_LABELS && r->labels[k]; k++)
			buf_printf(out, "%s`%s`", k ? ", " : "", r->labels[k]);
		buf_printf(out, " | %s |\n", r->help);
	}
}
