/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_verify: does a segment hold all that docs/FORMATS.md promises? Every part is read and compared with every
 * other that says the same: checksums, order of streams and rows, copies, figures of streams, granules and frames,
 * postings, filters. Of version 1, which is no longer written, postings are not looked at.
 *
 * Cost: about that of reading every line twice; memory: what is open, and 16 bytes a stream. */
#ifndef LARCH_SERVER_STORE_SEGMENT_VERIFY_H
#define LARCH_SERVER_STORE_SEGMENT_VERIFY_H

#include "server/store/segment.h"

struct segment_verify_opts {
	void (*fault)(void *ud, const char *text);                /* each thing that does not hold */
	void (*progress)(void *ud, uint64_t done, uint64_t rows); /* now and then; may be NULL */
	void *ud;
};

/* Returns the number of faults. */
uint64_t segment_verify(struct segment *s, const struct segment_verify_opts *o);

#endif
