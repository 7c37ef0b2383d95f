/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex: the named groups of the first match become extracted values; a group that took no part becomes "". No match:
 * nothing changes. */
#include "pipeline/stage.h"

struct conf {
	struct str expression, source;
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
		st->nspans = i + 1; /* no groups beyond the last named one are asked for */
	}
	st->spans = arena_alloc(s->arena, (st->nspans + 1) * sizeof *st->spans);
	return true;
}

static void fini(struct stage *s) { regex_free(((struct state *)s->state)->re); }

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	const struct state *st = s->state;
	if (!st->n) return;
	for (size_t i = 0; i < b->n; i++) {
		struct str in;
		if (!stage_input(b, &b->v[i], c->source, &in)) continue;
		if (!regex_exec(st->re, in, 0, st->spans, st->nspans)) continue;
		for (size_t k = 0; k < st->n; k++) {
			struct regex_span sp = st->spans[st->groups[k].index];
			struct str text = sp.from < 0 ? STR("") : str_sub(in, (size_t)sp.from, (size_t)sp.to);
			stage_set(b, &b->v[i], st->groups[k].name, text);
		}
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

const struct stage_type stage_regex = {
	.name = "regex",
	.doc = "Extracts the named groups of a regular expression.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.run = run,
	.simple = true,
};
