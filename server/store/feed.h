/* SPDX-License-Identifier: GPL-2.0-or-later */
/* feed: pushes on their way from ingest to those who follow a tenant (reader.h).
 *
 * Whoever fills heads copies each record into the tenant's feed, as long as it has followers; a follower reads what
 * came since it began, in the order in which it became visible. Records that all have read go. What is unread is
 * bounded, in bytes and by the followers' budget: a record that does not fit is lost to all of them, and they are told;
 * ingest never waits. A feed exists while somebody follows, whether the tenant does or not. Locks: the store's, then
 * the tenant's, then the feed's. */
#ifndef LARCH_SERVER_STORE_FEED_H
#define LARCH_SERVER_STORE_FEED_H

#include "server/store/record.h"

struct feed;
struct feed_node;

/* A copy of the record for the feed, made before any lock is taken. bytes: what r's slices point into; floor: of the
 * head that it goes into (deletes.h). */
struct feed_node *feed_node_new(const struct record *r, struct str bytes, uint64_t floor);
void feed_node_free(struct feed_node *n); /* NULL is nothing */
/* Under the tenant's lock, when the record is visible. Takes the node. */
void feed_add(struct feed *f, struct feed_node *n);

#endif
