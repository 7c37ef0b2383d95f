/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/queries.h"

#include "tests/unit/server/fake_httpd.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Handlers wait at a gate until they are let through, one by one or all. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	unsigned inside, tickets;
	uint64_t began[32]; /* ids, in order */
	size_t nbegan;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, {0}, 0};

static void wait_at_gate(struct httpd_req *r)
{
	pthread_mutex_lock(&gate.lock);
	gate.began[gate.nbegan++] = r->id;
	gate.inside++;
	pthread_cond_broadcast(&gate.change);
	while (!gate.tickets) pthread_cond_wait(&gate.change, &gate.lock);
	gate.tickets--;
	gate.inside--;
	r->replies++;
	pthread_cond_broadcast(&gate.change);
	pthread_mutex_unlock(&gate.lock);
}

static void let_through(unsigned n)
{
	pthread_mutex_lock(&gate.lock);
	gate.tickets += n;
	pthread_cond_broadcast(&gate.change);
	pthread_mutex_unlock(&gate.lock);
}

static void until_begun(size_t n)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.nbegan < n) pthread_cond_wait(&gate.change, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static struct queries *start(unsigned threads, size_t max_waiting)
{
	struct err e = ERR_INIT;
	gate.nbegan = gate.inside = gate.tickets = 0;
	struct queries *q = queries_new(
		&(struct queries_config){.threads = threads, .max_waiting = max_waiting, .clock = &clock_real}, &e);
	assert_non_null(q);
	return q;
}

#define REQUEST(n)                                                                                                     \
	{                                                                                                              \
		.id = (n), .args = "query={app}", .name = "peer", .run = wait_at_gate                                  \
	}

static void a_tenant_has_its_share(void **state)
{
	struct httpd_req v[] = {REQUEST(1), REQUEST(2), REQUEST(3), REQUEST(10)};
	struct queries *q = start(2, 0);
	struct queries_figures f;
	(void)state;
	for (size_t i = 0; i < 3; i++) queries_add(q, &v[i], STR("much"));
	until_begun(1);
	queries_add(q, &v[3], STR("little")); /* passes the two that wait */
	until_begun(2);
	assert_int_equal(gate.began[1], 10);
	queries_figures(q, &f);
	assert_int_equal(f.running, 2);
	assert_int_equal(f.waiting, 2);
	let_through(4);
	until_begun(4);
	assert_int_equal(gate.began[2], 2);
	assert_int_equal(gate.began[3], 3);
	queries_free(q);
	for (size_t i = 0; i < 4; i++) assert_int_equal(v[i].replies, 1);
}

static void tenants_take_turns(void **state)
{
	static const char *const tenants[] = {"x", "a", "a", "a", "b", "b", "c"};
	static const uint64_t want[] = {0, 1, 4, 6, 2, 5, 3};
	struct httpd_req v[7];
	struct queries *q = start(1, 0);
	(void)state;
	for (size_t i = 0; i < 7; i++) {
		v[i] = (struct httpd_req)REQUEST(i);
		queries_add(q, &v[i], str_c(tenants[i]));
		if (i == 0) until_begun(1);
	}
	let_through(7);
	until_begun(7);
	for (size_t i = 0; i < 7; i++) assert_int_equal(gate.began[i], want[i]);
	queries_free(q);
}

static void a_full_queue_refuses(void **state)
{
	struct httpd_req v[] = {REQUEST(1), REQUEST(2), REQUEST(3), REQUEST(4)};
	struct queries *q = start(1, 1);
	(void)state;
	queries_add(q, &v[0], STR("a"));
	until_begun(1);
	queries_add(q, &v[1], STR("a"));
	queries_add(q, &v[2], STR("a"));
	assert_int_equal(v[2].status, 429);
	assert_non_null(strstr(buf_cstr(&v[2].body), "frontend.max_outstanding_per_tenant"));
	queries_add(q, &v[3], STR("b"));
	assert_int_equal(v[3].replies, 0);
	let_through(3);
	queries_free(q);
	assert_int_equal(v[3].replies, 1);
	buf_free(&v[2].body);
}

static void note(void *ud, const struct query_info *i)
{
	buf_printf(ud, "%llu %.*s %.*s %s;", (unsigned long long)i->id, STR_ARG(i->tenant), STR_ARG(i->text),
		   i->ran < 0 ? "waits" : "runs");
}

static void a_tenant_sees_and_cancels_its_own(void **state)
{
	const struct str both[] = {STR("a"), STR("b")};
	struct httpd_req v[] = {REQUEST(1), REQUEST(2), REQUEST(3), REQUEST(5)}, asking = REQUEST(9);
	struct queries *q = start(1, 0);
	struct buf b = {0};
	(void)state;
	queries_add(q, &v[0], STR("a"));
	until_begun(1);
	queries_add(q, &v[1], STR("b"));
	queries_add(q, &v[2], STR("a"));
	queries_add(q, &v[3], STR("a|b"));
	queries_each(q, both, 1, note, &b);
	assert_string_equal(buf_cstr(&b), "1 a {app} runs;3 a {app} waits;");
	buf_clear(&b);
	queries_each(q, both, 2, note, &b);
	assert_string_equal(buf_cstr(&b), "1 a {app} runs;2 b {app} waits;3 a {app} waits;5 a|b {app} waits;");
	assert_false(queries_cancel(q, &asking, both, 1, 2));
	assert_false(queries_cancel(q, &asking, both, 1, 4));
	assert_false(queries_cancel(q, &asking, both, 1, 5));
	assert_false(asking.cancelled);
	assert_true(queries_cancel(q, &asking, both + 1, 1, 2));
	assert_true(atomic_exchange(&asking.cancelled, false));
	assert_true(queries_cancel(q, &asking, both, 2, 5));
	assert_true(asking.cancelled);
	let_through(4);
	queries_free(q);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tenant_has_its_share),
		cmocka_unit_test(tenants_take_turns),
		cmocka_unit_test(a_full_queue_refuses),
		cmocka_unit_test(a_tenant_sees_and_cancels_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
