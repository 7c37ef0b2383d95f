/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/otlp_map.h"

#include "common/map.h"
#include "proto/meta_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* On the heap. */
struct pairs {
	struct label *v;
	size_t n, cap;
};

/* A stream of the push that grows. */
struct open_stream {
	size_t at, cap;
};

/* Of the record under way: the resource's pairs, then its scope's, then its own. */
struct mapper {
	struct arena *a;
	const struct otlp_rules *rules;
	struct push *out;
	size_t cap_out;
	struct pairs labels, meta;
	struct map by_labels; /* text → struct open_stream */
	struct err *e;
};

bool otlp_too_large(const struct arena *a, struct err *e)
{
	return err_set(e, ERR_TOO_LARGE,
		       "the OTLP request needs more than %zu bytes of memory to decode; send smaller batches", a->cap);
}

/* ---- pairs ---- */

static bool put(struct mapper *m, struct pairs *to, struct str name, struct str value)
{
	struct str fit = meta_name(m->a, name);
	if (!fit.p)
		return err_set(m->e, ERR_INVALID,
			       "attribute \"%.*s\": a name without a letter or digit cannot be queried; rename it",
			       STR_ARG(name));
	if (arena_over(m->a)) return otlp_too_large(m->a, m->e);
	MEM_GROW(to->v, to->n, to->cap);
	to->v[to->n++] = (struct label){fit, value};
	return true;
}

/* A map becomes one pair for each of its leaves, names joined by "_". */
static bool put_attribute(struct mapper *m, struct pairs *to, struct str prefix, const Otlp__KeyValue *kv)
{
	struct str name = otlp_bytes(kv->key);
	if (prefix.n) name = arena_printf(m->a, "%.*s_%.*s", STR_ARG(prefix), STR_ARG(name));
	if (!kv->value || kv->value->value_case != OTLP__ANY_VALUE__VALUE_KVLIST_VALUE)
		return put(m, to, name, otlp_value_text(m->a, kv->value));
	for (size_t i = 0; i < kv->value->kvlist_value->n_values; i++)
		if (!put_attribute(m, to, name, kv->value->kvlist_value->values[i])) return false;
	return !arena_over(m->a) || otlp_too_large(m->a, m->e);
}

static bool takes(const struct otlp_rule *r, struct str name)
{
	if (r->re) return regex_match(r->re, name);
	for (size_t i = 0; i < r->n_names; i++)
		if (str_eq(r->names[i], name)) return true;
	return false;
}

static enum otlp_action action_of(const struct otlp_rule_list *rules, struct str name)
{
	for (size_t i = 0; i < rules->n; i++)
		if (takes(&rules->v[i], name)) return rules->v[i].action;
	return OTLP_STRUCTURED_METADATA;
}

/* first: a rule that comes before the list, or NULL. */
static bool put_attributes(struct mapper *m, Otlp__KeyValue *const *v, size_t n, const struct otlp_rule *first,
			   const struct otlp_rule_list *rules)
{
	for (size_t i = 0; i < n; i++) {
		struct str name = otlp_bytes(v[i]->key);
		enum otlp_action action = first && takes(first, name) ? first->action : action_of(rules, name);
		if (action == OTLP_DROP) continue;
		struct pairs *to = action == OTLP_INDEX_LABEL ? &m->labels : &m->meta;
		if (!put_attribute(m, to, STR(""), v[i])) return false;
	}
	return true;
}

static bool put_text(struct mapper *m, const char *name, ProtobufCBinaryData text)
{
	return !text.len || put(m, &m->meta, str_c(name), otlp_bytes(text));
}

static bool put_number(struct mapper *m, const char *name, uint64_t n)
{
	return !n || put(m, &m->meta, str_c(name), arena_printf(m->a, "%" PRIu64, n));
}

static bool put_id(struct mapper *m, const char *name, ProtobufCBinaryData id)
{
	if (!id.len) return true;
	char *hex = arena_alloc(m->a, id.len * 2);
	for (size_t i = 0; i < id.len; i++) {
		hex[2 * i] = "0123456789abcdef"[id.data[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[id.data[i] & 15];
	}
	return put(m, &m->meta, str_c(name), str_of(hex, id.len * 2));
}

static bool put_severity_text(struct mapper *m, ProtobufCBinaryData text)
{
	if (!text.len) return true;
	if (m->rules->severity_label && !put(m, &m->labels, STR("severity_text"), otlp_bytes(text))) return false;
	return put_text(m, "severity_text", text);
}

/* ---- streams ---- */

static int by_name_then_place(const void *x, const void *y)
{
	const struct label *a = *(const struct label *const *)x, *b = *(const struct label *const *)y;
	int c = str_cmp(a->name, b->name);
	return c ? c : a < b ? -1 : a > b;
}

/* The text of pairs: of equal names the last counts, empty values are none. */
static struct str labels_text(struct mapper *m, const struct pairs *p)
{
	const struct label **sorted = mem_alloc((p->n + 1) * sizeof *sorted);
	struct label *v = mem_alloc((p->n + 1) * sizeof *v);
	struct buf b = {0};
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) sorted[i] = &p->v[i];
	qsort(sorted, p->n, sizeof *sorted, by_name_then_place);
	for (size_t i = 0; i < p->n; i++) {
		bool last = i + 1 == p->n || !str_eq(sorted[i]->name, sorted[i + 1]->name);
		if (last && sorted[i]->value.n) v[n++] = *sorted[i];
	}
	labels_print(&b, &(struct labels){v, n});
	struct str text = arena_str(m->a, buf_view(&b));
	buf_free(&b);
	free(sorted);
	free(v);
	return text;
}

/* A new entry of the stream with these labels, for which there is to be room at once where it is new. */
static struct push_entry *new_entry(struct mapper *m, struct str labels, size_t room)
{
	struct open_stream *s = map_get(&m->by_labels, labels);
	if (!s) {
		s = ARENA_NEW(m->a, struct open_stream);
		*s = (struct open_stream){m->out->n, room};
		struct push_stream *st = ARENA_PUSH(m->a, m->out->v, m->out->n, m->cap_out);
		*st = (struct push_stream){.labels = labels, .v = arena_alloc(m->a, room * sizeof *st->v)};
		map_put(&m->by_labels, labels, s);
	}
	struct push_stream *st = &m->out->v[s->at];
	m->out->entries++;
	return ARENA_PUSH(m->a, st->v, st->n, s->cap);
}

/* ---- records ---- */

static bool put_scope(struct mapper *m, const Otlp__InstrumentationScope *s)
{
	return !s || (put_attributes(m, s->attributes, s->n_attributes, NULL, &m->rules->scope) &&
		      put_text(m, "scope_name", s->name) && put_text(m, "scope_version", s->version) &&
		      put_number(m, "scope_dropped_attributes_count", s->dropped_attributes_count));
}

static bool put_record(struct mapper *m, const Otlp__LogRecord *r)
{
	return put_attributes(m, r->attributes, r->n_attributes, NULL, &m->rules->record) &&
	       put_number(m, "observed_timestamp", r->time_unix_nano ? r->observed_time_unix_nano : 0) &&
	       put_number(m, "severity_number", r->severity_number > 0 ? (uint64_t)r->severity_number : 0) &&
	       put_severity_text(m, r->severity_text) && put_number(m, "flags", r->flags) &&
	       put_number(m, "dropped_attributes_count", r->dropped_attributes_count) &&
	       put_id(m, "trace_id", r->trace_id) && put_id(m, "span_id", r->span_id) &&
	       put_text(m, "event_name", r->event_name);
}

static int64_t record_time(const struct mapper *m, const Otlp__LogRecord *r)
{
	uint64_t t = r->time_unix_nano ? r->time_unix_nano : r->observed_time_unix_nano;
	return !t ? m->rules->now : t > INT64_MAX ? INT64_MAX : (int64_t)t;
}

struct resource {
	struct str labels; /* of records that add none */
	size_t n_labels, n_meta;
	size_t records;
};

static bool read_record(struct mapper *m, const struct resource *of, const Otlp__LogRecord *r)
{
	if (!put_record(m, r)) return false;
	bool own = m->labels.n > of->n_labels;
	struct push_entry *out =
		own ? new_entry(m, labels_text(m, &m->labels), 1) : new_entry(m, of->labels, of->records);
	*out = (struct push_entry){.ts = record_time(m, r), .line = otlp_value_text(m->a, r->body)};
	if (m->meta.n) {
		out->meta = (struct labels){arena_alloc(m->a, m->meta.n * sizeof *m->meta.v), m->meta.n};
		memcpy(out->meta.v, m->meta.v, m->meta.n * sizeof *m->meta.v);
	}
	m->out->bytes += out->line.n;
	for (size_t i = 0; i < m->meta.n; i++) m->out->bytes += m->meta.v[i].name.n + m->meta.v[i].value.n;
	return !arena_over(m->a) || otlp_too_large(m->a, m->e);
}

static bool read_scope_logs(struct mapper *m, const struct resource *of, const Otlp__ScopeLogs *scope)
{
	m->meta.n = of->n_meta;
	if (!put_scope(m, scope->scope)) return false;
	size_t n_meta = m->meta.n;
	for (size_t k = 0; k < scope->n_log_records; k++) {
		m->meta.n = n_meta;
		m->labels.n = of->n_labels;
		if (!read_record(m, of, scope->log_records[k])) return false;
	}
	return true;
}

static size_t records_of(const Otlp__ResourceLogs *r)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_scope_logs; i++) n += r->scope_logs[i]->n_log_records;
	return n;
}

static bool read_resource_logs(struct mapper *m, const Otlp__ResourceLogs *r)
{
	struct resource of = {.records = records_of(r)};
	if (!of.records) return true;
	m->labels.n = m->meta.n = 0;
	if (r->resource && !put_attributes(m, r->resource->attributes, r->resource->n_attributes, &m->rules->defaults,
					   &m->rules->resource))
		return false;
	of.labels = labels_text(m, &m->labels);
	of.n_labels = m->labels.n;
	of.n_meta = m->meta.n;
	for (size_t i = 0; i < r->n_scope_logs; i++)
		if (!read_scope_logs(m, &of, r->scope_logs[i])) return false;
	return true;
}

bool otlp_map(struct arena *a, const Otlp__LogsRequest *request, const struct otlp_rules *rules, struct push *out,
	      struct err *e)
{
	struct mapper m = {.a = a, .rules = rules, .out = out, .e = e};
	bool ok = true;
	*out = (struct push){0};
	for (size_t i = 0; ok && i < request->n_resource_logs; i++)
		ok = read_resource_logs(&m, request->resource_logs[i]);
	map_free(&m.by_labels);
	free(m.labels.v);
	free(m.meta.v);
	return ok;
}
