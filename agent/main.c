/* SPDX-License-Identifier: GPL-2.0-or-later */
/* larch-agent: the command line. Exit status: 0 done, 1 bad configuration or failure, 2 bad usage. */
#include "agent/agent.h"
#include "agent/config/promtail.h"
#include "agent/stats.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/version.h"
#include "pipeline/pipeline.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFIG_MAX (16u << 20)

struct options {
	const char *config_file; /* comma-separated candidates */
	bool expand_env, check_syntax, dry_run, inspect, use_stdin, print_config, log_config, list_metrics, version, help;
	struct promtail_flag *flags;
	size_t nflags, cap_flags;
};

struct program_flag {
	const char *name;
	size_t off; /* of a bool, or of config_file */
	bool takes_value;
	const char *doc;
};

static const struct program_flag program_flags[] = {
	{"config.file", offsetof(struct options, config_file), true,
	 "Configuration file; of a comma-separated list the first that exists."},
	{"config.expand-env", offsetof(struct options, expand_env), false,
	 "Replace ${VAR} and ${VAR:-default} in the file."},
	{"check-syntax", offsetof(struct options, check_syntax), false,
	 "Check everything that a start would check, and end."},
	{"dry-run", offsetof(struct options, dry_run), false,
	 "Print entries on standard output instead of sending; save nothing."},
	{"inspect", offsetof(struct options, inspect), false, "Print on standard error what each stage changes."},
	{"stdin", offsetof(struct options, use_stdin), false, "Read standard input through the first scrape config."},
	{"print-config-stderr", offsetof(struct options, print_config), false,
	 "Print the effective configuration on standard error."},
	{"log-config-reverse-order", offsetof(struct options, log_config), false,
	 "Log the effective configuration, last line first."},
	{"list-metrics", offsetof(struct options, list_metrics), false, "Print what /metrics has, in Markdown."},
	{"version", offsetof(struct options, version), false, "Print the version."},
	{"help", offsetof(struct options, help), false, "Print this text."},
};
#define PROGRAM_FLAGS (sizeof program_flags / sizeof *program_flags)

static const char usage_head[] = "larch-agent reads log files, systemd's journal or standard input, runs each line\n"
				 "through pipeline stages, and pushes it to a Loki or Larch server.\n"
				 "\n"
				 "Examples:\n"
				 "  larch-agent -config.file=/etc/larch/agent.yaml\n"
				 "  larch-agent -config.file=agent.yaml -check-syntax\n"
				 "  larch-agent -config.file=agent.yaml -dry-run -inspect\n"
				 "  dmesg | larch-agent -stdin -client.url=http://localhost:3100/loki/api/v1/push\n"
				 "\n"
				 "Flags (one dash or two; -flag=value or -flag value):\n";

static void print_usage(void)
{
	struct buf b = {0};
	size_t n;
	const struct stage_info *stages = pipeline_stages(&n);

	buf_c(&b, usage_head);
	for (size_t i = 0; i < PROGRAM_FLAGS; i++)
		buf_printf(&b, "  -%s%s\n\t%s\n", program_flags[i].name, program_flags[i].takes_value ? " value" : "",
			   program_flags[i].doc);
	buf_c(&b, "\nFlags that override the configuration file:\n");
	promtail_flags_help(&b);
	buf_c(&b, "\nPipeline stages:\n");
	for (size_t i = 0; i < n; i++) buf_printf(&b, "  %-20s %s\n", stages[i].name, stages[i].doc);
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
}

static const struct program_flag *find_program_flag(struct str name)
{
	if (str_eqc(name, "h")) name = STR("help");
	for (size_t i = 0; i < PROGRAM_FLAGS; i++)
		if (str_eqc(name, program_flags[i].name)) return &program_flags[i];
	return NULL;
}

static bool set_program_flag(struct options *o, const struct program_flag *f, struct str name, const char *value,
			     struct err *e)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = {{"true", true}, {"false", false}, {"1", true},    {"0", false},
		     {"t", true},    {"f", false},     {"TRUE", true}, {"FALSE", false}};

	if (f->takes_value) {
		*(const char **)((char *)o + f->off) = value;
		return true;
	}
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(value, words[i].text) == 0) {
			*(bool *)((char *)o + f->off) = words[i].value;
			return true;
		}
	return err_set(e, ERR_INVALID, "-%.*s: \"%s\" is not true or false", STR_ARG(name), value);
}

static bool parse_args(struct options *o, int argc, char **argv, struct err *e)
{
	for (int i = 1; i < argc; i++) {
		struct str arg = str_c(argv[i]), name;
		if (arg.n < 2 || arg.p[0] != '-')
			return err_set(e, ERR_INVALID, "unexpected argument \"%s\"; all settings are flags", argv[i]);
		arg = str_from(arg, arg.p[1] == '-' ? 2 : 1);
		bool has_value = str_cut(&arg, '=', &name), is_bool;
		const struct program_flag *f = find_program_flag(name);
		if (f)
			is_bool = !f->takes_value;
		else if (!promtail_flag_known(name, &is_bool))
			return err_set(e, ERR_INVALID, "unknown flag \"%s\"; -help lists all", argv[i]);
		if (!has_value && !is_bool && ++i == argc)
			return err_set(e, ERR_INVALID, "flag -%.*s needs a value", STR_ARG(name));
		const char *value = has_value ? arg.p : is_bool ? "true" : argv[i];
		if (f) {
			if (!set_program_flag(o, f, name, value, e)) return false;
			continue;
		}
		MEM_GROW(o->flags, o->nflags, o->cap_flags);
		o->flags[o->nflags++] = (struct promtail_flag){name, str_c(value)};
	}
	return true;
}

static void notice(void *ud, const char *keys)
{
	(void)ud;
	log_info("these settings have no meaning here and are ignored", kv_c("keys", keys));
}

/* The first file of the list that exists. */
static bool read_config(const char *list, struct buf *text, char **path, struct err *e)
{
	struct str rest = str_c(list), one;
	bool more = true;

	while (more) {
		more = str_cut(&rest, ',', &one);
		free(*path);
		*path = mem_strndup(one.p, one.n);
		struct err fe = ERR_INIT;
		if (fs_read_file(&fs_real, *path, CONFIG_MAX, text, &fe)) return true;
		if (fe.code == ERR_NOT_FOUND && more) continue;
		*e = fe;
		return false;
	}
	return false;
}

static struct agent_config *load(const struct options *o, struct err *e)
{
	struct buf text = {0};
	char *path = mem_strdup("");
	struct agent_config *c = NULL;

	if (!o->config_file || read_config(o->config_file, &text, &path, e)) {
		struct promtail_source src = {.file = path,
					      .text = buf_view(&text),
					      .expand_env = o->expand_env,
					      .flags = o->flags,
					      .nflags = o->nflags,
					      .want_stdin = o->use_stdin,
					      .want_client = !o->dry_run,
					      .notice = notice};
		c = promtail_load(&src, e);
	}
	free(path);
	buf_free(&text);
	return c;
}

static void print_config(const struct options *o, const struct agent_config *c)
{
	struct buf b = {0};

	promtail_print(c, &b);
	if (o->print_config) fwrite(b.p, 1, b.n, stderr);
	struct str rest = str_trim(buf_view(&b));
	while (o->log_config && rest.n) {
		ssize_t nl = str_rchr(rest, '\n');
		log_info("configuration", kv_str("line", str_from(rest, (size_t)(nl + 1))));
		rest.n = nl < 0 ? 0 : (size_t)nl;
	}
	buf_free(&b);
	buf_clear(&b);
	for (size_t i = 0; o->dry_run && i < c->clients.n; i++)
		promtail_print_client((const struct client_conf *)c->clients.v + i, &b);
	fwrite(b.p ? b.p : "", 1, b.n, stdout);
	buf_free(&b);
}

static int run(const struct options *o)
{
	struct err e = ERR_INIT;
	struct agent_opts ao = {o->dry_run, o->inspect};
	struct agent_config *c = load(o, &e);
	bool checked = c && agent_check(c, &e);

	if (!checked)
		fprintf(stderr, "Unable to parse config: %s\n", e.msg);
	else if (o->check_syntax)
		printf("Valid config file. No syntax issues found\n");
	else {
		log_set_level((enum log_level)c->server.log_level);
		log_set_json(c->server.log_format == 1);
		print_config(o, c);
		checked = agent_run(c, &ao, &e);
		if (!checked) log_error("the agent cannot go on", kv_err(&e));
	}
	agent_config_free(c);
	return checked ? 0 : 1;
}

static void list_metrics(void)
{
	struct buf b = {0};
	stats_manual(&b);
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct err e = ERR_INIT;
	int status = 0;

	setlocale(LC_CTYPE, "C.UTF-8"); /* case of letters in relabelling; everything else is bytes */
	if (!parse_args(&o, argc, argv, &e)) {
		fprintf(stderr, "larch-agent: %s\n", e.msg);
		status = 2;
	} else if (o.help)
		print_usage();
	else if (o.list_metrics)
		list_metrics();
	else if (o.version)
		printf("larch-agent, version %s\n", LARCH_VERSION);
	else
		status = run(&o);
	free(o.flags);
	return status;
}
