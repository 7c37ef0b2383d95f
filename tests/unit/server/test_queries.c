/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/queries.h"

#include "tests/unit/server/fake_httpd.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

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

/* ---- jobs ---- */

struct work {
	struct queries_job *job;
	_Atomic unsigned runs;
	_Atomic bool cancelled, hold;
	unsigned wakes_itself; /* so many times */
};

/* Over when it is cancelled; counts how often it runs. */
static bool do_work(void *ud)
{
	struct work *w = ud;
	if (atomic_load(&w->hold)) wait_at_gate(&(struct httpd_req){.id = 77});
	if (atomic_load(&w->cancelled)) return false;
	if (w->wakes_itself) {
		w->wakes_itself--;
		queries_job_wake(w->job);
	}
	atomic_fetch_add(&w->runs, 1);
	return true;
}

static struct queries_job *new_job(struct queries *q, struct work *w, const char *tenant, uint64_t id, struct err *e)
{
	*e = ERR_INIT;
	w->job = queries_job_new(q,
				 &(struct queries_work){.tenant = str_c(tenant),
							.text = STR("{app}"),
							.peer = STR("peer"),
							.route = "job",
							.id = id,
							.run = do_work,
							.ud = w,
							.cancel = &w->cancelled,
							.max_of_tenant = 2},
				 "jobs", "larch.jobs", e);
	return w->job;
}

static void until(_Atomic unsigned *v, unsigned n)
{
	while (atomic_load(v) < n) usleep(500);
}

static void jobs_run_when_they_are_woken(void **state)
{
	struct work a = {.wakes_itself = 3}, b = {0}, c = {0};
	struct queries *q = start(2, 0);
	struct httpd_req asking = {0};
	struct str own = STR("t"), other = STR("other");
	struct buf list = {0};
	struct err e;
	(void)state;
	assert_non_null(new_job(q, &a, "t", 1, &e));
	assert_non_null(new_job(q, &b, "t", 2, &e));
	assert_null(new_job(q, &c, "t", 3, &e));
	assert_int_equal(e.code, ERR_RATE);
	assert_string_equal(e.msg, "too many jobs: this tenant has 2 of them already (larch.jobs)");
	usleep(5000);
	assert_int_equal(a.runs, 0); /* nobody has woken it */
	queries_job_wake(a.job);
	until(&a.runs, 4);
	queries_job_wake(b.job);
	until(&b.runs, 1);
	queries_each(q, &own, 1, note, &list);
	assert_non_null(strstr(buf_cstr(&list), "1 t {app} runs;2 t {app} runs;"));
	/* Nobody wakes them: they run once more, to give back what they hold. */
	until(&a.runs, 5);
	until(&b.runs, 2);
	assert_false(queries_cancel(q, &asking, &other, 1, 1));
	assert_true(queries_cancel(q, &asking, &own, 1, 1));
	assert_true(queries_cancel(q, &asking, &own, 1, 2));
	while (new_job(q, &c, "t", 4, &e) == NULL) usleep(500); /* their places are free */
	assert_true(queries_cancel(q, &asking, NULL, 0, 4));
	queries_free(q);
	assert_int_equal(a.runs, 5);
	buf_free(&list);
}

/* Jobs have half of a tenant's share, whatever they do, and requests come through. */
static void jobs_leave_threads_to_requests(void **state)
{
	struct work a = {.hold = true}, b = {.hold = true};
	struct httpd_req v[] = {REQUEST(1), REQUEST(2)};
	struct queries *q = start(4, 0); /* a share is 2 */
	struct queries_figures f;
	struct err e;
	(void)state;
	queries_job_wake(new_job(q, &a, "t", 10, &e));
	queries_job_wake(new_job(q, &b, "t", 11, &e));
	until_begun(1);
	queries_add(q, &v[0], STR("t"));
	queries_add(q, &v[1], STR("t"));
	until_begun(2);
	queries_figures(q, &f);
	assert_int_equal(f.running, 2);
	assert_int_equal(f.waiting, 1);
	a.hold = b.hold = false;
	a.cancelled = b.cancelled = true;
	let_through(3);
	until_begun(3);
	while (v[1].replies == 0) usleep(500);
	queries_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tenant_has_its_share),       cmocka_unit_test(tenants_take_turns),
		cmocka_unit_test(a_full_queue_refuses),         cmocka_unit_test(a_tenant_sees_and_cancels_its_own),
		cmocka_unit_test(jobs_run_when_they_are_woken), cmocka_unit_test(jobs_leave_threads_to_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
