/* SPDX-License-Identifier: GPL-2.0-or-later */
/* agent: the one place that knows all of the agent's parts and joins them:
 * sources → pipelines → clients, with the ledger and positions beside.
 *
 * agent_run() owns the calling thread until a signal (SIGTERM, SIGINT, SIGHUP), or until standard input
 * ends. Stopping: reading ends, pipelines are flushed, clients send what there is for at most
 * AGENT_GRACE, progress is saved. A second signal ends it at once; nothing is lost, since what was not
 * acknowledged is read again. */
#ifndef LARCH_AGENT_AGENT_H
#define LARCH_AGENT_AGENT_H

#include "agent/config.h"

#define AGENT_GRACE (INT64_C(15) * 1000000000)

struct agent_opts {
	bool dry_run; /* print entries instead of sending; nothing is written */
	bool inspect; /* print what stages change */
};

/* Everything a start would check, without starting. */
bool agent_check(const struct agent_config *c, struct err *e);
bool agent_run(const struct agent_config *c, const struct agent_opts *o, struct err *e);

#endif
