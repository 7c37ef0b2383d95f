/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_filter: which runs of four bytes occur in a frame of lines, so that a frame without a needle is not read.
 *
 * A filter is a bitmap of 2^10 to 2^18 bits: the bit of every gram (four consecutive bytes, ASCII letters in lower
 * case) of the frame is set, also of those across two lines. It is as small as leaves about half of the bits clear;
 * a frame that would set nearly all gets none. A text can only be in the frame if all its grams are: a filter never
 * denies what is there. Against other sizes of gram, measured on logs of fourteen kinds: three bytes take a third of
 * the room (1% of the stored bytes instead of 3%) but let twice as many frames pass, and nearly every one with hex
 * digits for a trace id; five take three times the room.
 * Building costs about 1.5 ns a byte, so it is left to segments that are read often (segwrite.h). */
#ifndef LARCH_SERVER_STORE_SEGMENT_FILTER_H
#define LARCH_SERVER_STORE_SEGMENT_FILTER_H

#include "pipeline/linefilter.h"
#include "server/store/segment.h"

/* Appends the filter of a frame's lines; nothing: not worth it. */
void segment_filter_build(struct str lines, struct buf *out);

/* What a group of line filters asks of a frame. Immutable; any thread. NULL: nothing that a filter could tell. */
struct segment_needles;
struct segment_needles *segment_needles_new(const struct linefilters *g);
void segment_needles_free(struct segment_needles *n);
/* False: no line of the frame passes. */
bool segment_filter_may(const struct segment_filter *f, const struct segment_needles *n);

#endif
