/* SPDX-License-Identifier: GPL-2.0-or-later */
/* joins: entries that are being joined of several lines, one for each label set: cri's partial lines and multiline's
 * blocks. They are streams (pipeline/streams.h), so the ring has the one without a line for the longest time first. The
 * owner's struct starts with a struct join. One owner thread. */
#ifndef LARCH_PIPELINE_JOINS_H
#define LARCH_PIPELINE_JOINS_H

#include "common/buf.h"
#include "pipeline/entry.h"
#include "pipeline/streams.h"

#define JOIN_MAX (16 << 20) /* bytes; what is longer is sent in parts */

struct join {
	struct stream stream;
	struct kept *entry; /* all but the line; its origins are those of all lines. May be NULL: nothing kept yet */
	struct buf text;    /* the lines so far */
	int64_t last;       /* mono ns of the last line */
};

void joins_fini(struct streams *t); /* what is left goes with it */
void join_free(struct streams *t, struct join *j);
/* Puts the kept entry with the text into the batch; its origins go along. */
void join_emit(struct join *j, struct batch *out);

#endif
