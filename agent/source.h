/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source: where a job's lines come from. One row in sources.def and one file source_NAME.c each.
 *
 * A source has its own timers and descriptors on the loop. When it has something to read it says so
 * (env->ready) and reads only when it is asked to (pump), one bounded piece at a time, so that sources
 * share the time and stand still while a client's queue is full. What it reads goes into the batch that
 * pump is given; entries borrow from the source until pump is called again.
 * Rows are counted by a struct acks that entries' origins point at; progress is saved from there.
 * One thread: the agent's loop. */
#ifndef LARCH_AGENT_SOURCE_H
#define LARCH_AGENT_SOURCE_H

#include "agent/config.h"
#include "agent/ledger.h"
#include "agent/positions.h"
#include "agent/relabel.h"
#include "agent/watch.h"
#include "common/json.h"
#include "common/loop.h"
#include "common/metrics.h"
#include "pipeline/entry.h"

struct source_env {
	struct loop *loop;
	struct clock *clock;
	const struct agent_config *conf;
	const struct job_conf *job;
	const struct relabel *relabel; /* of the job */
	struct metrics *metrics;
	struct ledger *ledger;
	struct positions *positions;
	struct watch *watch;        /* NULL: poll */
	const char *const *clients; /* names, in the order of acks' columns */
	size_t nclients;
	void (*ready)(void *ud);    /* pump would find something */
	void (*finished)(void *ud); /* nothing will ever come again (end of standard input) */
	void *ud;
};

enum pump { PUMP_IDLE, PUMP_MORE };

struct source_type {
	const char *name;
	bool once; /* what was read cannot be read again at the next start */
	bool (*wants)(const struct job_conf *job);
	/* Everything that can be wrong with the configuration, without touching what it names. */
	bool (*check)(const struct job_conf *job, const struct relabel *r, struct err *e);
	void *(*start)(const struct source_env *env, struct err *e);
	enum pump (*pump)(void *s, struct batch *b);
	/* Brings ledger and positions up to date; true when something changed. */
	bool (*save)(void *s);
	void (*changed)(void *s, struct str path); /* the watch's events; NULL: not interested */
	void (*names)(void *s);
	bool (*is_ready)(void *s);                     /* as /ready means it: something is being read */
	void (*describe)(void *s, struct json_out *o); /* an array element for each target */
	void (*stop)(void *s);                         /* frees s; clients have let go of its rows */
};

const struct source_type *source_for(const struct job_conf *job); /* NULL: none */

#endif
