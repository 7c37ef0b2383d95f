/* SPDX-License-Identifier: GPL-2.0-or-later */
/* query: what the parts of the engine share while one query runs. Lives on exec_run()'s stack, or in a tail; fields
 * marked so are touched by several workers. */
#ifndef LARCH_SERVER_EXEC_QUERY_H
#define LARCH_SERVER_EXEC_QUERY_H

#include "common/budget.h"
#include "server/exec/exec.h"
#include "server/exec/pool.h"
#include "server/logql/logql.h"

#include <pthread.h>
#include <stdatomic.h>

/* What all running queries of an engine hold. */
struct exec_memory {
	struct budget bytes;
	_Atomic unsigned queries;
};

struct query {
	const struct exec_query *in;
	struct pool *pool;
	struct clock *clock;
	struct arena arena; /* tree, plans; the main thread's */
	struct logql *ast;
	struct exec_result *out;
	int64_t deadline_mono;      /* 0: none */
	void (*blocked)(void *ud, struct str tenant); /* as exec_config has it */
	void *ud;
	struct exec_memory *shared; /* of all queries */
	_Atomic size_t memory;      /* shared: bytes held by this query so far */
	_Atomic bool stop;          /* shared: a task failed or the client went away */
	pthread_mutex_t lock;       /* guards the rest */
	struct err err;             /* of the failed task with the least number */
	size_t err_task;
	struct exec_stats stats;
};

/* in: as long as the query. */
void query_init(struct query *q, struct exec_engine *en, const struct exec_query *in);
void query_fini(struct query *q);
/* The same for one that runs now, which counts where memory is short. */
void query_begin(struct query *q, struct exec_engine *en, const struct exec_query *in);
void query_end(struct query *q);
bool query_read(struct query *q, struct err *e); /* parses */
/* Parses, checks the limits, compiles. */
bool query_parse(struct query *q, struct err *e);
/* max_query_lookback, applied to `in`: what is older does not exist. False: nothing is left of the range. */
bool query_look_back(const struct query *q, struct exec_query *in);
void query_warn(struct query *q, struct str text); /* of the answer's arena */
/* Once per batch: is there reason to stop? False with the error. */
bool query_check(struct query *q, struct err *e);
/* Accounts for n more bytes held; what is left of them is given back when the query ends. */
void query_charge(struct query *q, size_t n);
void query_release(struct query *q, size_t n); /* some of it is freed before */
/* The refusal for want of memory; false. */
bool query_too_large(struct query *q, struct err *e);
/* A task failed; the others stop at their next batch. */
void query_fail(struct query *q, size_t task, const struct err *e);
/* Runs tasks on the pool; false with the first failed task's error. */
bool query_run(struct query *q, size_t n, void (*fn)(void *ud, size_t i), void *ud, struct err *e);
void query_stats_add(struct query *q, const struct scan_stats *s, uint64_t passed);

#endif
