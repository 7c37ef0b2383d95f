/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/metrics.h"

const struct metrics_row server_metrics[SERVER_METRICS] = {
#define M(id, type_, name_, help_, buckets_, ...) \
	[METRIC_##id] = {.name = name_, .help = help_, .type = METRICS_##type_, .buckets = buckets_, .labels = {__VA_ARGS__}},
#include "server/metrics.def"
#undef M
};
