/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/tail.h"

#include "server/exec/op_scan.h"
#include "server/exec/query.h"
#include "server/exec/rows.h"

#include <stdlib.h>

struct exec_tail {
	struct query q;
	struct exec_query in;
	struct plan plan;
	struct follow *follow;
	struct op_scan *scan;
};

static void follow(struct exec_tail *t, struct store *st, struct exec_source *source, void (*wake)(void *ud), void *ud)
{
	struct follow_opts o = {.tenant = source->tenant,
				.matchers = t->plan.selector->v,
				.nmatchers = t->plan.selector->n,
				.memory = &t->q.shared->bytes,
				.wake = wake,
				.ud = ud};
	t->follow = follow_open(st, &o, &source->snap);
	t->scan = op_scan_follow(&t->q, &t->plan, t->follow);
}

struct exec_tail *exec_tail_open(struct exec_engine *en, struct store *st, const struct exec_query *q,
				 struct exec_source *source, void (*wake)(void *ud), void *ud, struct err *e)
{
	struct exec_tail *t = mem_zalloc(sizeof *t);
	t->in = *q;
	t->in.cancel = NULL;
	t->in.sources = NULL; /* what a tail will read is not known */
	t->in.n_sources = 0;
	query_init(&t->q, en, &t->in);
	t->q.deadline_mono = 0;
	t->in.text = arena_str(&t->q.arena, q->text);
	bool ok = query_parse(&t->q, e) && rows_plan(&t->q, &t->plan, e);
	if (ok && !budget_take(&t->q.shared->bytes, EXEC_TAIL_BYTES)) ok = query_too_large(&t->q, e);
	if (!ok) {
		query_fini(&t->q);
		free(t);
		return NULL;
	}
	t->in.limits = NULL;
	follow(t, st, source, wake, ud);
	return t;
}

bool exec_tail_next(struct exec_tail *t, void (*row)(void *ud, struct kept *k), void *ud, struct err *e)
{
	struct exec_batch *b;
	if (!op_scan_next(t->scan, &b, e)) return false;
	for (size_t i = 0; i < b->n_sel; i++) row(ud, kept_new(b->arena, &b->rows[b->sel[i]], t->in.categorize));
	return true;
}

uint64_t exec_tail_lost(struct exec_tail *t) { return follow_lost(t->follow); }

size_t exec_tail_streams(const struct exec_tail *t) { return follow_streams(t->follow); }

void exec_tail_close(struct exec_tail *t)
{
	if (!t) return;
	op_scan_close(t->scan);
	follow_close(t->follow);
	budget_give(&t->q.shared->bytes, EXEC_TAIL_BYTES);
	query_fini(&t->q);
	free(t);
}
