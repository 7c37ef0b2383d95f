/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/print.h"
#include "cli/timearg.h"
#include "common/units.h"

/* -A and -B, or else -C. */
static bool count_arg(struct buf *query, const char *name, const char *own, const char *both, struct err *e)
{
	const char *text = own ? own : both;
	uint64_t n;

	if (!str_to_u64(str_c(text), &n))
		return err_set(e, ERR_INVALID, "%s: \"%s\" is not a number of 0 or more", name, text);
	client_arg(query, name, str_c(text));
	return true;
}

static bool ask(struct cli *c, struct buf *answer, struct err *e)
{
	const struct options *o = &c->o;
	struct buf query = {0};
	int64_t ts;
	bool ok;

	if (!o->at) return err_set(e, ERR_INVALID, "--at is missing: the time of the line");
	if (!timearg_parse(str_c(o->at), clock_wall(c->clock), &ts, e)) return err_wrap(e, "--at");
	client_arg(&query, "query", str_c(o->args.v[0]));
	client_arg_i64(&query, "ts", ts);
	if (ts % UNITS_MS == 0) client_arg_i64(&query, "within", UNITS_MS - 1);
	if (o->line) client_arg(&query, "line", str_c(o->line));
	ok = count_arg(&query, "before", o->before, o->around, e) &&
	     count_arg(&query, "after", o->after, o->around, e) &&
	     client_get(c, "/larch/v1/context", buf_view(&query), answer, e);
	buf_free(&query);
	return ok;
}

static bool run(struct cli *c, struct err *e)
{
	struct buf answer = {0};
	struct result r;
	struct arena a;
	bool ok;

	arena_init(&a, 0);
	ok = ask(c, &answer, e) && result_parse_context(&a, buf_view(&answer), &r, e);
	for (size_t i = 0; ok && i < r.nentries; i++) {
		if (c->o.output == OUTPUT_DEFAULT) buf_c(&c->out, i == r.entry ? "> " : "  ");
		print_entry(c, &r.entries[i]);
	}
	arena_free(&a);
	buf_free(&answer);
	return ok;
}

const struct cli_command cmd_context = {
	.name = "context",
	.args = "QUERY",
	.summary = "the lines around one",
	.help = "Shows the lines before and after one, as the query has them: {app=\"api\"} those of all its streams,\n"
		"{app=\"api\", pod=\"x\"} those of one. Lines of equal times stand as they arrived. The line is named "
		"by --at, its\n"
		"time, and --line, its text; in the default output it is marked with >.\n",
	.examples =
		"  # what led to an error\n"
		"  larchctl context --at 2026-11-20T14:46:27.783Z --line 'out of memory' -B 50 -A 5 '{app=\"api\"}'\n",
	.options = OPTIONS_CONNECT | OPTIONS_CONTEXT | OPTIONS_OUTPUT,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
