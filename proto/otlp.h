/* SPDX-License-Identifier: GPL-2.0-or-later */
/* otlp: OpenTelemetry log requests, protobuf or JSON → struct push (spec push-protocol §7; opentelemetry-proto's
 * logs/v1).
 *
 * Both forms are read into the messages of otlp.proto and mapped from there: resource attributes that the rules
 * name become labels of a stream, everything else an entry's structured metadata. Where resource, scope and record
 * have an attribute of one name, the record's counts. Memory is the arena's; reading stops with ERR_TOO_LARGE once
 * arena_over(). Nesting is bounded. The result borrows from the body. Stateless; any thread. */
#ifndef LARCH_PROTO_OTLP_H
#define LARCH_PROTO_OTLP_H

#include "proto/push.h"

struct otlp_rules {
	const struct str *index; /* resource attributes that become labels */
	size_t nindex;
	int64_t now; /* for records without a time; ns since the epoch */
};

bool otlp_decode(struct arena *a, struct str body, const struct otlp_rules *rules, struct push *out, struct err *e);
bool otlp_json_decode(struct arena *a, struct str body, const struct otlp_rules *rules, struct push *out,
		      struct err *e);

#endif
