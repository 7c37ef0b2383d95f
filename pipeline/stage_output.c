/* SPDX-License-Identifier: GPL-2.0-or-later */
/* output: the line becomes an extracted value. Missing, null: the line stays. */
#include "pipeline/stage.h"

struct output {
	struct str source;
};

static bool output_make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct output *c = s->conf;
	if (c->source.n) return true;
	return stage_refuse(body, "source", e, "source must be set: name the extracted value that becomes the line");
}

static void plan(struct stage *s, struct reads *r) { reads_add(r, ((const struct output *)s->conf)->source); }

static void output_run(struct stage *s, struct batch *b)
{
	const struct output *c = s->conf;
	for (size_t i = 0; i < b->n; i++) stage_text(b, &b->v[i], c->source, &b->v[i].line);
}

static const struct conf_field fields[] = {
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct output, source),
	 .doc = "Extracted value that becomes the line."},
	{0},
};
static const struct conf_table table = {"output stage",  sizeof(struct output), fields,
					.lenient = true, .any_case = true,      .typing = CONF_EXACT};

const struct stage_type stage_output = {
	.name = "output",
	.doc = "Replaces the line with an extracted value.",
	.conf = &table,
	.make = output_make,
	.plan = plan,
	.run = output_run,
	.simple = true,
};
