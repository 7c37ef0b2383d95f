/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A naive model and the store get the same random sequence of operations; answers must always be equal.
 *
 * MODEL_STEPS (default 5000) steps in worlds of WORLD_STEPS each; world i has the seed MODEL_SEED + i (default 1).
 * What fails names its seed: MODEL_SEED=that MODEL_STEPS=400 repeats it (threads may make it another moment). Every
 * operation is one row of `ops`. Power goes at random calls of the file system, and calls of the object store fail
 * (fault_util.h). */
#include "tests/unit/server/delete_util.h"
#include "tests/unit/server/fault_util.h"

#include "common/units.h"
#include "server/exec/exec.h"
#include "server/store/maintain.h"
#include "server/store/tenant.h"

#define NOW         INT64_C(1700000000000000000)
#define WORLD_STEPS 250
#define STREAMS     6
#define CANCEL_NS   UNITS_HOUR           /* so long a delete request may be cancelled */
#define KEEP_NS     UNITS_DAY            /* retention of the last tenant, */
#define SHORT_LIVED (COUNT(tenants) - 1) /* who has this number */

static unsigned long cuts, faults, merges, hidden, purged; /* what happened, for the last line */

static const char *const tenants[] = {"a", "b/2", "c"};

struct sent { /* a push that was not acknowledged before the power went */
	unsigned tenant;
	struct entry_of *v;
	size_t n;
};

struct asked { /* a command that was not acknowledged before the power went */
	unsigned tenant;
	bool made, cancelled;
	struct request r;
	size_t which;
};

struct world {
	uint64_t seed;
	struct rnd r;
	struct place p;
	struct power power;
	struct object_faults objects;
	struct exec_engine *engine;
	struct limits limits;
	struct overrides *overrides;
	struct maintain *maintain;
	struct compact_done told;       /* what it said last */
	int64_t keep_from;              /* what is older may be gone where retention is short */
	struct model m[COUNT(tenants)]; /* all that arrived */
	struct requests *deletes[COUNT(tenants)];
	struct arena a; /* entries */
	struct sent *sent;
	size_t nsent, cap_sent, pushes;
	struct asked asked;
	int step;
	const char *op;
};

static int64_t now_of(struct world *w) { return clock_wall(&w->p.clock.base); }
static unsigned pick(struct world *w) { return (unsigned)rnd(&w->r, COUNT(tenants)); }

/* ---- operations ---- */

/* Operations fail only where something was made to fail. */
static void expected(struct world *w, const struct err *e)
{
	if (!w->power.off && !w->objects.fired) fail_msg("%s failed without a reason: %s", w->op, e->msg);
}

static bool try_open(struct world *w, struct err *e)
{
	if (!place_try_open(&w->p, e)) return false;
	wait_ready(&w->p);
	w->maintain = maintain_start(&(struct maintain_config){.store = w->p.st,
							       .overrides = w->overrides,
							       .clock = &w->p.clock.base,
							       .cancel_ns = CANCEL_NS,
							       .target = 64u << 10,
							       .memory = 8u << 20,
							       .compact = true},
				     e);
	w->told = (struct compact_done){0};
	return w->maintain != NULL;
}

static void close_all(struct world *w, bool flush)
{
	if (!w->p.in) return;
	maintain_stop(w->maintain);
	place_close(&w->p, flush);
}

static void op_push(struct world *w)
{
	unsigned t = pick(w);
	size_t n = 1 + (size_t)rnd(&w->r, rnd(&w->r, 6) ? 12 : 300);
	struct err e;
	struct entry_of *v = arena_alloc(&w->a, n * sizeof *v);
	random_entries(&w->m[t], &w->r, &w->a, now_of(w), v, n);
	for (size_t i = 0; i < n; i++) {
		if (rnd(&w->r, 30) == 0) v[i].ts += (int64_t)rnd(&w->r, 3) * UNITS_HOUR;           /* in the future */
		if (i && rnd(&w->r, 8) == 0) v[i] = v[rnd(&w->r, i)];                              /* twice in a push */
		if (i && rnd(&w->r, 4) == 0) v[i].ts = v[i - 1].ts, v[i].stream = v[i - 1].stream; /* a tie */
	}
	v[0].line = arena_printf(&w->a, "push %zu", w->pushes++); /* tells later whether the push is there */
	if (model_push(&w->m[t], w->p.in, tenants[t], v, n, &e)) return;
	expected(w, &e);
	MEM_GROW(w->sent, w->nsent, w->cap_sent);
	w->sent[w->nsent++] = (struct sent){t, v, n};
}

static void op_flush(struct world *w)
{
	struct err e = ERR_INIT;
	if (ingest_flush(w->p.in, &e)) return;
	if (e.code == ERR_UNAVAILABLE) { /* it was under way when the clock was put forward: it begins again */
		e = ERR_INIT;
		if (ingest_flush(w->p.in, &e)) return;
	}
	expected(w, &e);
}

static bool knows(const struct requests *q, struct str id)
{
	for (size_t i = 0; i < q->n; i++) {
		if (str_eqc(id, q->v[i].id)) return true;
	}
	return false;
}

/* What the store now says of a request that was made, or cancelled, when the power went. */
static void resolve_request(struct world *w)
{
	struct asked *a = &w->asked;
	struct requests *q = w->deletes[a->tenant];
	struct tenant *t = store_tenant(w->p.st, str_c(tenants[a->tenant]), true);
	struct deletes *d = deletes_of(t);
	for (size_t i = 0; i < d->n; i++) {
		struct str id = d->v[i].r->id;
		if (a->made && !knows(q, id)) {
			memcpy(a->r.id, id.p, id.n);
			requests_add(q, &a->r);
		} else if (a->cancelled && str_eqc(id, q->v[a->which].id)) {
			q->v[a->which].cancelled = d->v[i].state == DELETE_CANCELLED;
		}
	}
	deletes_unref(d);
	*a = (struct asked){0};
}

static void op_delete(struct world *w)
{
	unsigned t = pick(w);
	const struct kind *k = &kinds[rnd(&w->r, COUNT(kinds))];
	struct err e = ERR_INIT;
	int64_t now = now_of(w), from = now - (int64_t)rnd(&w->r, rnd(&w->r, 2) ? 60 : 200000) * UNITS_SEC;
	int64_t to = from + (int64_t)rnd(&w->r, rnd(&w->r, 2) ? 60 : 200000) * UNITS_SEC;
	if (requests_make(w->deletes[t], &w->m[t], &w->p, tenants[t], k, from, to, &e)) return;
	expected(w, &e);
	object_faults_end(&w->objects);
	w->asked = (struct asked){.tenant = t, .made = true, .r = {k, from, to, now, w->m[t].n, false, ""}};
	if (w->power.off) return;
	/* Asked again it is made; the first one may be there beside it, if only its answer was lost. */
	if (requests_make(w->deletes[t], &w->m[t], &w->p, tenants[t], k, from, to, &e))
		resolve_request(w);
	else
		expected(w, &e);
}

static void op_cancel(struct world *w)
{
	unsigned t = pick(w);
	struct requests *q = w->deletes[t];
	struct err e = ERR_INIT;
	if (q->n == 0) return;
	size_t i = (size_t)rnd(&w->r, q->n);
	int64_t before = now_of(w) - CANCEL_NS;
	bool may = !q->v[i].cancelled && q->v[i].created >= before;
	if (requests_cancel(q, &w->p, tenants[t], i, before, &e)) {
		if (!may) fail_msg("a request was cancelled that must not be");
		return;
	}
	if (!may) return;
	expected(w, &e);
	object_faults_end(&w->objects);
	w->asked = (struct asked){.tenant = t, .cancelled = true, .which = i};
	if (w->power.off) return;
	if (!requests_cancel(q, &w->p, tenants[t], i, before, &e) && e.code != ERR_NOT_FOUND)
		expected(w, &e); /* ERR_NOT_FOUND: it was cancelled, only the answer was lost */
	else
		resolve_request(w);
}

/* Merges some of a tenant's segments, and carries out deletes. */
static void op_compact(struct world *w)
{
	struct tenant *t = store_tenant(w->p.st, str_c(tenants[pick(w)]), false);
	struct retention *forever = retention_new(&(struct limits){0});
	struct compact_opts o = {.target = 1u << 20,
				 .memory = 16u << 20,
				 .all = rnd(&w->r, 2),
				 .now = now_of(w),
				 .retention = forever,
				 .deletes_before = now_of(w) - CANCEL_NS};
	struct compact_done done = {0};
	struct err e = ERR_INIT;
	bool more = t != NULL, ok = !t || compact_mark_deletes(t, o.deletes_before, &e);
	for (uint64_t left = 1 + rnd(&w->r, 4); ok && more && left > 0; left--)
		ok = compact_step(t, &o, &done, &more, &e);
	ok = ok && (!t || deletes_finish(t, o.deletes_before, &e));
	if (!ok) expected(w, &e);
	merges += done.merges;
	purged += done.deleted;
	retention_free(forever);
}

static void op_time(struct world *w)
{
	clock_fake_step(&w->p.clock, (int64_t)rnd(&w->r, 50) * UNITS_SEC + (rnd(&w->r, 5) ? 0 : 8 * UNITS_HOUR));
}

static void op_restart(struct world *w)
{
	struct err e = ERR_INIT;
	close_all(w, rnd(&w->r, 2));
	if (try_open(w, &e)) return;
	expected(w, &e);
	object_faults_end(&w->objects);
	if (!w->power.off && !try_open(w, &e)) expected(w, &e);
}

/* A round of retention, of deletes on disk and of compaction, and a sweep. An answer that is lost would make what
 * expired go at some later moment. */
static void op_maintain(struct world *w)
{
	struct err e = ERR_INIT;
	if (w->objects.kind == OBJECT_ANSWER_LOST) object_faults_end(&w->objects);
	w->keep_from = now_of(w) - KEEP_NS;
	if (!maintain_run(w->maintain, NULL, &e)) expected(w, &e);
	struct maintain_stats st;
	maintain_stats(w->maintain, &st);
	merges += st.done.merges - w->told.merges;
	purged += st.done.deleted - w->told.deleted;
	w->told = st.done;
}

/* One call to the object store will fail, or all from one on. */
static void op_fault(struct world *w)
{
	object_faults_arm(&w->objects, (enum object_fault_kind)rnd(&w->r, OBJECT_FAULTS), 1 + (long)rnd(&w->r, 30));
}

static void op_heal(struct world *w) { object_faults_end(&w->objects); }

/* From now on the power may go at any call. */
static void op_doom(struct world *w) { trigger_arm(&w->power.t, 1 + (long)rnd(&w->r, 60)); }

/* ---- what is left after the power went ---- */

static bool is_there(struct world *w, const struct sent *s)
{
	struct err e = ERR_INIT;
	struct snapshot *snap = snapshot_take(w->p.st, str_c(tenants[s->tenant]));
	struct scan_opts o = {.from = s->v[0].ts, .to = s->v[0].ts + 1, .want = SCAN_LINE};
	struct scan *sc = scan_open(snap, &o, &e);
	struct scan_batch b;
	bool found = false;
	while (scan_next(sc, &b, &e)) {
		for (size_t i = 0; i < b.n; i++) found = found || str_eq(b.line[i], s->v[0].line);
	}
	scan_close(sc);
	snapshot_free(snap);
	return found;
}

/* A push that was refused when the power went is there as a whole or not at all; both are right. */
static void resolve(struct world *w)
{
	for (size_t i = 0; i < w->nsent; i++) {
		const struct sent *s = &w->sent[i];
		if (is_there(w, s)) model_add(&w->m[s->tenant], s->v, s->n);
	}
	w->nsent = 0;
	if (w->asked.made || w->asked.cancelled) resolve_request(w);
}

static void power_cut(struct world *w)
{
	char left[64];
	object_faults_end(&w->objects);
	close_all(w, false);
	make_dir(left);
	power_restore(&w->power, w->p.dir, left, (enum power_loss)rnd(&w->r, POWER_LOSSES), rnd(&w->r, UINT64_MAX));
	remove_tree(w->p.dir);
	power_fini(&w->power);
	strcpy(w->p.dir, left);
	snprintf(w->p.wal, sizeof w->p.wal, "%s/wal", left);
	power_init(&w->power);
	power_seed(&w->power, left);
	MUST(try_open(w, must));
	resolve(w);
}

/* ---- questions ---- */

static bool line_has_error(struct str line) { return str_find(line, STR("error")) >= 0; }
static bool line_has_number(struct str line) { return str_find(line, STR("push 1")) >= 0; }

/* A random selection: matchers, range, line filter, and the same as LogQL. */
struct question {
	unsigned tenant;
	struct model m; /* what shows */
	struct model_query q;
	struct matcher matcher;
	struct linefilters *filters;
	struct buf text;
};

/* Entries past their period may go in any round of maintenance, so only the others are asked for. */
static int64_t since(const struct world *w, unsigned tenant)
{
	return tenant == SHORT_LIVED ? w->keep_from : INT64_MIN;
}

static void question_init(struct question *x, struct world *w)
{
	static const struct {
		const char *name, *value;
		enum match_op type;
		const char *text;
	} matchers[] = {
		{"app", "a1", MATCH_EQ, "{app=\"a1\"}"},
		{"host", "h[1-3]?", MATCH_RE, "{host=~\"h[1-3]?\"}"},
		{"app", "a.*", MATCH_RE, "{app=~\"a.*\"}"},
		{"host", "h2", MATCH_NEQ, "{app=~\"a.*\", host!=\"h2\"}"},
	};
	static const struct {
		const char *text;
		bool (*pass)(struct str);
	} filters[] = {{"error", line_has_error}, {"push 1", line_has_number}};
	struct err e = ERR_INIT;
	size_t k = (size_t)rnd(&w->r, COUNT(matchers)), f = (size_t)rnd(&w->r, 2 * COUNT(filters));
	int64_t now = now_of(w), width = (int64_t)rnd(&w->r, rnd(&w->r, 2) ? 100 : 100000) * UNITS_SEC;
	*x = (struct question){.tenant = pick(w)};
	x->m = visible(&w->m[x->tenant], w->deletes[x->tenant]);
	assert_true(
		matcher_init(&x->matcher, matchers[k].type, str_c(matchers[k].name), str_c(matchers[k].value), 0, &e));
	x->q = (struct model_query){.m = &x->matcher, .nm = 1, .forward = rnd(&w->r, 2)};
	x->q.from = now - (int64_t)rnd(&w->r, 100000) * UNITS_SEC;
	x->q.to = x->q.from + width + 1;
	if (rnd(&w->r, 3) == 0) x->q.from = now - 5 * UNITS_DAY, x->q.to = now + UNITS_DAY;
	if (x->q.from < since(w, x->tenant)) x->q.from = since(w, x->tenant);
	if (x->q.to <= x->q.from) x->q.to = x->q.from + 1;
	buf_c(&x->text, matchers[k].text);
	if (f >= COUNT(filters)) return;
	struct linefilter_operand has[] = {{str_c(filters[f].text), false}};
	struct linefilter lf = {LINEFILTER_EQ, has, 1};
	x->filters = linefilters_new(&lf, 1, NULL, &e);
	x->q.pass = filters[f].pass;
	buf_printf(&x->text, " |= \"%s\"", filters[f].text);
}

static void question_fini(struct question *x)
{
	matcher_fini(&x->matcher);
	linefilters_free(x->filters);
	buf_free(&x->text);
	free(x->m.v);
}

static void ask_scan(struct world *w)
{
	struct question x;
	question_init(&x, w);
	unsigned want = rnd(&w->r, 2) ? SCAN_LINE | SCAN_LEN | SCAN_META : (unsigned)rnd(&w->r, 8);
	model_check(&x.m, w->p.st, tenants[x.tenant], &x.q, rnd(&w->r, 2) ? SCAN_BY_TIME : SCAN_BY_STREAM, want,
		    x.filters);
	question_fini(&x);
}

/* What all streams answer together, in no order between streams. */
static size_t expect_all(const struct question *x, const struct entry_of **out)
{
	const struct model *m = &x->m;
	size_t n = 0;
	for (uint32_t i = 0; i < m->nstreams; i++) {
		if (labels_pass(&m->streams[i], x->q.m, x->q.nm)) n += model_stream(m, &x->q, i, out + n);
	}
	return n;
}

static struct exec_result *run_query(struct world *w, const struct question *x, struct exec_query *q)
{
	static const struct limits limits = {.max_query_series = 500, .max_entries_limit_per_query = 5000};
	struct err e = ERR_INIT;
	struct exec_source src = {str_c(tenants[x->tenant]), snapshot_take(w->p.st, str_c(tenants[x->tenant]))};
	q->sources = &src;
	q->n_sources = 1;
	q->limits = &limits;
	q->step = UNITS_SEC;
	struct exec_result *r = exec_run(w->engine, q, &e);
	if (!r) fail_msg("%.*s: %s", STR_ARG(q->text), e.msg);
	assert_int_equal(r->n_warnings, 0);
	snapshot_free(src.snap);
	return r;
}

static int by_time(const void *a, const void *b)
{
	const struct entry_of *x = *(const struct entry_of *const *)a, *y = *(const struct entry_of *const *)b;
	return (x->ts > y->ts) - (x->ts < y->ts);
}

/* Is the row one of the expected entries? Metadata is among the labels. */
static bool is_expected(const struct model *m, const struct entry_of *const *v, size_t n, const struct labels *l,
			const struct exec_entry *row)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i]->ts != row->ts || !str_eq(v[i]->line, row->line)) continue;
		struct str host = labels_get(l, STR("host"));
		if (str_eq(host, m->streams[v[i]->stream].v[1].value) && l->n == 2 + v[i]->meta.n) return true;
	}
	return false;
}

/* The newest or oldest entries up to a limit: exactly the right times, and each row an entry of its time. */
static void ask_log_query(struct world *w)
{
	struct question x;
	question_init(&x, w);
	const struct model *m = &x.m;
	const struct entry_of **all = mem_alloc((m->n + 1) * sizeof *all);
	size_t n = expect_all(&x, all), limit = 1 + (size_t)rnd(&w->r, 200), rows = 0;
	qsort(all, n, sizeof *all, by_time);
	struct exec_query q = {.text = buf_view(&x.text),
			       .start = x.q.from,
			       .end = x.q.to,
			       .limit = (uint32_t)limit,
			       .forward = x.q.forward};
	struct exec_result *r = run_query(w, &x, &q);
	size_t want = n < limit ? n : limit, skip = x.q.forward ? 0 : n - want;
	int64_t first = want ? all[skip]->ts : 0, last = want ? all[skip + want - 1]->ts : 0;
	for (size_t i = 0; i < r->n_streams; i++) {
		for (size_t k = 0; k < r->streams[i].n; k++, rows++) {
			const struct exec_entry *row = &r->streams[i].v[k];
			if (row->ts < first || row->ts > last)
				fail_msg("%s limit %zu: a row at %lld", x.text.p, limit, (long long)row->ts);
			if (!is_expected(m, all, n, &r->streams[i].labels, row))
				fail_msg("%s: a row that is no entry: %.*s", x.text.p, STR_ARG(row->line));
		}
	}
	if (rows != want) fail_msg("%s limit %zu: %zu rows, expected %zu", x.text.p, limit, rows, want);
	exec_result_free(r);
	free(all);
	question_fini(&x);
}

/* Counts and bytes by a label, over a range that ends at a moment. */
static void ask_counts(struct world *w)
{
	struct question x;
	question_init(&x, w);
	const struct model *m = &x.m;
	bool bytes = rnd(&w->r, 2);
	x.q.to += UNITS_SEC;
	int64_t seconds = (x.q.to - x.q.from) / UNITS_SEC;
	x.q.from = x.q.to - seconds * UNITS_SEC; /* (from, to] of LogQL is [from + 1, to + 1) */
	struct buf text = {0};
	buf_printf(&text, "sum by (app) (%s_over_time(%.*s [%llds]))", bytes ? "bytes" : "count",
		   STR_ARG(buf_view(&x.text)), (long long)seconds);
	struct exec_query q = {.text = buf_view(&text), .instant = true, .start = x.q.to, .end = x.q.to};
	x.q.from++;
	x.q.to++;
	const struct entry_of **all = mem_alloc((m->n + 1) * sizeof *all);
	size_t n = expect_all(&x, all);
	double sums[3] = {0};
	size_t groups = 0, counts[3] = {0};
	for (size_t i = 0; i < n; i++) {
		size_t app = all[i]->stream % 3;
		if (counts[app]++ == 0) groups++;
		sums[app] += bytes ? (double)all[i]->line.n : 1;
	}
	struct exec_result *r = run_query(w, &x, &q);
	assert_int_equal(r->n_series, groups);
	for (size_t i = 0; i < r->n_series; i++) {
		struct str app = labels_get(&r->series[i].labels, STR("app"));
		double want = sums[app.p[1] - '0'];
		if (r->series[i].v[0].v != want)
			fail_msg("%s: %.*s is %g, expected %g", buf_cstr(&text), STR_ARG(app), r->series[i].v[0].v,
				 want);
	}
	exec_result_free(r);
	free(all);
	buf_free(&text);
	question_fini(&x);
}

struct streams_seen {
	const struct model *m;
	bool v[STREAMS];
};

static bool see(void *ud, const struct reader_stream *st)
{
	struct streams_seen *s = ud;
	for (uint32_t i = 0; i < STREAMS; i++) {
		if (!labels_eq(&s->m->streams[i], &st->labels)) continue;
		assert_false(s->v[i]);
		s->v[i] = true;
		return true;
	}
	fail_msg("a stream that was never pushed");
	return false;
}

/* Streams with an entry in the range are reported, and only streams that have any. Figures of whole streams may count
 * copies in several sources twice, such as what a crash between two segments of a flush leaves. */
static void ask_streams(struct world *w)
{
	struct question x;
	question_init(&x, w);
	x.q.pass = NULL;
	const struct model *m = &x.m;
	struct streams_seen seen = {.m = m};
	struct reader_stats st;
	struct err e = ERR_INIT;
	struct snapshot *s = snapshot_take(w->p.st, str_c(tenants[x.tenant]));
	assert_true(snapshot_streams(s, x.q.m, x.q.nm, x.q.from, x.q.to, see, &seen, &e));
	assert_true(snapshot_stats(s, x.q.m, x.q.nm, x.q.from, x.q.to, &st, &e));
	const struct entry_of **all = mem_alloc((m->n + 1) * sizeof *all);
	size_t total = 0;
	for (uint32_t i = 0; i < STREAMS; i++) {
		bool pass = labels_pass(&m->streams[i], x.q.m, x.q.nm);
		size_t n = pass ? model_stream(m, &x.q, i, all) : 0;
		total += n;
		if (n && !seen.v[i]) fail_msg("stream %u is not reported", i);
		if (seen.v[i]) assert_true(pass && model_any(m, i));
	}
	assert_true(st.entries >= total);
	free(all);
	snapshot_free(s);
	question_fini(&x);
}

/* ---- worlds ---- */

static const struct op {
	const char *name;
	unsigned weight;
	bool asks;
	void (*run)(struct world *w);
} ops[] = {
	/* clang-format off */
	{"push", 45, false, op_push},
	{"flush", 6, false, op_flush},
	{"delete", 4, false, op_delete},
	{"cancel", 2, false, op_cancel},
	{"compact", 4, false, op_compact},
	{"maintain", 3, false, op_maintain},
	{"time", 6, false, op_time},
	{"restart", 2, false, op_restart},
	{"fault", 3, false, op_fault},
	{"heal", 3, false, op_heal},
	{"doom", 3, false, op_doom},
	{"scan", 12, true, ask_scan},
	{"query", 10, true, ask_log_query},
	{"counts", 10, true, ask_counts},
	{"streams", 5, true, ask_streams},
	/* clang-format on */
};

static unsigned long ran[COUNT(ops)];

static void check_world(struct world *w)
{
	for (unsigned t = 0; t < COUNT(tenants); t++) {
		struct model left = visible(&w->m[t], w->deletes[t]);
		hidden += w->m[t].n - left.n;
		for (int k = 0; k < 4; k++) {
			struct model_query q = {.from = since(w, t), .to = INT64_MAX, .forward = k & 1};
			model_check(&left, w->p.st, tenants[t], &q, k & 2 ? SCAN_BY_TIME : SCAN_BY_STREAM,
				    SCAN_LINE | SCAN_LEN | SCAN_META, NULL);
		}
		free(left.v);
	}
}

/* A process that started while the objects were out of reach warns until it has read them. */
static void see_again(struct world *w)
{
	struct err e = ERR_INIT;
	if (w->p.remote && !store_refresh(w->p.st, &e)) expected(w, &e);
}

static void one_step(struct world *w)
{
	uint64_t sum = 0, at;
	for (size_t i = 0; i < COUNT(ops); i++) sum += ops[i].weight;
	at = rnd(&w->r, sum);
	size_t k = 0;
	while (at >= ops[k].weight) at -= ops[k++].weight;
	ran[k]++;
	w->op = ops[k].name;
	w->objects.paused = ops[k].asks;
	bool fired = w->objects.fired;
	if (ops[k].asks) see_again(w);
	ops[k].run(w);
	w->objects.paused = false;
	if (w->objects.fired && !fired) faults++;
	if (!w->power.off) return;
	cuts++;
	power_cut(w);
	check_world(w);
}

static void count_object(void *ud, const struct maintain_tenant *t) { *(uint64_t *)ud += t->segments; }

static bool count_name(void *ud, const struct object_info *o)
{
	*(uint64_t *)ud += str_find(o->name, STR("/segments/")) >= 0;
	return true;
}

static uint64_t count_rows(struct world *w, const char *tenant)
{
	struct reader_stats st;
	struct snapshot *s = snapshot_take(w->p.st, str_c(tenant));
	MUST(snapshot_stats(s, NULL, 0, INT64_MIN, INT64_MAX, &st, must));
	snapshot_free(s);
	return st.entries;
}

/* Days later nothing is left that no catalog names, and nothing past its period. */
static void check_objects(struct world *w)
{
	uint64_t named = 0, there = 0;
	struct err e = ERR_INIT;
	/* An attempt that was under way when calls ceased to fail may still do so. */
	if (!store_upload(w->p.st, &e)) MUST(store_upload(w->p.st, must));
	for (int i = 0; i < 4; i++) {
		clock_fake_step(&w->p.clock, 2 * UNITS_DAY);
		op_maintain(w);
	}
	check_world(w);
	assert_int_equal(count_rows(w, tenants[SHORT_LIVED]), 0);
	maintain_tenants(w->maintain, false, count_object, &named);
	MUST(object_list(w->p.st->objects, STR(""), count_name, &there, must));
	assert_int_equal(there, named);
}

static struct overrides *make_overrides(struct world *w)
{
	struct err e = ERR_INIT;
	char path[] = "/tmp/larch-limits-XXXXXX";
	struct str file = str_c(path), text = arena_printf(&w->a, "overrides: {%s: {retention_period: %lldh}}\n",
							   tenants[SHORT_LIVED], (long long)(KEEP_NS / UNITS_HOUR));
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	close(fd);
	conf_defaults(&limits_table, &w->limits, &w->a);
	struct overrides *o = overrides_new(&w->limits, (struct conf_strs){&file, 1}, &fs_real, &e);
	if (!o) fail_msg("%s", e.msg);
	unlink(path);
	return o;
}

static struct object_store *fail_objects(void *ud, struct object_store *files) { return object_fault_new(files, ud); }

static void run_world(uint64_t seed, int steps)
{
	struct world w = {.seed = seed, .r = {seed}};
	print_message("MODEL_SEED=%llu\n", (unsigned long long)seed);
	place_init(&w.p);
	arena_init(&w.a, 0);
	power_init(&w.power);
	w.p.fs = &w.power.base;
	w.p.objects = fail_objects;
	w.p.objects_ud = &w.objects;
	w.p.remote = seed % 2; /* and an outbox before them */
	object_faults_init(&w.objects, &w.p.clock.base);
	w.keep_from = INT64_MIN;
	w.overrides = make_overrides(&w);
	w.p.heads.limit = 8u << 20;
	w.p.c.flush_bytes = 64u << 10;
	w.p.c.segment_bytes = 32u << 10;
	w.engine = exec_engine_new(&(struct exec_config){2, &clock_real, 0});
	for (unsigned t = 0; t < COUNT(tenants); t++) model_init(&w.m[t], STREAMS), w.deletes[t] = requests_new();
	power_seed(&w.power, w.p.dir);
	MUST(try_open(&w, must));
	for (w.step = 0; w.step < steps; w.step++) one_step(&w);
	w.power.t.left = -1;
	object_faults_end(&w.objects);
	check_world(&w);
	close_all(&w, true);
	MUST(try_open(&w, must));
	check_world(&w);
	check_objects(&w);
	close_all(&w, false);
	place_fini(&w.p);
	overrides_free(w.overrides);
	object_faults_fini(&w.objects);
	power_fini(&w.power);
	exec_engine_free(w.engine);
	for (unsigned t = 0; t < COUNT(tenants); t++) model_free(&w.m[t]), requests_free(w.deletes[t]);
	free(w.sent);
	arena_free(&w.a);
}

static long number_of(const char *name, long otherwise)
{
	const char *text = getenv(name);
	return text && *text ? atol(text) : otherwise;
}

static void the_store_answers_like_the_model(void **state)
{
	long steps = number_of("MODEL_STEPS", 5000);
	uint64_t seed = (uint64_t)number_of("MODEL_SEED", 1);
	(void)state;
	for (long left = steps; left > 0; left -= WORLD_STEPS)
		run_world(seed++, left < WORLD_STEPS ? (int)left : WORLD_STEPS);
	for (size_t i = 0; i < COUNT(ops); i++) print_message("%s %lu, ", ops[i].name, ran[i]);
	print_message("power cuts %lu, faults met %lu, merges %lu, entries hidden %lu, purged %lu\n", cuts, faults,
		      merges, hidden, purged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_store_answers_like_the_model)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
