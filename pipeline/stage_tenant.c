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
	label_stage_start(s, 1);
	return true;
}

static void plan(struct stage *s, struct reads *r) { reads_add(r, ((const struct conf *)s->conf)->source); }

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct label_stage *st = s->state;
	label_stage_begin(st);
	for (size_t i = 0; i < b->n; i++) {
		struct entry *e = &b->v[i];
		struct str tenant = c->value;
		if (c->label.n) tenant = labels_get(&e->labels, c->label);
		if (c->source.n && !stage_text(b, e, c->source, &tenant)) continue;
		st->n = 0;
		if (tenant.n) label_stage_set(st, STR("__tenant_id__"), tenant);
		label_stage_apply(st, b, e);
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
	.plan = plan,
	.run = run,
	.simple = true,
};
