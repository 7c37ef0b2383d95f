/* SPDX-License-Identifier: GPL-2.0-or-later */
/* columns: what stands at a row of a segment: timestamp, line, length, metadata; and a view of a segment for who reads
 * it once, from end to end.
 *
 * Each column keeps the part it read last (a granule, a frame) until a row outside it is asked for, so that walking
 * rows in order reads and expands every part once. What is returned lives until the same column is asked for a row in
 * another part, or columns_release(). Damage: ERR_CORRUPT; the other rows stay readable. Not thread-safe. */
#ifndef LARCH_SERVER_STORE_COLUMNS_H
#define LARCH_SERVER_STORE_COLUMNS_H

#include "server/store/segment.h"

struct columns { /* {.seg, .blocks} is ready; both borrowed */
	struct segment *seg;
	const struct segment_blocks *blocks;
	struct segment_times *times;
	struct segment_lens *lens;
	struct segment_lines *lines;
	struct segment_metas *metas;
	uint32_t times_first, lens_first, metas_first, metas_granule, lines_first, lines_end, frame;
};

/* NULL: damaged. The rows that follow in the granule stand behind it. */
const int64_t *columns_ts(struct columns *c, uint32_t row, struct err *e);
bool columns_len(struct columns *c, uint32_t row, uint32_t *len, struct err *e);
bool columns_line(struct columns *c, uint32_t row, struct str *line, struct err *e);
/* The same from bytes of the frame that the caller has expanded. */
bool columns_line_in(struct columns *c, const struct segment_frame *f, struct str raw, uint32_t row, struct str *line,
		     struct err *e);
const struct labels *columns_meta(struct columns *c, uint32_t row, struct err *e); /* NULL: damaged */
/* Is the part there that holds the row's line, or metadata? */
static inline bool columns_has_line(const struct columns *c, uint32_t row)
{
	return c->lines && row >= c->lines_first && row < c->lines_end;
}
static inline bool columns_has_meta(const struct columns *c, uint32_t row)
{
	return c->metas && row >= c->metas_first && row - c->metas_first < c->metas->n;
}
void columns_release(struct columns *c); /* {0}: nothing */

/* A segment past the shared cache: what is read is kept only while it is held. */
struct segment_view {
	struct segment *seg;
	struct segment_root *root;
	struct segment_blocks *blocks;
	struct segment_page *page; /* of the stream asked for last */
};
/* False: the index cannot be read; the view is to be closed all the same. */
bool segment_view_open(struct segment_view *v, const struct segment *s, struct err *e);
/* A stream by its number, in v->page until the next is asked for. */
bool segment_view_stream(struct segment_view *v, uint32_t i, struct segment_stream *st, struct err *e);
void segment_view_close(struct segment_view *v); /* {0} is closed */

#endif
