/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/options.h"

#include "cli/timearg.h"
#include "common/units.h"

#include <stddef.h>
#include <stdlib.h>

#define NEAR_ENOUGH 2 /* edits between a wrong option and the one suggested */

enum kind { KIND_FLAG, KIND_TEXT, KIND_COUNT, KIND_DURATION, KIND_OUTPUT, KIND_LIST };

struct row {
	const char *name;
	char letter; /* 0: none */
	const char *arg;
	enum kind kind;
	size_t off;
	unsigned group;
	const char *env, *def; /* may be NULL */
	const char *help;
};

#define AT(field) offsetof(struct options, field)

static const struct row rows[] = {
	{"server", 's', "URL", KIND_TEXT, AT(server), OPTIONS_CONNECT, "LARCH_ADDR", "http://127.0.0.1:3100",
	 "the server"},
	{"tenant", 't', "ID", KIND_TEXT, AT(tenant), OPTIONS_CONNECT, "LARCH_TENANT", NULL,
	 "the tenant, where the server has several"},
	{"user", 'u', "NAME", KIND_TEXT, AT(user), OPTIONS_CONNECT, "LARCH_USER", NULL, "the user, where the server asks"},
	{"secret", 0, "@FILE", KIND_TEXT, AT(secret), OPTIONS_CONNECT, "LARCH_SECRET", NULL,
	 "its secret, in a file; the environment may hold the secret itself"},
	{"ca", 0, "FILE", KIND_TEXT, AT(ca_file), OPTIONS_CONNECT, "LARCH_CA", NULL,
	 "the authority of the server's certificate, when the system does not know it"},
	{"cert", 0, "FILE", KIND_TEXT, AT(cert_file), OPTIONS_CONNECT, "LARCH_CERT", NULL,
	 "a client's certificate, where the server asks"},
	{"key", 0, "FILE", KIND_TEXT, AT(key_file), OPTIONS_CONNECT, "LARCH_KEY", NULL, "its key"},
	{"timeout", 0, "DURATION", KIND_DURATION, AT(timeout_ns), OPTIONS_CONNECT, NULL, "2m",
	 "longest wait for one answer"},
	{"since", 0, "DURATION", KIND_TEXT, AT(since), OPTIONS_RANGE, NULL, NULL,
	 "how far back from --to (1h unless --from says)"},
	{"from", 0, "TIME", KIND_TEXT, AT(from), OPTIONS_RANGE, NULL, NULL, "start, included"},
	{"to", 0, "TIME", KIND_TEXT, AT(to), OPTIONS_RANGE, NULL, NULL, "end, excluded (now)"},
	{"limit", 'n', "N", KIND_COUNT, AT(limit), OPTIONS_QUERY, NULL, "100",
	 "at most so many lines; 0: all there are"},
	{"forward", 0, NULL, KIND_FLAG, AT(forward), OPTIONS_QUERY, NULL, NULL, "oldest lines first"},
	{"step", 0, "DURATION", KIND_DURATION, AT(step_ns), OPTIONS_QUERY, NULL, NULL, "distance of a metric's points"},
	{"instant", 0, NULL, KIND_FLAG, AT(instant), OPTIONS_QUERY, NULL, NULL, "a metric's value at --to only"},
	{"tail", 0, NULL, KIND_FLAG, AT(tail), OPTIONS_QUERY, NULL, NULL, "then go on with lines as they come"},
	{"lines", 'n', "N", KIND_COUNT, AT(limit), OPTIONS_TAIL, NULL, "10", "begin with so many lines of before"},
	{"delay", 0, "DURATION", KIND_DURATION, AT(delay_ns), OPTIONS_TAIL, NULL, NULL,
	 "wait so long for late lines, to show them in order; up to 5s"},
	{"count", 'n', "N", KIND_COUNT, AT(limit), OPTIONS_EXPORT, NULL, NULL, "at most so many lines, and where to go on"},
	{"cursor", 0, "PLACE", KIND_TEXT, AT(cursor), OPTIONS_EXPORT, NULL, NULL, "go on where another export stopped"},
	{"backward", 0, NULL, KIND_FLAG, AT(backward), OPTIONS_EXPORT, NULL, NULL, "newest lines first"},
	{"at", 0, "TIME", KIND_TEXT, AT(at), OPTIONS_CONTEXT, NULL, NULL, "the line's time; milliseconds will do"},
	{"line", 0, "TEXT", KIND_TEXT, AT(line), OPTIONS_CONTEXT, NULL, NULL, "the line itself, where others have its time"},
	{"before", 'B', "N", KIND_TEXT, AT(before), OPTIONS_CONTEXT, NULL, NULL, "so many lines before it"},
	{"after", 'A', "N", KIND_TEXT, AT(after), OPTIONS_CONTEXT, NULL, NULL, "so many lines after it"},
	{"context", 'C', "N", KIND_TEXT, AT(around), OPTIONS_CONTEXT, NULL, "10", "so many lines on either side"},
	{"output", 'o', "FORM", KIND_OUTPUT, AT(output), OPTIONS_OUTPUT, NULL, NULL, "default, raw or jsonl"},
	{"label", 'l', "NAME=VALUE", KIND_LIST, AT(labels), OPTIONS_PUSH, NULL, NULL,
	 "a label of the stream; may be given several times"},
	{"metadata", 'm', "NAME=VALUE", KIND_LIST, AT(metadata), OPTIONS_PUSH, NULL, NULL,
	 "structured metadata of every line; may be given several times"},
	{"json", 0, NULL, KIND_FLAG, AT(json), OPTIONS_PUSH, NULL, NULL,
	 "send JSON instead of snappy-compressed protobuf"},
	{"force", 0, NULL, KIND_FLAG, AT(force), OPTIONS_DELETE, NULL, NULL,
	 "cancel even if some lines are gone for good already"},
	{"match", 0, "SELECTOR", KIND_TEXT, AT(match), OPTIONS_SEGMENT, NULL, NULL, "dump only these streams"},
	{"quiet", 'q', NULL, KIND_FLAG, AT(quiet), OPTIONS_CONNECT, NULL, NULL, "no headings, notes or warnings"},
	{"help", 'h', NULL, KIND_FLAG, AT(help), OPTIONS_CONNECT, NULL, NULL, "this text"},
};

#define ROWS (sizeof rows / sizeof *rows)

static const char *const outputs[] = {[OUTPUT_DEFAULT] = "default", [OUTPUT_RAW] = "raw", [OUTPUT_JSONL] = "jsonl"};

static void list_add(struct options_list *l, const char *s)
{
	MEM_GROW(l->v, l->n, l->cap);
	l->v[l->n++] = s;
}

static bool parse_output(const char *value, int *out, struct err *e)
{
	for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
		if (strcmp(value, outputs[i]) == 0) {
			*out = (int)i;
			return true;
		}
	}
	return err_set(e, ERR_INVALID, "\"%s\" is no form of output; there are default, raw and jsonl", value);
}

static bool set(struct options *o, const struct row *r, const char *value, struct err *e)
{
	void *at = (char *)o + r->off;
	bool ok = true;

	switch (r->kind) {
	case KIND_FLAG: *(bool *)at = true; break;
	case KIND_TEXT: *(const char **)at = value; break;
	case KIND_LIST: list_add(at, value); break;
	case KIND_OUTPUT: ok = parse_output(value, at, e); break;
	case KIND_DURATION: ok = timearg_duration(str_c(value), at, e); break;
	case KIND_COUNT:
		ok = str_to_u64(str_c(value), at);
		if (!ok) err_set(e, ERR_INVALID, "\"%s\" is not a number of 0 or more", value);
		break;
	}
	return ok || err_wrap(e, "--%s", r->name);
}

static bool set_defaults(struct options *o, unsigned groups, struct err *e)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *env = rows[i].env ? getenv(rows[i].env) : NULL;
		const char *value = env && *env ? env : rows[i].def;

		if (value && (rows[i].group & groups) && !set(o, &rows[i], value, e)) return false;
	}
	return true;
}

static const struct row *by_letter(char c, unsigned groups)
{
	for (size_t i = 0; i < ROWS; i++)
		if ((rows[i].group & groups) && rows[i].letter == c) return &rows[i];
	return NULL;
}

static const struct row *by_name(struct str name, unsigned groups)
{
	for (size_t i = 0; i < ROWS; i++)
		if ((rows[i].group & groups) && str_eqc(name, rows[i].name)) return &rows[i];
	return NULL;
}

static bool unknown(struct str name, unsigned groups, struct err *e)
{
	const char *near = NULL;
	unsigned best = NEAR_ENOUGH + 1;

	for (size_t i = 0; i < ROWS; i++) {
		unsigned d = rows[i].group & groups ? str_distance(name, str_c(rows[i].name), NEAR_ENOUGH) : best;

		if (d < best) {
			best = d;
			near = rows[i].name;
		}
	}
	if (near) return err_set(e, ERR_INVALID, "there is no option --%.*s; did you mean --%s?", STR_ARG(name), near);
	return err_set(e, ERR_INVALID, "there is no option --%.*s here", STR_ARG(name));
}

/* argv[*i] is an option: "--name", "--name=value", "-n", "-nvalue". Moves *i over a value that stands apart. */
static bool parse_option(struct options *o, unsigned groups, int argc, char *const *argv, int *i, struct err *e)
{
	const char *arg = argv[*i], *value = NULL;
	const struct row *r;

	if (arg[1] == '-') {
		struct str rest = str_c(arg + 2), name;

		if (str_cut(&rest, '=', &name)) value = rest.p;
		r = by_name(name, groups);
		if (!r) return unknown(name, groups, e);
		if (value && r->kind == KIND_FLAG) return err_set(e, ERR_INVALID, "--%s takes no value", r->name);
	} else {
		r = by_letter(arg[1], groups);
		if (!r || (arg[2] && r->kind == KIND_FLAG))
			return err_set(e, ERR_INVALID, "there is no option %s here", arg);
		if (arg[2]) value = arg + 2;
	}
	if (r->kind != KIND_FLAG && !value) {
		if (*i + 1 == argc) return err_set(e, ERR_INVALID, "--%s wants a value: %s", r->name, r->arg);
		value = argv[++*i];
	}
	return set(o, r, value, e);
}

bool options_parse(struct options *o, unsigned groups, int argc, char *const *argv, int from, struct err *e)
{
	bool only_args = false;

	*o = (struct options){0};
	if (!set_defaults(o, groups, e)) return false;
	for (int i = from; i < argc; i++) {
		if (!only_args && strcmp(argv[i], "--") == 0)
			only_args = true;
		else if (only_args || argv[i][0] != '-' || !argv[i][1])
			list_add(&o->args, argv[i]);
		else if (!parse_option(o, groups, argc, argv, &i, e))
			return false;
	}
	return true;
}

void options_free(struct options *o)
{
	free(o->labels.v);
	free(o->metadata.v);
	free(o->args.v);
}

bool options_range(struct options *o, int64_t now, struct err *e)
{
	int64_t back = UNITS_HOUR;

	o->end = now;
	if (o->to && !timearg_parse(str_c(o->to), now, &o->end, e)) return err_wrap(e, "--to");
	if (o->from && o->since) return err_set(e, ERR_INVALID, "--from and --since exclude each other");
	if (o->since && !timearg_duration(str_c(o->since), &back, e)) return err_wrap(e, "--since");
	o->start = o->end - back;
	if (o->from && !timearg_parse(str_c(o->from), now, &o->start, e)) return err_wrap(e, "--from");
	if (o->start < o->end) return true;
	return err_set(e, ERR_INVALID, "the range is empty: its start (%s) is not before its end (%s)",
		       o->from ? o->from : o->since, o->to ? o->to : "now");
}

void options_help(struct buf *b, unsigned groups)
{
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];
		size_t from = b->n, width;

		if (!(r->group & groups)) continue;
		buf_c(b, "  ");
		if (r->letter)
			buf_printf(b, "-%c, ", r->letter);
		else
			buf_c(b, "    ");
		buf_printf(b, "--%s%s%s", r->name, r->arg ? " " : "", r->arg ? r->arg : "");
		width = b->n - from;
		buf_printf(b, "%*s  %s", width < 28 ? (int)(28 - width) : 0, "", r->help);
		if (r->def) buf_printf(b, " (%s)", r->def);
		if (r->env) buf_printf(b, " [$%s]", r->env);
		buf_ch(b, '\n');
	}
}
