/* SPDX-License-Identifier: GPL-2.0-or-later */
/* structured_metadata: extracted values, else labels, are attached to the entry. A label that became metadata (named as
 * the source, with the value attached) is removed. */
#include "pipeline/label_edits.h"

struct conf {
	struct labels from; /* metadata name → extracted name or label */
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
		struct entry *e = &b->v[i];
		size_t n = 0;
		for (size_t k = 0; k < c->from.n; k++) {
			struct str source = c->from.v[k].value, text, label = labels_get(&e->labels, source);
			if (!stage_text(b, e, source, &text) || !str_utf8_valid(text)) {
				if (!label.p) continue;
				text = label;
			}
			entry_meta_add(b, e, c->from.v[k].name, text);
			if (label.p && str_eq(label, text))
				st->v[n++] = (struct label_edit){.name = source, .del = true};
		}
		label_edits_apply(st->cache, b, e, st->v, n);
	}
}

static const struct conf_field fields[] = {
	{.key = "structured_metadata",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct conf, from),
	 .doc = "a mapping of metadata names to extracted values or labels; nothing means that of the same name."},
	{0},
};
static const struct conf_table table = {"structured_metadata stage", sizeof(struct conf), fields, .typing = CONF_EXACT};

const struct stage_type stage_structured_metadata = {
	.name = "structured_metadata",
	.doc = "Attaches extracted values or labels to the entry as structured metadata.",
	.conf = &table,
	.bare = true,
	.make = make,
	.fini = label_stage_fini,
	.run = run,
	.simple = true,
};
const struct stage_type stage_non_indexed_labels = {
	.name = "non_indexed_labels",
	.doc = "The former name of structured_metadata.",
	.conf = &table,
	.bare = true,
	.make = make,
	.fini = label_stage_fini,
	.run = run,
	.simple = true,
};
