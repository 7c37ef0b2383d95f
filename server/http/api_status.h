/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api_status: how the server is: /ready, /metrics, /config, /services, /log_level, /flush, buildinfo; api_shutdown:
 * /ingester/shutdown, /ingester/prepare_shutdown. */
#ifndef LARCH_SERVER_HTTP_API_STATUS_H
#define LARCH_SERVER_HTTP_API_STATUS_H

#include "common/fs.h"
#include "common/metrics.h"
#include "server/http/api.h"

struct api_status {
	struct metrics *metrics;   /* NULL: /metrics is off */
	struct buf config;         /* effective configuration, YAML */
	_Atomic bool stopping;
	const char *marker_dir; /* where prepare_shutdown leaves its mark; NULL: there is no such place */
	struct fs *fs;
};

/* Is there a mark of prepare_shutdown? */
bool api_shutdown_marked(struct fs *fs, const char *marker_dir);

#endif
