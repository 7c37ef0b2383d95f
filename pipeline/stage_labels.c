/* SPDX-License-Identifier: GPL-2.0-or-later */
/* labels: extracted values become labels. Missing, null and what is not UTF-8 leave the label alone; "" is set. */
#include "pipeline/label_edits.h"

struct conf {
	struct labels from; /* label → extracted name */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	struct conf *c = s->conf;
	if (!stage_label_sources(body, &c->from, e)) return false;
	label_stage_start(s, c->from.n);
	return true;
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct label_stage *st = s->state;
	label_edits_begin(st->cache);
	for (size_t i = 0; i < b->n; i++) {
		size_t n = 0;
		for (size_t k = 0; k < c->from.n; k++) {
			struct label_edit *edit = &st->v[n];
			if (!stage_text(b, &b->v[i], c->from.v[k].value, &edit->value)) continue;
			if (!str_utf8_valid(edit->value)) continue;
			edit->name = c->from.v[k].name;
			edit->del = false;
			n++;
		}
		label_edits_apply(st->cache, b, &b->v[i], st->v, n);
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

const struct stage_type stage_labels = {
	.name = "labels",
	.doc = "Makes labels of extracted values.",
	.conf = &table,
	.bare = true,
	.make = make,
	.fini = label_stage_fini,
	.run = run,
	.simple = true,
};
