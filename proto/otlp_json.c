/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON form follows from the schema: a key is a field's name in lowerCamelCase (or as it stands in otlp.proto),
 * integers may stand in strings, ids are hex and other bytes base64. */
#include "proto/otlp.h"

#include "common/base64.h"
#include "common/json.h"
#include "proto/json_report.h"
#include "proto/otlp_map.h"

#include <limits.h>

struct dec {
	struct json j;
	struct arena *a;
	struct buf scratch;
	struct err *e;
};

/* ---- errors ---- */

static bool expected(struct dec *d, const ProtobufCFieldDescriptor *f, const char *what)
{
	err_set(d->e, ERR_INVALID, "OTLP JSON at byte %zu: %s must be %s", d->j.tok_at, f->name, what);
	d->e->off = (long)d->j.tok_at;
	return false;
}

/* ---- scalars ---- */

/* The string under way: from the body, or unescaped into the arena. */
static struct str text(struct dec *d)
{
	if (!d->j.escaped) return d->j.text;
	char *p = arena_alloc(d->a, d->j.text.n);
	return str_of(p, json_unescape(d->j.text, p));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex(struct arena *a, struct str s, struct str *out)
{
	char *p = arena_alloc(a, s.n / 2 + 1);
	if (s.n % 2) return false;
	for (size_t i = 0; i < s.n; i += 2) {
		int hi = hex_digit(s.p[i]), lo = hex_digit(s.p[i + 1]);
		if (hi < 0 || lo < 0) return false;
		p[i / 2] = (char)(hi << 4 | lo);
	}
	*out = str_of(p, s.n / 2);
	return true;
}

static bool read_bytes(struct dec *d, enum json_tok t, const ProtobufCFieldDescriptor *f, ProtobufCBinaryData *out)
{
	if (t != JSON_STRING) return expected(d, f, "a string");
	struct str s = text(d);
	size_t bad;
	if (strcmp(f->name, "trace_id") == 0 || strcmp(f->name, "span_id") == 0) {
		if (!hex(d->a, s, &s)) return expected(d, f, "hex digits");
	} else if (strcmp(f->name, "bytes_value") == 0) {
		buf_clear(&d->scratch);
		if (!base64_decode(&d->scratch, s, &bad)) return expected(d, f, "base64");
		s = arena_str(d->a, buf_view(&d->scratch));
	}
	*out = (ProtobufCBinaryData){s.n, (uint8_t *)(uintptr_t)s.p};
	return true;
}

static bool read_integer(struct dec *d, enum json_tok t, const ProtobufCFieldDescriptor *f, void *out)
{
	bool is_signed = f->type == PROTOBUF_C_TYPE_INT64, wide = is_signed || f->type == PROTOBUF_C_TYPE_FIXED64;
	bool given = (t == JSON_STRING && !d->j.escaped) || t == JSON_NUMBER;
	int64_t i = 0;
	uint64_t u = 0;
	if (!given || !(is_signed ? str_to_i64(d->j.text, &i) : str_to_u64(d->j.text, &u)))
		return expected(d, f, is_signed ? "an integer" : "an integer that is not negative");
	if (is_signed) u = (uint64_t)i;
	if (!wide && u > UINT32_MAX) return expected(d, f, "an integer of 32 bits");
	memcpy(out, wide ? (void *)&u : (void *)&(uint32_t){(uint32_t)u}, wide ? sizeof u : sizeof(uint32_t));
	return true;
}

/* By number, or by name. */
static bool read_enum(struct dec *d, enum json_tok t, const ProtobufCFieldDescriptor *f, int *out)
{
	int64_t n;
	if ((t == JSON_NUMBER || t == JSON_STRING) && str_to_i64(d->j.text, &n) && n >= INT_MIN && n <= INT_MAX) {
		*out = (int)n;
		return true;
	}
	const ProtobufCEnumValue *v = NULL;
	if (t == JSON_STRING)
		v = protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, arena_cstr(d->a, d->j.text));
	if (!v) return expected(d, f, "a number or its name such as SEVERITY_NUMBER_INFO");
	*out = v->value;
	return true;
}

static bool read_double(struct dec *d, enum json_tok t, const ProtobufCFieldDescriptor *f, double *out)
{
	if ((t == JSON_NUMBER || t == JSON_STRING) && str_to_f64(d->j.text, out)) return true;
	return expected(d, f, "a number");
}

static bool read_bool(struct dec *d, enum json_tok t, const ProtobufCFieldDescriptor *f, protobuf_c_boolean *out)
{
	if (t != JSON_TRUE && t != JSON_FALSE) return expected(d, f, "true or false");
	*out = t == JSON_TRUE;
	return true;
}

/* ---- messages ---- */

static ProtobufCMessage *read_message(struct dec *d, const ProtobufCMessageDescriptor *m, enum json_tok t);

static bool read_value(struct dec *d, enum json_tok t, const ProtobufCFieldDescriptor *f, void *out)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BYTES: return read_bytes(d, t, f, out);
	case PROTOBUF_C_TYPE_BOOL: return read_bool(d, t, f, out);
	case PROTOBUF_C_TYPE_ENUM: return read_enum(d, t, f, out);
	case PROTOBUF_C_TYPE_DOUBLE: return read_double(d, t, f, out);
	case PROTOBUF_C_TYPE_MESSAGE:
		if (t != JSON_OBJ_OPEN && t != JSON_NULL) return expected(d, f, "an object");
		return (*(ProtobufCMessage **)out = read_message(d, f->descriptor, t)) != NULL;
	default: return read_integer(d, t, f, out);
	}
}

/* Only messages repeat. A key that comes twice adds to its array. */
static bool read_array(struct dec *d, enum json_tok t, const ProtobufCFieldDescriptor *f, char *message)
{
	size_t *n = (size_t *)(void *)(message + f->quantifier_offset), cap = *n;
	void ***v = (void ***)(void *)(message + f->offset);
	if (t != JSON_ARR_OPEN) return expected(d, f, "an array");
	while ((t = json_next(&d->j)) != JSON_ARR_CLOSE) {
		void *item;
		if (t == JSON_ERROR || !read_value(d, t, f, &item)) return false;
		*ARENA_PUSH(d->a, *v, *n, cap) = item;
		if (arena_over(d->a)) return otlp_too_large(d->a, d->e);
	}
	return true;
}

static bool is_key(const char *name, struct str key)
{
	size_t i = 0;
	if (str_eqc(key, name)) return true;
	for (; *name && i < key.n; name++, i++) {
		char c = *name;
		if (c == '_') c = (char)(*++name - 'a' + 'A');
		if (c != key.p[i]) return false;
	}
	return !*name && i == key.n;
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *m, struct str key)
{
	for (unsigned i = 0; i < m->n_fields; i++)
		if (is_key(m->fields[i].name, key)) return &m->fields[i];
	return NULL;
}

static bool read_field(struct dec *d, enum json_tok t, const ProtobufCFieldDescriptor *f, char *message)
{
	if (!f || t == JSON_NULL) return json_skip_rest(&d->j, t);
	if (t == JSON_ERROR) return false;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) return read_array(d, t, f, message);
	if (!read_value(d, t, f, message + f->offset)) return false;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		memcpy(message + f->quantifier_offset, &f->id, sizeof f->id);
	return true;
}

/* The object that t opens, or an empty message where t is null. NULL: error. */
static ProtobufCMessage *read_message(struct dec *d, const ProtobufCMessageDescriptor *m, enum json_tok t)
{
	ProtobufCMessage *message = arena_alloc(d->a, m->sizeof_message);
	m->message_init(message);
	if (t == JSON_NULL) return message;
	while ((t = json_next(&d->j)) == JSON_KEY) {
		const ProtobufCFieldDescriptor *f = field_of(m, d->j.text);
		if (!read_field(d, json_next(&d->j), f, (char *)message)) return NULL;
	}
	if (t == JSON_OBJ_CLOSE && arena_over(d->a)) otlp_too_large(d->a, d->e);
	return t == JSON_OBJ_CLOSE && !arena_over(d->a) ? message : NULL;
}

bool otlp_json_decode(struct arena *a, struct str body, const struct otlp_rules *rules, struct push *out, struct err *e)
{
	struct dec d = {.a = a, .e = e};
	*out = (struct push){0};
	if (!json_report_start(body, e)) return false;
	json_init(&d.j, body, e);
	ProtobufCMessage *request = read_message(&d, &otlp__logs_request__descriptor, json_next(&d.j));
	bool ok = request && json_next(&d.j) == JSON_END;
	buf_free(&d.scratch);
	return ok && otlp_map(a, (const Otlp__LogsRequest *)request, rules, out, e);
}
