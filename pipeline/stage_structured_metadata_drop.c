/* SPDX-License-Identifier: GPL-2.0-or-later */
/* structured_metadata_drop: removes structured metadata by name. */
#include "pipeline/stage.h"

struct conf {
	struct conf_strs names;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	return c->names.n || stage_refuse(body, NULL, e, "at least one name must be given");
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	for (size_t i = 0; i < b->n; i++)
		for (size_t k = 0; k < c->names.n; k++) entry_meta_del(b, &b->v[i], c->names.v[k]);
}

static const struct conf_field fields[] = {
	{.key = "structured_metadata_drop",
	 .kind = CONF_STR_LIST,
	 .off = offsetof(struct conf, names),
	 .doc = "a list of the names to remove."},
	{0},
};
static const struct conf_table table = {"structured_metadata_drop stage", sizeof(struct conf), fields,
					.typing = CONF_EXACT};

static const struct conf_field alloy_fields[] = {
	{.key = "values", .kind = CONF_STR_LIST, .off = offsetof(struct conf, names), .doc = "Names to remove."},
	{0},
};
static const struct conf_table alloy = {"structured_metadata_drop stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_structured_metadata_drop = {
	.name = "structured_metadata_drop",
	.doc = "Removes structured metadata by name.",
	.conf = &table,
	.alloy = &alloy,
	.bare = true,
	.make = make,
	.run = run,
	.simple = true,
};
