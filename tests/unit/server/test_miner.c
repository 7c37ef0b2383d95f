/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/miner.h"

#include "pipeline/extract/pattern.h"
#include "tests/unit/check.h"

#include <stdlib.h>

static const char *const sshd[] = {
	"Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user webmaster from 173.234.31.186",
	("Dec 10 06:55:48 LabSZ sshd[24200]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 "
	 "ssh2"),
	"Dec 10 06:55:48 LabSZ sshd[24200]: Connection closed by 173.234.31.186 [preauth]",
	"Dec 10 07:02:47 LabSZ sshd[24203]: Connection closed by 212.47.254.145 [preauth]",
	"Dec 10 07:07:38 LabSZ sshd[24206]: Invalid user test9 from 52.80.34.196",
	"Dec 10 07:07:45 LabSZ sshd[24206]: Failed password for invalid user test9 from 52.80.34.196 port 36060 ssh2",
	"Dec 10 07:13:43 LabSZ sshd[24227]: Invalid user chen from 202.100.179.208",
	"Dec 10 07:13:56 LabSZ sshd[24227]: Failed password for root from 5.36.59.76 port 42393 ssh2",
	"Dec 10 07:27:50 LabSZ sshd[24235]: Invalid user pgadmin from 112.95.230.3",
	"Dec 10 07:27:50 LabSZ sshd[24235]: pam_unix(sshd:auth): check pass; user unknown",
};

/* Templates as lines "total level|pattern". */
static void print(struct buf *b, const struct miner *m)
{
	buf_clear(b);
	for (size_t i = 0; i < m->n; i++)
		buf_printf(b, "%llu %.*s|%.*s\n", (unsigned long long)m->v[i]->total, STR_ARG(m->v[i]->level),
			   STR_ARG(m->v[i]->text));
}

static void mine(struct buf *out, const char *const *lines, size_t n)
{
	struct miner m;
	miner_init(&m);
	for (size_t i = 0; i < n; i++) miner_add(&m, STR("info"), str_c(lines[i]), (uint32_t)i);
	miner_finish(&m);
	print(out, &m);
	miner_free(&m);
}

static void words_that_vary(void **state)
{
	struct buf b = {0};
	(void)state;
	mine(&b, sshd, COUNT(sshd));
	check_text(buf_cstr(&b),
		   "4 info|<_> <_> <_> LabSZ sshd[<_>]: Invalid user <_> from <_>\n"
		   "2 info|<_> <_> <_> LabSZ sshd[<_>]: Connection closed by <_> [preauth]\n"
		   "1 info|<_> <_> <_> LabSZ sshd[<_>]: Failed password for invalid user test9 from <_> port <_> ssh2\n"
		   "1 info|<_> <_> <_> LabSZ sshd[<_>]: Failed password for invalid user webmaster from <_> port <_> "
		   "ssh2\n"
		   "1 info|<_> <_> <_> LabSZ sshd[<_>]: Failed password for root from <_> port <_> ssh2\n"
		   "1 info|<_> <_> <_> LabSZ sshd[<_>]: pam_unix(sshd:auth): check pass; user unknown\n");
	buf_free(&b);
}

/* Lines of one structure that say different things stay apart: their words decide each other. */
static void texts_that_differ(void **state)
{
	static const char *const words[][2] = {
		{"Starting", "daemon"}, {"Stopping", "service"}, {"Mounting", "volume"},
		{"Checking", "health"}, {"Rotating", "logs"},
	};
	struct miner m;
	struct buf line = {0};
	(void)state;
	miner_init(&m);
	for (size_t i = 0; i < 200; i++) {
		buf_clear(&line);
		buf_printf(&line, "%s %s of host-%c%c", words[i % 5][0], words[i % 5][1], (char)('a' + i / 5 % 20),
			   (char)('a' + i / 100));
		miner_add(&m, STR(""), buf_view(&line), 0);
	}
	miner_finish(&m);
	print(&line, &m);
	check_text(buf_cstr(&line), "40 |Checking health of <_>\n40 |Mounting volume of <_>\n40 |Rotating logs of <_>\n"
				    "40 |Starting daemon of <_>\n40 |Stopping service of <_>\n");
	buf_free(&line);
	miner_free(&m);
}

static void forms(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
		{"", "1 info|\n"},
		{"plain words only", "1 info|plain words only\n"},
		{"{\"level\":\"info\",\"took\":12,\"ok\":true}",
		 "1 info|{\"level\":\"info\",\"took\":<_>,\"ok\":true}\n"},
		{"ts=2026-11-01T00:00:00Z method=GET path=/a?x=1&y=b", "1 info|ts=<_> method=GET path=/a?x=<_>&y=b\n"},
		{"10.0.0.1:8080 fe80::1:2 3f8c90a1-0000 blk_38865049064139660", "1 info|<_> fe80::<_> <_> <_>\n"},
		{"12:34:56: done", "1 info|<_>: done\n"},
		{"12:34:56:", "1 info|<_>:<_>:<_>:\n"}, /* joined, a pattern would find the colon too early */
		{"HTTP/1.1 ipv4 node-1", "1 info|HTTP/1.1 ipv4 node-1\n"},
		{"<tag> <_> <a.b>", "1 info|<<_>> <<_>> <<_>>\n"}, /* a capture must not be read there */
		{"bad \xff byte, caf\xc3\xa9", "1 info|bad <_> byte, caf\xc3\xa9\n"},
		{"first line\nsecond line", "1 info|first line\n<_>\n"},
	};
	struct buf b = {0};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		mine(&b, &rows[i].line, 1);
		check_text(buf_cstr(&b), rows[i].want);
	}
	buf_free(&b);
}

static void order_does_not_matter(void **state)
{
	const char *lines[COUNT(sshd)];
	struct buf want = {0}, got = {0};
	unsigned seed = 1;
	(void)state;
	mine(&want, sshd, COUNT(sshd));
	memcpy(lines, sshd, sizeof lines);
	for (int round = 0; round < 20; round++) {
		for (size_t i = COUNT(lines) - 1; i; i--) {
			size_t k = (size_t)rand_r(&seed) % (i + 1);
			const char *t = lines[i];
			lines[i] = lines[k];
			lines[k] = t;
		}
		mine(&got, lines, COUNT(lines));
		check_text(buf_cstr(&got), buf_cstr(&want));
	}
	buf_free(&want);
	buf_free(&got);
}

static void steps_and_levels(void **state)
{
	static const uint32_t steps[] = {0, 2, 2, 5, 1, 5, 2};
	struct miner m, other;
	(void)state;
	miner_init(&m);
	miner_init(&other);
	for (size_t i = 0; i < COUNT(steps); i++)
		miner_add(i % 2 ? &other : &m, STR("info"), STR("took 5 ms"), steps[i]);
	miner_add(&other, STR("warn"), STR("took 7 ms"), 3);
	miner_merge(&m, &other);
	miner_finish(&m);
	assert_int_equal(m.n, 2);
	check_str(m.v[0]->level, STR("info"));
	check_str(m.v[1]->level, STR("warn"));
	check_str(m.v[1]->text, STR("took <_> ms"));
	const struct miner_shape *s = m.v[0];
	static const struct miner_count want[] = {{0, 1}, {1, 1}, {2, 3}, {5, 2}};
	assert_int_equal(s->total, 7);
	assert_int_equal(s->n, COUNT(want));
	assert_memory_equal(s->v, want, sizeof want);
	miner_free(&m);
	miner_free(&other);
}

/* A word that never repeats becomes one template on the way, and no count is lost. */
static void many_shapes(void **state)
{
	struct miner m;
	struct buf line = {0};
	uint64_t sum = 0;
	(void)state;
	miner_init(&m);
	m.max = 100;
	for (int i = 0; i < 5000; i++) {
		buf_clear(&line);
		buf_c(&line, "user ");
		for (int k = i; k; k /= 10) buf_ch(&line, (char)('a' + k % 10));
		buf_c(&line, "! logged in");
		miner_add(&m, STR("info"), buf_view(&line), (uint32_t)i / 100);
		assert_in_range(m.n, 0, 100);
	}
	miner_finish(&m);
	for (size_t i = 0; i < m.n; i++) sum += m.v[i]->total;
	assert_int_equal(sum, 5000);
	assert_int_equal(m.n, 1);
	check_str(m.v[0]->text, STR("user <_> logged in"));
	buf_free(&line);
	miner_free(&m);
}

/* Lines with nothing in common: the rarest are forgotten, the frequent one is exact. */
static void too_many_structures(void **state)
{
	struct miner m;
	struct buf line = {0};
	(void)state;
	miner_init(&m);
	m.max = 100;
	for (int i = 0; i < 2000; i++) {
		buf_clear(&line);
		for (int k = i + 1; k; k /= 2) buf_c(&line, k % 2 ? "a," : "b;");
		miner_add(&m, STR("info"), buf_view(&line), 0);
		miner_add(&m, STR("info"), STR("always the same"), 0);
	}
	assert_in_range(miner_bytes(&m), 0, 200000);
	miner_finish(&m);
	assert_in_range(m.n, 1, 100);
	check_str(m.v[0]->text, STR("always the same"));
	assert_int_equal(m.v[0]->total, 2000);
	buf_free(&line);
	miner_free(&m);
}

/* Every template is a filter that takes all lines that it counts. */
static void patterns_match(void **state)
{
	struct miner m;
	struct err e = ERR_INIT;
	(void)state;
	miner_init(&m);
	for (size_t i = 0; i < COUNT(sshd); i++) miner_add(&m, STR("info"), str_c(sshd[i]), 0);
	miner_finish(&m);
	for (size_t i = 0; i < m.n; i++) {
		struct pattern *p = pattern_new_filter(m.v[i]->text, &e);
		uint64_t hits = 0;
		assert_non_null(p);
		for (size_t k = 0; k < COUNT(sshd); k++) hits += pattern_match(p, str_c(sshd[k]));
		assert_int_equal(hits, m.v[i]->total);
		pattern_free(p);
	}
	miner_free(&m);
}

/* Only the beginning of a line is looked at. */
static void long_lines(void **state)
{
	struct buf line = {0};
	struct err e = ERR_INIT;
	(void)state;
	for (size_t word = 1; word < 4000; word = word * 3 + 1) {
		struct miner m;
		miner_init(&m);
		buf_clear(&line);
		while (line.n < 10000) {
			for (size_t i = 0; i < word; i++) buf_ch(&line, (char)('a' + (line.n / word + i) % 26));
			buf_ch(&line, word % 2 ? ' ' : '=');
		}
		miner_add(&m, STR("info"), buf_view(&line), 0);
		miner_finish(&m);
		struct pattern *p = pattern_new_filter(m.v[0]->text, &e);
		assert_in_range(m.v[0]->text.n, 3, 2100);
		assert_true(pattern_match(p, buf_view(&line)));
		pattern_free(p);
		miner_free(&m);
	}
	buf_free(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_that_vary),
		cmocka_unit_test(texts_that_differ),
		cmocka_unit_test(forms),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(steps_and_levels),
		cmocka_unit_test(many_shapes),
		cmocka_unit_test(too_many_structures),
		cmocka_unit_test(patterns_match),
		cmocka_unit_test(long_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
