/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tail: a log query over what is pushed from now on, every stage of it.
 *
 * Rows come in the order in which they became visible; each is copied out and the receiver's. Stages that look at all
 * lines of an answer (sort, uniq, top) and metrics are refused. A tail holds EXEC_TAIL_BYTES of the memory for queries,
 * besides what is unread, and no thread. One thread at a time; wake() is called by whoever fills heads.
 * Errors of exec_tail_open(): those of exec_run(), with Loki's texts. */
#ifndef LARCH_SERVER_EXEC_TAIL_H
#define LARCH_SERVER_EXEC_TAIL_H

#include "server/exec/exec.h"
#include "server/exec/kept.h"

struct exec_tail;

#define EXEC_TAIL_BYTES ((size_t)512 << 10)

/* source: the tenant; its snap is set to what was there before, for the caller to read and free. Of q the range and the
 * limit are only checked, sources and cancel not looked at; nothing is borrowed. */
struct exec_tail *exec_tail_open(struct exec_engine *en, struct store *st, const struct exec_query *q,
				 struct exec_source *source, void (*wake)(void *ud), void *ud, struct err *e);
/* Runs the stages over some of what has come; `row` owns each row it gets (free()). False: there was nothing, or the
 * error. */
bool exec_tail_next(struct exec_tail *t, void (*row)(void *ud, struct kept *k), void *ud, struct err *e);
uint64_t exec_tail_lost(struct exec_tail *t); /* entries that came too fast, of any stream, since the last call */
size_t exec_tail_streams(const struct exec_tail *t); /* of which something has come */
void exec_tail_close(struct exec_tail *t);    /* NULL is nothing */

#endif
