/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is stored and what maintenance does with it: GET /larch/v1/store; POST /larch/v1/compact makes a round that
 * merges all it can and answers, with the same, when it has ended. */
#include "server/http/api.h"

#include "common/json.h"
#include "common/units.h"
#include "server/store/maintain.h"

static void put_u64(struct json_out *o, const char *key, uint64_t v)
{
	json_key(o, str_c(key));
	json_put_u64(o, v);
}

static void put_time(struct json_out *o, const char *key, int64_t ns, bool there)
{
	struct buf b = {0};
	json_key(o, str_c(key));
	if (there) {
		units_rfc3339nano_print(&b, ns);
		json_put_str(o, buf_view(&b));
	} else {
		json_put_null(o);
	}
	buf_free(&b);
}

static void put_cuts(struct json_out *o, const struct maintain_tenant *t)
{
	json_key(o, STR("cuts"));
	json_open(o, '{');
	for (int i = 0; i < CATALOG_CUT_REASONS; i++) {
		const struct catalog_cut *c = &t->cuts[i];
		if (!c->rows) continue;
		json_key(o, str_c(catalog_cut_name((enum catalog_cut_reason)i)));
		json_open(o, '{');
		put_u64(o, "segments", c->segments);
		put_u64(o, "entries", c->rows);
		put_u64(o, "line_bytes", c->bytes);
		put_time(o, "oldest", c->min_ts, true);
		put_time(o, "newest", c->max_ts, true);
		json_close(o, '}');
	}
	json_close(o, '}');
}

static void put_backlog(struct json_out *o, const struct compact_backlog *b)
{
	json_key(o, STR("backlog"));
	json_open(o, '{');
	put_u64(o, "segments", b->segments);
	put_u64(o, "line_bytes", b->bytes);
	json_close(o, '}');
}

static void put_tenant(void *ud, const struct maintain_tenant *t)
{
	struct json_out *o = ud;
	json_open(o, '{');
	json_key(o, STR("tenant"));
	json_put_str(o, t->name);
	put_u64(o, "segments", t->segments);
	put_u64(o, "bytes", t->size);
	put_u64(o, "line_bytes", t->bytes);
	put_u64(o, "entries", t->rows);
	put_time(o, "oldest", t->oldest, t->segments > 0);
	put_time(o, "newest", t->newest, t->segments > 0);
	put_backlog(o, &t->backlog);
	put_time(o, "next_deletion", t->next_deletion, t->next_deletion != INT64_MAX);
	put_u64(o, "pending_delete_requests", t->deletes_pending);
	put_cuts(o, t);
	json_close(o, '}');
}

static void put_compaction(struct json_out *o, const struct maintain_stats *st)
{
	const struct {
		const char *key;
		uint64_t v;
	} rows[] = {
		{"rounds", st->rounds},        {"failures", st->failures},    {"merges", st->done.merges},
		{"segments", st->done.inputs}, {"read_bytes", st->done.read}, {"written_bytes", st->done.written},
		{"entries", st->done.rows},    {"copies", st->done.copies},   {"expired", st->done.expired},
		{"deleted", st->done.deleted},
	};
	json_key(o, STR("compaction"));
	json_open(o, '{');
	json_key(o, STR("running"));
	json_put_bool(o, st->running);
	put_time(o, "last_round", st->last_round, st->last_round != 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) put_u64(o, rows[i].key, rows[i].v);
	json_close(o, '}');
}

static void answer_status(struct httpd_req *r, struct api *api)
{
	struct buf b = {0};
	struct json_out o;
	struct maintain_stats st;
	maintain_stats(api->maintain, &st);
	json_out_init(&o, &b, false);
	json_open(&o, '{');
	put_compaction(&o, &st);
	json_key(&o, STR("tenants"));
	json_open(&o, '[');
	maintain_tenants(api->maintain, true, put_tenant, &o);
	json_close(&o, ']');
	json_close(&o, '}');
	api_json(r, &b);
}

static void status(struct httpd_req *r, void *ctx) { answer_status(r, ctx); }

static void compact(struct httpd_req *r, void *ctx)
{
	struct api *api = ctx;
	struct err e = ERR_INIT;
	if (maintain_run(api->maintain, httpd_cancel_flag(r), &e))
		answer_status(r, api);
	else
		api_fail(r, &e);
}

static const struct httpd_route routes[] = {
	{"GET", "/larch/v1/store", status, 0, "larch_v1_store"},
	{"POST", "/larch/v1/compact", compact, 0, "larch_v1_compact"},
};

const struct api_table api_store_table = API_TABLE(routes);
