/* SPDX-License-Identifier: GPL-2.0-or-later */
/* decolorize: removes ANSI control sequences from the line (ECMA-48 CSI and OSC, as the ansi-regex expression has
 * them). */
#include "pipeline/stage.h"

#include <stdlib.h>

struct state {
	struct regex *re;
	struct buf out;
};

static const char sequence[] = "[\\x{1B}\\x{9B}][[\\]()#;?]*(?:(?:(?:[a-zA-Z\\d]*(?:;[a-zA-Z\\d]*)*)?\\x07)|"
			       "(?:(?:\\d{1,4}(?:;\\d{0,4})*)?[\\dA-PRZcf-ntqry=><~]))";

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	(void)body;
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->re = regex_new(str_c(sequence), 0, e);
	return st->re;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	regex_free(st->re);
	buf_free(&st->out);
}

static void run(struct stage *s, struct batch *b)
{
	struct state *st = s->state;
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->v[i];
		if (str_chr(e->line, '\x1b') < 0 && str_find(e->line, STR("\xc2\x9b")) < 0) continue;
		buf_clear(&st->out);
		regex_replace(st->re, e->line, STR(""), true, &st->out);
		e->line = arena_str(b->arena, buf_view(&st->out));
	}
}

const struct stage_type stage_decolorize = {
	.name = "decolorize",
	.doc = "Removes ANSI color sequences from the line.",
	.make = make,
	.fini = fini,
	.run = run,
	.simple = true,
};
