/* SPDX-License-Identifier: GPL-2.0-or-later */
/* logfmt: chosen keys of key=value text become extracted values, always as strings. Each line of the text is read for
 * itself; what stands before a syntax error stays, what follows in all lines is not read. In Alloy's dialect keys that
 * match an expression are extracted under their own names, too. */
#include "pipeline/extract/logfmt.h"
#include "pipeline/stage.h"

struct conf {
	struct labels mapping; /* extracted name → key */
	struct str source, regex;
};
struct state {
	struct label *v; /* extracted name → key: those that are read later */
	size_t n;
	struct regex *re; /* NULL: none */
	bool idle;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	struct conf *c = s->conf;
	if (!c->mapping.n && !c->regex.n)
		return stage_refuse(body, "mapping", e,
				    "mapping must be set: extracted names and the keys they come from");
	if (c->source.p && !c->source.n && !stage_is_alloy(s))
		return stage_refuse(body, "source", e, "source must not be empty; leave it out to read the line");
	for (size_t i = 0; i < c->mapping.n; i++)
		if (!c->mapping.v[i].value.n) c->mapping.v[i].value = c->mapping.v[i].name;
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->v = c->mapping.v;
	st->n = c->mapping.n;
	if (c->regex.n) st->re = stage_compile(body, "regex", c->regex, e);
	return st->re || !c->regex.n;
}

static void fini(struct stage *s) { regex_free(((struct state *)s->state)->re); }

static void plan(struct stage *s, struct reads *r)
{
	struct state *st = s->state;
	size_t n = 0;
	for (size_t i = 0; i < st->n; i++)
		if (reads_has(r, st->v[i].name)) st->v[n++] = st->v[i];
	st->n = n;
	st->idle = !n && !(st->re && (r->all || r->n));
	if (!st->idle) reads_add(r, ((const struct conf *)s->conf)->source);
}

/* False: a syntax error. */
static bool read_line(const struct state *st, struct batch *b, struct entry *e, struct str line)
{
	struct logfmt_pair pair;
	struct str bad = {0};
	for (size_t pos = 0; logfmt_next(line, &pos, b->arena, &pair, &bad);) {
		for (size_t i = 0; i < st->n; i++)
			if (str_eq(st->v[i].value, pair.key)) stage_set(b, e, st->v[i].name, pair.value);
		if (st->re && regex_match(st->re, pair.key)) stage_set(b, e, pair.key, pair.value);
	}
	return !bad.n;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	const struct state *st = s->state;
	for (size_t i = 0; !st->idle && i < b->n; i++) {
		struct str rest, line;
		if (!stage_input(b, &b->v[i], c->source, &rest)) continue;
		do str_cut(&rest, '\n', &line);
		while (read_line(st, b, &b->v[i], line) && rest.n);
	}
}

static const struct conf_field fields[] = {
	{.key = "mapping",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct conf, mapping),
	 .doc = "Extracted names and the keys they come from; nothing means the key of the same name."},
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value to read instead of the line."},
	{0},
};
static const struct conf_table table = {"logfmt stage",  sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_EXACT};

static const struct conf_field alloy_fields[] = {
	{.key = "regex",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, regex),
	 .doc = "RE2 expression; keys that it matches are extracted under their own names. It or mapping must be set."},
	{0},
};
static const struct conf_table alloy = {"logfmt stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_logfmt = {
	.name = "logfmt",
	.doc = "Extracts keys of logfmt text.",
	.conf = &table,
	.alloy = &alloy,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
