/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api_query: what the endpoints share that read a tenant's entries: tenants, their snapshots, a time range. */
#ifndef LARCH_SERVER_HTTP_API_QUERY_H
#define LARCH_SERVER_HTTP_API_QUERY_H

#include "server/exec/exec.h"
#include "server/http/api.h"
#include "server/logql/logql.h"

struct api_read {
	const struct api *api;
	struct httpd_req *req;
	struct arena arena;
	struct exec_source *sources;
	size_t n_sources;
	const struct limits *limits; /* the strictest of all tenants' */
	const struct limits **held;  /* of each source */
	int64_t start, end;
	int64_t from; /* start, or what max_query_lookback leaves: what is older is not there, not even as a label */
	struct err err;
};

/* Tenants, snapshots and the range of start, end and since. False: answered, and nothing is left to close. */
bool api_read_open(struct api_read *a, struct httpd_req *r, void *ctx);
/* Answers with the error in a->err, and closes. */
void api_read_fail(struct api_read *a);
/* Answers 200 with JSON, taking the buffer, and closes. */
void api_read_reply(struct api_read *a, struct buf *body);

/* Selectors of the parameter `name` (repeatable; absent or "{}": everything, n == 0). */
struct api_selectors {
	struct logql **v;
	size_t n;
};
bool api_selectors(struct api_read *a, const char *name, struct api_selectors *out);
void api_selectors_free(struct api_selectors *s);
/* Calls fn once for every stream that one of the selectors takes, in every source. False: a->err. */
bool api_each_stream(struct api_read *a, const struct api_selectors *s,
		     bool (*fn)(void *ud, const struct exec_source *src, const struct reader_stream *st), void *ud);

/* Does X-Loki-Response-Encoding-Flags ask for categorize-labels? */
bool api_wants_categories(const struct httpd_req *r);
/* The query of a legacy endpoint, whose `regexp` is one more line filter. In the arena, or borrowed from the request.
 */
struct str api_legacy_query(struct arena *a, const struct httpd_req *r);

/* X-Query-Tags, other characters than Loki's replaced by "_"; "" when absent. */
struct str api_query_tags(struct arena *a, const struct httpd_req *r);
/* Runs a query with the request's range and limits. */
struct exec_query api_query_base(struct api_read *a, struct str text);

#endif
