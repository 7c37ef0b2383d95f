/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/version.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct cli_command *const commands[] = {
#define COMMAND(name) &cmd_##name,
#include "cli/commands.def"
#undef COMMAND
};

#define COMMANDS    (sizeof commands / sizeof *commands)
#define NEAR_ENOUGH 2 /* edits between a wrong command and the one suggested */

bool cli_flush(struct cli *c, struct err *e)
{
	struct str left = buf_view(&c->out);

	while (left.n) {
		ssize_t n = write(STDOUT_FILENO, left.p, left.n);

		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return err_errno(e, "standard output");
		left = str_from(left, (size_t)n);
	}
	buf_clear(&c->out);
	return true;
}

void cli_note(const struct cli *c, const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;

	if (c->o.quiet) return;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	fprintf(stderr, "larchctl: %s\n", buf_cstr(&b));
	buf_free(&b);
}

static void general_help(struct buf *b)
{
	buf_c(b, "larchctl talks to a Larch server (or Loki).\n\nUsage: larchctl COMMAND [OPTION…] "
		 "[ARGUMENT…]\n\nCommands:\n");
	for (size_t i = 0; i < COMMANDS; i++) buf_printf(b, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
	buf_c(b, "\nOptions of every command:\n");
	options_help(b, OPTIONS_CONNECT);
	buf_c(b,
	      "      --version               print the version\n"
	      "\n`larchctl COMMAND --help` explains a command with examples.\n"
	      "Exit codes: 0 done (finding nothing is no failure), 1 server or network error, 2 wrong command line.\n");
}

static void command_help(struct buf *b, const struct cli_command *cmd)
{
	buf_printf(b, "larchctl %s: %s\n\nUsage: larchctl %s [OPTION…]%s%s\n\n%s\nOptions:\n", cmd->name, cmd->summary,
		   cmd->name, *cmd->args ? " " : "", cmd->args, cmd->help);
	options_help(b, cmd->options);
	buf_printf(b, "\nExamples:\n%s", cmd->examples);
}

static const struct cli_command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0) return commands[i];
	return NULL;
}

static void unknown_command(const char *name, struct err *e)
{
	if (name[0] == '-') {
		err_set(e, ERR_INVALID, "the command comes first, before %s", name);
		return;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (str_distance(str_c(name), str_c(commands[i]->name), NEAR_ENOUGH) > NEAR_ENOUGH) continue;
		err_set(e, ERR_INVALID, "there is no command \"%s\"; did you mean %s?", name, commands[i]->name);
		return;
	}
	err_set(e, ERR_INVALID, "there is no command \"%s\"", name);
}

static int usage_error(const char *cmd, const struct err *e)
{
	fprintf(stderr, "larchctl%s%s: %s\nlarchctl%s%s --help tells more.\n", cmd ? " " : "", cmd ? cmd : "", e->msg,
		cmd ? " " : "", cmd ? cmd : "");
	return CLI_USAGE;
}

static bool check_args(const struct cli_command *cmd, const struct options *o, struct err *e)
{
	if (o->args.n < cmd->min_args) return err_set(e, ERR_INVALID, "%s is missing", cmd->args);
	if (o->args.n > cmd->max_args)
		return err_set(e, ERR_INVALID, "\"%s\" is one argument too many; quote what has blanks",
			       o->args.v[cmd->max_args]);
	return true;
}

static int run(const struct cli_command *cmd, int argc, char **argv)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	struct cli c = {.clock = &clock_real, .tty = isatty(STDOUT_FILENO)};
	struct err e = ERR_INIT;
	int rc = CLI_OK;

	c.color = c.tty && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
	if (!options_parse(&c.o, cmd->options, argc, argv, 2, &e)) {
		rc = usage_error(cmd->name, &e);
	} else if (c.o.help) {
		command_help(&c.out, cmd);
	} else if (!check_args(cmd, &c.o, &e) ||
		   ((cmd->options & OPTIONS_RANGE) && !options_range(&c.o, clock_wall(c.clock), &e))) {
		rc = usage_error(cmd->name, &e);
	} else if (!cmd->run(&c, &e)) {
		cli_flush(&c, &(struct err){0}); /* what came before the failure */
		if (e.code == ERR_INVALID) {
			rc = usage_error(cmd->name, &e);
		} else {
			fprintf(stderr, "larchctl: %s\n", e.msg);
			rc = CLI_FAILED;
		}
	}
	if (rc == CLI_OK && !cli_flush(&c, &e)) {
		fprintf(stderr, "larchctl: %s\n", e.msg);
		rc = CLI_FAILED;
	}
	buf_free(&c.out);
	options_free(&c.o);
	return rc;
}

int cli_main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";
	const struct cli_command *cmd = find(name);
	struct cli c = {0};
	struct err e = ERR_INIT;
	bool ok;

	if (cmd) return run(cmd, argc, argv);
	if (strcmp(name, "--version") == 0) {
		buf_c(&c.out, "larchctl " LARCH_VERSION "\n");
	} else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		general_help(&c.out);
	} else {
		unknown_command(name, &e);
		return usage_error(NULL, &e);
	}
	ok = cli_flush(&c, &e);
	buf_free(&c.out);
	return !ok ? CLI_FAILED : argc > 1 ? CLI_OK : CLI_USAGE;
}
