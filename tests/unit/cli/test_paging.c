/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/paging.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define LINES 400

/* A server: lines in arrival order, equal ones among them. */
static struct {
	struct result_entry v[LINES];
	char text[LINES][16];
	struct labels labels[3];
	struct label label[3];
} store;

static void fill(unsigned seed, int64_t times)
{
	static const char *const names[] = {"a", "b", "c"};

	srand(seed);
	for (size_t i = 0; i < 3; i++) {
		store.label[i] = (struct label){STR("app"), str_c(names[i])};
		store.labels[i] = (struct labels){.v = &store.label[i], .n = 1};
	}
	for (size_t i = 0; i < LINES; i++) {
		snprintf(store.text[i], sizeof store.text[i], "line %d", rand() % 20);
		store.v[i] = (struct result_entry){.ts = rand() % times,
						   .labels = &store.labels[rand() % 3],
						   .line = str_c(store.text[i]),
						   .order = i};
	}
}

static size_t answer(const struct paging *p, uint64_t limit, struct result_entry *out)
{
	struct result r = {.entries = out};

	for (size_t i = 0; i < LINES; i++)
		if (store.v[i].ts >= p->start && store.v[i].ts < p->end) out[r.nentries++] = store.v[i];
	result_sort(&r, p->forward);
	return r.nentries < limit ? r.nentries : (size_t)limit;
}

/* All pages together are the one long answer. */
static void check(bool forward, uint64_t page, uint64_t limit)
{
	struct result_entry whole[LINES], got[LINES], v[LINES];
	struct paging p;
	size_t n = 0, want;

	paging_init(&p, 0, 1000, forward, limit);
	want = answer(&p, limit ? limit : LINES, whole);
	p.page = page;
	while (!p.done) {
		size_t fresh = paging_take(&p, v, answer(&p, paging_ask(&p), v));

		assert_true(n + fresh <= LINES);
		memcpy(got + n, v, fresh * sizeof *v);
		n += fresh;
	}
	assert_int_equal(n, want);
	for (size_t i = 0; i < n; i++) {
		assert_true(got[i].ts == whole[i].ts);
		assert_true(got[i].labels == whole[i].labels);
		assert_true(str_eq(got[i].line, whole[i].line));
	}
	if (limit && limit < LINES) assert_true(p.more);
	if (!limit) assert_false(p.more);
	paging_free(&p);
}

static void pages_make_the_whole(void **state)
{
	static const uint64_t pages[] = {1, 2, 7, 50, 399, 400, 1000}, limits[] = {0, 1, 99, 400, 10000};
	static const int64_t times[] = {1, 3, 40, 1000};

	(void)state;
	for (size_t t = 0; t < 4; t++) {
		fill((unsigned)t + 1, times[t]);
		for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
			for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
				check(true, pages[i], limits[k]);
				check(false, pages[i], limits[k]);
			}
		}
	}
}

static void an_empty_answer_ends_it(void **state)
{
	struct paging p;

	(void)state;
	paging_init(&p, 0, 10, false, 100);
	assert_int_equal(paging_ask(&p), 100);
	assert_int_equal(paging_take(&p, NULL, 0), 0);
	assert_true(p.done);
	assert_false(p.more);
	paging_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_make_the_whole),
		cmocka_unit_test(an_empty_answer_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
