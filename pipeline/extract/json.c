/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/json.h"

#include "common/json.h"
#include "pipeline/extract/json_scan.h"

#include <stdlib.h>

#define NAME_MAX_BYTES 2048 /* members whose joined name is longer are passed over: bounds what a line can cost */

static const char error_name[] = "JSONParserErr";

/* One walk over a line. The name of the object being read is name[0..n): its keys, joined by "_". */
struct walk {
	const char *p, *end;
	struct extract *x;
	size_t n;
	unsigned depth;
	char name[NAME_MAX_BYTES];
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Adds "_" and the sanitised key to the name. False: too long. */
static bool push_name(struct walk *w, struct str key)
{
	key = str_trim(key);
	if (w->n + key.n + 2 > sizeof w->name) return false;
	if (w->n || (key.n && is_digit(key.p[0]))) w->name[w->n++] = '_';
	w->n += extract_sanitize(w->name + w->n, key);
	return true;
}

/* Reports a scalar. False: all that is wanted was found. */
static bool put(struct walk *w, struct str key, struct str value)
{
	size_t keep = w->n;
	if (keep == 0) {
		struct str name = extract_name(w->x->a, key);
		return name.n == 0 || extract_put(w->x, name, value);
	}
	struct str name;
	bool more = true;
	if (push_name(w, key)) {
		name = str_of(w->name, w->n);
		if (!w->x->want) name = arena_str(w->x->a, name);
		more = extract_put(w->x, name, value);
	}
	w->n = keep;
	return more;
}

static enum js_fault members(struct walk *w);

static enum js_fault object(struct walk *w, struct str key)
{
	const char *from = w->p;
	size_t keep = w->n, found = w->x->n;
	enum js_fault f = JS_OK;
	bool enter = w->depth < JSON_DEPTH && push_name(w, key);
	if (enter && (w->n == 0 || extract_wants_under(w->x, str_of(w->name, w->n)))) {
		w->p++;
		w->depth++;
		f = members(w);
		w->depth--;
		/* Loki looks for the closing bracket first: without it, nothing inside counts. */
		if (f > JS_STOP && !js_block(from, w->end, '{', '}')) {
			w->x->n = found;
			f = JS_BAD_OBJECT;
		}
	} else {
		w->p = js_block(from, w->end, '{', '}');
		if (!w->p) f = JS_BAD_OBJECT;
	}
	w->n = keep;
	return f;
}

static enum js_fault member(struct walk *w, struct str key)
{
	struct js_value v;
	w->p = js_blank(w->p, w->end);
	if (w->p < w->end && *w->p == '{') return object(w, key);
	enum js_fault f = js_value(&w->p, w->end, &v);
	if (f != JS_OK || v.type == JS_T_NULL || v.type == JS_T_ARRAY) return f;
	struct str text = v.raw;
	if (v.type == JS_T_STRING && (v.escaped || v.high)) text = js_label_value(w->x->a, v.raw, v.escaped, v.high);
	return put(w, key, text) ? JS_OK : JS_STOP;
}

/* "key": at w->p, which stands at its quote. */
static enum js_fault member_key(struct walk *w, struct str *key)
{
	struct js_str s;
	if (*w->p != '"') return JS_BAD_OBJECT;
	w->p = js_string(w->p + 1, w->end, &s);
	if (!w->p) return JS_BAD;
	*key = s.raw;
	if (s.escaped && !extract_unescape(w->x->a, s.raw, false, key)) return JS_BAD_ESCAPE;
	w->p = js_blank(w->p, w->end);
	if (w->p >= w->end || *w->p != ':') return JS_BAD;
	w->p++;
	return JS_OK;
}

/* Behind "{"; goes on to behind "}". */
static enum js_fault members(struct walk *w)
{
	w->p = js_blank(w->p, w->end);
	if (w->p >= w->end) return JS_BAD;
	for (bool comma = false;; comma = true) {
		/* A comma right before the bracket is a fault, one with a blank behind it is not. */
		if (*w->p == '}' && !(comma && w->p[-1] == ',')) break;
		struct str key;
		enum js_fault f = member_key(w, &key);
		if (f == JS_OK) f = member(w, key);
		if (f != JS_OK) return f;
		w->p = js_blank(w->p, w->end);
		if (w->p >= w->end) return JS_BAD_ARRAY;
		if (*w->p == '}') break;
		if (*w->p != ',') return JS_BAD_OBJECT;
		w->p = js_blank(w->p + 1, w->end);
		if (w->p >= w->end) return JS_BAD_ARRAY;
	}
	w->p++;
	return JS_OK;
}

void extract_json(struct str line, struct extract *x)
{
	struct walk w;
	w.p = js_blank(line.p, line.p + line.n);
	w.end = line.p + line.n;
	w.x = x;
	w.n = w.depth = 0;
	enum js_fault f = JS_BAD_OBJECT;
	if (w.p < w.end && *w.p == '{') {
		w.p++;
		f = members(&w);
	}
	if (f > JS_STOP) extract_fail(x, error_name, js_fault_text(f));
}

/* ---- unpack ---- */

static enum js_fault unpack_member(struct walk *w, struct str key, struct str *entry)
{
	struct js_value v;
	enum js_fault f = js_value(&w->p, w->end, &v);
	if (f != JS_OK || v.type != JS_T_STRING) return f;
	if (str_eq(key, STR("_entry"))) {
		*entry = v.raw;
		return v.escaped && !extract_unescape(w->x->a, v.raw, false, entry) ? JS_BAD_ESCAPE : JS_OK;
	}
	struct str name = extract_name(w->x->a, key);
	if (name.n && extract_wants(w->x, name))
		extract_put(w->x, name, js_label_value(w->x->a, v.raw, v.escaped, v.high));
	return JS_OK;
}

static enum js_fault unpack_members(struct walk *w, struct str *entry)
{
	w->p = js_blank(w->p + 1, w->end);
	if (w->p >= w->end) return JS_BAD;
	while (*w->p != '}') {
		struct str key;
		enum js_fault f = member_key(w, &key);
		if (f == JS_OK) f = unpack_member(w, key, entry);
		if (f != JS_OK) return f;
		w->p = js_blank(w->p, w->end);
		if (w->p >= w->end) return JS_BAD_ARRAY;
		if (*w->p == '}') return JS_OK;
		if (*w->p != ',') return JS_BAD_OBJECT;
		w->p = js_blank(w->p + 1, w->end);
		if (w->p >= w->end) return JS_BAD_ARRAY;
	}
	return w->p[-1] == ',' ? JS_BAD_OBJECT : JS_OK;
}

bool extract_unpack(struct str line, struct extract *x, struct str *entry)
{
	struct walk w;
	size_t found = x->n;
	if (line.n == 0) return false;
	if (line.p[0] != '{') return extract_fail(x, error_name, STR("expecting json object(6), but it is not"));
	w.p = line.p;
	w.end = line.p + line.n;
	w.x = x;
	*entry = STR_NULL;
	enum js_fault f = unpack_members(&w, entry);
	if (f == JS_OK && entry->p) return true;
	x->n = found;
	return f == JS_OK ? false : extract_fail(x, error_name, js_fault_text(f));
}
