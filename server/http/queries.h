/* SPDX-License-Identifier: GPL-2.0-or-later */
/* queries: requests that read entries, on threads of their own, so that none keeps a push waiting.
 *
 * They wait in one queue per tenant. Threads take from the tenants in turn, and from one tenant no more at once than
 * its share, so that who asks much or heavily waits for himself. A request that is not answered yet can be listed and
 * cancelled. One mutex; nothing is run or answered under it.
 *
 * What takes any time, an export to a slow client, runs in pieces: a job is listed and can be cancelled as long as it
 * is there, has a thread only while it has something to do, and the jobs of one tenant have half of its share together.
 *
 * A queue that is full refuses with 429 and names its setting; what waits is bounded by the server's connections, too.
 */
#ifndef LARCH_SERVER_HTTP_QUERIES_H
#define LARCH_SERVER_HTTP_QUERIES_H

#include "common/clock.h"
#include "common/httpd.h"
#include "common/metrics.h"

struct queries;

struct queries_config {
	unsigned threads;   /* at least 1 */
	unsigned share;     /* threads that one tenant may have; 0: half of them, rounded up */
	size_t max_waiting; /* per tenant; 0: no limit */
	struct clock *clock;
	struct metrics *metrics; /* METRIC_QUERY_QUEUE_SECONDS and _LENGTH; NULL: none */
};

/* NULL: no threads. */
struct queries *queries_new(const struct queries_config *c, struct err *e);
void queries_free(struct queries *q); /* when the HTTP server has stopped */

/* Runs the request's handler later, or refuses it. tenant: whose queue it is; of several tenants, a|b. */
void queries_add(struct queries *q, struct httpd_req *r, struct str tenant);

/* ---- jobs ---- */

struct queries_job;

struct queries_work {
	struct str tenant, text, peer; /* copied */
	const char *route;
	uint64_t id;
	/* On one of the threads, never twice at a time: once at first, then when it is woken, and once when nobody woke
	 * it for two seconds, to give back what others may need. It soon gives the thread back. False: it is over, and
	 * `ud` no longer the queue's business. */
	bool (*run)(void *ud);
	void *ud;
	_Atomic bool *cancel; /* set by queries_cancel(), which wakes, too */
	size_t max_of_tenant; /* jobs that it may have */
};

/* Not run before queries_job_wake(). NULL: ERR_RATE, the tenant has as many as it may; `what` names them and `key` the
 * setting. */
struct queries_job *queries_job_new(struct queries *q, const struct queries_work *w, const char *what, const char *key,
				    struct err *e);
void queries_job_wake(struct queries_job *j); /* any thread, also while it runs; takes only the queue's lock */

struct queries_figures {
	size_t waiting, running;
};
void queries_figures(struct queries *q, struct queries_figures *out);

struct query_info {
	uint64_t id;
	struct str tenant, route, text, peer; /* text: of the parameter `query`, cut */
	int64_t waited, ran;                  /* ns; ran < 0: it waits */
};
/* Calls fn for each request of these tenants, which are sorted, and of nobody else besides (n 0: of all), oldest
 * first. Borrowed for the call. */
void queries_each(struct queries *q, const struct str *tenants, size_t n,
		  void (*fn)(void *ud, const struct query_info *i), void *ud);
/* Cancels what one or some of these tenants (n 0: anybody) asked; its client gets the error of a cancelled query.
 * False: there is no such request. */
bool queries_cancel(struct queries *q, struct httpd_req *asking, const struct str *tenants, size_t n, uint64_t id);
/* How long the request that is being handled had to wait; 0: it did not. */
int64_t queries_waited(struct queries *q, const struct httpd_req *r);

#endif
