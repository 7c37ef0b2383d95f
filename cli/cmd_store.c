/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/client.h"

#include "common/arena.h"
#include "common/json.h"
#include "common/units.h"

/* An object's members as a flat list: "backlog.segments" and its text; strings unescaped. */
struct member {
	struct str path, value;
};

struct members {
	struct member *v;
	size_t n, cap;
	struct arena *a;
};

#define DEPTH_MAX 4 /* of the server's answer */

static bool read_object(struct members *m, struct json *j, struct str prefix, unsigned depth)
{
	struct buf scratch = {0};
	bool ok = depth < DEPTH_MAX;
	for (enum json_tok t; ok && (t = json_next(j)) != JSON_OBJ_CLOSE;) {
		ok = t == JSON_KEY;
		if (!ok) break;
		buf_clear(&scratch);
		struct str key = json_text(j, &scratch), path;
		path = prefix.n ? arena_printf(m->a, "%.*s.%.*s", STR_ARG(prefix), STR_ARG(key)) : arena_str(m->a, key);
		t = json_next(j);
		if (t == JSON_OBJ_OPEN) {
			ok = read_object(m, j, path, depth + 1);
		} else if (t == JSON_STRING || t == JSON_NUMBER) {
			buf_clear(&scratch);
			struct str value = t == JSON_STRING ? json_text(j, &scratch) : j->text;
			*ARENA_PUSH(m->a, m->v, m->n, m->cap) = (struct member){path, arena_str(m->a, value)};
		} else {
			ok = json_skip_rest(j, t);
		}
	}
	buf_free(&scratch);
	return ok;
}

static struct str get(const struct members *m, const char *path)
{
	for (size_t i = 0; i < m->n; i++) {
		if (str_eqc(m->v[i].path, path)) return m->v[i].value;
	}
	return STR_NULL;
}

static struct str or_none(struct str s) { return s.p ? s : STR("none"); }

static void put_size(struct buf *b, struct str number)
{
	uint64_t n;
	if (str_to_u64(number, &n))
		units_bytes_human_print(b, n);
	else
		buf_c(b, "?");
}

static void put_cut(struct buf *b, const struct members *m, const char *reason)
{
	struct buf key = {0};
	static const char *const names[] = {"entries", "segments", "line_bytes", "oldest", "newest"};
	struct str v[5];
	for (size_t i = 0; i < 5; i++) {
		buf_clear(&key);
		buf_printf(&key, "cuts.%s.%s", reason, names[i]);
		v[i] = get(m, buf_cstr(&key));
	}
	buf_free(&key);
	if (!v[0].p) return;
	buf_printf(b, "  cut by %s: %.*s entries, %.*s whole segments, ", reason, STR_ARG(v[0]), STR_ARG(v[1]));
	put_size(b, v[2]);
	buf_printf(b, " of lines, from %.*s to %.*s\n", STR_ARG(v[3]), STR_ARG(v[4]));
}

static void print_tenant(struct cli *c, const struct members *m)
{
	struct buf *b = &c->out;
	struct str tenant = get(m, "tenant"), segments = get(m, "segments"), entries = get(m, "entries");
	struct str oldest = or_none(get(m, "oldest")), newest = or_none(get(m, "newest"));
	struct str backlog = get(m, "backlog.segments"), next = or_none(get(m, "next_deletion"));
	struct str pending = get(m, "pending_delete_requests");
	buf_printf(b, "tenant %.*s\n  segments: %.*s, ", STR_ARG(tenant), STR_ARG(segments));
	put_size(b, get(m, "bytes"));
	buf_printf(b, " on disk, %.*s entries, ", STR_ARG(entries));
	put_size(b, get(m, "line_bytes"));
	buf_printf(b, " of lines\n  oldest: %.*s\n  newest: %.*s\n", STR_ARG(oldest), STR_ARG(newest));
	buf_printf(b, "  to be merged: %.*s segments, ", STR_ARG(backlog));
	put_size(b, get(m, "backlog.line_bytes"));
	buf_printf(b, "\n  next deletion: %.*s\n  delete requests pending: %.*s\n", STR_ARG(next), STR_ARG(pending));
	static const char *const reasons[] = {"retention_period", "retention_stream", "retention_bytes"};
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) put_cut(b, m, reasons[i]);
}

static bool not_status(struct err *e)
{
	return err_set(e, ERR_CORRUPT, "the answer is not a store's status%s%s", e->code ? ": " : "",
		       e->code ? e->msg : "");
}

static bool find_tenants(struct json *j)
{
	enum json_tok t;
	if (json_next(j) != JSON_OBJ_OPEN) return false;
	while ((t = json_next(j)) == JSON_KEY && !str_eqc(j->text, "tenants")) {
		if (!json_skip(j)) return false;
	}
	return t == JSON_KEY && json_next(j) == JSON_ARR_OPEN;
}

static bool print_answer(struct cli *c, struct str text, struct err *e)
{
	struct err why = ERR_INIT;
	struct json j;
	struct arena a;
	enum json_tok t = JSON_ERROR;
	json_init(&j, text, &why);
	arena_init(&a, 0);
	bool ok = find_tenants(&j);
	while (ok && (t = json_next(&j)) == JSON_OBJ_OPEN) {
		struct members m = {.a = &a};
		size_t from = j.tok_at;
		ok = read_object(&m, &j, STR(""), 0);
		if (!ok) break;
		if (c->o.output == OUTPUT_DEFAULT) {
			print_tenant(c, &m);
		} else {
			buf_str(&c->out, str_sub(text, from, j.pos));
			buf_ch(&c->out, '\n');
		}
		arena_reset(&a);
	}
	ok = ok && t == JSON_ARR_CLOSE;
	arena_free(&a);
	if (ok) return true;
	*e = why;
	return not_status(e);
}

static bool run(struct cli *c, struct err *e)
{
	const char *what = c->o.args.v[0];
	struct buf answer = {0};
	bool compact = strcmp(what, "compact") == 0;
	if (!compact && strcmp(what, "status") != 0)
		return err_set(e, ERR_INVALID, "store %s: there are store status and store compact", what);
	bool ok = compact ? client_post(c, "/larch/v1/compact", &answer, e)
			  : client_get(c, "/larch/v1/store", STR(""), &answer, e);
	ok = ok && print_answer(c, buf_view(&answer), e);
	buf_free(&answer);
	return ok;
}

const struct cli_command cmd_store = {
	.name = "store",
	.args = "status|compact",
	.summary = "what the server keeps on disk, and its compaction",
	.help = "status: for each tenant its segments, the time they cover, what is to be merged, what retention has\n"
		"removed and will remove next, and pending delete requests.\n"
		"compact: makes a round of retention and compaction that merges all it can, waits for its end (see\n"
		"--timeout), and shows the status.\n",
	.examples = "  # how much is there, and what goes next\n"
		    "  larchctl store status\n"
		    "  # bytes on disk by tenant\n"
		    "  larchctl store status -o jsonl | jq -r '[.tenant, .bytes] | @tsv'\n"
		    "  # merge now\n"
		    "  larchctl store compact --timeout 1h\n",
	.options = OPTIONS_CONNECT | OPTIONS_OUTPUT,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
