/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expire: carries out retention on segments as a whole. Those that are past their period leave the catalog in one
 * entry, which also says what was cut; of those that are partly past it, the ones worth rewriting are marked for
 * compaction. Rows are never looked at: a segment's bounds decide, or its index where streams have periods of their
 * own. One thread at a time. */
#ifndef LARCH_SERVER_STORE_EXPIRE_H
#define LARCH_SERVER_STORE_EXPIRE_H

#include "server/store/retention.h"

struct store;
struct tenant;

bool expire_by_age(struct tenant *t, const struct retention *r, int64_t now, struct err *e);
/* Drops the oldest segments of the tenants until all of theirs together take no more than `limit` bytes. */
bool expire_by_bytes(struct tenant *const *t, size_t n, uint64_t limit, struct err *e);
/* When the first segment, or part of one, is to go, as far as is known; INT64_MAX: never. */
int64_t expire_next(struct tenant *t, const struct retention *r);

#endif
