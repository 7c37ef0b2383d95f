/* SPDX-License-Identifier: GPL-2.0-or-later */
/* streams: a stage's state per label set, bounded: when there are `max`, the least recently used must go first.
 *
 * The owner's struct starts with a struct stream; it is made zeroed by streams_add() and freed by streams_remove().
 * Finding is a pointer comparison when the label array is that of the entry before, else one hash of the labels. The
 * comparison relies on arrays that do not change: call streams_begin() at the start of each batch. One owner thread. */
#ifndef LARCH_PIPELINE_STREAMS_H
#define LARCH_PIPELINE_STREAMS_H

#include "common/labels.h"
#include "common/map.h"

struct stream {
	struct stream *newer, *older;
	struct str key; /* names and values with their lengths, behind the owner's struct */
};

struct streams {
	struct map map;
	struct stream ring;    /* newer: the oldest, older: the newest */
	size_t size, max;      /* bytes of the owner's struct; how many */
	const struct label *v; /* labels of the last one found */
	size_t n;
	struct stream *last;
	struct buf key; /* scratch */
};

void streams_init(struct streams *t, size_t size, size_t max);
void streams_fini(struct streams *t); /* frees what is left */
void streams_begin(struct streams *t);
void *streams_find(struct streams *t, const struct labels *l); /* NULL: none; it becomes the newest */
/* Not found before, and not full. */
void *streams_add(struct streams *t, const struct labels *l);
static inline bool streams_full(const struct streams *t) { return t->map.n >= t->max; }
void *streams_oldest(const struct streams *t); /* NULL: there is none */
/* The next newer one; NULL after the newest. Get it before removing this one. */
void *streams_newer(const struct streams *t, const void *s);
void streams_remove(struct streams *t, void *s);

#endif
