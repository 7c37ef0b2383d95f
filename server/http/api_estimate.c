/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a query would read, and the limits that it has to keep, without running it. */
#include "common/json.h"
#include "server/http/api_query.h"

static void put_time(struct json_out *o, const char *key, int64_t ns)
{
	struct buf b = {0};
	buf_i64(&b, ns);
	json_key(o, str_c(key));
	json_put_str(o, buf_view(&b));
	buf_free(&b);
}

static void put_number(struct json_out *o, const char *key, uint64_t n)
{
	json_key(o, str_c(key));
	json_put_u64(o, n);
}

static void put_stats(struct json_out *o, const struct reader_stats *s)
{
	put_number(o, "streams", s->streams);
	put_number(o, "chunks", s->chunks);
	put_number(o, "entries", s->entries);
	put_number(o, "bytes", s->bytes);
}

struct estimate {
	struct json_out o;
	struct buf text; /* of a selector */
	struct reader_stats total;
};

static void put_read(void *ud, const struct exec_read *r)
{
	struct estimate *x = ud;
	buf_clear(&x->text);
	selector_print(&x->text, r->selector);
	json_open(&x->o, '{');
	json_key(&x->o, STR("selector"));
	json_put_str(&x->o, buf_view(&x->text));
	put_time(&x->o, "start", r->from);
	put_time(&x->o, "end", r->to);
	put_stats(&x->o, &r->stats);
	json_close(&x->o, '}');
	x->total.streams += r->stats.streams;
	x->total.chunks += r->stats.chunks;
	x->total.entries += r->stats.entries;
	x->total.bytes += r->stats.bytes;
}

static void put_limits(struct json_out *o, const struct limits *l)
{
	static const char *const keys[] = {
		"max_entries_limit_per_query",
		"max_query_bytes_read",
		"max_query_length",
		"max_query_lookback",
		"max_query_range",
		"max_query_series",
		"max_streams_matchers_per_query",
		"minimum_labels_number",
		"query_timeout",
		"required_labels",
		NULL,
	};
	json_key(o, STR("limits"));
	json_open(o, '{');
	conf_print_json(&limits_table, l, keys, o);
	json_close(o, '}');
}

/* With `time` it is an instant query. */
static bool params(struct api_read *a, struct exec_query *q)
{
	struct str time = api_arg(a->req, "time");
	q->instant = time.n > 0;
	if (q->instant && !api_time(time, 0, &q->end, &a->err))
		return err_wrap(&a->err, "could not parse 'time' parameter");
	if (q->instant) q->start = q->end;
	if (q->end < q->start)
		return err_set(&a->err, ERR_INVALID, "end timestamp must not be before or equal to start time");
	return api_limit(a->req, "limit", 100, &q->limit, &a->err);
}

static void get_estimate(struct httpd_req *r, void *ctx)
{
	struct api_read a;
	struct buf b = {0};
	struct err refusal = ERR_INIT;
	struct estimate x = {0};
	if (!api_read_open(&a, r, ctx)) return;
	struct exec_query q = api_query_base(&a, api_arg(r, "query"));
	json_out_init(&x.o, &b, true);
	json_open(&x.o, '{');
	json_key(&x.o, STR("reads"));
	json_open(&x.o, '[');
	bool ok = params(&a, &q) && exec_estimate(a.api->engine, &q, put_read, &x, &refusal, &a.err);
	buf_free(&x.text);
	if (!ok) {
		buf_free(&b);
		api_read_fail(&a);
		return;
	}
	json_close(&x.o, ']');
	json_key(&x.o, STR("total"));
	json_open(&x.o, '{');
	put_stats(&x.o, &x.total);
	json_close(&x.o, '}');
	put_limits(&x.o, a.limits);
	json_key(&x.o, STR("allowed"));
	json_put_bool(&x.o, refusal.code == ERR_NONE);
	if (refusal.code) {
		json_key(&x.o, STR("refusal"));
		json_put_str(&x.o, str_c(refusal.msg));
	}
	json_close(&x.o, '}');
	buf_ch(&b, '\n');
	api_read_reply(&a, &b);
}

static const struct httpd_route routes[] = {
	{.methods = "GET POST", .path = "/larch/v1/estimate", .fn = get_estimate, .name = "larch_v1_estimate"},
};

const struct api_table api_estimate_table = API_QUEUED_TABLE(routes);
