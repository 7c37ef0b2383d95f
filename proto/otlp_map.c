/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/otlp_map.h"

#include "proto/meta_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The pairs of the record under way: the resource's, then its scope's, then its own. */
struct map {
	struct arena *a;
	const struct otlp_rules *rules;
	struct push *out;
	size_t cap_out;
	struct label *v; /* on the heap */
	size_t n, cap;
	struct err *e;
};

bool otlp_too_large(const struct arena *a, struct err *e)
{
	return err_set(e, ERR_TOO_LARGE,
		       "the OTLP request needs more than %zu bytes of memory to decode; send smaller batches", a->cap);
}

/* ---- pairs ---- */

static bool put(struct map *m, struct str name, struct str value)
{
	struct str fit = meta_name(m->a, name);
	if (!fit.p)
		return err_set(m->e, ERR_INVALID,
			       "attribute \"%.*s\": a name without a letter or digit cannot be queried; rename it",
			       STR_ARG(name));
	if (arena_over(m->a)) return otlp_too_large(m->a, m->e);
	MEM_GROW(m->v, m->n, m->cap);
	m->v[m->n++] = (struct label){fit, value};
	return true;
}

/* A map becomes one pair for each of its leaves, names joined by "_". */
static bool put_attribute(struct map *m, struct str prefix, const Otlp__KeyValue *kv)
{
	struct str name = otlp_bytes(kv->key);
	if (prefix.n) name = arena_printf(m->a, "%.*s_%.*s", STR_ARG(prefix), STR_ARG(name));
	if (!kv->value || kv->value->value_case != OTLP__ANY_VALUE__VALUE_KVLIST_VALUE)
		return put(m, name, otlp_value_text(m->a, kv->value));
	for (size_t i = 0; i < kv->value->kvlist_value->n_values; i++)
		if (!put_attribute(m, name, kv->value->kvlist_value->values[i])) return false;
	return !arena_over(m->a) || otlp_too_large(m->a, m->e);
}

static bool put_attributes(struct map *m, Otlp__KeyValue *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!put_attribute(m, STR(""), v[i])) return false;
	return true;
}

static bool put_text(struct map *m, const char *name, ProtobufCBinaryData text)
{
	return !text.len || put(m, str_c(name), otlp_bytes(text));
}

static bool put_number(struct map *m, const char *name, uint64_t n)
{
	return !n || put(m, str_c(name), arena_printf(m->a, "%" PRIu64, n));
}

static bool put_id(struct map *m, const char *name, ProtobufCBinaryData id)
{
	if (!id.len) return true;
	char *hex = arena_alloc(m->a, id.len * 2);
	for (size_t i = 0; i < id.len; i++) {
		hex[2 * i] = "0123456789abcdef"[id.data[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[id.data[i] & 15];
	}
	return put(m, str_c(name), str_of(hex, id.len * 2));
}

/* ---- labels of a stream ---- */

static bool is_index(const struct map *m, const Otlp__KeyValue *kv)
{
	for (size_t i = 0; i < m->rules->nindex; i++)
		if (str_eq(m->rules->index[i], otlp_bytes(kv->key))) return true;
	return false;
}

static int by_name_then_place(const void *x, const void *y)
{
	const struct label *a = *(const struct label *const *)x, *b = *(const struct label *const *)y;
	int c = str_cmp(a->name, b->name);
	return c ? c : a < b ? -1 : a > b;
}

/* The text of the pairs in m->v: of equal names the last counts, empty values are none. */
static struct str labels_text(struct map *m)
{
	const struct label **sorted = mem_alloc((m->n + 1) * sizeof *sorted);
	struct label *v = mem_alloc((m->n + 1) * sizeof *v);
	struct buf b = {0};
	size_t n = 0;
	for (size_t i = 0; i < m->n; i++) sorted[i] = &m->v[i];
	qsort(sorted, m->n, sizeof *sorted, by_name_then_place);
	for (size_t i = 0; i < m->n; i++) {
		bool last = i + 1 == m->n || !str_eq(sorted[i]->name, sorted[i + 1]->name);
		if (last && sorted[i]->value.n) v[n++] = *sorted[i];
	}
	labels_print(&b, &(struct labels){v, n});
	struct str text = arena_str(m->a, buf_view(&b));
	buf_free(&b);
	free(sorted);
	free(v);
	return text;
}

/* Leaves the resource's other pairs in m->v. */
static bool read_resource(struct map *m, const Otlp__Resource *r, struct str *labels)
{
	m->n = 0;
	for (size_t i = 0; r && i < r->n_attributes; i++)
		if (is_index(m, r->attributes[i]) && !put_attribute(m, STR(""), r->attributes[i])) return false;
	*labels = labels_text(m);
	m->n = 0;
	for (size_t i = 0; r && i < r->n_attributes; i++)
		if (!is_index(m, r->attributes[i]) && !put_attribute(m, STR(""), r->attributes[i])) return false;
	return true;
}

/* ---- entries ---- */

static bool put_scope(struct map *m, const Otlp__InstrumentationScope *s)
{
	return !s || (put_attributes(m, s->attributes, s->n_attributes) && put_text(m, "scope_name", s->name) &&
		      put_text(m, "scope_version", s->version) &&
		      put_number(m, "scope_dropped_attributes_count", s->dropped_attributes_count));
}

static bool put_record(struct map *m, const Otlp__LogRecord *r)
{
	return put_attributes(m, r->attributes, r->n_attributes) &&
	       put_number(m, "observed_timestamp", r->time_unix_nano ? r->observed_time_unix_nano : 0) &&
	       put_number(m, "severity_number", r->severity_number > 0 ? (uint64_t)r->severity_number : 0) &&
	       put_text(m, "severity_text", r->severity_text) && put_number(m, "flags", r->flags) &&
	       put_number(m, "dropped_attributes_count", r->dropped_attributes_count) &&
	       put_id(m, "trace_id", r->trace_id) && put_id(m, "span_id", r->span_id) &&
	       put_text(m, "event_name", r->event_name);
}

static int64_t record_time(const struct map *m, const Otlp__LogRecord *r)
{
	uint64_t t = r->time_unix_nano ? r->time_unix_nano : r->observed_time_unix_nano;
	return !t ? m->rules->now : t > INT64_MAX ? INT64_MAX : (int64_t)t;
}

static bool read_record(struct map *m, const Otlp__LogRecord *r, struct push_entry *out)
{
	if (!put_record(m, r)) return false;
	*out = (struct push_entry){.ts = record_time(m, r), .line = otlp_value_text(m->a, r->body)};
	if (m->n) {
		out->meta = (struct labels){arena_alloc(m->a, m->n * sizeof *m->v), m->n};
		memcpy(out->meta.v, m->v, m->n * sizeof *m->v);
	}
	m->out->bytes += out->line.n;
	for (size_t i = 0; i < m->n; i++) m->out->bytes += m->v[i].name.n + m->v[i].value.n;
	return !arena_over(m->a) || otlp_too_large(m->a, m->e);
}

static size_t records_of(const Otlp__ResourceLogs *r)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_scope_logs; i++) n += r->scope_logs[i]->n_log_records;
	return n;
}

static bool read_resource_logs(struct map *m, const Otlp__ResourceLogs *r)
{
	size_t records = records_of(r);
	if (!records) return true;
	struct push_stream *st = ARENA_PUSH(m->a, m->out->v, m->out->n, m->cap_out);
	*st = (struct push_stream){.v = arena_alloc(m->a, records * sizeof *st->v)};
	if (arena_over(m->a)) return otlp_too_large(m->a, m->e);
	if (!read_resource(m, r->resource, &st->labels)) return false;
	size_t of_resource = m->n;
	for (size_t i = 0; i < r->n_scope_logs; i++) {
		const Otlp__ScopeLogs *scope = r->scope_logs[i];
		m->n = of_resource;
		if (!put_scope(m, scope->scope)) return false;
		size_t of_scope = m->n;
		for (size_t k = 0; k < scope->n_log_records; k++) {
			m->n = of_scope;
			if (!read_record(m, scope->log_records[k], &st->v[st->n++])) return false;
		}
	}
	m->out->entries += st->n;
	return true;
}

bool otlp_map(struct arena *a, const Otlp__LogsRequest *request, const struct otlp_rules *rules, struct push *out,
	      struct err *e)
{
	struct map m = {.a = a, .rules = rules, .out = out, .e = e};
	bool ok = true;
	*out = (struct push){0};
	for (size_t i = 0; ok && i < request->n_resource_logs; i++)
		ok = read_resource_logs(&m, request->resource_logs[i]);
	free(m.v);
	return ok;
}
