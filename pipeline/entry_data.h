/* SPDX-License-Identifier: GPL-2.0-or-later */
/* entry_data: what templates of the agent read: all extracted values as text (those without text are missing), .Entry
 * (the line) and .Value. Borrows the entry and the batch for one template_run(). */
#ifndef LARCH_PIPELINE_ENTRY_DATA_H
#define LARCH_PIPELINE_ENTRY_DATA_H

#include "pipeline/stage.h"
#include "pipeline/template.h"

struct entry_data {
	struct template_data data;
	struct batch *batch;
	const struct entry *entry;
	struct str value; /* .Value; p NULL: whatever was extracted under that name */
	bool has_line;    /* .Entry is the line */
};

void entry_data_init(struct entry_data *d, struct batch *b, const struct entry *e);
void entry_data_reads(const struct template *t, struct reads *r); /* for a stage's plan: what t may read */

#endif
