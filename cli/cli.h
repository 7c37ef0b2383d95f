/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cli: larchctl's commands as a table, and what each of them is given.
 *
 * A command is one row of commands.def and one file cmd_<name>.c that defines `const struct cli_command
 * cmd_<name>`. Output is gathered in cli.out and written by cli_flush(). One thread.
 *
 * Exit codes are stable: 0 done (finding nothing is no failure), 1 the server or the network failed,
 * 2 the command line is wrong. */
#ifndef LARCH_CLI_CLI_H
#define LARCH_CLI_CLI_H

#include "cli/options.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"

enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli {
	struct options o;
	struct clock *clock;
	struct buf out; /* for standard output */
	bool tty;       /* standard output is a terminal: control characters are shown, not sent */
	bool color;
};

struct cli_command {
	const char *name, *args; /* "query", "QUERY" */
	const char *summary;     /* one line */
	const char *help;        /* paragraphs, ended by a newline */
	const char *examples;    /* lines "# what\n  command\n" */
	unsigned options;        /* set of option_group */
	size_t min_args, max_args;
	bool (*run)(struct cli *c, struct err *e);
};

int cli_main(int argc, char **argv);

bool cli_flush(struct cli *c, struct err *e);
/* One line on standard error, unless --quiet. */
void cli_note(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define COMMAND(name) extern const struct cli_command cmd_##name;
#include "cli/commands.def"
#undef COMMAND

#endif
