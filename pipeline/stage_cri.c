/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cri: lines as container runtimes write them (https://github.com/kubernetes/design-proposals-archive/blob/main/node/
 * kubelet-cri-logging.md): "TIME stdout|stderr FLAGS CONTENT". The stream becomes a label, the time the entry's, the
 * content its line. Pieces flagged P are joined with what follows, per label set; the entry has the time of its last
 * piece and the origins of all. A line that ends nowhere is sent after PARTIAL_WAIT and at the end of input.
 *
 * Alloy's way: flags may be missing, and lines of another format pass untouched. */
#include "common/units.h"
#include "pipeline/container.h"
#include "pipeline/joins.h"

#define PARTIAL_WAIT (60 * UNITS_SEC)

struct conf {
	int64_t max_partial_lines, max_size;
	bool truncate;
};
struct state {
	struct pipeline *rest;   /* Promtail: labels, timestamp, output */
	struct streams partials; /* struct join; the entry is the last piece */
	struct container alloy;
};

static const char rest[] = "[{labels: {stream: }}, {timestamp: {source: time, format: RFC3339Nano}}, {output: {source: "
			   "content}}]";

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (stage_is_alloy(s) && c->max_partial_lines < 1)
		return stage_refuse(body, "max_partial_lines", e, "max_partial_lines must be greater than 0");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	size_t max = c->max_partial_lines < 1 ? 1 : (size_t)c->max_partial_lines;
	streams_init(&st->partials, sizeof(struct join), max);
	if (stage_is_alloy(s)) {
		container_init(&st->alloy);
		return true;
	}
	const struct yaml *stages = yaml_parse(s->arena, str_c(rest), e);
	st->rest = stages ? pipeline_nested(s, stages, e) : NULL;
	return st->rest;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	joins_fini(&st->partials);
	pipeline_free(st->rest);
	container_fini(&st->alloy);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct state *st = s->state;
	if (!st->rest) return;
	pipeline_plan(st->rest, r);
	reads_add(r, STR("flags")); /* what an earlier stage left there counts for lines of another format */
}

/* ---- one line ---- */

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

static void set_parts(struct batch *b, struct entry *e, const struct container_line *l, struct str flags)
{
	stage_set(b, e, STR("time"), l->time);
	stage_set(b, e, STR("stream"), l->stream);
	stage_set(b, e, STR("flags"), flags);
	stage_set(b, e, STR("content"), l->text);
}

static bool is_stream(struct str s) { return str_eqc(s, "stdout") || str_eqc(s, "stderr"); }

static void split(struct batch *b, struct entry *e)
{
	struct container_line l = {.text = e->line};
	struct str flags;
	if (word(&l.text, &l.time) && word(&l.text, &l.stream) && word(&l.text, &flags) && is_stream(l.stream))
		set_parts(b, e, &l, flags);
}

static bool skip(struct str *s, char c)
{
	if (!s->n || s->p[0] != c) return false;
	*s = str_from(*s, 1);
	return true;
}

/* Alloy's format: the time may be empty, the flag is one letter or missing, and so may be the blank behind it. */
static bool parse_alloy(struct str line, struct container_line *l, struct str *flag)
{
	size_t n = 0;
	while (n < line.n && !blank(line.p[n])) n++;
	l->time = n < line.n ? str_sub(line, 0, n) : STR("");
	l->text = n < line.n ? str_from(line, n) : line;
	if (!skip(&l->text, ' ')) return false;
	l->stream = str_sub(l->text, 0, l->text.n < 6 ? l->text.n : 6);
	if (!is_stream(l->stream)) return false;
	l->text = str_from(l->text, 6);
	if (!skip(&l->text, ' ')) return false;
	*flag = skip(&l->text, 'P') ? STR("P") : STR("F");
	if ((*flag).p[0] == 'F') skip(&l->text, 'F');
	skip(&l->text, ' ');
	return true;
}

/* ---- joining ---- */

static void send(struct state *st, struct join *p, struct batch *out)
{
	join_emit(p, out);
	join_free(&st->partials, p);
}

static void append(const struct conf *c, struct join *p, struct str piece)
{
	buf_str(&p->text, piece);
	if (c->truncate && p->text.n > (size_t)c->max_size) p->text.n = (size_t)c->max_size;
}

static void add_piece(struct stage *s, struct entry *e, struct batch *out)
{
	struct state *st = s->state;
	if (streams_full(&st->partials))
		for (struct join *p; (p = streams_oldest(&st->partials));) send(st, p, out);
	struct join *p = streams_find(&st->partials, &e->labels);
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
	if (p->text.n >= JOIN_MAX) send(st, p, out);
}

/* The last piece: e becomes the whole line. */
static void complete(struct stage *s, struct entry *e, struct batch *out)
{
	struct state *st = s->state;
	struct join *p = st->partials.map.n ? streams_find(&st->partials, &e->labels) : NULL;
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
	join_free(&st->partials, p);
}

static void join_line(struct stage *s, struct entry *e, bool partial, struct batch *out)
{
	if (partial)
		add_piece(s, e, out);
	else
		complete(s, e, out);
}

static void run_promtail(struct stage *s, struct batch *b, struct batch *out)
{
	struct state *st = s->state;
	for (size_t i = 0; i < b->n; i++) {
		entry_begin(b, &b->v[i], true);
		split(b, &b->v[i]);
	}
	pipeline_run_rest(st->rest, b);
	for (size_t i = 0; i < b->n; i++) {
		struct str flags;
		bool partial = stage_text(b, &b->v[i], STR("flags"), &flags) && str_eqc(flags, "P");
		join_line(s, &b->v[i], partial, out);
	}
}

static void run_alloy(struct stage *s, struct batch *b, struct batch *out)
{
	struct state *st = s->state;
	container_begin(&st->alloy);
	for (size_t i = 0; i < b->n; i++) {
		struct container_line l;
		struct str flag;
		if (!parse_alloy(b->v[i].line, &l, &flag)) {
			*batch_push(out) = b->v[i];
			continue;
		}
		set_parts(b, &b->v[i], &l, flag);
		container_apply(&st->alloy, b, &b->v[i], &l);
		join_line(s, &b->v[i], flag.p[0] == 'P', out);
	}
}

static void run(struct stage *s, struct batch *b)
{
	struct state *st = s->state;
	struct batch out = {.arena = b->arena};
	streams_begin(&st->partials);
	if (stage_is_alloy(s))
		run_alloy(s, b, &out);
	else
		run_promtail(s, b, &out);
	*b = out;
}

static int64_t deadline(const struct stage *s)
{
	const struct state *st = s->state;
	const struct join *p = streams_oldest(&st->partials);
	return p ? p->last + PARTIAL_WAIT : INT64_MAX;
}

static void tick(struct stage *s, struct batch *b, int64_t now)
{
	struct state *st = s->state;
	for (struct join *p; (p = streams_oldest(&st->partials)) && p->last + PARTIAL_WAIT <= now;) send(st, p, b);
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
	.plan = plan,
	.run = run,
	.deadline = deadline,
	.tick = tick,
	.flush = flush,
};
