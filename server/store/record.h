/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record: one push in the form that is logged, replayed and put into heads (docs/FORMATS.md, Push record).
 *
 * Encoded once on the thread that took the push; whatever reads it afterwards (heads now, replay later) goes the
 * same way over the same bytes. Label sets and metadata sets stand in it in canonical form (count, then
 * length-prefixed names and values, sorted by name), so that equal sets are equal bytes and can be hash keys.
 * Decoding never trusts a length; slices borrow from the record's bytes. Any thread. */
#ifndef LARCH_SERVER_STORE_RECORD_H
#define LARCH_SERVER_STORE_RECORD_H

#include "common/err.h"
#include "common/labels.h"
#include "proto/push.h"

/* What one stream of a push brings; the caller's arrays. */
struct record_stream {
	struct labels labels; /* sorted, no empty values */
	const struct push_entry *v;
	size_t n;
};

/* Appends the record to out. */
void record_encode(struct buf *out, struct str tenant, const struct record_stream *v, size_t n);
/* Upper bound of its size, for reserving memory. */
size_t record_bound(struct str tenant, const struct record_stream *v, size_t n);

/* Canonical form of a label set, and back: v is the caller's array of at least record_set_count() places. */
void record_set_encode(struct buf *out, const struct labels *l);
bool record_set_count(struct str set, size_t *n);
bool record_set_decode(struct str set, struct label *v, size_t n);

struct record {
	struct str tenant;
	size_t nsets, nstreams;
	struct str sets, rest; /* where the sets and the streams begin */
	uint64_t rows, bytes;  /* bytes: of lines; both as the streams announce them */
};

/* Reads the frame and checks every count and length up to the rows. False: ERR_CORRUPT. */
bool record_open(struct str bytes, struct record *r, struct err *e);
/* The next metadata set's canonical bytes; call nsets times from a copy of r->sets. */
bool record_next_set(struct str *sets, struct str *set);

struct record_rows {
	struct str labels; /* canonical */
	size_t n;
	struct str cols, lines; /* what is left of them */
	int64_t ts;             /* of the row before */
};

struct record_row {
	int64_t ts;
	struct str line;
	uint32_t set; /* 0: no metadata, else 1 + index among the sets */
};

/* The next stream; call nstreams times from a copy of r->rest. */
bool record_next_stream(struct str *rest, struct record_rows *s);
/* The next row; call s->n times. False: damaged. */
bool record_next_row(struct record_rows *s, struct record_row *row);

#endif
