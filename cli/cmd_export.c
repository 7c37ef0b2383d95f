/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/client.h"
#include "common/json.h"

/* An export as it comes. In JSONL its last lines may be notes, {"cursor": …} and the like, which are not for the
 * standard output. */
struct export
{
	struct cli *c;
	struct buf line; /* the beginning of one that has not come whole */
	bool raw;
	struct buf failure; /* the server's, in the middle of the answer */
	struct err *e;
};

static void note(struct export *x, struct str text)
{
	struct err e = ERR_INIT;
	struct buf key = {0}, value = {0};
	struct json j;

	json_init(&j, text, &e);
	if (json_next(&j) == JSON_OBJ_OPEN && json_next(&j) == JSON_KEY) {
		struct str k = json_text(&j, &key);

		if (json_next(&j) == JSON_STRING) {
			struct str v = json_text(&j, &value);

			if (str_eqc(k, "error"))
				buf_str(&x->failure, v);
			else if (str_eqc(k, "cursor"))
				cli_note(x->c, "there is more: --cursor %.*s", STR_ARG(v));
			else
				cli_note(x->c, "the server says: %.*s: %.*s", STR_ARG(k), STR_ARG(v));
		}
	}
	buf_free(&key);
	buf_free(&value);
}

static void put_line(struct export *x, struct str line)
{
	if (str_starts(line, STR("{\"labels\":"))) {
		buf_str(&x->c->out, line);
		buf_ch(&x->c->out, '\n');
	} else if (line.n) {
		note(x, line);
	}
}

static bool take(void *ud, struct str bytes)
{
	struct export *x = ud;
	struct str line;

	if (x->raw) {
		buf_str(&x->c->out, bytes);
		return cli_flush(x->c, x->e);
	}
	while (str_chr(bytes, '\n') >= 0) {
		str_cut(&bytes, '\n', &line);
		if (x->line.n) {
			buf_str(&x->line, line);
			line = buf_view(&x->line);
		}
		put_line(x, line);
		buf_clear(&x->line);
	}
	buf_str(&x->line, bytes);
	return cli_flush(x->c, x->e);
}

static bool run(struct cli *c, struct err *e)
{
	struct export x = {.c = c, .raw = c->o.output == OUTPUT_RAW, .e = e};
	struct buf query = {0};
	bool ok;

	client_arg(&query, "query", str_c(c->o.args.v[0]));
	client_arg_i64(&query, "start", c->o.start);
	client_arg_i64(&query, "end", c->o.end);
	client_arg(&query, "direction", c->o.backward ? STR("backward") : STR("forward"));
	client_arg(&query, "format", x.raw ? STR("raw") : STR("jsonl"));
	if (c->o.limit) client_arg_i64(&query, "limit", (int64_t)c->o.limit);
	if (c->o.cursor) client_arg(&query, "cursor", str_c(c->o.cursor));
	ok = client_stream(c, "/larch/v1/export", buf_view(&query), take, &x, e);
	if (x.failure.n) ok = err_set(e, ERR_UNPROCESSABLE, "the export broke off: %s", buf_cstr(&x.failure));
	buf_free(&query);
	buf_free(&x.line);
	buf_free(&x.failure);
	return ok;
}

const struct cli_command cmd_export = {
	.name = "export",
	.args = "QUERY",
	.summary = "all lines, however many",
	.help = "Writes every line between --from and --to that a log query finds, oldest first, as JSON (a line each, "
		"like\n"
		"larchctl query -o jsonl) or, with -o raw, as they are. Nothing is kept in memory, here or in the "
		"server, and\n"
		"the server's limits of answers do not count. With --count it stops after so many lines and says where "
		"to go "
		"on.\n",
	.examples = "  # a month of one service, compressed\n"
		    "  larchctl export --since 30d '{app=\"api\"}' | zstd >api.jsonl.zst\n"
		    "  # the lines as they were\n"
		    "  larchctl export --from 2026-11-01 --to 2026-11-02 -o raw '{app=\"api\"}' >api.log\n"
		    "  # a million at a time\n"
		    "  larchctl export --from 2026-11-01 --to 2026-12-01 -n 1000000 '{app=\"api\"}'\n",
	.options = OPTIONS_CONNECT | OPTIONS_RANGE | OPTIONS_EXPORT | OPTIONS_OUTPUT,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
