/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mask: which rows of one source are hidden by delete requests (deletes.h).
 *
 * A mask is made for a source (or for what compaction reads) from the requests with a number above its floor that
 * overlap its time; mostly there are none, and no mask. A stream's mask then has only the requests whose selector
 * takes it. What a row's time does not decide, its line does, and metadata where a query has stages.
 * Rows that are equal in all that makes an entry are hidden or shown together, so copies within one source may be
 * dropped before or after; between sources, hidden rows must go first.
 * A mask is immutable and shared; a stream's is one thread's. Cost: per row of a masked stream, a comparison per
 * request that takes the stream, and what its line filters cost. */
#ifndef LARCH_SERVER_STORE_MASK_H
#define LARCH_SERVER_STORE_MASK_H

#include "server/store/deletes.h"

struct mask_item {
	const struct delete_query *query;
	int64_t from, to; /* both included */
};

struct mask {
	struct deletes *set;
	size_t n;
	struct mask_item v[];
};

/* Of requests with floor < number <= upto. NULL: nothing is hidden. */
struct mask *mask_new(struct deletes *d, uint64_t floor, uint64_t upto, int64_t min_ts, int64_t max_ts);
void mask_free(struct mask *m);

struct mask_rule {
	struct mask_item item;
	struct delete_run *run; /* of a query with stages */
};

struct mask_stream { /* {0} hides nothing */
	const struct delete_lang *lang;
	struct mask_rule *v;
	size_t n;
	bool all;  /* every row in [min_ts, max_ts] is hidden */
	bool meta; /* mask_hides() looks at metadata */
};

/* For rows of a stream in [min_ts, max_ts]. The labels live as long as it. m may be NULL. */
void mask_stream_init(struct mask_stream *s, const struct mask *m, const struct labels *l, int64_t min_ts,
		      int64_t max_ts);
void mask_stream_fini(struct mask_stream *s);

enum mask_verdict { MASK_SHOWN, MASK_HIDDEN, MASK_BY_LINE };
enum mask_verdict mask_time(const struct mask_stream *s, int64_t ts);
/* After MASK_BY_LINE. meta may be NULL unless s->meta. */
bool mask_hides(const struct mask_stream *s, int64_t ts, struct str line, const struct labels *meta);

#endif
