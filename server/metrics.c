/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/metrics.h"

#include <math.h>

/* 50 MB to 25 GB a second. */
static const double query_rate_buckets[] = {5e7, 1e8, 2e8, 4e8, 6e8,  8e8,    1e9,  1.5e9,  2e9,
					    3e9, 4e9, 5e9, 6e9, 1e10, 1.5e10, 2e10, 2.5e10, INFINITY};

const struct metrics_row server_metrics[SERVER_METRICS] = {
#define M(id, type_, name_, help_, buckets_, ...)                                                                      \
	[METRIC_##id] = {                                                                                              \
		.name = name_, .help = help_, .type = METRICS_##type_, .buckets = buckets_, .labels = {__VA_ARGS__}},
#include "server/metrics.def"
#undef M
};
