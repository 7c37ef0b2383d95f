/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/json_scan.h"

#include "common/simd.h"
#include "pipeline/extract/extract.h"

struct str js_fault_text(enum js_fault f)
{
	switch (f) {
	case JS_BAD_OBJECT: return STR("Value looks like object, but can't find closing '}' symbol");
	case JS_BAD_STRING: return STR("Value is string, but can't find closing '\"' symbol");
	case JS_BAD_ARRAY: return STR("Value is array, but can't find closing ']' symbol");
	case JS_BAD_TYPE: return STR("Unknown value type");
	case JS_BAD_ESCAPE: return STR("Encountered an invalid escape sequence in a string");
	default: return STR("Malformed JSON error");
	}
}

const char *js_blank(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
	return p;
}

/* First quote or backslash. */
static const char *quote_or_escape(const char *p, const char *end, bool *high)
{
	v16 seen = {0};
	for (; end - p >= 16; p += 16) {
		v16 v = v16_load(p);
		unsigned stop = v16_mask(v16_eq(v, '"') | v16_eq(v, '\\'));
		if (stop) {
			unsigned before = (1u << __builtin_ctz(stop)) - 1;
			*high |= (v16_mask(v) & before) || v16_mask(seen);
			return p + __builtin_ctz(stop);
		}
		seen |= v;
	}
	*high |= v16_mask(seen) != 0;
	for (; p < end && *p != '"' && *p != '\\'; p++) *high |= (unsigned char)*p >= 0x80;
	return p;
}

const char *js_string(const char *p, const char *end, struct js_str *s)
{
	const char *from = p;
	*s = (struct js_str){0};
	while ((p = quote_or_escape(p, end, &s->high)) < end && *p == '\\') {
		s->escaped = true;
		p = end - p > 2 ? p + 2 : end;
	}
	if (p >= end) return NULL;
	s->raw = str_of(from, (size_t)(p - from));
	return p + 1;
}

const char *js_block(const char *p, const char *end, char open, char close)
{
	size_t level = 0;
	struct js_str skipped;
	while (p && p < end) {
		if (end - p >= 16) {
			v16 v = v16_load(p);
			unsigned stop = v16_mask(v16_eq(v, '"') | v16_eq(v, (uint8_t)open) | v16_eq(v, (uint8_t)close));
			if (!stop) {
				p += 16;
				continue;
			}
			p += __builtin_ctz(stop);
		}
		char c = *p++;
		if (c == '"')
			p = js_string(p, end, &skipped);
		else if (c == open)
			level++;
		else if (c == close && --level == 0)
			return p;
	}
	return NULL;
}

/* A number, true, false or null; what it is follows from its first letter. */
static enum js_fault bare(const char **p, const char *end, struct js_value *v)
{
	const char *from = *p, *to = from;
	while (to < end && *to != ',' && *to != '}' && *to != ']' && *to != ' ' && *to != '\n' && *to != '\r' &&
	       *to != '\t')
		to++;
	v->raw = str_of(from, (size_t)(to - from));
	*p = to;
	if ((*from >= '0' && *from <= '9') || *from == '-')
		v->type = JS_T_NUMBER;
	else if (str_eq(v->raw, STR("true")) || str_eq(v->raw, STR("false")))
		v->type = JS_T_BOOL;
	else if (str_eq(v->raw, STR("null")))
		v->type = JS_T_NULL;
	else
		return JS_BAD_TYPE;
	return JS_OK;
}

enum js_fault js_value(const char **p, const char *end, struct js_value *v)
{
	const char *from = *p = js_blank(*p, end), *to;
	struct js_str s;
	if (from >= end) return JS_BAD;
	switch (*from) {
	case '"':
		to = js_string(from + 1, end, &s);
		if (!to) return JS_BAD_STRING;
		*v = (struct js_value){JS_T_STRING, s.raw, s.escaped, s.high};
		break;
	case '{':
		to = js_block(from, end, '{', '}');
		if (!to) return JS_BAD_OBJECT;
		*v = (struct js_value){.type = JS_T_OBJECT, .raw = str_of(from, (size_t)(to - from))};
		break;
	case '[':
		to = js_block(from, end, '[', ']');
		if (!to) return JS_BAD_ARRAY;
		*v = (struct js_value){.type = JS_T_ARRAY, .raw = str_of(from, (size_t)(to - from))};
		break;
	default: *v = (struct js_value){0}; return bare(p, end, v);
	}
	*p = to;
	return JS_OK;
}

struct str js_label_value(struct arena *a, struct str raw, bool escaped, bool high)
{
	if (escaped && !extract_unescape(a, raw, false, &raw)) return STR("");
	return escaped || high ? extract_blank_bad(a, raw) : raw;
}
