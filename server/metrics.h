/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics: larch-server's metric table (metrics.def) over common/metrics. Names that dashboards for Loki use
 * are Loki's; what Loki lacks is larch_*. Rows are immutable; the table is owned by server.c. */
#ifndef LARCH_SERVER_METRICS_H
#define LARCH_SERVER_METRICS_H

#include "common/metrics.h"

enum server_metric {
#define M(id, ...) METRIC_##id,
#include "server/metrics.def"
#undef M
	SERVER_METRICS
};

extern const struct metrics_row server_metrics[SERVER_METRICS];

#endif
