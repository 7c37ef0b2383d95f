/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex: the named groups of the first match become extracted values; a group that took no part becomes "". No match:
 * nothing changes. In Alloy's dialect they may become labels, too. */
#include "pipeline/label_edits.h"

struct conf {
	struct str expression, source;
	bool labels;
};
struct group {
	size_t index;
	struct str name;
};
struct state {
	struct label_stage labels;
	struct regex *re;
	struct regex_span *spans; /* scratch */
	size_t nspans;
	struct group *groups; /* the named ones */
	size_t n;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!c->expression.n) return stage_refuse(body, "expression", e, "expression must be set");
	if (c->source.p && !c->source.n)
		return stage_refuse(body, "source", e, "source must not be empty; leave it out to match the line");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->re = stage_compile(body, "expression", c->expression, e);
	if (!st->re) return false;
	size_t n = regex_groups(st->re), cap = 0;
	for (size_t i = 1; i <= n; i++) {
		struct str name = regex_group_name(st->re, i);
		if (!name.n) continue;
		*ARENA_PUSH(s->arena, st->groups, st->n, cap) = (struct group){i, name};
	}
	st->spans = arena_alloc(s->arena, (n + 1) * sizeof *st->spans);
	if (c->labels) label_stage_init(&st->labels, s->arena, st->n);
	return true;
}

static void fini(struct stage *s)
{
	label_stage_fini(s);
	regex_free(((struct state *)s->state)->re);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	size_t n = 0;
	for (size_t i = 0; i < st->n; i++) {
		if (!c->labels && !reads_has(r, st->groups[i].name)) continue;
		st->groups[n++] = st->groups[i];
		st->nspans = st->groups[i].index + 1; /* groups beyond the last one are not asked for */
	}
	st->n = n;
	if (n) reads_add(r, c->source);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	if (!st->n) return;
	if (c->labels) label_stage_begin(&st->labels);
	for (size_t i = 0; i < b->n; i++) {
		struct str in;
		if (!stage_input(b, &b->v[i], c->source, &in)) continue;
		if (!regex_exec(st->re, in, 0, st->spans, st->nspans)) continue;
		st->labels.n = 0;
		for (size_t k = 0; k < st->n; k++) {
			struct regex_span sp = st->spans[st->groups[k].index];
			struct str text = sp.from < 0 ? STR("") : str_sub(in, (size_t)sp.from, (size_t)sp.to);
			stage_set(b, &b->v[i], st->groups[k].name, text);
			if (c->labels) label_stage_group(&st->labels, st->groups[k].name, text);
		}
		label_stage_apply(&st->labels, b, &b->v[i]);
	}
}

static const struct conf_field fields[] = {
	{.key = "expression",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, expression),
	 .doc = "RE2 expression with named groups."},
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value to match instead of the line."},
	{0},
};
static const struct conf_table table = {"regex stage",   sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_EXACT};

static const struct conf_field alloy_fields[] = {
	{.key = "labels_from_groups",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct conf, labels),
	 .doc = "Set labels of the groups' names, too."},
	{0},
};
static const struct conf_table alloy = {"regex stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_regex = {
	.name = "regex",
	.doc = "Extracts the named groups of a regular expression.",
	.conf = &table,
	.alloy = &alloy,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
