/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/client.h"
#include "common/codec.h"
#include "common/labels.h"
#include "proto/push.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define BATCH_BYTES ((size_t)1 << 20)
#define BATCH_WAIT  1000 /* ms: lines that come slowly are sent after this */
#define READ_BYTES  ((size_t)64 << 10)
#define LINE_MAX    ((size_t)16 << 20) /* without an end; more is no line */

struct pusher {
	struct cli *c;
	struct arena fixed; /* labels and metadata */
	struct labels meta;
	struct str selector;
	struct arena batch;
	struct push_entry *v;
	size_t n, cap, bytes;
	struct buf line; /* what was read behind the last line feed */
	int64_t last;    /* time of the last entry: each is later than the one before */
};

static bool parse_pairs(struct arena *a, const struct options_list *list, struct label **v, size_t *n, size_t *cap,
			struct err *e)
{
	for (size_t i = 0; i < list->n; i++) {
		struct str value = str_c(list->v[i]), name;

		if (!str_cut(&value, '=', &name) || !labels_name_valid(name))
			return err_set(e, ERR_INVALID, "\"%s\" is not NAME=VALUE", list->v[i]);
		*ARENA_PUSH(a, *v, *n, *cap) = (struct label){.name = name, .value = value};
	}
	return true;
}

/* The labels of --label and of the selector, together. */
static bool read_labels(struct pusher *p, struct err *e)
{
	struct options *o = &p->c->o;
	struct labels from_text = {0}, all = {0};
	struct buf text = {0};
	struct str dup;
	size_t cap = 0, meta_cap = 0;

	if (o->args.n && !labels_parse(&p->fixed, str_c(o->args.v[0]), &from_text, e)) {
		e->code = ERR_INVALID;
		return err_wrap(e, "%s", o->args.v[0]);
	}
	for (size_t i = 0; i < from_text.n; i++) *ARENA_PUSH(&p->fixed, all.v, all.n, cap) = from_text.v[i];
	if (!parse_pairs(&p->fixed, &o->labels, &all.v, &all.n, &cap, e)) return err_wrap(e, "--label");
	if (!parse_pairs(&p->fixed, &o->metadata, &p->meta.v, &p->meta.n, &meta_cap, e))
		return err_wrap(e, "--metadata");
	if (all.n == 0) return err_set(e, ERR_INVALID, "a stream needs a label: --label app=api, or '{app=\"api\"}'");
	if (!labels_sort(all.v, all.n, &dup))
		return err_set(e, ERR_INVALID, "the label %.*s is given twice", STR_ARG(dup));
	labels_print(&text, &all);
	p->selector = arena_str(&p->fixed, buf_view(&text));
	buf_free(&text);
	return true;
}

static bool send_batch(struct pusher *p, struct err *e)
{
	struct push_stream stream = {.labels = p->selector, .v = p->v, .n = p->n};
	struct push push = {.v = &stream, .n = 1, .entries = p->n, .bytes = p->bytes};
	struct buf body = {0}, packed = {0};
	bool ok;

	if (p->n == 0) return true;
	if (p->c->o.json) {
		ok = push_json_encode(&push, &body, e) &&
		     client_push(p->c, "Content-Type: application/json", buf_view(&body), e);
	} else {
		push_encode(&push, &body);
		ok = codec_compress(CODEC_SNAPPY, 0, buf_view(&body), &packed, e) &&
		     client_push(p->c, "Content-Type: application/x-protobuf", buf_view(&packed), e);
	}
	buf_free(&body);
	buf_free(&packed);
	arena_reset(&p->batch);
	p->v = NULL;
	p->n = p->cap = p->bytes = 0;
	return ok;
}

static bool add_line(struct pusher *p, struct str line, struct err *e)
{
	int64_t now = clock_wall(p->c->clock);

	p->last = now > p->last ? now : p->last + 1;
	*ARENA_PUSH(&p->batch, p->v, p->n, p->cap) =
		(struct push_entry){.ts = p->last, .line = arena_str(&p->batch, line), .meta = p->meta};
	p->bytes += line.n;
	return p->bytes < BATCH_BYTES || send_batch(p, e);
}

/* Cuts lines out of what was read. */
static bool take_lines(struct pusher *p, struct err *e)
{
	struct str left = buf_view(&p->line), line;

	while (str_chr(left, '\n') >= 0) {
		str_cut(&left, '\n', &line);
		if (!add_line(p, line, e)) return false;
	}
	memmove(p->line.p, left.p, left.n);
	p->line.n = left.n;
	if (left.n <= LINE_MAX) return true;
	return err_set(e, ERR_TOO_LARGE, "a line on standard input is longer than %zu bytes", LINE_MAX);
}

static bool push_input(struct pusher *p, struct err *e)
{
	for (;;) {
		struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
		ssize_t n;

		if (p->n && poll(&in, 1, BATCH_WAIT) == 0) {
			if (!send_batch(p, e)) return false;
			continue;
		}
		buf_reserve(&p->line, READ_BYTES);
		n = read(STDIN_FILENO, p->line.p + p->line.n, READ_BYTES);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return err_errno(e, "standard input");
		if (n == 0) break;
		p->line.n += (size_t)n;
		if (!take_lines(p, e)) return false;
	}
	if (p->line.n && !add_line(p, buf_view(&p->line), e)) return false;
	return send_batch(p, e);
}

static bool run(struct cli *c, struct err *e)
{
	struct pusher p = {.c = c};
	bool ok;

	arena_init(&p.fixed, 0);
	arena_init(&p.batch, 0);
	ok = read_labels(&p, e) && push_input(&p, e);
	arena_free(&p.fixed);
	arena_free(&p.batch);
	buf_free(&p.line);
	return ok;
}

const struct cli_command cmd_push = {
	.name = "push",
	.args = "[SELECTOR]",
	.summary = "send the lines of standard input",
	.help = "Every line becomes an entry of one stream, at the time it is read. Lines are sent once 1 MiB has\n"
		"gathered, nothing came for a second, or the input ends. When the server is away, pushes are tried "
		"again for\n"
		"some 15 seconds; exit code 0 says that the server has taken every line.\n",
	.examples = "  # a file, by labels\n"
		    "  larchctl push --label app=backup --label host=web1 <backup.log\n"
		    "  # what a program says, as it runs, by a selector\n"
		    "  make 2>&1 | larchctl push '{app=\"build\", branch=\"main\"}' --metadata commit=abc123\n",
	.options = OPTIONS_CONNECT | OPTIONS_PUSH,
	.max_args = 1,
	.run = run,
};
