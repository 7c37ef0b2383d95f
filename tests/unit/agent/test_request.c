/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/request.h"

#include "proto/push.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct label job_a[] = {{{"job", 3}, {"a", 1}}};
static struct label job_b[] = {{{"__tenant_id__", 13}, {"t", 1}}, {{"env", 3}, {"own", 3}}, {{"job", 3}, {"b\"", 2}}};
static struct label ext[] = {{{"env", 3}, {"ext", 3}}, {{"host", 4}, {"h", 1}}};
static const struct labels external = {ext, 2};

static void groups_streams_and_merges_labels(void **state)
{
	(void)state;
	struct request *r = request_new(&external);
	struct buf body = {0};
	struct runs runs = {0};
	struct arena a;
	struct push got;
	struct err e = ERR_INIT;
	struct label meta[] = {{STR("trace"), STR("1")}};
	int src;

	for (uint64_t i = 0; i < 10; i++) {
		char line[16];
		struct origin o = {&src, i == 9 ? 20 : i};
		struct entry en = {.ts = 1700000000000000000 + (int64_t)i, .origins = &o, .norigins = 1};
		en.labels = i % 2 ? (struct labels){job_b, 3} : (struct labels){job_a, 1};
		if (i == 3) en.meta = (struct labels){meta, 1};
		snprintf(line, sizeof line, "line %d", (int)i);
		assert_true(request_add(r, &en, str_c(line), 0));
	}
	assert_int_equal(request_entries(r), 10);
	assert_int_equal(request_bytes(r), 10 * 6 + 6);
	request_seal(r, &body, &runs);
	assert_int_equal(request_bytes(r), 0);

	assert_int_equal(runs.n, 2);
	assert_int_equal(runs.v[0].to, 9);
	assert_int_equal(runs.v[1].from, 20);

	arena_init(&a, 0);
	assert_true(push_decode(&a, buf_view(&body), &got, &e));
	assert_int_equal(got.n, 2);
	assert_true(str_eqc(got.v[0].labels, "{env=\"ext\", host=\"h\", job=\"a\"}"));
	assert_true(str_eqc(got.v[1].labels, "{env=\"own\", host=\"h\", job=\"b\\\"\"}"));
	assert_int_equal(got.v[0].n, 5);
	assert_true(str_eqc(got.v[1].v[1].line, "line 3"));
	assert_int_equal(got.v[1].v[1].ts, 1700000000000000003);
	assert_true(str_eqc(got.v[1].v[1].meta.v[0].name, "trace"));
	arena_free(&a);
	free(runs.v);
	buf_free(&body);
	request_free(r);
}

/* In the next batch, labels may stand at an address that another set had before. */
static void forgets_addresses_between_batches(void **state)
{
	(void)state;
	const struct labels none = {0};
	struct request *r = request_new(&none);
	struct label l[] = {{STR("n"), STR("0")}};
	char digit[2] = "0";
	struct buf body = {0};
	struct runs runs = {0};
	struct arena a;
	struct push got;
	struct err e = ERR_INIT;

	l[0].value = str_of(digit, 1);
	for (int i = 0; i < 4; i++) {
		digit[0] = (char)('0' + i % 2);
		struct entry en = {.ts = i, .labels = {l, 1}};
		request_forget(r);
		assert_true(request_add(r, &en, STR(""), 2));
	}
	digit[0] = '2';
	struct entry third = {.ts = 9, .labels = {l, 1}};
	request_forget(r);
	assert_false(request_add(r, &third, STR("x"), 2));
	request_seal(r, &body, &runs);
	arena_init(&a, 0);
	assert_true(push_decode(&a, buf_view(&body), &got, &e));
	assert_int_equal(got.n, 2);
	assert_int_equal(got.v[0].n, 2);
	assert_true(str_eqc(got.v[1].labels, "{n=\"1\"}"));
	arena_free(&a);
	free(runs.v);
	buf_free(&body);
	request_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_streams_and_merges_labels),
		cmocka_unit_test(forgets_addresses_between_batches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
