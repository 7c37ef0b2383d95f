/* SPDX-License-Identifier: GPL-2.0-or-later */
/* labeldrop: removes the labels of these names. */
#include "pipeline/label_edits.h"

struct conf {
	struct conf_strs names;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!c->names.n) return stage_refuse(body, NULL, e, "at least one label name must be given");
	struct label_stage *st = label_stage_start(s, c->names.n);
	for (size_t i = 0; i < c->names.n; i++) st->v[i] = (struct label_edit){.name = c->names.v[i], .del = true};
	return true;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct label_stage *st = s->state;
	label_edits_begin(st->cache);
	for (size_t i = 0; i < b->n; i++) label_edits_apply(st->cache, b, &b->v[i], st->v, c->names.n);
}

static const struct conf_field fields[] = {
	{.key = "labeldrop",
	 .kind = CONF_STR_LIST,
	 .off = offsetof(struct conf, names),
	 .doc = "a list of the labels to remove."},
	{0},
};
static const struct conf_table table = {"labeldrop stage", sizeof(struct conf), fields, .typing = CONF_EXACT};

const struct stage_type stage_labeldrop = {
	.name = "labeldrop",
	.doc = "Removes labels by name.",
	.conf = &table,
	.bare = true,
	.make = make,
	.fini = label_stage_fini,
	.run = run,
	.simple = true,
};
