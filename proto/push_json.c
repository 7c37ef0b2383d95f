/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/push.h"

#include "common/json.h"
#include "common/units.h"
#include "proto/json_report.h"

#include <stdio.h>
#include <stdlib.h>

/* More labels than any limit lets a stream have; keeps the search for repeated keys short. */
#define STREAM_LABELS_MAX 1000

/* What is wrong inside a stream, in Loki's words. */
#define BAD_STRING "Value is string, but can't find closing '\"' symbol"
#define BAD_ARRAY  "Value is array, but can't find closing ']' symbol"
#define BAD_OBJECT "Value looks like object, but can't find closing '}' symbol"
#define BAD_VALUE  "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"

struct dec {
	struct json j;
	struct arena *a;
	struct push *out;
	struct buf scratch;
	const char *why; /* the first error inside the stream under way; syntax errors go to e at once */
	struct err *e;
};

/* ---- errors ---- */

static bool too_large(struct dec *d)
{
	return err_set(d->e, ERR_TOO_LARGE,
		       "the push request needs more than %zu bytes of memory to decode; send smaller batches",
		       d->a->cap);
}

/* ---- values ---- */

/* The text of the current key or string: from the body, or unescaped into the arena. */
static struct str text(struct dec *d)
{
	struct str raw = d->j.text;
	if (!d->j.escaped) return raw;
	char *p = arena_alloc(d->a, raw.n);
	return str_of(p, json_unescape(raw, p));
}

/* Notes the first error in the stream and skips what is left of the value that starts with t. */
static bool reject(struct dec *d, enum json_tok t, const char *why)
{
	if (!d->why) d->why = why;
	return json_skip_rest(&d->j, t);
}

/* {"k":"v"}, after its '{': strings only; pairs are kept as received. */
static bool read_metadata(struct dec *d, struct labels *out)
{
	size_t cap = 0;
	enum json_tok t;
	while ((t = json_next(&d->j)) == JSON_KEY) {
		struct str name = text(d);
		t = json_next(&d->j);
		if (t != JSON_STRING) {
			if (!reject(d, t, BAD_STRING)) return false;
			continue;
		}
		struct label *l = ARENA_PUSH(d->a, out->v, out->n, cap);
		*l = (struct label){name, text(d)};
		if (arena_over(d->a)) return too_large(d);
	}
	return t == JSON_OBJ_CLOSE;
}

/* ["<ns>","line",{…}], after its '['. An element of the wrong type does not count as one, so that the next
 * stands in its place; the last error of an entry is the one that is told. */
static bool read_value(struct dec *d, struct push_entry *out)
{
	const char *why = NULL;
	unsigned i = 0;
	enum json_tok t;
	while ((t = json_next(&d->j)) != JSON_ARR_CLOSE) {
		if (i < 2 && t != JSON_STRING) {
			why = BAD_STRING;
		} else if (i == 0) {
			if (!d->j.escaped && str_to_i64(d->j.text, &out->ts))
				i++;
			else
				why = BAD_VALUE;
			continue;
		} else if (i == 1) {
			out->line = text(d);
			i++;
			continue;
		} else if (i == 2 && t == JSON_OBJ_OPEN) {
			if (!read_metadata(d, &out->meta)) return false;
			i++;
			continue;
		} else if (i == 2) {
			why = BAD_OBJECT;
		}
		if (!json_skip_rest(&d->j, t)) return false;
	}
	if (why && !d->why) d->why = why;
	return true;
}

/* RFC3339 in the legacy form. */
static bool read_legacy_time(struct dec *d, enum json_tok t, int64_t *ns)
{
	struct err bad;
	if (t != JSON_STRING) return reject(d, t, "ts must be an RFC3339 time in a string");
	if (!units_rfc3339(text(d), ns, &bad))
		return reject(d, t, "ts must be an RFC3339 time such as 2026-11-01T00:00:00Z");
	return true;
}

/* {"ts":"…","line":"…"}, after its '{'. */
static bool read_legacy_entry(struct dec *d, struct push_entry *out)
{
	enum json_tok t;
	while ((t = json_next(&d->j)) == JSON_KEY) {
		bool ts = str_eqc(d->j.text, "ts"), line = str_eqc(d->j.text, "line");
		t = json_next(&d->j);
		bool ok = true;
		if (ts)
			ok = read_legacy_time(d, t, &out->ts);
		else if (line && t == JSON_STRING)
			out->line = text(d);
		else
			ok = line ? reject(d, t, BAD_STRING) : json_skip_rest(&d->j, t);
		if (!ok) return false;
	}
	return t == JSON_OBJ_CLOSE;
}

/* The array of entries whose first token is t; null is none. A stream that has it twice, or in both forms, has
 * them all. */
static bool read_entries(struct dec *d, enum json_tok t, bool legacy, struct push_stream *s)
{
	size_t cap = s->n;
	if (t == JSON_NULL) return true;
	if (t != JSON_ARR_OPEN) return reject(d, t, BAD_ARRAY);
	while ((t = json_next(&d->j)) != JSON_ARR_CLOSE) {
		if (t == JSON_NULL) continue;
		if (d->why || t != (legacy ? JSON_OBJ_OPEN : JSON_ARR_OPEN)) {
			if (!reject(d, t, legacy ? BAD_OBJECT : BAD_ARRAY)) return false;
			continue;
		}
		struct push_entry *v = ARENA_PUSH(d->a, s->v, s->n, cap);
		*v = (struct push_entry){.line = STR("")};
		if (!(legacy ? read_legacy_entry(d, v) : read_value(d, v))) return false;
		if (arena_over(d->a)) return too_large(d);
	}
	return true;
}

static struct label *find_label(struct labels *l, struct str name)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i].name, name)) return &l->v[i];
	return NULL;
}

/* {"k":"v"}, after its '{', into the text {k="v"}: sorted; the last of equal keys counts; a value that is not a
 * string counts as its JSON text. */
static bool read_labels(struct dec *d, struct str *out)
{
	struct labels l = {0};
	size_t cap = 0;
	enum json_tok t;
	while ((t = json_next(&d->j)) == JSON_KEY) {
		struct str name = text(d), value;
		if (!json_raw(&d->j, &value)) return false;
		if (value.p[0] == '"') value = text(d);
		struct label *old = find_label(&l, name);
		if (!old && l.n == STREAM_LABELS_MAX) {
			if (!d->why) d->why = "a stream has more than 1000 labels";
			continue;
		}
		*(old ? old : ARENA_PUSH(d->a, l.v, l.n, cap)) = (struct label){name, value};
	}
	if (t != JSON_OBJ_CLOSE) return false;
	struct str dup;
	labels_sort(l.v, l.n, &dup); /* names are unique */
	buf_clear(&d->scratch);
	labels_print(&d->scratch, &l);
	*out = arena_str(d->a, buf_view(&d->scratch));
	return true;
}

/* After the stream's '{'. */
static bool read_stream_body(struct dec *d, struct push_stream *s)
{
	enum json_tok t;
	while ((t = json_next(&d->j)) == JSON_KEY) {
		struct str key = d->j.text;
		t = json_next(&d->j);
		bool ok;
		if (d->why)
			ok = json_skip_rest(&d->j, t);
		else if (str_eqc(key, "stream"))
			ok = t == JSON_OBJ_OPEN ? read_labels(d, &s->labels) : reject(d, t, BAD_OBJECT);
		else if (str_eqc(key, "labels") && t == JSON_STRING)
			s->labels = text(d), ok = true;
		else if (str_eqc(key, "values") || str_eqc(key, "entries"))
			ok = read_entries(d, t, str_eqc(key, "entries"), s);
		else
			ok = str_eqc(key, "labels") ? reject(d, t, BAD_STRING) : json_skip_rest(&d->j, t);
		if (!ok) return false;
	}
	return t == JSON_OBJ_CLOSE;
}

static void count_stream(struct push *p, const struct push_stream *s)
{
	p->entries += s->n;
	for (size_t i = 0; i < s->n; i++) {
		p->bytes += s->v[i].line.n;
		for (size_t k = 0; k < s->v[i].meta.n; k++)
			p->bytes += s->v[i].meta.v[k].name.n + s->v[i].meta.v[k].value.n;
	}
}

static bool read_streams(struct dec *d)
{
	size_t cap = d->out->n;
	enum json_tok t = json_next(&d->j);
	if (t == JSON_NULL || t == JSON_ERROR) return t == JSON_NULL;
	if (t != JSON_ARR_OPEN)
		return json_report(d->j.in, d->j.pos, "loghttp.PushRequest.Streams: decode slice: expect [ or n", d->e);
	while ((t = json_next(&d->j)) != JSON_ARR_CLOSE) {
		if (t == JSON_ERROR) return false;
		struct push_stream *s = ARENA_PUSH(d->a, d->out->v, d->out->n, cap);
		*s = (struct push_stream){.labels = STR("")};
		d->why = NULL;
		if (!(t == JSON_OBJ_OPEN ? read_stream_body(d, s) : reject(d, t, BAD_OBJECT))) return false;
		if (d->why) {
			char what[256];
			snprintf(what, sizeof what,
				 "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: %s",
				 d->why);
			return json_report(d->j.in, d->j.pos, what, d->e);
		}
		if (arena_over(d->a)) return too_large(d);
		count_stream(d->out, s);
	}
	return true;
}

static bool read_request(struct dec *d)
{
	if (!json_report_start(d->j.in, d->e)) return false;
	enum json_tok t = json_next(&d->j);
	while (t == JSON_OBJ_OPEN || t == JSON_KEY) {
		t = json_next(&d->j);
		if (t != JSON_KEY) break;
		if (!(str_ieq(d->j.text, STR("streams")) ? read_streams(d) : json_skip(&d->j))) return false;
	}
	return t != JSON_ERROR && json_next(&d->j) == JSON_END;
}

bool push_json_decode(struct arena *a, struct str body, struct push *out, struct err *e)
{
	struct dec d = {.a = a, .out = out, .e = e};
	*out = (struct push){0};
	json_init(&d.j, body, e);
	bool ok = read_request(&d);
	buf_free(&d.scratch);
	return ok;
}

/* ---- writing ---- */

static void put_labels(struct json_out *o, const struct labels *l)
{
	json_open(o, '{');
	for (size_t i = 0; i < l->n; i++) {
		json_key(o, l->v[i].name);
		json_put_str(o, l->v[i].value);
	}
	json_close(o, '}');
}

static void put_entry(struct json_out *o, const struct push_entry *v)
{
	char ts[24];
	int n = snprintf(ts, sizeof ts, "\"%lld\"", (long long)v->ts);
	json_open(o, '[');
	json_put_raw(o, str_of(ts, (size_t)n));
	json_put_str(o, v->line);
	if (v->meta.n) put_labels(o, &v->meta);
	json_close(o, ']');
}

bool push_json_encode(const struct push *p, struct buf *out, struct err *e)
{
	size_t start = out->n;
	struct arena a;
	arena_init(&a, 0);
	struct json_out o;
	json_out_init(&o, out, false);
	json_open(&o, '{');
	json_key(&o, STR("streams"));
	json_open(&o, '[');
	bool ok = true;
	for (size_t i = 0; ok && i < p->n; i++) {
		const struct push_stream *s = &p->v[i];
		struct labels l;
		ok = labels_parse(&a, s->labels, &l, e);
		if (!ok) break;
		json_open(&o, '{');
		json_key(&o, STR("stream"));
		put_labels(&o, &l);
		json_key(&o, STR("values"));
		json_open(&o, '[');
		for (size_t k = 0; k < s->n; k++) put_entry(&o, &s->v[k]);
		json_close(&o, ']');
		json_close(&o, '}');
		arena_reset(&a);
	}
	json_close(&o, ']');
	json_close(&o, '}');
	arena_free(&a);
	if (!ok) out->n = start;
	return ok;
}
