/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sampling: keeps each entry with the given probability. */
#include "pipeline/stage.h"

struct conf {
	double rate;
	struct str reason;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (c->rate >= 0 && c->rate <= 1) return true;
	return stage_refuse(body, "rate", e,
			    "rate must be between 0.0 (drop everything) and 1.0 (keep everything), not %f", c->rate);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	for (size_t i = 0; i < b->n; i++) {
		double r = (double)(clock_rnd(s->env->clock) >> 11) * 0x1p-53; /* [0, 1) */
		if (r >= c->rate) stage_drop_entry(s, &b->v[i], c->reason);
	}
}

static const struct conf_field fields[] = {
	{.key = "rate",
	 .kind = CONF_FLOAT,
	 .off = offsetof(struct conf, rate),
	 .doc = "Share of the entries to keep, 0 to 1."},
	{.key = "drop_counter_reason",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, reason),
	 .def = "sampling_stage",
	 .doc = "Reason that dropped entries are counted under."},
	{0},
};
static const struct conf_table table = {"sampling stage", sizeof(struct conf), fields,
					.lenient = true,  .any_case = true,    .typing = CONF_WEAK};

const struct stage_type stage_sampling = {
	.name = "sampling",
	.doc = "Keeps a random share of the entries.",
	.conf = &table,
	.make = make,
	.run = run,
};
