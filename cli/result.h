/* SPDX-License-Identifier: GPL-2.0-or-later */
/* result: answers of Loki's API as C values.
 *
 * Everything borrows from the answer's text or lives in the arena. What does not look like such an answer is
 * ERR_CORRUPT with the byte where it stops looking so. Pure; any thread; linear. Source: spec of the HTTP API. */
#ifndef LARCH_CLI_RESULT_H
#define LARCH_CLI_RESULT_H

#include "common/arena.h"
#include "common/err.h"
#include "common/labels.h"

enum result_kind { RESULT_STREAMS, RESULT_MATRIX, RESULT_VECTOR, RESULT_SCALAR };

struct result_entry {
	int64_t ts;
	const struct labels *labels;
	struct str line;
	size_t order; /* place in the answer */
};

struct result_sample {
	int64_t ts; /* ns */
	const struct labels *labels;
	struct str value; /* as the server wrote it */
};

struct result_strings {
	struct str *v;
	size_t n, cap;
};

struct result {
	enum result_kind kind;
	struct result_entry *entries; /* STREAMS */
	size_t nentries, entries_cap;
	struct result_sample *samples; /* the others */
	size_t nsamples, samples_cap;
	struct result_strings warnings;
	size_t entry; /* of a context: the one that was asked for */
	bool ordered; /* STREAMS: the query sorts; the answer's order is the one to show */
};

/* query and query_range */
bool result_parse(struct arena *a, struct str text, struct result *out, struct err *e);
/* By time, as in the answer where times are equal. */
void result_sort(struct result *r, bool forward);
/* A frame of a tail; *dropped: entries that it says were left out. */
bool result_parse_frame(struct arena *a, struct str text, struct result *out, size_t *dropped, struct err *e);
/* /larch/v1/context */
bool result_parse_context(struct arena *a, struct str text, struct result *out, struct err *e);
/* labels and label values: no data is an empty list */
bool result_parse_strings(struct arena *a, struct str text, struct result_strings *out, struct err *e);

struct result_delete { /* a delete request */
	struct str id, query, status;
	int64_t start, end, created; /* ns, to the millisecond */
};

struct result_deletes {
	struct result_delete *v;
	size_t n, cap;
};
bool result_parse_deletes(struct arena *a, struct str text, struct result_deletes *out, struct err *e);

struct result_series {
	struct labels *v;
	size_t n, cap;
};
bool result_parse_series(struct arena *a, struct str text, struct result_series *out, struct err *e);

#endif
