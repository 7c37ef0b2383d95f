/* SPDX-License-Identifier: GPL-2.0-or-later */
/* impl: what ingest.c and replay.c share; nobody else includes it. */
#ifndef LARCH_SERVER_INGEST_IMPL_H
#define LARCH_SERVER_INGEST_IMPL_H

#include "server/ingest/generation.h"
#include "server/ingest/ingest.h"
#include "server/ingest/reserve.h"

#include <pthread.h>

struct ingest_item;

struct ingest {
	struct ingest_config c;
	char *wal_dir;
	struct store *st;
	struct flusher *flusher;
	pthread_t thread, replay_thread;
	uint64_t writer; /* of this process's log files */
	struct reserve disk;

	/* Whoever fills heads: the replay thread until `ready`, then the ingest thread. */
	struct wal wal;
	struct generation *gen; /* open; never NULL */
	uint64_t next_seq;
	struct ingest_item *parked, **parked_last; /* waiting for memory; the ingest thread's */
	int64_t synced;                            /* monotonic: when the log was last synced (INGEST_SYNC_INTERVAL) */
	bool unsynced;

	pthread_mutex_t mu;                /* guards what follows */
	pthread_cond_t wake;               /* the ingest thread */
	pthread_cond_t answered;           /* whoever waits for an item that is no push to be taken */
	struct ingest_item *first, **last; /* submitted, not yet taken */
	size_t queued;                     /* how many */
	bool ready, closed, stopping, pressure;
	uint64_t sealed;                    /* id of the last sealed generation */
	uint64_t replay_total, replay_done; /* bytes */
	struct ingest_stats stats;
};

/* Hands the open generation to the flusher and opens the next. Nothing when it is empty. */
void ingest_seal(struct ingest *in);
/* Is it time to? */
bool ingest_is_full(struct ingest *in);
/* The thread: everything in the log that no segment has goes into heads; then pushes are taken. */
void *ingest_replay(void *ud);

#endif
