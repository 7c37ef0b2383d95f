/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inspect: -inspect and -dry-run: what each stage changes (on stderr) and what would be sent (on stdout),
 * for people. Colours on terminals. One thread. */
#ifndef LARCH_AGENT_INSPECT_H
#define LARCH_AGENT_INSPECT_H

#include "pipeline/entry.h"

/* One stage's changes of one entry; "none" when it made none. */
void inspect_stage(const char *stage, const struct entry *before, const struct entry *after, bool colour,
		   struct buf *out);
/* TIMESTAMP<tab>{labels}<tab>line */
void inspect_entry(const struct entry *e, bool colour, struct buf *out);

#endif
