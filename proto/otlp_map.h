/* SPDX-License-Identifier: GPL-2.0-or-later */
/* otlp_map: the messages of otlp.proto → struct push; what the two forms of otlp.h share. */
#ifndef LARCH_PROTO_OTLP_MAP_H
#define LARCH_PROTO_OTLP_MAP_H

#include "proto/otlp.h"
#include "proto/otlp.pb-c.h"

/* The messages live in the arena or are borrowed, and outlive the push. */
bool otlp_map(struct arena *a, const Otlp__LogsRequest *request, const struct otlp_rules *rules, struct push *out,
	      struct err *e);
/* The error of an arena that is over its cap. */
bool otlp_too_large(const struct arena *a, struct err *e);

/* A value as Go's pdata writes it: text as it is, bytes as base64, arrays and maps as JSON with sorted keys. Borrows
 * or lives in the arena. NULL is "". */
struct str otlp_value_text(struct arena *a, const Otlp__AnyValue *v);

static inline struct str otlp_bytes(ProtobufCBinaryData d)
{
	return d.len ? str_of((const char *)d.data, d.len) : STR("");
}

#endif
