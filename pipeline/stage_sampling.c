/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sampling: keeps each entry with the given probability. The clock's randomness, a system call, is only the seed. */
#include "pipeline/stage.h"

struct conf {
	double rate;
	struct str reason;
};
struct state {
	uint64_t random; /* xorshift64* (Marsaglia 2003, Vigna 2014); never 0 */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!(c->rate >= 0 && c->rate <= 1))
		return stage_refuse(body, "rate", e,
				    "rate must be between 0.0 (drop everything) and 1.0 (keep everything), not %f",
				    c->rate);
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->random = clock_rnd(s->env->clock) | 1;
	return true;
}

static double next(struct state *st) /* [0, 1) */
{
	st->random ^= st->random >> 12;
	st->random ^= st->random << 25;
	st->random ^= st->random >> 27;
	return (double)(st->random * UINT64_C(0x2545f4914f6cdd1d) >> 11) * 0x1p-53;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	for (size_t i = 0; i < b->n; i++)
		if (next(s->state) >= c->rate) stage_drop_entry(s, &b->v[i], c->reason);
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
