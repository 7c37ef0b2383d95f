/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex: the named groups of the first match become extracted values; a group that took no part becomes "". No match:
 * nothing changes. With labels_from_groups, of Alloy, they become labels as well. */
#include "pipeline/label_edits.h"
#include "pipeline/stage.h"

struct conf {
	struct str expression, source;
	bool labels;
};
struct group {
	size_t index;
	struct str name;
};
struct state {
	struct regex *re;
	struct regex_span *spans; /* scratch */
	size_t nspans;
	struct group *groups; /* the named ones */
	size_t n;
	struct label_edits *cache;
	struct label_edit *edits; /* scratch: one per group */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!c->expression.n) return stage_refuse(body, "expression", e, "expression must be set");
	if (c->source.p && !c->source.n)
		return stage_refuse(body, "source", e, "source must not be empty; leave it out to match the line");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->cache = label_edits_new();
	st->re = stage_compile(body, "expression", c->expression, e);
	if (!st->re) return false;
	size_t n = regex_groups(st->re), cap = 0;
	for (size_t i = 1; i <= n; i++) {
		struct str name = regex_group_name(st->re, i);
		if (!name.n) continue;
		*ARENA_PUSH(s->arena, st->groups, st->n, cap) = (struct group){i, name};
		st->nspans = i + 1; /* no groups beyond the last named one are asked for */
	}
	st->spans = arena_alloc(s->arena, (st->nspans + 1) * sizeof *st->spans);
	st->edits = arena_alloc(s->arena, (st->n + 1) * sizeof *st->edits);
	return true;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	regex_free(st->re);
	label_edits_free(st->cache);
}

static void set_groups(const struct conf *c, const struct state *st, struct batch *b, struct entry *e, struct str in)
{
	size_t n = 0;
	for (size_t k = 0; k < st->n; k++) {
		struct regex_span sp = st->spans[st->groups[k].index];
		struct str text = sp.from < 0 ? STR("") : str_sub(in, (size_t)sp.from, (size_t)sp.to);
		stage_set(b, e, st->groups[k].name, text);
		if (!c->labels || !labels_name_valid(st->groups[k].name) || !str_utf8_valid(text)) continue;
		st->edits[n++] = (struct label_edit){.name = st->groups[k].name, .value = text};
	}
	if (n) label_edits_apply(st->cache, b, e, st->edits, n);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	const struct state *st = s->state;
	if (!st->n) return;
	label_edits_begin(st->cache);
	for (size_t i = 0; i < b->n; i++) {
		struct str in;
		if (!stage_input(b, &b->v[i], c->source, &in)) continue;
		if (regex_exec(st->re, in, 0, st->spans, st->nspans)) set_groups(c, st, b, &b->v[i], in);
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
	{.key = "labels_from_groups",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct conf, labels),
	 .doc = "Set labels of the groups' names, too."},
	{0},
};
static const struct conf_table table = {"regex stage",   sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_EXACT};

const struct stage_type stage_regex = {
	.name = "regex",
	.doc = "Extracts the named groups of a regular expression.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.run = run,
	.simple = true,
};
