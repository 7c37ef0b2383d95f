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
	for (size_t i = 0; i < c->names.n; i++) label_stage_del(st, c->names.v[i]);
	return true;
}

static void run(struct stage *s, struct batch *b)
{
	struct label_stage *st = s->state;
	label_stage_begin(st);
	for (size_t i = 0; i < b->n; i++) label_stage_apply(st, b, &b->v[i]);
}

static const struct conf_field fields[] = {
	{.key = "labeldrop",
	 .kind = CONF_STR_LIST,
	 .off = offsetof(struct conf, names),
	 .doc = "a list of the labels to remove."},
	{0},
};
static const struct conf_table table = {"labeldrop stage", sizeof(struct conf), fields, .typing = CONF_EXACT};

static const struct conf_field alloy_fields[] = {
	{.key = "values", .kind = CONF_STR_LIST, .off = offsetof(struct conf, names), .doc = "Labels to remove."},
	{0},
};
static const struct conf_table alloy = {"label_drop stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_labeldrop = {
	.name = "labeldrop",
	.doc = "Removes labels by name.",
	.conf = &table,
	.alloy_name = "label_drop",
	.alloy = &alloy,
	.bare = true,
	.make = make,
	.fini = label_stage_fini,
	.run = run,
	.simple = true,
};
