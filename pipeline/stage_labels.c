/* SPDX-License-Identifier: GPL-2.0-or-later */
/* labels: extracted values become labels. Missing, null and what is not UTF-8 leave the label alone; "" is set. In
 * Alloy's dialect they may come from structured metadata instead. */
#include "pipeline/label_edits.h"

enum source { EXTRACTED, METADATA };
static const char *const sources[] = {"extracted", "structured_metadata", NULL};

struct conf {
	struct labels from; /* label → extracted name */
	int source;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	struct conf *c = s->conf;
	if (stage_is_alloy(s) && !yaml_get(body, "values"))
		return stage_refuse(body, NULL, e, "values must be set: labels and the extracted values they get");
	if (!stage_label_sources(body, &c->from, labels_name_valid, e)) return false;
	label_stage_start(s, c->from.n);
	return true;
}

static void plan(struct stage *s, struct reads *r)
{
	const struct conf *c = s->conf;
	for (size_t i = 0; c->source == EXTRACTED && i < c->from.n; i++) reads_add(r, c->from.v[i].value);
}

static bool value_of(const struct conf *c, struct batch *b, const struct entry *e, struct str name, struct str *out)
{
	if (c->source == EXTRACTED) return stage_text(b, e, name, out);
	*out = labels_get(&e->meta, name);
	return out->p;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct label_stage *st = s->state;
	label_stage_begin(st);
	for (size_t i = 0; i < b->n; i++) {
		struct str value;
		st->n = 0;
		for (size_t k = 0; k < c->from.n; k++)
			if (value_of(c, b, &b->v[i], c->from.v[k].value, &value) && str_utf8_valid(value))
				label_stage_set(st, c->from.v[k].name, value);
		label_stage_apply(st, b, &b->v[i]);
	}
}

static const struct conf_field fields[] = {
	{.key = "labels",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct conf, from),
	 .doc = "a mapping of label names to the extracted values they get; nothing means the value of the same name."},
	{0},
};
static const struct conf_table table = {"labels stage", sizeof(struct conf), fields, .typing = CONF_EXACT};

static const struct conf_field alloy_fields[] = {
	{.key = "values",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct conf, from),
	 .doc = "Label names and the extracted values they get; nothing means the value of the same name."},
	{.key = "source_type",
	 .kind = CONF_ENUM,
	 .names = sources,
	 .off = offsetof(struct conf, source),
	 .def = "extracted",
	 .doc = "Where the values come from."},
	{0},
};
static const struct conf_table alloy = {"labels stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_labels = {
	.name = "labels",
	.doc = "Makes labels of extracted values.",
	.conf = &table,
	.alloy = &alloy,
	.bare = true,
	.make = make,
	.fini = label_stage_fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
