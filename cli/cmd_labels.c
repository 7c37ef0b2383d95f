/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/print.h"
#include "common/url.h"

#include <stdint.h>

static bool run(struct cli *c, struct err *e)
{
	struct buf path = {0}, query = {0}, answer = {0};
	struct result_strings list;
	struct arena a;
	bool ok;

	arena_init(&a, 0);
	if (c->o.args.n) {
		buf_c(&path, "/loki/api/v1/label/");
		url_encode(&path, str_c(c->o.args.v[0]), false);
		buf_c(&path, "/values");
	} else {
		buf_c(&path, "/loki/api/v1/labels");
	}
	client_arg_i64(&query, "start", c->o.start);
	client_arg_i64(&query, "end", c->o.end);
	ok = client_get(c, buf_cstr(&path), buf_view(&query), &answer, e) &&
	     result_parse_strings(&a, buf_view(&answer), &list, e);
	for (size_t i = 0; ok && i < list.n; i++) print_string(c, list.v[i]);
	if (ok && list.n == 0) cli_note(c, "nothing found");
	buf_free(&path);
	buf_free(&query);
	buf_free(&answer);
	arena_free(&a);
	return ok;
}

const struct cli_command cmd_labels = {
	.name = "labels",
	.args = "[NAME]",
	.summary = "names of labels, or the values of one",
	.help = "Those of streams that have lines between --from and --to, sorted, one a line.\n",
	.examples = "  # which labels are there\n"
		    "  larchctl labels\n"
		    "  # every service of the last week\n"
		    "  larchctl labels --since 7d app\n",
	.options = OPTIONS_CONNECT | OPTIONS_RANGE | OPTIONS_OUTPUT,
	.max_args = 1,
	.run = run,
};
