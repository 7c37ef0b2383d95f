/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lines look like, and how many of each kind there are in every step: Drilldown's patterns. */
#include "common/json.h"
#include "common/units.h"
#include "server/exec/patterns.h"
#include "server/http/api_query.h"

#define PATTERNS_MAX 500 /* in an answer */

/* Times are whole seconds, so steps are, too. */
static bool params(struct api_read *a, struct exec_query *q)
{
	if (a->end < a->start)
		return err_set(&a->err, ERR_INVALID, "end timestamp must not be before or equal to start time");
	if (!api_step(a->req, a->start, a->end, &q->step, &a->err)) return false;
	q->step = (q->step + UNITS_SEC - 1) / UNITS_SEC * UNITS_SEC;
	return true;
}

static void print_pattern(struct json_out *o, const struct miner_shape *s, const struct exec_query *q)
{
	int64_t base = exec_patterns_base(q);
	json_open(o, '{');
	json_key(o, STR("pattern"));
	json_put_str(o, s->text);
	json_key(o, STR("level"));
	json_put_str(o, s->level.n ? s->level : STR("unknown"));
	json_key(o, STR("samples"));
	json_open(o, '[');
	for (size_t i = 0; i < s->n; i++) {
		json_open(o, '[');
		json_put_i64(o, (base + (int64_t)s->v[i].step * q->step) / UNITS_SEC);
		json_put_u64(o, s->v[i].n);
		json_close(o, ']');
	}
	json_close(o, ']');
	json_close(o, '}');
}

static void get_patterns(struct httpd_req *r, void *ctx)
{
	struct api_read a;
	struct buf b = {0};
	struct json_out o;
	struct miner m;
	if (!api_read_open(&a, r, ctx)) return;
	struct exec_query q = api_query_base(&a, api_arg(r, "query"));
	if (!params(&a, &q) || !exec_patterns(a.api->engine, &q, &m, &a.err)) {
		api_read_fail(&a);
		return;
	}
	json_out_init(&o, &b, true);
	json_open(&o, '{');
	json_key(&o, STR("status"));
	json_put_str(&o, STR("success"));
	json_key(&o, STR("data"));
	json_open(&o, '[');
	for (size_t i = 0; i < m.n && i < PATTERNS_MAX; i++) print_pattern(&o, m.v[i], &q);
	json_close(&o, ']');
	json_close(&o, '}');
	miner_free(&m);
	api_read_reply(&a, &b);
}

static const struct httpd_route routes[] = {
	{.methods = "GET POST", .path = "/loki/api/v1/patterns", .fn = get_patterns, .name = "loki_api_v1_patterns"},
};

const struct api_table api_patterns_table = API_QUEUED_TABLE(routes);
