/* SPDX-License-Identifier: GPL-2.0-or-later */
/* structured_metadata: extracted values, else labels, are attached to the entry. A label that became metadata (named as
 * the source, with the value attached) is removed.
 *
 * Alloy's way: extracted values first, then labels of these names, which win and are always removed; metadata of the
 * same name is replaced; an expression may pick names, too. */
#include "pipeline/label_edits.h"

struct conf {
	struct labels from; /* metadata name → extracted name or label */
	struct str regex;
};
struct state {
	struct label_stage labels;
	struct regex *re; /* NULL: none */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	struct conf *c = s->conf;
	bool alloy = stage_is_alloy(s);
	if (!stage_label_sources(body, &c->from, alloy ? stage_name_valid : labels_name_valid, e)) return false;
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	label_stage_init(&st->labels, s->arena, c->from.n);
	if (c->regex.n) st->re = stage_compile(body, "regex", c->regex, e);
	return st->re || !c->regex.n;
}

static void fini(struct stage *s)
{
	label_stage_fini(s);
	regex_free(((struct state *)s->state)->re);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct conf *c = s->conf;
	r->all |= c->regex.n > 0;
	for (size_t i = 0; i < c->from.n; i++) reads_add(r, c->from.v[i].value);
}

static void attach(struct stage *s, struct batch *b, struct entry *e)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	for (size_t k = 0; k < c->from.n; k++) {
		struct str source = c->from.v[k].value, text, label = labels_get(&e->labels, source);
		if (!stage_text(b, e, source, &text) || !str_utf8_valid(text)) {
			if (!label.p) continue;
			text = label;
		}
		entry_meta_add(b, e, c->from.v[k].name, text);
		if (label.p && str_eq(label, text)) label_stage_del(&st->labels, source);
	}
	label_stage_apply(&st->labels, b, e);
}

/* ---- Alloy ---- */

static void attach_extracted(struct batch *b, struct entry *e, struct str name, struct str source)
{
	struct str text;
	if (stage_text(b, e, source, &text) && str_utf8_valid(text)) entry_meta_set(b, e, name, text);
}

static void attach_matching(const struct regex *re, struct batch *b, struct entry *e)
{
	for (size_t i = 0; i < e->initial.n; i++) {
		struct str name = e->initial.v[i].name;
		if (regex_match(re, name)) attach_extracted(b, e, name, name);
	}
	for (uint32_t i = 0; i < e->nextracted; i++) {
		struct str name = e->extracted[i].name;
		if (regex_match(re, name)) attach_extracted(b, e, name, name);
	}
}

static void move_labels(struct label_stage *l, struct batch *b, struct entry *e, const struct regex *re)
{
	struct label_stage all = {.cache = l->cache, .v = arena_alloc(b->arena, e->labels.n * sizeof *all.v)};
	for (size_t i = 0; i < e->labels.n; i++) {
		struct label label = e->labels.v[i];
		if (!regex_match(re, label.name)) continue;
		entry_meta_set(b, e, label.name, label.value);
		label_stage_del(&all, label.name);
	}
	label_stage_apply(&all, b, e);
}

static void attach_alloy(struct stage *s, struct batch *b, struct entry *e)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	for (size_t k = 0; k < c->from.n; k++) attach_extracted(b, e, c->from.v[k].name, c->from.v[k].value);
	if (st->re) attach_matching(st->re, b, e);
	for (size_t k = 0; k < c->from.n; k++) {
		struct str label = labels_get(&e->labels, c->from.v[k].value);
		if (!label.p) continue;
		entry_meta_set(b, e, c->from.v[k].name, label);
		label_stage_del(&st->labels, c->from.v[k].value);
	}
	label_stage_apply(&st->labels, b, e);
	if (st->re) move_labels(&st->labels, b, e, st->re);
}

static void run(struct stage *s, struct batch *b)
{
	struct state *st = s->state;
	label_stage_begin(&st->labels);
	for (size_t i = 0; i < b->n; i++) {
		st->labels.n = 0;
		if (stage_is_alloy(s))
			attach_alloy(s, b, &b->v[i]);
		else
			attach(s, b, &b->v[i]);
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

static const struct conf_field alloy_fields[] = {
	{.key = "values",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct conf, from),
	 .doc = "Metadata names and the extracted values or labels they get; nothing means that of the same name."},
	{.key = "regex",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, regex),
	 .doc = "RE2 expression; extracted values and labels whose names it matches are attached under these."},
	{0},
};
static const struct conf_table alloy = {"structured_metadata stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_structured_metadata = {
	.name = "structured_metadata",
	.doc = "Attaches extracted values or labels to the entry as structured metadata.",
	.conf = &table,
	.alloy = &alloy,
	.bare = true,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
const struct stage_type stage_non_indexed_labels = {
	.name = "non_indexed_labels",
	.alloy_name = "",
	.doc = "The former name of structured_metadata.",
	.conf = &table,
	.bare = true,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
