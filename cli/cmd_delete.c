/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/print.h"
#include "common/units.h"

#define PATH "/loki/api/v1/delete"

static void arg_time(struct buf *query, const char *name, int64_t ns)
{
	struct buf text = {0};

	units_rfc3339nano_print(&text, ns);
	client_arg(query, name, buf_view(&text));
	buf_free(&text);
}

/* Deleting an hour's lines because nobody said otherwise would be a bad surprise. */
static bool create(struct cli *c, const char *what, struct err *e)
{
	struct buf query = {0}, id = {0};
	bool ok;

	if (!c->o.from && !c->o.since) return err_set(e, ERR_INVALID, "create wants --from or --since");
	client_arg(&query, "query", str_c(what));
	arg_time(&query, "start", c->o.start);
	if (c->o.to) arg_time(&query, "end", c->o.end - 1); /* the server's end is included */
	ok = client_send(c, "POST", PATH, buf_view(&query), "X-Delete-Request-ID", &id, e);
	if (ok && id.n) print_string(c, buf_view(&id));
	buf_free(&query);
	buf_free(&id);
	return ok;
}

static bool list(struct cli *c, const char *none, struct err *e)
{
	struct buf answer = {0};
	struct result_deletes found;
	struct arena a;
	bool ok;

	(void)none;
	arena_init(&a, 0);
	ok = client_get(c, PATH, STR(""), &answer, e) && result_parse_deletes(&a, buf_view(&answer), &found, e);
	if (ok) print_deletes(c, found.v, found.n);
	if (ok && found.n == 0) cli_note(c, "nothing found");
	buf_free(&answer);
	arena_free(&a);
	return ok;
}

static bool cancel(struct cli *c, const char *id, struct err *e)
{
	struct buf query = {0};
	bool ok;

	client_arg(&query, "request_id", str_c(id));
	if (c->o.force) client_arg(&query, "force", STR("true"));
	ok = client_send(c, "DELETE", PATH, buf_view(&query), NULL, NULL, e);
	buf_free(&query);
	return ok;
}

static const struct verb {
	const char *name, *arg; /* arg: what follows it; NULL: nothing */
	bool (*run)(struct cli *c, const char *arg, struct err *e);
} verbs[] = {{"create", "QUERY", create}, {"list", NULL, list}, {"cancel", "ID", cancel}};

static bool run(struct cli *c, struct err *e)
{
	const char *name = c->o.args.v[0], *arg = c->o.args.n > 1 ? c->o.args.v[1] : NULL;

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->name, name) != 0) continue;
		if (v->arg && !arg) return err_set(e, ERR_INVALID, "%s: %s is missing", v->name, v->arg);
		if (!v->arg && arg) return err_set(e, ERR_INVALID, "%s: \"%s\" is one argument too many", v->name, arg);
		return v->run(c, arg, e);
	}
	return err_set(e, ERR_INVALID, "\"%s\" is none of create, list and cancel", name);
}

const struct cli_command cmd_delete = {
	.name = "delete",
	.args = "create QUERY | list | cancel ID",
	.summary = "delete lines for good",
	.help = "create hides the lines that a log query finds between --from and --to, from then on and in every "
		"answer, "
		"and prints the request's id; lines sent later show, even if they are the same. From the disk they go "
		"when the time for cancelling (a day, unless the server's configuration says otherwise) is over.\n"
		"list shows requests and how far they are. cancel takes one back.\n",
	.examples = "  # one user's lines of the last month\n"
		    "  larchctl delete create --since 30d '{app=\"shop\"} |= \"user=4711\"'\n"
		    "  # what was asked for\n"
		    "  larchctl delete list\n"
		    "  # not that one\n"
		    "  larchctl delete cancel 5f0c2c41d3a96e70\n",
	.options = OPTIONS_CONNECT | OPTIONS_RANGE | OPTIONS_OUTPUT | OPTIONS_DELETE,
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
