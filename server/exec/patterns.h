/* SPDX-License-Identifier: GPL-2.0-or-later */
/* patterns: what a log query's lines look like, counted per level and step over the whole range (miner.h).
 *
 * Runs like a log query: every stage counts, and so do its limits, deadline, cancel flag and memory. Tasks have a miner
 * each, which are merged in the order of the tasks: the answer depends on neither threads nor flushes. Errors are those
 * of exec_run(). */
#ifndef LARCH_SERVER_EXEC_PATTERNS_H
#define LARCH_SERVER_EXEC_PATTERNS_H

#include "server/exec/exec.h"
#include "server/exec/miner.h"

/* Step 0 begins at the last multiple of q->step that is not behind q->start. */
int64_t exec_patterns_base(const struct exec_query *q);
/* Most frequent first. q->limit is not looked at. False: nothing to free. */
bool exec_patterns(struct exec_engine *en, const struct exec_query *q, struct miner *out, struct err *e);

#endif
