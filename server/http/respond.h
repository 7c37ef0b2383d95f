/* SPDX-License-Identifier: GPL-2.0-or-later */
/* respond: query results as the JSON that Loki's clients read (spec http-api §5), byte for byte where they could
 * notice: string escapes, times, numbers as text, the statistics block with every key, the newline behind streams. */
#ifndef LARCH_SERVER_HTTP_RESPOND_H
#define LARCH_SERVER_HTTP_RESPOND_H

#include "common/buf.h"
#include "server/exec/exec.h"

/* categorize: streams were asked for with categorize-labels. */
void respond_query(struct buf *b, const struct exec_result *r, bool categorize);
/* /api/prom/query: {"streams":[…],"stats":{…}}. */
void respond_legacy(struct buf *b, const struct exec_result *r);

struct respond_row {
	const struct labels *labels;
	struct exec_entry entry;
	size_t place; /* its maker's */
};

struct respond_dropped {
	int64_t ts;
	struct labels labels;
};

struct respond_tail {
	const struct respond_row *rows;
	size_t n;
	const struct respond_dropped *dropped;
	size_t n_dropped;
	bool categorize, legacy;
};
/* A frame of a tail: each row a stream of its own; legacy: the form of /api/prom/tail. */
void respond_tail(struct buf *b, const struct respond_tail *t);
/* A line of JSONL: {"labels":{…},"timestamp":"RFC3339","line":"…"} and a newline. */
void respond_jsonl(struct buf *b, const struct labels *l, int64_t ts, struct str line);
/* {"a":"b",…} */
void respond_labels(struct buf *b, const struct labels *l);
/* Seconds with up to three decimals. */
void respond_time(struct buf *b, int64_t ns);
/* The statistics object. */
void respond_stats(struct buf *b, const struct exec_stats *s);

#endif
