/* SPDX-License-Identifier: GPL-2.0-or-later */
/* labelallow: removes all labels but these. */
#include "pipeline/label_edits.h"

struct conf {
	struct conf_strs names;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	if (!c->names.n) return stage_refuse(body, NULL, e, "at least one label name must be given");
	label_stage_start(s, 0);
	return true;
}

static bool allowed(const struct conf *c, struct str name)
{
	for (size_t i = 0; i < c->names.n; i++)
		if (str_eq(c->names.v[i], name)) return true;
	return false;
}

/* What has to go from a label set, for the entries that share its array. */
static void run(struct stage *s, struct batch *b)
{
	const struct label *of = NULL;
	struct label_edit *v = NULL;
	size_t n = 0, nof = 0;
	struct label_stage *st = s->state;
	label_stage_begin(st);
	for (size_t i = 0; i < b->n; i++) {
		const struct labels *l = &b->v[i].labels;
		if (l->v != of || l->n != nof) {
			of = l->v;
			nof = l->n;
			v = arena_alloc(b->arena, l->n * sizeof *v);
			n = 0;
			for (size_t k = 0; k < l->n; k++)
				if (!allowed(s->conf, l->v[k].name))
					v[n++] = (struct label_edit){.name = l->v[k].name, .del = true};
		}
		label_edits_apply(st->cache, b, &b->v[i], v, n);
	}
}

static const struct conf_field fields[] = {
	{.key = "labelallow",
	 .kind = CONF_STR_LIST,
	 .off = offsetof(struct conf, names),
	 .doc = "a list of the labels to keep."},
	{0},
};
static const struct conf_table table = {"labelallow stage", sizeof(struct conf), fields, .typing = CONF_EXACT};

static const struct conf_field alloy_fields[] = {
	{.key = "values", .kind = CONF_STR_LIST, .off = offsetof(struct conf, names), .doc = "Labels to keep."},
	{0},
};
static const struct conf_table alloy = {"label_keep stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_labelallow = {
	.name = "labelallow",
	.doc = "Removes all labels but those named.",
	.conf = &table,
	.alloy_name = "label_keep",
	.alloy = &alloy,
	.bare = true,
	.make = make,
	.fini = label_stage_fini,
	.run = run,
	.simple = true,
};
