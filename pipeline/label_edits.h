/* SPDX-License-Identifier: GPL-2.0-or-later */
/* label_edits: the labels of many entries changed in the same way, with equal results shared.
 *
 * Lines of a batch mostly start with the target's label set and get one of few values ("level"). Equal edits of one and
 * the same set give one and the same array, so that a set is built once per batch and whoever looks streams up
 * by the array's address finds them at once. Results live in the batch's arena: label_edits_begin() before each batch
 * forgets those of the last one. Direct-mapped table, O(edits) per entry. One owner thread. */
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

/* The state of a stage that does nothing but edit labels: the cache, and room for `room` edits (zeroed). */
struct label_stage {
	struct label_edits *cache;
	struct label_edit *v;
};
struct label_stage *label_stage_start(struct stage *s, size_t room); /* becomes s->state */
void label_stage_fini(struct stage *s);

#endif
