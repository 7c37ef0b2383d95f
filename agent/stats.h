/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stats: the agent's metrics, one row each, under Promtail's names so that its dashboards and alerts work.
 * Rows that Promtail lacks start with larch_agent_. Updates from any thread (common/metrics.h). */
#ifndef LARCH_AGENT_STATS_H
#define LARCH_AGENT_STATS_H

#include "common/metrics.h"

enum stats_row {
	STAT_ENCODED_BYTES,
	STAT_SENT_BYTES,
	STAT_SENT_ENTRIES,
	STAT_DROPPED_BYTES,
	STAT_DROPPED_ENTRIES,
	STAT_MUTATED_BYTES,
	STAT_MUTATED_ENTRIES,
	STAT_BATCH_RETRIES,
	STAT_REQUEST_SECONDS,
	STAT_READ_BYTES,
	STAT_FILE_BYTES,
	STAT_READ_LINES,
	STAT_FILES_ACTIVE,
	STAT_TARGETS_ACTIVE,
	STAT_TARGETS_FAILED,
	STAT_JOURNAL_LINES,
	STAT_JOURNAL_ERRORS,
	STAT_STAGE_DROPPED,
	STAT_BUILD_INFO,
	STAT_HTTP_SECONDS,
	STAT_LINES_TOO_LONG,
	STAT_ROTATIONS,
	STAT_TRUNCATIONS,
	STAT_FILES_PARKED,
	STAT_FILES_LOST,
	STAT_JOURNAL_SKIPS,
	STAT_SAVE_FAILURES,
	STAT_LEDGER_FAILURES,
	STAT_QUEUE_BYTES,
	STAT_PAUSED,
	STAT_RATE_LIMITED,
	STAT_WATCH_OVERFLOWS,
	STATS
};

struct metrics *stats_new(void);
void stats_manual(struct buf *out); /* Markdown */

#endif
