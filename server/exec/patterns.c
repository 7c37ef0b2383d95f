/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/patterns.h"

#include "server/exec/op_scan.h"
#include "server/exec/query.h"

#include <stdlib.h>

#define LEVEL STR("detected_level")

struct mining {
	struct query *q;
	int64_t base; /* where step 0 begins */
	struct plan plan;
	struct scan_task *tasks;
	size_t n_tasks;
	pthread_mutex_t lock; /* guards the rest */
	struct miner **done;  /* by task: finished, and an earlier one is not */
	size_t next;          /* the first task that is not in all */
	struct miner all;
};

/* Bytes that a miner holds are the query's. */
struct charged {
	struct query *q;
	size_t bytes;
};

static void charge(struct charged *c, const struct miner *m)
{
	size_t now = miner_bytes(m);
	if (now > c->bytes)
		query_charge(c->q, now - c->bytes);
	else
		query_release(c->q, c->bytes - now);
	c->bytes = now;
}

static void mine_batch(const struct mining *mn, struct miner *m, const struct exec_batch *b)
{
	int64_t step = mn->q->in->step;
	for (size_t i = 0; i < b->n_sel; i++) {
		const struct row *r = &b->rows[b->sel[i]];
		miner_add(m, row_get(r, LEVEL, NULL), r->line, (uint32_t)((r->ts - mn->base) / step));
	}
}

/* Takes over the miner. Those that come too early wait for their turn. */
static void give(struct mining *mn, size_t task, struct miner *m)
{
	struct charged merging = {.q = mn->q};
	pthread_mutex_lock(&mn->lock);
	mn->done[task] = m;
	merging.bytes = miner_bytes(&mn->all);
	for (; mn->next < mn->n_tasks && mn->done[mn->next]; mn->next++) {
		struct miner *in_turn = mn->done[mn->next];
		miner_merge(&mn->all, in_turn);
		query_release(mn->q, miner_bytes(in_turn));
		miner_free(in_turn);
		free(in_turn);
		mn->done[mn->next] = NULL;
		charge(&merging, &mn->all);
	}
	pthread_mutex_unlock(&mn->lock);
}

static void mine_task(void *ud, size_t i)
{
	struct mining *mn = ud;
	struct miner *m = mem_alloc(sizeof *m);
	struct charged held = {.q = mn->q};
	struct exec_batch *b;
	struct err e = ERR_INIT;
	miner_init(m);
	struct op_scan *s = op_scan_open(mn->q, &mn->plan, &mn->tasks[i], true, SCAN_BY_TIME, &e);
	while (s && op_scan_next(s, &b, &e)) {
		mine_batch(mn, m, b);
		charge(&held, m);
	}
	op_scan_close(s);
	if (e.code) query_fail(mn->q, i, &e);
	give(mn, i, m);
}

static bool mine(struct query *q, int64_t base, struct miner *out, struct err *e)
{
	struct mining mn = {.q = q, .base = base};
	plan_log(&q->arena, q->ast->root->log, &mn.plan);
	if (mn.plan.group || mn.plan.sort)
		return err_set(e, ERR_INVALID, "sort, uniq and top have no patterns: leave them out");
	if (!scan_tasks(q, &mn.plan, q->in->start, q->in->end, false, &mn.tasks, &mn.n_tasks, e)) return false;
	pthread_mutex_init(&mn.lock, NULL);
	mn.done = arena_zalloc(&q->arena, (mn.n_tasks + 1) * sizeof *mn.done);
	miner_init(&mn.all);
	bool ok = query_run(q, mn.n_tasks, mine_task, &mn, e);
	pthread_mutex_destroy(&mn.lock);
	query_charge(q, miner_bytes(&mn.all)); /* for its second copy */
	ok = ok && query_check(q, e);
	if (ok)
		miner_finish(&mn.all);
	else
		miner_free(&mn.all);
	*out = mn.all;
	return ok;
}

int64_t exec_patterns_base(const struct exec_query *q)
{
	int64_t into = q->start % q->step;
	return q->start - into - (into < 0 ? q->step : 0);
}

bool exec_patterns(struct exec_engine *en, const struct exec_query *in, struct miner *out, struct err *e)
{
	struct query q;
	struct exec_query moved = *in;
	moved.limit = 1;
	query_begin(&q, en, &moved);
	bool ok = query_parse(&q, e);
	if (ok && !logql_is_log(q.ast->root)) ok = err_set(e, ERR_INVALID, "only log selector is supported");
	if (ok && query_look_back(&q, &moved))
		ok = mine(&q, exec_patterns_base(in), out, e);
	else
		miner_init(out);
	query_end(&q);
	return ok;
}
