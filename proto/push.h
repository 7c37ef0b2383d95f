/* SPDX-License-Identifier: GPL-2.0-or-later */
/* push: a push request in memory, and its two wire forms (spec push-protocol §2, §3).
 *
 * Decoding slices into the body: lines, labels and metadata borrow from it (JSON strings with escapes
 * are unescaped into the arena), so the body must outlive the request. The arrays live in the arena.
 * The hand-written protobuf decoder accepts exactly what protobuf-c's generated one accepts (fuzzed
 * against it) but for strings that are not UTF-8, which it passes on. A body of tiny entries costs many times
 * its size: decoding stops with ERR_TOO_LARGE once arena_over(), which it checks as it grows. Stateless; any
 * thread. */
#ifndef LARCH_PROTO_PUSH_H
#define LARCH_PROTO_PUSH_H

#include "common/labels.h"

struct push_entry {
	int64_t ts;            /* ns since the epoch */
	struct str line;
	struct labels meta;    /* structured metadata in the order received, not sorted */
};

struct push_stream {
	struct str labels;     /* text: {a="b", c="d"} (JSON requests are printed into this form) */
	struct push_entry *v;
	size_t n;
};

struct push {
	struct push_stream *v;
	size_t n;
	size_t entries;        /* over all streams */
	size_t bytes;          /* line + metadata bytes over all streams */
};

/* body: the protobuf message, already expanded from snappy. */
bool push_decode(struct arena *a, struct str body, struct push *out, struct err *e);
/* Appends the protobuf message. */
void push_encode(const struct push *p, struct buf *out);

/* v1 {"streams":[{"stream":{},"values":[[ts,line,{}]]}]} and the legacy form with "labels" and "entries". */
bool push_json_decode(struct arena *a, struct str body, struct push *out, struct err *e);
/* v1. Label texts must parse. */
bool push_json_encode(const struct push *p, struct buf *out, struct err *e);

#endif
