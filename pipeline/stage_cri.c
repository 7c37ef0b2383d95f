/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cri: lines as container runtimes write them (https://github.com/kubernetes/design-proposals-archive/blob/main/node/
 * kubelet-cri-logging.md): "TIME stdout|stderr FLAGS CONTENT". The stream becomes a label, the time the entry's, the
 * content its line. Pieces flagged P are joined with what follows, per label set; the entry has the time of its last
 * piece and the origins of all. A line that ends nowhere is sent after PARTIAL_WAIT and at the end of input. */
#include "common/units.h"
#include "pipeline/stage.h"
#include "pipeline/streams.h"

#define PARTIAL_WAIT (60 * UNITS_SEC)
#define PARTIAL_MAX  (16 << 20) /* bytes; a longer line is sent in parts */

struct conf {
	int64_t max_partial_lines, max_size;
	bool truncate;
};
struct partial {
	struct stream stream;
	struct kept *entry; /* the last piece; origins are those of all */
	struct buf text;
	int64_t last; /* mono ns */
};
struct state {
	struct pipeline *rest; /* labels, timestamp, output */
	struct streams partials;
};

static const char rest[] = "[{labels: {stream: }}, {timestamp: {source: time, format: RFC3339Nano}}, {output: {source: "
			   "content}}]";

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	(void)body;
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	size_t max = c->max_partial_lines < 1 ? 1 : (size_t)c->max_partial_lines;
	streams_init(&st->partials, sizeof(struct partial), max);
	const struct yaml *stages = yaml_parse(s->arena, str_c(rest), e);
	st->rest = stages ? pipeline_nested(s, stages, e) : NULL;
	return st->rest;
}

static void partial_free(struct state *st, struct partial *p)
{
	kept_free(p->entry);
	buf_free(&p->text);
	streams_remove(&st->partials, p);
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	for (struct partial *p; (p = streams_oldest(&st->partials));) partial_free(st, p);
	streams_fini(&st->partials);
	pipeline_free(st->rest);
}

static bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v'); }

/* A word and the one blank behind it. */
static bool word(struct str *s, struct str *w)
{
	size_t n = 0;
	while (n < s->n && !blank(s->p[n])) n++;
	if (n == 0 || n == s->n || s->p[n] != ' ') return false;
	*w = str_sub(*s, 0, n);
	*s = str_from(*s, n + 1);
	return true;
}

static void split(struct batch *b, struct entry *e)
{
	struct str time, stream, flags, content = e->line;
	if (!word(&content, &time) || !word(&content, &stream) || !word(&content, &flags)) return;
	if (!str_eqc(stream, "stdout") && !str_eqc(stream, "stderr")) return;
	stage_set(b, e, STR("time"), time);
	stage_set(b, e, STR("stream"), stream);
	stage_set(b, e, STR("flags"), flags);
	stage_set(b, e, STR("content"), content);
}

static void send(struct state *st, struct partial *p, struct batch *out)
{
	kept_emit(p->entry, out)->line = arena_str(out->arena, buf_view(&p->text));
	partial_free(st, p);
}

static void append(const struct conf *c, struct partial *p, struct str piece)
{
	buf_str(&p->text, piece);
	if (c->truncate && p->text.n > (size_t)c->max_size) p->text.n = (size_t)c->max_size;
}

static void add_piece(struct stage *s, struct entry *e, struct batch *out)
{
	struct state *st = s->state;
	if (streams_full(&st->partials))
		for (struct partial *p; (p = streams_oldest(&st->partials));) send(st, p, out);
	struct partial *p = streams_find(&st->partials, &e->labels);
	if (!p) p = streams_add(&st->partials, &e->labels);
	append(s->conf, p, e->line);
	e->line = STR("");
	struct kept *k = entry_keep(e);
	if (p->entry) { /* the new piece's time and values, behind the origins of those before */
		struct entry all = {0};
		entry_join(&k->arena, &all, &p->entry->e);
		entry_join(&k->arena, &all, &k->e);
		k->e.origins = all.origins;
		k->e.norigins = all.norigins;
		k->e.cap_origins = all.cap_origins;
		k->e.dropped = false;
		kept_free(p->entry);
	}
	p->entry = k;
	p->last = clock_mono(s->env->clock);
	if (p->text.n >= PARTIAL_MAX) send(st, p, out);
}

/* The last piece: e becomes the whole line. */
static void complete(struct stage *s, struct entry *e, struct batch *out)
{
	struct state *st = s->state;
	struct partial *p = streams_find(&st->partials, &e->labels);
	struct entry *whole = batch_push(out);
	*whole = *e;
	if (!p) return;
	append(s->conf, p, e->line);
	whole->line = arena_str(out->arena, buf_view(&p->text));
	struct entry all = {0};
	entry_join(out->arena, &all, &p->entry->e);
	entry_join(out->arena, &all, e);
	whole->origins = all.origins;
	whole->norigins = all.norigins;
	whole->cap_origins = all.cap_origins;
	partial_free(st, p);
}

static void run(struct stage *s, struct batch *b)
{
	struct state *st = s->state;
	for (size_t i = 0; i < b->n; i++) {
		entry_begin(b, &b->v[i], true);
		split(b, &b->v[i]);
	}
	pipeline_run_rest(st->rest, b);
	struct batch out = {.arena = b->arena};
	streams_begin(&st->partials);
	for (size_t i = 0; i < b->n; i++) {
		struct str flags;
		if (stage_text(b, &b->v[i], STR("flags"), &flags) && str_eqc(flags, "P"))
			add_piece(s, &b->v[i], &out);
		else
			complete(s, &b->v[i], &out);
	}
	*b = out;
}

static int64_t deadline(const struct stage *s)
{
	const struct state *st = s->state;
	const struct partial *p = streams_oldest(&st->partials);
	return p ? p->last + PARTIAL_WAIT : INT64_MAX;
}

static void tick(struct stage *s, struct batch *b, int64_t now)
{
	struct state *st = s->state;
	for (struct partial *p; (p = streams_oldest(&st->partials)) && p->last + PARTIAL_WAIT <= now;) send(st, p, b);
}

static void flush(struct stage *s, struct batch *b) { tick(s, b, INT64_MAX); }

static const struct conf_field fields[] = {
	{.key = "max_partial_lines",
	 .kind = CONF_INT,
	 .off = offsetof(struct conf, max_partial_lines),
	 .def = "100",
	 .doc = "Most label sets with an unfinished line; one more, and all of them are sent as they are."},
	{.key = "max_partial_line_size",
	 .kind = CONF_INT,
	 .off = offsetof(struct conf, max_size),
	 .def = "0",
	 .min = 0,
	 .max = INT64_MAX,
	 .doc = "Bytes that a joined line is cut to, if max_partial_line_size_truncate is set."},
	{.key = "max_partial_line_size_truncate",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct conf, truncate),
	 .doc = "Cut joined lines to max_partial_line_size."},
	{0},
};
static const struct conf_table table = {"cri stage",     sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_WEAK};

const struct stage_type stage_cri = {
	.name = "cri",
	.doc = "Reads the log format of container runtimes and joins partial lines.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.run = run,
	.deadline = deadline,
	.tick = tick,
	.flush = flush,
};
