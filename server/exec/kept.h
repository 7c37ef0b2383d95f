/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kept: an entry of a log query's answer, copied out of its batch into one allocation; free() releases it. */
#ifndef LARCH_SERVER_EXEC_KEPT_H
#define LARCH_SERVER_EXEC_KEPT_H

#include "server/exec/batch.h"

struct kept {
	int64_t ts;
	const struct reader_stream *stream;
	size_t task;
	uint64_t seq; /* in the task's order of reading */
	struct str line;
	struct labels labels; /* what the entry's stream in the answer is called */
	struct labels meta, parsed;
	size_t bytes;
	uint64_t count; /* top: how many entries its group has */
	double number;  /* sort: by a number … */
	struct str key; /* … or by a text (borrowed from the entry); .p == NULL: by nothing */
	bool numeric;
};

/* apart: keep metadata and parsed labels out of the stream's. a is scratch. */
struct kept *kept_new(struct arena *a, const struct row *r, bool apart);
/* Order of an answer in time: negative when a comes first. */
int kept_order(const struct kept *a, const struct kept *b, bool forward);
/* A label of any kind; .p == NULL: there is none. */
struct str kept_label(const struct kept *k, struct str name);

#endif
