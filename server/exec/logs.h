/* SPDX-License-Identifier: GPL-2.0-or-later */
/* logs: log queries. Tasks run in parallel, each in time order; together they keep the `limit` first entries, and
 * one stops as soon as what it reads lies behind the last of those. Entries with equal times come in the order
 * of their streams' labels, then of arrival, whatever the number of threads. */
#ifndef LARCH_SERVER_EXEC_LOGS_H
#define LARCH_SERVER_EXEC_LOGS_H

#include "server/exec/query.h"

/* Runs a log query into q->out. */
bool logs_query(struct query *q, struct err *e);
#endif
