/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The common stages allocate nothing for a line: once their scratch has grown, a batch of four times the lines costs no
 * more calls of the allocator than a small one. Sanitizers have an allocator of their own, which tells of its calls. */
#include "tests/unit/pipeline/stage_run.h"

#include "pipeline/custom_metrics.h"

static size_t calls;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

#if SANITIZED
/* Of their <sanitizer/allocator_interface.h>, which not every compiler brings along. */
int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *p, size_t n),
					      void (*freed)(const volatile void *p));

static void allocated(const volatile void *p, size_t n)
{
	(void)p, (void)n;
	calls++;
}

static void freed(const volatile void *p) { (void)p; }

static void start_counting(void) { assert_true(__sanitizer_install_malloc_and_free_hooks(allocated, freed)); }
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	calls++;
	return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
	calls++;
	return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
	calls++;
	return __libc_realloc(p, n);
}

static void start_counting(void) {}
#endif

#define SMALL  128
#define LARGE  (4 * SMALL)
#define ROUNDS 8

static const struct row {
	const char *stages;
	const char *line; /* %zu: a number that changes */
} rows[] = {
	{"[{regex: {expression: '^(?P<at>\\S+) (?P<level>[A-Z]+) (?P<msg>.*)'}}, {labels: {level: }}, "
	 "{timestamp: {source: at, format: RFC3339}}, {output: {source: msg}}]",
	 "2026-11-01T12:00:00.5Z INFO request %zu took 3ms"},
	{"[{json: {expressions: {level: , status: , user: request.user}}}, {labels: {level: , status: }}]",
	 "{\"level\":\"info\",\"status\":200,\"request\":{\"user\":\"u%zu\"},\"msg\":\"a \\\"quoted\\\" text\"}"},
	{"[{json: {expressions: {level: 'level || severity', first: 'tags[0]'}}}, {labels: {level: , first: }}]",
	 "{\"level\":\"info\",\"tags\":[\"a\",\"b\"],\"n\":%zu}"},
	{"[{logfmt: {mapping: {level: , msg: }}}, {labels: {level: }}, {output: {source: msg}}]",
	 "level=info n=%zu msg=\"a \\\"quoted\\\" text\""},
	{"[{cri: {}}]", "2026-11-01T12:00:00.123456789Z stdout F line %zu of a container"},
	{"[{docker: {}}]", "{\"log\":\"line %zu\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-01T12:00:00.5Z\"}"},
	{"[{multiline: {firstline: '^line'}}]", "line %zu"},
	{"[{multiline: {firstline: '^line [0-9]*0$'}}]", "line %zu"},
	{"[{multiline: {preset: java}}]", "\tat a.b.C(D.java:%zu)"},
	{"[{match: {selector: '{job=\"t\"} |= \"line\"', stages: [{static_labels: {a: b}}]}}]", "line %zu"},
	{"[{drop: {expression: debug}}, {labeldrop: [filename]}, {static_labels: {env: prod}}]", "line %zu"},
	{"[{pattern: {pattern: '<a> <b> <_>'}}, {structured_metadata: {a: , b: }}]", "line %zu of some"},
	{"[{template: {source: up, template: '{{ ToUpper .job }}-{{ .Entry }}'}}, {output: {source: up}}]", "line %zu"},
	{"[{replace: {expression: '(\\d+)', replace: '<{{ .Value }}>'}}, {pack: {labels: [job]}}]", "line %zu and 7"},
	{"[{metrics: {lines: {type: counter, config: {match_all: true, action: inc}}}}, {sampling: {rate: 0.5}}, "
	 "{limit: {rate: 10, burst: 10, drop: true}}, {decolorize: }, {luhn: }, {truncate: {rules: [{limit: 8}]}}]",
	 "line %zu \033[31mred\033[0m 4032032513548443"},
};

static struct label labels[] = {{STR("filename"), STR("/var/log/a.log")}, {STR("job"), STR("t")}};

static void fill(struct batch *b, const char *const *lines, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct entry *e = batch_push(b);
		e->line = str_c(lines[i]);
		e->labels = (struct labels){labels, COUNT(labels)};
		e->ts = e->read_ts = (int64_t)i + 1;
	}
}

/* Calls for one batch, the batch's own array left out. */
static size_t cost(struct pipeline *p, struct arena *a, const char *const *lines, size_t n)
{
	struct batch b = {.arena = a};
	fill(&b, lines, n);
	size_t before = calls;
	pipeline_run(p, &b);
	size_t spent = calls - before;
	arena_reset(a);
	return spent;
}

static void check_row(const struct row *row)
{
	struct stage_run r;
	const char *lines[LARGE];
	struct clock_fake clock;
	clock_fake_init(&clock, 0, 1);
	struct custom_metrics *metrics = custom_metrics_new(&clock.base);
	if (!stage_run_open(&r, row->stages, metrics)) fail_msg("%s: %s", row->stages, r.e.msg);
	r.env.dropped = NULL;
	r.env.shared = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	for (size_t i = 0; i < LARGE; i++) lines[i] = arena_printf(&r.conf, row->line, i).p;
#pragma GCC diagnostic pop
	size_t small = 0, large = 0;
	for (int i = 0; i < ROUNDS; i++) large = cost(r.p, &r.batch, lines, LARGE); /* scratch grows */
	for (int i = 0; i < ROUNDS; i++) small = cost(r.p, &r.batch, lines, SMALL);
	for (int i = 0; i < ROUNDS; i++) large = cost(r.p, &r.batch, lines, LARGE);
	/* An arena's blocks double: more lines may need a block or two more. */
	if (large > small + 4)
		fail_msg("%s: %zu calls for %d lines, %zu for %d", row->stages, small, SMALL, large, LARGE);
	assert_in_range(large, 0, LARGE / 8);
	stage_run_close(&r);
	custom_metrics_free(metrics);
}

static void nothing_is_allocated_for_a_line(void **state)
{
	(void)state;
	start_counting();
	char *volatile probe = mem_alloc(1); /* the counter counts */
	free(probe);
	assert_true(calls > 0);
	for (size_t i = 0; i < COUNT(rows); i++) check_row(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_allocated_for_a_line)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
