/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/compact_plan.h"

#include "common/str.h"
#include "common/units.h"

#include <stdlib.h>

#define INPUT_MEMORY  (2u << 20) /* an expanded frame and its stored form, columns of a granule, a page of streams */
#define STREAM_MEMORY 128u       /* of the output's index: labels, postings, texts */
#define LEAST_COST    (1u << 20) /* bytes that a segment counts for, as it costs something to be there */
#define OPEN_INPUTS   8          /* a day that may grow waits for so many */

int64_t compact_day(int64_t ts)
{
	int64_t d = ts / UNITS_DAY;
	return ts % UNITS_DAY < 0 ? d - 1 : d;
}

uint64_t compact_memory(const struct compact_segment *s) { return INPUT_MEMORY + s->streams * STREAM_MEMORY; }

static bool is_full(const struct compact_rules *r, uint64_t bytes) { return bytes >= r->target / 4 * 3; }

static bool may_join(const struct compact_segment *s, const struct compact_rules *r)
{
	return !s->skip && !is_full(r, s->bytes);
}

struct run {
	size_t n;
	uint64_t bytes;         /* of lines */
	uint64_t cost, largest; /* of rewriting all, and the one that costs most */
};

static void run_add(struct run *x, const struct compact_segment *s)
{
	uint64_t cost = s->bytes > LEAST_COST ? s->bytes : LEAST_COST;
	x->n++;
	x->bytes += s->bytes;
	x->cost += cost;
	if (cost > x->largest) x->largest = cost;
}

/* Most of what is rewritten should not have been together before. more: one more would fit. */
static bool worthwhile(const struct compact_rules *r, bool closed, const struct run *x, bool more)
{
	if (x->n < 2) return false;
	if (r->all) return true;
	if (closed || is_full(r, x->bytes)) return x->largest <= x->cost / 4 * 3;
	return (x->n >= OPEN_INPUTS || !more) && x->largest <= x->cost / 2;
}

/* The longest worthwhile run that begins with the day's segment at[from]. */
static size_t run_from(const struct compact_segment *v, const size_t *at, size_t n, const struct compact_rules *r,
		       size_t from)
{
	const struct compact_segment *first = &v[at[from]];
	bool closed = first->day < r->closed_day;
	struct run x = {0};
	uint64_t memory = 0;
	size_t best = 0;
	for (size_t k = from; k < n && k - from < COMPACT_INPUTS && x.bytes < r->target; k++) {
		const struct compact_segment *s = &v[at[k]];
		if (!may_join(s, r) || s->apart != first->apart) break;
		memory += compact_memory(s);
		if (x.n >= 2 && memory > r->memory) break;
		run_add(&x, s);
		if (worthwhile(r, closed, &x, memory + compact_memory(s) <= r->memory)) best = x.n;
	}
	return best;
}

/* One that no merge has compressed yet, and that waits for no company. */
static bool alone(const struct compact_segment *s, const struct compact_rules *r)
{
	if (s->skip || s->hard) return false;
	return r->all || s->day < r->closed_day || is_full(r, s->bytes);
}

static void plan_day(const struct compact_segment *v, const size_t *at, size_t n, const struct compact_rules *r,
		     struct compact_job *out)
{
	size_t best = 0;
	for (size_t i = 0; i < n; i++) {
		size_t k = run_from(v, at, n, r, i);
		if (k <= best) continue;
		best = k;
		out->n = k;
		for (size_t j = 0; j < k; j++) out->v[j] = at[i + j];
	}
	for (size_t i = 0; out->n == 0 && i < n; i++) {
		if (!alone(&v[at[i]], r)) continue;
		out->v[0] = at[i];
		out->n = 1;
	}
}

struct by_day {
	int64_t day;
	size_t at;
};

static int by_day_cmp(const void *a, const void *b)
{
	const struct by_day *x = a, *y = b;
	if (x->day != y->day) return x->day < y->day ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static bool plan_rewrite(const struct compact_segment *v, size_t n, struct compact_job *out)
{
	for (size_t i = 0; i < n; i++) {
		if (!v[i].rewrite || v[i].skip) continue;
		out->v[0] = i;
		out->n = 1;
		return true;
	}
	return false;
}

/* Indices by day, in arrival order within one. */
static size_t *sort_by_day(const struct compact_segment *v, size_t n)
{
	struct by_day *days = mem_alloc((n + 1) * sizeof *days);
	size_t *at = mem_alloc((n + 1) * sizeof *at);
	for (size_t i = 0; i < n; i++) days[i] = (struct by_day){v[i].day, i};
	if (n) qsort(days, n, sizeof *days, by_day_cmp);
	for (size_t i = 0; i < n; i++) at[i] = days[i].at;
	free(days);
	return at;
}

static size_t day_end(const struct compact_segment *v, const size_t *at, size_t n, size_t from)
{
	size_t k = from;
	while (k < n && v[at[k]].day == v[at[from]].day) k++;
	return k;
}

void compact_plan(const struct compact_segment *v, size_t n, const struct compact_rules *r, struct compact_job *out)
{
	out->n = 0;
	if (plan_rewrite(v, n, out)) return;
	size_t *at = sort_by_day(v, n);
	for (size_t i = 0, k; i < n && out->n == 0; i = k) {
		k = day_end(v, at, n, i);
		plan_day(v, at + i, k - i, r, out);
	}
	free(at);
}

/* ---- backlog ---- */

struct pretend {
	struct compact_segment *v;
	bool *made; /* by a merge that was counted */
	struct compact_backlog sum;
};

/* Counts a merge and puts its result in place of its first input. */
static void pretend_merge(struct pretend *p, const struct compact_job *job)
{
	struct compact_segment merged = p->v[job->v[0]];
	merged.bytes = merged.streams = 0;
	merged.hard = true;
	merged.rewrite = false;
	for (size_t i = 0; i < job->n; i++) {
		const struct compact_segment *s = &p->v[job->v[i]];
		merged.bytes += s->bytes;
		if (s->streams > merged.streams) merged.streams = s->streams;
		if (p->made[job->v[i]]) continue;
		p->sum.segments++;
		p->sum.bytes += s->bytes;
	}
	p->v[job->v[0]] = merged;
	p->made[job->v[0]] = true;
}

static void pretend_day(struct pretend *p, size_t *at, size_t n, const struct compact_rules *r)
{
	for (;;) {
		struct compact_job job = {.n = 0};
		plan_day(p->v, at, n, r, &job);
		if (job.n == 0) return;
		pretend_merge(p, &job);
		size_t k = 0;
		for (size_t i = 0, gone = 1; i < n; i++) {
			if (gone < job.n && at[i] == job.v[gone])
				gone++;
			else
				at[k++] = at[i];
		}
		n = k;
	}
}

struct compact_backlog compact_backlog(const struct compact_segment *v, size_t n, const struct compact_rules *r)
{
	struct pretend p = {.v = mem_alloc((n + 1) * sizeof *p.v), .made = mem_zalloc(n + 1)};
	size_t *at = sort_by_day(v, n);
	for (size_t i = 0; i < n; i++) p.v[i] = v[i];
	for (struct compact_job job; plan_rewrite(p.v, n, &job);) pretend_merge(&p, &job);
	for (size_t i = 0, k; i < n; i = k) {
		k = day_end(p.v, at, n, i);
		pretend_day(&p, at + i, k - i, r);
	}
	free(at);
	free(p.v);
	free(p.made);
	return p.sum;
}
