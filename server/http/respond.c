/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/respond.h"

#include "common/json.h"
#include "common/units.h"

void respond_labels(struct buf *b, const struct labels *l)
{
	buf_ch(b, '{');
	for (size_t i = 0; i < l->n; i++) {
		if (i) buf_ch(b, ',');
		json_quote(b, l->v[i].name, true);
		buf_ch(b, ':');
		json_quote(b, l->v[i].value, true);
	}
	buf_ch(b, '}');
}

void respond_time(struct buf *b, int64_t ns)
{
	int64_t ms = ns / UNITS_MS - (ns % UNITS_MS < 0);
	if (ms < 0) {
		buf_ch(b, '-');
		ms = -ms;
	}
	buf_i64(b, ms / 1000);
	unsigned frac = (unsigned)(ms % 1000);
	if (frac == 0) return;
	char text[] = {'.', (char)('0' + frac / 100), (char)('0' + frac / 10 % 10), (char)('0' + frac % 10)};
	size_t n = sizeof text;
	while (text[n - 1] == '0') n--;
	buf_add(b, text, n);
}

/* ---- statistics ---- */

/* {"a":0,…} of the names in list, which are separated by blanks. */
static void zeros(struct buf *b, const char *list)
{
	struct str rest = str_c(list), name;
	bool more = true;
	for (bool first = true; more; first = false) {
		more = str_cut(&rest, ' ', &name);
		buf_printf(b, "%s\"%.*s\":0", first ? "" : ",", STR_ARG(name));
	}
}

static void per_second(struct buf *b, const char *key, uint64_t n, double seconds)
{
	buf_printf(b, "\"%s\":%.0f,", key, seconds > 0 ? (double)n / seconds : 0);
}

static void stats_summary(struct buf *b, const struct exec_stats *s, uint64_t bytes, uint64_t lines)
{
	double seconds = (double)s->exec_ns / 1e9;
	buf_c(b, "\"summary\":{");
	per_second(b, "bytesProcessedPerSecond", bytes, seconds);
	per_second(b, "linesProcessedPerSecond", lines, seconds);
	buf_printf(b, "\"totalBytesProcessed\":%llu,\"totalLinesProcessed\":%llu,\"execTime\":%.6f,\"queueTime\":%.6f,",
		   (unsigned long long)bytes, (unsigned long long)lines, seconds, (double)s->queue_ns / 1e9);
	buf_printf(b,
		   "\"subqueries\":0,\"totalEntriesReturned\":%llu,\"splits\":1,\"shards\":1,\"totalPostFilterLines\":%"
		   "llu,"
		   "\"totalStructuredMetadataBytesProcessed\":%llu}",
		   (unsigned long long)s->entries, (unsigned long long)s->post_filter_lines,
		   (unsigned long long)s->scan.meta_bytes);
}

/* What was read from heads stands under `ingester`, what from segments under `querier`. */
static void stats_store(struct buf *b, const struct exec_stats *s, bool heads)
{
	const struct scan_stats *c = &s->scan;
	buf_printf(b, "\"store\":{\"totalChunksRef\":%llu,\"totalChunksDownloaded\":%llu,\"chunksDownloadTime\":0,",
		   heads ? 0ULL : (unsigned long long)c->chunks, heads ? 0ULL : (unsigned long long)c->chunks);
	buf_printf(b,
		   "\"queryReferencedStructuredMetadata\":%s,\"queryUsedV2Engine\":false,\"chunk\":{\"headChunkBytes\":"
		   "%llu,"
		   "\"headChunkLines\":%llu,\"decompressedBytes\":%llu,\"decompressedLines\":%llu,\"compressedBytes\":%"
		   "llu,"
		   "\"totalDuplicates\":%llu,\"postFilterLines\":%llu,\"headChunkStructuredMetadataBytes\":0,"
		   "\"decompressedStructuredMetadataBytes\":%llu},",
		   c->meta_bytes ? "true" : "false", heads ? (unsigned long long)c->head_bytes : 0ULL,
		   heads ? (unsigned long long)c->head_lines : 0ULL,
		   heads ? 0ULL : (unsigned long long)c->segment_bytes,
		   heads ? 0ULL : (unsigned long long)c->segment_lines,
		   heads ? 0ULL : (unsigned long long)c->compressed_bytes,
		   heads ? 0ULL : (unsigned long long)c->duplicates,
		   heads ? 0ULL : (unsigned long long)s->post_filter_lines,
		   heads ? 0ULL : (unsigned long long)c->meta_bytes);
	buf_c(b, "\"chunkRefsFetchTime\":0,\"congestionControlLatency\":0,\"pipelineWrapperFilteredLines\":0,"
		 "\"dataobj\":{");
	zeros(b,
	      "prePredicateDecompressedRows prePredicateDecompressedBytes "
	      "prePredicateDecompressedStructuredMetadataBytes "
	      "postPredicateRows postPredicateDecompressedBytes postPredicateStructuredMetadataBytes postFilterRows "
	      "pagesScanned pagesDownloaded pagesDownloadedBytes pageBatches totalRowsAvailable totalPageDownloadTime");
	buf_c(b, "}}");
}

void respond_stats(struct buf *b, const struct exec_stats *s)
{
	static const char *const caches[] = {"chunk",        "index",        "result",      "statsResult",
					     "volumeResult", "seriesResult", "labelResult", "instantMetricResult"};
	uint64_t bytes = s->scan.head_bytes + s->scan.segment_bytes, lines = s->scan.head_lines + s->scan.segment_lines;
	buf_ch(b, '{');
	stats_summary(b, s, bytes, lines);
	buf_c(b, ",\"querier\":{");
	stats_store(b, s, false);
	buf_printf(b, ",\"querierExecTime\":%.6f},\"ingester\":{", (double)s->exec_ns / 1e9);
	zeros(b, "totalReached totalChunksMatched totalBatches totalLinesSent");
	buf_ch(b, ',');
	stats_store(b, s, true);
	buf_c(b, "},\"cache\":{");
	for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
		buf_printf(b, "%s\"%s\":{", i ? "," : "", caches[i]);
		zeros(b, "entriesFound entriesRequested entriesStored bytesReceived bytesSent requests downloadTime "
			 "queryLengthServed");
		buf_ch(b, '}');
	}
	buf_c(b, "},\"index\":{");
	zeros(b, "totalChunks postFilterChunks shardsDuration");
	buf_c(b, ",\"usedBloomFilters\":false,");
	zeros(b, "totalStreams chunkRefsLookupTime bloomFilterTime");
	buf_c(b, "}}");
}

/* ---- streams ---- */

static void entry(struct buf *b, const struct exec_entry *x, bool categorize)
{
	buf_c(b, "[\"");
	buf_i64(b, x->ts);
	buf_c(b, "\",");
	json_quote(b, x->line, true);
	if (categorize) {
		buf_c(b, ",{");
		if (x->meta.n) {
			buf_c(b, "\"structuredMetadata\":");
			respond_labels(b, &x->meta);
		}
		if (x->parsed.n) {
			buf_c(b, x->meta.n ? ",\"parsed\":" : "\"parsed\":");
			respond_labels(b, &x->parsed);
		}
		buf_ch(b, '}');
	}
	buf_ch(b, ']');
}

static void streams(struct buf *b, const struct exec_result *r, bool categorize)
{
	for (size_t i = 0; i < r->n_streams; i++) {
		const struct exec_stream *s = &r->streams[i];
		buf_c(b, i ? ",{\"stream\":" : "{\"stream\":");
		respond_labels(b, &s->labels);
		buf_c(b, ",\"values\":[");
		for (size_t k = 0; k < s->n; k++) {
			if (k) buf_ch(b, ',');
			entry(b, &s->v[k], categorize);
		}
		buf_c(b, "]}");
	}
}

/* ---- samples ---- */

static void point(struct buf *b, const struct exec_point *p)
{
	buf_ch(b, '[');
	respond_time(b, p->ts);
	buf_c(b, ",\"");
	buf_f64(b, p->v);
	buf_c(b, "\"]");
}

static void series(struct buf *b, const struct exec_result *r)
{
	for (size_t i = 0; i < r->n_series; i++) {
		const struct exec_series *s = &r->series[i];
		buf_c(b, i ? ",{\"metric\":" : "{\"metric\":");
		respond_labels(b, &s->labels);
		buf_c(b, r->kind == EXEC_VECTOR ? ",\"value\":" : ",\"values\":[");
		for (size_t k = 0; k < s->n; k++) {
			if (k) buf_ch(b, ',');
			point(b, &s->v[k]);
		}
		buf_c(b, r->kind == EXEC_VECTOR ? "}" : "]}");
	}
}

/* Loki takes the time of a scalar for microseconds where it is in nanoseconds, and overflows. */
static void scalar(struct buf *b, const struct exec_point *p)
{
	buf_ch(b, '[');
	buf_i64(b, (int64_t)((uint64_t)p->ts * 1000) / 1000000);
	buf_c(b, ",\"");
	buf_f64(b, p->v);
	buf_c(b, "\"]");
}

static void warnings(struct buf *b, const struct exec_result *r)
{
	if (r->n_warnings == 0) return;
	buf_c(b, ",\"warnings\":[");
	for (size_t i = 0; i < r->n_warnings; i++) {
		if (i) buf_ch(b, ',');
		json_quote(b, r->warnings[i], true);
	}
	buf_ch(b, ']');
}

void respond_query(struct buf *b, const struct exec_result *r, bool categorize)
{
	static const char *const types[] = {"streams", "matrix", "vector", "scalar"};
	bool log = r->kind == EXEC_STREAMS;
	buf_c(b, "{\"status\":\"success\"");
	if (log) warnings(b, r);
	buf_printf(b, ",\"data\":{\"resultType\":\"%s\",", types[r->kind]);
	if (log && categorize) buf_c(b, "\"encodingFlags\":[\"categorize-labels\"],");
	if (r->ordered) buf_c(b, "\"ordered\":true,");
	buf_c(b, "\"result\":");
	if (r->kind == EXEC_SCALAR) {
		scalar(b, r->series[0].v);
	} else {
		buf_ch(b, '[');
		if (log)
			streams(b, r, categorize);
		else
			series(b, r);
		buf_ch(b, ']');
	}
	buf_c(b, ",\"stats\":");
	respond_stats(b, &r->stats);
	buf_ch(b, '}');
	if (!log) warnings(b, r);
	buf_c(b, log ? "}\n" : "}");
}

static void legacy_entry(struct buf *b, const struct exec_entry *x)
{
	buf_c(b, "{\"ts\":\"");
	units_rfc3339nano_print(b, x->ts);
	buf_c(b, "\",\"line\":");
	json_quote(b, x->line, true);
	buf_ch(b, '}');
}

void respond_legacy(struct buf *b, const struct exec_result *r)
{
	struct buf text = {0};
	buf_c(b, "{\"streams\":[");
	for (size_t i = 0; i < r->n_streams; i++) {
		const struct exec_stream *s = &r->streams[i];
		buf_clear(&text);
		labels_print(&text, &s->labels);
		buf_c(b, i ? ",{\"labels\":" : "{\"labels\":");
		json_quote(b, buf_view(&text), true);
		buf_c(b, ",\"entries\":[");
		for (size_t k = 0; k < s->n; k++) {
			if (k) buf_ch(b, ',');
			legacy_entry(b, &s->v[k]);
		}
		buf_c(b, "]}");
	}
	buf_c(b, "],\"stats\":");
	respond_stats(b, &r->stats);
	buf_c(b, "}\n");
	buf_free(&text);
}

/* ---- frames of tails ---- */

static void legacy_labels(struct buf *b, const struct labels *l)
{
	struct buf text = {0};
	labels_print(&text, l);
	json_quote(b, buf_view(&text), true);
	buf_free(&text);
}

static void tail_rows(struct buf *b, const struct respond_tail *t)
{
	buf_c(b, "{\"streams\":[");
	for (size_t i = 0; i < t->n; i++) {
		const struct respond_row *r = &t->rows[i];
		if (i) buf_ch(b, ',');
		if (t->legacy) {
			buf_c(b, "{\"labels\":");
			legacy_labels(b, r->labels);
			buf_c(b, ",\"entries\":[");
			legacy_entry(b, &r->entry);
		} else {
			buf_c(b, "{\"stream\":");
			respond_labels(b, r->labels);
			buf_c(b, ",\"values\":[");
			entry(b, &r->entry, t->categorize);
		}
		buf_c(b, "]}");
	}
	buf_ch(b, ']');
}

static void tail_dropped(struct buf *b, const struct respond_tail *t)
{
	buf_c(b, ",\"dropped_entries\":[");
	for (size_t i = 0; i < t->n_dropped; i++) {
		const struct respond_dropped *d = &t->dropped[i];
		buf_c(b, i ? ",{\"timestamp\":\"" : "{\"timestamp\":\"");
		if (t->legacy)
			units_rfc3339nano_print(b, d->ts);
		else
			buf_i64(b, d->ts);
		buf_c(b, "\",\"labels\":");
		if (t->legacy)
			legacy_labels(b, &d->labels);
		else
			respond_labels(b, &d->labels);
		buf_ch(b, '}');
	}
	buf_ch(b, ']');
}

void respond_tail(struct buf *b, const struct respond_tail *t)
{
	tail_rows(b, t);
	if (t->n_dropped)
		tail_dropped(b, t);
	else if (t->legacy)
		buf_c(b, ",\"dropped_entries\":null");
	if (t->categorize && !t->legacy) buf_c(b, ",\"encodingFlags\":[\"categorize-labels\"]");
	buf_ch(b, '}');
}

void respond_jsonl(struct buf *b, const struct labels *l, int64_t ts, struct str line)
{
	buf_c(b, "{\"labels\":{");
	for (size_t i = 0; i < l->n; i++) {
		if (i) buf_ch(b, ',');
		json_quote(b, l->v[i].name, false);
		buf_ch(b, ':');
		json_quote(b, l->v[i].value, false);
	}
	buf_c(b, "},\"timestamp\":\"");
	units_rfc3339nano_print(b, ts);
	buf_c(b, "\",\"line\":");
	json_quote(b, line, false);
	buf_c(b, "}\n");
}
