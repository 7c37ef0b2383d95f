/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tenant: sets the reserved label from which the client takes the tenant to push as. Empty sets nothing. */
#include "pipeline/label_edits.h"

struct conf {
	struct str label, source, value; /* exactly one */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	int given = (c->label.n > 0) + (c->source.n > 0) + (c->value.n > 0);
	if (given == 0) return stage_refuse(body, NULL, e, "one of label, source or value must be set");
	if (given > 1) return stage_refuse(body, NULL, e, "only one of label, source and value may be set");
	label_stage_start(s, 0);
	return true;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct label_stage *st = s->state;
	label_edits_begin(st->cache);
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->v[i];
		struct label_edit edit = {.name = STR("__tenant_id__"), .value = c->value};
		if (c->label.n) edit.value = labels_get(&e->labels, c->label);
		if (c->source.n && !stage_text(b, e, c->source, &edit.value)) continue;
		if (edit.value.n) label_edits_apply(st->cache, b, e, &edit, 1);
	}
}

static const struct conf_field fields[] = {
	{.key = "label", .kind = CONF_STR, .off = offsetof(struct conf, label), .doc = "Label with the tenant."},
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value with the tenant."},
	{.key = "value", .kind = CONF_STR, .off = offsetof(struct conf, value), .doc = "The tenant itself."},
	{0},
};
static const struct conf_table table = {"tenant stage",  sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_EXACT};

const struct stage_type stage_tenant = {
	.name = "tenant",
	.doc = "Sets the tenant that the entry is pushed as.",
	.conf = &table,
	.make = make,
	.fini = label_stage_fini,
	.run = run,
	.simple = true,
};
