/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tail: shows lines as the server receives them, over a WebSocket, until the command is interrupted.
 *
 * First come the last --limit or --lines lines since --from, oldest first. When the connection breaks, or the server
 * stops or ends the tail by its own limit of time, it is opened again from where it was; what was shown is not shown
 * again. It gives up when there is no answer for --timeout. */
#ifndef LARCH_CLI_TAIL_H
#define LARCH_CLI_TAIL_H

#include "cli/cli.h"

bool tail_run(struct cli *c, struct err *e);

#endif
