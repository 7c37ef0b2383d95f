/* SPDX-License-Identifier: GPL-2.0-or-later */
/* label_edits: the labels of many entries changed in the same way, with equal results shared.
 *
 * Lines of a batch mostly start with the target's label set and get one of few values ("level"). Equal edits of one and
 * the same set give one and the same array, so that a set is built once per batch and whoever looks streams up
 * by the array's address finds them at once. Results live in the batch's arena: label_edits_begin() before each batch
 * forgets those of the last one. A table of pairs of slots, O(edits) per entry. One owner thread. */
#ifndef LARCH_PIPELINE_LABEL_EDITS_H
#define LARCH_PIPELINE_LABEL_EDITS_H

#include "pipeline/stage.h"

struct label_edit {
	struct str name, value; /* borrowed until the batch is done */
	bool del;
};

struct label_edits;

struct label_edits *label_edits_new(void);
void label_edits_free(struct label_edits *c);
void label_edits_begin(struct label_edits *c);
/* Sets and deletes in the order given. */
void label_edits_apply(struct label_edits *c, struct batch *b, struct entry *e, const struct label_edit *v, size_t n);

/* What a stage that edits labels has: the cache, and the edits of the entry at hand. It is the stage's state, or the
 * first member of that. */
struct label_stage {
	struct label_edits *cache;
	struct label_edit *v; /* room as asked for */
	size_t n;
};
void label_stage_init(struct label_stage *l, struct arena *a, size_t room);
struct label_stage *label_stage_start(struct stage *s, size_t room); /* becomes s->state */
void label_stage_fini(struct stage *s);
static inline void label_stage_begin(struct label_stage *l) { label_edits_begin(l->cache); }
static inline void label_stage_set(struct label_stage *l, struct str name, struct str value)
{
	l->v[l->n++] = (struct label_edit){.name = name, .value = value};
}
static inline void label_stage_del(struct label_stage *l, struct str name)
{
	l->v[l->n++] = (struct label_edit){.name = name, .del = true};
}
/* Sets a captured group as a label, unless its name or value cannot be one. */
static inline void label_stage_group(struct label_stage *l, struct str name, struct str value)
{
	if (labels_name_valid(name) && str_utf8_valid(value)) label_stage_set(l, name, value);
}
static inline void label_stage_apply(struct label_stage *l, struct batch *b, struct entry *e)
{
	label_edits_apply(l->cache, b, e, l->v, l->n);
}

#endif
