/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ratelimit: token buckets by key (a tenant, a stream of a tenant), with the semantics of Go's x/time/rate.
 *
 * A bucket starts full, fills with `rate` bytes per second up to `burst`, and a take is all or nothing. Full
 * buckets hold no information and are forgotten when the table grows, so memory follows the keys that are
 * active. One mutex; any thread. */
#ifndef LARCH_SERVER_DISTRIBUTOR_RATELIMIT_H
#define LARCH_SERVER_DISTRIBUTOR_RATELIMIT_H

#include "common/clock.h"
#include "common/str.h"

struct ratelimit;

struct ratelimit *ratelimit_new(struct clock *c);
void ratelimit_free(struct ratelimit *r);
/* False: n tokens are more than the bucket of key holds now; nothing is taken. */
bool ratelimit_take(struct ratelimit *r, struct str key, double rate, double burst, double n);

#endif
