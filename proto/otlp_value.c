/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/otlp_map.h"

#include "common/base64.h"
#include "common/json.h"

#include <stdlib.h>

/* ---- JSON, as Go's encoding/json writes it ---- */

/* A map's pair; of equal keys the later one counts. */
struct pair {
	struct str key;
	const Otlp__KeyValue *kv;
	size_t place;
};

static int by_key(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;
	int c = str_cmp(a->key, b->key);
	return c ? c : a->place < b->place ? -1 : a->place > b->place;
}

static void put_value(struct arena *a, struct json_out *o, const Otlp__AnyValue *v);

static void put_map(struct arena *a, struct json_out *o, const Otlp__KeyValueList *l)
{
	struct pair *v = arena_alloc(a, (l->n_values + 1) * sizeof *v);
	for (size_t i = 0; i < l->n_values; i++) v[i] = (struct pair){otlp_bytes(l->values[i]->key), l->values[i], i};
	qsort(v, l->n_values, sizeof *v, by_key);
	json_open(o, '{');
	for (size_t i = 0; i < l->n_values; i++) {
		if (i + 1 < l->n_values && str_eq(v[i].key, v[i + 1].key)) continue;
		json_key(o, v[i].key);
		put_value(a, o, v[i].kv->value);
	}
	json_close(o, '}');
}

static void put_array(struct arena *a, struct json_out *o, const Otlp__ArrayValue *l)
{
	json_open(o, '[');
	for (size_t i = 0; i < l->n_values; i++) put_value(a, o, l->values[i]);
	json_close(o, ']');
}

static void put_bytes(struct json_out *o, struct str s)
{
	struct buf text = {0};
	base64_encode(&text, s);
	json_put_str(o, buf_view(&text));
	buf_free(&text);
}

static void put_value(struct arena *a, struct json_out *o, const Otlp__AnyValue *v)
{
	switch (v ? v->value_case : OTLP__ANY_VALUE__VALUE__NOT_SET) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE: json_put_str(o, otlp_bytes(v->string_value)); break;
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE: json_put_bool(o, v->bool_value); break;
	case OTLP__ANY_VALUE__VALUE_INT_VALUE: json_put_i64(o, v->int_value); break;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE: json_put_f64(o, v->double_value); break;
	case OTLP__ANY_VALUE__VALUE_ARRAY_VALUE: put_array(a, o, v->array_value); break;
	case OTLP__ANY_VALUE__VALUE_KVLIST_VALUE: put_map(a, o, v->kvlist_value); break;
	case OTLP__ANY_VALUE__VALUE_BYTES_VALUE: put_bytes(o, otlp_bytes(v->bytes_value)); break;
	default: json_put_null(o); break;
	}
}

/* ---- as a line or a metadata value ---- */

static void print_double(struct buf *b, double d)
{
	struct json_out o;
	json_out_init(&o, b, false);
	if (d - d != 0) /* NaN, Inf: JSON has no form for them */
		buf_f64(b, d);
	else
		json_put_f64(&o, d);
}

struct str otlp_value_text(struct arena *a, const Otlp__AnyValue *v)
{
	struct buf b = {0};
	struct json_out o;
	json_out_init(&o, &b, true);
	switch (v ? v->value_case : OTLP__ANY_VALUE__VALUE__NOT_SET) {
	case OTLP__ANY_VALUE__VALUE__NOT_SET: return STR("");
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE: return otlp_bytes(v->string_value);
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE: return v->bool_value ? STR("true") : STR("false");
	case OTLP__ANY_VALUE__VALUE_BYTES_VALUE: base64_encode(&b, otlp_bytes(v->bytes_value)); break;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE: print_double(&b, v->double_value); break;
	default: put_value(a, &o, v); break;
	}
	struct str text = arena_str(a, buf_view(&b));
	buf_free(&b);
	return text;
}
