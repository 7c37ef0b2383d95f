/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segwrite_index: the index of a segment being written: pages of streams, postings, the root (docs/FORMATS.md).
 *
 * Internal to segwrite. Pages are encoded as they fill; what stays in memory until the end is their compressed bytes,
 * every distinct label text once, and 12 bytes for each label of each stream. */
#ifndef LARCH_SERVER_STORE_SEGWRITE_INDEX_H
#define LARCH_SERVER_STORE_SEGWRITE_INDEX_H

#include "common/map.h"
#include "server/store/segment.h"

struct segwrite_page {            /* one that is encoded */
	struct segment_part part; /* its offset among the parts */
	uint64_t rows;
	int64_t min_ts, max_ts;
	struct str first; /* labels of the first stream, canonical */
};

struct segwrite_symbol {
	struct str text;
	uint32_t page, local; /* its number in the page that had it last; page 0: none yet */
	uint32_t rank;        /* among all, by text */
};

struct segwrite_posting {
	uint32_t name, value, stream; /* name and value: symbols, then their ranks */
};

struct segwrite_values { /* a page of postings */
	struct str name, first;
	struct segment_part part; /* likewise */
};

struct segwrite_index {
	int level;
	struct arena arena;
	struct map by_text; /* text -> 1 + symbol */
	struct segwrite_symbol *symbols;
	size_t nsymbols, cap_symbols;
	struct segwrite_posting *postings;
	size_t npostings, cap_postings;
	struct segwrite_page *pages;
	size_t npages, cap_pages;
	struct segwrite_values *values; /* by name, then value */
	size_t nvalues, cap_values;
	uint64_t nstreams;
	struct buf parts, scratch;

	/* the open page */
	struct str *texts; /* its symbols */
	uint32_t *pairs;   /* name, value, name, value… */
	struct segment_stream *streams;
	size_t ntexts, cap_texts, npairs, cap_pairs, n, cap;
};

void segwrite_index_init(struct segwrite_index *x, int level);
void segwrite_index_free(struct segwrite_index *x);
/* A stream and its figures (pairs are filled in here), in label order. */
bool segwrite_index_add(struct segwrite_index *x, const struct labels *labels, const struct segment_stream *st,
			struct err *e);
/* Appends a part, compressed where that makes it smaller; *p is where it stands among the parts. */
bool segwrite_index_part(struct segwrite_index *x, struct str raw, struct segment_part *p, struct err *e);

struct segwrite_root {
	struct str tenant;
	uint64_t rows, bytes;
	const struct wal_range *covers;
	size_t ncovers;
	struct segment_part blocks; /* of segwrite_index_part() */
};
/* Ends pages and postings; no stream is added after that. */
bool segwrite_index_end(struct segwrite_index *x, struct err *e);
/* Appends the parts, the root and the trailer, which are to stand at offset `at` of the object. The last call. */
bool segwrite_index_put(struct segwrite_index *x, const struct segwrite_root *r, uint64_t at, struct buf *out,
			struct err *e);

/* A table of texts by number. */
void segwrite_put_texts(struct buf *b, const struct str *v, size_t n);

#endif
