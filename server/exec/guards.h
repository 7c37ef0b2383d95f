/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guards: may this query run at all? What limits_config says about texts, selectors, ranges and bytes, asked of the
 * parsed query before anything is read. exec_estimate() lives here, too.
 *
 * Errors are ERR_INVALID in Loki's words, each with what was seen, what is allowed, and the setting's name. */
#ifndef LARCH_SERVER_EXEC_GUARDS_H
#define LARCH_SERVER_EXEC_GUARDS_H

#include "server/exec/query.h"

bool guards_check(struct query *q, struct err *e);

#endif
