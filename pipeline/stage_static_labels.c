/* SPDX-License-Identifier: GPL-2.0-or-later */
/* static_labels: labels with values from the configuration. An empty value sets nothing. */
#include "pipeline/label_edits.h"
#include "pipeline/stage.h"

struct conf {
	struct labels labels;
};
struct state {
	struct label_edits *cache;
	struct label_edit *v;
	size_t n;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	st->cache = label_edits_new();
	st->v = arena_zalloc(s->arena, c->labels.n * sizeof *st->v);
	for (size_t i = 0; i < c->labels.n; i++) {
		const struct label *l = &c->labels.v[i];
		if (!labels_name_valid(l->name))
			return stage_refuse(body, l->name.p, e, "invalid label name \"%.*s\"", STR_ARG(l->name));
		if (l->value.n) st->v[st->n++] = (struct label_edit){.name = l->name, .value = l->value};
	}
	return true;
}

static void fini(struct stage *s) { label_edits_free(((struct state *)s->state)->cache); }

static void run(struct stage *s, struct batch *b)
{
	struct state *st = s->state;
	label_edits_begin(st->cache);
	for (size_t i = 0; i < b->n; i++) label_edits_apply(st->cache, b, &b->v[i], st->v, st->n);
}

static const struct conf_field fields[] = {
	{.key = "static_labels",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct conf, labels),
	 .doc = "a mapping of label names to values."},
	{0},
};
static const struct conf_table table = {"static_labels stage", sizeof(struct conf), fields, .typing = CONF_EXACT};

const struct stage_type stage_static_labels = {
	.name = "static_labels",
	.doc = "Sets labels to fixed values.",
	.conf = &table,
	.bare = true,
	.make = make,
	.fini = fini,
	.run = run,
	.simple = true,
};
