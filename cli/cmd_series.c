/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/print.h"

#include <stdint.h>

static bool run(struct cli *c, struct err *e)
{
	struct buf query = {0}, answer = {0};
	struct result_series list;
	struct arena a;
	bool ok;

	arena_init(&a, 0);
	for (size_t i = 0; i < c->o.args.n; i++) client_arg(&query, "match[]", str_c(c->o.args.v[i]));
	client_arg_i64(&query, "start", c->o.start);
	client_arg_i64(&query, "end", c->o.end);
	ok = client_get(c, "/loki/api/v1/series", buf_view(&query), &answer, e) &&
	     result_parse_series(&a, buf_view(&answer), &list, e);
	for (size_t i = 0; ok && i < list.n; i++) print_labels(c, &list.v[i]);
	if (ok && list.n == 0) cli_note(c, "nothing found");
	buf_free(&query);
	buf_free(&answer);
	arena_free(&a);
	return ok;
}

const struct cli_command cmd_series = {
	.name = "series",
	.args = "[SELECTOR…]",
	.summary = "streams, as their sets of labels",
	.help = "Streams with lines between --from and --to that match one of the selectors; all without one.\n",
	.examples = "  # every stream of one service\n"
		    "  larchctl series '{app=\"api\"}'\n"
		    "  # as JSON, for jq\n"
		    "  larchctl series -o jsonl --since 24h '{env=\"prod\"}' '{env=\"test\"}' | jq -r .app | sort | "
		    "uniq -c\n",
	.options = OPTIONS_CONNECT | OPTIONS_RANGE | OPTIONS_OUTPUT,
	.max_args = SIZE_MAX,
	.run = run,
};
