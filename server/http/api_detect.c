/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Grafana's drilldown offers to filter by: labels of streams, and fields found in a sample of lines. */
#include "common/json.h"
#include "common/map.h"
#include "common/units.h"
#include "pipeline/extract/extract.h"
#include "pipeline/extract/logfmt.h"
#include "server/exec/convert.h"
#include "server/http/api_query.h"

#include <ctype.h>
#include <stdlib.h>

#define DEPTH_MAX 32 /* of a JSON line's objects */

/* ---- names with their values ---- */

enum { PARSED_JSON = 1, PARSED_LOGFMT = 2 };

struct field_seen {
	struct str name;
	struct map seen; /* values */
	struct str *values;
	size_t n, cap;
	unsigned parsers;
	unsigned kinds;   /* bit per kind that takes all values so far */
	struct str *path; /* JSON keys from the top */
	size_t n_path;
};

struct fields {
	struct arena *a;
	struct map by_name;
	struct field_seen **v;
	size_t n, cap, max;
};

static struct field_seen *field_of(struct fields *f, struct str name)
{
	struct field_seen *x = map_get(&f->by_name, name);
	if (x || f->n >= f->max) return x;
	x = ARENA_NEW(f->a, struct field_seen);
	x->name = arena_str(f->a, name);
	x->kinds = ~0u;
	map_put(&f->by_name, x->name, x);
	*ARENA_PUSH(f->a, f->v, f->n, f->cap) = x;
	return x;
}

static void field_value(struct fields *f, struct field_seen *x, struct str value)
{
	if (map_get(&x->seen, value)) return;
	struct str own = arena_str(f->a, value);
	map_put(&x->seen, own, x);
	*ARENA_PUSH(f->a, x->values, x->n, x->cap) = own;
}

static void fields_free(struct fields *f)
{
	for (size_t i = 0; i < f->n; i++) map_free(&f->v[i]->seen);
	map_free(&f->by_name);
}

/* ---- detected_labels ---- */

static bool add_labels(void *ud, const struct exec_source *src, const struct reader_stream *st)
{
	struct fields *f = ud;
	(void)src;
	for (size_t i = 0; i < st->labels.n; i++) {
		struct field_seen *x = field_of(f, st->labels.v[i].name);
		if (x) field_value(f, x, st->labels.v[i].value);
	}
	return true;
}

static bool is_uuid(struct str s)
{
	if (s.n != 36) return false;
	for (size_t i = 0; i < s.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? s.p[i] != '-' : !isxdigit((unsigned char)s.p[i])) return false;
	}
	return true;
}

/* A label that only counts or identifies is no use for choosing. */
static bool worth_showing(const struct field_seen *x)
{
	static const char *const always[] = {"cluster", "namespace", "instance", "pod"};
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		if (str_eqc(x->name, always[i])) return true;
	for (size_t i = 0; i < x->n; i++) {
		double d;
		if (!is_uuid(x->values[i]) && !str_to_f64(x->values[i], &d)) return true;
	}
	return x->n == 0;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp((*(struct field_seen *const *)a)->name, (*(struct field_seen *const *)b)->name);
}

static void get_detected_labels(struct httpd_req *r, void *ctx)
{
	struct api_read a;
	struct api_selectors sel;
	struct buf b = {0};
	if (!api_read_open(&a, r, ctx)) return;
	struct fields f = {.a = &a.arena, .max = SIZE_MAX};
	bool ok = api_selectors(&a, "query", &sel), any = false;
	if (ok) {
		ok = api_each_stream(&a, &sel, add_labels, &f);
		api_selectors_free(&sel);
	}
	if (f.n) qsort(f.v, f.n, sizeof *f.v, by_name);
	buf_c(&b, "{\"detectedLabels\":[");
	for (size_t i = 0; i < f.n; i++) {
		if (!worth_showing(f.v[i])) continue;
		buf_c(&b, any ? ",{\"label\":" : "{\"label\":");
		json_quote(&b, f.v[i]->name, true);
		buf_printf(&b, ",\"cardinality\":%zu}", f.v[i]->n);
		any = true;
	}
	buf_c(&b, "]}\n");
	fields_free(&f);
	if (ok) {
		api_read_reply(&a, &b);
	} else {
		buf_free(&b);
		api_read_fail(&a);
	}
}

/* ---- kinds of values ---- */

static bool kind_int(struct arena *a, struct str s)
{
	int64_t v;
	(void)a;
	return str_to_i64(s, &v);
}

static bool kind_float(struct arena *a, struct str s)
{
	double v;
	(void)a;
	return str_to_f64(s, &v);
}

static bool kind_bool(struct arena *a, struct str s)
{
	(void)a;
	return str_ieq(s, STR("true")) || str_ieq(s, STR("false"));
}

static bool kind_duration(struct arena *a, struct str s)
{
	int64_t ns;
	struct str why;
	return convert_duration(a, s, &ns, &why);
}

static bool kind_bytes(struct arena *a, struct str s)
{
	uint64_t n;
	struct str why;
	return convert_bytes(a, s, &n, &why);
}

/* In the order of preference; a field is of the first kind that takes all its values. */
static const struct {
	const char *name;
	bool (*takes)(struct arena *a, struct str s);
} kinds[] = {
	{"int", kind_int},           {"float", kind_float}, {"boolean", kind_bool},
	{"duration", kind_duration}, {"bytes", kind_bytes},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static const char *kind_of(const struct field_seen *x)
{
	for (size_t i = 0; i < KINDS; i++)
		if (x->kinds & 1u << i) return kinds[i].name;
	return "string";
}

static void field_note(struct fields *f, struct str name, struct str value, unsigned parser)
{
	struct field_seen *x = name.n ? field_of(f, name) : NULL;
	if (!x) return;
	x->parsers |= parser;
	for (size_t i = 0; i < KINDS; i++)
		if (x->kinds & 1u << i && !kinds[i].takes(f->a, value)) x->kinds &= ~(1u << i);
	field_value(f, x, value);
}

/* ---- fields of a line ---- */

struct json_walk {
	struct fields *f;
	struct json j;
	struct str path[DEPTH_MAX];
	size_t depth;
	struct buf name, text;
};

static void json_found(struct json_walk *w, struct str value)
{
	buf_clear(&w->name);
	for (size_t i = 0; i < w->depth; i++) {
		if (i) buf_ch(&w->name, '_');
		buf_str(&w->name, extract_name(w->f->a, w->path[i]));
	}
	field_note(w->f, buf_view(&w->name), value, PARSED_JSON);
	struct field_seen *x = map_get(&w->f->by_name, buf_view(&w->name));
	if (!x || x->n_path) return; /* a stage of the query may have named it before */
	x->path = arena_alloc(w->f->a, w->depth * sizeof *x->path);
	memcpy(x->path, w->path, w->depth * sizeof *x->path);
	x->n_path = w->depth;
}

/* The members of the object that has just been opened. */
static bool json_members(struct json_walk *w)
{
	enum json_tok t;
	while ((t = json_next(&w->j)) == JSON_KEY) {
		if (w->depth == DEPTH_MAX) return false;
		buf_clear(&w->text);
		w->path[w->depth++] = arena_str(w->f->a, json_text(&w->j, &w->text));
		t = json_next(&w->j);
		buf_clear(&w->text);
		if (t == JSON_STRING)
			json_found(w, json_text(&w->j, &w->text));
		else if (t == JSON_NUMBER)
			json_found(w, w->j.text);
		else if (t == JSON_TRUE || t == JSON_FALSE)
			json_found(w, t == JSON_TRUE ? STR("true") : STR("false"));
		else if (t == JSON_ERROR)
			return false;
		if (t == JSON_OBJ_OPEN && !json_members(w)) return false;
		if (t == JSON_ARR_OPEN) {
			for (unsigned depth = w->j.depth; w->j.depth >= depth && t != JSON_ERROR;) t = json_next(&w->j);
			if (t == JSON_ERROR) return false;
		}
		w->depth--;
	}
	return t == JSON_OBJ_CLOSE;
}

static bool note_json(struct fields *f, struct str line)
{
	struct err e = ERR_INIT;
	struct json_walk w = {.f = f};
	if (str_trim(line).n == 0 || str_trim(line).p[0] != '{') return false;
	json_init(&w.j, line, &e);
	bool ok = json_next(&w.j) == JSON_OBJ_OPEN && json_members(&w);
	buf_free(&w.name);
	buf_free(&w.text);
	return ok;
}

static void note_logfmt(struct fields *f, struct str line)
{
	struct extract x;
	extract_init(&x, f->a, NULL, 0);
	extract_logfmt(line, LOGFMT_STRICT, &x);
	for (size_t i = 0; !x.error && i < x.n; i++) field_note(f, x.v[i].name, x.v[i].value, PARSED_LOGFMT);
	extract_free(&x);
}

static void note_entry(struct fields *f, const struct exec_entry *e)
{
	for (size_t i = 0; i < e->meta.n; i++) field_note(f, e->meta.v[i].name, e->meta.v[i].value, 0);
	for (size_t i = 0; i < e->parsed.n; i++) field_note(f, e->parsed.v[i].name, e->parsed.v[i].value, 0);
	if (!note_json(f, e->line)) note_logfmt(f, e->line);
}

/* ---- detected_fields, detected_field/{name}/values ---- */

/* Samples lines into f. False: a->err. */
static bool sample(struct api_read *a, struct fields *f, uint32_t *limit)
{
	uint32_t lines;
	const char *name = httpd_arg(a->req, "limit").n ? "limit" : "field_limit";
	if (!api_limit(a->req, "line_limit", 100, &lines, &a->err) || !api_limit(a->req, name, 1000, limit, &a->err))
		return false;
	struct exec_query q = api_query_base(a, api_arg(a->req, "query"));
	q.limit = lines;
	q.categorize = true;
	struct exec_result *res = exec_run(a->api->engine, &q, &a->err);
	if (!res) return false;
	bool log = res->kind == EXEC_STREAMS;
	if (!log) err_set(&a->err, ERR_INVALID, "only log selector is supported");
	f->max = *limit;
	for (size_t i = 0; log && i < res->n_streams; i++)
		for (size_t k = 0; k < res->streams[i].n; k++) note_entry(f, &res->streams[i].v[k]);
	exec_result_free(res);
	return log;
}

static void print_strs(struct buf *b, const struct str *v, size_t n)
{
	buf_ch(b, '[');
	for (size_t i = 0; i < n; i++) {
		if (i) buf_ch(b, ',');
		json_quote(b, v[i], true);
	}
	buf_ch(b, ']');
}

static void print_field(struct buf *b, const struct field_seen *x)
{
	struct str parsers[2];
	size_t n = 0;
	if (x->parsers & PARSED_JSON) parsers[n++] = STR("json");
	if (x->parsers & PARSED_LOGFMT) parsers[n++] = STR("logfmt");
	buf_c(b, "{\"label\":");
	json_quote(b, x->name, true);
	buf_printf(b, ",\"type\":\"%s\",\"cardinality\":%zu,\"parsers\":", kind_of(x), x->n);
	if (n)
		print_strs(b, parsers, n);
	else
		buf_c(b, "null");
	if (x->n_path) {
		buf_c(b, ",\"jsonPath\":");
		print_strs(b, x->path, x->n_path);
	}
	buf_ch(b, '}');
}

static void detect(struct httpd_req *r, void *ctx, void (*print)(struct buf *b, struct fields *f, struct httpd_req *r))
{
	struct api_read a;
	struct buf b = {0};
	uint32_t limit = 0;
	if (!api_read_open(&a, r, ctx)) return;
	struct fields f = {.a = &a.arena};
	bool ok = sample(&a, &f, &limit);
	size_t before = b.n;
	if (ok) print(&b, &f, r);
	if (b.n == before)
		buf_c(&b, "{}\n");
	else
		buf_printf(&b, ",\"limit\":%u}\n", limit);
	fields_free(&f);
	if (ok) {
		api_read_reply(&a, &b);
	} else {
		buf_free(&b);
		api_read_fail(&a);
	}
}

static void print_fields(struct buf *b, struct fields *f, struct httpd_req *r)
{
	(void)r;
	if (f->n == 0) return;
	buf_c(b, "{\"fields\":[");
	for (size_t i = 0; i < f->n; i++) {
		if (i) buf_ch(b, ',');
		print_field(b, f->v[i]);
	}
	buf_ch(b, ']');
}

static void print_values(struct buf *b, struct fields *f, struct httpd_req *r)
{
	struct field_seen *x = map_get(&f->by_name, httpd_param(r, "name"));
	if (!x || x->n == 0) return;
	buf_c(b, "{\"values\":");
	print_strs(b, x->values, x->n);
}

static void get_detected_fields(struct httpd_req *r, void *ctx) { detect(r, ctx, print_fields); }
static void get_field_values(struct httpd_req *r, void *ctx) { detect(r, ctx, print_values); }

static const struct httpd_route routes[] = {
	{.methods = "GET POST",
	 .path = "/loki/api/v1/detected_labels",
	 .fn = get_detected_labels,
	 .name = "loki_api_v1_detected_labels"},
	{.methods = "GET POST",
	 .path = "/loki/api/v1/detected_fields",
	 .fn = get_detected_fields,
	 .name = "loki_api_v1_detected_fields"},
	{.methods = "GET POST",
	 .path = "/loki/api/v1/detected_field/{name}/values",
	 .fn = get_field_values,
	 .name = "loki_api_v1_detected_field_values"},
};

const struct api_table api_detect_table = API_QUEUED_TABLE(routes);
