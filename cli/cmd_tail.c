/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/tail.h"

const struct cli_command cmd_tail = {
	.name = "tail",
	.args = "QUERY",
	.summary = "lines as they come",
	.help = "Shows the last lines since --from, oldest first, and then whatever the server receives, late lines "
		"too,\n"
		"until it is interrupted. A connection that breaks is opened again, and what was shown is not "
		"repeated.\n",
	.examples = "  # what goes on in one service\n"
		    "  larchctl tail '{app=\"api\"}'\n"
		    "  # errors only, nothing of before, for another program\n"
		    "  larchctl tail -q -n 0 -o jsonl '{app=\"api\"} | json | status >= 500'\n"
		    "  # several hosts in order, two seconds behind\n"
		    "  larchctl tail --delay 2s '{job=\"syslog\"}'\n",
	.options = OPTIONS_CONNECT | OPTIONS_RANGE | OPTIONS_TAIL | OPTIONS_OUTPUT,
	.min_args = 1,
	.max_args = 1,
	.run = tail_run,
};
