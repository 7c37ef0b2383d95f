/* SPDX-License-Identifier: GPL-2.0-or-later */
/* container: what Alloy's docker and cri stages do with a line that they have taken apart: the stream becomes a label,
 * the time the entry's if it is one, the text its line. (In Promtail these are stages of a pipeline of their own, which
 * also see lines that are not of the format.) One owner thread; no allocation per entry outside the batch. */
#ifndef LARCH_PIPELINE_CONTAINER_H
#define LARCH_PIPELINE_CONTAINER_H

#include "pipeline/label_edits.h"

struct container {
	struct label_edits *cache;
	struct gotime_layout *layout;
};

struct container_line {
	struct str time, stream, text;
};

void container_init(struct container *c);
void container_fini(struct container *c); /* {0} is fine */
void container_begin(struct container *c);
void container_apply(struct container *c, struct batch *b, struct entry *e, const struct container_line *l);

#endif
