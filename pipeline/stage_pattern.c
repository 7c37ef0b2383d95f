/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pattern: what stands in the named captures of a LogQL pattern becomes extracted values, and labels if asked for. The
 * line may end early: the captures before that count. Of Alloy. */
#include "pipeline/extract/pattern.h"
#include "pipeline/label_edits.h"
#include "pipeline/stage.h"

struct conf {
	struct str pattern, source;
	bool labels;
};
struct state {
	struct pattern *pattern;
	struct extract found;
	struct label_edits *cache;
	struct label_edit *edits; /* scratch */
	size_t cap;
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
	st->cache = label_edits_new();
	st->pattern = pattern_new(c->pattern, &why);
	return st->pattern || stage_refuse(body, "pattern", e, "pattern: %s", why.msg);
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	pattern_free(st->pattern);
	extract_free(&st->found);
	label_edits_free(st->cache);
}

static void set_labels(struct stage *s, struct batch *b, struct entry *e)
{
	struct state *st = s->state;
	size_t n = 0;
	for (size_t i = 0; i < st->found.n; i++) {
		const struct label *l = &st->found.v[i];
		if (!str_utf8_valid(l->value)) continue;
		st->edits = arena_grow(s->arena, st->edits, n, &st->cap, sizeof *st->edits);
		st->edits[n++] = (struct label_edit){.name = l->name, .value = l->value};
	}
	label_edits_apply(st->cache, b, e, st->edits, n);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	st->found.a = b->arena;
	label_edits_begin(st->cache);
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->v[i];
		struct str in;
		if (!stage_input(b, e, c->source, &in)) continue;
		extract_reset(&st->found);
		extract_pattern(st->pattern, in, &st->found);
		for (size_t k = 0; k < st->found.n; k++) stage_set(b, e, st->found.v[k].name, st->found.v[k].value);
		if (c->labels && st->found.n) set_labels(s, b, e);
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
	.run = run,
	.simple = true,
};
