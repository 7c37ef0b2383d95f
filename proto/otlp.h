/* SPDX-License-Identifier: GPL-2.0-or-later */
/* otlp: OpenTelemetry log requests, protobuf or JSON → struct push (spec push-protocol §7; opentelemetry-proto's
 * logs/v1).
 *
 * Both forms are read into the messages of otlp.proto and mapped from there: the rules say which attributes become
 * labels of a stream and which are dropped; everything else is an entry's structured metadata. Where resource, scope
 * and record have an attribute of one name, the record's counts. Memory is the arena's; reading stops with
 * ERR_TOO_LARGE once arena_over(). Nesting is bounded. The result borrows from the body. Stateless; any thread. */
#ifndef LARCH_PROTO_OTLP_H
#define LARCH_PROTO_OTLP_H

#include "common/regex.h"
#include "proto/push.h"

enum otlp_action { OTLP_STRUCTURED_METADATA, OTLP_DROP, OTLP_INDEX_LABEL };

/* What becomes of attributes with these names, or whose whole name matches. */
struct otlp_rule {
	enum otlp_action action;
	const struct str *names;
	size_t n_names;
	const struct regex *re; /* anchored; NULL: names count */
};

/* The first rule that takes an attribute decides. */
struct otlp_rule_list {
	const struct otlp_rule *v;
	size_t n;
};

struct otlp_rules {
	struct otlp_rule defaults; /* comes before those of resources */
	struct otlp_rule_list resource, scope, record;
	bool severity_label; /* severity_text is a label as well */
	int64_t now;         /* for records without a time; ns since the epoch */
};

bool otlp_decode(struct arena *a, struct str body, const struct otlp_rules *rules, struct push *out, struct err *e);
bool otlp_json_decode(struct arena *a, struct str body, const struct otlp_rules *rules, struct push *out,
		      struct err *e);

#endif
