/* SPDX-License-Identifier: GPL-2.0-or-later */
/* options: larchctl's command line options, as a table shared by all commands.
 *
 * A row has a name, perhaps a letter, an environment variable and a default; a command takes the rows of its
 * groups. Values borrow from argv and the environment. Errors name the option and what would be right. */
#ifndef LARCH_CLI_OPTIONS_H
#define LARCH_CLI_OPTIONS_H

#include "common/buf.h"
#include "common/err.h"

enum option_group {
	OPTIONS_CONNECT = 1, /* of every command */
	OPTIONS_RANGE = 2,
	OPTIONS_QUERY = 4,
	OPTIONS_OUTPUT = 8,
	OPTIONS_PUSH = 16,
	OPTIONS_DELETE = 32,
	OPTIONS_SEGMENT = 64,
	OPTIONS_TAIL = 128,
	OPTIONS_EXPORT = 256,
	OPTIONS_CONTEXT = 512
};

enum output { OUTPUT_DEFAULT, OUTPUT_RAW, OUTPUT_JSONL };

struct options_list {
	const char **v;
	size_t n, cap;
};

struct options {
	const char *server, *tenant;
	const char *user, *secret; /* secret: "@FILE" or itself */
	const char *ca_file, *cert_file, *key_file;
	int64_t timeout_ns;
	bool quiet, help;

	const char *since, *from, *to; /* as given */
	int64_t start, end;            /* ns, [start, end): set by options_range() */

	uint64_t limit;  /* 0: none */
	int64_t step_ns; /* 0: the server's choice */
	bool forward, instant, tail;
	int64_t delay_ns; /* tail */
	bool backward; /* export */
	const char *cursor;
	const char *at, *line, *before, *after, *around; /* context */

	int output; /* enum output */

	struct options_list labels, metadata; /* "k=v" */
	bool json;

	bool force; /* delete cancel */

	const char *match; /* segment dump: a selector */

	struct options_list args; /* what is no option */
};

/* argv[from …] by the rows of groups. ERR_INVALID: wrong command line. */
bool options_parse(struct options *o, unsigned groups, int argc, char *const *argv, int from, struct err *e);
void options_free(struct options *o);
/* Sets start and end from --since, --from and --to. */
bool options_range(struct options *o, int64_t now, struct err *e);
void options_help(struct buf *b, unsigned groups);

#endif
