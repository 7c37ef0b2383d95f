/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/label_edits.h"

#include <stdlib.h>

#define SLOTS 256 /* a power of two */

struct slot {
	uint64_t round;
	const struct label *from; /* the labels before: same array, same length */
	size_t nfrom, n;
	struct label_edit *edits; /* in the batch's arena */
	struct labels to;
};

struct label_edits {
	uint64_t round; /* slots of earlier rounds are empty */
	struct slot slots[SLOTS];
};

struct label_edits *label_edits_new(void) { return mem_zalloc(sizeof(struct label_edits)); }
void label_edits_free(struct label_edits *c) { free(c); }
void label_edits_begin(struct label_edits *c) { c->round++; }

static bool holds(const struct label_edits *c, const struct slot *s, const struct entry *e, const struct label_edit *v,
		  size_t n)
{
	if (s->round != c->round || s->from != e->labels.v || s->nfrom != e->labels.n || s->n != n) return false;
	for (size_t i = 0; i < n; i++)
		if (s->edits[i].del != v[i].del || !str_eq(s->edits[i].name, v[i].name) ||
		    !str_eq(s->edits[i].value, v[i].value))
			return false;
	return true;
}

/* The slot that holds it, or that it may take: one of two neighbours. */
static struct slot *slot_of(struct label_edits *c, const struct entry *e, const struct label_edit *v, size_t n)
{
	uint64_t h = (uintptr_t)e->labels.v * UINT64_C(0x9e3779b97f4a7c15);
	for (size_t i = 0; i < n; i++) h = (h ^ (v[i].del ? i : str_hash(v[i].value))) * UINT64_C(0xff51afd7ed558ccd);
	size_t at = h >> 32 & (SLOTS - 1);
	bool taken = c->slots[at].round == c->round && !holds(c, &c->slots[at], e, v, n);
	return &c->slots[taken ? at ^ 1 : at];
}

void label_edits_apply(struct label_edits *c, struct batch *b, struct entry *e, const struct label_edit *v, size_t n)
{
	if (!n) return;
	struct slot *s = slot_of(c, e, v, n);
	if (!holds(c, s, e, v, n)) {
		*s = (struct slot){.round = c->round, .from = e->labels.v, .nfrom = e->labels.n, .n = n};
		s->edits = arena_alloc(b->arena, n * sizeof *v);
		memcpy(s->edits, v, n * sizeof *v);
		e->labels_own = false; /* the array before stays what it was: it is the slot's key */
		for (size_t i = 0; i < n; i++) {
			if (v[i].del)
				entry_label_del(b, e, v[i].name);
			else
				entry_label_set(b, e, v[i].name, v[i].value);
		}
		s->to = e->labels;
	}
	e->labels = s->to;
	e->labels_own = false; /* shared from now on */
}

void label_stage_init(struct label_stage *l, struct arena *a, size_t room)
{
	*l = (struct label_stage){.cache = label_edits_new(), .v = arena_alloc(a, room * sizeof *l->v)};
}

struct label_stage *label_stage_start(struct stage *s, size_t room)
{
	struct label_stage *st = s->state = ARENA_NEW(s->arena, struct label_stage);
	label_stage_init(st, s->arena, room);
	return st;
}

void label_stage_fini(struct stage *s) { label_edits_free(((struct label_stage *)s->state)->cache); }
