/* SPDX-License-Identifier: GPL-2.0-or-later */
/* decolorize: removes ANSI control sequences from the line. */
#include "pipeline/ansi.h"
#include "pipeline/stage.h"

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	(void)s;
	(void)body;
	(void)e;
	return true;
}

static void run(struct stage *s, struct batch *b)
{
	(void)s;
	for (size_t i = 0; i < b->n; i++) b->v[i].line = ansi_strip(b->arena, b->v[i].line);
}

const struct stage_type stage_decolorize = {
	.name = "decolorize",
	.doc = "Removes ANSI color sequences from the line.",
	.make = make,
	.run = run,
	.simple = true,
};
