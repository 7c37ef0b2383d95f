/* SPDX-License-Identifier: GPL-2.0-or-later */
/* multiline: lines up to the next first line are one entry, with the time, labels and extracted values of its first
 * line and the origins of all. One open block per label set.
 *
 * Lines before a label set's first first line pass. A block ends at the next first line, at max_lines (further lines
 * make a block under the same first line's labels and time), after max_wait_time without a line, and at the end of
 * input. While a block's first line is in the batch at hand, nothing is copied; what is open at the batch's end is
 * kept. */
#include "common/units.h"
#include "pipeline/stage.h"
#include "pipeline/streams.h"

#define STREAMS_MAX 10000      /* label sets with an open block; beyond, the longest idle is sent */
#define BLOCK_MAX   (16 << 20) /* bytes; a longer block is sent like one of max_lines */

struct conf {
	struct str firstline, max_wait;
	int64_t max_lines;
	int preset;
};

/* Known kinds of stack traces: what a line looks like that goes on with the entry before. */
static const char *const preset_names[] = {"none", "java", "python", "go", "node", "ruby", "dotnet", NULL};
static const char *const continuations[] = {
	NULL,
	"^(?:\\s|Caused by:|Suppressed:|[\\w$.]+(?:Exception|Error|Throwable)(?::|$)|$)",
	"^(?:\\s|Traceback \\(most recent call last\\):|During handling of the above|The above exception was|"
	"[\\w.]+(?:Error|Exception|Warning|Interrupt|Exit)(?::|$)|$)",
	"^(?:\\s|goroutine \\d+ \\[|[\\w./*()-]+\\(.*\\)$|created by |\\[signal |exit status \\d|$)",
	"^(?:\\s|[\\w.]*Error(?::| \\[|$)|\\}|Node\\.js v|$)",
	"^(?:\\s|from |[\\w:]+Error \\(|$)",
	"^(?:\\s|--- End of |---> |[\\w.]+Exception: |$)",
};

struct block {
	struct stream stream;
	struct block *next_live;
	struct entry live; /* first line in the batch at hand, by value */
	bool is_live;
	struct kept *start; /* first line of an earlier batch */
	bool joined;        /* the lines so far are in text; else there is only the first line's own */
	struct buf text;
	int64_t lines, last; /* last: mono ns of the last line */
};
struct state {
	struct regex *re;
	bool re_continues; /* re is a preset's: it matches what is not a first line */
	int64_t max_wait;
	struct streams streams;
	size_t open;        /* blocks with lines */
	struct block *live; /* blocks whose first line is in the batch at hand */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	const char *preset = continuations[c->preset];
	if (preset && c->firstline.n) return stage_refuse(body, "preset", e, "set firstline or preset, not both");
	if (!preset && !c->firstline.n)
		return stage_refuse(body, "firstline", e,
				    "firstline must be set: an expression that matches the first line of "
				    "an entry, as '^\\d{4}-'; or a preset such as java");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	streams_init(&st->streams, sizeof(struct block), STREAMS_MAX);
	struct err why = ERR_INIT;
	st->max_wait = 3 * UNITS_SEC;
	if (c->max_wait.p && !units_dur_go(c->max_wait, &st->max_wait, &why))
		return stage_refuse(body, "max_wait_time", e, "max_wait_time: %s", why.msg);
	st->re_continues = preset;
	st->re = preset ? regex_new(str_c(preset), 0, e) : stage_compile(body, "firstline", c->firstline, e);
	return st->re;
}

static void block_free(struct state *st, struct block *k)
{
	kept_free(k->start);
	buf_free(&k->text);
	streams_remove(&st->streams, k);
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	for (struct block *k; (k = streams_oldest(&st->streams));) block_free(st, k);
	streams_fini(&st->streams);
	regex_free(st->re);
}

static bool is_first(const struct state *st, struct str line) { return regex_match(st->re, line) != st->re_continues; }

/* The entry of the block's first line; its origins are those of all lines so far. */
static struct entry *head(struct block *k) { return k->is_live ? &k->live : &k->start->e; }

/* Sends the lines so far. The first line's labels and time stay for lines to come. */
static void flush_block(struct stage *s, struct block *k, struct batch *out)
{
	if (!k->lines) return;
	struct str line = k->joined ? buf_view(&k->text) : head(k)->line;
	if (!line.n) { /* nothing but empty lines */
		stage_drop_entry(s, head(k), STR("multiline_empty"));
		head(k)->dropped = false;
	} else if (k->is_live) {
		struct entry *e = batch_push(out);
		*e = k->live;
		if (k->joined) e->line = arena_str(out->arena, line);
		k->live.origins = NULL; /* they are the sent entry's now */
		k->live.cap_origins = 0;
	} else {
		kept_emit(k->start, out)->line = arena_str(out->arena, line);
	}
	head(k)->norigins = 0;
	buf_clear(&k->text);
	k->joined = true;
	k->lines = 0;
	((struct state *)s->state)->open--;
}

static void start_block(struct state *st, struct block *k, const struct entry *e)
{
	kept_free(k->start);
	k->start = NULL;
	k->live = *e;
	k->joined = false;
	k->lines = 1;
	st->open++;
	if (k->is_live) return;
	k->is_live = true;
	k->next_live = st->live;
	st->live = k;
}

static void add_line(struct state *st, struct block *k, struct entry *e, struct arena *a)
{
	if (!k->joined) buf_str(&k->text, head(k)->line);
	k->joined = true;
	if (k->text.n) buf_ch(&k->text, '\n'); /* an empty first line adds no separator */
	buf_str(&k->text, e->line);
	entry_join(k->is_live ? a : &k->start->arena, head(k), e);
	if (!k->lines++) st->open++;
}

/* First lines of this batch whose blocks are still open move to memory of their own. */
static void keep_live(struct state *st)
{
	for (struct block *k = st->live; k; k = k->next_live) {
		if (k->joined) k->live.line = STR("");
		k->start = entry_keep(&k->live);
		k->is_live = false;
	}
	st->live = NULL;
}

static struct block *block_of(struct stage *s, struct entry *e, bool first, struct batch *out)
{
	struct state *st = s->state;
	struct block *k = streams_find(&st->streams, &e->labels);
	if (k || !first) return k;
	if (streams_full(&st->streams)) {
		keep_live(st);
		struct block *oldest = streams_oldest(&st->streams);
		flush_block(s, oldest, out);
		block_free(st, oldest);
	}
	return streams_add(&st->streams, &e->labels);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct batch out = {.arena = b->arena};
	int64_t now = clock_mono(s->env->clock);
	streams_begin(&st->streams);
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->v[i];
		bool first = is_first(st, e->line);
		struct block *k = block_of(s, e, first, &out);
		if (!k) { /* no first line of this label set yet */
			*batch_push(&out) = *e;
			continue;
		}
		if (first) {
			flush_block(s, k, &out);
			start_block(st, k, e);
		} else {
			add_line(st, k, e, b->arena);
		}
		k->last = now;
		if (k->lines == c->max_lines || k->text.n >= BLOCK_MAX) flush_block(s, k, &out);
	}
	keep_live(st);
	*b = out;
}

/* Blocks come oldest line first: the ring of streams is in that order. */
static int64_t deadline(const struct stage *s)
{
	const struct state *st = s->state;
	for (const struct block *k = streams_oldest(&st->streams); st->open && k; k = streams_newer(&st->streams, k))
		if (k->lines) return k->last + st->max_wait;
	return INT64_MAX;
}

static void tick(struct stage *s, struct batch *b, int64_t now)
{
	struct state *st = s->state;
	for (struct block *k = streams_oldest(&st->streams); k && k->last + st->max_wait <= now;
	     k = streams_newer(&st->streams, k))
		flush_block(s, k, b);
}

static void flush(struct stage *s, struct batch *b)
{
	struct state *st = s->state;
	for (struct block *k; (k = streams_oldest(&st->streams));) {
		flush_block(s, k, b);
		block_free(st, k);
	}
}

static const struct conf_field fields[] = {
	{.key = "firstline",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, firstline),
	 .doc = "Expression that matches the first line of an entry."},
	{.key = "preset",
	 .kind = CONF_ENUM,
	 .names = preset_names,
	 .off = offsetof(struct conf, preset),
	 .def = "none",
	 .doc = "Instead of firstline: stack traces of this language go with the line before them."},
	{.key = "max_wait_time",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, max_wait),
	 .doc = "Longest wait for another line, as 3s (the default)."},
	{.key = "max_lines",
	 .kind = CONF_INT,
	 .off = offsetof(struct conf, max_lines),
	 .def = "128",
	 .doc = "Most lines of an entry; 0: any number."},
	{0},
};
static const struct conf_table table = {"multiline stage", sizeof(struct conf), fields,
					.lenient = true,   .any_case = true,    .typing = CONF_WEAK};

const struct stage_type stage_multiline = {
	.name = "multiline",
	.doc = "Joins lines to one entry.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.run = run,
	.deadline = deadline,
	.tick = tick,
	.flush = flush,
};
