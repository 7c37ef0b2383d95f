/* SPDX-License-Identifier: GPL-2.0-or-later */
/* distributor: a decoded push → what ingest takes (spec push-protocol §4, §5, §8).
 *
 * Parses label texts (one that does not parse refuses the whole push), adds service_name and detected_level,
 * normalises structured metadata, checks every limit, and keeps the survivors: a bad entry does not take the
 * good ones with it, but then the answer is not 2xx. Each refusal names the setting's value and what was seen,
 * in Loki's words, and is counted by reason. State: only the rate limiters; any thread. */
#ifndef LARCH_SERVER_DISTRIBUTOR_H
#define LARCH_SERVER_DISTRIBUTOR_H

#include "common/clock.h"
#include "common/metrics.h"
#include "proto/push.h"
#include "server/ingest/ingest.h"
#include "server/limits.h"

struct distributor;

struct distributor *distributor_new(struct clock *c, struct metrics *m);
void distributor_free(struct distributor *d);

struct distributor_result {
	struct ingest_push push; /* the survivors; n == 0: nothing to store */
	int status;              /* 0: everything survived; else what to answer once the survivors are stored */
	struct str text;         /* the answer's text, without a newline */
};

/* in's entries are changed in place (timestamps, cut lines). The result borrows from in, tenant and the arena. */
void distributor_check(struct distributor *d, const struct limits *l, struct arena *a, struct str tenant,
		       struct push *in, struct distributor_result *out);

#endif
