/* SPDX-License-Identifier: GPL-2.0-or-later */
/* static_labels: labels with values from the configuration. An empty value sets nothing. */
#include "pipeline/label_edits.h"

struct conf {
	struct labels labels;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	struct label_stage *st = label_stage_start(s, c->labels.n);
	for (size_t i = 0; i < c->labels.n; i++) {
		const struct label *l = &c->labels.v[i];
		if (!labels_name_valid(l->name))
			return stage_refuse(body, l->name.p, e, "invalid label name \"%.*s\"", STR_ARG(l->name));
		if (l->value.n) label_stage_set(st, l->name, l->value);
	}
	return true;
}

static void run(struct stage *s, struct batch *b)
{
	struct label_stage *st = s->state;
	label_stage_begin(st);
	for (size_t i = 0; i < b->n; i++) label_stage_apply(st, b, &b->v[i]);
}

static const struct conf_field fields[] = {
	{.key = "static_labels",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct conf, labels),
	 .doc = "a mapping of label names to values."},
	{0},
};
static const struct conf_table table = {"static_labels stage", sizeof(struct conf), fields, .typing = CONF_EXACT};

static const struct conf_field alloy_fields[] = {
	{.key = "values",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct conf, labels),
	 .doc = "Label names and their values."},
	{0},
};
static const struct conf_table alloy = {"static_labels stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_static_labels = {
	.name = "static_labels",
	.doc = "Sets labels to fixed values.",
	.conf = &table,
	.alloy = &alloy,
	.bare = true,
	.make = make,
	.fini = label_stage_fini,
	.run = run,
	.simple = true,
};
