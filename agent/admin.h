/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin: the agent's HTTP server: /ready, /metrics, /targets (HTML; JSON with ?format=json or Accept:
 * application/json), /service-discovery, /config, and / which leads to /targets.
 *
 * Handlers run on the server's workers and touch nothing of the agent's: readiness is an atomic, the
 * configuration's text is immutable, metrics are thread-safe, and targets are described on the loop's
 * thread, to which the request is posted.
 * Shipping logs matters more than this page: while another process has the port, the agent works without it and
 * tries again every second. */
#ifndef LARCH_AGENT_ADMIN_H
#define LARCH_AGENT_ADMIN_H

#include "agent/config.h"
#include "common/json.h"
#include "common/loop.h"
#include "common/metrics.h"
#include "pipeline/custom_metrics.h"

struct admin;

struct admin_env {
	const struct server_conf *conf;
	struct loop *loop;
	struct metrics *metrics;
	struct custom_metrics *custom;                  /* shown behind the others */
	const char *config;                             /* effective configuration, YAML; outlives the server */
	void (*describe)(void *ud, struct json_out *o); /* on the loop's thread: one value */
	void *ud;
};

struct admin *admin_start(const struct admin_env *env, struct err *e);
void admin_set_ready(struct admin *a, bool ready); /* any thread */
void admin_stop(struct admin *a); /* on the loop's thread, while describe() still works */

#endif
