/* SPDX-License-Identifier: GPL-2.0-or-later */
/* logfmt: chosen keys of key=value text become extracted values, always as strings. Each line of the text is read for
 * itself; what stands before a syntax error stays, what follows in all lines is not read. */
#include "pipeline/extract/logfmt.h"
#include "pipeline/stage.h"

struct conf {
	struct labels mapping; /* extracted name → key */
	struct str source;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	struct conf *c = s->conf;
	if (!c->mapping.n)
		return stage_refuse(body, "mapping", e,
				    "mapping must be set: extracted names and the keys they come from");
	if (c->source.p && !c->source.n)
		return stage_refuse(body, "source", e, "source must not be empty; leave it out to read the line");
	for (size_t i = 0; i < c->mapping.n; i++)
		if (!c->mapping.v[i].value.n) c->mapping.v[i].value = c->mapping.v[i].name;
	return true;
}

/* False: a syntax error. */
static bool read_line(const struct conf *c, struct batch *b, struct entry *e, struct str line)
{
	struct logfmt_pair pair;
	struct str bad = {0};
	for (size_t pos = 0; logfmt_next(line, &pos, b->arena, &pair, &bad);)
		for (size_t i = 0; i < c->mapping.n; i++)
			if (str_eq(c->mapping.v[i].value, pair.key)) stage_set(b, e, c->mapping.v[i].name, pair.value);
	return !bad.n;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	for (size_t i = 0; i < b->n; i++) {
		struct str rest, line;
		if (!stage_input(b, &b->v[i], c->source, &rest)) continue;
		do str_cut(&rest, '\n', &line);
		while (read_line(c, b, &b->v[i], line) && rest.n);
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

const struct stage_type stage_logfmt = {
	.name = "logfmt",
	.doc = "Extracts keys of logfmt text.",
	.conf = &table,
	.make = make,
	.run = run,
	.simple = true,
};
