/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exec: LogQL text in, streams or samples out.
 *
 * A query goes parse → check limits → plan → operators → result. The plan pushes matchers, time range and line
 * filters down to the scan, asks it only for columns that something reads, and tells parsers which labels anything
 * later reads. Work is cut into tasks by stream and time, whose number does not depend on the number of threads, so
 * that neither does the answer. Deadline, cancellation and memory are checked once per batch.
 *
 * An engine is shared by all threads; exec_run() works on the calling thread, with help from the engine's. The
 * result is independent of HTTP, owns its memory, and is read-only.
 * Errors: ERR_INVALID for what the query's author can mend (parse, limits, pipeline errors), ERR_INTERNAL for what
 * Loki answers with 500 (matching errors of binary operations), ERR_TIMEOUT, ERR_CANCELLED, and the reader's. Texts
 * are Loki's (logql.md §10) where Loki has the limit. */
#ifndef LARCH_SERVER_EXEC_EXEC_H
#define LARCH_SERVER_EXEC_EXEC_H

#include "common/clock.h"
#include "server/limits.h"
#include "server/store/reader.h"

struct exec_engine;

struct exec_config {
	unsigned threads; /* workers besides the callers */
	struct clock *clock;
	size_t query_memory; /* bytes that running queries may hold together; 0: 128 MiB */
	/* A query was refused by blocked_queries; NULL: nobody asks. */
	void (*blocked)(void *ud, struct str tenant);
	void *ud;
};

struct exec_engine *exec_engine_new(const struct exec_config *c);
void exec_engine_free(struct exec_engine *en); /* no query may be running */
unsigned exec_running(struct exec_engine *en); /* queries in exec_run() now */
struct budget *exec_budget(struct exec_engine *en); /* the memory for queries, for what others keep of their rows */

/* One tenant's entries. With several sources results gain __tenant_id__ and selectors may name it. */
struct exec_source {
	struct str tenant;
	struct snapshot *snap;
};

struct exec_query {
	struct str text;
	bool instant;       /* evaluated once, at end */
	int64_t start, end; /* ns; log queries read [start, end) */
	int64_t step;       /* ns, > 0; range queries of metrics */
	int64_t interval;   /* ns; log queries: least distance of kept entries; 0: all */
	uint32_t limit;     /* entries of a log query */
	bool forward;
	bool categorize; /* keep stream labels, metadata and parsed labels apart in the result */
	bool extensions; /* LogQL beyond Loki (docs/LOGQL-EXTENSIONS.md) */
	const struct exec_source *sources;
	size_t n_sources;
	const struct limits *limits; /* of several tenants: limits_strictest() */
	bool partial;                /* more series than max_query_series: those with the most, and a warning */
	struct str tags;             /* X-Query-Tags: "Source=x,Feature=y" */
	const _Atomic bool *cancel; /* may be NULL */
};

enum exec_kind { EXEC_STREAMS, EXEC_MATRIX, EXEC_VECTOR, EXEC_SCALAR };

struct exec_entry {
	int64_t ts;
	struct str line;
	struct labels meta, parsed; /* categorize; else empty */
};

struct exec_stream {
	struct labels labels; /* categorize: the stream's own; else all */
	struct exec_entry *v;
	size_t n;
};

struct exec_point {
	int64_t ts; /* ns */
	double v;
};

struct exec_series {
	struct labels labels;
	struct exec_point *v; /* VECTOR, SCALAR: one */
	size_t n;
};

struct exec_stats {
	struct scan_stats scan;
	uint64_t post_filter_lines; /* rows that passed the pipelines */
	uint64_t entries;           /* in the answer: lines or samples */
	int64_t exec_ns;
	int64_t queue_ns; /* before it began; the caller sets it */
};

struct exec_result {
	enum exec_kind kind;
	struct exec_stream *streams; /* STREAMS, sorted by labels' text */
	size_t n_streams;
	bool ordered; /* sort or top: streams are in the answer's order instead, and may come again */
	struct exec_series *series; /* the others, sorted by labels unless the query sorts by value */
	size_t n_series;
	struct str *warnings;
	size_t n_warnings;
	struct exec_stats stats;
	struct arena arena; /* owns all of it */
};

/* The value of a tag; .p == NULL: there is none. */
struct str exec_tag(struct str tags, struct str name);

/* One selector of a query over the range that it reads: with its [interval] and offset, and what max_query_lookback
 * leaves of it. */
struct exec_read {
	const struct selector *selector;
	int64_t from, to;          /* [from, to) */
	struct reader_stats stats; /* of all sources */
};
/* What a query would read, one call for each selector in it; costs a look at the index. *refusal: what a limit says
 * against it, else ERR_NONE. False: it is no query, or reading fails. */
bool exec_estimate(struct exec_engine *en, const struct exec_query *q, void (*fn)(void *ud, const struct exec_read *r),
		   void *ud, struct err *refusal, struct err *e);

struct exec_result *exec_run(struct exec_engine *en, const struct exec_query *q, struct err *e);
void exec_result_free(struct exec_result *r);

#endif
