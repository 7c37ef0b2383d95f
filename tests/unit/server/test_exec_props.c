/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold for any query, tried with generated ones over a real store: the answer depends neither on where the
 * entries lie (heads, segments, both) nor on the number of workers; parts of a range make up the whole; forward is
 * backward reversed. Seeds are printed; SEED=n runs just that one. */
#include "common/units.h"
#include "server/exec/exec.h"
#include "tests/unit/server/store_util.h"

#define TENANT  "team-a"
#define NOW     INT64_C(1700000000000000000)
#define SPAN    (600 * UNITS_SEC)
#define ENTRIES 1500
#define QUERIES 30

enum { HEADS, SEGMENTS, MIXED, PLACES };
static const unsigned helpers[] = {0, 1, 7}; /* besides the caller */

struct world {
	struct rnd r;
	struct place places[PLACES];
	struct model models[PLACES];
	struct exec_engine *engines[COUNT(helpers)];
	struct limits limits;
	uint64_t seed;
	size_t answered; /* lines and points */
};

/* ---- data ---- */

static struct entry_of random_entry(struct rnd *r, struct arena *a)
{
	static const char *const levels[] = {"info", "warn", "error"};
	struct entry_of x = {
		.stream = (uint32_t)rnd(r, 5),
		.ts = NOW + (int64_t)rnd(r, 1200) * (SPAN / 1200), /* many share a time */
	};
	uint64_t kind = rnd(r, 10), status = 200 + 100 * rnd(r, 4);
	const char *level = levels[rnd(r, COUNT(levels))];
	if (kind < 6)
		x.line = arena_printf(a, "level=%s status=%u took=%ums id=%u", level, (unsigned)status,
				      (unsigned)rnd(r, 2000), (unsigned)rnd(r, 100000));
	else if (kind < 9)
		x.line = arena_printf(a, "{\"level\":\"%s\",\"status\":%u,\"id\":%u}", level, (unsigned)status,
				      (unsigned)rnd(r, 100000));
	else
		x.line = arena_printf(a, "plain %s text %u", level, (unsigned)rnd(r, 100000));
	if (rnd(r, 3)) return x;
	struct label *l = ARENA_NEW(a, struct label);
	*l = (struct label){STR("trace"), arena_printf(a, "%u", (unsigned)rnd(r, 9))};
	x.meta = (struct labels){l, 1};
	return x;
}

static void push(struct world *w, struct arena *a)
{
	struct entry_of *v = mem_alloc(ENTRIES * sizeof *v);
	for (size_t i = 0; i < ENTRIES; i++) v[i] = random_entry(&w->r, a);
	for (int p = 0; p < PLACES; p++) {
		for (size_t at = 0; at < ENTRIES; at += 100) {
			struct err e = ERR_INIT;
			if (!model_push(&w->models[p], w->places[p].in, TENANT, v + at, 100, &e)) fail_msg("%s", e.msg);
			bool flush = p == SEGMENTS ? at + 100 == ENTRIES || at == 400 : p == MIXED && at == 700;
			if (flush) MUST(ingest_flush(w->places[p].in, must));
		}
	}
	free(v);
}

static void world_init(struct world *w, uint64_t seed)
{
	struct arena a;
	*w = (struct world){.r = {seed}, .seed = seed};
	print_message("seed %llu\n", (unsigned long long)seed);
	for (int p = 0; p < PLACES; p++) {
		place_init(&w->places[p]);
		place_open(&w->places[p]);
		model_init(&w->models[p], 5);
	}
	for (size_t i = 0; i < COUNT(helpers); i++)
		w->engines[i] = exec_engine_new(&(struct exec_config){helpers[i], &clock_real, 0});
	arena_init(&a, 0);
	push(w, &a);
	arena_free(&a);
}

static void world_free(struct world *w)
{
	for (size_t i = 0; i < COUNT(helpers); i++) exec_engine_free(w->engines[i]);
	for (int p = 0; p < PLACES; p++) {
		model_free(&w->models[p]);
		place_fini(&w->places[p]);
	}
}

/* ---- queries ---- */

static const char *one_of(struct rnd *r, const char *const *v, size_t n) { return v[rnd(r, n)]; }
#define ONE_OF(r, ...)                                                                                                 \
	one_of((r), (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void pipeline(struct rnd *r, struct buf *b)
{
	buf_c(b, ONE_OF(r, "{app=~\".+\"}", "{app=\"a1\"}", "{host!=\"h2\",app=~\"a.*\"}", "{host=\"h3\"}"));
	for (uint64_t i = rnd(r, 3); i > 0; i--)
		buf_c(b, ONE_OF(r, " |= \"status\"", " != \"200\"", " |~ \"(?i)ERROR|warn\"", " !~ \"id.*99\"",
				" |> \"<_>level<_>\"", " |= \"info\" or \"error\"", " | json", " | logfmt",
				" | pattern \"<first> <rest>\"", " | level=\"error\"", " | status >= 400",
				" | line_format \"{{.app}} {{.level}}\"", " | label_format lvl=level",
				" | trace=~\"[1-4]\""));
}

static void metric(struct rnd *r, struct buf *b, const char *range)
{
	const char *by = ONE_OF(r, "app", "host", "level", "trace", "app, level");
	buf_printf(b, "%s by (%s) (%s(", ONE_OF(r, "sum", "max", "count"), by,
		   ONE_OF(r, "count_over_time", "bytes_over_time", "rate"));
	pipeline(r, b);
	buf_printf(b, " | __error__=\"\" [%s]))", range);
}

struct ask {
	struct str text;
	int64_t from, to, step;
	bool backward;
	uint32_t limit;
};

static struct exec_result *run(struct world *w, int place, size_t engine, const struct ask *k)
{
	struct exec_source src = {STR(TENANT), snapshot_take(w->places[place].st, STR(TENANT))};
	struct exec_query q = {
		.text = k->text,
		.start = k->from,
		.end = k->to,
		.step = k->step ? k->step : UNITS_SEC,
		.limit = k->limit ? k->limit : 2 * ENTRIES,
		.forward = !k->backward,
		.sources = &src,
		.n_sources = 1,
		.limits = &w->limits,
	};
	struct err e = ERR_INIT;
	struct exec_result *r = exec_run(w->engines[engine], &q, &e);
	if (!r) fail_msg("seed %llu: %.*s: %s", (unsigned long long)w->seed, STR_ARG(k->text), e.msg);
	snapshot_free(src.snap);
	w->answered += r->stats.entries;
	return r;
}

/* ---- answers as sorted or plain lists ---- */

/* Every entry or point as one line of text "labels time value". reverse: the entries of a stream last to first. */
static void print(struct buf *b, const struct exec_result *r, bool reverse)
{
	for (size_t i = 0; i < r->n_streams; i++) {
		const struct exec_stream *s = &r->streams[i];
		for (size_t k = 0; k < s->n; k++) {
			const struct exec_entry *x = &s->v[reverse ? s->n - 1 - k : k];
			labels_print(b, &s->labels);
			buf_printf(b, " %lld %.*s\n", (long long)x->ts, STR_ARG(x->line));
		}
	}
	for (size_t i = 0; i < r->n_series; i++)
		for (size_t k = 0; k < r->series[i].n; k++) {
			labels_print(b, &r->series[i].labels);
			buf_printf(b, " %lld ", (long long)r->series[i].v[k].ts);
			buf_f64(b, r->series[i].v[k].v);
			buf_ch(b, '\n');
		}
}

static int by_text(const void *a, const void *b) { return str_cmp(*(const struct str *)a, *(const struct str *)b); }

static void sort_lines(struct buf *b)
{
	size_t n = 0, cap = 0;
	struct str rest = buf_view(b), line, *v = NULL;
	struct buf out = {0};
	while (rest.n && str_cut(&rest, '\n', &line)) {
		MEM_GROW(v, n, cap);
		v[n++] = line;
	}
	if (n) qsort(v, n, sizeof *v, by_text);
	for (size_t i = 0; i < n; i++) {
		buf_str(&out, v[i]);
		buf_ch(&out, '\n');
	}
	free(v);
	buf_free(b);
	*b = out;
}

static void same(const struct world *w, struct str query, const char *what, struct buf *want, struct buf *got)
{
	if (strcmp(buf_cstr(want), buf_cstr(got)) != 0)
		fail_msg("seed %llu: %.*s: %s\nwant:\n%.2000s\ngot:\n%.2000s", (unsigned long long)w->seed,
			 STR_ARG(query), what, buf_cstr(want), buf_cstr(got));
}

/* ---- properties ---- */

static void same_everywhere(struct world *w, const struct ask *k)
{
	struct buf want = {0}, got = {0};
	for (size_t i = 0; i < PLACES * COUNT(helpers); i++) {
		struct exec_result *r = run(w, (int)(i % PLACES), i / PLACES, k);
		buf_clear(&got);
		print(i ? &got : &want, r, false);
		if (i) same(w, k->text, "depends on the place or the workers", &want, &got);
		exec_result_free(r);
	}
	buf_free(&want);
	buf_free(&got);
}

static void parts_make_the_whole(struct world *w, const struct ask *k)
{
	struct buf want = {0}, got = {0};
	struct ask part = *k;
	struct exec_result *r = run(w, MIXED, 1, k);
	print(&want, r, false);
	exec_result_free(r);
	uint64_t steps = k->step ? (uint64_t)((k->to - k->from) / k->step) : (uint64_t)(k->to - k->from);
	uint64_t cut = 1 + rnd(&w->r, steps - 1);
	for (int i = 0; i < 2; i++) {
		int64_t middle = k->from + (int64_t)cut * (k->step ? k->step : 1);
		part.from = i ? middle : k->from;
		part.to = i ? k->to : k->step ? middle - k->step : middle; /* steps include their end */
		r = run(w, MIXED, 2, &part);
		print(&got, r, false);
		exec_result_free(r);
	}
	sort_lines(&want);
	sort_lines(&got);
	same(w, k->text, "parts are not the whole", &want, &got);
	buf_free(&want);
	buf_free(&got);
}

static void backward_is_forward_reversed(struct world *w, const struct ask *k)
{
	struct buf want = {0}, got = {0};
	struct ask back = *k;
	struct exec_result *r = run(w, MIXED, 0, k);
	print(&want, r, false);
	exec_result_free(r);
	back.backward = true;
	r = run(w, MIXED, 2, &back);
	print(&got, r, true);
	exec_result_free(r);
	same(w, k->text, "backward is not forward reversed", &want, &got);
	buf_free(&want);
	buf_free(&got);
}

/* The counts of n adjacent ranges add up to the count of all. */
static void counts_add_up(struct world *w, const char *fn, struct str pipe)
{
	double sum = 0, all = 0;
	struct buf text = {0};
	for (int i = 0; i < 2; i++) {
		buf_clear(&text);
		buf_printf(&text, "sum(%s(%.*s | __error__=\"\" [%s]))", fn, STR_ARG(pipe), i ? "10m" : "1m");
		struct ask k = {
			buf_view(&text), NOW + (i ? 10 : 1) * UNITS_MIN, NOW + 10 * UNITS_MIN, UNITS_MIN, false, 0};
		struct exec_result *r = run(w, i ? SEGMENTS : HEADS, 1, &k);
		for (size_t n = 0; r->n_series && n < r->series[0].n; n++) *(i ? &all : &sum) += r->series[0].v[n].v;
		exec_result_free(r);
	}
	if (sum != all) fail_msg("seed %llu: %s: %g, not %g", (unsigned long long)w->seed, buf_cstr(&text), all, sum);
	buf_free(&text);
}

static void run_seed(uint64_t seed)
{
	struct world w;
	struct buf text = {0};
	world_init(&w, seed);
	for (int i = 0; i < QUERIES; i++) {
		struct ask log = {.from = NOW + (int64_t)rnd(&w.r, (uint64_t)SPAN / 4), .to = NOW + SPAN};
		buf_clear(&text);
		pipeline(&w.r, &text);
		log.text = buf_view(&text);
		parts_make_the_whole(&w, &log);
		backward_is_forward_reversed(&w, &log);
		counts_add_up(&w, ONE_OF(&w.r, "count_over_time", "bytes_over_time"), log.text);
		log.limit = 1 + (uint32_t)rnd(&w.r, 200);
		log.backward = rnd(&w.r, 2);
		same_everywhere(&w, &log);
		struct ask m = {.from = NOW, .to = NOW + SPAN, .step = 30 * UNITS_SEC};
		buf_clear(&text);
		metric(&w.r, &text, ONE_OF(&w.r, "30s", "1m", "7s", "3m"));
		m.text = buf_view(&text);
		same_everywhere(&w, &m);
		parts_make_the_whole(&w, &m);
	}
	assert_true(w.answered > QUERIES * ENTRIES);
	buf_free(&text);
	world_free(&w);
}

static void properties(void **state)
{
	(void)state;
	const char *only = getenv("SEED");
	if (only) {
		run_seed(strtoull(only, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= 2; seed++) run_seed(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(properties)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
