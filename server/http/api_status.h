/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api_status: how the server is: /ready, /metrics, /config, /services, /log_level, /flush, buildinfo. */
#ifndef LARCH_SERVER_HTTP_API_STATUS_H
#define LARCH_SERVER_HTTP_API_STATUS_H

#include "common/metrics.h"
#include "server/http/api.h"

struct api_status {
	struct metrics *metrics;   /* NULL: /metrics is off */
	struct buf config;         /* effective configuration, YAML */
	_Atomic bool stopping;
};

#endif
