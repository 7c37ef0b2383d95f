/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api: what every HTTP handler of the server shares: the context, tenants, parameters, and the routes.
 *
 * A family of endpoints is one api_*.c with one table of routes; routes.c composes them. The context of every
 * handler is a struct api, filled by server.c before the server listens and not changed after. Handlers run on
 * the HTTP server's workers and answer exactly once.
 * Texts and statuses are Loki's (spec http-api): texts of errors on the query side end without a newline, those
 * about tenants with one. */
#ifndef LARCH_SERVER_HTTP_API_H
#define LARCH_SERVER_HTTP_API_H

#include "common/arena.h"
#include "common/clock.h"
#include "common/httpd.h"
#include "server/auth.h"
#include "server/overrides.h"

struct exec_engine;
struct ingest;
struct maintain;
struct store;
struct metrics;
struct queries;
struct shares;
struct tails;
struct api_push;   /* what the push side needs beyond the rest: its own business */
struct api_status; /* the same for the status endpoints */

struct api {
	struct store *store;
	struct ingest *ingest;
	struct maintain *maintain;
	struct exec_engine *engine;
	struct clock *clock;
	bool auth_enabled; /* false: the tenant is always "fake" */
	bool multi_tenant; /* querier.multi_tenant_queries_enabled */
	bool logql_extensions; /* larch.logql_extensions */
	struct auth *auth; /* NULL: everybody may do everything */
	struct queries *queries; /* NULL in tests: nothing waits */
	struct shares *shares;   /* of the memory for request bodies, by tenant */
	struct tails *tails;
	size_t max_exports; /* of a tenant: larch.max_exports */
	struct metrics *metrics;
	struct overrides *overrides; /* each tenant's limits */
	int64_t delete_cancel_period, delete_max_interval; /* ns; compactor.delete_… */
	struct api_push *push;
	struct api_status *status;
};

/* ---- routes ---- */

struct api_table {
	const struct httpd_route *v;
	size_t n;
	bool queued; /* requests that read entries: they take turns (server/http/queries.h) */
	enum auth_need access; /* of routes that say nothing themselves */
};

#define API_TABLE(routes)                                                                                              \
	{                                                                                                              \
		(routes), sizeof(routes) / sizeof *(routes), false, AUTH_SERVER                                        \
	}

#define API_TABLE_FOR(routes, access)                                                                                  \
	{                                                                                                              \
		(routes), sizeof(routes) / sizeof *(routes), false, (access)                                           \
	}

#define API_QUEUED_TABLE(routes)                                                                                       \
	{                                                                                                              \
		(routes), sizeof(routes) / sizeof *(routes), true, AUTH_READ                                           \
	}

extern const struct api_table api_query_table;  /* query, query_range, format_query */
extern const struct api_table api_labels_table; /* labels, label values, series */
extern const struct api_table api_index_table;  /* index/stats, index/volume, index/volume_range */
extern const struct api_table api_detect_table; /* detected_labels, detected_fields, detected_field values */
extern const struct api_table api_patterns_table; /* patterns */
extern const struct api_table api_legacy_table; /* /api/prom/query, label, series */
extern const struct api_table api_push_table;   /* push */
extern const struct api_table api_otlp_table;   /* otlp/v1/logs */
extern const struct api_table api_tail_table;   /* tail, api/prom/tail */
extern const struct api_table api_estimate_table; /* larch/v1/estimate */
extern const struct api_table api_export_table;  /* larch/v1/export */
extern const struct api_table api_context_table; /* larch/v1/context */
extern const struct api_table api_queries_table; /* larch/v1/queries */
extern const struct api_table api_delete_table; /* delete, cache/generation_numbers */
extern const struct api_table api_limits_table; /* config/tenant/v1/limits, drilldown-limits */
extern const struct api_table api_rules_table;  /* prometheus/api/v1/rules, alerts */
extern const struct api_table api_store_table;  /* larch/v1/store, larch/v1/compact */
extern const struct api_table api_shutdown_table; /* ingester/shutdown, ingester/prepare_shutdown */
extern const struct api_table api_status_table; /* ready, metrics, config, buildinfo, services, log_level, flush */

/* Every family's routes in one array on the heap; *n: how many. */
struct httpd_route *api_routes(size_t *n);

/* An httpd_config.guard: the users of larch.auth_file. */
bool api_guard(void *ctx, struct httpd_req *r, struct err *e);
/* Whose share of the memory a body takes; httpd_config.share and unshare. */
struct budget_share *api_share(void *ctx, struct httpd_req *r);
void api_unshare(void *ctx, struct budget_share *s);
/* Puts a request that reads entries into its tenant's queue; an httpd_config.admit. */
void api_admit(struct httpd_req *r, void *ctx);

/* ---- tenants ---- */

/* The one tenant of a request (push, delete, rules: anything that may not name several). False: answered. Borrows
 * from the request. */
bool api_tenant(const struct api *a, struct httpd_req *r, struct str *tenant);
/* The tenants of a query: sorted, each once, n >= 1. False: answered. Borrows from the request; the array is in
 * the arena. */
bool api_tenants(const struct api *a, struct httpd_req *r, struct arena *ar, struct str **tenants, size_t *n);
/* The rules alone, over the header's value (.p == NULL: no header). ERR_UNAUTH or ERR_INVALID, text with newline. */
bool api_tenants_parse(const struct api *a, struct str header, struct arena *ar, struct str **tenants, size_t *n,
		       struct err *e);

/* ---- parameters; times are ns since the epoch, spans ns ---- */

/* A whole number. Text errors are Go's. */
bool api_int(struct str text, int64_t *out, struct err *e);
/* "" gives def. Text errors are Go's: `strconv.ParseInt: parsing "x": invalid syntax`. */
bool api_time(struct str text, int64_t def, int64_t *out, struct err *e);
/* Float seconds or a Prometheus duration. */
bool api_duration(struct str text, int64_t *out, struct err *e);
/* `limit`: default 100, at least 1. */
bool api_limit(struct httpd_req *r, const char *name, uint32_t def, uint32_t *out, struct err *e);
/* `direction`: backward unless told otherwise. */
bool api_direction(struct httpd_req *r, bool *forward, struct err *e);
/* `start`, `end` and `since` with their defaults. */
bool api_bounds(struct httpd_req *r, int64_t now, int64_t *start, int64_t *end, struct err *e);
/* `step`: default a 250th of the range in whole seconds, at least 1 s; at most 11,000 steps. */
bool api_step(struct httpd_req *r, int64_t start, int64_t end, int64_t *step, struct err *e);

/* The parameter, "" when absent. */
static inline struct str api_arg(const struct httpd_req *r, const char *name)
{
	struct str s = httpd_arg(r, name);
	return s.p ? s : STR("");
}

/* May the request's queries go beyond Loki's language? By configuration or by X-Larch-Extensions: on. */
bool api_extensions(const struct api *a, const struct httpd_req *r);

/* ---- answers ---- */

/* The error's text with its code's status. */
void api_fail(struct httpd_req *r, const struct err *e);
/* 200 application/json; charset=UTF-8. Takes the buffer. */
void api_json(struct httpd_req *r, struct buf *body);

#endif
