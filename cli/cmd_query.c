/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/paging.h"
#include "cli/print.h"
#include "cli/tail.h"

/* The server's page of lines grows too large when lines are long: ask for fewer. */
static bool get_page(struct cli *c, struct paging *p, struct buf *answer, struct err *e)
{
	for (;;) {
		struct buf query = {0};
		bool ok;

		client_arg(&query, "query", str_c(c->o.args.v[0]));
		client_arg_i64(&query, "start", p->start);
		client_arg_i64(&query, "end", p->end);
		client_arg_i64(&query, "limit", (int64_t)paging_ask(p));
		client_arg(&query, "direction", p->forward ? STR("forward") : STR("backward"));
		if (c->o.step_ns) {
			struct buf step = {0};

			buf_f64(&step, (double)c->o.step_ns / 1e9);
			client_arg(&query, "step", buf_view(&step));
			buf_free(&step);
		}
		*e = ERR_INIT;
		ok = client_get(c, "/loki/api/v1/query_range", buf_view(&query), answer, e);
		buf_free(&query);
		if (ok || e->code != ERR_TOO_LARGE || p->page == 1) return ok;
		p->page /= 2;
	}
}

static void show_warnings(struct cli *c, const struct result *r)
{
	for (size_t i = 0; i < r->warnings.n; i++) cli_note(c, "the server warns: %.*s", STR_ARG(r->warnings.v[i]));
}

/* One answer: lines that are new, or all of a metric. */
static bool show_page(struct cli *c, struct paging *p, struct arena *a, struct str answer, uint64_t *shown,
		      struct err *e)
{
	struct result r;
	size_t fresh;

	if (!result_parse(a, answer, &r, e)) return false;
	show_warnings(c, &r);
	if (r.kind != RESULT_STREAMS) {
		print_samples(c, r.samples, r.nsamples);
		*shown += r.nsamples;
		p->done = true;
		return cli_flush(c, e);
	}
	if (r.ordered) { /* the first lines of all: there is no next page in time */
		fresh = r.nentries;
		p->done = true;
	} else {
		result_sort(&r, p->forward);
		fresh = paging_take(p, r.entries, r.nentries);
	}
	for (size_t i = 0; i < fresh; i++) print_entry(c, &r.entries[i]);
	*shown += fresh;
	return cli_flush(c, e);
}

static bool range_query(struct cli *c, struct err *e)
{
	struct buf answer = {0};
	uint64_t shown = 0;
	struct paging p;
	struct arena a;
	bool ok = true;

	arena_init(&a, 0);
	paging_init(&p, c->o.start, c->o.end, c->o.forward, c->o.limit);
	while (ok && !p.done) {
		arena_reset(&a);
		ok = get_page(c, &p, &answer, e) && show_page(c, &p, &a, buf_view(&answer), &shown, e);
	}
	if (ok && shown == 0) cli_note(c, "nothing found");
	if (ok && p.more) cli_note(c, "--limit %llu reached, there may be more", (unsigned long long)c->o.limit);
	paging_free(&p);
	arena_free(&a);
	buf_free(&answer);
	return ok;
}

static bool instant_query(struct cli *c, struct err *e)
{
	struct buf query = {0}, answer = {0};
	struct result r;
	struct arena a;
	bool ok;

	arena_init(&a, 0);
	client_arg(&query, "query", str_c(c->o.args.v[0]));
	client_arg_i64(&query, "time", c->o.end);
	ok = client_get(c, "/loki/api/v1/query", buf_view(&query), &answer, e) &&
	     result_parse(&a, buf_view(&answer), &r, e);
	if (ok) {
		show_warnings(c, &r);
		print_samples(c, r.samples, r.nsamples);
		if (r.nsamples == 0) cli_note(c, "nothing found");
	}
	buf_free(&query);
	buf_free(&answer);
	arena_free(&a);
	return ok;
}

static bool run(struct cli *c, struct err *e)
{
	if (c->o.tail) return tail_run(c, e);
	return c->o.instant ? instant_query(c, e) : range_query(c, e);
}

const struct cli_command cmd_query = {
	.name = "query",
	.args = "QUERY",
	.summary = "lines, or a metric, by LogQL",
	.help = "Lines come newest first. Long results are fetched in pages, so that any --limit works; --limit 0\n"
		"prints all there are between --from and --to. A metric's points come as a table. With --tail the\n"
		"last lines come oldest first, and after them whatever the server receives (larchctl tail --help).\n",
	.examples = "  # the last hour's errors of one service\n"
		    "  larchctl query '{app=\"api\"} |= \"error\"'\n"
		    "  # a day as a file, oldest first\n"
		    "  larchctl query --from 2026-11-01 --to 2026-11-02 --limit 0 --forward -o raw '{app=\"api\"}' "
		    ">api.log\n"
		    "  # lines per second and level, a point every five minutes\n"
		    "  larchctl query --since 6h --step 5m 'sum by (level) (rate({app=\"api\"} | json [5m]))'\n"
		    "  # one number, for a script\n"
		    "  larchctl query -q -o raw --instant 'sum(count_over_time({app=\"api\"}[1h]))'\n",
	.options = OPTIONS_CONNECT | OPTIONS_RANGE | OPTIONS_QUERY | OPTIONS_OUTPUT,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
