/* SPDX-License-Identifier: GPL-2.0-or-later */
/* acks: which rows of one source each client has dealt with.
 *
 * A source numbers its rows 0, 1, 2, … as it hands them out. A row is dealt with by a client when it was
 * acknowledged with 2xx, dropped on purpose, or given up as configured; this happens in any order.
 * acks_prefix() is how many rows from the first on are dealt with without a gap: what a position may
 * cover. Rows ahead of a gap are one bit each.
 * A row that became several entries (acks_share) is dealt with when that was reported as often.
 * Invariants: prefix <= next; no bit below prefix is set. One owner thread. O(1) a row. */
#ifndef LARCH_AGENT_ACKS_H
#define LARCH_AGENT_ACKS_H

#include "common/map.h"

struct acks_client {
	uint64_t prefix;
	uint64_t *bits; /* ring: row r is bit r % 64 of word (r / 64) % words */
	size_t words;   /* 0 or a power of two */
};

struct acks {
	uint64_t next; /* the next row's number */
	struct acks_client *v;
	size_t nclients;
	struct map shares; /* struct share: rows that became several entries, not all of which are dealt with */
};

void acks_init(struct acks *a, size_t nclients);
void acks_fini(struct acks *a);
/* Rows [from, to) are dealt with by `client`; rows already dealt with are ignored. */
void acks_done(struct acks *a, size_t client, uint64_t from, uint64_t to);
void acks_done_all(struct acks *a, uint64_t from, uint64_t to);
/* The row, with which nobody has dealt yet, became so many entries more: every client reports it once for each. */
void acks_share(struct acks *a, uint64_t row, size_t more);
uint64_t acks_prefix(const struct acks *a, size_t client);
uint64_t acks_slowest(const struct acks *a);
/* Nobody owes an answer for any row handed out. */
static inline bool acks_complete(const struct acks *a) { return acks_slowest(a) == a->next; }

#endif
