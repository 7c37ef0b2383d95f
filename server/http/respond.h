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
/* {"a":"b",…} */
void respond_labels(struct buf *b, const struct labels *l);
/* Seconds with up to three decimals. */
void respond_time(struct buf *b, int64_t ns);
/* The statistics object. */
void respond_stats(struct buf *b, const struct exec_stats *s);

#endif
