/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/json.h"
#include "common/map.h"
#include "server/http/api_query.h"
#include "server/http/respond.h"

#include <stdlib.h>

#define TENANT_LABEL STR("__tenant_id__")

/* ---- sorted sets of names ---- */

struct names {
	struct arena *arena;
	struct map seen;
	struct str *v;
	size_t n, cap;
	struct str label; /* whose values are wanted; .p NULL: label names are */
};

static void names_add(struct names *s, struct str t)
{
	if (t.n == 0 || map_get(&s->seen, t)) return;
	struct str own = arena_str(s->arena, t);
	*ARENA_PUSH(s->arena, s->v, s->n, s->cap) = own;
	map_put(&s->seen, own, s);
}

static bool collect(void *ud, const struct exec_source *src, const struct reader_stream *st)
{
	struct names *s = ud;
	(void)src;
	if (s->label.p) {
		names_add(s, labels_get(&st->labels, s->label));
		return true;
	}
	for (size_t i = 0; i < st->labels.n; i++) names_add(s, st->labels.v[i].name);
	return true;
}

static int by_text(const void *a, const void *b) { return str_cmp(*(const struct str *)a, *(const struct str *)b); }

/* With several tenants there is one more label. */
static void add_tenants(struct names *s, const struct api_read *a)
{
	if (a->n_sources < 2) return;
	if (!s->label.p)
		names_add(s, TENANT_LABEL);
	else if (str_eq(s->label, TENANT_LABEL))
		for (size_t i = 0; i < a->n_sources; i++) names_add(s, a->sources[i].tenant);
}

/* head and tail around the list; none: the answer when the list is empty. */
static void list_names(struct httpd_req *r, void *ctx, const char *head, const char *tail, const char *none)
{
	struct api_read a;
	struct api_selectors sel;
	struct buf b = {0};
	if (!api_read_open(&a, r, ctx)) return;
	struct names s = {.arena = &a.arena, .label = httpd_param(r, "name")};
	bool ok = api_selectors(&a, "query", &sel);
	if (ok) {
		ok = api_each_stream(&a, &sel, collect, &s);
		api_selectors_free(&sel);
	}
	if (ok) add_tenants(&s, &a);
	map_free(&s.seen);
	if (!ok) {
		api_read_fail(&a);
		return;
	}
	if (s.n) qsort(s.v, s.n, sizeof *s.v, by_text);
	buf_c(&b, s.n ? head : none);
	for (size_t i = 0; i < s.n; i++) {
		if (i) buf_ch(&b, ',');
		json_quote(&b, s.v[i], true);
	}
	if (s.n) buf_c(&b, tail);
	buf_ch(&b, '\n');
	api_read_reply(&a, &b);
}

static void get_labels(struct httpd_req *r, void *ctx)
{
	list_names(r, ctx, "{\"status\":\"success\",\"data\":[", "]}", "{\"status\":\"success\"}");
}

static void get_legacy_labels(struct httpd_req *r, void *ctx) { list_names(r, ctx, "{\"values\":[", "]}", "{}"); }

/* ---- series ---- */

struct series_list {
	struct buf *b;
	bool many, any;
	struct map seen; /* labels' text: several tenants may have the same stream */
	struct arena *arena;
};

static bool add_series(void *ud, const struct exec_source *src, const struct reader_stream *st)
{
	struct series_list *s = ud;
	struct buf one = {0};
	struct labels l = {mem_alloc((st->labels.n + 1) * sizeof *l.v), st->labels.n};
	struct str dup;
	if (l.n) memcpy(l.v, st->labels.v, l.n * sizeof *l.v);
	if (s->many) l.v[l.n++] = (struct label){TENANT_LABEL, src->tenant};
	labels_sort(l.v, l.n, &dup);
	respond_labels(&one, &l);
	if (!map_get(&s->seen, buf_view(&one))) {
		map_put(&s->seen, arena_str(s->arena, buf_view(&one)), s);
		if (s->any) buf_ch(s->b, ',');
		s->any = true;
		buf_str(s->b, buf_view(&one));
	}
	buf_free(&one);
	free(l.v);
	return true;
}

static void get_series(struct httpd_req *r, void *ctx)
{
	struct api_read a;
	struct api_selectors sel;
	struct buf b = {0};
	if (!api_read_open(&a, r, ctx)) return;
	struct series_list s = {.b = &b, .many = a.n_sources > 1, .arena = &a.arena};
	bool ok = api_selectors(&a, httpd_arg(r, "match[]").p ? "match[]" : "match", &sel);
	buf_c(&b, "{\"status\":\"success\",\"data\":[");
	if (ok) {
		ok = api_each_stream(&a, &sel, add_series, &s);
		api_selectors_free(&sel);
	}
	map_free(&s.seen);
	if (ok) {
		buf_c(&b, "]}\n");
		api_read_reply(&a, &b);
	} else {
		buf_free(&b);
		api_read_fail(&a);
	}
}

static const struct httpd_route routes[] = {
	{.methods = "GET POST", .path = "/loki/api/v1/labels", .fn = get_labels, .name = "loki_api_v1_labels"},
	{.methods = "GET POST", .path = "/loki/api/v1/label", .fn = get_labels, .name = "loki_api_v1_label"},
	{.methods = "GET POST",
	 .path = "/loki/api/v1/label/{name}/values",
	 .fn = get_labels,
	 .name = "loki_api_v1_label_name_values"},
	{.methods = "GET POST", .path = "/loki/api/v1/series", .fn = get_series, .name = "loki_api_v1_series"},
	{.methods = "GET POST", .path = "/api/prom/label", .fn = get_legacy_labels, .name = "api_prom_label"},
	{.methods = "GET POST",
	 .path = "/api/prom/label/{name}/values",
	 .fn = get_legacy_labels,
	 .name = "api_prom_label_name_values"},
	{.methods = "GET POST", .path = "/api/prom/series", .fn = get_series, .name = "api_prom_series"},
};

const struct api_table api_labels_table = API_QUEUED_TABLE(routes);
