/* SPDX-License-Identifier: GPL-2.0-or-later */
/* multiline: lines up to the next first line are one entry, with the time, labels and extracted values of its first
 * line and the origins of all. One open block per label set.
 *
 * Lines before a label set's first first line pass. A block ends at the next first line, at max_lines (further lines
 * make a block under the same first line's labels and time), after max_wait_time without a line, and at the end of
 * input. What follows an idle block belongs to it still, in Promtail; in Alloy, and with a preset, it is forgotten
 * then. With a preset any line starts a block where there is none. While a block's first line is in the batch at hand,
 * nothing is copied; what is open at the batch's end is kept. */
#include "common/units.h"
#include "pipeline/joins.h"
#include "pipeline/stage.h"

#define STREAMS_MAX 10000 /* label sets with an open block; beyond, the longest idle is sent */

struct conf {
	struct str firstline, max_wait;
	int64_t max_lines;
	int preset;
	bool trim_newlines;
};

/* Known kinds of stack traces: what a line looks like that goes on with the entry before. Each begins with what they
 * have in common: blank lines and indented ones. */
static const char *const preset_names[] = {"none", "java", "python", "go", "node", "ruby", "dotnet", NULL};
static const char *const continuations[] = {
	NULL,
	/* java: headers of exceptions have a package; logback puts the root cause first ("Wrapped by") */
	"^(?:$|\\s|Caused by: |Suppressed: |Wrapped by: |nested exception is:?|"
	"(?:[\\w$]+\\.)+[\\w$]*(?:Exception|Error|Throwable|Failure|Fault|Timeout)[\\w$]*(?::|$))",
	/* python: exceptions are named as one likes; then only a module in front tells them. The rest: SQLAlchemy's
	 * explanations, faulthandler */
	"^(?:$|\\s|Traceback \\(most recent call (?:last|first)\\):|During handling of the above exception|"
	"The above exception was the direct cause|"
	"(?:[\\w.]+(?:Error|Exception|Warning|Interrupt|Exit|Iteration|Group)|Exception)(?::|$)|"
	"(?:\\w+\\.)+[A-Z]\\w*(?:: |$)|"
	"\\[SQL: |\\[parameters: |\\(Background on this error at: |"
	"(?:Current t|T)hread 0x[0-9a-f]+ .*\\(most recent call first\\))",
	/* go: frames are calls of something in a package; registers follow on SIGQUIT */
	"^(?:$|\\s|goroutine \\d+ .*\\[|\\[signal |\\[originating from |created by |runtime stack:$|exit status \\d|"
	"(?:panic|[\\w./*()\\[\\]%@~{}-]*\\.[\\w.*()\\[\\]{}-]*)\\(.*\\)$|\\.\\.\\.(?:additional frames|\\d+ frames) "
	"elided|"
	"PC=0x|(?:r[a-z0-9]{1,5}|[cfg]s) +0x[0-9a-f]+$)",
	/* node: the line with the place of a throw begins an entry, the error's own line follows it */
	"^(?:$|\\s|[\\w$.]*(?:Error|Exception)(?::| \\[|$)|\\}|\\]|\\[cause\\]: |Caused by: |caused by: |"
	"From previous event:|Node\\.js v\\d|Thrown at:)",
	/* ruby: the error's line has the form of a frame with a message behind it */
	"^(?:$|\\s|from |Traceback \\(most recent call last\\):|\\S+:\\d+:in ['`].*'(?:$|: )|"
	"(?:[A-Z]\\w*::)+[A-Z]\\w* \\(|\\w+(?:Error|Exception) \\(|Causes:|Caused by: )",
	"^(?:$|\\s|--- End of |---> |(?:\\w+[.+])+\\w*Exception\\w*(?: \\(0x[0-9A-Fa-f]+\\))?(?::|$)|"
	"ClientConnectionId:|Error Number:|File name: ')",
};

struct block {
	struct join join; /* its entry is the first line, of an earlier batch */
	struct block *next_live;
	struct entry live; /* first line in the batch at hand, by value */
	bool is_live;
	bool joined; /* the lines so far are in join.text; else there is only the first line's own */
	int64_t lines;
};
struct state {
	struct regex *re;
	bool re_continues; /* re is a preset's: it matches what is not a first line */
	bool forgets;      /* of an idle block nothing stays */
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
	if (stage_is_alloy(s) && st->max_wait <= 0)
		return stage_refuse(body, "max_wait_time", e, "max_wait_time must be greater than 0");
	if (st->max_wait > INT64_MAX / 2) st->max_wait = INT64_MAX / 2;
	st->re_continues = preset;
	st->forgets = preset || stage_is_alloy(s);
	st->re = preset ? regex_new(str_c(preset), 0, e) : stage_compile(body, "firstline", c->firstline, e);
	return st->re;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	joins_fini(&st->streams);
	regex_free(st->re);
}

static bool is_first(const struct state *st, struct str line) { return regex_match(st->re, line) != st->re_continues; }

/* The entry of the block's first line; its origins are those of all lines so far. */
static struct entry *head(struct block *k) { return k->is_live ? &k->live : &k->join.entry->e; }

/* Sends the lines so far. The first line's labels and time stay for lines to come. */
static void flush_block(struct stage *s, struct block *k, struct batch *out)
{
	if (!k->lines) return;
	struct str line = k->joined ? buf_view(&k->join.text) : head(k)->line;
	if (!line.n && !stage_is_alloy(s)) { /* nothing but empty lines */
		stage_drop_entry(s, head(k), STR("multiline_empty"));
		head(k)->dropped = false;
	} else if (k->is_live) {
		struct entry *e = batch_push(out);
		*e = k->live;
		if (k->joined) e->line = arena_str(out->arena, line);
		k->live.origins = NULL; /* they are the sent entry's now */
		k->live.cap_origins = 0;
	} else {
		join_emit(&k->join, out);
	}
	head(k)->norigins = 0;
	buf_clear(&k->join.text);
	k->joined = true;
	k->lines = 0;
	((struct state *)s->state)->open--;
}

static void start_block(struct state *st, struct block *k, const struct entry *e)
{
	kept_free(k->join.entry);
	k->join.entry = NULL;
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
	struct buf *text = &k->join.text;
	if (!k->joined) buf_str(text, head(k)->line);
	k->joined = true;
	if (text->n) buf_ch(text, '\n'); /* an empty first line adds no separator */
	buf_str(text, e->line);
	entry_join(k->is_live ? a : &k->join.entry->arena, head(k), e);
	if (!k->lines++) st->open++;
}

/* First lines of this batch whose blocks are still open move to memory of their own. */
static void keep_live(struct state *st)
{
	for (struct block *k = st->live; k; k = k->next_live) {
		if (!k->joined) buf_str(&k->join.text, k->live.line);
		k->joined = true;
		k->live.line = STR("");
		k->join.entry = entry_keep(&k->live);
		k->is_live = false;
	}
	st->live = NULL;
}

/* The block that the line belongs to; NULL: none. A new one has no lines and is empty. *first: the line starts it. */
static struct block *block_of(struct stage *s, struct entry *e, bool *first, struct batch *out)
{
	struct state *st = s->state;
	struct block *k = streams_find(&st->streams, &e->labels);
	if (k) return k;
	*first |= st->re_continues;
	if (!*first) return NULL;
	if (streams_full(&st->streams)) {
		keep_live(st);
		struct block *oldest = streams_oldest(&st->streams);
		flush_block(s, oldest, out);
		join_free(&st->streams, &oldest->join);
	}
	return streams_add(&st->streams, &e->labels);
}

static void trim_newlines(struct str *line)
{
	while (line->n && (line->p[line->n - 1] == '\n' || line->p[line->n - 1] == '\r')) line->n--;
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
		struct block *k = block_of(s, e, &first, &out);
		if (!k) { /* no first line of this label set yet */
			*batch_push(&out) = *e;
			continue;
		}
		if (c->trim_newlines) trim_newlines(&e->line);
		if (first) {
			flush_block(s, k, &out);
			start_block(st, k, e);
		} else {
			add_line(st, k, e, b->arena);
		}
		k->join.last = now;
		if (k->lines == c->max_lines || k->join.text.n >= JOIN_MAX) flush_block(s, k, &out);
	}
	keep_live(st);
	*b = out;
}

/* Blocks come oldest line first: the ring of streams is in that order. */
static int64_t deadline(const struct stage *s)
{
	const struct state *st = s->state;
	const struct block *k = streams_oldest(&st->streams);
	while (k && !k->lines && !st->forgets) k = st->open ? streams_newer(&st->streams, k) : NULL;
	return k ? k->join.last + st->max_wait : INT64_MAX;
}

static void tick(struct stage *s, struct batch *b, int64_t now)
{
	struct state *st = s->state;
	struct block *next;
	for (struct block *k = streams_oldest(&st->streams); k && k->join.last + st->max_wait <= now; k = next) {
		next = streams_newer(&st->streams, k);
		flush_block(s, k, b);
		if (st->forgets) join_free(&st->streams, &k->join);
	}
}

static void flush(struct stage *s, struct batch *b)
{
	struct state *st = s->state;
	for (struct block *k; (k = streams_oldest(&st->streams));) {
		flush_block(s, k, b);
		join_free(&st->streams, &k->join);
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

static const struct conf_field alloy_fields[] = {
	{.key = "trim_newlines",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct conf, trim_newlines),
	 .def = "true",
	 .doc = "Leave out line ends that the lines have still."},
	{0},
};
static const struct conf_table alloy = {"multiline stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_multiline = {
	.name = "multiline",
	.doc = "Joins lines to one entry.",
	.conf = &table,
	.alloy = &alloy,
	.make = make,
	.fini = fini,
	.run = run,
	.deadline = deadline,
	.tick = tick,
	.flush = flush,
};
