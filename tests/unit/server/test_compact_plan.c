/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/compact_plan.h"
#include "tests/unit/check.h"

#include "common/units.h"

#include <stdio.h>

/* A segment is a word: day, then megabytes; h: hard, r: rewrite, s: skip, aN: apart N. "3:32h" */
static size_t parse(const char *text, struct compact_segment *v)
{
	size_t n = 0;
	for (const char *p = text; *p;) {
		struct compact_segment *s = &v[n++];
		long day, mb;
		int took;
		*s = (struct compact_segment){.streams = 10};
		assert_int_equal(sscanf(p, "%ld:%ld%n", &day, &mb, &took), 2);
		s->day = day;
		s->bytes = (uint64_t)mb << 20;
		for (p += took; *p && *p != ' '; p++) {
			if (*p == 'h') s->hard = true;
			if (*p == 'r') s->rewrite = true;
			if (*p == 's') s->skip = true;
			if (*p == 'a') s->apart = (uint64_t)(*++p - '0');
		}
		while (*p == ' ') p++;
	}
	return n;
}

static void check(const char *segments, bool all, const char *expect)
{
	struct compact_segment v[100];
	struct compact_rules r = {.target = 128u << 20, .memory = 1u << 30, .closed_day = 10, .all = all};
	struct compact_job job;
	char got[400] = "", *to = got;
	compact_plan(v, parse(segments, v), &r, &job);
	for (size_t i = 0; i < job.n; i++) to += sprintf(to, i ? " %zu" : "%zu", job.v[i]);
	if (strcmp(got, expect) != 0) fail_msg("%s: \"%s\", expected \"%s\"", segments, got, expect);
}

static void what_is_merged(void **state)
{
	static const struct {
		const char *segments, *waits, *all; /* jobs when it may wait, and when not */
	} rows[] = {
		{"", "", ""},
		/* a day that may grow: full outputs, or eight of like size */
		{"10:1", "", "0"},
		{"10:1h", "", ""},
		{"10:32 10:32", "", "0 1"},
		{"10:32 10:32 10:32", "0 1 2", "0 1 2"},
		{"10:32 10:32 10:32 10:32", "0 1 2 3", "0 1 2 3"},
		{"10:32 10:32 10:32 10:32 10:32", "0 1 2 3", "0 1 2 3"},
		{"10:1 10:1 10:1 10:1 10:1 10:1 10:1", "", "0 1 2 3 4 5 6"},
		{"10:1 10:1 10:1 10:1 10:1 10:1 10:1 10:1", "0 1 2 3 4 5 6 7", "0 1 2 3 4 5 6 7"},
		{"10:60h 10:1 10:1 10:1 10:1 10:1 10:1 10:1 10:1", "1 2 3 4 5 6 7 8", "0 1 2 3 4 5 6 7 8"},
		{"10:60h 10:1 10:1", "", "0 1 2"},
		/* a day that is over */
		{"9:1", "0", "0"},
		{"9:1h", "", ""},
		{"9:1 9:1", "0 1", "0 1"},
		{"9:90h 9:1", "1", "0 1"},
		{"9:90h 9:1h", "", "0 1"},
		{"9:90h 9:20 9:20", "0 1 2", "0 1 2"},
		{"9:90h 9:2 9:2", "1 2", "0 1 2"},
		{"9:2h 9:0h", "0 1", "0 1"},
		{"9:4h 9:0h", "", "0 1"},
		{"9:0h 9:0h", "0 1", "0 1"}, /* a segment costs something, however small */
		/* full ones stand apart, and are made hard once */
		{"10:100 10:1", "0", "0"},
		{"10:100h 10:1", "", "1"},
		{"9:100h 9:2 9:100h 9:3", "1", "1"},
		{"9:1h 9:100h 9:2h", "", ""},
		/* only neighbours of one day are merged */
		{"9:1h 8:2h 9:3 8:2", "1 3", "1 3"},
		{"9:1 10:50 9:2", "0 2", "0 2"},
		{"9:1h 9:1sh 9:1h", "", ""},
		{"9:1ha1 9:1ha2 9:1ha2", "1 2", "1 2"},
		/* rewrites come first, even of full ones */
		{"9:1 9:1 9:100hr", "2", "2"},
		{"9:1 9:1 9:100hrs", "0 1", "0 1"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check(rows[i].segments, false, rows[i].waits);
		check(rows[i].segments, true, rows[i].all);
	}
}

static void inputs_fit_into_memory(void **state)
{
	struct compact_segment v[8];
	struct compact_rules r = {.target = 128u << 20, .closed_day = 10};
	struct compact_job job;
	(void)state;
	for (size_t i = 0; i < COUNT(v); i++) v[i] = (struct compact_segment){.day = 1, .bytes = 100, .streams = 1000};
	r.memory = 5 * compact_memory(&v[0]);
	compact_plan(v, COUNT(v), &r, &job);
	assert_int_equal(job.n, 5);
	r.memory = 1; /* two always go */
	compact_plan(v, COUNT(v), &r, &job);
	assert_int_equal(job.n, 2);
	/* A day that may grow does not wait for more than fit. */
	for (size_t i = 0; i < COUNT(v); i++) v[i].day = 10;
	compact_plan(v, 4, &r, &job);
	assert_int_equal(job.n, 2);
	r.memory = 5 * compact_memory(&v[0]);
	compact_plan(v, 4, &r, &job);
	assert_int_equal(job.n, 0);
	compact_plan(v, 5, &r, &job);
	assert_int_equal(job.n, 5);
}

/* Merging as planned ends, and what it has read is what the backlog said. */
static void the_backlog_is_what_will_be_merged(void **state)
{
	uint64_t seed = 1;
	(void)state;
	for (int round = 0; round < 300; round++) {
		struct compact_segment v[60];
		struct compact_rules r = {.target = 1000, .memory = 20u << 20, .closed_day = 2, .all = round & 1};
		bool made[60] = {0};
		size_t n = (size_t)round % 60;
		for (size_t i = 0; i < n; i++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			v[i] = (struct compact_segment){.day = (int64_t)(seed >> 60 & 3),
							.bytes = (seed >> 33) % (seed >> 59 & 1 ? 1200 : 50),
							.hard = seed >> 58 & 1,
							.skip = (seed >> 50 & 31) == 0,
							.apart = seed >> 57 & 1};
		}
		struct compact_backlog expect = compact_backlog(v, n, &r), got = {0};
		struct compact_job job;
		for (int steps = 0;; steps++) {
			compact_plan(v, n, &r, &job);
			if (job.n == 0) break;
			assert_true(steps < 200);
			uint64_t bytes = 0;
			for (size_t i = 0; i < job.n; i++) {
				const struct compact_segment *s = &v[job.v[i]];
				assert_true(!s->skip && s->day == v[job.v[0]].day && s->apart == v[job.v[0]].apart);
				for (size_t k = i ? job.v[i - 1] + 1 : n; k < job.v[i]; k++)
					assert_int_not_equal(v[k].day, s->day); /* nothing of the day lies between */
				bytes += s->bytes;
				if (!made[job.v[i]]) got.segments++, got.bytes += s->bytes;
			}
			v[job.v[0]].bytes = bytes;
			v[job.v[0]].hard = made[job.v[0]] = true;
			for (size_t i = job.n; i-- > 1;) {
				memmove(&v[job.v[i]], &v[job.v[i] + 1], (n - job.v[i] - 1) * sizeof *v);
				memmove(&made[job.v[i]], &made[job.v[i] + 1], n - job.v[i] - 1);
				n--;
			}
		}
		assert_int_equal(got.segments, expect.segments);
		assert_int_equal(got.bytes, expect.bytes);
	}
}

static void days(void **state)
{
	(void)state;
	assert_int_equal(compact_day(0), 0);
	assert_int_equal(compact_day(-1), -1);
	assert_int_equal(compact_day(UNITS_DAY - 1), 0);
	assert_int_equal(compact_day(-UNITS_DAY), -1);
	assert_int_equal(compact_day(-UNITS_DAY - 1), -2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_merged),
		cmocka_unit_test(inputs_fit_into_memory),
		cmocka_unit_test(the_backlog_is_what_will_be_merged),
		cmocka_unit_test(days),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
