/* SPDX-License-Identifier: GPL-2.0-or-later */
/* miner: the few texts that many lines have in common, with what differs in them left out.
 *
 * A line is words and what stands between them. Words that look like numbers, addresses or identifiers are left out at
 * once, and lines that are then the same are one shape, counted per level and step. Shapes with the same structure (the
 * same bytes between as many words) are reduced to templates when all lines have been seen: shapes that differ in a
 * word of few values, or whose differing words decide each other, are texts of their own; else the word is left out.
 * This looks at the whole set instead of one line after the other, so the order of lines does not matter.
 *
 * A template's text is a pattern of LogQL's |> that takes all of its lines: what is left out is a whole word, so the
 * byte behind it does not occur in it, and the first place where the filter finds the next literal is the right one.
 * Hence a word that a pattern would read as a capture (<name>) is always left out, as is one that JSON cannot carry.
 *
 * Memory is bounded: beyond MINER_SHAPES shapes they are reduced on the way, and where that does not make room the
 * rarest half is forgotten. One thread per miner. Linear in the bytes of lines. */
#ifndef LARCH_SERVER_EXEC_MINER_H
#define LARCH_SERVER_EXEC_MINER_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/map.h"

#define MINER_SHAPES 8192

struct miner_count {
	uint32_t step, n; /* lines in a step; ascending steps */
};

struct miner_shape {
	struct str level, text; /* text: WILD bytes for what is left out */
	struct miner_count *v;
	size_t n, cap;
	uint64_t total;
};

struct miner {
	struct map by_key; /* level, NUL, text → struct miner_shape */
	struct miner_shape **v;
	size_t n, cap;
	size_t max;    /* shapes; MINER_SHAPES but in tests */
	size_t counts; /* bytes of all counts */
	struct arena arena;
	struct buf key;
};

void miner_init(struct miner *m);
void miner_free(struct miner *m);
size_t miner_bytes(const struct miner *m); /* held */
/* One more line; cheap when steps come in ascending order. */
void miner_add(struct miner *m, struct str level, struct str line, uint32_t step);
/* Adds all that the other has seen. */
void miner_merge(struct miner *m, const struct miner *other);
/* From shapes to templates, most frequent first, as patterns: m->v[i]->text may be printed as it is. Ends adding. */
void miner_finish(struct miner *m);

#endif
