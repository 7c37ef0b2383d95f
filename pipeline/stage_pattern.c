/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pattern: what stands in the named captures of a LogQL pattern becomes extracted values, and labels if asked for. The
 * line may end early: the captures before that count. Of Alloy. */
#include "pipeline/extract/pattern.h"
#include "pipeline/label_edits.h"

struct conf {
	struct str pattern, source;
	bool labels;
};
struct state {
	struct label_stage labels;
	struct pattern *pattern;
	struct extract found;
	bool idle; /* nobody wants what it finds */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	struct err why = ERR_INIT;
	if (!c->pattern.n) return stage_refuse(body, "pattern", e, "pattern must be set, as '<ip> - <_> [<time>] <_>'");
	if (c->source.p && !c->source.n)
		return stage_refuse(body, "source", e, "source must not be empty; leave it out to match the line");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	extract_init(&st->found, NULL, NULL, 0);
	if (c->labels) label_stage_init(&st->labels, s->arena, c->pattern.n / strlen("<a>"));
	st->pattern = pattern_new(c->pattern, &why);
	return st->pattern || stage_refuse(body, "pattern", e, "pattern: %s", why.msg);
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	pattern_free(st->pattern);
	extract_free(&st->found);
	label_stage_fini(s);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	st->idle = !c->labels && !r->all && !r->n;
	if (st->idle) return;
	if (!c->labels && !r->all) extract_init(&st->found, NULL, r->v, r->n);
	reads_add(r, c->source);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	st->found.a = b->arena;
	if (c->labels) label_stage_begin(&st->labels);
	for (size_t i = 0; !st->idle && i < b->n; i++) {
		struct entry *e = &b->v[i];
		struct str in;
		if (!stage_input(b, e, c->source, &in)) continue;
		extract_reset(&st->found);
		extract_pattern(st->pattern, in, &st->found);
		st->labels.n = 0;
		for (size_t k = 0; k < st->found.n; k++) {
			const struct label *l = &st->found.v[k];
			stage_set(b, e, l->name, l->value);
			if (c->labels) label_stage_group(&st->labels, l->name, l->value);
		}
		label_stage_apply(&st->labels, b, e);
	}
}

static const struct conf_field fields[] = {
	{.key = "pattern",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, pattern),
	 .doc = "Pattern of literals and captures: <name> is extracted, <_> is left out."},
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value to match instead of the line."},
	{.key = "labels_from_groups",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct conf, labels),
	 .doc = "Set labels of the captures' names, too."},
	{0},
};
static const struct conf_table table = {"pattern stage", sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_EXACT};

const struct stage_type stage_pattern = {
	.name = "pattern",
	.doc = "Extracts the captures of a LogQL pattern.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
