/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pack: extracted values and the line become one JSON object {"name":"value",…,"_entry":"line"}; labels of these names
 * are removed. LogQL's `| unpack` is the way back. */
#include "common/json.h"
#include "pipeline/label_edits.h"

#include <stdlib.h>

struct conf {
	struct conf_strs labels;
	bool ingest_timestamp;
};
struct state {
	struct label_stage labels;
	struct buf out;
	int64_t last; /* time given last: times strictly increase */
};

static int by_name(const void *a, const void *b) { return str_cmp(*(const struct str *)a, *(const struct str *)b); }

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	struct conf *c = s->conf;
	(void)body, (void)e;
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	label_stage_init(&st->labels, s->arena, c->labels.n);
	if (c->labels.n) qsort(c->labels.v, c->labels.n, sizeof *c->labels.v, by_name);
	size_t n = 0;
	for (size_t i = 0; i < c->labels.n; i++)
		if (!n || !str_eq(c->labels.v[n - 1], c->labels.v[i])) c->labels.v[n++] = c->labels.v[i];
	c->labels.n = n;
	return true;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	label_stage_fini(s);
	buf_free(&st->out);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct conf *c = s->conf;
	for (size_t i = 0; i < c->labels.n; i++) reads_add(r, c->labels.v[i]);
}

static void pack(struct stage *s, struct batch *b, struct entry *e)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct json_out o;
	struct str text;
	st->labels.n = 0;
	buf_clear(&st->out);
	json_out_init(&o, &st->out, true);
	json_open(&o, '{');
	for (size_t i = 0; i < c->labels.n; i++) {
		if (!stage_text(b, e, c->labels.v[i], &text)) continue;
		json_key(&o, c->labels.v[i]);
		json_put_str(&o, text);
		label_stage_del(&st->labels, c->labels.v[i]);
	}
	json_key(&o, STR("_entry"));
	json_put_str(&o, e->line);
	json_close(&o, '}');
	e->line = arena_str(b->arena, buf_view(&st->out));
	label_stage_apply(&st->labels, b, e);
}

/* A line that is read again gets the time that it got when it was first read. */
static int64_t ingest_time(struct stage *s, const struct entry *e)
{
	struct state *st = s->state;
	if (e->read_ts) return e->read_ts;
	int64_t now = clock_wall(s->env->clock);
	return st->last = now > st->last ? now : st->last + 1;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	label_stage_begin(&st->labels);
	for (size_t i = 0; i < b->n; i++) {
		pack(s, b, &b->v[i]);
		if (c->ingest_timestamp) b->v[i].ts = ingest_time(s, &b->v[i]);
	}
}

static const struct conf_field fields[] = {
	{.key = "labels",
	 .kind = CONF_STR_LIST,
	 .off = offsetof(struct conf, labels),
	 .doc = "Extracted values (labels are among them) to pack."},
	{.key = "ingest_timestamp",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct conf, ingest_timestamp),
	 .def = "true",
	 .doc = "The entry's time becomes the time at which it was read."},
	{0},
};
static const struct conf_table table = {"pack stage",    sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_WEAK};

const struct stage_type stage_pack = {
	.name = "pack",
	.doc = "Packs labels and the line into one JSON object.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
