/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/result.h"

#include "common/json.h"
#include "common/units.h"

#include <math.h>
#include <stdlib.h>

/* A reader in the middle of an answer. */
struct reader {
	struct json j;
	struct arena *a;
	struct result *r;      /* while reading a query's answer */
	struct labels *labels; /* of the stream or series being read */
};

typedef bool item_fn(struct reader *d, void *ud);

static bool unlike(struct reader *d, const char *wanted)
{
	if (d->j.err->code == ERR_NONE)
		return err_set(d->j.err, ERR_CORRUPT, "the answer is not one of Loki's API: byte %zu should be %s",
			       d->j.tok_at, wanted);
	d->j.err->code = ERR_CORRUPT;
	return err_wrap(d->j.err, "the answer is not JSON");
}

static bool want(struct reader *d, enum json_tok t, const char *what)
{
	return json_next(&d->j) == t || unlike(d, what);
}

static struct str token_text(struct reader *d)
{
	char *p;

	if (!d->j.escaped) return d->j.text;
	p = arena_alloc(d->a, d->j.text.n);
	return str_of(p, json_unescape(d->j.text, p));
}

static bool string(struct reader *d, struct str *out)
{
	if (!want(d, JSON_STRING, "a string")) return false;
	*out = token_text(d);
	return true;
}

/* Items of a list whose '[' has been read; fn is called behind the bracket that opens an item, and reads the rest
 * of it. */
static bool each_item(struct reader *d, enum json_tok open, const char *what, item_fn *fn, void *ud)
{
	enum json_tok t;

	while ((t = json_next(&d->j)) == open)
		if (!fn(d, ud)) return false;
	return t == JSON_ARR_CLOSE || unlike(d, what);
}

/* The fields of an object whose '{' has been read. fn reads the value of one; *known tells it did. */
typedef bool field_fn(struct reader *d, struct str key, bool *known, void *ud);

static bool each_field(struct reader *d, field_fn *fn, void *ud)
{
	enum json_tok t;

	while ((t = json_next(&d->j)) == JSON_KEY) {
		bool known = false;

		if (!fn(d, token_text(d), &known, ud)) return false;
		if (!known && !json_skip(&d->j)) return unlike(d, "a value");
	}
	return t == JSON_OBJ_CLOSE || unlike(d, "a field");
}

/* The '{' has been read. */
static bool read_labels(struct reader *d, struct labels *out)
{
	size_t cap = 0;
	enum json_tok t;
	struct str dup;

	*out = (struct labels){0};
	while ((t = json_next(&d->j)) == JSON_KEY) {
		struct label l = {.name = token_text(d)};

		if (!string(d, &l.value)) return false;
		*ARENA_PUSH(d->a, out->v, out->n, cap) = l;
	}
	labels_sort(out->v, out->n, &dup);
	return t == JSON_OBJ_CLOSE || unlike(d, "a label");
}

static bool read_strings(struct reader *d, struct result_strings *out)
{
	enum json_tok t;

	if (!want(d, JSON_ARR_OPEN, "a list")) return false;
	while ((t = json_next(&d->j)) == JSON_STRING) *ARENA_PUSH(d->a, out->v, out->n, out->cap) = token_text(d);
	return t == JSON_ARR_CLOSE || unlike(d, "a string");
}

/* ---- streams ---- */

/* ["ns", "line"], perhaps with an object of metadata behind. */
static bool read_entry(struct reader *d, void *ud)
{
	struct result_entry entry = {.labels = d->labels, .order = d->r->nentries};
	struct str ts;
	enum json_tok t;

	(void)ud;
	if (!string(d, &ts)) return false;
	if (!str_to_i64(ts, &entry.ts)) return unlike(d, "a time in nanoseconds");
	if (!string(d, &entry.line)) return false;
	while ((t = json_next(&d->j)) != JSON_ARR_CLOSE)
		if (t == JSON_ERROR || t == JSON_END || !json_skip_rest(&d->j, t))
			return unlike(d, "the end of an entry");
	*ARENA_PUSH(d->a, d->r->entries, d->r->nentries, d->r->entries_cap) = entry;
	return true;
}

/* ---- series ---- */

/* Seconds; Loki writes a scalar's time in milliseconds. */
static bool read_time(struct reader *d, int64_t *ns)
{
	double seconds;

	if (!want(d, JSON_NUMBER, "a time in seconds")) return false;
	if (!str_to_f64(d->j.text, &seconds)) return unlike(d, "a time in seconds");
	if (fabs(seconds) > 1e11) seconds /= 1000;
	if (!(fabs(seconds) < 9e9)) return unlike(d, "a time in seconds");
	*ns = llround(seconds * 1000) * UNITS_MS;
	return true;
}

/* [seconds, "value"]; the '[' has been read. */
static bool read_sample(struct reader *d, void *ud)
{
	struct result_sample s = {.labels = d->labels};

	(void)ud;
	if (!read_time(d, &s.ts)) return false;
	if (!string(d, &s.value) || !want(d, JSON_ARR_CLOSE, "the end of a sample")) return false;
	*ARENA_PUSH(d->a, d->r->samples, d->r->nsamples, d->r->samples_cap) = s;
	return true;
}

/* One of {"stream":{}, "values":[]}, {"metric":{}, "values":[]}, {"metric":{}, "value":[]}. */
static bool series_field(struct reader *d, struct str key, bool *known, void *ud)
{
	*known = true;
	if (str_eqc(key, "stream") || str_eqc(key, "metric"))
		return want(d, JSON_OBJ_OPEN, "labels") && read_labels(d, d->labels);
	if (str_eqc(key, "values"))
		return want(d, JSON_ARR_OPEN, "a list") &&
		       each_item(d, JSON_ARR_OPEN, "a value", d->r->kind == RESULT_STREAMS ? read_entry : read_sample,
				 ud);
	if (str_eqc(key, "value")) return want(d, JSON_ARR_OPEN, "a sample") && read_sample(d, ud);
	*known = false;
	return true;
}

static bool read_series(struct reader *d, void *ud)
{
	d->labels = ARENA_NEW(d->a, struct labels); /* a copy each: entries point to it */
	return each_field(d, series_field, ud);
}

/* ---- the whole ---- */

struct query_data {
	struct str type, result; /* result: raw, since its type may stand behind it */
};

static bool data_field(struct reader *d, struct str key, bool *known, void *ud)
{
	struct query_data *q = ud;

	*known = true;
	if (str_eqc(key, "resultType")) return string(d, &q->type);
	if (str_eqc(key, "ordered")) {
		enum json_tok t = json_next(&d->j);
		d->r->ordered = t == JSON_TRUE;
		return d->r->ordered || t == JSON_FALSE || unlike(d, "true or false");
	}
	if (str_eqc(key, "result")) return json_raw(&d->j, &q->result) || unlike(d, "a result");
	*known = false;
	return true;
}

static bool top_field(struct reader *d, struct str key, bool *known, void *ud)
{
	*known = true;
	if (str_eqc(key, "warnings")) return read_strings(d, &d->r->warnings);
	if (str_eqc(key, "data")) return want(d, JSON_OBJ_OPEN, "an object") && each_field(d, data_field, ud);
	*known = false;
	return true;
}

static bool read_result(struct reader *d)
{
	if (!want(d, JSON_ARR_OPEN, "a list")) return false;
	if (d->r->kind != RESULT_SCALAR) return each_item(d, JSON_OBJ_OPEN, "a series", read_series, NULL);
	d->labels = ARENA_NEW(d->a, struct labels);
	return read_sample(d, NULL);
}

bool result_parse(struct arena *a, struct str text, struct result *out, struct err *e)
{
	static const char *const types[] = {[RESULT_STREAMS] = "streams",
					    [RESULT_MATRIX] = "matrix",
					    [RESULT_VECTOR] = "vector",
					    [RESULT_SCALAR] = "scalar"};
	struct reader d = {.a = a, .r = out};
	struct query_data q = {0};

	*out = (struct result){0};
	json_init(&d.j, text, e);
	if (!want(&d, JSON_OBJ_OPEN, "an object") || !each_field(&d, top_field, &q)) return false;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (!str_eqc(q.type, types[i]) || !q.result.p) continue;
		out->kind = (enum result_kind)i;
		json_init(&d.j, q.result, e);
		return read_result(&d);
	}
	return err_set(e, ERR_CORRUPT, "the answer is not one of Loki's API: its resultType is \"%.*s\"",
		       STR_ARG(q.type));
}

static bool count_item(struct reader *d, void *ud)
{
	++*(size_t *)ud;
	return json_skip_rest(&d->j, JSON_OBJ_OPEN) || unlike(d, "an entry");
}

/* A list, or null. */
static bool frame_field(struct reader *d, struct str key, bool *known, void *ud)
{
	bool streams = str_eqc(key, "streams");
	enum json_tok t;

	*known = streams || str_eqc(key, "dropped_entries");
	if (!*known) return true;
	t = json_next(&d->j);
	if (t == JSON_NULL) return true;
	if (t != JSON_ARR_OPEN) return unlike(d, "a list");
	return each_item(d, JSON_OBJ_OPEN, "an object", streams ? read_series : count_item, streams ? NULL : ud);
}

bool result_parse_frame(struct arena *a, struct str text, struct result *out, size_t *dropped, struct err *e)
{
	struct reader d = {.a = a, .r = out};

	*out = (struct result){.kind = RESULT_STREAMS};
	*dropped = 0;
	json_init(&d.j, text, e);
	return want(&d, JSON_OBJ_OPEN, "an object") && each_field(&d, frame_field, dropped);
}

static bool context_field(struct reader *d, struct str key, bool *known, void *ud)
{
	uint64_t entry;

	(void)ud;
	*known = true;
	if (str_eqc(key, "data")) {
		size_t dropped = 0;

		return want(d, JSON_OBJ_OPEN, "an object") && each_field(d, frame_field, &dropped);
	}
	*known = str_eqc(key, "entry");
	if (!*known) return true;
	if (!want(d, JSON_NUMBER, "a number")) return false;
	if (!str_to_u64(d->j.text, &entry)) return unlike(d, "a number");
	d->r->entry = (size_t)entry;
	return true;
}

bool result_parse_context(struct arena *a, struct str text, struct result *out, struct err *e)
{
	struct reader d = {.a = a, .r = out};

	*out = (struct result){.kind = RESULT_STREAMS};
	json_init(&d.j, text, e);
	return want(&d, JSON_OBJ_OPEN, "an object") && each_field(&d, context_field, NULL);
}

static int by_time(const void *x, const void *y)
{
	const struct result_entry *a = x, *b = y;

	if (a->ts != b->ts) return a->ts < b->ts ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int by_time_backward(const void *x, const void *y)
{
	const struct result_entry *a = x, *b = y;

	if (a->ts != b->ts) return a->ts > b->ts ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

void result_sort(struct result *r, bool forward)
{
	if (r->nentries) qsort(r->entries, r->nentries, sizeof *r->entries, forward ? by_time : by_time_backward);
}

static bool strings_field(struct reader *d, struct str key, bool *known, void *ud)
{
	*known = str_eqc(key, "data");
	return !*known || read_strings(d, ud);
}

bool result_parse_strings(struct arena *a, struct str text, struct result_strings *out, struct err *e)
{
	struct reader d = {.a = a};

	*out = (struct result_strings){0};
	json_init(&d.j, text, e);
	return want(&d, JSON_OBJ_OPEN, "an object") && each_field(&d, strings_field, out);
}

static bool read_label_set(struct reader *d, void *ud)
{
	struct result_series *out = ud;

	return read_labels(d, ARENA_PUSH(d->a, out->v, out->n, out->cap));
}

static bool label_sets_field(struct reader *d, struct str key, bool *known, void *ud)
{
	*known = str_eqc(key, "data");
	return !*known ||
	       (want(d, JSON_ARR_OPEN, "a list") && each_item(d, JSON_OBJ_OPEN, "labels", read_label_set, ud));
}

bool result_parse_series(struct arena *a, struct str text, struct result_series *out, struct err *e)
{
	struct reader d = {.a = a};

	*out = (struct result_series){0};
	json_init(&d.j, text, e);
	return want(&d, JSON_OBJ_OPEN, "an object") && each_field(&d, label_sets_field, out);
}

/* ---- delete requests ---- */

static bool delete_field(struct reader *d, struct str key, bool *known, void *ud)
{
	struct result_delete *r = ud;
	*known = true;
	if (str_eqc(key, "request_id")) return string(d, &r->id);
	if (str_eqc(key, "query")) return string(d, &r->query);
	if (str_eqc(key, "status")) return string(d, &r->status);
	if (str_eqc(key, "start_time")) return read_time(d, &r->start);
	if (str_eqc(key, "end_time")) return read_time(d, &r->end);
	if (str_eqc(key, "created_at")) return read_time(d, &r->created);
	*known = false;
	return true;
}

static bool read_delete(struct reader *d, void *ud)
{
	struct result_deletes *out = ud;
	struct result_delete *r = ARENA_PUSH(d->a, out->v, out->n, out->cap);

	*r = (struct result_delete){0};
	return each_field(d, delete_field, r);
}

bool result_parse_deletes(struct arena *a, struct str text, struct result_deletes *out, struct err *e)
{
	struct reader d = {.a = a};

	*out = (struct result_deletes){0};
	json_init(&d.j, text, e);
	return want(&d, JSON_ARR_OPEN, "a list") && each_item(&d, JSON_OBJ_OPEN, "a delete request", read_delete, out);
}
